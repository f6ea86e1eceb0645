"""Features: eyes, mouth and glasses, drawn every frame as curves through the moved landmarks.

Each feature has a local frame along its corners; its outlines are functions v(u), so that every
pixel knows its distance to them and edges are anti-aliased by that distance. Upper and lower
outlines are separated first (`part`), hence lids and lips never cross.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from expresso_lib.faces import anatomy

_UPPER_LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))
_INNER_LIPS = ((61, 67), (62, 66), (63, 65))
_OUTER_LIPS = ((49, 61, 59, 67), (50, 61, 58, 67), (51, 62, 57, 66), (52, 63, 56, 65),
               (53, 63, 55, 65))
LIP_GAP = .12   # mm that stay between closed lips or lids: they meet but do not cross


def part(points: np.ndarray) -> np.ndarray:
    """Return landmarks (68, 3) mm whose lids and lips do not cross.

    Where an upper point has sunk below its lower partner both move to their common middle; outer
    lip points keep at least 1.2 mm of lip.
    """
    points, y = points.copy(), points[:, 1].tolist()
    for upper, lower in _UPPER_LIDS + _INNER_LIPS:
        overlap = y[upper] + LIP_GAP - y[lower]
        if overlap > 0:
            y[upper] -= overlap / 2
            y[lower] += overlap / 2
    for top, inner_top, bottom, inner_bottom in _OUTER_LIPS:
        y[top] = min(y[top], y[inner_top] - 1.2)
        y[bottom] = max(y[bottom], y[inner_bottom] + 1.2)
    points[:, 1] = y
    return points


@dataclass(frozen=True, eq=False)
class Patch:
    """A window of the picture with its local coordinates.

    Attributes
    ----------
    rows, columns : slice
        The window.
    u, v : ndarray (h, w)
        Coordinates along and across the line between the corners, pixels.
    points : ndarray (K, 2)
        The feature's landmarks in (u, v).
    unit : float
        Pixels per mm.
    origin : ndarray (2,)
        Pixel of u = v = 0.
    axes : ndarray (2, 2)
        Unit vectors of u and v in pixels.
    """

    rows: slice
    columns: slice
    u: np.ndarray
    v: np.ndarray
    points: np.ndarray
    unit: float
    origin: np.ndarray
    axes: np.ndarray

    def local(self, pixels: np.ndarray) -> np.ndarray:
        """Return picture points (K, 2) in (u, v)."""
        return (pixels - self.origin) @ self.axes.T


def patch(pixels: np.ndarray, corners: tuple[int, int], margin: float, size: int, unit: float
          ) -> Patch | None:
    """Return the window around `pixels` (K, 2), or None where it leaves the picture."""
    low = np.floor(pixels.min(axis=0) - margin).astype(int).clip(0, size)
    high = np.ceil(pixels.max(axis=0) + margin + 1).astype(int).clip(0, size)
    if (high - low).min() < 2:
        return None
    left, right = pixels[corners[0]], pixels[corners[1]]
    axis = (right - left) / np.linalg.norm(right - left)
    axes = np.array([axis, (-axis[1], axis[0])])
    origin = (left + right) / 2
    dx = np.arange(low[0], high[0]) - origin[0]
    dy = np.arange(low[1], high[1])[:, None] - origin[1]
    u, v = axes[0, 0] * dx + axes[0, 1] * dy, axes[1, 0] * dx + axes[1, 1] * dy
    local = (pixels - origin) @ axes.T
    return Patch(slice(low[1], high[1]), slice(low[0], high[0]), u, v, local, unit, origin, axes)


def curves(knots: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return v(u) of the smooth curves through knots (C, K, 2), (C, *u.shape).

    Cubic Hermite pieces, slopes by finite differences. Several at once: a window of the picture
    is so small that it is the number of calls that counts.
    """
    order = np.argsort(knots[..., 0], axis=1)
    x, y = np.take_along_axis(knots, order[..., None], axis=1).transpose(2, 1, 0)
    width = np.maximum(x[1:] - x[:-1], 1e-3)
    secant = (y[1:] - y[:-1]) / width
    slope = np.empty_like(x)
    slope[1:-1] = (secant[:-1] * width[1:] + secant[1:] * width[:-1]) / (width[1:] + width[:-1])
    slope[0] = 1.5 * secant[0] - .5 * slope[1]
    slope[-1] = 1.5 * secant[-1] - .5 * slope[-2]
    pieces = np.stack([x[:-1], width, y[:-1], y[1:], slope[:-1] * width, slope[1:] * width])
    which = sum(u > inner[:, None, None] for inner in x[1:-1])
    # Taken from flat rows: fancy indexes would leave the six side by side, which is slow after.
    at = which * len(knots) + np.arange(len(knots))[:, None, None]
    start, long, a, b, m, n = pieces.reshape(6, -1).take(at, axis=1)
    t = unit_range((u - start) / long)
    t2 = t * t
    t3 = t2 * t
    return (2 * t3 - 3 * t2 + 1) * a + (t3 - 2 * t2 + t) * m + (3 * t2 - 2 * t3) * b + (t3 - t2) * n


def unit_range(values: np.ndarray) -> np.ndarray:
    """Return values limited to 0..1; on small windows `np.clip` takes twice as long."""
    return np.minimum(np.maximum(values, 0.0), 1.0)


def step(distance: np.ndarray) -> np.ndarray:
    """Return 0..1 coverage of a pixel whose centre lies `distance` pixels inside an edge."""
    return unit_range(distance + .5)


def planes(colour: ArrayLike) -> np.ndarray:
    """Return one colour (3,) so that it spreads over windows (3, h, w)."""
    return np.asarray(colour)[:, None, None]


def blend(picture: np.ndarray, area: Patch, colour: np.ndarray, opacity: np.ndarray) -> None:
    """Lay `colour` over the window of `picture`, in place."""
    window = picture[:, area.rows, area.columns]
    window += (colour - window) * opacity


def darken(picture: np.ndarray, area: Patch, amount: np.ndarray, tint: tuple[float, ...]) -> None:
    """Multiply the window by exp(-amount * tint), in place."""
    picture[:, area.rows, area.columns] *= np.exp(-amount * planes(np.array(tint, np.float32)))


@dataclass(frozen=True, eq=False)
class Eye:
    """What one eye looks like besides its outline: colours are linear RGB (3,)."""

    iris: np.ndarray
    light: np.ndarray   # key light on the eyeball
    fill: np.ndarray    # room light on the eyeball
    direction: np.ndarray  # (3,) towards the light, head frame
    lashes: float       # 0 to 1
    texture: np.ndarray  # (64,) iris streaks by angle


def draw_eye(picture: np.ndarray, area: Patch, iris_at: np.ndarray, open_lid: np.ndarray,
             eye: Eye, *, right: bool) -> None:
    """Draw one eye into the picture, in place.

    `iris_at` is the pupil's centre and `open_lid` the four upper-lid points (corner, lids, corner)
    of the same face with relaxed lids, both in (u, v).
    """
    unit, u, v = area.unit, area.u, area.v
    lids = np.stack([area.points[[0, 1, 2, 3]], area.points[[0, 5, 4, 3]], open_lid])
    upper, lower, relaxed = curves(lids, u)
    left, right_end = area.points[0, 0], area.points[3, 0]
    along = unit_range((u - left) / (right_end - left))
    within = step(u - left) * step(right_end - u)
    gap = np.maximum((lower - upper) / unit, 0)
    _lid_folds(picture, area, upper, lower, relaxed, within, along)
    opening = within * step(v - upper) * step(lower - v)
    ball = _eyeball(area, upper, lower, iris_at, eye)
    blend(picture, area, ball, opening)
    outer = 1 - along if right else along
    reach = unit_range((u - left) / unit + 1.2) * unit_range((right_end - u) / unit + 1.2)
    width = (.55 + .5 * outer) * unit * (.75 + .5 * eye.lashes)
    above = np.exp(-(np.where(v < upper, upper - v, (v - upper) * 1.5) / width) ** 2)
    darken(picture, area, above * reach * (1.35 + 1.0 * eye.lashes), (.95, 1.0, 1.0))
    below = np.exp(-((v - lower - .25 * unit) / (.6 * unit)) ** 2) * reach * np.clip(gap / 3, .3, 1)
    darken(picture, area, below * (.25 + .25 * eye.lashes) * (.4 + .6 * outer), (.8, 1.0, 1.0))


def _lid_folds(picture: np.ndarray, area: Patch, upper: np.ndarray, lower: np.ndarray,
               relaxed: np.ndarray, within: np.ndarray, along: np.ndarray) -> None:
    unit, v = area.unit, area.v
    arch = np.sin(np.pi * (.08 + .84 * along))
    crease = relaxed - (1.2 + 3.0 * arch) * unit
    fold = np.exp(-((v - crease) / (.75 * unit)) ** 2) * within
    darken(picture, area, fold * .62, (.75, 1.0, 1.0))
    lid = unit_range((v - crease) / np.maximum(upper - crease, .3 * unit))
    curved = within * step(v - crease) * step(upper - v)
    darken(picture, area, curved * (lid - .5) * .36, (.8, 1.0, 1.0))
    # The upper lid is in its own shade where it turns under.
    bag = np.exp(-((v - lower - 4.2 * unit * arch) / (1.1 * unit)) ** 2) * within * arch
    darken(picture, area, bag * .10, (.9, 1.0, 1.0))


def _eyeball(area: Patch, upper: np.ndarray, lower: np.ndarray, iris_at: np.ndarray, eye: Eye
             ) -> np.ndarray:
    """Return the eyeball's colour in the window, (3, h, w)."""
    unit, light = area.unit, planes(eye.light)
    du, dv = (area.u - iris_at[0]) / unit, (area.v - iris_at[1]) / unit
    radius = np.sqrt(du * du + dv * dv)
    bu, bv = area.u / unit / 12.5, area.v / unit / 12.5
    bz = np.sqrt(np.clip(1 - bu * bu - bv * bv, .05, 1))
    facing = unit_range((bu * eye.direction[0] + bv * eye.direction[1] + bz * eye.direction[2]
                         + .3) / 1.3)
    corner = unit_range((np.abs(area.u) / unit - 6.5) / 6)
    sclera = planes([.42, .385, .365]) * (1 - corner) + planes([.33, .22, .20]) * corner
    streak = np.interp(np.arctan2(dv, du), np.linspace(-np.pi, np.pi, len(eye.texture)),
                       eye.texture)
    ring = 1 - .72 * unit_range((radius - 4.3) / 1.5) + .25 * np.exp(-((radius - 2.6) / .7) ** 2)
    iris = planes(eye.iris) * (ring * (1 + .22 * streak))
    inside, pupil = step((5.9 - radius) * unit), step((2.3 - radius) * unit)
    albedo = (sclera * (1 - inside) + iris * inside) * (1 - pupil) + .006 * pupil
    hood = 1 - .72 * np.exp(-np.maximum(area.v - upper, 0) / (1.9 * unit))
    hood *= 1 - .25 * np.exp(-np.maximum(lower - area.v, 0) / (.8 * unit))
    lit = facing * hood * light * .9 + hood * planes(eye.fill)
    # The eye adapts to the light, and a camera's white eyes stay below its white.
    colour = albedo * lit / (1 + .35 * lit)
    glint = np.exp(-(((du - 2.0 * eye.direction[0]) ** 2 + (dv - 2.2 * eye.direction[1]) ** 2)
                     / (.75 ** 2)))
    wet = .12 * np.exp(-((lower - area.v) / (.5 * unit) - .6) ** 2)
    bright = .55 / np.sqrt(eye.light.max() + eye.fill.max() + 1e-3)
    return colour + (bright * glint + .06 * wet) * light


@dataclass(frozen=True, eq=False)
class Mouth:
    """Colours and light of a mouth: linear RGB (3,)."""

    lips: np.ndarray
    light: np.ndarray
    fill: np.ndarray
    direction: np.ndarray
    texture: np.ndarray  # (96,) lip lines along u
    gloss: float


def draw_mouth(picture: np.ndarray, area: Patch, teeth: np.ndarray, mouth: Mouth) -> None:
    """Draw the mouth into the picture, in place.

    `teeth` (2, 2): a point on the cutting edge of the upper and of the lower front teeth, (u, v).
    """
    unit, u, v = area.unit, area.u, area.v
    points = area.points
    top, bottom = curves(points[[[0, 1, 2, 3, 4, 5, 6], [0, 11, 10, 9, 8, 7, 6]]], u)
    inner_top, inner_bottom = curves(points[[[12, 13, 14, 15, 16], [12, 19, 18, 17, 16]]], u)
    inner_bottom = np.maximum(inner_bottom, inner_top + .05 * unit)
    left, right = points[0, 0], points[6, 0]
    taper = unit_range(np.minimum(u - left, right - u) / (2.2 * unit))
    top = np.minimum(top, inner_top - .3 * unit * taper)
    bottom = np.maximum(bottom, inner_bottom + .3 * unit * taper)
    within = step(u - left) * step(right - u)
    # Lips fade into skin over about a millimetre; a hard line is lipstick.
    soft = .55 * unit + .3
    cover = within * step((v - top) / soft * .5) * step((bottom - v) / (soft * 1.25) * .5)
    colour = _lips(area, top, inner_top, inner_bottom, bottom, mouth)
    blend(picture, area, colour, cover * .93)
    inside_left, inside_right = points[12, 0], points[16, 0]
    span = step(u - inside_left) * step(inside_right - u)
    opening = span * step(v - inner_top) * step(inner_bottom - v)
    opening *= unit_range((inner_bottom - inner_top) / unit * 1.2)
    blend(picture, area, _inside(area, inner_top, inner_bottom, teeth, mouth), opening)
    seam = (inner_top + inner_bottom) / 2
    narrow = np.exp(-((inner_bottom - inner_top) / (1.6 * unit)))
    ends = unit_range(np.minimum(u - left, right - u) / unit + .8)
    line = np.exp(-((v - seam) / (.62 * unit)) ** 2) * ends * narrow
    darken(picture, area, line * 1.15, (.8, 1.05, 1.0))
    corner = np.exp(-(((np.abs(u) - right) / (1.8 * unit)) ** 2 + ((v - points[0, 1]) /
                                                                (1.5 * unit)) ** 2))
    darken(picture, area, corner * .38, (.85, 1.0, 1.0))
    under = np.exp(-((v - bottom - 2.0 * unit) / (2.0 * unit)) ** 2) * unit_range(
        1 - (u / (.75 * right)) ** 2)
    darken(picture, area, under * .16, (.8, 1.0, 1.0))


def _lips(area: Patch, top: np.ndarray, inner_top: np.ndarray, inner_bottom: np.ndarray,
          bottom: np.ndarray, mouth: Mouth) -> np.ndarray:
    """Return the lips' lit colour (3, h, w): two rolls with fine lines and a gloss."""
    unit, u, v = area.unit, area.u, area.v
    is_upper = v < (inner_top + inner_bottom) / 2
    across = np.where(is_upper, (v - top) / np.maximum(inner_top - top, .4 * unit),
                      (v - inner_bottom) / np.maximum(bottom - inner_bottom, .4 * unit))
    across = unit_range(across)
    # Upper lip faces down towards the seam, lower lip rolls from up to down.
    normal_v = np.where(is_upper, -.15 + .75 * across, -.75 + 1.5 * across)
    normal_u = .45 * u / np.maximum(area.points[6, 0], 1)
    lines = np.interp(u / np.maximum(area.points[6, 0], 1), np.linspace(-1, 1, len(mouth.texture)),
                      mouth.texture)
    normal_u = normal_u + .10 * lines
    depth = 1 / np.sqrt(1 + normal_u**2 + normal_v**2)
    facing = (mouth.direction[0] * normal_u + mouth.direction[1] * normal_v + mouth.direction[2]
              ) * depth
    lambert = unit_range((facing + .25) / 1.25)
    half = mouth.direction + np.array([0, 0, 1])
    half = half / np.linalg.norm(half)
    mirror = unit_range((half[0] * normal_u + half[1] * normal_v + half[2]) * depth) ** 26
    deep = np.where(is_upper, .74 + .12 * (1 - across), .86 + .1 * across) * (1 - .06 * lines)
    lit = lambert * planes(mouth.light) + planes(mouth.fill * .85)
    gloss = .045 * mouth.gloss * mirror * np.where(is_upper, .5, 1)
    return planes(mouth.lips) * lit * deep + gloss * planes(mouth.light)


def _inside(area: Patch, inner_top: np.ndarray, inner_bottom: np.ndarray, teeth: np.ndarray,
            mouth: Mouth) -> np.ndarray:
    """Return what shows between the lips (3, h, w): teeth, tongue, darkness."""
    unit, u, v = area.unit, area.u, area.v
    side = unit_range(1 - (np.abs(u) / np.maximum(area.points[16, 0] * 1.02, 1)) ** 3)
    light = planes(mouth.light * .55 + mouth.fill)
    dark = planes(mouth.lips * .05)
    tongue_top = np.maximum(teeth[1, 1] - 2.5 * unit, inner_top + 6 * unit) + (u / 14) ** 2 / unit
    tongue = step(v - tongue_top) * .8
    colour = dark * (1 - tongue) + planes([.30, .085, .08]) * light * tongue * .5
    for edge, upper in ((teeth[0], True), (teeth[1], False)):
        bend = (u - edge[0]) ** 2 / (70 * unit)
        line = edge[1] - bend if upper else edge[1] + bend * .5
        cover = step(line - v) if upper else step(v - line) * .8
        tooth = np.abs((u - edge[0]) / unit / (8.3 if upper else 5.6))
        gap = np.exp(-((np.abs(tooth - np.round(tooth)) * 8) / .5) ** 2)
        hood = unit_range(((v - inner_top) if upper else (inner_bottom - v)) / (3.0 * unit))
        white = planes([.60, .54, .45]) * (1 - .22 * gap) * light
        white = white * ((.35 + .65 * hood) * (.25 + .75 * side))
        colour = colour * (1 - cover) + white * cover
    return colour


def rims(size: float) -> np.ndarray:
    """Return one lens outline around an eye, (48, 2) mm relative to the pupil."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    power = 2 / 3.0
    x = 25 * size * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    y = 19 * size * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    return np.column_stack([x, y + 3])


EYES = (("right", anatomy.RIGHT_EYE), ("left", anatomy.LEFT_EYE))


def draw_glasses(picture: np.ndarray, lines: list[np.ndarray], kind: str, unit: float) -> None:
    """Draw rims, bridge and temples (pixel polylines) into the linear picture, in place."""
    rows, columns = picture.shape[1:]
    lens = np.zeros((rows, columns), np.uint8)
    width = {"wire": 1.1, "frame": 2.3}[kind]
    # Drawn three times as large and averaged: thin lines must not flicker from frame to frame.
    big = np.zeros((rows * 3, columns * 3), np.uint8)
    for k, line in enumerate(lines):
        pixels = np.round(((line + .5) * 3 - .5) * 16).astype(np.int32)
        cv2.polylines(big, [pixels], k < 2, 255, max(1, round(width * unit * 3)), cv2.LINE_AA, 4)
        if k < 2:
            cv2.fillPoly(lens, [np.round(line * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    frame = cv2.resize(big, lens.shape[::-1], interpolation=cv2.INTER_AREA)
    shadow = np.roll(cv2.GaussianBlur(frame, (0, 0), 1.6 * unit), round(4 * unit), axis=0)
    picture *= 1 - .28 * (shadow / np.float32(255))
    picture += .010 * (lens / np.float32(255))
    tint = np.array((.030, .026, .026) if kind == "frame" else (.16, .14, .12), np.float32)
    picture += (planes(tint) - picture) * (frame / np.float32(255) * .92)
