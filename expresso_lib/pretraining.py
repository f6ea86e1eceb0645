"""Pre-training the small backbone: rendered faces of nobody's cohort, and what they do.

The practice set is rendered from seeds that no cohort uses; severity is never read. The network
learns to say, frame by frame, how strong every action unit is and how fast it comes and goes
(`models.UNITS`), and, as an aid that is thrown away afterwards, where the landmarks are.
"""

from __future__ import annotations

import json
import logging
import math
import tempfile
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from expresso_lib import anatomy, clips, models, store, synthetic, video

log = logging.getLogger(__name__)

PER_ITEM = 8  # identities rendered as one piece of work
REACH = 8  # frames to either side (0.64 s) over which a tempo is measured
SMALL = 0.03  # of a large movement: what moves less than this hardly counts
# log(speed / spread) of each kind of movement in the practice set, weighted by movement: the
# tempo that is neither fast nor slow.
TYPICAL = (-1.75, -1.80, -0.50, -1.70, -1.80, -1.30, -1.55)


@dataclass(frozen=True)
class Practice:
    """The rendered practice set and how long it is practised on."""

    identities: int = 640
    seconds: float = 4.0
    epochs: int = 12
    size: int = 64
    render_size: int = 144
    frames: int = 32  # of a training clip
    held_out: float = 0.1  # share of identities that only measure
    jitter: float = 0.015  # crop sides; sd of the landmark error that the alignment is given
    batch: int = 16
    learning_rate: float = 2e-3
    still: float = 0.25  # share of steps that also practise on frames without their motion
    bf16: bool = True
    seed: int = 0


def pretrain(
    destination: Path,
    *,
    identities: int = 640,
    epochs: int = 12,
    seed: int = 0,
    executor: Executor | None = None,
    folder: Path | None = None,
) -> Path:
    """Render the practice set, train on it, save the checkpoint with its recipe.

    Parameters
    ----------
    destination : Path
        Checkpoint (safetensors); a JSON of the same name tells how it was made.
    identities, epochs : int
        Rendered faces; passes over them.
    seed : int
        Of the faces, the weights and the order.
    executor : Executor, optional
        Where faces are rendered.
    folder : Path, optional
        Where rendered faces are kept, to go on from; default beside the destination.

    Returns
    -------
    Path
        The checkpoint.
    """
    practice = Practice(identities=identities, epochs=epochs, seed=seed)
    destination = Path(destination)
    faces = render(practice, folder or destination.parent / "practice", executor=executor)
    model, report = fit(faces, practice)
    recipe = asdict(practice) | {"units": list(models.UNITS), "report": report}
    models.save(destination, model, recipe)
    store.write_text(destination.with_suffix(".json"), json.dumps(recipe, indent=1) + "\n")
    return destination


def render(practice: Practice, folder: Path, *, executor: Executor | None = None) -> list[Path]:
    """Render the practice set, `PER_ITEM` identities to a file; finished files are kept."""
    names = ("seconds", "size", "render_size", "jitter", "seed")
    recipe = {name: getattr(practice, name) for name in names}
    items = [
        store.Item(
            f"practice_{number:04d}", recipe | {"number": number}, payload=(practice, number)
        )
        for number in range(math.ceil(practice.identities / PER_ITEM))
    ]
    outcomes = store.map(_render, items, out=folder, executor=executor, describe="practice faces")
    return [outcome.path for outcome in outcomes]


def _render(item: store.Item, path: Path) -> None:
    practice, number = item.payload
    rng = np.random.default_rng([practice.seed, number])
    first = 100_000 * practice.seed + PER_ITEM * number
    parts = [_one(first + i, practice, rng) for i in range(PER_ITEM)]
    frames, landmarks, series, headset = (np.stack(part) for part in zip(*parts))
    np.savez(path, frames=frames, landmarks=landmarks, series=series, headset=headset)


def _one(seed: int, practice: Practice, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Aligned crops (F', S, S, 3), their landmarks (F', 68, 2), true series (F', 22), headset."""
    script = synthetic.practice_script(seed, round(practice.seconds * 25))
    chosen = np.arange(0, len(script.au), 2)
    drawn = list(synthetic.render(script, size=practice.render_size, frames=chosen.tolist()))
    points = np.stack([frame.landmarks for frame in drawn]).astype(np.float32)
    # Trackers err: a constant error per recording and a little more in every frame.
    face = practice.jitter * 2 * np.ptp(points[0], axis=0).mean()
    error = rng.normal(0, face, (1, *points.shape[1:])) + rng.normal(0, face / 2, points.shape)
    transforms = clips.align(points + error.astype(np.float32), practice.size)
    images = _through_video([frame.image for frame in drawn])
    crops = [video.warp(image, way, practice.size) for image, way in zip(images, transforms)]
    motion = np.concatenate([script.pose, script.gaze], axis=1)
    series = np.concatenate([script.au, motion], axis=1)[chosen].astype(np.float32)
    points = clips.transform_points(points, transforms)
    return np.stack(crops), points, series, np.float32(script.headset)


def _through_video(images: list[np.ndarray]) -> list[np.ndarray]:
    """The same pictures after compression: cohorts are seen through H.264, so is practice."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "practice.mp4"
        video.write_video(path, images, 12.5, crf=23)
        return [frame.image for frame in video.read_frames(path)]


def targets(series: np.ndarray, headset: np.ndarray) -> np.ndarray:
    """What `models.UNITS` should read, before scaling.

    The tempo of a movement is its speed for its size, log(speed / spread), both over the second
    around a frame; it counts as much as there is movement, so that rest is neither fast nor slow.

    Parameters
    ----------
    series : ndarray
        (B, F', 22): the 17 action units (0 to 5), then yaw, pitch, roll, gaze x, y in degrees.
    headset : ndarray
        (B,) 0 or 1.

    Returns
    -------
    ndarray
        float32 (B, F', U), all ≥ 0.
    """
    columns = []
    for number, movement in enumerate(movements(series)):
        speed, spread = _speed_and_spread(movement)
        weight = spread / (spread + SMALL)
        tempo = np.log((speed + SMALL / 10) / (spread + SMALL)) - TYPICAL[number]
        columns += [weight * np.maximum(tempo, 0), weight * np.maximum(-tempo, 0)]
    tempo = np.stack(columns, axis=-1)
    worn = np.broadcast_to(headset[:, None, None], (*series.shape[:2], 1))
    levels = series[..., : len(anatomy.AU_CODES)]
    return np.concatenate([tempo, levels, worn], axis=-1).astype(np.float32)


def movements(series: np.ndarray) -> list[np.ndarray]:
    """The kinds of movement in `models.TEMPO`, each (B, F', D), 1 being a large one."""
    column = {code: series[..., i : i + 1] for i, code in enumerate(anatomy.AU_CODES)}
    n_units = len(anatomy.AU_CODES)
    return [
        column["AU12"] / 5,
        column["AU06"] / 5,
        (column["AU25"] + column["AU26"]) / 10,
        (column["AU01"] + column["AU02"]) / 10,
        column["AU09"] / 5,
        series[..., n_units : n_units + 3] / 15,
        series[..., n_units + 3 :] / 30,
    ]


def _speed_and_spread(movement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B, F') mean speed per frame and standard deviation within `REACH` frames of each frame."""
    change = np.linalg.norm(np.diff(movement, axis=1, prepend=movement[:, :1]), axis=-1)
    near = partial(np.pad, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view
    speed = around(near(change, ((0, 0), (REACH, REACH))), 2 * REACH + 1, axis=1).mean(-1)
    padded = near(movement, ((0, 0), (REACH, REACH), (0, 0)))
    variance = around(padded, 2 * REACH + 1, axis=1).var(-1).sum(-1)
    return speed, np.sqrt(variance)


class _Practising(nn.Module):
    """The small network with the helpers that are thrown away: what is in each single frame."""

    def __init__(self, practice: Practice, n_aids: int) -> None:
        super().__init__()
        self.model = models.build("small", frames=practice.frames, seed=practice.seed)
        self.aids = nn.Linear(self.model.stages[0].embedding[0].out_features, n_aids)

    def forward(self, batch: Tensor, *, motion: bool) -> tuple[Tensor, Tensor]:
        """Units before their rectifier (N, T, U) and the aids' readings (N, T, A)."""
        trunk, dynamics = self.model.stages[0], self.model.stages[1]
        trunk.motion = motion
        embeddings = trunk((batch - self.model.mean) / self.model.std)
        trunk.motion = True
        units = dynamics.layers[:-1](embeddings)
        return units.transpose(1, 2), self.aids(embeddings.transpose(1, 2))


def fit(paths: list[Path], practice: Practice) -> tuple[models.VideoRegressor, dict[str, float]]:
    """Train the small network on rendered practice faces.

    Returns
    -------
    model : VideoRegressor
        Its head is not trained.
    report : dict
        Pearson r of every unit's clip means on held-out identities, and their median per kind.
    """
    data = _Data.load(paths, practice)
    network = _Practising(practice, data.aids.shape[-1])
    last = data.held_from
    optimizer = torch.optim.AdamW(network.parameters(), practice.learning_rate, weight_decay=1e-2)
    steps = practice.epochs * math.ceil(last / practice.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, practice.learning_rate, total_steps=steps, pct_start=0.2
    )
    rng = np.random.default_rng([practice.seed, 1])
    progress = tqdm(range(practice.epochs), desc="pre-training", mininterval=1)
    for epoch in progress:
        order, total = rng.permutation(last), 0.0
        for start in range(0, last, practice.batch):
            loss = _loss(network, data, order[start : start + practice.batch], rng, practice)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(order[start : start + practice.batch])
        log.info("epoch %d: loss %.3f", epoch, total / last)
        progress.set_postfix(loss=f"{total / last:.3f}")
    return network.model.eval(), _report(network.model, data, practice)


@dataclass(frozen=True, eq=False)
class _Data:
    """The practice set in memory, targets scaled."""

    frames: Tensor  # uint8 (B, F', S, S, 3)
    units: Tensor  # (B, F', U) targets in units of the spread of their clip means
    weight: Tensor  # (U,) one over the variance of each target
    aids: Tensor  # (B, F', A) levels, pose, gaze, landmarks: mean 0, spread 1
    held_from: int  # identities from here on only measure

    @classmethod
    def load(cls, paths: list[Path], practice: Practice) -> _Data:
        """Read and scale."""
        parts: dict[str, list[np.ndarray]] = {}
        for path in paths:
            with np.load(path, allow_pickle=False) as file:
                for name in file.files:
                    parts.setdefault(name, []).append(file[name])
        series = np.concatenate(parts["series"])
        units = targets(series, np.concatenate(parts["headset"]))
        of_clips = units[:, : practice.frames].mean(axis=1).std(axis=0)
        units /= np.maximum(of_clips, 1e-6)
        points = np.concatenate(parts["landmarks"]).reshape(*series.shape[:2], -1)
        aids = np.concatenate([series, points], axis=-1)
        aids = (aids - aids.mean(axis=(0, 1))) / (aids.std(axis=(0, 1)) + 1e-6)
        weight = 1 / np.maximum(units.reshape(-1, units.shape[-1]).var(axis=0), 1e-6)
        return cls(
            torch.from_numpy(np.concatenate(parts["frames"])),
            torch.from_numpy(units),
            torch.from_numpy(weight.astype(np.float32)),
            torch.from_numpy(aids.astype(np.float32)),
            round(len(series) * (1 - practice.held_out)),
        )


def _loss(
    network: _Practising,
    data: _Data,
    rows: np.ndarray,
    rng: np.random.Generator,
    practice: Practice,
) -> Tensor:
    starts = rng.integers(0, data.frames.shape[1] - practice.frames + 1, len(rows))
    at = torch.from_numpy(starts[:, None] + np.arange(practice.frames))
    which = torch.from_numpy(rows)[:, None]
    batch = data.frames[which, at].permute(0, 4, 1, 2, 3).float() / 255
    # Light differs between rooms and cameras.
    gain = torch.from_numpy(rng.normal(1, 0.08, (len(rows), 3, 1, 1, 1))).float()
    batch = (batch * gain + float(rng.normal(0, 0.02))).clamp(0, 1)
    with torch.autocast("cpu", torch.bfloat16, enabled=practice.bf16):
        units, aids = network(batch, motion=True)
        still = network(batch, motion=False)[1] if rng.random() < practice.still else None
    truth, helps = data.units[which, at], data.aids[which, at]
    # A leaky rectifier while learning: a unit that is off can still find its way back.
    errors = (nn.functional.leaky_relu(units.float(), 0.1) - truth).square() * data.weight
    loss = errors.mean() + 0.5 * (aids.float() - helps).square().mean()
    return loss if still is None else loss + 0.5 * (still.float() - helps).square().mean()


def _report(model: models.VideoRegressor, data: _Data, practice: Practice) -> dict[str, float]:
    """How well held-out identities are read, by the mean over their first clip."""
    with torch.inference_mode():
        shown = data.frames[data.held_from :, : practice.frames].permute(0, 4, 1, 2, 3)
        found = torch.cat([model.features(part.float() / 255) for part in shown.split(8)]).numpy()
    truth = data.units[data.held_from :, : practice.frames].mean(dim=1).numpy()
    report = {}
    for number, name in enumerate(models.UNITS):
        pair = found[:, number], truth[:, number]
        moves = min(np.ptp(values) for values in pair) > 0
        report[name] = round(float(np.corrcoef(*pair)[0, 1]), 3) if moves else 0.0
    tempo = [report[name] for name in models.UNITS if name.endswith(("_fast", "_slow"))]
    levels = [report[name] for name in models.UNITS if name.endswith("_level")]
    return report | {
        "median_tempo": round(float(np.median(tempo)), 3),
        "median_level": round(float(np.median(levels)), 3),
    }
