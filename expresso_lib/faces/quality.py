"""Can a recording's track be trusted? One row per recording, judged by stated thresholds."""

import logging
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy import ndimage

from expresso_lib import config
from expresso_lib.faces import track as tracks
from expresso_lib.faces import video

log = logging.getLogger(__name__)

# Rigid points of an average adult face, mm: x to the image's right, y down, z to the camera.
# Round numbers of ours, good for an angle within some five degrees.
RIGID = {
    27: (0, -2, 6), 28: (0, 9, 14), 29: (0, 20, 21), 30: (0, 32, 28),
    31: (-14, 42, 10), 33: (0, 44, 17), 35: (14, 42, 10),
    36: (-44, 0, -18), 39: (-17, 1, -8), 42: (17, 1, -8), 45: (44, 0, -18),
}  # fmt: skip
MEASURES = ("found", "confidence", "jitter", "eye_distance", "yaw", "pitch", "gaps", "longest_gap")
# Headings for readers, with units; the others need none.
UNITS = {
    "found": "found (share)", "confidence": "confidence (0 to 1)",
    "jitter": "jitter (outer-eye distances)", "eye_distance": "eye distance (px)",
    "yaw": "yaw (°)", "pitch": "pitch (°)", "longest_gap": "longest gap (s)",
}  # fmt: skip


def pose(landmarks: np.ndarray) -> np.ndarray:
    """Estimate yaw, pitch and roll in degrees, float64 (F, 3), NaN where lost.

    A scaled orthographic camera is fitted to rigid points of an average face (POS, DeMenthon &
    Davis 1995). Yaw is positive where the nose turns to the image's right, pitch where it turns
    down, roll clockwise as seen. An individual's own face shifts the zero by some degrees; use
    differences.
    """
    model = np.array(list(RIGID.values()), float)
    points = landmarks[:, list(RIGID)].astype(np.float64)
    points = points - points.mean(axis=1, keepdims=True)
    camera = np.einsum("fkc,kd->fcd", points, np.linalg.pinv(model - model.mean(axis=0)).T)
    first, second = (camera / np.linalg.norm(camera, axis=2, keepdims=True)).transpose(1, 0, 2)
    depth = np.cross(first, second)
    yaw = np.arcsin(np.clip(first[:, 2], -1, 1))
    pitch = np.arctan2(second[:, 2], depth[:, 2])
    roll = np.arctan2(-first[:, 1], first[:, 0])
    return np.degrees(np.stack([yaw, pitch, roll], axis=-1))


def measure(track: tracks.FaceTrack) -> dict[str, float]:
    """Measure one track: see `MEASURES`; jitter in outer-eye distances, turns in degrees.

    Without a face only frames and gaps are counted.
    """
    found = track.found
    gaps = np.bincount(ndimage.label(~found)[0])[1:] / track.fps
    values = {"frames": float(len(found)), "found": float(found.mean()) if len(found) else 0.0}
    values |= {"gaps": float(len(gaps)), "longest_gap": float(gaps.max(initial=0.0))}
    if not found.any():
        return values
    turns = np.nanpercentile(np.abs(pose(track.landmarks)), 95, axis=0)
    eyes = np.nanmedian(tracks.eye_distance(track.landmarks))
    values |= {"confidence": float(track.confidence[found].mean()), "jitter": tracks.jitter(track)}
    return values | {"eye_distance": float(eyes), "yaw": float(turns[0]), "pitch": float(turns[1])}


def assess(
    found: Mapping[str, tracks.FaceTrack | str], thresholds: config.FacesSection | None = None
) -> pd.DataFrame:
    """Measure and judge every recording; none is dropped.

    Parameters
    ----------
    found : recording -> its track, or the error that kept it from having one.
    thresholds : what must be reached: a run's parameters `faces`, or its defaults.

    Returns
    -------
    DataFrame
        recording, frames, the `MEASURES`, passed (bool), reasons (text, empty where it passed).
    """
    limits, rows = thresholds or config.FacesSection(), []
    for name, one in found.items():
        values = {} if isinstance(one, str) else measure(one)
        reasons = one if isinstance(one, str) else "; ".join(_reasons(values, limits))
        if reasons:
            log.warning("%s is left out: %s", name, reasons)
        rows.append({"recording": name, "passed": not reasons, "reasons": reasons} | values)
    columns = ["recording", "frames", *MEASURES, "passed", "reasons"]
    return pd.DataFrame(rows).reindex(columns=columns)


def forbids(track: tracks.FaceTrack, size: tuple[int, int]) -> list[str]:
    """Say why a track allows no explanation at all; empty where it does.

    Parameters
    ----------
    track : of the recording.
    size : width and height of its picture, pixels.
    """
    limits, values = config.FacesSection(), measure(track)
    known = {k: value for k, value in values.items() if k in ("found", "eye_distance")}
    reasons = _reasons(known, limits)
    if values["found"] < limits.min_share:
        return reasons
    reasons = [f"{text} (are the landmarks shares of the picture?)" for text in reasons]
    middle = track.landmarks[track.found].astype(np.float64).mean(axis=1)
    outside = ((middle < 0) | (middle > np.array(size))).any(axis=1).mean()
    if outside > 1 - limits.min_share or values["eye_distance"] > max(size):
        reasons.append(
            f"landmarks around x {middle[:, 0].mean():.0f}, y {middle[:, 1].mean():.0f} lie "
            f"outside of the picture of {size[0]} x {size[1]} px in {outside:.0%} of frames"
        )
    return reasons


def elsewhere(path: str | Path, track: tracks.FaceTrack) -> float:
    """Look for the face in a few frames with OpenCV's cascade: how often is it another one?

    A table of another video, or of the same one at another size, passes every other test.

    Returns
    -------
    float
        Share of the frames in which the cascade sees faces and none of them lies where the
        landmarks do, at about their size; NaN where it sees a face in fewer than three.
    """
    known = Path(cv2.__file__).with_name("data") / "haarcascade_frontalface_default.xml"
    cascade = cv2.CascadeClassifier(str(known))
    seen = np.flatnonzero(track.found)
    chosen = np.unique(seen[np.linspace(0, len(seen) - 1, 9).astype(int)])
    apart = []
    for frame in video.read_frames(path, chosen):
        side = 480 / max(frame.image.shape[:2])
        grey = cv2.cvtColor(cv2.resize(frame.image, None, fx=side, fy=side), cv2.COLOR_RGB2GRAY)
        boxes = np.array(cascade.detectMultiScale(grey, 1.1, 4, minSize=(48, 48)), float)
        if len(boxes):
            points = track.landmarks[frame.number] * side
            middle, width = points.mean(axis=0), np.ptp(points[:, 0])
            inside = (boxes[:, :2] <= middle) & (middle <= boxes[:, :2] + boxes[:, 2:])
            # Its box is 1.1 to 1.4 times as wide as the landmarks (measured).
            alike = (0.75 * width < boxes[:, 2]) & (boxes[:, 2] < 2 * width)
            apart.append(not (inside.all(axis=1) & alike).any())
    return float(np.mean(apart)) if len(apart) >= 3 else float("nan")


def readable(report: pd.DataFrame) -> pd.DataFrame:
    """The report of `assess` for a page: units in the headings, counts as whole numbers.

    Examples
    --------
    >>> readable(pd.DataFrame({"yaw": [3.5], "gaps": [2.0]})).to_dict("list")
    {'yaw (°)': [3.5], 'gaps': [2]}
    """
    counts = [name for name in ("frames", "gaps") if name in report]
    return report.astype(dict.fromkeys(counts, "Int64")).rename(columns=UNITS)


def summary(report: pd.DataFrame) -> pd.DataFrame:
    """Summarise a cohort's report: median, worst tenth and number of recordings per measure."""
    values = report[list(MEASURES)].astype(float)
    # The worst tenth is low for what should be high and high for the rest.
    worst = values.quantile(0.9)
    worst.update(values[["found", "confidence", "eye_distance"]].quantile(0.1))
    columns = {"median": values.median(), "worst_tenth": worst, "recordings": values.count()}
    return pd.DataFrame(columns).rename(index=UNITS).reset_index(names="measure")


def index_errors(track: tracks.FaceTrack) -> pd.DataFrame:
    """Two ways to read the wrong landmarks, and how far they land from the face.

    The paper's public code indexes the landmarks with a 0/1 array of found frames as if it were a
    mask, so that every frame gets row 1 (row 0 where lost); and it drops lost frames' rows and then
    reads by position, so that all later frames get a neighbour's.

    Returns
    -------
    DataFrame
        frame, found, `by_flag` and `by_position`: mean distance from the frame's own landmarks,
        in outer-eye distances, NaN where either is lost.
    """
    points, found = track.landmarks.astype(np.float64), track.found
    kept = points[found]
    shifted = np.full_like(points, np.nan)
    shifted[: len(kept)] = kept
    unit = np.nanmedian(tracks.eye_distance(points)) if found.any() else np.nan
    read = {"by_flag": points[found.astype(int)], "by_position": shifted}
    away = {k: np.linalg.norm(v - points, axis=-1).mean(axis=1) / unit for k, v in read.items()}
    return pd.DataFrame({"frame": np.arange(len(points)), "found": found} | away)


def _reasons(values: Mapping[str, float], limits: config.FacesSection) -> list[str]:
    rules = (
        ("found", -1, limits.min_share, "a face in {:.0%} of frames, {:.0%} needed"),
        ("confidence", -1, limits.min_confidence, "confidence {:.2f}, {:.2f} needed"),
        ("jitter", 1, limits.max_jitter, "jitter {:.3f} eye distances, {:.3f} allowed"),
        ("eye_distance", -1, limits.min_eye_distance, "eyes {:.0f} px apart, {:.0f} needed"),
        ("yaw", 1, limits.max_turn, "turned by {:.0f} degrees, {:.0f} allowed"),
        ("pitch", 1, limits.max_turn, "nodded by {:.0f} degrees, {:.0f} allowed"),
        ("longest_gap", 1, limits.max_gap, "no face for {:.1f} s, {:.1f} allowed"),
    )
    # NaN (of two frames) fails no comparison here, nor does what nobody could measure.
    return [
        text.format(values[name], limit)
        for name, sign, limit, text in rules
        if name in values and sign * (values[name] - limit) > 0
    ]
