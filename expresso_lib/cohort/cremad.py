"""Reader of CREMA-D: acted emotions, with the intensity that raters saw in the face alone."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from expresso_lib.cohort import core

EMOTIONS = {"ANG": "A", "DIS": "D", "FEA": "F", "HAP": "H", "SAD": "S", "NEU": "N"}
CLIP = re.compile(
    r"(\d{4})_(IEO|TIE|IOM|IWW|TAI|MTI|IWL|ITH|DFA|ITS|TSI|WSI)_(ANG|DIS|FEA|HAP|SAD|NEU)"
    r"_(LO|MD|HI|XX?)"
)
# Known from public loaders: no or broken picture or sound.
KNOWN_BAD = ("1076_MTI_NEU_XX", "1076_MTI_SAD_XX", "1064_TIE_SAD_XX", "1064_IEO_DIS_MD")
SUFFIXES = (".flv", ".mp4", ".mkv", ".avi")
POINTER = b"version https://git-lfs"


def read(folder: Path, *, emotion: str = "", tables: str = "",
         faces_may_be_shown: bool = False) -> core.Cohort:  # fmt: skip
    """Read videos, the raters' summary and the demographics below `folder`.

    The score is a clip's intensity (0 to 100) as rated from the face alone (`FaceLevel`), for the
    emotion that most raters named (`FaceVote`). In a tie it is the mean over the tied emotions.
    The level of a *neutral* vote says how neutral, not how intense: such clips are left out, and
    a tie with neutral counts its other emotions only.

    Parameters
    ----------
    folder : Path
        As `manifest.fetch("cremad")` or a clone of the repository leaves it.
    emotion : {"", "ANG", "DIS", "FEA", "HAP", "SAD"}
        With an emotion the score is the intensity of that one: its level where raters named it,
        0 where they named another or neutral.
    tables : str
        Folder with OpenFace tables named like the videos; empty: below `folder`.
    faces_may_be_shown : bool
        As the manifest says.
    """
    root = core.existing_folder(folder, "CREMA-D")
    if emotion and emotion not in list(EMOTIONS)[:5]:
        raise core.CohortError(f"emotion {emotion!r} is unknown; ANG, DIS, FEA, HAP, SAD or empty.")
    source = core.Source("CREMA-D", root, faces_may_be_shown)
    rows = _clips(source)
    summary = _summary(root)
    rows["score"], reasons = _scores(rows["recording"], summary, emotion)
    for recording, reason in reasons.items():
        source.left_out(recording, reason, "Nothing to do.")
    rows = rows[~rows["recording"].isin(list(reasons))]
    absent = len(set(summary.index) - set(rows["recording"]) - set(reasons))
    if absent:
        source.kept("CREMA-D", f"{absent} rated clips are not here (a part of the data)",
                      "A part is enough to try.")  # fmt: skip
    rows["au_table"] = core.tables_for(rows["path"], root, tables)
    name = f"perceived intensity ({emotion})" if emotion else "perceived intensity"
    scale = core.ScoreScale(name, 0, 100)
    return core.assemble(source, rows, scale, people=_people(source))


def _clips(source: core.Source) -> pd.DataFrame:
    rows = []
    why = ("its name is not actor_sentence_emotion_level", "Restore its name.")
    for path, name in source.videos(SUFFIXES, CLIP, *why):
        with open(source.root / path, "rb") as stream:
            pointer = stream.read(len(POINTER)) == POINTER
        if name[0] in KNOWN_BAD:
            source.left_out(path, "known to be damaged in the published data", "Nothing to do.")
        elif pointer:
            remedy = "Run `expresso data fetch cremad`."
            source.left_out(path, "a Git-LFS pointer, not the video", remedy)
        else:
            rows.append((name[1], name[0], name[2], path, name[3], name[4]))
    if not rows:
        text = f"{source.root} holds no video named like 1001_DFA_ANG_XX.flv.\n{source.text()}"
        raise core.CohortError(text)
    names = ["participant", "recording", "task", "path", "acted_emotion", "acted_level"]
    return pd.DataFrame(rows, columns=names).drop_duplicates("recording")


def _find(root: Path, name: str) -> Path | None:
    found = [root / p for p in core.files_below(root, (".csv",)) if Path(p).name == name]
    return found[0] if found else None


def _summary(root: Path) -> pd.DataFrame:
    path = _find(root, "summaryTable.csv")
    if path is None:
        raise core.CohortError(f"{root} has no processedResults/summaryTable.csv; it holds the "
                               "raters' votes: run `expresso data fetch cremad`.")  # fmt: skip
    table = core.read_table(path)
    core.need(table, ("filename", "facevote", "facelevel"), path)
    return table.drop_duplicates("filename").set_index("filename")


def _scores(recordings: pd.Series, summary: pd.DataFrame, emotion: str
            ) -> tuple[list[float], dict[str, str]]:  # fmt: skip
    """Return each clip's intensity, and why a clip has none."""
    scores, reasons = [], {}
    known = summary.reindex(recordings)[["facevote", "facelevel"]]
    for recording, votes, levels in known.fillna("").itertuples():
        levels = core.numbers(pd.Series(levels.split(":"))).tolist()
        scores.append(_score(votes.split(":"), levels, emotion))
        if recording not in summary.index:
            reasons[recording] = "raters' votes are missing"
        elif np.isnan(scores[-1]) and votes == "N":
            reasons[recording] = "seen as neutral, so it has no intensity of an emotion"
        elif np.isnan(scores[-1]):
            reasons[recording] = "raters' votes and levels do not fit together"
    return scores, reasons


def _score(votes: list[str], levels: list[float], emotion: str) -> float:
    """Return the intensity of a clip.

    >>> _score(["A", "N"], [40.0, 90.0], ""), _score(["A", "D"], [40.0, 60.0], "")
    (40.0, 50.0)
    >>> _score(["A", "D"], [40.0, 60.0], "DIS"), _score(["N"], [92.0], "SAD")
    (60.0, 0.0)
    """
    if len(votes) != len(levels) or not set(votes) <= set(EMOTIONS.values()):
        return float("nan")
    seen = dict(zip(votes, levels))
    if emotion:
        return seen.get(EMOTIONS[emotion], 0.0)
    real = [level for vote, level in seen.items() if vote != "N"]
    return float(np.mean(real)) if real else float("nan")


def _people(source: core.Source) -> pd.DataFrame | None:
    path = _find(source.root, "VideoDemographics.csv")
    if path is None:
        source.kept("VideoDemographics.csv", "is not there: age and sex are unknown",
                      "Run `expresso data fetch cremad`.")  # fmt: skip
        return None
    table = core.read_table(path).rename(columns={"actorid": "participant"})
    core.need(table, ("participant", "age", "sex"), path)
    table["age"] = core.numbers(table["age"])
    table["sex"] = table["sex"].str.casefold()
    return table
