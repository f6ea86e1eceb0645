"""Everybody's explanation in one call: by the models that have not seen them, and by others.

`explain` is the chapters' one step from fold models to tables. `label_permuted` and `repeated`
explain the same people by models that were fitted to permuted scores, or in other folds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expresso_lib import clips, models, store
from expresso_lib.attribution import explanation, references
from expresso_lib.models import experiments

Map = Callable[..., list[store.Outcome]]
NEUTRAL = (("DeepLift", references.NEUTRAL),)
DRAWS = 1000  # seeds of a recording: more than its networks
# Folds made anew for H1. With two repeats the variance between models is known so badly that the
# family-wise test errs in 8 % (84 people); with three in 5.9 % (calibrations).
REPEATS = 3
BEYOND = 2**40  # frames between windows, more than any recording has: one clip fits


def explain(study: experiments.Study, recipe: models.Recipe, model_of: Mapping[str, Path], *,
            map: Map, out: str, recordings: pd.DataFrame | None = None,
            channels: Sequence[Sequence[str]] = NEUTRAL, randomised: int = 0, seed: int = 0,
            **options: Any) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Explain recordings and pool what was found over regions and over frames.

    Parameters
    ----------
    study : experiments.Study
        Its recordings, clips and windows.
    recipe : Recipe
        The models'.
    model_of : mapping
        Participant to the checkpoint that has not seen them.
    map : callable
        `pipeline.Run.map`, or `store.map`.
    out : str
        Folder of the explanations.
    recordings : DataFrame, optional
        Some of the study's recordings.
    channels : sequence of (method, baseline)
    randomised : int
        Networks with shuffled weights, for the first recording of everyone.
    seed : int
        Of the first recording; each has its own.
    **options
        Of `explanation.explain`.

    Returns
    -------
    attribution_regions, attribution_frames : DataFrame
    """
    shown = study.recordings if recordings is None else recordings
    shape = {"length": recipe.frames, "dilation": study.dilation}
    known = clips.archived(shown, study.archives[recipe.input], model_of, **shape)
    # Drawn anew for everybody: what networks share by chance would look like a finding.
    networks = np.where(known["participant"].duplicated(), 0, randomised)
    how = shape | {"step": study.step, "channels": channels} | options
    work = [
        explanation.item(one.recording, one.archive, model_of[one.participant],
                         randomised=int(count), seed=seed + DRAWS * number, **how)
        for number, (one, count) in enumerate(zip(known.itertuples(), networks))
    ]  # fmt: skip
    done = map(explanation.explain_item, work, out=out, describe=f"explaining ({out})")
    owner = shown.set_index("recording")["participant"]
    files = [(owner[one.item.name], one.item.name, one.path) for one in done]
    return explanation.tables(files, recipe=recipe.name)


def firsts(recordings: pd.DataFrame) -> pd.DataFrame:
    """Return the first recording of every participant."""
    return recordings.sort_values("recording").drop_duplicates("participant")


def label_permuted(study: experiments.Study, recipe: models.Recipe, count: int, *, map: Map,
                   folder: Path, method: str = "DeepLift",
                   each: int = 3) -> list[pd.DataFrame]:  # fmt: skip
    """Return ``attribution_regions`` of models whose scores were permuted among participants.

    They have seen the same faces and nothing of severity. The first clip of every third person (or
    of each so many) is explained, by ``method`` on the own neutral face and each of ``count``
    models; their heads are kept below ``folder``.
    """
    some, channels = firsts(study.recordings).iloc[::each], [(method, references.NEUTRAL)]
    first = replace(study, step=BEYOND)
    found = []
    for k in range(count):
        dealt = experiments.dealt(study, k)
        blind = experiments.fold_models(recipe, dealt, folder / f"permuted_{k}")
        how = {"map": map, "out": f"explanations_permuted_{k}", "recordings": some}
        found.append(explain(first, recipe, blind, channels=channels, **how)[0])
    return found


def repeated(study: experiments.Study, recipe: models.Recipe, *, map: Map, folder: Path,
             method: str = "DeepLift", repeats: int = REPEATS) -> pd.DataFrame:  # fmt: skip
    """Return ``attribution_frames`` of first recordings by the models of other folds.

    Parameters
    ----------
    method : str
        Attribution method, on the own neutral face.
    repeats : int
        How often the folds are made anew; ``repeat`` counts them from 1.

    Returns
    -------
    DataFrame
        With ``repeat`` and ``fold`` beside the columns of ``attribution_frames``.
    """
    schemes = experiments.schemes(
        study.participants, folds=recipe.folds, repeats=repeats + 1, seed=recipe.seed
    )
    some, channels = firsts(study.recordings), [(method, references.NEUTRAL)]
    parts = []
    for k, part in schemes[schemes["repeat"] > 0].groupby("repeat"):
        model_of = experiments.fold_models(recipe, replace(study, schemes=part), folder / f"r{k}")
        how = {"map": map, "out": f"explanations_repeat_{k}", "recordings": some}
        frames = explain(study, recipe, model_of, channels=channels, **how)[1]
        parts.append(frames.assign(repeat=k))
    return pd.concat(parts).merge(schemes, on=["participant", "repeat"])
