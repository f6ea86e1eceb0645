"""Claims about `expresso_lib.explanation`."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from expresso_lib import attribution, clips, models, store
from expresso_lib.attribution import cohorts, explanation, pooling
from expresso_lib.faces import anatomy, regions

FRAMES, T, SIZE = 21, 8, 32
CHANNELS = (("DeepLift", "own_neutral"), ("DeepLift", "blur"), ("InputXGradient", "zero"))


def _landmarks(count):
    """A plain face whose mouth opens and closes, on a SIZE px crop; (F, 68, 2)."""
    centre = {
        "jaw": (16, 20), "right_eyebrow": (10, 9), "left_eyebrow": (22, 9), "nose": (16, 15),
        "right_eye": (10, 12), "left_eye": (22, 12), "mouth": (16, 23),
    }  # fmt: skip
    rng = np.random.default_rng(3)
    face = np.zeros((68, 2))
    for name, points in anatomy.LANDMARK_GROUPS.items():
        angle = np.linspace(0, 2 * np.pi, len(points), endpoint=False)
        radius = 11 if name == "jaw" else 3
        face[list(points)] = np.array(centre[name]) + radius * np.c_[np.cos(angle), np.sin(angle)]
    track = np.repeat(face[None], count, axis=0) + rng.normal(0, 0.02, (count, 68, 2))
    track[:, list(anatomy.INNER_LIP), 1] += np.sin(np.arange(count))[:, None]
    return track.astype(np.float32)


@pytest.fixture
def archive():
    rng = np.random.default_rng(4)
    track = _landmarks(FRAMES)
    frames = rng.integers(0, 256, (FRAMES, SIZE, SIZE, 3), dtype=np.uint8)
    labels = regions.label_map(track, (SIZE, SIZE))
    identity = np.repeat(np.float32([[[1, 0, 0], [0, 1, 0]]]), FRAMES, axis=0)
    return clips.ClipArchive(frames, np.arange(FRAMES) * 2, track, identity, labels, 12.5)


@pytest.fixture
def composite(archive):
    maps = np.stack([regions.composite_map(one, SIZE) for one in archive.landmarks])
    frames = np.stack([regions.compose(f, m) for f, m in zip(archive.frames, maps)])
    labels = np.stack([regions.compose(r, m, labels=True) for r, m in zip(archive.regions, maps)])
    return clips.ClipArchive(
        frames, archive.source, archive.landmarks, archive.transform, labels, 12.5,
        "composite", maps,
    )  # fmt: skip


@pytest.fixture
def model():
    """Random weights, read out loudly: what they answer must stand above rounding."""
    network = models.build("small", frames=T, size=SIZE, seed=2)
    with torch.no_grad():
        network.head.weight.mul_(100)
    return network


@pytest.fixture
def rows():
    return clips.windows(FRAMES, T, step=6)


def test_explain_runs_every_channel_and_adds_up(archive, model, rows):
    """Regions, frames and stitched maps all sum to f(x) - f(x0), clip by clip."""
    found = explanation.explain(archive, model, rows, channels=CHANNELS)
    assert [(c.method, c.baseline) for c in found.channels] == list(CHANNELS)
    for channel in found.channels[:2]:
        total = channel.output - channel.output_baseline
        assert_allclose(channel.mass.signed.sum(axis=(1, 2)), total, rtol=1e-3, atol=1e-6)
        assert channel.complete.all()
    assert found.frames.tolist() == (rows * 2).tolist()


def test_own_neutral_channel_uses_this_recordings_frame(archive, model, rows):
    """The channel is what `attribute` says with that frame as its baseline."""
    found = explanation.explain(archive, model, rows, channels=[("DeepLift", "own_neutral")])
    inputs = torch.from_numpy(clips.stack(archive, rows))
    frame = explanation.calm_frames(archive)[0]
    neutral = archive.frames[attribution.neutral_frame(archive.landmarks)]
    assert_allclose(frame[:, 0].permute(1, 2, 0) * 255, neutral, rtol=1e-4)
    direct = attribution.attribute(model, inputs, "DeepLift", frame)
    mass = pooling.pool(direct.values.numpy(), archive.regions[rows])
    channel = found.channel("DeepLift", "own_neutral")
    assert_allclose(channel.mass.positive, mass.positive, rtol=1e-5, atol=1e-9)
    assert_allclose(channel.output_baseline, direct.output_baseline.numpy(), rtol=1e-6)


def test_maps_are_stitched_and_lost_where_no_clip_was(archive, model):
    """Overlapping clips are averaged; frames outside every clip are NaN."""
    rows = np.array([np.arange(T), np.arange(T) + 4])
    found = explanation.explain(archive, model, rows, channels=CHANNELS[:1])
    channel = found.channels[0]
    assert np.isnan(channel.map[T + 4 :]).all()
    assert_allclose(channel.map[0].sum(), channel.mass.signed[0, 0].sum(), rtol=1e-3, atol=1e-7)
    both = (channel.mass.signed[0, 5].sum() + channel.mass.signed[1, 1].sum()) / 2
    assert_allclose(channel.map[5].sum(), both, rtol=1e-3, atol=1e-7)


def test_save_and_load_keep_everything_but_the_maps_last_bits(archive, model, rows, tmp_path):
    """Tables come back exactly; a map is kept to 8 bits, NaN and zero stay."""
    before = explanation.explain(archive, model, rows, channels=CHANNELS)
    after = explanation.Explanation.load(before.save(tmp_path / "P01_R1.npz"))
    for one, two in zip(before.channels, after.channels):
        assert pooling.region_table(one.mass).equals(pooling.region_table(two.mass))
        assert all(np.array_equal(getattr(one, name), getattr(two, name))
                   for name in ("output", "output_baseline", "delta", "complete"))  # fmt: skip
        assert (np.isnan(one.map) == np.isnan(two.map)).all()
        limit = np.nanmax(np.abs(two.map))
        clipped = np.clip(one.map, -limit, limit)
        assert_allclose(two.map, clipped, atol=limit / 127)
    assert after.fps == before.fps


def test_shapley_sampling_speaks_of_regions(archive, rows):
    """A region that the network does not read is worth nothing, whatever lies in it."""

    class Below(torch.nn.Module):
        def forward(self, x):
            return x[..., SIZE // 2 :, :].mean(dim=(1, 2, 3, 4))

    asked = [("ShapleySampling", "zero")]
    [channel] = explanation.explain(archive, Below().eval(), rows[:1], channels=asked).channels
    worth = channel.mass.signed.sum(axis=(0, 1))
    assert worth[anatomy.REGIONS.index("mouth")] > 0.01
    assert abs(worth[anatomy.REGIONS.index("right_eyebrow")]) < 1e-6


def test_a_composite_is_explained_on_the_face(composite, model, rows):
    """Tiles are mapped back to the face with their sum: completeness is kept."""
    found = explanation.explain(composite, model, rows, channels=CHANNELS[:1])
    channel = found.channels[0]
    total = channel.output - channel.output_baseline
    assert_allclose(channel.mass.signed.sum(axis=(1, 2)), total, rtol=1e-3, atol=1e-6)
    face = regions.label_map(composite.landmarks, (SIZE, SIZE))
    assert_allclose(
        channel.mass.area[0], pooling.pool(np.zeros((1, 3, T, SIZE, SIZE)), face[rows[:1]]).area[0]
    )


def test_explain_item_is_a_piece_of_work(archive, model, tmp_path):
    """Archive and checkpoint in, one file out; tables name recording, recipe and clip."""
    source = archive.save(tmp_path / "clips" / "P01_R1.npz")
    checkpoint = models.save(tmp_path / "model.safetensors", model, {"recipe": "r"})
    item = explanation.item("P01_R1", source, checkpoint, length=T, step=6, channels=CHANNELS)
    for expected in (False, True):
        done = store.map(explanation.explain_item, [item], out=tmp_path / "explained")
        assert done[0].reused is expected
    by_region, by_frame = explanation.tables([("P01", "P01_R1", done[0].path)], recipe="r")
    keys = ["recipe", "participant", "recording", "method", "baseline"]
    assert list(by_region.columns[:5]) == list(by_frame.columns[:5]) == keys
    assert by_region["clip"].iloc[-1] == "P01_R1_00012"
    assert len(by_region) == len(CHANNELS) * 3 * len(anatomy.REGIONS)
    assert by_frame["frame"].max() == 38


def test_explain_says_what_is_missing(archive, model):
    """No clip fits; an unknown channel."""
    with pytest.raises(ValueError, match="shorter clips"):
        explanation.explain(archive, model, clips.windows(FRAMES, 40, step=6), channels=CHANNELS)
    found = explanation.explain(
        archive, model, clips.windows(FRAMES, T, step=20), channels=CHANNELS[:1]
    )
    with pytest.raises(ValueError, match="this explanation has DeepLift/own_neutral"):
        found.channel("DeepLift", "zero")


def test_randomised_networks_explain_first_recordings_only(archive, model, tmp_path):
    """One item per archive; networks with shuffled weights cost, so each person gets them once."""
    work = []

    def run(function, items, *, out, describe):
        work.extend(items)
        return store.map(function, items, out=tmp_path / out)

    checkpoint = models.save(tmp_path / "model.safetensors", model, {"recipe": "r"})
    for name in ("P1_R1", "P1_R2"):
        archive.save(tmp_path / f"{name}.npz")
    recordings = pd.DataFrame({"participant": "P1", "recording": ["P1_R2", "P1_R1", "P1_R9"]})
    study = SimpleNamespace(recordings=recordings, archives={"face": tmp_path}, step=0, dilation=1)
    by_region, by_frame = cohorts.explain(
        study, models.Recipe(frames=T), {"P1": checkpoint}, map=run, out="explained",
        channels=CHANNELS[:1], randomised=2,
    )  # fmt: skip
    assert [item.name for item in work] == ["P1_R1", "P1_R2"]
    seeds = [item.recipe["seed"] for item in work]
    assert abs(seeds[1] - seeds[0]) > 100  # no two people are held against the same networks
    count = by_frame.groupby(["recording", "model"]).ngroups
    assert count == 4
    assert set(by_region["model"]) == {"trained", "random_1", "random_2"}
    sums = explanation.completeness(by_region[by_region["model"] == "trained"])
    assert sums["complete"].tolist() == [1]
    # Without a step the windows cover the recording evenly, from the first frame to the last.
    assert by_frame["frame"].max() >= (FRAMES - 2) * 2


def test_parts_of_r_add_up_to_r() -> None:
    """Known answer: the mouth carries the score, the eyes are dense and say nothing of it."""
    rng = np.random.default_rng(0)
    score = rng.uniform(0, 40, 30)
    said = {"mouth": score / 4, "left_eye": rng.normal(0, 1, 30), "face_rest": np.full(30, 2.0)}
    rows = pd.concat(
        [
            pd.DataFrame(
                {
                    "participant": [f"P{i}" for i in range(30)],
                    "clip": "c",
                    "region": name,
                    "positive": np.maximum(values, 0),
                    "negative": np.minimum(values, 0),
                    "output_baseline": 7.0,
                    "output": 7.0 + sum(said.values()),
                }
            )
            for name, values in said.items()
        ]
    )
    people = pd.DataFrame({"participant": [f"P{i}" for i in range(30)], "score": score})
    parts = explanation.parts_of_r(rows, people).mean()
    r = np.corrcoef(7 + sum(said.values()), score)[0, 1]
    assert parts.sum() == pytest.approx(r)
    assert parts["f(x0)"] == parts["face_rest"] == 0
    assert parts["mouth"] > 0.9 > 0.2 > abs(parts["left_eye"])


def test_parts_of_r_add_up_for_a_method_that_does_not() -> None:
    """Saliency leaves most of f(x) - f(x0) over: that has a part of its own, and the sum is r."""
    rng = np.random.default_rng(0)
    score = rng.uniform(0, 40, 30)
    rows = pd.DataFrame(
        {
            "participant": [f"P{i}" for i in range(30)],
            "clip": "c",
            "region": "mouth",
            "positive": score / 100,
            "negative": 0.0,
            "output_baseline": 7.0,
            "output": score + rng.normal(0, 9, 30),
        }
    )
    people = rows[["participant"]].assign(score=score)
    parts = explanation.parts_of_r(rows, people).mean()
    assert parts.sum() == pytest.approx(np.corrcoef(rows["output"], score)[0, 1])
    assert parts["not explained"] > parts["mouth"]


def test_enrichment_is_by_participant_and_of_both_signs() -> None:
    """Known answer: eyes eight times as dense as the rest, half of it negative."""
    density = dict.fromkeys(anatomy.REGIONS, 1.0) | {"left_eye": 8.0}
    rows = pd.DataFrame(
        [
            {
                "participant": f"P{who}",
                "clip": clip,
                "region": name,
                "area": 10.0,
                "positive": 5 * value,
                "negative": -5 * value,
            }
            for who in "ab"
            for clip in range(3)
            for name, value in density.items()
        ]
    )
    dense = explanation.enrichment(rows)
    assert dense.index.tolist() == ["Pa", "Pb"]
    assert dense.columns.tolist() == list(anatomy.FEATURE_REGIONS)
    assert_allclose(dense["left_eye"], np.log(8), rtol=0.02)
    assert_allclose(dense.drop(columns="left_eye"), 0, atol=1e-9)
