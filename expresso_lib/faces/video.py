"""Recordings as streams of frames: exact seek, true time stamps, files that browsers play.

Frame `f` is the f-th picture in display order, however the file stores it. Which picture that is,
is read from the packets' time stamps without decoding any, so that a window late in a recording
costs one jump to the key frame before it. Memory does not grow with the recording's length.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
from av.stream import Disposition

from expresso_lib import store

log = logging.getLogger(__name__)

REORDERED = 17  # most pictures that H.264 and HEVC hold back for reordering, and one


class VideoError(ValueError):
    """A recording that cannot be read or written; the message names the file and the remedy."""


class Frame(NamedTuple):
    """One picture of a recording."""

    number: int  # 0-based, in display order
    image: np.ndarray  # uint8 (H, W, 3) RGB, upright


@dataclass(frozen=True, eq=False)
class VideoInfo:
    """What the container says about a recording, checked against its packets."""

    width: int  # pixels, after rotation
    height: int
    fps: float  # frames per second: the header's where it fits the time stamps, else the mean
    times: np.ndarray  # (F,) float64 seconds from the first frame
    rotation: int  # degrees counter-clockwise applied to make the picture upright
    pts: np.ndarray  # (F,) int64 time stamps in the stream's unit; empty where the file has none
    keys: np.ndarray  # frames at which decoding may start

    @property
    def n_frames(self) -> int:
        """Frames that the file holds."""
        return len(self.times)


def probe(path: str | Path) -> VideoInfo:
    """Describe a recording: size, rate, frames, time stamps.

    Raises
    ------
    VideoError
        Where the file is missing, empty, no video, or without a decodable frame.
    """
    path = Path(path)
    if not os.path.isfile(path):  # a path's own method raises where a name is too long
        raise VideoError(f"{path} is not a file; check the name and the folder.")
    stat = path.stat()
    return _scan(path, stat.st_mtime_ns, stat.st_size)


def read_frames(path: str | Path, frames: Iterable[int] | None = None) -> Iterator[Frame]:
    """Stream a recording's frames in display order.

    Parameters
    ----------
    path : recording in any format FFmpeg reads.
    frames : increasing 0-based frame numbers; all frames by default.

    Yields
    ------
    Frame
        Frames that cannot be decoded (a damaged file) are left out, counted and logged; their
        numbers are never given to another frame.

    Raises
    ------
    VideoError
        Where nothing can be read or a number lies outside the recording.
    """
    info = probe(path)
    wanted = list(range(info.n_frames)) if frames is None else [int(f) for f in frames]
    if any(b <= a for a, b in pairwise(wanted)):
        raise VideoError(f"frames of {path} must increase; sort them, or use read_array.")
    if wanted and (wanted[0] < 0 or wanted[-1] >= info.n_frames):
        raise VideoError(f"{path} has frames 0 to {info.n_frames - 1}, not all that were asked.")
    lost = len(wanted)
    with _opened(Path(path)) as (container, stream):
        for frame in _decoded(container, stream, info, wanted):
            lost -= 1
            yield frame
    if lost:
        log.warning("%s: %d of %d frames could not be decoded", path, lost, len(wanted))


def read_array(path: str | Path, frames: Sequence[int]) -> np.ndarray:
    """Read frames in any order, repeats allowed: uint8 (T, H, W, 3); a lost one is an error."""
    order = sorted({int(f) for f in frames})
    images = {frame.number: frame.image for frame in read_frames(path, order)}
    lost = [f for f in order if f not in images]
    if lost:
        raise VideoError(f"frames {lost} of {path} cannot be decoded; leave their window out.")
    return np.stack([images[int(f)] for f in frames])


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: float,
    *,
    crf: int = 18,
    key_every: int = 50,
) -> Path:
    """Write H.264 (yuv420p, index first) that every browser plays; the file is whole or absent.

    Parameters
    ----------
    frames : uint8 (H, W, 3) RGB each; an odd last row or column is repeated, as H.264 needs.
    fps : frames per second.
    crf : quality, 0 (best) to 51.
    key_every : frames between key frames, the cost of a jump.

    Raises
    ------
    VideoError
        Where there is no frame, a frame changes shape, or the disk refuses.
    """
    path = Path(path)
    if not fps > 0:
        raise VideoError(f"{path} cannot be written at {fps} frames/s; give the recording's rate.")
    try:
        with store.atomic(path) as temporary:
            _encode(temporary, frames, Fraction(fps).limit_denominator(1001), crf, key_every)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path} cannot be written: {error}; check space and rights.") from error
    return path


def warp(image: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """Cut an aligned square from a picture, averaging where it shrinks; black beyond the edge.

    Parameters
    ----------
    image : uint8 (H, W, 3).
    transform : (2, 3) pixels of the picture -> of the crop.
    size : side of the crop, pixels.
    """
    matrix = np.vstack([transform.astype(np.float64), [0, 0, 1]])
    corners = np.array([(0, 0, 1), (size, 0, 1), (0, size, 1), (size, size, 1)], float)
    back = (np.linalg.inv(matrix) @ corners.T)[:2]
    shrink = max(int(1 / np.sqrt(abs(np.linalg.det(matrix[:2, :2])))), 1)
    # Only the part that is seen is averaged down: a 4K frame costs no more than its face.
    left, top = np.maximum(np.floor(back.min(axis=1)).astype(int) - 2 * shrink, 0)
    right, bottom = np.ceil(back.max(axis=1)).astype(int) + 2 * shrink
    part = image[top : max(bottom, 0), left : max(right, 0)]
    part = part[: len(part) - len(part) % shrink, : part.shape[1] - part.shape[1] % shrink]
    if not part.size:
        return np.zeros((size, size, 3), np.uint8)
    if shrink > 1:
        smaller = (part.shape[1] // shrink, part.shape[0] // shrink)
        part = cv2.resize(part, smaller, interpolation=cv2.INTER_AREA)
    offset = (shrink - 1) / 2
    to_full = np.array([[shrink, 0, left + offset], [0, shrink, top + offset], [0, 0, 1]])
    return cv2.warpAffine(part, (matrix @ to_full)[:2], (size, size), flags=cv2.INTER_LINEAR)


def _encode(path: Path, frames: Iterable[np.ndarray], rate: Fraction, crf: int, key: int) -> None:
    # With x264's macroblock tree the same frames gave another file each time (at 112, 160 and 224
    # pixels); without it they give the same.
    options = {"crf": str(crf), "g": str(key), "threads": "1", "x264-params": "mbtree=0"}
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=rate, options=options)
        stream.pix_fmt, shape = "yuv420p", None
        for image in frames:
            if shape is None:
                shape = image.shape
                stream.height, stream.width = (side + side % 2 for side in shape[:2])
            if image.shape != shape or image.dtype != np.uint8 or shape[2:] != (3,):
                raise VideoError(f"{path}: frame {image.dtype} {image.shape}, not uint8 {shape}.")
            padding = ((0, shape[0] % 2), (0, shape[1] % 2), (0, 0))
            picture = np.ascontiguousarray(np.pad(image, padding, mode="edge"))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if shape is None:
            raise VideoError(f"{path}: no frames to write; check what was to be shown.")
        container.mux(stream.encode(None))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    try:
        # A camera's own tags are not always text; nothing here reads them.
        with av.open(str(path), metadata_errors="replace") as container:
            # A song's cover is a stream of one picture.
            streams = [one for one in container.streams.video
                       if not one.disposition & Disposition.attached_pic]  # fmt: skip
            if not streams:
                raise VideoError(f"{path} holds no video (sound only?); give the video file.")
            stream = streams[0]
            if stream.codec_context is None:
                raise VideoError(f"{path} cannot be decoded here; convert it, e.g. to H.264.")
            # Recordings are the unit of parallel work: threads inside one would compete with it.
            stream.codec_context.thread_count = 1
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"{path} cannot be read: {error}; copy it again.") from error


@lru_cache(maxsize=64)
def _scan(path: Path, modified: int, size: int) -> VideoInfo:
    with _opened(path) as (container, stream):
        # Packets to be dropped by an edit list (a trimmed video) never become frames.
        packets = [p for p in container.demux(stream) if p.size and not p.is_discard]
        stamps = [p.pts for p in packets]
        known = bool(stamps) and None not in stamps and len(set(stamps)) == len(stamps)
        # AVI has no display times: of reordered pictures those that are made up for it are wrong.
        known &= container.format.name != "avi" or not stream.codec_context.has_b_frames
        order = np.argsort(stamps) if known else np.arange(len(packets))
        pts = np.array(stamps, np.int64)[order] if known else np.empty(0, np.int64)
        keys = np.flatnonzero(np.array([p.is_keyframe for p in packets], bool)[order])
        base, header = float(stream.time_base or 0), float(stream.average_rate or 0)
        # The index of a file that was cut short reaches beyond its end; a trimmed one's does not.
        cut = any(entry.pos + entry.size > size for entry in stream.index_entries)
    if known and cut and len(pts) > 2:
        # Cut short: in storage order the last pictures have holes before them, which would
        # shift their numbers. What follows the first hole is lost with the rest.
        # Earlier ones are pauses of the camera.
        late = max(len(pts) - REORDERED, 0)
        holes = late + np.flatnonzero(np.diff(pts)[late:] > 1.5 * np.median(np.diff(pts)))
        pts = pts[: holes[0] + 1] if len(holes) else pts
        log.warning("%s is cut short: %d frames are left", path, len(pts))
    with _opened(path) as (container, stream):
        first = next(_pictures(container, stream), None)
        if first is None:
            raise VideoError(f"{path} holds no decodable frame; copy it again from its source.")
        rotation = int(round(first.rotation / 90) * 90) % 360
        if _mirrored(first):
            raise VideoError(f"{path} is to be shown mirrored, which is not read here: convert it "
                             "(ffmpeg -i OLD NEW does) and track faces in that.")  # fmt: skip
        width, height = first.width, first.height
        if (shape := stream.sample_aspect_ratio) and shape != 1:
            log.warning("%s has pixels %s times as wide as high: faces are measured as they are "
                        "stored; convert it to square pixels", path, shape)  # fmt: skip
    if rotation % 180:
        width, height = height, width
    if known and first.pts is not None:
        # Cut inside a group of pictures the first ones cannot be decoded, and nobody counts them.
        early = int(np.searchsorted(pts, first.pts))
        pts, keys = pts[early:], keys[keys >= early] - early
    times = np.arange(len(packets)) / (header or 25.0)
    if known:
        # The beginning can always be decoded, also where its key frame was trimmed away.
        times, keys = (pts - pts[0]) * base, np.union1d(keys[keys < len(pts)], [0])
    fps = _rate(path, header, times)
    return VideoInfo(width, height, fps, times, rotation, pts, keys)


def _mirrored(picture: Any) -> bool:
    """Whether a picture's display matrix turns it over, beyond rotating it."""
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False
    a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).astype(float)
    return bool(a * d < b * c)


def _rate(path: Path, header: float, times: np.ndarray) -> float:
    measured = (len(times) - 1) / times[-1] if len(times) > 1 and times[-1] > 0 else 0.0
    if not header and not measured:
        log.warning("%s states no frame rate and has one frame: 25 frames/s assumed", path)
        return 25.0
    # Containers round time stamps (to 1 ms in Matroska), headers are sometimes plainly wrong.
    return header if header and (not measured or abs(header / measured - 1) < 0.005) else measured


def _pictures(container: Any, stream: Any) -> Iterator[Any]:
    damaged = False
    for packet in container.demux(stream):
        damaged |= packet.is_corrupt
        try:
            for picture in packet.decode():
                # Up to the next key frame pictures are patched from what was damaged: lost, too.
                damaged = damaged and not picture.key_frame
                if not damaged:
                    yield picture
        except av.error.InvalidDataError:
            damaged = True


def _decoded(container: Any, stream: Any, info: VideoInfo, wanted: list[int]) -> Iterator[Frame]:
    starts = info.keys if len(info.keys) else np.zeros(1, int)
    keys = starts[np.maximum(np.searchsorted(starts, wanted, side="right") - 1, 0)]
    exact, position, pictures = len(info.pts) > 0, -1, _pictures(container, stream)
    picture, changed = None, False
    stored = (info.height, info.width) if info.rotation % 180 else (info.width, info.height)
    for key, frame in zip(keys.tolist(), wanted):
        if exact and key > position + 1:
            container.seek(int(info.pts[key]), stream=stream)
            pictures = _pictures(container, stream)
            picture = next(pictures, None)
            position = -1 if picture is None else _number(picture, info.pts)
            if not 0 <= position <= key:
                # The container jumped too far: decode from the start, which always works.
                container.seek(0, stream=stream)
                pictures, position = _pictures(container, stream), -1
        # What could not be decoded is passed over; the picture behind it may be the next one.
        while position < frame and (picture := next(pictures, None)) is not None:
            position = _number(picture, info.pts) if exact else position + 1
        if picture is not None and position == frame:
            if (picture.width, picture.height) != stored and not changed:
                changed = True
                log.warning("%s changes the size of its picture: later ones are scaled to the "
                            "first", container.name)  # fmt: skip
            shape = dict(zip(("width", "height"), stored))
            turned = np.rot90(picture.to_ndarray(format="rgb24", **shape), info.rotation // 90)
            yield Frame(position, np.ascontiguousarray(turned))


def _number(picture: Any, pts: np.ndarray) -> int:
    return int(np.searchsorted(pts, picture.pts))
