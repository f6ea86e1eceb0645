"""What is lost between a person's exact movements and the network's features, and where.

On practice cohorts that no chapter uses. The same ridge head, in the same folds, reads the score
from the exact movements and from the network; and it reads every planted behaviour
from the network's features: what goes with severity and is read badly is what is lost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from expresso_lib.faces import anatomy
from expresso_lib.models import experiments, heads
from expresso_lib.rendered import oracle, scene

from . import scores

PRACTICE = 500  # added to a study's seed
HEAD, GAZE = ("yaw", "pitch", "roll"), ("gaze_x", "gaze_y")
SERIES = (*anatomy.AU_CODES, *HEAD, *GAZE)
# Planted behaviours by what is measured of which series (`oracle.features`).
BEHAVIOURS = {
    "tempo of smiles": ("tempo", ("AU12",)),
    "tempo of speech": ("tempo", ("AU25", "AU26")),
    "tempo of the head": ("tempo", HEAD),
    "tempo of the gaze": ("tempo", GAZE),
    "tempo of the brows": ("tempo", ("AU01", "AU02")),
    "cheeks behind the smile": ("lag", ("AU06",)),
    "amount of smiling": ("mean", ("AU12",)),
    "amount of speech": ("mean", ("AU25", "AU26")),
    "nose wrinkled": ("mean", ("AU09",)),
    "motion of the head": ("sd", HEAD),
    "brows lowered": ("mean", ("AU04",)),
    "dimples": ("mean", ("AU14",)),
    "chin raised": ("mean", ("AU17",)),
}


def movements(script: scene.Script) -> pd.Series:
    """Exact dynamics of a recording: (what is measured, series) to its value."""
    kinds = [(kind, name) for kind in ("mean", "sd", "tempo") for name in SERIES]
    values = oracle.features(script, "dynamics", np.random.default_rng(0))
    return pd.Series(values, index=pd.MultiIndex.from_tuples([*kinds, ("lag", "AU06")]))


def reading_table(design: scores.Design, seeds: Sequence[int]) -> pd.DataFrame:
    """What is read from where, in practice cohorts.

    Returns
    -------
    pd.DataFrame
        ``seed, kind, what``; ``with_score`` (r of a behaviour with the score; NaN for kind
        ``score``), ``read`` (r of the true value with what a ridge head reads, people held out,
        mean over the repeats of the folds).
    """
    return pd.concat([_cohort(design, PRACTICE + seed) for seed in seeds], ignore_index=True)


def _cohort(design: scores.Design, seed: int) -> pd.DataFrame:
    study = design.study("default", seed)
    clips, plan = study.clip_set(design.recipe), design.shape.plan("default", seed)
    values = experiments.read_features(experiments.features(design.recipe, study))
    network = pd.DataFrame(values).groupby(clips.table["participant"].to_numpy()).mean()
    owner = plan.recordings["participant"].to_numpy()
    exact = pd.DataFrame([movements(plan.script(name)) for name in plan.recordings["recording"]])
    exact = exact.groupby(owner).mean().loc[network.index]
    exact = exact / exact.std().replace(0, 1)
    score = plan.participants.set_index("participant")["score"].loc[network.index]
    sources = {"exact movements": exact, "their level and spread": exact[["mean", "sd"]],
               "the network": network}  # fmt: skip
    rows = [("score", name, np.nan, _read(source, score, study.schemes))
            for name, source in sources.items()]  # fmt: skip
    for name, (kind, series) in BEHAVIOURS.items():
        true = exact[kind][list(series)].mean(axis=1)
        rows.append(("behaviour", name, true.corr(score), _read(network, true, study.schemes)))
    table = pd.DataFrame(rows, columns=["kind", "what", "with_score", "read"])
    table.insert(0, "seed", str(seed))
    return table


def _read(source: pd.DataFrame, true: pd.Series, schemes: pd.DataFrame) -> float:
    """Mean r over the repeats of what is read of people whom the head has not seen."""
    x, y, people = source.to_numpy(), true.to_numpy(), source.index.to_numpy()
    found = []
    for _, scheme in schemes.groupby("repeat"):
        fold = scheme.set_index("participant")["fold"].loc[people].to_numpy()
        said = np.empty(len(y))
        for number in np.unique(fold):
            test = fold == number
            said[test] = heads.fit_ridge(x[~test], y[~test], people[~test]).predict(x[test])
        found.append(np.corrcoef(said, y)[0, 1])
    return float(np.mean(found))
