"""Everybody explained by other models: of permuted scores, of other folds; by which method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from expresso_lib import clips, config, models, store
from expresso_lib.attribution import cohorts
from expresso_lib.faces import anatomy
from expresso_lib.models import experiments

P, F, SIZE = 6, 12, 16
RECIPE = models.Recipe(model="small_image", weights="none", frames=6, folds=3, repeats=1)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> experiments.Study:
    """Six people whose brightness is their score, all regions in every picture."""
    folder, rng = tmp_path_factory.mktemp("run"), np.random.default_rng(0)
    regions = np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % len(anatomy.REGIONS)
    shape = rng.uniform(4, 12, (68, 2)).astype(np.float32)
    for p in range(P):
        frames = rng.integers(0, 120, (F, SIZE, SIZE, 3)) + 20 * p
        clips.ClipArchive(
            frames.astype(np.uint8), np.arange(F), np.stack([shape] * F),
            np.zeros((F, 2, 3), np.float32), np.stack([regions] * F).astype(np.uint8), 12.5, "face",
        ).save(folder / "clips_face" / f"P{p}_R1.npz")  # fmt: skip
    names = [f"P{p}" for p in range(P)]
    people = pd.DataFrame({"participant": names, "score": np.arange(P) * 8.0, "band": "all"})
    recordings = pd.DataFrame({"participant": names, "recording": [f"{n}_R1" for n in names]})
    parameters = config.validate({"clips": {"size": SIZE, "frames": 6}, "training": {"folds": 3}})
    return experiments.study_of(people, recordings, folder, parameters)


def below(folder: Path):
    """`pipeline.Run.map`, in this process."""
    return lambda function, items, *, out, **options: store.map(
        function, items, out=folder / out, **options
    )


@pytest.mark.parametrize("method", ["DeepLift", "IntegratedGradients"])
def test_permuted_labels_are_explained_by_the_method_asked_for(study, tmp_path, method) -> None:
    """One clip of every third person, own neutral, models fitted to different scores."""
    found = cohorts.label_permuted(
        study, RECIPE, 2, map=below(tmp_path), folder=tmp_path / "models", method=method
    )
    assert len(found) == 2
    for table in found:
        assert set(zip(table["method"], table["baseline"])) == {(method, "posed_neutral")}
        assert set(table["participant"]) == {"P0", "P3"}
        assert set(table["clip"]) == {"P0_R1_00000", "P3_R1_00000"}
    one, two = (table.set_index(["participant", "clip", "region"])["signed"] for table in found)
    assert not np.allclose(one, two)


def test_models_of_other_folds_are_explained_by_the_method_asked_for(study, tmp_path) -> None:
    """Everybody's first recording, by models of folds made anew that have not seen them."""
    found = cohorts.repeated(
        study,
        RECIPE,
        map=below(tmp_path),
        folder=tmp_path / "m",
        method="IntegratedGradients",
        repeats=1,
    )
    assert set(zip(found["method"], found["baseline"])) == {
        ("IntegratedGradients", "posed_neutral")
    }
    assert set(found["participant"]) == set(study.participants["participant"])
    assert set(found["repeat"]) == {1}
    folds = experiments.schemes(study.participants, folds=3, repeats=2, seed=RECIPE.seed)
    anew = folds[folds["repeat"] == 1].set_index("participant")["fold"]
    assert (found.groupby("participant")["fold"].first() == anew).all()
