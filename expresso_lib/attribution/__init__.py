"""Why a model says what it says: signed scores per voxel, pooled by region and by frame.

- `methods`: every method behind one call, for any network
- `references`: what clips are compared with; networks that learned nothing; adapters
- `pooling`: region and frame sums, densities, enrichment
- `explanation`: a recording explained, stitched over its clips
"""

from expresso_lib.attribution.methods import (
    METHODS,
    NO_RULE,
    REFUSAL,
    Attribution,
    IncompleteModelError,
    ModelError,
    attribute,
    attribute_each,
    by_channel,
    score_of,
)
from expresso_lib.attribution.references import (
    BASELINES,
    NEUTRAL,
    Adapter,
    calm_frames,
    clips_of,
    neutral_frame,
    of_recording,
    randomised,
)
