"""Clips: which frames, cut how.

`windows` is the one function that says which frames make a clip; every table and every tensor
asks it. `prepare` cuts a recording into a `ClipArchive`: aligned faces (or the paper's composite)
at the clips' frame rate, with landmarks, regions and the way back to the recording.
"""

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from expresso_lib import _checks, rendered, store
from expresso_lib.clips.alignment import ClipError, align, filled, steady, transform_points
from expresso_lib.faces import regions, video

log = logging.getLogger(__name__)

# Frames between those by which a crop follows a changed head: few beside the seconds of `steady`.
GUIDED = 6

INPUTS = ("face", "composite")
# The composite magnifies and its tiles reach beyond the face: it is sampled from a picture this
# much finer than the aligned face and wider by this share of its side on each side.
FINER, WIDER = 3, 0.25


@dataclass(frozen=True, eq=False)
class ClipArchive:
    """What a model may see of one recording; row g is the g-th frame at the clips' rate."""

    frames: np.ndarray  # uint8 (F', H, W, 3) RGB; black where the frame could not be read
    source: np.ndarray  # int64 (F',) frame number in the recording
    landmarks: np.ndarray  # float32 (F', 68, 2) pixels of the aligned face, NaN where lost
    transform: np.ndarray  # float32 (F', 2, 3) pixels of the recording -> of the aligned face
    regions: np.ndarray  # uint8 (F', H, W) indexes of anatomy.REGIONS, on `frames`
    fps: float  # frames per second of this series
    input: str = "face"  # or composite
    maps: np.ndarray | None = None  # float32 (F', H, W, 2) composite -> aligned face, pixels

    @property
    def n_frames(self) -> int:
        """Frames of the series, F'."""
        return len(self.frames)

    @property
    def lost(self) -> np.ndarray:
        """Bool (F',), True where no face was found."""
        return ~np.isfinite(self.landmarks).all(axis=(1, 2))

    @property
    def face_regions(self) -> np.ndarray:
        """Region labels (F', H, W) on the aligned face, whatever the input shows.

        A lost frame's lie between its neighbours', on a composite as on a face.
        """
        if self.maps is None:
            return self.regions
        return regions.label_map(filled(self.landmarks), self.frames.shape[1:3])

    def save(self, path: str | Path) -> Path:
        """Write NPZ atomically."""
        arrays = {name: value for name, value in vars(self).items() if value is not None}
        return store.write_arrays(path, **arrays)

    @staticmethod
    def rate(path: str | Path) -> float:
        """Frames per second of an archive's series, without reading its pictures."""
        with np.load(path, allow_pickle=False) as file:
            return float(file["fps"])

    @staticmethod
    def rows(path: str | Path) -> int:
        """Number of frames F' of an archive, without reading its pictures."""
        with np.load(path, allow_pickle=False) as file:
            return len(file["source"])

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote."""
        arrays = store.read_arrays(path, "clip archive")
        return cls(**arrays | {"fps": float(arrays["fps"]), "input": str(arrays["input"])})


def windows(n_frames: int, length: int, *, step: int = 0, dilation: int = 1) -> np.ndarray:
    """Say which frames make each clip.

    Parameters
    ----------
    n_frames : frames in the series, F.
    length : frames in a clip, T.
    step : frames between the starts of neighbouring windows; 0 spreads the fewest windows that
        cover the series from its first frame to its last, or just before it.
    dilation : frames between neighbouring frames of a clip.

    Returns
    -------
    ndarray
        int64 (N, T), row n the frames of clip n; no window is padded, so N is 0 where F is less
        than one span of (T - 1) * dilation + 1 frames.

    Examples
    --------
    >>> windows(7, 3, step=2)
    array([[0, 1, 2],
           [2, 3, 4],
           [4, 5, 6]])
    >>> windows(125, 32)[:, 0]
    array([ 0, 31, 62, 93])
    """
    if min(n_frames, step) < 0 or min(length, dilation) < 1:
        raise ClipError(
            f"n_frames {n_frames}, length {length}, step {step}, dilation {dilation}: "
            "give 0 or more frames and step, and at least 1 of the others."
        )
    span = (length - 1) * dilation + 1
    if step == 0:
        count = math.ceil(n_frames / span)
        step = max(1, (n_frames - span) // max(1, count - 1))
    starts = np.arange(0, n_frames - span + 1, step, dtype=np.int64)
    return starts[:, None] + np.arange(length, dtype=np.int64) * dilation


def archived(
    recordings: pd.DataFrame,
    folder: str | Path,
    people: Iterable[str],
    *,
    length: int = 1,
    dilation: int = 1,
) -> pd.DataFrame:
    """Recordings with an archive in `folder` that holds a clip, in order, with its ``archive``.

    Parameters
    ----------
    recordings : DataFrame
        ``participant, recording``.
    people : iterable of str
        Participants that count.
    length, dilation : int
        Of the clip; shorter recordings are left out.
    """
    ordered = recordings[recordings["participant"].isin(list(people))]
    ordered = ordered.sort_values(["participant", "recording"], ignore_index=True)
    files = [Path(folder) / f"{name}.npz" for name in ordered["recording"]]
    span = (length - 1) * dilation + 1
    holds = [path.is_file() and ClipArchive.rows(path) >= span for path in files]
    return ordered.assign(archive=files)[holds].reset_index(drop=True)


def resample(times: np.ndarray, rate: float) -> np.ndarray:
    """Say which frames make a series at `rate` frames/s: the nearest in time, int64 (F',).

    An evenly slower recording keeps all its frames. Time stamps decide, so that variable
    frame rates come out even.

    Examples
    --------
    >>> resample(np.arange(6) / 25, 12.5), resample(np.arange(4) / 10, 12.5)
    (array([0, 2, 4]), array([0, 1, 2, 3]))
    """
    if not rate > 0:
        raise ClipError(f"rate is {rate}; give frames per second above 0.")
    if len(times) < 2:
        return np.arange(len(times), dtype=np.int64)
    span = float(times[-1] - times[0])
    rate = min(rate, (len(times) - 1) / span) if span > 0 else rate
    grid = np.arange(int(span * rate + 1e-6) + 1) / rate + times[0]
    after = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
    earlier = grid - times[after - 1] <= times[after] - grid
    return np.unique(after - earlier).astype(np.int64)


def prepare(
    path: str | Path, track: Any, *, size: int = 64, rate: float = 12.5, input: str = "face"
) -> ClipArchive:
    """Cut one recording for the model, streaming.

    Parameters
    ----------
    path : the recording.
    track : its `faces.FaceTrack` (row f is frame f).
    size : side of the model's input, pixels.
    rate : frames per second of the series; a slower recording keeps its own.
    input : ``face`` (aligned) or ``composite`` (the paper's tiles).

    Raises
    ------
    ClipError
        Where the track was made for another recording, or no frame has a face.
    """
    info = video.probe(path)
    if track.n_frames != info.n_frames:
        raise ClipError(
            f"{path} has {info.n_frames} frames, its face track {track.n_frames}; "
            "make the track from this file, or read its table with n_frames."
        )
    source = resample(info.times, rate)
    longest = float(np.diff(info.times[source]).max(initial=0.0))
    fps = min(rate, info.fps) if len(source) > 1 else info.fps
    if longest > 2 / fps:
        log.warning("%s: up to %.2f s lie between frames that should be %.2f s apart: its rate "
                    "varies, and clips that hold such a stretch last longer than they say",
                    path, longest, 1 / fps)  # fmt: skip
    pictures = ((frame.number, frame.image) for frame in video.read_frames(path, source))
    try:
        return assemble(pictures, source, track.landmarks[source], fps=fps, size=size, input=input)
    except ClipError as error:
        raise ClipError(f"{path}: {error}") from None


def assemble(
    pictures: Iterable[tuple[int, np.ndarray]],
    source: np.ndarray,
    landmarks: np.ndarray,
    *,
    fps: float,
    size: int = 64,
    input: str = "face",
    guide: np.ndarray | None = None,
) -> ClipArchive:
    """Cut pictures that are at hand, one after another.

    Parameters
    ----------
    pictures : frame number and picture, uint8 (H, W, 3) RGB; a number that never comes stays
        black and counts as lost.
    source : (F',) frame numbers of the series, rising.
    landmarks : (F', 68, 2) pixels of the pictures, NaN where lost.
    fps : frames per second of the series.
    size, input : as in `prepare`.
    guide : (F', 68, 2) landmarks that the crop follows; default: these, steadied.

    Raises
    ------
    ClipError
        Where no frame has a face.
    """
    _checks.one_of(input, INPUTS, "input")
    transform = align(steady(landmarks, fps) if guide is None else guide, size)
    # A lost frame's regions and tiles follow its neighbours; its landmarks stay NaN.
    aligned = transform_points(landmarks, transform)
    whole = filled(aligned)
    tiles = input == "composite"
    maps = np.stack([regions.composite_map(one, size) for one in whole]) if tiles else None
    frames, lost = np.zeros((len(source), size, size, 3), np.uint8), np.ones(len(source), bool)
    for number, image in pictures:
        row = int(np.searchsorted(source, number))
        lost[row] = False
        if maps is None:
            frames[row] = video.warp(image, transform[row], size)
        else:
            frames[row] = _tiled(image, transform[row], maps[row])
    aligned[lost] = np.nan
    labels = regions.label_map(whole, (size, size)) if maps is None else _tiled_labels(whole, maps)
    return ClipArchive(frames, source, aligned, transform, labels, float(fps), input, maps)


def _tiled(image: np.ndarray, transform: np.ndarray, tiles: np.ndarray) -> np.ndarray:
    size = len(tiles)
    edge = round(WIDER * size)
    wide = transform.copy()
    wide[:, 2] += edge
    wide *= FINER
    wide[:, 2] += (FINER - 1) / 2  # whole numbers are centres of pixels
    fine = video.warp(image, wide, FINER * (size + 2 * edge))
    return regions.compose(fine, ((tiles + edge + 0.5) * FINER - 0.5).astype(np.float32))


def _tiled_labels(points: np.ndarray, maps: np.ndarray) -> np.ndarray:
    size = maps.shape[1]
    edge = round(WIDER * size)
    wide = regions.label_map(points + edge, (size + 2 * edge,) * 2)
    seen = zip(wide, maps + edge)
    return np.stack([regions.compose(one, tiles, labels=True) for one, tiles in seen])


class Rerendering:
    """A rendered recording shown again with its script changed, cut as its archive was cut.

    For interventions: the same moments with one thing different. Every picture is aligned on its
    own landmarks, as a tracker would see them: those of the rendering plus the error that the
    tracker made in that frame of the recording. So a head that is held still is not moved by the
    crop, and a composite's tiles follow the changed face.

    Parameters
    ----------
    archive : ClipArchive
        Of the recording.
    script : rendered.Script
        That the recording was rendered from.
    size, full_size : int
        Sides of what is rendered here and of the recording's pictures, pixels.
    """

    def __init__(
        self, archive: ClipArchive, script: Any, *, size: int = 112, full_size: int = 160
    ) -> None:
        self.archive, self.script, self.size, self.full_size = archive, script, size, full_size
        self._drawn: dict[tuple[Any, ...], Any] = {}

    def show(self, script: Any, rows: np.ndarray) -> np.ndarray:
        """Rows (T,) of the archive as another script shows them, uint8 (T, S, S, 3)."""
        source = self.archive.source[rows]
        drawn = self._render(script, source)
        own = np.stack([frame.landmarks for frame in self._render(self.script, source)])
        change = np.stack([frame.landmarks for frame in drawn]) - own
        tracked, fps = self._tracked(), self.archive.fps
        guide = steady(tracked, fps)[rows]
        then, now = (np.hstack([one.pose, one.shift]) for one in (self.script, script))
        if not np.array_equal(then, now):
            # The crop follows the head slowly, that of the change as that of the recording: over
            # seconds around the clip, of which some frames tell enough.
            some = np.arange(0, len(tracked), GUIDED)
            at: dict[str, Any] = {"size": self.size, "frames": self.archive.source[some]}
            moved = np.full_like(tracked, np.nan)
            moved[some] = rendered.landmarks(script, **at)
            moved[some] -= rendered.landmarks(self.script, **at)
            guide = guide + steady(moved, fps)[rows]
        pictures = zip(source.tolist(), (frame.image for frame in drawn))
        how: dict[str, Any] = {"size": self.archive.frames.shape[1], "input": self.archive.input}
        points = tracked[rows] + change
        return assemble(pictures, source, points, fps=fps, guide=guide, **how).frames

    def _tracked(self) -> np.ndarray:
        """The recording's tracked landmarks (F', 68, 2), pixels of what is rendered here."""
        transform = self.archive.transform.astype(np.float64)
        away = self.archive.landmarks - transform[:, None, :, 2]
        full = np.linalg.solve(transform[:, None, :, :2], away[..., None])[..., 0]
        # Whole numbers are centres of pixels, whatever the size.
        return (full + 0.5) * self.size / self.full_size - 0.5

    def _render(self, script: Any, frames: np.ndarray) -> list[Any]:
        """Frames of a script; what shows the same as before is not rendered again."""
        states = (script.au, script.gaze, script.pose, script.shift)
        keys = [(int(f), script.headset, *(part[f].tobytes() for part in states)) for f in frames]
        new = [key for key in dict.fromkeys(keys) if key not in self._drawn]
        drawn = rendered.render(script, size=self.size, frames=[key[0] for key in new])
        self._drawn |= dict(zip(new, drawn))
        return [self._drawn[key] for key in keys]


def stack(archive: ClipArchive, frames: np.ndarray) -> np.ndarray:
    """Clips as a model takes them, float32 (N, 3, T, H, W) in 0 to 1, of windows (N, T)."""
    shown = archive.frames[frames].transpose(0, 4, 1, 2, 3)
    return np.ascontiguousarray(shown.astype(np.float32) / 255)


def cut(
    recordings: pd.DataFrame, files: Mapping[str, Path], *, length: int, step: int, dilation: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """All clips of recordings, a row each, and their `windows` (N, T).

    Recordings shorter than one clip are logged and left out.

    Parameters
    ----------
    recordings : columns participant, recording.
    files : recording -> its archive.
    length, step, dilation : of `windows`.

    Returns
    -------
    table : DataFrame
        ``clip, participant, recording``; `first` and `last` count the archive's frames,
        `source_first` and `source_last` the recording's; `lost` is the share of the clip's frames
        without a face.
    windows : ndarray

    Raises
    ------
    ClipError
        If no recording is as long as a clip.
    """
    tables, spans, longest = [], [], 0
    for one in recordings.itertuples():
        archive = ClipArchive.load(files[str(one.recording)])
        chosen = windows(archive.n_frames, length, step=step, dilation=dilation)
        longest = max(longest, archive.n_frames)
        if not len(chosen):
            log.warning("%s is shorter than one clip and left out", one.recording)
            continue
        names = [f"{one.recording}_{start:05d}" for start in chosen[:, 0]]
        whose = {"participant": str(one.participant), "recording": str(one.recording)}
        table = pd.DataFrame({"clip": names} | whose)
        table[["first", "last"]] = chosen[:, [0, -1]]
        table[["source_first", "source_last"]] = archive.source[chosen[:, [0, -1]]]
        tables.append(table.assign(lost=archive.lost[chosen].mean(axis=1)))
        spans.append(chosen)
    if not tables:
        raise ClipError(
            f"no recording is as long as a clip: it spans {(length - 1) * dilation + 1} frames "
            f"(clips.frames = {length}, clips.dilation = {dilation}), the longest recording has "
            f"{longest}; take fewer frames."
        )
    return pd.concat(tables, ignore_index=True), np.concatenate(spans)
