"""Killed at any moment, a run goes on where it stopped and makes the same tables."""

import os
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from test_pipeline import lay, write_notebook

from benchmarks import turning

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are found in /proc"),
]
PIECES = 10
MODULE = """
import time

def square(item, path):
    time.sleep(0.3)
    with (path.parent / "trace.log").open("a") as log:
        log.write(item.name + "\\n")
    path.write_text(str(item.recipe["number"] ** 2))
"""
CHAPTER = f"""
import pandas as pd
import slow
from expresso_lib import store
items = [store.Item(f"n{{i}}", {{"number": i}}) for i in range({PIECES})]
made = run.map(slow.square, items, out="slow", suffix=".txt")
run.write_table("numbers", pd.DataFrame({{"n": [int(one.path.read_text()) for one in made]}}))
"""
COMMAND = [sys.executable, "-m", "expresso_lib.cli", "run", "1", "--run", "killed"]
COMMAND += ["-p", "run.workers=2"]


class Work:
    """One chapter of ten slow pieces of work, by two workers, typed as a person would."""

    def __init__(self, root):
        self.folder = root / "build" / "killed"
        self.options = {"env": os.environ | {"EXPRESSO_ROOT": str(root)}, "text": True}
        self.options |= {"cwd": root, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}

    def finished(self):
        """Pieces that are done."""
        return {path.stem for path in (self.folder / "data" / "slow").glob("n*.txt")}

    def started(self, pieces):
        """The running command, as soon as so many pieces are done."""
        work = subprocess.Popen(COMMAND, **self.options)
        while work.poll() is None and len(self.finished()) < pieces:
            time.sleep(0.02)
        assert work.poll() is None, work.communicate()
        return work

    def again(self):
        """The command to its end."""
        done = subprocess.run(COMMAND, **self.options, check=False)
        assert done.returncode == 0, done.stdout

    def repeated(self):
        """Pieces that were made more than once."""
        names = (self.folder / "data" / "slow" / "trace.log").read_text().split()
        return {name for name in names if names.count(name) > 1}


@pytest.fixture
def work(tmp_path):
    lay(tmp_path)
    write_notebook(tmp_path, "01_cohort", ("run_name",), CHAPTER)
    (tmp_path / "notebooks" / "slow.py").write_text(MODULE)
    return Work(tmp_path)


# As many pieces are done when the kill comes; drawn once, for red must mean that code changed.
MOMENTS = dict(zip(turning.VICTIMS, np.random.default_rng(22).integers(1, PIECES - 2, 3).tolist()))


@pytest.mark.parametrize("victim", MOMENTS)
def test_a_killed_run_goes_on_and_makes_the_same_tables(work, victim, tmp_path):
    """A worker alone costs nothing; a kernel or the whole book costs the pieces in hand."""
    running = work.started(MOMENTS[victim])
    before = work.finished()
    if victim == "worker":
        # Meanwhile a second book in the same folder leaves with a word, and harms nothing.
        second = subprocess.run(COMMAND, **work.options, check=False)
        assert second.returncode == 1, second.stdout
        assert "another expresso works in" in " ".join(second.stdout.split())
    assert turning.kill(running.pid, victim)
    said = running.communicate()[0]
    assert (running.returncode == 0) == (victim == "worker"), said
    if victim != "worker":
        assert not turning.tables(work.folder)
        work.again()
    assert not before & work.repeated()
    (tmp_path / "tables").mkdir()
    numbers = pd.DataFrame({"n": [number**2 for number in range(PIECES)]})
    numbers.to_parquet(tmp_path / "tables" / "numbers.parquet", index=False)
    assert turning.tables(work.folder) == turning.tables(tmp_path)
