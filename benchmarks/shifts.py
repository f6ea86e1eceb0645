"""Goal 7: every circular shift of a recording, and ten thousand sign flips."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from expresso_lib import statistics

from . import measure

AUS, WINDOW, STEP = 17, 64, 32
# Shifts and AUs that the SciPy loop is timed on; its full cost is extrapolated from them.
SAMPLE_SHIFTS, SAMPLE_AUS = 3, 2


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Return the goal's lines."""
    frames = 2_032 if quick else 16_032
    rng = np.random.default_rng(0)
    units = np.abs(np.cumsum(rng.normal(size=(frames, AUS)), axis=0)) % 5
    series = np.convolve(rng.normal(size=frames), np.ones(9) / 9, mode="same")
    start = time.process_time()
    ours = statistics.circular_shift(units, series, window=WINDOW, step=STEP)
    seconds = time.process_time() - start
    reference, gap = scipy_loop(units, series, ours)
    flips = flip_seconds(rng)
    what = f"all {frames:,} shifts x {AUS} AUs x {frames // STEP} windows"
    return [
        measure.goal(7, f"{what}, seconds", seconds, 5.0, "lower", gate=gap < 1e-7),
        measure.goal(
            7,
            f"{what}, times the SciPy loop (extrapolated)",
            reference / seconds,
            1000.0,
            "higher",
            gate=gap < 1e-7,
            note=f"largest difference {gap:.1e}",
        ),
        measure.goal(
            7, "10,000 sign flips x 17 AUs x 84 participants, seconds", flips, 0.05, "lower"
        ),
    ]


def scipy_loop(units: np.ndarray, series: np.ndarray, ours: Any) -> tuple[float, float]:
    """Return the SciPy loop's seconds for the whole job, and its largest difference from ours.

    The reference shifts the AU series of the whole recording, cuts the windows and asks SciPy
    for each window's correlation: the statistic by its definition.
    """
    frames = len(series)
    starts = np.unique([*range(0, frames - WINDOW + 1, STEP), frames - WINDOW])
    shifts = np.linspace(1, frames - 1, SAMPLE_SHIFTS).astype(int)
    gap, start = 0.0, time.process_time()
    for au in range(SAMPLE_AUS):
        for shift in shifts:
            moved = np.roll(units[:, au], -shift)
            z = [
                np.arctanh(
                    np.clip(
                        spearmanr(moved[s : s + WINDOW], series[s : s + WINDOW]).statistic,
                        -0.999,
                        0.999,
                    )
                )
                for s in starts
            ]
            gap = max(gap, abs(float(np.mean(z)) - float(ours.null[au, shift])))
    seconds = time.process_time() - start
    return seconds * frames * units.shape[1] / (SAMPLE_SHIFTS * SAMPLE_AUS), gap


def flip_seconds(rng: np.random.Generator) -> float:
    """Return the median seconds of a sign-flip max-T test with 10,000 flips."""
    z = rng.normal(size=(84, AUS))
    return measure.interleave(
        {"flips": lambda: statistics.sign_flip_max_t(z, n_flips=9_999).p_max},
        rounds=5,
        clock=time.perf_counter,
    )["flips"]
