"""Ranks and what is built on them: rank correlation, Fisher's z, residuals given covariates.

Everything here takes the observations on the last axis and any number of leading axes, so that
one call serves every window of a recording and every cohort of a calibration.
"""

import numpy as np
from scipy.stats import rankdata

# A rank correlation of 1 has an infinite z; beyond this the window says no more than "perfect".
Z_CLIP = 0.999


def window_starts(n_frames: int, window: int, step: int | None = None) -> np.ndarray:
    """First rows of windows ``step`` apart (half a window), the last one anchored at the end.

    Examples
    --------
    >>> window_starts(150, 64).tolist()
    [0, 32, 64, 86]
    """
    last = n_frames - window
    return np.unique(np.append(np.arange(0, last + 1, step or max(1, window // 2)), last))


def standard_ranks(values: np.ndarray) -> np.ndarray:
    """Rank the last axis and scale each row to mean 0 and length 1.

    Parameters
    ----------
    values : ndarray, float, shape (..., n)
        NaN marks an observation that is missing; it is left out of its row.

    Returns
    -------
    ndarray, float64, shape (..., n)
        Mid-ranks, centred, divided by their length; 0 where missing, and a row of zeros where
        the row is constant. The dot product of two complete rows is Spearman's rho.

    Examples
    --------
    >>> a, b = standard_ranks(np.array([[1.0, 5, 3, 3], [2, 9, 1, 4]]))
    >>> round(float(a @ b), 4)
    0.6325
    """
    values = np.asarray(values, dtype=float)
    missing = np.isnan(values)
    ranks = rankdata(values, axis=-1, nan_policy="omit" if missing.any() else "propagate")
    counts = np.maximum((~missing).sum(axis=-1, keepdims=True), 1)
    ranks = np.where(missing, 0.0, ranks - np.nansum(ranks, axis=-1, keepdims=True) / counts)
    length = np.sqrt((ranks**2).sum(axis=-1, keepdims=True))
    return np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 1e-9)


def fisher_z(rho: np.ndarray | float) -> np.ndarray:
    """Fisher's z of a correlation, ``atanh(rho)``, with rho clipped at ±0.999.

    Correlations near ±1 have a skewed spread; z is nearly normal with variance 1 / (n - 3)
    whatever rho is (Fisher, 1921), so z may be averaged and rho may not.

    Examples
    --------
    >>> fisher_z(np.array([0.0, 0.5, 1.0])).round(3)
    array([0.   , 0.549, 3.8  ])
    """
    return np.arctanh(np.clip(rho, -Z_CLIP, Z_CLIP))


def residual_ranks(values: np.ndarray, covariates: np.ndarray | None) -> np.ndarray:
    """What is left of the ranks of ``values`` once the ranks of the covariates are known.

    Parameters
    ----------
    values : ndarray, float, shape (..., n)
    covariates : ndarray, float, shape (..., C, n), optional
        None or ``C = 0``: the ranks are only centred and scaled.

    Returns
    -------
    ndarray, float64, shape (..., n)
        Residuals of a least-squares fit on ranks, scaled to length 1 (zeros if nothing is left).
        The dot product of two such rows is the partial Spearman correlation.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=30)
    >>> left = residual_ranks(x + 0.1, x[None] ** 3)       # a monotone copy: nothing is left
    >>> float(np.abs(left).max())
    0.0
    """
    ranks = standard_ranks(values)
    if covariates is None or np.shape(covariates)[-2] == 0:
        return ranks
    basis = standard_ranks(covariates)
    # The pseudo-inverse copes with a covariate that is constant or repeats another.
    weights = np.linalg.pinv(basis @ np.swapaxes(basis, -1, -2)) @ (basis @ ranks[..., None])
    left = ranks - (np.swapaxes(basis, -1, -2) @ weights)[..., 0]
    length = np.sqrt((left**2).sum(axis=-1, keepdims=True))
    return np.divide(left, length, out=np.zeros_like(left), where=length > 1e-7)
