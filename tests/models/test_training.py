"""Training: no participant on two sides, honest intervals, fits that stop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as sps
from sklearn.linear_model import Ridge

from expresso_lib import models
from expresso_lib.models import heads

P, R, K = 13, 2, 3  # participants, recordings each, clips each


@pytest.fixture
def table() -> pd.DataFrame:
    rows = [
        (f"P{p:02d}", f"P{p:02d}_R{r}", f"P{p:02d}_R{r}_{c:05d}", float(3 * p))
        for p in range(P)
        for r in range(R)
        for c in range(K)
    ]
    return pd.DataFrame(rows, columns=["participant", "recording", "clip", "score"])


@pytest.fixture
def schemes(table: pd.DataFrame) -> pd.DataFrame:
    names = np.sort(table["participant"].unique())
    return pd.concat(
        pd.DataFrame({"repeat": r, "participant": names, "fold": (np.arange(P) * 5 + r) % 4})
        for r in range(2)
    )


@pytest.fixture
def values(table: pd.DataFrame) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(len(table), 7))
    noise[:, 2] += table["score"] / 6
    return noise


class PictureClips:
    """Clips whose brightness is the score."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> torch.Tensor:
        noise = torch.rand(3, 4, 16, 16, generator=torch.Generator().manual_seed(int(index)))
        return 0.2 * noise + float(self.table["score"].iat[index]) / 50


def test_cross_validate_never_fits_on_the_tested_participant(table, schemes) -> None:
    """No participant on both sides, every clip predicted once per repeat."""
    people = table["participant"].to_numpy()

    def fit(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        assert not set(people[train]) & set(people[test])
        assert (train ^ test).all()
        return np.zeros(test.sum())

    predictions = models.cross_validate(table, schemes, "r", fit)
    assert (predictions.groupby(["repeat", "clip"]).size() == 1).all()
    assert len(predictions) == 2 * len(table)


def test_cross_validate_refuses_a_participant_in_two_folds(table, schemes) -> None:
    """A leak in the scheme stops before anything is fitted."""
    doubled = pd.concat([schemes, schemes.head(1).assign(fold=3)])
    with pytest.raises(ValueError, match="two folds"):
        models.cross_validate(table, doubled, "r", models.null_fit(table))
    with pytest.raises(ValueError, match="no fold"):
        models.cross_validate(table, schemes.iloc[1:], "r", models.null_fit(table))


def test_cross_validate_does_not_depend_on_order(table, schemes, values) -> None:
    """Participants in another order give the same predictions."""
    order = np.random.default_rng(1).permutation(len(table))
    shuffled = table.iloc[order].reset_index(drop=True)
    one = models.cross_validate(table, schemes, "r", models.ridge_fit(values, table))
    two = models.cross_validate(shuffled, schemes, "r", models.ridge_fit(values[order], shuffled))
    keys = ["repeat", "clip"]
    np.testing.assert_allclose(
        one.sort_values(keys)["prediction"], two.sort_values(keys)["prediction"], rtol=1e-6
    )


def test_fit_ridge_equals_scikit_learn_on_participant_means(table, values) -> None:
    """Known answer: sklearn's Ridge on standardised participant means at one of the penalties."""
    head = models.fit_ridge(values, table["score"].to_numpy(), table["participant"].to_numpy())
    means = pd.DataFrame(values).groupby(table["participant"]).mean().to_numpy()
    y = table.groupby("participant")["score"].first().to_numpy()
    z = (means - means.mean(0)) / means.std(0)
    usual = (z**2).sum() / min(P - 1, z.shape[1])
    others = [Ridge(alpha=one * usual).fit(z, y).predict(z) for one in heads.PENALTIES]
    found = head.predict(means)
    assert sum(np.allclose(found, other, rtol=1e-6, atol=0) for other in others) == 1


def test_fit_ridge_reads_scores_that_vary_within_people() -> None:
    """Everybody's scores average 1, so means over people hold nothing; their rows do."""
    rng = np.random.default_rng(5)
    score = np.tile([0.0, 1.0, 2.0, 1.0], 12)
    values = score[:, None] + rng.normal(0, 0.1, (48, 3))
    head = models.fit_ridge(values, score, np.repeat(np.arange(12), 4).astype(str))
    assert np.corrcoef(head.predict(values), score)[0, 1] > 0.9


def test_fit_ridge_ignores_a_unit_that_never_moves(table, values) -> None:
    """A constant column, or one at rounding error, gets weight 0."""
    wider = np.column_stack([values, np.full(len(values), 3.0), 1e-9 * values[:, 0]])
    head = models.fit_ridge(wider, table["score"].to_numpy(), table["participant"].to_numpy())
    np.testing.assert_allclose(head.weight[-2:], 0, atol=1e-12)


def test_null_fit_predicts_the_mean_of_training_participants(table, schemes) -> None:
    """Every participant counts once, and the tested ones do not count."""
    predictions = models.cross_validate(table, schemes, "null", models.null_fit(table))
    row = predictions.iloc[0]
    scheme = schemes[schemes["repeat"] == row["repeat"]]
    others = scheme.loc[scheme["fold"] != row["fold"], "participant"]
    expected = table[table["participant"].isin(others)].groupby("participant")["score"].first()
    np.testing.assert_allclose(row["prediction"], expected.mean())


def test_model_scores_match_their_definitions(table, schemes, values) -> None:
    """MAE, RMSE, r against NumPy and SciPy; CCC against Lin's (1989) formula; intervals hold."""
    fit = models.ridge_fit(values, table)
    predictions = models.cross_validate(table, schemes, "r", fit)
    scores = models.model_scores(predictions, draws=200)
    rows = models.by_level(predictions, "participant")
    x, y = rows["prediction"].to_numpy(), rows["score"].to_numpy()
    expected = {
        "mae": np.abs(x - y).mean(),
        "rmse": np.sqrt(((x - y) ** 2).mean()),
        "ccc": 2 * np.cov(x, y, ddof=0)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2),
        "pearson": sps.pearsonr(x, y).statistic,
    }
    found = scores[scores["level"] == "participant"].set_index("metric")
    for metric, value in expected.items():
        np.testing.assert_allclose(found.loc[metric, "estimate"], value, rtol=1e-6)
        assert found.loc[metric, "ci_low"] < value < found.loc[metric, "ci_high"]
    assert set(found["n_participants"]) == {P}
    few = predictions[predictions["participant"].isin(predictions["participant"].unique()[:9])]
    alone = models.model_scores(few, draws=200)
    assert alone["estimate"].notna().all()
    assert alone[["ci_low", "ci_high"]].isna().all(axis=None)


@pytest.mark.parametrize("said", [36.05, 17.3, 20.123, 0.0])
def test_a_model_that_says_one_number_agrees_with_nothing(said) -> None:
    """No correlation, a concordance of 0: a variance of rounding errors is none."""
    names = [f"P{i:02d}" for i in range(84)]
    table = pd.DataFrame({"participant": names, "recording": names, "clip": names, "repeat": 0})
    table = table.assign(recipe="m", prediction=said, score=np.arange(84) % 46)
    scores = models.model_scores(table, draws=100)
    found = scores[scores["level"] == "participant"].set_index("metric")
    assert np.isnan(found.loc["pearson", "estimate"])
    assert found.loc["ccc", "estimate"] == 0


def test_model_differences_are_paired_and_antisymmetric(table, schemes, values) -> None:
    """a − b is −(b − a); a model against itself differs by 0; a missing recipe is named."""
    one = models.cross_validate(table, schemes, "a", models.ridge_fit(values, table))
    two = models.cross_validate(table, schemes, "b", models.null_fit(table))
    both = pd.concat([one, two])
    forth = models.model_differences(both, [("a", "b"), ("a", "a")], draws=200)
    back = models.model_differences(both, [("b", "a")], draws=200)
    pick = lambda t: t[t["metric"] == "mae"].set_index("level")["estimate"]  # noqa: E731
    np.testing.assert_allclose(pick(forth.head(8)), -pick(back), rtol=1e-6)
    np.testing.assert_allclose(forth["estimate"].iloc[8:], 0, atol=1e-12)
    with pytest.raises(ValueError, match="'c' has no predictions"):
        models.model_differences(both, [("a", "c")])


@pytest.mark.slow
def test_intervals_cover_at_about_their_level() -> None:
    """95 % intervals of r cover the truth in 90 to 99 % of 200 cohorts of 24 (true r .6)."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        y = rng.normal(20, 10, 24)
        x = 20 + 0.6 * (y - 20) + rng.normal(0, 8, 24)
        names = [f"P{i:02d}" for i in range(24)]
        frame = pd.DataFrame({"recipe": "r", "participant": names, "recording": names})
        frame = frame.assign(clip=names, repeat=0, fold=0, prediction=x, score=y)
        scores = models.model_scores(frame, draws=300)
        row = scores[(scores["level"] == "participant") & (scores["metric"] == "pearson")].iloc[0]
        covered += row["ci_low"] <= 0.6 <= row["ci_high"]
    assert 0.90 <= covered / 200 <= 0.99


def test_conformal_interval_is_the_ranked_error(table) -> None:
    """With 13 participants the 90 % half width is the 13th smallest error, by definition."""
    rows = table.assign(recipe="r", repeat=0, fold=0, prediction=table["score"] + 1)
    rows.loc[rows["participant"] == "P03", "prediction"] += 9
    assert models.conformal_interval(rows)["half_width"] == pytest.approx(10)
    assert models.conformal_interval(rows.head(8))["half_width"] == float("inf")
    more = pd.concat([rows.assign(recording=rows["recording"] + f"_{k}") for k in range(3)])
    assert models.conformal_interval(more)["half_width"] == pytest.approx(10), "people count"
    again = pd.concat([rows, rows.assign(repeat=1, prediction=rows["score"])])
    assert models.conformal_interval(again)["half_width"] == pytest.approx(10), "one fit"


def test_scores_that_do_not_vary_have_no_slope(table) -> None:
    """Everybody has 20 points: what predictions do cannot follow that."""
    rows = table.assign(score=20.0, recipe="r", repeat=0, fold=0, prediction=table["score"])
    people = table[["participant"]].drop_duplicates().assign(band="mild")
    assert np.isnan(models.errors(rows, people).slope)


def test_finetune_learns_and_stops_by_other_participants(table) -> None:
    """The stopping participants' error falls below that of the start; the best epoch is kept."""
    model = models.build("small_image", frames=4, size=16)
    data = PictureClips(table)
    train, stop = np.arange(60), np.arange(60, len(table))
    options = models.FineTuning(parts=("head", "all"), epochs=3, learning_rate=5e-3)
    head = models.LinearHead(np.zeros(model.head.in_features), 20.0)
    curves = models.finetune(model, data, train, stop, options=options, head=head)
    assert list(curves["part"].unique()) == ["head", "all"]
    with torch.inference_mode():
        found = torch.stack([model(data[i][None])[0] for i in stop]).numpy()
    mae = np.abs(found - table["score"].to_numpy()[stop]).mean()
    last = curves[curves["part"] == "all"]["stop_mae"].min()
    np.testing.assert_allclose(mae, last, rtol=1e-3)


def test_finetune_learns_scores_that_vary_within_people(table) -> None:
    """Everybody has 0, 10 and 20: to answer 10 errs by 6.7, though nobody's mean is off."""
    table = table.assign(score=10.0 * (table.groupby("participant").cumcount() % 3))
    model, data = models.build("small_image", frames=4, size=16), PictureClips(table)
    train, stop = np.arange(60), np.arange(60, len(table))
    options = models.FineTuning(parts=("all",), epochs=6, learning_rate=5e-3)
    head = models.LinearHead(np.zeros(model.head.in_features), 10.0)
    curves = models.finetune(model, data, train, stop, options=options, head=head)
    assert curves["train_rmse"].iloc[0] > 5
    assert curves["best_mae"].iloc[-1] < 5


def test_finetune_changes_nothing_below_the_part_that_it_fits(table) -> None:
    """What lies below the last block stays as it came."""
    model = models.build("small", frames=4, size=16)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    options = models.FineTuning(parts=("last",), epochs=3, learning_rate=1e-3)
    head = models.LinearHead(np.full(model.head.in_features, 0.1), -50.0)
    train, stop = np.arange(60), np.arange(60, len(table))
    models.finetune(model, PictureClips(table), train, stop, options=options, head=head)
    same = {name: torch.equal(value, before[name]) for name, value in model.state_dict().items()}
    assert all(kept for name, kept in same.items() if name.startswith("stages.0"))
    assert not any(kept for name, kept in same.items() if name.startswith(("stages.1", "head")))


def test_finetune_fits_a_body_that_its_maker_had_frozen(table) -> None:
    """A factory for linear probes freezes its body: "all" means all, or the page says too much."""
    model = models.build("small", frames=4, size=16)
    model.stages.requires_grad_(False)
    before = {name: value.clone() for name, value in model.named_parameters()}
    options = models.FineTuning(parts=("all",), epochs=3, learning_rate=1e-3)
    head = models.LinearHead(np.full(model.head.in_features, 0.1), -50.0)
    train, stop = np.arange(60), np.arange(60, len(table))
    models.finetune(model, PictureClips(table), train, stop, options=options, head=head)
    changed = {name for name, value in model.named_parameters() if not value.equal(before[name])}
    assert any(name.startswith("stages.0") for name in changed)


def test_finetune_refuses_to_stop_by_those_it_trains_on(table) -> None:
    """Early stopping on a training participant would be a leak."""
    model = models.build("small_image", frames=4, size=16)
    how = {"options": models.FineTuning(), "head": models.LinearHead(1.0, 20.0)}
    with pytest.raises(ValueError, match="both train and stop"):
        models.finetune(model, PictureClips(table), np.arange(8), np.arange(7, 12), **how)


def test_features_equal_the_network_below_the_boundary(table) -> None:
    """Cached and uncached outputs agree, at both boundaries."""
    model, data = models.build("small", frames=4, size=16), PictureClips(table.head(3))
    x = torch.stack([data[i] for i in range(3)])
    for until in ("head", "last"):
        cached = torch.from_numpy(models.features(model, data, until=until, batch=2))
        with torch.inference_mode():
            torch.testing.assert_close(model.finish(cached, since=until), model(x))


def test_recipe_names_differ_whenever_recipes_do() -> None:
    """Any field changes the name, except the fold scheme, which the table holds."""
    base = models.Recipe()
    changes = {"model": "r3d_18", "weights": "none", "input": "composite", "frames": 16}
    changes |= {"variant": "null", "seed": 1, "fit": "last", "cohort": "cremad"}
    names = {models.Recipe(**{key: value}).name for key, value in changes.items()}
    assert len(names | {base.name}) == len(changes) + 1
    assert list(models.recipes_table([base])["recipe"]) == [base.name]


def people(n: int = 24) -> pd.DataFrame:
    bands = np.array(["minimal", "mild", "moderate", "severe"])[np.arange(n) % 4]
    return pd.DataFrame(
        {
            "participant": [f"P{i:02d}" for i in range(n)],
            "band": bands,
            "score": 10.0 * (np.arange(n) % 4) + np.arange(n) / n,
        }
    )


@settings(max_examples=40)
@given(n=st.integers(4, 40), k=st.integers(2, 6), seed=st.integers(0, 99))
def test_folds_are_level_in_all_and_in_every_band(n, k, seed):
    """Everyone once; sizes differ by at most one over all and within each band."""
    k = min(k, n)
    table = people(n)
    dealt = models.folds(table, k, seed=seed)
    assert sorted(dealt["participant"]) == sorted(table["participant"])
    sizes = dealt["fold"].value_counts().reindex(range(k), fill_value=0)
    assert sizes.max() - sizes.min() <= 1
    merged = dealt.merge(table)
    for _, part in merged.groupby("band"):
        counts = part["fold"].value_counts().reindex(range(k), fill_value=0)
        assert counts.max() - counts.min() <= 1


def test_folds_follow_the_seed_not_the_order():
    """The same seed deals the same; another seed otherwise; a second row is refused."""
    table = people()
    pd.testing.assert_frame_equal(models.folds(table, 4, seed=1), models.folds(table, 4, seed=1))
    assert (models.folds(table, 4, seed=1) != models.folds(table, 4, seed=2)).any(axis=None)
    with pytest.raises(ValueError, match="two rows"):
        models.folds(pd.concat([table, table[:1]]), 4, seed=1)
    with pytest.raises(ValueError, match="30 folds of 24"):
        models.folds(table, 30, seed=0)
