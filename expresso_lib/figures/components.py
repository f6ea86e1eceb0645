"""Pieces of a page that answer to a hand, without a kernel: removals and sliders.

Everything that they can show was computed before and lies inside them; they work by mouse, touch
and keyboard from a file on a stick. Without a script all of it can still be read.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from expresso_lib.cohort import BDI_II
from expresso_lib.figures import drawing, page, style
from expresso_lib.figures.style import template

REMOVALS = {"none": "nothing removed", "speech_mouth": "speech"}


def removals(table: pd.DataFrame, *, note: str = "") -> str:
    """Write "take the smile away": recordings without a movement, and what becomes of the score.

    Parameters
    ----------
    table : DataFrame
        A row per recording and removal: ``recording`` (what stands above it),
        ``removal`` ("none", or a factor's name), ``prediction`` (points, of the
        recording so rendered), ``promised`` and ``actual`` (points: what the explanation says that
        the removal changes, and what it did change, prediction without minus prediction with;
        not read of "none"), ``score``, ``film`` (an H.264 video of `faces.video.write_video`,
        equally long for all removals).
    note : str
        What it was computed on.

    Returns
    -------
    str
        HTML; for `run.show`, or a file for ``facts.fragment``.
    """
    cases = []
    for recording, rows in table.groupby("recording", sort=False):
        titles = [REMOVALS.get(name, style.title(name)) for name in rows["removal"]]
        cases.append({
            "title": recording, "score": float(rows["score"].iloc[0]),
            "reach": float(rows[["promised", "actual"]].abs().max(axis=None)) or 1.0,
            "rows": rows.assign(title=titles).to_dict("records"),
            "videos": dict(zip(rows["removal"], map(drawing.film, rows["film"]))),
        })  # fmt: skip
    videos = {f"r{number}": case["videos"] for number, case in enumerate(cases)}
    return template("removals.html").render(
        cases=cases, scale=BDI_II, note=note, data=videos, number=style.number
    )


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
    """
    key = f"s{zlib.crc32(''.join([question, *labels]).encode()):x}"
    pairs = enumerate(zip(pictures, labels, strict=True))
    steps = [(page.picture(one, name=f"{key}-{n}", alt=label), label) for n, (one, label) in pairs]
    return template("slider.html").render(
        steps=steps, caption=caption, question=question, start=start, choice=choice, key=key
    )
