"""The tracker for everybody: its points, its people, its silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from expresso_lib import faces, manifest
from expresso_lib.faces import action_units, mediapipe, video
from expresso_lib.faces import truth as truths

SHARED = Path(__file__).parents[3] / "shared"
WEIGHTS = SHARED / "weights"
DEMO = Path(faces.__file__).parents[1] / "assets/demo_cohort"
needs_model = pytest.mark.skipif(
    not manifest.path_of(mediapipe.WEIGHTS).is_file()
    and not (WEIGHTS / "face_landmarker.task").is_file(),
    reason="the model file is not here",
)
FOLDER = WEIGHTS if (WEIGHTS / "face_landmarker.task").is_file() else None


def _clip(path: Path, pictures: list[np.ndarray], fps: float = 25.0) -> Path:
    return video.write_video(path, pictures, fps)


@pytest.fixture(scope="module")
def rendered():
    """Sixty frames of one rendered person, and the true landmarks."""
    pytest.importorskip("mediapipe")
    name = sorted(DEMO.glob("*.mp4"))[0]
    frames = [frame.image for frame in video.read_frames(name, range(60))]
    known = truths.read(name.with_suffix(".npz"))
    return frames, {"landmarks": known.landmarks[:60], "pose": known.pose[:60]}


@needs_model
def test_mediapipe_and_opencv_live_together():
    """Both packages share OpenCV's folder at one version: either import works, and both run."""
    pytest.importorskip("mediapipe")
    code = (
        "import cv2, mediapipe, numpy as np; cv2.CascadeClassifier;"
        "assert mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB,"
        "data=cv2.resize(np.zeros((8, 8, 3), np.uint8), (64, 64))).width == 64"
    )
    for swapped in (code, code.replace("cv2, mediapipe", "mediapipe, cv2")):
        subprocess.run([sys.executable, "-c", swapped], check=True, capture_output=True)


@needs_model
def test_the_68_points_lie_on_a_rendered_face(tmp_path, rendered):
    """Mean distance from the truth under .05 outer-eye distances; the head turns as it does."""
    frames, truth = rendered
    track = mediapipe.track(_clip(tmp_path / "a.mp4", frames), folder=FOLDER)
    assert track.source == "mediapipe"
    assert track.found.mean() > 0.99
    away = np.linalg.norm(track.landmarks - truth["landmarks"], axis=-1)
    assert np.nanmean(away) / np.nanmean(faces.eye_distance(truth["landmarks"])) < 0.05
    assert np.corrcoef(track.signals["yaw"], truth["pose"][:, 0])[0, 1] > 0.9
    again = faces.FaceTrack.load(track.save(tmp_path / "a.npz"))
    np.testing.assert_array_equal(again.signals["jawOpen"], track.signals["jawOpen"])


@needs_model
def test_the_steadiest_person_is_followed_and_the_other_counted(tmp_path, rendered):
    """A second face in a third of the frames changes nothing but the count; --face asks for it."""
    frames, _ = rendered
    blank = np.full_like(frames[0], 128)
    both = [
        np.concatenate([blank if 20 <= f < 40 else frame, blank], axis=1)
        for f, frame in enumerate(frames)
    ]
    for f in range(10, 30):
        both[f][:, frames[0].shape[1] :] = frames[f]
    path = _clip(tmp_path / "two.mp4", both)
    first, second = (mediapipe.track(path, folder=FOLDER, face=k) for k in (0, 1))
    middle = frames[0].shape[1]
    assert np.nanmax(first.landmarks[..., 0]) < middle < np.nanmin(second.landmarks[..., 0])
    assert first.signals["faces"].max() == 2
    assert (first.signals["face"][0], second.signals["face"][0]) == (0, 1)
    np.testing.assert_array_equal(first.found[22:38], False)
    with pytest.raises(ValueError, match="2 were seen"):
        mediapipe.track(path, folder=FOLDER, face=2)


@needs_model
@pytest.mark.parametrize("shape", [(90, 160), (2160, 3840), (33, 17)])
def test_a_picture_without_a_face_is_lost_frames_not_an_error(tmp_path, shape):
    """Noise of any size, 4K included: every frame NaN, no face counted."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 60, (*shape, 3), dtype=np.uint8)
    track = mediapipe.track(_clip(tmp_path / "n.mp4", [noise] * 3, 5.0), folder=FOLDER)
    assert not track.found.any()
    assert not track.signals["faces"].any()


@needs_model
def test_nothing_is_told_to_anybody(tmp_path, rendered, monkeypatch):
    """While it works https leads nowhere; afterwards the environment is as it was."""
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:1")
    seen = []
    frames = video.read_frames(path := _clip(tmp_path / "a.mp4", rendered[0][:3]))

    def watched(_):
        for frame in frames:
            seen.append(os.environ["https_proxy"])
            yield frame

    monkeypatch.setattr(mediapipe.video, "read_frames", watched)
    mediapipe.track(path, folder=FOLDER)
    assert set(seen) == {mediapipe.NOWHERE}
    assert os.environ["https_proxy"] == "http://proxy.invalid:1"


def test_a_missing_or_another_model_file_is_named(tmp_path, monkeypatch):
    """Offline: the file, its source and its place; another file: its hash, and what to do."""
    clip = _clip(tmp_path / "a.mp4", [np.zeros((32, 32, 3), np.uint8)] * 2)
    nowhere = tmp_path / "mirror"
    nowhere.mkdir()
    monkeypatch.setenv(manifest.ENV_MIRROR, str(nowhere))
    with pytest.raises(manifest.FetchError, match=r"face_landmarker\.task"):
        mediapipe.track(clip, folder=tmp_path / "none")
    (tmp_path / "face_landmarker.task").write_bytes(b"cut short")
    with pytest.raises(manifest.ManifestError, match="hash"):
        mediapipe.track(clip, folder=tmp_path)


@needs_model
@pytest.mark.slow
def test_blendshapes_follow_what_was_planted(tmp_path, rendered):
    """The proxies of a smile and a blink follow the truth; the table says proxy."""
    name = sorted(DEMO.glob("*.mp4"))[0]
    track = mediapipe.track(name, folder=FOLDER)
    series = action_units.of_track(track)
    assert "proxy" in series.attrs["source"]
    truth = action_units.from_truth(name.with_suffix(".npz"))
    r = action_units.agreement(series, truth).set_index("au")["r"]
    assert (r[["AU12", "AU45"]] > 0.7).all()
