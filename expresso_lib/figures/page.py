"""From a matplotlib figure to a page: one vector picture that follows light, dark and phone.

The picture stands in the page itself, not as a file beside it: its inks are CSS variables that a
dark page turns round, and a narrow screen gets a second drawing whose type stays readable.
"""

import base64
import html
import io
import re
import textwrap
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from seaborn.utils import relative_luminance

from expresso_lib import config
from expresso_lib.figures import drawing, style

# Inches: at 350 px, what a phone of 390 px leaves, 8 points come to 9 px.
NARROW = 4.2
TITLE = 0.4  # inches that a row of pictures has for its titles
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


INKS = "".join(f"--f-{light[1:]}:{dark};" for light, dark in DARK.items())
CSS = (config.ASSETS / "figure.css").read_text("utf-8").replace("\n", "")
CSS += f"@media screen{{html[data-theme=dark]{{{INKS}}}}}"


def picture(figure: Figure | np.ndarray, *, name: str, alt: str) -> str:
    """Write a figure as HTML: wide and narrow, in inks that follow the page.

    Parameters
    ----------
    figure : Figure or ndarray
        It is laid out anew for the narrow drawing, and so used up. Or a picture, uint8 (H, W, 3).
    name : str
        Unique on the page.
    alt : str
        What a reader who does not see it needs to know.

    Returns
    -------
    str
        Inline SVG with its style; white paper where no page says otherwise (JupyterLab).
    """
    if isinstance(figure, np.ndarray):
        return f'<img src="{drawing.address(figure)}" alt="{html.escape(alt, quote=True)}">'
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
        text = re.sub(rf"{color}\b", f"var(--f-{color[1:]},{color})", text)
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
    panels = [axes for axes in figure.axes if axes.get_subplotspec()]
    height, columns = figure.get_figheight(), 1
    if len({axes.get_gridspec() for axes in panels}) == 1:
        height, columns = _restack(figure, panels)
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
    figure.set_size_inches(min(figure.get_figwidth(), NARROW), height)
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


def _restack(figure: Figure, panels: list[Axes]) -> tuple[float, int]:
    """Put pictures above, charts below them; return the height, and how many stand in a row."""
    grid: Any = panels[0].get_gridspec()
    pictures = [axes for axes in panels if axes.images]
    charts = [axes for axes in panels if not axes.images]
    across, columns = min(len(pictures), 3), 1 if pictures or grid.ncols < 3 else 2
    above, below = (-(-len(pictures) // 3)), -(-len(charts) // columns)
    heights = [figure.get_figheight() / grid.nrows] * below
    if pictures:
        high, wide = pictures[0].images[0].get_size()
        heights = [NARROW / across * high / wide + TITLE] * above + heights
    # Six cells of a row hold one, two or three panels.
    cells = figure.add_gridspec(len(heights), 6, height_ratios=heights)
    for group, first, many in ((pictures, 0, across), (charts, above, columns)):
        for place, axes in enumerate(group):
            row, column = divmod(place, many)
            axes.set_subplotspec(cells[first + row, 6 // many * column : 6 // many * (column + 1)])
    for place, axes in enumerate(charts if grid.ncols > 1 else ()):
        # What a panel shared with its neighbours it now says itself, and on its left.
        own = place % columns == 0 or bool(axes.get_ylabel())
        axes.tick_params(labelbottom=True, labelleft=own, right=False, labelright=False)
    return sum(heights), columns if charts else across


def _broken(text: str, width: int) -> str:
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines())
