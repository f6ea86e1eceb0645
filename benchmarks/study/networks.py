"""Which explanation of which network may be believed, on practice cohorts that no chapter uses.

Every network is as little prepared as one that somebody brings: its trunk as it is (pre-trained
on actions, or random), a ridge head fitted to rendered people. References and methods are
compared here, and the book's default is chosen here; the book's cohort is looked at afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from expresso_lib import clips, faithfulness, models, rendered, store
from expresso_lib.faithfulness import interventions, trials

# Added to a study's seed: cohorts of people to test explanations on, and to fit heads to.
TESTED, FITTED = 500, 700
PEOPLE = 12
FRAMES = 16  # of a clip: what torchvision's video networks were made for
NETWORKS = {
    "ours": ("small", "facial-actions"),
    "ours, random": ("small", "none"),
    "R3D-18, random": ("r3d_18", "none"),
    "R(2+1)D-18, random": ("r2plus1d_18", "none"),
    "Swin3D-T, random": ("swin3d_t", "none"),
}
# The first ones, a pass or two each, are also asked of the network with shuffled weights.
QUICK = (*trials.CHANNELS, ("DeepLift", "calm_mean"))
CHANNELS = (*QUICK, *trials.SLOW_CHANNELS)
NUMBERS = ("agreement", "completeness", "removal", "stretches", "randomisation")


@dataclass(frozen=True, eq=False)
class Few:
    """A handful of clips with their scores, as `models.features` takes them."""

    table: pd.DataFrame  # participant, score
    shown: list[Tensor]  # (3, T, H, W)

    def __len__(self) -> int:
        return len(self.shown)

    def __getitem__(self, index: int) -> Tensor:
        return self.shown[index]


def practice_clips(seed: int, *, people: int, frames: int, size: int, rate: float) -> Few:
    """Every clip of rendered people, one short recording of each."""
    plan = rendered.plan_cohort(people, 1, 2 * frames / rate, fps=2 * rate, seed=seed)
    score = plan.participants.set_index("participant")["score"]
    rows, shown = [], []
    for one in plan.recordings.itertuples():
        archive = interventions.archive_of(plan.script(one.recording), size=size)
        for clip in clips.stack(archive, clips.windows(archive.n_frames, frames)):
            rows.append({"participant": one.participant, "score": float(score[one.participant])})
            shown.append(torch.from_numpy(clip))
    return Few(pd.DataFrame(rows), shown)


def fitted(name: str, weights: str, few: Few, *, frames: int, size: int, seed: int) -> nn.Module:
    """A network as it is, with a ridge head fitted to a few people."""
    model = models.build(name, weights=weights, frames=frames, size=size, seed=seed)
    model = model.eval().requires_grad_(False)
    score, people = few.table["score"].to_numpy(), few.table["participant"].to_numpy()
    models.fit_ridge(models.features(model, few), score, people).write_to(model)
    return model


def network_table(
    design: Any, seeds: Sequence[int], *, networks: Mapping[str, tuple[str, str]] = NETWORKS
) -> pd.DataFrame:
    """Networks × methods: what each explanation is believed for, beside what needs no truth.

    Every network of every cohort is a piece of work of its own, kept when it is done.

    Returns
    -------
    pd.DataFrame
        ``seed, network``, then the columns of `faithfulness.indicators`.
    """
    size, rate = design.shape.size, design.shape.rate
    items = [
        store.Item(
            f"{name}-{weights}-s{seed}",
            {"size": size, "rate": rate, "people": PEOPLE, "frames": FRAMES, "channels": CHANNELS,
             "seed": seed, "name": name, "weights": weights, "network": title},
            () if weights == "none" else (models.shipped(),),
        )
        for seed in seeds
        for title, (name, weights) in networks.items()
    ]  # fmt: skip
    done = store.map(examine_item, items, out=design.root / "networks", suffix=".parquet",
                     executor=design.executor, describe="networks")  # fmt: skip
    return pd.concat([pd.read_parquet(one.path) for one in done], ignore_index=True)


def examine_item(item: store.Item, path: Path) -> None:
    """Explain rendered people, one network by every channel (a `store.map` function)."""
    asked = item.recipe
    seed, shape = asked["seed"], {name: asked[name] for name in ("frames", "size", "rate")}
    scenes = faithfulness.rendered_scenes(asked["people"], seed=TESTED + seed, shares=True, **shape)
    few = practice_clips(FITTED + seed, people=asked["people"], **shape)
    model = fitted(asked["name"], asked["weights"], few, frames=asked["frames"],
                   size=asked["size"], seed=seed)  # fmt: skip
    rows = faithfulness.examine(
        model, scenes, asked["channels"], closer=True, depths=[-1], compared=len(QUICK)
    )
    found = faithfulness.indicators(faithfulness.table(rows))
    found.insert(0, "network", asked["network"])
    found.insert(0, "seed", str(seed))
    found.to_parquet(path, index=False)


def predictors(table: pd.DataFrame, *, draws: int = 1000, seed: int = 0) -> pd.DataFrame:
    """How well what needs no truth predicts the fidelity, over all explanations of the study.

    Parameters
    ----------
    table : pd.DataFrame
        Of `network_table`.

    Returns
    -------
    pd.DataFrame
        ``number, rho`` (Spearman with ``fidelity``), ``ci_low, ci_high`` (95 % for all `NUMBERS`
        at once, Bonferroni, by bootstrap over networks with all that was asked of each in every
        cohort; NaN below ten of them), ``explanations, units`` (networks).
    """
    rng = np.random.default_rng(seed)
    rows, table = [], table[table["baseline"] != "oracle_neutral"]  # needs the renderer
    for number in NUMBERS:
        part = table[[number, "fidelity", "seed", "network"]].dropna()
        # A network in another cohort is the same network: it has the same habits there.
        units = [one for _, one in part.groupby("network")]
        drawn = [
            pd.concat([units[k] for k in rng.integers(len(units), size=len(units))])
            for _ in range(draws if len(units) >= models.MIN_PARTICIPANTS else 0)
        ]
        spread = [one[number].corr(one["fidelity"], method="spearman") for one in drawn]
        tail = 0.025 / len(NUMBERS)
        low, high = np.nanquantile(spread, [tail, 1 - tail]) if spread else (np.nan, np.nan)
        rho = part[number].corr(part["fidelity"], method="spearman")
        rows.append({"number": number, "rho": rho, "ci_low": low, "ci_high": high,
                     "explanations": len(part), "units": len(units)})  # fmt: skip
    return pd.DataFrame(rows)
