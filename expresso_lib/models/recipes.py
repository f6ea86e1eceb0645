"""What decides a cross-validated result, and the name it stands under in every table."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pandas as pd


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a cross-validated result; its name is the key of every table.

    Notes
    -----
    ``fit`` is ``ridge`` (frozen trunk), ``last`` or ``all`` (fine-tuned in stages). Declared:
    fine-tuned is the default unless the frozen trunk is better by .02 of r on practice people. On
    practice cohorts 500, 501, 502, 506 and 507 (84 people each, one repeat) r is .788, .739, .836,
    .752 and .745 frozen, .786, .712, .842, .683 and .733 fine-tuned: .021 better on average, so the
    frozen trunk is the default (MAE 6.12 points against 6.24; with the checkpoint before, .028 and
    6.4 against 6.7). Chapter 3 has both.
    """

    model: str = "small"
    weights: str = "facial-actions"
    input: str = "face"
    frames: int = 32
    cohort: str = "rendered"
    variant: str = "default"
    seed: int = 0
    fit: str = "ridge"
    folds: int = 5
    repeats: int = 3

    @property
    def name(self) -> str:
        """The name under which the recipe stands in every table.

        >>> Recipe(fit="all", cohort="crema-d").name
        'small-facial-actions-face-32-default-s0-all-crema-d'
        """
        parts = [self.model.replace(":", "."), self.weights, self.input, str(self.frames)]
        parts += [self.variant, f"s{self.seed}"]
        parts += [self.fit] if self.fit != "ridge" else []
        parts += [self.cohort] if self.cohort != "rendered" else []
        return "-".join(parts)

    @property
    def whole(self) -> bool:
        """Whether it can only be fine-tuned as a whole.

        Random weights have no last block to begin with; of a network of one's own nobody says
        which it is.
        """
        return self.weights in ("none", "own")

    @property
    def parts(self) -> tuple[str, ...]:
        """Parts of the network that are fitted in turn; none where its trunk is frozen.

        >>> Recipe(fit="all").parts, Recipe(fit="last", weights="none").parts, Recipe().parts
        (('last', 'all'), ('all',), ())
        """
        if self.fit != "ridge" and self.whole:
            return ("all",)
        return {"ridge": (), "last": ("last",), "all": ("last", "all")}[self.fit]


def recipes_table(recipes: Sequence[Recipe]) -> pd.DataFrame:
    """Table ``recipes``: one row per recipe."""
    rows = [{"recipe": recipe.name} | asdict(recipe) for recipe in recipes]
    return pd.DataFrame(rows).rename(columns={"folds": "n_folds", "repeats": "n_repeats"})
