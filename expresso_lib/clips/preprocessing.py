"""One recording, one piece of work: its face track, then its clip archive, by `store.map`.

Recordings are independent of one another, so any executor takes them: this process, worker
processes, a Dask cluster. A recording that fails keeps its error as text and is left out by name.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expresso_lib import faces, manifest, store
from expresso_lib.clips import archives
from expresso_lib.faces import action_units, tables, video

BACKENDS = {
    "s3fd_fan": "S3FD and FAN",
    "openface": "read from a table",
    "simulated": "simulated (the truth on a 64-cell heat map, 1 % of frames lost)",
}


class BackendError(ValueError):
    """No back end can find faces in these recordings; the message says what to install or give."""


def choose_backend(name: str, recordings: pd.DataFrame, *, weights_folder: str = "") -> str:
    """Resolve ``auto``: the networks where weights are at hand, else what lies by the videos.

    Raises
    ------
    BackendError
        Where there are neither weights nor landmark tables nor, for rendered recordings, a truth.
    """
    if name != "auto":
        return name
    folder = weights_folder or None
    if all(manifest.path_of(f"weights_{one}", folder=folder).is_file() for one in ("s3fd", "fan")):
        return "s3fd_fan"
    for backend, beside in (("simulated", _truth_of), ("openface", _table_of)):
        if all(beside(row).is_file() for _, row in recordings.iterrows()):
            return backend
    raise BackendError(
        "no weights of S3FD and FAN here, and no landmark table beside every video; run "
        "'expresso data fetch s3fd fan', or put OpenFace tables <recording>.csv by the videos."
    )


def recipe_of(parameters: Any, backend: str) -> dict[str, Any]:
    """Take what decides a track from a run's `faces` section."""
    common = {"smoothing": parameters.smoothing}
    if backend != "s3fd_fan":
        return common
    return common | {
        "detector": parameters.detector,
        "every": parameters.detect_every,
        "side": parameters.detect_side,
        "flip": parameters.flip,
        "device": parameters.device,
        "precision": parameters.precision,
        "weights_folder": parameters.weights_folder,
        "weights_mirror": parameters.weights_mirror,
    }


def thresholds_of(parameters: Any) -> faces.Thresholds:
    """Take the quality thresholds from a run's `faces` section."""
    names = [field.name for field in fields(faces.Thresholds)]
    return faces.Thresholds(**{name: getattr(parameters, name) for name in names})


def track_items(recordings: pd.DataFrame, backend: str, **recipe: Any) -> list[store.Item]:
    """List the tracking work: one item per recording.

    Parameters
    ----------
    recordings : columns recording, path.
    backend : one of `BACKENDS`; the truth (NPZ) or the table (CSV) lies beside the video.
    recipe : smoothing (frames), and for ``s3fd_fan`` detector, every, side, device, precision,
        hold, weights_folder, weights_mirror.
    """
    beside = {"openface": _table_of, "simulated": _truth_of}.get(backend)
    items = []
    for _, row in recordings.iterrows():
        inputs = (Path(row["path"]),) + (() if beside is None else (beside(row),))
        items.append(store.Item(row["recording"], {"backend": backend} | recipe, inputs))
    return items


def _truth_of(row: pd.Series) -> Path:
    return Path(row["path"]).with_suffix(".npz")


def _table_of(row: pd.Series) -> Path:
    given = row.get("au_table")
    if isinstance(given, str) and given:
        return Path(given)
    return Path(row["path"]).with_suffix(".csv")


def make_track(item: store.Item, path: Path) -> None:
    """Track one recording (work of `track_items`) and save its `faces.FaceTrack`."""
    recipe = dict(item.recipe)
    backend, smoothing = recipe.pop("backend"), float(recipe.pop("smoothing", 0.0))
    info = video.probe(item.inputs[0])
    if backend == "s3fd_fan":
        track = _networks_track(item.inputs[0], recipe)
    elif backend == "openface":
        track = faces.from_table(item.inputs[1], n_frames=info.n_frames, fps=info.fps)
    else:
        with np.load(item.inputs[1], allow_pickle=False) as truth:
            landmarks = truth["landmarks"]
        track = faces.simulate(landmarks, info.fps, seed=zlib.crc32(item.name.encode()), **recipe)
    faces.smooth(track, smoothing).save(path)


def _networks_track(path: Path, recipe: Mapping[str, Any]) -> faces.FaceTrack:
    from expresso_lib.faces import s3fd_fan  # torch: only where networks run

    how = {name: recipe[name] for name in ("every", "side", "hold", "flip") if name in recipe}
    loaded = _networks(
        *(
            recipe.get(name, default)
            for name, default in (
                ("detector", "sfd"),
                ("weights_folder", ""),
                ("weights_mirror", ""),
                ("device", "cpu"),
                ("precision", "float32"),
            )
        ),
        tuple(sorted(dict(recipe.get("files", {})).items())),
    )
    return s3fd_fan.track(path, loaded, s3fd_fan.Options(**how))


@lru_cache(maxsize=1)
def _networks(
    detector: str,
    folder: str,
    mirror: str,
    device: str,
    precision: str,
    files: tuple[tuple[str, str], ...],
) -> Any:
    from expresso_lib.faces import s3fd_fan

    return s3fd_fan.load(
        detector,
        folder=folder,
        mirror=mirror,
        device=device,
        precision=precision,
        files=dict(files),
    )


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
    """Take the recordings that passed `faces.assess`, in their order."""
    passed = set(report.loc[report["passed"], "recording"])
    return recordings[recordings["recording"].isin(passed)].reset_index(drop=True)


def clip_rows(
    recordings: pd.DataFrame,
    of_recordings: Mapping[str, Path],
    *,
    frames: int,
    step: int = 0,
    dilation: int = 1,
) -> pd.DataFrame:
    """The book's `clips` table over all recordings, as `clips.clip_table` says."""
    parts = []
    for row in recordings.itertuples():
        archive = archives.ClipArchive.load(of_recordings[str(row.recording)])
        spans = archives.windows(archive.n_frames, frames, step=step, dilation=dilation)
        parts.append(
            archives.clip_table(
                archive, spans, participant=str(row.participant), recording=str(row.recording)
            )
        )
    return pd.concat(parts, ignore_index=True)


def smoothing_effect(tracks: Mapping[str, faces.FaceTrack], frames: float) -> pd.DataFrame:
    """Jitter of every track as it is and smoothed with `frames`: recording, before, after."""
    return pd.DataFrame(
        [
            {
                "recording": name,
                "before": faces.jitter(track),
                "after": faces.jitter(faces.smooth(track, frames)),
            }
            for name, track in tracks.items()
        ]
    )


def true_track(path: str | Path, fps: float) -> faces.FaceTrack | None:
    """The exact landmarks of a rendered recording; None where there are none."""
    truth = Path(path).with_suffix(".npz")
    if not truth.is_file():
        return None
    with np.load(truth, allow_pickle=False) as file:
        points = file["landmarks"]
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
    """One row per frame of every recording: time, found, confidence, head pose in degrees.

    `time` is the recording's own time stamp, seconds from its first frame.
    """
    known = recordings.set_index("recording")
    parts = []
    for name, track in tracks.items():
        turn = faces.pose(track.landmarks)
        parts.append(
            pd.DataFrame(
                {
                    "participant": known.at[name, "participant"],
                    "recording": name,
                    "frame": np.arange(track.n_frames),
                    "time": video.probe(str(known.at[name, "path"])).times,
                    "found": track.found,
                    "confidence": track.confidence,
                    "yaw": turn[:, 0],
                    "pitch": turn[:, 1],
                    "roll": turn[:, 2],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def au_table(recordings: pd.DataFrame, tracks: Mapping[str, faces.FaceTrack]) -> pd.DataFrame:
    """The book's `action_units` table, from the best source that lies by the videos.

    The truth (NPZ) counts before a table (OpenFace or Py-Feat CSV), and that before proxies; the
    column `source` says what each row is.

    Parameters
    ----------
    recordings : columns participant, recording, path.
    tracks : recording -> its track, for proxies and the number of frames.
    """
    parts = []
    for _, row in recordings.iterrows():
        series = _au_series(row, tracks[row["recording"]])
        long = action_units.tidy(series, participant=row["participant"], recording=row["recording"])
        parts.append(long.assign(source=series.attrs["source"]))
    return pd.concat(parts, ignore_index=True)


def _au_series(row: pd.Series, track: faces.FaceTrack) -> pd.DataFrame:
    truth, table = _truth_of(row), _table_of(row)
    if truth.is_file():
        return action_units.from_truth(truth)
    if table.is_file():
        # A table of landmarks alone will do: proxies follow.
        with suppress(tables.TableError):
            return action_units.read(table, n_frames=track.n_frames)
    return action_units.proxies(track.landmarks)


def proxy_agreement(
    recordings: pd.DataFrame, tracks: Mapping[str, faces.FaceTrack]
) -> pd.DataFrame:
    """How well the proxies follow the truth: per AU the median r over recordings and its range.

    Empty where the recordings have no truth.
    """
    parts = []
    for row in recordings.itertuples():
        if not Path(str(row.path)).with_suffix(".npz").is_file():
            continue
        series = action_units.proxies(tracks[str(row.recording)].landmarks)
        truth = action_units.from_truth(Path(str(row.path)).with_suffix(".npz"))
        parts.append(action_units.agreement(series, truth))
    pairs = pd.concat(parts) if parts else pd.DataFrame({"au": [], "r": []})
    grouped = pairs.groupby("au", sort=False)["r"]
    return pd.DataFrame(
        {
            "r": grouped.median(),
            "low": grouped.quantile(0.1),
            "high": grouped.quantile(0.9),
            "recordings": grouped.count(),
        }
    ).reset_index(names="au")
