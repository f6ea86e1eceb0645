"""Figures of inference: the forest, the paper's bars, power, slopes, windows, single cases."""

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
from expresso_lib.statistics import wording

EFFECTS = {"coupling": "true mean z of an AU", "severity": "true correlation with severity"}


@style.plot
def forest(
    table: pd.DataFrame,
    *,
    label: str,
    group: str | None = None,
    words: Mapping[str, str] | None = None,
    panel: str | None = None,
    reference: float | Mapping[str, float] | None = 0.0,
    margin: float = 0.0,
    unit: str | Mapping[str, str] = "",
) -> Figure:
    """Draw estimates with their intervals, one below the other.

    Parameters
    ----------
    table : DataFrame
        As for `estimates`.
    label, group : str
        As for `estimates`; regions, factors and action units are written out, groups of other
        names get a legend.
    words : mapping, optional
        What the legend calls the groups, where their names do not say it.
    panel : str, optional
        Column; its values stand side by side and share the rows.
    reference : float or mapping, optional
        Where a line stands, of all panels or of each by its value.
    margin : float
        Half width of the grey band around the reference: declared too small to matter.
    unit : str or mapping
        What the horizontal axis counts, of all panels or of each.

    Returns
    -------
    Figure
        `style.Undrawn` if no row has an estimate.
    """
    style.known(table, "estimate")
    names = list(dict.fromkeys(table[label]))
    colors = style.palette(table[group].astype(str) if group else ["model"])
    parts = list(table.groupby(panel, sort=False)) if panel else [("", table)]
    height = 1.0 + 0.24 * max(len(names), 3) + (0.3 if group else 0)
    # One unit, one scale: what is farther right in one panel is more than in the other.
    how = {"height": height, "squeeze": False, "sharey": True, "sharex": isinstance(unit, str)}
    figure, (grid,) = style.figure(1, len(parts), **how)
    for axes, (value, part) in zip(grid, parts):
        at = reference.get(value) if isinstance(reference, Mapping) else reference
        if at is not None:
            axes.axvline(at, color=style.GREY, linewidth=0.9)
            if margin:
                axes.axvspan(at - margin, at + margin, color=style.PALE, alpha=0.45, linewidth=0,
                             label="declared too small to matter")  # fmt: skip
        estimates(axes, part, label=label, names=names, group=group, colors=colors)
        if isinstance(unit, Mapping):
            axes.set_xlabel(unit.get(value, value))
        elif panel:
            axes.set_title(style.title(str(value)), fontsize=style.BODY)
        axes.xaxis.set_major_locator(MaxNLocator(5 if len(parts) < 3 else 3))
    if not isinstance(unit, Mapping):
        figure.supxlabel(unit, fontsize=style.BODY)
    handles = grid[0].get_legend_handles_labels()[0] + _handles(table, colors, words or {})
    if handles:
        figure.legend(handles=handles, **style.ABOVE, ncols=4)
    return figure


def estimates(
    axes: Axes,
    table: pd.DataFrame,
    *,
    label: str,
    names: Sequence[str] = (),
    group: str | None = None,
    colors: Mapping[str, str] = style.COLORS,
) -> None:
    """Draw estimates with their intervals into one panel, the first row above.

    Parameters
    ----------
    axes : Axes
        The panel.
    table : DataFrame
        A row per mark: ``estimate`` and where known ``ci_low, ci_high``. Also these: ``chance_low,
        chance_high``, what chance alone reaches, a grey bar behind the mark; ``outer_low,
        outer_high``, an interval that holds for all rows at once, a thin line; ``decided``, open
        where False; ``marker``.
    label : str
        Column of the rows' names. Estimates of one name stand on one line, a little apart.
    names : sequence of str
        All rows, where the table lacks some.
    group : str, optional
        Column of the marks' groups: a region, factor, action unit, band, role or another.
    colors : mapping
        Of the groups.
    """
    names, table = list(names or dict.fromkeys(table[label])), table.reset_index(drop=True)
    order, count = table.groupby(label).cumcount(), table[label].map(table[label].value_counts())
    spread = 0.5 * (order - (count - 1) / 2) / count.clip(lower=2)
    own = 2.4 if "outer_low" in table else 1.6
    for (_, row), y in zip(table.iterrows(), table[label].map(names.index) + spread):
        name = str(row[group]) if group else "model"
        color, marker = colors[name], row.get("marker", style.ROLE_MARKERS.get(name, "o"))
        for kind, width, ink in (
            ("chance", 7.0, style.PALE), ("outer", 0.9, color), ("ci", own, color)
        ):  # fmt: skip
            if f"{kind}_low" in table:
                axes.plot([row[f"{kind}_low"], row[f"{kind}_high"]], [y, y], color=ink,
                          linewidth=width, solid_capstyle="butt")  # fmt: skip
        face = color if row.get("decided", True) else style.PAPER
        axes.plot(row["estimate"], y, marker, color=color, markerfacecolor=face)
    axes.set_yticks(range(len(names)), [style.title(str(name)) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _handles(table: pd.DataFrame, colors: Mapping[str, str], words: Mapping[str, str]) -> list[Any]:
    """Legend entries of decisions and groups; of action units, their factors."""
    looks: dict[str, dict[str, str]] = {}
    if "decided" in table:
        ink = {"color": style.INK, "marker": "o"}
        looks = {"found here": ink, "not found here": ink | {"markerfacecolor": style.PAPER}}
    factors = [name for name, units in anatomy.FACTORS.items() if {*colors} & {*units}]
    for name in [*colors] if len(colors) > 1 and not factors else ():
        if name not in anatomy.REGIONS:
            marker = style.ROLE_MARKERS.get(name, "o")
            looks[words.get(name, style.title(name))] = {"color": colors[name], "marker": marker}
    return [*style.handles(looks), *style.factor_handles(factors)]


def hypothesis(
    rows: pd.DataFrame, *, unit: str, margin: float = 0.0, alpha: float = 0.05
) -> Figure:
    """Forest of a hypothesis: own interval thick, the family's thin; filled where decided.

    Parameters
    ----------
    rows : DataFrame
        Rows of ``results``. Where no test was made the mark is open.
    unit : str
        Of the horizontal axis.
    margin : float
        Declared equivalence margin.
    alpha : float
        Of the family-wise p.
    """
    sign = rows["sign"].map({"positive": " (+)", "negative": " (−)"}).fillna("")
    speech = np.where(rows["speech"] != "", " †", "")
    named = rows["au"].where(rows["au"] != "", rows["region"])
    return forest(
        rows.rename(columns=lambda column: column.replace("simultaneous", "outer")).assign(
            name=named.map(style.title) + sign + speech, group=named,
            decided=rows["p_max"].fillna(rows["p"]) <= alpha),
        label="name", group="group", margin=margin, unit=unit,
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
    figure, panels = style.figure(1, len(kinds), squeeze=False, sharey=True)
    tests = curves["family"].map("{} tests".format).replace("1 tests", "one test")
    shown = curves.assign(participants=curves["n"], tests=tests)
    for axes, kind in zip(panels[0], kinds):
        part = shown[shown["kind"] == kind]
        sns.lineplot(part, x="effect", y="power", hue="participants", style="tests", ax=axes,
                     palette=sns.color_palette("cividis", shown["n"].nunique()),
                     errorbar=None, legend=axes is panels[0, 0])  # fmt: skip
        # The power that studies commonly aim for.
        axes.axhline(0.8, color=style.GREY, linewidth=0.8)
        axes.set(xlabel=EFFECTS.get(kind, kind), ylim=(0, 1.02), xlim=(0, part["effect"].max()))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    style.legend_below(figure, panels[0, 0], 3 + shown["n"].nunique() + tests.nunique())
    return figure


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
    figure, panels = style.figure(2, sharey=True, sharex=True, height=5.2)
    for axes, table, title in zip(panels, (presence, intensity), ("AU presence", "AU intensity")):
        looks = style.band_looks(table["band"].drop_duplicates())
        _au_bars(axes, table, "mean", "band", [look["color"] for look in looks.values()])
        places = _places(table["au"]) + _dodged(table["band"], list(looks))
        gone = places[table["mean"].isna()]
        axes.plot(gone, [0] * len(gone), "x", color=style.GREY, markersize=3)
        axes.set(title=title, ylabel="mean rho of windows")
    style.legend_below(figure, panels[0], 4)
    panels[1].legend_.remove()
    return figure


def _places(aus: pd.Series) -> pd.Series:
    """Where the bars of an action unit stand."""
    order = [au for au in anatomy.AU_CODES if au in set(aus)]
    return aus.map(dict(zip(order, range(len(order))))).astype(float)


def _dodged(bands: pd.Series, order: list[str]) -> pd.Series:
    """How far beside its action unit the bar of a band stands, .8 for all together."""
    step = 0.8 / len(order)
    return bands.astype(str).map({name: (k + 0.5) * step - 0.4 for k, name in enumerate(order)})


def _au_bars(axes: Axes, table: pd.DataFrame, y: str, hue: str, colors: list[str]) -> None:
    """Draw grouped bars of every action unit."""
    aus = [au for au in anatomy.AU_CODES if au in set(table["au"])]
    sns.barplot(table, x="au", y=y, hue=hue, order=aus, palette=colors, saturation=1,
                errorbar=None, ax=axes)  # fmt: skip
    style.zero_line(axes)
    axes.set_xticks(range(len(aus)), [au.removeprefix("AU").lstrip("0") for au in aus])
    axes.set_xlabel("action unit")
    axes.tick_params(labelbottom=True)
    axes.grid(visible=False, axis="x")


@style.plot
def undefined_windows(intensity: pd.DataFrame, presence: pd.DataFrame) -> Figure:
    """Share of windows in which no correlation exists, per AU, for intensity and presence.

    Parameters
    ----------
    intensity, presence : DataFrame
        From `statistics.undefined_windows`.
    """
    tables = pd.concat({"intensity": intensity, "presence": presence}, names=["kind"])
    shares = style.known(tables.reset_index("kind"), "undefined")
    figure, axes = style.figure(height=2.4)
    _au_bars(axes, shares, "undefined", "kind", [style.color("model"), style.color("null")])
    axes.set(ylabel="windows without\na correlation", ylim=(0, 1))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    style.legend_below(figure, axes, 2)
    return figure


@style.plot
def single_case(
    frames: pd.DataFrame, units: pd.DataFrame, recording: str, au: str, *, window: int = 64
) -> Figure:
    """One recording: mean z of one AU at every circular shift, and where it is without a shift.

    Parameters
    ----------
    frames, units : DataFrame
        As `hypotheses.h5_recording` takes them.
    recording, au : str
        Which to draw.
    window : int
        Frames; halved until two fit.
    """
    try:
        found, aus, _ = statistics.recording_shift(frames, units, recording, window=window)
    except ValueError as error:
        raise style.FigureError(str(error)) from error
    if au not in aus:
        raise style.FigureError(f"{recording} has no series of {au}.")
    null, p = found.null[aus.index(au)], found.p[aus.index(au)]
    if not np.isfinite(null).any():
        raise style.FigureError(f"{au} has no correlation at any shift of {recording}.")
    figure, axes = style.figure(width=style.TWO_THIRDS, height=3.2)
    sns.histplot(null[np.isfinite(null)], bins=40, color=style.GREY, alpha=0.5, linewidth=0,
                 label="shifted in a circle", ax=axes)  # fmt: skip
    axes.axvline(null[0], color=style.color(au), linewidth=2.2, label="as recorded")
    axes.set(xlabel="mean z over windows", ylabel="shifts",
             title=f"{au}: {wording.chance(p)} over {len(null)} shifts")  # fmt: skip
    style.legend_below(figure, axes, 2)
    return figure
