"""Claims about `expresso_lib.trials`."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from expresso_lib import (
    anatomy,
    attribution,
    clips,
    faithfulness,
    models,
    regions,
    store,
    synthetic,
    trials,
)

COHORT = {"participants": 4, "recordings": 1, "seconds": 1.6, "fps": 25.0, "seed": 3}
T, SIZE, RENDER = 8, 32, 64


@pytest.fixture(scope="module")
def script():
    return synthetic.plan_cohort(**COHORT).script("P02_R1")


@pytest.fixture(scope="module")
def archive(script):
    source = np.arange(0, script.n_frames, 2)
    frames = list(synthetic.render(script, size=RENDER, frames=source.tolist()))
    points = np.stack([frame.landmarks for frame in frames])
    ways = clips.align(points, SIZE)
    moved = clips.transform_points(points, ways)
    cut = clips.rerender(script, source, ways, SIZE, render_size=RENDER)
    labels = regions.label_map(moved, (SIZE, SIZE))
    return clips.ClipArchive(cut, source, moved, ways, labels, 12.5)


@pytest.fixture(scope="module")
def model():
    return models.build("small", frames=T, size=SIZE, seed=1).requires_grad_(False)


@pytest.fixture(scope="module")
def scene(archive, model, script):
    rows = trials.middle_clip(archive.n_frames, T)
    return trials.stage(archive, model, rows, script, sizes=(RENDER, RENDER))


def test_stage_renders_the_archives_own_clip(scene, archive):
    """At the recording's size the clip that is rendered again is the clip of the archive."""
    rows = trials.middle_clip(archive.n_frames, T)
    assert_allclose(scene.clip.numpy(), clips.stack(archive, rows[None]), atol=1e-6)
    row = attribution.neutral_frame(archive.landmarks)
    assert_allclose(scene.neutral[:, 0].permute(1, 2, 0) * 255, archive.frames[row], atol=1e-3)


def test_stage_takes_out_one_factor_at_a_time(scene):
    """Every factor has its clip; pixels change where its regions are, and some do not change."""
    assert set(scene.without) == set(anatomy.FACTORS)
    for factor, without in scene.without.items():
        assert without.shape == scene.clip.shape
        changed = (without != scene.clip).any(dim=1).float().mean()
        assert changed < (1.01 if factor == "head_motion" else 0.6), factor


def test_stage_shows_one_factor_alone(scene):
    """What a factor adds to the neutral clip lies where taking it out of the clip changes it."""
    assert set(scene.only) == set(faithfulness.PLACED)
    for factor, only in scene.only.items():
        changed = (scene.without[factor] != scene.clip).any(dim=1)
        added = (only != scene.oracle).any(dim=1)
        if changed.any() and added.any():  # far more often the same pixels than by chance
            assert (added & changed).float().mean() > 2 * added.float().mean() * (
                changed.float().mean()), factor
    assert scene.beside("head_motion") is None


def test_rendering_smaller_shows_the_same_place(archive, model, script):
    """Half the size, transforms carried over: the same crop, a little softer, not shifted."""
    rows = trials.middle_clip(archive.n_frames, T)
    large = trials.stage(archive, model, rows, script, sizes=(2 * RENDER, RENDER)).clip.numpy()
    same = clips.stack(archive, rows[None])
    gap = np.abs(large - same).mean()
    shifted = np.abs(np.roll(large, 1, axis=-1) - same).mean()
    assert gap < 0.6 * shifted


def test_trial_scores_every_explanation_and_control(scene):
    """Evidence for each way, control and randomised network; numbers that need no renderer."""
    rows = trials.trial(scene, "P02", randomised=1, closer=True, steps=4)
    evidence = rows[rows["metric"] == "evidence"]
    known = set(zip(evidence["method"], evidence["baseline"]))
    assert known >= {*trials.WAYS, *trials.SLOW_WAYS, ("amount", "none"), ("zero_map", "none"),
                     ("randomised_1", "own_neutral")}
    assert set(evidence["factor"]) == set(anatomy.FACTORS)
    wanted = {"deletion", "insertion", "infidelity", "sensitivity", "freeze", "randomisation",
              "agreement", "ratio", "time_fidelity", "interaction", "beyond_pairs",
              "single_effect"}
    assert wanted <= set(rows["metric"])
    timing = rows[rows["metric"] == "time_fidelity"]["value"].dropna()
    assert len(timing)
    assert timing.between(-1, 1).all()
    oracle = evidence[(evidence["method"] == "DeepLift") & (evidence["support"] == "changed")]
    assert oracle["said"].notna().all()
    share = oracle.drop_duplicates("factor").set_index("factor")["share"]
    assert share.drop("head_motion").notna().all()
    assert np.isnan(share["head_motion"])


def test_without_a_script_the_interventions_are_left_out(archive, model):
    """A real recording: nothing can be rendered, the rest is measured all the same."""
    rows = trials.middle_clip(archive.n_frames, T)
    scene = trials.stage(archive, model, rows, None)
    found = trials.trial(scene, "P02", closer=False, steps=4)
    assert "evidence" not in set(found["metric"])
    assert {"freeze", "ratio"} <= set(found["metric"])
    assert not {"time_fidelity", "interaction"} & set(found["metric"])
    table = trials.faithfulness_table(found.assign(recording="P02_R1"), recipe="r", draws=10)
    assert np.isnan(trials.cell(table, "DeepLift", "zero", "interventional_fidelity")["estimate"])


@pytest.mark.slow
def test_trials_of_a_cohort_make_the_books_table(archive, model, tmp_path):
    """Items run through the store; the table has the contract's columns and pooled rows."""
    plan = synthetic.plan_cohort(**COHORT)
    checkpoint = models.save(tmp_path / "model.safetensors", model, {"recipe": "r"})
    for name in plan.recordings["recording"].head(2):
        archive.save(tmp_path / "clips" / f"{name}.npz")
    work = trials.items(
        plan.recordings, tmp_path / "clips", dict.fromkeys(plan.participants["participant"],
                                                           checkpoint),
        most=3, length=T, cohort=COHORT, full_size=RENDER, render_size=RENDER, randomised=1,
        steps=4,
    )
    assert [item.name for item in work] == ["P01_R1", "P02_R1"]
    done = store.map(trials.trial_item, work, out=tmp_path / "trials", suffix=".parquet")
    rows = trials.read(done)
    table = trials.faithfulness_table(rows, recipe="r", draws=20)
    assert list(table.columns) == ["recipe", "method", "baseline", "factor", "metric", "support",
                                   "estimate", "ci_low", "ci_high"]
    assert {"pooled", "smile"} <= set(table["factor"])
    assert "randomised" in set(table["method"])
    assert len(trials.by_factor(rows, table)) == len(anatomy.FACTORS)
    assert {"its share", "where", "when"} <= set(trials.trust_table(table))
    assert trials.agreement_table(rows).shape[0] == len(trials.WAYS) + len(trials.SLOW_WAYS)


def test_trust_table_needs_more_than_the_best_control():
    """A fidelity of .95 is no "yes" where a control has .96."""
    def table(control):
        rows = [("DeepLift", "blur", metric, support, value) for metric, support, value in (
            ("interventional_fidelity", "changed", 0.95), ("share_fidelity", "changed", 0.97),
            ("share_fidelity", "region", 0.7), ("time_fidelity", "all", 0.85))]
        rows += [("amount", "none", metric, "changed", control) for metric in
                 ("interventional_fidelity", "share_fidelity")]
        rows += [("edge", "none", "time_fidelity", "all", control)]
        return pd.DataFrame([
            {"method": m, "baseline": b, "factor": "pooled", "metric": metric,
             "support": support, "estimate": e, "ci_low": e, "ci_high": e}
            for m, b, metric, support, e in rows])

    asked = ["what taking it out does", "its share", "where", "when"]
    assert trials.trust_table(table(0.5))[asked].values.tolist() == [["yes", "yes", "no", "yes"]]
    assert trials.trust_table(table(0.96))[asked].values.tolist() == [["no", "yes", "no", "no"]]
