"""Lessons: each trap of the field as a small simulation with nothing to find, run live.

Every function simulates cohorts in which the true answer is known, analyses them as is common
and as this book does, and returns how often each finds something, as a table for a margin. By 100
to 2,000 cohorts: rates carry a Monte-Carlo error of up to a few points.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats
from scipy.signal import lfilter

from expresso_lib.statistics import folds as fm
from expresso_lib.statistics import permutations as pm
from expresso_lib.statistics import ranks

# At this lag-one correlation 64 frames of AU × attribution hold about six independent frames:
# n (1 − φ²) / (1 + φ²) = 6 (Bartlett, 1935).
PHI = 0.91


def smooth_noise(
    shape: tuple[int, ...], rng: np.random.Generator, *, phi: float = PHI
) -> np.ndarray:
    """Autocorrelated noise of unit variance along the last axis (first-order autoregression).

    Examples
    --------
    >>> x = smooth_noise((2000,), np.random.default_rng(0))
    >>> bool(0.88 < np.corrcoef(x[1:], x[:-1])[0, 1] < 0.94)
    True
    """
    noise = rng.normal(size=shape) * np.sqrt(1 - phi**2)
    noise[..., 0] /= np.sqrt(1 - phi**2)
    return lfilter([1.0], [1.0, -phi], noise, axis=-1)


def window_z(
    units: np.ndarray, attribution: np.ndarray, given: np.ndarray | None = None, *, window: int = 64
) -> np.ndarray:
    """Fisher z in every window of many series (..., F) at once; 0 where a window is constant.

    ``given`` (..., F): a series whose ranks are partialled out of both within the window.
    """

    def cut(series: np.ndarray) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(series, window, axis=-1)[..., ::32, :]

    extra = None if given is None else cut(given)[..., None, :]
    left, right = (ranks.residual_ranks(cut(series), extra) for series in (units, attribution))
    return ranks.fisher_z(np.einsum("...i,...i->...", left, right))


def windows_are_not_independent(*, participants: int = 24) -> pd.DataFrame:
    """One AU, one attribution, no relation: how often does each unit of analysis see one?

    Personal couplings of sd .15 around a mean of zero: people differ, the population does not.

    Returns
    -------
    DataFrame
        ``unit, false_positives`` (share of simulated cohorts, nominal .05), ``naive``.
    """
    rng = np.random.default_rng(0)
    shape = (200, participants, 224)
    units, noise = smooth_noise(shape, rng), smooth_noise(shape, rng)
    attribution = noise + rng.normal(0, 0.15, (*shape[:2], 1)) * units
    z = window_z(units, attribution)
    a, b = (ranks.standard_ranks(s.reshape(len(s), -1)) for s in (attribution, units))
    frames = ranks.fisher_z((a * b).sum(axis=-1)) * np.sqrt(a.shape[1] - 3)
    rates = {
        "frames, pooled": _rate(2 * scipy_stats.norm.sf(np.abs(frames))),
        "p of one window": _rate(2 * scipy_stats.norm.sf(np.abs(z[..., 0]) * np.sqrt(61))),
        "windows, pooled": _t_rate(z.reshape(len(z), -1)),
        "participants": _t_rate(z.mean(axis=-1)),
    }
    return _rates(rates, "unit")


def raw_sums_must_grow(*, participants: int = 24) -> pd.DataFrame:
    """Shares of the regions never change; does "the region grows with severity" come out anyway?

    A complete method's attributions sum to f(x) − f(x0), which follows severity. A part of every
    map is noise that does not. Tested: raw sum, enrichment, and enrichment given f(x) − f(x0).

    Returns
    -------
    DataFrame
        ``quantity, false_positives, naive``.
    """
    rng = np.random.default_rng(0)
    score = rng.uniform(0, 45, (300, participants))
    difference = score - 20 + rng.normal(0, 5, score.shape)
    share = 0.3 + 0.02 * rng.normal(size=score.shape)
    positive, area = np.maximum(difference, 0) + 5, 0.15
    floor = 5.0  # score points of noise of either sign, spread evenly over the face
    mouth = share * positive + area * floor
    rest = (1 - share) * positive + (1 - area) * floor
    enrichment = np.log(mouth / area / (rest / (1 - area)))
    rates = {
        "raw sum of the region": _rate(_rho_p(share * difference, score)),
        "enrichment, plain slope": _rate(_rho_p(enrichment, score)),
        "enrichment, given f(x) − f(x0)": _rate(_rho_p(enrichment, score, difference[:, None, :])),
    }
    return _rates(rates, "quantity")


def selecting_correct_invents_a_gradient() -> pd.DataFrame:
    """A model without any skill, looked at only where it happens to be right.

    Its prediction is unrelated to severity and its mouth attribution follows its prediction, as
    completeness demands. Among the "correct" (off by at most 5 points) prediction and severity
    agree by selection, so the mouth seems to grow with severity.

    Returns
    -------
    DataFrame
        ``analysis, false_positives, naive``.
    """
    rng = np.random.default_rng(0)
    score = rng.uniform(0, 45, (200, 100))  # cohorts, participants
    prediction = rng.normal(22, 8, score.shape)
    mouth = 0.2 * (prediction - 12) + rng.normal(0, 0.6, score.shape)
    chosen = [np.where(np.abs(prediction - score) <= 5, one, np.nan) for one in (mouth, score)]
    rates = {
        "correct predictions only": _rate(_rho_p(*chosen)),
        "everyone": _rate(_rho_p(mouth, score)),
    }
    return _rates(rates, "analysis")


def speech_is_a_common_cause() -> pd.DataFrame:
    """Speech moves the jaw and, on another path, the attribution; the jaw itself does nothing.

    Returns
    -------
    DataFrame
        ``analysis, false_positives, naive`` for AU26 as it is, given an imperfectly measured
        AU25, and in silent frames only.
    """
    rng, shape = np.random.default_rng(0), (100, 24, 224)  # cohorts, participants, frames
    talk = np.repeat(rng.random((*shape[:2], shape[2] // 32)) < 0.5, 32, axis=-1)
    loud = talk * np.abs(smooth_noise(shape, rng, phi=0.6))
    jaw = loud + 0.3 * smooth_noise(shape, rng)
    lips = loud + 0.3 * smooth_noise(shape, rng, phi=0.6)
    attribution = 0.4 * loud + smooth_noise(shape, rng)
    silent = np.where(talk, np.nan, 1.0)
    quiet = ranks.standard_ranks(jaw * silent) * ranks.standard_ranks(attribution * silent)
    given = window_z(jaw, attribution, lips, window=32)
    rates = {
        "AU26 as it is": _t_rate(window_z(jaw, attribution).mean(axis=-1)),
        "given AU25, measured with error": _t_rate(given.mean(axis=-1)),
        "in silent frames": _t_rate(ranks.fisher_z(quiet.sum(axis=-1))),
    }
    return _rates(rates, "analysis")


def one_model_is_shared(*, participants: int = 24) -> pd.DataFrame:
    """Participants of a fold share a model with its own quirk; the mean coupling is 0.

    Returns
    -------
    DataFrame
        ``analysis, false_positives, naive``: one run of five folds, the mean over three repeats,
        and the fold-aware t.
    """
    rng, simulations = np.random.default_rng(0), 2000
    assigned = np.stack([rng.permutation(np.arange(participants) % 5) for _ in range(3)])
    quirk = rng.normal(0, 0.05, (simulations, 3, 5))
    z = rng.normal(0, 0.15, (simulations, 1, participants))
    z = z + rng.normal(0, 0.03, (simulations, 3, participants))
    z = z + np.stack([quirk[:, repeat, assigned[repeat]] for repeat in range(3)], axis=1)
    aware = fm.fold_aware_t(z[..., None], assigned)[:, 0]
    rates = {
        "one run of the folds": _t_rate(z[:, 0]),
        "mean over 3 repeats": _t_rate(z.mean(axis=1)),
        "repeats, fold-aware": _rate(2 * scipy_stats.t.sf(np.abs(aware), participants - 1)),
    }
    return _rates(rates, "analysis")


def many_tests(*, participants: int = 24) -> pd.DataFrame:
    """Seventeen AUs, none of which goes with anything: how often is at least one "significant"?

    Returns
    -------
    DataFrame
        ``correction, false_positives, naive`` (family-wise).
    """
    z = np.random.default_rng(0).normal(0, 0.1, (500, participants, 17))
    single = scipy_stats.ttest_1samp(z, 0, axis=1).pvalue.min(axis=1)
    flips = pm.sign_flip_max_t(z, n_flips=999)
    rates = {
        "uncorrected": _rate(single),
        "Bonferroni": _rate(single * 17),
        "sign-flip max-T": _rate(flips.p_max.min(axis=1)),
    }
    return _rates(rates, "correction").assign(naive=[True, False, False])


def _rho_p(x: np.ndarray, y: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
    """Two-sided p of the (partial) Spearman correlation of every row."""
    rho = (ranks.residual_ranks(x, given) * ranks.residual_ranks(y, given)).sum(axis=-1)
    freedom = np.isfinite(x).sum(axis=-1) - 2 - (0 if given is None else given.shape[-2])
    t = rho * np.sqrt(freedom / np.maximum(1 - rho**2, 1e-12))
    return 2 * scipy_stats.t.sf(np.abs(t), freedom)


def _t_rate(values: np.ndarray) -> float:
    """Share of cohorts (rows) whose mean differs from 0 by a t test."""
    return _rate(scipy_stats.ttest_1samp(values, 0, axis=1).pvalue)


def _rate(p: np.ndarray) -> float:
    """Share of simulations that are significant at 5 %."""
    return float(np.mean(np.asarray(p) <= 0.05))


def _rates(rates: dict[str, float], name: str) -> pd.DataFrame:
    """The table of a lesson; the last row is this book's analysis, the others are naive."""
    table = pd.DataFrame({name: list(rates), "false_positives": list(rates.values())})
    return table.assign(naive=table.index < len(table) - 1)


def false_positives(*, participants: int = 24) -> pd.DataFrame:
    """Ask every lesson at once how often it finds something where nothing is.

    Returns
    -------
    DataFrame
        ``lesson, analysis, rate, naive``, a row per analysis.
    """
    lessons = {
        "being right": selecting_correct_invents_a_gradient(),
        "window or person": windows_are_not_independent(participants=participants),
        "one model, many people": one_model_is_shared(participants=participants),
        "seventeen looks": many_tests(participants=participants),
        "raw sums": raw_sums_must_grow(participants=participants),
    }
    names = ["analysis", "rate", "naive"]
    named = [table.set_axis(names, axis=1).assign(lesson=name) for name, table in lessons.items()]
    return pd.concat(named, ignore_index=True)[["lesson", *names]]
