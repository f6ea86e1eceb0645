"""The single case: one recording's action units shifted in a circle against its attribution."""

from dataclasses import dataclass

import numpy as np

from expresso_lib.statistics import ranks

# The product of this many ratios (1 + r) / (1 - r) of correlations within ±.999 stays finite.
_PRODUCT_BLOCK = 64


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
    Every circular window of an AU is ranked once; one matrix product then correlates every start
    with every attribution window. Exact, not approximate: equal to `scipy.stats.spearmanr` per
    window and shift. Mean z is the logarithm of a product, which saves an ``atanh`` per
    correlation.

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
    lost = int(np.isnan(units).any(axis=1).sum() + np.isnan(attribution).sum())
    if lost or not len(units) == len(attribution) >= 2 * window:
        raise ValueError(
            f"AUs of {len(units)} and attribution of {len(attribution)} frames, {lost} of them "
            f"NaN, make no circle of at least two windows of {window}; match them by frame, "
            "interpolate lost frames, or shorten the window."
        )
    starts = ranks.window_starts(len(attribution), window, step)
    fixed = ranks.standard_ranks(attribution[starts[:, None] + np.arange(window)])
    means, defined = zip(*(_shifted_means(column, fixed, starts) for column in units.T))
    null = np.stack(means)
    sizes, z = np.nan_to_num(np.abs(null)), null[:, 0]
    p, p_max = (
        np.where(np.isfinite(z), (one >= np.abs(z)[:, None] - 1e-10).mean(axis=1), np.nan)
        for one in (sizes, sizes.max(axis=0)[None])
    )
    return CircularShift(z, p, p_max, null, np.array([d[0] for d in defined]))


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
    around = np.append(series, series[: window - 1])
    return ranks.standard_ranks(np.lib.stride_tricks.sliding_window_view(around, window))


def _shifted_means(
    column: np.ndarray, fixed: np.ndarray, starts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean Fisher z of one AU at every shift, and how many windows are defined, both (F,)."""
    frames = len(column)
    moving = circular_ranks(column, fixed.shape[1])
    usable = moving.any(axis=1)
    windows = np.flatnonzero(fixed.any(axis=1))
    log_sum, defined = np.zeros(frames), np.zeros(frames)
    for block in np.array_split(windows, max(1, -(-len(windows) // _PRODUCT_BLOCK))):
        rho = np.clip(fixed[block] @ moving.T, -ranks.Z_CLIP, ranks.Z_CLIP)
        # Shift h puts the AU window that starts at (start + h) beside this attribution window.
        product = np.ones(frames)
        for ratio, start in zip((1 + rho) / (1 - rho), starts[block]):
            product *= np.roll(ratio, -start)
            defined += np.roll(usable, -start)
        log_sum += np.log(product)
    mean = np.divide(log_sum, 2 * defined, out=np.full(frames, np.nan), where=defined > 0)
    return mean, defined
