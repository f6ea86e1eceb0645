"""Pre-training: practice clips, batches, the training loop and what it reports."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from expresso_lib import models
from expresso_lib.models import practice, pretraining
from expresso_lib.rendered import actions

TINY = practice.Practice(people=8, clips=1, frames=12, window=8, render_size=64, epochs=1, batch=4,
                         twins=3)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("made") / "practice"


@pytest.fixture(scope="module")
def data(folder) -> practice.Data:
    return practice.Data.load(practice.render(TINY, folder), TINY)


def test_practice_clips_hold_what_the_network_learns(data) -> None:
    """Crops are wider than the input by the edge; series have mean 0 and spread 1."""
    assert data.frames.shape == (8, 12, 72, 72, 3)
    assert data.labels.shape == (8, 12, len(actions.CLASSES))
    np.testing.assert_allclose(data.series.mean((0, 1)), 0, atol=1e-4)
    inside = (data.landmarks[..., 27:48, :] > 0) & (data.landmarks[..., 27:48, :] < 72)
    assert inside.float().mean() > 0.98


def test_batch_moves_landmarks_with_the_picture(data) -> None:
    """Shifted, the picture and its landmarks stay together; mirrored, sides change places."""
    plain = practice.batch(data, np.arange(8), TINY, None)
    drawn = [
        practice.batch(data, np.arange(8), replace(TINY, still=0.0), np.random.default_rng(k))
        for k in range(6)
    ]
    assert plain.clips.shape == (8, 3, 8, 64, 64)
    eyes = [(b.landmarks * practice.SPREAD + data.face).unflatten(2, (68, 2)) for b in drawn]
    for marks in eyes:
        # The right eye lies left in the picture, mirrored or not.
        assert (marks[..., 36, 0] < marks[..., 45, 0]).all()
    shifts = torch.stack([marks[:, 0, 30] for marks in eyes]).std(dim=0)
    assert float(shifts.mean()) > 0.01


def test_a_window_that_stands_still_has_no_targets_of_change(data) -> None:
    """One frame, repeated, is told apart, so that nobody learns speed from it."""
    seen = practice.batch(data, np.arange(8), replace(TINY, still=1.0), np.random.default_rng(0))
    assert not seen.moving.any()
    assert float((seen.series - seen.series[:, :1]).abs().max()) == 0


def test_statistics_tell_speed_from_spread() -> None:
    """Twice the speed at the same spread changes one of the two."""
    time = torch.arange(64) / 12.5
    slow, fast = (torch.sin(2 * np.pi * f * time)[None, :, None] * 2 for f in (0.4, 0.8))
    one, two = (
        pretraining.statistics(s.expand(-1, -1, 22), torch.ones(22))[0] for s in (slow, fast)
    )
    spread, speed = (two - one)[22:44], (two - one)[44:]
    assert float(spread.abs().max()) < 0.15
    assert float(speed.min()) > 0.5


@pytest.mark.parametrize("name", ["mine.json", "mine.v2", "folder.safetensors"])
def test_a_destination_that_is_no_checkpoint_is_refused_first(tmp_path, name) -> None:
    """Its recipe would overwrite it, or hours of training could not be written."""
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(ValueError, match="no name of a checkpoint"):
        pretraining.pretrain(tmp_path / name, practice=TINY)


def test_pretrain_writes_a_checkpoint_and_goes_on(folder, tmp_path) -> None:
    """A run cut after its first epoch and resumed equals an unbroken one."""
    two = replace(TINY, epochs=2)
    data = practice.Data.load(practice.render(TINY, folder), TINY)
    whole, _ = pretraining.train(data, two, state=tmp_path / "whole.pt")
    batch, seen = pretraining.batch, []

    def cut(*arguments, **options):
        if len(seen) == math.ceil(data.n_learned / two.batch):  # one epoch's
            raise KeyboardInterrupt
        seen.append(1)
        return batch(*arguments, **options)

    state = tmp_path / "state.pt"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretraining, "batch", cut)
        with pytest.raises(KeyboardInterrupt):
            pretraining.train(data, two, state=state)
    resumed, _ = pretraining.train(data, two, state=state)
    # What other settings left behind is no start.
    pretraining.train(data, TINY, state=tmp_path / "other.pt")
    again, _ = pretraining.train(data, two, state=tmp_path / "other.pt")
    for one, other, third in zip(*(net.parameters() for net in (whole, resumed, again))):
        torch.testing.assert_close(one, other)
        torch.testing.assert_close(one, third)
    path = pretraining.pretrain(folder.with_name("made.safetensors"), practice=TINY)
    model, recipe = models.load(path)
    assert model.description["model"] == "small"
    assert set(recipe["report"]) == {"unseen", "learned", "twins"}
    assert not torch.equal(model.stages[2][1].weight, torch.eye(256))
    assert json.loads(path.with_suffix(".json").read_text()) == recipe


def test_shipped_checkpoint_says_how_it_was_made_and_what_it_reads() -> None:
    """Small, made with the defaults, and better than chance on people it never saw."""
    path = models.shipped()
    assert path.stat().st_size < 4e6
    recipe = json.loads(path.with_suffix(".json").read_text())
    defaults = {name: value for name, value in vars(practice.Practice()).items() if name != "bf16"}
    assert {key: recipe[key] for key in defaults} == defaults
    unseen = recipe["report"]["unseen"]
    areas = [value for value in unseen["actions"].values() if value is not None]
    assert np.median(areas) > 0.6
    assert np.median([*unseen["action_units"].values()]) > 0.15
    apart = pretraining.apart()
    assert 0 < apart["after"] < 0.7 * apart["before"]
    table = pretraining.recognised()
    assert set(table["kind"]) == {"actions", "headset", "action_units", "pose"}
    assert set(table.loc[table["kind"] == "actions", "name"]) == {*actions.CLASSES} - {"headset"}
    np.testing.assert_allclose(table["gap"], table["learned"] - table["unseen"])
