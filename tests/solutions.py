"""Execute lists of cells, each list in a namespace of its own, as a reader would type them.

One process for all chapters, since a kernel for each would load the packages sixteen times:

    python tests/solutions.py CELLS.json     # {chapter: [source of a cell, ...]}
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path


def _names(code: str) -> tuple[set[str], set[str]]:
    """Names that a cell makes, and names that it reads."""
    made, read = set(), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.alias):
            made.add((node.asname or node.name).split(".")[0])
    return made, read


def needed(cells: list[str], wanted: list[str]) -> list[str]:
    """Those of a chapter's cells that make what the wanted code reads, in their order.

    >>> needed(["a = 1", "b = a", "c = 3"], ["print(b)"])
    ['a = 1', 'b = a']
    """
    open_, kept = set().union(*(_names(code)[1] for code in wanted)), []
    for cell in reversed(cells):
        made, read = _names(cell)
        if made & open_:
            kept.insert(0, cell)
            open_ |= read
    return kept


def execute(chapters: dict[str, list[str]]) -> int:
    """Run every chapter's cells; 1 at the first that fails, named with its error."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    for chapter, cells in chapters.items():
        shell.reset(new_session=False)
        for cell in cells:
            if not shell.run_cell(cell).success:
                print(f"{chapter}:\n{cell}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(execute(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
