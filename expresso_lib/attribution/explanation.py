"""One recording explained: clip archive and model in, attributions pooled to tables and maps out.

``explain`` runs every channel (a method with a baseline) over a recording's clips, pools at full
precision, and keeps one map per frame for pictures. ``explain_item`` is the same as a piece of
work for ``store.map``; chapters 4, 5, 7, 8 and ``expresso explain`` read the files it leaves.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from expresso_lib import clips, models, store
from expresso_lib.attribution import methods, pooling, references
from expresso_lib.faces import anatomy, regions

# Maps are kept for pictures only: 8 bits, scaled to this share of a recording's |values|.
MAP_QUANTILE = 0.9995


@dataclass(frozen=True, eq=False)
class Channel:
    """What one method with one baseline says about a recording's clips."""

    method: str
    baseline: str
    mass: pooling.RegionMass  # (N, T, R) score points
    output: np.ndarray  # (N,) f(x), score points
    output_baseline: np.ndarray  # (N,) f(x0), score points
    delta: np.ndarray  # (N,) sum(A) - (f(x) - f(x0)), score points
    complete: np.ndarray  # (N,) bool
    map: np.ndarray  # (F', H, W) float32 score points, on the aligned face; NaN where no clip
    model: str = "trained"  # or random_1, random_2, ...: the same network, weights shuffled

    @property
    def names(self) -> dict[str, str]:
        """Method, baseline and model, as columns of a table."""
        return {"method": self.method, "baseline": self.baseline, "model": self.model}


@dataclass(frozen=True, eq=False)
class Explanation:
    """A recording's clips and every channel's account of them."""

    rows: np.ndarray  # (N, T) int, rows of the clip archive
    frames: np.ndarray  # (N, T) int, frame numbers in the recording
    fps: float  # rows per second
    channels: tuple[Channel, ...]

    def channel(self, method: str, baseline: str) -> Channel:
        """Return one channel; ValueError names those there are."""
        for channel in self.channels:
            if (channel.method, channel.baseline, channel.model) == (method, baseline, "trained"):
                return channel
        known = ", ".join(f"{c.method}/{c.baseline}" for c in self.channels)
        raise ValueError(f"no channel {method}/{baseline}; this explanation has {known}.")

    def save(self, path: str | Path) -> Path:
        """Write NPZ; maps are rounded to 8 bits (for pictures), everything else is exact."""
        names = [channel.names for channel in self.channels]
        head = json.dumps({"fps": self.fps, "channels": names})
        arrays = {"rows": self.rows, "frames": self.frames, "head": np.array(head)}
        for number, channel in enumerate(self.channels):
            arrays |= {f"{number}_{k}": v for k, v in _channel_arrays(channel).items()}
        return store.write_arrays(path, **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote."""
        file = store.read_arrays(path, "explanation")
        head = json.loads(str(file["head"]))
        parts = [
            {key.removeprefix(f"{k}_"): file[key] for key in file if key.startswith(f"{k}_")}
            for k in range(len(head["channels"]))
        ]
        channels = tuple(map(_channel_of, head["channels"], parts))
        return cls(file["rows"], file["frames"], head["fps"], channels)


_MASS = ("positive", "negative", "area")
_FACTS = ("output", "output_baseline", "delta", "complete")


def _channel_arrays(channel: Channel) -> dict[str, np.ndarray]:
    arrays = {name: getattr(channel.mass, name) for name in _MASS}
    arrays |= {name: getattr(channel, name) for name in _FACTS}
    seen = np.abs(channel.map[np.isfinite(channel.map)])
    scale = (float(np.quantile(seen, MAP_QUANTILE)) if seen.size else 0.0) or 1.0
    levels = np.round(np.nan_to_num(np.clip(channel.map / scale, -1, 1), nan=-128 / 127) * 127)
    return arrays | {"map": levels.astype(np.int8), "scale": np.array(scale)}


def _channel_of(names: Mapping[str, Any], arrays: Mapping[str, Any]) -> Channel:
    levels = arrays["map"].astype(np.float32)
    levels[levels == -128] = np.nan
    mass = pooling.RegionMass(*(arrays[name] for name in _MASS))
    values = levels * (float(arrays["scale"]) / 127)
    return Channel(**names, mass=mass, map=values, **{name: arrays[name] for name in _FACTS})


def explain(
    archive: clips.ClipArchive,
    model: nn.Module,
    rows: np.ndarray,
    *,
    channels: Sequence[Sequence[str]],
    randomised: int = 0,
    seed: int = 0,
    **options,
) -> Explanation:
    """Explain the clips of one recording.

    Parameters
    ----------
    archive : clips.ClipArchive
        The recording as the model sees it. A composite is mapped back onto the face.
    model : nn.Module
        In ``eval()``.
    rows : np.ndarray
        (N, T) int rows of the archive, as ``clips.windows`` gives them.
    channels : sequence of (method, baseline)
        Baselines of `references.BASELINES`; calm frames are this recording's.
    randomised : int
        Networks with shuffled weights that are explained in the first channel too: what any
        network of this build would say of the recording. Their maps are not kept.
    seed, **options
        Handed to ``attribution.attribute``.

    Returns
    -------
    Explanation

    Raises
    ------
    ValueError
        Where there is no clip, or for anything ``attribute`` refuses.
    """
    if not len(rows):
        raise ValueError(
            f"no clip of the asked length fits {archive.n_frames} frames; take shorter clips."
        )
    inputs = torch.from_numpy(clips.stack(archive, rows))
    calm, labels = calm_frames(archive), archive.face_regions[rows]
    posed = posed_neutral(archive, rows, inputs, calm[0])
    options |= {"regions": torch.from_numpy(archive.regions[rows]), "seed": seed}
    reference = partial(references.of_recording, calm, posed=posed)

    def told(network: nn.Module, channels: Sequence[Sequence[str]]) -> list[Channel]:
        results = methods.by_channel(network, inputs, channels, reference, **options)
        return [
            _pooled(result, baseline, archive, rows, labels)
            for (_, baseline), result in results.items()
        ]

    found = told(model, channels)
    for number in range(1, randomised + 1):
        [(_, shuffled)] = references.randomised(model, seed=seed + number, depths=[-1])
        [one] = told(shuffled, channels[:1])
        found.append(replace(one, map=one.map[:0], model=f"random_{number}"))
    return Explanation(rows, archive.source[rows], archive.fps, tuple(found))


def calm_frames(archive: clips.ClipArchive) -> Tensor:
    """The recording's calm frames, calmest first: (K, 3, 1, H, W) float32 in 0 to 1."""
    rows = references.calm_frames(archive.landmarks)
    return torch.from_numpy(clips.stack(archive, rows[:, None]))


def posed_neutral(
    archive: clips.ClipArchive, rows: np.ndarray, shown: Tensor, calm: Tensor
) -> Tensor | None:
    """The calmest frame (3, 1, H, W) in the poses of clips (N, 3, T, H, W): `references.posed`.

    None for a composite, whose tiles follow the face as it is.
    """
    if archive.maps is not None:
        return None
    at, face = references.neutral_frame(archive.landmarks), archive.regions != pooling.BACKGROUND
    return torch.stack([
        references.posed(calm, at, archive.landmarks, own, clip, face[own])
        for own, clip in zip(rows, shown)
    ])  # fmt: skip


def on_face(values: np.ndarray, archive: clips.ClipArchive, rows: np.ndarray) -> np.ndarray:
    """Attributions (N, C, T, H, W) where the model saw them, carried to the aligned face.

    For the ``face`` input they are there already; a composite's tiles are mapped back, and the
    sum is kept.
    """
    if archive.maps is None:
        return values
    shape = archive.frames.shape[1:3]
    carried = np.empty_like(values)
    for clip, frame in np.ndindex(rows.shape):
        tiles = archive.maps[rows[clip, frame]]
        carried[clip, :, frame] = regions.decompose(values[clip, :, frame], tiles, shape)
    return carried


def _pooled(result, baseline, archive, rows, labels) -> Channel:
    values = on_face(result.values.numpy(), archive, rows)
    row, mean, _ = pooling.stitch(pooling.pixel_map(values), rows)
    full = np.full((archive.n_frames, *mean.shape[1:]), np.nan, np.float32)
    full[row] = mean
    facts = {name: getattr(result, name).numpy() for name in _FACTS}
    return Channel(result.method, baseline, pooling.pool(values, labels), map=full, **facts)


def shape(record: Mapping[str, Any], n_frames: int | None = None) -> dict[str, int]:
    """``length, step, dilation`` of the clips that a checkpoint's record tells of.

    Of a recording of ``n_frames`` that is shorter than such a clip, the longest that it holds.
    Records of earlier versions tell of neither step nor dilation.
    """
    step, dilation = int(record.get("step", 0)), int(record.get("dilation", 1))
    length = int(record["frames"])
    if n_frames is not None:
        length = min(length, (n_frames - 1) // dilation + 1)
    return {"length": length, "step": step, "dilation": dilation}


def item(recording: str, archive: Path, model: Path, **recipe: Any) -> store.Item:
    """One recording as a piece of work for ``explain_item``.

    ``recipe``: ``length, step, dilation`` of `clips.windows`, and options of ``explain``
    (``channels``, ``seed``, ``internal_batch_size``, ...).
    """
    return store.Item(recording, recipe, (archive, model))


def explain_item(work: store.Item, path: Path) -> None:
    """Explain the recording of an ``item`` and write its `Explanation` to ``path``."""
    archive = clips.ClipArchive.load(work.inputs[0])
    model, _ = models.load(work.inputs[1])
    options = dict(work.recipe)
    shape = {name: options.pop(name) for name in ("length", "step", "dilation") if name in options}
    rows = clips.windows(archive.n_frames, **shape)
    explain(archive, model, rows, **options).save(path)


def tables(
    files: Iterable[tuple[str, str, str | Path]], *, recipe: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join explained recordings to ``attribution_regions`` and ``attribution_frames``.

    Parameters
    ----------
    files : iterable of (participant, recording, path)
        The files that ``explain_item`` wrote.
    recipe : str
        The model's recipe, a column of both tables.
    """
    by_region, by_frame = [], []
    for participant, recording, path in files:
        explained = Explanation.load(path)
        keys = {"recipe": recipe, "participant": participant, "recording": recording}
        for channel in explained.channels:
            table, names = pooling.region_table(channel.mass), channel.names | keys
            row = table["clip"].to_numpy()
            facts = {name: getattr(channel, name)[row] for name in _FACTS}
            # The name of a clip is that of `clips.cut`.
            clip = [f"{recording}_{start:05d}" for start in explained.rows[row, 0]]
            by_region.append(table.assign(clip=clip, **names, **facts))
            by_frame.append(pooling.frame_table(channel.mass, explained.frames).assign(**names))
    first = [*keys, "method", "baseline"]
    joined = (pd.concat(parts, ignore_index=True) for parts in (by_region, by_frame))
    regions, frames = (t[[*first, *t.columns.difference(first, sort=False)]] for t in joined)
    return regions, frames


def enrichment(regions: pd.DataFrame) -> pd.DataFrame:
    """Log density of both signs together against the rest of the face, by participant.

    Parameters
    ----------
    regions : DataFrame
        ``attribution_regions`` of one method and baseline.

    Returns
    -------
    DataFrame
        Index: participant; a column per region of the face (`pooling.enrichment`).
    """
    table = regions.assign(size=regions["positive"] - regions["negative"])
    wide = table.pivot_table(index="participant", columns="region", values=["size", "area"])
    size, area = (wide[name][list(anatomy.REGIONS)].to_numpy() for name in ("size", "area"))
    found = pd.DataFrame(pooling.enrichment(size, area), wide.index, list(anatomy.REGIONS))
    return found[list(anatomy.FEATURE_REGIONS)]


def parts_of_r(regions: pd.DataFrame, participants: pd.DataFrame) -> pd.DataFrame:
    """What each region adds to the correlation of predictions with scores.

    A complete explanation splits a prediction f into f(x0) and one sum C per region, so its
    covariance with the scores y splits too: the part of a region is cov(C, y) / (sd(f) sd(y)).
    The parts of all regions and that of f(x0) add up to Pearson's r. What an explanation that is
    not complete leaves over (all of it, with Saliency) has a part of its own, ``not explained``.
    A region that is attended to but says nothing of the score adds nothing in expectation,
    however dense its attribution.

    Parameters
    ----------
    regions : DataFrame
        ``attribution_regions`` of one method and baseline.
    participants : DataFrame
        ``participant, score``.

    Returns
    -------
    DataFrame
        A row per participant, a column per region and for ``f(x0)``; the mean of a column over
        participants is the region's part of r.
    """
    clips_of = regions.drop_duplicates(["participant", "clip"]).set_index("participant")
    outputs = clips_of[["output", "output_baseline"]].groupby("participant").mean()
    terms = regions.assign(signed=regions["positive"] + regions["negative"]).pivot_table(
        index="participant", columns="region", values="signed", aggfunc="mean"
    )
    terms["f(x0)"] = outputs["output_baseline"]
    left = outputs["output"] - terms.sum(axis=1)
    if left.abs().max() > methods.TOLERANCE * outputs["output"].abs().max():
        terms["not explained"] = left
    score = participants.set_index("participant")["score"].loc[terms.index].astype(float)
    size = float(outputs["output"].std(ddof=0) * score.std(ddof=0))
    away = (terms - terms.mean()).mul(score - score.mean(), axis=0)
    return away / size if size > 1e-12 else away * np.nan


def completeness(regions: pd.DataFrame) -> pd.DataFrame:
    """Whether attributions add up, by method and baseline.

    Returns
    -------
    pd.DataFrame
        ``method, baseline, clips, complete`` (share), ``largest_gap`` (score points).
    """
    one = regions.drop_duplicates(["method", "baseline", "clip"])
    one = one.assign(gap=one["delta"].abs())
    return one.groupby(["method", "baseline"], as_index=False, sort=False).agg(
        clips=("clip", "size"), complete=("complete", "mean"), largest_gap=("gap", "max")
    )
