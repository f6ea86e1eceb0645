"""The library's reference, written from its docstrings without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MARK = "LIBRARY-REFERENCE"


def entries(package: Path) -> Iterator[str]:
    """Yield the Markdown of every public module: its docstring, then its names with theirs."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [
            n
            for n in tree.body
            if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")
        ]
        if not parts or any(part.startswith("_") for part in parts):
            continue
        yield f"## `{'.'.join(parts)}`\n\n{fence(ast.get_docstring(tree))}\n"
        yield from (folded(node) for node in names)


def folded(node: ast.FunctionDef | ast.ClassDef) -> str:
    """Return one name with the first line of its docstring; the rest opens on demand."""
    first = (ast.get_docstring(node) or "").split("\n", 1)[0].replace("`", "")
    title = f"{node.name}: {first}" if first else node.name
    return f"``````{{dropdown}} {title}\n{fence(signature(node))}\n``````\n"


def signature(node: ast.FunctionDef | ast.ClassDef) -> str:
    """Return a call and its docstring as one text."""
    call = node.name
    if isinstance(node, ast.FunctionDef):
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        call = f"{node.name}({ast.unparse(node.args)}){returns}"
    return f"{call}\n\n{ast.get_docstring(node) or ''}".rstrip()


def fence(text: str | None) -> str:
    """Return text as a literal block, so that no docstring can break a page."""
    return f"`````{{code-block}} text\n{text or ''}\n`````"


def write(app: Any, name: str, source: list[str]) -> None:
    """Replace the mark in the page by the reference."""
    if MARK in source[0]:
        spec = find_spec("expresso_lib")
        folder = Path(next(iter(spec.submodule_search_locations)))
        source[0] = source[0].replace(MARK, "\n".join(entries(folder)))


def outdated(app: Any, env: Any, *changes: set[str]) -> list[str]:
    """Have the reference read again: the code may have changed though its page has not."""
    return ["library"] if "library" in env.found_docs else []


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("source-read", write)
    app.connect("env-get-outdated", outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
