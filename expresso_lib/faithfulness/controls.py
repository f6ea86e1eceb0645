"""What any explanation has to beat: maps and numbers that have not seen what the model does.

Several metrics are passed by maps that never saw the model (edges, motion, the difference from a
calm frame), so no score is reported without theirs.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from expresso_lib.config import NEUTRAL
from expresso_lib.faithfulness.interventions import Effect

# What has not seen the model's answer to the clip; by far not all, see `usual`.
USUAL, WITH_HEAD = "usual", "usual and the head"
BLIND = ("random", "edge", "motion", "difference", "amount", USUAL, WITH_HEAD)
# These divide f(x) - f(x0), so what f(x0) says of a head that turns is a part of their account.
DIVIDING = ("DeepLift", "IntegratedGradients", "ExpectedGradients", "ShapleySampling")
# What the model does, laid on the pixels: a map that tells the truth, and what overlap costs it.
TRUTH = ("painted", "none")


def maps(clip: Tensor, calm: Tensor, *, seed: int | Sequence[int] = 0) -> dict[str, np.ndarray]:
    """Maps (T, H, W) of a clip (3, T, H, W) and a calm frame (3, 1, H, W), blind to the model.

    ``random``, ``edge`` (spatial gradient), ``motion`` (change since the frame before),
    ``difference`` (|x - calm|).
    """
    grey, still = (one.mean(dim=0).numpy() for one in (clip, calm))
    down, right = np.gradient(grey, axis=(1, 2))
    return {
        "random": np.random.default_rng(seed).standard_normal(grey.shape),
        "edge": np.hypot(down, right),
        "motion": np.abs(np.diff(grey, axis=0, prepend=grey[:1])),
        "difference": np.abs(grey - still),
    }


def painted(effects: Sequence[Effect]) -> np.ndarray:
    """The truth as a map (T, H, W), score points: what a faithful explanation might show.

    A factor's effect lies on the pixels that it changes, in proportion to how much; the head, which
    changes them all, is told beside the map (`metrics.evidence`). What the map loses is lost to
    overlap; another faithful map, with more on the pixels that a factor has to itself, loses less.
    """
    parts = [one.effect * one.change / max(one.change.sum(), 1e-12) for one in effects]
    return np.sum(parts, axis=0)


def usual(rows: pd.DataFrame) -> pd.DataFrame:
    """Evidence of a control: the factor's amount, times its mean effect per amount in others.

    It knows how the model uses a factor in general, and nothing of its use in this clip.

    Parameters
    ----------
    rows : pd.DataFrame
        Evidence of many participants (`metrics.evidence`).
    """
    one = rows[(rows["method"] == "amount") & rows["support"].isin(["changed", "region"])]
    keys = [one["factor"], one["support"]]

    def elsewhere(values: pd.Series) -> pd.Series:
        own = values.groupby([*keys, one["participant"]]).transform("sum")
        return values.groupby(keys).transform("sum") - own

    size = elsewhere(one["amount"] ** 2)
    rate = elsewhere(one["amount"] * one["effect"]) / size.where(size > 1e-9)
    return one.assign(method=USUAL, said=one["amount"] * rate)


def with_head(usual: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """`usual`, but of the head what a posed reference says of it, whatever is laid on pixels.

    What such a reference scores as the head moves is known without any explanation; so one that
    is to know the head, too, has to know more than this.

    Parameters
    ----------
    usual, rows : pd.DataFrame
        Evidence of `usual`, and of explanations (`metrics.evidence`).
    """
    head = rows[(rows["baseline"] == NEUTRAL) & rows["method"].isin(DIVIDING)]
    head = head[(head["factor"] == "head_motion") & head["support"].isin(usual["support"])]
    head = head.drop_duplicates(["participant", "clip", "support"])
    placed = usual[(usual["factor"] != "head_motion") & bool(len(head))]
    both = pd.concat([placed, head], ignore_index=True)
    return both.assign(method=WITH_HEAD, baseline="none")
