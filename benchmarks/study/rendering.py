"""A study's cohorts: planned, rendered and cut in one go, without a video in between.

The book's cohort is stored as H.264 and read back; a study renders dozens of cohorts, so it skips
the file: only the frames that the clips need, straight to archives. Landmarks are the simulated
tracker's, as in the book without weights. The rest is what `clips.prepare` does.
"""

from __future__ import annotations

import zlib
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from expresso_lib import clips, rendered, store
from expresso_lib.faces import simulated


@dataclass(frozen=True)
class Shape:
    """How large a study's cohorts are, and how they are cut."""

    participants: int = 84
    recordings: int = 2
    seconds: float = 10.0
    fps: float = 25.0
    rate: float = 12.5  # frames/s of the clips
    size: int = 64  # px, side of a clip
    render_size: int = 112  # px, side of a rendered picture: that of the practice set

    def arguments(self, variant: str, seed: int) -> dict[str, Any]:
        """What `rendered.plan_cohort` takes."""
        names = ("participants", "recordings", "seconds", "fps")
        return {name: getattr(self, name) for name in names} | {"variant": variant, "seed": seed}

    def plan(self, variant: str, seed: int) -> rendered.Plan:
        """The cohort of this size, variant and seed."""
        return rendered.plan_cohort(**self.arguments(variant, seed))


def archives(
    shape: Shape, variant: str, seed: int, *, folder: Path, input: str = "face",
    executor: Executor | None = None,
) -> dict[str, Path]:  # fmt: skip
    """Render a cohort's recordings into clip archives below `folder`: recording -> file."""
    out = folder / input
    same: dict[str, Any] = asdict(shape) | {"variant": variant, "seed": seed, "input": input}
    items = [
        store.Item(name, same | {"recording": name}, (), (shape, variant, seed))
        for name in shape.plan(variant, seed).recordings["recording"]
    ]
    done = store.map(cut, items, out=out, executor=executor, describe=f"{variant} s{seed} {input}")
    return {outcome.item.name: outcome.path for outcome in done}


@lru_cache(maxsize=4)
def planned(shape: Shape, variant: str, seed: int) -> rendered.Plan:
    """`Shape.plan`, kept for the next recording."""
    return shape.plan(variant, seed)


def cut(item: store.Item, path: Path) -> None:
    """Render one recording and save its `clips.ClipArchive` (a `store.map` function)."""
    shape, variant, seed = item.payload
    script = planned(shape, variant, seed).script(item.name)
    source = clips.resample(np.arange(script.n_frames) / script.fps, shape.rate)
    drawn = list(rendered.render(script, size=shape.render_size, frames=source.tolist()))
    truth = np.stack([frame.landmarks for frame in drawn])
    rate = min(shape.rate, script.fps)
    track = simulated.simulate(truth, rate, seed=zlib.crc32(item.name.encode()))
    pictures = zip(source, (frame.image for frame in drawn))
    clips.assemble(
        pictures, source, track.landmarks, fps=rate, size=shape.size, input=item.recipe["input"]
    ).save(path)
