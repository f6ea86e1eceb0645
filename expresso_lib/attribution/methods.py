"""Which voxels of a clip moved the predicted score: every method behind one call.

``attribute(model, clips, method, baseline)`` takes clips (N, C, T, H, W) and any network, and
gives signed attributions of the same shape in score points, with f(x), f(x0) and the gap between
their difference and the attributions' sum. Grad-CAM is Captum's (Kokhlikyan et al., 2020). The
rest is short and written out: DeepLift (rescale rule; Shrikumar et al., 2017), because a reference
that many clips share is then passed through the network once, and an activation may be used more
than once; integrated (Sundararajan et al., 2017) and expected gradients (Erion et al., 2021).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from expresso_lib import _checks
from expresso_lib.attribution import references

log = logging.getLogger(__name__)

TOLERANCE = 1e-3
BRIGHTEST = 16  # far above 1, and above what any normalisation makes of it
# A DeepLift that misses more than this share of f(x) - f(x0) does not know the model's layers.
REFUSAL = 0.05
ROUNDING = 1e-5  # of |f(x)| + |f(x0)|: a gap that float32 alone may leave
NO_RULE = ("the model has layers without a rule (attention, max pooling, functional "
             "activations). Use method 'IntegratedGradients' (in a run: "
             "attribution.method=IntegratedGradients) or 'ShapleySampling'.")  # fmt: skip
# Activations that DeepLift has a rule for: one number in, one number out.
ELEMENTWISE = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish,
               nn.Sigmoid, nn.Tanh, nn.Softplus)  # fmt: skip


class ModelError(ValueError):
    """A network that cannot be explained as it is; the message says what to change."""


class IncompleteModelError(ModelError):
    """The method's attributions do not add up on this network, so they explain something else."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """Attributions of N clips, in score points.

    ``complete`` is False where |delta| > 1e-3 |f(x) - f(x0)|.
    """

    values: Tensor  # (N, C, T, H, W) float32, score points
    output: Tensor  # (N,) f(x), score points
    output_baseline: Tensor  # (N,) f(x0), score points; mean over references where there are many
    delta: Tensor  # (N,) sum(values) - (f(x) - f(x0)), score points
    complete: Tensor  # (N,) bool
    method: str

    @property
    def missed(self) -> Tensor:
        """|delta| as a share of |f(x) - f(x0)| (N,), 1 at most; 0 where it is rounding."""
        gap, sizes = self.delta.abs(), self.output.abs() + self.output_baseline.abs()
        share = (gap / (self.output - self.output_baseline).abs()).clamp(max=1)
        return torch.where(gap <= ROUNDING * sizes, 0, share)


@dataclass(frozen=True)
class Options:
    """How a clip is asked, and what only some methods ask for."""

    output: int | None = None  # which of a model's K outputs is the score
    internal_batch_size: int = 8  # most clips in one forward pass
    steps: int = 32  # of integrated gradients
    samples: int = 32  # of expected gradients, passes forward and back
    passes: int = 64  # of Shapley sampling, passes forward
    stretches: int = 8  # of time, for Occlusion and ShapleySampling
    regions: Tensor | None = None  # (N, T, H, W) labels for these two; None: the whole picture
    refuse: bool = True  # DeepLift that does not add up is an error, no result
    seed: int = 0


def attribute(
    model: nn.Module, clips: Tensor, method: str, baseline: str | Tensor, **options: Any
) -> Attribution:
    """Explain the score of every clip by its voxels.

    Parameters
    ----------
    model : nn.Module
        In ``eval()``; (N, C, T, H, W) to (N,), or to (N, K) with ``output``.
    clips : Tensor
        (N, C, T, H, W) float32, RGB in 0 to 1.
    method : str
        One of ``METHODS``.
    baseline : str or Tensor
        ``zero``, ``blur``, or frames in the clips' units that broadcast to (N, C, T, H, W), as
        `references.of_recording` gives. ``ExpectedGradients`` takes (K, C, 1, H, W): K references
        for every clip. ``Saliency`` and ``LayerGradCam`` use it for f(x0) only.
    **options
        Fields of ``Options``.

    Returns
    -------
    Attribution
        On the CPU. Occlusion and Shapley sampling have one value per region and stretch of time:
        it lies on the block's voxels in proportion to how far they are from the baseline, so
        that sums over a block are the block's score. Grad-CAM's cells are spread evenly.

    Raises
    ------
    ValueError
        For unknown names, NaN frames, misfitting shapes.
    ModelError
        For a network in training mode, one that fails, gives NaN or has no gradients.
    IncompleteModelError
        Where DeepLift misses more than 5 % of f(x) - f(x0) over these clips (with ``refuse``).

    Examples
    --------
    >>> class Mean(nn.Module):
    ...     def forward(self, clips):
    ...         return clips.mean(dim=(1, 2, 3, 4))
    >>> clips = torch.ones(2, 3, 4, 5, 6)
    >>> attribute(Mean().eval(), clips, "InputXGradient", "zero").values.sum(dim=(1, 2, 3, 4))
    tensor([1., 1.])
    """
    return attribute_each(model, clips, method, [baseline], **options)[0]


@torch.inference_mode(False)
@torch.enable_grad()
def attribute_each(
    model: nn.Module, clips: Tensor, method: str, baselines: Sequence[str | Tensor], **options: Any
) -> list[Attribution]:
    """`attribute` against several baselines; DeepLift's share one forward pass of the clips."""
    _checks.one_of(method, METHODS, "method")
    chosen = Options(**options)
    _check_inputs(clips, chosen.regions)
    device = next((p.device for p in model.parameters()), clips.device)
    x, limit = clips.to(device), chosen.internal_batch_size
    score = partial(score_of, model, output=chosen.output)
    many = method == "ExpectedGradients"
    given = [_references(clips, baseline, many) for baseline in baselines]
    x0s = [[x0.to(device) for x0 in own] for own in given]
    if method == "DeepLift":
        explained = _deeplift(model, score, x, [x0 for [x0] in x0s], limit)
    else:
        explained = [_EXPLAINERS[method](model, score, x, x0 if many else x0[0], limit, chosen)
                     for x0 in x0s]  # fmt: skip
    found = []
    for parts, own in zip(explained, given):
        values, f_x, f_x0 = (part.detach().float().cpu() for part in parts)
        one = _judged(values, f_x, f_x0, clips, own[0], method)
        if method == "DeepLift" and chosen.refuse:
            _refuse(one, type(model).__name__)
        found.append(one)
    return found


def _references(clips: Tensor, baseline: str | Tensor, many: bool) -> list[Tensor]:
    """The reference input of every clip; of each of several references where ``many`` are asked."""
    # One of a clip's own shape is each clip's own.
    single = isinstance(baseline, str) or baseline.ndim < 5 or baseline.shape == clips.shape
    return [references.clips_of(clips, one)
            for one in (baseline if many and not single else [baseline])]  # fmt: skip


def score_of(model: nn.Module, clips: Tensor, *, output: int | None = None) -> Tensor:
    """Scores (N,) of clips; a network that cannot give them is refused in one sentence.

    Raises
    ------
    ModelError
    """
    name = type(model).__name__
    if any(module.training for module in model.modules()):
        raise ModelError(f"{name} is in training mode; call model.eval() before explaining it.")
    try:
        found = model(clips.clone())  # it may normalise in place
    except Exception as error:
        raise ModelError(
            f"{name} fails on clips {tuple(clips.shape)} ({error}); {_advice(model, error)}."
        ) from error
    if not isinstance(found, Tensor) or not found.ndim or len(found) != len(clips):
        gave = tuple(getattr(found, "shape", [type(found).__name__]))
        raise ModelError(f"{name} gave {gave} for {len(clips)} clips; it must give a tensor (N,) "
                         "or (N, K) for N clips: wrap it in a module that does.")  # fmt: skip
    found = found.flatten(1) if found.ndim > 1 else found[:, None]
    if output is None and found.shape[1] > 1:
        raise ModelError(f"{name} gives {found.shape[1]} outputs; say which: output=0 to "
                         f"{found.shape[1] - 1}.")  # fmt: skip
    if isinstance(output, bool) or not -found.shape[1] <= (output or 0) < found.shape[1]:
        raise ModelError(f"{name} has no output {output}; it has 0 to {found.shape[1] - 1}.")
    score = found[:, output or 0]
    if not torch.isfinite(score).all():
        raise ModelError(f"{name} gives NaN or infinity for clips in 0 to 1; check its weights and "
                         "the range and normalisation that it expects.")  # fmt: skip
    return score


def _advice(model: nn.Module, error: Exception) -> str:
    if any(word in str(error) for word in ("CUDA", "NVIDIA")):
        return ("this machine has no such device: load it with map_location='cpu' and take .cuda() "
                "out of its code")  # fmt: skip
    if any(p.is_floating_point() and p.dtype != torch.float32 for p in model.parameters()):
        return "its weights are not float32, as clips are: call model.float()"
    return ("give clips (N, 3, T, H, W) of the frames and size that it was made for, or wrap it: "
            "attribution.Adapter(model, frames=..., size=...)")  # fmt: skip


def _check_inputs(clips: Tensor, regions: Tensor | None) -> None:
    if not isinstance(clips, Tensor):
        raise ValueError(f"clips are of {type(clips)}; give a tensor: torch.from_numpy(clips).")
    want = (*clips.shape[:1], *clips.shape[2:])
    if regions is not None and tuple(regions.shape) != want:
        raise ValueError(f"regions {tuple(regions.shape)} do not fit clips; they must be "
                         f"(N, T, H, W) {want}.")  # fmt: skip
    if clips.ndim != 5 or not len(clips):
        raise ValueError(f"clips {tuple(clips.shape)} must be (N, C, T, H, W), at least one.")
    if clips.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"clips are {clips.dtype}; give float32 in 0 to 1 (divide uint8 by 255).")
    lost = torch.nonzero(~torch.isfinite(clips).all(dim=4).all(dim=3).all(dim=1))
    if len(lost):
        clip, frame = lost[0].tolist()
        raise ValueError(f"clip {clip} holds NaN in frame {frame} ({len(lost)} frames in all); "
                         "leave out windows with lost frames.")  # fmt: skip
    if (most := float(clips.max())) > BRIGHTEST:
        raise ValueError(f"clips reach {most:g}; give RGB in 0 to 1 (divide by 255).")


def _forward(score: Callable[[Tensor], Tensor], clips: Tensor) -> tuple[Tensor, Tensor]:
    """A leaf like the clips, and its scores (N,) that can be derived after it."""
    leaf = clips.detach().clone().requires_grad_()
    with torch.enable_grad():
        found = score(leaf)
    if not found.requires_grad:
        raise ModelError("the model passes no gradients on (no_grad, detach or NumPy in its "
                         "forward); explain it by 'Occlusion' or 'ShapleySampling'.")  # fmt: skip
    return leaf, found


def gradient(score: Callable[[Tensor], Tensor], clips: Tensor) -> tuple[Tensor, Tensor]:
    """Derivative (N, C, T, H, W) of every clip's score after its voxels, and the scores (N,)."""
    leaf, found = _forward(score, clips)
    return torch.autograd.grad(found.sum(), leaf)[0], found.detach()


# Every explainer gives values (N, C, T, H, W), and the scores f(x) and f(x0) (N,).
Explained = tuple[Tensor, ...]


def _deeplift(model, score, x, x0s, limit) -> list[Explained]:
    """Against every reference of a list, on one forward pass of the clips."""
    explained, known = [], {}
    with _rescaled(model) as rule:
        for k, x0 in enumerate(x0s):
            if not x0.stride(0):  # what all clips share is passed once
                known[k] = rule.note(score, x0[:1].contiguous())
                twice, _ = rule.note(score, x0[:2].contiguous())
                # With frames in its batch, whose they are is the network's affair: one for each.
                if any(two.shape not in (one.shape, (2, *one.shape[1:]))
                       for one, two in zip(known[k][0], twice)):  # fmt: skip
                    x0s[k] = x0.contiguous()
        # Every reference has slopes of its own in memory, so fewer clips go at once.
        for rows in torch.arange(len(x)).split(max(1, limit // len(x0s))):
            part, bases = x[rows], [x0[rows] if x0.stride(0) else x0[:1] for x0 in x0s]
            for k, base in enumerate(bases):
                if x0s[k].stride(0):
                    known[k] = rule.note(score, base.contiguous())
            slopes, found = rule.slopes(score, part, [known[k][0] for k in range(len(x0s))])
            explained.append([(slope * (part - base), found, known[k][1].expand(len(part)))
                              for k, (slope, base) in enumerate(zip(slopes, bases))])  # fmt: skip
    return [tuple(map(torch.cat, zip(*parts))) for parts in zip(*explained)]


# What every activation of a network took in one pass.
Passed = list[Tensor]


class _Rescale:
    """DeepLift's rule: an activation's slope is Δout / Δin against a reference's pass."""

    def __init__(self) -> None:
        self.noted: Passed | None = None  # filled while a reference passes
        self.against: list[Passed] = []
        self.found: list[list[Tensor]] = []  # slopes by activation and reference
        self.current = 0  # the reference that a backward pass is for

    def note(self, score: Callable[[Tensor], Tensor], reference: Tensor) -> tuple[Passed, Tensor]:
        """What every activation makes of a reference, and its scores (N,)."""
        self.noted = []
        with torch.no_grad():
            zero = score(reference)
        noted, self.noted = self.noted, None
        return noted, zero

    def slopes(
        self, score: Callable[[Tensor], Tensor], clips: Tensor, against: list[Passed]
    ) -> tuple[list[Tensor], Tensor]:
        """Multipliers (N, C, T, H, W) against each reference, and the scores (N,)."""
        self.against, self.found = against, []
        found: list[Tensor] = []
        leaf, scores = _forward(score, clips)
        for number in range(len(against)):
            self.current = number
            found += torch.autograd.grad(scores.sum(), leaf, retain_graph=True)
        return found, scores.detach()

    def hook(self, module: nn.Module, given: tuple, named: dict, result: Tensor) -> Tensor:
        """Same value as the activation's, another slope."""
        taken = given[0] if given else named["input"]
        value, result, step = taken.detach(), result.detach(), 1e-3
        if self.noted is not None:
            self.noted.append(value.clone())  # what follows may change it in place
            return result
        with torch.no_grad():
            near = (module.forward(value + step) - module.forward(value - step)).div_(2 * step)
            slopes = []
            for base in (one[len(self.found)] for one in self.against):
                gap = value - base  # one row where all clips share it
                slope = (result - module.forward(base)).div_(gap)
                slopes.append(torch.where(gap.abs() <= 1e-5, near, slope))
        self.found.append(slopes)
        return _WithSlope.apply(taken, result, self, len(self.found) - 1)


class _WithSlope(torch.autograd.Function):
    """A value that changes with its input by the slope against the rule's current reference."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, result: Tensor, rule: _Rescale, number: int) -> Tensor:
        ctx.rule, ctx.number = rule, number
        return result.clone()  # what follows may change it in place

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return grads[0] * ctx.rule.found[ctx.number][ctx.rule.current], None, None, None


@contextmanager
def _rescaled(model: nn.Module) -> Iterator[_Rescale]:
    rescale = _Rescale()
    with ExitStack() as undone:
        for layer in model.modules():
            if isinstance(layer, ELEMENTWISE):
                undone.enter_context(layer.register_forward_hook(rescale.hook, with_kwargs=True))
                undone.callback(setattr, layer, "inplace", getattr(layer, "inplace", False))
                layer.inplace = False
        yield rescale


def _along(score, x, places, limit) -> tuple[Tensor, Tensor]:
    """Sum of gradient × difference over ``places``: (reference, share of the way, weight)."""
    total = torch.zeros_like(x)
    for base, share, weight in places:
        gap = x - base
        slopes, _ = _gradients(score, x - (1 - share) * gap, limit)
        total += weight * slopes * gap
    return total, _passed(score, x, limit)


def _integrated_gradients(model, score, x, x0, limit, chosen) -> Explained:
    nodes, weights = np.polynomial.legendre.leggauss(chosen.steps)
    places = [(x0, (1 + node) / 2, weight / 2) for node, weight in zip(nodes, weights)]
    return *_along(score, x, places, limit), _passed(score, x0, limit)


def _expected_gradients(model, score, x, x0, limit, chosen) -> Explained:
    """Over every reference in turn, the way in equal parts with a random place in each."""
    rng = np.random.default_rng(chosen.seed)
    count = max(1, chosen.samples // len(x0))
    places = [(base, (part + rng.random()) / count, 1 / (count * len(x0)))
              for base in x0 for part in range(count)]  # fmt: skip
    zero = torch.stack([_passed(score, base, limit) for base in x0]).mean(dim=0)
    return *_along(score, x, places, limit), zero


def _saliency(model, score, x, x0, limit, chosen) -> Explained:
    # Signed: the sign says in which direction the score would move.
    return *_gradients(score, x, limit), _passed(score, x0, limit)


def _input_x_gradient(model, score, x, x0, limit, chosen) -> Explained:
    slopes, found = _gradients(score, x, limit)
    return slopes * x, found, _passed(score, x0, limit)


def _blocks(chosen: Options, x: Tensor) -> tuple[Tensor, int, int]:
    """Block of every voxel (N, 1, T, H, W), stretch-major; number of stretches and of regions."""
    frames = x.shape[2]
    parts = min(chosen.stretches, frames)
    time = (torch.arange(frames, device=x.device) * parts // frames).view(1, 1, -1, 1, 1)
    if chosen.regions is None:
        return time.expand(len(x), 1, *x.shape[2:]), parts, 1
    labels = chosen.regions.to(x.device).long()[:, None]
    count = int(labels.max()) + 1
    return time * count + labels, parts, count


def _laid_out(worth: Tensor, blocks: Tensor, x: Tensor, x0: Tensor) -> Tensor:
    """Values (N, B) of blocks on their voxels, in proportion to |x - x0|."""
    away = (x - x0).abs() + 1e-12
    index = blocks.expand_as(x).flatten(1)
    size = torch.zeros_like(worth).scatter_add_(1, index, away.flatten(1))
    return (away.flatten(1) * (worth / size.clamp(min=1e-12)).gather(1, index)).view_as(x)


def _occlusion(model, score, x, x0, limit, chosen) -> Explained:
    """Every block replaced by the reference alone: what the score loses."""
    blocks, parts, count = _blocks(chosen, x)
    worth = torch.zeros(len(x), parts * count, device=x.device)
    whole = _passed(score, x, limit)
    for block in blocks.unique().tolist():
        worth[:, block] = whole - _passed(score, torch.where(blocks == block, x0, x), limit)
    return _laid_out(worth, blocks, x, x0), whole, _passed(score, x0, limit)


def _shapley(model, score, x, x0, limit, chosen) -> Explained:
    """What blocks add to the score on the way from the reference to the clip, over several ways.

    A way goes through time from one end to the other, so that the picture is torn in one place
    only: a model that reads change sees every tear. Every second way goes backwards, and the tear
    cancels. Within a stretch the regions come in random order. These are the marginal
    contributions of Shapley (1953), over the orders that keep time in one piece.
    """
    blocks, parts, count = _blocks(chosen, x)
    rng = np.random.default_rng(chosen.seed)
    ways = max(1, round(chosen.passes / (2 * parts * count))) * 2 if count > 1 else 2
    worth = torch.zeros(len(x), parts * count, device=x.device)
    start, end = _passed(score, x0, limit), _passed(score, x, limit)
    for way in range(ways):
        if way % 2 == 0:
            forth = [stretch * count + region for stretch in range(parts)
                     for region in rng.permutation(count).tolist()]  # fmt: skip
        order = forth if way % 2 == 0 else forth[::-1]
        shown, before = x0.clone(), start
        for place, block in enumerate(order):
            inside = blocks == block
            if not inside.any():
                continue
            shown = torch.where(inside, x, shown)
            after = end if place == len(order) - 1 else _passed(score, shown, limit)
            worth[:, block] += (after - before) / ways
            before = after
    return _laid_out(worth, blocks, x, x0), end, start


def _passed(score, clips: Tensor, limit: int) -> Tensor:
    """Scores (N,), at most ``limit`` clips a pass; what all clips share is passed once."""
    some = clips[:1] if clips.stride(0) == 0 else clips
    with torch.no_grad():
        return torch.cat([score(part) for part in some.split(limit)]).expand(len(clips))


def _gradients(score, clips: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """`gradient`, at most ``limit`` clips a pass."""
    parts = zip(*(gradient(score, part) for part in clips.split(limit)))
    slopes, found = map(torch.cat, parts)
    return slopes, found


def _grad_cam(model, score, x, x0, limit, chosen) -> Explained:
    from captum.attr import LayerGradCam  # takes a second to load, and few ask for it

    layer = _last_map(model, score, x[:1])
    explainer, image = LayerGradCam(score, layer), isinstance(layer, nn.Conv2d)
    # The batch of an image layer is frames, of several clips in an order that only it knows.
    parts = [explainer.attribute(part).detach() for part in x.split(1 if image else limit)]
    coarse = torch.stack(parts).transpose(1, 2) if image else torch.cat(parts)
    fine = functional.interpolate(coarse, size=x.shape[2:], mode="trilinear")
    values = (fine / x.shape[1]).expand_as(x).contiguous()
    return values, _passed(score, x, limit), _passed(score, x0, limit)


def _last_map(model: nn.Module, score: Callable[[Tensor], Tensor], clip: Tensor) -> nn.Module:
    """Return the last convolution whose output still has a place: more than one pixel each way."""
    found: list[tuple[nn.Module, bool]] = []  # and whether its batch is no longer clips

    def note(module: nn.Module, _: tuple, output: Tensor) -> None:
        if output.ndim in (4, 5) and min(output.shape[-2:]) > 1:
            found.append((module, isinstance(module, nn.Conv3d) and len(output) != len(clip)))

    with ExitStack() as hooks:
        for module in model.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                hooks.enter_context(module.register_forward_hook(note))
        _forward(score, clip)
    last, apart = found[-1] if found else (None, True)
    if last is None or apart or sum(one is last for one, _ in found) > 1:
        raise ModelError("LayerGradCam needs a convolution that keeps a map and is called once for "
                         "all frames; use IntegratedGradients instead.")  # fmt: skip
    return last


# Of one reference; DeepLift takes several at once (`_deeplift`).
_EXPLAINERS: dict[str, Callable[..., Explained]] = {
    "IntegratedGradients": _integrated_gradients,
    "ExpectedGradients": _expected_gradients,
    "Saliency": _saliency,
    "InputXGradient": _input_x_gradient,
    "LayerGradCam": _grad_cam,
    "Occlusion": _occlusion,
    "ShapleySampling": _shapley,
}
METHODS = ("DeepLift", *_EXPLAINERS)


def _judged(values, output, zero, clips, reference, method) -> Attribution:
    """Measure the gap to f(x) - f(x0) in float64 and flag the clips that miss it."""
    difference = (output - zero).double()
    delta = values.double().sum(dim=(1, 2, 3, 4)) - difference
    if same := int((clips == reference).flatten(1).all(dim=1).sum()):
        log.warning("%d of %d clips equal their baseline", same, len(values))
    complete = delta.abs() <= TOLERANCE * difference.abs()
    return Attribution(values, output, zero.contiguous(), delta.float(), complete, method)


def _refuse(found: Attribution, name: str) -> None:
    """Raise where an explanation misses more than 5 % of f(x) - f(x0) over all clips."""
    whole = (found.output - found.output_baseline).double().abs().sum()
    rounding = ROUNDING * (found.output.abs() + found.output_baseline.abs()).sum()
    if (gap := found.delta.double().abs().sum()) > max(REFUSAL * whole, rounding):
        raise IncompleteModelError(
            f"DeepLift on {name} misses {gap / whole:.0%} of f(x) - f(x0) "
            f"({gap / len(found.delta):.3g} score points a clip): {NO_RULE}"
        )
