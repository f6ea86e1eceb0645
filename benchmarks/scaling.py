"""Goal 9: cost is linear in participants, and memory flat."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from . import measure

BASE, FACTORS = 6, (1, 2, 4, 8)
SECONDS, SIZE = 2.0, 112


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Return the goal's lines: fitted exponents of time and disk, growth of memory."""
    counts = [BASE * factor for factor in (FACTORS[:2] if quick else FACTORS)]
    found = [_in_its_own_process(count) for count in counts]
    time_slope = exponent(counts, [f["seconds"] for f in found])
    disk_slope = exponent(counts, [f["bytes"] for f in found])
    growth = found[-1]["peak_mb"] / found[0]["peak_mb"]
    note = "; ".join(
        f"{n}: {f['seconds']:.1f} s, {f['peak_mb']:.0f} MB, {f['bytes'] / 1e6:.1f} MB on disk"
        for n, f in zip(counts, found, strict=True)
    )
    what = f"{counts[0]} to {counts[-1]} participants, 2-second recordings"
    return [
        measure.goal(
            9, f"{what}: exponent of processor time", time_slope, 1.05, "lower", note=note
        ),
        measure.goal(9, f"{what}: exponent of disk", disk_slope, 1.05, "lower"),
        measure.goal(9, f"{what}: peak memory, largest over smallest", growth, 1.15, "lower"),
    ]


def exponent(counts: list[int], costs: list[float]) -> float:
    """Return the slope of log cost on log count.

    >>> round(exponent([1, 2, 4], [3.0, 6.0, 12.0]), 3)
    1.0
    """
    return float(np.polyfit(np.log(counts), np.log(costs), 1)[0])


def _in_its_own_process(participants: int) -> dict[str, float]:
    # Peak memory never falls within a process, so each size gets its own.
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scaling", str(participants)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    return json.loads(done.stdout.splitlines()[-1])


def work(participants: int, folder: Path) -> None:
    """Render, track and cut `participants` recordings, as chapters 1 and 2 do."""
    from expresso_lib import clips, faces, rendered, store

    plan = rendered.plan_cohort(participants=participants, recordings=1, seconds=SECONDS)
    rendered.write_cohort(folder / "cohort", plan, size=SIZE)
    for recording in plan.recordings["recording"]:
        with np.load(folder / "cohort" / f"{recording}.npz", allow_pickle=False) as truth:
            track = faces.simulate(truth["landmarks"], fps=float(truth["fps"]), seed=0)
        archive = clips.prepare(folder / "cohort" / f"{recording}.mp4", track)
        with store.atomic(folder / "clips" / f"{recording}.npz") as temporary:
            archive.save(temporary)


def main() -> None:
    """Do the work once and print its cost as JSON."""
    from tqdm import tqdm

    with tempfile.TemporaryDirectory() as folder, tqdm(disable=True):
        work(1, Path(folder) / "warm-up")
        start = time.process_time()
        work(int(sys.argv[1]), Path(folder) / "measured")
        seconds = time.process_time() - start
        size = sum(p.stat().st_size for p in (Path(folder) / "measured").rglob("*") if p.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_mb": peak, "bytes": size}) + "\n")


if __name__ == "__main__":
    main()
