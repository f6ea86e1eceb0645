"""Reader of AVEC 2014 in every layout that public loaders know."""

import re
from pathlib import Path

from expresso_lib.cohort import core

VIDEO = re.compile(r"(?i)(?P<participant>\d+)_(?P<session>\d+)_(?P<task>Freeform|Northwind)_video")
LABEL = re.compile(r"(\d+_\d+)_Depression", re.I)
SPLIT = r"(?:^|/)(training|development|testing)/"
EXPECTED = 300  # 150 recordings of two tasks


def read(source: core.Source) -> core.Read:
    """Read videos and labels wherever they lie: in the corpus' own folders, or flattened.

    One label serves both tasks of a session. Participants recur across sessions and official
    splits, so that the splits are kept as a column and never used to separate participants.

    Raises
    ------
    core.CohortError
        If no video has the name that the corpus gives.
    """
    form = "{participant}_{session}_{task}_video"
    table = source.videos(VIDEO, form, "203_1_Freeform_video.mp4")
    session, labels = table["participant"] + "_" + table["session"], _labels(source)
    table["task"] = table["task"].str.capitalize()
    table["recording"] = session + "_" + table["task"]
    table["score"] = session.map(labels).fillna("")
    table["session"] = table["session"].astype(int)
    split = table["path"].str.casefold().str.extract(SPLIT, expand=False)
    table["split"] = split.replace("testing", "test").fillna("")
    unseen = sorted(set(labels) - set(session))
    source.kept("a label without a video", "Copy its videos too.", *unseen)
    # Of several copies of a recording the one counts whose folder names its split.
    table = table.sort_values(["recording", "split", "path"], ascending=[True, False, True])
    again = table["recording"].duplicated()
    table = source.without(table, again, "a second copy of a recording", "One is enough.", "path")
    if len(table) != EXPECTED:
        source.kept(f"{len(table)} videos instead of {EXPECTED}", "A part will do.", source.name)
    shared = table[table["split"] != ""].groupby("participant")["split"].nunique()
    remedy = "Our folds keep all recordings of a participant together."
    source.kept("stands in more than one official split", remedy, *shared.index[shared > 1])
    return table, core.BDI_II, None


def _labels(source: core.Source) -> dict[str, str]:
    """Return each session's bare number; two files that disagree give none."""
    found: dict[str, set[str]] = {}
    for path in core.files_below(source.root, (".csv",)):
        if match := LABEL.fullmatch(Path(path).stem):
            text = (source.root / path).read_bytes()[:64].decode("utf-8-sig", errors="replace")
            found.setdefault(match[1], set()).add(text.strip())
    unclear = [key for key, texts in found.items() if len(texts) > 1]
    source.left_out("two label files of this session disagree", "Keep the final one.", *unclear)
    return {key: texts.pop() for key, texts in found.items() if len(texts) == 1}
