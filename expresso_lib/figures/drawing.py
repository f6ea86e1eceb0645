"""The only place that shows a frame, where its data set allows it.

With the data set's leave (`Permission`) pictures show the recording. Without it no video is even
opened: the movement of the landmarks is drawn on the average rendered face, and attribution maps,
which can show a face too, are carried there region by region and blurred beyond recognition.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image
from scipy.interpolate import LinearNDInterpolator

from expresso_lib import clips, cohort, rendered, store
from expresso_lib.faces import anatomy, eye_distance, regions, video
from expresso_lib.figures import style

# Signed attribution: blue lowers the score, white is zero, red raises it.
NEGATIVE, POSITIVE = (255 * np.array(to_rgb(style.SIGN_COLORS[sign])) for sign in
                      ("negative", "positive"))  # fmt: skip
SIZE = 224
CHUNK = 64  # rows of a video that are held in memory at a time
# Blur of maps that may show nobody, as a share of the picture's side: what remains is about ten
# by ten patches, no finer than the regions of the published tables.
PRIVATE_BLUR = 0.06
# The face's lines, by whether they are closed.
LINES = {
    False: (anatomy.JAW, anatomy.RIGHT_EYEBROW, anatomy.LEFT_EYEBROW, anatomy.NOSE_BRIDGE,
            anatomy.NOSE_BASE),
    True: (anatomy.RIGHT_EYE, anatomy.LEFT_EYE, anatomy.OUTER_LIP, anatomy.INNER_LIP),
}  # fmt: skip


@dataclass(frozen=True)
class Permission:
    """Whether a data set's faces may be shown, and what a caption says of it."""

    faces: bool

    @classmethod
    def of(cls, data: cohort.Cohort) -> Self:
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
        labels = regions.label_map(self.landmarks if self.faces else _average(shape[0])[1], shape)
        colors = 255 * np.array([to_rgb(anatomy.REGION_COLORS[name]) for name in anatomy.REGIONS])
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
            raise ValueError(f"{len(maps)} maps, {len(self.pictures)} pictures: give one each.")
        size = self.pictures.shape[1]
        if self.faces:
            return np.stack([cv2.resize(m, (size, size)) for m in maps])
        place = _average(size)[1]
        # Triangle by triangle, from the landmarks here to the average face's; nothing beyond.
        known = np.moveaxis(self.source * (maps.shape[2] / self.side), 0, 1).astype(np.float64)
        grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1)
        source = LinearNDInterpolator(place, known)(grid).transpose(2, 3, 0, 1)
        source = np.nan_to_num(source, nan=-2).astype(np.float32)
        inside = (regions.label_map(place, (size, size)) != regions.BACKGROUND).astype(np.float32)
        # Normalised within the face, so that its edge does not fade and nothing leaks over it.
        blur = partial(cv2.GaussianBlur, ksize=(0, 0), sigmaX=PRIVATE_BLUR * size)
        weight = inside / blur(inside).clip(1e-3)
        warped = [cv2.remap(m, x, y, cv2.INTER_LINEAR) for m, (x, y) in zip(maps, source)]
        return np.stack([blur(one * inside) * weight for one in warped])


@dataclass(frozen=True, eq=False)
class Footage:
    """A recording, as far as its data set allows it to be seen.

    Attributes
    ----------
    archive : clips.ClipArchive
        Of the recording.
    permission : Permission
        Of the data set (`Permission.of`); without leave movements are drawn on the average
        rendered face.
    path : path, optional
        The recording, for pictures in its own sharpness; else the archive's frames are enlarged.
        Without leave it is never opened.
    """

    archive: clips.ClipArchive
    permission: Permission
    path: str | Path | None = None

    def scene(self, rows: Sequence[int] | np.ndarray, *, size: int = SIZE) -> Scene:
        """Prepare pictures of some rows of the archive, in any order.

        Parameters
        ----------
        rows : sequence of int
            Rows of the archive.
        size : int
            Side of the pictures, pixels.

        Raises
        ------
        ValueError
            If a row does not exist, or the archive's frames are no pictures of a face (composite)
            and there is no `path`.
        """
        chosen, last = np.asarray(rows, dtype=int), len(self.archive.frames) - 1
        if len(chosen) == 0 or chosen.min() < 0 or chosen.max() > last:
            raise ValueError(f"rows must lie in 0 to {last}; got {chosen.tolist()}.")
        side, here = self.archive.frames.shape[1], self.archive.landmarks[chosen]
        if self.permission.faces:
            pictures, points = self._aligned(chosen, size), (here + 0.5) * (size / side) - 0.5
        else:
            pictures = np.repeat(_average(size)[0][None], len(chosen), axis=0)
            points = _on_average(self.archive.landmarks, chosen, size)
        return Scene(pictures, points, here, side, self.permission.faces)

    def _aligned(self, rows: np.ndarray, size: int) -> np.ndarray:
        """Return the face in some rows, cut from the recording where its path is known."""
        if self.path is None:
            if self.archive.input == "composite":
                raise ValueError("a composite archive holds no face; give the recording's path.")
            return np.stack([_resized(self.archive.frames[row], size) for row in rows])
        # Whole numbers are centres of pixels, so a change of scale also shifts by half a pixel.
        scale = size / self.archive.frames.shape[1]
        grow = np.array([[scale, 0, scale / 2 - 0.5], [0, scale, scale / 2 - 0.5]])
        transforms = grow @ np.insert(self.archive.transform[rows], 2, (0, 0, 1), axis=1)
        images = video.read_array(self.path, self.archive.source[rows])
        pairs = zip(images, transforms.astype(np.float32))
        return np.stack([video.warp(image, one, size) for image, one in pairs])

    def write_overlay(self, path: Path, maps: np.ndarray) -> Path:
        """Write a video with the signed attribution over every row, on one colour scale.

        Parameters
        ----------
        path : path
            The MP4 to write; browsers play it.
        maps : ndarray
            float (F', H, W) on the aligned face, as `explanation.Channel.map`.

        Returns
        -------
        Path
            The file.
        """

        def carried(rows: np.ndarray) -> tuple[Scene, np.ndarray]:
            part = self.scene(rows)
            return part, part.carry(maps[rows])

        # On a sample: the scale needs no second pass over a long recording.
        rows = np.arange(len(self.archive.frames))
        limit = limit_of(carried(np.unique(np.linspace(0, rows[-1], 48).astype(int)))[1])
        parts = (carried(some) for some in np.split(rows, rows[CHUNK::CHUNK]))
        frames = (one for part, values in parts for one in part.overlaid(values, limit))
        return video.write_video(path, frames, self.archive.fps)


def limit_of(maps: np.ndarray) -> float:
    """Return the |value| of full colour: a quantile, so that one pixel cannot bleach the rest.

    >>> limit_of(np.array([-2.0, 0.0, 2.0, np.nan]))
    2.0
    """
    values = np.abs(maps)
    # Zero or NaN wherever there is no face or no clip: it says nothing about the scale.
    values = values[values > 0]
    return float(np.quantile(values, 0.995)) if values.size else 1.0


def colors(values: np.ndarray, limit: float) -> np.ndarray:
    """Return signed values as uint8 (..., 3) RGB: blue, white at zero, red.

    >>> colors(np.array([-1.0, 0.0, 1.0]), 1.0).tolist()
    [[33, 102, 172], [255, 255, 255], [178, 24, 43]]
    """
    strength = np.clip(np.nan_to_num(values) / limit, -1, 1)[..., None]
    end = np.where(strength > 0, POSITIVE, NEGATIVE)
    return _uint8(255 * (1 - np.abs(strength)) + end * np.abs(strength))


def address(picture: np.ndarray) -> str:
    """Return a picture, uint8 (H, W, 3 or 4), as a data address (WebP) that a page can hold."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="WEBP", quality=88)
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def film(path: Path) -> str:
    """Return an MP4 as a data address that a page can hold."""
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"


def write_strip(path: Path, pictures: np.ndarray) -> None:
    """Write pictures uint8 (K, H, W, 3) side by side as a PNG of one's own; no page takes it."""
    with store.atomic(path) as temporary:
        Image.fromarray(strip(pictures, columns=len(pictures))).save(temporary, format="PNG")


def enlarged(frame: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Return a rendered frame, float (H, W, 3) in 0 to 1, as a picture uint8 (S, S, 3)."""
    return _uint8(255 * _resized(frame, size))


def strip(pictures: np.ndarray, *, columns: int = 8, gap: int = 4) -> np.ndarray:
    """Tile pictures (K, H, W, 3) on white, uint8; rows of `columns`."""
    columns = min(columns, len(pictures))
    room = ((0, -len(pictures) % columns), (0, gap), (0, gap), (0, 0))
    cells = np.pad(pictures, room, constant_values=255)
    sheet = np.vstack([np.hstack([*row]) for row in np.split(cells, len(cells) // columns)])
    return sheet[: len(sheet) - gap, : sheet.shape[1] - gap]


@lru_cache(maxsize=4)
def _average(size: int) -> tuple[np.ndarray, np.ndarray]:
    """The average rendered face, cut as a model's input is: picture and landmarks."""
    frame = rendered.average_face(max(SIZE, size))
    points = frame.landmarks[None]
    (transform,) = transforms = clips.align(points, size)
    return video.warp(frame.image, transform, size), clips.transform_points(points, transforms)[0]


def _on_average(landmarks: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    """Landmarks (K, 68, 2) on the average face: its own, moved as the participant's move.

    Only the difference from the recording's median shape is drawn, so that the proportions of the
    participant's face do not show.
    """
    usual = np.nanmedian(landmarks, axis=0) if np.isfinite(landmarks).any() else landmarks[0]
    place = _average(size)[1]
    there, here = eye_distance(np.stack([place, usual]))
    return (place + (landmarks[rows] - usual) * there / here).astype(np.float32)


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
        for closed, groups in LINES.items():
            lines = [np.round(points[list(group)] * 8).astype(np.int32) for group in groups]
            cv2.polylines(drawn, lines, closed, color, thickness, cv2.LINE_AA, shift=3)
    return drawn


def _resized(picture: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC)


def _uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
