"""Figures of inference: power, the paper's bars, forests, slopes, windows, single cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from expresso_lib import statistics
from expresso_lib.faces import anatomy
from expresso_lib.figures import style
from expresso_lib.statistics.hypotheses import EYES, KNOT

_LINES = ("-", "--", ":", "-.")
_EFFECTS = {"coupling": "true mean z of an AU", "severity": "true correlation with severity"}


def power_curves(curves: pd.DataFrame) -> Figure:
    """Power over effect size: one panel per kind, a colour per N, a line per family.

    Parameters
    ----------
    curves : DataFrame
        One or more `stats.power_curve` tables, concatenated.
    """
    kinds = list(dict.fromkeys(curves["kind"]))
    figure, panels = style.figure("full", 1, len(kinds), squeeze=False)
    sizes = sorted(curves["n"].unique())
    colours = [
        style.SEQUENTIAL(0.05 + 0.75 * i / max(len(sizes) - 1, 1)) for i in range(len(sizes))
    ]
    for axes, kind in zip(panels[0], kinds):
        part = curves[curves["kind"] == kind]
        for (n, family), line in part.groupby(["n", "family"]):
            axes.plot(
                line["effect"],
                line["power"],
                color=colours[sizes.index(n)],
                linestyle=_LINES[sorted(part["family"].unique()).index(family) % 4],
            )
        # The power that studies usually aim for.
        axes.axhline(0.8, color=style.GREY, linewidth=0.8)
        axes.set(xlabel=_EFFECTS.get(kind, kind), ylim=(0, 1.02), xlim=(0, part["effect"].max()))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    panels[0, 0].set_ylabel("power")
    for n, colour in zip(sizes, colours):
        panels[0, 0].plot([], [], color=colour, label=f"N = {n}")
    for line, family in zip(_LINES, sorted(curves["family"].unique())):
        panels[0, 0].plot(
            [],
            [],
            color=style.INK,
            linestyle=line,
            label="one test" if family == 1 else f"{family} tests",
        )
    figure.legend(loc="outside lower center", ncols=6)
    return figure


def band_bars(presence: pd.DataFrame, intensity: pd.DataFrame, *, column: str = "mean") -> Figure:
    """The paper's figure: mean window correlation per AU and band, above presence, below intensity.

    Parameters
    ----------
    presence, intensity : DataFrame
        From `stats.paper_bars`.
    column : {"mean", "everyone"}
    """
    figure, panels = style.figure("full", 2, sharey=True, sharex=True, height=5.2)
    for axes, table, title in zip(panels, (presence, intensity), ("AU presence", "AU intensity")):
        looks = style.band_looks(table["band"].drop_duplicates())
        _bars(axes, table.pivot(index="au", columns="band", values=column), looks)
        axes.set_title(title)
        axes.set_ylabel("mean rho of windows")
        axes.tick_params(labelbottom=True)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4)
    return figure


def _bars(axes: Axes, table: pd.DataFrame, bands: dict[str, dict[str, Any]]) -> None:
    """Grouped bars; a missing bar is a small cross, not a gap that looks like zero."""
    aus = [au for au in anatomy.AU_CODES if au in table.index] or list(table.index)
    width, place = 0.8 / max(len(bands), 1), np.arange(len(aus))
    for i, band in enumerate(bands):
        x = place + (i - (len(bands) - 1) / 2) * width
        values = table.loc[aus, band].to_numpy(float)
        axes.bar(x, np.nan_to_num(values), width, color=bands[band]["color"], label=band)
        axes.plot(
            x[np.isnan(values)],
            np.zeros(int(np.isnan(values).sum())),
            "x",
            color=style.GREY,
            markersize=3,
        )
    style.zero_line(axes)
    axes.set_xticks(place, [au.removeprefix("AU").lstrip("0") for au in aus])
    axes.set_xlabel("action unit")
    axes.grid(visible=False, axis="x")


def forest(
    rows: pd.DataFrame, *, label: str, margin: float | None = None, alpha: float = 0.05
) -> Figure:
    """Estimates with their own interval (thick) and the one for the whole family (thin).

    Parameters
    ----------
    rows : DataFrame
        Rows of `results` of one hypothesis. Filled markers: family-wise p ≤ alpha; open: not;
        crosses: no test was made.
    label : str
        Of the horizontal axis.
    margin : float, optional
        Declared equivalence margin, drawn as a band: what lies within is too small to matter.
    """
    figure, axes = style.figure("full", height=1.2 + 0.23 * max(len(rows), 4))
    if margin:
        axes.axvspan(
            -margin,
            margin,
            color=style.PALE,
            alpha=0.45,
            linewidth=0,
            label="declared too small to matter",
        )
    style.zero_line(axes, axis="x")
    for y, (_, row) in enumerate(rows.iterrows()):
        _forest_row(axes, y, row, alpha)
    axes.set_yticks(range(len(rows)), [_row_title(row) for _, row in rows.iterrows()])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(label)
    axes.grid(visible=False, axis="y")
    axes.plot([], [], "o", color=style.INK, label=f"family-wise p ≤ {alpha:g}")
    axes.plot([], [], "o", color=style.INK, markerfacecolor=style.PAPER, label="not significant")
    figure.legend(loc="outside lower center", ncols=3)
    factors = style.factor_handles(style.factors_of(rows.loc[rows["au"] != "", "au"]))
    if factors:
        figure.legend(handles=factors, loc="outside upper center", ncols=5)
    return figure


def _forest_row(axes: Axes, y: int, row: pd.Series, alpha: float) -> None:
    colour = (
        style.au_color(row["au"])
        if row["au"]
        else style.region_style(row["region"])["color"]
        if row["region"] in anatomy.REGIONS
        else style.INK
    )
    axes.plot(
        [row["simultaneous_low"], row["simultaneous_high"]], [y, y], color=colour, linewidth=0.9
    )
    axes.plot(
        [row["ci_low"], row["ci_high"]], [y, y], color=colour, linewidth=2.6, solid_capstyle="butt"
    )
    decisive = row["p_max"] if np.isfinite(row["p_max"]) else row["p"]
    if np.isnan(decisive):
        axes.plot(row["estimate"], y, "x", color=colour)
    else:
        axes.plot(
            row["estimate"],
            y,
            "o",
            color=colour,
            markerfacecolor=colour if decisive <= alpha else style.PAPER,
        )


def _row_title(row: pd.Series) -> str:
    """Reader's name of a row: AU code and name (with the speech flag), or region and sign."""
    if row["au"]:
        star = " †" if row["speech"] else ""
        return f"{row['au']} {anatomy.AU_TITLES.get(row['au'], '')}{star}"
    name = anatomy.REGION_TITLES.get(row["region"], row["region"].replace("_", " "))
    sign = {"positive": " (+)", "negative": " (−)"}.get(row["sign"], "")
    return f"{name}{sign}"


def severity_scatter(
    couplings: pd.DataFrame, participants: pd.DataFrame, aus: Sequence[str]
) -> Figure:
    """Participant z over severity for a few AUs; one marker per participant, shaped by band.

    Parameters
    ----------
    couplings : DataFrame
        From `stats.participant_couplings`.
    participants : DataFrame
        ``participant, score, band``.
    aus : sequence of str
        Up to four.
    """
    aus = list(aus)[:4]
    figure, panels = style.figure("wide", 1, len(aus), height=2.7, squeeze=False, sharey=True)
    table = couplings.merge(
        participants[["participant", "score", "band"]], on="participant"
    ).dropna(subset=["z", "score"])
    bands = style.bands(participants)
    for axes, au in zip(panels[0], aus):
        part = table[table["au"] == au]
        style.by_band(axes, part["score"], part["z"], part["band"], bands)
        if part["score"].nunique() > 2:
            slope = np.polyfit(part["score"], part["z"], 1)
            ends = np.array([part["score"].min(), part["score"].max()])
            axes.plot(ends, np.polyval(slope, ends), color=style.GREY, linewidth=1.0)
        style.zero_line(axes)
        axes.set(title=au, xlabel="score")
    panels[0, 0].set_ylabel("participant z")
    figure.legend(handles=style.band_handles(bands), loc="outside lower center", ncols=4)
    return figure


def undefined_windows(intensity: pd.DataFrame, presence: pd.DataFrame | None = None) -> Figure:
    """Share of windows in which no correlation exists, per AU, for intensity and presence.

    Parameters
    ----------
    intensity, presence : DataFrame
        From `stats.undefined_windows`.
    """
    figure, axes = style.figure("wide")
    tables = {"intensity": intensity} | ({"presence": presence} if presence is not None else {})
    aus = [au for au in anatomy.AU_CODES if au in set(intensity["au"])]
    width = 0.8 / len(tables)
    for i, (name, table) in enumerate(tables.items()):
        share = table.set_index("au")["undefined"].reindex(aus)
        x = np.arange(len(aus)) + (i - (len(tables) - 1) / 2) * width
        axes.bar(
            x,
            share,
            width,
            label=name,
            color=(style.ROLE_COLORS["model"], style.ROLE_COLORS["null"])[i],
        )
    axes.set_xticks(range(len(aus)), [au.removeprefix("AU").lstrip("0") for au in aus])
    axes.set(xlabel="action unit", ylabel="windows without\na correlation", ylim=(0, 1))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(visible=False, axis="x")
    axes.legend()
    return figure


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
        As `stats.h5_recording` takes them.
    recording, au : str
        Which to draw.
    window : int
        Frames; halved until two fit.
    """
    found, aus, _ = statistics.recording_shift(
        attribution_frames, action_units, recording, window=window
    )
    null, p = found.null[aus.index(au)], found.p[aus.index(au)]
    figure, axes = style.figure("two_thirds")
    axes.hist(null[np.isfinite(null)], bins=40, color=style.PALE, label="shifted in a circle")
    axes.axvline(null[0], color=style.au_color(au), linewidth=2.2, label="as recorded")
    title = f"{au}: p = {p:.3f} over {len(null)} shifts"
    axes.set(title=title, xlabel="mean z over windows", ylabel="shifts")
    axes.legend()
    return figure


def two_slopes(regions: pd.DataFrame, participants: pd.DataFrame) -> Figure:
    """Enrichment of both eyes over severity with a line on either side of the knot, as in H3b.

    Parameters
    ----------
    regions : DataFrame
        The table `attribution_regions`, one method and baseline.
    participants : DataFrame
        ``participant, score, band``.
    """
    wide = statistics.participant_regions(regions)
    people = participants.set_index("participant").reindex(wide.index)
    bands = style.bands(people)
    figure, panels = style.figure("wide", 1, 2, height=2.7, sharey=True)
    for axes, sign in zip(panels, ("positive", "negative")):
        y = wide[[(sign, name) for name in EYES if (sign, name) in wide]].mean(axis=1)
        style.by_band(axes, people["score"], y, people["band"], bands)
        for side in (people["score"] < KNOT, people["score"] >= KNOT):
            usable = side & y.notna()
            if people.loc[usable, "score"].nunique() > 1:
                slope = np.polyfit(people.loc[usable, "score"], y[usable], 1)
                ends = np.array(
                    [people.loc[usable, "score"].min(), people.loc[usable, "score"].max()]
                )
                axes.plot(ends, np.polyval(slope, ends), color=style.SIGN_COLORS[sign])
        axes.axvline(KNOT, color=style.GREY, linestyle=":", linewidth=0.9)
        style.zero_line(axes)
        axes.set(title=f"attribution that {style.SIGN_TITLES[sign]}", xlabel="score")
    panels[0].set_ylabel("log enrichment")
    figure.legend(handles=style.band_handles(bands), loc="outside lower center", ncols=4)
    return figure
