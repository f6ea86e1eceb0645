"""Sentences of the chapters that hang on a number: true for wins, losses, ties and no number.

Each takes a number or a row with ``estimate, ci_low, ci_high`` and returns words; what is computed
here are counts and means of what a table holds, and how sure such a mean is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from expresso_lib.config import CONTROLS, NEUTRAL, REFERENCES
from expresso_lib.models import MIN_PARTICIPANTS
from expresso_lib.statistics.intervals import mean_interval
from expresso_lib.statistics.plan import Plan
from expresso_lib.statistics.power import SPREAD_Z, detectable, equivalence_power

Row = Mapping[str, Any]
MISSING = "not measured"
ENDS = ("estimate", "ci_low", "ci_high")
# What an explanation has to reach against removals, on regions of real faces, with head motion.
BAR, REGION_BAR, WHOLE_BAR = 0.9, 0.8, 0.8
POOLED = {"metric": "interventional_fidelity", "factor": "pooled", "support": "changed"}


def say(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """Write a number with a true minus, never −0; ``not measured`` where there is none.

    >>> say(-0.004), say(float("nan")), say(1.26, 1, signed=True)
    ('0.00', 'not measured', '+1.3')
    """
    if not np.isfinite(value):
        return MISSING
    return f"{value:{'+' if signed else ''}z.{digits}f}".replace("-", "−")


def chance(p: float) -> str:
    """Write a p, which is never 0.

    >>> chance(0.012), chance(0.0001), chance(float("nan"))
    ('p = 0.012', 'p < 0.001', 'p not measured')
    """
    if 0 <= p < 0.0005:
        return "p < 0.001"
    return f"p = {say(p, 3)}" if np.isfinite(p) else f"p {MISSING}"


def percent(share: float, digits: int = 1) -> str:
    """Write a share as a percentage: 100 only where it is all, 0 only where it is none.

    >>> percent(0.99997), percent(1.0), percent(0.00001, 0)
    ('99.9', '100.0', '1')
    """
    step = 10.0**-digits
    inside = 0 < share < 1
    return say(np.clip(100 * share, step, 100 - step) if inside else 100 * share, digits)


def flat(text: str) -> str:
    '''Put a sentence that is written over several lines on one.

    >>> flat("""One thought,
    ...     one sentence.""")
    'One thought, one sentence.'
    '''
    return re.sub(r"\s*\n\s*", " ", text)


def interval(row: Row, digits: int = 2) -> str:
    """Write an estimate with its 95 % interval, as far as there is one.

    A limit beside 0 gets up to two digits more, for whether 0 lies inside is what is read.

    >>> interval({"estimate": 0.5, "ci_low": -0.1, "ci_high": 0.9})
    '0.50 [−0.10, 0.90]'
    >>> interval({"estimate": 0.5, "ci_low": float("nan"), "ci_high": float("nan")})
    '0.50'
    >>> interval({"estimate": 0.5, "ci_low": 0.004, "ci_high": 0.9})
    '0.50 [0.004, 0.90]'
    """
    ends = [_limit(row.get(key, np.nan), digits) for key in ("ci_low", "ci_high")]
    known = MISSING not in ends and np.isfinite(row["estimate"])
    return say(row["estimate"], digits) + (f" [{ends[0]}, {ends[1]}]" if known else "")


def _limit(value: float, digits: int) -> str:
    near = np.isfinite(value) and value != 0
    more = [k for k in (0, 1, 2) if near and round(float(value), digits + k) != 0]
    return say(value, digits + (more or [0])[0])


def side(row: Row) -> int:
    """Return the side of 0 that an interval lies on; 0 where it holds 0 or is not known."""
    return int(row["ci_low"] > 0) - int(row["ci_high"] < 0)


def by_side(row: Row, below: str, above: str, undecided: str) -> str:
    """Choose words by the side of 0 that an interval lies on."""
    return {-1: below, 1: above, 0: undecided}[side(row)]


def _without_sign(row: Row) -> Row:
    """The size of a difference whose interval lies on one side of 0."""
    low, high = sorted(abs(float(row[key])) for key in ENDS[1:])
    return {"estimate": abs(float(row["estimate"])), "ci_low": low, "ci_high": high}


def plain(name: Any) -> str:
    """Write the name of a region as words."""
    return str(name).replace("_", " ")


def comparison(row: Row, other: str, *, margin: float = 0.0) -> str:
    """Say which errs less, from the error of the video model minus that of another.

    An interval that holds 0 and lies within the margin (points) says that neither does.

    >>> comparison({"estimate": -2.0, "ci_low": -3.0, "ci_high": -1.0}, "the image model")
    'The video model errs 2.0 points less than the image model (95 % interval 1.0 to 3.0)'
    >>> comparison({"estimate": -2.0, "ci_low": -5.0, "ci_high": 1.0}, "the mean")
    'Which errs less, the video model or the mean, is undecided (in points: −2.0 [−5.0, 1.0])'
    >>> comparison({"estimate": 0.1, "ci_low": -0.4, "ci_high": 0.6}, "the mean", margin=1.0)
    'The video model and the mean err alike, within 1.0 points (difference 0.1 [−0.4, 0.6])'
    """
    if not side(row):
        if margin and max(-row["ci_low"], row["ci_high"]) <= margin:
            return flat(f"""The video model and {other} err alike, within {say(margin, 1)} points
                (difference {interval(row, 1)})""")
        return flat(f"""Which errs less, the video model or {other}, is undecided (in points:
            {interval(row, 1)})""")
    size = _without_sign(row)
    low, high = (_limit(size[key], 1) for key in ENDS[1:])
    return flat(f"""The video model errs {say(size["estimate"], 1)} points
        {by_side(row, "less", "more", "")} than {other} (95 % interval {low} to {high})""")


def listed(names: Iterable[str], *, none: str = "none") -> str:
    """Write names as a list in words.

    >>> listed(["a"]), listed(["a", "b", "c"]), listed([])
    ('a', 'a, b and c', 'none')
    """
    known = [plain(name) for name in names]
    if len(known) < 2:
        return known[0] if known else none
    return f"{', '.join(known[:-1])} and {known[-1]}"


def reach(n: int, family: int = 17) -> str:
    """Say which effects so many participants find in four of five cohorts.

    >>> reach(3)
    'Of 3 participants no test of this book can be asked: ten are the least.'
    """
    if n < MIN_PARTICIPANTS:
        return f"Of {n} participants no test of this book can be asked: ten are the least."
    one, many = (say(detectable(n, kind="severity", family=k)) for k in (1, family))
    return flat(f"""With {n} participants one correlation with severity is found in four of five
        such cohorts if it is {one}, and if {family} movements are asked about together, {many}
        (tests at 5 %); what is smaller is missed more often.""")


def who(participants: Any, recordings: Any, *, scale: Any, demo: bool) -> str:
    """Say who is analysed: how many, how severe, rendered or filmed.

    Parameters
    ----------
    participants, recordings : DataFrame
        Tables of these names.
    scale : cohort.Scale
        Its title names the score.
    demo : bool
        Whether the participants are rendered.
    """
    kind, scores = "rendered participants" if demo else "participants", participants["score"]
    return flat(f"""{len(participants)} {kind} with {len(recordings)} recordings; their scores
        ({scale.title}) run from {scores.min():g} to {scores.max():g}.""")


def planted(table: Any) -> str:
    """Say how much of what is planted is tempo, on a log scale.

    Parameters
    ----------
    table : DataFrame
        `rendered.Plan.planted`.
    """
    signal = table[table["carries_signal"]].drop_duplicates("behaviour")
    if signal.empty:
        return "Nothing is planted in these participants: severity changes no movement."
    share = signal.loc[signal["kind"] == "tempo", "weight"].sum() / signal["weight"].sum()
    return flat(f"""{len(signal)} behaviours change with severity. {say(100 * share, 0)} % of the
        change, on a log scale, is tempo: how fast things happen, and in which order, while every
        movement is seen in as many frames as before.""")


def tracked(report: Any) -> str:
    """Say how many recordings pass and in how many frames a face was found.

    Parameters
    ----------
    report : DataFrame
        Table ``quality``: ``passed`` and ``found``, a share.
    """
    passed, total, share = int(report["passed"].sum()), len(report), report["found"]
    some = f"{passed} of {total} recordings pass, the others are left out by name"
    return flat(f"""{f"All {total} recordings pass" if passed == total else some}: in the median
        recording the face was found in {percent(share.median())} % of frames, in the worst in
        {percent(share.min())} %.""")


def clips(table: Any, recordings: Any, *, frames: int, fps: float) -> str:
    """Say how many clips of how many seconds the recordings give, and who has none.

    Parameters
    ----------
    table : DataFrame
        Table ``clips``, a row per clip.
    recordings : DataFrame
        ``participant, recording`` of all that were to be cut.
    frames : int
        Frames per clip.
    fps : float
        Frames per second of the clips.
    """
    each = len(table) / max(table["recording"].nunique(), 1)
    said = flat(f"""The recordings give {len(table)} clips of {frames} frames or
        {say(frames / fps, 1)} seconds, {say(each, 1).removesuffix(".0")} to a recording.""")
    short = len(recordings) - recordings["recording"].isin(table["recording"]).sum()
    if not short:
        return said
    people = set(recordings["participant"])
    lost = len(people - set(table["participant"]))
    with_them = f", and with them {lost} of {len(people)} participants" if lost else ""
    return flat(f"""{said} {short} of {len(recordings)} recordings are shorter than a clip and take
        no part{with_them}.""")


def steadiness(effect: Any, agreement: Any) -> str:
    """Say how much landmarks tremble and how many proxies can be used.

    Parameters
    ----------
    effect : DataFrame
        ``before``: jitter of every recording, outer-eye distances.
    agreement : DataFrame
        ``r`` of every proxy with its action unit; empty where no exact ones are known.
    """
    good = int((agreement["r"] > 0.7).sum()) if len(agreement) else 0
    follow = f"; {good} of {len(agreement)} proxies follow their action unit with r above .70"
    return flat(f"""In the median recording landmarks tremble by
        {say(100 * effect["before"].median())} % of the outer-eye
        distance{follow if len(agreement) else ""}.""")


def smoothing(effect: Any, *, milliseconds: float) -> str:
    """Say what smoothing does to the jitter ``before`` and ``after``."""
    before, after = (100 * effect[name].median() for name in ("before", "after"))
    return flat(f"""Smoothing with a standard deviation of {say(milliseconds, 0)} ms takes the
        median jitter from {say(before)} % to {say(after)} % of the outer-eye distance.""")


def index_error(errors: Any) -> str:
    """Say how far boxes are off that are read through 0/1 flags, ``by_flag``, or ``by_position``.

    Both are in outer-eye distances; ``found`` says where there was a face.
    """
    flag, position = 100 * errors["by_flag"], 100 * errors["by_position"]
    if flag.isna().all():
        return "Row 1 of this recording was itself lost: how far boxes are shifted cannot be said."
    return flat(f"""Read through 0/1 flags, the boxes are shifted by {say(flag.median(), 0)} % of
        the outer-eye distance in the median frame and by {say(flag.max(), 0)} % at worst; with
        {int((~errors["found"]).sum())} lost frames, reading on by position is off by at most
        {say(position.max(), 0)} %.""")


def row(table: Any, **where: Any) -> Row:
    """Return the first row of a table that fits, or one without numbers.

    >>> import pandas as pd
    >>> row(pd.DataFrame({"metric": ["mae"], "estimate": [1.0]}), metric="r")["estimate"]
    nan
    """
    table = fitting(table, **where)
    return dict.fromkeys(ENDS, np.nan) if table.empty else table.iloc[0]


def fitting(table: Any, **where: Any) -> Any:
    """Return the rows whose columns have these values, each one value or one of a list."""
    for column, value in where.items():
        values = value if isinstance(value, list) else [value]
        table = table[table[column].isin(values)] if column in table else table.iloc[:0]
    return table


def against(differences: Any, other: str = "null", **recipe: str) -> Row:
    """Return by how much a recipe errs more than another, from table ``model_differences``."""
    return row(differences, recipe_b=other, level="participant", metric="mae", **recipe)


def model_reads(scores: Any, differences: Any, recipe: str) -> str:
    """Say whether a model is shown to read the score, and how well.

    Parameters
    ----------
    scores, differences : DataFrame
        Tables ``model_scores`` and ``model_differences``.
    recipe : str
        The model's.
    """
    own, null = (row(scores, recipe=one, level="participant", metric="mae")["estimate"]
                 for one in (recipe, "null"))  # fmt: skip
    gain = against(differences, recipe_a=recipe)
    said = comparison(gain, "always answering the mean")
    if np.isfinite([own, null]).all():
        said += f": {say(own, 1)} against {say(null, 1)} points, mean absolute error"
    verdict = by_side(gain, "reads something of the score", "does worse than knowing nothing",
                      "is not shown to read the score")  # fmt: skip
    r = row(scores, recipe=recipe, level="participant", metric="pearson")
    return flat(f"""{said}. So it {verdict}; predictions and scores correlate at r =
        {interval(r)}.""")


def model_against(differences: Any, recipe: str, other: str, name: str, *, scale: Any) -> str:
    """Say which errs less on the same participants, a recipe or another one of that name.

    Parameters
    ----------
    differences : DataFrame
        Table ``model_differences``.
    recipe, other, name : str
        Names of the recipes, and what a reader calls the other.
    scale : cohort.Scale
        Errors that differ by less than a point of BDI-II, as a share of it, are alike.
    """
    margin = Plan.of(None, scale).point
    return f"{comparison(against(differences, other, recipe_a=recipe), name, margin=margin)}."


def fitted(fit: str) -> str:
    """Say what of a network was fitted to scores."""
    if fit == "ridge":
        return flat("""Only the coloured step is fitted to scores; everything before it is frozen
            as it was pre-trained. It had been declared that the whole network is fitted, unless
            the frozen one is better by .02 of r on practice cohorts (other rendered people). On
            five of them it was, barely: by .021 on average, from −.006 to .069.""")
    if fit == "last":
        return "The last layers and the head are fitted to scores; what comes before is frozen."
    return "The whole network is fitted to scores, from its pre-trained weights."


# Above these a kind counts as recognised: an area under the ROC curve, and twice r over frames.
RECOGNISED = {"actions": 0.8, "action_units": 0.5, "pose": 0.5}


def recognised(table: Any) -> str:
    """Say what a pre-trained network recognises in people that it did not learn from.

    Parameters
    ----------
    table : DataFrame
        `models.pretraining.recognised`: ``kind, unseen, gap``; empty: other weights.
    """
    if not len(table) or table["unseen"].isna().all():
        return "What its first weights recognise was not measured."
    known = table.dropna(subset="unseen")
    unseen = {kind: known.loc[known["kind"] == kind, "unseen"] for kind in RECOGNISED}
    counts = {kind: f"{(unseen[kind] > bar).sum()} of {len(unseen[kind])}"
              for kind, bar in RECOGNISED.items()}  # fmt: skip
    more = "somewhat better" if known["gap"].median() >= 0.005 else "no better"
    return flat(f"""Its first weights were tried on rendered people from whom they had not learned:
        {counts["actions"]} actions, such as a nod or a quick smile, are recognised (area under the
        ROC curve above .80), {counts["action_units"]} action units are followed (r above .50) and
        {counts["pose"]} turns of head and eyes are followed (r above .50); people from whom they
        had learned are read {more}.""")


def twins(apart: Mapping[str, float]) -> str:
    """Say what twins are, how much of the features lies between them, and what is left of it.

    Parameters
    ----------
    apart : mapping
        ``before`` and ``after``, shares of variance (`models.pretraining.apart`); empty: other
        weights.
    """
    if not apart:
        return ""
    before, after = (f"{100 * apart[name]:.0f} %" for name in ("before", "after"))
    return flat(f"""Whose face it is does not matter here. So the network was shown twins: the
        same movements on two rendered faces, and with a headset (as some wear in the paper's data)
        and without. {before} of the variance of its features came from face or headset instead of
        the movement; directions in which twins differ were shrunk until {after} were left. The last
        layer, fitted to so few people, can then learn less of a face by heart.""")


def calibrated(errors: Any) -> str:
    """Say how far predictions follow the scores: the slope, and the errors of the outer bands.

    Parameters
    ----------
    errors : models.Errors
    """
    if not np.isfinite(errors.slope):
        return "Whether the predictions follow the score cannot be said: the scores do not vary."
    low, high = (say(errors.by_band["error"].iloc[end], 1, signed=True) for end in (0, -1))
    words = ("run against the score", "carry next to nothing of the score",
             "follow the score and are drawn to the middle", "follow the score",
             "follow the score and overdo it")  # fmt: skip
    follow = words[np.searchsorted([-0.15, 0.15, 0.85, 1.15], errors.slope)]
    bands = f"lowest band is off by {low} points in the mean, the highest by {high}"
    if len(errors.by_band) == 1:
        bands = f"one band that there is is off by {low} points in the mean"
    return flat(f"""The predictions {follow} (slope {say(errors.slope)}; 1 follows, 0 ignores). The
        {bands}.""")


def one_person(conformal: Mapping[str, float], scale: Any) -> str:
    """Say what a cross-conformal interval is good for, for one person on a scale."""
    width, span = 2 * conformal["half_width"], scale.high - scale.low
    if not np.isfinite(width):
        return "So few people were tested that no interval can be given for one person."
    much = "nothing" if width > span / 4 else "little"
    decides = f"On a scale of {say(span, 0)} points that decides {much}." * (width > span / 10)
    return flat(f"""What it says of one person carries an interval {say(width, 0)} points wide, the
        prediction in its middle, cut off at the ends of the scale; in
        {say(100 * conformal["level"], 0)} % of recordings of new people like these, all scores
        counted together, the person's score lies inside it. {decides}""")


def not_patients(*, demo: bool) -> str:
    """Say whose scores were read."""
    if demo:
        return ("The participants are rendered and their score is planted: that a model reads it "
                "shows that the tools work, and nothing about depression.")  # fmt: skip
    return ("A correlation with the score is no diagnosis, and says nothing of people who were "
            "recruited in another way.")  # fmt: skip


def main_method(table: Any) -> str:
    """The chapters' method in ``faithfulness``: DeepLift, or what a run has in its place."""
    known = set(table.loc[table["baseline"] == NEUTRAL, "method"]) if len(table) else set()
    return "DeepLift" if "DeepLift" in known or not known else "IntegratedGradients"


def _fidelity(table: Any, baseline: str, **where: Any) -> Row:
    return row(table, **{"method": main_method(table), "baseline": baseline, **POOLED, **where})


def _digits(value: float, bar: float) -> int:
    """Digits of a fidelity: what lies below the bar is not rounded onto it."""
    return next((k for k in range(2, 6) if value >= bar or say(value, k) != say(bar, k)), 6)


def _agreement(own: Row, bar: float) -> str:
    return interval(own, _digits(own["estimate"], bar))


def trust(table: Any, control: Row) -> str:
    """Say whether explanations against the own neutral face are true of what removals do.

    Parameters
    ----------
    table : DataFrame
        Table ``faithfulness``.
    control : row
        Of `faithfulness.strongest_control`; its size counts.
    """
    own, blind = _fidelity(table, NEUTRAL), abs(float(control["estimate"]))
    if not np.isfinite(own["estimate"]):
        return flat("""Nothing in this run can be taken out of a face, so whether its explanations
            are true is not known; chapter 8 asks what can be asked of real recordings.""")
    if not np.isfinite(own["ci_low"]):
        verdict = "Too few people were looked at for a verdict"
    elif not own["ci_low"] > blind:
        verdict = "That is not shown: a control may know as much"
    elif own["estimate"] < BAR:
        verdict = "In part: better than every control, below the bar that was declared"
    else:
        verdict = flat("""Yes, as far as removals can tell, and by the rule that was declared (above
            the bar, its interval above every control)""")
        if own["ci_low"] < BAR:
            verdict += "; the interval holds the bar, so in people in general it may lie below"
    whole = _fidelity(table, NEUTRAL, factor="pooled_all")
    name = CONTROLS.get(str(control.get("method", "")), "unnamed")
    beside = "No control was measured."
    if np.isfinite(blind):
        beside = flat(f"""Of the controls, which have not seen what the model makes of the clip, the
            strongest is "{name}" with {interval(control)}.""")
    return flat(f"""{verdict}. What {main_method(table)} says against the person's own neutral face
        agrees with what taking a movement out does to the prediction at r =
        {_agreement(own, BAR)} (declared bar {say(BAR)}; motion of the head left out, with it
        {interval(whole)}, declared bar {say(WHOLE_BAR)}). {beside}""")


def _less(difference: Row) -> str:
    """Say how much less a fidelity is than that of the own neutral face, the same clips in both."""
    if not np.isfinite(difference["estimate"]):
        return ""
    if not side(difference):
        return f", not shown to be less than the own neutral face's (by {interval(difference)})"
    word = by_side(difference, "more", "less", "")
    return f", {interval(_without_sign(difference))} {word} than with the own neutral face"


def black(table: Any, difference: Row) -> str:
    """Say how far the paper's black reference agrees with what removals do.

    Parameters
    ----------
    table : DataFrame
        Table ``faithfulness``.
    difference : row
        `faithfulness.metrics.less`: what it has less than the own neutral face.
    """
    return flat(f"""With the black reference, the paper's, the agreement is
        {interval(_fidelity(table, "zero"))}{_less(difference)}.""")


def held_still(table: Any, difference: Row) -> str:
    """Say what the agreement is where the calm frame does not turn as the head does; as `black`."""
    return flat(f"""With the calm frame held still, whatever the head does, it is
        {interval(_fidelity(table, "own_neutral"))}{_less(difference)}.""")


def head_motion(table: Any) -> str:
    """Say how the explanation does on the motion of the head, which has no region of its own."""
    head = _fidelity(table, NEUTRAL, factor="head_motion")
    if not np.isfinite(head["estimate"]):
        return "Head motion was not taken out in this run."
    word = by_side(head, "has its sign turned", "knows something of it",
                   "is not shown to know anything of it")  # fmt: skip
    return flat(f"""The head has no region of its own: what the own neutral face scores when it
        moves as the head does, beside what it scores when held still, goes with what holding the
        head still does at {interval(head)}; the explanation {word}.""")


def removals(clips: int, rows: Any) -> str:
    """Say on how many clips of how many participants the removals rest."""
    return f"{clips} clips of {rows['participant'].nunique()} participants were looked at."


def headset(own: Any, taught: Any) -> str:
    """Say what a headset is worth to a run's model, and to one that was taught with headsets.

    Parameters
    ----------
    own, taught : DataFrame
        `faithfulness.headset.points` of either model, indexed by ``channel``.
    """
    own, effect = (of.loc["effect"].rename({"points": "estimate"}) for of in (own, taught))
    learned = by_side(effect, "reacts to", "learned to use", "is not shown to have learned to use")
    sees = "it is not shown to see it" if not side(own) else "so it is not blind to it"
    return flat(f"""To this run's model a headset is worth {interval(own, 1)} points: {sees}. The
        taught model {learned} it: putting it on changes the score by {interval(effect, 1)}
        points{" (it lowers the score)" if side(effect) < 0 else ""}.""")


def believed(verdicts: Any) -> str:
    """Say how many explanations that a real recording allows pass each question.

    Parameters
    ----------
    verdicts : DataFrame
        `faithfulness.metrics.trust_table`.
    """
    real = verdicts[verdicts["reference"] != REFERENCES["oracle_neutral"]]
    questions = ["what taking it out does", "the head included", "its share", "where", "when"]
    asked = real.filter(questions)
    if not asked.isin(["yes", "no"]).any(axis=None):
        return "Too little was taken out of faces in this run, so no explanation was judged."
    counts = listed(f"{count} for {name}" for name, count in (asked == "yes").sum().items())
    return f"Of {len(real)} explanations that a real recording allows, these may be read: {counts}."


def by_network(table: Any) -> str:
    """Say on how many networks the book's explanation knows what taking out does.

    Parameters
    ----------
    table : DataFrame
        ``study_networks``: ``network, method, baseline, fidelity``, a row per cohort.
    """
    if not len(table):
        return "Not measured."
    # A study that was made before the reference turned its head is said to be one.
    name = NEUTRAL if NEUTRAL in set(table["baseline"]) else "own_neutral"
    own = table[(table["method"] == "DeepLift") & (table["baseline"] == name)]
    own = own.groupby("network")["fidelity"].mean().reindex(table["network"].unique())
    refused = own.index[own.isna()]
    without = f"; on {listed(refused)} it adds up to nothing and is refused" * bool(len(refused))
    best = fitting(table, method="DeepLift", baseline="oracle_neutral")
    least, limit = best.groupby("network")["fidelity"].mean().min(), ""
    if np.isfinite(least):
        what = "the reference is what limits it" if least >= BAR else "the rule limits it, too"
        limit = f" Against the clip rendered without its movements it has {say(least)} at least: "
        limit += f"{what}."
    good = own[own >= BAR]
    which = listed(f"{network} ({say(one)})" for network, one in good.items())
    return flat(f"""DeepLift against the {REFERENCES[name]} reaches {say(BAR)} on {len(good)} of
        {len(own)} networks{f": {which}" if len(good) else ""}{without}.{limit}""")


def predicted(found: Any) -> str:
    """Say which numbers that need no truth go with the fidelity, over networks and explanations.

    Parameters
    ----------
    found : DataFrame
        ``study_predictors``: ``number, rho, ci_low, ci_high, explanations, units``.
    """
    known = found.dropna(subset=["rho"]) if len(found) else found
    if not len(known):
        return "Not measured."
    among = flat(f"""Over {int(known["explanations"].max())} explanations of
        {int(known["units"].max())} networks""")
    words = {"agreement": "agreement with other explanations", "completeness": "what is missed of "
             "the difference", "removal": "removed regions", "stretches": "removed stretches",
             "randomisation": "likeness under shuffled weights"}  # fmt: skip
    if known["ci_low"].isna().all():
        each = listed(f"{words[one]} {say(rho)}" for one, rho in zip(known["number"], known["rho"]))
        return flat(f"""{among} rank correlations with what only the renderer knows are: {each} (of
            what is missed and of likeness less is better). So few networks allow no interval:
            whether anything that can be known without a renderer shows which to believe is
            open.""")
    good = {"completeness": -1, "randomisation": -1}  # of what is missed and of likeness, less
    right = [one for one in known.to_dict("records") if side(one) == good.get(one["number"], 1)]
    named = [f"{words[one['number']]} (rho {interval(one | {'estimate': one['rho']})})"
             for one in right]  # fmt: skip
    return flat(f"""{among}, {listed(named, none="nothing")} of what can be known without a renderer
        {"shows" if named else "is shown to say"} which to believe.""")


def drawn_alike(study: Any) -> str:
    """Say what fidelity the book's explanation has in cohorts drawn like the published one.

    Parameters
    ----------
    study : DataFrame
        ``study_faithfulness``: rows as in ``faithfulness``, with ``seed`` and ``model``.
    """
    own = fitting(study, model="default", baseline=NEUTRAL, **POOLED | {"method": "DeepLift"})
    found: Any = own["estimate"].dropna() if len(own) else ()
    if len(found) < 2:
        return ""
    below = int((found < BAR).sum())
    return flat(f"""In the study's {len(found)} rendered cohorts this book's explanation has
        fidelities of {listed(say(one, _digits(one, BAR)) for one in found)}, {below or "none"} of
        them below {say(BAR)}: one cohort's number is no constant.""")


def shares(table: Any) -> str:
    """Say how far the explanation agrees with the factors' shares, and what misses the whole."""
    missing = row(table, method="model", metric="beyond_pairs")["estimate"]
    return flat(f"""With the factors' shares {main_method(table)} against the own neutral face
        agrees at r = {interval(_fidelity(table, NEUTRAL, metric="share_fidelity"))}. What
        shares miss of the whole on average, because three factors and more also act together, in
        points: {say(missing, 1)}.""")


def slopes(table: Any) -> str:
    """Say how many points are said per point of effect, by the truth and by the explanation."""
    truth, said = (
        _fidelity(table, baseline, method=method, metric="interventional_slope")
        for method, baseline in (("painted", "none"), (main_method(table), NEUTRAL))
    )
    return flat(f"""For each point that a removal costs, {main_method(table)} with the own neutral
        face says {interval(said)} points; a map that tells the truth says {interval(truth)}, for
        factors share pixels.""")


def randomised(cascade: Any, *, bar: float = 0.3) -> str:
    """Say how many layers must be randomised before the signed map loses its likeness.

    Parameters
    ----------
    cascade : DataFrame
        Rows ``randomisation`` of ``faithfulness``; ``factor`` counts the layers.
    """
    signed = cascade[cascade["metric"] == "randomisation"].dropna(subset="estimate")
    if signed.empty:
        return "Randomisation was not measured in this run."
    likeness = signed.set_index(signed["factor"].astype(int))["estimate"].sort_index()
    layers, left, above = likeness.index[-1], say(likeness.iloc[-1]), likeness[likeness > bar]
    if len(above) and above.index[-1] == layers:
        return (f"With all {layers} layers randomised the signed maps still agree at {left}: they "
                "show the picture more than the model.")  # fmt: skip
    until = f"are not above {say(bar)} from the first layer on"
    if len(above):
        until = flat(f"""are above {say(bar)} for the last time with {above.index[-1]} of {layers}
            layers randomised""")
    return f"The signed maps {until}; with all of them they agree at {left}."


def learned(beyond: Any, models: int, *, alpha: float = 0.05) -> str:
    """Say which region is denser than under label-permuted models, and whether chance does it.

    Parameters
    ----------
    beyond : DataFrame
        `faithfulness.decomposition.beyond_chance`: indexed by region; ``estimate, p``.
    models : int
        Label-permuted models.
    """
    if beyond["estimate"].isna().all():
        return "No region could be compared with label-permuted models."
    most = beyond.loc[beyond["estimate"].idxmax()]
    shown = "more than chance makes of any region"
    if most["p"] > alpha:
        shown = "not shown to be more than chance makes of some region"
    return flat(f"""The largest excess is that of the {plain(most.name)}, {say(most["estimate"])} in
        log density: {shown} (family-wise {chance(most["p"])}; with {models} permutations it cannot
        be below {say(1 / (1 + models), 3)}).""")


def carried(parts: Any) -> str:
    """Say which regions are shown to carry severity, and which has the largest part of r.

    Parameters
    ----------
    parts : DataFrame
        `faithfulness.decomposition.parts`: indexed by region; ``estimate, ci_low, ci_high`` and
        ``simultaneous_low, simultaneous_high``, for the regions are looked at together.
    """
    six = parts.drop(["face_rest", "background", "f(x0)"], errors="ignore")
    if six["estimate"].isna().all():
        return "Which region carries severity cannot be said: there are too few participants."
    low, most = six["simultaneous_low"], six.loc[six["estimate"].idxmax()]
    named = listed(f"{plain(name)} ({say(one)})" for name, one in six["estimate"][low > 0].items())
    shown = f"Shown to carry severity: {named}"
    if low.isna().all():
        shown = "There are too few participants to show that a region carries severity"
    elif not (low > 0).any():
        shown = "No region is shown to carry severity"
    return flat(f"""{shown}. The {len(six)} named regions hold {say(six["estimate"].sum())} of r =
        {say(parts["estimate"].sum())}, of it the {plain(most.name)} {interval(most)} (that this is
        the largest of them is not tested).{_outside(parts["estimate"])}""")


def _outside(estimate: Any) -> str:
    """Say what lies outside of the named regions, where a run has it."""
    rest, still = (estimate.get(name, np.nan) for name in ("face_rest", "f(x0)"))
    if not np.isfinite([rest, still]).all():
        return ""
    return " " + flat(f"""Outside of them the rest of the face has {say(rest)}, and the neutral
        face, moved as the head moves, {say(still)}.""")


def parts_sum(parts: Any) -> str:
    """Say that the parts add up."""
    return f"The parts add up to r = {say(parts['estimate'].sum())} (one model per participant)."


def densest(regions: Any) -> str:
    """Say where positive attribution is densest, against the rest of the face.

    Parameters
    ----------
    regions : DataFrame
        ``attribution_regions`` of one channel.
    """
    mean = regions.groupby("region")["enrichment_positive"].mean()
    mean = mean.drop(["face_rest", "background"], errors="ignore").dropna()
    if mean.empty:
        return "How dense attribution is was not measured."
    return flat(f"""Attribution that raises the score is densest in the {plain(mean.idxmax())}: in
        the mean of these recordings {say(np.exp(mean.max()), 1)} times as dense as in the rest of
        the face.""")


def complete(sums: Any) -> str:
    """Say how many explanations add up.

    Parameters
    ----------
    sums : DataFrame
        `attribution.explanation.completeness`.
    """
    whole, gap = int(sums["clips"].sum()), sums["largest_gap"].max()
    fail = round(float((sums["clips"] * (1 - sums["complete"])).sum()))
    size = "below 0.001" if gap < 0.001 else say(gap, 3)
    which = f"all but {fail}" if fail else "all"
    return flat(f"""{int(sums["clips"].max())} clips were explained; {which} of {whole} explanations
        add up to f(x) − f(x0) within 0.1 % of it, and the largest gap is {size} points.""")


def recovered(study: Any) -> str:
    """Say in how many cohorts the region that carried most was the planted one.

    Parameters
    ----------
    study : DataFrame
        Single cohorts: ``seed, planted, region, part`` (of r); empty where it was not run.
    """
    if not len(study):
        return "The study of planted regions is not there, so this was not measured."
    # Severity is planted left and right alike.
    places = study[["planted", "region"]].replace("^(right|left)_", "", regex=True)
    most = places.loc[study.groupby(["seed", "planted"])["part"].idxmax()]
    missed = most[most["planted"] != most["region"]]
    told = [f"the {plain(own)}, where it was that of the {plain(other)}"
            for own, other in missed.drop_duplicates().itertuples(index=False)]  # fmt: skip
    but = f"; not always for {listed(told)}" if told else ""
    empty = study[places["planted"] != places["region"]]
    leak = empty.groupby(["planted", "region"])["part"].mean().max()
    beside = f"; regions without anything planted got up to {say(leak)} of r, on average"
    return flat(f"""In {len(most) - len(missed)} of {len(most)} cohorts the region with the largest
        part, left or right, was the planted one{but}{beside if leak > 0 else ""}.""")


def uses_time(used: Any, scale: Any) -> str:
    """Say how far predictions move when a clip is frozen, shuffled, reversed.

    Parameters
    ----------
    used : DataFrame
        `faithfulness.trials.time_use`: ``freeze, shuffle, reverse``, recorded minus disturbed.
    scale : cohort.ScoreScale
        A change counts from one point of BDI-II on, as a share of this scale.
    """
    used = used.dropna()
    if used.empty:
        return "Whether the model uses time was not measured: no recording holds a clip."
    size, point = used[["freeze", "shuffle", "reverse"]].abs().mean(), Plan.of(None, scale).point
    word = "uses time" if size[["shuffle", "reverse"]].max() >= point else "hardly uses time"
    each = mean_interval(used[["freeze", "shuffle", "reverse"]].abs().to_numpy())
    # A size is not below 0, whatever the interval says of few people.
    frozen, shuffled, reverse = (
        interval(dict(zip(ENDS, np.maximum(one, 0))), 1 if point >= 1 else 2) for one in zip(*each)
    )
    return flat(f"""The model {word}: a clip's prediction changes by {shuffled} points when its
        frames are shuffled and by {reverse} when it is played backwards (size of the change, mean
        over {len(used)} participants). Frozen, with its movements gone too, it changes by
        {frozen}.""")


def stillness(used: Any, scale: Any) -> str:
    """Say what a model predicts of frozen clips, on the scale, beside clips as recorded."""
    if used.empty:
        return "Nothing was frozen in this run."
    whole, frozen = used["prediction"].mean(), (used["prediction"] - used["freeze"]).mean()
    outside = "" if scale.low <= frozen <= scale.high else ", which is outside the scale"
    word = "more severity than" if frozen > whole else "less severity than"
    if abs(frozen - whole) < Plan.of(None, scale).point:
        word = "as much severity as"
    return flat(f"""As recorded the clips are read as {say(whole, 1)} points on average, frozen as
        {say(frozen, 1)}{outside}: to this model stillness says {word} what people did.""")


def locked(averages: Mapping[str, Any], after: Any) -> str:
    """Say after which onsets the attribution changes.

    Parameters
    ----------
    averages : mapping
        Action unit to its event average.
    after : DataFrame
        `attribution.pooling.after_onset`: ``au, clear``.
    """
    if not averages:
        return "No movement has onsets in two participants, so nothing was averaged."
    shown = listed(averages)
    if after["ci_low"].isna().all():
        return f"Onsets of {shown} occur in too few participants for an interval."
    names = listed(after.loc[after["clear"], "au"], none="none")
    beside = "" if names == shown else f" of {shown}"
    return flat(f"""In the second after the onset the mean change differs from zero for
        {names}{beside}, by the interval of each by itself.""")


def _found(rows: Any, alpha: float) -> Any:
    return rows[rows["p_max"] <= alpha]


def coupled(rows: Any, alpha: float) -> str:
    """Say which action units go with the attribution, once all are allowed for.

    Parameters
    ----------
    rows : DataFrame
        H1: ``au, estimate, simultaneous_low, simultaneous_high, margin, p_max``.
    alpha : float
        Family-wise error rate.
    """
    if rows["p_max"].isna().all():
        return "Too few participants for a test of action units: nothing is claimed here."
    found = _found(rows, alpha)
    limits = rows[["simultaneous_low", "simultaneous_high"]].abs().max(axis=1, skipna=False)
    inference, less, others = rows["inference"].iloc[0].partition(", less ")
    whose = "In models fitted to other divisions of the people" if "anew" in inference else (
        "In these models")  # fmt: skip
    shown = "shows" if others.startswith("1 ") else "show"
    beside = f"after what {others} {shown} is taken off, and " if less else ""
    tests = int(rows["p_max"].notna().sum())
    small = rows.loc[limits <= rows["margin"], "au"]
    both = listed(small[small.isin(found["au"])], none="")
    return flat(f"""{whose}, {len(found)} of {len(rows)} action units go with the attribution
        ({beside}corrected for {tests} test{"s" * (tests != 1)}): {listed(found["au"])}.
        For {len(small)}
        {f"({both}, though found, among them) " if both else ""}the family's interval lies within
        the margin that was declared too small to matter.""")


def largest(rows: Any) -> str:
    """Say which mean coupling is largest, with and without head pose."""
    sizes = rows["estimate"].abs().dropna()
    if sizes.empty:
        return "No action unit has a coupling in this run."
    top = rows.loc[sizes.idxmax()]
    return flat(f"""The strongest mean, of either sign, is that of {top["au"]}, z = {interval(top)}
        ({say(top.get("adjusted", np.nan))} with head pose partialled out within the window).""")


def speech(rows: Any, alpha: float) -> str:
    """Say how many findings cannot be told from talking."""
    found = _found(rows, alpha)
    if found.empty:
        return "None is filled in the figure, so none can be talking."
    which = f"the {len(found)} that are" if len(found) > 1 else "the one that is"
    return flat(f"""Of {which} filled in the figure, {int((found["speech"] != "").sum())} cannot be
        separated from speech (†: does not show, or could not be tested, while lips and jaw are
        still).""")


def anew(rows: Any, first: Any, alpha: float) -> str:
    """Say how many action units are found with models of other folds, and with which signs."""
    if rows["p_max"].isna().all():
        return "Models of other folds were asked about too few people for a test."
    both = rows.set_index("au")["estimate"] * first.set_index("au")["estimate"]
    found, here = (set(_found(one, alpha)["au"]) for one in (rows, first))
    both_ways = {"added": found - here, "lost": here - found}
    changed = [f"{word}: {listed(sorted(one))}" for word, one in both_ways.items() if one]
    beside = f" ({'; '.join(changed)})" if changed else ""
    declared = ", by the test that was declared" * bool((rows["status"] == "confirmatory").all())
    return flat(f"""With the models of other folds, on one recording a person, {len(found)} go with
        it{declared}{beside}, and {int((both > 0).sum())} of {int(both.notna().sum())} means have
        the same sign.""")


def changes(rows: Any, participants: int, alpha: float) -> str:
    """Say which couplings change with severity, and what would have been found.

    Parameters
    ----------
    rows : DataFrame
        H2: ``au, estimate, ci_low, ci_high, p_max``.
    """
    if rows["p_max"].isna().all():
        return "There are too few participants to ask that."
    found, top = _found(rows, alpha), rows.loc[rows["estimate"].abs().idxmax()]
    needed = detectable(participants, kind="severity", family=len(rows))
    some = f" ({listed(found['au'])})" if len(found) else ""
    talk = int((found["speech"] != "").sum()) if "speech" in found else 0
    some += f", {talk} of them not separable from speech (†)" if talk else ""
    return flat(f"""By the family-wise test it does for {len(found)} of {len(rows)}{some}. The
        steepest is {top["au"]}, ρ = {interval(top)}; to be found in four of five cohorts by such a
        test (5 %), a correlation would have to be {say(needed)}.""")


def selected(errors: Any, within: float) -> str:
    """Say how many recordings the paper's selection keeps."""
    kept = int((errors["error"].abs() <= within).sum())
    return f"Only {kept} of {len(errors)} recordings, off by at most {within:g} points, are in it."


def tested(results: Any, alpha: float) -> str:
    """Say how many tests stand after correction.

    Parameters
    ----------
    results : DataFrame
        Table ``results``: ``status, p, p_max``.
    alpha : float
        Family-wise error rate.
    """
    stand = _found(results[results["status"] == "confirmatory"], alpha)
    return flat(f"""Of {int(results["p"].notna().sum())} tests in this run, {len(stand)}
        confirmatory ones stand after correction over their family; everything else is a lead or
        silence.""")


def absence(participants: int) -> str:
    """Say with what probability absence would be shown within the declared margins."""
    if participants < MIN_PARTICIPANTS:
        return "With so few participants absence is not tested, and silence is no answer."
    alone, together = (
        [f"{percent(equivalence_power(participants, kind=kind, family=family), 0)} %"
         for kind in ("coupling", "severity")]
        for family in (1, 17)
    )  # fmt: skip
    return flat(f"""If the true effect is zero, an equivalence test at 5 % shows that it lies within
        the margin with a probability of {alone[0]} for one coupling (margin z = .10, people's z
        with a standard deviation of {say(SPREAD_Z)}) and {alone[1]} for one correlation with
        severity (margin ρ = .30); by intervals that hold for seventeen at once, {together[0]} and
        {together[1]}. Where it is not shown, "not significant" is silence, not an
        answer.""")


def oracle(seeds: Any) -> str:
    """Say what an oracle reads from timing, from frames, and where nothing is planted.

    Parameters
    ----------
    seeds : DataFrame
        `rendered.oracle.over_seeds` of the variants ``default`` and ``null``: ``kind, r``.
    """
    r = seeds.groupby(["variant", "kind"])["r"].mean().map(say)
    return flat(f"""With movement and its timing it reaches r = {r["default", "dynamics"]}, with
        mean and standard deviation of the frames {r["default", "mean_sd"]}, with one frame
        {r["default", "one_frame"]}; where nothing is planted {r["null", "dynamics"]}
        (chance: about 0). All are means over {seeds["seed"].nunique()} cohorts.""")


def region_changes(rows: Any, alpha: float) -> str:
    """Say which region's density changes with severity given the prediction (H3)."""
    if rows["p_max"].isna().all():
        return "There are too few participants to ask whether a region changes with severity."
    top = rows.loc[rows["estimate"].abs().idxmax()]
    return flat(f"""The largest change is that of the {plain(top["region"])}, {top["sign"]}
        attribution: ρ = {interval(top)}, family-wise {chance(top["p_max"])}; by the family-wise
        test {len(_found(rows, alpha))} of {len(rows)} rows change with severity. A shift in the
        rest of the face cannot be told from the opposite shift everywhere else.""")


def single(rows: Any, recording: str) -> str:
    """Say what one recording shows (H5): rows with ``au, p, p_max``, smallest p first."""
    if rows.empty:
        return f"In {recording} no action unit moves within a window, so none was tested."
    first = rows.iloc[0]
    return flat(f"""In {recording} {first["au"]} has the smallest p: {chance(first["p"])} alone,
        {chance(first["p_max"])} over all.""")


def verdict(low: float, high: float, margin: float) -> str:
    """Judge an effect by an interval that holds for its whole family, against a declared margin.

    Relevant: the interval lies beyond the margin. Present: it excludes 0 and crosses the margin.
    Present but small: it excludes 0 and lies within the margin. Equivalent: it holds 0 and lies
    within the margin. Else undecided.

    Examples
    --------
    >>> [verdict(low, 0.3, 0.1) for low in (0.12, 0.02, -0.05)]
    ['relevant', 'present', 'undecided']
    >>> verdict(0.02, 0.06, 0.1), verdict(-0.05, 0.06, 0.1)
    ('present but small', 'equivalent')
    """
    if np.isnan(margin):
        return "undecided"
    if low > margin or high < -margin:
        return "relevant"
    within = -margin <= low and high <= margin
    if low > 0 or high < 0:
        return "present but small" if within else "present"
    return "equivalent" if within else "undecided"


def gaze(results: Any) -> str:
    """Say whether looking away goes with the attribution, or that nobody measured gaze."""
    found = row(results, hypothesis="gaze")
    if not np.isfinite(found["estimate"]):
        return "There is no gaze in this data, so nothing is said about eye contact."
    low, high, margin = found["ci_low"], found["ci_high"], found["margin"]
    words = {
        "relevant": f"beyond the margin of {say(margin)} that was declared to matter",
        "present": f"not zero, and not shown to exceed the margin of {say(margin)}",
        "present but small": f"not zero, and smaller than the margin of {say(margin)}",
        "equivalent": f"within the margin of {say(margin)}: nothing that matters",
        "undecided": "undecided: neither an effect nor its absence is shown",
    }
    return flat(f"""Looking away from one's median direction (mean z): {interval(found)},
        {words[verdict(low, high, margin)]}.""")


def nothing(rows: Any) -> str:
    """Say for how many rows of a family nothing that matters is there, and how many stay open."""
    limits = rows[["simultaneous_low", "simultaneous_high", "margin"]].dropna().to_numpy()
    said = [verdict(*limit) for limit in limits]
    if not said:
        return "Whether nothing is there could not be tested."
    open_ = said.count("undecided")
    return flat(f"""For {said.count("equivalent")} of {len(said)} the interval of the whole family
        holds zero and lies within the margin: nothing that matters. {open_}
        {"remains" if open_ == 1 else "remain"} open: neither an effect nor its absence.""")


REAL_CHANNELS = {name: REFERENCES[name] for name in (NEUTRAL, "zero")} | {
    "motion": "motion, no model"
}
REAL_RECIPES = {
    "frozen": "pre-trained on rendered faces",
    "tuned": "fine-tuned to real ones",
    "random": "random weights",
    "by_motion": "motion of the mouth, no network",
}


def _first(table: Any, **where: Any) -> Row:
    """Return a row of the frozen recipe, the book's default."""
    return row(table, recipe="frozen", **where)


def _beside_motion(table: Any, **where: Any) -> list[Row]:
    """Return the rows of the own neutral face and of a map of motion."""
    return [_first(table, channel=name, **where) for name in (NEUTRAL, "motion")]


def real_faces(scores: Any, removals: Any, time: Any) -> str:
    """Say whether the model reads the known answer on real faces, and if its reasons are true.

    Parameters
    ----------
    scores, removals, time : DataFrame
        Tables ``real_scores``, ``real_removals`` and ``real_time`` of the study; empty: not made
        yet.
    """
    gain, within = (_first(scores, metric=name) for name in ("mae_gain", "r_within"))
    if not np.isfinite(gain["estimate"]):
        return "The study on real faces has no committed tables yet: this is not measured."
    reads = by_side(within, "runs against", "follows", "is not shown to follow")
    errs = by_side(gain, "errs more", "errs less", "is not shown to err less")
    own, motion, *others = (
        _first(removals, channel=name, kind="region", metric="fidelity")
        for name in (NEUTRAL, "motion", "edge", "difference")
    )
    true = "That its explanation is true of it is not shown"
    if own["ci_low"] > max(abs(one["estimate"]) for one in (motion, *others)):
        part = "" if own["estimate"] >= REGION_BAR else "in part "
        true = f"Its explanation agrees {part}with what the model does"
    over = by_side(_first(scores, metric="over_motion"), "It errs more", "It errs less",
                   "It is not shown to err less")  # fmt: skip
    return flat(f"""On real faces the same network, its head fitted to other speakers' seconds of
        speech, {reads} these seconds from clip to clip (r within speakers {interval(within)}), and
        {errs} than the mean does (gain {interval(gain)} s). {over} than one number that counts how
        much the mouth moves. {true}: what it says of a part of the face goes with what making that
        part neutral does at r = {interval(own)} (bar {say(REGION_BAR)}), a map of motion at
        {interval(motion)}.{_told_when(time)}""")


def _told_when(time: Any) -> str:
    """Say whether the explanation knows frames of speech better than a map of motion does."""
    own, motion = _beside_motion(time, metric="auroc_signed")
    if not np.isfinite([own["estimate"], motion["estimate"]]).all():
        return ""
    beyond = int(own["ci_low"] > motion["ci_high"]) - int(own["ci_high"] < motion["ci_low"])
    words = ("worse than", "no better, as far as can be told, than", "better than")[beyond + 1]
    return " " + flat(f"""As to when people speak, it tells {words} such a map: it ranks frames of
        speech above others with probability {interval(own)}, motion with {interval(motion)}.""")


def real_scores(scores: Any) -> str:
    """Say how well seconds of speech are predicted: beside the mean, random weights, no network."""
    own, null, within = (_first(scores, metric=name) for name in ("mae", "null_mae", "r_within"))
    blind, moved = (row(scores, metric="r_within", recipe=one) for one in ("random", "by_motion"))
    over = _first(scores, metric="over_motion")
    errs = by_side(over, "errs more than", "errs less than", "is not shown to err less than")
    each: Any = fitting(scores, recipe="frozen", metric="r_of_one").get("estimate", ())
    apart = ""
    if len(each):
        apart = f" ({int((each > 0.5).sum())} of {len(each)} above .50 each by themselves, the "
        apart += f"lowest at {say(each.min())})"
    return flat(f"""From frozen weights that have seen rendered faces only, with a head fitted to
        the other speakers, the model errs by {say(own["estimate"])} s, always answering the mean by
        {say(null["estimate"])} s. Within speakers{apart}, prediction and seconds of speech
        correlate at {interval(within)}; with random weights in their place at {interval(blind)}.
        How much the mouth's pixels change, one number and no network, goes with it at
        {interval(moved)}; the model {errs} that ({interval(over)} s). Between speakers there are
        too few people to say much.""")


def real_gap(scores: Any, reading: Any) -> str:
    """Say what stands beside the prediction on real faces: fine-tuned, rendered people.

    Parameters
    ----------
    scores : DataFrame
        Table ``real_scores``: ``metric, estimate, ci_low, ci_high, recipe``.
    reading : DataFrame
        Table ``study_reading`` (`lost`).
    """
    gain, within = (row(scores, metric=name, recipe="tuned") for name in ("mae_gain", "r_within"))
    speech = fitting(reading, what="amount of speech")
    if not np.isfinite(gain["estimate"]) or speech.empty:
        return ""
    return flat(f"""Fine-tuned on the other speakers, it correlates at {interval(within)} within
        speakers and gains {interval(gain)} s over the mean. From rendered people whom no fit has
        seen, the same network's features give the amount of speech at r
        {say(speech["read"].mean())}.""")


def real_where(regions: Any) -> str:
    """Say where attribution is dense: mouth and jaw, the densest part, the rest; and in motion."""
    asked = {"metric": "density"}
    own, motion = _beside_motion(regions, part="mouth and jaw", **asked)
    said = flat(f"""Density of attribution, in times the picture's mean, against the own neutral
        face: {interval(own)} on mouth and jaw together (in a map of motion {interval(motion)}).""")
    parts = fitting(regions, recipe="frozen", channel=NEUTRAL, **asked)
    parts = parts[parts["part"] != "mouth and jaw"] if len(parts) else parts
    if parts.empty:
        return said
    top = parts.loc[parts["estimate"].idxmax()]
    blind = _first(regions, part=top["part"], channel="motion", **asked)
    rest = parts[~parts["part"].isin(["mouth", "jaw"])]
    other = rest.loc[rest["estimate"].idxmax()]
    said += flat(f""" The densest single part: {top["part"]}, {interval(top)} (motion
        {interval(blind)})""")
    if top["part"] == other["part"]:
        return f"{said}, which holds no answer."
    return f"{said}; of those that hold no answer: {other['part']}, {interval(other)}."


def real_when(time: Any, onsets: Any) -> str:
    """Say whether frames of speech outrank the others, and when the first word is most seen.

    Parameters
    ----------
    time, onsets : DataFrame
        Tables ``real_time`` and ``real_onsets`` (``channel, recipe, seconds, estimate``).
    """
    own, motion = _beside_motion(time, metric="auroc_signed")
    size = _first(time, channel=NEUTRAL, metric="auroc_size")
    said = flat(f"""A frame of speech should raise the prediction: by signed attribution it outranks
        one outside with probability {interval(own)} (.50: no better than chance), by its size with
        {interval(size)}; a map of motion has {interval(motion)}. When people speak is seen in the
        picture, and the model need not use all of it.""")
    near = fitting(onsets, recipe="frozen", channel=NEUTRAL)
    if near.empty:
        return said
    top, word = near.loc[near["estimate"].idxmax()], near.loc[near["seconds"].abs().idxmin()]
    side_of = "before" if top["seconds"] < 0 else "after"
    return flat(f"""{said} When the first word begins attribution is {interval(word)} times the
        clip's mean; it is largest {say(abs(top["seconds"]))} s {side_of} it, at
        {interval(top)}.""")


def real_removals(removals: Any) -> str:
    """Say how far explanations agree with what removals do on real faces, and what costs most."""
    kinds = {"region": "parts of the face", "stretch": "thirds of the clip",
             "region_stretch": "parts in thirds"}  # fmt: skip
    asked = {"channel": NEUTRAL, "metric": "fidelity"}
    found = [f"{interval(_first(removals, kind=kind, **asked))} over {words}"
             for kind, words in kinds.items()]  # fmt: skip
    said = flat(f"""Within a clip, what the explanation against the own neutral face says and what
        the removal does agree at {listed(found)}.""")
    lost = fitting(removals, recipe="frozen", channel="effect", kind="region", metric="effect")
    if lost.empty:
        return said
    top = lost.loc[lost["estimate"].idxmax()]
    return flat(f"""Making the {top["part"]} neutral costs most, {interval(top)} s of the
        prediction. {said}""")


def planted_found(ledger: Any) -> str:
    """Say how many planted movements were recovered, of those that claims are about."""
    asked = ledger[ledger["planted"].isin(["positive", "negative"]) & (ledger["recovered"] != "")]
    return flat(f"""Of {len(asked)} claims about a planted movement
        {int((asked["recovered"] == "recovered").sum())} recovered its sign.""")


def cohorts(study: Any) -> Any:
    """Return the rows of single cohorts, without those of all together or their mean.

    >>> import pandas as pd
    >>> len(cohorts(pd.DataFrame({"seed": ["0", "1", "all", "mean"]})))
    2
    """
    return study[study["seed"].astype(str).str.isdigit()] if len(study) else study


def null_tests(rates: Any) -> str:
    """Say how often the test of r finds something in scores that were permuted.

    Parameters
    ----------
    rates : DataFrame
        ``study_null``: ``seed, scenario, n, rate, ci_low, ci_high``; a row ``all`` per scenario.
    """
    whole = fitting(rates, seed="all") if len(rates) else rates
    if not len(whole):
        return "How often the test of r errs has no committed table yet."
    how = {"anew": "any with any", "within folds": "within folds"}
    each = [f"{interval(one[['rate', 'ci_low', 'ci_high']].mul(100).set_axis(ENDS), 1)} % "
            f"({how[one['scenario']]})" for _, one in whole.iterrows()]  # fmt: skip
    return flat(f"""The scores of {cohorts(rates)["seed"].nunique()} cohorts were permuted, and the
        permutation test of r says that they can be read in {listed(each)} of
        {int(whole["n"].iloc[0])} runs each, where 5 % was asked for.""")


def null_cohorts(scores: Any) -> str:
    """Say how the default recipe does in cohorts in which nothing is planted.

    Parameters
    ----------
    scores : DataFrame
        ``study_scores``: ``seed, recipe, metric, estimate, ci_low, ci_high``.
    """
    own = cohorts(scores)
    own = own[own["recipe"].str.contains("-null-")] if len(own) else own
    if not len(own):
        return "Such cohorts have no committed table yet."
    own = own[own["recipe"] == own["recipe"].iloc[0]]
    r = listed(interval(one) for _, one in fitting(own, metric="pearson").iterrows())
    ratio = listed(say(one) for one in fitting(own, metric="mae_ratio")["estimate"])
    return flat(f"""There the book's recipe correlates with the score at r = {r}, and errs {ratio}
        times as much as always answering the mean.""")


def other_analyses(table: Any, alpha: float) -> str:
    """Say what other analyses of the same question find, and of what they say different things.

    Parameters
    ----------
    table : DataFrame
        `sensitivity.side_by_side`.
    alpha : float
        Of each test, uncorrected.
    """
    said = []
    asked = {"mean": "differ from zero", "severity": "change with severity"}
    for question, words in asked.items():
        found = table.filter(like=f"{question}: ") <= alpha
        if found.empty:
            continue
        counts = zip(found.columns.str.partition(": ").get_level_values(2), found.sum())
        apart = found.index[found.any(axis=1) & ~found.all(axis=1)]
        said.append(flat(f"""So many of {len(found)} couplings {words} (p ≤ {say(alpha)}):
            {listed(f"{count} by {name}" for name, count in counts)}; not all agree on
            {listed(apart)}."""))  # fmt: skip
    return " ".join(said) or "No other analysis was made in this run."


def false_alarm(study: Any) -> str:
    """Say what the blurred clip puts on a headset that is worth little to the model.

    Parameters
    ----------
    study : DataFrame
        ``study_faithfulness``: ``seed, model, baseline, factor, estimate``.
    """
    own = fitting(study, model="this run's model", factor="headset")
    worth, told = (listed(say(one, 1) for one in fitting(own, baseline=name).get("estimate", ()))
                   for name in ("effect", "blur"))  # fmt: skip
    if not len(own):
        return "What it says of a headset that is worth nothing was not measured."
    return flat(f"""To models that were never taught a headset it was worth {worth} points in the
        study's cohorts, and the blurred clip put {told} points on it.""")


def draws(scores: Any) -> str:
    """Say how much the correlation differs between cohorts for the same recipe.

    Parameters
    ----------
    scores : DataFrame
        Single cohorts of ``study_scores``: ``recipe, metric, estimate``; the first recipe is meant.
    """
    if not len(scores):
        return "Other cohorts have no committed table yet."
    first = scores.query("recipe == recipe.iloc[0] and metric == 'pearson'")
    values = [say(value) for value in sorted(first["estimate"])]
    return flat(f"""In {len(values)} rendered cohorts of the same plan one recipe correlates with
        the score at {listed(values)}.""")


def lost(reading: Any, *, matters: float = 0.3) -> str:
    """Say how much of the score the movements hold, how much the network reads, what is missed.

    Parameters
    ----------
    reading : DataFrame
        Table ``study_reading``: ``seed, kind, what, with_score, read``; empty where not measured.
    matters : float
        |r| with the score from which a behaviour goes with it.
    """
    if not len(reading):
        return "What is lost between movement and network has no committed table yet."
    rows = reading.groupby(["kind", "what"], sort=False)[["with_score", "read"]].mean()
    score, behaviours = rows.loc["score", "read"], rows.loc["behaviour"]
    known = behaviours[behaviours["with_score"].abs() >= matters].nsmallest(3, "read")
    least = listed(f"{name} ({say(read)})" for name, read in known["read"].items())
    return flat(f"""Exact movements give the score at r {say(score["exact movements"])}, the network
        at {say(score["the network"])}, on average over practice cohorts
        ({reading["seed"].nunique()}). Of what goes with the score ({say(matters, 1)} and more), it
        reads worst: {least}.""")


def others_do(differences: Any, recipe: str, *, scale: Any) -> str:
    """Say whether another recipe errs less or more than the default, or alike.

    Parameters
    ----------
    differences : DataFrame
        Table ``model_differences``: ``recipe_a`` minus ``recipe_b``.
    recipe : str
        The default's name.
    scale : cohort.Scale
        As in `model_against`.
    """
    margin = Plan.of(None, scale).point
    rows = differences[(differences["recipe_a"] == recipe) & (differences["metric"] == "mae")]
    rows = rows[(rows["level"] == "participant") & (rows["recipe_b"] != "null")]
    sides = [side(one) for _, one in rows.iterrows()]
    within = rows[["ci_low", "ci_high"]].abs().max(axis=1, skipna=False) <= margin
    alike = sum(near and not one for near, one in zip(within, sides))
    return flat(f"""Of {len(sides)} other recipes {sides.count(1)} err less than the default,
        {sides.count(-1)} err more and {alike} err alike within {say(margin, 1)} points, each
        compared alone; {sides.count(0) - alike} are undecided.""")


def one_case(chosen: Any, predictions: Any) -> str:
    """Say what a model that had not seen a participant said of them, and how wrong it was.

    Parameters
    ----------
    chosen : row
        ``participant, recording, prediction, score``.
    predictions : DataFrame
        ``participant, prediction, score`` of all clips that the rule chose from.
    """
    own = predictions[predictions["participant"] == chosen["participant"]]
    whole, error = (own["prediction"] - own["score"]).mean(), chosen["prediction"] - chosen["score"]
    off = f"{say(abs(error), 1)} points {'above' if error > 0 else 'below'} it"
    return flat(f"""Of {chosen["recording"]} a model that had not seen this person says
        {say(chosen["prediction"], 1)} points; the score is {chosen["score"]:g}:
        {off if abs(error) >= 0.05 else "just that"}. A rule chose the participant: over all their
        recordings the model is off by {say(abs(whole), 1)} points, nearest to the median of all
        participants.""")


def of_a_copy(predictions: Any, recording: Any, people: Any, *, demo: bool) -> str:
    """Say what a run's model reads from a copy of a rendered recording, beside its own score.

    Parameters
    ----------
    predictions : Series
        Of the clips, score points.
    recording : row
        ``participant, score``.
    people : DataFrame
        ``participant, score`` of those the model was fitted on.
    demo : bool
        Whether they are rendered; others have another score, and nothing is compared.
    """
    said = f"Over {len(predictions)} clips the model says {say(predictions.mean(), 1)} points"
    if not demo:
        return (f"{said} of its own score; this rendered recording has another one, so "
                "the two are not compared.")  # fmt: skip
    said = f"{said}; the table says {say(recording['score'], 1)}."
    if fitting(people, participant=recording["participant"], score=recording["score"]).empty:
        return said
    return flat(f"""{said} The model was fitted on this very participant, so its error of
        {say(predictions.mean() - recording["score"], 1, signed=True)} points is in-sample.""")


def clip_spread(predictions: Any) -> str:
    """Say how much a model's word on one person differs from clip to clip."""
    return flat(f"""The recording's {len(predictions)} clips are read as
        {say(predictions.mean(), 1)} on average, with a standard deviation of
        {say(predictions.std(), 1)} points between clips of the same person, seconds apart.""")


def front(
    scores: Any, differences: Any, faithfulness: Any, recipe: str, *, control: float, demo: bool
) -> str:
    """Answer the front page's question in two sentences: does it read, are its reasons true?

    ``control`` is the fidelity of the best map that never saw the model, ``demo`` whether the
    participants are rendered.
    """
    gain = against(differences, recipe_a=recipe)
    if not np.isfinite(gain["estimate"]):
        return "This run has not measured it yet: chapters 3 and 7 will say."
    own, advice = _fidelity(faithfulness, NEUTRAL), "Read its reasons as questions."
    what, agreement = "what happens when a movement is taken out", f"r = {_agreement(own, BAR)}"
    whole = _fidelity(faithfulness, NEUTRAL, factor="pooled_all")
    if np.isfinite(whole["estimate"]):
        alone = interval(_fidelity(faithfulness, NEUTRAL, factor="head_motion"))
        agreement += f"; {interval(whole)} with the motion of the head, which alone has {alone}"
    if not np.isfinite(own["ci_low"]):
        reasons = "its explanations were not tested on enough people in this run"
    elif not own["ci_low"] > abs(control):
        reasons = flat(f"""its explanations are not shown to know more of {what} than maps that
            have not seen its answer ({agreement})""")
    elif own["estimate"] < BAR:
        reasons = flat(f"""its explanations agree only in part with {what} ({agreement}; the
            declared bar is {say(BAR)})""")
    else:
        reasons = f"what it says of a movement agrees with {what} ({agreement})"
        advice = "You may read its reasons as statements about the model, never about the person."
    whom = "rendered participants" if demo else "participants"
    model = f"The model is not shown to read severity in these {whom}"
    if side(gain) < 0:
        model = f"The model reads something of severity in {whom} it had not seen"
    r = row(scores, recipe=recipe, metric="pearson", level="participant")
    return f"{model} (r = {interval(r)}); {reasons}. {advice}"
