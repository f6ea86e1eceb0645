"""The claim ledger: what the paper says, what this run found, and what that decides.

Every number a chapter's prose quotes about the paper comes from here. The claims stand in
``assets/claims.yaml``: who says it, what would show it, in which direction, and which row of this
run's tables shows it. A verdict rests on an interval that holds for the whole family, or on that
of the one comparison that was asked for, against a margin declared before the results. On the
demo cohort the column ``planted`` says what the truth is and ``recovered`` whether the run found
its sign, in a model that is shown to beat the null model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from expresso_lib import config
from expresso_lib.statistics import hypotheses, wording
from expresso_lib.statistics.plan import DEFAULT, Plan

OTHER_QUESTION, NO_ROW = "does not answer this question", "not testable here"
SHOWN = ("relevant", "present", "present but small")  # an effect, whatever its size
VERDICTS = (*SHOWN, "equivalent", "undecided", OTHER_QUESTION, NO_ROW)
COLUMNS = (
    "claim", "source", "estimand", "compared", "estimate", "ci_low", "ci_high", "margin", "found",
    "verdict", "direction", "rank", "planted", "recovered", "about", "chapter", "note",
)  # fmt: skip
Tables = Mapping[str, pd.DataFrame]
# Recipes are named after their model first; these see single frames.
IMAGE_MODELS = ("small_image", "resnet")


def known() -> pd.DataFrame:
    """Return the claims of the ledger, a row each."""
    text = config.asset("claims.yaml")
    rows = pd.DataFrame([text["unsaid"] | one for one in text["claims"]])
    return rows.assign(estimand=rows["measure"].map(text["measures"]))


def build(
    tables: Tables, *, planted: pd.DataFrame | None = None, about: str = "", plan: Plan = DEFAULT
) -> pd.DataFrame:
    """Judge every claim by this run's tables.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Any of ``results, model_differences, faithfulness``; a claim whose row is missing, or that
        no row of these can decide, is "not testable here".
    planted : DataFrame, optional
        The demo cohort's truth: ``au, sign, kind``; "recovered" needs a model that beats the null.
    about : str
        What the verdicts are about, e.g. "demo cohort (rendered faces)".
    plan : Plan
        Error rate; one point of the score is the margin of a difference in error.

    Returns
    -------
    DataFrame
        The table ``claims`` (`COLUMNS`), described in the data dictionary.
    """
    reads = wording.side(wording.against(tables.get("model_differences", pd.DataFrame()))) < 0
    rows = [
        _judge(claim, tables, planted, reads, plan) | {"about": about}
        for claim in known().itertuples()
    ]
    return pd.DataFrame(rows)


def summary(ledger: pd.DataFrame) -> str:
    """Say how the verdicts are spread.

    Examples
    --------
    >>> summary(pd.DataFrame({"verdict": ["undecided", "relevant", "undecided"],
    ...                       "direction": ["", "opposite", ""]}))
    'Of 3 claims 0 have an effect in the direction claimed. By verdict: 1 relevant, 2 undecided.'
    """
    counts = ledger["verdict"].value_counts()
    said = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if name in counts)
    agree = int((ledger["direction"] == "as claimed").sum())
    have = f"{agree} {'has' if agree == 1 else 'have'} an effect in the direction claimed"
    return f"Of {len(ledger)} claims {have}. By verdict: {said or 'none'}."


def in_words(ledger: pd.DataFrame) -> pd.DataFrame:
    """The ledger for reading: what belongs together stands in one cell.

    Returns
    -------
    DataFrame
        ``claim`` (with its source), ``what is compared`` (as what), ``found`` (the margin),
        ``verdict`` (direction; rank).
    """
    verdicts = ledger[["verdict", "direction", "rank"]].fillna("").to_numpy(str)
    margins = [
        f" (margin {margin:.2f})" if np.isfinite(margin) else "" for margin in ledger["margin"]
    ]
    return pd.DataFrame({
        "claim": ledger["claim"] + " Source: " + ledger["source"] + ".",
        "what is compared": ledger["compared"] + ": " + ledger["estimand"],
        "found": ledger["found"].fillna("") + margins,
        "verdict": ["; ".join(filter(None, row)) for row in verdicts],
    })  # fmt: skip


def _judge(
    claim: Any, tables: Tables, planted: pd.DataFrame | None, reads: bool, plan: Plan
) -> dict[str, object]:
    """One row of the ledger."""
    truth = _planted_sign(planted, claim.planted)
    row: dict[str, Any] = {name: getattr(claim, name, "") for name in COLUMNS}
    row |= dict.fromkeys((*wording.ENDS, "margin"), np.nan) | {
        "verdict": NO_ROW,
        "direction": "",
        "rank": "rank not tested" if claim.places else "",
        "planted": {None: "", 1: "positive", -1: "negative", 0: "nothing"}[truth],
        "note": claim.note or claim.missing,
    }
    shown = _find(claim.find, tables, plan)
    if shown is None:
        return row
    numbers = {k: float(shown.get(k, np.nan)) for k in (*wording.ENDS, "margin")}
    estimate, low, high, margin = numbers.values()
    row |= {**numbers, "found": wording.interval(numbers), "note": _note(claim, shown, plan)}
    if claim.places:
        row["rank"] = _rank(claim, shown)
    if not claim.judged:
        return row
    if claim.direction == 0:
        return row | {"verdict": "undecided"}
    said = wording.verdict(low, high, margin)
    if claim.bar:  # of a fidelity: below the bar an explanation answers another question
        bar = claim.bar
        said = "relevant" if low > bar else OTHER_QUESTION if high < bar else "undecided"
    sign = int(np.sign(estimate)) if said in SHOWN else 0 if said == "equivalent" else None
    against = "as claimed" if sign == claim.direction else "opposite"
    recovered = _recovered(truth, sign, reads)
    return row | {"verdict": said, "direction": against if sign else "", "recovered": recovered}


def _recovered(truth: int | None, sign: int | None, reads: bool) -> str:
    """Whether the planted sign was found, in a model that is shown to read the score."""
    if truth is None:
        return ""
    if not reads:
        return "no: the model is not shown to beat the null model"
    found = "recovered" if sign == truth else "not recovered"
    return "undecided" if sign is None else found


def _note(claim: Any, shown: pd.Series, plan: Plan) -> str:
    """What limits the verdict; and what a small p that does not survive its family says."""
    p, family = (float(shown.get(k, np.nan)) for k in ("p", "p_max"))
    lead = p <= plan.alpha < family
    lone = (
        f"a lead: {wording.chance(p)} alone, {wording.chance(family)} in its family" if lead else ""
    )
    inference = str(shown.get("inference", "") or "")
    return "; ".join(filter(None, (claim.note, str(shown.get("note", "") or ""), inference, lone)))


def _rank(claim: Any, shown: pd.Series) -> str:
    """Whether the row is among the first or last places of its family, tested as a rank."""
    low, high = (float(shown.get(k, np.nan)) for k in ("rank_low", "rank_high"))
    count = int(shown.get("family", 0))
    if not np.isfinite(low):
        return "rank not tested"
    if claim.direction < 0:  # counted from the most negative
        low, high = count + 1 - high, count + 1 - low
    said = "shown" if high <= claim.places else "refuted" if low > claim.places else "undecided"
    end = "most negative" if claim.direction < 0 else "largest"
    return f"{said}: place {low:.0f} to {high:.0f} of {count}, counted from the {end}"


def _find(where: Mapping[str, str], tables: Tables, plan: Plan) -> pd.Series | None:
    """The row that a claim is judged by, with the interval and margin that judge it, or None."""
    rows = tables.get(where.get("table", ""), pd.DataFrame())
    if rows.empty:
        return None
    if where["table"] == "model_differences":
        rows = rows[rows["recipe_b"].str.startswith(IMAGE_MODELS)].assign(margin=plan.point)
    if "hypothesis" in where:
        rows = hypotheses.rows_of(rows, where["hypothesis"])
        low, high = rows["simultaneous_low"], rows["simultaneous_high"]
        rows = rows.assign(ci_low=low, ci_high=high, family=len(rows))
    rows = wording.fitting(rows, **{key: value for key, value in where.items() if key != "table"})
    return None if rows.empty or rows["estimate"].isna().all() else rows.iloc[0]


def _planted_sign(planted: pd.DataFrame | None, au: str) -> int | None:
    """Sign with which the demo cohort plants an AU or a behaviour: is there more with severity?

    Effects on tempo are left out: they change when an AU moves, not how much.
    """
    if planted is None or not au:
        return None
    own = (planted["au"] == au) | (planted.get("behaviour", "") == au)
    signs = planted.loc[own & (planted.get("kind", "amount") != "tempo"), "sign"]
    return int(np.sign(signs.astype(float).sum())) if len(signs) else 0
