"""The face in names: 68 landmarks, regions, action units, factors, and the colour of each.

Sides are the participant's own (the *right* eye appears on the left of an unmirrored image).
Landmarks follow the iBUG 300-W scheme (Sagonas et al., 2016); action units follow FACS
(Ekman, Friesen & Hager, 2002) in the subset that OpenFace 2 measures (Baltrušaitis et al., 2018).
"""

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


# Names (FACS), and groups that place alone cannot tell apart: explanations are scored per factor.
_UNITS = {
    "AU01": ("inner brow raiser", "brows"), "AU02": ("outer brow raiser", "brows"),
    "AU04": ("brow lowerer", "brows"), "AU05": ("upper lid raiser", "lids_gaze"),
    "AU06": ("cheek raiser", "cheeks_nose"), "AU07": ("lid tightener", "lids_gaze"),
    "AU09": ("nose wrinkler", "cheeks_nose"), "AU10": ("upper lip raiser", "speech_mouth"),
    "AU12": ("lip corner puller", "smile"), "AU14": ("dimpler", "smile"),
    "AU15": ("lip corner depressor", "speech_mouth"), "AU17": ("chin raiser", "speech_mouth"),
    "AU20": ("lip stretcher", "speech_mouth"), "AU23": ("lip tightener", "speech_mouth"),
    "AU25": ("lips part", "speech_mouth"), "AU26": ("jaw drop", "speech_mouth"),
    "AU45": ("blink", "lids_gaze"),
}  # fmt: skip
# Column names of every AU table: the 17 intensities of OpenFace, in its order.
AU_CODES = tuple(_UNITS)
AU_TITLES = {code: name for code, (name, _) in _UNITS.items()}
AU_FACTORS = {code: factor for code, (_, factor) in _UNITS.items()}
FACTORS: dict[str, tuple[str, ...]] = {
    factor: tuple(code for code, own in AU_FACTORS.items() if own == factor)
    for factor in (*dict.fromkeys(AU_FACTORS.values()), "head_motion")
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
