"""Reader of RAVDESS: acted emotional speech; emotion and intensity stand in the file's name."""

import re
from pathlib import Path

import pandas as pd

from expresso_lib import manifest
from expresso_lib.cohort import core

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
# modality, vocal channel, emotion, intensity, statement, repetition, actor
NAME = re.compile(r"(0[12])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)")
SUFFIXES = (".mp4", ".mkv", ".mov", ".avi")
BANDS = (core.Band("not shown", 0, 0), core.Band("normal", 1, 1), core.Band("strong", 2, 2))


def read(folder: Path, *, emotion: str = "", tables: str = "",
         faces_may_be_shown: bool = False) -> core.Cohort:  # fmt: skip
    """Read the speech videos below `folder`.

    The score is the acted intensity: 0 neutral, 1 normal, 2 strong. Every actor plays every
    condition, so that it varies within participants and hardly between them.

    Parameters
    ----------
    folder : Path
        With ``Actor_01`` … (two are enough to try).
    emotion : str
        With one of the eight emotions the score is the intensity of that one, 0 for the others.
    tables : str
        Folder of the OpenFace tables (the companion record); empty: where the manifest puts them.
    faces_may_be_shown : bool
        As the manifest says.
    """
    root = core.existing_folder(folder, "RAVDESS")
    if emotion and emotion not in EMOTIONS[1:]:
        raise core.CohortError(
            f"emotion {emotion!r} is unknown; choose one of {', '.join(EMOTIONS[1:])} or none."
        )
    source = core.Source("RAVDESS", root, faces_may_be_shown)
    rows = _videos(source)
    level = rows["acted_level"].where(rows["acted_emotion"] != "neutral", 0)
    rows["score"] = level if not emotion else level.where(rows["acted_emotion"] == emotion, 0)
    rows["au_table"] = _tables(source, rows["recording"], tables)
    people = rows[["participant"]].drop_duplicates()
    people["sex"] = ["male" if int(p) % 2 else "female" for p in people["participant"]]
    scale = core.ScoreScale(f"acted intensity ({emotion})" if emotion else "acted intensity", 0, 2,
                            bands=BANDS, unit="steps")  # fmt: skip
    return core.assemble(source, rows, scale, people=people)


def _videos(source: core.Source) -> pd.DataFrame:
    rows = []
    why = ("its name is not that of a RAVDESS video", "Restore its name (MM-VC-EM-IN-ST-RE-AC).")
    for path, name in source.videos(SUFFIXES, NAME, *why):
        if name[2] == "02":
            source.left_out(path, "it is sung, not spoken", "Nothing to do.")
        else:
            rows.append({
                "participant": name[7], "recording": name[0], "path": path,
                "task": f"statement {int(name[5])}", "modality": name[1],
                "acted_emotion": EMOTIONS[int(name[3]) - 1], "acted_level": int(name[4]),
            })  # fmt: skip
    if not rows:
        text = f"{source.root} holds no spoken video named like 02-01-06-01-02-01-12.mp4."
        raise core.CohortError(text)
    table = pd.DataFrame(rows)
    # The same performance is published with sound (01) and without (02): one is enough.
    table["performance"] = table["recording"].str.slice(3)
    table = table.sort_values(["performance", "modality"], ascending=[True, False])
    twins = table["performance"].duplicated()
    if twins.any():
        source.kept("RAVDESS", f"{twins.sum()} performances are there with and without sound",
                      "The files without sound are used.")  # fmt: skip
    return table[~twins].drop(columns=["performance", "modality"]).reset_index(drop=True)


def _tables(source: core.Source, recordings: pd.Series, tables: str) -> pd.Series:
    """Match tables by performance: the companion record names its files by the 01 modality."""
    place = Path(tables) if tables else manifest.locate("ravdess_openface")
    bases = (source.root, place)
    files = [base / path for base in bases for path in core.files_below(base, (".csv",))]
    found = {path.stem[3:]: str(path) for path in files if NAME.fullmatch(path.stem)}
    matched = recordings.str.slice(3).map(found).fillna("")
    if (matched == "").any():
        source.kept("OpenFace tables", f"missing for {(matched == '').sum()} recordings",
                      "Run `expresso data fetch ravdess_openface`.")  # fmt: skip
    return matched
