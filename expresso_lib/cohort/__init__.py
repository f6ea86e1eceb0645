"""Who is analysed: participants, recordings, scores and bands, whatever the data set.

`read` takes a data set's name and folder to a `Cohort`: two tables, the score's `ScoreScale`,
whether faces may be shown, and a complete list of what is missing or odd (`Cohort.problems`), made
before hours of work start. One reader a module, all ending in `core.assemble`, where every row is
checked. Nothing outside this package assumes a BDI-II: words, range and bands come from the scale.
"""

from pathlib import Path
from typing import Any

from expresso_lib import _checks, config, manifest
from expresso_lib.cohort import avec2014, cremad, folder, grid, ravdess, rendered
from expresso_lib.cohort.core import BDI_II, Cohort, CohortError, ScoreScale

READERS = {
    "rendered": rendered.read,
    "avec2014": avec2014.read,
    "cremad": cremad.read,
    "ravdess": ravdess.read,
    "grid": grid.read,
    "folder": folder.read,
}
ENTRIES = {"rendered": "demo_cohort"}


def read(source: str, folder: str | Path = "", **options: Any) -> Cohort:
    """Read a data set.

    Parameters
    ----------
    source : {"rendered", "avec2014", "cremad", "ravdess", "grid", "folder"}
        Reader; the data manifest says whether its faces may be shown.
    folder : path
        Where the data lie; empty: the place the manifest gives.
    **options
        Of the reader.

    Raises
    ------
    CohortError
        With everything that is wrong, if nothing usable remains.
    """
    _checks.one_of(source, READERS, "data set")
    entry = manifest.entry(ENTRIES.get(source, source))
    if source == "folder" and not str(folder):
        raise CohortError("name your data's folder: cohort.folder in the parameter file.")
    root = manifest.locate(entry.name, folder=folder or None)
    # Only one's own data can be opened by a parameter, with the participants' consent; nothing
    # opens what a licence closes.
    if source not in ("folder", "rendered"):
        options["faces_may_be_shown"] = entry.faces_may_be_shown
    return READERS[source](root, **options)


def from_parameters(section: config.CohortSection) -> Cohort:
    """Read the data set that a run's ``cohort`` parameters name."""
    options: dict[str, Any] = {}
    if section.source == "folder":
        options = {"table": section.table, "score": section.score, "bands": section.bands}
        options |= {"low": section.score_low, "high": section.score_high}
        options["faces_may_be_shown"] = section.show_faces
    if section.source in ("cremad", "ravdess"):
        options["emotion"] = section.emotion
    if section.source != "rendered":
        options["tables"] = section.tables
    return read(section.source, section.folder, **options)
