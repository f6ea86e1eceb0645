"""Claims about `expresso_lib.attribution`."""

import logging

import cv2
import numpy as np
import pytest
import torch
from captum import attr
from numpy.testing import assert_allclose
from torch import nn
from torchvision.models import video

from expresso_lib import attribution, models
from expresso_lib.attribution import references
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
    for baseline in ("zero", "blur", clips.flip(0)):
        expected = model.weights.detach() * (clips - attribution.clips_of(clips, baseline))
        for method in ("DeepLift", "IntegratedGradients"):
            result = attribution.attribute(model, clips, method, baseline)
            torch.testing.assert_close(result.values, expected, rtol=1e-4, atol=1e-5)


class Masked(nn.Module):
    """An activation that is given minus infinity, as masks give it, and a second argument."""

    class Gate(nn.Sigmoid):
        def forward(self, given, scale=1.0):
            return scale * super().forward(given)

    def __init__(self):
        super().__init__()
        self.gate = self.Gate()

    def forward(self, clips):
        means = clips.mean(dim=(1, 3, 4))
        return self.gate(means.index_fill(1, torch.tensor([0]), -torch.inf), 3.0).sum(dim=1)


def test_deeplift_takes_what_activations_are_given(clips):
    """A masked place is worth nothing, and keeps the score; the rest adds up."""
    result = attribution.attribute(Masked().eval(), clips, "DeepLift", "zero", refuse=False)
    torch.testing.assert_close(result.output, Masked().eval()(clips))


def test_a_reference_that_all_clips_share_is_not_passed_for_each(curved, clips):
    """Black is one picture: one forward pass of the clips, and none of as many black ones."""
    sizes = []
    curved.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    many = clips.repeat(4, 1, 1, 1, 1)
    for baseline, whole in (("zero", 1), ("blur", 2)):
        sizes.clear()
        attribution.attribute(curved, many, "DeepLift", baseline, internal_batch_size=len(many))
        assert sizes.count(len(many)) == whole


class Looped(nn.Module):
    """Takes its clips one after another: as many calls of an activation as there are clips."""

    def __init__(self):
        super().__init__()
        self.one = Curved().eval()

    def forward(self, clips):
        return torch.cat([self.one(clip[None]) for clip in clips])


def test_a_network_that_takes_clip_by_clip_is_explained_as_one_that_takes_all(clips):
    """A reference that all share has one call, three clips have three: it is noted for each."""
    looped = Looped().eval()
    for baseline in ("zero", "blur"):
        one, all_ = (attribution.attribute(network, clips, "DeepLift", baseline).values
                     for network in (looped, looped.one))  # fmt: skip
        torch.testing.assert_close(one, all_)


def test_expected_gradients_average_over_the_references(clips):
    """On w . x: w (x - mean reference), and f(x0) is the mean over the references."""
    model = Linear().eval()
    calm = torch.rand(5, C, 1, H, W, generator=torch.Generator().manual_seed(9))
    result = attribution.attribute(model, clips, "ExpectedGradients", calm, samples=10)
    expected = model.weights.detach() * (clips - calm.mean(dim=0))
    torch.testing.assert_close(result.values, expected, rtol=1e-4, atol=1e-5)
    assert result.complete.all()


def test_saliency_and_input_x_gradient_give_the_gradient(clips):
    """Saliency is w with its sign; InputXGradient is w x."""
    model = Linear().eval()
    weights = model.weights.detach().expand_as(clips)
    found = attribution.attribute(model, clips, "Saliency", "zero").values
    torch.testing.assert_close(found, weights)
    found = attribution.attribute(model, clips, "InputXGradient", "zero").values
    torch.testing.assert_close(found, weights * clips)


@pytest.mark.parametrize("method", ["Occlusion", "ShapleySampling"])
def test_blocks_get_their_own_score(clips, method):
    """On a linear model the sum over a block is the block's w (x - x0), for regions as given."""
    model = Linear().eval()
    regions = torch.randint(0, 3, (N, T, H, W), generator=torch.Generator().manual_seed(4))
    found = attribution.attribute(model, clips, method, "blur", regions=regions, stretches=3).values
    true = model.weights.detach() * (clips - attribution.clips_of(clips, "blur"))
    block = (regions == 1)[:, None].expand_as(clips).clone()
    block[:, :, 2:] = False
    torch.testing.assert_close((found * block).sum(), (true * block).sum(), rtol=1e-3, atol=1e-3)


class Changes(nn.Module):
    """Sum over frames of the size of the change in the mean of either half of the picture."""

    def forward(self, clips):
        halves = clips.reshape(len(clips), C, T, 2, -1).mean(dim=(1, 4))
        return halves.diff(dim=1).abs().sum(dim=(1, 2))


def test_shapley_sampling_sees_no_tears_and_adds_up():
    """What never moves is worth nothing; what comes is worth its one step; occlusion sees tears."""
    clips, plain = torch.zeros(1, C, T, H, W), torch.zeros(1, C, T, H, W)
    clips[:, :, :, :6] = 0.4  # the upper half stands still
    clips[:, :, 3:, 6:, :5] = 0.8  # the lower left comes in frame 3
    halves = torch.zeros(1, T, H, W, dtype=torch.long)
    halves[:, :, 6:] = 1
    options = {"regions": halves, "stretches": T}
    found = attribution.attribute(Changes().eval(), clips, "ShapleySampling", plain, **options)
    assert found.complete.all()
    assert found.values[:, :, :, :6].abs().max() < 1e-6
    assert_allclose(found.values[:, :, :, 6:].sum(), 0.4, rtol=1e-5)  # from 0 to a mean of .4, once
    torn = attribution.attribute(Changes().eval(), clips, "Occlusion", plain, **options).values
    assert torn[:, :, :, :6].abs().max() > 1e-3


def test_deeplift_is_captums(curved, clips):
    """The same numbers as Captum's, where Captum has a rule for the layer."""
    plain = attribution.attribute(curved, clips, "Saliency", "blur").values
    reference = attribution.clips_of(clips, "blur")
    theirs = attr.DeepLift(curved).attribute(clips, baselines=reference).detach()
    ours = attribution.attribute(curved, clips, "DeepLift", "blur").values
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6)
    # Its rules are gone from the network afterwards: gradients are gradients again.
    again = attribution.attribute(curved, clips, "Saliency", "blur").values
    torch.testing.assert_close(again, plain, rtol=0, atol=0)


def test_deeplift_takes_an_activation_that_is_used_twice_and_in_place(clips):
    """One in-place ReLU after two layers: complete, and the network is left as it was."""

    class Twice(Curved):
        def forward(self, x):
            relu = self.layers[1]
            x = relu(self.layers[0](x))
            return 30 * self.head(relu(self.layers[3](x)).mean(dim=(2, 3, 4)))

    model = Twice().eval()
    model.layers[1].inplace = True
    assert attribution.attribute(model, clips, "DeepLift", "blur").complete.all()
    assert model.layers[1].inplace


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
    assert attribution.attribute(small, scene, "LayerGradCam", "zero").values.shape == scene.shape


@pytest.mark.parametrize("method", attribution.METHODS)
@pytest.mark.parametrize("baseline", ["blur", "calm_frames"])
def test_attribute_has_one_shape_and_stores_both_scores(curved, clips, method, baseline):
    """Every method, one reference or many: (N, C, T, H, W) float32, f(x), f(x0) and their gap."""
    calm = torch.rand(2, C, 1, H, W, generator=torch.Generator().manual_seed(9))
    many = method == "ExpectedGradients" and baseline == "calm_frames"
    given = calm if many else (calm[0] if baseline == "calm_frames" else baseline)
    result = attribution.attribute(curved, clips, method, given, steps=8, samples=2)
    assert result.values.shape == clips.shape
    assert result.values.dtype == torch.float32
    each = [attribution.clips_of(clips, one) for one in (calm if many else [given])]
    with torch.no_grad():
        torch.testing.assert_close(result.output, curved(clips)[:, 0])
        zero = torch.stack([curved(one)[:, 0] for one in each]).mean(dim=0)
    torch.testing.assert_close(result.output_baseline, zero)
    gap = result.values.double().sum(dim=(1, 2, 3, 4)) - (result.output - result.output_baseline)
    torch.testing.assert_close(result.delta, gap.float(), atol=1e-5, rtol=1e-4)


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
    with pytest.raises(
        attribution.IncompleteModelError,
        match=r"misses \d+% of .* points.*IntegratedGradients.*ShapleySampling",
    ):
        attribution.attribute(Attention().eval(), clips, "DeepLift", "zero")
    result = attribution.attribute(Attention().eval(), clips, "IntegratedGradients", "zero")
    assert result.complete.all()


@pytest.mark.parametrize("method", attribution.METHODS)
def test_every_clip_is_explained_by_itself(curved, clips, method):
    """The batch size and the neighbours change no number, for random methods neither."""
    options = {"steps": 8, "samples": 4, "seed": 5}
    whole = attribution.attribute(curved, clips, method, "blur", **options)
    parts = attribution.attribute(curved, clips, method, "blur", **options, internal_batch_size=3)
    torch.testing.assert_close(whole.values, parts.values, rtol=1e-4, atol=1e-6)


def test_references_are_what_their_names_say(clips):
    """Zero, a spatial blur of every frame by itself, the calmest frame, the mean of the calm."""
    assert attribution.clips_of(clips, "zero").abs().sum() == 0
    blurred = attribution.clips_of(clips, "blur")
    again = attribution.clips_of(clips[1:2, :, 3:4], "blur")
    torch.testing.assert_close(blurred[1, :, 3], again[0, :, 0])
    assert blurred.flatten(2).std(dim=2).max() < clips.flatten(2).std(dim=2).min()
    frame = torch.rand(C, 1, H, W)
    assert torch.equal(attribution.clips_of(clips, frame)[2, :, 4], frame[:, 0])
    calm = torch.rand(3, C, 1, H, W)
    assert torch.equal(attribution.of_recording(calm, "own_neutral"), calm[0])
    torch.testing.assert_close(attribution.of_recording(calm, "calm_mean"), calm.mean(dim=0))
    with pytest.raises(ValueError, match="of_recording"):
        attribution.clips_of(clips, "own_neutral")


@pytest.mark.parametrize(
    ("method", "baseline", "message"),
    [
        ("DeepLif", "zero", "did you mean 'DeepLift'"),
        ("DeepLift", "grey", "zero"),
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
    with pytest.raises(ValueError, match="option 'step' is unknown; did you mean 'steps'"):
        attribution.attribute(curved, clips, "DeepLift", "zero", step=3)
    with pytest.raises(ValueError, match="stretches is 0; give at least 1"):
        attribution.attribute(curved, clips, "Occlusion", "zero", stretches=0)
    with pytest.raises(ValueError, match="baseline is a ndarray; give a name or a tensor"):
        attribution.attribute(curved, clips, "DeepLift", clips.numpy())
    with pytest.raises(ValueError, match="must be a list of one or more"):
        attribution.attribute_each(curved, clips, "DeepLift", "blur")
    with pytest.raises(ValueError, match="pairs of a method and a baseline"):
        attribution.by_channel(curved, clips, ("DeepLift", "blur"), str, regions=clips[:, 0])
    with pytest.raises(ValueError, match="uint8"):
        attribution.attribute(curved, (clips * 255).byte(), "DeepLift", "zero")


class Broken(nn.Module):
    """A network that fails in a way of its own."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, clips):
        return self.answer(clips)


def _raise(error):
    raise error


@pytest.mark.parametrize(
    ("answer", "method", "message"),
    [
        (lambda x: x.mean(dim=(1, 2, 3, 4)) * float("nan"), "DeepLift", "NaN or infinity"),
        (lambda x: x.mean(dim=(1, 2, 3, 4)).detach(), "DeepLift", "no gradients.*Shapley"),
        (lambda x: x.mean(dim=(2, 3, 4)), "DeepLift", "3 outputs; say which: output=0 to 2"),
        (lambda x: x.mean(), "DeepLift", r"must give a tensor \(N,\)"),
        (lambda x: {"score": x}, "DeepLift", r"gave \('dict',\) for .* clips"),
        (lambda x: x.mean(dim=(1, 2, 3, 4)).detach(), "LayerGradCam", "no gradients.*Shapley"),
        (lambda x: _raise(RuntimeError("size mismatch")), "Saliency", "size mismatch.*Adapter"),
        (lambda x: _raise(AssertionError("Torch not compiled with CUDA enabled")), "Saliency",
         "map_location='cpu'"),
    ],
)  # fmt: skip
def test_a_network_that_cannot_be_explained_is_refused_in_one_sentence(
    clips, answer, method, message
):
    """NaN, no gradients, several outputs, another size, a device that is not here."""
    with pytest.raises(attribution.ModelError, match=message):
        attribution.attribute(Broken(answer).eval(), clips, method, "blur")


class Folded(nn.Module):
    """Frames one by one, in the batch: those of a clip together, or clip by clip of each frame."""

    def __init__(self, order):
        super().__init__()
        torch.manual_seed(4)
        self.order, self.layer = order, nn.Conv2d(C, 4, 3)
        self.rectify, self.head = nn.ReLU(), nn.Linear(4, 1)
        self.place = nn.Parameter(torch.linspace(-1, 1, T))

    def forward(self, clips):
        axes = (0, 2, 1, 3, 4) if self.order == "clips" else (2, 0, 1, 3, 4)
        frames = clips.permute(axes)
        place = self.place[None, :, None] if self.order == "clips" else self.place[:, None, None]
        seen = self.rectify(self.layer(frames.flatten(0, 1))).mean(dim=(2, 3))
        seen = self.rectify(seen.view(*frames.shape[:2], -1) - 0.2 + 0.1 * place)
        return self.head(seen.mean(dim=1 if self.order == "clips" else 0)).squeeze(1)


@pytest.mark.parametrize("method", ["DeepLift", "LayerGradCam"])
def test_frames_in_the_batch_may_stand_in_any_order(clips, method):
    """Two orders of the same computation have the same explanation, a shared reference or not."""
    first, other = (
        attribution.attribute(Folded(order).eval(), clips, method, "zero").values
        for order in ("clips", "frames")
    )
    assert first.abs().max() > 0
    torch.testing.assert_close(first, other, rtol=1e-3, atol=1e-6)
    [single] = attribution.attribute(Folded("frames").eval(), clips[1:2], method, "zero").values
    torch.testing.assert_close(single, first[1], rtol=1e-3, atol=1e-6)


def test_grad_cam_of_frames_in_a_layer_for_clips_is_refused():
    """Our image network passes frames as a batch of clips: one message, no error of torch's."""
    network = models.build("small_image", frames=4, size=32)
    with pytest.raises(attribution.ModelError, match="keeps a map"):
        attribution.attribute(network, torch.rand(1, 3, 4, 32, 32), "LayerGradCam", "zero")


def test_grad_cam_of_a_layer_that_is_called_frame_by_frame_is_refused(clips):
    """Only the last frame's map would be seen, and laid on all."""

    class Loop(Folded):
        def forward(self, clips):
            each = [self.layer(clips[:, :, k]).mean(dim=(2, 3)) for k in range(clips.shape[2])]
            return self.head(torch.stack(each).mean(dim=0)).squeeze(1)

    with pytest.raises(attribution.ModelError, match="called once for all frames"):
        attribution.attribute(Loop("frames").eval(), clips, "LayerGradCam", "zero")


class InPlace(nn.Module):
    """Normalises its input and goes on from an activation in place, or does neither."""

    def __init__(self, in_place):
        super().__init__()
        torch.manual_seed(5)
        self.in_place, self.layer = in_place, nn.Conv3d(C, 3, 1)
        self.bend, self.smooth = nn.ReLU(), nn.SiLU()

    def forward(self, clips):
        if self.in_place:
            clips -= 0.45
            seen = self.layer(clips)
            seen += self.bend(input=seen)
            seen = self.smooth(1.5 * seen)
            seen += 1
        else:
            seen = self.layer(clips - 0.45)
            seen = self.smooth(1.5 * (seen + self.bend(seen))) + 1
        return seen.mean(dim=(1, 2, 3, 4))


@pytest.mark.parametrize("method", ["DeepLift", "IntegratedGradients", "LayerGradCam", "Occlusion"])
def test_a_network_that_works_in_place_gets_clips_of_its_own(clips, method):
    """The caller's clips stay as they are, and the explanation is that of its twin."""
    before = clips.clone()
    found, twin = (
        attribution.attribute(InPlace(how).eval(), clips, method, "zero") for how in (True, False)
    )
    assert torch.equal(clips, before)
    torch.testing.assert_close(found.values, twin.values, rtol=1e-4, atol=1e-7)


class Gated(nn.Module):
    """Activations whose rows are no clips: a scalar gate, and all clips in one row."""

    def __init__(self):
        super().__init__()
        self.gate, self.shut, self.bend = nn.Parameter(torch.tensor(0.3)), nn.Sigmoid(), nn.ReLU()

    def forward(self, clips):
        means = self.bend(clips.mean(dim=(2, 3, 4)).reshape(1, -1) - 0.4).reshape(len(clips), -1)
        return self.shut(self.gate) * means.sum(dim=1)


def test_activations_without_a_row_for_each_clip_are_explained(clips):
    """A shared reference is passed once only where that is sound."""
    found = attribution.attribute(Gated().eval(), clips, "DeepLift", "zero")
    assert found.complete.all()
    assert found.values.abs().max() > 0


def test_a_gap_of_rounding_misses_nothing(clips):
    """22 points and next to nothing of the clip: float32 leaves a gap, and no rule is missing."""
    almost = Broken(lambda x: 22 + 1e-6 * x.mean(dim=(1, 2, 3, 4))).eval()
    assert (attribution.attribute(almost, clips, "Saliency", "zero").missed == 0).all()
    far = Broken(lambda x: 22 + x.mean(dim=(1, 2, 3, 4)).square()).eval()
    assert (attribution.attribute(far, clips, "Saliency", "zero").missed > 0.05).all()


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_gradients_are_taken_wherever_it_is_called_from(curved, clips, context):
    """Inference code stands under one of these contexts."""
    with context():
        found = attribution.attribute(curved, clips.clone(), "DeepLift", "zero")
    assert torch.equal(
        found.values, attribution.attribute(curved, clips, "DeepLift", "zero").values
    )


def test_clips_and_weights_of_another_kind_are_refused(clips):
    """Half weights, half clips, pixels in 0 to 255."""
    with pytest.raises(attribution.ModelError, match=r"call model\.float"):
        attribution.attribute(InPlace(False).eval().half(), clips, "DeepLift", "zero")
    with pytest.raises(ValueError, match="bfloat16; give float32"):
        attribution.attribute(InPlace(False).eval(), clips.bfloat16(), "DeepLift", "zero")
    with pytest.raises(ValueError, match="divide by 255"):
        attribution.attribute(InPlace(False).eval(), clips * 255, "DeepLift", "zero")
    with pytest.raises(ValueError, match=r"numpy\.ndarray.*torch\.from_numpy"):
        attribution.attribute(InPlace(False).eval(), clips.numpy(), "DeepLift", "zero")


def test_an_output_of_many_is_explained(clips):
    """output=1 is the second of three; without gradients Shapley sampling still works."""
    model = Broken(lambda x: x.mean(dim=(2, 3, 4))).eval()
    found = attribution.attribute(model, clips, "DeepLift", "zero", output=1)
    assert found.complete.all()
    assert found.values[:, [0, 2]].abs().max() == 0
    blind = Broken(lambda x: x.detach().mean(dim=(1, 2, 3, 4))).eval()
    assert attribution.attribute(blind, clips, "ShapleySampling", "blur").complete.all()
    for none in (7, True):
        with pytest.raises(attribution.ModelError, match=f"no output {none}; it has 0 to 2"):
            attribution.attribute(model, clips, "DeepLift", "zero", output=none)


def test_an_adapter_gives_a_network_what_it_was_made_for(clips):
    """Size, frames and normalisation; the explanation lies on the clip as it came."""
    strict = Broken(lambda x: x.view(len(x), 3, 4, 8, 8).mean(dim=(1, 2, 3, 4))).eval()
    with pytest.raises(attribution.ModelError, match="Adapter"):
        attribution.attribute(strict, clips, "DeepLift", "zero")
    fits = attribution.Adapter(strict, frames=4, size=8, mean=(0.5,) * 3, std=(0.25,) * 3)
    found = attribution.attribute(fits, clips, "DeepLift", "zero")
    assert found.values.shape == clips.shape
    assert found.complete.all()
    wide = torch.rand(1, 3, 8, 6, 10)
    same = attribution.Adapter(nn.Identity(), frames=4)(wide)
    assert same.shape == (1, 3, 4, 6, 10), "no size was asked for"


def test_a_clip_equal_to_its_baseline_is_flagged(curved, clips, caplog):
    """A constant clip against its own frame: nothing to explain, said, no crash."""
    still = clips.clone()
    still[1] = still[1, :, :1]
    with caplog.at_level(logging.WARNING):
        result = attribution.attribute(curved, still, "DeepLift", still[:, :, :1])
    assert result.values[1].abs().max() < 1e-6
    assert "1 of 4 clips equal their baseline" in caplog.text


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


def test_calm_frames_come_calmest_first():
    """Ordered by distance from the median face; a track without a face is refused."""
    rng = np.random.default_rng(2)
    track = np.stack([_face(rng, mouth=m, yaw=0) for m in (9, 0, 5, 0.1, 7, 0, 0)])
    assert set(attribution.calm_frames(track, 4)) == {1, 3, 5, 6}
    assert attribution.calm_frames(track)[-1] == 0
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
    [(number, last)] = attribution.randomised(model, seed=1, depths=[-1])
    assert number == 2
    assert torch.equal(last[0].weight, steps[1][1][0].weight)


def test_randomised_leaves_nothing_learned_in_buffers_either():
    """Statistics of a normalisation, and what twins taught the network that ships."""
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 1))
    model[1].running_mean.copy_(torch.arange(6.0))
    [(_, last)] = attribution.randomised(model, seed=1, depths=[-1])
    assert not torch.equal(last[1].running_mean, model[1].running_mean)
    assert torch.equal(last[1].running_mean.sort().values, model[1].running_mean)
    ours = models.build("small", weights="facial-actions")
    [(_, last)] = attribution.randomised(ours, seed=1, depths=[-1])
    name = "stages.2.1.weight"
    assert not torch.equal(last.state_dict()[name], ours.state_dict()[name])
    assert torch.equal(last.mean, ours.mean)


def test_expected_gradients_take_each_clips_own_reference():
    """As many references as clips, of their shape: one for each, and none of the others'."""
    torch.manual_seed(2)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 6 * 6, 5), nn.ReLU(),
                            nn.Linear(5, 1)).eval()  # fmt: skip
    clips, own = torch.rand(3, 3, 4, 6, 6), torch.rand(3, 3, 4, 6, 6)
    found = attribution.attribute(network, clips, "ExpectedGradients", own, samples=8)
    expected = attribution.attribute(network, clips, "IntegratedGradients", own)
    assert_allclose(found.output_baseline, expected.output_baseline, rtol=1e-6)


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
    """A video transformer is refused by its gap; others explain it."""
    model = _one_output("swin3d_t")
    clips = torch.rand(1, 3, 4, 32, 40, generator=torch.Generator().manual_seed(1))
    with pytest.raises(attribution.IncompleteModelError, match="SwinTransformer3d misses"):
        attribution.attribute(model, clips, "DeepLift", "zero")
    for method in ("IntegratedGradients", "ShapleySampling"):
        result = attribution.attribute(model, clips, method, "zero", steps=8, stretches=2)
        assert result.values.isfinite().all()


def _turned(side, frames, rng):
    """A head that shifts and turns while its mouth opens, and its picture; pixels of ``side``."""
    base = rng.uniform(0.3 * side, 0.7 * side, (68, 2))
    track, moves = np.empty((frames, 68, 2)), []
    for k in range(frames):
        turn, opened = rng.normal(0, [0.1, 2.0, 2.0]), np.zeros((68, 2))
        move = np.array([[1 + turn[0], 0, turn[1]], [0, 1, turn[2]]]) if k else np.eye(2, 3)
        opened[list(anatomy.INNER_LIP), 1] = 4 * rng.random() if k else 0
        track[k] = (base + opened) @ move[:, :2].T + move[:, 2]
        moves.append(move)
    return track, moves


def test_a_posed_face_follows_the_head_and_no_expression():
    """Known answer: the calm picture under the head's own affine map, whatever the mouth does."""
    rng, side = np.random.default_rng(4), 64
    track, moves = _turned(side, 40, rng)
    track[7] = np.nan
    y, x = np.mgrid[:side, :side] / side
    calm = np.stack([np.sin(7 * x) * 0.4 + 0.5, np.cos(5 * y) * 0.4 + 0.5, x * y], -1)
    rows, face = np.array([0, 3, 12, 30]), np.zeros((4, side, side), bool)
    face[:, 16:48, 16:48] = True
    clip = torch.full((3, 4, side, side), 0.25)
    frame = torch.from_numpy(calm).permute(2, 0, 1)[:, None].float()
    found = references.posed(frame, 0, track, rows, clip, face).permute(1, 2, 3, 0).numpy()
    for one, row in zip(found, rows):
        there = cv2.warpAffine(calm.astype(np.float32), moves[row], (side, side),
                               flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
        assert_allclose(one[20:44, 20:44], there[20:44, 20:44], atol=0.01)
    assert_allclose(found[:, :8], 0.25)  # around the face the clip stays
    track[0] = np.nan
    early = references.posed(frame, 3, track, np.array([0, 1]), clip[:, :2], face[:2])
    assert_allclose(early[:, 0], early[:, 1]), "before the first face its pose is the best guess"


def test_a_composite_has_no_pose_to_carry():
    """Its tiles follow the face: the calmest frame stands in."""
    calm = torch.rand(3, 3, 1, 4, 4)
    assert torch.equal(attribution.of_recording(calm, attribution.NEUTRAL), calm[0])
    posed = torch.rand(2, 3, 5, 4, 4)
    assert attribution.of_recording(calm, attribution.NEUTRAL, posed) is posed


def test_baselines_together_say_what_each_says_alone():
    """One forward pass of the clips, the same values; for references shared and not."""
    torch.manual_seed(2)
    network = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(),
                            nn.Linear(4 * 4 * 6 * 6, 1)).eval()  # fmt: skip
    clips = torch.rand(5, 3, 4, 6, 6)
    given = ["zero", "blur", clips[0, :, :1], torch.rand(5, 3, 4, 6, 6)]
    for method in ("DeepLift", "InputXGradient"):
        together = attribution.attribute_each(network, clips, method, given, internal_batch_size=8)
        for baseline, one in zip(given, together):
            alone = attribution.attribute(network, clips, method, baseline)
            assert_allclose(one.values, alone.values, atol=1e-6)
            assert_allclose(one.output_baseline, alone.output_baseline, atol=1e-6)
            assert one.complete.all() or method != "DeepLift"


class Motion(nn.Module):
    """How far pixels move: its root has no slope where they stand still."""

    def forward(self, clips):
        return clips.diff(dim=2).pow(2).sum(dim=1).sqrt().flatten(1).sum(dim=1)


class Overwritten(nn.Module):
    """Changes what its derivative needs."""

    def forward(self, clips):
        warm = torch.exp(clips)
        warm -= 1
        return warm.flatten(1).sum(dim=1)


class Beside(nn.Module):
    """What it says of a clip depends on the clips beside it."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm3d(C, track_running_stats=False)

    def forward(self, clips):
        return self.norm(clips).flatten(1).max(dim=1).values


@pytest.mark.parametrize("method", ["DeepLift", "InputXGradient", "IntegratedGradients"])
@pytest.mark.parametrize(
    ("network", "message"),
    [(Motion(), "NaN or infinite"), (Overwritten(), "no activation in place"),
     (Beside(), "depends on the clips beside it")],
)  # fmt: skip
def test_networks_without_a_slope_or_with_neighbours_are_refused(clips, method, network, message):
    """Each in one sentence, and not with NaN as a result."""
    still = clips[:, :, :1].expand_as(clips).contiguous()
    with pytest.raises(attribution.ModelError, match=message):
        attribution.attribute(network.eval(), still, method, "zero")


def test_yes_or_no_in_double_precision_is_explained_by_taking_things_away(clips):
    """What gradients refuse, occlusion and sampling can ask."""

    class Bright(nn.Module):
        def forward(self, clips):
            return clips.flatten(1).mean(dim=1) > 0.5

    for method in ("Occlusion", "ShapleySampling"):
        found = attribution.attribute(Bright().eval(), clips.double() + 0.2, method, "zero")
        assert torch.isfinite(found.values).all()


@pytest.mark.parametrize("output", [1.0, "0", [0, 1], 3])
def test_an_output_that_is_no_number_of_one_is_refused(clips, output):
    """Whatever it is, in the same words."""
    with pytest.raises(attribution.ModelError, match="it has 0 to 0"):
        attribution.attribute(Linear().eval(), clips, "Saliency", "zero", output=output)


def test_baselines_and_regions_that_fit_nothing_are_refused(clips):
    """No name and no tensor; a region below 0; a network that cannot be copied."""
    for baseline in (None, [1], np.zeros(3)):
        with pytest.raises(ValueError, match="give a name or a tensor"):
            attribution.attribute(Linear().eval(), clips, "DeepLift", baseline)
    regions = torch.full((N, T, H, W), -1)
    with pytest.raises(ValueError, match="below 0"):
        attribution.attribute(Linear().eval(), clips, "Occlusion", "zero", regions=regions)
    torch.manual_seed(0)
    tied = nn.utils.weight_norm(nn.Conv3d(C, 2, 1))
    tied(clips)
    with pytest.raises(ValueError, match="cannot be copied"):
        list(references.randomised(tied))
