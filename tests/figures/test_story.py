"""Figures that say one thing: what they say is what they were given."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from expresso_lib import models, rendered
from expresso_lib.faces import anatomy
from expresso_lib.faithfulness import interventions
from expresso_lib.figures import page, story
from expresso_lib.statistics import lessons

T, SIZE = 4, 16


class Mean(nn.Module):
    """Score: 100 times the mean of all pixels."""

    def forward(self, clips):
        return 100 * clips.mean(dim=(1, 2, 3, 4))


def scene(**options) -> interventions.Scene:
    """A clip that is half bright, beside a calm frame of .25 and an oracle of .4."""
    clip = torch.full((1, 3, T, SIZE, SIZE), 0.5)
    calm = torch.full((1, 3, 1, SIZE, SIZE), 0.25)
    regions = np.zeros((T, SIZE, SIZE), int)
    return interventions.Scene("P1", "P1_R1", clip, calm, regions, **options)


def test_references_say_what_each_one_leaves_to_explain():
    """f(x) - f(x0) of a model whose answer is known by hand, and a picture for each."""
    still = torch.full((1, 3, T, SIZE, SIZE), 0.4)
    text = story.references(Mean().eval(), scene(still=still), method="InputXGradient")
    for said in ("black picture: f(x) − f(x0) = 50.0", "blurred clip: f(x) − f(x0) = 0.0",
                 "own neutral face, held still: f(x) − f(x0) = 25.0",
                 "re-rendered neutral (oracle): f(x) − f(x0) = 10.0"):  # fmt: skip
        assert said in text
    assert text.count('<img src="data:image/webp') == 5


def test_false_positives_say_the_rates_of_every_number_of_people():
    """The words of a step are the numbers of its table."""
    rates = {
        n: pd.DataFrame(
            {
                "lesson": "window or person",
                "analysis": ["windows, pooled", "participants"],
                "rate": [rate, 0.05],
                "naive": [True, False],
            }
        )
        for n, rate in ((12, 0.2), (84, 0.31))
    }
    text = story.false_positives(rates)
    assert "12 people: with windows as cases 20 %" in text
    assert "84 people: with windows as cases 31 % of empty cohorts show something" in text


@pytest.mark.parametrize("phone", [False, True])
def test_no_digit_of_a_small_rate_touches_its_mark_or_the_line(phone):
    """From 3 to 6 % the mark lies on the dashed line or beside it, the number right of both."""
    rates = [0.03, 0.04, 0.05, 0.06, 1.0]
    table = pd.DataFrame({"lesson": "l", "analysis": list("abcde"), "rate": rates,
                          "naive": [True, False, True, False, False]})  # fmt: skip
    figure = story.false_positive_rates(table)
    figure = page.narrow(figure) if phone else figure
    figure.draw_without_rendering()
    axes = figure.axes[0]
    line = axes.transData.transform((5, 0))[0]
    half = figure.dpi / 72 * 3.5  # of a mark, with its edge
    for text, rate in zip(axes.texts, table["rate"]):
        left = text.get_window_extent().x0
        assert left > line + 1
        assert left > axes.transData.transform((100 * rate, 0))[0] + half
        assert text.get_window_extent().x1 <= figure.bbox.x1


def moments():
    """Six moments of a recording of four seconds."""
    frames = pd.DataFrame({"frame": range(100), "attribution": np.sin(np.arange(100))})
    units = pd.DataFrame({"AU12": np.linspace(0, 3, 100)})
    pictures = {k: np.full((40, 40, 3), 100, np.uint8) for k in range(0, 90, 15)}
    return story.moments(frames, units, pictures, fps=25.0)


def test_moments_are_two_rows_of_pictures_on_a_phone():
    """Six faces side by side were as large as a finger nail; every letter stays at its picture."""
    for figure, rows in ((moments(), 1), (page.narrow(moments()), 2)):
        figure.draw_without_rendering()
        pictures = [axes for axes in figure.axes if axes.images]
        assert [axes.get_title(loc="left") for axes in pictures] == list("abcdef")
        assert len({round(axes.get_position().y0, 3) for axes in pictures}) == rows


def test_moments_without_a_frame_are_a_sentence():
    """Where no frame moves the prediction there is no picture, and the chapter goes on."""
    frames = pd.DataFrame({"frame": range(9), "attribution": 0.0})
    figure = story.moments(frames, pd.DataFrame({"AU12": np.zeros(9)}), {}, fps=25.0)
    assert "no frame raises or lowers" in figure.reason


def test_headset_on_a_phone_has_its_pictures_above_and_its_labels_once():
    """The chart once stood beside a picture, with the names of its rows on both sides."""
    rows = pd.DataFrame(
        {"channel": ["effect", "zero"], "points": 1.0, "ci_low": 0.0, "ci_high": 2.0}
    )
    figure = page.narrow(story.headset(rows, *np.zeros((2, 8, 8, 3))))
    figure.draw_without_rendering()
    worn, bare, chart = figure.axes
    assert worn.get_position().y0 == pytest.approx(bare.get_position().y0)
    assert chart.get_position().y1 < worn.get_position().y0
    ticks = chart.yaxis.get_major_ticks()
    assert not any(tick.label1.get_visible() and tick.label2.get_visible() for tick in ticks)


def test_lessons_have_the_rows_that_the_figure_quotes():
    """The figure's words come from two analyses of one lesson."""
    table = lessons.windows_are_not_independent(participants=5)
    assert {"windows, pooled", "participants"} <= set(table["unit"])


@pytest.mark.slow
def test_three_people_are_shown_without_a_movement(tmp_path):
    """Read best, read worst, nothing planted; each with what was promised beside what happened."""
    plan = rendered.plan_cohort(2, 1, 2.0, fps=25.0, seed=3)
    network = models.build("small", frames=8, size=32, seed=1)
    checkpoint = models.save(tmp_path / "model.safetensors", network, {"recipe": "r"})
    parts = []
    for name, value in {"P01_R1": 10.0, "P02_R1": 30.0}.items():
        archive = interventions.archive_of(plan.script(name), size=32, render_size=64)
        archive.save(tmp_path / f"{name}.npz")
        parts.append({"clip": name, "metric": "output", "value": value})
        parts.append({"clip": name, "metric": "evidence", "support": "changed", "effect": 4.0,
                      "method": "DeepLift", "baseline": "posed_neutral", "factor": "smile",
                      "said": 3.0})  # fmt: skip
    scores = pd.Series({"P01_R1": 11.0, "P02_R1": 5.0})
    text = story.take_away(
        pd.DataFrame(parts), scores, plan, tmp_path, tmp_path, model=checkpoint, length=8
    )
    assert [
        text.index(f"<h4>{one}")
        for one in ("Score predicted well", "Score predicted badly", "Nothing planted")
    ]
    assert "−3.0" in text
    assert "6.0</td>" in text  # read well: 10 points, 4 of them by the smile
    assert len(list(tmp_path.glob("null_*.mp4"))) == 1 + len(anatomy.FACTORS)


def test_planted_left_and_right_are_one_row_with_both_columns_bold():
    """Severity is planted in both eyes: neither column is the wrong one."""
    names = ["right_eye", "left_eye", "nose"]
    table = pd.DataFrame({"planted": ["right_eye"] * 3 + ["nose"] * 3, "region": names * 2,
                          "part": [0.05, 0.06, 0.01, 0.0, -0.01, 0.08]})  # fmt: skip
    axes = story.planted_found(table).axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    bold = [text.get_text() for text in axes.texts if text.get_fontweight() == "bold"]
    assert rows == ["planted in: eyes", "planted in: nose"]
    assert bold == ["0.05", "0.06", "0.08"]


def test_ledger_on_a_phone_has_no_word_on_another():
    """Claims, verdicts and numbers once stood side by side and ran into each other."""
    claims = pd.DataFrame({"claim": ["DeepLift with a zero baseline shows what the model uses"] * 3,
                           "verdict": ["does not answer this question", "equivalent", "undecided"],
                           "found": ["−0.25 [−0.11, −0.39]"] * 2 + [""],
                           "margin": [np.nan, 0.3, 0.3], "estimate": -0.25,
                           "ci_low": -0.39, "ci_high": -0.11})  # fmt: skip
    figure = page.narrow(story.ledger(claims))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert max(box.x1 for box in boxes) <= figure.bbox.x1
