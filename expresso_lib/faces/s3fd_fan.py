"""S3FD finds the face, FAN places 68 points (Zhang et al. 2017; Bulat & Tzimiropoulos 2017).

The networks and the reading of their maps are face-alignment's; how they are run is ours. A
recording streams through in bounded memory. Detection sees a scaled frame every few frames; in
between the box comes from the last landmarks, standing to them as the detected box stood, and
detection is called early when the landmarks are unsure or the box jumps. One person is followed: a
newcomer never takes over a box.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from face_alignment.detection.sfd.detect import get_predictions
from face_alignment.detection.sfd.net_s3fd import s3fd
from face_alignment.models import FAN
from face_alignment.utils import get_preds_fromhm
from torch import nn
from torchvision.ops import nms

from expresso_lib import _checks, manifest
from expresso_lib.faces import anatomy, video
from expresso_lib.faces import track as tracks

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
CROP, HEATMAP = 256, 64  # pixels of FAN's input, cells of its output
# The square that FAN sees: its centre above the box's by this share of its height, its side this
# share of width + height (constants of face-alignment 1.5, as the weights were trained).
LIFT, SIDE = 0.12, 200 / 195
MEAN_BGR = np.array([104, 117, 123], np.float32)
SMALLEST = 64  # S3FD halves six times: smaller pictures are padded
FACE = 0.5  # score from which a detection is a face
SURE = 0.5  # mean peak of the heat maps below which a face is looked for again
JUMP = 0.25  # so far `apart` boxes of neighbouring frames may be, else it is looked for again
PATIENCE = 1.0  # seconds; lost for longer, the largest face anywhere is followed


class WeightsError(ValueError):
    """A weight file that does not fit; the message names it and the remedy."""


@dataclass(frozen=True)
class Options:
    """How the networks are run; the defaults suit a CPU."""

    every: int = 10  # frames between detections, at most
    side: int = 320  # pixels; longest side of the picture that detection sees
    hold: int = 1  # frames that share a box and go through FAN together (a GPU likes many)
    flip: bool = True  # average with the mirrored face: half the speed, less noise


class Networks:
    """S3FD and FAN on one device."""

    def __init__(
        self, detector: nn.Module, fan: nn.Module, device: str = "cpu", precision: str = "float32"
    ) -> None:
        _checks.one_of(precision, PRECISIONS, "precision")
        self.device, self.dtype = torch.device(device), PRECISIONS[precision]
        for network in (detector, fan):
            network.to(self.device, self.dtype).to(memory_format=torch.channels_last).eval()
        self._detector, self._fan = detector, fan

    def _input(self, pictures: np.ndarray) -> torch.Tensor:
        # NHWC memory seen as NCHW is channels_last already: no copy is made.
        return torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).to(self.dtype)

    @torch.inference_mode()
    def detect(self, image: np.ndarray, *, side: int = 320) -> np.ndarray:
        """Find faces in uint8 (H, W, 3) RGB: float32 (K, 5) left, top, right, bottom, score.

        `side` is the longest side, pixels, of the picture that the network sees.
        """
        scale = min(side / max(image.shape[:2]), 1.0)
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        short = [max(SMALLEST - n, 0) for n in small.shape[:2]]
        padded = np.pad(small, ((0, short[0]), (0, short[1]), (0, 0)))
        bgr = padded[None, ..., ::-1].astype(np.float32) - MEAN_BGR
        maps = [one.float() for one in self._detector(self._input(bgr))]
        maps[::2] = [one.softmax(dim=1) for one in maps[::2]]
        found = get_predictions([one.cpu().numpy() for one in maps], 1).reshape(-1, 5)
        found = found[np.isfinite(found).all(axis=1) & (found[:, 4] > FACE)].astype(np.float32)
        distinct = nms(torch.from_numpy(found[:, :4]), torch.from_numpy(found[:, 4]), 0.3)
        back = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
        found[:, :4] *= np.tile(back, 2).astype(np.float32)
        return found[distinct.numpy()]

    @torch.inference_mode()
    def place(self, crops: np.ndarray, *, flip: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Place points in FAN's crops, uint8 (B, 256, 256, 3).

        Returns
        -------
        ndarray, ndarray
            float32 (B, 68, 2) cells of the heat map (0 to 64), and (B,) mean height of the peaks,
            0 to 1.
        """
        pictures = self._input(crops) / 255
        maps = self._fan(pictures)[-1].float()
        if flip:
            mirrored = self._fan(pictures.flip(-1))[-1].float()
            maps = (maps + mirrored.flip(-1)[:, anatomy.MIRROR]) / 2
        cells, _, peaks = get_preds_fromhm(maps.cpu().numpy())
        return cells, peaks.mean(axis=1).clip(0, 1)


def load(
    *,
    folder: str | Path | None = None,
    files: Mapping[str, str | Path] | None = None,
    device: str = "cpu",
    precision: str = "float32",
) -> Networks:
    """Load the networks; weights are fetched on first use and their hash is checked.

    Parameters
    ----------
    folder : where the weights lie or are put; the manifest's place by default.
    files : paths under the names ``sfd`` and ``fan``, used as they are (own training: no hash).
    device : ``cpu`` or ``cuda``.
    precision : ``float32``, ``bfloat16`` or ``float16``.

    Raises
    ------
    FetchError
        Offline without weights: names the file, its source, its hash and where to put it.
    WeightsError
        Where a file is no weights of this network.
    """
    given, fetch = dict(files or {}), partial(manifest.fetch, folder=folder or None)
    fan = _filled(FAN(4), given.get("fan") or fetch("weights_fan"))
    finder = _filled(s3fd(), given.get("sfd") or fetch("weights_s3fd"))
    return Networks(finder, fan, device, precision)


def track(path: str | Path, networks: Networks, options: Options | None = None) -> tracks.FaceTrack:
    """Follow one person's face through a recording, in memory that does not grow with it.

    Parameters
    ----------
    path : the recording.
    networks : of `load`.
    options : how they are run.
    """
    info, how = video.probe(path), options or Options()
    points = np.full((info.n_frames, anatomy.N_LANDMARKS, 2), np.nan, np.float32)
    confidence = np.zeros(info.n_frames, np.float32)
    follower = _Follower(networks, how, info.fps)
    frames = video.read_frames(path)
    while chunk := list(islice(frames, how.hold)):
        placed = follower.follow([frame.image for frame in chunk])
        for frame, (found, trust) in zip(chunk, placed):
            points[frame.number], confidence[frame.number] = found, trust
    return tracks.from_landmarks(points, confidence, info.fps, "s3fd_fan")


class _Follower:
    """The state between frames: where the face was, and how its box stands to its landmarks."""

    def __init__(self, networks: Networks, options: Options, fps: float) -> None:
        self.networks, self.options = networks, options
        self.patience = PATIENCE * fps
        self.box: np.ndarray | None = None  # x, y, width, height for the next frame
        self.last: np.ndarray | None = None  # the last box that held the face
        self.previous = np.empty((0, anatomy.N_LANDMARKS, 2))  # the last frame's landmarks
        self.relation = np.zeros(4)  # detected box against landmark box, in the latter's sides
        self.since = self.lost = 0

    def follow(self, images: list[np.ndarray]) -> list[tuple[np.ndarray, float]]:
        """Place landmarks in neighbouring frames: (68, 2) and confidence each, NaN where lost."""
        out: list[tuple[np.ndarray, float]] = []
        while images:
            fresh = self.box is None or self.since >= self.options.every
            if fresh:
                self.box, self.since = self._detect(images[0]), 0
            if self.box is None:
                out.append((np.full((anatomy.N_LANDMARKS, 2), np.nan, np.float32), 0.0))
                self.lost += 1
                images = images[1:]
                continue
            room = max(1, self.options.every - self.since)  # until the next detection
            points, trust = self._place(images[:room], self.box)
            kept = self._kept(points, trust, fresh)
            out += list(zip(points[:kept], trust[:kept].tolist()))
            if kept:
                self._advance(points[:kept], fresh)
            if kept < len(points):
                self.since = self.options.every  # something is wrong: look again
            images = images[kept:]
        return out

    def _detect(self, image: np.ndarray) -> np.ndarray | None:
        found = self.networks.detect(image, side=self.options.side)
        found[:, 2:4] -= found[:, :2]  # from corners to sides
        chosen = choose(found, self.last if self.lost <= self.patience else None, self.lost)
        return None if chosen is None else found[chosen, :4].astype(np.float64)

    def _place(self, images: list[np.ndarray], box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        width, height = np.maximum(box[2:], 1.0)
        centre = box[:2] + box[2:] / 2 - np.array([0.0, LIFT * height])
        side = SIDE * float(width + height)
        scale = CROP / side
        shift = CROP / 2 - 0.5 - (centre - 0.5) * scale
        matrix = np.column_stack([np.eye(2) * scale, shift])
        crops = np.stack([video.warp(image, matrix, CROP) for image in images])
        cells, trust = self.networks.place(crops, flip=self.options.flip)
        # Cells count from the crop's edge, our pixels from the centre of the first.
        points = centre - side / 2 + cells * (side / HEATMAP) - 0.5
        return points.astype(np.float32), trust

    def _kept(self, points: np.ndarray, trust: np.ndarray, fresh: bool) -> int:
        """How many leading frames need no new detection; one just detected is always kept."""
        series = np.concatenate([points[:1] if fresh else self.previous, points])
        steps = pairwise(tracks.boxes_of(series))
        jumps = np.array([tracks.apart(now[None], before)[0] for before, now in steps])
        bad = (jumps > JUMP) | (trust < SURE)
        bad[0] &= not fresh
        return int(np.argmax(bad)) if bad.any() else len(points)

    def _advance(self, points: np.ndarray, fresh: bool) -> None:
        boxes = tracks.boxes_of(points).astype(np.float64)
        if fresh and self.box is not None:
            self.relation = (self.box - boxes[0]) / np.tile(boxes[0, 2:], 2)
        self.box = boxes[-1] + self.relation * np.tile(boxes[-1, 2:], 2)
        self.last, self.previous = self.box, points[-1:]
        self.since, self.lost = self.since + len(points), 0


def choose(found: np.ndarray, last: np.ndarray | None, lost: int = 0) -> int | None:
    """Say which detection is the person followed, or None.

    Parameters
    ----------
    found : (K, 5) x, y, width, height, score.
    last : (4,) box where the face was last; None to take the largest times score.
    lost : frames since; the face may have moved a tenth of its side in each.
    """
    if not len(found):
        return None
    if last is None:
        sides = np.sqrt(np.maximum(found[:, 2:4], 0).prod(axis=1))
        return int(np.argmax(sides * found[:, 4]))
    away = tracks.apart(found[:, :4], last)
    nearest = int(np.argmin(away))
    return nearest if away[nearest] < tracks.near(lost) else None


def _filled(network: nn.Module, path: str | Path) -> nn.Module:
    path = _checks.existing_file(path, "weights")
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises many kinds on a file that is no checkpoint
        raise WeightsError(
            f"{path} is no weights of {type(network).__name__}; delete it and fetch it again."
        ) from error
    return network
