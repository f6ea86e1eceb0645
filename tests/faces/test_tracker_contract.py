"""What every tracker promises; a new one is a line of `RECIPES`."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from expresso_lib import clips, config, faces, manifest, store
from expresso_lib.clips import preprocessing
from expresso_lib.faces import mediapipe, tables, video
from expresso_lib.faces import truth as truths
from expresso_lib.faces.track import boxes_of

DEMO = Path(faces.__file__).parents[1] / "assets/demo_cohort"
SHARED = Path(__file__).parents[3] / "shared/weights"
FRAMES, BLANK = 12, slice(5, 8)
# Tracker → its recipe here; a function is given the weights of networks that are not trained.
RECIPES = {
    "s3fd_fan": lambda weights: {
        "files": {name: str(path) for name, path in weights.items()},
        "detect_every": 4,
        "detect_side": 128,
        "flip": False,
    },
    "mediapipe": {"weights_folder": str(SHARED)},
    "tables": {},
    "simulated": {"dropout": 0.3},
}
UNTRAINED = {"s3fd_fan"}  # finds faces anywhere
LACKS = {"s3fd_fan": {"weights_folder": "none"}, "mediapipe": {"weights_folder": "none"}}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A rendered person who leaves the picture in frames 5 to 7; truth and table lie beside."""
    folder = tmp_path_factory.mktemp("recording")
    source = sorted(DEMO.glob("*.mp4"))[0]
    pictures = [frame.image for frame in video.read_frames(source, range(FRAMES))]
    for f in range(FRAMES)[BLANK]:
        pictures[f] = np.full_like(pictures[f], 128)
    path = video.write_video(folder / "one.mp4", pictures, 25.0)
    known = truths.read(source.with_suffix(".npz"))
    names = ("landmarks", "au", "pose", "gaze")
    truths.save(path.with_suffix(".npz"), fps=25.0,
                **{name: getattr(known, name)[:FRAMES] for name in names})  # fmt: skip
    seen = np.delete(np.arange(FRAMES), BLANK)
    x, y = known.landmarks[seen].transpose(2, 1, 0)
    columns = {"frame": seen + 1, "confidence": 0.9, "success": 1}
    columns |= dict(zip(tables.X_COLUMNS, x)) | dict(zip(tables.Y_COLUMNS, y))
    pd.DataFrame(columns).to_csv(path.with_suffix(".csv"), index=False)
    return pd.DataFrame({"recording": ["one"], "path": [str(path)]})


@pytest.fixture(scope="module", params=RECIPES)
def tracker(request):
    model = SHARED / "face_landmarker.task"
    if request.param == "mediapipe":
        pytest.importorskip("mediapipe")
        if not (model.is_file() or manifest.path_of(mediapipe.WEIGHTS).is_file()):
            pytest.skip("the model file is not here")
    return request.param


@pytest.fixture(scope="module")
def recipe(tracker, request):
    given = RECIPES[tracker]
    if tracker == "mediapipe" and not SHARED.is_dir():
        return {}
    return given(request.getfixturevalue("weights")) if callable(given) else given


def run(recordings, tracker, recipe, out):
    """The track as a chapter makes it."""
    usual = preprocessing.recipe_of(config.FacesSection(), tracker)
    items = preprocessing.track_items(recordings, tracker, **usual | recipe)
    (done,) = store.map(preprocessing.make_track, items, out=out)
    return faces.FaceTrack.load(done.path)


@pytest.fixture(scope="module")
def track(recordings, tracker, recipe, tmp_path_factory):
    return run(recordings, tracker, recipe, tmp_path_factory.mktemp("track"))


def test_row_f_is_frame_f_of_the_recording(track):
    """(F, 68, 2) landmarks, (F, 4) boxes, (F,) confidence and signals; the recording's rate."""
    assert track.landmarks.shape == (FRAMES, 68, 2)
    assert boxes_of(track.landmarks).shape == (FRAMES, 4)
    assert track.confidence.shape == (FRAMES,)
    assert all(values.shape == (FRAMES,) for values in track.signals.values())
    assert (
        track.landmarks.dtype
        == boxes_of(track.landmarks).dtype
        == track.confidence.dtype
        == np.float32
    )
    assert track.fps == 25.0


def test_a_lost_frame_is_lost_whole(track):
    """NaN in every landmark and the box, confidence 0; in a found one nothing is missing."""
    lost = ~track.found
    assert np.isnan(track.landmarks[lost]).all()
    assert np.isnan(boxes_of(track.landmarks)[lost]).all()
    assert not track.confidence[lost].any()
    assert np.isfinite(boxes_of(track.landmarks)[~lost]).all()


def test_confidence_is_a_share_and_boxes_hold_their_points(track):
    """From 0 to 1; every landmark lies in its frame's box."""
    assert ((track.confidence >= 0) & (track.confidence <= 1)).all()
    inside = track.landmarks[track.found] - boxes_of(track.landmarks)[track.found, None, :2]
    assert (inside >= -1e-3).all()
    assert (inside <= boxes_of(track.landmarks)[track.found, None, 2:] + 1e-3).all()


def test_a_frame_without_a_face_is_lost_and_the_others_keep_their_places(track, tracker):
    """The face is found before and after the gap, on the truth of the very same frames."""
    if tracker in UNTRAINED:
        pytest.skip("its weights here are random")
    assert track.found.any()
    if tracker != "simulated":  # loses frames by chance, not by what they show
        assert np.flatnonzero(~track.found).tolist() == list(range(FRAMES))[BLANK]
    known = truths.read(sorted(DEMO.glob("*.npz"))[0]).landmarks[:FRAMES]
    away = np.linalg.norm(track.landmarks - known, axis=-1) / faces.eye_distance(known)[:, None]
    assert np.nanmean(away) < 0.06


def test_the_same_recording_gives_the_same_track(track, recordings, tracker, recipe, tmp_path):
    """To the last bit, in another folder."""
    again = run(recordings, tracker, recipe, tmp_path)
    for name in ("landmarks", "confidence"):
        np.testing.assert_array_equal(getattr(again, name), getattr(track, name))
    assert (again.source, set(again.signals)) == (track.source, set(track.signals))


def test_clips_are_cut_from_frames_in_their_order(track, recordings, tracker, tmp_path):
    """The archive's source frames rise, lie in the recording, and none stands twice."""
    if tracker in UNTRAINED:
        pytest.skip("its weights here are random")
    track.save(tmp_path / "one.npz")
    items = preprocessing.archive_items(recordings, tmp_path, size=32, rate=12.5)
    preprocessing.make_archive(items[0], tmp_path / "archive.npz")
    source = clips.ClipArchive.load(tmp_path / "archive.npz").source
    assert (np.diff(source) > 0).all()
    assert source.min() >= 0
    assert source.max() < FRAMES


@pytest.mark.parametrize("gone", [".mp4", "beside"])
def test_a_missing_file_is_named(recordings, tracker, recipe, gone, tmp_path):
    """The recording, or what the tracker needs beside it: one error with the file's name."""
    beside = {"tables": ".csv", "simulated": ".npz"}.get(tracker)
    original = Path(recordings["path"][0])
    for end in {".mp4", beside} - {None} - {gone if gone == ".mp4" else beside}:
        (tmp_path / f"one{end}").write_bytes(original.with_suffix(end).read_bytes())
    if gone == "beside" and not beside:
        recipe = {key: str(tmp_path / value) for key, value in LACKS[tracker].items()}
        (tmp_path / "none").mkdir()
    here = recordings.assign(path=str(tmp_path / "one.mp4"))
    with pytest.raises((store.WorkFailed, ValueError, OSError)) as raised:
        run(here, tracker, recipe, tmp_path / "out")
    lacking = {".mp4": r"one.mp4"}.get(gone) or (f"one{beside}" if beside else "none")
    assert lacking in str(raised.value)
    assert not list((tmp_path / "out").glob("*.npz"))


def test_every_tracker_is_held_to_this():
    """A tracker without a recipe here is a tracker without a promise."""
    assert set(RECIPES) == set(preprocessing.TRACKERS)
