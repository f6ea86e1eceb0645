"""What a chapter holds in its hands: parameters, folders, tables, figures, numbers for prose."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from expresso_lib import cohort as cohorts
from expresso_lib import config, rendered, statistics, store
from expresso_lib.faces import video
from expresso_lib.figures import drawing, page, style
from expresso_lib.models import Recipe, experiments
from expresso_lib.pipeline import chapters, project, provenance


class MissingRun(FileNotFoundError):
    """An earlier chapter of this run has not been executed yet."""


PLANNED = ("participants", "recordings", "seconds", "fps", "seed", "variant")


def open_run(chapter: str, namespace: Mapping[str, Any]) -> "Run":
    """Return the run a notebook works in, after checking its parameters.

    Parameters
    ----------
    chapter : str
        The notebook's name, e.g. ``03_finetune``.
    namespace : mapping
        The notebook's ``globals()`` right after its parameters cell.

    Raises
    ------
    config.ParameterError
        For a wrong name, type or range.
    MissingRun
        If a chapter this one rests on has not run, naming it and how to run it.
    """
    this = chapters.find(chapter)
    parameters = config.collect(namespace)
    run = Run(this, parameters, project.project_root())
    for earlier in this.needs:
        if not chapters.outputs_path(earlier, run.folder).is_file():
            command = project.command(run.folder, f"run {earlier}")
            raise MissingRun(f"{earlier} has not finished in run {run.name!r}; first: {command}")
    for folder in (run.data, run.models, run.tables, run.figures):
        store.make_folder(folder)
    # Until its last cell the chapter counts as not run, and what an earlier book knew of it does
    # not vouch for tables that are made by hand now.
    chapters.outputs_path(this.name, run.folder).unlink(missing_ok=True)
    style.use()
    return run


@dataclass
class Run:
    """One chapter in one run.

    Attributes
    ----------
    name : str
        Of the run; its ``folder`` is ``build/<name>``.
    data, models, tables, figures : Path
        Below it: arrays, checkpoints, tables (Parquet, and CSV beside it), PNG and SVG.
    """

    chapter: chapters.Chapter
    parameters: Any  # config.Declared: config.Parameters as far as this chapter declares them
    root: Path
    _figures: dict[str, int] = field(default_factory=dict)
    _made: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.name: str = self.parameters.run.name
        self.folder = project.run_folder(self.root, self.name)
        self.data, self.models = self.folder / "data", self.folder / "models"
        self.tables, self.figures = self.folder / "tables", self.folder / "figures"

    # Data

    @cached_property
    def _cohort(self) -> cohorts.Cohort:
        return cohorts.Cohort.load(self.data / "cohort")

    def open_cohort(self) -> cohorts.Cohort:
        """Read the data set that the cohort parameters name, and write down who is in it.

        Rendered participants that do not ship with the project are rendered first.
        """
        section, default = self.parameters.cohort, config.CohortSection()
        ships = all(getattr(section, name) == getattr(default, name) for name in (*PLANNED, "size"))
        if section.source == "rendered" and not section.folder and not ships:
            folder = self.data / "rendered"
            rendered.write_cohort(folder, self.plan(), size=section.size, executor=self.executor)
            found = cohorts.read("rendered", folder)
        else:
            found = cohorts.from_parameters(section)
        # Who may be shown, and the score's scale, which later chapters read there.
        about = found.save(self.data / "cohort") / "cohort.json"
        self._made[about.relative_to(self.folder).as_posix()] = store.file_hash(about)
        self._cohort = found
        return found

    def plan(self) -> rendered.Plan:
        """Return the plan behind the rendered cohort; of other data, that of the demo cohort."""
        section = self.parameters.cohort
        if section.source == "rendered" and section.folder:
            return rendered.read_plan(section.folder)
        return rendered.plan_cohort(**{name: getattr(section, name) for name in PLANNED})

    def cohort(self) -> cohorts.Cohort:
        """Return who is analysed, from chapter 3 on without what chapter 2 left out."""
        if "02_faces" not in self.chapter.needs:
            return self._cohort
        quality = self.table("quality")
        return self._cohort.only(quality.loc[quality["passed"], "recording"])

    @property
    def demo(self) -> bool:
        """Whether the participants are rendered."""
        return self._cohort.demo

    @property
    def note(self) -> str:
        """What every figure says of its data."""
        return "Demo cohort (rendered faces)" if self.demo else self._cohort.name

    def study(self) -> experiments.Study:
        """Return what every recipe shares: the cohort's people, clips and folds.

        Raises
        ------
        MissingRun
            If clips of a recording that passed are gone: nobody drops out in silence.
        """
        who, folder = self.cohort(), self.data / "clips_face"
        names = who.recordings["recording"]
        if gone := [name for name in names if not (folder / f"{name}.npz").is_file()]:
            again = project.command(self.folder, "run 02_faces --force")
            raise MissingRun(f"clips of {len(gone)} recordings are gone; make them again: {again}")
        return experiments.study_of(who.participants, who.recordings, self.data, self.parameters)

    @property
    def recipe(self) -> Recipe:
        """The default recipe, as the parameters declare it."""
        return experiments.default_recipe(self.parameters)

    def table(self, name: str, **where: str) -> pd.DataFrame:
        """Return a table of this run, or those of its rows that fit (`statistics.select`).

        Raises
        ------
        MissingRun
            If no chapter has made it yet.
        """
        path = self.tables / f"{name}.parquet"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in self.tables.glob("[!.]*.parquet"))) or "none"
            raise MissingRun(
                f"run {self.name!r} has no table {name!r}; run its chapter. There are: {known}"
            )
        return statistics.select(pd.read_parquet(path), **where)

    def write_table(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        """Write a table as Parquet and CSV; return it."""
        path = self.tables / f"{name}.parquet"
        with store.atomic(path) as temporary:
            table.to_parquet(temporary, index=False)
        store.write_text(path.with_suffix(".csv"), table.to_csv(index=False))
        self._made[path.name] = store.file_hash(path)
        return table

    def evidence(self, name: str) -> pd.DataFrame:
        """Return a committed table of the study, with its own stamp; empty where there is none."""
        return provenance.read_table(self.root / "benchmarks" / "study" / f"{name}.csv")

    def record(self, **facts: Any) -> None:
        """Add facts to ``run.json``, e.g. ``default_recipe``."""
        project.record(self.folder, **facts)

    def fact(self, name: str) -> Any:
        """Return a fact of ``run.json``.

        Raises
        ------
        MissingRun
            If no chapter has recorded it.
        """
        known = project.facts(self.folder)
        if name not in known:
            raise MissingRun(f"run {self.name!r} has no {name!r}; execute earlier chapters first.")
        return known[name]

    # Work

    @cached_property
    def executor(self) -> Executor | None:
        """Where pieces of work run; None: in this process."""
        return store.executor(**self.parameters.run.model_dump(exclude={"name"}))

    def map(
        self, function: store.Work, items: Iterable[store.Item], *, out: str | Path, **options: Any
    ) -> list[store.Outcome]:
        """Run pieces of work through `store.map` with this run's executor, below ``data/``."""
        return store.map(function, items, out=self.data / out, executor=self.executor, **options)

    def once(
        self, name: str, function: Callable[..., pd.DataFrame], cases: Mapping[str, dict[str, Any]]
    ) -> dict[str, pd.DataFrame]:
        """Return what a function gives for each case, computed once: it reads no data of the run.

        Parameters
        ----------
        name : str
            Folder below ``data/`` for the tables.
        function : callable
            Of a module; gives a table.
        cases : mapping
            Name of each case to the function's arguments.
        """
        basis = store.basis(function.__module__)
        work = [
            store.Item(case, {"basis": basis, "given": given}, payload=function)
            for case, given in cases.items()
        ]
        done = self.map(store.tabulate, work, out=name, suffix=".parquet")
        return {one.item.name: pd.read_parquet(one.path) for one in done}

    # What the reader sees

    def figure(self, name: str, figure: Figure, *, caption: str, alt: str, note: str = "") -> None:
        """Save a figure and show it, numbered, with its caption and a text alternative.

        The ``note`` names the data the figure rests on, by default those of this run, so that it
        can stand alone. In place of a figure that cannot be drawn stands the reason.
        """
        style.note(figure, note or self.note)
        for kind in ("png", "svg"):
            with store.atomic(self.figures / f"{name}.{kind}") as temporary:
                figure.savefig(temporary)
        picture = page.picture(figure, name=name, alt=alt)
        self.interactive(name, picture, caption=caption, note=note)

    def movie(self, name: str, path: Path, *, caption: str, alt: str, note: str = "") -> None:
        """Show a video file as `figure` shows a figure."""
        # Without a poster the place stays black until the film is played.
        first = drawing.address(video.read_array(path, [0])[0])
        film = style.template("film.html").render(poster=first, alt=alt, film=drawing.film(path))
        self.interactive(name, film, caption=caption, note=note)

    def interactive(self, name: str, piece: str, *, caption: str, note: str = "") -> None:
        """Show a piece of a page that answers to a hand as `figure` shows a figure."""
        number = self._figures.setdefault(name, len(self._figures) + 1)
        self.show(style.template("figure.html").render(
            name=name, piece=piece, number=f"{self.chapter.number}.{number}", caption=caption,
            note=note or self.note,
        ))  # fmt: skip

    def show(
        self, table: pd.DataFrame | str, *, caption: str = "", digits: int = 2, note: str = ""
    ) -> None:
        """Show a table (or a piece of HTML), scrolling sideways where the page is narrow.

        A table's caption ends in the ``note``, as a figure's does: the data that it rests on.
        """
        from IPython.display import HTML, display

        if not isinstance(table, str):
            whole = f"{caption} {note or self.note}.".strip()
            table = style.table_html(table, caption=whole, digits=digits)
        display(HTML(table))

    def glue(self, **values: Any) -> None:
        """Keep numbers and texts for the prose, where ``{glue:text}`r_low:.2f` `` shows them.

        A row (Series or mapping) with ``estimate``, ``ci_low`` and ``ci_high`` is kept whole: as
        ``<name>``, ``<name>_low`` and ``<name>_high``.
        """
        from myst_nb import glue

        for name, value in values.items():
            kept = {name: value}
            if isinstance(value, pd.Series | Mapping):
                ends = {"": "estimate", "_low": "ci_low", "_high": "ci_high"}
                kept = {name + end: value[column] for end, column in ends.items()}
            for full, one in kept.items():
                glue(full, one.item() if hasattr(one, "item") else one, display=False)

    def close(self) -> None:
        """Stamp the chapter as finished: its tables and models with their hashes.

        The last cell of every chapter; without the stamp the chapter counts as not run.
        """
        # Only the chapter that trains answers for the models; the others find them there.
        models = self.models.glob("[!.]*.safetensors") if self.chapter.trains else ()
        made = self._made | {f"models/{path.name}": store.file_hash(path) for path in models}
        path = chapters.outputs_path(self.chapter.name, self.folder)
        store.write_json(path, {"made": made, "unread": self.parameters.unread})
        if "executor" in self.__dict__ and self.executor is not None:
            self.executor.shutdown(wait=True)
