"""Goal 8: the whole book, a changed statistic, nothing changed."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from . import measure

ROOT = Path(__file__).parents[1]


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Return the goal's lines; `quick` measures the quick profile, against the same bars."""
    profile, name = ("quick", "bench-quick") if quick else ("demo", "bench-demo")
    shutil.rmtree(ROOT / "build" / name, ignore_errors=True)
    start = time.perf_counter()
    whole, peak = book(profile, name)
    minutes, stages = (time.perf_counter() - start) / 60, chapter_seconds(name)
    nothing, _ = book(profile, name)
    changed, _ = book(profile, name, "-p", "statistics.alpha=0.1")
    shutil.rmtree(ROOT / "build" / name, ignore_errors=True)
    what = f"the {profile} book"
    return [
        measure.goal(
            8,
            f"{what} from a clean checkout, CPU-seconds",
            whole,
            1300.0,
            "lower",
            note=f"{minutes:.1f} minutes; {stages}",
        ),
        measure.goal(8, f"{what}, peak memory of its largest process, GB", peak, 4.0, "lower"),
        measure.goal(8, f"{what}, a changed statistic, CPU-seconds", changed, 90.0, "lower"),
        measure.goal(8, f"{what}, nothing changed, CPU-seconds", nothing, 10.0, "lower"),
    ]


def book(profile: str, name: str, *more: str) -> tuple[float, float]:
    """Return the CPU-seconds of ``expresso book``, all processes, and the largest's peak in GB."""
    before = os.times()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "expresso_lib.cli",
            "book",
            "--params",
            profile,
            "--run",
            name,
            *more,
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        env=os.environ | {"EXPRESSO_ROOT": str(ROOT)},
    )
    peak, after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2, os.times()
    spent = (after.children_user - before.children_user,
             after.children_system - before.children_system)  # fmt: skip
    return sum(spent), peak


def chapter_seconds(name: str) -> str:
    """Return each chapter's CPU-seconds in one line."""
    facts = json.loads((ROOT / "build" / name / "run.json").read_text(encoding="utf-8"))
    return "; ".join(
        f"{chapter}: {values['cpu_seconds']:.0f}"
        for chapter, values in sorted(facts["chapters"].items())
    )
