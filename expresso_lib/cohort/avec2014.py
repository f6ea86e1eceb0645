"""Reader of AVEC 2014 in every layout that public loaders know."""

import re
from pathlib import Path

import pandas as pd

from expresso_lib.cohort import core

# {participant}_{session}_{task}_video.mp4 and {participant}_{session}_Depression.csv
VIDEO = re.compile(r"(\d+)_(\d+)_(Freeform|Northwind)_video", re.I)
LABEL = re.compile(r"(\d+)_(\d+)_Depression", re.I)
SPLITS = {"training": "training", "development": "development", "testing": "test"}
SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".wmv")
EXPECTED = 300  # 150 recordings of two tasks


def read(folder: Path, *, tables: str = "", faces_may_be_shown: bool = False) -> core.Cohort:
    """Read videos and labels wherever they lie below `folder`.

    One label serves both tasks of a session. Participants recur across sessions and official
    splits, so that the splits are kept as a column and never used to separate participants.

    Parameters
    ----------
    folder : Path
        With ``AVEC2014_AudioVisual/`` and ``Final_Labels/``, or flattened.
    tables : str
        Folder with OpenFace tables named like the videos; empty: below `folder`.
    faces_may_be_shown : bool
        As the manifest says.

    Raises
    ------
    core.CohortError
        If no video has a label.
    """
    root = core.existing_folder(folder, "AVEC 2014")
    source = core.Source("AVEC 2014", root, faces_may_be_shown)
    labels = _labels(source)
    rows = []
    why = "its name is not {participant}_{session}_{task}_video"
    remedy = "Restore the name the corpus gave it."
    for path, name in source.videos(SUFFIXES, VIDEO, why, remedy):
        participant, session, task = name[1], name[2], name[3].capitalize()
        split = (SPLITS[part] for part in Path(path.casefold()).parts if part in SPLITS)
        rows.append({
            "participant": participant, "recording": f"{participant}_{session}_{task}",
            "task": task, "session": int(session), "path": path, "split": next(split, ""),
            "score": labels.get((participant, session), ""),
        })  # fmt: skip
    if not rows:
        raise core.CohortError(f"{root} holds no video named like 203_1_Freeform_video.mp4.")
    table = _copies(pd.DataFrame(rows), source)
    _incomplete(table, labels, source)
    table["au_table"] = core.tables_for(table["path"], root, tables)
    return core.assemble(source, table, core.BDI_II)


def _labels(source: core.Source) -> dict[tuple[str, str], str]:
    """Return each session's bare number; two files that disagree give none."""
    found: dict[tuple[str, str], str] = {}
    clash = set()
    for path in core.files_below(source.root, (".csv",)):
        match = LABEL.fullmatch(Path(path).stem)
        if match is None:
            continue
        text = (source.root / path).read_bytes()[:64].decode("utf-8-sig", errors="replace").strip()
        key = (match[1], match[2])
        if found.setdefault(key, text) != text:
            clash.add(key)
            source.left_out("_".join(key), "two label files of this session disagree",
                              "Keep the one from the organisers' final release.")  # fmt: skip
    return {key: text for key, text in found.items() if key not in clash}


def _copies(table: pd.DataFrame, source: core.Source) -> pd.DataFrame:
    """Keep one of several copies of a recording, the one whose folder names its split."""
    table = table.sort_values(["recording", "split", "path"], ascending=[True, False, True])
    copies = table["recording"].duplicated()
    for path in table.loc[copies, "path"]:
        source.left_out(path, "a second copy of a recording", "One copy is enough.")
    return table[~copies].reset_index(drop=True)


def _incomplete(table: pd.DataFrame, labels: dict[tuple[str, str], str],
                source: core.Source) -> None:  # fmt: skip
    sessions = set(zip(table["participant"], table["session"].astype(str)))
    for key in sorted(set(labels) - sessions):
        source.kept("_".join(key), "a label without a video", "Copy its videos too.")
    alone = ~table.duplicated(["participant", "session"], keep=False)
    for row in table[alone].sort_values(["participant", "session"]).itertuples():
        why = f"only the task {row.task} is there"
        source.kept(row.recording, why, "Copy the other task's video.")
    if len(table) != EXPECTED:
        source.kept("AVEC 2014", f"{len(table)} videos instead of {EXPECTED}",
                      "A part is enough to try; results are those of the part.")  # fmt: skip
    shared = table[table["split"] != ""].groupby("participant")["split"].nunique()
    for participant in shared.index[shared > 1]:
        source.kept(participant, "stands in more than one official split",
                      "Our folds keep all recordings of a participant together.")  # fmt: skip
