"""One recording's explanation: the scrubber for a page, and the card that stands alone.

A `Case` holds everything that is said of one recording. `scrubber` and `card` write it as HTML
with all pictures inside, so that one file is the whole answer. Faces come in as pictures and
videos that `drawing` has made: this module never touches a frame.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from PIL import Image

from . import action_units, anatomy, clips, drawing, pooling, store
from .cohort import ScoreScale
from .explanation import Channel, Explanation
from .plotting import style

# More frames than this are thinned out in the scrubber, and said so: a page must stay light.
MAX_FRAMES = 800
# Bytes of one scrubber's videos; those beyond are left out, first the last channels.
MAX_VIDEO = 3_000_000
TITLES = {
    "own_neutral": "own neutral frame (movement)",
    "blur": "blurred clip (standing features)",
    "zero": "black (the paper's choice)",
    "temporal_mean": "mean of the clip",
}


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
    held_out : float, optional
        Prediction by a fit that had not seen this participant, where the explained model had.
    outside : str
        Why the recording is not of the kind the model was trained on; empty if it is.
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
    held_out: float | None = None
    outside: str = ""
    data: str = "Demo cohort (rendered faces)"
    names: tuple[str, ...] = field(default=anatomy.REGIONS)

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
        """Ends of the interval, cut at the scale's; None outside of the training domain."""
        if self.outside or self.half_width is None or not np.isfinite(self.half_width):
            return None
        # The width was found on people whom the fit had not seen: so must be the centre.
        low, high = self.told - self.half_width, self.told + self.half_width
        return max(low, self.scale.low), min(high, self.scale.high)

    @cached_property
    def frames(self) -> pd.DataFrame:
        """Rows of the archive that some clip saw: row, frame, seconds."""
        rows, place = np.unique(self.explanation.rows, return_index=True)
        frame = self.explanation.frames.ravel()[place]
        return pd.DataFrame({"row": rows, "frame": frame, "seconds": rows / self.explanation.fps})

    def series(self, channel: Channel) -> np.ndarray:
        """Signed attribution per frame and region, (F', R) score points per frame of a clip."""
        return pooling.stitch(channel.mass.signed, self.explanation.rows)[1]

    def clips(self) -> pd.DataFrame:
        """One row per clip: where it starts, what the model says, what the references give."""
        table = pd.DataFrame({
            "starts_at_s": self.explanation.rows[:, 0] / self.explanation.fps,
            "prediction": self.explanation.channels[0].output,
        })
        for channel in self.explanation.channels:
            name = f"{channel.method}, {channel.baseline.replace('_', ' ')}"
            table[f"of the reference ({name})"] = channel.output_baseline
            table[f"complete ({name})"] = channel.complete
        return table

    def regions(self, channel: Channel) -> pd.DataFrame:
        """Mean enrichment over clips and summed points of each region, both signs apart."""
        table = pooling.region_table(channel.mass)
        kept = ["positive", "negative", "enrichment_positive", "enrichment_negative"]
        mean = table.groupby("region", sort=False)[kept].mean().reset_index()
        mean["region"] = mean["region"].map(anatomy.REGION_TITLES)
        return mean.rename(columns={"positive": "points up", "negative": "points down",
                                    "enrichment_positive": "enrichment up",
                                    "enrichment_negative": "enrichment down"})

    def extremes(self, channel: Channel, count: int = 4) -> dict[str, pd.DataFrame]:
        """The frames that raise and that lower the prediction most, half a second apart."""
        values = self.series(channel).sum(axis=1)
        apart = max(1, round(self.explanation.fps / 2))
        found = {}
        for name, lowest in (("raise", False), ("lower", True)):
            rows = pooling.top_frames(values, count, apart=apart, lowest=lowest)
            # A frame that lowers the score does not become a frame that raises it for want of any.
            rows = rows[values[rows] < 0 if lowest else values[rows] > 0]
            found[name] = self.frames.iloc[rows].assign(attribution=values[rows])
        return found


def typical(predictions: pd.DataFrame) -> pd.Series:
    """Choose whom to show: the participant whose held-out error is the median, first recording.

    Neither the best nor the worst, and chosen by a rule, not by its looks.

    Parameters
    ----------
    predictions : DataFrame
        One recipe's rows of the table ``predictions``.

    Returns
    -------
    Series
        ``participant, recording, prediction`` (held out, of the recording), ``score``.

    Examples
    --------
    >>> table = pd.DataFrame({"participant": list("abc"), "recording": ["a1", "b1", "c1"],
    ...                       "prediction": [1.0, 5.0, 9.0], "score": [2.0, 9.0, 9.0]})
    >>> typical(table)["participant"]
    'a'
    """
    means = predictions.groupby("participant")[["prediction", "score"]].mean()
    errors = (means["prediction"] - means["score"]).abs().sort_values(kind="stable")
    who = errors.index[(len(errors) - 1) // 2]
    own = predictions.loc[predictions["participant"] == who, "recording"]
    return of_recording(predictions, own.min())


def of_recording(predictions: pd.DataFrame, recording: str) -> pd.Series:
    """Return participant, held-out prediction and score of one recording, as `typical` does.

    Raises
    ------
    ValueError
        If the recording has no prediction.
    """
    rows = predictions[predictions["recording"] == recording]
    if rows.empty:
        known = ", ".join(sorted(predictions["recording"].unique())[:5])
        raise ValueError(f"recording {recording!r} has no prediction; there are {known}, ...")
    return pd.Series({"participant": rows["participant"].iloc[0], "recording": recording,
                      "prediction": float(rows["prediction"].mean()),
                      "score": float(rows["score"].iloc[0])})


def series_of(units: pd.DataFrame, recording: str) -> pd.DataFrame:
    """Take one recording from the table ``action_units`` as a `Case` wants it."""
    rows = units[units["recording"] == recording]
    wide = rows.pivot(index="frame", columns="au", values="intensity").reset_index()
    source = str(rows["source"].iloc[0]) if "source" in rows and len(rows) else "not stated"
    unit = {"pyfeat": "probability, 0 to 1"}.get(source, "intensity, 0 to 5")
    wide.attrs |= {"source": source, "unit": "" if "proxy" in source else unit}
    return wide


def scrubber(case: Case, *, movies: Mapping[tuple[str, str], Path] | None = None) -> str:
    """Write the attribution scrubber of one recording as a piece of HTML.

    Parameters
    ----------
    case : Case
        What is shown.
    movies : mapping of (method, baseline) to Path, optional
        Overlay videos by `drawing`, one frame per row of the clip archive.

    Returns
    -------
    str
        Video, regions and traces that move together, with the same numbers as tables; it needs
        neither a kernel nor a network.
    """
    thin = -(-len(case.frames) // MAX_FRAMES)
    shown = case.frames.iloc[::thin]
    # A series at the clips' rate: what the model saw, and no frame that it did not see.
    aus = action_units.at_frames(case.action_units, shown["frame"].to_numpy())
    codes = [unit for unit in anatomy.ACTION_UNITS
             if unit.code in aus and aus[unit.code].notna().any()]
    codes.sort(key=lambda unit: -float(aus[unit.code].std()))
    series = {_key(c): case.series(c)[::thin] for c in case.explanation.channels}
    videos = _embedded(movies or {})
    data = {
        "fps": case.explanation.fps, "row": shown["row"].tolist(), "frame": shown["frame"].tolist(),
        "time": _rounded(shown["seconds"]), "videos": videos, "titles": TITLES,
        "au_top": _au_top(aus[[unit.code for unit in codes]], case.action_units),
        "channels": [{"method": c.method, "baseline": c.baseline,
                      "attribution": _rounded(series[_key(c)].sum(axis=1)),
                      "regions": [_rounded(column) for column in series[_key(c)].T]}
                     for c in case.explanation.channels],
        "aus": [{"code": unit.code, "title": unit.name, "color": style.au_color(unit.code),
                 "values": _rounded(aus[unit.code])} for unit in codes],
    }
    note = f"{case.data}. Attribution in score points per frame of a clip. " + (
        f"One frame in {thin} is shown. " if thin > 1 else "")
    return _template("scrubber.html").render(
        title=case.recording, regions=[anatomy.REGION_TITLES[name] for name in case.names],
        first_video=bool(videos), video_words=f"Recording {case.recording} with its attribution",
        aus=[{"code": unit.code, "title": unit.name} for unit in codes],
        au_source=case.action_units.attrs.get("source", "source not stated"), note=note,
        tables=[(key, _table(case, shown, values, key)) for key, values in series.items()],
        css=_asset("scrubber.css"), script=_asset("scrubber.js"),
        # "</" inside a script would end it.
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/"))


def _au_top(values: pd.DataFrame, series: pd.DataFrame) -> float:
    """Return the top of the AU axis: that of the unit, or what the series reaches."""
    tops = {"0 to 5": 5.0, "0 to 1": 1.0}
    unit = str(series.attrs.get("unit", ""))
    reached = float(values.abs().max().max()) if values.size else 1.0
    return next((top for words, top in tops.items() if words in unit), round(reached, 3) or 1.0)


def _key(channel: Channel) -> str:
    return f"{channel.method}/{channel.baseline}"


def _rounded(values: Any) -> list[float | None]:
    """Four digits are more than a screen shows; NaN is null in JSON."""
    return [float(f"{v:.4g}") if np.isfinite(v) else None for v in np.asarray(values, float)]


def _table(case: Case, shown: pd.DataFrame, values: np.ndarray, key: str) -> str:
    """Write half-second means: what the eye takes from the scrubber, for the ear."""
    table = pd.DataFrame(values, columns=[anatomy.REGION_TITLES[name] for name in case.names])
    table.insert(0, "all", values.sum(axis=1))
    half = (shown["seconds"].to_numpy() * 2).astype(int) / 2
    means = table.groupby(half).mean().rename_axis("seconds").reset_index()
    return style.table_html(means, caption=f"{key}: mean of each half second", digits=3)


def _embedded(movies: Mapping[tuple[str, str], Path]) -> dict[str, str]:
    videos, size = {}, 0
    for (method, baseline), path in movies.items():
        size += path.stat().st_size
        if size <= MAX_VIDEO:
            data = base64.b64encode(path.read_bytes()).decode()
            videos[f"{method}/{baseline}"] = f"data:video/mp4;base64,{data}"
    return videos | ({"plain": next(iter(videos.values()))} if videos else {})


def timeline(case: Case, channel: Channel) -> str:
    """Draw predictions of the clips and attribution of the frames over time; a data address."""
    with style.context():
        figure, (top, below) = style.figure("full", rows=2, height=3.8, sharex=True)
        clips = case.clips()
        seconds = case.explanation.rows.shape[1] / case.explanation.fps
        top.hlines(clips["prediction"], clips["starts_at_s"], clips["starts_at_s"] + seconds,
                   color=style.ROLE_COLORS["model"], linewidth=3)
        top.axhline(case.prediction, color=style.INK, linewidth=1, linestyle="--")
        top.set(ylabel=case.scale.name, title="Prediction of each clip; dashed: the recording's")
        values = case.series(channel).sum(axis=1)
        colors = [style.sign_color(value) for value in values]
        below.bar(case.frames["seconds"], values, 1 / case.explanation.fps, color=colors)
        style.zero_line(below)
        below.set(xlabel="seconds", ylabel="points per frame",
                  title=f"Attribution of each frame ({_key(channel)}); red raises, blue lowers")
        style.note(figure, case.data)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    return _address(buffer.getvalue())


def illustrate(case: Case, archive: clips.ClipArchive, permission: drawing.Permission, folder: Path,
               *, path: Path | None = None, size: int = 224, chosen: int = 1) -> dict[str, Any]:
    """Have `drawing` make the pictures that `card` and `scrubber` take.

    Parameters
    ----------
    case : Case
        What is explained.
    archive : clips.ClipArchive
        Of the same recording.
    permission : drawing.Permission
        Of its data set; without it the pictures show the average rendered face.
    folder : Path
        Where the overlay videos go, ``<recording>-<method>-<baseline>.mp4``.
    path : Path, optional
        The recording, for pictures in its own sharpness.
    size : int
        Side of the pictures, pixels.
    chosen : int
        Number of channels that get a video; the others share the first one's.

    Returns
    -------
    dict
        ``movies`` and ``pictures``, to be handed on as keywords.
    """
    movies, shown = {}, case.explanation.channels
    for channel in shown[:chosen]:
        name = f"{case.recording}-{channel.method}-{channel.baseline}.mp4"
        movies[channel.method, channel.baseline] = drawing.write_overlay(
            folder / name, archive, channel.map, permission, recording=path, size=size)
    extremes = pd.concat(case.extremes(shown[0]).values())
    pictures: dict[int, np.ndarray] = {}
    if len(extremes):
        rows = extremes["row"].to_numpy()
        scene = drawing.scene(archive, rows, permission, path=path, size=size)
        drawn = scene.with_attribution(shown[0].map[rows], limit=drawing.limit_of(shown[0].map))
        pictures = dict(zip(extremes["frame"].tolist(), drawn, strict=True))
    return {"movies": movies, "pictures": pictures}


def opening(case: Case, *, movies: Mapping[tuple[str, str], Path] | None = None) -> str:
    """Write the sentence and the scrubber with which the book opens."""
    whom = "The model" if case.held_out is None else "A model that had not seen this person"
    words = f"{whom} reads {style.number(case.told, 1)} on {case.scale.title} from it"
    if case.interval:
        low, high = (style.number(end, 1) for end in case.interval)
        words += f", {100 * case.level:.0f} % interval {low} to {high}"
    if case.score is not None:
        words += f"; the planted answer is {style.number(case.score, 0)}" if (
            "rendered" in case.data) else f"; observed: {style.number(case.score, 0)}"
    return f"<p>Recording {html.escape(case.recording)}. {words}.</p>" + scrubber(
        case, movies=movies)


def _address(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _picture(image: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return _address(buffer.getvalue())


def card(
    case: Case,
    *,
    movies: Mapping[tuple[str, str], Path] | None = None,
    pictures: Mapping[int, np.ndarray] | None = None,
    facts: Mapping[str, str] | None = None,
    page: bool = True,
) -> str:
    """Write the explanation card of one recording.

    Parameters
    ----------
    case : Case
        What is explained.
    movies : mapping of (method, baseline) to Path, optional
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
    extremes = {
        way: [dict(row, picture=_picture(pictures[row["frame"]])
                   if pictures and row["frame"] in pictures else "")
              for row in table.to_dict("records")]
        for way, table in case.extremes(channel).items()
    }
    tables = [style.table_html(case.regions(c), caption=f"{c.method}, reference: "
                               + TITLES.get(c.baseline, c.baseline.replace("_", " ")))
              for c in case.explanation.channels]
    incomplete = sum(int((~c.complete).sum()) for c in case.explanation.channels)
    return _template("card.html").render(
        case=case, page=page, channel=_key(channel), extremes=extremes, facts=facts or {},
        band=str(case.scale.band([case.told])[0]) if case.scale.bands else "",
        regions=tables, timeline=timeline(case, channel), incomplete=incomplete,
        clips=style.table_html(case.clips(), caption="Clips"), css=_asset("card.css"),
        scrubber=scrubber(case, movies=movies), number=style.number)


def write_card(path: Path, case: Case, **options: Any) -> Path:
    """Write `card` to a file, whole or not at all; return the path."""
    return store.write_text(path, card(case, **options))


def _asset(name: str) -> str:
    return resources.files("expresso_lib").joinpath("assets", name).read_text(encoding="utf-8")


def _template(name: str) -> jinja2.Template:
    return jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    ).from_string(_asset(name))
