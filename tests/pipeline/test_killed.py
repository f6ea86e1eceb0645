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
from expresso_lib import store

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="processes are found in /proc"),
]
PIECES = 10
PATIENCE = 600  # s
MODULE = """
import time

def square(item, path):
    while item.recipe["number"] >= int((path.parent / "allowed").read_text()):
        time.sleep(0.05)
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
    """One chapter of ten pieces of work, by two workers, who wait until they may go on."""

    def __init__(self, root):
        self.folder = root / "build" / "killed"
        self.pieces = self.folder / "data" / "slow"
        self.pieces.mkdir(parents=True)
        # A file, for workers that outlive their kernel would keep a pipe open.
        self.log = root / "said.txt"
        self.options = {"env": os.environ | {"EXPRESSO_ROOT": str(root)}, "cwd": root}
        self.options |= {"stdout": self.log.open("ab"), "stderr": subprocess.STDOUT}

    def said(self):
        """What the commands have printed, as one line."""
        return " ".join(self.log.read_text().split())

    def finished(self):
        """Pieces that are done, with their key."""
        return {path.name.partition(".")[0] for path in self.pieces.glob("n*.key.json")}

    def allow(self, pieces):
        """Let the first pieces be done."""
        store.write_text(self.pieces / "allowed", str(pieces))

    def started(self, pieces):
        """The running command, when so many pieces are done and its workers have the next."""
        self.allow(pieces)
        work, end = subprocess.Popen(COMMAND, **self.options), time.monotonic() + PATIENCE
        while not (len(self.finished()) >= pieces and self.workers(work.pid)):
            assert work.poll() is None, self.said()
            assert time.monotonic() < end, f"{self.finished()} after {PATIENCE} s: {self.said()}"
            time.sleep(0.05)
        return work

    def workers(self, pid):
        """Command lines of a command's own workers; those of a killed one may still be at work."""
        return [line for line in turning.family(pid).values() if turning.VICTIMS["worker"] in line]

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


# So many pieces are done when the kills come; drawn once, for red must mean that code changed.
MOMENTS = sorted(np.random.default_rng(22).choice(range(1, PIECES - 1), 3, replace=False).tolist())


def test_killed_three_times_a_run_makes_the_same_tables(work, tmp_path):
    """Its kernel, then everything at once, then a worker: what was done is not done again."""
    done = set()
    for victim, pieces in zip(("kernel", "book"), MOMENTS):
        running = work.started(pieces)
        done |= work.finished()
        assert turning.kill(running.pid, victim)
        assert running.wait(PATIENCE), work.said()
        assert not turning.tables(work.folder)
    running = work.started(MOMENTS[2])
    done |= work.finished()
    # Meanwhile a second book in the same folder leaves with a word, and harms nothing.
    second = subprocess.run(COMMAND, **work.options, check=False, timeout=PATIENCE)
    assert second.returncode == 1, work.said()
    assert "another expresso works in" in work.said()
    assert turning.kill(running.pid, "worker")
    work.allow(PIECES)
    assert running.wait(PATIENCE) == 0, work.said()
    assert not done & work.repeated()
    (tmp_path / "tables").mkdir()
    numbers = pd.DataFrame({"n": [number**2 for number in range(PIECES)]})
    numbers.to_parquet(tmp_path / "tables" / "numbers.parquet", index=False)
    assert turning.tables(work.folder) == turning.tables(tmp_path)
