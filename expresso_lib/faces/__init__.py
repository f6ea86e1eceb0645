"""Where the face is in every frame, and whether that can be trusted.

A recording goes in, a `FaceTrack` comes out: row f is frame f, NaN where no face was found.
Four trackers make one: `s3fd_fan.track` (the paper's: S3FD finds, FAN places 68 points),
`mediapipe.track` (an answer today, on any CPU, with gaze), `from_table` (what another tool wrote)
and `simulate` (the demo cohort's truth, spoilt in a stated way); a network's package is imported
only when it runs. `action_units` reads or guesses what the face does, in a stated unit. `smooth`
and `jitter` treat and measure a track's noise; `assess` judges every recording by stated
thresholds and leaves none out in silence.
"""

from expresso_lib.faces.quality import assess, index_errors, pose, readable, summary
from expresso_lib.faces.simulated import simulate
from expresso_lib.faces.tables import from_table
from expresso_lib.faces.track import FaceTrack, eye_distance, from_landmarks, jitter, smooth
