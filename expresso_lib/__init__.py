"""Explainable video models of depression severity, from recordings to a book.

A `cohort` names participants, recordings and scores (`rendered` makes one with a planted
answer). `faces` finds and tracks them, `clips` cuts the aligned windows that a network sees.
`models` fit a video network and judge it by participant. `attribution` explains predictions,
pooled by region and frame; `faithfulness` asks whether that is true; `statistics` weighs the
evidence, `figures` show it, `pipeline` runs the chapters and `cli` is what a person types.
Imports run only downwards (pyproject.toml lists the floors).
"""

import ctypes as _ctypes
import os as _os

# Two OpenMP threads that spin beside a busy neighbour run several times slower than one; a
# passive wait repairs it, and only before torch (and with it OpenMP) is loaded.
_os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
_os.environ.setdefault("KMP_BLOCKTIME", "0")


def _keep_freed_memory() -> None:
    """Let glibc keep what a tensor leaves: given back, each of its pages is faulted in again.

    The first number is mallopt's M_MMAP_THRESHOLD, at its largest, the second M_TRIM_THRESHOLD.
    """
    try:
        mallopt = _ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # no glibc
        return
    mallopt(-3, 32 * 2**20)
    mallopt(-1, 2**31 - 1)


_keep_freed_memory()
