"""Scores of explanations: what they say against what the model does.

`evidence` lays both side by side, one row per clip and thing asked about; `table` scores the rows
of many clips, with intervals over participants; `trust_table` turns scores into answers. A pixel
that several factors change speaks for each by how much each changes it, so that nothing is
counted twice.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats as distributions

from expresso_lib import attribution, config
from expresso_lib.faces import anatomy
from expresso_lib.faithfulness import controls, interventions
from expresso_lib.faithfulness.interventions import Effect, Scene
from expresso_lib.models import MIN_PARTICIPANTS
from expresso_lib.statistics import wording

DEFAULT = ("DeepLift", attribution.NEUTRAL)
DRAWS = 1000
# An effect below this share of the score's range has no sign worth asking for.
SIGN_SHARE = 1 / 60
ENDS = ["estimate", "ci_low", "ci_high"]
KEYS = ["method", "baseline", "factor", "metric", "support"]
COUNTS = ["n_participants", "n_clips"]
FACTS = ("effect", "share", "amount")
SUPPORTS = ("changed", "region")
TIMES = ("rendered", "frozen", "replaced")


def weights(
    effects: Sequence[Effect], *, apart: Collection[str] = ("headset",)
) -> dict[str, list[np.ndarray]]:
    """Whose pixel is whose: by support a weight (T, H, W), 0 to 1, for each effect.

    ``changed``: a pixel is parted by how much each factor's removal changes it; ``region``: a
    region by how far each of its factors has moved. Factors ``apart`` take nothing from others.
    """
    found: dict[str, list[np.ndarray]] = {}
    for support, name in (("changed", "change"), ("region", "place")):
        total = np.sum([getattr(e, name) for e in effects if e.factor not in apart], axis=0)
        found[support] = []
        for one in effects:
            value = getattr(one, name)
            whole = value if one.factor in apart else total
            part = np.divide(value, whole, where=whole > 0, out=np.zeros(value.shape))
            found[support].append(part)
    return found


def evidence(
    maps: Mapping[tuple[str, str], np.ndarray],
    scene: Scene,
    effects: Sequence[Effect],
    *,
    stretches: Mapping[str, np.ndarray] = {},
    regions: Mapping[str, float] = {},
    heads: Mapping[tuple[str, str], float] = {},
) -> pd.DataFrame:
    """What explanations say of one clip, beside what the model does.

    Parameters
    ----------
    maps : mapping
        (method, baseline) to signed attributions (T, H, W) in score points.
    effects : sequence of Effect
        Of `interventions.effects`.
    stretches, regions : mapping, optional
        Of `interventions.by_stretch` and `by_region`.
    heads : mapping, optional
        Of maps whose reference moves its head as the clip does: what they say of the head, score
        points. It has no pixels on them.

    Returns
    -------
    pd.DataFrame
        ``participant, clip, method, baseline, factor, support, said, effect, share, amount``.
        Supports ``changed`` and ``region``: a row per factor, ``said`` is the sum over the
        factor's part of the pixels. ``replaced_region``: a row per region. ``rendered, frozen,
        replaced``: a row per stretch of time (``factor`` is its number), said and effect about
        the clip's mean, so that only *when* counts.
    """
    rows: list[tuple] = []
    unknown = repeat(np.nan)

    def lay(support, names, said, done, share=unknown, amount=unknown) -> None:
        """Rows of what is said by channel, and of what is so, thing by thing."""
        for name, heard, *facts in zip(names, zip(*said.values()), done, share, amount):
            rows.extend((*channel, name, support, one, *facts) for channel, one in zip(said, heard))

    names = [one.factor for one in effects]
    done, share, amount = ([getattr(one, k) for one in effects] for k in FACTS)
    own, posed = weights(effects), weights(effects, apart=("headset", "head_motion"))
    for support in SUPPORTS:
        said = {
            channel: [
                heads[channel] if channel in heads and name == "head_motion"
                else float((one * part).sum())
                for name, part in zip(names, (posed if channel in heads else own)[support])
            ]
            for channel, one in maps.items()
        }  # fmt: skip
        said |= {("amount", "none"): amount, ("share", "none"): share}
        lay(support, names, said, done, share, amount)
    inside = [scene.regions == anatomy.REGIONS.index(name) for name in regions]
    said = {channel: [float(one[mask].sum()) for mask in inside] for channel, one in maps.items()}
    lay("replaced_region", regions, said, regions.values())
    stretch = interventions.stretch_of(len(scene.regions))
    timed = {channel: np.bincount(stretch, one.sum(axis=(1, 2))) for channel, one in maps.items()}
    if scene.activity:
        moved = np.sum([scene.activity[name] for name in interventions.PLACED], axis=0)
        timed[("amount", "none")] = np.bincount(stretch, moved)
    timed = {channel: one - one.mean() for channel, one in timed.items()}
    for truth, used in stretches.items():
        lay(truth, map(str, range(len(used))), timed, used - used.mean())
    found = pd.DataFrame(rows, columns=["method", "baseline", "factor", "support", "said", *FACTS])
    return found.assign(participant=scene.participant, clip=scene.recording)


# Scores


def _spread(draws: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sum of products about the mean, (D,), of rows (R,) that count as `draws` (D, R) say."""
    whole = draws @ (a * b)
    about = whole - (draws @ a) * (draws @ b) / np.maximum(draws.sum(axis=1), 1e-12)
    # What is constant has no spread, whatever rounding leaves of it.
    return np.where(np.abs(about) < 1e-10 * np.abs(draws @ np.abs(a * b)), 0.0, about)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, where=below > 0, out=np.full(len(below), np.nan))


def _pearson(draws: np.ndarray, said: np.ndarray, done: np.ndarray) -> np.ndarray:
    scale = _spread(draws, said, said) * _spread(draws, done, done)
    return _ratio(_spread(draws, said, done), np.sqrt(scale))


def _slope(draws: np.ndarray, said: np.ndarray, done: np.ndarray) -> np.ndarray:
    """Points said per point done."""
    return _ratio(_spread(draws, said, done), _spread(draws, done, done))


def _given_amount(draws: np.ndarray, part: pd.DataFrame) -> np.ndarray:
    """Correlation of what is left of said and effect after a line on the amount, by factor."""
    left = np.zeros((3, len(draws)))  # said with said, said with effect, effect with effect
    for factor in part["factor"].unique():
        at = (part["factor"] == factor).to_numpy()
        said, done, amount = part.loc[at, ["said", "effect", "amount"]].to_numpy(float).T
        some = draws[:, at]
        own = np.maximum(_spread(some, amount, amount), 1e-12)
        for k, (a, b) in enumerate(((said, said), (said, done), (done, done))):
            line = _spread(some, a, amount) * _spread(some, b, amount) / own
            rest = _spread(some, a, b) - line
            size = np.sqrt(_spread(some, a, a) * _spread(some, b, b))
            left[k] += np.where(np.abs(rest) < 1e-9 * size, 0.0, rest)  # rounding is no remainder
    return _ratio(left[1], np.sqrt(np.maximum(left[0] * left[2], 0)))


Judged = Iterator[tuple[str, np.ndarray, pd.DataFrame]]


def _judged(part: pd.DataFrame, support: str, draws: np.ndarray, least: float) -> Judged:
    """Metric, values (1 + D,) and the rows that count, of one explanation, support and factor."""
    said, done, share = part[["said", "effect", "share"]].to_numpy(float).T
    if support not in SUPPORTS:
        name = "time_fidelity" if support in TIMES else "removal_fidelity"
        yield name, _pearson(draws, said, done), part
        return
    ranks = distributions.rankdata(said), distributions.rankdata(done)
    yield "interventional_fidelity", _pearson(draws, said, done), part
    yield "interventional_rank", _pearson(draws, *ranks), part  # a bootstrap draw keeps the ranks
    yield "interventional_slope", _slope(draws, said, done), part
    # Both are the amount and one rate: given the amount, nothing is left of them.
    if not part["method"].isin([controls.USUAL, controls.WITH_HEAD]).any():
        yield "fidelity_given_amount", _given_amount(draws, part), part
    # An explanation that says nothing has no sign to be wrong about.
    asked = (np.abs(done) > least) & (said != 0)
    right = asked & (np.sign(said) == np.sign(done))
    yield "sign", _ratio(draws @ right, draws @ asked), part[asked]
    known = np.isfinite(share)  # shares are rendered for those looked at closely
    if known.any():
        said, share, some = said[known], share[known], draws[:, known]
        yield "share_fidelity", _pearson(some, said, share), part[known]
        yield "share_slope", _slope(some, said, share), part[known]


def _draws(people: np.ndarray, count: int) -> np.ndarray:
    """How often each row counts, (1 + D, R): once, then as whole participants are drawn."""
    names, whose = np.unique(people, return_inverse=True)
    even = np.full(len(names), 1 / len(names))
    drawn = np.random.default_rng(0).multinomial(len(names), even, count)
    return np.concatenate([np.ones((1, len(people))), drawn[:, whose]]).astype(float)


def _row(values: np.ndarray, part: pd.DataFrame, **keys: Any) -> dict:
    """Estimate, 95 % interval (from `MIN_PARTICIPANTS` people on), and who it rests on.

    Expanded percentiles (Hesterberg, 2015): as far out as Student's t asks of so few people. Of
    10 to 12, plain ones hold a mean in 90 % and a pooled correlation in 87 %; these in 93 and 92.
    """
    people = part["participant"].nunique()
    drawn = values[1:][np.isfinite(values[1:])]
    low = high = np.nan
    if people >= MIN_PARTICIPANTS and len(drawn) > 0.5 * (len(values) - 1):
        far = distributions.t.isf(0.025, people - 1) * np.sqrt(people / (people - 1))
        low, high = np.quantile(drawn, distributions.norm.cdf([-far, far]))
    return keys | {"estimate": float(values[0]), "ci_low": float(low), "ci_high": float(high),
                   "n_participants": people, "n_clips": part["clip"].nunique()}  # fmt: skip


def _groups(part: pd.DataFrame, support: str) -> dict[str, pd.DataFrame]:
    """Each factor by itself, everything but the head, and everything."""
    part = part[np.isfinite(part["said"]) & np.isfinite(part["effect"])]
    found = {"pooled": part}
    if support in SUPPORTS:
        found = {str(name): one for name, one in part.groupby("factor", sort=False)}
        found["pooled"] = part[part["factor"].isin(interventions.PLACED)]
        found["pooled_all"] = part[part["factor"] != "headset"]
    return {name: one for name, one in found.items() if len(one)}


def table(
    rows: pd.DataFrame, *, recipe: str = "", score_range: float | None = None, draws: int = DRAWS
) -> pd.DataFrame:
    """The book's table ``faithfulness``, from the rows of many trials (`trials.trial`).

    Parameters
    ----------
    rows : pd.DataFrame
        Evidence (``metric`` is "evidence") and single numbers (``value``).
    recipe : str
        The model's, a column.
    score_range : float, optional
        Highest minus lowest possible score, points: effects below 1/60 of it have no sign. Without
        it, the range of the effects.
    draws : int
        Of the bootstrap over participants.

    Returns
    -------
    pd.DataFrame
        ``recipe, method, baseline, factor, metric, support, estimate, ci_low, ci_high,
        n_participants, n_clips``. Factor ``pooled`` is everything but head motion, ``pooled_all``
        with it. No interval from fewer than 10 people. The networks with shuffled weights are one
        method, ``randomised``: mean, lowest and highest.
    """
    told = rows[rows["metric"] == "evidence"]
    if len(told):
        usual = controls.usual(told)
        told = pd.concat([told, usual, controls.with_head(usual, told)], ignore_index=True)
    reach = told["effect"].max() - told["effect"].min() if score_range is None else score_range
    least = SIGN_SHARE * float(np.nan_to_num(reach))
    found, keys = [], ["method", "baseline", "support"]
    for (method, baseline, support), part in told.groupby(keys, sort=False):
        groups = _groups(part, support)
        if method == controls.WITH_HEAD:
            groups = {"pooled_all": groups["pooled_all"]}
        for factor, one in groups.items():
            weight = _draws(one["participant"].to_numpy(), draws)
            found += [_row(values, some, method=method, baseline=baseline, factor=factor,
                           metric=metric, support=support)
                      for metric, values, some in _judged(one, support, weight, least)]  # fmt: skip
    other = rows[(rows["metric"] != "evidence") & rows["value"].notna()]
    single = means(other, KEYS[:4], draws=draws).assign(support="all")
    scored = pd.DataFrame(found, columns=[*KEYS, *ENDS, *COUNTS])
    parts = [part for part in (scored, single) if len(part)]
    whole = _one_row_for_randomised(pd.concat(parts, ignore_index=True))
    return whole.assign(recipe=recipe)[["recipe", *KEYS, *ENDS, *COUNTS]]


def less(rows: pd.DataFrame, method: str, baseline: str) -> dict:
    """By how much a reference has less fidelity than the own neutral face, the same clips in both.

    People are drawn for both at once.

    Parameters
    ----------
    rows : pd.DataFrame
        As `table` takes them; changed pixels are read, head motion is left out.
    method, baseline : str
        A channel.

    Returns
    -------
    dict
        ``estimate, ci_low, ci_high`` and who it rests on; NaN where nothing was taken out.
    """
    told = rows[(rows["metric"] == "evidence") & (rows["support"] == "changed")]
    told = told[(told["method"] == method) & told["factor"].isin(interventions.PLACED)]
    one, other = (told[told["baseline"] == name] for name in (config.NEUTRAL, baseline))
    both = one.merge(other, on=["participant", "clip", "factor"]).dropna(
        subset=["said_x", "said_y", "effect_x"]
    )
    if both.empty:
        return dict.fromkeys(ENDS, np.nan) | dict.fromkeys(COUNTS, 0)
    weight = _draws(both["participant"].to_numpy(), DRAWS)
    done, *said = both[["effect_x", "said_x", "said_y"]].to_numpy(float).T
    near, far = (_pearson(weight, one, done) for one in said)
    return _row(near - far, both)


def means(rows: pd.DataFrame, keys: Sequence[str], *, draws: int = DRAWS) -> pd.DataFrame:
    """Mean ``value`` per ``keys`` with its interval over participants, and who it rests on."""
    found = []
    for key, part in rows.groupby(list(keys), sort=False):
        weight = _draws(part["participant"].to_numpy(), draws)
        mean = _ratio(weight @ part["value"].to_numpy(float), weight.sum(axis=1))
        found.append(_row(mean, part, **dict(zip(keys, key))))
    return pd.DataFrame(found, columns=[*keys, *ENDS, *COUNTS])


def _one_row_for_randomised(found: pd.DataFrame) -> pd.DataFrame:
    shuffled = found["method"].str.startswith("randomised")
    one = found[shuffled]
    one = one.assign(method="randomised", ci_low=one["estimate"], ci_high=one["estimate"])
    how = dict(zip([*ENDS, *COUNTS], ("mean", "min", "max", "min", "min")))
    one = one.groupby(KEYS, as_index=False, sort=False).agg(how)
    return pd.concat([found[~shuffled], one], ignore_index=True)


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two arrays of the same shape; NaN where one is constant."""
    return float(_pearson(np.ones((1, a.size)), *(one.ravel().astype(float) for one in (a, b)))[0])


# Answers


@dataclass(frozen=True)
class Question:
    """What an explanation may be asked: the metric that answers, and what it must reach.

    Where a slope is named, points said per point of truth must be 0.8 to 1.25 times those of a map
    that tells the truth: parting the pixels that several factors change shrinks its slope, too.
    """

    metric: str
    support: str
    bar: float
    slope: str = ""
    factor: str = "pooled"


QUESTIONS = {
    "what taking it out does": Question("interventional_fidelity", "changed", wording.BAR,
                                        "interventional_slope"),
    "the head included": Question("interventional_fidelity", "changed", wording.WHOLE_BAR,
                                  factor="pooled_all"),
    "its share": Question("share_fidelity", "changed", 0.9, "share_slope"),
    # Regions hold only a part of what a factor changes, so no slope is asked there.
    "where": Question("interventional_fidelity", "region", wording.REGION_BAR),
    "when": Question("time_fidelity", "rendered", 0.8),
}  # fmt: skip
COUNTED = {"people": "interventional_fidelity", "people, shares": "share_fidelity"}


def cell(found: pd.DataFrame, method: str, baseline: str, metric: str, *,
         factor: str = "pooled", support: str = "changed") -> wording.Row:  # fmt: skip
    """One row of ``faithfulness``; NaN where this run did not measure it."""
    return wording.row(found, method=method, baseline=baseline, metric=metric, factor=factor,
                     support=support)  # fmt: skip


def strongest_control(found: pd.DataFrame, metric: str, **options: str) -> wording.Row:
    """The control with the largest |estimate|; NaN where this run has none.

    What has a sign already counts with it: the rate of others is lower where a person's own effect
    is high, so `controls.usual` goes against effects that are nothing but noise.
    """
    rows = []
    for name in controls.BLIND:
        row = dict(cell(found, name, "none", metric, **options))
        if name in (controls.USUAL, controls.WITH_HEAD) and row["estimate"] < 0:
            row |= {"estimate": 0.0, "ci_low": np.nan, "ci_high": np.nan}
        rows.append(row)
    return max(rows, key=lambda row: np.nan_to_num(abs(row["estimate"]), nan=-1))


def trust_table(found: pd.DataFrame) -> pd.DataFrame:
    """Which explanation may be believed for what: an answer to each of ``QUESTIONS``.

    Returns
    -------
    pd.DataFrame
        ``method, reference, fidelity, rank, to shares, time``, a column per question: "yes" where
        the bar is reached and the interval lies above the best control, "no" where not, "too few
        people" below 10, "not measured"; and ``people``, also those asked for shares.
    """
    explained = (found["baseline"] != "none") & (found["method"] != "randomised")
    channels = found.loc[explained, ["method", "baseline"]].drop_duplicates()
    rows = []
    for method, baseline in channels.itertuples(index=False):
        get = partial(cell, found, method, baseline)
        fidelity = get("interventional_fidelity")
        row = {"method": method, "reference": config.REFERENCES.get(baseline, baseline)}
        row |= {"fidelity": fidelity["estimate"], "rank": get("interventional_rank")["estimate"]}
        row["to shares"] = get("share_fidelity")["estimate"]
        row["time"] = get("time_fidelity", support="rendered")["estimate"]
        row |= {asked: _answer(found, get, one) for asked, one in QUESTIONS.items()}
        row |= {name: int(get(metric).get("n_participants", 0)) for name, metric in COUNTED.items()}
        rows.append(row)
    return pd.DataFrame(rows)


def _answer(found: pd.DataFrame, get: Callable[..., wording.Row], asked: Question) -> str:
    where = {"support": asked.support, "factor": asked.factor}
    said = get(asked.metric, **where)
    control = abs(strongest_control(found, asked.metric, **where)["estimate"])
    if not np.isfinite([said["estimate"], control]).all():
        return "not measured"
    if said["n_participants"] < MIN_PARTICIPANTS:
        return "too few people"
    reached = said["estimate"] >= asked.bar and said["ci_low"] > control
    if asked.slope:
        truth = cell(found, *controls.TRUTH, asked.slope, **where)["estimate"]
        low, high = wording.SLOPES
        reached &= low <= get(asked.slope, **where)["estimate"] / truth <= high
    return "yes" if reached else "no"


def reached(study: pd.DataFrame) -> str:
    """Say in how many of the study's cohorts the book's explanation reaches each question's bar.

    Parameters
    ----------
    study : pd.DataFrame
        ``study_faithfulness``: rows as in ``faithfulness``, with ``seed`` and ``model``.
    """
    if not len(study):
        return ""
    cohorts = [one for _, one in study[study["model"] == "default"].groupby("seed")]
    counts = []
    for name, asked in QUESTIONS.items():
        where = {"factor": asked.factor, "support": asked.support}
        found = [cell(one, *DEFAULT, asked.metric, **where)["estimate"] for one in cohorts]
        counts.append(f"{np.sum(np.array(found) >= asked.bar)} for {name}")
    return wording.tell("reached", cohorts=len(cohorts), counts=counts)


def main_channel(found: pd.DataFrame) -> tuple[str, str]:
    """The chapters' method against the own neutral face, in evidence rows or their table."""
    return wording.main_method(found), DEFAULT[1]


def by_factor(rows: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """The own neutral face's channel by factor, beside how much the model uses each.

    Returns
    -------
    pd.DataFrame
        ``factor, sd of effect, fidelity, from, to, on regions, given amount, right sign``.
    """
    part = rows[(rows["metric"] == "evidence") & (rows["support"] == "changed")]
    channel = main_channel(part)
    part = part[(part["method"] == channel[0]) & (part["baseline"] == channel[1])]
    lines = []
    for factor, one in part.groupby("factor", sort=False):
        get = partial(cell, found, *channel, factor=factor)
        title = anatomy.FACTOR_TITLES.get(factor, factor)
        line = {"factor": title, "sd of effect": one["effect"].std()}
        line |= dict(zip(("fidelity", "from", "to"), map(get("interventional_fidelity").get, ENDS)))
        line["on regions"] = get("interventional_fidelity", support="region")["estimate"]
        line["given amount"] = get("fidelity_given_amount")["estimate"]
        lines.append(line | {"right sign": get("sign")["estimate"]})
    return pd.DataFrame(lines)
