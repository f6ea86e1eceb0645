"""Who the participants are to the model; and the paper's view, bars per band without inference."""

import pandas as pd

from expresso_lib.cohort import core
from expresso_lib.statistics.couplings import trained


def prediction_errors(predictions: pd.DataFrame) -> pd.DataFrame:
    """Mean prediction, score and signed error (prediction − score) of every recording.

    Parameters
    ----------
    predictions : DataFrame
        ``participant, recording, prediction, score``, one recipe; repeats are averaged.

    Returns
    -------
    DataFrame
        ``participant, recording, prediction, score, error``; score points.
    """
    keys = ["participant", "recording"]
    table = predictions.groupby(keys, as_index=False)[["prediction", "score"]].mean()
    return table.assign(error=table["prediction"] - table["score"])


def people_table(participants: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Participants with the fold whose model explains them: what `h2_severity`, `h3_regions` take.

    Parameters
    ----------
    participants : DataFrame
        ``participant`` and anything else.
    predictions : DataFrame
        Table ``predictions`` of one recipe; the fold is that of its first repeat.

    Returns
    -------
    DataFrame
        ``participants`` with the columns ``fold``, ``prediction`` and ``error`` (means over
        recordings and repeats; score points). Without a prediction they are missing.
    """
    keep = participants.drop(columns=["fold", "prediction", "error"], errors="ignore")
    means = prediction_errors(predictions).groupby("participant")[["prediction", "error"]].mean()
    first = predictions.get("repeat", pd.Series(0, predictions.index))
    means["fold"] = predictions[first == first.min()].groupby("participant")["fold"].first()
    return keep.merge(means.reset_index(), on="participant", how="left")


def paper_bars(
    windows: pd.DataFrame, participants: pd.DataFrame, errors: pd.DataFrame, *, within: float = 5.0
) -> pd.DataFrame:
    """Mean window-wise Spearman correlation per AU and band, where the prediction was right.

    Parameters
    ----------
    windows : DataFrame
        From `window_couplings`, of intensities or of presence.
    participants : DataFrame
        ``participant, score, band``: the band of the label (the paper's code bins its overall
        summary by prediction).
    errors : DataFrame
        From `prediction_errors`.
    within : float
        Score points; "correct" is |error| ≤ within.

    Returns
    -------
    DataFrame
        ``au, band, mean, everyone``: ``mean`` over windows of correct recordings, ``everyone``
        over all windows. Bands without a window are NaN, not absent.
    """
    people = participants.assign(band=core.band_names(participants["band"]))
    table = trained(windows).merge(people[["participant", "band"]], on="participant")
    table = table.merge(errors[["recording", "error"]], on="recording", how="left")
    order = people.groupby("band")["score"].mean().sort_values().index
    bands = [name for name in order if name in set(table["band"])]
    full = pd.MultiIndex.from_product([sorted(table["au"].unique()), bands], names=["au", "band"])
    right = table["rho"].where(table["error"].abs() <= within)
    bars = table.assign(mean=right, everyone=table["rho"]).groupby(["au", "band"])
    return bars[["mean", "everyone"]].mean().reindex(full).reset_index()
