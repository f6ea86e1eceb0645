"""Is an explanation true? What it says against what the model does when something is taken out.

- `interventions`: rendered people without one factor, and what the model does then
- `controls`: what has not seen the model; `metrics`: fidelity, scored and answered
- `trials`: explanations put to the test, for a run and for any network
- `headset`: an artefact that must be exposed; `decomposition`: what a region carries of r
"""

from expresso_lib.faithfulness.interventions import rendered_scenes
from expresso_lib.faithfulness.metrics import (
    QUESTIONS,
    by_factor,
    reached,
    strongest_control,
    table,
    trust_table,
)
from expresso_lib.faithfulness.trials import agreement_table, examine, indicators
