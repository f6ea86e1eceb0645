"""Figures of chapter 1: who takes part, what their faces do, and what is planted in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from expresso_lib import rendered
from expresso_lib.faces import anatomy, video
from expresso_lib.figures import style

DEMO = "Demo cohort (rendered faces)"
KIND_TITLES = {
    "tempo": "tempo (single frames stay alike)",
    "amount": "amount",
    "tonic": "resting level",
}
KIND_MARKERS = {"tempo": "o", "amount": "s", "tonic": "^"}
BEHAVIOURS = {
    "smile_tempo": "smiles: how fast",
    "syllables": "syllables per second",
    "head_time": "head: time constant",
    "gaze_time": "gaze: length of a look",
    "cheek_lag": "cheeks lag behind lips",
    "brow_tempo": "brows: how fast",
    "smile_size": "smiles: how wide",
    "cheek": "cheeks join in smiles",
    "speech_share": "time spent talking",
    "mouth_size": "mouth opening in speech",
    "nose_rate": "nose wrinkling, bouts",
    "head_sd": "head: range",
    "aversion": "gaze: looking away",
}
ORACLE_TITLES = {
    "dynamics": "movement and\nits timing",
    "mean_sd": "mean and sd\nof frames",
    "one_frame": "one frame",
    "identity": "identity",
    "light": "light",
}


def scores(participants: pd.DataFrame, *, unit: str = "points", note: str = "") -> Figure:
    """Show every participant's score, by band.

    Parameters
    ----------
    participants : DataFrame
        Columns score and band.
    unit : str
        What the score counts.
    note : str
        What the figure rests on.
    """
    figure, axes = style.figure("wide")
    names = style.bands(participants)
    for row, (name, look) in enumerate(names.items()):
        values = np.sort(participants.score[participants.band.astype(str) == name].to_numpy(float))
        # Equal scores are stacked, so that every participant is seen.
        level = np.array([np.sum(values[:i] == v) for i, v in enumerate(values)])
        axes.plot(values, row + 0.16 * level, linestyle="none", alpha=0.9, **look)
    axes.set_yticks(
        range(len(names)), [f"{name} ({(participants.band == name).sum()})" for name in names]
    )
    axes.set_ylim(-0.5, len(names) - 0.2)
    axes.set_xlabel(f"score ({unit})")
    style.note(figure, note)
    return figure


def contact_sheet(
    pictures: np.ndarray, titles: Sequence[str], *, columns: int = 6, note: str = DEMO
) -> Figure:
    """Lay pictures out in a grid, each under its title.

    Parameters
    ----------
    pictures : ndarray
        uint8 (K, H, W, 3) RGB.
    titles : sequence of str
        One per picture.
    columns : int
    note : str
    """
    rows = -(-len(pictures) // columns)
    lines = 1 + max(title.count("\n") for title in titles)
    figure, axes = style.figure(
        "full", rows, columns, height=(7.2 / columns + 0.05 + 0.15 * lines) * rows + 0.2
    )
    for k, one in enumerate(np.atleast_1d(axes).ravel()):
        one.set_axis_off()
        if k < len(pictures):
            one.imshow(pictures[k], interpolation="lanczos")
            one.set_title(titles[k], fontsize=style.SMALL, fontweight="normal", pad=2)
    style.note(figure, note)
    return figure


def au_titles() -> list[str]:
    """Return the titles of the sheet of action units: number above, name below."""
    return ["at rest\n"] + [f"{code}\n{anatomy.AU_TITLES[code]}" for code in anatomy.AU_CODES]


def crop(pictures: np.ndarray, landmarks: np.ndarray, *, margin: float = 0.35) -> np.ndarray:
    """Cut the same square, the first picture's face, out of every picture.

    Parameters
    ----------
    pictures : ndarray
        uint8 (K, H, W, 3).
    landmarks : ndarray
        (68, 2) pixels of the first picture.
    margin : float
        Space around the landmarks, as a share of their extent.
    """
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    centre, half = (low + high) / 2, (1 + margin) * (high - low).max() / 2
    left, top = np.round(centre - half).astype(int).clip(0)
    right, bottom = np.round(centre + half).astype(int)
    return pictures[:, top:bottom, left:right]


def traces(
    stills: np.ndarray,
    at: Sequence[int],
    au: np.ndarray,
    fps: float,
    codes: Sequence[str],
    *,
    note: str = DEMO,
) -> Figure:
    """Show stills above the intensities of some action units; lines mark the stills' moments.

    Parameters
    ----------
    stills : ndarray
        uint8 (K, H, W, 3).
    at : sequence of int
        Frame number of each still.
    au : ndarray
        (F, A) intensities 0 to 5, in the order of `anatomy.AU_CODES`.
    fps : float
        Frames per second.
    codes : sequence of str
        Which AUs to draw.
    note : str
    """
    with style.context():
        figure, axes = style.figure(
            "full", 2, 1, height=5.6, gridspec_kw={"height_ratios": [1, 2.1]}
        )
    gap = np.full((stills.shape[1], 6, 3), 255, np.uint8)
    parts = [part for still in stills for part in (still, gap)][:-1]
    axes[0].imshow(np.hstack(parts), interpolation="lanczos")
    axes[0].set_axis_off()
    _lines(axes[1], au, fps, codes)
    for letter, frame in zip("abcdefghij", at):
        axes[1].axvline(frame / fps, color=style.GREY, linewidth=0.8, linestyle=":")
        axes[1].annotate(
            letter,
            (frame / fps, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, -9),
            textcoords="offset points",
            fontsize=style.SMALL,
        )
    width = stills.shape[2] + 6
    for k, letter in zip(range(len(stills)), "abcdefghij"):
        axes[0].annotate(
            letter,
            (k * width + 8, 20),
            color=style.INK,
            fontsize=style.BODY,
            fontweight="bold",
            backgroundcolor="white",
        )
    style.note(figure, note)
    return figure


def in_motion(
    scripts: Sequence[rendered.Script],
    path: str | Path,
    *,
    codes: Sequence[str] = ("AU01", "AU04", "AU45", "AU09", "AU12", "AU26"),
    seconds: float = 5.0,
    size: int = 160,
    columns: int = 3,
) -> Path:
    """Write a film of several rendered people, each above bars of what the face does.

    Parameters
    ----------
    scripts : sequence of Script
        As `rendered.Plan.script`; every second frame is shown.
    path : path
        MP4 to write.
    codes : sequence of str
        Action units; a full bar is an intensity of 5.
    """
    films = [list(_film(script, codes, seconds, size)) for script in scripts]
    rows = [films[k : k + columns] for k in range(0, len(films), columns)]
    rows[-1] = rows[-1] + [films[-1]] * (columns - len(rows[-1]))
    frames = (np.vstack([np.hstack(row) for row in moment]) for moment in zip(
        *(zip(*row) for row in rows)))  # fmt: skip
    return video.write_video(path, frames, scripts[0].fps / 2)


def _film(
    script: rendered.Script, codes: Sequence[str], seconds: float, size: int
) -> Iterable[np.ndarray]:
    """Frames (size + bars, size, 3) uint8 of one person, action units as bars underneath."""
    shown = range(0, min(script.n_frames, round(seconds * script.fps)), 2)
    for row, frame in zip(shown, rendered.render(script, size=size, frames=shown)):
        panel = np.full((14 * len(codes) + 8, size, 3), 255, np.uint8)
        for k, code in enumerate(codes):
            level = script.au[row, anatomy.AU_CODES.index(code)] / 5
            cv2.putText(panel, code, (4, 14 * k + 13), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (31, 35, 40))
            colour = tuple(int(style.au_color(code)[i : i + 2], 16) for i in (1, 3, 5))
            right = 44 + round(level * (size - 50))
            cv2.rectangle(panel, (44, 14 * k + 5), (right, 14 * k + 13), colour, -1)
        yield np.vstack([frame.image, panel])


def tempo(*, note: str = "A drawing, not a measurement") -> Figure:
    """Draw a quick and a slow smile: the same frames, played at another speed."""
    time = np.arange(0, 8, 0.002)
    smiles = {
        name: np.clip(3 * np.sin(2 * np.pi * time / period) + 1.5, 0, 3)
        for name, period in (("quick", 2.0), ("slow", 4.0))
    }
    figure, panels = style.figure("full", 1, 3, height=2.8)
    looks = (style.ROLE_COLORS["model"], style.ROLE_COLORS["paper"])
    share = np.full(len(time), 100 / len(time))
    for (name, smile), colour, edge in zip(smiles.items(), looks, ("-", "--")):
        look = {"color": colour, "linestyle": edge, "label": name}
        panels[0].plot(time, smile, **look)
        panels[1].hist(smile, np.linspace(0, 3, 9), histtype="step", weights=share, **look)
        change = np.abs(np.gradient(smile, time))
        panels[2].hist(change, np.linspace(0, 10, 9), histtype="step", weights=share, **look)
    titles = ("over time", "its frames", "its changes")
    labels = ("time (s)", "intensity of AU12", "change of AU12 per second")
    for axes, title, label in zip(panels, titles, labels):
        axes.set(title=title, xlabel=label)
    panels[0].set_ylabel("intensity of AU12")
    panels[1].set_ylabel("share of frames, %")
    panels[0].legend(loc="upper right")
    style.note(figure, note)
    return figure


def _lines(axes: Axes, au: np.ndarray, fps: float, codes: Sequence[str]) -> None:
    time = np.arange(len(au)) / fps
    for row, code in enumerate(codes):
        base = (len(codes) - 1 - row) * 1.1
        share = au[:, anatomy.AU_CODES.index(code)] / 5
        axes.fill_between(
            time, base, base + share, color=style.au_color(code), alpha=0.35, linewidth=0
        )
        axes.plot(time, base + share, color=style.au_color(code), linewidth=1.1)
    axes.set_yticks(
        [(len(codes) - 1 - row) * 1.1 + 0.3 for row in range(len(codes))],
        [f"{code} {anatomy.AU_TITLES[code]}" for code in codes],
    )
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, time[-1])
    axes.set_ylim(-0.1, len(codes) * 1.1 + 0.25)
    axes.set_xlabel("time (s)")


def planted(table: pd.DataFrame, *, note: str = DEMO) -> Figure:
    """Show what severity changes: factor of change from the lowest to the highest severity.

    Parameters
    ----------
    table : DataFrame
        As `rendered.Plan.planted`.
    note : str
    """
    rows = table[table.carries_signal].drop_duplicates("behaviour")
    rows = rows.sort_values(["kind", "weight"], ascending=[True, True])
    order = {"tonic": 0, "amount": 1, "tempo": 2}
    rows = rows.iloc[np.argsort([order[kind] for kind in rows.kind], kind="stable")]
    figure, axes = style.figure("full", height=0.23 * len(rows) + 1.5)
    for y, row in enumerate(rows.itertuples()):
        ratio = row.full / row.none
        color = anatomy.FACTOR_COLORS.get(row.factor, style.GREY)
        axes.plot([1, ratio], [y, y], color=color, linewidth=1.2)
        axes.plot([ratio], [y], color=color, marker=KIND_MARKERS[row.kind])
    axes.set_xscale("log")
    ticks = (0.5, 0.7, 1, 1.5, 2, 3, 5)
    axes.set_xticks(ticks, [f"× {tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.axvline(1, color=style.GREY, linewidth=0.9)
    axes.set_yticks(
        range(len(rows)), [BEHAVIOURS.get(name, f"{name} at rest") for name in rows.behaviour]
    )
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("change from severity 0 to severity 1")
    handles = [
        Line2D(
            [],
            [],
            color=style.INK,
            linestyle="none",
            marker=KIND_MARKERS[kind],
            label=KIND_TITLES[kind],
        )
        for kind in KIND_TITLES
    ]
    # Legends fill columns: the kinds, then the factors in two.
    figure.legend(
        handles=handles + style.factor_handles(rows.factor), ncols=3, loc="outside upper center"
    )
    style.note(figure, note)
    return figure


def oracle(table: pd.DataFrame, *, note: str = DEMO) -> Figure:
    """Show how well severity can be read from the true series, per kind of feature and variant.

    Parameters
    ----------
    table : DataFrame
        As `rendered.oracle.over_seeds`: kind, r, seed, variant; one dot per cohort seed.
    note : str
    """
    figure, axes = style.figure("full", height=3.0)
    variants = list(dict.fromkeys(table.variant))
    for v, (name, colour) in enumerate(zip(variants, (style.ROLE_COLORS["model"], style.GREY))):
        for k, kind in enumerate(ORACLE_TITLES):
            values = table.r[(table.variant == name) & (table.kind == kind)].to_numpy()
            x = k + (v - (len(variants) - 1) / 2) * 0.34
            spread = np.linspace(-0.08, 0.08, len(values))
            axes.plot(x + spread, values, linestyle="none", marker=".", color=colour, alpha=0.55)
            axes.plot(
                [x - 0.12, x + 0.12],
                [values.mean()] * 2,
                color=colour,
                linewidth=2.4,
                label=f"{name} cohort" if k == 0 else None,
            )
    style.zero_line(axes)
    axes.set_xticks(range(len(ORACLE_TITLES)), list(ORACLE_TITLES.values()))
    axes.set_ylabel("r, predicted against true score")
    axes.set_ylim(-1, 1)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="lower right", ncols=2)
    style.note(figure, note)
    return figure
