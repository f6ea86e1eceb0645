"""Predictions of participants that the fit has not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from expresso_lib.training.heads import PENALTIES, fit_ridge

# Fits on the training rows (a mask) and predicts the test rows (a mask) of one fold.
Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]


def cross_validate(
    table: pd.DataFrame, schemes: pd.DataFrame, recipe: str, fit: Fit
) -> pd.DataFrame:
    """Table ``predictions``: every clip predicted by a fit that saw nothing of its participant.

    Parameters
    ----------
    table : DataFrame
        ``participant``, ``recording``, ``clip``, ``score``; N rows.
    schemes : DataFrame
        ``repeat``, ``participant``, ``fold``: who is tested when.
    recipe : str
        Name for the rows.
    fit : callable
        ``fit(train, test)`` with bool (N,) masks gives the predictions of the test rows.

    Returns
    -------
    DataFrame
        recipe, participant, recording, clip, repeat, fold, prediction, score.

    Raises
    ------
    ValueError
        A participant without a fold, or in two folds of one repeat.
    """
    keys = ["participant", "recording", "clip", "score"]
    parts = []
    for repeat, scheme in schemes.groupby("repeat"):
        if scheme["participant"].duplicated().any():
            raise ValueError(f"repeat {repeat} puts a participant into two folds; give one each.")
        fold_of_row = table["participant"].map(scheme.set_index("participant")["fold"]).to_numpy()
        if pd.isna(fold_of_row).any():
            raise ValueError(f"repeat {repeat} has no fold for some participants; give all one.")
        for fold in sorted(set(fold_of_row)):
            test = fold_of_row == fold
            rows = table.loc[test, keys].assign(repeat=repeat, fold=int(fold))
            parts.append(rows.assign(prediction=fit(~test, test)))
    columns = [*keys[:3], "repeat", "fold", "prediction", "score"]
    return pd.concat(parts).assign(recipe=recipe)[["recipe", *columns]].reset_index(drop=True)


def ridge_fit(
    values: np.ndarray, table: pd.DataFrame, *, penalties: Sequence[float] = PENALTIES
) -> Fit:
    """Ridge on cached features (N, D), row i of `table`; see `fit_ridge`."""
    scores, groups = table["score"].to_numpy(float), table["participant"].to_numpy()

    def fit(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        head = fit_ridge(values[train], scores[train], groups[train], penalties=penalties)
        return head.predict(values[test])

    return fit


def null_fit(table: pd.DataFrame) -> Fit:
    """The null model: everyone gets the mean score of the training participants."""
    scores = table.groupby("participant")["score"].first()

    def fit(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        return np.full(int(test.sum()), scores[table.loc[train, "participant"].unique()].mean())

    return fit


def leaks(table: pd.DataFrame) -> pd.DataFrame:
    """Leak report of an official split: participants that stand in more than one part.

    Parameters
    ----------
    table : DataFrame
        ``participant``, ``recording``, ``split``.

    Returns
    -------
    DataFrame
        participant, splits (comma-separated), recordings; empty where nothing leaks.
    """
    grouped = table.dropna(subset="split").groupby("participant")
    report = pd.DataFrame(
        {
            "splits": grouped["split"].agg(lambda parts: ", ".join(sorted(set(parts)))),
            "recordings": grouped["recording"].nunique(),
        }
    )
    return report[grouped["split"].nunique() > 1].reset_index()
