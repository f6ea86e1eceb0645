"""Claims about `expresso_lib.decomposition`."""

import numpy as np
import pandas as pd
import pytest

from expresso_lib import anatomy, config, decomposition, stats

PEOPLE = 24


def _cohort(rng: np.random.Generator, r: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The mouth is all there is to the prediction, which correlates at r with the score."""
    score = rng.normal(size=PEOPLE)
    said = r * score + np.sqrt(1 - r**2) * rng.normal(size=PEOPLE)
    names = [f"P{i:02d}" for i in range(PEOPLE)]
    rows = pd.DataFrame({"participant": names, "clip": "c", "region": "mouth", "output": said + 3,
                         "output_baseline": 3.0, "positive": np.maximum(said, 0),
                         "negative": np.minimum(said, 0)})
    return rows, pd.DataFrame({"participant": names, "score": score})


def test_parts_cover_the_true_correlation_and_find_it() -> None:
    """Nominal 95 %: nine in ten hold the true r at 24 people, and an r of .6 is seen."""
    plan = stats.Plan.of(config.validate({"statistics": {"bootstrap": 300}}).statistics)
    rng, held, seen, ends = np.random.default_rng(0), 0, 0, []
    for _ in range(150):
        found = decomposition.parts(*_cohort(rng, 0.6), plan=plan).loc["mouth"]
        held += found["ci_low"] <= 0.6 <= found["ci_high"]
        seen += found["ci_low"] > 0
        ends.append(found["ci_high"] - found["ci_low"])
    assert held / 150 == pytest.approx(0.92, abs=0.05)
    assert seen / 150 > 0.85
    assert 0.4 < np.median(ends) < 0.7  # Fisher's is .55 wide


def test_parts_add_up_to_r_and_nothing_is_in_the_reference() -> None:
    """The estimates sum to Pearson's r; a constant f(x0) has part 0."""
    rows, people = _cohort(np.random.default_rng(1), 0.6)
    plan = stats.Plan.of(config.validate({"statistics": {"bootstrap": 300}}).statistics)
    found = decomposition.parts(rows, people, plan=plan)
    assert found.index.tolist() == ["mouth", "f(x0)"]
    r = np.corrcoef(rows["output"], people["score"])[0, 1]
    assert found["estimate"].sum() == pytest.approx(r)
    assert found.loc["f(x0)", "estimate"] == pytest.approx(0, abs=1e-12)


def test_beyond_chance_has_the_interval_of_a_mean_over_people() -> None:
    """The mouth is denser than under either head in everyone; the interval lies above zero."""
    rng = np.random.default_rng(2)

    def dense(mouth: float) -> pd.DataFrame:
        return pd.DataFrame([
            {"participant": f"P{who}", "recording": who, "region": name, "area": 10.0,
             "positive": rng.uniform(0.9, 1.1) * (mouth if name == "mouth" else 1.0),
             "negative": 0.0}
            for who in range(PEOPLE) for name in anatomy.REGIONS])

    plan = stats.Plan.of(config.validate({"statistics": {"bootstrap": 300}}).statistics)
    found = decomposition.beyond_chance(dense(3.0), [dense(1.0), dense(1.0)], plan=plan)
    assert found.index.tolist() == list(anatomy.FEATURE_REGIONS)
    assert found.loc["mouth", "ci_low"] > 0.8
    assert found["estimate"].idxmax() == "mouth"
    assert found.drop("mouth")["estimate"].abs().max() < 0.15
