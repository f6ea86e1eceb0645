"""Figures of chapter 2: where the face is, and whether that can be trusted."""

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

RAW, SMOOTHED, MISREAD = (style.color(role) for role in ("null", "model", "paper"))


@style.plot
def strip(landmarks: np.ndarray, tinted: np.ndarray, times: Sequence[float]) -> Figure:
    """Show frames with their landmarks above the same frames by region.

    Parameters
    ----------
    landmarks, tinted : uint8 (K, S, S, 3), of `drawing.Scene`.
    times : (K,) seconds of each frame in the recording.
    """
    count = len(times)
    figure, grid = style.figure(2, count, height=7.2 / count * 2 + 0.75, squeeze=False)
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
    figure, panels = style.figure(1, 3, height=2.75)
    titles = ("aligned face", "composite", f"at the model's {size} px")
    for axes, picture, title in zip(panels, (face, tiles, seen), titles):
        style.picture(axes, picture, title)
    source = regions.composite_map(landmarks, 64)
    for name, edges in regions.TILES.items():
        # The rectangle in the face is that of the tile's own map, so that the two cannot disagree.
        left, top, right, bottom = np.round(64 * np.array(edges)).astype(int)
        points = source[top:bottom, left:right].reshape(-1, 2)
        # Sides share a hue, the left is dashed.
        line = "--" if name.startswith("left_") else "-"
        look: dict[str, Any] = {"edgecolor": style.color(name), "linewidth": 1.5, "linestyle": line}
        _box(panels[0], *points.min(axis=0), *points.max(axis=0), **look)
        _box(panels[1], *(shown * np.array(edges) + (1, 1, -2, -2)), **look)
    return figure


@style.plot
def jitter(
    traces: Mapping[str, np.ndarray], fps: float, effect: pd.DataFrame, *, title: str
) -> Figure:
    """Show one landmark in time, raw and smoothed, and every recording's jitter before and after.

    Parameters
    ----------
    traces : ``raw``, ``smoothed`` and where known ``truth``: (F,) pixels, NaN where lost.
    fps : frames per second.
    effect : of `preprocessing.smoothing_effect`.
    """
    effect = style.known(effect, "before", "after", of="recordings")
    figure, (left, right) = style.figure(1, 2, height=2.9, width_ratios=(2.4, 1))
    looks = {"truth": (style.INK, 1.0), "raw": (RAW, 1.0), "smoothed": (SMOOTHED, 1.8)}
    for name, values in traces.items():
        color, width = looks[name]
        left.plot(np.arange(len(values)) / fps, values, color=color, linewidth=width, label=name)
    left.set(xlabel="time (s)", ylabel="pixels from the top", title=title)
    left.legend(ncols=3, loc="upper left")
    left.margins(y=0.25)
    right.plot([0, 1], effect[["before", "after"]].T, color=style.PALE, linewidth=0.8)
    for place, (column, color) in enumerate({"before": RAW, "after": SMOOTHED}.items()):
        right.plot([place] * len(effect), effect[column], "o", color=color, markersize=4)
    right.set(xticks=[0, 1], xticklabels=["raw", "smoothed"], xlim=(-0.4, 1.4), title="jitter",
              ylabel="outer-eye distances", ylim=(0, None))  # fmt: skip
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
    style.known(errors.rename(columns={"by_flag": "distance"}), "distance", of="frames")
    figure, (left, right) = style.figure(1, 2, height=2.9, width_ratios=(1, 2.2))
    style.picture(left, face, "right and misread boxes")
    for points, color, line in ((own, SMOOTHED, "-"), (misread, MISREAD, "--")):
        for x, y, width, height in regions.boxes(points).values():
            _box(left, x, y, x + width, y + height, edgecolor=color, linestyle=line, linewidth=1.3)
    time = errors["frame"] / fps
    right.plot(time, errors["by_flag"], "--", color=MISREAD, label="0/1 flags used as row numbers")
    right.plot(time, errors["by_position"], color=style.color("moderate"),
               label="lost rows dropped, read by position")  # fmt: skip
    right.bar(time[~errors["found"]], 1, 1 / fps, align="edge", color=style.PALE, linewidth=0,
              label="frame lost", transform=right.get_xaxis_transform())  # fmt: skip
    right.set(xlabel="time (s)", ylabel="outer-eye distances",
              title="distance from the face's own landmarks")  # fmt: skip
    right.set_ylim(0, 1.1 * max(float(np.nanmax(errors["by_flag"])), 0.05))
    figure.legend(handles=right.get_legend_handles_labels()[0], **style.ABOVE, ncols=2)
    return figure


def proxies(agreement: pd.DataFrame) -> Figure:
    """Forest of how well each proxy from landmarks follows the planted action unit.

    Parameters
    ----------
    agreement : au, r, low, high of `preprocessing.proxy_agreement`; empty without a truth.
    """
    rows = agreement.rename(columns={"r": "estimate", "low": "ci_low", "high": "ci_high"})
    return forest(rows, label="au", group="au", unit="r with the planted truth")


def _box(axes: Axes, left: float, top: float, right: float, bottom: float, **look: Any) -> None:
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, **look))
