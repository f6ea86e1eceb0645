"""Do the answers survive another model of the same data? Mixed model, GEE, covariates, silence."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf
from scipy import stats as scipy_stats

from expresso_lib.faces import anatomy
from expresso_lib.models import MIN_PARTICIPANTS
from expresso_lib.statistics import couplings as cp
from expresso_lib.statistics import hypotheses as hy
from expresso_lib.statistics import permutations as pm
from expresso_lib.statistics.plan import DEFAULT, Plan


def sensitivity(
    windows: pd.DataFrame, people: pd.DataFrame, *, plan: Plan = DEFAULT
) -> pd.DataFrame:
    """Windows within recordings within participants: z ~ severity by mixed model and by GEE.

    Severity is centred, so the intercept is the mean coupling (compare H1) and the slope, per
    `Plan.step` score points, is its change (compare H2). p from t with participants − 1 degrees of
    freedom instead of the normal: with 24 people the normal errs in 7 to 8 %.

    Parameters
    ----------
    windows : DataFrame
        From `window_couplings`; trained models only are used.
    people : DataFrame
        ``participant, score``.
    plan : Plan

    Returns
    -------
    DataFrame
        Rows of `results`: hypotheses ``mixed``, ``mixed slope``, ``gee``, ``gee slope``. A fit
        that did not work leaves NaN and says so in ``note``.

    Notes
    -----
    statsmodels' ``lbfgs`` can report ``converged=True`` with nonsense; ``powell`` is used, and a
    standard error below a tenth of the one from participants' means counts as failed.
    """
    data = cp.trained(windows).merge(people[["participant", "score"]], on="participant")
    data = data.dropna(subset=["z", "score"])
    data["severity"] = (data["score"] - people["score"].mean()) / plan.step
    # Repeats of the folds see the same windows: they are averaged, not counted again.
    keys = ["au", "participant", "recording", "window", "severity"]
    data = data.groupby(keys)["z"].mean().reset_index()
    rows = []
    for au, table in data.groupby("au"):
        count, recordings = table["participant"].nunique(), table["recording"].nunique()
        facts = {"au": au, "n_participants": count, "n_recordings": recordings,
                 "n_windows": len(table), "status": "exploratory", "sign": "signed"}  # fmt: skip
        reason = f"{count} participants or too few scores"
        few = count < MIN_PARTICIPANTS or table["severity"].nunique() < 3
        for name, fit in (("mixed", _mixed), ("gee", _gee)):
            found = _terms(name, reason if few else fit(table), count, plan)
            rows.append(found.assign(**facts))
    return hy.tidy(pd.concat(rows, ignore_index=True) if rows else pd.DataFrame())


def _mixed(table: pd.DataFrame) -> Any:
    """Random intercepts of participant and, where there are several, of recording; or a reason."""
    people = table.groupby("participant")
    several = table["recording"].nunique() > len(people)
    parts = {"recording": "0 + C(recording)"} if several else None
    model = smf.mixedlm("z ~ severity", table, groups="participant", vc_formula=parts)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        try:
            fit = model.fit(method="powell", reml=True)
        except np.linalg.LinAlgError as error:
            return f"mixed model failed: {error}"
    # Participants' means give a standard error that no sound fit undercuts tenfold.
    unsound = not fit.converged or fit.bse["Intercept"] <= 0.1 * people["z"].mean().sem()
    return "mixed model did not converge to a sound fit" if unsound else fit


def _gee(table: pd.DataFrame) -> Any:
    """Population-averaged model, exchangeable within participants, bias-reduced errors."""
    together = sm.cov_struct.Exchangeable()
    model = smf.gee("z ~ severity", "participant", data=table, cov_struct=together)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        return model.fit(cov_type="bias_reduced")


def _terms(name: str, fit: Any, people: int, plan: Plan) -> pd.DataFrame:
    """Intercept and slope as rows, with t on participants − 1 degrees of freedom."""
    if isinstance(fit, str):
        return pd.DataFrame({"hypothesis": [name], "note": fit})
    estimate, error = (one[["Intercept", "severity"]].to_numpy() for one in (fit.params, fit.bse))
    low, high = scipy_stats.t(people - 1, estimate, error).interval(1 - plan.alpha)
    p = 2 * scipy_stats.t.sf(np.abs(estimate / error), people - 1)
    rows = {"hypothesis": [name, f"{name} slope"], "p": p, "ci_low": low, "ci_high": high}
    effects = ["mean z", f"z per {plan.step:g} points"]
    return pd.DataFrame(rows).assign(estimate=estimate, effect=estimate, effect_name=effects)


# Analyses of two questions, by their hypothesis in `results`.
ANALYSES = {
    "H1": "p of mean: H1", "mixed": "p of mean: mixed model", "gee": "p of mean: GEE",
    "H2": "p of severity: H2", "H4": "p of severity: bands (H4)",
    "mixed slope": "p of severity: mixed model", "gee slope": "p of severity: GEE",
}  # fmt: skip


def side_by_side(results: pd.DataFrame) -> pd.DataFrame:
    """Uncorrected p of every action unit, a column for each of `ANALYSES` that a run has.

    All of the models at hand: where H1 was asked of models of other folds too, not of these.
    """
    rows = results[results["hypothesis"].isin(ANALYSES)]
    rows = rows[~rows["inference"].astype(str).str.startswith(hy.ANEW)]
    wide = rows.pivot_table("p", "au", "hypothesis").reindex(columns=list(ANALYSES))
    return wide.dropna(axis=1, how="all").rename(columns=ANALYSES)


def silent_frames(units: pd.DataFrame, *, margin: int = 6) -> pd.Series:
    """Which frames are silent: lips and jaw still for a while.

    Parameters
    ----------
    units : DataFrame
        See `wide_action_units`; still is what counts as such in the table's unit.
    margin : int
        Frames on either side that must be still as well: speech closes the lips several times a
        second, so one still frame is not silence.

    Returns
    -------
    Series of bool
        Indexed by ``(recording, frame)``. All False where neither AU25 nor AU26 was measured.
    """
    wide = cp.wide_action_units(units, value="still").sort_values(["recording", "frame"])
    wide = wide.set_index(["recording", "frame"])
    mouth = [au for au in ("AU25", "AU26") if au in wide]
    still = (wide[mouth] <= 1).all(axis=1) & bool(mouth)
    near, width = still.astype(float).groupby("recording"), 2 * margin + 1
    return near.transform(lambda s: s.rolling(width, center=True, min_periods=1).min()) == 1


def speech_separability(
    series: pd.DataFrame, units: pd.DataFrame, *, window: int = 64, plan: Plan = DEFAULT
) -> pd.DataFrame:
    """Which AUs go with the attribution when nobody speaks?

    Where speech moves both the mouth and the model's attribution, jaw and lips are
    "significant" 99 % of the time, and partialling out AU25 leaves 60 %. AU10, 20, 25 and 26
    count as not separable from speech unless they survive in silent segments.

    Returns
    -------
    DataFrame
        ``au, z_all, z_silent, p_silent, flag``; ``flag`` is "not separable from speech" or
        empty.
    """
    everywhere, silent = (
        cp.window_couplings(series, units, window=window, keep=keep, rounding=plan.rounding_window)
        for keep in (None, silent_frames(units))
    )
    table = cp.participant_couplings(everywhere).groupby("au")["z"].mean().to_frame("z_all")
    people = cp.participant_couplings(silent).pivot(index="participant", columns="au", values="z")
    people = people.reindex(columns=table.index)
    table["z_silent"] = people.mean()
    table["p_silent"] = np.nan
    z = people.loc[:, people.notna().sum() >= MIN_PARTICIPANTS]
    if len(z.columns):
        test = pm.sign_flip_max_t(z.to_numpy(), n_flips=plan.permutations, seed=plan.seed)
        table.loc[z.columns, "p_silent"] = test.p_max
    same_sign = np.sign(table["z_silent"]) == np.sign(table["z_all"])
    survives = (table["p_silent"] <= plan.alpha) & same_sign
    speech = table.index.isin(anatomy.SPEECH_AUS)
    table["flag"] = np.where(speech & ~survives, "not separable from speech", "")
    return table.sort_index().reset_index()
