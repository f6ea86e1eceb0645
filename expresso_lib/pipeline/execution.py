"""One chapter executed by papermill, with its provenance."""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import nbformat

from expresso_lib import config, store
from expresso_lib.pipeline import chapters, kernels

logger = logging.getLogger(__name__)

PACKAGES = (
    "torch",
    "torchvision",
    "captum",
    "face-alignment",
    "av",
    "opencv-python",
    "numpy",
    "pandas",
    "scipy",
    "pingouin",
    "statsmodels",
    "scikit-learn",
    "papermill",
    "jupyter-book",
)


class ChapterFailed(RuntimeError):
    """A chapter's notebook stopped at an error; it is published as failed."""


def execute(chapter: chapters.Chapter, parameters: config.Parameters, root: Path) -> Path:
    """Execute a chapter's notebook into ``build/<run>/notebooks`` and stamp its provenance.

    Raises
    ------
    ChapterFailed
        If a cell fails or the notebook ends before its last cell; the executed part is kept.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    run_folder = root / "build" / parameters.run.name
    out = run_folder / "notebooks" / f"{chapter.name}.ipynb"
    started = time.time()
    error = ""
    with store.atomic(out) as temporary, _environment(root):
        try:
            papermill.execute_notebook(
                str(chapters.notebook_path(chapter, root)),
                str(temporary),
                parameters=config.flatten(parameters, chapter.sections),
                kernel_name="python3",
                cwd=str(root / "notebooks"),
                progress_bar=False,
                log_output=False,
                request_save_on_cell_execute=False,
                # Told to stop, an idle kernel would complain of the interruption.
                extra_arguments=["--IPKernelApp.log_level=50"],
                kernel_manager_class=kernels.LocalKernel,
            )
        except PapermillExecutionError as failure:
            error = f"{failure.ename}: {failure.evalue}"
        if not error and not chapters.outputs_path(chapter.name, run_folder).is_file():
            error = "the notebook ended before its last cell (run.close())"
        facts = provenance(chapter, parameters, root) | {
            "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
            "seconds": round(time.time() - started, 1),
            "error": error,
        }
        _stamp(temporary, facts)
    _record(run_folder, parameters, chapter.name, facts)
    if error:
        chapters.outputs_path(chapter.name, run_folder).unlink(missing_ok=True)
        raise ChapterFailed(f"chapter {chapter.name} failed: {error}")
    return out


def provenance(
    chapter: chapters.Chapter, parameters: config.Parameters, root: Path
) -> dict[str, Any]:
    """Return what a chapter's result rests on: hashes, parameters, versions, device."""
    defaults = config.flatten(config.Parameters(), chapter.sections)
    return {
        "chapter": chapter.name,
        "run": parameters.run.name,
        "fingerprint": chapters.fingerprint(chapter, parameters, root),
        "inputs": {
            name: chapters.read_outputs(name, root / "build" / parameters.run.name)
            for name in chapter.needs
        },
        "parameters": config.flatten(parameters, chapter.sections),
        "defaults": defaults,
        "revision": revision(root),
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "packages": versions(),
        "device": device(),
    }


def versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def device() -> str:
    """Return what computes: the GPU's name, or the processor with its cores."""
    # Asking torch would import it in a process that only starts others.
    if shutil.which("nvidia-smi"):
        found = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode == 0 and found.stdout.strip():
            return found.stdout.splitlines()[0].strip()
    return f"{platform.machine()}, {os.cpu_count()} cores"


def revision(root: Path) -> str:
    """Return the git revision, with ``+`` where the working tree differs; empty outside git."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    if not shutil.which("git"):
        return ""
    head = git("rev-parse", "--short=12", "HEAD")
    return head + ("+" if head and git("status", "--porcelain", "--untracked-files=no") else "")


@contextmanager
def _environment(root: Path) -> Iterator[None]:
    """Let the kernel find the project, and its imports nothing but this project's library."""
    before = dict(os.environ)
    os.environ["EXPRESSO_ROOT"] = str(root)
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    os.environ.setdefault("MPLBACKEND", "agg")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _stamp(path: Path, facts: dict[str, Any]) -> None:
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["expresso"] = facts
    # Papermill notes where it read and wrote; a reader's book must not name this machine's disk.
    notebook.metadata.get("papermill", {}).pop("input_path", None)
    notebook.metadata.get("papermill", {}).pop("output_path", None)
    nbformat.write(notebook, path)


def _record(
    run_folder: Path, parameters: config.Parameters, chapter: str, facts: dict[str, Any]
) -> None:
    path = run_folder / "run.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    known.update(
        name=parameters.run.name,
        parameters=parameters.model_dump(mode="json"),
        packages=facts["packages"],
        python=facts["python"],
        device=facts["device"],
        revision=facts["revision"],
    )
    kept = ("fingerprint", "started", "seconds", "error", "device", "revision")
    known.setdefault("chapters", {})[chapter] = {key: facts[key] for key in kept}
    store.write_text(path, json.dumps(known, indent=1, sort_keys=True))
