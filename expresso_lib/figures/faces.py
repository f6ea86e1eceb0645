"""Figures of chapter 2: where the face is, and whether that can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from expresso_lib.faces import anatomy, regions
from expresso_lib.figures import style

RAW, SMOOTHED, TRUTH = "#D55E00", "#0072B2", style.ROLE_COLORS["truth"]


def strip(
    landmarks: np.ndarray, tinted: np.ndarray, times: Sequence[float], *, note: str = ""
) -> Figure:
    """Show frames with their landmarks above the same frames by region.

    Parameters
    ----------
    landmarks, tinted : uint8 (K, S, S, 3), of `drawing.Scene`.
    times : (K,) seconds of each frame in the recording.
    note : what the figure rests on.
    """
    count = len(times)
    figure, axes = style.figure("full", 2, count, height=7.2 / count * 2 + 0.75)
    for column in range(count):
        for row, pictures in enumerate((landmarks, tinted)):
            _picture(axes[row, column], pictures[column])
        axes[0, column].set_title(
            f"{times[column]:.1f} s", fontsize=style.SMALL, fontweight="normal"
        )
    names = [n for n in anatomy.REGIONS if n != "background" and not n.startswith("left_")]
    handles = [
        Patch(color=anatomy.REGION_COLORS[n], label=anatomy.REGION_TITLES[n].replace("right ", ""))
        for n in names
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    style.note(figure, note)
    return figure


def composite(face: np.ndarray, landmarks: np.ndarray, *, size: int = 64, note: str = "") -> Figure:
    """Show the aligned face with the tiles' places beside the composite made of them.

    Parameters
    ----------
    face : uint8 (S, S, 3), of `drawing.Scene`.
    landmarks : (68, 2) pixels of that picture.
    size : side of the composite that the model sees, pixels.
    """
    shown = face.shape[0]
    tiles = regions.compose(face, regions.composite_map(landmarks, shown))
    seen = regions.compose(face, regions.composite_map(landmarks, size))
    figure, axes = style.figure("full", 1, 3, height=2.75)
    for one, picture, title in zip(
        axes, (face, tiles, seen), ("aligned face", "composite", f"at the model's {size} px")
    ):
        _picture(one, picture)
        one.set_title(title, fontsize=style.BODY)
    for tile in regions.TILES:
        # The source rectangle is that of the tile's own map, so that the two cannot disagree.
        source = regions.composite_map(landmarks, 64)[
            _span(tile.top, tile.height, 64), _span(tile.left, tile.width, 64)
        ]
        low, high = source.min(axis=(0, 1)), source.max(axis=(0, 1))
        look = style.region_style(tile.region)
        axes[0].add_patch(
            Rectangle(
                low,
                *(high - low),
                fill=False,
                linewidth=1.5,
                edgecolor=look["color"],
                linestyle=look["linestyle"],
            )
        )
        axes[1].add_patch(
            Rectangle(
                (tile.left * shown + 1, tile.top * shown + 1),
                tile.width * shown - 3,
                tile.height * shown - 3,
                fill=False,
                linewidth=1.5,
                edgecolor=look["color"],
                linestyle=look["linestyle"],
            )
        )
    style.note(figure, note)
    return figure


def jitter(
    traces: Mapping[str, np.ndarray],
    fps: float,
    effect: pd.DataFrame,
    *,
    title: str = "a landmark's height",
    note: str = "",
) -> Figure:
    """Show one landmark in time, raw and smoothed, and every recording's jitter before and after.

    Parameters
    ----------
    traces : ``raw``, ``smoothed`` and where known ``truth``: (F,) pixels, NaN where lost.
    fps : frames per second.
    effect : of `preprocessing.smoothing_effect`.
    """
    figure, (left, right) = style.figure(
        "full", 1, 2, height=2.9, gridspec_kw={"width_ratios": [2.4, 1]}
    )
    looks = {"truth": (TRUTH, "-", 1.0), "raw": (RAW, "-", 1.0), "smoothed": (SMOOTHED, "-", 1.8)}
    for name, values in traces.items():
        color, line, width = looks[name]
        left.plot(
            np.arange(len(values)) / fps, values, line, color=color, linewidth=width, label=name
        )
    left.set(xlabel="seconds", ylabel="pixels (down)", title=title)
    left.legend(ncols=3, loc="upper left")
    left.margins(y=0.25)
    for row in effect.itertuples():
        right.plot([0, 1], [row.before, row.after], "-", color=style.PALE, linewidth=0.8)
    right.plot(np.zeros(len(effect)), effect["before"], "o", color=RAW, markersize=4)
    right.plot(np.ones(len(effect)), effect["after"], "o", color=SMOOTHED, markersize=4)
    right.set(
        xticks=[0, 1],
        xticklabels=["raw", "smoothed"],
        xlim=(-0.4, 1.4),
        ylabel="outer-eye distances",
        title="jitter",
    )
    right.set_ylim(bottom=0)
    style.note(figure, note)
    return figure


def index_error(
    face: np.ndarray,
    own: np.ndarray,
    misread: np.ndarray,
    errors: pd.DataFrame,
    *,
    fps: float,
    note: str = "",
) -> Figure:
    """Show where the paper's indexing puts its boxes, and how far off they are in time.

    Parameters
    ----------
    face : uint8 (S, S, 3), one frame.
    own, misread : (68, 2) pixels of that picture: its landmarks, and those read instead.
    errors : of `faces.index_errors`.
    """
    figure, (left, right) = style.figure(
        "full", 1, 2, height=2.9, gridspec_kw={"width_ratios": [1, 2.2]}
    )
    _picture(left, face)
    for points, color, line in ((own, SMOOTHED, "-"), (misread, RAW, "--")):
        for x, y, width, height in regions.boxes(points).values():
            left.add_patch(
                Rectangle(
                    (x, y),
                    width,
                    height,
                    fill=False,
                    edgecolor=color,
                    linestyle=line,
                    linewidth=1.3,
                )
            )
    left.set_title("right and misread boxes", fontsize=style.BODY)
    seconds = errors["frame"] / fps
    right.plot(
        seconds, errors["by_flag"], color=RAW, linestyle="--", label="0/1 flags used as row numbers"
    )
    right.plot(
        seconds,
        errors["by_position"],
        color=style.BAND_COLORS["moderate"],
        label="lost rows dropped, read by position",
    )
    for start in np.flatnonzero(~errors["found"].to_numpy()):
        right.axvspan(start / fps, (start + 1) / fps, color=style.PALE, linewidth=0)
    right.plot([], [], color=style.PALE, linewidth=6, label="frame lost")
    right.set(
        xlabel="seconds",
        ylabel="outer-eye distances",
        title="distance from the face's own landmarks",
    )
    right.set_ylim(0, 1.45 * max(np.nanmax(errors["by_flag"]), 0.05))
    right.legend(loc="upper left")
    style.note(figure, note)
    return figure


def proxies(agreement: pd.DataFrame, *, note: str = "") -> Figure:
    """Show how well each proxy from landmarks follows the planted action unit.

    Parameters
    ----------
    agreement : au, r, low, high of `preprocessing.proxy_agreement`; empty without a truth.
    """
    figure, axes = style.figure("full", height=3.1)
    place = np.arange(len(agreement))
    colors = [style.au_color(code) for code in agreement["au"]]
    axes.bar(place, agreement["r"], color=colors, width=0.7)
    axes.vlines(place, agreement["low"], agreement["high"], color=style.INK, linewidth=1)
    style.zero_line(axes)
    axes.set_xticks(place, agreement["au"], rotation=45, ha="right")
    lowest = float(np.nanmin(agreement["low"])) if len(agreement) else 0.0
    axes.set(ylabel="r with the truth", ylim=(min(0.0, lowest) - 0.05, 1.05))
    figure.legend(
        handles=style.factor_handles(style.factors_of(agreement["au"])),
        loc="outside upper center",
        ncols=5,
    )
    if agreement.empty:
        axes.text(
            0.5, 0.5, "This data set has no planted truth.", transform=axes.transAxes, ha="center"
        )
    style.note(figure, note)
    return figure


def _picture(axes: Axes, picture: np.ndarray) -> None:
    axes.imshow(picture)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def _span(start: float, length: float, size: int) -> slice:
    return slice(round(start * size), round((start + length) * size))
