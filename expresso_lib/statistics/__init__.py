"""Statistics that hold: estimands, tests, intervals, corrections. Tables in, `results` out.

attribution_frames + action_units → window_couplings → participant_couplings   (unit: participant)
    → hypotheses: h1_coupling (sign-flip max-T)   h2_severity (max-|rho|)   h4_bands   sensitivity
attribution_regions + participants → h3_regions (given f(x) − f(x0))   h3b_two_slopes
one recording → h5_recording (circular shift)
all of it, in one call → testing.test_all → results (q over everything) → claims.build (the ledger)
power_curve, detectable: what N participants can tell; lessons: the traps, simulated live;
wording: one way to write a number, an interval, a verdict; prose: numbers in, a sentence that is
true of them out.

Degenerate data get answers: estimates stay, tests are withheld, and the column ``note`` says why.
"""

from expresso_lib.statistics.bands import paper_bars, prediction_errors
from expresso_lib.statistics.couplings import (
    participant_couplings,
    select,
    undefined_windows,
    wide_action_units,
    window_couplings,
)
from expresso_lib.statistics.hypotheses import participant_regions, recording_shift, rows_of
from expresso_lib.statistics.intervals import mean_interval
from expresso_lib.statistics.permutations import max_rho, sign_flip_max_t
from expresso_lib.statistics.plan import Plan, plan_table
from expresso_lib.statistics.power import (
    detectable,
    equivalence_power,
    observed_spread,
    power_curve,
)
from expresso_lib.statistics.shifts import circular_shift
