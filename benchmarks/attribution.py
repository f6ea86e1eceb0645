"""Goal 6: what an attribution costs, in forward passes of the same network, and that it adds up."""

from __future__ import annotations

from typing import Any

import torch

from expresso_lib import attribution, models

from . import measure

# Most forward passes (performance.md: Saliency, DeepLift with both scores, a step of integrated
# gradients, a pass of Shapley sampling).
BARS = {"Saliency": 2.5, "DeepLift": 9.0, "IntegratedGradients": 2.3, "ShapleySampling": 1.1}
STEPS, STRETCHES = 8, 4


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Return the goal's lines."""
    frames, size = (8, 64) if quick else (16, 112)
    model = models.build("r3d_18", frames=frames, size=size).requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    clips = torch.rand(1, 3, frames, size, size, generator=generator)
    seconds = measure.interleave(
        {"forward": lambda: forward(model, clips), **ways(model, clips)}, rounds=2 if quick else 3
    )
    # Every way also asks for f(x) and f(x0), two passes that only DeepLift's bar includes.
    passes = {name: seconds[name] / seconds["forward"] for name in BARS}
    # Each stretch of time is put in from either end of the clip.
    per = {
        "Saliency": (2, 1),
        "DeepLift": (0, 1),
        "IntegratedGradients": (2, STEPS),
        "ShapleySampling": (4, 2 * (STRETCHES - 1)),
    }
    what = f"r3d_18, {frames} x {size} x {size}, forward passes per"
    units = {
        "Saliency": "clip",
        "DeepLift": "clip",
        "IntegratedGradients": "step",
        "ShapleySampling": "pass",
    }
    lines = [
        measure.goal(
            6, f"{name}: {what} {units[name]}", (passes[name] - less) / parts, BARS[name], "lower"
        )
        for name, (less, parts) in per.items()
    ]
    result = attribution.attribute(model, clips, "DeepLift", "blur")
    gap = (result.delta.abs() / (result.output - result.output_baseline).abs()).max()
    lines.append(
        measure.goal(6, "DeepLift on r3d_18: |delta| / |f(x) - f(x0)|", float(gap), 1e-3, "lower")
    )
    return lines


def forward(model: torch.nn.Module, clips: torch.Tensor) -> torch.Tensor:
    """One pass without gradients."""
    with torch.no_grad():
        return model(clips)


def ways(model: torch.nn.Module, clips: torch.Tensor) -> dict[str, Any]:
    """Return the attributions to time."""
    options = {
        "IntegratedGradients": {"steps": STEPS, "internal_batch_size": 1},
        "ShapleySampling": {"stretches": STRETCHES},
    }
    return {
        name: lambda name=name: attribution.attribute(
            model, clips, name, "zero", **options.get(name, {})
        )
        for name in BARS
    }
