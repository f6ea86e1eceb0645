"""One recording and what was found about it: everything that its card and explorers say.

Frames, clips and regions of an `Explanation` are joined here with the recording's action units,
its score, and the interval that may (or may not) be given.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from expresso_lib.attribution import pooling
from expresso_lib.attribution.explanation import Channel, Explanation
from expresso_lib.cohort import ScoreScale
from expresso_lib.faces import anatomy


@dataclass(frozen=True, eq=False)
class Case:
    """One recording and what was found about it.

    Attributes
    ----------
    recording : str
        Its name.
    explanation : Explanation
        Clips and channels, in score points.
    action_units : DataFrame
        Row f is frame f: ``frame`` and a column per AU; ``attrs["source"]`` says whose.
    scale : ScoreScale
        What is predicted.
    half_width : float, optional
        Half of the interval around a new participant's prediction, score points. It is shown
        only where `outside` is empty.
    level : float
        Of that interval.
    score : float, optional
        The observed score, where there is one.
    errors : (float, float), optional
        Mean absolute error on participants that no fit had seen: the model's, and that of always
        answering the mean; score points.
    held_out : float, optional
        Prediction by a fit that had not seen this participant, where the explained model had.
    outside : str
        Why the recording is not of the kind the model was trained on; empty if it is.
    doubts : tuple of str
        What else speaks against the number; at the head of the card.
    found : ndarray, optional
        Bool (F,), frames of the recording in which its face was found.
    data : str
        What the recording is, for captions.
    """

    recording: str
    explanation: Explanation
    action_units: pd.DataFrame
    scale: ScoreScale
    half_width: float | None = None
    level: float = 0.9
    score: float | None = None
    errors: tuple[float, float] | None = None
    held_out: float | None = None
    outside: str = ""
    doubts: tuple[str, ...] = ()
    found: np.ndarray | None = None
    data: str = "Demo cohort (rendered faces)"

    @property
    def prediction(self) -> float:
        """Mean of the clips' predictions, score points."""
        return float(np.mean(self.explanation.channels[0].output))

    @property
    def told(self) -> float:
        """The prediction that counts: held out where there is one, score points."""
        return self.prediction if self.held_out is None else self.held_out

    @property
    def interval(self) -> tuple[float, float] | None:
        """Ends of the interval, cut at the scale's; None outside of the training domain.

        An infinite one (too few people for its level) is the whole scale.
        """
        if self.outside or self.half_width is None or np.isnan(self.half_width):
            return None
        # The width was found on people whom the fit had not seen: so must be the centre.
        low, high = self.told - self.half_width, self.told + self.half_width
        return max(low, self.scale.low), min(high, self.scale.high)

    @property
    def beyond(self) -> str:
        """How many clips are predicted outside of the scale, in words; empty if none."""
        said = self.explanation.channels[0].output
        out = int(((said < self.scale.low) | (said > self.scale.high)).sum())
        return f"{out} of {len(said)} clips are predicted outside of the scale" if out else ""

    @property
    def bands(self) -> list[str]:
        """Severity bands that the interval reaches, lowest first; without one, the prediction's."""
        names = [band.name for band in self.scale.bands]
        ends = self.scale.band(self.interval or (self.told, self.told))
        if any(end is None for end in ends):
            return []
        return names[names.index(ends[0]) : names.index(ends[1]) + 1]

    @cached_property
    def frames(self) -> pd.DataFrame:
        """Rows of the archive that some clip saw: row, frame, seconds."""
        rows, place = np.unique(self.explanation.rows, return_index=True)
        frame = self.explanation.frames.ravel()[place]
        return pd.DataFrame({"row": rows, "frame": frame, "seconds": rows / self.explanation.fps})

    def series(self, channel: Channel) -> np.ndarray:
        """Signed attribution per frame and region, (F', R) score points per frame of a clip."""
        return pooling.stitch(channel.mass.signed, self.explanation.rows)[1]

    def clips(self) -> pd.DataFrame:
        """One row per clip: where it starts, what the model says, what the references give."""
        starts = self.explanation.rows[:, 0] / self.explanation.fps
        first = self.explanation.channels[0].output
        table = pd.DataFrame({"starts_at_s": starts, "prediction": first})
        for channel in self.explanation.channels:
            name = f"{channel.method}, {channel.baseline.replace('_', ' ')}"
            table[f"of the reference ({name})"] = channel.output_baseline
            table[f"complete ({name})"] = channel.complete
        return table

    def regions(self, channel: Channel) -> pd.DataFrame:
        """Mean enrichment over clips and summed points of each region, both signs apart."""
        table = pooling.region_table(channel.mass)
        names = {"positive": "points up", "negative": "points down",
                 "enrichment_positive": "enrichment up",
                 "enrichment_negative": "enrichment down"}  # fmt: skip
        mean = table.groupby("region", sort=False)[list(names)].mean().rename(columns=names)
        return mean.rename(index=anatomy.REGION_TITLES).reset_index()

    def inner(self, channel: Channel) -> pd.DataFrame:
        """The frames that may be pointed at, with their ``attribution``: those with a face.

        The first and the last eighth of each clip are left out: a network that reads change has
        fewer neighbours there, and answers to the edge (measured on the demo cohort: at the first
        frame of a clip more than twice the mean of all frames).
        """
        length = self.explanation.rows.shape[1]
        inner = slice(length // 8, length - length // 8)
        seen, mean, _ = pooling.stitch(
            channel.mass.signed[:, inner], self.explanation.rows[:, inner]
        )
        frames = self.frames[self.frames["row"].isin(seen)].assign(attribution=mean.sum(axis=1))
        # What the model makes of a lost frame says nothing about the face.
        return frames if self.found is None else frames[self.found[frames["frame"].to_numpy()]]

    def extremes(self, channel: Channel, count: int = 4) -> dict[str, pd.DataFrame]:
        """The `inner` frames that raise and lower the prediction most, half a second apart."""
        frames = self.inner(channel)
        values, apart = frames["attribution"].to_numpy(), max(1, round(self.explanation.fps / 2))
        found = {}
        for name, lowest in (("raise", False), ("lower", True)):
            rows = pooling.top_frames(values, count, apart=apart, lowest=lowest)
            # A frame that lowers the score does not become a frame that raises it for want of any.
            rows = rows[values[rows] < 0 if lowest else values[rows] > 0]
            found[name] = frames.iloc[rows]
        return found


def typical(predictions: pd.DataFrame) -> pd.Series:
    """Choose whom to show: the participant whose held-out error is the median.

    Of their recordings the one whose error is nearest to their own mean error, the first where two
    are as near: chosen by a rule, not by its looks.

    Parameters
    ----------
    predictions : DataFrame
        One recipe's rows of the table ``predictions``.

    Returns
    -------
    Series
        ``participant, recording, prediction`` (held out, of the recording), ``score``, ``fold``.

    Examples
    --------
    >>> table = pd.DataFrame({"participant": list("abc"), "recording": ["a1", "b1", "c1"],
    ...                       "prediction": [1.0, 5.0, 9.0], "score": [2.0, 9.0, 9.0],
    ...                       "fold": [0, 1, 2]})
    >>> typical(table)["participant"]
    'a'
    """
    means = predictions.groupby("participant")[["prediction", "score"]].mean()
    errors = (means["prediction"] - means["score"]).abs().sort_values(kind="stable")
    who = errors.index[(len(errors) - 1) // 2]
    own = predictions[predictions["participant"] == who].groupby("recording")
    error = (own["prediction"].mean() - own["score"].mean()).sort_index()
    usual = means.loc[who, "prediction"] - means.loc[who, "score"]
    # Two recordings are equally far from their mean; rounding must not choose.
    return of_recording(predictions, str((error - usual).abs().round(6).idxmin()))


def of_recording(predictions: pd.DataFrame, recording: str) -> pd.Series:
    """Return participant, held-out prediction and score of one recording, as `typical` does.

    Raises
    ------
    ValueError
        If the recording has no prediction.
    """
    rows = predictions[predictions["recording"] == recording]
    if rows.empty:
        known = ", ".join(sorted(predictions["recording"].unique())[:5])
        raise ValueError(f"recording {recording!r} has no prediction; there are {known}, ...")
    first = rows.iloc[0]
    return pd.Series({
        "participant": first["participant"], "recording": recording,
        "prediction": float(rows["prediction"].mean()), "score": float(first["score"]),
        "fold": int(first["fold"]),
    })  # fmt: skip


def series_of(units: pd.DataFrame, recording: str) -> pd.DataFrame:
    """Take one recording from the table ``action_units`` as a `Case` wants it."""
    rows = units[units["recording"] == recording]
    wide = rows.pivot(index="frame", columns="au", values="intensity").reset_index()
    source = str(rows["source"].iloc[0]) if "source" in rows and len(rows) else "not stated"
    unit = str(rows["unit"].iloc[0]) if "unit" in rows and len(rows) else ""
    wide.attrs |= {"source": source, "unit": unit}
    return wide
