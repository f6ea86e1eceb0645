"""Finished work is never redone: the one place that splits, skips, resumes and writes atomically.

A piece of work is an `Item`; its key is its recipe, the hashes of the files it reads and the
code that makes it. `map` runs the items whose key is not on disk yet. It behaves the same for
the book, in JupyterLab and under plain papermill, because it only looks at the folder.
"""

from __future__ import annotations

import ast
import errno
import hashlib
import importlib.util
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

logger = logging.getLogger(__name__)

# A worker that dies takes its item with it; more than this often and the item itself is suspect.
MAX_RETRIES = 2


@dataclass(frozen=True)
class Item:
    """One piece of work: `name` names its file, `recipe` and `inputs` decide whether it is done.

    Attributes
    ----------
    name : str
        File stem of the result, unique within a folder.
    recipe : mapping
        JSON-able parameters that determine the result.
    inputs : tuple of Path
        Files the work reads; their contents enter the key.
    payload : object
        Anything else the function needs; it must follow from `recipe` and `inputs`, for it
        does not enter the key.
    """

    name: str
    recipe: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()
    payload: Any = None


@dataclass(frozen=True)
class Outcome:
    """What became of one item: its file, whether it was skipped, and the error if it failed."""

    item: Item
    path: Path
    reused: bool
    error: str | None = None


class WorkFailed(RuntimeError):
    """Some items failed; the finished ones are on disk and will not be repeated."""


def map(
    function: Callable[[Item, Path], None],
    items: Iterable[Item],
    *,
    out: str | Path,
    executor: Executor | None = None,
    suffix: str = ".npz",
    describe: str = "",
    collect_errors: bool = False,
) -> list[Outcome]:
    """Run `function(item, path)` for every item that is not finished, in the items' order.

    Parameters
    ----------
    function : callable
        A module-level function that writes the result of `item` to `path` (a temporary name).
    items : iterable of Item
        The work.
    out : path
        Folder of the results, ``<name><suffix>`` each, beside ``<name>.key.json``.
    executor : concurrent.futures.Executor, optional
        Where to run; None runs here, one after another.
    suffix : str
        Ending of the result files.
    describe : str
        Label of the progress bar; empty shows none.
    collect_errors : bool
        Return failures as outcomes instead of raising at the end.

    Returns
    -------
    list of Outcome
        One per item, in order.

    Raises
    ------
    WorkFailed
        If items failed and `collect_errors` is False; everything finished stays.
    ValueError
        If two items share a name.
    """
    folder = Path(out)
    work = list(items)
    _check_names(work)
    make_folder(folder)
    code = source_hash(_module_of(function))
    keys = [item_key(item, code) for item in work]
    paths = [folder / f"{item.name}{suffix}" for item in work]
    done = [is_finished(path, key) for path, key in zip(paths, keys, strict=True)]
    todo = [i for i, finished in enumerate(done) if not finished]
    errors: dict[int, str] = {}
    with tqdm(
        total=len(work),
        initial=len(work) - len(todo),
        desc=describe or None,
        disable=not describe or not todo,
        mininterval=0.5,
    ) as bar:
        calls: dict[int, Callable[[], str | None]] = {
            i: partial(_make, function, work[i], paths[i], keys[i]) for i in todo
        }
        for index, error in _run(calls, executor):
            bar.update()
            if error is not None:
                errors[index] = error
                logger.warning("%s failed: %s", work[index].name, error)
    if errors and not collect_errors:
        raise WorkFailed(_failure_text(errors, work))
    return [
        Outcome(item, path, finished, errors.get(i))
        for i, (item, path, finished) in enumerate(zip(work, paths, done, strict=True))
    ]


def _run(
    calls: dict[int, Callable[[], str | None]], executor: Executor | None
) -> Iterator[tuple[int, str | None]]:
    if executor is None:
        for index, call in calls.items():
            yield index, call()
        return
    pending = dict(calls)
    for attempt in range(MAX_RETRIES + 1):
        # The futures are handed out once; an item whose worker died is submitted again.
        futures: dict[Future[str | None], int] = {}
        for index, call in pending.items():
            futures[executor.submit(call)] = index
        for future in as_completed(futures):
            index = futures[future]
            try:
                result = future.result()
            except Exception as failure:
                if not _worker_died(failure):
                    raise
                logger.warning("a worker died (%s), attempt %d", failure, attempt + 1)
                continue
            pending.pop(index)
            yield index, result
        if not pending:
            return
    for index in pending:
        yield index, f"its worker died {MAX_RETRIES + 1} times (out of memory, or killed)"


def _worker_died(failure: Exception) -> bool:
    # distributed is an optional extra, so its error is known by name only.
    return isinstance(failure, BrokenExecutor) or type(failure).__name__ in {
        "KilledWorker",
        "CancelledError",
        "FutureCancelledError",
    }


def _make(function: Callable[[Item, Path], None], item: Item, path: Path, key: str) -> str | None:
    """Make one result in the worker; return the error as text, for not every error pickles."""
    # A cluster that lost a worker asks again for what that worker had already put on disk.
    if is_finished(path, key):
        return None
    try:
        # Killed between result and key, the old key must not vouch for the new result.
        _key_path(path).unlink(missing_ok=True)
        with atomic(path) as temporary:
            function(item, temporary)
        write_text(
            _key_path(path),
            json.dumps({"key": key, "recipe": dict(item.recipe)}, sort_keys=True, default=str),
        )
    except Exception as error:
        return f"{type(error).__name__}: {_readable(error)}"
    return None


def _readable(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return f"the disk is full ({error}); free some space and run again, finished work is kept"
    return str(error)


def _failure_text(errors: Mapping[int, str], work: Sequence[Item]) -> str:
    lines = [f"{work[i].name}: {text}" for i, text in list(errors.items())[:5]]
    more = f"\n(and {len(errors) - 5} more)" if len(errors) > 5 else ""
    return (
        f"{len(errors)} of {len(work)} pieces of work failed; the others are finished and "
        "will not be repeated:\n" + "\n".join(lines) + more
    )


def _check_names(work: Sequence[Item]) -> None:
    seen: set[str] = set()
    for item in work:
        if item.name in seen:
            raise ValueError(f"two items are named {item.name!r}; give each its own name.")
        if Path(item.name).name != item.name or not item.name.isprintable():
            raise ValueError(f"item name {item.name!r} is no plain file name; rename it.")
        seen.add(item.name)


def item_key(item: Item, code: str) -> str:
    """Return the key of an item: sha256 over recipe, input contents and code hash."""
    text = json.dumps(
        {
            "name": item.name,
            "recipe": dict(item.recipe),
            "code": code,
            "inputs": [file_hash(path) for path in item.inputs],
        },
        sort_keys=True,
        default=str,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def is_finished(path: Path, key: str) -> bool:
    """Return whether the result at `path` was made under `key`."""
    try:
        return path.exists() and json.loads(_key_path(path).read_text())["key"] == key
    except (OSError, ValueError, KeyError):
        return False


def _key_path(path: Path) -> Path:
    return path.with_name(path.name + ".key.json")


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it on success, remove it on failure.

    The suffix is kept, so that writers which look at it (video, Parquet) work.
    """
    target = Path(path)
    make_folder(target.parent)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".tmp-", suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    # mkstemp is private by design; a result has the permissions any new file would have.
    temporary.chmod(0o666 & ~_umask())
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_text(path: str | Path, text: str) -> Path:
    """Write text atomically; return the path."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def make_folder(folder: Path) -> None:
    """Create `folder`, with one clear error where that is not allowed.

    Raises
    ------
    PermissionError
        Naming the folder and the remedy.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except PermissionError as error:
        raise PermissionError(
            f"no permission to write in {str(folder)!r}; choose another folder."
        ) from error
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"no permission to write in {str(folder)!r}; choose another folder.")


def file_hash(path: str | Path) -> str:
    """Return the sha256 of a file's contents (cached by size and time of change)."""
    stat = os.stat(path)
    return _file_hash(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=65536)
def _file_hash(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _module_of(function: Callable[..., Any]) -> str:
    while isinstance(function, partial):
        function = function.func
    return function.__module__


@lru_cache(maxsize=256)
def source_hash(module: str) -> str:
    """Return a hash of a module's code and of every module of ours that it reaches.

    Comments, docstrings and layout do not count: editing a sentence redoes nothing.
    """
    digest = hashlib.sha256()
    for name in sorted(reached_modules(module)):
        path = module_path(name) or _foreign_path(name, name == module)
        digest.update(name.encode() + code_of(path).encode())
    return digest.hexdigest()


def reached_modules(module: str) -> set[str]:
    """Return the names of the modules of this package that `module` imports, itself included."""
    seen: set[str] = set()
    stack = [module]
    while stack:
        name = stack.pop()
        path = module_path(name) or _foreign_path(name, name == module)
        if name in seen or path is None:
            continue
        seen.add(name)
        stack += imported_names(path.read_text(encoding="utf-8"), name)
    return seen


# Modules share most of what they reach, and parsing is what costs: each text is parsed once.
@lru_cache(maxsize=1024)
def imported_names(code: str, module: str = "") -> tuple[str, ...]:
    """Return the dotted names of this package's modules that a piece of code imports.

    >>> imported_names("from expresso_lib.faces import anatomy\\nimport numpy")
    ('expresso_lib.faces.anatomy',)
    """
    package = __name__.split(".")[0]
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level and not module:
                continue  # a relative import of a script is none of ours
            base = (
                importlib.util.resolve_name(
                    "." * node.level + (node.module or ""), _package_of(module)
                )
                if node.level
                else node.module
            )
            for alias in node.names:
                # What a package hands on comes from its __init__, which reaches the rest.
                inner = f"{base}.{alias.name}"
                found.append(inner if module_path(inner) else str(base))
    return tuple(name for name in found if name.startswith(package + "."))


def _package_of(module: str) -> str:
    path = module_path(module)
    return module if path is not None and path.name == "__init__.py" else module.rpartition(".")[0]


@lru_cache(maxsize=1024)
def module_path(module: str) -> Path | None:
    """Return the source file of a module of this package, or None."""
    package, *parts = module.split(".")
    if package != __name__.split(".")[0] or not parts:
        return None
    base = Path(__file__).parent.joinpath(*parts)
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def _foreign_path(module: str, is_root: bool) -> Path | None:
    """Return the file of a test's or script's own function; what else it imports is not ours."""
    loaded = sys.modules.get(module) if is_root else None
    file = getattr(loaded, "__file__", None)
    return Path(file) if file and file.endswith(".py") else None


def code_of(path: Path | None) -> str:
    """Return the code of a file without comments, docstrings and layout."""
    return "" if path is None else _bare(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=1024)
def _bare(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                node.body = body[1:] or [ast.Pass()]
    return ast.dump(tree)
