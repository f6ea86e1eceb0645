"""Figures of attribution: regions over severity, frames over time, and whether to believe them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import t

from expresso_lib import statistics
from expresso_lib.faces import anatomy
from expresso_lib.figures import style

WAY_TITLES = {
    "own_neutral": "own neutral frame", "blur": "blurred clip", "zero": "black (the paper's)",
    "temporal_mean": "clip's mean", "oracle_neutral": "re-rendered neutral (oracle)",
}  # fmt: skip
CONTROL_TITLES = {
    "random": "random", "edge": "edges, no model", "motion": "motion, no model",
    "difference": "|x − neutral|, no model", "amount": "amount of movement, no model",
    "usual": "usual worth of that much movement",
    "zero_map": "nothing at all", "randomised": "randomised networks",
}  # fmt: skip
TRUTH_TITLE = "the truth, painted on the pixels"

# A second model beside ours: the one hue that stands for no region, factor, band or role.
OTHER_COLOR = "#B79F00"


def way_title(method: str, baseline: str) -> str:
    """Readable name of an explanation or a control.

    >>> way_title("DeepLift", "blur"), way_title("edge", "none")
    ('DeepLift, blurred clip', 'edges, no model')
    """
    if method in CONTROL_TITLES:
        return CONTROL_TITLES[method]
    if method == "painted":
        return TRUTH_TITLE
    if baseline == "zero" and method != "DeepLift":
        return f"{method}, black"
    return f"{method}, {WAY_TITLES.get(baseline, baseline)}"


def _participants(
    regions: pd.DataFrame, participants: pd.DataFrame, columns: list[str]
) -> pd.DataFrame:
    """Means of participants: clips first, then recordings."""
    trained = regions[regions["model"] == "trained"] if "model" in regions else regions
    mean = trained.groupby(["participant", "recording", "region"])[columns].mean()
    mean = mean.groupby(["participant", "region"]).mean().reset_index()
    return mean.merge(participants[["participant", "score", "band"]], on="participant")


def raw_sums(regions: pd.DataFrame, participants: pd.DataFrame) -> Figure:
    """The paper's bars (summed attribution per region and band) beside why they must grow."""
    columns = ["signed", "output", "output_baseline"]
    table = _participants(regions, participants, columns)
    figure, (left, right) = style.figure("full", 1, 2, height=3.6, width_ratios=(1.7, 1))
    bands = style.bands(participants)
    place, width = np.arange(len(anatomy.FEATURE_REGIONS)), 0.8 / max(1, len(bands))
    for i, band in enumerate(bands):
        means = table[table["band"] == band].groupby("region")["signed"].mean()
        left.bar(place + (i - (len(bands) - 1) / 2) * width,
                 means.reindex(anatomy.FEATURE_REGIONS), width,
                 color=bands[band]["color"], label=band)  # fmt: skip
    left.set_xticks(place, [anatomy.REGION_TITLES[r].replace(" ", "\n")
                            for r in anatomy.FEATURE_REGIONS])  # fmt: skip
    left.set_ylabel("summed attribution, score points")
    style.zero_line(left)
    left.grid(visible=False, axis="x")
    total = table.groupby("participant").agg(
        said=("signed", "sum"), output=("output", "first"), base=("output_baseline", "first"),
        band=("band", "first"))  # fmt: skip
    style.by_band(right, total["output"] - total["base"], total["said"], total["band"], bands)
    ends = [min(right.get_xlim()[0], right.get_ylim()[0]),
            max(right.get_xlim()[1], right.get_ylim()[1])]  # fmt: skip
    right.plot(ends, ends, color=style.GREY, linewidth=0.8)
    right.set(xlabel="f(x) − f(x0), points", ylabel="sum over all regions, points")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def enrichment(
    regions: pd.DataFrame, participants: pd.DataFrame, tests: pd.DataFrame | None = None
) -> Figure:
    """Enrichment over severity, one panel per region and sign, a marker per participant.

    Parameters
    ----------
    regions : DataFrame
        ``attribution_regions`` of one recipe, method and baseline; who is drawn is up to
        `stats.participant_regions`.
    participants : DataFrame
        ``participant, score, band``.
    tests : DataFrame, optional
        Rows of `stats.h3_regions`, whose partial correlation is written into the panels.
    """
    wide = statistics.participant_regions(regions)
    people = participants.set_index("participant").reindex(wide.index)
    names, looks = list(anatomy.FEATURE_REGIONS), style.bands(people)
    figure, panels = style.figure("full", 2, len(names), height=4.5, sharex=True, sharey=True)
    for row, sign in zip(panels, ("positive", "negative")):
        for axes, name in zip(row, names):
            style.by_band(axes, people["score"], wide[sign, name], people["band"], looks)
            style.zero_line(axes)
            if tests is not None:
                found = tests[(tests["region"] == name) & (tests["sign"] == sign)]
                if len(found):
                    axes.set_title(f"ρ = {style.number(found['estimate'].iloc[0])}", loc="right",
                                   fontsize=style.SMALL, fontweight="normal")  # fmt: skip
        row[0].set_ylabel(f"{style.SIGN_TITLES[sign]}\nlog enrichment")
    for axes, name in zip(panels[1], names):
        axes.set_xlabel(anatomy.REGION_TITLES[name], color=anatomy.REGION_COLORS[name])
    figure.supxlabel("severity score, by region", fontsize=style.BODY)
    figure.legend(handles=style.band_handles(looks), loc="outside upper center", ncols=4)
    return figure


def region_profiles(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Mean enrichment of every region with 95 % intervals over participants, tables side by side.

    Parameters
    ----------
    tables : mapping
        Title to ``attribution_regions`` of one recipe, method and baseline: the model, the same on
        another input, and heads on dealt scores (grey).
    """
    figure, panels = style.figure("full", 1, 2, height=3.2, sharey=True)
    place = np.arange(len(anatomy.FEATURE_REGIONS))
    looks = (("o", style.ROLE_COLORS["model"]), ("s", OTHER_COLOR),
             ("^", style.ROLE_COLORS["control"]))  # fmt: skip
    styles = dict(zip(tables, looks))
    for axes, sign in zip(panels, ("positive", "negative")):
        column = f"enrichment_{sign}"
        for k, (title, table) in enumerate(tables.items()):
            person = table.groupby(["participant", "region"])[column].mean().unstack("region")
            person = person[list(anatomy.FEATURE_REGIONS)]
            n = person.notna().sum()
            half = t.ppf(0.975, (n - 1).clip(lower=1)) * person.std(ddof=1) / np.sqrt(n)
            marker, color = styles[title]
            shift = 0.24 * (k - (len(tables) - 1) / 2)
            axes.errorbar(person.mean(), place + shift, xerr=half, fmt=marker, color=color,
                          markersize=4, linewidth=1.2, label=title)  # fmt: skip
        style.zero_line(axes, axis="x")
        axes.set(title=style.SIGN_TITLES[sign], xlabel="log enrichment against the rest")
    panels[0].set_yticks(place, [anatomy.REGION_TITLES[r] for r in anatomy.FEATURE_REGIONS])
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def by_region(estimates: pd.DataFrame, *, label: str) -> Figure:
    """A number of each region with interval or chance; features in colour, the rest grey.

    Parameters
    ----------
    estimates : DataFrame
        Index: regions, and ``f(x0)`` where it has a part; ``estimate`` with either ``ci_low,
        ci_high`` or ``low, high``, the range of chance (a grey bar).
    label : str
        Of the axis.
    """
    order = [name for name in (*anatomy.REGIONS, "f(x0)") if name in estimates.index]
    figure, axes = style.figure("wide", height=0.9 + 0.26 * len(order))
    for y, name in enumerate(order):
        row = estimates.loc[name]
        known = name in anatomy.FEATURE_REGIONS
        color = style.region_style(name)["color"] if known else style.GREY
        if "low" in row:
            axes.plot([row["low"], row["high"]], [y, y], color=style.PALE, linewidth=7,
                      solid_capstyle="butt")  # fmt: skip
        else:
            axes.plot([row["ci_low"], row["ci_high"]], [y, y], color=color, linewidth=1.6)
        axes.plot(row["estimate"], y, "o", color=color, markersize=5)
    style.zero_line(axes, axis="x")
    axes.set_yticks(
        range(len(order)),
        [anatomy.REGION_TITLES.get(name, "the neutral frame, f(x0)") for name in order],
    )
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.set_xlabel(label)
    return figure


def timeline(
    frames: pd.DataFrame, units: pd.DataFrame, *, aus: Sequence[str], fps: float
) -> Figure:
    """Frame attribution of one recording with the action units under it.

    Parameters
    ----------
    frames : DataFrame
        ``frame, attribution`` of one channel.
    units : DataFrame
        ``frame`` and a column per AU (0 to 5).
    aus : sequence of str
        Which to draw.
    fps : float
        Of the recording: frame numbers become seconds.
    """
    figure, (above, below) = style.figure("full", 2, 1, height=4.4, sharex=True,
                                          height_ratios=(1, 1.2))  # fmt: skip
    seconds = frames["frame"].to_numpy() / fps
    width = np.median(np.diff(seconds)) if len(seconds) > 1 else 1 / fps
    colors = [style.sign_color(v) for v in frames["attribution"]]
    above.bar(seconds, frames["attribution"], width, color=colors)
    above.set_ylabel("attribution per frame,\nscore points")
    style.zero_line(above)
    for level, au in enumerate(aus):
        trace = units[au].to_numpy(float) / 5
        at = units["frame"].to_numpy() / fps
        below.fill_between(at, -level, trace * 0.9 - level, color=style.au_color(au), alpha=0.55,
                           linewidth=0)  # fmt: skip
        below.axhline(-level, color=style.PALE, linewidth=0.6)
    below.set_yticks(-np.arange(len(aus)), [f"{au}  {anatomy.AU_TITLES[au]}" for au in aus])
    below.set(xlabel="time, s", ylim=(-len(aus) + 0.6, 1.05))
    below.grid(visible=False, axis="y")
    return figure


def frame_grid(
    raising: np.ndarray,
    lowering: np.ndarray,
    seconds: Sequence[Sequence[float]],
    *,
    limit: float | None = None,
) -> Figure:
    """Pictures of the frames that raise (above) and lower (below) the score most.

    Parameters
    ----------
    raising, lowering : ndarray
        uint8 (K, S, S, 3) pictures that `drawing` made.
    seconds : two sequences of float
        When each was.
    limit : float, optional
        |score points| of full colour in one pixel; without it the scale gets no numbers.
    """
    columns = max(len(raising), len(lowering), 1)
    figure, panels = style.figure("full", 2, columns, height=7.2 / columns * 2 + 0.7, squeeze=False)
    rows = zip(panels, (raising, lowering), seconds, ("positive", "negative"))
    for row, pictures, times, sign in rows:
        for axes in row:
            axes.set_axis_off()
        for axes, picture, second in zip(row, pictures, times):
            axes.imshow(picture)
            axes.set_title(f"{second:.1f} s", fontsize=style.SMALL, fontweight="normal",
                           color=style.SIGN_COLORS[sign])  # fmt: skip
        row[0].text(-0.06, 0.5, style.SIGN_TITLES[sign], rotation=90, va="center", ha="right",
                    transform=row[0].transAxes, color=style.SIGN_COLORS[sign])  # fmt: skip
    _colour_scale(figure, panels, limit)
    return figure


def _colour_scale(figure: Figure, panels: np.ndarray, limit: float | None) -> None:
    """The scale of `drawing.colors` beside pictures: linear from blue over white to red."""
    ends = LinearSegmentedColormap.from_list(
        "overlay", [style.SIGN_COLORS[sign] for sign in ("negative", "zero", "positive")]
    )
    end = limit or 1.0
    scale = ScalarMappable(Normalize(-end, end), ends)
    bar = figure.colorbar(scale, ax=panels, location="bottom", shrink=0.45, aspect=40)
    bar.set_ticks([-end, 0, end], labels=[f"−{end:.2g}", "0", f"{end:.2g}"] if limit else
                  ["lowers", "0", "raises"])  # fmt: skip
    bar.set_label("score points per pixel of a frame" if limit else "each row on its own scale",
                  fontsize=style.SMALL)  # fmt: skip


def onset_locked(averages: Mapping[str, pd.DataFrame]) -> Figure:
    """Attribution around the onsets of action units, a panel each, with 95 % intervals."""
    figure, panels = style.figure("full", 1, max(1, len(averages)), height=3.0, squeeze=False,
                                  sharey=True)  # fmt: skip
    if not averages:
        panels[0, 0].text(0.5, 0.5, "No action unit has whole onsets in two people.", ha="center",
                          transform=panels[0, 0].transAxes)  # fmt: skip
    for axes, (au, table) in zip(panels[0], averages.items()):
        color = style.au_color(au)
        axes.fill_between(table["seconds"], table["ci_low"], table["ci_high"], color=color,
                          alpha=0.25, linewidth=0)  # fmt: skip
        axes.plot(table["seconds"], table["estimate"], color=color)
        style.zero_line(axes)
        style.zero_line(axes, axis="x")
        axes.set_title(f"{au}, {anatomy.AU_TITLES[au]}", fontsize=style.BODY)
        axes.set_xlabel("seconds from onset")
        events, people = table["n_events"].iloc[0], table["n_participants"].iloc[0]
        axes.text(0.98, 0.02, f"{events} onsets, {people} people", transform=axes.transAxes,
                  ha="right", fontsize=style.SMALL, color=style.GREY)  # fmt: skip
    panels[0, 0].set_ylabel("change of frame attribution,\nscore points")
    return figure


def dots(
    table: pd.DataFrame,
    *,
    metric: str,
    label: str,
    bars: Mapping[str, float] | None = None,
    factor: str = "pooled",
) -> Figure:
    """One metric of every explanation and control, with intervals; two supports side by side.

    A map that tells the truth, where it is in the table, comes first: what overlap costs.

    Parameters
    ----------
    table : DataFrame
        ``faithfulness``.
    metric, factor : str
        Which rows.
    label : str
        Of the axis.
    bars : mapping, optional
        Drawn as a line in the panel of a support: what an explanation has to reach.
    """
    rows = table[(table["metric"] == metric) & (table["factor"] == factor)]
    # The shares are no explanation that anyone has: they say what a fair division would reach.
    rows = rows[~rows["method"].isin(["zero_map", "share"]) & (rows["support"] != "whole")]
    titles = {"changed": "on the pixels that change", "region": "on the factor's regions"}
    supports = list(dict.fromkeys(rows.loc[rows["estimate"].notna(), "support"]))
    order = list(dict.fromkeys(zip(rows["method"], rows["baseline"])))
    order.sort(key=lambda way: {"truth": 0, "control": 2}.get(_role(way), 1))
    figure, panels = style.figure("full", 1, max(1, len(supports)), squeeze=False, sharey=True,
                                  height=0.8 + 0.24 * len(order))  # fmt: skip
    for axes, support in zip(panels[0], supports):
        part = rows[rows["support"] == support].set_index(["method", "baseline"]).reindex(order)
        for y, (way, row) in enumerate(part.iterrows()):
            color = style.ROLE_COLORS[_role(way)]
            marker = {"truth": "s", "control": "D"}.get(_role(way), "o")
            axes.plot([row["ci_low"], row["ci_high"]], [y, y], color=color, linewidth=1.4)
            axes.plot(row["estimate"], y, marker, color=color, markersize=5)
        style.zero_line(axes, axis="x")
        if bars and support in bars:
            axes.axvline(bars[support], color=style.INK, linewidth=0.9, linestyle="--")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.set_title(titles.get(support, ""), fontsize=style.BODY)
    panels[0, 0].set_yticks(range(len(order)), [way_title(*way) for way in order])
    panels[0, 0].invert_yaxis()
    figure.supxlabel(label, fontsize=style.BODY)
    return figure


def _role(way: Sequence[str]) -> str:
    """Truth, control, the paper's explanation, or one of ours: what a mark's look says."""
    if way[0] == "painted":
        return "truth"
    if way[0] in CONTROL_TITLES:
        return "control"
    return "paper" if tuple(way) == ("DeepLift", "zero") else "model"


def said_and_done(evidence: pd.DataFrame, ways: Sequence[Sequence[str]]) -> Figure:
    """What an explanation says of a factor against what its removal does, a marker per clip."""
    figure, panels = style.figure("full", 1, len(ways), height=3.3, squeeze=False, sharex=True,
                                  sharey=True)  # fmt: skip
    # Without a renderer there is no evidence, and the table has no columns for it.
    evidence = evidence.reindex(columns=[*evidence, *{"effect", "said"} - {*evidence}])
    rows = evidence[(evidence["metric"] == "evidence") & (evidence["support"] == "changed")]
    factors = [f for f in anatomy.FACTORS if f != "head_motion"]
    for axes, (method, baseline) in zip(panels[0], ways):
        part = rows[(rows["method"] == method) & (rows["baseline"] == baseline)]
        for factor in factors:
            one = part[part["factor"] == factor]
            axes.plot(
                one["effect"],
                one["said"],
                "o",
                markersize=4,
                alpha=0.75,
                linestyle="none",
                color=anatomy.FACTOR_COLORS[factor],
                label=anatomy.FACTOR_TITLES[factor],
            )
        axes.axline((0, 0), slope=1, color=style.GREY, linewidth=0.8)
        axes.set(title=way_title(method, baseline), xlabel="score lost without the factor, points")
        axes.title.set_fontsize(style.BODY)
    panels[0, 0].set_ylabel("what the explanation says, points")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def cascade(table: pd.DataFrame) -> Figure:
    """Agreement with the map of a model whose layers were randomised from the output down."""
    figure, axes = style.figure("two_thirds")
    named = {"randomisation": ("signed maps", style.ROLE_COLORS["model"], "-o"),
             "randomisation_unsigned": ("their absolute values", style.GREY, "--s")}  # fmt: skip
    for metric, (title, color, fmt) in named.items():
        rows = table[table["metric"] == metric].copy()
        rows["layers"] = rows["factor"].astype(int)
        rows = rows.sort_values("layers")
        axes.fill_between(rows["layers"], rows["ci_low"], rows["ci_high"], color=color, alpha=0.2,
                          linewidth=0)  # fmt: skip
        axes.plot(rows["layers"], rows["estimate"], fmt, color=color, label=title, markersize=4)
    style.zero_line(axes)
    axes.axhline(0.3, color=style.INK, linewidth=0.9, linestyle="--")
    axes.set(xlabel="layers randomised, from the output down",
             ylabel="Spearman with the trained map")  # fmt: skip
    axes.legend()
    return figure


def agreement(table: pd.DataFrame) -> Figure:
    """Mean Spearman correlation between the signed maps of any two explanations."""
    ways = [way_title(*way.split("/")) for way in table.index]
    figure, axes = style.figure("full", height=0.8 + 0.34 * len(ways))
    axes.imshow(table.to_numpy(float), cmap=style.DIVERGING, vmin=-1, vmax=1, aspect="auto")
    for y, x in np.ndindex(table.shape):
        value = table.iat[y, x]
        axes.text(x, y, style.number(value), ha="center", va="center", fontsize=style.SMALL,
                  color=style.PAPER if abs(value) > 0.6 else style.INK)  # fmt: skip
    axes.set_yticks(range(len(ways)), [f"{way}  {i + 1}" for i, way in enumerate(ways)])
    axes.set_xticks(range(len(ways)), [str(i + 1) for i in range(len(ways))])
    axes.grid(visible=False)
    return figure


def artefact(rows: pd.DataFrame) -> Figure:
    """Headset points by channel against what the headset does to the score, per model.

    Parameters
    ----------
    rows : DataFrame
        ``model, way, points, ci_low, ci_high``; way ``effect`` is the truth.
    """
    models = list(dict.fromkeys(rows["model"]))
    figure, panels = style.figure("full", 1, len(models), height=2.9, squeeze=False, sharex=True,
                                  sharey=True)  # fmt: skip
    ways = list(dict.fromkeys(rows["way"]))
    for axes, model in zip(panels[0], models):
        part = rows[rows["model"] == model].set_index("way").reindex(ways)
        colors = [style.ROLE_COLORS["truth" if w == "effect" else "model"] for w in ways]
        axes.barh(range(len(ways)), part["points"], color=colors, height=0.6)
        axes.hlines(range(len(ways)), part["ci_low"], part["ci_high"], color=style.GREY)
        style.zero_line(axes, axis="x")
        axes.set(title=model, xlabel="score points on the headset")
    titles = ["what its removal does" if w == "effect" else WAY_TITLES.get(w, w) for w in ways]
    panels[0, 0].set_yticks(range(len(ways)), titles)
    panels[0, 0].invert_yaxis()
    return figure


def time_use(table: pd.DataFrame) -> Figure:
    """Change of the prediction when frames are frozen, shuffled, reversed; a mark per person."""
    figure, axes = style.figure("two_thirds")
    titles = {"freeze": "frozen", "shuffle": "shuffled", "reverse": "reversed"}
    for place, name in enumerate(titles):
        values = table[name].to_numpy(float)
        spread = place + np.linspace(-0.18, 0.18, len(values))
        axes.plot(spread, values, "o", color=style.ROLE_COLORS["model"], markersize=4, alpha=0.7)
        axes.hlines(values.mean(), place - 0.3, place + 0.3, color=style.INK)
    style.zero_line(axes)
    axes.set_xticks(range(len(titles)), list(titles.values()))
    axes.set_ylabel("change of prediction\n(original − disturbed), points")
    return figure
