"""Reader of a folder of one's own: videos and one table."""

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pandas as pd

from expresso_lib.cohort import core

RENAME = "Rename one of them if they are two people."
# What a column's name may say beside the scale's: "PHQ-9 Total Score".
BESIDE = r"[\W_]|total|sum|score"


def read(
    source: core.Source,
    *,
    table: str = "",
    score: str = "score",
    low: float = 0.0,
    high: float = 0.0,
    bands: tuple[str, ...] = (),
) -> core.Read:
    """Read videos and one CSV with columns participant, recording, path and a score.

    Parameters
    ----------
    source : core.Source
        Holds the videos (subfolders are fine) and the table.
    table : str
        The table's name; empty: the only CSV at the top of the folder.
    score : str
        The column with the score. ``bdi``, ``bdi-ii`` and ``phq-9`` bring their range and bands.
    low, high : float
        Range of the score, in points; equal: the known scale's, else the table's own.
    bands : tuple of str
        Such as ``("low 0-9", "high 10-27")``; empty: the known scale's, else thirds of the cohort.

    Raises
    ------
    core.CohortError
        If the table lacks a column or nothing usable remains.
    """
    videos = core.files_below(source.root, core.VIDEO_SUFFIXES)
    path, column = _table(source.root, table, videos), score.strip().casefold()
    rows = core.read_table(path, ("participant", "path"))
    core.need(rows, [column], path, "Name the column of the score with cohort.score.")
    slashed = rows["path"].str.replace("\\", "/", regex=False).str.removeprefix("./")
    if "recording" not in rows:
        rows["recording"] = [Path(path).stem for path in slashed]
    # A Mac writes the accents of file names otherwise than a table does.
    on_disk = {unicodedata.normalize("NFC", video): video for video in videos}
    rows["path"] = [on_disk.get(path, path) for path in slashed]
    unlisted = sorted(set(videos) - set(rows["path"]))
    remedy = "Add a row with its participant and score."
    source.left_out("the video is not listed in the table", remedy, *unlisted)
    rows["score"] = rows[column]
    scale = _scale(score, core.numbers(rows["score"]).dropna(), low, high, source)
    if bands:
        scores = core.numbers(rows["score"])
        scale = replace(scale, bands=_bands(bands, scores[scores.between(scale.low, scale.high)]))
    rows = _alike(rows, source)
    _two_places(rows, source)
    people = rows.filter(["participant", "age", "sex", "group"])
    if "age" in people:
        people = people.assign(age=core.numbers(people["age"]))
    kept = ["participant", "recording", "path", "score", "task", "split"]
    return rows.filter(kept), scale, people


def _table(root: Path, table: str, videos: list[str]) -> Path:
    if table:
        found = core.inside(root, table)
        if found is None or not os.path.isfile(found):
            raise core.CohortError(f"{root} has no table {table!r}; correct cohort.table.")
        return found
    # OpenFace writes a table beside each video, under the video's name.
    stems = {Path(path).stem for path in videos}
    files = sorted(p for p in root.iterdir() if p.suffix.casefold() == ".csv" and p.is_file())
    tables = [path for path in files if path.stem not in stems]
    if len(tables) != 1:
        names = ", ".join(p.name for p in tables) or "none (save a spreadsheet as CSV)"
        raise core.CohortError(
            f"{root} must hold one CSV with participant, path and score; it has: {names}. "
            "Name the right one with cohort.table."
        )
    return tables[0]


def _alike(rows: pd.DataFrame, source: core.Source) -> pd.DataFrame:
    """Take names that differ in case only as one person's: two folds must not share somebody."""
    first = rows.groupby(rows["participant"].str.casefold())["participant"].transform("first")
    pairs = dict.fromkeys(zip(rows["participant"], first))
    why, remedy = "its name differs from another in case only; treated as one participant", RENAME
    source.kept(why, remedy, *(f"{other} ({name})" for other, name in pairs if other != name))
    return rows.assign(participant=first)


def _two_places(rows: pd.DataFrame, source: core.Source) -> None:
    """Note participants whose videos lie in more than one folder: one person all the same."""
    places = rows["path"].map(lambda path: str(Path(str(path)).parent))
    folders = places.groupby(rows["participant"]).unique().map(sorted)
    folders = folders[folders.map(len) > 1]
    named = (f"{participant} ({', '.join(some[:4])})" for participant, some in folders.items())
    source.kept("videos lie in several folders; treated as one participant", RENAME, *named)


def _scale(
    score: str, values: pd.Series, low: float, high: float, source: core.Source
) -> core.ScoreScale:
    known = core.KNOWN_SCALES.get(re.sub(BESIDE, "", score.casefold()))
    if low < high:
        return replace(known or core.ScoreScale(score, low, high), low=low, high=high)
    if known:
        return known
    if values.nunique() < 2:
        raise core.CohortError(f"the column {score!r} holds no two different numbers.")
    scale = core.ScoreScale(score, float(values.min()), float(values.max()))
    why = f"the score's range was not stated; {scale.low:g} to {scale.high:g} is the table's"
    source.kept(why, "State cohort.score_low and cohort.score_high.", score)
    return scale


def _bands(texts: Sequence[str], scores: pd.Series) -> tuple[core.Band, ...]:
    """Bands from low to high, in whatever order they are named, that hold all scores."""
    bands = sorted((_band(text) for text in texts), key=lambda band: band.low)
    for one, other in pairwise(bands):
        if other.low < one.high or other.low == one.low:
            raise core.CohortError(f"cohort.bands {one.name!r} and {other.name!r} overlap.")
    if len({band.name for band in bands}) < len(bands):
        raise core.CohortError("cohort.bands name one band twice.")
    low, high = bands[0].low, bands[-1].high
    if outside := int((~scores.between(low, high)).sum()):
        raise core.CohortError(f"cohort.bands reach from {low:g} to {high:g}, and {outside} scores "
                               "lie outside; add a band for these.")  # fmt: skip
    return tuple(bands)


def _band(text: str) -> core.Band:
    found = re.fullmatch(r"\s*(.+?)\s+(\d+(?:\.\d+)?)\s*(?:-|–|to)\s*(\d+(?:\.\d+)?)\s*", text)
    if not found or core.SAFE_NAME.fullmatch(found[1]) is None:
        raise core.CohortError(f"band {text!r} must read like 'mild 14-19'.")
    low, high = float(found[2]), float(found[3])
    if low > high:
        raise core.CohortError(f"band {text!r} ends before it begins.")
    return core.Band(found[1], low, high)
