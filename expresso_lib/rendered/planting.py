"""Planting: the one place where severity becomes behaviour. The table below *is* the answer.

``severity = score / 45``. A row moves one parameter of `dynamics.Behaviour` from its value at
severity 0 to its value at severity 1, geometrically, along severity**1.5. Directions follow
Girard et al. (2014): at high severity less AU12, more AU14, slower and smaller head motion; speech
rate falls in depression (Cummins et al., 2015). Rows of kind ``tempo`` change how fast the face
moves and leave the histogram of its frames as it is; rows of kind ``amount`` and ``tonic`` can be
seen in single frames and are weak on purpose, so that a video model wins for the right reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from expresso_lib.faces import anatomy
from expresso_lib.rendered import dynamics

SCORE_MAX = 45       # highest score in the demo cohort; BDI-II itself ends at 63
EXPONENT = 1.5       # severity acts late: minimal and mild differ little
BETWEEN_PARTICIPANTS = .30  # log-sd of an amount between participants
BETWEEN_RECORDINGS = .30    # and between the recordings of one participant
TEMPO_SPREAD = .5    # people differ less in tempo than in amount: share of the two above


@dataclass(frozen=True)
class Row:
    """One planted effect.

    Attributes
    ----------
    parameter : str
        Field of `dynamics.Behaviour`, or an AU code for a tonic level.
    kind : {"tempo", "amount", "tonic"}
    none, full : float
        Value at severity 0 and 1.
    aus : tuple of str
        AUs that carry it; empty for head and gaze.
    regions : tuple of str
        Where it shows.
    """

    parameter: str
    kind: str
    none: float
    full: float
    aus: tuple[str, ...]
    regions: tuple[str, ...]


_BROWS = ("right_eyebrow", "left_eyebrow")
_EYES = ("right_eye", "left_eye")
ROWS = (
    Row("smile_tempo", "tempo", 1.0, .48, ("AU12", "AU06"), ("mouth",)),
    Row("syllables", "tempo", 4.6, 2.9, ("AU25", "AU26", "AU20"), ("mouth",)),
    Row("head_time", "tempo", .75, 1.7, (), anatomy.FEATURE_REGIONS),
    Row("gaze_time", "tempo", .45, 1.0, (), _EYES),
    Row("cheek_lag", "tempo", .06, .30, ("AU06",), ("face_rest",)),
    Row("brow_tempo", "tempo", 1.0, .5, ("AU01", "AU02"), _BROWS),
    Row("smile_size", "amount", .57, .44, ("AU12",), ("mouth",)),
    Row("cheek", "amount", .70, .54, ("AU06",), ("face_rest",)),
    Row("speech_share", "amount", .58, .45, ("AU25", "AU26"), ("mouth",)),
    Row("mouth_size", "amount", .50, .42, ("AU25", "AU26"), ("mouth",)),
    Row("nose_rate", "amount", .50, 1.20, ("AU09",), ("nose",)),
    Row("head_sd", "amount", 4.8, 3.7, (), anatomy.FEATURE_REGIONS),
    Row("aversion", "amount", .16, .26, (), _EYES),
    Row("AU04", "tonic", .08, .15, ("AU04",), _BROWS),
    Row("AU14", "tonic", .08, .14, ("AU14",), ("mouth",)),
    Row("AU17", "tonic", .06, .09, ("AU17",), ("mouth",)),
    Row("AU09", "tonic", .03, .06, ("AU09",), ("nose",)),
    # The sign of AU15 is disputed between studies; it carries nothing unless asked for.
    Row("AU15", "tonic", .05, .05, ("AU15",), ("mouth",)),
)
# Behaviour at tempo 1; a tempo of .5 doubles every duration and halves every rate.
_SMILE = {"smile_rate": 2.4, "smile_rise": .40}
_BROW = {"brow_rate": 1.8, "brow_rise": .14}
# What people do in each task, relative to free speech: who reads aloud talks on, smiles and
# gestures less, and looks at the page. Tempo is the person's own in both.
TASKS: dict[str, dict[str, float]] = {
    "reading": {"speech_share": 1.45, "smile_size": .75, "brow_size": .7, "nose_rate": .6,
                "head_sd": .8, "aversion": .6},
    "freeform": {},
}
# Where one region must carry everything, these rows replace the table's.
_LONE = {
    "eyebrow": (Row("brow_tempo", "tempo", 1.3, .35, ("AU01", "AU02"), _BROWS),
                Row("AU04", "tonic", .05, .34, ("AU04",), _BROWS)),
    "eye": (Row("gaze_time", "tempo", .30, 1.5, (), _EYES),
            Row("aversion", "amount", .12, .42, (), _EYES)),
    "nose": (Row("nose_rate", "amount", .9, 5.2, ("AU09",), ("nose",)),
             Row("AU09", "tonic", .02, .10, ("AU09",), ("nose",))),
    "mouth": (Row("smile_tempo", "tempo", 1.1, .40, ("AU12", "AU06"), ("mouth",)),
              Row("syllables", "tempo", 4.8, 2.6, ("AU25", "AU26", "AU20"), ("mouth",)),
              Row("smile_size", "amount", .62, .34, ("AU12",), ("mouth",)),
              Row("mouth_size", "amount", .54, .30, ("AU25", "AU26"), ("mouth",))),
}


@dataclass(frozen=True)
class Variant:
    """A way of planting: its name says which, see `variant`."""

    name: str
    rows: tuple[Row, ...]
    headset: bool = False


def variant(name: str) -> Variant:
    """Return the variant of that name.

    ``default``; ``amount`` (amounts only, no tempo, twice as strong); ``null`` (nothing);
    ``headset`` (worn more often at high severity); ``region:<name>``, ``au:<n>`` (nothing else).

    Raises
    ------
    ValueError
        If the name is unknown; it lists what there is.

    Examples
    --------
    >>> [row.parameter for row in variant("region:nose").rows if row.none != row.full]
    ['nose_rate', 'AU09']
    """
    if name in ("default", "headset"):
        return Variant(name, ROWS, headset=name == "headset")
    if name == "null":
        return Variant(name, tuple(_level(row) for row in ROWS))
    if name == "amount":
        return Variant(name, tuple(_level(row) if row.kind == "tempo" else _doubled(row)
                                   for row in ROWS))
    kind, _, target = name.partition(":")
    if kind == "region" and target in anatomy.FEATURE_REGIONS:
        lone = {row.parameter: row for row in _LONE[target.rpartition("_")[2]]}
        return Variant(name, tuple(lone.get(row.parameter, _level(row)) for row in ROWS))
    codes = {str(int(code[2:])): code for code in anatomy.AU_CODES}
    if kind == "au" and target.lstrip("0") in codes:
        code = codes[target.lstrip("0")]
        regions = _regions_of(code)
        extra = Row(f"bouts:{code}", "amount", .12, 1.3, (code,), regions)
        return Variant(name, (*(_level(row) for row in ROWS), extra))
    raise ValueError(
        f"variant {name!r} is unknown; use default, amount, null, headset, region:<"
        f"{'|'.join(anatomy.FEATURE_REGIONS)}> or au:<{'|'.join(codes)}>.")


def _level(row: Row) -> Row:
    """Return the row without an effect: everybody at the geometric middle."""
    middle = float(np.sqrt(row.none * row.full))
    return replace(row, none=middle, full=middle)


def _doubled(row: Row) -> Row:
    """Return the row with twice its effect, in logarithms, about the same middle."""
    half = float(np.sqrt(row.full / row.none))
    return replace(row, none=row.none / half, full=row.full * half)


def _regions_of(code: str) -> tuple[str, ...]:
    for row in ROWS:
        if code in row.aus and row.kind != "tempo":
            return row.regions
    factor = anatomy.AU_FACTORS[code]
    return anatomy.FACTOR_REGIONS[factor]


def behave(plan: Variant, severity: float, participant: tuple[int, ...], recording: tuple[int, ...],
           task: str = "freeform") -> dynamics.Behaviour:
    """Return the behaviour of one recording: the planted values times two layers of chance.

    Parameters
    ----------
    plan : Variant
    severity : float
        0 to 1.
    participant, recording : tuple of int
        Seeds of what a participant keeps and of what a recording adds.
    task : str
        One of `TASKS`.
    """
    person, day = np.random.default_rng(participant), np.random.default_rng(recording)
    # A value of the null rows too is drawn, so that variants share every other random number.
    values: dict[str, float] = {}
    for row in plan.rows:
        spread = TEMPO_SPREAD if row.kind == "tempo" else 1.0
        chance = spread * (BETWEEN_PARTICIPANTS * person.standard_normal()
                           + BETWEEN_RECORDINGS * day.standard_normal())
        chance = float(np.clip(chance, -.9, .9))
        middle = row.none * (row.full / row.none) ** (severity**EXPONENT)
        values[row.parameter] = middle * float(np.exp(chance))
    smile, brow = values.pop("smile_tempo"), values.pop("brow_tempo")
    tonic = tuple((name, values.pop(name)) for name in list(values) if name in anatomy.AU_CODES)
    lone = tuple((name[6:], values.pop(name)) for name in list(values) if name.startswith("bouts:"))
    values |= {"smile_rate": _SMILE["smile_rate"] * smile,
               "smile_rise": _SMILE["smile_rise"] / smile,
               "brow_rate": _BROW["brow_rate"] * brow, "brow_rise": _BROW["brow_rise"] / brow,
               "blink_rate": 3.0 * float(np.exp(.3 * person.standard_normal()))}
    for name, factor in TASKS[task].items():
        values[name] = values.get(name, getattr(dynamics.Behaviour, name)) * factor
    values["speech_share"] = min(values["speech_share"], .93)
    values["aversion"] = min(values["aversion"], .6)
    return dynamics.Behaviour(**values, tonic=tonic, bouts=lone)


def truth(plan: Variant) -> pd.DataFrame:
    """Return what is planted, one row per effect and AU (head and gaze: one row, no AU).

    Columns: behaviour, kind, au, region (joined by ``+``), factor, none, full, sign (of the
    change with severity), weight (absolute log change), carries_signal.
    """
    lines = []
    for row in plan.rows:
        change = float(np.log(row.full / row.none))
        other = "head_motion" if row.parameter.startswith("head") else "lids_gaze"
        for code in row.aus or ("",):
            lines.append({
                "behaviour": row.parameter, "kind": row.kind, "au": code,
                "region": "+".join(row.regions), "factor": anatomy.AU_FACTORS.get(code, other),
                "none": row.none, "full": row.full, "sign": int(np.sign(change)),
                "weight": abs(change), "carries_signal": abs(change) > 1e-9})
    return pd.DataFrame(lines)
