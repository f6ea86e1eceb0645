"""Before a card: whose face it is, whether it was found, and what a folder lacks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch import nn

from expresso_lib import clips, cohort, config, faces
from expresso_lib.clips import preprocessing
from expresso_lib.faces import mediapipe, tables, video
from expresso_lib.pipeline import MissingRun, book, check, recording

DEMO = Path(faces.__file__).parents[1] / "assets/demo_cohort"
VIDEO = sorted(DEMO.glob("*.mp4"))[0]


@pytest.fixture(scope="module")
def track():
    """The true track of a rendered recording."""
    return preprocessing.true_track(VIDEO, video.probe(VIDEO).fps)


def _moved(track, points):
    return faces.from_landmarks(points, track.confidence, track.fps, "openface")


def test_a_good_track_passes_without_a_doubt(track):
    """The truth of the recording itself: nothing is refused, nothing is doubted."""
    assert recording.gate(VIDEO, track, video.probe(VIDEO)) == ()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p / 224, "shares of the picture"),
        (lambda p: 2 * p + 40, "outside of the picture"),
        (lambda p: 0.5 * p, "somewhere else"),
        (lambda p: np.where(np.arange(len(p))[:, None, None] < 1, p, np.nan), "a face in 0%"),
    ],
)
def test_landmarks_of_something_else_give_no_card(track, spoil, message):
    """Shares, doubled, another video's, one row for 250 frames: a message, no card."""
    with pytest.raises(recording.UntrackedError, match=message):
        recording.gate(VIDEO, _moved(track, spoil(track.landmarks)), video.probe(VIDEO))


def test_what_is_doubtful_is_returned_for_the_head_of_the_card(track):
    """A tenth of the frames lost, a second face: the card goes on, and says so first."""
    points = track.landmarks.copy()
    points[:25] = np.nan
    signals = {name: np.full(len(points), value) for name, value in (("faces", 2.0), ("face", 1))}
    one = replace(_moved(track, points), signals=signals)
    doubts = recording.gate(VIDEO, one, video.probe(VIDEO))
    assert any("10% of frames" in text for text in doubts)
    assert any("2 faces are in the picture; number 1 is followed" in text for text in doubts)


def test_without_weights_the_message_names_every_way_out(tmp_path, monkeypatch):
    """Offline: MediaPipe's file, the option --landmarks, the paper's weights."""
    monkeypatch.setenv("EXPRESSO_DATA", str(tmp_path))
    monkeypatch.setenv("EXPRESSO_MIRROR", str(tmp_path))
    with pytest.raises(preprocessing.TrackerError) as caught:
        recording.find_face(VIDEO, None)
    for words in ("face_landmarker", "--landmarks", "expresso data fetch s3fd fan"):
        assert words in str(caught.value)


def test_mediapipe_stands_in_for_the_papers_networks(tmp_path, monkeypatch, caplog, track):
    """Without S3FD and FAN's weights MediaPipe is asked, and the log says so."""
    monkeypatch.setenv("EXPRESSO_DATA", str(tmp_path))
    monkeypatch.setattr(mediapipe, "track", lambda path, face=0: track)
    with caplog.at_level("INFO"):
        assert recording.find_face(VIDEO, None) is track
    assert "MediaPipe finds the face" in caplog.text


@pytest.fixture
def folder(tmp_path):
    """Two people with a recording named alike; one has a table, of another tool's form."""
    for person in "ab":
        place = tmp_path / person
        place.mkdir()
        pictures = [
            np.full((64, 64, 3), 10 * f + 50 * (person == "b"), np.uint8) for f in range(12)
        ]
        video.write_video(place / "session1.mp4", pictures, 25)
    pd.DataFrame({"frame": [1], "confidence": [0.9], "success": [1], "AU12_r": [1.0]}).to_csv(
        tmp_path / "a/session1.csv", index=False
    )
    (tmp_path / "scores.csv").write_text(
        "participant,path,score\na,a/session1.mp4,3\nb,b/session1.mp4,9\n"
    )
    return tmp_path


def test_check_says_what_a_folder_lacks_before_anything_runs(folder, monkeypatch):
    """Too few people, clips too long, a table missing, no tracker: each with its remedy."""
    monkeypatch.setenv("EXPRESSO_DATA", str(folder / "none"))
    parameters = config.load_profile(
        "folder",
        Path(__file__).parents[2] / "notebooks/params",
        [f"cohort.folder={folder}", "cohort.table=scores.csv"],
    )
    found = {one.what: one for one in check.check(parameters)}
    assert "2 with 2 usable recordings" in found["participants"].found
    assert "at least 6 participants are needed" in found["participants"].remedy
    assert "1 of OpenFace; 1 recordings without" in found["tables"].found
    assert "clips.frames" in found["clips"].remedy
    assert "data fetch face_landmarker" in found["tracker"].remedy
    fine = {one.what for one in found.values() if one.fine}
    assert fine == {"kept: 1", "network"}


@pytest.mark.parametrize(
    ("asked", "what", "remedy"),
    [
        ("training.model=json:loads", "network", "raised an error"),
        ("training.model=smal", "network", "did you mean 'small'"),
        ("faces.tracker=tables", "tracker", r"1 recordings lack what it reads .*\(b_session1\)"),
    ],
)
def test_check_tries_the_network_and_looks_for_every_table(folder, asked, what, remedy):
    """What would be refused, or left out, when the run begins."""
    given = [f"cohort.folder={folder}", "cohort.table=scores.csv", asked]
    parameters = config.load_profile(
        "folder", Path(__file__).parents[2] / "notebooks/params", given
    )
    [found] = [one for one in check.check(parameters) if one.what == what]
    assert not found.fine
    assert re.search(remedy, found.remedy)


@pytest.fixture
def cut_short(tmp_path, project):
    """Parameters of seven people with three seconds each, one of them cut short."""
    rng, rows = np.random.default_rng(0), ["participant,path,phq-9"]
    for number in range(7):
        frames = rng.integers(0, 255, (4 if number == 6 else 75, 48, 64, 3), np.uint8)
        video.write_video(tmp_path / f"p{number}.mp4", list(frames), 25.0)
        rows.append(f"p{number},p{number}.mp4,{2 * number}")
    (tmp_path / "scores.csv").write_text("\n".join(rows))
    given = (f"cohort.folder={tmp_path}", "cohort.score=phq-9", "faces.tracker=simulated")
    return config.load_profile("folder", project / "notebooks" / "params", given)


def test_who_has_no_clip_does_not_count_and_is_named(cut_short):
    """Seven people, six of them with a clip: enough to run, too few to test."""
    found = {one.what: one for one in check.check(cut_short)}
    people, cut = found["participants"], found["clips"]
    assert people.fine
    assert "7 with 7 usable recordings" in people.found
    assert "6 of them have one as long as a clip" in people.found
    assert "fewer than 10 nothing is tested" in people.remedy
    assert not cut.fine
    assert "1 of 7 recordings are shorter (p6 has 2)" in cut.found


def test_a_run_is_refused_where_too_few_have_a_clip(cut_short, project):
    """With seven folds the six people are too few, whoever is listed in the table."""
    more = config.Parameters.model_validate(
        cut_short.model_dump() | {"training": cut_short.training.model_dump() | {"folds": 7}}
    )
    assert not {one.what: one.fine for one in check.check(more)}["participants"]
    with pytest.raises(config.ParameterError, match="6: at least 7 participants are needed"):
        book.make(more, project)


def test_recordings_of_one_name_are_told_apart_and_keep_their_own_tables(folder):
    """A/session1 and B/session1: two recordings, and a's table is not b's."""
    parameters = config.load_profile(
        "folder",
        Path(__file__).parents[2] / "notebooks/params",
        [f"cohort.folder={folder}", "cohort.table=scores.csv"],
    )
    rows = check.cohort.from_parameters(parameters.cohort).recordings.set_index("participant")
    assert list(rows["recording"]) == ["a_session1", "b_session1"]
    assert rows.loc["a", "au_table"].endswith("session1.csv")
    assert rows.loc["b", "au_table"] == ""


def test_a_recording_is_known_by_its_file_not_by_the_files_name(folder):
    """B/session1 is b_session1 of the cohort; another session1 is of no participant."""
    people = cohort.read("folder", folder, table="scores.csv")
    reader = recording.Reader(None, {}, people, pd.DataFrame(), (1.0, 2.0))
    assert reader.name(folder / "b" / "session1.mp4") == "b_session1"
    assert reader.outside(folder / "b" / "session1.mp4") == ""
    assert reader.name(folder / "session1.mp4") == ""
    assert "on other people, cameras and rooms was not" in reader.outside(folder / "session1.mp4")


def test_a_run_without_a_model_names_those_that_have_one(tmp_path):
    """A misspelt name of a run is answered with the nearest one."""
    with pytest.raises(MissingRun, match="has no final model; make it: expresso run 03_finetune"):
        recording.Reader.of(tmp_path / "minee")
    (tmp_path / "mine" / "models").mkdir(parents=True)
    (tmp_path / "mine" / "models" / recording.MODEL).touch()
    with pytest.raises(MissingRun, match="did you mean 'mine'"):
        recording.Reader.of(tmp_path / "minee")


def test_a_rendered_recordings_own_landmarks_need_no_tracker():
    """A first card offline: what ships has its truth beside it, landmarks and action units."""
    truth = VIDEO.with_suffix(".npz")
    track = recording.find_face(VIDEO, truth)
    assert track.found.all()
    units = recording.units_of(track, video.probe(VIDEO), truth, None, None)
    assert units.attrs["source"] == "truth"


def test_a_second_table_tells_of_the_face_that_is_followed(track, tmp_path):
    """Its other face is surer and smiles; a number names faces of the landmarks' own table."""
    rows = []
    for frame, points in enumerate(track.landmarks):
        for face, aside, sure, smile in ((0, 0.0, 0.8, 1.0), (1, 90.0, 0.99, 4.0)):
            at = {f"{axis}_{i}": value + aside * (axis == "x") for i, point in enumerate(points)
                  for axis, value in zip("xy", point, strict=True)}  # fmt: skip
            rows.append({"frame": frame + 1, "face_id": face, "confidence": sure, "success": 1,
                         "AU12_r": smile} | at)  # fmt: skip
    table, info = tmp_path / "faces.csv", video.probe(VIDEO)
    pd.DataFrame(rows).to_csv(table, index=False)
    assert recording.units_of(track, info, None, table, None)["AU12"].eq(1.0).all()
    assert recording.units_of(track, info, None, table, 1)["AU12"].eq(1.0).all()
    assert recording.units_of(track, info, table, table, 1)["AU12"].eq(4.0).all()
    turned, bare = tmp_path / "turned.csv", tmp_path / "bare.csv"
    pd.DataFrame(rows).replace({"face_id": {0: 1, 1: 0}}).to_csv(turned, index=False)
    units = recording.units_of(track, info, table, turned, 0)
    assert units["AU12"].eq(1.0).all(), "another table counts in another order"
    pd.DataFrame(rows).filter(regex="^[^xy]").to_csv(bare, index=False)
    assert recording.units_of(track, info, None, bare, 1)["AU12"].eq(4.0).all()
    with pytest.raises(tables.TableError, match=r"several faces.*--face"):
        recording.units_of(track, info, None, bare, None)


class Squared(nn.Module):
    """A network with a layer that no rule of DeepLift covers."""

    def forward(self, clips):
        return (clips**2).mean(dim=(1, 2, 3, 4))


def test_a_network_that_deeplift_refuses_is_explained_all_the_same(track, caplog):
    """Integrated gradients in the same channels, and the log says why."""
    archive = clips.prepare(VIDEO, track, size=32, rate=12.5)
    rows = clips.windows(archive.n_frames, 8)[:1]
    with caplog.at_level("WARNING"):
        found = recording.explained_by_any(archive, Squared().eval(), rows)
    assert [(one.method, one.baseline) for one in found.channels] == [
        ("IntegratedGradients", "posed_neutral"), ("IntegratedGradients", "blur")]  # fmt: skip
    assert "Integrated gradients explain the recording" in caplog.text
