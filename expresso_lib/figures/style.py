"""The one visual language: theme, sizes, one palette per meaning, numbers and tables.

seaborn draws what is statistical; its theme is set here. Colours mean one thing each in the whole
book (`color`). Figures are transparent and their inks follow the page (`page`), light or dark.
"""

import functools
import itertools
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, ParamSpec

import jinja2
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from pandas.api.types import is_bool, is_float, is_number, is_numeric_dtype

from expresso_lib import _checks, config
from expresso_lib.cohort import core
from expresso_lib.faces import anatomy

P = ParamSpec("P")

# Any, because matplotlib types every key of its own dictionary.
SHEET = mpl.rc_params_from_file(
    str(config.ASSETS / "expresso.mplstyle"), use_default_template=False
)
RC: Any = sns.axes_style("whitegrid") | dict(SHEET)
# Type sizes in points; SMALL is the smallest that may appear (readable in print at full width).
SMALL, BODY = RC["legend.fontsize"], RC["font.size"]
# The text column of the book, and what a single panel fills of it; inches.
FULL, TWO_THIRDS = 7.2, 4.8

NOTE = "expresso-note"
NOTE_HEIGHT = 0.15  # inches
# Where every figure has its legend: there it covers nothing, on a phone neither.
ABOVE: Final[dict[str, Any]] = {"loc": "outside upper center"}
# Below lies the note, too: the legend keeps off it.
BELOW: Final[dict[str, Any]] = {"loc": "outside lower center", "borderaxespad": 1.3}

INK, GREY, GRID = (RC[name] for name in ("text.color", "axes.edgecolor", "grid.color"))
PALE, PAPER = "#D0D7DE", "#FFFFFF"
# Type on a coloured cell or a picture: it keeps its colour on a dark page, because its ground does.
ON_LIGHT, ON_DARK = "#010101", "#FEFEFE"

# Attribution signs: the ends of ColorBrewer's RdBu (Harrower & Brewer, 2003), which readers with
# any common colour-vision deficiency tell apart; white is zero.
SIGN_COLORS = {"positive": "#B2182B", "zero": "#FFFFFF", "negative": "#2166AC"}
DIVERGING = LinearSegmentedColormap.from_list("expresso_diverging", [
    "#053061", "#2166AC", "#92C5DE", "#FFFFFF", "#F4A582", "#B2182B", "#67001F"])  # fmt: skip
SIGN_TITLES = {"positive": "raises the score", "negative": "lowers the score"}
# Severity bands darken with severity, so that their order survives print in grey; the marker
# repeats what the colour says.
BAND_COLORS = {"minimal": "#4FA59A", "mild": "#3D7DAE", "moderate": "#6A4C9C", "severe": "#3B0F3D"}
BAND_MARKERS = {"minimal": "o", "mild": "s", "moderate": "^", "severe": "D"}
# Models, baselines and controls: what is ours, what it is compared with. "other" is a second model
# beside ours: the one hue that stands for no region, factor, band or sign.
ROLE_COLORS = {
    "model": "#0072B2", "null": "#8C8C8C", "control": "#8C8C8C", "truth": INK, "paper": "#882255",
    "other": "#B79F00",
}  # fmt: skip
ROLE_MARKERS = {"truth": "s", "control": "D", "null": "D"}
# By kind: references, behaviours, what an oracle reads.
WORDS: dict[str, dict[str, str]] = config.asset("titles.yaml")
# References and a control, named in full: ours, the paper's, blind.
NAMED_COLORS = {
    config.REFERENCES[config.NEUTRAL]: ROLE_COLORS["model"],
    config.REFERENCES["zero"]: ROLE_COLORS["paper"],
    config.CONTROLS["motion"]: ROLE_COLORS["control"],
}
AU_COLORS = {code: anatomy.FACTOR_COLORS[own] for code, own in anatomy.AU_FACTORS.items()}
COLORS = (
    anatomy.REGION_COLORS | anatomy.FACTOR_COLORS | AU_COLORS | BAND_COLORS | ROLE_COLORS
    | SIGN_COLORS | NAMED_COLORS
)  # fmt: skip
TITLES = (
    anatomy.REGION_TITLES | anatomy.FACTOR_TITLES | SIGN_TITLES
    | {code: f"{code} {name}" for code, name in anatomy.AU_TITLES.items()}
)  # fmt: skip

# Columns that `cell` writes by a rule of their own.
P_COLUMNS = {"p", "p_max", "p_equivalence", "p_plain", "p_t", "p_wilcoxon", "q"}
BAYES_COLUMN = "bf10"
NAMED_COLUMNS = {"region", "factor", "baseline", "reference"}
NAMES = anatomy.REGION_TITLES | anatomy.FACTOR_TITLES | config.REFERENCES


class FigureError(ValueError):
    """Why a figure cannot be drawn: a sentence for the reader."""


class Undrawn(Figure):
    """Stands where a figure would; `reason` is the sentence that a page shows in its place."""

    def __init__(self, reason: str) -> None:
        super().__init__(figsize=(FULL, 1.0))
        self.reason = reason
        self.text(0.5, 0.5, textwrap.fill(reason, 90), ha="center", va="center", color=GREY)


def plot(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the book's style; a `FigureError` becomes an `Undrawn` figure, not an exception.

    A figure whose numbers do not exist (four participants, everything lost) must not stop a
    chapter.
    """

    @functools.wraps(draw)
    def drawn(*args: P.args, **options: P.kwargs) -> Figure:
        try:
            with mpl.rc_context(RC):
                return draw(*args, **options)
        except FigureError as error:
            return Undrawn(f"This figure is not drawn: {error}")

    return drawn


def known(table: pd.DataFrame, *columns: str, at_least: int = 1, of: str = "rows") -> pd.DataFrame:
    """Return the rows in which all of some numbers exist.

    Raises
    ------
    FigureError
        If there are fewer than `at_least`.

    Examples
    --------
    >>> len(known(pd.DataFrame({"r": [0.1, None]}), "r"))
    1
    """
    rows = table.dropna(subset=list(columns)) if {*columns} <= {*table} else table.iloc[:0]
    if len(rows) < at_least:
        it = " with its ".join(columns).replace("_", " ")
        raise FigureError(f"the {it} is known of {len(rows)} {of}; {at_least} or more are needed.")
    return rows


def use() -> None:
    """Make the book's style matplotlib's default for this process."""
    mpl.rcParams.update(RC)


@mpl.rc_context(RC)
def blank(*, width: float = FULL, height: float) -> Figure:
    """Open a figure without panels, in the book's style; inches."""
    # By pyplot, so that a notebook can show it; closed, so that it does not a second time.
    fig = plt.figure(figsize=(width, height))
    plt.close(fig)
    return fig


@mpl.rc_context(RC)
def figure(
    rows: int = 1, columns: int = 1, *, width: float = FULL, height: float = 3.6, **options: Any
) -> tuple[Figure, Any]:
    """Open a figure in the book's style.

    Parameters
    ----------
    rows, columns : int
        Panels.
    width, height : float
        Inches; a figure is never wider than the text, ``FULL``.
    **options
        Passed to ``Figure.subplots``.

    Returns
    -------
    figure, axes
        As ``Figure.subplots`` gives them.
    """
    fig = blank(width=width, height=height)
    return fig, fig.subplots(rows, columns, **options)


def color(name: str) -> str:
    """Colour of a region, factor, action unit, severity band, role or sign; one meaning each.

    Examples
    --------
    >>> color("mouth"), color("AU04") == color("brows")
    ('#D55E00', True)
    """
    _checks.one_of(name, COLORS, "name of a colour")
    return COLORS[name]


def palette(names: Iterable[str]) -> dict[str, str]:
    """Colours of some groups: those of `color`, and for what has no meaning yet, any others.

    Examples
    --------
    >>> palette(["nose", "a second laboratory"])["nose"]
    '#009E73'
    """
    names = list(dict.fromkeys(names))
    taken = {COLORS[name] for name in names if name in COLORS}
    hues = ("other", "brows", "cheeks_nose", "smile", "lids_gaze", "null", "truth", "speech_mouth")
    free = itertools.cycle(COLORS[hue] for hue in hues if COLORS[hue] not in taken)
    return {name: COLORS.get(name) or next(free) for name in names}


def title(name: str) -> str:
    """What a reader calls a region, a factor or an action unit; other names stay.

    >>> title("AU12"), title("lids_gaze"), title("ours")
    ('AU12 lip corner puller', 'lids and gaze', 'ours')
    """
    return TITLES.get(name, name)


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


def bands(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Colour and marker of every band of a table (``band, score``), from low to high scores.

    Examples
    --------
    >>> list(bands(pd.DataFrame({"band": ["high", "low"], "score": [9, 1]})))
    ['low', 'high']
    """
    means = table.groupby(core.band_names(table["band"]))["score"].mean()
    return band_looks(means.sort_values().index)


def band_looks(order: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Colour and marker of bands in the order of severity.

    A scale with other bands than those of the BDI-II takes its own steps on the same scale of
    colours.
    """
    order = list(order)
    if set(order) <= set(BAND_COLORS):
        return {name: {"color": BAND_COLORS[name], "marker": BAND_MARKERS[name]} for name in order}
    hues = sns.blend_palette([*BAND_COLORS.values()], len(order)).as_hex()
    looks = zip(order, hues, itertools.cycle("os^Dv"))
    return {name: {"color": hue, "marker": marker} for name, hue, marker in looks}


def by_band(
    axes: Axes, table: pd.DataFrame, x: str, y: str, looks: Mapping[str, Mapping[str, Any]]
) -> None:
    """Draw points of two columns in the colours and markers of their bands (``bands``)."""
    order = list(looks)
    sns.scatterplot(
        table.assign(band=core.band_names(table["band"])), x=x, y=y, hue="band", style="band",
        hue_order=order, style_order=order, palette=[look["color"] for look in looks.values()],
        markers=[look["marker"] for look in looks.values()], s=24, alpha=0.85, linewidth=0,
        legend=False, ax=axes,
    )  # fmt: skip


def handles(looks: Mapping[str, Mapping[str, Any]]) -> list[Line2D]:
    """Legend entries of marks, e.g. of ``bands``."""
    return [Line2D([], [], linestyle="none", label=name, **look) for name, look in looks.items()]


def legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """Have below the figure what stands in a panel's legend, written out."""
    shown, names = axes.get_legend_handles_labels()
    if axes.legend_:
        axes.legend_.remove()
    if shown:
        figure.legend(shown, [title(name) for name in names], **BELOW, ncols=columns)


def signed(values: Iterable[float]) -> list[str]:
    """Colours of signed numbers: red raises the predicted score, blue lowers it.

    Examples
    --------
    >>> signed([0.4, -2])
    ['#B2182B', '#2166AC']
    """
    return [SIGN_COLORS["positive" if value > 0 else "negative"] for value in values]


def band_line(axes: Axes, table: pd.DataFrame, x: str, **look: Any) -> None:
    """Draw ``estimate`` over a column as a line, in the band of its interval."""
    axes.fill_between(table[x], table["ci_low"], table["ci_high"], color=look["color"],
                      alpha=0.2, linewidth=0)  # fmt: skip
    axes.plot(table[x], table["estimate"], **look)


def heat(axes: Axes, table: pd.DataFrame, most: float) -> None:
    """Draw a table of signed numbers as coloured cells, from minus to plus ``most``."""
    sns.heatmap(table, vmin=-most, vmax=most, cmap=DIVERGING, annot=table.map(number), fmt="",
                annot_kws={"fontsize": SMALL}, cbar=False, ax=axes)  # fmt: skip
    axes.set(xlabel="", ylabel="")
    axes.grid(visible=False)
    shown = table.to_numpy().ravel()
    for text, value in zip(axes.texts, shown[np.isfinite(shown)]):
        text.set_color(ON_DARK if abs(value) > 0.6 * most else ON_LIGHT)


def picture(axes: Axes, shown: np.ndarray, title: str = "") -> None:
    """Show a picture (H, W, 3) without axes."""
    axes.imshow(shown)
    axes.set_title(title, fontsize=BODY)
    axes.set_axis_off()


def zero_line(axes: Axes, *, axis: str = "y") -> None:
    """Draw the line that separates raising from lowering the score."""
    draw = axes.axhline if axis == "y" else axes.axvline
    draw(0.0, color=GREY, linewidth=0.9, zorder=0.5)


def note(figure: Figure, text: str) -> None:
    """State below the figure what it was computed on (e.g. the demo cohort); once per figure."""
    if text and not any(label.get_gid() == NOTE for label in figure.texts):
        # The layout leaves a strip free at the bottom, so the note covers nothing.
        engine: Any = figure.get_layout_engine()
        if engine:
            strip = max(0.04, NOTE_HEIGHT / figure.get_figheight())
            engine.set(rect=(0, strip, 1, 1 - strip))
        look: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": SMALL, "color": GREY}
        figure.text(0.995, 0.005, text, gid=NOTE, parse_math=False, **look)


def number(value: Any, digits: int = 2) -> str:
    """Write one table cell: a true minus sign, none before zero, a dash for what is missing.

    Examples
    --------
    >>> number(-0.004), number(0.00012, 2), number(12), number(None), number(True)
    ('0.00', '0.00', '12', '–', 'yes')
    """
    if is_bool(value):
        return "yes" if value else "no"
    if pd.isna(value):
        return "–"
    written = f"{value:z.{digits}f}" if is_float(value) else str(value)
    return written.replace("-", "−") if is_number(value) else written


def cell(column: str, value: Any, digits: int = 2) -> str:
    """Write one cell of a table whose column has a rule of its own, the others as `number`.

    A p is never 0 and has three decimals at least; a Bayes factor beyond a million is only that;
    regions, factors and references are called what figures call them.

    Examples
    --------
    >>> cell("p_max", 0.00004), cell("p", 0.0312), cell("bf10", 2.8e32), cell("r", 0.2)
    ('< .001', '.031', '> 10⁶', '0.20')
    >>> cell("baseline", "posed_neutral"), cell("region", "face_rest")
    ('own neutral face', 'rest of face')
    """
    name = column.partition(" ")[0]  # a comparison writes the run's name behind it
    if name in NAMED_COLUMNS:
        return NAMES.get(value, str(value))
    known = is_float(value) and np.isfinite(value)
    if known and name in P_COLUMNS:
        return "< .001" if value < 0.001 else number(value, max(digits, 3)).removeprefix("0")
    if known and name == BAYES_COLUMN and value >= 100:
        return f"{value:,.0f}" if value <= 1e6 else "> 10⁶"
    return number(value, digits)


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
    return template("table.html").render(
        columns=list(map(str, table)), rows=table.itertuples(index=False, name=None), cell=cell,
        numeric=list(map(is_numeric_dtype, table.dtypes)),
        caption=caption, digits=digits,
    )  # fmt: skip


def template(name: str, *, escape: bool = True) -> jinja2.Template:
    """Return a template that ships with the library; HTML that it is given is escaped, or not."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("expresso_lib", "assets"), autoescape=escape,
        undefined=jinja2.StrictUndefined, trim_blocks=True,
    ).get_template(name)  # fmt: skip
