"""Turn every parameter that a reader may turn: each run ends in a book or in one clear message.

``python -m benchmarks.turning`` makes the quick book with one parameter turned at a time and with
40 drawn combinations, each from a copy of the book as it comes, as a reader does: what the turned
parameters do not touch stands already. Hours, resumable: a row of ``build/turning.jsonl`` per run,
and what stands there is not run again. ``--only drawn``, ``--only one``, ``--first 5`` and
``--chapter 2`` make it shorter; ``--kills 20`` kills the book at so many drawn moments instead and
compares the tables that it ends with.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import measure
from benchmarks.__main__ import keep
from expresso_lib import config, store
from expresso_lib.pipeline import project, project_root

ROWS = project_root() / "build" / "turning.jsonl"
RUN, PLAIN = "turning", "turning_plain"
FIELDS = {
    f"{section}.{name}": field
    for section, model in config.SECTIONS.items()
    for name, field in model.model_fields.items()
}
# Workers would import the library once more per chapter, which takes longer than their work.
BASE = {"run.engine": "process"}
# What is tried of a parameter, the value of the profile "quick" left out. Values that cannot
# work stand here on purpose: they have to be refused before anything runs.
VALUES: dict[str, tuple[Any, ...]] = {
    "cohort.participants": (4, 6, 11, 30),
    "cohort.recordings": (1, 3, 4),
    "cohort.seconds": (0.5, 1.5, 9.0),
    "cohort.fps": (10.0, 12.5, 60.0),
    "cohort.size": (48, 96, 224),
    "cohort.seed": (7,),
    "cohort.variant": ("amount", "null", "headset", "region:mouth", "au:12", "region:ear"),
    "faces.tracker": ("simulated", "tables", "mediapipe", "s3fd_fan"),
    "faces.smoothing": (2.0,),
    "faces.min_share": (0.0, 0.9),
    "clips.frames": (2, 8, 32, 64),
    "clips.step": (1, 7, 200),
    "clips.dilation": (2, 3, 16),
    "clips.fps": (5.0, 25.0, 60.0),
    "clips.size": (16, 48, 112),
    "clips.input": ("composite",),
    "training.model": ("r3d_18", "resnet18", "smal", "torchvision.models:resnet18"),
    "training.weights": ("none", "kinetics400"),
    "training.fit": ("last", "all"),
    "training.folds": (2, 8, 20),
    "training.repeats": (2,),
    "training.seed": (3,),
    "attribution.method": ("IntegratedGradients",),
    "attribution.baselines": ("[posed_neutral, zero]", "[blur]",
                              "[posed_neutral, zero, own_neutral, calm_mean]"),
    "attribution.randomised": (0, 1),
    "attribution.trust_clips": (2, 20),
    "attribution.batch": (1,),
    "statistics.window": (8, 64, 500),
    "statistics.alpha": (0.001, 0.2, 0.45),
    "statistics.correct_within": (0.0, 20.0),
    "statistics.margin_z": (0.5,),
    "run.engine": ("loky", "dask"),
    "run.workers": (1,),
}  # fmt: skip
# Data of one's own, places, devices, names; effort and thresholds whose every value is alike.
LEFT_OUT = {
    "cohort": "source folder table score score_low score_high bands emotion tables show_faces",
    "faces": "detect_every detect_side min_confidence max_jitter min_eye_distance "
    "max_turn max_gap device precision flip weights_folder",
    "training": "grid epochs batch learning_rate optimizer bootstrap device",
    "attribution": "dealt seed",
    "statistics": "permutations bootstrap margin_rho seed",
    "run": "name threads scheduler",
}


def singles() -> list[dict[str, str]]:
    """Every value by itself."""
    return [{name: str(value)} for name, values in VALUES.items() for value in values]


def drawn(count: int = 40, *, seed: int = 22) -> list[dict[str, str]]:
    """Combinations of three to seven parameters; the same ones for every call."""
    rng, names = np.random.default_rng(seed), list(VALUES)
    found = []
    for _ in range(count):
        chosen = rng.choice(names, size=rng.integers(3, 8), replace=False)
        found.append({str(name): str(rng.choice(VALUES[name])) for name in sorted(chosen)})
    return found


def key(case: Mapping[str, str]) -> str:
    """A case as it is typed behind the command."""
    return " ".join(f"-p '{name}={value}'" for name, value in case.items())


def plain() -> None:
    """Make the quick book as it comes, where it is not made yet; `turn` starts from copies."""
    line = command(BASE, ("book",), run=PLAIN)
    subprocess.run(line, cwd=project_root(), check=True, stderr=subprocess.DEVNULL)


def turn(case: Mapping[str, str], words: Sequence[str] = ("book",)) -> dict[str, Any]:
    """Type one command and say how it ended; where the `plain` book is made, a copy is turned.

    Parameters
    ----------
    case : mapping of str to str
        Parameter to value.
    words : sequence of str
        The command; ``run 2`` makes two chapters of the book.

    Returns
    -------
    dict
        ``case``; ``ends``: "book" (exit code 0, no chapter failed), "message" (exit code 2 with
        some lines and no traceback, before any chapter began) or "fault"; ``said``: the last
        lines; ``chapters``: how many were made anew; ``seconds``.
    """
    folder, kept = (project.run_folder(project_root(), name) for name in (RUN, PLAIN))
    shutil.rmtree(folder, ignore_errors=True)
    if kept.is_dir():
        shutil.copytree(kept, folder)
    before, start = executed(folder), time.perf_counter()
    done = subprocess.run(command({**BASE, **case}, words), cwd=project_root(), capture_output=True,
                          text=True, check=False)  # fmt: skip
    made = executed(folder) - before
    said = " ".join(done.stderr.split())
    ends = "fault"
    if done.returncode == 0:
        ends = "book"
    elif done.returncode == 2 and not made and 20 < len(said) < 2000 and "Traceback" not in said:
        ends = "message"
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "case": key(case),
        "ends": ends,
        "said": said[-600:],
        "chapters": len(made),
        "seconds": round(time.perf_counter() - start, 1),
    }


def executed(folder: Path) -> set[tuple[str, int]]:
    """The chapters that a run has made, each with the time of its file."""
    return {(path.name, path.stat().st_mtime_ns) for path in folder.glob("notebooks/*.ipynb")}


def command(case: Mapping[str, str], words: Sequence[str], *, run: str = RUN) -> list[str]:
    """The command line of a case, on the quick profile."""
    turned = [word for name, value in case.items() for word in ("-p", f"{name}={value}")]
    start = [sys.executable, "-m", "expresso_lib.cli", *words]
    return [*start, "--params", "quick", "--run", run, *turned]


def rows(path: Path = ROWS) -> list[dict[str, Any]]:
    """What has been run so far."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run(
    cases: Sequence[Mapping[str, str]],
    path: Path = ROWS,
    *,
    turn: Callable[[Mapping[str, str]], dict[str, Any]] = turn,
) -> Iterator[dict[str, Any]]:
    """Turn the cases that no row answers yet, and keep a row of each as it ends."""
    known = {row["case"]: row for row in rows(path)}
    for case in cases:
        if key(case) not in known:
            known[key(case)] = turn(case)
            store.make_folder(path.parent)
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(known[key(case)]) + "\n")
        yield known[key(case)]


# Killed and resumed

# What can be killed -> a word of its command line; "book" is everything at once.
VICTIMS = {"book": "", "kernel": "ipykernel_launcher", "worker": "LokyProcess"}
LIFE = 60  # s at most between two kills: long enough to get on, short enough to meet every chapter


def tables(folder: Path) -> dict[str, str]:
    """Every table of a run with the hash of its bytes."""
    return {path.name: store.file_hash(path) for path in sorted(folder.glob("tables/*.parquet"))}


def family(pid: int) -> dict[int, str]:
    """Processes below one with their command lines, oldest first (Linux)."""
    parents, lines = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(fields[1])
            lines[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    found, todo = {}, [pid]
    while todo:
        parent = todo.pop()
        children = [child for child, one in parents.items() if one == parent]
        found |= {child: lines[child] for child in children}
        todo += children
    return dict(sorted(found.items()))


def kill(pid: int, victim: str) -> int:
    """SIGKILL one of `VICTIMS` of a running command; return how many processes that was."""
    below = family(pid)
    chosen = [one for one, line in below.items() if VICTIMS[victim] in line]
    chosen = [pid, *below] if victim == "book" else chosen[-1:]
    for one in chosen:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    return len(chosen)


def kills(count: int, *, seed: int = 22) -> pd.DataFrame:
    """Kill the quick book at drawn moments, again and again, and go on each time until it is made.

    Returns
    -------
    DataFrame
        A row per kill: ``book`` (counted from 1), ``victim``, ``after`` (s), ``met`` (processes),
        ``same``: whether in the end that book has the tables of `plain`, to the last bit.
    """
    folder, kept = (project.run_folder(project_root(), name) for name in (RUN, PLAIN))
    wanted, rng, found = tables(kept), np.random.default_rng(seed), []
    for book in itertools.count(1):
        shutil.rmtree(folder, ignore_errors=True)
        lives = []
        while one := life(rng.uniform(0, LIFE), str(rng.choice(list(VICTIMS)))):
            lives.append(one)
        same = tables(folder) == wanted
        if not (lives or same):
            raise RuntimeError(f"book {book} ended otherwise than the first, and nobody killed it.")
        found += [one | {"book": book, "same": same} for one in lives]
        if len(found) >= count:
            break
    shutil.rmtree(folder, ignore_errors=True)
    return pd.DataFrame(found)


def life(seconds: float, victim: str) -> dict[str, Any]:
    """Make the quick book, or go on with it, until a victim is killed; empty if it was done.

    Where there is no such process just then, the whole book dies.
    """
    work = subprocess.Popen(command({}, ("book",)), cwd=project_root(), stderr=subprocess.DEVNULL)
    try:
        work.wait(seconds)
    except subprocess.TimeoutExpired:
        if not (met := kill(work.pid, victim)):
            victim, met = "book", kill(work.pid, "book")
        work.wait()
        return {"victim": victim, "after": round(seconds), "met": met}
    return {}


def main() -> int:
    """Read the command line; 1 if any run ended in a fault."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.turning", description=__doc__)
    words.add_argument("--only", choices=("one", "drawn"), help="one at a time, or combinations")
    words.add_argument("--first", type=int, default=None, help="so many cases")
    words.add_argument("--chapter", default="", help="up to this chapter instead of the book")
    words.add_argument("--kills", type=int, default=0, help="kill the book so often instead")
    asked = words.parse_args()
    plain()
    if asked.kills:
        table = kills(asked.kills)
        print(table.to_string())
        lost = table.loc[~table["same"], "book"].nunique()
        note = f"{len(table)} kills of {table['book'].nunique()} quick books"
        keep([measure.goal(12, "killed books that end in other tables", lost, 0, "lower",
                           note=note)], quick=False)  # fmt: skip
        return int(lost > 0)
    cases = {"one": singles(), "drawn": drawn()}
    chosen = cases[asked.only] if asked.only else cases["one"] + cases["drawn"]
    typed = ("run", asked.chapter) if asked.chapter else ("book",)
    ended: Counter[str] = Counter()
    for row in run(chosen[: asked.first], turn=lambda case: turn(case, typed)):
        print(f"{row['ends']:8} {row['seconds']:7.0f} s  {row['case']}", flush=True)
        ended[row["ends"]] += 1
    note = f"{ended['book']} books and {ended['message']} messages beside"
    keep([measure.goal(12, "turned parameters that end in neither a book nor a message",
                       ended["fault"], 0, "lower", note=note)], quick=False)  # fmt: skip
    return int(ended["fault"] > 0)


if __name__ == "__main__":
    sys.exit(main())
