"""From executed chapters to a book that opens by double click, and to one zip.

The pages in ``book/`` are MyST Markdown; what differs from run to run stands in them as
``[[ ... ]]`` (Jinja) and comes from `Facts`: tables, chapters, benchmarks. A fact that is not
there reads "not measured" and never stops the book. Sphinx builds offline; its warnings are errors.
"""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import jinja2
import nbformat
import pandas as pd
import yaml
from nbformat import NotebookNode
from pyarrow import parquet

from expresso_lib import config, faithfulness, store
from expresso_lib.figures import style
from expresso_lib.pipeline import chapters, printing, project, provenance
from expresso_lib.statistics import claims, prose

ROOT = project.project_root()
BENCHMARKS = ROOT / "benchmarks" / "bench.json"
RELEASE = "release 0.1"  # what every later measurement stands beside
BEFORE = ROOT / "benchmarks" / "release_0.1.json"
STUDY = ROOT / "benchmarks" / "study"
MISSING = "not measured"


class BuildFailed(RuntimeError):
    """Sphinx refused the pages; the message holds its warnings."""


@dataclass(frozen=True)
class ChapterFacts:
    """What is known of one chapter: `state` is "done", "failed" or "not run".

    `stamp` is the provenance that the pipeline wrote into the executed notebook, `current` the
    fingerprint of its sources now.
    """

    name: str
    title: str
    state: str
    command: str
    stamp: Mapping[str, Any] = field(default_factory=dict)
    current: Mapping[str, str] = field(default_factory=dict)

    @property
    def stale(self) -> list[str]:
        """What has changed since the chapter ran."""
        ran = self.stamp.get("fingerprint", {})
        return [key for key, value in self.current.items() if ran.get(key) != value]

    @property
    def freshness(self) -> str:
        """One word, or a short reason, as the status page shows it."""
        if self.state != "done":
            return self.state
        if not self.current:
            return "not proven"
        return f"stale ({', '.join(self.stale)} changed)" if self.stale else "fresh"

    @property
    def took(self) -> str:
        """Seconds it took, by the clock and of all processors together, as text."""
        if "seconds" not in self.stamp:
            return MISSING
        spent = self.stamp.get("cpu_seconds")
        return f"{self.stamp['seconds']:.0f} s" + (f" ({spent:.0f} CPU‑s)" if spent else "")

    @property
    def parameters(self) -> pd.DataFrame:
        """Each parameter with its type, its default, this run's value and whether they differ."""
        given, usual = self.stamp.get("parameters", {}), self.stamp.get("defaults", {})
        rows = [
            (name, type(value).__name__, repr(usual.get(name)), _shown(name, value),
             "" if usual.get(name) == value else "changed")
            for name, value in sorted(given.items())
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["parameter", "type", "default", "this run", "differs"])


@dataclass(frozen=True)
class Facts:
    """Everything that a page may say about one run."""

    folder: Path
    chapters: tuple[ChapterFacts, ...] = ()
    student: bool = False
    built: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.name

    @cached_property
    def run(self) -> dict[str, Any]:
        """What the pipeline recorded in ``run.json``."""
        return project.facts(self.folder)

    @property
    def freshness(self) -> str:
        """State of the whole run in one line."""
        not_fresh = [chapter.name for chapter in self.chapters if chapter.freshness != "fresh"]
        return f"not fresh: {', '.join(not_fresh)}" if not_fresh else "every chapter is fresh"

    def table(self, name: str, **where: Any) -> pd.DataFrame:
        """Return the rows of a table that fit `where`; empty where no chapter has made it."""
        path = self.folder / "tables" / f"{name}.parquet"
        return prose.fitting(pd.read_parquet(path) if path.is_file() else pd.DataFrame(), **where)

    def show(self, name: str, *columns: str, caption: str, digits: int = 2, **where: Any) -> str:
        """Write chosen columns and rows of a table as HTML, or that it was not measured."""
        return show_table(self.table(name, **where), columns, caption=caption, digits=digits)

    @property
    def standing(self) -> str:
        """Whether the run's model is shown to read severity, in words; empty if not measured."""
        differences = self.table("model_differences")
        recipe = self.run.get("default_recipe", "")
        return claims.standing(differences, recipe) if len(differences) else ""

    @property
    def front(self) -> str:
        """Whether to trust it, in words, from this run's tables; what is missing is said so."""
        recipe = self.run.get("default_recipe", "")
        scores, differences = (self.table(f"model_{name}") for name in ("scores", "differences"))
        faith = self.table("faithfulness")
        about = store.read_json(self.folder / "data" / "cohort" / "cohort.json")
        control, demo = float("nan"), about.get("demo", True)
        if len(faith):
            best = faithfulness.strongest_control(faith, "interventional_fidelity")
            control = float(best["estimate"])
        return prose.front(scores, differences, faith, recipe, control=control, demo=demo)

    @property
    def real(self) -> str:
        """What the committed study found on real faces, in words."""
        names = ("scores", "removals")
        return prose.real_faces(
            *(provenance.read_table(STUDY / f"real_{one}.csv") for one in names)
        )

    def bench(self, kind: str, caption: str, **where: Any) -> str:
        """Write benchmarks (`kind` "goal") or calibrations ("test"), each with its stamp.

        Beside each stands what release 0.1 had, where that was the same measurement.
        """
        # Measured here, or the committed table of the last time that all was measured.
        known = store.read_json(self.folder.parent / "bench.json") or store.read_json(BENCHMARKS)
        before = {_measured(row): row for row in store.read_json(BEFORE)}
        rows = [row | {"share": _share(row.get("test", ""))} for row in known if kind in row]
        rows = [row for row in rows if where.items() <= row.items()]
        written = _goal if kind == "goal" else _calibration
        lines = pd.DataFrame(written(row, before.get(_measured(row), {})) for row in rows)
        # Empty where it was not measured.
        lines["stamp"] = [provenance.stamp_text(row) if row.get("device") else "" for row in rows]
        if lines.empty:
            return show_table(lines, caption=caption)
        if kind == "goal":
            # What no machine at hand could measure gives way to its value from another.
            twice = lines.duplicated(["goal", "what"], keep=False)
            lines = lines[~twice | (lines["measured"] != MISSING)].sort_values(["goal", "what"])
        stamps = [stamp for stamp in lines["stamp"].unique() if stamp]
        if len(stamps) == 1:  # said once, it leaves room for the notes
            caption, lines = f"{caption}; {stamps[0]}", lines.drop(columns="stamp")
        return show_table(lines, caption=caption, digits=3)

    def study(self, name: str, *columns: str, caption: str, wide: str = "", **where: Any) -> str:
        """Write chosen columns and rows of a table of the study, with its stamp.

        With `wide` the estimates of each of that column's values stand in a column of their own.
        """
        table = prose.fitting(provenance.read_table(STUDY / f"{name}.csv"), **where)
        if wide and len(table):
            table = table.pivot_table("estimate", list(columns), wide, sort=False).reset_index()
            table.columns = columns = tuple(map(str, table.columns))
        elif len(table):
            table = table.drop_duplicates(list(columns))
        stamp = provenance.stamps(STUDY).get(name, {})
        caption = f"{caption} ({provenance.stamp_text(stamp)})" if stamp else caption
        return show_table(table, columns, caption=caption)

    @cached_property
    def dictionary(self) -> pd.DataFrame:
        """What the columns of this run's tables mean: table, column, unit, meaning."""
        known = yaml.safe_load((chapters.ASSETS / "data_dictionary.yaml").read_text("utf-8"))
        rows = []
        for path in sorted(self.folder.glob("tables/*.parquet")):
            texts = known["keys"] | known.get(path.stem, {})
            for column in parquet.read_schema(path).names:
                meaning, _, unit = texts.get(column, "").partition("; ")
                rows.append((path.stem, column, unit, meaning))
        return pd.DataFrame(rows, columns=["table", "column", "unit", "meaning"])

    def described(self, name: str) -> str:
        """Write what the columns of one table mean."""
        rows = self.dictionary[self.dictionary["table"] == name]
        return show_table(rows, ("column", "unit", "meaning"), caption=f"Table {name}")

    def fragment(self, name: str, otherwise: str) -> str:
        """Return a piece of HTML that a chapter left in ``figures/``, or some words instead."""
        path = self.folder / "figures" / name
        return raw(path.read_text(encoding="utf-8")) if path.is_file() else f"*{otherwise}*"


def _flat(parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        f"{section}.{name}": _shown(f"{section}_{name}", value)
        for section, body in parameters.items()
        for name, value in body.items()
        if section != "run"
    }


def show_table(
    table: pd.DataFrame, columns: Sequence[str] = (), *, caption: str, digits: int = 2
) -> str:
    """Write a table, or some columns, as a fenced block of HTML: Markdown leaves it alone."""
    table = table[[name for name in columns or table if name in table]]
    if table.empty:
        return f"*{caption}: {MISSING}.*"
    return raw(style.table_html(table, caption=caption, digits=digits))


def raw(text: str) -> str:
    """Fence HTML for MyST."""
    return f"\n````{{raw}} html\n{text}\n````\n"


def _measured(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells one measurement from another."""
    return tuple(row.get(name) for name in ("goal", "what", "test", "scenario", "n"))


def _goal(row: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    value, least = row["value"], row.get("better") == "higher"
    line = {"goal": row["goal"], "what": row.get("what", ""), "measured": MISSING}
    line |= {"bar": f"{'at least' if least else 'at most'} {row['bar']:g}", "reached": ""}
    if value is not None:  # else a goal of a machine that is not at hand
        holds = value >= row["bar"] if least else value <= row["bar"]
        line["measured"] = _figure(value)
        line["reached"] = "yes" if holds and row.get("gate", True) else "no"
    line[RELEASE] = _figure(before["value"]) if before else ""
    return line | {"note": row.get("note", "")}


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _share(test: str) -> str:
    """What a calibration's rate is a share of: its name says so."""
    if test.startswith("interval covers"):
        return "coverage"
    return "power" if test.startswith("finds a planted") else "false positives"


def _calibration(row: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    line = {"test": row["test"], "scenario": row["scenario"], "participants": row["n"]}
    line |= {"simulated cases": row["cohorts"], row["share"]: f"{100 * row['rate']:.1f} %"}
    line[RELEASE] = f"{100 * before['rate']:.1f} %" if before else ""
    if row["share"] == "false positives" and not row["naive"]:
        line["4 to 6 %"] = "kept" if 0.04 <= row["rate"] <= 0.06 else "missed"
    return line


def _shown(name: str, value: Any) -> str:
    """Write a parameter; where somebody's data lie is nobody else's business."""
    return "(a place on this machine)" if value and name in config.PLACES else repr(value)


# Chapters


def read_chapter(
    name: str, run_folder: Path, current: Mapping[str, str] | None = None
) -> tuple[ChapterFacts, NotebookNode]:
    """Return what is known of a chapter, and its executed notebook (empty if it has not run)."""
    path = run_folder / "notebooks" / f"{name}.ipynb"
    command, title = project.command(run_folder, f"run {name}"), chapters.find(name).title
    if not path.is_file():
        return ChapterFacts(name, title, "not run", command), nbformat.v4.new_notebook()
    notebook = nbformat.read(path, as_version=4)
    stamp = dict(notebook.metadata.get("expresso", {}))
    stamp["error"] = without_places(stamp.get("error", ""))
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    failed = stamp["error"] or any(output.output_type == "error" for output in outputs)
    state = "failed" if failed else "done"
    return ChapterFacts(name, title, state, command, stamp, current or {}), notebook


def dress(
    notebook: NotebookNode,
    facts: ChapterFacts,
    templates: jinja2.Environment,
    *,
    address: str = "",
    student: bool = False,
) -> NotebookNode:
    """Return the notebook as its page shows it: links above, run card below, code folded away."""
    cells = folded(without_solutions(notebook.cells) if student else notebook.cells)
    for cell in cells:
        if facts.state == "failed":
            # What a chapter never computed is said, not linked to: the book gets built.
            cell.source = re.sub(r"\{glue:\w+\}`[^`]*`", f"({MISSING})", cell.source)
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                output.evalue = without_places(output.evalue)
                output.traceback = [f"{output.ename}: {output.evalue}"]
            elif output.output_type == "stream":
                output.text = without_places(output.text)
    table = style.table_html(facts.parameters, caption=f"Parameters of {facts.name}")
    known = {"chapter": facts, "table": table, "notebook": address}
    parts = (templates.get_template(f"parts/{part}.html") for part in ("chapter_links", "run_card"))
    above, below = (nbformat.v4.new_markdown_cell(raw(part.render(known))) for part in parts)
    if not cells:
        text = "This chapter has **not been run** in this run, so its page shows nothing."
        cells = [nbformat.v4.new_markdown_cell(f"# {facts.title}\n\n{text}")]
    # The number that the text says (chapter 7) stands in the title, and so in the sidebar.
    number = chapters.find(facts.name).number
    cells[0].source = re.sub(r"^# ", f"# {number} ", cells[0].source, count=1, flags=re.M)
    kept = {key: value for key, value in notebook.metadata.items() if key != "expresso"}
    page = nbformat.v4.new_notebook(metadata=kept)
    page.cells = [cells[0], above, *cells[1:], below]
    return page


def without_places(text: str) -> str:
    """Return a text in which a path of this machine is only the name of its file.

    >>> without_places("no video '/home/dr_who/patients/a.mp4'; see C:\\\\data\\\\b.csv")
    "no video '…/a.mp4'; see …/b.csv"
    """
    quoted = r"(['\"])(?:[A-Za-z]:|~)?[\\/][^'\"\n]*[\\/]([^'\"\\/\n]*)\1"
    bare = r"(?<![\w.:/…])(?:[A-Za-z]:|~)?(?:[\\/][^\s'\"\\/:;,]+)+[\\/]([^\s'\"\\/:;,]*)"
    return re.sub(bare, r"…/\1", re.sub(quoted, r"\1…/\2\1", text))


def folded(cells: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Return cells whose code opens on demand, neighbours as one: a page is text and figures.

    What papermill added is left out: the run card shows each parameter beside its default.
    """
    kept: list[NotebookNode] = []
    for cell in map(nbformat.from_dict, cells):
        tags = set(cell.metadata.get("tags", []))
        if tags & {"injected-parameters", "papermill-error-cell-tag"}:
            continue
        if cell.cell_type == "code":
            before = kept[-1] if kept else None
            if not tags and before is not None and before.metadata.get("tags") == ["hide-input"]:
                before.source += f"\n\n{cell.source}"
                before.outputs += cell.outputs
                continue
            what = "parameters" if "parameters" in tags else "code"
            cell.metadata["tags"] = sorted(tags | {"hide-input"})
            shown = {"code_prompt_show": f"Show the {what}", "code_prompt_hide": f"Hide the {what}"}
            cell.metadata["mystnb"] = shown
        kept.append(cell)
    return kept


def without_solutions(cells: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Return the cells without the solutions fenced in them."""
    fenced = re.compile(r"^(`{3,}|:{3,})\{solution\}.*?^\1[ \t]*$", re.M | re.S)
    left = [{**cell, "source": fenced.sub("", cell.source).strip()} for cell in cells]
    return [nbformat.from_dict(cell) for cell in left if cell["source"]]


# The book


def inputs(root: Path, run_folder: Path) -> list[Path]:
    """Return the files that the pages depend on."""
    ours = ("book/**/*", "notebooks/*.ipynb", "benchmarks/*.json", "benchmarks/study/*")
    found = [path for pattern in ours for path in root.glob(pattern)]
    for pattern in ("notebooks/*.ipynb", "tables/*.parquet", "figures/*.html", "run.json"):
        found += run_folder.glob(pattern)
    found.append(run_folder.parent / "bench.json")
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def build(
    run_folder: Path,
    *,
    current: Mapping[str, Mapping[str, str]] | None = None,
    student: bool = False,
) -> Path:
    """Build the static book of one run.

    Parameters
    ----------
    run_folder : Path
        ``build/<run>`` with ``notebooks/``, ``tables/`` and ``run.json``; a chapter that was not
        executed gets a page that says so.
    current : mapping, optional
        Per chapter the hashes of its sources now; without them freshness is "not proven".
    student : bool
        Leave the solutions out, of the pages and of the notebooks offered for download.

    Returns
    -------
    Path
        ``index.html`` below ``html/``, or ``student/``.

    Raises
    ------
    BuildFailed
        If Sphinx warns of anything.
    """
    run_folder, current = Path(run_folder).resolve(), current or {}
    edition = "student" if student else "html"
    source, out = run_folder / "pages" / edition, run_folder / edition
    paths = [chapters.notebook_path(chapter, ROOT) for chapter in chapters.CHAPTERS]
    committed = {path.stem: path for path in paths if path.is_file()}
    read = [read_chapter(name, run_folder, current.get(name)) for name in committed]
    facts = Facts(run_folder, tuple(chapter for chapter, _ in read), student)
    dictionary = run_folder / "tables" / "data_dictionary.csv"
    store.write_text(dictionary, facts.dictionary.to_csv(index=False))
    templates = templates_of(ROOT / "book")
    written = set(_write_pages(ROOT / "book", source, facts, templates))
    for chapter, notebook in read:
        address = offered(committed[chapter.name], student=student)
        page = dress(notebook, chapter, templates, address=address, student=student)
        written.add(_refresh(source / f"{chapter.name}.ipynb", nbformat.writes(page)))
    for path in [path for path in source.rglob("*") if path.is_file() and path not in written]:
        path.unlink()
    _sphinx(source, out)
    printing.write_slides(source, out)
    return out / "index.html"


def templates_of(folder: Path) -> jinja2.Environment:
    """Read the pages' templates below a folder, as `dress` takes them."""
    # Square brackets, because Markdown, LaTeX and MyST already use every other pair.
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=lambda name: str(name).endswith(".html"),
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
    )


def _write_pages(book: Path, out: Path, facts: Facts, pages: jinja2.Environment) -> Iterator[Path]:
    for path in sorted(path for path in book.rglob("*") if path.is_file()):
        name = path.relative_to(book)
        if path.suffix in (".md", ".yml"):
            text = pages.get_template(name.as_posix()).render(facts=facts)
            yield _refresh(out / name, text)
        elif "__pycache__" not in path.parts:
            yield _refresh(out / name, path.read_bytes())


def _refresh(path: Path, content: str | bytes) -> Path:
    """Write only what has changed: Sphinx reads a page again when its file is newer."""
    data = content.encode() if isinstance(content, str) else content
    if not path.is_file() or path.read_bytes() != data:
        store.make_folder(path.parent)
        path.write_bytes(data)
    return path


def _sphinx(source: Path, out: Path) -> None:
    from jupyter_book.sphinx import build_sphinx

    doctrees, said = source.with_name(f"{source.name}-doctrees"), io.StringIO()
    with redirect_stderr(said):
        failed = build_sphinx(
            source, out, path_config=source / "_config.yml", noconfig=True, doctreedir=doctrees,
            confoverrides={"latex_individualpages": False}, quiet=True, warningiserror=True,
            keep_going=True,
        )  # fmt: skip
    if isinstance(failed, KeyboardInterrupt):
        raise failed
    if failed:
        # Kept, they would hide the warning of a page that has not changed.
        shutil.rmtree(doctrees, ignore_errors=True)
        raise BuildFailed(f"the book was not built; mend these pages:\n{said.getvalue().strip()}")


def offered(path: Path, *, student: bool = False) -> str:
    """Return a committed notebook as a data address, without what it gave on this machine.

    A browser downloads a data address, also from a page on a stick; a file beside the page it
    only shows.
    """
    notebook = nbformat.read(path, as_version=4)
    if student:
        notebook.cells = without_solutions(notebook.cells)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    text = base64.b64encode(nbformat.writes(notebook).encode()).decode()
    return f"data:application/x-ipynb+json;base64,{text}"


def compare(first: Path, second: Path) -> Path:
    """Set two runs side by side on one page, ``compare-<other>.html`` in the first's folder."""
    a, b = Facts(Path(first).resolve()), Facts(Path(second).resolve())
    for side in (a, b):
        if not side.run:
            command = project.command(side.folder, "book")
            raise FileNotFoundError(f"run {side.name!r} has no run.json; make it first: {command}")
    drawn = [{path.name for path in side.folder.glob("figures/*.png")} for side in (a, b)]
    template = templates_of(ROOT / "book").get_template("parts/compare.html")
    tables = [style.table_html(table, caption=title) for title, table in differences(a, b)]
    page = template.render(a=a, b=b, tables=tables, figures=sorted(drawn[0] & drawn[1]))
    return store.write_text(a.folder / f"compare-{b.name}.html", page)


def differences(*sides: Facts) -> Iterator[tuple[str, pd.DataFrame]]:
    """Return titles and tables of two runs side by side: parameters, scores, verdicts."""
    flat = pd.DataFrame({side.name: _flat(side.run.get("parameters", {})) for side in sides})
    names, suffixes = zip(*((side.name, f" ({side.name})") for side in sides))
    one, two = (flat[name].fillna("") for name in names)
    yield "Parameters that differ", flat[one != two].rename_axis("parameter").reset_index()
    for name, keys, values in (
        ("model_scores", ["recipe", "level", "metric"], ["estimate", "ci_low", "ci_high"]),
        ("results", ["hypothesis", "au", "region", "sign"], ["estimate", "p_max"]),
        ("claims", ["claim"], ["found", "verdict"]),
    ):
        tables = [side.table(name) for side in sides]
        if all(map(len, tables)):
            one, two = (table[keys + values] for table in tables)
            both = one.merge(two, on=keys, how="outer", suffixes=suffixes)
            yield name.replace("_", " ").capitalize(), both


def export(run_folder: Path, *, student: bool = False) -> Path:
    """Pack the built book into one zip that opens by double click; return it.

    Raises
    ------
    FileNotFoundError
        If the book has not been built.
    """
    index = run_folder / ("student" if student else "html") / "index.html"
    if not index.is_file():
        command = project.command(run_folder, "book")
        raise FileNotFoundError(f"{index} is missing; build the book first: {command}")
    name = f"expresso-{run_folder.resolve().name}{'-student' if student else ''}"
    target = run_folder / f"{name}.zip"
    with store.atomic(target) as made, ZipFile(made, "w", ZIP_DEFLATED) as archive:
        for path in sorted(path for path in index.parent.rglob("*") if path.is_file()):
            if path.name != ".buildinfo":
                archive.write(path, Path(name) / path.relative_to(index.parent))
    return target
