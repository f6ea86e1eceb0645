"""Claims about `expresso_lib.decomposition`."""

import numpy as np
import pandas as pd
import pytest

from expresso_lib import config, statistics
from expresso_lib.faces import anatomy
from expresso_lib.faithfulness import decomposition

PEOPLE = 24


def _cohort(rng: np.random.Generator, r: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The mouth is all there is to the prediction, which correlates at r with the score."""
    score = rng.normal(size=PEOPLE)
    said = r * score + np.sqrt(1 - r**2) * rng.normal(size=PEOPLE)
    names = [f"P{i:02d}" for i in range(PEOPLE)]
    rows = pd.DataFrame(
        {
            "participant": names,
            "clip": "c",
            "region": "mouth",
            "output": said + 3,
            "output_baseline": 3.0,
            "positive": np.maximum(said, 0),
            "negative": np.minimum(said, 0),
        }
    )
    return rows, pd.DataFrame({"participant": names, "score": score})


def test_parts_cover_the_true_correlation_and_find_it() -> None:
    """Nominal 95 %: nine in ten hold the true r at 24 people, and an r of .6 is seen."""
    plan = statistics.Plan.of(config.validate({"statistics": {"bootstrap": 300}}).statistics)
    rng, held, seen, ends = np.random.default_rng(0), 0, 0, []
    for _ in range(150):
        found = decomposition.parts(*_cohort(rng, 0.6), plan=plan).loc["mouth"]
        held += found["ci_low"] <= 0.6 <= found["ci_high"]
        seen += found["ci_low"] > 0
        ends.append(found["ci_high"] - found["ci_low"])
    assert held / 150 == pytest.approx(0.92, abs=0.05)
    assert seen / 150 > 0.85
    assert 0.4 < np.median(ends) < 0.7  # Fisher's is .55 wide


def test_regions_that_are_looked_at_together_have_wider_intervals() -> None:
    """The largest of six is found by chance oftener than one: the family's limits allow for it."""
    plan = statistics.Plan.of(config.validate({"statistics": {"bootstrap": 300}}).statistics)
    found = decomposition.parts(*_cohort(np.random.default_rng(1), 0.6), plan=plan).loc["mouth"]
    assert found["simultaneous_low"] < found["ci_low"]
    assert found["simultaneous_high"] > found["ci_high"]


def test_parts_add_up_to_r_and_nothing_is_in_the_reference() -> None:
    """The estimates sum to Pearson's r; a constant f(x0) has part 0."""
    rows, people = _cohort(np.random.default_rng(1), 0.6)
    plan = statistics.Plan.of(config.validate({"statistics": {"bootstrap": 300}}).statistics)
    found = decomposition.parts(rows, people, plan=plan)
    assert found.index.tolist() == ["mouth", "f(x0)"]
    r = np.corrcoef(rows["output"], people["score"])[0, 1]
    assert found["estimate"].sum() == pytest.approx(r)
    assert found.loc["f(x0)", "estimate"] == pytest.approx(0, abs=1e-12)


def _dense(rng: np.random.Generator, *, mouth: float = 1.0, people: int = 6) -> pd.DataFrame:
    """Eyes are dense whatever was fitted; the mouth is as dense as it is told; all vary."""
    usual = {"left_eye": 8.0, "right_eye": 8.0, "mouth": mouth}
    density = {name: usual.get(name, 1.0) * np.exp(rng.normal(0, 0.2)) for name in anatomy.REGIONS}
    return pd.DataFrame(
        [
            {
                "participant": f"P{who}",
                "clip": who,
                "region": name,
                "area": 10.0,
                "positive": 10 * density[name] * rng.uniform(0.9, 1.1),
                "negative": 0.0,
            }
            for who in range(people)
            for name in anatomy.REGIONS
        ]
    )


def test_beyond_chance_finds_what_the_fit_added_and_not_what_is_dense() -> None:
    """The mouth doubles twice with the true scores, the eyes are dense under every head."""
    rng = np.random.default_rng(2)
    dealt = [_dense(rng) for _ in range(19)]
    found = decomposition.beyond_chance(_dense(rng, mouth=4.0), dealt)
    assert found.index.tolist() == list(anatomy.FEATURE_REGIONS)
    assert found["estimate"].idxmax() == "mouth"
    assert found.loc["mouth", "estimate"] > 0.8
    assert found.loc["mouth", "p"] == 1 / 20
    assert found.loc["left_eye", "p"] > 0.05
    with pytest.raises(ValueError, match="2 dealt heads have no spread"):
        decomposition.beyond_chance(dealt[0], dealt[1:3])


def test_a_region_that_is_not_there_has_no_p_and_hides_no_other() -> None:
    """Covered brows have no density: no p, and the others keep theirs."""
    rng = np.random.default_rng(4)
    heads = [_dense(rng, mouth=4.0), *(_dense(rng) for _ in range(10))]
    for head in heads:
        head.loc[head["region"].str.contains("brow"), ["area", "positive"]] = 0.0
    found = decomposition.beyond_chance(heads[0], heads[1:])["p"]
    assert found.isna().tolist() == ["brow" in name for name in found.index]
    assert found["mouth"] == 1 / 11
    assert found["nose"] > 1 / 11


def test_beyond_chance_keeps_its_level_where_nothing_was_learned() -> None:
    """The true head is one more deal: the smallest p of six regions is .1 or less in a tenth."""
    rng, small = np.random.default_rng(3), 0
    for _ in range(150):
        heads = [_dense(rng, people=3) for _ in range(10)]
        small += decomposition.beyond_chance(heads[0], heads[1:])["p"].min() <= 0.1
    assert 0.04 <= small / 150 <= 0.17
