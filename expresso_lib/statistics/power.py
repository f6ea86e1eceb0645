"""Power: what a cohort of a given size can find, and what it cannot.

Analytical, from the noncentral t and from Fisher's z, with Bonferroni for a family; checked
against simulated cohorts in the benchmarks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import optimize
from scipy import stats as scipy_stats

# Spread of participants' mean z: personal couplings (.15) and what a handful of windows leaves.
SPREAD_Z = 0.17
KINDS = ("coupling", "severity")


def power(
    n: int | np.ndarray,
    effect: float | np.ndarray,
    *,
    kind: str = "coupling",
    family: int = 1,
    spread: float = SPREAD_Z,
    alpha: float = 0.05,
) -> np.ndarray:
    """Probability that a true effect is found.

    Parameters
    ----------
    n : int or array
        Participants.
    effect : float or array
        Mean Fisher z (``coupling``) or correlation with severity (``severity``).
    kind : {"coupling", "severity"}
    family : int
        Tests among which the error is shared (17 AUs); Bonferroni, which max-T beats slightly.
    spread : float
        Standard deviation of participants' z.
    alpha : float

    Raises
    ------
    ValueError
        For another kind.

    Examples
    --------
    >>> round(float(power(24, 0.10)), 2), round(float(power(24, 0.54, kind="severity")), 2)
    (0.79, 0.77)
    """
    if kind not in KINDS:
        raise ValueError(f"kind {kind!r} is unknown; choose {' or '.join(KINDS)}.")
    n, effect = np.broadcast_arrays(np.asarray(n, dtype=float), np.asarray(effect, dtype=float))
    level = alpha / family / 2
    if kind == "severity":
        return _rank_correlation_power(n, np.clip(np.abs(effect), 0, 0.999), level)
    freedom = np.maximum(n - 1, 1)
    needed, shift = scipy_stats.t.isf(level, freedom), np.abs(effect) / spread * np.sqrt(n)
    upper = scipy_stats.nct.sf(needed, freedom, shift)
    lower = scipy_stats.nct.cdf(-needed, freedom, shift)
    # SciPy gives NaN where the effect is so large that the answer is 1.
    return np.nan_to_num(upper, nan=1.0) + np.nan_to_num(lower, nan=0.0)


def _rank_correlation_power(n: np.ndarray, rho: np.ndarray, level: float) -> np.ndarray:
    """Power for Spearman's rho: critical t, spread of z after Bonett and Wright."""
    t = scipy_stats.t.isf(level, np.maximum(n - 2, 1))
    needed = np.arctanh(t / np.sqrt(n - 2 + t**2))
    error = np.sqrt((1 + rho**2 / 2) / np.maximum(n - 3, 0.5))
    upper = scipy_stats.norm.sf((needed - np.arctanh(rho)) / error)
    return upper + scipy_stats.norm.cdf((-needed - np.arctanh(rho)) / error)


def power_curve(
    n: Sequence[int] = (12, 24, 48, 84),
    *,
    kind: str = "coupling",
    families: Sequence[int] = (1, 17),
    effects: Sequence[float] | None = None,
    spread: float = SPREAD_Z,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Power over effect sizes, for several cohort sizes and families: a table ready to draw.

    Returns
    -------
    DataFrame
        ``kind, n, family, effect, power``.

    Examples
    --------
    >>> power_curve([24], families=[1], effects=[0.0, 0.1])["power"].round(2).tolist()
    [0.05, 0.79]
    """
    top = 0.3 if kind == "coupling" else 0.9
    sizes = np.linspace(0, top, 61) if effects is None else np.asarray(effects)
    parts = [
        pd.DataFrame(
            {
                "kind": kind,
                "n": size,
                "family": family,
                "effect": sizes,
                "power": power(size, sizes, kind=kind, family=family, spread=spread, alpha=alpha),
            }
        )
        for size in n
        for family in families
    ]
    return pd.concat(parts, ignore_index=True)


def detectable(
    n: int, *, kind: str = "coupling", family: int = 1, spread: float = SPREAD_Z
) -> float:
    """Smallest effect that is found in four of five cohorts.

    Returns
    -------
    float
        Mean z or correlation; NaN with fewer than 5 participants.

    Examples
    --------
    >>> [round(detectable(24, kind="severity", family=k), 2) for k in (1, 17)]
    [0.56, 0.7]
    """
    if n < 5:
        return float("nan")
    top = 0.999 if kind == "severity" else 20 * spread
    return float(
        optimize.brentq(
            lambda e: float(power(n, e, kind=kind, family=family, spread=spread)) - 0.8, 0, top
        )
    )


def detectable_table(
    n: Sequence[int] = (12, 24, 48, 84), *, spread: float = SPREAD_Z
) -> pd.DataFrame:
    """What is found in four of five cohorts: smallest mean z and correlation, one test and 17.

    Returns
    -------
    DataFrame
        ``n``, one column per kind and family.
    """
    columns = {
        f"{kind}, {family} test{'s' if family > 1 else ''}": [
            detectable(size, kind=kind, family=family, spread=spread) for size in n
        ]
        for kind in KINDS
        for family in (1, 17)
    }
    return pd.DataFrame({"n": list(n), **columns})


def equivalence_power(
    n: int, *, kind: str = "coupling", margin: float | None = None, spread: float = SPREAD_Z
) -> float:
    """Probability that two one-sided tests say "nothing that matters" when there is nothing.

    Examples
    --------
    >>> round(equivalence_power(24), 2), round(equivalence_power(24, kind="severity"), 2)
    (0.75, 0.0)
    """
    if kind == "severity":
        error = 1 / np.sqrt(max(n - 3, 1))
        reach = np.arctanh(0.30 if margin is None else margin) / error - scipy_stats.norm.isf(0.05)
        return float(max(2 * scipy_stats.norm.cdf(reach) - 1, 0))
    reach = (0.10 if margin is None else margin) / (spread / np.sqrt(n)) - scipy_stats.t.isf(
        0.05, n - 1
    )
    return float(max(2 * scipy_stats.t.cdf(reach, n - 1) - 1, 0))
