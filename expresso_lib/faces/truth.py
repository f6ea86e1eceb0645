"""The truth of a rendered recording: exact landmarks, action units, pose and gaze, kept small.

``<recording>.npz`` lies beside its video: whole numbers, frame by frame as changes.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from expresso_lib import store

# What one step of a stored whole number stands for: pixels, intensity, degrees.
_STEPS = {"landmarks": 1 / 16, "au": 0.02, "pose": 0.01, "gaze": 0.01}


def save(path: str | Path, *, fps: float, **series: np.ndarray) -> Path:
    """Write what `read` reads: ``landmarks``, ``au``, ``pose``, ``gaze`` as in `Truth`."""
    packed: dict[str, Any] = {name: np.round(series[name] / _STEPS[name]) for name in _STEPS}
    packed = {k: np.diff(v, axis=0, prepend=0).astype(np.int16) for k, v in packed.items()}
    with open(path, "wb") as file:
        np.savez_compressed(file, **packed, fps=np.float64(fps))
    return Path(path)


@dataclass(frozen=True, eq=False)
class Truth:
    """What one recording shows, F frames.

    Attributes
    ----------
    landmarks : ndarray float32 (F, 68, 2)
        Pixels of the video, to 1/32.
    au : ndarray float32 (F, A)
        Intensity 0 to 5 in the order of `anatomy.AU_CODES`, to .01.
    pose : ndarray float32 (F, 3)
        Yaw, pitch, roll in degrees.
    gaze : ndarray float32 (F, 2)
        Degrees right and down, relative to the head.
    fps : float
        Frames per second.
    """

    landmarks: np.ndarray
    au: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray
    fps: float


def holds(path: str | Path) -> bool:
    """Whether a file is such a truth: other tools write NPZ files beside videos, too."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {*_STEPS, "fps"} <= set(getattr(file, "files", ()))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False


def read(path: str | Path) -> Truth:
    """Read the truth of one recording, ``<recording>.npz`` beside its video.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is not there, or no truth of this format.
    """
    file = store.read_arrays(path, "truth")
    missing = [name for name in (*_STEPS, "fps") if name not in file]
    if missing:
        raise ValueError(f"{path} has no {', '.join(missing)}; render its recording again.")
    sums = {name: np.cumsum(file[name], axis=0, dtype=np.int32) for name in _STEPS}
    series = {n: sums[n].astype(np.float32) * np.float32(step) for n, step in _STEPS.items()}
    return Truth(**series, fps=float(file["fps"]))
