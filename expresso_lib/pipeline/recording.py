"""One recording of one's own: from a video to its explanation card."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from expresso_lib import _checks, clips, cohort, faces, models, store
from expresso_lib.attribution import explanation
from expresso_lib.faces import action_units, video
from expresso_lib.figures import drawing, report
from expresso_lib.pipeline.run import MissingRun

logger = logging.getLogger(__name__)

CHANNELS = (("DeepLift", "own_neutral"), ("DeepLift", "blur"))
MODEL = "final.safetensors"


@dataclass(frozen=True, eq=False)
class Reader:
    """The final model of a run, and what it was trained on."""

    model: nn.Module
    recipe: Mapping[str, Any]
    cohort: cohort.Cohort
    predictions: pd.DataFrame  # cross-validated, of this recipe
    errors: tuple[float, float]  # mean absolute, participants not seen: its own, the null model's

    @classmethod
    def of(cls, run_folder: Path) -> Reader:
        """Load the model that chapter 3 trained on all participants.

        Raises
        ------
        MissingRun
            If the run has none, with the command that makes it.
        """
        path = run_folder / "models" / MODEL
        if not path.is_file():
            raise MissingRun(
                f"run {run_folder.name!r} has no final model; make it first: "
                f"expresso run 03_finetune --params {run_folder.name}"
            )
        model, recipe = models.load(path)
        table, scores = (
            pd.read_parquet(run_folder / "tables" / f"{name}.parquet")
            for name in ("predictions", "model_scores")
        )
        found = models.summary(scores, recipe["recipe"])
        return cls(
            model.eval(),
            recipe,
            cohort.Cohort.load(run_folder / "data" / "cohort"),
            table[table["recipe"] == recipe["recipe"]],
            (found["mae"], found["null_mae"]),
        )

    def outside(self, path: Path) -> str:
        """Say why a recording is not of the training domain; empty if it is one of its files."""
        known = {Path(str(p)).resolve() for p in self.cohort.recordings["path"]}
        if path.resolve() in known:
            return ""
        whom = "rendered faces" if self.cohort.demo else f"the recordings of {self.cohort.name}"
        return (
            f"The model behind this card was trained on {whom}, of which this recording is "
            "none. Its prediction tells nothing about this person."
        )


def explain(
    path: Path,
    *,
    landmarks: Path | None = None,
    aus: Path | None = None,
    out: Path,
    run_folder: Path,
    show_face: bool = False,
) -> Path:
    """Explain one recording and write its card.

    Parameters
    ----------
    path : Path
        The video.
    landmarks : Path, optional
        68 landmarks as OpenFace's CSV; without it S3FD and FAN find them.
    aus : Path, optional
        Action units as OpenFace's or Py-Feat's CSV; without it, proxies from the landmarks.
    out : Path
        Folder for ``card.html``, ``overlay-*.mp4``, ``clips.csv``, ``regions.csv``,
        ``frames.csv``, ``action_units.csv``.
    run_folder : Path
        ``build/<run>`` whose final model explains.
    show_face : bool
        Draw on the video itself. By default movements are drawn on the average rendered face.

    Returns
    -------
    Path
        The card.
    """
    _checks.existing_file(path, "video")
    info = video.probe(path)
    reader = Reader.of(run_folder)
    track = _track(path, landmarks, info)
    units = (
        action_units.read(aus, n_frames=info.n_frames)
        if aus
        else action_units.proxies(track.landmarks)
    )
    store.make_folder(out)
    archive = clips.prepare(
        path,
        track,
        size=int(reader.recipe["size"]),
        rate=float(reader.recipe["domain"]["fps"]),
        input=reader.recipe["input"],
    )
    rows, note = _windows(archive, int(reader.recipe["frames"]))
    logger.info("%d clips of %d frames", *rows.shape)
    explained = explanation.explain(archive, reader.model, rows, channels=CHANNELS)
    case = _case(path, reader, explained, units)
    facts = {
        "model": f"{reader.recipe['model']}, weights {reader.recipe['weights']}, run "
        f"{run_folder.name}",
        "faces found": f"{track.found.mean():.0%} of {track.n_frames} frames",
        "action units": str(units.attrs["source"]),
    } | ({"clips": note} if note else {})
    permission = drawing.Permission(show_face)
    return write(case, archive, out, permission=permission, path=path, facts=facts)


def write(
    case: report.Case,
    archive: clips.ClipArchive,
    out: Path,
    *,
    permission: drawing.Permission,
    path: Path | None = None,
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write a case's card, its overlay videos and its tables into a folder; return the card."""
    drawn = report.illustrate(
        case, archive, permission, out, path=path, chosen=len(case.explanation.channels)
    )
    for name, table in _tables(case).items():
        store.write_text(out / f"{name}.csv", table.to_csv(index=False))
    more = {"pictures": permission.note} if permission.note else {}
    return report.write_card(out / "card.html", case, facts=dict(facts or {}) | more, **drawn)


def _track(path: Path, landmarks: Path | None, info: video.VideoInfo) -> faces.FaceTrack:
    if landmarks is not None:
        return faces.from_table(
            _checks.existing_file(landmarks, "landmarks table"),
            n_frames=info.n_frames,
            fps=info.fps,
        )
    from expresso_lib.faces import s3fd_fan  # torch and the networks: only where no table was given

    return s3fd_fan.track(path, s3fd_fan.load("sfd"), s3fd_fan.Options())


def _windows(archive: clips.ClipArchive, length: int) -> tuple[np.ndarray, str]:
    """Return the clips' rows, and a note where the recording is shorter than one clip."""
    fitting = min(length, archive.n_frames)
    rows = clips.windows(archive.n_frames, fitting)
    note = (
        ""
        if fitting == length
        else (
            f"the recording has {fitting} frames at {archive.fps:g} per second, fewer than the "
            f"{length} of a clip the model was trained on"
        )
    )
    return rows, note


def _case(
    path: Path, reader: Reader, explained: explanation.Explanation, units: pd.DataFrame
) -> report.Case:
    outside = reader.outside(path)
    interval = reader.recipe["interval"]
    # The interval is about predictions for people whom no fit has seen.
    seen = path.stem in set(reader.predictions["recording"])
    held_out = report.of_recording(reader.predictions, path.stem).prediction if seen else None
    return report.Case(
        recording=path.stem,
        explanation=explained,
        action_units=units,
        scale=reader.cohort.scale,
        half_width=None if outside or not seen else float(interval["half_width"]),
        held_out=None if outside else held_out,
        level=float(interval["level"]),
        errors=reader.errors,
        outside=outside,
        data=f"Recording {path.name}" if outside else reader.cohort.name,
    )


def _tables(case: report.Case) -> dict[str, pd.DataFrame]:
    regions = [
        case.regions(c).assign(method=c.method, baseline=c.baseline)
        for c in case.explanation.channels
    ]
    frames = [
        case.frames.assign(
            method=c.method, baseline=c.baseline, attribution=case.series(c).sum(axis=1)
        )
        for c in case.explanation.channels
    ]
    return {
        "clips": case.clips(),
        "regions": pd.concat(regions),
        "frames": pd.concat(frames),
        "action_units": case.action_units,
    }
