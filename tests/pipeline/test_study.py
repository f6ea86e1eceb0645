"""The study: cohorts straight to archives, stacked scores, calibration, committed tables."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from benchmarks import study
from benchmarks.study import explanations, reading, rendering, scores
from expresso_lib import clips, config, models, rendered
from expresso_lib.faces import anatomy
from expresso_lib.pipeline import project_root, provenance
from expresso_lib.rendered import oracle

RECIPE = models.Recipe(weights="none", frames=8)
DEFAULT, OTHER = RECIPE.name, "small_image-none-face-8-default-s0"


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> scores.Design:
    """Five participants, one recording of 1.2 s each, no pre-trained weights."""
    shape = rendering.Shape(participants=5, recordings=1, seconds=1.2, size=48, render_size=64)
    root = tmp_path_factory.mktemp("study") / "build" / "tiny" / "data"
    return scores.Design(
        shape,
        RECIPE,
        root,
        folds=2,
        repeats=2,
        draws=50,
        nulls=6,
        clips=5,
        tuning=models.FineTuning(epochs=1),
    )


@pytest.fixture(scope="module")
def predicted() -> dict[int, pd.DataFrame]:
    """Predictions of two cohorts of seven: a good model, a poor one with one repeat, the null."""
    found = {}
    for seed in (3, 8):
        rng = np.random.default_rng(seed)
        score = rng.uniform(0, 45, 7)
        parts = []
        for recipe, noise, repeats in ((DEFAULT, 4.0, 2), (OTHER, 30.0, 1), ("null", None, 2)):
            for repeat in range(repeats):
                away = score.mean() - score if noise is None else rng.normal(0, noise, 7)
                names = [f"P{number}" for number in range(7)]
                parts.append(
                    pd.DataFrame(
                        {
                            "recipe": recipe,
                            "participant": names,
                            "recording": names,
                            "clip": names,
                            "repeat": repeat,
                            "fold": 0,
                            "prediction": score + away,
                            "score": score,
                        }
                    )
                )
        found[seed] = pd.concat(parts, ignore_index=True)
    return found


def test_archives_are_cut_at_the_clips_rate_and_not_made_twice(plan) -> None:
    """Every second frame, aligned; a second call renders nothing."""
    folder = plan.folder("default", 1)
    files = rendering.archives(plan.shape, "default", 1, folder=folder)
    archive = clips.ClipArchive.load(files["P03_R1"])
    assert archive.frames.shape == (15, 48, 48, 3)
    np.testing.assert_array_equal(archive.source, np.arange(0, 30, 2))
    assert archive.fps == 12.5
    before = files["P03_R1"].stat().st_mtime_ns
    rendering.archives(plan.shape, "default", 1, folder=folder)
    assert files["P03_R1"].stat().st_mtime_ns == before


def test_predictions_cover_every_recipe_and_participant(plan) -> None:
    """The part ``scores``: the recipes and the null model, everybody tested in every repeat."""
    table = scores.predictions(plan, "scores", 1)
    names = {cell.name for cell in plan.cells("scores")} | {"null"}
    assert set(table["recipe"]) == names
    count = table.groupby(["recipe", "repeat"])["participant"].nunique()
    assert (count == 5).all()
    assert table["prediction"].notna().all()


def test_cells_are_disjoint_and_tuned_ones_start_from_the_default(plan) -> None:
    """No recipe stands in two parts; the headset part differs in its variant alone."""
    parts = {name: plan.cells(name) for name in study.PREDICTING}
    names = [cell.name for cells in parts.values() for cell in cells]
    assert len(names) == len(set(names))
    assert parts["headset"] == [replace(RECIPE, variant="headset")]
    assert parts["scratch"][0].fit == "all"


def test_score_table_stacks_cohorts_and_averages_them(predicted) -> None:
    """``mean`` is the mean of the cohorts; stacked counts everybody once; the null's ratio is 1."""
    table = scores.score_table(predicted, draws=50)
    one = table[(table["recipe"] == DEFAULT) & (table["metric"] == "pearson")].set_index("seed")
    assert one.loc["mean", "estimate"] == pytest.approx(one.loc[["3", "8"], "estimate"].mean())
    assert one.loc["stacked", "n_participants"] == 14
    assert one.loc["stacked", "ci_low"] < one.loc["stacked", "estimate"]
    ratio = table[(table["recipe"] == "null") & (table["metric"] == "mae_ratio")]
    np.testing.assert_allclose(ratio["estimate"], 1.0)
    assert not ((table["recipe"] == "null") & (table["metric"] == "pearson")).any()


def test_difference_table_compares_the_same_repeats(predicted) -> None:
    """A model with one repeat is compared with one repeat of the default, not with their mean."""
    table = scores.difference_table(predicted, DEFAULT, draws=50)
    found = table[(table["recipe_b"] == OTHER) & (table["metric"] == "mae")].iloc[0]
    both = pd.concat(list(predicted.values()))
    both = both[both["repeat"] == 0].assign(error=lambda t: (t["prediction"] - t["score"]).abs())
    mae = both.groupby("recipe")["error"].mean()
    assert found["estimate"] == pytest.approx(mae[DEFAULT] - mae[OTHER])
    assert found["n_participants"] == 14
    assert found["ci_low"] < found["estimate"] < found["ci_high"]


def test_no_correlation_is_compared_with_the_null_models(predicted) -> None:
    """Its r is an accident of the folds: errors are compared, correlations are not."""
    table = scores.difference_table(predicted, DEFAULT, draws=50).groupby("recipe_b")["metric"]
    assert set(table.get_group("null")) == {"mae"}
    assert set(table.get_group(OTHER)) == set(scores.METRICS)


def test_permuted_scores_stay_in_their_folds() -> None:
    """``within folds`` keeps every fold's scores; ``anew`` deals folds that fit the new bands."""
    own = pd.DataFrame(
        {
            "participant": [f"P{i:02d}" for i in range(12)],
            "score": np.arange(12.0),
            "band": ["low"] * 6 + ["high"] * 6,
        }
    )
    schemes = models.folds(own, 3, seed=1).assign(repeat=0)
    inside, same = scores.permuted(own, schemes, "within folds", 4)
    fold = same.set_index("participant")["fold"]
    for number in range(3):
        who = fold.index[fold == number]
        before, after = (set(t.set_index("participant").loc[who, "score"]) for t in (own, inside))
        assert before == after
    anew, dealt = scores.permuted(own, schemes, "anew", 4)
    assert sorted(anew["score"]) == sorted(own["score"])
    bands = dealt.merge(anew[["participant", "band"]]).groupby(["fold", "band"]).size()
    assert (bands == 2).all()
    assert (anew["band"].eq("low") == (anew["score"] < 6)).all()


def test_permutation_test_finds_a_planted_signal() -> None:
    """Planted signal gives a small p; p is never 0."""
    rng = np.random.default_rng(2)
    names = [f"P{i:02d}" for i in range(13)]
    table = pd.DataFrame({"participant": names, "score": np.arange(0, 39.0, 3)})
    schemes = pd.DataFrame({"repeat": 0, "participant": names, "fold": np.arange(13) % 4})
    strong = np.column_stack([table["score"] + rng.normal(0, 1, len(table))] * 2)
    r, null, p = scores.permutation_test(strong, table, schemes, draws=19)
    assert r > 0.9
    assert len(null) == 19
    assert p == pytest.approx(1 / 20)


def test_null_table_counts_rejections(plan) -> None:
    """One row per cohort and scenario and one for all, with an interval around the rate."""
    table = scores.null_table(plan, [1])
    assert list(table.columns) == ["seed", "scenario", "n", "rate", "ci_low", "ci_high"]
    assert set(table["scenario"]) == set(scores.SCENARIOS)
    assert (table["n"] == 6).all()
    assert ((table["ci_low"] <= table["rate"]) & (table["rate"] <= table["ci_high"])).all()


def test_run_keeps_tables_with_their_stamp(plan, tmp_path) -> None:
    """What `run` commits says where, when and at which commit it was made, and for which seeds."""
    made = study.run(plan, tmp_path, seeds=[1], only=["chance"])
    assert (
        set(made) == {path.stem for path in study.folder(tmp_path).glob("*.csv")} == {"study_null"}
    )
    facts = provenance.stamps(study.folder(tmp_path))["study_null"]
    assert facts["seeds"] == [1]
    assert facts["commit"]
    assert facts["date"] == datetime.now(UTC).date().isoformat()


def test_run_names_the_parts_there_are(plan, tmp_path) -> None:
    """A misspelt part is refused before anything is rendered."""
    with pytest.raises(ValueError, match="did you mean 'scores'"):
        study.run(plan, tmp_path, only=["score"])


def test_design_takes_the_declared_default_recipe() -> None:
    """The profile ``study`` varies around the recipe that the parameters declare."""
    root = project_root()
    found = study.design(config.load_profile("study", root / "notebooks" / "params"), root)
    declared = config.TrainingSection()
    assert (found.recipe.model, found.recipe.weights) == (declared.model, declared.weights)
    assert found.recipe.frames == config.ClipsSection().frames
    assert found.repeats >= 3


def test_committed_tables_are_small_and_stamped() -> None:
    """At most 200 KB in all; every table has commit, date and device, that of cohorts its seeds."""
    folder = study.folder(project_root())
    files = sorted(folder.glob("*.csv"))
    assert sum(path.stat().st_size for path in files) <= 200_000
    stamps = provenance.stamps(folder)
    assert {path.stem for path in files} == set(stamps)
    for name, facts in stamps.items():
        seeds = set() if name.startswith("real_") else {"seeds"}
        assert {"commit", "date", "device"} | seeds <= set(facts)


def test_committed_tables_say_how_old_they_are() -> None:
    """Their age in days is told; they are shown however old they are, and never from tomorrow."""
    stamps = provenance.stamps(study.folder(project_root()))
    today = datetime.now(UTC).date()
    ages = {name: (today - date.fromisoformat(one["date"])).days for name, one in stamps.items()}
    warnings.warn(f"days since the study's tables were made: {ages}", stacklevel=1)
    assert all(days >= 0 for days in ages.values())


@pytest.mark.slow
def test_explanations_are_of_models_that_have_not_seen_the_participant(plan) -> None:
    """Two folds, two models; the regions' table has all six, the trials know every bar."""
    _, _, owner = explanations.fold_models(plan, "default", 1)
    assert len(owner) == 5
    assert len(set(owner.values())) == 2
    table = explanations.region_table(plan, [1], ["mouth"])
    assert sorted(table["region"]) == sorted(anatomy.FEATURE_REGIONS)
    assert table["part"].notna().all()
    for first, column in (("densest", "enrichment"), ("learnt", "beyond")):
        assert table[first].eq(table.loc[table[column].idxmax(), "region"]).all()
    assert table["follows_r"].abs().between(0, 1).all()
    judged = explanations.faithfulness_table(plan, [1])
    headset = judged[judged["factor"] == "headset"]
    assert set(headset["baseline"]) == {"effect", "added", "own_neutral", "blur", "zero"}
    assert headset["estimate"].notna().all()
    judged = judged[judged["factor"] != "headset"]
    fidelity = judged[judged["metric"] == "interventional_fidelity"]
    assert set(fidelity["support"]) == {"changed", "region"}
    assert {"painted", "share"} <= set(fidelity["method"])
    assert (judged["metric"] == "effect_sd").sum() == 6


def test_movements_are_named_as_they_are_measured():
    """Each exact series under its own name: a smiler's smile, a nodder's pitch, the lag last."""
    script = rendered.plan_cohort(2, 1, 4.0, fps=25.0, seed=3).script("P01_R1")
    found = reading.movements(script)
    smile = script.au[:, anatomy.AU_CODES.index("AU12")]
    assert found["mean", "AU12"] == pytest.approx(smile.mean())
    assert found["sd", "pitch"] == pytest.approx(script.pose[:, 1].std())
    gaze = oracle.tempo(script.gaze[:, :1].astype(float), script.fps)[0]
    assert found["tempo", "gaze_x"] == pytest.approx(gaze)
    known = set(found.index)
    assert all((kind, one) in known for kind, many in reading.BEHAVIOURS.values() for one in many)
