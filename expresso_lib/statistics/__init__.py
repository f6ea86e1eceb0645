"""Statistics that hold: estimands, tests, intervals, corrections. Tables in, `results` out.

attribution_frames + action_units → window_couplings → participant_couplings   (unit: participant)
    → h1_coupling (sign-flip max-T)   h2_severity (max-|rho|)   h4_bands   sensitivity
attribution_regions + participants → h3_regions (given f(x) − f(x0))   h3b_two_slopes
one recording → h5_recording (circular shift)
all rows → results (q over everything)
power_curve, detectable: what N participants can tell; lessons: the traps, simulated live.

Degenerate data get answers: estimates stay, tests are withheld, and the column ``note`` says why.
"""

from expresso_lib.statistics import lessons
from expresso_lib.statistics.bands import paper_bars, prediction_errors
from expresso_lib.statistics.couplings import (
    head_pose,
    model_couplings,
    participant_couplings,
    same_movement,
    select,
    undefined_windows,
    wide_action_units,
    window_couplings,
)
from expresso_lib.statistics.hypotheses import (
    COLUMNS,
    band_contrasts,
    h1_coupling,
    h2_severity,
    h3_regions,
    h3b_two_slopes,
    h4_bands,
    h5_recording,
    participant_regions,
    recording_shift,
    results,
)
from expresso_lib.statistics.intervals import (
    MIN_PARTICIPANTS,
    false_discovery,
    mean_interval,
    rho_interval,
)
from expresso_lib.statistics.permutations import (
    CircularShift,
    circular_shift,
    max_rho,
    sign_flip_max_t,
)
from expresso_lib.statistics.plan import (
    MARGIN_RHO,
    MARGIN_Z,
    ROUNDING_CLIP,
    ROUNDING_WINDOW,
    Plan,
    plan_table,
)
from expresso_lib.statistics.power import (
    detectable,
    detectable_table,
    equivalence_power,
    power,
    power_curve,
)
from expresso_lib.statistics.sensitivity import sensitivity, silent_frames, speech_separability

__all__ = [
    "COLUMNS",
    "MARGIN_RHO",
    "MARGIN_Z",
    "MIN_PARTICIPANTS",
    "ROUNDING_CLIP",
    "ROUNDING_WINDOW",
    "CircularShift",
    "Plan",
    "band_contrasts",
    "circular_shift",
    "detectable",
    "detectable_table",
    "equivalence_power",
    "false_discovery",
    "h1_coupling",
    "h2_severity",
    "h3_regions",
    "h3b_two_slopes",
    "h4_bands",
    "h5_recording",
    "head_pose",
    "lessons",
    "max_rho",
    "mean_interval",
    "model_couplings",
    "paper_bars",
    "participant_couplings",
    "participant_regions",
    "plan_table",
    "power",
    "power_curve",
    "prediction_errors",
    "recording_shift",
    "results",
    "rho_interval",
    "same_movement",
    "select",
    "sensitivity",
    "sign_flip_max_t",
    "silent_frames",
    "speech_separability",
    "undefined_windows",
    "wide_action_units",
    "window_couplings",
]
