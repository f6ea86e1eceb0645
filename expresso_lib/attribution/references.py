"""What an explanation compares with: reference inputs, networks that learned nothing, adapters.

The reference decides what can be seen. A recording's own calm frames show what *moves* and are
blind to what stands still, a headset for example; ``blur`` shows what stands still. ``zero`` is
kept to replicate the paper. Against one calm frame the head moves, too, and lies on every pixel;
so ``posed_neutral``, the chapters' reference, carries the calmest face to the pose that the head
has in each frame (`posed`). What is left is expression; what the head does is the score of this
reference itself, beside that of the calm frame.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional

from expresso_lib import _checks
from expresso_lib.config import NEUTRAL
from expresso_lib.faces import anatomy

# Made from a clip alone; and from the calm frames of its recording.
OF_CLIP = ("blur", "zero")
OF_RECORDING = (NEUTRAL, "own_neutral", "calm_mean", "calm_frames")
BASELINES = (*OF_RECORDING, *OF_CLIP)
CALM = 8
# Gaussian blur in units of the crop's side: a headset or a pair of glasses must disappear. Of what
# a headset was worth to networks taught by it (practice cohorts 502, 505, 506 and 509) a channel
# with 1/8 found .60, with 1/4 .75, with 1/3 .78, with 1/2 .80, against the clip's mean colour .79.
# In the audit of the published cohorts (other people) it finds .78, .76 and .79 (`make study`).
# The price, with the checkpoint before: of movements it knows less (fidelity .47, .28 and .34, with
# 1/8 .64, .45 and .39).
BLUR_SIGMA = 1 / 3
# Points that expression hardly moves, so that they carry the pose: nose and eye corners.
_RIGID = anatomy.NOSE_BRIDGE + anatomy.NOSE_BASE + (36, 39, 42, 45)
# Ridge of the whole face's map on that of the rigid points, as a share of the frames. On practice
# cohort 501 larger ones did no better: fidelity to shares .94, with .03 it was .93, with .3 .91.
_PENALTY = 1e-3


def clips_of(clips: Tensor, baseline: str | Tensor) -> Tensor:
    """Return the reference input of every clip.

    Parameters
    ----------
    clips : Tensor
        (N, C, T, H, W) float32.
    baseline : str or Tensor
        ``zero`` or ``blur``, or a tensor that broadcasts to the clips: (C, 1, H, W) for one frame
        repeated, (N, C, 1, H, W), or whole clips.

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
    >>> clips_of(torch.ones(1, 3, 2, 4, 4), "zero").sum()
    tensor(0.)
    """
    if isinstance(baseline, str):
        if baseline in OF_RECORDING:
            raise ValueError(f"baseline {baseline!r} is made of a recording's frames: pass the "
                             "tensor that attribution.of_recording() gives.")  # fmt: skip
        _checks.one_of(baseline, OF_CLIP, "baseline")
        if baseline == "blur":
            return blurred(clips)
        return torch.zeros_like(clips[:1]).expand_as(clips)
    if not isinstance(baseline, Tensor):
        raise ValueError(f"baseline is a {type(baseline).__name__}; give a name or a tensor.")
    if not torch.isfinite(baseline).all():
        raise ValueError("baseline holds NaN or infinite values; take it from a frame with a face.")
    try:
        return baseline.to(clips).expand_as(clips)
    except RuntimeError as error:
        raise ValueError(
            f"baseline {tuple(baseline.shape)} does not fit clips {tuple(clips.shape)}; "
            "give (C, 1, H, W), (N, C, 1, H, W) or (N, C, T, H, W)."
        ) from error


def blurred(clips: Tensor) -> Tensor:
    """Blur every frame by itself, sd a third of the shorter side.

    Examples
    --------
    >>> flat = torch.full((1, 3, 2, 16, 16), 0.5)
    >>> torch.allclose(blurred(flat), flat)
    True
    """
    from torchvision.transforms.functional import gaussian_blur  # takes a second to load

    side = min(clips.shape[-2:])
    radius = max(1, min(int(3 * BLUR_SIGMA * side), side - 1))
    flat = clips.flatten(0, 1)
    for kernel in ([2 * radius + 1, 1], [1, 2 * radius + 1]):  # a Gaussian is separable
        flat = gaussian_blur(flat, kernel, [BLUR_SIGMA * side] * 2)
    return flat.view_as(clips)


def calm_frames(landmarks: np.ndarray, count: int = CALM) -> np.ndarray:
    """Rows whose faces are nearest the recording's median face, pose taken out; calmest first.

    Every frame's landmarks are mapped onto the median's rigid points (nose, eye corners) by the
    best affine map, which takes out place, size, roll and, to first order, yaw and pitch.

    Parameters
    ----------
    landmarks : np.ndarray
        (F, 68, 2) float, pixels; NaN rows are passed over.
    count : int
        At most so many.

    Raises
    ------
    ValueError
        For another shape, or where no row is complete.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    _checks.shape(points, (None, anatomy.N_LANDMARKS, 2), "landmarks")
    seen = np.flatnonzero(np.isfinite(points).all(axis=(1, 2)))
    if not seen.size:
        raise ValueError("no frame has all 68 landmarks; a neutral frame needs at least one.")
    posed, rigid = points[seen], list(_RIGID)
    target = np.median(posed - posed.mean(axis=1, keepdims=True), axis=0)
    design = np.concatenate([posed, np.ones_like(posed[..., :1])], axis=2)
    normal = design @ (np.linalg.pinv(design[:, rigid]) @ target[rigid])
    inner = list(anatomy.INNER_POINTS)
    distance = np.square((normal - np.median(normal, axis=0))[:, inner]).sum(axis=(1, 2))
    return seen[np.argsort(distance, kind="stable")[:count]]


def neutral_frame(landmarks: np.ndarray) -> int:
    """Row of the calmest frame of `calm_frames`."""
    return int(calm_frames(landmarks, 1)[0])


def posed(
    calm: Tensor, at: int, landmarks: np.ndarray, rows: np.ndarray, clip: Tensor, face: np.ndarray
) -> Tensor:
    """A calm face in the pose that the head has in every frame of a clip.

    The calm frame is moved by one affine map per frame. It is that of all 68 landmarks, but only
    as far as the rigid ones (nose, eye corners) tell it over the recording: so it follows the
    head, whose outline turns otherwise than its nose, and no expression. Around the face the clip
    is left as it is.

    Parameters
    ----------
    calm : Tensor
        (3, 1, H, W) the calm frame.
    at : int
        Its row of the landmarks.
    landmarks : np.ndarray
        (F, 68, 2) of the recording, pixels; NaN rows are passed over.
    rows : np.ndarray
        (T,) the clip's, each with landmarks.
    clip : Tensor
        (3, T, H, W).
    face : np.ndarray
        (T, H, W) bool, where the clip shows the face.

    Returns
    -------
    Tensor
        (3, T, H, W) float32.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    seen = np.isfinite(points).all(axis=(1, 2))
    rigid, whole = (_affine(points[at][k], points[seen][:, k]) for k in (list(_RIGID), slice(None)))
    fit = make_pipeline(StandardScaler(), Ridge(alpha=_PENALTY * len(rigid))).fit(rigid, whole)
    place = np.maximum(np.cumsum(seen) - 1, 0)  # before the first face its pose is the best guess
    at_calm, at_rows = (fit.predict(rigid[place[k]]) for k in ([at], rows))
    moves = (at_rows - at_calm + _STILL).reshape(-1, 3, 2).transpose(0, 2, 1)
    picture = calm[:, 0].permute(1, 2, 0).contiguous().numpy()
    side = picture.shape[:2]
    how: dict[str, Any] = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REPLICATE}
    moved = np.stack([cv2.warpAffine(picture, move, side[::-1], **how) for move in moves])
    brim = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * (min(side) // 32) + 1,) * 2)
    wide = (cv2.dilate(one.astype(np.float32), brim) for one in face)
    mask = np.stack([cv2.GaussianBlur(one, (0, 0), min(side) / 64) for one in wide])
    shown = torch.from_numpy(moved.clip(0, 1)).permute(3, 0, 1, 2)
    return torch.lerp(clip, shown, torch.from_numpy(mask))


_STILL = np.array([1.0, 0, 0, 1, 0, 0])  # the affine map that moves nothing


def _affine(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares affine maps (F, 6) of points (K, 2) to points (F, K, 2)."""
    design = np.hstack([source, np.ones((len(source), 1))])
    return (np.linalg.pinv(design) @ target).reshape(len(target), 6)


def of_recording(calm: Tensor, name: str, posed: Tensor | None = None) -> str | Tensor:
    """A baseline by name, from a recording's calm frames.

    Parameters
    ----------
    calm : Tensor
        (K, 3, 1, H, W) float32 in 0 to 1, calmest first.
    name : str
        One of ``BASELINES``: ``own_neutral`` is the calmest frame, ``posed_neutral`` the same in
        the clips' poses, ``calm_mean`` the mean of all, ``calm_frames`` all of them (for
        ``ExpectedGradients``); others are returned as they are.
    posed : Tensor, optional
        (N, 3, T, H, W) of `posed`; without it, ``posed_neutral`` is the calmest frame as it is.
    """
    _checks.one_of(name, BASELINES, "baseline")
    if name in OF_CLIP:
        return name
    own = {"own_neutral": calm[0], "calm_mean": calm.mean(dim=0), "calm_frames": calm}
    return (own | {NEUTRAL: calm[0] if posed is None else posed})[name]


def randomised(
    model: nn.Module, *, seed: int = 0, depths: Sequence[int] | None = None
) -> Iterator[tuple[int, nn.Module]]:
    """Yield copies of the model with 1, 2, ... all layers randomised, from the output down.

    Every weight tensor is shuffled within itself, and every learned buffer (whitening, statistics
    of a normalisation): its distribution stays, what it learned goes (the cascade of Adebayo et
    al., 2018).

    Parameters
    ----------
    depths : sequence of int, optional
        Only these numbers of layers; ``-1`` is all of them.
    """
    try:
        changed = copy.deepcopy(model)
    except RuntimeError as error:  # of torch.nn.utils.weight_norm, for one
        why = f"{type(model).__name__} cannot be copied ({error}): keep no tensor with a gradient"
        raise ValueError(f"{why}, take torch.nn.utils.parametrizations.") from error
    generator = torch.Generator().manual_seed(seed)
    layers = [m for m in changed.modules() if _learned(m)]
    every = range(1, len(layers) + 1)
    wanted = every if depths is None else {depth % (len(layers) + 1) for depth in depths}
    for number, layer in enumerate(reversed(layers), start=1):
        with torch.no_grad():
            for weights in _learned(layer):
                order = torch.randperm(weights.numel(), generator=generator)
                weights.copy_(weights.flatten()[order].reshape(weights.shape))
        if number in wanted:
            yield number, copy.deepcopy(changed)


def _learned(layer: nn.Module) -> list[Tensor]:
    """Weights and kept floating buffers of a layer itself."""
    kept = layer.state_dict(keep_vars=True)
    return [one for name, one in kept.items() if "." not in name and one.is_floating_point()]


class Adapter(nn.Module):
    """A network with another size, number of frames or normalisation, as one for our clips.

    Parameters
    ----------
    model : nn.Module
        Takes (N, 3, T', H', W').
    frames, size : int, optional
        T' and H' = W'; clips are interpolated, and stretched where they are not square.
    mean, std : sequence of float
        Per colour; the network gets (clip - mean) / std.

    Examples
    --------
    >>> Adapter(nn.Flatten(), frames=2, size=4).eval()(torch.ones(1, 3, 8, 16, 16)).shape
    torch.Size([1, 96])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        frames: int | None = None,
        size: int | None = None,
        mean: Sequence[float] = (0, 0, 0),
        std: Sequence[float] = (1, 1, 1),
    ) -> None:
        super().__init__()
        self.model, self.frames, self.size = model, frames, size
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(3, 1, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(3, 1, 1, 1))
        self.train(model.training)

    def forward(self, clips: Tensor) -> Tensor:
        """What the network says of clips (N, 3, T, H, W) in 0 to 1."""
        sides = (self.size, self.size) if self.size else clips.shape[3:]
        shape = (self.frames or clips.shape[2], *sides)
        if clips.shape[2:] != shape:
            clips = functional.interpolate(clips, size=shape, mode="trilinear")
        return self.model((clips - self.mean) / self.std)
