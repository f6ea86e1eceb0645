"""Pictures: the face with leave; without it, nobody's."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from expresso_lib import clips, cohort, rendered
from expresso_lib.faces import anatomy, video
from expresso_lib.figures import drawing, style

SIDE, ROWS = 48, 6
LEAVE, NO_LEAVE = drawing.Permission(True), drawing.Permission(False)


def average(side):
    """Landmarks (68, 2) of the average rendered face, in a picture of this side."""
    return rendered.average_face(96).landmarks * np.float32(side / 96)


def make_archive(*, seed=0, side=SIDE, rows=ROWS, shape=None):
    """An archive of noise with plausible landmarks; row 2 is lost."""
    rng = np.random.default_rng(seed)
    face = average(side) if shape is None else shape
    landmarks = face + rng.normal(0, 0.3, (rows, anatomy.N_LANDMARKS, 2)).astype(np.float32)
    landmarks[2] = np.nan
    transform = np.tile(np.eye(2, 3, dtype=np.float32), (rows, 1, 1))
    return clips.ClipArchive(
        rng.integers(0, 256, (rows, side, side, 3), dtype=np.uint8), np.arange(rows) * 2,
        landmarks.astype(np.float32), transform, np.zeros((rows, side, side), np.uint8), 12.5,
    )  # fmt: skip


def test_permission_follows_the_manifest():
    """The data set's own word decides."""
    table = pd.DataFrame({"participant": ["a"], "score": [1.0]})
    closed = cohort.Cohort(table, table, cohort.BDI_II, "closed", faces_may_be_shown=False)
    assert not drawing.Permission.of(closed).faces
    assert "average rendered face" in drawing.Permission.of(closed).note


def test_scene_with_leave_shows_the_frames():
    """With leave the pictures are the archive's frames, enlarged."""
    archive = make_archive()
    scene = drawing.Footage(archive, LEAVE).scene([4, 1], size=SIDE)
    np.testing.assert_array_equal(scene.pictures, archive.frames[[4, 1]])
    np.testing.assert_allclose(scene.landmarks, archive.landmarks[[4, 1]])


def test_scene_reads_the_recording_at_full_sharpness(tmp_path):
    """Pictures cut from the recording agree with the archive's, and landmarks fit both."""
    side, size = 32, 96
    image = np.kron(np.indices((12, 12)).sum(axis=0) % 2 * 200 + 20, np.ones((16, 16)))
    frame = np.repeat(image[..., None], 3, axis=2).astype(np.uint8)
    path = video.write_video(tmp_path / "r.mp4", [frame] * 12, 25.0, crf=1)
    archive = make_archive(side=side)
    transform = np.array([[side / 192, 0, -0.4167], [0, side / 192, -0.4167]], np.float32)
    archive.transform[:] = transform
    scene = drawing.Footage(archive, LEAVE, path).scene([3], size=size)
    reference = video.warp(frame, np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]], np.float32), size)
    assert np.abs(scene.pictures[0].astype(int) - reference).mean() < 3
    expected = (archive.landmarks[3] + 0.5) * 3 - 0.5
    np.testing.assert_allclose(scene.landmarks[0], expected, rtol=1e-4)


def test_scene_without_leave_opens_no_video_and_no_frame():
    """Two archives with different frames give the same pictures, and no file is touched."""
    one, other = make_archive(), make_archive()
    other.frames[:] = 255 - other.frames
    nowhere = Path("/nowhere/at/all.mp4")
    scenes = [drawing.Footage(a, NO_LEAVE, nowhere).scene([0, 1, 3]) for a in (one, other)]
    for draw in ("pictures", "with_landmarks", "with_regions"):
        first, second = (getattr(s, draw) for s in scenes)
        np.testing.assert_array_equal(*((first, second) if draw == "pictures"
                                        else (first(), second())))  # fmt: skip
    stranger = drawing.Footage(make_archive(seed=7, shape=average(SIDE) * 1.1), NO_LEAVE).scene([0])
    np.testing.assert_array_equal(scenes[0].pictures[1], stranger.pictures[0])


def test_scene_without_leave_hides_the_proportions_of_a_face():
    """Another face with the same movements gives the same drawing."""
    shape = average(SIDE)
    wide = shape.copy()
    wide[list(anatomy.JAW)] += [[0, 3]]
    wide[list(anatomy.OUTER_LIP)] *= [1.0, 1.02]
    drawn = [drawing.Footage(make_archive(shape=s), NO_LEAVE).scene([0, 1, 3]).landmarks
             for s in (shape, wide)]  # fmt: skip
    np.testing.assert_allclose(*drawn, atol=0.01)  # float32 rounding at 224 px


def test_scene_without_leave_keeps_movement():
    """A mouth that opens is drawn opening, and a lost frame stays lost."""
    archive = make_archive()
    archive.landmarks[4, list(anatomy.INNER_LIP)] += [0, 4]
    scene = drawing.Footage(archive, NO_LEAVE).scene([3, 4, 2])
    lips = scene.landmarks[:, list(anatomy.INNER_LIP), 1].mean(axis=1)
    assert lips[1] - lips[0] > 4
    assert np.isnan(scene.landmarks[2]).all()
    np.testing.assert_array_equal(scene.with_landmarks()[2], scene.pictures[2])


def test_carry_without_leave_follows_the_landmarks():
    """A map that lies on the mouth comes to lie on the average face's mouth."""
    shape = average(SIDE) * 0.8 + 6
    archive = make_archive(shape=shape)
    maps = np.zeros((1, SIDE, SIDE), np.float32)
    x, y = shape[list(anatomy.INNER_LIP)].mean(axis=0).round().astype(int)
    maps[0, y - 1 : y + 2, x - 1 : x + 2] = -1
    carried = drawing.Footage(archive, NO_LEAVE).scene([0]).carry(maps)[0]
    peak = np.array(np.unravel_index(np.argmin(carried), carried.shape))[::-1]
    drawn = drawing.Footage(make_archive(), NO_LEAVE).scene([0]).landmarks[0]
    mouth = drawn[list(anatomy.INNER_LIP)].mean(axis=0)
    assert np.linalg.norm(peak - mouth) < 12


def test_carry_without_leave_keeps_nothing_behind_the_face():
    """Background, hair and the head's outline leave no trace."""
    archive = make_archive()
    maps = np.zeros((1, SIDE, SIDE), np.float32)
    maps[0, :3], maps[0, :, :2], maps[0, :, -2:] = 1, 1, 1
    assert np.abs(drawing.Footage(archive, NO_LEAVE).scene([0]).carry(maps)).max() < 0.2
    lost = drawing.Footage(archive, NO_LEAVE).scene([2]).carry(np.ones_like(maps))
    assert not lost.any()


def test_with_attribution_has_the_books_colours():
    """White is zero; the ends are the style's signs."""
    ends = {"positive": 1.0, "negative": -1.0, "zero": 0.0}
    for sign, value in ends.items():
        red, green, blue = drawing.colors(np.array(value), 1.0)
        assert f"#{red:02X}{green:02X}{blue:02X}" == style.SIGN_COLORS[sign]


def test_with_attribution_marks_the_sign():
    """Red where the score is raised, blue where it is lowered, grey elsewhere."""
    archive = make_archive()
    maps = np.zeros((1, SIDE, SIDE), np.float32)
    maps[0, 10, 10], maps[0, 30, 30] = 2, -2
    scene = drawing.Footage(archive, LEAVE).scene([0], size=SIDE)
    drawn = scene.with_attribution(maps)[0].astype(int)
    assert drawn[10, 10, 0] > drawn[10, 10, 2] + 50
    assert drawn[30, 30, 2] > drawn[30, 30, 0] + 50
    assert np.ptp(drawn[40, 5]) == 0


def test_with_regions_tints_with_the_regions_colours():
    """Every feature region shows its own colour."""
    drawn = drawing.Footage(make_archive(), NO_LEAVE).scene([0]).with_regions(strength=1.0)[0]
    for name in anatomy.FEATURE_REGIONS:
        color = np.round(255 * np.array(to_rgb(anatomy.REGION_COLORS[name])))
        assert (drawn == color).all(axis=-1).any(), name


def test_write_overlay_makes_a_video_of_every_row(tmp_path, monkeypatch):
    """One frame per row of the archive, at the archive's rate, with leave and without."""
    monkeypatch.setattr(drawing, "CHUNK", 4)
    archive = make_archive(rows=9)
    maps = np.random.default_rng(3).normal(size=(9, SIDE, SIDE)).astype(np.float32)
    maps[5] = np.nan
    for permission in (LEAVE, NO_LEAVE):
        path = tmp_path / f"{permission.faces}.mp4"
        info = video.probe(drawing.Footage(archive, permission).write_overlay(path, maps))
        assert (info.n_frames, info.fps, info.width) == (9, 12.5, drawing.SIZE)


def test_write_overlay_of_a_composite_shows_the_recording(tmp_path):
    """A composite archive holds tiles, no face: pictures and their scale come from the video."""
    picture = np.full((96, 96, 3), 90, np.uint8)
    path = video.write_video(tmp_path / "r.mp4", [picture] * (2 * ROWS), 25.0)
    archive = replace(make_archive(), input="composite")
    maps = np.ones((ROWS, SIDE, SIDE))
    made = drawing.Footage(archive, LEAVE, path).write_overlay(tmp_path / "o.mp4", maps)
    assert video.probe(made).n_frames == ROWS
    with pytest.raises(ValueError, match="composite archive holds no face"):
        drawing.Footage(archive, LEAVE).write_overlay(tmp_path / "n.mp4", maps)


def test_scene_refuses_rows_and_maps_that_do_not_fit():
    """Row numbers outside the archive and maps of another length are named."""
    archive = make_archive()
    with pytest.raises(ValueError, match="0 to 5"):
        drawing.Footage(archive, LEAVE).scene([6])
    with pytest.raises(ValueError, match="2 maps"):
        drawing.Footage(archive, NO_LEAVE).scene([1]).carry(np.zeros((2, 8, 8)))


def test_strip_tiles_in_order():
    """Row by row, with white between."""
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 6, 4, 3), np.uint8)
    sheet = drawing.strip(pictures, columns=3, gap=2)
    assert sheet.shape == (14, 16, 3)
    assert sheet[8, 6, 0] == 4
    assert sheet[6, 0, 0] == 255


def test_average_face_is_nobodys():
    """The face that stands for those who may not be shown is the mean identity."""
    frame = rendered.average_face(drawing.SIZE)
    mirrored = frame.landmarks[anatomy.MIRROR] * [-1, 1]
    offset = (frame.landmarks - mirrored).mean(axis=0)
    np.testing.assert_allclose(frame.landmarks - mirrored - offset, 0, atol=0.5)  # px
