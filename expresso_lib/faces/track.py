"""The face track of one recording, and what can be said of it without looking at a picture."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy import ndimage

from expresso_lib import _checks, store
from expresso_lib.faces import anatomy


@dataclass(frozen=True, eq=False)
class FaceTrack:
    """Faces of one recording; row f is frame f, NaN where none was found."""

    landmarks: np.ndarray  # float32 (F, 68, 2) x, y; pixels
    confidence: np.ndarray  # float32 (F,) 0 to 1
    fps: float  # frames per second
    source: str = "unknown"  # what made it: s3fd_fan, mediapipe, simulated, a name in tables.TOOLS
    # What else the source says of each frame, (F,) each, NaN where it does not: ``faces`` in the
    # picture; ``face``, the number of the one followed; ``yaw pitch roll``, degrees;
    # ``gaze_x gaze_y``, radians; blendshapes, 0 to 1.
    signals: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _checks.shape(self.landmarks, (None, anatomy.N_LANDMARKS, 2), "landmarks")
        for name, values in self.signals.items():
            _checks.shape(values, (len(self.landmarks),), f"signal {name}")
        if not self.fps > 0:
            raise ValueError(f"fps is {self.fps}; give the recording's frames per second.")

    @property
    def n_frames(self) -> int:
        """Frames of the recording, F."""
        return len(self.landmarks)

    @property
    def found(self) -> np.ndarray:
        """Bool (F,), True where the face was found."""
        return np.isfinite(self.landmarks).all(axis=(1, 2))

    def save(self, path: str | Path) -> Path:
        """Write NPZ atomically."""
        arrays: dict[str, Any] = {k: v for k, v in vars(self).items() if k != "signals"}
        arrays |= {f"signal:{name}": values for name, values in self.signals.items()}
        return store.write_arrays(path, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote."""
        arrays = store.read_arrays(path, "face track")
        signals = {k[7:]: arrays.pop(k) for k in [*arrays] if k.startswith("signal:")}
        arrays |= {"fps": float(arrays["fps"]), "source": str(arrays["source"])}
        return cls(**arrays, signals=signals)


def from_landmarks(
    landmarks: np.ndarray,
    confidence: np.ndarray,
    fps: float,
    source: str,
    signals: Mapping[str, np.ndarray] | None = None,
) -> FaceTrack:
    """Make a track from (F, 68, 2) landmarks; a frame with any value not finite is lost whole."""
    points = np.array(landmarks, np.float32)
    _checks.shape(points, (None, anatomy.N_LANDMARKS, 2), "landmarks")
    lost = ~np.isfinite(points).all(axis=(1, 2))
    points[lost] = np.nan
    trust = np.where(lost, 0.0, np.nan_to_num(confidence, nan=0.0)).astype(np.float32)
    kept = {name: np.asarray(values, np.float32) for name, values in (signals or {}).items()}
    return FaceTrack(points, trust, float(fps), source, kept)


def boxes_of(landmarks: np.ndarray) -> np.ndarray:
    """Tight boxes x, y, width, height (F, 4) around landmarks (F, 68, 2); NaN stays NaN."""
    low, high = landmarks.min(axis=1), landmarks.max(axis=1)
    return np.concatenate([low, high - low], axis=1).astype(np.float32)


def apart(boxes: np.ndarray, last: np.ndarray) -> np.ndarray:
    """How far boxes (K, 4) lie from the last one, (K,): steps in its sides, and logs of the sizes.

    Less than `near` is the same face.
    """
    sides = np.sqrt(np.maximum(boxes[:, 2:], 0).prod(axis=1)) + 1e-9
    side = np.sqrt(max(last[2:].prod(), 0)) + 1e-9
    away = boxes[:, :2] + boxes[:, 2:] / 2 - last[:2] - last[2:] / 2
    return np.linalg.norm(away, axis=1) / side + np.abs(np.log(sides / side))


def near(lost: int) -> float:
    """How far `apart` a face may be that was lost for some frames."""
    return 0.75 + 0.1 * lost


def linked(frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Say who is who over a recording: the number (N,) of the person in each row, from 0.

    A frame's faces are linked to the people seen before, nearest first; who is near nobody is new.

    Parameters
    ----------
    frames : (N,) frame of each face, ascending.
    boxes : (N, 4) x, y, width, height, pixels; rows with NaN are new people each.
    """
    who = np.full(len(frames), -1)
    last: list[np.ndarray] = []  # where each person was, and in which frame
    seen: list[int] = []
    for frame in np.unique(frames):
        rows = np.flatnonzero(frames == frame)
        away = [apart(boxes[rows], box) for box in last]
        pairs = sorted((far, k, row) for k, some in enumerate(away)
                       for row, far in zip(rows.tolist(), some.tolist()))  # fmt: skip
        for far, k, row in pairs:
            if who[row] < 0 and seen[k] < frame and far < near(frame - seen[k] - 1):
                who[row], last[k], seen[k] = k, boxes[row], frame
        for row in rows[who[rows] < 0]:
            who[row] = len(last)
            last.append(boxes[row])
            seen.append(frame)
    return who


def smooth(track: FaceTrack, frames: float) -> FaceTrack:
    """Smooth landmarks in time with a Gaussian of standard deviation `frames`; 0 changes nothing.

    Lost frames stay lost and lend no weight to their neighbours.
    """
    if not frames >= 0:
        raise ValueError(f"smoothing is {frames} frames; give 0 (off) or more.")
    if frames == 0:
        return track
    points = averaged(track.landmarks, frames)
    points[~track.found] = np.nan
    return replace(track, landmarks=points)


def averaged(landmarks: np.ndarray, sd: float, *, reach: float = 4.0) -> np.ndarray:
    """Average landmarks (F, 68, 2) in time over the frames with a face; NaN where none is near.

    The weights are a Gaussian's of standard deviation `sd`, in frames, cut at `reach` of these.
    """
    found = np.isfinite(landmarks).all(axis=(1, 2))
    known = np.where(found[:, None, None], landmarks, 0).reshape(len(landmarks), -1)
    both = np.column_stack([known, found]).astype(np.float64)
    soft = ndimage.gaussian_filter1d(both, sd, axis=0, truncate=reach, mode="constant")
    weight = np.where(soft[:, -1:] > 1e-9, soft[:, -1:], np.nan)
    return (soft[:, :-1] / weight).reshape(landmarks.shape).astype(np.float32)


def jitter(track: FaceTrack) -> float:
    """Frame-to-frame noise of the landmarks, as a share of the outer-eye distance.

    Independent noise of standard deviation s gives second differences x[f-1] - 2 x[f] + x[f+1]
    of variance 6 s², while steady movement cancels. The variance is averaged over the landmarks
    and the median over frames is taken, so that blinks and speech count little.
    NaN with fewer than three neighbouring frames.
    """
    bend = np.diff(track.landmarks.astype(np.float64), n=2, axis=0)
    power = (bend**2).mean(axis=(1, 2))
    if not np.isfinite(power).any():
        return float("nan")
    return float(np.sqrt(np.nanmedian(power) / 6) / np.nanmedian(eye_distance(track.landmarks)))


def eye_distance(landmarks: np.ndarray) -> np.ndarray:
    """Distance of the outer eye corners (F,), pixels."""
    right, left = anatomy.OUTER_EYE_CORNERS
    return np.linalg.norm(landmarks[:, right] - landmarks[:, left], axis=-1)
