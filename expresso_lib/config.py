"""Typed parameters: the one owner of their names, units, ranges and defaults.

`Parameters` has a section per room. A profile in ``notebooks/params`` holds only what differs
from the defaults; a notebook's ``parameters`` cell is generated from here (`parameters_cell`)
and read back (`collect`), so that a wrong name, type or range is refused before anything runs.
"""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from expresso_lib import _checks

ASSETS = Path(__file__).parent / "assets"
EYES = 0.28  # outer-eye distance over the side of a rendered picture, smallest of twelve recordings


class ParameterError(ValueError):
    """A parameter has the wrong name, type or range."""


@cache
def asset(name: str) -> Any:
    """One of the library's own YAML files, read once."""
    return yaml.safe_load((ASSETS / name).read_text(encoding="utf-8"))


def param(default: Any, meaning: str, **limits: Any) -> Any:
    """Return a parameter: its default, its meaning with its unit, and what limits its values."""
    return Field(default, description=meaning, **limits)


class Section(BaseModel):
    """Parameters of one room; unknown names and silent conversions are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


Device = Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")]


class CohortSection(Section):
    """Who is analysed."""

    source: Literal["rendered", "avec2014", "cremad", "ravdess", "grid", "folder"] = param(
        "rendered", "data set, as data_manifest.yaml names its reader"
    )
    folder: str = param("", "folder of the data; empty: the data set's own place")
    table: str = param("", "table of your folder; empty: its only CSV")
    score: str = param("score", "column of your table that holds the score")
    score_low: float = param(0.0, "lowest possible score; as score_high: see there")
    score_high: float = param(
        0.0,
        "highest possible score; equal to score_low: that of a known scale, else the table's own",
    )
    bands: tuple[str, ...] = param(
        (), "such as 'mild 14-19'; none: those of a known scale, else thirds of the cohort"
    )
    emotion: str = param("", "cremad, ravdess: intensity of this emotion; empty: any")
    tables: str = param("", "folder of other tools' tables; empty: beside the videos")
    show_faces: bool = param(False, "your folder: participants consented to be shown")
    participants: int = param(84, "participants to render", ge=1, le=999)
    recordings: int = param(2, "recordings per participant to render", ge=1, le=99)
    seconds: float = param(10.0, "s; length of a rendered recording", gt=0, le=3600)
    fps: float = param(25.0, "frames/s of a rendered recording", ge=5, le=120)
    # H.264 needs even sides.
    size: int = param(160, "px; side of a rendered picture", ge=48, le=512, multiple_of=2)
    seed: int = param(0, "seed of the rendered cohort", ge=0)
    variant: str = param(
        "default",
        "what is planted: default, amount, null, headset, region:NAME, au:N",
        pattern=r"^(default|amount|null|headset|region:\w+|au:\d+)$",
    )

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.score_low > self.score_high:
            raise ValueError("score_low must lie below score_high (equal: the scale's own range)")
        return self


class FacesSection(Section):
    """How faces and landmarks are found."""

    tracker: Literal["auto", "s3fd_fan", "mediapipe", "tables", "simulated"] = param(
        "auto",
        "auto: s3fd_fan with weights at hand, else simulated (demo only), else tables beside the "
        "videos, else mediapipe",
    )
    detect_every: int = param(10, "frames between detections", ge=1, le=1000)
    detect_side: int = param(320, "px; longest side for detection", ge=64, le=4096)
    smoothing: float = param(0.0, "frames; sd of landmark smoothing", ge=0, le=30)
    min_share: float = param(0.8, "least share of frames with a face", ge=0, le=1)
    min_confidence: float = param(0.5, "least mean confidence", ge=0, le=1)
    max_jitter: float = param(0.05, "outer-eye distances; most jitter allowed", gt=0, le=1)
    min_eye_distance: float = param(20.0, "px; least median outer-eye distance", ge=0, le=4096)
    max_turn: float = param(45.0, "degrees; most yaw or pitch, 95th percentile", gt=0, le=90)
    max_gap: float = param(5.0, "s; longest bout without a face", gt=0, le=3600)
    device: Device = param("cpu", "cpu or cuda, for the networks")
    precision: Literal["float32", "bfloat16", "float16"] = param(
        "float32", "arithmetic of the networks"
    )
    flip: bool = param(True, "average each face with its mirror image")
    weights_folder: str = param("", "folder with the trackers' weights; empty: cache")


class ClipsSection(Section):
    """What the model is fed."""

    frames: int = param(32, "frames per clip; the paper: 16, 32, 64", ge=2, le=512)
    step: int = param(
        0, "frames between windows; 0: the fewest that cover a recording", ge=0, le=512
    )
    dilation: int = param(1, "frames between frames of a clip", ge=1, le=16)
    fps: float = param(12.5, "frames/s of the clips", gt=0, le=240)
    size: int = param(64, "px; side of a clip", ge=16, le=512)
    input: Literal["face", "composite"] = param(
        "face", "aligned face, or the paper's tiled composite of crops"
    )

    @property
    def span(self) -> int:
        """Frames from a clip's first to its last."""
        return (self.frames - 1) * self.dilation + 1


class TrainingSection(Section):
    """Which model, how it is fitted and judged."""

    model: str = param("small", "backbone of the default recipe, or package.module:function")
    weights: Literal["facial-actions", "kinetics400", "none"] = param(
        "facial-actions", "what the backbone was pre-trained on"
    )
    fit: Literal["ridge", "last", "all"] = param(
        "ridge", "frozen trunk and ridge head, or fine-tuned: last block, all"
    )
    grid: bool = param(False, "run every cell of the grid, not three")
    folds: int = param(5, "participant-grouped, band-stratified folds", ge=2, le=50)
    repeats: int = param(1, "repeats of the folds", ge=1, le=100)
    seed: int = param(0, "seed of folds and optimiser", ge=0)
    epochs: int = param(6, "most epochs of each part of fine-tuning", ge=1, le=1000)
    batch: int = param(8, "participants' scores per step", ge=1, le=1024)
    learning_rate: float = param(3e-4, "learning rate of the last block", gt=0, le=1)
    optimizer: Literal["adamw", "sgd"] = param("adamw", "optimiser of fine-tuning")
    bootstrap: int = param(2000, "bootstrap draws of participants", ge=100, le=100_000)
    device: Device = param("cpu", "cpu or cuda")


NEUTRAL = "posed_neutral"  # the reference that the chapters explain against
REFERENCES = {  # what readers call them
    NEUTRAL: "own neutral face", "own_neutral": "own neutral face, held still",
    "blur": "blurred clip",
    "zero": "black picture", "calm_mean": "mean of calm frames", "calm_frames": "calm frames",
    "oracle_neutral": "re-rendered neutral (oracle)",
}  # fmt: skip
CONTROLS = {  # maps beside which explanations stand
    "random": "random", "edge": "edges, no model", "motion": "motion, no model",
    "difference": "|x − neutral|, no model", "amount": "amount of movement, no model",
    "usual": "mean effect of that much movement",
    "usual and the head": "mean effect of that much movement, head included",
    "randomised": "randomised networks", "painted": "the truth, laid on the pixels",
}  # fmt: skip


class AttributionSection(Section):
    """How predictions are explained."""

    method: Literal["DeepLift", "IntegratedGradients"] = param(
        "DeepLift", "attribution method of the chapters; its parts add up"
    )
    baselines: tuple[Literal["posed_neutral", "own_neutral", "blur", "zero", "calm_mean"], ...] = (
        param((NEUTRAL, "blur", "zero"), "reference inputs: dynamics, artefacts, the paper's")
    )
    randomised: int = param(2, "randomised networks to compare with", ge=0, le=100)
    dealt: int = param(19, "models of permuted scores, to compare with in appendix C", ge=3, le=999)
    trust_clips: int = param(999, "participants looked at in chapter 7, at most", ge=2, le=10_000)
    seed: int = param(0, "seed of noise and randomisation", ge=0)
    batch: int = param(4, "clips per attribution call", ge=1, le=256)

    @field_validator("baselines")
    @classmethod
    def _compared(cls, named: tuple[str, ...]) -> tuple[str, ...]:
        if lacking := {NEUTRAL, "zero"} - set(named):
            names = " and ".join(sorted(lacking))
            raise ValueError(f"{names} cannot be left out: chapters 4 to 6 compare the two")
        return named


class StatisticsSection(Section):
    """How evidence is weighed (declared before the results)."""

    window: int = param(64, "frames of a correlation window", ge=8, le=4096)
    alpha: float = param(0.05, "family-wise error rate", gt=0, lt=0.5)
    permutations: int = param(10_000, "sign flips or permutations", ge=100, le=1_000_000)
    bootstrap: int = param(5000, "bootstrap draws", ge=100, le=100_000)
    margin_z: float = param(0.10, "equivalence margin of mean z", gt=0, lt=1)
    margin_rho: float = param(0.30, "equivalence margin of rho", gt=0, lt=1)
    correct_within: float = param(
        0.0,
        "score points; a prediction this near is correct; 0: the paper's 5 of 63, as a share of "
        "the scale",
        ge=0,
    )
    seed: int = param(0, "seed of permutations and bootstrap", ge=0)


class RunSection(Section):
    """Where results go and what computes them."""

    name: str = param(
        "demo",
        "the run's folder under build/; letters, digits, . _ -",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
    )
    engine: Literal["process", "loky", "dask"] = param("loky", "what runs the work")
    workers: int = param(0, "worker processes; 0: one per core", ge=0, le=4096)
    threads: int = param(1, "threads per worker", ge=1, le=256)
    scheduler: str = param("", "Dask scheduler address; empty starts one here")


class Parameters(Section):
    """All parameters of a run."""

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
        If permutations are too few for alpha; if rendered participants are too few, are to be read
        from tables, have faces too small for chapter 2's thresholds, or recordings too short for a
        clip or a window.
    """
    cohort, clips, tests = parameters.cohort, parameters.clips, parameters.statistics
    if tests.alpha * (1 + tests.permutations) < 1:
        raise ParameterError(
            f"statistics.permutations = {tests.permutations} give no p below 1 / "
            f"{1 + tests.permutations}, and statistics.alpha = {tests.alpha:g} is never reached; "
            "ask for more."
        )
    if cohort.source != "rendered" or cohort.folder:
        return parameters
    has = frames_at(clips.fps, round(cohort.seconds * cohort.fps), cohort.fps)
    suffice(cohort.participants, has, parameters)
    if parameters.faces.tracker == "tables":
        raise ParameterError(
            "faces.tracker = 'tables': beside rendered recordings lie no tables; take 'auto'."
        )
    eyes, needed = EYES * cohort.size, parameters.faces.min_eye_distance
    if eyes < needed:
        raise ParameterError(
            f"cohort.size = {cohort.size} draws outer eye corners {eyes:.0f} px apart, and "
            f"faces.min_eye_distance = {needed:g} leaves them out; render larger pictures."
        )
    window = parameters.statistics.window
    if has < max(16, window // 4):
        raise ParameterError(
            f"cohort.seconds = {cohort.seconds:g} gives recordings of {has} frames; needed are 16, "
            f"and a quarter of statistics.window = {window}."
        )
    return parameters


def frames_at(rate: float, n_frames: int, fps: float) -> int:
    """Frames that a recording has at a rate, as `clips.resample` takes them.

    >>> frames_at(12.5, 250, 25), frames_at(12.5, 32, 10), frames_at(12.5, 38, 15)
    (125, 32, 31)
    """
    return int((n_frames - 1) / fps * min(rate, fps) + 1e-6) + 1


def suffice(people: int, longest: int, parameters: Parameters) -> None:
    """Refuse data of too few people, or whose longest recording has fewer frames than a clip.

    Parameters
    ----------
    people : int
        Who have a recording as long as a clip.
    longest : int
        Frames at the clips' rate.
    parameters : Parameters
        Of the run.

    Raises
    ------
    ParameterError
        With what is there and what is needed.
    """
    wanted = parameters.clips
    if wanted.span > longest:
        raise ParameterError(
            f"clips.frames = {wanted.frames} with clips.dilation = {wanted.dilation} spans "
            f"{wanted.span} frames, and the longest recording has {longest} at the clips' rate "
            "(clips.fps); take fewer frames, or longer recordings (cohort.seconds)."
        )
    source = parameters.cohort.source
    if few := too_few(people, parameters):
        where = "cohort.participants" if source == "rendered" else source
        raise ParameterError(f"{where}: {few}")


def too_few(people: int, parameters: Parameters) -> str:
    """Say why so many participants are too few; empty where they suffice.

    One per fold, and as many as a two-sided sign-flip test needs to fall to alpha at all: its
    smallest p is 2 / 2^P.
    """
    by_test = math.ceil(1 - math.log2(parameters.statistics.alpha))
    least = max(parameters.training.folds, by_test)
    if people >= least:
        return ""
    why = "for training.folds, and for a sign-flip test whose p can reach statistics.alpha"
    return f"{people}: at least {least} participants are needed, {why}."


# Folders that somebody names from where a command is typed.
FOLDERS = (("cohort", "folder"), ("cohort", "tables"), ("faces", "weights_folder"))
# Parameters that say where things lie on somebody's machine; a published book keeps them back.
PLACES = ("cohort_folder", "cohort_table", "cohort_tables", "faces_weights_folder", "run_scheduler")

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
        _checks.one_of(name, known, "profile", ParameterError)
    if path.stat().st_size > 2**20:  # YAML of 50 MB takes minutes to read
        raise ParameterError(f"profile {name!r} is larger than 1 MB: these are no parameters.")
    try:
        values = _loaded(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"profile {name!r} is not plain YAML: {error}") from error
    if not isinstance(values, dict) or any(v and not isinstance(v, dict) for v in values.values()):
        raise ParameterError(f"profile {name!r} must map sections to parameters.")
    values = {str(s): {str(k): v for k, v in (body or {}).items()} for s, body in values.items()}
    values.setdefault("run", {}).setdefault("name", path.stem)
    for text in overrides:
        _override(values, text)
    for section, place in FOLDERS:  # chapters run in a folder of their own
        if isinstance(given := values.get(section, {}).get(place), str) and given:
            try:
                values[section][place] = str(Path(given).expanduser().absolute())
            except RuntimeError as error:  # of somebody who has no home here
                raise ParameterError(f"{section}.{place} {given!r}: {error}") from error
    return possible(validate(values))


class _Plain(yaml.SafeLoader):
    """Plain YAML without its traps: 032 and 1:30 are no numbers, no key comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := sorted(key for key, count in Counter(keys).items() if count > 1):
            raise yaml.YAMLError(f"{', '.join(twice)} stands there twice; keep one of them")
        return dict(super().construct_mapping(node, deep))


_Plain.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if not tag.endswith((":int", ":float"))]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Plain.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9]\d*)$"), list("-+0123456789")
)
_Plain.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\d+\.\d*|\.\d+)(?:e[-+]?\d+)?$", re.I),
    list("-+.0123456789"),
)


def _loaded(text: str) -> Any:
    loader = _Plain(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _override(values: dict[str, Any], text: str) -> None:
    target, equals, value = text.partition("=")
    section, dot, name = target.strip().partition(".")
    if not (equals and dot):
        meant = [f"{one}.{section}" for one, model in SECTIONS.items()
                 if section in model.model_fields]  # fmt: skip
        hint = f"; did you mean {' or '.join(meant)}?" if meant else "."
        raise ParameterError(f"override {text!r} must read section.name=value{hint}")
    given: Any = value
    if _field(section, name).annotation is not str:
        with suppress(yaml.YAMLError):
            given = _loaded(value)
    values.setdefault(section, {})[name] = given


def _field(section: str, name: str) -> Any:
    _checks.one_of(section, SECTIONS, "parameter section", ParameterError)
    fields = SECTIONS[section].model_fields
    if name not in fields:
        others = [f"{s}.{name}" for s, model in SECTIONS.items() if name in model.model_fields]
        hint = _checks.nearest(name, fields) + (f" (there is {others[0]})" if others else "")
        raise ParameterError(f"parameter {section}.{name} is unknown{hint}.")
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
    return tuple(value) if isinstance(value, list) else value


def _faults(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"][:2])
        what = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "string_pattern_mismatch":
            what = f"it is {describe(*map(str, fault['loc'][:2]))}"
        shown = f"{place} = {fault['input']!r}: " if len(fault["loc"]) > 1 else ""
        lines.append(shown + what[0].lower() + what[1:])
    return "these parameters do not fit:\n  " + "\n  ".join(lines)


# In notebooks


def flatten(parameters: Parameters, names: Iterable[str]) -> dict[str, Any]:
    """Return parameters under their notebook names, as papermill takes them.

    >>> flatten(Parameters(), ["clips_frames", "attribution_baselines"])
    {'clips_frames': 32, 'attribution_baselines': ['posed_neutral', 'blur', 'zero']}
    """
    flat = {}
    for full in names:
        section, _, name = full.partition("_")
        _field(section, name)  # refuses a name that nobody knows
        value = getattr(getattr(parameters, section), name)
        flat[full] = list(value) if isinstance(value, tuple) else value
    return flat


def collect(namespace: Mapping[str, Any]) -> "Declared":
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
    return Declared(validate(values))


class Declared:
    """A run's parameters as a chapter holds them: it reads what it declares, and nothing else.

    The section ``run`` is free to all. `read` names what was read so far, `unread` what was not.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.run, self.read = parameters.run, set[str]()
        self.names = {f"{s}_{name}" for s, values in parameters for name in values.model_fields_set}
        for section, values in parameters:
            if section != "run":
                setattr(self, section, _Reader(section, values, self.read))

    @property
    def unread(self) -> list[str]:
        """Declared names that nobody has read."""
        return sorted(name for name in self.names - self.read if not name.startswith("run_"))


class _Reader:
    def __init__(self, section: str, values: Section, read: set[str]) -> None:
        self._known = (section, values, read)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        section, values, read = self._known
        value, full = getattr(values, name), f"{section}_{name}"
        if name not in values.model_fields_set:
            raise ParameterError(
                f"this chapter reads {section}.{name} without declaring it; add {full} = None to "
                "its parameters cell and call: expresso params sync"
            )
        read.add(full)
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
    run_name = "demo"  # the run's folder under build/; letters, digits, . _ -
    """
    lines = []
    for full, value in flatten(Parameters(), names).items():
        text = repr(value).replace("'", '"')
        lines.append(f"{full} = {text}  # {describe(*full.split('_', 1))}")
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
    return f"{meaning} ({low:g} " + ("or more)" if high is None else f"to {high:g})")
