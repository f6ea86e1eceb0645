"""One recording's explanation put to the test: render again without each factor, score, compare.

A trial is a piece of work for ``store.map``: clip archive, model and the recording's script in,
one tidy table out (``participant, clip, method, baseline, factor, support, metric, value`` and
the evidence of `faithfulness`). ``faithfulness_table`` joins trials to the book's table. Without
a script (real recordings) the interventions are left out; everything else stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from expresso_lib import attribution, clips, models, rendered, store
from expresso_lib.attribution import explanation
from expresso_lib.faces import anatomy
from expresso_lib.faithfulness import metrics

# Every explanation of every clip: the two channels, the paper's, and cheap ones.
WAYS = (
    ("DeepLift", "own_neutral"),
    ("DeepLift", "temporal_mean"),
    ("DeepLift", "blur"),
    ("DeepLift", "zero"),
    ("DeepLift", "oracle_neutral"),
    ("InputXGradient", "zero"),
    ("LayerGradCam", "zero"),
)
# These cost tens of passes: they explain the clips that are looked at more closely.
SLOW_WAYS = (
    ("IntegratedGradients", "own_neutral"),
    ("GradientShap", "own_neutral"),
    ("Ablation", "own_neutral"),
)
# Deletion, infidelity and sensitivity cost many passes: they are asked of these only.
CLOSER = (("DeepLift", "own_neutral"), ("DeepLift", "blur"), ("DeepLift", "zero"))
CONTROLS = ("random", "edge", "motion", "difference", "zero_map")
# What the model does, laid on the pixels: a map that tells the truth, and what overlap costs it.
TRUTH = ("painted", "none")
# Rendering at half the size of the cohort's pictures keeps what a 64 px crop can show.
RENDER_SIZE = 112


@dataclass(frozen=True, eq=False)
class Stage:
    """One clip, everything it is compared with, and the model it is explained for."""

    model: nn.Module
    clip: Tensor  # (1, 3, T, H, W) float32, 0 to 1
    neutral: Tensor  # (3, 1, H, W)
    regions: np.ndarray  # (1, T, H, W)
    without: Mapping[str, Tensor]  # factor -> (1, 3, T, H, W); empty without a script
    only: Mapping[str, Tensor]  # the same with one placed factor, every other AU as in neutral
    activity: Mapping[str, np.ndarray]  # factor -> (1, T) share of full intensity
    oracle: Tensor | None  # (1, 3, T, H, W): every AU as in the neutral frame

    def reference(self, baseline: str) -> Tensor:
        """A baseline's clip, (1, 3, T, H, W)."""
        if baseline == "oracle_neutral" and self.oracle is not None:
            return attribution.baseline_clips(self.clip, self.oracle)
        known = self.neutral if baseline == "own_neutral" else baseline
        return attribution.baseline_clips(self.clip, known)

    def beside(self, factor: str) -> tuple[Tensor, Tensor] | None:
        """The clip with this factor only, and with none; None for what has no place."""
        if factor not in self.only or self.oracle is None:
            return None
        return self.only[factor], self.oracle


def item(
    recording: str,
    archive: str | Path,
    model: str | Path,
    *,
    participant: str,
    length: int,
    dilation: int = 1,
    cohort: Mapping[str, Any] | None = None,
    **options: Any,
) -> store.Item:
    """One recording's trial as a piece of work for ``trial_item``.

    Parameters
    ----------
    cohort : mapping, optional
        Arguments of ``rendered.plan_cohort``, for rendered participants.
    **options
        ``steps``, ``randomised``, ``closer``, ``seed``, ``render_size`` of ``trial``.
    """
    recipe = {
        "participant": participant,
        "length": length,
        "dilation": dilation,
        "cohort": dict(cohort or {}),
    }
    return store.Item(recording, recipe | options, (Path(archive), Path(model)))


def trial_item(work: store.Item, path: Path) -> None:
    """Carry out an ``item``: its rows as Parquet."""
    recipe = dict(work.recipe)
    archive = clips.ClipArchive.load(work.inputs[0])
    model, _ = models.load(work.inputs[1])
    model.requires_grad_(False)
    participant, length, dilation, cohort = (
        recipe.pop(k) for k in ("participant", "length", "dilation", "cohort")
    )
    script = rendered.plan_cohort(**cohort).script(work.name) if cohort else None
    render_size = recipe.pop("render_size", RENDER_SIZE)
    full_size = recipe.pop("full_size", 160)
    rows = middle_clip(archive.n_frames, length, dilation)
    scene = stage(archive, model, rows, script, sizes=(render_size, full_size))
    trial(scene, participant, **recipe).assign(recording=work.name).to_parquet(path)


def middle_clip(n_frames: int, length: int, dilation: int = 1) -> np.ndarray:
    """Rows (T,) of the clip in the middle of a recording: chosen before anything is seen."""
    rows = clips.windows(n_frames, length, step=1, dilation=dilation)
    if not len(rows):
        raise ValueError(f"{n_frames} frames hold no clip of {length}; take shorter clips.")
    return rows[(len(rows) - 1) // 2]


def stage(
    archive: clips.ClipArchive,
    model: nn.Module,
    rows: np.ndarray,
    script: rendered.Script | None,
    *,
    sizes: tuple[int, int] = (RENDER_SIZE, 160),
) -> Stage:
    """Prepare one clip and, with a script, the same clip without each factor.

    The clip itself and the neutral frame are rendered again too, so that nothing but the factor
    differs: not the compression of the video, not the size.

    Parameters
    ----------
    sizes : (int, int)
        Side to render at, and side of the recording's pictures; pixels.
    """
    row = attribution.neutral_frame(archive.landmarks)
    labels = archive.regions[rows][None]
    if script is None:
        clip = torch.from_numpy(clips.stack(archive, rows[None]))
        return Stage(model, clip, explanation.own_neutral(archive, row), labels, {}, {}, {}, None)
    level = int(archive.source[row])

    again = clips.Rerendering(archive, script, size=sizes[0], full_size=sizes[1])

    def show(changed: rendered.Script, at: np.ndarray) -> Tensor:
        images = again.show(changed, at)
        return torch.from_numpy(images.transpose(3, 0, 1, 2).astype(np.float32) / 255)

    factors = [name for name in anatomy.FACTORS] + ["headset"] * script.headset

    def lacking(names: Iterable[str]) -> Tensor:
        left = reduce(partial(rendered.without, level=level), names, script)
        return show(left, rows)[None]

    placed = metrics.PLACED
    return Stage(
        model, show(script, rows)[None], show(script, np.array([row])), labels,
        {k: lacking([k]) for k in factors},
        {k: lacking([other for other in placed if other != k]) for k in placed},
        {k: _activity(script, k, archive.source[rows], level)[None] for k in factors},
        lacking(placed),
    )  # fmt: skip


def _activity(script: rendered.Script, factor: str, frames: np.ndarray, level: int) -> np.ndarray:
    """Distance of a factor's strongest AU from the neutral frame, (T,) share of full intensity."""
    columns = [anatomy.AU_CODES.index(code) for code in anatomy.FACTORS.get(factor, ())]
    if not columns:  # the head always moves, a headset is always on
        return np.ones(len(frames))
    away = np.abs(script.au[np.asarray(frames)[:, None], columns] - script.au[level, columns])
    return away.max(axis=1) / 5


def trial(
    scene: Stage,
    participant: str,
    *,
    ways: Sequence[Sequence[str]] = WAYS,
    randomised: int = 0,
    closer: bool = False,
    steps: int = 32,
    seed: int = 0,
) -> pd.DataFrame:
    """Explain one clip in every way, and put every explanation and control to the test.

    Parameters
    ----------
    scene : Stage
    participant : str
        Whose clip it is.
    ways : sequence of (method, baseline)
    randomised : int
        Networks with shuffled weights that are explained as well.
    closer : bool
        Also ``SLOW_WAYS``, deletion, insertion, infidelity, sensitivity, agreement between
        explanations, and randomisation layer by layer: several times the cost.

    Returns
    -------
    pd.DataFrame
        Evidence rows (``metric`` is "evidence") and one row per other number.
    """
    interventions = [
        metrics.intervene(
            scene.model,
            scene.clip,
            without,
            factor,
            regions=scene.regions,
            activity=scene.activity[factor],
            only=scene.beside(factor),
        )
        for factor, without in scene.without.items()
    ]
    asked = [*ways, *(SLOW_WAYS if closer else ())]
    wanted = [tuple(w) for w in asked if w[1] != "oracle_neutral" or scene.oracle is not None]
    options = {"steps": steps, "seed": seed, "samples": 8}
    values = {way: explain(scene, scene.model, way, **options) for way in wanted}
    maps = {way: _map(value) for way, value in values.items()}
    reference = scene.reference("own_neutral")
    blind = metrics.controls(scene.clip.numpy(), reference.numpy(), seed=seed)
    maps |= {(name, "none"): blind[name] for name in CONTROLS}
    networks = [
        list(attribution.randomised(scene.model, seed=seed + k))[-1][1] for k in range(randomised)
    ]
    maps |= {
        (f"randomised_{k + 1}", "own_neutral"): _map(explain(scene, network, CLOSER[0]))
        for k, network in enumerate(networks)
    }
    if interventions:
        maps[TRUTH] = metrics.painted(interventions)
    parts = _evidence(maps, interventions, participant)
    rows = _time_use(scene, seed) + _audit(scene, maps) + _timing(maps, interventions)
    rows += _interaction(scene, interventions)
    if closer:
        rows += _closer(scene, values, maps, seed)
    parts.append(pd.DataFrame(rows, columns=["method", "baseline", "factor", "metric", "value"]))
    found = pd.concat([p for p in parts if len(p)], ignore_index=True)
    return found.assign(participant=participant, support=found.get("support", ""))


def explain(scene: Stage, model: nn.Module, way: Sequence[str], **options: Any) -> Tensor:
    """Attributions (1, 3, T, H, W) of the clip for a model, in one way."""
    method, baseline = way
    if method == "Ablation":
        options["regions"] = torch.from_numpy(scene.regions)
    # Shuffled weights may give hardly any score; that is no reason to refuse them.
    reference = scene.reference(baseline)
    return attribution.attribute(model, scene.clip, method, reference, **options).values


def _map(values: Tensor) -> np.ndarray:
    return values.sum(dim=1).double().numpy()


def _evidence(maps, interventions, participant) -> list[pd.DataFrame]:
    if not interventions:
        return []
    everything = {(name, "none"): name for name in ("amount", "share")} | maps
    return [
        metrics.evidence(one, interventions, [participant]).assign(
            method=way[0], baseline=way[1], metric="evidence"
        )
        for way, one in everything.items()
    ]


def _timing(maps: Mapping, interventions: Sequence[metrics.Intervention]) -> list[tuple]:
    rows = [
        (*way, "pooled", "time_fidelity", float(metrics.time_fidelity(values, interventions)[0]))
        for way, values in maps.items()
        if interventions
    ]
    return rows + [
        ("model", "none", "pooled", "time_auroc", float(metrics.used_when_active(one)[0]))
        for one in interventions
        if one.factor in metrics.PLACED
    ]


def _interaction(scene: Stage, interventions: Sequence[metrics.Intervention]) -> list[tuple]:
    """How far effects, and how far shares, are from adding up to the removal of all factors."""
    placed = [one for one in interventions if one.factor in scene.only]
    if scene.oracle is None:
        return []
    whole, still = metrics.scores(scene.model, torch.cat([scene.clip, scene.oracle]))
    single, share = (
        np.array([getattr(one, name)[0] for one in placed]) for name in ("effect", "share")
    )
    found = {
        "interaction": abs(whole - still - single.sum()),
        "beyond_pairs": abs(whole - still - share.sum()),
        "single_effect": np.abs(single).mean(),
    }
    return [("model", "none", "pooled", name, float(value)) for name, value in found.items()]


def _time_use(scene: Stage, seed: int) -> list[tuple]:
    found = metrics.time_use(scene.model, scene.clip, seed=seed)
    return [("model", "none", "pooled", name, float(value[0])) for name, value in found.items()]


def _audit(scene: Stage, maps: Mapping) -> list[tuple]:
    rows = []
    for way, one in maps.items():
        if way[0].startswith("randomised") or way in (TRUTH, ("zero_map", "none")):
            continue
        for row in metrics.audit(one, scene.regions).itertuples():
            rows += [(*way, row.place, "ratio", row.ratio), (*way, row.place, "points", row.points)]
    return rows


def _closer(scene: Stage, values: Mapping, maps: Mapping, seed: int) -> list[tuple]:
    labels = metrics.blocks(scene.regions)
    rows = []
    judged = [w for w in CLOSER if w in values] + [(name, "none") for name in CONTROLS]
    for way in judged:
        reference = scene.reference("own_neutral" if way[1] == "none" else way[1])
        tested = values.get(way)
        if tested is None:
            tested = torch.from_numpy(maps[way])[:, None].expand_as(scene.clip).float() / 3
        curves = metrics.deletion_insertion(
            scene.model, scene.clip, reference, maps[way], labels, seed=seed
        )
        found = {metric: float(value[0]) for metric, value in curves.items()}
        found["infidelity"] = float(
            metrics.infidelity(scene.model, scene.clip, reference, tested, labels, seed=seed)[0]
        )
        rows += [(*way, "pooled", metric, value) for metric, value in found.items()]
    table = metrics.agreement({"/".join(way): maps[way] for way in values})
    for way in values:
        others = table.loc["/".join(way)].items()
        rows += [(*way, other, "agreement", value) for other, value in others]
    return rows + _sensitivity(scene, seed) + _cascade(scene, maps, seed)


def _sensitivity(scene: Stage, seed: int) -> list[tuple]:
    rows = []
    for method, baseline in CLOSER[:2]:
        reference = scene.reference(baseline)

        def again(noisy: Tensor, _: int, method: str = method, reference: Tensor = reference):
            return attribution.attribute(scene.model, noisy, method, reference[:1]).values

        value = metrics.sensitivity(again, scene.clip, seed=seed)
        rows.append((method, baseline, "pooled", "sensitivity", float(value[0])))
    generator = torch.Generator().manual_seed(seed)
    blind: dict[str, Callable[[Tensor, int], Tensor]] = {
        "random": lambda x, _: torch.randn(x.shape, generator=generator),
        "zero_map": lambda x, _: torch.zeros_like(x),
    }
    for name, made_up in blind.items():
        value = metrics.sensitivity(made_up, scene.clip, seed=seed)
        rows.append((name, "none", "pooled", "sensitivity", float(value[0])))
    return rows


def _cascade(scene: Stage, maps: Mapping, seed: int) -> list[tuple]:
    """Agreement of signed maps with those of the model randomised from the output down."""
    rows = []
    for layers, network in attribution.randomised(scene.model, seed=seed):
        other = _map(explain(scene, network, CLOSER[0]))
        value = metrics.rank_agreement(maps[CLOSER[0]], other)[0]
        unsigned = metrics.rank_agreement(np.abs(maps[CLOSER[0]]), np.abs(other))[0]
        rows.append((*CLOSER[0], str(layers), "randomisation", float(value)))
        rows.append((*CLOSER[0], str(layers), "randomisation_unsigned", float(unsigned)))
    return rows


def items(
    recordings: pd.DataFrame,
    folder: str | Path,
    model_of: Mapping[str, Path],
    *,
    most: int,
    length: int,
    dilation: int = 1,
    closer_every: int = 8,
    randomised: int = 0,
    **options: Any,
) -> list[store.Item]:
    """The trials of a cohort: one clip a recording, first recordings of everyone first.

    Parameters
    ----------
    recordings : pd.DataFrame
        ``participant, recording``.
    folder : path
        Of the clip archives.
    model_of : mapping
        Participant to the checkpoint that has not seen them.
    most : int
        Number of trials at most.
    length, dilation : int
        Of a clip; recordings shorter than one are passed over.
    closer_every : int
        Every how many trials one is looked at more closely.
    randomised : int
        Networks with shuffled weights in those that are.
    **options
        Of ``item``.
    """
    known = clips.archived(recordings, folder, length=length, dilation=dilation)
    known = known[known["participant"].isin(list(model_of))]
    turn = known.groupby("participant").cumcount()
    known = known.assign(turn=turn).sort_values(["turn", "recording"]).head(most)
    return [
        item(row.recording, row.archive, model_of[row.participant],
             participant=row.participant, closer=number % closer_every == 0, length=length,
             dilation=dilation,
             randomised=randomised if number % closer_every == 0 else 0, **options)
        for number, row in enumerate(known.itertuples())
    ]  # fmt: skip


def agreement_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean rank agreement of any two explanations over trials, (M, M)."""
    part = rows[rows["metric"] == "agreement"]
    part = part.assign(way=part["method"] + "/" + part["baseline"])
    order = list(dict.fromkeys(part["way"]))
    wide = part.pivot_table(index="way", columns="factor", values="value", sort=False)
    return wide.reindex(index=order, columns=order)


def read(outcomes: Iterable[store.Outcome]) -> pd.DataFrame:
    """All rows of the trials that ended well."""
    parts = [pd.read_parquet(done.path) for done in outcomes if done.error is None]
    return pd.concat(parts, ignore_index=True)


def _usual(rows: pd.DataFrame) -> pd.DataFrame:
    """Evidence of a control: the factor's amount, times what it is worth in other participants.

    It knows how the model uses a factor in general, and nothing of its use in this clip.
    """
    one = rows[(rows["metric"] == "evidence") & (rows["method"] == "amount")]
    keys = ["factor", "support"]

    def elsewhere(values: pd.Series) -> pd.Series:
        whole = values.groupby([one[key] for key in keys]).transform("sum")
        own = values.groupby([one[key] for key in (*keys, "participant")]).transform("sum")
        return whole - own

    size = elsewhere(one["amount"] ** 2)
    worth = elsewhere(one["amount"] * one["effect"]) / size.where(size > 1e-9)
    return one.assign(method="usual", network="usual", density=np.nan, said=one["amount"] * worth)


def faithfulness_table(
    rows: pd.DataFrame, *, recipe: str, draws: int = 500, seed: int = 0
) -> pd.DataFrame:
    """The book's table ``faithfulness``, from the rows of many trials.

    Returns
    -------
    pd.DataFrame
        ``recipe, method, baseline, factor, metric, support, estimate, ci_low, ci_high``; 95 %
        bootstrap over participants. The randomised networks are one method, ``randomised``.
    """
    rows = rows.assign(
        clip=rows["recording"],
        method=rows["method"].str.replace(r"_\d+$", "", regex=True),
        network=rows["method"],
    )
    if "evidence" in set(rows["metric"]):
        rows = pd.concat([rows, _usual(rows)], ignore_index=True)
    parts = []
    for (method, baseline, _), part in rows[rows["metric"] == "evidence"].groupby(
        ["method", "baseline", "network"], sort=False
    ):
        judged = metrics.judge(part, draws=draws, seed=seed)
        parts.append(judged.assign(method=method, baseline=baseline))
    keys = ["method", "baseline", "factor", "metric", "support"]
    other = rows[rows["metric"] != "evidence"].assign(support="all")
    parts.append(metrics.means(other, [*keys, "network"], draws=draws, seed=seed))
    table = pd.concat([p for p in parts if len(p)], ignore_index=True)
    # The networks without training are one row: their mean and the range of their estimates.
    blind = (
        table[table["method"] == "randomised"]
        .groupby(keys, as_index=False, sort=False)
        .agg(estimate=("estimate", "mean"), ci_low=("estimate", "min"), ci_high=("estimate", "max"))
    )
    table = pd.concat([table[table["method"] != "randomised"], blind], ignore_index=True)
    ends = ["estimate", "ci_low", "ci_high"]
    return table.assign(recipe=recipe)[["recipe", *keys, *ends]]


def time_use(
    recordings: pd.DataFrame, folder: str | Path, model_of: Mapping[str, Path], *, length: int,
    dilation: int = 1, seed: int = 0,
) -> pd.DataFrame:  # fmt: skip
    """What happens to the score when the middle clip of a recording is frozen, shuffled, reversed.

    Returns
    -------
    pd.DataFrame
        ``participant, recording, prediction, freeze, shuffle, reverse``; score points.
    """
    rows = []
    known = clips.archived(recordings, folder, length=length, dilation=dilation)
    known = known[known["participant"].isin(list(model_of))].drop_duplicates("participant")
    for one in known.itertuples():
        archive = clips.ClipArchive.load(one.archive)
        model, _ = models.load(model_of[one.participant])
        chosen = middle_clip(archive.n_frames, length, dilation)[None]
        clip = torch.from_numpy(clips.stack(archive, chosen))
        found = {k: float(v[0]) for k, v in metrics.time_use(model, clip, seed=seed).items()}
        rows.append(
            {
                "participant": one.participant,
                "recording": one.recording,
                "prediction": float(metrics.scores(model, clip)[0]),
            }
            | found
        )
    return pd.DataFrame(rows)


def cell(table: pd.DataFrame, method: str, baseline: str, metric: str, *,
         factor: str = "pooled", support: str = "changed") -> pd.Series:  # fmt: skip
    """One row of ``faithfulness``; NaN where this run did not measure it."""
    wanted = {"method": method, "baseline": baseline, "metric": metric, "factor": factor,
              "support": support}  # fmt: skip
    rows = table
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    ends = {"estimate": np.nan, "ci_low": np.nan, "ci_high": np.nan}
    return rows.iloc[0] if len(rows) else pd.Series(wanted | ends)


# What has not seen the model's answer to the clip.
BLIND = ("random", "edge", "motion", "difference", "amount", "usual")


def strongest_control(table: pd.DataFrame, metric: str, *, support: str = "changed") -> pd.Series:
    """The control with the largest |estimate|, pooled; NaN where this run has none."""
    rows = [cell(table, name, "none", metric, support=support) for name in BLIND]
    return max(rows, key=lambda row: np.nan_to_num(abs(row["estimate"]), nan=-1))


def by_factor(rows: pd.DataFrame, table: pd.DataFrame, *, method: str = "DeepLift",
              baseline: str = "own_neutral") -> pd.DataFrame:  # fmt: skip
    """One explanation factor by factor, beside how much the model uses each."""
    part = rows[(rows["metric"] == "evidence") & (rows["support"] == "changed")]
    part = part[(part["method"] == method) & (part["baseline"] == baseline)]
    columns = [
        "factor",
        "sd of effect",
        "fidelity",
        "from",
        "to",
        "on regions",
        "given amount",
        "right sign",
        "clips with effect",
    ]
    found = []
    for factor, one in part.groupby("factor", sort=False):
        get = partial(cell, table, method, baseline, factor=factor)
        fidelity = get("interventional_fidelity")
        found.append(
            [
                anatomy.FACTOR_TITLES.get(factor, factor),
                one["effect"].std(),
                *fidelity[["estimate", "ci_low", "ci_high"]],
                get("interventional_fidelity", support="region")["estimate"],
                get("fidelity_given_amount")["estimate"],
                get("sign")["estimate"],
                (one["effect"].abs() > metrics.SIGN_POINTS).mean(),
            ]
        )
    return pd.DataFrame(found, columns=columns)


def closer_table(table: pd.DataFrame) -> pd.DataFrame:
    """Deletion, insertion, infidelity and sensitivity of explanations and controls."""
    names = ["deletion", "insertion", "infidelity", "sensitivity"]
    rows = table[table["metric"].isin(names)]
    wide = rows.pivot_table(
        index=["method", "baseline"], columns="metric", values="estimate", sort=False
    )
    return wide.reindex(columns=names).reset_index().rename_axis(columns=None)


def audit_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean ratio of |attribution| to area on background and border, by explanation."""
    part = rows[(rows["metric"] == "ratio") & (rows["baseline"] != "none")]
    wide = part.pivot_table(
        index=["method", "baseline"], columns="factor", values="value", sort=False
    )
    return wide.reset_index().rename_axis(columns=None)


@dataclass(frozen=True)
class Question:
    """What an explanation may be asked: the metric that answers, its support, what it must reach.

    Where a slope is named, points said per point of truth must lie between 0.8 and 1.25.
    """

    metric: str
    support: str
    bar: float
    slope: str = ""


QUESTIONS = {
    "what taking it out does": Question(
        "interventional_fidelity", "changed", 0.9, "interventional_slope"
    ),
    "its share": Question("share_fidelity", "changed", 0.9, "share_slope"),
    # Regions hold only a part of what a factor changes, so no slope is asked there.
    "where": Question("interventional_fidelity", "region", 0.8),
    "when": Question("time_fidelity", "all", 0.8),
}
SLOPES = (0.8, 1.25)


def trust_table(table: pd.DataFrame) -> pd.DataFrame:
    """Which explanation may be believed for what: an answer to each of ``QUESTIONS``.

    "yes" where the bar is reached and the interval lies above the best control, "no" where not,
    "not measured" where this run could not ask.
    """
    ways = table[["method", "baseline"]].drop_duplicates().itertuples(index=False)
    found = []
    for method, baseline in ways:
        if baseline == "none" or method == "randomised":
            continue
        get = partial(cell, table, method, baseline)
        found.append(
            {
                "method": method,
                "reference": baseline.replace("_", " "),
                "fidelity": get("interventional_fidelity")["estimate"],
                "to shares": get("share_fidelity")["estimate"],
            }
            | {asked: _answer(table, method, baseline, one) for asked, one in QUESTIONS.items()}
            | {"can see what stands still": "yes" if baseline in ("blur", "zero") else "no"}
        )
    return pd.DataFrame(found)


def _answer(table: pd.DataFrame, method: str, baseline: str, asked: Question) -> str:
    said = cell(table, method, baseline, asked.metric, support=asked.support)
    control = abs(strongest_control(table, asked.metric, support=asked.support)["estimate"])
    if not np.isfinite([said["estimate"], control]).all():
        return "not measured"
    slope = cell(table, method, baseline, asked.slope, support=asked.support)["estimate"]
    fits = not asked.slope or SLOPES[0] <= slope <= SLOPES[1]
    return "yes" if said["estimate"] >= asked.bar and said["ci_low"] > control and fits else "no"
