"""Every chapter that is not up to date, one after another, then the book."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from expresso_lib import cohort, config, store
from expresso_lib.clips import preprocessing
from expresso_lib.models import networks
from expresso_lib.pipeline import chapters, check, execution, printing, project, publishing
from expresso_lib.rendered import planting

logger = logging.getLogger(__name__)


class Busy(RuntimeError):
    """Another process works in this run's folder."""


def make(
    parameters: config.Parameters, root: Path, *, force: bool = False, options: str = ""
) -> tuple[Path, dict[str, str]]:
    """Execute what is not up to date and build the book.

    Parameters
    ----------
    parameters : config.Parameters
        Of the run.
    root : Path
        The project.
    force : bool
        Execute chapters even if they are up to date (finished pieces of work are still reused).
    options : str
        As `run_chapters` takes it.

    Returns
    -------
    index : Path
        The book's first page.
    failed : dict of str
        Chapters that failed, with the reason; they are in the book, as failed.
    """
    forced = [chapter.name for chapter in chapters.CHAPTERS] if force else []
    failed = run_chapters(chapters.CHAPTERS, parameters, root, force=forced, options=options)
    return _build_pages(parameters, root), failed


def run_chapters(
    wanted: Sequence[chapters.Chapter],
    parameters: config.Parameters,
    root: Path,
    *,
    force: Sequence[str] = (),
    options: str = "",
) -> dict[str, str]:
    """Execute the chapters that are not up to date.

    Parameters
    ----------
    wanted : sequence of Chapter
        In the book's order.
    parameters, root
        As `make` takes them.
    force : sequence of str
        Names of chapters to execute even if they are up to date.
    options : str
        What was typed behind the command, e.g. ``--params demo``; pages suggest it again.

    Returns
    -------
    dict of str
        Name of every chapter that failed, or waits for one that failed, with the reason.
    """
    failed: dict[str, str] = {}
    run_folder = project.run_folder(root, parameters.run.name)
    with alone(run_folder):
        due = {c.name: "forced" if c.name in force else stale(c, parameters, root) for c in wanted}
        _announce({name: why for name, why in due.items() if why}, parameters)
        if options:
            project.record(run_folder, options=options)
        for chapter in wanted:
            missing = [name for name in chapter.needs if name in failed]
            if missing:
                failed[chapter.name] = f"waits for {missing[0]}"
            elif chapter.name in force or stale(chapter, parameters, root):
                logger.info("chapter %s, %s", chapter.number, chapter.title)
                try:
                    execution.execute(chapter, parameters, root)
                except execution.ChapterFailed as failure:
                    failed[chapter.name] = str(failure)
    return failed


def _announce(due: Mapping[str, str], parameters: config.Parameters) -> None:
    """Say what will be executed, and so overwritten; refuse what cannot end well.

    Raises
    ------
    ValueError
        For a network or a planted variant that does not exist, or data of too few people.
    FetchError, TrackerError
        For a tracker or network whose weights are not here and cannot be fetched; for none at all.
    """
    if "01_cohort" in due:
        planting.variant(parameters.cohort.variant)
    if "02_faces" in due:
        preprocessing.fetch_weights(parameters.faces)
    if "03_finetune" in due:
        wanted, clips = parameters.training, parameters.clips
        networks.build(wanted.model, weights=wanted.weights, frames=clips.frames, size=clips.size)
    if "01_cohort" in due and parameters.cohort.source != "rendered":
        recordings = cohort.from_parameters(parameters.cohort).recordings
        longest = int(check.frames_of(recordings, parameters.clips).max())
        config.suffice(check.with_clips(recordings, parameters.clips), longest, parameters)
        if "02_faces" in due:
            asked = parameters.faces
            preprocessing.choose_tracker(
                asked.tracker, recordings, weights_folder=asked.weights_folder
            )
    if due:
        what = ", ".join(f"{name} ({why})" for name, why in due.items())
        logger.info(
            "In build/%s will be executed: %s; then what changes.", parameters.run.name, what
        )


def stale(chapter: chapters.Chapter, parameters: config.Parameters, root: Path) -> str:
    """Say why a chapter has to be executed; empty where it is up to date."""
    run_folder = project.run_folder(root, parameters.run.name)
    done = store.read_json(chapters.outputs_path(chapter.name, run_folder))
    if "fingerprint" not in done:
        return "not finished yet"
    for name, made in done["made"].items():
        place = (run_folder if "/" in name else run_folder / "tables") / name
        if not place.is_file():
            return f"{name} is gone"
        if store.file_hash(place) != made:
            return f"{name} was changed"
    now = chapters.fingerprint(chapter, parameters, root)
    changed = [key for key, value in now.items() if done["fingerprint"].get(key) != value]
    return f"changed: {', '.join(changed)}" if changed else ""


def _build_pages(parameters: config.Parameters, root: Path, *, student: bool = False) -> Path:
    run_folder = project.run_folder(root, parameters.run.name)
    edition = "student" if student else "html"
    index, rested_on = run_folder / edition / "index.html", run_folder / "pages" / f"{edition}.json"
    with alone(run_folder):
        changed = {c.name: stale(c, parameters, root) for c in chapters.CHAPTERS}
        inputs = {str(path): store.file_hash(path) for path in publishing.inputs(root, run_folder)}
        facts = {"inputs": inputs, "library": store.rooms_hash("pipeline"), "stale": changed}
        if not index.is_file() or store.read_json(rested_on) != facts:
            rested_on.unlink(missing_ok=True)  # until it is whole again
            publishing.build(run_folder, changed, student=student)
            store.write_json(rested_on, facts)
    return index


def export(parameters: config.Parameters, root: Path, *, pdf: bool = False) -> list[Path]:
    """Pack the book and its student edition, which leaves the solutions out; return the files.

    Parameters
    ----------
    parameters : config.Parameters
        Of a run whose book is built.
    root : Path
        The project.
    pdf : bool
        Print the whole book as one PDF, too.
    """
    run_folder, packed = project.run_folder(root, parameters.run.name), []
    for student in (False, True):
        if student or (run_folder / "html" / "index.html").is_file():
            _build_pages(parameters, root, student=student)
        with alone(run_folder):
            packed.append(publishing.export(run_folder, student=student))
    if pdf:
        target = run_folder / f"expresso-{run_folder.name}.pdf"
        packed.append(printing.write_pdf(run_folder / "html", target))
    return packed


@contextmanager
def alone(run_folder: Path) -> Iterator[None]:
    """Hold a run's folder, so that two books in it do not harm each other.

    Raises
    ------
    Busy
        Where another process holds it.
    """
    store.make_folder(run_folder)
    try:
        with FileLock(run_folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise Busy(f"another expresso works in {run_folder}; wait, or use --run NAME.") from None


def with_needs(chapter: str) -> list[chapters.Chapter]:
    """Return a chapter by name with all that it rests on, in the book's order."""
    wanted = {chapters.find(chapter).name}
    for one in reversed(chapters.CHAPTERS):  # a chapter rests on earlier ones only
        wanted |= {*one.needs} if one.name in wanted else set()
    return [chapter for chapter in chapters.CHAPTERS if chapter.name in wanted]
