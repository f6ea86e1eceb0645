"""Figures of chapter 1: they show what they are given, and nothing overlaps its neighbour."""

import numpy as np
import pandas as pd

from expresso_lib import rendered
from expresso_lib.figures import cohort as plots
from expresso_lib.figures import style


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
    kinds = list(style.WORDS["oracle"])
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
