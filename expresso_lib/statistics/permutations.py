"""Permutation tests: sign-flip max-T, max-|rho| on (partial) ranks, whole-recording circular shift.

A permutation test needs no distribution, only that some relabelling would not matter if nothing
were there. Testing the *largest* of a family against the largest under relabelling holds the
family-wise error without assuming independence (Westfall & Young, 1993; Nichols & Holmes, 2002).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import rankdata

from expresso_lib.statistics import ranks

# Sign patterns of up to this many participants are enumerated, which makes p exact.
EXACT_PARTICIPANTS = 12
# The product of this many ratios (1 + r) / (1 - r) of correlations within ±.999 stays finite.
_PRODUCT_BLOCK = 64


@dataclass(frozen=True, eq=False)
class Permutation:
    """A family of permutation tests; A members, leading axes as in the data."""

    statistic: np.ndarray  # (..., A) t or rho
    p: np.ndarray  # (..., A) of each member alone
    p_max: np.ndarray  # (..., A) family-wise
    critical: np.ndarray  # (...,) |statistic| needed at family-wise alpha
    n_permutations: int


def sign_patterns(n: int, n_flips: int = 9999, *, seed: int = 0) -> np.ndarray:
    """Signs for ``n`` participants, the first row all +1 (the data as they are).

    Returns
    -------
    ndarray, float64, shape (B, n)
        All ``2**n`` patterns up to 12 participants, otherwise ``1 + n_flips`` random ones.

    Examples
    --------
    >>> sign_patterns(2)
    array([[ 1.,  1.],
           [ 1., -1.],
           [-1.,  1.],
           [-1., -1.]])
    """
    if n <= EXACT_PARTICIPANTS:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)[::-1]) & 1
        return 1.0 - 2.0 * bits
    random = np.random.default_rng(seed).integers(0, 2, (n_flips, n), dtype=np.int8)
    return np.concatenate([np.ones((1, n)), 1.0 - 2.0 * random])


def t_statistic(z: np.ndarray) -> np.ndarray:
    """One-sample t of each column, missing participants left out; 0 where it does not exist.

    Parameters
    ----------
    z : ndarray, float, shape (..., P, A)
    """
    n = np.isfinite(z).sum(axis=-2)
    x = np.nan_to_num(z)
    mean = x.sum(axis=-2) / np.maximum(n, 1)
    return _t_from_sums(mean, (x**2).sum(axis=-2), n)


def _t_from_sums(mean: np.ndarray, squares: np.ndarray, n: np.ndarray) -> np.ndarray:
    """t from mean, sum of squares (not changed by flipping signs) and n."""
    variance = np.maximum(squares / np.maximum(n, 1) - mean**2, 0) / np.maximum(n - 1, 1)
    usable = (n > 1) & (variance > 1e-15 * np.maximum(squares, 1e-12))
    # Identical participants have no spread: the statistic is as large as a number can honestly be.
    return np.divide(mean, np.sqrt(variance), out=np.sign(mean) * 1e6 * (n > 1), where=usable)


def sign_flip_max_t(
    z: np.ndarray,
    *,
    n_flips: int = 9999,
    seed: int = 0,
    alpha: float = 0.05,
    observed: np.ndarray | None = None,
) -> Permutation:
    """Test that participants' mean z is 0, for a family of AUs at once.

    If an AU had nothing to do with the attribution, a participant's z would be as likely
    negative as positive. All AUs of a participant flip together, so their correlation is kept.

    Parameters
    ----------
    z : ndarray, float, shape (..., P, A)
        NaN where a participant lacks the AU.
    n_flips : int
        Random sign patterns beside the observed one.
    seed : int
    alpha : float
        Of ``critical``.
    observed : ndarray, shape (..., A), optional
        Statistics to be judged instead of the t of ``z`` (see `hypotheses.fold_aware_t`).

    Returns
    -------
    Permutation
        ``p = (1 + b) / (1 + B)`` with b of B flips at least as large; exact up to 12
        participants; never 0.

    Raises
    ------
    ValueError
        If there is only one participant: it cannot tell a person from a population.

    Notes
    -----
    Assumes symmetry about 0 under the null. ``critical`` turns into simultaneous intervals:
    ``mean ± critical · se`` excludes 0 exactly where ``p_max`` is at most alpha.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> z = rng.normal(0, 0.15, (24, 3)) + [0.2, 0, 0]
    >>> sign_flip_max_t(z).p_max.round(4).tolist()
    [0.0001, 0.9959, 0.9107]
    """
    z = np.asarray(z, dtype=float)
    if z.shape[-2] < 2:
        raise ValueError(
            f"{z.shape[-2]} participant(s) say nothing about a population; "
            "use `circular_shift` for one recording."
        )
    patterns = sign_patterns(z.shape[-2], n_flips, seed=seed)
    n = np.isfinite(z).sum(axis=-2)
    x = np.nan_to_num(z)
    squares = (x**2).sum(axis=-2)
    # (..., A, P) @ (P, B): one product gives every flip of every AU.
    means = np.swapaxes(x, -1, -2) @ patterns.T / np.maximum(n, 1)[..., None]
    null = np.abs(_t_from_sums(means, squares[..., None], n[..., None]))
    statistic = t_statistic(z) if observed is None else np.asarray(observed, dtype=float)
    return _judge(statistic, null, alpha)


def _judge(statistic: np.ndarray, null: np.ndarray, alpha: float = 0.05) -> Permutation:
    """p of each member and of the family from the null distribution (..., A, B), identity first."""
    # Ties count against us; a flip that equals the data up to rounding is a tie.
    bound = np.abs(statistic) * (1 - 1e-9)
    p = (null[..., 1:] >= bound[..., None]).sum(axis=-1)
    largest = null[..., 1:].max(axis=-2)
    p_max = (largest[..., None, :] >= bound[..., None]).sum(axis=-1)
    total = null.shape[-1]
    everything = np.concatenate([np.abs(statistic).max(axis=-1)[..., None], largest], axis=-1)
    # p_max <= alpha just where the statistic exceeds the (k + 1)-th largest with
    # k = floor(alpha (1 + B)): so interval and p agree exactly.
    rank = min(int(np.floor(alpha * total + 1e-9)), total - 1)
    critical = -np.partition(-everything, rank, axis=-1)[..., rank] * (1 + 1e-9)
    return Permutation(statistic, (1 + p) / total, (1 + p_max) / total, critical, total - 1)


def permutation_orders(
    n: int, n_permutations: int = 9999, *, blocks: np.ndarray | None = None, seed: int = 0
) -> np.ndarray:
    """Orders of ``n`` participants, the first one unchanged, shuffled within blocks if given.

    Returns
    -------
    ndarray, int64, shape (1 + n_permutations, n)
    """
    rng = np.random.default_rng(seed)
    if blocks is None:
        return np.concatenate(
            [np.arange(n)[None], rng.permuted(np.tile(np.arange(n), (n_permutations, 1)), axis=1)]
        )
    orders = np.tile(np.arange(n), (n_permutations + 1, 1))
    for block in np.unique(np.asarray(blocks)):
        members = np.flatnonzero(np.asarray(blocks) == block)
        orders[1:, members] = rng.permuted(np.tile(members, (n_permutations, 1)), axis=1)
    return orders


def max_rho(
    x: np.ndarray,
    score: np.ndarray,
    *,
    covariates: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
    n_permutations: int = 9999,
    seed: int = 0,
) -> Permutation:
    """Test that none of a family of quantities changes with severity, given covariates.

    Spearman correlations of every column with the score; with covariates, of the residuals of
    the ranks (partial Spearman). The score's (residual) ranks are shuffled over participants.

    Parameters
    ----------
    x : ndarray, float, shape (..., P, A)
        NaN where a participant lacks the quantity.
    score : ndarray, float, shape (..., P)
    covariates : ndarray, float, shape (..., P, C), optional
    blocks : ndarray, shape (P,), optional
        Shuffle within these groups only (e.g. the fold whose model a participant shares).
    n_permutations, seed : int

    Returns
    -------
    Permutation
        ``statistic`` is rho, 0 where it does not exist (constant column or score).

    Notes
    -----
    Residuals of P participants given C covariates have ``P − 1 − C`` degrees of freedom, and
    shuffled residuals are projected again, so that the shuffled statistic has no more of them
    than the observed one (Freedman & Lane, 1983; Winkler et al., 2014). Residuals of both sides
    are small where the covariate is extreme; judged by plain partial rho such families err in 6
    to 8 %. With covariates each correlation is therefore divided by its robust standard error,
    ``sum(ab) / sqrt(sum(a² b²))`` (DiCiccio & Romano, 2017), which holds 4.4 to 5.1 %. Without
    covariates this would only cost power.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> score = rng.uniform(0, 45, 24)
    >>> x = np.stack([score + rng.normal(0, 8, 24), rng.normal(size=24)], axis=1)
    >>> found = max_rho(x, score)
    >>> found.statistic.round(2).tolist(), found.p_max.round(4).tolist()
    ([0.85, 0.12], [0.0001, 0.8323])
    """
    x = np.swapaxes(np.asarray(x, dtype=float), -1, -2)
    score = np.asarray(score, dtype=float)
    given = None if covariates is None else np.swapaxes(np.asarray(covariates, dtype=float), -1, -2)
    orders = permutation_orders(x.shape[-1], n_permutations, blocks=blocks, seed=seed)
    rows = np.where(np.isnan(x), np.nan, np.broadcast_to(score[..., None, :], x.shape))
    columns = (
        None
        if given is None
        else np.broadcast_to(given[..., None, :, :], (*x.shape[:-1], *given.shape[-2:]))
    )
    if columns is not None:
        columns = np.where(np.isnan(x)[..., None, :], np.nan, columns)
    left = ranks.residual_ranks(x, columns)
    right = ranks.residual_ranks(rows, columns)
    shuffled = ranks.residual_ranks(score, given)[..., orders]  # (..., B, P)
    if given is not None:
        basis = _orthonormal(given)  # what the covariates explain of a shuffled row is taken out
        shuffled = shuffled - (shuffled @ np.swapaxes(basis, -1, -2)) @ basis
    rho = (left * right).sum(axis=-1)
    if given is None:
        kept = _present_length(x, shuffled)
        return _judge(rho, np.abs(left @ np.swapaxes(shuffled, -1, -2)) / kept)
    return replace(_judge(*_studentised(left, right, shuffled)), statistic=rho)


def _present_length(x: np.ndarray, shuffled: np.ndarray) -> np.ndarray:
    """Length of every shuffled row (..., B, P) over the participants that have x (..., A, P)."""
    present = (~np.isnan(x)).astype(float)
    return np.sqrt(np.maximum(present @ np.swapaxes(shuffled**2, -1, -2), 1e-12))


def _studentised(
    left: np.ndarray, right: np.ndarray, shuffled: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Correlations over their robust standard error: observed (..., A), shuffled (..., A, B)."""

    def scale(squares: np.ndarray) -> np.ndarray:
        return np.sqrt(np.maximum(squares, 1e-12))

    null = np.abs(left @ np.swapaxes(shuffled, -1, -2)) / scale(
        left**2 @ np.swapaxes(shuffled**2, -1, -2)
    )
    return (left * right).sum(axis=-1) / scale((left**2 * right**2).sum(axis=-1)), null


def _orthonormal(covariates: np.ndarray) -> np.ndarray:
    """Orthonormal rows that span the covariates' ranks; covariates (..., C, P)."""
    _, size, rows = np.linalg.svd(ranks.standard_ranks(covariates), full_matrices=False)
    return rows * (size > 1e-8)[..., None]


@dataclass(frozen=True, eq=False)
class CircularShift:
    """Single-case test of one recording; A action units."""

    z: np.ndarray  # (A,) mean Fisher z over windows, unshifted
    p: np.ndarray  # (A,) exact over all shifts
    p_max: np.ndarray  # (A,) family-wise over AUs
    null: np.ndarray  # (A, F) mean z at every shift; column 0 is the data
    defined: np.ndarray  # (A,) windows with a correlation, unshifted


def circular_shift(
    units: np.ndarray, attribution: np.ndarray, *, window: int = 64, step: int | None = None
) -> CircularShift:
    """Ask of one recording whether its AUs and its attribution go together in time.

    The AU series of the whole recording is shifted in a circle by every possible number of
    frames, then cut into windows and ranked again. Autocorrelation is kept, alignment is not.

    Parameters
    ----------
    units : ndarray, float, shape (F, A)
        AU intensities, 0 to 5.
    attribution : ndarray, float, shape (F,)
        Frame attribution, score points.
    window, step : int
        In frames; ``step`` defaults to half a window.

    Returns
    -------
    CircularShift
        The smallest possible p is 1 / F. This is a statement about one recording, never about
        people (as a population claim it errs in 12 % where couplings differ by person).

    Raises
    ------
    ValueError
        If the series differ in length, hold NaN, or are shorter than two windows.

    Notes
    -----
    The mid-rank of frame i in the window that starts d frames before it is a count of smaller
    neighbours: a difference of two cumulative sums of comparisons, so that each circular window
    is ranked once by sliding. One matrix product per AU then correlates every start with every
    attribution window. Exact, not approximate: equal to `scipy.stats.spearmanr` per window and
    shift. Mean z is the logarithm of a product, which saves an ``atanh`` per correlation.

    Assumes stationarity: a recording whose AU and attribution both drift has few effective
    shifts, and the test is then anything but exact.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> au = np.convolve(rng.normal(size=259), np.ones(10), "valid")
    >>> found = circular_shift(au[:, None], au + 3 * rng.normal(size=250), window=50)
    >>> found.p.tolist()
    [0.004]
    """
    units = np.atleast_2d(np.asarray(units, dtype=float))
    attribution = np.asarray(attribution, dtype=float)
    _check_series(units, attribution, window)
    starts = np.arange(0, len(attribution) - window + 1, step or max(1, window // 2))
    fixed = ranks.standard_ranks(attribution[starts[:, None] + np.arange(window)])
    means, defined = zip(*(_shifted_means(column, fixed, starts) for column in units.T))
    null = np.stack(means)
    bound = np.where(np.isfinite(null[:, 0]), np.abs(null[:, 0]), np.inf) - 1e-10
    sizes = np.nan_to_num(np.abs(null))
    p = (sizes >= bound[:, None]).sum(axis=1)
    p_max = (sizes.max(axis=0)[None] >= bound[:, None]).sum(axis=1)
    exists = np.isfinite(null[:, 0])
    frames = null.shape[1]
    return CircularShift(
        null[:, 0],
        np.where(exists, p / frames, np.nan),
        np.where(exists, p_max / frames, np.nan),
        null,
        np.array([d[0] for d in defined]),
    )


def _check_series(units: np.ndarray, attribution: np.ndarray, window: int) -> None:
    if units.shape[0] != len(attribution):
        raise ValueError(
            f"AUs have {units.shape[0]} frames and the attribution {len(attribution)}; "
            "match them by frame."
        )
    lost = int(np.isnan(units).any(axis=1).sum() + np.isnan(attribution).sum())
    if lost:
        raise ValueError(
            f"{lost} frames are NaN; a circle has no gaps: interpolate or cut them out."
        )
    if len(attribution) < 2 * window:
        raise ValueError(
            f"{len(attribution)} frames are fewer than two windows of {window}; shorten the window."
        )


def circular_ranks(series: np.ndarray, window: int) -> np.ndarray:
    """Standardised ranks of every circular window of a series.

    Parameters
    ----------
    series : ndarray, float, shape (F,)

    Returns
    -------
    ndarray, float64, shape (F, window)
        Row t is the window that starts at frame t; zeros where it is constant.

    Examples
    --------
    >>> circular_ranks(np.array([3.0, 1.0, 2.0]), 2).round(2).tolist()
    [[0.71, -0.71], [-0.71, 0.71], [-0.71, 0.71]]
    """
    frames = len(series)
    # Whole-number ranks compare faster than floats and give the same order.
    order = rankdata(series, method="dense").astype(np.int32)
    offsets = np.arange(1 - window, window)
    around = np.take(order, np.arange(1 - window, frames + window - 1), mode="wrap")
    neighbours = np.lib.stride_tricks.sliding_window_view(around, len(offsets))
    smaller = np.sign(order[:, None] - neighbours).astype(np.int16)
    sums = np.zeros((frames, len(offsets) + 1), dtype=np.int16)
    np.cumsum(smaller, axis=1, out=sums[:, 1:])
    # Frame i at place d of its window sees neighbours -d … window-1-d.
    place = np.arange(window)
    counts = sums[:, 2 * window - 1 - place] - sums[:, window - 1 - place]
    rows = (np.arange(frames)[:, None] + place) % frames
    centred = counts[rows, place].astype(np.float64)  # twice the centred mid-rank
    length = np.sqrt(np.einsum("ij,ij->i", centred, centred))[:, None]
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)


def _shifted_means(
    column: np.ndarray, fixed: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean Fisher z of one AU at every shift, and how many windows are defined, both (F,)."""
    frames = len(column)
    moving = circular_ranks(column, fixed.shape[1])
    usable = np.asarray(moving.any(axis=1))
    windows = np.flatnonzero(fixed.any(axis=1))
    log_sum, defined = np.zeros(frames), np.zeros(frames)
    for block in np.array_split(windows, max(1, -(-len(windows) // _PRODUCT_BLOCK))):
        up, down = np.ones(frames), np.ones(frames)
        rho = fixed[block] @ moving.T
        np.clip(rho, -ranks.Z_CLIP, ranks.Z_CLIP, out=rho)
        for row, start in zip(rho, starts[block]):
            # Shift h puts the AU window that starts at (start + h) beside this attribution window.
            for target, source in (
                (slice(None, frames - start), slice(start, None)),
                (slice(frames - start, None), slice(None, start)),
            ):
                up[target] *= 1 + row[source]
                down[target] *= 1 - row[source]
                defined[target] += usable[source]
        log_sum += np.log(up) - np.log(down)
    mean = np.divide(log_sum, 2 * defined, out=np.full(frames, np.nan), where=defined > 0)
    return mean, defined
