"""From a matplotlib figure to a page: one vector picture that follows light, dark and phone.

The picture stands in the page itself, not as a file beside it: its inks are CSS variables that a
dark page turns round, and a narrow screen gets a second drawing whose type stays readable.
"""

import base64
import html
import io
import re
import textwrap

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from seaborn.utils import relative_luminance

from expresso_lib.figures import drawing, style

# Inches: at 350 px, what a phone of 390 px leaves, 8 points come to 9 px.
NARROW = 4.2
# The theme's dark paper (pydata-sphinx-theme's --pst-color-background).
DARK_PAPER = "#14181E"
# Contrast that graphics need (WCAG 2.2, 1.4.11), and a little.
CONTRAST = 3.38


def _lightened(color: str) -> str:
    """Return a colour that is seen on a dark page: itself, or with as much white as it takes."""
    paper = relative_luminance(DARK_PAPER) + 0.05
    lighter = sns.blend_palette([color, "#ffffff"], 21).as_hex()
    return next(one for one in lighter if (relative_luminance(one) + 0.05) / paper >= CONTRAST)


# What the inks become on a dark page; data colours only where they would drown.
DARK = {
    style.INK: "#e6edf3", style.GREY: "#adbac7", style.PALE: "#444c56", style.GRID: "#2d333b",
    style.PAPER: DARK_PAPER.lower(),
}  # fmt: skip
DARK = {c: _lightened(c) for c in style.COLORS.values()} | DARK
DARK = {light.lower(): dark for light, dark in DARK.items() if light.lower() != dark}


def _variable(color: str) -> str:
    return f"--f-{color[1:]}"


INKS = "".join(f"{_variable(light)}:{dark};" for light, dark in DARK.items())
CSS = (style.ASSETS / "figure.css").read_text("utf-8").replace("\n", "")
CSS += f"@media screen{{html[data-theme=dark]{{{INKS}}}}}"


def picture(figure: Figure, *, name: str, alt: str) -> str:
    """Write a figure as HTML: wide and narrow, in inks that follow the page.

    Parameters
    ----------
    figure : Figure
        It is laid out anew for the narrow drawing, and so used up.
    name : str
        Unique on the page.
    alt : str
        What a reader who does not see it needs to know.

    Returns
    -------
    str
        Inline SVG with its style; white paper where no page says otherwise (JupyterLab).
    """
    if isinstance(figure, style.Undrawn):
        return f'<p class="ex-undrawn">{html.escape(figure.reason)}</p>'
    # The page's caption says what the figure was computed on.
    for note in figure.findobj(lambda artist: artist.get_gid() == style.NOTE):
        note.remove()
    # In rem, so that type has one size in every figure, and grows with the reader's.
    most = f"max-width:{6.6 * figure.get_size_inches()[0]:.1f}rem"
    wide = svg(figure, name=f"{name}-wide", alt=alt)
    small = svg(narrow(figure), name=f"{name}-narrow", alt=alt)
    return (
        f'<style>{CSS}</style><div class="ex-picture ex-wide" style="{most}">{wide}</div>'
        f'<div class="ex-picture ex-narrow">{small}</div>'
    )


def svg(figure: Figure, *, name: str, alt: str) -> str:
    """Write a figure as one inline ``<svg>``, transparent, with variables for inks."""
    # The salt keeps the names of two figures on one page apart.
    buffer = io.StringIO()
    with mpl.rc_context(style.RC | {"svg.hashsalt": name}):
        unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=unsaid)
    text = buffer.getvalue()
    text = re.sub(r'<g id="[^"]*"', "<g", text[text.index("<svg") :])
    text = re.sub(r"data:image/png;base64,([^\"]+)", _webp, text)
    for color in DARK:
        text = re.sub(rf"{color}\b", f"var({_variable(color)},{color})", text)
    # A reader without DejaVu gets the font that is nearest in width.
    text = text.replace("'DejaVu Sans'", "'DejaVu Sans',Verdana,sans-serif")
    words = html.escape(alt, quote=True)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{words}" ', text, count=1)


def _webp(found: re.Match[str]) -> str:
    """Pictures within a figure are photographs of faces: a tenth of PNG's bytes."""
    return drawing.address(np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1])))))


def narrow(figure: Figure) -> Figure:
    """Lay a figure out for a phone: panels side by side go below each other; return it.

    Pictures keep up to three in a row, small panels two, others one; type keeps its size.
    """
    placed = {axes: spec for axes in figure.axes if (spec := axes.get_subplotspec()) is not None}
    panels, grids = list(placed), {spec.get_gridspec() for spec in placed.values()}
    width, height = figure.get_size_inches()
    columns = 1
    if len(grids) == 1:
        grid = grids.pop()
        shown = [axes for axes in panels if axes.images]
        charts = [axes for axes in panels if not axes.images]
        pictures = not any(axes.has_data() for axes in charts)
        columns = min(grid.ncols, 3 if pictures else 1 if grid.ncols < 3 else 2)
        rows = -(-len(panels) // columns)
        height *= rows / grid.nrows
        if pictures:
            height = height * (NARROW / columns) / (width / grid.ncols) + 0.2 * rows
        if shown and not pictures and grid.ncols > 1:
            height, columns = _below(figure, shown, charts, figure.get_figheight() / grid.nrows), 1
        elif columns < grid.ncols:
            _restack(figure, panels, rows, columns)
    # A legend below would lie on a label that all panels share.
    place = style.ABOVE if figure.get_supxlabel() else style.BELOW
    for legend in list(figure.legends):
        words = [text.get_text() for text in legend.get_texts()]
        legend.remove()
        handles = [handle for handle in legend.legend_handles if handle is not None]
        figure.legend(handles, words, **place, ncols=2)
    for text in figure.findobj(Text):
        letters = 38 if text.get_fontweight() == "bold" else 44  # of a line; bold ones are wider
        text.set_text(_broken(text.get_text(), letters // columns))
    height += sum(_break_names(axes, columns) for axes in panels)
    # The numbers of a wide square would run into each other; its colours say the same.
    squares = [axes for axes in panels if any(isinstance(c, QuadMesh) for c in axes.collections)]
    wide = [axes for axes in squares if columns * len(axes.get_xticks()) > 8]
    for number in [text for axes in wide for text in axes.texts]:
        number.remove()
    figure.set_size_inches(min(width, NARROW), height)
    return figure


def _break_names(axes: Axes, columns: int) -> float:
    """Break the names at both axes of a panel, one of `columns`; return the height it takes."""
    more = 0.0
    names = [label.get_text() for label in axes.get_yticklabels()]
    if many := sum(len(name) > 26 for name in names):
        # seaborn turns the names of a square that it finds too narrow.
        broken = [_broken(name, 26) for name in names]
        axes.set_yticks(axes.get_yticks(), broken, rotation=0, va="center")
        more += 0.11 * many
    names = [label.get_text() for label in axes.get_xticklabels()]
    room = round(11 * NARROW / columns / max(len(names), 1))
    level = not any(label.get_rotation() for label in axes.get_xticklabels())
    if level and any(re.search("[a-z]", n) and len(n) > room for n in names):
        axes.set_xticks(axes.get_xticks(), [_broken(" ".join(n.split()), room) for n in names])
        more += 0.15
    return more


def _restack(figure: Figure, panels: list[Axes], rows: int, columns: int) -> None:
    grid = figure.add_gridspec(rows, columns)
    for place, axes in enumerate(panels):
        axes.set_subplotspec(grid[place])
        if not axes.images:
            # What a panel shared with its neighbours it now says itself.
            own = place % columns == 0 or columns == 1 or bool(axes.get_ylabel())
            axes.tick_params(labelbottom=True, labelleft=own)


def _below(figure: Figure, shown: list[Axes], charts: list[Axes], height: float) -> float:
    """Put charts at full width below the pictures that stand beside them; return the height."""
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    ratios = [NARROW / columns] * rows + [height] * len(charts)
    grid = figure.add_gridspec(len(ratios), columns, height_ratios=ratios)
    for place, axes in enumerate(shown):
        axes.set_subplotspec(grid[divmod(place, columns)])
    for place, axes in enumerate(charts, start=rows):
        axes.set_subplotspec(grid[place, :])
        axes.yaxis.tick_left()
    return sum(ratios)


def _broken(text: str, width: int) -> str:
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines()) if text else text
