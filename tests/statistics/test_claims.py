"""The claim ledger: verdicts from rows of evidence."""

import numpy as np
import pandas as pd
import pytest
from simulated import simulate_tables

from expresso_lib import statistics
from expresso_lib.statistics import claims


@pytest.fixture(scope="module")
def tables():
    data = simulate_tables(coupling={"AU09": 0.6, "AU12": -0.6}, recordings=1, seed=2)
    windows = statistics.window_couplings(data.attribution_frames, data.action_units)
    plan = statistics.Plan(permutations=999, bootstrap=500)
    rows = statistics.results(
        statistics.h1_coupling(windows, plan=plan),
        statistics.h2_severity(windows, data.participants, plan=plan),
        statistics.h3b_two_slopes(data.attribution_regions, data.participants),
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
    data = simulate_tables(participants=6, recordings=1, coupling={"AU09": 0.9})
    windows = statistics.window_couplings(data.attribution_frames, data.action_units)
    ledger = claims.build(
        {"results": statistics.results(statistics.h1_coupling(windows))}
    ).set_index("claim")
    row = ledger.loc["Nose wrinkling (AU9) stands out."]
    assert row["verdict"] == "undecided"
    assert "6 participants" in row["note"]


@pytest.mark.parametrize(
    ("row", "sign"),
    [
        ({"estimate": 0.3, "p_max": 0.05}, 1),
        ({"estimate": -0.3, "p_max": 0.04}, -1),
        ({"estimate": 0.3, "p_max": 0.06, "p": 0.001}, None),
        ({"estimate": 0.3, "p_max": np.nan, "p": 0.01}, None),
        ({"estimate": 0.3, "p": 0.01, "ci_low": 0.1, "ci_high": 0.5}, None),
        ({"estimate": 0.01, "p_max": 0.9, "p_equivalence": 0.01}, 0),
        ({"estimate": 2.0, "ci_low": 0.1, "ci_high": 4.0}, 1),
        ({"estimate": 2.0, "ci_low": np.nan, "ci_high": np.nan}, None),
    ],
)
def test_decided_sign_goes_by_the_family_wise_p_first(row, sign):
    """Family-wise p, or the interval of a lone comparison; equivalence is nothing."""
    assert claims.decided_sign(pd.Series(row)) == sign


def test_build_corrects_two_slopes_over_their_family():
    """p = .02 among six slopes is .12 by Holm: a lead, no verdict; .005 is .03 and decides."""

    def ledger(p):
        regions = [f"right_eye+left_eye: {name}" for name in ("above", "below", "difference")]
        rows = pd.DataFrame(
            {
                "hypothesis": "H3b",
                "region": regions * 2,
                "sign": ["positive"] * 3 + ["negative"] * 3,
                "estimate": 0.2,
                "ci_low": 0.1,
                "ci_high": 0.3,
                "p": [p, *[0.9] * 5],
                "p_max": np.nan,
                "p_equivalence": np.nan,
            }
        )
        return (
            claims.build({"results": rows})
            .set_index("claim")
            .loc["Eye attribution rises from moderate to severe."]
        )

    assert ledger(0.02)["verdict"] == "undecided"
    assert "a lead: p = 0.020 alone, 0.120 in its family" in ledger(0.02)["note"]
    assert ledger(0.005)["verdict"] == "held"


def test_build_gives_no_verdict_where_the_row_is_not_the_claim(tables):
    """A change with severity does not say which bar is the largest; the number is shown."""
    row = claims.build(tables).set_index("claim").loc["AU12 is the largest positive bar in severe."]
    assert row["verdict"] == "not testable here"
    assert np.isfinite(row["estimate"])
    assert "not the claim" in row["note"]


def test_build_gives_no_verdict_where_a_sentence_has_two_readings(tables):
    """Falling "for mild to minimal" can mean either slope."""
    row = claims.build(tables).set_index("claim").loc["Eye attribution falls for mild to minimal."]
    assert row["verdict"] == "undecided"
    assert "two readings" in row["note"]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.92, 0.97, "held"), (0.1, 0.5, "not held"), (0.85, 0.95, "undecided")],
)
def test_build_sets_fidelity_against_its_bar(low, high, verdict):
    """Better than nothing is not .90."""
    rows = pd.DataFrame(
        [
            {
                "method": "DeepLift",
                "baseline": "zero",
                "factor": "pooled",
                "support": "changed",
                "metric": "interventional_fidelity",
                "estimate": (low + high) / 2,
                "ci_low": low,
                "ci_high": high,
            }
        ]
    )
    ledger = claims.build({"faithfulness": rows}).set_index("claim")
    claim = "DeepLift with a zero baseline shows what the model uses."
    assert ledger.loc[claim, "verdict"] == verdict


@pytest.mark.parametrize(("high", "words"), [(-0.5, "errs less than"), (0.4, "is not shown")])
def test_standing_says_whether_the_model_beats_the_null_model(high, words):
    """An interval of the difference in MAE that reaches 0 shows nothing."""
    rows = pd.DataFrame(
        [
            {
                "recipe_a": "ours",
                "recipe_b": other,
                "level": "participant",
                "metric": "mae",
                "estimate": -1.0,
                "ci_low": -2.0,
                "ci_high": end,
            }
            for other, end in (("null", high), ("image", -9.0))
        ]
    )
    assert words in claims.standing(rows, "ours")
