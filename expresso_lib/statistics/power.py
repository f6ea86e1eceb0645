"""Power: what a cohort of a given size can find, and what it cannot.

Analytical, from the noncentral t and from Fisher's z, with Bonferroni for a family; checked
against simulated cohorts in the benchmarks.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
from scipy import optimize
from scipy import stats as scipy_stats

from expresso_lib.models import MIN_PARTICIPANTS
from expresso_lib.statistics.plan import MARGIN_RHO, MARGIN_Z

# Spread of participants' mean z, assumed before there are any (`observed_spread` once there are):
# as on the demo cohort, where .17, personal couplings of .15 and a few windows, was 1.7 times it.
SPREAD_Z = 0.10


def power(
    n: int | np.ndarray,
    effect: float | np.ndarray,
    *,
    kind: str = "coupling",
    family: int | np.ndarray = 1,
    spread: float = SPREAD_Z,
) -> np.ndarray:
    """Probability that a true effect is found by a test at 5 %.

    Parameters
    ----------
    n : int or array
        Participants.
    effect : float or array
        Mean Fisher z (``coupling``) or correlation with severity (``severity``).
    kind : {"coupling", "severity"}
    family : int or array
        Tests among which the error is shared (17 AUs); Bonferroni, which max-T beats slightly.
    spread : float
        Standard deviation of participants' z.

    Examples
    --------
    >>> round(float(power(24, 0.06)), 2), round(float(power(24, 0.54, kind="severity")), 2)
    (0.8, 0.77)
    """
    n, effect = np.broadcast_arrays(np.asarray(n, dtype=float), np.asarray(effect, dtype=float))
    level = np.asarray(0.025 / family)
    if kind == "severity":
        return _rank_correlation_power(n, np.clip(np.abs(effect), 0, 0.999), level)
    freedom = np.maximum(n - 1, 1)
    needed, shift = scipy_stats.t.isf(level, freedom), np.abs(effect) / spread * np.sqrt(n)
    upper = scipy_stats.nct.sf(needed, freedom, shift)
    lower = scipy_stats.nct.cdf(-needed, freedom, shift)
    # SciPy gives NaN where the effect is so large that the answer is 1.
    return np.nan_to_num(upper, nan=1.0) + np.nan_to_num(lower, nan=0.0)


def _rank_correlation_power(n: np.ndarray, rho: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Power for Spearman's rho: critical t, spread of z after Bonett and Wright."""
    t = scipy_stats.t.isf(level, np.maximum(n - 2, 1))
    needed = np.arctanh(t / np.sqrt(n - 2 + t**2))
    error = np.sqrt((1 + rho**2 / 2) / np.maximum(n - 3, 0.5))
    upper = scipy_stats.norm.sf((needed - np.arctanh(rho)) / error)
    return upper + scipy_stats.norm.cdf((-needed - np.arctanh(rho)) / error)


def observed_spread(couplings: pd.DataFrame) -> float:
    """Standard deviation of participants' z, the median over AUs.

    Parameters
    ----------
    couplings : DataFrame
        From `participant_couplings`.

    Returns
    -------
    float
        The assumed one, ``SPREAD_Z``, where no AU has a value in ten participants.
    """
    z = couplings.dropna(subset="z").groupby("au")["z"]
    known = z.std()[z.size() >= MIN_PARTICIPANTS]
    return float(known.median()) if len(known) else SPREAD_Z


def power_curve(
    n: Sequence[int] = (12, 24, 48, 84), *, kind: str = "coupling", spread: float = SPREAD_Z
) -> pd.DataFrame:
    """Power over effect sizes, for several cohort sizes, one test and seventeen: ready to draw.

    Returns
    -------
    DataFrame
        ``kind, n, family, effect, power``.
    """
    effects = np.linspace(0, 2 * spread if kind == "coupling" else 0.9, 61)
    columns = ["kind", "n", "family", "effect"]
    table = pd.DataFrame(product([kind], n, (1, 17), effects), columns=columns)
    size, family, effect = (table[name].to_numpy() for name in columns[1:])
    return table.assign(power=power(size, effect, kind=kind, family=family, spread=spread))


def detectable(n: int, *, kind: str = "coupling", family: int = 1) -> float:
    """Smallest effect that is found in four of five cohorts.

    Returns
    -------
    float
        Mean z or correlation; NaN with fewer than 5 participants.

    Examples
    --------
    >>> [round(detectable(84, kind="severity", family=k), 2) for k in (1, 16)]
    [0.3, 0.4]
    """
    if n < 5:
        return float("nan")
    reach = lambda effect: float(power(n, effect, kind=kind, family=family)) - 0.8  # noqa: E731
    return float(optimize.brentq(reach, 0, 0.999 if kind == "severity" else 20 * SPREAD_Z))


def equivalence_power(n: int, *, kind: str = "coupling", family: int = 1) -> float:
    """Probability that "nothing that matters" is said when there is nothing.

    One member alone by two one-sided tests at 5 %; of a ``family`` by an interval that holds for
    all at once and lies within the margin, as the ledger judges (Bonferroni).

    Examples
    --------
    >>> round(equivalence_power(24), 2), round(equivalence_power(24, kind="severity"), 2)
    (1.0, 0.0)
    """
    if kind == "severity":
        wide, law = np.arctanh(MARGIN_RHO) * np.sqrt(max(n - 3, 1)), scipy_stats.norm()
    else:
        wide, law = MARGIN_Z / SPREAD_Z * np.sqrt(n), scipy_stats.t(max(n - 1, 1))
    level = 0.05 if family == 1 else 0.025 / family
    return float(max(2 * law.cdf(wide - law.isf(level)) - 1, 0))
