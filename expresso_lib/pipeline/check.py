"""What a folder of one's own lacks, before anything runs: names, tables, weights, time."""

from collections import Counter
from typing import NamedTuple

import pandas as pd

from expresso_lib import cohort, config, models
from expresso_lib.clips import preprocessing
from expresso_lib.faces import tables
from expresso_lib.models import networks

# Seconds of one CPU per frame, measured on 360 x 288 px; `bench` and the study have them anew.
PER_FRAME = {"s3fd_fan": 0.3, "mediapipe": 0.02, "tables": 0.002, "simulated": 0.002}
CUTTING = 0.01  # s per frame: reading, aligning and labelling
LONG = 3600.0  # s of work from which it is said to be long


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    found: str
    fine: bool
    remedy: str = ""


def check(parameters: config.Parameters) -> list[Finding]:
    """Look at a cohort's names, scores, tables and trackers; nothing is tracked or written.

    Parameters
    ----------
    parameters : of the run that is planned; `cohort.folder` names the folder.

    Raises
    ------
    CohortError
        Where nothing in the folder can be used, with the whole list.
    """
    people = cohort.from_parameters(parameters.cohort)
    found = [_people(people, parameters), *_problems(people)]
    found += [_clips(people, parameters.clips), _network(parameters), _tables(people.recordings)]
    wanted, folder = parameters.faces.tracker, parameters.faces.weights_folder
    try:
        tracker = preprocessing.choose_tracker(wanted, people.recordings, weights_folder=folder)
    except preprocessing.TrackerError as error:
        return [*found, Finding("tracker", "none at hand", False, str(error))]
    found.append(_tracker(people.recordings, tracker))
    return [*found, _time(people.recordings, tracker)]


def _people(people: cohort.Cohort, parameters: config.Parameters) -> Finding:
    count, asked = len(people.participants), with_clips(people.recordings, parameters.clips)
    text = f"{count} with {len(people.recordings)} usable recordings, {people.scale.title}"
    if asked < count:
        text += f"; {asked} of them have one as long as a clip"
    few = f"with fewer than {models.MIN_PARTICIPANTS} nothing is tested, all is description"
    lacks = config.too_few(asked, parameters)
    return Finding("participants", text, not lacks,
                   lacks or few * (asked < models.MIN_PARTICIPANTS))  # fmt: skip


def _problems(people: cohort.Cohort) -> list[Finding]:
    grouped = people.problems.groupby(["problem", "consequence", "remedy"], sort=False)["item"]
    found = []
    for (problem, consequence, remedy), items in grouped:
        named = _some(items.tolist())
        what, fine = f"{consequence}: {len(items)}", consequence != "left out"
        found.append(Finding(what, f"{problem} ({named})", fine, str(remedy)))
    return found


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")


def frames_of(recordings: pd.DataFrame, wanted: config.ClipsSection) -> pd.Series:
    """Whole frames of every recording at the clips' rate."""
    pairs = zip(recordings["n_frames"], recordings["fps"])
    counts = [config.frames_at(wanted.fps, int(n), float(fps)) for n, fps in pairs]
    return pd.Series(counts, index=recordings.index)


def with_clips(recordings: pd.DataFrame, wanted: config.ClipsSection) -> int:
    """How many participants have a recording as long as a clip."""
    whole = frames_of(recordings, wanted) >= wanted.span
    return recordings.loc[whole, "participant"].nunique()


def _clips(people: cohort.Cohort, wanted: config.ClipsSection) -> Finding:
    have = frames_of(people.recordings, wanted)
    text, short = f"{wanted.span} frames at {wanted.fps:g}/s", have[have < wanted.span]
    if short.empty:
        return Finding("clips", f"{text}; every recording is as long", True)
    names = people.recordings.loc[short.index, "recording"]
    each = [f"{name} has {frames}" for name, frames in zip(names, short)]
    text += f"; {len(short)} of {len(have)} recordings are shorter ({_some(each)})"
    remedy = "they take no part: copy them again if they were cut short, or lower clips.frames"
    return Finding("clips", text, False, remedy)


def _network(parameters: config.Parameters) -> Finding:
    """Whether the network can be made and takes such clips; no weights are fetched."""
    name, shape = parameters.training.model, parameters.clips
    try:
        networks.build(name, frames=shape.frames, size=shape.size)
    except ValueError as error:
        return Finding("network", name, False, str(error))
    return Finding("network", name, True)


def _tracker(recordings: pd.DataFrame, tracker: str) -> Finding:
    lack = preprocessing.lacking(tracker, recordings)
    remedy = f"{len(lack)} recordings lack what it reads and are left out ({_some(lack)})"
    return Finding("tracker", preprocessing.TRACKERS[tracker], not lack, remedy if lack else "")


def _tables(recordings: pd.DataFrame) -> Finding:
    listed = recordings.get("au_table", pd.Series(dtype=str))
    paths = [path for path in listed if isinstance(path, str) and path]
    if not paths:
        better = "OpenFace's, Py-Feat's or LibreFace's under the videos' names are better"
        return Finding("tables", "none: action units will be proxies", True, better)
    kinds: Counter[str] = Counter()
    bad: list[str] = []
    for path in paths:
        try:
            kinds[tables.TOOLS[tables.read_faces(path).attrs["tool"]].title] += 1
        except tables.TableError as error:
            bad.append(str(error))
    text = ", ".join(f"{count} of {tool}" for tool, count in kinds.items()) or "none readable"
    missing = len(recordings) - len(paths)
    remedy = bad[0] if bad else "add the missing ones" if missing else ""
    return Finding("tables", f"{text}; {missing} recordings without", not remedy, remedy)


def _time(recordings: pd.DataFrame, tracker: str) -> Finding:
    frames = int(recordings["n_frames"].sum())
    seconds = frames * (PER_FRAME[tracker] + CUTTING)
    long = f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{max(seconds / 60, 1):.0f} min"
    text = f"{frames} frames: about {long} of one CPU for faces and clips"
    faster = "use more workers (run.workers), a GPU, or faces.tracker=mediapipe"
    return Finding("time", text, seconds <= LONG, faster if seconds > LONG else "")
