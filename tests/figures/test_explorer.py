"""The explorers draw what the book draws."""

import numpy as np
import pandas as pd
import pytest

from expresso_lib import clips, cohort
from expresso_lib.attribution import explanation, pooling
from expresso_lib.faces import anatomy
from expresso_lib.figures import drawing, explorer, report

FRAMES, SIDE = 20, 16


@pytest.fixture
def case():
    rows = clips.windows(FRAMES, 8, step=6)
    shape = (len(rows), 8, len(anatomy.REGIONS))
    generator = np.random.default_rng(0)
    mass = pooling.RegionMass(generator.random(shape), -generator.random(shape), np.ones(shape))
    ones = np.ones(len(rows))
    channel = explanation.Channel(
        "DeepLift", "own_neutral", mass=mass, output=12 * ones, output_baseline=0 * ones,
        delta=0 * ones, complete=ones > 0,
        map=generator.normal(size=(FRAMES, SIDE, SIDE)).astype(np.float32),
    )  # fmt: skip
    aus = pd.DataFrame({"frame": np.arange(2 * FRAMES), "AU12": np.linspace(0, 5, 2 * FRAMES)})
    explained = explanation.Explanation(rows, 2 * rows, 12.5, (channel,))
    return report.Case("P01_R1", explained, aus, cohort.BDI_II)


@pytest.fixture
def footage():
    points = np.random.default_rng(1).uniform(3, 13, (1, 68, 2)).astype(np.float32)
    archive = clips.ClipArchive(
        np.full((FRAMES, SIDE, SIDE, 3), 90, np.uint8), 2 * np.arange(FRAMES),
        np.repeat(points, FRAMES, axis=0), np.zeros((FRAMES, 2, 3), np.float32),
        np.full((FRAMES, SIDE, SIDE), 6, np.uint8), 12.5,
    )  # fmt: skip
    return drawing.Footage(archive, drawing.Permission(True))


def test_moment_marks_the_chosen_frame(case, footage):
    """Picture, regions and both traces belong to one frame."""
    figure = explorer.moment(case, footage, place=5)
    picture, regions, attribution, unit = figure.axes
    assert picture.get_title(loc="left") == "frame 10"
    widths = [bar.get_width() for bar in regions.patches]
    series = case.series(case.explanation.channels[0])
    np.testing.assert_allclose(widths, series.iloc[5])
    for axes in (attribution, unit):
        assert axes.lines[1].get_xdata()[0] == pytest.approx(5 / 12.5)


def test_recording_offers_every_channel_and_frame(case, footage):
    """Controls cover the explanation, neither more nor less."""
    box = explorer.recording(case, footage)
    channel, code, place = box.children[:3]
    assert len(channel.options) == 1
    assert code.options == ("AU12",)
    assert (place.min, place.max) == (0, FRAMES - 1)
    assert box.auto_display, "else the figure is made at every turn and never shown"
