"""Tracks from another tool's table: OpenFace or Py-Feat, told apart by their columns."""

from __future__ import annotations

from pathlib import Path

from expresso_lib.faces import tables, track


def from_table(
    path: str | Path, *, n_frames: int | None = None, fps: float, face: int | None = None
) -> track.FaceTrack:
    """Read 68 landmarks by frame number; row f is frame f whatever rows the table left out.

    Parameters
    ----------
    path : CSV of OpenFace (with ``-2Dfp``) or Py-Feat.
    n_frames : frames of the recording; the table's last frame + 1 by default.
    fps : frames per second of the recording; the table's time stamps are not trusted.
    face : number of the face in the table; the one seen with most confidence by default.

    Raises
    ------
    TableError
        Where the table cannot be read or holds no 68 landmarks.
    """
    table = tables.read_faces(path)
    rows = tables.by_frame(table, n_frames, face=face)
    source = "pyfeat" if "FaceScore" in table else "openface"
    confidence = rows["confidence"].to_numpy(float)
    return track.from_landmarks(tables.landmarks(rows), confidence, fps, source)
