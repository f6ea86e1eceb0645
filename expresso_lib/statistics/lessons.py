"""Lessons: each trap of the field as a small simulation with nothing to find, run live.

Every function simulates cohorts in which the true answer is known, analyses them in the usual way
and in ours, and returns how often each finds something, as a table for a margin. Small numbers of
cohorts: rates carry a Monte-Carlo error of a few points (`simulations` says how many).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from expresso_lib.statistics import folds as fm
from expresso_lib.statistics import permutations as pm
from expresso_lib.statistics import ranks
from expresso_lib.statistics.simulation import smooth_noise


def window_z(
    units: np.ndarray, attribution: np.ndarray, *, window: int = 64, step: int = 32
) -> np.ndarray:
    """Fisher z in every window of many series at once.

    Parameters
    ----------
    units, attribution : ndarray, float, shape (..., F)

    Returns
    -------
    ndarray, float64, shape (..., windows)
        0 where a window is constant.
    """

    def cut(series: np.ndarray) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(series, window, axis=-1)[..., ::step, :]

    pairs = ranks.standard_ranks(cut(units)), ranks.standard_ranks(cut(attribution))
    return ranks.fisher_z(np.einsum("...i,...i->...", *pairs))


def windows_are_not_independent(
    *, participants: int = 24, simulations: int = 200, seed: int = 0
) -> pd.DataFrame:
    """One AU, one attribution, no relation: how often does each unit of analysis see one?

    Personal couplings of sd .15 around a mean of zero: people differ, the population does not.

    Returns
    -------
    DataFrame
        ``unit, false_positives`` (share of simulated cohorts, nominal .05), ``naive``.
    """
    rng = np.random.default_rng(seed)
    shape = (simulations, participants, 224)
    units, noise = smooth_noise(shape, rng), smooth_noise(shape, rng)
    personal = rng.normal(0, 0.15, (*shape[:2], 1))
    attribution = noise + personal * units
    z = window_z(units, attribution)
    flat = (
        ranks.standard_ranks(attribution.reshape(simulations, -1)),
        ranks.standard_ranks(units.reshape(simulations, -1)),
    )
    rho = np.einsum("si,si->s", *flat)
    n = shape[1] * shape[2]
    rates = {
        "frames, pooled": _rate(
            2 * scipy_stats.norm.sf(np.abs(ranks.fisher_z(rho)) * np.sqrt(n - 3))
        ),
        "p of one window": _rate(2 * scipy_stats.norm.sf(np.abs(z[..., 0]) * np.sqrt(61))),
        "windows, pooled": _rate(
            scipy_stats.ttest_1samp(z.reshape(simulations, -1), 0, axis=1).pvalue
        ),
        "participants": _rate(scipy_stats.ttest_1samp(z.mean(axis=-1), 0, axis=1).pvalue),
    }
    return _rates(rates, "unit", ours="participants")


def raw_sums_must_grow(
    *, participants: int = 24, simulations: int = 300, seed: int = 0
) -> pd.DataFrame:
    """Shares of the regions never change; does "the region grows with severity" come out anyway?

    A complete method's attributions sum to f(x) − f(x0), which follows severity. A part of every
    map is noise that does not. Tested: raw sum, enrichment, and enrichment given f(x) − f(x0).

    Returns
    -------
    DataFrame
        ``quantity, false_positives, naive``.
    """
    rng = np.random.default_rng(seed)
    score = rng.uniform(0, 45, (simulations, participants))
    difference = score - 20 + rng.normal(0, 5, score.shape)
    share = 0.3 + 0.02 * rng.normal(size=score.shape)
    floor = 5.0  # score points of noise of either sign, spread evenly over the face
    positive = np.maximum(difference, 0) + 5
    area = 0.15
    mouth = share * positive + area * floor
    rest = (1 - share) * positive + (1 - area) * floor
    enrichment = np.log(mouth / area / (rest / (1 - area)))
    given = difference[:, None, :]
    rates = {
        "raw sum of the region": _rate(_rho_p(share * difference, score)),
        "enrichment, plain slope": _rate(_rho_p(enrichment, score)),
        "enrichment, given f(x) − f(x0)": _rate(_rho_p(enrichment, score, given)),
    }
    return _rates(rates, "quantity", ours="enrichment, given f(x) − f(x0)")


def selecting_correct_invents_a_gradient(
    *, participants: int = 100, simulations: int = 200, within: float = 5.0, seed: int = 0
) -> pd.DataFrame:
    """A model without any skill, looked at only where it happens to be right.

    Its prediction is unrelated to severity and its mouth attribution follows its prediction, as
    completeness demands. Among the "correct" (|error| ≤ within) prediction and severity agree by
    selection, so the mouth seems to grow with severity.

    Returns
    -------
    DataFrame
        ``band``, mean mouth attribution (score points) of the ``correct`` and of ``everyone``;
        the last row, ``band`` "significant in", holds the shares of false positives.
    """
    rng = np.random.default_rng(seed)
    score = rng.uniform(0, 45, (simulations, participants))
    prediction = rng.normal(22, 8, score.shape)
    mouth = 0.2 * (prediction - 12) + rng.normal(0, 0.6, score.shape)
    correct = np.abs(prediction - score) <= within
    edges = {"minimal": (0, 14), "mild": (14, 20), "moderate": (20, 29), "severe": (29, 64)}
    rows = []
    for band, (low, high) in edges.items():
        inside = (score >= low) & (score < high)
        rows.append(
            {
                "band": band,
                "correct": mouth[inside & correct].mean(),
                "everyone": mouth[inside].mean(),
            }
        )
    found = _rate(_rho_p(np.where(correct, mouth, np.nan), np.where(correct, score, np.nan)))
    rows.append(
        {"band": "significant in", "correct": found, "everyone": _rate(_rho_p(mouth, score))}
    )
    return pd.DataFrame(rows)


def speech_is_a_common_cause(
    *, participants: int = 24, simulations: int = 100, seed: int = 0
) -> pd.DataFrame:
    """Speech moves the jaw and, by another way, the attribution; the jaw itself does nothing.

    Returns
    -------
    DataFrame
        ``analysis, false_positives, naive`` for AU26 as it is, given an imperfectly measured
        AU25, and in silent frames only.
    """
    rng = np.random.default_rng(seed)
    shape = (simulations, participants, 224)
    talk = np.repeat(rng.random((*shape[:2], shape[2] // 32)) < 0.5, 32, axis=-1)
    loud = talk * np.abs(smooth_noise(shape, rng, phi=0.6))
    jaw = loud + 0.3 * smooth_noise(shape, rng)
    lips = loud + 0.3 * smooth_noise(shape, rng, phi=0.6)
    attribution = 0.4 * loud + smooth_noise(shape, rng)
    silent = np.where(talk, np.nan, 1.0)

    def cohort_p(values: np.ndarray) -> np.ndarray:
        return scipy_stats.ttest_1samp(
            np.nanmean(values, axis=-1), 0, axis=1, nan_policy="omit"
        ).pvalue

    given = _partial_z(jaw, attribution, lips)
    quiet = ranks.standard_ranks(jaw * silent), ranks.standard_ranks(attribution * silent)
    rho = np.einsum("...i,...i->...", *quiet)
    rates = {
        "AU26 as it is": _rate(cohort_p(window_z(jaw, attribution))),
        "given AU25, measured with error": _rate(cohort_p(given)),
        "in silent frames": _rate(cohort_p(ranks.fisher_z(rho)[..., None])),
    }
    return _rates(rates, "analysis", ours="in silent frames")


def _partial_z(x: np.ndarray, y: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Fisher z of the partial rank correlation in whole windows of 32 frames."""
    cut = [s.reshape(*s.shape[:-1], -1, 32) for s in (x, y, given)]
    left = [ranks.residual_ranks(part, cut[2][..., None, :]) for part in cut[:2]]
    return ranks.fisher_z(np.einsum("...i,...i->...", *left))


def one_model_is_shared(
    *,
    participants: int = 24,
    folds: int = 5,
    repeats: int = 3,
    simulations: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Participants of a fold share a model with its own quirk; the mean coupling is 0.

    Returns
    -------
    DataFrame
        ``analysis, false_positives, naive``: one run of the folds, the mean over repeats, and
        the fold-aware t.
    """
    rng = np.random.default_rng(seed)
    assigned = np.stack([rng.permutation(np.arange(participants) % folds) for _ in range(repeats)])
    quirk = rng.normal(0, 0.05, (simulations, repeats, folds))
    z = rng.normal(0, 0.15, (simulations, 1, participants)) + rng.normal(
        0, 0.03, (simulations, repeats, participants)
    )
    z = z + np.stack([quirk[:, r, assigned[r]] for r in range(repeats)], axis=1)
    aware = fm.fold_aware_t(z[..., None], assigned)[:, 0]
    rates = {
        "one run of the folds": _rate(scipy_stats.ttest_1samp(z[:, 0], 0, axis=1).pvalue),
        f"mean over {repeats} repeats": _rate(
            scipy_stats.ttest_1samp(z.mean(axis=1), 0, axis=1).pvalue
        ),
        "repeats, fold-aware": _rate(2 * scipy_stats.t.sf(np.abs(aware), participants - 1)),
    }
    return _rates(rates, "analysis", ours="repeats, fold-aware")


def seventeen_tests(
    *, participants: int = 24, simulations: int = 500, n_flips: int = 999, seed: int = 0
) -> pd.DataFrame:
    """Seventeen AUs, none of which goes with anything: how often is at least one "significant"?

    Returns
    -------
    DataFrame
        ``correction, false_positives, naive`` (family-wise).
    """
    z = np.random.default_rng(seed).normal(0, 0.17, (simulations, participants, 17))
    test = pm.sign_flip_max_t(z, n_flips=n_flips, seed=seed)
    single = scipy_stats.ttest_1samp(z, 0, axis=1).pvalue.min(axis=1)
    rates = {
        "none": _rate(single),
        "Bonferroni": _rate(single * 17),
        "sign-flip max-T": _rate(test.p_max.min(axis=1)),
    }
    return _rates(rates, "correction", ours="sign-flip max-T").assign(naive=[True, False, False])


def _rho_p(x: np.ndarray, y: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
    """Two-sided p of the (partial) Spearman correlation of every row."""
    rho = (ranks.residual_ranks(x, given) * ranks.residual_ranks(y, given)).sum(axis=-1)
    freedom = np.isfinite(x).sum(axis=-1) - 2 - (0 if given is None else given.shape[-2])
    t = rho * np.sqrt(freedom / np.maximum(1 - rho**2, 1e-12))
    return 2 * scipy_stats.t.sf(np.abs(t), freedom)


def _rate(p: np.ndarray) -> float:
    """Share of simulations that are significant at 5 %."""
    return float(np.mean(np.asarray(p) <= 0.05))


def _rates(rates: dict[str, float], name: str, *, ours: str) -> pd.DataFrame:
    table = pd.DataFrame({name: list(rates), "false_positives": list(rates.values())})
    return table.assign(naive=table[name] != ours)


def false_positives(*, participants: int = 24, seed: int = 0) -> pd.DataFrame:
    """Ask every lesson at once how often it finds something where nothing is.

    Returns
    -------
    DataFrame
        ``lesson, analysis, rate, naive``, a row per analysis.
    """
    options = {"participants": participants, "seed": seed}
    selected = selecting_correct_invents_a_gradient(seed=seed).set_index("band")
    chosen = selected.loc["significant in", ["correct", "everyone"]]
    parts = {
        "window or person": windows_are_not_independent(**options),
        "one model, many people": one_model_is_shared(**options),
        "seventeen looks": seventeen_tests(**options),
        "raw sums": raw_sums_must_grow(**options),
        "being right": pd.DataFrame(
            {
                "analysis": ["correct predictions only", "everyone"],
                "false_positives": chosen.to_numpy(float),
                "naive": [True, False],
            }
        ),
    }
    named = [
        table.set_axis(["analysis", *table.columns[1:]], axis=1).assign(lesson=lesson)
        for lesson, table in parts.items()
    ]
    rows = pd.concat(named, ignore_index=True).rename(columns={"false_positives": "rate"})
    return rows[["lesson", "analysis", "rate", "naive"]]
