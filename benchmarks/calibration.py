"""How often each way to analyse finds something: null cohorts, planted effects, intervals.

Every number is the share of simulated cohorts of ``N`` participants in which a test rejects at
5 % (or an interval covers). The tests are the library's own functions; nothing is re-implemented
for them. The naive ways stand beside them, as they are commonly done.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from scipy import stats as scipy_stats
from scipy.signal import lfilter

from expresso_lib.statistics import (
    circular_shift,
    detectable,
    folds,
    hypotheses,
    intervals,
    max_rho,
    mean_interval,
    ranks,
    rho_interval,
    sign_flip_max_t,
)
from expresso_lib.statistics.power import SPREAD_Z
from expresso_lib.statistics.simulation import PHI

from . import measure

N, AUS, FRAMES, WINDOW, STEP = 24, 17, 224, 64, 32
FLIPS = 499
CHUNK = 100
SERIES = ("no coupling", "personal couplings", "slow drift")
Rates = dict[tuple[str, str, int, bool], list[float]]


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Return one line per test and scenario; ``quick`` takes a hundred cohorts."""
    cohorts = CHUNK if quick else 5000
    rates: Rates = defaultdict(list)
    for chunk in range(-(-cohorts // CHUNK)):
        rng = np.random.default_rng([7, chunk])
        _series_chunk(rng, rates, seed=chunk)
        for people in (N, 84):
            _folds_chunk(rng, rates, people, seed=chunk)
        for scenario in REGIONS:
            _regions_chunk(rng, rates, scenario, seed=chunk)
        _selection_chunk(rng, rates)
        _power_chunk(rng, rates, seed=chunk)
        for people in (10, N, 84):
            _coverage_chunk(rng, rates, people, seed=chunk)
    # The hash of all code reached takes a second: it is taken once, not for every line.
    shared = measure.calibration("", "", 0, 0.0, False)
    return [
        shared
        | {
            "test": test,
            "scenario": scenario,
            "n": n,
            "rate": round(float(np.mean(values)), 4),
            "naive": naive,
            "cohorts": len(values),
        }
        for (test, scenario, n, naive), values in rates.items()
    ]


def add(
    rates: Rates, test: str, scenario: str, hits: np.ndarray, *, n: int = N, naive: bool = False
) -> None:
    """Keep the outcome (bool) of every cohort."""
    rates[test, scenario, n, naive].extend(np.ravel(hits).astype(float))


# Series: AUs and attributions that have nothing to do with one another in the population


def _series_chunk(rng: np.random.Generator, rates: Rates, *, seed: int) -> None:
    """Analyse one chunk of cohorts in the three scenarios that need frames."""
    shape = (CHUNK, N, AUS, FRAMES)
    au, noise = _smooth(rng, shape), _smooth(rng, (CHUNK, N, FRAMES))
    personal = rng.normal(0, 0.15, (CHUNK, N, AUS)).astype(np.float32)
    time = np.linspace(-1, 1, FRAMES, dtype=np.float32)
    slope = rng.normal(0, 1.5, (CHUNK, N, AUS + 1, 1)).astype(np.float32)
    score = rng.uniform(0, 45, (CHUNK, N))
    ranked = _window_ranks(au)
    for scenario in SERIES:
        attribution, units = noise, au
        if scenario == "personal couplings":
            attribution = noise + np.einsum("cpa,cpaf->cpf", personal, au)
        if scenario == "slow drift":
            attribution, units = noise + slope[:, :, -1] * time, au + slope[:, :, :-1] * time
            ranked = _window_ranks(units)
        z = ranks.fisher_z(np.einsum("cpawt,cpwt->cpaw", ranked, _window_ranks(attribution)))
        _judge_series(rates, scenario, z, score, seed=seed)
        _judge_pooled(rates, scenario, units[:, :, 0], attribution, z[:, :, 0])
        if scenario != "personal couplings":  # people do differ there: each single case may be true
            _judge_single(rates, scenario, units[:, 0, 0], attribution[:, 0])


def _judge_series(
    rates: Rates, scenario: str, z: np.ndarray, score: np.ndarray, *, seed: int
) -> None:
    """Our tests of H1 and H2, and the uncorrected family."""
    person = z.mean(axis=-1)
    p = scipy_stats.ttest_1samp(person, 0, axis=1).pvalue
    add(rates, "H1 participant z, t, one AU", scenario, p[:, 0] <= 0.05)
    add(
        rates,
        "H1 participant z, Wilcoxon, one AU",
        scenario,
        scipy_stats.wilcoxon(person[:, :, 0], axis=1).pvalue <= 0.05,
    )
    add(rates, "17 AUs uncorrected (family-wise)", scenario, (p <= 0.05).any(axis=1), naive=True)
    flips = sign_flip_max_t(person, n_flips=FLIPS, seed=seed)
    add(
        rates,
        "H1 sign-flip max-T, 17 AUs (family-wise)",
        scenario,
        (flips.p_max <= 0.05).any(axis=1),
    )
    shuffled = max_rho(person, score, n_permutations=FLIPS, seed=seed)
    add(rates, "H2 max-|rho|, 17 AUs (family-wise)", scenario, (shuffled.p_max <= 0.05).any(axis=1))
    add(rates, "H2 rho, one AU", scenario, shuffled.p[:, 0] <= 0.05)


def _judge_pooled(
    rates: Rates, scenario: str, au: np.ndarray, attribution: np.ndarray, z: np.ndarray
) -> None:
    """The naive ways, on one AU: windows and frames as if they were people; z (cohorts, N, W)."""
    windows = z.shape[-1]
    single = 2 * scipy_stats.norm.sf(np.abs(z[..., 0]) * np.sqrt(WINDOW - 3))
    add(rates, "p of one window", scenario, single <= 0.05, naive=True)
    pooled = scipy_stats.ttest_1samp(z.reshape(len(z), -1), 0, axis=1).pvalue
    add(rates, "windows pooled, t", scenario, pooled <= 0.05, naive=True)
    # Participants stand in random order, so quarters are bands without any difference.
    bands = z.reshape(len(z), 4, -1)
    add(
        rates,
        "four bands, windows as units",
        scenario,
        scipy_stats.f_oneway(*np.moveaxis(bands, 1, 0), axis=1).pvalue <= 0.05,
        naive=True,
    )
    a, b = (ranks.standard_ranks(s.reshape(len(s), -1)) for s in (au, attribution))
    frames = np.abs(ranks.fisher_z(np.einsum("ci,ci->c", a, b))) * np.sqrt(a.shape[1] - 3)
    add(rates, "frames pooled", scenario, 2 * scipy_stats.norm.sf(frames) <= 0.05, naive=True)
    means = [
        np.lib.stride_tricks.sliding_window_view(s, WINDOW, axis=-1)[..., ::STEP, :].mean(axis=-1)
        for s in (au, attribution)
    ]
    x, y = (m - m.mean(axis=-1, keepdims=True) for m in means)
    r = (x * y).sum(axis=(1, 2)) / np.sqrt((x**2).sum(axis=(1, 2)) * (y**2).sum(axis=(1, 2)))
    freedom = N * (windows - 1) - 1
    t = np.abs(r) * np.sqrt(freedom / (1 - r**2))
    add(
        rates,
        "rm_corr on overlapping windows",
        scenario,
        2 * scipy_stats.t.sf(t, freedom) <= 0.05,
        naive=True,
    )


def _judge_single(rates: Rates, scenario: str, au: np.ndarray, attribution: np.ndarray) -> None:
    """H5 on the first participant of every cohort."""
    p = [
        circular_shift(a[:, None].astype(float), b.astype(float), window=WINDOW).p[0]
        for a, b in zip(au, attribution)
    ]
    add(rates, "H5 circular shift, one recording", scenario, np.array(p) <= 0.05, n=1)


def _smooth(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Autocorrelated noise, float32 (ranks need no more digits)."""
    noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(1 - PHI**2))
    noise[..., 0] /= np.float32(np.sqrt(1 - PHI**2))
    return lfilter(np.float32([1.0]), np.float32([1.0, -PHI]), noise, axis=-1)


def _window_ranks(series: np.ndarray) -> np.ndarray:
    """Standardised ranks of every window, float32; faster than `ranks`: no ties."""
    cut = np.lib.stride_tricks.sliding_window_view(series, WINDOW, axis=-1)[..., ::STEP, :]
    order = np.argsort(cut, axis=-1)
    place = np.arange(WINDOW, dtype=np.float32) - np.float32((WINDOW - 1) / 2)
    place /= np.sqrt((place**2).sum())
    found = np.empty(cut.shape, dtype=np.float32)
    np.put_along_axis(found, order, np.broadcast_to(place, cut.shape), axis=-1)
    return found


# Shared fold models


def _folds_chunk(rng: np.random.Generator, rates: Rates, people: int, *, seed: int) -> None:
    """Five folds, three repeats: a model effect of sd .05 beside personal couplings of sd .15."""
    repeats, count = 3, 5
    assigned = np.stack([rng.permutation(np.arange(people) % count) for _ in range(repeats)])
    for scenario, sd in (("shared fold models", 0.05), ("no effect of fold models", 0.0)):
        model = rng.normal(0, sd, (CHUNK, repeats, count, AUS))
        z = rng.normal(0, 0.15, (CHUNK, 1, people, AUS)) + rng.normal(
            0, 0.03, (CHUNK, repeats, people, AUS)
        )
        z += np.stack([model[:, r, assigned[r]] for r in range(repeats)], axis=1)
        aware = folds.fold_aware_t(z, assigned)
        test = sign_flip_max_t(z.mean(axis=1), n_flips=FLIPS, seed=seed, observed=aware)
        add(
            rates,
            "H1 fold-aware max-T, 17 AUs (family-wise)",
            scenario,
            (test.p_max <= 0.05).any(axis=1),
            n=people,
        )
        add(rates, "H1 fold-aware t, one AU", scenario, test.p[:, 0] <= 0.05, n=people)
        once = scipy_stats.ttest_1samp(z[:, 0, :, 0], 0, axis=1).pvalue
        add(
            rates,
            "participant t, one run of the folds",
            scenario,
            once <= 0.05,
            n=people,
            naive=True,
        )
        score = rng.uniform(0, 45, (CHUNK, people))
        severity = max_rho(z.mean(axis=1), score, n_permutations=FLIPS, seed=seed)
        add(
            rates,
            "H2 max-|rho|, 17 AUs (family-wise)",
            scenario,
            (severity.p_max <= 0.05).any(axis=1),
            n=people,
        )


# Regions: enrichment has nothing to do with severity, given the prediction

REGIONS = ("all signal", "noise floor", "rest changes", "pose changes areas")
_SHARES = np.array([0.05, 0.05, 0.1, 0.1, 0.2, 0.3])
_AREAS = np.array([0.04, 0.04, 0.03, 0.03, 0.14, 0.12])


def region_cohorts(rng: np.random.Generator, scenario: str) -> tuple[np.ndarray, ...]:
    """Simulate participants' enrichment R⁺ and R⁻ (cohorts, N, 12), raw sums, score, difference.

    The prediction follows the score with error, attributions sum to prediction − f(x0), and
    everything else follows the prediction or nothing.
    """
    score = rng.uniform(0, 45, (CHUNK, N))
    difference = 0.7 * (score - 22) + rng.normal(0, 6, score.shape)
    push = 1 / (1 + np.exp(-difference / 8))  # share of the mass that raises the score
    total = 40.0
    noise = rng.normal(0, 0.25, (CHUNK, N, 2, len(_SHARES)))
    share = _SHARES * np.exp(noise)
    area = np.broadcast_to(_AREAS, share.shape)
    if scenario == "pose changes areas":  # the head turns more in some, whatever their severity
        area = area * np.exp(
            rng.normal(0, 0.2, (CHUNK, N, 1, 1)) * np.array([1, -1, 1, -1, 0.5, 0.3])
        )
    rest = np.full((CHUNK, N, 2), 1 - _SHARES.sum())
    if scenario == "rest changes":
        rest = rest * np.exp(0.03 * difference)[..., None]
    mass = np.stack([push, 1 - push], axis=-1) * total
    floor = 0.0 if scenario == "all signal" else 8.0
    region = share * mass[..., None] + floor * area
    others = rest * mass + floor * (1 - area.sum(axis=-1))
    enrichment = np.log(region / area) - np.log(others / (1 - area.sum(axis=-1)))[..., None]
    raw = _SHARES[-1] * np.exp(0.1 * noise[:, :, 0, -1]) * difference
    return enrichment.reshape(CHUNK, N, -1), raw, score, difference


def _regions_chunk(rng: np.random.Generator, rates: Rates, scenario: str, *, seed: int) -> None:
    enrichment, raw, score, difference = region_cohorts(rng, scenario)
    given = max_rho(
        enrichment, score, covariates=difference[..., None], n_permutations=FLIPS, seed=seed
    )
    add(
        rates,
        "H3 enrichment given f(x) − f(x0), 12 (family-wise)",
        scenario,
        (given.p_max <= 0.05).any(axis=1),
    )
    add(rates, "H3 enrichment given f(x) − f(x0), one region", scenario, given.p[:, 5] <= 0.05)
    add(rates, "raw region sum × severity", scenario, _rho_p(raw, score) <= 0.05, naive=True)
    add(
        rates,
        "enrichment × severity, plain slope",
        scenario,
        _rho_p(enrichment[:, :, 5], score) <= 0.05,
        naive=True,
    )
    eye = enrichment[: CHUNK // 2, :, 2]
    p = [hypotheses._two_slopes(y, s, d)["p"].iloc[2] for y, s, d in zip(eye, score, difference)]
    add(rates, "H3b two slopes, difference", scenario, np.array(p) <= 0.05)


def _selection_chunk(rng: np.random.Generator, rates: Rates) -> None:
    """A model without skill, analysed where it was right, and everywhere."""
    people = 100
    score, prediction = rng.uniform(0, 45, (CHUNK, people)), rng.normal(22, 8, (CHUNK, people))
    mouth = 0.2 * (prediction - 12) + rng.normal(0, 0.6, score.shape)
    right = np.abs(prediction - score) <= 5
    chosen = [np.where(right, v, np.nan) for v in (mouth, score)]
    add(
        rates,
        "correct predictions only",
        "model without skill",
        _rho_p(*chosen) <= 0.05,
        n=people,
        naive=True,
    )
    add(rates, "everyone", "model without skill", _rho_p(mouth, score) <= 0.05, n=people)


def _rho_p(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Two-sided p of Spearman's rho of every cohort, NaN left out."""
    rho = (ranks.standard_ranks(x) * ranks.standard_ranks(y)).sum(axis=-1)
    freedom = np.isfinite(x).sum(axis=-1) - 2
    return 2 * scipy_stats.t.sf(
        np.abs(rho) * np.sqrt(freedom / np.maximum(1 - rho**2, 1e-12)), freedom
    )


# Planted effects and intervals


def _power_chunk(rng: np.random.Generator, rates: Rates, *, seed: int) -> None:
    """Effects of the size that `power.detectable` promises to find in four of five cohorts."""
    z = rng.normal(0, SPREAD_Z, (CHUNK, N, AUS))
    for family, test in ((1, "one AU"), (AUS, "17 AUs (family-wise)")):
        planted = z + np.eye(AUS)[0] * printed(detectable(N, family=family))
        found = sign_flip_max_t(planted[:, :, :family], n_flips=FLIPS, seed=seed)
        add(
            rates,
            f"finds a planted mean z, {test}",
            "planted at the detectable size",
            found.p_max[:, 0] <= 0.05,
        )
        rho = printed(detectable(N, kind="severity", family=family))
        r = 2 * np.sin(np.pi * rho / 6)  # Pearson's r of normal data whose Spearman is rho
        x = rng.normal(size=(CHUNK, N, AUS))
        score = r * x[:, :, 0] + np.sqrt(1 - r**2) * rng.normal(size=(CHUNK, N))
        found = max_rho(x[:, :, :family], score, n_permutations=FLIPS, seed=seed)
        add(
            rates,
            f"finds a planted rho, {test}",
            "planted at the detectable size",
            found.p_max[:, 0] <= 0.05,
        )
    at_margin = z[:, :, 0] + intervals.MARGIN_Z
    p = np.array([intervals.mean_equivalence(v) for v in at_margin[:20]])
    add(rates, "equivalence claimed though the mean is at the margin", "mean z of .10", p <= 0.05)


def printed(size: float) -> float:
    """The size as the book prints it: two decimals, never rounded to less than is needed."""
    return float(np.ceil(100 * size) / 100)


def _coverage_chunk(rng: np.random.Generator, rates: Rates, people: int, *, seed: int) -> None:
    """How often the 95 % intervals hold the truth."""
    values = rng.normal(0.1, SPREAD_Z, (CHUNK, people, 1))
    found = mean_interval(values, n_resamples=999, seed=seed)
    held = (found.low <= 0.1) & (found.high >= 0.1)
    add(rates, "interval covers: mean z", "normal", held, n=people)
    true = 6 / np.pi * np.arcsin(0.5 / 2)  # Spearman of normal data with r = .5
    x = rng.normal(size=(CHUNK // 4, people))
    y = 0.5 * x + np.sqrt(0.75) * rng.normal(size=x.shape)
    limits = [
        rho_interval(a, b, n_resamples=499, seed=seed + i) for i, (a, b) in enumerate(zip(x, y))
    ]
    add(
        rates,
        "interval covers: rho",
        "normal",
        np.array([i.low <= true <= i.high for i in limits]),
        n=people,
    )
