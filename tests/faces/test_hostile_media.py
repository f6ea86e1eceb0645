"""Damaged videos and tables end in a result or a message of ours, in bounded time and memory."""

import json
import subprocess
import sys
from pathlib import Path

import hostile
import pytest

pytestmark = pytest.mark.slow
VIDEOS, TABLES = 500, 200  # mutants of each container, of each reader's table
COUNTS = {kind: VIDEOS if kind in hostile.CONTAINERS else TABLES for kind in hostile.READERS}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """What a process of its own reported on each kind, the folder it worked in, and its errors."""
    folder = tmp_path_factory.mktemp("mutants")
    done = subprocess.run(
        [sys.executable, hostile.__file__, folder, *(f"{k}={n}" for k, n in COUNTS.items())],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    return {report["kind"]: report for report in reports}, folder, done.stderr


@pytest.mark.parametrize("kind", COUNTS)
def test_mutants_end_in_a_result_or_a_message(kind, outcome):
    """Mutants of a fixed seed: none lost, none hung, none grown."""
    reports, folder, said = outcome
    left = sorted((folder / kind).glob("mutant*")) if (folder / kind).is_dir() else "not begun"
    assert kind in reports, f"died at {left}: {said[-2000:]}"
    report = reports[kind]
    assert not report["strange"], "\n".join(report["strange"][:5])
    assert report["read"] + report["refused"] == COUNTS[kind]
    assert report["read"], "every mutant was refused: the damage is too great to tell anything"
    assert report["megabytes"] < hostile.MEGABYTES
