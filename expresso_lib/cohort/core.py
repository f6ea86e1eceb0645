"""What every reader gives: a `Cohort` with its score's scale and a list of all that was odd."""

import itertools
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from pydantic import TypeAdapter
from tqdm import tqdm

from expresso_lib import _checks, store
from expresso_lib.faces import tables, video

log = logging.getLogger(__name__)

# Names become file names, table keys and text on a page, so they hold nothing that any of these
# would read as more than a name.
SAFE_NAME = re.compile(r"\w[\w .+@-]{0,99}")
NUMBER = r"[+-]?\d+([.,]\d+)?"
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".flv", ".wmv")
MAX_TABLE_BYTES = 200 * 2**20
PROBLEM = ["item", "problem", "consequence", "remedy"]


class CohortError(ValueError):
    """A data set that cannot be analysed; the message lists everything that is wrong with it."""


@dataclass(frozen=True)
class Band:
    """A named range of the score, both ends included."""

    name: str
    low: float
    high: float


@dataclass(frozen=True)
class ScoreScale:
    """What the score is: its name, range and bands; the chapters' texts take their words from it.

    Examples
    --------
    >>> BDI_II.band([13, 14, 28, 29]).tolist()
    ['minimal', 'mild', 'moderate', 'severe']
    >>> BDI_II.title
    'BDI-II (points, 0 to 63)'
    """

    name: str
    low: float
    high: float
    bands: tuple[Band, ...] = ()
    unit: str = "points"
    # Thirds of the cohort at hand, not ranges that somebody validated.
    tertiles: bool = False

    @property
    def title(self) -> str:
        """Axis label: name, unit, range."""
        return f"{self.name} ({self.unit}, {self.low:g} to {self.high:g})"

    @property
    def bands_text(self) -> str:
        """The bands in words, saying what they are."""
        ranges = ", ".join(f"{band.name} {band.low:g} to {band.high:g}" for band in self.bands)
        if self.tertiles:
            return f"thirds of this cohort by {self.name}, not clinical bands ({ranges})"
        ranges += PUBLISHED.get(self.bands, "")
        return f"{self.name} bands ({ranges})" if ranges else f"{self.name} without bands"

    def band(self, scores: Any) -> np.ndarray:
        """Return each score's band; between two bands (13.5) the lower one counts.

        Parameters
        ----------
        scores : array_like
            Score points, any length.

        Returns
        -------
        ndarray of object
            Names; None where the score is NaN or outside the scale, or there are no bands.
        """
        values = np.atleast_1d(np.asarray(scores, dtype=float))
        names = np.full(values.shape, None, dtype=object)
        for band in self.bands:
            names[values >= band.low] = band.name
        names[~((values >= self.low) & (values <= self.high))] = None
        return names

    def with_tertiles(self, scores: Any) -> Self:
        """Return the scale with thirds of `scores` for bands, labelled as such."""
        values = np.asarray(scores, dtype=float)
        first, second = np.quantile(values[np.isfinite(values)], [1 / 3, 2 / 3])
        cuts = [self.low, float(first), float(second), self.high]
        if not all(a < b for a, b in itertools.pairwise(cuts)):
            return self  # too few different scores for three bands
        names = ("lower third", "middle third", "upper third")
        bands = tuple(Band(n, low, high) for n, low, high in zip(names, cuts, cuts[1:]))
        return replace(self, bands=bands, tertiles=True)


BDI_II = ScoreScale("BDI-II", 0, 63, bands=(
    Band("minimal", 0, 13), Band("mild", 14, 19), Band("moderate", 20, 28), Band("severe", 29, 63),
))  # fmt: skip
PHQ_9 = ScoreScale("PHQ-9", 0, 27, bands=(
    Band("minimal", 0, 4), Band("mild", 5, 9), Band("moderate", 10, 14),
    Band("moderately severe", 15, 19), Band("severe", 20, 27),
))  # fmt: skip
PUBLISHED = {BDI_II.bands: "; Beck, Steer & Brown, 1996",
             PHQ_9.bands: "; Kroenke, Spitzer & Williams, 2001"}  # fmt: skip
KNOWN_SCALES = {"bdi": BDI_II, "bdiii": BDI_II, "bdi2": BDI_II, "phq9": PHQ_9}


@dataclass
class Source:
    """A data set while it is read: where it lies, and everything missing or odd in it."""

    name: str
    root: Path
    tables: str = ""  # folder of other tools' tables; empty: beside the videos
    faces_may_be_shown: bool = False
    demo: bool = False
    rows: list[tuple[str, str, str, str]] = field(default_factory=list)

    def videos(self, name: re.Pattern[str], form: str, example: str) -> pd.DataFrame:
        """Return path, recording and the groups of `name` of videos called so; note the others."""
        rows = []
        for path in files_below(self.root, VIDEO_SUFFIXES):
            if found := name.fullmatch(Path(path).stem):
                rows.append({"path": path, "recording": found[0]} | found.groupdict())
            else:
                self.left_out(f"its name is not {form}", "Restore its name.", path)
        if not rows:
            raise CohortError(f"{self.root} holds no video named like {example}.\n{self.text()}")
        return pd.DataFrame(rows)

    def without(
        self, rows: pd.DataFrame, bad: Any, problem: str, remedy: str, column: str = "recording"
    ) -> pd.DataFrame:
        """Return the rows that are not `bad`; note the others by their `column`."""
        mask = np.asarray(bad, dtype=bool)
        self.left_out(problem, remedy, *rows.loc[mask, column])
        return rows[~mask].copy()

    def left_out(self, problem: str, remedy: str, *items: str) -> None:
        """Note what keeps something out of the cohort."""
        self._note(items, problem, "left out", remedy)

    def kept(self, problem: str, remedy: str, *items: str) -> None:
        """Note what is odd about something that stays."""
        self._note(items, problem, "kept", remedy)

    def _note(self, items: Iterable[str], problem: str, outcome: str, remedy: str) -> None:
        # Control characters in names are shown, not printed.
        shown = (name if name.isprintable() else repr(name) for name in map(str, items))
        self.rows += [(item, problem, outcome, remedy) for item in shown]

    def table(self) -> pd.DataFrame:
        """Return item, problem, consequence (left out, kept), remedy."""
        return pd.DataFrame(self.rows, columns=PROBLEM)

    def text(self) -> str:
        """Return the problems as a few lines."""
        return report_text(self.table())


@dataclass(frozen=True, eq=False)
class Cohort:
    """Who is analysed.

    Attributes
    ----------
    participants : DataFrame
        One row each: participant, score (mean over the participant's recordings), band, age,
        sex, n_recordings, and what else the data set says.
    recordings : DataFrame
        One row each: participant, recording, task, path, score, band, fps, n_frames,
        and `split` where the data set has an official one.
    scale : ScoreScale
    name : str
    faces_may_be_shown : bool
        False: pictures use the average rendered face (`drawing`).
    demo : bool
        Rendered participants.
    problems : DataFrame
        item, problem, consequence, remedy.
    """

    participants: pd.DataFrame
    recordings: pd.DataFrame
    scale: ScoreScale
    name: str
    faces_may_be_shown: bool
    demo: bool = False
    problems: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=PROBLEM))

    @property
    def public_recordings(self) -> pd.DataFrame:
        """The recordings without their paths, fit for publishing."""
        return self.recordings.drop(columns=["path", "au_table"], errors="ignore")

    @property
    def public_problems(self) -> pd.DataFrame:
        """Kinds of problems and how many of each: names of files may be names of people."""
        kinds = self.problems.groupby(["problem", "consequence", "remedy"], sort=False)
        return kinds.size().rename("entries").reset_index()

    def only(self, recordings: Iterable[str]) -> Self:
        """Return the cohort with these recordings, and the participants that have any of them.

        A participant's score, band and number of recordings are those of what is kept.
        """
        kept = self.recordings[self.recordings["recording"].isin(list(recordings))]
        people = _participants(kept, self.participants)
        people["band"] = self.scale.band(people["score"])
        return replace(self, recordings=kept.reset_index(drop=True), participants=people)

    def save(self, folder: str | Path) -> Path:
        """Write three tables and a JSON; return the folder."""
        root = Path(folder)
        for name in ("participants", "recordings", "problems"):
            with store.atomic(root / f"{name}.parquet") as temporary:
                getattr(self, name).to_parquet(temporary, index=False)
        about = {"name": self.name, "faces_may_be_shown": self.faces_may_be_shown,
                 "demo": self.demo, "scale": asdict(self.scale)}  # fmt: skip
        store.write_text(root / "cohort.json", json.dumps(about, indent=1))
        return root

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote."""
        root = Path(folder)
        path = _checks.existing_file(root / "cohort.json", "cohort (run chapter 1 first)")
        about = json.loads(path.read_text(encoding="utf-8"))
        about["scale"] = TypeAdapter(ScoreScale).validate_python(about["scale"])
        for name in ("participants", "recordings", "problems"):
            about[name] = pd.read_parquet(root / f"{name}.parquet")
        return cls(**about)


# What a reader gives: rows of recordings, the score's scale, and what is known of participants.
Read = tuple[pd.DataFrame, ScoreScale, pd.DataFrame | None]


def report_text(problems: pd.DataFrame) -> str:
    """Return the problems as lines, grouped by kind, each group with up to five items."""
    if problems.empty:
        return "Nothing is missing or odd."
    lines = []
    ordered = problems.sort_values("consequence", ascending=False, kind="stable")
    kinds = ordered.groupby(["consequence", "problem", "remedy"], sort=False)["item"]
    for (consequence, problem, remedy), items in kinds:
        more = f" and {len(items) - 5} more" if len(items) > 5 else ""
        named = ", ".join(items.head(5)) + more
        lines.append(f"- {len(items)} {consequence}: {problem}. {remedy} [{named}]")
    return "\n".join(lines)


def read_table(path: str | Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read a user's CSV as text: any of comma, semicolon, tab; with or without a byte-order mark.

    Parameters
    ----------
    path : path
        The file.
    columns : iterable of str
        What it must have.

    Returns
    -------
    DataFrame of str
        Names stripped and in lower case; cells stripped, accents composed; no empty rows.

    Raises
    ------
    CohortError, TableError
        Where the file is no table of text, too large, or names a column twice.
    """
    size = _checks.existing_file(path, "table").stat().st_size
    if size > MAX_TABLE_BYTES:
        raise CohortError(f"{path} has {size} bytes; this is no table of scores.")
    table = tables.read_csv(path, separators=";\t,", dtype=str, keep_default_na=False)
    table.columns = table.columns.str.casefold()
    if not table.columns.is_unique:
        raise CohortError(f"{path} names a column twice; keep one of each: {list(table)}.")
    need(table, columns, Path(path))
    cells = table.fillna("").apply(lambda column: column.str.normalize("NFC").str.strip())
    return cells[(cells != "").any(axis=1)].reset_index(drop=True)


def numbers(cells: pd.Series) -> pd.Series:
    """Return cells as floats, NaN where a cell is no plain number; a decimal comma is understood.

    >>> numbers(pd.Series(["7", "12,5", "1.234,5", "n/a"])).tolist()
    [7.0, 12.5, nan, nan]
    """
    plain = cells.astype(str).str.strip()
    fits = plain.str.fullmatch(NUMBER)
    return pd.to_numeric(plain.where(fits).str.replace(",", ".", regex=False), errors="coerce")


def inside(root: Path, path: str) -> Path | None:
    """Return `root / path` where that stays inside `root`, links followed; else None."""
    if not path or os.path.isabs(path) or not path.isprintable():
        return None
    try:
        within = Path(os.path.realpath(root / path)).is_relative_to(os.path.realpath(root))
    except ValueError:  # a name that the system's encoding cannot spell
        return None
    return root / path if within else None


def assemble(
    source: Source, rows: pd.DataFrame, scale: ScoreScale, people: pd.DataFrame | None = None
) -> Cohort:
    """Check rows, leave out what cannot be used, and make the cohort.

    Parameters
    ----------
    source : Source
        With what the reader found already; completed here.
    rows : DataFrame
        participant, recording, path (relative to the root), score, and further columns. With
        fps and n_frames the videos are not opened. Without `au_table` (path or ""), tables of
        other tools are looked for.
    scale : ScoreScale
        Where it has no bands, thirds of the participants' scores are used and labelled so.
    people : DataFrame, optional
        participant and what is known of each.

    Raises
    ------
    CohortError
        If nothing usable remains, with the whole list.
    """
    rows, name = rows.copy(), source.name
    if "au_table" not in rows and not source.demo:
        beside = Path(source.tables) if source.tables else source.root
        rows["au_table"] = tables_for(rows["path"], beside)
    rows = _scored(_single(_named(rows, source), source), scale, source)
    rows = _same_content(_playable(rows, source), source)
    if rows.empty:
        raise CohortError(f"{name} in {source.root} has no usable recording:\n{source.text()}")
    participants = _participants(rows, people)
    varies = int((rows.groupby("participant")["score"].nunique() > 1).sum())
    if varies:
        why = f"{varies} of {len(participants)} participants have recordings with different scores"
        source.kept(why, "Nothing: models learn each, statistics over people take the mean.", name)
    if not scale.bands:
        scale = scale.with_tertiles(participants["score"])
    for table in (participants, rows):
        table["band"] = scale.band(table["score"])
    if len(participants) < 5 or rows["score"].nunique() < 2:
        why = "participants, or different scores, are too few for statistics"
        source.kept(why, "Take results as a rehearsal; add participants.", name)
    order = ["participant", "recording", "task", "path", "score", "band", "fps", "n_frames"]
    rows["task"] = rows.get("task", "")
    rows = rows[[*order, *rows.columns.difference(order, sort=False)]].reset_index(drop=True)
    log.info("%s: missing or odd: %d\n%s", name, len(source.rows), source.text())
    return Cohort(participants, rows, scale, name, source.faces_may_be_shown, source.demo,
                  source.table())  # fmt: skip


def _named(rows: pd.DataFrame, source: Source) -> pd.DataFrame:
    for column in ("participant", "recording"):
        rows[column] = rows[column].astype(str)
        why = f"the {column} is not named"
        rows = source.without(rows, rows[column] == "", why, f"Fill the column {column}.", "path")
        bad = [SAFE_NAME.fullmatch(value) is None for value in rows[column]]
        why = f"the {column}'s name has characters that are unsafe in file names and pages"
        rows = source.without(rows, bad, why, "Use letters, digits, space and . _ + @ -", column)
    return rows


def _single(rows: pd.DataFrame, source: Source) -> pd.DataFrame:
    same = rows.duplicated()
    why = "its row stands in the table more than once"
    source.kept(why, "Once is enough.", *rows.loc[same, "recording"])
    rows = rows[~same].copy()
    shared = rows.groupby("recording")["participant"].transform("nunique") > 1
    why = "several participants have a recording of this name; it is called "
    why += "<participant>_<recording> here"
    source.kept(why, "Nothing to do.", *rows.loc[shared, "recording"].unique())
    rows.loc[shared, "recording"] = rows["participant"] + "_" + rows["recording"]
    # Files on Windows and macOS do not tell A from a.
    twice = rows["recording"].str.casefold().duplicated(keep=False)
    why = "rows with different values share a recording's name"
    return source.without(rows, twice, why, "Decide which is right, or rename one.", "path")


def _scored(rows: pd.DataFrame, scale: ScoreScale, source: Source) -> pd.DataFrame:
    values = rows["score"]
    if values.dtype.kind in "fiu":
        blank, rows["score"] = values.isna(), values.astype(float)
    else:
        blank, rows["score"] = values.astype(str).str.strip() == "", numbers(values)
    rows = source.without(rows, blank, "it has no score", "Add its score to the table.")
    why, remedy = "its score is no plain number", "Write it like 12 or 12.5."
    rows = source.without(rows, rows["score"].isna(), why, remedy)
    why, remedy = f"its score is outside {scale.title}", "Correct it, or state the scale's range."
    return source.without(rows, ~rows["score"].between(scale.low, scale.high), why, remedy)


def _playable(rows: pd.DataFrame, source: Source) -> pd.DataFrame:
    paths = rows["path"].map(lambda path: inside(source.root, str(path)))
    why = "its path leaves the data folder (or passes through a link that does)"
    remedy = "Put the video into the folder and name it relative to it."
    rows = source.without(rows, paths.isna(), why, remedy)
    rows["path"] = paths.dropna().astype(str)
    missing = [not os.path.isfile(path) for path in rows["path"]]
    remedy = "Copy it again, or correct its path."
    rows = source.without(rows, missing, "its video is not there", remedy)
    if {"fps", "n_frames"} <= set(rows):
        return rows
    shown = tqdm(rows["path"], "checking videos", disable=len(rows) < 200)
    seen = [_rate_and_frames(path) for path in shown]
    rows["fps"], rows["n_frames"] = np.reshape(seen, (-1, 2)).T
    why = "its video cannot be read (empty, cut short, or no video)"
    return source.without(rows, rows["n_frames"] == 0, why, remedy).astype({"n_frames": int})


def _rate_and_frames(path: str) -> tuple[float, int]:
    try:
        info = video.probe(path)
    except video.VideoError as error:
        log.info("%s", error)
        return np.nan, 0
    return info.fps, info.n_frames


def _same_content(rows: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Leave out recordings whose very file another participant has too: it would leak."""
    sizes = rows["path"].map(os.path.getsize)
    again = rows[sizes.duplicated(keep=False)]
    content = again["path"].map(store.file_hash)
    # One person's first copy may stay; of several people's nobody knows whose it is.
    owners = content.map(again.groupby(content)["participant"].nunique())
    bad = again.index[content.duplicated() | owners.gt(1)]
    why = "another recording holds the very same video"
    remedy = "Find out whose it is; the same video may not count twice."
    return source.without(rows, rows.index.isin(bad), why, remedy)


def _participants(rows: pd.DataFrame, people: pd.DataFrame | None) -> pd.DataFrame:
    table = rows.groupby("participant", as_index=False, sort=True).agg(
        score=("score", "mean"), n_recordings=("recording", "size")
    )
    first = ["participant", "score", "band", "age", "sex", "n_recordings"]
    if people is not None and len(people.columns) > 1:
        # The first that is told of each: another row may leave it open.
        told = people.astype({"participant": str}).mask(people == "")
        known = told.groupby("participant").first()
        table = table.join(known.drop(columns=table.columns, errors="ignore"), on="participant")
    table = table.reindex(columns=[*first, *table.columns.difference(first, sort=False)])
    return table.fillna({"sex": ""})


def band_names(bands: pd.Series) -> pd.Series:
    """Bands as tables and legends name them; a score may lie in none."""
    return bands.astype(object).fillna("no band").astype(str)


def files_below(root: Path, suffixes: Sequence[str]) -> list[str]:
    """Return the relative paths of files below `root`; links to folders are not followed."""
    fit = (path for path in root.rglob("[!.]*") if path.suffix.casefold() in suffixes)
    return sorted(path.relative_to(root).as_posix() for path in fit if path.is_file())


def tables_for(paths: Iterable[str], folder: Path) -> list[str]:
    """Return the table of each video, or "": the same relative path, ending in ``.csv``.

    Tools that put all their tables into one folder drop the videos' folders: there a bare name
    is enough that one video and one table have.
    """
    stems = [os.path.splitext(Path(path).as_posix())[0] for path in paths]
    found = {os.path.splitext(path)[0]: path for path in files_below(folder, (".csv",))}
    videos, others = (Counter(map(os.path.basename, many)) for many in (stems, found))
    named = ((os.path.basename(stem), path) for stem, path in found.items())
    alone = {name: path for name, path in named if videos[name] == others[name] == 1}
    chosen = (found.get(stem) or alone.get(os.path.basename(stem)) for stem in stems)
    return [str(folder / path) if path else "" for path in chosen]


def need(table: pd.DataFrame, columns: Iterable[str], path: Path, note: str = "") -> None:
    """Raise unless `table` has `columns`, with the nearest name it does have."""
    missing = [column for column in columns if column not in table]
    if missing:
        hint = _checks.nearest(missing[0], table.columns)
        names = " and no ".join(map(repr, missing))
        raise CohortError(f"{path.name} has no column {names}{hint}. {note}".strip())
