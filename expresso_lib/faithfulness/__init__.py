"""Is an explanation true? What it says against what the model does when something is taken out.

- `metrics`: fidelity and its controls, from arrays
- `trials`: clips re-rendered without a factor, explained and scored
- `headset`: an artefact that must be exposed; `decomposition`: what a region carries of r
"""

from expresso_lib.faithfulness.metrics import (
    CHANGED,
    PLACED,
    SIGN_POINTS,
    Intervention,
    agreement,
    audit,
    auroc,
    blocks,
    contribution,
    controls,
    deletion_insertion,
    evidence,
    factor_recovery,
    infidelity,
    intervene,
    judge,
    means,
    painted,
    parted,
    rank_agreement,
    scores,
    sensitivity,
    swap,
    time_fidelity,
    time_use,
    used_when_active,
)

__all__ = [
    "CHANGED",
    "PLACED",
    "SIGN_POINTS",
    "Intervention",
    "agreement",
    "audit",
    "auroc",
    "blocks",
    "contribution",
    "controls",
    "deletion_insertion",
    "evidence",
    "factor_recovery",
    "infidelity",
    "intervene",
    "judge",
    "means",
    "painted",
    "parted",
    "rank_agreement",
    "scores",
    "sensitivity",
    "swap",
    "time_fidelity",
    "time_use",
    "used_when_active",
]
