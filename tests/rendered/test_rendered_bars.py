"""Bars of the rendered cohort that need no outside weights, with the cases that must fail them."""

import time

import cv2
import numpy as np
import pytest

from expresso_lib import manifest, rendered
from expresso_lib.faces import anatomy, video
from expresso_lib.faces import truth as truths
from expresso_lib.rendered import geometry

pytestmark = pytest.mark.slow
FRAMES = 6  # per recording and bar


@pytest.fixture(scope="module")
def pictures():
    """24 identities, all skin tones, six frames each at 224 px: list of (tone, frames)."""
    plan = rendered.plan_cohort(24, 1, 3.0, seed=5)
    out = []
    for name, tone in zip(plan.recordings.recording, plan.participants.tone):
        script = plan.script(name)
        picked = np.linspace(0, script.n_frames - 1, FRAMES).astype(int)
        out.append((tone, list(rendered.render(script, size=224, frames=picked))))
    return out


def test_haar_cascade_finds_the_faces(pictures):
    """OpenCV's detector finds at least 95 % of frames and 80 % of every recording's six."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    found = np.array(
        [
            [
                len(
                    cascade.detectMultiScale(
                        cv2.cvtColor(f.image, cv2.COLOR_RGB2GRAY), 1.1, 3, minSize=(60, 60)
                    )
                )
                > 0
                for f in frames
            ]
            for _, frames in pictures
        ]
    )
    assert found.mean() >= 0.95
    # Six frames a recording: one may be missed (.83), where the bar on whole clips is .88.
    assert found.mean(axis=1).min() >= 0.8


def aligned(image, landmarks, size=112):
    """The face turned upright and scaled to the usual five points of a 112 px crop."""
    goal = np.float32([[38.3, 51.7], [73.5, 51.5], [56, 71.7], [41.5, 92.4], [70.7, 92.2]])
    have = np.float32(
        [
            landmarks[36:42].mean(0),
            landmarks[42:48].mean(0),
            landmarks[30],
            landmarks[48],
            landmarks[54],
        ]
    )
    matrix, _ = cv2.estimateAffinePartial2D(have, goal, method=cv2.LMEDS)
    return cv2.warpAffine(image, matrix, (size, size))


def flat_share(crop):
    """Share of pixels without a gradient (Sobel below .03 of full scale)."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return float(
        (
            np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) < 0.03
        ).mean()
    )


def cartoon(landmarks):
    """A flat oval with a drawn brow, eye, nose and mouth at the same landmarks."""
    image = np.full((224, 224, 3), (190, 200, 210), np.uint8)
    cv2.fillConvexPoly(
        image,
        cv2.convexHull(
            np.round(
                np.vstack([landmarks, landmarks[:17] * (1, -1) + (0, 2 * landmarks[0, 1])])
            ).astype(np.int32)
        ),
        (220, 180, 150),
    )
    for name, group in anatomy.LANDMARK_GROUPS.items():
        if name != "jaw":
            cv2.polylines(
                image,
                [np.round(landmarks[list(group)]).astype(np.int32)],
                "eye" in name and "brow" not in name,
                (60, 40, 30),
                2,
                cv2.LINE_AA,
            )
    return image


def test_faces_are_no_cartoons_and_a_cartoon_fails(pictures):
    """The median share of flat area is at most .25 (photographs .11); a drawn oval fails it."""
    faces = [flat_share(aligned(f.image, f.landmarks)) for _, frames in pictures for f in frames]
    drawn = [
        flat_share(aligned(cartoon(f.landmarks), f.landmarks))
        for _, frames in pictures
        for f in frames[:1]
    ]
    assert np.median(faces) <= 0.25
    assert np.median(drawn) > 0.5


def test_skin_tones_are_rendered_equally_well(pictures):
    """Texture (share of structured area) differs between tones by less than a quarter."""
    by_tone = [
        np.mean(
            [
                1 - flat_share(aligned(f.image, f.landmarks))
                for tone, frames in pictures
                if tone == t
                for f in frames
            ]
        )
        for t in range(6)
    ]
    assert max(by_tone) / min(by_tone) <= 1.25


def tracked_error(frames, truth):
    """Median error of optical flow from the first frame's truth, in outer-eye distances."""
    grey = [cv2.cvtColor(f.image, cv2.COLOR_RGB2GRAY) for f in frames]
    points = frames[0].landmarks[list(anatomy.INNER_POINTS)].reshape(-1, 1, 2)
    errors = []
    for k in range(1, len(frames)):
        points, status, _ = cv2.calcOpticalFlowPyrLK(
            grey[k - 1], grey[k], points, None, winSize=(15, 15), maxLevel=3
        )
        distance = np.linalg.norm(points[:, 0] - truth[k][list(anatomy.INNER_POINTS)], axis=1)
        unit = np.linalg.norm(truth[k][45] - truth[k][36])
        errors.append(np.median(distance[status[:, 0] == 1]) / unit)
    return float(np.median(errors))


def test_pixels_move_with_the_landmarks_and_wrong_truth_fails():
    """Optical flow follows the truth within .035; truth shifted by 3 px or shuffled does not."""
    plan = rendered.plan_cohort(8, 1, 1.0, seed=6)
    good, shifted, shuffled = [], [], []
    for name in plan.recordings.recording:
        frames = list(rendered.render(plan.script(name), size=224, frames=range(0, 16)))
        truth = [f.landmarks for f in frames]
        order = np.random.default_rng(0).permutation(68)
        good.append(tracked_error(frames, truth))
        shifted.append(tracked_error(frames, [t + np.float32((3, 0)) for t in truth]))
        shuffled.append(tracked_error(frames, [t[order] for t in truth]))
    assert np.mean(good) <= 0.02
    assert np.mean(shifted) > 0.035
    assert np.mean(shuffled) > 0.035


def test_no_look_alikes():
    """No two of 24 people share their proportions: at least 1.2 mm apart per inner landmark."""
    people = rendered.plan_cohort(24, 1, 0.1).participants
    shapes = [
        geometry.draw_identity(p.identity_seed, sex=p.sex, age=p.age, tone=p.tone).landmarks
        for p in people.itertuples()
    ]
    shapes = np.array(shapes)[:, list(anatomy.INNER_POINTS)]
    apart = np.linalg.norm(shapes[:, None] - shapes[None], axis=3).mean(axis=2)
    assert apart[~np.eye(24, dtype=bool)].min() > 1.2


@pytest.mark.parametrize(("size", "bar"), [(224, 20), (112, 40)])
def test_rendering_is_fast_enough(size, bar):
    """Frames per second of one core's own time, after the identity is painted."""
    script = rendered.plan_cohort(1, 1, 4.0).script("P01_R1")
    next(rendered.render(script, size=size, frames=[0]))
    start = time.process_time()
    done = sum(1 for _ in rendered.render(script, size=size, frames=range(40)))
    assert done / (time.process_time() - start) >= bar


def test_shipped_cohort_is_what_the_code_renders():
    """The ready-made cohort is the default plan: tables, truth and pictures, but for encoding."""
    folder = manifest.locate("demo_cohort")
    plan = rendered.plan_cohort()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 30e6
    for name, f in (("P01_R1", 120), ("P42_R2", 33), ("P84_R2", 249)):
        frame = next(rendered.render(plan.script(name), size=160, frames=[f]))
        truth = truths.read(folder / f"{name}.npz")
        # Stored in sixteenths of a pixel and fiftieths of an intensity.
        np.testing.assert_allclose(truth.landmarks[f], frame.landmarks, atol=1 / 32 + 1e-3)
        np.testing.assert_allclose(truth.au, plan.script(name).au, atol=0.0101)
        shown = video.read_array(folder / f"{name}.mp4", [f])[0].astype(int)
        assert np.abs(shown - frame.image).mean() < 4
    assert (folder / "participants.csv").read_text() == plan.participants.to_csv(index=False)
