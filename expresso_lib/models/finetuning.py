"""Fine-tuning a network: staged unfreezing, early stopping on participants kept aside for it."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from expresso_lib import config
from expresso_lib.models.heads import Clips, LinearHead, features

PARTS = ("head", "last", "all")
TAKEN = 2  # clips of a participant's score in one step where the whole network is trained


@dataclass(frozen=True)
class FineTuning:
    """How a network is fine-tuned: which parts in turn, and how each is optimised."""

    parts: tuple[str, ...] = ("last", "all")  # of head, last, all
    epochs: int = 6  # per part, at most
    batch: int = 8  # participants' scores per step
    learning_rate: float = 3e-4
    deeper: float = 0.1  # share of it for what lies below the last block
    optimizer: str = "adamw"  # or sgd
    patience: int = 3  # epochs without progress on the stopping participants
    seed: int = 0
    device: str = "cpu"

    @classmethod
    def of(cls, section: config.TrainingSection) -> FineTuning:
        """Take what a run's parameters say of it."""
        names = ("epochs", "batch", "learning_rate", "optimizer", "device")
        return cls(**{name: getattr(section, name) for name in names})


def finetune(
    model: nn.Module,
    clips: Clips,
    train: np.ndarray,
    stop: np.ndarray,
    *,
    options: FineTuning,
    head: LinearHead,
    start: np.ndarray | None = None,
) -> pd.DataFrame:
    """Fit a model in place: one part after another, the best epoch kept, the start included.

    The error that is made small is a participant's: the mean over their clips of one score minus
    that score, squared. Below the freeze boundary nothing changes, so features there are computed
    once per part and every epoch starts from them. Batch norms stay as pre-trained.

    Parameters
    ----------
    model : models.VideoRegressor
    clips : Clips
    train, stop : ndarray
        Rows of ``clips.table`` to learn from, and of other participants to stop by.
    options : FineTuning
    head : LinearHead
        Where the head starts, e.g. from `fit_ridge`.
    start : ndarray, optional
        (N, ...) what the first part reads of every clip, where that is known (`features`).

    Returns
    -------
    DataFrame
        Learning curves: part, epoch, train_rmse, stop_mae, best_mae (so far), score points of a
        participant's score.

    Raises
    ------
    ValueError
        A participant on both sides.
    """
    people, scores = (clips.table[name].to_numpy() for name in ("participant", "score"))
    if both := sorted(set(people[train]) & set(people[stop])):
        raise ValueError(f"{both[:3]} would both train and stop the fit; give other participants.")
    head.write_to(model).to(options.device).eval()
    model.requires_grad_(True)  # whoever made it may have frozen its body
    known = torch.from_numpy(scores.astype(np.float32))
    learning, stopping = (_by_person(people, scores, rows) for rows in (train, stop))
    curves = []
    for part in options.parts:
        inputs: Any = clips
        if part != "all":
            if start is None:
                start = features(model, clips, until=part, device=options.device)
            inputs = torch.from_numpy(start)
        start = None  # the next part reads what this one makes
        curves += _Part(part, model, inputs, known, options).fit(learning, stopping)
    return pd.DataFrame(curves, columns=["part", "epoch", "train_rmse", "stop_mae", "best_mae"])


@dataclass(frozen=True, eq=False)
class _Part:
    """One part of a network, from the freeze boundary below it to the score."""

    name: str
    model: nn.Module
    inputs: Any  # of this part, by row of the clips
    scores: Tensor  # of each clip
    options: FineTuning

    def fit(self, learning: list[np.ndarray], stopping: list[np.ndarray]) -> list[tuple[Any, ...]]:
        """Train until it gets no better and keep the best epoch; rows of the learning curves."""
        optimizer, curves, waited = self._optimizer(), [], 0
        best, best_mae = copy.deepcopy(self.model.state_dict()), self._mae(stopping)
        for epoch in range(self.options.epochs):
            rng = np.random.default_rng([self.options.seed, PARTS.index(self.name), epoch])
            train_rmse, stop_mae = self._epoch(learning, optimizer, rng), self._mae(stopping)
            waited += 1
            if stop_mae < best_mae:
                best, best_mae, waited = copy.deepcopy(self.model.state_dict()), stop_mae, 0
            curves.append((self.name, epoch, train_rmse, stop_mae, best_mae))
            if waited >= self.options.patience:
                break
        self.model.load_state_dict(best)  # the start where no epoch was better
        return curves

    def _optimizer(self) -> Optimizer:
        rate, near = self.options.learning_rate, self.model.above("last")
        last = set(near)
        deep = [one for one in self.model.parameters() if one not in last]
        groups = [{"params": deep, "lr": rate * self.options.deeper}, {"params": near, "lr": rate}]
        if self.options.optimizer == "adamw":
            return AdamW(groups, weight_decay=1e-2)
        return SGD(groups, weight_decay=1e-2, momentum=0.9)

    def _epoch(
        self, learning: list[np.ndarray], optimizer: Optimizer, rng: np.random.Generator
    ) -> float:
        """Train once over the participants; the RMSE on the way, points."""
        spread = float(self.scores[np.concatenate(learning)].std()) or 1.0
        order, squares = rng.permutation(len(learning)), 0.0
        for chosen in np.array_split(order, math.ceil(len(order) / self.options.batch)):
            people = [learning[i] for i in chosen]
            if self.name == "all":
                people = [rng.choice(rows, min(TAKEN, len(rows)), replace=False) for rows in people]
            error = self._errors(people)
            optimizer.zero_grad()
            (error / spread).square().mean().backward()
            optimizer.step()
            squares += float(error.detach().square().sum())
        return math.sqrt(squares / len(order))

    def _mae(self, people: list[np.ndarray]) -> float:
        with torch.no_grad():
            return float(torch.cat([self._errors([rows]) for rows in people]).abs().mean())

    def _errors(self, people: list[np.ndarray]) -> Tensor:
        """Each participant's mean prediction minus score, points (P,)."""
        rows, device = np.concatenate(people), self.options.device
        if self.name == "all":
            said = self.model(torch.stack([self.inputs[int(row)] for row in rows]).to(device))
        else:
            said = self.model.finish(self.inputs[rows].to(device), since=self.name)
        lengths = torch.tensor([len(own) for own in people])
        return torch.segment_reduce(said.cpu() - self.scores[rows], "mean", lengths=lengths)


def _by_person(names: np.ndarray, scores: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """Rows of each participant; of each of a participant's scores where there are several."""
    whose = pd.DataFrame({"name": names[rows], "score": scores[rows]})
    number = whose.groupby(["name", "score"], sort=False).ngroup().to_numpy()
    return [rows[number == one] for one in range(number.max(initial=-1) + 1)]
