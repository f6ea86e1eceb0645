"""Claims about `expresso_lib.attribution`."""

import logging

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torchvision.models import video

from expresso_lib import attribution, models
from expresso_lib.faces import anatomy

N, C, T, H, W = 4, 3, 6, 12, 10


class Linear(nn.Module):
    """f(x) = w . x + 2: every attribution is known by hand."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.weights = nn.Parameter(torch.randn(C, T, H, W, generator=generator))

    def forward(self, clips):
        return (clips * self.weights).flatten(1).sum(dim=1) + 2


class Curved(nn.Module):
    """A small video network with every kind of layer DeepLift has a rule for."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.layers = nn.Sequential(
            nn.Conv3d(C, 5, 3, padding=1), nn.ReLU(), nn.AvgPool3d((1, 2, 2)),
            nn.Conv3d(5, 4, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(4, 1)

    def forward(self, clips):
        return 30 * self.head(self.layers(clips).mean(dim=(2, 3, 4)))


class Attention(nn.Module):
    """A model with a product of two functions of the input, for which DeepLift has no rule."""

    def forward(self, clips):
        mean = clips.mean(dim=(2, 3, 4))
        return (mean[:, 0] * mean[:, 1] * 50).softmax(dim=0) * 0 + 50 * mean[:, 0] * mean[:, 1]


@pytest.fixture
def clips():
    return torch.rand(N, C, T, H, W, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def curved():
    return Curved().eval()


def test_attribute_gives_the_known_answer_of_a_linear_model(clips):
    """On w . x every complete method says w (x - x0), whatever the baseline."""
    model = Linear().eval()
    for baseline in ("zero", "blur", "temporal_mean", clips.flip(0)):
        expected = model.weights.detach() * (clips - attribution.baseline_clips(clips, baseline))
        for method in ("DeepLift", "IntegratedGradients", "GradientShap"):
            result = attribution.attribute(model, clips, method, baseline, noise=0.0)
            torch.testing.assert_close(result.values, expected, rtol=1e-4, atol=1e-5)


def test_saliency_and_input_x_gradient_give_the_gradient(clips):
    """Saliency is w with its sign; InputXGradient is w x."""
    model = Linear().eval()
    weights = model.weights.detach().expand_as(clips)
    found = attribution.attribute(model, clips, "Saliency", "zero").values
    torch.testing.assert_close(found, weights)
    found = attribution.attribute(model, clips, "InputXGradient", "zero").values
    torch.testing.assert_close(found, weights * clips)


def test_ablation_gives_each_region_and_time_block_its_own_score(clips):
    """On a linear model the sum over a block is the block's w (x - x0), for regions as given."""
    model = Linear().eval()
    regions = torch.randint(0, 3, (N, T, H, W), generator=torch.Generator().manual_seed(4))
    found = attribution.attribute(
        model, clips, "Ablation", "blur", regions=regions, time_blocks=3
    ).values
    true = model.weights.detach() * (clips - attribution.blurred(clips))
    block = (regions == 1)[:, None].expand_as(clips).clone()
    block[:, :, 2:] = False
    torch.testing.assert_close((found * block).sum(), (true * block).sum(), rtol=1e-3, atol=1e-3)


class Changes(nn.Module):
    """Sum over frames of the size of the change in the mean of either half of the picture."""

    def forward(self, clips):
        halves = clips.reshape(len(clips), C, T, 2, -1).mean(dim=(1, 4))
        return halves.diff(dim=1).abs().sum(dim=(1, 2))


def test_ablation_sees_no_tears_and_adds_up_by_region():
    """What never moves is worth nothing in any frame; what comes is worth its one step."""
    clips, plain = torch.zeros(1, C, T, H, W), torch.zeros(1, C, T, H, W)
    clips[:, :, :, :6] = 0.4  # the upper half stands still
    clips[:, :, 3:, 6:, :5] = 0.8  # the lower left comes in frame 3
    halves = torch.zeros(1, T, H, W, dtype=torch.long)
    halves[:, :, 6:] = 1
    found = attribution.attribute(
        Changes().eval(), clips, "Ablation", plain, regions=halves, time_blocks=T
    ).values
    assert found[:, :, :, :6].abs().max() < 1e-6
    assert_allclose(found[:, :, :, 6:].sum(), 0.4, rtol=1e-5)  # from 0 to a mean of .4, once
    assert found[..., 6:, 5:].abs().max() == 0  # equal to the baseline: nothing lies there


def test_grad_cam_is_larger_where_the_model_looks(clips):
    """A bright square in the clip carries Grad-CAM's mass, for 3D and for per-frame layers."""
    scene = torch.zeros(1, C, T, 32, 32)
    scene[..., 16:, 16:] = 1
    network = nn.Sequential(nn.Conv3d(C, 2, 1), nn.ReLU())
    for tensor in network.parameters():
        nn.init.ones_(tensor)

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x):
            return self.network(x).mean(dim=(1, 2, 3, 4))

    found = attribution.attribute(Whole().eval(), scene, "LayerGradCam", "zero").values
    assert found[..., 16:, 16:].mean() > 1.5 * found[..., :16, :16].mean()
    small = models.build("small", frames=T, size=32)
    assert attribution.attribute(small, scene, "layer_grad_cam", "zero").values.shape == scene.shape


@pytest.mark.parametrize("method", attribution.METHODS)
@pytest.mark.parametrize("baseline", attribution.BASELINES)
def test_attribute_has_one_shape_and_stores_both_scores(curved, clips, method, baseline):
    """Every method with every baseline: (N, C, T, H, W) float32, f(x), f(x0) and their gap."""
    result = attribution.attribute(curved, clips, method, baseline, steps=8, samples=2)
    assert result.values.shape == clips.shape
    assert result.values.dtype == torch.float32
    reference = attribution.baseline_clips(clips, baseline)
    with torch.no_grad():
        torch.testing.assert_close(result.output, curved(clips)[:, 0])
        torch.testing.assert_close(result.output_baseline, curved(reference)[:, 0])
    if method == "GradientShap":
        assert result.delta.isnan().all()
    else:
        gap = result.values.double().sum(dim=(1, 2, 3, 4)) - (
            result.output - result.output_baseline
        )
        torch.testing.assert_close(result.delta, gap.float())


def test_deeplift_adds_up(curved, clips):
    """|sum A - (f(x) - f(x0))| <= 1e-3 |f(x) - f(x0)| on a network whose biases matter."""
    result = attribution.attribute(curved, clips, "DeepLift", "zero")
    difference = (result.output - result.output_baseline).abs()
    assert (result.delta.abs() <= 1e-3 * difference).all()
    assert result.complete.all()


def test_integrated_gradients_close_the_gap_with_more_steps(curved, clips):
    """Kinks make the integral converge slowly, but it does: the gap falls from 4 to 400 steps."""
    gaps = [
        attribution.attribute(curved, clips, "IntegratedGradients", "zero", steps=s).delta.abs()
        for s in (4, 400)
    ]
    assert gaps[1].sum() < 0.1 * gaps[0].sum()


def test_incomplete_clips_are_flagged(curved, clips):
    """Two steps of integration do not add up, and the clip says so."""
    result = attribution.attribute(curved, clips, "IntegratedGradients", "zero", steps=2)
    expected = result.delta.abs() <= 1e-3 * (result.output - result.output_baseline).abs()
    assert torch.equal(result.complete, expected)
    assert not result.complete.all()


def test_deeplift_refuses_a_model_by_its_measured_gap(clips):
    """A product of inputs is refused, and the message names the methods to use instead."""
    with pytest.raises(attribution.IncompleteModelError, match=r"IntegratedGradients.*Ablation"):
        attribution.attribute(Attention().eval(), clips, "DeepLift", "zero")
    result = attribution.attribute(Attention().eval(), clips, "IntegratedGradients", "zero")
    assert result.complete.all()


def test_every_clip_is_explained_by_itself(curved, clips):
    """The batch size and the neighbours change no number, for random methods neither."""
    for method in ("DeepLift", "IntegratedGradients", "Ablation", "GradientShap", "NoiseTunnel"):
        options = {"steps": 8, "samples": 4, "seed": 5}
        whole = attribution.attribute(curved, clips, method, "blur", **options)
        parts = attribution.attribute(
            curved, clips, method, "blur", **options, internal_batch_size=4
        )
        torch.testing.assert_close(whole.values, parts.values, rtol=1e-4, atol=1e-6)


def test_seed_decides_random_methods_and_leaves_the_global_generators_alone(curved, clips):
    """The same seed gives the same map; the global generators go on as if nothing had run."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    maps = [
        attribution.attribute(curved, clips[:1], "GradientShap", "zero", seed=s).values
        for s in (7, 7, 8)
    ]
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[0], maps[2])
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()  # noqa: NPY002


def test_baseline_clips_are_what_their_names_say(clips):
    """Zero, a spatial blur of every frame by itself, the mean over time, a frame repeated."""
    assert attribution.baseline_clips(clips, "zero").abs().sum() == 0
    mean = attribution.baseline_clips(clips, "temporal_mean")
    torch.testing.assert_close(mean[:, :, 2], clips.mean(dim=2))
    blurred = attribution.baseline_clips(clips, "blur")
    torch.testing.assert_close(blurred[1, :, 3], attribution.blurred(clips[1:2, :, 3:4])[0, :, 0])
    assert blurred.flatten(2).std(dim=2).max() < clips.flatten(2).std(dim=2).min()
    frame = torch.rand(C, 1, H, W)
    assert torch.equal(attribution.baseline_clips(clips, frame)[2, :, 4], frame[:, 0])


@pytest.mark.parametrize(
    ("method", "baseline", "message"),
    [
        ("DeepLif", "zero", "did you mean 'DeepLift'"),
        ("DeepLift", "grey", "own_neutral"),
        ("DeepLift", torch.zeros(2, 2), "does not fit clips"),
        ("DeepLift", torch.full((C, 1, H, W), float("nan")), "NaN"),
    ],
)
def test_attribute_refuses_wrong_names_and_shapes(curved, clips, method, baseline, message):
    """What came, what fits, what to do."""
    with pytest.raises(ValueError, match=message):
        attribution.attribute(curved, clips, method, baseline)


def test_attribute_refuses_lost_frames_training_mode_and_unknown_options(curved, clips):
    """NaN frames are named, a model in training mode is refused, so is a misspelt option."""
    lost = clips.clone()
    lost[2, :, 3] = float("nan")
    with pytest.raises(ValueError, match="clip 2 holds NaN in frame 3"):
        attribution.attribute(curved, lost, "DeepLift", "zero")
    with pytest.raises(ValueError, match=r"model\.eval"):
        attribution.attribute(Curved(), clips, "DeepLift", "zero")
    with pytest.raises(ValueError, match="unknown option step"):
        attribution.attribute(curved, clips, "DeepLift", "zero", step=3)
    with pytest.raises(ValueError, match="uint8"):
        attribution.attribute(curved, (clips * 255).byte(), "DeepLift", "zero")


def test_a_clip_equal_to_its_baseline_is_flagged(curved, clips, caplog):
    """A constant clip against its temporal mean: nothing to explain, said, no crash."""
    still = clips.clone()
    still[1] = still[1, :, :1]
    still[1] = 0.5
    with caplog.at_level(logging.WARNING):
        result = attribution.attribute(curved, still, "DeepLift", "temporal_mean")
    assert result.degenerate.tolist() == [False, True, False, False]
    assert result.values[1].abs().max() < 1e-6
    assert "equal their baseline" in caplog.text


def test_attribute_halves_the_batch_where_memory_runs_out(clips, caplog):
    """Five clips at once are too many: the batch is halved, said, and the result is the same."""

    class Greedy(Linear):
        def forward(self, batch):
            if len(batch) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(batch)

    with caplog.at_level(logging.WARNING):
        found = attribution.attribute(Greedy().eval(), clips, "InputXGradient", "zero")
    expected = attribution.attribute(Linear().eval(), clips, "InputXGradient", "zero")
    torch.testing.assert_close(found.values, expected.values)
    assert "at most 2 clips" in caplog.text


def test_attribute_says_so_where_one_clip_does_not_fit(clips):
    """With nothing left to halve the error says what to make smaller."""

    class Hopeless(Linear):
        def forward(self, batch):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(MemoryError, match="fewer frames"):
        attribution.attribute(Hopeless().eval(), clips, "DeepLift", "zero")


def _face(rng, *, mouth, yaw):
    """A made-up face whose mouth opens and whose head turns."""
    base = np.random.default_rng(0).uniform(20, 80, (68, 2))
    face = base.copy()
    face[list(anatomy.INNER_LIP)] += [0, mouth]
    face[:, 0] *= 1 - 0.1 * yaw
    return face + rng.normal(0, 0.01, face.shape) + 30 * yaw


def test_neutral_frame_is_the_usual_face_whatever_the_pose():
    """Turned heads with a closed mouth are nearer the median than a straight one that speaks."""
    rng = np.random.default_rng(1)
    mouths = [4, 0.5, 0, 5, 0, 0, 3, 6, 0]
    yaws = [0, 0, 1, 0, 2, 1, 0, 0, 1.5]
    track = np.stack([_face(rng, mouth=m, yaw=y) for m, y in zip(mouths, yaws)])
    track[5] = np.nan
    assert attribution.neutral_frame(track) in (1, 2, 4, 8)
    assert attribution.neutral_frame(track[::-1]) in (0, 4, 6, 7)


def test_own_neutral_is_that_frame_as_a_baseline():
    """(3, 1, H, W) in 0 to 1, and misfitting or empty tracks are refused."""
    rng = np.random.default_rng(2)
    frames = rng.integers(0, 256, (5, H, W, 3), dtype=np.uint8)
    track = np.stack([_face(rng, mouth=m, yaw=0) for m in (9, 0, 5, 0.1, 7)])
    row = attribution.neutral_frame(track)
    found = attribution.own_neutral(frames, track)
    assert found.shape == (3, 1, H, W)
    np.testing.assert_allclose(found[:, 0].permute(1, 2, 0) * 255, frames[row], rtol=1e-4)
    with pytest.raises(ValueError, match="row f must be frame f"):
        attribution.own_neutral(frames[:4], track)
    with pytest.raises(ValueError, match="68 landmarks"):
        attribution.neutral_frame(np.full((3, 68, 2), np.nan))


def test_randomised_goes_from_the_head_down_and_leaves_the_model_alone():
    """Each step changes one more layer; distributions stay; the original is untouched."""
    model = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1))
    before = [p.clone() for p in model.parameters()]
    steps = list(attribution.randomised(model, seed=1))
    assert [number for number, _ in steps] == [1, 2]
    first = steps[0][1]
    assert torch.equal(first[0].weight, model[0].weight)
    assert not torch.equal(first[2].weight, model[2].weight)
    assert_allclose(first[2].weight.detach().sort().values, model[2].weight.detach().sort().values)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters()))


def _one_output(name):
    torch.manual_seed(0)
    network = getattr(video, name)(weights=None)
    if hasattr(network, "fc"):
        network.fc = nn.Linear(network.fc.in_features, 1)
    else:
        network.head = nn.Linear(network.head.in_features, 1)
    return network.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r3d_18", "r2plus1d_18"])
def test_deeplift_is_complete_on_torchvisions_video_resnets(name):
    """No surgery on the backbones of the paper's kind."""
    clips = torch.rand(2, 3, 4, 32, 40, generator=torch.Generator().manual_seed(1))
    assert attribution.attribute(_one_output(name), clips, "DeepLift", "blur").complete.all()


@pytest.mark.slow
def test_transformers_are_refused_deeplift_and_take_the_methods_named_instead():
    """A video transformer is refused by its gap; integrated gradients and ablation explain it."""
    model = _one_output("swin3d_t")
    clips = torch.rand(1, 3, 4, 32, 40, generator=torch.Generator().manual_seed(1))
    with pytest.raises(attribution.IncompleteModelError, match="SwinTransformer3d misses"):
        attribution.attribute(model, clips, "DeepLift", "zero")
    for method in ("IntegratedGradients", "Ablation"):
        result = attribution.attribute(
            model, clips, method, "zero", steps=8, time_blocks=2, internal_batch_size=4
        )
        assert result.values.isfinite().all()
