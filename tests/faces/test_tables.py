"""Other tools' tables, placed by frame number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expresso_lib.faces import tables

REAL = Path(__file__).parents[3] / "shared/real/single_face_openface.csv"


def openface(path: Path, rows: list[dict], *, spaces: bool = True, landmarks: bool = True) -> Path:
    """Write an OpenFace-like table; `rows` give frame and what differs from an ordinary row."""
    full = []
    for row in rows:
        values = {"face_id": 0, "timestamp": 0.04 * row["frame"], "confidence": 0.9, "success": 1}
        if landmarks:
            values |= {f"x_{i}": 10.0 * row["frame"] + i for i in range(68)}
            values |= {f"y_{i}": 5.0 * row["frame"] - i for i in range(68)}
        full.append({"frame": row["frame"]} | values | row)
    names = list(full[0])
    sep = ", " if spaces else ","
    lines = [sep.join(names)] + [sep.join(str(row[n]) for n in names) for row in full]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("spaces", [True, False])
def test_read_openface_strips_names_and_counts_from_zero(tmp_path, spaces):
    """With and without the space that some builds write, frame 1 of theirs is frame 0 of ours."""
    table = tables.read_faces(
        openface(tmp_path / "a.csv", [{"frame": f} for f in (1, 2, 3)], spaces=spaces)
    )
    assert list(table["frame"]) == [0, 1, 2]
    assert {"x_0", "y_67", "usable", "face"} <= set(table)


def test_by_frame_places_rows_by_number_not_position(tmp_path):
    """Frames that the tool left out, in any order of rows, are NaN where they belong."""
    path = openface(tmp_path / "a.csv", [{"frame": f} for f in (7, 1, 4)])
    rows = tables.by_frame(tables.read_faces(path), 9)
    points = tables.landmarks(rows)
    assert points.shape == (9, 68, 2)
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(points[:, 0, 0])), [0, 3, 6])
    np.testing.assert_allclose(points[6, 2], [72.0, 33.0])


@pytest.mark.parametrize("n_frames", [2, 5, 9])
def test_table_shorter_or_longer_than_the_video_is_fitted_and_said(tmp_path, caplog, n_frames):
    """Row f is frame f for every length; what was cut or is missing is logged with its count."""
    path = openface(tmp_path / "a.csv", [{"frame": f} for f in range(1, 6)])
    rows = tables.by_frame(tables.read_faces(path), n_frames)
    assert len(rows) == n_frames
    assert int(rows["usable"].sum()) == min(n_frames, 5)
    if n_frames != 5:
        assert f"{max(5 - n_frames, 0)} rows beyond" in caplog.text
        assert f"{max(n_frames - 5, 0)} frames without a row" in caplog.text


def test_one_person_is_taken_when_several_are_in_the_table(tmp_path):
    """By default the face with most confidence over the recording; any other by its number."""
    rows = [{"frame": f, "face_id": 1} for f in range(1, 9)]
    rows += [{"frame": f, "face_id": 0, "x_0": -1} for f in (2, 3)]
    table = tables.read_faces(openface(tmp_path / "a.csv", rows))
    assert tables.landmarks(tables.by_frame(table, 8))[:, 0, 0].min() == 10
    other = tables.landmarks(tables.by_frame(table, 8, face=0))
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(other[:, 0, 0])), [1, 2])
    with pytest.raises(ValueError, match="face 5 is unknown"):
        tables.by_frame(table, 8, face=5)


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf", "", "-nan(ind)"])
def test_a_coordinate_that_is_no_number_loses_its_frame(tmp_path, bad):
    """NaN, infinity and what Windows prints for them lose the frame, not the recording."""
    rows = [{"frame": 1}, {"frame": 2, "x_30": bad}, {"frame": 3, "success": 0}]
    points = tables.landmarks(
        tables.by_frame(tables.read_faces(openface(tmp_path / "a.csv", rows, spaces=False)), 3)
    )
    np.testing.assert_array_equal(np.isfinite(points).all(axis=(1, 2)), [True, False, False])


def test_odd_time_stamps_change_nothing(tmp_path):
    """Time stamps that do not fit the rate are kept as written and not used."""
    rows = [{"frame": f, "timestamp": 99.0 - f} for f in (1, 2)]
    table = tables.by_frame(tables.read_faces(openface(tmp_path / "a.csv", rows)), 2)
    assert list(table["timestamp"]) == [98.0, 97.0]
    assert tables.landmarks(table)[1, 0, 0] == 20


def test_openface_1_without_face_id_and_a_renumbered_table(tmp_path):
    """OpenFace 1.x has no face_id; a table with a frame 0 already counts as we do."""
    path = openface(tmp_path / "a.csv", [{"frame": 0}, {"frame": 1}])
    text = (
        path.read_text().replace("face_id, ", "").replace("0, 0, ", "0, ").replace("1, 0, ", "1, ")
    )
    path.write_text(text)
    table = tables.read_faces(path)
    assert list(table["frame"]) == [0, 1]
    assert set(table["face"]) == {0}


def test_read_pyfeat_keeps_every_face(tmp_path):
    """Py-Feat counts from 0; faces are numbered within their frame."""
    pd.DataFrame(
        {"frame": [0, 0, 2], "FaceScore": [0.9, 0.8, np.nan], "AU12": [0.1, 0.2, 0.3]}
    ).to_csv(tmp_path / "p.csv", index=False)
    table = tables.read_faces(tmp_path / "p.csv")
    assert list(table["face"]) == [0, 1, 0]
    assert list(table["usable"]) == [True, True, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no table"),
        (b"frame,confidence,success\nx,0.9,1\n", "no frame number"),
        (b"frame,confidence,success\n1.5,0.9,1\n", "no frame number"),
        (b"frame,confidence,success\n-3,0.9,1\n", "no frame number"),
        (b"a,b\n1,2\n", "lacks frame"),
        (b"frame,frame \n1,2\n", "twice"),
        (b"\xff\xfe\x00\x01" * 9, "no table"),
    ],
)
def test_a_file_that_is_no_table_is_refused_by_name(tmp_path, content, message):
    """The error names the file and what is wrong with it."""
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    with pytest.raises(tables.TableError, match=f"bad.csv.*{message}"):
        tables.read_faces(path)


def test_a_table_with_a_header_only_loses_every_frame(tmp_path):
    """No rows: every frame is lost, none invented."""
    path = openface(tmp_path / "a.csv", [{"frame": 1}])
    path.write_text(path.read_text().splitlines()[0] + "\n")
    assert not np.isfinite(tables.landmarks(tables.by_frame(tables.read_faces(path), 4))).any()


@settings(max_examples=30, deadline=None)
@given(frames=st.lists(st.integers(0, 40), min_size=1, unique=True), length=st.integers(0, 45))
def test_by_frame_is_a_relabelling(frames, length):
    """For any frames and length: row f holds what the table says of f, or NaN."""
    table = pd.DataFrame(
        {
            "frame": frames,
            "face": 0,
            "confidence": 0.5,
            "usable": True,
            "value": np.array(frames) * 2.0,
        }
    )
    rows = tables.by_frame(table, length)
    for f in range(length):
        value = rows["value"].iloc[f]
        assert value == 2 * f if f in frames else np.isnan(value)


@pytest.mark.skipif(not REAL.is_file(), reason="the real table is not in this checkout")
def test_real_openface_table_is_read_whole():
    """A table with spaces after its commas, from outside: 72 frames, 68 landmarks each."""
    rows = tables.by_frame(tables.read_faces(REAL), 72)
    points = tables.landmarks(rows)
    assert np.isfinite(points).all()
    assert (points[..., 0] < 640).all()
    assert (points[..., 1] < 360).all()
