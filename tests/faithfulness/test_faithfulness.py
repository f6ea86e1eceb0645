"""Claims about `expresso_lib.faithfulness`, on a model whose use of every pixel is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from expresso_lib import attribution, faithfulness
from expresso_lib.faces import anatomy
from expresso_lib.faithfulness import metrics

N, C, T, H, W = 12, 3, 5, 10, 8
MOUTH, BROW, REST, BACKGROUND = 5, 0, 6, 7
PEOPLE = [f"P{i // 2}" for i in range(N)]


class Reads(nn.Module):
    """f(x) = 40 x mean of the mouth's pixels - 20 x mean of the brow's."""

    def __init__(self, labels):
        super().__init__()
        weights = 40.0 * (labels == MOUTH) - 20.0 * (labels == BROW)
        self.weights = nn.Parameter(torch.from_numpy(weights / (C * T * H * W)).float())

    def forward(self, clips):
        return 400 * (clips * self.weights).flatten(1).sum(dim=1)


@pytest.fixture
def labels():
    one = np.full((H, W), anatomy.REGIONS.index("face_rest"), np.uint8)
    one[0], one[1:3, :4], one[7:9, 2:6] = BACKGROUND, BROW, MOUTH
    return np.broadcast_to(one, (N, T, H, W)).copy()


@pytest.fixture
def model(labels):
    return Reads(labels[0]).eval()


@pytest.fixture
def scene(labels, model):
    """Clips in which mouth and brow light up by known amounts in known frames."""
    rng = np.random.default_rng(0)
    plain = torch.from_numpy(rng.uniform(0.2, 0.4, (N, C, T, H, W))).float()
    activity = {f: np.zeros((N, T)) for f in ("smile", "brows")}
    activity["smile"][:, 3:] = rng.uniform(0.35, 1, (N, 1))
    activity["brows"][:, :2] = rng.uniform(0.35, 1, (N, 1))
    clips = plain.clone()
    lit = {f: torch.zeros_like(plain) for f in activity}
    for factor, region in (("smile", MOUTH), ("brows", BROW)):
        mask = (labels == region)[:, None] * activity[factor][:, None, :, None, None]
        # How bright it gets differs between clips and is no part of the amount.
        bright = rng.uniform(0.3, 0.5, (N, 1, 1, 1, 1))
        lit[factor] = torch.from_numpy(bright * mask).float().expand_as(plain)
        clips = clips + lit[factor]
    interventions = [
        faithfulness.intervene(
            model, clips, clips - lit[f], f, regions=labels, activity=activity[f]
        )
        for f in activity
    ]
    return clips, plain, interventions


def _maps(model, clips, baseline):
    return attribution.attribute(model, clips, "DeepLift", baseline).values.sum(dim=1).numpy()


def _score(table, metric, factor="pooled", support="changed"):
    rows = table[(table["metric"] == metric) & (table["factor"] == factor)]
    return rows[rows["support"] == support]["estimate"].item()


def _judge(maps, interventions, people=PEOPLE, *, draws):
    return faithfulness.judge(faithfulness.evidence(maps, interventions, people), draws=draws)


def test_intervene_measures_what_the_model_loses(model, scene, labels):
    """Effect, changed pixels and active frames of a removal, by hand."""
    clips, plain, (smile, brows) = scene
    lost = faithfulness.scores(model, clips) - faithfulness.scores(model, plain)
    assert_allclose(smile.effect + brows.effect, lost, rtol=1e-4)
    assert (smile.effect > 0).all()
    assert (brows.effect < 0).all()
    assert smile.active.tolist() == [[False, False, False, True, True]] * N
    changed = smile.change > 0
    assert (changed == ((labels == MOUTH) & smile.active[..., None, None])).all()
    # A smile is looked for on the cheeks as well, which are in the rest of the face.
    assert ((smile.place > 0) & (labels == MOUTH) == changed).all()
    assert ((smile.place > 0)[:, 3:] == np.isin(labels, (MOUTH, REST))[:, 3:]).all()


def test_a_true_explanation_passes_and_controls_do_not(model, scene):
    """The exact explanation scores 1 with slope 1; maps that never saw the model score lower."""
    clips, plain, interventions = scene
    exact = _judge(_maps(model, clips, plain), interventions, draws=50)
    for support in ("changed", "region"):
        assert _score(exact, "interventional_fidelity", support=support) > 0.999
        assert_allclose(_score(exact, "interventional_slope", support=support), 1, atol=0.02)
        assert _score(exact, "fidelity_given_amount", support=support) > 0.99
        assert _score(exact, "sign_positive", support=support) == 1
        assert _score(exact, "sign_negative", support=support) == 1
    assert _score(exact, "time_auroc", support="region") == 1
    assert _score(exact, "relevance_mass") > 3
    controls = faithfulness.controls(clips.numpy(), plain.numpy(), seed=1)
    for name in ("random", "edge", "motion", "difference"):
        table = _judge(controls[name], interventions, draws=50)
        assert _score(table, "interventional_fidelity") < 0.99, name
        assert _score(table, "sign_negative") < 0.9, name
    nothing = _judge(controls["zero_map"], interventions, draws=50)
    assert np.isnan(_score(nothing, "interventional_fidelity"))


def test_time_fidelity_knows_when_the_model_uses_a_factor(model, scene):
    """1 for the exact map, lower for noise, NaN for zeros; stretches add up to the effect."""
    clips, plain, interventions = scene
    for one in interventions:
        assert_allclose(one.by_stretch.sum(axis=1), one.effect, rtol=1e-4)
    maps = _maps(model, clips, plain)
    exact = faithfulness.time_fidelity(maps, interventions)
    assert (exact > 0.999).all()
    noise = np.random.default_rng(0).standard_normal(maps.shape)
    assert (faithfulness.time_fidelity(noise, interventions) < exact).all()
    assert np.isnan(faithfulness.time_fidelity(np.zeros_like(maps), interventions)).all()


def test_a_factor_is_taken_from_eighths_of_a_long_clip():
    """Known answer: brightness of the mouth counts, and it is brighter in frames 8 to 15 of 32."""

    class Brightness(torch.nn.Module):
        def forward(self, clips):
            return clips.sum(dim=(1, 2, 3, 4))

    clips, one = _lit(Brightness(), slice(8, 16))
    half = float(clips.sum()) / 2
    assert one.by_stretch[0].tolist() == [0, 0, half, half, 0, 0, 0, 0]
    exact = clips.sum(dim=1).numpy()
    assert faithfulness.time_fidelity(exact, [one])[0] == pytest.approx(1)
    assert faithfulness.time_fidelity(-exact, [one])[0] == pytest.approx(-1)


def test_stretches_share_what_needs_them_both():
    """Known answer: a product of two parts' brightness is half each one's, and adds up."""

    class Product(torch.nn.Module):
        def forward(self, clips):
            light = clips.mean(dim=(1, 3, 4))
            return light[:, :8].mean(dim=1) * light[:, 16:24].mean(dim=1)

    _, one = _lit(Product(), slice(0, 32))
    part = one.effect[0] / 4
    assert_allclose(one.by_stretch[0], [part, part, 0, 0, part, part, 0, 0], rtol=1e-5)


def _lit(model, frames):
    without = torch.zeros(1, C, 32, H, W)
    clips = without.clone()
    clips[:, :, frames, :2] = 0.5
    mouth = np.full((1, 32, H, W), MOUTH)
    return clips, faithfulness.intervene(
        model, clips, without, "smile", regions=mouth, activity=np.ones((1, 32))
    )


class Interacts(nn.Module):
    """f(x) = m + m b of the brightness of the mouth's pixels and of the brow's."""

    def forward(self, clips):
        mouth, brow = clips[:, :, :, 7:9, 2:6], clips[:, :, :, 1:3, :4]
        m, b = (part.mean(dim=(1, 2, 3, 4)) for part in (mouth, brow))
        return 10 * (m + m * b)


def test_shares_divide_what_single_effects_count_twice(labels):
    """Known answer: m + m b has effects m + m b and m b, shares m + m b / 2 and m b / 2."""
    rng = np.random.default_rng(2)
    m, b = (torch.from_numpy(rng.uniform(0.2, 1, N)).float() for _ in range(2))
    nothing = torch.zeros(N, C, T, H, W)
    mouth, brow = nothing.clone(), nothing.clone()
    mouth[:, :, :, 7:9, 2:6] = m[:, None, None, None, None]
    brow[:, :, :, 1:3, :4] = b[:, None, None, None, None]
    model, clips, active = Interacts().eval(), mouth + brow, np.ones((N, T))
    smile = faithfulness.intervene(
        model, clips, brow, "smile", regions=labels, activity=active, only=(mouth, nothing)
    )
    brows = faithfulness.intervene(
        model, clips, mouth, "brows", regions=labels, activity=active, only=(brow, nothing)
    )
    assert_allclose(brows.effect, 10 * m * b, rtol=1e-4)
    assert_allclose(brows.share, 5 * m * b, rtol=1e-4)
    assert_allclose(smile.share + brows.share, 10 * (m + m * b), rtol=1e-4)
    found = attribution.attribute(model, clips, "IntegratedGradients", nothing, steps=50)
    table = _judge(found.values.sum(dim=1).numpy(), [smile, brows], draws=20)
    assert _score(table, "share_fidelity") > 0.9999
    assert_allclose(_score(table, "share_slope"), 1, atol=1e-3)
    assert _score(table, "interventional_fidelity") < 0.99
    divided = _judge("share", [smile, brows], draws=20)
    assert_allclose(
        _score(divided, "interventional_fidelity"),
        _score(table, "interventional_fidelity"),
        atol=1e-3,
    )


def test_pixels_of_two_factors_are_not_counted_twice(labels):
    """Known answer: brows change every pixel three times as much, and get three quarters of it."""
    clips, model, active = torch.ones(N, C, T, H, W), Interacts().eval(), np.ones((N, T))
    both = [
        faithfulness.intervene(model, clips, clips - gap, factor, regions=labels, activity=active)
        for factor, gap in (("smile", 0.25), ("brows", 0.75))
    ]
    found = faithfulness.evidence(np.full((N, T, H, W), 0.5), both, PEOPLE)
    said = found.set_index(["support", "factor"])["said"]
    assert_allclose(said["changed", "smile"], 0.25 * 0.5 * T * H * W)
    assert_allclose(said["changed", "brows"], 0.75 * 0.5 * T * H * W)
    assert_allclose(said["whole", "smile"], 0.5 * T * H * W)
    apart = (labels[0] == BROW).sum()  # mouth and brow lie apart
    assert_allclose(said["region", "brows"], 0.5 * apart)


def test_a_shared_region_is_parted_by_how_far_each_has_moved(labels):
    """Known answer: speech moves three times as far as a smile; the mouth is parted 3 to 1."""
    clips, model = torch.ones(N, C, T, H, W), Interacts().eval()
    both = [
        faithfulness.intervene(
            model, clips, 0 * clips, factor, regions=labels, activity=np.full((N, T), level)
        )
        for factor, level in (("smile", 0.2), ("speech_mouth", 0.6))
    ]
    found = faithfulness.evidence((labels == MOUTH).astype(float), both, PEOPLE)
    said = found[found["support"] == "region"].groupby("factor")["said"].mean()
    assert_allclose(said["speech_mouth"] / said["smile"], 3)
    assert_allclose(said.sum(), (labels[0] == MOUTH).sum())


def test_the_painted_truth_reaches_what_can_be_reached(scene, model):
    """Where factors lie apart it is 1 in every metric, and adds up to the effects."""
    _, _, interventions = scene
    truth = faithfulness.painted(interventions)
    assert_allclose(truth.sum(axis=(1, 2, 3)), sum(one.effect for one in interventions), rtol=1e-4)
    table = _judge(truth, interventions, draws=20)
    assert _score(table, "interventional_fidelity") > 0.9999
    assert_allclose(_score(table, "interventional_slope"), 1, rtol=1e-4)
    assert (faithfulness.time_fidelity(truth, interventions) > 0.9999).all()


def test_parted_pixels_tell_two_factors_of_one_place_apart(labels):
    """Both change the mouth, each at its time: parted pixels tell them apart, whole ones do not."""
    rng = np.random.default_rng(4)
    names = ("smile", "speech_mouth")
    size = {f: torch.from_numpy(rng.uniform(0.2, 0.5, N)).float() for f in names}
    lit = {f: torch.zeros(N, C, T, H, W) for f in names}
    lit["smile"][:, :, :3, 7:9, 2:6] = size["smile"][:, None, None, None, None]
    lit["speech_mouth"][:, :, 2:, 7:9, 2:6] = size["speech_mouth"][:, None, None, None, None]
    clips, model = sum(lit.values()), Interacts().eval()
    both = [
        faithfulness.intervene(
            model, clips, clips - lit[f], f, regions=labels, activity=np.ones((N, T))
        )
        for f in names
    ]
    truth = faithfulness.painted(both)
    parted, whole = (
        _score(_judge(truth, both, draws=5), "interventional_fidelity", support=s)
        for s in ("changed", "whole")
    )
    assert parted > 0.96
    assert whole < parted - 0.01


def test_what_has_no_place_is_never_parted(scene, labels, model):
    """The head moves every pixel: it counts whole, and takes nothing from the others."""
    clips, plain, interventions = scene
    head = faithfulness.intervene(
        model, clips, 0 * clips, "head_motion", regions=labels, activity=np.ones((N, T))
    )
    alone, together = (
        faithfulness.parted(list(some)) for some in (interventions, [*interventions, head])
    )
    for support in ("changed", "region"):
        assert_allclose(together[support][0], alone[support][0])
        assert set(np.unique(together[support][-1])) <= {0.0, 1.0}
    assert len(faithfulness.evidence(plain[:, 0].numpy(), [head], PEOPLE)) == 3 * N


def test_the_truths_own_timing_knows_nothing_of_overlap():
    """A model of level uses a smile while it is there; one of change at its ends only."""

    class Level(nn.Module):
        def forward(self, clips):
            return clips.sum(dim=(1, 2, 3, 4))

    active = np.zeros((1, 32), bool)
    active[:, 8:24] = True
    found = []
    for model in (Level().eval(), Change(True).eval()):
        _, one = _lit(model, slice(8, 24))
        found.append(faithfulness.used_when_active(replace(one, active=active))[0])
    assert found[0] == 1
    assert found[1] < 0.9


def test_a_single_frame_has_one_stretch(labels):
    """Nothing to cut: the whole effect is that of the only stretch."""
    clips = torch.ones(N, C, 1, H, W)
    one = faithfulness.intervene(
        Interacts().eval(),
        clips,
        0 * clips,
        "smile",
        regions=labels[:, :1],
        activity=np.ones((N, 1)),
    )
    assert_allclose(one.by_stretch[:, 0], one.effect)


class Change(nn.Module):
    """Sum over frames of how much brighter they got: up and down alike, or up only."""

    def __init__(self, alike):
        super().__init__()
        self.alike = alike

    def forward(self, clips):
        step = clips.mean(dim=(1, 3, 4)).diff(dim=1)
        return (step.abs() if self.alike else step.relu()).sum(dim=1)


@pytest.mark.parametrize("alike", [True, False])
def test_tears_cancel_where_rise_and_fall_count_alike(alike):
    """A factor that never changes has no stretch; a model of rises alone sees tears."""
    _, one = _lit(Change(alike).eval(), slice(0, 32))
    assert_allclose(one.effect, 0, atol=1e-6)
    assert np.allclose(one.by_stretch, 0, atol=1e-6) == alike


def test_a_truth_that_is_not_known_has_no_sign(scene):
    """Shares that were not rendered are no wrong answer: no number."""
    _, _, interventions = scene
    table = _judge("share", interventions, draws=20)
    assert np.isnan(_score(table, "sign"))
    with pytest.raises(ValueError, match="did you mean 'share'"):
        faithfulness.evidence("shares", interventions, PEOPLE)


def test_without_the_renderings_a_share_is_not_known(scene):
    """No clip with one factor only: no number, and everything else as before."""
    _, _, interventions = scene
    assert np.isnan(interventions[0].share).all()
    table = _judge("amount", interventions, draws=20)
    assert np.isnan(_score(table, "share_fidelity"))


@pytest.mark.parametrize(
    "metric", ["interventional_fidelity", "interventional_slope", "fidelity_given_amount", "sign"]
)
def test_weighted_statistics_equal_those_of_drawn_clips(metric):
    """Counting a clip twice is the same as having it twice."""
    rng = np.random.default_rng(3)
    said, effect, amount = rng.normal(0, 3, (3, 4, 9))
    drawn = rng.integers(0, 9, 9)
    statistic = metrics._FIDELITY[metric]
    weights = np.bincount(drawn, minlength=9)[None].astype(float)
    once = [values[:, drawn] for values in (said, effect, amount)]
    found = statistic(said, effect, amount, weights)
    assert_allclose(found, statistic(*once, np.ones((1, 9))), rtol=1e-9)
    if metric == "interventional_fidelity":
        assert_allclose(found, np.corrcoef(once[0].ravel(), once[1].ravel())[0, 1], rtol=1e-9)


def test_the_amount_alone_says_nothing_beyond_the_amount(scene):
    """Its fidelity within one factor is high, given the amount it is not defined."""
    _, _, interventions = scene
    table = _judge("amount", interventions, draws=20)
    assert _score(table, "interventional_fidelity", "smile") > 0.9
    assert np.isnan(_score(table, "fidelity_given_amount", "smile"))
    assert table.loc[table["metric"] == "time_auroc", "estimate"].isna().all()


def test_a_turned_sign_fails(model, scene):
    """The negative of the right map scores -1 and no sign right: signs are not lost on the way."""
    clips, plain, interventions = scene
    table = _judge(-_maps(model, clips, plain), interventions, draws=20)
    assert _score(table, "interventional_fidelity") < -0.999
    assert _score(table, "sign") == 0


def test_intervals_come_from_participants(model, scene):
    """Two clips of one person count once: copying every clip leaves the interval as it is."""
    clips, plain, interventions = scene
    rng = np.random.default_rng(5)
    noisy = _maps(model, clips, plain) + rng.normal(0, 0.3, (N, T, H, W))
    one = _judge(noisy, interventions, draws=200)
    twice = [
        faithfulness.Intervention(
            i.factor,
            *(
                np.concatenate([x, x])
                for x in (i.effect, i.change, i.place, i.active, i.amount, i.by_stretch, i.share)
            ),
        )
        for i in interventions
    ]
    two = _judge(np.concatenate([noisy] * 2), twice, PEOPLE * 2, draws=200)
    wide = [t[t["metric"] == "interventional_fidelity"].iloc[0] for t in (one, two)]
    assert_allclose(
        wide[0][["ci_low", "ci_high"]].to_numpy(float),
        wide[1][["ci_low", "ci_high"]].to_numpy(float),
        rtol=1e-9,
    )


def test_head_motion_is_never_pooled(model, scene):
    """It has no place of its own, so the pooled row is the same with and without it."""
    clips, plain, interventions = scene
    head = faithfulness.Intervention("head_motion", *list(vars(interventions[0]).values())[1:])
    maps = _maps(model, clips, plain)
    with_head = _judge(maps, [*interventions, head], draws=5)
    without = _judge(maps, interventions, draws=5)
    assert_allclose(
        _score(with_head, "interventional_slope"), _score(without, "interventional_slope")
    )
    assert "head_motion" in set(with_head["factor"])


def test_misfitting_arrays_are_refused(model, scene, labels):
    """Clips rendered at another size, masks of other clips."""
    clips, plain, interventions = scene
    with pytest.raises(ValueError, match="render the same frames"):
        faithfulness.intervene(
            model, clips, plain[:, :, :4], "smile", regions=labels, activity=np.zeros((N, T))
        )
    with pytest.raises(ValueError, match="render the same frames"):
        faithfulness.intervene(
            model,
            clips,
            plain,
            "smile",
            regions=labels,
            activity=np.zeros((N, T)),
            only=(plain[:1], plain[:1]),
        )
    with pytest.raises(ValueError, match="do not fit"):
        faithfulness.intervene(
            model, clips, plain, "smile", regions=labels[:3], activity=np.zeros((N, T))
        )
    with pytest.raises(ValueError, match="differ"):
        faithfulness.contribution(np.zeros((N, T, W, H)), interventions[0].change)


def test_auroc_against_counting():
    """Wins plus half the ties over all pairs."""
    rng = np.random.default_rng(1)
    values, positive = rng.integers(0, 5, 40).astype(float), rng.random(40) < 0.4
    pairs = values[positive][:, None] - values[~positive][None]
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert_allclose(faithfulness.auroc(values, positive), expected, rtol=1e-12)
    assert np.isnan(faithfulness.auroc(values, np.ones(40, bool)))


def test_factor_recovery_tells_used_factors_from_unused(model, scene, labels):
    """A change the model does not read has no attribution."""
    clips, plain, interventions = scene
    unused = faithfulness.intervene(
        model,
        clips,
        torch.where(torch.from_numpy(labels == BACKGROUND)[:, None], 0.0, clips),
        "background",
        regions=labels,
        activity=np.ones((N, T)),
    )
    maps = _maps(model, clips, plain)
    found = faithfulness.evidence(maps, [*interventions, unused], PEOPLE)
    found = found[found["support"] == "changed"]
    wide = [found.pivot(index="factor", columns="clip", values=v) for v in ("density", "effect")]
    everyone = np.ones((1, N))
    assert faithfulness.factor_recovery(*(w.to_numpy() for w in wide), everyone) == [1]


def test_agreement_is_one_with_itself_and_minus_one_with_its_negative(scene, model):
    """Spearman of signed maps."""
    clips, plain, _ = scene
    maps = _maps(model, clips, plain) + np.random.default_rng(0).normal(0, 1e-6, (N, T, H, W))
    table = faithfulness.agreement({"a": maps, "b": -maps, "c": maps * 3})
    assert_allclose(table.to_numpy(), [[1, -1, 1], [-1, 1, -1], [1, -1, 1]], atol=1e-9)
    assert_allclose(faithfulness.rank_agreement(maps, maps), 1)


def test_deletion_and_insertion_reward_the_right_order(model, scene, labels):
    """The exact map beats random order, its negative loses to it, no map does neither."""
    clips, plain, _ = scene
    cells = faithfulness.blocks(labels, time_blocks=5)
    maps = _maps(model, clips, plain)
    right = faithfulness.deletion_insertion(model, clips, plain, maps, cells)
    wrong = faithfulness.deletion_insertion(model, clips, plain, -maps, cells)
    none = faithfulness.deletion_insertion(model, clips, plain, 0 * maps, cells)
    for metric in ("deletion", "insertion"):
        assert right[metric].min() > 0
        assert wrong[metric].max() < 0
        assert abs(none[metric].mean()) < 0.25 * right[metric].mean()


def test_infidelity_is_least_for_the_exact_map(model, scene, labels):
    """On a linear model the exact attributions have none; random ones have."""
    clips, plain, _ = scene
    cells = faithfulness.blocks(labels, time_blocks=5)
    exact = attribution.attribute(model, clips, "DeepLift", plain).values
    low = faithfulness.infidelity(model, clips, plain, exact, cells)
    high = faithfulness.infidelity(model, clips, plain, torch.randn_like(exact), cells)
    assert low.mean() < 0.01 * high.mean()


def test_sensitivity_of_a_linear_model_is_small_and_of_noise_is_not(model, scene):
    """An explanation that answers noise with noise is sensitive."""
    clips = scene[0][:3]

    def gradient(x, n):
        return attribution.attribute(model, x, "Saliency", "zero").values

    generator = torch.Generator().manual_seed(0)
    calm = faithfulness.sensitivity(gradient, clips)
    wild = faithfulness.sensitivity(lambda x, n: torch.randn(x.shape, generator=generator), clips)
    assert calm.max() < 1e-4
    assert wild.min() > 0.5


def test_time_use_sees_whether_order_matters():
    """A mean over time does not care for order; a mean of changes does."""

    class Mean(nn.Module):
        def forward(self, clips):
            return clips.mean(dim=(1, 2, 3, 4))

    class Change(nn.Module):
        def forward(self, clips):
            return (clips[:, :, 1:] - clips[:, :, :-1]).abs().mean(dim=(1, 2, 3, 4))

    ramp = torch.linspace(0, 1, T)[None, None, :, None, None].expand(2, C, T, H, W)
    still = faithfulness.time_use(Mean().eval(), ramp)
    assert_allclose(np.stack(list(still.values())), 0, atol=1e-6)
    moved = faithfulness.time_use(Change().eval(), ramp)
    assert (moved["freeze"] > 0.1).all()
    assert (np.abs(moved["shuffle"]) > 0.05).all()
    assert_allclose(moved["reverse"], 0, atol=1e-6)


def test_audit_points_at_the_background(labels):
    """Attribution on the background shows as a ratio far above 1."""
    maps = np.ones((N, T, H, W)) * 0.01
    even = faithfulness.audit(maps, labels)
    assert_allclose(even["ratio"], 1, rtol=1e-9)
    maps[labels == BACKGROUND] = 1
    found = faithfulness.audit(maps, labels).groupby("place")["ratio"].mean()
    assert found["background"] > 5
    assert found["border"] > 1


def test_swap_measures_what_the_donor_brings(model, scene, labels):
    """Swapping pixels that the model ignores changes nothing; the mouth does."""
    clips = scene[0]
    ignored = faithfulness.swap(model, clips, clips.flip(0), labels == BACKGROUND)
    read = faithfulness.swap(model, clips, 0 * clips, labels == MOUTH)
    assert_allclose(ignored, 0, atol=1e-4)
    assert read.min() > 1
