"""Claims about staging clips of rendered people, and about trials as pieces of work."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from expresso_lib import attribution, clips, config, faithfulness, models, rendered, store
from expresso_lib.faces import anatomy
from expresso_lib.faithfulness import headset, interventions, metrics, trials
from expresso_lib.statistics import prose

COHORT = {"participants": 4, "recordings": 1, "seconds": 1.6, "fps": 25.0, "seed": 3}
T, SIZE, RENDER = 8, 32, 64
SIZES = {"full_size": RENDER, "render_size": RENDER}


@pytest.fixture(scope="module")
def script():
    return rendered.plan_cohort(**COHORT).script("P02_R1")


@pytest.fixture(scope="module")
def archive(script):
    return interventions.archive_of(script, size=SIZE, render_size=RENDER)


@pytest.fixture(scope="module")
def model():
    return models.build("small", frames=T, size=SIZE, seed=1).requires_grad_(False)


@pytest.fixture(scope="module")
def rows(archive):
    return interventions.random_clip(archive.n_frames, T, name="P02_R1")


@pytest.fixture(scope="module")
def scene(archive, rows, script):
    who = {"participant": "P02", "recording": "P02_R1", "script": script}
    return interventions.stage(archive, rows, **who, **SIZES)


def test_stage_renders_the_archives_own_clip(scene, archive, rows):
    """At the recording's size the clip that is rendered again is the clip of the archive."""
    assert_allclose(scene.clip.numpy(), clips.stack(archive, rows[None]), atol=0.02)
    calm = attribution.calm_frames(archive.landmarks)
    assert_allclose(scene.calm.numpy(), clips.stack(archive, calm[:, None]), atol=0.02)


def test_eyes_that_turn_are_active_under_still_lids(script, archive, rows):
    """The removal of lids and gaze holds the gaze, so how much there is of it counts gaze, too."""
    turned = script.gaze + np.linspace(0, 12, len(script.gaze))[:, None]
    turning = replace(script, au=np.zeros_like(script.au), gaze=turned)
    who = {"participant": "P02", "recording": "P02_R1", "script": turning}
    staged = interventions.stage(archive, rows, **who, **SIZES)
    assert staged.activity["lids_gaze"].max() > 0.2
    assert staged.activity["smile"].max() == 0


def test_the_head_is_said_by_methods_that_divide_the_difference_only(scene, model):
    """Against a reference whose head turns: f(x0) is no part of Grad-CAM's account, of anybody's
    on a composite; and the control knows of the head what the reference does."""
    asked = [("DeepLift", attribution.NEUTRAL), ("LayerGradCam", attribution.NEUTRAL)]
    scene = replace(scene, posed=scene.clip * 0.5 + 0.25)
    [calm] = interventions.scores(model, scene.calm[:1].expand_as(scene.clip))
    [turned] = interventions.scores(model, scene.posed)

    def heads(staged) -> dict[str, float]:
        rows = trials.trial(model, staged, asked)
        head = rows[(rows["factor"] == "head_motion") & (rows["support"] == "changed")]
        return head.set_index("method")["said"].to_dict()

    own, flat = heads(scene), heads(replace(scene, posed=None))
    assert own["DeepLift"] == pytest.approx(turned - calm, abs=1e-5)
    assert own["LayerGradCam"] != pytest.approx(turned - calm, abs=1e-5)
    assert flat["DeepLift"] != 0


def test_stage_takes_out_one_factor_at_a_time(scene):
    """Every factor has its clip; pixels change where its regions are, and some do not change."""
    assert set(scene.without) == set(anatomy.FACTORS)
    for factor, without in scene.without.items():
        assert without.shape == scene.clip.shape
        changed = (without != scene.clip).any(dim=1).float().mean()
        assert changed < (1.01 if factor == "head_motion" else 0.9), factor
    assert set(scene.only) == set(interventions.PLACED)
    assert all(0 <= one.min() <= one.max() <= 1 for one in scene.activity.values())


def test_a_clip_is_drawn_by_name_and_seed():
    """The same name, the same place; places differ between recordings; too long is refused."""
    places = {interventions.random_clip(100, 10, name=f"P{i}")[0] for i in range(20)}
    assert len(places) > 10
    one = interventions.random_clip(100, 10, name="P1")
    assert_allclose(one, interventions.random_clip(100, 10, name="P1"))
    with pytest.raises(ValueError, match="shorter clips"):
        interventions.random_clip(9, 10)


def test_everybody_may_be_looked_at(archive, tmp_path):
    """By default all; some are drawn from all, not the first of the list."""
    names = [f"P{i:02d}_R1" for i in range(30)]
    for name in names:
        archive.save(tmp_path / f"{name}.npz")
    recordings = pd.DataFrame({"participant": [name[:3] for name in names], "recording": names})
    model_of = dict.fromkeys(recordings["participant"], tmp_path / "model")
    everyone = trials.items(recordings, tmp_path, model_of, length=T)
    assert sorted(item.name for item in everyone) == names
    assert max(item.name for item in everyone if item.recipe["asked"]) > names[12]
    some = trials.items(recordings, tmp_path, model_of, length=T, most=6)
    assert max(item.name for item in some) > names[12]
    assert config.Parameters().attribution.trust_clips >= 84


@pytest.mark.slow
def test_trials_of_a_cohort_make_the_books_table(archive, model, tmp_path):
    """One clip of everyone through the store; the table has the contract's columns."""
    plan = rendered.plan_cohort(**COHORT)
    checkpoint = models.save(tmp_path / "model.safetensors", model, {"recipe": "r"})
    for name in plan.recordings["recording"].head(2):
        archive.save(tmp_path / "clips" / f"{name}.npz")
    work = trials.items(
        plan.recordings, tmp_path / "clips",
        dict.fromkeys(plan.participants["participant"], checkpoint),
        length=T, cohort=COHORT, closer=1, randomised=1, depths=[1, -1], full_size=RENDER,
    )  # fmt: skip
    assert sorted(item.name for item in work) == ["P01_R1", "P02_R1"]
    done = store.map(trials.trial_item, work, out=tmp_path / "trials", suffix=".parquet")
    rows = trials.read(done)
    table = faithfulness.table(rows, recipe="r", draws=20)
    assert list(table.columns) == [
        "recipe", "method", "baseline", "factor", "metric", "support",
        "estimate", "ci_low", "ci_high", "n_participants", "n_clips",
    ]  # fmt: skip
    assert {"pooled", "pooled_all", "smile"} <= set(table["factor"])
    assert {"changed", "region", "rendered", "frozen", "replaced_region"} <= set(table["support"])
    single = metrics.cell(table, "DeepLift", "zero", "interventional_fidelity")
    shares = metrics.cell(table, "DeepLift", "zero", "share_fidelity")
    assert (single["n_participants"], shares["n_participants"]) == (2, 1)
    assert len(faithfulness.by_factor(rows, table)) == len(anatomy.FACTORS)
    other = store.Item("P01_R1", work[0].recipe | {"method": "IntegratedGradients"}, work[0].inputs)
    trials.trial_item(other, tmp_path / "other.parquet")
    methods = pd.read_parquet(tmp_path / "other.parquet")
    assert "DeepLift" not in set(methods["method"])
    assert metrics.main_channel(methods) == ("IntegratedGradients", "posed_neutral")
    known = faithfulness.table(methods, draws=20)
    assert len(faithfulness.by_factor(methods, known)) == len(anatomy.FACTORS)
    assert "DeepLift" not in prose.shares(known) + prose.slopes(known)
    model_of = dict.fromkeys(plan.participants["participant"], checkpoint)
    used = trials.time_use(plan.recordings, tmp_path / "clips", model_of, length=T)
    assert used["participant"].tolist() == ["P01", "P02"]


def test_a_network_without_what_a_slow_channel_needs_is_tried_by_the_others(
    script, archive, tmp_path
):
    """An image network has no layer for Grad-CAM of clips: one row less, and no failed chapter."""
    image = models.build("small_image", frames=T, size=SIZE, seed=1)
    checkpoint = models.save(tmp_path / "image.safetensors", image, {"recipe": "r"})
    archive.save(tmp_path / "P02_R1.npz")
    recordings = pd.DataFrame({"participant": ["P02"], "recording": ["P02_R1"]})
    [work] = trials.items(recordings, tmp_path, {"P02": checkpoint}, length=T, cohort=COHORT,
                          closer=1, depths=[-1], full_size=RENDER)  # fmt: skip
    trials.trial_item(work, tmp_path / "rows.parquet")
    methods = set(pd.read_parquet(tmp_path / "rows.parquet")["method"])
    assert {"DeepLift", "IntegratedGradients", "InputXGradient"} <= methods
    assert "LayerGradCam" not in methods


def test_scenes_of_ones_own_have_no_oracle(archive, rows, model):
    """Nothing was rendered, so what it takes a renderer to know is not asked."""
    own = interventions.stage(archive, rows, participant="me", recording="mine")
    found = trials.examine(model, [own])
    references = set(found.loc[found["method"] == "DeepLift", "baseline"])
    assert references == {"posed_neutral", "own_neutral", "blur", "zero"}


def test_rates_that_cannot_be_rendered_twice_are_brought_to_those_that_can():
    """Clips at 75 frames/s (every frame of a video) are audited at 60, at 2 at 2.5."""
    for rate, rendered_at in ((75.0, 120.0), (2.0, 5.0), (12.5, 25.0)):
        [work, *_] = headset.items(participants=2, length=T, side=SIZE, rate=rate)
        assert work.recipe["cohort"]["fps"] == rendered_at
    [scene] = faithfulness.rendered_scenes(1, frames=2, size=SIZE, rate=75)
    assert scene.clip.shape[2] == 2


class Squared(nn.Module):
    """A network with a layer that no rule of DeepLift covers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv3d(3, 2, 1)

    def forward(self, clips):
        return (self.layer(clips) ** 2).mean(dim=(1, 2, 3, 4))


def test_a_network_that_every_channel_refuses_is_said_so(script, archive):
    """One message with what to use instead; with one channel that fits, the others are left out."""
    scene = interventions.stage(
        archive, np.arange(T), participant="P02", recording="P02_R1", script=script, shares=False,
        **SIZES,
    )  # fmt: skip
    network, refused = Squared().eval(), ("DeepLift", "zero")
    with pytest.raises(attribution.IncompleteModelError, match="Use method"):
        trials.examine(network, [scene], [refused, ("DeepLift", "blur")])
    channels = [refused, ("IntegratedGradients", "zero")]
    with pytest.raises(ValueError, match="no scene"):
        trials.examine(network, [])
    rows = trials.examine(network, [scene], channels, randomised=1, depths=[-1])
    # What is asked again of shuffled networks is what adds up.
    assert set(rows.loc[rows["metric"] == "randomisation", "method"]) == {"IntegratedGradients"}
    assert set(rows.loc[rows["metric"] == "completeness", "method"]) == {"IntegratedGradients"}


def test_one_clip_that_does_not_add_up_does_not_decide():
    """The median clip does; a reference stays whole, with all of its clips, or goes."""
    names = ["method", "baseline", "factor", "metric", "value"]
    rows = [("DeepLift", "blur", "all", "completeness", gap) for gap in (0.0, 0.01, 1.0)]
    rows += [("DeepLift", "zero", "all", "completeness", gap) for gap in (0.0, 0.2, 0.3)]
    rows += [("DeepLift", "blur", "DeepLift/zero", "agreement", 0.5)]
    kept = trials.adding_up(pd.DataFrame(rows, columns=names))
    assert kept["value"].tolist() == [0.0, 0.01, 1.0]


@pytest.mark.slow
def test_any_network_is_tested_from_python_in_a_few_lines():
    """A network that nobody prepared, with two outputs: a trust table of both channels."""
    network = models.build("r3d_18", frames=T, size=SIZE)
    scenes = faithfulness.rendered_scenes(2, frames=T, size=SIZE)
    rows = faithfulness.examine(
        network, scenes, (("DeepLift", "own_neutral"), ("DeepLift", "blur"))
    )
    found = faithfulness.trust_table(faithfulness.table(rows, draws=20))
    assert found["reference"].tolist() == ["own neutral face, held still", "blurred clip"]
    assert (found["what taking it out does"] == "too few people").all()
    assert isinstance(found, pd.DataFrame)
    assert np.isfinite(found["fidelity"]).all()
