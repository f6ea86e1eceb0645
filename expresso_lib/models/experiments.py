"""One recipe carried out: clips of prepared recordings, a model, folds, predictions.

The grid of chapter 3 is a list of recipes; each is one piece of work for `store.map`, so that it
runs anywhere, resumes, and is never done twice. Features are cached apart from the fits: recipes
that differ only above the freeze boundary share them.
"""

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
from expresso_lib.models import Recipe, networks, own, validation


@dataclass(frozen=True, eq=False)
class ClipSet:
    """Clips of many recordings, read from their archives when they are asked for."""

    table: pd.DataFrame  # participant, recording, clip, first, last, score; one row per clip
    windows: np.ndarray  # int64 (N, T) frames in the archive
    folder: Path  # of the archives

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> torch.Tensor:
        path = self.folder / f"{self.table['recording'].iat[index]}.npz"
        archive = _archive(path, path.stat().st_mtime_ns)
        return torch.from_numpy(clips.stack(archive, self.windows[index][None])[0])


@lru_cache(maxsize=4)
def _archive(path: Path, changed: int) -> clips.ClipArchive:
    return clips.ClipArchive.load(path)


@lru_cache(maxsize=8)
def _cut(*files: tuple[str, str, Path, int], **shape: int) -> tuple[pd.DataFrame, np.ndarray]:
    """`clips.cut`, once for all the fits that share it: it reads every archive.

    A file's time of change is part of what is asked.
    """
    recordings = pd.DataFrame(files, columns=["participant", "recording", "path", "changed"])
    return clips.cut(recordings, dict(zip(recordings["recording"], recordings["path"])), **shape)


@dataclass(frozen=True, eq=False)
class Study:
    """What every recipe of a grid shares: who, which files, which folds."""

    participants: pd.DataFrame  # participant, score, band
    recordings: pd.DataFrame  # recording, participant
    archives: Mapping[str, Path]  # input -> folder of the recordings' archives
    schemes: pd.DataFrame  # repeat, participant, fold
    folder: Path  # features of the clips are kept here
    size: int = 64
    step: int = 0
    dilation: int = 1
    dealt: int | None = None  # number of the deal, where scores are dealt out anew
    tuning: models.FineTuning = field(default_factory=models.FineTuning)

    def scored(self) -> pd.DataFrame:
        """Recordings in order with a score, their own where a person's differ from day to day."""
        whole = self.participants.set_index("participant")["score"]
        own = self.recordings.get("score", self.recordings["participant"].map(whole))
        rows = self.recordings.assign(score=own.astype(float))
        return rows.sort_values(["participant", "recording"])[["participant", "recording", "score"]]

    def clip_set(self, recipe: Recipe) -> ClipSet:
        """The clips a recipe is fed."""
        scored, paths = self.scored(), self.files(recipe.input)
        changed = [path.stat().st_mtime_ns for path in paths]
        files = zip(scored["participant"], scored["recording"], paths, changed)
        table, windows = _cut(*files, length=recipe.frames, step=self.step, dilation=self.dilation)
        return ClipSet(table.merge(scored), windows, self.archives[recipe.input])

    def files(self, input: str) -> list[Path]:
        """Archives of the recordings, in their order."""
        return [self.archives[input] / f"{name}.npz" for name in self.scored()["recording"]]

    def cutting(self) -> dict[str, Any]:
        """What decides the clips beside the archives, their order included."""
        order = self.scored()["recording"].tolist()
        return {"size": self.size, "step": self.step, "dilation": self.dilation, "order": order}

    def facts(self) -> dict[str, Any]:
        """What decides every fit beside its recipe and its files."""
        whose = self.scored().to_dict("list")
        bands = self.participants.get("band", pd.Series(dtype=object)).astype(str).tolist()
        return self.cutting() | {"whose": whose, "bands": bands, "tuning": asdict(self.tuning)}

    def longest(self) -> int:
        """Frames of a clip that some recording of everybody holds: longer ones lose people."""
        files = self.files(next(iter(self.archives)))
        rows = pd.Series([clips.ClipArchive.rows(path) for path in files])
        most = rows.groupby(self.scored()["participant"].to_numpy()).max()
        return (int(most.min()) - 1) // self.dilation + 1

    def model(self, recipe: Recipe) -> networks.VideoRegressor:
        """The network of a recipe, before any fit."""
        asked = {name: getattr(recipe, name) for name in ("weights", "frames", "seed")}
        return networks.build(recipe.model, size=self.size, **asked)

    def inputs(self, recipe: Recipe) -> tuple[Path, ...]:
        """Files whose contents decide a recipe's result."""
        files = (*self.files(recipe.input), *own.source(recipe.model))
        return (*files, networks.shipped()) if recipe.weights == "facial-actions" else files


def schemes(participants: pd.DataFrame, *, folds: int, repeats: int, seed: int) -> pd.DataFrame:
    """Folds of every repeat: repeat, participant, fold; as `models.folds` deals them."""
    seeds = {repeat: 1000 * seed + repeat for repeat in range(repeats)}
    parts = [models.folds(participants, folds, seed=s).assign(repeat=r) for r, s in seeds.items()]
    return pd.concat(parts, ignore_index=True)


def dealt(study: Study, number: int) -> Study:
    """The same study with the participants' scores dealt out anew: heads that learn nothing.

    A head fitted to such scores differs from the true one in what it was told of severity, and in
    nothing else: what any head on this network would make of a face. Everybody gets the scores of
    somebody; where these differ between recordings, in any order.

    Parameters
    ----------
    study : Study
    number : int
        Another number is another deal.
    """
    rng, people, rows = np.random.default_rng([number, 62]), study.participants, study.scored()
    order = rng.permutation(len(people))
    given = dict(zip(people["participant"], people["participant"].to_numpy()[order]))
    own = rows.groupby("participant")["score"].agg(list)
    told = [np.resize(rng.permutation(own[given[who]]), len(own[who])) for who in own.index]
    named = dict(zip(rows["recording"], np.concatenate(told)))
    recordings = study.recordings.assign(score=study.recordings["recording"].map(named))
    people = people.assign(score=people["score"].to_numpy()[order])
    return replace(study, participants=people, recordings=recordings, dealt=number)


def study_of(participants: pd.DataFrame, recordings: pd.DataFrame, folder: Path,
             parameters: config.Parameters) -> Study:  # fmt: skip
    """The study of a run: what chapter 2 cut, whom chapter 1 wrote down.

    Parameters
    ----------
    participants, recordings : DataFrame
        Of the cohort; recordings without archives (their faces failed), or shorter than the
        default recipe's clips, are left out of every recipe: all are compared on the same people.
    folder : Path
        Holds ``clips_face`` and ``clips_composite``.
    parameters : config.Parameters
        Sections ``clips`` and ``training``.
    """
    archives = {kind: folder / f"clips_{kind}" for kind in clips.INPUTS}
    wanted, shape = parameters.training, parameters.clips
    span = {"length": shape.frames, "dilation": shape.dilation}
    # An earlier run of other people may have left archives there.
    kept = clips.archived(recordings, archives["face"], participants["participant"], **span)
    people = participants[participants["participant"].isin(kept["participant"])]
    folds = schemes(people, folds=wanted.folds, repeats=wanted.repeats, seed=wanted.seed)
    return Study(people, kept, archives, folds, folder / "features", shape.size, shape.step,
                 shape.dilation, tuning=models.FineTuning.of(wanted))  # fmt: skip


def default_recipe(parameters: config.Parameters) -> Recipe:
    """The recipe that a run's parameters declare, before anything is looked at."""
    names = ("model", "weights", "seed", "fit", "folds", "repeats")
    wanted = {name: getattr(parameters.training, name) for name in names}
    shape = {name: getattr(parameters.clips, name) for name in ("input", "frames")}
    if ":" in wanted["model"]:
        wanted["weights"] = "own"  # a network of one's own brings its weights
    who = parameters.cohort
    return Recipe(**wanted, **shape, cohort=who.source, variant=who.variant)


def grid(default: Recipe, *, full: bool, longest: int | None = None) -> list[Recipe]:
    """The recipes of chapter 3: the default first, then one thing changed at a time.

    Cheap cells (frozen trunk, ridge head) and one fine-tuned network answer its questions in
    minutes. ``full`` adds the last block alone, the network trained from scratch, other seeds.
    Clips that are longer than ``longest`` (frames, `Study.longest`) are not tried. A network of
    one's own is taken as it comes: with its weights, and for the one length it may be made for.
    """
    given = default.weights == "own"
    cells = [default, image_recipe(default)]
    if default.model == "small":
        cells += [replace(default, model="small_image_sd")]
    if not given:
        lengths = [frames for frames in (16, 32, 64) if longest is None or frames <= longest]
        cells += [unweighted(default), *(replace(default, frames=frames) for frames in lengths)]
    cells += [replace(default, input=kind) for kind in clips.INPUTS]
    cells += [replace(default, fit="ridge"), replace(default, fit="all")]
    if full:
        cells += [] if default.whole else [replace(default, fit="last")]
        cells += [] if given else [replace(unweighted(default), fit="all")]
        if default.fit != "ridge" or default.weights == "none":  # else nothing is drawn
            cells += [replace(default, seed=default.seed + extra) for extra in (1, 2)]
    return list(dict.fromkeys(cells))


def image_recipe(default: Recipe) -> Recipe:
    """The single-face counterpart of a video recipe: every frame alone, features averaged."""
    if default.model == "small":
        return replace(default, model="small_image")
    same_standing = {"kinetics400": "imagenet"}
    return replace(default, model="resnet18", weights=same_standing.get(default.weights, "none"))


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
        changed = {key: value for key, value in vars(other).items() if vars(first)[key] != value}
        changed |= {"fit": other.parts} if "fit" in changed else {}
        words[other.name] = ", ".join(_word(key, value) for key, value in changed.items())
    return words


def _word(field_name: str, value: Any) -> str:
    names = {
        ("model", "small_image"): "image model (mean of frames)",
        ("model", "small_image_sd"): "image model (mean and sd)",
        ("model", "resnet18"): "image model (ResNet-18)",
        ("weights", "none"): "random weights",
        ("fit", ()): "frozen trunk, ridge head",
        ("fit", ("last",)): "last block fine-tuned",
        ("fit", ("all",)): "all of it fine-tuned",
        ("fit", ("last", "all")): "all of it fine-tuned, last block first",
    }
    units = {"frames": f"{value} frames", "input": f"{value} input", "seed": f"seed {value}"}
    return names.get((field_name, value)) or units.get(field_name) or f"{field_name} {value}"


def run_recipes(
    recipes: Sequence[Recipe], study: Study, *, out: Path, executor: Executor | None = None
) -> pd.DataFrame:
    """Table ``predictions`` of every recipe and of the null model on the same folds."""
    for recipe in recipes:
        if recipe.fit != "ridge":  # every fold is a piece of work of its own
            tuned(recipe, study, _tested(study), executor=executor)
    shared = study.facts() | {"schemes": study.schemes.to_dict("list")}
    items = [store.Item(r.name, asdict(r) | shared, study.inputs(r), (r, study)) for r in recipes]
    how = {"executor": executor, "suffix": ".parquet", "describe": "recipes"}
    parts = [pd.read_parquet(one.path) for one in store.map(predict, items, out=out, **how)]
    table = study.clip_set(recipes[0]).table
    null = models.cross_validate(table, study.schemes, "null", models.null_fit(table))
    return pd.concat([*parts, null], ignore_index=True)


def predict(item: store.Item, path: Path) -> None:
    """Carry out one recipe (a `store.map` function): predictions as Parquet."""
    recipe, study = item.payload
    data = study.clip_set(recipe)
    if recipe.fit == "ridge":
        fit = models.ridge_fit(read_features(features(recipe, study)), data.table)
    else:
        fit = _tuned_fit(recipe, study, data)
    models.cross_validate(data.table, study.schemes, recipe.name, fit).to_parquet(path)


def _tuned_fit(recipe: Recipe, study: Study, data: ClipSet) -> validation.Fit:
    people, device = data.table["participant"].to_numpy(), study.tuning.device

    def fit(train: np.ndarray, test: np.ndarray) -> np.ndarray:
        path = tuned(recipe, study, [frozenset(people[test])])[0]
        model = networks.load(path)[0].to(device)
        with torch.inference_mode():
            found = [model(data[row][None].to(device)) for row in np.flatnonzero(test)]
        return torch.cat(found).cpu().numpy()

    return fit


def _tested(study: Study) -> list[frozenset[str]]:
    """Who is tested together, over all repeats and folds."""
    return study.schemes.groupby(["repeat", "fold"])["participant"].agg(frozenset).tolist()


def tuned(recipe: Recipe, study: Study, unseen: Sequence[frozenset[str]], *,
          executor: Executor | None = None) -> list[Path]:  # fmt: skip
    """Fine-tune one network per group of participants it must not see; what is done is kept.

    The same seed gives the same network for the same number of threads: sums in another order
    differ in their last digits, and epochs of training do not forget it.

    Returns
    -------
    list of Path
        Checkpoints; the recipe in each holds the learning curves under ``curves``.
    """
    shared = asdict(recipe) | study.facts()
    inputs = [*study.inputs(recipe), features(recipe, study)]
    if "last" in recipe.parts:  # what the last block reads is every fold's
        inputs.append(features(recipe, study, until="last"))
    items = [
        # Dealt scores have networks of their own beside the true ones'.
        store.Item(f"without_{store.text_hash([names, study.dealt])[:12]}",
                   shared | {"unseen": names}, tuple(inputs), (recipe, study))
        for names in map(sorted, dict.fromkeys(unseen))
    ]  # fmt: skip
    options = {"executor": executor, "suffix": ".safetensors", "describe": "fine-tuning"}
    done = store.map(tune, items, out=study.folder.parent / "tuned" / recipe.name, **options)
    # Folds of one person each are the same in every repeat: one network serves them all.
    made = {frozenset(one.item.recipe["unseen"]): one.path for one in done}
    return [made[names] for names in unseen]


def tune(item: store.Item, path: Path) -> None:
    """Fine-tune from a ridge head (a `store.map` function).

    A fifth of the participants it may see say when to stop.
    """
    recipe, study = item.payload
    data = study.clip_set(recipe)
    scores, people = data.table["score"].to_numpy(float), data.table["participant"].to_numpy()
    seen = ~np.isin(people, item.recipe["unseen"])
    kept = study.participants[study.participants["participant"].isin(people[seen])]
    aside = models.folds(kept, min(5, len(kept)), seed=recipe.seed)
    stop = np.isin(people, aside.loc[aside["fold"] == 0, "participant"].to_numpy())
    learn = seen & ~stop
    values, *start = (read_features(one) for one in item.inputs if one.parent == study.folder)
    model = study.model(recipe)
    head = models.fit_ridge(values[learn], scores[learn], people[learn])
    options = replace(study.tuning, parts=recipe.parts, seed=recipe.seed)
    if recipe.weights == "none":  # from scratch there is no good start to stay near
        options = replace(options, learning_rate=1e-3, deeper=1.0)
    rows, known = map(np.flatnonzero, (learn, seen & stop)), start[0] if start else None
    curves = models.finetune(model, data, *rows, options=options, head=head, start=known)
    networks.save(path, model, {"curves": curves.to_dict("list")})


def learning_curves(default: Recipe, study: Study) -> pd.DataFrame:
    """Curves of every fold in which the default's network was fine-tuned.

    Returns
    -------
    DataFrame
        fold (a number per repeat and fold), part, epoch, train_rmse, stop_mae, best_mae; points.
    """
    paths = tuned(replace(default, fit="all"), study, _tested(study))
    curves = [networks.load(path)[1]["curves"] for path in paths]
    parts = [pd.DataFrame(one).assign(fold=number) for number, one in enumerate(curves)]
    return pd.concat(parts, ignore_index=True)


def features(
    recipe: Recipe, study: Study, *, until: str = "head", executor: Executor | None = None
) -> Path:
    """Features of a recipe's clips at a freeze boundary, computed once: NPZ with ``values``.

    Those of `models.features`. Recipes that differ only in what is fitted on top share them.
    """
    trunk = replace(recipe, fit="ridge")
    name = trunk.name if until == "head" else f"{trunk.name}-{until}"
    facts = study.cutting() | {"until": until}
    item = store.Item(name, facts, study.inputs(trunk), (trunk, study))
    return store.map(keep_features, [item], out=study.folder, executor=executor)[0].path


def keep_features(item: store.Item, path: Path) -> None:
    """Compute `features` (a `store.map` function)."""
    recipe, study = item.payload
    how = {"until": item.recipe["until"], "device": study.tuning.device}
    np.savez(path, values=models.features(study.model(recipe), study.clip_set(recipe), **how))


def read_features(path: Path) -> np.ndarray:
    """What `keep_features` wrote: float32 (N, D), (N, ...) below the last block."""
    return store.read_arrays(path)["values"]


def final_model(recipe: Recipe, study: Study, predictions: pd.DataFrame, path: Path, *,
                domain: Mapping[str, Any]) -> Path:  # fmt: skip
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
    own = predictions[predictions["recipe"] == recipe.name]
    rates = [clips.ClipArchive.rate(path) for path in study.files(recipe.input)]
    known = {"participants": len(study.participants), "fps": max(rates)}  # some may be slower
    record = {"interval": models.conformal_interval(own), "domain": dict(domain) | known}
    _fit_models({path.stem: (record, [])}, recipe, study, path.parent)
    return path


def fold_models(recipe: Recipe, study: Study, folder: str | Path) -> dict[str, Path]:
    """The model of every fold (of the first repeat): nobody is explained by one that saw them.

    Parameters
    ----------
    recipe : Recipe
        With a frozen trunk the models differ in their heads only.
    folder : path
        For the checkpoints, ``fold_<k>.safetensors``.

    Returns
    -------
    dict
        Participant to checkpoint.
    """
    first = study.schemes[study.schemes["repeat"] == study.schemes["repeat"].min()]
    tested = first.groupby("fold")["participant"].agg(sorted)
    wanted = {f"fold_{fold}": ({"fold": int(fold)}, who) for fold, who in tested.items()}
    _fit_models(wanted, recipe, study, folder)
    return fold_paths(study.schemes, folder)


def fold_paths(tested: pd.DataFrame, folder: str | Path) -> dict[str, Path]:
    """Participant to the checkpoint that ``fold_models`` wrote into ``folder``.

    ``tested`` says who was tested when: predictions, or schemes of folds.
    """
    first = tested[tested["repeat"] == tested["repeat"].min()]
    folds = dict(zip(first["participant"], first["fold"]))
    return {who: Path(folder) / f"fold_{fold}.safetensors" for who, fold in folds.items()}


def _fit_models(wanted: Mapping[str, tuple[Mapping[str, Any], list[str]]], recipe: Recipe,
                study: Study, folder: str | Path) -> None:  # fmt: skip
    """Write checkpoints by name; each has a record of its own and whom it must not see."""
    sources = [features(recipe, study)] * len(wanted)
    if recipe.fit != "ridge":
        sources = tuned(recipe, study, [frozenset(unseen) for _, unseen in wanted.values()])
    shape = {name: getattr(study, name) for name in ("size", "step", "dilation")}
    whole, facts = asdict(recipe) | {"recipe": recipe.name} | shape, study.facts()
    items = []
    for (name, (record, unseen)), source in zip(wanted.items(), sources):
        given = facts | {"record": whole | dict(record), "unseen": unseen}
        items.append(store.Item(name, given, (source,), (recipe, study)))
    store.map(fit_model, items, out=folder, suffix=".safetensors")


def fit_model(item: store.Item, path: Path) -> None:
    """Fit a ridge head on all but the unseen participants (a `store.map` function).

    A network that was fine-tuned without them is taken as it is, with another record.
    """
    recipe, study = item.payload
    if recipe.fit == "ridge":
        table, values = study.clip_set(recipe).table, read_features(item.inputs[0])
        seen = ~table["participant"].isin(item.recipe["unseen"]).to_numpy()
        scores, people = table["score"].to_numpy(float)[seen], table["participant"][seen]
        model = models.fit_ridge(values[seen], scores, people).write_to(study.model(recipe))
    else:
        model = networks.load(item.inputs[0])[0]
    networks.save(path, model, item.recipe["record"])
