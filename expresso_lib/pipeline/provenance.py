"""What a result rests on, said beside it: commit, date, machine, versions of packages.

Tables that took hours are committed with this stamp and shown with it, however the code has
changed since (`keep`, `read_table`, `stamp_text`).
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from expresso_lib import store

SOURCE = "source.json"


def stamp(root: Path) -> dict[str, Any]:
    """Return commit, date, device, Python, platform and versions, here and now."""
    return {
        "commit": commit(root),
        "date": datetime.now(UTC).date().isoformat(),
        "device": device(),
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "packages": store.versions(),
    }


def device() -> str:
    """Return what computes: the GPU's name, or the processor with its cores."""
    # Asking torch would import it in a process that only starts others.
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        found = subprocess.run(query, capture_output=True, text=True, check=False)
        if found.returncode == 0 and found.stdout.strip():
            return found.stdout.splitlines()[0].strip()
    return f"{platform.machine()}, {os.cpu_count()} cores"


def commit(root: Path) -> str:
    """Return the git commit, with ``+`` where the working tree differs; empty outside git."""
    if not shutil.which("git"):
        return ""
    words = ("describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*")
    command = ["git", "-C", str(root), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def keep(folder: Path, name: str, table: pd.DataFrame, **facts: Any) -> None:
    """Write a table as CSV, rounded to four decimals, and stamp it.

    Parameters
    ----------
    folder : Path
        Of the committed tables.
    name : str
        Of the table, without ending.
    table : DataFrame
        Any.
    **facts
        Anything else to note, e.g. seeds; what `stamp` gives can be overridden.
    """
    store.write_text(folder / f"{name}.csv", table.round(4).to_csv(index=False))
    noted = {name: stamp(Path(__file__).parent) | facts}
    store.write_json(folder / SOURCE, stamps(folder) | noted)


def read_table(path: Path) -> pd.DataFrame:
    """Return one committed table; empty where there is none."""
    if not path.is_file():
        return pd.DataFrame()
    # "null" is the name of a model here, not a missing value.
    return pd.read_csv(path, dtype={"seed": str}, keep_default_na=False, na_values=[""])


def stamps(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the stamp of every committed table; nothing where there are none."""
    return store.read_json(folder / SOURCE)


def stamp_text(facts: Mapping[str, Any]) -> str:
    """Say a stamp in words.

    >>> stamp_text({"date": "2026-11-26", "commit": "1a2b3c", "device": "x86_64, 2 cores"})
    'measured 2026-11-26 at commit 1a2b3c on x86_64, 2 cores'
    """
    parts = (("date", ""), ("commit", "at commit "), ("device", "on "))
    known = [f"{before}{facts[name]}" for name, before in parts if facts.get(name)]
    return f"measured {' '.join(known)}" if known else "measured at an unknown date"
