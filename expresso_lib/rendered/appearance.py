"""Appearance: what a face is painted with. Skin, hair, brows, ears, and the light on them.

The canvas is a frontal picture in the face frame: albedo in linear light, relief, cavities,
gloss and a label per pixel. It is painted once per identity; every frame is a look-up in it.
Shading keeps four effects that separate a face from a flat drawing: soft cavities (ambient
occlusion), light that bleeds red through skin (wrapped Lambert with a wider wrap in red, after
Green, *GPU Gems* ch. 16, 2004), a broad gloss, and cast shadows of nose and brow.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from expresso_lib.faces import anatomy
from expresso_lib.rendered import geometry, hair

PAINT_DENSITY = 2.0  # px/mm at which identities are painted before they are reduced

# Skin in sRGB for Fitzpatrick I to VI, averaged from published reflectance charts by eye.
_SKIN_SRGB = ((228, 186, 165), (214, 171, 149), (190, 147, 124), (158, 117, 95), (117, 82, 65),
              (84, 58, 47))
_IRIS_SRGB = {"brown": (72, 44, 26), "hazel": (104, 78, 42), "green": (80, 88, 62),
              "blue": (78, 98, 118), "grey": (92, 100, 106)}


def to_linear(srgb: np.ndarray | tuple[float, ...]) -> np.ndarray:
    """Return sRGB 0..255 as linear light 0..1 (IEC 61966-2-1, power 2.2)."""
    return (np.asarray(srgb, np.float32) / 255) ** 2.2


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float) -> np.ndarray:
    """Return Gaussian noise of unit variance, blurred to `sigma` pixels, float32."""
    factor = max(1, int(sigma / 3))
    small = rng.standard_normal((shape[0] // factor + 2, shape[1] // factor + 2))
    soft = cv2.GaussianBlur(small.astype(np.float32), (0, 0), max(sigma / factor, .3))
    full = cv2.resize(soft, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return full / (full.std() + 1e-9)


@dataclass(frozen=True, eq=False)
class Canvas:
    """One identity painted, float32 arrays over the canvas (Hc, Wc).

    Attributes
    ----------
    albedo : ndarray (Hc, Wc, 4)
        Linear RGB and the head's opacity.
    surface : ndarray (Hc, Wc, 4)
        Slope dz/dx and dz/dy, cavity (0 dark to 1 open), gloss.
    depth : ndarray (Hc, Wc)
        Relief in mm.
    labels : ndarray uint8 (Hc, Wc)
        Index into `anatomy.REGIONS`.
    density : float
        Pixels per mm.
    """

    albedo: np.ndarray
    surface: np.ndarray
    depth: np.ndarray
    labels: np.ndarray
    density: float


def paint(identity: geometry.Identity, *, headset: bool = False) -> Canvas:
    """Paint one identity at `PAINT_DENSITY`."""
    density = PAINT_DENSITY
    rng = np.random.default_rng([identity.seed, 5])
    relief = geometry.depth(identity, density)
    edge = geometry.inside_distance(identity, density)
    albedo = skin_tone(identity) * np.exp(_complexion(identity, rng, density))
    ears, ear_relief = _ears(identity, density)
    opacity = np.maximum(np.clip(edge * density + .5, 0, 1), ears)
    relief = relief + ear_relief
    pores = _pores(identity, rng, relief.shape)
    cavity = _cavity(relief, density) * (1 - .45 * ear_relief.clip(None, 0) / -6)
    gloss = _gloss_map(identity, density)
    labels = _labels(identity, edge, density)
    layer = hair.grow(identity, density)
    shadow = cv2.GaussianBlur(np.roll(layer.opacity, int(3 * density), 0), (0, 0), 4 * density)
    cavity *= 1 - .5 * shadow * (1 - layer.opacity)
    cover = layer.opacity[..., None]
    albedo = albedo * (1 - cover) + layer.colour * cover
    bald = cv2.GaussianBlur(1 - layer.opacity, (0, 0), 1.2 * density)
    skin_relief = relief + pores + _age_lines(identity, density)
    hair_relief = _rounded(opacity, layer.opacity, density) + layer.height
    gloss = gloss * (1 - layer.opacity) + layer.gloss * layer.opacity
    labels[(layer.opacity > .5) & (labels == _FACE_REST)] = _BACKGROUND
    opacity = np.maximum(opacity, layer.opacity)
    slope = bald[..., None] * _slopes(skin_relief, density) + (
        1 - bald[..., None]) * _slopes(hair_relief, density)
    if headset:
        cover, plastic, height = _headset(identity, density)
        worn = cover[..., None]
        albedo, gloss = albedo * (1 - worn) + plastic * worn, gloss * (1 - cover) + .8 * cover
        slope = slope * (1 - worn) + _slopes(height, density) * worn
        labels[cover > .5], opacity = _BACKGROUND, np.maximum(opacity, cover)
        cavity *= 1 - .45 * (cv2.GaussianBlur(cover, (0, 0), 4 * density) * (1 - cover))
    brow = hair.brows(identity, density)
    albedo = albedo * (1 - brow.opacity[..., None]) + brow.colour * brow.opacity[..., None]
    return Canvas(np.dstack([albedo, opacity]).astype(np.float32),
                  np.dstack([slope, cavity, gloss]).astype(np.float32),
                  relief.astype(np.float32), labels, density)


def reduce(canvas: Canvas, density: float) -> Canvas:
    """Return the canvas at a lower density, averaged over area (labels: nearest)."""
    x, y = geometry.canvas_axes(density)
    size = (len(x), len(y))
    # Opacity weights colour, so that edges keep the hair's or skin's own colour.
    weighted = canvas.albedo.copy()
    weighted[..., :3] *= weighted[..., 3:]
    small: np.ndarray = cv2.resize(weighted, size, interpolation=cv2.INTER_AREA)
    small[..., :3] /= np.maximum(small[..., 3:], 1e-4)
    return Canvas(
        small, cv2.resize(canvas.surface, size, interpolation=cv2.INTER_AREA),
        cv2.resize(canvas.depth, size, interpolation=cv2.INTER_AREA),
        cv2.resize(canvas.labels, size, interpolation=cv2.INTER_NEAREST), density)


def skin_tone(identity: geometry.Identity) -> np.ndarray:
    """Return the mean skin albedo, linear RGB (3,)."""
    base = to_linear(_SKIN_SRGB[identity.tone])
    warmth = identity.traits["warmth"]
    tint = np.exp(np.array([.015, 0, -.03]) * warmth)
    return (base * tint * np.exp(identity.traits["skin_value"])).astype(np.float32)


def iris_colour(identity: geometry.Identity) -> np.ndarray:
    """Return the iris albedo, linear RGB (3,)."""
    dark = .7 if identity.tone >= 3 else 1.0
    return to_linear(_IRIS_SRGB[identity.traits["iris"]]) * dark


def lip_colour(identity: geometry.Identity) -> np.ndarray:
    """Return the lips' albedo, linear RGB (3,): skin with less green and blue, or lipstick."""
    skin = skin_tone(identity)
    natural = skin * np.array([.80, .52, .56]) if identity.tone < 4 else skin * np.array(
        [.95, .72, .78])
    paint_on = skin * np.array([.72, .30, .36])
    amount = .6 * identity.traits["lipstick"]
    return (natural * (1 - amount) + paint_on * amount).astype(np.float32)


def _complexion(identity: geometry.Identity, rng: np.random.Generator, density: float
                ) -> np.ndarray:
    """Return log-albedo changes (Hc, Wc, 3): blood, shadow under the eyes, stubble, freckles."""
    x, y = geometry.canvas_axes(density)
    shape = (len(y), len(x))
    points = identity.landmarks
    fair = 1 - identity.tone / 7
    blood = np.zeros(shape)
    sallow = np.zeros(shape)
    for eye, sign in ((anatomy.RIGHT_EYE, -1), (anatomy.LEFT_EYE, 1)):
        cx, cy = points[list(eye)].mean(axis=0)
        blood += .75 * geometry.bump(x, y, (cx + sign * 8, cy + 34), 15, 12)
        sallow += .55 * geometry.bump(x, y, (cx - sign * 3, cy + 9), 11, 4.5)
        sallow += .35 * geometry.bump(x, y, (cx, cy - 7), 14, 6)
        sallow += .3 * geometry.bump(x, y, (cx - sign * 13, cy + 2), 5, 6)
        blood += .6 * geometry.bump(x, y, (sign * 78, cy + 22), 8, 26)
    blood += .8 * geometry.bump(x, y, tuple(points[30] + (0, 4)), 10, 8)
    blood += .3 * geometry.bump(x, y, tuple(points[8] - (0, 12)), 13, 9)
    blood = blood * (1 + .25 * smooth_noise(rng, shape, 4 * density))
    sallow += .35 * np.exp(-((y[:, None] - 112) / 16) ** 2)
    mottle = .04 * smooth_noise(rng, shape, 7 * density) + .034 * smooth_noise(
        rng, shape, 1.7 * density) + .045 * smooth_noise(rng, shape, .8 * density)
    change = mottle[..., None] * np.array([.6, 1.0, 1.1])
    change = change + blood[..., None] * np.array([-.03, -.30, -.26]) * (.5 + .5 * fair)
    change -= sallow[..., None] * np.array([.22, .30, .22]) * (.8 + .012 * (identity.age - 30))
    change -= _stubble(identity, rng, density)[..., None] * np.array([1.05, .95, .8])
    change -= _nostrils(identity, density)[..., None] * np.array([1.25, 1.5, 1.5])
    return change - _spots(identity, rng, density)[..., None] * np.array([.5, .8, .95])


def _stubble(identity: geometry.Identity, rng: np.random.Generator, density: float) -> np.ndarray:
    """Return the darkening of the beard area (Hc, Wc), stronger for fair skin and dark hair."""
    x, y = geometry.canvas_axes(density)
    amount = min(identity.traits["beard"], .6) * (.3 + .7 * identity.traits["melanin"])
    area = hair.beard_area(identity, density)
    grain = 1 + .5 * smooth_noise(rng, (len(y), len(x)), .5 * density)
    return (.42 * amount * area * np.clip(grain, .1, 2)).astype(np.float32)


def _nostrils(identity: geometry.Identity, density: float) -> np.ndarray:
    x, y = geometry.canvas_axes(density)
    holes = np.zeros((len(y), len(x)), np.float32)
    base = identity.landmarks[33]
    for mark, sign in ((31, -1), (35, 1)):
        wing = identity.landmarks[mark]
        place = (base + wing) / 2 + (sign * .6, .2)
        centre = geometry.fixed(place, density).tolist()
        axes = (int(abs(wing[0] - base[0]) * .25 * density * 16), int(1.5 * density * 16))
        cv2.ellipse(holes, centre, axes, -14 * sign, 0, 360, 1.0, -1, shift=4)
    return cv2.GaussianBlur(holes, (0, 0), .9 * density)


def _spots(identity: geometry.Identity, rng: np.random.Generator, density: float) -> np.ndarray:
    x, y = geometry.canvas_axes(density)
    spots = np.zeros((len(y), len(x)), np.float32)
    count = int(260 * identity.traits["freckles"])
    for px, py in rng.normal((0, 22), (30, 16), (count, 2)):
        centre = tuple(np.round(geometry.to_canvas((px, py), density) * 8).astype(int))
        cv2.circle(spots, centre, int(rng.uniform(.5, .9) * density * 8),
                   float(rng.uniform(.1, .4)), -1, shift=3)
    for _ in range(identity.traits["moles"]):
        place = (rng.uniform(-50, 50), rng.uniform(-45, 100))
        centre = tuple(np.round(geometry.to_canvas(place, density) * 8).astype(int))
        cv2.circle(spots, centre, int(rng.uniform(.8, 1.3) * density * 8), 1.0, -1, shift=3)
    return cv2.GaussianBlur(spots, (0, 0), .45 * density)


def _pores(identity: geometry.Identity, rng: np.random.Generator, shape: tuple[int, int]
           ) -> np.ndarray:
    """Return fine relief in mm: pores and the coarser unevenness that comes with age."""
    age = .6 + .012 * (identity.age - 20)
    fine = .05 * smooth_noise(rng, shape, .9) + .12 * smooth_noise(rng, shape, 2.6)
    return (age * (fine + .17 * smooth_noise(rng, shape, 6))).astype(np.float32)


def _cavity(relief: np.ndarray, density: float) -> np.ndarray:
    """Return how open each point is, 0 to 1: relief against its own blurred versions."""
    cavity = np.ones_like(relief)
    for sigma, strength in ((2.0, .10), (6.0, .055), (16.0, .018)):
        soft = cv2.resize(cv2.GaussianBlur(cv2.resize(relief, None, fx=.25, fy=.25,
                          interpolation=cv2.INTER_AREA), (0, 0), sigma * density / 4),
                          relief.shape[::-1], interpolation=cv2.INTER_LINEAR)
        cavity *= np.exp(-strength * np.clip(soft - relief, -1.5, 9))
    return np.clip(cavity, .25, 1.12)


def _gloss_map(identity: geometry.Identity, density: float) -> np.ndarray:
    x, y = geometry.canvas_axes(density)
    tip = identity.landmarks[30]
    gloss = .55 + .5 * geometry.bump(x, y, (0, -45), 34, 18)
    gloss += .6 * geometry.bump(x, y, (tip[0], tip[1] - 8), 8, 22)
    for sign in (-1, 1):
        gloss += .35 * geometry.bump(x, y, (sign * 40, 28), 14, 10)
    # On dark skin the same reflection stands out more; it is kept as quiet as on light skin.
    return gloss * identity.traits["gloss"] * (1 - .10 * identity.tone)


def _ears(identity: geometry.Identity, density: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ears' opacity and relief (mm) over the canvas."""
    x, y = geometry.canvas_axes(density)
    mask = np.zeros((len(y), len(x)), np.uint8)
    relief = np.zeros((len(y), len(x)), np.float32)
    for mark, sign in ((0, -1), (16, 1)):
        cx, cy = identity.landmarks[mark] + (sign * 2.5, 12)
        for rx, ry, dx, value in ((10, 29, 0, 0), (6.5, 22, 1, -4.5), (4, 10, -.5, -6.5)):
            centre = geometry.fixed((cx + sign * dx, cy), density).tolist()
            axes = (int(rx * density * 16), int(ry * density * 16))
            if value == 0:
                cv2.ellipse(mask, centre, axes, sign * 9, 0, 360, 255, -1, cv2.LINE_AA, 4)
            cv2.ellipse(relief, centre, axes, sign * 9, 0, 360, float(value), -1, shift=4)
    inside = geometry.inside_distance(identity, density)
    relief *= np.clip(-inside / 2 + .3, 0, 1)
    return mask / np.float32(255), cv2.GaussianBlur(relief, (0, 0), 1.1 * density)


_INDEX = {name: i for i, name in enumerate(anatomy.REGIONS)}
_FACE_REST, _BACKGROUND = _INDEX["face_rest"], _INDEX["background"]
# How far a feature's region reaches beyond its landmarks, mm.
_MARGIN = {"right_eyebrow": 5, "left_eyebrow": 5, "right_eye": 6, "left_eye": 6, "nose": 4,
           "mouth": 5}


def _labels(identity: geometry.Identity, edge: np.ndarray, density: float) -> np.ndarray:
    """Return the region of every canvas pixel, uint8 (Hc, Wc): hulls of landmarks, widened."""
    labels = np.where(edge > 0, _FACE_REST, _BACKGROUND).astype(np.uint8)
    for name in ("nose", "right_eyebrow", "left_eyebrow", "mouth", "right_eye", "left_eye"):
        index = anatomy.LANDMARK_GROUPS[name]
        hull = cv2.convexHull(geometry.to_canvas(identity.landmarks[list(index)], density)
                              .astype(np.float32))
        area: np.ndarray = np.zeros(labels.shape, np.uint8)
        cv2.fillPoly(area, [np.round(hull * 16).astype(np.int32)], 1, shift=4)
        reach = 2 * round(_MARGIN[name] * density) + 1
        area = cv2.dilate(area, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
        labels[(area > 0) & (edge > 0)] = _INDEX[name]
    return labels


def _slopes(height: np.ndarray, density: float) -> np.ndarray:
    """Return dz/dx and dz/dy of a relief in mm, (Hc, Wc, 2)."""
    height = height.astype(np.float32)
    return np.dstack([cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3),
                      cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3)]) / 8 * density


def _rounded(opacity: np.ndarray, hair_opacity: np.ndarray, density: float) -> np.ndarray:
    """Return a relief in mm that turns away towards the silhouette, so that hair has volume."""
    mask = (opacity > .3).astype(np.uint8)
    distance = cv2.distanceTransform(mask, cv2.DIST_L2, 5) / density
    radius = 34.0
    turn = 1 - np.clip(distance / radius, 0, 1)
    dome = 1.1 * radius * np.sqrt(np.clip(1 - turn**2.2, 0, 1))
    return cv2.GaussianBlur(dome.astype(np.float32), (0, 0), 2.5 * density)


def _age_lines(identity: geometry.Identity, density: float) -> np.ndarray:
    """Return the folds that remain when the face rests, mm: they come with age."""
    amount = float(np.clip((identity.age - 34) / 40, 0, 1))
    lines = (.20 + .55 * amount) * wrinkles(identity, "AU12", density)
    for code, share in (("AU01", .45), ("AU06", .5), ("AU04", .3), ("AU15", .5)):
        lines = lines + share * amount * wrinkles(identity, code, density)
    return lines


def _headset(identity: geometry.Identity, density: float
             ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a headset's opacity, colour and relief: a band over the crown, a cup on each ear."""
    x, y = geometry.canvas_axes(density)
    mask = np.zeros((len(y), len(x)), np.uint8)
    height = np.zeros(mask.shape, np.float32)
    band = geometry.to_canvas([[t, 4 - 142 * (1 - abs(t / 84) ** 2.4) ** .42]
                               for t in np.linspace(-83.9, 83.9, 80)], density)
    pixels = [np.round(band * 16).astype(np.int32)]
    cv2.polylines(mask, pixels, False, 255, round(9 * density), cv2.LINE_AA, 4)
    cv2.polylines(height, pixels, False, 4.0, round(6 * density), shift=4)
    for mark, sign in ((0, -1), (16, 1)):
        cx, cy = identity.landmarks[mark] + (sign * 6, 8)
        centre = geometry.fixed((cx, cy), density).tolist()
        axes = (int(15 * density * 16), int(30 * density * 16))
        cv2.ellipse(mask, centre, axes, 0, 0, 360, 255, -1, cv2.LINE_AA, 4)
        cv2.ellipse(height, centre, tuple(int(.8 * a) for a in axes), 0, 0, 360, 9.0, -1, shift=4)
    cover = mask / np.float32(255)
    plastic = np.broadcast_to(to_linear((40, 41, 45)), (*mask.shape, 3))
    return cover, plastic, cv2.GaussianBlur(height, (0, 0), 2.6 * density)


# AU -> lines: (anchor landmark, points of the right half as offsets outward/down, depth mm,
# width mm). Folds lie where the moving skin buckles, across the direction of motion.
_FOLDS: dict[str, tuple[tuple[int, tuple[tuple[float, float], ...], float, float], ...]] = {
    "AU01": tuple((27, ((0, -48 - 11 * k), (14, -50 - 11 * k), (30, -46 - 11 * k)), -1.0, 1.8)
                  for k in range(-1, 2)),
    "AU02": tuple((27, ((24, -44 - 11 * k), (40, -43 - 11 * k), (54, -34 - 10 * k)), -.8, 1.8)
                  for k in range(-1, 2)),
    "AU04": ((27, ((4.5, -7), (5.5, -17), (4.5, -26)), -1.5, 1.5),
             (21, ((4, 2), (-6, 1)), .8, 4)),
    "AU06": ((36, ((4, -2), (10, -6), (15, -10)), -.9, 1.0), 
             (36, ((5, 1), (12, 0), (18, -2)), -.9, 1.0),
             (36, ((4, 4), (10, 7), (15, 10)), -.8, 1.0),
             (41, ((-14, 9), (0, 11), (9, 8)), -1.0, 1.6), (41, ((0, 22), (8, 24)), 1.5, 9)),
    "AU07": ((41, ((-10, 6), (0, 7), (7, 5)), -.7, 1.4),),
    "AU09": ((28, ((3, -4), (8, -1), (10, 4)), -1.1, 1.1),
             (28, ((3, 1), (8, 4), (10, 8)), -1.0, 1.1),
             (28, ((-2, -9), (2, -9)), -1.2, 1.4),
             (31, ((3, -6), (8, 0), (11, 9)), -1.6, 2.0), (31, ((10, -8), (12, -2)), 1.2, 5)),
    "AU10": ((31, ((3, -5), (9, 3), (14, 14)), -1.8, 2.2), (31, ((13, -6), (16, 2)), 1.4, 6)),
    "AU12": ((31, ((4, -3), (13, 8), (21, 22), (22, 31)), -2.3, 2.2),
             (41, ((0, 26), (7, 30)), 2.2, 10), (48, ((9, -7), (11, 1)), -.7, 4.5)),
    "AU14": ((48, ((4, -5), (5.5, 0), (4.5, 6)), -2.2, 2.6), (48, ((11, -3), (12, 4)), 1.2, 4)),
    "AU15": ((48, ((3, 5), (5, 12), (5, 18)), -1.4, 2.0),),
    "AU17": ((57, ((0, 6), (9, 8)), -1.5, 2.2), (8, ((0, -16), (6, -15)), 1.5, 6),
             (8, ((3, -20), (6, -14)), -.6, 1.5), (8, ((8, -19), (9, -12)), -.5, 1.4)),
    "AU20": ((48, ((7, -6), (9, 4), (8, 12)), -.9, 4.0),),
    "AU23": ((57, ((0, 5), (10, 4)), -.9, 2.0), (48, ((2, -4), (2, 5)), -.8, 1.8)),
    "AU26": ((48, ((8, 2), (10, 14), (8, 24)), -.9, 3.5),),
}


def wrinkles(identity: geometry.Identity, code: str, density: float) -> np.ndarray:
    """Return the relief that one AU adds at full intensity, float32 (Hc, Wc) mm.

    Older skin folds deeper: depth grows by about a tenth per decade.
    """
    x, y = geometry.canvas_axes(density)
    total = np.zeros((len(y), len(x)), np.float32)
    age = .75 + .010 * (identity.age - 20)
    for anchor, path, depth_mm, width in _FOLDS.get(code, ()):
        for sign in (-1, 1):
            mark = anchor if sign < 0 else int(anatomy.MIRROR[anchor])
            points = identity.landmarks[mark] + np.array(path) * (sign, 1)
            line = np.zeros_like(total)
            pixels = geometry.fixed(points, density)
            cv2.polylines(line, [pixels], False, 1.0, 1, shift=4)
            soft = cv2.GaussianBlur(line, (0, 0), width * density * .5)
            total += depth_mm * age * soft / max(float(soft.max()), 1e-6)
    return total
