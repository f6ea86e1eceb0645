"""Figures of attribution: regions over severity, frames over time, and whether to believe them."""

from collections.abc import Mapping, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from expresso_lib import config, statistics
from expresso_lib.cohort import core
from expresso_lib.faces import anatomy
from expresso_lib.figures import style
from expresso_lib.figures.statistics import forest
from expresso_lib.statistics import wording


def channel_title(method: str, baseline: str) -> str:
    """Readable name of an explanation or a control.

    >>> channel_title("DeepLift", "blur"), channel_title("edge", "none")
    ('DeepLift, blurred clip', 'edges, no model')
    """
    title = f"{method}, {config.REFERENCES.get(baseline, baseline)}"
    return config.CONTROLS.get(method, title)


def channel_role(method: str, baseline: str) -> str:
    """Truth, control, the paper's explanation, or one of ours: the `group` of a forest.

    >>> channel_role("DeepLift", "zero"), channel_role("edge", "none")
    ('paper', 'control')
    """
    if method in config.CONTROLS:
        return "truth" if method == "painted" else "control"
    return "paper" if (method, baseline) == ("DeepLift", "zero") else "model"


def dots(table: pd.DataFrame, *, metric: str, label: str, bars: Mapping[str, float]) -> Figure:
    """Forest of one metric, factors pooled: the truth first, then explanations, controls last.

    Parameters
    ----------
    table : DataFrame
        ``faithfulness``.
    metric : str
        Which rows.
    label : str
        Of the axis.
    bars : mapping
        Where a line stands in the panel of a support: what an explanation has to reach.
    """
    # The shares are no explanation that anyone has: they say what a fair division would reach.
    rows = table[(table["metric"] == metric) & (table["factor"] == "pooled")]
    rows = rows[rows["method"] != "share"].dropna(subset="estimate")
    supports = {"changed": "on the pixels that change", "region": "on the factor's regions"}
    names = rows["method"], rows["baseline"]
    rows = rows.assign(channel=[*map(channel_title, *names)], role=[*map(channel_role, *names)],
                       support=rows["support"].map(supports))  # fmt: skip
    places = {"truth": 0, "paper": 1, "model": 1, "control": 2}
    rows = rows.sort_values("role", key=lambda roles: roles.map(places), kind="stable")
    reference = {supports[name]: bar for name, bar in bars.items()}
    words = {"model": "explanation", "paper": "the paper's", "truth": "a true map"}
    return forest(rows, label="channel", group="role", panel="support", reference=reference,
                  unit=label, words=words)  # fmt: skip


def by_region(estimates: pd.DataFrame, *, label: str) -> Figure:
    """Forest of a number of each region; features in colour, the rest grey.

    Parameters
    ----------
    estimates : DataFrame
        Index: regions, and ``f(x0)`` where it has a part; ``estimate`` with either ``ci_low,
        ci_high`` or ``low, high``, the range of chance (a grey bar).
    label : str
        Of the axis.
    """
    named = (*anatomy.REGIONS, "f(x0)", "not explained")
    order = [name for name in named if name in estimates.index]
    rows = estimates.loc[order].assign(
        region=[name.replace("f(x0)", "the neutral face, f(x0)") for name in order],
        group=[name if name in anatomy.FEATURE_REGIONS else "face_rest" for name in order],
    )
    rows = rows.rename(columns={"low": "chance_low", "high": "chance_high"})
    return forest(rows, label="region", group="group", unit=label)


@style.plot
def raw_sums(regions: pd.DataFrame, participants: pd.DataFrame) -> Figure:
    """The paper's bars (summed attribution per region and band) beside why they must grow.

    Parameters
    ----------
    regions : DataFrame
        ``attribution_regions`` of one recipe, method and baseline, of the trained model.
    participants : DataFrame
        ``participant, score, band``.
    """
    # Means of participants: clips first, then recordings.
    change = regions["output"] - regions["output_baseline"]
    mean = regions.assign(change=change).groupby(["participant", "recording", "region"])
    mean = mean[["signed", "change"]].mean().groupby(["participant", "region"]).mean()
    table = mean.reset_index().merge(participants, on="participant")
    table = style.known(table, "signed", "change")
    table = table.assign(band=core.band_names(table["band"]))
    looks, names = style.bands(participants), list(anatomy.FEATURE_REGIONS)
    figure, (left, right) = style.figure(1, 2, width_ratios=(1.7, 1))
    sns.barplot(table, x="region", y="signed", hue="band", order=names, hue_order=list(looks),
                palette=[look["color"] for look in looks.values()], saturation=1, seed=0,
                err_kws={"linewidth": 0.8, "color": style.GREY}, legend=False, ax=left)  # fmt: skip
    left.set_xticks(range(len(names)), [style.title(name).replace(" ", "\n") for name in names])
    left.set(xlabel="", ylabel="summed attribution (points)")
    style.zero_line(left)
    left.grid(visible=False, axis="x")
    sums = {"signed": "sum", "change": "first", "band": "first"}
    style.by_band(right, table.groupby("participant").agg(sums), "change", "signed", looks)
    right.axline((0, 0), slope=1, color=style.GREY, linewidth=0.8)
    right.set(xlabel="f(x) − f(x0), points", ylabel="sum over all regions (points)")
    figure.legend(handles=style.handles(looks), **style.BELOW, ncols=4)
    return figure


@style.plot
def enrichment(
    regions: pd.DataFrame, participants: pd.DataFrame, tests: pd.DataFrame, *, rounding: float
) -> Figure:
    """Enrichment over severity, one panel per region and sign, a marker per participant.

    Parameters
    ----------
    regions : DataFrame
        ``attribution_regions`` of one recipe, method and baseline; who is drawn is up to
        `statistics.participant_regions`.
    participants : DataFrame
        ``participant, score, band``.
    tests : DataFrame
        Rows of `hypotheses.h3_regions`, whose partial correlation is written into the panels.
    rounding : float
        Score points, as there (`Plan.rounding_clip`).
    """
    wide = statistics.participant_regions(regions, rounding=rounding)
    if wide.empty:
        raise style.FigureError(f"nobody's regions hold {rounding:g} points or more.")
    people = participants.set_index("participant").reindex(wide.index)
    looks, rho = style.bands(people), tests.set_index(["sign", "region"])["estimate"]
    figure, panels = style.figure(2, 6, height=4.8, sharex=True, sharey=True)
    for row, sign in zip(panels, ("positive", "negative")):
        for axes, name in zip(row, anatomy.FEATURE_REGIONS):
            style.by_band(axes, people.assign(value=wide[sign, name]), "score", "value", looks)
            style.zero_line(axes)
            found = f"\nρ = {style.number(rho[sign, name])}" if (sign, name) in rho else ""
            axes.set_title(style.title(name) + found, fontsize=style.SMALL)
            axes.set(xlabel="", ylabel="")
        row[0].set_ylabel(f"{style.SIGN_TITLES[sign]}\nlog enrichment")
    figure.supxlabel("severity (points)", fontsize=style.BODY)
    figure.legend(handles=style.handles(looks), **style.ABOVE, ncols=4)
    return figure


@style.plot
def onset_locked(averages: Mapping[str, pd.DataFrame]) -> Figure:
    """Attribution around the onsets of action units, a panel each, with 95 % intervals."""
    if not averages:
        raise style.FigureError("no action unit has whole onsets in two people.")
    figure, (panels,) = style.figure(1, len(averages), height=3.0, squeeze=False, sharey=True)
    for axes, (au, table) in zip(panels, averages.items()):
        style.band_line(axes, table, "seconds", color=style.color(au))
        style.zero_line(axes)
        style.zero_line(axes, axis="x")
        events, people = table["n_events"].iloc[0], table["n_participants"].iloc[0]
        axes.set_title(f"{style.title(au)}\n{events} onsets, {people} people", fontsize=style.SMALL)
        axes.set_xlabel("time from onset (s)")
    panels[0].set_ylabel("change of frame\nattribution (points)")
    return figure


@style.plot
def around_word(table: pd.DataFrame) -> Figure:
    """Attribution around the first word: a line per channel with its 95 % interval.

    Parameters
    ----------
    table : DataFrame
        ``channel, seconds`` (from the first word), ``estimate`` (over the clip's mean), ``ci_low,
        ci_high``.
    """
    figure, axes = style.figure()
    colors = style.palette(style.known(table, "estimate")["channel"])
    for channel, part in table.groupby("channel", sort=False):
        style.band_line(axes, part, "seconds", color=colors[channel], label=channel)
    style.zero_line(axes, axis="x")
    axes.axhline(1.0, color=style.GREY, linewidth=0.9, zorder=0.5)
    axes.set(xlabel="time from the first word (s)",
             ylabel="attribution of the frame\nover the clip's mean")  # fmt: skip
    figure.legend(**style.BELOW, ncols=len(colors))
    return figure


@style.plot
def said_and_done(evidence: pd.DataFrame, channels: Sequence[tuple[str, str]]) -> Figure:
    """What an explanation says of a factor against what its removal does, a marker per clip.

    Parameters
    ----------
    evidence : DataFrame
        Rows of the removals: method, baseline, factor, metric, support, ``effect`` and ``said``
        (points).
    channels : sequence of (method, baseline)
        A panel each.
    """
    # Without a renderer there is no evidence, and the table has no columns for it.
    evidence = style.known(evidence, "effect", "said", of="removals")
    rows = evidence[(evidence["metric"] == "evidence") & (evidence["support"] == "changed")]
    figure, (panels,) = style.figure(1, len(channels), height=3.5, squeeze=False, sharex=True,
                                     sharey=True)  # fmt: skip
    factors = [name for name in anatomy.FACTORS if name in set(rows["factor"])]
    for axes, (method, baseline) in zip(panels, channels):
        part = rows[(rows["method"] == method) & (rows["baseline"] == baseline)]
        sns.scatterplot(part, x="effect", y="said", hue="factor", style="factor", ax=axes, s=26,
                        hue_order=factors, style_order=factors, alpha=0.75, linewidth=0,
                        palette=style.palette(factors), legend=axes is panels[0])  # fmt: skip
        axes.axline((0, 0), slope=1, color=style.GREY, linewidth=0.8)
        axes.set_title(channel_title(method, baseline), fontsize=style.BODY)
        axes.set(xlabel="prediction lost without the factor (points)", ylabel="")
    panels[0].set_ylabel("what the explanation says (points)")
    style.legend_below(figure, panels[0], 6)
    return figure


@style.plot
def cascade(table: pd.DataFrame) -> Figure:
    """Agreement with the map of a model whose layers were randomised from the output down."""
    table = style.known(table, "estimate").astype({"factor": int}).sort_values("factor")
    figure, axes = style.figure(width=style.TWO_THIRDS, height=3.2)
    whole = {"marker": "o", "color": style.color("model"), "label": "signed maps"}
    size = {"marker": "s", "color": style.GREY, "label": "their absolute values", "linestyle": "--"}
    for metric, look in (("randomisation", whole), ("randomisation_unsigned", size)):
        style.band_line(axes, table[table["metric"] == metric], "factor", markersize=4, **look)
    style.zero_line(axes)
    axes.axhline(0.3, color=style.INK, linewidth=0.9, linestyle=":")
    axes.set(xlabel="layers randomised, from the output down",
             ylabel="Spearman with the trained map")  # fmt: skip
    figure.legend(**style.BELOW, ncols=2)
    return figure


@style.plot
def agreement(table: pd.DataFrame) -> Figure:
    """Mean Spearman correlation between the signed maps of any two explanations.

    Parameters
    ----------
    table : DataFrame
        Square; index and columns are ``method/baseline``.
    """
    if not table.notna().any(axis=None):
        raise style.FigureError("no two maps were compared.")
    names = [channel_title(*name.split("/")) for name in table.index]
    shown = table.astype(float).set_axis([f"{name}  {k}" for k, name in enumerate(names, 1)])
    figure, axes = style.figure(height=0.8 + 0.34 * len(names))
    style.heat(axes, shown.set_axis(range(1, len(names) + 1), axis=1), 1.0)
    axes.tick_params(rotation=0)
    return figure


@style.plot
def by_network(table: pd.DataFrame) -> Figure:
    """Which explanation knows what of which network: a square of numbers per question.

    Parameters
    ----------
    table : DataFrame
        ``network, method, baseline, fidelity, where, when``, a row per cohort; means are drawn.
        A cell stays empty where a method was refused, or says nothing.
    """
    questions = {"fidelity": "what", "where": "where", "when": "when"}
    if not table[list(questions)].notna().any(axis=None):
        raise style.FigureError("no explanation of another network was measured.")
    table = table.assign(channel=list(map(channel_title, table["method"], table["baseline"])))
    order, networks = table["channel"].unique(), table["network"].unique()
    figure, panels = style.figure(1, 3, height=1.3 + 0.3 * len(order), sharey=True)
    for axes, (column, title) in zip(panels, questions.items()):
        cells = table.pivot_table(index="channel", columns="network", values=column, dropna=False)
        style.heat(axes, cells.reindex(index=order, columns=networks).astype(float), 1.0)
        axes.set_title(title)
        axes.set_xticklabels(networks, rotation=90)
        for text in axes.texts:  # five columns a panel leave no room for a 0
            text.set_text(text.get_text().replace("0.", "."))
    return figure


@style.plot
def predictors(table: pd.DataFrame, found: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """What can be known without a truth against the truth; a mark per explanation and network.

    Parameters
    ----------
    table : DataFrame
        ``network, fidelity`` and the numbers of `found`.
    found : DataFrame
        ``number, rho, ci_low, ci_high``.
    titles : mapping
        Number -> label of its axis; these are drawn.
    """
    rows = [row for row in found.to_dict("records") if row["number"] in titles]
    if not rows or not table["fidelity"].notna().any():
        raise style.FigureError("no explanation of another network was measured.")
    figure, (panels,) = style.figure(1, len(rows), sharey=True, squeeze=False)
    for axes, row in zip(panels, rows):
        for (name, part), marker in zip(table.groupby("network", sort=False), "os^Dv<>pP"):
            axes.plot(part[row["number"]], part["fidelity"], marker, markersize=4, alpha=0.8,
                      color=style.color("model"), label=name)  # fmt: skip
        axes.set_xlabel(titles[row["number"]])
        axes.set_title(f"rho {wording.interval(row | {'estimate': row['rho']})}")
    panels[0].set_ylabel("fidelity to what taking out does")
    style.legend_below(figure, panels[0], 3)
    return figure
