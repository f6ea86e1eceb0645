"""The artefact audit: a headset that gives severity away, and who finds it.

One clip of rendered participants is shown with a headset and without it, so what a model makes of
the headset is known. Two models are asked: one as it is, and its network taught where all with a
score above the median wear one.
"""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from expresso_lib import attribution, config, models, rendered, store
from expresso_lib.faithfulness import interventions, metrics
from expresso_lib.models import small
from expresso_lib.statistics.wording import side, tell

BASELINES = ("own_neutral", "blur", "zero")
OTHERS = 1000  # added to a cohort's seed: nobody in the audit had a head fitted to them
MODELS = {"own": "this run's model", "taught": "trained with headsets"}


@dataclass(frozen=True, eq=False)
class Pairs:
    """Clips of rendered participants with a headset, and the same without it."""

    table: pd.DataFrame  # participant, recording, clip, score, headset: above the median score
    worn: Tensor  # (N, 3, T, H, W) everyone wears it
    bare: Tensor  # (N, 3, T, H, W) nobody does
    neutral: Tensor  # (N, 3, 1, H, W) own neutral frame, headset on

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> Tensor:
        return (self.worn if self.table["headset"].iat[index] else self.bare)[index]

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Self:
        """Read what `render` left of every participant."""
        files = [dict(np.load(path, allow_pickle=False)) for path in paths]
        facts = ("participant", "recording", "score")
        table = pd.DataFrame([{name: one[name].item() for name in facts} for one in files])
        worn, bare = (
            torch.from_numpy(np.stack([one[name].transpose(3, 0, 1, 2) for one in files])) / 255
            for name in ("worn", "bare")
        )
        neutral = torch.stack([clip[:, [int(one["neutral"])]] for clip, one in zip(worn, files)])
        above = table["score"] > table["score"].median()
        table = table.assign(clip=table["recording"], headset=above)
        return cls(table, worn, bare, neutral)


def items(*, participants: int, length: int, side: int, rate: float, dilation: int = 1,
          input: str = "face", seed: int = 0) -> list[store.Item]:  # fmt: skip
    """Rendered participants who are others than those of the cohort of a seed, for `render`.

    Parameters
    ----------
    participants : int
    length, side, rate : int, int, float
        T, pixels and frames per second of a clip.
    dilation : int
        Frames between frames of a clip.
    input : str
        What the model is shown: ``face`` or ``composite``.
    """
    rate = float(np.clip(rate, *interventions.RATES))
    cohort: dict[str, Any] = {"participants": participants, "recordings": 1, "fps": 2 * rate}
    cohort |= {"seed": OTHERS + seed, "seconds": (length * dilation + 1) / rate}
    plan = rendered.plan_cohort(**cohort)
    shown = {"size": side, "input": input, "render_size": interventions.render_side(side)}
    recipe = {"cohort": cohort, "length": length, "dilation": dilation, "shown": shown}
    return [store.Item(name, recipe) for name in plan.recordings["recording"]]


def render(work: store.Item, path: Path) -> None:
    """Render one participant's clip with the headset and without it (a `store.map` function)."""
    recipe = work.recipe
    plan = rendered.plan_cohort(**recipe["cohort"])
    script = replace(plan.script(work.name), headset=True)
    scripts = (script, rendered.without(script, "headset"))
    on, off = (interventions.archive_of(one, **recipe["shown"]) for one in scripts)
    rows = slice(0, recipe["length"] * recipe["dilation"], recipe["dilation"])
    people = plan.recordings.merge(plan.participants[["participant", "score"]], on="participant")
    facts = people.set_index("recording").loc[work.name, ["participant", "score"]]
    neutral = attribution.neutral_frame(on.landmarks[rows])
    np.savez(path, worn=on.frames[rows], bare=off.frames[rows], neutral=neutral,
             recording=work.name, **facts.to_dict())  # fmt: skip


def audits(
    checkpoint: Path, rendered: Iterable[store.Outcome], *, method: str = "DeepLift"
) -> list[store.Item]:
    """Both models' audits, for `audit`, explained by ``method``."""
    paths = tuple(done.path for done in rendered if done.error is None)
    return [store.Item(name, {"method": method}, (Path(checkpoint), *paths)) for name in MODELS]


def audit(work: store.Item, path: Path) -> None:
    """What one model makes of the headset (a `store.map` function): ``model`` and `said`."""
    pairs = Pairs.load(work.inputs[1:])
    own = models.load(work.inputs[0])[0].requires_grad_(False)
    model = taught(own, pairs) if work.name == "taught" else own
    found = said(model, pairs, method=work.recipe["method"])
    found.assign(model=MODELS[work.name]).to_parquet(path)


def taught(model: nn.Module, pairs: Pairs) -> nn.Module:
    """A copy of a model that was not made blind to headsets (`models.twins`).

    Its head is fitted anew where the headset gives severity away.
    """
    fresh = copy.deepcopy(model)
    for layer in fresh.modules():
        if isinstance(layer, small.Whiten):
            nn.init.eye_(layer.weight)
    scores, people = pairs.table["score"].to_numpy(float), pairs.table["participant"].to_numpy()
    head = models.fit_ridge(models.features(fresh, pairs), scores, people)
    return head.write_to(fresh).eval()


def said(model: nn.Module, pairs: Pairs, *, method: str = "DeepLift") -> pd.DataFrame:
    """What every channel puts on the headset, beside what taking it off does to the score.

    Returns
    -------
    pd.DataFrame
        ``participant, channel, value``, score points; channel ``effect`` is the truth, f(with) -
        f(without).
    """
    changed = (pairs.worn - pairs.bare).abs().amax(dim=1) > interventions.CHANGED
    worn, bare = (interventions.scores(model, one) for one in (pairs.worn, pairs.bare))
    found = {"effect": worn - bare}
    given: list[str | Tensor] = [pairs.neutral, *BASELINES[1:]]
    told = attribution.attribute_each(model, pairs.worn, method, given)
    for baseline, one in zip(BASELINES, told):
        found[baseline] = (one.values.sum(dim=1).double() * changed).sum(dim=(1, 2, 3)).numpy()
    wide = pd.DataFrame(found).assign(participant=pairs.table["participant"])
    return wide.melt("participant", var_name="channel")


def points(rows: pd.DataFrame, **options: Any) -> pd.DataFrame:
    """Mean points of every model and channel, ``points, ci_low, ci_high``, indexed by both.

    The channel ``added`` of the taught model is how much more the headset is worth to it than to
    the other, the same clips in both.
    """
    effects = rows[rows["channel"] == "effect"].set_index(["model", "participant"])["value"]
    added = (effects[MODELS["taught"]] - effects[MODELS["own"]]).reset_index()
    whole = pd.concat([rows, added.assign(model=MODELS["taught"], channel="added")])
    table = metrics.means(whole.assign(clip=whole["participant"]), ["model", "channel"], **options)
    return table.rename(columns={"estimate": "points"}).set_index(["model", "channel"])


def verdict(found: pd.DataFrame) -> str:
    """Say which channels expose the headset: its sign, and over half of the effect found.

    Parameters
    ----------
    found : pd.DataFrame
        Rows of `points` for one model, indexed by ``channel``.
    """
    way = side(found.loc["effect"])
    if not way:
        return tell("exposed.nothing")
    half = way * found.loc["effect", "points"] / 2
    exposed = (found.apply(side, axis=1) == way) & (way * found["points"] > half)
    known = [f"the {config.REFERENCES[channel]}" for channel in BASELINES if exposed[channel]]
    return tell("exposed.said", known=known) if known else tell("exposed.missed")
