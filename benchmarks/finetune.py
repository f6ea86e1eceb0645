"""Goal 5: fine-tuning a whole network in bf16 against fp32, and its share of the matmul rate."""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import measure
from expresso_lib import models

ON_GPU = "r2plus1d_18, share of the bf16 matmul rate of a GPU"
GPU_BAR = 0.35


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Ratio of training steps, and floating-point operations against a plain matrix product."""
    if torch.cuda.is_available():
        return [_gpu(quick)]
    torch.set_num_threads(1)
    frames, size, count = (8, 64, 1) if quick else (16, 112, 2)
    model, clips, scores = _task(frames, size, count)
    parameters = list(model.parameters())
    with torch.inference_mode():
        plain = model(clips)
    quickly = models.build("r2plus1d_18", frames=frames, size=size)
    quickly.stages.to(memory_format=torch.channels_last_3d)
    quickly.load_state_dict(model.state_dict())
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        agrees = torch.allclose(quickly(clips).float(), plain, rtol=0.05, atol=0.05)
    with FlopCounterMode(display=False) as counter:
        _step(model, clips, scores, parameters, bf16=False)
    fast = list(quickly.parameters())
    seconds = measure.interleave(
        {
            "fp32": lambda: _step(model, clips, scores, parameters, bf16=False),
            "bf16": lambda: _step(quickly, clips, scores, fast, bf16=True),
        },
        rounds=1 if quick else 3,
    )
    rate = counter.get_total_flops() / seconds["bf16"]
    share = rate / _matmul_rate(1024 if quick else 2048)
    note = f"{frames} frames of {size} px, {count} clips a step, {_tiles()}"
    bar = 3.5 if _tiles() == "bf16 tiles" else 1.0
    return [
        measure.goal(5, "fine-tuning r2plus1d_18, bf16 over fp32",
                     seconds["fp32"] / seconds["bf16"], bar, "higher",
                     gate=agrees, note=note),
        measure.goal(5, "r2plus1d_18, share of the bf16 matmul rate", share, 0.30, "higher",
                     gate=agrees, note=note),
        measure.absent(5, ON_GPU, GPU_BAR, "higher"),
    ]  # fmt: skip


def _task(frames: int, size: int, count: int) -> tuple[models.VideoRegressor, Tensor, Tensor]:
    clips = torch.rand(count, 3, frames, size, size, generator=torch.Generator().manual_seed(0))
    return models.build("r2plus1d_18", frames=frames, size=size), clips, torch.full((count,), 20.0)


def _gpu(quick: bool) -> dict[str, Any]:
    """Training steps of the compiled network in bf16, channels last."""
    frames, size, count = (8, 64, 4) if quick else (16, 112, 32)
    network, clips, scores = (part.to("cuda") for part in _task(frames, size, count))
    network.stages.to(memory_format=torch.channels_last_3d)
    parameters = list(network.parameters())
    clips = clips.to(memory_format=torch.channels_last_3d)
    with FlopCounterMode(display=False) as counter:
        _step(network, clips, scores, parameters, bf16=True)
    fast = torch.compile(network)

    def once() -> None:
        _step(fast, clips, scores, parameters, bf16=True)
        torch.cuda.synchronize()

    once()  # compiles
    seconds = measure.interleave({"step": once}, rounds=10, clock=time.perf_counter)["step"]
    share = counter.get_total_flops() / seconds / 1e9 / measure.matmul_rate("bfloat16", size=8192)
    return measure.goal(
        5,
        ON_GPU,
        share,
        GPU_BAR,
        "higher",
        note=f"{count / seconds:.0f} clips/s, {frames} frames of {size} px",
    )


def _step(
    model: nn.Module, clips: Tensor, scores: Tensor, parameters: list[nn.Parameter], *, bf16: bool
) -> None:
    optimizer = torch.optim.SGD(parameters, 1e-9)
    optimizer.zero_grad()
    with torch.autocast(clips.device.type, torch.bfloat16, enabled=bf16):
        found = model(clips)
    (found.float() - scores).square().mean().backward()
    optimizer.step()


def _matmul_rate(side: int) -> float:
    """Operations per second of a square bf16 matrix product, the better of five."""
    a = torch.rand(side, side, dtype=torch.bfloat16)
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        a @ a
        best = min(best, time.process_time() - start)
    return 2 * side**3 / best


def _tiles() -> str:
    capable = torch.backends.cpu.get_cpu_capability()
    has_tiles = torch.cpu._is_amx_tile_supported()
    return "bf16 tiles" if has_tiles else f"no bf16 tiles ({capable})"
