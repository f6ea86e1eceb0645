"""Face tracks: one person, every frame, in bounded memory, by real networks with random weights."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from expresso_lib import config, faces, manifest, rendered
from expresso_lib.faces import anatomy, s3fd_fan, video
from expresso_lib.faces.track import boxes_of

REAL = Path(__file__).parents[3] / "shared/real"
SHAPE = (120, 160, 3)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """Landmarks (60, 68, 2) of a face that moves smoothly across the picture."""
    base = rendered.average_face(224).landmarks.astype(np.float64)
    time = np.linspace(0, 2 * np.pi, 60)[:, None]
    sway = np.concatenate([12 * np.sin(time), 6 * np.cos(time)], axis=1)
    return base + sway[:, None]


# Tracks


def test_track_survives_saving(tmp_path, truth):
    """A track comes back as it was, source and rate included."""
    track = faces.simulate(truth, 25.0, seed=3, dropout=0.2)
    back = faces.FaceTrack.load(track.save(tmp_path / "t.npz"))
    np.testing.assert_array_equal(back.landmarks, track.landmarks)
    np.testing.assert_array_equal(boxes_of(back.landmarks), boxes_of(track.landmarks))
    assert (back.fps, back.source) == (25.0, "simulated")


def test_a_frame_with_one_bad_coordinate_is_lost_whole(truth):
    """Infinity in one landmark loses the frame: no half faces."""
    points = truth.copy()
    points[7, 3, 1] = np.inf
    track = faces.from_landmarks(points, np.ones(60), 25, "test")
    np.testing.assert_array_equal(np.flatnonzero(~track.found), [7])
    assert np.isnan(boxes_of(track.landmarks)[7]).all()
    assert track.confidence[7] == 0


def test_track_refuses_shapes_that_do_not_fit():
    """66 landmarks, or a rate of 0, are refused."""
    with pytest.raises(ValueError, match="landmarks has shape"):
        faces.from_landmarks(np.zeros((3, 66, 2)), np.ones(3), 25, "test")
    with pytest.raises(ValueError, match="landmarks"):
        faces.from_landmarks(np.zeros((3, 2)), np.ones(3), 25, "test")
    with pytest.raises(ValueError, match="fps is 0"):
        faces.from_landmarks(np.zeros((3, 68, 2)), np.ones(3), 0, "test")


def test_simulated_errs_by_the_heat_map_s_grid(truth):
    """Every coordinate is within a quarter of a cell, and off by about half of that."""
    track = faces.simulate(truth, 25, seed=0, dropout=0)
    box = boxes_of(truth)
    quarter = 200 / 195 * box[:, 2:].sum(axis=1).max() / 64 / 4
    error = np.abs(track.landmarks - truth)
    assert error.max() <= quarter * 1.001
    assert error.mean() > 0.4 * quarter


def test_simulated_drop_out_is_as_stated():
    """The share of lost frames is the one asked for, in bouts of the length asked for."""
    lost = faces.simulated.lost_bouts(200_000, 0.05, 4.0, seed=1)
    starts = (np.diff(lost.astype(int)) == 1).sum()
    assert lost.mean() == pytest.approx(0.05, rel=0.1)
    assert lost.sum() / starts == pytest.approx(4, rel=0.1)
    assert not faces.simulated.lost_bouts(500, 0.0, 4.0, seed=1).any()


def test_jitter_measures_noise_and_not_movement(truth):
    """White noise of s pixels is found as s over the eye distance; smooth movement adds nothing."""
    rng = np.random.default_rng(0)
    still = faces.from_landmarks(truth, np.ones(60), 25, "test")
    noisy = faces.from_landmarks(truth + rng.normal(0, 1.5, truth.shape), np.ones(60), 25, "test")
    eyes = float(faces.eye_distance(truth).mean())
    assert faces.jitter(still) < 0.05 / eyes
    assert faces.jitter(noisy) == pytest.approx(1.5 / eyes, rel=0.05)
    assert np.isnan(faces.jitter(faces.from_landmarks(truth[:2], np.ones(2), 25, "test")))


def test_smoothing_takes_jitter_and_keeps_holes(truth):
    """Smoothing lowers jitter, leaves lost frames lost and gives them no say; 0 changes nothing."""
    rng = np.random.default_rng(1)
    points = truth + rng.normal(0, 1.5, truth.shape)
    points[20:24] = np.nan
    track = faces.from_landmarks(points, np.ones(60), 25, "test")
    smooth = faces.smooth(track, 1.5)
    assert faces.jitter(smooth) < 0.3 * faces.jitter(track)
    np.testing.assert_array_equal(smooth.found, track.found)
    assert np.nanmax(np.abs(smooth.landmarks - truth)) < 6
    assert faces.smooth(track, 0) is track
    with pytest.raises(ValueError, match="smoothing is -1"):
        faces.smooth(track, -1)


def test_openface_table_becomes_a_track(tmp_path):
    """Row f is frame f: frames the table lacks or calls a failure are NaN."""
    names = ["frame", "face_id", "timestamp", "confidence", "success"]
    names += [f"{axis}_{i}" for axis in "xy" for i in range(68)]
    rows = [[f, 0, 0.1, 0.8, int(f != 4)] + [f] * 136 for f in (1, 2, 4, 6)]
    text = "\n".join([", ".join(names)] + [", ".join(map(str, row)) for row in rows])
    (tmp_path / "t.csv").write_text(text)
    track = faces.from_table(tmp_path / "t.csv", n_frames=7, fps=30)
    np.testing.assert_array_equal(np.flatnonzero(track.found), [0, 1, 5])
    assert track.landmarks[5, 0, 0] == 6
    assert track.source == "openface"


@pytest.mark.skipif(not REAL.is_dir(), reason="the real recording is not in this checkout")
def test_real_table_fits_the_real_face():
    """A real face's table: found throughout, nearly frontal, steady."""
    info = video.probe(REAL / "single_face.mp4")
    track = faces.from_table(
        REAL / "single_face_openface.csv", n_frames=info.n_frames, fps=info.fps
    )
    report = faces.assess({"real": track})
    assert report.passed.all()
    assert report.found.iloc[0] == 1
    assert report.yaw.iloc[0] < 15


# Quality


def test_pose_follows_the_renderer():
    """Turned, nodded and tilted faces are told apart, with sign and rough size."""
    script = rendered.plan_cohort(participants=2, recordings=1, seconds=1.0).script("P01_R1")
    with_pose = {}
    for axis, name in enumerate(("yaw", "pitch", "roll")):
        pose = np.zeros_like(script.pose)
        pose[:, axis] = np.linspace(-15, 15, len(pose))
        turned = dataclasses.replace(script, pose=pose)
        frames = list(rendered.render(turned, size=160, frames=[0, len(pose) - 1]))
        angles = faces.pose(np.stack([f.landmarks for f in frames]))
        with_pose[name] = angles[1] - angles[0]
    for axis, name in enumerate(with_pose):
        assert with_pose[name][axis] == pytest.approx(30, abs=12), name
        assert np.argmax(np.abs(with_pose[name])) == axis


def test_quality_counts_gaps_and_their_length(truth):
    """Two holes of 3 and 6 frames at 25 frames/s: two gaps, the longest 0.24 s."""
    points = truth.copy()
    points[:3] = points[30:36] = np.nan
    row = faces.assess({"r": faces.from_landmarks(points, np.ones(60), 25, "t")}).iloc[0]
    assert (row.gaps, row.longest_gap) == (2, pytest.approx(0.24))
    assert row.found == pytest.approx(51 / 60)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"min_share": 1.0}, "face in 85% of frames"),
        ({"min_confidence": 0.95}, "confidence"),
        ({"max_jitter": 1e-9}, "jitter"),
        ({"min_eye_distance": 500.0}, "eyes"),
        ({"max_gap": 0.1}, "no face for 0.2 s"),
        ({"max_turn": 0.01}, "turned"),
    ],
)
def test_each_threshold_can_fail_and_says_so(truth, caplog, limits, reason):
    """A recording that misses a threshold stays in the table, with the reason, and is logged."""
    points = truth + np.random.default_rng(0).normal(0, 0.1, truth.shape)
    points[:3] = points[30:36] = np.nan
    track = faces.from_landmarks(points, np.full(60, 0.9), 25, "t")
    assert faces.assess({"r": track}).passed.all()
    report = faces.assess({"r": track}, config.FacesSection(**limits))
    assert not report.passed.any()
    assert reason in report.reasons[0]
    assert "r is left out" in caplog.text


def test_recordings_without_a_face_or_a_file_are_reported_not_dropped(truth):
    """No face at all, and no track at all: both stay in the report by name."""
    nobody = faces.from_landmarks(np.full((9, 68, 2), np.nan), np.zeros(9), 25, "t")
    report = faces.assess(
        {
            "good": faces.from_landmarks(truth, np.ones(60), 25, "t"),
            "nobody": nobody,
            "broken": "broken.mp4 cannot be read",
        }
    )
    assert list(report.recording) == ["good", "nobody", "broken"]
    assert list(report.passed) == [True, False, False]
    assert "face in 0% of frames" in report.reasons[1]
    assert report.reasons[2] == "broken.mp4 cannot be read"
    assert (faces.summary(report).recordings >= 1).all()


def test_index_errors_are_the_paper_s(truth):
    """0/1 flags as numbers read row 1; dropped rows shift what follows; no hole, no shift."""
    points = truth.copy()
    points[20:25] = np.nan
    errors = faces.index_errors(faces.from_landmarks(points, np.ones(60), 25, "t"))
    unit = faces.eye_distance(truth).mean()
    moved = np.linalg.norm(truth[40] - truth[1], axis=-1).mean() / unit
    assert errors.by_flag[40] == pytest.approx(moved, rel=0.01)
    assert (errors.by_position[:20] == 0).all()
    shifted = np.linalg.norm(truth[45] - truth[40], axis=-1).mean() / unit
    assert errors.by_position[40] == pytest.approx(shifted, rel=0.01)


# Following one person, with a network that is not one


class Scripted:
    """Stands in for the networks: the frame's pixels say where faces are."""

    reference = 195.0

    def __init__(self) -> None:
        self.calls = 0
        self.unsure: set[int] = set()

    def detect(self, image: np.ndarray, *, side: int) -> np.ndarray:
        """Each bright blob is a face; the blue channel is its score."""
        import cv2

        self.calls += 1
        count, _, stats, _ = cv2.connectedComponentsWithStats((image[..., 0] > 90).astype(np.uint8))
        return np.array(
            [[x, y, x + w, y + h, 0.9] for x, y, w, h, _ in stats[1:count]], np.float32
        ).reshape(-1, 5)

    def place(self, crops: np.ndarray, *, flip: bool) -> tuple[np.ndarray, np.ndarray]:
        """Landmarks fill the blob in the crop; a crop without one is unsure."""
        points, trust = [], []
        for crop in crops:
            y, x = np.nonzero(crop[..., 0] > 90)
            trust.append(0.9 if len(x) > 50 else 0.1)
            low, high = (
                ((x.min(), y.min()), (x.max() + 1, y.max() + 1))
                if len(x)
                else ((100, 100), (156, 156))
            )
            share = np.linspace(0, 1, 68)[:, None]
            points.append((np.array(low) + share * (np.array(high) - low)) / 4)
        return np.array(points, np.float32), np.array(trust, np.float32)


def scene(path: Path, places: list[list[tuple[int, int, int]]]) -> Path:
    """Write a video in which each frame shows blobs (x, y, side)."""
    frames = []
    for blobs in places:
        frame = np.zeros(SHAPE, np.uint8)
        for x, y, side in blobs:
            frame[max(y, 0) : y + side, max(x, 0) : x + side] = 220
        frames.append(frame)
    return video.write_video(path, frames, 25)


def followed(path: Path, **options) -> tuple[faces.FaceTrack, int]:
    networks = Scripted()
    track = s3fd_fan.track(path, networks, s3fd_fan.Options(**options))
    return track, networks.calls


def test_detection_runs_every_k_frames_only(tmp_path):
    """A steady face costs one detection in k frames; the landmarks carry the box between."""
    path = scene(tmp_path / "a.mp4", [[(40 + i, 40, 40)] for i in range(40)])
    track, calls = followed(path, every=10)
    assert track.found.all()
    assert calls == 4
    centre = boxes_of(track.landmarks)[:, 0] + boxes_of(track.landmarks)[:, 2] / 2
    np.testing.assert_allclose(centre, np.arange(40) + 59.5, atol=2)


@pytest.mark.parametrize("hold", [1, 4, 10])
def test_holding_a_box_for_a_batch_changes_little(tmp_path, hold):
    """Frames that go through the network together are placed as one by one."""
    path = scene(tmp_path / "a.mp4", [[(40 + i // 2, 40, 40)] for i in range(23)])
    track, _ = followed(path, every=10, hold=hold)
    centre = boxes_of(track.landmarks)[:, 0] + boxes_of(track.landmarks)[:, 2] / 2
    np.testing.assert_allclose(centre, np.arange(23) // 2 + 59.5, atol=2)


@pytest.mark.parametrize("hold", [1, 4, 10])
def test_a_batch_of_frames_delays_no_detection(tmp_path, hold):
    """A jump at frame 14 calls for one early; the next comes ten frames later, held or not."""
    places = [[(20 if i < 14 else 36, 40, 40)] for i in range(26)]
    track, calls = followed(scene(tmp_path / "a.mp4", places), every=10, hold=hold)
    assert track.found.all()
    assert calls == 4  # frames 0, 10, 14 and 24


def test_no_face_at_all_is_lost_throughout(tmp_path):
    """An empty room: every frame NaN, none invented."""
    track, _ = followed(scene(tmp_path / "a.mp4", [[]] * 8))
    assert not track.found.any()
    assert (track.confidence == 0).all()


def test_face_that_comes_leaves_and_returns_is_found_in_its_frames(tmp_path):
    """Half-way in, out, and back somewhere else: found exactly where it is."""
    there = [False] * 8 + [True] * 12 + [False] * 30 + [True] * 6
    places = [[(30 if i < 30 else 100, 40, 40)] if on else [] for i, on in enumerate(there)]
    track, _ = followed(scene(tmp_path / "a.mp4", places), every=5)
    np.testing.assert_array_equal(track.found, there)


def test_a_newcomer_never_takes_over(tmp_path):
    """A second, larger face enters: the first keeps its track, even past detections."""
    places = [[(20, 40, 30)] + ([(100, 30, 55)] if i > 6 else []) for i in range(30)]
    track, _ = followed(scene(tmp_path / "a.mp4", places), every=3)
    assert track.found.all()
    assert np.nanmax(boxes_of(track.landmarks)[:, 0]) < 40


def test_a_stranger_is_no_substitute_for_someone_just_lost(tmp_path):
    """The followed face leaves for a moment while another stays: lost, not swapped."""
    places = [([(10, 40, 30)] if not 10 <= i < 16 else []) + [(110, 40, 30)] for i in range(30)]
    networks = Scripted()
    follower = s3fd_fan._Follower(networks, s3fd_fan.Options(every=3), 25)
    follower.last = np.array([10.0, 40, 30, 30])
    frames = [f.image for f in video.read_frames(scene(tmp_path / "a.mp4", places))]
    out = [follower.follow([frame])[0][0] for frame in frames]
    found = np.array([np.isfinite(points).all() for points in out])
    np.testing.assert_array_equal(found, [not 10 <= i < 16 for i in range(30)])
    assert max(points[:, 0].max() for points, on in zip(out, found) if on) < 60


def test_a_face_at_the_border_is_followed(tmp_path):
    """A face half outside the picture neither crashes nor loses its half."""
    path = scene(tmp_path / "a.mp4", [[(-20, -20, 50)]] * 6)
    track, _ = followed(path)
    assert track.found.all()


def test_choose_prefers_the_near_over_the_large():
    """With a last box the nearest wins if near enough; without, the largest times its score."""
    found = np.array([[0, 0, 10, 10, 0.9], [50, 50, 50, 50, 0.9]], np.float32)
    assert s3fd_fan.choose(found, None) == 1
    assert s3fd_fan.choose(found, np.array([1.0, 1, 10, 10])) == 0
    assert s3fd_fan.choose(found, np.array([200.0, 0, 10, 10])) is None
    assert s3fd_fan.choose(found[:0], None) is None


# The real networks


@pytest.fixture(scope="module")
def networks(weights) -> s3fd_fan.Networks:
    return s3fd_fan.load(files=weights)


def test_detect_agrees_with_face_alignment(weights, networks):
    """Same boxes and scores as the reference code on a picture that is not scaled."""
    from face_alignment.detection.sfd.sfd_detector import SFDDetector

    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    ours = networks.detect(image, side=128)
    theirs = np.array(SFDDetector("cpu", str(weights["sfd"])).detect_from_image(image))
    order, other = np.argsort(-ours[:, 4]), np.argsort(-theirs[:, 4])
    # Its suppression counts pixels with a 1 added; the surest boxes are the same either way.
    np.testing.assert_allclose(ours[order][:5], theirs[other][:5], rtol=1e-3, atol=0.05)


@pytest.mark.slow
def test_place_agrees_with_face_alignment(weights, networks):
    """Heat maps are read as the reference code reads them: cell, quarter shift and mirror."""
    from face_alignment.models import FAN
    from face_alignment.utils import flip, get_preds_fromhm

    crops = np.random.default_rng(1).integers(0, 255, (1, 256, 256, 3), np.uint8)
    cells, trust = networks.place(crops, flip=True)
    theirs = FAN(4).eval()
    theirs.load_state_dict(torch.load(weights["fan"], weights_only=True))
    with torch.inference_mode():
        pictures = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
        maps = theirs(pictures)[-1]
        maps = maps + flip(theirs(flip(pictures))[-1], is_label=True)
    expected, _, scores = get_preds_fromhm(maps.numpy().copy())
    np.testing.assert_allclose(cells, expected, atol=1e-4)
    np.testing.assert_allclose(trust, np.clip(scores.mean(axis=1) / 2, 0, 1), rtol=1e-4)


def test_mirror_permutation_is_face_alignment_s():
    """Our left-right order of the 68 points is the one FAN was trained with."""
    from face_alignment.utils import shuffle_lr

    order = shuffle_lr(torch.arange(68)[None, :, None, None])[0, :, 0, 0]
    np.testing.assert_array_equal(order.numpy(), anatomy.MIRROR)


@pytest.mark.parametrize("size", [(2, 2), (40, 300)])
def test_detect_takes_tiny_and_flat_pictures(networks, size):
    """Two by two pixels, or a strip: a list of boxes, perhaps empty, never a crash."""
    found = networks.detect(np.zeros((*size, 3), np.uint8))
    assert found.shape[1] == 5


@pytest.mark.slow
def test_bfloat16_places_near_float32(weights, networks):
    """Half the bits move the sure landmarks by less than two cells in the median."""
    half = s3fd_fan.load(files=weights, precision="bfloat16")
    crops = np.random.default_rng(2).integers(0, 255, (1, 256, 256, 3), np.uint8)
    full, _ = networks.place(crops, flip=False)
    fast, _ = half.place(crops, flip=False)
    assert np.median(np.abs(full - fast)) < 2


def test_weights_that_are_none_are_refused_by_name(tmp_path, weights):
    """A torn file and another network's file name themselves and the remedy."""
    torn = tmp_path / "fan.pth"
    torn.write_bytes(weights["fan"].read_bytes()[:1000])
    with pytest.raises(s3fd_fan.WeightsError, match=r"fan\.pth is no weights of FAN"):
        s3fd_fan.load(files={"fan": torn, "sfd": weights["sfd"]})
    with pytest.raises(s3fd_fan.WeightsError, match=r"sfd\.pth is no weights of FAN"):
        s3fd_fan.load(files={"fan": weights["sfd"], "sfd": weights["sfd"]})


def test_an_unknown_precision_names_the_known_ones(weights):
    """A typing error is answered with what there is."""
    with pytest.raises(ValueError, match="precision"):
        s3fd_fan.load(files=weights, precision="float8")


def test_weights_come_from_a_mirror_only_with_the_right_hash(tmp_path, weights, monkeypatch):
    """A mirror's file with another hash is refused; the good name alone is not enough."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    monkeypatch.setenv(manifest.ENV_MIRROR, str(mirror))
    for name in ("weights_s3fd", "weights_fan"):
        target = mirror / manifest.path_of(name).name
        target.write_bytes(weights["sfd"].read_bytes()[:5000])
    with pytest.raises(manifest.ManifestError, match="2DFAN4-11f355bf06"):
        s3fd_fan.load(folder=tmp_path / "here")
    assert not list((tmp_path / "here").glob("*.tar"))


def test_offline_error_names_file_source_hash_and_place(tmp_path, monkeypatch):
    """Without a network and without weights the reader learns what to bring from where to where."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(manifest.FetchError) as caught:
        s3fd_fan.load(folder=tmp_path / "weights")
    message = str(caught.value)
    for part in (
        "2DFAN4-11f355bf06.pth.tar",
        "adrianbulat.com",
        "11f355bf06",
        str(tmp_path / "weights"),
    ):
        assert part in message
