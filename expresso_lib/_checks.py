"""Argument checks in one voice: what came, what fits, what to do."""

import difflib
from collections.abc import Iterable
from pathlib import Path

import numpy as np


def one_of(
    value: object, allowed: Iterable[object], what: str, error: type[ValueError] = ValueError
) -> None:
    """Raise unless `value` is one of `allowed`, naming the nearest.

    Raises
    ------
    ValueError
        Or what `error` says: with the allowed values and, for strings, a did-you-mean.
    """
    options = list(allowed)
    if value not in options:
        raise error(f"{what} {value!r} is unknown{nearest(str(value), map(str, options))}.")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" and the known names, as the tail of an error message.

    >>> nearest("frams", ["frames", "step"])
    "; did you mean 'frames'? Known: frames, step"
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return f"{hint} Known: {', '.join(names)}"


def shape(array: np.ndarray, expected: tuple[int | None, ...], what: str) -> None:
    """Raise unless `array` has the `expected` shape; None fits any length.

    Raises
    ------
    ValueError
        With both shapes.
    """
    same = (want in (None, got) for got, want in zip(array.shape, expected))
    if array.ndim != len(expected) or not all(same):
        raise ValueError(f"{what} has shape {array.shape}; it must be {expected}, None any length.")


def existing_file(path: str | Path, what: str) -> Path:
    """Return `path` as a Path, or raise if no file is there.

    Raises
    ------
    FileNotFoundError
        Naming the path and the remedy.
    """
    found = Path(path)
    if not found.is_file():
        raise FileNotFoundError(f"{what} {str(found)!r} is not there; check the path.")
    return found
