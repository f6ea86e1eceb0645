"""Camera: head pose, projection and its inverse, the room's light, and the sensor.

Pixels are found backwards: every pixel of the picture asks which point of the canvas it shows.
The forward map (muscles, rotation, perspective) is evaluated on a coarse grid and inverted by
fixed-point iteration; it is monotone as long as the relief does not fold (see `scene`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from expresso_lib.rendered import appearance, geometry

FIELD = 302.0      # width of the picture at the face, mm: head and shoulders, like a webcam
CENTRE_Y = 15.0     # height of the optical axis in the face frame, mm
DISTANCE = 850.0   # camera to face, mm
PIVOT = np.array([0.0, 75.0, -85.0])  # the head turns about the top of the neck
MAX_YAW = 20.0     # degrees; beyond it relief under rotation shows seams
BOTH: Any = None   # in place of a second map of cv2.remap: the first holds both coordinates


def rotation(pose: np.ndarray) -> np.ndarray:
    """Return the rotation matrix (3, 3) of yaw, pitch, roll in degrees.

    Yaw > 0 moves the nose to the right of the image, pitch > 0 down, roll > 0 turns clockwise.

    >>> rotation(np.zeros(3)).round(3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    return _rotation(*np.asarray(pose, float).tolist())


@lru_cache(maxsize=8)
def _rotation(*pose: float) -> np.ndarray:
    angles = np.deg2rad(pose)
    (cos_y, cos_x, cos_z), (sin_y, sin_x, sin_z) = np.cos(angles), np.sin(angles)
    about_y = np.array([[cos_y, 0, sin_y], [0, 1, 0], [-sin_y, 0, cos_y]])
    about_x = np.array([[1, 0, 0], [0, cos_x, sin_x], [0, -sin_x, cos_x]])
    about_z = np.array([[cos_z, -sin_z, 0], [sin_z, cos_z, 0], [0, 0, 1]])
    turn = about_z @ about_x @ about_y
    turn.flags.writeable = False
    return turn


def project(points: np.ndarray, pose: np.ndarray, shift: np.ndarray, size: int) -> np.ndarray:
    """Return mm points (..., 3) as pixels (..., 2) of a `size` x `size` picture."""
    # Coordinate by coordinate: numpy is slow along an axis of two or three.
    away = np.moveaxis(points, -1, 0).reshape(3, -1) - PIVOT[:, None]
    x, y, z = rotation(pose) @ away + PIVOT[:, None]
    near = DISTANCE / (DISTANCE - z)
    scale = size / FIELD
    flat = [(x + shift[0]) * near * scale, (y + shift[1] - CENTRE_Y) * near * scale]
    return np.stack(flat, axis=-1).reshape(*points.shape[:-1], 2) + (size - 1) / 2


def invert(forward: np.ndarray, size: int, *, step: int = 4, rounds: int = 9) -> np.ndarray:
    """Return for each pixel the grid position it shows, float32 (size, size, 2).

    Parameters
    ----------
    forward : ndarray float32 (Hg, Wg, 2)
        Pixel position of every grid node.
    size : int
        Width and height of the picture.
    step : int
        Spacing of the coarse picture grid on which the inverse is computed, pixels.
    """
    rows, columns = forward.shape[:2]
    count = -(-size // step) + 1
    target = _mesh(count, step)
    centre = forward[rows // 2, columns // 2]
    span = np.array([(forward[rows // 2, -1, 0] - forward[rows // 2, 0, 0]) / (columns - 1),
                     (forward[-1, columns // 2, 1] - forward[0, columns // 2, 1]) / (rows - 1)],
                    np.float32)
    guess = (target - centre) / span + np.array([columns // 2, rows // 2], np.float32)
    # Arrays of full size, as numpy is slow along an axis of two.
    spans, last = np.full_like(target, span), np.full_like(target, (columns + 2, rows + 2))
    for _ in range(rounds):
        reached = cv2.remap(forward, guess, BOTH, cv2.INTER_LINEAR,
                            borderMode=cv2.BORDER_REPLICATE)
        guess += (target - reached) / spans
        # Outside the canvas there is nothing to find; stay near so that the picture stays empty.
        np.clip(guess, -3, last, out=guess)
    return cv2.remap(guess, _mesh(size, 1 / step), BOTH, cv2.INTER_LINEAR)


@lru_cache(maxsize=8)
def _mesh(count: int, spacing: float) -> np.ndarray:
    """Return x, y of the nodes of a square grid, float32 (count, count, 2)."""
    nodes = (np.arange(count) * spacing).astype(np.float32)
    mesh = np.stack(np.meshgrid(nodes, nodes), axis=-1)
    mesh.flags.writeable = False
    return mesh


@dataclass(frozen=True, eq=False)
class Room:
    """Light and background of one recording.

    Attributes
    ----------
    light : ndarray (3,)
        Direction towards the key light, unit vector in the camera's frame.
    key, fill : ndarray (3,)
        Colour of the key light and of the room, linear RGB.
    backdrop : ndarray float32 (size, size, 3)
        Background with neck and shoulders, linear RGB.
    """

    light: np.ndarray
    key: np.ndarray
    fill: np.ndarray
    backdrop: np.ndarray


def furnish(seed: int, identity: geometry.Identity, size: int) -> Room:
    """Draw the room of one recording: light, wall, clothes. Independent of severity."""
    rng = np.random.default_rng([seed, 11])
    side = rng.choice([-1.0, 1.0]) * rng.uniform(.25, 1.0)
    light = np.array([side, -rng.uniform(.35, .8), 1.0])
    light /= np.linalg.norm(light)
    jitter = rng.normal(0, .012, 3)
    key_share = rng.uniform(.64, .84)
    luminance = float(appearance.skin_tone(identity) @ (.2126, .7152, .0722))
    # A webcam meters on the face, but only partly: dark skin stays darker than light skin.
    exposure = .36 / luminance ** .55 * rng.uniform(.93, 1.07) * .98
    key = exposure * 1.5 * key_share * (1 + np.clip(jitter + np.array([.02, 0, -.03]), -.03, .03))
    fill = exposure * .95 * (1 - key_share + .12) * (
        1 + np.clip(np.array([-.01, 0, .03]) - jitter, -.03, .03))
    backdrop = _wall(rng, size) * exposure * 1.9
    body, opacity = _body(rng, identity, light, key, fill, size)
    return Room(light, key.astype(np.float32), fill.astype(np.float32),
                _over(body, opacity, backdrop))


def _over(front: np.ndarray, opacity: np.ndarray, back: np.ndarray) -> np.ndarray:
    return (front * opacity[..., None] + back * (1 - opacity[..., None])).astype(np.float32)


_WALLS = ((206, 200, 190), (182, 190, 196), (168, 172, 160), (214, 206, 196), (150, 156, 166),
          (186, 172, 158))


def _wall(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a defocused wall with a few objects, linear RGB (size, size, 3)."""
    base = appearance.to_linear(_WALLS[rng.integers(len(_WALLS))]) * rng.uniform(.25, .5)
    wall: np.ndarray = np.tile(base, (size, size, 1)).astype(np.float32)
    unit = size / 224
    for _ in range(rng.integers(2, 6)):
        left, top = rng.integers(-60, 224, 2) * unit
        wide, high = rng.uniform(30, 110) * unit, rng.uniform(40, 150) * unit
        tint = base * np.exp(rng.normal(0, .35)) * np.exp(rng.normal(0, .08, 3))
        cv2.rectangle(wall, (int(left), int(top)), (int(left + wide), int(top + high)),
                      tuple(float(v) for v in tint), -1)
    wall = cv2.GaussianBlur(wall, (0, 0), 7 * unit, borderType=cv2.BORDER_REPLICATE)
    ramp = np.linspace(-1, 1, size)
    slope = 1 + .18 * rng.choice([-1, 1]) * ramp[None, :, None] - .12 * ramp[:, None, None]
    plaster = 1 + .013 * appearance.smooth_noise(rng, (size, size), 1.6 * unit)
    return (wall * slope * plaster[..., None]).astype(np.float32)


_CLOTHES = ((52, 60, 78), (92, 36, 40), (44, 44, 46), (120, 124, 126), (66, 82, 70),
            (178, 172, 160), (62, 86, 118), (112, 88, 66))


def _body(rng: np.random.Generator, identity: geometry.Identity, light: np.ndarray,
          key: np.ndarray, fill: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return neck and shoulders, lit, linear RGB (size, size, 3), and their opacity."""
    scale = size / FIELD
    mm = (np.arange(size) - (size - 1) / 2) / scale
    x, y = mm[None, :], mm[:, None] + CENTRE_Y
    jaw = identity.landmarks[[4, 12], 0]
    male = identity.sex == "male"
    neck = (jaw[1] - jaw[0]) / 2 * (.84 if male else .74)
    chin = identity.landmarks[8, 1]
    # The trapezius sweeps from the neck out to the shoulders.
    half = neck * (1 - .05 * np.clip((y - chin + 20) / 30, 0, 1)) + 9 * np.clip(
        (y - chin - 4) / 30, 0, None) ** 2.2
    slope = (34 if male else 38) - (20 if male else 15) * np.exp(-(np.abs(x) - neck).clip(0) / 34)
    shoulder = chin + slope + .0006 * x**2
    neck_z = np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1))
    neck_mask = np.clip((half - np.abs(x)) * scale * .7 + .5, 0, 1) * (y > 40)
    # Two cords run from behind the ears to the pit of the throat.
    cord = np.exp(-((np.abs(x) - 52 + .62 * (y - chin + 25).clip(0)) / 6) ** 2)
    normal_x = (x / half).clip(-1, 1) + .25 * cord * np.sign(x)
    lit = np.clip((normal_x * light[0] + neck_z * light[2] + .2) / 1.2, 0, 1)
    under = np.exp(-((x / (neck * .9)) ** 2)) * np.exp(-((y - chin).clip(0) / 26) ** 2)
    shade = (1 - .62 * under) * (.72 + .28 * neck_z)
    skin = appearance.skin_tone(identity) * np.array([1.0, .94, .92])
    texture = 1 + .05 * appearance.smooth_noise(rng, (size, size), 5 * size / 224)
    colour = skin * texture[..., None] * (lit[..., None] * key * shade[..., None]
                                          + fill * shade[..., None] * .8)
    tint = appearance.to_linear(_CLOTHES[rng.integers(len(_CLOTHES))])
    cut = chin + rng.uniform(24, 40)
    collar = cut - (np.abs(x) / (neck + 6)) ** 2 * rng.uniform(10, 20)
    cloth = np.clip((y - np.maximum(collar, shoulder)) * scale * .8 + .5, 0, 1)
    folds = 1 + .07 * appearance.smooth_noise(rng, (size, size), 9 * size / 224) + .05 * (
        appearance.smooth_noise(rng, (size, size), 1.0))
    cloth_lit = np.clip((x / 190 * light[0] * 1.6 + .62), .15, 1)
    rim = 1 - .45 * np.exp(-((y - collar).clip(0) / 2.5))
    fabric = tint * ((cloth_lit * rim * folds)[..., None] * key + fill)
    body = colour * (1 - cloth[..., None]) + fabric * cloth[..., None]
    return body.astype(np.float32), np.maximum(neck_mask, cloth).astype(np.float32)


def cast_shadow(depth: np.ndarray, light: np.ndarray, density: float) -> np.ndarray:
    """Return how much key light reaches each canvas point, 0 to 1, float32 (Hc, Wc).

    Marches towards the light over the relief; the penumbra widens with distance.
    """
    reduced = cv2.resize(depth, None, fx=.5 / density, fy=.5 / density,
                         interpolation=cv2.INTER_AREA)
    across = light[:2] / max(light[2], .2)
    blocked = np.zeros_like(reduced)
    for reach in range(2, 44, 2):
        dx, dy = across * reach * .5
        length = float(np.hypot(*across) * reach) + 1e-6
        towards = cv2.warpAffine(reduced, np.array([[1, 0, -dx], [0, 1, -dy]], np.float32),
                                 reduced.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        excess = (towards - reduced - reach) / (2.5 + .22 * length)
        blocked = np.maximum(blocked, np.clip(excess, 0, 1))
    soft = cv2.GaussianBlur(1 - .85 * blocked, (0, 0), 1.4)
    return cv2.resize(soft, depth.shape[::-1], interpolation=cv2.INTER_LINEAR)


def shade(albedo: Sequence[np.ndarray], surface: Sequence[np.ndarray], lit: np.ndarray,
          light: np.ndarray, room: Room) -> np.ndarray:
    """Return linear RGB (3, H, W) of a lit surface.

    Parameters
    ----------
    albedo : three of ndarray float32 (H, W)
    surface : four of ndarray float32 (H, W)
        Slopes, cavity, gloss as in `appearance.Canvas`.
    lit : ndarray float32 (H, W)
        Key light that arrives, 0 to 1.
    light : ndarray (3,)
        Direction of the key light in the head's frame.
    room : Room
    """
    slope_x, slope_y, cavity, gloss = surface
    inverse = 1 / np.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    facing = (light[2] - slope_x * light[0] - slope_y * light[1]) * inverse
    half = light + np.array([0, 0, 1])
    half = half / np.linalg.norm(half)
    mirror = np.clip((half[2] - slope_x * half[0] - slope_y * half[1]) * inverse, 0, 1)
    sky = (.78 + .22 * slope_y * inverse) * (.62 + .38 * inverse) * cavity
    shadow = lit * (.35 + .65 * cavity)
    m2 = mirror * mirror
    m4 = m2 * m2
    m8 = m4 * m4
    sheen = (.020 * m8 + .045 * m8 * m8 * m8) * gloss * shadow
    out = np.empty((3, *lit.shape))
    for c, wrap in enumerate((.34, .20, .14)):
        lambert = np.clip((facing + wrap) * (1 / (1 + wrap)), 0, 1)
        matt = albedo[c] * (lambert * shadow * room.key[c] + sky * room.fill[c])
        out[c] = matt + sheen * room.key[c]
    return out


def tone(linear: np.ndarray) -> np.ndarray:
    """Return what the camera's curves make of linear light, 0 to 255."""
    # A shoulder keeps highlights from clipping: Reinhard's curve with white at 2.2.
    curve = linear * (1 + linear * (1 / 4.84)) / (1 + linear) * 1.55
    picture = np.sqrt(np.clip(curve, 0, 1))
    # A mild S keeps blacks black, as cameras do.
    return (picture + .22 * picture * (1 - picture) * (2 * picture - 1)) * 255


@lru_cache(maxsize=48)
def _grain(seed: int, frame: int, size: int, noise: float = 1.7) -> np.ndarray:
    """Return the noise of luma and of colour, float32 (2, size, size).

    It depends on the seed alone: two renderings of one frame share it, and often come together.
    """
    rng = np.random.default_rng([seed, frame, 17])
    luma, colour = cv2.split(rng.standard_normal((size, size, 2), dtype=np.float32))
    return np.stack([noise * luma, .5 * noise * colour])


def develop(picture: np.ndarray, seed: int, frame: int) -> np.ndarray:
    """Return a toned picture (3, H, W) as the camera stores it: with noise, uint8 (H, W, 3)."""
    luma, colour = _grain(seed, frame, picture.shape[-1])
    noisy = picture + luma
    noisy[0] += colour
    noisy[2] -= colour
    return cv2.merge(np.clip(noisy + .5, 0, 255).astype(np.uint8))
