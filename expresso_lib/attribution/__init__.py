"""Why a model says what it says: signed scores per voxel, pooled by region and by frame.

- `methods`: Captum behind one call, baselines, completeness
- `pooling`: region and frame sums, densities, enrichment
- `explanation`: a recording explained, stitched over its clips
"""

from expresso_lib.attribution.methods import (
    BASELINES,
    METHODS,
    IncompleteModelError,
    attribute,
    baseline_clips,
    blurred,
    method_name,
    neutral_frame,
    own_neutral,
    randomised,
)

__all__ = [
    "BASELINES",
    "METHODS",
    "IncompleteModelError",
    "attribute",
    "baseline_clips",
    "blurred",
    "method_name",
    "neutral_frame",
    "own_neutral",
    "randomised",
]
