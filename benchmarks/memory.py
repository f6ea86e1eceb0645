"""Goal 2: peak memory of preprocessing a recording above the idle process, and its growth."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from expresso_lib.faces import video

from . import measure, seek

SHAPE = (480, 640)
# Idle is the process with everything imported and one frame done: what remains is the recording's.
CHILD = """
import json, sys
import numpy as np
from expresso_lib import clips
from expresso_lib.faces import s3fd_fan

class Still:
    reference = 195.0
    def detect(self, image, **_):
        return np.array([[200, 120, 440, 400, 0.9]], np.float32)
    def place(self, crops, **_):
        grid = np.stack([16 + np.arange(68) % 8 * 4, 16 + np.arange(68) // 8 * 4], -1)
        return np.repeat(grid[None].astype(np.float32), len(crops), 0), np.full(len(crops), 0.9)

def megabytes(name):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024

def work(path):
    track = s3fd_fan.track(path, Still())
    return clips.prepare(path, track, size=64, rate=12.5).n_frames

short, path = sys.argv[1:]
work(short)
idle = megabytes("VmRSS")
frames = work(path)
print(json.dumps({"above": megabytes("VmHWM") - idle, "frames": frames}))
"""


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Return the goal's lines: megabytes above idle, and what doubling the length adds."""
    seconds = (5, 10) if quick else (60, 120)
    note = (
        "decoding, cropping for FAN, tracking, cutting clips; the networks' own buffers, which "
        "do not depend on the recording, are left out"
    )
    with tempfile.TemporaryDirectory() as folder:
        short = _recording(Path(folder) / "short.mp4", 0.4)
        peaks = [_peak(short, _recording(Path(folder) / f"{s}.mp4", s)) for s in seconds]
    return [
        measure.goal(
            2, f"MB above idle, {seconds[1]} s of 640x480", peaks[1], 150, "lower", note=note
        ),
        # The series of 64-pixel crops is the result: 1,500 frames of 12 kB and their regions.
        measure.goal(
            2,
            f"MB more for {seconds[1]} s than for {seconds[0]} s",
            peaks[1] - peaks[0],
            30,
            "lower",
            note="the clips that are the result grow by 12 MB a minute",
        ),
    ]


def _recording(path: Path, seconds: float) -> Path:
    return video.write_video(path, seek.pictures(int(25 * seconds), SHAPE), 25, crf=30)


def _peak(short: Path, path: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(short), str(path)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1])["above"])
