"""Verdicts and sentences on rows of `results`: true of every value, also of none.

As in `prose`, which has the chapters' other sentences, a row has ``estimate, ci_low, ci_high``;
those of `results` have ``p_max`` too.
"Shown" is written only where a family-wise p or an interval says so.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from expresso_lib.statistics.prose import Row, interval, say, side
from expresso_lib.statistics.prose import row as row_of


def p_value(p: float) -> str:
    """Write a p: "p = .012", "p < .001", or that there is none.

    Examples
    --------
    >>> p_value(0.0123), p_value(0.0001), p_value(float("nan"))
    ('p = .012', 'p < .001', 'no p')
    """
    if not np.isfinite(p):
        return "no p"
    return "p < .001" if p < 0.001 else f"p = {min(p, 0.999):.3f}".replace("0.", ".", 1)


def verdict(low: float, high: float, margin: float) -> str:
    """Judge an effect by an interval that holds for its whole family, against a declared margin.

    Relevant: the interval lies beyond the margin. Present but small: it excludes 0 and reaches
    into the margin. Equivalent: it holds 0 and lies within the margin. Else undecided.

    Examples
    --------
    >>> [verdict(low, 0.3, 0.1) for low in (0.12, 0.02, -0.05)], verdict(-0.05, 0.06, 0.1)
    (['relevant', 'present but small', 'undecided'], 'equivalent')
    """
    if low > margin or high < -margin:
        return "relevant"
    if low > 0 or high < 0:
        return "present but small"
    return "equivalent" if -margin <= low and high <= margin else "undecided"


def relevant(what: str, row: Row, margin: float) -> str:
    """Say that an effect lies beyond the margin."""
    return (
        f"{what}: {interval(row)}, beyond the margin of {say(margin)} that was declared to matter."
    )


def present_but_small(what: str, row: Row, margin: float) -> str:
    """Say that an effect is there and not shown to exceed the margin."""
    within = max(abs(row["ci_low"]), abs(row["ci_high"])) <= margin
    size = "smaller than" if within else "not shown to exceed"
    return f"{what}: {interval(row)}, not zero, and {size} the margin of {say(margin)}."


def equivalent(what: str, row: Row, margin: float) -> str:
    """Say that there is nothing that matters."""
    return f"{what}: {interval(row)}, within the margin of {say(margin)}: nothing that matters."


def undecided(what: str, row: Row, margin: float) -> str:
    """Say that the data decide nothing, or that there is nothing to decide by."""
    if not np.isfinite(row["estimate"]):
        return f"{what} could not be computed."
    return f"{what}: {interval(row)}, undecided: neither an effect nor its absence is shown."


def judged(what: str, row: Row, margin: float) -> str:
    """Write the verdict on an effect as a sentence."""
    say_of = {"relevant": relevant, "present but small": present_but_small,
              "equivalent": equivalent, "undecided": undecided}  # fmt: skip
    return say_of[verdict(row["ci_low"], row["ci_high"], margin)](what, row, margin)


def change(row: Row, *, alpha: float = 0.05) -> str:
    """Say whether one region's or action unit's change with severity is shown (H2, H3).

    Examples
    --------
    >>> change({"region": "mouth", "sign": "positive", "estimate": -0.51, "ci_low": -0.7,
    ...         "ci_high": -0.2, "p_max": 0.006})
    'Mouth, positive: ρ = −0.51 [−0.70, −0.20], family-wise p = .006: a change with severity is shown.'
    """  # noqa: E501
    name = row.get("au") or f"{row['region']}, {row['sign']}".replace("_", " ").capitalize()
    if not np.isfinite(row["estimate"]):
        return f"{name}: a change with severity could not be computed."
    if not np.isfinite(row["p_max"]):
        return f"{name}: ρ = {interval(row)}; too few people for a test."
    shown = "a" if row["p_max"] <= alpha else "no"
    said = f"{name}: ρ = {interval(row)}, family-wise {p_value(row['p_max'])}"
    return f"{said}: {shown} change with severity is shown."


def gaze(results: pd.DataFrame) -> str:
    """Say whether looking away goes with the attribution, or that nobody measured gaze."""
    found = row_of(results, hypothesis="gaze")
    if not np.isfinite(found["estimate"]):
        return "There is no gaze in this data, so nothing is said about eye contact."
    return judged("Looking away from one's usual direction (mean z)", found, found["margin"])


def bend(row: Row, *, alpha: float = 0.05) -> str:
    """Say whether the slope above the knot differs from the slope below (H3b, ``difference``)."""
    if not np.isfinite(row["estimate"]):
        return "The two slopes could not be computed: both sides of the knot need different scores."
    said = f"The slopes differ by {interval(row)}, family-wise {p_value(row['p_max'])}"
    if row["p_max"] <= alpha:
        return f"{said}: a knee is shown, in an exploratory test."
    return f"{said}: {'a lead, not a finding' if side(row) else 'undecided'}."


def same_series(rows: pd.DataFrame) -> str:
    """Say which action units were tested once because they are one series (H1, H2)."""
    said = rows[rows["note"].str.contains("same series")]
    return " ".join(f"{row.au}: {row.note}." for row in said.itertuples())


def absence(rows: pd.DataFrame) -> str:
    """Say for how many rows of a family nothing that matters is there, and how many stay open."""
    limits = rows[["simultaneous_low", "simultaneous_high", "margin"]].dropna().to_numpy()
    said = [verdict(*limit) for limit in limits]
    if not said:
        return "Whether nothing is there could not be tested."
    open_ = said.count("undecided")
    return (
        f"For {said.count('equivalent')} of {len(said)} the interval of the whole family lies "
        f"within the margin: nothing that matters. {open_} {'remains' if open_ == 1 else 'remain'} "
        "open: neither an effect nor its absence."
    )
