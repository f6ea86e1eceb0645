"""Figures of the main chapters that say one thing each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from expresso_lib import attribution, models, rendered
from expresso_lib.attribution import calm_frames
from expresso_lib.clips import ClipArchive
from expresso_lib.faces import anatomy, video
from expresso_lib.faithfulness import interventions, metrics, trials
from expresso_lib.figures import components, drawing, style
from expresso_lib.figures.attribution import BASELINE_TITLES

LETTERS = "abcdefgh"
NULL_SEED = 501  # of a cohort that is no part of any study
VERDICTS = {"relevant": style.ROLE_COLORS["model"], "present but small": "#56B4E9",
            "equivalent": style.ROLE_COLORS["paper"]}  # fmt: skip


@style.plot
def headset(rows: pd.DataFrame, worn: np.ndarray, bare: np.ndarray) -> Figure:
    """Show a headset, and what three references put on it beside what taking it off does.

    Parameters
    ----------
    rows : DataFrame
        ``channel, points, ci_low, ci_high`` of one model; channel ``effect`` is the truth.
    worn, bare : ndarray
        float (H, W, 3), 0 to 1: one frame with the headset and without it.
    """
    figure, axes = style.figure("full", 1, 3, height=2.6, width_ratios=(1, 1, 2.2))
    for panel, picture, title in zip(axes, (worn, bare), ("with headset", "taken off")):
        style.picture(panel, picture, title)
    channels = {"effect": "what its removal does"} | BASELINE_TITLES
    part = rows.set_index("channel")
    part = part.loc[[channel for channel in channels if channel in part.index]]
    for y, (channel, row) in enumerate(part.iterrows()):
        color = style.ROLE_COLORS["truth" if channel == "effect" else "model"]
        axes[2].plot([row["ci_low"], row["ci_high"]], [y, y], color=color)
        axes[2].plot(row["points"], y, "s" if channel == "effect" else "o", color=color)
    axes[2].set_yticks(range(len(part)), [channels[channel] for channel in part.index])
    axes[2].yaxis.tick_right()
    axes[2].invert_yaxis()
    style.zero_line(axes[2], axis="x")
    axes[2].set_xlabel("score points on the headset")
    return figure


@style.plot
def planted_found(table: pd.DataFrame) -> Figure:
    """Show what each region carries where severity was planted in one region only.

    Parameters
    ----------
    table : DataFrame
        ``planted, region, part``: part of r that a region carries, one row per cohort.
    """
    known = [name for name in anatomy.REGIONS if name in set(table["region"])]
    rows = [name for name in anatomy.REGIONS if name in set(table["planted"])]
    shown = table.pivot_table(index="planted", columns="region", values="part")
    shown = shown.reindex(index=rows, columns=known)
    figure, axes = style.figure("full", height=1.4 + 0.42 * len(rows))
    style.heat(axes, shown, max(float(np.nanmax(np.abs(shown.to_numpy()))), 1e-9))
    # Severity is planted left and right alike.
    side = re.compile("^(right|left)_")
    feature = [side.sub("", name) for name in known]
    own = np.array([side.sub("", name) for name in rows])[:, None] == np.array(feature)
    for text, planted in zip(axes.texts, own[shown.notna().to_numpy()]):
        text.set_fontweight("bold" if planted else "normal")
    axes.set_xticklabels([style.title(name) for name in known], rotation=30, ha="right")
    both = [name + "s" * (feature.count(name) > 1) for name in (side.sub("", row) for row in rows)]
    axes.set_yticklabels([f"planted in: {name}" for name in both], rotation=0)
    return figure


def take_away(
    rows: pd.DataFrame,
    scores: pd.Series,
    plan: rendered.Plan,
    archives: Path,
    out: Path,
    *,
    model: Path,
    length: int,
    dilation: int = 1,
    seed: int = 0,
    scale: tuple[float, float] = (0, 63),
) -> str:
    """Write the front page's "take the smile away" of the clips that trials looked at.

    Three recordings by rule: the clip that was read best, the one that was read worst, and a
    person of the null cohort, in whom severity changes nothing.

    Parameters
    ----------
    rows : DataFrame
        `faithfulness.trials.read`.
    scores : Series
        Recording to score.
    plan : Plan
        That the recordings were rendered from.
    archives, out : Path
        Folders of the clip archives, and for the films.
    model : Path
        Checkpoint that reads the person of the null cohort.
    length, dilation, seed
        Of the trials' clips.
    scale : (float, float)
        Ends of the score.
    """
    whole = rows[rows["metric"] == "output"].set_index("clip")["value"].astype(float)
    error = (whole - scores.reindex(whole.index)).abs().sort_values()
    shown = {}
    for title, name in {"Read well": error.index[0], "Read badly": error.index[-1]}.items():
        archive = ClipArchive.load(archives / f"{name}.npz")
        at = interventions.random_clip(
            archive.n_frames, length, dilation=dilation, name=name, seed=seed
        )
        shown[title] = (archive, at, plan.script(name), scores[name], rows[rows["clip"] == name])
    if archive.input == "face":
        side, rate = archive.frames.shape[1], archive.fps
        channel = metrics.main_channel(rows)
        shown["Nothing planted"] = _of_null(model, channel, length, dilation, side=side, rate=rate)
    table, movies = [], {}
    for title, (archive, at, script, score, found) in shown.items():
        name = found["clip"].iloc[0]
        changes, films = _taken_away(archive, at, script, found)
        table.append(changes.assign(recording=title, score=score))
        for removal, pictures in films.items():
            path = out / f"{name}_{removal}.mp4"
            movies[title, removal] = video.write_video(path, pictures, archive.fps, crf=26)
    note = "Rendered participants; models that had not seen them"
    titles = {title: title for title in shown}
    return components.removals(pd.concat(table), movies, titles=titles, scale=scale, note=note)


def _of_null(
    model: Path, channel: tuple[str, str], length: int, dilation: int, *, side: int, rate: float
) -> tuple[ClipArchive, np.ndarray, rendered.Script, float, pd.DataFrame]:
    """The first person of a null cohort: archive, rows of a clip, script, score and its trial."""
    seconds = max(4.0, 1.5 * length * dilation / rate)
    plan = rendered.plan_cohort(1, 1, seconds, fps=2 * rate, seed=NULL_SEED, variant="null")
    script = plan.script(plan.recordings["recording"].iloc[0])
    archive = interventions.archive_of(script, size=side)
    at = interventions.random_clip(archive.n_frames, length, dilation=dilation, name="null")
    scene = interventions.stage(
        archive, at, participant="null", recording="null", script=script,
        full_size=interventions.RENDER_SIZE, shares=False,
    )  # fmt: skip
    network = models.load(model)[0].requires_grad_(False)
    found = trials.trial(network, scene, [channel])
    return archive, at, script, float(plan.participants["score"].iloc[0]), found


def _taken_away(
    archive: ClipArchive, at: np.ndarray, script: rendered.Script, found: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, Iterator[np.ndarray]]]:
    """What every removal promised and did, and its pictures; of one clip and its trial's rows."""
    value = float(found.loc[found["metric"] == "output", "value"].iloc[0])
    said = found[(found["metric"] == "evidence") & (found["support"] == "changed")]
    method, baseline = metrics.main_channel(said)
    said = said[(said["method"] == method) & (said["baseline"] == baseline)]
    table = said[["factor"]].rename(columns={"factor": "removal"})
    table = table.assign(
        prediction=value - said["effect"], promised=-said["said"], actual=-said["effect"]
    )
    level = int(archive.source[calm_frames(archive.landmarks)[0]])
    scripts = {"none": script}
    scripts |= {name: rendered.without(script, name, level=level) for name in said["factor"]}
    frames = archive.source[at].tolist()
    films: dict[str, Iterator[np.ndarray]] = {
        name: (frame.image for frame in rendered.render(one, size=160, frames=frames))
        for name, one in scripts.items()
    }
    first = pd.DataFrame({"removal": ["none"], "prediction": [value]})
    return pd.concat([first, table], ignore_index=True), films


def references(network: nn.Module, scene: interventions.Scene, *, method: str = "DeepLift") -> str:
    """Write one frame of a clip, its reference and its attribution; a hand switches the reference.

    Parameters
    ----------
    network : nn.Module
        (N, 3, T, H, W) to (N,), score points.
    scene : interventions.Scene
        Of a rendered person.
    method : str
        Attribution method.

    Returns
    -------
    str
        HTML of a `components.slider`.
    """
    if scene.still is None:
        raise style.FigureError("the oracle's reference needs a rendered clip.")
    moved = (scene.clip - scene.still).abs().mean(dim=(0, 1, 3, 4))
    at = int(moved.argmax())
    pictures, labels = [], []
    for name in ("zero", "blur", "own_neutral", "posed_neutral", "oracle_neutral"):
        base = attribution.clips_of(scene.clip, scene.reference(name))
        found = attribution.attribute(network, scene.clip, method, base)
        shown = [drawing.enlarged(one[0, :, at].permute(1, 2, 0).numpy())
                 for one in (scene.clip, base)]  # fmt: skip
        values = cv2.resize(found.values[0, :, at].sum(dim=0).numpy(), shown[0].shape[:2])
        explained = drawing.signed(shown[0], values, drawing.limit_of(values))
        pictures.append(drawing.strip(np.stack([*shown, explained]), columns=3, gap=0))
        change = style.number(float(found.output - found.output_baseline), 1)
        labels.append(f"{BASELINE_TITLES[name]}: f(x) − f(x0) = {change} points")
    caption = ("One frame of a rendered person, the reference it is compared with, and its "
               "attribution (red raises the score, blue lowers it; each on a scale of its own). "
               "Rendered participant; a model that had not seen them.")  # fmt: skip
    return components.slider(pictures, labels, caption=caption, question="Compared with",
                             choice=True, start=2)  # fmt: skip


@style.plot
def moments(
    frames: pd.DataFrame,
    units: pd.DataFrame,
    pictures: Mapping[float, np.ndarray],
    *,
    aus: Sequence[str],
    fps: float,
) -> Figure:
    """Draw the frames that move a prediction most above its course and the action units.

    Parameters
    ----------
    frames : DataFrame
        ``frame, attribution`` of one recording and channel, score points.
    units : DataFrame
        ``frame`` and a column per AU.
    pictures : mapping of float to ndarray
        Seconds to the picture of that moment.
    aus : sequence of str
        Which to draw.
    fps : float
        Of the recording.
    """
    figure, (top, above, below) = style.figure("full", 3, 1, height=5.6,
                                               height_ratios=(1.1, 1, 1.2))  # fmt: skip
    ordered = np.stack([pictures[second] for second in sorted(pictures)])
    _lettered(top, ordered, len(ordered))

    def redraw() -> None:
        top.clear()
        _lettered(top, ordered, -(-len(ordered) // 2))
        top.get_gridspec().set_height_ratios((2, 1, 1.2))
        names = [f"{au}\n{anatomy.AU_TITLES[au]}" for au in aus]
        below.set_yticks(below.get_yticks(), names)
        figure.set_figheight(6.6)

    style.on_phone(figure, redraw)
    seconds = frames["frame"].to_numpy() / fps
    width = np.median(np.diff(seconds)) if len(seconds) > 1 else 1 / fps
    above.bar(seconds, frames["attribution"], width,
              color=[style.sign_color(value) for value in frames["attribution"]])  # fmt: skip
    above.set_ylabel("points per frame")
    style.zero_line(above)
    for letter, second in zip(LETTERS, sorted(pictures)):
        above.axvline(second, color=style.GREY, linewidth=0.8, linestyle=":")
        above.text(second, above.get_ylim()[1], letter, ha="center", va="bottom")
    for level, au in enumerate(aus):
        height = units[au].to_numpy(float) / max(float(units[au].max()), 1e-9) * 0.85 - level
        below.fill_between(units["frame"].to_numpy() / fps, -level, height, linewidth=0,
                           color=style.color(au), alpha=0.55)  # fmt: skip
    below.set_yticks(-np.arange(len(aus)), [f"{au}  {anatomy.AU_TITLES[au]}" for au in aus])
    below.set_xlabel("time (s)")
    above.sharex(below)
    below.grid(visible=False, axis="y")
    return figure


def _lettered(axes: Axes, pictures: np.ndarray, columns: int) -> None:
    """Show pictures (K, H, W, 3) in rows, each with its letter."""
    style.picture(axes, drawing.strip(pictures, columns=columns, gap=6))
    for place, letter in zip(range(len(pictures)), LETTERS):
        row, column = divmod(place, columns)
        at = column * (pictures.shape[2] + 6) + 4, row * (pictures.shape[1] + 6) + 4
        axes.text(*at, letter, va="top", fontweight="bold", color=style.ON_LIGHT,
                  backgroundcolor=style.ON_DARK)  # fmt: skip


@style.plot
def time_use(table: pd.DataFrame, low: float, high: float) -> Figure:
    """Show what a model says of clips as recorded, frozen, shuffled, reversed; a line a person.

    Parameters
    ----------
    table : DataFrame
        ``prediction`` and the changes ``freeze, shuffle, reverse`` (recorded minus disturbed).
    low, high : float
        Ends of the scale.
    """
    recorded = table[["prediction"]].to_numpy(float)
    changes = table[["freeze", "shuffle", "reverse"]].to_numpy(float)
    said = np.hstack([recorded, recorded - changes]).T
    figure, axes = style.figure("full", height=3.2)
    axes.plot(range(4), said, "-", color=style.PALE, linewidth=1)
    axes.plot(range(4), said, "o", color=style.ROLE_COLORS["model"], markersize=4, alpha=0.7)
    means, at = said.mean(axis=1), np.arange(4)
    axes.hlines(means, at - 0.2, at + 0.2, color=style.INK, zorder=9)
    axes.axhspan(low, high, color=style.PALE, alpha=0.25, zorder=0)
    axes.set_xticks(range(4), ["as recorded", "frozen", "shuffled", "reversed"])
    axes.set_ylabel("prediction (points)\nshaded: the scale")
    axes.grid(visible=False, axis="x")
    return figure


def false_positives(rates: Mapping[str, pd.DataFrame]) -> str:
    """Write how often ways of analysing data without any effect find one, by number of people.

    Parameters
    ----------
    rates : mapping of str to DataFrame
        People to `lessons.false_positives`: ``lesson, analysis, rate`` (0 to 1), ``naive``.

    Returns
    -------
    str
        HTML of a `components.slider`.
    """
    labels = []
    for people, table in rates.items():
        found = table[table["lesson"] == "window or person"].set_index("analysis")["rate"] * 100
        labels.append(
            f"{people} people: with windows as cases {found['windows, pooled']:.0f} % of empty "
            f"cohorts show something, with people as cases {found['participants']:.0f} %"
        )
    drawn = [_false_positives(table) for table in rates.values()]
    return components.slider(drawn, labels, question="People in a cohort", start=1)


@style.plot
def _false_positives(rates: pd.DataFrame) -> Figure:
    figure, axes = style.figure("full", height=0.9 + 0.27 * len(rates))
    for y, row in enumerate(rates.itertuples()):
        color = style.ROLE_COLORS["paper" if row.naive else "model"]
        axes.plot([0, 100 * row.rate], [y, y], color=color, linewidth=1.2)
        axes.plot(100 * row.rate, y, "o" if row.naive else "s", color=color)
        # Right of mark and line by points, not by percent: a phone has fewer for each percent.
        axes.annotate(f"{100 * row.rate:.0f} %", (max(100 * row.rate, 5), y), (6, 0),
                      textcoords="offset points", va="center", fontsize=style.SMALL)  # fmt: skip
    axes.set_yticks(range(len(rates)), rates["lesson"] + ": " + rates["analysis"])
    axes.axvline(5, color=style.INK, linewidth=0.9, linestyle="--")
    axes.set(xlim=(0, 112), xlabel="finds something where nothing is, % of simulated cohorts")
    axes.grid(visible=False, axis="y")
    axes.invert_yaxis()
    return figure


@style.plot
def ledger(claims: pd.DataFrame) -> Figure:
    """Show every claim with its verdict, and its estimate where it has an interval.

    Parameters
    ----------
    claims : DataFrame
        Table ``claims``.
    """
    # Below each other, so that nothing runs into its neighbour on a phone.
    figure, axes = style.figure("full", height=0.6 + 0.46 * len(claims))
    for y, row in enumerate(claims.itertuples()):
        color = VERDICTS.get(row.verdict, style.GREY)
        axes.plot(0, y, "s", color=color, markersize=9)
        axes.text(0.06, y - 0.04, row.claim, va="bottom", fontsize=style.SMALL)
        axes.text(0.06, y + 0.04, f"{row.verdict}  {row.found}".strip(), va="top",
                  fontsize=style.SMALL, fontweight="bold", color=color)  # fmt: skip
    axes.set(xlim=(-0.03, 2.0), ylim=(len(claims) - 0.5, -0.5))
    axes.set_axis_off()
    return figure
