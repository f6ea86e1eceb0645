"""Experiments: recipes carried out on prepared clips, from archives to a saved final model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from expresso_lib import clips, config, models
from expresso_lib.attribution import explanation
from expresso_lib.figures import training as plots
from expresso_lib.models import experiments

P, R, F, SIZE = 8, 2, 19, 16


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """Archives of eight participants, as chapter 2 leaves them."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    for way in clips.INPUTS:
        for p in range(P):
            for r in range(R):
                frames = rng.integers(0, 120, (F, SIZE, SIZE, 3)) + 15 * p
                clips.ClipArchive(
                    frames.astype(np.uint8), np.arange(0, 2 * F, 2),
                    np.zeros((F, 68, 2), np.float32), np.zeros((F, 2, 3), np.float32),
                    np.zeros((F, SIZE, SIZE), np.uint8), 12.5, way,
                ).save(folder / f"clips_{way}" / f"P{p:02d}_R{r}.npz")  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def study(run_folder: Path) -> experiments.Study:
    names = [f"P{p:02d}" for p in range(P)]
    bands = np.repeat(["minimal", "mild", "moderate", "severe"], 2)
    people = pd.DataFrame({"participant": names, "score": np.arange(P) * 5.0, "band": bands})
    rows = [(n, f"{n}_R{r}", "read") for n in names for r in range(R)]
    recordings = pd.DataFrame(rows, columns=["participant", "recording", "task"])
    parameters = config.validate(
        {"clips": {"size": SIZE, "frames": 6}, "training": {"folds": 4, "epochs": 1}}
    )
    return experiments.study_of(people, recordings, run_folder, parameters)


RECIPE = models.Recipe(model="small_image", weights="none", frames=6, folds=4, repeats=1)


@pytest.fixture(scope="module")
def predictions(study, run_folder) -> pd.DataFrame:
    return experiments.run_recipes([RECIPE], study, out=run_folder / "recipes")


def test_clips_cover_a_recording_from_first_to_last(study) -> None:
    """The fewest windows that reach both ends; whose they are stands in the table."""
    data = study.clip_set(RECIPE)
    assert data.windows.min() == 0
    assert data.windows.max() >= F - 2  # the step is a whole number of frames
    assert len(data) == P * R * 4
    assert data[3].shape == (3, 6, SIZE, SIZE)
    assert set(data.table["participant"]) == set(study.participants["participant"])


def test_an_archive_that_is_cut_anew_is_read_anew(study, run_folder, tmp_path) -> None:
    """A clip shows what lies there now, also where this process has read the file before."""
    path = tmp_path / "P00_R0.npz"
    before = clips.ClipArchive.load(run_folder / "clips_face" / "P00_R0.npz")
    one = experiments.ClipSet(study.clip_set(RECIPE).table[:1], np.array([[0, 1]]), tmp_path)
    for shown in (before.frames, 255 - before.frames):
        replace(before, frames=shown).save(path)
        assert float(one[0].mean()) == pytest.approx(shown[:2].mean() / 255, rel=1e-5)


def test_no_recipe_of_the_grid_is_longer_than_the_recordings(study) -> None:
    """19 frames hold a clip of 16, and of 10 where only every second frame is taken."""
    assert study.longest() == F
    dilated = replace(study, dilation=2)
    assert dilated.longest() == 10
    tried = experiments.grid(RECIPE, full=False, longest=dilated.longest())
    assert {recipe.frames for recipe in tried} == {RECIPE.frames}


def test_all_recipes_are_of_the_same_people_whoever_has_short_recordings(tmp_path) -> None:
    """Whom no clip of the default's length fits is in no recipe; a length that loses one, untried.

    A person of 10 frames among people of 40, by a default of 6, and by one of 16.
    """
    for p in range(P):
        n = 10 if p == 0 else 40
        clips.ClipArchive(
            np.zeros((n, SIZE, SIZE, 3), np.uint8), np.arange(n), np.zeros((n, 68, 2), np.float32),
            np.zeros((n, 2, 3), np.float32), np.zeros((n, SIZE, SIZE), np.uint8), 12.5,
        ).save(tmp_path / "clips_face" / f"P{p}.npz")  # fmt: skip
    names = [f"P{p}" for p in range(P)]
    people = pd.DataFrame({"participant": names, "score": np.arange(P) * 5.0, "band": "mild"})
    recordings = people[["participant"]].assign(recording=names)
    for frames, kept, longest in ((6, P, 10), (16, P - 1, 40)):
        given = {"clips": {"size": SIZE, "frames": frames}, "training": {"folds": 3}}
        own = experiments.study_of(people, recordings, tmp_path, config.validate(given))
        assert len(own.participants) == len(own.recordings) == kept
        assert own.longest() == longest


def test_run_recipes_predicts_everyone_once_and_reads_brightness(study, predictions) -> None:
    """Brightness is the score here: the image model finds it, and the null model does not."""
    scores = models.model_scores(predictions, draws=100)
    found = models.summary(scores, RECIPE.name)
    assert found["pearson"] > 0.8
    assert found["mae"] < 0.6 * found["null_mae"]
    assert set(predictions["recipe"]) == {RECIPE.name, "null"}


def test_run_recipes_are_not_done_twice(study, run_folder, predictions, monkeypatch) -> None:
    """A finished recipe is read from disk: no model is built."""
    monkeypatch.setattr(models, "build", None)
    again = experiments.run_recipes([RECIPE], study, out=run_folder / "recipes")
    pd.testing.assert_frame_equal(again, predictions)


TUNED = replace(RECIPE, model="small", fit="last")


def test_fine_tuned_folds_are_predicted_by_networks_that_did_not_see_them(study, tmp_path) -> None:
    """Every fold has a network of its own, its curves say when it stopped, and it is explained."""
    found = experiments.run_recipes([TUNED], study, out=tmp_path / "recipes")
    own = found[found["recipe"] == TUNED.name]
    assert np.isfinite(own["prediction"]).all()
    curves = [models.load(path)[1]["curves"] for path in study.folder.parent.rglob("without_*ors")]
    assert len(curves) == TUNED.folds
    assert all((np.array(c["best_mae"]) <= np.array(c["stop_mae"]) + 1e-6).all() for c in curves)
    paths = experiments.fold_models(TUNED, study, tmp_path / "folds")
    network, _ = models.load(paths["P04"])
    data = study.clip_set(TUNED)
    row = int(np.flatnonzero(data.table["participant"] == "P04")[0])
    said = own.set_index("clip")["prediction"][data.table["clip"][row]]
    with torch.no_grad():
        assert network(data[row][None]).item() == pytest.approx(said, abs=1e-3)


def test_a_killed_recipe_goes_on_in_the_fold_it_had_reached(study, tmp_path, monkeypatch) -> None:
    """Finished folds are not fitted again, and the predictions are those of an unbroken run."""
    whole = experiments.run_recipes([TUNED], study, out=tmp_path / "whole")
    broken = replace(study, folder=tmp_path / "broken" / "features")
    finetune, fitted = models.finetune, []

    def counted(model, *arguments, **options):
        if len(fitted) == 2:
            raise KeyboardInterrupt
        fitted.append(model)
        return finetune(model, *arguments, **options)

    monkeypatch.setattr(models, "finetune", counted)
    with pytest.raises(KeyboardInterrupt):
        experiments.run_recipes([TUNED], broken, out=tmp_path / "recipes")
    fitted[:] = [None] * 3
    again = experiments.run_recipes([TUNED], broken, out=tmp_path / "recipes")
    assert len(fitted) == 5
    pd.testing.assert_frame_equal(again, whole)


def test_people_left_out_together_twice_have_one_network(study, tmp_path) -> None:
    """As in repeats of folds that hold one person each: the same file, made once."""
    here = replace(study, folder=tmp_path / "features")
    one, other = frozenset({"P00", "P01"}), frozenset({"P06"})
    paths = experiments.tuned(TUNED, here, [one, other, one])
    assert paths[0] == paths[2] != paths[1]
    times = [path.stat().st_mtime_ns for path in paths]
    dealt = experiments.tuned(TUNED, experiments.dealt(here, 0), [one])
    assert dealt[0] not in paths  # dealt scores do not overwrite what the true ones gave
    assert [path.stat().st_mtime_ns for path in experiments.tuned(TUNED, here, [one, other, one])
            ] == times  # fmt: skip


def test_archives_of_an_earlier_cohort_take_no_part(study, run_folder) -> None:
    """Fewer people in the same folder: what was cut of the others is not read, nor part of keys."""
    few = study.participants.tail(6), study.recordings[study.recordings["participant"] > "P01"]
    parameters = config.validate({"clips": {"size": SIZE, "frames": 6}, "training": {"folds": 2}})
    found = experiments.study_of(*few, run_folder, parameters)
    assert {path.stem for path in found.files("face")} == {*few[1]["recording"]}
    assert len(found.inputs(RECIPE)) == len(few[1])


def test_final_model_keeps_domain_and_interval(study, run_folder, predictions) -> None:
    """The checkpoint says what it was trained on and how wrong it is about somebody new."""
    path = experiments.final_model(
        RECIPE, study, predictions, run_folder / "final.safetensors", domain={"cohort": "x"}
    )
    model, recipe = models.load(path)
    assert recipe["domain"]["cohort"] == "x"
    assert recipe["domain"]["participants"] == P
    assert recipe["interval"]["participants"] == P
    assert float(model.head.weight.detach().abs().sum()) > 0
    assert recipe["domain"]["fps"] == 12.5
    assert explanation.shape(recipe) == {"length": RECIPE.frames, "step": 0, "dilation": 1}


@pytest.mark.parametrize(("frames", "length"), [(None, 16), (100, 16), (31, 16), (30, 15), (1, 1)])
def test_clips_of_a_record_fit_a_short_recording(frames, length) -> None:
    """A clip of 16 frames of which every other is taken spans 31."""
    found = explanation.shape({"frames": 16, "step": 3, "dilation": 2}, frames)
    assert found == {"length": length, "step": 3, "dilation": 2}
    if frames:
        assert len(clips.windows(frames, **found)) >= 1


def test_fold_models_repeat_the_cross_validated_predictions(study, predictions, tmp_path) -> None:
    """Nobody is explained by a model that saw them, and each model says what was predicted."""
    paths = experiments.fold_models(RECIPE, study, tmp_path)
    own = predictions[predictions["recipe"] == RECIPE.name]
    assert paths == experiments.fold_paths(own, tmp_path)
    assert len(set(paths.values())) == RECIPE.folds
    network, recipe = models.load(paths["P04"])
    data = study.clip_set(RECIPE)
    row = int(np.flatnonzero(data.table["participant"] == "P04")[0])
    said = own.set_index("clip")["prediction"][data.table["clip"][row]]
    with torch.no_grad():
        assert network(data[row][None]).item() == pytest.approx(said, abs=1e-3)
    assert recipe["fold"] == int(own.set_index("participant")["fold"]["P04"].iloc[0])
    before = {path: path.stat().st_mtime_ns for path in paths.values()}
    experiments.fold_models(RECIPE, study, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_grid_starts_with_the_default_and_names_differ() -> None:
    """One thing changes at a time, and the reader can tell which."""
    default = models.Recipe()
    for full in (False, True):
        recipes = experiments.grid(default, full=full)
        assert recipes[0] == default
        assert len(experiments.labels(recipes)) == len(recipes)
        assert len(set(experiments.labels(recipes).values())) == len(recipes)
    assert experiments.image_recipe(default).model == "small_image"
    assert ("null" in dict(experiments.comparisons(recipes)).values()) is False
    assert experiments.comparisons(recipes)[0] == (default.name, "null")


@pytest.mark.parametrize(
    ("model", "weights", "image", "of_image"),
    [
        ("small", "facial-actions", "small_image", "facial-actions"),
        ("r2plus1d_18", "kinetics400", "resnet18", "imagenet"),
        ("r2plus1d_18", "none", "resnet18", "none"),
    ],
)
def test_the_image_model_starts_where_the_video_model_does(model, weights, image, of_image) -> None:
    """Pre-trained beside pre-trained, random beside random: else the comparison is of weights."""
    found = experiments.image_recipe(models.Recipe(model=model, weights=weights))
    assert (found.model, found.weights) == (image, of_image)


def test_figures_of_chapter_3_are_drawn(study, predictions) -> None:
    """Every figure takes the tables as they are."""
    names = {RECIPE.name: "image"}
    scores = models.model_scores(predictions, draws=100)
    differences = models.model_differences(predictions, [(RECIPE.name, "null")], draws=100)
    own = predictions[predictions["recipe"] == RECIPE.name]
    errors = models.errors(own, study.participants)
    drawn = [
        plots.model_forest(scores, names),
        plots.difference_forest(differences, {"null": "the null model"}),
        plots.calibration(errors.participant),
    ]
    assert all(isinstance(figure, Figure) for figure in drawn)
    assert list(errors.by_band["band"]) == ["minimal", "mild", "moderate", "severe"]


def test_features_are_not_those_of_another_order(study, tmp_path) -> None:
    """Rows follow participants: who owns a recording decides which features are whose."""
    own = replace(study, folder=tmp_path)
    before = experiments.read_features(experiments.features(RECIPE, own))
    swapped = study.recordings.assign(
        participant=study.recordings["participant"].replace({"P00": "P07", "P07": "P00"})
    )
    other = replace(own, recordings=swapped)
    after = experiments.read_features(experiments.features(RECIPE, other))
    assert not np.allclose(before, after)


def test_a_recording_that_belongs_to_somebody_else_is_predicted_anew(study, tmp_path) -> None:
    """A corrected list of people: kept predictions would be of a model that saw the person."""
    experiments.run_recipes([RECIPE], study, out=tmp_path / "kept")
    table = study.scored()
    moved = table["participant"].where(table["recording"] != "P01_R1", "P02")
    other = replace(study, recordings=table.assign(participant=moved))
    assert dict(other.scored()[["recording", "score"]].to_numpy()) == dict(
        table[["recording", "score"]].to_numpy()
    )
    kept, fresh = (experiments.run_recipes([RECIPE], other, out=tmp_path / name)
                   for name in ("kept", "fresh"))  # fmt: skip
    pd.testing.assert_frame_equal(kept, fresh)


def test_null_model_is_the_mean_where_a_person_scores_differently() -> None:
    """Scores 0, 1, 2 of one person count with their mean, not with the first."""
    table = pd.DataFrame({"participant": list("aaabbb"), "score": [0, 1, 2, 0, 1, 2]})
    fit = models.null_fit(table)
    assert fit(np.arange(6) < 3, np.arange(6) >= 3).tolist() == [1, 1, 1]


def test_dealt_scores_are_the_same_scores_in_other_hands(study) -> None:
    """Another number is another deal; a recording's own score goes, the features stay."""
    own = study.participants["score"].tolist()
    deals = [experiments.dealt(study, number) for number in range(6)]
    for one in deals:
        assert sorted(one.participants["score"]) == sorted(own)
        told = one.scored().groupby("participant")["score"]
        assert told.nunique().eq(1).all()
        assert told.first().tolist() == one.participants.set_index("participant").loc[
            told.first().index, "score"].tolist()  # fmt: skip
        assert one.cutting() == study.cutting()  # so that features are shared
    assert len({tuple(one.participants["score"]) for one in deals}) > 1
    assert any(one.participants["score"].tolist() != own for one in deals)


def test_scores_that_differ_within_people_are_dealt_as_they_are(study) -> None:
    """Everybody with 0, 1, 2 ... of their own: dealt means would leave nothing to differ."""
    rows = study.recordings.sort_values("recording")
    daily = replace(
        study, recordings=rows.assign(score=rows.groupby("participant").cumcount() * 1.0)
    )
    before = daily.scored()
    after = experiments.dealt(daily, 1).scored()
    assert before["recording"].tolist() == after["recording"].tolist()
    alike = before.groupby("participant")["score"].agg(sorted)
    assert after.groupby("participant")["score"].agg(sorted).equals(alike)
    assert any(experiments.dealt(daily, k).scored()["score"].tolist() != before["score"].tolist()
               for k in range(6))  # fmt: skip


def test_seeds_that_draw_nothing_are_no_rows_of_the_grid() -> None:
    """A frozen, pre-trained trunk under a ridge head is the same with every seed."""
    seeds = {fit: {one.seed for one in experiments.grid(replace(RECIPE, fit=fit), full=True)}
             for fit in ("ridge", "all")}  # fmt: skip
    assert len(seeds["all"]) == 3
    assert len(seeds["ridge"]) == (3 if RECIPE.weights == "none" else 1)
