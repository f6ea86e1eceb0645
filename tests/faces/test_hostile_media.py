"""Damaged videos and tables end in a result or a message of ours, in bounded time and memory."""

import json
import subprocess
import sys
from pathlib import Path

import hostile
import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", hostile.READERS)
def test_mutants_end_in_a_result_or_a_message(kind, tmp_path):
    """500 mutants of a video, 200 of a table, fixed seed: none lost, none hung, none grown."""
    count = 500 if kind in hostile.CONTAINERS else 200
    done = subprocess.run(
        [sys.executable, hostile.__file__, kind, str(count), str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (
        f"died at one of {sorted(tmp_path.iterdir())}: {done.stderr[-2000:]}"
    )
    report = json.loads(done.stdout)
    assert not report["strange"], "\n".join(report["strange"][:5])
    assert report["read"] + report["refused"] == count
    assert report["read"], "every mutant was refused: the damage is too great to tell anything"
    assert report["megabytes"] < hostile.MEGABYTES
