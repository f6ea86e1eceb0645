"""The rendered cohort: exact truth, one table for pixels and landmarks, factors taken out alone."""

import hashlib
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expresso_lib import rendered
from expresso_lib.faces import anatomy, video
from expresso_lib.faces import truth as truths
from expresso_lib.rendered import (
    action_units,
    camera,
    cohort,
    dynamics,
    features,
    geometry,
    planting,
)

A = len(anatomy.AU_CODES)


def still(seed=11, **intensities):
    """A one-frame script of a frontal face with the given intensities."""
    au = np.zeros((1, A), np.float32)
    for code, value in intensities.items():
        au[0, anatomy.AU_CODES.index(code)] = value
    zero = np.zeros((1, 3), np.float32)
    return rendered.Script(
        "still", geometry.draw_identity(seed), 25.0, au, zero[:, :2], zero, zero[:, :2], seed=5
    )


def first(script, size=160):
    return next(rendered.render(script, size=size, frames=[0]))


def landmarks_of(script, size=160):
    return first(script, size).landmarks


def changed_pixels(one, other):
    """Where two scripts show different pixels, by more than rounding."""
    a, b = (first(script, 112).image.astype(int) for script in (one, other))
    return np.abs(a - b).max(axis=2) >= 2


@pytest.fixture(scope="module")
def plan():
    return rendered.plan_cohort(5, 2, 1.2, 25.0, seed=3)


def test_render_gives_frames_landmarks_and_regions(plan):
    """A frame is RGB, its truth lies in the picture, and the regions cover it."""
    frame = next(rendered.render(plan.script("P02_R1"), size=112, frames=[7]))
    assert frame.image.shape == (112, 112, 3)
    assert frame.image.dtype == np.uint8
    assert frame.landmarks.shape == (68, 2)
    assert frame.regions.shape == (112, 112)
    assert ((frame.landmarks > 0) & (frame.landmarks < 111)).all()
    assert set(np.unique(frame.regions)) == set(range(len(anatomy.REGIONS)))


def test_render_is_a_function_of_script_size_and_frame():
    """The same frame has the same bytes, alone and first or among others and cached."""
    plan = rendered.plan_cohort(1, 2, 0.4, seed=91)  # nobody that another test has painted
    alone = next(rendered.render(plan.script("P01_R2"), size=96, frames=[4])).image
    script = plan.script("P01_R2")
    together = [frame.image for frame in rendered.render(script, size=96, frames=[3, 4, 5])]
    assert hashlib.sha256(alone).digest() == hashlib.sha256(together[1]).digest()
    assert (together[0] != together[1]).any()


@pytest.mark.parametrize(
    ("size", "frames", "words"), [(20, [0], "48 to 512"), (96, [30], "frames 0 to 29")]
)
def test_render_refuses_what_does_not_fit(plan, size, frames, words):
    """Wrong sizes and frame numbers are named."""
    with pytest.raises(ValueError, match=words):
        list(rendered.render(plan.script("P01_R1"), size=size, frames=frames))


def test_displacements_mirror():
    """The table is symmetric: mirrored, left and right swap."""
    table = action_units.displacements(geometry.average_identity())[:, :68]
    np.testing.assert_allclose(table[:, anatomy.MIRROR] * (-1, 1, 1), table, atol=1e-9)


def test_mean_landmarks_mirror():
    """The mean face is its own mirror image."""
    points = geometry.mean_landmarks()
    np.testing.assert_allclose(points[anatomy.MIRROR] * (-1, 1), points)


def test_mirrored_face_swaps_left_and_right():
    """A symmetric face that turns the other way shows the mirrored landmarks."""
    base = replace(still(AU12=3.0), identity=geometry.average_identity())
    right = replace(base, pose=np.array([[12.0, 3, 4]], np.float32))
    left = replace(base, pose=np.array([[-12.0, 3, -4]], np.float32))
    mirrored = landmarks_of(left)[anatomy.MIRROR] * (-1, 1) + (159, 0)
    np.testing.assert_allclose(landmarks_of(right), mirrored, atol=0.05)


def test_neutral_is_au_zero():
    """With every unit at 0 the landmarks are the identity's own, seen from the front."""
    script = still(21)
    points = landmarks_of(script, 302)
    own = script.identity.landmarks
    unit = np.linalg.norm(points[45] - points[36]) / np.linalg.norm(own[45] - own[36])
    assert abs(unit - 1) < 0.05
    shape = (points - points.mean(axis=0)) / unit
    assert np.abs(shape - (own - own.mean(axis=0)))[anatomy.INNER_POINTS, :].max() < 2.5


@pytest.mark.parametrize("code", anatomy.AU_CODES)
def test_intensity_is_monotone_in_displacement(code):
    """More of a unit moves its landmarks further, in proportion until lips or lids meet."""
    rest = landmarks_of(still(13))
    moved = [
        np.linalg.norm(landmarks_of(still(13, **{code: level})) - rest, axis=1).max()
        for level in (1.0, 2.5, 5.0)
    ]
    assert 0 < moved[0] < moved[1] < moved[2]
    assert moved[2] > 0.5


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0, 5), min_size=A, max_size=A),
    st.integers(0, 40),
    st.floats(-18, 18),
    st.floats(-10, 10),
)
def test_lips_and_lids_never_cross_and_landmarks_stay_inside(levels, seed, yaw, pitch):
    """Whatever the muscles do together, upper stays above lower and the face holds its points."""
    script = replace(still(seed), au=np.array([levels], np.float32))
    points = features.part(
        script.identity.landmarks @ np.eye(2, 3)
        + np.tensordot(
            script.au[0] / 5, action_units.displacements(script.identity)[:, :68], axes=1
        )
    )
    for upper, lower in features._UPPER_LIDS + features._INNER_LIPS:
        assert points[lower, 1] > points[upper, 1]
    turned = replace(script, pose=np.array([[yaw, pitch, 0]], np.float32))
    shown = first(turned, 112)
    at = np.round(shown.landmarks[list(anatomy.INNER_POINTS)]).astype(int).clip(0, 111)
    # Within a pixel: at the far silhouette a brow's end may round to the pixel beside the face.
    face = (shown.regions != anatomy.REGIONS.index("background")).astype(np.uint8)
    assert cv2.dilate(face, np.ones((3, 3), np.uint8))[at[:, 1], at[:, 0]].all()


def test_regions_hold_their_landmarks(plan):
    """Each feature's landmarks lie in its region; sides are the participant's own."""
    frame = next(rendered.render(plan.script("P04_R1"), size=224, frames=[12]))
    for name in ("right_eye", "left_eye", "right_eyebrow", "left_eyebrow", "mouth", "nose"):
        at = np.round(frame.landmarks[list(anatomy.LANDMARK_GROUPS[name])]).astype(int)
        inside = frame.regions[at[:, 1], at[:, 0]] == anatomy.REGIONS.index(name)
        assert inside.mean() >= 0.75, name
    assert frame.landmarks[36, 0] < frame.landmarks[45, 0]


def test_invert_undoes_the_forward_map():
    """Where the canvas is seen, the backward look-up of the forward map is the identity."""
    x, y = geometry.canvas_axes(0.25)
    nodes = np.dstack([*np.meshgrid(x, y), -((np.meshgrid(x, y)[0] / 12) ** 2)])
    forward = camera.project(nodes, np.array([15.0, -6, 5]), np.zeros(2), 96).astype(np.float32)
    back = camera.invert(forward, 96)
    seen = back[30:66, 30:66]
    there = cv2.remap(forward, seen[..., 0], seen[..., 1], cv2.INTER_LINEAR)
    grid = np.stack(np.meshgrid(np.arange(30, 66), np.arange(30, 66)), axis=-1)
    assert np.abs(there - grid).max() < 0.3


@pytest.mark.parametrize("yaw", [-20, 20])
def test_turned_heads_do_not_fold(yaw):
    """Up to the cap of 20 degrees what is left of something on the head stays left of it."""
    turned = replace(still(19), pose=np.array([[yaw, 0, 0]], np.float32))
    points = landmarks_of(turned, 96)
    for row in (range(17, 27), range(31, 36), range(48, 55), (36, 39, 42, 45)):
        assert (np.diff(points[list(row), 0]) > 0).all()


@pytest.mark.parametrize("factor", [*anatomy.FACTORS, "AU12", "headset"])
def test_without_changes_one_factor_only(plan, factor):
    """Everything but the factor stays as it was, the noise included."""
    script = replace(plan.script("P01_R1"), headset=True)
    other = rendered.without(script, factor)
    codes = anatomy.FACTORS.get(factor, (factor,))
    for a, code in enumerate(anatomy.AU_CODES):
        same = np.array_equal(script.au[:, a], other.au[:, a])
        assert same or code in codes
        assert not (code in codes and other.au[:, a].any())
    assert np.array_equal(script.pose, other.pose) == (factor != "head_motion")
    assert other.headset == (factor != "headset")
    assert other.seed == script.seed


def test_without_keeps_the_level_of_a_frame(plan):
    """The factor can be held at its state in one frame, or at given intensities."""
    script = plan.script("P01_R1")
    held = rendered.without(script, "speech_mouth", level=4)
    a = anatomy.AU_CODES.index("AU25")
    assert (held.au[:, a] == script.au[4, a]).all()
    given_ = rendered.without(script, "AU25", level={"AU25": 1.5})
    assert (given_.au[:, a] == 1.5).all()
    assert (rendered.without(script, "head_motion", level=2).pose == script.pose[2]).all()


def test_without_refuses_an_unknown_factor(plan):
    """The message lists what there is."""
    with pytest.raises(ValueError, match="use one of brows"):
        rendered.without(plan.script("P01_R1"), "ears")
    with pytest.raises(ValueError, match="level frame 99"):
        rendered.without(plan.script("P01_R1"), "smile", level=99)


def test_changed_pixels_lie_where_the_factor_acts():
    """Taking a smile out changes the mouth, and brows, eyes and background much less."""
    script = still(17, AU12=4.0)
    changed = changed_pixels(script, rendered.without(script, "smile"))
    regions = first(script, 112).regions
    share = {name: changed[regions == i].mean() for i, name in enumerate(anatomy.REGIONS)}
    assert share["mouth"] > 0.8
    # Cheeks rise with the lips: skin up to the brows follows by fractions of a pixel.
    assert max(share["right_eyebrow"], share["left_eyebrow"], share["left_eye"]) < 0.3
    assert share["background"] < 0.08
    assert not changed_pixels(script, script).any()


def test_headset_is_seen_at_the_ears_only():
    """The headset changes the sides of the head and leaves the features alone."""
    script = replace(still(17), headset=True)
    changed = changed_pixels(script, rendered.without(script, "headset"))
    regions = first(script, 112).regions
    assert changed.mean() > 0.02
    for name in ("mouth", "nose", "left_eye"):
        assert changed[regions == anatomy.REGIONS.index(name)].mean() < 0.02


def test_plan_stratifies_scores_over_bands():
    """Every band has its share, scores lie in their band, identities do not repeat."""
    people = rendered.plan_cohort(24, 3, 10).participants
    assert people.band.value_counts().tolist() == [6, 6, 6, 6]
    for name, (low, high) in rendered.cohort.BANDS.items():
        assert people[people.band == name].score.between(low, high).all()
    assert people.identity_seed.is_unique
    assert set(people.tone) == set(range(6))
    assert set(people.sex) == {"female", "male"}


def test_plan_is_deterministic_and_seeded(plan):
    """One seed, one cohort; another seed, another."""
    again = rendered.plan_cohort(5, 2, 1.2, 25.0, seed=3)
    np.testing.assert_array_equal(plan.script("P05_R2").au, again.script("P05_R2").au)
    other = rendered.plan_cohort(5, 2, 1.2, 25.0, seed=4)
    assert (plan.script("P05_R2").au != other.script("P05_R2").au).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"participants": 0}, "participants"),
        ({"fps": 0.5}, "frames/s"),
        ({"variant": "happy"}, "null"),
        ({"variant": "au:3"}, "au:<1"),
        ({"variant": "region:hair"}, "mouth"),
    ],
)
def test_plan_refuses_what_does_not_fit(arguments, words):
    """Wrong numbers and variants are named with what fits."""
    with pytest.raises(ValueError, match=words):
        rendered.plan_cohort(**arguments)


def test_plan_names_an_unknown_recording(plan):
    """The error says which recordings there are."""
    with pytest.raises(ValueError, match="P01_R1 to P05_R2"):
        plan.script("P09_R1")


@pytest.mark.parametrize(
    ("variant", "regions"),
    [
        ("region:mouth", {"mouth"}),
        ("region:nose", {"nose"}),
        ("region:left_eyebrow", {"right_eyebrow+left_eyebrow"}),
        ("au:4", {"right_eyebrow+left_eyebrow"}),
        ("null", set()),
    ],
)
def test_variant_plants_where_it_says(variant, regions):
    """The truth table lists signal in the named place and nowhere else."""
    planted = rendered.plan_cohort(4, 1, 1, variant=variant).planted
    assert set(planted[planted.carries_signal].region) == regions


def test_headset_variant_follows_severity():
    """Headsets are worn more often at high scores, and only in their variant."""
    plan = rendered.plan_cohort(80, 3, 0.2, variant="headset")
    table = plan.recordings.merge(plan.participants, on="participant")
    assert table[table.score > 28].headset.mean() > table[table.score < 14].headset.mean() + 0.3
    assert not rendered.plan_cohort(8, 3, 0.2).recordings.headset.any()


def test_variants_share_every_other_random_number():
    """The null cohort differs from the default one by what is planted, not by who is in it."""
    default, null = (rendered.plan_cohort(3, 1, 1, variant=v) for v in ("default", "null"))
    assert default.participants.equals(null.participants)
    np.testing.assert_array_equal(
        default.script("P01_R1").identity.landmarks, null.script("P01_R1").identity.landmarks
    )


def test_half_of_the_signal_is_tempo():
    """At least half of the planted log change is timing that leaves single frames alone."""
    planted = planting.truth(planting.variant("default")).drop_duplicates("behaviour")
    weight = planted.groupby("kind").weight.sum()
    assert weight["tempo"] > 0.5 * weight.sum()


def test_tempo_leaves_the_frames_alone():
    """Smiles at half the tempo have the same histogram; only their speed differs."""
    fast = dynamics.Behaviour(smile_rate=2.4, smile_rise=0.4)
    slow = replace(fast, smile_rate=1.2, smile_rise=0.8)
    a = anatomy.AU_CODES.index("AU12")
    one, two = (dynamics.perform(b, 20_000, 25.0, (1,)).au[:, a] for b in (fast, slow))
    np.testing.assert_allclose(
        np.quantile(one, [0.25, 0.5, 0.75]), np.quantile(two, [0.25, 0.5, 0.75]), atol=0.35
    )
    assert 1.7 < np.abs(np.diff(one)).mean() / np.abs(np.diff(two)).mean() < 2.3


def test_perform_stays_in_range(plan):
    """Intensities lie in 0 to 5, yaw within the renderer's cap, and blinks close the eye."""
    script = plan.script("P02_R2")
    assert script.au.min() >= 0
    assert script.au.max() <= 5
    assert np.abs(script.pose[:, 0]).max() <= camera.MAX_YAW
    assert script.au.dtype == np.float32


def test_average_face_is_symmetric_and_neutral():
    """The stand-in for faces that may not be shown faces the camera."""
    frame = rendered.average_face(120)
    mirrored = frame.landmarks[anatomy.MIRROR] * (-1, 1) + (119, 0)
    np.testing.assert_allclose(mirrored, frame.landmarks, atol=0.1)


def test_write_cohort_writes_layout_and_resumes(tmp_path):
    """Tables, videos, truth and hashes; a second call renders nothing, a lost video returns."""
    plan = rendered.plan_cohort(2, 1, 0.24, 25.0, seed=2)
    rendered.write_cohort(tmp_path, plan, size=64)
    names = {path.name for path in tmp_path.iterdir()}
    assert {
        "participants.csv",
        "recordings.csv",
        "planted.csv",
        "files.json",
        "P01_R1.mp4",
        "P01_R1.npz",
    } <= names
    before = (tmp_path / "P01_R1.npz").stat().st_mtime_ns
    (tmp_path / "P02_R1.mp4").unlink()
    rendered.write_cohort(tmp_path, plan, size=64)
    assert (tmp_path / "P01_R1.npz").stat().st_mtime_ns == before
    assert (tmp_path / "P02_R1.mp4").exists()
    again = rendered.read_plan(tmp_path).script("P01_R1")
    np.testing.assert_array_equal(again.au, plan.script("P01_R1").au)
    listed = json.loads((tmp_path / "files.json").read_text())
    for name, (size, digest) in listed.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
        assert (tmp_path / name).stat().st_size == size
    frames = list(rendered.render(plan.script("P01_R1"), size=64))
    truth, script = truths.read(tmp_path / "P01_R1.npz"), plan.script("P01_R1")
    np.testing.assert_allclose(truth.landmarks, [f.landmarks for f in frames], atol=1 / 32 + 1e-4)
    np.testing.assert_allclose(truth.au, script.au, atol=0.0101)
    np.testing.assert_allclose(truth.pose, script.pose, atol=0.0051)
    np.testing.assert_allclose(truth.gaze, script.gaze, atol=0.0051)
    assert truth.fps == 25.0
    decoded = video.read_array(tmp_path / "P01_R1.mp4", list(range(6)))
    assert np.abs(decoded.astype(int) - [f.image for f in frames]).mean() < 6


def test_read_truth_refuses_other_archives(tmp_path):
    """An archive without the truth's arrays is named, with what is missing."""
    np.savez(tmp_path / "other.npz", au=np.zeros((3, 17)))
    with pytest.raises(ValueError, match="no landmarks, pose, gaze"):
        truths.read(tmp_path / "other.npz")


def test_tasks_take_turns_and_reading_is_speech_without_pauses():
    """Every second recording is free speech; who reads aloud talks more and smiles less."""
    plan = rendered.plan_cohort(3, 2, 1.0)
    assert plan.recordings.task.tolist() == ["reading", "freeform"] * 3
    default, seeds = planting.variant("default"), ((1,), (2,))
    reading, free = (planting.behave(default, 0.5, *seeds, task) for task in planting.TASKS)
    assert reading.speech_share > 1.3 * free.speech_share
    assert reading.smile_size < 0.8 * free.smile_size
    assert reading.syllables == free.syllables


def test_amount_variant_plants_no_tempo():
    """Amounts carry twice their usual change, tempo none."""
    weights = {
        name: planting.truth(planting.variant(name)).groupby("kind").weight.sum()
        for name in ("default", "amount")
    }
    assert weights["amount"]["tempo"] == pytest.approx(0, abs=1e-9)
    assert weights["amount"]["amount"] == pytest.approx(2 * weights["default"]["amount"])


def test_a_cohort_of_another_size_is_rendered_anew(tmp_path):
    """P01 of three people is another person than P01 of two: nobody gets another's face."""
    for count in (2, 3):
        plan = rendered.plan_cohort(count, 1, 0.24, 25.0, seed=2)
        rendered.write_cohort(tmp_path / "same", plan, size=64)
    rendered.write_cohort(tmp_path / "fresh", plan, size=64)
    for name in plan.recordings["recording"]:
        one, two = (np.load(tmp_path / place / f"{name}.npz") for place in ("same", "fresh"))
        np.testing.assert_array_equal(one["landmarks"], two["landmarks"])


def test_a_smaller_cohort_lists_its_own_files_only(tmp_path):
    """What an earlier, larger one left in the folder is no part of it."""
    for count in (2, 1):
        rendered.write_cohort(tmp_path, rendered.plan_cohort(count, 1, 0.24, 25.0), size=64)
    listed = json.loads((tmp_path / "files.json").read_text())
    assert {name.split(".")[0] for name in listed} == {
        "P01_R1", "participants", "recordings", "planted", "plan"}  # fmt: skip


def test_write_cohort_overwrites_nobodys_tables(tmp_path):
    """Somebody's own folder, typed by mistake."""
    (tmp_path / "participants.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"participants\.csv of other data"):
        rendered.write_cohort(tmp_path, rendered.plan_cohort(1, 1, 0.24), size=64)
    assert (tmp_path / "participants.csv").read_text() == "mine"


def test_another_cohort_that_is_killed_leaves_no_tables_of_the_first(tmp_path, monkeypatch):
    """Its videos replace the first's, whose scores must not stand beside them."""
    rendered.write_cohort(tmp_path, rendered.plan_cohort(1, 1, 0.24, 25.0), size=64)

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cohort.store, "map", killed)
    for seed, left in ((0, True), (1, False)):
        plan = rendered.plan_cohort(1, 1, 0.24, 25.0, seed=seed)
        with pytest.raises(KeyboardInterrupt):
            rendered.write_cohort(tmp_path, plan, size=64)
        assert (tmp_path / "participants.csv").is_file() == left


@pytest.mark.parametrize("seconds", [float("inf"), float("nan"), 0.01, 3601.0])
def test_plan_cohort_refuses_a_length_that_is_none(seconds):
    """One sentence, and no overflow."""
    with pytest.raises(ValueError, match="one frame to 3600 s"):
        rendered.plan_cohort(1, 1, seconds, 25.0)


def test_write_cohort_refuses_an_odd_size(tmp_path):
    """H.264 needs even sides."""
    with pytest.raises(ValueError, match="odd"):
        rendered.write_cohort(tmp_path, rendered.plan_cohort(1, 1, 0.2), size=65)
