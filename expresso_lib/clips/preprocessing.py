"""One recording, one piece of work: its face track, then its clip archive, by `store.map`.

Recordings are independent of one another, so any executor takes them: this process, worker
processes, a Dask cluster. A recording that fails keeps its error as text and is left out by name.
"""

import importlib.util
import logging
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expresso_lib import faces, manifest, store
from expresso_lib.clips import archives
from expresso_lib.faces import action_units, mediapipe, tables, video
from expresso_lib.faces import truth as truths

log = logging.getLogger(__name__)

TRACKERS = {
    "s3fd_fan": "S3FD and FAN",
    "mediapipe": "MediaPipe's Face Landmarker",
    "tables": "read from another tool's tables",
    "simulated": "simulated (the truth on a 64-cell heat map, 1 % of frames lost)",
}
WEIGHTS = {"s3fd_fan": ("weights_s3fd", "weights_fan"), "mediapipe": (mediapipe.WEIGHTS,)}
# Parameters that decide what a network finds.
DECIDING = {
    "s3fd_fan": ("detect_every", "detect_side", "flip", "device", "precision", "weights_folder"),
    "mediapipe": ("weights_folder",),
}


class TrackerError(ValueError):
    """No tracker can find faces in these recordings; the message says what to install or give."""


def choose_tracker(name: str, recordings: pd.DataFrame, *, weights_folder: str = "") -> str:
    """Resolve ``auto``: the paper's networks where their weights are at hand; else the truth of
    rendered recordings; else tables beside all videos; else MediaPipe.

    Raises
    ------
    TrackerError
        Where there is none of these, with what to fetch or to put by the videos; for a tracker
        that reads what lies beside the videos where nothing does.
    """
    if name != "auto":
        if name in BESIDE and len(lacking(name, recordings)) == len(recordings):
            raise TrackerError(
                f"faces.tracker = {name!r}: beside none of the videos lies what it "
                "reads; name the tables' folder with cohort.tables, or take 'auto'."
            )
        return name
    if at_hand("s3fd_fan", weights_folder):
        return "s3fd_fan"
    for tracker, place in BESIDE.items():
        first = place(recordings.iloc[0])
        there = not lacking(tracker, recordings)
        if there and (tracker != "tables" or tables.holds_landmarks(first)):
            return tracker
    if importlib.util.find_spec("mediapipe") and at_hand("mediapipe", weights_folder):
        return "mediapipe"
    raise TrackerError(
        "no tracker is at hand: run 'pip install -e .[mediapipe]' and 'expresso data fetch "
        "face_landmarker' (4 MB), or 'expresso data fetch s3fd fan' (the paper's, slow on a CPU), "
        "or put another tool's tables beside all videos under their names. Weights that "
        "you have already: name their folder with faces.weights_folder."
    )


def lacking(tracker: str, recordings: pd.DataFrame) -> list[str]:
    """Name the recordings beside whose videos the file that a tracker reads is not."""
    if tracker not in BESIDE:
        return []
    there = truths.holds if tracker == "simulated" else Path.is_file
    places = [(row["recording"], BESIDE[tracker](row)) for _, row in recordings.iterrows()]
    return [str(name) for name, path in places if not there(path)]


def at_hand(tracker: str, folder: str = "") -> bool:
    """Say whether a network tracker's weight files lie where they are looked for."""
    files = (manifest.path_of(one, folder=folder or None) for one in WEIGHTS[tracker])
    return all(file.is_file() for file in files)


def fetch_weights(parameters: Any) -> None:
    """Bring the weights of the tracker that a run's `faces` section asks for by name.

    Raises
    ------
    FetchError
        Offline without them: what to bring from where to where.
    TrackerError
        Where MediaPipe itself is not installed.
    """
    if parameters.tracker == "mediapipe" and not importlib.util.find_spec("mediapipe"):
        raise TrackerError("the tracker mediapipe is not installed; run: pip install -e "
                           "'.[mediapipe]', or take another faces.tracker.")  # fmt: skip
    for name in WEIGHTS.get(parameters.tracker, ()):
        manifest.fetch(name, folder=parameters.weights_folder or None)


def recipe_of(parameters: Any, tracker: str) -> dict[str, Any]:
    """Take what decides a track from a run's `faces` section."""
    return {name: getattr(parameters, name) for name in ("smoothing", *DECIDING.get(tracker, ()))}


def track_items(recordings: pd.DataFrame, tracker: str, **recipe: Any) -> list[store.Item]:
    """List the tracking work: one item per recording.

    Parameters
    ----------
    recordings : columns recording, path.
    tracker : one of `TRACKERS`; the truth (NPZ) or the table (CSV) lies beside the video.
    recipe : smoothing (frames), and for networks what `recipe_of` takes.
    """
    items = []
    for _, row in recordings.iterrows():
        beside = (BESIDE[tracker](row),) if tracker in BESIDE else ()
        how = {"tracker": tracker} | recipe
        items.append(store.Item(row["recording"], how, (Path(row["path"]), *beside)))
    return items


def _truth_of(row: pd.Series) -> Path:
    return Path(row["path"]).with_suffix(".npz")


def _table_of(row: pd.Series) -> Path:
    given = row.get("au_table")
    beside = Path(row["path"]).with_suffix(".csv")
    return Path(given) if isinstance(given, str) and given else beside


# What must lie beside a video for these trackers, in the order in which `auto` looks for it.
BESIDE = {"simulated": _truth_of, "tables": _table_of}


def make_track(item: store.Item, path: Path) -> None:
    """Track one recording (work of `track_items`) and save its `faces.FaceTrack`."""
    recipe = dict(item.recipe)
    tracker, smoothing = recipe.pop("tracker"), float(recipe.pop("smoothing", 0.0))
    info = video.probe(item.inputs[0])
    size = (info.width, info.height)
    if tracker == "s3fd_fan":
        track = _networks_track(item.inputs[0], recipe)
    elif tracker == "mediapipe":
        track = mediapipe.track(item.inputs[0], folder=recipe.get("weights_folder"))
    elif tracker == "tables":
        track = faces.from_table(item.inputs[1], n_frames=info.n_frames, fps=info.fps, size=size)
    else:
        known, seed = truths.read(item.inputs[1]), zlib.crc32(item.name.encode())
        track = faces.simulate(known.landmarks, info.fps, seed=seed, **recipe)
        # Seen from the camera: the eyes turn in the head, and the head turns.
        seen = np.where(track.found[:, None], np.radians(known.gaze + known.pose[:, :2]), np.nan)
        track = replace(track, signals=dict(zip(tables.GAZE, seen.T.astype(np.float32))))
    faces.smooth(track, smoothing).save(path)


def _networks_track(path: Path, recipe: Mapping[str, Any]) -> faces.FaceTrack:
    from expresso_lib.faces import s3fd_fan  # torch: only where networks run

    files = tuple(sorted(recipe.get("files", {}).items()))
    networks = _networks(files, recipe["weights_folder"], recipe["device"], recipe["precision"])
    hold = 1 if recipe["device"] == "cpu" else 10  # a GPU likes many crops at once
    options = s3fd_fan.Options(recipe["detect_every"], recipe["detect_side"], hold, recipe["flip"])
    return s3fd_fan.track(path, networks, options)


@lru_cache(maxsize=1)
def _networks(files: tuple[tuple[str, str], ...], folder: str, device: str, precision: str) -> Any:
    from expresso_lib.faces import s3fd_fan

    return s3fd_fan.load(folder=folder, files=dict(files), device=device, precision=precision)


def load_tracks(outcomes: Iterable[store.Outcome]) -> dict[str, faces.FaceTrack | str]:
    """Read what `store.map` made: recording -> its track, or the error that it ended with."""
    return {done.item.name: done.error or faces.FaceTrack.load(done.path) for done in outcomes}


def archive_items(
    recordings: pd.DataFrame, tracks: str | Path, *, size: int, rate: float, input: str = "face"
) -> list[store.Item]:
    """List the cutting work: one item per recording whose track lies in folder `tracks`."""
    recipe = {"size": size, "rate": rate, "input": input}
    return [
        store.Item(name, recipe, (Path(path), Path(tracks) / f"{name}.npz"))
        for name, path in zip(recordings["recording"], recordings["path"])
    ]


def make_archive(item: store.Item, path: Path) -> None:
    """Cut one recording (work of `archive_items`) and save its `clips.ClipArchive`."""
    track = faces.FaceTrack.load(item.inputs[1])
    archives.prepare(item.inputs[0], track, **item.recipe).save(path)


def paths(outcomes: Iterable[store.Outcome]) -> dict[str, Path]:
    """Give recording -> file of what `store.map` made; failures are left out."""
    return {done.item.name: done.path for done in outcomes if done.error is None}


def kept(recordings: pd.DataFrame, report: pd.DataFrame) -> pd.DataFrame:
    """Take the recordings that passed `faces.assess`, in their order.

    Raises
    ------
    TrackerError
        If none did, with the reasons of the first.
    """
    passed = set(report.loc[report["passed"], "recording"])
    if not passed:
        raise TrackerError(
            f"all {len(report)} recordings are left out, {report['recording'].iloc[0]} for one: "
            f"{report['reasons'].iloc[0]}. Loosen the thresholds of 'faces', or bring others."
        )
    return recordings[recordings["recording"].isin(passed)].reset_index(drop=True)


def smoothing_effect(tracks: Mapping[str, faces.FaceTrack], frames: float) -> pd.DataFrame:
    """Jitter of every track as it is and smoothed with `frames`: recording, before, after."""
    table = pd.DataFrame({"recording": list(tracks)})
    table["before"] = [faces.jitter(track) for track in tracks.values()]
    return table.assign(after=[faces.jitter(faces.smooth(one, frames)) for one in tracks.values()])


def true_track(path: str | Path, fps: float) -> faces.FaceTrack | None:
    """The exact landmarks of a rendered recording; None where there are none."""
    truth = Path(path).with_suffix(".npz")
    if not truths.holds(truth):
        return None
    points = truths.read(truth).landmarks
    return faces.from_landmarks(points, np.ones(len(points)), fps, "truth")


def misread_landmarks(
    archive: archives.ClipArchive, row: int, track: faces.FaceTrack, shown: np.ndarray
) -> np.ndarray:
    """Put the landmarks that the paper's indexing reads for a frame onto its picture.

    Parameters
    ----------
    archive, row : the frame.
    track : of the recording; row 1 of it is what a found frame is given.
    shown : (68, 2) the frame's own landmarks on the picture, of `drawing.Scene`.
    """
    wrong = archives.transform_points(track.landmarks[1:2], archive.transform[row : row + 1])[0]
    own = archive.landmarks[row]
    scale = np.linalg.norm(np.ptp(shown, axis=0)) / np.linalg.norm(np.ptp(own, axis=0))
    return shown + (wrong - own) * scale


def worst_row(archive: archives.ClipArchive, errors: pd.DataFrame) -> int:
    """The archive's row whose misread landmarks lie farthest off (of `faces.index_errors`)."""
    return int(np.nanargmax(np.nan_to_num(errors["by_flag"].to_numpy()[archive.source])))


def spread(archive: archives.ClipArchive, count: int) -> np.ndarray:
    """Choose `count` rows with a face, evenly over the recording, increasing."""
    rows = np.flatnonzero(~archive.lost)
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]


def traces(
    track: faces.FaceTrack, smoothing: float, exact: faces.FaceTrack | None, *, landmark: int
) -> dict[str, np.ndarray]:
    """One landmark's height in time, pixels (F,): truth where there is one, raw, smoothed."""
    given = {} if exact is None else {"truth": exact}
    given |= {"raw": track, "smoothed": faces.smooth(track, smoothing)}
    return {name: one.landmarks[:, landmark, 1] for name, one in given.items()}


def frame_table(recordings: pd.DataFrame, tracks: Mapping[str, faces.FaceTrack]) -> pd.DataFrame:
    """One row per frame of every recording: time, found, confidence, the head's pose, gaze.

    `time` is the recording's own time stamp, seconds from its first frame; `yaw`, `pitch`, `roll`
    are degrees. `gaze_x` and `gaze_y` are radians to the image's right and down, `gaze_away` the
    angle from the recording's median direction; NaN where the tracker gives no gaze.
    """
    known = recordings.set_index("recording")
    parts = []
    for name, track in tracks.items():
        who, path = known.loc[name, ["participant", "path"]]
        about = {"participant": who, "recording": name, "frame": np.arange(track.n_frames)}
        about |= {"time": video.probe(path).times, "found": track.found}
        parts.append(pd.DataFrame(about | {"confidence": track.confidence} | _head(track)))
    return pd.concat(parts, ignore_index=True)


def _head(track: faces.FaceTrack) -> dict[str, np.ndarray]:
    """Pose in degrees and gaze in radians, the tracker's own where it has them."""
    turn = dict(zip(("yaw", "pitch", "roll"), faces.pose(track.landmarks).T))
    turn = {name: track.signals.get(name, values) for name, values in turn.items()}
    nothing = np.full(track.n_frames, np.nan)
    gaze = np.stack([track.signals.get(name, nothing) for name in tables.GAZE])
    seen = np.isfinite(gaze).all(axis=0)
    middle = np.median(gaze[:, seen], axis=1, keepdims=True) if seen.any() else np.nan
    away = np.linalg.norm(gaze - middle, axis=0)
    return turn | dict(zip(tables.GAZE, gaze)) | {"gaze_away": away}


def au_table(recordings: pd.DataFrame, tracks: Mapping[str, faces.FaceTrack]) -> pd.DataFrame:
    """The book's `action_units` table, from the best source that lies by the videos.

    The truth (NPZ) counts before another tool's table (CSV), and that before the track's proxies;
    the columns `source` and `unit` say what each row is.

    Parameters
    ----------
    recordings : columns participant, recording, path.
    tracks : recording -> its track, for proxies and the number of frames.
    """
    parts = []
    for _, row in recordings.iterrows():
        series, who = _au_series(row, tracks[row["recording"]]), row[["participant", "recording"]]
        parts.append(action_units.tidy(series, **who))
    return pd.concat(parts, ignore_index=True)


def _au_series(row: pd.Series, track: faces.FaceTrack) -> pd.DataFrame:
    truth, table = _truth_of(row), _table_of(row)
    if truths.holds(truth):
        return action_units.from_truth(truth)
    if table.is_file():
        try:
            info = video.probe(row["path"])
            size = info.width, info.height
            return action_units.read(table, n_frames=track.n_frames, track=track, size=size)
        except tables.TableError as error:
            log.warning("%s Proxies stand in for them.", error)
    return action_units.of_track(track)


def proxy_agreement(
    recordings: pd.DataFrame, tracks: Mapping[str, faces.FaceTrack]
) -> pd.DataFrame:
    """How well the proxies follow the truth: per AU the median r over recordings and its range.

    Empty where the recordings have no truth.
    """
    parts = []
    for _, row in recordings.iterrows():
        if truths.holds(_truth_of(row)):
            series, truth = tracks[row["recording"]], action_units.from_truth(_truth_of(row))
            parts.append(action_units.agreement(action_units.of_track(series), truth))
    pairs = pd.concat(parts) if parts else pd.DataFrame({"au": [], "r": []})
    r = pairs.groupby("au", sort=False)["r"]
    columns = {"r": r.median(), "low": r.quantile(0.1), "high": r.quantile(0.9)}
    return pd.DataFrame(columns | {"recordings": r.count()}).reset_index(names="au")
