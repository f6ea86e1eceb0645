"""What carries a correlation: Pearson's r of prediction and score, split over regions.

`explanation.parts_of_r` splits it; here the parts get intervals.
"""

from __future__ import annotations

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
    interval = stats.mean_interval(influence.to_numpy(), confidence=1 - plan.alpha,
                                   n_resamples=plan.bootstrap, seed=plan.seed)
    columns = dict(zip(("estimate", "ci_low", "ci_high"), interval))
    found = pd.DataFrame(columns, index=terms.columns)
    return found.loc[[*found.index.drop("f(x0)"), "f(x0)"]]
