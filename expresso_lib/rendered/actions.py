"""Actions: what people do in the practice clips, each labelled with what it is and how fast.

A network learns to recognise actions before it sees a cohort, as video networks do on Kinetics.
An action is a set of action units, a movement of the head or of the eyes; every one is done
quickly or slowly at the same size and for the same share of the time, alone or mixed with others.
Nothing here depends on a score, and what goes together in a cohort (a smile and the cheeks, head
and gaze) is drawn apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from expresso_lib.faces import anatomy
from expresso_lib.rendered import dynamics, geometry, scene

# Practice people come from seeds that no cohort uses.
PRACTICE = 7_000_000
TWIN = 500_000_000  # from a practice person to the one who moves alike
# Facial actions: name -> action units with their share of the action's size.
FACIAL: dict[str, dict[str, float]] = {
    "smile": {"AU12": 1.0}, "raise cheeks": {"AU06": 1.0, "AU07": .25},
    "raise brows": {"AU01": 1.0, "AU02": .9, "AU05": .3}, "worry": {"AU01": 1.0, "AU04": .6},
    "frown": {"AU04": 1.0}, "widen eyes": {"AU05": 1.0}, "squint": {"AU07": 1.0},
    "wrinkle nose": {"AU09": 1.0, "AU10": .25}, "raise lip": {"AU10": 1.0},
    "dimple": {"AU14": 1.0}, "mouth corners down": {"AU15": 1.0}, "raise chin": {"AU17": 1.0},
    "stretch lips": {"AU20": 1.0}, "tighten lips": {"AU23": 1.0},
    "open mouth": {"AU25": .8, "AU26": .5}, "yawn": {"AU26": 1.1, "AU25": 1.0, "AU07": .5},
    "close eyes": {"AU45": 1.1},
}
# Movements of the head (degrees at size 1) and of the eyes.
HEAD: dict[str, tuple[float, float, float]] = {
    "nod": (0, 9, 0), "shake head": (14, 0, 0), "tilt head": (0, 0, 9),
}
OTHERS = ("sway", "speak", "glance", "look around", "blink")
ACTIONS = (*FACIAL, *HEAD, *OTHERS)
# How often each is done; most are rare, so that a clip shows about six.
_OFTEN = {"sway": .6, "speak": .45, "glance": .3, "look around": .5, "blink": .6, "smile": .4}
_SOMETIMES = .17
TEMPO = (.4, 2.5)   # slowest and quickest, relative to the usual tempo; 1 separates the classes
CLASSES = (*(f"{name}, {pace}" for name in ACTIONS for pace in ("quick", "slow")), "headset")


@dataclass(frozen=True, eq=False)
class Practice:
    """A practice clip before it is rendered.

    Attributes
    ----------
    script : Script
    active : ndarray float32 (F, K)
        How much of each of `ACTIONS` is going on, 0 to 1.
    tempo : ndarray float32 (K,)
        Relative tempo of each; 0 where it is not done.
    """

    script: scene.Script
    active: np.ndarray
    tempo: np.ndarray

    def labels(self) -> np.ndarray:
        """Return which of `CLASSES` each frame shows, bool (F, C)."""
        done = self.active > .15
        paces = np.stack([done & (self.tempo > 1), done & (self.tempo <= 1)], axis=-1)
        worn = np.full((len(done), 1), self.script.headset)
        return np.concatenate([paces.reshape(len(done), -1), worn], axis=1)


@dataclass(eq=False)
class _Take:
    """What is being filled while a clip is made; shares of full size, degrees, mm."""

    time: np.ndarray
    au: np.ndarray
    pose: np.ndarray
    gaze: np.ndarray
    shift: np.ndarray


def practice_clip(person: int, number: int, n_frames: int, fps: float = 12.5) -> Practice:
    """Return clip `number` of a practice person: actions at random, in a room at random.

    Parameters
    ----------
    person, number : int
        Seeds; every number is another room.
    n_frames : int
    fps : float
        Frames per second; movements are simulated at 50 per second and sampled.
    """
    rng = np.random.default_rng([PRACTICE, person, number, 43])
    ratio = 4
    total = (n_frames + round(dynamics.WARM_UP * fps)) * ratio
    take = _Take(np.arange(total) / (fps * ratio), np.zeros((total, len(anatomy.AU_CODES))),
                 np.zeros((total, 3)), np.zeros((total, 2)), np.zeros((total, 2)))
    take.pose[:] = rng.normal(0, 2, 3) * (1, .6, .5)
    take.shift[:] = rng.normal(0, 3, 2)
    active, tempo = np.zeros((total, len(ACTIONS))), np.zeros(len(ACTIONS))
    for k, name in enumerate(ACTIONS):
        own = np.random.default_rng([PRACTICE, person, number, 44, k])
        if own.random() < _OFTEN.get(name, _SOMETIMES):
            tempo[k] = np.exp(own.uniform(*np.log(TEMPO)))
            active[:, k] = _act(name, take, float(tempo[k]), own)
    _idle(take, rng)
    keep = slice(total - n_frames * ratio, None, ratio)
    script = _script(take, keep, person, number, fps, headset=rng.random() < .3)
    return Practice(script, active[keep].astype(np.float32), tempo.astype(np.float32))


def twins(person: int, n_frames: int, fps: float = 12.5) -> tuple[scene.Script, ...]:
    """Return the same movements three times.

    By a person, by the same person with a headset, and by somebody else in another room who wears
    one, too. What a network makes of the differences is no movement.
    """
    bare = replace(practice_clip(person, 0, n_frames, fps).script, headset=False)
    worn = replace(bare, headset=True)
    other = geometry.draw_identity(PRACTICE + TWIN + person)
    return bare, worn, replace(worn, identity=other, seed=worn.seed + TWIN)


def _script(take: _Take, keep: slice, person: int, number: int, fps: float, *, headset: bool
            ) -> scene.Script:
    au = np.clip(take.au, 0, 1) * dynamics.FULL
    pose = np.array([18, 12, 10]) * np.tanh(take.pose / (18, 12, 10))
    au, gaze, pose, shift = (values[keep].astype(np.float32)
                             for values in (au, take.gaze, pose, take.shift))
    return scene.Script(f"practice_{person}_{number}", geometry.draw_identity(PRACTICE + person),
                        fps, au, gaze, pose, shift, bool(headset),
                        PRACTICE + 10 * person + number)


def _act(name: str, take: _Take, tempo: float, rng: np.random.Generator) -> np.ndarray:
    """Do one action; return how much of it is going on (F,), 0 to 1."""
    size = rng.uniform(.3, 1)
    if name in FACIAL:
        course = _bouts(take.time, tempo, rng)
        for code, share in FACIAL[name].items():
            take.au[:, dynamics.column(code)] += size * share * course
        return course.clip(0, 1)
    if name in HEAD:
        course = _swing(take.time, tempo, rng)
        take.pose += (.3 + size) * course[:, None] * HEAD[name]
        return np.abs(course).clip(0, 1)
    return _OTHER[name](take, tempo, size, rng)


def _bouts(time: np.ndarray, tempo: float, rng: np.random.Generator) -> np.ndarray:
    """Rise, hold, fall, pause: all four scale with tempo, so that single frames do not tell it."""
    on, off = rng.uniform(.8, 2.2), rng.uniform(.6, 2.5)
    rise = on * rng.uniform(.15, .4)
    return dynamics.bouts(time, rng, on=on / tempo, off=off / tempo, rise=rise / tempo,
                          fall=rise * rng.uniform(1, 1.5) / tempo)


def _swing(time: np.ndarray, tempo: float, rng: np.random.Generator) -> np.ndarray:
    """Bouts of swinging from side to side, or of turning to one side and back."""
    course = _bouts(time, tempo, rng)
    if rng.random() < .5:
        return course * rng.choice([-1, 1])
    return course * np.sin(2 * np.pi * (rng.uniform(.5, 1) * tempo * time + rng.random()))


def _sway(take: _Take, tempo: float, size: float, rng: np.random.Generator) -> np.ndarray:
    fps = 1 / take.time[1]
    unit = [dynamics.drift(len(take.time), fps, .5 / tempo, rng) for _ in range(5)]
    degrees = 1.5 + 5 * size
    take.pose += degrees * np.column_stack(unit[:3]) * (1, .62, .45)
    take.shift += np.column_stack(unit[3:]) * degrees * (.75, .5)
    return np.ones(len(take.time))


def _speak(take: _Take, tempo: float, size: float, rng: np.random.Generator) -> np.ndarray:
    before = take.au.copy()
    talking = dynamics.speak(take.au, take.time, dynamics.Behaviour(
        speech_share=float(rng.uniform(.3, .95)), syllables=4 * tempo ** .45,
        mouth_size=.2 + .6 * size), rng)
    # Lips that do something else do not speak as widely.
    take.au[:] = before + (take.au - before) * (1 - .3 * before.clip(0, 1))
    return talking


def _glance(take: _Take, tempo: float, size: float, rng: np.random.Generator) -> np.ndarray:
    course = dynamics.bouts(take.time, rng, on=.9 / tempo, off=1.3 / tempo, rise=.08 / tempo,
                            fall=.08 / tempo)
    angle = rng.uniform(0, 2 * np.pi)
    take.gaze += course[:, None] * (6 + 16 * size) * np.array([np.cos(angle), .55 * np.sin(angle)])
    return course.clip(0, 1)


def _look_around(take: _Take, tempo: float, size: float, rng: np.random.Generator) -> np.ndarray:
    take.gaze += dynamics.look(take.time, dynamics.Behaviour(
        aversion=.1 + .6 * size, gaze_time=.6 / tempo), rng)
    return np.ones(len(take.time))


def _blink(take: _Take, tempo: float, size: float, rng: np.random.Generator) -> np.ndarray:
    before = take.au[:, dynamics.column("AU45")].copy()
    dynamics.blink(take.au, take.time, dynamics.Behaviour(blink_rate=3.5 * tempo), rng)
    del size
    return (take.au[:, dynamics.column("AU45")] > before + .05).astype(float)


_OTHER = {"sway": _sway, "speak": _speak, "glance": _glance, "look around": _look_around,
          "blink": _blink}


def _idle(take: _Take, rng: np.random.Generator) -> None:
    """Add what belongs to no action: small movements everywhere, a face that is never the same."""
    for column in range(len(anatomy.AU_CODES) - 1):
        if rng.random() < .35:
            take.au[:, column] += rng.uniform(.05, .3) * dynamics.bouts(
                take.time, rng, on=rng.uniform(.6, 2), off=rng.uniform(2, 8),
                rise=rng.uniform(.1, .5), fall=rng.uniform(.2, .6))
        if rng.random() < .2:
            take.au[:, column] += rng.uniform(.03, .25)
    fps = 1 / take.time[1]
    unit = [dynamics.drift(len(take.time), fps, rng.uniform(.3, 1), rng) for _ in range(3)]
    take.pose += rng.uniform(.1, .8) * np.column_stack(unit)
    take.gaze += rng.normal(0, 1.6, 2)
