"""Claims about `expresso_lib.figures.attribution`: what is drawn is what was measured."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from expresso_lib.faces import anatomy
from expresso_lib.figures import attribution as plots
from expresso_lib.figures import style

BANDS = ("minimal", "mild", "moderate", "severe")


@pytest.fixture
def people():
    return pd.DataFrame(
        {
            "participant": [f"P{i}" for i in range(8)],
            "score": np.arange(8) * 6.0,
            "band": np.repeat(BANDS, 2),
        }
    )


@pytest.fixture
def regions(people):
    rng = np.random.default_rng(0)
    rows = people.merge(pd.DataFrame({"region": anatomy.REGIONS}), how="cross")
    rows["signed"] = rng.normal(size=len(rows))
    total = rows.groupby("participant")["signed"].transform("sum")
    return rows.drop(columns=["score", "band"]).assign(
        recording=rows["participant"] + "_R1",
        clip="c",
        model="trained",
        output=20 + total,
        output_baseline=20.0,
        enrichment_positive=rng.normal(size=len(rows)),
        enrichment_negative=rng.normal(size=len(rows)),
    )


def test_raw_sums_lie_on_the_diagonal_of_a_complete_method(regions, people):
    """Marks on the right: sum over regions against f(x) - f(x0)."""
    axes = plots.raw_sums(regions, people).axes[1]
    marks = axes.collections[0].get_offsets()
    assert len(marks) == len(people)
    assert_allclose(marks[:, 0], marks[:, 1], atol=1e-9)


def test_enrichment_draws_every_region_and_sign(regions, people):
    """Twelve panels with the participant's own mean; the test's number stands in its panel."""
    tests = pd.DataFrame({"region": ["mouth"], "sign": ["positive"], "estimate": [0.42]})
    figure = plots.enrichment(regions, people, tests, rounding=0.1)
    assert len(figure.axes) == 12
    mouth = figure.axes[5]
    assert mouth.get_title(loc="left") == "mouth\nρ = 0.42"
    drawn = mouth.collections[0].get_offsets()[:, 1]
    expected = regions[regions["region"] == "mouth"]["enrichment_positive"]
    assert_allclose(np.sort(drawn), np.sort(expected))


def test_randomised_networks_are_not_drawn_as_the_model(regions, people):
    """Rows of networks with shuffled weights change nothing."""
    other = regions.assign(model="random_1", signed=99.0, enrichment_positive=99.0)
    none = pd.DataFrame({"region": [], "sign": [], "estimate": []})
    figure = plots.enrichment(pd.concat([regions, other]), people, none, rounding=0.1)
    assert figure.axes[0].collections[0].get_offsets()[:, 1].max() < 50


def test_dots_put_the_papers_channel_in_its_colour_and_controls_last():
    """One row each, explanations first; shares are neither."""
    rows = [
        ("random", "none", 0.1),
        ("DeepLift", "zero", -0.1),
        ("DeepLift", "own_neutral", 0.9),
        ("share", "none", 0.8),
    ]
    table = pd.DataFrame(
        [
            {
                "method": m,
                "baseline": b,
                "factor": "pooled",
                "metric": "sign",
                "support": "changed",
                "estimate": e,
                "ci_low": e - 0.1,
                "ci_high": e + 0.1,
            }
            for m, b, e in rows
        ]
    )
    axes = plots.dots(table, metric="sign", label="x", bars={"changed": 0.9}).axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert len(labels) == 3
    assert labels[-1] == "random"
    marks = {
        line.get_xdata()[0]: line.get_color()
        for line in axes.lines
        if line.get_marker() in ("o", "D") and len(line.get_xdata())
    }
    assert marks[-0.1] == style.ROLE_COLORS["paper"]
    assert marks[0.9] == style.ROLE_COLORS["model"]


def test_figures_without_a_renderer_or_onsets_say_so():
    """On recorded people nothing is rendered again, and some never smile."""
    rows = pd.DataFrame(
        {
            "metric": ["ratio"],
            "support": ["changed"],
            "method": ["DeepLift"],
            "baseline": ["blur"],
            "factor": ["background"],
            "value": [1.0],
        }
    )
    figure = plots.said_and_done(rows, [("DeepLift", "blur")])
    assert "known of 0 removals" in figure.reason
    assert "whole onsets" in plots.onset_locked({}).reason


def test_said_and_done_of_real_recordings_is_an_empty_panel_not_an_error():
    """What cannot be rendered again has no removals of factors: no mark, no legend."""
    columns = ["method", "baseline", "factor", "metric", "support", "effect", "said"]
    figure = plots.said_and_done(pd.DataFrame(columns=columns), [("DeepLift", "own_neutral")])
    assert not figure.legends


def of_networks(refused: str = "") -> pd.DataFrame:
    rng = np.random.default_rng(0)
    channels = [("DeepLift", "own_neutral"), ("IntegratedGradients", "own_neutral")]
    rows = [
        {"seed": "0", "network": name, "method": method, "baseline": baseline}
        | dict(zip(("fidelity", "where", "when", "removal", "agreement"), rng.uniform(-1, 1, 5)))
        for name in ("ours", "R3D-18, random", "Swin3D-T, random")
        for method, baseline in channels
        if not (name == refused and method == "DeepLift")
    ]
    return pd.DataFrame(rows)


def test_by_network_writes_every_number_once_and_leaves_refused_cells_empty():
    table = of_networks(refused="Swin3D-T, random")
    figure = plots.by_network(table)
    for axes, column in zip(figure.axes, ("fidelity", "where", "when")):
        shown = [text.get_text() for text in axes.texts]
        assert sorted(shown) == sorted(
            style.number(value).replace("0.", ".") for value in table[column]
        )
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == list(
        dict.fromkeys(table["network"])
    )


def test_predictors_puts_a_mark_at_every_explanation():
    table = of_networks()
    ends = {"rho": 0.5, "ci_low": 0.1, "ci_high": 0.8}
    found = pd.DataFrame([{"number": name} | ends for name in ("removal", "completeness")])
    figure = plots.predictors(table, found, {"removal": "regions replaced"})
    (axes,) = figure.axes
    marks = np.concatenate([line.get_xydata() for line in axes.lines])
    assert sorted(map(tuple, marks)) == sorted(zip(table["removal"], table["fidelity"]))
    assert axes.get_title(loc="left") == "rho 0.50 [0.10, 0.80]"


@pytest.mark.parametrize("draw", [
    plots.by_network, lambda table: plots.predictors(table, pd.DataFrame(columns=["number"]), {}),
])  # fmt: skip
def test_networks_without_a_number_are_a_sentence(draw):
    """The chapter goes on: the reason stands where the figure would."""
    figure = draw(of_networks().assign(fidelity=np.nan, where=np.nan, when=np.nan))
    assert "no explanation of another network was measured" in figure.reason


def test_around_word_draws_every_channel_over_time():
    seconds = np.arange(-2, 5) * 0.08
    parts = [
        pd.DataFrame({"channel": name, "seconds": seconds, "estimate": 1 + k * seconds})
        for k, name in enumerate(("own neutral face, held still", "motion, no model"))
    ]
    table = pd.concat(parts).assign(ci_low=lambda t: t.estimate - 0.1, ci_high=2.0)
    (axes,) = plots.around_word(table).axes
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    for part in parts:
        shown = lines[part["channel"].iloc[0]]
        assert_allclose(shown, part[["seconds", "estimate"]])
