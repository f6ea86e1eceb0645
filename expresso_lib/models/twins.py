"""Twins: the same movements by two people; what differs between them is no movement.

A cohort of 84 people is too small to tell severity from faces: a head fitted to it reads, among
other things, who it was that scored high. Rendered people who move alike show what another face,
another room and a headset do to a network's features, and nothing of any score. So the features
are whitened by it (`small.Whiten`) before a head is fitted.

With a checkpoint of 1,200 practice people, on practice cohorts 501, 502 and 503 (84 people each,
three repeats), r rose from .71, .82 and .52 to .73, .83 and .59; what a headset is worth to a model
that never saw one went from -2.8, -5.2 and 5.7 points to -.5, -.5 and .6. Tried there, too: 5 to 40
directions taken out whole (mean r .68 to .72), strengths of 1 to 100 (.70 to .72), the headset
counted ten times (.71), twins who differ in face, room and headset at once (.72, headsets to 1.2
points). On 500, 506 and 507, which took no part in this choice, r rose from .69, .69 and .72 to
.72, .72 and .75; whitening by how each participant's own clips differ, too, added .01 and cost .1
points, favouring directions that tell movements lost .02. The image networks gain as well, by twins
of their own (mean .24 to .27; with standard deviations .48 to .51), and so do random weights (.19
to .28), which ship without any. The published cohorts, looked at once, gained nothing in r (mean of
five .699 before and .701 after); what they gained is the headset.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from expresso_lib import store
from expresso_lib.models.practice import Practice, crops
from expresso_lib.rendered import actions

# How much the features are shrunk along a direction in which twins differ as they do on average.
STRENGTH = 10.0


def render(practice: Practice, folder: Path, *, executor: Executor | None = None) -> list[Path]:
    """Render twins who are not practised on, a file for each; finished files are kept."""
    recipe = {name: getattr(practice, name) for name in ("window", "size", "render_size")}
    first = practice.first + practice.people
    items = [
        store.Item(f"twins_{who:07d}", recipe | {"person": who}, payload=(practice, who))
        for who in range(first, first + practice.twins)
    ]
    how = {"executor": executor, "describe": "twins"}
    return [done.path for done in store.map(render_item, items, out=folder, **how)]


def render_item(item: store.Item, path: Path) -> None:
    """Render `actions.twins` (a `store.map` function): ``frames`` (3, T, S, S, 3)."""
    practice, person = item.payload
    scripts = actions.twins(person, practice.window)
    np.savez(path, frames=np.stack([crops(script, practice)[0] for script in scripts]))


def features(model: nn.Module, paths: Sequence[Path]) -> Tensor:
    """What a head would read of each, float64 (K, 3, D): bare, with headset, somebody else."""
    found = []
    with torch.inference_mode():
        for path in paths:
            frames = torch.from_numpy(store.read_arrays(path)["frames"])
            found.append(model.features(frames.permute(0, 4, 1, 2, 3).float() / 255))
    return torch.stack(found).double()


def whitening(twins: Tensor) -> Tensor:
    """Return what the features (N, D) are multiplied by, float32 (D, D).

    (1 + STRENGTH S / mean eigenvalue of S) to the power of -1/2, S the second moment of what
    another person and what a headset change.

    Parameters
    ----------
    twins : Tensor
        `features`, (K, 3, D).
    """
    apart = (twins[:, 1:] - twins[:, :-1]).flatten(0, 1)
    sizes, directions = torch.linalg.eigh(apart.T @ apart / len(apart))
    shrunk = (1 + STRENGTH * sizes.clamp(min=0) / sizes.mean()) ** -0.5
    return (directions * shrunk @ directions.T).float()


def share_apart(twins: Tensor) -> float:
    """Share of the features' variance that lies between those who move alike, 0 to 1."""
    return float(twins.var(1).sum(1).mean() / twins.flatten(0, 1).var(0).sum())
