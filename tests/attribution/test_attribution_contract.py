"""What every attribution method promises; a new one is a line of `PROMISES`."""

import pytest
import torch
from torch import nn

from expresso_lib import attribution

N, C, T, H, W = 4, 3, 6, 12, 10
# Method → does sum(A) = f(x) - f(x0) hold on every clip; is the sign the effect's; does chance
# enter; does a voxel that the model never reads get nothing.
PROMISES = {
    "DeepLift": ("complete", "signed", "exact", "local"),
    "IntegratedGradients": ("complete", "signed", "exact", "local"),
    "Saliency": ("not complete", "gradient", "exact", "local"),
    "InputXGradient": ("not complete", "signed", "exact", "local"),
    "ExpectedGradients": ("not complete", "signed", "random", "local"),
    "Occlusion": ("not complete", "signed", "exact", "blocks"),
    "ShapleySampling": ("complete", "signed", "random", "blocks"),
    "LayerGradCam": ("not complete", "positive", "exact", "cells"),
}


class Network(nn.Module):
    """Two layers of convolution; reads the left half of the picture only."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.first = nn.Conv3d(C, 5, 1)
        self.second = nn.Conv3d(5, 4, 1)
        self.rectify, self.rectify_again = nn.ReLU(), nn.ReLU()
        self.head = nn.Linear(4, 1)

    def forward(self, clips):
        hidden = self.rectify(self.first(clips))
        hidden = self.rectify_again(self.second(hidden))
        return 30 * self.head(hidden[..., : W // 2].mean(dim=(2, 3, 4)))


class Less(nn.Module):
    """f(x) = -20 mean(x): more light, less score."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv3d(C, 1, 1, bias=False)
        nn.init.constant_(self.layer.weight, -20 / C)

    def forward(self, clips):
        return self.layer(clips).mean(dim=(2, 3, 4))


@pytest.fixture(params=sorted(PROMISES))
def method(request):
    return request.param


@pytest.fixture(scope="module")
def clips():
    return torch.rand(N, C, T, H, W, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def network():
    return Network().eval()


def explain(model, clips, method, **options):
    if PROMISES[method][3] == "blocks":
        labels = torch.arange(W).repeat(len(clips), T, H, 1) // 3
        options = {"regions": labels, "stretches": 3} | options
    return attribution.attribute(model, clips, method, "zero", **options)


def test_shape_and_type_are_the_clips(method, network, clips):
    """(N, C, T, H, W) float32 on the CPU, finite, without a graph; one score per clip."""
    result = explain(network, clips, method)
    assert result.values.shape == clips.shape
    assert result.values.dtype == torch.float32
    assert result.values.device.type == "cpu"
    assert not result.values.requires_grad
    assert torch.isfinite(result.values).all()
    with torch.no_grad():
        torch.testing.assert_close(result.output, network(clips)[:, 0])
        torch.testing.assert_close(result.output_baseline, network(0 * clips)[:, 0])


def test_completeness_is_kept_or_not_claimed(method, network, clips):
    """Where a method is complete the sums are; where it is not, delta says by how much."""
    result = explain(network, clips, method, steps=200)
    if PROMISES[method][0] == "complete":
        assert result.complete.all()
        torch.testing.assert_close(
            result.values.flatten(1).sum(dim=1),
            result.output - result.output_baseline,
            rtol=1e-3,
            atol=1e-4,
        )
    known = torch.isfinite(result.delta)
    gap = result.values.flatten(1).sum(dim=1) - (result.output - result.output_baseline)
    torch.testing.assert_close(result.delta[known], gap[known], rtol=1e-3, atol=1e-3)


def test_sign_is_that_of_the_effect(method, clips):
    """On f(x) = -20 mean(x) everything seen lowers the score."""
    values = explain(Less().eval(), clips, method).values
    if PROMISES[method][1] == "positive":
        assert (values >= 0).all() or (values <= 0).all()
    else:
        assert (values <= 1e-6).all()
        assert values.sum() < 0


def test_same_seed_same_map(method, network, clips):
    """Bit for bit with one seed; another seed moves the random methods only."""
    first, again, other = (explain(network, clips, method, seed=s).values for s in (0, 0, 1))
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (PROMISES[method][2] == "exact")


def test_neighbours_in_the_batch_change_nothing(method, network, clips):
    """A clip is explained alike alone, among others, and in batches of any size."""
    whole = explain(network, clips, method).values
    torch.testing.assert_close(
        explain(network, clips, method, internal_batch_size=1).values, whole, rtol=1e-4, atol=1e-6
    )
    if PROMISES[method][2] == "exact":
        alone = explain(network, clips[1:2], method).values
        torch.testing.assert_close(alone, whole[1:2], rtol=1e-4, atol=1e-6)


def test_what_the_model_never_reads_gets_nothing(method, network, clips):
    """The right half of the picture decides nothing, and nothing is said of it."""
    values = explain(network, clips, method).values
    if PROMISES[method][3] == "local":
        assert values[..., W // 2 :].abs().max() < 1e-6
    elif PROMISES[method][3] == "blocks":
        assert values[..., 6:].abs().max() < 1e-5
    assert values[..., : W // 2].abs().max() > 0


def test_every_method_is_held_to_this():
    """A method without a line here is a method without a promise."""
    assert set(PROMISES) == set(attribution.METHODS)
