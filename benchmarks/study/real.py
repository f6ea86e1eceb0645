"""Real faces, and an answer that is known all the same: GRID, where the score is seconds of speech.

    python -m benchmarks.study.real FOLDER [--weights FOLDER]

A model that predicts for how long somebody speaks within a clip must owe it to the mouth (and the
jaw), and to the frames between the first and the last word. Clips lie at the beginning, in the
middle and at the end of a recording, so that some hold silence: six words in three seconds take
about equally long in everybody, and whole recordings leave nothing to read. Every speaker is
predicted, explained and tested by a model that has not seen them; every interval is over speakers.
Interventions need no renderer: a stretch of the clip is held still, or a part of the face is
replaced by the recording's own neutral one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from time import process_time
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from tqdm import tqdm

from expresso_lib import attribution, clips, cohort, faces, manifest, models, store
from expresso_lib.attribution import references
from expresso_lib.clips import preprocessing
from expresso_lib.faces import action_units, anatomy, mediapipe
from expresso_lib.faces import truth as truths
from expresso_lib.faithfulness import controls, interventions, metrics
from expresso_lib.models import evaluation, networks
from expresso_lib.pipeline import provenance

ROOT, HERE = Path(__file__).parents[2], Path(__file__).parent
# Clips of 1.28 s, a new one every 0.8 s, at the rate that the demo's network was pre-trained at.
SIZE, RATE, FRAMES, STEP = 64, 12.5, 16, 10
HEAD = ("yaw", "pitch", "roll")
# Parts of the picture by the landmarks that carry them; the jaw is what of the face's rest lies
# below the base of the nose.
PARTS: dict[str, tuple[int, ...]] = {
    "brows": tuple(range(17, 27)),
    "eyes": tuple(range(36, 48)),
    "nose": tuple(range(27, 36)),
    "mouth": tuple(range(48, 68)),
    "jaw": (*range(4, 13), *range(48, 60)),
    "rest": (*range(0, 4), *range(13, 17), *range(27, 48)),
}
NAMES = (*PARTS, "background")
SPEAKING = ("mouth", "jaw")
BASELINES = (attribution.NEUTRAL, "own_neutral", "blur", "zero")
CONTROLS = ("edge", "motion", "difference")
THIRDS = 3
WORDS = {-1: "whole clip", 0: "first third", 1: "second third", 2: "last third"}
BEFORE, AFTER = 0.4, 0.8  # seconds around the first word
SOFT = 1.5  # pixels; standard deviation of the edge where a part is put in
DRAWS = 2000


@dataclass(frozen=True, eq=False)
class Calm:
    """The recording's calmest frame, which serves as the own neutral one."""

    pixels: torch.Tensor  # float32 (3, 1, H, W)
    parts: np.ndarray  # uint8 (H, W)
    landmarks: np.ndarray  # float32 (68, 2)


@dataclass(frozen=True, eq=False)
class Take:
    """One clip of a recording."""

    participant: str
    clip: str  # the recording's name and the clip's number in it
    score: float  # seconds of speech
    pixels: torch.Tensor  # float32 (3, T, H, W), 0 to 1
    parts: np.ndarray  # uint8 (T, H, W), index into `NAMES`
    landmarks: np.ndarray  # float32 (T, 68, 2), pixels of the clip
    speech: np.ndarray  # bool (T,), between the first and the last word
    onset: float  # seconds into the clip, the first word
    fps: float
    calm: Calm
    posed: torch.Tensor  # float32 (3, T, H, W): the calm frame in the clip's poses


def takes(
    people: cohort.Cohort,
    tracks: Mapping[str, Path],
    *,
    size: int,
    rate: float,
    frames: int,
    step: int,
) -> list[Take]:
    """Cut every recording into its clips."""
    found = []
    for row in people.recordings.itertuples():
        track = faces.FaceTrack.load(tracks[str(row.recording)])
        archive = clips.prepare(str(row.path), track, size=size, rate=rate)
        parts = parts_of(archive.face_regions, archive.landmarks)
        at = attribution.neutral_frame(archive.landmarks)
        still = torch.from_numpy(clips.stack(archive, np.array([[at]]))[0])
        calm = Calm(still, parts[at], archive.landmarks[at])
        for number, rows in enumerate(clips.windows(archive.n_frames, frames, step=step)):
            begin = archive.source[rows[0]] / row.fps
            word, end = row.speech_start - begin, row.speech_end - begin
            pixels = torch.from_numpy(clips.stack(archive, rows[None])[0])
            face = parts[rows] != NAMES.index("background")
            seconds = archive.source[rows] / row.fps - begin
            found.append(
                Take(
                    str(row.participant),
                    f"{row.recording} {number}",
                    max(0.0, min(end, frames / archive.fps) - max(word, 0.0)),
                    pixels,
                    parts[rows],
                    archive.landmarks[rows],
                    (seconds >= word) & (seconds < end),
                    word,
                    archive.fps,
                    calm,
                    references.posed(still, at, archive.landmarks, rows, pixels, face),
                )
            )
    return found


def parts_of(labels: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Name every pixel's part, uint8 (T, H, W), from the label map and landmarks (T, 68, 2)."""
    merged = {
        "right_eyebrow": "brows",
        "left_eyebrow": "brows",
        "right_eye": "eyes",
        "left_eye": "eyes",
        "face_rest": "rest",
    }
    table = np.array([NAMES.index(merged.get(name, name)) for name in anatomy.REGIONS], np.uint8)
    parts = table[labels]
    base = np.nan_to_num(landmarks[:, 33, 1], nan=np.inf)[:, None, None]
    low = np.arange(labels.shape[1])[None, :, None] > base
    return np.where((parts == NAMES.index("rest")) & low, NAMES.index("jaw"), parts).astype(
        np.uint8
    )


# Prediction


Fitted = tuple[pd.DataFrame, dict[str, nn.Module]]


def features(model: networks.VideoRegressor, data: Sequence[Take]) -> np.ndarray:
    """What the head reads of every take, (N, D)."""
    with torch.inference_mode():
        return np.concatenate([model.features(one.pixels[None]).numpy() for one in data])


def held_out(
    data: Sequence[Take], fit: Callable[[np.ndarray, int], nn.Module], folds: int = 0
) -> Fitted:
    """Predict every speaker by a model fitted on others.

    Parameters
    ----------
    fit : takes the takes it may learn from, bool (N,), and the fold's number.
    folds : groups of speakers that are left out together; 0: each by itself.

    Returns
    -------
    DataFrame, dict
        participant, clip, score, prediction, null (the others' mean), motion (of the mouth, no
        network: `mouth_motion`); speaker -> its model.
    """
    who = np.array([one.participant for one in data])
    scores = np.array([one.score for one in data])
    speakers, moved = np.unique(who), mouth_motion(data)
    owners: dict[str, nn.Module] = {}
    parts = []
    for number in range(folds or len(speakers)):
        group = speakers[number :: folds or len(speakers)]
        test = np.isin(who, group)
        model = fit(~test, number)
        said = [interventions.scores(model, data[k].pixels[None])[0] for k in np.flatnonzero(test)]
        parts.append(
            pd.DataFrame(
                {
                    "participant": who[test],
                    "clip": [data[k].clip for k in np.flatnonzero(test)],
                    "score": scores[test],
                    "prediction": said,
                    "null": scores[~test].mean(),
                    "motion": _head(moved, data, ~test).predict(moved[test]),
                }
            )
        )
        owners |= dict.fromkeys(group.tolist(), model)
    return pd.concat(parts, ignore_index=True), owners


def mouth_motion(data: Sequence[Take]) -> np.ndarray:
    """How much the mouth's pixels change from frame to frame, (N, 1): what needs no network."""
    found = [controls.maps(one.pixels, one.calm.pixels)["motion"] for one in data]
    mouths = [one.parts == NAMES.index("mouth") for one in data]
    return np.array([[motion[mouth].mean()] for motion, mouth in zip(found, mouths)])


def _head(values: np.ndarray, data: Sequence[Take], train: np.ndarray) -> models.LinearHead:
    # Every clip has its own score, so every clip counts by itself.
    rows = np.flatnonzero(train)
    return models.fit_ridge(
        values[rows], np.array([data[k].score for k in rows]), [data[k].clip for k in rows]
    )


def frozen(make: Callable[[], networks.VideoRegressor], data: Sequence[Take]) -> Fitted:
    """A ridge head on the trunk as it ships, each speaker left out."""
    values = features(make(), data)
    return held_out(data, lambda train, _: _head(values, data, train).write_to(make()).eval())


@dataclass(frozen=True, eq=False)
class _Set:
    """Takes as `models.finetune` wants them: each is a case of its own."""

    data: Sequence[Take]

    @property
    def table(self) -> pd.DataFrame:
        names = [one.clip for one in self.data]
        scores = [one.score for one in self.data]
        return pd.DataFrame({"participant": names, "recording": names, "clip": 0, "score": scores})

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.data[index].pixels


def tuned(
    make: Callable[[], networks.VideoRegressor], data: Sequence[Take], epochs: int, folds: int
) -> Fitted:
    """The trunk's last block and the head, trained on real faces; two speakers say when to stop."""
    values, who = features(make(), data), np.array([one.participant for one in data])
    options = models.FineTuning(parts=("last",), epochs=epochs)

    def fit(train: np.ndarray, number: int) -> nn.Module:
        others = np.unique(who[train])
        stop = train & np.isin(who, others[[number % len(others), (number + 4) % len(others)]])
        learn, model = train & ~stop, make()
        models.finetune(
            model,
            _Set(data),
            np.flatnonzero(learn),
            np.flatnonzero(stop),
            options=options,
            head=_head(values, data, learn),
        )
        return model.eval()

    return held_out(data, fit, folds)


def score_table(predictions: pd.DataFrame) -> pd.DataFrame:
    """How well seconds of speech are predicted, overall, within and between speakers.

    Returns
    -------
    DataFrame
        metric, estimate, ci_low, ci_high, speakers: ``r`` (all clips), ``r_within`` (clips from
        their speaker's mean), ``r_between`` (speakers' means), ``mae`` and ``null_mae`` (s),
        ``mae_gain`` (null minus model, s; above 0 is better than the null), ``over_motion`` (the
        mouth's motion minus model, s); ``r_of_one``, a row per speaker, lowest first, without an
        interval.
    """
    who = predictions["participant"]
    own = predictions[["score", "prediction"]]
    means = own.groupby(who).transform("mean")
    first = ~who.duplicated()
    error = (own["prediction"] - own["score"]).abs()
    null, motion = ((predictions[name] - own["score"]).abs() - error for name in ("null", "motion"))
    one = np.ones(len(own))
    return pd.DataFrame(
        [
            _pooled("r", who, _products(own), _r),
            _pooled("r_within", who, _products(own - means), _r),
            _pooled("r_between", who[first], _products(means[first]), _r),
            _pooled("mae", who, np.stack([one, error], axis=1), _ratio),
            _pooled("null_mae", who, np.stack([one, null + error], axis=1), _ratio),
            _pooled("mae_gain", who, np.stack([one, null], axis=1), _ratio),
            _pooled("over_motion", who, np.stack([one, motion], axis=1), _ratio),
            *_each(predictions),
        ]
    )


def _each(predictions: pd.DataFrame) -> list[dict[str, Any]]:
    found = [
        metrics.pearson(part["prediction"].to_numpy(), part["score"].to_numpy())
        for _, part in predictions.groupby("participant")
    ]
    known = {"metric": "r_of_one", "ci_low": np.nan, "ci_high": np.nan, "speakers": 1}
    return [known | {"estimate": r} for r in sorted(found) if np.isfinite(r)]


def _products(pairs: pd.DataFrame) -> np.ndarray:
    x, y = pairs.to_numpy(float).T
    return np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)


def _r(sums: np.ndarray) -> np.ndarray:
    """Pearson's r of (..., 6) sums of 1, x, y, xx, yy, xy."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0))
        return np.where(spread > 1e-9, (n * xy - x * y) / spread, np.nan)


def _slope(sums: np.ndarray) -> np.ndarray:
    """Slope of x on y: what share of y's variance x covers."""
    n, x, y, _, yy, xy = np.moveaxis(sums, -1, 0)
    return (n * xy - x * y) / np.maximum(n * yy - y * y, 1e-12)


def _ratio(sums: np.ndarray) -> np.ndarray:
    """Mean: the second sum over the first."""
    return sums[..., 1] / np.maximum(sums[..., 0], 1e-12)


def _pooled(
    metric: str, who: pd.Series, values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]
) -> dict[str, Any]:
    """An estimate of sums over rows, its 95 % interval by drawing whole speakers, studentised.

    Rows without a number are left out; of fewer than ten speakers there is no interval.
    """
    known = np.isfinite(values).all(axis=1)
    sums = pd.DataFrame(values[known]).groupby(who.to_numpy()[known]).sum().to_numpy()
    found = dict.fromkeys(("estimate", "ci_low", "ci_high"), np.nan)
    if len(sums):
        # Correlations by Fisher's z, on whose scale their spread is even.
        line, back = (_fisher, np.tanh) if statistic is _r else (np.asarray, np.asarray)
        _, low, high = evaluation.studentised(
            sums, lambda total: line(statistic(total))[..., None], draws=DRAWS, seed=0
        )
        whole = (statistic(sums.sum(axis=0)), back(low[0]), back(high[0]))
        found = dict(zip(found, map(float, whole)))
    return {"metric": metric, **found, "speakers": len(sums)}


def _fisher(r: np.ndarray) -> np.ndarray:
    return np.arctanh(np.clip(r, -0.9999, 0.9999))


def _mean(metric: str, table: pd.DataFrame, column: str) -> dict[str, Any]:
    """The mean over speakers of their own means."""
    means = table.groupby("participant")[column].mean()
    ones = np.ones(len(means))
    return _pooled(metric, means.index.to_series(), np.stack([ones, means], axis=1), _ratio)


# Explanation


def maps_of(model: nn.Module, one: Take) -> Iterator[tuple[str, np.ndarray]]:
    """Maps (T, H, W) of one take: DeepLift per baseline, seconds; and the controls."""
    calm = one.calm.pixels
    given = [attribution.of_recording(calm[None], name, one.posed[None]) for name in BASELINES]
    found = attribution.attribute_each(model, one.pixels[None], "DeepLift", given)
    for baseline, one_of in zip(BASELINES, found):
        yield baseline, one_of.values.numpy()[0].sum(axis=0)
    known = controls.maps(one.pixels, calm)
    for name in CONTROLS:
        yield name, known[name]


def auroc(values: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive outranks a negative; NaN without both."""
    return float(roc_auc_score(positive, values)) if len(set(positive)) == 2 else float("nan")


def removals(one: Take) -> Iterator[tuple[str, str, int, torch.Tensor]]:
    """Give kind, part, third (-1: all) and the clip without it (3, T, H, W).

    Kinds: ``region`` (the own neutral part put in), ``stretch`` (a third held still),
    ``region_stretch`` (the neutral part in a third).
    """
    third = np.arange(len(one.parts)) * THIRDS // len(one.parts)
    for name in PARTS:
        without = with_neutral(one, name)
        yield "region", name, -1, without
        for number in range(THIRDS):
            inside = torch.from_numpy(third == number)[None, :, None, None]
            yield "region_stretch", name, number, torch.where(inside, without, one.pixels)
    for number in range(THIRDS):
        held = one.pixels.clone()
        rows = np.flatnonzero(third == number)
        held[:, rows] = held[:, rows[:1]]
        yield "stretch", "all", number, held


def with_neutral(one: Take, name: str) -> torch.Tensor:
    """The clip with one part of the face as in the own neutral frame, moved to where it is now."""
    size = one.parts.shape[1:]
    donor = np.ascontiguousarray(one.calm.pixels[:, 0].permute(1, 2, 0).numpy())
    source = one.calm.landmarks[list(PARTS[name])]
    frames = []
    for t in range(len(one.parts)):
        target = one.landmarks[t][list(PARTS[name])]
        way = (
            cv2.estimateAffinePartial2D(source, target, method=cv2.LMEDS)[0]
            if np.isfinite(target).all()
            else None
        )
        moved = (
            donor
            if way is None
            else cv2.warpAffine(donor, way, size[::-1], borderMode=cv2.BORDER_REPLICATE)
        )
        # The part where it is and where it was, so that an open mouth leaves no rim.
        area = (one.parts[t] == NAMES.index(name)) | (one.calm.parts == NAMES.index(name))
        area &= one.parts[t] != NAMES.index("background")
        soft = cv2.GaussianBlur(area.astype(np.float32), (0, 0), SOFT)[..., None]
        now = one.pixels[:, t].permute(1, 2, 0).numpy()
        frames.append(soft * moved + (1 - soft) * now)
    return torch.from_numpy(np.stack(frames)).permute(3, 0, 1, 2).float()


def examine(model: nn.Module, one: Take) -> dict[str, pd.DataFrame]:
    """Everything asked of one take: tables ``parts``, ``frames``, ``removals``, by `channel`."""
    known = {"participant": one.participant, "clip": one.clip}
    whole = interventions.scores(model, one.pixels[None])[0]
    asked = list(removals(one))
    effects = whole - interventions.scores(model, torch.stack([clip for *_, clip in asked]))
    third = np.arange(len(one.parts)) * THIRDS // len(one.parts)
    masks = [_mask(one.parts, third, part, number) for _, part, number, _ in asked]
    parts, frames, removed = [], [], []
    for name, values in maps_of(model, one):
        for k, part in enumerate(NAMES):
            inside = one.parts == k
            parts.append(
                known
                | {
                    "channel": name,
                    "part": part,
                    "signed": values[inside].sum(),
                    "size": np.abs(values[inside]).sum(),
                    "area": inside.sum(),
                    "prediction": whole,
                }
            )
        frames.append(
            pd.DataFrame(
                known
                | {
                    "channel": name,
                    "frame": np.arange(len(values)),
                    "speech": one.speech,
                    "seconds": np.arange(len(values)) / one.fps - one.onset,
                    "signed": values.sum(axis=(1, 2)),
                    "size": np.abs(values).sum(axis=(1, 2)),
                }
            )
        )
        removed += [
            known
            | {
                "channel": name,
                "kind": kind,
                "part": part,
                "third": number,
                "said": values[mask].sum(),
                "effect": effect,
            }
            for (kind, part, number, _), effect, mask in zip(asked, effects, masks)
        ]
    return {
        "parts": pd.DataFrame(parts),
        "frames": pd.concat(frames, ignore_index=True),
        "removals": pd.DataFrame(removed),
    }


def _mask(parts: np.ndarray, third: np.ndarray, part: str, number: int) -> np.ndarray:
    inside = np.ones(parts.shape, bool) if part == "all" else parts == NAMES.index(part)
    return inside if number < 0 else inside & (third == number)[:, None, None]


def region_table(parts: pd.DataFrame) -> pd.DataFrame:
    """Where: per channel and part, mean over speakers with its interval.

    Returns
    -------
    DataFrame
        channel, part (also ``mouth and jaw``), metric, estimate, ci_low, ci_high, speakers:
        ``share`` (of |attribution|), ``density`` (share over the share of the area), ``carries``
        (share of the predictions' variance over clips that the part's signed sum covers; all parts
        and the reference make 1).
    """
    sums = ["signed", "size", "area"]
    keys = ["participant", "clip", "channel", "prediction"]
    both = parts[parts["part"].isin(SPEAKING)].groupby(keys)[sums].sum().reset_index()
    joined = pd.concat([parts, both.assign(part="mouth and jaw")], ignore_index=True)
    total = parts.groupby(["clip", "channel"])[["size", "area"]].sum().add_prefix("all_")
    joined = joined.merge(total.reset_index(), on=["clip", "channel"])
    joined["share"] = joined["size"] / joined["all_size"]
    joined["density"] = joined["share"] / (joined["area"] / joined["all_area"])
    found = _by(
        joined,
        ["channel", "part"],
        lambda one: [
            _mean("share", one, "share"),
            _mean("density", one, "density"),
            _pooled(
                "carries", one["participant"], _products(one[["signed", "prediction"]]), _slope
            ),
        ],
    )
    # Controls are not in seconds: they carry nothing.
    return found[(found["metric"] != "carries") | ~found["channel"].isin(CONTROLS)]


def time_table(frames: pd.DataFrame) -> pd.DataFrame:
    """When: chance that a frame of speech outranks one outside, mean over speakers.

    Returns
    -------
    DataFrame
        channel, metric (``auroc_size``: of |attribution|; ``auroc_signed``), estimate, ci_low,
        ci_high, speakers.
    """
    rows = [
        {"participant": who, "channel": name}
        | {
            f"auroc_{c}": auroc(one[c].to_numpy(), one["speech"].to_numpy())
            for c in ("size", "signed")
        }
        for (who, _, name), one in frames.groupby(["participant", "clip", "channel"])
    ]
    return _by(
        pd.DataFrame(rows),
        ["channel"],
        lambda one: [_mean(name, one, name) for name in ("auroc_size", "auroc_signed")],
    )


def onset_table(frames: pd.DataFrame) -> pd.DataFrame:
    """The first word's onset: |attribution| of a frame over the clip's mean frame.

    Returns
    -------
    DataFrame
        channel, seconds (from the first word, to a frame), estimate (1: as everywhere in the
        clip), ci_low, ci_high, speakers.
    """
    mean = frames.groupby(["clip", "channel"])["size"].transform("mean")
    near = frames.assign(relative=frames["size"] / mean)
    near["seconds"] = (np.round(near["seconds"] * RATE) / RATE).round(3)
    near = near[near["seconds"].between(-BEFORE, AFTER)]
    return _by(near, ["channel", "seconds"], lambda one: [_mean("relative", one, "relative")]).drop(
        columns="metric"
    )


def removal_table(removed: pd.DataFrame) -> pd.DataFrame:
    """Does the model lose what the explanation says? Per channel and kind.

    Returns
    -------
    DataFrame
        channel, kind, part, third, metric, estimate, ci_low, ci_high, speakers: ``fidelity``
        (Pearson's r of said and effect within a clip, mean over speakers) and
        ``fidelity_pooled`` (over all clips and removals); and, with channel ``effect``, of
        what the model loses, its mean ``effect`` and mean ``size``, s, per part and third.
    """
    rows = [
        {
            "participant": who,
            "channel": name,
            "kind": kind,
            "r": metrics.pearson(one["said"].to_numpy(), one["effect"].to_numpy()),
        }
        for (who, _, name, kind), one in removed.groupby(["participant", "clip", "channel", "kind"])
    ]
    within = _by(pd.DataFrame(rows), ["channel", "kind"], lambda one: [_mean("fidelity", one, "r")])
    pooled = _by(
        removed,
        ["channel", "kind"],
        lambda one: [
            _pooled("fidelity_pooled", one["participant"], _products(one[["said", "effect"]]), _r)
        ],
    )
    once = removed[removed["channel"] == removed["channel"].iloc[0]]
    effects = _by(
        once.assign(size=once["effect"].abs()),
        ["kind", "part", "third"],
        lambda one: [_mean("effect", one, "effect"), _mean("size", one, "size")],
    )
    named = effects.assign(channel="effect", third=effects["third"].map(WORDS))
    return pd.concat([within, pooled, named], ignore_index=True)


def _by(
    table: pd.DataFrame, keys: list[str], measures: Callable[[pd.DataFrame], list[dict[str, Any]]]
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            dict(zip(keys, values)) | row
            for values, part in table.groupby(keys, sort=False)
            for row in measures(part)
        ]
    )


def tracked(people: cohort.Cohort, folder: Path, *, weights: str = "") -> dict[str, Path]:
    """Track every recording with MediaPipe; what is done is not done again."""
    items = preprocessing.track_items(
        people.recordings, "mediapipe", smoothing=0.0, weights_folder=weights
    )
    done = store.map(preprocessing.make_track, items, out=folder / "tracks", describe="tracking")
    return preprocessing.paths(done)


# Trackers


def tracker_table(people: cohort.Cohort, tracks: Mapping[str, Path], weights: str) -> pd.DataFrame:
    """What MediaPipe costs and gives: on GRID, and against the truth of rendered faces.

    Returns
    -------
    DataFrame
        on (``GRID``, ``rendered``), what, estimate, low, high (tenths of the recordings), unit,
        recordings.
    """
    found = [faces.FaceTrack.load(path) for path in tracks.values()]
    report = faces.assess(dict(zip(tracks, found)))
    start, frames = process_time(), 0
    for path in people.recordings["path"].sample(4, random_state=0):
        frames += mediapipe.track(str(path), folder=weights).n_frames
    rows = [
        _spread(
            "GRID",
            "CPU per frame, decoding included",
            "ms",
            1000 * (process_time() - start) / frames,
            together=len(found),
        ),
        _spread("GRID", "frames with a face", "share", report["found"]),
        _spread(
            "GRID", "recordings that pass", "share", report["passed"].mean(), together=len(report)
        ),
        _spread("GRID", "jitter", "outer-eye distances", report["jitter"]),
        _spread(
            "GRID", "most faces in a frame", "faces", [one.signals["faces"].max() for one in found]
        ),
    ]
    return pd.DataFrame(rows + _against_truth(weights)[0])


def proxy_table(weights: str) -> pd.DataFrame:
    """How far proxies may be believed: r with the planted action units of rendered faces.

    Returns
    -------
    DataFrame
        au, proxy (``blendshapes``, ``landmarks`` of MediaPipe's points, ``true landmarks``), r
        (median over recordings), low, high (tenths), recordings.
    """
    return _against_truth(weights)[1]


@lru_cache(maxsize=1)
def _against_truth(weights: str) -> tuple[list[dict], pd.DataFrame]:
    groups = {
        "jaw": slice(0, 17),
        "brows": slice(17, 27),
        "nose": slice(27, 36),
        "eyes": slice(36, 48),
        "lips": slice(48, 68),
        "all 68 points": slice(0, 68),
    }
    errors: dict[str, list[float]] = {name: [] for name in groups}
    follows: dict[str, list[float]] = {name: [] for name in (*HEAD, "gaze_x", "gaze_y")}
    parts = []
    for path in sorted(manifest.locate("demo_cohort").glob("*_R1.mp4"))[:12]:
        track = mediapipe.track(path, folder=weights)
        truth = truths.read(path.with_suffix(".npz"))
        away = np.linalg.norm(track.landmarks - truth.landmarks, axis=-1)
        away /= np.mean(faces.eye_distance(truth.landmarks))
        for name, group in groups.items():
            errors[name].append(float(np.nanmean(away[:, group])))
        seen = np.radians(truth.gaze + truth.pose[:, :2])
        true = dict(zip(follows, (*truth.pose.T, *seen.T)))
        for name, values in true.items():
            both = np.isfinite(track.signals[name])
            follows[name].append(metrics.pearson(track.signals[name][both], values[both]))
        planted = action_units.from_truth(path.with_suffix(".npz"))
        for name, series in {
            "blendshapes": action_units.of_track(track),
            "landmarks": action_units.proxies(track.landmarks),
            "true landmarks": action_units.proxies(truth.landmarks),
        }.items():
            parts.append(action_units.agreement(series, planted).assign(proxy=name))
    rows = [
        _spread("rendered", f"error of {name}", "outer-eye distances", values)
        for name, values in errors.items()
    ]
    rows += [
        _spread("rendered", f"{name} against the truth", "r", values)
        for name, values in follows.items()
    ]
    grouped = pd.concat(parts).groupby(["au", "proxy"])["r"]
    table = pd.DataFrame(
        {
            "r": grouped.median(),
            "low": grouped.quantile(0.1),
            "high": grouped.quantile(0.9),
            "recordings": grouped.count(),
        }
    )
    return rows, table.reset_index()


def _spread(on: str, what: str, unit: str, values: Any, *, together: int = 0) -> dict[str, Any]:
    """Median and tenths over recordings; a value of so many `together` has no spread."""
    array = np.atleast_1d(np.asarray(values, float))
    low, middle, high = np.nanquantile(array, [0.1, 0.5, 0.9])
    if together:
        low = high = np.nan
    return {
        "on": on,
        "what": what,
        "estimate": middle,
        "low": low,
        "high": high,
        "unit": unit,
        "recordings": together or len(array),
    }


# The whole


def predict_and_explain(
    data: Sequence[Take], *, epochs: int, folds: int, explained: int, folder: Path
) -> dict[str, pd.DataFrame]:
    """Both recipes, frozen and fine-tuned: predictions, then everything `examine` finds.

    Two more predict, to say what the pre-training on rendered faces is worth on real ones: a
    frozen trunk with random weights, and the mouth's motion without any network.
    """

    def make(weights: str = "facial-actions") -> networks.VideoRegressor:
        frames, size = len(data[0].parts), data[0].parts.shape[1]
        return networks.build("small", weights=weights, frames=frames, size=size)

    fitted = {"frozen": frozen(make, data), "random": frozen(partial(make, "none"), data)}
    if epochs:
        fitted["tuned"] = tuned(make, data, epochs, folds)
    said = {recipe: table for recipe, (table, _) in fitted.items()}
    said["by_motion"] = said["frozen"].assign(prediction=said["frozen"]["motion"])
    found: dict[str, list[pd.DataFrame]] = {
        "predictions": [table.assign(recipe=recipe) for recipe, table in said.items()]
    }
    for recipe in [name for name in ("frozen", "tuned") if name in fitted]:
        owners = fitted[recipe][1]
        who = pd.Series([one.participant for one in data])
        turn = who.groupby(who).cumcount()
        chosen = [one for one, k in zip(data, turn) if not explained or k < explained]
        for one in tqdm(chosen, f"explaining ({recipe})"):
            for name, table in examine(owners[one.participant], one).items():
                found.setdefault(name, []).append(table.assign(recipe=recipe))
    joined = {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}
    for name, table in joined.items():
        with store.atomic(folder / f"{name}.parquet") as temporary:
            table.to_parquet(temporary)
    return joined


def summarised(found: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The committed tables of both recipes."""
    tables = {
        "real_scores": ("predictions", score_table),
        "real_regions": ("parts", region_table),
        "real_time": ("frames", time_table),
        "real_onsets": ("frames", onset_table),
        "real_removals": ("removals", removal_table),
    }
    return {
        name: pd.concat(
            [
                make(part.drop(columns="recipe")).assign(recipe=recipe)
                for recipe, part in found[source].groupby("recipe")
            ],
            ignore_index=True,
        )
        for name, (source, make) in tables.items()
    }


def main() -> None:
    """Track, predict, explain, remove; write the tables and their stamp."""
    words = argparse.ArgumentParser(prog="python -m benchmarks.study.real", description=__doc__)
    words.add_argument("folder", type=Path, help="GRID")
    words.add_argument("--weights", default="", help="folder of face_landmarker.task")
    words.add_argument("--work", type=Path, default=ROOT / "build" / "real", help="kept work")
    words.add_argument("--tracks", type=Path, help="folder of tracks made before")
    words.add_argument("--epochs", type=int, default=8, help="of fine-tuning; 0: frozen only")
    words.add_argument("--folds", type=int, default=5, help="groups of speakers, fine-tuning")
    words.add_argument("--each", type=int, default=0, help="clips of each speaker; 0: all")
    words.add_argument("--explained", type=int, default=0, help="of them explained; 0: all")
    words.add_argument("--out", type=Path, default=HERE, help="folder of the tables")
    asked = words.parse_args()
    people = cohort.read("grid", asked.folder)
    if asked.each:
        kept = people.recordings.groupby("participant").head(asked.each)
        people = replace(people, recordings=kept.reset_index(drop=True))
    if asked.tracks:
        tracks = {name: asked.tracks / f"{name}.npz" for name in people.recordings["recording"]}
    else:
        tracks = tracked(people, asked.work, weights=asked.weights)
    data = takes(people, tracks, size=SIZE, rate=RATE, frames=FRAMES, step=STEP)
    tables = summarised(
        predict_and_explain(
            data,
            epochs=asked.epochs,
            folds=asked.folds,
            explained=asked.explained,
            folder=asked.work,
        )
    )
    tables["real_trackers"] = tracker_table(people, tracks, asked.weights)
    tables["real_proxies"] = proxy_table(asked.weights)
    for name, table in tables.items():
        provenance.keep(
            asked.out,
            name,
            table,
            recipe="small, facial-actions",
            versions={one: version(one) for one in ("torch", "mediapipe", "captum")},
            data=f"GRID, {len(data)} clips of {len(people.recordings)} recordings of "
            f"{len(people.participants)} speakers",
        )


if __name__ == "__main__":
    main()
