"""From executed chapters to pages: what a page may say, and what it must not."""

import zipfile

import nbformat
import pandas as pd
import pytest

from expresso_lib.pipeline import project, publishing
from expresso_lib.pipeline.facts import ChapterFacts, Facts

NEW = nbformat.v4


def executed(run_folder, *, error="", outputs=(), parameters=None):
    stamp = {
        "error": error, "seconds": 3.0, "fingerprint": {"notebook": "a", "data": "b"},
        "parameters": parameters or {"clips_frames": 16}, "defaults": {"clips_frames": 32},
    }  # fmt: skip
    cells = [
        NEW.new_markdown_cell("# Faces\n\nWhere? {glue:text}`lost:.0f`"),
        NEW.new_code_cell("x = 1", outputs=list(outputs), metadata={"tags": ["parameters"]}),
        NEW.new_markdown_cell(
            "```{exercise}\n:label: a\nTry.\n```\n\n```{solution} a\nSecret.\n```\n\nAfter."
        ),
    ]
    path = run_folder / "notebooks" / "02_faces.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(NEW.new_notebook(cells=cells, metadata={"expresso": stamp}), path)
    return run_folder


def test_a_page_says_what_made_its_chapter_stale(tmp_path):
    """In its state, and beside the hash that has changed; of a fresh chapter nothing."""
    path = executed(tmp_path / "demo")
    templates = publishing.templates_of(publishing.ROOT / "book")
    for why, words, marks in (
        ("", "fresh", 0),
        ("changed: notebook, data", "stale (changed: notebook, data)", 2),
        ("metadata.parquet is gone", "stale (metadata.parquet is gone)", 0),
        ("not finished yet", "stale (not finished yet)", 0),
    ):
        facts, notebook = publishing.read_chapter("02_faces", path, why)
        assert facts.freshness == words
        card = publishing.dress(notebook, facts, templates).cells[-1].source
        assert card.count("changed since") == marks


def test_status_page_has_room_for_its_columns(run):
    """The command, once in every row, ran off the page."""
    chapters = [
        ChapterFacts(name, "Title", "done", f"expresso run {name}", "", {"seconds": 3.0})
        for name in ("01_cohort", "02_faces")
    ]
    page = publishing.templates_of(publishing.ROOT / "book").get_template("status.md")
    text = page.render(facts=Facts(run, tuple(chapters)))
    assert text.count("expresso run") == 1
    assert text.count("</i> 3 s") == len(chapters)
    assert "<svg" not in text


def test_title_of_a_page_carries_the_chapters_number(tmp_path):
    """The text says "chapter 2", so the sidebar does; a chapter that has not run, too."""
    templates = publishing.templates_of(publishing.ROOT / "book")
    for path, title in (
        (executed(tmp_path / "demo"), "# 2 Faces\n"),
        (tmp_path / "none", "# 2 Faces\n"),
    ):
        facts, notebook = publishing.read_chapter("02_faces", path, "")
        page = publishing.dress(notebook, facts, templates)
        assert page.cells[0].source.startswith(title)
        assert page.cells[0].source.count("# ") == 1


def test_failed_chapter_is_published_as_failed(tmp_path):
    """An error is shown, never hidden, and missing numbers do not stop the book."""
    path = executed(tmp_path / "demo", error="ValueError: no face")
    facts, notebook = publishing.read_chapter("02_faces", path, "")
    templates = publishing.templates_of(publishing.ROOT / "book")
    page = nbformat.writes(publishing.dress(notebook, facts, templates))
    assert facts.state == "failed"
    assert "ValueError: no face" in page
    assert "{glue:" not in page
    assert "not measured" in page


def test_error_output_alone_makes_a_chapter_failed(tmp_path):
    """A stamp that says nothing does not turn an error into success."""
    output = NEW.new_output("error", ename="E", evalue="x", traceback=["x"])
    path = executed(tmp_path / "demo", outputs=[output])
    assert publishing.read_chapter("02_faces", path, "")[0].state == "failed"


def test_run_card_shows_default_beside_injected(tmp_path):
    """Typed parameters, default and value, and what differs."""
    facts, _ = publishing.read_chapter("02_faces", executed(tmp_path / "demo"), "")
    row = facts.parameters.iloc[0]
    assert (row["type"], row["default"], row["this run"], row["differs"]) == (
        "int", "32", "16", "changed")  # fmt: skip


@pytest.mark.parametrize("fence", ["```", "````", ":::"])
def test_student_edition_drops_solutions(fence):
    """Nothing of a solution remains; what stands around it does."""
    text = f"Before.\n\n{fence}{{solution}} a\n:class: dropdown\nSecret.\n{fence}\n\nAfter."
    (cell,) = publishing.without_solutions([NEW.new_markdown_cell(text)])
    assert "Secret" not in cell.source
    assert "Before." in cell.source
    assert "After." in cell.source


def test_export_needs_a_book(run):
    """The remedy is in the message."""
    with pytest.raises(FileNotFoundError, match="expresso book"):
        publishing.export(run)


def test_export_is_one_zip_with_one_folder(run):
    """Unpacked anywhere, it stays together."""
    (run / "html").mkdir()
    (run / "html" / "index.html").write_text("<p>book</p>")
    with zipfile.ZipFile(publishing.export(run)) as archive:
        assert archive.namelist() == ["expresso-demo/index.html"]


def test_inputs_name_what_the_pages_depend_on(run):
    """A changed table or page makes the book stale."""
    pd.DataFrame({"a": [1]}).to_parquet(run / "tables" / "claims.parquet")
    found = publishing.inputs(publishing.ROOT, run)
    assert run / "tables" / "claims.parquet" in found
    assert publishing.ROOT / "book" / "index.md" in found


@pytest.mark.slow
def test_warning_stops_the_build(run, tmp_path, monkeypatch):
    """A broken reference is an error, with the page that has it."""
    root = tmp_path / "project"
    monkeypatch.setattr(publishing, "ROOT", root)
    (root / "book").mkdir(parents=True)
    (root / "notebooks").mkdir()
    (root / "book" / "_config.yml").write_text(
        "title: T\nauthor: A\nonly_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n"
    )
    (root / "book" / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nparts:\n- caption: A\n  chapters:\n  - file: more\n"
    )
    (root / "book" / "index.md").write_text("# Book\n\n{doc}`nowhere`\n")
    (root / "book" / "more.md").write_text("# More\n")
    with pytest.raises(publishing.BuildFailed, match="nowhere"):
        publishing.build(run, {})
    (root / "book" / "index.md").write_text("# Book of [[ facts.name ]]\n")
    index = publishing.build(run, {})
    assert "Book of demo" in index.read_text()


def test_pages_keep_back_where_data_lie(tmp_path):
    """Neither what papermill injected nor the run card names a folder of this machine."""
    secret = "/home/dr_who/patients"
    cell = NEW.new_code_cell(f'cohort_folder = "{secret}"\nclips_frames = 8\ncohort_table = ""')
    cell.metadata["tags"] = ["injected-parameters"]
    path = executed(tmp_path / "demo", parameters={"cohort_folder": secret, "clips_frames": 8})
    facts, notebook = publishing.read_chapter("02_faces", path, "")
    notebook.cells.append(cell)
    page = nbformat.writes(
        publishing.dress(notebook, facts, publishing.templates_of(publishing.ROOT / "book"))
    )
    assert secret not in page
    assert "(a place on this machine)" in page


def test_a_failed_chapter_publishes_no_local_paths(tmp_path):
    """Neither the error's text nor its traceback nor a log says where somebody's files lie."""
    secret = "/home/dr who/patients"
    text = f"no video '{secret}/a.mp4'"
    outputs = [
        NEW.new_output("error", ename="E", evalue=text, traceback=[f"File {secret}/code.py"]),
        NEW.new_output("stream", name="stderr", text=f"reading '{secret}/a.mp4'\n"),
    ]
    path = executed(tmp_path / "demo", error=f"E: {text}", outputs=outputs)
    facts, notebook = publishing.read_chapter("02_faces", path, "")
    templates = publishing.templates_of(publishing.ROOT / "book")
    page = nbformat.writes(publishing.dress(notebook, facts, templates))
    assert "dr who" not in page
    assert "a.mp4" in page


def test_pages_suggest_the_command_that_made_the_run(tmp_path):
    """Profile, run name and overrides are typed again; a run that nobody typed has its name."""
    folder = tmp_path / "build" / "mine1"
    project.record(folder, options="--params quick --run mine1 -p clips.frames=8")
    facts, _ = publishing.read_chapter("02_faces", folder, "")
    assert facts.command == "expresso run 02_faces --params quick --run mine1 -p clips.frames=8"
    facts, _ = publishing.read_chapter("02_faces", tmp_path / "build" / "other", "")
    assert facts.command == "expresso run 02_faces --run other"


def test_code_is_folded_and_neighbours_are_one():
    """A page shows text and figures; one switch opens the code of what follows."""
    cells = [
        NEW.new_code_cell("a = 1", metadata={"tags": ["parameters"]}),
        NEW.new_code_cell("b = 2"),
        NEW.new_code_cell("c = 3"),
        NEW.new_markdown_cell("Text."),
        NEW.new_code_cell("d = 4"),
    ]
    found = publishing.folded(cells)
    assert [cell.source for cell in found] == ["a = 1", "b = 2\n\nc = 3", "Text.", "d = 4"]
    assert found[0].metadata["mystnb"]["code_prompt_show"] == "Show the parameters"
    assert found[1].metadata["tags"] == ["hide-input"]


def test_a_home_with_a_space_in_its_name_is_kept_back(monkeypatch):
    """Where such a path ends nobody can tell; whose it is must not be told."""
    monkeypatch.setattr(publishing.Path, "home", lambda: publishing.Path("/home/Dr Who"))
    said = publishing.without_places("/home/Dr Who/My Study/videos has no table")
    assert "Who" not in said
    assert said.endswith("has no table")
