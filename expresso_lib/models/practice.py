"""Practice clips: rendered people of nobody's cohort, what they do in every frame, and batches.

See `rendered.actions` for what they do. Clips are cut as a cohort's are (`clips`); half of them
went through H.264, as videos do. Nothing here knows a network, so that what is rendered stays
valid while networks change.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from expresso_lib import clips, store
from expresso_lib.faces import anatomy, video
from expresso_lib.rendered import actions, scene

SPREAD = 0.04  # of a landmark about the mean face, shares of the input's side
# Elsewhere bf16 is emulated: a step that takes .27 s in float32 took 4.5 s with AVX2 alone.
BF16 = torch.backends.cpu.get_cpu_capability() == "AVX512"
EDGE = 4  # pixels that a stored crop is wider than the network's input, on each side
SERIES = (*anatomy.AU_CODES, "yaw", "pitch", "roll", "gaze_x", "gaze_y")
ARRAYS = ("frames", "landmarks", "series", "labels")  # of a person's file
# What changes its sign in a mirror.
_SIDED = torch.tensor([-1.0 if name in ("yaw", "roll", "gaze_x") else 1.0 for name in SERIES])


@dataclass(frozen=True)
class Practice:
    """The practice clips and how long they are practised on.

    Notes
    -----
    More people and fewer rounds: after forty-eight rounds of 1,200 people a network followed those
    better than others (AU09 at r .74 against .60). Of 3,600, for twenty-four rounds, others gained
    (.74), and on practice cohorts 500, 501, 502, 503, 506 and 507 r went from .72, .73, .83, .61,
    .72 and .76 to .78, .76, .83, .65, .74 and .79 (four draws of three repeats of the folds).
    """

    people: int = 3600
    clips: int = 2  # of each person, every one in another room
    frames: int = 48  # of a clip, at 12.5 frames/s
    window: int = 32  # frames seen at a time
    size: int = 64
    render_size: int = 112
    held_out: float = 0.06  # share of people that are not learned
    epochs: int = 24
    batch: int = 4
    learning_rate: float = 1e-3
    still: float = 0.1  # share of windows shown as one frame, repeated
    bf16: bool = BF16
    twins: int = 400  # people with somebody who moves alike (`models.twins`)
    seed: int = 0

    @property
    def first(self) -> int:
        """Number of the first practice person; other seeds have others."""
        return 10_000_000 * self.seed


def render(practice: Practice, folder: Path, *, executor: Executor | None = None) -> list[Path]:
    """Render the practice clips, a file for each person; finished files are kept."""
    names = ("clips", "frames", "size", "render_size", "seed")
    recipe = {name: getattr(practice, name) for name in names}
    items = [
        store.Item(f"person_{who:07d}", recipe | {"person": who}, payload=(practice, who))
        for who in range(practice.first, practice.first + practice.people)
    ]
    how = {"executor": executor, "describe": "practice clips"}
    return [done.path for done in store.map(render_item, items, out=folder, **how)]


def render_item(item: store.Item, path: Path) -> None:
    """Render the clips of a person (a `store.map` function).

    Crops (K, F, S', S', 3), landmarks (K, F, 68, 2) on them, series (K, F, 22), labels (K, F, C).
    """
    practice, person = item.payload
    parts = []
    for number in range(practice.clips):
        clip = actions.practice_clip(person, number, practice.frames)
        script, coded = clip.script, (person + number) % 2 == 1
        frames, points = crops(script, practice, edge=EDGE, coded=coded)
        series = np.concatenate([script.au, script.pose, script.gaze], axis=1)
        parts.append((frames, points.astype(np.float16), series, clip.labels()))
    whole = [np.stack(one) for one in zip(*parts)]
    np.savez(path, **dict(zip(ARRAYS, whole)))


def crops(
    script: scene.Script, practice: Practice, *, edge: int = 0, coded: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Render a script and cut it as a cohort's recordings are cut.

    Parameters
    ----------
    script : scene.Script
        F frames.
    practice : Practice
        Sizes.
    edge : int
        Pixels that a crop is wider than the network's input, on each side.
    coded : bool
        Seen through H.264.

    Returns
    -------
    frames : ndarray uint8 (F, S', S', 3)
    landmarks : ndarray (F, 68, 2)
        On them.
    """
    drawn = list(scene.render(script, size=practice.render_size))
    images = [frame.image for frame in drawn]
    images = _through_video(images) if coded else images
    landmarks = np.stack([frame.landmarks for frame in drawn])
    transforms = clips.align(clips.steady(landmarks, script.fps), practice.size)
    transforms[:, :, 2] += edge
    side = practice.size + 2 * edge
    frames = [video.warp(image, turn, side) for image, turn in zip(images, transforms)]
    return np.stack(frames), clips.transform_points(landmarks, transforms)


def _through_video(images: list[np.ndarray]) -> list[np.ndarray]:
    """The same pictures after compression: half of the practice is seen through H.264."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "practice.mp4"
        video.write_video(path, images, 12.5, crf=23)
        return [frame.image for frame in video.read_frames(path)]


@dataclass(frozen=True, eq=False)
class Data:
    """The practice clips in memory; B clips of F frames, the people held out last."""

    frames: Tensor  # uint8 (B, F, S', S', 3)
    series: Tensor  # (B, F, 22) mean 0, spread 1
    landmarks: Tensor  # (B, F, 68, 2) pixels of the crop
    labels: Tensor  # (B, F, C) 0 or 1
    mean: Tensor  # (22,) and
    spread: Tensor  # (22,) of the series
    face: Tensor  # (136,) mean landmarks, shares of the input's side
    n_learned: int  # clips of people who are learned from

    @classmethod
    def load(cls, paths: list[Path], practice: Practice) -> Data:
        """Read and scale, a file at a time: the frames of all fill gigabytes."""
        whole = {name: np.empty((len(paths), *one.shape), one.dtype)
                 for name, one in store.read_arrays(paths[0]).items()}  # fmt: skip
        for row, path in enumerate(paths):
            for name, one in store.read_arrays(path).items():
                whole[name][row] = one
        tensors = (torch.from_numpy(whole[name]).flatten(0, 1) for name in ARRAYS)
        frames, landmarks, series, labels = tensors
        landmarks, series = landmarks.float(), series.float()
        mean, spread = series.mean((0, 1)), series.std((0, 1)) + 1e-6
        people = min(practice.people - 1, round(practice.people * (1 - practice.held_out)))
        face = (landmarks.mean((0, 1)).flatten() - EDGE) / practice.size
        return cls(frames, (series - mean) / spread, landmarks, labels.float(), mean, spread, face,
                   people * practice.clips)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Batch:
    """Windows of N clips, T frames each."""

    clips: Tensor  # (N, 3, T, S, S) 0 to 1
    series: Tensor  # (N, T, 22)
    landmarks: Tensor  # (N, T, 136)
    labels: Tensor  # (N, T, C)
    moving: Tensor  # (N,) False where one frame is repeated


def batch(
    data: Data, rows: np.ndarray, practice: Practice, rng: np.random.Generator | None
) -> Batch:
    """Windows of clips; with a generator at random places, mirrored, shifted, in other light."""
    span, size = practice.window, practice.size
    starts, places, turned, still = _chances(len(rows), data.frames.shape[1] - span, practice, rng)
    at = starts[:, None] + np.arange(span)
    at[still] = at[still, :1]
    who = torch.from_numpy(rows)[:, None]
    when = torch.from_numpy(at)
    cut = [
        data.frames[row, own, top : top + size, left : left + size]
        for row, own, (top, left) in zip(rows, when, places)
    ]
    x = torch.stack(cut).permute(0, 4, 1, 2, 3).float().mul_(1 / 255)
    series, labels = data.series[who, when], data.labels[who, when]
    points = data.landmarks[who, when] - torch.from_numpy(places[:, None, None, ::-1].copy())
    flip = torch.from_numpy(turned)
    x[flip] = x[flip].flip(-1)
    # A mean that is not 0 changes its sign, too.
    zero = -data.mean / data.spread
    series[flip] = zero + (series[flip] - zero) * _SIDED
    mirrored = points[flip][:, :, list(anatomy.MIRROR)]
    points[flip] = mirrored * torch.tensor([-1.0, 1.0]) + torch.tensor([size - 1.0, 0.0])
    if rng is not None:
        x = _other_light(x, rng)
    points = (points.flatten(2) / size - data.face) / SPREAD
    return Batch(x, series, points, labels, torch.from_numpy(~still))


def _chances(
    count: int, room: int, practice: Practice, rng: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    if rng is None:
        none = np.zeros(count, bool)
        return np.full(count, room // 2), np.full((count, 2), EDGE), none, none
    return (
        rng.integers(0, room + 1, count),
        rng.integers(0, 2 * EDGE + 1, (count, 2)),
        rng.random(count) < 0.5,
        rng.random(count) < practice.still,
    )


def _other_light(x: Tensor, rng: np.random.Generator) -> Tensor:
    shape = (len(x), 3, 1, 1, 1)
    gain = torch.from_numpy(rng.normal(1, 0.08, shape)).float()
    shift = torch.from_numpy(rng.normal(0, 0.03, (len(x), 1, 1, 1, 1))).float()
    chance = torch.Generator().manual_seed(int(rng.integers(2**31)))
    noise = torch.randn(x.permute(0, 2, 3, 4, 1).shape, generator=chance).permute(0, 4, 1, 2, 3)
    amount = torch.from_numpy(rng.uniform(0, 0.015, (len(x), 1, 1, 1, 1))).float()
    return x.mul_(gain).add_(shift).add_(noise.mul_(amount))
