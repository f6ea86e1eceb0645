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

from expresso_lib import config
from expresso_lib.models.heads import Clips, LinearHead, features

PARTS = ("head", "last", "all")
TAKEN = 2  # clips of a participant in one step where the whole network is trained


@dataclass(frozen=True)
class FineTuning:
    """How a network is fine-tuned: which parts in turn, and how each is optimised."""

    parts: tuple[str, ...] = ("last", "all")  # of head, last, all
    epochs: int = 6  # per part, at most
    batch: int = 8  # participants per step
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

    The error that is made small is the participant's: the mean over their clips minus their
    score, squared. Below the freeze boundary nothing changes, so features there are computed once
    per part and every epoch starts from them. Batch norms stay as pre-trained.

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
        participant.

    Raises
    ------
    ValueError
        A participant on both sides.
    """
    people = clips.table["participant"].to_numpy()
    if both := sorted(set(people[train]) & set(people[stop])):
        raise ValueError(f"{both[:3]} would both train and stop the fit; give other participants.")
    head.write_to(model).to(options.device).eval()
    curves = []
    for part in options.parts:
        fit = _PartFit(model, clips, train, stop, part, options, start)
        start = None  # the next part reads what this one makes
        while not fit.finished:
            curves.append(fit.run_epoch())
        model.load_state_dict(fit.best)  # the start where no epoch was better
    return pd.DataFrame(curves)


@dataclass(eq=False)
class _PartFit:
    """One part of a network, from the freeze boundary below it to the score."""

    model: nn.Module
    clips: Any
    train: np.ndarray
    stop: np.ndarray
    part: str
    options: FineTuning
    known: np.ndarray | None

    def __post_init__(self) -> None:
        table = self.clips.table
        self.scores = torch.tensor(table["score"].to_numpy(float), dtype=torch.float32)
        names = table["participant"].to_numpy()
        self.people, self.stopping = _by_person(names, self.train), _by_person(names, self.stop)
        if self.part != "all":
            if self.known is None:
                how = {"until": self.part, "device": self.options.device}
                self.known = features(self.model, self.clips, **how)
            self.clips = torch.from_numpy(self.known)
        self.optimizer = self._optimizer(self.model.trainable(self.part))
        self.epoch, self.best_epoch, self.best_mae = 0, -1, self._stop_mae()
        self.best = copy.deepcopy(self.model.state_dict())

    def _optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        rate, last = self.options.learning_rate, set(self.model.above("last"))
        near = [one for one in parameters if one in last]
        deep = [one for one in parameters if one not in last]
        groups = [{"params": deep, "lr": rate * self.options.deeper}, {"params": near, "lr": rate}]
        if self.options.optimizer == "adamw":
            return torch.optim.AdamW(groups, weight_decay=1e-2)
        return torch.optim.SGD(groups, weight_decay=1e-2, momentum=0.9)

    @property
    def finished(self) -> bool:
        """Enough epochs, or none better for longer than patience allows."""
        waited = self.epoch - 1 - self.best_epoch
        return self.epoch >= self.options.epochs or waited >= self.options.patience

    def run_epoch(self) -> dict[str, Any]:
        """Train once over the participants; a row of the learning curves."""
        rng = np.random.default_rng([self.options.seed, PARTS.index(self.part), self.epoch])
        spread = float(self.scores[np.concatenate(self.people)].std()) or 1.0
        order, squares = rng.permutation(len(self.people)), 0.0
        for chosen in np.array_split(order, math.ceil(len(order) / self.options.batch)):
            people = [self.people[i] for i in chosen]
            if self.part == "all":
                people = [rng.choice(rows, min(TAKEN, len(rows)), replace=False) for rows in people]
            error = self._errors(people)
            loss = (error / spread).square().mean()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            squares += float(error.detach().square().sum())
        train_rmse, stop_mae = float(np.sqrt(squares / len(order))), self._stop_mae()
        if stop_mae < self.best_mae:
            self.best_epoch, self.best_mae = self.epoch, stop_mae
            self.best = copy.deepcopy(self.model.state_dict())
        row = {"part": self.part, "epoch": self.epoch}
        self.epoch += 1
        return row | {"train_rmse": train_rmse, "stop_mae": stop_mae, "best_mae": self.best_mae}

    def _stop_mae(self) -> float:
        with torch.no_grad():
            parts = [self._errors([rows]) for rows in self.stopping]
        return float(torch.cat(parts).abs().mean())

    def _errors(self, people: list[np.ndarray]) -> Tensor:
        """Each participant's mean prediction minus score, points (P,)."""
        rows = np.concatenate(people)
        who = torch.from_numpy(np.repeat(np.arange(len(people)), [len(own) for own in people]))
        error = self._predict(rows) - self.scores[rows]
        sums = torch.zeros(len(people)).index_add(0, who, error)
        return sums / torch.bincount(who, minlength=len(people))

    def _predict(self, rows: np.ndarray) -> Tensor:
        device = self.options.device
        if self.part == "all":
            found = self.model(torch.stack([self.clips[int(row)] for row in rows]).to(device))
        else:
            found = self.model.finish(self.clips[rows].to(device), since=self.part)
        return found.cpu()


def _by_person(names: np.ndarray, rows: np.ndarray) -> list[np.ndarray]:
    """Rows of each participant."""
    rows = np.asarray(rows)
    return [rows[names[rows] == name] for name in dict.fromkeys(names[rows])]
