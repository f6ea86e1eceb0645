"""The chapters: which parameters each declares, on whom it rests, how to tell it is fresh."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat

from expresso_lib import _checks, config, manifest, store
from expresso_lib.models import own
from expresso_lib.pipeline import project


@dataclass(frozen=True)
class Chapter:
    """One notebook: its title, the chapters it rests on, if it trains."""

    name: str
    title: str
    needs: tuple[str, ...] = ()
    trains: bool = False

    @property
    def number(self) -> str:
        """Number of a chapter, letter of an appendix, as in the file name.

        >>> Chapter("03_finetune", "").number, Chapter("a_statistics", "").number
        ('3', 'A')
        """
        return self.name.partition("_")[0].lstrip("0").upper()


_START = ("01_cohort", "02_faces", "03_finetune")
_EXPLAINED = (*_START, "04_regions")
CHAPTERS = (
    Chapter("01_cohort", "People with a known answer"),
    Chapter("02_faces", "Faces", ("01_cohort",)),
    Chapter("03_finetune", "Fine-tuning", ("01_cohort", "02_faces"), trains=True),
    Chapter("04_regions", "Regions", _START),
    Chapter("05_time", "Time", _EXPLAINED),
    Chapter("06_action_units", "Action units", _EXPLAINED),
    Chapter("07_trust", "Trust", _EXPLAINED),
    Chapter("08_real_faces", "Real faces", ("01_cohort",)),
    Chapter("09_participant", "One participant", _EXPLAINED),
    Chapter("10_conclusions", "What we learned", (*_START, "06_action_units", "07_trust")),
    Chapter("a_statistics", "Statistics in depth", (*_EXPLAINED, "06_action_units")),
    Chapter("b_tracking", "Tracking in depth", ("01_cohort", "02_faces")),
    Chapter("c_trust", "Trust in depth", (*_EXPLAINED, "07_trust")),
    Chapter("d_null", "When nothing is there", ("01_cohort",)),
    Chapter("e_your_data", "A folder of your own, step by step", ("03_finetune",)),
    Chapter("f_your_network", "Your own network", _START),
)


def find(name: str) -> Chapter:
    """Return a chapter by its name, its number or the start of its name.

    >>> find("3").name, find("04").name, find("e").name, find("05_time").number
    ('03_finetune', '04_regions', 'e_your_data', '5')

    Raises
    ------
    ValueError
        Naming the known chapters.
    """
    wanted = name.removesuffix(".ipynb")
    for chapter in CHAPTERS:
        start, _, title = chapter.name.partition("_")
        if wanted in (chapter.name, chapter.number, start, title):
            return chapter
    hint = _checks.nearest(name, [chapter.name for chapter in CHAPTERS])
    raise ValueError(f"chapter {name!r} is unknown{hint}.")


def notebook_path(chapter: Chapter, root: Path) -> Path:
    """Return the source notebook of a chapter."""
    return root / "notebooks" / f"{chapter.name}.ipynb"


def parameters_cell(notebook: nbformat.NotebookNode, path: Path) -> nbformat.NotebookNode:
    """Return a notebook's one cell tagged ``parameters``; without one a ValueError names it."""
    found = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(found) != 1:
        raise ValueError(f"{path.name} has {len(found)} cells tagged 'parameters'; it needs one.")
    return found[0]


def declared(path: Path) -> list[str]:
    """Return the parameters that a notebook declares: those that its parameters cell assigns."""
    return config.declared_names(parameters_cell(nbformat.read(path, as_version=4), path).source)


def sync(root: Path) -> list[Path]:
    """Rewrite the parameters cells that differ from the schema; return their notebooks.

    A cell keeps the names that it assigns; values and comments come from the schema.
    """
    rewritten = []
    for path in [notebook_path(chapter, root) for chapter in CHAPTERS]:
        notebook = nbformat.read(path, as_version=4)
        cell = parameters_cell(notebook, path)
        wanted = config.parameters_cell(config.declared_names(cell.source))
        if cell.source != wanted:
            cell.source = wanted
            store.write_text(path, nbformat.writes(notebook) + "\n")
            rewritten.append(path)
    return rewritten


def fingerprint(chapter: Chapter, parameters: config.Parameters, root: Path) -> dict[str, str]:
    """Return the hashes that decide whether a chapter is fresh.

    Keys: ``notebook`` (its cells), ``library`` (the rooms it imports), ``packages`` (versions),
    ``assets`` (texts and weights of the library), ``parameters`` (those it declares, where it
    runs left out), ``manifest``, ``data`` (what lies in the data's folders), ``inputs`` (the
    tables of the chapters it rests on), and of a network of one's own, where the chapter names it,
    ``network`` (its file).
    """
    path = notebook_path(chapter, root)
    notebook = nbformat.read(path, as_version=4)
    names = [name for name in declared(path) if not name.startswith("run_")]
    run_folder = project.run_folder(root, parameters.run.name)
    facts = {
        "notebook": store.text_hash([[cell.cell_type, cell.source] for cell in notebook.cells]),
        "library": library_hash(notebook),
        "packages": store.text_hash(store.versions()),
        "assets": store.text_hash([*map(store.file_hash, sorted(config.ASSETS.glob("*.*")))]),
        "parameters": store.text_hash(config.flatten(parameters, names)),
        "manifest": store.file_hash(root / "data_manifest.yaml"),
        "data": data_hash(parameters),
        "inputs": store.text_hash([read_outputs(name, run_folder) for name in chapter.needs]),
    }
    if "training_model" in names and ":" in (model := parameters.training.model):
        facts["network"] = store.text_hash([store.file_hash(one) for one in own.source(model)])
    return facts


def data_hash(parameters: config.Parameters) -> str:
    """Return a hash of names, sizes and times of the files that a run would read.

    Those of the data's folders, by default the data set's own place (`manifest.locate`), and of
    all weights that are in place.
    """
    known, section = manifest.load(), parameters.cohort
    source = {"rendered": "demo_cohort"}.get(section.source, section.source)
    own = [source] * (not section.folder) + [f"{source}_openface"] * (not section.tables)
    folders = [Path(named).expanduser() for named in (section.folder, section.tables) if named]
    folders += [manifest.locate(name) for name in own if name in known]
    files = [path for folder in folders for path in sorted(folder.rglob("*"))]
    weights = [entry for entry in known.values() if entry.kind == "weights"]
    places = dict.fromkeys([parameters.faces.weights_folder or None, None])
    files += [manifest.locate(one.name, folder=place) / file.path
              for one in weights for file in one.files for place in places]  # fmt: skip
    stats = [(str(path), path.stat()) for path in files if path.is_file()]
    return store.text_hash([(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats])


def library_hash(notebook: nbformat.NotebookNode) -> str:
    """Return a hash of the rooms that a notebook imports, with those that they import.

    The pipeline carries results about; of it, only what a notebook holds in its hands counts.
    """
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    hands = store.code_of(Path(__file__).with_name("run.py"))
    rooms = store.imported_rooms(code) | store.imported_rooms(hands)
    return store.text_hash([hands, store.rooms_hash(*sorted(rooms - {"pipeline"}))])


def outputs_path(chapter: str, run_folder: Path) -> Path:
    """Return the file in which a finished chapter lists what it made, and what it never read.

    The book adds the `fingerprint` of what the chapter rested on: without it, it was run by hand.
    """
    return run_folder / "tables" / f"{chapter}.outputs.json"


def read_outputs(chapter: str, run_folder: Path) -> Mapping[str, str]:
    """Return what a chapter made, name to hash; empty if it never finished.

    Tables by their names, other files by their place in the run's folder.
    """
    return store.read_json(outputs_path(chapter, run_folder)).get("made", {})
