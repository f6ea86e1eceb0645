"""Parameters have one owner; what does not fit is refused before anything runs."""

from pathlib import Path
from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from expresso_lib import config

PROFILES = Path(__file__).parents[1] / "notebooks" / "params"


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.yaml")), ids=lambda p: p.stem)
def test_load_profile_reads_every_profile(path):
    """Every committed profile fits the schema and names its own run."""
    assert config.load_profile(path.stem, PROFILES).run.name == path.stem


def test_folders_are_meant_from_where_the_command_is_typed(tmp_path, monkeypatch):
    """Chapters run in a folder of their own; an address or a table's name stays as it is."""
    monkeypatch.chdir(tmp_path)
    given = ["cohort.source=folder", "cohort.folder=mine", "cohort.table=scores.csv",
             "cohort.tables=~/tables", "faces.weights_folder=weights"]  # fmt: skip
    found = config.load_profile("demo", PROFILES, given)
    assert found.cohort.folder == str(tmp_path / "mine")
    assert found.faces.weights_folder == str(tmp_path / "weights")
    assert Path(found.cohort.tables) == Path("~/tables").expanduser()
    assert found.cohort.table == "scores.csv"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("clips.frams=32", "did you mean 'frames'"),
        ("clip.frames=32", "did you mean 'clips'"),
        ("clips.frames=many", "clips.frames = 'many'"),
        ("clips.frames=1", "greater than or equal to 2"),
        ("clips.frames=true", "clips.frames = True"),
        ("clips.frames=2.5", "clips.frames = 2.5"),
        ("training.weights=imagenet", "'facial-actions', 'kinetics400' or 'none'"),
        ("frames=32", "section.name=value; did you mean clips.frames?"),
        ("seed=3", "did you mean cohort.seed or training.seed or"),
        ("nothing=3", r"section.name=value\."),
        ("clips.alpha=0.1", "statistics.alpha"),
        ("attribution.method=Saliency", "'DeepLift' or 'IntegratedGradients'"),
        ("attribution.baselines=[blur, blue]", r"attribution.baselines = 'blue'"),
        ("attribution.baselines=[posed_neutral, blur]", "zero cannot be left out"),
        ("cohort.size=64", "outer eye corners 18 px apart, and faces.min_eye_distance = 20"),
        ("cohort.size=97", "cohort.size = 97: input should be a multiple of 2"),
        ("statistics.window=4096", "recordings of 125 frames; .* a quarter of statistics.window"),
        ("faces.tracker=tables", "beside rendered recordings lie no tables"),
        ("run.name=a/b", "run.name = 'a/b': it is the run's folder .* letters, digits"),
        ("cohort.variant=region", "it is what is planted: default, amount, null"),
        ("cohort.participants=5", "at least 6 participants .* sign-flip test"),
        ("statistics.alpha=0.00005", "permutations = .* no p below 1 / .* is never reached"),
        ("clips.frames=200", "spans 200 frames, and the longest recording has 125"),
    ],
)
def test_load_profile_refuses_what_does_not_fit(text, message):
    """A wrong name, type or range says what came and what fits."""
    with pytest.raises(config.ParameterError, match=message):
        config.load_profile("demo", PROFILES, [text])


def test_methods_and_baselines_that_chapters_take_are_there():
    """The schema, which must not import torch, names only what `attribution` has."""
    from expresso_lib import attribution

    fields = config.AttributionSection.model_fields
    assert set(get_args(fields["method"].annotation)) <= set(attribution.METHODS)
    (literal, _) = get_args(fields["baselines"].annotation)
    assert set(get_args(literal)) <= set(attribution.BASELINES)


def test_load_profile_refuses_an_unknown_profile():
    """The nearest profile is named."""
    with pytest.raises(config.ParameterError, match="did you mean 'quick'"):
        config.load_profile("quik", PROFILES)


def test_load_profile_reads_numbers_in_any_notation():
    """1e-3 is text to YAML and a number to us; an integer does for a float."""
    parameters = config.load_profile(
        "demo", PROFILES, ["training.learning_rate=1e-3", "cohort.seconds=4"]
    )
    assert parameters.training.learning_rate == 1e-3
    assert parameters.cohort.seconds == 4.0


def test_load_profile_reads_numbers_as_people_write_them(tmp_path):
    """032 is not read as 26, nor 1:30 as 90; a section given twice would lose the first."""
    parameters = config.load_profile("demo", PROFILES, ["clips.frames=64", "clips.fps=12.50"])
    assert (parameters.clips.frames, parameters.clips.fps) == (64, 12.5)
    for name, text in (("clips.frames", "032"), ("statistics.window", "1:30")):
        with pytest.raises(config.ParameterError, match=f"{name} = '{text}'"):
            config.load_profile("demo", PROFILES, [f"{name}={text}"])
    (tmp_path / "twice.yaml").write_text("clips:\n  frames: 16\nclips:\n  size: 96\n")
    with pytest.raises(config.ParameterError, match="clips stands there twice"):
        config.load_profile("twice", tmp_path)


def test_load_profile_knows_no_home_of_a_stranger():
    """`~nobody` is a folder of somebody whom this machine does not know."""
    with pytest.raises(config.ParameterError, match=r"cohort\.folder '~nosuchuser/x'"):
        config.load_profile("demo", PROFILES, ["cohort.folder=~nosuchuser/x"])


@pytest.mark.parametrize("text", ["mild 14-19", "[mild 14-19]", '["mild 14-19"]'])
def test_load_profile_reads_bands_in_their_documented_form(text):
    """`-p cohort.bands='mild 14-19'` is one band; commas part several."""
    assert config.load_profile("demo", PROFILES, [f"cohort.bands={text}"]).cohort.bands == (
        "mild 14-19",
    )


def test_load_profile_refuses_a_range_upside_down():
    """The lowest score lies below the highest; equal ones mean the scale's own range."""
    with pytest.raises(config.ParameterError, match="score_low must lie below score_high"):
        config.load_profile("folder", PROFILES, ["cohort.score_low=10", "cohort.score_high=5"])


def test_load_profile_takes_the_path_of_a_file(tmp_path):
    """A profile of one's own need not lie in the project; its name is the run's."""
    (tmp_path / "mine.yaml").write_text("clips: {frames: 16}\n")
    found = config.load_profile(str(tmp_path / "mine.yaml"), PROFILES)
    assert (found.clips.frames, found.run.name) == (16, "mine")


def test_load_profile_refuses_yaml_tags(tmp_path):
    """YAML that would run code is not read."""
    (tmp_path / "evil.yaml").write_text("run: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(config.ParameterError, match="not plain YAML"):
        config.load_profile("evil", tmp_path)


ALL = [
    f"{section}_{name}" for section, model in config.SECTIONS.items() for name in model.model_fields
]


def test_parameters_cell_gives_the_defaults_back():
    """What the schema writes into a notebook, `collect` reads as the same parameters."""
    namespace = {}
    exec(config.parameters_cell(ALL), namespace)
    found = config.collect(namespace)
    assert found.names == set(ALL)
    assert config.flatten(found, ALL) == config.flatten(config.Parameters(), ALL)


def test_collect_refuses_a_misspelt_notebook_parameter():
    """papermill only logs an unknown parameter; the notebook refuses it."""
    with pytest.raises(config.ParameterError, match=r"clips\.frams"):
        config.collect({"clips_frams": 3})


def test_a_chapter_reads_what_it_declares_and_nothing_else():
    """An undeclared read is an error with its remedy; a declared one is noted; run is free."""
    found = config.collect({"clips_frames": 16, "clips_step": 4, "run_name": "x"})
    assert (found.clips.frames, found.run.name, found.run.engine) == (16, "x", "loky")
    assert found.unread == ["clips_step"]
    with pytest.raises(config.ParameterError, match=r"clips_size = None .* expresso params sync"):
        found.clips.size  # noqa: B018


def test_flatten_and_collect_are_inverse():
    """Parameters survive the way through a notebook."""
    flat = config.flatten(config.load_profile("quick", PROFILES), ALL)
    assert config.flatten(config.collect(flat), ALL) == flat


@given(st.text(min_size=1, max_size=12))
def test_validate_never_lets_an_unknown_name_pass(name):
    """Whatever the name, it is a parameter or an error of ours."""
    if name in config.SECTIONS["clips"].model_fields:
        return
    with pytest.raises(config.ParameterError):
        config.validate({"clips": {name: 1}})


def test_every_parameter_says_what_it_means():
    """Each field has a description, and notebooks show it in one line."""
    for section, model in config.SECTIONS.items():
        for name in model.model_fields:
            assert config.describe(section, name).strip()
            assert "\n" not in config.describe(section, name)


@pytest.mark.parametrize("name", ["demo", "quick"])
def test_profiles_hold_only_what_differs(name):
    """A profile that repeats a default hides what it changes; those for real data are templates
    to edit, and state what matters even where it is the default.
    """
    for section, body in yaml.safe_load((PROFILES / f"{name}.yaml").read_text()).items():
        for parameter, value in body.items():
            if (section, parameter) != ("run", "name"):
                default = config.SECTIONS[section].model_fields[parameter].default
                assert value != default, f"{section}.{parameter} is the default"
