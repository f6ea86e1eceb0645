"""Finished work is never redone: the one place that splits, skips, resumes and writes atomically.

A piece of work is an `Item`; its key is its recipe, the hashes of the files it reads, the code of
the rooms that make it and the versions of the packages that decide its numbers. `map` runs the
items whose key is not on disk yet, here or through any `executor`. It behaves the same for the
book, in JupyterLab and under plain papermill, because it only looks at the folder.
"""

import ast
import errno
import hashlib
import json
import logging
import os
import sys
import uuid
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from tqdm import tqdm

from expresso_lib import _checks

logger = logging.getLogger(__name__)

PACKAGE = Path(__file__).parent
# An upgrade of one of these may change a number; all others only carry numbers about.
DECIDING = (
    *("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas", "statsmodels"),
    *("pingouin", "captum", "av", "opencv-python", "face-alignment", "mediapipe"),
)
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


Work = Callable[[Item, Path], None]


def map(
    function: Work,
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
    work = list(items)
    _check_names(work)
    make_folder(Path(out))
    makers = text_hash([basis(function.__module__), function.__qualname__])
    absent = [[path for path in item.inputs if not Path(path).is_file()] for item in work]
    errors = {i: f"{paths[0]} is not there" for i, paths in enumerate(absent) if paths}
    keys = ["" if i in errors else item_key(item, makers) for i, item in enumerate(work)]
    paths = [Path(out) / f"{item.name}{suffix}" for item in work]
    done = [is_finished(path, key) for path, key in zip(paths, keys)]
    waiting = [i for i, finished in enumerate(done) if not finished and i not in errors]
    calls = {i: partial(_make, function, work[i], paths[i], keys[i]) for i in waiting}
    shown = bool(describe and calls)
    with tqdm(total=len(work), initial=sum(done), desc=describe or None, disable=not shown) as bar:
        for index, error in _run(calls, executor):
            bar.update()
            if error is not None:
                errors[index] = error
                logger.warning("%s failed: %s", work[index].name, error)
    if errors and not collect_errors:
        lines = [f"{work[i].name}: {text}" for i, text in list(errors.items())[:5]]
        lines += [f"(and {len(errors) - 5} more)"] if len(errors) > 5 else []
        failed = f"{len(errors)} of {len(work)} pieces of work failed; the others are kept:"
        raise WorkFailed("\n".join([failed, *lines]))
    return [Outcome(work[i], paths[i], done[i], errors.get(i)) for i in range(len(work))]


def tabulate(item: Item, path: Path) -> None:
    """Write the table that ``item.payload`` gives for ``item.recipe["given"]`` (for `map`)."""
    item.payload(**item.recipe["given"]).to_parquet(path, index=False)


def _run(
    calls: Mapping[int, Callable[[], str | None]], executor: Executor | None
) -> Iterator[tuple[int, str | None]]:
    if executor is None:
        for index, call in calls.items():
            yield index, call()
        return
    pending = dict(calls)
    for attempt in range(MAX_RETRIES + 1):
        # The futures are handed out once; an item whose worker died is submitted again.
        futures = {executor.submit(call): index for index, call in pending.items()}
        for future in as_completed(futures):
            try:
                result = future.result()
            except Exception as failure:
                if not _worker_died(failure):
                    raise
                logger.warning("a worker died (%s), attempt %d", failure, attempt + 1)
                continue
            pending.pop(futures[future])
            yield futures[future], result
        if not pending:
            return
    for index in pending:
        yield index, f"its worker died {MAX_RETRIES + 1} times (out of memory, or killed)"


def _worker_died(failure: Exception) -> bool:
    # distributed is an optional extra, so its errors are known by name only.
    lost = {"KilledWorker", "CancelledError", "FutureCancelledError"}
    return isinstance(failure, BrokenExecutor) or type(failure).__name__ in lost


def _make(function: Work, item: Item, path: Path, key: str) -> str | None:
    """Make one result in the worker; return the error as text, for not every error pickles."""
    # A cluster that lost a worker asks again for what that worker had already put on disk.
    if is_finished(path, key):
        return None
    try:
        noted = {"key": key, "recipe": dict(item.recipe)}
        with ExitStack() as held:
            with atomic(path) as temporary:
                function(item, temporary)
                # Of two that make it at once neither's key may stand by the other's result; and
                # killed between the two, the old key must not vouch for the new result.
                held.enter_context(FileLock(path.with_name(".keys.lock")))
                _key_path(path).unlink(missing_ok=True)
            write_json(_key_path(path), noted)
    except Exception as error:
        return f"{type(error).__name__}: {readable(error)}"
    return None


def readable(error: BaseException) -> str:
    """Return an error's message; of a full disk, what it is and what to do."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return f"the disk is full ({error}); free some space and run again, finished work is kept"
    return str(error)


def _check_names(work: Sequence[Item]) -> None:
    for name, count in Counter(item.name for item in work).items():
        if count > 1:
            raise ValueError(f"two items are named {name!r}; give each its own name.")
        if Path(name).name != name or not name.isprintable():
            raise ValueError(f"item name {name!r} is no plain file name; rename it.")


# Keys


def basis(module: str) -> str:
    """Return a hash of what a function of `module` rests on: code, and versions of packages."""
    return text_hash([code_hash(module), versions()])


def item_key(item: Item, basis: str) -> str:
    """Return the key of an item: a sha256 over recipe, input contents and `basis`."""
    inputs = [file_hash(path) for path in item.inputs]
    return text_hash([item.name, dict(item.recipe), inputs, basis])


def is_finished(path: Path, key: str) -> bool:
    """Return whether the result at `path` was made under `key`."""
    try:
        return path.exists() and json.loads(_key_path(path).read_text())["key"] == key
    except (OSError, ValueError, KeyError):
        return False


def _key_path(path: Path) -> Path:
    return path.with_name(path.name + ".key.json")


def code_hash(module: str) -> str:
    """Return a hash of the code that a function of `module` rests on.

    Of this library: its room with all rooms that this one imports, whole. Of others (a benchmark,
    a script): its file, the files beside it that this one imports, and the rooms that these
    import, but for the pipeline, which carries results and makes none.
    """
    package, _, rest = module.partition(".")
    if package == PACKAGE.name:
        return rooms_hash(rest.partition(".")[0])
    texts: dict[Path, str] = {}
    waiting = [Path(getattr(sys.modules.get(module), "__file__", None) or "")]
    while waiting:
        file = waiting.pop()
        if file not in texts and file.suffix == ".py" and file.is_file():
            texts[file] = code_of(file)
            beside = [name.split(".")[1] for name in imports(texts[file]) if name.startswith(".")]
            waiting += [file.with_name(f"{name}.py") for name in beside]
    rooms = {room for text in texts.values() for room in imported_rooms(text)} - {"pipeline"}
    return text_hash([sorted(texts.values()), rooms_hash(*sorted(rooms))])


def rooms_hash(*rooms: str) -> str:
    """Return a hash of the code of rooms and of all rooms that they import.

    Comments, docstrings and layout do not count: editing a sentence redoes nothing.
    """
    code: dict[str, list[str]] = {}
    waiting = list(rooms)
    while waiting:
        room = waiting.pop()
        if room not in code:
            code[room] = [code_of(path) for path in sorted((PACKAGE / room).rglob("*.py"))]
            waiting += [name for text in code[room] for name in imported_rooms(text)]
    return text_hash(code)


def imported_rooms(code: str) -> set[str]:
    """Return the rooms (folders of this package) that a piece of code imports.

    >>> sorted(imported_rooms("from expresso_lib import clips, store, faces as seen"))
    ['clips', 'faces']
    """
    parts = [name.split(".") for name in imports(code) if name.startswith(f"{PACKAGE.name}.")]
    return {part[1] for part in parts if (PACKAGE / part[1]).is_dir()}


@lru_cache(maxsize=1024)
def imports(code: str) -> list[str]:
    """Return the dotted names that a piece of code imports, with a dot before its own folder's.

    >>> imports("import a.b\\nfrom . import measure\\nfrom .seek import run")
    ['a.b', '.measure', '.seek.run']
    """
    names: list[str] = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            place = "." * node.level + (f"{node.module}." if node.module else "")
            names += [place + alias.name for alias in node.names]
    return names


def code_of(path: Path) -> str:
    """Return the code of a file without comments, docstrings and layout."""
    return _bare(path.read_text(encoding="utf-8"))


# Parsing is what costs: each text is parsed once.
@lru_cache(maxsize=1024)
def _bare(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that decide numbers."""
    found = dict.fromkeys(DECIDING, "not installed")
    for name in DECIDING:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def text_hash(value: Any) -> str:
    """Return the sha256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def file_hash(path: str | Path) -> str:
    """Return the sha256 of a file's contents (cached by size and time of change)."""
    stat = os.stat(path)
    return _file_hash(str(path), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=65536)
def _file_hash(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# Files


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it on success, remove it on failure.

    The suffix is kept, so that writers which look at it (video, Parquet) work.
    """
    target = Path(path)
    make_folder(target.parent)
    temporary = target.with_name(f".tmp-{uuid.uuid4().hex}{target.suffix}")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> Path:
    """Write text atomically; return the path."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write a value as JSON, atomically; return the path."""
    return write_text(path, json.dumps(value, indent=1, sort_keys=True, default=str) + "\n")


def write_arrays(path: str | Path, **arrays: Any) -> Path:
    """Write arrays as one NPZ, atomically; return the path.

    Pictures (uint8, four axes) hardly shrink and are read often, so they are not compressed; the
    rest is, lightly: NumPy's own level takes twice as long and makes it no smaller.
    """
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", compresslevel=1) as file:
        for name, value in arrays.items():
            whole = np.asanyarray(value)
            pictures = whole.dtype == np.uint8 and whole.ndim == 4
            file.compression = zipfile.ZIP_STORED if pictures else zipfile.ZIP_DEFLATED
            with file.open(f"{name}.npy", "w", force_zip64=True) as part:
                np.lib.format.write_array(part, whole, allow_pickle=False)
    return Path(path)


def read_arrays(path: str | Path, what: str = "file") -> dict[str, Any]:
    """Return the arrays of an NPZ by name; `what` says in the error what is not there.

    Raises
    ------
    FileNotFoundError, ValueError
        Naming the path and the remedy.
    """
    found = _checks.existing_file(path, what)
    try:
        with np.load(found, allow_pickle=False) as file:
            return dict(file)
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is no whole NPZ; copy it again, or make it anew.") from error


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; an empty dict where there is none.

    Raises
    ------
    ValueError
        Naming the file, where it is none.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ValueError(f"{path} is no whole JSON ({error}); delete it and run again.") from error


def make_folder(folder: Path) -> None:
    """Create `folder`.

    Raises
    ------
    PermissionError, NotADirectoryError
        Naming the folder and the remedy.
    """
    with suppress(PermissionError):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            text = f"{str(folder)!r} is, or lies in, a file; name a folder."
            raise NotADirectoryError(text) from error
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"no permission to write in {str(folder)!r}; choose another folder.")


# Engines


def executor(
    engine: str, *, workers: int = 0, threads: int = 1, scheduler: str = ""
) -> Executor | None:
    """Return a `concurrent.futures` executor; None where work is to run in this process.

    Parameters
    ----------
    engine : {"process", "loky", "dask"}
        This process, one call after another; worker processes here; a Dask scheduler's workers.
    workers : int
        Number of processes; 0 means one per core.
    threads : int
        Threads of each worker (torch, OpenMP).
    scheduler : str
        Address of the Dask scheduler, e.g. ``tcp://host:8786``; empty starts one here.

    Raises
    ------
    ImportError
        If Dask is asked for and not installed.
    """
    if engine == "process":
        return None
    from loky import cpu_count

    count = workers or cpu_count()  # those that this process may use, in a container too
    if engine == "loky":
        return Loky(count, threads)
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError("engine 'dask' needs: pip install 'expresso-lib[dask]'") from error
    here = {"n_workers": count, "threads_per_worker": threads, "dashboard_address": None}
    return (Client(scheduler) if scheduler else Client(**here)).get_executor()


class Loky(Executor):
    """loky's reusable pool; a pool broken by a killed worker is replaced on the next submit."""

    def __init__(self, workers: int, threads: int) -> None:
        from loky import get_reusable_executor

        # More threads than one per core make workers wait in turn.
        limits = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
        env = dict.fromkeys(limits, str(threads))
        self._pool = partial(get_reusable_executor, workers, timeout=60, env=env)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand `fn` to a worker."""
        return self._pool().submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop the workers at once: what they finished is on disk, and their goodbyes take long."""
        self._pool().shutdown(wait=wait, kill_workers=True)
