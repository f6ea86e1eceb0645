"""Dynamics: how a face moves. Smiles, speech, blinks, brows, head and gaze as time series.

Every behaviour has an amount (how often, how strong) and a tempo (how fast). Tempo leaves the
histogram of single frames as it is: a slow rise visits the same intensities as a fast one. The
severity that `planting` writes into tempo can therefore be read from a video, not from a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from expresso_lib.faces import anatomy

FULL = 5.0     # OpenFace's largest intensity
WARM_UP = 4.0  # seconds simulated before the first frame, so that nothing starts at rest


@dataclass(frozen=True)
class Behaviour:
    """One recording's parameters; intensities are shares of full (1 is OpenFace's 5).

    Amounts: `smile_rate` per 10 s, `smile_size`, `cheek` (AU6 per AU12), `speech_share`,
    `mouth_size`, `brow_rate` per 10 s, `brow_size`,
    `nose_rate` per 10 s, `aversion` (share of time looking
    away), `head_sd` degrees, tonic levels by AU code. Tempo: `smile_rise` s, `cheek_lag` s,
    `syllables` Hz, `head_time` s, `gaze_time` s, `brow_rise` s. `blink_rate` per 10 s.
    """

    smile_rate: float = 1.6
    smile_size: float = .5
    smile_rise: float = .6
    cheek: float = .6
    cheek_lag: float = .1
    speech_share: float = .5
    syllables: float = 4.2
    mouth_size: float = .45
    brow_rate: float = 1.4
    brow_size: float = .5
    brow_rise: float = .15
    nose_rate: float = .5
    nose_rise: float = .25
    head_sd: float = 4.0
    head_time: float = 1.0
    aversion: float = .22
    gaze_time: float = .5
    blink_rate: float = 3.0
    tonic: tuple[tuple[str, float], ...] = ()
    bouts: tuple[tuple[str, float], ...] = ()


def column(code: str) -> int:
    """Return the column of an AU in every series."""
    return anatomy.AU_CODES.index(code)


def smoothstep(x: np.ndarray) -> np.ndarray:
    """Return 0 below 0, 1 above 1, and a smooth passage between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


@dataclass(frozen=True, eq=False)
class Motion:
    """The time series of one recording: as in `scene.Script`."""

    au: np.ndarray
    gaze: np.ndarray
    pose: np.ndarray
    shift: np.ndarray


def perform(behaviour: Behaviour, n_frames: int, fps: float, seed: tuple[int, ...]) -> Motion:
    """Play one behaviour for `n_frames` frames; every channel has its own random stream.

    Returns
    -------
    Motion
        AU intensities 0 to 5 (F, A), gaze (F, 2) and pose (F, 3) in degrees, shift (F, 2) in mm.
    """
    total = n_frames + round(WARM_UP * fps)
    time = np.arange(total) / fps
    streams = [np.random.default_rng([*seed, channel]) for channel in range(12)]
    share = np.zeros((total, len(anatomy.AU_CODES)))
    _smiles(share, time, behaviour, streams[0])
    speak(share, time, behaviour, streams[1])
    _brows(share, time, behaviour, streams[2])
    _nose(share, time, behaviour, streams[3])
    blink(share, time, behaviour, streams[4])
    _tonic(share, fps, behaviour, streams[5])
    _idle(share, time, streams[6])
    for code, level in behaviour.bouts:
        share[:, column(code)] += .75 * level * bouts(
            time, streams[9], on=1.4, off=max(2.6 / level - 1.4, .5), rise=.3, fall=.4)
    share[:, column("AU45")] = np.clip(share[:, column("AU45")], 0, 1)
    pose, shift = _head(time, behaviour, streams[7])
    gaze = look(time, behaviour, streams[8])
    # A smile parts the lips a little, a wide one shows teeth.
    share[:, column("AU25")] += .30 * np.clip(share[:, column("AU12")] - .3, 0, 1)
    au = np.clip(share, 0, 1) * FULL
    keep = slice(total - n_frames, None)
    return Motion(au[keep].astype(np.float32), gaze[keep].astype(np.float32),
                  pose[keep].astype(np.float32), shift[keep].astype(np.float32))


def bouts(time: np.ndarray, rng: np.random.Generator, *, on: float, off: float, rise: float,
          fall: float) -> np.ndarray:
    """Return a series of bouts of height about 1: smooth rise, hold, smooth fall, pause.

    `on` is the mean length from the start of the rise to the end of the fall, s; `off` the mean
    pause. All four scale with tempo alike, so the histogram of values does not depend on it.
    """
    out = np.zeros_like(time)
    at = -rng.uniform(0, on + off)
    while at < time[-1]:
        length = on * np.exp(rng.normal(0, .25))
        up, down = rise * np.exp(rng.normal(0, .12)), fall * np.exp(rng.normal(0, .12))
        size = np.exp(rng.normal(0, .22))
        inside = (time > at) & (time < at + length)
        local = time[inside] - at
        out[inside] = size * np.minimum(smoothstep(local / up), smoothstep((length - local) / down))
        at += length + off * rng.gamma(3.0, 1 / 3)
    return out


def _smiles(share: np.ndarray, time: np.ndarray, b: Behaviour, rng: np.random.Generator) -> None:
    period = 10 / b.smile_rate
    on = SMILE_DUTY * period
    smile = b.smile_size * bouts(time, rng, on=on, off=period - on, rise=b.smile_rise,
                                 fall=1.4 * b.smile_rise)
    share[:, column("AU12")] += smile
    lagged = np.interp(time - b.cheek_lag, time, smile)
    share[:, column("AU06")] += b.cheek * lagged
    share[:, column("AU07")] += .25 * b.cheek * lagged


SMILE_DUTY = .5  # share of time in a smile, the same at every tempo


def speak(share: np.ndarray, time: np.ndarray, b: Behaviour, rng: np.random.Generator
          ) -> np.ndarray:
    """Add speech to `share` (F, A), in place; return when the person talks (F,), 0 to 1."""
    fps = 1 / (time[1] - time[0])
    phrase = 2.2  # seconds; phrases do not change with severity, syllables do
    talking = bouts(time, rng, on=phrase, off=phrase * (1 / b.speech_share - 1), rise=.12,
                    fall=.18).clip(0, 1)
    jitter = drift(len(time), fps, .25, rng) * .10
    phase = 2 * np.pi * np.cumsum(b.syllables * np.exp(jitter)) / fps
    open_ = .5 - .5 * np.cos(phase)
    stress = np.exp(.28 * drift(len(time), fps, .2 * 4.2 / b.syllables, rng))
    vowel = .5 + .5 * np.tanh(drift(len(time), fps, .16 * 4.2 / b.syllables, rng))
    jaw = b.mouth_size * talking * open_ * stress
    share[:, column("AU25")] += 1.05 * jaw + .10 * talking * b.mouth_size
    share[:, column("AU26")] += .72 * jaw * (.5 + .7 * vowel)
    share[:, column("AU20")] += .45 * jaw * vowel
    share[:, column("AU23")] += .40 * b.mouth_size * talking * (1 - open_) * (1 - vowel)
    share[:, column("AU10")] += .22 * jaw * vowel
    return talking


def _brows(share: np.ndarray, time: np.ndarray, b: Behaviour, rng: np.random.Generator) -> None:
    period = 10 / b.brow_rate
    on = .22 * period
    flash = b.brow_size * bouts(time, rng, on=on, off=period - on, rise=b.brow_rise,
                                fall=1.3 * b.brow_rise)
    share[:, column("AU01")] += flash
    share[:, column("AU02")] += .85 * flash
    share[:, column("AU05")] += .4 * flash


def _nose(share: np.ndarray, time: np.ndarray, b: Behaviour, rng: np.random.Generator) -> None:
    bout = bouts(time, rng, on=1.1, off=max(10 / b.nose_rate - 1.1, .4), rise=b.nose_rise,
                 fall=1.3 * b.nose_rise)
    share[:, column("AU09")] += .5 * bout
    share[:, column("AU10")] += .15 * bout
    share[:, column("AU04")] += .12 * bout


def blink(share: np.ndarray, time: np.ndarray, b: Behaviour, rng: np.random.Generator) -> None:
    """Add blinks to `share` (F, A), in place."""
    at = rng.exponential(10 / b.blink_rate)
    lid = np.zeros_like(time)
    while at < time[-1] + .5:
        close, rest, reopen = rng.uniform(.07, .10), rng.uniform(.03, .06), rng.uniform(.14, .20)
        local = time - at
        lid = np.maximum(lid, np.minimum(smoothstep(local / close),
                                         1 - smoothstep((local - close - rest) / reopen)))
        at += .45 + rng.exponential(max(10 / b.blink_rate - .45, .3))
    share[:, column("AU45")] += lid


def _tonic(share: np.ndarray, fps: float, b: Behaviour, rng: np.random.Generator) -> None:
    for code, level in b.tonic:
        wander = np.exp(.35 * drift(len(share), fps, 1.5, rng))
        share[:, column(code)] += level * wander


def _idle(share: np.ndarray, time: np.ndarray, rng: np.random.Generator) -> None:
    """Add small movements that mean nothing: every unit moves now and then in everybody."""
    for code in ("AU01", "AU04", "AU07", "AU14", "AU15", "AU17", "AU23"):
        share[:, column(code)] += rng.uniform(.1, .3) * bouts(
            time, rng, on=rng.uniform(.6, 1.6), off=rng.uniform(4, 9), rise=.25, fall=.35)


def drift(count: int, fps: float, time_constant: float, rng: np.random.Generator) -> np.ndarray:
    """Return smooth unit-variance noise: white noise through two equal leaky integrators.

    The variance is that of the process, (1 - a)(1 + a**2) over (1 + a)**3 per unit input, not of
    the sample, so that short recordings keep their natural spread.
    """
    a = np.exp(-1 / (fps * max(time_constant, 1e-3)))
    burn = int(8 * time_constant * fps) + 1
    noise = rng.standard_normal(count + burn)
    one = lfilter([1 - a], [1, -a], noise)
    two = lfilter([1 - a], [1, -a], one)
    variance = (1 - a) * (1 + a * a) / (1 + a) ** 3
    return two[burn:] / np.sqrt(variance)


def _head(time: np.ndarray, b: Behaviour, rng: np.random.Generator
          ) -> tuple[np.ndarray, np.ndarray]:
    """Return pose (F, 3) degrees and shift (F, 2) mm; yaw stays within 18 degrees."""
    fps = 1 / (time[1] - time[0])
    unit = np.column_stack([drift(len(time), fps, .5 * b.head_time, rng) for _ in range(5)])
    angle = unit[:, :3] * b.head_sd * (1.0, .62, .45) + rng.normal(0, 1.2, 3)
    pose = np.column_stack([18 * np.tanh(angle[:, 0] / 18), 12 * np.tanh(angle[:, 1] / 12),
                            10 * np.tanh(angle[:, 2] / 10)])
    return pose, unit[:, 3:] * (3.0, 2.0) * b.head_sd / 4 + rng.normal(0, 2.5, 2)


def look(time: np.ndarray, b: Behaviour, rng: np.random.Generator) -> np.ndarray:
    """Return gaze (F, 2) degrees: fixations on the camera or beside it, joined by saccades."""
    target = np.zeros((len(time), 2))
    at = -rng.uniform(0, 1)
    while at < time[-1]:
        away = rng.random() < b.aversion
        hold = b.gaze_time * rng.gamma(3.0, 1 / 3)
        centre = rng.normal(0, 1.6, 2)
        if away:
            side = rng.choice([-1, 1])
            centre = np.array([side * rng.uniform(9, 22), rng.uniform(-3, 13)])
        target[(time >= at) & (time < at + hold)] = centre
        at += hold
    fps = 1 / (time[1] - time[0])
    # A saccade of 15 degrees lasts about 50 ms.
    a = np.exp(-1 / (fps * .03))
    return lfilter([1 - a], [1, -a], target, axis=0)
