"""Figures of chapter 2: where the face is, and whether that can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from expresso_lib.faces import anatomy, regions
from expresso_lib.figures import style
from expresso_lib.figures.statistics import forest

RAW, SMOOTHED, TRUTH = style.color("paper"), style.color("model"), style.color("truth")


@style.plot
def strip(landmarks: np.ndarray, tinted: np.ndarray, times: Sequence[float]) -> Figure:
    """Show frames with their landmarks above the same frames by region.

    Parameters
    ----------
    landmarks, tinted : uint8 (K, S, S, 3), of `drawing.Scene`.
    times : (K,) seconds of each frame in the recording.
    """
    count = len(times)
    figure, grid = style.figure("full", 2, count, height=7.2 / count * 2 + 0.75, squeeze=False)
    for row, pictures in zip(grid, (landmarks, tinted)):
        for axes, picture in zip(row, pictures):
            style.picture(axes, picture)
    for axes, time in zip(grid[0], times):
        axes.set_title(f"{time:.1f} s", fontsize=style.SMALL, fontweight="normal")
    names = [n for n in anatomy.REGIONS if n != "background" and not n.startswith("left_")]
    titles = {name: style.title(name).replace("right ", "") for name in names}
    figure.legend(handles=[Patch(color=style.color(n), label=t) for n, t in titles.items()],
                  **style.BELOW, ncols=len(names))  # fmt: skip
    return figure


@style.plot
def composite(face: np.ndarray, landmarks: np.ndarray, *, size: int = 64) -> Figure:
    """Show the aligned face with the tiles' places beside the composite made of them.

    Parameters
    ----------
    face : uint8 (S, S, 3), of `drawing.Scene`.
    landmarks : (68, 2) pixels of that picture.
    size : side of the composite that the model sees, pixels.
    """
    shown = face.shape[0]
    tiles, seen = (regions.compose(face, regions.composite_map(landmarks, side))
                   for side in (shown, size))  # fmt: skip
    figure, panels = style.figure("full", 1, 3, height=2.75)
    titles = ("aligned face", "composite", f"at the model's {size} px")
    for axes, picture, title in zip(panels, (face, tiles, seen), titles):
        style.picture(axes, picture, title)
    source = regions.composite_map(landmarks, 64)
    for tile in regions.TILES:
        # The rectangle in the face is that of the tile's own map, so that the two cannot disagree.
        part = source[_span(tile.top, tile.height, 64), _span(tile.left, tile.width, 64)]
        low, high = part.min(axis=(0, 1)), part.max(axis=(0, 1))
        # Sides share a hue, the left is dashed.
        look = {"edgecolor": style.color(tile.region), "linewidth": 1.5,
                "linestyle": "--" if tile.region.startswith("left_") else "-"}  # fmt: skip
        _box(panels[0], (*low, *(high - low)), **look)
        _box(panels[1], (tile.left * shown + 1, tile.top * shown + 1, tile.width * shown - 3,
                         tile.height * shown - 3), **look)  # fmt: skip
    return figure


@style.plot
def jitter(
    traces: Mapping[str, np.ndarray],
    fps: float,
    effect: pd.DataFrame,
    *,
    title: str = "a landmark's height",
) -> Figure:
    """Show one landmark in time, raw and smoothed, and every recording's jitter before and after.

    Parameters
    ----------
    traces : ``raw``, ``smoothed`` and where known ``truth``: (F,) pixels, NaN where lost.
    fps : frames per second.
    effect : of `preprocessing.smoothing_effect`.
    """
    effect = style.known(effect, "before", "after", of="recordings")
    figure, (left, right) = style.figure("full", 1, 2, height=2.9, width_ratios=(2.4, 1))
    looks = {"truth": (TRUTH, 1.0), "raw": (RAW, 1.0), "smoothed": (SMOOTHED, 1.8)}
    for name, values in traces.items():
        color, width = looks[name]
        left.plot(np.arange(len(values)) / fps, values, color=color, linewidth=width, label=name)
    left.set(xlabel="time (s)", ylabel="pixels (down)", title=title)
    left.legend(ncols=3, loc="upper left")
    left.margins(y=0.25)
    right.plot([0, 1], effect[["before", "after"]].T, color=style.PALE, linewidth=0.8)
    for place, (column, color) in enumerate({"before": RAW, "after": SMOOTHED}.items()):
        right.plot([place] * len(effect), effect[column], "o", color=color, markersize=4)
    right.set(xticks=[0, 1], xticklabels=["raw", "smoothed"], xlim=(-0.4, 1.4), title="jitter",
              ylabel="outer-eye distances")  # fmt: skip
    right.set_ylim(bottom=0)
    return figure


@style.plot
def index_error(
    face: np.ndarray, own: np.ndarray, misread: np.ndarray, errors: pd.DataFrame, *, fps: float
) -> Figure:
    """Show where the paper's indexing puts its boxes, and how far off they are in time.

    Parameters
    ----------
    face : uint8 (S, S, 3), one frame.
    own, misread : (68, 2) pixels of that picture: its landmarks, and those read instead.
    errors : of `faces.index_errors`.
    """
    style.known(errors, "by_flag", of="frames", called="the distance")
    figure, (left, right) = style.figure("full", 1, 2, height=2.9, width_ratios=(1, 2.2))
    style.picture(left, face, "right and misread boxes")
    for points, color, line in ((own, SMOOTHED, "-"), (misread, RAW, "--")):
        for box in regions.boxes(points).values() if np.isfinite(points).all() else ():
            _box(left, box, edgecolor=color, linestyle=line, linewidth=1.3)
    lines = {"by_flag": ("0/1 flags used as row numbers", RAW, "--"),
             "by_position": ("lost rows dropped, read by position", style.BAND_COLORS["moderate"],
                             "-")}  # fmt: skip
    for column, (label, color, line) in lines.items():
        right.plot(errors["frame"] / fps, errors[column], line, color=color, label=label)
    for start in np.flatnonzero(~errors["found"].to_numpy()):
        right.axvspan(start / fps, (start + 1) / fps, color=style.PALE, linewidth=0)
    right.plot([], [], color=style.PALE, linewidth=6, label="frame lost")
    right.set(xlabel="time (s)", ylabel="outer-eye distances",
              title="distance from the face's own landmarks")  # fmt: skip
    right.set_ylim(0, 1.45 * max(float(np.nanmax(errors["by_flag"])), 0.05))
    right.legend(loc="upper left")
    return figure


def proxies(agreement: pd.DataFrame) -> Figure:
    """Forest of how well each proxy from landmarks follows the planted action unit.

    Parameters
    ----------
    agreement : au, r, low, high of `preprocessing.proxy_agreement`; empty without a truth.
    """
    return forest(agreement, label="au", estimate="r", low="low", high="high", group="au",
                  unit="r with the planted truth")  # fmt: skip


def _box(axes: Axes, box: Sequence[float] | np.ndarray, **look: Any) -> None:
    """Draw a rectangle: left, top, width, height."""
    axes.add_patch(Rectangle((box[0], box[1]), box[2], box[3], fill=False, **look))


def _span(start: float, length: float, size: int) -> slice:
    return slice(round(start * size), round((start + length) * size))
