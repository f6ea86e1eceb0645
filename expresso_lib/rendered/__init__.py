"""The demo cohort: rendered participants with a planted answer.

A small graphics textbook in nine rooms; data flows down the list:

- `geometry`: who has which face; proportions, relief, the 68 points
- `hair`, `appearance`: what the face is painted with, once per identity
- `action_units`: one table moves landmarks and pixels alike
- `features`: eyes, mouth, glasses, drawn every frame
- `camera`: pose, projection, light, sensor
- `scene`: `Script` -> `render`; `without` takes a factor out, `changed_pixels` shows where
- `dynamics`: how a face moves; `planting`: how severity changes that
- `actions`: what people do in practice clips, by which networks learn to recognise actions
- `cohort`: `plan_cohort` -> `write_cohort` -> `read_plan`, the truth as tables
"""

from expresso_lib.rendered.actions import practice_clip
from expresso_lib.rendered.cohort import (
    Plan,
    au_script,
    plan_cohort,
    portraits,
    read_plan,
    truth,
    write_cohort,
)
from expresso_lib.rendered.geometry import Identity, draw_identity
from expresso_lib.rendered.scene import (
    Frame,
    Script,
    average_face,
    changed_pixels,
    geometry_of,
    render,
    without,
)

__all__ = [
    "Frame", "Identity", "Plan", "Script", "au_script", "average_face", "changed_pixels",
    "draw_identity", "geometry_of", "plan_cohort", "portraits", "practice_clip", "read_plan",
    "render", "truth", "without", "write_cohort",
]
