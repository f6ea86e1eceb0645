"""Goal 4: a frozen trunk computed once, against recomputing and back-propagating it every epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks import measure
from expresso_lib import models

EPOCHS = 20
BATCH = 8  # clips a step, the default of fine-tuning


class _Clips:
    """Random clips with random scores."""

    def __init__(self, count: int, frames: int, size: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.values = torch.rand(count, 3, frames, size, size, generator=generator)
        names = [f"P{i}" for i in range(count)]
        self.table = pd.DataFrame({"participant": names, "score": np.linspace(0, 45, count)})

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Tensor:
        return self.values[index]


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Ratios of epochs, and of twenty epochs with the fill, for the head and the last block."""
    torch.set_num_threads(1)
    frames, size = (8, 64) if quick else (16, 112)
    clips = _Clips(BATCH, frames, size)
    model = models.build("r2plus1d_18", frames=frames, size=size)
    scores = torch.from_numpy(clips.table["score"].to_numpy(np.float32))
    lines = []
    for part, bar_epoch, bar_all in (("head", 1000, 40), ("last", 18, 14)):
        parameters = [one.requires_grad_() for one in model.requires_grad_(False).above(part)]
        cached = torch.from_numpy(models.features(model, clips, until=part, batch=1))
        seconds = measure.interleave(
            {
                "reference": lambda p=parameters: _reference(model, clips, scores, p),
                "cached": lambda p=parameters, c=cached, s=part: _cached(model, c, scores, p, s),
                "fill": lambda s=part: models.features(model, clips, until=s, batch=1),
            },
            rounds=1 if quick else 2,
        )
        with torch.inference_mode():
            whole = torch.cat([model(clip[None]) for clip in clips.values])
            gate = torch.allclose(model.finish(cached, since=part), whole, rtol=1e-4, atol=1e-3)
        epoch = seconds["reference"] / seconds["cached"]
        total = EPOCHS * seconds["reference"] / (seconds["fill"] + EPOCHS * seconds["cached"])
        name = {"head": "head-only", "last": "last block"}[part]
        lines += [
            measure.goal(4, f"{name} epoch, cached features", epoch, bar_epoch, "higher",
                         gate=gate),
            measure.goal(4, f"{name}, {EPOCHS} epochs with the fill", total, bar_all, "higher",
                         gate=gate),
        ]  # fmt: skip
    return lines


def _reference(
    model: nn.Module, clips: _Clips, scores: Tensor, parameters: list[nn.Parameter]
) -> None:
    """One epoch as the paper's code runs it: gradients reach the input, nothing is kept."""
    optimizer = torch.optim.AdamW(parameters, 1e-6)
    optimizer.zero_grad()
    (model(clips.values.clone().requires_grad_(True)) - scores).square().sum().backward()
    optimizer.step()


def _cached(
    model: models.VideoRegressor,
    cached: Tensor,
    scores: Tensor,
    parameters: list[nn.Parameter],
    part: str,
) -> None:
    optimizer = torch.optim.AdamW(parameters, 1e-6)
    optimizer.zero_grad()
    (model.finish(cached, since=part) - scores).square().sum().backward()
    optimizer.step()
