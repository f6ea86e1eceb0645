"""From executed chapters to pages: what a page may say, and what it must not."""

import json
import zipfile

import nbformat
import pandas as pd
import pytest
import yaml

from expresso_lib.pipeline import project, provenance, publishing
from expresso_lib.statistics import hypotheses

NEW = nbformat.v4


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "build" / "demo"
    for name in ("tables", "figures"):
        (folder / name).mkdir(parents=True)
    record = {"name": "demo", "parameters": {"clips": {"frames": 32, "size": 64}}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def executed(run_folder, *, error="", fingerprint=None, outputs=(), parameters=None):
    stamp = {
        "error": error, "seconds": 3.0, "fingerprint": fingerprint or {"notebook": "a"},
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


def test_chapter_is_fresh_only_if_every_hash_agrees(tmp_path):
    """One changed hash makes a chapter stale, and the page says which."""
    path = executed(tmp_path / "demo", fingerprint={"notebook": "a", "library": "b"})
    for current, words in (
        ({"notebook": "a", "library": "b"}, "fresh"),
        ({"notebook": "a", "library": "z"}, "stale (library changed)"),
        ({}, "not proven"),
    ):
        facts, _ = publishing.read_chapter("02_faces", path, current)
        assert facts.freshness == words


def test_status_page_has_room_for_its_columns(run):
    """The command, once in every row, ran off the page."""
    facts = [
        publishing.ChapterFacts(name, "Title", "done", f"expresso run {name}", {"seconds": 3.0})
        for name in ("01_cohort", "02_faces")
    ]
    page = publishing.templates_of(publishing.ROOT / "book").get_template("status.md")
    text = page.render(facts=publishing.Facts(run, tuple(facts)))
    assert text.count("expresso run") == 1
    assert text.count("</i> 3 s") == len(facts)
    assert "<svg" not in text


def test_title_of_a_page_carries_the_chapters_number(tmp_path):
    """The text says "chapter 2", so the sidebar does; a chapter that has not run, too."""
    templates = publishing.templates_of(publishing.ROOT / "book")
    for path, title in (
        (executed(tmp_path / "demo"), "# 2 Faces\n"),
        (tmp_path / "none", "# 2 Faces\n"),
    ):
        facts, notebook = publishing.read_chapter("02_faces", path)
        page = publishing.dress(notebook, facts, templates)
        assert page.cells[0].source.startswith(title)
        assert page.cells[0].source.count("# ") == 1


def test_failed_chapter_is_published_as_failed(tmp_path):
    """An error is shown, never hidden, and missing numbers do not stop the book."""
    path = executed(tmp_path / "demo", error="ValueError: no face")
    facts, notebook = publishing.read_chapter("02_faces", path)
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
    assert publishing.read_chapter("02_faces", path)[0].state == "failed"


def test_run_card_shows_default_beside_injected(tmp_path):
    """Typed parameters, default and value, and what differs."""
    facts, _ = publishing.read_chapter("02_faces", executed(tmp_path / "demo"))
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


def test_missing_facts_read_not_measured(run):
    """A page asks for what is not there and gets words, not an error and not a number."""
    facts = publishing.Facts(run)
    assert "not measured" in facts.show("claims", caption="Claims")
    assert facts.fragment("opening.html", "not run") == "*not run*"


def test_a_page_shows_the_rows_that_fit(run):
    """Asked for one recipe, a page shows that one; of one that is not there, words."""
    table = pd.DataFrame({"recipe": ["a", "b"], "estimate": [1.0, -2.75]})
    table.to_parquet(run / "tables" / "model_scores.parquet")
    facts = publishing.Facts(run)
    shown = facts.show("model_scores", "estimate", caption="S", recipe="b")
    assert "−2.75" in shown
    assert "1.00" not in shown
    assert "not measured" in facts.show("model_scores", "estimate", caption="S", recipe="c")


def test_measurements_carry_their_stamp_and_are_never_withheld(run):
    """Whatever the code is today, a value is shown with the date and commit of its measurement."""
    line = {"goal": 1, "what": "a", "value": 1.25, "bar": 1, "better": "higher", "device": "here"}
    old = {"date": "2026-11-26", "commit": "abc123"}
    rows = [line | old, line | old | {"what": "b", "value": 99.5, "better": "lower"}]
    (run.parent / "bench.json").write_text(json.dumps(rows))
    text = publishing.Facts(run).bench("goal", "Goals")
    assert "1.25" in text
    assert "99.5" in text
    assert "measured 2026-11-26 at commit abc123" in text
    assert "<td>here" not in text  # one machine is named once, in the caption


def test_every_measurement_stands_beside_that_of_release_0_1(run, tmp_path, monkeypatch):
    """Better or worse is seen in the row; what was not measured then has an empty place."""
    goal = {"goal": 1, "bar": 1, "better": "higher", "device": "here"}
    test = {"test": "t", "scenario": "s", "cohorts": 500, "rate": 0.051, "naive": False}
    rows = [goal | {"what": "a", "value": 1.25}, goal | {"what": "b", "value": 2.5},
            test | {"n": 24, "device": "here"}, test | {"n": 84, "device": "here"}]  # fmt: skip
    (run.parent / "bench.json").write_text(json.dumps(rows))
    before = [{"goal": 1, "what": "a", "value": 1.75},
              {"test": "t", "scenario": "s", "n": 84, "rate": 0.0625}]  # fmt: skip
    (tmp_path / "before.json").write_text(json.dumps(before))
    monkeypatch.setattr(publishing, "BEFORE", tmp_path / "before.json")
    goals = publishing.Facts(run).bench("goal", "G")
    assert goals.index("1.25") < goals.index("1.75") < goals.index("2.5")
    assert "release 0.1" in goals
    tests = publishing.Facts(run).bench("test", "T")
    assert tests.count("5.1 %") == 2
    assert tests.count("6.2 %") == 1


def test_study_tables_are_shown_with_their_stamp(run, tmp_path, monkeypatch):
    """A rename of a module never blanks what took hours."""
    table = pd.DataFrame({"seed": ["0"], "recipe": ["null"], "estimate": [0.123456]})
    provenance.keep(tmp_path / "study", "t", table, date="2026-11-26", commit="abc123")
    monkeypatch.setattr(publishing, "STUDY", tmp_path / "study")
    text = publishing.Facts(run).study("t", "recipe", "estimate", caption="T")
    assert "0.12" in text
    assert "null" in text
    assert "measured 2026-11-26 at commit abc123" in text


def test_the_front_page_says_what_the_committed_study_found_on_real_faces(tmp_path, monkeypatch):
    """In words that come from its tables; where there are none, that it was not measured."""
    assert publishing.Facts(tmp_path).real.startswith(
        "On real faces that it has not seen the model"
    )
    monkeypatch.setattr(publishing, "STUDY", tmp_path)
    assert "not measured" in publishing.Facts(tmp_path).real


def test_a_goal_of_a_gpu_is_not_measured_until_one_was_there(run):
    """The line says so and names no device; the value of a GPU takes its place."""
    line = {"goal": 5, "what": "share", "bar": 0.35, "better": "higher"}
    other = line | {"what": "speed", "value": 2.5, "device": "here"}
    absent, gpu = line | {"value": None, "device": ""}, line | {"value": 0.41, "device": "H100"}
    for rows, told in (([other, absent], "not measured"), ([other, absent, gpu], "0.41")):
        (run.parent / "bench.json").write_text(json.dumps(rows))
        text = publishing.Facts(run).bench("goal", "Goals")
        assert told in text
        assert ("not measured" in text) == (told == "not measured")
        assert ("H100" in text) == (told == "0.41")


def test_calibrations_tell_false_positives_from_coverage_and_power(run):
    """A share of intervals that cover is no share of false alarms; a test that errs is named."""
    rows = [
        {"test": test, "scenario": "s", "n": 24, "cohorts": 500, "rate": rate, "naive": False}
        for test, rate in (
            ("H5 shift", 0.0612),
            ("H1 max-T", 0.05),
            ("interval covers: rho", 0.953),
            ("finds a planted rho", 0.81),
        )
    ]
    (run.parent / "bench.json").write_text(json.dumps(rows))
    facts = publishing.Facts(run)
    tables = {
        share: facts.bench("test", "c", share=share)
        for share in ("false positives", "coverage", "power")
    }
    for share, own in (("coverage", "95.3 %"), ("power", "81.0 %"), ("false positives", "6.1 %")):
        assert [name for name, text in tables.items() if own in text] == [share]
    assert tables["false positives"].count("missed") == 1
    assert "participants" in tables["power"]


def test_comparison_lists_what_differs_and_only_that(run):
    """Two parameter sets side by side."""
    other = run.parent / "other"
    other.mkdir()
    record = {"name": "other", "parameters": {"clips": {"frames": 64, "size": 64, "input": "face"}}}
    (other / "run.json").write_text(json.dumps(record))
    for folder in (run, other):
        (folder / "figures").mkdir(exist_ok=True)
        (folder / "figures" / "models.png").write_bytes(b"x")
    text = publishing.compare(run, other).read_text()
    assert 'src="figures/models.png"' in text
    assert 'src="../other/figures/models.png"' in text
    assert "clips.frames" in text
    assert "clips.size" not in text
    assert "<td>32</td><td>64</td>" in text
    assert "<td>&#39;face&#39;</td>" in text  # quoted once


def test_comparison_with_a_run_that_is_not_there_says_how_to_make_it(run):
    """The remedy is in the message."""
    with pytest.raises(FileNotFoundError, match="expresso book --run nothing"):
        publishing.compare(run, run.parent / "nothing")


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


def test_dictionary_describes_the_columns_a_run_has(run):
    """Shared keys, own columns with their unit; a column that nobody knows stays empty."""
    hypotheses.results(pd.DataFrame({"hypothesis": ["H1"], "p": [0.5]})).to_parquet(
        run / "tables" / "results.parquet"
    )
    pd.DataFrame({"recipe": ["a"], "score": [3.0], "new": [1]}).to_parquet(
        run / "tables" / "predictions.parquet"
    )
    known = publishing.Facts(run).dictionary.set_index(["table", "column"])
    assert known.loc[("predictions", "score"), "unit"] == "score points"
    assert known.index[known["meaning"] == ""].tolist() == [("predictions", "new")]
    assert [column for _, column in known.loc[["results"]].index] == list(hypotheses.COLUMNS)


def test_dictionary_holds_a_meaning_and_at_most_one_unit():
    """A second semicolon once cut sentences in two: the rest of one stood as its unit."""
    file = publishing.ROOT / "expresso_lib" / "assets" / "data_dictionary.yaml"
    known = yaml.safe_load(file.read_text(encoding="utf-8"))
    for text in [text for table in known.values() for text in table.values()]:
        assert text.count(";") <= 1, text
        for part in text.split("; "):
            assert part.count("(") == part.count(")"), text


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
        publishing.build(run)
    (root / "book" / "index.md").write_text("# Book of [[ facts.name ]]\n")
    index = publishing.build(run)
    assert "Book of demo" in index.read_text()


def test_pages_keep_back_where_data_lie(tmp_path):
    """Neither what papermill injected nor the run card names a folder of this machine."""
    secret = "/home/dr_who/patients"
    cell = NEW.new_code_cell(f'cohort_folder = "{secret}"\nclips_frames = 8\ncohort_table = ""')
    cell.metadata["tags"] = ["injected-parameters"]
    path = executed(tmp_path / "demo", parameters={"cohort_folder": secret, "clips_frames": 8})
    facts, notebook = publishing.read_chapter("02_faces", path)
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
    facts, notebook = publishing.read_chapter("02_faces", path)
    templates = publishing.templates_of(publishing.ROOT / "book")
    page = nbformat.writes(publishing.dress(notebook, facts, templates))
    assert "dr who" not in page
    assert "a.mp4" in page


def test_pages_suggest_the_command_that_made_the_run(tmp_path):
    """Profile, run name and overrides are typed again; a run that nobody typed has its name."""
    folder = tmp_path / "build" / "mine1"
    project.record(folder, options="--params quick --run mine1 -p clips.frames=8")
    facts, _ = publishing.read_chapter("02_faces", folder)
    assert facts.command == "expresso run 02_faces --params quick --run mine1 -p clips.frames=8"
    facts, _ = publishing.read_chapter("02_faces", tmp_path / "build" / "other")
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
