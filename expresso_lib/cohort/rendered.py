"""Reader of rendered participants, as `expresso data render` writes them."""

from pathlib import Path

import pandas as pd

from expresso_lib.cohort import core


def read(folder: Path, *, faces_may_be_shown: bool = True) -> core.Cohort:
    """Read ``participants.csv``, ``recordings.csv`` and the videos beside them.

    Parameters
    ----------
    folder : Path
        As `rendered.write_cohort` left it.
    faces_may_be_shown : bool
        False treats the rendered faces as if a licence forbade showing them (for teaching and
        for tests).

    Raises
    ------
    core.CohortError
        If it is no folder of rendered participants.
    """
    root = core.existing_folder(folder, "the rendered cohort")
    # Real videos must never pass for rendered ones, whose faces may be shown.
    for name in ("participants.csv", "recordings.csv", "planted.csv"):
        if not (root / name).is_file():
            raise core.CohortError(f"{root} has no {name}; it holds no rendered cohort.")
    people = pd.read_csv(root / "participants.csv", dtype={"participant": str})
    rows = pd.read_csv(root / "recordings.csv", dtype={"participant": str, "recording": str})
    core.need(people, ("participant", "score"), root / "participants.csv")
    core.need(rows, ("participant", "recording"), root / "recordings.csv")
    rows["path"] = rows["recording"] + ".mp4"
    rows = rows.drop(columns=["score", "band"], errors="ignore").merge(
        people[["participant", "score"]], on="participant", how="left"
    )
    source = core.Source("demo cohort", root, faces_may_be_shown)
    for recording in rows["recording"]:
        if not (root / f"{recording}.npz").is_file():
            source.kept(recording, "its truth (.npz) is not there", "Render the cohort again.")
    return core.assemble(source, rows, core.BDI_II, people=people, demo=True)
