"""Where the planted signal lies: in the timing, neither trivial nor hopeless."""

import numpy as np
import pytest

from expresso_lib import rendered
from expresso_lib.rendered import oracle


@pytest.fixture(scope="module")
def default():
    """Mean r and R² over eight default cohorts, by kind."""
    return oracle.over_seeds("default", 8, repeats=4).groupby("kind")[["r", "r2"]].mean()


def test_dynamics_are_readable_but_not_trivial(default):
    """With all true series r lies between .75 and .90."""
    assert 0.75 <= default.r["dynamics"] <= 0.90


def test_single_frames_know_much_less(default):
    """Mean and sd of frames fall short by .15 at least; one frame stays below .40."""
    assert default.r["mean_sd"] <= default.r["dynamics"] - 0.15
    assert default.r["one_frame"] <= 0.40


def test_identity_and_light_know_nothing(default):
    """R² of identity and of light is at most .05."""
    assert default.r2["identity"] <= 0.05
    assert default.r2["light"] <= 0.05


def test_null_cohort_holds_nothing():
    """Where nothing is planted r is about 0 for every kind, over sixteen cohorts."""
    table = oracle.over_seeds("null", 16, repeats=3, kinds=("dynamics", "mean_sd", "one_frame"))
    assert table.groupby("kind").r.mean().abs().max() < 0.15


@pytest.mark.parametrize(
    "variant",
    ["region:mouth", "region:nose", "region:left_eye", "region:left_eyebrow", "au:4", "au:12"],
)
def test_lone_variants_can_be_read(variant):
    """One region or unit alone carries enough to be found."""
    table = oracle.over_seeds(variant, 5, repeats=2, kinds=("dynamics", "mean_sd"))
    assert table.groupby("kind").r.mean().max() > 0.4


def test_partition_keeps_bands_balanced_and_participants_whole():
    """Each of six folds holds one participant of every band."""
    people = rendered.plan_cohort(24, 2, 1).participants
    part = oracle.partition(people, 6, seed=1)
    fold = people.participant.map(part)
    assert (people.groupby([fold, "band"]).size() == 1).all()
    assert set(part) == set(people.participant)


def test_analyse_is_deterministic_and_refuses_unknown_features():
    """The same seed gives the same table; an unknown kind is named."""
    plan = rendered.plan_cohort(8, 2, 2.0, seed=1)
    first = oracle.analyse(plan, repeats=2, folds=4, kinds=("dynamics",))
    again = oracle.analyse(plan, repeats=2, folds=4, kinds=("dynamics",))
    assert first.equals(again)
    with pytest.raises(ValueError, match="use one of dynamics"):
        oracle.features(plan.script("P01_R1"), "voice", np.random.default_rng(0))
