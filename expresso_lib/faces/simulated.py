"""A stand-in for a landmark network on the demo cohort: the truth, spoilt in two stated ways.

It shows what the pipeline does with imperfect landmarks where no weights are installed. It says
nothing about how well a real network finds a face; every figure that rests on it says so.
"""

import numpy as np

from expresso_lib.faces import track

# FAN sees a square of 200/195 times the box's width + height (face-alignment 1.5).
CROP_SHARE, HEATMAP = 200 / 195, 64  # cells along a side
BOUT = 4.0  # mean length of a lost bout, frames


def simulate(truth: np.ndarray, fps: float, *, seed: int, dropout: float = 0.01) -> track.FaceTrack:
    """Spoil true landmarks as a heat map does, and lose bouts of frames.

    The heat map's peak cell is known, and the side on which its neighbour is higher: a coordinate
    is right to a quarter of a cell.

    Parameters
    ----------
    truth : (F, 68, 2) true landmarks, pixels.
    fps : frames per second.
    seed : of the lost frames; the quantisation is not random.
    dropout : share of frames lost, 0 to 1.
    """
    truth = np.asarray(truth, np.float64)
    boxes = track.boxes_of(truth).astype(np.float64)
    # The crop follows the landmarks of the frame before, as the tracker's does.
    boxes = np.concatenate([boxes[:1], boxes[:-1]])
    side = CROP_SHARE * boxes[:, 2:].sum(axis=1)
    corner = boxes[:, :2] + boxes[:, 2:] / 2 - side[:, None] / 2
    half_cell = (side / HEATMAP / 2)[:, None, None]
    steps = np.floor((truth - corner[:, None]) / half_cell)
    points = corner[:, None] + (steps + 0.5) * half_cell
    points[lost_bouts(len(truth), dropout, BOUT, seed)] = np.nan
    return track.from_landmarks(points, np.ones(len(truth)), fps, "simulated")


def lost_bouts(n_frames: int, share: float, length: float, seed: int) -> np.ndarray:
    """Bool (F,), True in bouts of geometric length that cover `share` of frames on average."""
    rng = np.random.default_rng(seed)
    leave = 1 / length
    enter = leave * share / (1 - share)
    lost, now = np.zeros(n_frames, bool), bool(rng.random() < share)
    for frame, draw in enumerate(rng.random(n_frames)):
        now = draw >= leave if now else draw < enter
        lost[frame] = now
    return lost
