"""Sentences of the chapters that hang on a number: true for wins, losses, ties and no number.

Each takes a number or tables with ``estimate, ci_low, ci_high`` and returns words. What is computed
here are counts and means of what a table holds, how sure such a mean is, and which wording fits;
the wordings stand in ``assets/sentences.yaml``, by the name of the function.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from expresso_lib.config import CONTROLS, NEUTRAL, REFERENCES
from expresso_lib.models import MIN_PARTICIPANTS
from expresso_lib.statistics import wording
from expresso_lib.statistics.intervals import mean_interval
from expresso_lib.statistics.plan import Plan
from expresso_lib.statistics.power import SPREAD_Z, detectable, equivalence_power
from expresso_lib.statistics.wording import BAR, Row, fitting, interval, row, say, side, tell

FAMILY = 17  # action units that are asked about together
# Above these a kind counts as recognised: an area under the ROC curve, and twice r over frames.
RECOGNISED = {"actions": 0.8, "action_units": 0.5, "pose": 0.5}
# What predictions do up to these slopes on the score.
FOLLOWS = {"against": -0.15, "nothing": 0.15, "middle": 0.85, "follow": 1.15, "overdo": np.inf}
WHOM = {True: "rendered", False: "filmed"}
POOLED = {"metric": "interventional_fidelity", "factor": "pooled", "support": "changed"}
QUESTIONS = ["what taking it out does", "the head included", "its share", "where", "when"]
REAL_CHANNELS = {name: (REFERENCES | CONTROLS)[name] for name in (NEUTRAL, "zero", "motion")}
REAL_RECIPES = {
    "frozen": "pre-trained on rendered faces",
    "tuned": "fine-tuned to real ones",
    "random": "random weights",
    "by_motion": "motion of the mouth, no network",
}


def not_patients(*, demo: bool) -> str:
    """Say whose scores were read."""
    return tell(f"not_patients.{WHOM[demo]}")


def comparison(row: Row, other: str, *, margin: float = 0.0) -> str:
    """Say which errs less, from the error of the video model minus that of another.

    An interval that holds 0 and lies within the margin (points) says that neither does.

    >>> comparison({"estimate": -2.0, "ci_low": -3.0, "ci_high": -1.0}, "the image model")
    'The video model errs 2.0 [1.0, 3.0] points less than the image model (95 % interval)'
    >>> comparison({"estimate": -2.0, "ci_low": -5.0, "ci_high": 1.0}, "the mean")
    'Which errs less, the video model or the mean, is undecided (in points: −2.0 [−5.0, 1.0])'
    >>> comparison({"estimate": 0.1, "ci_low": -0.4, "ci_high": 0.6}, "the mean", margin=1.0)
    'The video model and the mean err alike, within 1.0 points (difference 0.1 [−0.4, 0.6])'
    """
    if margin and not side(row) and max(-row["ci_low"], row["ci_high"]) <= margin:
        return tell("comparison.alike", row=row, other=other, margin=margin)
    size = wording.size_of(row)
    return tell(f"comparison.{wording.SIDES[side(row)]}", row=row, size=size, other=other)


def standing(differences: Any, recipe: str) -> str:
    """Say whether a model was shown to read severity, where its explanations are read.

    Empty where the recipe was not compared with the null model in ``model_differences``.
    """
    gain = wording.against(differences, recipe_a=recipe)
    if not np.isfinite(gain["estimate"]):
        return ""
    said = tell("standing.said", compared=comparison(gain, "the null model"))
    return said if side(gain) < 0 else f"{said} {tell('standing.why')}"


# People and faces


def reach(n: int) -> str:
    """Say which effects so many participants find in four of five cohorts.

    >>> reach(3)
    'Of 3 participants no test about people in general can be asked: ten are the least.'
    """
    if n < MIN_PARTICIPANTS:
        return tell("reach.few", n=n)
    one, many = (detectable(n, kind="severity", family=k) for k in (1, FAMILY))
    return tell("reach.said", n=n, one=one, family=FAMILY, many=many)


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
    counts: dict[str, Any] = {"people": len(participants), "recordings": len(recordings)}
    whom, score = tell(f"whom.{WHOM[demo]}"), participants["score"].astype(float).describe()
    if {"n_frames", "fps"} <= set(recordings):
        seconds = (recordings["n_frames"] / recordings["fps"]).median()
        counts["long"] = tell("who.long", seconds=seconds)
    said = tell("who.said", whom=whom, scale=scale.title, score=score, **{"long": ""} | counts)
    return said if demo else f"{said} {tell('who.elsewhere')}"


def planted(table: Any) -> str:
    """Say how much of what is planted is tempo, on a log scale.

    Parameters
    ----------
    table : DataFrame
        `rendered.Plan.planted`.
    """
    signal = table[table["carries_signal"]].drop_duplicates("behaviour")
    if signal.empty:
        return tell("planted.none")
    tempo = signal.loc[signal["kind"] == "tempo", "weight"].sum() / signal["weight"].sum()
    return tell("planted.said", behaviours=len(signal), tempo=100 * tempo)


def tracked(report: Any) -> str:
    """Say how many recordings pass and in how many frames a face was found.

    Parameters
    ----------
    report : DataFrame
        Table ``quality``: ``passed`` and ``found``, a share.
    """
    passed, total = int(report["passed"].sum()), len(report)
    which = tell("tracked.some" if passed < total else "tracked.all", passed=passed, total=total)
    return tell("tracked.said", which=which, found=report["found"].astype(float).describe())


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
    each = say(len(table) / max(table["recording"].nunique(), 1), 1).removesuffix(".0")
    said = tell("clips.said", clips=len(table), frames=frames, seconds=frames / fps, each=each)
    short = recordings[~recordings["recording"].isin(table["recording"])]
    if short.empty:
        return said
    everyone = set(recordings["participant"])
    lost = len(everyone - set(table["participant"]))
    people = tell("clips.people", lost=lost, people=len(everyone)) if lost else ""
    counts = {"short": len(short), "recordings": len(recordings)}
    return f"{said} {tell('clips.short', people=people, **counts)}"


def steadiness(effect: Any, agreement: Any) -> str:
    """Say how much landmarks tremble and how many proxies can be used.

    Parameters
    ----------
    effect : DataFrame
        ``before``: jitter of every recording, outer-eye distances.
    agreement : DataFrame
        ``r`` of every proxy with its action unit; empty where no exact ones are known.
    """
    said = tell("steadiness.said", jitter=100 * effect["before"].median())
    if not len(agreement):
        return f"{said}."
    good = int((agreement["r"] > 0.7).sum())
    return said + tell("steadiness.follow", good=good, proxies=len(agreement))


def smoothing(effect: Any, *, milliseconds: float) -> str:
    """Say what smoothing does to the jitter ``before`` and ``after``."""
    jitter = 100 * effect[["before", "after"]].median()
    return tell("smoothing", milliseconds=milliseconds, **jitter)


def index_error(errors: Any) -> str:
    """Say how far boxes are off that are read through 0/1 flags, ``by_flag``, or ``by_position``.

    Both are in outer-eye distances; ``found`` says where there was a face.
    """
    flag, position = 100 * errors["by_flag"], 100 * errors["by_position"].max()
    if flag.isna().all():
        return tell("index_error.lost")
    lost = int((~errors["found"]).sum())
    return tell("index_error.said", flag=flag.describe(), lost=lost, position=position)


# Fine-tuning


def model_reads(scores: Any, differences: Any, recipe: str) -> str:
    """Say whether a model is shown to read the score, and how well.

    Parameters
    ----------
    scores, differences : DataFrame
        Tables ``model_scores`` and ``model_differences``.
    recipe : str
        The model's.
    """
    asked = {"level": "participant", "metric": "mae"}
    own, null = (row(scores, recipe=one, **asked) for one in (recipe, "null"))
    known = np.isfinite([own["estimate"], null["estimate"]]).all()
    errors = tell("model_reads.errors", own=own, null=null) if known else ""
    gain = wording.against(differences, recipe_a=recipe)
    compared = comparison(gain, "always answering the mean")
    r = row(scores, recipe=recipe, level="participant", metric="pearson")
    return tell("model_reads.said", compared=compared, errors=errors, gain=gain, r=r)


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
    difference = wording.against(differences, other, recipe_a=recipe)
    return comparison(difference, name, margin=Plan.of(None, scale).point) + "."


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
    rows = fitting(differences, recipe_a=recipe, metric="mae", level="participant")
    rows = rows[rows["recipe_b"] != "null"]
    near = rows[["ci_low", "ci_high"]].abs().max(axis=1, skipna=False) <= margin
    cases = {"less": rows["ci_low"] > 0, "more": rows["ci_high"] < 0, "alike": near}
    case = list(np.select([*cases.values()], [*cases], "undecided"))
    counts = {name: case.count(name) for name in (*cases, "undecided")}
    return tell("others_do", all=len(rows), margin=margin, **counts)


def fitted(recipe: Any) -> str:
    """Say what of a recipe's network was fitted to scores."""
    if not recipe.parts:
        return tell(f"fitted.frozen.{recipe.weights}")
    return tell(f"fitted.{recipe.weights if recipe.parts == ('all',) else recipe.fit}")


def staged(recipe: Any) -> str:
    """Say in which order the parts of a recipe's network learn where all of it is fine-tuned."""
    return tell(f"staged.{'whole' if recipe.whole else 'parts'}")


def recognised(table: Any) -> str:
    """Say what a pre-trained network recognises in people that it did not learn from.

    Parameters
    ----------
    table : DataFrame
        `models.pretraining.recognised`: ``kind, unseen, gap``; empty: other weights.
    """
    if not len(table) or table["unseen"].isna().all():
        return tell("recognised.unknown")
    known = table.dropna(subset="unseen")
    over = known["unseen"] > known["kind"].map(RECOGNISED)
    of_kind = {kind: over[known["kind"] == kind] for kind in RECOGNISED}
    counts = {kind: f"{one.sum()} of {len(one)}" for kind, one in of_kind.items()}
    more = "somewhat better" if known["gap"].median() >= 0.005 else "no better"
    return tell("recognised.said", **counts, more=more)


def twins(apart: Mapping[str, float]) -> str:
    """Say what twins are, how much of the features lies between them, and what is left of it.

    Parameters
    ----------
    apart : mapping
        ``before`` and ``after``, shares of variance (`models.pretraining.apart`); empty: other
        weights.
    """
    return tell("twins", **{name: 100 * share for name, share in apart.items()}) if apart else ""


def calibrated(errors: Any) -> str:
    """Say how far predictions follow the scores: the slope, and the errors of the outer bands.

    Parameters
    ----------
    errors : models.Errors
    """
    if not np.isfinite(errors.slope):
        return tell("calibrated.unknown")
    low, high = errors.by_band["error"].iloc[[0, -1]]
    follow = tell(f"calibrated.{next(one for one, end in FOLLOWS.items() if errors.slope <= end)}")
    said = tell("calibrated.said", follow=follow, slope=errors.slope)
    bands = "bands" if len(errors.by_band) > 1 else "one_band"
    return f"{said} {tell(f'calibrated.{bands}', low=low, high=high)}"


def one_person(conformal: Mapping[str, float], scale: Any) -> str:
    """Say what a cross-conformal interval is good for, for one person on a scale."""
    width, span = 2 * conformal["half_width"], scale.high - scale.low
    if not np.isfinite(width):
        return tell("one_person.few")
    digits = 0 if width >= 2 else 2
    said = tell("one_person.said", width=width, digits=digits, level=100 * conformal["level"])
    if width <= span / 10:
        return said
    much = "nothing" if width > span / 4 else "little"
    return f"{said} {tell('one_person.wide', span=span, much=much)}"


# Regions and time


def carried(parts: Any) -> str:
    """Say which regions are shown to carry severity, and which has the largest part of r.

    Parameters
    ----------
    parts : DataFrame
        `faithfulness.decomposition.parts`: indexed by region; ``estimate, ci_low, ci_high`` and
        ``simultaneous_low, simultaneous_high``, for the regions are looked at together.
    """
    others = ["face_rest", "background", "f(x0)", "not explained"]
    six = parts.drop(others, errors="ignore")
    if six["estimate"].isna().all():
        return tell("carried.constant")
    low, held, r = six["simultaneous_low"], six["estimate"].sum(), parts["estimate"].sum()
    found = six["estimate"][low > 0]
    case = "shown" if len(found) else "untested" if low.isna().all() else "none"
    shown, most = tell(f"carried.{case}", regions=found), six.loc[six["estimate"].abs().idxmax()]
    against = six["estimate"][six["simultaneous_high"] < 0]
    shown += tell("carried.against", regions=against) if len(against) else ""
    rest, _, still, left = (parts["estimate"].get(name, np.nan) for name in others)
    both = np.isfinite([rest, still]).all()
    outside = tell("carried.outside", rest=rest, still=still) if both else ""
    outside += tell("carried.left", left=left) if np.isfinite(left) else ""
    values = {"named": len(six), "most": most, "held": held, "r": r}
    return tell("carried.said", shown=shown, outside=outside, **values)


def parts_sum(parts: Any) -> str:
    """Say that the parts add up."""
    r = parts["estimate"].sum(min_count=1)
    return tell(f"parts_sum.{'said' if np.isfinite(r) else 'constant'}", r=r)


def densest(regions: Any) -> str:
    """Say where positive attribution is densest, against the rest of the face.

    Parameters
    ----------
    regions : DataFrame
        ``attribution_regions`` of one channel.
    """
    mean = regions.groupby(["participant", "recording", "region"])["enrichment_positive"].mean()
    mean = mean.groupby(["participant", "region"]).mean().groupby("region").mean()
    mean = mean.drop(["face_rest", "background"], errors="ignore").dropna()
    if mean.empty:
        return tell("densest.unknown")
    case = "said" if mean.max() > 0 else "rest"
    return tell(f"densest.{case}", region=mean.idxmax(), times=np.exp(mean.max()))


def complete(sums: Any) -> str:
    """Say how many explanations add up.

    Parameters
    ----------
    sums : DataFrame
        `attribution.explanation.completeness`.
    """
    gap, fail = sums["largest_gap"].max(), (sums["clips"] * (1 - sums["complete"])).sum()
    size = "below 0.001" if gap < 0.001 else say(gap, 3)
    which = f"all but {fail:.0f}" if round(fail) else "all"
    whole, most = int(sums["clips"].sum()), int(sums["clips"].max())
    return tell("complete", clips=most, which=which, whole=whole, size=size)


def recovered(study: Any) -> str:
    """Say in how many cohorts the region that carried most was the planted one.

    Parameters
    ----------
    study : DataFrame
        Single cohorts: ``seed, planted, region, part`` (of r); empty where it was not run.
    """
    if not len(study):
        return tell("recovered.unknown")
    # Severity is planted left and right alike.
    places = study[["planted", "region"]].replace("^(right|left)_", "", regex=True)
    most = places.loc[study.groupby(["seed", "planted"])["part"].idxmax()]
    missed = most[most["planted"] != most["region"]]
    told = [tell("recovered.missed", **one) for _, one in missed.drop_duplicates().iterrows()]
    empty = study[places["planted"] != places["region"]]
    leak = empty.groupby(["planted", "region"])["part"].mean().max()
    but = tell("recovered.but", missed=told) if told else ""
    but += tell("recovered.leak", leak=leak) if leak > 0 else ""
    return tell("recovered.said", found=len(most) - len(missed), cohorts=len(most), but=but)


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
        return tell("uses_time.unknown")
    size, point = used[["freeze", "shuffle", "reverse"]].abs(), Plan.of(None, scale).point
    uses = "uses" if size[["shuffle", "reverse"]].mean().max() >= point else "hardly uses"
    # A size is not below 0, whatever the interval says of few people.
    change = pd.DataFrame(mean_interval(size.to_numpy()), wording.ENDS, size.columns).clip(lower=0)
    digits = 1 if point >= 1 else 2
    return tell("uses_time.said", uses=uses, people=len(used), change=change, digits=digits)


def stillness(used: Any, scale: Any) -> str:
    """Say what a model predicts of frozen clips, on the scale, beside clips as recorded."""
    if used.empty:
        return tell("stillness.unknown")
    whole = used["prediction"].mean()
    frozen, shuffled = (whole - used[name].mean() for name in ("freeze", "shuffle"))
    outside = "" if scale.low <= frozen <= scale.high else tell("stillness.outside")
    alike = abs(frozen - whole) < Plan.of(None, scale).point
    much = tell(f"stillness.{'same' if alike else 'more' if frozen > whole else 'less'}")
    beside = "" if scale.low <= shuffled <= scale.high else tell("stillness.outside")
    said = {"outside": outside, "much": much, "shuffled": shuffled, "beside": beside}
    return tell("stillness.said", whole=whole, frozen=frozen, **said)


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
        return tell("locked.none")
    few = after["ci_low"].isna()
    beside = tell("locked.few", shown=list(after.loc[few, "au"])) if few.any() else ""
    if few.all():
        return beside
    shown, names = (wording.listed(after.loc[one, "au"]) for one in (~few, after["clear"]))
    said = tell("locked.said", names=names if names == shown else f"{names} of {shown}")
    return f"{said} {beside}".strip()


# Action units and statistics


def _found(rows: Any, alpha: float) -> Any:
    return rows[rows["p_max"] <= alpha]


def _largest(rows: Any) -> Any:
    """The row of largest size, of those that were tested where any was."""
    tested = rows[rows["p_max"].notna()]
    some = tested if len(tested) else rows
    return some.loc[some["estimate"].abs().idxmax()]


def _untested(name: str, rows: Any) -> str:
    """Say why nothing of a family was tested: its note, or else that people are too few."""
    notes = [note for note in rows.get("note", []) if note]
    return tell(f"{name}.untested", why=notes[0] if notes else "too few participants")


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
        return _untested("coupled", rows)
    found, tests = _found(rows, alpha)["au"], int(rows["p_max"].notna().sum())
    limits = rows[["simultaneous_low", "simultaneous_high"]].abs().max(axis=1, skipna=False)
    small = rows.loc[limits <= rows["margin"], "au"]
    both = list(small[small.isin(found)])
    inference, less, others = rows["inference"].iloc[0].partition(", less ")
    show = "shows" if others.startswith("1 ") else "show"
    said = {
        "models": tell("coupled.anew" if "anew" in inference else "coupled.these"),
        "beside": tell("coupled.beside", others=others, show=show) if less else "",
        "tests": f"{tests} test{'s' * (tests != 1)}",
        "both": tell("coupled.both", names=both) if both else "",
    }
    counts = {"found": len(found), "all": len(rows), "small": len(small)}
    return tell("coupled.said", names=list(found), **said, **counts)


def largest(rows: Any) -> str:
    """Say which mean coupling is largest, with and without head pose."""
    if rows["estimate"].isna().all():
        return tell("largest.none")
    top = _largest(rows)
    return tell("largest.said", top=top, adjusted=top.get("adjusted", np.nan))


def strongest(rows: Any, alpha: float, *, planted: Any = None) -> str:
    """Say which action unit goes most with the reasons, and whether severity is planted in it.

    Parameters
    ----------
    rows : DataFrame
        H1: ``au, estimate, ci_low, ci_high, p_max``.
    alpha : float
        Family-wise error rate.
    planted : DataFrame, optional
        The demo cohort's truth: ``au, carries_signal``.
    """
    found = _found(rows, alpha)
    if found.empty:
        return tell("strongest.none")
    top, truth = _largest(found), ""
    if planted is not None:
        carries = top["au"] in set(planted.loc[planted["carries_signal"], "au"])
        truth = tell(f"strongest.{'carries' if carries else 'empty'}")
    return tell("strongest.said", top=top, truth=truth)


def speech(rows: Any, alpha: float) -> str:
    """Say how many findings cannot be told from talking."""
    found = _found(rows, alpha)
    if found.empty:
        return tell("speech.none")
    which = f"the {len(found)} that are" if len(found) > 1 else "the one that is"
    return tell("speech.said", which=which, talking=int((found["speech"] != "").sum()))


def anew(rows: Any, first: Any, alpha: float) -> str:
    """Say how many action units are found with models of other folds, and with which signs."""
    if rows["p_max"].isna().all():
        return tell("anew.few")
    both = (rows.set_index("au")["estimate"] * first.set_index("au")["estimate"]).dropna()
    found, here = (set(_found(one, alpha)["au"]) for one in (rows, first))
    changed = {"added": sorted(found - here), "lost": sorted(here - found)}
    named = "; ".join(tell(f"anew.{one}", names=names) for one, names in changed.items() if names)
    declared = tell("anew.declared") if (rows["status"] == "confirmatory").all() else ""
    signs = {"same": int((both > 0).sum()), "means": len(both)}
    beside = f" ({named})" if named else ""
    return tell("anew.said", found=len(found), declared=declared, changed=beside, **signs)


def changes(rows: Any, participants: int, alpha: float) -> str:
    """Say which couplings change with severity, and what would have been found.

    Parameters
    ----------
    rows : DataFrame
        H2: ``au, estimate, ci_low, ci_high, p_max``.
    """
    if rows["p_max"].isna().all():
        return _untested("changes", rows)
    found, top = _found(rows, alpha), _largest(rows)
    needed = detectable(participants, kind="severity", family=len(rows))
    some = tell("changes.names", names=list(found["au"])) if len(found) else ""
    talk = int((found["speech"] != "").sum()) if "speech" in found else 0
    some += tell("changes.talk", talk=talk) if talk else ""
    counts = {"found": len(found), "all": len(rows), "some": some}
    return tell("changes.said", **counts, top=top, needed=needed, people=participants)


def selected(errors: Any, within: float) -> str:
    """Say how many recordings the paper's selection keeps."""
    kept = int((errors["error"].abs() <= within).sum())
    return tell("selected", kept=kept, all=len(errors), within=within)


def gaze(results: Any) -> str:
    """Say whether looking away goes with the attribution, or that nobody measured gaze."""
    z = row(results, hypothesis="gaze")
    if not np.isfinite(z["estimate"]):
        return tell("gaze.none")
    said = wording.verdict(z["ci_low"], z["ci_high"], z["margin"])
    return tell("gaze.said", z=z, verdict=tell(f"verdict.{said}", margin=z["margin"]))


def tested(results: Any, alpha: float) -> str:
    """Say how many tests stand after correction.

    Parameters
    ----------
    results : DataFrame
        Table ``results``: ``status, p, p_max``.
    alpha : float
        Family-wise error rate.
    """
    declared, tests = results[results["status"] == "confirmatory"], int(results["p"].notna().sum())
    if declared["p_max"].isna().all():
        return tell("tested.untested", tests=tests)
    stand = _found(declared, alpha)
    hold = "stands" if len(stand) == 1 else "stand"
    return tell("tested.said", tests=tests, stand=len(stand), hold=hold)


def absence(participants: int) -> str:
    """Say with what probability absence would be shown within the declared margins."""
    if participants < MIN_PARTICIPANTS:
        return tell("absence.few")
    power = {kind: [equivalence_power(participants, kind=kind, family=k) for k in (1, FAMILY)]
             for kind in ("coupling", "severity")}  # fmt: skip
    return tell("absence.said", spread=SPREAD_Z, **power)


def oracle(seeds: Any) -> str:
    """Say what an oracle reads from timing, from frames, and where nothing is planted.

    Parameters
    ----------
    seeds : DataFrame
        `rendered.oracle.over_seeds` of the variants ``default`` and ``null``: ``kind, r``.
    """
    r = seeds.groupby(["kind", "variant"])["r"].mean().unstack()
    return tell("oracle", r=r["default"], null=r["null"], cohorts=seeds["seed"].nunique())


def region_changes(rows: Any, alpha: float) -> str:
    """Say which region's density changes with severity given the prediction (H3)."""
    if rows["p_max"].isna().all():
        return _untested("region_changes", rows)
    top, found = _largest(rows), len(_found(rows, alpha))
    return tell("region_changes.said", top=top, found=found, all=len(rows))


def single(rows: Any, recording: str) -> str:
    """Say what one recording shows (H5): rows with ``au, p, p_max``, smallest p first."""
    if rows.empty:
        return tell("single.none", recording=recording)
    return tell("single.said", recording=recording, first=rows.iloc[0])


def nothing(rows: Any) -> str:
    """Say for how many rows of a family nothing that matters is there, and how many stay open."""
    limits = rows[["simultaneous_low", "simultaneous_high", "margin"]].dropna().to_numpy()
    said = [wording.verdict(*limit) for limit in limits]
    if not said:
        return tell("nothing.unknown")
    open_ = said.count("undecided")
    counts = {"equivalent": said.count("equivalent"), "all": len(said), "open": open_}
    return tell("nothing.said", **counts, remain="remains" if open_ == 1 else "remain")


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
    for question in ("mean", "severity"):
        p = table.filter(like=f"{question}: ")
        if p.empty:
            continue
        found, missed, made = p <= alpha, p > alpha, p.notna().sum()
        counts = [f"{count} by {name.partition(': ')[2]}" for name, count in found.sum().items()]
        counts = [text + (f" ({made[name]} tested)" if made.nunique() > 1 else "")
                  for text, name in zip(counts, p)]  # fmt: skip
        apart = p.index[found.any(axis=1) & missed.any(axis=1)]
        differ = tell("other_analyses.differ", apart=apart) if len(apart) else ""
        numbers = {"all": len(found), "alpha": alpha, "counts": counts, "differ": differ}
        words = tell(f"other_analyses.{question}")
        said.append(tell("other_analyses.said", question=words, **numbers))
    return " ".join(said) or tell("other_analyses.none")


# Trust


def _fidelity(table: Any, baseline: str, **where: Any) -> Row:
    return row(
        table, **{"method": wording.main_method(table), "baseline": baseline, **POOLED, **where}
    )


def _digits(value: float) -> int:
    """Digits of a fidelity: what lies below the bar is not rounded onto it."""
    return next((k for k in range(2, 6) if value >= BAR or say(value, k) != say(BAR, k)), 6)


def _agreement(own: Row) -> str:
    return interval(own, _digits(own["estimate"]))


def _slopes(table: Any) -> tuple[Row, Row]:
    """Points said per point of effect, by the explanation and by a map that is true."""
    asked = {"metric": "interventional_slope"}
    return _fidelity(table, NEUTRAL, **asked), _fidelity(table, "none", method="painted", **asked)


def _true(table: Any, own: Row, control: float) -> str:
    """How far a fidelity shows that explanations are true, by the rules of chapter 7."""
    if not np.isfinite(own["ci_low"]):
        return "few"
    if not own["ci_low"] > abs(control):
        return "not_shown"
    if own["estimate"] < BAR:
        return "in_part"
    said, truth = (one["estimate"] for one in _slopes(table))
    low, high = wording.SLOPES
    return "wrong_size" if said < low * truth or said > high * truth else "agrees"


def trust(table: Any, control: Row) -> str:
    """Say whether explanations against the own neutral face are true of what removals do.

    Parameters
    ----------
    table : DataFrame
        Table ``faithfulness``.
    control : row
        Of `faithfulness.strongest_control`; its size counts.
    """
    own, whole = (_fidelity(table, NEUTRAL, factor=one) for one in ("pooled", "pooled_all"))
    if not np.isfinite(own["estimate"]):
        return tell("trust.unknown")
    case, beside = _true(table, own, control["estimate"]), tell("trust.no_control")
    if np.isfinite(control["estimate"]):
        name = CONTROLS.get(str(control.get("method", "")), "unnamed")
        beside = tell("trust.control", name=name, control=control)
    verdict = tell(f"trust.{case}")
    if case == "agrees" and own["ci_low"] < BAR:
        verdict += tell("trust.bar_inside")
    said = {"verdict": verdict, "method": wording.main_method(table), "beside": beside}
    bars = {"bar": BAR, "whole_bar": wording.WHOLE_BAR}
    return tell("trust.said", own=_agreement(own), whole=whole, **said, **bars)


def front(
    scores: Any, differences: Any, faithfulness: Any, recipe: str, *, control: float, demo: bool
) -> str:
    """Answer the front page's question in two sentences: does it read, are its reasons true?

    ``control`` is the fidelity of the best map that never saw the model, ``demo`` whether the
    participants are rendered.
    """
    gain = wording.against(differences, recipe_a=recipe)
    if not np.isfinite(gain["estimate"]):
        return tell("front.unknown")
    own, whole, head = (_fidelity(faithfulness, NEUTRAL, factor=one)
                        for one in ("pooled", "pooled_all", "head_motion"))  # fmt: skip
    agreement = _agreement(own)
    if np.isfinite(whole["estimate"]):
        agreement += tell("front.whole", whole=whole, head=head)
    case, whom = _true(faithfulness, own, control), tell(f"whom.{WHOM[demo]}")
    model = tell("front.reads" if side(gain) < 0 else "front.not_read", whom=whom)
    reasons = tell(f"front.{case}", agreement=agreement, bar=BAR)
    advice = tell("front.statements" if case == "agrees" else "front.questions")
    r = row(scores, recipe=recipe, metric="pearson", level="participant")
    return tell("front.said", model=model, r=r, reasons=reasons, advice=advice)


def _less(difference: Row) -> str:
    """Say how much less a fidelity is than that of the own neutral face, the same clips in both."""
    if not np.isfinite(difference["estimate"]):
        return ""
    return tell(f"less.{wording.SIDES[side(difference)]}", size=wording.size_of(difference))


def black(table: Any, difference: Row) -> str:
    """Say how far the paper's black reference agrees with what removals do.

    Parameters
    ----------
    table : DataFrame
        Table ``faithfulness``.
    difference : row
        `faithfulness.metrics.less`: what it has less than the own neutral face.
    """
    return tell("black", own=_fidelity(table, "zero"), less=_less(difference))


def held_still(table: Any, difference: Row) -> str:
    """Say what the agreement is where the calm frame does not turn as the head does; as `black`."""
    return tell("held_still", own=_fidelity(table, "own_neutral"), less=_less(difference))


def head_motion(table: Any, rows: Any) -> str:
    """Say how the explanation does on the motion of the head, which has no region of its own.

    Parameters
    ----------
    table : DataFrame
        Table ``faithfulness``.
    rows : DataFrame
        Of the trials it rests on: ``said`` and ``effect`` of every clip, in points.
    """
    head = _fidelity(table, NEUTRAL, factor="head_motion")
    if not np.isfinite(head["estimate"]):
        return tell("head_motion.unknown")
    channel = {"method": wording.main_method(table), "baseline": NEUTRAL}
    asked = {"factor": "head_motion", "support": "changed"}
    mean = fitting(rows, **channel, **asked)[["said", "effect"]].mean()
    return tell("head_motion.said", head=head, said=mean["said"], effect=mean["effect"])


def factors(table: Any) -> str:
    """Say with which factor the explanation agrees least, and with which most.

    Parameters
    ----------
    table : DataFrame
        Table ``faithfulness``.
    """
    asked = {"method": wording.main_method(table), "baseline": NEUTRAL, **POOLED}
    each = fitting(table, **{name: asked[name] for name in asked if name != "factor"})
    each = each.reindex(columns=["factor", *wording.ENDS]).dropna(subset="estimate")
    each = each[~each["factor"].isin(["pooled", "pooled_all", "head_motion"])]
    if len(each) < 2:
        return tell("factors.unknown")
    names = each["factor"].str.replace("_", " and ")
    ranked = each.set_index(names).sort_values("estimate")
    return tell("factors.said", low=ranked.iloc[0], high=ranked.iloc[-1])


def removals(clips: int, rows: Any) -> str:
    """Say on how many clips of how many participants the removals rest."""
    return tell("removals", clips=clips, people=rows["participant"].nunique())


def taught(recipe: Any) -> str:
    """Say which network the audit teaches; only the book's own was shown twins."""
    return tell(f"taught.{'before' if recipe.weights == 'facial-actions' else 'same'}")


def headset(own: Any, taught: Any) -> str:
    """Say what a headset is worth to a run's model, and to one that was taught with headsets.

    Parameters
    ----------
    own, taught : DataFrame
        `faithfulness.headset.points` of either model, indexed by ``channel``.
    """
    still = taught.reindex(["own_neutral"]).iloc[0].rename({"points": "estimate"})
    own, effect = (of.loc["effect"].rename({"points": "estimate"}) for of in (own, taught))
    sees = tell(f"headset.{'sees' if side(own) else 'blind'}")
    lowers = " (it lowers the score)" if side(effect) < 0 else ""
    return tell("headset.said", own=own, sees=sees, effect=effect, lowers=lowers, still=still)


def false_alarm(study: Any) -> str:
    """Say what the blurred clip puts on a headset that is worth little to the model.

    Parameters
    ----------
    study : DataFrame
        ``study_faithfulness``: ``seed, model, baseline, factor, estimate``.
    """
    own = fitting(study, model="this run's model", factor="headset")
    if not len(own):
        return tell("false_alarm.unknown")
    worth, told = (list(fitting(own, baseline=one)["estimate"]) for one in ("effect", "blur"))
    return tell("false_alarm.said", worth=worth, told=told)


def believed(verdicts: Any) -> str:
    """Say how many explanations that a real recording allows pass each question.

    Parameters
    ----------
    verdicts : DataFrame
        `faithfulness.metrics.trust_table`.
    """
    real = verdicts[verdicts["reference"] != REFERENCES["oracle_neutral"]]
    asked = real.filter(QUESTIONS)
    if not asked.isin(["yes", "no"]).any(axis=None):
        return tell("believed.unknown")
    counts = [f"{count} for {name}" for name, count in (asked == "yes").sum().items()]
    return tell("believed.said", real=len(real), counts=counts)


def by_network(table: Any) -> str:
    """Say on how many networks the book's explanation knows what taking out does.

    Parameters
    ----------
    table : DataFrame
        ``study_networks``: ``network, method, baseline, fidelity``, a row per cohort.
    """
    if not len(table):
        return tell("by_network.unknown")
    # A study that was made before the reference turned its head is said to be one.
    name = NEUTRAL if NEUTRAL in set(table["baseline"]) else "own_neutral"
    means = fitting(table, method="DeepLift").pivot_table("fidelity", "network", "baseline")
    means = means.reindex(table["network"].unique(), columns=[name, "oracle_neutral"])
    own, oracle = means[name], means["oracle_neutral"]
    good, refused = own[own >= BAR], own.index[own.isna()]
    which = tell("by_network.which", good=good) if len(good) else ""
    which += tell("by_network.refused", names=refused) if len(refused) else ""
    counts = {"good": len(good), "all": len(own), "bar": BAR}
    said = tell("by_network.said", reference=REFERENCES[name], which=which, **counts)
    if np.isnan(least := oracle.min()):
        return said
    limit = tell("by_network.reference" if least >= BAR else "by_network.rule", least=least)
    return f"{said} {limit}"


def predicted(found: Any) -> str:
    """Say which numbers that need no truth go with the fidelity, over networks and explanations.

    Parameters
    ----------
    found : DataFrame
        ``study_predictors``: ``number, rho, ci_low, ci_high, explanations, units``.
    """
    known = found.dropna(subset=["rho"]) if len(found) else found
    if not len(known):
        return tell("predicted.unknown")
    among = tell("predicted.among", most=known.max(numeric_only=True))
    known = known.assign(estimate=known["rho"]).set_index(
        known["number"].map(lambda one: tell(f"predicted.{one}"))
    )
    if known["ci_low"].isna().all():
        return tell("predicted.open", among=among, each=known["rho"])
    good = {"completeness": -1, "randomisation": -1}  # of what is missed and of likeness, less
    right = [f"{name} (rho {interval(one)})" for name, one in known.iterrows()
             if side(one) == good.get(one["number"], 1)]  # fmt: skip
    return tell("predicted.said" if right else "predicted.none", among=among, right=right)


def drawn_alike(study: Any) -> str:
    """Say what fidelity the book's explanation has in cohorts drawn like the published one.

    Parameters
    ----------
    study : DataFrame
        ``study_faithfulness``: rows as in ``faithfulness``, with ``seed`` and ``model``.
    """
    own = fitting(study, model="default", baseline=NEUTRAL, method="DeepLift", **POOLED)
    found: Any = own["estimate"].dropna() if len(own) else ()
    if len(found) < 2:
        return ""
    each, below = [say(one, _digits(one)) for one in found], int((found < BAR).sum()) or "none"
    return tell("drawn_alike", cohorts=len(found), each=each, below=below, bar=BAR)


def shares(table: Any) -> str:
    """Say how far the explanation agrees with the factors' shares, and what misses the whole."""
    own = _fidelity(table, NEUTRAL, metric="share_fidelity")
    region = _fidelity(table, NEUTRAL, metric="share_fidelity", support="region")
    missing = row(table, method="model", metric="beyond_pairs")
    method = wording.main_method(table)
    return tell("shares", method=method, own=own, region=region, missing=missing)


def slopes(table: Any) -> str:
    """Say how many points are said per point of effect, by the truth and by the explanation."""
    said, truth = _slopes(table)
    return tell("slopes", method=wording.main_method(table), said=said, truth=truth)


def randomised(cascade: Any, *, bar: float = 0.3) -> str:
    """Say how many layers must be randomised before the signed map loses its likeness.

    Parameters
    ----------
    cascade : DataFrame
        Rows ``randomisation`` of ``faithfulness``; ``factor`` counts the layers.
    """
    signed = cascade[cascade["metric"] == "randomisation"].dropna(subset="estimate")
    if signed.empty:
        return tell("randomised.unknown")
    likeness = signed.set_index(signed["factor"].astype(int))["estimate"].sort_index()
    layers, left = likeness.index[-1], likeness.iloc[-1]
    last = likeness.index[likeness > bar].max()
    if last == layers:
        return tell("randomised.agree", layers=layers, left=left)
    case = "never" if np.isnan(last) else "until"
    until = tell(f"randomised.{case}", bar=bar, last=last, layers=layers)
    return tell("randomised.said", until=until, left=left)


def learned(beyond: Any, models: int, alpha: float) -> str:
    """Say which region is denser than under label-permuted models, and whether chance does it.

    Parameters
    ----------
    beyond : DataFrame
        `faithfulness.decomposition.beyond_chance`: indexed by region; ``estimate, p``.
    models : int
        Label-permuted models.
    alpha : float
        Family-wise error rate.
    """
    if beyond["estimate"].isna().all():
        return tell("learned.unknown")
    most, least = beyond.loc[beyond["estimate"].idxmax()], 1 / (1 + models)
    case = "few" if least > alpha else "chance" if most["p"] > alpha else "more"
    return tell(
        "learned.said", most=most, shown=tell(f"learned.{case}"), models=models, least=least
    )


# Real faces


def _first(table: Any, **where: Any) -> Row:
    """Return a row of the frozen recipe, the book's default."""
    return row(table, recipe="frozen", **where)


def _beside_motion(table: Any, **where: Any) -> dict[str, Row]:
    """Return the rows of the own neutral face and of a map of motion."""
    channels = {"own": NEUTRAL, "motion": "motion"}
    return {name: _first(table, channel=one, **where) for name, one in channels.items()}


def real_faces(scores: Any, removals: Any, time: Any) -> str:
    """Say whether the model reads the known answer on real faces, and if its reasons are true.

    Parameters
    ----------
    scores, removals, time : DataFrame
        Tables ``real_scores``, ``real_removals`` and ``real_time`` of the study; empty: not made
        yet.
    """
    read = {name: _first(scores, metric=name) for name in ("mae_gain", "r_within", "over_motion")}
    if not np.isfinite(read["mae_gain"]["estimate"]):
        return tell("real_faces.unknown")
    channels = (NEUTRAL, "motion", "edge", "difference")
    asked = {"kind": "region", "metric": "fidelity"}
    own, *blind = (_first(removals, channel=name, **asked) for name in channels)
    case = "not_shown"
    if own["ci_low"] > max(abs(one["estimate"]) for one in blind):
        case = "agrees" if own["estimate"] >= wording.REGION_BAR else "in_part"
    removed = {"own": own, "motion": blind[0], "bar": wording.REGION_BAR}
    said = tell("real_faces.said", agrees=tell(f"real_faces.{case}"), **read, **removed)
    own, motion = _beside_motion(time, metric="auroc_signed").values()
    if not np.isfinite([own["estimate"], motion["estimate"]]).all():
        return said
    beyond = int(own["ci_low"] > motion["ci_high"]) - int(own["ci_high"] < motion["ci_low"])
    than = tell(f"real_faces.than.{wording.SIDES[beyond]}")
    return f"{said} {tell('real_faces.when', than=than, own=own, motion=motion)}"


def real_scores(scores: Any) -> str:
    """Say how well seconds of speech are predicted: beside the mean, random weights, no network."""
    names = ("mae", "null_mae", "r_within", "over_motion")
    read = {name: _first(scores, metric=name) for name in names}
    read |= {one: row(scores, metric="r_within", recipe=one) for one in ("random", "by_motion")}
    each: Any = fitting(scores, recipe="frozen", metric="r_of_one").get("estimate", ())
    apart = ""
    if len(each):
        above, lowest = int((each > 0.5).sum()), each.min()
        apart = tell("real_scores.apart", above=above, speakers=len(each), lowest=lowest)
    return tell("real_scores.said", apart=apart, **read)


def real_gap(scores: Any, reading: Any) -> str:
    """Say what stands beside the prediction on real faces: fine-tuned, rendered people.

    Parameters
    ----------
    scores : DataFrame
        Table ``real_scores``: ``metric, estimate, ci_low, ci_high, recipe``.
    reading : DataFrame
        Table ``study_reading`` (`lost`).
    """
    read = {name: row(scores, metric=name, recipe="tuned") for name in ("mae_gain", "r_within")}
    speech = fitting(reading, what="amount of speech")
    if not np.isfinite(read["mae_gain"]["estimate"]) or speech.empty:
        return ""
    return tell("real_gap", **read, speech=speech["read"].mean())


def real_where(regions: Any) -> str:
    """Say where attribution is dense: mouth and jaw, the densest part, the rest; and in motion."""
    asked = {"metric": "density"}
    said = tell("real_where.said", **_beside_motion(regions, part="mouth and jaw", **asked))
    parts = fitting(regions, recipe="frozen", channel=NEUTRAL, **asked)
    parts = parts[parts["part"] != "mouth and jaw"] if len(parts) else parts
    if parts.empty:
        return said
    rest = parts[~parts["part"].isin(["mouth", "jaw"])]
    top, other = (some.loc[some["estimate"].idxmax()] for some in (parts, rest))
    motion = _first(regions, part=top["part"], channel="motion", **asked)
    densest = tell("real_where.densest", top=top, motion=motion)
    case = "itself" if top["part"] == other["part"] else "other"
    return f"{said} {densest}{tell(f'real_where.{case}', other=other)}"


def real_when(time: Any, onsets: Any) -> str:
    """Say whether frames of speech outrank the others, and when the first word is most seen.

    Parameters
    ----------
    time, onsets : DataFrame
        Tables ``real_time`` and ``real_onsets`` (``channel, recipe, seconds, estimate``).
    """
    size = _first(time, channel=NEUTRAL, metric="auroc_size")
    said = tell("real_when.said", size=size, **_beside_motion(time, metric="auroc_signed"))
    near = fitting(onsets, recipe="frozen", channel=NEUTRAL)
    if near.empty:
        return said
    top, word = near.loc[near["estimate"].idxmax()], near.loc[near["seconds"].abs().idxmin()]
    peak = {"seconds": abs(top["seconds"]), "side": "before" if top["seconds"] < 0 else "after"}
    return f"{said} {tell('real_when.word', word=word, top=top, **peak)}"


def real_removals(removals: Any) -> str:
    """Say how far explanations agree with what removals do on real faces, and what costs most."""
    kinds = ("region", "stretch", "region_stretch")
    asked = {"channel": NEUTRAL, "metric": "fidelity"}
    found = {kind: _first(removals, kind=kind, **asked) for kind in kinds}
    said = tell("real_removals.said", **found)
    lost = fitting(removals, recipe="frozen", channel="effect", kind="region", metric="effect")
    if lost.empty:
        return said
    return f"{tell('real_removals.costs', top=lost.loc[lost['estimate'].idxmax()])} {said}"


# One participant


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
    if not np.isfinite(error):
        return tell("one_case.unknown", chosen=chosen)
    case = "hit" if abs(error) < 0.05 else "above" if error > 0 else "below"
    off = tell(f"one_case.{case}", error=abs(error))
    return tell("one_case.said", chosen=chosen, off=off, whole=abs(whole))


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
    mean, score = predictions.mean(), recording["score"]
    said = tell("of_a_copy.said", clips=len(predictions), mean=mean)
    if not demo:
        return said + tell("of_a_copy.other")
    said += tell("of_a_copy.table", score=score)
    if fitting(people, participant=recording["participant"], score=score).empty:
        return said
    return f"{said} {tell('of_a_copy.fitted', error=mean - score)}"


def clip_spread(predictions: Any) -> str:
    """Say how much a model's word on one person differs from clip to clip."""
    mean, spread = predictions.mean(), predictions.std()
    return tell("clip_spread", clips=len(predictions), mean=mean, spread=spread)


# Over cohorts


def planted_found(ledger: Any) -> str:
    """Say how many planted movements were recovered, of those that claims are about."""
    asked = ledger[ledger["planted"].isin(["positive", "negative"]) & (ledger["recovered"] != "")]
    found = int((asked["recovered"] == "recovered").sum())
    are = "is" if len(asked) == 1 else "are"
    return tell("planted_found", claims=len(asked), are=are, recovered=found)


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
        return tell("null_tests.unknown")
    shares = (100 * whole[["rate", "ci_low", "ci_high"]]).set_axis(wording.ENDS, axis=1)
    each = [f"{interval(one, 1)} % ({tell(f'null_tests.{how}')})"
            for how, (_, one) in zip(whole["scenario"], shares.iterrows())]  # fmt: skip
    count, runs = cohorts(rates)["seed"].nunique(), int(whole["n"].iloc[0])
    return tell("null_tests.said", cohorts=count, each=each, runs=runs)


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
        return tell("null_cohorts.unknown")
    own = own[own["recipe"] == own["recipe"].iloc[0]]
    r, ratio = (fitting(own, metric=name) for name in ("pearson", "mae_ratio"))
    return tell("null_cohorts.said", r=r, ratio=list(ratio["estimate"]))


def draws(scores: Any) -> str:
    """Say how much the correlation differs between cohorts for the same recipe.

    Parameters
    ----------
    scores : DataFrame
        Single cohorts of ``study_scores``: ``recipe, metric, estimate``; the first recipe is meant.
    """
    if not len(scores):
        return tell("draws.unknown")
    first = fitting(scores, recipe=scores["recipe"].iloc[0], metric="pearson")
    return tell("draws.said", cohorts=len(first), each=sorted(first["estimate"]))


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
        return tell("lost.unknown")
    rows = reading.groupby(["kind", "what"], sort=False)[["with_score", "read"]].mean()
    score, behaviours = rows.loc["score", "read"], rows.loc["behaviour"]
    known = behaviours[behaviours["with_score"].abs() >= matters].nsmallest(3, "read")
    facts = {"cohorts": reading["seed"].nunique(), "matters": matters, "least": known["read"]}
    return tell("lost.said", score=score, **facts)
