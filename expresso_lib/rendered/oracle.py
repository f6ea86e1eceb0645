"""Oracle: how well could severity be read if every movement were known exactly?

Ridge regression on features of the true series, in repeated folds that keep each participant
whole and the bands balanced. (Leave-one-out is biased towards negative r: Poldrack et al., 2020.)
It says whether the cohort is neither trivial nor hopeless, and where the signal lies:
``dynamics`` against ``mean_sd`` of single frames, ``one_frame``, ``identity`` and ``light``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from expresso_lib.faces import anatomy
from expresso_lib.rendered import camera, cohort, scene

KINDS = ("dynamics", "mean_sd", "one_frame", "identity", "light")
# A hundredth of full intensity: keeps the logarithm of a still channel finite.
FLOOR = .05


def features(script: scene.Script, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return the features of one recording, float64 (K,).

    ``one_frame`` is the state in a random frame; ``mean_sd`` mean and sd of every channel;
    ``dynamics`` adds the logarithm of speed over spread per channel and the lag of AU06
    behind AU12; ``identity`` the neutral landmarks; ``light`` the light's direction and colour.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    series = np.column_stack([script.au, script.pose, script.gaze]).astype(float)
    if kind == "one_frame":
        return series[rng.integers(len(series))]
    if kind == "mean_sd":
        return np.concatenate([series.mean(axis=0), series.std(axis=0)])
    if kind == "dynamics":
        return np.concatenate([series.mean(axis=0), series.std(axis=0), tempo(series, script.fps),
                               [_lag(script, "AU12", "AU06")]])
    if kind == "identity":
        person = script.identity
        return np.concatenate([person.landmarks.ravel(), [person.age, person.sex == "male",
                                                          person.tone]])
    if kind == "light":
        room = camera.furnish(script.seed, script.identity, 64)
        return np.concatenate([room.light, room.key, room.fill])
    raise ValueError(f"feature kind {kind!r} is unknown; use one of {', '.join(KINDS)}.")


def tempo(series: np.ndarray, fps: float) -> np.ndarray:
    """Return log(speed / spread) of every channel (F, K) -> (K,), per second.

    >>> t = np.arange(250) / 25
    >>> slow, fast = np.sin(2 * np.pi * t), np.sin(4 * np.pi * t)
    >>> float(np.diff(tempo(np.column_stack([slow, fast]), 25.0)).round(1)[0])
    0.7
    """
    speed = np.abs(np.diff(series, axis=0)).mean(axis=0) * fps
    return np.log((speed + FLOOR) / (series.std(axis=0) + FLOOR))


def _lag(script: scene.Script, leader: str, follower: str, reach: float = .6) -> float:
    """Return the delay in seconds at which the follower correlates best with the leader."""
    a = script.au[:, anatomy.AU_CODES.index(leader)].astype(float)
    b = script.au[:, anatomy.AU_CODES.index(follower)].astype(float)
    a, b = a - a.mean(), b - b.mean()
    shifts = np.arange(round(reach * script.fps) + 1)
    match = [float(a[: len(a) - k] @ b[k:]) for k in shifts if k < len(a) - 2]
    return float(np.argmax(match)) / script.fps


def analyse(plan: cohort.Plan, *, kinds: tuple[str, ...] = KINDS, repeats: int = 10, folds: int = 6,
            alpha: float = 20.0, seed: int = 0) -> pd.DataFrame:
    """Predict the score from each kind of feature, out of fold.

    Parameters
    ----------
    plan : Plan
    kinds : tuple of str
    repeats, folds : int
        Random partitions, and parts of each; a participant is always in one part.
    alpha : float
        Ridge penalty on standardised features.
    seed : int

    Returns
    -------
    DataFrame
        kind, r (Pearson, participant means), r2 (of the same, against the fold's training mean;
        below 0 is worse than the null model), mae (points), mae_null.
    """
    rng = np.random.default_rng([seed, 51])
    scripts = [plan.script(name) for name in plan.recordings.recording]
    person = plan.recordings.participant.to_numpy()
    score = plan.participants.set_index("participant").score.loc[person].to_numpy(float)
    lines = []
    for kind in kinds:
        x = np.array([features(script, kind, rng) for script in scripts])
        results = [_one_partition(x, score, person, plan, folds, alpha, seed + repeat)
                   for repeat in range(repeats)]
        lines.append({"kind": kind, **pd.DataFrame(results).mean().to_dict()})
    return pd.DataFrame(lines)


def over_seeds(variant: str = "default", seeds: int = 8, **options: Any) -> pd.DataFrame:
    """Return `analyse` for cohorts of the standard size with seeds 0, 1, ..., column ``seed``."""
    tables = [analyse(cohort.plan_cohort(seed=seed, variant=variant), **options).assign(
        seed=seed, variant=variant) for seed in range(seeds)]
    return pd.concat(tables, ignore_index=True)


def _one_partition(x: np.ndarray, score: np.ndarray, person: np.ndarray, plan: cohort.Plan,
                   folds: int, alpha: float, seed: int) -> dict[str, float]:
    part = partition(plan.participants, folds, seed)
    fold = np.array([part[name] for name in person])
    predicted, null = np.zeros(len(score)), np.zeros(len(score))
    for k in range(folds):
        train = fold != k
        null[~train] = score[train].mean()
        predicted[~train] = ridge(x[train], score[train], x[~train], alpha)
    frame = pd.DataFrame({"person": person, "p": predicted, "n": null, "y": score})
    means = frame.groupby("person").mean()
    error, reference = means.p - means.y, means.n - means.y
    r = float(np.corrcoef(means.p, means.y)[0, 1]) if means.p.std() > 0 else 0.0
    return {"r": r, "r2": 1 - float((error**2).sum() / (reference**2).sum()),
            "mae": float(error.abs().mean()), "mae_null": float(reference.abs().mean())}


def partition(participants: pd.DataFrame, folds: int, seed: int) -> dict[str, int]:
    """Return the fold of each participant; every band is dealt out over the folds in turn."""
    rng = np.random.default_rng([seed, 52])
    order = participants.iloc[rng.permutation(len(participants))].sort_values(
        "band", kind="stable")
    start = int(rng.integers(folds))
    return {name: (start + i) % folds for i, name in enumerate(order.participant)}


def ridge(x: np.ndarray, y: np.ndarray, new: np.ndarray, alpha: float) -> np.ndarray:
    """Return ridge predictions for `new` (M, K) from training data (N, K), standardised.

    >>> ridge(np.array([[0.0], [1], [2]]), np.array([0.0, 1, 2]), np.array([[3.0]]), 0.0).round(6)
    array([3.])
    """
    middle, spread = x.mean(axis=0), x.std(axis=0)
    keep = spread > 1e-9
    z, q = (x - middle)[:, keep] / spread[keep], (new - middle)[:, keep] / spread[keep]
    # The dual form: fewer recordings than features.
    gram = z @ z.T + alpha * np.eye(len(z)) + 1e-12 * np.eye(len(z))
    return y.mean() + q @ (z.T @ np.linalg.solve(gram, y - y.mean()))
