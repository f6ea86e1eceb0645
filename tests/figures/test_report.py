"""One recording's card: what it says, what it withholds, and that it stands alone."""

import dataclasses
import json
import re

import numpy as np
import pandas as pd
import pytest

from expresso_lib import clips, cohort
from expresso_lib.attribution import explanation, pooling
from expresso_lib.cohort import core
from expresso_lib.faces import anatomy, video
from expresso_lib.figures import report

FPS, CLIPS, LENGTH, FRAMES = 12.5, 3, 8, 20


def make_channel(method, baseline, seed=0, complete=True):
    generator = np.random.default_rng(seed)
    shape = (CLIPS, LENGTH, len(anatomy.REGIONS))
    mass = pooling.RegionMass(
        generator.random(shape), -0.5 * generator.random(shape), np.full(shape, 30.0)
    )
    output = np.array([10.0, 20.0, 30.0])
    return explanation.Channel(
        method, baseline, mass=mass, output=output, output_baseline=output - 1,
        delta=np.zeros(CLIPS), complete=np.full(CLIPS, complete),
        map=np.zeros((FRAMES, 6, 5), np.float32),
    )  # fmt: skip


@pytest.fixture
def case():
    rows = clips.windows(FRAMES, LENGTH, step=6)
    aus = pd.DataFrame({"frame": np.arange(2 * FRAMES)})
    aus["AU04"], aus["AU12"] = 0.2, np.linspace(0, 4, 2 * FRAMES)
    aus.attrs |= {"source": "truth", "unit": "intensity, 0 to 5"}
    channels = (make_channel("DeepLift", "own_neutral"), make_channel("DeepLift", "blur", 1))
    explained = explanation.Explanation(rows, 2 * rows, FPS, channels)
    return report.Case("P01_R1", explained, aus, cohort.BDI_II, half_width=8.0, score=17.0)


def payload(html):
    text = re.search(r'<script type="application/json">(.*?)</script>', html, re.S).group(1)
    return json.loads(text)


def test_prediction_is_the_mean_of_the_clips(case):
    """The recording's number follows from its clips'."""
    assert case.prediction == pytest.approx(20.0)
    assert case.interval == (12.0, 28.0)


def test_interval_is_withheld_outside_of_the_training_domain(case):
    """Nobody knows how far the model errs on other recordings, so no interval is printed."""
    other = report.Case(case.recording, case.explanation, case.action_units, case.scale,
                        half_width=8.0, outside="A phone video.")  # fmt: skip
    assert other.interval is None
    text = report.card(other)
    assert "Do not read this number as a severity" in text
    assert "% interval" not in text
    assert "% interval 12.0 to 28.0" in re.sub(r"\s+", " ", report.card(case))


def test_interval_is_cut_at_the_scale(case):
    """A score below zero does not exist."""
    wide = report.Case("r", case.explanation, case.action_units, case.scale, half_width=50.0)
    assert wide.interval == (0, 63)


def test_an_interval_beyond_the_scale_is_its_end(case):
    """A held-out prediction of 90 on a scale that ends at 63: no interval from 63 to 82."""
    assert dataclasses.replace(case, held_out=90.0).interval == (63, 63)
    assert dataclasses.replace(case, held_out=-40.0).interval == (0, 0)


def test_an_infinite_interval_keeps_its_word(case):
    """With too few people for its level it is the whole scale, and decides no band."""
    endless = dataclasses.replace(case, half_width=float("inf"))
    text = re.sub(r"\s+", " ", report.card(endless))
    assert re.search(r"% interval 0(\.0)? to 63(\.0)?\b", text)
    assert "reaches from “minimal” to “severe”: it does not decide the band." in text


def test_card_says_that_a_wide_interval_does_not_decide_the_band(case):
    """12 to 28 reaches from minimal to moderate."""
    text = re.sub(r"\s+", " ", report.card(case))
    assert "reaches from “minimal” to “moderate”: it does not decide the band." in text
    assert "errs by" not in text
    sure = dataclasses.replace(case, half_width=0.5, held_out=24.0, errors=(9.4, 9.1))
    text = re.sub(r"\s+", " ", report.card(sure))
    assert "This prediction, with its interval, lies in the range “moderate”." in text
    assert "errs by 9.4 points on average; always answering the mean errs by 9.1." in text


def test_without_an_interval_no_band_is_named(case):
    """How far a prediction errs is not known: then it lies in no range."""
    assert "lies in the range" not in report.card(dataclasses.replace(case, half_width=None))


def test_bands_are_those_of_the_score_and_of_their_source(case):
    """A card of PHQ-9 names no other questionnaire and nobody else's bands."""
    other = report.card(dataclasses.replace(case, scale=core.PHQ_9, half_width=1.0))
    assert "Kroenke" in other
    assert "BDI" not in other
    assert "Beck" not in other
    assert "Beck" in report.card(case)


def test_typical_is_the_median_error_and_not_the_best_recording():
    """Errors 1, 3 and 8: the second person, and of theirs the recording that errs by about 3."""
    rows = [("a", "a1", 11.0), ("b", "b1", 20.0), ("b", "b2", 13.5), ("b", "b3", 5.5),
            ("c", "c1", 2.0)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["participant", "recording", "prediction"])
    chosen = report.typical(table.assign(score=10.0, fold=0))
    assert (chosen["participant"], chosen["recording"]) == ("b", "b2")


@pytest.mark.parametrize("errors", [(-3.84, -8.11), (-8.11, -3.84), (0.1, 0.3)])
def test_typical_takes_the_first_of_two_recordings(errors):
    """Both are as far from their mean; rounding does not choose."""
    table = pd.DataFrame({"participant": "a", "recording": ["a1", "a1", "a2", "a2"], "score": 27.0,
                          "prediction": 27 + np.repeat(errors, 2), "fold": 0})  # fmt: skip
    assert report.typical(table)["recording"] == "a1"


def test_scrubber_shows_the_sum_over_regions_as_the_frame_attribution(case):
    """Where and when come from the same numbers."""
    data = payload(report.scrubber(case))
    for channel in data["channels"]:
        total = np.sum(channel["regions"], axis=0)
        # Rounded to four digits each.
        np.testing.assert_allclose(total, channel["attribution"], atol=0.005)
    assert data["row"] == list(range(FRAMES))
    assert data["frame"] == [2 * row for row in range(FRAMES)]


def test_scrubber_matches_action_units_by_frame_number(case):
    """Row g of the clips is frame 2 g of the recording, and so is its AU."""
    data = payload(report.scrubber(case))
    smile = next(au for au in data["aus"] if au["code"] == "AU12")
    np.testing.assert_allclose(smile["values"], case.action_units["AU12"][::2], rtol=1e-3)
    assert data["au_top"] == 5


def test_scrubber_of_a_long_recording_is_thinned_and_says_so(case, monkeypatch):
    """A page stays light, and the reader knows what was left out."""
    monkeypatch.setattr(report, "MAX_FRAMES", 7)
    text = report.scrubber(case)
    assert len(payload(text)["row"]) <= 7
    assert "One frame in 3 is shown" in text


def test_scrubber_cannot_be_broken_by_a_name(case):
    """A file name never becomes markup."""
    bad = report.Case("<script>alert(1)</script>", case.explanation, case.action_units, case.scale)
    assert "<script>alert" not in report.card(bad)


def test_extremes_never_call_a_raising_frame_lowering(case):
    """Where every frame raises the score, no frame lowers it."""
    found = case.extremes(case.explanation.channels[0])
    assert (found["raise"]["attribution"] > 0).all()
    assert (found["lower"]["attribution"] < 0).all()


def test_extremes_leave_out_the_edges_of_clips(case):
    """The strongest frames lie at a clip's first and last frame: they are not shown."""
    rows = clips.windows(FRAMES, LENGTH, step=6)
    up, down = np.zeros((2, CLIPS, LENGTH, len(anatomy.REGIONS)))
    up[:, [0, -1], 0], up[:, 3, 0], down[:, 5, 0] = 9.0, 1.0, -1.0
    mass = pooling.RegionMass(up, down, np.full(up.shape, 30.0))
    channel = dataclasses.replace(make_channel("DeepLift", "zero"), mass=mass)
    one = explanation.Explanation(rows, 2 * rows, FPS, (channel,))
    found = report.Case("r", one, case.action_units, case.scale).extremes(channel)
    assert found["raise"]["row"].tolist() == rows[:, 3].tolist()
    assert (found["raise"]["attribution"] == 1.0).all()
    assert (found["lower"]["attribution"] == -1.0).all()


@pytest.mark.parametrize("most", [800, 7])
def test_the_scrubber_begins_at_no_edge_and_no_lost_frame(case, monkeypatch, most):
    """The strongest frames are edges of clips, the next has no face: it begins at the third."""
    monkeypatch.setattr(report, "MAX_FRAMES", most)
    rows = clips.windows(FRAMES, LENGTH, step=6)
    up = np.zeros((CLIPS, LENGTH, len(anatomy.REGIONS)))
    up[:, [0, -1], 0], up[:, 5, 0], up[:, 3, 0] = 9.0, 2.0, 1.0
    mass = pooling.RegionMass(up, 0 * up, np.full(up.shape, 30.0))
    channel = dataclasses.replace(make_channel("DeepLift", "own_neutral"), mass=mass)
    explained = dataclasses.replace(case.explanation, channels=(channel,))
    found = np.ones(2 * FRAMES, bool)
    found[2 * rows[:, 5]] = False
    data = payload(report.scrubber(dataclasses.replace(case, explanation=explained, found=found)))
    begins = data["row"][data["first"]]
    assert begins in rows[:, 3] if most > FRAMES else begins not in (0, FRAMES - 1, *rows[:, 5])
    assert "data.first" in report.scrubber(case)


def test_extremes_leave_out_frames_without_a_face(case):
    """What the model makes of a lost frame says nothing about the face."""
    channel = case.explanation.channels[0]
    chosen = pd.concat(case.extremes(channel).values())["frame"]
    found = np.ones(2 * FRAMES, bool)
    found[chosen] = False
    others = pd.concat(dataclasses.replace(case, found=found).extremes(channel).values())["frame"]
    assert len(others)
    assert not set(others) & set(chosen)


def test_predictions_outside_of_the_scale_are_counted(case):
    """A clip at -20 on a scale from 0 to 63 is said."""
    assert case.beyond == ""
    first = case.explanation.channels[0]
    odd = dataclasses.replace(first, output=np.array([10.0, -20.0, 30.0]))
    explained = dataclasses.replace(case.explanation, channels=(odd,))
    beyond = dataclasses.replace(case, explanation=explained).beyond
    assert beyond == "1 of 3 clips are predicted outside of the scale"


def test_incomplete_explanations_are_counted_on_the_card(case):
    """A flagged clip is said to be flagged."""
    flawed = explanation.Explanation(
        case.explanation.rows, case.explanation.frames, FPS,
        (make_channel("DeepLift", "zero", complete=False),))  # fmt: skip
    text = report.card(report.Case("r", flawed, case.action_units, case.scale))
    assert "3 clip explanations miss" in text


def test_card_stands_alone(case, tmp_path):
    """One file, nothing from outside, every picture described."""
    movie = video.write_video(tmp_path / "m.mp4", [np.zeros((16, 24, 3), np.uint8)] * 4, FPS)
    frame = int(case.extremes(case.explanation.channels[0])["raise"]["frame"].iloc[0])
    text = report.card(
        case, movies={"DeepLift/own_neutral": movie},
        pictures={frame: np.zeros((8, 9, 3), np.uint8)}, facts={"model": "small"},
    )  # fmt: skip
    assert not re.search(r"""(src|href)=["']?https?:""", text)
    assert all('alt="' in tag for tag in re.findall(r"<img[^>]*>", text))
    assert "data:video/mp4;base64," in text


def test_videos_beyond_the_cap_are_left_out(case, tmp_path, monkeypatch):
    """The page's size has a bound."""
    movie = video.write_video(tmp_path / "m.mp4", [np.zeros((16, 24, 3), np.uint8)] * 4, FPS)
    monkeypatch.setattr(report, "MAX_VIDEO", movie.stat().st_size)
    movies = {"DeepLift/own_neutral": movie, "DeepLift/blur": movie}
    assert set(payload(report.scrubber(case, movies=movies))["videos"]) == {
        "DeepLift/own_neutral"}  # fmt: skip
