"""The plan: error rate, resampling and margins, declared before the results."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pandas as pd

# Declared before the results: what is too small to matter (mean Fisher z; correlation).
MARGIN_Z, MARGIN_RHO = 0.10, 0.30
# A network that says the same of every clip divides up next to nothing: below these sizes, in
# score points, an attribution is rounding. Between the frames of a window; over a clip's regions.
ROUNDING_WINDOW, ROUNDING_CLIP = 0.01, 0.1


@dataclass(frozen=True)
class Plan:
    """What is fixed before anyone looks at a result."""

    alpha: float = 0.05  # family-wise error rate; intervals hold 1 − alpha
    permutations: int = 9999  # sign flips or shuffles beside the data as they are
    bootstrap: int = 2000  # resamples of participants
    margin_z: float = MARGIN_Z  # a mean z closer to 0 than this does not matter
    margin_rho: float = MARGIN_RHO  # nor does a correlation closer to 0 than this
    seed: int = 0

    @classmethod
    def of(cls, section: Any) -> Plan:
        """Take the fields from anything that has them, such as a parameter section.

        Examples
        --------
        >>> from types import SimpleNamespace
        >>> Plan.of(SimpleNamespace(alpha=0.01, seed=3)).alpha
        0.01
        """
        return cls(
            **{f.name: getattr(section, f.name) for f in fields(cls) if hasattr(section, f.name)}
        )


DEFAULT = Plan()


def plan_table() -> pd.DataFrame:
    """The declared hypotheses, as printed before the results.

    Returns
    -------
    DataFrame
        ``hypothesis, question, unit and estimand, test, status``.
    """
    rows = [
        (
            "H1",
            "does an AU go with the attribution?",
            "mean participant z",
            "sign-flip max-T",
            "confirmatory",
        ),
        (
            "H2",
            "does that change with severity?",
            "rho of participant z and score",
            "max-|rho| permutation",
            "confirmatory",
        ),
        (
            "H3",
            "does a region's enrichment change with severity?",
            "partial rho given f(x) − f(x0)",
            "max-|rho| permutation, studentised",
            "confirmatory",
        ),
        (
            "H3b",
            "is the eyes' slope different above 20?",
            "slopes below and above, and their difference",
            "two-slope regression, HC2",
            "confirmatory",
        ),
        (
            "H4",
            "do bands differ?",
            "participant z by band",
            "Welch, Kruskal, Games–Howell",
            "exploratory",
        ),
        (
            "H5",
            "in this recording?",
            "mean window z of one recording",
            "circular shift, exact",
            "exploratory",
        ),
        (
            "mixed, gee",
            "does another model of the windows agree?",
            "intercept and slope of z on score",
            "mixed model, GEE; reference t",
            "exploratory",
        ),
        (
            "all but H5",
            "what is passed over as rounding?",
            f"windows whose attribution ranges over less than {ROUNDING_WINDOW:g} points; H3: "
            f"participants whose clips' regions hold less than {ROUNDING_CLIP:g} points",
            "none: counted, left out",
            "rule",
        ),
    ]
    return pd.DataFrame(rows, columns=["hypothesis", "question", "estimand", "test", "status"])
