"""The claim ledger: what the paper says, what this run found, and whether it held.

Every number a chapter's prose quotes about the paper comes from here. A claim is a row of
`CLAIMS`: where it is said, the estimand that would show it, the direction in which it would hold,
and the table this run would have to hold. On the demo cohort the column ``planted`` says what the
truth is and ``recovered`` whether the run found it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

VERDICTS = ("held", "not held", "undecided", "not testable here")
# Recipes are named after their model first; these see single frames.
IMAGE_MODELS = ("small_image", "resnet")
PAPER = "paper (ACII 2023)"
README, FIGURE = "README of the paper's code", "figure of the paper's code"
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Claim:
    """One claim: who says it, what would show it, and where this run shows it."""

    claim: str
    source: str
    estimand: str
    direction: int  # +1: holds if the estimate is positive; −1: if negative
    find: Callable[[Tables], pd.Series | None]
    chapter: str
    figure: str = ""
    planted_au: str = ""  # AU whose planted sign the estimate should have


def build(tables: Tables, *, planted: pd.DataFrame | None = None, about: str = "") -> pd.DataFrame:
    """Judge every claim by this run's tables.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Any of ``results, model_differences, recipes, faithfulness``; a claim whose table is
        missing is "not testable here".
    planted : DataFrame, optional
        The demo cohort's truth: ``au, sign, kind``.
    about : str
        What the verdicts are about, e.g. "demo cohort (rendered faces)".

    Returns
    -------
    DataFrame
        The table ``claims``: claim, source, estimand, estimate, ci_low, ci_high, found (text),
        verdict, planted, recovered, about, chapter, figure, note.
    """
    rows = [_judge(claim, tables, planted) | {"about": about} for claim in CLAIMS]
    columns = [
        "claim", "source", "estimand", "estimate", "ci_low", "ci_high", "found", "verdict",
        "planted", "recovered", "about", "chapter", "figure", "note",
    ]
    return pd.DataFrame(rows)[columns]


def tables_of(folder: Path) -> dict[str, pd.DataFrame]:
    """Read the tables of a run that claims are judged by, those that are there."""
    names = ("results", "model_differences", "faithfulness")
    paths = {name: Path(folder) / f"{name}.parquet" for name in names}
    return {name: pd.read_parquet(path) for name, path in paths.items() if path.is_file()}


def planted_beside(recordings: pd.DataFrame) -> pd.DataFrame | None:
    """Read the demo cohort's truth, ``planted.csv`` beside its recordings; None elsewhere."""
    path = Path(str(recordings["path"].iloc[0])).parent / "planted.csv"
    return pd.read_csv(path, keep_default_na=False) if path.is_file() else None


def _judge(claim: Claim, tables: Tables, planted: pd.DataFrame | None) -> dict[str, object]:
    row = claim.find(tables)
    fixed = {
        "claim": claim.claim, "source": claim.source, "estimand": claim.estimand,
        "chapter": claim.chapter, "figure": claim.figure,
    }
    truth = _planted_sign(planted, claim.planted_au)
    words = {1: "positive", -1: "negative", 0: "nothing"}
    told = {"planted": words[truth] if truth is not None else "", "recovered": ""}
    if row is None:
        nothing = {"estimate": np.nan, "ci_low": np.nan, "ci_high": np.nan, "found": ""}
        return (
            fixed
            | nothing
            | told
            | {"verdict": "not testable here", "note": "this run has no such result"}
        )
    estimate, low, high = (float(row.get(k, np.nan)) for k in ("estimate", "ci_low", "ci_high"))
    sign = decided_sign(row)
    verdict = "undecided" if sign is None else "held" if sign == claim.direction else "not held"
    if truth is not None:
        told["recovered"] = (
            "undecided" if sign is None else "recovered" if sign == truth else "not recovered"
        )
    found = f"{estimate:.2f} ({low:.2f} to {high:.2f})" if np.isfinite(low) else f"{estimate:.2f}"
    return (
        fixed
        | told
        | {
            "estimate": estimate, "ci_low": low, "ci_high": high, "found": found.replace("-", "−"),
            "verdict": verdict, "note": str(row.get("note", "") or ""),
        }
    )


def decided_sign(row: pd.Series) -> int | None:
    """Sign that a row of evidence establishes; 0 for "nothing that matters", None for undecided.

    Family-wise p where there is one, else p, else whether the interval excludes 0. Equivalence
    within the declared margin counts as nothing.

    Examples
    --------
    >>> decided_sign(pd.Series({"estimate": 0.2, "p_max": 0.01, "p": 0.001}))
    1
    >>> decided_sign(pd.Series({"estimate": 0.01, "p_max": 0.9, "p_equivalence": 0.02}))
    0
    >>> decided_sign(pd.Series({"estimate": -3.0, "ci_low": -7.0, "ci_high": 1.0})) is None
    True
    """
    estimate = float(row["estimate"])
    p = next((float(row[k]) for k in ("p_max", "p") if k in row and np.isfinite(row[k])), None)
    low, high = float(row.get("ci_low", np.nan)), float(row.get("ci_high", np.nan))
    excludes = low > 0 or high < 0
    if (p <= 0.05) if p is not None else excludes:
        return int(np.sign(estimate))
    equivalent = float(row.get("p_equivalence", np.nan))
    return 0 if equivalent <= 0.05 else None


def _planted_sign(planted: pd.DataFrame | None, au: str) -> int | None:
    """Sign with which the demo cohort plants an AU: does more of it come with severity?

    Effects on tempo are left out: they change when an AU moves, not how much.
    """
    if planted is None or not au:
        return None
    signs = planted.loc[(planted["au"] == au) & (planted.get("kind", "amount") != "tempo"), "sign"]
    return int(np.sign(signs.astype(float).sum())) if len(signs) else 0


def _result(hypothesis: str, **where: str) -> Callable[[Tables], pd.Series | None]:
    """Find the row of `results` for a hypothesis and an AU or region."""

    def find(tables: Tables) -> pd.Series | None:
        rows = tables.get("results", pd.DataFrame(columns=["hypothesis", *where]))
        rows = rows[rows["hypothesis"] == hypothesis]
        for column, value in where.items():
            rows = rows[rows[column].astype(str).str.contains(value, regex=False)]
        return None if rows.empty or rows["estimate"].isna().all() else rows.iloc[0]

    return find


def _video_minus_image(tables: Tables) -> pd.Series | None:
    """Find MAE(video) − MAE(image) between participants, in whichever order it was compared."""
    rows = tables.get("model_differences")
    if rows is None or rows.empty:
        return None
    rows = rows[(rows["metric"] == "mae") & (rows.get("level", "participant") == "participant")]
    image = {side: rows[f"recipe_{side}"].str.startswith(IMAGE_MODELS) for side in "ab"}
    null = rows["recipe_a"].eq("null") | rows["recipe_b"].eq("null")
    hit = rows[(image["a"] != image["b"]) & ~null]
    if hit.empty:
        return None
    row, sign = hit.iloc[0], -1 if image["a"].loc[hit.index[0]] else 1
    low, high = sorted((sign * row["ci_low"], sign * row["ci_high"]))
    return pd.Series({"estimate": sign * row["estimate"], "ci_low": low, "ci_high": high})


def _fidelity(baseline: str) -> Callable[[Tables], pd.Series | None]:
    """Find the pooled interventional fidelity of DeepLift with one baseline."""

    def find(tables: Tables) -> pd.Series | None:
        rows = tables.get("faithfulness")
        if rows is None:
            return None
        wanted = {
            "method": "DeepLift", "baseline": baseline, "factor": "pooled",
            "metric": "interventional_fidelity", "support": "changed",
        }
        for column, value in wanted.items():
            rows = rows[rows[column] == value]
        return None if rows.empty else rows.iloc[0]

    return find


_MAE = "difference of participants' MAE, score points (negative: the first errs less)"
_Z = "mean participant z of AU intensity with frame attribution (H1)"
_RHO = "rank correlation of participant z with the score (H2)"
_PARTIAL = "partial rank correlation of R⁺ with the score, given f(x) − f(x0) (H3)"
_SLOPE = "slope of log R⁺ of both eyes per 10 points, given f(x) − f(x0) (H3b)"
_06, _04, _03, _07 = "06_action_units", "04_regions", "03_finetune", "07_trust"

CLAIMS = (
    Claim(
        "Video models beat single-face image models.", PAPER, _MAE, -1, _video_minus_image, _03,
        "model_differences",
    ),
    Claim(
        "Nose wrinkling (AU9) stands out.", PAPER, _Z, 1, _result("H1", au="AU09"), _06, "forest",
        "AU09",
    ),
    Claim(
        "AU9 is the strongest correlate of severe depression.", README, _RHO, 1,
        _result("H2", au="AU09"), _06, "severity",
    ),
    Claim(
        "AU12 is among the most negative at any level.", README, _Z, -1, _result("H1", au="AU12"),
        _06, "forest", "AU12",
    ),
    Claim(
        "AU6 is among the most negative at any level.", README, _Z, -1, _result("H1", au="AU06"),
        _06, "forest", "AU06",
    ),
    Claim(
        "AU12 is the largest positive bar in severe.", FIGURE, _RHO, 1, _result("H2", au="AU12"),
        _06, "severity",
    ),
    Claim(
        "The nose stands out with severity.", PAPER, _PARTIAL, 1,
        _result("H3", region="nose", sign="positive"), _04, "enrichment",
    ),
    Claim(
        "The mouth's attribution grows over the bands.", FIGURE, _PARTIAL, 1,
        _result("H3", region="mouth", sign="positive"), _04, "enrichment",
    ),
    Claim(
        "Eye attribution rises from moderate to severe.", PAPER, _SLOPE, 1,
        _result("H3b", region="above", sign="positive"), _04, "two_slopes",
    ),
    Claim(
        "Eye attribution falls towards the mild band.", PAPER, _SLOPE, -1,
        _result("H3b", region="below", sign="positive"), _04, "two_slopes",
    ),
    Claim(
        "DeepLift with a zero baseline shows what the model uses.",
        "assumption of the paper's method",
        "correlation of attribution with the effect of re-rendering, pooled", 1, _fidelity("zero"),
        _07, "fidelity",
    ),
    Claim(
        "The findings carry over to other data sets.", "named as open by the paper",
        "the same estimands on another data set", 1, lambda tables: None, "your_data",
    ),
)
