"""Where work runs: this process, loky workers on this machine, or a Dask cluster anywhere."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from expresso_lib import _checks

ENGINES = ("process", "loky", "dask")


def executor(
    name: str = "process", *, workers: int = 0, threads: int = 1, scheduler: str = ""
) -> Executor | None:
    """Return a `concurrent.futures` executor; None where work is to run in this process.

    Parameters
    ----------
    name : {"process", "loky", "dask"}
        This process, one call after another; worker processes here; a Dask scheduler's workers.
    workers : int
        Number of processes; 0 means one per core.
    threads : int
        Threads of each worker (torch, OpenMP).
    scheduler : str
        Address of the Dask scheduler, e.g. ``tcp://host:8786``; empty starts one here.

    Raises
    ------
    ValueError
        For an unknown engine.
    ImportError
        If Dask is asked for and not installed.
    """
    _checks.one_of(name, ENGINES, "engine")
    if name == "process":
        return None
    from loky import cpu_count

    count = workers or cpu_count()  # those that this process may use, in a container too
    if name == "loky":
        return Loky(count, threads)
    return _dask(count, threads, scheduler)


class Loky(Executor):
    """loky's reusable pool; a pool broken by a killed worker is replaced on the next submit."""

    def __init__(self, workers: int, threads: int) -> None:
        self._options = {
            "max_workers": workers,
            "timeout": 60,
            "initializer": limit_threads,
            "initargs": (threads,),
            "env": {"OMP_NUM_THREADS": str(threads)},
        }

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand `fn` to a worker."""
        from loky import get_reusable_executor

        return get_reusable_executor(**self._options).submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop the workers at once: what they finished is on disk, and their goodbyes take long."""
        from loky import get_reusable_executor

        get_reusable_executor(**self._options).shutdown(wait=wait, kill_workers=True)


def limit_threads(threads: int) -> None:
    """Let this worker use `threads` threads; more than one per core makes them wait in turn."""
    import cv2
    import torch

    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)


def _dask(workers: int, threads: int, scheduler: str) -> Executor:
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError(
            "engine 'dask' needs the package distributed; install it with "
            "pip install 'expresso-lib[dask]', or choose engine 'loky'."
        ) from error
    client = (
        Client(scheduler)
        if scheduler
        else Client(n_workers=workers, threads_per_worker=threads, dashboard_address=None)
    )
    return client.get_executor()
