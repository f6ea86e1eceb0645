"""Rendered people with one thing taken out: what the model does then is the truth.

The truth of an explanation is the *model's* use of a factor, not how the cohort was planted: a
clip is rendered again without the factor (at its level in the calmest frame), and its ``effect``
is f(x) - f(x without it). Where factors interact, effects do not add up to the score, and an
explanation that divides the score cannot agree with every one; what it should agree with is the
factor's ``share``: the mean of what it does as the last to come and as the first, which is its
Shapley value wherever factors interact at most in pairs (Shapley, 1953).

In time the same holds: what is taken out of a stretch alone leaves a tear at both ends, and a
model that reads change sees tears. So removals grow from either end of the clip, and a stretch's
part is the mean of its two steps (`both_ends`).
"""

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial, reduce

import numpy as np
import torch
from torch import Tensor, nn

from expresso_lib import attribution, clips, rendered
from expresso_lib.attribution import explanation
from expresso_lib.faces import anatomy

# A pixel counts as changed from two grey levels on: less is rounding.
CHANGED = 2.5 / 255
# A factor moves where one of its AUs is this far (share of full intensity) from neutral.
MOVES = 0.05
FULL_INTENSITY, FULL_TURN = 5.0, 15.0  # of an action unit; degrees of the head
STRETCHES = 8
# Rendering at half the size of the cohort's pictures keeps what a 64 px crop can show.
RENDER_SIZE = 112
RATES = (2.5, 60.0)  # of clips, frames/s: twice as many can be rendered
# What has a place of its own on the face.
PLACED = tuple(name for name in anatomy.FACTORS if name != "head_motion")


@dataclass(frozen=True, eq=False)
class Scene:
    """One clip of a person, and for a rendered one the same clip with one thing different."""

    participant: str
    recording: str
    clip: Tensor  # (1, 3, T, H, W) float32, 0 to 1
    calm: Tensor  # (K, 3, 1, H, W) calm frames of the recording, calmest first
    regions: np.ndarray  # (T, H, W) indexes of anatomy.REGIONS
    without: Mapping[str, Tensor] = field(default_factory=dict)  # factor -> (1, 3, T, H, W)
    only: Mapping[str, Tensor] = field(default_factory=dict)  # one placed factor, no other
    activity: Mapping[str, np.ndarray] = field(default_factory=dict)  # factor -> (T,), 0 to 1
    still: Tensor | None = None  # (1, 3, T, H, W): every placed factor taken out
    posed: Tensor | None = None  # (1, 3, T, H, W): the calmest frame in the clip's poses

    @property
    def standing(self) -> Tensor:
        """The calmest frame, held still as long as the clip: (1, 3, T, H, W)."""
        return self.calm[:1].expand_as(self.clip)

    def reference(self, baseline: str) -> str | Tensor:
        """A baseline by name; ``oracle_neutral`` is the clip rendered without any factor."""
        if baseline == "oracle_neutral" and self.still is not None:
            return self.still
        return attribution.of_recording(self.calm, baseline, self.posed)


@dataclass(frozen=True, eq=False)
class Effect:
    """One factor taken out of a clip, and what the model made of that."""

    factor: str
    effect: float  # f(x) - f(x without the factor), score points
    share: float  # its part of the score, points; NaN where this was not rendered
    change: np.ndarray  # (T, H, W) of each pixel by the removal, 0 to 1; 0 below `CHANGED`
    place: np.ndarray  # (T, H, W) activity on the factor's regions where it moves, 0 to 1
    amount: float  # mean activity in the clip, share of full intensity


def random_clip(
    n_frames: int, length: int, *, dilation: int = 1, name: str = "", seed: int = 0
) -> np.ndarray:
    """Rows (T,) of a clip at a place in a recording that its name and the seed decide."""
    rows = clips.windows(n_frames, length, step=1, dilation=dilation)
    if not len(rows):
        raise ValueError(f"{n_frames} frames hold no clip of {length}; take shorter clips.")
    return rows[np.random.default_rng([seed, zlib.crc32(name.encode())]).integers(len(rows))]


def stage(
    archive: clips.ClipArchive,
    rows: np.ndarray,
    *,
    participant: str,
    recording: str,
    script: rendered.Script | None = None,
    full_size: int = 160,
    render_size: int = RENDER_SIZE,
    shares: bool = True,
) -> Scene:
    """Prepare one clip and, with a script, the same clip without each factor.

    The clip itself and the calm frames are rendered again too, so that nothing but the factor
    differs: not the compression of the video, not the size.

    Parameters
    ----------
    rows : np.ndarray
        (T,) rows of the archive.
    script : rendered.Script, optional
        That the recording was rendered from.
    full_size, render_size : int
        Side of the recording's pictures, and side to render at; pixels.
    shares : bool
        Also with one factor alone, for ``share``: costs as much again.
    """
    who = {"participant": participant, "recording": recording, "regions": archive.regions[rows]}
    if script is None:
        clip = torch.from_numpy(clips.stack(archive, rows[None]))
        calm = explanation.calm_frames(archive)
        posed = explanation.posed_neutral(archive, rows[None], clip, calm[0])
        return Scene(clip=clip, calm=calm, posed=posed, **who)
    again = clips.Rerendering(archive, script, size=render_size, full_size=full_size)
    at = attribution.calm_frames(archive.landmarks)
    level = int(archive.source[at[0]])

    def show(names: Iterable[str], at: np.ndarray = rows) -> Tensor:
        left = reduce(partial(rendered.without, level=level), names, script)
        images = again.show(left, at).transpose(3, 0, 1, 2)
        return torch.from_numpy(images.astype(np.float32) / 255)[None]

    frames = show((), np.sort(at))[0][:, torch.from_numpy(np.argsort(np.argsort(at)))]
    clip, calm = show(()), frames.transpose(0, 1)[:, :, None]
    factors = [*anatomy.FACTORS, *["headset"] * script.headset]
    return Scene(
        clip=clip,
        calm=calm,
        posed=explanation.posed_neutral(archive, rows[None], clip, calm[0]),
        without={name: show([name]) for name in factors},
        only={
            name: show([other for other in PLACED if other != name])
            for name in PLACED if shares
        },
        activity={name: _activity(script, name, archive.source[rows], level) for name in factors},
        still=show(PLACED),
        **who,
    )  # fmt: skip


def rendered_scenes(
    participants: int = 12,
    *,
    frames: int = 32,
    size: int = 64,
    rate: float = 12.5,
    seed: int = 500,
    shares: bool = False,
) -> list[Scene]:
    """Scenes of rendered people whom no network has seen, to test explanations of any network.

    Parameters
    ----------
    participants : int
        One clip of each; below 10 no interval is given.
    frames, size, rate : int, int, float
        T, H = W in pixels and frames per second of a clip.
    seed : int
        Of the cohort; those below 500 belong to the book.
    shares
        As in `stage`.
    """
    rate = float(np.clip(rate, *RATES))
    seconds = max(4.0, 1.5 * frames / rate)
    plan = rendered.plan_cohort(participants, 1, seconds, fps=2 * rate, seed=seed)
    side = render_side(size)
    scenes = []
    for name, participant in plan.recordings[["recording", "participant"]].itertuples(index=False):
        script = plan.script(name)
        archive = archive_of(script, size=size, render_size=side)
        rows = random_clip(archive.n_frames, frames, name=name, seed=seed)
        scenes.append(
            stage(archive, rows, participant=participant, recording=name, script=script,
                  full_size=side, render_size=side, shares=shares)
        )  # fmt: skip
    return scenes


def render_side(size: int) -> int:
    """Side of the pictures that clips of a size are cut from: never smaller, and even.

    >>> render_side(64), render_side(225)
    (112, 226)
    """
    return max(RENDER_SIZE, 2 * ((size + 1) // 2))


def archive_of(
    script: rendered.Script, *, size: int, render_size: int = RENDER_SIZE, input: str = "face"
) -> clips.ClipArchive:
    """Every second frame of a script as a clip archive, faces known exactly, no video between."""
    source = np.arange(0, script.n_frames, 2)
    drawn = list(rendered.render(script, size=render_size, frames=source.tolist()))
    pictures = ((number, frame.image) for number, frame in zip(source.tolist(), drawn))
    points = np.stack([frame.landmarks for frame in drawn])
    return clips.assemble(pictures, source, points, fps=script.fps / 2, size=size, input=input)


def _activity(script: rendered.Script, factor: str, frames: np.ndarray, level: int) -> np.ndarray:
    """Distance of a factor's strongest AU, or of the head, from the calm frame: (T,), 0 to 1."""
    if factor == "headset":  # always on
        return np.ones(len(frames))
    series, full = script.pose, FULL_TURN
    if factor != "head_motion":
        columns = [anatomy.AU_CODES.index(code) for code in anatomy.FACTORS[factor]]
        series, full = script.au[:, columns], FULL_INTENSITY
    away = np.abs(series[frames] - series[level]).max(axis=1) / full
    if factor == "lids_gaze":  # eyes that turn under still lids
        turn = np.abs(script.gaze[frames] - script.gaze[level]).max(axis=1)
        away = np.maximum(away, turn / FULL_TURN)
    return np.minimum(away, 1)


def scores(model: nn.Module, shown: Tensor, *, output: int | None = None) -> np.ndarray:
    """Predicted scores (N,) float64 of clips (N, 3, T, H, W), without gradients."""
    with torch.no_grad():
        parts = [attribution.score_of(model, part, output=output) for part in shown.split(8)]
    return torch.cat(parts).double().cpu().numpy()


def effects(model: nn.Module, scene: Scene, *, output: int | None = None) -> list[Effect]:
    """What the model loses with each factor, and what the factor alone gives it."""
    if scene.still is None:
        return []
    names, alone = list(scene.without), list(scene.only)
    shown = torch.cat([scene.clip, scene.still, *scene.without.values(), *scene.only.values()])
    whole, still, *rest = scores(model, shown, output=output)
    entering = dict(zip(alone, np.array(rest[len(names) :]) - still))
    found = []
    for name, lost in zip(names, rest):
        gap = (scene.clip - scene.without[name])[0].abs().numpy()
        places = anatomy.FACTOR_REGIONS.get(name, ("background",))
        inside = np.isin(scene.regions, [anatomy.REGIONS.index(place) for place in places])
        active = scene.activity[name]
        moving = np.where(active > MOVES, active, 0)[:, None, None]
        change = np.where(gap.max(axis=0) > CHANGED, gap.mean(axis=0), 0)
        effect = whole - lost
        share = (effect + entering.get(name, np.nan)) / 2
        found.append(Effect(name, effect, share, change, inside * moving, float(active.mean())))
    return found


def stretch_of(frames: int) -> np.ndarray:
    """The stretch of every frame, (T,) int."""
    return np.arange(frames) * min(STRETCHES, frames) // frames


def both_ends(
    model: nn.Module, clip: Tensor, other: Callable[[int], Tensor], *, output: int | None = None
) -> np.ndarray:
    """What every stretch of a clip adds to the score, (S,) points.

    Parameters
    ----------
    clip : Tensor
        (1, 3, T, H, W).
    other : callable
        What is shown instead, from a cut (0 to S) on and up to it; (1, 3, T, H, W).
    """
    stretch = torch.from_numpy(stretch_of(clip.shape[2]))[:, None, None]
    count = int(stretch.max()) + 1
    late = [torch.where(stretch < cut, clip, other(cut)) for cut in range(count)]
    early = [torch.where(stretch < cut, other(cut), clip) for cut in range(1, count + 1)]
    found = scores(model, torch.cat([*late, clip, clip, *early]), output=output)
    rising, falling = found[: count + 1], found[count + 1 :]
    return (np.diff(rising) - np.diff(falling)) / 2


def by_stretch(
    model: nn.Module, scene: Scene, *, output: int | None = None
) -> dict[str, np.ndarray]:
    """When the model uses the clip, by three interventions: (S,) points each.

    ``rendered``: every placed factor taken out, the head moving on (rendered people only);
    ``frozen``: the face stands still before or after a moment, which tears nothing;
    ``replaced``: the calmest frame instead, as on any recording.
    """
    clip, ask = scene.clip, partial(both_ends, model, scene.clip, output=output)
    starts = [*np.unique(stretch_of(clip.shape[2]), return_index=True)[1], -1]
    found = {
        "frozen": ask(lambda cut: clip[:, :, [starts[cut]]].expand_as(clip)),
        "replaced": ask(lambda _: scene.standing),
    }
    if (still := scene.still) is not None:
        found["rendered"] = ask(lambda _: still)
    return found


def by_region(model: nn.Module, scene: Scene, *, output: int | None = None) -> dict[str, float]:
    """f(x) - f(x with a region as in the calmest frame), points, for every region there is."""
    here, regions = np.unique(scene.regions), torch.from_numpy(scene.regions)
    shown = [torch.where(regions == k, scene.standing, scene.clip) for k in here]
    whole, *lost = scores(model, torch.cat([scene.clip, *shown]), output=output)
    return {anatomy.REGIONS[k]: whole - one for k, one in zip(here, lost)}


def time_use(model: nn.Module, clip: Tensor, *, seed: int = 0) -> dict[str, float]:
    """Does the model use time at all? f(x), and f(x) - f(x with its frames disturbed), points.

    Parameters
    ----------
    clip : Tensor
        (1, 3, T, H, W).

    Returns
    -------
    dict
        ``prediction``; ``freeze`` repeats the middle frame, ``shuffle`` puts the frames in random
        order, ``reverse`` plays them backwards.
    """
    frames = clip.shape[2]
    order = torch.randperm(frames, generator=torch.Generator().manual_seed(seed))
    disturbed = [clip[:, :, [frames // 2]].expand_as(clip), clip[:, :, order], clip.flip(2)]
    whole, *rest = scores(model, torch.cat([clip, *disturbed]))
    lost = dict(zip(("freeze", "shuffle", "reverse"), whole - np.array(rest)))
    return {"prediction": whole} | lost
