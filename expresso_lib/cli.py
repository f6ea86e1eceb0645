"""What a person types: ``expresso book``, ``run``, ``data``, ``pretrain``, ``explain``, ….

Every command imports what it needs when it is called, so that help and nothing-changed runs
answer at once. Exit codes: 0 done; 1 a chapter or a piece of work failed; 2 a mistake in what
was asked; 130 interrupted.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from expresso_lib import config

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Explainable video models of depression severity, as a book anyone can re-run.",
)
data_app = typer.Typer(
    no_args_is_help=True, help="Data sets and weights: list, verify, fetch, render."
)
params_app = typer.Typer(no_args_is_help=True, help="Parameters of the notebooks.")
app.add_typer(data_app, name="data")
app.add_typer(params_app, name="params")

out = Console()
err = Console(stderr=True)

ParamsOption = Annotated[
    str,
    typer.Option(
        "--params", help="profile: a file of notebooks/params, e.g. demo, quick, study, folder"
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "-p", "--set", metavar="SECTION.NAME=VALUE", help="override one parameter; may be repeated"
    ),
]
RunOption = Annotated[
    str,
    typer.Option(
        "--run", help="name of the run's folder below build/; default: the profile's name"
    ),
]
EngineOption = Annotated[
    str, typer.Option("--engine", help="process, loky or dask; default: the profile's")
]
SchedulerOption = Annotated[str, typer.Option("--scheduler", help="address of a Dask scheduler")]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=0, help="worker processes; 0: one per core")
]


def _parameters(
    profile: str, overrides: list[str] | None, run: str = "", engine: str = "", scheduler: str = ""
) -> tuple[config.Parameters, Path]:
    from expresso_lib import config
    from expresso_lib.pipeline import project_root

    chosen = list(overrides or [])
    chosen += [
        f"run.{name}={value}"
        for name, value in (("name", run), ("engine", engine), ("scheduler", scheduler))
        if value
    ]
    root = project_root()
    return config.load_profile(profile, root / "notebooks" / "params", chosen), root


@app.command()
def book(
    params: ParamsOption = "demo",
    set_: SetOption = None,
    run: RunOption = "",
    engine: EngineOption = "",
    scheduler: SchedulerOption = "",
    student: Annotated[bool, typer.Option("--student", help="leave solutions out")] = False,
    force: Annotated[bool, typer.Option("--force", help="execute every chapter again")] = False,
) -> None:
    """Execute every chapter that is not up to date and build the book.

    Example: `expresso book --params demo -p clips.frames=64 --run demo-64`
    """
    parameters, root = _parameters(params, set_, run, engine, scheduler)
    from expresso_lib.pipeline import book as books

    index, failed = books.make(parameters, root, student=student, force=force)
    out.print(f"The book: {index}", soft_wrap=True, highlight=False)
    _exit_if_failed(failed)


@app.command("run")
def run_chapter(
    chapter: Annotated[str, typer.Argument(help="number or name, e.g. 3 or 03_finetune")],
    params: ParamsOption = "demo",
    set_: SetOption = None,
    run: RunOption = "",
    engine: EngineOption = "",
    scheduler: SchedulerOption = "",
    force: Annotated[bool, typer.Option("--force", help="execute again")] = False,
) -> None:
    """Execute one chapter, and those it rests on where they are not up to date.

    Example: `expresso run 6 --params demo -p statistics.window=128`
    """
    parameters, root = _parameters(params, set_, run, engine, scheduler)
    from expresso_lib.pipeline import book as books

    wanted = books.with_needs(chapter)
    failed = books.run_chapters(wanted, parameters, root, force=force)
    _exit_if_failed(failed)
    path = root / "build" / parameters.run.name / "notebooks" / f"{wanted[-1].name}.ipynb"
    out.print(f"The executed chapter: {path}", soft_wrap=True, highlight=False)


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _numbers(text: str) -> list[int]:
    wrong = [word for word in _words(text) if not word.isdigit()]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no whole number from 0 on; write e.g. 0,1,2.")
    return [int(word) for word in _words(text)]


def _exit_if_failed(failed: list[str]) -> None:
    if failed:
        err.print(
            f"[red]These chapters failed or wait for one that failed: {', '.join(failed)}.[/red] "
            "They are published as failed; everything finished is kept."
        )
        raise typer.Exit(1)


@app.command()
def export(
    params: ParamsOption = "demo",
    run: RunOption = "",
    student: Annotated[bool, typer.Option("--student", help="leave solutions out")] = False,
) -> None:
    """Pack a run's book into one zip that opens by double click, without a network.

    Example: `expresso export --params demo`
    """
    parameters, root = _parameters(params, [], run)
    from expresso_lib.pipeline import publishing

    path = publishing.export(root / "build" / parameters.run.name, student=student)
    out.print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)", soft_wrap=True, highlight=False)


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="a run, e.g. demo")],
    second: Annotated[str, typer.Argument(help="another run, e.g. demo-64")],
) -> None:
    """Set two runs side by side: parameters, scores and results that differ.

    Example: `expresso compare demo demo-64`
    """
    from expresso_lib.pipeline import project_root, publishing

    build = project_root() / "build"
    out.print(
        f"{publishing.compare(build / first, build / second)}", soft_wrap=True, highlight=False
    )


@app.command()
def explain(
    video: Annotated[Path, typer.Argument(help="a recording of one face")],
    landmarks: Annotated[
        Path | None,
        typer.Option(
            help="its landmarks as another tool's CSV; without it S3FD and FAN find them where "
            "their weights are at hand, else MediaPipe"
        ),
    ] = None,
    aus: Annotated[
        Path | None,
        typer.Option(
            help="its action units as another tool's CSV; without it those of --landmarks, else "
            "labelled proxies"
        ),
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", help="folder of the card; default: beside the video's name"),
    ] = None,
    run: Annotated[str, typer.Option("--run", help="run whose final model explains")] = "demo",
    show_face: Annotated[
        bool,
        typer.Option(
            "--show-face",
            help="draw on the video itself, and its landmarks on six frames; for local use",
        ),
    ] = False,
    face: Annotated[
        int | None,
        typer.Option(min=0, help="which of several faces: 0 is seen in most frames; or a table's"),
    ] = None,
) -> None:
    """Explain the model's prediction for one recording of your own.

    Example: `expresso explain me.mp4 --landmarks me.csv --out card`
    """
    from expresso_lib.pipeline import project_root, recording

    folder = out_dir or Path(f"{video.stem}-explained")
    card = recording.explain(
        video,
        landmarks=landmarks,
        aus=aus,
        out=folder,
        run_folder=project_root() / "build" / run,
        show_face=show_face,
        face=face,
    )
    out.print(f"The explanation card: {card}", soft_wrap=True, highlight=False)


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="your videos and their table")],
    params: ParamsOption = "folder",
    set_: SetOption = None,
) -> None:
    """Look at a folder before anything runs: names, scores, tables, trackers, how long.

    Example: `expresso check /path/to/mine -p cohort.score=phq-9`
    """
    from .pipeline import check as checks

    overrides = [f"cohort.folder={folder.resolve()}", *(set_ or [])]
    parameters, _ = _parameters(params, overrides)
    found = checks.check(parameters)
    for one in found:
        mark = "[green]fine[/green]" if one.fine else "[yellow]look[/yellow]"
        out.print(f"{mark}  {one.what}:", end=" ", soft_wrap=True)
        out.print(one.found, markup=False, highlight=False, soft_wrap=True)
        if one.remedy:
            out.print(f"      {one.remedy}", markup=False, highlight=False, soft_wrap=True)
    if not all(one.fine for one in found):
        raise typer.Exit(1)


@app.command()
def pretrain(
    destination: Annotated[Path, typer.Argument(help="checkpoint to write (.safetensors)")],
    identities: Annotated[int, typer.Option(min=2, help="rendered identities")] = 1600,
    epochs: Annotated[int, typer.Option(min=1)] = 10,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    workers: WorkersOption = 0,
) -> None:
    """Pre-train the small backbone to read facial actions from rendered faces.

    Example: `expresso pretrain facial_actions.safetensors --identities 1600`
    """
    from expresso_lib import engine
    from expresso_lib.models import pretraining

    pretraining.pretrain(
        destination,
        identities=identities,
        epochs=epochs,
        seed=seed,
        executor=engine.executor("loky", workers=workers),
    )
    out.print(f"The checkpoint: {destination}", soft_wrap=True, highlight=False)


@app.command()
def bench(
    goal: Annotated[str, typer.Option(help="one goal or calibration; default: all")] = "",
    quick: Annotated[bool, typer.Option("--quick", help="a minute instead of twenty")] = False,
) -> None:
    """Measure the goals and calibrate the tests; write build/bench.json.

    Example: `expresso bench --goal 4`
    """
    import subprocess

    from expresso_lib.pipeline import project_root

    words = [sys.executable, "-m", "benchmarks"]
    words += ["--goal", goal] if goal else []
    raise typer.Exit(
        subprocess.run(
            words + (["--quick"] if quick else []), cwd=project_root(), check=False
        ).returncode
    )


@app.command()
def study(
    seeds: Annotated[str, typer.Option(help="cohorts, e.g. 0,1,2; default: 0 to 4")] = "",
    only: Annotated[
        str,
        typer.Option(
            help="parts, of scores, null, headset, faithfulness, regions, scratch and grid; "
            "default: all"
        ),
    ] = "",
    params: ParamsOption = "study",
    set_: SetOption = None,
    run: RunOption = "",
    engine: EngineOption = "",
    scheduler: SchedulerOption = "",
) -> None:
    """Repeat the book's scores and explanations over many cohorts; hours, resumable.

    Example: `expresso study --seeds 0,1,2 --only scores,null --engine loky`
    """
    parameters, root = _parameters(params, set_, run, engine, scheduler)
    from expresso_lib import engine as engines
    from expresso_lib.pipeline import study as studies

    where = parameters.run
    workers = engines.executor(
        where.engine, workers=where.workers, threads=where.threads, scheduler=where.scheduler
    )
    plan = studies.design(parameters, root, executor=workers)
    tables = studies.run(plan, root, seeds=_numbers(seeds) or studies.SEEDS, only=_words(only))
    for name, table in tables.items():
        out.print(
            f"{studies.folder(root) / name}.csv ({len(table)} rows)",
            soft_wrap=True,
            highlight=False,
        )


@data_app.command("list")
def data_list(
    long: Annotated[bool, typer.Option("--long", help="licence, folder, source too")] = False,
) -> None:
    """List data sets and weights: tier, licence, what is here.

    Example: `expresso data list`
    """
    from expresso_lib import manifest

    table = manifest.status()
    short = ["name", "tier", "kind", "megabytes", "state", "faces_may_be_shown"]
    if not long:
        _print_table(table[[name for name in short if name in table]], "Data sets and weights")
        return
    for row in table.to_dict("records"):
        out.rule(str(row.pop("name")), align="left")
        for name, value in row.items():
            out.print(f"{name}: {value}", soft_wrap=True, highlight=False, markup=False)


@data_app.command("verify")
def data_verify(
    names: Annotated[list[str] | None, typer.Argument(help="default: all")] = None,
) -> None:
    """Check the files that are here against their hashes.

    Example: `expresso data verify demo_cohort`
    """
    from expresso_lib import manifest

    table = manifest.verify(names or None)
    _print_table(table, "Files against their hashes")
    if (table["status"] == "wrong").any():
        raise typer.Exit(1)


@data_app.command("fetch")
def data_fetch(
    names: Annotated[list[str], typer.Argument(help="e.g. s3fd fan r2plus1d_18")],
    folder: Annotated[str, typer.Option(help="keep files here; default: the cache")] = "",
    mirror: Annotated[str, typer.Option(help="address or folder to take them from")] = "",
    parts: Annotated[str, typer.Option(help="only these, e.g. 01,02 for two actors")] = "",
) -> None:
    """Download data sets or weights; resumes, checks hashes.

    Example: `expresso data fetch ravdess --parts 01,02`
    """
    from expresso_lib import manifest

    for name in names:
        path = manifest.fetch(
            name, folder=folder or None, mirror=mirror or None, parts=_words(parts) or None
        )
        out.print(f"{name}: {path}", soft_wrap=True, highlight=False)


@data_app.command("render")
def data_render(
    folder: Annotated[Path, typer.Argument(help="where to write the cohort")],
    participants: Annotated[int, typer.Option(min=1, max=999)] = 24,
    recordings: Annotated[int, typer.Option(min=1, max=99)] = 3,
    seconds: Annotated[float, typer.Option(min=0.1)] = 10.0,
    size: Annotated[int, typer.Option(min=48, max=512, help="px")] = 224,
    fps: Annotated[float, typer.Option(min=5, max=120)] = 25.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    variant: Annotated[
        str, typer.Option(help="default, null, headset, region:NAME or au:N")
    ] = "default",
    workers: WorkersOption = 0,
) -> None:
    """Render a demo cohort: videos with exact landmarks, action units and masks.

    Example: `expresso data render my_cohort --participants 8 --variant headset`
    """
    from expresso_lib import engine, rendered

    plan = rendered.plan_cohort(
        participants=participants,
        recordings=recordings,
        seconds=seconds,
        fps=fps,
        seed=seed,
        variant=variant,
    )
    rendered.write_cohort(
        folder, plan, size=size, executor=engine.executor("loky", workers=workers)
    )
    out.print(f"The cohort: {folder}", soft_wrap=True, highlight=False)


@params_app.command("sync")
def params_sync() -> None:
    """Write every notebook's parameters cell anew from the schema.

    Example: `expresso params sync`
    """
    from expresso_lib.pipeline import notebooks, project_root

    for path in notebooks.sync(project_root()):
        out.print(f"rewritten: {path}", soft_wrap=True, highlight=False)


@params_app.command("show")
def params_show(params: ParamsOption = "demo", set_: SetOption = None) -> None:
    """Show a profile's parameters with their meaning.

    Example: `expresso params show --params quick`
    """
    from expresso_lib import config

    parameters, _ = _parameters(params, set_)
    table = Table("parameter", "value", "meaning", title=f"Parameters of {params}")
    for section in config.SECTIONS:
        for name, value in getattr(parameters, section).model_dump().items():
            table.add_row(f"{section}.{name}", str(value), config.describe(section, name))
    out.print(table)


def _print_table(frame: pd.DataFrame, title: str) -> None:
    table = Table(title=title)
    for index, column in enumerate(frame.columns):
        table.add_column(str(column).replace("_", " "), no_wrap=index == 0)
    for row in frame.astype(str).itertuples(index=False):
        table.add_row(*row)
    out.print(table)


def main() -> None:
    """Run the command line; a user's mistake is one message, not a traceback."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=err, show_path=False, show_time=False, show_level=False)],
    )
    logging.getLogger("papermill").setLevel(logging.WARNING)
    try:
        app()
    except KeyboardInterrupt:
        err.print("Interrupted. Finished work is kept; the same command goes on from there.")
        sys.exit(130)
    except Exception as error:
        if os.environ.get("EXPRESSO_DEBUG"):
            raise
        code = _exit_code(error)
        if code is None:
            raise
        err.print(f"[red]{type(error).__name__}:[/red]", end=" ")
        err.print(_message(error), markup=False, highlight=False, soft_wrap=True)
        sys.exit(code)


def _exit_code(error: Exception) -> int | None:
    """Return 2 for a mistake in what was asked, 1 for failed work, None for a fault of ours."""
    from expresso_lib.store import WorkFailed

    if isinstance(error, WorkFailed) or type(error).__name__ == "BuildFailed":
        return 1
    return 2 if isinstance(error, ValueError | OSError | ImportError) else None


def _message(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return f"the disk is full ({error}); free some space and run again, finished work is kept."
    return str(error)


if __name__ == "__main__":
    main()
