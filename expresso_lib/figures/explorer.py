"""Explorers for JupyterLab: the figures of the book, with controls, over the same calls.

They need a kernel. A static page shows `report.scrubber` instead.
"""

import ipywidgets as widgets
from matplotlib.figure import Figure

from expresso_lib.faces import action_units, anatomy
from expresso_lib.figures import drawing, style
from expresso_lib.figures.attribution import channel_title
from expresso_lib.figures.report import Case


def recording(case: Case, footage: drawing.Footage) -> widgets.VBox:
    """Move through one recording: picture, regions and traces at the chosen frame.

    Parameters
    ----------
    case : Case
        What was found about the recording.
    footage : drawing.Footage
        Of the same recording.

    Returns
    -------
    ipywidgets.VBox
        Channel, action unit and frame to choose; the figure of `moment` below.
    """
    shown = enumerate(case.explanation.channels)
    channels = [(channel_title(c.method, c.baseline), number) for number, c in shown]
    codes = [code for code in anatomy.AU_CODES if code in case.action_units]
    last = len(case.frames) - 1
    return widgets.interactive(
        lambda channel, code, place: moment(case, footage, channel, code, place),
        {"auto_display": True},
        channel=widgets.Dropdown(options=channels, description="Channel"),
        code=widgets.Dropdown(options=codes, description="AU"),
        place=widgets.IntSlider(0, 0, last, description="Frame", continuous_update=False),
    )


@style.plot
def moment(
    case: Case, footage: drawing.Footage, channel: int = 0, code: str = "AU12", place: int = 0
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
    values, seconds = case.series(chosen), case.frames["seconds"]
    row, frame = case.frames.loc[place, ["row", "frame"]].astype(int)
    # One scale for the whole recording: a quiet frame must look quiet.
    limit = drawing.limit_of(chosen.map)
    picture = footage.scene([row]).with_attribution(chosen.map[[row]], limit=limit)[0]
    figure, ((face, regions), traces) = style.figure(2, 2, height=5.2)
    style.picture(face, picture, f"frame {frame}")
    most, here = float(values.abs().max(axis=None)) or 1, values.iloc[place]
    regions.barh(here.index, here, color=style.signed(here))
    regions.set(xlim=(-most, most), xlabel="score points", title="regions")
    regions.invert_yaxis()
    style.zero_line(regions, axis="x")
    units = action_units.at_frames(case.action_units, case.frames["frame"].to_numpy())
    series = {"attribution (points per frame)": values.sum(axis=1), style.title(code): units[code]}
    for axes, (title, trace) in zip(traces, series.items()):
        axes.plot(seconds, trace, color=style.INK, linewidth=1.2)
        axes.axvline(seconds[place], color=style.SIGN_COLORS["positive"])
        axes.set(title=title, xlabel="seconds")
    style.note(figure, case.data)
    return figure
