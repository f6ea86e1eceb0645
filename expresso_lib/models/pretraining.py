"""Pre-training our network: it learns to recognise actions on people of nobody's cohort.

The practice clips (`models.practice`) show what the literature's networks learn from Kinetics:
somebody smiles, frowns, nods, looks away, speaks, quickly or slowly, alone or mixed. The network
says which of these actions each frame and each clip shows, how strong every action unit is, how
head and eyes are turned, how fast all of that changes, and where the landmarks are. All readouts
are thrown away afterwards. No score and nothing of `rendered.planting` takes part.
"""

from __future__ import annotations

import json
import logging
import math
from concurrent.futures import Executor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from expresso_lib import store
from expresso_lib.faces import anatomy
from expresso_lib.models import finetuning, networks, small
from expresso_lib.models.practice import SERIES, Batch, Data, Practice, batch, render
from expresso_lib.rendered import actions

log = logging.getLogger(__name__)

FLOOR = 0.05  # intensity or degrees: keeps the logarithm of a still series finite
_N, _C, _L = len(SERIES), len(actions.CLASSES), 2 * anatomy.N_LANDMARKS


def pretrain(
    destination: str | Path,
    *,
    practice: Practice | None = None,
    executor: Executor | None = None,
    folder: str | Path | None = None,
) -> Path:
    """Render the practice clips, train on them, save the checkpoint with its recipe.

    Parameters
    ----------
    destination : path
        Checkpoint (safetensors); a JSON of the same name tells how it was made and what it reads.
    practice : Practice, optional
        Sizes and settings.
    executor : Executor, optional
        Where clips are rendered.
    folder : path, optional
        Where rendered clips and the state of the training are kept, to go on from; default beside
        the destination.

    Returns
    -------
    Path
        The checkpoint.
    """
    practice, destination = practice or Practice(), Path(destination)
    folder = Path(folder or destination.parent / "practice")
    data = Data.load(render(practice, folder, executor=executor), practice)
    model, readouts = train(data, practice, state=folder / "state.pt")
    recipe = asdict(practice) | {"report": report(model, readouts, data, practice)}
    networks.save(destination, model, recipe, dtype=torch.float16)
    store.write_text(destination.with_suffix(".json"), json.dumps(recipe, indent=1) + "\n")
    return destination


class Readouts(nn.Module):
    """Linear readouts of embeddings, features, and their mean over a clip."""

    def __init__(self, n_embedding: int, n_features: int) -> None:
        super().__init__()
        self.early = nn.Linear(n_embedding, _N + _L)
        self.late = nn.Linear(n_features, 2 * _N + _L + _C)
        self.clip = nn.Linear(n_features, 3 * _N + _C)
        self.register_buffer("statistics_mean", torch.zeros(3 * _N))
        self.register_buffer("statistics_spread", torch.ones(3 * _N))


def statistics(series: Tensor, spread: Tensor) -> Tensor:
    """How much and how fast each series moves in a window: mean, log spread, log speed, (N, 66).

    Parameters
    ----------
    series : (N, T, 22), in units of `spread`.
    spread : (22,) intensity or degrees.
    """
    own = series * spread
    speed = (own[:, 2:] - own[:, :-2]).abs().mean(1)
    return torch.cat([series.mean(1), (own.std(1) + FLOOR).log(), (speed + FLOOR).log()], dim=1)


def _loss(
    model: nn.Module, readouts: Readouts, seen: Batch, data: Data, *, bf16: bool
) -> dict[str, Tensor]:
    x = (seen.clips - model.mean).div_(model.std)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        embedded = model.stages[0](x)
        features = model.stages[1](embedded)
    embedded, features = embedded.float().transpose(1, 2), features.float().transpose(1, 2)
    early = readouts.early(embedded).split([_N, _L], dim=2)
    late = readouts.late(features).split([_N, _N, _L, _C], dim=2)
    clip = readouts.clip(features.mean(1)).split([3 * _N, _C], dim=1)
    change = seen.series[:, 2:] - seen.series[:, :-2]
    moving = seen.moving.float()
    asked = (
        statistics(seen.series, data.spread) - readouts.statistics_mean
    ) / readouts.statistics_spread
    shown = (seen.labels.mean(1) > 0.05).float()
    bce = functional.binary_cross_entropy_with_logits
    each = {
        "series": (early[0] - seen.series).square().mean((1, 2))
        + (late[0] - seen.series).square().mean((1, 2)),
        "landmarks": 0.5
        * (
            (early[1] - seen.landmarks).square().mean((1, 2))
            + (late[2] - seen.landmarks).square().mean((1, 2))
        ),
        "change": 4 * moving * (late[1][:, 1:-1] - change).square().mean((1, 2)),
        "statistics": 1.5 * moving * (clip[0] - asked).square().mean(1),
        "actions": 4 * moving * bce(late[3], seen.labels, reduction="none").mean((1, 2)),
        "shown": 4 * moving * bce(clip[1], shown, reduction="none").mean(1),
    }
    return {name: value.mean() for name, value in each.items()}


def train(
    data: Data, practice: Practice, *, state: Path | None = None
) -> tuple[networks.VideoRegressor, Readouts]:
    """AdamW on one cycle, all targets at once; goes on from `state` where a run was killed.

    A state that was left by another `practice` is begun anew.
    """
    torch.manual_seed(practice.seed)
    model = networks.build("small", frames=practice.window, size=practice.size, seed=practice.seed)
    finetuning.channels_last(model)
    readouts = Readouts(small.N_EMBEDDING, small.N_FEATURES)
    whole = statistics(data.series[: data.n_learned, : practice.window], data.spread)
    readouts.statistics_mean.copy_(whole.mean(0))
    readouts.statistics_spread.copy_(whole.std(0) + 1e-6)
    parameters = [*model.stages.parameters(), *readouts.parameters()]
    optimizer = torch.optim.AdamW(parameters, practice.learning_rate, weight_decay=0.02)
    steps = math.ceil(data.n_learned / practice.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, practice.learning_rate, total_steps=practice.epochs * steps, pct_start=0.15
    )
    run: dict[str, Any] = {
        "model": model,
        "readouts": readouts,
        "optimizer": optimizer,
        "schedule": schedule,
    }
    first = _resume(state, run, practice)
    progress = tqdm(range(first, practice.epochs), desc="pre-training", mininterval=1)
    for epoch in progress:
        rng = np.random.default_rng([practice.seed, 1, epoch])
        losses = _epoch(run, data, practice, rng, parameters)
        log.info("epoch %d: %s", epoch, losses)
        progress.set_postfix(losses)
        if state is not None:
            with store.atomic(state) as temporary:
                parts = {name: part.state_dict() for name, part in run.items()}
                facts = {"epoch": epoch + 1, "practice": asdict(practice)}
                torch.save(parts | facts, temporary)
    return model.eval(), readouts


def _resume(state: Path | None, run: dict[str, Any], practice: Practice) -> int:
    if state is None or not state.is_file():
        return 0
    saved = torch.load(state, weights_only=True)
    if saved.get("practice") != asdict(practice):
        log.info("%s is of other settings; the training begins anew", state)
        return 0
    for name, part in run.items():
        part.load_state_dict(saved[name])
    return int(saved["epoch"])


def _epoch(
    run: dict[str, Any],
    data: Data,
    practice: Practice,
    rng: np.random.Generator,
    parameters: list[nn.Parameter],
) -> dict[str, str]:
    order = rng.permutation(data.n_learned)
    sums: dict[str, float] = {}
    count = math.ceil(len(order) / practice.batch)
    for rows in np.array_split(order, count):
        seen = batch(data, rows, practice, rng)
        parts = _loss(run["model"], run["readouts"], seen, data, bf16=practice.bf16)
        run["optimizer"].zero_grad()
        sum(parts.values()).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        run["optimizer"].step()
        run["schedule"].step()
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) / count
    return {name: f"{value:.3f}" for name, value in sums.items()}


def report(
    model: networks.VideoRegressor, readouts: Readouts, data: Data, practice: Practice
) -> dict[str, Any]:
    """What is recognised, on people who were not learned from and on as many who were.

    Returns
    -------
    dict
        ``unseen`` and ``learned``, each with ``actions`` (class to area under the ROC curve of
        the clip's logit), ``action_units`` and ``pose`` (name to Pearson r over frames).
    """
    held = np.arange(data.n_learned, len(data.frames))
    sides = {"unseen": held, "learned": np.arange(min(len(held), data.n_learned))}
    return {name: _read(model, readouts, data, rows, practice) for name, rows in sides.items()}


def recognised(path: str | Path | None = None) -> pd.DataFrame:
    """What a checkpoint recognises, from the JSON beside it.

    Parameters
    ----------
    path : path, optional
        The checkpoint; by default the one that ships.

    Returns
    -------
    DataFrame
        kind (actions: area under the ROC curve; action_units and pose: Pearson r over frames),
        name, unseen (people that were not learned from), learned, gap (learned minus unseen).
    """
    recipe = json.loads(Path(path or networks.shipped()).with_suffix(".json").read_text("utf-8"))
    sides = recipe["report"]
    rows = [
        {"kind": kind, "name": name, "unseen": value, "learned": sides["learned"][kind][name]}
        for kind, values in sides["unseen"].items()
        for name, value in values.items()
    ]
    table = pd.DataFrame(rows).astype({"unseen": float, "learned": float})
    return table.assign(gap=table["learned"] - table["unseen"])


def _read(
    model: networks.VideoRegressor,
    readouts: Readouts,
    data: Data,
    rows: np.ndarray,
    practice: Practice,
) -> dict[str, dict[str, float | None]]:
    found, logits, truth, shown = [], [], [], []
    for part in np.array_split(rows, max(1, len(rows) // 8)):
        seen = batch(data, part, practice, None)
        with torch.inference_mode():
            values = (seen.clips - model.mean) / model.std
            features = model.stages[1](model.stages[0](values)).transpose(1, 2)
            found.append(readouts.late(features)[..., :_N])
            logits.append(readouts.clip(features.mean(1))[:, 3 * _N :])
        truth.append(seen.series)
        shown.append(seen.labels.mean(1) > 0.05)
    series = [torch.cat(values).flatten(0, 1).numpy() for values in (found, truth)]
    r = {
        name: _round(np.corrcoef(series[0][:, i], series[1][:, i])[0, 1])
        for i, name in enumerate(SERIES)
    }
    score, label = torch.cat(logits).numpy(), torch.cat(shown).numpy()
    area = {name: _round(_area(score[:, i], label[:, i])) for i, name in enumerate(actions.CLASSES)}
    units = set(anatomy.AU_CODES)
    return {
        "actions": area,
        "action_units": {k: v for k, v in r.items() if k in units},
        "pose": {k: v for k, v in r.items() if k not in units},
    }


def _area(score: np.ndarray, label: np.ndarray) -> float:
    """Area under the ROC curve: how often a clip that shows it has the higher logit."""
    if label.all() or not label.any():
        return float("nan")
    return float((score[label][:, None] > score[~label]).mean())


def _round(value: float) -> float | None:
    return round(float(value), 3) if np.isfinite(value) else None
