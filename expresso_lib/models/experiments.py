"""One recipe carried out: clips of prepared recordings, a model, folds, predictions.

The grid of chapter 3 is a list of recipes; each is one piece of work for `store.map`, so that it
runs anywhere, resumes, and is never done twice. Features are cached apart from the fits: recipes
that differ only above the freeze boundary share them.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from expresso_lib import clips, config, models, store
from expresso_lib.models import Recipe, networks

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ClipSet:
    """Clips of many recordings, read from their archives when they are asked for."""

    table: pd.DataFrame  # participant, recording, clip, first, last, score; one row per clip
    windows: np.ndarray  # int64 (N, T) frames in the archive
    archives: Mapping[str, Path]  # of each recording

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> torch.Tensor:
        archive = _archive(self.archives[self.table["recording"].iat[index]])
        return torch.from_numpy(clips.stack(archive, self.windows[index][None])[0])


@lru_cache(maxsize=4)
def _archive(path: Path) -> clips.ClipArchive:
    return clips.ClipArchive.load(path)


def clip_set(
    archives: Mapping[str, Path],
    recordings: pd.DataFrame,
    participants: pd.DataFrame,
    *,
    frames: int,
    step: int = 0,
    dilation: int = 1,
) -> ClipSet:
    """All clips of a cohort.

    Parameters
    ----------
    archives : mapping
        Recording to the file that `clips.prepare` made.
    recordings : DataFrame
        ``recording``, ``participant`` (and ``task``).
    participants : DataFrame
        ``participant``, ``score``.
    frames : int
        T.
    step, dilation : int
        Of `clips.windows`.

    Raises
    ------
    ValueError
        No recording is as long as one clip.
    """
    score_of = participants.set_index("participant")["score"]
    tables, windows = [], []
    for row in recordings.sort_values(["participant", "recording"]).itertuples():
        archive = _archive(archives[row.recording])
        chosen = clips.windows(archive.n_frames, frames, step=step, dilation=dilation)
        if not len(chosen):
            log.warning("%s is shorter than one clip and left out", row.recording)
            continue
        table = clips.clip_table(
            archive, chosen, participant=row.participant, recording=row.recording
        )
        # One person may score differently from session to session.
        score = getattr(row, "score", score_of[row.participant])
        tables.append(table.assign(score=float(score)))
        windows.append(chosen)
    if not tables:
        raise ValueError(f"no recording has {frames} frames at the clips' rate; use fewer.")
    return ClipSet(pd.concat(tables, ignore_index=True), np.concatenate(windows), dict(archives))


@dataclass(frozen=True, eq=False)
class Study:
    """What every recipe of a grid shares: who, which files, which folds."""

    participants: pd.DataFrame  # participant, score, band
    recordings: pd.DataFrame  # recording, participant
    archives: Mapping[str, Mapping[str, Path]]  # input -> recording -> archive
    schemes: pd.DataFrame  # repeat, participant, fold
    folder: Path  # features of the clips are kept here
    size: int = 64
    step: int = 0
    dilation: int = 1
    tuning: models.FineTuning = field(default_factory=models.FineTuning)
    device: str = "cpu"

    def clip_set(self, recipe: Recipe) -> ClipSet:
        """The clips a recipe is fed."""
        return clip_set(
            self.archives[recipe.input],
            self.recordings,
            self.participants,
            frames=recipe.frames,
            step=self.step,
            dilation=self.dilation,
        )

    def cutting(self) -> dict[str, Any]:
        """What decides the clips beside the archives, their order included."""
        order = self.recordings.sort_values(["participant", "recording"])["recording"].tolist()
        return {"size": self.size, "step": self.step, "dilation": self.dilation, "order": order}

    def scores(self) -> dict[str, float]:
        """Recording to score: its own where one person scores differently from day to day."""
        whole = self.participants.set_index("participant")["score"]
        own = self.recordings.get("score", self.recordings["participant"].map(whole))
        return dict(zip(self.recordings["recording"], own.astype(float), strict=True))

    def longest(self) -> int:
        """Frames that nine of ten recordings have: longer clips would lose too many people."""
        files = next(iter(self.archives.values())).values()
        return int(np.quantile([clips.ClipArchive.rows(path) for path in files], 0.1))

    def model(self, recipe: Recipe) -> networks.VideoRegressor:
        """The network of a recipe, before any fit."""
        return networks.build(
            recipe.model,
            weights=recipe.weights,
            frames=recipe.frames,
            size=self.size,
            input=recipe.input,
            seed=recipe.seed,
        )

    def inputs(self, recipe: Recipe) -> tuple[Path, ...]:
        """Files whose contents decide a recipe's result."""
        files = tuple(Path(path) for _, path in sorted(self.archives[recipe.input].items()))
        return (*files, networks.shipped()) if recipe.weights == "facial-actions" else files


def schemes(participants: pd.DataFrame, *, folds: int, repeats: int, seed: int) -> pd.DataFrame:
    """Folds of every repeat: repeat, participant, fold; grouped and stratified by `clips.folds`."""
    dealt = [
        clips.folds(participants, folds, seed=1000 * seed + repeat).assign(repeat=repeat)
        for repeat in range(repeats)
    ]
    return pd.concat(dealt, ignore_index=True)


def dealt(study: Study, number: int) -> Study:
    """The same study with the participants' scores dealt out anew: heads that learn nothing.

    A head fitted to such scores differs from the true one in what it was told of severity, and in
    nothing else: what any head on this network would make of a face.

    Parameters
    ----------
    study : Study
    number : int
        Another number is another deal.
    """
    score = study.participants["score"].to_numpy()
    order = np.random.default_rng([number, 62]).permutation(len(score))
    recordings = study.recordings.drop(columns="score", errors="ignore")
    people = study.participants.assign(score=score[order])
    return replace(study, participants=people, recordings=recordings)


def study_of(
    participants: pd.DataFrame,
    recordings: pd.DataFrame,
    folder: Path,
    parameters: config.Parameters,
) -> Study:
    """The study of a run: what chapter 2 cut, whom chapter 1 wrote down.

    Parameters
    ----------
    participants, recordings : DataFrame
        Of the cohort; recordings without archives (their faces failed) are left out.
    folder : Path
        Holds ``clips_face`` and ``clips_composite``.
    parameters : config.Parameters
        Sections ``clips`` and ``training``.
    """
    archives = {
        way: {path.stem: path for path in sorted((folder / f"clips_{way}").glob("*.npz"))}
        for way in networks.INPUTS
    }
    kept = recordings[recordings["recording"].isin(list(archives["face"]))]
    people = participants[participants["participant"].isin(kept["participant"])]
    wanted = parameters.training
    return Study(
        people.reset_index(drop=True),
        kept.reset_index(drop=True),
        archives,
        schemes(people, folds=wanted.folds, repeats=wanted.repeats, seed=wanted.seed),
        folder / "features",
        size=parameters.clips.size,
        step=parameters.clips.step,
        dilation=parameters.clips.dilation,
        tuning=models.FineTuning(
            epochs=wanted.epochs,
            batch=wanted.batch,
            learning_rate=wanted.learning_rate,
            optimizer=wanted.optimizer,
            device=wanted.device,
        ),
        device=wanted.device,
    )


def default_recipe(parameters: config.Parameters) -> Recipe:
    """The recipe that a run's parameters declare, before anything is looked at."""
    wanted = parameters.training
    return Recipe(
        model=wanted.model,
        weights=wanted.weights,
        input=parameters.clips.input,
        frames=parameters.clips.frames,
        cohort=parameters.cohort.source,
        variant=parameters.cohort.variant,
        seed=wanted.seed,
        folds=wanted.folds,
        repeats=wanted.repeats,
    )


def grid(default: Recipe, *, full: bool, longest: int | None = None) -> list[Recipe]:
    """The recipes of chapter 3: the default first, then one thing changed at a time.

    Six cheap cells (frozen trunk, ridge head) answer its questions in minutes. ``full`` adds the
    fits that go beyond the head, the network trained from scratch, and other seeds. Clips that
    are longer than ``longest`` (frames, `Study.longest`) are not tried.
    """
    cells = [default, image_recipe(default)]
    if default.model == "small":
        cells += [replace(default, model="small_image_sd")]
    cells += [unweighted(default)]
    lengths = [frames for frames in (16, 32, 64) if longest is None or frames <= longest]
    cells += [replace(default, frames=frames) for frames in lengths]
    cells += [replace(default, input=way) for way in networks.INPUTS]
    if full:
        cells += [replace(default, fit="last"), replace(default, weights="none", fit="all")]
        cells += [replace(default, seed=default.seed + extra) for extra in (1, 2)]
    return list(dict.fromkeys(cells))


def image_recipe(default: Recipe) -> Recipe:
    """The single-face counterpart of a video recipe: every frame alone, features averaged."""
    if default.model == "small":
        return replace(default, model="small_image")
    return replace(default, model="resnet18", weights="none")


def unweighted(default: Recipe) -> Recipe:
    """The same recipe with random weights: what the pre-training is worth."""
    return replace(default, weights="none")


def comparisons(recipes: Sequence[Recipe]) -> list[tuple[str, str]]:
    """Pairs for `training.model_differences`: the default against the null and every other."""
    first, *rest = (recipe.name for recipe in recipes)
    return [(first, other) for other in ("null", *rest)]


def others(names: Mapping[str, str]) -> dict[str, str]:
    """What a default is compared with, the null model first: names without their first."""
    return {"null": "the null model", **dict(list(names.items())[1:])}


def labels(recipes: Sequence[Recipe]) -> dict[str, str]:
    """What a reader calls each recipe: all of the first, of the others what differs from it."""
    first = recipes[0]
    words = {first.name: f"default: {first.model}, {first.weights}, {first.input}, {first.frames}"}
    for other in recipes[1:]:
        changed = {
            key: value for key, value in asdict(other).items() if asdict(first)[key] != value
        }
        words[other.name] = ", ".join(_word(key, value) for key, value in changed.items())
    return words


def _word(field_name: str, value: Any) -> str:
    names = {
        ("model", "small_image"): "image model (mean of frames)",
        ("model", "small_image_sd"): "image model (mean and sd)",
        ("model", "resnet18"): "image model (ResNet-18)",
        ("weights", "none"): "random weights",
        ("fit", "last"): "last block fine-tuned",
        ("fit", "all"): "all weights trained",
    }
    units = {"frames": f"{value} frames", "input": f"{value} input", "seed": f"seed {value}"}
    return names.get((field_name, value)) or units.get(field_name) or f"{field_name} {value}"


def run_recipes(
    recipes: Sequence[Recipe], study: Study, *, out: Path, executor: Executor | None = None
) -> pd.DataFrame:
    """Table ``predictions`` of every recipe and of the null model on the same folds."""
    shared = study.cutting() | {"tuning": asdict(study.tuning)}
    shared["schemes"] = study.schemes.to_dict("list")
    shared["scores"] = study.scores()
    items = [
        store.Item(recipe.name, asdict(recipe) | shared, study.inputs(recipe), (recipe, study))
        for recipe in recipes
    ]
    outcomes = store.map(
        predict, items, out=out, executor=executor, suffix=".parquet", describe="recipes"
    )
    parts = [pd.read_parquet(outcome.path) for outcome in outcomes]
    table = study.clip_set(recipes[0]).table
    null = models.cross_validate(table, study.schemes, "null", models.null_fit(table))
    return pd.concat([*parts, null], ignore_index=True)


def predict(item: store.Item, path: Path) -> None:
    """Carry out one recipe (a `store.map` function): predictions as Parquet."""
    recipe, study = item.payload
    data = study.clip_set(recipe)
    log.info("%s: %d clips, weights %s", recipe.name, len(data), recipe.weights)
    values = read_features(features(recipe, study))
    # Fine-tuning takes long: a killed recipe goes on in the fold and the epoch it had reached.
    key = store.item_key(item, store.basis(__name__))
    states = path.parent / "unfinished" / recipe.name / key[:12]
    fit = (
        models.ridge_fit(values, data.table)
        if recipe.fit == "ridge"
        else _tuned_fit(recipe, study, data, values, states)
    )
    models.cross_validate(data.table, study.schemes, recipe.name, fit).to_parquet(path)
    # Those of other code or data, too: this is the result that they were on the way to.
    shutil.rmtree(states.parent, ignore_errors=True)


def _tuned_fit(
    recipe: Recipe, study: Study, data: ClipSet, values: np.ndarray, states: Path
) -> models.Fit:
    """Fine-tune from a ridge head; a fifth of the training participants say when to stop.

    The same seed gives the same predictions for the same number of threads: sums in another order
    differ in their last digits, and epochs of training do not forget it.
    """
    parts = {"last": ("last",), "all": ("last", "all")}[recipe.fit]
    scores, people = data.table["score"].to_numpy(float), data.table["participant"].to_numpy()

    def fit(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        resume = states / f"{hashlib.sha256(train.tobytes()).hexdigest()[:12]}.pt"
        done = resume.with_suffix(".npy")
        if done.is_file():  # of a finished fold only its predictions are needed
            resume.unlink(missing_ok=True)
            return np.load(done)
        kept = study.participants[study.participants["participant"].isin(people[train])]
        aside = clips.folds(kept, 5, seed=recipe.seed)
        stopping = set(aside.loc[aside["fold"] == 0, "participant"])
        stop = train & np.isin(people, list(stopping))
        learn = train & ~stop
        model = study.model(recipe)
        head = models.fit_ridge(values[learn], scores[learn], people[learn])
        options = replace(study.tuning, parts=parts, seed=recipe.seed, device=study.device)
        models.finetune(
            model,
            data,
            np.flatnonzero(learn),
            np.flatnonzero(stop),
            options=options,
            head=head,
            resume=resume,
        )
        found = _predictions(model, data, np.flatnonzero(test), study.device)
        with store.atomic(done) as temporary:
            np.save(temporary, found)
        resume.unlink(missing_ok=True)
        return found

    return fit


def _predictions(model, data: ClipSet, rows: np.ndarray, device: str) -> np.ndarray:
    with torch.inference_mode():
        found = [model(data[int(row)][None].to(device)) for row in rows]
    return torch.cat(found).cpu().numpy()


def features(recipe: Recipe, study: Study, *, executor: Executor | None = None) -> Path:
    """Features of a recipe's clips at the head, computed once: NPZ with ``values`` (N, D).

    Recipes that differ only in what is fitted on top share them.
    """
    trunk = replace(recipe, fit="ridge")
    item = store.Item(trunk.name, study.cutting(), study.inputs(trunk), (trunk, study))
    return store.map(keep_features, [item], out=study.folder, executor=executor)[0].path


def keep_features(item: store.Item, path: Path) -> None:
    """Compute `features` (a `store.map` function)."""
    recipe, study = item.payload
    values = models.features(study.model(recipe), study.clip_set(recipe), device=study.device)
    np.savez(path, values=values)


def read_features(path: Path) -> np.ndarray:
    """What `keep_features` wrote: float32 (N, D)."""
    with np.load(path, allow_pickle=False) as file:
        return file["values"]


def final_model(
    recipe: Recipe,
    study: Study,
    predictions: pd.DataFrame,
    path: Path,
    *,
    domain: Mapping[str, Any],
) -> Path:
    """Fit the chosen recipe on all participants and save it for `explain` and chapter 9.

    Parameters
    ----------
    predictions : DataFrame
        Cross-validated, of this recipe: they give the interval.
    domain : mapping
        What the model was trained on, beyond what the study says (cohort, tasks, demo).

    Returns
    -------
    Path
        The checkpoint; its recipe holds ``domain`` and ``interval``.
    """
    data = study.clip_set(recipe)
    scores = data.table["score"].to_numpy(float)
    own = predictions[predictions["recipe"] == recipe.name]
    record = {"interval": models.conformal_interval(own), "domain": dict(domain) | {
        "participants": len(study.participants),
        "score_low": float(scores.min()),
        "score_high": float(scores.max()),
        "fps": _archive(next(iter(data.archives.values()))).fps,
    }}  # fmt: skip
    return _fit_heads({path.stem: (record, set())}, recipe, study, path.parent)[path.stem]


def fold_models(recipe: Recipe, study: Study, folder: str | Path) -> dict[str, Path]:
    """The model of every fold (of the first repeat): nobody is explained by one that saw them.

    Parameters
    ----------
    recipe : Recipe
        With a frozen trunk: the models differ in their heads only.
    folder : path
        For the checkpoints, ``fold_<k>.safetensors``.

    Returns
    -------
    dict
        Participant to checkpoint.

    Raises
    ------
    ValueError
        For a recipe that trains more than its head.
    """
    if recipe.fit != "ridge":
        raise ValueError(
            f"recipe {recipe.name} trains more than its head (fit {recipe.fit!r}); only recipes "
            "with a frozen trunk (fit 'ridge') keep a model of every fold."
        )
    first = study.schemes[study.schemes["repeat"] == study.schemes["repeat"].min()]
    tested = {f"fold_{fold}": set(part["participant"]) for fold, part in first.groupby("fold")}
    paths = _fit_heads({name: ({"fold": int(name.removeprefix("fold_"))}, who)
                        for name, who in tested.items()}, recipe, study, folder)  # fmt: skip
    return {person: paths[name] for name, who in tested.items() for person in who}


def fold_paths(predictions: pd.DataFrame, folder: str | Path) -> dict[str, Path]:
    """Participant to the checkpoint that ``fold_models`` wrote into ``folder``."""
    first = predictions[predictions["repeat"] == predictions["repeat"].min()]
    return {row.participant: Path(folder) / f"fold_{row.fold}.safetensors"
            for row in first.drop_duplicates("participant").itertuples()}  # fmt: skip


def _fit_heads(
    wanted: Mapping[str, tuple[Mapping[str, Any], set[str]]],
    recipe: Recipe,
    study: Study,
    folder: str | Path,
) -> dict[str, Path]:
    """Checkpoints by name; each has a record of its own and participants it must not see."""
    values = features(recipe, study)
    whole = asdict(recipe) | {"recipe": recipe.name, "size": study.size}
    items = [
        store.Item(name, {"record": whole | dict(record), "unseen": sorted(unseen),
                          "scores": study.scores()}, (values,), (recipe, study))
        for name, (record, unseen) in wanted.items()
    ]  # fmt: skip
    done = store.map(fit_head, items, out=folder, suffix=".safetensors")
    return {outcome.item.name: outcome.path for outcome in done}


def fit_head(item: store.Item, path: Path) -> None:
    """Fit a ridge head on all but the unseen participants (a `store.map` function)."""
    recipe, study = item.payload
    table, values = study.clip_set(recipe).table, read_features(item.inputs[0])
    seen = ~table["participant"].isin(item.recipe["unseen"]).to_numpy()
    scores, people = table["score"].to_numpy(float), table["participant"].to_numpy()
    head = models.fit_ridge(values[seen], scores[seen], people[seen])
    model = study.model(recipe)
    head.write_to(model)
    networks.save(path, model, item.recipe["record"])
