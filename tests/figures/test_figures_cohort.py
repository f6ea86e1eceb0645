"""Figures of chapter 1: they show what they are given, and nothing overlaps its neighbour."""

import numpy as np
import pandas as pd

from expresso_lib import rendered
from expresso_lib.faces import anatomy
from expresso_lib.figures import cohort as plots
from expresso_lib.figures import style


def test_scores_draws_every_participant():
    """One marker per participant, one row per band in the order of severity."""
    people = rendered.plan_cohort(9, 1, 0.2, seed=4).participants
    axes = plots.scores(people).axes[0]
    assert sum(len(marks.get_offsets()) for marks in axes.collections) == 9
    labels = [label.get_text().split()[0] for label in axes.get_yticklabels()]
    assert labels == ["minimal", "mild", "moderate", "severe"]
    assert axes.get_ylim()[0] < axes.get_ylim()[1]


def test_contact_sheet_lays_out_all_pictures():
    """Every picture has its panel and title; spare panels stay empty."""
    figure = plots.contact_sheet(np.zeros((7, 8, 9, 3), np.uint8), list("abcdefg"), columns=3)
    titles = [axes.get_title() or axes.get_title(loc="left") for axes in figure.axes]
    assert titles == [*"abcdefg", "", ""]
    assert sum(len(axes.images) for axes in figure.axes) == 7


def test_crop_cuts_the_same_square_everywhere():
    """The cut is square and holds the landmarks."""
    pictures = np.zeros((3, 60, 60, 3), np.uint8)
    cut = plots.crop(pictures, np.array([[20.0, 25], [40, 45]]), margin=0.2)
    assert cut.shape == (3, 24, 24, 3)


def test_traces_marks_every_still():
    """A dotted line per still, a label per unit."""
    script = rendered.plan_cohort(1, 1, 2.0).script("P01_R1")
    figure = plots.traces(
        np.zeros((2, 10, 11, 3), np.uint8), [3, 30], script.au, 25.0, ["AU12", "AU45"]
    )
    dotted = [line for line in figure.axes[1].lines if line.get_linestyle() == ":"]
    assert [line.get_xdata()[0] for line in dotted] == [3 / 25, 30 / 25]
    assert len(figure.axes[1].get_yticklabels()) == 2


def test_planted_shows_signal_only():
    """Rows without an effect are left out; of the null cohort nothing is drawn."""
    default = plots.planted(rendered.plan_cohort(1, 1, 0.2).planted).axes[0]
    names = [label.get_text() for label in default.get_yticklabels()]
    assert "AU15 at rest" not in names
    assert "smiles: how fast" in names
    null = plots.planted(rendered.plan_cohort(1, 1, 0.2, variant="null").planted)
    assert isinstance(null, style.Undrawn)


def test_oracle_draws_means():
    """One bar per kind and variant at the mean of its seeds."""
    kinds = list(plots.ORACLE_TITLES)
    table = pd.DataFrame(
        {
            "kind": kinds * 2,
            "variant": "default",
            "seed": [0] * 5 + [1] * 5,
            "r": [0.2] * 5 + [0.4] * 5,
        }
    )
    lines = plots.oracle(table).axes[0].lines
    means = np.concatenate([line.get_ydata() for line in lines if line.get_marker() == "_"])
    np.testing.assert_allclose(means, 0.3)


def test_au_titles_cover_every_unit():
    """At rest comes first, then each unit with its name."""
    assert len(plots.au_titles()) == 1 + len(anatomy.AU_CODES)
