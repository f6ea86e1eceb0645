"""Reader of CREMA-D: acted emotions, with the intensity that raters saw in the face alone."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from expresso_lib import _checks
from expresso_lib.cohort import core

EMOTIONS = {"ANG": "A", "DIS": "D", "FEA": "F", "HAP": "H", "SAD": "S", "NEU": "N"}
CLIP = re.compile(
    r"(?P<participant>\d{4})_(?P<task>IEO|TIE|IOM|IWW|TAI|MTI|IWL|ITH|DFA|ITS|TSI|WSI)"
    r"_(?P<acted_emotion>ANG|DIS|FEA|HAP|SAD|NEU)_(?P<acted_level>LO|MD|HI|XX?)"
)
# Known from public loaders: no or broken picture or sound.
KNOWN_BAD = ("1076_MTI_NEU_XX", "1076_MTI_SAD_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD")
POINTER = b"version https://git-lfs"
FETCH = "Run `expresso data fetch cremad`."


def read(source: core.Source, *, emotion: str = "") -> core.Read:
    """Read videos, the raters' summary and the demographics.

    The score is a clip's intensity (0 to 100) as rated from the face alone (`FaceLevel`), for the
    emotion that most raters named (`FaceVote`). In a tie it is the mean over the tied emotions.
    The level of a *neutral* vote says how neutral, not how intense: such clips are left out, and
    a tie with neutral counts its other emotions only.

    Parameters
    ----------
    source : core.Source
        As `manifest.fetch("cremad")` or a clone of the repository leaves it.
    emotion : {"", "ANG", "DIS", "FEA", "HAP", "SAD"}
        With an emotion the score is the intensity of that one: its level where raters named it,
        0 where they named another or neutral.
    """
    _checks.one_of(emotion, ["", *EMOTIONS][:-1], "emotion")  # but for neutral
    rows = source.videos(CLIP, "actor_sentence_emotion_level", "1001_DFA_ANG_XX.flv")
    pointer = [_is_pointer(source.root / path) for path in rows["path"]]
    rows = source.without(rows, pointer, "a Git-LFS pointer, not the video", FETCH, "path")
    why, nothing = "known to be damaged in the published data", "Nothing to do."
    rows = source.without(rows, rows["recording"].isin(KNOWN_BAD), why, nothing, "path")
    path = min(source.root.rglob("summaryTable.csv"), default=None)
    if path is None:
        raise core.CohortError(f"{source.root} has no summaryTable.csv of raters' votes. {FETCH}")
    rated = core.read_table(path, ("filename", "facevote", "facelevel"))
    rated = rated.drop_duplicates("filename").rename(columns={"filename": "recording"})
    if absent := (~rated["recording"].isin(rows["recording"])).sum():
        source.kept(f"{absent} rated clips are not here", "A part is enough to try.", source.name)
    votes = rated[["recording", "facevote", "facelevel"]]
    rows = rows.drop_duplicates("recording").merge(votes, on="recording", how="left")
    rows = source.without(rows, rows["facevote"].isna(), "raters' votes are missing", nothing)
    rows["score"] = [_score(*pair, emotion) for pair in zip(rows["facevote"], rows["facelevel"])]
    unclear, neutral = rows["score"].isna(), rows["facevote"] == "N"
    why = "seen as neutral, so it has no intensity of an emotion"
    rows = source.without(rows, unclear & neutral, why, nothing)
    why = "raters' votes and levels do not fit together"
    rows = source.without(rows, rows["score"].isna(), why, nothing)
    name = f"perceived intensity ({emotion})" if emotion else "perceived intensity"
    scale = core.ScoreScale(name, 0, 100)
    return rows.drop(columns=["facevote", "facelevel"]), scale, _people(source)


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(POINTER)) == POINTER


def _score(vote: str, level: str, emotion: str) -> float:
    """Return the intensity of a clip, NaN where it has none.

    >>> _score("A:N", "40:90", ""), _score("A:D", "40:60", "")
    (40.0, 50.0)
    >>> _score("A:D", "40:60", "DIS"), _score("N", "92", "SAD")
    (60.0, 0.0)
    """
    votes, levels = vote.split(":"), core.numbers(pd.Series(level.split(":"))).tolist()
    if len(votes) != len(levels) or not set(votes) <= set(EMOTIONS.values()):
        return float("nan")
    seen = dict(zip(votes, levels))
    if emotion:
        return float(seen.get(EMOTIONS[emotion], 0.0))
    real = [level for vote, level in seen.items() if vote != "N"]
    return float(np.mean(real)) if real else float("nan")


def _people(source: core.Source) -> pd.DataFrame | None:
    path = min(source.root.rglob("VideoDemographics.csv"), default=None)
    if path is None:
        source.kept("is not there: age and sex are unknown", FETCH, "VideoDemographics.csv")
        return None
    table = core.read_table(path, ("actorid", "age", "sex"))
    table = table.rename(columns={"actorid": "participant"})
    return table.assign(age=core.numbers(table["age"]), sex=table["sex"].str.casefold())
