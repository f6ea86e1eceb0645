"""Two runs side by side."""

import json

import pandas as pd
import pytest

from expresso_lib.pipeline import comparison
from expresso_lib.pipeline.facts import Facts


def recorded(folder, **chapters):
    """Write what a run's chapters were executed with."""
    known = {name: {"parameters": given} for name, given in chapters.items()}
    (folder / "run.json").write_text(json.dumps({"name": folder.name, "chapters": known}))


def test_comparison_lists_what_differs_and_only_that(run):
    """Two parameter sets side by side, as chapters declare them; where data lie stays here."""
    other = run.parent / "other"
    other.mkdir()
    shared = {"run_name": "a", "cohort_folder": "/data/fa"}
    recorded(run, a={"clips_frames": 32, "clips_size": 64} | shared)
    changed = {"clips_frames": 64, "clips_size": 64, "clips_input": "face"}
    recorded(other, a=changed | {"run_name": "b", "cohort_folder": "/data/fb"})
    for folder in (run, other):
        (folder / "figures").mkdir(exist_ok=True)
        (folder / "figures" / "models.png").write_bytes(b"x")
    text = comparison.compare(run, other).read_text()
    assert 'src="figures/models.png"' in text
    assert 'src="../other/figures/models.png"' in text
    assert "clips.frames" in text
    assert "clips.size" not in text
    assert "run.name" not in text
    assert "<td>32</td><td>64</td>" in text
    assert "<td>&#39;face&#39;</td>" in text  # quoted once
    assert "(place 1 on this machine)</td><td>(place 2 on" in text
    assert "/data" not in text


def test_comparison_with_a_run_that_is_not_there_says_how_to_make_it(run):
    """The remedy is in the message."""
    with pytest.raises(FileNotFoundError, match="expresso book --run nothing"):
        comparison.compare(run, run.parent / "nothing")


def test_results_of_two_runs_are_paired_row_by_row(run):
    """H1 stands twice, by these models and by those of other folds: no row meets another's."""
    rows = [("H1", status, au, "", "", 0.1, 0.5) for au in ("AU04", "AU12")
            for status in ("exploratory", "confirmatory")]  # fmt: skip
    names = ["hypothesis", "status", "au", "region", "sign", "estimate", "p_max"]
    pd.DataFrame(rows, columns=names).to_parquet(run / "tables" / "results.parquet")
    tables = dict(comparison.differences(Facts(run), Facts(run)))
    assert len(tables["Results"]) == len(rows)
