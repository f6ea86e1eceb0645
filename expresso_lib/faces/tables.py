"""Tables of other tools, read as they are: OpenFace and Py-Feat, one row per frame of ours.

Rows are placed by their frame number, never by their position, because builds leave frames out
without a word; a frame without a usable row is NaN. Time stamps are kept but never trusted.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from expresso_lib import _checks
from expresso_lib.faces import anatomy

log = logging.getLogger(__name__)

X_COLUMNS = tuple(f"x_{i}" for i in range(anatomy.N_LANDMARKS))
Y_COLUMNS = tuple(f"y_{i}" for i in range(anatomy.N_LANDMARKS))


class TableError(ValueError):
    """A table that cannot be read; the message names file, fault and remedy."""


def read_csv(path: str | Path) -> pd.DataFrame:
    """Read any tool's CSV: names stripped, cells as numbers where they are numbers.

    Raises
    ------
    TableError
        Where the file is empty, binary or has a name twice.
    """
    path = _checks.existing_file(path, "table")
    try:
        table = pd.read_csv(path, skipinitialspace=True, encoding="utf-8-sig", low_memory=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise TableError(f"{path} is no table ({error}); write it again as CSV.") from error
    table.columns = [str(name).strip() for name in table.columns]
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise TableError(f"{path} names {list(twice)} twice; keep one column of each.")
    return table


def read_faces(path: str | Path) -> pd.DataFrame:
    """Read an OpenFace (1.x, 2.x) or a Py-Feat table, told apart by its columns: all faces.

    Returns
    -------
    DataFrame
        The tool's columns with `frame` counted from 0, `face` (OpenFace's `face_id`, 0 where it
        has none; Py-Feat's are numbered within their frame), `confidence` (0 to 1) and `usable`
        (bool: OpenFace's `success`, a Py-Feat score).

    Raises
    ------
    TableError
        Where a column that identifies rows is missing.
    """
    table = read_csv(path)
    if "FaceScore" in table:
        _require(table, ("frame",), path, "Py-Feat")
        score = pd.to_numeric(table["FaceScore"], errors="coerce")
        face = table.groupby("frame").cumcount()
        return _keyed(table, path, 0, face, score, score.notna() & (score > 0))
    _require(table, ("frame", "confidence", "success"), path, "OpenFace")
    # OpenFace counts from 1; a table that holds a frame 0 was renumbered by someone.
    first = 0 if (table["frame"] == 0).any() else 1
    usable = pd.to_numeric(table["success"], errors="coerce").fillna(0) == 1
    return _keyed(table, path, first, table.get("face_id"), table["confidence"], usable)


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
    """
    _checks.one_of(face, [None, *sorted(set(table["face"]))], "face")
    if face is None:
        trust = table["confidence"].where(table["usable"], 0.0)
        sums = trust.groupby(table["face"]).sum()
        face = int(sums.index.to_numpy()[sums.to_numpy().argmax()]) if len(table) else 0
    rows = table[table["face"] == face]
    others = len(table) - len(rows)
    rows = rows.sort_values("confidence", kind="stable").drop_duplicates("frame", keep="last")
    length = (int(rows["frame"].max()) + 1 if len(rows) else 0) if n_frames is None else n_frames
    beyond = int((rows["frame"] >= length).sum())
    full = rows.set_index("frame").reindex(range(length))
    absent = int(full["face"].isna().sum())
    if beyond or absent or others:
        log.warning(
            "%s: %d rows beyond frame %d, %d frames without a row, %d rows of other faces",
            table.attrs.get("path", "table"),
            beyond,
            length - 1,
            absent,
            others,
        )
    full["usable"] = full["usable"].eq(True)
    full.attrs = dict(table.attrs)
    return full


def landmarks(rows: pd.DataFrame) -> np.ndarray:
    """Take the 68 landmarks of a table made by `by_frame`, float64 (F, 68, 2), pixels.

    Frames without success, and any with an infinite or missing coordinate, are NaN.
    """
    _require(rows, X_COLUMNS + Y_COLUMNS, rows.attrs.get("path", "table"), "68 landmarks")
    x = rows[list(X_COLUMNS)].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    y = rows[list(Y_COLUMNS)].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    points = np.stack([x, y], axis=-1)
    lost = ~np.isfinite(points).all(axis=(1, 2)) | ~rows["usable"].to_numpy(bool)
    points[lost] = np.nan
    return points


def _keyed(
    table: pd.DataFrame,
    path: str | Path,
    first: int,
    face: pd.Series | None,
    confidence: pd.Series,
    usable: pd.Series,
) -> pd.DataFrame:
    number = pd.to_numeric(table["frame"], errors="coerce")
    bad = number.isna() | ~np.isfinite(number) | (number % 1 != 0) | (number < first)
    if bad.any():
        raise TableError(
            f"{path}: frame {table['frame'][bad].iloc[0]!r} in row "
            f"{int(np.flatnonzero(bad)[0])} is no frame number; write it again."
        )
    zero = pd.Series(0, index=table.index)
    faces = zero if face is None else pd.to_numeric(face, errors="coerce").fillna(0)
    keyed = table.assign(
        frame=number.astype(int) - first,
        face=faces.astype(int),
        confidence=pd.to_numeric(confidence, errors="coerce"),
        usable=usable,
    )
    keyed.attrs["path"] = str(path)
    return keyed


def _require(table: pd.DataFrame, names: tuple[str, ...], path: object, what: str) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing:
        shown = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        raise TableError(f"{path} lacks {shown} of {what}; it has {', '.join(table.columns[:8])} …")
