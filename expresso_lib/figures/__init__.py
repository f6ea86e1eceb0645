"""Figures: every plot, the pieces of a page, and the only place that shows a frame.

style       theme, one palette per meaning (`style.color`), `FigureError`
cohort, faces, training, attribution, statistics    tables → matplotlib figures, by chapter
`forest`    every estimate with an interval: models, regions, action units, channels, claims
drawing     frames that may be shown → pictures and overlay videos
page        figure → inline SVG for light, dark and phone
report      a recording's explanation → explorer and card
components  `removals` and `slider`: computed before, moved by hand, without a kernel
"""

from expresso_lib.figures.components import removals, slider
from expresso_lib.figures.statistics import forest
from expresso_lib.figures.style import FigureError
