"""Goal 3: a window late in a recording, by a jump against decoding from the start."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np

from expresso_lib.faces import video

from . import measure

START, LENGTH, FRAMES, SHAPE = 2000, 32, 2100, (240, 320)


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Return the goal's line: how many times faster, and whether every pixel is the same."""
    with tempfile.TemporaryDirectory() as folder:
        path = video.write_video(Path(folder) / "long.mp4", pictures(FRAMES, SHAPE), 25)
        asked = list(range(START, START + LENGTH))

        def ours() -> np.ndarray:
            video._scan.cache_clear()  # the first window of a recording pays for its index, too
            return video.read_array(path, asked)

        same = np.array_equal(ours(), _from_start(path))
        seconds = measure.interleave(
            {"reference": lambda: _from_start(path), "ours": ours}, rounds=1 if quick else 5
        )
    ratio = seconds["reference"] / seconds["ours"]
    return [
        measure.goal(
            3,
            f"a window at frame {START}, index included",
            ratio,
            5,
            "higher",
            gate=same,
            note="pixels identical" if same else "pixels differ",
        )
    ]


def _from_start(path: Path) -> np.ndarray:
    """The reference way: decode and convert every frame until the window is reached."""
    found = []
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for number, frame in enumerate(container.decode(video=0)):
            image = frame.to_ndarray(format="rgb24")
            if number >= START:
                found.append(image)
            if len(found) == LENGTH:
                break
    return np.stack(found)


def pictures(count: int, shape: tuple[int, int]) -> Any:
    """Yield moving, textured pictures: cheap to make, no cheaper to decode than a face."""
    noise = np.random.default_rng(0).integers(0, 255, (shape[0] // 8, shape[1] // 8, 3), np.uint8)
    picture = np.repeat(np.repeat(noise, 8, axis=0), 8, axis=1)
    for number in range(count):
        yield np.roll(picture, (number, 2 * number), axis=(0, 1))
