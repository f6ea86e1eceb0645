"""Figures of chapter 2: complete, labelled, and about the data they are given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from expresso_lib import faces, rendered
from expresso_lib.faces import regions
from expresso_lib.figures import faces as plots


@pytest.fixture(scope="module")
def frame() -> rendered.scene.Frame:
    return rendered.average_face(112)


def texts(figure) -> str:
    figure.draw_without_rendering()
    return " ".join(t.get_text() for t in figure.findobj(plt.Text))


def test_strip_shows_every_frame_twice_with_its_time(frame):
    """Three frames: six pictures, three times, a legend of regions."""
    pictures = np.stack([frame.image] * 3)
    figure = plots.strip(pictures, pictures, [0.0, 1.25, 2.5])
    assert len([a for a in figure.axes if a.images]) == 6
    assert all(word in texts(figure) for word in ("1.2 s", "eyebrow", "rest of face"))


def test_composite_shows_what_the_model_sees(frame):
    """The last picture is the composite itself, pixel for pixel."""
    figure = plots.composite(frame.image, frame.landmarks, size=32)
    expected = regions.compose(frame.image, regions.composite_map(frame.landmarks, 32))
    np.testing.assert_array_equal(figure.axes[2].images[0].get_array(), expected)
    assert len(figure.axes[0].patches) == len(figure.axes[1].patches) == len(regions.TILES)


def test_jitter_shows_holes_as_holes():
    """A lost frame breaks the line; one pair of points per recording."""
    values = np.sin(np.arange(30.0))
    values[4] = np.nan
    effect = pd.DataFrame({"recording": ["a", "b"], "before": [0.2, 0.3], "after": [0.1, 0.1]})
    figure = plots.jitter({"raw": values, "smoothed": values}, 25, effect, title="nose")
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert set(lines) == {"raw", "smoothed"}
    assert np.isnan(lines["raw"].get_ydata()[4])
    np.testing.assert_allclose(figure.axes[1].lines[-1].get_ydata(), effect["after"])


def test_index_error_marks_lost_frames(frame):
    """Both error curves, and a grey band for each lost frame."""
    points = frame.landmarks[None] + np.arange(20)[:, None, None]
    points[5:7] = np.nan
    errors = faces.index_errors(faces.from_landmarks(points, np.ones(20), 25, "t"))
    figure = plots.index_error(frame.image, frame.landmarks, frame.landmarks + 9, errors, fps=25)
    assert "0/1 flags used as row numbers" in texts(figure)
    assert len(figure.axes[1].patches) == 2
    assert len(figure.axes[0].patches) == 2 * 6


def test_index_lesson_without_a_found_face_is_a_sentence(frame):
    """Every distance NaN (issue 16, item 11): no limit can be NaN, the chapter goes on."""
    errors = pd.DataFrame(
        {"frame": [0, 1], "found": False, "by_flag": np.nan, "by_position": np.nan}
    )
    nowhere = frame.landmarks * np.nan
    figure = plots.index_error(frame.image, nowhere, nowhere, errors, fps=25)
    assert figure.reason == (
        "This figure is not drawn: the distance is known of 0 frames; 1 or more are needed."
    )


def test_proxies_without_a_truth_say_so():
    """Of an empty table a sentence is drawn, not an error."""
    empty = pd.DataFrame({"au": [], "r": [], "low": [], "high": []})
    assert "known of 0 rows" in plots.proxies(empty).reason
    full = pd.DataFrame({"au": ["AU12"], "r": [0.9], "low": [0.8], "high": [0.95]})
    assert "AU12" in texts(plots.proxies(full))
