"""Regions are disjoint, cover the picture, and the composite gives back what it takes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expresso_lib import rendered
from expresso_lib.faces import anatomy, regions

SHAPE = (200, 240)


def face(width: float = 90.0, x: float = 120.0, y: float = 90.0) -> np.ndarray:
    """A symmetric face of 68 points; outer eye corners `width` apart, their middle at x, y."""
    points = np.zeros((68, 2))
    angle = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([0.72 * np.cos(angle), 1.3 * np.sin(angle)], -1)
    points[17:22] = np.stack([np.linspace(-0.62, -0.15, 5), [-0.2, -0.28, -0.3, -0.28, -0.24]], -1)
    points[27:31] = np.stack([np.zeros(4), np.linspace(0, 0.42, 4)], -1)
    points[31:36] = np.stack([np.linspace(-0.16, 0.16, 5), [0.5, 0.52, 0.54, 0.52, 0.5]], -1)
    points[36:42] = [
        (-0.5, 0),
        (-0.4, -0.05),
        (-0.28, -0.05),
        (-0.18, 0),
        (-0.28, 0.05),
        (-0.4, 0.05),
    ]
    ring = np.linspace(np.pi, -np.pi, 12, endpoint=False)
    points[48:60] = np.stack([0.3 * np.cos(ring), 0.8 - 0.12 * np.sin(ring)], -1)
    ring = np.linspace(np.pi, -np.pi, 8, endpoint=False)
    points[60:68] = np.stack([0.2 * np.cos(ring), 0.8 - 0.04 * np.sin(ring)], -1)
    mirrored = points[anatomy.MIRROR] * [-1, 1]
    points[22:27], points[42:48] = mirrored[22:27], mirrored[42:48]
    return points * width + [x, y]


def test_masks_are_disjoint_and_cover_the_picture():
    """Every pixel has one region, and every region is there."""
    labels = regions.label_map(face(), SHAPE)
    masks = np.stack([labels == i for i in range(len(anatomy.REGIONS))])
    assert labels.dtype == np.uint8
    assert masks.shape == (len(anatomy.REGIONS), *SHAPE)
    np.testing.assert_array_equal(masks.sum(axis=0), 1)
    assert (masks.sum(axis=(1, 2)) > 40).all()


def test_each_region_holds_its_own_landmarks():
    """The pixel at a landmark's place belongs to the landmark's region."""
    points = face()
    labels = regions.label_map(points, SHAPE)
    for name in anatomy.FEATURE_REGIONS:
        for x, y in np.round(points[list(anatomy.LANDMARK_GROUPS[name])]).astype(int):
            assert anatomy.REGIONS[labels[y, x]] == name


def test_mirrored_face_swaps_left_and_right():
    """Mirror the landmarks and the map mirrors, with left and right exchanged."""
    points = face(x=(SHAPE[1] - 1) / 2, y=90.3)
    turned = points[anatomy.MIRROR].copy()
    turned[:, 0] = SHAPE[1] - 1 - turned[:, 0]
    swap = [
        anatomy.REGIONS.index(
            name.replace("left", "?").replace("right", "left").replace("?", "right")
        )
        for name in anatomy.REGIONS
    ]
    here = regions.label_map(points, SHAPE)
    there = np.array(swap, np.uint8)[regions.label_map(turned, SHAPE)[:, ::-1]]
    # OpenCV rounds edges to the left: a border of one pixel may differ.
    assert (here != there).mean() < 0.01


def test_lost_face_is_background_and_a_series_is_frame_by_frame():
    """NaN landmarks: no face, so every pixel is background; row f of a series is frame f."""
    points = np.stack([face(), np.full((68, 2), np.nan), face(x=80)])
    labels = regions.label_map(points, SHAPE)
    assert (labels[1] == regions.BACKGROUND).all()
    np.testing.assert_array_equal(labels[2], regions.label_map(points[2], SHAPE))
    assert regions.label_map(points[:0], SHAPE).shape == (0, *SHAPE)


@settings(max_examples=25, deadline=None)
@given(x=st.floats(-400, 700), y=st.floats(-400, 700), width=st.floats(2, 4000))
def test_label_map_holds_wherever_the_face_is(x, y, width):
    """At the border, outside, tiny or larger than the picture: a map of the same shape."""
    labels = regions.label_map(face(width, x, y), (40, 56))
    assert labels.shape == (40, 56)
    assert labels.max() < len(anatomy.REGIONS)


def test_regions_agree_with_the_renderer():
    """On a rendered face the landmarks' regions are the ones that were painted."""
    frame = rendered.average_face(224)
    labels = regions.label_map(frame.landmarks, frame.image.shape)
    for name, least in {"right_eye": 0.4, "left_eye": 0.4, "mouth": 0.5, "nose": 0.4}.items():
        index = anatomy.REGIONS.index(name)
        ours, painted = labels == index, frame.regions == index
        assert (ours & painted).sum() / (ours | painted).sum() > least, name


def test_boxes_hold_their_landmarks_and_overlap():
    """The paper's rectangles contain their points with a margin; eyebrow and eye overlap."""
    points = face()
    found = regions.boxes(points)
    brow, eye = found["right_eyebrow"], found["right_eye"]
    assert brow[1] + brow[3] > eye[1]
    for name, (left, top, width, height) in regions.boxes(points).items():
        own = points[list(anatomy.LANDMARK_GROUPS[name])]
        assert (own >= [left, top]).all()
        assert (own <= [left + width, top + height]).all()


def test_tiles_cover_the_composite_once():
    """No pixel of the composite is without a tile or under two."""
    cover = np.zeros((64, 64), int)
    for edges in regions.TILES.values():
        left, top, right, bottom = (round(64 * edge) for edge in edges)
        cover[top:bottom, left:right] += 1
    np.testing.assert_array_equal(cover, 1)


def test_each_tile_is_centred_on_its_region():
    """The composite's tile shows its own region, magnified."""
    points = face()
    source = regions.composite_map(points, 64)
    labels = regions.compose(regions.label_map(points, SHAPE), source, labels=True)
    for name, (left, top, right, bottom) in regions.TILES.items():
        middle = labels[round(32 * (top + bottom)), round(32 * (left + right))]
        assert anatomy.REGIONS[middle] == name
    for name in ("right_eye", "mouth"):
        index = anatomy.REGIONS.index(name)
        before = (regions.label_map(points, SHAPE) == index).mean()
        assert (labels == index).mean() > 1.2 * before


def test_decompose_is_the_transpose_of_compose():
    """<compose(x), y> = <x, decompose(y)> for any picture and attribution: sums are kept."""
    rng = np.random.default_rng(0)
    source = regions.composite_map(face(), 32)
    picture, values = rng.normal(size=SHAPE).astype(np.float32), rng.normal(size=(2, 3, 32, 32))
    back = regions.decompose(values, source, SHAPE)
    assert back.shape == (2, 3, *SHAPE)
    np.testing.assert_allclose(back.sum(axis=(-1, -2)), values.sum(axis=(-1, -2)), rtol=1e-6)
    # OpenCV interpolates in steps of 1/32 pixel, hence the tolerance.
    composed = regions.compose(picture, source)
    assert (composed * values[0, 0]).sum() == pytest.approx((picture * back[0, 0]).sum(), abs=2.0)


def test_decompose_returns_an_attribution_to_its_region():
    """All of the mouth tile's attribution comes back around the mouth."""
    points = face()
    source = regions.composite_map(points, 64)
    left, top, _, bottom = (round(64 * edge) for edge in regions.TILES["mouth"])
    values = np.zeros((64, 64))
    values[top + 12 : bottom - 12, left + 12 :] = 1.0
    back = regions.decompose(values, source, SHAPE)
    y, x = np.average(np.argwhere(back > 0), axis=0)
    mouth = points[list(anatomy.LANDMARK_GROUPS["mouth"])].mean(axis=0)
    assert np.hypot(x - mouth[0], y - mouth[1]) < 15


def test_shapes_that_do_not_fit_are_refused():
    """Landmarks of another scheme and a map of another size say so."""
    with pytest.raises(ValueError, match="landmarks has shape"):
        regions.label_map(np.zeros((5, 2)), SHAPE)
    with pytest.raises(ValueError, match="composite map"):
        regions.decompose(np.zeros((8, 8)), regions.composite_map(face(), 16), SHAPE)
