"""Chapters run when they must and only then; a failed one says so."""

import base64
import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from expresso_lib import config, manifest, pipeline, statistics, store
from expresso_lib.clips import preprocessing
from expresso_lib.faces import video
from expresso_lib.pipeline import book, chapters, execution
from expresso_lib.pipeline import project as project_

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


People = namedtuple("People", "recordings")
ALPHA = ("statistics_alpha", "run_name")


def people(count: int, table: str = "") -> People:
    """So many people with a recording of four seconds each, and another tool's table of it."""
    who = [str(number) for number in range(count)]
    beside = {"path": [f"{name}.mp4" for name in who], "au_table": table}
    return People(
        pd.DataFrame({"participant": who, "recording": who, "fps": 25.0, "n_frames": 100} | beside)
    )


def write_notebook(root: Path, name: str, names: tuple[str, ...], work: str) -> None:
    cells = [
        nbformat.v4.new_code_cell(config.parameters_cell(names)),
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


def lay(root: Path) -> None:
    """A project's manifest and profiles; its notebooks are to be written."""
    shutil.copy(ROOT / "data_manifest.yaml", root)
    shutil.copytree(ROOT / "notebooks" / "params", root / "notebooks" / "params")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of two chapters, whose second rests on the table of the first."""
    lay(tmp_path)
    write_notebook(tmp_path, "01_cohort", ALPHA, MAKE.format(value="round(statistics_alpha)"))
    write_notebook(tmp_path, "02_faces", ("run_name",), USE)
    two = (
        chapters.Chapter("01_cohort", "One"),
        chapters.Chapter("02_faces", "Two", ("01_cohort",)),
    )
    monkeypatch.setattr(chapters, "CHAPTERS", two)
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
    write_notebook(project, "01_cohort", ALPHA, MAKE.format(value="7"))
    assert make(project, alpha=0.1) == ["01", "02"]
    doubled = pd.read_parquet(project / "build" / "t" / "tables" / "doubled.parquet")
    assert doubled["n"].tolist() == [14]
    damaged = project / "build" / "t" / "tables" / "doubled.parquet"
    damaged.write_bytes(damaged.read_bytes() + b" ")
    why = book.stale(chapters.CHAPTERS[1], parameters(0.1), project)
    assert why == "doubled.parquet was changed"
    assert make(project, alpha=0.1) == ["02"]


@pytest.mark.slow
def test_run_chapters_publishes_a_failed_chapter_as_failed(project):
    """The executed part is kept with its error; what rests on it waits; both are named."""
    write_notebook(project, "01_cohort", ALPHA, "1 / 0")
    assert make(project) == ["failed 01_cohort", "failed 02_faces"]
    kept = nbformat.read(project / "build" / "t" / "notebooks" / "01_cohort.ipynb", as_version=4)
    assert "ZeroDivisionError" in kept.metadata.expresso.error
    write_notebook(project, "01_cohort", ALPHA, MAKE.format(value="1"))
    assert make(project) == ["01", "02"]


def count(monkeypatch) -> list[str]:
    """Have chapters finish without a kernel; return the list of those that were executed."""
    ran = []

    def execute(chapter, parameters, root):
        folder = project_.run_folder(root, parameters.run.name)
        now = chapters.fingerprint(chapter, parameters, root)
        done = chapters.outputs_path(chapter.name, folder)
        store.write_json(done, {"made": {}, "fingerprint": now})
        ran.append(chapter.name)

    monkeypatch.setattr(execution, "execute", execute)
    return ran


def test_fetched_data_make_chapters_stale(project, monkeypatch, tmp_path):
    """A data set that arrives at its default place after a run is read by the next one."""
    monkeypatch.setenv("EXPRESSO_DATA", str(tmp_path / "data"))
    (table := tmp_path / "looked_at.csv").write_text("frame")
    everybody = people(9, str(table))
    monkeypatch.setattr(book.cohort, "from_parameters", lambda section: everybody)
    ran = count(monkeypatch)
    given = {"run": {"name": "t"}, "cohort": {"source": "cremad"}, "faces": {"tracker": "tables"}}
    wanted = config.validate(given)
    for expected in (["01_cohort", "02_faces"], []):
        ran.clear()
        book.run_chapters(chapters.CHAPTERS, wanted, project)
        assert ran == expected
    assert chapters.data_hash(wanted) == (before := chapters.data_hash(wanted))
    place = {"weights_folder": str(tmp_path / "weights")}
    weights = wanted.model_copy(update={"faces": wanted.faces.model_copy(update=place)})
    (tmp_path / "weights").mkdir()
    empty = chapters.data_hash(weights)
    (tmp_path / "weights" / "face_landmarker.task").write_bytes(b"weights")
    assert chapters.data_hash(weights) != empty, "which tracker is taken hangs on it"
    own = config.validate({"cohort": {"source": "ravdess", "folder": str(tmp_path / "videos")}})
    empty = chapters.data_hash(own)
    (tmp_path / "data" / "ravdess_openface").mkdir(parents=True)
    (tmp_path / "data" / "ravdess_openface" / "01.csv").write_text("frame")
    assert chapters.data_hash(own) != empty, "tables are looked for in their default place"
    assert chapters.data_hash(wanted) == before
    (tmp_path / "data" / "cremad").mkdir(parents=True)
    (tmp_path / "data" / "cremad" / "one.flv").write_bytes(b"video")
    book.run_chapters(chapters.CHAPTERS, wanted, project)
    assert ran == ["01_cohort", "02_faces"]


def test_the_hash_of_the_data_is_the_same_in_every_process(tmp_path):
    """With a folder for weights beside their default place: another process finds nothing stale."""
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "face_landmarker.task").write_bytes(b"weights")
    (tmp_path / "data" / "weights_face_landmarker").mkdir(parents=True)
    (tmp_path / "data" / "weights_face_landmarker" / "face_landmarker.task").write_bytes(b"w")
    code = ("from expresso_lib import config; from expresso_lib.pipeline import chapters;"
            f"wanted = config.validate({{'faces': {{'weights_folder': {str(folder)!r}}}}});"
            "print(chapters.data_hash(wanted))")  # fmt: skip
    place = {"EXPRESSO_DATA": str(tmp_path / "data")}
    found = {
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                       env=os.environ | place | {"PYTHONHASHSEED": seed}).stdout
        for seed in "12345"
    }  # fmt: skip
    assert len(found) == 1


@pytest.mark.parametrize("what", ["versions", "rooms_hash"])
def test_upgrades_and_edited_rooms_make_chapters_stale(project, monkeypatch, what):
    """Another version of a deciding package, or another room: every chapter is executed again."""
    ran = count(monkeypatch)
    book.run_chapters(chapters.CHAPTERS, parameters(), project)
    ran.clear()
    monkeypatch.setattr(store, what, lambda *rooms: "another")
    assert "changed: " in book.stale(chapters.CHAPTERS[0], parameters(), project)
    book.run_chapters(chapters.CHAPTERS, parameters(), project)
    assert ran == ["01_cohort", "02_faces"]


def test_force_executes_the_named_chapter_only(project, monkeypatch, caplog):
    """What it rests on is up to date and stays; all that is executed is said first."""
    caplog.set_level("INFO")
    ran = count(monkeypatch)
    book.run_chapters(chapters.CHAPTERS, parameters(), project)
    ran.clear()
    book.run_chapters(chapters.CHAPTERS, parameters(), project, force=["02_faces"])
    assert ran == ["02_faces"]
    assert "In build/t will be executed: 02_faces (forced)" in caplog.text


def test_too_few_people_are_refused_before_chapter_1(project, monkeypatch):
    """The least number has a reason, and nothing is executed."""
    ran = count(monkeypatch)
    monkeypatch.setattr(book.cohort, "from_parameters", lambda section: people(2))
    wanted = config.validate({"run": {"name": "t"}, "cohort": {"source": "ravdess"}})
    with pytest.raises(config.ParameterError, match=r"ravdess: 2: at least 6 .* sign-flip"):
        book.run_chapters(chapters.CHAPTERS, wanted, project)
    assert ran == []


def test_recordings_shorter_than_a_clip_are_refused_before_chapter_1(project, monkeypatch):
    """Four seconds hold no clip of 200 frames; nothing is executed."""
    ran = count(monkeypatch)
    monkeypatch.setattr(book.cohort, "from_parameters", lambda section: people(9))
    wanted = {"run": {"name": "t"}, "cohort": {"source": "ravdess"}, "clips": {"frames": 200}}
    with pytest.raises(config.ParameterError, match="longest recording has 50"):
        book.run_chapters(chapters.CHAPTERS, config.validate(wanted), project)
    assert ran == []


def test_no_tracker_at_all_is_said_before_chapter_1(project, monkeypatch, tmp_path):
    """Nobody's weights, no tables: what to install or to give, and nothing is executed."""
    ran = count(monkeypatch)
    monkeypatch.setattr(book.cohort, "from_parameters", lambda section: people(9))
    monkeypatch.setenv("EXPRESSO_DATA", str(tmp_path / "none"))
    for tracker, words in (("auto", "no tracker is at hand"), ("tables", "beside none of the")):
        given = {"cohort": {"source": "ravdess"}, "faces": {"tracker": tracker}}
        with pytest.raises(preprocessing.TrackerError, match=words):
            book.run_chapters(
                chapters.CHAPTERS, config.validate({"run": {"name": "t"}} | given), project
            )
    assert ran == []


def test_who_may_be_shown_and_the_scale_are_inputs_of_later_chapters(
    project, monkeypatch, tmp_path
):
    """Consent that is withdrawn, or a scale that is corrected, makes all chapters anew."""
    monkeypatch.setenv("EXPRESSO_ROOT", str(project))
    video.write_video(tmp_path / "mine" / "a.mp4", [np.zeros((16, 16, 3), np.uint8)] * 4, 25)
    video.write_video(tmp_path / "mine" / "b.mp4", [np.ones((16, 16, 3), np.uint8)] * 4, 25)
    (tmp_path / "mine" / "t.csv").write_text("participant,path,score\na,a.mp4,1\nb,b.mp4,2\n")
    mine = {"cohort_source": "folder", "cohort_folder": str(tmp_path / "mine"), "run_name": "t"}
    declared = {f"cohort_{name}": value for name, value in config.CohortSection()}
    made = []
    for turned in ({}, {"cohort_show_faces": True}, {"cohort_score_high": 9.0}):
        run = pipeline.open_run("01_cohort", declared | mine | turned)
        run.open_cohort()
        run.close()
        made.append(str(chapters.read_outputs("01_cohort", run.folder)))
    assert len(set(made)) == 3


def test_a_variant_that_nobody_plants_is_refused_before_chapter_1(project, monkeypatch):
    """A region that faces have not: the known ones, and nothing is executed."""
    ran = count(monkeypatch)
    wanted = config.validate({"run": {"name": "t"}, "cohort": {"variant": "region:ear"}})
    with pytest.raises(ValueError, match="variant 'region:ear' is unknown; use default"):
        book.run_chapters(chapters.CHAPTERS, wanted, project)
    assert ran == []


def test_a_network_that_nobody_knows_is_refused_before_chapter_1(project, monkeypatch):
    """`training.model=foo` would fail in chapter 3: it is named first, and nothing is executed."""
    ran = count(monkeypatch)
    write_notebook(project, "03_finetune", ("run_name",), "1")
    third = chapters.Chapter("03_finetune", "Three", ("02_faces",))
    wanted = config.validate({"run": {"name": "t"}, "training": {"model": "foo"}})
    with pytest.raises(ValueError, match="'foo'"):
        book.run_chapters([*chapters.CHAPTERS, third], wanted, project)
    assert ran == []


@pytest.mark.parametrize("tracker", ["mediapipe", "s3fd_fan"])
def test_missing_weights_are_named_before_chapter_1(project, monkeypatch, tmp_path, tracker):
    """A tracker asked for by name, offline: its file, and nothing is executed."""
    ran = count(monkeypatch)
    (tmp_path / "mirror").mkdir()
    given = {"tracker": tracker, "weights_folder": str(tmp_path / "none")}
    monkeypatch.setenv(manifest.ENV_MIRROR, str(tmp_path / "mirror"))
    wanted = config.validate({"run": {"name": "t"}, "faces": given})
    with pytest.raises(manifest.FetchError, match=r"\.(task|pth)"):
        book.run_chapters(chapters.CHAPTERS, wanted, project)
    assert ran == []


def test_a_wheel_works_where_it_is_called(project, monkeypatch, tmp_path):
    """Its project lies in the package, its runs below the folder of the command; a checkout's
    lie below its own."""
    shipped = tmp_path / "site" / "project"
    monkeypatch.setattr(project_, "SHIPPED", shipped)
    monkeypatch.chdir(tmp_path)
    assert project_.run_folder(shipped.resolve(), "mine") == tmp_path / "build" / "mine"
    monkeypatch.setenv("EXPRESSO_HERE", str(tmp_path / "here"))
    assert project_.run_folder(shipped.resolve(), "mine") == tmp_path / "here" / "build" / "mine"
    assert project_.run_folder(project, "mine") == project / "build" / "mine"


def test_a_root_that_is_named_and_holds_no_project_is_refused(monkeypatch, tmp_path):
    """A typo must not end in another project's build folder."""
    monkeypatch.setenv("EXPRESSO_ROOT", str(tmp_path / "typo"))
    with pytest.raises(FileNotFoundError, match="EXPRESSO_ROOT"):
        project_.project_root()


def test_two_books_in_one_folder_do_not_meet(project, monkeypatch):
    """The second says so and leaves; another run's folder is free."""
    ran = count(monkeypatch)
    with book.alone(project / "build" / "t"):
        with pytest.raises(book.Busy, match=r"another expresso works in .* --run NAME"):
            book.run_chapters(chapters.CHAPTERS, parameters(), project)
        with book.alone(project / "build" / "other"):
            pass
    assert ran == []
    assert book.run_chapters(chapters.CHAPTERS, parameters(), project) == {}


def test_an_interrupt_ends_at_once_and_keeps_the_book(project, monkeypatch):
    """Nothing is executed or published after it."""
    index = project / "build" / "t" / "html" / "index.html"
    store.write_text(index, "a good book")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(execution, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        book.make(parameters(), project)
    assert index.read_text() == "a good book"


def test_half_a_notebook_does_not_hide_that_the_disk_is_full(project, monkeypatch):
    """The cause is named, and a notebook without outputs is kept."""

    def full(source, out, **options):
        Path(out).write_text('{"cells": [', encoding="utf-8")
        raise OSError(errno.ENOSPC, "No space left on device")

    write_notebook(project, "01_cohort", ALPHA, "1")
    monkeypatch.setattr("papermill.execute_notebook", full)
    with pytest.raises(execution.ChapterFailed, match="disk is full"):
        execution.execute(chapters.CHAPTERS[0], parameters(), project)
    (kept,) = project.glob("build/*/notebooks/01_cohort.ipynb")
    assert nbformat.read(kept, as_version=4).metadata.expresso["error"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_kills_the_kernel_and_leaves_with_130(project):
    """Within seconds, without a traceback, with a word on what is kept."""
    write_notebook(project, "01_cohort", ALPHA, "import time; time.sleep(600)")
    command = [sys.executable, "-m", "expresso_lib.cli", "run", "1", "-p", "run.engine=process"]
    # A shell's background job ignores SIGINT, and so would what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    work = subprocess.Popen(
        command, env=os.environ | {"EXPRESSO_ROOT": str(project)}, stderr=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, before)
    folder = project / "build" / "demo"
    for _ in range(3000):
        if (folder / "figures").is_dir():  # the notebook has opened its run
            break
        time.sleep(0.2)
    work.send_signal(signal.SIGINT)
    said = work.communicate(timeout=120)[1]
    assert work.returncode == 130, said
    assert "Interrupted. Finished work is kept" in " ".join(said.split())
    assert "Traceback" not in said
    assert not list((folder / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
def test_execute_notices_a_notebook_that_ends_early(project):
    """`sys.exit(0)` skips the rest without an error; the missing stamp tells."""
    write_notebook(project, "01_cohort", ALPHA, "import sys; sys.exit(0)")
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
    now = chapters.fingerprint(chapters.CHAPTERS[0], parameters(0.1), project)
    assert facts["fingerprint"] == now
    assert str(project) not in path.read_text()
    record = json.loads((project / "build" / "t" / "run.json").read_text())
    assert record["chapters"]["01_cohort"]["error"] == ""


def test_open_run_refuses_a_wrong_parameter(project, monkeypatch):
    """papermill would only log it."""
    monkeypatch.setenv("EXPRESSO_ROOT", str(project))
    with pytest.raises(config.ParameterError, match=r"statistics\.alfa"):
        pipeline.open_run("01_cohort", {"statistics_alfa": 0.1, "run_name": "t"})


def test_evidence_keeps_a_model_named_null_and_is_empty_where_there_is_none(project, monkeypatch):
    """Read as a missing value, the null model would vanish from a committed table."""
    monkeypatch.chdir(project)
    folder = project / "benchmarks" / "study"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study_x.csv").write_text("seed,recipe,estimate\n0,null,1.5\n1,small,\n")
    run = pipeline.open_run("01_cohort", {"run_name": "t"})
    known = run.evidence("study_x")
    assert known["recipe"].tolist() == ["null", "small"]
    assert known["estimate"].isna().tolist() == [False, True]
    assert run.evidence("study_y").empty


def test_a_chapter_that_is_run_by_hand_is_no_longer_the_books(project, monkeypatch):
    """In JupyterLab with other parameters: what the last book knew does not vouch for it."""
    monkeypatch.setenv("EXPRESSO_ROOT", str(project))
    book.run_chapters(chapters.CHAPTERS[:1], parameters(), project)
    assert not book.stale(chapters.CHAPTERS[0], parameters(), project)
    name = parameters().run.name
    pipeline.open_run("01_cohort", {"run_name": name, "statistics_alpha": 0.01}).close()
    assert book.stale(chapters.CHAPTERS[0], parameters(), project)


def test_a_fact_that_no_chapter_recorded_is_missed_by_name(project, monkeypatch):
    """A run.json that somebody deleted: the chapter says what to do, not a bare key."""
    monkeypatch.setenv("EXPRESSO_ROOT", str(project))
    run = pipeline.open_run("01_cohort", {"run_name": "t"})
    with pytest.raises(pipeline.MissingRun, match="no 'default_recipe'"):
        run.fact("default_recipe")


def test_open_run_names_the_missing_chapter(project, monkeypatch):
    """A notebook opened alone says which earlier one it needs and how to run it."""
    monkeypatch.setenv("EXPRESSO_ROOT", str(project))
    with pytest.raises(pipeline.MissingRun, match="expresso run 01_cohort --run t"):
        pipeline.open_run("02_faces", {"run_name": "t"})


def test_glue_takes_many_values_and_whole_rows(project, monkeypatch):
    """A row with an estimate and its interval gives three names; numbers stay plain numbers."""
    import myst_nb

    monkeypatch.setenv("EXPRESSO_ROOT", str(project))
    kept = {}
    monkeypatch.setattr(myst_nb, "glue", lambda name, value, display: kept.update({name: value}))
    run = pipeline.open_run("01_cohort", {"run_name": "t"})
    row = pd.Series({"estimate": 0.5, "ci_low": 0.25, "ci_high": 0.75, "n": 7})
    run.glue(r=row, people=pd.Series([84])[0], word="yes", gain=dict(row))
    numbers = {"r": 0.5, "r_low": 0.25, "r_high": 0.75}
    gains = {f"gain{name[1:]}": value for name, value in numbers.items()}
    assert kept == numbers | gains | {"people": 84, "word": "yes"}
    assert type(kept["people"]) is int


def test_a_simulation_is_computed_once_for_its_arguments(project, monkeypatch):
    """A table that reads no data of the run is made anew only where what was asked for changes."""
    monkeypatch.setenv("EXPRESSO_ROOT", str(project))
    run = pipeline.open_run("01_cohort", {"run_name": "t", "run_workers": 1})
    file = run.data / "curve" / "one.parquet"

    def made(**given) -> tuple[pd.DataFrame, int]:
        table = run.once("curve", statistics.power_curve, {"one": given})["one"]
        return table, file.stat().st_mtime_ns

    table, when = made(n=[12], kind="severity")
    again, same = made(n=[12], kind="severity")
    other, later = made(n=[84], kind="severity")
    pd.testing.assert_frame_equal(table, statistics.power_curve([12], kind="severity"))
    pd.testing.assert_frame_equal(table, again)
    assert same == when
    assert later > when
    assert not table.equals(other)


def test_a_movie_shows_its_first_frame_before_it_is_played(project, monkeypatch, tmp_path):
    """Without a poster a black square stands in the page until somebody presses play."""
    monkeypatch.setenv("EXPRESSO_ROOT", str(project))
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda piece: shown.append(piece.data))
    frames = [np.full((32, 48, 3), level, np.uint8) for level in (200, 40, 40)]
    movie = video.write_video(tmp_path / "m.mp4", frames, 12.5)
    run = pipeline.open_run("01_cohort", {"run_name": "t"})
    run.movie("m", movie, caption="A film.", alt="Grey.", note="None")
    poster = re.search(r'poster="data:image/webp;base64,([^"]+)"', shown[0])[1]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(poster))))
    assert picture.shape == (32, 48, 3)
    assert abs(int(picture.mean()) - 200) < 10


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
