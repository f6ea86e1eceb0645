"""Figures of inference: the forest, the paper's bars, power, slopes, windows, single cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from expresso_lib import statistics
from expresso_lib.faces import anatomy
from expresso_lib.figures import style

EFFECTS = {"coupling": "true mean z of an AU", "severity": "true correlation with severity"}


@style.plot
def forest(
    table: pd.DataFrame,
    *,
    label: str,
    estimate: str = "estimate",
    low: str = "ci_low",
    high: str = "ci_high",
    group: str | None = None,
    words: Mapping[str, str] | None = None,
    panel: str | None = None,
    outer: tuple[str, str] | None = None,
    chance: tuple[str, str] | None = None,
    decided: str | None = None,
    reference: float | Mapping[str, float] | None = 0.0,
    margin: float | None = None,
    unit: str | Mapping[str, str] = "",
) -> Figure:
    """Draw estimates with their intervals, one below the other.

    Parameters
    ----------
    table : DataFrame
        A row per mark, in the order of drawing.
    label : str
        Column of the rows' names; regions, factors and action units are written out. Rows of the
        same name stand on one line, a little apart.
    estimate, low, high : str
        Columns; a row without an interval is drawn as its mark alone.
    group : str, optional
        Column that gives colour and marker: a region, factor, action unit, band or role
        (`style.color`), or any other names, which get a legend.
    words : mapping, optional
        What the legend calls the groups, where their names do not say it.
    panel : str, optional
        Column; its values stand side by side and share the rows.
    outer : (str, str), optional
        Columns of a wider interval, drawn thin: simultaneous over all rows.
    chance : (str, str), optional
        Columns of a grey bar behind the mark: what chance alone reaches.
    decided : str, optional
        Boolean column; where False, the mark is open.
    reference : float or mapping, optional
        Where a line stands, of all panels or of each by its value.
    margin : float, optional
        Half width of the grey band around the reference: declared too small to matter.
    unit : str or mapping
        What the horizontal axis counts, of all panels or of each.

    Returns
    -------
    Figure
        `style.Undrawn` if no row has an estimate.
    """
    style.known(table, estimate)
    names = list(dict.fromkeys(table[label]))
    panels: list[Any] = list(dict.fromkeys(table[panel])) if panel else [None]
    colors = style.palette(table[group].astype(str)) if group else {}
    height = 1.0 + 0.24 * max(len(names), 3) + (0.3 if group else 0)
    figure, grid = style.figure("full", 1, len(panels), height=height, squeeze=False, sharey=True)
    for axes, value in zip(grid[0], panels):
        part = table[table[panel] == value] if panel else table
        at = reference.get(value) if isinstance(reference, Mapping) else reference
        if at is not None and margin:
            axes.axvspan(at - margin, at + margin, color=style.PALE, alpha=0.45, linewidth=0,
                         label="declared too small to matter")  # fmt: skip
        if at is not None:
            axes.axvline(at, color=style.GREY, linewidth=0.9)
        for (_, row), y in zip(part.iterrows(), _places(part[label], names)):
            name = str(row[group]) if group else ""
            look = {"color": colors.get(name, style.ROLE_COLORS["model"])}
            full = bool(row[decided]) if decided else True
            for ends, width, own in ((chance, 7.0, {"color": style.PALE}), (outer, 0.9, look),
                                     ((low, high), 2.4 if outer else 1.6, look)):  # fmt: skip
                if ends and set(ends) <= set(row.index):
                    axes.plot(row[list(ends)].astype(float), [y, y], linewidth=width,
                              solid_capstyle="butt", **own)  # fmt: skip
            axes.plot(row[estimate], y, style.ROLE_MARKERS.get(name, "o"),
                      markerfacecolor=look["color"] if full else style.PAPER, **look)  # fmt: skip
        if isinstance(unit, Mapping):
            axes.set_xlabel(unit.get(value, value))
        elif panel:
            axes.set_title(style.title(str(value)), fontsize=style.BODY)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(5 if len(panels) < 3 else 3))
    grid[0, 0].set_yticks(range(len(names)), [style.title(str(name)) for name in names])
    grid[0, 0].set_ylim(len(names) - 0.4, -0.6)
    if not isinstance(unit, Mapping):
        figure.supxlabel(unit, fontsize=style.BODY)
    _forest_legend(figure, grid[0, 0], colors, decided, words or {})
    return figure


def _places(labels: pd.Series, names: list[str]) -> list[float]:
    """Height of every mark: its row's, spread where several share the row."""
    order, count = labels.groupby(labels).cumcount(), labels.map(labels.value_counts())
    spread = 0.5 * (order - (count - 1) / 2) / count.clip(lower=2)
    return list(labels.map(names.index) + spread)


def _forest_legend(
    figure: Figure,
    axes: Axes,
    colors: Mapping[str, str],
    decided: str | None,
    words: Mapping[str, str],
) -> None:
    if decided:
        for text, face in (("decided", style.INK), ("not decided", style.PAPER)):
            axes.plot([], [], "o", color=style.INK, markerfacecolor=face, label=text)
    factors = [name for name, members in anatomy.FACTORS.items() if {*colors} & {*members}]
    units = style.factor_handles(factors)
    for name, color in colors.items() if len(colors) > 1 and not units else ():
        if name and name not in anatomy.REGIONS:
            marker = style.ROLE_MARKERS.get(name, "o")
            axes.plot([], [], marker, color=color, label=words.get(name, style.title(name)))
    shown = [*axes.get_legend_handles_labels()[0], *units]
    if shown:
        figure.legend(handles=shown, **style.ABOVE, ncols=4)


def hypothesis(
    rows: pd.DataFrame, *, unit: str, margin: float | None = None, alpha: float = 0.05
) -> Figure:
    """Forest of a hypothesis: own interval thick, the family's thin; filled where decided.

    Parameters
    ----------
    rows : DataFrame
        Rows of ``results``. Where no test was made the mark is open.
    unit : str
        Of the horizontal axis.
    margin : float, optional
        Declared equivalence margin.
    alpha : float
        Of the family-wise p.
    """
    sign = rows["sign"].map({"positive": " (+)", "negative": " (−)"}).fillna("")
    speech = np.where(rows["speech"] != "", " †", "")
    named = rows["au"].where(rows["au"] != "", rows["region"])
    return forest(
        rows.assign(
            name=named.map(style.title) + sign + speech,
            group=named,
            decided=rows["p_max"].fillna(rows["p"]) <= alpha,
        ),
        label="name", group="group", decided="decided", margin=margin, unit=unit,
        outer=("simultaneous_low", "simultaneous_high"),
    )  # fmt: skip


@style.plot
def power_curves(curves: pd.DataFrame) -> Figure:
    """Power over effect size: one panel per kind, a colour per N, a line per family.

    Parameters
    ----------
    curves : DataFrame
        One or more `statistics.power_curve` tables, concatenated.
    """
    kinds = list(dict.fromkeys(style.known(curves, "power")["kind"]))
    figure, panels = style.figure("full", 1, len(kinds), squeeze=False, sharey=True)
    words = {1: "one test"} | {n: f"{n} tests" for n in curves["family"].unique() if n > 1}
    shown = curves.assign(participants=curves["n"], tests=curves["family"].map(words))
    for axes, kind in zip(panels[0], kinds):
        part = shown[shown["kind"] == kind]
        sns.lineplot(part, x="effect", y="power", hue="participants", style="tests", ax=axes,
                     palette=sns.color_palette("cividis", shown["n"].nunique()),
                     errorbar=None, legend=axes is panels[0, 0])  # fmt: skip
        # The power that studies commonly aim for.
        axes.axhline(0.8, color=style.GREY, linewidth=0.8)
        axes.set(xlabel=EFFECTS.get(kind, kind), ylim=(0, 1.02), xlim=(0, part["effect"].max()))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _outside(figure, panels[0, 0], 3 + shown["n"].nunique() + len(words))
    return figure


def _outside(figure: Figure, axes: Axes, columns: int) -> None:
    """Move a panel's legend below the figure."""
    handles, labels = axes.get_legend_handles_labels()
    if axes.legend_:
        axes.legend_.remove()
    figure.legend(handles, labels, **style.BELOW, ncols=columns)


@style.plot
def band_bars(presence: pd.DataFrame, intensity: pd.DataFrame) -> Figure:
    """The paper's figure: mean window correlation per AU and band, above presence, below intensity.

    A missing bar is a small cross, not a gap that looks like zero.

    Parameters
    ----------
    presence, intensity : DataFrame
        From `statistics.paper_bars`.
    """
    style.known(pd.concat([presence, intensity]), "mean")
    figure, panels = style.figure("full", 2, sharey=True, sharex=True, height=5.2)
    for axes, table, title in zip(panels, (presence, intensity), ("AU presence", "AU intensity")):
        aus = [au for au in anatomy.AU_CODES if au in set(table["au"])]
        looks = style.band_looks(table["band"].drop_duplicates())
        sns.barplot(table, x="au", y="mean", hue="band", order=aus, hue_order=list(looks),
                    palette=[look["color"] for look in looks.values()], saturation=1, ax=axes,
                    errorbar=None)  # fmt: skip
        gone = table[table["mean"].isna()]
        axes.plot([aus.index(au) for au in gone["au"]], np.zeros(len(gone)), "x", color=style.GREY,
                  markersize=3)  # fmt: skip
        _au_axis(axes, aus)
        axes.set(title=title, ylabel="mean rho of windows")
    _outside(figure, panels[0], 4)
    panels[1].legend_.remove()
    return figure


def _au_axis(axes: Axes, aus: Sequence[str]) -> None:
    style.zero_line(axes)
    axes.set_xticks(range(len(aus)), [au.removeprefix("AU").lstrip("0") for au in aus])
    axes.set_xlabel("action unit")
    axes.tick_params(labelbottom=True)
    axes.grid(visible=False, axis="x")


@style.plot
def undefined_windows(intensity: pd.DataFrame, presence: pd.DataFrame | None = None) -> Figure:
    """Share of windows in which no correlation exists, per AU, for intensity and presence.

    Parameters
    ----------
    intensity, presence : DataFrame
        From `statistics.undefined_windows`.
    """
    tables = {"intensity": intensity} | ({} if presence is None else {"presence": presence})
    shares = style.known(pd.concat(tables, names=["kind"]).reset_index("kind"), "undefined")
    aus = [au for au in anatomy.AU_CODES if au in set(shares["au"])]
    figure, axes = style.figure("wide")
    sns.barplot(shares, x="au", y="undefined", hue="kind", order=aus, saturation=1, ax=axes,
                palette=[style.color("model"), style.color("null")][: len(tables)],
                errorbar=None)  # fmt: skip
    _au_axis(axes, aus)
    axes.set(ylabel="windows without\na correlation", ylim=(0, 1))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _outside(figure, axes, 2)
    return figure


@style.plot
def single_case(
    attribution_frames: pd.DataFrame,
    action_units: pd.DataFrame,
    recording: str,
    au: str,
    *,
    window: int = 64,
) -> Figure:
    """One recording: mean z of one AU at every circular shift, and where it is without a shift.

    Parameters
    ----------
    attribution_frames, action_units : DataFrame
        As `statistics.h5_recording` takes them.
    recording, au : str
        Which to draw.
    window : int
        Frames; halved until two fit.
    """
    found, aus, _ = statistics.recording_shift(
        attribution_frames, action_units, recording, window=window
    )
    null, p = found.null[aus.index(au)], found.p[aus.index(au)]
    if not np.isfinite(null).any():
        raise style.FigureError(f"{au} has no correlation at any shift of {recording}.")
    figure, axes = style.figure("two_thirds")
    sns.histplot(null[np.isfinite(null)], bins=40, color=style.GREY, alpha=0.5, linewidth=0,
                 label="shifted in a circle", ax=axes)  # fmt: skip
    axes.axvline(null[0], color=style.color(au), linewidth=2.2, label="as recorded")
    axes.set(title=f"{au}: p = {p:.3f} over {len(null)} shifts", xlabel="mean z over windows",
             ylabel="shifts")  # fmt: skip
    axes.legend()
    return figure
