"""One recording of one's own: from a video to its explanation card."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from torch import nn

from expresso_lib import _checks, attribution, clips, cohort, faces, manifest, models, store
from expresso_lib.attribution import explanation
from expresso_lib.clips import preprocessing
from expresso_lib.faces import action_units, mediapipe, quality, tables, video
from expresso_lib.faces import truth as truths
from expresso_lib.figures import drawing, report
from expresso_lib.pipeline import project
from expresso_lib.pipeline.run import MissingRun

logger = logging.getLogger(__name__)

BASELINES = (attribution.NEUTRAL, "blur")
BATCH = 4  # clips in one pass: memory does not grow with the recording
MODEL = "final.safetensors"
SURE = 0.95  # share of frames with a face below which the card says so


class UntrackedError(ValueError):
    """A recording whose face cannot be followed; the message says why and what to do."""


def explained_by_any(
    archive: clips.ClipArchive, model: nn.Module, rows: np.ndarray
) -> explanation.Explanation:
    """By DeepLift, or by integrated gradients on a network on which DeepLift does not add up."""

    def by(method: str) -> explanation.Explanation:
        named = [(method, baseline) for baseline in BASELINES]
        return explanation.explain(archive, model, rows, channels=named, internal_batch_size=BATCH)

    try:
        return by("DeepLift")
    except attribution.IncompleteModelError as error:
        logger.warning("%s Integrated gradients explain the recording.", error)
        return by("IntegratedGradients")


@dataclass(frozen=True, eq=False)
class Reader:
    """The final model of a run, and what it was trained on."""

    model: nn.Module
    recipe: Mapping[str, Any]
    cohort: cohort.Cohort
    predictions: pd.DataFrame  # cross-validated, of this recipe
    errors: tuple[float, float]  # mean absolute, participants not seen: its own, the null model's

    @classmethod
    def of(cls, run_folder: Path) -> Self:
        """Load the model that chapter 3 trained on all participants.

        Raises
        ------
        MissingRun
            If the run has none, with the command that makes it.
        """
        path = run_folder / "models" / MODEL
        if not path.is_file():
            name, command = run_folder.name, project.command(run_folder, "run 03_finetune")
            known = sorted(
                one.parents[1].name for one in run_folder.parent.glob(f"*/models/{MODEL}")
            )
            others = f"{_checks.nearest(name, known)}. Or make it" if known else "; make it"
            if not run_folder.is_dir():
                command += " (for people of your own with --params folder -p cohort.folder=…)"
            raise MissingRun(f"run {name!r} has no final model{others}: {command}")
        model, recipe = models.load(path)
        table = pd.read_parquet(run_folder / "tables" / "predictions.parquet")
        scores = pd.read_parquet(run_folder / "tables" / "model_scores.parquet")
        own = table[table["recipe"] == recipe["recipe"]]
        found = models.summary(scores, recipe["recipe"])
        people = cohort.Cohort.load(run_folder / "data" / "cohort")
        return cls(model.eval(), recipe, people, own, (found["mae"], found["null_mae"]))

    def name(self, path: Path) -> str:
        """The cohort's name of a recording of it, which need not be the file's; else empty."""
        rows = self.cohort.recordings[["path", "recording"]].astype(str)
        known = {Path(file).resolve(): name for file, name in rows.itertuples(index=False)}
        return known.get(path.resolve(), "")

    def outside(self, path: Path) -> str:
        """Say why a recording is not of the training domain; empty if it is one of its files."""
        if self.name(path):
            return ""
        demo = self.cohort.demo
        whom = "rendered faces" if demo else f"the recordings of {self.cohort.name}"
        then = "Its prediction tells nothing about this person."
        if not demo:
            then = "How far it errs on other people, cameras and rooms was not measured."
        return (
            f"The model behind this card was trained on {whom}, and this is not one of them. {then}"
        )


def explain(
    path: Path,
    *,
    landmarks: Path | None = None,
    aus: Path | None = None,
    out: Path,
    run_folder: Path,
    show_face: bool = False,
    face: int | None = None,
) -> Path:
    """Explain one recording and write its card.

    Parameters
    ----------
    path : Path
        The video.
    landmarks : Path, optional
        A table of another tool with landmarks; without it S3FD and FAN find them where their
        weights are at hand, else MediaPipe.
    aus : Path, optional
        A table with action units; without it those of `landmarks`, else proxies.
    out : Path
        Folder for ``card.html``, ``overlay-*.mp4``, ``clips.csv``, ``regions.csv``,
        ``frames.csv``, ``action_units.csv``; with `show_face` also ``local-landmarks.png``, to
        see whether the points sit on the face. It is for no other eyes.
    run_folder : Path
        ``build/<run>`` whose final model explains.
    show_face : bool
        Draw on the video itself. By default movements are drawn on the average rendered face.
    face : int, optional
        Which of several faces: its number in the table, or 0 for the one that MediaPipe sees in
        most frames, 1 for the next.

    Returns
    -------
    Path
        The card.

    Raises
    ------
    UntrackedError
        Where the face is not found often enough, or the landmarks are of something else.
    """
    info, reader = video.probe(path), Reader.of(run_folder)
    track = find_face(path, landmarks, face=face)
    doubts = [*gate(path, track, info)]
    units = units_of(track, info, landmarks, aus, face)
    store.make_folder(out)
    known = reader.recipe
    size, rate = int(known["size"]), float(known["domain"]["fps"])
    archive = clips.prepare(path, track, size=size, rate=rate, input=known["input"])
    length, shape = int(known["frames"]), explanation.shape(known, archive.n_frames)
    if shape["length"] < 2:
        raise UntrackedError(
            f"{path} gets no card: it has {archive.n_frames} frames at {archive.fps:g}/s, and a "
            f"clip needs {1 + shape['dilation']} or more."
        )
    rows = clips.windows(archive.n_frames, **shape)
    logger.info("clips: %d, frames of each: %d", *rows.shape)
    explained = explained_by_any(archive, reader.model, rows)
    case = _case(path, reader, explained, units)
    if (has := rows.shape[1]) < length:
        holds = f"{archive.n_frames} frames at {archive.fps:g}/s, clips of {has}"
        doubts.append(f"the recording holds {holds}; the model's clips have {length}")
    if show_face and reader.name(path) and not reader.cohort.faces_may_be_shown:
        doubts.append("it shows a face that may not be shown: for this machine only")
    case = replace(case, doubts=(*doubts, *filter(None, [case.beyond])), found=track.found)
    facts = {
        "model": f"{known['model']}, weights {known['weights']}, run {run_folder.name}",
        "faces found": f"{track.found.mean():.0%} of {track.n_frames} frames, by {track.source}",
        "action units": f"{units.attrs['source']}; {units.attrs['unit']}",
    }
    footage = drawing.Footage(archive, drawing.Permission(show_face), path)
    for earlier in [out / "local-landmarks.png", *out.glob("overlay-*.mp4")]:
        earlier.unlink(missing_ok=True)  # it may show a face that this card does not
    if show_face:
        scene = footage.scene(preprocessing.spread(archive, 6))
        drawing.write_strip(out / "local-landmarks.png", scene.with_landmarks())
        logger.info("landmarks on the face, for your eyes only: local-landmarks.png")
    return write(case, footage, out, facts=facts)


def write(
    case: report.Case,
    footage: drawing.Footage,
    out: Path,
    *,
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write a case's card, its overlay videos and its tables into a folder; return the card."""
    count = len(case.explanation.channels)
    drawn = report.illustrate(case, footage, out, chosen=count)
    for name, table in _tables(case).items():
        store.write_text(out / f"{name}.csv", table.to_csv(index=False))
    note = footage.permission.note
    shown = dict(facts or {}) | ({"pictures": note} if note else {})
    card = report.card(case, facts=shown, **drawn)
    return store.write_text(out / "card.html", card)


def find_face(path: Path, landmarks: Path | None, *, face: int | None = None) -> faces.FaceTrack:
    """Track a recording by a table, by the paper's networks, or by MediaPipe; say which.

    Raises
    ------
    TrackerError
        Where there is none of them, with what to fetch or to give.
    """
    info = video.probe(path)
    if landmarks is not None and landmarks.suffix == ".npz":  # what ships with rendered faces
        points = truths.read(landmarks).landmarks
        return faces.from_landmarks(points, np.ones(len(points)), info.fps, "truth")
    if landmarks is not None:
        how: dict[str, Any] = {"face": face, "size": (info.width, info.height)}
        return faces.from_table(landmarks, n_frames=info.n_frames, fps=info.fps, **how)
    if face is None and preprocessing.at_hand("s3fd_fan"):
        from expresso_lib.faces import s3fd_fan  # torch and networks: only where they run

        return s3fd_fan.track(path, s3fd_fan.load(), s3fd_fan.Options())
    logger.info("MediaPipe finds the face (without S3FD and FAN's weights, or for --face)")
    try:
        return mediapipe.track(path, face=face or 0)
    except (ImportError, manifest.FetchError) as error:
        raise preprocessing.TrackerError(
            f"{error}\nOr --landmarks TABLE.csv of another tool; or 'expresso data fetch s3fd fan'."
        ) from error


def gate(path: Path, track: faces.FaceTrack, info: video.VideoInfo) -> tuple[str, ...]:
    """Refuse what cannot be explained; return what must be said at the head of the card.

    Raises
    ------
    UntrackedError
        Where too few frames show a face, or the landmarks are those of something else.
    """
    reasons = quality.forbids(track, (info.width, info.height))
    # Two thirds: the cascade itself errs on a frame now and then.
    if not reasons and quality.elsewhere(path, track) > 2 / 3:
        reasons = [
            "the landmarks lie where no face is seen, and a face is seen somewhere else "
            "(another video's table, or of another size?)"
        ]
    if reasons:
        raise UntrackedError(f"{path} gets no card: {'; '.join(reasons)}. Give its landmarks.")
    (report_row,) = faces.assess({path.name: track}).to_dict("records")
    doubts = [text for text in str(report_row["reasons"]).split("; ") if text]
    if track.found.mean() < SURE:
        doubts.append(f"no face was found in {1 - track.found.mean():.0%} of frames")
    others = track.signals.get("faces")
    if others is not None and others.max() > 1:
        doubts.append(
            f"up to {others.max():.0f} faces are in the picture; number "
            f"{np.nanmax(track.signals['face']):.0f} is followed (--face takes another)"
        )
    return tuple(doubts)


def units_of(
    track: faces.FaceTrack,
    info: video.VideoInfo,
    landmarks: Path | None,
    aus: Path | None,
    face: int | None,
) -> pd.DataFrame:
    """Read action units: of their own table, of the landmarks' truth or table, else proxies."""
    # A number names a face of one table; elsewhere, and where nothing was said, the units are those
    # of the face that is followed.
    how: dict[str, Any] = {"track": track, "size": (info.width, info.height)}
    if face is not None and (aus is None or aus == landmarks or not tables.holds_landmarks(aus)):
        how = {"face": face}
    if aus is not None:
        return action_units.read(aus, n_frames=track.n_frames, **how)
    if landmarks is not None and landmarks.suffix == ".npz":
        return action_units.from_truth(landmarks)
    if landmarks is not None:
        # A table of landmarks alone will do.
        with suppress(tables.TableError):
            return action_units.read(landmarks, n_frames=track.n_frames, **how)
    return action_units.of_track(track)


def _case(
    path: Path, reader: Reader, explained: explanation.Explanation, units: pd.DataFrame
) -> report.Case:
    outside, name = reader.outside(path), reader.name(path)
    interval = reader.recipe["interval"]
    # The interval is about predictions for people whom no fit has seen.
    seen = name in set(reader.predictions["recording"])
    held_out = report.of_recording(reader.predictions, name).prediction if seen else None
    return report.Case(
        recording=path.stem,
        explanation=explained,
        action_units=units,
        scale=reader.cohort.scale,
        half_width=float(interval["half_width"]) if seen else None,
        held_out=held_out,
        level=float(interval["level"]),
        errors=reader.errors,
        outside=outside,
        data=f"Recording {path.name}" if outside else reader.cohort.name,
    )


def _tables(case: report.Case) -> dict[str, pd.DataFrame]:
    regions, frames = [], []
    for c in case.explanation.channels:
        names = {"method": c.method, "baseline": c.baseline}
        regions.append(case.regions(c).assign(**names))
        frames.append(case.frames.assign(**names, attribution=case.series(c).sum(axis=1)))
    found = {"clips": case.clips(), "regions": pd.concat(regions), "frames": pd.concat(frames)}
    return found | {"action_units": case.action_units}
