"""MediaPipe's Face Landmarker: a mesh, the irises, 52 blendshapes and the head, on any CPU.

For everybody who wants an answer today; the paper's S3FD and FAN stay the replication's trackers.
A recording streams through; every face in a frame is linked to a person by where it was, the person
seen in most frames is followed, the others are counted. A frame without that person is NaN.

MediaPipe tells its maker how it is used (its privacy notice of June 2026; pictures are not sent).
Recordings of people are analysed here, so nothing is: while it works, it finds no way out.
"""

import importlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from expresso_lib import manifest
from expresso_lib.faces import anatomy, video
from expresso_lib.faces import track as tracks

log = logging.getLogger(__name__)

WEIGHTS = "weights_face_landmarker"
# Vertices of the mesh that stand for the 68 iBUG points: jaw; brows; nose; eyes; lips. No list is
# official. Where Py-Feat 2.1's and others' differ, or a neighbour halves the distance from the
# true points of rendered faces in two halves of the people, that vertex was taken (in pairs).
VERTICES = np.array([
    127, 93, 132, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 361, 323, 356,
    70, 63, 105, 65, 55, 285, 295, 334, 293, 300, 168, 6, 195, 4, 235, 97, 2, 326, 455,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91, 78, 82, 13, 312, 308, 317, 14, 87,
])  # fmt: skip
# Each eye: centre of the iris, the corner on the image's left, the one on its right.
IRISES = np.array([[468, 33, 133], [473, 362, 263]])
# Corners of the lids stand 30 mm apart and the iris turns on a radius of 11.5 mm (our rendered
# faces; adults' means are within a millimetre or two).
CORNERS_PER_RADIUS = 30 / 11.5
HEAD = ("yaw", "pitch", "roll", "gaze_x", "gaze_y")
SHUT = 0.5  # eyeBlink above which there is no gaze
MOST = 4  # faces looked for in a frame
NOWHERE = "http://127.0.0.1:9"  # a port that nobody serves


class _Face(NamedTuple):
    """One face of one frame: points (68, 2), and what else is said of it."""

    points: np.ndarray
    signals: dict[str, float]


def track(path: str | Path, *, folder: str | Path | None = None, face: int = 0) -> tracks.FaceTrack:
    """Follow one person's face through a recording, in memory that does not grow with its pictures.

    Parameters
    ----------
    path : the recording.
    folder : where the model file lies, or is put.
    face : 0 is the person seen in most frames, 1 the next.

    Returns
    -------
    FaceTrack
        With signals ``faces`` (in the frame), ``face`` (which is followed), ``yaw pitch roll``
        (degrees, signs of `quality.pose`), ``gaze_x gaze_y`` (radians from the camera, to the
        image's right and down; NaN while the eyes are shut) and the blendshapes (0 to 1) by
        MediaPipe's names.
        Confidence is 1 where the face was found: MediaPipe gives none.

    Raises
    ------
    ImportError
        Without the package, naming the extra.
    FetchError, ManifestError
        Offline without the model file, or with another file in its place.
    ValueError
        Where `face` asks for more people than were seen.
    """
    info = video.probe(path)
    model = manifest.fetch(WEIGHTS, folder=folder or None)
    all_found: list[tuple[int, _Face]] = []
    count = np.zeros(info.n_frames)
    with _landmarker(model) as look:
        for frame in video.read_frames(path):
            found = look(frame.image, round(1000 * frame.number / info.fps))
            count[frame.number] = len(found)
            all_found += [(frame.number, one) for one in found]
    points = np.full((len(count), anatomy.N_LANDMARKS, 2), np.nan, np.float32)
    signals = {"faces": count, "face": np.full(len(count), float(face))}
    people = _people(all_found)
    if face and face >= len(people):
        raise ValueError(f"face {face} of {path}: {len(people)} were seen; count from 0.")
    seen = ", ".join(str(len(one)) for one in people) or "none"
    text = "%s: faces seen in so many of %d frames: %s; number %d is followed"
    log.info(text, path, len(count), seen, face)
    if people:
        frames, faces = zip(*people[face])
        points[list(frames)] = [one.points for one in faces]
        series = pd.DataFrame([one.signals for one in faces], frames).reindex(range(len(count)))
        signals |= {str(name): values.to_numpy() for name, values in series.items()}
    return tracks.from_landmarks(points, np.ones(len(count)), info.fps, "mediapipe", signals)


@contextmanager
def _landmarker(model: Path) -> Iterator[Callable[[np.ndarray, int], list[_Face]]]:
    """Give a function from a picture and its milliseconds to its faces."""
    try:
        media = importlib.import_module("mediapipe")
    except ImportError as error:
        raise ImportError(
            f"the tracker mediapipe is not installed ({error}); run: pip install -e '.[mediapipe]'"
        ) from error
    vision = media.tasks.vision
    asked = vision.FaceLandmarkerOptions(
        base_options=media.tasks.BaseOptions(model_asset_path=str(model)),
        running_mode=vision.RunningMode.VIDEO,
        num_faces=MOST,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )

    def look(image: np.ndarray, milliseconds: int) -> list[_Face]:
        picture = media.Image(image_format=media.ImageFormat.SRGB, data=image)
        with _hushed():
            found = network.detect_for_video(picture, milliseconds)
        turns = found.facial_transformation_matrixes
        faces = zip(found.face_landmarks, found.face_blendshapes, turns)
        return [_face(*one, np.array(image.shape[1::-1])) for one in faces]

    with silenced():
        with _hushed():
            made = vision.FaceLandmarker.create_from_options(asked)
        with made as network:
            yield look


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep what MediaPipe writes to standard error off it: no setting of its own does."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def silenced() -> Iterator[None]:
    """Send what this process would tell over https to a closed door of this very machine."""
    before = os.environ.get("https_proxy")
    os.environ["https_proxy"] = NOWHERE
    try:
        yield
    finally:
        del os.environ["https_proxy"]
        if before is not None:
            os.environ["https_proxy"] = before


def _face(mesh: Any, shapes: Any, matrix: np.ndarray, sides: np.ndarray) -> _Face:
    wanted = np.concatenate([VERTICES, IRISES.ravel()])
    # Shares of the picture count from its edge, our pixels from the centre of the first.
    points = np.array([(mesh[i].x, mesh[i].y) for i in wanted]) * sides - 0.5
    # The first blendshape is "neutral".
    scores = {shape.category_name: shape.score for shape in shapes[1:]}
    turn = _pose(np.asarray(matrix)[:3, :3])
    eyes = _gaze(points[len(VERTICES) :].reshape(2, 3, 2)) + np.radians(turn[:2])
    if (scores["eyeBlinkLeft"] + scores["eyeBlinkRight"]) / 2 > SHUT:
        eyes = np.full(2, np.nan)
    head = dict(zip(HEAD, [*turn, *eyes]))
    return _Face(points[: len(VERTICES)].astype(np.float32), head | scores)


def _pose(turn: np.ndarray) -> np.ndarray:
    """Yaw, pitch and roll in degrees from MediaPipe's matrix (x right, y up, z to the camera)."""
    turn = turn / np.linalg.norm(turn[:, 0])
    yaw = np.arctan2(turn[0, 2], turn[2, 2])
    pitch = np.arcsin(np.clip(-turn[1, 2], -1, 1))
    return np.degrees([yaw, pitch, -np.arctan2(turn[1, 0], turn[1, 1])])


def _gaze(eyes: np.ndarray) -> np.ndarray:
    """Turn of the eyes in the head, radians to the image's right and down, from (2, 3, 2) points.

    >>> _gaze(np.array([[[5., 0], [0, 0], [10, 0]], [[26, 1], [20, 0], [30, 0]]])).round(2)
    array([0.13, 0.13])
    """
    # As complex numbers one quotient gives the shares along and across the line of the corners.
    iris, left, right = (eyes @ np.array([1, 1j])).T
    share = (iris - (left + right) / 2) / (right - left + 1e-9)
    moved = np.stack([share.real, share.imag], axis=1)
    return np.arcsin(np.clip(CORNERS_PER_RADIUS * moved, -1, 1)).mean(axis=0)


def _people(found: list[tuple[int, _Face]]) -> list[list[tuple[int, _Face]]]:
    """The frames and faces of every person, who is seen most first, and of them the largest."""
    if not found:
        return []
    boxes = tracks.boxes_of(np.stack([face.points for _, face in found]))
    who = tracks.linked(np.array([frame for frame, _ in found]), boxes)
    rows = [np.flatnonzero(who == one) for one in range(who.max() + 1)]
    rows.sort(key=lambda own: (-len(own), -boxes[own[-1], 2:].prod()))
    return [[found[row] for row in own] for own in rows]
