"""Statistics against SciPy, pingouin, statsmodels and brute force; recovery; degenerate data."""

import itertools

import numpy as np
import pandas as pd
import pingouin as pg
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats as scipy_stats
from simulated import simulate_tables, tidy

from benchmarks import __main__ as benchmarks
from benchmarks import calibration
from expresso_lib import statistics
from expresso_lib.cohort import core
from expresso_lib.faces import action_units, anatomy
from expresso_lib.statistics import (
    bands,
    couplings,
    folds,
    hypotheses,
    intervals,
    lessons,
    permutations,
    prose,
    ranks,
    sensitivity,
    shifts,
    testing,
)

QUICK = statistics.Plan(permutations=499, bootstrap=499)


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.fixture(scope="module")
def planted():
    """AU12 lowers the score in everyone, AU09 goes with it more in the severe; 14 × 2 × 130."""
    return simulate_tables(
        participants=14,
        recordings=2,
        frames=130,
        coupling={"AU12": -0.6},
        severity_coupling={"AU09": 0.9},
        seed=4,
    )


@pytest.fixture(scope="module")
def windows(planted):
    return statistics.window_couplings(planted.attribution_frames, planted.action_units)


# Ranks


def test_max_rho_estimates_scipys_spearman_with_ties(rng):
    """Mid-ranks: the same rho as scipy.stats.spearmanr on tied data; none of a constant."""
    x, y = rng.integers(0, 5, (40, 2)).astype(float), rng.integers(0, 4, 40).astype(float)
    x[:, 1] = 3.0
    found = statistics.max_rho(x, y, n_permutations=0).estimate
    assert_allclose(found, [scipy_stats.spearmanr(x[:, 0], y).statistic, np.nan], rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=6, max_size=25), st.integers(2, 6))
def test_circular_ranks_equal_rankdata_of_every_window(values, window):
    """Sliding updates give SciPy's mid-ranks in every circular window, ties included."""
    series = np.array(values, dtype=float)
    found = shifts.circular_ranks(series, window)
    for t in range(len(series)):
        expected = ranks.standard_ranks(np.roll(series, -t)[:window])
        assert_allclose(found[t], expected, atol=1e-12)


# Couplings


def test_window_couplings_equal_a_scipy_loop(planted, windows):
    """Every defined window: spearmanr of its frames, then Fisher's z clipped at .999."""
    a = planted.wide.query("recording == 'P03_R2'")["AU06"].to_numpy()
    b = planted.attribution_frames.query("recording == 'P03_R2'")["attribution"].to_numpy()
    found = windows.query("recording == 'P03_R2' and au == 'AU06'")
    assert found["window"].tolist() == [0, 32, 64, 66]
    starts = found["window"]
    expected = [scipy_stats.spearmanr(a[s : s + 64], b[s : s + 64]).statistic for s in starts]
    assert_allclose(found["rho"], expected, rtol=1e-9)
    assert_allclose(found["z"], np.arctanh(np.clip(expected, -0.999, 0.999)), rtol=1e-9)


def test_window_couplings_match_by_frame_number_not_by_position(planted, windows):
    """Shuffled rows and dropped AU frames change nothing in windows that are complete."""
    shuffled = planted.action_units.sample(frac=1, random_state=1)
    shuffled = shuffled[~shuffled["frame"].isin([128, 129])]
    again = statistics.window_couplings(planted.attribution_frames, shuffled)
    both = windows.merge(again, on=["recording", "window", "au"], suffixes=("", "_again"))
    early = both[both["window"] < 64]
    assert len(early) == 14 * 2 * 2 * 17
    assert_allclose(early["z"], early["z_again"], rtol=1e-12)


def test_window_couplings_say_why_a_window_is_undefined():
    """A constant AU, a constant attribution and lost frames are told apart and never 0."""
    data = simulate_tables(participants=1, recordings=1, frames=192)
    units, frames = data.wide.copy(), data.attribution_frames.copy()
    units.loc[units["frame"] < 64, "AU04"] = 0.0
    units.loc[units["frame"] < 60, "AU05"] = np.nan
    frames.loc[frames["frame"] >= 128, "attribution"] = 1.0
    found = statistics.window_couplings(frames, tidy(units)).set_index(["au", "window"])
    assert found.loc[("AU04", 0), "reason"] == "constant AU"
    assert found.loc[("AU05", 0), "reason"] == "too few frames"
    assert found.loc[("AU12", 128), "reason"] == "constant attribution"
    assert np.isnan(found.loc[("AU04", 0), "z"])
    assert found.loc[("AU04", 64), "reason"] == ""
    table = statistics.undefined_windows(found.reset_index()).set_index("au")
    assert_allclose(table.loc["AU04", "undefined"], 2 / 5)


def test_window_couplings_pass_over_attribution_of_rounding_size():
    """Below .01 points within the window there is no z, and the person is not counted."""
    data = simulate_tables(participants=12, recordings=1, frames=128)
    frames = data.attribution_frames.copy()
    flat = frames["participant"] == "P03"
    part = frames.loc[flat, "attribution"]
    frames.loc[flat, "attribution"] = 0.0099 * (part - part.min()) / np.ptp(part)
    found = statistics.window_couplings(frames, data.action_units)
    assert set(found.loc[found["participant"] == "P03", "reason"]) == {"rounding"}
    assert "rounding" not in set(found.loc[found["participant"] != "P03", "reason"])
    rounding = found["reason"] == "rounding"
    assert_allclose(rounding.groupby(found["au"]).mean(), 1 / 12)
    assert (hypotheses.h1_coupling(found, plan=QUICK)["n_participants"] == 11).all()
    frames.loc[flat, "attribution"] *= 100
    again = statistics.window_couplings(frames, data.action_units)
    assert "rounding" not in set(again["reason"])


def test_window_couplings_refuse_tables_that_share_nothing(planted):
    """Names that differ are an error that says so, not an empty result."""
    other = planted.action_units.assign(recording="of " + planted.action_units["recording"])
    with pytest.raises(ValueError, match="share no"):
        statistics.window_couplings(planted.attribution_frames, other)


def test_window_couplings_given_the_confounder_vanish(rng):
    """An AU that goes with the attribution only through head pose has no partial coupling."""
    data = simulate_tables(participants=12, recordings=1, frames=192)
    pose = data.wide[["recording", "frame"]].assign(
        yaw=lessons.smooth_noise((12, 192), rng).ravel()
    )
    units = data.wide.assign(AU01=pose["yaw"] + 0.1 * rng.normal(size=len(pose)))
    frames = data.attribution_frames.assign(attribution=pose["yaw"].to_numpy() * 2)
    plain = statistics.window_couplings(frames, tidy(units)).query("au == 'AU01'")["rho"].mean()
    noisy = frames.assign(attribution=frames["attribution"] + rng.normal(size=len(frames)))
    given_pose = statistics.window_couplings(
        noisy, tidy(units), covariates=couplings.head_pose(pose)
    )
    assert plain > 0.9
    assert abs(given_pose.query("au == 'AU01'")["rho"].mean()) < 0.15


def test_wide_action_units_reads_presence_where_it_was_measured():
    """Presence comes from its own column; only where there is none from an intensity of 1."""
    keys = {"participant": "a", "recording": "a1", "frame": [0, 1]}
    units = pd.DataFrame({**keys, "au": "AU04", "intensity": [3.0, 0.0], "presence": [0.0, 1.0]})
    assert statistics.wide_action_units(units, value="presence")["AU04"].tolist() == [0.0, 1.0]
    for guessed in (units.assign(presence=np.nan), units.drop(columns="presence")):
        found = statistics.wide_action_units(guessed, value="presence")
        assert found["AU04"].tolist() == [1.0, 0.0]


def test_participant_couplings_average_recordings_before_people(windows):
    """A recording with more windows does not count for more."""
    long = windows.query("participant == 'P02' and au == 'AU20'")
    by_recording = long.groupby("recording")["z"].mean().mean()
    found = statistics.participant_couplings(windows).set_index(["participant", "au"])
    assert_allclose(found.loc[("P02", "AU20"), "z"], by_recording)


def test_participant_couplings_subtract_the_randomised_models():
    """z is trained minus the mean of the randomised."""
    data = simulate_tables(participants=3, recordings=1, frames=128, random_models=2)
    table = statistics.window_couplings(data.attribution_frames, data.action_units)
    means = table.groupby(["participant", "au", "model"])["z"].mean().unstack()
    found = statistics.participant_couplings(table).set_index(["participant", "au"])
    expected = means["trained"] - means[["random_1", "random_2"]].mean(axis=1)
    assert_allclose(found["z"], expected.reindex(found.index), rtol=1e-12)


def test_select_names_what_there_is(planted):
    """A baseline that was not run is an error with those that were; other columns are ignored."""
    rows = statistics.select(planted.attribution_frames, baseline="posed_neutral", nonsense="x")
    assert len(rows) == len(planted.attribution_frames)
    with pytest.raises(ValueError, match="posed_neutral"):
        statistics.select(planted.attribution_frames, baseline="zero")


# Permutations


def test_sign_flip_max_t_equals_brute_force(rng):
    """Eight people, three AUs: p and family-wise p over all 256 sign patterns."""
    z = rng.normal(0.2, 1, (8, 3))
    observed = np.abs(scipy_stats.ttest_1samp(z, 0).statistic)
    null = np.array(
        [
            np.abs(scipy_stats.ttest_1samp(z * np.array(s)[:, None], 0).statistic)
            for s in itertools.product([1, -1], repeat=8)
        ]
    )
    found = statistics.sign_flip_max_t(z)
    assert_allclose(found.p, (null >= observed - 1e-9).mean(axis=0))
    assert_allclose(found.p_max, (null.max(axis=1)[:, None] >= observed - 1e-9).mean(axis=0))


def test_sign_flip_p_is_never_zero(rng):
    """(1 + b) / (1 + B): with 199 flips the smallest p is 1 / 200."""
    found = statistics.sign_flip_max_t(rng.normal(5, 1, (20, 2)), n_flips=199)
    assert_allclose(found.p, 1 / 200)


def test_sign_flip_does_not_depend_on_the_order_of_members(rng):
    """Reordering AUs reorders p and changes nothing else."""
    z, order = rng.normal(0.1, 1, (15, 5)), [3, 1, 4, 0, 2]
    assert_allclose(
        statistics.sign_flip_max_t(z[:, order]).p_max, statistics.sign_flip_max_t(z).p_max[order]
    )


def test_simultaneous_interval_excludes_zero_exactly_where_p_max_is_small(rng):
    """Intervals and family-wise p tell the same story in 60 cohorts."""
    z = rng.normal(0.8, 1, (60, 13, 4))
    test = statistics.sign_flip_max_t(z, n_flips=399)
    low, high = test.interval(simultaneous=True)
    excludes = (low > 0) | (high < 0)
    assert 20 < excludes.sum() < 220
    np.testing.assert_array_equal(excludes, test.p_max <= 0.05)


def test_sign_flip_leaves_missing_participants_out(rng):
    """NaN in one AU: its t is that of the others."""
    z = rng.normal(0.2, 1, (14, 3))
    z[:4, 1] = np.nan
    found = statistics.sign_flip_max_t(z, n_flips=99)
    assert_allclose(found.statistic[1], scipy_stats.ttest_1samp(z[4:, 1], 0).statistic)


def test_sign_flip_refuses_one_participant():
    """One person is not a population, and the message says what to use."""
    with pytest.raises(ValueError, match="circular_shift"):
        statistics.sign_flip_max_t(np.ones((1, 4)))


def test_max_rho_equals_brute_force(rng):
    """Five people, all 120 orders: the Monte-Carlo p is within its error of the exact one."""
    x, score = rng.normal(size=(5, 2)), rng.normal(size=5)
    rho = [abs(scipy_stats.spearmanr(c, score).statistic) for c in x.T]
    null = np.array(
        [
            [abs(scipy_stats.spearmanr(c, p).statistic) for c in x.T]
            for p in itertools.permutations(score)
        ]
    )
    exact = [(null.max(axis=1) >= r - 1e-9).mean() for r in rho]
    found = statistics.max_rho(x, score, n_permutations=9999)
    assert_allclose(np.abs(found.estimate), rho)
    # Standard error of a share near .5 over 9,999 draws is .005.
    assert_allclose(found.p_max, exact, atol=0.02)


def test_max_rho_with_covariates_reports_the_partial_correlation(rng):
    """The statistic is pingouin's partial Spearman; what the covariate explains is not found."""
    score = rng.uniform(0, 45, 60)
    prediction = score + rng.normal(0, 5, 60)
    x = np.stack([prediction + rng.normal(0, 3, 60), score + rng.normal(0, 3, 60)], axis=1)
    found = statistics.max_rho(x, score, covariates=prediction[:, None], n_permutations=999)
    data = pd.DataFrame({"x": x[:, 1], "y": score, "c": prediction})
    theirs = pg.partial_corr(data, "x", "y", "c", method="spearman")["r"].iloc[0]
    assert_allclose(found.estimate[1], theirs, rtol=1e-6)
    assert found.p_max[0] > 0.05 > found.p_max[1]
    assert statistics.max_rho(x, score, n_permutations=99).p_max[0] <= 0.05


def test_permutation_orders_stay_within_blocks():
    """Scores shuffled within folds never leave their fold, and the first order is the data."""
    blocks = np.array([0, 0, 0, 1, 1, 2, 2])
    orders = permutations.permutation_orders(7, 50, blocks=blocks)
    assert orders[0].tolist() == list(range(7))
    assert (blocks[orders] == blocks).all()
    assert len(np.unique(orders, axis=0)) > 10


def test_circular_shift_equals_the_scipy_loop(rng):
    """Every shift of a recording with ties and still stretches, against spearmanr, at 1e-7."""
    units = np.round(np.abs(rng.normal(size=(83, 2))), 1)
    units[:40, 1] = 0
    attribution = rng.normal(size=83)
    found = statistics.circular_shift(units, attribution, window=12, step=5)
    starts = [*range(0, 83 - 12 + 1, 5), 71]
    for k, h in itertools.product(range(2), (0, 1, 17, 60, 82)):
        shifted = np.roll(units[:, k], -h)
        pairs = [(shifted[s : s + 12], attribution[s : s + 12]) for s in starts]
        z = [
            np.arctanh(np.clip(scipy_stats.spearmanr(a, b).statistic, -0.999, 0.999))
            for a, b in pairs
            if np.ptp(a) > 0
        ]
        assert_allclose(found.null[k, h], np.mean(z), atol=1e-7)
    bound = np.abs(found.null[0, 0]) - 1e-10
    assert_allclose(found.p[0], np.mean(np.abs(found.null[0]) >= bound))


def test_circular_shift_of_250_frames_has_a_smallest_p_of_one_in_250(rng):
    """A perfect alignment is beaten by no other shift: p = .004."""
    au = lessons.smooth_noise((250,), rng)
    found = statistics.circular_shift(au[:, None], 2 * au, window=64)
    assert_allclose(found.p, [0.004])


def test_circular_shift_answers_constant_and_refuses_broken_series(rng):
    """A constant AU has no p; lost frames, unequal and short series are named."""
    attribution = rng.normal(size=60)
    found = statistics.circular_shift(np.zeros((60, 1)), attribution, window=20)
    assert np.isnan(found.p[0])
    assert found.defined[0] == 0
    for units, length, word in (
        (np.ones((60, 1)), 20, "1 of them NaN"),
        (np.ones((59, 1)), 20, "59 and attribution of 60 frames"),
        (np.ones((60, 1)), 40, "two windows of 40"),
    ):
        series = attribution.copy()
        series[3] = np.nan if "NaN" in word else 0.0
        with pytest.raises(ValueError, match=word):
            statistics.circular_shift(units, series, window=length)


@pytest.mark.slow
def test_circular_shift_takes_a_long_recording(rng):
    """17 AUs, 500 windows and every one of 16,032 shifts; goal 7 of the benchmarks times it."""
    units, attribution = rng.normal(size=(16032, 17)), rng.normal(size=16032)
    found = statistics.circular_shift(units, attribution, window=64, step=32)
    assert found.null.shape == (17, 16032)
    assert found.defined[0] >= 499


# Shared fold models


def test_model_variance_recovers_what_was_simulated(rng):
    """Between-model variance .01 in 300 cohorts of 30 people, 3 × 5 models: within 10 %."""
    assigned = np.stack([rng.permutation(np.arange(30) % 5) for _ in range(3)])
    model = rng.normal(0, 0.1, (300, 3, 5))
    z = rng.normal(0, 0.15, (300, 1, 30)) + rng.normal(0, 0.05, (300, 3, 30))
    z = z + np.stack([model[:, r, assigned[r]] for r in range(3)], axis=1)
    assert_allclose(folds.model_variance(z[..., None], assigned).mean(), 0.01, rtol=0.1)


def test_fold_aware_t_is_the_plain_t_with_one_repeat(rng):
    """Without a second repeat models cannot be told from people: nothing is widened."""
    z = rng.normal(0.1, 0.2, (1, 20, 4))
    aware = folds.fold_aware_t(z, np.arange(20)[None] % 5)
    assert_allclose(aware, scipy_stats.ttest_1samp(z[0], 0).statistic)


def test_people_whom_some_repeat_misses_do_not_shrink_the_models_variance(rng):
    """30 % missing in one of three repeats: the t of those whom all repeats explain."""
    assigned = np.stack([rng.permutation(np.arange(60) % 5) for _ in range(3)])
    model = rng.normal(0, 0.1, (3, 5))
    z = rng.normal(0.05, 0.1, (1, 60)) + np.take_along_axis(model, assigned, axis=1)
    z = np.stack([z, z + 0.01], axis=-1)
    z[0, :18, 1] = np.nan
    found = folds.fold_aware_t(z, assigned)
    assert_allclose(found[0], folds.fold_aware_t(z[..., :1], assigned)[0])
    assert_allclose(found[1], folds.fold_aware_t(z[:, 18:, 1:], assigned[:, 18:])[0])
    z[0, 1:, 1] = np.nan
    assert folds.fold_aware_t(z, assigned)[1] == 0


@pytest.mark.parametrize("studentised", [False, True])
def test_a_correlation_of_few_people_is_judged_by_these_people(rng, studentised):
    """15 of 60 have a value: shuffled residuals are theirs, and 5 % of empty cohorts are found.

    With residuals of everybody 10 to 12 % were.
    """
    shape, fold = (400, 60), np.arange(60) % 5
    x, score, given = rng.normal(size=shape), rng.uniform(0, 45, shape), rng.normal(size=shape)
    x[:, :45] = np.nan
    x = x[:, rng.permutation(60)]
    test = statistics.max_rho(
        x[..., None], score, folds=fold, studentised=studentised, n_permutations=199,
        covariates=given[..., None] if studentised else None,
    )  # fmt: skip
    assert 0.02 < (test.p <= 0.05).mean() < 0.085


def test_a_member_of_three_people_does_not_spoil_its_family(rng):
    """Of three alike people a quarter of all flips are as large as can be."""
    people = [f"P{k:02d}" for k in range(40)]
    z = {"AU01": rng.normal(0.1, 0.1, 40), "AU04": np.r_[[0.2, 0.21, 0.19], np.full(37, np.nan)]}
    rows = [
        {"participant": one, "recording": one, "window": 0, "au": au, "z": value}
        for au, values in z.items()
        for one, value in zip(people, values)
    ]
    windows = pd.DataFrame(rows).assign(rho=0.1, n_frames=64, reason="")
    both = hypotheses.h1_coupling(windows).set_index("au")
    alone = hypotheses.h1_coupling(windows[windows["au"] == "AU01"]).set_index("au")
    names = ["p_max", "simultaneous_low", "simultaneous_high"]
    assert_allclose(both.loc["AU01", names].astype(float), alone.loc["AU01", names].astype(float))
    assert both.loc["AU04", "estimate"] == pytest.approx(0.2)
    assert both.loc["AU04", "note"] == "defined for 3 participants only"


# Intervals, equivalence, Bayes factors


@pytest.mark.parametrize("people", [10, 24])
def test_mean_interval_covers(people):
    """95 % intervals of 2,000 normal cohorts cover in 93.5 to 97 % (Monte-Carlo error .5)."""
    x = np.random.default_rng(people).normal(0.1, 0.2, (2000, people, 1))
    found = intervals.mean_interval(x, n_resamples=499)
    covered = ((found.low <= 0.1) & (found.high >= 0.1)).mean()
    assert 0.935 <= covered <= 0.97


def test_equivalence_agrees_with_two_one_sided_t_tests(rng):
    """The larger of two one-sided p, from SciPy, within the error of 9,999 flips."""
    x = rng.normal(0.02, 0.1, 25)
    lower = scipy_stats.ttest_1samp(x, -0.1, alternative="greater").pvalue
    upper = scipy_stats.ttest_1samp(x, 0.1, alternative="less").pvalue
    found = statistics.sign_flip_max_t(x[:, None], n_flips=9999).equivalence(0.1)
    assert_allclose(found, max(lower, upper), atol=0.002)


def test_bayes_factor_of_a_textbook_t():
    """t = 3.5, n = 20, paired: BF10 17.185 (pingouin's documentation, checked there against R)."""
    assert_allclose(intervals.bayes_factor_mean(3.5, 20), 17.185, rtol=1e-3)


def test_intervals_of_degenerate_data_are_nan_not_errors():
    """Constant values, nine participants, nothing at all: NaN, no warning, no exception."""
    constant = statistics.max_rho(np.ones((12, 1)), np.arange(12.0), n_permutations=99)
    assert np.isnan([constant.estimate, constant.p, constant.equivalence(0.3)]).all()
    assert np.isnan(np.concatenate(constant.interval())).all()
    assert np.isnan(intervals.bayes_factor_mean(1.0, 1))
    assert np.isnan(intervals.mean_interval(np.linspace(0, 1, 9)[:, None]).low[0])


# Hypotheses


def test_h1_finds_the_planted_coupling_and_its_sign(windows):
    """AU12 lowers the score: the only family-wise finding, negative, with q and BF to match."""
    found = hypotheses.results(hypotheses.h1_coupling(windows, plan=QUICK)).set_index("au")
    assert found.index[found["p_max"] <= 0.05].tolist() == ["AU12"]
    row = found.loc["AU12"]
    assert row["ci_high"] < row["simultaneous_high"] < 0
    assert row["bf10"] > 100
    assert row["p_equivalence"] > 0.9
    assert row["n_participants"] == 14
    assert row["n_recordings"] == 28
    assert row["n_windows"] == 14 * 2 * 4


def test_h1_p_t_is_pingouins(windows):
    """The t test beside it is pingouin's, on participants' z."""
    z = statistics.participant_couplings(windows).query("au == 'AU26'")["z"]
    row = hypotheses.h1_coupling(windows, plan=QUICK).set_index("au").loc["AU26"]
    assert_allclose(row["p_t"], pg.ttest(z, 0)["p_val"].iloc[0])
    assert_allclose(row["estimate"], z.mean())


def test_h1_with_repeated_folds_widens_the_interval():
    """A model with a quirk per fold: inference covers models drawn anew and is less sure."""
    data = simulate_tables(participants=12, recordings=1, repeats=3, fold_sd=0.6)
    table = statistics.window_couplings(data.attribution_frames, data.action_units)
    row = hypotheses.h1_coupling(table, plan=QUICK).set_index("au").loc["AU01"]
    z = statistics.participant_couplings(table).pivot(index="participant", columns="au", values="z")
    plain = intervals.mean_interval(z[["AU01"]].to_numpy())
    assert row["inference"] == "models drawn anew"
    assert row["ci_high"] - row["ci_low"] > 1.2 * (plain.high - plain.low)[0]


def test_declared_h1_asks_what_the_models_at_hand_are_asked(planted):
    """What shuffled networks give comes off the models of other folds, too; q asks once."""
    data = simulate_tables(participants=12, recordings=1, repeats=3, fold_sd=0.6)
    shown = data.attribution_frames
    first = shown[shown["repeat"] == 0].drop(columns=["repeat", "fold"])
    first = pd.concat([first.assign(model=name) for name in ("trained", "random_1")])
    head = first[["participant", "recording", "frame"]].drop_duplicates()
    away = np.random.default_rng(0).uniform(0, 0.3, len(head))
    head = head.assign(yaw=0.0, pitch=0.0, roll=0.0, gaze_away=away)
    people = data.participants
    said = people.assign(recording=people["participant"] + "_R1", clip="c", recipe="m", repeat=0,
                         fold=np.arange(12) % 4, prediction=people["score"] + 1.0)  # fmt: skip
    tests = testing.test_all(
        first, data.action_units, data.attribution_regions, people, said,
        frames=head, repeats=shown.assign(model="trained"), window=64, plan=QUICK,
    )  # fmt: skip
    assert (
        tests.anew["inference"]
        .eq("models drawn anew, less 1 randomised network of each person")
        .all()
    )
    gaze = tests.results.query("hypothesis == 'gaze'")["inference"].item()
    assert gaze == tests.anew["inference"].iloc[0], "asked as the action units are"
    assert tests.anew["estimate"].abs().max() < 0.3, "one of its repeats is the shuffled network"
    assert set(tests.results.loc[tests.results["status"] == "confirmatory", "hypothesis"]) > {"H1"}
    again = tests.results["hypothesis"].isin(["mixed", "gee", "mixed slope", "gee slope"])
    assert tests.results.loc[again, "q"].isna().all()
    side = sensitivity.side_by_side(tests.results)
    assert side.columns[0] == "p of mean: H1"
    assert_allclose(side.loc["AU01", "p of mean: H1"], tests.h1.set_index("au").loc["AU01", "p"])


def test_h2_finds_the_coupling_that_changes_with_severity(windows, planted):
    """AU09 couples more in the severe; a covariate that is not there is named."""
    found = hypotheses.h2_severity(windows, planted.participants, plan=QUICK)
    assert found.loc[found["p_max"] <= 0.05, "au"].tolist() == ["AU09"]
    row = found.set_index("au").loc["AU09"]
    z = statistics.participant_couplings(windows).query("au == 'AU09'")["z"].to_numpy()
    expected = scipy_stats.spearmanr(z, planted.participants["score"]).statistic
    assert_allclose(row["estimate"], expected)
    assert row["note"] == "covariates not in the data: prediction"
    assert row["adjusted"] > 0.8


def region_table(score, difference, log_enrichment):
    """One clip per participant; the same enrichment of both signs in the mouth, 0 elsewhere."""
    rows = []
    for i, d in enumerate(difference):
        for region in anatomy.REGIONS:
            value = log_enrichment[i] if region == "mouth" else 0.01 * np.sin(17 * i + len(region))
            rows.append(
                {
                    "participant": f"P{i}",
                    "recording": f"P{i}_R1",
                    "clip": 0,
                    "region": region,
                    "output": d + 5,
                    "output_baseline": 5.0,
                    "signed": 1.0,
                    "enrichment_positive": value,
                    "enrichment_negative": -value,
                }
            )
    people = pd.DataFrame({"participant": [f"P{i}" for i in range(len(score))], "score": score})
    return pd.DataFrame(rows), people.assign(age=people.index % 7, sex=people.index % 2)


def test_h3_does_not_find_what_the_prediction_explains(rng):
    """Enrichment that follows f(x) − f(x0) alone: a steep plain slope, nothing given it."""
    score = rng.uniform(0, 45, 40)
    difference = score + rng.normal(0, 6, 40)
    table, people = region_table(score, difference, 0.05 * difference + rng.normal(0, 0.3, 40))
    mouth = hypotheses.h3_regions(table, people, plan=QUICK).query("region == 'mouth'")
    assert (mouth["plain"].abs() > 0.6).all()
    assert (mouth["p_max"] > 0.05).all()


def test_h3_finds_what_goes_beyond_the_prediction(rng):
    """Enrichment that follows severity itself is found, with the right sign for R⁺ and R⁻."""
    score = rng.uniform(0, 45, 40)
    difference = score + rng.normal(0, 12, 40)
    table, people = region_table(score, difference, 0.05 * score + rng.normal(0, 0.2, 40))
    found = hypotheses.h3_regions(table, people, plan=QUICK)
    assert set(found["region"]) == set(anatomy.FEATURE_REGIONS)
    hit = found[found["p_max"] <= 0.05].set_index("sign")["estimate"]
    assert set(found.loc[found["p_max"] <= 0.05, "region"]) == {"mouth"}
    assert hit["positive"] > 0.5 > -0.5 > hit["negative"]


def test_h3_leaves_out_and_counts_people_whose_attribution_is_rounding(rng):
    """A participant whose regions hold .05 points a clip changes nothing but the note."""
    score, difference = rng.uniform(0, 45, 20), rng.normal(0, 12, 20)
    table, people = region_table(score, difference, rng.normal(size=20))
    flat = table["participant"] == "P7"
    table.loc[flat, "signed"] = 0.05 / len(anatomy.REGIONS)
    for test in (hypotheses.h3_regions, hypotheses.h3b_two_slopes):
        found, without = test(table, people), test(table[~flat], people)
        assert (found["n_participants"] == 19).all()
        assert_allclose(found["estimate"], without["estimate"])
        assert found["note"].str.contains("rounding: 1").all()
        assert (without["note"] == "").all()


def test_h3_answers_where_all_attribution_is_rounding(rng):
    """Nobody left: no exception, no estimate, and the note says why."""
    table, people = region_table(rng.uniform(0, 45, 12), rng.normal(size=12), rng.normal(size=12))
    for test in (hypotheses.h3_regions, hypotheses.h3b_two_slopes):
        found = test(table.assign(signed=0.0), people)
        assert found[["estimate", "p"]].isna().all().all()
        assert found["note"].str.contains("participants").all()


def test_h3b_estimates_equal_statsmodels_hc2(rng):
    """Estimate and HC2 standard error of the difference of slopes, against statsmodels."""
    score, given_, y = rng.uniform(0, 45, 30), rng.normal(size=30), rng.normal(size=30)
    z = (given_ - given_.mean()) / given_.std()
    low, high = np.minimum(score - 20, 0) / 10, np.maximum(score - 20, 0) / 10
    design = np.column_stack([np.ones(30), low, high, z, z**2])
    fit = sm.OLS(y, design).fit(cov_type="HC2")
    test = fit.t_test([0, -1, 1, 0, 0])
    estimate, error, freedom = hypotheses.contrast(design, y, np.array([0.0, -1, 1, 0, 0]))
    assert_allclose([estimate, error], [test.effect[0], float(np.squeeze(test.sd))], rtol=1e-6)
    assert 5 < freedom < 25


def test_h3b_takes_out_what_belongs_to_the_fold():
    """Where fold models differ and nobody within a fold does, there is no slope."""
    rng, fold = np.random.default_rng(3), np.arange(60) % 3
    score = 20 * fold + rng.uniform(-5, 5, 60) + 2
    y, control = 2.0 * fold + rng.normal(0, 0.1, 60), rng.normal(size=60)
    known, blind = (hypotheses.two_slopes(y, score, control, QUICK, folds=one).set_index("region")
                    for one in (fold, None))  # fmt: skip
    assert blind.loc["above", "p"] < 0.001
    assert known.loc["above", "p"] > 0.05
    assert known["ci_low"].notna().all()


def test_h1_says_which_randomised_networks_it_speaks_of():
    """They are the same for everybody, so what is found is found against these."""
    data = simulate_tables(participants=10, recordings=1, frames=64, random_models=2)
    windows = statistics.window_couplings(data.attribution_frames, data.action_units, window=64)
    found = hypotheses.h1_coupling(windows, plan=QUICK)
    assert (
        found["inference"]
        .eq("conditional on these models, less 2 randomised networks of each person")
        .all()
    )
    said = prose.coupled(found, 0.05)
    assert said.startswith(
        "In these models, 0 of 17 action units go with the attribution (after what"
    )
    assert "what 2 randomised networks of each person show is taken off" in said


@pytest.fixture
def mouth(monkeypatch):
    """The knee is asked of the mouth, where `region_table` plants, instead of the eyes."""
    monkeypatch.setattr(hypotheses, "EYES", ("mouth",))


@pytest.mark.usefixtures("mouth")
def test_h3b_sees_a_knee(rng):
    """Falling below 20 and rising above: both slopes and their difference are found."""
    score = np.linspace(1, 44, 40)
    table, people = region_table(score, rng.normal(size=40), 0.1 * np.abs(score - 20))
    found = hypotheses.h3b_two_slopes(table, people).query("sign == 'positive'")
    below, above, difference = found["estimate"]
    assert_allclose([below, above, difference], [-1, 1, 2], atol=1e-6)
    assert (found["p"] < 0.01).all()


@pytest.mark.usefixtures("mouth")
def test_h3b_of_nine_people_has_estimates_and_no_interval_of_any_kind(rng):
    """Neither a slope's own interval nor that of the family, by which claims are judged."""
    table, people = region_table(np.linspace(1, 44, 9), rng.normal(size=9), rng.normal(size=9))
    found = hypotheses.h3b_two_slopes(table, people)
    assert found["estimate"].notna().all()
    limits = ["ci_low", "ci_high", "simultaneous_low", "simultaneous_high", "p", "p_max"]
    assert found[limits].isna().all(axis=None)


def test_h4_equals_pingouins_welch_and_names_bands_left_out(windows, planted):
    """Welch's p by pingouin; a band of fewer than three people is left out and said so."""
    people = planted.participants
    row = hypotheses.h4_bands(windows, people).set_index("au").loc["AU09"]
    counts = people["band"].value_counts()
    small = set(counts.index[counts < 3])
    z = (
        statistics.participant_couplings(windows)
        .query("au == 'AU09'")
        .merge(people, on="participant")
    )
    kept = z[~z["band"].isin(small)]
    assert_allclose(row["p"], pg.welch_anova(kept, dv="z", between="band")["p_unc"].iloc[0])
    assert all(band in row["note"] for band in small)
    assert small


def test_h4_counts_the_people_who_are_in_the_test():
    """Twelve people, six of them in bands that are large enough: nothing is tested."""
    people = pd.DataFrame({"participant": [f"P{i:02d}" for i in range(12)], "score": range(12)})
    people["band"] = [*"aaabbbccddee"]
    z = np.where(people["score"] < 3, 0.1, 0.5) + np.linspace(0, 0.02, 12)
    rows = people.assign(recording=people["participant"], window=0, au="AU12", z=z, rho=z)
    found = hypotheses.h4_bands(rows.assign(n_frames=64, reason=""), people).iloc[0]
    assert found["n_participants"] == 6
    assert np.isnan(found["p"])


@pytest.mark.parametrize("frames", [8, 40])
def test_a_recording_that_allows_no_test_is_a_row_that_says_why(frames):
    """Too short for two windows, or without a measured action unit."""
    data = simulate_tables(participants=1, recordings=1, frames=frames)
    units = data.action_units if frames == 8 else data.action_units.assign(intensity=np.nan)
    [row] = hypotheses.h5_recording(data.attribution_frames, units, "P01_R1").to_dict("records")
    assert ("no circle" if frames == 8 else "no action unit") in row["note"]
    assert np.isnan(row["p"])


def test_the_severest_is_chosen_among_recordings_that_have_action_units(planted):
    """Whose tables are missing cannot be tested."""
    people = planted.participants.sort_values("score")
    worst, next_ = people["participant"].iloc[[-1, -2]]
    units = planted.action_units[planted.action_units["participant"] != worst]
    found = testing.severest(planted.attribution_frames, units, people)
    assert found.startswith(next_)
    assert testing.severest(planted.attribution_frames, planted.action_units, people).startswith(
        worst
    )


def test_who_has_no_score_is_nobodys_rank(windows, planted):
    """People without a score change nothing, rather than standing in the middle of the ranks."""
    people = planted.participants
    kept = people.iloc[:11]
    holes = people.assign(
        score=people["score"].where(people["participant"].isin(kept["participant"]))
    )
    columns = ["estimate", "n_participants", "p", "ci_low"]
    expected = hypotheses.h2_severity(
        windows[windows["participant"].isin(kept["participant"])], kept, plan=QUICK
    )
    for given_ in (holes, kept):
        found = hypotheses.h2_severity(windows, given_, plan=QUICK)
        assert_allclose(found[columns], expected[columns])


@pytest.mark.parametrize(("n", "seed"), [(20, 1), (84, 2)])
def test_bayes_factors_of_ranks_are_those_of_their_correlation(n, seed):
    """Without a covariate pingouin's, of Spearman's rho and the number of people."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(0, 45, n)
    z = 0.01 * score + rng.normal(0, 0.2, n)
    people = pd.DataFrame({"participant": [f"P{i:02d}" for i in range(n)], "score": score})
    rows = people.assign(recording=people["participant"], window=0, au="AU12", z=z, rho=z)
    found = hypotheses.h2_severity(rows.assign(n_frames=64, reason=""), people, plan=QUICK).iloc[0]
    rho = scipy_stats.spearmanr(score, z).statistic
    assert_allclose(found["bf10"], pg.bayesfactor_pearson(rho, n), rtol=1e-6)


def test_h5_finds_the_planted_au_in_one_recording(planted):
    """The planted AU12 has the smallest p of all in a recording of its own."""
    found = hypotheses.h5_recording(
        planted.attribution_frames, planted.action_units, "P05_R1", window=32
    )
    assert found.loc[found["p"].idxmin(), "au"] == "AU12"
    assert (found["inference"] == "this recording only").all()


def test_sensitivity_agrees_with_the_participants_mean(windows, planted):
    """Mixed-model and GEE intercepts of a balanced design equal the mean participant z."""
    one = windows[windows["au"] == "AU12"]
    found = sensitivity.sensitivity(one, planted.participants).set_index("hypothesis")
    mean = statistics.participant_couplings(windows).query("au == 'AU12'")["z"].mean()
    assert_allclose(found.loc[["mixed", "gee"], "estimate"], mean, atol=0.01)
    assert (found.loc[["mixed", "gee"], "p"] < 0.001).all()


def test_results_put_q_over_every_p_and_keep_the_columns(windows, planted):
    """One table, the documented columns, Benjamini–Hochberg as SciPy's."""
    table = hypotheses.results(
        hypotheses.h1_coupling(windows, plan=QUICK),
        hypotheses.h4_bands(windows, planted.participants),
    )
    assert tuple(table.columns) == hypotheses.COLUMNS
    known = table["p"].notna()
    expected = scipy_stats.false_discovery_control(table.loc[known, "p"])
    assert_allclose(table.loc[known, "q"], expected)


def test_rows_of_h1_are_those_of_models_drawn_anew():
    """Two sets of H1 in one table: the declared one is read; of H2 the only one."""
    rows = pd.DataFrame({"hypothesis": ["H1", "H1", "H2"], "au": "AU01"})
    rows["inference"] = [hypotheses.THESE, hypotheses.ANEW, hypotheses.THESE]
    assert statistics.rows_of(rows, "H1").index.tolist() == [1]
    assert statistics.rows_of(rows, "H2").index.tolist() == [2]
    untested = rows.assign(inference=hypotheses.THESE)  # too few people to draw models anew
    assert statistics.rows_of(untested, "H1").index.tolist() == [0]


# Degenerate data


def test_fewer_than_ten_participants_get_estimates_but_no_tests():
    """Six people: estimates stay, p and intervals are withheld, the note says why."""
    data = simulate_tables(participants=6, recordings=1, frames=90)
    table = statistics.window_couplings(data.attribution_frames, data.action_units)
    for found in (
        hypotheses.h1_coupling(table),
        hypotheses.h2_severity(table, data.participants),
        hypotheses.h3_regions(data.attribution_regions, data.participants),
        hypotheses.h3b_two_slopes(data.attribution_regions, data.participants),
    ):
        assert found[["p", "p_max", "ci_low"]].isna().all().all()
        assert found["note"].str.contains("participants").all()
    assert hypotheses.h1_coupling(table)["estimate"].notna().all()


def test_one_participant_is_answered_by_every_hypothesis():
    """One person: no exception anywhere, and H5 still speaks about the recording."""
    data = simulate_tables(participants=1, recordings=2, frames=90)
    table = statistics.window_couplings(data.attribution_frames, data.action_units, window=32)
    found = hypotheses.results(
        hypotheses.h1_coupling(table),
        hypotheses.h2_severity(table, data.participants),
        hypotheses.h3_regions(data.attribution_regions, data.participants),
        hypotheses.h4_bands(table, data.participants),
        sensitivity.sensitivity(table, data.participants),
        hypotheses.h5_recording(data.attribution_frames, data.action_units, "P01_R1", window=32),
    )
    assert found.query("hypothesis != 'H5'")["p"].isna().all()
    assert found.query("hypothesis == 'H5'")["p"].notna().all()


def test_all_windows_undefined_is_said_not_hidden():
    """An AU that never moves: no estimate, undefined share 1, the others unharmed."""
    data = simulate_tables(participants=11, recordings=1, frames=90)
    table = statistics.window_couplings(data.attribution_frames, tidy(data.wide.assign(AU04=0.0)))
    found = hypotheses.h1_coupling(table, plan=QUICK).set_index("au")
    assert found.loc["AU04", "undefined"] == 1.0
    assert np.isnan(found.loc["AU04", "p_max"])
    assert "0 participants" in found.loc["AU04", "note"]
    assert found.drop("AU04")["p_max"].notna().all()


def test_a_model_whose_attribution_stands_still_has_no_tests_and_stops_nothing():
    """It predicts a constant: every window is undefined, and every table is there."""
    data = simulate_tables(participants=11, recordings=1, frames=90)
    still = data.attribution_frames.assign(attribution=0.0)
    people = data.participants
    said = people.assign(recording=people["participant"] + "_R1", clip="c", recipe="m", repeat=0,
                         fold=np.arange(11) % 4, prediction=20.0)  # fmt: skip
    head = still[["participant", "recording", "frame"]].assign(yaw=0.0, pitch=0.0, roll=0.0)
    tests = testing.test_all(
        still, data.action_units, data.attribution_regions, people, said,
        frames=head, repeats=still.assign(model="trained", repeat=0, fold=0), window=64, plan=QUICK,
    )  # fmt: skip
    assert tests.h1["p"].isna().all()
    assert not tests.results["hypothesis"].str.contains("gee").any()


def test_one_score_for_all_refuses_severity_and_says_why(windows, planted):
    """Severity that does not vary cannot be correlated with anything."""
    same = planted.participants.assign(score=12.0, band="minimal")
    found = hypotheses.h2_severity(windows, same, plan=QUICK)
    assert found["p"].isna().all()
    assert found["note"].str.contains("does not vary").all()
    assert hypotheses.h4_bands(windows, same)["note"].str.contains("fewer than two bands").all()


# Repairs of release 0.1


def test_every_frame_enters_a_window(planted):
    """The last window is anchored at the end: frames 128 and 129 of 130 count."""
    frames = planted.attribution_frames
    found = statistics.window_couplings(frames, planted.action_units)
    assert found["window"].max() == 130 - 64
    assert (ranks.window_starts(128, 64) == [0, 32, 64]).all()
    assert (ranks.window_starts(40, 40) == [0]).all()


def test_the_same_series_is_tested_once_and_said(windows):
    """AU05 a rank copy of AU02: 16 tests, and the row that stays names the other."""
    copy = windows.query("au == 'AU02'").assign(au="AU05")
    table = pd.concat([windows.query("au != 'AU05'"), copy], ignore_index=True)
    found = hypotheses.h1_coupling(table, plan=QUICK)
    assert len(found) == 16
    assert "AU05" not in set(found["au"])
    assert "AU05 is the same series" in found.set_index("au").loc["AU02", "note"]


def test_h1_ranks_hold_the_planted_au_last(windows):
    """AU12 is the most negative of 17, but for one pair; what is not planted stays open."""
    found = hypotheses.h1_coupling(windows, plan=QUICK).set_index("au")
    assert found.loc["AU12", ["rank_low", "rank_high"]].tolist() == [16, 17]
    assert found.loc["AU26", "rank_low"] < found.loc["AU26", "rank_high"]
    assert (found["rank_high"] >= found["rank_low"]).all()


def test_equivalence_and_bayes_factor_count_only_people_with_a_value(windows):
    """Ten people more without a value change nothing."""
    people = [f"P{i + 1:02d}" for i in range(14)]
    scores = pd.DataFrame({"participant": people, "score": np.arange(14.0)})
    gone = windows.assign(z=windows["z"].where(windows["participant"] < "P11"))
    columns = ["estimate", "p_equivalence", "bf10", "n_participants"]
    plan = statistics.Plan(permutations=4999)
    found = hypotheses.h2_severity(gone, scores, plan=plan).set_index("au")
    kept = windows[windows["participant"] < "P11"]
    alone = hypotheses.h2_severity(kept, scores, plan=plan).set_index("au")
    assert (found["n_participants"] == 10).all()
    assert_allclose(found[columns].astype(float), alone[columns].astype(float), atol=0.03)


def test_h3_with_folds_is_not_fooled_by_their_models(rng):
    """Folds shift prediction and enrichment together: plain p small in most, ours in few."""
    hits = {"ours": 0, "blind": 0}
    for _ in range(40):
        fold = np.arange(60) % 5
        shift = rng.normal(0, 12, 5)[fold]
        score = rng.uniform(0, 20, 60) + 5 * fold
        enrichment = rng.normal(size=60) + 0.7 * fold
        table, people = region_table(score, shift, enrichment)
        quick = statistics.Plan(permutations=199)
        for name, known in (("ours", people.assign(fold=fold)), ("blind", people)):
            rows = hypotheses.h3_regions(table, known, plan=quick)
            row = rows.query("region == 'mouth' and sign == 'positive'").iloc[0]
            hits[name] += row["p"] <= 0.05
            excludes = row["ci_low"] > 0 or row["ci_high"] < 0
            assert excludes == (row["p"] <= 0.05)
    assert hits["ours"] <= 6
    assert hits["blind"] >= 15


def test_h3_holds_its_error_where_the_models_of_folds_differ():
    """600 cohorts with fold effects as in the calibration: ranks over all people err in 11 %."""
    rng, fold, hits = np.random.default_rng(11), np.arange(84) % 5, []
    for seed in range(12):
        cohorts = calibration.region_cohorts(rng, "fold effects", 84)
        enrichment, _, score, difference = cohorts
        found = statistics.max_rho(
            enrichment, score, covariates=difference[..., None], folds=fold, studentised=True,
            n_permutations=199, seed=seed,
        )  # fmt: skip
        hits.extend((found.p_max <= 0.05).any(axis=-1))
    assert np.mean(hits) <= scipy_stats.binom.isf(1e-3, len(hits), 0.05) / len(hits)


def test_h3_does_not_depend_on_where_a_fold_lies(rng):
    """A model that is off by a constant changes neither the correlation nor its p."""
    fold, score = np.arange(40) % 4, rng.uniform(0, 45, 40)
    x, given = rng.normal(size=(40, 3)), rng.normal(size=(40, 1))
    shift = np.array([-30.0, 0.0, 5.0, 90.0])[fold]
    found, again = (
        statistics.max_rho(x + 2 * s[:, None], score + s, covariates=given + s[:, None], folds=fold,
                           studentised=True, n_permutations=199)
        for s in (np.zeros(40), shift)
    )  # fmt: skip
    assert_allclose(found.estimate, again.estimate)
    assert_allclose(found.p_max, again.p_max)


def test_h3_prints_the_plain_p_beside(rng):
    """``p_plain`` is the family-wise p without studentising, on the same shuffles."""
    score, difference = rng.uniform(0, 45, 30), rng.normal(size=30)
    table, people = region_table(score, difference, rng.normal(size=30))
    found = hypotheses.h3_regions(table, people, plan=QUICK)
    wide = statistics.participant_regions(table)
    values = wide.drop(columns=[("given", "difference")]).to_numpy()
    people = people.set_index("participant").loc[wide.index]
    plain = statistics.max_rho(
        values, people["score"].to_numpy(), n_permutations=499,
        covariates=wide[[("given", "difference")]].to_numpy(),
    )  # fmt: skip
    assert_allclose(found["p_plain"], plain.p_max)
    assert (found["p_plain"] != found["p_max"]).any()


def test_the_plan_follows_the_scale():
    """PHQ-9: knee at 10, thresholds at 27/63 of BDI-II's; without bands the middle."""
    plan = statistics.Plan.of(object(), core.PHQ_9)
    assert (plan.knot, plan.span) == (10.0, 27.0)
    assert_allclose(
        [plan.rounding_window, plan.rounding_clip, plan.step, plan.point],
        np.array([0.01, 0.1, 10, 1]) * 27 / 63,
    )
    bare = statistics.Plan.of(object(), core.ScoreScale("intensity", 0, 2))
    assert bare.knot == 1.0
    assert statistics.Plan() == statistics.Plan.of(object(), core.BDI_II)


@pytest.mark.usefixtures("mouth")
def test_h3b_is_defined_on_a_scale_of_three_steps(rng):
    """RAVDESS' intensity, 0 to 2: a knee in the middle, a slope per third of a point."""
    score = np.repeat([0.0, 1.0, 2.0], 14)
    table, people = region_table(score, rng.normal(size=42), np.abs(score - 1))
    plan = statistics.Plan.of(object(), core.ScoreScale("intensity", 0, 2))
    found = hypotheses.h3b_two_slopes(table, people, plan=plan)
    below, above, difference = found.query("sign == 'positive'")["estimate"]
    assert_allclose([below, above, difference], np.array([-1, 1, 2]) * plan.step, atol=1e-6)


@pytest.mark.parametrize("unit", list(action_units.SCALES))
def test_silence_and_presence_follow_the_unit(unit):
    """Speech at a strong action is no silence, lips just still are; in every unit alike."""
    scale = action_units.scale_of(unit)
    frame = np.arange(60)
    lips = np.where(frame < 30, 0.9 * scale.still, scale.full)
    keys = {"participant": "a", "recording": "a1", "frame": frame, "au": "AU25"}
    table = pd.DataFrame(keys | {"intensity": lips, "unit": unit})
    silent = sensitivity.silent_frames(table, margin=3)
    assert (silent.to_numpy() == (frame < 27)).all()
    present = statistics.wide_action_units(table, value="presence")["AU25"]
    assert (present == (frame >= 30)).all()


def test_tables_of_two_units_keep_their_own_thresholds():
    """OpenFace's .6 of 5 is not visible, Py-Feat's probability of .6 is."""
    rows = pd.DataFrame(
        {
            "participant": ["a", "b"],
            "recording": ["a1", "b1"],
            "frame": 0,
            "au": "AU12",
            "intensity": 0.6,
            "unit": ["intensity, 0 to 5", "probability, 0 to 1"],
        }
    )
    found = statistics.wide_action_units(rows, value="presence")
    assert found.set_index("participant")["AU12"].to_dict() == {"a": 0.0, "b": 1.0}


def test_people_table_takes_the_first_repeats_fold():
    """Fold and error by hand; who was not predicted is missing, not dropped."""
    rows = pd.DataFrame(
        {
            "participant": ["a", "a", "b", "b"],
            "recording": ["a1", "a1", "b1", "b1"],
            "repeat": [0, 1, 0, 1],
            "fold": [3, 0, 4, 0],
            "prediction": [10.0, 14.0, 5.0, 5.0],
            "score": [10.0, 10.0, 8.0, 8.0],
        }
    )
    people = pd.DataFrame({"participant": ["a", "b", "c"], "score": [10, 8, 1]})
    found = bands.people_table(people, rows).set_index("participant")
    assert found["fold"].tolist()[:2] == [3, 4]
    assert found["error"].tolist()[:2] == [2.0, -3.0]
    assert found.loc["c", ["fold", "error"]].isna().all()


# Power, lessons, speech, the paper's view


def test_detectable_sizes_follow_the_spread_of_people():
    """84 people, correlation: .30 alone, .40 of 16; 24 people: z .06, .085 (spread .10)."""
    found = [statistics.detectable(84, kind="severity", family=k) for k in (1, 16)]
    assert_allclose(found, (0.30, 0.40), atol=0.012)
    found = [statistics.detectable(24, family=k) for k in (1, 17)]
    assert_allclose(found, (0.06, 0.085), atol=0.007)
    z = np.array([*[0.2, -0.2] * 6, np.nan])
    table = pd.DataFrame({"au": "AU01", "z": z})
    assert_allclose(statistics.observed_spread(table), np.nanstd(z, ddof=1))
    assert statistics.observed_spread(table.head(9)) == 0.10  # the assumed one


def test_power_at_no_effect_is_alpha_and_grows():
    """Power at 0 is alpha over the family; more people or more effect never lose."""
    curve = statistics.power_curve([24, 48], kind="severity")
    curve = curve[curve["effect"].round(6).isin([0, 0.3, 0.6])]
    table = curve.pivot_table(index=["n", "family"], columns="effect", values="power")
    assert_allclose(table.loc[(48, 1), 0.0], 0.05, atol=0.005)
    assert (table.diff(axis=1).iloc[:, 1:] > 0).all().all()
    assert (table.loc[48] >= table.loc[24] - 1e-3).all().all()


@pytest.mark.parametrize(
    ("lesson", "options"),
    [
        (lessons.windows_are_not_independent, {}),
        (lessons.raw_sums_must_grow, {}),
        (lessons.speech_is_a_common_cause, {}),
        (lessons.one_model_is_shared, {"participants": 80}),
        (lessons.many_tests, {}),
        (lessons.selecting_correct_invents_a_gradient, {}),
    ],
)
def test_lesson_shows_the_trap_and_the_way_out(lesson, options):
    """The first, naive way errs at least twice too often; ours within Monte-Carlo error of 5 %."""
    table = lesson(**options)
    assert table["false_positives"].iloc[0] > 0.10
    assert table.loc[~table["naive"], "false_positives"].max() <= 0.13
    assert table["naive"].iloc[0]


def test_speech_separability_flags_what_does_not_survive_silence():
    """AU26 goes with the attribution only while it speaks: flagged. AU12 is no AU of speech."""
    data = simulate_tables(participants=12, recordings=2, frames=256, coupling={"AU12": 0.5})
    units = data.wide.copy()
    talking = (units["frame"] // 64) % 2 == 0
    for au in ("AU25", "AU26"):
        units[au] = units[au].where(talking, 0.0) + talking * 0.6
    frames = data.attribution_frames.copy()
    frames["attribution"] += 0.8 * units["AU26"].to_numpy()
    found = sensitivity.speech_separability(frames, tidy(units), plan=QUICK).set_index("au")
    assert found.loc["AU26", "z_all"] > 0.3
    assert found.loc["AU26", "flag"] == "not separable from speech"
    assert found.loc["AU12", "flag"] == ""
    assert found.loc["AU12", "p_silent"] <= 0.05


def test_paper_bars_average_the_windows_of_correct_recordings(windows, planted):
    """By hand for one AU and band; a band without a correct recording is NaN, not absent."""
    errors = pd.DataFrame({"recording": windows["recording"].unique()})
    errors["error"] = np.where(errors["recording"].str.endswith("R1"), 4.9, -5.1)
    errors.loc[errors["recording"].isin(["P01_R1", "P02_R1"]), "error"] = 20.0
    bars = statistics.paper_bars(windows, planted.participants, errors).set_index(["au", "band"])
    severe = planted.participants.query("band == 'severe'")["participant"]
    chosen = windows[windows["participant"].isin(severe) & windows["recording"].str.endswith("R1")]
    by_hand = chosen.query("au == 'AU06'")["rho"].mean()
    assert_allclose(bars.loc[("AU06", "severe"), "mean"], by_hand)
    none = statistics.paper_bars(windows, planted.participants, errors.assign(error=99.0))
    assert none["mean"].isna().all()
    assert len(none) == 17 * planted.participants["band"].nunique()


# Calibration


def test_appendix_a_says_how_often_the_declared_test_of_regions_errs():
    """Its sentence is that of the committed calibrations, and 5 % lies within their chance."""
    lines = pd.DataFrame(benchmarks.read(benchmarks.COMMITTED))
    lines = lines[lines["test"].str.startswith("H3 enrichment", na=False)]
    assert set(lines["scenario"]) == set(calibration.REGIONS)
    low, high = 100 * lines["rate"].min(), 100 * lines["rate"].max()
    text = (benchmarks.ROOT / "notebooks" / "a_statistics.ipynb").read_text(encoding="utf-8")
    assert f"errs in {low:.1f} to {high:.1f} % of cohorts" in text
    # Bonferroni over the rows at 1 %.
    p = [scipy_stats.binomtest(round(rate * n), int(n), 0.05).pvalue
         for rate, n in zip(lines["rate"], lines["cohorts"])]  # fmt: skip
    assert min(p) > 0.01 / len(lines)


@pytest.mark.slow
def test_calibration_reports_ours_near_five_percent_and_the_naive_ways_far_off():
    """The quick benchmark: ours within what chance allows a rate of 5 % in so few cohorts."""
    lines = pd.DataFrame(calibration.run(quick=True))
    assert set(lines) >= {"test", "scenario", "n", "rate", "naive", "commit"}
    null = lines[~lines["naive"] & ~lines["test"].str.contains("finds|covers")]
    allowed = scipy_stats.binom.isf(1e-4, null["cohorts"], 0.05) / null["cohorts"]
    assert (null["rate"] <= allowed).all()
    assert lines.query("test == 'frames pooled'")["rate"].min() > 0.3
    assert lines[lines["test"].str.contains("covers")]["rate"].min() > 0.75
