"""Figures of the main chapters that say one thing each."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from torch import nn

from expresso_lib import attribution, config, models, rendered, statistics
from expresso_lib.attribution import calm_frames
from expresso_lib.clips import ClipArchive
from expresso_lib.faces import anatomy, video
from expresso_lib.faithfulness import interventions, metrics, trials
from expresso_lib.figures import components, drawing, style
from expresso_lib.figures.statistics import estimates
from expresso_lib.statistics.claims import NO_ROW, OTHER_QUESTION

LETTERS = "abcdefgh"
NULL_SEED = 501  # of a cohort that is no part of any study
VERDICTS = {
    "relevant": style.ROLE_COLORS["model"], "present": "#56B4E9", "present but small": "#56B4E9",
    "equivalent": style.INK, OTHER_QUESTION: style.ROLE_COLORS["paper"],
}  # fmt: skip


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
    figure, axes = style.figure(1, 3, height=2.6, width_ratios=(1, 1, 2.2))
    style.picture(axes[0], worn, "with headset")
    style.picture(axes[1], bare, "taken off")
    titles = {"effect": "what its removal does"} | config.REFERENCES
    part = rows.set_index("channel").reindex([*titles]).dropna(subset="points").reset_index()
    part = part.assign(name=part["channel"].map(titles), estimate=part["points"],
                       role=np.where(part["channel"] == "effect", "truth", "model"))  # fmt: skip
    estimates(axes[2], part, label="name", group="role")
    axes[2].yaxis.tick_right()
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
    order = {key: pd.Categorical(table[key], anatomy.REGIONS) for key in ("planted", "region")}
    shown = table.assign(**order).pivot_table("part", "planted", "region", observed=True)
    figure, axes = style.figure(height=1.4 + 0.42 * len(shown))
    style.heat(axes, shown, max(float(shown.abs().max(axis=None)), 1e-9))
    # Severity is planted left and right alike.
    rows, columns = (names.astype(str).str.replace("^(right|left)_", "", regex=True).tolist()
                     for names in (shown.index, shown.columns))  # fmt: skip
    own = np.equal.outer(rows, columns)
    for text, planted in zip(axes.texts, own[shown.notna().to_numpy()]):
        text.set_fontweight("bold" if planted else "normal")
    axes.set_xticklabels(map(style.title, shown.columns), rotation=30, ha="right")
    both = [name + "s" * (columns.count(name) > 1) for name in rows]
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
    """
    whole = statistics.select(rows, metric="output").set_index("clip")["value"].astype(float)
    error = (whole - scores.reindex(whole.index)).abs().sort_values()
    tables, clip = [], {"length": length, "dilation": dilation}
    for title, place in {"Score predicted well": 0, "Score predicted badly": -1}.items():
        name = error.index[place]
        archive = ClipArchive.load(archives / f"{name}.npz")
        at = interventions.random_clip(archive.n_frames, name=name, seed=seed, **clip)
        own = _taken_away(archive, at, plan.script(name), statistics.select(rows, clip=name), out)
        tables.append(own.assign(recording=title, score=scores[name]))
    if archive.input == "face":
        tables.append(_nothing_planted(model, metrics.main_channel(rows), archive, out, **clip))
    note = "Rendered participants; models that had not seen them"
    return components.removals(pd.concat(tables), note=note)


def _nothing_planted(
    model: Path, channel: tuple[str, str], like: ClipArchive, out: Path, **clip: int
) -> pd.DataFrame:
    """Of the first person of a null cohort what `_taken_away` says, with recording and score."""
    seconds = max(4.0, 1.5 * clip["length"] * clip["dilation"] / like.fps)
    plan = rendered.plan_cohort(1, 1, seconds, fps=2 * like.fps, seed=NULL_SEED, variant="null")
    script = plan.script(plan.recordings["recording"].iloc[0])
    archive = interventions.archive_of(script, size=like.frames.shape[1])
    at = interventions.random_clip(archive.n_frames, name="null", **clip)
    scene = interventions.stage(
        archive, at, participant="null", recording="null", script=script,
        full_size=interventions.RENDER_SIZE, shares=False,
    )  # fmt: skip
    network = models.load(model)[0].requires_grad_(False)
    made = _taken_away(archive, at, script, trials.trial(network, scene, [channel]), out)
    return made.assign(recording="Nothing planted", score=plan.participants["score"].iloc[0])


def _taken_away(
    archive: ClipArchive, at: np.ndarray, script: rendered.Script, found: pd.DataFrame, out: Path
) -> pd.DataFrame:
    """What every removal promised and did, and its film; of one clip and its trial's rows."""
    value = float(statistics.select(found, metric="output")["value"].iloc[0])
    said = statistics.select(found, metric="evidence", support="changed")
    method, baseline = metrics.main_channel(said)
    said = statistics.select(said, method=method, baseline=baseline)
    table = pd.DataFrame({
        "removal": ["none", *said["factor"]], "prediction": [value, *(value - said["effect"])],
        "promised": [np.nan, *-said["said"]], "actual": [np.nan, *-said["effect"]],
    })  # fmt: skip
    level = int(archive.source[calm_frames(archive.landmarks)[0]])
    films, frames = [], archive.source[at].tolist()
    for name in table["removal"]:
        one = script if name == "none" else rendered.without(script, name, level=level)
        pictures = (frame.image for frame in rendered.render(one, size=160, frames=frames))
        path = out / f"{found['clip'].iloc[0]}_{name}.mp4"
        films.append(video.write_video(path, pictures, archive.fps, crf=26))
    return table.assign(film=films)


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
    names = ("zero", "blur", "own_neutral", "posed_neutral", "oracle_neutral")
    bases = {name: attribution.clips_of(scene.clip, scene.reference(name)) for name in names}
    moved = (scene.clip - bases["oracle_neutral"]).abs().mean(dim=(0, 1, 3, 4))
    at = int(moved.argmax())
    pictures, labels = [], []
    for name, base in bases.items():
        found = attribution.attribute(network, scene.clip, method, base)
        shown = [drawing.enlarged(one[0, :, at].permute(1, 2, 0).numpy())
                 for one in (scene.clip, base)]  # fmt: skip
        values = cv2.resize(found.values[0, :, at].sum(dim=0).numpy(), shown[0].shape[:2])
        explained = drawing.signed(shown[0], values, drawing.limit_of(values))
        pictures.append(drawing.strip(np.stack([*shown, explained]), columns=3, gap=0))
        change = style.number(float(found.output - found.output_baseline), 1)
        labels.append(f"{config.REFERENCES[name]}: f(x) − f(x0) = {change} points")
    caption = ("One frame of a rendered person, the reference it is compared with, and its "
               "attribution (red raises the score, blue lowers it; each on a scale of its own). "
               "Rendered participant; a model that had not seen them.")  # fmt: skip
    return components.slider(pictures, labels, caption=caption, question="Compared with",
                             choice=True, start=3)  # fmt: skip


@style.plot
def moments(
    frames: pd.DataFrame, units: pd.DataFrame, pictures: Mapping[int, np.ndarray], *, fps: float
) -> Figure:
    """Draw the frames that move a prediction most above its course and the action units.

    Parameters
    ----------
    frames : DataFrame
        ``frame, attribution`` of one recording and channel, score points.
    units : DataFrame
        By frame, a column per AU.
    pictures : mapping of int to ndarray
        Frame to its picture.
    fps : float
        Of the recording.
    """
    if not pictures:
        raise style.FigureError("no frame raises or lowers the prediction.")
    letters, figure = LETTERS[: len(pictures)], style.blank(height=5.6)
    rows = [[*letters], ["above"] * len(letters), ["below"] * len(letters)]
    panels = figure.subplot_mosaic(rows, height_ratios=(1.1, 1, 1.2))
    above, below = panels["above"], panels["below"]
    seconds = frames["frame"].to_numpy() / fps
    width = np.median(np.diff(seconds)) if len(seconds) > 1 else 1 / fps
    above.bar(seconds, frames["attribution"], width, color=style.signed(frames["attribution"]))
    above.set_ylabel("points per frame")
    style.zero_line(above)
    places = sorted(pictures)
    near = np.diff(places, prepend=-np.inf, append=np.inf) < fps / 4  # letters would overlap
    for letter, frame, before, after in zip(letters, places, near, near[1:]):
        style.picture(panels[letter], pictures[frame], letter)
        above.axvline(frame / fps, color=style.GREY, linewidth=0.8, linestyle=":")
        side = "right" if after else "left" if before else "center"
        above.text(frame / fps, above.get_ylim()[1], letter, ha=side, va="bottom")
    for level, (au, values) in enumerate(units.astype(float).items()):
        height = values / max(values.max(), 1e-9) * 0.85 - level
        below.fill_between(units.index / fps, -level, height, linewidth=0, color=style.color(au),
                           alpha=0.55)  # fmt: skip
    names = [f"{au}\n{anatomy.AU_TITLES[au]}" for au in units]
    below.set_yticks(0.4 - np.arange(len(names)), names)
    below.set_xlabel("time (s)")
    above.sharex(below)
    below.grid(visible=False, axis="y")
    return figure


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
    lost = [0.0, *(table[change] for change in ("freeze", "shuffle", "reverse"))]
    said = np.stack([table["prediction"] - change for change in lost]).astype(float)
    figure, axes = style.figure(height=3.2)
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
    drawn = [false_positive_rates(table) for table in rates.values()]
    return components.slider(drawn, labels, question="People in a cohort", start=1)


@style.plot
def false_positive_rates(rates: pd.DataFrame) -> Figure:
    """Draw how often each analysis finds something; squares are valid analyses."""
    found, naive = 100 * rates["rate"], rates["naive"]
    rows = rates.assign(
        name=rates["lesson"] + ": " + rates["analysis"], estimate=found, ci_low=0.0, ci_high=found,
        role=np.where(naive, "paper", "model"), marker=np.where(naive, "o", "s"),
    )  # fmt: skip
    figure, axes = style.figure(height=0.9 + 0.27 * len(rates))
    estimates(axes, rows, label="name", group="role")
    for y, rate in enumerate(found):
        # Right of mark and line by points, not by percent: a phone has fewer for each percent.
        axes.annotate(f"{rate:.0f} %", (max(rate, 5), y), (6, 0), textcoords="offset points",
                      va="center", fontsize=style.SMALL)  # fmt: skip
    axes.axvline(5, color=style.INK, linewidth=0.9, linestyle="--")
    axes.set(xlim=(0, 112), xlabel="finds something where nothing is, % of simulated cohorts")
    return figure


@style.plot
def ledger(claims: pd.DataFrame) -> Figure:
    """Show every claim with its verdict and, where it has a margin, its interval in margins.

    Parameters
    ----------
    claims : DataFrame
        Table ``claims``.
    """
    # Words above their interval, so that nothing runs into its neighbour on a phone.
    figure, axes = style.figure(height=1.0 + 0.66 * len(claims))
    ends = claims[["estimate", "ci_low", "ci_high"]].div(claims["margin"], axis=0)
    axes.axvspan(-1, 1, color=style.PALE, alpha=0.45, linewidth=0)
    axes.axvline(0, color=style.GREY, linewidth=0.9)
    for y, (row, (at, low, high)) in enumerate(zip(claims.itertuples(), ends.to_numpy(float))):
        color = VERDICTS.get(row.verdict, style.GREY)
        inside = style.PAPER if row.verdict == NO_ROW else color
        axes.plot([low, high], [y, y], color=color, linewidth=2.5)
        axes.plot(at, y, "s", color=color, markerfacecolor=inside, markersize=7)
        words = f"{row.claim}\n{row.verdict}  {row.found}".strip()
        above = 9 if np.isfinite(at) else -6  # where nothing is drawn the words take the place
        axes.annotate(
            words,
            (0, y),
            (4, above),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            linespacing=1.3,
            fontsize=style.SMALL,
        )
    axes.set(
        ylim=(len(claims) - 0.6, -1),
        yticks=[],
        xlabel="estimate in multiples of the margin that was declared too small to matter",
    )
    return figure
