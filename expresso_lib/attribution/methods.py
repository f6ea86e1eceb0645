"""Which voxels of a clip moved the predicted score: every method behind one call.

``attribute(model, clips, method, baseline)`` takes clips (N, C, T, H, W) and any network, and
gives signed attributions of the same shape in score points, with f(x), f(x0) and the gap between
their difference and the attributions' sum. Grad-CAM is Captum's (Kokhlikyan et al., 2020). The
rest is short and written out: DeepLift (rescale rule; Shrikumar et al., 2017), because a reference
that many clips share is then passed through the network once, and an activation may be used more
than once; integrated (Sundararajan et al., 2017) and expected gradients (Erion et al., 2021).
"""

import logging
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
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
    """Attributions of N clips, in score points."""

    values: Tensor  # (N, C, T, H, W) float32, score points
    output: Tensor  # (N,) f(x), score points
    output_baseline: Tensor  # (N,) f(x0), score points; mean over references where there are many
    method: str

    @cached_property
    def delta(self) -> Tensor:
        """How far the sum of ``values`` is from f(x) - f(x0), (N,) score points."""
        whole = self.values.double().sum(dim=(1, 2, 3, 4))
        return (whole - (self.output - self.output_baseline)).float()

    @property
    def complete(self) -> Tensor:
        """Whether |delta| is at most 1e-3 |f(x) - f(x0)|, (N,) bool."""
        return self.delta.abs() <= TOLERANCE * (self.output - self.output_baseline).abs()

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
    for name in options:
        _checks.one_of(name, Options.__dataclass_fields__, "option")
    if isinstance(baselines, str) or not len(baselines):
        raise ValueError(f"baselines {baselines!r} must be a list of one or more.")
    chosen = Options(**options)
    for name in ("internal_batch_size", "steps", "samples", "passes", "stretches"):
        if (getattr(chosen, name) or 0) < 1:
            raise ValueError(f"{name} is {getattr(chosen, name)}; give at least 1.")
    _check_inputs(clips, chosen.regions)
    x = clips.to(next((p.device for p in model.parameters()), clips.device))
    asked, many = _Asked(model, x, chosen), method == "ExpectedGradients"
    x0s = [_references(x, baseline, many) for baseline in baselines]
    if method == "DeepLift":
        explained = _deeplift(asked, [x0 for [x0] in x0s])
    else:
        explained = [_EXPLAINERS[method](asked, x0 if many else x0[0]) for x0 in x0s]
    found = []
    for parts, [first, *_] in zip(explained, x0s):
        values, f_x, f_x0 = (part.detach().float().cpu() for part in parts)
        one = Attribution(values, f_x, f_x0, method)
        if same := int((x == first).flatten(1).all(dim=1).sum()):
            log.warning("%d of %d clips equal their baseline", same, len(x))
        if method == "DeepLift" and chosen.refuse:
            _refuse(one, type(model).__name__)
        found.append(one)
    return found


def by_channel(
    model: nn.Module,
    clips: Tensor,
    channels: Sequence[Sequence[str]],
    reference: Callable[[str], str | Tensor],
    *,
    regions: Tensor,
    **options: Any,
) -> dict[tuple[str, ...], Attribution]:
    """Explain clips by every channel, in their order; one call of `attribute_each` per method.

    Parameters
    ----------
    channels : sequence of (method, baseline) or (method, baseline, "stretches")
        Occlusion and Shapley sampling go by region and quarter of the clip; with the word
        ``stretches`` by whole stretches of time.
    reference : callable
        From the name of a baseline to what `attribute` takes.
    regions : Tensor
        (N, T, H, W) labels.

    Raises
    ------
    ValueError
        For names that stand in no pair, and what `attribute` refuses.
    """
    if any(isinstance(channel, str) or len(channel) < 2 for channel in channels):
        raise ValueError(f"channels {channels!r} must be pairs of a method and a baseline, such as "
                         "[('DeepLift', 'blur')].")  # fmt: skip
    named = [(str(method), *more) for method, *more in channels]
    found: dict[tuple[str, ...], Attribution] = {}
    for method, *word in dict.fromkeys((method, *word) for method, _, *word in named):
        some = [one for one in named if (one[0], *one[2:]) == (method, *word)]
        blocks = {} if word else {"regions": regions, "stretches": 4}
        given = [reference(baseline) for _, baseline, *_ in some]
        found |= zip(some, attribute_each(model, clips, method, given, **(blocks | options)))
    return {channel: found[channel] for channel in named}


def _references(clips: Tensor, baseline: str | Tensor, many: bool) -> list[Tensor]:
    """The reference input of every clip; of each of several references where ``many`` are asked."""
    # One of a clip's own shape is each clip's own.
    own = not isinstance(baseline, Tensor) or baseline.ndim < 5 or baseline.shape == clips.shape
    if many and not own:
        return [references.clips_of(clips, one) for one in baseline]
    return [references.clips_of(clips, baseline)]


def score_of(model: nn.Module, clips: Tensor, *, output: int | None = None) -> Tensor:
    """Scores (N,) of clips; a network that cannot give them is refused in one sentence.

    Raises
    ------
    ModelError
    """
    name = type(model).__name__
    if any(module.training for module in model.modules()):
        raise ModelError(f"{name} is in training mode; call model.eval() before explaining it.")
    norms = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm
    if any(isinstance(one, norms) and one.running_mean is None for one in model.modules()):
        raise ModelError(f"{name} has a batch norm without running statistics: what it says of a "
                         "clip depends on the clips beside it.")  # fmt: skip
    try:
        found = model(clips.clone())  # it may normalise in place
    except ModelError:
        raise
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
    try:
        place = operator.index(output or 0)
    except TypeError:  # 1.0 or "1"
        place = found.shape[1]
    if isinstance(output, bool) or not -found.shape[1] <= place < found.shape[1]:
        raise ModelError(f"{name} has no output {output}; it has 0 to {found.shape[1] - 1}.")
    if found.is_complex():
        raise ModelError(f"{name} gives complex numbers; return the one that is meant.")
    score = found[:, place]
    score = score if score.is_floating_point() else score.float()
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
    if regions is not None and int(regions.min()) < 0:
        raise ValueError(
            "regions hold numbers below 0; give what is no region a number of its own."
        )
    if clips.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"clips are {clips.dtype}; give float32 in 0 to 1 (divide uint8 by 255).")
    lost = torch.nonzero(~torch.isfinite(clips).all(dim=4).all(dim=3).all(dim=1))
    if len(lost):
        clip, frame = lost[0].tolist()
        raise ValueError(f"clip {clip} holds NaN in frame {frame} ({len(lost)} frames in all); "
                         "leave out windows with lost frames.")  # fmt: skip
    if (most := float(clips.max())) > BRIGHTEST:
        raise ValueError(f"clips reach {most:g}; give RGB in 0 to 1 (divide by 255).")


def _slope_at(clips: Tensor, scores: Tensor, *, again: bool = False) -> Tensor:
    """Each score derived after its clip's voxels (N, C, T, H, W); `again`: not for the last time.

    Raises
    ------
    ModelError
        Where the network cuts the way from its score to its input, or has no slope there.
    """
    slope = None
    if scores.requires_grad:
        whole = scores.sum()
        try:
            [slope] = torch.autograd.grad(whole, clips, retain_graph=again, allow_unused=True)
        except RuntimeError as error:
            raise ModelError(f"the model cannot be derived ({error}); change no activation in "
                             "place.") from error  # fmt: skip
    if slope is not None and not torch.isfinite(slope).all():
        raise ModelError("the model's gradient is NaN or infinite (a root or logarithm at 0, as of "
                         "pixels that stand still?); add a small number below it, or explain by "
                         "'Occlusion' or 'ShapleySampling'.")  # fmt: skip
    if slope is None:
        raise ModelError("the model passes no gradients on (no_grad, detach or NumPy in its "
                         "forward); explain it by 'Occlusion' or 'ShapleySampling'.")  # fmt: skip
    return slope


@dataclass(frozen=True, eq=False)
class _Asked:
    """A network, the clips to explain, and how they are asked."""

    model: nn.Module
    x: Tensor  # (N, C, T, H, W), where the model is
    options: Options

    def score(self, clips: Tensor) -> Tensor:
        """Scores (N,), in one pass."""
        return score_of(self.model, clips, output=self.options.output)

    def scores(self, clips: Tensor) -> Tensor:
        """Scores (N,) without gradients, in passes; what all clips share is passed once."""
        some = clips[:1] if clips.stride(0) == 0 else clips
        with torch.no_grad():
            parts = [self.score(part) for part in some.split(self.options.internal_batch_size)]
        return torch.cat(parts).expand(len(clips))

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """A leaf like the clips, and its scores (N,) that can be derived after it."""
        leaf = clips.detach().clone().requires_grad_()
        found = self.score(leaf)
        return leaf, found

    def gradients(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Each score derived after its clip's voxels (N, C, T, H, W), and the scores (N,)."""
        parts = []
        for part in clips.split(self.options.internal_batch_size):
            leaf, found = self.forward(part)
            parts.append((_slope_at(leaf, found), found.detach()))
        slopes, scores = map(torch.cat, zip(*parts))
        return slopes, scores


# Every explainer gives values (N, C, T, H, W), and the scores f(x) and f(x0) (N,).
Explained = tuple[Tensor, ...]


def _deeplift(asked: _Asked, x0s: list[Tensor]) -> list[Explained]:
    """Against every reference of a list, on one forward pass of the clips."""
    explained, shared = [], [_noted_once(asked, x0) for x0 in x0s]
    # Every reference has slopes of its own in memory, so fewer clips go at once.
    most = max(1, asked.options.internal_batch_size // len(x0s))
    for rows in torch.arange(len(asked.x)).split(most):
        part, bases = asked.x[rows], [x0[rows] for x0 in x0s]
        known = [once or _noted(asked, base) for once, base in zip(shared, bases)]
        slopes, found = _rescaled(asked, part, [taken for taken, _ in known])
        explained.append([(slope * (part - base), found, zero.expand(len(part)))
                          for slope, base, (_, zero) in zip(slopes, bases, known)])  # fmt: skip
    return [tuple(map(torch.cat, zip(*parts))) for parts in zip(*explained)]


def _noted_once(asked: _Asked, x0: Tensor) -> tuple[list[Tensor], Tensor] | None:
    """Note a reference that all clips share; None if it must be noted for each of them."""
    if x0.stride(0):
        return None
    once, twice = _noted(asked, x0[:1]), _noted(asked, x0[:2])
    # With frames in its batch, whose they are is the network's affair: one for each.
    fits = (two.shape in (one.shape, (2, *one.shape[1:])) for one, two in zip(once[0], twice[0]))
    return once if len(once[0]) == len(twice[0]) and all(fits) else None


def _noted(asked: _Asked, reference: Tensor) -> tuple[list[Tensor], Tensor]:
    """What every activation takes of a reference, and its scores (N,)."""
    noted: list[Tensor] = []

    def note(_: nn.Module, args: tuple, named: dict, __: Tensor) -> None:
        noted.append(_taken(args, named).clone())  # what follows may change it in place

    with _hooked(asked.model, note), torch.no_grad():
        return noted, asked.score(reference)


def _rescaled(
    asked: _Asked, clips: Tensor, against: Sequence[list[Tensor]]
) -> tuple[list[Tensor], Tensor]:
    """DeepLift's multipliers (N, C, T, H, W) against each reference, and the scores (N,).

    An activation keeps its value and gets another slope: Δout / Δin against the reference.
    """
    by_activation = zip(*against)
    current = 0  # the reference that a backward pass is for

    def bend(module: nn.Module, args: tuple, named: dict, result: Tensor) -> Tensor:
        taken = _taken(args, named)
        value, result, step, slopes = taken.detach(), result.detach(), 1e-3, []
        with torch.no_grad():
            near = (module.forward(value + step) - module.forward(value - step)).div_(2 * step)
            for base in next(by_activation, ()):
                gap = value - base  # one row where all clips share it
                slope = (result - module.forward(base)).div_(gap)
                slopes.append(torch.where(gap.abs() <= 1e-5, near, slope))
        # Its value, with a slope of 1 to be multiplied; a mask's infinity has none.
        bent = result + (taken - value).nan_to_num()
        if len(slopes) < len(against):
            raise ModelError("the model calls its activations more often for a clip than for its "
                             "reference; explain it by 'IntegratedGradients'.")  # fmt: skip
        if bent.requires_grad:
            bent.register_hook(lambda grad: grad * slopes[current])
        return bent

    with _hooked(asked.model, bend):
        leaf, scores = asked.forward(clips)
    found: list[Tensor] = []
    for number in range(len(against)):
        current = number
        found.append(_slope_at(leaf, scores, again=True))
    return found, scores.detach()


def _taken(args: tuple, named: dict) -> Tensor:
    return args[0] if args else named["input"]


@contextmanager
def _hooked(model: nn.Module, hook: Callable[..., Tensor | None]) -> Iterator[None]:
    """Have a hook called after every activation; none works in place meanwhile."""
    with ExitStack() as undone:
        for layer in model.modules():
            if isinstance(layer, ELEMENTWISE):
                undone.enter_context(layer.register_forward_hook(hook, with_kwargs=True))
                undone.callback(setattr, layer, "inplace", getattr(layer, "inplace", False))
                layer.inplace = False
        yield


def _along(asked: _Asked, places: Iterable[tuple[Tensor, float, float]]) -> Tensor:
    """Sum of gradient × difference over ``places``: (reference, share of the way, weight)."""
    total = torch.zeros_like(asked.x)
    for base, share, weight in places:
        gap = asked.x - base
        slopes, _ = asked.gradients(asked.x - (1 - share) * gap)
        total += weight * slopes * gap
    return total


def _integrated_gradients(asked: _Asked, x0: Tensor) -> Explained:
    nodes, weights = np.polynomial.legendre.leggauss(asked.options.steps)
    places = [(x0, (1 + node) / 2, weight / 2) for node, weight in zip(nodes, weights)]
    return _along(asked, places), asked.scores(asked.x), asked.scores(x0)


def _expected_gradients(asked: _Asked, x0: list[Tensor]) -> Explained:
    """Over every reference in turn, the way in equal parts with a random place in each."""
    rng = np.random.default_rng(asked.options.seed)
    count = max(1, asked.options.samples // len(x0))
    places = [(base, (part + rng.random()) / count, 1 / (count * len(x0)))
              for base in x0 for part in range(count)]  # fmt: skip
    zero = torch.stack([asked.scores(base) for base in x0]).mean(dim=0)
    return _along(asked, places), asked.scores(asked.x), zero


def _saliency(asked: _Asked, x0: Tensor) -> Explained:
    # Signed: the sign says in which direction the score would move.
    return *asked.gradients(asked.x), asked.scores(x0)


def _input_x_gradient(asked: _Asked, x0: Tensor) -> Explained:
    slopes, found = asked.gradients(asked.x)
    return slopes * asked.x, found, asked.scores(x0)


def _blocks(asked: _Asked) -> tuple[Tensor, int, int]:
    """Block of every voxel (N, 1, T, H, W), stretch-major; number of stretches and of regions."""
    frames, regions = asked.x.shape[2], asked.options.regions
    parts = min(asked.options.stretches, frames)
    time = (torch.arange(frames, device=asked.x.device) * parts // frames).view(1, 1, -1, 1, 1)
    labels = torch.zeros_like(asked.x[:, 0]) if regions is None else torch.as_tensor(regions)
    count = int(labels.max()) + 1
    return time * count + labels.to(time)[:, None], parts, count


def _laid_out(worth: Tensor, blocks: Tensor, x: Tensor, x0: Tensor) -> Tensor:
    """Values (N, B) of blocks on their voxels, in proportion to |x - x0|."""
    away = (x - x0).abs() + 1e-12
    index = blocks.expand_as(x).flatten(1)
    size = torch.zeros_like(worth).scatter_add_(1, index, away.flatten(1))
    return (away.flatten(1) * (worth / size.clamp(min=1e-12)).gather(1, index)).view_as(x)


def _occlusion(asked: _Asked, x0: Tensor) -> Explained:
    """Every block replaced by the reference alone: what the score loses."""
    blocks, parts, count = _blocks(asked)
    worth = x0.new_zeros(len(x0), parts * count)
    whole = asked.scores(asked.x)
    for block in blocks.unique().tolist():
        worth[:, block] = whole - asked.scores(torch.where(blocks == block, x0, asked.x))
    return _laid_out(worth, blocks, asked.x, x0), whole, asked.scores(x0)


def _shapley(asked: _Asked, x0: Tensor) -> Explained:
    """What blocks add to the score on the way from the reference to the clip, over several ways.

    A way goes through time from one end to the other, so that the picture is torn in one place
    only: a model that reads change sees every tear. Every second way goes backwards, and the tear
    cancels. Within a stretch the regions come in random order. These are the marginal
    contributions of Shapley (1953), over the orders that keep time in one piece.
    """
    blocks, parts, count = _blocks(asked)
    rng = np.random.default_rng(asked.options.seed)
    pairs = max(1, round(asked.options.passes / (2 * parts * count))) if count > 1 else 1
    worth = x0.new_zeros(len(x0), parts * count)
    start, end = asked.scores(x0), asked.scores(asked.x)
    for _ in range(pairs):
        forth = np.concatenate([part * count + rng.permutation(count) for part in range(parts)])
        for way in (forth.tolist(), forth[::-1].tolist()):
            shown, before = x0, start
            for block in way:
                shown = torch.where(blocks == block, asked.x, shown)
                after = end if block == way[-1] else asked.scores(shown)
                worth[:, block] += (after - before) / (2 * pairs)
                before = after
    return _laid_out(worth, blocks, asked.x, x0), end, start


def _grad_cam(asked: _Asked, x0: Tensor) -> Explained:
    from captum.attr import LayerGradCam  # takes a second to load, and few ask for it

    x, layer = asked.x, _last_map(asked)
    explainer, image = LayerGradCam(asked.score, layer), isinstance(layer, nn.Conv2d)
    # The batch of an image layer is frames, of several clips in an order that only it knows.
    most = 1 if image else asked.options.internal_batch_size
    parts = [explainer.attribute(part).detach() for part in x.split(most)]
    coarse = torch.stack(parts).transpose(1, 2) if image else torch.cat(parts)
    fine = functional.interpolate(coarse, size=x.shape[2:], mode="trilinear")
    values = (fine / x.shape[1]).expand_as(x).contiguous()
    return values, asked.scores(x), asked.scores(x0)


def _last_map(asked: _Asked) -> nn.Module:
    """Return the last convolution whose output still has a place: more than one pixel each way."""
    found: list[tuple[nn.Module, bool]] = []  # and whether its batch is no longer clips

    def note(module: nn.Module, _: tuple, output: Tensor) -> None:
        if output.ndim in (4, 5) and min(output.shape[-2:]) > 1:
            found.append((module, isinstance(module, nn.Conv3d) and len(output) > 1))

    with ExitStack() as hooks:
        for module in asked.model.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d):
                hooks.enter_context(module.register_forward_hook(note))
        _slope_at(*asked.forward(asked.x[:1]))
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


def _refuse(found: Attribution, name: str) -> None:
    """Raise where an explanation misses more than 5 % of f(x) - f(x0) over all clips."""
    whole = (found.output - found.output_baseline).double().abs().sum()
    rounding = ROUNDING * (found.output.abs() + found.output_baseline.abs()).sum()
    if (gap := found.delta.double().abs().sum()) > max(REFUSAL * whole, rounding):
        raise IncompleteModelError(
            f"DeepLift on {name} misses {gap / whole:.0%} of f(x) - f(x0) "
            f"({gap / len(found.delta):.3g} score points a clip): {NO_RULE}"
        )
