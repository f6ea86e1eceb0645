"""From executed chapters to a book that opens by double click, and to one zip.

The pages in ``book/`` are MyST Markdown; what differs from run to run stands in them as
``[[ ... ]]`` (Jinja) and comes from `facts.Facts`. Sphinx builds offline; its warnings are errors.
"""

import base64
import io
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import jinja2
import nbformat
from nbformat import NotebookNode

from expresso_lib import config, store
from expresso_lib.figures import style
from expresso_lib.pipeline import chapters, printing, project
from expresso_lib.pipeline.facts import MISSING, ChapterFacts, Facts, raw

ROOT = project.project_root()


class BuildFailed(RuntimeError):
    """Sphinx refused the pages; the message holds its warnings."""


# Chapters


def read_chapter(name: str, run_folder: Path, stale: str) -> tuple[ChapterFacts, NotebookNode]:
    """Return what is known of a chapter, and its executed notebook (empty if it has not run)."""
    path = run_folder / "notebooks" / f"{name}.ipynb"
    command, title = project.command(run_folder, f"run {name}"), chapters.find(name).title
    command = without_values(command)
    if not path.is_file():
        return ChapterFacts(name, title, "not run", command, stale), nbformat.v4.new_notebook()
    notebook = nbformat.read(path, as_version=4)
    stamp = dict(notebook.metadata.get("expresso", {}))
    stamp["error"] = without_places(stamp.get("error", ""))
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    failed = stamp["error"] or any(output.output_type == "error" for output in outputs)
    state = "failed" if failed else "done"
    return ChapterFacts(name, title, state, command, stale, stamp), notebook


def dress(
    notebook: NotebookNode, facts: ChapterFacts, templates: jinja2.Environment, address: str = ""
) -> NotebookNode:
    """Return the notebook as its page shows it: links above, run card below, code folded away."""
    cells = folded(notebook.cells)
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
    return nbformat.v4.new_notebook(metadata=kept, cells=[cells[0], above, *cells[1:], below])


def without_values(command: str) -> str:
    """Return a command in which options that name places on this machine keep their value back.

    >>> without_values("expresso run 3 -p cohort.folder=/home/dr_who/mine --params /home/me/a.yaml")
    'expresso run 3 -p cohort.folder=… --params …/a.yaml'
    """
    places = {name.replace("_", ".", 1) for name in config.PLACES}
    words = [word.partition("=") for word in shlex.split(command)]
    shown = (f"{key}=…" if key.strip() in places else shlex.quote(f"{key}{equals}{value}")
             for key, equals, value in words)  # fmt: skip
    return without_places(" ".join(shown))


def without_places(text: str) -> str:
    """Return a text in which a path of this machine is only the name of its file.

    >>> without_places("no video '/home/dr_who/patients/a.mp4'; see C:\\\\data\\\\b.csv")
    "no video '…/a.mp4'; see …/b.csv"
    >>> without_places('"/home/o\\'brien/p/a.mp4" is empty')
    '"…/a.mp4" is empty'
    """
    quoted = r"(['\"])(?:[A-Za-z]:|~)?[\\/](?:(?!\1)[^\n])*[\\/]((?:(?!\1)[^\\/\n])*)\1"
    bare = r"(?<![\w.:/…])(?:[A-Za-z]:|~)?(?:[\\/][^\s'\"\\/:;,]+)+[\\/]([^\s'\"\\/:;,]*)"
    text = re.sub(quoted, r"\1…/\2\1", text)
    for place in map(str, (ROOT, Path.cwd(), Path.home())):
        if " " in place:  # where a bare path ends nobody can tell otherwise
            text = re.sub(re.escape(place) + r"[\\/]?", "/…/", text)
    return re.sub(bare, r"…/\1", text)


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
            if not tags and kept and kept[-1].metadata.get("tags") == ["hide-input"]:
                kept[-1].source += f"\n\n{cell.source}"
                kept[-1].outputs += cell.outputs
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
    for pattern in ("notebooks/*.ipynb", "tables/[!.]*.parquet", "figures/*.html", "run.json"):
        found += run_folder.glob(pattern)
    found.append(run_folder.parent / "bench.json")
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def build(run_folder: Path, stale: Mapping[str, str], *, student: bool = False) -> Path:
    """Build the static book of one run.

    Parameters
    ----------
    run_folder : Path
        ``build/<run>`` with ``notebooks/``, ``tables/`` and ``run.json``; a chapter that was not
        executed gets a page that says so.
    stale : mapping
        Per chapter why it has to be executed again, empty where it is up to date (`book.stale`).
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
    run_folder = Path(run_folder).resolve()
    edition = "student" if student else "html"
    source, out = run_folder / "pages" / edition, run_folder / edition
    paths = [chapters.notebook_path(chapter, ROOT) for chapter in chapters.CHAPTERS]
    committed = {path.stem: path for path in paths if path.is_file()}
    read = [read_chapter(name, run_folder, stale.get(name, "not proven")) for name in committed]
    facts = Facts(run_folder, tuple(chapter for chapter, _ in read), student)
    dictionary = run_folder / "tables" / "data_dictionary.csv"
    store.write_text(dictionary, facts.dictionary.to_csv(index=False))
    templates = templates_of(ROOT / "book")
    written = set(_write_pages(ROOT / "book", source, facts, templates))
    for chapter, executed in read:
        own = nbformat.read(committed[chapter.name], as_version=4)
        if student:
            for notebook in (executed, own):
                notebook.cells = without_solutions(notebook.cells)
        page = dress(executed, chapter, templates, offered(own))
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


def offered(notebook: NotebookNode) -> str:
    """Return a committed notebook as a data address, without what it gave on this machine.

    A browser downloads a data address, also from a page on a stick; a file beside the page it
    only shows.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    text = base64.b64encode(nbformat.writes(notebook).encode()).decode()
    return f"data:application/x-ipynb+json;base64,{text}"


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
