"""What a person types: ``expresso book``, ``run``, ``data``, ``pretrain``, ``explain``, ….

Every command imports what it needs when it is called, so that help and nothing-changed runs
answer at once. Exit codes: 0 done; 1 a chapter or a piece of work failed; 2 a mistake in what
was asked; 130 interrupted.
"""

import importlib
import logging
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table
from rich.text import Text

from expresso_lib import config, store

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Explainable video models of depression severity, as a book anyone can re-run.",
)
data_app = typer.Typer(no_args_is_help=True, help="Data sets and weights.")
params_app = typer.Typer(no_args_is_help=True, help="Parameters of the notebooks.")
app.add_typer(data_app, name="data")
app.add_typer(params_app, name="params")

out = Console(soft_wrap=True, highlight=False, markup=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)

ParamsOption = Annotated[str, typer.Option(help="profile of notebooks/params, or a file")]
_SET = typer.Option("-p", "--set", metavar="SECTION.NAME=VALUE", help="override; may be repeated")
SetOption = Annotated[list[str] | None, _SET]
RunOption = Annotated[str, typer.Option(help="folder below build/; default: the profile")]


def _parameters(
    profile: str, overrides: list[str] | None, run: str = ""
) -> tuple[config.Parameters, Path, str]:
    """Return the run's parameters, the project's folder, and the options that gave them."""
    from expresso_lib.pipeline import project_root

    root, chosen = project_root(), list(overrides or [])
    typed = ["--params", profile] + (["--run", run] if run else [])
    typed += [word for text in chosen for word in ("-p", text)]
    chosen += [f"run.name={run}"] if run else []
    parameters = config.load_profile(profile, root / "notebooks" / "params", chosen)
    return parameters, root, shlex.join(typed)


@app.command()
def book(
    params: ParamsOption = "demo",
    set_: SetOption = None,
    run: RunOption = "",
    force: Annotated[bool, typer.Option("--force", help="execute every chapter again")] = False,
) -> None:
    """Execute every chapter that is not up to date and build the book.

    Example: `expresso book --params demo -p clips.frames=64 --run demo-64`
    """
    parameters, root, options = _parameters(params, set_, run)
    from expresso_lib.pipeline import book as books

    index, failed = books.make(parameters, root, force=force, options=options)
    out.print(f"The book: {index}")
    _exit_if_failed(failed)


@app.command("run")
def run_chapter(
    chapter: Annotated[str, typer.Argument(help="number or name, e.g. 3 or 03_finetune")],
    params: ParamsOption = "demo",
    set_: SetOption = None,
    run: RunOption = "",
    force: Annotated[bool, typer.Option("--force", help="even if it is up to date")] = False,
) -> None:
    """Execute one chapter, and those it rests on where they are not up to date.

    What is executed overwrites the run's tables and is said first; `--run NAME` keeps them.

    Example: `expresso run 6 --params demo -p statistics.window=128 --run demo-window`
    """
    parameters, root, options = _parameters(params, set_, run)
    from expresso_lib.pipeline import book as books
    from expresso_lib.pipeline import project

    wanted = books.with_needs(chapter)
    forced = [wanted[-1].name] if force else []
    _exit_if_failed(books.run_chapters(wanted, parameters, root, force=forced, options=options))
    folder = project.run_folder(root, parameters.run.name)
    out.print(f"The executed chapter: {folder / 'notebooks' / wanted[-1].name}.ipynb")
    again = project.command(folder, "book")
    out.print(f"Its sentences get their numbers on the pages of the book: {again}")


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _numbers(text: str) -> list[int]:
    wrong = [word for word in _words(text) if not word.isdecimal()]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no whole number from 0 on; write e.g. 0,1,2.")
    if text and not _words(text):
        raise ValueError(f"{text!r} names none; write e.g. 0,1,2.")
    return [int(word) for word in _words(text)]


def _exit_if_failed(failed: dict[str, str]) -> None:
    """Name every chapter that failed; the last line is the first one's cause and the remedy."""
    if not failed:
        return
    for name, why in failed.items():
        err.print(f"{name}: {why}")
    first, why = next(iter(failed.items()))
    # Where many pieces of work failed, the second line names the first of them.
    cause = " ".join(why.splitlines()[: 1 + why.splitlines()[0].endswith(":")]).rstrip(".")
    text = f"{first} failed, {cause}. Mend that and repeat the command: what is done is kept."
    err.print(text, style="red")
    raise typer.Exit(1)


@app.command()
def export(
    params: ParamsOption = "demo",
    run: RunOption = "",
    pdf: Annotated[bool, typer.Option("--pdf", help="print the whole book too (Chromium)")] = False,
) -> None:
    """Pack a run's book, and its student edition, into zips that open by double click.

    Example: `expresso export --params demo --pdf`
    """
    parameters, root, _ = _parameters(params, [], run)
    from expresso_lib.pipeline import book as books

    for path in books.export(parameters, root, pdf=pdf):
        out.print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="a run, e.g. demo")],
    second: Annotated[str, typer.Argument(help="another run, e.g. demo-64")],
) -> None:
    """Set two runs side by side: parameters, scores and results that differ.

    Example: `expresso compare demo demo-64`
    """
    from expresso_lib.pipeline import comparison, project

    folders = [project.run_folder(project.project_root(), name) for name in (first, second)]
    out.print(f"{comparison.compare(*folders)}")


@app.command()
def explain(
    video: Annotated[Path, typer.Argument(help="a recording of one face")],
    landmarks: Annotated[Path | None, typer.Option(help="another tool's CSV; else tracked")] = None,
    aus: Annotated[Path | None, typer.Option(help="another tool's CSV; else proxies")] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="folder of the card")] = None,
    run: Annotated[str, typer.Option("--run", help="run whose final model explains")] = "demo",
    show_face: Annotated[bool, typer.Option("--show-face", help="for local use")] = False,
    face: Annotated[int | None, typer.Option(min=0, help="which of several faces")] = None,
) -> None:
    """Explain the model's prediction for one recording of your own.

    Without `--landmarks` (another tool's table, or a rendered recording's NPZ) S3FD and FAN find
    the face where their weights are at hand, else MediaPipe. Without `--aus` action units are
    those of `--landmarks`, else labelled proxies. `--show-face` draws on the video itself and
    leaves its landmarks on six frames beside the card. `--face 0` is seen in most frames.

    Example: `expresso explain me.mp4 --landmarks me.csv --out card`
    """
    from expresso_lib.pipeline import project, recording

    folder = out_dir or Path(f"{video.stem}-explained")
    made = project.run_folder(project.project_root(), run)
    how: dict[str, Any] = {"landmarks": landmarks, "aus": aus, "show_face": show_face, "face": face}
    card = recording.explain(video, out=folder, run_folder=made, **how)
    out.print(f"The explanation card: {card}")


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="your videos and their table")],
    params: ParamsOption = "folder",
    set_: SetOption = None,
) -> None:
    """Look at a folder before anything runs: names, scores, tables, trackers, how long.

    Example: `expresso check /path/to/mine -p cohort.score=phq-9`
    """
    from expresso_lib.pipeline import check as checks

    overrides = [f"cohort.folder={folder.resolve()}", *(set_ or [])]
    parameters, _, _ = _parameters(params, overrides)
    # What is noted while the folder is read is told below.
    logging.getLogger("expresso_lib.cohort").setLevel(logging.WARNING)
    found = checks.check(parameters)
    for one in found:
        mark, color = ("fine", "green") if one.fine else ("look", "yellow")
        out.print(Text(mark, color), f" {one.what}: {one.found}")
        if one.remedy:
            out.print(f"      {one.remedy}")
    if not all(one.fine for one in found):
        raise typer.Exit(1)


@app.command()
def pretrain(
    destination: Annotated[Path, typer.Argument(help="checkpoint to write (.safetensors)")],
    people: Annotated[int, typer.Option(min=8, help="rendered practice people")] = 3600,
    epochs: Annotated[int, typer.Option(min=1)] = 24,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Pre-train our network: it learns to recognise actions on rendered practice people.

    Twins (a third as many, 400 at most) then show it what is no movement. The defaults make the
    checkpoint that ships, in some two hours on two cores. A run that was killed goes on.

    Example: `expresso pretrain facial_actions.safetensors`
    """
    from expresso_lib.models import practice, pretraining

    wanted = practice.Practice(people=people, epochs=epochs, twins=min(400, people // 3), seed=seed)
    pretraining.pretrain(destination, practice=wanted, executor=store.executor("loky"))
    out.print(f"The checkpoint: {destination}")


@app.command()
def study(
    seeds: Annotated[str, typer.Option(help="cohorts, e.g. 0,1,2; default: 0 to 4")] = "",
    only: Annotated[str, typer.Option(help="parts of the study; a wrong one names them")] = "",
    params: ParamsOption = "study",
    set_: SetOption = None,
    run: RunOption = "",
) -> None:
    """Repeat the book's scores and explanations over many cohorts; hours, resumable.

    Example: `expresso study --seeds 0,1,2 --only scores,chance -p run.engine=dask`
    """
    parameters, root, _ = _parameters(params, set_, run)
    sys.path.insert(0, str(root))  # the study lies beside the library
    studies = importlib.import_module("benchmarks.study")
    workers = store.executor(**parameters.run.model_dump(exclude={"name"}))
    plan = studies.design(parameters, root, executor=workers)
    tables = studies.run(plan, root, seeds=_numbers(seeds) or studies.SEEDS, only=_words(only))
    for name, table in tables.items():
        out.print(f"{studies.folder(root) / name}.csv ({len(table)} rows)")


@data_app.command("list")
def data_list() -> None:
    """List data sets and weights: tier, licence, what is here.

    Example: `expresso data list`
    """
    from expresso_lib import manifest

    _print_table(manifest.status(), "Data sets and weights")


@data_app.command("verify")
def data_verify(names: Annotated[list[str] | None, typer.Argument(help="else all")] = None) -> None:
    """Check the files that are here against their hashes.

    Example: `expresso data verify demo_cohort`
    """
    from expresso_lib import manifest

    table = manifest.verify(*(names or []))
    _print_table(table, "Files against their hashes")
    counts = [f"{n} {what}" for what, n in table["status"].value_counts().items()]
    out.print(f"{len(table)} files: {', '.join(counts) or 'none here'}")
    if (table["status"] == "wrong").any():
        raise typer.Exit(1)


@data_app.command("fetch")
def data_fetch(
    names: Annotated[list[str], typer.Argument(help="e.g. s3fd fan r2plus1d_18")],
    parts: Annotated[str, typer.Option(help="only these, e.g. 01,02 for two actors")] = "",
) -> None:
    """Download data sets or weights and check their hashes; what is here and whole stays.

    `$EXPRESSO_DATA` may name a folder to keep data sets in, `$EXPRESSO_MIRROR` an address or a
    folder to take the files from.

    Example: `expresso data fetch ravdess --parts 01,02`
    """
    from expresso_lib import manifest

    for name in names:
        out.print(f"{name}: {manifest.fetch(name, parts=_words(parts) or None)}")


@data_app.command("render")
def data_render(
    folder: Annotated[Path, typer.Argument(help="where to write the cohort")],
    participants: Annotated[int, typer.Option(min=1, max=999)] = 84,
    recordings: Annotated[int, typer.Option(min=1, max=99)] = 2,
    seconds: Annotated[float, typer.Option(min=0.1)] = 10.0,
    size: Annotated[int, typer.Option(min=48, max=512, help="px")] = 160,
    fps: Annotated[float, typer.Option(min=5, max=120)] = 25.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    variant: Annotated[str, typer.Option(help="what is planted; as cohort.variant")] = "default",
) -> None:
    """Render a demo cohort: videos with exact landmarks and action units.

    Example: `expresso data render my_cohort --participants 8 --variant headset`
    """
    from expresso_lib.rendered import plan_cohort, write_cohort

    plan = plan_cohort(participants, recordings, seconds, fps=fps, seed=seed, variant=variant)
    write_cohort(folder, plan, size=size, executor=store.executor("loky"))
    out.print(f"The cohort: {folder}")


@params_app.command("sync")
def params_sync() -> None:
    """Write every notebook's parameters cell anew from the schema.

    Example: `expresso params sync`
    """
    from expresso_lib.pipeline import chapters, project_root

    for path in chapters.sync(project_root()):
        out.print(f"rewritten: {path}")


@params_app.command("show")
def params_show(params: ParamsOption = "demo", set_: SetOption = None) -> None:
    """Show a profile's parameters with their meaning.

    Example: `expresso params show --params quick`
    """
    import pandas as pd

    parameters, _, _ = _parameters(params, set_)
    known = [(section, *pair) for section, values in parameters for pair in values]
    rows = [(f"{s}.{name}", value, config.describe(s, name)) for s, name, value in known]
    table = pd.DataFrame(rows, columns=["parameter", "value", "meaning"])
    _print_table(table, f"Parameters of {params}")


def _print_table(frame: Any, title: str) -> None:
    table = Table(*(name.replace("_", " ") for name in frame), title=title)
    table.columns[0].no_wrap = True
    for row in frame.astype(str).itertuples(index=False):
        table.add_row(*row)
    out.print(table, soft_wrap=False)


def main() -> None:
    """Run the command line; a user's mistake is one message, not a traceback."""
    handler = RichHandler(console=err, show_path=False, show_time=False, show_level=False)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    logging.getLogger("papermill").setLevel(logging.ERROR)  # it warns of run_* parameters
    try:
        app()
    except SystemExit as end:
        if end.code == 130:
            err.print("Interrupted. Finished work is kept; the same command goes on from here.")
            os._exit(130)  # at once: what is left would wait for a kernel that is gone
        raise
    except Exception as error:
        failed = type(error).__name__ in ("WorkFailed", "BuildFailed", "Busy")
        if not failed and not isinstance(error, ValueError | OSError | ImportError):
            raise  # a fault of ours
        err.print(Text(f"{type(error).__name__}:", "red"), store.readable(error))
        sys.exit(1 if failed else 2)


if __name__ == "__main__":
    main()
