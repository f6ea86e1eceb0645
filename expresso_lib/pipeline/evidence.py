"""Tables that took hours, committed with the hash of the code that made them.

They are shown only while that hash fits: a number is never printed beside code that would no
longer give it. ``source.json`` says for every table which module made it, the hash of that module
with all of ours that it reaches, the files it read, the date and the device.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from expresso_lib import store

SOURCE = "source.json"
PACKAGE = Path(__file__).parents[1]
DIGITS = 4
# They carry results from place to place and decide none.
CARRIERS = {f"expresso_lib.{name}" for name in ("store", "engine", "manifest", "_checks")}


def keep(
    folder: Path,
    name: str,
    table: pd.DataFrame,
    module: str,
    *,
    files: Sequence[str] = (),
    **facts: Any,
) -> Path:
    """Write a table as CSV and note what it rests on.

    Parameters
    ----------
    folder : Path
        Of the committed tables.
    name : str
        Of the table, without ending.
    table : DataFrame
        Rounded to four decimals.
    module : str
        Dotted name of the module that makes it.
    files : sequence of str
        Files below the package that it rests on as well, e.g. ``assets/x.safetensors``.
    **facts
        Anything else to note: device, seeds.
    """
    path = folder / f"{name}.csv"
    store.write_text(path, table.round(DIGITS).to_csv(index=False))
    noted = sources(folder)
    noted[name] = {
        "module": module,
        "files": list(files),
        "hash": fingerprint(module, files),
        "date": datetime.now(UTC).date().isoformat(),
    } | facts
    store.write_text(folder / SOURCE, json.dumps(noted, indent=1, sort_keys=True) + "\n")
    return path


def read(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the tables whose code and files are still what they were; others are left out."""
    # "null" is the name of a model here, not a missing value.
    how: dict[str, Any] = {"dtype": {"seed": str}, "keep_default_na": False, "na_values": [""]}
    return {
        name: pd.read_csv(folder / f"{name}.csv", **how)
        for name, noted in sources(folder).items()
        if (folder / f"{name}.csv").is_file()
        and fingerprint(noted["module"], noted["files"]) == noted["hash"]
    }


def sources(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Return what is noted of every table; nothing where there are none."""
    path = folder / SOURCE
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def fingerprint(module: str, files: Sequence[str] = ()) -> str:
    """Return a hash of a module, of all of ours that it reaches, and of files of the package."""
    digest = hashlib.sha256()
    for name in sorted(store.reached_modules(module) - CARRIERS):
        digest.update(name.encode() + store.code_of(store.module_path(name)).encode())
    for name in files:
        path = PACKAGE / name
        digest.update((store.file_hash(path) if path.is_file() else "missing").encode())
    return digest.hexdigest()[:16]
