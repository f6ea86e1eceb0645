"""A run without chapters, as the pages see one."""

import json

import pytest


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "build" / "demo"
    for name in ("tables", "figures"):
        (folder / name).mkdir(parents=True)
    record = {"name": "demo", "parameters": {"clips": {"frames": 32, "size": 64}}}
    (folder / "run.json").write_text(json.dumps(record))
    return folder
