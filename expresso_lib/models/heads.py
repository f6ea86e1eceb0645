"""Features computed once at the freeze boundary, and a regularised head on top of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import RidgeCV
from torch import Tensor, nn

# Multiples of the features' mean variance along a direction: as many features as there are, a
# penalty of 1 halves what an average direction says. On forty practice cohorts a wider
# choice did worse (r .78 against .79 with features half as noisy as they are strong, .67 against
# .70 with as much noise): made on a handful of people, it swings from no shrinkage to the null
# model.
PENALTIES = (1.0, 1.8, 3.2)


class Clips(Protocol):
    """What training needs of a data set: clips by index, and the table that says whose they are."""

    @property
    def table(self) -> pd.DataFrame:
        """Participant, recording, clip, score; one row per clip."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Tensor: ...


def features(
    model: nn.Module, clips: Clips, *, until: str = "head", batch: int = 8, device: str = "cpu"
) -> np.ndarray:
    """Features of every clip at a freeze boundary, computed once (the model is in ``eval``).

    Parameters
    ----------
    model : models.VideoRegressor
    clips : Clips
        N clips.
    until : {"head", "last"}
        The boundary.

    Returns
    -------
    ndarray
        float32 (N, D) for the head, (N, ...) for the last block.
    """
    model.eval().to(device)
    parts = []
    with torch.inference_mode():
        for rows in torch.arange(len(clips)).split(batch):
            chosen = torch.stack([clips[int(row)] for row in rows]).to(device)
            parts.append(model.features(chosen, until=until).float().cpu().numpy())
    return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class LinearHead:
    """score = features @ weight + bias."""

    weight: np.ndarray  # (D,) score points per unit
    bias: float

    def predict(self, values: np.ndarray) -> np.ndarray:
        """Score points (N,) of features (N, D)."""
        return values @ self.weight + self.bias

    def write_to(self, model: nn.Module) -> nn.Module:
        """Put the head into a model; returns it."""
        with torch.no_grad():
            model.head.weight.copy_(torch.from_numpy(self.weight[None]).float())
            model.head.bias.fill_(float(self.bias))
        return model


def fit_ridge(values: np.ndarray, scores: np.ndarray, groups: Sequence[str]) -> LinearHead:
    """Ridge regression on standardised features, its penalty by leaving one row out.

    A participant's clips of one score are averaged to one row first: more clips of one do not make
    them count more. Where scores vary within people (acted intensities) each of a person's scores
    is a row.

    Parameters
    ----------
    values : ndarray
        (N, D) features.
    scores : ndarray
        (N,) score points.
    groups : sequence of str
        (N,) participants.
    """
    rows = pd.DataFrame(np.asarray(values, float))
    means = rows.groupby([np.asarray(groups), np.asarray(scores, float)]).mean()
    x, y = means.to_numpy(), means.index.get_level_values(1).to_numpy()
    center, scale, fit = ridge(x, y[:, None])
    weight = np.ravel(fit.coef_) / scale
    bias = float(np.ravel(fit.intercept_)[0] - center @ weight)
    return LinearHead(weight, bias)


def ridge(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, RidgeCV]:
    """Centre and scale of the features (P, D), and the ridge on them for y (P, B).

    Each column of y has its own penalty; permutations of a score share the decomposition.
    """
    center, scale = x.mean(axis=0), _scale(x)
    z = (x - center) / scale
    sizes = np.linalg.svd(z, compute_uv=False)
    there = sizes[sizes > 1e-6 * max(float(sizes.max()), 1e-12)]  # directions that there are
    alphas = np.asarray(PENALTIES) * (float((there**2).mean()) if there.size else 1.0)
    return center, scale, RidgeCV(alphas=alphas, alpha_per_target=True).fit(z, y)


def _scale(x: np.ndarray) -> np.ndarray:
    """Spread of each unit, but never less than a quarter of the median unit's.

    A unit that hardly moves in these participants (nobody wears a headset) must not shout when it
    moves in somebody else; one that never moves says nothing.
    """
    scale = x.std(axis=0)
    moves = scale > 1e-6 * max(float(scale.max()), 1e-12)
    floor = 0.25 * float(np.median(scale[moves])) if moves.any() else 1.0
    return np.where(moves, np.maximum(scale, floor), np.inf)
