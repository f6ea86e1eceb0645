"""Claims about `expresso_lib.headset`."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from expresso_lib import models, rendered, store
from expresso_lib.faithfulness import headset, interventions, trials

T, SIZE = 8, 32


@pytest.mark.slow
def test_what_a_model_makes_of_the_headset(tmp_path):
    """Worn and bare clips of the same people; both models are asked, in every channel."""
    torch.manual_seed(0)
    model = models.build("small", weights="facial-actions", frames=T, size=SIZE)
    checkpoint = models.save(tmp_path / "model.safetensors", model, {})
    work = headset.items(participants=4, length=T, side=SIZE, rate=12.5)
    worn = store.map(headset.render, work, out=tmp_path / "worn")
    pairs = headset.Pairs.load([done.path for done in worn])
    assert len(pairs) == 4
    assert pairs.worn.shape == pairs.bare.shape == (4, 3, T, SIZE, SIZE)
    assert 0.005 < (pairs.worn != pairs.bare).any(dim=1).float().mean() < 0.5
    taught = headset.taught(model, pairs)
    assert not taught.training
    assert not torch.equal(model.head.weight, taught.head.weight)
    blind, sees = (one.stages[2][1].weight for one in (model, taught))
    assert torch.equal(sees, torch.eye(256))
    assert not torch.equal(blind, sees)
    asked = store.map(
        headset.audit, headset.audits(checkpoint, worn), out=tmp_path / "audit", suffix=".parquet"
    )
    slow = headset.said(model, pairs, method="IntegratedGradients")
    fast = headset.said(model, pairs)
    effects = (one[one["channel"] == "effect"]["value"].to_numpy() for one in (slow, fast))
    np.testing.assert_allclose(*effects)
    assert not np.allclose(slow["value"], fast["value"])
    points = headset.points(trials.read(asked), draws=20)
    own, other = (points.loc[name] for name in headset.MODELS.values())
    assert own.index.tolist() == ["effect", *headset.BASELINES]
    assert other.loc["added", "points"] == pytest.approx(
        other.loc["effect", "points"] - own.loc["effect", "points"]
    )


def test_clips_keep_their_dilation(tmp_path):
    """Every second frame of a clip twice as long, and nothing else."""
    clips = {}
    for length, dilation in ((4, 2), (8, 1)):
        work = headset.items(participants=4, length=length, side=SIZE, rate=12.5, dilation=dilation)
        headset.render(work[0], tmp_path / "clip.npz")
        clips[dilation] = np.load(tmp_path / "clip.npz")["worn"]
    np.testing.assert_array_equal(clips[2], clips[1][::2])


def test_a_model_of_composites_is_shown_composites(tmp_path):
    """Six magnified tiles: not the face, and the headset lies at their edges or is gone."""
    shown = {}
    for input in ("face", "composite"):
        work = headset.items(participants=4, length=4, side=SIZE, rate=12.5, input=input)
        headset.render(work[0], tmp_path / "clip.npz")
        shown[input] = np.load(tmp_path / "clip.npz")["worn"].astype(float)
    plan = rendered.plan_cohort(**work[0].recipe["cohort"])
    script = replace(plan.script(work[0].name), headset=True)
    own = interventions.archive_of(script, size=SIZE, input="composite")
    np.testing.assert_array_equal(shown["composite"], own.frames[:4])
    assert np.abs(shown["composite"] - shown["face"]).mean() > 10


def test_the_audit_is_of_people_to_whom_no_head_was_fitted():
    """The cohort of a run and that of its audit share nobody."""
    work = headset.items(participants=3, length=8, side=32, rate=12.5, seed=0)
    own, theirs = rendered.plan_cohort(3, 1, 1.0), rendered.plan_cohort(**work[0].recipe["cohort"])
    for name in own.recordings["recording"]:
        faces = [plan.script(name).identity.landmarks for plan in (own, theirs)]
        assert not np.allclose(*faces)


@pytest.mark.parametrize(
    ("effect_low", "blur", "words"),
    [
        (1.0, (1.6, 0.2), "exposed against the blurred clip."),
        (1.0, (1.4, 0.2), "No channel exposes it"),
        (1.0, (1.6, -0.2), "No channel exposes it"),
        (-0.1, (1.6, 0.2), "nothing to expose"),
        (float("nan"), (1.6, 0.2), "nothing to expose"),  # fewer than ten people
    ],
)
def test_verdict_wants_over_half_of_an_effect_that_is_shown(effect_low, blur, words):
    """The effect is 3 points: 1.6 exposes it, 1.4 does not; nor does an interval that holds 0."""
    low = [effect_low, -0.1, blur[1], -1.0]
    points = pd.DataFrame(
        {"points": [3.0, 0.1, blur[0], 0.0], "ci_low": low, "ci_high": [5.0, 0.3, 3.0, 1.0]},
        index=["effect", "own_neutral", "blur", "zero"],
    )
    assert words in headset.verdict(points)
    lowers = -points.rename(columns={"ci_low": "ci_high", "ci_high": "ci_low"})
    assert words in headset.verdict(lowers), "one that lowers the score is an effect, too"
