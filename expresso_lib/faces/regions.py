"""Regions of the face from its landmarks: label maps, the paper's boxes, the tiled composite.

A label map names one region for every pixel, so the regions are disjoint and cover the picture
by construction. The composite magnifies eyebrows, eyes, nose and mouth into one square input; the
map it comes with carries an attribution on it back to the face without changing its sum.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from expresso_lib import _checks
from expresso_lib.faces import anatomy

# Bits of sub-pixel precision that OpenCV's polygon filling takes.
_SHIFT = 6
BACKGROUND = anatomy.REGIONS.index("background")


def label_map(landmarks: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Name every pixel's region.

    Parameters
    ----------
    landmarks : (68, 2) or (F, 68, 2) x, y in pixels of the picture; centres of pixels are whole.
    shape : height and width of the picture.

    Returns
    -------
    ndarray
        uint8 (H, W) or (F, H, W), indexes of `anatomy.REGIONS`. Where the landmarks are NaN there
        is no face, so every pixel is background.

    Notes
    -----
    Eyes are the lids' outline widened by a tenth of the eye's width, mouth the outer lip likewise,
    eyebrows bands of 0.09 outer-eye distances around their line, the nose the outline of bridge
    and nostrils; the forehead reaches as far above the brows as the nose is long. Where two
    meet, eye goes before eyebrow before mouth before nose.
    """
    points = np.asarray(landmarks, np.float64)
    if points.ndim == 3:
        maps = [label_map(one, shape) for one in points]
        return np.array(maps, np.uint8).reshape(len(maps), *shape[:2])
    _checks.shape(points, (anatomy.N_LANDMARKS, 2), "landmarks")
    labels = np.full(tuple(shape[:2]), BACKGROUND, np.uint8)
    if not np.isfinite(points).all():
        return labels
    # Far outside the picture fixed-point coordinates would overflow.
    limit = 8 * max(labels.shape)
    for name, outline in _outlines(points).items():
        corners = np.round(np.clip(outline, -limit, limit) * (1 << _SHIFT)).astype(np.int32)
        value = anatomy.REGIONS.index(name)
        cv2.fillPoly(labels, [corners], value, lineType=cv2.LINE_8, shift=_SHIFT)
    return labels


def boxes(landmarks: np.ndarray) -> dict[str, np.ndarray]:
    """The paper's rectangles around eyebrows, eyes, nose and mouth: x, y, width, height in pixels.

    They overlap and hold skin; they are here for replication. A quarter of the longer side is
    added on every side (the paper's own margin is not stated).
    """
    found = {}
    for name in anatomy.FEATURE_REGIONS:
        points = landmarks[list(anatomy.LANDMARK_GROUPS[name])]
        low, high = points.min(axis=0), points.max(axis=0)
        edge = 0.25 * (high - low).max()
        found[name] = np.concatenate([low - edge, high - low + 2 * edge])
    return found


# Each region's left, top, right and bottom edge in the composite, as shares of its side. Left and
# right as they are seen; the small, quick features get as much room as the large ones.
TILES = {
    "right_eyebrow": (0.0, 0.0, 0.5, 0.25),
    "left_eyebrow": (0.5, 0.0, 1.0, 0.25),
    "right_eye": (0.0, 0.25, 0.5, 0.5),
    "left_eye": (0.5, 0.25, 1.0, 0.5),
    "nose": (0.0, 0.5, 0.375, 1.0),
    "mouth": (0.375, 0.5, 1.0, 1.0),
}


def composite_map(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Where each pixel of the composite comes from: float32 (size, size, 2), x and y on the face.

    Boxes are widened to their tile's proportions, so that nothing is distorted.
    """
    source = np.zeros((size, size, 2), np.float32)
    for name, (left, top, width, height) in boxes(landmarks).items():
        x0, y0, x1, y1 = (round(size * edge) for edge in TILES[name])
        wide, high = x1 - x0, y1 - y0
        scale = max(width / wide, height / high)  # face pixels per composite pixel
        x = left + width / 2 + (np.arange(wide) + 0.5 - wide / 2) * scale
        y = top + height / 2 + (np.arange(high) + 0.5 - high / 2) * scale
        source[y0:y1, x0:x1] = np.stack(np.meshgrid(x, y), axis=-1)
    return source


def compose(picture: np.ndarray, source: np.ndarray, *, labels: bool = False) -> np.ndarray:
    """Sample a face picture (H, W[, C]) where a `composite_map` says; beyond its edge, the edge.

    `labels` takes the nearest pixel, for label maps; pictures are interpolated.
    """
    how = cv2.INTER_NEAREST if labels else cv2.INTER_LINEAR
    return cv2.remap(picture, source[..., 0], source[..., 1], how, borderMode=cv2.BORDER_REPLICATE)


def decompose(values: np.ndarray, source: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Carry an attribution on the composite back to the face: the transpose of `compose`.

    Parameters
    ----------
    values : (..., H', W') on the composite.
    source : (H', W', 2) of `composite_map`.
    shape : height and width of the face picture.

    Returns
    -------
    ndarray
        (..., H, W) whose sum equals that of `values`: completeness is kept.
    """
    height, width = shape[:2]
    _checks.shape(source, (*values.shape[-2:], 2), "composite map")
    x = np.clip(source[..., 0], 0, width - 1).astype(np.float64)
    y = np.clip(source[..., 1], 0, height - 1).astype(np.float64)
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    across, down = (1 - (x - x0), x - x0), (1 - (y - y0), y - y0)
    flat = values.reshape(-1, x.size).astype(np.float64)
    out = np.zeros((len(flat), height * width))
    for below, right in np.ndindex(2, 2):
        row, column = np.minimum(y0 + below, height - 1), np.minimum(x0 + right, width - 1)
        place, share = (row * width + column).ravel(), (across[right] * down[below]).ravel()
        for target, value in zip(out, flat):
            target += np.bincount(place, value * share, minlength=height * width)
    return out.reshape(*values.shape[:-2], height, width).astype(values.dtype)


def _outlines(points: np.ndarray) -> dict[str, np.ndarray]:
    right, left = anatomy.OUTER_EYE_CORNERS
    unit = float(np.linalg.norm(points[left] - points[right]))
    up = points[27] - points[33]  # along the nose: its length says how far the forehead goes
    brows = points[list(anatomy.RIGHT_EYEBROW + anatomy.LEFT_EYEBROW)]
    # A forehead is narrower than the brows: its corners would be hair.
    top = up + brows.mean(axis=0) + 0.7 * (brows - brows.mean(axis=0))
    # In the order of drawing: what comes later covers what it meets.
    found = {"face_rest": _hull(np.concatenate([points[list(anatomy.JAW)], brows, top]))}
    # The bridge is a line of points: give it the width of the gap between the nostrils.
    wing = 0.35 * (points[35] - points[31])
    bridge = points[list(anatomy.NOSE_BRIDGE)]
    nose = np.concatenate([bridge - wing, bridge + wing, points[list(anatomy.NOSE_BASE)]])
    found["nose"] = _widened(_hull(nose), 0.04 * unit)
    groups = anatomy.LANDMARK_GROUPS | {"mouth": anatomy.OUTER_LIP}
    for name in ("mouth", "left_eyebrow", "right_eyebrow", "left_eye", "right_eye"):
        part = points[list(groups[name])]
        wider = 0.1 * np.ptp(part[:, 0])
        found[name] = _band(part, 0.09 * unit) if "brow" in name else _widened(_hull(part), wider)
    return found


def _hull(points: np.ndarray) -> np.ndarray:
    return cv2.convexHull(points.astype(np.float32))[:, 0].astype(np.float64)


def _widened(outline: np.ndarray, by: float) -> np.ndarray:
    circle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = by * np.stack([np.cos(circle), np.sin(circle)], axis=-1)
    return _hull((outline[:, None] + ring).reshape(-1, 2))


def _band(line: np.ndarray, half: float) -> np.ndarray:
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    line = line.copy()
    line[0] -= 0.4 * half * along[0]
    line[-1] += 0.4 * half * along[-1]
    across = half * np.stack([-along[:, 1], along[:, 0]], axis=-1)
    return np.concatenate([line + across, (line - across)[::-1]])
