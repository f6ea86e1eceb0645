"""Reader of RAVDESS: acted emotional speech; emotion and intensity stand in the file's name."""

import re
from pathlib import Path

import pandas as pd

from expresso_lib import _checks, manifest
from expresso_lib.cohort import core

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
NAME = re.compile(
    r"(?P<modality>0[12])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<participant>\d\d)"
)
BANDS = (core.Band("not shown", 0, 0), core.Band("normal", 1, 1), core.Band("strong", 2, 2))


def read(source: core.Source, *, emotion: str = "") -> core.Read:
    """Read the speech videos.

    The score is the acted intensity: 0 neutral, 1 normal, 2 strong. Every actor plays every
    condition, so that it varies within participants and hardly between them.

    Parameters
    ----------
    source : core.Source
        With ``Actor_01`` … (two are enough to try). Tables of OpenFace (the companion record) may
        lie among the videos, in the folder of tables, or where the manifest puts them.
    emotion : str
        With one of the eight emotions the score is the intensity of that one, 0 for the others.
    """
    _checks.one_of(emotion, ("", *EMOTIONS[1:]), "emotion")
    known = source.videos(NAME, "MM-VC-EM-IN-ST-RE-AC", "02-01-06-01-02-01-12.mp4")
    sung = known["channel"] == "02"
    known = source.without(known, sung, "it is sung, not spoken", "Nothing to do.", "path")
    # The same performance is published with sound (01) and without (02): one is enough.
    known["performance"] = known["recording"].str.slice(3)
    known = known.sort_values(["performance", "modality"], ascending=[True, False])
    twins = known["performance"].duplicated()
    if twins.any():
        why = f"{twins.sum()} performances are there with and without sound"
        source.kept(why, "The files without sound are used.", source.name)
    known = known[~twins].reset_index(drop=True)
    shown = pd.Series([EMOTIONS[int(number) - 1] for number in known["emotion"]])
    level = known["intensity"].astype(int)
    rows = known[["participant", "recording", "path"]].assign(
        task="statement " + known["statement"].str[1],
        acted_emotion=shown,
        acted_level=level,
        au_table=_tables(source, known["performance"]),
        score=level.where(shown == emotion if emotion else shown != "neutral", 0),
    )
    odd = rows["participant"].astype(int) % 2 == 1
    people = rows[["participant"]].assign(sex=odd.map({True: "male", False: "female"}))
    name = f"acted intensity ({emotion})" if emotion else "acted intensity"
    return rows, core.ScoreScale(name, 0, 2, bands=BANDS, unit="steps"), people


def _tables(source: core.Source, performances: pd.Series) -> pd.Series:
    """Match tables by performance: the companion record names its files by the 01 modality."""
    place = Path(source.tables) if source.tables else manifest.locate("ravdess_openface")
    files = [base / path for base in (source.root, place)
             for path in core.files_below(base, (".csv",))]  # fmt: skip
    found = {path.stem[3:]: str(path) for path in files if NAME.fullmatch(path.stem)}
    matched = performances.map(found).fillna("")
    if lacking := (matched == "").sum():
        remedy = "Run `expresso data fetch ravdess_openface`."
        source.kept(f"missing for {lacking} recordings", remedy, "OpenFace tables")
    return matched
