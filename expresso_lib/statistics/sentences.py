"""Verdicts and sentences on rows of `results`: true of every value, also of none.

As in `prose`, which has the chapters' other sentences, a row has ``estimate, ci_low, ci_high``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from expresso_lib.statistics.prose import Row, flat, interval, say
from expresso_lib.statistics.prose import row as row_of


def verdict(low: float, high: float, margin: float) -> str:
    """Judge an effect by an interval that holds for its whole family, against a declared margin.

    Relevant: the interval lies beyond the margin. Present but small: it excludes 0 and reaches
    into the margin. Equivalent: it holds 0 and lies within the margin. Else undecided.

    Examples
    --------
    >>> [verdict(low, 0.3, 0.1) for low in (0.12, 0.02, -0.05)], verdict(-0.05, 0.06, 0.1)
    (['relevant', 'present but small', 'undecided'], 'equivalent')
    """
    if np.isnan(margin):
        return "undecided"
    if low > margin or high < -margin:
        return "relevant"
    if low > 0 or high < 0:
        return "present but small"
    return "equivalent" if -margin <= low and high <= margin else "undecided"


def judged(what: str, row: Row, margin: float) -> str:
    """Write the verdict on an effect as a sentence that claims no more than its interval."""
    said = verdict(row["ci_low"], row["ci_high"], margin)
    if said == "undecided" and not np.isfinite(row["estimate"]):
        return f"{what} could not be computed."
    within = max(abs(row["ci_low"]), abs(row["ci_high"])) <= margin
    size = "smaller than" if within else "not shown to exceed"
    words = {
        "relevant": f"beyond the margin of {say(margin)} that was declared to matter",
        "present but small": f"not zero, and {size} the margin of {say(margin)}",
        "equivalent": f"within the margin of {say(margin)}: nothing that matters",
        "undecided": "undecided: neither an effect nor its absence is shown",
    }
    return f"{what}: {interval(row)}, {words[said]}."


def gaze(results: pd.DataFrame) -> str:
    """Say whether looking away goes with the attribution, or that nobody measured gaze."""
    found = row_of(results, hypothesis="gaze")
    if not np.isfinite(found["estimate"]):
        return "There is no gaze in this data, so nothing is said about eye contact."
    return judged("Looking away from one's median direction (mean z)", found, found["margin"])


def absence(rows: pd.DataFrame) -> str:
    """Say for how many rows of a family nothing that matters is there, and how many stay open."""
    limits = rows[["simultaneous_low", "simultaneous_high", "margin"]].dropna().to_numpy()
    said = [verdict(*limit) for limit in limits]
    if not said:
        return "Whether nothing is there could not be tested."
    open_ = said.count("undecided")
    return flat(f"""For {said.count("equivalent")} of {len(said)} the interval of the whole family
        holds zero and lies within the margin: nothing that matters. {open_}
        {"remains" if open_ == 1 else "remain"} open: neither an effect nor its absence.""")
