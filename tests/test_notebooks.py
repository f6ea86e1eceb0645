"""Chapters are thin, committed clean, and each one runs."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from solutions import needed

from expresso_lib import config, models
from expresso_lib.clips import preprocessing
from expresso_lib.models import experiments
from expresso_lib.pipeline import book, chapters

ROOT = Path(__file__).parents[1]
PATHS = [chapters.notebook_path(chapter, ROOT) for chapter in chapters.CHAPTERS]
FORBIDDEN = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.For,
    ast.While,
    ast.Try,
    ast.Lambda,
)
# Read where the data set, or the tracker, is another than the demo's.
ELSEWHERE = re.compile(
    "cohort_(table|tables|score|score_low|score_high|bands|emotion|show_faces)"
    "|faces_(detector|detect_every|detect_side|flip|device|precision)"
)
# What a cell may end with: all else would print its value into the page.
SHOWN = {"print", "run.close", "run.figure", "run.glue", "run.movie", "run.record", "run.show"}
TABLES = {
    "participants",
    "recordings",
    "frames",
    "action_units",
    "clips",
    "recipes",
    "predictions",
    "model_scores",
    "model_differences",
    "attribution_frames",
    "attribution_regions",
    "attribution_repeats",
    "faithfulness",
    "results",
    "claims",
}


def declared_values(path: Path) -> dict:
    """What a notebook's parameters cell assigns: its defaults."""
    values: dict = {}
    exec(chapters.parameters_cell(nbformat.read(path, as_version=4), path).source, values)
    return values


def code_cells(path: Path) -> list:
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


@pytest.fixture(params=PATHS, ids=lambda p: p.stem)
def path(request) -> Path:
    return request.param


def test_there_are_no_other_notebooks():
    """Every notebook is a chapter."""
    assert sorted(p.name for p in (ROOT / "notebooks").glob("*.ipynb")) == [p.name for p in PATHS]


def test_notebook_is_committed_without_outputs(path):
    """Outputs belong to a run, not to the source."""
    for cell in code_cells(path):
        assert cell.outputs == []
        assert cell.execution_count is None


def test_notebook_is_valid_and_runs_on_python3(path):
    """Format 4.5 and the kernel papermill asks for."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"


def test_parameters_cell_is_what_the_schema_writes(path):
    """One owner of defaults and meanings: `expresso params sync` would change nothing."""
    cell = chapters.parameters_cell(nbformat.read(path, as_version=4), path)
    assert cell.source == config.parameters_cell(chapters.declared(path))


def test_parameters_read_in_cells_are_declared(path):
    """What a cell reads as ``run.parameters.section.name`` stands in the parameters cell.

    What the library reads of them is refused by `config.Declared` while the chapter runs.
    """
    code = "\n".join(cell.source for cell in code_cells(path))
    read = {f"{a}_{b}" for a, b in re.findall(r"run\.parameters\.(\w+)\.(\w+)", code)}
    assert {name for name in read if not name.startswith("run_")} <= set(chapters.declared(path))


def test_notebook_holds_no_logic(path):
    """No function, class, loop or try: logic lives in the library, where it is tested."""
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(cell.source)):
            assert not isinstance(node, FORBIDDEN), ast.unparse(node)


def test_code_cells_are_short(path):
    """A cell is one thought; its imports do not count."""
    for cell in code_cells(path):
        if "parameters" not in cell.metadata.get("tags", []):
            lines = [line for line in cell.source.splitlines() if " import " not in line]
            assert len(lines) <= 12, cell.source


def lines_of(path: Path) -> tuple[int, int]:
    """Lines of code besides parameters, and those of them that belong to calls of ``run.glue``."""
    every, glued = 0, 0
    for cell in code_cells(path):
        if "parameters" in cell.metadata.get("tags", []):
            continue
        every += sum(bool(line.strip()) for line in cell.source.splitlines())
        calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
        names = [node for node in calls if ast.unparse(node.func) == "run.glue"]
        glued += len({n for c in names for n in range(c.lineno, c.end_lineno + 1)})
    return every, glued


def test_chapter_is_thin(path):
    """At most 70 lines of code besides parameters; an appendix may have a few more."""
    assert lines_of(path)[0] <= (70 if path.stem[0].isdigit() else 80)


def test_no_cell_ends_with_what_would_be_shown_by_accident(path):
    """A table that is written is no output of the page."""
    for cell in code_cells(path):
        last = ast.parse(cell.source).body[-1]
        if isinstance(last, ast.Expr):
            shown = ast.unparse(last.value.func)
            assert shown in SHOWN, f"{path.stem} ends a cell with {shown}(…)"


def test_little_of_the_notebooks_is_glue():
    """At most 8 % of their code lines hand numbers to the prose."""
    every, glued = (sum(counts) for counts in zip(*map(lines_of, PATHS)))
    assert glued <= 0.08 * every


def test_notebook_opens_its_run_first_and_closes_it_last(path):
    """The stamp of the last cell is what makes a chapter count as finished."""
    cells = code_cells(path)
    assert f'pipeline.open_run("{path.stem}", globals())' in cells[1].source
    assert cells[-1].source.strip() == "run.close()"


def glued(code: str) -> set[str]:
    """Every name that the calls of ``run.glue`` keep; a row keeps its ends as well."""
    calls = [
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "run.glue"
    ]
    return {keyword.arg for call in calls for keyword in call.keywords}


def test_prose_quotes_only_what_the_run_glues(path):
    """Every number in prose comes from the run, and nothing is kept that no prose quotes."""
    cells = nbformat.read(path, as_version=4).cells
    text, code = (
        "\n".join(c.source for c in cells if c.cell_type == kind) for kind in ("markdown", "code")
    )
    quoted = set(re.findall(r"\{glue:text\}`(\w+)(?::[^`]*)?`", text))
    names = glued(code)
    ends = {name + end for name in names for end in ("_low", "_high")}
    assert quoted <= names | ends
    assert names <= {re.sub("_(low|high)$", "", name) for name in quoted} | quoted


def test_library_hash_reaches_what_the_notebook_calls(path):
    """A chapter's freshness depends on the code it imports."""
    assert len(chapters.library_hash(nbformat.read(path, as_version=4))) == 64


@pytest.mark.slow
def test_quick_book_runs_every_chapter(quick_run):
    """The quick profile: no failed cell, every table of the contract, a first page."""
    for chapter in chapters.CHAPTERS:
        executed = nbformat.read(quick_run / "notebooks" / f"{chapter.name}.ipynb", as_version=4)
        assert executed.metadata.expresso.error == ""
        for cell in executed.cells:
            assert not [o for o in cell.get("outputs", []) if o.output_type == "error"]
    made = {p.stem for p in (quick_run / "tables").glob("*.parquet")}
    assert made >= TABLES, TABLES - made
    assert (quick_run / "html" / "index.html").is_file()


def solutions(path: Path) -> dict[str, str]:
    """Label of every exercise with the code of its solution, "" where it is words only."""
    text = "\n\n".join(
        cell.source
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "markdown"
    )
    asked = re.findall(r"\{exercise\}\n:label: (\S+)", text)
    told = re.findall(r"^(`{3,})\{solution\} (\S+)(.*?)^\1[ \t]*$", text, re.M | re.S)
    assert sorted(asked) == sorted(label for _, label, _ in told)
    return {
        label: "\n".join(re.findall(r"```python\n(.*?)```", body, re.S)) for _, label, body in told
    }


def test_the_smiles_of_chapter_1_are_as_its_solution_says(capsys):
    """Its words and the output of its code: equal histograms, nine changes and three."""
    (path,) = (path for path in PATHS if path.stem == "01_cohort")
    exec(solutions(path)["cohort-tempo"], {})
    frames, changes = capsys.readouterr().out.splitlines()
    rest, smiling = re.findall(r"\[(\d+) +(\d+)\]", frames)[0]
    assert re.findall(r"\[(\d+) +(\d+)\]", frames) == 2 * [(rest, smiling)]
    text = path.read_text(encoding="utf-8")
    assert f"equal: {rest} frames at rest, {smiling} smiling" in text
    assert changes.split()[-2:] == ["9", "3"]
    assert "the quick smiler has nine, the slow one three" in text


# What does not come from a run's own people: rendered for a lesson, or committed tables.
ELSEWHERE_FROM = ("rendered.", "oracle.", "headset.", "lessons.", "run.plan()", "run.evidence(",
                  "rendered_scenes", "pretraining.")  # fmt: skip


def of_this_run(path: Path) -> Iterator[tuple[str, bool, bool]]:
    """Figures and tables: name, whether they are of this run's people, whether they have a note.

    Names that are made of what comes from elsewhere are from elsewhere, too.
    """
    tree = ast.parse("\n".join(cell.source for cell in code_cells(path)))
    foreign: set[str] = set()

    def strange(node: ast.AST) -> bool:
        used = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        return bool(used & foreign) or any(word in ast.unparse(node) for word in ELSEWHERE_FROM)

    for node in ast.walk(tree):
        taken = isinstance(node, ast.Assign) and "run.demo" not in ast.unparse(node.value)
        if taken and strange(node.value):
            foreign |= {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("run.figure", "run.movie"):
            drawn = node.args[1]
            own = any(isinstance(one, ast.Name) for one in ast.walk(drawn)) and not strange(drawn)
            if isinstance(drawn, ast.Call) and not drawn.args:
                own = False  # a drawing of nothing that was measured
            yield ast.unparse(node.args[0]), own, "note" in {word.arg for word in node.keywords}
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "run.show":
            words = {word.arg for word in node.keywords}
            if "caption" in words:  # a piece of HTML has its own
                yield ast.unparse(node.args[0]), not strange(node.args[0]), "note" in words


def test_figures_and_tables_of_others_do_not_end_in_the_data_sets_name(path):
    """What was rendered for a lesson or comes from the study says so, whoever is analysed."""
    for name, own, noted in of_this_run(path):
        assert own or noted, f"{path.stem}: {name} needs a note of its own"


def test_every_parameter_turns_something():
    """One that no chapter offers would be taken and change nothing."""
    offered = {name for path in PATHS for name in chapters.declared(path)}
    known = {f"{s}_{name}" for s, m in config.SECTIONS.items() for name in m.model_fields}
    assert known == offered


def test_models_drawn_anew_are_explained_by_the_declared_method():
    """Permuted labels and other folds: what they are compared with has that method, too."""
    calls = [
        node
        for path in PATHS
        for cell in code_cells(path)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("cohorts.label_permuted", "cohorts.repeated")
    ]
    assert len(calls) == 2
    for call in calls:
        (method,) = (ast.unparse(k.value) for k in call.keywords if k.arg == "method")
        assert method in ("settings.method", "run.parameters.attribution.method")


def test_every_chapter_has_exercises_with_solutions(path):
    """Two or three, and in most of them something is made visible."""
    found = solutions(path)
    assert 2 <= len(found) <= 3
    assert sum(bool(code) for code in found.values()) >= 2


@pytest.mark.slow
def test_solutions_run(quick_run, project, tmp_path):
    """The code of every solution runs after what it reads of its chapter, in a copy of the run."""
    copy = project / "build" / "quick-solutions"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(quick_run, copy, ignore=shutil.ignore_patterns("html", "pages*"))
    wanted = {}
    # The last first: a chapter that opens its run withdraws its stamp, and later ones ask for it.
    for chapter in reversed(chapters.CHAPTERS):
        executed = quick_run / "notebooks" / f"{chapter.name}.ipynb"
        cells = [cell.source for cell in code_cells(executed)]
        at = next(k for k, cell in enumerate(cells) if "open_run" in cell)
        told = solutions(chapters.notebook_path(chapter, project))
        code = [text for text in told.values() if text]
        opened = [*cells[:at], f'run_name = "{copy.name}"', cells[at]]
        wanted[chapter.name] = [*opened, *needed(cells[at + 1 :], code), *code]
    (tmp_path / "cells.json").write_text(json.dumps(wanted), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("solutions.py"), tmp_path / "cells.json"],
        cwd=project / "notebooks",
        env=os.environ
        | {"EXPRESSO_ROOT": str(project), "MPLBACKEND": "agg", "IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(copy)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.slow
def test_quick_run_json_holds_the_provenance(quick_run):
    """Parameters, versions, device, and each chapter's hashes and time."""
    facts = json.loads((quick_run / "run.json").read_text())
    assert facts["default_recipe"] in set(
        pd.read_parquet(quick_run / "tables" / "recipes.parquet")["recipe"]
    )
    assert facts["packages"]["torch"]
    for chapter in chapters.CHAPTERS:
        # The kernel's own imports take a second; workers' time is the chapter's, too.
        assert facts["chapters"][chapter.name]["cpu_seconds"] > 1
        assert set(facts["chapters"][chapter.name]["fingerprint"]) == {
            "notebook",
            "library",
            "packages",
            "assets",
            "parameters",
            "manifest",
            "data",
            "inputs",
        }


def test_what_rooms_take_of_the_parameters_is_declared_by_the_chapters_that_call_them():
    """Chapters 2 and 3 hand on what their cells declare, which answers to nothing else."""
    of = {path.stem: config.collect(declared_values(path)) for path in PATHS}
    for tracker in preprocessing.TRACKERS:
        assert "smoothing" in preprocessing.recipe_of(of["02_faces"].faces, tracker)
    assert models.FineTuning.of(of["03_finetune"].training).epochs > 0
    assert experiments.default_recipe(of["03_finetune"]).folds > 1


@pytest.mark.slow
def test_every_declared_parameter_is_read(quick_run, path):
    """A knob that turns nothing is not offered; what is read without being declared fails."""
    facts = json.loads(chapters.outputs_path(path.stem, quick_run).read_text())
    assert [name for name in facts["unread"] if not ELSEWHERE.fullmatch(name)] == []


@pytest.mark.slow
def test_quick_book_redoes_nothing_when_nothing_changed(quick_run, project):
    """A second run executes no chapter and writes no page."""
    watched = [*(quick_run / "notebooks").glob("*.ipynb"), quick_run / "html" / "index.html"]
    before = {path: path.stat().st_mtime_ns for path in watched}
    book.make(config.load_profile("quick", project / "notebooks" / "params"), project)
    assert {path: path.stat().st_mtime_ns for path in watched} == before


@pytest.mark.slow
def test_changed_statistic_reruns_only_what_depends_on_it(quick_run, project):
    """A statistical parameter makes its chapters stale, and neither people nor models."""
    profiles = project / "notebooks" / "params"
    turned = config.load_profile("quick", profiles, ["statistics.alpha=0.1"])
    stale = {c.name: book.stale(c, turned, project) for c in chapters.CHAPTERS}
    assert stale["06_action_units"] == "changed: parameters"
    kept = ("01_cohort", "02_faces", "03_finetune", "05_time", "09_participant")
    assert [stale[name] for name in kept] == [""] * len(kept)
