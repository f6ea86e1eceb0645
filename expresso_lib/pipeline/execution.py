"""One chapter executed by papermill, with its provenance."""

import os
import re
import signal
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat

from expresso_lib import config, store
from expresso_lib.pipeline import chapters, project, provenance


class ChapterFailed(RuntimeError):
    """A chapter's notebook stopped at an error; it is published as failed."""


def execute(chapter: chapters.Chapter, parameters: config.Parameters, root: Path) -> Path:
    """Execute a chapter's notebook into ``build/<run>/notebooks`` and stamp its provenance.

    Raises
    ------
    ChapterFailed
        If a cell fails or the notebook ends before its last cell; the executed part is kept.
    """
    run_folder = project.run_folder(root, parameters.run.name)
    out = run_folder / "notebooks" / f"{chapter.name}.ipynb"
    outputs = chapters.outputs_path(chapter.name, run_folder)
    source = chapters.notebook_path(chapter, root)
    # What a notebook declares, and where it runs: that is every chapter's.
    where = [f"run_{name}" for name in config.RunSection.model_fields]
    names = dict.fromkeys([*chapters.declared(source), *where])
    facts = provenance.stamp(root) | {
        "chapter": chapter.name,
        "run": parameters.run.name,
        "fingerprint": chapters.fingerprint(chapter, parameters, root),
        "inputs": {name: chapters.read_outputs(name, run_folder) for name in chapter.needs},
        "parameters": config.flatten(parameters, names),
        "defaults": config.flatten(config.Parameters(), names),
    }
    started, spent = datetime.now(UTC), _cpu()
    with store.atomic(out) as temporary:
        error = _papermill(source, temporary, facts["parameters"], root)
        if not error and not outputs.is_file():
            error = "the notebook ended before its last cell (run.close())"
        facts |= {
            "started": started.isoformat(timespec="seconds"),
            "seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
            "cpu_seconds": round(_cpu() - spent, 1),
            "error": error,
        }
        _stamp(source, temporary, facts)
    _record(run_folder, parameters, chapter.name, facts)
    if error:
        outputs.unlink(missing_ok=True)
        raise ChapterFailed(error)
    store.write_json(outputs, store.read_json(outputs) | {"fingerprint": facts["fingerprint"]})
    return out


def _cpu() -> float:
    """CPU-seconds of this process and of all that it has waited for: kernels and their workers."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _papermill(source: Path, out: Path, parameters: dict[str, Any], root: Path) -> str:
    """Execute a notebook; return the error that stopped it, empty where it came to its end.

    In a thread, for papermill takes Ctrl-C for an error of the notebook: here it reaches the
    command at once, and the kernel goes with all its workers.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    kernels: list[Any] = []
    work = ThreadPoolExecutor(1).submit(
        papermill.execute_notebook,
        str(source),
        str(out),
        parameters=parameters,
        kernel_name="python3",
        cwd=str(source.parent),
        progress_bar=False,
        request_save_on_cell_execute=False,
        kernel_manager_class=_kernel_class(kernels, root),
        # Asked to end, an idle kernel would complain of the interruption.
        extra_arguments=["--IPKernelApp.log_level=50"],
    )
    try:
        failure = work.exception()
    except KeyboardInterrupt:
        for pid in [getattr(kernel.provisioner, "pid", None) for kernel in kernels]:
            if pid:
                getattr(os, "killpg", os.kill)(pid, signal.SIGTERM)
        raise
    if failure is None:
        return ""
    if isinstance(failure, PapermillExecutionError):
        return re.sub(r"\x1b\[[0-9;]*m", "", f"{failure.ename}: {failure.evalue}")
    return f"{type(failure).__name__}: {store.readable(failure)}"


def _kernel_class(kernels: list[Any], root: Path) -> type:
    """A kernel manager that notes itself in `kernels` and talks through this machine's sockets.

    Over TCP other users of a shared machine could read a chapter's outputs on their way. Its
    kernel finds the project.
    """
    from jupyter_client.manager import AsyncKernelManager

    found = {"EXPRESSO_ROOT": str(root), "EXPRESSO_HERE": str(Path.cwd())}
    usual = {"PYDEVD_DISABLE_FILE_VALIDATION": "1", "MPLBACKEND": "agg"}

    class Kernel(AsyncKernelManager):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            kernels.append(self)
            if os.name != "nt":
                self.transport = "ipc"
                self.ip = str(Path(tempfile.gettempdir(), f"expresso-{uuid.uuid4().hex[:12]}"))

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
            await super().start_kernel(env=usual | os.environ | found, **options)

    return Kernel


def _stamp(source: Path, path: Path, facts: dict[str, Any]) -> None:
    try:
        notebook = nbformat.read(path, as_version=4)
    except ValueError:  # on a full disk papermill leaves half of one
        notebook = nbformat.read(source, as_version=4)
    notebook.metadata["expresso"] = facts
    # Papermill notes where it read and wrote; a reader's book must not name this machine's disk.
    notebook.metadata.pop("papermill", None)
    nbformat.write(notebook, path)


def _record(folder: Path, parameters: config.Parameters, name: str, facts: dict[str, Any]) -> None:
    kept = ("fingerprint", "parameters", "started", "seconds", "cpu_seconds", "error", "device",
            "commit")  # fmt: skip
    known = project.facts(folder).get("chapters", {})
    project.record(
        folder,
        parameters=parameters.model_dump(mode="json"),
        chapters=known | {name: {key: facts[key] for key in kept}},
        **{key: facts[key] for key in ("packages", "python", "device", "commit")},
    )
