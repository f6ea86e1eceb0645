"""Claims about `expresso_lib.trials`."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from expresso_lib import attribution, clips, faithfulness, models, rendered, store
from expresso_lib.faces import anatomy
from expresso_lib.faithfulness import trials

COHORT = {"participants": 4, "recordings": 1, "seconds": 1.6, "fps": 25.0, "seed": 3}
T, SIZE, RENDER = 8, 32, 64


@pytest.fixture(scope="module")
def script():
    return rendered.plan_cohort(**COHORT).script("P02_R1")


@pytest.fixture(scope="module")
def archive(script):
    source = np.arange(0, script.n_frames, 2)
    frames = list(rendered.render(script, size=RENDER, frames=source.tolist()))
    pictures = ((number, frame.image) for number, frame in zip(source.tolist(), frames))
    points = np.stack([frame.landmarks for frame in frames])
    return clips.assemble(pictures, source, points, fps=12.5, size=SIZE)


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
    assert_allclose(scene.clip.numpy(), clips.stack(archive, rows[None]), atol=0.02)
    row = attribution.neutral_frame(archive.landmarks)
    assert_allclose(scene.neutral[:, 0].permute(1, 2, 0) * 255, archive.frames[row], atol=5)


def test_stage_takes_out_one_factor_at_a_time(scene):
    """Every factor has its clip; pixels change where its regions are, and some do not change."""
    assert set(scene.without) == set(anatomy.FACTORS)
    for factor, without in scene.without.items():
        assert without.shape == scene.clip.shape
        changed = (without != scene.clip).any(dim=1).float().mean()
        assert changed < (1.01 if factor == "head_motion" else 0.6), factor


def test_stage_shows_one_factor_alone(scene):
    """Alone, a factor changes the neutral clip much where it is taken out of the whole clip."""
    assert set(scene.only) == set(faithfulness.PLACED)
    moved = 0
    for factor, only in scene.only.items():
        taken = (scene.without[factor] != scene.clip).any(dim=1).float()
        added = (only != scene.oracle).any(dim=1).float()
        if taken.any():  # far more often the same pixels than by chance
            assert (added * taken).mean() > 2 * added.mean() * taken.mean(), factor
            moved += 1
    assert moved >= 3
    assert scene.beside("head_motion") is None


def test_shares_come_from_the_clips_with_one_factor_alone(scene):
    """The mean of a factor's effect and of its entrance on the neutral clip; what is left over."""
    rows = trials.trial(scene, "P02", steps=4)
    told = rows[
        (rows["metric"] == "evidence")
        & (rows["method"] == "amount")
        & (rows["support"] == "changed")
    ].set_index("factor")
    still = faithfulness.scores(scene.model, scene.oracle)[0]
    for factor, only in scene.only.items():
        entering = faithfulness.scores(scene.model, only)[0] - still
        assert_allclose(
            told.loc[factor, "share"], (told.loc[factor, "effect"] + entering) / 2, atol=1e-4
        )
    placed = told.loc[list(faithfulness.PLACED)]
    whole = faithfulness.scores(scene.model, scene.clip)[0] - still
    left = rows.set_index("metric")["value"]
    assert_allclose(left["beyond_pairs"], abs(whole - placed["share"].sum()), atol=1e-4)
    assert_allclose(left["interaction"], abs(whole - placed["effect"].sum()), atol=1e-4)


def test_the_usual_worth_is_learnt_from_other_participants():
    """Known answer: everybody's smile is worth 3 points per amount, but P1's is worth 9."""
    rows = pd.DataFrame(
        {
            "participant": ["P0", "P1", "P2"],
            "recording": ["a", "b", "c"],
            "factor": "smile",
            "support": "changed",
            "metric": "evidence",
            "method": "amount",
            "baseline": "none",
            "amount": [1.0, 2.0, 3.0],
            "effect": [3.0, 18.0, 9.0],
            "share": [1.0, 2.0, 3.0],
        }
    )
    found = trials._usual(rows)
    assert_allclose(found["said"].iloc[1], 2 * 3)
    assert_allclose(found["said"].iloc[0], (2 * 18 + 3 * 9) / (4 + 9))
    assert set(found["method"]) == {"usual"}


def test_randomised_networks_are_one_row_with_their_range():
    """The mean of the networks' estimates, and the lowest and highest of them."""
    rows = pd.DataFrame(
        {
            "participant": ["P0", "P1"] * 2,
            "recording": ["a", "b"] * 2,
            "factor": "pooled",
            "metric": "time_fidelity",
            "method": ["randomised_1"] * 2 + ["randomised_2"] * 2,
            "baseline": "own_neutral",
            "value": [0.1, 0.3, 0.5, 0.7],
            "support": "",
        }
    )
    table = trials.faithfulness_table(rows, recipe="r", draws=20)
    one = trials.cell(table, "randomised", "own_neutral", "time_fidelity", support="all")
    assert_allclose(one[["estimate", "ci_low", "ci_high"]].to_numpy(float), [0.4, 0.2, 0.6])


def test_trial_scores_every_explanation_and_control(scene):
    """Evidence for each way, control and randomised network; numbers that need no renderer."""
    rows = trials.trial(scene, "P02", randomised=1, closer=True, steps=4)
    evidence = rows[rows["metric"] == "evidence"]
    known = set(zip(evidence["method"], evidence["baseline"]))
    assert known >= {
        *trials.WAYS,
        *trials.SLOW_WAYS,
        trials.TRUTH,
        ("amount", "none"),
        ("zero_map", "none"),
        ("randomised_1", "own_neutral"),
    }
    assert set(evidence["factor"]) == set(anatomy.FACTORS)
    wanted = {
        "deletion",
        "insertion",
        "infidelity",
        "sensitivity",
        "freeze",
        "randomisation",
        "agreement",
        "ratio",
        "time_fidelity",
        "interaction",
        "beyond_pairs",
        "single_effect",
    }
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
    plan = rendered.plan_cohort(**COHORT)
    checkpoint = models.save(tmp_path / "model.safetensors", model, {"recipe": "r"})
    for name in plan.recordings["recording"].head(2):
        archive.save(tmp_path / "clips" / f"{name}.npz")
    work = trials.items(
        plan.recordings,
        tmp_path / "clips",
        dict.fromkeys(plan.participants["participant"], checkpoint),
        most=3,
        length=T,
        cohort=COHORT,
        full_size=RENDER,
        render_size=RENDER,
        randomised=1,
        steps=4,
    )
    assert [item.name for item in work] == ["P01_R1", "P02_R1"]
    done = store.map(trials.trial_item, work, out=tmp_path / "trials", suffix=".parquet")
    rows = trials.read(done)
    table = trials.faithfulness_table(rows, recipe="r", draws=20)
    assert list(table.columns) == [
        "recipe",
        "method",
        "baseline",
        "factor",
        "metric",
        "support",
        "estimate",
        "ci_low",
        "ci_high",
    ]
    assert {"pooled", "smile"} <= set(table["factor"])
    assert "randomised" in set(table["method"])
    assert len(trials.by_factor(rows, table)) == len(anatomy.FACTORS)
    assert {"its share", "where", "when"} <= set(trials.trust_table(table))
    assert trials.agreement_table(rows).shape[0] == len(trials.WAYS) + len(trials.SLOW_WAYS)


def test_trust_table_needs_more_than_the_best_control():
    """Bar, slope and an interval above every control; without a control nothing was asked."""

    def verdicts(control=0.5, slope=1.0, low=0.9):
        said = [
            ("interventional_fidelity", "changed", 0.95),
            ("share_fidelity", "changed", 0.97),
            ("interventional_fidelity", "region", 0.7),
            ("time_fidelity", "all", 0.95),
            ("interventional_slope", "changed", slope),
            ("share_slope", "changed", 1.1),
            ("interventional_slope", "region", 1.0),
        ]
        rows = [("DeepLift", "blur", *one, low) for one in said]
        rows += [("edge", "none", metric, support, control, control) for metric, support, _ in said]
        table = pd.DataFrame(
            [
                {
                    "method": m,
                    "baseline": b,
                    "factor": "pooled",
                    "metric": metric,
                    "support": support,
                    "estimate": e,
                    "ci_low": low,
                    "ci_high": e,
                }
                for m, b, metric, support, e, low in rows
            ]
        )
        return trials.trust_table(table.dropna())[list(trials.QUESTIONS)].values.tolist()[0]

    assert verdicts() == ["yes", "yes", "no", "yes"]
    assert verdicts(slope=0.5) == ["no", "yes", "no", "yes"]
    assert verdicts(control=0.92) == ["no", "no", "no", "no"]
    assert verdicts(low=0.4) == ["no", "no", "no", "no"]
    assert verdicts(control=np.nan) == ["not measured"] * 4
