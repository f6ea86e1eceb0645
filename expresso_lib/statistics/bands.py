"""The paper's view: correlations averaged per band over "correct" predictions. No inference.

Kept so that its figure can be redrawn and looked at beside the same data done properly.
"""

from __future__ import annotations

import pandas as pd

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
    table = predictions.groupby(["participant", "recording"], as_index=False)[
        ["prediction", "score"]
    ].mean()
    return table.assign(error=table["prediction"] - table["score"])


def paper_bars(
    windows: pd.DataFrame, participants: pd.DataFrame, errors: pd.DataFrame, *, within: float = 5.0
) -> pd.DataFrame:
    """Mean window-wise Spearman correlation per AU and band, where the prediction was right.

    Parameters
    ----------
    windows : DataFrame
        From `window_couplings`, of intensities or of presence.
    participants : DataFrame
        ``participant, band``: the band of the label (the paper's code bins its overall summary
        by prediction).
    errors : DataFrame
        From `prediction_errors`.
    within : float
        Score points; "correct" is |error| ≤ within.

    Returns
    -------
    DataFrame
        ``au, band, mean, everyone, n_windows, n_participants``: ``mean`` over windows of correct
        recordings, ``everyone`` over all windows. Bands without a window are NaN, not absent.
    """
    people = participants[["participant", "band"]].astype(str)
    table = trained(windows).merge(people, on="participant")
    table = table.merge(errors[["recording", "error"]], on="recording", how="left")
    score = participants.groupby(participants["band"].astype(str))["score"].mean().sort_values()
    bands = [name for name in score.index if name in set(table["band"].astype(str))]
    right = (
        table[table["error"].abs() <= within]
        .dropna(subset="rho")
        .groupby(["au", "band"], observed=True)
    )
    bars = pd.DataFrame(
        {
            "mean": right["rho"].mean(),
            "n_windows": right.size(),
            "n_participants": right["participant"].nunique(),
        }
    )
    full = pd.MultiIndex.from_product([sorted(table["au"].unique()), bands], names=["au", "band"])
    bars = bars.reindex(full)
    bars["everyone"] = table.groupby(["au", "band"], observed=True)["rho"].mean().reindex(full)
    bars[["n_windows", "n_participants"]] = (
        bars[["n_windows", "n_participants"]].fillna(0).astype(int)
    )
    return bars.reset_index()
