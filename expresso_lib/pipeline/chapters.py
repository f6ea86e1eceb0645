"""The chapters: what each reads from its parameters, from whom, and how to tell it is fresh."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat

from expresso_lib import _checks, config, store

ASSETS = Path(__file__).parents[1] / "assets"
TEXTS = {".yaml", ".html", ".css", ".js"}


def number_of(name: str) -> str:
    """Return the number or letter that a notebook's name begins with, as the text says it."""
    return name.partition("_")[0].lstrip("0").upper()


@dataclass(frozen=True)
class Chapter:
    """One notebook: its title, parameter sections, the chapters it rests on, if it trains."""

    name: str
    title: str
    sections: tuple[str, ...]
    needs: tuple[str, ...] = ()
    trains: bool = False

    @property
    def number(self) -> str:
        """Number of a chapter, letter of an appendix, as in the file name.

        >>> Chapter("03_finetune", "", ()).number, Chapter("a_statistics", "", ()).number
        ('3', 'A')
        """
        return number_of(self.name)


CHAPTERS = (
    Chapter("01_cohort", "People with a known answer", ("cohort", "run")),
    Chapter("02_faces", "Faces", ("faces", "clips", "run"), ("01_cohort",)),
    Chapter(
        "03_finetune",
        "Fine-tuning",
        ("cohort", "clips", "training", "run"),
        ("01_cohort", "02_faces"),
        trains=True,
    ),
    Chapter(
        "04_regions",
        "Regions",
        ("cohort", "clips", "training", "attribution", "statistics", "run"),
        ("01_cohort", "02_faces", "03_finetune"),
    ),
    Chapter(
        "05_time",
        "Time",
        ("cohort", "clips", "training", "attribution", "run"),
        ("01_cohort", "02_faces", "03_finetune", "04_regions"),
    ),
    Chapter(
        "06_action_units",
        "Action units",
        ("cohort", "clips", "training", "attribution", "statistics", "run"),
        ("01_cohort", "02_faces", "03_finetune", "04_regions"),
    ),
    Chapter(
        "07_trust",
        "Trust",
        ("cohort", "clips", "training", "attribution", "statistics", "run"),
        ("01_cohort", "02_faces", "03_finetune", "04_regions", "06_action_units"),
    ),
    Chapter(
        "09_participant",
        "One participant",
        ("clips", "attribution", "statistics", "run"),
        ("01_cohort", "02_faces", "03_finetune", "04_regions"),
    ),
    Chapter("b_tracking", "Tracking in depth", ("run",), ("01_cohort", "02_faces")),
    Chapter(
        "e_your_data",
        "A folder of your own, step by step",
        ("clips", "attribution", "run"),
        ("03_finetune",),
    ),
)
BY_NAME = {chapter.name: chapter for chapter in CHAPTERS}


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
    raise ValueError(f"chapter {name!r} is unknown{_checks.nearest(name, BY_NAME)}.")


def notebook_path(chapter: Chapter, root: Path) -> Path:
    """Return the source notebook of a chapter."""
    return root / "notebooks" / f"{chapter.name}.ipynb"


def fingerprint(chapter: Chapter, parameters: config.Parameters, root: Path) -> dict[str, str]:
    """Return the hashes that decide whether a chapter is fresh.

    Keys: ``notebook`` (its cells), ``library`` (the code it reaches), ``assets`` (its texts),
    ``parameters`` (those of its sections, where it runs left out), ``manifest`` and ``data`` (of
    the chapters that read recordings: what lies in the data's folders).
    """
    path = notebook_path(chapter, root)
    flat = config.flatten(parameters, (s for s in chapter.sections if s != "run"))
    return {
        "notebook": cells_hash(path),
        "library": library_hash(path),
        "assets": text_hash(
            [store.file_hash(path) for path in sorted(ASSETS.glob("*.*")) if path.suffix in TEXTS]
        ),
        "parameters": text_hash(flat),
        "manifest": store.file_hash(root / "data_manifest.yaml"),
        "data": data_hash(parameters.cohort) if chapter.number in ("1", "2") else "",
    }


def data_hash(section: config.CohortSection) -> str:
    """Return a hash of names, sizes and times of the files that lie in a cohort's folders."""
    files = [
        path
        for folder in (section.folder, section.tables)
        if folder
        for path in sorted(Path(folder).expanduser().rglob("*"))
        if path.is_file()
    ]
    return text_hash([(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files])


def cells_hash(path: Path) -> str:
    """Return a hash of a notebook's cells, whatever its outputs and metadata."""
    notebook = nbformat.read(path, as_version=4)
    return text_hash([[cell.cell_type, cell.source] for cell in notebook.cells])


@lru_cache(maxsize=64)
def library_hash(path: Path) -> str:
    """Return a hash of the library code that a notebook reaches."""
    notebook = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    reached: set[str] = set()
    for name in store.imported_names(code):
        # The pipeline runs chapters; what it publishes with does not change what they compute.
        reached |= store.reached_modules(
            "expresso_lib.pipeline.run" if name.startswith("expresso_lib.pipeline") else name
        )
    return text_hash([[name, store.code_of(store.module_path(name))] for name in sorted(reached)])


def text_hash(value: Any) -> str:
    """Return the sha256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def outputs_path(chapter: str, run_folder: Path) -> Path:
    """Return the file in which a finished chapter lists its tables with their hashes."""
    return run_folder / "tables" / f"{chapter}.outputs.json"


def read_outputs(chapter: str, run_folder: Path) -> Mapping[str, str]:
    """Return the tables and models a chapter made, name to hash; empty if it never finished."""
    path = outputs_path(chapter, run_folder)
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
