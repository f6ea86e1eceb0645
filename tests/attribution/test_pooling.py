"""Claims about `expresso_lib.pooling`."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from expresso_lib.attribution import pooling
from expresso_lib.faces import anatomy

N, C, T, H, W, R = 3, 2, 5, 7, 6, len(anatomy.REGIONS)


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(size=(N, C, T, H, W))


@pytest.fixture
def labels():
    return np.random.default_rng(1).integers(0, R, (N, T, H, W)).astype(np.uint8)


def test_pool_equals_masks_written_out(values, labels):
    """Every cell is the sum of its own pixels, by sign, after channels were summed."""
    mass = pooling.pool(values, labels)
    maps = values.sum(axis=1)
    for n, t, r in [(0, 0, 0), (2, 4, 7), (1, 3, 5)]:
        inside = maps[n, t][labels[n, t] == r]
        assert_allclose(mass.positive[n, t, r], inside[inside > 0].sum(), rtol=1e-12)
        assert_allclose(mass.negative[n, t, r], inside[inside < 0].sum(), rtol=1e-12)
        assert mass.area[n, t, r] == inside.size


def test_pool_loses_nothing(values, labels):
    """The sums over regions and frames are the clip's, so completeness survives pooling."""
    mass = pooling.pool(values, labels)
    assert_allclose(mass.signed.sum(axis=(1, 2)), values.sum(axis=(1, 2, 3, 4)), rtol=1e-9)
    assert (mass.area.sum(axis=2) == H * W).all()


@pytest.mark.parametrize(
    ("shape", "message"), [((N, T, W, H), "do not fit"), ((N, T, H), "do not fit")]
)
def test_pool_refuses_masks_of_other_clips(values, shape, message):
    """What came, what fits."""
    with pytest.raises(ValueError, match=message):
        pooling.pool(values, np.zeros(shape, int))
    with pytest.raises(ValueError, match="label 9"):
        pooling.pool(values, np.full((N, T, H, W), 9))


def test_enrichment_follows_its_formula():
    """R_k = log[(P_k / area_k + e) / (P_rest / area_rest + e)], worked by hand."""
    mass = np.array([1, 2, 3, 4, 5, 60.0, 7, 80])
    area = np.array([10, 10, 10, 10, 10, 20.0, 70, 100])
    e = pooling.PSEUDO * (82 / 140)
    expected = np.log((60 / 20 + e) / (7 / 70 + e))
    assert_allclose(pooling.enrichment(mass, area)[5], expected, rtol=1e-12)
    assert pooling.enrichment(mass, area)[pooling.REST] == 0


@given(scale=st.floats(1e-6, 1e6), sign=st.sampled_from([-1, 1]))
def test_enrichment_does_not_grow_with_the_prediction(scale, sign):
    """All attributions times any number: the enrichment stays, which raw sums do not."""
    mass = np.array([1, 2, 3, 4, 5, 60.0, 7, 80])
    area = np.arange(1, 9.0)
    assert_allclose(
        pooling.enrichment(sign * scale * mass, area),
        pooling.enrichment(mass, area),
        rtol=1e-6,
        atol=1e-12,  # some of them are log 1
    )


def test_enrichment_of_even_attribution_is_zero_whatever_the_areas():
    """A region is not enriched for being large."""
    area = np.array([5, 6, 7, 8, 9, 30.0, 100, 400])
    assert_allclose(pooling.enrichment(0.3 * area, area), 0, atol=1e-12)


def test_enrichment_of_nothing_is_not_a_number():
    """No mass of a sign, or no pixels of a region, has no enrichment; no mass in one has one."""
    area = np.array([5, 6, 7, 8, 0, 30.0, 100, 400])
    found = pooling.enrichment(np.array([0, 1, 1, 1, 0, 1, 9, 9.0]), area)
    assert np.isnan(found[4])
    assert -5 < found[0] < 0
    assert np.isnan(pooling.enrichment(np.zeros(R), area)).all()


def test_mirroring_the_face_swaps_left_and_right(values, labels):
    """Flip picture and labels: left and right regions change places, the others stay."""
    swap = [1, 0, 3, 2, 4, 5, 6, 7]
    flipped = np.array(swap, np.uint8)[labels[..., ::-1]]
    one, two = pooling.pool(values, labels), pooling.pool(values[..., ::-1], flipped)
    assert_allclose(one.positive[..., swap], two.positive, rtol=1e-9)


def test_region_table_has_a_row_per_clip_and_region(values, labels):
    """Clip-wise densities and enrichment, columns as the contract names them."""
    mass = pooling.pool(values, labels)
    table = pooling.region_table(mass)
    assert len(table) == N * R
    row = table[(table["clip"] == 1) & (table["region"] == "mouth")].iloc[0]
    assert_allclose(row["signed"], mass.signed[1, :, 5].sum(), rtol=1e-9)
    assert_allclose(row["density_positive"], row["positive"] / row["area"], rtol=1e-12)


def test_stitch_takes_the_mean_where_clips_overlap():
    """Frames seen twice are averaged; frames that no clip saw are not invented."""
    frames = np.array([[0, 1, 2], [2, 3, 4], [8, 9, 10]])
    values = np.array([[1, 2, 3], [5, 6, 7], [8, 9, 10.0]])
    number, mean, count = pooling.stitch(values, frames)
    assert number.tolist() == [0, 1, 2, 3, 4, 8, 9, 10]
    assert_allclose(mean, [1, 2, 4, 6, 7, 8, 9, 10])
    assert count.tolist() == [1, 1, 2, 1, 1, 1, 1, 1]
    maps = pooling.stitch(np.repeat(values[..., None], 4, axis=2), frames)[1]
    assert_allclose(maps[:, 3], mean)


def test_frame_table_sums_frames_over_regions(values, labels):
    """The series is the signed sum of each frame."""
    frames = np.arange(N * T).reshape(N, T) * 2
    table = pooling.frame_table(pooling.pool(values, labels), frames)
    assert_allclose(table["attribution"], values.sum(axis=(1, 3, 4)).ravel(), rtol=1e-9)
    assert_allclose(table["positive"] + table["negative"], table["attribution"], rtol=1e-9)
    assert table["frame"].tolist() == frames.ravel().tolist()


def test_top_frames_keep_their_distance():
    """The highest rows, not neighbours of one another; NaN is never chosen."""
    series = np.array([1, 9, 8, 7, np.nan, 6, 0, 5])
    assert pooling.top_frames(series, 3, apart=2).tolist() == [1, 3, 5]
    assert pooling.top_frames(-series, 2, apart=2).tolist() == [6, 0]


def test_onsets_need_quiet_before():
    """A flicker right after an event is not another event; quiet is in seconds, not rows."""
    series = np.array([0, 0, 0, 2, 0, 2, 2, 0, 0, 0, 0, 3])
    assert pooling.onsets(series, fps=12).tolist() == [3, 11]
    twice = np.repeat(series, 2)
    assert pooling.onsets(twice, fps=24).tolist() == [6, 22]


def test_locked_marks_what_lies_outside_the_recording():
    """Rows before the start are NaN."""
    cut = pooling.locked(np.arange(6.0), np.array([1, 4]), before=2, after=1)
    assert_allclose(cut, [[np.nan, 0, 1, 2], [2, 3, 4, 5]])


def test_event_average_finds_a_planted_rise():
    """Attribution that rises by 2 at every onset: found, with an interval over participants."""
    rng = np.random.default_rng(3)
    tables = []
    for person in range(10):
        au = np.zeros(200)
        for start in (40, 90, 150):
            au[start : start + 15] = 3
        attribution = 2 * (au > 0) + rng.normal(0, 0.3, 200)
        names = {"participant": f"P{person}", "recording": f"P{person}_R1"}
        table = pd.DataFrame({"time": np.arange(200) / 10, "AU12": au, "attribution": attribution})
        tables.append(table.assign(**names))
    found = pooling.event_averages(pd.concat(tables), ["AU12"], fps=10)["AU12"]
    after = found[(found["seconds"] > 0) & (found["seconds"] < 1)]
    assert (after["ci_low"] > 1).all()
    assert (after["ci_high"] < 3).all()
    assert found["n_events"].iloc[0] == 30
    assert pooling.event_averages(tables[0], ["AU12"], fps=10) == {}


@pytest.mark.parametrize(
    ("kept", "spacing", "events"),
    [
        (lambda row: row % 2 == 0, 2, 3),  # a clip's frames lie apart: each stands for two
        (lambda row: (row < 55) | (row > 59), 1, 2),  # nothing was explained a second after one
        (lambda row: row % 16 < 8, 1, 0),  # clips shorter than three seconds, none between
    ],
)
def test_event_averages_keep_time_where_clips_leave_frames_out(kept, spacing, events):
    """Seconds are the recording's; an event beside a gap is left out, not shortened."""
    row = np.arange(200)
    au = np.isin(row, [*range(40, 44), *range(90, 94), *range(150, 154)]) * 3.0
    table = pd.DataFrame({"time": row / 10, "AU12": au, "attribution": au})[kept(row)]
    people = [table.assign(participant=name, recording=name) for name in ("P1", "P2")]
    found = pooling.event_averages(pd.concat(people), ["AU12"], fps=10, spacing=spacing)
    assert [one["n_events"].iloc[0] for one in found.values()] == [2 * events] * bool(events)
    for one in found.values():
        assert_allclose(one["seconds"], np.arange(-10, 21) / 10)
        assert one.loc[one["estimate"] > 0, "seconds"].between(-0.05, 0.35).all()
