"""One forest for every estimate with an interval."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from simulated import simulate_tables

from expresso_lib import figures, statistics
from expresso_lib.figures import statistics as plots
from expresso_lib.figures import style, training
from expresso_lib.statistics import hypotheses


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "name": ["AU12", "AU04", "AU12"],
            "cohort": ["model", "model", "a second laboratory"],
            "estimate": [0.5, -0.2, 0.1],
            "ci_low": [0.4, -0.5, np.nan],
            "ci_high": [0.6, 0.1, np.nan],
            "sure": [True, False, True],
        }
    )


def marks(axes):
    """Marks by position: (x, y) -> line."""
    return {
        (line.get_xdata()[0], round(line.get_ydata()[0], 3)): line
        for line in axes.lines
        if line.get_marker() in "osD" and len(line.get_xdata()) == 1
    }


def test_forest_draws_every_estimate_with_its_interval(table):
    """Rows in the table's order with written-out names; an interval runs from low to high."""
    axes = figures.forest(table.iloc[:2], label="name").axes[0]
    titles = [label.get_text() for label in axes.get_yticklabels()]
    assert titles == ["AU12 lip corner puller", "AU04 brow lowerer"]
    assert set(marks(axes)) == {(0.5, 0.0), (-0.2, 1.0)}
    bars = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    assert any(np.allclose(bar, [0.4, 0.6]) for bar in bars)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_forest_spreads_groups_of_one_row(table):
    """Two estimates of one name stand on one line, apart, each in its group's colour."""
    axes = figures.forest(table, label="name", group="cohort").axes[0]
    found = marks(axes)
    (high,) = [y for x, y in found if x == 0.5]
    (low,) = [y for x, y in found if x == 0.1]
    assert 0 < low - high < 0.6
    assert found[0.5, high].get_color() == style.color("model")
    assert found[0.1, low].get_color() != style.color("model")


def test_forest_leaves_undecided_marks_open(table):
    """Filled is decided, open is not, and the legend says so."""
    figure = figures.forest(table.iloc[:2].rename(columns={"sure": "decided"}), label="name")
    found = marks(figure.axes[0])
    assert found[0.5, 0.0].get_markerfacecolor() != style.PAPER
    assert found[-0.2, 1.0].get_markerfacecolor() == style.PAPER
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["found here", "not found here"]


def test_forest_panels_have_their_own_reference_and_unit(table):
    """A null model's error and a correlation of 0 are lines of different panels."""
    figure = figures.forest(
        table, label="name", panel="cohort", margin=0.05,
        reference={"model": 0.3}, unit={"model": "points", "a second laboratory": "r"},
    )  # fmt: skip
    left, right = figure.axes
    assert (left.get_xlabel(), right.get_xlabel()) == ("points", "r")
    (band,) = left.patches
    assert_allclose([band.get_x(), band.get_width()], [0.25, 0.1])
    assert not right.patches


@pytest.mark.parametrize("rows", [0, 3])
def test_forest_without_numbers_is_a_sentence(table, rows):
    """Empty, or NaN throughout: a reason instead of an exception."""
    nothing = table.iloc[:rows].assign(estimate=np.nan)
    figure = figures.forest(nothing, label="name")
    assert figure.reason == (
        "This figure is not drawn: the estimate is known of 0 rows; 1 or more are needed."
    )


def test_hypothesis_fills_what_survives_the_family():
    """The planted coupling is filled and beyond the margin, nearly all others are open.

    What speech may explain has its dagger.
    """
    tables = simulate_tables(participants=24, recordings=1, coupling={"AU12": 0.6})
    windows = statistics.window_couplings(tables.attribution_frames, tables.action_units, window=32)
    speech = pd.DataFrame({"au": ["AU26"], "flag": ["not separable from speech"]})
    rows = hypotheses.results(hypotheses.h1_coupling(windows), speech=speech)
    figure = plots.hypothesis(rows, unit="mean z", margin=0.1)
    found = marks(figure.axes[0])
    filled = {y for (x, y), line in found.items() if line.get_markerfacecolor() != style.PAPER}
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names.index("AU12 lip corner puller") in filled
    assert len(filled) <= 3
    assert [name for name in names if "†" in name] == ["AU26 jaw drop †"]


def test_calibration_shows_negative_predictions():
    """Issue 16, item 14: the axis reaches below zero where a prediction does."""
    rows = pd.DataFrame(
        {"participant": list("abcd"), "score": [0.0, 5, 20, 40], "prediction": [-9.0, 2, 18, 30]}
    )
    rows["band"] = ["minimal", "minimal", "moderate", "severe"]
    axes = training.calibration(rows).axes[0]
    assert axes.get_ylim()[0] < -9
    assert sorted(axes.collections[-1].get_offsets()[:, 1]) == [-9, 2, 18, 30]


def test_calibration_of_one_score_is_a_sentence():
    """No line can be fitted through people who all score the same."""
    rows = pd.DataFrame({"participant": list("abc"), "score": 5.0, "prediction": [1.0, 2, 3]})
    assert "same score" in training.calibration(rows.assign(band="minimal")).reason
