"""Which voxels of a clip moved the predicted score: every method behind one call.

``attribute(model, clips, method, baseline)`` takes clips (N, C, T, H, W) and gives signed
attributions of the same shape in score points, with f(x), f(x0) and the gap between their
difference and the attributions' sum. Most methods come from Captum (Kokhlikyan et al., 2020);
here they are given one shape, one seed, one memory bound, and the same checks.

Two baselines are meant to be read together. ``own_neutral`` (the recording's own least active
frame, repeated) shows what *moves* and is blind to what stands still, a headset for example;
``blur`` shows what stands still. ``zero`` is kept to replicate the paper.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from captum import attr
from torch import Tensor, nn
from torch.nn import functional

from expresso_lib import _checks
from expresso_lib.faces import anatomy

log = logging.getLogger(__name__)

METHODS = (
    "DeepLift",
    "IntegratedGradients",
    "Saliency",
    "InputXGradient",
    "GradientShap",
    "NoiseTunnel",
    "Ablation",
    "LayerGradCam",
)
BASELINES = ("zero", "blur", "temporal_mean")
# The methods that promise sum(A) = f(x) - f(x0).
COMPLETE_METHODS = ("DeepLift", "IntegratedGradients")
TOLERANCE = 1e-3
# A DeepLift that misses more than this share of f(x) - f(x0) does not know the model's layers.
REFUSAL = 0.05
# Gaussian blur in units of the crop's side: a headset or a pair of glasses must disappear.
BLUR_SIGMA = 1 / 8
DEFAULT_PASSES = 8

# Points that expression hardly moves, so that they carry the pose: nose and eye corners.
_RIGID = anatomy.NOSE_BRIDGE + anatomy.NOSE_BASE + (36, 39, 42, 45)


class IncompleteModelError(ValueError):
    """The method's attributions do not add up on this model, so they explain something else."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """Attributions of N clips, in score points.

    ``complete`` is False where |delta| > 1e-3 |f(x) - f(x0)|, and for GradientShap, whose gap
    belongs to its random samples and not to the clip. ``degenerate`` marks clips equal to their
    baseline (a constant clip against its own neutral frame): there is nothing to explain.
    """

    values: Tensor  # (N, C, T, H, W) float32, score points
    output: Tensor  # (N,) f(x), score points
    output_baseline: Tensor  # (N,) f(x0), score points
    delta: Tensor  # (N,) sum(values) - (f(x) - f(x0)), score points; NaN where not defined
    complete: Tensor  # (N,) bool
    degenerate: Tensor  # (N,) bool
    method: str
    baseline: str


@dataclass(frozen=True)
class _Options:
    seed: int
    steps: int
    samples: int
    noise: float
    regions: Tensor | None
    time_blocks: int


def attribute(
    model: nn.Module,
    clips: Tensor,
    method: str,
    baseline: str | Tensor,
    *,
    seed: int = 0,
    internal_batch_size: int | None = None,
    **options,
) -> Attribution:
    """Explain the score of every clip by its voxels.

    Parameters
    ----------
    model : nn.Module
        In ``eval()``; (N, C, T, H, W) to one score per clip.
    clips : Tensor
        (N, C, T, H, W) float32, RGB in 0 to 1.
    method : str
        One of ``METHODS``.
    baseline : str or Tensor
        One of ``BASELINES``, or frames in the clips' units that broadcast to (N, C, T, H, W),
        as ``own_neutral`` gives. ``Saliency`` and ``LayerGradCam`` use it for f(x0) only.
    seed : int
        For ``GradientShap`` and ``NoiseTunnel``.
    internal_batch_size : int, optional
        Most clips in one forward pass (8); halved, and said, where memory does not allow it.
    **options
        ``steps`` of integrated gradients (50), ``samples`` and ``noise`` (sd, in the clips' units)
        of the two random methods (16, 0.02), ``regions`` (N, T, H, W) label map and ``time_blocks``
        (8) of ``Ablation``.

    Returns
    -------
    Attribution
        On the CPU. Ablation has one value per region and block of time: it lies on the block's
        voxels in proportion to how far they are from the baseline, so that sums over a block are
        the block's score. Grad-CAM has one per cell and frame, spread evenly.

    Raises
    ------
    ValueError
        For unknown names, NaN frames, misfitting shapes, a model in training mode.
    IncompleteModelError
        Where DeepLift misses more than 5 % of f(x) - f(x0) over these clips.

    Examples
    --------
    >>> class Mean(nn.Module):
    ...     def forward(self, clips):
    ...         return clips.mean(dim=(1, 2, 3, 4))
    >>> clips = torch.ones(2, 3, 4, 5, 6)
    >>> attribute(Mean().eval(), clips, "InputXGradient", "zero").values.sum(dim=(1, 2, 3, 4))
    tensor([1., 1.])
    """
    chosen = _options(seed, options)
    method = method_name(method)
    _check_request(model, clips)
    reference = baseline_clips(clips, baseline)
    _check_labels(chosen.regions, clips)
    limit = DEFAULT_PASSES if internal_batch_size is None else int(internal_batch_size)
    if limit < 1:
        raise ValueError(f"internal_batch_size {internal_batch_size} must be at least 1.")
    explain = _EXPLAINERS[method]
    with _quiet_captum():
        parts = list(_within_memory(explain, model, clips, reference, limit, chosen))
    values, output, output_baseline = (torch.cat(column) for column in zip(*parts))
    name = baseline if isinstance(baseline, str) else "tensor"
    result = _judged(values, output, output_baseline, clips, reference, (method, name))
    if method == "DeepLift":
        _refuse_incomplete(result, type(model).__name__)
    return result


def method_name(name: str) -> str:
    """Return a method's name as ``METHODS`` spells it, whatever the case and underscores.

    Examples
    --------
    >>> method_name("integrated_gradients")
    'IntegratedGradients'
    """
    known = {method.lower(): method for method in METHODS}
    found = known.get(str(name).lower().replace("_", "").replace(" ", ""))
    if found is None:
        raise ValueError(f"method {name!r} is unknown{_checks.nearest(str(name), METHODS)}.")
    return found


def baseline_clips(clips: Tensor, baseline: str | Tensor) -> Tensor:
    """Return the reference input for every clip.

    Parameters
    ----------
    clips : Tensor
        (N, C, T, H, W) float32.
    baseline : str or Tensor
        A name in ``BASELINES``, or a tensor that broadcasts to the clips: (C, 1, H, W) for one
        frame repeated, (N, C, 1, H, W), or whole clips.

    Returns
    -------
    Tensor
        (N, C, T, H, W) float32.

    Raises
    ------
    ValueError
        For an unknown name, a shape that does not broadcast, or NaN.

    Examples
    --------
    >>> baseline_clips(torch.ones(1, 3, 2, 4, 4), "zero").sum()
    tensor(0.)
    """
    if isinstance(baseline, str):
        if baseline not in BASELINES:
            raise ValueError(
                f"baseline {baseline!r} is none of {', '.join(BASELINES)}; "
                "for the own neutral frame pass the tensor that own_neutral() gives."
            )
        return _named_baseline(clips, baseline)
    if not torch.isfinite(baseline).all():
        raise ValueError("baseline holds NaN or infinite values; take it from a frame with a face.")
    shape = tuple(baseline.shape)
    fits = len(shape) in (4, 5) and all(
        have in (1, want) for have, want in zip(shape[::-1], tuple(clips.shape)[::-1])
    )
    if not fits:
        raise ValueError(
            f"baseline {shape} does not fit clips {tuple(clips.shape)}; "
            "give (C, 1, H, W), (N, C, 1, H, W) or (N, C, T, H, W)."
        )
    return baseline.to(clips).expand_as(clips)


def _named_baseline(clips: Tensor, name: str) -> Tensor:
    if name == "zero":
        return torch.zeros_like(clips[:1]).expand_as(clips)
    if name == "temporal_mean":
        return clips.mean(dim=2, keepdim=True).expand_as(clips)
    return blurred(clips)


def blurred(clips: Tensor, *, sigma: float | None = None) -> Tensor:
    """Blur every frame by itself; ``sigma`` in pixels, an eighth of the shorter side by default.

    Examples
    --------
    >>> flat = torch.full((1, 3, 2, 16, 16), 0.5)
    >>> torch.allclose(blurred(flat), flat)
    True
    """
    height, width = clips.shape[-2:]
    sigma = BLUR_SIGMA * min(height, width) if sigma is None else sigma
    radius = max(1, min(int(3 * sigma), min(height, width) - 1))
    offsets = torch.arange(-radius, radius + 1, dtype=clips.dtype, device=clips.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    flat = clips.reshape(-1, 1, height, width)
    flat = functional.pad(flat, (radius,) * 4, mode="reflect")
    flat = functional.conv2d(flat, kernel.reshape(1, 1, 1, -1))
    flat = functional.conv2d(flat, kernel.reshape(1, 1, -1, 1))
    return flat.reshape(clips.shape)


def neutral_frame(landmarks: np.ndarray) -> int:
    """Return the row whose face is nearest the recording's median face, pose taken out.

    Every frame's landmarks are mapped onto the median's rigid points (nose, eye corners) by the
    best affine map, which takes out place, size, roll and, to first order, yaw and pitch.

    Parameters
    ----------
    landmarks : np.ndarray
        (F, 68, 2) float, pixels; NaN rows are passed over.

    Returns
    -------
    int
        A row of ``landmarks``.

    Raises
    ------
    ValueError
        For another shape, or where no row is complete.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.ndim != 3 or points.shape[1:] != (anatomy.N_LANDMARKS, 2):
        raise ValueError(f"landmarks {points.shape} must be (F, 68, 2).")
    seen = np.flatnonzero(np.isfinite(points).all(axis=(1, 2)))
    if not seen.size:
        raise ValueError("no frame has all 68 landmarks; a neutral frame needs at least one.")
    posed = points[seen]
    target = np.median(posed - posed.mean(axis=1, keepdims=True), axis=0)
    normal = np.stack([_onto(frame, target) for frame in posed])
    middle = np.median(normal, axis=0)
    inner = list(anatomy.INNER_POINTS)
    distance = np.square(normal[:, inner] - middle[inner]).sum(axis=(1, 2))
    return int(seen[np.argmin(distance)])


def _onto(frame: np.ndarray, target: np.ndarray) -> np.ndarray:
    rigid = list(_RIGID)
    ones = np.ones((len(frame), 1))
    design = np.hstack([frame, ones])
    affine, *_ = np.linalg.lstsq(design[rigid], target[rigid], rcond=None)
    return design @ affine


def own_neutral(frames: np.ndarray, landmarks: np.ndarray) -> Tensor:
    """Return the recording's own least active frame as a baseline.

    Parameters
    ----------
    frames : np.ndarray
        (F, H, W, 3) uint8 RGB, as a clip archive holds them.
    landmarks : np.ndarray
        (F, 68, 2) float, pixels; row f is frame f.

    Returns
    -------
    Tensor
        (3, 1, H, W) float32 in 0 to 1; it broadcasts over clips and time.

    Raises
    ------
    ValueError
        Where frames and landmarks differ in length, or no frame has landmarks.
    """
    if len(frames) != len(landmarks):
        raise ValueError(
            f"{len(frames)} frames and {len(landmarks)} rows of landmarks; row f must be frame f."
        )
    frame = np.asarray(frames)[neutral_frame(landmarks)]
    return torch.from_numpy(frame.copy()).permute(2, 0, 1)[:, None].float() / 255


def randomised(model: nn.Module, *, seed: int = 0) -> Iterator[tuple[int, nn.Module]]:
    """Yield copies of the model with 1, 2, ... all layers randomised, from the output down.

    Every weight tensor is shuffled within itself: its distribution stays, what it learned goes
    (the cascade of Adebayo et al., 2018).
    """
    changed = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    layers = [m for m in changed.modules() if list(m.parameters(recurse=False))]
    for number, layer in enumerate(reversed(layers), start=1):
        with torch.no_grad():
            for weights in layer.parameters(recurse=False):
                order = torch.randperm(weights.numel(), generator=generator)
                weights.copy_(weights.flatten()[order].reshape(weights.shape))
        yield number, copy.deepcopy(changed)


def _options(seed: int, options: dict) -> _Options:
    values = {"steps": 50, "samples": 16, "noise": 0.02, "regions": None, "time_blocks": 8}
    unknown = sorted(set(options) - set(values))
    if unknown:
        raise ValueError(f"unknown option {', '.join(unknown)}; there are {', '.join(values)}.")
    return _Options(seed=int(seed), **(values | options))


def _check_request(model: nn.Module, clips: Tensor) -> None:
    if clips.ndim != 5 or not len(clips):
        raise ValueError(f"clips {tuple(clips.shape)} must be (N, C, T, H, W), at least one.")
    if not clips.is_floating_point():
        raise ValueError(f"clips are {clips.dtype}; give float32 in 0 to 1 (divide uint8 by 255).")
    lost = torch.nonzero(~torch.isfinite(clips).all(dim=4).all(dim=3).all(dim=1))
    if len(lost):
        clip, frame = lost[0].tolist()
        raise ValueError(
            f"clip {clip} holds NaN in frame {frame} ({len(lost)} frames in all); "
            "leave out windows with lost frames."
        )
    if any(module.training for module in model.modules()):
        raise ValueError("the model is in training mode; call model.eval() before explaining it.")


def _check_labels(regions: Tensor | None, clips: Tensor) -> None:
    want = (clips.shape[0], *clips.shape[2:])
    if regions is not None and tuple(regions.shape) != want:
        raise ValueError(
            f"regions {tuple(regions.shape)} do not fit clips; they must be (N, T, H, W) {want}."
        )


@contextmanager
def _quiet_captum() -> Iterator[None]:
    with warnings.catch_warnings():
        # Captum announces its hooks and required gradients on every call.
        warnings.filterwarnings("ignore", category=UserWarning, module="captum")
        yield


def _within_memory(explain, model, clips, reference, limit, chosen) -> Iterator[tuple]:
    start = 0
    while start < len(clips):
        stop = min(start + limit, len(clips))
        part = _attempt(explain, model, clips, reference, (start, stop, limit), chosen)
        if part is None:
            limit = limit // 2
            log.warning("out of memory: continuing with at most %d clips in one pass", limit)
            continue
        start = stop
        yield part


def _attempt(explain, model, clips, reference, span, chosen) -> tuple | None:
    """Explain clips start to stop, or return None where memory ran out and can be saved."""
    start, stop, limit = span
    device = next((p.device for p in model.parameters()), clips.device)
    try:
        x, x0 = (tensor[start:stop].to(device).float() for tensor in (clips, reference))
        with torch.no_grad():
            outputs = [_score(model, x), _reference_score(model, x0)]
        values = explain(model, x, x0, limit, (start, chosen))
        return (values.detach().float().cpu().contiguous(), *(output.cpu() for output in outputs))
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        if limit == 1:
            raise MemoryError(
                f"one clip of shape {tuple(clips.shape[1:])} does not fit in memory; use fewer "
                "frames, smaller crops or a smaller model."
            ) from error
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return None


def _is_out_of_memory(error: Exception) -> bool:
    named = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return named or "can't allocate memory" in str(error) or "out of memory" in str(error)


def _score(model: nn.Module, clips: Tensor) -> Tensor:
    output = model(clips)
    if output.numel() != len(clips):
        raise ValueError(
            f"the model gives {tuple(output.shape)} for {len(clips)} clips; "
            "only models with one score per clip can be explained."
        )
    return output.reshape(len(clips))


def _reference_score(model: nn.Module, x0: Tensor) -> Tensor:
    # One reference shared by all clips is one pass, not as many as there are clips.
    shared = len(x0) > 1 and x0.stride(0) == 0
    return _score(model, x0[:1]).expand(len(x0)) if shared else _score(model, x0)


def _deeplift(model, x, x0, limit, extra) -> Tensor:
    # Captum runs clip and baseline in one pass: half as many clips keep the bound.
    size = max(1, limit // 2)
    explainer = attr.DeepLift(model)
    pairs = zip(x.split(size), x0.split(size))
    # A graph per chunk: detached at once, or memory grows with the number of chunks.
    return torch.cat([explainer.attribute(a, baselines=b).detach() for a, b in pairs])


def _integrated_gradients(model, x, x0, limit, extra) -> Tensor:
    explainer = attr.IntegratedGradients(lambda clips: _score(model, clips))
    return explainer.attribute(
        x,
        baselines=x0,
        n_steps=extra[1].steps,
        method="gausslegendre",
        internal_batch_size=max(limit, len(x)),
    )


def _saliency(model, x, x0, limit, extra) -> Tensor:
    # Signed: the sign says in which direction the score would move.
    return attr.Saliency(lambda clips: _score(model, clips)).attribute(x, abs=False)


def _input_x_gradient(model, x, x0, limit, extra) -> Tensor:
    return attr.InputXGradient(lambda clips: _score(model, clips)).attribute(x)


def _gradient_shap(model, x, x0, limit, extra) -> Tensor:
    explainer = attr.GradientShap(lambda clips: _score(model, clips))

    def one(clip: Tensor, reference: Tensor, chosen: _Options, size: int) -> Tensor:
        return explainer.attribute(clip, baselines=reference, n_samples=size, stdevs=chosen.noise)

    return _sampled(one, x, x0, limit, extra)


def _noise_tunnel(model, x, x0, limit, extra) -> Tensor:
    gradients = attr.IntegratedGradients(lambda clips: _score(model, clips))
    explainer = attr.NoiseTunnel(gradients)

    def one(clip: Tensor, reference: Tensor, chosen: _Options, size: int) -> Tensor:
        # "smoothgrad" averages; its square would break completeness.
        return explainer.attribute(
            clip,
            nt_type="smoothgrad",
            nt_samples=size,
            nt_samples_batch_size=1,
            stdevs=chosen.noise,
            baselines=reference,
            n_steps=chosen.steps,
            method="gausslegendre",
            internal_batch_size=limit,
        )

    return _sampled(one, x, x0, limit, extra)


def _sampled(one: Callable, x: Tensor, x0: Tensor, limit: int, extra: tuple) -> Tensor:
    """Average random attributions clip by clip, so that the batch size changes no number."""
    start, chosen = extra
    batch = min(limit, chosen.samples)
    rounds = max(1, round(chosen.samples / batch))
    found = []
    for row in range(len(x)):
        with _seeded(chosen.seed + start + row):
            clip, reference = x[row : row + 1], x0[row : row + 1]
            draws = [one(clip, reference, chosen, batch).detach() for _ in range(rounds)]
        found.append(torch.stack(draws).mean(dim=0))
    return torch.cat(found)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    # Captum draws from torch's and from NumPy's global generators; both are put back afterwards.
    state = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


def _ablation(model, x, x0, limit, extra) -> Tensor:
    """Replace each region by the reference in more and more of the clip, from either end.

    A block replaced alone tears the movement at both its ends, and a model that reads change sees
    the tears; here a tear is in every step and cancels from one to the next. The blocks of a
    region add up to what replacing all of it does.
    """
    start, chosen = extra
    regions, times = _cells(chosen, x, start)
    values, away = torch.zeros_like(x), (x - x0).abs()
    with torch.no_grad():
        full = _score(model, x)
    for region in regions.unique():
        inside = (regions == region)[:, None]
        for time, change in enumerate(_worth_in_time(model, (x, x0), full, inside, times)):
            block = inside * (times == time) * away
            size = block.sum(dim=(1, 2, 3, 4)).clamp(min=1e-12)
            values += block * (change / size)[:, None, None, None, None]
    return values


def _worth_in_time(model, ends, full: Tensor, inside: Tensor, times: Tensor) -> Tensor:
    """What one region adds to the score in every block of time, (S, N) score points."""
    x, x0 = ends
    cuts = range(1, int(times.max()) + 1)
    with torch.no_grad():
        gone = _score(model, torch.where(inside, x0, x))
        early, late = (
            [_score(model, torch.where(inside & side(cut), x0, x)) for cut in cuts]
            for side in (lambda cut: times < cut, lambda cut: times >= cut)
        )
    rising, falling = torch.stack([gone, *late, full]), torch.stack([full, *early, gone])
    return (rising.diff(dim=0) - falling.diff(dim=0)) / 2


def _cells(chosen: _Options, x: Tensor, start: int) -> tuple[Tensor, Tensor]:
    """Number every pixel's region, (N, T, H, W), and every frame's block of time, (T, 1, 1)."""
    frames, height, width = x.shape[2:]
    if chosen.regions is None:
        rows = torch.arange(height, device=x.device) * 4 // height
        columns = torch.arange(width, device=x.device) * 4 // width
        labels = (rows[:, None] * 4 + columns[None]).expand(len(x), frames, height, width)
    else:
        labels = chosen.regions[start : start + len(x)].to(x.device)
    blocks = min(chosen.time_blocks, frames)
    times = torch.arange(frames, device=x.device) * blocks // frames
    return labels, times[:, None, None]


def _grad_cam(model, x, x0, limit, extra) -> Tensor:
    layer = _last_map(model, x[:1])
    explainer = attr.LayerGradCam(lambda clips: _score(model, clips), layer)
    coarse = explainer.attribute(x).detach()
    if coarse.ndim == 4:  # an image layer: its batch is every frame of every clip
        coarse = coarse.reshape(len(x), -1, *coarse.shape[-2:])[:, None]
    fine = functional.interpolate(coarse, size=x.shape[2:], mode="trilinear")
    return (fine / x.shape[1]).expand_as(x).contiguous()


def _last_map(model: nn.Module, clip: Tensor) -> nn.Module:
    """Return the last convolution whose output still has a place: more than one pixel each way."""
    found: list[nn.Module] = []

    def note(module: nn.Module, _: tuple, output: Tensor) -> None:
        per_frame = output.ndim == 4 and len(output) == clip.shape[2]
        if (output.ndim == 5 or per_frame) and min(output.shape[-2:]) > 1:
            found.append(module)

    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Conv3d)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        with torch.no_grad():
            model(clip)
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise ValueError(
            "LayerGradCam needs a convolution that keeps a map; use IntegratedGradients instead."
        )
    return found[-1]


_EXPLAINERS: dict[str, Callable[..., Tensor]] = {
    "DeepLift": _deeplift,
    "IntegratedGradients": _integrated_gradients,
    "Saliency": _saliency,
    "InputXGradient": _input_x_gradient,
    "GradientShap": _gradient_shap,
    "NoiseTunnel": _noise_tunnel,
    "Ablation": _ablation,
    "LayerGradCam": _grad_cam,
}


def _judged(values, output, output_baseline, clips, reference, names) -> Attribution:
    """Measure the gap to f(x) - f(x0) in float64 and flag the clips that miss it."""
    method, baseline = names
    difference = (output - output_baseline).double()
    delta = values.double().sum(dim=(1, 2, 3, 4)) - difference
    if method == "GradientShap":
        delta = torch.full_like(delta, float("nan"))
    complete = delta.abs() <= TOLERANCE * difference.abs()
    degenerate = (clips == reference).flatten(1).all(dim=1).cpu()
    if degenerate.any():
        log.warning("%d of %d clips equal their baseline", int(degenerate.sum()), len(values))
    return Attribution(
        values, output, output_baseline, delta.float(), complete, degenerate, method, baseline
    )


def _refuse_incomplete(result: Attribution, model: str) -> None:
    difference = (result.output - result.output_baseline).abs().sum()
    gap = result.delta.abs().sum()
    rounding = 1e-5 * (result.output.abs() + result.output_baseline.abs()).sum()
    if gap > REFUSAL * difference and gap > rounding:
        raise IncompleteModelError(
            f"DeepLift on {model} misses {float(gap / difference):.0%} of f(x) - f(x0): the model "
            "has layers it has no rule for (attention, max pooling, reused activations). Use "
            " method 'IntegratedGradients' or 'Ablation'."
        )
