"""Figures of chapter 1: who takes part, what their faces do, and what is planted in them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from expresso_lib import rendered
from expresso_lib.faces import anatomy, video
from expresso_lib.figures import drawing, style
from expresso_lib.figures.statistics import estimates

KINDS = {"tempo": ("tempo (single frames stay alike)", "o"), "amount": ("amount", "s"),
         "tonic": ("resting level", "^")}  # fmt: skip
# The film: action units as bars, seconds, and the side of a picture in pixels.
BARS, SECONDS, SIDE = ("AU01", "AU04", "AU45", "AU09", "AU12", "AU26"), 5.0, 160


def in_motion(scripts: Sequence[rendered.Script], path: str | Path) -> Path:
    """Write a film of several rendered people, three a row, above bars of what the face does.

    Parameters
    ----------
    scripts : sequence of Script
        As `rendered.Plan.script`; every second frame is shown.
    path : path
        MP4 to write.
    """
    moments = zip(*map(_film, scripts))
    films = (drawing.strip(np.stack(moment), columns=3, gap=0) for moment in moments)
    # Room below, where a player has its controls.
    frames = (np.pad(film, ((0, 80), (0, 0), (0, 0)), constant_values=255) for film in films)
    return video.write_video(path, frames, scripts[0].fps / 2)


def _film(script: rendered.Script) -> Iterable[np.ndarray]:
    """Frames (side + bars, side, 3) uint8 of one person; a full bar is an intensity of 5."""
    shown = range(0, min(script.n_frames, round(SECONDS * script.fps)), 2)
    for row, frame in zip(shown, rendered.render(script, size=SIDE, frames=shown)):
        panel: np.ndarray = np.full((14 * len(BARS) + 8, SIDE, 3), 255, np.uint8)
        for k, code in enumerate(BARS):
            level = script.au[row, anatomy.AU_CODES.index(code)] / 5
            cv2.putText(panel, code, (4, 14 * k + 13), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (31, 35, 40))
            color = tuple(bytes.fromhex(style.color(code)[1:]))
            right = 44 + round(level * (SIDE - 50))
            cv2.rectangle(panel, (44, 14 * k + 5), (right, 14 * k + 13), color, -1)
        yield np.vstack([frame.image, panel])


@style.plot
def tempo() -> Figure:
    """Draw a quick and a slow smile: the same frames, played at another speed."""
    time = np.arange(0, 8, 0.002)
    figure, (course, frames, changes) = style.figure(1, 3, height=2.8)
    share = np.full(len(time), 100 / len(time))
    looks = ("quick", 2.0, style.INK, "-"), ("slow", 4.0, style.GREY, "--")
    for name, period, color, line in looks:
        smile = np.clip(3 * np.sin(2 * np.pi * time / period) + 1.5, 0, 3)
        change = np.abs(np.gradient(smile, time))
        look: dict[str, Any] = {"color": color, "linestyle": line, "label": name}
        course.plot(time, smile, **look)
        for axes, values, top in ((frames, smile, 3), (changes, change, 10)):
            axes.hist(values, np.linspace(0, top, 9), histtype="step", weights=share, linewidth=2,
                      **look)  # fmt: skip
    course.set(title="over time", xlabel="time (s)", ylabel="intensity of AU12")
    frames.set(title="its frames", xlabel="intensity of AU12", ylabel="share of frames (%)")
    changes.set(title="its changes", xlabel="change of AU12 (per s)", ylabel="share of frames (%)")
    figure.legend(*course.get_legend_handles_labels(), ncols=2, **style.ABOVE)
    return figure


@style.plot
def planted(table: pd.DataFrame) -> Figure:
    """Show what severity changes: factor of change from the lowest to the highest severity.

    Parameters
    ----------
    table : DataFrame
        As `rendered.Plan.planted`.
    """
    rows = table[table.carries_signal].drop_duplicates("behaviour").sort_values("weight")[::-1]
    rows = style.known(rows.assign(estimate=rows.full / rows.none, ci_low=1.0), "estimate")
    rows = rows.sort_values("kind", key=lambda kinds: kinds.map([*KINDS].index), kind="stable")
    rows = rows.assign(
        ci_high=rows.estimate, marker=[KINDS[kind][1] for kind in rows.kind],
        name=[style.WORDS["behaviours"].get(name, f"{name} at rest") for name in rows.behaviour],
    )  # fmt: skip
    figure, axes = style.figure(height=0.23 * len(rows) + 1.5)
    estimates(axes, rows, label="name", group="factor")
    ticks = (0.5, 0.7, 1, 1.5, 2, 3, 5)
    axes.set(xscale="log", xlabel="change from severity 0 to severity 1")
    axes.set_xticks(ticks, [f"× {tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.axvline(1, color=style.GREY, linewidth=0.9)
    kinds = {title: {"color": style.INK, "marker": marker} for title, marker in KINDS.values()}
    figure.legend(handles=style.handles(kinds) + style.factor_handles(rows.factor), ncols=3,
                  **style.BELOW)  # fmt: skip
    return figure


@style.plot
def oracle(table: pd.DataFrame) -> Figure:
    """Show how well severity can be read from the true series, per kind of feature and variant.

    Parameters
    ----------
    table : DataFrame
        As `rendered.oracle.over_seeds`: kind, r, seed, variant; one dot per cohort seed, the mean
        as a line.
    """
    shown = style.known(table, "r").assign(cohort=table["variant"] + " cohort")
    figure, axes = style.figure(height=3.0)
    colors = {"default cohort": style.color("model"), "null cohort": style.color("null")}
    titles = style.WORDS["oracle"]
    looks = {"x": "kind", "y": "r", "hue": "cohort", "order": list(titles), "ax": axes,
             "palette": colors}  # fmt: skip
    sns.stripplot(shown, dodge=True, alpha=0.6, size=4, **looks)
    sns.pointplot(shown, dodge=0.4 if shown["cohort"].nunique() > 1 else False, errorbar=None,
                  legend=False, linestyle="none", marker="_", markersize=18, **looks)  # fmt: skip
    style.zero_line(axes)
    axes.set_xticks(range(len(titles)), list(titles.values()))
    axes.set(xlabel="", ylabel="r, predicted against true score", ylim=(-1, 1))
    axes.legend(loc="lower right", ncols=2, title="")
    return figure
