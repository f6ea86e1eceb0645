"""Figures of fitting and judging: forests of models, calibration, errors by band."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from expresso_lib import rendered
from expresso_lib.figures import style
from expresso_lib.models import Recipe

METRICS = {"mae": "mean absolute error (points)", "pearson": "correlation r"}


def pipeline(recipe: Recipe) -> Figure:
    """Draw the way from a clip to a score; what is fitted to scores is in colour."""
    fitted = {"ridge": (3,), "last": (2, 3), "all": (1, 2, 3)}.get(recipe.fit, (1, 2, 3))
    boxes = (
        f"clip\n{recipe.frames} frames",
        "filters over\nplace and time",
        "mean over place\nand time",
        "a number\nper clip",
        "mean of a\nperson's clips",
    )
    figure, axes = style.figure("full", height=1.7)
    face = rendered.average_face(96).image
    for k in range(3):
        left = 0.02 + 0.05 * k
        axes.imshow(face, extent=(left, left + 0.75, 0.08 * k, 0.75 + 0.08 * k), zorder=-k)
    for k, text in enumerate(boxes):
        colour = style.ROLE_COLORS["model"] if k in fitted else style.GREY
        if k:
            axes.annotate("", (k - 0.02, 0.45), (k - 0.18, 0.45), arrowprops={"arrowstyle": "->"})
            look = {"boxstyle": "round", "edgecolor": colour, "facecolor": "white", "linewidth": 2}
            axes.text(k + 0.4, 0.45, text, ha="center", va="center", bbox=look, color=colour)
    axes.text(0.42, -0.05, boxes[0], ha="center", va="top")
    axes.set(xlim=(-0.05, 4.9), ylim=(-0.5, 1.05), aspect="auto")
    axes.set_axis_off()
    return figure


def model_forest(scores: pd.DataFrame, labels: Mapping[str, str], *, note: str = "") -> Figure:
    """One row per model, one panel per metric, the null model as a line.

    Parameters
    ----------
    scores : DataFrame
        Table ``model_scores``.
    labels : mapping
        Recipe to what the reader calls it; its order is the order of the rows.
    """
    rows = _participants(scores, "recipe")
    figure, panels = _forest(rows, labels, list(labels.values()), highlight=next(iter(labels)))
    for axes, metric in zip(panels, METRICS):
        axes.set_xlabel(METRICS[metric])
        if metric == "pearson":
            style.zero_line(axes, axis="x")
        elif ("null", metric) in rows.index:
            axes.axvline(rows.loc[("null", metric), "estimate"], color=style.GREY, linestyle="--")
    style.note(figure, note)
    return figure


def difference_forest(
    differences: pd.DataFrame, labels: Mapping[str, str], *, note: str = ""
) -> Figure:
    """The default model minus each other one, the same participants in both.

    Parameters
    ----------
    differences : DataFrame
        Table ``model_differences`` with one ``recipe_a``.
    labels : mapping
        ``recipe_b`` to what the reader calls it, in order.
    """
    rows = _participants(differences, "recipe_b")
    if "null" in labels:
        rows.loc[("null", "pearson")] = np.nan
    figure, panels = _forest(rows, labels, [f"against {name}" for name in labels.values()])
    for axes, (metric, better) in zip(panels, (("mae", "left"), ("pearson", "right"))):
        style.zero_line(axes, axis="x")
        axes.set_xlabel(f"{METRICS[metric]}, difference\n({better}: default better)")
    if "null" in labels:
        panels[1].annotate(
            "its r is an accident of the folds", (0.03, list(labels).index("null")),
            xycoords=("axes fraction", "data"), va="center", fontsize=style.SMALL,
            color=style.GREY)  # fmt: skip
    style.note(figure, note)
    return figure


def _participants(table: pd.DataFrame, recipe: str) -> pd.DataFrame:
    rows = table[table["level"] == "participant"].set_index([recipe, "metric"])
    return rows[["estimate", "ci_low", "ci_high"]].sort_index()


def _forest(
    rows: pd.DataFrame, labels: Mapping[str, str], titles: list[str], *, highlight: str = ""
) -> tuple[Figure, np.ndarray]:
    """Estimates with intervals of (recipe, metric): a panel per metric, a row per recipe."""
    figure, panels = style.figure(
        "full", 1, len(METRICS), sharey=True, height=1.1 + 0.3 * len(labels)
    )
    for axes, metric in zip(panels, METRICS):
        part = rows.xs(metric, level="metric").reindex(list(labels))
        for row, (name, line) in enumerate(part.iterrows()):
            colour = style.ROLE_COLORS["model"] if highlight in ("", name) else style.INK
            axes.plot([line["ci_low"], line["ci_high"]], [row, row], color=colour)
            axes.plot(line["estimate"], row, "o", color=colour)
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(5))
    panels[0].set_yticks(range(len(labels)), titles)
    panels[0].invert_yaxis()
    return figure, panels


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


def errors_by_group(errors: pd.DataFrame, *, note: str = "") -> Figure:
    """Signed error per participant by band, with the band's mean; above 0 is overestimated.

    Parameters
    ----------
    errors : DataFrame
        ``error`` (prediction - score, points), ``score`` and ``band``.
    """
    names = style.bands(errors)
    figure, axes = style.figure("two_thirds")
    style.zero_line(axes)
    for place, (name, look) in enumerate(names.items()):
        values = errors.loc[errors["band"].astype(str) == name, "error"].sort_values().to_numpy()
        spread = np.linspace(-0.18, 0.18, len(values)) if len(values) > 1 else np.zeros(1)
        axes.plot(place + spread, values, linestyle="", alpha=0.8, **look)
        axes.plot([place - 0.3, place + 0.3], [values.mean()] * 2, color=style.INK, linewidth=2)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("error = prediction − score (points)")
    axes.grid(visible=False, axis="x")
    style.note(figure, note)
    return figure
