"""Pre-training: tempo is what it says, and the recipe runs from rendering to checkpoint."""

from __future__ import annotations

import json

import numpy as np
import pytest

from expresso_lib import models
from expresso_lib.models import pretraining

F = 60
UNIT = {name: number for number, name in enumerate(models.UNITS)}


def waves(hertz: float, size: float, column: int = 8) -> np.ndarray:
    """One recording in which only one series (AU12 by default) moves, as a sine."""
    series = np.zeros((1, F, 22), np.float32)
    series[0, :, column] = size * (1 + np.sin(2 * np.pi * hertz * np.arange(F) / 12.5))
    return series


def units(series: np.ndarray, headset: float = 0.0) -> np.ndarray:
    return pretraining.targets(series, np.array([headset]))[0].mean(axis=0)


def test_targets_are_zero_at_rest() -> None:
    """A still face is neither fast nor slow; a headset is worn or not."""
    still = np.zeros((1, F, 22), np.float32)
    np.testing.assert_allclose(units(still), 0)
    found = units(still, headset=1.0)
    assert found[UNIT["headset"]] == 1
    np.testing.assert_allclose(np.delete(found, UNIT["headset"]), 0)


def test_targets_tell_fast_from_slow_of_the_same_size() -> None:
    """Tempo moves the fast and the slow unit in opposite directions."""
    quick, calm = units(waves(2.5, 1.5)), units(waves(0.25, 1.5))
    assert quick[UNIT["smile_fast"]] > 5 * calm[UNIT["smile_fast"]]
    assert calm[UNIT["smile_slow"]] > quick[UNIT["smile_slow"]]


def test_targets_do_not_confuse_size_with_speed() -> None:
    """Twice as large is hardly faster: the tempo unit changes by less than a fifth."""
    small, large = units(waves(1.5, 1.2)), units(waves(1.5, 2.4))
    assert abs(large[UNIT["smile_fast"]] / small[UNIT["smile_fast"]] - 1) < 0.2


def test_targets_move_only_their_own_units() -> None:
    """A turning head is no smile."""
    found = units(waves(1.5, 8.0, column=17))
    moved = {name for name, number in UNIT.items() if found[number] > 0}
    assert moved == {"head_speed", "head_spread"}


@pytest.mark.slow
def test_pretrain_writes_a_checkpoint_with_its_recipe(tmp_path) -> None:
    """From rendered faces to a file that `models` loads; severity is read nowhere."""
    practice = pretraining.Practice(
        identities=8, seconds=2.8, epochs=1, clip_epochs=1, rehearsals=8, render_size=96,
        held_out=0.5,
    )  # fmt: skip
    path = pretraining.pretrain(tmp_path / "facial.safetensors", practice=practice)
    model, recipe = models.load(path)
    assert recipe["units"] == list(models.UNITS)
    assert model.description["model"] == "small"
    assert json.loads(path.with_suffix(".json").read_text()) == recipe


def test_shipped_checkpoint_is_small_and_says_how_it_was_made() -> None:
    """At most 10 MB, every unit named, what could not be read is switched off."""
    path = models.shipped()
    _, recipe = models.load(path)
    assert path.stat().st_size <= 10_000_000
    assert recipe["units"] == list(models.UNITS)
    assert all(recipe["report"][name] == 0 for name in recipe["off"])
