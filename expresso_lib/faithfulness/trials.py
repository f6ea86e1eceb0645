"""Explanations put to the test, clip by clip: in a run, and for any network from Python.

`examine` needs a network and scenes (`interventions.rendered_scenes`, or one's own); `items` and
`trial_item` are the same as pieces of work for ``store.map``. Without a script (real recordings)
the interventions are left out; what needs no renderer stays.
"""

import logging
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from expresso_lib import attribution, clips, models, rendered, store
from expresso_lib.faithfulness import controls, interventions, metrics
from expresso_lib.faithfulness.interventions import Scene

log = logging.getLogger(__name__)

# Every clip is explained against these: movements, what stands, the paper's, the best there is.
BASELINES = (attribution.NEUTRAL, "own_neutral", "blur", "zero", "oracle_neutral")
# References that move the head as the clip does: what they say of it is their own score, beside
# that of the calm frame.
POSED = (attribution.NEUTRAL, "oracle_neutral")
CHANNELS = tuple((metrics.DEFAULT[0], baseline) for baseline in BASELINES)
# These cost tens of passes, or tell less: for the clips that are looked at more closely.
SLOW_CHANNELS = (
    ("IntegratedGradients", attribution.NEUTRAL),
    ("ExpectedGradients", "calm_frames"),
    ("InputXGradient", "zero"),
    ("LayerGradCam", attribution.NEUTRAL),
    # What knows time only: over the whole picture by stretches, 16 passes.
    ("ShapleySampling", attribution.NEUTRAL, "stretches"),
)
# Points on the path of a gradient method, in a run.
STEPS = 16


def examine(
    model: nn.Module,
    scenes: Iterable[Scene],
    channels: Sequence[Sequence[str]] = CHANNELS,
    **options: Any,
) -> pd.DataFrame:
    """Rows of `trial` for many scenes, to be scored by `metrics.table`; without what `adding_up`
    leaves out.

    Examples
    --------
    An ordinary network, tested in four lines::

        network = torchvision.models.video.r3d_18(weights=None, num_classes=1).eval()
        scenes = faithfulness.rendered_scenes(12, frames=16, size=64)
        rows = faithfulness.examine(network, scenes, closer=True)
        faithfulness.trust_table(faithfulness.table(rows))
    """
    parts = [
        trial(model, scene, known, **options)
        for scene in scenes
        if (known := _known(channels, scene))
    ]
    if not parts:
        raise ValueError("no scene to examine a network on, or no channel that its scenes allow; "
                         "faithfulness.rendered_scenes(12) makes a dozen.")  # fmt: skip
    return adding_up(pd.concat(parts, ignore_index=True))


def _known(channels: Sequence[Sequence[str]], scene: Scene) -> list[Sequence[str]]:
    """The channels that a scene allows: without a renderer there is no oracle."""
    return [one for one in channels if "oracle_neutral" not in one[1:2] or scene.still is not None]


def adding_up(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out DeepLift's references that miss more than 5 % of f(x) - f(x0) on most clips.

    Judged over all of them: the clips on which a method happens to add up are no fair sample, and
    one whose score hardly differs from its reference's tells nothing of a network.

    Raises
    ------
    IncompleteModelError
        Where no explanation is left.
    """
    shares = rows[(rows["method"] == "DeepLift") & (rows["metric"] == "completeness")]
    missed = shares.groupby("baseline")["value"].median()
    refused = missed.index[missed > attribution.REFUSAL]
    for baseline in refused:
        log.warning("left out: DeepLift against %s misses %.0f %% in the median clip: %s",
                    baseline, 100 * missed[baseline], attribution.NO_RULE)  # fmt: skip
    gone = (rows["method"] == "DeepLift") & rows["baseline"].isin(refused)
    kept = rows[~(gone | rows["factor"].isin("DeepLift/" + refused))]
    if len(refused) and not (kept["metric"] == "completeness").any():
        raise attribution.IncompleteModelError(
            f"DeepLift adds up to nothing: {attribution.NO_RULE}"
        )
    return kept.reset_index(drop=True)


def trial(
    model: nn.Module,
    scene: Scene,
    channels: Sequence[Sequence[str]] = CHANNELS,
    *,
    output: int | None = None,
    closer: bool = False,
    randomised: int = 0,
    depths: Sequence[int] = (),
    compared: int = 1,
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Explain one clip by every channel, and put every explanation and control to the test.

    Parameters
    ----------
    model : nn.Module
        In ``eval()``; (N, 3, T, H, W) to (N,), or (N, K) with ``output``.
    scene : Scene
    channels : sequence of (method, baseline)
    closer : bool
        Also ask *when* (stretches of time) and *where* without a renderer (regions replaced).
    randomised : int
        Networks with shuffled weights that are explained as well, in the first channel that adds
        up on this clip.
    depths : sequence of int
        Numbers of layers after whose randomisation the maps of the first such channels
        (``compared`` of them) are compared with themselves; -1: all.
    **options
        Of `attribution.attribute`.

    Returns
    -------
    pd.DataFrame
        Evidence rows (`metrics.evidence`; ``metric`` is "evidence") and one row per other number
        (``value``): ``output``, ``completeness`` (|gap| over |f(x) - f(x0)|), ``agreement`` of any
        channel with any other (``factor``), ``randomisation`` and ``randomisation_unsigned``
        (``factor`` is the number of layers), ``interaction``, ``beyond_pairs``,
        ``single_effect``.
    """
    asked: dict[str, Any] = {"output": output, "seed": seed}
    told = explain(model, scene, channels, **asked, **options)
    maps = {_title(channel): _map(result) for channel, result in told.items()}
    heads = {_title(one): head for one, head in _heads(model, scene, told, output).items()}
    rows = [(*_title(channel), "all", "completeness", float(result.missed))
            for channel, result in told.items()]  # fmt: skip
    rows.append(("model", "none", "all", "output", float(next(iter(told.values())).output)))
    alike = _agreement(maps.values())
    rows += [(*a, "/".join(b), "agreement", alike[i, j])
             for (i, a), (j, b) in permutations(enumerate(maps), 2)]  # fmt: skip
    sound = [one for one, found in told.items()
             if one[0] != "DeepLift" or found.missed <= attribution.REFUSAL] or [*told]  # fmt: skip
    for channel in sound[:compared]:
        rows += _cascade(model, scene, channel, maps[_title(channel)], depths, **asked)
    others, their_heads = _others(model, scene, sound[0], randomised, **asked)
    maps, heads = maps | others, heads | their_heads
    effects = interventions.effects(model, scene, output=output)
    if effects:
        faces = [one for one in effects if one.factor != "head_motion"]
        maps[controls.TRUTH] = controls.painted(faces)
        heads[controls.TRUTH] = sum(one.effect for one in effects if one not in faces)
        rows += _interaction(model, scene, effects, output)
    nearer: dict[str, Any] = {}
    if closer:
        nearer["stretches"] = interventions.by_stretch(model, scene, output=output)
        nearer["regions"] = interventions.by_region(model, scene, output=output)
    found = metrics.evidence(maps, scene, effects, heads=heads, **nearer)
    other = pd.DataFrame(rows, columns=["method", "baseline", "factor", "metric", "value"])
    both = pd.concat([found.assign(metric="evidence"), other], ignore_index=True)
    return both.assign(participant=scene.participant, clip=scene.recording)


def explain(
    model: nn.Module, scene: Scene, channels: Sequence[Sequence[str]], **options: Any
) -> dict[tuple[str, ...], attribution.Attribution]:
    """The scene's clip by every channel (`attribution.by_channel`)."""
    options = {"refuse": False} | options  # `adding_up` judges over all clips
    regions = torch.from_numpy(scene.regions)[None]
    return attribution.by_channel(
        model, scene.clip, channels, scene.reference, regions=regions, **options
    )


def _title(channel: Sequence[str]) -> tuple[str, str]:
    """Method and baseline of a channel, as tables name them."""
    method, baseline, *word = channel
    return " ".join([method, *(f"({one})" for one in word)]), baseline


def _map(result: attribution.Attribution) -> np.ndarray:
    return result.values[0].sum(dim=0).double().numpy()


def _heads(
    model: nn.Module, scene: Scene, told: Mapping, output: int | None
) -> dict[tuple[str, ...], float]:
    """What channels say of the head that divide a difference to a reference whose head turns, too.

    A composite's face has no pose.
    """
    [calm] = interventions.scores(model, scene.standing, output=output)
    turning = [one for one in POSED if one != attribution.NEUTRAL or scene.posed is not None]
    return {
        channel: float(result.output_baseline) - calm
        for channel, result in told.items()
        if channel[0] in controls.DIVIDING and channel[1] in turning
    }


def _agreement(maps: Iterable[np.ndarray]) -> np.ndarray:
    """Rank correlation of any two maps, (M, M)."""
    return pd.DataFrame([one.ravel() for one in maps]).T.corr("spearman").to_numpy()


def _others(model, scene, channel, randomised, *, output, seed) -> tuple[dict, dict]:
    """Maps of controls, and of networks with shuffled weights; and what these say of the head."""
    # Crops are aligned: the same noise for everybody would be an explanation of sorts.
    own = [seed, zlib.crc32(scene.recording.encode())]
    blind, heads = controls.maps(scene.clip[0], scene.calm[0], seed=own), {}
    found = {(name, "none"): one for name, one in blind.items()}
    for number in range(randomised):
        [(_, network)] = attribution.randomised(model, seed=seed + number, depths=[-1])
        told = explain(network, scene, [channel], output=output, seed=seed)
        key = (f"randomised_{number + 1}", channel[1])
        found[key] = _map(told[channel])
        for head in _heads(network, scene, told, output).values():
            heads[key] = head
    return found, heads


def _cascade(model, scene, channel, own, depths, *, output, seed) -> list[tuple]:
    """Agreement of a map, and of its size, with those of the model randomised from the output."""
    layers, maps = [], [own]
    for count, network in attribution.randomised(model, seed=seed, depths=depths):
        layers.append(str(count))
        maps.append(_map(explain(network, scene, [channel], output=output, seed=seed)[channel]))
    sides = {"randomisation": maps, "randomisation_unsigned": [abs(one) for one in maps]}
    return [(*_title(channel), count, name, likeness)
            for name, side in sides.items()
            for count, likeness in zip(layers, _agreement(side)[0, 1:])]  # fmt: skip


def _interaction(model, scene, effects, output) -> list[tuple]:
    """How far single effects, and shares, miss the removal of all placed factors, points."""
    whole, still = interventions.scores(model, torch.cat([scene.clip, scene.still]), output=output)
    placed = [one for one in effects if one.factor in interventions.PLACED]
    single, share = (np.array([getattr(one, k) for one in placed]) for k in ("effect", "share"))
    found = {"interaction": abs(whole - still - single.sum()),
             "beyond_pairs": abs(whole - still - share.sum()),
             "single_effect": np.abs(single).mean()}  # fmt: skip
    return [("model", "none", "pooled", name, float(value)) for name, value in found.items()]


# A run


def items(
    recordings: pd.DataFrame,
    folder: str | Path,
    model_of: Mapping[str, Path],
    *,
    length: int,
    dilation: int = 1,
    most: int = 999,
    closer: int = 12,
    method: str = metrics.DEFAULT[0],
    cohort: Mapping[str, Any] | None = None,
    full_size: int = 160,
    randomised: int = 0,
    depths: Sequence[int] = (),
    seed: int = 0,
) -> list[store.Item]:
    """The trials of a cohort: one clip of everyone, at a random place in their first recording.

    Parameters
    ----------
    recordings : pd.DataFrame
        ``participant, recording``.
    folder : path
        Of the clip archives.
    model_of : mapping
        Participant to the checkpoint that has not seen them.
    length, dilation : int
        Of a clip; recordings shorter than one are passed over.
    most, closer : int
        Participants at most (drawn at random), and of these looked at more closely: with
        ``SLOW_CHANNELS``, factors alone, stretches, regions, randomised networks.
    method : str
        Of ``BASELINES``' channels, for everyone: one that adds up on this network.
    cohort : mapping, optional
        Arguments of ``rendered.plan_cohort``, for rendered participants.
    full_size : int
        Of `interventions.stage`.
    randomised, depths
        Of `trial`, for those looked at closely.
    """
    known = clips.archived(recordings, folder, model_of, length=length, dilation=dilation)
    known = known.drop_duplicates("participant")
    known = known.sample(frac=1, random_state=seed).head(most)
    shared = {"length": length, "dilation": dilation, "cohort": dict(cohort or {}), "seed": seed,
              "method": method, "full_size": full_size}  # fmt: skip
    nearer = {"closer": True, "randomised": randomised, "depths": list(depths)}
    return [
        store.Item(
            row.recording,
            shared | {"participant": row.participant, "asked": nearer if number < closer else {}},
            (Path(row.archive), Path(model_of[row.participant])),
        )
        for number, row in enumerate(known.itertuples())
    ]


def trial_item(work: store.Item, path: Path) -> None:
    """Carry out one of `items` (a `store.map` function): its rows as Parquet."""
    recipe = dict(work.recipe)
    asked, cohort, seed = recipe["asked"], recipe["cohort"], recipe["seed"]
    archive = clips.ClipArchive.load(work.inputs[0])
    model = models.load(work.inputs[1])[0].requires_grad_(False)
    rows = interventions.random_clip(
        archive.n_frames, recipe["length"], dilation=recipe["dilation"], name=work.name, seed=seed
    )
    scene = interventions.stage(
        archive, rows, participant=recipe["participant"], recording=work.name, shares=bool(asked),
        script=rendered.plan_cohort(**cohort).script(work.name) if cohort else None,
        full_size=recipe["full_size"],
        render_size=interventions.render_side(archive.frames.shape[1]),
    )  # fmt: skip
    main = [(recipe["method"], baseline) for baseline in BASELINES]
    channels = dict.fromkeys([*main, *(SLOW_CHANNELS if asked else ())])
    how = {"seed": seed, "steps": STEPS, "samples": STEPS} | asked
    try:
        rows = trial(model, scene, _known([*channels], scene), **how)
    except attribution.ModelError as error:
        if not asked:
            raise
        # Not every network has what a slow channel needs (a layer for Grad-CAM).
        possible = [one for one in SLOW_CHANNELS if _explains(model, scene, one)]
        log.warning("some explanations are left out: %s", error)
        rows = trial(model, scene, _known([*main, *possible], scene), **how)
    rows.to_parquet(path)


def _explains(model: nn.Module, scene: Scene, channel: Sequence[str]) -> bool:
    try:
        explain(model, scene, [channel], steps=1, samples=1, passes=1)
    except attribution.ModelError:
        return False
    return True


def read(outcomes: Iterable[store.Outcome]) -> pd.DataFrame:
    """All rows of the trials that ended well."""
    parts = [pd.read_parquet(done.path) for done in outcomes if done.error is None]
    return pd.concat(parts, ignore_index=True)


def agreement_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean rank agreement of any two explanations over trials, (M, M)."""
    part = rows[rows["metric"] == "agreement"]
    part = part.assign(channel=part["method"] + "/" + part["baseline"])
    wide = part.pivot_table("value", index="channel", columns="factor")
    order = part["channel"].unique()
    return wide.reindex(index=order, columns=order).mask(np.eye(len(order), dtype=bool), 1.0)


def indicators(found: pd.DataFrame) -> pd.DataFrame:
    """What can be known without a truth, beside the fidelity that only a renderer knows.

    Parameters
    ----------
    found : pd.DataFrame
        Of `metrics.table`.

    Returns
    -------
    pd.DataFrame
        A row per explanation: ``method, baseline, completeness, removal`` (of regions replaced on
        the recording), ``stretches`` (likewise, in time), ``agreement`` (mean with the others),
        ``randomisation`` (agreement with the map of the shuffled network), ``fidelity,
        fidelity_low, fidelity_high, head`` (the head included), ``where, when`` (the truth).
    """
    fidelity = ("interventional_fidelity", "pooled", "changed")
    columns = {
        "completeness": ("estimate", "completeness", "all", "all"),
        "removal": ("estimate", "removal_fidelity", "pooled", "replaced_region"),
        "stretches": ("estimate", "time_fidelity", "pooled", "replaced"),
        "fidelity": ("estimate", *fidelity),
        "head": ("estimate", "interventional_fidelity", "pooled_all", "changed"),
        "where": ("estimate", "interventional_fidelity", "pooled", "region"),
        "when": ("estimate", "time_fidelity", "pooled", "rendered"),
        "fidelity_low": ("ci_low", *fidelity),
        "fidelity_high": ("ci_high", *fidelity),
    }
    keys, cell = ["method", "baseline"], ["metric", "factor", "support"]
    wide = found.pivot(index=keys, columns=cell, values=metrics.ENDS)
    known = wide.reindex(columns=pd.MultiIndex.from_tuples(columns.values()))
    known = known.set_axis([*columns], axis=1)
    alike = found[found["metric"] == "agreement"].groupby(keys)["estimate"].mean()
    known.insert(0, "agreement", alike)
    shuffled = found[found["metric"] == "randomisation"].groupby(keys).tail(1).set_index(keys)
    known.insert(1, "randomisation", shuffled["estimate"])
    channels = found.loc[found["metric"] == "completeness", keys]
    return known.loc[pd.MultiIndex.from_frame(channels)].reset_index()


def time_use(
    recordings: pd.DataFrame, folder: str | Path, model_of: Mapping[str, Path], *, length: int,
    dilation: int = 1, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """What happens to the score when a clip of everyone is frozen, shuffled, reversed.

    Returns
    -------
    pd.DataFrame
        ``participant, recording, prediction, freeze, shuffle, reverse``; score points.
    """
    rows = []
    known = clips.archived(recordings, folder, model_of, length=length, dilation=dilation)
    known = known.drop_duplicates("participant")
    for one in known.itertuples():
        archive = clips.ClipArchive.load(one.archive)
        model, _ = models.load(model_of[one.participant])
        at = interventions.random_clip(archive.n_frames, length, dilation=dilation,
                                       name=one.recording, seed=seed)  # fmt: skip
        clip: Tensor = torch.from_numpy(clips.stack(archive, at[None]))
        who = {"participant": one.participant, "recording": one.recording}
        rows.append(who | interventions.time_use(model, clip, seed=seed))
    return pd.DataFrame(rows)
