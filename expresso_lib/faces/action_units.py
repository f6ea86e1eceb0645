"""Action units over time, one row per frame: from other tools, the demo's truth, or by proxy.

A series is a table with `frame` (0-based), the intensities under the codes of `anatomy.AU_CODES`
(NaN where no face was found) and presence as `AUnn_c`. Its `attrs` say `source` and `unit`; what a
threshold means depends on the unit: `scale_of` has the numbers.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from expresso_lib import _checks
from expresso_lib.faces import anatomy, tables
from expresso_lib.faces import truth as truths
from expresso_lib.faces.track import FaceTrack

DISTANCES = "outer-eye distances from the recording's median (proxy)"
BLENDED = "blendshapes of mediapipe (proxy)"


class Scale(NamedTuple):
    """What numbers in one unit mean."""

    full: float  # a strong action
    present: float  # from here on an action unit counts as present
    still: float  # up to here lips and jaw count as still


# Present: FACS' trace (A) is 1 of 5; a probability above one half. Of the proxies, still: 4 in 10
# of GRID's silent frames and fewer than 4 in 100 of the spoken ones have AU25 and AU26 below it
# for a quarter of a second on either side (150 clips).
SCALES = {
    tables.INTENSITY: Scale(5.0, 1.0, 0.5),
    tables.PROBABILITY: Scale(1.0, 0.5, 0.25),
    tables.BLENDSHAPE: Scale(1.0, 0.1, 0.05),
    DISTANCES: Scale(0.25, 0.02, 0.01),
}
# What MediaPipe's blendshapes (Apple's ARKit names) stand for, by their definitions and the
# anatomy: M. Ozel's "ARKit to FACS" guide (melindaozel.com), where it gives one action unit. They
# are no action units: a rendered face's true intensities say how far each may be believed.
BLENDSHAPES = {
    "AU01": ("browInnerUp",), "AU02": ("browOuterUpLeft", "browOuterUpRight"),
    "AU04": ("browDownLeft", "browDownRight"), "AU05": ("eyeWideLeft", "eyeWideRight"),
    "AU06": ("cheekSquintLeft", "cheekSquintRight"), "AU07": ("eyeSquintLeft", "eyeSquintRight"),
    "AU09": ("noseSneerLeft", "noseSneerRight"), "AU10": ("mouthUpperUpLeft", "mouthUpperUpRight"),
    "AU12": ("mouthSmileLeft", "mouthSmileRight"), "AU14": ("mouthDimpleLeft", "mouthDimpleRight"),
    "AU15": ("mouthFrownLeft", "mouthFrownRight"), "AU17": ("mouthShrugLower",),
    "AU20": ("mouthStretchLeft", "mouthStretchRight"),
    "AU25": ("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"),
    "AU26": ("jawOpen",), "AU45": ("eyeBlinkLeft", "eyeBlinkRight"),
}  # fmt: skip


def scale_of(unit: str) -> Scale:
    """Say what numbers in a unit mean; the unit stands in ``attrs`` and in the column `unit`.

    Raises
    ------
    ValueError
        Where the unit is unknown.
    """
    _checks.one_of(unit, SCALES, "unit of action units")
    return SCALES[unit]


def read(
    path: str | Path,
    *,
    n_frames: int | None = None,
    face: int | None = None,
    track: FaceTrack | None = None,
    size: tuple[int, int] | None = None,
) -> pd.DataFrame:
    """Read the action units of another tool's table by frame number.

    Parameters
    ----------
    path : CSV of a tool of `tables.TOOLS`, told apart by its columns.
    n_frames : frames of the recording; the table's last frame + 1 by default.
    face : number of the face; the one seen with most confidence by default.
    track : of the recording; in place of `face`, the face that it follows is taken.
    size : of the picture, as for `tables.landmarks`.

    Returns
    -------
    DataFrame
        Row f is frame f: frame, ``AU01`` ... intensities in the tool's own unit
        (``attrs["unit"]``), ``AU01_c`` ... presence (0 or 1) where it has one. Where a tool had no
        success it writes zeros: here they are NaN.

    Raises
    ------
    TableError
        Where the table holds no action units, or several faces and nothing to tell them by.
    """
    table = tables.read_faces(path)
    if track is not None:
        face = tables.nearest_face(table, track.landmarks, size)
    rows = tables.by_frame(table, n_frames, face=face)
    name = rows.attrs["tool"]
    tool = tables.TOOLS[name]
    values, source = _of_columns(rows, tool), name
    blended = _of_blendshapes(rows)
    if name == "mediapipe" and len(blended.columns):
        values, source = blended, BLENDED
    if not len(values.columns):
        raise tables.TableError(f"{path} holds no action units; run {tool.title} with them (-aus).")
    values = values.where(np.isfinite(values) & rows["usable"].to_numpy()[:, None])
    return _numbered(values.reset_index(drop=True), source, tool.unit)


read_openface = read  # the name that others call


def of_track(track: FaceTrack) -> pd.DataFrame:
    """Take the action units of a track: proxies from its blendshapes, or else from its landmarks.

    **Proxies, not measurements**; ``attrs`` say which.
    """
    table = _of_blendshapes(track.signals)
    if table.empty:
        return proxies(track.landmarks)
    table[~track.found] = np.nan
    return _numbered(table, BLENDED, tables.BLENDSHAPE)


def _numbered(table: pd.DataFrame, source: str, unit: str) -> pd.DataFrame:
    table.insert(0, "frame", np.arange(len(table)))
    table.attrs |= {"source": source, "unit": unit}
    return table


def _of_blendshapes(signals: Mapping[str, Any] | pd.DataFrame) -> pd.DataFrame:
    """Mean of the blendshapes that stand for each action unit, where all of them are there."""
    known = {code: [*names] for code, names in BLENDSHAPES.items() if set(names) <= set(signals)}
    parts = tables.numeric(pd.DataFrame({name: signals[name] for name in chain(*known.values())}))
    means = {code: parts[names].mean(axis=1, skipna=False) for code, names in known.items()}
    return pd.DataFrame(means)


def _of_columns(rows: pd.DataFrame, tool: tables.Tool) -> pd.DataFrame:
    names = {
        column: f"AU{int(found[1]):02d}{tail}"
        for pattern, tail in ((tool.intensity, ""), (tool.presence, "_c"))
        for column in map(str, rows)
        if (found := re.fullmatch(pattern, column))
    }
    return tables.numeric(rows[list(names)].rename(columns=names))


def from_truth(path: str | Path) -> pd.DataFrame:
    """Read the planted intensities (0 to 5) of a demo recording's NPZ."""
    values = truths.read(_checks.existing_file(path, "truth")).au
    table = pd.DataFrame(values.astype(float), columns=list(anatomy.AU_CODES))
    return _numbered(table, "truth", tables.INTENSITY)


def proxies(landmarks: np.ndarray) -> pd.DataFrame:
    """Guess some action units from distances between landmarks. **Proxies, not measurements.**

    Parameters
    ----------
    landmarks : (F, 68, 2) pixels of one recording, NaN where lost.

    Returns
    -------
    DataFrame
        frame and one column per AU that the 68 points can show: the change of a distance from
        the recording's median, in outer-eye distances, positive where the AU would act. Furrows
        and bulges (AU6, 7, 9, 14, 17, 23) barely move these points: their columns are weak or
        absent. Chapter 2 prints each proxy's correlation with the truth on the demo cohort.
    """
    points = np.asarray(landmarks, np.float64)
    _checks.shape(points, (None, anatomy.N_LANDMARKS, 2), "landmarks")
    right, left = (points[:, i] @ np.array([1, 1j]) for i in anatomy.OUTER_EYE_CORNERS)
    plane = points @ np.array([1, 1j])
    with np.errstate(invalid="ignore"):  # lost frames are NaN and stay so
        turned = (plane - ((right + left) / 2)[:, None]) / (left - right)[:, None]
    # Upright, the nose's root at 0 and the outer eye corners 1 apart.
    upright = np.stack([turned.real, turned.imag], axis=-1)
    table = pd.DataFrame({code: measure(upright) for code, measure in _PROXIES.items()})
    return _numbered(table - table.median(), "proxy from landmarks", DISTANCES)


def agreement(series: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Pearson correlation of each AU with the truth, over frames both have: au, r, frames."""
    if len(series) != len(truth):
        raise ValueError(f"series of {len(series)} and {len(truth)} frames; give one recording.")
    codes = [c for c in anatomy.AU_CODES if c in series and c in truth]
    frames = (series[codes].notna() & truth[codes].notna()).sum()
    r = series[codes].corrwith(truth[codes]).where(frames > 2)
    return pd.DataFrame({"au": codes, "r": r[codes].to_numpy(), "frames": frames.to_numpy()})


def at_frames(series: pd.DataFrame, frames: Sequence[int] | np.ndarray) -> pd.DataFrame:
    """Take the rows of given frame numbers, in their order (`ClipArchive.source`, for instance).

    Frames that the series lacks are NaN.
    """
    taken = series.set_index("frame").reindex(np.asarray(frames)).reset_index(names="frame")
    taken.attrs = dict(series.attrs)
    return taken


def tidy(series: pd.DataFrame, *, participant: str, recording: str) -> pd.DataFrame:
    """The book's `action_units` table: participant, recording, frame, au, intensity, presence,
    source, unit.
    """
    codes = [c for c in anatomy.AU_CODES if c in series]
    long = series.melt(id_vars="frame", value_vars=codes, var_name="au", value_name="intensity")
    # The same order of codes and frames, NaN where a tool gives no presence.
    long["presence"] = series.reindex(columns=[f"{c}_c" for c in codes]).melt()["value"]
    who = {"participant": participant, "recording": recording}
    long = long.assign(**who, source=series.attrs["source"], unit=series.attrs["unit"])
    order = [*who, "frame", "au", "intensity", "presence", "source", "unit"]
    return long[order].sort_values(["frame", "au"], ignore_index=True)


def _height(points: np.ndarray, *group: int) -> np.ndarray:
    """Mean height of some points above the line of the outer eye corners (up is positive)."""
    return -points[:, list(group), 1].mean(axis=1)


def _gap(points: np.ndarray, *pairs: tuple[int, int]) -> np.ndarray:
    return np.mean([np.linalg.norm(points[:, a] - points[:, b], axis=-1) for a, b in pairs], axis=0)


def _aperture(points: np.ndarray) -> np.ndarray:
    return _gap(points, (37, 41), (38, 40), (43, 47), (44, 46))


# Each on upright points in outer-eye distances; larger means more of the action unit.
_PROXIES = {
    "AU01": lambda p: _height(p, 21, 22) - _height(p, 39, 42),
    "AU02": lambda p: _height(p, 17, 18, 25, 26) - _height(p, 36, 45),
    "AU04": lambda p: -_gap(p, (21, 22)) - 0.5 * _height(p, 20, 21, 22, 23),
    "AU05": _aperture,
    "AU07": lambda p: _height(p, 40, 41, 46, 47) - _height(p, 36, 39, 42, 45),
    "AU09": lambda p: _height(p, 31, 32, 33, 34, 35),
    "AU10": lambda p: -_gap(p, (33, 51), (32, 50), (34, 52)),
    "AU12": lambda p: _gap(p, (48, 54)) + 2 * (_height(p, 48, 54) - _height(p, 33)),
    "AU15": lambda p: _height(p, 51, 57) - _height(p, 48, 54),
    "AU17": lambda p: _height(p, 57, 58, 56) - _height(p, 33),
    "AU20": lambda p: _gap(p, (48, 54)) - 2 * _height(p, 48, 54),
    "AU23": lambda p: -_gap(p, (51, 62), (57, 66), (50, 61), (58, 67)),
    "AU25": lambda p: _gap(p, (61, 67), (62, 66), (63, 65)),
    "AU26": lambda p: -_height(p, 7, 8, 9),
    "AU45": lambda p: -_aperture(p),
}
