"""Is an explanation true? Scores against what the model does when the thing explained is removed.

The truth of an explanation is the *model's* use of a factor, not the way the cohort was planted:
a clip is rendered again without the factor (its AUs at the level of the own neutral frame) and
``effect`` = f(x) - f(x without it). Re-rendered clips come as arrays; nothing is rendered here.

An explanation is compared by its sum over the factor's pixels, with two truths. Where factors
interact, effects need not add up to the score, and an explanation that divides the score among
them cannot agree with every one. Its own question is the factor's ``share``: the mean of what it
does as the last to come and as the first, which is its Shapley value wherever factors interact
at most in pairs (Shapley, 1953). It divides what the face's movements add, the head moving as it
does. The same holds of time: a factor taken out of a stretch alone leaves a tear at both ends,
and a model that reads change sees the tears; so removals grow from either end of the clip.

Factors overlap in place as well: a smile moves the cheeks that speech moves too. A pixel that
several factors change speaks for each by how much each changes it, so that nothing is counted
twice. What overlap costs is shown by ``painted``, a map that tells the truth.

Several of these metrics are passed by maps that never saw the model (edges, motion, the
difference from the baseline): ``controls`` makes them, and no score is reported without theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from captum import metrics as captum_metrics
from scipy import stats as distributions
from torch import Tensor, nn

from expresso_lib import _checks
from expresso_lib.attribution import pooling
from expresso_lib.faces import anatomy

# A pixel counts as changed from two grey levels on: less is rounding.
CHANGED = 2.5 / 255
# A factor moves where one of its AUs is this far (share of full intensity) from neutral, and is
# active (a smile that anybody would call one) from the second on.
MOVES, ACTIVE = 0.05, 0.3
# Parts of a clip's time, each with its own share of a factor's effect.
STRETCHES = 8
# Effects below one score point have no sign worth asking for.
SIGN_POINTS = 1.0
DRAWS = 1000
COLUMNS = ("factor", "metric", "support", "estimate", "ci_low", "ci_high")


@dataclass(frozen=True, eq=False)
class Intervention:
    """One factor taken out of N clips, and what the model made of that."""

    factor: str
    effect: np.ndarray  # (N,) f(x) - f(x without the factor), score points
    change: np.ndarray  # (N, T, H, W) of each pixel by the removal, 0 to 1; 0 below `CHANGED`
    place: np.ndarray  # (N, T, H, W) activity on the factor's regions where it moves, 0 to 1
    active: np.ndarray  # (N, T) bool
    amount: np.ndarray  # (N,) mean activity in the clip, share of full intensity
    by_stretch: np.ndarray  # (N, S) each of min(STRETCHES, T) stretches' part of it, points
    share: np.ndarray  # (N,) its part of the score, points; NaN where this was not rendered


def scores(model: nn.Module, clips: Tensor, *, batch: int = 8) -> np.ndarray:
    """Predicted scores (N,) float64 of clips (N, 3, T, H, W), without gradients."""
    with torch.no_grad():
        parts = [model(part).reshape(-1) for part in clips.split(batch)]
    return torch.cat(parts).double().cpu().numpy()


def intervene(
    model: nn.Module,
    clips: Tensor,
    without: Tensor,
    factor: str,
    *,
    regions: np.ndarray,
    activity: np.ndarray,
    only: tuple[Tensor, Tensor] | None = None,
) -> Intervention:
    """Measure what the model loses with one factor, and what the factor alone gives it.

    Parameters
    ----------
    clips, without : Tensor
        (N, 3, T, H, W) float32 in 0 to 1: the clips, and the same rendered without the factor.
    factor : str
        A name in ``anatomy.FACTORS``, or anything else that was removed ("headset").
    regions : np.ndarray
        (N, T, H, W) label map.
    activity : np.ndarray
        (N, T) distance of the factor's strongest AU from the neutral frame, 0 to 1.
    only : (Tensor, Tensor), optional
        The clips with this of the factors that have a place, and with none of them, everything
        else (the head's motion) as it is: they give ``share``.

    Raises
    ------
    ValueError
        Where the shapes differ.
    """
    for other in (without, *(only or ())):
        if clips.shape != other.shape:
            raise ValueError(
                f"clips {tuple(clips.shape)} and clips rendered again for {factor} "
                f"{tuple(other.shape)} differ; render the same frames at the same size."
            )
    if regions.shape != (len(clips), *clips.shape[2:]) or activity.shape != regions.shape[:2]:
        raise ValueError(
            f"regions {regions.shape} or activity {activity.shape} do not fit clips "
            f"{tuple(clips.shape)}; they are (N, T, H, W) and (N, T)."
        )
    names = anatomy.FACTOR_REGIONS.get(factor, ("background",))
    inside = np.isin(regions, [anatomy.REGIONS.index(name) for name in names])
    moving = np.where(activity > MOVES, activity, 0)[..., None, None]
    gap = (clips - without).abs().cpu().numpy()
    change = np.where(gap.max(axis=1) > CHANGED, gap.mean(axis=1), 0)
    effect, by_stretch, share = _answers(model, clips, without, only)
    return Intervention(
        factor,
        effect,
        change,
        inside * moving,
        activity > ACTIVE,
        activity.mean(axis=1),
        by_stretch,
        share,
    )


def _answers(
    model: nn.Module, clips: Tensor, without: Tensor, only: tuple[Tensor, Tensor] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``effect, by_stretch, share`` of an `Intervention`, all clips scored in one go.

    The factor is taken out of more and more of the clip, from its start and from its end. What a
    stretch adds is the mean of its two steps: a tear is in every step and cancels.
    """
    stretch = torch.from_numpy(_stretch_of(clips.shape[2]))[:, None, None].to(clips.device)
    cuts = stretch.unique()[1:]
    early = [torch.where(stretch < cut, without, clips) for cut in cuts]
    late = [torch.where(stretch < cut, clips, without) for cut in cuts]
    shown = torch.cat([clips, without, *early, *late, *(only or ())])
    found = scores(model, shown).reshape(-1, len(clips))
    whole, lost = found[:2]
    left, right = found[2 : 2 + 2 * len(cuts)].reshape(2, len(cuts), len(clips))
    steps = (np.diff([lost, *right, whole], axis=0) - np.diff([whole, *left, lost], axis=0)) / 2
    entering = found[-2] - found[-1] if only else np.full(len(clips), np.nan)
    return whole - lost, steps.T, (whole - lost + entering) / 2


def _stretch_of(frames: int) -> np.ndarray:
    """The stretch of every frame, (T,) int."""
    return np.arange(frames) * min(STRETCHES, frames) // frames


def contribution(maps: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Signed sum of maps (N, T, H, W) over a mask of the same shape: (N,), score points."""
    if maps.shape != mask.shape:
        raise ValueError(f"maps {maps.shape} and mask {mask.shape} differ; cut the same clips.")
    return np.einsum("nthw,nthw->n", maps, mask.astype(maps.dtype))


def controls(clips: np.ndarray, reference: np.ndarray, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Maps (N, T, H, W) that know nothing of the model: what any explanation has to beat.

    Parameters
    ----------
    clips, reference : np.ndarray
        (N, 3, T, H, W) the clips and their baseline.

    Returns
    -------
    dict
        ``random``, ``edge`` (spatial gradient), ``motion`` (change since the frame before),
        ``difference`` (|x - baseline|), ``zero_map``.
    """
    grey = clips.mean(axis=1)
    down, right = np.gradient(grey, axis=(2, 3))
    motion = np.abs(np.diff(grey, axis=1, prepend=grey[:, :1]))
    noise = np.random.default_rng(seed).standard_normal(grey.shape)
    return {
        "random": noise,
        "edge": np.hypot(down, right),
        "motion": motion,
        "difference": np.abs(clips - reference).mean(axis=1),
        "zero_map": np.zeros_like(noise),
    }


def parted(interventions: Sequence[Intervention]) -> dict[str, list[np.ndarray]]:
    """Whose pixel is whose: by support a weight (N, T, H, W), 0 to 1, for each intervention.

    ``changed``: a pixel that several factors change is parted by how much each changes it;
    ``region``: a region in which several factors move is parted by how far each has moved;
    ``whole``: every changed pixel counts fully for every factor that changes it. What has no
    place among the face's regions (head motion, the headset) is never parted.
    """
    placed = [one for one in interventions if one.factor in PLACED]
    found = {"whole": [(one.change > 0).astype(float) for one in interventions]}
    for support, name in (("changed", "change"), ("region", "place")):
        total = np.sum([getattr(one, name) for one in placed], axis=0)
        found[support] = [
            np.divide(value, total, where=total > 0, out=np.zeros_like(value, float))
            if one.factor in PLACED
            else (value > 0).astype(float)
            for one in interventions
            for value in [getattr(one, name)]
        ]
    return found


def painted(interventions: Sequence[Intervention]) -> np.ndarray:
    """The truth as a map (N, T, H, W), score points: what a faithful explanation might show.

    What a factor is worth in a stretch of time lies on the pixels that it changes there, in
    proportion to how much it changes them. What this map loses is lost to overlap; another
    faithful map, with more on the pixels that a factor has to itself, loses less.
    """
    placed = [one for one in interventions if one.factor in PLACED]
    found = np.zeros_like(placed[0].change, float)
    stretch = _stretch_of(found.shape[1])
    for one in placed:
        for number in np.unique(stretch):
            part = np.where((stretch == number)[:, None, None], one.change, 0)
            size = np.maximum(part.sum(axis=(1, 2, 3)), 1e-12)
            found += (one.by_stretch[:, number] / size)[:, None, None, None] * part
    return found


def evidence(
    maps: np.ndarray | str, interventions: Sequence[Intervention], participants: Sequence[str]
) -> pd.DataFrame:
    """What one explanation says about every clip and factor, beside what the model does.

    Parameters
    ----------
    maps : np.ndarray or str
        (N, T, H, W) attributions summed over channels. Instead of an explanation speaks with
        ``"amount"`` the control that knows how much the face moved and nothing of the model;
        with ``"share"`` the factor's own share, to see how far a division is from effects.
    interventions : sequence of Intervention
        On the same N clips.
    participants : sequence of str
        (N,) whose clip it is.

    Returns
    -------
    pd.DataFrame
        One row per clip, factor and support (see ``parted``): ``participant, clip, factor,
        support, said, effect, share, amount, density, time_auroc, relevance_mass``. ``said`` is
        the sum over the factor's part of the pixels. Tables of several recordings can be joined.
    """
    if isinstance(maps, str):
        _checks.one_of(maps, ("amount", "share"), "maps")
    parts = []
    for support, weights in parted(interventions).items():
        for one, weight in zip(interventions, weights):
            known = {
                "participant": list(participants),
                "clip": np.arange(len(one.effect)),
                "factor": one.factor,
                "support": support,
                "effect": one.effect,
                "share": one.share,
                "amount": one.amount,
            }
            if isinstance(maps, str):
                found = {"said": getattr(one, maps), "time_auroc": np.nan, "relevance_mass": np.nan}
            else:
                found = {
                    "said": contribution(maps, weight),
                    "time_auroc": time_auroc(maps, one),
                    "relevance_mass": relevance_mass(maps, one),
                }
            size = np.maximum(weight.sum(axis=(1, 2, 3)), 1)
            parts.append(
                pd.DataFrame(known | found).assign(
                    density=lambda table, size=size: table["said"].abs() / size
                )
            )
    return pd.concat(parts, ignore_index=True)


def judge(found: pd.DataFrame, *, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Score one explanation by its evidence.

    Parameters
    ----------
    found : pd.DataFrame
        From ``evidence``, of one explanation. ``head_motion`` and the headset have no place among
        the face's regions and are left out of ``pooled``.
    draws, seed : int
        Bootstrap over participants.

    Returns
    -------
    pd.DataFrame
        ``factor, metric, support, estimate, ci_low, ci_high``; NaN where not defined.
    """
    rows: list[dict] = []
    for support, part in found.groupby("support", sort=False):
        keys = part[["participant", "clip"]].apply(tuple, axis=1)
        wide = part.assign(key=keys).set_index(["factor", "key"]).unstack("key")
        factors = list(wide.index)
        people = [key[0] for key in wide["said"].columns]
        weights = _resamples(np.unique(people, return_inverse=True)[1], draws, seed)
        sets = {name: [k] for k, name in enumerate(factors)}
        sets["pooled"] = [k for k, name in enumerate(factors) if name in PLACED]
        arrays = {name: wide[name].to_numpy(float) for name in _VALUES}
        for name, chosen in sets.items():
            data = {key: values[chosen] for key, values in arrays.items()}
            rows += _scores_of(name, str(support), data, weights)
    return pd.DataFrame(rows, columns=list(COLUMNS))


_VALUES = ("said", "effect", "amount", "share", "density", "time_auroc", "relevance_mass")
# What has a place on the face, and so a share of the pooled numbers.
PLACED = tuple(name for name in anatomy.FACTORS if name != "head_motion")


def _scores_of(factor: str, support: str, data: dict, weights: np.ndarray) -> list[dict]:
    rows = []
    for metric, statistic in _FIDELITY.items():
        values = statistic(*(data[k] for k in _VALUES[:3]), weights)
        rows.append(_row(factor, metric, support, values))
    shares = (data["said"], data["share"], data["amount"], weights)
    rows.append(_row(factor, "share_fidelity", support, _fidelity(*shares)))
    rows.append(_row(factor, "share_slope", support, _slope(*shares)))
    # Attribution in the region is asked for its timing, on the changed pixels for its mass.
    asked = {"region": "time_auroc", "changed": "relevance_mass"}.get(support)
    if asked:
        rows.append(_row(factor, asked, support, _mean(data[asked], weights)))
    if factor == "pooled" and support == "changed":
        values = factor_recovery(data["density"], data["effect"], weights)
        rows.append(_row(factor, "factor_recovery", support, values))
    return rows


def means(
    rows: pd.DataFrame, keys: Sequence[str], *, draws: int = DRAWS, seed: int = 0
) -> pd.DataFrame:
    """Mean ``value`` per ``keys`` with a 95 % bootstrap interval over participants.

    Returns
    -------
    pd.DataFrame
        The keys, ``estimate, ci_low, ci_high``.
    """
    found = []
    for key, part in rows.groupby(list(keys), sort=False, dropna=False):
        values = part["value"].to_numpy(float)
        groups = np.unique(part["participant"], return_inverse=True)[1]
        resampled = _mean(values[None], _resamples(groups, draws, seed))
        found.append(_row("", "", "", resampled) | dict(zip(keys, key)))
    return pd.DataFrame(found, columns=[*keys, *COLUMNS[3:]])


def _resamples(groups: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """How often each clip counts, (1 + draws, N): once, then as whole participants are drawn."""
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    picks = rng.integers(0, count, (draws, count))
    drawn = np.apply_along_axis(np.bincount, 1, picks, minlength=count)
    return np.concatenate([np.ones((1, len(groups))), drawn[:, groups]]).astype(float)


def _row(factor: str, metric: str, support: str, values: np.ndarray) -> dict:
    draws = values[1:]
    draws = draws[np.isfinite(draws)]
    # An interval from a handful of usable draws would look precise and be noise.
    enough = len(draws) >= 0.5 * max(1, len(values) - 1) and np.isfinite(values[0])
    low, high = np.quantile(draws, [0.025, 0.975]) if enough and len(draws) else (np.nan, np.nan)
    return dict(zip(COLUMNS, (factor, metric, support, float(values[0]), float(low), float(high))))


def _nanmean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two arrays of the same shape; NaN where one is constant."""
    a, b = a.ravel() - a.mean(), b.ravel() - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 1e-12 else float("nan")


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of the finite values (K, N) under weights (D, N): (D,); NaN without any."""
    finite = np.isfinite(values)
    return _ratio(weights @ np.where(finite, values, 0).sum(axis=0), weights @ finite.sum(axis=0))


def _per_row(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of each row's finite values, (D, K)."""
    return np.stack([_mean(row[None], weights) for row in values], axis=1)


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Divide; NaN where there is nothing to divide by."""
    with np.errstate(invalid="ignore"):
        there = bottom > 1e-12
    return np.divide(top, bottom, where=there, out=np.full(np.shape(top), np.nan))


def _products(*values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sums of products about the mean, (V, V, D), of V arrays (K, N) under (D, N)."""
    centred = [value - value.mean() for value in values]
    n = weights.sum(axis=1) * len(values[0])
    sums = [weights @ value.sum(axis=0) for value in centred]
    found = np.empty((len(values), len(values), len(weights)))
    for i, a in enumerate(centred):
        for j, b in enumerate(centred):
            whole = weights @ (a * b).sum(axis=0)
            about = whole - sums[i] * sums[j] / n
            # What is constant in a draw has no spread, whatever rounding leaves of it.
            found[i, j] = np.where((i == j) & (about < 1e-12 * whole), 0.0, about)
    return found


def _fidelity(
    said: np.ndarray, effect: np.ndarray, amount: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    (own, shared), (_, other) = _products(said, effect, weights=weights)
    return _ratio(shared, np.sqrt(np.maximum(own, 0) * np.maximum(other, 0)))


def _slope(
    said: np.ndarray, effect: np.ndarray, amount: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Points said per point of effect."""
    (_, shared), (_, spread) = _products(said, effect, weights=weights)
    return _ratio(shared, spread)


def _given_amount(
    said: np.ndarray, effect: np.ndarray, amount: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Correlation of what is left of both after a line on the amount, factor by factor."""
    left = np.zeros((3, len(weights)))  # of said with said, said with effect, effect with effect
    for factor in range(len(said)):
        rows = (value[[factor]] for value in (said, effect, amount))
        m = _products(*rows, weights=weights)
        for k, (i, j) in enumerate(((0, 0), (0, 1), (1, 1))):
            line = np.divide(
                m[i, 2] * m[j, 2], m[2, 2], where=m[2, 2] > 1e-12, out=np.zeros(len(weights))
            )
            rest = m[i, j] - line
            # Rounding is no remainder: the amount itself has none.
            size = np.sqrt(np.maximum(m[i, i] * m[j, j], 0))
            left[k] += np.where(np.abs(rest) < 1e-9 * size, 0.0, rest)
    return _ratio(left[1], np.sqrt(np.maximum(left[0], 0) * np.maximum(left[2], 0)))


def _sign(side: int) -> Callable[..., np.ndarray]:
    def share(
        said: np.ndarray, effect: np.ndarray, amount: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        asked = np.abs(effect) > SIGN_POINTS if side == 0 else side * effect > SIGN_POINTS
        # An explanation that says nothing has no sign to be wrong about.
        asked &= (said != 0) & np.isfinite(said)
        hits = asked & (np.sign(said) == np.sign(effect))
        return _ratio(weights @ hits.sum(axis=0), weights @ asked.sum(axis=0))

    return share


_FIDELITY: dict[str, Callable[..., np.ndarray]] = {
    "interventional_fidelity": _fidelity,
    "interventional_slope": _slope,
    "fidelity_given_amount": _given_amount,
    "sign": _sign(0),
    "sign_positive": _sign(1),
    "sign_negative": _sign(-1),
}


def time_auroc(maps: np.ndarray, one: Intervention) -> np.ndarray:
    """Does attribution rise when the factor is there? AUROC per clip, (N,).

    The clip's attribution in the factor's regions, signed by its effect, against the frames in
    which the factor is active. NaN for clips in which it always or never is.
    """
    inside = (one.place > 0).any(axis=1, keepdims=True)
    series = np.where(inside, maps, 0).sum(axis=(2, 3)) * np.sign(one.effect)[:, None]
    return np.array([auroc(s, a) for s, a in zip(series, one.active)])


def used_when_active(one: Intervention) -> np.ndarray:
    """The truth's own ``time_auroc``: does the model use the factor while the face shows it? (N,).

    What each stretch of the clip adds to the effect, signed by it, against the frames in which
    the factor is active.
    """
    worth = one.by_stretch[:, _stretch_of(one.active.shape[1])] * np.sign(one.effect)[:, None]
    return np.array([auroc(w, a) for w, a in zip(worth, one.active)])


def time_fidelity(maps: np.ndarray, interventions: Sequence[Intervention]) -> np.ndarray:
    """Does the explanation say when a factor counts? Pearson per clip, (N,).

    What each stretch of the clip adds to a factor's effect is compared with the attribution on
    the factor's part of the changed pixels of that stretch; both about the factor's mean over
    the stretches, all placed factors together, so that what a factor is worth in all does not
    count. Unlike ``time_auroc`` it asks when the *model* uses a factor, not when the face shows
    it: a model that reads how fast a smile comes looks at its start. NaN where nothing varies.
    """
    placed = [one for one in interventions if one.factor in PLACED]
    if not placed:
        return np.full(len(maps), np.nan)
    frames = maps.shape[1]
    share = np.eye(min(STRETCHES, frames))[_stretch_of(frames)]  # (T, S)
    said = np.stack(
        [(maps * weight).sum(axis=(2, 3)) @ share for weight in parted(placed)["changed"]], axis=1
    )
    done = np.stack([one.by_stretch for one in placed], axis=1)
    pairs = zip(*(x - x.mean(axis=2, keepdims=True) for x in (said, done)))
    return np.array([pearson(a, b) for a, b in pairs])


def auroc(values: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive outranks a negative, ties counted half; NaN without both.

    Examples
    --------
    >>> auroc(np.array([1.0, 2.0, 3.0]), np.array([False, True, True]))
    1.0
    """
    count = int(positive.sum())
    if count in (0, len(positive)):
        return float("nan")
    ranks = distributions.rankdata(values)
    wins = ranks[positive].sum() - count * (count + 1) / 2
    return float(wins / (count * (len(positive) - count)))


def relevance_mass(maps: np.ndarray, one: Intervention) -> np.ndarray:
    """Share of |attribution| on the changed pixels over their share of the area, (N,)."""
    axes = (1, 2, 3)
    size = np.abs(maps)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (size * (one.change > 0)).sum(axis=axes) / size.sum(axis=axes)
        return share / (one.change > 0).mean(axis=axes)


def factor_recovery(
    density: np.ndarray, effect: np.ndarray, weights: np.ndarray, *, used_points: float = 1.0
) -> np.ndarray:
    """AUROC of mean |C_k| per pixel, factors the model uses against those it does not.

    A factor is used where its effects have a standard deviation of ``used_points`` or more;
    NaN where all are, or none is.

    Parameters
    ----------
    density, effect : np.ndarray
        (K, N) of K factors in N clips; score points per pixel, score points.
    weights : np.ndarray
        (D, N) how often each clip counts.

    Returns
    -------
    np.ndarray
        (D,)
    """
    used = np.sqrt(np.maximum(_per_row(effect**2, weights) - _per_row(effect, weights) ** 2, 0))
    means = _per_row(density, weights)
    return np.array([auroc(one, two >= used_points) for one, two in zip(means, used)])


def rank_agreement(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman correlation of signed maps, clip by clip: (N, ...) twice to (N,)."""
    pairs = zip(a.reshape(len(a), -1), b.reshape(len(b), -1))
    return np.array(
        [pearson(distributions.rankdata(x), distributions.rankdata(y)) for x, y in pairs]
    )


def agreement(maps: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Mean Spearman correlation between the signed maps of any two explanations, (M, M)."""
    names = list(maps)
    flat = {n: distributions.rankdata(m.reshape(len(m), -1), axis=1) for n, m in maps.items()}
    values = [
        [_nanmean(np.array([pearson(x, y) for x, y in zip(flat[a], flat[b])])) for b in names]
        for a in names
    ]
    return pd.DataFrame(values, index=names, columns=names)


def blocks(regions: np.ndarray, *, time_blocks: int = 4) -> np.ndarray:
    """Number every region x time block of (N, T, H, W) label maps: int (N, T, H, W)."""
    frames = regions.shape[1]
    parts = min(time_blocks, frames)
    times = np.arange(frames) * parts // frames
    return regions.astype(np.int64) * parts + times[None, :, None, None]


def deletion_insertion(
    model: nn.Module,
    clips: Tensor,
    reference: Tensor,
    maps: np.ndarray,
    labels: np.ndarray,
    *,
    points: int = 8,
    orders: int = 3,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Take blocks out (put them in) as an explanation ranks them, against random order.

    Parameters
    ----------
    clips, reference : Tensor
        (N, 3, T, H, W) clips and baseline.
    maps : np.ndarray
        (N, T, H, W) signed attributions; blocks go from most positive to most negative.
    labels : np.ndarray
        (N, T, H, W) block numbers, as ``blocks`` gives them.
    points, orders : int
        Points on a curve; random orders to compare with.

    Returns
    -------
    dict
        ``deletion`` and ``insertion``, each (N,): mean gap to random order in score points, above
        zero where the explanation knows better than chance what raises the score.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[float]] = {"deletion": [], "insertion": []}
    for x, x0, one, label in zip(clips, reference, maps, labels):
        names = np.unique(label)
        mass = np.bincount(label.ravel(), weights=one.ravel(), minlength=names.max() + 1)[names]
        # Ties (a map of zeros) go in random order: they know nothing.
        order = names[np.lexsort((rng.random(len(names)), -mass))]
        chance = [rng.permutation(names) for _ in range(orders)]
        for metric, ends in (("deletion", (x, x0)), ("insertion", (x0, x))):
            curves = [_curve(model, *ends, label, o, points) for o in (order, *chance)]
            gap = np.mean(curves[1:], axis=0) - curves[0]
            found[metric].append(float(gap.mean() if metric == "deletion" else -gap.mean()))
    return {metric: np.array(values) for metric, values in found.items()}


def _curve(model, start, end, label, order, points) -> np.ndarray:
    """Scores while the blocks of ``order`` go over from start to end."""
    cuts = np.unique(np.linspace(0, len(order), points + 2).round().astype(int)[1:-1])
    steps = [torch.from_numpy(np.isin(label, order[:cut]))[None] for cut in cuts]
    return scores(model, torch.stack([torch.where(mask, end, start) for mask in steps]))


def infidelity(
    model: nn.Module,
    clips: Tensor,
    reference: Tensor,
    values: Tensor,
    labels: np.ndarray,
    *,
    samples: int = 8,
    seed: int = 0,
) -> np.ndarray:
    """Captum's infidelity, normalised, for random halves of the blocks set to the baseline: (N,).

    The squared gap between what the attributions (N, C, T, H, W) of the half say and what the
    score does, after the best common scale (Yeh et al., 2019). Low is good, and a map of zeros
    does well where nothing matters much: report it beside.
    """
    generator = torch.Generator().manual_seed(seed)
    label = torch.from_numpy(labels)[:, None].repeat_interleave(samples, dim=0)
    base = reference.repeat_interleave(samples, dim=0)

    def remove_half(inputs: Tensor) -> tuple[Tensor, Tensor]:
        drawn = torch.rand(len(inputs), int(label.max()) + 1, generator=generator) < 0.5
        rows = torch.arange(len(inputs))[:, None, None, None, None]
        mask = drawn[rows, label].expand_as(inputs)
        return mask.float(), torch.where(mask, base, inputs)

    found = captum_metrics.infidelity(
        lambda x: model(x).reshape(-1),
        remove_half,
        clips,
        values,
        n_perturb_samples=samples,
        normalize=True,
    )
    return found.detach().double().cpu().numpy()


def sensitivity(
    explain: Callable[[Tensor, int], Tensor], clips: Tensor, *, samples: int = 3, seed: int = 0
) -> np.ndarray:
    """Captum's max-sensitivity: largest relative change of the map under noise of 0.02, (N,).

    ``explain(copies, n)`` gives the attributions of noisy copies of clip ``n``, so that every
    clip keeps its own baseline.
    """
    found = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for n in range(len(clips)):
            one = captum_metrics.sensitivity_max(
                lambda x, n=n: (explain(x[0], n),),
                clips[n : n + 1].contiguous(),
                n_perturb_samples=samples,
            )
            found.append(one.detach().double().cpu())
    return torch.cat(found).numpy()


def time_use(model: nn.Module, clips: Tensor, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Does the model use time at all? f(x) - f(x with its frames disturbed), each (N,), points.

    ``freeze`` repeats the middle frame, ``shuffle`` puts the frames in random order, ``reverse``
    plays them backwards.
    """
    frames = clips.shape[2]
    order = torch.randperm(frames, generator=torch.Generator().manual_seed(seed))
    disturbed = {
        "freeze": clips[:, :, [frames // 2]].expand_as(clips),
        "shuffle": clips[:, :, order],
        "reverse": clips.flip(2),
    }
    whole = scores(model, clips)
    return {name: whole - scores(model, x) for name, x in disturbed.items()}


def border_mask(shape: Sequence[int], *, share: float = 1 / 8) -> np.ndarray:
    """Bool (H, W), True within ``share`` of the shorter side from the edge of the picture."""
    width = max(1, round(share * min(shape)))
    mask = np.ones(tuple(shape), bool)
    mask[width:-width, width:-width] = False
    return mask


def audit(maps: np.ndarray, regions: np.ndarray) -> pd.DataFrame:
    """Where no face should be: shares of |attribution| on background and border, by clip.

    Returns
    -------
    pd.DataFrame
        ``clip, place, share, area, ratio, points``: ``ratio`` = share over area, 1 for a map that
        does not care; ``points`` the signed sum. A ratio above 1 asks for a look and a swap test.
    """
    places = {
        "background": regions == pooling.BACKGROUND,
        "border": np.broadcast_to(border_mask(maps.shape[2:]), maps.shape),
    }
    rows = []
    for place, mask in places.items():
        area = mask.mean(axis=(1, 2, 3))
        size = np.abs(maps)
        total = np.maximum(size.sum(axis=(1, 2, 3)), 1e-30)
        share = (size * mask).sum(axis=(1, 2, 3)) / total
        rows.append(
            pd.DataFrame(
                {
                    "clip": np.arange(len(maps)),
                    "place": place,
                    "share": share,
                    "area": area,
                    "ratio": share / np.maximum(area, 1e-30),
                    "points": contribution(maps, mask),
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def swap(model: nn.Module, clips: Tensor, donors: Tensor, masks: np.ndarray) -> np.ndarray:
    """Change of the score, (N,) points, when masked pixels are taken from another recording.

    f(x) - f(x with the donor's pixels): large where the model reads what should not matter. It
    needs no renderer, so it works on real recordings.
    """
    mask = torch.from_numpy(np.ascontiguousarray(masks))[:, None].to(clips.device)
    return scores(model, clips) - scores(model, torch.where(mask, donors, clips))
