"""Mutants of good files: bytes flipped, cut out, repeated, moved; the same ones for every seed.

Run as a script, in a process of its own, it reads mutants of some kinds and prints a JSON report
on each; whatever hangs, dies or grows there is seen from outside:

    python tests/hostile.py FOLDER mp4=500 openface=200
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pandas as pd

CONTAINERS = {"mp4": "libx264", "mkv": "libx264", "avi": "mpeg4", "mpg": "mpeg1video"}
SECONDS, MEGABYTES = 20, 500
ODD_CELLS = (
    "", "nan", "-nan(ind)", "inf", "-1", "0.5", "1e400", "99999999999999999999", "1000000000",
    "\x00", "=1+1", '"', "None", "True", "½", "0x10", "1,5", "a" * 5000, "[", "[[1]]", "{}", "null",
)  # fmt: skip


def write_clip(path: Path, codec: str, frames: int = 12) -> Path:
    """A tiny video of a moving edge in any container."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.gop_size = 5
        for f in range(frames):
            image = np.zeros((32, 48, 3), np.uint8)
            image[:, 2 * f :] = 40 + 15 * f
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_table(path: Path, tool: str) -> Path:
    """Five frames of a face, as a tool would write them, or a list of recordings."""
    rng = np.random.default_rng(0)
    frames = np.arange(1, 6)
    points = {f"{axis}_{i}": rng.uniform(10, 90, 5).round(2) for axis in "xy" for i in range(68)}
    units = {"AU04_r": rng.uniform(0, 5, 5).round(2), "AU12_r": rng.uniform(0, 5, 5).round(2)}
    presence = {"AU04_c": [0, 1, 1, 0, 1], "AU12_c": [1, 0, 1, 0, 1]}
    gaze = {
        "gaze_angle_x": rng.normal(size=5).round(3),
        "gaze_angle_y": rng.normal(size=5).round(3),
    }
    plain = {"frame": frames, "face_id": 0, "timestamp": frames / 25}
    tables = {
        "openface": plain | {"confidence": 0.9, "success": 1} | gaze | points | units | presence,
        "pyfeat": {"frame": frames - 1, "FaceScore": 0.9} | points | {"AU04": 0.2, "AU12": 0.7},
        "pyfaceau": {"frame": frames, "success": 1} | units,
        "libreface": {"frame_idx": frames - 1, "au_4_intensity": 1.5, "au_12": 1, "gaze_yaw": 3.0}
        | {f"lm_mp_{i}_{axis}": rng.uniform(0, 1, 5) for i in range(478) for axis in "xy"},
        "mediapipe": {"frame": frames - 1, "browDownLeft": 0.2, "mouthSmileLeft": 0.4}
        | {f"x_{i}": rng.uniform(0, 1, 5) for i in range(478)}
        | {f"y_{i}": rng.uniform(0, 1, 5) for i in range(478)},
        "openface3": {"frame_index": frames - 1, "face_id": 0, "gaze_yaw": 0.1, "gaze_pitch": 0.2,
                      "face_detection": json.dumps([1, 2, 30, 40, 0.9]),
                      "landmarks": json.dumps(rng.uniform(0, 90, (98, 2)).round(1).tolist()),
                      "action_units": json.dumps([[0.1] * 8])},
        "participants": {"participant": list("abcde"), "recording": list("vwxyz"),
                         "path": [f"{i}.mp4" for i in range(5)], "score": [3, 14, 20, 30, 7],
                         "age": 30},
    }  # fmt: skip
    pd.DataFrame(tables[tool]).to_csv(path, index=False)
    return path


def mutant(good: bytes, rng: np.random.Generator) -> bytes:
    """One to three damages of a file."""
    data = bytearray(good)
    for _ in range(rng.integers(1, 4)):
        if not data:
            break
        start = int(rng.integers(len(data)))
        length = int(rng.integers(1, max(len(data) // 4, 2)))
        kind = rng.integers(7)
        if kind == 0:
            for place in rng.integers(len(data), size=rng.integers(1, 30)):
                data[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[start:]
        elif kind == 2:
            del data[start : start + length]
        elif kind == 3:
            data[start : start + length] = rng.bytes(length)
        elif kind == 4:
            data[start : start + length] = bytes(length)
        elif kind == 5:
            data[start:start] = data[start : start + length]
        else:
            place = int(rng.integers(len(data)))
            data[place : place + 8] = b"\xff" * 8
    return bytes(data)


def mutant_table(good: bytes, rng: np.random.Generator) -> bytes:
    """A table with odd cells, columns gone or doubled, rows doubled; or damaged as bytes."""
    if rng.random() < 0.3:
        return mutant(good, rng)
    rows = [line.split(",") for line in good.decode().splitlines()]
    for _ in range(rng.integers(1, 6)):
        kind, column = rng.integers(6), int(rng.integers(min(len(row) for row in rows)))
        if kind < 3:
            row = rows[int(rng.integers(len(rows)))]
            row[int(rng.integers(min(8, len(row))) if kind else column)] = str(
                rng.choice(ODD_CELLS)
            )
        elif kind == 3 and len(rows[0]) > 1:
            rows = [row[:column] + row[column + 1 :] for row in rows]
        elif kind == 4:
            rows = [[*row, row[column]] for row in rows]
        else:
            rows.insert(
                1, list(rows[int(rng.integers(1, len(rows)))] if len(rows) > 1 else rows[0])
            )
    separator = str(rng.choice([",", ",", ",", ";", "\t"]))
    return "\n".join(separator.join(row) for row in rows).encode()


def read_video(path: Path) -> None:
    """Every frame of a recording."""
    from expresso_lib.faces import video

    info = video.probe(path)
    for frame in video.read_frames(path):
        if not 0 <= frame.number < info.n_frames:
            raise AssertionError(f"frame {frame.number} of {info.n_frames}")


def read_points(path: Path) -> None:
    """Landmarks of a table, as a chapter reads them, with and without a video."""
    from expresso_lib.faces import tables

    for n_frames in (None, 5):
        track = tables.from_table(path, n_frames=n_frames, fps=25.0, size=(100, 100))
        if track.landmarks.shape[1:] != (68, 2):
            raise AssertionError(track.landmarks.shape)


def read_faces(path: Path) -> None:
    """Landmarks and action units."""
    from expresso_lib.faces import action_units

    read_points(path)
    for n_frames in (None, 5):
        action_units.read(path, n_frames=n_frames)


def read_units(path: Path) -> None:
    """Action units of a table without landmarks."""
    from expresso_lib.faces import action_units

    action_units.read(path)


def read_people(path: Path) -> None:
    """A folder of one's own that lists its recordings in this table."""
    from expresso_lib import cohort

    cohort.read("folder", path.parent, table=path.name, low=0, high=63)


READERS: dict[str, tuple[Callable[[Path], None], Callable[..., bytes]]] = {
    **dict.fromkeys(CONTAINERS, (read_video, mutant)),
    **dict.fromkeys(("openface", "pyfeat", "libreface", "openface3"), (read_faces, mutant_table)),
    "mediapipe": (read_points, mutant_table),
    "pyfaceau": (read_units, mutant_table),
    "participants": (read_people, mutant_table),
}


def is_ours(error: BaseException) -> bool:
    """Whether a person gets a message of ours: our own class, or raised by our own line."""
    if isinstance(error, MemoryError) or not isinstance(error, ValueError | FileNotFoundError):
        return False
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    return type(error).__module__.startswith("expresso_lib") or "expresso_lib" in last


def main(kind: str, count: int, folder: Path) -> dict[str, object]:
    """Read mutants of one kind; one that computes too long ends the process."""
    read, damage = READERS[kind]
    good = folder / f"good.{kind if kind in CONTAINERS else 'csv'}"
    if kind in CONTAINERS:
        write_clip(good, CONTAINERS[kind])
    else:
        write_table(good, kind)
        for i in range(5):
            write_clip(folder / f"{i}.mp4", "libx264", frames=6 + i)
    read(good)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rng = np.random.default_rng(20)
    counts, strange = {"read": 0, "refused": 0}, []
    for number in range(count):
        path = folder / f"mutant_{number}{good.suffix}"
        path.write_bytes(damage(good.read_bytes(), rng))
        # Seconds of computing, not of waiting: beside busy neighbours a millisecond takes one.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            read(path)
            counts["read"] += 1
            path.unlink()
        except Exception as error:
            counts["refused"] += 1
            if is_ours(error):
                path.unlink()
            else:
                strange.append(f"{path.name}: " + "".join(traceback.format_exception(error)[-3:]))
        signal.setitimer(signal.ITIMER_PROF, 0)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return counts | {"strange": strange, "megabytes": round(grown)}


if __name__ == "__main__":
    import logging

    logging.disable()
    for word in sys.argv[2:]:
        kind, _, count = word.partition("=")
        (place := Path(sys.argv[1], kind)).mkdir()
        print(json.dumps(main(kind, int(count), place) | {"kind": kind}), flush=True)
