"""Typed parameters: the one owner of their names, units, ranges and defaults.

`Parameters` has a section per room. A profile in ``notebooks/params`` holds only what differs
from the defaults; a notebook's ``parameters`` cell is generated from here (`parameters_cell`)
and read back (`collect`), so that a wrong name, type or range is refused before anything runs.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from expresso_lib import _checks

EYES = 0.28  # outer-eye distance over the side of a rendered picture, smallest of twelve recordings


class ParameterError(ValueError):
    """A parameter has the wrong name, type or range."""


class Section(BaseModel):
    """Parameters of one room; unknown names and silent conversions are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Device = Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")]


class CohortSection(Section):
    """Who is analysed."""

    source: Literal["rendered", "avec2014", "cremad", "ravdess", "grid", "folder"] = Field(
        "rendered", description="data set, as data_manifest.yaml names its reader"
    )
    folder: str = Field("", description="folder of the data; empty: the data set's own place")
    table: str = Field("", description="table of your folder; empty: its only CSV")
    score: str = Field("score", description="column of your table that holds the score")
    score_low: float = Field(0.0, description="lowest possible score; as score_high: see there")
    score_high: float = Field(
        0.0,
        description="highest possible score; equal to score_low: that "
        "of a known scale, else the table's own",
    )
    bands: tuple[str, ...] = Field(
        (),
        description="such as 'mild 14-19'; none: those of a known scale, else thirds of the cohort",
    )
    emotion: str = Field("", description="cremad, ravdess: intensity of this emotion; empty: any")
    tables: str = Field("", description="folder of other tools' tables; empty: beside the videos")
    show_faces: bool = Field(False, description="your folder: participants consented to be shown")
    participants: int = Field(84, ge=1, le=999, description="participants to render")
    recordings: int = Field(2, ge=1, le=99, description="recordings per participant to render")
    seconds: float = Field(10.0, gt=0, le=3600, description="s; length of a rendered recording")
    fps: float = Field(25.0, ge=5, le=120, description="frames/s of a rendered recording")
    size: int = Field(160, ge=48, le=512, description="px; side of a rendered picture")
    seed: int = Field(0, ge=0, description="seed of the rendered cohort")
    variant: str = Field(
        "default",
        pattern=r"^(default|amount|null|headset|region:\w+|au:\d+)$",
        description="what is planted: default, amount, null, headset, region:NAME, au:N",
    )

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.score_low > self.score_high:
            raise ValueError("score_low must lie below score_high (equal: the scale's own range)")
        return self


class FacesSection(Section):
    """How faces and landmarks are found."""

    tracker: Literal["auto", "s3fd_fan", "mediapipe", "tables", "simulated"] = Field(
        "auto",
        description="auto: s3fd_fan with weights at hand, else simulated (demo only), "
        "else tables beside the videos, else mediapipe",
    )
    detect_every: int = Field(10, ge=1, le=1000, description="frames between detections")
    detect_side: int = Field(320, ge=64, le=4096, description="px; longest side for detection")
    smoothing: float = Field(0.0, ge=0, le=30, description="frames; sd of landmark smoothing")
    min_share: float = Field(0.8, ge=0, le=1, description="least share of frames with a face")
    min_confidence: float = Field(0.5, ge=0, le=1, description="least mean confidence")
    max_jitter: float = Field(
        0.05, gt=0, le=1, description="outer-eye distances; most jitter allowed"
    )
    min_eye_distance: float = Field(
        20.0, ge=0, le=4096, description="px; least median outer-eye distance"
    )
    max_turn: float = Field(
        45.0, gt=0, le=90, description="degrees; most yaw or pitch, 95th percentile"
    )
    max_gap: float = Field(5.0, gt=0, le=3600, description="s; longest bout without a face")
    device: Device = Field("cpu", description="cpu or cuda, for the networks")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32", description="arithmetic of the networks"
    )
    flip: bool = Field(True, description="average each face with its mirror image")
    weights_folder: str = Field("", description="folder with the trackers' weights; empty: cache")


class ClipsSection(Section):
    """What the model is fed."""

    frames: int = Field(32, ge=2, le=512, description="frames per clip; the paper: 16, 32, 64")
    step: int = Field(
        0, ge=0, le=512, description="frames between windows; 0: the fewest that cover a recording"
    )
    dilation: int = Field(1, ge=1, le=16, description="frames between frames of a clip")
    fps: float = Field(12.5, gt=0, le=240, description="frames/s of the clips")
    size: int = Field(64, ge=16, le=512, description="px; side of a clip")
    input: Literal["face", "composite"] = Field(
        "face", description="aligned face, or the paper's tiled composite of crops"
    )


class TrainingSection(Section):
    """Which model, how it is fitted and judged."""

    model: str = Field(
        "small", description="backbone of the default recipe, or package.module:function"
    )
    weights: Literal["facial-actions", "kinetics400", "none"] = Field(
        "facial-actions", description="what the backbone was pre-trained on"
    )
    fit: Literal["ridge", "last", "all"] = Field(
        "ridge", description="frozen trunk and ridge head, or fine-tuned: last block, all"
    )
    grid: bool = Field(False, description="run every cell of the grid, not three")
    folds: int = Field(5, ge=2, le=50, description="participant-grouped, band-stratified folds")
    repeats: int = Field(1, ge=1, le=100, description="repeats of the folds")
    seed: int = Field(0, ge=0, description="seed of folds and optimiser")
    epochs: int = Field(6, ge=1, le=1000, description="most epochs of each part of fine-tuning")
    batch: int = Field(8, ge=1, le=1024, description="participants per step")
    learning_rate: float = Field(3e-4, gt=0, le=1, description="learning rate of the last block")
    optimizer: Literal["adamw", "sgd"] = Field("adamw", description="optimiser of fine-tuning")
    bootstrap: int = Field(2000, ge=100, le=100_000, description="bootstrap draws of participants")
    device: Device = Field("cpu", description="cpu or cuda")


class AttributionSection(Section):
    """How predictions are explained."""

    method: Literal["DeepLift", "IntegratedGradients"] = Field(
        "DeepLift", description="attribution method of the chapters; its parts add up"
    )
    baselines: tuple[Literal["own_neutral", "blur", "zero", "calm_mean"], ...] = Field(
        ("own_neutral", "blur", "zero"),
        description="reference inputs: dynamics, artefacts, the paper's",
    )
    randomised: int = Field(10, ge=0, le=100, description="randomised networks to compare with")
    dealt: int = Field(
        19, ge=3, le=999, description="models of permuted scores, to compare with in appendix C"
    )
    trust_clips: int = Field(
        999, ge=2, le=10_000, description="participants looked at in chapter 7, at most"
    )
    seed: int = Field(0, ge=0, description="seed of noise and randomisation")
    batch: int = Field(4, ge=1, le=256, description="clips per attribution call")

    @field_validator("baselines")
    @classmethod
    def _compared(cls, named: tuple[str, ...]) -> tuple[str, ...]:
        if lacking := {"own_neutral", "zero"} - set(named):
            raise ValueError(
                f"chapters 4 to 6 set own_neutral beside zero; {' and '.join(sorted(lacking))} "
                "cannot be left out, others can be added"
            )
        return named


class StatisticsSection(Section):
    """How evidence is weighed (declared before the results)."""

    window: int = Field(64, ge=8, le=4096, description="frames of a correlation window")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="family-wise error rate")
    permutations: int = Field(
        10_000, ge=100, le=1_000_000, description="sign flips or permutations"
    )
    bootstrap: int = Field(5000, ge=100, le=100_000, description="bootstrap draws")
    margin_z: float = Field(0.10, gt=0, lt=1, description="equivalence margin of mean z")
    margin_rho: float = Field(0.30, gt=0, lt=1, description="equivalence margin of rho")
    correct_within: float = Field(
        0.0,
        ge=0,
        description="score points; a prediction this near is correct; 0: the paper's 5 of "
        "63, as a share of the scale",
    )
    seed: int = Field(0, ge=0, description="seed of permutations and bootstrap")


class RunSection(Section):
    """Where results go and what computes them."""

    name: str = Field(
        "demo", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="the run's folder under build/"
    )
    engine: Literal["process", "loky", "dask"] = Field("loky", description="what runs the work")
    workers: int = Field(0, ge=0, le=4096, description="worker processes; 0: one per core")
    threads: int = Field(1, ge=1, le=256, description="threads per worker")
    scheduler: str = Field("", description="Dask scheduler address; empty starts one here")


class Parameters(BaseModel):
    """All parameters of a run."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    cohort: CohortSection = CohortSection()
    faces: FacesSection = FacesSection()
    clips: ClipsSection = ClipsSection()
    training: TrainingSection = TrainingSection()
    attribution: AttributionSection = AttributionSection()
    statistics: StatisticsSection = StatisticsSection()
    run: RunSection = RunSection()


def possible(parameters: Parameters) -> Parameters:
    """Return the parameters, unless they contradict each other before anything is read.

    Raises
    ------
    ParameterError
        If rendered participants are too few, are to be read from tables, have faces too small
        for chapter 2's thresholds, or recordings too short for a clip or a window.
    """
    cohort, clips = parameters.cohort, parameters.clips
    if cohort.source != "rendered" or cohort.folder:
        return parameters
    if few := too_few(cohort.participants, parameters):
        raise ParameterError(f"cohort.participants = {few}")
    if parameters.faces.tracker == "tables":
        raise ParameterError(
            "faces.tracker = 'tables': beside rendered recordings lie no tables of other tools; "
            "take 'auto', 'simulated', or a network's."
        )
    eyes, needed = EYES * cohort.size, parameters.faces.min_eye_distance
    if eyes < needed:
        raise ParameterError(
            f"cohort.size = {cohort.size} draws outer eye corners {eyes:.0f} px apart, and "
            f"faces.min_eye_distance = {needed:g} leaves them out; render larger pictures."
        )
    has = round(cohort.seconds * min(clips.fps, cohort.fps))
    spans = (clips.frames - 1) * clips.dilation + 1
    if spans > has:
        raise ParameterError(
            f"clips.frames = {clips.frames} with clips.dilation = {clips.dilation} spans {spans} "
            f"frames, and a recording of cohort.seconds = {cohort.seconds:g} has {has} at "
            f"clips.fps = {min(clips.fps, cohort.fps):g}; take fewer frames or longer recordings."
        )
    window = parameters.statistics.window
    if has < max(16, window // 4):
        raise ParameterError(
            f"cohort.seconds = {cohort.seconds:g} gives recordings of {has} frames; correlations "
            f"need 16, and a quarter of statistics.window = {window}: longer recordings, or a "
            "shorter window."
        )
    return parameters


def too_few(people: int, parameters: Parameters) -> str:
    """Say why so many participants are too few; empty where they suffice.

    One per fold, and as many as a two-sided sign-flip test needs to fall to alpha at all: its
    smallest p is 2 / 2^P.
    """
    by_test = math.ceil(1 - math.log2(parameters.statistics.alpha))
    least = max(parameters.training.folds, by_test)
    if people >= least:
        return ""
    return (
        f"{people}: at least {least} participants are needed, for training.folds = "
        f"{parameters.training.folds} and for a sign-flip test whose p can reach "
        f"statistics.alpha = {parameters.statistics.alpha:g}."
    )


# Parameters that say where things lie on somebody's machine; a published book keeps them back.
PLACES = frozenset(
    {"cohort_folder", "cohort_table", "cohort_tables", "faces_weights_folder", "run_scheduler"}
)

SECTIONS: dict[str, type[Section]] = {
    name: type(field.default) for name, field in Parameters.model_fields.items()
}


def load_profile(name: str, folder: Path, overrides: Iterable[str] = ()) -> Parameters:
    """Return the parameters of a profile, with ``section.name=value`` overrides.

    Parameters
    ----------
    name : str
        Of a file in `folder`, or the path of a YAML file of your own.
    folder : Path
        Of the project's profiles.
    overrides : iterable of str
        Such as ``clips.frames=32``.

    Raises
    ------
    ParameterError
        For an unknown profile, name, type or range: what came, what fits.
    """
    path = Path(name).expanduser() if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    if not path.is_file():
        known = sorted(one.stem for one in folder.glob("*.yaml"))
        raise ParameterError(f"profile {name!r} is unknown{_checks.nearest(name, known)}.")
    if path.stat().st_size > 2**20:  # YAML of 50 MB takes minutes to read
        raise ParameterError(f"profile {name!r} is larger than 1 MB: these are no parameters.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"profile {name!r} is not plain YAML: {error}") from error
    if not isinstance(values, dict) or any(v and not isinstance(v, dict) for v in values.values()):
        raise ParameterError(f"profile {name!r} must map sections to parameters.")
    values = {str(s): {str(k): v for k, v in (body or {}).items()} for s, body in values.items()}
    values.setdefault("run", {}).setdefault("name", path.stem)
    for text in overrides:
        _override(values, text)
    return possible(validate(values))


def _override(values: dict[str, Any], text: str) -> None:
    target, equals, value = text.partition("=")
    section, dot, name = target.strip().partition(".")
    if not (equals and dot):
        raise ParameterError(f"override {text!r} must read section.name=value.")
    given: Any = value
    if _field(section, name).annotation is not str:
        with suppress(yaml.YAMLError):
            given = yaml.safe_load(value)
    values.setdefault(section, {})[name] = given


def _field(section: str, name: str) -> Any:
    if section not in SECTIONS:
        raise ParameterError(
            f"parameter section {section!r} is unknown{_checks.nearest(section, SECTIONS)}."
        )
    fields = SECTIONS[section].model_fields
    if name not in fields:
        elsewhere = [
            f"{other}.{name}" for other, model in SECTIONS.items() if name in model.model_fields
        ]
        hint = f" (there is {elsewhere[0]})" if elsewhere else ""
        raise ParameterError(
            f"parameter {section}.{name} is unknown{_checks.nearest(name, fields)}{hint}."
        )
    return fields[name]


def validate(values: Mapping[str, Mapping[str, Any]]) -> Parameters:
    """Return typed parameters, or raise one error that names every fault.

    Raises
    ------
    ParameterError
        With each parameter's value, what fits and the nearest known name.
    """
    cleaned = {
        section: {name: _plain(section, name, value) for name, value in (body or {}).items()}
        for section, body in values.items()
    }
    try:
        return Parameters.model_validate(cleaned)
    except ValidationError as error:
        raise ParameterError(_faults(error)) from None


def _plain(section: str, name: str, value: Any) -> Any:
    """Accept what YAML cannot say otherwise: a list or "a, b" for a tuple, 1e-3 for .001."""
    annotation = _field(section, name).annotation
    if annotation is float and isinstance(value, str):
        with suppress(ValueError):
            return float(value)
    if get_origin(annotation) is tuple and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if get_origin(annotation) is tuple and isinstance(value, list):
        return tuple(value)
    return value


def _faults(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"][:2])
        what = fault["msg"].removeprefix("Value error, ")
        shown = f"{place} = {fault['input']!r}: " if len(fault["loc"]) > 1 else ""
        lines.append(shown + what[0].lower() + what[1:])
    return "these parameters do not fit:\n  " + "\n  ".join(lines)


# In notebooks


def flat_name(section: str, name: str) -> str:
    """Return a parameter's name in a notebook, e.g. ``clips_frames``."""
    return f"{section}_{name}"


def split_name(flat: str) -> tuple[str, str]:
    """Return section and name of a notebook's parameter.

    Raises
    ------
    ParameterError
        If there is no such parameter.
    """
    section, _, name = flat.partition("_")
    _field(section, name)
    return section, name


def flatten(parameters: Parameters, names: Iterable[str]) -> dict[str, Any]:
    """Return parameters under their notebook names, as papermill takes them.

    >>> flatten(Parameters(), ["clips_frames", "attribution_baselines"])
    {'clips_frames': 32, 'attribution_baselines': ['own_neutral', 'blur', 'zero']}
    """
    flat = {}
    for full in names:
        section, name = split_name(full)
        value = getattr(getattr(parameters, section), name)
        flat[full] = list(value) if isinstance(value, tuple) else value
    return flat


def collect(namespace: Mapping[str, Any]) -> Declared:
    """Return the parameters that a notebook's cell declared, checked.

    A name that starts like a parameter and is none is refused, for papermill itself only logs it.

    Raises
    ------
    ParameterError
        For an unknown name, a wrong type or range.
    """
    plain = (bool, int, float, str, list, tuple, type(None))
    values: dict[str, dict[str, Any]] = {}
    for full, value in namespace.items():
        section, _, name = full.partition("_")
        if section in SECTIONS and name and isinstance(value, plain):
            values.setdefault(section, {})[name] = value
    names = [flat_name(section, name) for section, body in values.items() for name in body]
    return Declared(validate(values), names)


class Declared:
    """A run's parameters as a chapter holds them: it reads what it declares, and nothing else.

    The section ``run`` is free to all. `read` names what was read so far, `unread` what was not.
    """

    def __init__(self, parameters: Parameters, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self.read: set[str] = set()
        self.run = parameters.run
        for section in SECTIONS.keys() - {"run"}:
            setattr(self, section, _Reader(section, getattr(parameters, section), self))

    @property
    def unread(self) -> list[str]:
        """Declared names that nobody has read."""
        return sorted(name for name in self.names - self.read if not name.startswith("run_"))


class _Reader:
    def __init__(self, section: str, values: Section, declared: Declared) -> None:
        self._known = (section, values, declared)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        section, values, declared = self._known
        full = flat_name(section, name)
        value = getattr(values, name)
        if full not in declared.names:
            raise ParameterError(
                f"this chapter reads {section}.{name} without declaring it; add {full} = None to "
                "its parameters cell and call: expresso params sync"
            )
        declared.read.add(full)
        return value


def declared_names(cell: str) -> list[str]:
    """Return the names that a notebook's parameters cell assigns, in order.

    >>> declared_names("clips_frames = 32  # frames\\nrun_name = 'demo'")
    ['clips_frames', 'run_name']
    """
    lines = [node for node in ast.parse(cell).body if isinstance(node, ast.Assign)]
    return [ast.unparse(target) for node in lines for target in node.targets]


def parameters_cell(names: Iterable[str]) -> str:
    """Return the code of a notebook's parameters cell: a literal and a comment per parameter.

    >>> print(parameters_cell(["clips_step", "run_name"]))
    clips_step = 0  # frames between windows; 0: the fewest that cover a recording (0 to 512)
    run_name = "demo"  # the run's folder under build/
    """
    lines = []
    for full, value in flatten(Parameters(), names).items():
        text = f'"{value}"' if isinstance(value, str) else repr(value).replace("'", '"')
        lines.append(f"{full} = {text}  # {describe(*split_name(full))}")
    return "\n".join(lines)


def describe(section: str, name: str) -> str:
    """Return a parameter's meaning, unit and range in one line.

    >>> describe("clips", "frames")
    'frames per clip; the paper: 16, 32, 64 (2 to 512)'
    """
    meaning = str(_field(section, name).description)
    known = SECTIONS[section].model_json_schema()["properties"][name]
    if "enum" in known:
        return f"{meaning} ({', '.join(known['enum'])})"
    low = known.get("minimum", known.get("exclusiveMinimum"))
    high = known.get("maximum", known.get("exclusiveMaximum"))
    if low is None:
        return meaning
    return (
        f"{meaning} ({low:g} to {high:g})" if high is not None else f"{meaning} ({low:g} or more)"
    )
