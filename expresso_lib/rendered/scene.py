"""Scene: a script says what a face does, rendering shows it.

A `Script` holds everything that determines a recording: who, which movements, which light, which
noise. Rendering is a pure function of the script, the size and the frame number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import cv2
import numpy as np

from expresso_lib.faces import anatomy
from expresso_lib.rendered import action_units, appearance, camera, features, geometry

GRID_STEP = 4.0  # mm between nodes of the grid that moves pixels
# The head's rim falls away steeply and would fold over itself when it turns far: beyond
# STEEP_FROM degrees of yaw its slope is limited.
STEEP_FROM, STEEPEST = 16.5, 2.0
_LIDS = [anatomy.AU_CODES.index(code) for code in ("AU05", "AU07", "AU45")]


@dataclass(frozen=True, eq=False)
class Script:
    """Everything that one recording shows.

    Attributes
    ----------
    recording : str
        Name, e.g. ``P01_R1``.
    identity : Identity
        Who.
    fps : float
        Frames per second.
    au : ndarray float32 (F, A)
        Intensity 0 to 5 in the order of `anatomy.AU_CODES`.
    gaze : ndarray float32 (F, 2)
        Degrees right and down, relative to the head.
    pose : ndarray float32 (F, 3)
        Yaw, pitch, roll in degrees (`camera.rotation`).
    shift : ndarray float32 (F, 2)
        Translation of the head, mm right and down.
    headset : bool
        Whether the participant wears a headset.
    seed : int
        Room and sensor noise.
    """

    recording: str
    identity: geometry.Identity
    fps: float
    au: np.ndarray
    gaze: np.ndarray
    pose: np.ndarray
    shift: np.ndarray
    headset: bool = False
    seed: int = 0

    @property
    def n_frames(self) -> int:
        """Number of frames F."""
        return len(self.au)


@dataclass(frozen=True, eq=False)
class Frame:
    """One rendered frame.

    Attributes
    ----------
    image : ndarray uint8 (H, W, 3)
        RGB.
    landmarks : ndarray float32 (68, 2)
        x, y in pixels; pixel centres lie at whole numbers.
    regions : ndarray uint8 (H, W)
        Index into `anatomy.REGIONS`.
    """

    image: np.ndarray
    landmarks: np.ndarray
    regions: np.ndarray


@dataclass(frozen=True, eq=False)
class _Stage:
    """What stays the same over all frames of one person in one room at one size."""

    identity: geometry.Identity
    size: int
    canvas: appearance.Canvas
    muscles: action_units.Muscles
    grid: np.ndarray        # (Hg, Wg, 3) neutral position of the grid's nodes, mm
    room: camera.Room
    lit: np.ndarray         # (Hc, Wc) key light that arrives
    wrinkles: tuple[tuple[slice, slice, np.ndarray], ...]  # per AU: window and slopes
    neutral: np.ndarray     # (68, 3) landmarks, mm

    @cached_property
    def behind(self) -> np.ndarray:
        """The backdrop, linear RGB float64 (3, H, W)."""
        return np.array(cv2.split(self.room.backdrop), float)

    @cached_property
    def wall(self) -> np.ndarray:
        """The backdrop as the camera sees it, 0 to 255 (3, H, W)."""
        return camera.tone(_blurred(self.behind))

    @cached_property
    def flattening(self) -> np.ndarray:
        """What to add to the grid's relief so that its slope stays below `STEEPEST`, mm."""
        z = self.grid[..., 2]
        middle = z.shape[1] // 2
        fall = np.clip(np.diff(z, axis=1), -STEEPEST * GRID_STEP, STEEPEST * GRID_STEP)
        right = z[:, middle:middle + 1] + np.cumsum(fall[:, middle:], axis=1)
        left = z[:, middle:middle + 1] - np.cumsum(fall[:, :middle][:, ::-1], axis=1)[:, ::-1]
        return np.hstack([left, z[:, middle:middle + 1], right]) - z

    @cached_property
    def eye(self) -> dict[str, features.Eye]:
        """How each eye looks besides its outline."""
        return _eyes(self)

    @cached_property
    def mouth(self) -> features.Mouth:
        """How the mouth looks besides its outline."""
        return _mouth(self)


def render(script: Script, *, size: int = 224, frames: Iterable[int] | None = None
           ) -> Iterator[Frame]:
    """Render frames of a script, one after another.

    Parameters
    ----------
    script : Script
        What to show.
    size : int
        Width and height in pixels, 48 to 512.
    frames : iterable of int, optional
        Frame numbers; all frames in order when None.

    Yields
    ------
    Frame

    Raises
    ------
    ValueError
        If the size or a frame number does not fit.
    """
    wanted = range(script.n_frames) if frames is None else [int(f) for f in frames]
    _check(script, size, wanted)
    stage = _stage(_IdentityKey(script.identity), script.headset, script.seed, size)
    for f in wanted:
        yield _render_frame(stage, script, f)


def _check(script: Script, size: int, frames: Iterable[int]) -> None:
    if not 48 <= size <= 512:
        raise ValueError(f"size {size} px does not fit; choose 48 to 512.")
    wrong = [f for f in frames if not 0 <= f < script.n_frames]
    if wrong:
        raise ValueError(f"{script.recording} has frames 0 to {script.n_frames - 1}, "
                         f"not {wrong[0]}; ask for frames it has.")


@lru_cache(maxsize=6)
def _painted(key: _IdentityKey, headset: bool, density: float) -> appearance.Canvas:
    return appearance.reduce(appearance.paint(key.identity, headset=headset), density)


@lru_cache(maxsize=32)
def _muscles(key: _IdentityKey) -> action_units.Muscles:
    return action_units.muscles(key.identity, step=GRID_STEP)


class _IdentityKey:
    """Makes an identity usable as a cache key: equal seed and shape, equal key."""

    def __init__(self, identity: geometry.Identity) -> None:
        self.identity = identity
        self._key = (identity.seed, identity.sex, identity.age, identity.tone,
                     identity.landmarks.tobytes(), repr(sorted(identity.traits.items())),
                     repr(sorted(identity.relief.items())))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _IdentityKey) and self._key == other._key


def landmarks(script: Script, *, size: int = 224, frames: Iterable[int]) -> np.ndarray:
    """Return where `render` would put the landmarks, without pictures: float32 (T, 68, 2) px."""
    wanted = [int(f) for f in frames]
    _check(script, size, wanted)
    stage = _stage(_IdentityKey(script.identity), script.headset, script.seed, size)
    return np.stack([_move(stage, script, f)[1] for f in wanted]).astype(np.float32)


def _density(size: int) -> float:
    """Return the canvas density, px/mm, a little above the picture's."""
    return min(appearance.PAINT_DENSITY, round(1.25 * size / camera.FIELD, 3))


@lru_cache(maxsize=4)
def _stage(key: _IdentityKey, headset: bool, seed: int, size: int) -> _Stage:
    identity = key.identity
    canvas = _painted(key, headset, _density(size))
    muscles = _muscles(key)
    x, y = geometry.canvas_axes(1 / GRID_STEP)
    relief = cv2.resize(canvas.depth, (len(x), len(y)), interpolation=cv2.INTER_AREA)
    grid = np.dstack([*np.meshgrid(x, y), relief]).astype(np.float32)
    room = camera.furnish(seed, identity, size)
    lit = camera.cast_shadow(canvas.depth, room.light, canvas.density)
    marks = identity.landmarks
    neutral = np.column_stack([marks, _sample(relief, marks, 1 / GRID_STEP)])
    wrinkles = _wrinkles(identity, canvas.density)
    return _Stage(identity, size, canvas, muscles, grid, room, lit, wrinkles, neutral)


def _sample(field_: np.ndarray, points: np.ndarray, density: float) -> np.ndarray:
    """Return bilinear samples of a canvas-like array at mm points (K, 2)."""
    at = geometry.to_canvas(points, density).astype(np.float32)
    return cv2.remap(field_, at[None, :, 0], at[None, :, 1], cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REPLICATE)[0]


def _wrinkles(identity: geometry.Identity, density: float
              ) -> tuple[tuple[slice, slice, np.ndarray], ...]:
    out = []
    for code in anatomy.AU_CODES:
        height = appearance.wrinkles(identity, code, density)
        slopes = np.dstack([cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3),
                            cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3)]) / 8 * density
        rows, columns = np.nonzero(np.abs(slopes).max(axis=2) > 1e-3)
        if rows.size == 0:
            out.append((slice(0, 0), slice(0, 0), slopes[:0, :0]))
            continue
        box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        out.append((*box, np.ascontiguousarray(slopes[box])))
    return tuple(out)


def _local_light(stage: _Stage, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return key and fill light that arrive at a point of the face."""
    lit = float(_sample(stage.lit, at[None], stage.canvas.density)[0])
    cavity = float(_sample(stage.canvas.surface[..., 2].copy(), at[None],
                           stage.canvas.density)[0])
    return stage.room.key * lit * (.5 + .5 * cavity), stage.room.fill * (.4 + .6 * cavity) * .82


def _eyes(stage: _Stage) -> dict[str, features.Eye]:
    identity = stage.identity
    rng = np.random.default_rng([identity.seed, 8])
    lashes = .85 if identity.sex == "female" else .35
    texture = np.interp(np.linspace(0, 1, 64), np.linspace(0, 1, 40), rng.normal(0, 1, 40))
    eyes = {}
    for name, group in features.EYES:
        key, fill = _local_light(stage, identity.landmarks[list(group)].mean(axis=0))
        eyes[name] = features.Eye(appearance.iris_colour(identity), key, fill, stage.room.light,
                                  lashes, texture)
    return eyes


def _mouth(stage: _Stage) -> features.Mouth:
    identity = stage.identity
    rng = np.random.default_rng([identity.seed, 9])
    key, fill = _local_light(stage, identity.landmarks[[48, 54]].mean(axis=0))
    return features.Mouth(appearance.lip_colour(identity), key, fill, stage.room.light,
                          rng.normal(0, 1, 96), identity.traits["gloss"])


def _move(stage: _Stage, script: Script, f: int
          ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the canvas look-up (H, W, 2), landmarks (68, 2) px, relaxed lids (68, 2) px."""
    weight = script.au[f].astype(np.float32) / action_units.FULL
    active = np.flatnonzero(weight)
    moved = stage.grid.copy()
    for a in active:
        moved += weight[a] * stage.muscles.grid[a]
    pose, shift = script.pose[f], script.shift[f]
    far = np.clip((abs(pose[0]) - STEEP_FROM) / 1.5, 0, 1)
    if far > 0:
        moved[..., 2] += np.float32(far) * stage.flattening
    forward = camera.project(moved, pose, shift, stage.size).astype(np.float32)
    nodes = camera.invert(forward, stage.size, step=4)
    # Grid positions become canvas pixels: both count pixel centres.
    ratio = stage.canvas.density * GRID_STEP
    lookup = (nodes + .5) * ratio - .5
    relaxed = weight.copy()
    relaxed[_LIDS] = 0
    at = stage.identity.landmarks[_SKIN]
    skin = np.column_stack([_sample(part, at, 1 / GRID_STEP) for part in cv2.split(moved)])
    both = np.stack([_points(stage, weight, skin), _points(stage, relaxed, skin)])
    points, rest = camera.project(both, pose, shift, stage.size)
    return lookup, points, rest


_DRAWN = sorted({*anatomy.RIGHT_EYE, *anatomy.LEFT_EYE, *anatomy.OUTER_LIP, *anatomy.INNER_LIP})
_SKIN = [i for i in range(anatomy.N_LANDMARKS) if i not in _DRAWN]


def _points(stage: _Stage, weight: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Return the landmarks (68, 3) mm: on skin from the grid, on lids and lips from the table."""
    points = stage.neutral + np.tensordot(weight, stage.muscles.points, axes=1)
    points[_SKIN] = skin
    return features.part(points)


def _regions(stage: _Stage, lookup: np.ndarray) -> np.ndarray:
    return cv2.remap(stage.canvas.labels, lookup, camera.BOTH, cv2.INTER_NEAREST,
                     borderMode=cv2.BORDER_CONSTANT,
                     borderValue=anatomy.REGIONS.index("background"))


def _render_frame(stage: _Stage, script: Script, f: int) -> Frame:
    lookup, points, rest = _move(stage, script, f)
    albedo = cv2.remap(stage.canvas.albedo, lookup, camera.BOTH, cv2.INTER_LINEAR, borderValue=0)
    # Where nothing of the person is seen the camera sees the wall.
    box = _box(albedo[..., 3])
    window = (slice(None), *box)
    *skin, opacity = cv2.split(albedo[box])
    near = np.ascontiguousarray(lookup[box])
    surface = _wrinkled(stage, script.au[f] / action_units.FULL)
    between, edge = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    surface = cv2.remap(surface, near, camera.BOTH, between, borderMode=edge)
    lit = cv2.remap(stage.lit, near, camera.BOTH, between, borderMode=edge)
    light = (camera.rotation(script.pose[f]).T @ stage.room.light).astype(np.float32)
    colour = np.zeros((3, stage.size, stage.size))
    colour[window] = camera.shade(skin, cv2.split(surface), lit, light, stage.room)
    _draw_features(stage, script, f, colour, points, rest, light)
    linear, picture = stage.behind.copy(), stage.wall.copy()
    linear[window] += (colour[window] - linear[window]) * opacity
    picture[window] = camera.tone(_blurred(linear)[window])
    image = camera.develop(picture, script.seed, f)
    return Frame(image, points.astype(np.float32), _regions(stage, lookup))


def _blurred(linear: np.ndarray) -> np.ndarray:
    """Return a picture (3, H, W) as the lens draws it."""
    sigma = .5 * linear.shape[-1] / 224
    return np.array([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in linear])


def _box(opacity: np.ndarray) -> tuple[slice, slice]:
    """Return rows and columns that the person, blurred, can reach."""
    left, top, width, height = cv2.boundingRect((opacity > 0).astype(np.uint8))
    reach = 2 + len(opacity) // 100
    return (slice(max(top - reach, 0), top + height + reach),
            slice(max(left - reach, 0), left + width + reach))


def _wrinkled(stage: _Stage, weight: np.ndarray) -> np.ndarray:
    surface = stage.canvas.surface
    active = [a for a in np.flatnonzero(weight > .02) if stage.wrinkles[a][2].size]
    if not active:
        return surface
    surface = surface.copy()
    for a in active:
        rows, columns, slopes = stage.wrinkles[a]
        surface[rows, columns, :2] += np.float32(weight[a]) * slopes
    return surface


def _draw_features(stage: _Stage, script: Script, f: int, colour: np.ndarray,
                   points: np.ndarray, rest: np.ndarray, light: np.ndarray) -> None:
    size = stage.size
    unit = size / camera.FIELD
    for name, group in features.EYES:
        index = list(group)
        area = features.patch(points[index], (0, 3), 9 * unit, size, unit)
        if area is None:
            continue
        centre = stage.neutral[index].mean(axis=0)
        sight = np.deg2rad(script.gaze[f])
        pupil = centre + np.array([11.5 * np.sin(sight[0]), 11.5 * np.sin(sight[1]) - .7, 1.0])
        at = camera.project(pupil[None], script.pose[f], script.shift[f], size)
        lids = area.local(rest[[index[k] for k in (0, 1, 2, 3)]])
        eye = replace(stage.eye[name], direction=light)
        features.draw_eye(colour, area, area.local(at)[0], lids, eye, right=name == "right")
    mouth = list(anatomy.OUTER_LIP + anatomy.INNER_LIP)
    area = features.patch(points[mouth], (0, 6), 8 * unit, size, unit)
    if area is not None:
        edge = stage.neutral[[62, 66]] + [(0, 2.2, 0), (0, .6, 0)]
        jaw = script.au[f, anatomy.AU_CODES.index("AU26")] / action_units.FULL
        edge[1, 1] += 11.0 * jaw + 1.2
        teeth = area.local(camera.project(edge, script.pose[f], script.shift[f], size))
        features.draw_mouth(colour, area, teeth, replace(stage.mouth, direction=light))
    glasses = stage.identity.traits["glasses"]
    if glasses != "none":
        features.draw_glasses(colour, _glasses(stage, script, f), glasses, unit)


def _glasses(stage: _Stage, script: Script, f: int) -> list[np.ndarray]:
    """Return the polylines of the glasses in pixels: two rims, the bridge, two temples."""
    marks = stage.neutral
    lines = []
    for sign, index in ((-1, [36, 37, 38, 39, 40, 41]), (1, [42, 43, 44, 45, 46, 47])):
        centre = marks[index].mean(axis=0)
        rim = features.rims(1.0)
        bow = -.012 * (rim[:, 0] * sign).clip(0) ** 2
        lines.append(np.column_stack([centre[0] + sign * 1.5 + rim[:, 0], centre[1] + rim[:, 1],
                                      np.full(len(rim), 11.0) + bow]))
    inner = [lines[0][:, 0].max(), lines[1][:, 0].min()]
    y = marks[27, 1] + 2
    lines.append(np.array([(inner[0], y, 11), (0, y - 2.5, 13), (inner[1], y, 11)], float))
    for sign, line in ((-1, lines[0]), (1, lines[1])):
        x = sign * np.abs(line[:, 0]).max()
        lines.append(np.array([(x, y - 3, 4.0), (sign * 68, y - 2, -26.0)]))
    return [camera.project(line, script.pose[f], script.shift[f], stage.size) for line in lines]


def average_face(size: int = 224) -> Frame:
    """Return the mean identity, neutral and facing the camera, for drawings that show nobody."""
    zeros = np.zeros((1, 3), np.float32)
    script = Script("average", geometry.average_identity(), 25.0,
                    np.zeros((1, len(anatomy.AU_CODES)), np.float32), zeros[:, :2], zeros,
                    zeros[:, :2])
    return next(render(script, size=size))


def without(script: Script, factor: str, *, level: Mapping[str, float] | int | None = None
            ) -> Script:
    """Return the script with one factor taken out; everything else, noise too, stays.

    Parameters
    ----------
    script : Script
    factor : str
        A key of `anatomy.FACTORS`, an AU code, ``"head_motion"`` or ``"headset"``.
    level : mapping or int, optional
        What remains: the factor's state in this frame of the script, or values by AU code (gaze
        and pose at rest); zero when None.

    Raises
    ------
    ValueError
        If the factor is unknown or the level's frame does not exist.

    Examples
    --------
    >>> from expresso_lib import rendered
    >>> script = rendered.plan_cohort(1, 1, .4).script("P01_R1")
    >>> float(without(script, "smile").au[:, 8].max())
    0.0
    """
    if isinstance(level, int | np.integer) and not 0 <= level < script.n_frames:
        raise ValueError(f"level frame {level} lies outside {script.recording} "
                         f"(0 to {script.n_frames - 1}); give a frame it has.")
    if factor == "headset":
        return replace(script, headset=False)
    if factor == "head_motion":
        return replace(script, pose=_held(script.pose, level), shift=_held(script.shift, level))
    codes = anatomy.FACTORS.get(factor, (factor,))
    unknown = [code for code in codes if code not in anatomy.AU_CODES]
    if unknown:
        known = ", ".join([*anatomy.FACTORS, "headset", *anatomy.AU_CODES])
        raise ValueError(f"factor {factor!r} is unknown; use one of {known}.")
    au = script.au.copy()
    for code in codes:
        a = anatomy.AU_CODES.index(code)
        if isinstance(level, Mapping):
            au[:, a] = level.get(code, 0.0)
        else:
            au[:, a] = 0.0 if level is None else script.au[level, a]
    gaze = _held(script.gaze, level) if factor == "lids_gaze" else script.gaze
    return replace(script, au=au, gaze=gaze)


def _held(series: np.ndarray, level: Mapping[str, float] | int | None) -> np.ndarray:
    if level is None or isinstance(level, Mapping):
        return np.zeros_like(series)
    return np.repeat(series[level : level + 1], len(series), axis=0)
