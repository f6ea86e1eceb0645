"""The permutation engine: sign flips of means, shuffles of (partial) rank correlations.

A permutation test needs no distribution, only that some relabelling would not matter if nothing
were there. Testing the *largest* of a family against the largest under relabelling holds the
family-wise error without assuming independence (Westfall & Young, 1993; Nichols & Holmes, 2002).
Interval, equivalence and p come from one studentised statistic and its relabellings, so that they
never contradict each other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from expresso_lib.statistics import ranks

# Sign patterns of up to this many participants are enumerated, which makes p exact.
EXACT_PARTICIPANTS = 12


@dataclass(frozen=True, eq=False)
class Permutation:
    """A family of studentised tests; A members, leading axes as in the data."""

    estimate: np.ndarray  # (..., A) mean or rank correlation; NaN where it does not exist
    statistic: np.ndarray  # (..., A) t: the estimate (of rho its Fisher z) over its error
    error: np.ndarray  # (..., A) standard error, of rho that of its Fisher z
    null: np.ndarray  # (..., A, B) |t| of the relabellings beside the data
    correlation: bool = False  # estimates are correlations
    alpha: float = 0.05

    @cached_property
    def p(self) -> np.ndarray:
        """(..., A) of each member alone: ``(1 + b) / (1 + B)``, never 0."""
        return self._p(self.null)

    @cached_property
    def p_max(self) -> np.ndarray:
        """(..., A) family-wise: against the largest of the family."""
        return self._p(self.null.max(axis=-2, keepdims=True))

    def _p(self, null: np.ndarray) -> np.ndarray:
        # Ties count against us; a relabelling that equals the data up to rounding is a tie.
        reached = null >= (np.abs(self.statistic) * (1 - 1e-9))[..., None]
        p = (1 + reached.sum(axis=-1)) / (1 + null.shape[-1])
        return np.where(np.isfinite(self.estimate), p, np.nan)

    def interval(self, *, simultaneous: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Limits (..., A) of each member, or of the whole family at once.

        They exclude 0 exactly where ``p`` (``p_max``) is at most alpha.
        """
        null, size = self.null, np.abs(self.statistic)[..., None]
        if simultaneous:
            null, size = null.max(axis=-2, keepdims=True), size.max(axis=-2, keepdims=True)
        everything = np.concatenate([size, null], axis=-1)
        total = everything.shape[-1]
        # p <= alpha just where t exceeds the (k + 1)-th largest with k = floor(alpha (1 + B)).
        rank = min(int(np.floor(self.alpha * total + 1e-9)), total - 1)
        critical = -np.partition(-everything, rank, axis=-1)[..., rank] * (1 + 1e-9)
        middle, half = self._line(self.estimate), critical * self.error
        low, high = middle - half, middle + half
        return (np.tanh(low), np.tanh(high)) if self.correlation else (low, high)

    def equivalence(self, margin: float) -> np.ndarray:
        """p (..., A) of two one-sided tests: is the estimate closer to 0 than the margin?

        A small p says "nothing there that matters"; a large p of a difference test does not.
        """
        far = self._line(np.asarray(margin)) - np.abs(self._line(self.estimate))
        gap = far / np.where(self.error > 0, self.error, np.nan)
        reached = (self.null >= np.abs(gap)[..., None]).sum(axis=-1)
        tail = (1 + reached) / (1 + self.null.shape[-1]) / 2
        return np.where(np.isfinite(gap), np.where(gap > 0, tail, 1 - tail), np.nan)

    def _line(self, values: np.ndarray) -> np.ndarray:
        return ranks.fisher_z(values) if self.correlation else values


def sign_patterns(n: int, n_flips: int = 9999, *, seed: int = 0) -> np.ndarray:
    """Signs for ``n`` participants, the first row all +1 (the data as they are).

    Returns
    -------
    ndarray, float64, shape (B, n)
        All ``2**n`` patterns up to 12 participants, otherwise ``1 + n_flips`` random ones.

    Examples
    --------
    >>> sign_patterns(2).tolist()
    [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]
    """
    if n <= EXACT_PARTICIPANTS:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)[::-1]) & 1
        return 1.0 - 2.0 * bits
    random = np.random.default_rng(seed).integers(0, 2, (n_flips, n), dtype=np.int8)
    return np.concatenate([np.ones((1, n)), 1.0 - 2.0 * random])


def t_statistic(z: np.ndarray) -> np.ndarray:
    """One-sample t of each column of ``z`` (..., P, A), missing participants left out."""
    n, x = np.isfinite(z).sum(axis=-2), np.nan_to_num(z)
    return _t_from_sums(x.sum(axis=-2) / np.maximum(n, 1), (x**2).sum(axis=-2), n)


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
    n_flips, seed : int
        Random sign patterns beside the observed one; all patterns up to 12 participants.
    alpha : float
        1 − alpha is the level of the intervals.
    observed : ndarray, shape (..., A), optional
        Statistics to be judged instead of the t of ``z`` (see `folds.fold_aware_t`).

    Returns
    -------
    Permutation
        Assumes symmetry about 0 under the null.

    Raises
    ------
    ValueError
        If there is only one participant: it cannot tell a person from a population.

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
    patterns = sign_patterns(z.shape[-2], n_flips, seed=seed)[1:]
    n, x = np.isfinite(z).sum(axis=-2), np.nan_to_num(z)
    squares = (x**2).sum(axis=-2)
    # (..., A, P) @ (P, B): one product gives every flip of every AU.
    means = np.swapaxes(x, -1, -2) @ patterns.T / np.maximum(n, 1)[..., None]
    null = np.abs(_t_from_sums(means, squares[..., None], n[..., None]))
    mean = x.sum(axis=-2) / np.where(n > 0, n, np.nan)
    plain = t_statistic(z)
    t = plain if observed is None else np.asarray(observed, dtype=float)
    spread = np.sqrt(np.maximum(squares - n * np.nan_to_num(mean) ** 2, 0) / np.maximum(n - 1, 1))
    # A statistic closer to 0 than the plain t speaks of a standard error that much larger.
    wider = np.divide(plain, t, out=np.ones_like(t), where=np.abs(t) > 1e-12)
    return Permutation(mean, t, spread / np.sqrt(np.maximum(n, 1)) * wider, null, alpha=alpha)


def permutation_orders(
    n: int, n_permutations: int = 9999, *, blocks: np.ndarray | None = None, seed: int = 0
) -> np.ndarray:
    """Orders (1 + B, n) of ``n`` participants, the first unchanged, shuffled within blocks."""
    rng = np.random.default_rng(seed)
    orders = np.tile(np.arange(n), (n_permutations + 1, 1))
    labels = np.zeros(n) if blocks is None else np.asarray(blocks)
    for block in np.unique(labels):
        members = np.flatnonzero(labels == block)
        orders[1:, members] = rng.permuted(np.tile(members, (n_permutations, 1)), axis=1)
    return orders


def max_rho(
    x: np.ndarray,
    score: np.ndarray,
    *,
    covariates: np.ndarray | None = None,
    folds: np.ndarray | None = None,
    studentised: bool = False,
    n_permutations: int = 9999,
    seed: int = 0,
    alpha: float = 0.05,
) -> Permutation:
    """Test that none of a family of quantities changes with severity, given covariates.

    Spearman correlations of every column with the score; with covariates and folds, of the
    residuals of the ranks (partial Spearman). With both, ranks are those of deviations from the
    mean of the fold. The score's residual ranks are shuffled.

    Parameters
    ----------
    x : ndarray, float, shape (..., P, A)
        NaN where a participant lacks the quantity.
    score : ndarray, float, shape (..., P)
    covariates : ndarray, float, shape (..., P, C), optional
    folds : ndarray, shape (P,), optional
        Whose model explained the participant: a dummy each, and scores stay in their fold.
    studentised : bool
        Divide by the error that the residuals at hand show, instead of the one that holds where
        their spread is even (Bonett and Wright). Costs power; needed where residuals are small
        at extreme covariates, where the plain statistic errs in 2.5 to 13 %.
    n_permutations, seed, alpha :
        As in `sign_flip_max_t`.

    Returns
    -------
    Permutation

    Notes
    -----
    Where folds lie far apart on the covariate, ranks over all people bend what goes with it, in
    every fold in another way: quantity and score then agree in the bend, and at 84 people the test
    errs in 11 %. Deviations from the fold's mean have one and the same place in every fold.

    Shuffled residuals are projected again, so that the shuffled statistic has no more degrees of
    freedom than the observed one (Freedman & Lane, 1983; Winkler et al., 2014). Unstudentised, t
    is a monotone function of rho: its test is that of max-|rho|. Studentised, the variance of
    Fisher's z is the sum of squared influences ``ab − rho (a² + b²) / 2`` over ``(1 − rho²)²``,
    with a and b residuals of length 1 (DiCiccio & Romano, 2017, at rho = 0).

    References
    ----------
    Bonett & Wright (2000), Psychometrika 65, 23: ``(1 + rho² / 2) / (P − 3 − C)``.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> score = rng.uniform(0, 45, 24)
    >>> x = np.stack([score + rng.normal(0, 8, 24), rng.normal(size=24)], axis=1)
    >>> found = max_rho(x, score)
    >>> found.estimate.round(2).tolist(), found.p_max.round(4).tolist()
    ([0.85, 0.12], [0.0001, 0.8323])
    """
    x, score = np.asarray(x, dtype=float), np.asarray(score, dtype=float)
    covariates = np.empty((*score.shape, 0)) if covariates is None else covariates
    if covariates.shape[-1] and folds is not None:
        x, covariates = from_fold_means(x, folds), from_fold_means(covariates, folds)
        score = from_fold_means(score[..., None], folds)[..., 0]
    x = np.swapaxes(x, -1, -2)
    given = given_rows(covariates, folds)  # (..., C, P)
    missing = np.isnan(x)
    rows = np.where(missing, np.nan, score[..., None, :])
    columns = np.where(missing[..., None, :], np.nan, given[..., None, :, :])
    left, right = ranks.residual_ranks(x, columns), ranks.residual_ranks(rows, columns)
    orders = permutation_orders(x.shape[-1], n_permutations, blocks=folds, seed=seed)[1:]
    basis = _orthonormal(ranks.standard_ranks(given))
    shuffled = ranks.residual_ranks(score, given)[..., orders]  # (..., B, P)
    shuffled = shuffled - (shuffled @ np.swapaxes(basis, -1, -2)) @ basis
    present = (~missing).astype(float)
    enough = present.sum(axis=-1) > 3 + given.shape[-2]
    exists = left.any(axis=-1) & right.any(axis=-1) & enough
    rho = np.clip((left * right).sum(axis=-1), -1, 1)
    used = (basis**2).sum(axis=(-1, -2)).round()[..., None]
    freedom = np.maximum(present.sum(axis=-1) - 3 - used, 1)
    error = np.sqrt((1 + rho**2 / 2) / freedom)
    if studentised:
        error = _robust(rho, lambda i, j: (left**i * right**j * present).sum(axis=-1))
    t = np.where(exists, ranks.fisher_z(rho) / error, 0.0)

    null = _null_t(left, np.swapaxes(shuffled, -1, -2), present, None if studentised else freedom)
    # Among the people whom a member has, shuffled scores are residuals of these people's.
    for *cohort, member in np.argwhere(missing.any(axis=-1) & exists):
        one = (*cohort, [member])
        given_here = ranks.standard_ranks(columns[(*cohort, member)])
        own, cut = _orthonormal(np.vstack([present[one], given_here])), shuffled[*cohort]
        cut = cut * present[one]
        own_turned = (cut - (cut @ own.T) @ own).T
        null[one] = _null_t(left[one], own_turned, present[one],
                            None if studentised else freedom[one])  # fmt: skip
    return Permutation(np.where(exists, rho, np.nan), t, error, null, True, alpha)


def _null_t(
    left: np.ndarray, turned: np.ndarray, present: np.ndarray, freedom: np.ndarray | None
) -> np.ndarray:
    """|t| of shuffled scores (..., P, B) against residuals (..., A, P): (..., A, B).

    Studentised where no degrees of freedom (..., A) are given.
    """
    powers = np.multiply.accumulate([np.ones_like(turned), *[turned] * 4])  # faster than **
    length = np.sqrt(np.maximum(present @ powers[2], 1e-12))
    random = left @ turned / length
    if freedom is None:
        spread = _robust(random, lambda i, j: (present * left**i) @ powers[j] / length**j)
    else:
        spread = np.sqrt((1 + random**2 / 2) / freedom[..., None])
    return np.abs(ranks.fisher_z(random)) / spread


def from_fold_means(values: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Deviations from the mean of each participant's fold; values (..., P, A), folds (P,).

    >>> from_fold_means(np.array([[1.0], [3.0], [10.0], [np.nan]]), np.array([0, 0, 1, 1])).ravel()
    array([-1.,  1.,  0., nan])
    """
    same = np.equal.outer(folds, folds).astype(float)
    return values - same @ np.nan_to_num(values) / np.maximum(same @ np.isfinite(values), 1)


def _robust(rho: np.ndarray, together: Callable[[int, int], np.ndarray]) -> np.ndarray:
    """Error of Fisher's z; ``together(i, j)``: sums of ``a^i b^j`` of residuals of length 1."""
    both = together(2, 2)
    squares = both - rho * (together(3, 1) + together(1, 3))
    squares += rho**2 / 4 * (together(4, 0) + 2 * both + together(0, 4))
    return np.sqrt(np.maximum(squares, 1e-12)) / (1 - np.clip(rho**2, 0, ranks.Z_CLIP))


def given_rows(covariates: np.ndarray, folds: np.ndarray | None) -> np.ndarray:
    """Covariates (..., P, C) and a dummy per fold but the last, as rows (..., C, P)."""
    rows = np.swapaxes(np.asarray(covariates, dtype=float), -1, -2)
    if folds is None:
        return rows
    dummies = (np.asarray(folds) == np.unique(folds)[:-1, None]).astype(float)
    dummies = np.broadcast_to(dummies, (*rows.shape[:-2], *dummies.shape))
    return np.concatenate([rows, dummies], axis=-2)


def _orthonormal(rows: np.ndarray) -> np.ndarray:
    """Orthonormal rows that span rows (..., C, P); zeros where there are fewer."""
    _, size, basis = np.linalg.svd(rows, full_matrices=False)
    return basis * (size > 1e-8)[..., None]
