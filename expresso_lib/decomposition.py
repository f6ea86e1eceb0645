"""What each region stands for: its part of Pearson's r, and its density beyond chance.

`explanation.parts_of_r` and `explanation.beyond_chance` say it person by person; here it gets
intervals over participants.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from expresso_lib import explanation, stats


def parts(regions: pd.DataFrame, participants: pd.DataFrame, *, plan: stats.Plan) -> pd.DataFrame:
    """Each region's part of r with an interval over participants.

    A part is a ratio, cov(C, y) / (sd(f) sd(y)), and both standard deviations are estimated from
    the same people. A participant's influence on it is ``value - part ((z_f² + z_y²) / 2 - 1)``,
    where z are standardised prediction and score; the interval is that of the mean influence.
    Taken as known, they would make the interval of an r of .8 1.4 wide (24 people, simulated).

    Parameters
    ----------
    regions, participants : DataFrame
        As `explanation.parts_of_r` takes them.
    plan : stats.Plan

    Returns
    -------
    DataFrame
        Index: region, ``f(x0)`` last; ``estimate, ci_low, ci_high``. The estimates add up to r.
    """
    terms = explanation.parts_of_r(regions, participants).pivot(
        index="participant", columns="region", values="value")
    clips = regions.drop_duplicates(["participant", "clip"])
    prediction = clips.groupby("participant")["output"].mean().loc[terms.index]
    score = participants.set_index("participant")["score"].loc[terms.index].astype(float)
    size = sum(((one - one.mean()) / one.std(ddof=0)) ** 2 for one in (prediction, score)) / 2 - 1
    influence = terms - size.to_numpy()[:, None] * terms.mean().to_numpy()
    found = _means(influence, plan)
    return found.loc[[*found.index.drop("f(x0)"), "f(x0)"]]


def beyond_chance(regions: pd.DataFrame, dealt: Sequence[pd.DataFrame], *, plan: stats.Plan
                  ) -> pd.DataFrame:
    """How much denser each region is than under heads that were fitted to dealt scores.

    The interval speaks of other participants under these models and these heads.

    Parameters
    ----------
    regions, dealt
        As `explanation.beyond_chance` takes them.
    plan : stats.Plan

    Returns
    -------
    DataFrame
        Index: region; ``estimate, ci_low, ci_high``, log density.
    """
    return _means(explanation.beyond_chance(regions, dealt), plan)


def _means(values: pd.DataFrame, plan: stats.Plan) -> pd.DataFrame:
    interval = stats.mean_interval(values.to_numpy(), confidence=1 - plan.alpha,
                                   n_resamples=plan.bootstrap, seed=plan.seed)
    return pd.DataFrame(dict(zip(("estimate", "ci_low", "ci_high"), interval)),
                        index=values.columns)
