"""The visual language: safe colours, honest zero, labelled figures."""

import html
import itertools
import os
from itertools import combinations

import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import colors
from nbclient import NotebookClient

from expresso_lib.faces import anatomy
from expresso_lib.figures import page, style

# Simulation of full colour-vision deficiency in linear RGB (Machado, Oliveira & Fernandes, 2009,
# severity 1.0).
DEFICIENCIES = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def linear(color):
    rgb = np.array(colors.to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """CIE Lab under D65, from linear sRGB."""
    matrix = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = matrix @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(color):
    """WCAG 2 contrast with white paper."""
    luminance = linear(color) @ [0.2126, 0.7152, 0.0722]
    return 1.05 / (luminance + 0.05)


@pytest.mark.parametrize("deficiency", ["none", *DEFICIENCIES])
@pytest.mark.parametrize(
    "palette",
    [
        style.BAND_COLORS.values(),
        [style.SIGN_COLORS["positive"], style.SIGN_COLORS["negative"]],
        {anatomy.REGION_COLORS[region] for region in anatomy.FEATURE_REGIONS},
        set(anatomy.FACTOR_COLORS.values()),
    ],
    ids=["bands", "signs", "regions", "factors"],
)
def test_palettes_stay_apart_for_every_common_colour_vision(palette, deficiency):
    """Two colours of one palette differ by at least 10 Lab units, whoever looks."""
    matrix = np.array(DEFICIENCIES.get(deficiency, np.eye(3)))
    seen = [lab(matrix @ linear(color)) for color in sorted(palette)]
    distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)]
    assert min(distances) >= 10


def test_band_colours_darken_with_severity():
    """Printed in grey, the order of the bands survives."""
    lightness = [lab(linear(color))[0] for color in style.BAND_COLORS.values()]
    assert lightness == sorted(lightness, reverse=True)
    assert np.min(-np.diff(lightness)) >= 8


@pytest.mark.parametrize("color", [style.INK, style.GREY])
def test_text_colours_meet_wcag_aa_on_paper(color):
    """Type needs a contrast of 4.5 (WCAG 2.2, success criterion 1.4.3)."""
    assert contrast(color) >= 4.5


@pytest.mark.parametrize(
    "color",
    [*style.BAND_COLORS.values(), *(style.SIGN_COLORS[s] for s in ("positive", "negative"))],
)
def test_mark_colours_are_seen_on_paper(color):
    """Marks that carry meaning need a contrast of about 3 (success criterion 1.4.11)."""
    assert contrast(color) >= 2.9


def test_zero_is_white():
    """In the middle of the signed colours no reader sees a sign."""
    assert style.DIVERGING(0.5)[:3] == pytest.approx((1, 1, 1), abs=0.01)


def test_groups_without_a_meaning_get_colours_that_are_free():
    """What the book has a colour for keeps it; nothing else looks like it."""
    found = style.palette(["model", "a second laboratory", "mouth", "a third"])
    assert (found["model"], found["mouth"]) == (style.color("model"), style.color("mouth"))
    assert len(set(found.values())) == 4


@pytest.mark.parametrize("name", sorted(style.COLORS))
def test_every_colour_is_seen_on_a_dark_page(name):
    """What would drown there has a lighter stand-in (contrast of 3, success criterion 1.4.11)."""
    light = style.COLORS[name].lower()
    shown = page.DARK.get(light, light)
    paper = contrast(page.DARK_PAPER)
    assert name == "zero" or paper / contrast(shown) >= 3


@pytest.mark.parametrize("call", [lambda: style.color("ear"), lambda: style.color("AU99")])
def test_unknown_names_are_refused_with_the_known_ones(call):
    """An error says what fits."""
    with pytest.raises(ValueError, match="Known: right_eyebrow"):
        call()


def test_table_html_escapes_what_it_is_given():
    """A file name or label can never become markup."""
    text = style.table_html(pd.DataFrame({"name": ["<script>"], "n": [np.nan]}), caption='a "b"')
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert ">–<" in text
    assert 'aria-label="a &#34;b&#34;"' in text


@pytest.mark.parametrize(
    ("column", "value", "written"),
    [
        *[(name, 0.0004, "< .001") for name in sorted(style.P_COLUMNS)],
        ("p_max (demo)", 0.0, "< .001"),
        ("p", 0.001, ".001"),
        ("p", 0.0478, ".048"),
        ("p", 1.0, "1.000"),
        ("p", np.nan, "–"),
        ("bf10", 3.27e15, "> 10⁶"),
        ("bf10", 37592.94, "37,593"),
        ("bf10", 0.121, "0.12"),
        ("pearson", 0.0004, "0.00"),
        ("estimate", 3.27e15, "3270000000000000.00"),
    ],
)
def test_a_p_is_never_zero_and_a_bayes_factor_never_twenty_digits(column, value, written):
    """Columns of p and of Bayes factors have a rule of their own; all others stay numbers."""
    text = style.table_html(pd.DataFrame({column: [value]}))
    assert f'<td class="num">{html.escape(written)}</td>' in text


@pytest.mark.parametrize(
    "names",
    [
        ["lower third", "middle third", "upper third"],
        ["minimal", "mild", "moderate", "moderately severe", "severe"],
    ],
)
def test_bands_of_other_scales_are_all_drawn(names):
    """Every band has its own colour and marker, in the order of the scores."""
    looks = style.bands(pd.DataFrame({"band": names[::-1], "score": range(len(names), 0, -1)}))
    assert list(looks) == names
    assert len({(look["color"], look["marker"]) for look in looks.values()}) == len(names)


@pytest.mark.parametrize("height", [1.7, 3.2, 6.0])
@pytest.mark.parametrize("place", [style.ABOVE, style.BELOW])
def test_legend_note_and_axes_do_not_lie_on_each_other(place, height):
    """A wide legend at the foot once ran into the note, and one at the top into the marks."""
    figure, axes = style.figure(height=height)
    axes.plot([0, 1], label="a long name of a line")
    axes.set_xlabel("points")
    figure.legend(**place)
    style.note(figure, "Demo cohort (rendered faces) " * 3)
    figure.draw_without_rendering()
    note = next(text for text in figure.texts if text.get_gid() == style.NOTE)
    places = [note.get_window_extent(), axes.get_tightbbox(), figure.legends[0].get_window_extent()]
    assert not any(one.overlaps(other) for one, other in combinations(places, 2))


def test_a_notebook_shows_a_figure_as_a_picture():
    """Whoever tries an exercise writes the figure's name: a picture, and once."""
    lines = "from expresso_lib.figures import style\nfigure, axes = style.figure()"
    cells = [nbformat.v4.new_code_cell(code) for code in (lines, "figure")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    chosen = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute(env=chosen)
    assert notebook.cells[0].outputs == []
    [shown] = notebook.cells[1].outputs
    assert "image/png" in shown.data
