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
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from expresso_lib import store
from expresso_lib.faces import anatomy
from expresso_lib.models import networks, small, twins
from expresso_lib.models.practice import SERIES, Batch, Data, Practice, batch, render
from expresso_lib.rendered import actions

log = logging.getLogger(__name__)

FLOOR = 0.05  # intensity or degrees: keeps the logarithm of a still series finite
SHOWN = 0.05  # share of a window's frames from which on it shows an action
_N, _C, _L = len(SERIES), len(actions.CLASSES), 2 * anatomy.N_LANDMARKS


def pretrain(destination: Path, *, practice: Practice, executor: Executor | None = None) -> Path:
    """Render the practice clips, train on them, whiten, save the checkpoint with its recipe.

    Parameters
    ----------
    destination : path
        Checkpoint (safetensors); a JSON of the same name tells how it was made and what it reads.
        In the folder ``practice`` beside it the rendered clips and the state of the training are
        kept, to go on from.
    practice : Practice
        Sizes and settings.
    executor : Executor, optional
        Where clips are rendered.

    Returns
    -------
    Path
        The checkpoint.
    """
    if destination.suffix != ".safetensors" or destination.is_dir():
        raise ValueError(f"{destination} is no name of a checkpoint; end it in .safetensors.")
    folder = destination.parent / "practice"
    data = Data.load(render(practice, folder, executor=executor), practice)
    model, readouts = train(data, practice, state=folder / "state.pt")
    recipe = asdict(practice) | {"report": report(model, readouts, data, practice)}
    recipe["report"]["twins"], others = whiten(
        model, twins.render(practice, folder, executor=executor), practice
    )
    networks.save(destination, model, recipe, dtype=torch.float16, others=others)
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


def _seen(model: nn.Module, clips: Tensor) -> tuple[Tensor, Tensor]:
    """What the network makes of every frame: embeddings (N, T, E) and features (N, T, D)."""
    embedded = model.stages[0]((clips - model.mean).div_(model.std))
    # Both before either is cast: in bf16 the order decides in which gradients are summed.
    features = model.stages[1](embedded)
    return embedded.float().transpose(1, 2), features.float().transpose(1, 2)


def _loss(
    model: nn.Module, readouts: Readouts, seen: Batch, data: Data, *, bf16: bool
) -> dict[str, Tensor]:
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        embedded, features = _seen(model, seen.clips)
    early_series, early_points = readouts.early(embedded).split([_N, _L], dim=2)
    series, speed, points, doing = readouts.late(features).split([_N, _N, _L, _C], dim=2)
    told, said = readouts.clip(features.mean(1)).split([3 * _N, _C], dim=1)
    change = seen.series[:, 2:] - seen.series[:, :-2]
    moving = seen.moving.float()
    asked = statistics(seen.series, data.spread) - readouts.statistics_mean
    shown = (seen.labels.mean(1) > SHOWN).float()
    bce = partial(functional.binary_cross_entropy_with_logits, reduction="none")

    def far(one: Tensor, other: Tensor) -> Tensor:
        return (one - other).square().mean(tuple(range(1, one.ndim)))

    each = {
        "series": far(early_series, seen.series) + far(series, seen.series),
        "landmarks": 0.5 * (far(early_points, seen.landmarks) + far(points, seen.landmarks)),
        "change": 4 * moving * far(speed[:, 1:-1], change),
        "statistics": 1.5 * moving * far(told, asked / readouts.statistics_spread),
        "actions": 4 * moving * bce(doing, seen.labels).mean((1, 2)),
        "shown": 4 * moving * bce(said, shown).mean(1),
    }
    return {name: value.mean() for name, value in each.items()}


def train(
    data: Data, practice: Practice, *, state: Path
) -> tuple[networks.VideoRegressor, Readouts]:
    """AdamW on one cycle, all targets at once; goes on from `state` where a run was killed.

    A state that was left by another `practice` is begun anew.
    """
    torch.manual_seed(practice.seed)
    model = networks.build("small", frames=practice.window, size=practice.size, seed=practice.seed)
    model.stages.to(memory_format=torch.channels_last_3d)
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
    run: dict[str, Any] = {"model": model, "readouts": readouts, "optimizer": optimizer,
                           "schedule": schedule}  # fmt: skip
    first = _resume(state, run, practice)
    progress = tqdm(range(first, practice.epochs), desc="pre-training", mininterval=1)
    for epoch in progress:
        progress.set_postfix(_epoch(run, data, practice, epoch))
        with store.atomic(state) as temporary:
            parts = {name: part.state_dict() for name, part in run.items()}
            facts = {"epoch": epoch + 1, "practice": asdict(practice)}
            torch.save(parts | facts, temporary)
    return model.eval(), readouts


def _resume(state: Path, run: dict[str, Any], practice: Practice) -> int:
    if not state.is_file():
        return 0
    saved = torch.load(state, weights_only=True)
    if saved.get("practice") != asdict(practice):
        log.info("%s is of other settings; the training begins anew", state)
        return 0
    for name, part in run.items():
        part.load_state_dict(saved[name])
    return int(saved["epoch"])


def _epoch(run: dict[str, Any], data: Data, practice: Practice, epoch: int) -> dict[str, float]:
    """One pass over the clips that are learned from; the mean of every loss."""
    rng, losses = np.random.default_rng([practice.seed, 1, epoch]), []
    order = rng.permutation(data.n_learned)
    for rows in np.array_split(order, math.ceil(len(order) / practice.batch)):
        seen = batch(data, rows, practice, rng)
        parts = _loss(run["model"], run["readouts"], seen, data, bf16=practice.bf16)
        run["optimizer"].zero_grad()
        sum(parts.values()).backward()
        nn.utils.clip_grad_norm_(run["optimizer"].param_groups[0]["params"], 1.0)
        run["optimizer"].step()
        run["schedule"].step()
        losses.append({name: float(value.detach()) for name, value in parts.items()})
    return pd.DataFrame(losses).mean().to_dict()


def whiten(
    model: networks.VideoRegressor, paths: Sequence[Path], practice: Practice
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Measure the model's features against twins, in place, and those of its image counterparts.

    Parameters
    ----------
    model : VideoRegressor
        A pre-trained ``small``.
    paths : sequence of path
        Of `twins.render`; the last ones, `practice.held_out` of them, only tell what it is worth.
    practice : Practice

    Returns
    -------
    apart : dict
        ``before`` and ``after``: `twins.share_apart` of those held out.
    others : dict
        ``whiten.<network>``: weights (D, D) of `small.Whiten` for the image networks.
    """
    learned = max(1, round(len(paths) * (1 - practice.held_out)))
    shape = {"frames": practice.window, "size": practice.size}
    others = {}
    for name in ("small_image", "small_image_sd"):
        image = networks.build(name, **shape)
        image.stages[:2].load_state_dict(model.stages[:2].state_dict())
        others[f"whiten.{name}"] = twins.whitening(twins.features(image, paths[:learned]))
    seen = twins.features(model, paths)
    weight = twins.whitening(seen[:learned])
    [layer] = [one for one in model.modules() if isinstance(one, small.Whiten)]
    layer.weight.copy_(weight)
    held = seen[learned:] if learned < len(seen) else seen
    both = {"before": held, "after": held @ weight.double()}
    return {name: round(twins.share_apart(one), 3) for name, one in both.items()}, others


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


def recognised() -> pd.DataFrame:
    """What the checkpoint that ships recognises, from the JSON beside it.

    Returns
    -------
    DataFrame
        kind (actions and headset: area under the ROC curve; action_units and pose: Pearson r over
        frames), name, unseen (people that were not learned from), learned, gap (learned minus
        unseen).
    """
    sides = {side: pd.DataFrame(_told()[side]).unstack() for side in ("unseen", "learned")}
    table = pd.DataFrame(sides).dropna(how="all").rename_axis(["kind", "name"]).reset_index()
    table.loc[table["name"] == "headset", "kind"] = "headset"  # worn, not done
    return table.assign(gap=table["learned"] - table["unseen"])


def apart() -> dict[str, float]:
    """What `whiten` left between people who move alike, of the checkpoint that ships."""
    return _told()["twins"]


def _told() -> dict[str, Any]:
    recipe = json.loads(networks.shipped().with_suffix(".json").read_text("utf-8"))
    return recipe["report"]


def _read(model: networks.VideoRegressor, readouts: Readouts, data: Data, rows: np.ndarray,
          practice: Practice) -> dict[str, dict[str, float | None]]:  # fmt: skip
    parts = []
    for part in np.array_split(rows, max(1, len(rows) // 8)):
        seen = batch(data, part, practice, None)
        with torch.inference_mode():
            _, features = _seen(model, seen.clips)
            series = readouts.late(features)[..., :_N].flatten(0, 1)
            logits = readouts.clip(features.mean(1))[:, 3 * _N :]
        shown = seen.labels.mean(1) > SHOWN
        parts.append((series, seen.series.flatten(0, 1), logits, shown))
    found, target, score, label = (torch.cat(part).double().numpy() for part in zip(*parts))
    r = pd.DataFrame(found, columns=SERIES).corrwith(pd.DataFrame(target, columns=SERIES))
    area = pd.Series(roc_auc_score(label, score, average=None), actions.CLASSES)
    units = list(anatomy.AU_CODES)
    read = {"actions": area, "action_units": r[units], "pose": r.drop(units)}
    return {kind: one.round(3).replace({np.nan: None}).to_dict() for kind, one in read.items()}
