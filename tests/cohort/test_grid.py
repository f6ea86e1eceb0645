"""GRID: seconds of speech from the alignments, one recording per clip, folds by speaker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from expresso_lib import cohort
from expresso_lib.cohort import grid
from expresso_lib.faces import video

REAL = Path(__file__).parents[3] / "shared/real/grid"
ALIGN = "0 10000 sil\n10000 15000 bin\n15000 16000 sp\n16000 40000 now\n40000 49500 sil\n"


@pytest.fixture
def folder(tmp_path):
    """Three speakers with two clips of 50 frames each; one alignment lies in another folder."""
    rng = np.random.default_rng(0)
    for speaker in ("s1", "s2", "s30"):
        for name in ("bbaf2n", "lwbz9s"):
            clip = tmp_path / speaker / "video" / f"{name}.mp4"
            clip.parent.mkdir(parents=True, exist_ok=True)
            frames = rng.integers(0, 255, (50, 32, 48, 3), dtype=np.uint8)
            video.write_video(clip, list(frames), 25.0)
            align = tmp_path / "alignments" / speaker / f"{name}.align"
            align.parent.mkdir(parents=True, exist_ok=True)
            align.write_text(
                ALIGN.replace("40000", str(40000 - 1000 * len(list(tmp_path.rglob("*.align")))))
            )
    return tmp_path


def test_the_score_is_what_is_spoken_without_pauses(folder):
    """5,000 and 24,000 units of 1/25,000 s less the silence between the words."""
    said = grid.speech(folder / "alignments/s1/bbaf2n.align")
    assert said == pytest.approx((29_000 / 25_000, 0.4, 1.6))


def test_every_clip_is_a_recording_of_its_speaker(folder):
    """Two speakers who say the same sentence are two recordings; the speaker is the group."""
    read = cohort.read("grid", folder)
    assert list(read.participants["participant"]) == ["s1", "s2", "s30"]
    assert set(read.recordings["recording"]) == {
        f"{s}_{n}" for s in ("s1", "s2", "s30") for n in ("bbaf2n", "lwbz9s")
    }
    assert not read.faces_may_be_shown
    assert read.scale.title == "seconds of speech (s, 0 to 3)"
    assert {"speech_start", "speech_end"} <= set(read.recordings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 100 sil\n100 hello bin\n", "line 2"),
        ("0 9000 sil\n8000 9500 bin\n", "must increase"),
        ("0 49000 sil\n", "no word"),
        ("10000 90000 bin\n", "of another clip"),
        ("", "no word"),
        ("0 1\xff0 sil\n", "line 1"),  # no UTF-8
    ],
)
def test_a_bad_alignment_leaves_its_clip_out_by_name(folder, text, message):
    """The report names the recording and what is wrong; the others are read."""
    (folder / "alignments/s2/bbaf2n.align").write_text(text, encoding="latin-1")
    read = cohort.read("grid", folder)
    assert len(read.recordings) == 5
    row = read.problems[read.problems["item"] == "s2_bbaf2n"].iloc[0]
    assert message in row["problem"]


def test_a_folder_without_alignments_says_what_it_needs(folder):
    """Nothing usable: the message names the two files a clip needs."""
    for path in folder.rglob("*.align"):
        path.unlink()
    with pytest.raises(cohort.CohortError, match=r"s1/bbaf2n\.mpg and s1/bbaf2n\.align"):
        cohort.read("grid", folder)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not in this checkout")
def test_the_real_clips_are_read_whole():
    """150 clips of ten speakers; speech lasts 1.10 to 2.65 s."""
    read = cohort.read("grid", REAL)
    assert len(read.recordings) == 150
    assert len(read.participants) == 10
    assert read.recordings["score"].between(1.09, 2.66).all()
    assert set(read.recordings["n_frames"]) == {74, 75}
