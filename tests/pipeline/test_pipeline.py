"""Chapters run when they must and only then; a failed one says so."""

import json
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from expresso_lib import config, pipeline
from expresso_lib.pipeline import book, chapters, execution

ROOT = Path(__file__).parents[2]
SETUP = 'from expresso_lib import pipeline\nrun = pipeline.open_run("{name}", globals())'
MAKE = (
    "import pandas as pd\nfrom pathlib import Path\n"
    'with (run.folder / "trace.log").open("a") as log: log.write("01 ")\n'
    'value = {value}\nrun.write_table("numbers", pd.DataFrame({{"n": [value]}}))'
)
USE = (
    'with (run.folder / "trace.log").open("a") as log: log.write("02 ")\n'
    'run.write_table("doubled", run.table("numbers") * 2)'
)


def write_notebook(root: Path, name: str, sections: tuple[str, ...], work: str) -> None:
    cells = [
        nbformat.v4.new_code_cell(config.parameters_cell(sections)),
        nbformat.v4.new_code_cell(SETUP.format(name=name)),
        nbformat.v4.new_code_cell(work),
        nbformat.v4.new_code_cell("run.close()"),
    ]
    cells[0].metadata["tags"] = ["parameters"]
    notebook = nbformat.v4.new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
    )
    nbformat.write(notebook, root / "notebooks" / f"{name}.ipynb")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of two chapters, whose second rests on the table of the first."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(ROOT / "data_manifest.yaml", tmp_path)
    write_notebook(
        tmp_path, "01_cohort", ("statistics", "run"), MAKE.format(value="round(statistics_alpha)")
    )
    write_notebook(tmp_path, "02_faces", ("run",), USE)
    two = (
        chapters.Chapter("01_cohort", "One", ("statistics", "run")),
        chapters.Chapter("02_faces", "Two", ("run",), ("01_cohort",)),
    )
    monkeypatch.setattr(chapters, "CHAPTERS", two)
    monkeypatch.setattr(chapters, "BY_NAME", {c.name: c for c in two})
    # The kernels are other processes, which see the real list of chapters: its first two rest
    # on one another in the same way.
    return tmp_path


def parameters(alpha: float = 0.05) -> config.Parameters:
    return config.validate(
        {"run": {"name": "t", "engine": "process"}, "statistics": {"alpha": alpha}}
    )


def make(root: Path, alpha: float = 0.05) -> list[str]:
    """Run both chapters; return which ran, from their own trace."""
    folder = root / "build" / "t"
    (folder / "trace.log").unlink(missing_ok=True)
    failed = book.run_chapters(chapters.CHAPTERS, parameters(alpha), root)
    trace = folder / "trace.log"
    return (trace.read_text().split() if trace.exists() else []) + [f"failed {n}" for n in failed]


@pytest.mark.slow
def test_run_chapters_redoes_only_what_depends_on_a_change(project):
    """Nothing changed: nothing runs. A changed input whose output is equal stops there."""
    assert make(project) == ["01", "02"]
    assert make(project) == []
    assert make(project, alpha=0.1) == ["01"]
    write_notebook(project, "01_cohort", ("statistics", "run"), MAKE.format(value="7"))
    assert make(project, alpha=0.1) == ["01", "02"]
    doubled = pd.read_parquet(project / "build" / "t" / "tables" / "doubled.parquet")
    assert doubled["n"].tolist() == [14]


@pytest.mark.slow
def test_run_chapters_publishes_a_failed_chapter_as_failed(project):
    """The executed part is kept with its error; what rests on it waits; both are named."""
    write_notebook(project, "01_cohort", ("statistics", "run"), "1 / 0")
    assert make(project) == ["failed 01_cohort", "failed 02_faces"]
    kept = nbformat.read(project / "build" / "t" / "notebooks" / "01_cohort.ipynb", as_version=4)
    assert "ZeroDivisionError" in kept.metadata.expresso.error
    write_notebook(project, "01_cohort", ("statistics", "run"), MAKE.format(value="1"))
    assert make(project) == ["01", "02"]


@pytest.mark.slow
def test_execute_notices_a_notebook_that_ends_early(project):
    """`sys.exit(0)` skips the rest without an error; the missing stamp tells."""
    write_notebook(project, "01_cohort", ("statistics", "run"), "import sys; sys.exit(0)")
    with pytest.raises(execution.ChapterFailed, match=r"before its last cell|SystemExit"):
        execution.execute(chapters.CHAPTERS[0], parameters(), project)


@pytest.mark.slow
def test_execute_stamps_the_provenance(project):
    """Hashes, parameters beside their defaults, versions and device travel with the notebook."""
    path = execution.execute(chapters.CHAPTERS[0], parameters(0.1), project)
    facts = nbformat.read(path, as_version=4).metadata.expresso
    assert facts["parameters"]["statistics_alpha"] == 0.1
    assert facts["defaults"]["statistics_alpha"] == 0.05
    assert facts["packages"]["torch"]
    assert facts["fingerprint"]["notebook"] == chapters.cells_hash(
        project / "notebooks" / "01_cohort.ipynb"
    )
    assert str(project) not in path.read_text()
    record = json.loads((project / "build" / "t" / "run.json").read_text())
    assert record["chapters"]["01_cohort"]["error"] == ""


def test_open_run_refuses_a_wrong_parameter(project, monkeypatch):
    """papermill would only log it."""
    monkeypatch.setenv("EXPRESSO_ROOT", str(project))
    with pytest.raises(config.ParameterError, match=r"statistics\.alfa"):
        pipeline.open_run("01_cohort", {"statistics_alfa": 0.1, "run_name": "t"})


def test_open_run_names_the_missing_chapter(project, monkeypatch):
    """A notebook opened alone says which earlier one it needs and how to run it."""
    monkeypatch.setenv("EXPRESSO_ROOT", str(project))
    with pytest.raises(pipeline.MissingRun, match="expresso run 01_cohort --params t"):
        pipeline.open_run("02_faces", {"run_name": "t"})


def test_run_names_the_tables_there_are(project, monkeypatch):
    """A table that no chapter has made is an error with the known ones."""
    monkeypatch.setenv("EXPRESSO_ROOT", str(project))
    run = pipeline.open_run("01_cohort", {"run_name": "t"})
    run.write_table("numbers", pd.DataFrame({"n": [1]}))
    with pytest.raises(pipeline.MissingRun, match="There are: numbers"):
        run.table("results")
    assert (run.tables / "numbers.csv").read_text() == "n\n1\n"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("3", "03_finetune"),
        ("03", "03_finetune"),
        ("regions", "04_regions"),
        ("05_time.ipynb", "05_time"),
    ],
)
def test_find_takes_numbers_and_names(name, expected):
    """A chapter is found by number, name or file."""
    assert chapters.find(name).name == expected


def test_chapters_rest_on_earlier_ones_only():
    """The order of the book is an order of work."""
    seen: set[str] = set()
    for chapter in chapters.CHAPTERS:
        assert set(chapter.needs) <= seen
        seen.add(chapter.name)
