"""Goal 10: two workers against one, a cluster of separate processes, and a killed worker."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from expresso_lib import attribution, models, store

from . import measure
from .study import rendering

SHAPE = rendering.Shape(participants=12, recordings=1, seconds=4.0)
PIECES, QUICK_PIECES = 12, 4
CLIPS, FRAMES, SIZE = 8, 32, 64


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Return the goal's lines: two worker processes over one, and what a killed one loses."""
    rounds, pieces = (1, QUICK_PIECES) if quick else (3, PIECES)
    found = []
    for what, work in (("preprocessing", _preprocess), ("attribution", _attribute)):
        ratio, note = _two_over_one(work, rounds, pieces)
        found.append(
            measure.goal(10, f"two loky workers over one, {what}", ratio, 1.6, "higher", note=note)
        )
    lost = _lost_to_a_kill()
    found.append(measure.goal(10, "finished pieces lost to a killed worker", lost, 0, "lower"))
    with _cluster() as executor:
        done = _finished(_attribute, executor, pieces) if executor else float("nan")
    if np.isfinite(done):
        found.append(
            measure.goal(
                10, "pieces finished by a Dask cluster of two processes", done, pieces, "higher"
            )
        )
    return found


def _two_over_one(work, rounds: int, pieces: int) -> tuple[float, str]:
    """Wall time with one worker over that with two, interleaved; pools are warm."""
    # Wall time, for the work runs in other processes; the machine's load stands beside it.
    ways = {}
    for workers in (1, 2):
        executor = store.executor("loky", workers=workers)
        ways[workers] = (executor, [])
    for round_number in range(rounds + 1):
        for executor, seconds in ways.values():
            _warm(executor, work)
            start = time.perf_counter()
            _finished(work, executor, pieces)
            if round_number:
                seconds.append(time.perf_counter() - start)
            executor.shutdown()
    one, two = (float(np.median(seconds)) for _, seconds in ways.values())
    load = os.getloadavg()[0]
    return one / two, f"one: {one:.1f} s, two: {two:.1f} s; load average {load:.1f}"


def _warm(executor: Executor, work) -> None:
    """Start the workers and have each do the work once: what it needs is imported late."""
    for future in [executor.submit(_try, work) for _ in range(4)]:
        future.result()


def _try(work) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store.map(work, [store.Item("first", {"number": 0})], out=folder)
    time.sleep(0.5)  # long enough that no worker takes all


def _finished(work, executor: Executor, pieces: int) -> float:
    """Run the work in a fresh folder; the number of pieces that ended well."""
    with tempfile.TemporaryDirectory() as folder:
        items = [store.Item(f"piece-{number:02d}", {"number": number}) for number in range(pieces)]
        done = store.map(work, items, out=folder, executor=executor, collect_errors=True)
    return float(sum(one.error is None for one in done))


def _preprocess(item: store.Item, path: Path) -> None:
    number = int(item.recipe["number"])
    name = rendering.planned(SHAPE, "default", 0).recordings["recording"].iloc[number]
    rendering.cut(store.Item(name, {"input": "face"}, (), (SHAPE, "default", 0)), path)


def _attribute(item: store.Item, path: Path) -> None:
    import torch

    model = models.build("small", frames=FRAMES, size=SIZE)
    generator = torch.Generator().manual_seed(int(item.recipe["number"]))
    clips = torch.rand(CLIPS, 3, FRAMES, SIZE, SIZE, generator=generator)
    found = attribution.attribute(model, clips, "DeepLift", "blur")
    np.savez(path, values=found.values.numpy())


def _lost_to_a_kill() -> float:
    """Finished pieces that are redone after a worker was killed, plus those missing."""
    with tempfile.TemporaryDirectory() as folder:
        items = [store.Item(f"piece-{number:02d}", {"number": number}) for number in range(6)]
        executor = store.executor("loky", workers=2)
        done = store.map(_kill_once, items, out=folder, executor=executor, collect_errors=True)
        missing = sum(one.error is not None for one in done)
        before = {one.path: one.path.stat().st_mtime_ns for one in done if one.error is None}
        again = store.map(_kill_once, items, out=folder, executor=executor, collect_errors=True)
        redone = sum(
            before.get(one.path) != one.path.stat().st_mtime_ns
            for one in again
            if one.path in before
        )
        executor.shutdown()
    return float(missing + redone)


def _kill_once(item: store.Item, path: Path) -> None:
    """A piece of work whose worker dies the first time it comes to number 3."""
    flag = path.parent / "was-killed"
    if item.recipe["number"] == 3 and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    np.savez(path, number=item.recipe["number"])


@contextmanager
def _cluster() -> Iterator[Executor | None]:
    """A Dask cluster of two separate processes on this machine; None without the extra."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        yield None
        return
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client.get_executor()
