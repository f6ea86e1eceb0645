"""Noise as slow as a face: for lessons, benchmarks and tests."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

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
