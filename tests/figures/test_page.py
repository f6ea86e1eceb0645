"""A figure in a page: vectors, both palettes, a second drawing for a phone, a reason."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest

from expresso_lib.figures import page, style


def drawn(columns=1, image=False):
    figure, axes = style.figure(1, columns, squeeze=False, sharey=True)
    for one in axes[0]:
        if image:
            one.imshow(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
        one.plot([0, 1], [0, 1], color=style.INK)
        one.set_xlabel("a long name of the axis that no phone has room for, in points")
    return figure


def test_picture_is_vectors_with_words_for_those_who_do_not_see_it():
    """Text stays text; the alternative is escaped; both drawings have one."""
    text = page.picture(drawn(), name="one", alt='a "line" & more')
    assert text.count("<svg") == text.count('aria-label="a &quot;line&quot; &amp; more"') == 2
    assert "a long name of the axis" in text


def test_inks_follow_the_page_and_paper_does_not_stand_in_the_way():
    """Ink is a variable with the light value behind it; nothing paints a white ground."""
    text = page.svg(drawn(), name="one", alt="x")
    ink = style.INK.lower()
    assert f"var(--f-{ink[1:]},{ink})" in text
    assert not re.search(r"fill: (#ffffff|var\(--f-ffffff)", text)
    assert f"--f-{ink[1:]}:{page.DARK[ink]}" in page.CSS


def test_two_figures_of_one_page_share_no_name():
    """What one drawing refers to is never hidden with another."""
    ids = [
        set(re.findall(r'id="([^"]+)"', page.svg(drawn(), name=name, alt="x")))
        for name in ("one", "two")
    ]
    assert ids[0]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize(
    ("columns", "image", "expected"), [(2, False, 1), (6, False, 2), (6, True, 3)]
)
def test_narrow_puts_panels_below_each_other(columns, image, expected):
    """Two panels become one column, many small ones two, pictures three; type keeps its size."""
    figure = page.narrow(drawn(columns, image))
    figure.draw_without_rendering()
    lefts = {round(axes.get_position().x0, 2) for axes in figure.axes}
    assert len(lefts) == expected
    assert figure.get_size_inches()[0] == page.NARROW
    # 8 points on 350 px, what a phone of 390 px leaves for the text, are at least 9 px.
    assert style.SMALL * 350 / (72 * page.NARROW) >= 9


def test_names_below_an_axis_do_not_lie_on_each_other_on_a_phone():
    """Five long names have less than an inch each."""
    figure, axes = style.figure()
    names = ["movement and\nits timing", "mean and sd\nof frames", "one frame", "identity", "light"]
    axes.plot(range(5))
    axes.set_xticks(range(5), names)
    page.narrow(figure).draw_without_rendering()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize(("side", "numbers"), [(5, 25), (10, 0)])
def test_the_numbers_of_a_wide_square_stay_off_a_phone(side, numbers):
    """Ten columns leave no room for them beside their names; five do."""
    figure, axes = style.figure()
    style.heat(axes, pd.DataFrame(np.full((side, side), -0.25)), 1.0)
    assert len(axes.texts) == side**2
    assert len(page.narrow(figure).axes[0].texts) == numbers


@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_a_title_ends_inside_a_figure_for_a_phone(weight):
    """Bold letters are wider, and a browser's letters are not those that are measured here."""
    figure, axes = style.figure()
    axes.plot(range(5))
    axes.set_ylabel("points per frame")
    axes.set_title("Each frame, own neutral face: red raises, blue lowers", weight=weight)
    page.narrow(figure).draw_without_rendering()
    assert axes.title.get_window_extent().x1 <= 0.96 * figure.bbox.x1


def test_a_panel_with_an_axis_of_its_own_keeps_its_numbers():
    """Panels that do not share their axis are read by their own ticks, wherever they stand."""
    figure, axes = style.figure(1, 3)
    for one in axes:
        one.plot([0, 1])
    axes[1].set_ylabel("share (%)")
    page.narrow(figure).draw_without_rendering()
    assert all(tick.label1.get_visible() for tick in axes[1].yaxis.get_major_ticks())


def test_a_figure_that_is_no_grid_of_panels_keeps_its_layout():
    """A reader's own: nothing on it, or two grids, whose panels are not torn apart."""
    empty = style.blank(height=2.0)
    assert page.narrow(empty).get_figheight() == 2.0
    several = style.blank(height=5.0)
    for part in several.subfigures(1, 2):
        part.subplots(2)
    assert page.narrow(several).get_figheight() == 5.0


def test_what_cannot_be_drawn_is_a_sentence():
    """The page shows the reason, not an empty frame."""

    @style.plot
    def hopeless():
        raise style.FigureError("nobody was there <yet>.")

    text = page.picture(hopeless(), name="x", alt="y")
    assert (
        text == '<p class="ex-undrawn">This figure is not drawn: nobody was there &lt;yet&gt;.</p>'
    )


def test_other_errors_are_not_swallowed():
    """Only what a plot declares undrawable becomes a sentence; a bug stays loud."""

    @style.plot
    def broken():
        raise KeyError("column")

    with pytest.raises(KeyError):
        broken()
