"""Where the face is in every frame, and whether that can be trusted.

A recording goes in, a `FaceTrack` comes out: row f is frame f, NaN where no face was found.
Three back ends make one: `simulate` (the demo cohort's truth, spoilt in a stated way), `from_table`
(landmarks of OpenFace or Py-Feat) and `s3fd_fan.track` (S3FD finds, FAN places 68 points; its
networks are imported only when it is). `smooth` and `jitter` treat and measure a track's noise;
`assess` judges every recording by stated thresholds and leaves none out in silence.
"""

from expresso_lib.faces.openface import from_table
from expresso_lib.faces.quality import Thresholds, assess, index_errors, pose, readable, summary
from expresso_lib.faces.simulated import simulate
from expresso_lib.faces.track import (
    FaceTrack,
    boxes_of,
    eye_distance,
    from_landmarks,
    jitter,
    smooth,
)

__all__ = [
    "FaceTrack",
    "Thresholds",
    "assess",
    "boxes_of",
    "eye_distance",
    "from_landmarks",
    "from_table",
    "index_errors",
    "jitter",
    "pose",
    "readable",
    "simulate",
    "smooth",
    "summary",
]
