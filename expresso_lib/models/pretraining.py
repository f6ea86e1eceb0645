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
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from expresso_lib import clips, rendered, store
from expresso_lib.faces import anatomy, video
from expresso_lib.models import networks

log = logging.getLogger(__name__)

PER_ITEM = 8  # identities rendered as one piece of work
REACH = 8  # frames to either side (0.64 s) over which a tempo is measured
STEPS = (1, 4)  # frames between the two of which the change is practised: from, below
READABLE = 0.4  # least r on unseen faces of a unit that is kept
SMALL = 0.03  # of a large movement: what moves less than this hardly counts
# Frames between which each kind of movement is measured: a head turns slowly, and over three
# frames more than the readout errs.
LAGS = (1, 1, 1, 1, 1, 3, 1)
# log(speed / spread) of each kind of movement in the practice set, weighted by movement: the
# tempo that is neither fast nor slow.
TYPICAL = (-1.75, -1.80, -0.50, -1.70, -1.80)
# What units are made of counts three times as much as what is only an aid.
ASKED = (
    "AU01",
    "AU02",
    "AU06",
    "AU09",
    "AU12",
    "AU25",
    "AU26",
    "yaw",
    "pitch",
    "gaze_x",
    "gaze_y",
    "headset",
)
# What changes its sign in a mirror.
SIDED = np.array([-1.0 if name in ("yaw", "roll", "gaze_x") else 1.0 for name in networks.SERIES])
USUAL = ((0.01, 0.06), (0.01, 0.04))  # speed a frame and spread of head and gaze, slightly moved


@dataclass(frozen=True)
class Practice:
    """The rendered practice set and how long it is practised on."""

    identities: int = 1600
    seconds: float = 4.0
    epochs: int = 14  # of the trunk, over frames
    rehearsals: int = 40_000  # scripts performed without rendering, for the dynamics
    clip_epochs: int = 15  # of the dynamics, over rehearsed clips
    size: int = 64
    render_size: int = 144
    frames: int = 32  # of a training clip
    held_out: float = 0.06  # share of identities that are not learned
    jitter: float = 0.015  # crop sides; sd of the landmark error that the alignment is given
    batch: int = 64
    clip_batch: int = 128
    learning_rate: float = 2e-3
    clip_learning_rate: float = 4e-3
    still: float = 0.2  # share of frames shown without their motion
    bf16: bool = True
    seed: int = 0


def pretrain(
    destination: Path,
    *,
    identities: int = Practice.identities,
    epochs: int = Practice.epochs,
    seed: int = 0,
    practice: Practice | None = None,
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
    practice : Practice, optional
        Everything at once, instead of the three above.
    executor : Executor, optional
        Where faces are rendered.
    folder : Path, optional
        Where rendered faces are kept, to go on from; default beside the destination.

    Returns
    -------
    Path
        The checkpoint.
    """
    practice = practice or Practice(identities=identities, epochs=epochs, seed=seed)
    destination = Path(destination)
    faces = render(practice, folder or destination.parent / "practice", executor=executor)
    model, report = fit(faces, practice)
    off = [name for name in networks.UNITS if report[name] == 0]
    recipe = asdict(practice) | {"units": list(networks.UNITS), "off": off, "report": report}
    networks.save(destination, model, recipe)
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


def _one(
    seed: int, practice: Practice, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.float32]:
    """Aligned crops (F', S, S, 3), their landmarks (F', 68, 2), true series (F', 22), headset."""
    script = rendered.practice_script(seed, round(practice.seconds * 25))
    chosen = np.arange(0, len(script.au), 2)
    drawn = list(rendered.render(script, size=practice.render_size, frames=chosen.tolist()))
    points = np.stack([frame.landmarks for frame in drawn]).astype(np.float32)
    # Trackers err: a constant error per recording and a little more in every frame.
    face = practice.jitter * 2 * np.ptp(points[0], axis=0).mean()
    error = rng.normal(0, face, (1, *points.shape[1:])) + rng.normal(0, face / 2, points.shape)
    transforms = clips.align(points + error.astype(np.float32), practice.size)
    images = _through_video([frame.image for frame in drawn])
    crops = [video.warp(image, way, practice.size) for image, way in zip(images, transforms)]
    points = clips.transform_points(points, transforms)
    return np.stack(crops), points, _series(script), np.float32(script.headset)


def _series(script: rendered.Script) -> np.ndarray:
    """(F', 22) action units, pose, gaze, of every second frame."""
    return np.concatenate([script.au, script.pose, script.gaze], axis=1)[::2].astype(np.float32)


def _worn(scripts: list[rendered.Script]) -> np.ndarray:
    return np.array([script.headset for script in scripts], np.float32)


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
    Head and gaze never rest: their speed and spread are read by themselves, as log(1 + x / usual).

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
        speed, spread = _speed_and_spread(movement, lag=LAGS[number])
        if number < len(networks.TEMPO):
            weight = spread / (spread + SMALL)
            tempo = np.log((speed + SMALL / 10) / (spread + SMALL)) - TYPICAL[number]
            columns += [weight * np.maximum(tempo, 0), weight * np.maximum(-tempo, 0)]
        else:
            usual = USUAL[number - len(networks.TEMPO)]
            columns += [np.log1p(speed / usual[0]), np.log1p(spread / usual[1])]
    tempo = np.stack(columns, axis=-1)
    worn = np.broadcast_to(headset[:, None, None], (*series.shape[:2], 1))
    return np.concatenate([tempo, worn], axis=-1).astype(np.float32)


def movements(series: np.ndarray) -> list[np.ndarray]:
    """The movements of `models.TEMPO` and `models.DRIFT`, (B, F', D) each, 1 being a large one."""
    column = {code: series[..., i : i + 1] for i, code in enumerate(anatomy.AU_CODES)}
    n_units = len(anatomy.AU_CODES)
    return [
        column["AU12"] / 5,
        column["AU06"] / 5,
        (column["AU25"] + column["AU26"]) / 10,
        (column["AU01"] + column["AU02"]) / 10,
        column["AU09"] / 5,
        series[..., n_units : n_units + 2] / 45,
        series[..., n_units + 3 :] / 100,
    ]


def _speed_and_spread(movement: np.ndarray, *, lag: int) -> tuple[np.ndarray, np.ndarray]:
    """(B, F') mean speed per frame and standard deviation within `REACH` frames of each frame."""
    earlier = np.pad(movement, ((0, 0), (lag, 0), (0, 0)), mode="edge")[:, :-lag]
    change = np.linalg.norm(movement - earlier, axis=-1) / lag
    near = partial(np.pad, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view
    speed = around(near(change, ((0, 0), (REACH, REACH))), 2 * REACH + 1, axis=1).mean(-1)
    padded = near(movement, ((0, 0), (REACH, REACH), (0, 0)))
    variance = around(padded, 2 * REACH + 1, axis=1).var(-1).sum(-1)
    return speed, np.sqrt(variance)


def fit(paths: list[Path], practice: Practice) -> tuple[networks.VideoRegressor, dict[str, float]]:
    """Train the small network on rendered practice faces: the trunk on frames, then the dynamics.

    The trunk learns values and, as much, their changes: a tempo is made of differences, and what
    a face always looks like must not shake them.

    Returns
    -------
    model : VideoRegressor
        Its head is not trained.
    report : dict
        Pearson r of every unit's clip means on held-out identities.
    """
    data = _Data.load(paths, practice)
    model = networks.build("small", frames=practice.frames, seed=practice.seed)
    trunk, dynamics = model.stages[0], model.stages[1]
    rng = np.random.default_rng([practice.seed, 1])
    aids = nn.Linear(trunk.embedding[0].out_features, data.aids.shape[-1])
    parameters = [*trunk.parameters(), *aids.parameters()]
    _train(parameters, lambda rows: _frame_loss(model, aids, data, rows, rng, practice),
           data.held_from, batch=practice.batch, epochs=practice.epochs,
           rate=practice.learning_rate, repeats=data.frames.shape[1] // 2, rng=rng)  # fmt: skip
    embeddings = _embed(model, data, practice)
    errors = _read_out(dynamics, embeddings, data)
    heard = _Rehearsal.make(data, errors, practice)
    heard.set_contrast(dynamics)
    # Its own chance, so that the dynamics can be practised again on a trunk that is there.
    rng = np.random.default_rng([practice.seed, 2])
    _train([*dynamics.movements.parameters()],
           lambda rows: heard.loss(dynamics, rows, rng, practice), len(heard.series),
           batch=practice.clip_batch, epochs=practice.clip_epochs,
           rate=practice.clip_learning_rate, rng=rng)  # fmt: skip
    _silence(model.eval(), data)
    # In logarithms a tempo is speed minus spread; brought to the scale of the other units.
    logs = torch.from_numpy(data.unit_scale)
    dynamics.weigh(logs / logs[[networks.UNITS.index(f"{n}_speed") for n in networks.DRIFT]].mean())
    rest = slice((data.held_from + len(data.frames)) // 2, None)
    return model, _report(model, data, rest)


def _train(
    parameters: list[nn.Parameter],
    loss_of: Callable[[np.ndarray], Tensor],
    count: int,
    *,
    batch: int,
    epochs: int,
    rate: float,
    rng: np.random.Generator,
    repeats: int = 1,
) -> None:
    """AdamW on one cycle; an epoch sees each of `count` rows `repeats` times."""
    per_epoch = math.ceil(count * repeats / batch)
    optimizer = torch.optim.AdamW(parameters, rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=epochs * per_epoch, pct_start=0.2
    )
    progress = tqdm(range(epochs), desc="pre-training", mininterval=1)
    for epoch in progress:
        order, losses = rng.permutation(np.repeat(np.arange(count), repeats)), []
        for start in range(0, len(order), batch):
            loss = loss_of(order[start : start + batch])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        log.info("epoch %d: loss %.3f", epoch, np.mean(losses))
        progress.set_postfix(loss=f"{np.mean(losses):.3f}")


@dataclass(frozen=True, eq=False)
class _Data:
    """The practice set in memory, targets scaled."""

    frames: Tensor  # uint8 (B, F', S, S, 3)
    starts: np.ndarray  # (K,) where the clips begin whose means are kept
    means: Tensor  # (B, K, 3, S, S) mean picture of each of them, 0 to 1
    units: Tensor  # (B, F', U) targets in units of the spread of their clip means
    weight: Tensor  # (U,) one over the variance of each target
    aids: Tensor  # (B, F', A) series, headset, landmarks: mean 0, spread 1
    mirrored: Tensor  # (B, F', A) the same of the picture with left and right exchanged
    step_variance: Tensor  # (23,) of the series' changes over two frames
    importance: Tensor  # (A,) the landmarks together count half as much as the rest
    unit_scale: np.ndarray  # (U,) that the units were divided by
    series_mean: np.ndarray  # (23,) and what the aids' series lost and
    series_scale: np.ndarray  # (23,) were divided by
    held_from: int  # identities from here on are not learned

    @classmethod
    def load(cls, paths: list[Path], practice: Practice) -> _Data:
        """Read and scale."""
        parts: dict[str, list[np.ndarray]] = {}
        for path in paths:
            with np.load(path, allow_pickle=False) as file:
                for name in file.files:
                    parts.setdefault(name, []).append(file[name])
        series, headset = np.concatenate(parts["series"]), np.concatenate(parts["headset"])
        units = targets(series, headset)
        of_clips = units[:, : practice.frames].mean(axis=1).std(axis=0)
        unit_scale = np.maximum(of_clips, 1e-6)
        units /= unit_scale
        points = np.concatenate(parts["landmarks"])
        across = points[..., anatomy.MIRROR, :] * (-1, 1) + (practice.size - 1, 0)
        worn = np.broadcast_to(headset[:, None, None], (*series.shape[:2], 1))
        seen = np.concatenate([series, worn], axis=-1)
        aids, mirrored = (
            np.concatenate([one, two.reshape(*series.shape[:2], -1)], axis=-1)
            for one, two in ((seen, points), (seen * SIDED, across))
        )
        mean, scale = aids.mean(axis=(0, 1)), aids.std(axis=(0, 1)) + 1e-6
        aids, mirrored = (aids - mean) / scale, (mirrored - mean) / scale
        n_series, n_points = len(networks.SERIES), 2 * anatomy.N_LANDMARKS
        # A headset does not come and go: without a floor its changes would weigh without end.
        step = np.maximum((aids[:, 2:, :n_series] - aids[:, :-2, :n_series]).var(axis=(0, 1)), 0.02)
        asked = np.where(np.isin(networks.SERIES, ASKED), 3.0, 1.0)
        importance = np.r_[asked / asked.sum(), np.full(n_points, 0.5 / n_points)]
        weight = 1 / np.maximum(units.reshape(-1, units.shape[-1]).var(axis=0), 1e-6)
        frames = torch.from_numpy(np.concatenate(parts["frames"]))
        starts = np.linspace(0, frames.shape[1] - practice.frames, 4).astype(int)
        means = [
            frames[:, start : start + practice.frames].sum(dim=1, dtype=torch.int32)
            for start in starts
        ]
        return cls(
            frames,
            starts,
            torch.stack(means, dim=1).permute(0, 1, 4, 2, 3).float() / (255 * practice.frames),
            torch.from_numpy(units),
            torch.from_numpy(weight.astype(np.float32)),
            torch.from_numpy(aids.astype(np.float32)),
            torch.from_numpy(mirrored.astype(np.float32)),
            torch.from_numpy(step.astype(np.float32)),
            torch.from_numpy(importance.astype(np.float32)),
            unit_scale,
            mean[:n_series],
            scale[:n_series],
            round(len(series) * (1 - practice.held_out)),
        )


def _frame_loss(
    model: networks.VideoRegressor,
    aids: nn.Linear,
    data: _Data,
    rows: np.ndarray,
    rng: np.random.Generator,
    practice: Practice,
) -> Tensor:
    """Two frames of a random clip of each identity, seen beside the mean of that clip."""
    which, starts = torch.from_numpy(rows), rng.integers(0, data.means.shape[1], len(rows))
    at = torch.from_numpy(data.starts[starts] + _pairs(len(rows), practice.frames, rng))
    frame = data.frames[which, at].permute(0, 1, 4, 2, 3).float() / 255  # (2, N, 3, S, S)
    mean = data.means[which, torch.from_numpy(starts)]
    # Left and right exchanged is another face that does the same.
    turned = torch.from_numpy(rng.random(len(rows)) < 0.5)
    frame[:, turned], mean[turned] = frame[:, turned].flip(-1), mean[turned].flip(-1)
    truth = torch.where(turned[:, None], data.mirrored[which, at], data.aids[which, at])
    # Light differs between rooms and cameras.
    gain = torch.from_numpy(rng.normal(1, 0.08, (len(rows), 3, 1, 1))).float()
    shift = torch.from_numpy(rng.normal(0, 0.03, (len(rows), 1, 1, 1))).float()
    noise = 0.01 * torch.from_numpy(rng.standard_normal(frame.shape, dtype=np.float32))
    # Without its motion a frame must still say what it can: the image model reads it so.
    moves = torch.from_numpy(rng.random((len(rows), 1, 1, 1)) >= practice.still).float()
    shown = (frame * gain + shift + noise - model.mean[:, 0]) / model.std[:, 0]
    changed = moves * ((frame - mean) * gain + noise) / model.std[:, 0]
    with torch.autocast("cpu", torch.bfloat16, enabled=practice.bf16):
        embedding = model.stages[0].embed(shown.flatten(0, 1), changed.flatten(0, 1))
        errors = aids(embedding).float().view(truth.shape) - truth
    steps = (errors[0] - errors[1])[:, : len(networks.SERIES)].square() / data.step_variance
    steps = steps * data.importance[: len(networks.SERIES)] * moves.view(-1, 1)
    return (errors.square().mean(dim=0) * data.importance).sum(dim=1).mean() + steps.sum(1).mean()


def _pairs(count: int, frames: int, rng: np.random.Generator) -> np.ndarray:
    """Two frames of a clip a step apart, (2, count)."""
    first, apart = rng.integers(0, frames, count), rng.integers(*STEPS, count)
    return np.stack([first, np.where(first + apart < frames, first + apart, first - apart)])


def _embed(model: networks.VideoRegressor, data: _Data, practice: Practice) -> Tensor:
    """Embeddings (B, F', E) of the whole practice set."""
    found = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=practice.bf16):
        for part in data.frames.split(8):
            shown = (part.permute(0, 4, 1, 2, 3).float() / 255 - model.mean) / model.std
            found.append(model.stages[0](shown).float().transpose(1, 2))
    return torch.cat(found).clone()


def _read_out(dynamics: networks.Dynamics, embeddings: Tensor, data: _Data) -> Tensor:
    """Set the linear readout by ridge regression; return its errors on held-out identities.

    Only the first half of them: the second half measures the finished network.
    """
    known, n_series = embeddings[: data.held_from].flatten(0, 1), len(networks.SERIES)
    truth = data.aids[..., :n_series]
    center, target = known.mean(dim=0), truth[: data.held_from].flatten(0, 1)
    gram = (known - center).T @ (known - center) + 50 * torch.eye(known.shape[1])
    weight = torch.linalg.solve(gram, (known - center).T @ (target - target.mean(dim=0)))
    with torch.no_grad():
        dynamics.readout.weight.copy_(weight.T[..., None])
        dynamics.readout.bias.copy_(target.mean(dim=0) - center @ weight)
        middle = (data.held_from + len(embeddings)) // 2
        found = dynamics.readout(embeddings[data.held_from : middle].transpose(1, 2))
    return found.transpose(1, 2) - truth[data.held_from : middle]


@dataclass(frozen=True, eq=False)
class _Rehearsal:
    """Movements without pictures: true series, spoilt as the readout would spoil them."""

    series: Tensor  # (B, F', 23) scaled as the aids
    units: Tensor  # (B, F', U)
    errors: Tensor  # (H, F', 23) of the readout on faces it has not seen
    weight: Tensor  # (U,)

    @classmethod
    def make(cls, data: _Data, errors: Tensor, practice: Practice) -> _Rehearsal:
        """Perform `practice.rehearsals` scripts beyond those that were rendered."""
        first = 100_000 * practice.seed + PER_ITEM * math.ceil(practice.identities / PER_ITEM)
        n_frames = round(practice.seconds * 25)
        scripts = [
            rendered.practice_script(first + i, n_frames)
            for i in tqdm(range(practice.rehearsals), desc="rehearsing", mininterval=1)
        ]
        series, headset = np.stack([_series(script) for script in scripts]), _worn(scripts)
        units = targets(series, headset) / data.unit_scale
        worn = np.broadcast_to(headset[:, None, None], (*series.shape[:2], 1))
        both = (np.concatenate([series, worn], axis=-1) - data.series_mean) / data.series_scale
        moved, asked = (torch.from_numpy(value.astype(np.float32)) for value in (both, units))
        return cls(moved, asked, errors, data.weight)

    def set_contrast(self, dynamics: networks.Dynamics) -> None:
        """Scale every change to spread 1: small movements carry as much as large ones."""
        with torch.no_grad():
            spread = dynamics.contrast(self.series[:500].transpose(1, 2)).std(dim=(0, 2))
            dynamics.contrast.weight.div_(spread.clamp(min=1e-3)[:, None, None])

    def loss(
        self,
        dynamics: networks.Dynamics,
        rows: np.ndarray,
        rng: np.random.Generator,
        practice: Practice,
    ) -> Tensor:
        """Squared error of the units from a spoilt clip of each row."""
        which, at = torch.from_numpy(rows)[:, None], self._clips(len(rows), rng, practice)
        whose = torch.from_numpy(rng.integers(0, len(self.errors), len(rows)))[:, None]
        size = rng.uniform(0.7, 1.3, (len(rows), 1, 1)) * rng.choice([-1, 1], (len(rows), 1, 1))
        spoil = self.errors[whose, self._clips(len(rows), rng, practice)]
        heard = self.series[which, at] + spoil * torch.from_numpy(size).float()
        found = dynamics.raw(heard.transpose(1, 2)).transpose(1, 2)
        # A leaky rectifier while learning: a unit that is off can still find its way back.
        errors = (nn.functional.leaky_relu(found, 0.1) - self.units[which, at]).square()
        return (errors * self.weight).mean()

    def _clips(self, count: int, rng: np.random.Generator, practice: Practice) -> Tensor:
        starts = rng.integers(0, self.series.shape[1] - practice.frames + 1, count)
        return torch.from_numpy(starts[:, None] + np.arange(practice.frames))


def _silence(model: networks.VideoRegressor, data: _Data) -> None:
    """Switch off the units that cannot be read on faces that were not learned.

    Judged on the first half of the held-out identities; a unit that is off is 0 for everybody.
    """
    middle = (data.held_from + len(data.frames)) // 2
    report = _report(model, data, slice(data.held_from, middle))
    model.stages[1].silence([name for name in networks.UNITS if report[name] < READABLE])


def _report(model: networks.VideoRegressor, data: _Data, rows: slice) -> dict[str, float]:
    """How well identities are read, by the mean over their first clip: r of every unit."""
    frames = int(model.description["frames"])
    with torch.inference_mode():
        shown = data.frames[rows, :frames].permute(0, 4, 1, 2, 3)
        embedded = (model.features(part.float() / 255, until="last") for part in shown.split(8))
        found = torch.cat([model.stages[1].units(part).mean(dim=2) for part in embedded]).numpy()
    truth = data.units[rows, :frames].mean(dim=1).numpy()
    report = {}
    for number, name in enumerate(networks.UNITS):
        pair = found[:, number], truth[:, number]
        moves = min(np.ptp(values) for values in pair) > 0
        report[name] = round(float(np.corrcoef(*pair)[0, 1]), 3) if moves else 0.0
    return report
