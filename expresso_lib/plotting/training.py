"""Figures of fitting and judging: forests of models, calibration, errors by band, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from expresso_lib.plotting import style

METRIC_TITLES = {
    "mae": "mean absolute error (points)",
    "rmse": "root mean squared error (points)",
    "ccc": "concordance",
    "pearson": "correlation r",
}


def model_forest(
    scores: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    metrics: Sequence[str] = ("mae", "pearson"),
    level: str = "participant",
    note: str = "",
) -> Figure:
    """One row per model, one panel per metric, the null model as a line.

    Parameters
    ----------
    scores : DataFrame
        Table ``model_scores``.
    labels : mapping
        Recipe to what the reader calls it; its order is the order of the rows.
    """
    rows = scores[scores["level"] == level].set_index(["recipe", "metric"])
    figure, panels = style.figure(
        "full", 1, len(metrics), sharey=True, squeeze=False, height=1.1 + 0.3 * len(labels)
    )
    for axes, metric in zip(panels[0], metrics):
        part = rows.xs(metric, level="metric").reindex(list(labels))
        _forest(axes, part, highlight=next(iter(labels)))
        axes.set_xlabel(METRIC_TITLES[metric])
        if ("null", metric) in rows.index and metric in ("mae", "rmse"):
            axes.axvline(rows.loc[("null", metric), "estimate"], color=style.GREY, linestyle="--")
        elif metric in ("ccc", "pearson"):
            style.zero_line(axes, axis="x")
    panels[0, 0].set_yticks(range(len(labels)), list(labels.values()))
    panels[0, 0].invert_yaxis()
    style.note(figure, note)
    return figure


def difference_forest(
    differences: pd.DataFrame,
    labels: Mapping[str, str],
    *,
    metrics: Sequence[str] = ("mae", "pearson"),
    level: str = "participant",
    note: str = "",
) -> Figure:
    """The default model minus each other one, the same participants in both.

    Parameters
    ----------
    differences : DataFrame
        Table ``model_differences`` with one ``recipe_a``.
    labels : mapping
        ``recipe_b`` to what the reader calls it, in order.
    """
    rows = differences[differences["level"] == level].set_index(["recipe_b", "metric"])
    figure, panels = style.figure(
        "full", 1, len(metrics), sharey=True, squeeze=False, height=1.1 + 0.3 * len(labels)
    )
    better = {"mae": "left", "rmse": "left", "ccc": "right", "pearson": "right"}
    for axes, metric in zip(panels[0], metrics):
        part = rows.xs(metric, level="metric").reindex(list(labels))
        if metric in ("ccc", "pearson") and "null" in part.index:
            part.loc["null"] = np.nan
            row = list(labels).index("null")
            axes.annotate("its r is an accident of the folds", (0.03, row),
                          xycoords=("axes fraction", "data"), va="center", fontsize=style.SMALL,
                          color=style.GREY)  # fmt: skip
        _forest(axes, part)
        style.zero_line(axes, axis="x")
        axes.set_xlabel(f"{METRIC_TITLES[metric]}, difference\n({better[metric]}: default better)")
    panels[0, 0].set_yticks(range(len(labels)), [f"against {name}" for name in labels.values()])
    panels[0, 0].invert_yaxis()
    style.note(figure, note)
    return figure


def _forest(axes: Axes, part: pd.DataFrame, *, highlight: str = "") -> None:
    for row, (name, line) in enumerate(part.iterrows()):
        colour = style.ROLE_COLORS["model"] if name == highlight or not highlight else style.INK
        axes.plot([line["ci_low"], line["ci_high"]], [row, row], color=colour)
        axes.plot(line["estimate"], row, "o", color=colour)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(5))


def calibration(rows: pd.DataFrame, participants: pd.DataFrame, *, note: str = "") -> Figure:
    """Prediction against score per participant: the identity, and the line the model follows.

    Parameters
    ----------
    rows : DataFrame
        participant, prediction, score (`training.by_level`, level ``participant``).
    participants : DataFrame
        participant, band.
    """
    figure, axes = style.figure("full", height=4.4)
    bands = participants.set_index("participant")["band"]
    top = max(rows["score"].max(), rows["prediction"].max()) * 1.05
    low = min(0.0, float(rows["prediction"].min()))
    axes.plot([0, top], [0, top], color=style.GREY, linestyle="--", label="prediction = score")
    slope, start = np.polyfit(rows["score"], rows["prediction"], 1)
    ends = np.array([rows["score"].min(), rows["score"].max()])
    axes.plot(ends, start + slope * ends, color=style.ROLE_COLORS["model"],
              label=f"what the model does: slope {style.number(slope)}")  # fmt: skip
    axes.axhline(rows["score"].mean(), color=style.PALE, label="null model", zorder=0.5)
    found = rows["participant"].map(bands).astype(str)
    style.by_band(axes, rows["score"], rows["prediction"], found, style.bands(participants))
    axes.set(xlabel="score (points)", ylabel="prediction (points)", xlim=(0, top))
    axes.set_ylim(low - 1, top)
    figure.legend(loc="outside right upper")
    style.note(figure, note)
    return figure


def errors_by_group(errors: pd.DataFrame, *, group: str = "band", note: str = "") -> Figure:
    """Signed error per participant in groups, with the group's mean; above 0 is overestimated.

    Parameters
    ----------
    errors : DataFrame
        ``error`` (prediction - score, points) and the column `group`.
    """
    found = errors[group].astype(str)
    plain = {"color": style.ROLE_COLORS["model"], "marker": "o"}
    names = style.bands(errors) if group == "band" else {name: plain for name in sorted({*found})}
    figure, axes = style.figure("two_thirds")
    style.zero_line(axes)
    for place, (name, look) in enumerate(names.items()):
        values = errors.loc[found == name, "error"].sort_values().to_numpy()
        spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
        axes.plot(place + spread, values, linestyle="", alpha=0.8, **look)
        axes.plot([place - 0.3, place + 0.3], [values.mean()] * 2, color=style.INK, linewidth=2)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("error = prediction − score (points)")
    axes.grid(visible=False, axis="x")
    style.note(figure, note)
    return figure


def learning_curves(curves: pd.DataFrame, *, note: str = "") -> Figure:
    """Training and stopping error over the epochs of each part that was unfrozen in turn.

    Parameters
    ----------
    curves : DataFrame
        What `training.finetune` returned: part, epoch, train_rmse, stop_mae.
    """
    figure, axes = style.figure("two_thirds")
    at = np.arange(1, len(curves) + 1)
    axes.plot(at, curves["train_rmse"], color=style.GREY, label="training participants, RMSE")
    axes.plot(at, curves["stop_mae"], color=style.ROLE_COLORS["model"],
              label="stopping participants, MAE")  # fmt: skip
    starts = np.flatnonzero(curves["part"].ne(curves["part"].shift()))
    for start in starts:
        axes.axvline(start + 0.5, color=style.PALE, zorder=0.5)
        axes.annotate(f"unfrozen: {curves['part'].iloc[start]}", (start + 0.6, 1), va="top",
                      xycoords=("data", "axes fraction"), fontsize=style.SMALL)  # fmt: skip
    axes.set(xlabel="epoch", ylabel="error (points)")
    figure.legend(loc="outside lower center", ncols=2)
    style.note(figure, note)
    return figure
