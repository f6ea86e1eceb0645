"""Models: every backbone builds, splits at the freeze boundary and comes back from disk."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from expresso_lib import attribution, manifest, models


def clips(n: int = 2, frames: int = 6, size: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, frames, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def small() -> models.VideoRegressor:
    return models.build("small", frames=6, size=32, seed=1)


@pytest.mark.parametrize("name", ["small", "small_image", "small_image_sd"])
def test_build_returns_one_score_per_clip(name: str) -> None:
    """A clip gives one number, whatever T; the model says what it was built as."""
    model = models.build(name, frames=6, size=32)
    assert model(clips()).shape == (2,)
    assert model.description["model"] == name
    assert not model.training


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(models.BACKBONES))
def test_every_backbone_splits_at_both_boundaries(name: str) -> None:
    """features + finish equals the whole network, for the head and for the last block."""
    model = models.build(name, frames=8, size=64)
    x = clips(1, 8, 64)
    with torch.inference_mode():
        whole = model(x)
        for until in ("head", "last"):
            parts = model.finish(model.features(x, until=until), since=until)
            torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)


def test_deeplift_is_complete_on_the_small_network(small: models.VideoRegressor) -> None:
    """Attributions sum to f(x) − f(x0) within the bar of 1e-3, for every named baseline."""
    for baseline in ("zero", "blur"):
        result = attribution.attribute(small, clips(), "DeepLift", baseline)
        assert result.complete.all(), baseline


def test_small_is_an_ordinary_network(small: models.VideoRegressor) -> None:
    """Convolutions and rectifiers, means and one linear head; at most 1.5 million weights."""
    leaves = {type(m).__name__ for m in small.modules() if not list(m.children())}
    linear = {"Grid", "Linear", "MeanOver", "Whiten"}
    assert leaves == {"AlongFrames", "Conv1d", "Conv3d", "ReLU"} | linear
    assert sum(weight.numel() for weight in small.parameters()) < 1.5e6
    kernels = [m.kernel_size for m in small.modules() if isinstance(m, nn.Conv3d)]
    assert all(time == 1 or (height, width) == (1, 1) for time, height, width in kernels)


def test_image_model_is_the_same_network_on_clips_that_stand_still(small) -> None:
    """One trunk, one set of weights: frames alone, or each frame held for the whole clip."""
    image = models.build("small_image", frames=6, size=32)
    image.load_state_dict(small.state_dict())
    still = clips()[:, :, :1].expand(-1, -1, 6, -1, -1)
    torch.testing.assert_close(image(still), small(still), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(image(clips()), small(clips()))


def test_small_keeps_its_signal_at_the_start(small) -> None:
    """Before any training two clips give clearly different features."""
    values = small.features(clips(4))
    assert float(values.detach().std(dim=0).mean()) > 0.02


def test_small_sees_change_only_through_time(small: models.VideoRegressor) -> None:
    """A frozen clip has no motion channel: the image model reads it and its mean picture alike."""
    still = clips()[:, :, :1].expand(-1, -1, 6, -1, -1)
    image = models.build("small_image", frames=6, size=32)
    torch.testing.assert_close(image(still), image(still[:, :, :3]))
    reversed_order = clips().flip(2)
    assert not torch.allclose(small(clips()), small(reversed_order))
    torch.testing.assert_close(image(clips()), image(reversed_order))


def test_build_is_reproducible_and_leaves_the_generator_alone() -> None:
    """Same seed, same weights; another seed, others; torch's own generator does not move."""
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    one, two, other = (models.build("small", size=32, frames=6, seed=s) for s in (5, 5, 6))
    torch.testing.assert_close(torch.random.get_rng_state(), before)
    torch.testing.assert_close(one(clips()), two(clips()), rtol=0, atol=0)
    assert not torch.allclose(one(clips()), other(clips()))


def test_save_and_load_keep_outputs_description_and_recipe(
    tmp_path, small: models.VideoRegressor
) -> None:
    """What was saved comes back, with its recipe, in eval mode."""
    path = models.save(tmp_path / "m.safetensors", small, {"seed": 1, "name": "a"})
    loaded, recipe = models.load(path)
    assert recipe == {"seed": 1, "name": "a"}
    assert loaded.description == small.description
    torch.testing.assert_close(loaded(clips()), small(clips()), rtol=0, atol=0)


def test_above_a_boundary_stand_fewer_parameters_the_higher_it_lies(
    small: models.VideoRegressor,
) -> None:
    """The head's two, the last block's beside them, and then the whole network's."""
    counts = [len(small.above(boundary)) for boundary in ("head", "last")]
    assert 2 == counts[0] < counts[1] < len(list(small.parameters()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "smal"}, "did you mean 'small'"),
        ({"name": "r3d_18", "weights": "facial-actions"}, "Known: none, kinetics400"),
    ],
)
def test_build_refuses_with_the_remedy(arguments: dict, message: str) -> None:
    """An error says what came and what fits."""
    with pytest.raises(ValueError, match=message):
        models.build(**arguments)


def test_load_refuses_other_files(tmp_path) -> None:
    """A missing or foreign checkpoint is named, not unpickled."""
    with pytest.raises(ValueError, match="no checkpoint at"):
        models.load(tmp_path / "none.safetensors")


def test_video_weights_reach_their_places(monkeypatch, tmp_path) -> None:
    """Weights under torchvision's names give torchvision's features, here on random ones."""
    from torchvision.models import resnet

    torch.manual_seed(0)
    network = resnet.resnet18().eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    monkeypatch.setattr(manifest, "fetch", lambda name: tmp_path / "w.pth")
    model = models.build("resnet18", weights="imagenet", frames=1, size=64)
    picture = clips(1, 1, 64)
    network.fc = nn.Identity()
    expected = network(((picture - model.mean) / model.std)[:, :, 0])
    torch.testing.assert_close(model.features(picture), expected, rtol=1e-4, atol=1e-4)
