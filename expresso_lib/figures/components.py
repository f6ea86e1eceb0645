"""Pieces of a page that answer to a hand, without a kernel: removals and sliders.

Everything that they can show was computed before and lies inside them; they work by mouse, touch
and keyboard from a file on a stick. Without a script all of it can still be read.
"""

from __future__ import annotations

import html
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from expresso_lib.figures import drawing, page, style
from expresso_lib.figures.report import asset, template

# Bytes of one piece of a page.
LARGEST = 4_000_000
REMOVALS = {
    "none": "nothing removed", "smile": "smile", "speech": "speech", "speech_mouth": "speech",
    "blinks": "blinks", "lids_gaze": "lids and gaze", "brows": "brows",
    "cheeks_nose": "cheeks and nose", "head_motion": "head motion", "head": "head motion",
}  # fmt: skip


def removals(
    table: pd.DataFrame,
    movies: Mapping[tuple[str, str], Path],
    *,
    titles: Mapping[str, str],
    scale: tuple[float, float] = (0, 63),
    note: str = "",
) -> str:
    """Write "take the smile away": recordings without a movement, and what becomes of the score.

    Parameters
    ----------
    table : DataFrame
        A row per recording and removal: ``recording, removal`` ("none", "smile", "speech",
        "blinks", "brows", "head_motion", or any other name), ``prediction`` (points, of the
        recording so rendered), ``promised`` and ``actual`` (points: what the explanation says that
        the removal changes, and what it did change, prediction without minus prediction with;
        not read of "none"), and where known ``score``.
    movies : mapping of (recording, removal) to Path
        H.264 videos of equal length (`faces.video.write_video`); a removal without one shows
        the recording as it is.
    titles : mapping of str to str
        Recording to what stands above it, in order, e.g. "Read well: ...".
    scale : (float, float)
        Ends of the score.
    note : str
        What it was computed on.

    Returns
    -------
    str
        HTML; for `run.show`, or a file for ``facts.fragment``.

    Raises
    ------
    FigureError
        If a recording has no row "none", or the whole is larger than ``LARGEST``.
    """
    cases = []
    for number, (recording, words) in enumerate(titles.items()):
        rows = table[table["recording"] == recording].set_index("removal")
        if "none" not in rows.index:
            raise style.FigureError(f"recording {recording} has no row without a removal.")
        reach = float(np.nanmax(rows[["promised", "actual"]].abs().drop("none").to_numpy()))
        score = rows["score"].iloc[0] if "score" in rows else np.nan
        cases.append({
            "title": words, "key": f"r{number}", "score": style.number(float(score), 0),
            "score_at": _share(score, *scale), "known": bool(np.isfinite(score)),
            "rows": [_removal(name, row, reach or 1.0, scale) for name, row in rows.iterrows()],
            "videos": {name: drawing.film(movies[recording, name]) for name in rows.index
                       if (recording, name) in movies},
        })  # fmt: skip
    return _light(template("removals.html").render(
        cases=cases, unit="points", note=note, scale=scale, css=asset("components.css"),
        script=asset("components.js"),
        data=json.dumps({case["key"]: case["videos"] for case in cases}),
    ))  # fmt: skip


def _removal(
    name: str, row: pd.Series, reach: float, scale: tuple[float, float]
) -> dict[str, object]:
    """What the page says of one removal: words, and places in percent."""
    bars = []
    for kind in ("promised", "actual") if name != "none" else ():
        value = float(row[kind])
        size = 0.0 if np.isnan(value) else 50 * abs(value) / reach
        left = 50 - size if value < 0 else 50
        bars.append({"kind": kind, "text": style.number(value, 1), "size": round(size, 1),
                     "left": round(left, 1), "up": value > 0})  # fmt: skip
    return {"name": name, "title": REMOVALS.get(name, name), "bars": bars,
            "prediction": style.number(float(row["prediction"]), 1),
            "at": _share(row["prediction"], *scale)}  # fmt: skip


def _share(value: float, low: float, high: float) -> float:
    return round(float(np.clip(100 * (value - low) / (high - low), 0, 100)), 1)


def slider(
    pictures: Sequence[Figure | np.ndarray],
    labels: Sequence[str],
    *,
    question: str,
    caption: str = "",
    start: int = 0,
    choice: bool = False,
) -> str:
    """Write one figure with steps: what does it look like with another N, another reference?

    Parameters
    ----------
    pictures : sequence
        One per step: a matplotlib figure, or a picture uint8 (H, W, 3).
    labels : sequence of str
        What each step is, with the number that it shows: "84 people: 3 % false positives".
    question : str
        What the control chooses, e.g. "People in the study".
    caption : str
        Below the figure, where nothing else stands there.
    start : int
        The step that is shown first, and printed.
    choice : bool
        Buttons with every label in sight, for steps without an order; else a slider.

    Returns
    -------
    str
        HTML; for `run.show`, or a file for ``facts.fragment``.

    Raises
    ------
    FigureError
        If there is not one label for each picture, or the whole is larger than ``LARGEST``.
    """
    if len(pictures) != len(labels) or not labels:
        raise style.FigureError(f"{len(pictures)} pictures do not fit {len(labels)} labels.")
    key = f"s{zlib.crc32(''.join([question, *labels]).encode()):x}"
    shown = [_picture(p, f"{key}-{i}", text) for i, (p, text) in enumerate(zip(pictures, labels))]
    return _light(template("slider.html").render(
        steps=list(zip(shown, labels)), caption=caption, question=question, start=start,
        choice=choice, key=key, css=asset("components.css"), script=asset("components.js"),
    ))  # fmt: skip


def _picture(source: Figure | np.ndarray, name: str, alt: str) -> str:
    if isinstance(source, Figure):
        return page.picture(source, name=name, alt=alt)
    return f'<img src="{drawing.address(source)}" alt="{html.escape(alt, quote=True)}">'


def _light(text: str) -> str:
    if (size := len(text.encode())) > LARGEST:
        raise style.FigureError(
            f"this piece of the page would have {size / 1e6:.1f} MB, more than "
            f"{LARGEST / 1e6:.0f}; make its videos shorter or smaller."
        )
    return text
