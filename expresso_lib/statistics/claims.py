"""The claim ledger: what the paper says, what this run found, and whether it held.

Every number a chapter's prose quotes about the paper comes from here. The claims stand in
``assets/claims.yaml``: who says it, what would show it, in which direction, and which row of this
run's tables shows it. A verdict needs a p that is corrected over its family, or the interval of
the one comparison that was asked for. On the demo cohort the column ``planted`` says what the
truth is and ``recovered`` whether the run found its sign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from statsmodels.stats.multitest import multipletests

VERDICTS = ("held", "not held", "undecided", "not testable here")
COLUMNS = (
    "claim", "source", "estimand", "compared", "estimate", "ci_low", "ci_high", "found", "verdict",
    "planted", "recovered", "about", "chapter", "figure", "note",
)  # fmt: skip
# Recipes are named after their model first; these see single frames.
IMAGE_MODELS = ("small_image", "resnet")
Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Claim:
    """One claim: who says it, what would show it, and where this run shows it."""

    claim: str
    source: str
    estimand: str
    compared: str  # what is compared with what, in words
    direction: int  # +1: holds if the estimate lies above the bar; −1: below; 0: no verdict
    chapter: str
    bar: float = 0.0  # what the estimate is compared with
    judged: bool = True  # False: what is found is near the claim, but it is not the claim
    note: str = ""  # what limits the verdict in every run
    find: dict[str, str] = field(default_factory=dict)  # table, and values of its columns
    planted: str = ""  # AU whose planted sign the estimate should have
    figure: str = ""


@lru_cache(maxsize=1)
def known() -> tuple[Claim, ...]:
    """Return the claims of the ledger."""
    file = resources.files("expresso_lib") / "assets" / "claims.yaml"
    text = yaml.safe_load(file.read_text(encoding="utf-8"))
    return tuple(
        Claim(estimand=text["measures"][entry.pop("measure")], **entry) for entry in text["claims"]
    )


def build(
    tables: Tables, *, planted: pd.DataFrame | None = None, about: str = "", alpha: float = 0.05
) -> pd.DataFrame:
    """Judge every claim by this run's tables.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Any of ``results, model_differences, faithfulness``; a claim whose row is missing, or that
        no row of these can decide, is "not testable here".
    planted : DataFrame, optional
        The demo cohort's truth: ``au, sign, kind``.
    about : str
        What the verdicts are about, e.g. "demo cohort (rendered faces)".
    alpha : float
        Family-wise error rate.

    Returns
    -------
    DataFrame
        The table ``claims`` (`COLUMNS`), described in the data dictionary.
    """
    rows = [_judge(claim, tables, planted, alpha) | {"about": about} for claim in known()]
    return pd.DataFrame(rows)[list(COLUMNS)]


def tables_of(folder: Path) -> dict[str, pd.DataFrame]:
    """Read the tables of a run that claims are judged by, those that are there."""
    names = {claim.find["table"] for claim in known() if claim.find}
    paths = {name: Path(folder) / f"{name}.parquet" for name in sorted(names)}
    return {name: pd.read_parquet(path) for name, path in paths.items() if path.is_file()}


def planted_beside(recordings: pd.DataFrame) -> pd.DataFrame | None:
    """Read the demo cohort's truth, ``planted.csv`` beside its recordings; None elsewhere."""
    path = Path(str(recordings["path"].iloc[0])).parent / "planted.csv"
    return pd.read_csv(path, keep_default_na=False) if path.is_file() else None


def standing(differences: pd.DataFrame, recipe: str) -> str:
    """Say whether a model was shown to read severity, where its explanations are read.

    Parameters
    ----------
    differences : DataFrame
        Table ``model_differences``.
    recipe : str
        The model's.

    Returns
    -------
    str
        Empty where the recipe was not compared with the null model.
    """
    rows = differences[(differences["level"] == "participant") & (differences["metric"] == "mae")]
    rows = rows[(rows["recipe_a"] == recipe) & (rows["recipe_b"] == "null")]
    if rows.empty:
        return ""
    if rows["ci_high"].iloc[0] < 0:
        return (
            "The model explained here errs less than the null model on participants it had "
            "not seen (chapter 3)."
        )
    return (
        "On this cohort the model is not shown to read severity at all (chapter 3). The book "
        "explains it nevertheless: an explanation is true or false about the model, not about "
        "the person."
    )


def _judge(
    claim: Claim, tables: Tables, planted: pd.DataFrame | None, alpha: float
) -> dict[str, object]:
    """One row of the ledger."""
    truth = _planted_sign(planted, claim.planted)
    row: dict[str, object] = {
        "claim": claim.claim, "source": claim.source, "estimand": claim.estimand,
        "compared": claim.compared, "chapter": claim.chapter, "figure": claim.figure,
        "estimate": np.nan, "ci_low": np.nan, "ci_high": np.nan, "found": "", "recovered": "",
        "verdict": "not testable here",
        "planted": "" if truth is None else {1: "positive", -1: "negative", 0: "nothing"}[truth],
        "note": claim.note or "this run has no such result",
    }  # fmt: skip
    shown = _find(claim.find, tables)
    if shown is None:
        return row
    estimate, low, high = (float(shown.get(k, np.nan)) for k in ("estimate", "ci_low", "ci_high"))
    found = f"{estimate:.2f}" + (f" ({low:.2f} to {high:.2f})" if np.isfinite(low) else "")
    notes = (claim.note, str(shown.get("note", "") or ""), _lead(shown, alpha))
    row |= {
        "estimate": estimate,
        "ci_low": low,
        "ci_high": high,
        "found": found.replace("-", "−"),
        "note": "; ".join(filter(None, notes)),
    }
    if not claim.judged:
        return row
    sign = decided_sign(shown, bar=claim.bar, alpha=alpha)
    verdict = "held" if sign == claim.direction else "not held"
    recovered = "recovered" if sign == truth else "not recovered"
    return row | {
        "verdict": "undecided" if sign is None or claim.direction == 0 else verdict,
        "recovered": "" if truth is None else "undecided" if sign is None else recovered,
    }


def decided_sign(row: pd.Series, *, bar: float = 0.0, alpha: float = 0.05) -> int | None:
    """Sign that a row of evidence establishes; 0 for "nothing that matters", None for undecided.

    The family-wise p decides; an uncorrected p decides nothing. A row without any p, the only
    comparison of its kind, is decided by whether its interval excludes the bar. Equivalence
    within the declared margin, family-wise, counts as nothing.

    Examples
    --------
    >>> decided_sign(pd.Series({"estimate": 0.2, "p_max": 0.01, "p": 0.001}))
    1
    >>> decided_sign(pd.Series({"estimate": 0.01, "p_max": 0.9, "p_equivalence": 0.02}))
    0
    >>> decided_sign(pd.Series({"estimate": 0.2, "ci_low": 0.1, "ci_high": 0.3, "p": 0.01})) is None
    True
    >>> decided_sign(pd.Series({"estimate": 0.5, "ci_low": 0.3, "ci_high": 0.7}), bar=0.9)
    -1
    """
    p, single = (float(row.get(k, np.nan)) for k in ("p_max", "p"))
    low, high = float(row.get("ci_low", np.nan)), float(row.get("ci_high", np.nan))
    alone = not np.isfinite(p) and not np.isfinite(single)
    if p <= alpha or (alone and (low > bar or high < bar)):
        return int(np.sign(float(row["estimate"]) - bar))
    return 0 if float(row.get("p_equivalence", np.nan)) <= alpha else None


def _lead(row: pd.Series, alpha: float) -> str:
    """What a small p that does not survive its family is worth, in words."""
    p, family = (float(row.get(k, np.nan)) for k in ("p", "p_max"))
    return f"a lead: p = {p:.3f} alone, {family:.3f} in its family" if p <= alpha < family else ""


def _find(where: Mapping[str, str], tables: Tables) -> pd.Series | None:
    """The row that a claim is judged by, or None."""
    rows = tables.get(where.get("table", ""))
    if rows is None or rows.empty:
        return None
    if where["table"] == "model_differences":
        return _video_minus_image(rows)
    if "hypothesis" in where:
        rows = _family_wise(rows[rows["hypothesis"] == where["hypothesis"]])
    for column, value in where.items():
        if column != "table":
            rows = rows[rows[column] == value] if column in rows else rows.iloc[:0]
    return None if rows.empty or rows["estimate"].isna().all() else rows.iloc[0]


def _family_wise(rows: pd.DataFrame) -> pd.DataFrame:
    """One hypothesis's rows, with Holm's correction over them where they bring none (1979).

    That is p where there is no ``p_max`` (H3b), and always the p of equivalence.
    """
    rows = rows.assign(p_equivalence=_holm(rows["p_equivalence"]))
    return rows if rows["p_max"].notna().any() else rows.assign(p_max=_holm(rows["p"]))


def _holm(p: pd.Series) -> pd.Series:
    known = p.dropna()
    adjusted = multipletests(known, method="holm")[1] if len(known) else known
    return pd.Series(adjusted, known.index, float).reindex(p.index)


def _video_minus_image(rows: pd.DataFrame) -> pd.Series | None:
    """MAE(video) − MAE(image) between participants, in whichever order it was compared."""
    rows = rows[(rows["metric"] == "mae") & (rows.get("level", "participant") == "participant")]
    image = {side: rows[f"recipe_{side}"].str.startswith(IMAGE_MODELS) for side in "ab"}
    null = rows["recipe_a"].eq("null") | rows["recipe_b"].eq("null")
    hit = rows[(image["a"] != image["b"]) & ~null]
    if hit.empty:
        return None
    row, sign = hit.iloc[0], -1 if image["a"].loc[hit.index[0]] else 1
    low, high = sorted((sign * row["ci_low"], sign * row["ci_high"]))
    return pd.Series({"estimate": sign * row["estimate"], "ci_low": low, "ci_high": high})


def _planted_sign(planted: pd.DataFrame | None, au: str) -> int | None:
    """Sign with which the demo cohort plants an AU: does more of it come with severity?

    Effects on tempo are left out: they change when an AU moves, not how much.
    """
    if planted is None or not au:
        return None
    signs = planted.loc[(planted["au"] == au) & (planted.get("kind", "amount") != "tempo"), "sign"]
    return int(np.sign(signs.astype(float).sum())) if len(signs) else 0
