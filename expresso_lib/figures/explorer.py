"""Explorers for JupyterLab: the figures of the book, with controls, over the same calls.

They need a kernel. A static page shows `report.scrubber` instead.
"""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import matplotlib as mpl
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure

from expresso_lib import clips
from expresso_lib.faces import action_units, anatomy
from expresso_lib.figures import drawing, style
from expresso_lib.figures.case import Case


def recording(
    case: Case, archive: clips.ClipArchive, permission: drawing.Permission
) -> widgets.VBox:
    """Move through one recording: picture, regions and traces at the chosen frame.

    Parameters
    ----------
    case : Case
        What was found about the recording.
    archive : clips.ClipArchive
        Of the same recording.
    permission : drawing.Permission
        Of its data set; without it the picture is the average rendered face.

    Returns
    -------
    ipywidgets.VBox
        Channel, action unit and frame to choose; the figure of `moment` below.
    """
    shown = case.explanation.channels
    channels = {f"{c.method}, {c.baseline.replace('_', ' ')}": k for k, c in enumerate(shown)}
    codes = [code for code in anatomy.AU_CODES if code in case.action_units]
    last = len(case.frames) - 1
    controls = {
        "channel": widgets.Dropdown(options=channels, description="Channel"),
        "code": widgets.Dropdown(options=codes, description="AU"),
        "place": widgets.IntSlider(0, 0, last, description="Frame", continuous_update=False),
    }

    def draw(**chosen: Any) -> None:
        display(moment(case, archive, permission, **chosen))

    return widgets.VBox([*controls.values(), widgets.interactive_output(draw, controls)])


def moment(
    case: Case,
    archive: clips.ClipArchive,
    permission: drawing.Permission,
    *,
    channel: int = 0,
    code: str = "AU12",
    place: int = 0,
) -> Figure:
    """Draw one frame of a recording: picture, regions, and both traces with a mark.

    Parameters
    ----------
    channel : int
        Which of the explanation's channels.
    code : str
        Action unit of the lower trace.
    place : int
        Row of ``case.frames``.

    Returns
    -------
    Figure
        Picture and regions above, the traces below.
    """
    chosen = case.explanation.channels[channel]
    values = case.series(chosen)
    row, seconds = case.frames["row"].iloc[place], case.frames["seconds"]
    scene = drawing.scene(archive, [row], permission)
    # One scale for the whole recording: a quiet frame must look quiet.
    limit = drawing.limit_of(chosen.map)
    figure, axes = style.figure("full", rows=2, columns=2, height=5.2)
    with mpl.rc_context(style.RC):
        axes[0, 0].imshow(scene.with_attribution(chosen.map[[row]], limit=limit)[0])
        axes[0, 0].set(title=f"frame {case.frames['frame'].iloc[place]}", xticks=[], yticks=[])
        names, most = list(map(style.title, anatomy.REGIONS)), float(np.abs(values).max()) or 1
        axes[0, 1].barh(names, values[place], color=list(map(style.sign_color, values[place])))
        axes[0, 1].set(xlim=(-most, most), xlabel="score points", title="regions")
        axes[0, 1].invert_yaxis()
        style.zero_line(axes[0, 1], axis="x")
        _trace(axes[1, 0], seconds, values.sum(axis=1), place, "attribution (points per frame)")
        series = action_units.at_frames(case.action_units, case.frames["frame"].to_numpy())
        _trace(axes[1, 1], seconds, series[code], place, f"{code} {anatomy.AU_TITLES[code]}")
    style.note(figure, case.data)
    return figure


def _trace(axes: Any, seconds: pd.Series, values: Any, place: int, title: str) -> None:
    axes.plot(seconds, values, color=style.INK, linewidth=1.2)
    axes.axvline(seconds.iloc[place], color=style.SIGN_COLORS["positive"])
    axes.set(title=title, xlabel="seconds")
