"""Two runs side by side."""

import json

import pandas as pd
import pytest

from expresso_lib.pipeline import comparison
from expresso_lib.pipeline.facts import Facts


def test_comparison_lists_what_differs_and_only_that(run):
    """Two parameter sets side by side."""
    other = run.parent / "other"
    other.mkdir()
    record = {"name": "other", "parameters": {"clips": {"frames": 64, "size": 64, "input": "face"}}}
    (other / "run.json").write_text(json.dumps(record))
    for folder in (run, other):
        (folder / "figures").mkdir(exist_ok=True)
        (folder / "figures" / "models.png").write_bytes(b"x")
    text = comparison.compare(run, other).read_text()
    assert 'src="figures/models.png"' in text
    assert 'src="../other/figures/models.png"' in text
    assert "clips.frames" in text
    assert "clips.size" not in text
    assert "<td>32</td><td>64</td>" in text
    assert "<td>&#39;face&#39;</td>" in text  # quoted once


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
