"""Explainable video models of depression severity, from recordings to a book.

A cohort names participants, recordings and scores (`cohort`; `synthetic` renders one with a
planted answer). `faces` tracks landmarks, `regions` turns them into masks, `clips` cuts
aligned windows. `models` and `training` fit a video network and judge it by participant.
`attribution` explains predictions voxel by voxel, `pooling` sums them by region and frame,
`explanation` does so for a recording, `faithfulness` asks whether they are true. `stats`
weighs the evidence, `plotting`, `report` and `explorer` show it, `pipeline` runs the chapters
and `cli` is what a person types. Imports run only downwards (pyproject.toml lists the floors).
"""

import os as _os

# Two OpenMP threads that spin beside a busy neighbour run several times slower than one; a
# passive wait repairs it, and only before torch (and with it OpenMP) is loaded.
_os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
_os.environ.setdefault("KMP_BLOCKTIME", "0")
