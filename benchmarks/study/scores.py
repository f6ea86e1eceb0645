"""How well scores are read, over many cohorts: scores, differences, and what chance would do.

Everything is predicted for participants that no fit has seen. A number of one cohort is noisy, so
each cohort's own stands beside their mean and beside the *stacked* result: the participants of
all cohorts together, each predicted inside their own cohort, with intervals by bootstrap over
these participants.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from expresso_lib import models, store
from expresso_lib.models import experiments, heads

from . import rendering

METRICS = ("mae", "pearson", "ccc")
# Permutations of each test of a cohort whose scores are permuted already.
NULL_DRAWS = 199
SCENARIOS = ("within folds", "anew")
# Cohorts with something else planted, read by the same networks: amounts only, and nothing.
VARIANTS = ("amount", "null")


@dataclass(frozen=True, eq=False)
class Design:
    """What a study varies around: cohorts, the default recipe, folds; and where it works."""

    shape: rendering.Shape
    recipe: models.Recipe
    root: Path
    folds: int = 5
    repeats: int = 3
    tuning: models.FineTuning = field(default_factory=models.FineTuning)
    draws: int = 2000
    nulls: int = 1000  # cohorts of permuted scores, per cohort of faces and scenario
    clips: int = 48  # explained in faithfulness, per cohort
    executor: Executor | None = None

    def folder(self, variant: str, seed: int) -> Path:
        """Where a cohort's files lie; a colon is no part of a folder's name."""
        return self.root / f"{variant.replace(':', '-')}-s{seed}"

    def study(self, variant: str, seed: int, *, inputs: Sequence[str] = (),
              repeats: int = 0) -> experiments.Study:  # fmt: skip
        """Render a cohort and lay out its folds."""
        plan, folder = self.shape.plan(variant, seed), self.folder(variant, seed)
        inputs = inputs or (self.recipe.input,)
        how = {"folder": folder, "executor": self.executor}
        for name in inputs:
            rendering.archives(self.shape, variant, seed, input=name, **how)
        dealt = experiments.schemes(
            plan.participants, folds=self.folds, repeats=repeats or self.repeats, seed=seed
        )
        return experiments.Study(
            plan.participants,
            plan.recordings,
            {name: folder / name for name in inputs},
            dealt,
            folder / "features",
            size=self.shape.size,
            tuning=self.tuning,
        )

    def cells(self, part: str) -> list[models.Recipe]:
        """The recipes of a part, the default (where it belongs to it) first."""
        default = self.recipe
        scratch = replace(default, weights="none")
        if part == "headset":
            return [replace(default, variant="headset")]
        if part == "scratch":
            return [replace(scratch, fit="all")]
        images = [replace(default, model=name) for name in ("small_image", "small_image_sd")]
        known = list(dict.fromkeys([default, *images, scratch]))
        if part == "scores":
            return known
        if part in VARIANTS:
            return [replace(cell, variant=part) for cell in known]
        slow = (replace(scratch, fit="all"), *known)
        return [cell for cell in experiments.grid(default, full=True) if cell not in slow]


def predictions(design: Design, part: str, seed: int) -> pd.DataFrame:
    """Predictions of a part's recipes in one cohort; the null model's with part ``scores``.

    Networks fitted beyond the head take minutes per fold, so they get one repeat of the folds.
    """
    parts = []
    for tuned in (False, True):
        recipes = [cell for cell in design.cells(part) if (cell.fit != "ridge") == tuned]
        if not recipes:
            continue
        study = design.study(
            recipes[0].variant,
            seed,
            repeats=1 if tuned else 0,
            inputs=sorted({cell.input for cell in recipes}),
        )
        out = design.folder(recipes[0].variant, seed) / "recipes"
        parts.append(experiments.run_recipes(recipes, study, out=out, executor=design.executor))
    table = pd.concat(parts, ignore_index=True)
    if part in VARIANTS:  # a cohort of its own has a null model of its own
        return table.replace({"recipe": {"null": f"null-{part}"}})
    return table if part == "scores" else table[table["recipe"] != "null"]


def stacked(predicted: dict[int, pd.DataFrame]) -> pd.DataFrame:
    """All cohorts' predictions as one, a participant's name preceded by the cohort's."""
    parts = [
        table.assign(
            participant=f"s{seed}-" + table["participant"],
            recording=f"s{seed}-" + table["recording"],
        )
        for seed, table in predicted.items()
    ]
    return pd.concat(parts, ignore_index=True)


def score_table(predicted: dict[int, pd.DataFrame], *, draws: int) -> pd.DataFrame:
    """Participant-level scores of every recipe: each cohort, their mean, all stacked.

    Returns
    -------
    DataFrame
        seed (a number, ``mean`` or ``stacked``), recipe, metric (also ``mae_ratio``: over the
        null model's MAE), estimate, ci_low, ci_high, n_participants.
    """
    tables = {str(seed): table for seed, table in predicted.items()}
    parts = [_scores(table, draws).assign(seed=seed) for seed, table in tables.items()]
    mean = pd.concat(parts).groupby(["recipe", "metric"], sort=False, as_index=False)
    whole = _scores(stacked(predicted), draws).assign(seed="stacked")
    means = (
        mean[["estimate", "n_participants"]]
        .agg({"estimate": "mean", "n_participants": "sum"})
        .assign(seed="mean")
    )
    columns = ["seed", "recipe", "metric", "estimate", "ci_low", "ci_high", "n_participants"]
    return pd.concat([*parts, means, whole], ignore_index=True)[columns]


def _null_of(recipe: str) -> str:
    """The null model that was tested on a recipe's cohort."""
    if recipe == "null" or recipe.startswith("null-"):
        return recipe
    variant = next((name for name in VARIANTS if f"-{name}-" in f"-{recipe}-"), "")
    return f"null-{variant}" if variant else "null"


def _scores(table: pd.DataFrame, draws: int) -> pd.DataFrame:
    found = models.model_scores(table, draws=draws)
    found = found[(found["level"] == "participant") & found["metric"].isin(METRICS)]
    found = found.drop(columns="level")
    mae = found[found["metric"] == "mae"]
    nulls = mae[mae["recipe"].str.startswith("null")].set_index("recipe")["estimate"]
    if nulls.empty:
        return found
    own = mae["recipe"].map(lambda name: nulls.get(_null_of(name), np.nan))
    ratio = mae.assign(
        metric="mae_ratio", estimate=mae["estimate"] / own, ci_low=np.nan, ci_high=np.nan
    )
    # The null model's r is an accident of its folds.
    accident = found["recipe"].str.startswith("null") & found["metric"].isin(["pearson", "ccc"])
    return pd.concat([found[~accident], ratio], ignore_index=True)


def difference_table(
    predicted: dict[int, pd.DataFrame], default: str, *, draws: int
) -> pd.DataFrame:
    """The default recipe minus every other, paired by participant, all cohorts stacked.

    Both sides are averaged over the same repeats of the folds, for an average over more of them
    predicts better.
    """
    table = stacked(predicted)
    parts = []
    same = [name for name in table["recipe"].unique() if _null_of(name) == _null_of(default)]
    for other in [name for name in same if name != default]:
        both = table[table["recipe"].isin([default, other])]
        shared = set.intersection(*(set(part["participant"]) for _, part in both.groupby("recipe")))
        repeats = both.loc[both["recipe"] == other, "repeat"].unique()
        both = both[both["participant"].isin(shared) & both["repeat"].isin(repeats)]
        found = models.model_differences(both, [(default, other)], draws=draws)
        # The null model's r is an accident of its folds, so no r is compared with it.
        asked = METRICS if other != _null_of(other) else ("mae",)
        found = found[(found["level"] == "participant") & found["metric"].isin(asked)]
        parts.append(found.drop(columns="level").assign(n_participants=len(shared)))
    return pd.concat(parts, ignore_index=True)


def null_table(design: Design, seeds: Sequence[int]) -> pd.DataFrame:
    """How often the permutation test of r rejects where the scores are permuted.

    ``within folds``: scores change hands inside the folds that the test itself permutes in.
    ``anew``: scores are dealt out to everybody and the folds after them, as in a new cohort whose
    severity has nothing to do with the faces.

    Returns
    -------
    DataFrame
        seed (or ``all``), scenario, n, rate (share with p ≤ .05), ci_low, ci_high (Wilson 95 %).
    """
    found = []
    for seed in seeds:
        study = design.study("default", seed)
        path = experiments.features(design.recipe, study, executor=design.executor)
        recipe = {"draws": NULL_DRAWS, "nulls": design.nulls} | study.facts()
        recipe["schemes"] = study.schemes.to_dict("list")
        items = [
            store.Item(
                f"null-{scenario.replace(' ', '-')}",
                recipe,
                (path,),
                (scenario, design.nulls, study, design.recipe),
            )
            for scenario in SCENARIOS
        ]
        out = design.folder("default", seed) / "null"
        for done in store.map(
            permuted_tests,
            items,
            out=out,
            executor=design.executor,
            suffix=".parquet",
            describe=f"null s{seed}",
        ):
            found.append(pd.read_parquet(done.path).assign(seed=str(seed)))
    table = pd.concat(found, ignore_index=True)
    everything = pd.concat([table, table.assign(seed="all")])
    rates = everything.groupby(["seed", "scenario"], as_index=False)["p"].agg(_rejections)
    return pd.concat([rates[["seed", "scenario"]], pd.DataFrame(rates["p"].tolist())], axis=1)


def _rejections(p: pd.Series) -> dict[str, float]:
    n, rate, z = len(p), float((p <= 0.05).mean()), 1.96
    middle = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return {"n": n, "rate": rate, "ci_low": max(0.0, middle - half), "ci_high": middle + half}


def permuted_tests(item: store.Item, path: Path) -> None:
    """Test cohorts of permuted scores (a `store.map` function): scenario, number, r, p."""
    scenario, count, study, recipe = item.payload
    values = experiments.read_features(item.inputs[0])
    clip_table = study.clip_set(recipe).table
    # The head is linear, so a participant's mean prediction is that of their mean features.
    people = clip_table.groupby("participant").indices
    means = np.stack([values[rows].mean(axis=0) for rows in people.values()])
    own = study.participants.set_index("participant").loc[list(people)].reset_index()
    rows = []
    for number in range(count):
        table, dealt = permuted(own, study.schemes, scenario, number)
        r, _, p = permutation_test(means, table, dealt, draws=NULL_DRAWS, seed=number)
        rows.append({"scenario": scenario, "number": number, "r": r, "p": p})
    pd.DataFrame(rows).to_parquet(path)


def permuted(
    own: pd.DataFrame, schemes: pd.DataFrame, scenario: str, number: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng([number, 61])
    first = schemes[schemes["repeat"] == 0]
    fold = own["participant"].map(first.set_index("participant")["fold"]).to_numpy()
    groups = (
        [np.arange(len(own))]
        if scenario == "anew"
        else [np.flatnonzero(fold == name) for name in np.unique(fold)]
    )
    order = np.arange(len(own))
    for group in groups:
        order[group] = rng.permutation(group)
    table = own.assign(
        score=own["score"].to_numpy()[order],
        band=own["band"].to_numpy()[order],
        recording=own["participant"],
        clip=own["participant"],
    )
    if scenario == "anew":
        first = models.folds(table, int(fold.max()) + 1, seed=number).assign(repeat=0)
    return table, first


def permutation_test(
    values: np.ndarray,
    table: pd.DataFrame,
    schemes: pd.DataFrame,
    *,
    draws: int = 200,
    seed: int = 0,
) -> tuple[float, np.ndarray, float]:
    """Is participant-level r better than chance? Scores permuted within folds, all refitted.

    Returns
    -------
    r : float
        With the true scores.
    null : ndarray
        (draws,) r with permuted ones.
    p : float
        (1 + those ≥ r) / (1 + draws).
    """
    first = schemes[schemes["repeat"] == schemes["repeat"].min()]
    own = table.groupby("participant")["score"].mean()
    # The head is linear: a participant's mean prediction is that of their mean features.
    rows = table.groupby("participant").indices
    means = np.stack([values[rows[name]].mean(axis=0) for name in own.index])
    fold = own.index.map(first.set_index("participant")["fold"]).to_numpy()
    columns = _shuffled(own.to_numpy(float), fold, draws, seed)
    predicted = np.empty_like(columns)
    for number in np.unique(fold):
        test = fold == number
        center, scale, fit = heads.ridge(means[~test], columns[~test])
        predicted[test] = fit.predict((means[test] - center) / scale)
    found = _pearson(predicted, columns)
    r, null = float(found[0]), found[1:]
    return r, null, float((1 + (null >= r).sum()) / (1 + draws))


def _shuffled(scores: np.ndarray, fold: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """(P, 1 + draws) scores, the first column as they are, the others shuffled within folds."""
    rng = np.random.default_rng(seed)
    columns = np.repeat(scores[:, None], 1 + draws, axis=1)
    for number in np.unique(fold):
        inside = np.flatnonzero(fold == number)
        shuffled = rng.permuted(np.tile(scores[inside, None], draws), axis=0)
        columns[inside, 1:] = shuffled
    return columns


def _pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of each column of two (P, B) arrays; 0 where one is constant."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    length = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    product = (a * b).sum(axis=0)
    return np.divide(product, length, out=np.zeros_like(length), where=length > 1e-12)
