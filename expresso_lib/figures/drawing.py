"""The only place that shows a frame, where its data set allows it.

With the data set's leave (`Permission`) pictures show the recording. Without it no video is even
opened: the movement of the landmarks is drawn on the average rendered face, and attribution maps,
which can show a face too, are carried there region by region and blurred beyond recognition.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import Delaunay

from expresso_lib import _checks, clips, cohort, rendered, store
from expresso_lib.faces import anatomy, regions, video

# Signed attribution: blue lowers the score, white is zero, red raises it (as in plotting.style).
POSITIVE, NEGATIVE = (0xB2, 0x18, 0x2B), (0x21, 0x66, 0xAC)
SIZE = 224
# Blur of maps that may show nobody, as a share of the picture's side: what remains is about ten
# by ten patches, no finer than the regions of the published tables.
PRIVATE_BLUR = 0.06
# Where the outer eye corners and the tip of the nose lie on the average face, as shares of a side.
PLACES = ((0.24, 0.36), (0.76, 0.36), (0.5, 0.63))
LINES = (
    (anatomy.JAW, False), (anatomy.RIGHT_EYEBROW, False), (anatomy.LEFT_EYEBROW, False),
    (anatomy.NOSE_BRIDGE, False), (anatomy.NOSE_BASE, False), (anatomy.RIGHT_EYE, True),
    (anatomy.LEFT_EYE, True), (anatomy.OUTER_LIP, True), (anatomy.INNER_LIP, True),
)  # fmt: skip


@dataclass(frozen=True)
class Permission:
    """Whether a data set's faces may be shown, and what a caption says of it."""

    faces: bool

    @classmethod
    def of(cls, data: cohort.Cohort) -> Permission:
        """Return what a cohort's manifest entry allows."""
        return cls(bool(data.faces_may_be_shown))

    @property
    def note(self) -> str:
        """One sentence for captions."""
        hidden = "No participant's face is shown: movements are drawn on the average rendered face."
        return "" if self.faces else hidden


@dataclass(frozen=True, eq=False)
class Scene:
    """Pictures that may be shown, one per chosen row of a clip archive.

    Attributes
    ----------
    pictures : ndarray
        uint8 (K, S, S, 3) RGB: the aligned face, or the average rendered face.
    landmarks : ndarray
        float32 (K, 68, 2) pixels of the pictures; NaN where the face was lost.
    source : ndarray
        float32 (K, 68, 2) pixels of the archive's aligned face.
    side : int
        Side of the archive's aligned face, pixels.
    faces : bool
        Whether the pictures show the recording.
    """

    pictures: np.ndarray
    landmarks: np.ndarray
    source: np.ndarray
    side: int
    faces: bool

    def with_landmarks(self) -> np.ndarray:
        """The pictures with the face's lines drawn, uint8 (K, S, S, 3)."""
        return np.stack([_lines(p, m) for p, m in zip(self.pictures, self.landmarks)])

    def with_regions(self, *, strength: float = 0.45) -> np.ndarray:
        """The pictures tinted by region, uint8 (K, S, S, 3)."""
        shape = self.pictures.shape[1:3]
        average = None if self.faces else np.stack([_average(shape[0])[1]] * len(self.pictures))
        labels = regions.label_map(self.landmarks if average is None else average, shape)
        hexes = [anatomy.REGION_COLORS[name][1:] for name in anatomy.REGIONS]
        colors = np.array([[*bytes.fromhex(color)] for color in hexes], float)
        tint = np.where(labels == regions.BACKGROUND, 0.0, strength)[..., None]
        return _uint8(self.pictures * (1 - tint) + colors[labels] * tint)

    def with_attribution(self, maps: np.ndarray, *, limit: float | None = None) -> np.ndarray:
        """The pictures in grey under a signed attribution: red raises the score, blue lowers it.

        Parameters
        ----------
        maps : ndarray
            float (K, H, W) on the archive's aligned face, score points; NaN where there is none.
        limit : float, optional
            |value| of full colour; by default `limit_of` the maps. Without leave the blur has
            made every value smaller, so that these pictures always have a scale of their own.
        """
        carried = self.carry(maps)
        if limit is None or not self.faces:
            limit = limit_of(carried)
        return self.overlaid(carried, limit)

    def overlaid(self, carried: np.ndarray, limit: float) -> np.ndarray:
        """As `with_attribution`, with maps that `carry` has brought here."""
        return np.stack([signed(p, m, limit) for p, m in zip(self.pictures, carried)])

    def carry(self, maps: np.ndarray) -> np.ndarray:
        """Bring maps (K, H, W) of the archive onto the pictures, float32 (K, S, S).

        Without leave they are warped onto the average face, blurred, and cut to the face: neither
        the outline of the head nor anything behind it remains.
        """
        maps = np.nan_to_num(np.asarray(maps, np.float32))
        if len(maps) != len(self.pictures):
            raise ValueError(
                f"{len(maps)} maps do not fit {len(self.pictures)} pictures; give one each."
            )
        size = self.pictures.shape[1]
        if self.faces:
            return np.stack([cv2.resize(m, (size, size), interpolation=cv2.INTER_LINEAR)
                             for m in maps])  # fmt: skip
        return np.stack([self._private(m, here) for m, here in zip(maps, self.source)])

    def _private(self, values: np.ndarray, here: np.ndarray) -> np.ndarray:
        size = self.pictures.shape[1]
        if not np.isfinite(here).all():
            return np.zeros((size, size), np.float32)
        scale = values.shape[1] / self.side
        place = _average(size)[1]
        # Triangle by triangle, from the landmarks here to the average face's.
        corners, weights = _triangles(size)
        source = np.einsum("yxk,yxkc->yxc", weights, (here * scale)[corners]).astype(np.float32)
        warped = cv2.remap(values, source[..., 0], source[..., 1], cv2.INTER_LINEAR)
        warped *= weights.sum(axis=-1) > 0
        inside = (regions.label_map(place, (size, size)) != regions.BACKGROUND).astype(np.float32)
        sigma = PRIVATE_BLUR * size
        # Normalised within the face, so that its edge does not fade and nothing leaks over it.
        smooth = cv2.GaussianBlur(warped * inside, (0, 0), sigma)
        return smooth / cv2.GaussianBlur(inside, (0, 0), sigma).clip(1e-3) * inside


def scene(
    archive: clips.ClipArchive,
    rows: Sequence[int] | np.ndarray,
    permission: Permission,
    *,
    path: str | Path | None = None,
    size: int = SIZE,
) -> Scene:
    """Prepare pictures of some rows of a recording's archive.

    Parameters
    ----------
    archive : clips.ClipArchive
        Of the recording.
    rows : sequence of int
        Rows of the archive, in any order.
    permission : Permission
        Of the data set (`Permission.of`).
    path : path, optional
        The recording, for pictures in its own sharpness; else the archive's frames are enlarged.
        Without leave it is never opened.
    size : int
        Side of the pictures, pixels.

    Raises
    ------
    ValueError
        If a row does not exist, or the archive's frames are no pictures of a face (composite) and
        no `path` is given.
    """
    chosen = np.asarray(rows, dtype=int)
    if len(chosen) == 0 or chosen.min() < 0 or chosen.max() >= len(archive.frames):
        raise ValueError(f"rows must lie in 0 to {len(archive.frames) - 1}; got {chosen.tolist()}.")
    side = archive.frames.shape[1]
    here = archive.landmarks[chosen].astype(np.float32)
    if not permission.faces:
        moved = _on_average(archive.landmarks, chosen, size)
        pictures = np.repeat(_average(size)[0][None], len(chosen), axis=0)
        return Scene(pictures, moved, here, side, faces=False)
    scale = size / side
    points = (here + 0.5) * scale - 0.5
    return Scene(_aligned(archive, chosen, path, size), points, here, side, faces=True)


def limit_of(maps: np.ndarray, *, quantile: float = 0.995) -> float:
    """Return the |value| of full colour: a quantile, so that one pixel cannot bleach the rest.

    >>> limit_of(np.array([-2.0, 1.0, np.nan]), quantile=1.0)
    2.0
    """
    finite = np.abs(np.asarray(maps))
    finite = finite[np.isfinite(finite)]
    # Zero wherever there is no face or no clip: it says nothing about the scale.
    finite = finite[finite > 0]
    return float(np.quantile(finite, quantile)) if finite.size else 1.0


def colors(values: np.ndarray, limit: float) -> np.ndarray:
    """Return signed values as uint8 (..., 3) RGB: blue, white at zero, red.

    >>> colors(np.array([-1.0, 0.0, 1.0]), 1.0).tolist()
    [[33, 102, 172], [255, 255, 255], [178, 24, 43]]
    """
    strength = np.clip(np.nan_to_num(values) / limit, -1, 1)[..., None]
    end = np.where(strength > 0, np.array(POSITIVE, float), np.array(NEGATIVE, float))
    return _uint8(255 * (1 - np.abs(strength)) + end * np.abs(strength))


def write_overlay(
    path: str | Path,
    archive: clips.ClipArchive,
    maps: np.ndarray,
    permission: Permission,
    *,
    recording: str | Path | None = None,
    size: int = SIZE,
    chunk: int = 64,
) -> Path:
    """Write a video with the signed attribution over every row of an archive.

    Parameters
    ----------
    path : path
        The MP4 to write; browsers play it.
    archive : clips.ClipArchive
    maps : ndarray
        float (F', H, W) on the aligned face, as `explanation.Channel.map`.
    permission : Permission
    recording, size
        As in `scene`; one colour scale holds for the whole video.
    chunk : int
        Rows held in memory at a time.

    Returns
    -------
    Path
        The file.
    """
    _checks.shape(maps, (len(archive.frames), None, None), "maps")
    # On a sample: the scale needs no second pass over a long recording.
    rows = np.unique(np.linspace(0, len(archive.frames) - 1, 48).astype(int))
    sample = scene(archive, rows, permission, path=recording, size=size)
    limit = limit_of(sample.carry(maps[rows]))

    def frames() -> Iterator[np.ndarray]:
        for start in range(0, len(archive.frames), chunk):
            rows = np.arange(start, min(start + chunk, len(archive.frames)))
            part = scene(archive, rows, permission, path=recording, size=size)
            yield from part.overlaid(part.carry(maps[rows]), limit)

    return video.write_video(path, frames(), archive.fps)


def address(picture: np.ndarray) -> str:
    """Return a picture, uint8 (H, W, 3) RGB, as a data address (WebP) that a page can hold."""
    written = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 88])[1]
    return f"data:image/webp;base64,{base64.b64encode(written.tobytes()).decode()}"


def film(path: Path) -> str:
    """Return an MP4 as a data address that a page can hold."""
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"


def write_strip(path: Path, pictures: np.ndarray) -> None:
    """Write pictures uint8 (K, H, W, 3) side by side as a PNG of one's own; no page takes it."""
    beside = strip(pictures, columns=len(pictures))
    with store.atomic(path) as temporary:
        temporary.write_bytes(cv2.imencode(".png", beside[..., ::-1])[1].tobytes())


def enlarged(frame: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Return a rendered frame, float (H, W, 3) in 0 to 1, as a picture uint8 (S, S, 3)."""
    return _uint8(255 * cv2.resize(frame, (size, size), interpolation=cv2.INTER_CUBIC))


def strip(pictures: np.ndarray, *, columns: int = 8, gap: int = 4) -> np.ndarray:
    """Tile pictures (K, H, W, 3) on white, uint8; rows of `columns`."""
    count, height, width = pictures.shape[:3]
    columns = min(columns, count)
    lines = -(-count // columns)
    sheet = np.full((lines * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        top, left = (index // columns) * (height + gap), (index % columns) * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


@lru_cache(maxsize=4)
def _average(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The average rendered face, cut as tightly as a model's input: picture and landmarks."""
    frame = rendered.average_face(max(SIZE, size))
    # As complex numbers a similarity is one product and one sum.
    here = frame.landmarks[[*anatomy.OUTER_EYE_CORNERS, 33]] @ np.array([1, 1j])
    there = (np.array(PLACES) * size - 0.5) @ np.array([1, 1j])
    away = here - here.mean()
    turn = (away.conj() * (there - there.mean())).sum() / (np.abs(away) ** 2).sum()
    shift = there.mean() - turn * here.mean()
    transform = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    points = frame.landmarks @ transform[:, :2].T + transform[:, 2]
    return video.warp(frame.image, transform.astype(np.float32), size), points.astype(np.float32)


def _on_average(landmarks: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    """Landmarks (K, 68, 2) on the average face: its own, moved as the participant's move.

    Only the difference from the recording's median shape is drawn, so that the proportions of the
    participant's face do not show.
    """
    usual = np.nanmedian(landmarks, axis=0) if np.isfinite(landmarks).any() else landmarks[0]
    place = _average(size)[1]
    outer = list(anatomy.OUTER_EYE_CORNERS)
    unit = np.linalg.norm(np.diff(place[outer], axis=0)) / np.linalg.norm(
        np.diff(usual[outer], axis=0))  # fmt: skip
    return (place + (landmarks[rows] - usual) * unit).astype(np.float32)


def _aligned(
    archive: clips.ClipArchive, rows: np.ndarray, path: str | Path | None, size: int
) -> np.ndarray:
    if path is None:
        if archive.input == "composite":
            raise ValueError("a composite archive holds no face; give the recording's path.")
        return np.stack([cv2.resize(archive.frames[row], (size, size),
                                    interpolation=cv2.INTER_CUBIC) for row in rows])  # fmt: skip
    side = archive.frames.shape[1]
    # Whole numbers are centres of pixels, so a change of scale also shifts by half a pixel.
    scale, shift = size / side, size / side / 2 - 0.5
    grow = np.array([[scale, 0, shift], [0, scale, shift]])
    images = video.read_array(path, archive.source[rows])
    found = []
    for image, row in zip(images, rows):
        transform = np.vstack([archive.transform[row], [0, 0, 1]])
        found.append(video.warp(image, (grow @ transform).astype(np.float32), size))
    return np.stack(found)


@lru_cache(maxsize=4)
def _triangles(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each pixel of the average face: its triangle's landmarks, and their weights (0 outside).

    Both (S, S, 3), int and float32.
    """
    mesh = Delaunay(_average(size)[1].astype(np.float64))
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).reshape(-1, 2)
    found = mesh.find_simplex(grid)
    local = mesh.transform[found]
    first = np.einsum("nij,nj->ni", local[:, :2], grid - local[:, 2])
    weights = np.column_stack([first, 1 - first.sum(axis=1)]) * (found >= 0)[:, None]
    shape = (size, size, 3)
    return mesh.simplices[found].reshape(shape), weights.reshape(shape).astype(np.float32)


def signed(picture: np.ndarray, values: np.ndarray, limit: float) -> np.ndarray:
    """Lay signed values (H, W) over a picture in grey, uint8 (H, W, 3)."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    strength = np.clip(np.abs(values) / limit, 0, 1)[..., None] * 0.75
    return _uint8((0.6 * grey + 0.4 * 215) * (1 - strength) + colors(values, limit) * strength)


def _lines(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    drawn = picture.copy()
    if not np.isfinite(points).all():
        return drawn
    # Dark below light: readable on every skin tone.
    for color, thickness in (((20, 20, 20), 3), ((255, 255, 255), 1)):
        for group, closed in LINES:
            line = np.round(points[list(group)] * 8).astype(np.int32)
            cv2.polylines(drawn, [line], closed, color, thickness, cv2.LINE_AA, shift=3)
    return drawn


def _uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
