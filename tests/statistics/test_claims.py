"""The claim ledger: verdicts from rows of evidence."""

import numpy as np
import pandas as pd
import pytest
from simulated import simulate_tables

from expresso_lib import statistics
from expresso_lib.statistics import claims, hypotheses, prose

AU9, AU12 = "Nose wrinkling (AU9) stands out.", "AU12 is among the most negative at any level."
VIDEO = "Video models beat single-face image models."
BLACK = "DeepLift with a zero baseline shows what the model uses."


def against_null(high):
    """``model_differences``: the model minus the null model, and minus an image model."""
    return pd.DataFrame(
        {
            "recipe_a": "ours",
            "recipe_b": ["null", "small_image-x"],
            "level": "participant",
            "metric": "mae",
            "estimate": [high - 2.0, -2.5],
            "ci_low": [high - 4.0, -3.5],
            "ci_high": [high, -1.5],
        }
    )


@pytest.fixture(scope="module")
def tables():
    data = simulate_tables(coupling={"AU09": 0.6, "AU12": -0.6}, recordings=1, seed=2)
    windows = statistics.window_couplings(data.attribution_frames, data.action_units)
    plan = statistics.Plan(permutations=999, bootstrap=500)
    rows = hypotheses.results(
        hypotheses.h1_coupling(windows, plan=plan),
        hypotheses.h2_severity(windows, data.participants, plan=plan),
        hypotheses.h3_regions(data.attribution_regions, data.participants, plan=plan),
        hypotheses.h3b_two_slopes(data.attribution_regions, data.participants),
    )
    return {"results": rows, "model_differences": against_null(-1.0)}


@pytest.fixture(scope="module")
def planted():
    rows = [("AU09", 1, "amount", "nose_rate"), ("AU12", -1, "amount", "smile_size"),
            ("AU12", 1, "tempo", "smile_tempo"), ("", 1, "amount", "aversion")]  # fmt: skip
    return pd.DataFrame(rows, columns=["au", "sign", "kind", "behaviour"])


def row_of(tables, claim, **options):
    return claims.build(tables, **options).set_index("claim").loc[claim]


def test_build_judges_every_claim_with_a_known_verdict(tables):
    """Every row has a known verdict, and one that was judged has an estimate."""
    ledger = claims.build(tables)
    assert set(ledger["verdict"]) <= set(claims.VERDICTS)
    assert ledger.loc[ledger["verdict"] != claims.NO_ROW, "estimate"].notna().all()
    assert len(ledger) == len(claims.known())
    assert claims.summary(ledger).startswith(f"Of {len(ledger)} claims ")
    shown = claims.in_words(ledger)
    assert list(shown) == ["claim", "what is compared", "found", "verdict"]
    assert all(word in text for word, text in zip(ledger["verdict"], shown["verdict"]))


def test_build_recovers_what_was_planted(tables, planted):
    """AU9 raises and AU12 lowers the score by construction: relevant, as claimed, recovered."""
    for claim, word in ((AU9, "positive"), (AU12, "negative")):
        row = row_of(tables, claim, planted=planted)
        assert (row["verdict"], row["direction"]) == ("relevant", "as claimed")
        assert (row["planted"], row["recovered"]) == (word, "recovered")
    six = row_of(tables, "AU6 is among the most negative at any level.", planted=planted)
    assert six["planted"] == "nothing"


def test_build_recovers_nothing_from_a_model_that_is_not_shown_to_read(tables, planted):
    """The same rows beside an interval of the error that reaches 0: no sign is recovered."""
    other = tables | {"model_differences": against_null(0.5)}
    assert "not shown to beat" in row_of(other, AU9, planted=planted)["recovered"]
    assert "not shown to beat" in row_of(
        {"results": tables["results"]}, AU9, planted=planted)["recovered"]  # fmt: skip


def test_build_tests_a_claim_about_a_rank_as_a_rank(tables):
    """AU9 is first of 17 and AU12 last; AU6 is neither, and regions are not ranked."""
    assert row_of(tables, AU9)["rank"] == "shown: place 1 to 1 of 17, counted from the largest"
    assert row_of(tables, AU12)["rank"].startswith("shown: place 1 to 1 of 17, counted from the m")
    assert not row_of(tables, "AU6 is among the most negative at any level.")["rank"].startswith(
        "shown"
    )
    assert row_of(tables, "The nose stands out with severity.")["rank"] == "rank not tested"


def test_build_goes_by_the_simultaneous_interval_and_by_models_drawn_anew(tables):
    """A row of models drawn anew is preferred, and its own narrower interval decides nothing."""
    row = tables["results"].query("hypothesis == 'H1' and au == 'AU09'")
    anew = row.assign(
        inference=hypotheses.ANEW, estimate=0.05, ci_low=0.02, ci_high=0.08,
        simultaneous_low=-0.01, simultaneous_high=0.11,
    )  # fmt: skip
    found = row_of({"results": pd.concat([tables["results"], anew])}, AU9)
    assert (found["estimate"], found["verdict"]) == (0.05, "undecided")
    there = anew.assign(simultaneous_low=0.01)
    assert row_of({"results": there}, AU9)["verdict"] == "present", "of a size that is open"
    small = there.assign(simultaneous_high=0.09)
    assert row_of({"results": small}, AU9)["verdict"] == "present but small"
    none = anew.assign(simultaneous_high=0.09)
    assert row_of({"results": none}, AU9)["verdict"] == "equivalent"
    turned = anew.assign(estimate=-0.3, simultaneous_low=-0.4, simultaneous_high=-0.2)
    assert row_of({"results": turned}, AU9)["direction"] == "opposite"


def test_build_sets_a_difference_in_error_against_a_point_of_the_scale(tables):
    """Video minus image is −2.5: video errs less by over a point."""
    row = row_of(tables, VIDEO)
    assert (row["estimate"], row["ci_low"], row["ci_high"]) == (-2.5, -3.5, -1.5)
    assert (row["verdict"], row["direction"]) == ("relevant", "as claimed")
    assert row["found"] == "−2.50 [−3.50, −1.50]"
    wider = statistics.Plan(span=126.0)  # where a point of BDI-II is two of the scale's
    assert row_of(tables, VIDEO, plan=wider)["verdict"] == "present"


def test_build_without_tables_says_not_testable():
    """No table, no verdict, no error."""
    ledger = claims.build({})
    assert (ledger["verdict"] == claims.NO_ROW).all()


def test_build_withholds_a_verdict_below_ten_participants():
    """Estimates of six participants stay undecided and say why, couplings and errors alike."""
    data = simulate_tables(participants=6, recordings=1, coupling={"AU09": 0.9})
    windows = statistics.window_couplings(data.attribution_frames, data.action_units)
    rows = hypotheses.results(hypotheses.h1_coupling(windows))
    unsure = against_null(-1.0).assign(ci_low=np.nan, ci_high=np.nan)
    few = {"results": rows, "model_differences": unsure}
    assert row_of(few, AU9)["verdict"] == "undecided"
    assert "6 participants" in row_of(few, AU9)["note"]
    assert row_of(few, AU9)["rank"] == "rank not tested"
    assert row_of(few, VIDEO)["verdict"] == "undecided"
    assert "is undecided" in prose.standing(few["model_differences"], "ours")


def test_build_notes_a_lead_that_does_not_survive_its_family(tables):
    """p = .02 alone and .12 over six slopes is a lead, no verdict."""
    rows = tables["results"].query("hypothesis == 'H3b'").assign(p=0.02, p_max=0.12)
    rows = rows.assign(simultaneous_low=-0.1, simultaneous_high=0.4)
    row = row_of({"results": rows}, "Eye attribution rises from moderate to severe.")
    assert row["verdict"] == "undecided"
    assert "a lead: p = 0.020 alone, p = 0.120 in its family" in row["note"]


def test_build_gives_no_verdict_where_the_row_is_not_the_claim(tables):
    """A change with severity does not say which bar is the largest; the number is shown."""
    row = row_of(tables, "AU12 is the largest positive bar in severe.")
    assert (row["verdict"], row["rank"]) == (claims.NO_ROW, "rank not tested")
    assert np.isfinite(row["estimate"])
    assert "not the claim" in row["note"]


def test_build_gives_no_verdict_where_a_sentence_has_two_readings(tables):
    """Falling "for mild to minimal" can mean either slope."""
    row = row_of(tables, "Eye attribution falls for mild to minimal.")
    assert row["verdict"] == "undecided"
    assert "two readings" in row["note"]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.92, 0.97, "relevant"),
        (0.1, 0.5, "does not answer this question"),
        (0.85, 0.95, "undecided"),
        (np.nan, np.nan, "undecided"),
    ],
)
def test_build_sets_fidelity_against_its_bar(low, high, verdict):
    """Better than nothing is not .90; below it black answers another question."""
    row = {
        "method": "DeepLift",
        "baseline": "zero",
        "factor": "pooled",
        "support": "changed",
        "metric": "interventional_fidelity",
        "estimate": 0.7,
        "ci_low": low,
        "ci_high": high,
    }
    assert row_of({"faithfulness": pd.DataFrame([row])}, BLACK)["verdict"] == verdict


@pytest.mark.parametrize(
    ("high", "words"),
    [(-0.5, "points less than"), (0.4, "is undecided"), (9.0, "points more than")],
)
def test_standing_says_whether_the_model_beats_the_null_model(high, words):
    """An interval of the difference in MAE that reaches 0 shows nothing."""
    table = against_null(high)
    said = prose.standing(table, "ours")
    assert words in said
    assert ("nevertheless" in said) == (high > 0)
    assert prose.standing(table, "another") == ""


EYES = "Behind the eyes' attribution stands eye contact."


@pytest.mark.parametrize(("away", "direction"), [(0.6, "as claimed"), (-0.6, "opposite")])
def test_eye_contact_is_decided_where_gaze_was_measured(planted, away, direction):
    """Looking away that goes with the attribution, in either direction, is found as such."""
    data = simulate_tables(participants=16, coupling={"AU01": away}, recordings=1, seed=3)
    frames = data.wide.rename(columns={"AU01": "gaze_away"})
    rows = hypotheses.gaze(data.attribution_frames, frames, plan=statistics.Plan(permutations=499))
    reads = {"results": rows, "model_differences": against_null(-1.0)}
    row = row_of(reads, EYES, planted=planted)
    assert (row["verdict"], row["direction"]) == ("relevant", direction)
    found = "recovered" if direction == "as claimed" else "not recovered"
    assert (row["planted"], row["recovered"]) == ("positive", found)
    assert "Looking away" in prose.gaze(rows)


def test_eye_contact_without_gaze_is_not_testable():
    """No source with gaze: no number, and the reason stands in the ledger."""
    data = simulate_tables(participants=12, recordings=1)
    frames = data.wide.assign(gaze_away=np.nan)
    rows = hypotheses.gaze(data.attribution_frames, frames)
    row = row_of({"results": rows}, EYES)
    assert (row["verdict"], row["note"]) == (claims.NO_ROW, "no gaze in this data")
    assert prose.gaze(rows).startswith("There is no gaze")
    assert prose.gaze(pd.DataFrame({"hypothesis": [], "estimate": []})).startswith("There is")


def test_the_ledger_knows_every_word_of_its_claims():
    """A misspelt word would be read as if it had not been said."""
    words = {"claim", "source", "measure", "compared", "direction", "chapter", "estimand"}
    words |= {"bar", "judged", "places", "note", "find", "planted", "missing"}
    known = claims.known()
    assert set(known) == words
    assert known.notna().all(axis=None)
