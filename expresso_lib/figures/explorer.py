"""Explorers for JupyterLab: the figures of the book, with controls, over the same calls.

They need a kernel. A static page shows `report.scrubber` instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
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
    channels = {
        f"{c.method}, {c.baseline.replace('_', ' ')}": index
        for index, c in enumerate(case.explanation.channels)
    }
    codes = [code for code in anatomy.AU_CODES if code in case.action_units]
    controls = {
        "channel": widgets.Dropdown(options=channels, description="Channel"),
        "code": widgets.Dropdown(options=codes, description="AU"),
        "place": widgets.IntSlider(
            0, 0, len(case.frames) - 1, description="Frame", continuous_update=False
        ),
    }

    def draw(**chosen: Any) -> Figure:
        return moment(case, archive, permission, **chosen)

    return _explorer(draw, controls)


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
    with style.context():
        axes[0, 0].imshow(scene.with_attribution(chosen.map[[row]], limit=limit)[0])
        axes[0, 0].set(title=f"frame {case.frames['frame'].iloc[place]}", xticks=[], yticks=[])
        _bars(axes[0, 1], values[place], float(np.abs(values).max()))
        _trace(axes[1, 0], seconds, values.sum(axis=1), place, "attribution (points per frame)")
        series = action_units.at_frames(case.action_units, case.frames["frame"].to_numpy())
        _trace(axes[1, 1], seconds, series[code], place, f"{code} {anatomy.AU_TITLES[code]}")
    style.note(figure, case.data)
    return figure


def _bars(axes: Any, values: np.ndarray, most: float) -> None:
    names = [anatomy.REGION_TITLES[name] for name in anatomy.REGIONS]
    axes.barh(names, values, color=[style.sign_color(value) for value in values])
    axes.set(xlim=(-most or -1, most or 1), xlabel="score points", title="regions")
    axes.invert_yaxis()
    style.zero_line(axes, axis="x")


def _trace(axes: Any, seconds: pd.Series, values: Any, place: int, title: str) -> None:
    axes.plot(seconds, values, color=style.INK, linewidth=1.2)
    axes.axvline(seconds.iloc[place], color=style.SIGN_COLORS["positive"])
    axes.set(title=title, xlabel="seconds")


def _explorer(draw: Callable[..., Figure], controls: dict[str, widgets.Widget]) -> widgets.VBox:
    from IPython.display import display

    def show(**chosen: Any) -> None:
        display(draw(**chosen))

    shown = widgets.interactive_output(show, controls)
    return widgets.VBox([*controls.values(), shown])
