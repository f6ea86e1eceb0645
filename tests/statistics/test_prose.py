"""Sentences are true for wins, losses, ties and numbers that are not there."""

import ast
import inspect
import re
from importlib import resources
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from expresso_lib.config import REFERENCES
from expresso_lib.faithfulness import headset, metrics
from expresso_lib.models import Recipe
from expresso_lib.statistics import prose, wording

NUMBER = st.floats(-60, 60, allow_nan=False)
BDI = SimpleNamespace(low=0.0, high=63.0, bands=())


def line(estimate, below=1.0, above=1.0, **keys):
    ends = {"ci_low": estimate - below, "ci_high": estimate + above}
    return pd.Series({"estimate": estimate} | ends | keys)


@given(NUMBER, st.floats(0, 30), st.floats(0, 30))
def test_comparison_decides_only_where_the_interval_leaves_zero(estimate, below, above):
    """Less with a negative difference, more with a positive one, undecided with 0 inside."""
    row = line(estimate, below, above)
    said = prose.comparison(row, "another")
    assert ("points less than" in said) == (row.ci_high < 0)
    assert ("points more than" in said) == (row.ci_low > 0)
    assert ("undecided" in said) == (row.ci_low <= 0 <= row.ci_high)
    assert "-" not in said


@pytest.mark.parametrize(
    ("estimate", "half", "words"),
    [
        (-0.3, 0.4, "err alike, within 1.0 points (difference −0.3 [−0.7, 0.1])."),
        (-0.3, 0.8, "is undecided (in points: −0.3 [−1.1, 0.5])."),
        (-0.5, 0.3, "errs 0.5 [0.2, 0.8] points less than another (95 % interval)."),
    ],
)
def test_errors_within_a_point_are_alike_where_the_interval_shows_it(estimate, half, words):
    """The margin of the ledger; what excludes 0 is a difference, however small."""
    keys = {"level": "participant", "metric": "mae", "recipe_a": "m", "recipe_b": "n"}
    table = pd.DataFrame([line(estimate, half, half, **keys)])
    assert prose.model_against(table, "m", "n", "another", scale=BDI).endswith(words)


@pytest.mark.parametrize(
    ("complete", "gap", "words"),
    [
        (1.0, 0.00002, "all of 8 explanations add up to f(x) − f(x0) within 0.1 % of it, and the "
                       "largest gap is below 0.001 points."),
        (0.75, 0.25, "all but 2 of 8 explanations"),
    ],
)  # fmt: skip
def test_explanations_that_do_not_add_up_are_counted(complete, gap, words):
    """No percentage that rounds one of them away."""
    sums = pd.DataFrame({"clips": [4, 4], "complete": complete, "largest_gap": gap})
    assert words in prose.complete(sums)


def test_recordings_without_a_clip_are_counted_and_who_has_no_other():
    """Three of six give clips; b has another that does, c has not."""
    names = pd.DataFrame({"recording": list("uvwxyz"), "participant": list("aabbcc")})
    cut = names.iloc[[0, 1, 2, 2]]
    said = prose.clips(cut, names, frames=32, fps=12.5)
    assert said.startswith("The recordings give 4 clips of 32 frames or 2.6 seconds, 1.3 to a rec")
    assert said.endswith("3 of 6 recordings are shorter than a clip and take no part, and with "
                         "them 1 of 3 participants.")  # fmt: skip
    assert prose.clips(cut, names.iloc[:3], frames=32, fps=12.5).endswith("1.3 to a recording.")


def test_where_another_region_than_the_planted_one_carried_most_is_named():
    """The exceptions belong to the count."""
    rows = [("0", "nose", "nose", 0.2), ("0", "nose", "mouth", 0.1),
            ("1", "nose", "nose", 0.1), ("1", "nose", "mouth", 0.2)]  # fmt: skip
    study = pd.DataFrame(rows, columns=["seed", "planted", "region", "part"])
    said = prose.recovered(study)
    assert said.startswith("In 1 of 2 cohorts")
    assert "the others: severity in the nose, the largest part in the mouth; regions" in said
    assert said.endswith("regions without anything planted got up to 0.15 of r, on average.")
    alone = study[(study["seed"] == "0") & (study["region"] == "nose")]
    assert prose.recovered(alone).endswith("was the planted one.")


@given(NUMBER, st.floats(0, 30))
def test_model_reads_never_contradicts_its_interval(gain, half):
    """The verdict follows the paired difference with the null model."""
    keys = {"level": "participant", "metric": "mae", "recipe_a": "m", "recipe_b": "null"}
    said = prose.model_reads(
        pd.DataFrame([line(0.4, level="participant", metric="pearson", recipe="m")]),
        pd.DataFrame([line(gain, half, half, **keys)]),
        "m",
    )
    assert ("reads something" in said) == (gain + half < 0)
    assert ("worse than knowing nothing" in said) == (gain - half > 0)


@given(st.floats(-1, 1), st.floats(0, 0.5), st.floats(-1, 1))
def test_trust_is_a_yes_only_above_bar_and_control(fidelity, half, control):
    """Bar and control both count."""
    keys = {"method": "DeepLift", "baseline": "posed_neutral", "factor": "pooled"}
    keys |= {"metric": "interventional_fidelity", "support": "changed"}
    table = pd.DataFrame([line(fidelity, half, half, **keys)])
    said = prose.trust(table, line(control, 0.1, 0.1, method="motion"))
    above = fidelity >= 0.9 and fidelity - half > abs(control)
    assert said.startswith("Yes") == above
    assert ("the interval holds the bar" in said) == (above and fidelity - half < 0.9)
    assert '"motion, no model" has the largest correlation of either sign: ' in said


@pytest.mark.parametrize(
    ("less", "half", "words"),
    [
        (0.1, 0.05, "0.10 [0.05, 0.15] less than with the own neutral face."),
        (-0.1, 0.05, "0.10 [0.05, 0.15] more than with the own neutral face."),
        (0.05, 0.2, "not shown to be less than the own neutral face's (by 0.05 [−0.15, 0.25])."),
        (np.nan, np.nan, "it is 0.80 [0.70, 0.90]."),
    ],
)
def test_the_frame_held_still_is_less_only_where_the_paired_difference_says_so(less, half, words):
    """Beside the own neutral face, which turns as the head does, on the same clips."""
    keys = {"method": "DeepLift", "factor": "pooled", "metric": "interventional_fidelity",
            "support": "changed"}  # fmt: skip
    table = pd.DataFrame([line(0.8, 0.1, 0.1, **keys, baseline="own_neutral")])
    assert prose.held_still(table, line(less, half, half)).endswith(words)


def test_what_is_not_measured_is_said_in_words():
    """No sentence prints nan, whatever is missing."""
    empty = pd.DataFrame({"metric": [], "estimate": [], "ci_low": [], "ci_high": []})
    nothing = {"estimate": np.nan, "ci_low": np.nan, "ci_high": np.nan}
    for said in (
        wording.interval(nothing),
        prose.comparison(nothing, "another"),
        prose.model_reads(empty, empty, "m"),
        prose.trust(empty, nothing),
        prose.black(empty, nothing),
        prose.held_still(empty, nothing),
        prose.head_motion(empty, empty),
        prose.factors(empty),
        prose.reach(3),
    ):
        assert "nan" not in said.split()
        assert said


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.006, "by the family-wise test 1 of 2 rows change with severity"),
        (0.2, "by the family-wise test 0 of 2 rows change with severity"),
        (np.nan, "too few participants"),
    ],
)
def test_a_region_changes_where_its_own_p_says_so(p, words):
    """The sentence and its p never contradict each other; without one nothing is claimed."""
    rows = [line(-0.5, 0.2, 0.2, region="mouth", sign="positive", p_max=p),
            line(0.1, 0.2, 0.2, region="nose", sign="negative", p_max=p and 0.9 + p)]  # fmt: skip
    said = prose.region_changes(pd.DataFrame(rows), 0.05)
    assert words in said
    assert (wording.say(p, 3) in said) == (p == p)


@given(st.lists(st.floats(-0.2, 1), min_size=1, max_size=20))
def test_randomised_says_how_long_the_likeness_lasts(agreement):
    """Above the bar until the last layer that is; lost with the first where none is."""
    table = pd.DataFrame({"metric": "randomisation", "estimate": agreement})
    table = table.assign(factor=(table.index + 1).astype(str)).sample(frac=1, random_state=0)
    said = prose.randomised(table)
    above = [layers for layers, value in enumerate(agreement, 1) if value > 0.3]
    every = len(agreement)
    assert ("still agree" in said) == (every in above)
    assert ("are not above 0.30 from the first layer on" in said) == (above == [])
    if above and every not in above:
        assert f"above 0.30 for the last time with {above[-1]} of {every} layers" in said
    assert wording.say(agreement[-1]) in said


def test_only_rendered_scores_are_planted():
    """Of people who were filmed nothing is planted, and they are not called rendered."""
    assert "planted" in prose.not_patients(demo=True)
    assert "planted" not in prose.not_patients(demo=False)
    assert "rendered" not in prose.not_patients(demo=False)
    people = pd.DataFrame({"score": [3.0, 9.0]})
    whom = {"scale": SimpleNamespace(title="PHQ-9 (points, 0 to 27)")}
    assert "rendered" not in prose.who(people, people, demo=False, **whom)
    assert "is the demo cohort's" in prose.who(people, people, demo=False, **whom)
    assert "2 rendered participants" in prose.who(people, people, demo=True, **whom)
    long = people.assign(n_frames=250, fps=25.0)
    assert "2 recordings of 10 seconds (median); their" in prose.who(
        people, long, demo=True, **whom
    )


NONE = float("nan")
EMPTY = pd.DataFrame({"metric": [], "estimate": [], "ci_low": [], "ci_high": []})
DENSE = pd.DataFrame({"participant": "P1", "recording": "A", "region": ["mouth", "nose"]})
UNKNOWN = pd.DataFrame([line(NONE, au="AU12", region="mouth", sign="positive", p=NONE, p_max=NONE,
                             q=NONE, margin=0.1, simultaneous_low=NONE, simultaneous_high=NONE,
                             speech="", hypothesis="H1", status="confirmatory", factor="1",
                             inference="conditional on these models",
                             metric="randomisation")])  # fmt: skip
REGION = UNKNOWN.set_index("region")


REAL = pd.DataFrame(
    [
        ("mae", 0.23, 0.2, 0.4, "frozen"),
        ("null_mae", 0.26, 0.2, 0.4, "frozen"),
        ("mae_gain", -0.02, -0.1, 0.1, "frozen"),
        ("r_within", 0.6, 0.1, 0.8, "frozen"),
        ("r_within", 0.2, 0.1, 0.3, "random"),
        ("r_within", 0.5, 0.3, 0.7, "by_motion"),
        ("over_motion", 0.02, -0.03, 0.07, "frozen"),
        ("r_of_one", 0.16, np.nan, np.nan, "frozen"),
        ("r_of_one", 0.8, np.nan, np.nan, "frozen"),
        ("mae_gain", 0.03, -0.1, 0.2, "tuned"),
        ("r_within", 0.07, -0.1, 0.2, "tuned"),
    ],
    columns=["metric", "estimate", "ci_low", "ci_high", "recipe"],
)
READING = pd.DataFrame(
    [
        ("500", "score", "exact movements", np.nan, 0.9),
        ("500", "score", "the network", np.nan, 0.7),
        ("500", "behaviour", "smiles", 0.6, 0.7),
        ("500", "behaviour", "gaze", -0.5, 0.2),
    ],
    columns=["seed", "kind", "what", "with_score", "read"],
)


@pytest.mark.parametrize(
    "said",
    [
        lambda: prose.region_changes(UNKNOWN, 0.05),
        lambda: prose.coupled(UNKNOWN, 0.05),
        lambda: prose.largest(UNKNOWN),
        lambda: prose.strongest(UNKNOWN, 0.05),
        lambda: prose.anew(UNKNOWN, UNKNOWN, 0.05),
        lambda: prose.changes(UNKNOWN, 6, 0.05),
        lambda: prose.tested(UNKNOWN, 0.05),
        lambda: prose.absence(6),
        lambda: prose.single(UNKNOWN.iloc[:0], "P01_R1"),
        lambda: prose.randomised(UNKNOWN),
        lambda: prose.learned(REGION, 19, 0.05),
        lambda: prose.carried(REGION),
        lambda: prose.carried(REGION.assign(estimate=0.1)),
        lambda: prose.parts_sum(REGION),
        lambda: prose.shares(EMPTY),
        lambda: prose.front(EMPTY, EMPTY, EMPTY, "m", control=NONE, demo=True),
        lambda: prose.model_against(EMPTY, "m", "n", "the image model", scale=BDI),
        lambda: prose.one_person({"half_width": float("inf"), "level": 0.9},
                                 SimpleNamespace(low=0.0, high=27.0)),
        lambda: prose.densest(DENSE.assign(enrichment_positive=NONE)),
        lambda: prose.steadiness(pd.DataFrame({"before": [NONE]}), []),
        lambda: prose.index_error(pd.DataFrame(
            {"by_flag": [NONE], "by_position": [NONE], "found": [False]})),
        lambda: prose.headset(*2 * [pd.DataFrame(
            {"points": NONE, "ci_low": NONE, "ci_high": NONE}, index=["effect"])]),
        lambda: prose.real_faces(EMPTY, EMPTY, EMPTY),
        lambda: prose.real_removals(EMPTY),
        lambda: prose.null_tests([]),
        lambda: prose.null_cohorts([]),
        lambda: prose.false_alarm(EMPTY),
        lambda: prose.other_analyses(pd.DataFrame(), 0.05),
        lambda: prose.recognised(pd.DataFrame({"kind": ["pose"], "unseen": [NONE]})),
        lambda: prose.uses_time(pd.DataFrame(
            {name: [NONE] for name in ("freeze", "shuffle", "reverse")}), BDI),
        lambda: prose.draws([]),
        lambda: prose.slopes(EMPTY),
        lambda: prose.real_gap(REAL.assign(estimate=np.nan), READING) or "nothing",
        lambda: prose.lost([]),
        lambda: prose.lost(READING.assign(read=np.nan)),
    ],
)  # fmt: skip
def test_no_chapter_prints_what_it_could_not_compute(said):
    """Few people, no renderer, no study: words, and no number that is none."""
    assert not re.search(r"\b(nan|inf|None)\b", said())
    assert said()


@pytest.mark.parametrize(
    ("with_score", "told"),
    [
        ([0.6, -0.5], "it reads worst: gaze (0.20) and smiles (0.70)."),
        ([0.6, -0.29], "it reads worst: smiles (0.70)."),
        ([0.1, 0.0], "it reads worst: none."),
    ],
)
def test_what_is_lost_is_what_goes_with_the_score_and_is_read_badly(with_score, told):
    """The worst read first; what does not go with the score is no loss."""
    said = prose.lost(READING.assign(with_score=[np.nan, np.nan, *with_score]))
    assert said.startswith("Exact movements give the score at r 0.90, the network at 0.70")
    assert said.endswith(told)


def test_the_gap_to_real_faces_is_said_where_all_of_it_was_measured():
    """Fine-tuned, rendered people."""
    speech = READING.assign(what="amount of speech")
    said = prose.real_gap(REAL, speech)
    assert "it correlates at 0.07 [−0.10, 0.20] within" in said
    assert "gains 0.03 [−0.10, 0.20] s over the mean" in said
    assert said.endswith(f"at r {speech['read'].mean():.2f}.")
    assert prose.real_gap(REAL[REAL["recipe"] == "frozen"], speech) == ""
    assert prose.real_gap(REAL, pd.DataFrame()) == ""


@pytest.mark.parametrize(
    ("within", "gain", "told"),
    [
        (0.1, 0.01, ["follows these seconds", "errs less than the mean"]),
        (0.1, -0.01, ["follows these seconds", "is not shown to err less than the mean"]),
        (-0.01, -0.9, ["is not shown to follow", "errs more than the mean"]),
    ],
)
def test_real_faces_are_read_where_the_intervals_say_so(within, gain, told):
    """The correlation within speakers and the gain over the mean are said apart."""
    scores = REAL.copy()
    at = {"r_within": (within, 0.8), "mae_gain": (gain, gain + 0.5)}
    for name, ends in at.items():
        scores.loc[scores["metric"] == name, ["ci_low", "ci_high"]] = ends
    said = prose.real_faces(scores, EMPTY, EMPTY)
    assert all(words in said for words in told)
    assert "ranks frames" not in said
    assert "not shown: what it says" in said
    assert "errs by 0.23 s" in prose.real_scores(scores)
    assert "with random weights in their place at 0.20" in prose.real_scores(scores)
    assert "(1 of 2 above .50 each by themselves, the lowest at 0.16)" in prose.real_scores(scores)
    assert "goes with it at 0.50" in prose.real_scores(scores)
    assert "is not shown to err less than that (0.02" in prose.real_scores(scores)
    assert "by themselves" not in prose.real_scores(scores[scores["metric"] != "r_of_one"])


@pytest.mark.parametrize(
    ("own", "words"),
    [(0.8, " better than such a map"), (0.5, " worse than such a map"), (0.7, "no better, as far")],
)
def test_on_real_faces_time_is_held_against_a_map_of_motion(own, words):
    """What motion tells as well is no merit of the explanation."""
    keys = {"recipe": "frozen", "metric": "auroc_signed"}
    time = pd.DataFrame([line(own, 0.04, 0.04, channel="posed_neutral", **keys),
                         line(0.69, 0.04, 0.04, channel="motion", **keys)])  # fmt: skip
    assert words in prose.real_faces(REAL, EMPTY, time)


def test_on_real_faces_the_peak_the_costliest_part_and_the_densest_other_are_named():
    """Where tables hold them; without tables nothing is made up."""
    keys = {"channel": "posed_neutral", "recipe": "frozen"}
    parts = pd.DataFrame(
        [
            line(value, 0.1, 0.1, part=part, metric="density", **keys)
            for part, value in {"mouth": 4.0, "eyes": 3.6, "nose": 1.2}.items()
        ]
    )
    said = prose.real_where(parts)
    assert "densest single part: mouth, 4.00" in said
    assert said.endswith("of those that hold no answer: eyes, 3.60 [3.50, 3.70].")
    said = prose.real_where(parts.assign(estimate=[1.0, 3.6, 1.2]))
    assert "part: eyes, 3.60 [3.50, 3.70] (motion not measured), which holds no answer." in said
    assert prose.real_where(EMPTY).endswith("(in a map of motion not measured).")
    words = pd.DataFrame([line(value, 0.1, 0.1, seconds=seconds, **keys)
                          for seconds, value in {-0.08: 1.3, 0.08: 1.1}.items()])  # fmt: skip
    said = prose.real_when(EMPTY, words)
    assert "begins attribution is 1.30 [1.20, 1.40] times the clip's mean" in said
    assert "largest 0.08 s before it, at 1.30" in said
    lost = pd.DataFrame([line(value, 0.01, 0.01, part=part, kind="region", metric="effect",
                              channel="effect", recipe="frozen")
                         for part, value in {"mouth": 0.09, "eyes": -0.04}.items()])  # fmt: skip
    assert prose.real_removals(lost).startswith("Making the mouth neutral costs most, 0.09")
    for said in (prose.real_where(EMPTY), prose.real_when(EMPTY, EMPTY),
                 prose.real_removals(EMPTY)):  # fmt: skip
        assert "largest" not in said
        assert "costs" not in said
        assert "Densest" not in said


@pytest.mark.parametrize(
    ("inference", "whose"),
    [
        ("models drawn anew", "In models fitted to other divisions of the people, "),
        ("conditional on these models", "In these models, "),
    ],
)
def test_action_units_go_with_the_models_that_were_asked(inference, whose):
    """The declared test asks models of other folds, the figure beside it these."""
    rows = UNKNOWN.assign(p_max=0.01, inference=inference)
    assert prose.coupled(rows, 0.05).startswith(whose)


def test_an_action_unit_may_be_found_and_still_be_too_small_to_matter():
    """It is in both counts, and the sentence says so."""
    rows = UNKNOWN.iloc[[0, 0]].assign(au=["AU07", "AU12"], p_max=[0.01, 0.9], margin=0.1,
                                       inference="conditional on these models",
                                       simultaneous_low=[0.01, -0.05],
                                       simultaneous_high=[0.09, 0.05])  # fmt: skip
    said = prose.coupled(rows, 0.05)
    assert said.startswith("In these models, 1 of 2 action units go")
    assert "is shown of 2 of the 2, AU07 among them, though found." in said
    assert "is shown of 1 of the 1." in prose.coupled(rows.assign(p_max=0.9).iloc[1:], 0.05)


@pytest.mark.parametrize("status", ["confirmatory", "exploratory"])
def test_of_two_counts_of_action_units_the_declared_one_is_named(status):
    """Chapter 6 counts with these models and with others; one of the two is the plan's."""
    rows = pd.DataFrame({"au": ["AU12"], "estimate": [0.2], "p_max": [0.01], "status": status})
    said = prose.anew(rows, rows, 0.05)
    named = "1 go with it, by the test that was declared, and" in said
    assert named == (status == "confirmatory")
    lost = prose.anew(rows.assign(p_max=0.5), rows, 0.05)
    assert "0 go with it" in lost
    assert "(lost: AU12)" in lost
    assert "(added: AU12)" in prose.anew(rows, rows.assign(p_max=0.5), 0.05)


def test_boxes_read_from_a_lost_row_are_said_to_be_unknown():
    """Where row 1 was lost the wrong index gives nothing: words, no per cent of nothing."""
    lost = pd.DataFrame({"by_flag": [NONE] * 2, "by_position": [NONE, 0.1], "found": [True, False]})
    said = prose.index_error(lost)
    assert "itself lost" in said
    assert "%" not in said


def test_model_that_was_not_compared_is_not_judged():
    """Without a comparison there is no verdict."""
    empty = pd.DataFrame({"metric": []})
    assert "reads something" not in prose.model_reads(empty, empty, "m")


@given(st.lists(st.floats(0, 1), min_size=3, max_size=6), st.floats(-0.5, 0.5))
def test_recognised_counts_what_lies_above_its_bar(unseen, gap):
    """Counts are those of the table; "better" needs a gap."""
    table = pd.DataFrame({"kind": "pose", "unseen": unseen, "gap": gap})
    said = prose.recognised(table)
    assert f"{sum(value > 0.5 for value in unseen)} of {len(unseen)} turns" in said
    assert "0 of 0 actions" in said
    assert ("no better" in said) == (gap < 0.005)
    assert "not measured" in prose.recognised([])


@pytest.mark.parametrize("point", [1.0, 27 / 63, 2 / 63])
def test_whether_time_is_used_is_asked_on_the_scores_scale(point):
    """The same share of the scale is the same answer, on 0 to 63, 0 to 27 and 0 to 2."""
    scale = SimpleNamespace(low=0.0, high=63 * point, bands=())
    for share, word in ((0.5, "hardly uses time"), (1.5, "uses time")):
        used = pd.DataFrame({name: [share * point] for name in ("freeze", "shuffle", "reverse")})
        assert f"The model {word}:" in prose.uses_time(used, scale)


def test_a_rendered_copy_is_not_compared_with_another_score():
    """A model of PHQ-9 says nothing of the BDI-II of a rendered face; one of the demo does."""
    asked = (pd.Series([10.0, 14.0]), {"participant": "P01", "score": 30.0})
    people = pd.DataFrame({"participant": ["P01"], "score": [30.0]})
    assert "30" not in prose.of_a_copy(*asked, people, demo=False)
    assert "error of −18.0 points is in-sample" in prose.of_a_copy(*asked, people, demo=True)
    assert "in-sample" not in prose.of_a_copy(*asked, people[:0], demo=True)


def test_the_front_page_calls_only_rendered_participants_rendered():
    """Of other people it says participants."""
    keys = {"recipe_a": "m", "recipe_b": "null", "metric": "mae", "level": "participant"}
    table = pd.DataFrame([line(-2.0, 1.0, 1.0, **keys)])
    empty = pd.DataFrame({"metric": []})
    said = [
        prose.front(empty, table, empty, "m", control=NONE, demo=demo) for demo in (True, False)
    ]
    assert ["rendered" in one for one in said] == [True, False]


@given(st.lists(st.one_of(st.floats(-1, 1), st.just(np.nan)), max_size=5))
def test_every_cohort_that_was_drawn_alike_is_named(values):
    """One cohort says nothing of others; several are listed, what was not measured is not."""
    rows = pd.DataFrame({"estimate": values}).assign(
        model="default", factor="pooled", support="changed", method="DeepLift",
        baseline="posed_neutral", metric="interventional_fidelity",
    )  # fmt: skip
    others = rows.assign(method="random", estimate=9.0)
    said = prose.drawn_alike(pd.concat([rows, others]))
    known = [value for value in values if np.isfinite(value)]
    assert bool(said) == (len(known) > 1)
    assert not said or f"study's {len(known)} rendered cohorts" in said
    assert all(
        wording.say(value) in said or wording.say(value, 3) in said for value in known if said
    )
    assert "9.00" not in said
    assert prose.drawn_alike(pd.DataFrame()) == ""


@given(st.lists(st.one_of(st.floats(-1, 1), st.just(np.nan)), min_size=1, max_size=5))
def test_networks_that_reach_the_bar_are_counted_and_refused_ones_named(values):
    table = pd.DataFrame(
        {"network": [f"N{k}" for k in range(len(values))], "method": "DeepLift",
         "baseline": "posed_neutral", "fidelity": values}
    )  # fmt: skip
    reached, _, refused = prose.by_network(table).partition("; on ")
    for name, value in zip(table["network"], values):
        assert (f"{name} (" in reached) == (value >= 0.9)
        assert (name in refused) == np.isnan(value)
    assert f"of {len(values)} networks" in reached


def test_a_study_names_the_reference_that_it_asked():
    """One made before the reference turned its head says so."""
    row = {"network": "N", "method": "DeepLift", "fidelity": 0.95}
    old = pd.DataFrame([row | {"baseline": "own_neutral"}])
    both = pd.concat([old, pd.DataFrame([row | {"baseline": "posed_neutral"}])])
    assert "own neutral face, held still reaches" in prose.by_network(old)
    assert "own neutral face reaches" in prose.by_network(both)
    assert "limits it" not in prose.by_network(both)
    oracle = pd.DataFrame([row | {"baseline": "oracle_neutral"}])
    said = prose.by_network(pd.concat([both, oracle]))
    assert said.endswith("it has 0.95 at least: the reference is what limits it.")
    worse = pd.concat([both, oracle.assign(fidelity=0.5)])
    assert prose.by_network(worse).endswith("0.50 at least: the rule limits it, too.")


def test_networks_that_nobody_asked_are_said_to_be_unmeasured():
    assert prose.by_network(pd.DataFrame()) == prose.predicted(pd.DataFrame()) == "Not measured."


@given(st.floats(0, 1))
def test_a_p_is_never_written_as_zero_nor_a_part_as_all(value):
    """0.0001 is no 0, and 99.97 % is not 100."""
    assert (wording.chance(value) == "p < 0.001") == (value < 0.0005)
    assert "0.000" not in wording.chance(value)
    for digits in (0, 1):
        said = float(wording.percent(value, digits))
        assert (said == 100) == (value == 1)
        assert (said == 0) == (value == 0)


@given(NUMBER, st.floats(0.001, 30), st.floats(0.001, 30))
def test_a_limit_beside_zero_is_not_written_as_zero(estimate, below, above):
    """Whoever reads the limits sees on which side of 0 they lie."""
    row = line(estimate, below, above)
    ends = wording.interval(row).partition("[")[2].rstrip("]").replace("−", "-").split(", ")
    for said, true in zip(map(float, ends), (row.ci_low, row.ci_high)):
        assert said == 0 if abs(true) < 0.00005 else np.sign(said) == np.sign(true)


@given(st.floats(0.85, 0.95))
def test_what_misses_the_bar_is_not_printed_at_the_bar(fidelity):
    """An agreement of .897 is not 0.90 beside a bar of 0.90."""
    keys = {"method": "DeepLift", "baseline": "posed_neutral", "factor": "pooled"}
    keys |= {"metric": "interventional_fidelity", "support": "changed"}
    said = prose.trust(pd.DataFrame([line(fidelity, 0.1, 0.1, **keys)]), {"estimate": 0.3})
    if fidelity < 0.8995:
        assert "r = 0.90 [" not in said


@given(st.floats(-1, 1), st.floats(0, 0.5), st.one_of(st.floats(-1, 1), st.just(NONE)))
def test_the_front_page_believes_reasons_only_above_the_controls(fidelity, half, control):
    """As chapter 7: the bar, and more than a map that never saw the model."""
    keys = {"recipe_a": "m", "recipe_b": "null", "metric": "mae", "level": "participant"}
    differences = pd.DataFrame([line(-2.0, 1.0, 1.0, **keys)])
    known = {"method": "DeepLift", "baseline": "posed_neutral", "factor": "pooled",
             "metric": "interventional_fidelity", "support": "changed"}  # fmt: skip
    table = pd.DataFrame([line(fidelity, half, half, **known)])
    said = prose.front(EMPTY, differences, table, "m", control=control, demo=True)
    above = fidelity - half > abs(control)
    assert ("statements about the model" in said) == (above and fidelity >= 0.9)
    assert ("only in part" in said) == (above and fidelity < 0.9)
    assert ("not shown to know more" in said) == (not above)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1)), min_size=6, max_size=6))
def test_every_region_shown_to_carry_severity_is_named_and_no_other(values):
    """By the interval of the family, not by that of the largest; the largest is no finding."""
    names = ["mouth", "nose", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow"]
    parts = pd.DataFrame([
        line(one, half, half, simultaneous_low=one - 1.3 * half, simultaneous_high=one + 1.3 * half)
        for one, half in values
    ], index=names)  # fmt: skip
    said = prose.carried(parts).rpartition("tested). ")[2].removesuffix(".")
    said, _, turned = said.partition("; these are shown to go against it: ")
    shown, against = parts["simultaneous_low"] > 0, parts["simultaneous_high"] < 0
    assert ("None of the named" in said) == (not shown.any())

    def named(rows):
        names = parts.loc[rows, "estimate"].items()
        return wording.listed(f"{wording.plain(name)} ({wording.say(one)})" for name, one in names)

    assert said.endswith(f"shown to carry severity: {named(shown)}") or not shown.any()
    assert turned == (named(against) if against.any() else "")
    assert "not tested" in prose.carried(parts)


def test_a_tie_is_neither_more_nor_less():
    """Equal errors, still faces read like moving ones, a slope below 0, no scores that vary."""
    for frozen, word in ((20.0, "as much severity as"), (20.5, "as much"), (24.0, "more severity"),
                         (12.0, "less severity")):  # fmt: skip
        used = pd.DataFrame({"prediction": [20.0], "freeze": [20.0 - frozen], "shuffle": [21.0]})
        assert word in prose.stillness(used, BDI)
        assert "shuffled as −1.0, which is outside the scale." in prose.stillness(used, BDI)
    case = {"participant": "P01", "recording": "P01_R1", "prediction": 12.5, "score": 12.5}
    assert "the score is 12.5, so it says just that" in prose.one_case(case, pd.DataFrame([case]))
    bands = pd.DataFrame({"error": [1.0, -1.0]})
    slopes = {0.9: "follow the score (", 0.5: "drawn to the middle", 0.0: "hardly move with",
              -0.4: "run against the score", NONE: "cannot be said"}  # fmt: skip
    for slope, words in slopes.items():
        assert words in prose.calibrated(SimpleNamespace(slope=slope, by_band=bands))
    used = pd.DataFrame(
        {"points": -3.0, "ci_low": -4.0, "ci_high": -2.0}, index=["effect", "own_neutral"]
    )
    said = prose.headset(used.assign(points=0.2, ci_low=-0.1), used)
    assert "this run's model a headset is worth 0.2 [−0.1" in said
    assert "taught model reacts to it" in said
    assert "(it lowers the score)" in said
    assert "what that reference says there, −3.0 [−4.0, −2.0] points" in said
    assert prose.twins({}) == ""
    apart = prose.twins({"before": 0.391, "after": 0.117})
    assert apart.index("39 %") < apart.index("12 %")


def test_one_case_says_how_wrong_the_model_is_about_the_person_too():
    """The rule looks at the person, so what is shown of one recording is not its error."""
    chosen = {"participant": "P01", "recording": "P01_R1", "prediction": 23.0, "score": 27.0}
    other = {"participant": "P02", "recording": "P02_R1", "prediction": 0.0, "score": 40.0}
    others = [chosen | {"recording": "P01_R2", "prediction": 19.0}, other]
    said = prose.one_case(chosen, pd.DataFrame([chosen, *others]))
    assert "so it says 4.0 points too little" in said
    assert "off by 6.0 points, nearest to the median of all" in said


def test_the_rest_of_the_face_may_carry_more_than_the_largest_named_region():
    """Largest is said of the named regions only."""
    parts = pd.DataFrame([line(0.2, 0.1, 0.1, simultaneous_low=0.05, simultaneous_high=0.4),
                          line(0.3, 0.1, 0.1, simultaneous_low=0.15, simultaneous_high=0.5)],
                         index=["mouth", "face_rest"])  # fmt: skip
    assert "Of r = 0.50 the 1 named regions hold 0.20. The largest named" in prose.carried(parts)
    whole = pd.concat([parts, parts.iloc[:1].rename({"mouth": "f(x0)"})])
    assert (
        ", the rest of the face (cheeks, chin, forehead) 0.30, and the still face "
        in prose.carried(whole)
    )
    missed = pd.concat([parts, parts.iloc[:1].rename({"mouth": "not explained"})])
    assert "the 1 named regions hold 0.20" in prose.carried(missed)
    assert ", what the explanation leaves over 0.20" in prose.carried(missed)
    flat = parts.assign(estimate=NONE)
    alike = prose.carried(flat), prose.parts_sum(flat)
    assert all("predictions or scores do not vary" in said for said in alike)


def test_a_gain_stands_beside_the_two_errors_that_it_comes_from():
    """A difference of errors says little without the errors."""
    keys = {"level": "participant", "metric": "mae"}
    scores = pd.DataFrame([line(6.8, recipe="m", **keys), line(9.4, recipe="null", **keys)])
    differences = pd.DataFrame([line(-2.6, recipe_a="m", recipe_b="null", **keys)])
    assert "6.8 against 9.4 points" in prose.model_reads(scores, differences, "m")
    assert "against" not in prose.model_reads(scores.iloc[:1], differences, "m")


@pytest.mark.parametrize(
    ("clear", "told"),
    [
        ((1, 1), "for AU12 and AU45, by"),
        ((1, 0), "for AU12 of AU12 and AU45, by"),
        ((0, 0), "for none of AU12 and AU45, by"),
    ],
)
def test_onsets_after_which_something_changes_are_named_once(clear, told):
    """All, some and none of those that were looked at."""
    after = pd.DataFrame({"au": ["AU12", "AU45"], "clear": np.array(clear, bool), "ci_low": 0.1})
    assert told in prose.locked({"AU12": 0, "AU45": 0}, after)


def test_people_too_few_for_a_test_are_told_so():
    """Below ten nothing is tested, so no size is named that would be found."""
    assert "no test" in prose.reach(9)
    assert "no test" not in prose.reach(10)
    assert "absence is not tested" in prose.absence(9)
    assert "with a probability" in prose.absence(10)


def test_networks_too_few_for_an_interval_decide_nothing():
    """Without an interval it is open whether a number predicts: not "nothing does"."""
    row = line(0.4, NONE, NONE, number="removal", explanations=45, units=5, rho=0.4)
    other = pd.Series({**row, "number": "completeness", "rho": -0.26})
    said = prose.predicted(pd.DataFrame([row, other]))
    assert "are: removed regions (0.40) and what is missed of the difference (−0.26); of" in said
    assert "is open" in said
    assert "nothing" not in said


def test_the_renderer_is_no_explanation_of_a_real_recording():
    """Its row is shown, and counted nowhere."""
    verdicts = pd.DataFrame({"reference": ["own neutral face", REFERENCES["oracle_neutral"]],
                             "where": ["yes", "yes"], "when": ["no", "yes"],
                             "the head included": ["yes", "yes"]})  # fmt: skip
    said = prose.believed(verdicts)
    assert "1 for the head included" in said
    assert "Of the 1 that a real recording allows, so many pass: " in said
    assert said.endswith("1 for where and 0 for when.")


def test_the_null_study_is_told_by_its_pooled_rows():
    """Both ways of permuting, each with its interval over all cohorts."""
    rows = [("0", "anew", 100, 0.05, 0.02, 0.11), ("1", "anew", 100, 0.04, 0.02, 0.10),
            ("all", "anew", 200, 0.045, 0.024, 0.083),
            ("all", "within folds", 200, 0.05, 0.03, 0.09)]  # fmt: skip
    columns = ["seed", "scenario", "n", "rate", "ci_low", "ci_high"]
    said = prose.null_tests(pd.DataFrame(rows, columns=columns))
    assert said.startswith("When the scores of 2 cohorts are dealt out at random")
    assert (
        "4.5 [2.4, 8.3] % (dealt to anybody) and 5.0 [3.0, 9.0] % (dealt within folds) of 200"
        in said
    )


def test_what_just_misses_the_bar_is_not_rounded_onto_it():
    """Beside one that is above, with as many digits as that takes."""
    keys = {"model": "default", "baseline": "posed_neutral", "method": "DeepLift"}
    keys |= {"factor": "pooled", "metric": "interventional_fidelity", "support": "changed"}
    study = pd.DataFrame([line(value, 0.1, 0.1, **keys) for value in (0.898, 0.95)])
    said = prose.drawn_alike(study)
    assert "fidelities of 0.898 and 0.95, 1 of them below 0.90:" in said
    near = prose.drawn_alike(study.assign(estimate=[0.8996, 0.89996]))
    assert "fidelities of 0.8996 and 0.89996, 2 of them" in near


def test_few_people_whose_changes_differ_widely_give_no_size_below_zero():
    """An interval of a size is cut off at none; more people have one that needs no cutting."""
    skewed = np.random.default_rng(1).exponential(1, 12) ** 3
    used = pd.DataFrame({name: skewed for name in ("freeze", "shuffle", "reverse")})
    said = prose.uses_time(used, BDI)
    assert re.search(r"changes by [\d.]+ \[[\d.]+, [\d.]+\] points", said)


@pytest.mark.parametrize(
    ("found", "words"),
    [(0, "None is filled"), (1, "Of the one that is filled in the figure, 1 cannot"),
     (2, "Of the 2 that are filled in the figure, 2 cannot")],
)  # fmt: skip
def test_speech_is_said_of_what_was_found(found, words):
    """Nothing found, one, several."""
    rows = pd.DataFrame({"au": ["AU25", "AU26"], "speech": "†", "p_max": [0.5, 0.5]})
    rows.loc[: found - 1, "p_max"] = 0.01
    assert prose.speech(rows, 0.05).startswith(words)


@pytest.mark.parametrize(
    ("au", "p_max", "truth", "words"),
    [("AU45", 0.01, True, "AU45 goes most with the reasons, z = 0.50 [0.10, 0.90], and nothing"),
     ("AU12", 0.01, True, "AU12 goes most with the reasons, z = 0.50 [0.10, 0.90], and some of"),
     ("AU45", 0.01, False, "AU45 goes most with the reasons, z = 0.50 [0.10, 0.90]"),
     ("AU45", 0.20, True, "No action unit is shown")],
)  # fmt: skip
def test_the_strongest_coupling_is_held_against_what_was_planted(au, p_max, truth, words):
    """Planted, planted elsewhere, without a truth, not found; a twin's row carries no signal."""
    rows = pd.DataFrame([line(0.5, 0.4, 0.4, au=au, p_max=p_max)])
    planted = pd.DataFrame({"au": ["AU12", "AU45"], "carries_signal": [True, False]})
    said = prose.strongest(rows, 0.05, planted=planted if truth else None)
    assert words in said
    assert said.endswith("]") or truth


def test_couplings_that_change_with_severity_may_be_talking():
    """The dagger stands in the sentence, too; nothing about it where none has one."""
    rows = pd.DataFrame([line(0.5, 0.4, 0.4, au="AU25", p_max=0.01, speech="†"),
                         line(0.1, 0.4, 0.4, au="AU04", p_max=0.9, speech="†")])  # fmt: skip
    assert "(AU25), 1 of them not separable from speech (†)." in prose.changes(rows, 84, 0.05)
    assert "†" not in prose.changes(rows.assign(speech=""), 84, 0.05)


def test_trust_needs_a_control_to_be_better_than():
    """A run whose controls were not measured shows nothing, however high the agreement."""
    keys = {"method": "DeepLift", "baseline": "posed_neutral", "factor": "pooled",
            "metric": "interventional_fidelity", "support": "changed"}  # fmt: skip
    table = pd.DataFrame([line(0.95, 0.02, 0.02, **keys)])
    said = prose.trust(table, {"estimate": NONE})
    assert said.startswith("That is not shown")
    assert said.endswith("No control was measured.")


@pytest.mark.parametrize(("slope", "true"), [(0.4, False), (0.8, True), (1.0, True), (1.4, False)])
def test_who_says_the_wrong_size_is_not_believed_on_any_page(slope, true):
    """Chapter 7, the front page and appendix C go by the same rule on points."""
    own = {"method": "DeepLift", "baseline": "posed_neutral", "n_participants": 84}
    painted = {"method": "painted", "baseline": "none", "n_participants": 84}
    blind = {"method": "motion", "baseline": "none", "n_participants": 84}
    where = {"factor": "pooled", "support": "changed"}
    fidelity, points = {"metric": "interventional_fidelity"}, {"metric": "interventional_slope"}
    table = pd.DataFrame([line(0.95, 0.02, 0.02, **own, **where, **fidelity),
                          line(0.3, 0.1, 0.1, **blind, **where, **fidelity),
                          line(slope, 0.1, 0.1, **own, **where, **points),
                          line(1.0, 0.1, 0.1, **painted, **where, **points)])  # fmt: skip
    keys = {"recipe_a": "m", "recipe_b": "null", "metric": "mae", "level": "participant"}
    differences = pd.DataFrame([line(-2.0, 1.0, 1.0, **keys)])
    assert prose.trust(table, {"estimate": 0.3}).startswith("Yes") == true
    front = prose.front(EMPTY, differences, table, "m", control=0.3, demo=True)
    assert ("You may read its reasons as statements" in front) == true
    trusted = metrics.trust_table(table).set_index(["method", "reference"])
    answer = trusted.loc[("DeepLift", "own neutral face"), "what taking it out does"]
    assert answer.startswith("yes") == true


def test_other_recipes_err_less_more_alike_or_are_undecided():
    """Alike: within a point, and the interval holds zero."""
    keys = {"level": "participant", "metric": "mae", "recipe_a": "m"}
    rows = [line(at, half, half, **keys, recipe_b=f"r{k}") for k, (at, half) in
            enumerate([(-1, 0.5), (1, 0.5), (0.1, 0.3), (0.1, 2.0), (0.4, 0.2)])]  # fmt: skip
    said = prose.others_do(pd.DataFrame(rows), "m", scale=BDI)
    assert "2 err less than the default, 1 err more and 1 err alike within 1.0 points" in said
    assert said.endswith("1 are undecided.")


def test_other_analyses_of_a_question_are_counted_and_their_quarrels_named():
    """A column that a run lacks does not count; what is not tested is not found."""
    table = pd.DataFrame(
        {
            "p of mean: H1": [0.01, 0.2, NONE],
            "p of mean: GEE": [0.04, 0.01, NONE],
            "p of severity: H2": [0.5, 0.9, 0.04],
        },
        index=["AU01", "AU04", "AU12"],
    )
    said = prose.other_analyses(table, 0.05)
    assert "differ from zero (p ≤ 0.05): 1 by H1 and 2 by GEE; not all agree on AU04." in said
    assert said.endswith("(p ≤ 0.05): 1 by H2.")
    assert "(p ≤ 0.001)" in prose.other_analyses(table, 0.001)
    table.loc["AU01", "p of mean: H1"] = table.loc["AU04", "p of mean: H1"] = NONE
    table.loc["AU12", "p of mean: H1"] = 0.03
    said = prose.other_analyses(table, 0.05)
    assert "1 by H1 (1 tested) and 2 by GEE (2 tested). So" in said


def test_a_null_cohort_and_a_clean_model_speak_for_themselves():
    """The book's recipe where nothing is planted; a headset that is worth little."""
    keys = {"recipe": "small-face-32-null-s0", "seed": "0"}
    rows = [line(0.1, 0.2, 0.2, metric="pearson", **keys),
            line(1.01, NONE, NONE, metric="mae_ratio", **keys),
            line(0.7, metric="pearson", recipe="small-default", seed="0")]  # fmt: skip
    scores = pd.DataFrame(rows)
    said = prose.null_cohorts(scores)
    assert "r = 0.10 [−0.10, 0.30], and errs 1.01" in said
    known = {"model": "this run's model", "factor": "headset"}
    study = pd.DataFrame(
        [line(-0.6, **known, baseline="effect"), line(-2.3, **known, baseline="blur")]
    )
    assert "worth −0.6 points" in prose.false_alarm(study)
    assert "put −2.3 points on it" in prose.false_alarm(study)


def test_absence_in_a_family_is_harder_to_show_than_alone():
    """The ledger judges by intervals of the whole family, and their power is said beside."""
    said = prose.absence(84)
    assert "75 % for one correlation" in said
    assert "and 0 %. Where" in said.partition("seventeen at once")[2]


@given(st.floats(-1, 1), st.floats(0.01, 0.5))
def test_a_number_predicts_fidelity_only_where_its_interval_leaves_zero(rho, half):
    row = line(rho, half, half, number="removal", explanations=45, units=5, rho=rho)
    said = prose.predicted(pd.DataFrame([row]))
    assert "Over 45 explanations of 5 networks" in said
    assert ("removed regions" in said) == (rho > half), "the wrong way shows nothing"
    said = prose.predicted(pd.DataFrame([{**row, "number": "completeness"}]))
    assert ("what is missed" in said) == (rho < -half), "less missed is better"
    assert ("nothing of what can be known" in said) == (rho >= -half)


def test_networks_without_the_book_s_reference_are_said_to_be_none():
    """A study in which DeepLift was dropped everywhere, or asked against other references only."""
    row = {"network": "a", "method": "IntegratedGradients", "baseline": "zero", "fidelity": 0.5}
    for method in ("IntegratedGradients", "DeepLift"):
        said = prose.by_network(pd.DataFrame([row | {"method": method}]))
        assert "on 0 of 1 networks" in said


def pattern(name):
    """Of a name that is chosen or put together: what it can be."""
    match name:
        case ast.Constant(value=str(text)):
            return re.escape(text)
        case ast.JoinedStr(values=parts):
            return "".join(map(pattern, parts))
        case ast.FormattedValue(value=chosen):
            return pattern(chosen)
        case ast.IfExp(body=one, orelse=other):
            return f"({pattern(one)}|{pattern(other)})"
    return ".+"


def asked_for():
    """What the library asks `tell` for: a pattern for every call."""
    for module in (prose, metrics, headset):
        for call in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("tell"):
                yield pattern(call.args[0])


def test_every_wording_is_asked_for_and_every_asked_for_wording_exists():
    """A wording that nobody needs goes, and one that is missing would be missed in a run only."""
    file = resources.files("expresso_lib") / "assets" / "sentences.yaml"
    wordings = pd.json_normalize(yaml.safe_load(file.read_text(encoding="utf-8"))).columns
    wordings = [name for name in wordings if not name.startswith("sides.")]
    patterns = set(asked_for())
    assert [name for name in wordings if not any(re.fullmatch(p, name) for p in patterns)] == []
    assert [p for p in patterns if not any(re.fullmatch(p, name) for name in wordings)] == []


def test_what_was_not_tested_is_called_neither_strongest_nor_steepest():
    """One person alone has a unit: its mean is large and says nothing."""
    rows = pd.DataFrame({"au": ["AU04", "AU12"], "estimate": [2.3, 0.2], "ci_low": [NONE, 0.1],
                         "ci_high": [NONE, 0.3], "p_max": [NONE, 0.01]})  # fmt: skip
    assert "that of AU12" in prose.largest(rows)
    assert "The steepest is AU12" in prose.changes(rows, 84, 0.05)
    assert "that of AU04" in prose.largest(rows.assign(p_max=NONE))


def test_the_rest_of_the_face_may_be_densest():
    """No named region is denser than the rest: that is said first."""
    table = DENSE.assign(enrichment_positive=[-0.4, -0.9])
    assert prose.densest(table).startswith(
        "Attribution that raises the score is denser in the rest"
    )
    assert "0.67 times as dense as there" in prose.densest(table)
    above = prose.densest(table.assign(enrichment_positive=[0.4, 0.1]))
    assert "densest in the mouth: in the mean of these recordings 1.5 times" in above
    often = pd.concat([DENSE.assign(enrichment_positive=[1.0, 0.2], clip=k) for k in range(9)])
    once = [DENSE.assign(enrichment_positive=[0.0, 1.5], recording=name) for name in "BCD"]
    assert "densest in the nose: in the mean of these recordings 3.2" in prose.densest(
        pd.concat([often, *once])
    )


@pytest.mark.parametrize(
    ("fit", "weights", "words"),
    [("ridge", "facial-actions", "frozen as it was pre-trained. The plan was"),
     ("ridge", "kinetics400", "frozen as it was pre-trained."),
     ("ridge", "none", "as it was drawn."), ("ridge", "own", "as it came."),
     ("last", "facial-actions", "The last layers"), ("last", "none", "from random weights"),
     ("all", "own", "that it came with")],
)  # fmt: skip
def test_what_was_fitted_is_said_as_it_was(fit, weights, words):
    """From scratch, and in a network of one's own, "last" fits all of it."""
    recipe = Recipe(fit=fit, weights=weights)
    assert words in prose.fitted(recipe)
    assert ("Everything learns at once" in prose.staged(recipe)) == recipe.whole


def test_only_the_books_own_network_was_shown_twins():
    """Random weights, other weights and a network of one's own were not."""
    said = {name: prose.taught(Recipe(weights=name)) for name in ("facial-actions", "none", "own")}
    assert [name for name, words in said.items() if "twins" in words] == ["facial-actions"]


@pytest.mark.parametrize("said", [prose.coupled, prose.region_changes,
                                  lambda rows, alpha: prose.changes(rows, 84, alpha)])  # fmt: skip
def test_a_family_that_was_not_tested_says_the_reason_that_it_has(said):
    """Too few people is one reason; scores that do not vary are another."""
    assert "severity does not vary" in said(UNKNOWN.assign(note="severity does not vary"), 0.05)
    assert "too few participants" in said(UNKNOWN.drop(columns="note", errors="ignore"), 0.05)


def test_permutations_too_few_for_alpha_show_nothing():
    """Of 19 permuted models the least p is .05: at .01 nothing can be shown."""
    rows = REGION.assign(estimate=0.2, p=0.05)
    assert "more than chance makes" in prose.learned(rows, 19, 0.05)
    assert "too few permutations" in prose.learned(rows, 19, 0.01)
    assert "not shown to be more" in prose.learned(rows.assign(p=0.06), 99, 0.05)


def test_the_factor_that_agrees_least_is_named_the_head_apart():
    """All together hide the worst of them; the head has a sentence of its own."""
    keys = {"method": "DeepLift", "baseline": "posed_neutral", "support": "changed",
            "metric": "interventional_fidelity"}  # fmt: skip
    rows = [("smile", 0.79), ("lids_gaze", 0.97), ("head_motion", 0.2), ("pooled", 0.95)]
    table = pd.DataFrame(
        [keys | {"factor": name} | dict(line(value, 0.01, 0.01)) for name, value in rows]
    )
    said = prose.factors(table)
    assert "between 0.79 [0.78, 0.80] (smile) and 0.97 [0.96, 0.98] (lids and gaze)" in said
    assert "was not measured" in prose.factors(table[table["factor"] == "pooled"])
