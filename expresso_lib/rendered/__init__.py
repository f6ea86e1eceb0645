"""The demo cohort: rendered participants with a planted answer.

A small graphics textbook in nine rooms; data flows down the list:

- `geometry`: who has which face; proportions, relief, the 68 points
- `hair`, `appearance`: what the face is painted with, once per identity
- `action_units`: one table moves landmarks and pixels alike
- `features`: eyes, mouth, glasses, drawn every frame
- `camera`: pose, projection, light, sensor
- `scene`: `Script` -> `render`; `without` takes a factor out
- `dynamics`: how a face moves; `planting`: how severity changes that
- `actions`: what people do in practice clips, by which networks learn to recognise actions
- `cohort`: `plan_cohort` -> `write_cohort` -> `read_plan`, the truth as tables
"""

from expresso_lib.rendered.cohort import Plan, plan_cohort, read_plan, write_cohort
from expresso_lib.rendered.scene import Script, average_face, landmarks, render, without

__all__ = [
    "Plan", "Script", "average_face", "landmarks", "plan_cohort", "read_plan", "render", "without",
    "write_cohort",
]
