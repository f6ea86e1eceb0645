"""The study on real faces, on takes whose answer is known by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from benchmarks.study import real
from expresso_lib import rendered
from expresso_lib.faces import regions

SIZE, FRAMES = 64, 12


class Brightness(nn.Module):
    """Seconds are what the mouth adds in brightness: linear, so every explanation is known."""

    def __init__(self, mask: np.ndarray) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * FRAMES * SIZE * SIZE, 1, bias=False)
        weight = np.broadcast_to(mask, (3, FRAMES, SIZE, SIZE)).astype(np.float32)
        self.layer.weight.data = torch.from_numpy(weight.reshape(1, -1).copy()) / mask.sum()

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.layer(clips.flatten(1)).squeeze(1)


@pytest.fixture(scope="module")
def takes():
    """Six takes of three people: the mouth lights up while they speak, nothing else changes."""
    face = rendered.average_face(SIZE)
    points = np.repeat(face.landmarks[None].astype(np.float32), FRAMES, axis=0)
    labels = regions.label_map(points, (SIZE, SIZE))
    parts = real.parts_of(labels, points)
    mouth = parts == real.NAMES.index("mouth")
    rng, found = np.random.default_rng(0), []
    for number in range(6):
        speech = np.zeros(FRAMES, bool)
        speech[3 : 6 + number] = True
        still = np.repeat(face.image[None].astype(np.float32) / 255 * 0.5, FRAMES, axis=0)
        still += 0.2 * (mouth & speech[:, None, None])[..., None]
        still += 0.01 * rng.standard_normal((1, SIZE, SIZE, 1)).astype(np.float32)
        pixels = torch.from_numpy(still.clip(0, 1)).permute(3, 0, 1, 2).contiguous()
        calm = real.Calm(pixels[:, :1], parts[0], points[0])
        posed = calm.pixels.expand_as(pixels)
        found.append(real.Take(f"p{number // 2}", f"r{number}", float(speech.sum()), pixels, parts,
                               points, speech, 3 / 12.5, 12.5, calm, posed))  # fmt: skip
    return found


def test_the_jaw_is_the_rest_of_the_face_below_the_nose(takes):
    """Jaw pixels lie lower than every pixel of the rest; each part is there."""
    parts = takes[0].parts[0]
    assert set(np.unique(parts)) == set(range(len(real.NAMES)))
    rows = {name: np.nonzero(parts == real.NAMES.index(name))[0] for name in ("jaw", "rest")}
    assert rows["rest"].max() <= rows["jaw"].min()


def test_a_part_put_in_leaves_the_others_alone(takes):
    """The neutral mouth takes the light away there, and changes nothing at the eyes."""
    one = takes[5]
    gap = (real.with_neutral(one, "mouth") - one.pixels).abs().amax(dim=0).numpy()
    mouth, eyes = (one.parts == real.NAMES.index(name) for name in ("mouth", "eyes"))
    assert np.median(gap[5][mouth[5]]) == pytest.approx(0.2, abs=0.05)
    assert gap[eyes].max() < 0.02


def test_a_linear_mouth_is_found_where_when_and_by_removal(takes):
    """All of it in the mouth, all of it while speaking, and the model loses what was said."""
    model = Brightness(takes[0].parts[0] == real.NAMES.index("mouth")).eval()
    found = [real.examine(model, one) for one in takes]
    tables = {name: pd.concat([one[name] for one in found], ignore_index=True)
              for name in found[0]}  # fmt: skip
    where = real.region_table(tables["parts"]).set_index(["channel", "part", "metric"])["estimate"]
    assert where["posed_neutral", "mouth and jaw", "share"] > 0.95
    assert where["posed_neutral", "mouth", "carries"] == pytest.approx(1, abs=0.05)
    when = real.time_table(tables["frames"]).set_index(["channel", "metric"])
    assert when.loc[("posed_neutral", "auroc_size"), "estimate"] == 1.0
    gone = real.removal_table(tables["removals"]).set_index(["channel", "kind", "metric"])
    # Not 1: the edges of what is put in are soft, those of the parts are not.
    assert gone.loc[("posed_neutral", "region", "fidelity"), "estimate"].iloc[0] > 0.9
    onset = real.onset_table(tables["frames"])
    own = onset[onset["channel"] == "posed_neutral"].set_index("seconds")["estimate"]
    assert own[0.0] > 1 > own[-0.16]


def test_scores_within_and_between_speakers_are_told_apart():
    """A model that knows the speaker only: between is 1, within is nothing."""
    table = pd.DataFrame({"participant": list("aabbcc"), "clip": list("uvwxyz"),
                          "score": [1.0, 1.2, 2.0, 2.2, 3.0, 3.2], "null": 2.1, "motion": 2.2,
                          "prediction": [1.1, 1.1, 2.1, 2.1, 3.1, 3.1]})  # fmt: skip
    found = real.score_table(table).set_index("metric")["estimate"]
    assert found["r_between"] == pytest.approx(1)
    assert np.isnan(found["r_within"])
    assert found["mae_gain"] == pytest.approx(0.7 - 0.1, abs=0.05)
    assert found["over_motion"] == pytest.approx(np.mean([1.2, 1.0, 0.2, 0, 0.8, 1.0]) - 0.1)
    assert "r_of_one" not in found  # within a speaker nothing varies
    own = table.assign(prediction=[1.0, 1.2, 2.2, 2.0, 3.0, 3.2])
    each = real.score_table(own).query("metric == 'r_of_one'")["estimate"]
    assert each.tolist() == pytest.approx([-1, 1, 1])


def test_what_needs_no_network_knows_where_the_mouth_moves(takes):
    """A mouth that lights up and goes dark counts, whatever else the picture holds."""
    moved = real.mouth_motion(takes)
    still = [replace(one, pixels=one.pixels[:, :1].expand_as(one.pixels)) for one in takes]
    assert moved.shape == (len(takes), 1)
    assert moved.min() > 0.01
    assert real.mouth_motion(still).max() == 0


def test_an_interval_over_speakers_needs_ten_and_covers():
    """Nine speakers have none; of ten it holds the truth as often as it says (percentiles: .90)."""
    rng = np.random.default_rng(0)
    hits, names = [], np.repeat([f"s{k}" for k in range(10)], 2)
    for _ in range(300):
        own = np.repeat(rng.normal(size=10), 2)
        gain = pd.DataFrame(
            {"participant": names, "score": 0.0, "prediction": own, "null": 0.0, "motion": own}
        )
        gain["clip"] = range(20)
        # Mean error of a half-normal, mean gain over an errorless null: the negative of it.
        row = real.score_table(gain).set_index("metric").loc["mae_gain"]
        hits.append(row["ci_low"] <= -np.sqrt(2 / np.pi) <= row["ci_high"])
    assert np.mean(hits) > 0.92
    nine = real.score_table(gain[gain["participant"] != "s0"]).set_index("metric")
    assert nine[["ci_low", "ci_high"]].isna().all(axis=None)
    assert nine["speakers"].eq(9).all()


def test_a_speaker_without_a_number_is_left_out_and_counted_out():
    """No correlation is not a correlation of 0."""
    rows = [{"participant": f"s{k}", "clip": f"r{k}", "channel": "zero", "kind": "region",
             "part": str(part), "third": -1, "said": 0.0 if k == 0 else part, "effect": part}
            for k in range(11) for part in range(4)]  # fmt: skip
    found = real.removal_table(pd.DataFrame(rows)).set_index("metric").loc["fidelity"]
    assert found["estimate"] == pytest.approx(1)
    assert found["speakers"] == 10
