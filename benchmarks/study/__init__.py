"""The study behind the book's one cohort: many cohorts, every cell, what chance would do.

``rendering`` makes cohorts, ``scores`` predicts in them and says how well, ``reading`` says what
is lost between movement and network, ``explanations`` asks whether explanations are true,
``networks`` asks it of several networks and methods. `run` does the parts that are asked for, each
resumable, and commits small tables, stamped with commit, date and machine.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import pandas as pd

from expresso_lib import _checks, config, models, store
from expresso_lib.pipeline import provenance

from . import explanations, networks, reading, rendering, scores

logger = logging.getLogger(__name__)

SEEDS = (0, 1, 2, 3, 4)
# Parts that predict share their tables; the others make one each. The order is that of worth.
PREDICTING = ("scores", "amount", "null", "headset", "scratch", "grid")
EXPLAINING: dict[str, Callable[[scores.Design, Sequence[int]], pd.DataFrame]] = {
    "chance": scores.null_table,
    "faithfulness": explanations.faithfulness_table,
    "regions": explanations.region_table,
    "networks": networks.network_table,
    "reading": reading.reading_table,
}
PARTS = ("scores", "reading", "amount", "null", "chance", "headset", "faithfulness", "regions",
         "networks", "scratch", "grid")  # fmt: skip
NAMES = {"chance": "study_null"}


def folder(root: Path) -> Path:
    """Where the committed tables lie."""
    return root / "benchmarks" / "study"


def design(
    parameters: config.Parameters, root: Path, *, executor: Executor | None = None
) -> scores.Design:
    """Take from the parameters what a study varies around."""
    cohort, cut, fit = parameters.cohort, parameters.clips, parameters.training
    if cut.step or cut.dilation != 1:
        raise config.ParameterError(
            "the study cuts clips one way; leave clips.step = 0 and clips.dilation = 1."
        )
    shape = rendering.Shape(
        cohort.participants, cohort.recordings, cohort.seconds, cohort.fps, cut.fps, cut.size
    )
    recipe = models.Recipe(
        fit.model,
        fit.weights,
        cut.input,
        cut.frames,
        seed=fit.seed,
        fit=fit.fit,
        folds=fit.folds,
        repeats=fit.repeats,
    )
    tuning = models.FineTuning.of(fit)
    return scores.Design(
        shape,
        recipe,
        root / "build" / parameters.run.name / "data",
        folds=fit.folds,
        repeats=fit.repeats,
        tuning=tuning,
        draws=fit.bootstrap,
        clips=parameters.attribution.trust_clips,
        executor=executor,
    )


def run(
    plan: scores.Design, root: Path, *, seeds: Sequence[int] = SEEDS, only: Sequence[str] = ()
) -> dict[str, pd.DataFrame]:
    """Do the parts asked for (all, where none is named) and write their tables.

    Parameters
    ----------
    plan : scores.Design
        What is varied around.
    root : Path
        The project; tables go to ``build/<run>/tables`` and to ``benchmarks/study``.
    seeds : sequence of int
        Cohorts.
    only : sequence of str
        Of `PARTS`.

    Returns
    -------
    dict
        Name to table, those of the parts that were asked for.
    """
    for name in only:
        _checks.one_of(name, PARTS, "part of the study")
    made: dict[str, pd.DataFrame] = {}
    for part in [name for name in PARTS if not only or name in only]:
        logger.info("study, part %s, seeds %s", part, " ".join(map(str, seeds)))
        if part in PREDICTING:
            for seed in seeds:
                _keep_predictions(plan, part, seed)
            made |= prediction_tables(plan)
        else:
            made[NAMES.get(part, f"study_{part}")] = EXPLAINING[part](plan, seeds)
            if part == "networks":
                made["study_predictors"] = networks.predictors(made["study_networks"])
        for name, table in made.items():
            _write(plan, root, name, table)
    return made


def _keep_predictions(plan: scores.Design, part: str, seed: int) -> None:
    table = scores.predictions(plan, part, seed)
    with store.atomic(plan.root / "predictions" / f"{part}-s{seed}.parquet") as temporary:
        table.to_parquet(temporary)


def prediction_tables(plan: scores.Design) -> dict[str, pd.DataFrame]:
    """Tables ``study_scores`` and ``study_differences`` of all predictions that are there."""
    predicted: dict[int, list[pd.DataFrame]] = {}
    for path, seed in _predicted(plan).items():
        predicted.setdefault(seed, []).append(pd.read_parquet(path))
    joined = {seed: pd.concat(parts, ignore_index=True) for seed, parts in predicted.items()}
    known = {name for table in joined.values() for name in table["recipe"].unique()}
    firsts = [plan.recipe, *(replace(plan.recipe, variant=name) for name in scores.VARIANTS)]
    differences = [
        scores.difference_table(_with(joined, first.name), first.name, draws=plan.draws)
        for first in firsts
        if first.name in known
    ]
    return {
        "study_scores": scores.score_table(joined, draws=plan.draws),
        "study_differences": pd.concat(differences, ignore_index=True),
    }


def _with(joined: dict[int, pd.DataFrame], recipe: str) -> dict[int, pd.DataFrame]:
    """The cohorts in which a recipe was tried."""
    return {seed: table for seed, table in joined.items() if (table["recipe"] == recipe).any()}


def _predicted(plan: scores.Design) -> dict[Path, int]:
    """Files of predictions, those of earlier calls included, and the cohort of each.

    The part that holds the default comes first: it is what the others are read against.
    """
    known = [
        (part, int(seed), path)
        for path in (plan.root / "predictions").glob("*.parquet")
        for part, _, seed in [path.stem.rpartition("-s")]
        if part in PREDICTING
    ]
    known.sort(key=lambda one: (PREDICTING.index(one[0]), one[1]))
    return {path: seed for _, seed, path in known}


def _write(plan: scores.Design, root: Path, name: str, table: pd.DataFrame) -> None:
    build = plan.root.parent / "tables"
    for suffix, write in ((".parquet", table.to_parquet), (".csv", table.to_csv)):
        with store.atomic(build / f"{name}{suffix}") as temporary:
            write(temporary, index=False)
    named = table["seed"].astype(str) if "seed" in table else map(str, _predicted(plan).values())
    provenance.keep(
        folder(root),
        name,
        table,
        device=f"{plan.tuning.device} ({platform.machine()}, {os.cpu_count()} cores)",
        seeds=sorted({int(seed) for seed in named if seed.isdigit()}),
        recipe=plan.recipe.name,
    )
