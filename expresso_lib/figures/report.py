"""One recording's explanation: the scrubber for a page, and the card that stands alone.

A `Case` holds everything that is said of one recording; `scrubber` and `card` write it as HTML
with all pictures inside, so that one file is the whole answer. Faces come in as pictures and
videos that `drawing` has made: this module never touches a frame.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from expresso_lib import config, statistics
from expresso_lib.attribution import pooling
from expresso_lib.attribution.explanation import Channel, Explanation
from expresso_lib.cohort import ScoreScale
from expresso_lib.faces import action_units, anatomy, tables
from expresso_lib.figures import drawing, style
from expresso_lib.figures import page as page_of
from expresso_lib.figures.attribution import channel_title
from expresso_lib.figures.style import template

# More frames than this are thinned out in the scrubber, and said so: a page must stay light.
MAX_FRAMES = 800
# Bytes of one scrubber's videos; those beyond are left out, first the last channels.
MAX_VIDEO = 3_000_000
TITLES = style.WORDS["references"]


@dataclass(frozen=True, eq=False)
class Case:
    """One recording and what was found about it.

    Attributes
    ----------
    recording : str
        Its name.
    explanation : Explanation
        Clips and channels, in score points.
    action_units : DataFrame
        Row f is frame f: ``frame`` and a column per AU; ``attrs["source"]`` says whose.
    scale : ScoreScale
        What is predicted.
    half_width : float, optional
        Half of the interval around a new participant's prediction, score points. It is shown
        only where `outside` is empty.
    level : float
        Of that interval.
    score : float, optional
        The observed score, where there is one.
    errors : (float, float), optional
        Mean absolute error on participants that no fit had seen: the model's, and that of always
        answering the mean; score points.
    held_out : float, optional
        Prediction by a fit that had not seen this participant, where the explained model had.
    outside : str
        Why the recording is not of the kind the model was trained on; empty if it is.
    doubts : tuple of str
        What else speaks against the number; at the head of the card.
    found : ndarray, optional
        Bool (F,), frames of the recording in which its face was found.
    data : str
        What the recording is, for captions.
    """

    recording: str
    explanation: Explanation
    action_units: pd.DataFrame
    scale: ScoreScale
    half_width: float | None = None
    level: float = 0.9
    score: float | None = None
    errors: tuple[float, float] | None = None
    held_out: float | None = None
    outside: str = ""
    doubts: tuple[str, ...] = ()
    found: np.ndarray | None = None
    data: str = "Demo cohort (rendered faces)"

    @property
    def prediction(self) -> float:
        """Mean of the clips' predictions, score points."""
        return float(np.mean(self.explanation.channels[0].output))

    @property
    def told(self) -> float:
        """The prediction that counts: held out where there is one, score points."""
        return self.prediction if self.held_out is None else self.held_out

    @property
    def interval(self) -> tuple[float, float] | None:
        """Ends of the interval, cut at the scale's; None outside of the training domain.

        An infinite one (too few people for its level) is the whole scale.
        """
        if self.outside or self.half_width is None or np.isnan(self.half_width):
            return None
        # The width was found on people whom the fit had not seen: so must be the centre.
        ends = np.array([self.told - self.half_width, self.told + self.half_width])
        low, high = ends.clip(self.scale.low, self.scale.high).tolist()
        return low, high

    @property
    def beyond(self) -> str:
        """How many clips are predicted outside of the scale, in words; empty if none."""
        said = self.explanation.channels[0].output
        out = int(((said < self.scale.low) | (said > self.scale.high)).sum())
        return f"{out} of {len(said)} clips are predicted outside of the scale" if out else ""

    @property
    def bands(self) -> list[str]:
        """Severity bands that the interval reaches, lowest first; without one, the prediction's."""
        names = [band.name for band in self.scale.bands]
        ends = self.scale.band(self.interval or (self.told, self.told))
        if any(end is None for end in ends):
            return []
        return names[names.index(ends[0]) : names.index(ends[1]) + 1]

    @cached_property
    def frames(self) -> pd.DataFrame:
        """Rows of the archive that some clip saw: row, frame, seconds."""
        rows, place = np.unique(self.explanation.rows, return_index=True)
        frame = self.explanation.frames.ravel()[place]
        return pd.DataFrame({"row": rows, "frame": frame, "seconds": rows / self.explanation.fps})

    def series(self, channel: Channel) -> pd.DataFrame:
        """Signed attribution, a row per row of `frames`, a column per region; points per frame."""
        values = pooling.stitch(channel.mass.signed, self.explanation.rows)[1]
        return pd.DataFrame(values, columns=list(map(style.title, anatomy.REGIONS)))

    def clips(self) -> pd.DataFrame:
        """One row per clip: where it starts, what the model says, what the references give."""
        starts = self.explanation.rows[:, 0] / self.explanation.fps
        first = self.explanation.channels[0].output
        table = pd.DataFrame({"starts_at_s": starts, "prediction": first})
        for channel in self.explanation.channels:
            name = channel_title(channel.method, channel.baseline)
            table[f"of the reference ({name})"] = channel.output_baseline
            table[f"complete ({name})"] = channel.complete
        return table

    def regions(self, channel: Channel) -> pd.DataFrame:
        """Mean enrichment over clips and summed points of each region, both signs apart."""
        table = pooling.region_table(channel.mass)
        names = {"positive": "points up", "negative": "points down",
                 "enrichment_positive": "enrichment up",
                 "enrichment_negative": "enrichment down"}  # fmt: skip
        mean = table.groupby("region", sort=False)[list(names)].mean().rename(columns=names)
        return mean.rename(index=anatomy.REGION_TITLES).reset_index()

    def inner(self, channel: Channel) -> pd.DataFrame:
        """The frames that may be pointed at, with their ``attribution``: those with a face.

        The first and the last eighth of each clip are left out: a network that reads change has
        fewer neighbours there, and answers to the edge (measured on the demo cohort: at the first
        frame of a clip more than twice the mean of all frames).
        """
        rows, edge = self.explanation.rows, self.explanation.rows.shape[1] // 8
        inner = slice(edge, rows.shape[1] - edge)
        seen, mean, _ = pooling.stitch(channel.mass.signed[:, inner], rows[:, inner])
        frames = self.frames[self.frames["row"].isin(seen)].assign(attribution=mean.sum(axis=1))
        # What the model makes of a lost frame says nothing about the face.
        return frames if self.found is None else frames[self.found[frames["frame"].to_numpy()]]

    def extremes(self, channel: Channel, count: int = 4) -> dict[str, pd.DataFrame]:
        """The `inner` frames that raise and lower the prediction most, half a second apart."""
        frames = self.inner(channel)
        values, apart = frames["attribution"].to_numpy(), max(1, round(self.explanation.fps / 2))
        found = {}
        for name, change in (("raise", values), ("lower", -values)):
            rows = pooling.top_frames(change, count, apart=apart)
            # A frame that lowers the score does not become a frame that raises it for want of any.
            found[name] = frames.iloc[rows[change[rows] > 0]]
        return found


def typical(predictions: pd.DataFrame) -> pd.Series:
    """Choose whom to show: the participant whose held-out error is the median.

    Of their recordings the one whose error is nearest to their own mean error, the first where two
    are as near: chosen by a rule, not by its looks.

    Parameters
    ----------
    predictions : DataFrame
        One recipe's rows of the table ``predictions``.

    Returns
    -------
    Series
        Of the table: ``participant, recording, prediction`` (held out, mean over its clips),
        ``score``, ``fold``.

    Examples
    --------
    >>> table = pd.DataFrame({"participant": list("abc"), "recording": ["a1", "b1", "c1"],
    ...                       "prediction": [1.0, 5.0, 9.0], "score": [2.0, 9.0, 9.0],
    ...                       "fold": [0, 1, 2]})
    >>> typical(table)["participant"]
    'a'
    """
    errors = predictions.assign(error=predictions["prediction"] - predictions["score"])
    means = errors.groupby("participant")["error"].mean()
    who = means.abs().sort_values(kind="stable").index[(len(means) - 1) // 2]
    own = errors[errors["participant"] == who].groupby("recording")["error"].mean()
    # Two recordings are equally far from their mean; rounding must not choose.
    return of_recording(predictions, str((own - means[who]).abs().round(6).idxmin()))


def of_recording(predictions: pd.DataFrame, recording: str) -> pd.Series:
    """Return one recording's row, with its mean held-out prediction, as `typical` does.

    Raises
    ------
    ValueError
        If the recording has no prediction.
    """
    rows = statistics.select(predictions, recording=recording)
    return rows.assign(prediction=rows["prediction"].mean()).iloc[0]


def series_of(units: pd.DataFrame, recording: str) -> pd.DataFrame:
    """Take one recording from the table ``action_units`` as a `Case` wants it."""
    rows = statistics.select(units, recording=recording)
    wide = rows.pivot(index="frame", columns="au", values="intensity").reset_index()
    wide.attrs |= rows[["source", "unit"]].iloc[0].to_dict()
    return wide


def scrubber(case: Case, *, movies: Mapping[str, Path] | None = None) -> str:
    """Write the attribution scrubber of one recording as a piece of HTML.

    Parameters
    ----------
    case : Case
        What is shown.
    movies : mapping of "method/baseline" to Path, optional
        Overlay videos by `drawing`, one frame per row of the clip archive.

    Returns
    -------
    str
        Video, regions and traces that move together, with the same numbers as tables; it needs
        neither a kernel nor a network.
    """
    thin = -(-len(case.frames) // MAX_FRAMES)
    shown = case.frames.iloc[::thin]
    series = [(c, case.series(c).iloc[::thin]) for c in case.explanation.channels]
    # A series at the clips' rate: what the model saw, and no frame that it did not see.
    aus = action_units.at_frames(case.action_units, shown["frame"].to_numpy())
    aus = aus.reindex(columns=anatomy.AU_CODES).dropna(axis=1, how="all")
    aus = aus[aus.std().fillna(0).sort_values(ascending=False, kind="stable").index]
    strong = action_units.scale_of(case.action_units.attrs.get("unit", tables.INTENSITY)).full
    # It begins where the model's account is strongest, not at an empty first frame.
    strength = case.inner(case.explanation.channels[0]).set_index("row")["attribution"].abs()
    data = {
        "first": int(strength.reindex(shown["row"]).fillna(0).argmax()),
        "fps": case.explanation.fps, "row": shown["row"].tolist(),
        "frame": shown["frame"].tolist(), "time": _rounded(shown["seconds"]),
        "videos": _embedded(movies or {}), "titles": TITLES,
        "au_top": round(max([strong, *aus.abs().max()]), 3),
        "channels": [
            {"method": c.method, "baseline": c.baseline,
             "attribution": _rounded(values.sum(axis=1)),
             "regions": [_rounded(values[region]) for region in values]}
            for c, values in series
        ],
        "aus": [{"code": code, "title": anatomy.AU_TITLES[code], "color": style.color(code),
                 "values": _rounded(values)} for code, values in aus.items()],
    }  # fmt: skip
    note = f"{case.data}. Attribution in score points per frame of a clip. "
    return template("scrubber.html").render(
        title=case.recording, regions=map(style.title, anatomy.REGIONS), data=data,
        note=note + (f"One frame in {thin} is shown. " if thin > 1 else ""),
        au_source=case.action_units.attrs.get("source", "source not stated"),
        tables=[(_key(c), _table(shown["seconds"], values, c)) for c, values in series],
    )  # fmt: skip


def _key(channel: Channel) -> str:
    return f"{channel.method}/{channel.baseline}"


def _rounded(values: pd.Series) -> list[float | None]:
    """Four digits are more than a screen shows; NaN is null in JSON."""
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values]


def _table(seconds: pd.Series, values: pd.DataFrame, channel: Channel) -> str:
    """Write half-second means: what the eye takes from the scrubber, for the ear."""
    table = pd.concat([values.sum(axis=1).rename("all"), values], axis=1)
    means = table.groupby(seconds * 2 // 1 / 2).mean().reset_index()
    title = f"{channel_title(channel.method, channel.baseline)}: mean of each half second"
    return style.table_html(means, caption=title)


def _embedded(movies: Mapping[str, Path]) -> dict[str, str]:
    videos, size = {}, 0
    for key, path in movies.items():
        size += path.stat().st_size
        if size <= MAX_VIDEO:
            videos[key] = drawing.film(path)
    return videos


@style.plot
def timeline(case: Case, channel: Channel) -> Figure:
    """Draw predictions of the clips and attribution of the frames over time."""
    figure, (top, below) = style.figure(2, height=3.8, sharex=True)
    clips = case.clips()
    rows, fps = case.explanation.rows, case.explanation.fps
    seconds = (rows[:, -1] - rows[:, 0] + 1) / fps
    top.hlines(clips["prediction"], clips["starts_at_s"], clips["starts_at_s"] + seconds,
               color=style.color("model"), linewidth=3)  # fmt: skip
    top.axhline(case.prediction, color=style.INK, linewidth=1, linestyle="--")
    top.set_ylabel(f"{case.scale.name}, {case.scale.unit}", parse_math=False)
    top.set_title("Prediction of each clip; dashed: the recording's")
    values = case.series(channel).sum(axis=1)
    below.bar(case.frames["seconds"], values, np.diff(rows[0]).min() / fps, linewidth=0,
              color=style.signed(values))  # fmt: skip
    style.zero_line(below)
    against = config.REFERENCES.get(channel.baseline, channel.baseline)
    below.set_title(f"Each frame, {against}: red raises, blue lowers")
    below.set(xlabel="time (s)", ylabel="points per frame")
    return figure


def illustrate(
    case: Case, footage: drawing.Footage, folder: Path, *, chosen: int = 1
) -> dict[str, Any]:
    """Have `drawing` make the pictures that `card` and `scrubber` take.

    Parameters
    ----------
    case : Case
        What is explained.
    footage : drawing.Footage
        Of the same recording.
    folder : Path
        Where the overlay videos go, ``overlay-<method>-<baseline>.mp4``.
    chosen : int
        Number of channels that get a video; the others share the first one's.

    Returns
    -------
    dict
        ``movies`` and ``pictures``, to be handed on as keywords.
    """
    movies, shown = {}, case.explanation.channels
    for channel in tqdm(shown[:chosen], desc="overlay videos", disable=chosen == 1):
        at = folder / f"overlay-{channel.method}-{channel.baseline}.mp4"
        movies[_key(channel)] = footage.write_overlay(at, channel.map)
    return {"movies": movies, "pictures": extremes(case, shown[0], footage)}


def extremes(
    case: Case, channel: Channel, footage: drawing.Footage, *, count: int = 4
) -> dict[int, np.ndarray]:
    """Return the frames that raise and lower a prediction most under their attribution.

    Parameters
    ----------
    footage : drawing.Footage
        Of the same recording.
    count : int
        At most so many of either sign.

    Returns
    -------
    dict
        Frame number to picture, uint8 (H, W, 3).
    """
    chosen = pd.concat(case.extremes(channel, count=count).values())
    if chosen.empty:
        return {}
    rows = chosen["row"].to_numpy()
    limit = drawing.limit_of(channel.map)
    drawn = footage.scene(rows).with_attribution(channel.map[rows], limit=limit)
    return dict(zip(chosen["frame"].tolist(), drawn, strict=True))


def opening(case: Case, *, movies: Mapping[str, Path] | None = None) -> str:
    """Write the sentence and the scrubber with which the book opens."""
    shown = scrubber(case, movies=movies)
    return template("opening.html").render(case=case, number=style.number, scrubber=shown)


def card(
    case: Case,
    *,
    movies: Mapping[str, Path] | None = None,
    pictures: Mapping[int, np.ndarray] | None = None,
    facts: Mapping[str, str] | None = None,
    page: bool = True,
) -> str:
    """Write the explanation card of one recording.

    Parameters
    ----------
    case : Case
        What is explained.
    movies : mapping of "method/baseline" to Path, optional
        Overlay videos by `drawing`.
    pictures : mapping of int to ndarray, optional
        Frame number to uint8 (H, W, 3) RGB by `drawing`, for the top and bottom frames.
    facts : mapping, optional
        Further lines of provenance (model, device, command).
    page : bool
        A whole HTML page, or a fragment for a notebook.

    Returns
    -------
    str
        HTML that asks nothing from outside.
    """
    channel = case.explanation.channels[0]
    drawn = {frame: drawing.address(picture) for frame, picture in (pictures or {}).items()}
    words = "Predictions of the clips, attribution of every frame; the tables hold the numbers."
    return template("card.html").render(
        case=case, page=page, channel=channel, drawn=drawn, facts=facts or {}, titles=TITLES,
        names=config.REFERENCES, number=style.number, table=style.table_html,
        scrubber=scrubber(case, movies=movies),
        timeline=page_of.picture(timeline(case, channel), name="timeline", alt=words),
        incomplete=sum(int((~c.complete).sum()) for c in case.explanation.channels),
    )  # fmt: skip
