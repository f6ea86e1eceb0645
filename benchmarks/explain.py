"""Goal 11: `expresso explain` on 20 seconds of 640 x 480, tracking with MediaPipe included.

The recording is a rendered face of the shipped cohort, enlarged. It is explained by the final model
of a run that is there; without one, or without MediaPipe's model file, nothing is measured.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from expresso_lib import faces, manifest
from expresso_lib.faces import mediapipe, video
from expresso_lib.pipeline.recording import MODEL

from . import measure

SIDE, WIDTH, FPS = 480, 640, 25
FACE = sorted((Path(faces.__file__).parents[1] / "assets/demo_cohort").glob("*.mp4"))[0]
CHILD = """
import json, sys, time
from pathlib import Path
from expresso_lib.pipeline import recording

path, out, run = map(Path, sys.argv[1:])
recording.explain(path, out=out, run_folder=run)
lines = open("/proc/self/status").read().splitlines()
peak = int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
print(json.dumps({"seconds": time.process_time(), "peak": peak}))
"""


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Return the goal's lines: CPU-seconds, and megabytes that twice the length adds."""
    seconds = (2, 4) if quick else (10, 20)
    what = (f"expresso explain, {seconds[1]} s of 640x480, CPU-seconds",
            f"expresso explain, MB more for {seconds[1]} s than for {seconds[0]} s")  # fmt: skip
    folder = trained()
    if folder is None or not at_hand():
        return [measure.absent(11, what[0], 60, "lower"), measure.absent(11, what[1], 100, "lower")]
    with tempfile.TemporaryDirectory() as place:
        short, long = (_explained(Path(place), folder, length) for length in seconds)
    note = f"MediaPipe's tracking and imports included; {long['peak']:.0f} MB at most"
    return [
        measure.goal(11, what[0], long["seconds"], 60, "lower", note=note),
        # The clips at 64 pixels and their maps are the result; the pictures are not kept.
        measure.goal(11, what[1], long["peak"] - short["peak"], 100, "lower"),
    ]


def at_hand() -> bool:
    """Return whether MediaPipe's model file is here."""
    return manifest.path_of(mediapipe.WEIGHTS).is_file()


def trained() -> Path | None:
    """Return the folder of a run that has a final model: the published one, or the quick one."""
    runs = (measure.ROOT / "build" / name for name in ("demo", "quick"))
    return next((one for one in runs if (one / "models" / MODEL).is_file()), None)


def enlarged(path: Path, frames: int) -> Path:
    """Write a rendered face in 640 x 480, from the shipped recording forwards and backwards."""
    shown = [frame.image for frame in video.read_frames(FACE)]

    def pictures() -> Iterator[np.ndarray]:
        while True:
            yield from shown
            yield from reversed(shown)

    side = (WIDTH - SIDE) // 2
    whole = (
        cv2.copyMakeBorder(cv2.resize(one, (SIDE, SIDE)), 0, 0, side, side, cv2.BORDER_REPLICATE)
        for one in islice(pictures(), frames)
    )
    return video.write_video(path, whole, FPS)


def _explained(place: Path, run_folder: Path, seconds: int) -> dict[str, float]:
    film = enlarged(place / f"{seconds}.mp4", seconds * FPS)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(film), str(place / f"card{seconds}"), str(run_folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
