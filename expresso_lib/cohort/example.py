"""A small, untidy folder, as people have them: for appendix E and for the tests."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from expresso_lib import store
from expresso_lib.cohort import core
from expresso_lib.faces import anatomy, tables
from expresso_lib.faces import truth as truths

# Frames at which OpenFace would have lost the face: its rows say success 0, as in real tables.
LOST = slice(20, 23)


def write_folder(folder: str | Path, recordings: pd.DataFrame) -> Path:
    """Copy rendered videos into a folder with the faults that real folders have.

    One video is cut short, one score is missing, one participant lies in two folders, one video
    is in no row; the table has semicolons, decimal commas and a byte-order mark. Beside every
    video lies a table in OpenFace's form.

    Parameters
    ----------
    folder : path
        Where to; made if missing.
    recordings : DataFrame
        participant, recording, path, score of rendered recordings (`Cohort.recordings`) of at
        least four participants with two recordings each.

    Returns
    -------
    Path
        The folder.
    """
    root = Path(folder)
    chosen = recordings.groupby("participant", sort=True).head(2)
    people = chosen["participant"].unique()[:4]
    chosen = chosen[chosen["participant"].isin(people)].reset_index(drop=True)
    if len(chosen) < 8:
        raise core.CohortError("the example needs four participants with two recordings each.")
    places = ["2019/clinic A", "2021/clinic B"] + ["2019/clinic A"] * 2 + ["2021/clinic B"] * 4
    names = [f"{place}/{name}.mp4" for place, name in zip(places, chosen["recording"])]
    for source, target in zip(map(Path, chosen["path"]), (root / name for name in names)):
        store.make_folder(target.parent)
        shutil.copyfile(source, target)
        _openface(source.with_suffix(".npz"), target.with_suffix(".csv"))
    broken = root / names[5]
    broken.write_bytes(broken.read_bytes()[:500])
    score = chosen["score"].astype(float).where(chosen.index != 3)
    table = chosen[["participant", "recording"]].assign(path=names, score=score).drop(index=7)
    heads = ["Participant", "Recording", "Path", "BDI-II"]
    table.to_csv(root / "scores.csv", sep=";", decimal=",", float_format="%.1f", index=False,
                 header=heads, encoding="utf-8-sig", lineterminator="\r\n")  # fmt: skip
    return root


def _openface(truth: Path, path: Path) -> None:
    """Write a recording's truth as OpenFace would write its estimate."""
    known = truths.read(truth)
    points, units = known.landmarks.round(1), known.au.round(2)
    frames, found = np.arange(len(points)), np.ones(len(points), int)
    found[LOST] = 0
    columns = {"frame": frames + 1, "face_id": 0, "timestamp": (frames / known.fps).round(3),
               "confidence": np.where(found, 0.98, 0.1), "success": found}  # fmt: skip
    columns |= dict(zip(tables.X_COLUMNS, points[..., 0].T))
    columns |= dict(zip(tables.Y_COLUMNS, points[..., 1].T))
    columns |= {f"{code}_r": values * found for code, values in zip(anatomy.AU_CODES, units.T)}
    text = pd.DataFrame(columns).to_csv(index=False)
    store.write_text(path, text.replace(",", ", "))
