"""Where a face lies in the crop: similarity transforms that bring it to the same place."""

import numpy as np

from expresso_lib.faces.track import averaged

# Points that expression moves least: eye corners, root and base of the nose. Where they come to
# lie in the crop, as shares of its side: a tight face from above the brows to the chin.
STABLE = (36, 39, 42, 45, 27, 31, 33, 35)
TEMPLATE = np.array([
    (0.24, 0.315), (0.40, 0.32), (0.60, 0.32), (0.76, 0.315),
    (0.5, 0.315), (0.42, 0.57), (0.5, 0.59), (0.58, 0.57),
])  # fmt: skip
# The crop follows the head's place over this many seconds (the sd of a Gaussian): what is quicker
# stays in the picture as a movement.
STEADY = 2.0


class ClipError(ValueError):
    """A recording, track or window that does not fit; the message says which and what to do."""


def align(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Similarity transforms that bring faces to the same place, float32 (F, 2, 3).

    Least squares over points that expression moves least (Umeyama 1991, without reflection). Lost
    frames take the transform that lies between their neighbours', so that the crop stays steady.

    Parameters
    ----------
    landmarks : (F, 68, 2) pixels, NaN where lost.
    size : side of the crop, pixels.

    Raises
    ------
    ClipError
        Where no frame has a face.
    """
    points = landmarks[:, list(STABLE)].astype(np.float64)
    found = np.isfinite(landmarks).all(axis=(1, 2))
    if not found.any():
        raise ClipError("no frame has a face; leave this recording out and report it.")
    # As complex numbers a similarity is one product and one sum: target = turn * point + shift.
    target = (TEMPLATE * size - 0.5) @ np.array([1, 1j])
    here = points[found] @ np.array([1, 1j])
    centre = here.mean(axis=1, keepdims=True)
    away = here - centre
    turn = (away.conj() * (target - target.mean())).sum(axis=1) / (np.abs(away) ** 2).sum(axis=1)
    shift = target.mean() - turn * centre[:, 0]
    transform = np.full((len(found), 2, 3), np.nan)
    transform[found, 0] = np.stack([turn.real, -turn.imag, shift.real], axis=-1)
    transform[found, 1] = np.stack([turn.imag, turn.real, shift.imag], axis=-1)
    return filled(transform).astype(np.float32)


def steady(landmarks: np.ndarray, fps: float) -> np.ndarray:
    """Landmarks (F, 68, 2) averaged over about `STEADY` before and after, NaN where all are lost.

    Crops that follow these hold still while the head moves: its movement stays in the picture,
    and the jitter of a tracker does not come in.
    """
    return averaged(landmarks, STEADY * fps, reach=2.5)


def transform_points(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Map points (F, K, 2) by transforms (F, 2, 3); NaN stays NaN."""
    moved = np.einsum("fij,fkj->fki", transform[:, :, :2], points) + transform[:, None, :, 2]
    return moved.astype(np.float32)


def filled(points: np.ndarray) -> np.ndarray:
    """Landmarks (F, 68, 2) with those of lost frames between their neighbours'."""
    flat = points.reshape(len(points), -1)
    at = np.flatnonzero(np.isfinite(flat).all(axis=1))
    columns = [np.interp(np.arange(len(flat)), at, column) for column in flat[at].T]
    return np.stack(columns, axis=-1).reshape(points.shape)
