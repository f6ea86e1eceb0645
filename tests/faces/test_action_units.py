"""Action units by frame number; lost frames are NaN; proxies say that they are proxies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from expresso_lib import rendered
from expresso_lib.faces import action_units, anatomy, tables, truth

INTENSITY = [f"{code}_r" for code in anatomy.AU_CODES]
PRESENCE = [f"{code}_c" for code in anatomy.AU_CODES] + ["AU28_c"]


def openface(
    path: Path, frames: list[int], *, space: str = " ", lost: tuple[int, ...] = ()
) -> Path:
    """An OpenFace -aus table: AU01_r is the frame number / 10, zeros where there was no success."""
    rows = []
    for frame in frames:
        ok = frame not in lost
        values = [frame, 0, frame * 0.04, 0.9 if ok else 0.0, int(ok)]
        values += [frame / 10 * ok] * len(INTENSITY) + [int(ok)] * len(PRESENCE)
        rows.append(values)
    names = ["frame", "face_id", "timestamp", "confidence", "success", *INTENSITY, *PRESENCE]
    lines = [f",{space}".join(names)] + [f",{space}".join(map(str, row)) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("space", [" ", ""])
def test_read_openface_gives_codes_by_frame(tmp_path, space):
    """17 intensities under our codes, 18 presences; row f is frame f."""
    table = action_units.read_openface(openface(tmp_path / "a.csv", [1, 2, 3], space=space))
    assert list(table["frame"]) == [0, 1, 2]
    assert [c for c in table if c in anatomy.AU_CODES] == list(anatomy.AU_CODES)
    assert set(PRESENCE) <= set(table)
    np.testing.assert_allclose(table["AU01"], [0.1, 0.2, 0.3])
    assert table.attrs["source"] == "openface"


def test_read_openface_lost_frames_are_nan_not_zero(tmp_path):
    """Where there was no success OpenFace writes 0; where a frame is missing it writes nothing."""
    path = openface(tmp_path / "a.csv", [1, 2, 5, 6], lost=(2,))
    table = action_units.read_openface(path, n_frames=8)
    assert len(table) == 8
    np.testing.assert_array_equal(np.flatnonzero(table["AU12"].notna()), [0, 4, 5])
    assert table["AU45_c"].isna()[1]
    np.testing.assert_allclose(table["AU01"][4], 0.5)


def test_read_openface_without_action_units_says_how_to_get_them(tmp_path):
    """Landmarks alone are no action units."""
    (tmp_path / "a.csv").write_text("frame,confidence,success\n1,0.9,1\n")
    with pytest.raises(tables.TableError, match="run OpenFace with them"):
        action_units.read_openface(tmp_path / "a.csv")


@pytest.mark.parametrize("bad", ["inf", "-nan(ind)", "?"])
def test_read_openface_a_value_that_is_no_number_is_nan(tmp_path, bad):
    """One bad cell costs that cell."""
    path = openface(tmp_path / "a.csv", [1, 2], space="")
    path.write_text(path.read_text().replace(",0.2,", f",{bad},", 1))
    table = action_units.read_openface(path)
    assert np.isnan(table["AU01"][1])
    assert table["AU02"][1] == pytest.approx(0.2)


def test_read_pyfeat_keeps_its_scale(tmp_path):
    """20 AUs from 0 to 1, frames from 0, no score means no face."""
    pd.DataFrame(
        {
            "frame": [0, 1, 3],
            "FaceScore": [0.9, np.nan, 0.8],
            "AU12": [0.5, 0.6, 0.7],
            "AU11": [0.1, 0.2, 0.3],
            "happiness": [1, 1, 1],
        }
    ).to_csv(tmp_path / "p.csv")
    table = action_units.read(tmp_path / "p.csv", n_frames=4)
    np.testing.assert_allclose(table["AU12"], [0.5, np.nan, np.nan, 0.7])
    assert "AU11" in table
    assert "happiness" not in table
    assert table.attrs["unit"] == "probability, 0 to 1"


def test_from_truth_reads_the_planted_series(tmp_path):
    """The demo cohort's truth comes back whole."""
    values = np.random.default_rng(0).uniform(0, 5, (7, 17))
    still = {"landmarks": np.zeros((7, 68, 2)), "pose": np.zeros((7, 3)), "gaze": np.zeros((7, 2))}
    table = action_units.from_truth(truth.save(tmp_path / "t.npz", au=values, fps=25.0, **still))
    np.testing.assert_allclose(table[list(anatomy.AU_CODES)], values, atol=0.0101)


def test_at_frames_takes_rows_by_number():
    """Any order, and NaN for a frame the series lacks."""
    series = pd.DataFrame({"frame": [0, 1, 2], "AU12": [0.0, 1.0, 2.0]})
    taken = action_units.at_frames(series, [2, 5, 0])
    assert list(taken["frame"]) == [2, 5, 0]
    np.testing.assert_allclose(taken["AU12"], [2, np.nan, 0])


def test_tidy_keeps_every_value(tmp_path):
    """Wide to long and back is the same; presence goes with its own unit."""
    series = action_units.read_openface(openface(tmp_path / "a.csv", [1, 3], lost=(3,)))
    long = action_units.tidy(series, participant="p", recording="r")
    assert len(long) == 3 * 17
    assert list(long.columns) == [
        "participant",
        "recording",
        "frame",
        "au",
        "intensity",
        "presence",
        "source",
        "unit",
    ]
    wide = long.pivot_table(index="frame", columns="au", values="intensity", dropna=False)
    np.testing.assert_allclose(wide["AU01"], series["AU01"])
    assert long.loc[long.frame == 0, "presence"].eq(1).all()


@pytest.fixture(scope="module")
def ramped() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For some AUs: landmarks of a face on which it alone goes 0, 1, ... 5, and that ramp."""
    import dataclasses

    script = rendered.plan_cohort(participants=2, recordings=1, seconds=1.0).script("P01_R1")
    ramp, found = np.linspace(0, 5, 6), {}
    for code in ("AU01", "AU02", "AU12", "AU25", "AU26", "AU45"):
        au = np.zeros_like(script.au)
        au[:6, anatomy.AU_CODES.index(code)] = ramp
        alone = dataclasses.replace(script, au=au, pose=np.zeros_like(script.pose))
        frames = rendered.render(alone, size=96, frames=list(range(6)))
        found[code] = np.stack([frame.landmarks for frame in frames]), ramp
    return found


def test_proxies_rise_with_their_action_unit(ramped):
    """Each proxy that the 68 points can show rises steadily as its AU alone is turned up."""
    for code, (landmarks, ramp) in ramped.items():
        values = action_units.proxies(landmarks)[code]
        assert np.corrcoef(values, ramp)[0, 1] > 0.9, code


def test_proxies_ignore_where_the_face_is(ramped):
    """Moving, turning in the plane and scaling a face change no proxy; a lost frame is NaN."""
    landmarks = ramped["AU12"][0].astype(np.float64)
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    here = action_units.proxies(landmarks)
    there = action_units.proxies(2.5 * landmarks @ turn.T + [40, -7])
    np.testing.assert_allclose(here.drop(columns="frame"), there.drop(columns="frame"), atol=1e-9)
    landmarks[2] = np.nan
    lost = action_units.proxies(landmarks)
    assert lost.drop(columns="frame").iloc[2].isna().all()
    assert "proxy" in lost.attrs["source"]


def test_agreement_is_pearson_over_frames_both_have():
    """r against numpy on the frames without NaN; a constant series has no r."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40))
    a[:5] = np.nan
    series = pd.DataFrame({"AU01": a, "AU02": np.ones(40)})
    truth = pd.DataFrame({"AU01": b, "AU02": b})
    table = action_units.agreement(series, truth).set_index("au")
    assert table.r["AU01"] == pytest.approx(np.corrcoef(a[5:], b[5:])[0, 1])
    assert table.frames["AU01"] == 35
    assert np.isnan(table.r["AU02"])
    with pytest.raises(ValueError, match="one recording"):
        action_units.agreement(series, truth[:9])
