"""The claim ledger: verdicts from rows of evidence."""

import numpy as np
import pandas as pd
import pytest

from expresso_lib import claims, stats


@pytest.fixture(scope="module")
def tables():
    data = stats.simulate_tables(coupling={"AU09": 0.6, "AU12": -0.6}, recordings=1, seed=2)
    windows = stats.window_couplings(data.attribution_frames, data.action_units)
    plan = stats.Plan(permutations=999, bootstrap=500)
    rows = stats.results(
        stats.h1_coupling(windows, plan=plan),
        stats.h2_severity(windows, data.participants, plan=plan),
        stats.h3b_two_slopes(data.attribution_regions, data.participants),
    )
    differences = pd.DataFrame(
        {
            "recipe_a": ["null", "small_image-x"],
            "recipe_b": ["small-x", "small-x"],
            "level": "participant",
            "metric": "mae",
            "estimate": [3.0, 2.0],
            "ci_low": [1.0, 0.5],
            "ci_high": [5.0, 3.5],
        }
    )
    return {"results": rows, "model_differences": differences}


def test_build_judges_every_claim_with_a_known_verdict(tables):
    """Every row has one of the four verdicts, and a held one has an estimate."""
    ledger = claims.build(tables)
    assert set(ledger["verdict"]) <= set(claims.VERDICTS)
    assert ledger.loc[ledger["verdict"] != "not testable here", "estimate"].notna().all()
    assert len(ledger) == len(claims.known())


def test_build_recovers_what_was_planted(tables):
    """AU9 raises and AU12 lowers the score by construction: held and recovered; AU6: nothing."""
    planted = pd.DataFrame(
        {"au": ["AU09", "AU12", "AU12"], "sign": [1, -1, 1], "kind": ["amount", "amount", "tempo"]}
    )
    ledger = claims.build(tables, planted=planted).set_index("claim")
    for claim, word in (
        ("Nose wrinkling (AU9) stands out.", "positive"),
        ("AU12 is among the most negative at any level.", "negative"),
    ):
        assert ledger.loc[claim, "verdict"] == "held"
        assert ledger.loc[claim, "planted"] == word
        assert ledger.loc[claim, "recovered"] == "recovered"
    assert ledger.loc["AU6 is among the most negative at any level.", "planted"] == "nothing"


def test_build_reads_a_difference_in_either_order(tables):
    """Image minus video is +2, so video minus image is −2 (−3.5 to −0.5): video errs less."""
    row = claims.build(tables).set_index("claim").loc["Video models beat single-face image models."]
    assert (row["estimate"], row["ci_low"], row["ci_high"]) == (-2.0, -3.5, -0.5)
    assert row["verdict"] == "held"
    assert row["found"] == "−2.00 (−3.50 to −0.50)"


def test_build_without_tables_says_not_testable():
    """No table, no verdict, no error."""
    ledger = claims.build({})
    assert (ledger["verdict"] == "not testable here").all()


def test_build_withholds_a_verdict_below_ten_participants():
    """Estimates of six participants stay undecided and say why."""
    data = stats.simulate_tables(participants=6, recordings=1, coupling={"AU09": 0.9})
    windows = stats.window_couplings(data.attribution_frames, data.action_units)
    ledger = claims.build({"results": stats.results(stats.h1_coupling(windows))}).set_index("claim")
    row = ledger.loc["Nose wrinkling (AU9) stands out."]
    assert row["verdict"] == "undecided"
    assert "6 participants" in row["note"]


@pytest.mark.parametrize(
    ("row", "sign"),
    [
        ({"estimate": 0.3, "p_max": 0.05}, 1),
        ({"estimate": -0.3, "p_max": 0.04}, -1),
        ({"estimate": 0.3, "p_max": 0.06, "p": 0.001}, None),
        ({"estimate": 0.3, "p_max": np.nan, "p": 0.01}, 1),
        ({"estimate": 0.01, "p_max": 0.9, "p_equivalence": 0.01}, 0),
        ({"estimate": 2.0, "ci_low": 0.1, "ci_high": 4.0}, 1),
        ({"estimate": 2.0, "ci_low": np.nan, "ci_high": np.nan}, None),
    ],
)
def test_decided_sign_goes_by_the_family_wise_p_first(row, sign):
    """Family-wise p before single p before the interval; equivalence is nothing; else undecided."""
    assert claims.decided_sign(pd.Series(row)) == sign
