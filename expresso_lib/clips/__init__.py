"""What a model sees: aligned, windowed pictures of one face.

- `preprocessing`: a recording becomes a track, tables and an archive
- `alignment`: where the face lies in the crop
- `archives`: the composite, windows, the archive of what the model sees
"""

from expresso_lib.clips.alignment import ClipError, align, steady, transform_points
from expresso_lib.clips.archives import (
    INPUTS,
    ClipArchive,
    Rerendering,
    archived,
    assemble,
    cut,
    prepare,
    resample,
    stack,
    windows,
)
