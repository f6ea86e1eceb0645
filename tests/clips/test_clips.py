"""Clips: one function says which frames; crops look right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expresso_lib import clips, config, faces, rendered
from expresso_lib.clips import alignment
from expresso_lib.faces import anatomy, regions, video

REAL = Path(__file__).parents[3] / "shared/real"


@pytest.fixture(scope="module")
def script() -> rendered.Script:
    return rendered.plan_cohort(participants=2, recordings=1, seconds=1.2).script("P01_R1")


@pytest.fixture(scope="module")
def recording(script, tmp_path_factory) -> tuple[Path, faces.FaceTrack]:
    """A rendered recording of 30 frames and its true track with two lost frames."""
    frames = list(rendered.render(script, size=112))
    path = video.write_video(
        tmp_path_factory.mktemp("clips") / "r.mp4", [f.image for f in frames], script.fps, crf=10
    )
    points = np.stack([f.landmarks for f in frames]).astype(np.float64)
    points[8:10] = np.nan
    return path, faces.from_landmarks(points, np.ones(len(points)), script.fps, "truth")


# Which frames


@given(
    n=st.integers(0, 300),
    length=st.integers(1, 64),
    step=st.integers(1, 70),
    dilation=st.integers(1, 5),
)
def test_windows_are_all_that_fit_and_only_those(n, length, step, dilation):
    """Against the plain definition: starts 0, step, 2 step ... while the last frame exists."""
    expected = [
        [start + i * dilation for i in range(length)]
        for start in range(0, max(n, 1), step)
        if start + (length - 1) * dilation < n
    ]
    got = clips.windows(n, length, step=step, dilation=dilation)
    assert got.dtype == np.int64
    assert got.shape == (len(expected), length)
    assert got.tolist() == expected


@pytest.mark.parametrize("wrong", [{"length": 0}, {"step": -1}, {"dilation": 0}, {"n_frames": -1}])
def test_windows_refuse_what_is_no_window(wrong):
    """Zero frames, steps or gaps are refused with what came."""
    with pytest.raises(clips.ClipError, match="at least 1"):
        clips.windows(**({"n_frames": 9, "length": 2, "step": 1, "dilation": 1} | wrong))


def test_a_rate_that_falls_far_behind_is_said(recording, monkeypatch, caplog):
    """Half a second between frames that should be 0.08 s apart: the clip lasts longer."""
    path, track = recording
    info = video.probe(path)
    paused = info.times + 0.5 * (np.arange(info.n_frames) > 8)
    monkeypatch.setattr(video, "probe", lambda _: replace(info, times=paused))
    clips.prepare(path, track, size=24)
    assert "its rate varies" in caplog.text


def test_windows_are_what_every_use_takes(recording, tmp_path):
    """Tensor, table and archive speak of the same frames."""
    path, track = recording
    archive = clips.prepare(path, track, size=24)
    spans = clips.windows(archive.n_frames, 4, step=3, dilation=2)
    tensor = clips.stack(archive, spans)
    files = {"P01_R1": archive.save(tmp_path / "P01_R1.npz")}
    who = pd.DataFrame({"participant": ["P01"], "recording": ["P01_R1"]})
    table, chosen = clips.cut(who, files, length=4, step=3, dilation=2)
    np.testing.assert_array_equal(chosen, spans)
    assert tensor.shape == (len(spans), 3, 4, 24, 24)
    for n, row in table.iterrows():
        assert (row["first"], row["last"]) == (spans[n, 0], spans[n, -1])
        assert row["source_first"] == archive.source[spans[n, 0]]
        assert row["lost"] == pytest.approx(archive.lost[spans[n]].mean())
        np.testing.assert_allclose(
            tensor[n, :, 1], archive.frames[spans[n, 1]].transpose(2, 0, 1) / 255, rtol=1e-6
        )
    assert table["clip"].is_unique


@settings(max_examples=50)
@given(fps=st.floats(5, 60), rate=st.floats(5, 60), seconds=st.floats(0.2, 20))
def test_resample_keeps_time(fps, rate, seconds):
    """Frames increase, none repeats, and each lies within half a frame of its moment."""
    times = np.arange(max(int(seconds * fps), 1)) / fps
    source = clips.resample(times, rate)
    assert (np.diff(source) > 0).all()
    assert source[0] == 0
    assert len(source) == config.frames_at(rate, len(times), fps)
    if rate >= fps:
        assert len(source) == len(times)
    if rate <= fps:
        ideal = np.arange(len(source)) / rate
        assert np.abs(times[source] - ideal).max() <= 0.5 / fps + 1e-6


def test_resample_follows_time_stamps_not_numbers():
    """Twice as many frames in the second half: the series stays even in time."""
    times = np.concatenate([np.arange(10) * 0.1, 1 + np.arange(20) * 0.05])
    source = clips.resample(times, 5)
    np.testing.assert_allclose(np.diff(times[source]), 0.2, atol=1e-9)
    with pytest.raises(clips.ClipError, match="rate is 0"):
        clips.resample(times, 0)


# Cutting


def test_prepare_puts_stable_points_in_their_place(recording):
    """Eyes and nose come to lie where the template says, on average over the frames with a face."""
    path, track = recording
    archive = clips.prepare(path, track, size=64)
    np.testing.assert_array_equal(archive.source, np.arange(0, 30, 2))
    np.testing.assert_array_equal(np.flatnonzero(archive.lost), [4])
    placed = archive.landmarks[~archive.lost][:, list(alignment.STABLE)]
    assert np.abs(placed.mean(axis=0) - (alignment.TEMPLATE * 64 - 0.5)).max() < 4
    assert archive.fps == 12.5


def test_prepare_cuts_the_pixels_that_the_transform_says(recording):
    """A landmark's colour in the crop is that of its place in the recording."""
    path, track = recording
    archive = clips.prepare(path, track, size=112)
    frame = video.read_array(path, [6])[0].astype(float)
    row = 3
    for index in (30, 51, 8 - 4):
        x, y = np.round(archive.landmarks[row, index]).astype(int)
        back = np.linalg.inv(np.vstack([archive.transform[row], [0, 0, 1]])) @ [x, y, 1]
        there = frame[round(back[1]), round(back[0])]
        assert np.abs(archive.frames[row, y, x] - there).max() < 40


def test_prepare_lost_frames_keep_their_picture_and_their_nan(recording):
    """A lost frame is cut where its neighbours are, its regions follow, its landmarks are NaN."""
    path, track = recording
    archive = clips.prepare(path, track, size=48)
    assert archive.frames[4].std() > 5
    assert np.isnan(archive.landmarks[4]).all()
    assert (archive.regions[4] != regions.BACKGROUND).mean() > 0.3
    between = (archive.transform[3] + archive.transform[5]) / 2
    np.testing.assert_allclose(archive.transform[4], between, atol=0.7)


@pytest.mark.parametrize("input", clips.INPUTS)
def test_archive_survives_saving(recording, tmp_path, input):
    """Every array and word of an archive comes back."""
    archive = clips.prepare(*recording, size=32, input=input)
    back = clips.ClipArchive.load(archive.save(tmp_path / "a.npz"))
    for name, value in vars(archive).items():
        np.testing.assert_array_equal(getattr(back, name), value, err_msg=name)
    assert (back.maps is None) == (input == "face")


def test_composite_archive_magnifies_features(recording):
    """Eyes get more of the composite than of the face; its map leads back to them."""
    face = clips.prepare(*recording, size=64)
    tiles = clips.prepare(*recording, size=64, input="composite")
    eye = anatomy.REGIONS.index("right_eye")
    assert (tiles.regions == eye).mean() > 2 * (face.regions == eye).mean()
    assert tiles.frames.std(axis=(1, 2, 3)).min() > 10
    place = tiles.maps[0][tiles.regions[0] == eye].mean(axis=0)
    own = tiles.landmarks[0][list(anatomy.RIGHT_EYE)].mean(axis=0)
    assert np.abs(place - own).max() < 5


def test_prepare_refuses_another_recording_s_track(recording):
    """A track of another length names both lengths; one without a face names the recording."""
    path, track = recording
    short = faces.from_landmarks(track.landmarks[:20], np.ones(20), 25, "t")
    with pytest.raises(clips.ClipError, match="30 frames, its face track 20"):
        clips.prepare(path, short)
    nobody = faces.from_landmarks(np.full((30, 68, 2), np.nan), np.zeros(30), 25, "t")
    with pytest.raises(clips.ClipError, match=r"r\.mp4: no frame has a face"):
        clips.prepare(path, nobody)


def test_align_undoes_any_similarity():
    """Turned, scaled, shifted copies of a face all come to the same crop."""
    base = rendered.average_face(224).landmarks.astype(float)
    copies = []
    for angle, scale, shift in ((0, 1, 0), (0.5, 2, 30), (-0.3, 0.2, -9)):
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        copies.append(base @ turn.T + shift)
    points = np.stack(copies)
    placed = clips.transform_points(points, clips.align(points, 64))
    np.testing.assert_allclose(placed[1:], np.broadcast_to(placed[0], placed[1:].shape), atol=1e-3)


@pytest.mark.parametrize("input", clips.INPUTS)
def test_rerendering_fits_the_archive(script, recording, input):
    """Rendered again, a script gives the archive, but for H.264: face and composite alike."""
    archive = clips.prepare(*recording, size=64, input=input)
    again = clips.Rerendering(archive, script, size=112, full_size=112)
    rows = np.array([1, 6, 13])
    shown = again.show(script, rows)
    assert shown.shape == (3, 64, 64, 3)
    gap = np.abs(shown.astype(float) - archive.frames[rows]).mean()
    assert gap < 4
    if input == "composite":
        return
    # Rendered at half the size a face is softer, but not shifted.
    small = clips.Rerendering(archive, script, size=56, full_size=112).show(script, rows)
    shifted = np.roll(small, 1, axis=2)
    gaps = [np.abs(one.astype(float) - archive.frames[rows]).mean() for one in (small, shifted)]
    assert gaps[0] < 0.7 * gaps[1]


def test_rerendering_repeats_the_tracker_s_error(script, recording):
    """A face tracked two pixels too far right is cut two pixels too far right again."""
    path, track = recording
    off = faces.from_landmarks(
        track.landmarks + np.array([2.0, 0.0]), np.ones(track.n_frames), track.fps, "truth"
    )
    rows = np.array([1, 6, 13])
    exact, moved = (clips.prepare(path, one, size=64) for one in (track, off))
    shown = clips.Rerendering(moved, script, size=112, full_size=112).show(script, rows)
    gaps = [np.abs(shown.astype(float) - one.frames[rows]).mean() for one in (exact, moved)]
    assert gaps[1] < 0.6 * gaps[0]


def test_a_head_held_still_stands_still_in_the_crop():
    """Only the head moves; without its motion nothing does, the crop least of all."""
    plan = rendered.plan_cohort(participants=2, recordings=1, seconds=2.0, seed=503)
    script = plan.script("P01_R1")
    script = replace(script, au=0 * script.au, gaze=0 * script.gaze)
    source = np.arange(0, script.n_frames, 4)
    drawn = list(rendered.render(script, size=112, frames=source.tolist()))
    archive = clips.assemble(
        ((number, frame.image) for number, frame in zip(source.tolist(), drawn)), source,
        np.stack([frame.landmarks for frame in drawn]), fps=6.25,
    )  # fmt: skip
    rows = np.arange(len(source))
    again = clips.Rerendering(archive, script, size=112, full_size=112)
    still = rendered.without(script, "head_motion", level=0)
    moves, rests = (_coarse(again.show(one, rows)) for one in (script, still))
    change = [np.abs(np.diff(one, axis=0)).mean() for one in (moves, rests)]
    assert change[1] < 0.4 * change[0]
    part = np.arange(5, 12)
    np.testing.assert_array_equal(again.show(still, part), again.show(still, rows)[part])


def test_steady_crops_show_the_head_move():
    """Landmarks keep their quick movement in the crop; drift and lost frames do not reach it."""
    rng = np.random.default_rng(0)
    face = rng.uniform(40, 80, (68, 2))
    time = np.arange(125) / 12.5
    quick, drift = 3 * np.sin(2 * np.pi * time), 0.5 * time
    points = face + (quick + drift)[:, None, None] * (1, 0)
    points[30:33] = np.nan
    soft = clips.steady(points, 12.5)
    assert np.isfinite(soft).all()
    left = (points - soft)[:, 0, 0]
    inside = slice(25, 100)
    kept = np.isfinite(left[inside])
    np.testing.assert_allclose(left[inside][kept], quick[inside][kept], atol=0.6)


def _coarse(crops: np.ndarray) -> np.ndarray:
    """The middle of crops (T, 64, 64, 3) in squares of 4 px, which average sensor noise away."""
    return crops[:, 16:48, 16:48].reshape(len(crops), 8, 4, 8, 4, 3).mean(axis=(2, 4, 5))


def test_a_lost_frame_of_a_composite_keeps_its_regions(recording):
    """Its tiles and its face follow the neighbours: no region is empty, as for a face."""
    archive = clips.prepare(*recording, size=64, input="composite")
    assert archive.lost.any()
    lost, seen = archive.face_regions[archive.lost], archive.face_regions[~archive.lost]
    for region in range(len(anatomy.REGIONS)):
        assert (lost == region).mean() == pytest.approx((seen == region).mean(), abs=0.05)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real recording is not in this checkout")
def test_real_recording_goes_through_to_clips():
    """A real face: every crop upright, centred on the face, with all its regions."""
    path = REAL / "single_face.mp4"
    info = video.probe(path)
    track = faces.from_table(
        REAL / "single_face_openface.csv", n_frames=info.n_frames, fps=info.fps
    )
    archive = clips.prepare(path, track)
    assert archive.frames.shape == (30, 64, 64, 3)
    assert not archive.lost.any()
    assert set(np.unique(archive.regions)) == set(range(len(anatomy.REGIONS)))
    # Lips are redder than the forehead: the crop shows a face the right way up.
    red = archive.frames[..., 0].astype(float) - archive.frames[..., 1]
    mouth = archive.regions == anatomy.REGIONS.index("mouth")
    assert red[:10][mouth[:10]].mean() > red[:10][archive.regions[:10] == 7].mean() + 10


# Folds


def test_archived_passes_over_what_holds_no_clip(recording, tmp_path):
    """Recordings without an archive or shorter than one clip are left out, the rest ordered."""
    archive = clips.prepare(*recording, size=24)
    archive.save(tmp_path / "b_R1.npz")
    archive.save(tmp_path / "a_R1.npz")
    rows = pd.DataFrame({"participant": ["b", "a", "c"], "recording": ["b_R1", "a_R1", "c_R1"]})
    found = clips.archived(rows, tmp_path, "abc", length=archive.n_frames)
    assert found["recording"].tolist() == ["a_R1", "b_R1"]
    assert clips.archived(rows, tmp_path, "abc", length=archive.n_frames, dilation=2).empty
