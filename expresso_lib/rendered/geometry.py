"""Geometry: who has which face. Proportions, the 68 points, and the relief of the head.

The face frame is in millimetres: x grows towards the participant's left (right in the image), y
downwards, z towards the viewer; the origin lies between the eyes. The mean proportions are
rounded adult averages (Farkas, *Anthropometry of the Head and Face*, 1994): pupils 65 mm apart,
eyes to chin 115 mm, face 146 mm wide. An identity is the mean moved along a few named modes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike

from expresso_lib.faces import anatomy

# Extent of the painted canvas: from above the hair to below long hair, ears and headset included.
CANVAS_X = (-120.0, 120.0)
CANVAS_Y = (-152.0, 228.0)
SKULL_HEIGHT = 119.0  # mm from the ears' upper edge to the vertex
SKULL_POWER = 2.5     # a super-ellipse flatter at the temples than an ellipse
TONES = 6  # Fitzpatrick's skin types I to VI

# Right half of the mean face: landmark -> (distance from the midline, y).
_HALF = {
    0: (73, 8), 1: (72.5, 27), 2: (70.5, 46), 3: (66.5, 64), 4: (59.5, 80.5), 5: (48, 94.5),
    6: (34, 106), 7: (17.5, 113), 8: (0, 115.5),
    17: (60, -12), 18: (51, -20.5), 19: (38.5, -24), 20: (25, -22.5), 21: (12, -18),
    27: (0, -4), 28: (0, 7), 29: (0, 18.5), 30: (0, 30), 31: (14.5, 41), 32: (7.5, 43.3),
    33: (0, 45),
    36: (45.5, 1), 37: (38, -5), 38: (28, -5.2), 39: (19.3, 1.8), 40: (28, 3.6), 41: (38, 4),
    48: (26.5, 67), 49: (17.5, 61.5), 50: (7, 58.2), 51: (0, 59.8), 57: (0, 78.8),
    58: (8.2, 78), 59: (18, 74.2), 60: (23.5, 67), 61: (8, 66.2), 62: (0, 66.9),
    66: (0, 67.5), 67: (8, 66.9),
}


def mean_landmarks() -> np.ndarray:
    """Return the mean face's landmarks, float64 (68, 2), mm, exactly symmetric."""
    points = np.zeros((anatomy.N_LANDMARKS, 2))
    for index, (side, y) in _HALF.items():
        points[index] = (-side, y)
        points[anatomy.MIRROR[index]] = (side, y)
    return points


@dataclass(frozen=True, eq=False)
class Identity:
    """One rendered person: everything that stays the same from recording to recording."""

    seed: int
    sex: str            # "female" or "male"
    age: int            # years
    tone: int           # 0 (lightest) to 5 (darkest)
    landmarks: np.ndarray  # (68, 2) neutral face, mm
    relief: dict[str, float] = field(default_factory=dict)  # sizes of the head's forms, mm
    traits: dict[str, Any] = field(default_factory=dict)    # hair, eyes, brows, skin


# Named modes of shape: standard deviation over people, in the unit of the comment.
_MODES = {
    "face_width": .038, "face_length": .04, "jaw_width": .055, "chin_length": 3.2,
    "eye_gap": 1.3, "eye_width": .05, "eye_open": .11, "eye_tilt": .9,
    "brow_height": 1.7, "brow_arch": 1.4, "brow_tilt": 1.3,
    "nose_length": 2.6, "nose_width": .09, "mouth_width": .07, "mouth_height": 2.0,
    "upper_lip": .2, "lower_lip": .18,
}


def draw_identity(seed: int, *, sex: str | None = None, age: int | None = None,
                  tone: int | None = None) -> Identity:
    """Draw one identity; sex, age and skin tone are drawn too unless given.

    Parameters
    ----------
    seed : int
        The same seed and options give the same person.
    sex : {"female", "male"}, optional
    age : int, optional
        Years, 18 to 75.
    tone : int, optional
        0 (lightest) to 5 (darkest), after Fitzpatrick.
    """
    rng = np.random.default_rng([seed, 1])
    drawn_sex = "female" if rng.random() < .5 else "male"
    drawn_age = int(rng.integers(20, 72))
    drawn_tone = int(rng.integers(0, TONES))
    sex = drawn_sex if sex is None else sex
    age = drawn_age if age is None else age
    tone = drawn_tone if tone is None else tone
    modes = {name: sd * float(np.clip(rng.standard_normal(), -1.9, 1.9))
             for name, sd in _MODES.items()}
    male = 1.0 if sex == "male" else -1.0
    # Sexual dimorphism: larger lower face, lower and straighter brows, thinner lips (Farkas).
    for name, shift in {"jaw_width": .035, "chin_length": 1.8, "brow_height": -1.3,
                        "brow_arch": -.9, "upper_lip": -.1, "lower_lip": -.07, "eye_open": -.05,
                        "nose_width": .04, "face_length": .012, "mouth_width": .02}.items():
        modes[name] += male * shift
    modes["upper_lip"] += .10 * (tone >= 4) - .004 * (age - 40)
    modes["lower_lip"] += .10 * (tone >= 4)
    modes["nose_width"] += .07 * (tone >= 4)
    asymmetry = np.random.default_rng([seed, 2]).normal(0, .35, (anatomy.N_LANDMARKS, 2))
    landmarks = _shape(modes) + _smooth_asymmetry(asymmetry)
    relief = _draw_relief(np.random.default_rng([seed, 3]), male, tone)
    traits = _draw_traits(np.random.default_rng([seed, 4]), sex, age, tone)
    return Identity(seed, sex, age, tone, landmarks, relief, traits)


def average_identity() -> Identity:
    """Return the mean face, symmetric and nobody's, for drawings that may show no one."""
    traits = _draw_traits(np.random.default_rng(0), "female", 35, 2)
    traits |= {"hair": "tied", "glasses": "none", "beard": 0.0, "freckles": 0.0, "moles": 0}
    relief = _draw_relief(np.random.default_rng(0), 0.0, 2, spread=0.0)
    return Identity(0, "female", 35, 2, mean_landmarks(), relief, traits)


def _shape(modes: dict[str, float]) -> np.ndarray:
    """Return the mean landmarks moved along the modes, (68, 2) mm."""
    points = mean_landmarks()
    eyes = list(anatomy.RIGHT_EYE + anatomy.LEFT_EYE)
    for group in (anatomy.RIGHT_EYE, anatomy.LEFT_EYE):
        index = list(group)
        centre = points[index].mean(axis=0)
        side = np.sign(centre[0])
        local = points[index] - centre
        local *= (1 + modes["eye_width"], 1 + modes["eye_open"])
        local[:, 1] -= modes["eye_tilt"] * side * local[:, 0] / 13
        points[index] = centre + local + (side * modes["eye_gap"], 0)
    for group in (anatomy.RIGHT_EYEBROW, anatomy.LEFT_EYEBROW):
        index = list(group)
        along = np.linspace(-1, 1, 5) * np.sign(points[index[2], 0])
        points[index, 1] -= modes["brow_height"] + modes["brow_tilt"] * along
        points[index, 1] -= modes["brow_arch"] * (.6 - along**2)
    nose = list(anatomy.NOSE_BASE + anatomy.NOSE_BRIDGE)
    points[nose, 1] += modes["nose_length"] * np.clip(points[nose, 1] / 45, 0, 1)
    points[list(anatomy.NOSE_BASE), 0] *= 1 + modes["nose_width"]
    mouth = list(anatomy.OUTER_LIP + anatomy.INNER_LIP)
    points[mouth, 0] *= 1 + modes["mouth_width"]
    seam = 67.2
    above = [i for i in mouth if points[i, 1] < seam - 1]
    below = [i for i in mouth if points[i, 1] > seam + 1]
    points[above, 1] = seam + (points[above, 1] - seam) * (1 + modes["upper_lip"])
    points[below, 1] = seam + (points[below, 1] - seam) * (1 + modes["lower_lip"])
    points[mouth, 1] += modes["mouth_height"] + .5 * modes["nose_length"]
    jaw = list(anatomy.JAW)
    lower = np.clip((points[jaw, 1] - 20) / 75, 0, 1)
    points[jaw, 0] *= 1 + modes["jaw_width"] * lower
    points[jaw, 1] += modes["chin_length"] * lower**2 + .4 * modes["mouth_height"] * lower
    stretch = np.array([1 + modes["face_width"], 1 + modes["face_length"]])
    # Eyes vary less in size than the face around them.
    scale = np.tile(stretch, (anatomy.N_LANDMARKS, 1))
    scale[eyes] = 1 + (stretch - 1) * .5
    return points * scale


def _smooth_asymmetry(noise: np.ndarray) -> np.ndarray:
    """Return noise averaged over neighbouring landmarks, so that contours stay smooth."""
    points = mean_landmarks()
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    weight = np.exp(-(distance / 22) ** 2)
    return weight @ noise / np.sqrt((weight**2).sum(axis=1, keepdims=True)) * 1.6


def _draw_relief(rng: np.random.Generator, male: float, tone: int, *, spread: float = 1.0
                 ) -> dict[str, float]:
    """Draw the sizes of the head's forms, mm: mean, spread, and the shift with sex."""
    forms = {
        "nose_tip": (19, 2.4, .8), "nose_bridge": (9.5, 1.8, .7), "nose_sigma": (7.2, .6, .2),
        "nose_hump": (0, 1.1, .3), "brow_ridge": (3.2, .9, 1.0), "socket": (7.0, 1.1, .4),
        "cheekbone": (5.0, 1.3, -.3), "chin": (6.0, 1.3, .8), "cheek_hollow": (1.6, 1.1, .3),
        "jowl": (1.0, .8, 0), "depth": (76, 3.0, 1.0),
    }
    relief = {name: mean + spread * sd * float(np.clip(rng.standard_normal(), -2, 2)) + male * shift
              for name, (mean, sd, shift) in forms.items()}
    if tone >= 4:
        relief["nose_bridge"] -= 2.0 * spread
        relief["nose_sigma"] += .8 * spread
    return relief


_HAIR = {
    "female": (("long", .26), ("bob", .18), ("tied", .20), ("wavy", .16), ("curly", .12),
               ("short", .08)),
    "male": (("short", .34), ("side", .26), ("crop", .14), ("receding", .12), ("bald", .08),
             ("curly", .06)),
}


def _draw_traits(rng: np.random.Generator, sex: str, age: int, tone: int) -> dict[str, Any]:
    names, chances = zip(*_HAIR[sex])
    chance = np.array(chances)
    if tone >= 4:
        chance[[n in ("long", "side", "wavy") for n in names]] *= .3
        chance[[n in ("curly", "crop") for n in names]] *= 3
    if age < 35:
        chance[[n in ("receding", "bald") for n in names]] *= .15
    hair = str(rng.choice(names, p=chance / chance.sum()))
    grey = float(np.clip((age - 42) / 30 + rng.normal(0, .22), 0, 1))
    # Melanin of the hair, 0 blond to 1 black; dark skin comes with dark hair and eyes.
    melanin = float(np.clip(rng.beta(1.6, 1.6) * .85 + .15 + .24 * tone, 0, 1))
    iris = "brown" if tone >= 3 or rng.random() < .4 else str(
        rng.choice(["blue", "green", "hazel", "grey"]))
    beard = 0.0
    if sex == "male":
        beard = float(rng.choice([.25, .5, .8, 1.4], p=[.3, .35, .17, .18]))
    return {
        "hair": hair, "grey": grey, "melanin": melanin,
        "redness": float(rng.random() < .14 and tone <= 2), "iris": iris, "beard": beard,
        "glasses": "wire" if rng.random() < .12 else ("frame" if rng.random() < .12 else "none"),
        "brow": float(np.clip(rng.normal(.82 + .18 * (sex == "male"), .16), .5, 1.25)),
        "freckles": float(rng.random() < .25) * max(0.0, 1 - tone / 2.5),
        "moles": int(rng.integers(0, 4)), "lipstick": float(sex == "female") * rng.choice(
            [0.0, .35, .7]),
        "hairline": float(rng.normal(0, 5)), "part": float(rng.choice([-1.0, 1.0])),
        "part_x": float(rng.uniform(15, 40)), "volume": float(rng.uniform(.8, 1.25)),
        "fringe": bool(sex == "female" and rng.random() < .35),
        "hair_length": float(rng.uniform(0, 1)), "warmth": float(rng.normal(0, 1)),
        "gloss": float(rng.uniform(.7, 1.3)), "skin_value": float(rng.normal(0, .07)),
    }


def canvas_axes(density: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the mm coordinates (x, y) of the canvas's pixel centres at `density` px/mm."""
    width = round((CANVAS_X[1] - CANVAS_X[0]) * density)
    height = round((CANVAS_Y[1] - CANVAS_Y[0]) * density)
    x = CANVAS_X[0] + (np.arange(width) + .5) / density
    y = CANVAS_Y[0] + (np.arange(height) + .5) / density
    return x, y


def to_canvas(points: ArrayLike, density: float) -> np.ndarray:
    """Return mm points (..., 2) as canvas pixels (pixel centres at whole numbers)."""
    return (np.asarray(points) - (CANVAS_X[0], CANVAS_Y[0])) * density - .5


def fixed(points: ArrayLike, density: float) -> np.ndarray:
    """Return mm points (..., 2) as OpenCV draws them: int32 with four fractional bits."""
    return np.round(to_canvas(points, density) * 16).astype(np.int32)


def outline(identity: Identity) -> np.ndarray:
    """Return the closed contour of the bare head, float64 (K, 2) mm: jaw below, skull above."""
    jaw = identity.landmarks[list(anatomy.JAW)]
    dense = _spline(jaw, 12)
    width = (jaw[16, 0] - jaw[0, 0]) / 2
    middle = (jaw[16, 0] + jaw[0, 0]) / 2
    top = jaw[[0, 16], 1].mean()
    angle = np.linspace(0, np.pi, 80)[1:-1]
    cosine, sine = np.cos(angle), np.sin(angle)
    # The skull is widest above the ears (parietal), a few mm more than the cheekbones.
    girth = width + 5.0 * np.sin(2 * angle) ** 2
    x = middle + girth * np.sign(cosine) * np.abs(cosine) ** (2 / SKULL_POWER)
    y = top - SKULL_HEIGHT * sine ** (2 / SKULL_POWER)
    return np.vstack([dense, np.column_stack([x, y])])


def _spline(points: np.ndarray, steps: int) -> np.ndarray:
    """Return a Catmull-Rom curve through open points, (steps * (K - 1) + 1, 2)."""
    padded = np.vstack([2 * points[0] - points[1], points, 2 * points[-1] - points[-2]])
    p0, p1, p2, p3 = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = (np.arange(steps) / steps)[:, None, None]
    curve = .5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
                  + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return np.vstack([curve.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


def inside_distance(identity: Identity, density: float) -> np.ndarray:
    """Return the signed distance to the head's outline, float32 (Hc, Wc) mm, positive inside."""
    x, y = canvas_axes(density)
    mask = np.zeros((len(y), len(x)), np.uint8)
    contour = fixed(outline(identity), density)
    cv2.fillPoly(mask, [contour], 1, shift=4)
    inside = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5)
    return (np.where(mask > 0, inside - .5, .5 - outside) / density).astype(np.float32)


def bump(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], sx: float, sy: float
         ) -> np.ndarray:
    """Return a Gaussian hill of height 1 over the axes, (len(y), len(x))."""
    return np.exp(-.5 * ((y - centre[1]) / sy) ** 2)[:, None] * np.exp(
        -.5 * ((x - centre[0]) / sx) ** 2)[None]


def depth(identity: Identity, density: float) -> np.ndarray:
    """Return the head's relief z(x, y), float32 (Hc, Wc) mm.

    A rolled-off mask (flat in front, round to the ears) with forms added: nose, sockets, brow
    ridge, cheekbones, lips, chin. Within the face its slope stays below 2.4; towards the rim it
    reaches 4, which a turn of about 14 degrees still shows without a fold.
    """
    x, y = canvas_axes(density)
    points, relief = identity.landmarks, identity.relief
    edge = inside_distance(identity, density)
    profile = np.interp(y, [-150, -60, -25, 0, 30, 60, 90, 112, 125, 228],
                        [-2, -1, 0, -2, 0, 2, 1, -7, -14, -24])
    half = np.interp(y, *_half_width(identity))
    across = np.abs(x[None]) / half[:, None]
    top = points[[0, 16], 1].mean()
    up = np.clip((top - y) / SKULL_HEIGHT, 0, None)[:, None]
    # Above the ears the skull is a super-ellipsoid of the outline's exponent.
    radius = np.clip((across**SKULL_POWER + up**SKULL_POWER) ** (1 / SKULL_POWER), 0, .995)
    rolled = relief["depth"] * (1 - (1 - radius**2.3) ** (1 / 2.3))
    rim = 20 * (1 - np.sqrt(1 - (1 - np.clip(edge / 20, 0, 1)) ** 2)) * np.clip(
        (y[:, None] - 60) / 40, 0, 1)
    z = profile[:, None] - np.minimum(rolled, relief["depth"]) - .8 * rim
    for form in (_eye_forms, _nose_forms, _mouth_forms):
        z = z + form(x, y, points, relief)
    z = cv2.GaussianBlur(z.astype(np.float32), (0, 0), 1.6 * density)
    return z


def _half_width(identity: Identity) -> tuple[np.ndarray, np.ndarray]:
    contour = outline(identity)
    right = contour[contour[:, 0] > 0]
    order = np.argsort(right[:, 1])
    y, half = right[order, 1], right[order, 0]
    # Above the ears the dome narrows by itself, see `depth`.
    half = np.where(y < 8, half.max(), half)
    # Below the jaw's corner the head keeps its girth: the jaw bone, not the neck, is modelled.
    corner = np.interp(70, y, half)
    return y, np.maximum(half, np.where(y > 70, corner * .94, 20))


def _eye_forms(x: np.ndarray, y: np.ndarray, points: np.ndarray, relief: dict[str, float]
               ) -> np.ndarray:
    z = np.zeros((len(y), len(x)))
    for eye, brow in ((anatomy.RIGHT_EYE, anatomy.RIGHT_EYEBROW),
                      (anatomy.LEFT_EYE, anatomy.LEFT_EYEBROW)):
        cx, cy = points[list(eye)].mean(axis=0)
        bx, by = points[list(brow)].mean(axis=0)
        side = np.sign(cx)
        z -= relief["socket"] * bump(x, y, (cx - side * 3, cy - 2), 15, 9.5)
        z -= 2.0 * bump(x, y, (cx - side * 12, cy), 6, 7)
        z += 5.2 * bump(x, y, (cx, cy - .5), 11, 8.0)
        z += relief["brow_ridge"] * bump(x, y, (bx - side * 2, by - 1), 17, 6)
        z += relief["cheekbone"] * bump(x, y, (cx + side * 14, cy + 30), 17, 15)
        z -= relief["cheek_hollow"] * bump(x, y, (cx + side * 17, cy + 62), 13, 18)
        z += relief["jowl"] * bump(x, y, (cx + side * 8, cy + 84), 12, 12)
        z -= 4.0 * bump(x, y, (side * 66, cy - 24), 12, 22)
    return z + 1.2 * bump(x, y, (0, points[21, 1] - 2), 13, 8)


def _nose_forms(x: np.ndarray, y: np.ndarray, points: np.ndarray, relief: dict[str, float]
                ) -> np.ndarray:
    root, tip, base = points[27, 1], points[30, 1], points[33, 1]
    wing = (points[35, 0] - points[31, 0]) / 2
    centre = points[30, 0]
    knots = [root - 12, root, (root + tip) / 2, tip - 4, tip + 3, base - 1, base + 7]
    tip_height = relief["nose_tip"]
    ridge = np.interp(y, knots, [1.2, relief["nose_bridge"] * .6,
                                 (relief["nose_bridge"] + tip_height * .9) * .5
                                 + relief["nose_hump"], tip_height * .78, tip_height * .74,
                                 tip_height * .44, 0])
    span = max(3, round(5 / (y[1] - y[0])) | 1)
    ridge = np.convolve(np.pad(ridge, span, "edge"), np.ones(span) / span, "same")[span:-span]
    sigma = relief["nose_sigma"]
    width = np.interp(y, knots, [6.5, sigma - .6, sigma + .2, sigma + .4, sigma + .6, 8, 8])
    # Flatter than a Gaussian on top: a nose has a back and two sides.
    side_on = np.abs(x[None] - centre) / width[:, None]
    z = ridge[:, None] * np.exp(-.5 * side_on**2.0)
    z += .26 * tip_height * bump(x, y, (centre, tip + 2), 6.6, 6.4)
    for side in (-1, 1):
        z += 7.4 * bump(x, y, (centre + side * (wing - 3.4), base - 5.0), 4.8, 5.0)
        z -= 2.0 * bump(x, y, (centre + side * (wing + 4.2), base - 3), 2.6, 6)
        z -= 1.6 * bump(x, y, (centre + side * wing * .48, base - .5), 3.0, 1.8)
    return z - 1.0 * bump(x, y, (centre, base + 5.5), 11, 3.2)


def _mouth_forms(x: np.ndarray, y: np.ndarray, points: np.ndarray, relief: dict[str, float]
                 ) -> np.ndarray:
    middle, seam = points[62, 0], points[62, 1]
    top, bottom, chin = points[51, 1], points[57, 1], points[8, 1]
    half = (points[54, 0] - points[48, 0]) / 2
    z = 4.5 * bump(x, y, (middle, seam - 2), half * .78, 15)
    z += 1.7 * bump(x, y, (middle, (top + seam) / 2), half * .55, 3.6)
    z += 2.3 * bump(x, y, (middle, (bottom + seam) / 2 + .5), half * .5, 4)
    z -= 1.1 * bump(x, y, (middle, top - 6), 2.6, 6)
    for side in (-1, 1):
        z += .6 * bump(x, y, (middle + side * 5.5, top - 6), 2.4, 6)
        z -= 1.8 * bump(x, y, (middle + side * (half + 2), seam), 4.5, 5)
        # Nasolabial fold: the step from the cheek to the upper lip.
        z += 1.6 * bump(x, y, (middle + side * (half + 11), seam - 15), 9, 13)
    z -= 3.2 * bump(x, y, (middle, bottom + 6.5), half * .8, 4.5)
    return z + relief["chin"] * bump(x, y, (middle, chin - 15), 14, 10)


