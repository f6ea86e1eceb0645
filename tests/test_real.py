"""A real folder from end to end: people who really spoke, a table of scores, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from test_privacy import COLOURED, GREEN, MAGENTA, coloured, mark, pictures

from expresso_lib import manifest
from expresso_lib.cohort import grid
from expresso_lib.faces import mediapipe, video

SHARED = Path(__file__).parents[2] / "shared"
GRID, WEIGHTS = SHARED / "real/grid", SHARED / "weights"
SPEAKERS = ("s1", "s2", "s3", "s30", "s33", "s34")
EACH = 2


def _marked(source: Path, target: Path, number: int) -> None:
    """Copy a clip with a mark around the face: green and magenta blocks, strong at the edges."""
    frames = [frame.image for frame in video.read_frames(source)]
    height, width = frames[0].shape[:2]
    blocks = cv2.resize(mark(number), (width, height), interpolation=cv2.INTER_NEAREST)
    paint = np.where(blocks[..., None] > 0, GREEN, MAGENTA)
    row, column = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    # The face fills the middle: there the mark is a tint that leaves features to be found.
    share = np.clip(np.hypot(1.4 * row, 1.6 * column) - 0.5, 0.25, 1)[..., None]
    marked = [((1 - share) * image + share * paint).astype(np.uint8) for image in frames]
    video.write_video(target, marked, 25.0, crf=12)


@pytest.mark.slow
@pytest.mark.skipif(not GRID.is_dir(), reason="the real clips are not in this checkout")
@pytest.mark.skipif(
    "EXPRESSO_REAL_BOOK" not in os.environ,
    reason="a whole book on real clips takes long; set EXPRESSO_REAL_BOOK=1",
)
def test_twelve_real_clips_make_a_book_that_shows_none_of_them(tmp_path, project):
    """Six speakers, MediaPipe, no table beside the videos: every chapter, and no mark in any."""
    pytest.importorskip("mediapipe")
    folder = None if manifest.path_of(mediapipe.WEIGHTS).is_file() else WEIGHTS
    rows = []
    for number, speaker in enumerate(SPEAKERS):
        (tmp_path / "data" / speaker).mkdir(parents=True)
        for clip in sorted((GRID / speaker).glob("*.mpg"))[:EACH]:
            _marked(clip, tmp_path / "data" / speaker / f"{clip.stem}.mp4", number)
            said = grid.speech(clip.with_suffix(".align")).seconds
            rows.append({"participant": speaker, "path": f"{speaker}/{clip.stem}.mp4",
                         "seconds": said})  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "data/scores.csv", index=False)
    run = f"real-test-{os.getpid()}"
    settings = {
        "cohort.source": "folder", "cohort.folder": tmp_path / "data", "cohort.score": "seconds",
        "cohort.score_low": 0.0, "cohort.score_high": 3.0, "faces.tracker": "mediapipe",
        "faces.weights_folder": folder or "", "training.folds": 2, "run.name": run,
    }  # fmt: skip
    words = [w for name, value in settings.items() for w in ("-p", f"{name}={value}")]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "expresso_lib.cli", "book", "--params", "quick", *words],
            cwd=project, capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        made = project / "build" / run
        frames = pd.read_parquet(made / "tables/frames.parquet")
        assert frames["found"].mean() > 0.99
        assert frames["gaze_x"].notna().mean() > 0.5
        units = pd.read_parquet(made / "tables/action_units.parquet")
        assert set(units["source"]) == {"blendshapes of mediapipe (proxy)"}
        shown = [(name, coloured(image)) for name, image in pictures(made / "html", tmp_path / "x")]
        assert len(shown) > 20
        worst = max(shown, key=lambda pair: pair[1])
        assert worst[1] < COLOURED, worst
    finally:
        shutil.rmtree(project / "build" / run, ignore_errors=True)
