"""Hair: strands painted one by one, so that no edge is a clean line.

A style is a surface between two curves. *Combed* strands run along it (long, bob, side parting),
*radial* strands run across it, from the hairline outwards (short, tied back, curly). Each strand
has its own tint; neighbours share most of it, as locks do.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from expresso_lib.faces import anatomy
from expresso_lib.rendered import geometry


@dataclass(frozen=True, eq=False)
class HairLayer:
    """Hair over the canvas: linear colour (Hc, Wc, 3), opacity, relief in mm, gloss (Hc, Wc)."""

    colour: np.ndarray
    opacity: np.ndarray
    height: np.ndarray
    gloss: np.ndarray


def colour(identity: geometry.Identity) -> np.ndarray:
    """Return the hair's sRGB colour (3,), 0..255: from blond to black by melanin, then grey."""
    melanin = identity.traits["melanin"]
    stops = np.array([(206, 172, 118), (150, 108, 66), (92, 62, 42), (52, 37, 29), (26, 21, 20)])
    shade = np.array([np.interp(melanin, np.linspace(0, 1, 5), stops[:, c]) for c in range(3)])
    if identity.traits["redness"]:
        shade = .5 * shade + .5 * np.array([138, 66, 34])
    grey = np.array([168, 166, 163])
    return shade * (1 - identity.traits["grey"]) + grey * identity.traits["grey"]


def hairline(identity: geometry.Identity, turns: np.ndarray) -> np.ndarray:
    """Return points of the hairline, mm (K, 2): turn 0 right sideburn, .5 forehead, 1 left."""
    traits = identity.traits
    lift = traits["hairline"] - (22 if traits["hair"] == "receding" else 0)
    lift -= 62 if traits["hair"] == "bald" else 0
    width = identity.landmarks[16, 0] / 73
    bay = 14 if identity.sex == "male" else 5
    x = np.array([-72, -69, -61, -46, -22, 0, 22, 46, 61, 69, 72.0]) * width
    y = np.array([6, -18, -40, -62, -69, -70, -69, -62, -40, -18, 6.0])
    rise = np.array([0, .05, .3, .8, 1, 1, 1, .8, .3, .05, 0])
    recess = np.array([0, 0, .3, 1, .2, 0, .2, 1, .3, 0, 0])
    y = y + rise * lift - recess * bay * (1.8 if traits["hair"] == "receding" else .5)
    knots = np.linspace(0, 1, len(x))
    return np.column_stack([np.interp(turns, knots, _soft(x)), np.interp(turns, knots, _soft(y))])


def _soft(values: np.ndarray) -> np.ndarray:
    padded = np.pad(values, 1, "edge")
    return .2 * padded[:-2] + .6 * padded[1:-1] + .2 * padded[2:]


def _crown(identity: geometry.Identity, turns: np.ndarray, volume: float) -> np.ndarray:
    """Return the hair's outer contour (K, 2) mm: the skull pushed out by `volume` mm."""
    contour = geometry.outline(identity)
    width = contour[:, 0].max() + volume * .8
    top = contour[:, 1].min() - volume
    angle = np.pi * turns
    low = 8
    cosine, sine = np.cos(angle), np.abs(np.sin(angle))
    # Volume thins out towards the ears.
    width = width - .8 * volume * np.clip(1 - sine / .42, 0, 1) ** 1.5
    x = -width * np.sign(cosine) * np.abs(cosine) ** (2 / geometry.SKULL_POWER)
    return np.column_stack([x, low + (top - low) * sine ** (2 / geometry.SKULL_POWER)])


def grow(identity: geometry.Identity, density: float) -> HairLayer:
    """Grow the identity's hair and beard on its canvas."""
    rng = np.random.default_rng([identity.seed, 6])
    x, y = geometry.canvas_axes(density)
    shape = (len(y), len(x))
    paint = np.zeros((*shape, 3), np.uint8)
    opacity: np.ndarray = np.zeros(shape, np.uint8)
    tint = colour(identity)
    style = identity.traits["hair"]
    paint[:] = np.clip(tint * .6, 0, 255).astype(np.uint8)
    strands, shades, mass = (_combed if style in ("long", "bob", "wavy", "side") else _radial)(
        identity, rng)
    for polygon in mass:
        corners = geometry.fixed(polygon, density)
        cv2.fillPoly(opacity, [corners], 255, cv2.LINE_AA, 4)
    opacity = cv2.GaussianBlur(opacity, (0, 0), 3.0 * density)
    _draw(paint, opacity, strands, tint, rng, density, shades=shades)
    if style in ("short", "crop", "receding"):
        _draw(paint, opacity, _strays(identity, rng), tint * .75, rng, density, strength=150)
    if identity.traits["beard"] > .7:
        _draw(paint, opacity, _beard(identity, rng), tint * .8, rng, density, strength=170)
    cover = opacity.astype(np.float32) / 255
    linear = (paint.astype(np.float32) / 255) ** 2.2
    if style in ("long", "bob", "wavy"):
        linear *= _behind_cheeks(identity, x, y)[..., None]
    thickness = {"crop": 2.0, "bald": .5, "tied": 4.0, "receding": 3.0}.get(style, 7.0)
    height = cv2.GaussianBlur(cover, (0, 0), 5 * density) * thickness
    luminance = linear.mean(axis=2)
    height += 1.1 * luminance / (luminance.mean() + 1e-6) * cover * .25
    return HairLayer(linear, cover, height.astype(np.float32), np.full(shape, .5, np.float32))


def _draw(paint: np.ndarray, opacity: np.ndarray, strands: np.ndarray, tint: np.ndarray,
          rng: np.random.Generator, density: float, *, strength: int = 255,
          shades: np.ndarray | float = 0.0) -> None:
    """Draw strands (K, S, 2) mm into the 8-bit paint and opacity, each with its own tint."""
    pixels = geometry.fixed(strands, density)
    # Locks: strands that start close together share most of their brightness.
    order = np.argsort(strands[:, 0, 0] + .37 * strands[:, 0, 1] + rng.normal(0, 2, len(strands)))
    locks = np.repeat(rng.normal(0, .30, len(strands) // 12 + 1), 12)[: len(strands)]
    shade = np.empty(len(strands))
    shade[order] = locks
    shade = np.exp(shade + shades + rng.normal(0, .16, len(strands)))
    for k in rng.permutation(len(strands)):
        value = tuple(float(v) for v in np.clip(tint * shade[k], 4, 245))
        cv2.polylines(paint, [pixels[k]], False, value, 1, cv2.LINE_AA, 4)
        cv2.polylines(opacity, [pixels[k]], False, strength, 1, cv2.LINE_AA, 4)


def _combed(identity: geometry.Identity, rng: np.random.Generator
            ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return strands (K, S, 2), their shade, and the polygons they fill: hair from a parting."""
    traits = identity.traits
    style = traits["hair"]
    end = {"side": 6, "bob": 78 + 40 * traits["hair_length"]}.get(style, 226)
    part = traits["part"] * traits["part_x"] * (1.0 if style == "side" else .6)
    strands, shades, mass = [], [], []
    for sign in (-1, 1):
        inner, outer = _edges(identity, part, sign)
        inner_curve, outer_curve = (_until(geometry._spline(c, 10), end) for c in (inner, outer))
        count = 1700 if style != "side" else 1300
        q = rng.random(count)
        path = inner_curve[None] * (1 - q)[:, None, None] + outer_curve[None] * q[:, None, None]
        path = path + _waver(rng, count, path.shape[1], 6.0 if style == "wavy" else 2.6)
        first = rng.integers(0, 10, count)
        last = path.shape[1] - rng.integers(0, 10 if style != "side" else 14, count)
        strands.append(_trim(path, first, last))
        shades.append(-.25 * (1 - q))
        cut = 40 if style == "bob" else 42 if style == "side" else 48
        mass.append(np.vstack([inner_curve[:cut], outer_curve[:cut][::-1]]))
    if traits["fringe"] and style != "side":
        strands.append(_fringe(identity, rng))
        shades.append(np.full(len(strands[-1]), .0))
    return np.concatenate(strands), np.concatenate(shades), mass


def _edges(identity: geometry.Identity, part: float, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the inner and outer edge of combed hair on one side, (K, 2) mm each."""
    traits = identity.traits
    width, lift = identity.landmarks[16, 0] / 73, traits["hairline"]
    volume = traits["volume"] * 11
    mid = part + sign * .45 * (60 - sign * part)
    if traits["hair"] == "side":
        inner = [(part, -68 + lift), (mid, -70 + lift), (sign * 56, -50), (sign * 66, -28),
                 (sign * 70, -8), (sign * 71, 14)]
        tail = [(sign * 79, -20), (sign * 75, 14)]
    else:
        inner = [(part, -73 + lift), (mid, -68 + lift), (sign * 60, -38), (sign * 68, -4),
                 (sign * 69, 40), (sign * 66, 80), (sign * 60, 130), (sign * 58, 236)]
        flare = 8 * traits["volume"]
        tail = [(sign * (80 + volume), 25), (sign * (82 + volume), 80),
                (sign * (80 + volume + flare), 140), (sign * (80 + volume + flare), 236)]
    # Over the crown the outer edge is the skull's, pushed out; it then falls.
    start = .5 + sign * np.arcsin(np.clip(part / 80, -1, 1)) * sign / np.pi
    turns = np.linspace(start, .5 + sign * .40, 7)
    outer = [*_crown(identity, turns, .6 * volume) / (width, 1), *tail]
    return np.array(inner, float) * (width, 1), np.array(outer, float) * (width, 1)


def _strays(identity: geometry.Identity, rng: np.random.Generator) -> np.ndarray:
    """Return fine hairs (K, S, 2) that cross the hairline, so that it is no cut edge."""
    count = 260
    turns = rng.uniform(.12, .88, count)
    line = hairline(identity, turns)
    root = line + np.column_stack([np.zeros(count), rng.uniform(-9, -1, count)])
    sway = identity.traits["part"] * rng.normal(.5, .6, count)
    heading = np.column_stack([sway, rng.uniform(.2, 1.0, count)])
    t = np.linspace(0, 1, 8)[None, :, None]
    return root[:, None] + heading[:, None] * rng.uniform(4, 10, (count, 1, 1)) * t


def _behind_cheeks(identity: geometry.Identity, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how much light reaches hair beside the face, (Hc, Wc): less behind cheek and jaw."""
    half = identity.landmarks[16, 0]
    depth = np.clip((half + 10 - np.abs(x)) / 22, 0, 1)[None, :]
    return (1 - .72 * depth * np.clip((y - 5) / 40, 0, 1)[:, None]).astype(np.float32)


def _fringe(identity: geometry.Identity, rng: np.random.Generator) -> np.ndarray:
    count = 1500
    x0 = rng.uniform(-58, 58, count)
    start = np.column_stack([x0 * .8, -95 + rng.normal(0, 6, count)])
    stop = np.column_stack([x0 * 1.04 + rng.normal(0, 2.5, count),
                            -36 + .004 * x0**2 + rng.normal(0, 3, count)])
    t = np.linspace(0, 1, 40)[None, :, None]
    path = start[:, None] * (1 - t) + stop[:, None] * t
    return path + _waver(rng, count, 40, 1.6)


def _radial(identity: geometry.Identity, rng: np.random.Generator
            ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return strands, shades and polygons for hair that grows from the hairline outwards."""
    traits = identity.traits
    style = traits["hair"]
    volume, length, count, wander, lean = _RADIAL[style]
    volume *= traits["volume"]
    turns = rng.uniform(.015, .985, count)
    if style == "bald":
        turns = np.where(turns < .5, turns * .34, 1 - (1 - turns) * .34)
    ragged = np.interp(turns, np.linspace(0, 1, 60), rng.normal(0, .028, 60))
    q = rng.random(count) ** .8 * 1.02 - .02 + ragged
    t = np.linspace(0, 1, 24)
    # Short hair leans to the side of the parting, each lock a little differently.
    tilt = lean * traits["part"] * np.sin(np.pi * turns) + rng.normal(0, .05, count)
    along = np.clip(turns[:, None] + tilt[:, None] * t, 0, 1)
    line = hairline(identity, along.ravel()).reshape(count, 24, 2)
    rim = _crown(identity, along.ravel(), volume).reshape(count, 24, 2)
    reach = q[:, None] + length * t * rng.uniform(.4, 1.15, (count, 1))
    limit = 1 + (.012 if style == "tied" else .035) * np.abs(rng.standard_normal((count, 1)))
    path = line + (rim - line) * np.minimum(reach, limit)[..., None]
    if style == "curly":
        spin = rng.uniform(0, 2 * np.pi, (count, 1)) + 2 * np.pi * rng.uniform(
            .8, 1.6, (count, 1)) * t
        radius = rng.uniform(1.6, 4.2, (count, 1))
        path = path + np.stack([radius * np.cos(spin), radius * np.sin(spin)], axis=2)
    else:
        path = path + _waver(rng, count, 24, wander)
    shades = -.35 * np.clip(1 - q / .15, 0, 1) + (.25 * q if style != "tied" else 0 * q)
    steps = np.linspace(.05, .95, 60)
    line, rim = hairline(identity, steps), _crown(identity, steps, volume)
    if style == "bald":
        return path, shades, []
    return path, shades, [np.vstack([line + .10 * (rim - line), (line + .95 * (rim - line))[::-1]])]


# style -> volume mm, strand length as a share of hairline to rim, strands, wander mm, lean.
_RADIAL = {"crop": (2.5, .10, 5200, .5, .0), "bald": (.5, .05, 1100, .4, .0),
           "tied": (3.5, .8, 3400, .8, .0), "receding": (4, .3, 3200, 1.2, .10),
           "short": (9, .42, 3600, 2.4, .16), "curly": (19, .12, 4200, 0, .0)}


def _until(curve: np.ndarray, y_end: float, count: int = 48) -> np.ndarray:
    """Return the curve cut where it passes below `y_end`, resampled to `count` points."""
    below = np.flatnonzero(curve[:, 1] > y_end)
    cut = curve[: below[0] + 1] if below.size else curve
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(cut, axis=0), axis=1))])
    at = np.linspace(0, arc[-1], count)
    return np.column_stack([np.interp(at, arc, cut[:, c]) for c in range(2)])


def _waver(rng: np.random.Generator, count: int, steps: int, amount: float) -> np.ndarray:
    """Return smooth sideways wander per strand, (count, steps, 2) mm, zero at the root."""
    t = np.linspace(0, 1, steps)[None, :, None]
    phase = rng.uniform(0, 2 * np.pi, (count, 1, 2))
    rate = rng.uniform(.6, 1.8, (count, 1, 2)) * 2 * np.pi
    return amount * rng.normal(0, .6, (count, 1, 2)) * np.minimum(1, 3 * t) * np.sin(
        phase + rate * t)


def _trim(path: np.ndarray, first: np.ndarray, last: np.ndarray, steps: int = 40) -> np.ndarray:
    """Return strands resampled between their own first and last step."""
    t = first[:, None] + (last - 1 - first)[:, None] * np.linspace(0, 1, steps)[None]
    low = np.clip(np.floor(t).astype(int), 0, path.shape[1] - 2)
    share = (t - low)[..., None]
    rows = np.arange(len(path))[:, None]
    return path[rows, low] * (1 - share) + path[rows, low + 1] * share


def beard_area(identity: geometry.Identity, density: float) -> np.ndarray:
    """Return where a beard grows, 0 to 1, float32 (Hc, Wc)."""
    if identity.sex != "male":
        x, y = geometry.canvas_axes(density)
        return np.zeros((len(y), len(x)), np.float32)
    points = identity.landmarks
    jaw = points[[2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]] * (.985, 1)
    cheek = points[[14, 2]] * (.93, 1) + (0, 2)
    upper = np.array([points[54] + (16, -2), points[35] + (4, 8), points[33] + (0, 5),
                      points[31] + (-4, 8), points[48] + (-16, -2)])
    polygon = np.vstack([jaw, cheek[:1] - np.array([4, 0]), upper,
                         cheek[1:] + np.array([4, 0])])
    x, y = geometry.canvas_axes(density)
    mask = np.zeros((len(y), len(x)), np.uint8)
    cv2.fillPoly(mask, [geometry.fixed(polygon, density)],
                 255, shift=4)
    return cv2.GaussianBlur(mask, (0, 0), 4 * density) / np.float32(255)


def _beard(identity: geometry.Identity, rng: np.random.Generator) -> np.ndarray:
    """Return short strands (K, S, 2) over the beard area, growing down and out."""
    area = beard_area(identity, 1.0)
    x, y = geometry.canvas_axes(1.0)
    rows, columns = np.nonzero(area > .35)
    pick = rng.integers(0, len(rows), 5200)
    root = np.column_stack([x[columns[pick]], y[rows[pick]]]) + rng.uniform(-.5, .5, (5200, 2))
    long = 3.5 + 4 * (identity.traits["beard"] - .7)
    heading = np.column_stack([.2 * root[:, 0] / 90, np.ones(len(root))]) + rng.normal(0, .25,
                                                                                (5200, 2))
    t = np.linspace(0, 1, 6)[None, :, None]
    return root[:, None] + heading[:, None] * long * t + _waver(rng, 5200, 6, .5)


def brows(identity: geometry.Identity, density: float) -> HairLayer:
    """Return the eyebrows: short hairs that lean outwards, densest in the middle of the brow."""
    rng = np.random.default_rng([identity.seed, 7])
    x, y = geometry.canvas_axes(density)
    shape = (len(y), len(x))
    tint = colour(identity) * (.62 + .1 * identity.traits["grey"])
    # Brows stay darker than light hair; they carry AU1, 2 and 4.
    tint = tint * min(1.0, 62 / float(tint.mean()))
    paint = np.full((*shape, 3), tint.astype(np.uint8), np.uint8)
    opacity = np.zeros(shape, np.uint8)
    strength = int(np.clip(225 * identity.traits["brow"], 150, 250))
    for group, sign in ((anatomy.RIGHT_EYEBROW, -1), (anatomy.LEFT_EYEBROW, 1)):
        line = identity.landmarks[list(group)]
        line = line[np.argsort(sign * line[:, 0])]
        curve = _until(geometry._spline(line, 10), 1e9)
        count = 330
        s = rng.beta(1.25, 1.35, count)
        thick = np.interp(s, [0, .25, .7, 1], [3.1, 3.9, 2.9, .9]) * identity.traits["brow"]
        middle = np.column_stack([np.interp(s, np.linspace(0, 1, 48), curve[:, c])
                                  for c in range(2)])
        offset = rng.uniform(-1, 1, count)
        root = middle + np.column_stack([np.zeros(count), offset * thick])
        lean = np.column_stack([sign * np.interp(s, [0, .3, 1], [.35, .9, 1]),
                                np.interp(s, [0, .3, 1], [-.9, -.35, .25]) - .35 * offset])
        t = np.linspace(0, 1, 5)[None, :, None]
        hairs = root[:, None] + lean[:, None] * rng.uniform(3.0, 5.5, (count, 1, 1)) * t
        hairs[..., 0] -= sign * 1.5
        _draw(paint, opacity, hairs, tint, rng, density, strength=strength)
    cover = cv2.GaussianBlur(opacity, (0, 0), .35 * density).astype(np.float32) / 255
    soft = cv2.GaussianBlur(cover, (0, 0), 1.3 * density)
    cover = np.maximum(cover, .55 * soft)
    zeros = np.zeros(shape, np.float32)
    return HairLayer((paint.astype(np.float32) / 255) ** 2.2, cover, zeros, zeros)
