"""How well scores are read: per clip and per participant, with intervals over participants."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from expresso_lib.cohort import core

METRICS = ("mae", "rmse", "ccc", "pearson")
LEVELS = ("clip", "participant")
ENDS = ("estimate", "ci_low", "ci_high")
# Below this many people no interval of ours covers its 95 %, and no verdict is given.
MIN_PARTICIPANTS = 10
Statistic = Callable[[np.ndarray], np.ndarray]


def by_level(predictions: pd.DataFrame, level: str) -> pd.DataFrame:
    """One row per clip, recording or participant: means over repeats, then over clips."""
    keys, values = ["participant", "recording", "clip"], ["prediction", "score"]
    rows = predictions.groupby(keys, as_index=False)[values].mean()
    return rows.groupby(keys[: keys.index(level) + 1], as_index=False)[values].mean()


def _sums(rows: pd.DataFrame) -> np.ndarray:
    """(P, 8) per participant: n, Σ|e|, Σe², Σx, Σy, Σx², Σy², Σxy; every metric follows."""
    x, y = rows["prediction"].to_numpy(float), rows["score"].to_numpy(float)
    error = x - y
    terms = np.stack([np.ones_like(x), abs(error), error**2, x, y, x * x, y * y, x * y], axis=1)
    return pd.DataFrame(terms).groupby(rows["participant"].to_numpy()).sum().to_numpy()


def _metrics(sums: np.ndarray) -> np.ndarray:
    """(..., 8) sums to (..., 4) metrics in the order of ``METRICS``."""
    n = sums[..., 0]
    absolute, squared, x, y, xx, yy, xy = (sums[..., i] / n for i in range(1, 8))
    cov, var_x, var_y = xy - x * y, np.maximum(xx - x * x, 0), np.maximum(yy - y * y, 0)
    # What does not vary has a variance of rounding errors, and would be said to agree.
    constant = (var_x <= 1e-12 * xx) | (var_y <= 1e-12 * yy)
    cov = np.where(constant, 0.0, cov)
    with np.errstate(invalid="ignore", divide="ignore"):
        ccc = 2 * cov / (var_x + var_y + (x - y) ** 2)
        pearson = np.where(constant, np.nan, cov / np.sqrt(var_x * var_y))
    return np.stack([absolute, np.sqrt(np.maximum(squared, 0)), ccc, pearson], axis=-1)


def _to_line(metrics: np.ndarray) -> np.ndarray:
    """Errors by their logarithm, correlations by Fisher's z: scales on which spread is even."""
    bounded = np.arctanh(np.clip(metrics[..., 2:], -0.9999, 0.9999))
    return np.concatenate([np.log(np.maximum(metrics[..., :2], 1e-12)), bounded], axis=-1)


def _from_line(values: np.ndarray) -> np.ndarray:
    return np.concatenate([np.exp(values[..., :2]), np.tanh(values[..., 2:])], axis=-1)


def _jackknife(sums: np.ndarray, counts: np.ndarray, statistic: Statistic) -> np.ndarray:
    """Standard error of a statistic of total sums when one participant at a time is left out."""
    p = counts.sum(axis=-1, keepdims=True)
    weights = (counts / p)[..., None]
    # Who was not drawn cannot be left out: what the statistic says of that may be no number.
    left = np.where(weights > 0, statistic((counts @ sums)[..., None, :] - sums), 0.0)
    spread = (weights * (left - (weights * left).sum(axis=-2, keepdims=True)) ** 2).sum(axis=-2)
    return np.sqrt((p - 1) * spread)


def studentised(
    sums: np.ndarray, statistic: Statistic, *, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate and 95 % interval by the studentised bootstrap over participants (Efron, 1982).

    Parameters
    ----------
    sums : ndarray, float, shape (P, K)
        Of each participant; what is drawn is a participant with all of its rows.
    statistic : callable
        Sums over participants (..., K) to M numbers (..., M).
    draws, seed : int

    Returns
    -------
    estimate, low, high : ndarray, shape (M,)
        Fewer than `MIN_PARTICIPANTS`: no limits (NaN).
    """
    p, estimate = len(sums), statistic(sums.sum(axis=0))
    if p < MIN_PARTICIPANTS:
        return estimate, estimate * np.nan, estimate * np.nan
    ones = np.ones(p)
    error = _jackknife(sums, ones, statistic)
    counts = np.random.default_rng(seed).multinomial(p, ones / p, size=draws).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = (statistic(counts @ sums) - estimate) / _jackknife(sums, counts, statistic)
    # A statistic that cannot vary (a model against itself) has an interval of width zero.
    t[~np.isfinite(t)] = np.nan
    t[:, np.isnan(t).all(axis=0)] = 0.0
    low, high = np.nanquantile(t, [0.975, 0.025], axis=0)
    return estimate, estimate - low * error, estimate - high * error


def model_scores(predictions: pd.DataFrame, *, draws: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Table ``model_scores``: MAE, RMSE, CCC and Pearson's r of every recipe, with intervals.

    Per clip and per participant (mean over clips); 95 % by the studentised bootstrap over
    participants, on the log scale for errors and Fisher's z for correlations; fewer than
    `MIN_PARTICIPANTS` get no interval.

    Returns
    -------
    DataFrame
        recipe, level, metric, estimate, ci_low, ci_high, n_participants.
    """
    parts = []
    for recipe, part in predictions.groupby("recipe", sort=False):
        for level in LEVELS:
            sums = _sums(by_level(part, level))
            values = studentised(sums, lambda s: _to_line(_metrics(s)), draws=draws, seed=seed)
            row = {"recipe": recipe, "level": level, "metric": METRICS}
            found = row | dict(zip(ENDS, map(_from_line, values)))
            parts.append(pd.DataFrame(found | {"n_participants": len(sums)}))
    return pd.concat(parts, ignore_index=True)


def model_differences(predictions: pd.DataFrame, pairs: Sequence[tuple[str, str]], *,
                      draws: int = 2000, seed: int = 0) -> pd.DataFrame:  # fmt: skip
    """Table ``model_differences``: a − b for pairs of recipes, the same participants in both.

    Returns
    -------
    DataFrame
        recipe_a, recipe_b, level, metric, estimate, ci_low, ci_high.

    Raises
    ------
    ValueError
        A recipe without predictions, or two that were not tested on the same participants.
    """
    known = {recipe: part for recipe, part in predictions.groupby("recipe")}
    parts = []
    for a, b in pairs:
        for missing in {a, b} - set(known):
            raise ValueError(f"recipe {missing!r} has no predictions; run it first.")
        for level in LEVELS:
            one, two = by_level(known[a], level), by_level(known[b], level)
            if set(one["participant"]) != set(two["participant"]):
                raise ValueError(f"{a} and {b} were tested on different participants.")
            sums = np.concatenate([_sums(one), _sums(two)], axis=1)
            values = studentised(
                sums, lambda s: _metrics(s[..., :8]) - _metrics(s[..., 8:]), draws=draws, seed=seed
            )
            # Two correlations are never further apart than 2.
            ends = [np.r_[value[:2], np.clip(value[2:], -2, 2)] for value in values]
            row = {"recipe_a": a, "recipe_b": b, "level": level, "metric": METRICS}
            parts.append(pd.DataFrame(row | dict(zip(ENDS, ends))))
    return pd.concat(parts, ignore_index=True)


def summary(scores: pd.DataFrame, recipe: str) -> dict[str, float]:
    """Participant-level numbers of a recipe, from table ``model_scores``.

    Returns
    -------
    dict
        Every metric, and ``null_mae``, the null model's.
    """
    people = scores[scores["level"] == "participant"].set_index(["recipe", "metric"])["estimate"]
    return people[recipe].to_dict() | {"null_mae": float(people["null", "mae"])}


class Errors(NamedTuple):
    """Who a recipe is wrong about; error = prediction - score, points."""

    participant: pd.DataFrame  # participant, band, prediction, score, error
    by_band: pd.DataFrame  # band, score, error (means); bands by their scores
    slope: float  # of prediction on score; below 1 is regression to the mean


def errors(predictions: pd.DataFrame, participants: pd.DataFrame) -> Errors:
    """Errors of one recipe by participant and severity band.

    Parameters
    ----------
    predictions : DataFrame
        Of one recipe.
    participants : DataFrame
        participant, band.
    """
    people = by_level(predictions, "participant")
    people["error"] = people["prediction"] - people["score"]
    bands = core.band_names(participants.set_index("participant")["band"])
    people = people.join(bands, on="participant")
    slope = float("nan")  # where everybody has one score nothing can follow it
    if people["score"].nunique() > 1:
        slope = float(np.polyfit(people["score"], people["prediction"], 1)[0])
    means = people.groupby("band", as_index=False)[["score", "error"]].mean()
    return Errors(people, means.sort_values("score", ignore_index=True), slope)
