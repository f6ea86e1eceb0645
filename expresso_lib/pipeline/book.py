"""Every chapter that is not up to date, one after another, then the book."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytask
from pytask import PathNode, TaskWithoutPath

from expresso_lib import config, store
from expresso_lib.pipeline import chapters, execution, kernels, publishing

logger = logging.getLogger(__name__)


def make(
    parameters: config.Parameters, root: Path, *, student: bool = False, force: bool = False
) -> tuple[Path, list[str]]:
    """Execute what is not up to date and build the book.

    Parameters
    ----------
    parameters : config.Parameters
        Of the run.
    root : Path
        The project.
    student : bool
        Leave the exercises' solutions out.
    force : bool
        Execute chapters even if they are up to date (finished pieces of work are still reused).

    Returns
    -------
    index : Path
        The book's first page.
    failed : list of str
        Chapters that failed; they are in the book, as failed.
    """
    run_folder = root / "build" / parameters.run.name
    failed = run_chapters(chapters.CHAPTERS, parameters, root, force=force)
    executed = {
        chapter.name: run_folder / "notebooks" / f"{chapter.name}.ipynb"
        for chapter in chapters.CHAPTERS
        if (run_folder / "notebooks" / f"{chapter.name}.ipynb").is_file()
    }
    index = _build_pages(run_folder, root, executed, student)
    return index, failed


def run_chapters(
    wanted: Sequence[chapters.Chapter],
    parameters: config.Parameters,
    root: Path,
    *,
    force: bool = False,
) -> list[str]:
    """Execute the chapters that are not up to date; return the names of those that failed."""
    run_folder = root / "build" / parameters.run.name
    _write_settings(run_folder)
    failed: list[str] = []
    tasks = [_chapter_task(chapter, parameters, root, failed) for chapter in wanted]
    with kernels.ahead(at_once=force or any(_stale(c.name, run_folder) for c in wanted)):
        _pytask(tasks, run_folder, force)
    finished = [c.name for c in wanted if chapters.outputs_path(c.name, run_folder).is_file()]
    return [c.name for c in wanted if c.name not in finished or c.name in failed]


def _stale(name: str, run_folder: Path) -> bool:
    """Whether a chapter never finished, or its fingerprint has changed since."""
    outputs = chapters.outputs_path(name, run_folder)
    facts = run_folder / "fingerprints" / f"{name}.json"
    return not outputs.is_file() or facts.stat().st_mtime_ns > outputs.stat().st_mtime_ns


def _chapter_task(
    chapter: chapters.Chapter, parameters: config.Parameters, root: Path, failed: list[str]
) -> TaskWithoutPath:
    run_folder = root / "build" / parameters.run.name

    def run(**_: Any) -> None:
        logger.info("chapter %s, %s", chapter.number, chapter.title)
        try:
            execution.execute(chapter, parameters, root)
        except execution.ChapterFailed:
            failed.append(chapter.name)
            raise

    depends = {f"after_{name}": chapters.outputs_path(name, run_folder) for name in chapter.needs}
    depends["fingerprint"] = _fingerprint(
        run_folder, chapter.name, chapters.fingerprint(chapter, parameters, root)
    )
    return _task(
        chapter.name,
        run,
        depends,
        {
            "notebook": run_folder / "notebooks" / f"{chapter.name}.ipynb",
            "outputs": chapters.outputs_path(chapter.name, run_folder),
        },
    )


def _build_pages(run_folder: Path, root: Path, executed: dict[str, Path], student: bool) -> Path:
    index = run_folder / ("student" if student else "html") / "index.html"
    inputs = publishing.inputs(root, run_folder)

    faults: list[publishing.BuildFailed] = []

    def build(**_: Any) -> None:
        try:
            publishing.build(run_folder, executed, student=student)
        except publishing.BuildFailed as fault:
            faults.append(fault)
            raise

    facts = {str(path.relative_to(root)): store.file_hash(path) for path in inputs}
    facts |= {
        "publishing": store.source_hash("expresso_lib.pipeline.publishing"),
        "student": str(student),
        "chapters": " ".join(sorted(executed)),
    }
    depends = executed | {"fingerprint": _fingerprint(run_folder, "book", facts)}
    session = _pytask([_task("book", build, depends, {"index": index})], run_folder, False)
    if faults:
        raise faults[0]
    if session.exit_code != pytask.ExitCode.OK:
        raise RuntimeError("the pages could not be built; the messages above say why.")
    return index


def _fingerprint(run_folder: Path, name: str, facts: Mapping[str, str]) -> Path:
    """Write down what a task's freshness depends on beside files; touched only when it changes.

    A file, because pytask tells values of different tasks apart only in functions it parses.
    """
    path = run_folder / "fingerprints" / f"{name}.json"
    text = json.dumps(facts, indent=1, sort_keys=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        store.write_text(path, text)
    return path


def _task(
    name: str,
    function: Callable[..., None],
    depends: Mapping[str, Path],
    produces: Mapping[str, Path],
) -> TaskWithoutPath:
    def nodes(paths: Mapping[str, Path]) -> dict[str, PathNode]:
        return {key: PathNode(path=path, name=str(path)) for key, path in paths.items()}

    return TaskWithoutPath(
        name=name, function=function, depends_on=nodes(depends), produces=nodes(produces)
    )


def _pytask(tasks: list[TaskWithoutPath], run_folder: Path, force: bool) -> pytask.Session:
    return pytask.build(
        tasks=tasks,
        config=run_folder / "pyproject.toml",
        paths=[run_folder / "data"],
        force=force,
        capture="no",
        show_traceback=False,
        verbose=1,
        show_errors_immediately=False,
        disable_warnings=True,
    )


def _write_settings(run_folder: Path) -> None:
    """Make the run's folder pytask's root, so that its lock file lies with the run."""
    store.make_folder(run_folder / "data")
    settings = run_folder / "pyproject.toml"
    if not settings.is_file():
        store.write_text(settings, "[tool.pytask.ini_options]\n")


def with_needs(chapter: str) -> list[chapters.Chapter]:
    """Return a chapter by name with all that it rests on, in the book's order."""
    wanted: set[str] = set()
    stack = [chapters.find(chapter).name]
    while stack:
        name = stack.pop()
        wanted.add(name)
        stack += chapters.BY_NAME[name].needs
    return [chapter for chapter in chapters.CHAPTERS if chapter.name in wanted]
