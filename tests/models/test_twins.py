"""Twins: who moves alike, and what is left of the difference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from expresso_lib import models
from expresso_lib.models import practice, twins
from expresso_lib.rendered import actions

TINY = practice.Practice(people=2, window=4, render_size=64, twins=2)


def test_twins_move_alike_and_differ_in_all_else() -> None:
    """One with a headset, one of another face in another room; every movement is the same."""
    bare, worn, other = actions.twins(5, 8)
    for script in (worn, other):
        for name in ("au", "gaze", "pose", "shift"):
            np.testing.assert_array_equal(getattr(script, name), getattr(bare, name))
    assert (bare.headset, worn.headset, other.headset) == (False, True, True)
    assert worn.identity is bare.identity
    assert other.identity != bare.identity
    assert worn.seed == bare.seed != other.seed


def test_rendered_twins_are_nobody_who_was_practised_on(tmp_path) -> None:
    """Three clips in a file, the headset in two; a finished file is kept."""
    paths = twins.render(TINY, tmp_path)
    assert [path.stem for path in paths] == ["twins_0000002", "twins_0000003"]
    seen = twins.features(models.build("small", frames=4, size=64), paths)
    assert seen.shape == (2, 3, 256)
    assert seen.dtype == torch.float64
    made = paths[0].stat().st_mtime_ns
    frames = np.load(twins.render(TINY, tmp_path)[0])["frames"]
    assert paths[0].stat().st_mtime_ns == made
    assert frames.shape == (3, 4, 64, 64, 3)
    assert frames.dtype == np.uint8
    worn = (frames[0] != frames[1]).any(-1).mean()
    assert 0.003 < worn < 0.5 < (frames[1] != frames[2]).any(-1).mean()


@pytest.fixture
def alike() -> torch.Tensor:
    """Twins that differ along the first two of six features only: by person, by headset."""
    rng = np.random.default_rng(0)
    found = np.repeat(rng.normal(size=(200, 1, 6)), 3, axis=1)
    found[:, 2, 0] += rng.normal(0, 2, 200)
    found[:, 1:, 1] += 3.0
    return torch.from_numpy(found)


def test_whitening_shrinks_what_differs_between_twins_and_nothing_else(alike) -> None:
    """Features in which they agree come out as they went in, the others by the law stated."""
    weight = twins.whitening(alike).double()
    torch.testing.assert_close(weight[2:, 2:], torch.eye(4).double(), rtol=0, atol=1e-6)
    apart = (alike[:, 1:] - alike[:, :-1]).flatten(0, 1)
    sizes = torch.linalg.eigvalsh(apart.T @ apart / len(apart))
    wanted = (1 + twins.STRENGTH * sizes[-2:] / sizes.mean()) ** -0.5
    found = torch.linalg.eigvalsh(weight)[:2]
    torch.testing.assert_close(found, wanted.flip(0), rtol=1e-5, atol=1e-6)
    before, after = twins.share_apart(alike), twins.share_apart(alike @ weight)
    assert before > 0.1
    assert after < before / 10


def test_share_apart_of_people_and_of_movements() -> None:
    """1 where only the person counts, 0 where only the movement does."""
    movement = torch.randn(50, 1, 4, generator=torch.Generator().manual_seed(1)).double()
    assert twins.share_apart(movement.expand(50, 3, 4)) == 0
    person = torch.randn(2000, 3, 4, generator=torch.Generator().manual_seed(2)).double()
    assert twins.share_apart(person) == pytest.approx(1, abs=0.05)


def test_every_practised_network_has_a_whitening_of_its_own_and_random_ones_none() -> None:
    """The image networks' features answer a face otherwise than the video network's."""
    names = ("small", "small_image", "small_image_sd")
    built = {name: models.build(name, weights="facial-actions") for name in names}
    weights = [network.stages[2][1].weight for network in built.values()]
    assert [len(weight) for weight in weights] == [256, 256, 512]
    assert not torch.allclose(weights[0], weights[1], atol=0.05)
    for weight in weights:
        assert float((weight - torch.eye(len(weight))).abs().max()) > 0.2
        sizes = torch.linalg.eigvalsh(weight.double())
        assert float(sizes.min()) > 0
        assert float(sizes.max()) < 1.001
    untrained = models.build("small").stages[2][1].weight
    assert torch.equal(untrained, torch.eye(256))
