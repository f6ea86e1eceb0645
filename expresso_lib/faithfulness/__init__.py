"""Is an explanation true? What it says against what the model does when something is taken out.

- `interventions`: rendered people without one factor, and what the model does then
- `controls`: what has not seen the model; `metrics`: fidelity, scored and answered
- `trials`: explanations put to the test, for a run and for any network
- `headset`: an artefact that must be exposed; `decomposition`: what a region carries of r
"""

from expresso_lib.faithfulness.interventions import (
    PLACED,
    STRETCHES,
    Effect,
    Scene,
    by_region,
    by_stretch,
    effects,
    rendered_scenes,
    scores,
    stage,
)
from expresso_lib.faithfulness.metrics import (
    QUESTIONS,
    by_factor,
    cell,
    evidence,
    removals,
    strongest_control,
    table,
    trust_table,
)
from expresso_lib.faithfulness.trials import agreement_table, examine, indicators, trial

__all__ = [
    "PLACED",
    "QUESTIONS",
    "STRETCHES",
    "Effect",
    "Scene",
    "agreement_table",
    "by_factor",
    "by_region",
    "by_stretch",
    "cell",
    "effects",
    "evidence",
    "examine",
    "indicators",
    "removals",
    "rendered_scenes",
    "scores",
    "stage",
    "strongest_control",
    "table",
    "trial",
    "trust_table",
]
