"""Claims about `expresso_lib.faithfulness`, on networks wired by hand: their use is known."""

import logging

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from expresso_lib import attribution, faithfulness
from expresso_lib.faces import anatomy
from expresso_lib.faithfulness import controls, interventions, metrics, trials

PEOPLE, T, SIDE = 14, 16, 24
# Where the three factors show in the picture, and what a point of brightness there is worth.
PLACES = {"brows": (slice(2, 6), slice(4, 20)), "lids_gaze": (slice(7, 10), slice(4, 20)),
          "smile": (slice(16, 22), slice(7, 17))}  # fmt: skip
WORTH = {"brows": -30.0, "lids_gaze": 0.0, "smile": 50.0}


class Wired(nn.Module):
    """f(x) = sum over places of worth × mean brightness, the smile only in the clip's first half.

    No training: the use of every factor, in place and in time, is known. Written as a convolution
    and a rectifier, so that every method has layers to work on.
    """

    def __init__(self):
        super().__init__()
        weights = torch.zeros(1, 3, T, SIDE, SIDE)
        for factor, (rows, columns) in PLACES.items():
            pixels = (rows.stop - rows.start) * (columns.stop - columns.start)
            weights[..., rows, columns] = WORTH[factor] / (3 * T * pixels)
        weights[:, :, T // 2 :, PLACES["smile"][0], PLACES["smile"][1]] = 0
        self.read = nn.Conv3d(1, 1, 1)
        nn.init.ones_(self.read.weight)
        nn.init.zeros_(self.read.bias)
        self.bright = nn.ReLU()
        self.register_buffer("weights", weights)

    def forward(self, clips):
        flat = clips.flatten(0, 1)[:, None]
        seen = self.bright(self.read(flat)).view_as(clips)
        return 10 * (seen * self.weights).sum(dim=(1, 2, 3, 4)) + 5


def _regions():
    labels = np.full((T, SIDE, SIDE), anatomy.REGIONS.index("face_rest"))
    for factor, (rows, columns) in PLACES.items():
        labels[:, rows, columns] = anatomy.REGIONS.index(anatomy.FACTOR_REGIONS[factor][0])
    return labels


def _scene(person, rng):
    """A calm face, on which each factor lights its place up in a stretch of time of its own."""
    calm = torch.from_numpy(rng.uniform(0.2, 0.3, (3, 1, SIDE, SIDE))).float()
    plain = calm[None].expand(1, 3, T, SIDE, SIDE)
    names, lit, activity = list(anatomy.FACTORS), {}, {}
    for factor in names:
        course = np.zeros(T)
        start, length = rng.integers(0, T - 4), rng.integers(3, 8)
        course[start : start + length] = rng.uniform(0.3, 1)
        activity[factor] = course if factor in PLACES else np.zeros(T)
        lit[factor] = torch.zeros_like(plain)
        if factor in PLACES:
            # How bright it gets differs between people and is no part of the amount.
            light = torch.from_numpy(rng.uniform(0.1, 0.6) * course).float()
            rows, columns = PLACES[factor]
            lit[factor] = lit[factor].clone()
            lit[factor][..., rows, columns] = light[:, None, None]
    clip = plain + sum(lit.values())
    return interventions.Scene(
        participant=person, recording=f"{person}_R1", clip=clip,
        calm=calm[None].repeat(3, 1, 1, 1, 1), regions=_regions(),
        without={k: clip - lit[k] for k in names},
        only={k: plain + lit[k] for k in interventions.PLACED}, activity=activity, still=plain,
    )  # fmt: skip


@pytest.fixture(scope="module")
def scenes():
    rng = np.random.default_rng(0)
    return [_scene(f"P{i:02d}", rng) for i in range(PEOPLE)]


CHANNELS = (
    ("DeepLift", "own_neutral"), ("IntegratedGradients", "own_neutral"),
    ("ExpectedGradients", "calm_frames"), ("Occlusion", "own_neutral"),
    ("ShapleySampling", "own_neutral"), ("ShapleySampling", "own_neutral", "stretches"),
    ("DeepLift", "zero"), ("Saliency", "own_neutral"),
)  # fmt: skip


@pytest.fixture(scope="module")
def rows(scenes):
    return faithfulness.examine(Wired().eval(), scenes, CHANNELS, closer=True, randomised=2,
                                depths=[-1], samples=6, steps=4)  # fmt: skip


@pytest.fixture(scope="module")
def table(rows):
    return faithfulness.table(rows, recipe="wired", draws=200)


EXACT = [channel[:2] for channel in CHANNELS[:5]]


@pytest.mark.parametrize(("method", "baseline"), [*EXACT, controls.TRUTH])
@pytest.mark.parametrize(
    ("metric", "support", "least"),
    [
        ("interventional_fidelity", "changed", 0.99),
        ("interventional_rank", "changed", 0.85),
        ("share_fidelity", "changed", 0.99),
        ("interventional_fidelity", "region", 0.99),
        ("fidelity_given_amount", "changed", 0.98),
        ("sign", "changed", 1.0),
    ],
)
def test_every_complete_method_passes_on_a_network_wired_by_hand(
    table, method, baseline, metric, support, least
):
    """The absolute control: three factors whose use is known exactly."""
    row = metrics.cell(table, method, baseline, metric, support=support)
    assert row["estimate"] >= least
    assert (row["n_participants"], row["n_clips"]) == (PEOPLE, PEOPLE)
    if metric == "interventional_fidelity":
        control = faithfulness.strongest_control(table, metric, support=support)
        assert row["ci_low"] > abs(control["estimate"])
        slope = metrics.cell(table, method, baseline, "interventional_slope", support=support)
        assert slope["estimate"] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("method", "baseline"), [w for w in EXACT if w[0] != "Occlusion"])
@pytest.mark.parametrize("truth", ["rendered", "replaced"])
def test_complete_methods_know_when_the_wired_network_looks(table, method, baseline, truth):
    """The smile counts in the first half only, the brows throughout: time says so."""
    row = metrics.cell(table, method, baseline, "time_fidelity", support=truth)
    least = (
        0.9 if method == "ShapleySampling" else 0.99
    )  # by quarters of the clip, asked by eighths
    assert row["estimate"] > least
    by_stretch = metrics.cell(
        table, "ShapleySampling (stretches)", "own_neutral", "time_fidelity", support=truth
    )
    assert by_stretch["estimate"] > 0.999
    control = faithfulness.strongest_control(table, "time_fidelity", support=truth)
    assert abs(control["estimate"]) < row["ci_low"]


def test_the_effects_are_those_that_were_wired(scenes):
    """By hand: worth × brightness, over the frames that are read; shares are effects here."""
    scene = scenes[0]
    found = {one.factor: one for one in interventions.effects(Wired().eval(), scene)}
    for factor, (r, c) in PLACES.items():
        light = (scene.clip - scene.without[factor])[0, 0, :, r, c].mean(dim=(1, 2))
        read = light[: T // 2].sum() if factor == "smile" else light.sum()
        expected = 10 * WORTH[factor] * float(read) / T
        assert_allclose(found[factor].effect, expected, atol=1e-3)
        assert_allclose(found[factor].share, expected, atol=1e-3)
        assert_allclose(found[factor].amount, scene.activity[factor].mean())
    assert np.isnan(found["head_motion"].share)
    when = interventions.by_stretch(Wired().eval(), scene)
    whole = sum(one.effect for one in found.values())
    for truth in ("rendered", "replaced"):
        assert_allclose(when[truth].sum(), whole, atol=1e-3)


def test_the_papers_reference_and_a_method_without_points_are_found_out(table):
    """Black asks another question; a gradient has no slope of 1; neither is said to hold."""
    verdicts = faithfulness.trust_table(table).set_index(["method", "reference"])
    asked = "what taking it out does"
    assert verdicts.loc[("DeepLift", "own neutral face, held still"), asked] == "yes"
    assert verdicts.loc[("DeepLift", "black picture"), asked] == "no"
    assert verdicts.loc[("Saliency", "own neutral face, held still"), asked] == "no"
    assert (verdicts["people"] == PEOPLE).all()


@pytest.mark.parametrize(("truth", "answer"), [(1.0, "yes"), (0.6, "no"), (1.2, "yes")])
def test_points_are_held_against_those_of_the_truth(table, truth, answer):
    """Where overlap shrinks the truth's own slope, a slope of 1 says too much."""
    slope = table["metric"] == "interventional_slope"
    painted = slope & (table["method"] == controls.TRUTH[0])
    parted = table.assign(estimate=table["estimate"].mask(painted, truth))
    verdicts = faithfulness.trust_table(parted).set_index(["method", "reference"])
    assert (
        verdicts.loc[("DeepLift", "own neutral face, held still"), "what taking it out does"]
        == answer
    )


def test_no_interval_and_no_verdict_from_fewer_than_ten(rows):
    """Nine people: estimates stay, intervals and answers are withheld."""
    few = rows[rows["participant"].isin([f"P{i:02d}" for i in range(9)])]
    table = faithfulness.table(few, draws=50)
    assert table.loc[table["method"] != "randomised", ["ci_low", "ci_high"]].isna().all(axis=None)
    row = metrics.cell(table, "DeepLift", "own_neutral", "interventional_fidelity")
    assert row["estimate"] > 0.99
    assert row["n_participants"] == 9
    answers = faithfulness.trust_table(table)[list(faithfulness.QUESTIONS)]
    assert answers.isin(["too few people", "not measured"]).all(axis=None)


def test_sign_is_asked_of_effects_that_matter_on_the_scores_scale(rows):
    """On a scale a hundred times as wide nothing is large enough to have a sign."""
    narrow, wide = (faithfulness.table(rows, score_range=r, draws=20) for r in (60, 1e6))
    right = metrics.cell(narrow, "DeepLift", "own_neutral", "sign")
    assert right["estimate"] == 1
    assert np.isnan(metrics.cell(wide, "DeepLift", "own_neutral", "sign")["estimate"])


def test_pooled_all_is_pooled_with_the_head(rows):
    """A head that the explanation has wrong shows in pooled_all, not in pooled."""
    own = (rows["method"] == "DeepLift") & (rows["baseline"] == "own_neutral")
    head = own & (rows["factor"] == "head_motion") & (rows["support"] == "changed")
    rng = np.random.default_rng(3)
    wrong = rows.copy()
    wrong.loc[head, "effect"] = rng.normal(0, 30, head.sum())
    before, after = (faithfulness.table(one, draws=20) for one in (rows, wrong))
    found = [
        [metrics.cell(one, "DeepLift", "own_neutral", "interventional_fidelity",
                           factor=factor)["estimate"] for factor in ("pooled", "pooled_all")]
        for one in (before, after)
    ]  # fmt: skip
    assert found[0][0] == pytest.approx(found[1][0])
    assert found[1][1] < 0.7 < found[0][1]


def test_pixels_of_two_factors_are_counted_once(scenes):
    """Both change a pixel, one three times as much: it gets three quarters of it."""
    effects = [
        interventions.Effect(name, 1.0, 1.0, np.full((1, 2, 2), change), np.full((1, 2, 2), place),
                             0.5)
        for name, change, place in (("brows", 0.3, 0.2), ("head_motion", 0.1, 0.6))
    ]  # fmt: skip
    parted = metrics.weights(effects)
    assert_allclose(parted["changed"][0], 0.75)
    assert_allclose(parted["region"][1], 0.75)
    assert_allclose(np.sum(parted["changed"], axis=0), 1)


def test_a_reference_that_moves_its_head_says_of_the_head_what_its_own_score_says(scenes):
    """The head takes no pixels from others there, and its points are those handed over."""
    whole = np.ones((T, SIDE, SIDE))
    effects = [
        interventions.Effect(name, 1.0, 1.0, change * whole, whole, 0.5)
        for name, change in (("brows", 0.3), ("head_motion", 0.1))
    ]  # fmt: skip
    maps = {
        ("DeepLift", name): np.ones((T, SIDE, SIDE)) for name in ("own_neutral", "posed_neutral")
    }
    heads = {("DeepLift", "posed_neutral"): -7.5}
    found = metrics.evidence(maps, scenes[0], effects, heads=heads)
    said = found[found["support"] == "changed"].set_index(["baseline", "factor"])["said"]
    assert_allclose(
        said["own_neutral"][["brows", "head_motion"]], [0.75 * T * SIDE**2, 0.25 * T * SIDE**2]
    )
    assert_allclose(said["posed_neutral"][["brows", "head_motion"]], [T * SIDE**2, -7.5])


def test_intervals_are_over_participants(rows):
    """Every clip twice is no more people: the interval stays, the number of clips doubles."""
    again = pd.concat([rows, rows.assign(clip=rows["clip"] + "b")])
    one, two = (
        metrics.cell(faithfulness.table(r, draws=100), "edge", "none",
                          "interventional_fidelity") for r in (rows, again)
    )  # fmt: skip
    assert_allclose(
        one[["ci_low", "ci_high"]].astype(float), two[["ci_low", "ci_high"]].astype(float)
    )
    assert two["n_clips"] == 2 * one["n_clips"]


def test_the_usual_effect_is_learnt_from_other_participants():
    """Known answer: everybody's smile is worth 3 points per amount, but P1's is worth 9."""
    rows = pd.DataFrame(
        {
            "participant": ["P0", "P1", "P2"], "factor": "smile", "support": "changed",
            "method": "amount", "amount": [1.0, 2.0, 3.0], "effect": [3.0, 18.0, 9.0],
        }
    )  # fmt: skip
    found = controls.usual(rows)
    assert_allclose(found["said"].iloc[1], 2 * 3)
    assert_allclose(found["said"].iloc[0], (2 * 18 + 3 * 9) / (4 + 9))


def test_the_control_of_the_head_knows_what_a_turning_reference_knows():
    """Of the head what a posed reference says, of the rest what others are worth; no map."""
    one = {"participant": ["P0", "P1", "P2"], "clip": ["c0", "c1", "c2"], "support": "changed"}
    parts = [
        pd.DataFrame(one | {"method": "amount", "baseline": "none", "factor": factor, "said": 1.0,
                            "amount": [1.0, 2.0, 3.0], "effect": [3.0, 18.0, 9.0]})
        for factor in ("smile", "head_motion")
    ]  # fmt: skip
    head = {"factor": "head_motion", "amount": 1.0, "effect": 1.0, "baseline": "posed_neutral"}
    told = {"LayerGradCam": [99.0] * 3, "DeepLift": [1.0, 2.0, 4.0]}
    parts += [pd.DataFrame(one | head | {"method": name, "said": told[name]}) for name in told]
    rows = pd.concat(parts, ignore_index=True)
    usual = controls.usual(rows)
    found = controls.with_head(usual, rows).set_index("factor")["said"]
    assert found["head_motion"].tolist() == [1.0, 2.0, 4.0]
    assert_allclose(found["smile"], usual.loc[usual["factor"] == "smile", "said"])
    assert controls.with_head(usual, rows[rows["method"] == "amount"]).empty


def test_what_others_are_worth_may_not_count_against_an_explanation():
    """Left out of the others' mean, a large effect lowers it: noise alone gives r below 0."""
    rng = np.random.default_rng(0)
    rows = [
        {"participant": f"P{k}", "clip": f"P{k}", "method": "amount", "baseline": "none",
         "factor": "smile", "support": "changed", "said": 1.0, "metric": "evidence",
         "effect": effect, "share": np.nan, "value": np.nan, "amount": 1.0}
        for k, effect in enumerate(rng.normal(5, 1, 40))
    ]  # fmt: skip
    table = faithfulness.table(pd.DataFrame(rows), draws=20)
    found = metrics.cell(table, "usual", "none", "interventional_fidelity", factor="smile")
    assert found["estimate"] < -0.3
    best = faithfulness.strongest_control(table, "interventional_fidelity", factor="smile")
    assert abs(best["estimate"]) < 0.3
    given = (table["method"] == "usual") & (table["metric"] == "fidelity_given_amount")
    assert not given.any()


def test_noise_is_another_one_in_every_clip(rows):
    """Crops are aligned: the same noise for everybody would be an explanation of sorts."""
    asked = (rows["method"] == "random") & (rows["support"] == "changed")
    said = rows.loc[asked & rows["factor"].isin(PLACES), ["factor", "said"]]
    assert (said.groupby("factor")["said"].nunique() > PEOPLE / 2).all()


def test_scores_do_not_hang_on_the_unit(rows, table):
    """A network that answers in billionths is judged like one that answers in points."""
    small = rows.assign(**{name: rows[name] * 1e-9 for name in ("said", "effect", "share")})
    again = faithfulness.table(small, recipe="wired", draws=20)
    for metric in ("interventional_fidelity", "interventional_slope", "fidelity_given_amount"):
        one, two = (metrics.cell(of, "DeepLift", "own_neutral", metric) for of in (table, again))
        assert_allclose(one["estimate"], two["estimate"], rtol=1e-6)


class Rises(nn.Module):
    """The size of every change in brightness from frame to frame."""

    def forward(self, clips):
        return 100 * clips.mean(dim=(1, 3, 4)).diff(dim=1).abs().sum(dim=1)


def test_tears_cancel_between_both_ends():
    """A light that goes on once is worth its one step, in the stretch in which it comes."""
    clip = torch.zeros(1, 3, T, 4, 4)
    clip[:, :, 9:] = 0.5
    found = interventions.both_ends(Rises().eval(), clip, lambda _: torch.zeros_like(clip))
    assert_allclose(found.sum(), 50, atol=1e-4)
    assert found.argmax() == 4  # frames 8 and 9


def test_freezing_tears_nothing():
    """What moves in the middle only, frozen before or after, counts there and only there."""
    clip = torch.zeros(1, 3, T, 4, 4)
    clip[:, :, 6:8], clip[:, :, 8:] = 0.25, 0.5
    calm = torch.zeros(1, 3, 1, 4, 4)
    scene = interventions.Scene("P", "r", clip, calm, np.zeros((T, 4, 4), int))
    found = interventions.by_stretch(Rises().eval(), scene)
    assert "rendered" not in found
    assert_allclose(found["frozen"][[0, 1, 5, 6, 7]], 0, atol=1e-4)
    assert_allclose(found["frozen"].sum(), 50, atol=1e-4)


def test_time_use_sees_whether_order_matters():
    """A mean over time does not care for order; a sum of changes does."""
    clip = torch.rand(1, 3, T, 4, 4, generator=torch.Generator().manual_seed(1))

    class Mean(nn.Module):
        def forward(self, x):
            return x.mean(dim=(1, 2, 3, 4))

    still = interventions.time_use(Mean().eval(), clip)
    assert still["prediction"] == pytest.approx(float(clip.mean()))
    assert_allclose(still["shuffle"], 0, atol=1e-6)
    assert_allclose(interventions.time_use(Rises().eval(), clip)["reverse"], 0, atol=1e-4)
    assert abs(interventions.time_use(Rises().eval(), clip)["freeze"]) > 0.1


def test_a_recording_without_a_script_keeps_what_needs_no_renderer(scenes):
    """Regions and stretches replaced, completeness, randomisation, agreement: no truth needed."""
    bare = [
        interventions.Scene(s.participant, s.recording, s.clip, s.calm, s.regions) for s in scenes
    ]
    rows = faithfulness.examine(Wired().eval(), bare, CHANNELS[:2], closer=True, depths=[-1])
    table = faithfulness.table(rows, draws=50)
    found = faithfulness.indicators(table).set_index("method")
    assert (found["removal"] > 0.99).all()
    assert (found["completeness"] < 1e-3).all()
    assert (found["agreement"] > 0.99).all()
    assert found["fidelity"].isna().all()
    answers = faithfulness.trust_table(table)[list(faithfulness.QUESTIONS)]
    assert (answers == "not measured").all(axis=None)
    assert {"randomisation", "time_fidelity"} <= set(table["metric"])


def test_agreement_of_any_two(rows):
    """A square with ones, the same both ways round."""
    found = faithfulness.agreement_table(rows)
    assert len(found) == len(CHANNELS)
    assert_allclose(found, found.T)
    assert_allclose(np.diag(found), 1)
    assert found.loc["DeepLift/own_neutral", "IntegratedGradients/own_neutral"] > 0.99


def test_a_reference_that_does_not_add_up_is_left_out_with_a_warning(scenes, caplog):
    """DeepLift on a product of inputs: the other channels are tested all the same, on all clips."""

    class Product(nn.Module):
        def forward(self, clips):
            mean = clips.mean(dim=(2, 3, 4))
            return 50 * mean[:, 0] * mean[:, 1] ** 3

    channels = (("DeepLift", "zero"), ("IntegratedGradients", "zero"))
    with caplog.at_level(logging.WARNING):
        rows = faithfulness.examine(Product().eval(), scenes[:2], channels)
    assert "left out: DeepLift against zero misses" in caplog.text
    assert not rows["factor"].str.startswith("DeepLift").any()
    assert set(rows.loc[rows["baseline"] == "zero", "method"]) == {"IntegratedGradients"}
    with pytest.raises(attribution.ModelError, match="eval"):
        trials.trial(Product(), scenes[0], channels)


def test_an_interval_of_ten_people_covers():
    """Plain percentiles of ten people hold the mean in nine of ten."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(300):
        rows = pd.DataFrame({"participant": [f"P{i}" for i in range(10)], "clip": range(10),
                             "metric": "m", "value": rng.normal(size=10)})  # fmt: skip
        found = metrics.means(rows, ["metric"], draws=400).iloc[0]
        hits += found["ci_low"] <= 0 <= found["ci_high"]
    assert hits / 300 > 0.92


def test_a_sign_counts_those_who_were_asked_for_one(rows):
    """Where the effects of nine people are large enough, nobody gets an interval of the sign."""
    few = rows.copy()
    names = sorted(few["participant"].unique())[:9]
    told = (few["metric"] == "evidence") & ~few["participant"].isin(names)
    few.loc[told, "effect"] *= 1e-9
    found = faithfulness.table(few, draws=100).query("metric == 'sign' and factor == 'pooled'")
    assert found["n_participants"].max() == 9
    # Of randomised networks the lowest and the highest stand there.
    assert found.loc[found["method"] != "randomised", "ci_low"].isna().all()


@pytest.mark.parametrize(("noise", "less"), [(1.0, True), (0.0, False)])
def test_two_references_are_compared_on_the_same_clips(noise, less):
    """The difference of their fidelities, its interval by drawing people for both at once."""
    rng = np.random.default_rng(0)
    effect = rng.normal(size=(20, 2))
    said = {"posed_neutral": effect, "zero": effect + noise * rng.normal(size=(20, 2))}
    rows = [
        {"participant": f"P{who}", "clip": 0, "factor": factor, "baseline": baseline,
         "said": one[who, at], "effect": effect[who, at]}
        for baseline, one in said.items()
        for who in range(20)
        for at, factor in enumerate(("smile", "head_motion"))
    ]  # fmt: skip
    told = pd.DataFrame(rows).assign(metric="evidence", support="changed", method="DeepLift")
    found = metrics.less(told, "DeepLift", "zero")
    alone = 1 - metrics.pearson(said["zero"][:, 0], effect[:, 0])  # the head is left out
    assert found["estimate"] == pytest.approx(alone, abs=1e-6)
    assert (found["ci_low"] > 0) == less
    assert found["n_participants"] == 20
    assert np.isnan(metrics.less(told, "DeepLift", "blur")["estimate"])


def test_how_often_the_bars_are_reached_is_counted_over_cohorts():
    """What just misses a bar does not reach it."""
    keys = {"model": "default", "baseline": "posed_neutral", "method": "DeepLift",
            "factor": "pooled"}  # fmt: skip
    rows = [{"estimate": value, **keys, "seed": seed, "metric": metric, "support": support}
            for seed, values in (("0", (0.94, 0.84, 0.82)), ("1", (0.8975, 0.7984, 0.62)))
            for value, (metric, support) in zip(values, (
                ("interventional_fidelity", "changed"), ("interventional_fidelity", "region"),
                ("time_fidelity", "rendered")))]  # fmt: skip
    said = metrics.reached(pd.DataFrame(rows))
    assert said.startswith("Of the study's 2 cohorts")
    assert "in 1 for what taking it out does, 0 for the head included," in said
    assert said.endswith("1 for where and 1 for when.")
    assert metrics.reached(pd.DataFrame()) == ""
