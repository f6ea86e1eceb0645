"""Every hypothesis of the plan in one call, and the table that holds what was found."""

from dataclasses import dataclass
from functools import partial

import pandas as pd

from expresso_lib.statistics import couplings, hypotheses
from expresso_lib.statistics.bands import people_table
from expresso_lib.statistics.plan import Plan
from expresso_lib.statistics.sensitivity import sensitivity, speech_separability


@dataclass(frozen=True, eq=False)
class Tests:
    """What the plan's tests found; ``results`` holds all rows, with q over its questions."""

    h1: pd.DataFrame
    anew: pd.DataFrame  # H1 by models of other folds
    h2: pd.DataFrame
    results: pd.DataFrame


def severest(series: pd.DataFrame, units: pd.DataFrame, people: pd.DataFrame) -> str:
    """Name the first recording of the most severe participant who has series of both."""
    both = series[series["recording"].isin(units["recording"])]
    both = both if len(both) else series
    seen = people[people["participant"].isin(both["participant"])]
    who = seen.sort_values("score")["participant"].iloc[-1]
    return str(both.loc[both["participant"] == who, "recording"].iloc[0])


def test_all(
    series: pd.DataFrame,
    units: pd.DataFrame,
    regions: pd.DataFrame,
    people: pd.DataFrame,
    predictions: pd.DataFrame,
    *,
    frames: pd.DataFrame,
    repeats: pd.DataFrame,
    window: int,
    plan: Plan,
) -> Tests:
    """Test H1 to H5 and the sensitivity models as they were declared.

    Parameters
    ----------
    series, regions : DataFrame
        ``attribution_frames`` and ``attribution_regions`` of one channel, randomised models too.
    units, frames, people : DataFrame
        Tables ``action_units``, ``frames`` (head pose, gaze) and ``participants``.
    predictions : DataFrame
        Of the recipe that was explained: signed error, and the folds within which scores permute.
    repeats : DataFrame
        ``attribution_frames`` by models of other folds.
    window : int
        Frames of a correlation window.
    plan : Plan
    """
    table = people_table(people, predictions)
    couple = partial(couplings.window_couplings, window=window, rounding=plan.rounding_window)
    windows = couple(series, units)
    turned = couple(series, units, covariates=couplings.head_pose(frames))
    speech = speech_separability(series, units, window=window, plan=plan)
    h1 = hypotheses.h1_coupling(windows, adjusted=turned, plan=plan)
    others = couple(repeats, units)
    # What networks with shuffled weights give for the same recordings comes off here, too.
    shuffled, chance = couplings.shuffled(windows), couplings.shuffled(series)
    shuffled = shuffled[shuffled["recording"].isin(others["recording"])]
    chance = chance[chance["recording"].isin(others["recording"])]
    anew = hypotheses.h1_coupling(pd.concat([others, shuffled]), plan=plan)
    h2 = hypotheses.h2_severity(windows, table, plan=plan)
    recording = severest(series, units, people)
    # The declared row of H1 is that of models drawn anew, where they can be told apart.
    second = bool(anew["inference"].str.startswith(hypotheses.ANEW).any())
    rows = hypotheses.results(
        h1.assign(status="exploratory") if second else h1,
        anew,
        h2,
        hypotheses.h3_regions(regions, table, plan=plan),
        hypotheses.h3b_two_slopes(regions, table, plan=plan),
        hypotheses.h4_bands(windows, people),
        hypotheses.h5_recording(series, units, recording, window=window),
        hypotheses.gaze(
            pd.concat([repeats, chance]) if second else series, frames, window=window, plan=plan
        ),
        sensitivity(windows, people, plan=plan),
        speech=speech,
    )
    h1, h2 = (hypotheses.results(one, speech=speech) for one in (h1, h2))
    return Tests(h1, anew, h2, rows)
