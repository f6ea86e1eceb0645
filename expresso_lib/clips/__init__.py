"""What a model sees: aligned, windowed pictures of one face.

- `preprocessing`: a recording becomes a track, tables and an archive
- `archives`: alignment, the composite, windows, the archive of what the model sees
"""

from expresso_lib.clips.archives import (
    INPUTS,
    ClipArchive,
    ClipError,
    Rerendering,
    align,
    archived,
    assemble,
    clip_table,
    cut,
    folds,
    prepare,
    resample,
    stack,
    steady,
    transform_points,
    windows,
)
