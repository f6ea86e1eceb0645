"""The plan: error rate, resampling and margins, declared before the results."""

from dataclasses import dataclass, fields
from typing import Any, Self

import pandas as pd

from expresso_lib import config

# Declared before the results: what is too small to matter (mean Fisher z; correlation; slope of
# log enrichment per `Plan.step` score points: a tenth denser).
MARGIN_Z, MARGIN_RHO, MARGIN_SLOPE = 0.10, 0.30, 0.10
# The scale on which the sizes below were chosen: BDI-II, 0 to 63 points, moderate from 20 on.
SPAN, KNOT = 63.0, 20.0
# A network that says the same of every clip divides up next to nothing: below these shares of
# the scale an attribution is rounding. Between the frames of a window; over a clip's regions.
ROUNDING_WINDOW, ROUNDING_CLIP = 0.01 / SPAN, 0.1 / SPAN


@dataclass(frozen=True)
class Plan:
    """What is fixed before anyone looks at a result."""

    alpha: float = 0.05  # family-wise error rate; intervals hold 1 − alpha
    permutations: int = 9999  # sign flips or shuffles beside the data as they are
    bootstrap: int = 2000  # resamples of participants
    margin_z: float = MARGIN_Z  # a mean z closer to 0 than this does not matter
    margin_rho: float = MARGIN_RHO  # nor does a correlation closer to 0 than this
    seed: int = 0
    span: float = SPAN  # from the lowest to the highest score there can be
    knot: float = KNOT  # score at which H3b lets the slope change

    @classmethod
    def of(cls, section: Any, scale: Any = None) -> Self:
        """Take the fields from a parameter section and the sizes from the score's scale.

        Parameters
        ----------
        section : object
            Anything that has some of the fields.
        scale : ScoreScale, optional
            ``low, high, bands``; without it BDI-II. The knot is where the upper half of the
            bands begins (BDI-II 20, PHQ-9 10), the middle of the scale where there are none.

        Examples
        --------
        >>> from types import SimpleNamespace
        >>> from expresso_lib.cohort import core
        >>> plan = Plan.of(SimpleNamespace(alpha=0.01), core.PHQ_9)
        >>> plan.alpha, plan.span, plan.knot
        (0.01, 27.0, 10.0)
        """
        names = [f.name for f in fields(cls)]
        found = {name: getattr(section, name) for name in names if hasattr(section, name)}
        if scale is not None:
            middle = (scale.low + scale.high) / 2
            knot = scale.bands[len(scale.bands) // 2].low if scale.bands else middle
            found |= {"span": float(scale.high - scale.low), "knot": float(knot)}
        return cls(**found)

    @property
    def intervals(self) -> str:
        """What stands around the estimates of its tests, in words.

        >>> Plan().intervals, Plan(alpha=0.1).intervals
        ('95 % intervals', '90 % intervals')
        """
        return f"{100 * (1 - self.alpha):g} % intervals"

    @property
    def step(self) -> float:
        """Score points that slopes are given for: 10 of BDI-II, as a share of other scales."""
        return 10 * self.span / SPAN

    @property
    def point(self) -> float:
        """One point of BDI-II in points of this scale: errors closer than this do not differ."""
        return self.span / SPAN

    def within(self, asked: float = 0.0) -> float:
        """Score points that a correct prediction may be off; 0: the paper's 5 of BDI-II."""
        return asked or 5 * self.point

    @property
    def rounding_window(self) -> float:
        """Score points: least range of the attribution within a correlation window."""
        return ROUNDING_WINDOW * self.span

    @property
    def rounding_clip(self) -> float:
        """Score points: least attribution that the regions of a clip hold together."""
        return ROUNDING_CLIP * self.span


DEFAULT = Plan()


def plan_table(plan: Plan = DEFAULT) -> pd.DataFrame:
    """The declared hypotheses, as printed before the results.

    Returns
    -------
    DataFrame
        ``hypothesis, question, estimand, test, status``.
    """
    return pd.DataFrame(config.asset("plan.yaml")).map(lambda text: text.format(plan=plan))
