"""Cohort: who takes part, what each recording shows, and writing it all to a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from expresso_lib import store
from expresso_lib.faces import anatomy, video
from expresso_lib.faces import truth as truths
from expresso_lib.rendered import dynamics, geometry, planting, scene

# Severity bands of the BDI-II within the scores of the demo cohort (Beck et al., 1996).
BANDS = {"minimal": (0, 13), "mild": (14, 19), "moderate": (20, 28), "severe": (29, 45)}


@dataclass(frozen=True, eq=False)
class Plan:
    """A cohort before it is rendered.

    Attributes
    ----------
    participants : DataFrame
        participant, score, band, age, sex, tone, identity_seed.
    recordings : DataFrame
        participant, recording, task, fps, n_frames, headset, seed.
    planted : DataFrame
        What severity changes (`planting.truth`).
    variant : str
    seed : int
    """

    participants: pd.DataFrame
    recordings: pd.DataFrame
    planted: pd.DataFrame
    variant: str
    seed: int

    @property
    def arguments(self) -> dict[str, Any]:
        """What `plan_cohort` makes this plan from."""
        first = self.recordings.iloc[0]
        return {"participants": len(self.participants),
                "recordings": len(self.recordings) // len(self.participants),
                "seconds": float(first.n_frames / first.fps), "fps": float(first.fps),
                "seed": self.seed, "variant": self.variant}

    def script(self, recording: str) -> scene.Script:
        """Return the script of one recording.

        Raises
        ------
        ValueError
            If the plan has no such recording.
        """
        rows = self.recordings[self.recordings.recording == recording]
        if rows.empty:
            raise ValueError(f"recording {recording!r} is not planned; the plan has "
                             f"{self.recordings.recording.iloc[0]} to "
                             f"{self.recordings.recording.iloc[-1]}.")
        row = rows.iloc[0]
        person = self.participants.set_index("participant").loc[row.participant]
        index = int(row.participant[1:])
        behaviour = planting.behave(planting.variant(self.variant),
                                    float(person.score) / planting.SCORE_MAX,
                                    (self.seed, index, 21), (self.seed, index, int(row.seed), 22),
                                    str(row.task))
        motion = dynamics.perform(behaviour, int(row.n_frames), float(row.fps),
                                  (self.seed, index, int(row.seed), 23))
        identity = _identity(int(person.identity_seed), str(person.sex), int(person.age),
                             int(person.tone))
        return scene.Script(recording, identity, float(row.fps), motion.au, motion.gaze,
                            motion.pose, motion.shift, bool(row.headset), int(row.seed))


@lru_cache(maxsize=64)
def _identity(seed: int, sex: str, age: int, tone: int) -> geometry.Identity:
    return geometry.draw_identity(seed, sex=sex, age=age, tone=tone)


def plan_cohort(participants: int = 84, recordings: int = 2, seconds: float = 10.0,
                fps: float = 25.0, seed: int = 0, variant: str = "default") -> Plan:
    """Plan a cohort: scores stratified over the bands, identities independent of them.

    Parameters
    ----------
    participants, recordings : int
        How many people, and recordings of each (at most 999 and 99); the tasks take turns.
    seconds, fps : float
        Length and frame rate of every recording.
    seed : int
        Everything follows from it.
    variant : str
        See `planting.variant`.

    Raises
    ------
    ValueError
        If a number does not fit or the variant is unknown.

    Examples
    --------
    >>> plan = plan_cohort(4, 2, 2.0, seed=1)
    >>> plan.participants.band.tolist()
    ['mild', 'moderate', 'severe', 'minimal']
    """
    _check(participants, recordings, seconds, fps)
    form = planting.variant(variant)
    rng = np.random.default_rng([seed, 31])
    people = _people(rng, participants, seed)
    n_frames, tasks = round(seconds * fps), list(planting.TASKS)
    lines = []
    for index, person in enumerate(people.itertuples(), start=1):
        chance = .08 + .84 * (float(people.score[index - 1]) / planting.SCORE_MAX)
        for r in range(1, recordings + 1):
            wears = form.headset and np.random.default_rng([seed, index, r, 32]).random() < chance
            lines.append({"participant": person.participant,
                          "recording": f"{person.participant}_R{r}",
                          "task": tasks[(r - 1) % len(tasks)], "fps": float(fps),
                          "n_frames": n_frames,
                          "headset": bool(wears), "seed": _recording_seed(seed, index, r)})
    return Plan(people, pd.DataFrame(lines), planting.truth(form), variant, seed)


def _check(participants: int, recordings: int, seconds: float, fps: float) -> None:
    if not 1 <= participants <= 999 or not 1 <= recordings <= 99:
        raise ValueError(f"{participants} participants x {recordings} recordings does not fit; "
                         "choose 1 to 999 and 1 to 99.")
    if not 5 <= fps <= 120 or not 1 / fps <= seconds <= 3600:
        raise ValueError(f"{seconds} s at {fps} frames/s does not fit; choose 5 to 120 frames/s, "
                         "one frame to 3600 s.")


def _recording_seed(seed: int, index: int, r: int) -> int:
    return int(np.random.default_rng([seed, index, r, 33]).integers(1, 2**31))


def _people(rng: np.random.Generator, count: int, seed: int) -> pd.DataFrame:
    """Draw participants: bands in turn, sexes and skin tones balanced, all in random order."""
    bands = [list(BANDS)[i % len(BANDS)] for i in rng.permutation(count)]
    sexes = [("female", "male")[i % 2] for i in rng.permutation(count)]
    tones = [i % geometry.TONES for i in rng.permutation(count)]
    ages = [round(20 + 50 * (i + rng.random()) / count) for i in rng.permutation(count)]
    width = max(2, len(str(count)))
    return pd.DataFrame({
        "participant": [f"P{i:0{width}d}" for i in range(1, count + 1)],
        "score": [int(rng.integers(BANDS[b][0], BANDS[b][1] + 1)) for b in bands],
        "band": bands, "age": ages, "sex": sexes, "tone": tones,
        "identity_seed": [100_000 + 1000 * seed + i for i in range(count)]})


def read_plan(folder: str | Path) -> Plan:
    """Return the plan behind a folder that `write_cohort` made.

    Raises
    ------
    FileNotFoundError
        If the folder has no ``plan.json``.
    """
    path = Path(folder) / "plan.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} has no plan.json, which says how its participants "
                                "were made; render them again: expresso data render")
    return plan_cohort(**json.loads(path.read_text(encoding="utf-8")))


def write_cohort(folder: str | Path, plan: Plan, *, size: int = 160, crf: int = 23,
                 executor: Executor | None = None) -> Path:
    """Render a cohort into a folder; what is finished is not rendered again.

    Writes ``participants.csv``, ``recordings.csv``, ``planted.csv``, ``plan.json`` (arguments of
    `plan_cohort`), and for every recording
    ``<recording>.mp4`` and ``<recording>.npz`` (see `faces.truth`), and ``files.json`` with size
    and sha256 of each. Region masks are not stored: `render` gives them back from the plan.

    Parameters
    ----------
    folder : path
        Made if missing.
    plan : Plan
    size : int
        Pixels, even.
    crf : int
        H.264 quality; larger is smaller and worse.
    executor : concurrent.futures.Executor, optional
        Where to render.

    Returns
    -------
    Path
        The folder.
    """
    if size % 2:
        raise ValueError(f"size {size} px is odd; H.264 needs an even one.")
    folder = Path(folder)
    store.make_folder(folder)
    others = [f"{name}.csv" for name in _tables(plan) if (folder / f"{name}.csv").exists()]
    if others and not (folder / "plan.json").is_file():
        raise FileExistsError(f"{folder} holds {', '.join(others)} of other data, which would be "
                              "overwritten; name an empty folder.")
    if store.read_json(folder / "plan.json") not in ({}, json.loads(json.dumps(plan.arguments))):
        for name in _tables(plan):  # of another plan, whose recordings are now overwritten
            (folder / f"{name}.csv").unlink(missing_ok=True)
    people = plan.participants.set_index("participant")
    shared = {"size": size, "crf": crf, "variant": plan.variant, "seed": plan.seed}
    # The same name has another score, sex and age in a cohort of another size.
    items = [store.Item(row.recording, payload=(plan, size, crf, str(folder)),
                        recipe=shared | {"row": row.to_dict(),
                                         "person": people.loc[row.participant].to_dict()})
             for _, row in plan.recordings.iterrows()]
    for item in items:
        # A recording is finished when both of its files are there.
        if not (folder / f"{item.name}.mp4").exists():
            (folder / f"{item.name}.npz").unlink(missing_ok=True)
    store.map(_write_recording, items, out=folder, executor=executor, describe="rendering")
    _write_tables(folder, plan)
    return folder


def _write_recording(item: store.Item, path: Path) -> None:
    plan, size, crf, folder = item.payload
    script = plan.script(item.name)
    landmarks = np.zeros((script.n_frames, anatomy.N_LANDMARKS, 2), np.float32)

    def pictures() -> Iterator[np.ndarray]:
        for f, frame in enumerate(scene.render(script, size=size)):
            landmarks[f] = frame.landmarks
            yield frame.image

    video.write_video(Path(folder) / f"{item.name}.mp4", pictures(), script.fps, crf=crf,
                      key_every=script.n_frames)
    truths.save(path, landmarks=landmarks, au=script.au, pose=script.pose, gaze=script.gaze,
                fps=script.fps)


def _tables(plan: Plan) -> dict[str, pd.DataFrame]:
    recordings = plan.recordings.assign(path=[f"{name}.mp4" for name in plan.recordings.recording])
    return {"participants": plan.participants, "recordings": recordings, "planted": plan.planted}


def _write_tables(folder: Path, plan: Plan) -> None:
    # First, for it says that the tables are ours: a run that is killed here goes on.
    store.write_text(folder / "plan.json", json.dumps(plan.arguments) + "\n")
    for name, table in _tables(plan).items():
        store.write_text(folder / f"{name}.csv", table.to_csv(index=False))
    # Of this plan: an earlier one of more people may have left theirs.
    names = ["plan.json", *(f"{name}.csv" for name in _tables(plan)),
             *(f"{name}{kind}" for name in plan.recordings.recording for kind in (".mp4", ".npz"))]
    files = sorted(folder / name for name in names)
    listed = {path.name: [path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()]
              for path in files}
    lines = [f" {json.dumps(name)}: {json.dumps(what)}" for name, what in listed.items()]
    store.write_text(folder / "files.json", "{\n" + ",\n".join(lines) + "\n}\n")
