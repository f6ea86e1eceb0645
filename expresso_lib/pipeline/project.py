"""Where the project lies, where a run works, and the command that does it again."""

import os
from pathlib import Path
from typing import Any

from expresso_lib import store

# In a checkout the project is the folder around the package; a wheel carries it inside.
SHIPPED = store.PACKAGE / "project"


def project_root() -> Path:
    """Return the folder of ``data_manifest.yaml``, ``notebooks`` and ``book``.

    ``$EXPRESSO_ROOT``, here or above, the checkout of this library, or the copy in its wheel.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    named = os.environ.get("EXPRESSO_ROOT")
    here = Path(named) if named else Path.cwd()
    elsewhere = () if named else (store.PACKAGE.parent, SHIPPED)
    for folder in (here, *here.parents, *elsewhere):
        if (folder / "data_manifest.yaml").is_file():
            return folder.resolve()
    raise FileNotFoundError("no data_manifest.yaml here or above; name its folder: $EXPRESSO_ROOT.")


def run_folder(root: Path, name: str) -> Path:
    """Return a run's folder: below the project's ``build``, or below ``build`` here for a wheel."""
    if root != SHIPPED.resolve():
        return root / "build" / name
    # A kernel works in the notebooks' folder; the command that started it says where "here" is.
    return Path(os.environ.get("EXPRESSO_HERE") or Path.cwd()) / "build" / name


def facts(folder: Path) -> dict[str, Any]:
    """Return what ``run.json`` of a run's folder holds; nothing where there is none."""
    return store.read_json(folder / "run.json")


def record(folder: Path, **known: Any) -> None:
    """Add facts to ``run.json`` of a run's folder."""
    store.write_json(folder / "run.json", {"name": folder.name} | facts(folder) | known)


def command(folder: Path, words: str) -> str:
    """Return the command that does `words` in a run, with its profile and overrides.

    >>> command(Path("build/mine"), "run 01_cohort")
    'expresso run 01_cohort --run mine'
    """
    return f"expresso {words} {facts(folder).get('options', f'--run {folder.name}')}"
