"""Sentences are true of every number they are given."""

import re

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from expresso_lib.statistics import prose, wording

NAN = float("nan")
NUMBERS = st.one_of(st.floats(-3, 3), st.just(NAN), st.just(0.0))
LIMITS = st.one_of(
    st.tuples(st.floats(-3, 3), st.floats(-3, 3)).map(sorted),
    st.just([NAN, NAN]),
    st.just([0.0, 0.0]),
)
MARGIN = 0.1


def gaze_of(estimate, limits):
    row = {"hypothesis": "gaze", "estimate": estimate, "margin": MARGIN}
    return pd.DataFrame([row | {"ci_low": limits[0], "ci_high": limits[1]}])


def clean(text):
    assert not re.search(r"\b(nan|inf)\b", text)
    assert not re.search(r"-\d|−0\.00\b", text)
    assert text
    return text


@settings(max_examples=300, deadline=None)
@given(NUMBERS, LIMITS)
def test_gaze_says_what_the_interval_says(estimate, limits):
    """One verdict for every interval, and the sentence claims no more than it."""
    low, high = limits
    text = clean(prose.gaze(gaze_of(estimate, limits)))
    if np.isnan(estimate):
        assert text.startswith("There is no gaze")
        return
    verdict = wording.verdict(low, high, MARGIN)
    assert (verdict == "relevant") == bool(low > MARGIN or high < -MARGIN)
    assert ("beyond the margin" in text) == (verdict == "relevant")
    assert ("nothing that matters" in text) == (verdict == "equivalent")
    assert ("undecided" in text) == (verdict == "undecided")
    if verdict == "equivalent":
        assert low <= 0 <= high
        assert max(-low, high) <= MARGIN
    if verdict.startswith("present"):
        assert low > 0 or high < 0
        assert (verdict == "present but small") == (max(abs(low), abs(high)) <= MARGIN)
        assert ("smaller than" in text) == (verdict == "present but small")
    if np.isnan(low):
        assert verdict == "undecided"


@given(st.lists(LIMITS, max_size=5))
def test_nothing_counts_verdicts(limits):
    """Equivalent and undecided by the interval of the whole family; no interval, no count."""
    rows = pd.DataFrame(limits, columns=["simultaneous_low", "simultaneous_high"], dtype=float)
    text = clean(prose.nothing(rows.assign(margin=MARGIN)))
    within = sum(lo <= 0 <= hi and lo >= -MARGIN and hi <= MARGIN for lo, hi in limits)
    known = int(rows["simultaneous_low"].notna().sum())
    assert text.startswith(f"For {within} of {known}") if known else "could not" in text
