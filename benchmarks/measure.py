"""How things are measured: interleaved rounds, process time, medians, and what they rest on."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from expresso_lib.pipeline import provenance

ROOT = Path(__file__).parents[1]


def interleave(
    ways: Mapping[str, Callable[[], Any]],
    *,
    rounds: int = 3,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """Return the median seconds of each way, run in turn so that a busy machine hits all alike.

    One round of each is run first and not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(rounds + 1):
        for name, way in ways.items():
            start = clock()
            way()
            if round_number:
                seconds[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def goal(
    number: int,
    what: str,
    value: float,
    bar: float,
    better: Literal["higher", "lower"],
    *,
    gate: bool = True,
    note: str = "",
) -> dict[str, Any]:
    """Return one line of the table; `gate` says whether the faster way gave the same answer."""
    return {
        "goal": number,
        "what": what,
        "value": round(float(value), 4),
        "bar": bar,
        "better": better,
        "gate": bool(gate),
        "note": note,
        "device": device(),
        "commit": provenance.commit(ROOT),
    }


def absent(
    number: int, what: str, bar: float, better: Literal["higher", "lower"]
) -> dict[str, Any]:
    """Return the line of a goal that needs what is not here, a GPU for instance: not measured."""
    return {
        "goal": number,
        "what": what,
        "value": None,
        "bar": bar,
        "better": better,
        "gate": False,
        "note": "",
        "device": "",
        "commit": provenance.commit(ROOT),
    }


def calibration(test: str, scenario: str, n: int, rate: float, naive: bool) -> dict[str, Any]:
    """Return one line of the calibration table: how often `test` rejects in `scenario`."""
    return {
        "test": test,
        "scenario": scenario,
        "n": n,
        "rate": round(float(rate), 4),
        "naive": naive,
        "device": device(),
        "commit": provenance.commit(ROOT),
    }


def holds(line: Mapping[str, Any]) -> bool:
    """Return whether a goal's value reaches its bar, computed here and never stored."""
    if line["value"] is None:
        return False
    reached = (
        line["value"] >= line["bar"] if line["better"] == "higher" else line["value"] <= line["bar"]
    )
    return bool(reached and line.get("gate", True))


@lru_cache(maxsize=1)
def device() -> str:
    """Return what computes: the GPU's name, or the processor with its cores and features."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    tiles = "bf16 tiles" if has_tiles() else "no bf16 tiles"
    return f"CPU {platform.machine()}, {os.cpu_count()} cores, {tiles}"


def has_tiles() -> bool:
    """Return whether this CPU multiplies bf16 matrices in hardware (AMX)."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def matmul_rate(dtype: str = "float32", *, size: int = 1536, rounds: int = 5) -> float:
    """Return the machine's own matrix-product rate in GFLOP/s: the yardstick beside every time."""
    import torch

    target = "cuda" if torch.cuda.is_available() else "cpu"
    a = torch.randn(size, size, device=target).to(getattr(torch, dtype))
    b = torch.randn(size, size, device=target).to(getattr(torch, dtype))

    def once() -> None:
        torch.mm(a, b)
        if target == "cuda":
            torch.cuda.synchronize()

    seconds = interleave({"mm": once}, rounds=rounds, clock=time.perf_counter)["mm"]
    return 2 * size**3 / seconds / 1e9
