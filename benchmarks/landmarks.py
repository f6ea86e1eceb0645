"""Goal 1: landmarks of a recording, against face-alignment called frame by frame.

The reference is the library's own code with its own networks: S3FD on every whole frame, then FAN
with its mirror image, in float32 and without compilation. Weights are random, for cost does not
depend on them; what the networks answer is replaced by a face that holds still, for ours and theirs
alike, after they have computed it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from face_alignment import FaceAlignment
from face_alignment.detection.sfd.net_s3fd import s3fd
from face_alignment.detection.sfd.sfd_detector import SFDDetector
from face_alignment.models import FAN

from expresso_lib import manifest, rendered
from expresso_lib.faces import mediapipe, s3fd_fan

from . import explain, measure

SHAPE, FRAMES, BOX = (480, 640, 3), 10, (220.0, 120.0, 420.0, 380.0)
TRACKED = 50  # frames that MediaPipe follows: its start, once a recording, must not count for much


class Still(s3fd_fan.Networks):
    """Our networks, whose answers are replaced by a face that holds still once they are known."""

    def detect(self, image: np.ndarray, **options: Any) -> np.ndarray:
        """Compute, then say where the face is."""
        super().detect(image, **options)
        return np.array([[*BOX, 0.9]], np.float32)

    def place(self, crops: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
        """Compute, then place the landmarks on a grid."""
        super().place(crops, **options)
        grid = np.stack([16 + np.arange(68) % 8 * 4, 16 + np.arange(68) // 8 * 4], -1)
        return (
            np.repeat(grid[None].astype(np.float32), len(crops), 0),
            np.full(len(crops), 0.9, np.float32),
        )


ON_GPU = "S3FD and FAN on a GPU, frames/s at 640x480, k = 10 (bf16, no flip)"
GPU_BAR = 400


def run(quick: bool = False) -> list[dict[str, Any]]:
    """Return the goal's lines: same class, fast, and on a GPU frames per second."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    detector, fan = s3fd().eval(), FAN(4).eval()
    with torch.no_grad():  # random scores find faces everywhere: lean towards none
        for name, bias in detector.named_parameters():
            if name.endswith("conf.bias"):
                bias[-1] = -8
    images = list(np.random.default_rng(0).integers(0, 255, (FRAMES, *SHAPE), np.uint8))
    if torch.cuda.is_available():
        return [_gpu(detector, fan, images)]
    tiles = measure.has_tiles()
    fast = Still(_copy(detector), _copy(fan), precision="bfloat16" if tiles else "float32")
    same = Still(_copy(detector), _copy(fan))
    theirs = _reference(detector, fan)
    trackers = {
        "reference": lambda: _by_frame(theirs, images),
        "same": lambda: _follow(same, images, s3fd_fan.Options()),
        "fast": lambda: _follow(fast, images, s3fd_fan.Options(flip=False)),
    }
    with tempfile.TemporaryDirectory() as folder:
        if explain.at_hand():
            film = explain.enlarged(Path(folder) / "face.mp4", TRACKED)
            trackers["mediapipe"] = lambda: mediapipe.track(film)
        seconds = measure.interleave(trackers, rounds=1 if quick else 3)
    shift, note = _shift()
    per_frame = seconds["reference"] / FRAMES
    return [
        measure.goal(
            1,
            "landmarks, same class (fp32, flip, detect at 320, k = 10)",
            seconds["reference"] / seconds["same"],
            2.5,
            "higher",
            gate=shift <= 0.5,
            note=f"reference {per_frame:.2f} s per frame; {note}",
        ),
        measure.goal(
            1,
            f"landmarks, fast ({'bf16' if tiles else 'fp32'}, no flip)",
            seconds["reference"] / seconds["fast"],
            15 if tiles else 4.5,
            "higher",
            gate=shift <= 0.5,
            note=note,
        ),
        measure.absent(1, ON_GPU, GPU_BAR, "higher"),
        _mediapipe(seconds),
    ]


def _mediapipe(seconds: Mapping[str, float]) -> dict[str, Any]:
    """MediaPipe's time per frame, beside that of the others in the same run."""
    what = "MediaPipe, ms of CPU per 640x480 frame"
    if "mediapipe" not in seconds:
        return measure.absent(11, what, 20, "lower")
    each = {name: 1000 * seconds[name] / FRAMES for name in ("reference", "same", "fast")}
    note = ("S3FD and FAN in the same run: frame by frame {reference:.0f}, ours {same:.0f}, "
            "fast {fast:.0f} ms").format(**each)  # fmt: skip
    return measure.goal(11, what, 1000 * seconds["mediapipe"] / TRACKED, 20, "lower", note=note)


def _copy(network: torch.nn.Module) -> torch.nn.Module:
    twin = type(network)(4) if isinstance(network, FAN) else type(network)()
    twin.load_state_dict(network.state_dict())
    return twin


def _reference(detector: torch.nn.Module, fan: torch.nn.Module) -> FaceAlignment:
    """Its own objects around networks in memory; its constructors would download weights."""
    finder = SFDDetector.__new__(SFDDetector)
    finder.device, finder.verbose, finder.filter_threshold = "cpu", False, 0.5
    finder.face_detector = detector
    theirs = FaceAlignment.__new__(FaceAlignment)
    theirs.device, theirs.flip_input, theirs.landmarks_type = "cpu", True, 1
    theirs.verbose, theirs.dtype, theirs.max_batch_size = False, torch.float32, 1
    theirs.face_detector, theirs.face_alignment_net = finder, fan
    return theirs


def _by_frame(theirs: FaceAlignment, images: list[np.ndarray]) -> None:
    for image in images:
        theirs.face_detector.detect_from_image(image)
        theirs.get_landmarks_from_image(image, detected_faces=[np.array([*BOX, 0.9])])


def _follow(
    networks: s3fd_fan.Networks, images: list[np.ndarray], options: s3fd_fan.Options
) -> None:
    follower = s3fd_fan._Follower(networks, options, 25.0)
    for start in range(0, len(images), options.hold):
        follower.follow(images[start : start + options.hold])


def _shift() -> tuple[float, str]:
    """Median shift between ours and theirs in the 256-pixel crop, with trained weights."""
    files = {"sfd": manifest.path_of("weights_s3fd"), "fan": manifest.path_of("weights_fan")}
    if not all(path.is_file() for path in files.values()):
        return 0.0, "the landmarks' shift was not measured: no trained weights here"
    networks = s3fd_fan.load(files=files)
    crop = cv2.resize(rendered.average_face(224).image, (s3fd_fan.CROP, s3fd_fan.CROP))
    cells, _ = networks.place(crop[None])
    theirs = _reference(networks._detector, networks._fan)
    # The box for which their crop is the picture itself: 200/195 of width + height is 256.
    half, centre = 256 * 195 / 200 / 4, 128.0
    down = s3fd_fan.LIFT * 2 * half
    box = np.array([centre - half, centre + down - half, centre + half, centre + down + half, 0.9])
    found = theirs.get_landmarks_from_image(crop, detected_faces=[box])[0]
    # They cut the fraction of a pixel off, which moves every point by half a pixel on average.
    shift = float(np.median(np.linalg.norm(found + 0.5 - cells[0] * 4, axis=-1)))
    return shift, f"median shift {shift:.2f} px in the 256 px crop"


def _gpu(
    detector: torch.nn.Module, fan: torch.nn.Module, images: list[np.ndarray]
) -> dict[str, Any]:
    networks = Still(detector, fan, "cuda", "bfloat16")
    options, many = s3fd_fan.Options(hold=10, flip=False), images * 20
    _follow(networks, many, options)
    torch.cuda.synchronize()
    start = time.perf_counter()
    _follow(networks, many, options)
    torch.cuda.synchronize()
    rate = len(many) / (time.perf_counter() - start)
    return measure.goal(1, ON_GPU, rate, GPU_BAR, "higher", note="decoding not included")
