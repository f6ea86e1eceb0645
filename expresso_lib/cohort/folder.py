"""Reader of a folder of one's own: videos and one table."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd

from expresso_lib.cohort import core

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".flv", ".wmv")


def read(
    folder: Path,
    *,
    table: str = "",
    score: str = "score",
    low: float = 0.0,
    high: float = 0.0,
    bands: tuple[str, ...] = (),
    tables: str = "",
    faces_may_be_shown: bool = False,
    name: str = "",
) -> core.Cohort:
    """Read videos and one CSV with columns participant, recording, path and a score.

    Parameters
    ----------
    folder : Path
        Holds the videos (subfolders are fine) and the table.
    table : str
        The table's name; empty: the only CSV at the top of the folder.
    score : str
        The column with the score. ``bdi``, ``bdi-ii`` and ``phq-9`` bring their range and bands.
    low, high : float
        Range of the score, in points; equal: the known scale's, else the table's own.
    bands : tuple of str
        Such as ``("low 0-9", "high 10-27")``; empty: the known scale's, else thirds of the cohort.
    tables : str
        Folder with OpenFace tables named like the videos; empty: below `folder`.
    faces_may_be_shown : bool
        True only with the participants' consent.
    name : str
        Of the data set; empty: the folder's.

    Raises
    ------
    core.CohortError
        If the table lacks a column or nothing usable remains.
    """
    root = core.existing_folder(folder, "your data")
    path = _table(root, table)
    rows = core.read_table(path)
    column = score.strip().casefold()
    core.need(rows, ("participant", "path", column), path,
              {column: "Name the column of the score with cohort.score."})  # fmt: skip
    if "recording" not in rows:
        rows["recording"] = [Path(p).stem for p in rows["path"]]
    rows["path"] = rows["path"].str.replace("\\", "/", regex=False)
    source = core.Source(name or root.resolve().name, root, faces_may_be_shown)
    _unlisted(source, rows, path)
    core.two_places(rows, source)
    rows["score"] = rows[column]
    scale = _scale(score, rows["score"], low, high, bands, source)
    people = rows[[c for c in ("participant", "age", "sex", "group") if c in rows]].copy()
    if "age" in people:
        people["age"] = core.numbers(people["age"])
    rows["au_table"] = core.tables_for(rows["path"], root, tables)
    keep = ["participant", "recording", "path", "score", "au_table", "task", "split"]
    rows = rows[[c for c in keep if c in rows]]
    return core.assemble(source, rows, scale, people=people)


def _table(root: Path, table: str) -> Path:
    if table:
        found = core.inside(root, table)
        if found is None or not found.is_file():
            raise core.CohortError(f"{root} has no table {table!r}; correct cohort.table.")
        return found
    # OpenFace writes a table beside each video, under the video's name.
    videos = {Path(p).stem for p in core.files_below(root, VIDEO_SUFFIXES)}
    files = sorted(p for p in root.iterdir() if p.suffix.casefold() == ".csv" and p.is_file())
    tables = [path for path in files if path.stem not in videos]
    if len(tables) != 1:
        names = ", ".join(p.name for p in tables) or "none (save a spreadsheet as CSV)"
        raise core.CohortError(
            f"{root} must hold one CSV with participant, recording, path, score; it has: {names}. "
            "Name the right one with cohort.table."
        )
    return tables[0]


def _unlisted(source: core.Source, rows: pd.DataFrame, table: Path) -> None:
    listed = set(rows["path"])
    for path in core.files_below(source.root, VIDEO_SUFFIXES):
        if path not in listed:
            why = f"the video is not listed in {table.name}"
            source.left_out(path, why, "Add a row with its participant and score.")


def _scale(
    score: str, cells: pd.Series, low: float, high: float, bands: tuple[str, ...],
    source: core.Source,
) -> core.ScoreScale:  # fmt: skip
    known = core.KNOWN_SCALES.get(re.sub(r"[\W_]", "", score.casefold()))
    values = core.numbers(cells).dropna()
    if low < high:
        scale = replace(known, low=low, high=high) if known else core.ScoreScale(score, low, high)
    elif known:
        scale = known
    elif values.empty or values.min() == values.max():
        raise core.CohortError(
            f"the column {score!r} holds {values.nunique()} different numbers; a score must vary."
        )
    else:
        scale = core.ScoreScale(score, float(values.min()), float(values.max()))
        source.kept(score, f"the score's range was not stated; {scale.low:g} to {scale.high:g} "
                      "was taken from the table",
                      "State cohort.score_low and cohort.score_high.")  # fmt: skip
    return replace(scale, bands=tuple(_band(text) for text in bands)) if bands else scale


def _band(text: str) -> core.Band:
    found = re.fullmatch(r"\s*(.+?)\s+(\d+(?:\.\d+)?)\s*(?:-|–|to)\s*(\d+(?:\.\d+)?)\s*", text)
    if not found or core.SAFE_NAME.fullmatch(found[1]) is None:
        raise core.CohortError(f"band {text!r} must read like 'mild 14-19'.")
    return core.Band(found[1], float(found[2]), float(found[3]))
