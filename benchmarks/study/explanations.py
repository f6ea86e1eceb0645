"""Whether explanations are true, over many cohorts: planted regions, interventions, the headset.

Every recording is explained by the model whose head was fitted without its participant. The work
on a recording is that of chapters 4 and 7 (`explanation`, `trials`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from expresso_lib import faithfulness, models, store
from expresso_lib.attribution import cohorts, explanation
from expresso_lib.faces import anatomy
from expresso_lib.faithfulness import decomposition, headset, metrics, trials
from expresso_lib.models import experiments

from . import scores

# Heads fitted to dealt scores, in every cohort with a planted region.
DEALS = 4
# Left and right are planted alike, so the right side stands for both.
REGIONS = ("right_eyebrow", "right_eye", "nose", "mouth")
POOLED = ("pooled", "pooled_all", "all")
SHOWN = ("DeepLift", "IntegratedGradients", "ShapleySampling (stretches)", "painted", "model")
ELSEWHERE = ("interventional_rank", "removal_fidelity", "completeness", "output")
HEADSETS = 24  # people of an audit, as in chapter 7


def fold_models(
    design: scores.Design, variant: str, seed: int
) -> tuple[experiments.Study, models.Recipe, dict[str, Path]]:
    """A cohort's study and recipe, and for every participant a model that has not seen them."""
    study, recipe = design.study(variant, seed), replace(design.recipe, variant=variant)
    experiments.features(recipe, study, executor=design.executor)
    out = design.folder(variant, seed) / "models"
    return study, recipe, experiments.fold_models(recipe, study, out)


# Regions


def region_table(
    design: scores.Design, seeds: Sequence[int], regions: Sequence[str] = REGIONS
) -> pd.DataFrame:
    """What is said of every region where severity is planted in one of them.

    Returns
    -------
    DataFrame
        seed, planted, r (participant level, held out), region, enrichment (log density of both
        signs against the rest of the face, mean over participants), beyond (what of it heads
        fitted to dealt scores do not have: `decomposition.beyond_chance`), part (of r, that the
        region adds: `explanation.parts_of_r`), densest, learnt and carries (the regions with the
        highest enrichment, with the most beyond chance, with the largest part), follows and
        follows_r (which of the head's features correlates most with the score in this cohort, and
        how much: what two dozen people do by chance, a head learns like what was planted).
    """
    parts = []
    for seed in seeds:
        for name in regions:
            table = _regions_of(design, f"region:{name}", seed)
            firsts = {
                label: table.loc[table[column].idxmax(), "region"]
                for label, column in (
                    ("densest", "enrichment"),
                    ("learnt", "beyond"),
                    ("carries", "part"),
                )
            }
            parts.append(table.assign(seed=str(seed), planted=name, **firsts))
    columns = [
        "seed",
        "planted",
        "r",
        "region",
        "enrichment",
        "beyond",
        "part",
        "densest",
        "learnt",
        "carries",
        "follows",
        "follows_r",
    ]
    return pd.concat(parts, ignore_index=True)[columns]


def _regions_of(design: scores.Design, variant: str, seed: int) -> pd.DataFrame:
    study, recipe, owner = fold_models(design, variant, seed)
    out = design.folder(variant, seed)
    below = partial(_map, design, out)
    table, _ = cohorts.explain(study, recipe, owner, map=below, out="explained")
    chance = cohorts.label_permuted(study, recipe, DEALS, map=below, folder=out / "dealt", each=1)
    part = explanation.parts_of_r(table, study.participants).mean()
    found = pd.DataFrame(
        {
            "enrichment": explanation.enrichment(table).mean(),
            "beyond": decomposition.beyond_chance(table, chance)["estimate"],
            "part": part.loc[list(anatomy.FEATURE_REGIONS)],
        }
    )
    # All parts together, those of the rest and of f(x0) included, are r.
    name, r = _follower(study, recipe)
    return (
        found.rename_axis("region")
        .reset_index()
        .assign(r=float(part.sum()), follows=name, follows_r=r)
    )


def _follower(study: experiments.Study, recipe: models.Recipe) -> tuple[str, float]:
    """The head's feature whose participants' means correlate most with the score, and how much."""
    values = experiments.read_features(experiments.features(recipe, study))
    names = [f"feature {k}" for k in range(values.shape[1])]
    whose = study.clip_set(recipe).table["participant"].to_numpy()
    means = pd.DataFrame(values, columns=names).groupby(whose).mean()
    score = study.participants.set_index("participant")["score"].loc[means.index].astype(float)
    r = means.corrwith(score).fillna(0.0)
    return str(r.abs().idxmax()), float(r[r.abs().idxmax()])


def _map(
    design: scores.Design, folder: Path, work: Any, items: Any, *, out: str, **options: Any
) -> list[store.Outcome]:
    """`store.map` below a cohort's folder, by the study's executor."""
    how = {"executor": design.executor, "describe": f"{folder.name} {out}"} | options
    return store.map(work, items, out=folder / out, **how)


# Interventions


def faithfulness_table(design: scores.Design, seeds: Sequence[int]) -> pd.DataFrame:
    """The bars of `faithfulness` in each cohort by itself, and what is said of the headset.

    Returns
    -------
    DataFrame
        seed, model, method, baseline, factor, metric, support, estimate, ci_low, ci_high,
        n_participants, n_clips. Pooled metrics of every explanation and control; per factor the
        own-neutral channel's fidelity and ``effect_sd``, how much the model uses the factor (sd of
        its effect, points). Factor ``headset``: points of `headset.points`, of the model as it is
        and of one that was taught with headsets; baseline ``effect`` is the truth.
    """
    parts = []
    for seed in seeds:
        study, recipe, owner = fold_models(design, "default", seed)
        rows = trial_rows(design, study, recipe, owner, seed)
        parts.append(judged(rows).assign(seed=str(seed), model="default"))
        checkpoint = owner[min(owner)]
        parts.append(headset_points(design, recipe, checkpoint, seed).assign(seed=str(seed)))
    keys = ["seed", "model", "method", "baseline", "factor", "metric", "support"]
    return pd.concat(parts, ignore_index=True)[[*keys, *metrics.ENDS, *metrics.COUNTS]]


def trial_rows(
    design: scores.Design,
    study: experiments.Study,
    recipe: models.Recipe,
    owner: dict[str, Path],
    seed: int,
) -> pd.DataFrame:
    """The trials of chapter 7 in a cohort of the study."""
    items = trials.items(
        study.recordings,
        study.archives[recipe.input],
        owner,
        length=recipe.frames,
        cohort=design.shape.arguments(recipe.variant, seed),
        full_size=design.shape.render_size,
        most=design.clips,
        randomised=1,
        depths=[-1],
    )
    below = partial(_map, design, design.folder(recipe.variant, seed))
    done = below(trials.trial_item, items, out="trials", suffix=".parquet")
    return trials.adding_up(trials.read(done))


def headset_points(
    design: scores.Design, recipe: models.Recipe, checkpoint: Path, seed: int
) -> pd.DataFrame:
    """The audit of chapter 7 on other people with headsets."""
    shape, below = design.shape, partial(_map, design, design.folder("headset", seed))
    people = headset.items(participants=min(HEADSETS, shape.participants), length=recipe.frames,
                           side=shape.size, rate=shape.rate, seed=seed)  # fmt: skip
    clips = below(headset.render, people, out="pairs", suffix=".npz")
    audits = headset.audits(checkpoint, clips)
    rows = trials.read(below(headset.audit, audits, out="audit", suffix=".parquet"))
    found = headset.points(rows, draws=design.draws).reset_index()
    found = found.rename(columns={"points": "estimate", "channel": "baseline"})
    return found.assign(method="DeepLift", factor="headset", metric="points", support="changed")


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    table = faithfulness.table(rows)
    own = (table["baseline"] == metrics.DEFAULT[1]) & (table["metric"] == "interventional_fidelity")
    used = rows[
        (rows["metric"] == "evidence")
        & (rows["method"] == "amount")
        & (rows["support"] == "changed")
    ]
    spread = used.groupby("factor")["effect"].std(ddof=0).rename("estimate").reset_index()
    spread = spread.assign(method="model", baseline="none", metric="effect_sd", support="clip")
    # A control that says nothing, or always the same, has no correlation: no row. Committed tables
    # stay small: of the other controls and explanations only what a bar is held against.
    shown = table["method"].isin(SHOWN) & ~table["metric"].isin(ELSEWHERE)
    asked = shown | table["metric"].isin(["interventional_fidelity", "time_fidelity"])
    kept = table[(table["factor"].isin(POOLED) | own) & table["estimate"].notna() & asked]
    return pd.concat([kept, spread], ignore_index=True)
