"""How the book writes numbers and verdicts, and how a sentence is filled in with them.

Sentences stand in ``assets/sentences.yaml``, so that an edited one is no edited code and no work
is done again for it. Rows are those of a table with ``estimate, ci_low, ci_high``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from operator import getitem
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd

from expresso_lib import config
from expresso_lib.config import NEUTRAL

Row = Mapping[str, Any]
MISSING = "not measured"
SENTENCES = "sentences.yaml"
ENDS = ("estimate", "ci_low", "ci_high")
# What an explanation has to reach against removals, on regions of real faces, with head motion.
BAR, REGION_BAR, WHOLE_BAR = 0.9, 0.8, 0.8
# Points said per point of effect, over those that a map tells that is true.
SLOPES = (0.8, 1.25)
SIDES = {-1: "below", 0: "undecided", 1: "above"}


def tell(name: str, /, **values: Any) -> str:
    """Fill in a wording of ``assets/sentences.yaml``, whose head says how values are written.

    >>> tell("removals", clips=3, people=2)
    '3 clips of 2 participants were looked at.'
    >>> tell("clip_spread", clips=5, mean=-0.04, spread=float("nan"))[:54]
    "The recording's 5 clips are read as 0.0 on average, wi"
    """
    wording: Any = reduce(getitem, name.split("."), config.asset(SENTENCES))
    return _Sentence().vformat(wording, (), values)


class _Sentence(Formatter):
    """Writes values as this book does."""

    def format_field(self, value: Any, spec: str) -> str:
        """Write a value by what it is and by what the head of the file says of ``spec``."""
        if spec in config.asset(SENTENCES)["sides"]:
            return tell(f"sides.{spec}.{SIDES[side(value)]}")
        if spec == "words":
            return plain(value)
        if spec == "p":
            return chance(value)
        if spec.startswith("%"):
            return percent(value, int(spec[1:]))
        if spec == "g" or (isinstance(value, str | int | np.integer) and not spec):
            written = format(value, spec)
            return written if isinstance(value, str) else written.replace("-", "−")
        if isinstance(value, pd.DataFrame):
            return listed(self.format_field(one, spec) for _, one in value.iterrows())
        if isinstance(value, Mapping | pd.Series) and "estimate" in value:
            return interval(value, int(spec or 2))
        if isinstance(value, pd.Series):
            return listed(f"{name} ({self.format_field(one, spec)})" for name, one in value.items())
        if isinstance(value, list | pd.Index):
            return listed(self.format_field(one, spec) for one in value)
        return say(value, int(spec or 2), signed=spec.startswith("+"))


def say(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """Write a number with a true minus, never −0; ``not measured`` where there is none.

    >>> say(-0.004), say(float("nan")), say(1.26, 1, signed=True)
    ('0.00', 'not measured', '+1.3')
    """
    if not np.isfinite(value):
        return MISSING
    return f"{value:{'+' if signed else ''}z.{digits}f}".replace("-", "−")


def chance(p: float) -> str:
    """Write a p, which is never 0; what lies above .05 is not rounded onto it.

    >>> chance(0.012), chance(0.0001), chance(0.0504), chance(float("nan"))
    ('p = 0.012', 'p < 0.001', 'p = 0.0504', 'p not measured')
    """
    if 0 <= p < 0.0005:
        return "p < 0.001"
    digits = next((k for k in range(3, 7) if not round(p, k) <= 0.05 < p), 7)
    return f"p = {say(p, digits)}" if np.isfinite(p) else f"p {MISSING}"


def percent(share: float, digits: int = 1) -> str:
    """Write a share as a percentage: 100 only where it is all, 0 only where it is none.

    >>> percent(0.99997), percent(1.0), percent(0.00001, 0)
    ('99.9', '100.0', '1')
    """
    step = 10.0**-digits
    inside = 0 < share < 1
    return say(np.clip(100 * share, step, 100 - step) if inside else 100 * share, digits)


def interval(row: Row, digits: int = 2) -> str:
    """Write an estimate with its 95 % interval, as far as there is one.

    A limit beside 0 gets up to two digits more, for whether 0 lies inside is what is read.

    >>> interval({"estimate": 0.5, "ci_low": -0.1, "ci_high": 0.9})
    '0.50 [−0.10, 0.90]'
    >>> interval({"estimate": 0.5, "ci_low": float("nan"), "ci_high": float("nan")})
    '0.50'
    >>> interval({"estimate": 0.5, "ci_low": 0.004, "ci_high": 0.9})
    '0.50 [0.004, 0.90]'
    >>> interval({"estimate": 0.035, "ci_low": 0.03, "ci_high": 0.04}, 1)
    '0.04 [0.03, 0.04]'
    """
    ends = [_limit(row.get(key, np.nan), digits) for key in ENDS[1:]]
    if MISSING in ends or not np.isfinite(row["estimate"]):
        return say(row["estimate"], digits)
    inside = row["ci_low"] <= round(float(row["estimate"]), digits) <= row["ci_high"]
    at = say(row["estimate"], digits) if inside else _limit(row["estimate"], digits)
    return f"{at} [{ends[0]}, {ends[1]}]"


def _limit(value: float, digits: int) -> str:
    near = np.isfinite(value) and value != 0
    more = [k for k in (0, 1, 2) if near and round(float(value), digits + k) != 0]
    return say(value, digits + (more or [0])[0])


def side(row: Row) -> int:
    """Return the side of 0 that an interval lies on; 0 where it holds 0 or is not known."""
    return int(row["ci_low"] > 0) - int(row["ci_high"] < 0)


def size_of(row: Row) -> Row:
    """The size of a difference whose interval lies on one side of 0; others as they are."""
    if not side(row):
        return row
    low, high = sorted(abs(float(row[key])) for key in ENDS[1:])
    return {"estimate": abs(float(row["estimate"])), "ci_low": low, "ci_high": high}


def plain(name: Any) -> str:
    """Write the name of a region as words."""
    return str(name).replace("_", " ")


def listed(names: Iterable[Any], *, none: str = "none") -> str:
    """Write names as a list in words.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed([])
    ('a', 'a, b and c', 'none')
    """
    known = [plain(name) for name in names]
    if len(known) < 2:
        return known[0] if known else none
    return f"{', '.join(known[:-1])} and {known[-1]}"


def verdict(low: float, high: float, margin: float) -> str:
    """Judge an effect by an interval that holds for its whole family, against a declared margin.

    Relevant: the interval lies beyond the margin. Present: it excludes 0 and crosses the margin.
    Present but small: it excludes 0 and lies within the margin. Equivalent: it holds 0 and lies
    within the margin. Else undecided.

    Examples
    --------
    >>> [verdict(low, 0.3, 0.1) for low in (0.12, 0.02, -0.05)]
    ['relevant', 'present', 'undecided']
    >>> verdict(0.02, 0.06, 0.1), verdict(-0.05, 0.06, 0.1)
    ('present but small', 'equivalent')
    """
    if np.isnan(margin):
        return "undecided"
    if low > margin or high < -margin:
        return "relevant"
    within = -margin <= low and high <= margin
    if low > 0 or high < 0:
        return "present but small" if within else "present"
    return "equivalent" if within else "undecided"


def fitting(table: Any, **where: Any) -> Any:
    """Return the rows whose columns have these values, each one value or one of a list."""
    for column, value in where.items():
        values = value if isinstance(value, list) else [value]
        table = table[table[column].isin(values)] if column in table else table.iloc[:0]
    return table


def row(table: Any, **where: Any) -> Row:
    """Return the first row of a table that fits, or one without numbers.

    >>> row(pd.DataFrame({"metric": ["mae"], "estimate": [1.0]}), metric="r")["estimate"]
    nan
    """
    table = fitting(table, **where)
    return dict.fromkeys(ENDS, np.nan) if table.empty else table.iloc[0]


def against(differences: Any, other: str = "null", **recipe: str) -> Row:
    """Return by how much a recipe errs more than another, from table ``model_differences``."""
    return row(differences, recipe_b=other, level="participant", metric="mae", **recipe)


def main_method(table: Any) -> str:
    """The chapters' method in ``faithfulness``: DeepLift, or what a run has in its place."""
    known = set(table.loc[table["baseline"] == NEUTRAL, "method"]) if len(table) else set()
    return "DeepLift" if "DeepLift" in known or not known else "IntegratedGradients"
