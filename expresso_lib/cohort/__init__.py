"""Who is analysed: participants, recordings, scores and bands, whatever the data set.

`read` takes a data set's name and folder to a `Cohort`: two tables, the score's `ScoreScale`,
whether faces may be shown, and a complete list of what is missing or odd (`Cohort.problems`), made
before hours of work start. One reader a module: it takes a `core.Source` to rows, scale and what is
known of people; `core.assemble` checks every row. Nothing outside this package assumes a BDI-II:
words, range and bands come from the scale.
"""

from pathlib import Path
from typing import Any

from expresso_lib import _checks, config, manifest
from expresso_lib.cohort import avec2014, core, cremad, folder, grid, ravdess, rendered
from expresso_lib.cohort.core import BDI_II, Cohort, CohortError, ScoreScale

MODULES = (rendered, avec2014, cremad, ravdess, grid, folder)
READERS = {module.__name__.rpartition(".")[2]: module.read for module in MODULES}
NAMES = {"rendered": "demo cohort", "avec2014": "AVEC 2014", "cremad": "CREMA-D",
         "ravdess": "RAVDESS", "grid": "GRID"}  # fmt: skip


def read(
    source: str,
    folder: str | Path = "",
    *,
    tables: str = "",
    faces_may_be_shown: bool | None = None,
    name: str = "",
    **options: Any,
) -> Cohort:
    """Read a data set.

    Parameters
    ----------
    source : {"rendered", "avec2014", "cremad", "ravdess", "grid", "folder"}
        Reader; the data manifest says whether its faces may be shown.
    folder : path
        Where the data lie; empty: the place the manifest gives.
    tables : str
        Folder of other tools' tables, laid out like the videos; empty: beside them.
    faces_may_be_shown : bool, optional
        Of your own data, only with the participants' consent, or of rendered faces; nothing opens
        what a licence closes.
    name : str
        Of the data set; empty: its own, or your folder's.
    **options
        Of the reader.

    Raises
    ------
    CohortError
        With everything that is wrong, if nothing usable remains.
    TableError
        Where the data set's own table cannot be read.
    """
    _checks.one_of(source, READERS, "data set")
    entry = manifest.entry("demo_cohort" if source == "rendered" else source)
    if source == "folder" and not str(folder):
        raise CohortError("name your data's folder: cohort.folder in the parameter file.")
    root = manifest.locate(entry.name, folder=folder or None)
    name = name or NAMES.get(source, root.resolve().name)
    if not root.is_dir():
        raise CohortError(f"{name}: {str(root)!r} is no folder; name it with cohort.folder.")
    tables = str(Path(tables).expanduser()) if tables else ""
    if tables and not Path(tables).is_dir():
        raise CohortError(f"{name}: {tables!r} is no folder; correct cohort.tables.")
    if faces_may_be_shown is None or source not in ("folder", "rendered"):
        faces_may_be_shown = entry.faces_may_be_shown
    found = core.Source(name, root, tables, faces_may_be_shown, demo=source == "rendered")
    return core.assemble(found, *READERS[source](found, **options))


def from_parameters(section: config.CohortSection) -> Cohort:
    """Read the data set that a run's ``cohort`` parameters name."""
    options: dict[str, Any] = {}
    if section.source == "folder":
        options = {"table": section.table, "score": section.score, "bands": section.bands}
        options |= {"low": section.score_low, "high": section.score_high}
        options["faces_may_be_shown"] = section.show_faces
        options["name"] = "own recordings"  # pages say it, and a folder may be named after people
    if section.source in ("cremad", "ravdess"):
        options["emotion"] = section.emotion
    return read(section.source, section.folder, tables=section.tables, **options)
