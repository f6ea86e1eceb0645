"""How often each test finds something: null cohorts, planted effects, intervals.

Every number is the share of simulated cohorts of ``n`` participants in which a test rejects at
5 % (or an interval covers). The tests are the library's own functions; nothing is re-implemented
for them. The naive analyses stand beside them, as they are commonly done.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any

import numpy as np
from scipy import stats as scipy_stats

from expresso_lib.attribution.cohorts import REPEATS
from expresso_lib.statistics import (
    circular_shift,
    detectable,
    folds,
    hypotheses,
    max_rho,
    mean_interval,
    plan,
    ranks,
    sign_flip_max_t,
)
from expresso_lib.statistics.lessons import smooth_noise
from expresso_lib.statistics.power import SPREAD_Z

from . import measure

SIZES = (24, 84)
AUS, FRAMES, WINDOW, STEP, FOLDS = 16, 224, 64, 32, 5
FLIPS = 499
CHUNK = 50
SERIES = ("no coupling", "personal couplings", "slow drift")
REGIONS = (
    "all signal", "noise floor", "rest changes", "pose changes areas", "fold effects",
    "uneven spread",
)  # fmt: skip
FAMILY = f"{AUS} AUs (family-wise)"


@dataclass
class Rates:
    """The outcome (0 or 1) of every cohort, by test, scenario, n and whether it is naive."""

    found: dict[tuple, list[float]] = field(default_factory=lambda: defaultdict(list))
    scenario: str = ""
    n: int = 0
    seed: int = 0  # of flips, shuffles and resamples: another one in every chunk

    def add(self, test: str, hits: np.ndarray, *, naive: bool = False) -> None:
        """Keep the outcomes of a chunk of cohorts."""
        self.found[test, self.scenario, self.n, naive].extend(np.ravel(hits).astype(float))

    def family(self, name: str, test: Any, *, member: int = 0, one: str = "one AU") -> None:
        """Keep a family-wise test and one of its members alone."""
        self.add(f"{name} (family-wise)", (test.p_max <= 0.05).any(axis=-1))
        self.add(f"{name.split(',')[0]}, {one}", test.p[..., member] <= 0.05)


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Return one line per test and scenario; ``quick`` takes a hundred cohorts."""
    found: dict[tuple, list[float]] = defaultdict(list)
    # Started anew: a forked process would wait for threads that it has not got.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for part in pool.map(judge, range((100 if quick else 5000) // CHUNK)):
            for key, values in part.items():
                found[key] += values
    # What is the same in every line is asked for once.
    shared = measure.calibration("", "", 0, 0.0, False)
    names = ("test", "scenario", "n", "naive")
    return [
        shared
        | dict(zip(names, key))
        | {"rate": round(float(np.mean(values)), 4), "cohorts": len(values)}
        for key, values in found.items()
    ]


def judge(chunk: int) -> dict[tuple, list[float]]:
    """`Rates.found` of the cohorts of a chunk, which is the seed of all that is drawn."""
    rng, rates = np.random.default_rng([8, chunk]), Rates(seed=chunk)
    for rates.n in SIZES:
        # The frames of 84 people take minutes a thousand; what they show does not hang on n.
        if rates.n == SIZES[0]:
            _series(rng, rates)
        _shared_models(rng, rates)
        for rates.scenario in REGIONS:
            _regions(rng, rates)
        _power(rng, rates)
        _coverage(rng, rates)
    _selection(rng, rates)
    return dict(rates.found)


def _series(rng: np.random.Generator, rates: Rates) -> None:
    """AUs and attributions, frame by frame, that have nothing to do with one another."""
    shape = (CHUNK, rates.n, AUS, FRAMES)
    au, noise = smooth_noise(shape, rng), smooth_noise((CHUNK, rates.n, FRAMES), rng)
    personal = rng.normal(0, 0.15, shape[:3])
    time = np.linspace(-1, 1, FRAMES)
    slope = rng.normal(0, 1.5, (CHUNK, rates.n, AUS + 1, 1))
    starts = ranks.window_starts(FRAMES, WINDOW, STEP)[:, None] + np.arange(WINDOW)
    for rates.scenario in SERIES:
        units, attribution = au, noise
        if rates.scenario == "personal couplings":
            attribution = noise + np.einsum("cpa,cpaf->cpf", personal, au)
        if rates.scenario == "slow drift":
            attribution, units = noise + slope[:, :, -1] * time, au + slope[:, :, :-1] * time
        a = ranks.standard_ranks(units[..., starts])
        b = ranks.standard_ranks(attribution[..., starts])
        z = ranks.fisher_z(np.einsum("cpawt,cpwt->cpaw", a, b))
        _judge_series(rng, rates, z)
        _judge_pooled(rates, units[:, :, 0], attribution, z[:, :, 0])
        if rates.scenario != "personal couplings":  # where each single case may be true
            single = zip(units[:, 0, 0], attribution[:, 0])
            p = [circular_shift(x[:, None], y, window=WINDOW).p[0] for x, y in single]
            rates.add("H5 circular shift, one recording", np.array(p) <= 0.05)


def _judge_series(rng: np.random.Generator, rates: Rates, z: np.ndarray) -> None:
    """Our tests of H1 and H2, and the uncorrected family; z (cohorts, n, A, windows)."""
    person = z.mean(axis=-1)
    p = scipy_stats.ttest_1samp(person, 0, axis=1).pvalue
    rates.add(f"{FAMILY} uncorrected", (p <= 0.05).any(axis=1), naive=True)
    rates.family(
        f"H1 sign-flip max-T, {AUS} AUs", sign_flip_max_t(person, n_flips=FLIPS, seed=rates.seed)
    )
    score = rng.uniform(0, 45, person.shape[:2])
    fold = np.arange(rates.n) % FOLDS
    rates.family(
        f"H2 max-|rho|, {AUS} AUs",
        max_rho(person, score, folds=fold, n_permutations=FLIPS, seed=rates.seed),
    )


def _judge_pooled(rates: Rates, au: np.ndarray, attribution: np.ndarray, z: np.ndarray) -> None:
    """The naive analyses of one AU: windows and frames as if they were people; z (c, n, W)."""
    flat, windows = z.reshape(len(z), -1), z.shape[-1]

    def normal(statistic: np.ndarray, n: int) -> np.ndarray:
        return 2 * scipy_stats.norm.sf(np.abs(statistic) * np.sqrt(n - 3)) <= 0.05

    rates.add("p of one window", normal(z[..., 0], WINDOW), naive=True)
    pooled = scipy_stats.ttest_1samp(flat, 0, axis=1).pvalue
    rates.add("windows pooled, t", pooled <= 0.05, naive=True)
    # Participants stand in random order, so quarters are bands without any difference.
    bands = np.moveaxis(z.reshape(len(z), 4, -1), 1, 0)
    p = scipy_stats.f_oneway(*bands, axis=1).pvalue
    rates.add("four bands, windows as units", p <= 0.05, naive=True)
    a, b = (ranks.standard_ranks(s.reshape(len(s), -1)) for s in (au, attribution))
    frames = ranks.fisher_z(np.einsum("ci,ci->c", a, b))
    rates.add("frames pooled", normal(frames, a.shape[1]), naive=True)
    cut = ranks.window_starts(FRAMES, WINDOW, STEP)[:, None] + np.arange(WINDOW)
    x, y = (s[..., cut].mean(axis=-1) for s in (au, attribution))
    x, y = (m - m.mean(axis=-1, keepdims=True) for m in (x, y))
    r = (x * y).sum(axis=(1, 2)) / np.sqrt((x**2).sum(axis=(1, 2)) * (y**2).sum(axis=(1, 2)))
    freedom = rates.n * (windows - 1) - 1
    t = np.abs(r) * np.sqrt(freedom / (1 - r**2))
    p = 2 * scipy_stats.t.sf(t, freedom)
    rates.add("rm_corr on overlapping windows", p <= 0.05, naive=True)


def _shared_models(rng: np.random.Generator, rates: Rates) -> None:
    """Folds made anew as in chapter 6: models differ by sd .05, personal couplings by sd .10."""
    people = np.arange(rates.n) % FOLDS
    assigned = np.stack([rng.permutation(people) for _ in range(REPEATS)])
    score = rng.uniform(0, 45, (CHUNK, rates.n))
    for rates.scenario, sd in (("shared fold models", 0.05), ("no effect of fold models", 0.0)):
        model = rng.normal(0, sd, (CHUNK, REPEATS, FOLDS, AUS))
        z = rng.normal(0, SPREAD_Z, (CHUNK, 1, rates.n, AUS))
        z = z + rng.normal(0, 0.03, (CHUNK, REPEATS, rates.n, AUS))
        z += np.stack([model[:, r, assigned[r]] for r in range(REPEATS)], axis=1)
        aware = folds.fold_aware_t(z, assigned)
        test = sign_flip_max_t(z.mean(axis=1), n_flips=FLIPS, seed=rates.seed, observed=aware)
        rates.family(f"H1 fold-aware max-T, {AUS} AUs", test)
        once = scipy_stats.ttest_1samp(z[:, 0, :, 0], 0, axis=1).pvalue
        rates.add("participant t, one run of the folds", once <= 0.05, naive=True)
        test = max_rho(z[:, 0], score, folds=assigned[0], n_permutations=FLIPS, seed=rates.seed)
        rates.family(f"H2 max-|rho|, {AUS} AUs", test)


_SHARES = np.array([0.05, 0.05, 0.1, 0.1, 0.2, 0.3])
_AREAS = np.array([0.04, 0.04, 0.03, 0.03, 0.14, 0.12])


def region_cohorts(rng: np.random.Generator, scenario: str, people: int) -> tuple[np.ndarray, ...]:
    """Simulate participants' enrichment R⁺ and R⁻ (cohorts, P, 12), raw sums, score, difference.

    The prediction follows the score with error, attributions sum to prediction − f(x0), and
    everything else follows the prediction, the fold, or nothing.
    """
    shape = (CHUNK, people)
    score = rng.uniform(0, 45, shape)
    difference = 0.7 * (score - 22) + rng.normal(0, 6, shape)
    spread, shift = np.full((*shape, 1, 1), 0.25), 0.0
    if scenario == "fold effects":  # of 72 % of the difference's variance, as measured at N = 24
        fold = np.arange(people) % FOLDS
        score = score + rng.normal(0, 4, (CHUNK, FOLDS))[:, fold]
        difference = difference + rng.normal(0, 18, (CHUNK, FOLDS))[:, fold]
        shift = rng.normal(0, 0.25, (CHUNK, FOLDS, 2, len(_SHARES)))[:, fold]
    if scenario == "uneven spread":  # maps of extreme predictions differ more from each other
        spread = spread * np.exp(np.abs(difference) / 12)[..., None, None]
    push = 1 / (1 + np.exp(-difference / 8))  # share of the mass that raises the score
    noise = spread * rng.normal(size=(*shape, 2, len(_SHARES))) + shift
    share, area = _SHARES * np.exp(noise), np.broadcast_to(_AREAS, noise.shape)
    if scenario == "pose changes areas":  # the head turns more in some, whatever their severity
        turn = np.array([1, -1, 1, -1, 0.5, 0.3])
        area = area * np.exp(rng.normal(0, 0.2, (*shape, 1, 1)) * turn)
    rest = np.full((*shape, 2), 1 - _SHARES.sum())
    if scenario == "rest changes":
        rest = rest * np.exp(0.03 * difference)[..., None]
    mass = np.stack([push, 1 - push], axis=-1) * 40
    floor = 0.0 if scenario == "all signal" else 8.0
    region = share * mass[..., None] + floor * area
    others = rest * mass + floor * (1 - area.sum(axis=-1))
    enrichment = np.log(region / area) - np.log(others / (1 - area.sum(axis=-1)))[..., None]
    raw = _SHARES[-1] * np.exp(0.1 * noise[:, :, 0, -1]) * difference
    return enrichment.reshape(*shape, -1), raw, score, difference


def _regions(rng: np.random.Generator, rates: Rates) -> None:
    """H3 and H3b where enrichment has nothing to do with severity, given the prediction."""
    enrichment, raw, score, difference = region_cohorts(rng, rates.scenario, rates.n)
    fold, given = np.arange(rates.n) % FOLDS, difference[..., None]
    options = {"covariates": given, "n_permutations": FLIPS, "seed": rates.seed}
    test = max_rho(enrichment, score, folds=fold, studentised=True, **options)
    rates.family("H3 enrichment given f(x) − f(x0), 12", test, member=5, one="one region")
    if rates.scenario in ("fold effects", "uneven spread"):
        blind = max_rho(enrichment, score, **options)
        hits = (blind.p_max <= 0.05).any(axis=-1)
        rates.add("H3 without folds, not studentised (family-wise)", hits, naive=True)
    rates.add("raw region sum × severity", _rho_p(raw, score) <= 0.05, naive=True)
    plain = _rho_p(enrichment[:, :, 5], score)
    rates.add("enrichment × severity, plain slope", plain <= 0.05, naive=True)
    if rates.scenario != "fold effects":  # exploratory: there it errs in 8 to 10 % (`two_slopes`)
        cohorts = zip(enrichment[: CHUNK // 5, :, 2], score, difference)
        p = [
            hypotheses.two_slopes(y, s, d, plan.DEFAULT, folds=fold)["p"].iloc[2]
            for y, s, d in cohorts
        ]
        rates.add("H3b two slopes, difference", np.array(p) <= 0.05)


def _selection(rng: np.random.Generator, rates: Rates) -> None:
    """A model without skill, analysed where it was right, and everywhere."""
    rates.scenario, rates.n = "model without skill", 100
    shape = (CHUNK, rates.n)
    score, prediction = rng.uniform(0, 45, shape), rng.normal(22, 8, shape)
    mouth = 0.2 * (prediction - 12) + rng.normal(0, 0.6, shape)
    right = np.abs(prediction - score) <= 5
    chosen = [np.where(right, v, np.nan) for v in (mouth, score)]
    rates.add("correct predictions only", _rho_p(*chosen) <= 0.05, naive=True)
    rates.add("everyone", _rho_p(mouth, score) <= 0.05)


def _rho_p(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Two-sided p of Spearman's rho of every cohort, NaN left out."""
    rho = (ranks.standard_ranks(x) * ranks.standard_ranks(y)).sum(axis=-1)
    freedom = np.isfinite(x).sum(axis=-1) - 2
    t = np.abs(rho) * np.sqrt(freedom / np.maximum(1 - rho**2, 1e-12))
    return 2 * scipy_stats.t.sf(t, freedom)


def _normal_pair(rng: np.random.Generator, n: int, rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Normal data (cohorts, n, A), (cohorts, n) whose first column has a Spearman of rho."""
    r = 2 * np.sin(np.pi * rho / 6)
    x = rng.normal(size=(CHUNK, n, AUS))
    return x, r * x[:, :, 0] + np.sqrt(1 - r**2) * rng.normal(size=(CHUNK, n))


def _power(rng: np.random.Generator, rates: Rates) -> None:
    """Effects of the size that `power.detectable` promises to find in four of five cohorts."""
    rates.scenario = "planted at the detectable size"
    z = rng.normal(0, SPREAD_Z, (CHUNK, rates.n, AUS))
    for family, name in ((1, "one AU"), (AUS, FAMILY)):
        planted = z + np.eye(AUS)[0] * printed(detectable(rates.n, family=family), 3)
        found = sign_flip_max_t(planted[:, :, :family], n_flips=FLIPS, seed=rates.seed)
        rates.add(f"finds a planted mean z, {name}", found.p_max[:, 0] <= 0.05)
        size = printed(detectable(rates.n, kind="severity", family=family), 2)
        x, score = _normal_pair(rng, rates.n, size)
        found = max_rho(x[:, :, :family], score, n_permutations=FLIPS, seed=rates.seed)
        rates.add(f"finds a planted rho, {name}", found.p_max[:, 0] <= 0.05)
    rates.scenario = "effect at the margin"
    at_margin = sign_flip_max_t(z[:, :, :1] + plan.MARGIN_Z, n_flips=FLIPS, seed=rates.seed)
    hits = at_margin.equivalence(plan.MARGIN_Z) <= 0.05
    rates.add("equivalence claimed though the mean is at the margin", hits)
    x, score = _normal_pair(rng, rates.n, plan.MARGIN_RHO)
    hits = (
        max_rho(x[:, :, :1], score, n_permutations=FLIPS, seed=rates.seed).equivalence(
            plan.MARGIN_RHO
        )
        <= 0.05
    )
    rates.add("equivalence claimed though rho is at the margin", hits)


def printed(size: float, digits: int) -> float:
    """The size as the book prints it, never rounded to less than is needed."""
    return float(np.ceil(10**digits * size) / 10**digits)


def _coverage(rng: np.random.Generator, rates: Rates) -> None:
    """How often the 95 % intervals hold the truth."""
    rates.scenario, true = "normal", 6 / np.pi * np.arcsin(0.5 / 2)
    values = rng.normal(0.1, SPREAD_Z, (CHUNK, rates.n, 1))
    boot = mean_interval(values, n_resamples=999, seed=rates.seed)
    rates.add("interval covers: mean, bootstrap", (boot.low <= 0.1) & (boot.high >= 0.1))
    low, high = sign_flip_max_t(values, n_flips=FLIPS, seed=rates.seed).interval()
    rates.add("interval covers: mean z", (low <= 0.1) & (high >= 0.1))
    x, score = _normal_pair(rng, rates.n, true)
    for name, robust in (("rho", False), ("rho, studentised", True)):
        test = max_rho(
            x[:, :, :1], score, n_permutations=FLIPS, seed=rates.seed, studentised=robust
        )
        low, high = test.interval()
        rates.add(f"interval covers: {name}", (low <= true) & (high >= true))
