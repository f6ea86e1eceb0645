"""The one visual language: sizes, type, colours, notes, tables.

Colours mean one thing each in the whole book. Regions and factors take theirs from `anatomy`;
signs and severity bands are defined here. Figures stand on white paper in light and dark pages
alike: a translucent figure would put black type on a dark page.
"""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike

from expresso_lib.faces import anatomy

# Type sizes in points; SMALL is the smallest that may appear (readable in print at full width).
SMALL, BODY, TITLE = 8.0, 9.5, 11.0
DPI = 160
# The text column of the book is about 7.2 inches wide; a figure is never drawn wider.
WIDTHS = {"full": 7.2, "wide": 7.2, "half": 3.5, "two_thirds": 4.8, "square": 4.4}
HEIGHTS = {"full": 3.6, "wide": 2.4, "half": 2.8, "two_thirds": 3.2, "square": 4.4}

INK, GREY, PALE, PAPER = "#1F2328", "#57606A", "#D0D7DE", "#FFFFFF"

# Attribution signs: the ends of ColorBrewer's RdBu (Harrower & Brewer, 2003), which readers with
# any common colour-vision deficiency tell apart; white is zero.
SIGN_COLORS = {"positive": "#B2182B", "zero": "#FFFFFF", "negative": "#2166AC"}
SIGN_TITLES = {"positive": "raises the score", "negative": "lowers the score"}
DIVERGING = LinearSegmentedColormap.from_list(
    "expresso_diverging",
    ["#053061", "#2166AC", "#92C5DE", "#FFFFFF", "#F4A582", "#B2182B", "#67001F"],
)
SEQUENTIAL = mpl.colormaps["cividis"]

# Severity bands darken with severity, so that their order survives print in grey; the marker
# repeats what the colour says.
BAND_COLORS = {"minimal": "#4FA59A", "mild": "#3D7DAE", "moderate": "#6A4C9C", "severe": "#3B0F3D"}
BAND_MARKERS = {"minimal": "o", "mild": "s", "moderate": "^", "severe": "D"}

# Models, baselines and controls: what is ours, what it is compared with.
ROLE_COLORS = {
    "model": "#0072B2",
    "null": "#8C8C8C",
    "control": "#8C8C8C",
    "truth": "#1F2328",
    "paper": "#D55E00",
}

# Any, because matplotlib types every key of its own dictionary.
RC: Any = {
    "figure.facecolor": PAPER,
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": PAPER,
    "savefig.dpi": DPI,
    "axes.facecolor": PAPER,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlesize": TITLE,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": BODY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E6E9ED",
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "font.size": BODY,
    "font.family": "sans-serif",
    # DejaVu ships with matplotlib, so every machine draws the same figure.
    "font.sans-serif": ["DejaVu Sans"],
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "patch.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    # Text stays text in SVG: small, searchable, read aloud by screen readers.
    "svg.fonttype": "none",
    "svg.hashsalt": "expresso",
    "image.interpolation": "nearest",
}


def use() -> None:
    """Make the book's style matplotlib's default for this process."""
    mpl.rcParams.update(RC)


@contextmanager
def context() -> Iterator[None]:
    """Apply the book's style within a ``with`` block only."""
    with mpl.rc_context(RC):
        yield


def figure(
    kind: str = "full",
    rows: int = 1,
    columns: int = 1,
    *,
    height: float | None = None,
    **options: Any,
) -> tuple[Figure, Any]:
    """Open a figure of one of the book's sizes.

    Parameters
    ----------
    kind : {"full", "wide", "half", "two_thirds", "square"}
        Size name; see ``WIDTHS`` and ``HEIGHTS`` (inches).
    rows, columns : int
        Panels. The figure grows with the rows, never beyond the text column.
    height : float, optional
        Total height in inches instead of the default.
    **options
        Passed to ``matplotlib.pyplot.subplots``.

    Returns
    -------
    figure, axes
        As ``plt.subplots`` gives them.

    Raises
    ------
    ValueError
        If ``kind`` is unknown.

    Examples
    --------
    >>> fig, axes = figure("half", rows=2)
    >>> [round(float(side), 1) for side in fig.get_size_inches()]
    [3.5, 4.8]
    """
    if kind not in WIDTHS:
        raise ValueError(f"figure kind {kind!r} is unknown; choose one of {', '.join(WIDTHS)}.")
    # Further rows share the axis labels of the first, so they need a little less height.
    total = height or HEIGHTS[kind] * (1 + 0.7 * (rows - 1))
    with context():
        fig, axes = plt.subplots(rows, columns, figsize=(WIDTHS[kind], total), **options)
    # A notebook shows a figure when run.figure displays it, not a second time at cell end.
    plt.close(fig)
    return fig, axes


def region_style(region: str) -> dict[str, Any]:
    """Colour, line and hatch of one region: sides share a hue, the left is dashed or hatched.

    Examples
    --------
    >>> region_style("left_eye")["linestyle"], region_style("mouth")["color"]
    ('--', '#D55E00')
    """
    if region not in anatomy.REGION_COLORS:
        raise ValueError(
            f"region {region!r} is unknown; choose one of {', '.join(anatomy.REGION_COLORS)}."
        )
    left = region.startswith("left_")
    return {
        "color": anatomy.REGION_COLORS[region],
        "linestyle": "--" if left else "-",
        "hatch": "///" if left else "",
        "label": anatomy.REGION_TITLES[region],
    }


def au_color(code: str) -> str:
    """Colour of an action unit: that of its factor (e.g. every brow AU shares one).

    Examples
    --------
    >>> au_color("AU04") == anatomy.FACTOR_COLORS["brows"]
    True
    """
    known = factors_of([code[:4]])
    if known:
        return anatomy.FACTOR_COLORS[known[0]]
    raise ValueError(
        f"action unit {code!r} is unknown; choose one of {', '.join(anatomy.AU_CODES)}."
    )


def factors_of(codes: Iterable[str]) -> list[str]:
    """Factors of some action units, in anatomical order; unknown codes have none.

    Examples
    --------
    >>> factors_of(["AU12", "AU04", "AU01"])
    ['brows', 'smile']
    """
    return [name for name, members in anatomy.FACTORS.items() if {*codes} & {*members}]


def bands(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Colour and marker of every band of a table (``band, score``), from low to high scores.

    Examples
    --------
    >>> list(bands(pd.DataFrame({"band": ["high", "low"], "score": [9, 1]})))
    ['low', 'high']
    """
    means = table.groupby(table["band"].astype(str))["score"].mean()
    return band_looks(means.sort_values().index)


def band_looks(order: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour and marker of bands in the order of severity.

    A scale with other bands than those of the BDI-II goes the same way of colours in its own steps.
    """
    order = list(order)
    if set(order) <= set(BAND_COLORS):
        return {name: {"color": BAND_COLORS[name], "marker": BAND_MARKERS[name]} for name in order}
    way = LinearSegmentedColormap.from_list("bands", list(BAND_COLORS.values()))
    steps = zip(np.linspace(0, 1, len(order)), itertools.cycle("os^Dv"))
    return {name: {"color": mpl.colors.to_hex(way(at)), "marker": marker}
            for name, (at, marker) in zip(order, steps)}  # fmt: skip


def by_band(axes: Axes, x: ArrayLike, y: ArrayLike, band: pd.Series,
            looks: Mapping[str, Mapping[str, Any]]) -> None:  # fmt: skip
    """Draw points in the colours and markers of their bands (``bands``)."""
    for name, look in looks.items():
        inside = (band.astype(str) == name).to_numpy()
        axes.plot(np.asarray(x)[inside], np.asarray(y)[inside], linestyle="none", markersize=4,
                  alpha=0.85, label=name, **look)  # fmt: skip


def band_handles(looks: Mapping[str, Mapping[str, Any]]) -> list[Line2D]:
    """Legend entries of ``bands``."""
    return [Line2D([], [], linestyle="none", label=name, **look) for name, look in looks.items()]


def factor_handles(factors: Iterable[str]) -> list[Patch]:
    """Legend entries of the factors (groups of action units) that a figure shows.

    Examples
    --------
    >>> [handle.get_label() for handle in factor_handles(["smile", "brows"])]
    ['brows', 'smile']
    """
    shown = set(factors)
    return [Patch(color=color, label=anatomy.FACTOR_TITLES[name])
            for name, color in anatomy.FACTOR_COLORS.items() if name in shown]  # fmt: skip


def sign_color(value: float) -> str:
    """Colour of a signed number: red raises the predicted score, blue lowers it, grey is zero.

    Examples
    --------
    >>> sign_color(0.4), sign_color(-2), sign_color(0)
    ('#B2182B', '#2166AC', '#57606A')
    """
    if value == 0 or not np.isfinite(value):
        return GREY
    return SIGN_COLORS["positive" if value > 0 else "negative"]


def zero_line(axes: Axes, *, axis: str = "y") -> None:
    """Draw the line that separates raising from lowering the score."""
    draw = axes.axhline if axis == "y" else axes.axvline
    draw(0.0, color=GREY, linewidth=0.9, zorder=0.5)


def note(figure: Figure, text: str) -> None:
    """State below the figure what it was computed on (e.g. the demo cohort); once per figure."""
    if text and not any(label.get_gid() == "expresso-note" for label in figure.texts):
        # The layout leaves a strip free at the bottom, so the note covers nothing.
        engine = figure.get_layout_engine()
        if isinstance(engine, ConstrainedLayoutEngine):
            engine.set(rect=(0, 0.04, 1, 0.96))
        label = figure.text(0.995, 0.005, text, ha="right", va="bottom", fontsize=SMALL, color=GREY)
        label.set_gid("expresso-note")


def number(value: Any, digits: int = 2) -> str:
    """Write one table cell: a true minus sign, none before zero, a dash for what is missing.

    Examples
    --------
    >>> number(-0.004), number(0.00012, 2), number(12), number(None), number(True)
    ('0.00', '0.00', '12', '–', 'yes')
    """
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    fraction = isinstance(value, (float, np.floating))
    if value is None or value is pd.NA or (fraction and np.isnan(value)):
        return "–"
    if fraction:
        return f"{value:z.{digits}f}".replace("-", "−")
    return str(value).replace("-", "−") if isinstance(value, (int, np.integer)) else str(value)


def table_html(table: pd.DataFrame, *, caption: str = "", digits: int = 2) -> str:
    """Write a table that a screen reader can follow and a phone can scroll.

    Parameters
    ----------
    table : DataFrame
        Its columns become headers (underscores read as spaces); the index is left out.
    caption : str
        What the table shows.
    digits : int
        Decimals of floating-point numbers.

    Returns
    -------
    str
        HTML with every cell escaped.

    Examples
    --------
    >>> print(table_html(pd.DataFrame({"mean_z": [0.126], "au": ["AU12 <c>"]}), caption="One."))
    <div class="ex-scroll" tabindex="0" role="region" aria-label="One."><table class="ex-table">...
    """
    heads = "".join(f'<th scope="col">{html.escape(str(c)).replace("_", " ")}</th>' for c in table)
    numeric = [pd.api.types.is_numeric_dtype(table[column]) for column in table]
    rows = []
    for row in table.itertuples(index=False):
        cells = (
            f'<td class="num">{html.escape(number(value, digits))}</td>'
            if right
            else f"<td>{html.escape(number(value, digits))}</td>"
            for value, right in zip(row, numeric, strict=True)
        )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    title = f"<caption><span>{html.escape(caption)}</span></caption>" if caption else ""
    label = html.escape(caption or "table", quote=True)
    return (
        f'<div class="ex-scroll" tabindex="0" role="region" aria-label="{label}">'
        f'<table class="ex-table">{title}<thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
