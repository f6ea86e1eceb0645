"""One recording's explanation: the scrubber for a page, and the card that stands alone.

A `Case` holds everything that is said of one recording; `scrubber` and `card` write it as HTML
with all pictures inside, so that one file is the whole answer. Faces come in as pictures and
videos that `drawing` has made: this module never touches a frame.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from expresso_lib import clips, store
from expresso_lib.attribution.explanation import Channel
from expresso_lib.faces import action_units, anatomy
from expresso_lib.figures import drawing, style
from expresso_lib.figures import page as page_of
from expresso_lib.figures.case import Case, of_recording, series_of, typical

__all__ = ["Case", "card", "illustrate", "of_recording", "opening", "scrubber", "series_of",
           "timeline", "typical", "write_card"]  # fmt: skip

# More frames than this are thinned out in the scrubber, and said so: a page must stay light.
MAX_FRAMES = 800
# Bytes of one scrubber's videos; those beyond are left out, first the last channels.
MAX_VIDEO = 3_000_000
TITLES = {
    "posed_neutral": "own neutral face (movement)",
    "own_neutral": "own neutral frame (movement, head)",
    "blur": "blurred clip (standing features)",
    "zero": "black (the paper's choice)", "calm_mean": "mean of the calm frames",
    "calm_frames": "each calm frame in turn",
}  # fmt: skip


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
    known = [unit for unit in anatomy.ACTION_UNITS if unit.code in aus]
    units = sorted((unit for unit in known if aus[unit.code].notna().any()),
                   key=lambda unit: -float(aus[unit.code].std()))  # fmt: skip
    series = {_key(c): case.series(c)[::thin] for c in case.explanation.channels}
    videos = _embedded(movies or {})
    # It begins where the model's account is strongest, not at an empty first frame.
    strength = case.inner(case.explanation.channels[0]).set_index("row")["attribution"].abs()
    strength = strength.reindex(shown["row"]).fillna(0).to_numpy()
    data = {
        "first": int(strength.argmax()),
        "fps": case.explanation.fps, "row": shown["row"].tolist(),
        "frame": shown["frame"].tolist(), "time": _rounded(shown["seconds"]),
        "videos": videos, "titles": TITLES,
        "au_top": _au_top(aus[[unit.code for unit in units]], case.action_units),
        "channels": [
            {"method": c.method, "baseline": c.baseline,
             "attribution": _rounded(series[_key(c)].sum(axis=1)),
             "regions": [_rounded(column) for column in series[_key(c)].T]}
            for c in case.explanation.channels
        ],
        "aus": [{"code": unit.code, "title": unit.name, "color": style.color(unit.code),
                 "values": _rounded(aus[unit.code])} for unit in units],
    }  # fmt: skip
    note = f"{case.data}. Attribution in score points per frame of a clip. " + (
        f"One frame in {thin} is shown. " if thin > 1 else ""
    )
    return template("scrubber.html").render(
        title=case.recording, regions=[anatomy.REGION_TITLES[name] for name in anatomy.REGIONS],
        first_video=bool(videos), aus=[{"code": unit.code, "title": unit.name} for unit in units],
        video_words=f"Recording {case.recording} with its attribution", note=note,
        au_source=case.action_units.attrs.get("source", "source not stated"),
        tables=[(key, _table(shown, values, key)) for key, values in series.items()],
        css=asset("scrubber.css"), script=asset("scrubber.js"),
        # "</" inside a script would end it.
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/"),
    )  # fmt: skip


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


def _table(shown: pd.DataFrame, values: np.ndarray, key: str) -> str:
    """Write half-second means: what the eye takes from the scrubber, for the ear."""
    table = pd.DataFrame(values, columns=[anatomy.REGION_TITLES[name] for name in anatomy.REGIONS])
    table.insert(0, "all", values.sum(axis=1))
    half = (shown["seconds"].to_numpy() * 2).astype(int) / 2
    means = table.groupby(half).mean().rename_axis("seconds").reset_index()
    return style.table_html(means, caption=f"{key}: mean of each half second", digits=3)


def _embedded(movies: Mapping[tuple[str, str], Path]) -> dict[str, str]:
    videos, size = {}, 0
    for (method, baseline), path in movies.items():
        size += path.stat().st_size
        if size <= MAX_VIDEO:
            videos[f"{method}/{baseline}"] = drawing.film(path)
    return videos | ({"plain": next(iter(videos.values()))} if videos else {})


@style.plot
def timeline(case: Case, channel: Channel) -> Figure:
    """Draw predictions of the clips and attribution of the frames over time."""
    figure, (top, below) = style.figure("full", rows=2, height=3.8, sharex=True)
    clips = case.clips()
    seconds = case.explanation.rows.shape[1] / case.explanation.fps
    top.hlines(clips["prediction"], clips["starts_at_s"], clips["starts_at_s"] + seconds,
               color=style.color("model"), linewidth=3)  # fmt: skip
    top.axhline(case.prediction, color=style.INK, linewidth=1, linestyle="--")
    top.set(ylabel=case.scale.name, title="Prediction of each clip; dashed: the recording's")
    values = case.series(channel).sum(axis=1)
    below.bar(case.frames["seconds"], values, 1 / case.explanation.fps, linewidth=0,
              color=[style.sign_color(value) for value in values])  # fmt: skip
    style.zero_line(below)
    below.set_title(f"Attribution of each frame ({_key(channel)}); red raises, blue lowers")
    below.set(xlabel="time (s)", ylabel="points per frame")
    return figure


def illustrate(
    case: Case,
    archive: clips.ClipArchive,
    permission: drawing.Permission,
    folder: Path,
    *,
    path: Path | None = None,
    chosen: int = 1,
) -> dict[str, Any]:
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
        Where the overlay videos go, ``overlay-<method>-<baseline>.mp4``.
    path : Path, optional
        The recording, for pictures in its own sharpness.
    chosen : int
        Number of channels that get a video; the others share the first one's.

    Returns
    -------
    dict
        ``movies`` and ``pictures``, to be handed on as keywords.
    """
    movies, shown = {}, case.explanation.channels
    for channel in tqdm(shown[:chosen], desc="overlay videos", disable=chosen == 1):
        key = channel.method, channel.baseline
        at = folder / f"overlay-{channel.method}-{channel.baseline}.mp4"
        movies[key] = drawing.write_overlay(at, archive, channel.map, permission, recording=path)
    pictures = extremes(case, shown[0], archive, permission, path=path, by="frame")
    return {"movies": movies, "pictures": pictures}


def extremes(
    case: Case,
    channel: Channel,
    archive: clips.ClipArchive,
    permission: drawing.Permission,
    *,
    path: str | Path | None = None,
    count: int = 4,
    by: str = "seconds",
) -> dict[Any, np.ndarray]:
    """Return the frames that raise and lower a prediction most under their attribution.

    Parameters
    ----------
    path : path, optional
        The recording, for pictures in its own sharpness.
    count : int
        At most so many of either sign.
    by : {"seconds", "frame"}
        What names the pictures, uint8 (H, W, 3).
    """
    chosen = pd.concat(case.extremes(channel, count=count).values())
    if chosen.empty:
        return {}
    rows = chosen["row"].to_numpy()
    scene = drawing.scene(archive, rows, permission, path=path)
    drawn = scene.with_attribution(channel.map[rows], limit=drawing.limit_of(channel.map))
    return dict(zip(chosen[by].tolist(), drawn, strict=True))


def opening(case: Case, *, movies: Mapping[tuple[str, str], Path] | None = None) -> str:
    """Write the sentence and the scrubber with which the book opens."""
    whom = "The model" if case.held_out is None else "A model that had not seen this person"
    words = f"{whom} reads {style.number(case.told, 1)} on {case.scale.title} from it"
    if case.interval:
        low, high = (style.number(end, 1) for end in case.interval)
        words += f", {100 * case.level:.0f} % interval {low} to {high}"
    if case.score is not None:
        score = style.number(case.score, 0)
        rendered = "rendered" in case.data
        words += f"; the planted answer is {score}" if rendered else f"; observed: {score}"
    shown = scrubber(case, movies=movies)
    return f"<p>Recording {html.escape(case.recording)}. {words}.</p>{shown}"


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
    drawn = {frame: drawing.address(picture) for frame, picture in (pictures or {}).items()}
    most = {
        way: table.assign(picture=table["frame"].map(drawn).fillna("")).to_dict("records")
        for way, table in case.extremes(channel).items()
    }
    tables = [
        style.table_html(case.regions(c), caption=f"{c.method}, reference: "
                         + TITLES.get(c.baseline, c.baseline.replace("_", " ")))
        for c in case.explanation.channels
    ]  # fmt: skip
    words = ("Predictions of the clips and signed attribution of every frame over the recording; "
             "the tables below hold the numbers.")  # fmt: skip
    return template("card.html").render(
        case=case, page=page, channel=_key(channel), extremes=most, facts=facts or {},
        regions=tables, css=asset("card.css"), number=style.number,
        timeline=page_of.picture(timeline(case, channel), name="timeline", alt=words),
        incomplete=sum(int((~c.complete).sum()) for c in case.explanation.channels),
        clips=style.table_html(case.clips(), caption="Clips"),
        scrubber=scrubber(case, movies=movies),
    )  # fmt: skip


def write_card(path: Path, case: Case, **options: Any) -> Path:
    """Write `card` to a file, whole or not at all; return the path."""
    return store.write_text(path, card(case, **options))


def asset(name: str) -> str:
    """Return a text that ships with the library."""
    return resources.files("expresso_lib").joinpath("assets", name).read_text(encoding="utf-8")


def template(name: str, *, escape: bool = True) -> jinja2.Template:
    """Return a template that ships with the library; HTML that it is given is escaped, or not."""
    return jinja2.Environment(
        autoescape=escape, undefined=jinja2.StrictUndefined, trim_blocks=True
    ).from_string(asset(name))
