"""What several test files share: the quick book, made once a session."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# One thread a process, before torch is imported: two test processes share two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run: a red run must mean that the code changed.
settings.register_profile("expresso", derandomize=True, deadline=None)
settings.load_profile("expresso")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def quick_run(project) -> Path:
    """``build/quick`` after ``expresso book --params quick``; unchanged chapters are not redone."""
    done = subprocess.run(
        [sys.executable, "-m", "expresso_lib.cli", "book", "--params", "quick"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(
            f"the quick book failed:\n{done.stdout[-6000:]}\n{done.stderr[-4000:]}", pytrace=False
        )
    return project / "build" / "quick"
