"""Tables of other tools, read as they are: one row per frame of ours, whoever wrote them.

A tool is known by its columns (`TOOLS`). Rows are placed by their frame number, never by their
position, because tools leave frames out without a word; a frame without a usable row is NaN. Time
stamps are kept but never trusted. Landmarks, action units with their unit and gaze are taken from
the same rows, so that they are of the same face.
"""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from itertools import chain, count, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expresso_lib import _checks
from expresso_lib.faces import anatomy
from expresso_lib.faces import track as tracks
from expresso_lib.faces.mediapipe import VERTICES

log = logging.getLogger(__name__)

X_COLUMNS, Y_COLUMNS = (tuple(f"{axis}_{i}" for i in range(anatomy.N_LANDMARKS)) for axis in "xy")
GAZE = ("gaze_x", "gaze_y")
INTENSITY, PROBABILITY = "intensity, 0 to 5", "probability, 0 to 1"
BLENDSHAPE = "blendshape, 0 to 1 (proxy)"
SURE = 0.5  # confidence from which a row counts where a tool writes no success
# The 98 points of WFLW that lie where the 68 of iBUG do: every second of the jaw, the brows' upper
# edges, nose, eyes without their middle points, lips.
WFLW = np.r_[0:33:2, 33:38, 42:47, 51:62, 63:66, 67:70, 71:74, 75:96]
# Which points of a set are the 68, by the set's size.
SETS: dict[int, np.ndarray] = {68: np.arange(68), 98: WFLW, 468: VERTICES, 478: VERTICES}
# How tools name a point's coordinates; the last two are scripts around MediaPipe.
POINTS = ("{axis}_{i}", "lm_mp_{i}_{axis}", "landmark_{i}_{axis}", "lm_{i}_{axis}")


class TableError(ValueError):
    """A table that cannot be read; the message names file, fault and remedy."""


@dataclass(frozen=True)
class Tool:
    """How one tool writes; gaze factors turn its columns into radians to the right and down."""

    title: str
    known: Callable[[set[str]], bool]
    frame: str = "frame"
    counts_from: int = 0
    confidence: str = ""
    success: str = ""
    intensity: str = r"AU(\d\d)_r"
    presence: str = r"AU(\d\d)_c"
    unit: str = INTENSITY
    gaze: tuple[tuple[str, float], ...] = (("", 1.0), ("", 1.0))
    shares: bool = False  # landmarks in shares of the picture's sides, not pixels


# OpenFace 3 prints eight values without names. Its training code takes columns 0 4 8 10 11 1 6 7 of
# DISFA's twelve, sorted as file names: AU1 2 4 6 9 12 25 26, DISFA's usual eight. Inferred by us.
OPENFACE3_UNITS = ("AU01", "AU02", "AU04", "AU06", "AU09", "AU12", "AU25", "AU26")
# Gaze signs: OpenFace by its output page; Py-Feat by its source (up, and to the person's right, are
# positive); LibreFace by its conversion to a vector (degrees, up positive); OpenFace 3 says none.
TOOLS = {
    "openface3": Tool("OpenFace 3", lambda c: {"frame_index", "action_units"} <= c, "frame_index",
                      confidence="confidence", unit=PROBABILITY,
                      gaze=(("gaze_yaw", 1.0), ("gaze_pitch", 1.0))),
    "libreface": Tool("LibreFace", lambda c: "lm_mp_0_x" in c or any(
        re.fullmatch(r"au_\d+_intensity", name) for name in c), "frame_idx",
        intensity=r"au_(\d+)_intensity", presence=r"au_(\d+)", shares=True,
        gaze=(("gaze_yaw", np.pi / 180), ("gaze_pitch", -np.pi / 180))),
    "pyfeat": Tool("Py-Feat", lambda c: "FaceScore" in c, confidence="FaceScore",
                   intensity=r"AU(\d\d)", presence="-", unit=PROBABILITY,
                   gaze=(("gaze_yaw", -1.0), ("gaze_pitch", -1.0))),
    "mediapipe": Tool("MediaPipe export", lambda c: bool(
        c & {"browDownLeft", "x_68", "landmark_68_x", "lm_68_x"}), unit=BLENDSHAPE, shares=True),
    "pyfaceau": Tool("pyfaceau", lambda c: {"frame", "success"} <= c
                     and not c & {"confidence", "x_0"}, success="success"),
    "openface": Tool("OpenFace", lambda c: {"frame", "confidence"} <= c, counts_from=1,
                     confidence="confidence", success="success",
                     gaze=(("gaze_angle_x", 1.0), ("gaze_angle_y", 1.0))),
}  # fmt: skip


def read_csv(path: str | Path, *, separators: str = ",", **options: Any) -> pd.DataFrame:
    """Read anybody's CSV: names stripped, cells as numbers where they are numbers.

    A separator at the end of lines moves and names no column.

    Parameters
    ----------
    path : the file, in UTF-8, UTF-16 or what older spreadsheets write.
    separators : what may stand between columns; the one that the first line has most of does.
    options : of `pandas.read_csv`.

    Raises
    ------
    TableError
        Where the file is empty or binary, has a name twice, or rows longer than its first line.
    """
    raw = _checks.existing_file(path, "table").read_bytes()
    try:
        text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")
    header = text.split("\n", 1)[0]
    if "\0" in text or not header.strip():  # NUL makes pandas ask for all memory there is
        raise TableError(f"{path} is no table of text; save it as CSV.")
    between = max(separators, key=header.count)
    # Spreadsheets end lines with a separator; to pandas that is a cell without a name.
    text = re.sub(rf"{between} *(?=\r?\n|\Z)", "", text)
    how = {"sep": between, "skipinitialspace": True, "low_memory": False} | options
    if between != "," and re.search(r"\d,\d", text) and not re.search(r"\d\.\d", text):
        how["decimal"] = ","  # as in half of Europe
    try:
        table = pd.read_csv(StringIO(text), **how)
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise TableError(f"{path} is no table ({error}); write it again as CSV.") from error
    if not isinstance(table.index, pd.RangeIndex):
        raise TableError(
            f"{path}: its rows have more cells than its first line has names (semicolons needed?)."
        )
    table.columns = table.columns.str.strip()
    if not table.columns.is_unique:
        twice = list(table.columns[table.columns.duplicated()])
        raise TableError(f"{path} names {twice} twice; keep one column of each.")
    return table


def read_faces(path: str | Path) -> pd.DataFrame:
    """Read the table of a tool of `TOOLS`, all faces, into one form.

    Returns
    -------
    DataFrame
        The tool's columns, and: `frame` counted from 0, `face` (number), `confidence` (0 to 1),
        `usable` (bool), `gaze_x`, `gaze_y` (radians, NaN where it has none). ``attrs``: path, tool
        (its name in `TOOLS`), unit of its action units.

    Raises
    ------
    TableError
        Where the table is of no known tool, or a frame is no frame number.
    """
    table = read_csv(path, separators=",;\t")
    name = next((n for n, tool in TOOLS.items() if tool.known(set(table.columns))), None)
    if name is None:
        titles = ", ".join(tool.title for tool in TOOLS.values())
        raise TableError(f"{path} is no table of {titles}; it has {_first(table)}")
    tool = TOOLS[name]
    if tool.frame not in table:
        raise TableError(f"{path} lacks {tool.frame} of {tool.title}; it has {_first(table)}")
    if name == "openface3":
        table = _unfolded(table)
    keyed = _keyed(table, path, tool)
    nothing = pd.Series(np.nan, keyed.index)
    for column, (source, factor) in zip(GAZE, tool.gaze):
        keyed[column] = factor * pd.to_numeric(keyed.get(source, nothing), errors="coerce")
    keyed.attrs |= {"path": str(path), "tool": name, "unit": tool.unit}
    return keyed


def by_frame(
    table: pd.DataFrame, n_frames: int | None = None, *, face: int | None = None
) -> pd.DataFrame:
    """Give one person's rows by frame number; row f is frame f, NaN where there is none.

    Parameters
    ----------
    table : of `read_faces`.
    n_frames : frames in the recording; one more than the table's last frame by default. Rows
        beyond are left out with a warning, frames without a row are NaN.
    face : number of the face; the one with most confidence over the recording by default.

    Raises
    ------
    TableError
        Where the last frame is far beyond what the rows can be of, and `n_frames` is not given.
    """
    path, known = table.attrs.get("path", "table"), sorted({int(one) for one in table["face"]})
    _checks.one_of(face, [None, *known], "face")
    if face is None and known:
        trust = table["confidence"].where(table["usable"], 0.0)
        face = int(trust.groupby(table["face"]).sum().idxmax())
    rows = table[table["face"] == face]
    if len(known) > 1:
        log.warning("%s: face %d of %s is followed", path, face, known)
    rows = rows.sort_values("confidence", kind="stable", na_position="first")
    rows = rows.drop_duplicates("frame", keep="last")
    length = int(rows["frame"].max()) + 1 if n_frames is None and len(rows) else n_frames or 0
    if n_frames is None and length > 20 * len(rows) + 10_000:
        raise TableError(f"{path} has {len(rows)} rows and a frame {length - 1}; write it again.")
    full = rows.set_index("frame").reindex(range(length))
    beyond, absent = int((rows["frame"] >= length).sum()), int(full["face"].isna().sum())
    if beyond or absent:
        log.warning("%s: %d rows beyond frame %d, %d frames without a row", path, beyond,
                    length - 1, absent)  # fmt: skip
    full["usable"] = full["usable"].eq(True)
    full.attrs = dict(table.attrs)
    return full


def landmarks(rows: pd.DataFrame, size: tuple[int, int] | None = None) -> np.ndarray:
    """Take the 68 landmarks of a table made by `by_frame`, float64 (F, 68, 2), pixels.

    Frames without success, and any with an infinite or missing coordinate, are NaN. Of a mesh
    (468 or 478 vertices) or of WFLW's 98 points the ones nearest to the 68 are taken.

    Parameters
    ----------
    rows : of `by_frame`.
    size : width and height of the picture, pixels; tools around MediaPipe write shares of it.

    Raises
    ------
    TableError
        Where the table holds no set of points that is known, or shares and no size.
    """
    path, tool = rows.attrs.get("path", "table"), TOOLS[rows.attrs.get("tool", "openface")]
    names = _point_names(rows, path, tool)
    points = _points(rows, [names[i] for i in SETS[len(names)]])
    known = np.abs(points[np.isfinite(points)])
    if tool.shares and not (len(known) and np.median(known) > 3):
        if size is None:
            raise TableError(f"{path}: {tool.title} writes shares of the picture; give its size.")
        points[np.abs(points) > 3] = np.nan  # far outside of every picture
        points = points * np.array(size, float) - 0.5
    lost = ~np.isfinite(points).all(axis=(1, 2)) | ~rows["usable"].to_numpy(bool)
    points[lost] = np.nan
    return points


def holds_landmarks(path: str | Path) -> bool:
    """Say whether a table has points from which a face can be cut; one of action units may not."""
    try:
        table = read_faces(path)
        return bool(_point_names(table, str(path), TOOLS[table.attrs["tool"]]))
    except TableError as error:
        log.warning("no landmarks: %s", error)
        return False


def nearest_face(
    table: pd.DataFrame, points: np.ndarray, size: tuple[int, int] | None = None
) -> int | None:
    """Number of the face of a table that a track follows; None where there is one, or no pair.

    Parameters
    ----------
    table : of `read_faces`.
    points : (F, 68, 2) the track's landmarks, pixels.
    size : as for `landmarks`.

    Raises
    ------
    TableError
        Where the table has several faces and no landmarks to tell them by.
    """
    rows = table[table["frame"] < len(points)]
    if rows["face"].nunique() < 2:
        return None
    try:
        shown = landmarks(rows, size)
    except TableError as error:
        raise TableError(
            f"{error}. It has several faces: export them with their landmarks, or only the one "
            "that is meant (expresso explain: or name it, --face)."
        ) from error
    away = np.linalg.norm(shown - points[rows["frame"]], axis=2).mean(axis=1)
    each = pd.Series(away).groupby(rows["face"].to_numpy()).median().dropna()
    return int(each.idxmin()) if len(each) else None


def from_table(
    path: str | Path,
    *,
    n_frames: int | None = None,
    fps: float,
    face: int | None = None,
    size: tuple[int, int] | None = None,
) -> tracks.FaceTrack:
    """Read a track from another tool's table; row f is frame f whatever rows it left out.

    Parameters
    ----------
    path : CSV with landmarks (OpenFace: ``-2Dfp``).
    n_frames : frames of the recording; the table's last frame + 1 by default.
    fps : frames per second of the recording; the table's time stamps are not trusted.
    face : number of the face in the table; the one seen with most confidence by default.
    size : as for `landmarks`.

    Raises
    ------
    TableError
        Where the table cannot be read or holds no landmarks.
    """
    table = read_faces(path)
    rows = by_frame(table, n_frames, face=face)
    gaze = rows[list(GAZE)].where(rows["usable"]).astype(float).dropna(axis=1, how="all")
    signals = {str(name): values.to_numpy() for name, values in gaze.items()}
    if table["face"].nunique() > 1:
        seen = table[table["usable"]].groupby("frame")["face"].nunique()
        signals["faces"] = seen.reindex(rows.index, fill_value=0).to_numpy(float)
        signals["face"] = rows["face"].to_numpy(float)
    confidence, tool = rows["confidence"].to_numpy(float), rows.attrs["tool"]
    return tracks.from_landmarks(landmarks(rows, size), confidence, fps, tool, signals)


def _point_names(rows: pd.DataFrame, path: str, tool: Tool) -> list[tuple[str, str]]:
    columns = set(rows.columns)
    for form in POINTS:
        pairs = ((form.format(axis="x", i=i), form.format(axis="y", i=i)) for i in count())
        names = list(takewhile(columns.issuperset, pairs))
        deep = len(names) == anatomy.N_LANDMARKS and form.format(axis="z", i=0) in columns
        if len(names) in SETS and not deep:
            return names
        if names:
            raise TableError(
                f"{path}: {tool.title} with {len(names)} points{' in space' * deep}, of which "
                f"nobody says which are the 68; known sets have {', '.join(map(str, SETS))}."
            )
    raise TableError(f"{path} lacks x_0 … y_67 of 68 landmarks; it has {_first(rows)}")


def _points(rows: pd.DataFrame, names: list[tuple[str, str]]) -> np.ndarray:
    return numeric(rows[list(chain(*names))]).to_numpy().reshape(len(rows), len(names), 2)


def numeric(table: pd.DataFrame) -> pd.DataFrame:
    """Return cells as float64, NaN where a cell is no number."""
    return table.apply(pd.to_numeric, errors="coerce").astype(float)


def _keyed(table: pd.DataFrame, path: str | Path, tool: Tool) -> pd.DataFrame:
    number = pd.to_numeric(table[tool.frame], errors="coerce")
    # OpenFace counts from 1; a table that holds a frame 0 was renumbered by someone.
    first = 0 if (number == 0).any() else tool.counts_from
    bad = (number % 1 != 0) | ~number.between(first, 10**9)  # no recording has as many frames
    if bad.any():
        raise TableError(f"{path}: frame {table[tool.frame][bad].iloc[0]!r} is no frame number.")
    frame = number.astype(int) - first
    sure = pd.Series(1.0, table.index)
    numbers = table["face_id"] if "face_id" in table else _who(table, frame, path, tool)
    face = pd.to_numeric(numbers, errors="coerce").fillna(0)
    confidence = pd.to_numeric(table.get(tool.confidence, sure), errors="coerce")
    # Whether the tool vouches for the row.
    if tool.success in table:
        usable = table[tool.success].astype(str).isin(["1", "1.0", "True"])
    elif tool.success and tool.confidence in table:
        text = "%s has no column %s: rows count from confidence %g on"
        log.warning(text, path, tool.success, SURE)
        usable = confidence >= SURE
    else:
        usable = confidence > 0
    return table.assign(frame=frame, face=face.astype(int), confidence=confidence, usable=usable)


def _who(table: pd.DataFrame, frame: pd.Series, path: str | Path, tool: Tool) -> pd.Series:
    """Number faces that have no number (Py-Feat's): the same person keeps hers, by the points.

    Where no row has points they are counted within their frame.
    """
    counted = frame.groupby(frame).cumcount()
    try:
        names = _point_names(table, str(path), tool) if counted.any() else []
    except TableError:
        names = []
    if not names:
        return counted
    points = _points(table, names)
    rows = np.argsort(frame.to_numpy(), kind="stable")
    rows = rows[np.isfinite(points[rows]).all(axis=(1, 2))]
    who = tracks.linked(frame.to_numpy()[rows], tracks.boxes_of(points[rows]))
    named = pd.Series(who, table.index[rows]).reindex(table.index)
    # Beside somebody who was followed, a row without points is of somebody else.
    beside = named.isna() & frame.isin(frame.iloc[rows])
    return named.where(~beside, counted + max([*who, 0]) + 1)


def _listed(cell: object) -> np.ndarray:
    """Numbers of a cell that holds a list; none where it holds anything else."""
    try:
        return np.atleast_1d(np.array(json.loads(str(cell)), float))
    except (ValueError, TypeError, RecursionError):
        return np.empty(0)


def _unfolded(table: pd.DataFrame) -> pd.DataFrame:
    """Spread the lists that OpenFace 3 puts into cells: landmarks, action units, detection."""
    cells = table.reindex(columns=["landmarks", "action_units", "face_detection"])
    points, units, boxes = (cells[name].map(_listed) for name in cells)
    most = max((len(one) for one in points if one.shape[1:] == (2,)), default=0)
    trust = boxes.map(lambda one: one.ravel()[4] if one.size > 4 else np.nan).rename("confidence")
    parts = [table.drop(columns=list(cells), errors="ignore"), trust]
    for values, shape, names in (
        (points, (most, 2), [f"{axis}_{i}" for i in range(most) for axis in "xy"]),
        (units.map(np.ravel), (len(OPENFACE3_UNITS),), [f"{code}_r" for code in OPENFACE3_UNITS]),
    ):
        lost = np.full(len(names), np.nan)
        rows = [one.ravel() if one.shape == shape else lost for one in values]
        parts.append(pd.DataFrame(rows, table.index, names))
    return pd.concat(parts, axis=1)


def _first(table: pd.DataFrame) -> str:
    return f"{', '.join(map(str, table.columns[:8]))} …"
