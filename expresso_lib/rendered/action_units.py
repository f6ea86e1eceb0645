"""Action units: one table of displacements moves the 68 landmarks and the skin around them.

Each unit lists where points go at full intensity (OpenFace's 5), in mm, for the right half of
the face: (outward, down, forward). The left half is its mirror image. The table is interpolated
once per identity to a coarse grid (thin-plate splines); pixels and landmarks are moved by the same
grid, so that the truth is exact. Directions follow the FACS manual (Ekman, Friesen & Hager,
2002); amounts are set so that full intensity looks like the manual's E level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RBFInterpolator

from expresso_lib.faces import anatomy
from expresso_lib.rendered import geometry

FULL = 5.0  # OpenFace's largest intensity

# Skin points of the right half: name -> (anchor landmark, outward, down), mm from the anchor.
SKIN = {
    "lid_fold_in": (38, -1, -6), "lid_fold_out": (37, 1, -6), "bag_in": (40, 0, 7),
    "bag_out": (41, 1, 7), "cheek_apple": (41, 2, 34), "cheek_side": (41, 22, 44),
    "nasolabial": (31, 12, 8), "marionette": (48, 6, 14), "forehead_side": (19, 0, -26),
    "nose_side": (29, 11, -2), "chin_side": (6, -8, -14), "temple": (17, 6, -12),
}
MIDLINE = {"glabella": (27, 0, -15), "forehead": (27, 0, -50), "mentolabial": (57, 0, 8),
           "chin_boss": (8, 0, -15)}

# AU code -> point -> (outward, down, forward) at full intensity, mm.
TABLE: dict[str, dict[int | str, tuple[float, float, float]]] = {
    "AU01": {21: (.5, -8.5, 0), 20: (.3, -7, 0), 19: (0, -3, 0), 18: (0, -.6, 0),
             "glabella": (0, -3, 0), "forehead": (0, -5, 0), "lid_fold_in": (0, -1.8, 0),
             "forehead_side": (0, -1.5, 0)},
    "AU02": {17: (0, -5, 0), 18: (0, -7.8, 0), 19: (0, -6.8, 0), 20: (0, -2.6, 0),
             21: (0, -.4, 0), "forehead_side": (0, -4.5, 0), "lid_fold_out": (0, -1.8, 0),
             "temple": (0, -2.5, 0)},
    "AU04": {21: (-3.4, 5.4, 1), 20: (-2.8, 5.0, .5), 19: (-1.6, 3.6, 0), 18: (-.6, 1.6, 0),
             "glabella": (0, 3.2, 1.5), "forehead": (0, 2, 0), "lid_fold_in": (0, 1.8, 0),
             "lid_fold_out": (0, .8, 0)},
    "AU05": {37: (0, -2.6, 0), 38: (0, -2.6, 0), "lid_fold_in": (0, -1, 0),
             "lid_fold_out": (0, -1, 0)},
    "AU06": {40: (0, -1.5, 0), 41: (0, -1.9, 0), 36: (-.4, .3, 0), 17: (0, 1.3, 0),
             "bag_in": (.3, -3.0, 1.5), "bag_out": (.4, -4.2, 2.2), "cheek_apple": (1, -5.5, 3.2),
             "cheek_side": (1, -4, 1), "nasolabial": (.8, -1.5, 1)},
    "AU07": {37: (0, 1.3, 0), 38: (0, 1.3, 0), 40: (-.3, -2.0, 0), 41: (-.3, -2.1, 0),
             "bag_in": (0, -1.8, .5), "bag_out": (0, -1.8, .5)},
    "AU09": {31: (1.4, -4.2, 1), 32: (.6, -3.4, 0), 33: (0, -2.9, 0), 30: (0, -2.4, 1),
             29: (0, -2.6, 0), 28: (0, -1.6, 0), 21: (-1.2, 3.8, .5), 20: (-.5, 2.4, 0),
             19: (0, 1, 0), 50: (0, -2.8, 0), 49: (.4, -2.2, 0), 51: (0, -2.6, 0), 48: (.3, -.8, 0),
             40: (0, -1.1, 0), "glabella": (0, 2.4, 1), "nasolabial": (1.4, -4.2, 2),
             "nose_side": (.6, -3.2, 1.4), "bag_in": (0, -2.6, 1), "cheek_apple": (.3, -2.5, 1)},
    "AU10": {50: (.2, -5.4, .5), 49: (.8, -3.9, 0), 51: (0, -4.4, .5), 48: (.8, -.5, 0),
             60: (.6, -.6, 0), 61: (.3, -5.0, 0), 62: (0, -4.3, 0), 31: (.8, -1.4, 0),
             32: (.2, -.9, 0), 33: (0, -.6, 0), "nasolabial": (1.8, -4.2, 1.6),
             "cheek_apple": (.4, -1.6, 1)},
    "AU12": {48: (9.2, -8.6, -3), 49: (5.4, -4.2, -1.5), 50: (2.2, -.7, -.5), 51: (0, .9, -.5),
             59: (6.4, -4.2, -1.5), 58: (2.6, -1.5, -.5), 57: (0, -.8, 0), 60: (8.8, -8.0, -3),
             61: (3.2, -.8, -.5), 62: (0, .6, 0), 66: (0, -.3, 0), 67: (3.2, -1.6, -.5),
             31: (1.3, -.5, 0), 4: (1.0, -.6, 0), 5: (.8, -.8, 0), "nasolabial": (4.4, -2.8, 2.2),
             "cheek_apple": (2.2, -4.2, 4.0), "cheek_side": (3, -2.6, 1),
             "marionette": (4, -3.8, -.5), "bag_out": (0, -1.0, .5)},
    "AU14": {48: (5.2, .2, -3.4), 49: (3.0, .9, -1), 50: (1.1, 1.0, -.5), 51: (0, .7, 0),
             59: (3.2, -1.1, -1), 58: (1.2, -1.2, -.5), 57: (0, -.9, 0), 60: (4.8, .1, -3),
             61: (1.4, .3, 0), 67: (1.4, .1, 0), "marionette": (1.2, -.6, -1.5),
             "nasolabial": (1.2, .4, .5)},
    "AU15": {48: (1.0, 8.2, 0), 49: (.6, 3.2, 0), 50: (.1, .5, 0), 59: (1.0, 5.0, 0),
             58: (.4, 1.9, 0), 57: (0, .5, 0), 60: (1, 7.6, 0), 61: (.2, 1.2, 0),
             67: (.2, 2.0, 0), 66: (0, .3, 0), "marionette": (1, 4.4, .6),
             "chin_side": (.5, 1, .5)},
    "AU17": {57: (0, -4.8, 1), 58: (0, -4.3, 1), 59: (0, -1.8, 0), 66: (0, -2.6, 0),
             67: (0, -2.2, 0), 61: (0, -1.7, 0), 62: (0, -1.9, 0), 51: (0, -1.9, .5),
             50: (0, -1.6, .5), 49: (0, -.3, 0), 48: (0, 1.6, 0), 60: (0, 1.3, 0),
             8: (0, -3.4, 0), 7: (0, -2.6, 0), "chin_boss": (0, -5.4, 2),
             "mentolabial": (0, -5, 1.5)},
    "AU20": {48: (8.6, 2.6, -2), 49: (5.2, 1.3, -1), 50: (2.2, .8, 0), 59: (5.4, 1.2, -1),
             58: (2.2, .1, 0), 60: (8.2, 2.5, -2), 61: (3.2, .7, 0), 62: (0, .3, 0),
             67: (3.2, .9, 0), 66: (0, .3, 0), 51: (0, .6, 0), "marionette": (4.6, 2.2, 0),
             "cheek_side": (1.8, .6, 0), "nasolabial": (2, .6, 0), "chin_side": (1.5, .8, 0)},
    "AU23": {48: (-3.6, 0, 0), 49: (-2.2, 1.8, 0), 50: (-.7, 3.0, -.5), 51: (0, 2.7, -.5),
             59: (-2.2, -1.8, 0), 58: (-.8, -3.5, -.5), 57: (0, -3.6, -.5), 60: (-3.2, 0, 0),
             61: (-1.2, .2, 0), 67: (-1.2, -.2, 0), "marionette": (-1.4, 0, 0),
             "nasolabial": (-.8, .4, 0)},
    "AU25": {61: (0, -1.9, 0), 62: (0, -1.9, 0), 67: (0, 4.8, 0), 66: (0, 4.9, 0),
             50: (0, -1.2, 0), 51: (0, -1.2, 0), 49: (0, -.6, 0), 57: (0, 4.0, 0),
             58: (0, 3.7, 0), 59: (0, 1.8, 0), 60: (0, .4, 0), "mentolabial": (0, 2.2, 0)},
    "AU26": {8: (0, 16, -2), 7: (0, 15.5, -2), 6: (-.3, 13.5, -1.5), 5: (-.6, 10, -1),
             4: (-.8, 6, 0), 3: (-.6, 2.8, 0), 2: (-.2, .9, 0), 57: (0, 12.4, -1),
             58: (0, 12, -1), 59: (-.9, 8, -.5), 48: (-1.8, 3.4, 0), 49: (-.8, 1.0, 0),
             50: (0, .5, 0), 51: (0, .3, 0), 60: (-1.6, 3.8, 0), 61: (0, .3, 0), 62: (0, .2, 0),
             66: (0, 11.6, -1), 67: (-.4, 11.0, -1), "chin_boss": (0, 15.4, -1.5),
             "mentolabial": (0, 13.6, -1), "marionette": (-1, 7, 0), "chin_side": (-.3, 12.5, -1),
             "cheek_side": (-1, 2.4, -1), "nasolabial": (-.6, 1.0, 0)},
    # Closing the lids is relative to the gap that is there: see `displacements`.
    "AU45": {"lid_fold_in": (0, 1.4, 0), "lid_fold_out": (0, 1.4, 0)},
}
# At full AU45 the upper lid travels this share of the gap and the lower lid the rest.
UPPER_LID_SHARE = .92


@dataclass(frozen=True, eq=False)
class Muscles:
    """The moving face of one identity.

    Attributes
    ----------
    points : ndarray (A, 68, 3)
        Displacement of each landmark at full intensity, mm.
    grid : ndarray float32 (A, Hg, Wg, 3)
        The same, interpolated to a coarse grid over the canvas.
    step : float
        Spacing of the grid, mm.
    """

    points: np.ndarray
    grid: np.ndarray
    step: float


def controls(identity: geometry.Identity) -> tuple[np.ndarray, dict[str, int]]:
    """Return all control points (68 + 28, 2) mm, and the index of each named skin point.

    The first of a pair lies on the right, the second (name + ``_left``) on the left.
    """
    points = [*identity.landmarks]
    index: dict[str, int] = {}
    for name, (anchor, out, down) in SKIN.items():
        for suffix, sign, mark in (("", -1, anchor), ("_left", 1, anatomy.MIRROR[anchor])):
            index[name + suffix] = len(points)
            points.append(identity.landmarks[mark] + (sign * out, down))
    for name, (anchor, _, down) in MIDLINE.items():
        index[name] = len(points)
        points.append(identity.landmarks[anchor] + (0, down))
    return np.array(points), index


def displacements(identity: geometry.Identity) -> np.ndarray:
    """Return how far every control point goes at full intensity, (A, 68 + 28, 3) mm."""
    points, index = controls(identity)
    size = np.hypot(*(points[54] - points[48])) / 53.0
    out = np.zeros((len(anatomy.AU_CODES), len(points), 3))
    for a, code in enumerate(anatomy.AU_CODES):
        for point, (outward, down, forward) in TABLE[code].items():
            right = point if isinstance(point, int) else index[point]
            if isinstance(point, int):
                left = int(anatomy.MIRROR[point])
            else:
                left = index.get(f"{point}_left", right)
            out[a, right] = (-outward, down, forward)
            out[a, left] = (outward if left != right else 0.0, down, forward)
        if code in ("AU12", "AU14", "AU20"):
            out[a, :, 0] *= size
    blink = anatomy.AU_CODES.index("AU45")
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46)):
        gap = points[lower] - points[upper]
        out[blink, upper, :2] = UPPER_LID_SHARE * gap
        out[blink, lower, :2] = -(1 - UPPER_LID_SHARE) * gap
    return out


# Points whose motion the skin does not follow: lids and the inner lips are drawn over the skin.
_DRAWN = (37, 38, 40, 41, 43, 44, 46, 47, *anatomy.INNER_LIP)


def muscles(identity: geometry.Identity, *, step: float = 4.0) -> Muscles:
    """Interpolate the table to a grid over the canvas.

    Anchors with no displacement stand around the head, so that hair, ears and skull stay put.
    """
    points, _ = controls(identity)
    table = displacements(identity)
    keep = np.setdiff1d(np.arange(len(points)), _DRAWN)
    contour = geometry.outline(identity)
    skull = contour[contour[:, 1] < 10][::6] * 1.0
    frame = np.array([(x, y) for x in (-118, -90, 90, 118) for y in (-145, -100, -40, 0, 40)]
                     + [(x, -145.0) for x in (-40, 0, 40)] + [(-112, 175), (112, 175.0)])
    sources = np.vstack([points[keep], skull, frame])
    moved = table[:, keep].transpose(1, 0, 2).reshape(len(keep), -1)
    values = np.vstack([moved, np.zeros((len(skull) + len(frame), moved.shape[1]))])
    spline = RBFInterpolator(sources, values, kernel="thin_plate_spline", smoothing=.02)
    x, y = geometry.canvas_axes(1 / step)
    nodes = np.stack(np.meshgrid(x, y), axis=-1)
    field = spline(nodes.reshape(-1, 2)).reshape(len(y), len(x), len(table), 3)
    # Local by construction: where nothing of a unit is near, its field is exactly zero.
    grid = np.ascontiguousarray(field.transpose(2, 0, 1, 3), dtype=np.float32)
    for a in range(len(table)):
        active = points[np.abs(table[a]).max(axis=1) > 0]
        distance = np.linalg.norm(nodes[:, :, None] - active, axis=-1).min(axis=2)
        grid[a] *= np.clip((42 - distance) / 18, 0, 1)[..., None]
    return Muscles(table[:, :anatomy.N_LANDMARKS], grid, step)
