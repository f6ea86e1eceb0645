"""Who is tested when, and predictions of participants that the fit has not seen."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from expresso_lib.models.evaluation import by_level
from expresso_lib.models.heads import fit_ridge

# Fits on the training rows (a mask) and predicts the test rows (a mask) of one fold.
Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]

LEVEL = 0.9  # of a new participant's interval


def folds(participants: pd.DataFrame, n_folds: int, *, seed: int) -> pd.DataFrame:
    """Deal participants into folds, each with its share of every severity band.

    Parameters
    ----------
    participants : columns participant, score, band; one row each.
    n_folds : number of folds.
    seed : of the dealing; another seed is another repeat.

    Returns
    -------
    DataFrame
        participant, fold (0 to n_folds - 1). All recordings of a participant go with them, so
        nobody is on two sides of a split; sizes differ by at most one, in all and per band.
    """
    if participants["participant"].duplicated().any():
        raise ValueError("a participant has two rows; give one row per participant.")
    if not 2 <= n_folds <= len(participants):
        raise ValueError(
            f"{n_folds} folds of {len(participants)} participants; give 2 or more, "
            "at most one per participant."
        )
    rng = np.random.default_rng(seed)
    severity = participants.groupby("band")["score"].transform("mean")
    order = participants.assign(draw=rng.permutation(len(participants)), severity=severity)
    order = order.sort_values(["severity", "band", "draw"])
    # Dealing goes on from band to band: the folds stay level in every band and in all.
    order = order.assign(fold=rng.permutation(n_folds)[np.arange(len(order)) % n_folds])
    return order[["participant", "fold"]].sort_values("participant", ignore_index=True)


def cross_validate(table: pd.DataFrame, schemes: pd.DataFrame, name: str, fit: Fit) -> pd.DataFrame:
    """Table ``predictions``: every clip predicted by a fit that saw nothing of its participant.

    Parameters
    ----------
    table : DataFrame
        ``participant``, ``recording``, ``clip``, ``score``; N rows.
    schemes : DataFrame
        ``repeat``, ``participant``, ``fold``: who is tested when.
    name : str
        Of the recipe, for the rows.
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
    order = ["recipe", "participant", "recording", "clip", "repeat", "fold", "prediction", "score"]
    parts = []
    for repeat, scheme in schemes.groupby("repeat"):
        if scheme["participant"].duplicated().any():
            raise ValueError(f"repeat {repeat} puts a participant into two folds; give one each.")
        fold_of_row = table["participant"].map(scheme.set_index("participant")["fold"]).to_numpy()
        if pd.isna(fold_of_row).any():
            raise ValueError(f"repeat {repeat} has no fold for some participants; give all one.")
        for fold in sorted(set(fold_of_row)):
            test = fold_of_row == fold
            rows = table[test].assign(recipe=name, repeat=repeat, fold=int(fold))
            parts.append(rows.assign(prediction=fit(~test, test)))
    return pd.concat(parts, ignore_index=True)[order]


def ridge_fit(values: np.ndarray, table: pd.DataFrame) -> Fit:
    """Ridge on cached features (N, D), row i of `table`; see `fit_ridge`."""
    scores, groups = table["score"].to_numpy(float), table["participant"].to_numpy()

    def fit(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        head = fit_ridge(values[train], scores[train], groups[train])
        return head.predict(values[test])

    return fit


def null_fit(table: pd.DataFrame) -> Fit:
    """The null model: everyone gets the mean score of the training participants."""
    scores = table.groupby("participant")["score"].mean()

    def fit(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        return np.full(int(test.sum()), scores[table.loc[train, "participant"].unique()].mean())

    return fit


def conformal_interval(predictions: pd.DataFrame) -> dict[str, float]:
    """Half width of a 90 % interval around what is predicted of a new participant's recording.

    Cross-conformal (Vovk, 2015), by the absolute errors of recordings whose participant no fit
    had seen. As recordings of one person are alike, each counts 1 / (their number), and the width
    is where these counts reach level × (P + 1) (Lee, Barber and Willett, 2023); infinite where P
    participants are too few for the level.

    Parameters
    ----------
    predictions : DataFrame
        Cross-validated, one recipe.

    Returns
    -------
    dict
        level, half_width (score points), participants.
    """
    # One fit is what somebody new meets: means over repeats of the folds err less.
    once = predictions[predictions["repeat"] == predictions["repeat"].min()]
    rows = by_level(once, "recording")
    rows = rows.assign(error=(rows["prediction"] - rows["score"]).abs()).sort_values("error")
    people = rows["participant"].nunique()
    counts = 1 / rows.groupby("participant")["recording"].transform("size")
    wide = rows.loc[counts.cumsum() >= LEVEL * (people + 1) - 1e-9, "error"]
    width = float(wide.iloc[0]) if len(wide) else float("inf")
    return {"level": LEVEL, "half_width": width, "participants": float(people)}
