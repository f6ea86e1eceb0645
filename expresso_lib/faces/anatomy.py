"""The face in names: 68 landmarks, regions, action units, factors, and the colour of each.

Sides are the participant's own (the *right* eye appears on the left of an unmirrored image).
Landmarks follow the iBUG 300-W scheme (Sagonas et al., 2016); action units follow FACS
(Ekman, Friesen & Hager, 2002) in the subset that OpenFace 2 measures (Baltrušaitis et al., 2018).
"""

from dataclasses import dataclass

import numpy as np

N_LANDMARKS = 68

JAW = tuple(range(0, 17))
RIGHT_EYEBROW = tuple(range(17, 22))
LEFT_EYEBROW = tuple(range(22, 27))
NOSE_BRIDGE = tuple(range(27, 31))
NOSE_BASE = tuple(range(31, 36))
RIGHT_EYE = tuple(range(36, 42))
LEFT_EYE = tuple(range(42, 48))
OUTER_LIP = tuple(range(48, 60))
INNER_LIP = tuple(range(60, 68))
INNER_POINTS = tuple(range(17, 68))

# Outer eye corners: their distance is the unit of landmark error (Sagonas et al., 2016).
OUTER_EYE_CORNERS = (36, 45)

LANDMARK_GROUPS = {
    "jaw": JAW, "right_eyebrow": RIGHT_EYEBROW, "left_eyebrow": LEFT_EYEBROW,
    "nose": NOSE_BRIDGE + NOSE_BASE, "right_eye": RIGHT_EYE, "left_eye": LEFT_EYE,
    "mouth": OUTER_LIP + INNER_LIP,
}  # fmt: skip

# Disjoint regions that together cover the picture; the order is the order of every mask stack.
# One colour per meaning across the whole book: Okabe & Ito (2008), safe for colour-blind readers;
# left and right share a hue, the left is drawn hatched or dashed.
REGION_COLORS = {
    "right_eyebrow": "#CC79A7", "left_eyebrow": "#CC79A7",
    "right_eye": "#0072B2", "left_eye": "#0072B2", "nose": "#009E73", "mouth": "#D55E00",
    "face_rest": "#8C8C8C", "background": "#C8C8C8",
}  # fmt: skip
REGIONS = tuple(REGION_COLORS)
# Regions about which a claim can be made; the other two are what they are compared with.
FEATURE_REGIONS = REGIONS[:6]


# landmarks[MIRROR] relabels left and right after the x axis was flipped: jaw, eyebrows, nose, eyes,
# lips.
MIRROR = np.r_[
    16:-1:-1, 26:16:-1, 27:31, 35:30:-1, 45:41:-1, 47, 46, 39:35:-1, 41, 40,
    54:47:-1, 59:54:-1, 64:59:-1, 67:64:-1,
]  # fmt: skip


@dataclass(frozen=True)
class ActionUnit:
    """One FACS action unit: number, name, and the factor it belongs to."""

    number: int
    name: str
    factor: str

    @property
    def code(self) -> str:
        """Two-digit code as OpenFace writes it, e.g. ``AU04``."""
        return f"AU{self.number:02d}"


ACTION_UNITS = tuple(ActionUnit(*unit) for unit in (
    (1, "inner brow raiser", "brows"), (2, "outer brow raiser", "brows"),
    (4, "brow lowerer", "brows"), (5, "upper lid raiser", "lids_gaze"),
    (6, "cheek raiser", "cheeks_nose"), (7, "lid tightener", "lids_gaze"),
    (9, "nose wrinkler", "cheeks_nose"), (10, "upper lip raiser", "speech_mouth"),
    (12, "lip corner puller", "smile"), (14, "dimpler", "smile"),
    (15, "lip corner depressor", "speech_mouth"), (17, "chin raiser", "speech_mouth"),
    (20, "lip stretcher", "speech_mouth"), (23, "lip tightener", "speech_mouth"),
    (25, "lips part", "speech_mouth"), (26, "jaw drop", "speech_mouth"),
    (45, "blink", "lids_gaze"),
))  # fmt: skip
# Column names of every AU table: the 17 intensities of OpenFace, in its order.
AU_CODES = tuple(unit.code for unit in ACTION_UNITS)
AU_TITLES = {unit.code: unit.name for unit in ACTION_UNITS}

# Groups of AUs that place alone cannot tell apart: explanations are scored per factor.
FACTORS: dict[str, tuple[str, ...]] = {
    factor: tuple(unit.code for unit in ACTION_UNITS if unit.factor == factor)
    for factor in (*dict.fromkeys(unit.factor for unit in ACTION_UNITS), "head_motion")
}

# AUs that speech moves: an association with them is not separable from talking.
SPEECH_AUS = ("AU10", "AU20", "AU25", "AU26")

# Where a factor is looked for when only regions are known. Cheeks, and the chin that speech moves,
# have no region of their own: they are in the rest of the face.
FACTOR_REGIONS: dict[str, tuple[str, ...]] = {
    "brows": ("right_eyebrow", "left_eyebrow"),
    "lids_gaze": ("right_eye", "left_eye"),
    "cheeks_nose": ("nose", "face_rest"),
    "smile": ("mouth", "face_rest"),
    "speech_mouth": ("mouth", "face_rest"),
    "head_motion": (*FEATURE_REGIONS, "face_rest"),
}

REGION_TITLES = {name: name.replace("_", " ") for name in REGIONS} | {"face_rest": "rest of face"}
FACTOR_COLORS = {
    "brows": "#CC79A7", "lids_gaze": "#0072B2", "cheeks_nose": "#009E73",
    "smile": "#D55E00", "speech_mouth": "#7A5200", "head_motion": "#555555",
}  # fmt: skip
FACTOR_TITLES = {name: name.replace("_", " and ") for name in FACTORS}
FACTOR_TITLES["head_motion"] = "head motion"
