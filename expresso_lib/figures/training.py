"""Figures of fitting and judging: the pipeline, models, calibration, errors by band."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from expresso_lib import rendered
from expresso_lib.figures import style
from expresso_lib.figures.statistics import forest
from expresso_lib.models import Recipe

ROLES = {"model": "the default", "other": "another recipe", "null": "null model"}
METRICS = {"mae": "mean absolute error (points)", "pearson": "correlation r"}


@style.plot
def pipeline(recipe: Recipe) -> Figure:
    """Draw what becomes of a clip on its course to a score; what is fitted is in colour."""
    first = {"ridge": 3, "last": 2, "all": 1}[recipe.fit]  # of the boxes that are fitted
    boxes = ("filters over place and time", "mean over place and time", "a number per clip",
             "mean of a person's clips")  # fmt: skip
    figure, (clip, course) = style.figure(1, 2, height=2.4, width_ratios=(1, 1.6))
    face = rendered.average_face(96).image[14:82, 14:82]
    for k in range(3):
        low = 0.12 * k
        clip.imshow(face, extent=(low, low + 1, low, low + 1), zorder=-k)
    clip.set(xlim=(-0.02, 1.26), ylim=(-0.02, 1.26), title=f"a clip: {recipe.frames} frames")
    for k, text in enumerate(boxes, start=1):
        color = style.color("model") if first <= k < 4 else style.GREY
        look = {"boxstyle": "round", "edgecolor": color, "facecolor": style.PAPER, "linewidth": 2}
        course.text(0.5, -k, text, ha="center", va="center", color=color, bbox=look)
    course.plot([0.5, 0.5], [-1, -4], color=style.GREY, linewidth=1)
    course.set(xlim=(0, 1), ylim=(-4.5, -0.5), title="what becomes of it")
    for axes in (clip, course):
        axes.set_axis_off()
    return figure


def _of_participants(table: pd.DataFrame, recipe: str, labels: Mapping[str, str]) -> pd.DataFrame:
    """Rows of the people, in the order of the labels; a null model has no correlation."""
    shown = table["metric"].isin(METRICS) & (table["level"] == "participant")
    # The r of a null model is an accident of the folds.
    shown &= (table[recipe] != "null") | (table["metric"] != "pearson")
    rows = table[shown & table[recipe].isin([*labels])]
    rows = rows.sort_values(recipe, key=lambda names: names.map([*labels].index), kind="stable")
    return rows.assign(name=rows[recipe].map(labels))


def model_forest(scores: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """One row per model, one panel per metric, the null model's error as a line.

    Parameters
    ----------
    scores : DataFrame
        Table ``model_scores``.
    labels : mapping
        Recipe to what the reader calls it, in order; the first is the default.
    """
    rows = _of_participants(scores, "recipe", labels)
    roles = {next(iter(labels)): "model", "null": "null"}
    # The null model is a line, whether or not it has a row of its own.
    null = scores[(scores["recipe"] == "null") & (scores["level"] == "participant")]
    reference = {"pearson": 0.0} | null.set_index("metric")["estimate"].filter(["mae"]).to_dict()
    return forest(rows.assign(role=rows["recipe"].map(roles).fillna("other")), label="name",
                  group="role", words=ROLES, panel="metric", reference=reference,
                  unit=METRICS)  # fmt: skip


def by_behaviour(reading: pd.DataFrame) -> Figure:
    """Show how planted behaviours go with the score and how well a network reads them.

    Parameters
    ----------
    reading : DataFrame
        Table ``study_reading``: ``seed, kind, what, with_score, read``.
    """
    words = {"with_score": "goes with the score, |r|", "read": "read by the network, r"}
    part = reading[reading["kind"] == "behaviour"]
    part = part.assign(with_score=part["with_score"].abs()).rename(columns=words)
    marks = part.melt("what", list(words.values()), "series")
    ends = marks.groupby(["what", "series"], sort=False, as_index=False)["value"].agg(
        estimate="mean", ci_low="min", ci_high="max")  # fmt: skip
    return forest(ends, label="what", group="series", unit="correlation over people")


def difference_forest(differences: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """The default model minus each other one, the same participants in both.

    Parameters
    ----------
    differences : DataFrame
        Table ``model_differences`` with one ``recipe_a``.
    labels : mapping
        ``recipe_b`` to what the reader calls it, in order.
    """
    against = {recipe: f"against {name}" for recipe, name in labels.items()}
    units = {"mae": "difference in error\n(points; below 0: better)",
             "pearson": "difference in r\n(above 0: better)"}  # fmt: skip
    return forest(_of_participants(differences, "recipe_b", against), label="name", panel="metric",
                  unit=units)  # fmt: skip


@style.plot
def calibration(rows: pd.DataFrame) -> Figure:
    """Prediction against score per participant: the identity, and the line the model follows.

    Parameters
    ----------
    rows : DataFrame
        ``prediction, score, band`` (`models.errors`, ``participant``).
    """
    table = style.known(rows, "score", "prediction", at_least=3, of="participants")
    if table["score"].nunique() < 2:
        raise style.FigureError("every participant has the same score.")
    looks = style.bands(table)
    figure, axes = style.figure(width=style.TWO_THIRDS, height=4.4)
    values = table[["score", "prediction"]].to_numpy(float)
    pad = 0.04 * np.ptp(values) + 0.5
    # Both axes reach as far: the identity is a diagonal, and a negative prediction is seen.
    ends = (min(0.0, values.min()) - pad, values.max() + pad)
    axes.plot(ends, ends, color=style.GREY, linestyle="--", label="prediction = score")
    slope = style.number(np.polyfit(table["score"], table["prediction"], 1)[0])
    sns.regplot(table, x="score", y="prediction", scatter=False, seed=0, color=style.color("model"),
                label=f"what the model does: slope {slope}", ax=axes)  # fmt: skip
    axes.axhline(table["score"].mean(), color=style.color("null"), linestyle=":", zorder=0.5,
                 label="null model")  # fmt: skip
    style.by_band(axes, table, "score", "prediction", looks)
    axes.set(xlabel="score (points)", ylabel="prediction (points)", xlim=ends, ylim=ends,
             aspect="equal")  # fmt: skip
    lines = axes.get_legend_handles_labels()[0]
    figure.legend(handles=lines + style.handles(looks), **style.BELOW, ncols=3)
    return figure


@style.plot
def learning_curves(curves: pd.DataFrame) -> Figure:
    """Error on the people who say when to stop, fold by fold, and its mean over folds.

    Parameters
    ----------
    curves : DataFrame
        `models.experiments.learning_curves`: ``fold, part, epoch, stop_mae``.
    """
    parts = {"last": "last block, head", "all": "everything"}
    shown = [part for part in parts if part in set(curves["part"])]
    figure, axes = style.figure(1, len(shown), height=2.9, sharey=True, squeeze=False)
    for panel, part in zip(axes.flat, shown):
        rows = curves[curves["part"] == part].assign(epoch=lambda table: table["epoch"] + 1)
        sns.lineplot(rows, x="epoch", y="stop_mae", units="fold", estimator=None, ax=panel,
                     color=style.GREY, alpha=0.6, linewidth=0.8)  # fmt: skip
        # Beyond this epoch some folds have stopped, and a mean would compare other folds.
        common = rows.groupby("fold")["epoch"].max().min()
        sns.lineplot(rows[rows["epoch"] <= common], x="epoch", y="stop_mae", errorbar=None,
                     marker="o", color=style.color("model"), ax=panel)  # fmt: skip
        panel.set(title=parts[part], xlabel="epoch", ylabel="error when set aside (points)")
        panel.xaxis.get_major_locator().set_params(integer=True)
    return figure


def recognised(table: pd.DataFrame) -> pd.DataFrame:
    """Sum up what pre-trained weights recognise, a row per kind.

    Parameters
    ----------
    table : DataFrame
        `models.pretraining.recognised`: ``kind, name, unseen, learned``.

    Returns
    -------
    DataFrame
        ``kind, number``, medians ``unseen, learned``, and the names of the ``best`` and the
        ``weakest`` in people that were not learned from: three, half of a short list, none of one.
    """
    table = table.dropna(subset="unseen").sort_values("unseen", ascending=False)
    words = {"action_units": "action units", "pose": "turns of head and eyes"}
    turns = {"gaze_x": "gaze, sideways", "gaze_y": "gaze, up and down"}
    kinds = table.replace({"kind": words, "name": turns}).groupby("kind", sort=False)

    def some(names: pd.Series) -> str:
        return "; ".join(names[: min(3, len(names) // 2)])

    return kinds.agg(
        number=("name", "size"), unseen=("unseen", "median"), learned=("learned", "median"),
        best=("name", some), weakest=("name", lambda names: some(names[::-1])),
    ).reset_index()  # fmt: skip
