"""A recording is a piece of work: any engine makes it, a killed worker loses nothing."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from expresso_lib import clips, config, faces, rendered, store
from expresso_lib.clips import preprocessing
from expresso_lib.faces import anatomy, video


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> pd.DataFrame:
    """Three rendered recordings of 24 frames with their truth beside them."""
    folder = tmp_path_factory.mktemp("cohort")
    plan = rendered.plan_cohort(participants=3, recordings=1, seconds=1.0, fps=24.0)
    rendered.write_cohort(folder, plan, size=96)
    table = pd.read_csv(folder / "recordings.csv")
    return table.assign(path=[str(folder / f"{name}.mp4") for name in table["recording"]])


@pytest.fixture(scope="module")
def tracks(recordings, tmp_path_factory) -> Path:
    """Their simulated tracks, in a folder."""
    out = tmp_path_factory.mktemp("tracks")
    store.map(preprocessing.make_track, preprocessing.track_items(recordings, "simulated"), out=out)
    return out


def test_the_way_from_recordings_to_tables(recordings, tmp_path):
    """Tracks, quality, archives, clips, frames, action units: every row keyed and accounted for."""
    tracker = preprocessing.choose_tracker("auto", recordings, weights_folder=str(tmp_path))
    assert tracker == "simulated"
    done = store.map(
        preprocessing.make_track,
        preprocessing.track_items(recordings, tracker),
        out=tmp_path / "tracks",
    )
    found = preprocessing.load_tracks(done)
    kept = preprocessing.kept(recordings, faces.assess(found, config.FacesSection(min_share=0.5)))
    cut = store.map(
        preprocessing.make_archive,
        preprocessing.archive_items(kept, tmp_path / "tracks", size=32, rate=12.0),
        out=tmp_path / "clips",
    )
    table, _ = clips.cut(kept, preprocessing.paths(cut), length=4, step=4, dilation=1)
    with pytest.raises(ValueError, match=r"spans 999 frames .* take fewer frames"):
        clips.cut(kept, preprocessing.paths(cut), length=500, step=0, dilation=2)
    assert len(table) == 3 * 3
    frames = preprocessing.frame_table(kept, found)
    assert len(frames) == 3 * 24
    assert not frames.duplicated(["recording", "frame"]).any()
    units = preprocessing.au_table(kept, found)
    assert len(units) == 3 * 24 * len(anatomy.AU_CODES)
    assert set(units["source"]) == {"truth"}
    agreement = preprocessing.proxy_agreement(kept, found)
    assert set(agreement["au"]) <= set(anatomy.AU_CODES)


def test_a_recording_that_fails_is_named_and_the_rest_go_on(recordings, tmp_path):
    """A damaged file among good ones: its error is in the report, the others are tracked."""
    bad = recordings.copy()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"not a video" * 99)
    broken.with_suffix(".npz").write_bytes(Path(bad["path"][1]).with_suffix(".npz").read_bytes())
    bad.loc[1, "path"] = str(broken)
    done = store.map(
        preprocessing.make_track,
        preprocessing.track_items(bad, "simulated"),
        out=tmp_path / "tracks",
        collect_errors=True,
    )
    report = faces.assess(preprocessing.load_tracks(done), config.FacesSection(min_share=0.5))
    assert list(report.passed) == [True, False, True]
    assert "broken.mp4 cannot be read" in report.reasons[1]
    assert len(preprocessing.kept(bad, report)) == 2
    with pytest.raises(preprocessing.TrackerError, match=r"all .* are left out, .* Loosen"):
        preprocessing.kept(bad, report.assign(passed=False))


def test_no_weights_and_no_tables_say_what_to_do(tmp_path):
    """Plain videos without networks: the error names the command and the file."""
    video.write_video(tmp_path / "a.mp4", [np.zeros((16, 16, 3), np.uint8)], 25)
    table = pd.DataFrame({"recording": ["a"], "path": [str(tmp_path / "a.mp4")]})
    with pytest.raises(preprocessing.TrackerError, match="expresso data fetch s3fd fan"):
        preprocessing.choose_tracker("auto", table, weights_folder=str(tmp_path))


def test_an_npz_of_another_tool_is_no_truth(tmp_path):
    """Features that somebody keeps beside the videos: tables are found all the same."""
    video.write_video(tmp_path / "a.mp4", [np.zeros((16, 16, 3), np.uint8)], 25)
    np.savez(tmp_path / "a.npz", features=np.zeros(3))
    table = pd.DataFrame({"recording": ["a"], "path": [str(tmp_path / "a.mp4")]})
    assert preprocessing.lacking("simulated", table) == ["a"]
    assert preprocessing.proxy_agreement(table, {}).empty
    with pytest.raises(preprocessing.TrackerError, match="no tracker is at hand"):
        preprocessing.choose_tracker("auto", table, weights_folder=str(tmp_path))


def test_asked_for_tables_that_nobody_has_are_refused(tmp_path):
    """Named by the reader, and no video has one; where some have, the others are named."""
    for name in "ab":
        video.write_video(tmp_path / f"{name}.mp4", [np.zeros((16, 16, 3), np.uint8)], 25)
    paths = [str(tmp_path / f"{name}.mp4") for name in "ab"]
    table = pd.DataFrame({"recording": ["a", "b"], "path": paths})
    with pytest.raises(preprocessing.TrackerError, match=r"cohort\.tables, or take 'auto'"):
        preprocessing.choose_tracker("tables", table)
    (tmp_path / "a.csv").write_text("frame,confidence,success,AU12_r\n1,0.9,1,2.0\n")
    assert preprocessing.choose_tracker("tables", table) == "tables"
    assert preprocessing.lacking("tables", table) == ["b"]
    assert preprocessing.lacking("mediapipe", table) == []


def test_tables_without_landmarks_are_no_tracker(tmp_path):
    """Action units alone lie beside the video: what to do is said before any recording fails."""
    video.write_video(tmp_path / "a.mp4", [np.zeros((16, 16, 3), np.uint8)], 25)
    (tmp_path / "a.csv").write_text("frame,confidence,success,AU12_r\n1,0.9,1,2.0\n")
    table = pd.DataFrame({"recording": ["a"], "path": [str(tmp_path / "a.mp4")]})
    with pytest.raises(preprocessing.TrackerError, match="no tracker is at hand"):
        preprocessing.choose_tracker("auto", table, weights_folder=str(tmp_path))


def test_tracks_do_not_depend_on_the_engine(recordings, tracks, tmp_path):
    """Two worker processes write what this process writes, byte for byte in every array."""
    executor = store.executor("loky", workers=2)
    try:
        done = store.map(
            preprocessing.make_track,
            preprocessing.track_items(recordings, "simulated"),
            out=tmp_path,
            executor=executor,
        )
    finally:
        executor.shutdown()
    for outcome in done:
        here, there = (
            faces.FaceTrack.load(folder / outcome.path.name) for folder in (tracks, tmp_path)
        )
        np.testing.assert_array_equal(here.landmarks, there.landmarks)


def test_misread_landmarks_and_worst_row_point_at_the_error(recordings, tracks):
    """The picture shows row 1's landmarks where the error table says they are."""
    row = recordings.iloc[0]
    track = faces.FaceTrack.load(tracks / f"{row.recording}.npz")
    archive = clips.prepare(row.path, track, size=64)
    errors = faces.index_errors(track)
    worst = preprocessing.worst_row(archive, errors)
    shown = archive.landmarks[worst] * 3
    misread = preprocessing.misread_landmarks(archive, worst, track, shown)
    away = np.linalg.norm(misread - shown, axis=1).mean() / faces.eye_distance(shown[None])[0]
    assert away == pytest.approx(errors.by_flag[archive.source[worst]], rel=0.15)


@pytest.mark.slow
def test_a_killed_dask_worker_loses_nothing_and_repeats_nothing(recordings, tracks, tmp_path):
    """A scheduler, two worker processes, one killed mid-way: all done, what was done untouched."""
    from distributed import Client, LocalCluster

    inputs = [one.inputs for one in preprocessing.archive_items(recordings, tracks, size=9, rate=9)]
    items = [
        store.Item(f"copy{i:02d}", {"size": 224, "rate": 24.0, "input": "composite"}, inputs[i % 3])
        for i in range(12)
    ]
    out = tmp_path / "out"
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        pids = list(client.run(os.getpid).values())
        executor = store.executor("dask", scheduler=cluster.scheduler_address)
        finished: dict[Path, int] = {}

        def kill_one() -> None:
            while len(list(out.glob("*.key.json"))) < 3:
                time.sleep(0.01)
            finished.update(
                {
                    path: path.stat().st_mtime_ns
                    for path in out.glob("copy*.npz")
                    if path.with_name(path.name + ".key.json").exists()
                }
            )
            os.kill(pids[0], signal.SIGKILL)

        killer = threading.Thread(target=kill_one)
        killer.start()
        done = store.map(preprocessing.make_archive, items, out=out, executor=executor)
        killer.join(30)
        executor.shutdown()
    assert 3 <= len(finished) < len(items)
    assert [o.error for o in done] == [None] * len(items)
    assert all(path.stat().st_mtime_ns == when for path, when in finished.items())
    alone = clips.prepare(
        items[0].inputs[0], faces.FaceTrack.load(items[0].inputs[1]), **items[0].recipe
    )
    np.testing.assert_array_equal(clips.ClipArchive.load(done[0].path).frames, alone.frames)
    again = store.map(preprocessing.make_archive, items, out=out)
    assert all(outcome.reused for outcome in again)
