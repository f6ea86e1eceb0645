"""Reader of rendered participants, as `expresso data render` writes them."""

import pandas as pd

from expresso_lib.cohort import core


def read(source: core.Source) -> core.Read:
    """Read ``participants.csv``, ``recordings.csv`` and the videos beside them.

    Raises
    ------
    core.CohortError
        If it is no folder of rendered participants.
    """
    root = source.root
    # Real videos must never pass for rendered ones, whose faces may be shown.
    for name in ("participants.csv", "recordings.csv", "planted.csv"):
        if not (root / name).is_file():
            raise core.CohortError(f"{root} has no {name}; it holds no rendered cohort.")
    people = pd.read_csv(root / "participants.csv", dtype={"participant": str})
    rows = pd.read_csv(root / "recordings.csv", dtype={"participant": str, "recording": str})
    core.need(people, ("participant", "score"), root / "participants.csv")
    core.need(rows, ("participant", "recording"), root / "recordings.csv")
    rows["path"] = rows["recording"] + ".mp4"
    scores = people.drop_duplicates("participant").set_index("participant")["score"]
    rows["score"] = rows["participant"].map(scores)
    lacking = [name for name in rows["recording"] if not (root / f"{name}.npz").is_file()]
    source.kept("its truth (.npz) is not there", "Render the cohort again.", *lacking)
    return rows, core.BDI_II, people
