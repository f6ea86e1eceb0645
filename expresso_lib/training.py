"""Fitting a model to scores and saying honestly how well it reads them.

Data flow: clips and a model give cached features; features, scores and folds give predictions
of participants the model has not seen; predictions give scores with intervals. A model is given
to every function here; none is built.

Clips are any sequence of float32 tensors ``(3, T, H, W)`` with a ``table``: one row per clip with
``participant``, ``recording``, ``clip`` and ``score``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)

METRICS = ("mae", "rmse", "ccc", "pearson")
LEVELS = ("clip", "participant")
# Multiples of the number of rows; from hardly any shrinkage to nearly the null model.
PENALTIES = tuple(float(value) for value in np.logspace(-2, 4, 13))


class Clips(Protocol):
    """What training needs of a data set: clips by index, and the table that says whose they are."""

    table: pd.DataFrame

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Tensor: ...


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a cross-validated result; its name is the key of every table."""

    model: str = "small"
    weights: str = "facial-actions"
    input: str = "face"
    frames: int = 32
    cohort: str = "rendered"
    variant: str = "default"
    seed: int = 0
    fit: str = "ridge"
    folds: int = 5
    repeats: int = 3

    @property
    def name(self) -> str:
        """Short unique name, e.g. ``small-facial-actions-face-32-default-s0``."""
        return recipe_name(self)


def recipe_name(recipe: Recipe) -> str:
    """The name under which a recipe stands in every table.

    >>> recipe_name(Recipe())
    'small-facial-actions-face-32-default-s0'
    >>> recipe_name(Recipe(fit="all", cohort="crema-d"))
    'small-facial-actions-face-32-default-s0-all-crema-d'
    """
    parts = [recipe.model, recipe.weights, recipe.input, str(recipe.frames), recipe.variant]
    parts.append(f"s{recipe.seed}")
    parts += [recipe.fit] if recipe.fit != "ridge" else []
    parts += [recipe.cohort] if recipe.cohort != "rendered" else []
    return "-".join(parts)


def recipes_table(recipes: Sequence[Recipe]) -> pd.DataFrame:
    """Table ``recipes``: one row per recipe."""
    rows = [{"recipe": recipe.name} | asdict(recipe) for recipe in recipes]
    table = pd.DataFrame(rows).rename(columns={"folds": "n_folds", "repeats": "n_repeats"})
    scheme = table["n_repeats"].astype(str) + " x " + table["n_folds"].astype(str)
    return table.assign(fold_scheme=scheme + "-fold, grouped by participant, stratified by band")


def features(
    model: nn.Module,
    clips: Clips,
    *,
    until: str = "head",
    batch: int = 8,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> np.ndarray:
    """Features of every clip at a freeze boundary, computed once (the model is in ``eval``).

    Parameters
    ----------
    model : models.VideoRegressor
    clips : Clips
        N clips.
    until : {"head", "last"}
        The boundary.
    dtype : torch.dtype
        ``torch.bfloat16`` runs the trunk under autocast.

    Returns
    -------
    ndarray
        float32 (N, D) for the head, (N, ...) for the last block.
    """
    model.eval().to(device)
    parts = []
    with torch.inference_mode(), torch.autocast(device, dtype, enabled=dtype != torch.float32):
        for start in range(0, len(clips), batch):
            chosen = [clips[i] for i in range(start, min(start + batch, len(clips)))]
            values = model.features(torch.stack(chosen).to(device), until=until)
            parts.append(values.float().cpu().numpy())
    return np.concatenate(parts)


def assign_folds(participants: pd.DataFrame, *, folds: int, seed: int) -> pd.Series:
    """Fold of every participant: the bands are dealt round, in random order within a band.

    Parameters
    ----------
    participants : DataFrame
        ``participant``, ``score`` and ``band``; one row each.

    Returns
    -------
    Series
        int fold, indexed by participant.

    Raises
    ------
    ValueError
        Fewer participants than folds.
    """
    if len(participants) < folds:
        raise ValueError(f"{len(participants)} participants do not fill {folds} folds; use fewer.")
    rng = np.random.default_rng(seed)
    order = participants.sample(frac=1, random_state=rng).sort_values("band", kind="stable")
    # A random first fold, so that no fold is always the one with the extra participant.
    numbers = (np.arange(len(order)) + rng.integers(folds)) % folds
    return pd.Series(numbers, index=order["participant"], name="fold").sort_index()


def split(groups: Sequence[str], assigned: pd.Series) -> Iterator[tuple[int, np.ndarray]]:
    """(fold, boolean mask of its test rows) for rows that belong to `groups`."""
    fold_of_row = assigned.loc[list(groups)].to_numpy()
    for fold in sorted(assigned.unique()):
        yield int(fold), fold_of_row == fold


@dataclass(frozen=True, eq=False)
class LinearHead:
    """score = features @ weight + bias; `penalty` is the λ chosen inside the training set."""

    weight: np.ndarray  # (D,) score points per unit
    bias: float
    penalty: float

    def predict(self, values: np.ndarray) -> np.ndarray:
        """Score points (N,) of features (N, D)."""
        return values @ self.weight + self.bias

    def write_to(self, model: nn.Module) -> nn.Module:
        """Put the head into a model; returns it."""
        with torch.no_grad():
            model.head.weight.copy_(torch.from_numpy(self.weight[None]).float())
            model.head.bias.fill_(float(self.bias))
        return model


def fit_ridge(
    values: np.ndarray,
    scores: np.ndarray,
    groups: Sequence[str],
    *,
    penalties: Sequence[float] = PENALTIES,
) -> LinearHead:
    """Ridge regression on standardised features, λ by leave-one-participant-out inside.

    A participant's rows are averaged first: the score is the participant's, and more clips of
    one do not make them count more.

    Parameters
    ----------
    values : ndarray
        (N, D) features.
    scores : ndarray
        (N,) score points.
    groups : sequence of str
        (N,) participants.
    penalties : sequence of float
        λ to choose from, per participant.
    """
    x, y = _by_group(values, scores, groups)
    errors = np.zeros(len(penalties))
    for left_out in range(len(y)):
        kept = np.arange(len(y)) != left_out
        for column, head in enumerate(_ridge_path(x[kept], y[kept], penalties)):
            errors[column] += (head.predict(x[left_out : left_out + 1])[0] - y[left_out]) ** 2
    best = penalties[int(np.argmin(errors))]
    return _ridge_path(x, y, [best])[0]


def _by_group(
    values: np.ndarray, scores: np.ndarray, groups: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.bincount(index)
    x = np.zeros((len(names), values.shape[1]))
    np.add.at(x, index, values)
    return x / counts[:, None], np.bincount(index, weights=scores) / counts


def _ridge_path(x: np.ndarray, y: np.ndarray, penalties: Sequence[float]) -> list[LinearHead]:
    center, scale = x.mean(axis=0), x.std(axis=0)
    # A unit that never moves says nothing; dividing by its tiny spread would make it shout.
    scale = np.where(scale > 1e-6 * max(float(scale.max()), 1e-12), scale, np.inf)
    u, s, vt = np.linalg.svd((x - center) / scale, full_matrices=False)
    projected = u.T @ (y - y.mean())
    heads = []
    for penalty in penalties:
        weight = vt.T @ (s * projected / (s**2 + penalty * len(y))) / scale
        heads.append(LinearHead(weight, float(y.mean() - center @ weight), float(penalty)))
    return heads


def cross_validate(
    values: np.ndarray,
    table: pd.DataFrame,
    participants: pd.DataFrame,
    recipe: Recipe,
    *,
    penalties: Sequence[float] = PENALTIES,
) -> pd.DataFrame:
    """Table ``predictions``: every clip predicted by heads that saw none of its participant.

    Parameters
    ----------
    values : ndarray
        (N, D) features, row i of `table`.
    table : DataFrame
        ``participant``, ``recording``, ``clip``, ``score``.
    participants : DataFrame
        ``participant``, ``band``.

    Returns
    -------
    DataFrame
        recipe, participant, recording, clip, repeat, fold, prediction, score.
    """
    scores, groups = table["score"].to_numpy(float), table["participant"].to_numpy()
    parts = []
    for repeat in range(recipe.repeats):
        assigned = assign_folds(participants, folds=recipe.folds, seed=1000 * recipe.seed + repeat)
        for fold, test in split(groups, assigned):
            head = fit_ridge(values[~test], scores[~test], groups[~test], penalties=penalties)
            rows = table.loc[test, ["participant", "recording", "clip", "score"]]
            rows = rows.assign(repeat=repeat, fold=fold, prediction=head.predict(values[test]))
            parts.append(rows)
    return _ordered(pd.concat(parts), recipe.name)


def null_predictions(
    table: pd.DataFrame, participants: pd.DataFrame, recipe: Recipe
) -> pd.DataFrame:
    """The null model on the same folds: everyone gets the mean of the training participants."""
    empty = np.zeros((len(table), 1))
    predictions = cross_validate(empty, table, participants, recipe, penalties=(1.0,))
    return predictions.assign(recipe="null")


def _ordered(rows: pd.DataFrame, recipe: str) -> pd.DataFrame:
    columns = ["participant", "recording", "clip", "repeat", "fold", "prediction", "score"]
    return rows[columns].assign(recipe=recipe)[["recipe", *columns]].reset_index(drop=True)


def by_level(predictions: pd.DataFrame, level: str) -> pd.DataFrame:
    """One row per clip or per participant: predictions averaged over repeats (and clips)."""
    clip = predictions.groupby(["participant", "recording", "clip"], as_index=False)
    rows = clip[["prediction", "score"]].mean()
    if level == "clip":
        return rows
    if level != "participant":
        raise ValueError(f"level {level!r} is unknown; choose clip or participant.")
    return rows.groupby("participant", as_index=False)[["prediction", "score"]].mean()


def _sums(rows: pd.DataFrame) -> np.ndarray:
    """(P, 8) per participant: n, Σ|e|, Σe², Σx, Σy, Σx², Σy², Σxy; every metric follows."""
    x, y = rows["prediction"].to_numpy(float), rows["score"].to_numpy(float)
    error = x - y
    terms = np.stack([np.ones_like(x), abs(error), error**2, x, y, x * x, y * y, x * y], axis=1)
    _, index = np.unique(rows["participant"].to_numpy(), return_inverse=True)
    sums = np.zeros((index.max() + 1, terms.shape[1]))
    np.add.at(sums, index, terms)
    return sums


def _metrics(sums: np.ndarray) -> np.ndarray:
    """(..., 8) sums to (..., 4) metrics in the order of ``METRICS``."""
    n = sums[..., 0]
    absolute, squared, x, y, xx, yy, xy = (sums[..., i] / n for i in range(1, 8))
    cov, var_x, var_y = xy - x * y, np.maximum(xx - x * x, 0), np.maximum(yy - y * y, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ccc = 2 * cov / (var_x + var_y + (x - y) ** 2)
        pearson = cov / np.sqrt(var_x * var_y)
    return np.stack([absolute, np.sqrt(np.maximum(squared, 0)), ccc, pearson], axis=-1)


def _to_line(metrics: np.ndarray) -> np.ndarray:
    """Errors by their logarithm, correlations by Fisher's z: scales on which spread is even."""
    bounded = np.arctanh(np.clip(metrics[..., 2:], -0.9999, 0.9999))
    return np.concatenate([np.log(np.maximum(metrics[..., :2], 1e-12)), bounded], axis=-1)


def _from_line(values: np.ndarray) -> np.ndarray:
    return np.concatenate([np.exp(values[..., :2]), np.tanh(values[..., 2:])], axis=-1)


def _jackknife(sums: np.ndarray, counts: np.ndarray, statistic) -> np.ndarray:
    """Standard error of a statistic of total sums when one participant at a time is left out."""
    p = counts.sum(axis=-1, keepdims=True)
    left = statistic((counts @ sums)[..., None, :] - sums)
    weights = (counts / p)[..., None]
    spread = (weights * (left - (weights * left).sum(axis=-2, keepdims=True)) ** 2).sum(axis=-2)
    return np.sqrt((p - 1) * spread)


def _studentised(
    sums: np.ndarray, statistic, *, draws: int, seed: int, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate and interval by the studentised bootstrap over participants (Efron, 1982)."""
    p = len(sums)
    ones = np.ones(p)
    estimate, error = statistic(sums.sum(axis=0)), _jackknife(sums, ones, statistic)
    counts = np.random.default_rng(seed).multinomial(p, ones / p, size=draws).astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        t = (statistic(counts @ sums) - estimate) / _jackknife(sums, counts, statistic)
    t[~np.isfinite(t)] = np.nan
    tail = (1 - level) / 2
    low, high = np.nanquantile(t, [1 - tail, tail], axis=0)
    return estimate, estimate - low * error, estimate - high * error


def model_scores(predictions: pd.DataFrame, *, draws: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Table ``model_scores``: MAE, RMSE, CCC and Pearson's r of every recipe, with intervals.

    Per clip and per participant (mean over clips); 95 % by the studentised bootstrap over
    participants, on the log scale for errors and Fisher's z for correlations.

    Returns
    -------
    DataFrame
        recipe, level, metric, estimate, ci_low, ci_high, n_participants.
    """
    rows = []
    for recipe, part in predictions.groupby("recipe", sort=False):
        for level in LEVELS:
            sums = _sums(by_level(part, level))
            values = _studentised(sums, lambda s: _to_line(_metrics(s)), draws=draws, seed=seed)
            estimate, low, high = (_from_line(value) for value in values)
            for i, metric in enumerate(METRICS):
                row = {"recipe": recipe, "level": level, "metric": metric}
                row |= {"estimate": estimate[i], "ci_low": low[i], "ci_high": high[i]}
                rows.append(row | {"n_participants": len(sums)})
    return pd.DataFrame(rows)


def model_differences(
    predictions: pd.DataFrame, pairs: Sequence[tuple[str, str]], *, draws: int = 2000, seed: int = 0
) -> pd.DataFrame:
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
    rows = []
    for a, b in pairs:
        for missing in {a, b} - set(known):
            raise ValueError(f"recipe {missing!r} has no predictions; run it first.")
        for level in LEVELS:
            one, two = by_level(known[a], level), by_level(known[b], level)
            if set(one["participant"]) != set(two["participant"]):
                raise ValueError(f"{a} and {b} were tested on different participants.")
            sums = np.concatenate([_sums(one), _sums(two)], axis=1)
            values = _studentised(sums, _difference, draws=draws, seed=seed)
            for i, metric in enumerate(METRICS):
                row = {"recipe_a": a, "recipe_b": b, "level": level, "metric": metric}
                numbers = (value[i] for value in values)
                rows.append(row | dict(zip(("estimate", "ci_low", "ci_high"), numbers)))
    return pd.DataFrame(rows)


def _difference(sums: np.ndarray) -> np.ndarray:
    return _metrics(sums[..., :8]) - _metrics(sums[..., 8:])
