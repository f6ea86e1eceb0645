"""The notebooks' parameters cells, generated from the schema."""

from __future__ import annotations

from pathlib import Path

import nbformat

from expresso_lib import config, store
from expresso_lib.pipeline import chapters


def expected_cell(chapter: chapters.Chapter) -> str:
    """Return the code that a chapter's parameters cell must hold."""
    return config.parameters_cell(chapter.sections)


def sync(root: Path) -> list[Path]:
    """Rewrite the parameters cells that differ from the schema; return their notebooks."""
    rewritten = []
    for chapter in chapters.CHAPTERS:
        path = chapters.notebook_path(chapter, root)
        if not path.is_file():
            continue
        notebook = nbformat.read(path, as_version=4)
        cell = parameters_cell(notebook, path)
        if cell.source != expected_cell(chapter):
            cell.source = expected_cell(chapter)
            with store.atomic(path) as temporary:
                nbformat.write(notebook, temporary)
            rewritten.append(path)
    return rewritten


def parameters_cell(notebook: nbformat.NotebookNode, path: Path) -> nbformat.NotebookNode:
    """Return a notebook's one cell tagged ``parameters``; without one a ValueError names it."""
    found = [
        cell
        for cell in notebook.cells
        if "parameters" in cell.metadata.get("tags", []) and cell.cell_type == "code"
    ]
    if len(found) != 1:
        raise ValueError(f"{path.name} has {len(found)} cells tagged 'parameters'; it needs one.")
    return found[0]
