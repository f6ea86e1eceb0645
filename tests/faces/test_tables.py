"""Other tools' tables, placed by frame number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expresso_lib.faces import action_units, tables

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
    track = tables.from_table(tmp_path / "a.csv", n_frames=8, fps=25)
    assert track.signals["faces"].tolist() == [1, 2, 2, 1, 1, 1, 1, 1]
    assert (track.signals["face"] == 1).all()
    other = tables.from_table(tmp_path / "a.csv", n_frames=8, fps=25, face=0)
    assert np.nanmax(other.signals["face"]) == 0


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


def two_faces(folder, *, numbered: bool) -> tuple[Path, np.ndarray]:
    """Somebody on the left, and in some frames a second face, which then is listed first."""
    rng, rows, left = np.random.default_rng(0), [], rng_points()
    for frame in range(12):
        shown = [(0, left + rng.normal(0, 0.3, left.shape), 0.8, 1.0)]
        if 4 <= frame < 9:
            shown.insert(0, (1, left + np.array([200, 5]), 0.99, 4.0))
        for face, points, score, smile in shown:
            flat = {f"x_{i}": x for i, x in enumerate(points[:, 0])}
            flat |= {f"y_{i}": y for i, y in enumerate(points[:, 1])}
            about = {"frame": frame, "FaceScore": score, "AU12": smile}
            if numbered:
                about = {"frame": frame + 1, "face_id": face, "confidence": score, "success": 1,
                         "AU12_r": smile}  # fmt: skip
            rows.append(about | flat)
    path = folder / "faces.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path, left


def rng_points() -> np.ndarray:
    return np.random.default_rng(1).uniform(20, 80, (68, 2))


def test_a_face_without_a_number_keeps_the_one_that_it_has(tmp_path):
    """Py-Feat lists faces in any order: who is followed is one person, also while two are seen."""
    path, left = two_faces(tmp_path, numbered=False)
    track = tables.from_table(path, fps=25.0)
    assert np.abs(track.landmarks - left).max() < 3
    assert action_units.read(path)["AU12"].eq(1.0).all()


def test_only_the_tools_that_vouch_for_rows_are_judged_by_confidence(tmp_path):
    """LibreFace has no confidence of its own: a column that somebody added empties nothing."""
    path = tmp_path / "a.csv"
    frames = {"frame_idx": [0, 1], "confidence": [0.0, np.nan], "au_12_intensity": [1.0, 2.0]}
    pd.DataFrame(frames).to_csv(path, index=False)
    assert action_units.read(path)["AU12"].tolist() == [1.0, 2.0]


def test_action_units_beside_the_points_of_mediapipe_are_read(tmp_path):
    """A script may write OpenFace's names beside 478 points, and no blendshapes."""
    points = pd.DataFrame(
        0.5, index=range(2), columns=[f"{a}_{i}" for i in range(478) for a in "xy"]
    )
    path = tmp_path / "a.csv"
    points.assign(frame=[0, 1], AU12_r=[1.0, 2.0]).to_csv(path, index=False)
    assert action_units.read(path)["AU12"].tolist() == [1.0, 2.0]


def test_action_units_are_those_of_the_face_that_is_tracked(tmp_path):
    """The other face is surer and smiles; without landmarks nobody can tell which is which."""
    path, left = two_faces(tmp_path, numbered=True)
    table, points = tables.read_faces(path), np.tile(left, (12, 1, 1))
    assert tables.nearest_face(table, points, (400, 300)) == 0
    assert tables.nearest_face(table, points + np.array([200, 5]), (400, 300)) == 1
    assert tables.nearest_face(table[table["face"] == 1], points, (400, 300)) is None
    assert tables.nearest_face(table, points * np.nan, (400, 300)) is None
    bare = table.drop(columns=[name for name in table if str(name)[:2] in ("x_", "y_")])
    with pytest.raises(tables.TableError, match="lacks x_0"):
        tables.nearest_face(bare, points, (400, 300))


def test_a_table_of_action_units_alone_holds_no_landmarks(tmp_path, caplog):
    """OpenFace with -aus only is no tracker; the log says which table."""
    path, _ = two_faces(tmp_path, numbered=True)
    assert tables.holds_landmarks(path)
    bare = pd.read_csv(path).filter(regex="^(frame|face_id|confidence|success|AU)")
    bare.to_csv(tmp_path / "bare.csv", index=False)
    assert not tables.holds_landmarks(tmp_path / "bare.csv")
    assert "bare.csv lacks x_0" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no table"),
        (b"frame,confidence,success\nx,0.9,1\n", "no frame number"),
        (b"frame,confidence,success\n1.5,0.9,1\n", "no frame number"),
        (b"frame,confidence,success\n-3,0.9,1\n", "no frame number"),
        (b"a,b\n1,2\n", "no table of OpenFace 3"),
        (b"frame,confidence,success,x_0\n1,0,9,1,3\n", "semicolons"),
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


@pytest.mark.parametrize(("first", "others"), [("", ","), (",", ","), (",", "")])
def test_a_separator_at_the_end_of_lines_moves_no_column(tmp_path, first, others):
    """Behind the names, behind the rows or both: the table is what it is without; names stay."""
    path = openface(tmp_path / "a.csv", [{"frame": f} for f in (1, 2, 3)], spaces=False)
    names, *rows = path.read_text().splitlines()
    plain = tables.read_faces(path)
    path.write_text("\n".join([names + first, *(row + others for row in rows)]))
    pd.testing.assert_frame_equal(tables.read_faces(path), plain)
    path.write_text("\n".join([names, *(f"{row},7" for row in rows)]))
    with pytest.raises(tables.TableError, match=r"a\.csv: its rows have more cells"):
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


def _mesh(count: int, x: str, y: str, z: str = "", *, shares: bool = True) -> dict[str, list]:
    """Two frames of a mesh whose vertex i lies at (i, 2 i), pixels or shares of 1000 x 500."""
    sides = (1000, 500) if shares else (1, 1)
    columns = {x.format(i): [(i + 0.5) / sides[0]] * 2 for i in range(count)}
    columns |= {y.format(i): [(2 * i + 0.5) / sides[1]] * 2 for i in range(count)}
    return columns | ({z.format(i): [0.0] * 2 for i in range(count)} if z else {})


def _flat(count: int) -> dict[str, list]:
    return _mesh(count, "x_{}", "y_{}", shares=False)


def _openface3(points: int) -> dict[str, list]:
    """Its own columns: lists in cells, times of the day, a row of nothing where no face was."""
    place = [[float(i), 2.0 * i] for i in range(points)]
    return {
        "timestamp": ["2026-01-01 10:00:00"] * 3, "video_path": ["a.mp4"] * 3,
        "frame_index": [0, 1, 2], "face_id": [0, 0, None],
        "face_detection": [str([1.0, 2.0, 3.0, 4.0, 0.99])] * 2 + [None],
        "landmarks": [str(place)] * 2 + [None], "emotion": [4, 4, None],
        "gaze_yaw": [0.5, 0.6, None], "gaze_pitch": [-0.1, -0.2, None],
        "action_units": [str([[0.1, 0.0, 0.2, 0.0, 0.0, 0.7, 0.85, 0.0]])] * 2 + [None],
    }  # fmt: skip


# As each tool writes: OpenFace 2.1's tables of RAVDESS, OpenFace 3's demo, Py-Feat 2.1.5's
# Detectorv1, Detectorv2 and MPDetector, LibreFace 0.2, pyfaceau 1.4, a script around MediaPipe.
WRITTEN = {
    "RAVDESS": {"frame": [1, 2], "timestamp": [0, 0.04], "confidence": [0.98, 0.3],
                "gaze_0_x": [0, 0], "gaze_angle_x": [0.2, 0.3], "gaze_angle_y": [0.1, 0.1],
                **_flat(68), "AU12_r": [2.5, 2.5], "AU12_c": [1, 1]},
    "OpenFace 3": _openface3(98),
    "Detectorv1": {"frame": [0, 1], "FaceRectX": [1, 1], "FaceScore": [0.9, 0.8], **_flat(68),
                   "Pitch": [0, 0], "AU12": [0.7, 0.7], "anger": [0, 0], "input": ["a", "a"]},
    "Detectorv2": {"FaceScore": [0.9, 0.8], **_flat(68), "AU12": [0.7, 0.7], "valence": [0, 0],
                   "gaze_pitch": [-0.1, -0.1], "gaze_yaw": [-0.2, -0.3], "gaze_angle": [0.2, 0.3],
                   **_mesh(478, "mesh_x_{}", "mesh_y_{}", "mesh_z_{}"), "jawOpen": [0.1, 0.1],
                   "FrameHeight": [500, 500], "frame": [0, 1]},
    "MPDetector": {"FaceScore": [0.9, 0.8], **_mesh(478, "x_{}", "y_{}", "z_{}", shares=False),
                   "AU12": [0.7, 0.7], "gaze_pitch": [-0.1, -0.1], "gaze_yaw": [-0.2, -0.3],
                   "frame": [0, 1]},
    "LibreFace": {"frame_idx": [0, 1], "frame_time_in_ms": [0, 0.04], "pitch": [0, 0],
                  **_mesh(478, "lm_mp_{}_x", "lm_mp_{}_y", "lm_mp_{}_z"), "au_12": [1, 1],
                  "au_12_intensity": [2.5, 2.5], "facial_expression": ["Happy", "Happy"],
                  "gaze_yaw": [11.459, 17.189], "gaze_pitch": [-5.73, -5.73]},
    "pyfaceau": {"frame": [0, 1], "timestamp": [0, 0.04], "success": [True, False],
                 "AU12_r": [2.5, None]},
    "MediaPipe": {"frame": [0, 1], **_mesh(478, "x_{}", "y_{}", "z_{}"),
                  **{name: [0.7, 0.7] for many in action_units.BLENDSHAPES.values()
                     for name in many}},
}  # fmt: skip
HAS = {  # unit of its action units, value of AU12, gaze of the first frame
    "RAVDESS": ("intensity, 0 to 5", 2.5, (0.2, 0.1)),
    "OpenFace 3": ("probability, 0 to 1", 0.7, (0.5, -0.1)),
    "Detectorv1": ("probability, 0 to 1", 0.7, None),
    "Detectorv2": ("probability, 0 to 1", 0.7, (0.2, 0.1)),
    "MPDetector": ("probability, 0 to 1", 0.7, (0.2, 0.1)),
    "LibreFace": ("intensity, 0 to 5", 2.5, (0.2, 0.1)),
    "pyfaceau": ("intensity, 0 to 5", 2.5, None),
    "MediaPipe": ("blendshape, 0 to 1 (proxy)", 0.7, None),
}


@pytest.fixture(params=sorted(WRITTEN))
def written(request, tmp_path):
    """One tool's own table, and its name."""
    path = tmp_path / "a.csv"
    pd.DataFrame(WRITTEN[request.param]).to_csv(path, index=False)
    return request.param, path


def test_every_tool_gives_action_units_with_their_unit(written):
    """Values stay as the tool wrote them and say what they are; thresholds follow the unit."""
    name, path = written
    unit, value, _ = HAS[name]
    series = action_units.read(path)
    assert series.attrs["unit"] == unit
    assert series["AU12"].iloc[0] == pytest.approx(value)
    assert action_units.scale_of(unit).present <= value <= action_units.scale_of(unit).full


def test_a_blendshape_that_is_no_number_costs_its_own_action_unit_only(tmp_path):
    """One odd cell of a MediaPipe export: that unit is NaN in that frame, and nothing else."""
    columns = WRITTEN["MediaPipe"] | {"mouthSmileLeft": ["?", 0.7]}
    pd.DataFrame(columns).to_csv(tmp_path / "a.csv", index=False)
    series = action_units.read(tmp_path / "a.csv")
    assert series["AU12"].isna().tolist() == [True, False]
    assert series["AU25"].notna().all()


def test_every_tool_gives_gaze_in_radians_to_the_right_and_down(written):
    """Degrees, and signs that mean left or up, are turned; without gaze it is NaN."""
    name, path = written
    rows = tables.by_frame(tables.read_faces(path))
    gaze = rows[list(tables.GAZE)].iloc[0].to_numpy(float)
    if HAS[name][2] is None:
        assert np.isnan(gaze).all()
    else:
        np.testing.assert_allclose(gaze, HAS[name][2], atol=1e-3)


def test_every_tool_gives_the_68_points_and_no_mesh_passes_for_them(written):
    """A mesh, or WFLW's 98 points, is mapped; vertex 33 is the eye's corner, not vertex 36."""
    name, path = written
    if name == "pyfaceau":
        with pytest.raises(tables.TableError, match="lacks x_0"):
            tables.from_table(path, fps=25)
        return
    track = tables.from_table(path, fps=25, size=(1000, 500))
    corner = {"OpenFace 3": 60, "MPDetector": 33, "LibreFace": 33, "MediaPipe": 33}.get(name, 36)
    shift = 0.5 if corner == 36 or name == "MPDetector" else 0.0
    np.testing.assert_allclose(
        track.landmarks[0, 36], (corner + shift, 2 * corner + shift), atol=1e-3
    )
    assert track.source == tables.read_faces(path).attrs["tool"]


def test_a_table_without_success_takes_confidence_for_it_and_says_so(tmp_path, caplog):
    """RAVDESS' published tables: the second row's confidence of .3 loses the frame."""
    path = tmp_path / "a.csv"
    pd.DataFrame(WRITTEN["RAVDESS"]).to_csv(path, index=False)
    assert list(tables.from_table(path, fps=25).found) == [True, False]
    assert "no column success" in caplog.text


@pytest.mark.parametrize("columns", [_flat(70), _mesh(68, "x_{}", "y_{}", "z_{}")])
def test_points_of_an_unknown_set_are_refused_naming_the_tool(tmp_path, columns):
    """Seventy points, or 68 in space: nobody says which are which."""
    path = tmp_path / "a.csv"
    pd.DataFrame({"frame": [0, 1], "FaceScore": [1, 1], **columns}).to_csv(path, index=False)
    with pytest.raises(tables.TableError, match="Py-Feat with"):
        tables.from_table(path, fps=25)


def test_one_cell_of_nonsense_makes_no_pixels_of_shares(tmp_path):
    """That frame is lost, and the others lie where they lay."""
    table = pd.DataFrame(WRITTEN["LibreFace"])
    path = tmp_path / "a.csv"
    table.to_csv(path, index=False)
    whole = tables.from_table(path, fps=25, size=(200, 100))
    table.loc[1, "lm_mp_0_x"] = 7.0
    table.to_csv(path, index=False)
    found = tables.from_table(path, fps=25, size=(200, 100))
    np.testing.assert_array_equal(found.landmarks[0], whole.landmarks[0])


def test_openface_saved_again_by_a_german_spreadsheet_is_read(tmp_path):
    """Semicolons and decimal commas; semicolons and points."""
    path = openface(tmp_path / "a.csv", [{"frame": 1}, {"frame": 2}], spaces=False)
    whole, text = tables.from_table(path, fps=25), path.read_text()
    for again in (text.replace(",", ";").replace(".", ","), text.replace(",", ";")):
        (tmp_path / "b.csv").write_text(again)
        found = tables.from_table(tmp_path / "b.csv", fps=25)
        np.testing.assert_array_equal(found.landmarks, whole.landmarks)
        np.testing.assert_array_equal(found.confidence, whole.confidence)


def test_shares_of_a_picture_need_its_size(tmp_path):
    """LibreFace's landmarks are shares of the picture: without its size they are no pixels."""
    path = tmp_path / "a.csv"
    pd.DataFrame(WRITTEN["LibreFace"]).to_csv(path, index=False)
    with pytest.raises(tables.TableError, match="size"):
        tables.from_table(path, fps=25)


@pytest.mark.parametrize("frame", [1_000_000_000, 99_999_999_999_999_999_999, 200_000])
def test_a_frame_number_beyond_any_recording_is_refused(tmp_path, frame):
    """One wrong cell must not ask for a row per frame of years; with a length it is left out."""
    path = openface(tmp_path / "a.csv", [{"frame": 1}, {"frame": frame}])
    with pytest.raises(tables.TableError, match=r"a\.csv"):
        tables.from_table(path, fps=25.0)


def test_a_bystander_without_points_is_nobody_s_frame(tmp_path):
    """Surer than the participant in two frames: neither points nor units are theirs."""
    place = str([[float(i), 2.0 * i] for i in range(98)])
    rows = [(f, 0.90, place, 0.1) for f in range(4)] + [(f, 0.95, "[]", 0.9) for f in (1, 2)]
    lines = [f'{f},"[1, 2, 3, 4, {sure}]","{cell}","[[{unit}]]"'
             for f, sure, cell, unit in sorted(rows)]  # fmt: skip
    (tmp_path / "a.csv").write_text(
        "\n".join(["frame_index,face_detection,landmarks,action_units", *lines])
    )
    track = tables.from_table(tmp_path / "a.csv", n_frames=4, fps=25.0)
    assert np.isfinite(track.landmarks).all()


def test_a_damaged_list_of_openface3_loses_its_frame_only(tmp_path):
    """OpenFace 3 writes lists into cells; a cell cut short is a lost frame, not a lost table."""
    cells = [f'"{[[float(i), 2.0] for i in range(98)]}"', '"[[1.0, 2"', '"[[1.0], [2, 3]]"', "7"]
    lines = [f'{f},0,"[1, 2, 3, 4, 0.9]",{cell},"[[0.1]]"' for f, cell in enumerate(cells)]
    head = "frame_index,face_id,face_detection,landmarks,action_units"
    (tmp_path / "a.csv").write_text("\n".join([head, *lines]))
    track = tables.from_table(tmp_path / "a.csv", n_frames=4, fps=25.0)
    np.testing.assert_array_equal(
        np.isfinite(track.landmarks[:, 0, 0]), [True, False, False, False]
    )
