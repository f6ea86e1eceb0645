"""Reader of GRID: speakers, each saying sentences of six words; the score is how long they speak.

Where and when the answer lies is known though nobody rendered it: at the mouth, between the first
and the last word of the sentence's alignment.
"""

import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from expresso_lib.cohort import core
from expresso_lib.faces import video

SPEAKER = re.compile(r"s\d{1,2}")
LINE = re.compile(r"\s*(\d+)\s+(\d+)\s+(\S+)\s*")
SILENCE = ("sil", "sp")
# An alignment counts in 1/25000 s whatever the picture's rate: 1000 of them are one frame at 25/s.
PER_SECOND = 25_000
SPARE = 0.1  # seconds that a last line may reach beyond the last frame


class Speech(NamedTuple):
    """What an alignment says, seconds from the first frame."""

    seconds: float  # spoken, pauses between words left out
    first: float  # the first word begins
    last: float  # the last word ends


def read(source: core.Source) -> core.Read:
    """Read every clip that has a speaker's folder (``s1`` …) in its path.

    Its alignment, ``bbaf2n.align`` of ``s1/bbaf2n.mpg``, lies beside it or in any folder of the
    same speaker. The table of recordings has `speech_start` and `speech_end`, seconds.
    """
    root, rows = source.root, []
    aligned = {_key(path): path for path in core.files_below(root, (".align",))}
    for path in core.files_below(root, core.VIDEO_SUFFIXES):
        speaker, name = _key(path)
        if not speaker:
            why = "no folder of its path names a speaker (s1, s2, …)"
            source.left_out(why, "Keep GRID's folders.", path)
            continue
        row = {"participant": speaker, "recording": f"{speaker}_{name}", "path": path}
        try:
            rows.append(row | _measured(root, path, aligned.get((speaker, name))))
        except (core.CohortError, video.VideoError) as error:
            source.left_out(str(error), "Copy it again.", row["recording"])
    if not rows:
        why = f"{root} holds no clip with its alignment, as s1/bbaf2n.mpg and s1/bbaf2n.align"
        raise core.CohortError(f"{why}:\n{source.text()}")
    return pd.DataFrame(rows), core.ScoreScale("seconds of speech", 0, 3, unit="s"), None


def speech(path: str | Path) -> Speech:
    """Read an alignment: lines of start, end and word.

    Raises
    ------
    CohortError
        Where a line is none, times do not increase, or nothing is said.
    """
    words, before = [], 0
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        if not (parts := LINE.fullmatch(line)):
            raise core.CohortError(f"line {number} of {path} is {line!r}, not 'start end word'")
        start, end = int(parts[1]), int(parts[2])
        if not before <= start < end:
            raise core.CohortError(f"line {number} of {path}: times must increase")
        before = end
        if parts[3] not in SILENCE:
            words.append((start / PER_SECOND, end / PER_SECOND))
    if not words:
        raise core.CohortError(f"{path} has no word")
    return Speech(sum(end - start for start, end in words), words[0][0], words[-1][1])


def _key(path: str) -> tuple[str, str]:
    folders = [part for part in Path(path).parts[:-1] if SPEAKER.fullmatch(part)]
    return (folders[-1] if folders else ""), Path(path).stem


def _measured(root: Path, path: str, alignment: str | None) -> dict[str, float]:
    if alignment is None:
        raise core.CohortError("its alignment (.align) is not there")
    info, said = video.probe(root / path), speech(root / alignment)
    seconds = float(info.times[-1] + 1 / info.fps)
    if said.last > seconds + SPARE:
        raise core.CohortError(f"its last word ends at {said.last:.2f} s, the clip at "
                               f"{seconds:.2f} s: {alignment} is of another clip")  # fmt: skip
    seen = {"fps": info.fps, "n_frames": info.n_frames}
    heard = {"speech_start": said.first, "speech_end": said.last}
    return {"score": round(said.seconds, 3)} | seen | heard
