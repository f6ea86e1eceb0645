"""What each region stands for: its part of Pearson's r, and how far it is denser than by chance."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from expresso_lib import statistics
from expresso_lib.attribution import explanation
from expresso_lib.faces import anatomy


def parts(
    regions: pd.DataFrame, participants: pd.DataFrame, *, plan: statistics.Plan
) -> pd.DataFrame:
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
        Index: region, ``f(x0)`` after them, and ``not explained`` where an explanation does not
        add up; ``estimate, ci_low, ci_high`` and ``simultaneous_low, simultaneous_high``, which
        hold for the regions of the face at once (Bonferroni). The estimates add up to r.
    """
    terms = explanation.parts_of_r(regions, participants)
    clips = regions.drop_duplicates(["participant", "clip"])
    prediction = clips.groupby("participant")["output"].mean().loc[terms.index]
    score = participants.set_index("participant")["score"].loc[terms.index].astype(float)
    size = sum(((one - one.mean()) / one.std(ddof=0)) ** 2 for one in (prediction, score)) / 2 - 1
    influence = terms - size.to_numpy()[:, None] * terms.mean().to_numpy()
    found = pd.DataFrame(index=terms.columns)
    for name, family in (("simultaneous", len(anatomy.FEATURE_REGIONS)), ("ci", 1)):
        found["estimate"], found[f"{name}_low"], found[f"{name}_high"] = statistics.mean_interval(
            influence.to_numpy(), confidence=1 - plan.alpha / family,
            n_resamples=plan.bootstrap, seed=plan.seed,
        )  # fmt: skip
    return found


def beyond_chance(regions: pd.DataFrame, dealt: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """How much denser each region is than under heads that were fitted to dealt scores.

    A network reacts to some regions, the eyes for instance, whatever its head was fitted to. What
    the fit to severity adds is the enrichment less its mean over such heads
    (`experiments.dealt`). Where there is nothing to learn the true head is one more deal, so it
    is ranked among them: each head against the mean and spread of the others, the largest region
    of each. Participants are not drawn anew: the test speaks of these people and this network.

    Parameters
    ----------
    regions : DataFrame
        ``attribution_regions`` of one method and baseline.
    dealt : sequence of DataFrame
        The same of K ≥ 3 heads, of some of the clips: the others are left out of ``regions``.

    Returns
    -------
    DataFrame
        Index: region; ``estimate`` (log density beyond the mean of the dealt heads, mean over
        participants), ``low, high`` (of the dealt heads, each against the others), ``p`` (family-
        wise over regions, (1 + b) / (1 + K)).

    Raises
    ------
    ValueError
        For fewer than three dealt heads.
    """
    if len(dealt) < 3:
        raise ValueError(f"{len(dealt)} dealt heads have no spread; give 3, and 19 for p = .05.")
    shared = regions[regions["clip"].isin(dealt[0]["clip"])]
    heads = [explanation.enrichment(table).mean() for table in (shared, *dealt)]
    values = np.array(heads)
    beyond, largest = np.empty_like(values), np.empty_like(values)
    for number in range(len(values)):
        others = np.delete(values, number, axis=0)
        beyond[number] = values[number] - others.mean(axis=0)
        largest[number] = beyond[number] / np.maximum(others.std(axis=0, ddof=1), 1e-12)
    # All heads are treated alike, the true one too: that is what makes the rank exact. A region
    # that some head does not have is not compared, nor does it hide the others.
    known = np.isfinite(largest).all(axis=0)
    highest = np.where(known, largest, -np.inf)[1:].max(axis=1)
    reached = np.where(known, (highest[:, None] >= largest[0]).sum(axis=0), np.nan)
    ends = {"estimate": beyond[0], "low": beyond[1:].min(axis=0), "high": beyond[1:].max(axis=0)}
    return pd.DataFrame(ends | {"p": (1 + reached) / (1 + len(dealt))}, index=heads[0].index)
