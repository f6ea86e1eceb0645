"""Parameters are for turning: every value is taken, or refused in words, before anything runs."""

import contextlib
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from expresso_lib import config

PROFILES = Path(__file__).parents[1] / "notebooks" / "params"
FIELDS = {
    f"{section}.{name}": field
    for section, model in config.SECTIONS.items()
    for name, field in model.model_fields.items()
}
ODD = ("", "-1", "0", "1", "2.5", "1e9", ".nan", "-.inf", "x", "null", "true", "[", "{a: 1}",
       "[blur, zero]", "!!python/name:os.system", "é", "a b", "../..", "9" * 400)  # fmt: skip


def edges(field):
    """The bounds of a number, and what lies just outside them."""
    step = 1 if field.annotation is int else 1e-6
    for bound in field.metadata:
        for kind, inside in (("ge", True), ("le", True), ("gt", False), ("lt", False)):
            if (value := getattr(bound, kind, None)) is not None:
                outside = value - step if kind[0] == "g" else value + step
                inner = value + step if kind[0] == "g" else value - step
                yield (value if inside else inner), True
                yield (outside if inside else value), False


def turned(*overrides):
    """The quick profile's parameters, or the message that refuses them."""
    try:
        return config.load_profile("quick", PROFILES, list(overrides)), ""
    except config.ParameterError as error:
        return None, str(error)


@pytest.mark.parametrize("name", FIELDS)
def test_every_parameter_takes_or_refuses_anything(name):
    """Twenty odd values each: typed parameters, or one message that says which one and why."""
    for value in ODD:
        found, message = turned(f"{name}={value}")
        if found is None:
            assert name in message or name.split(".")[1] in message
            assert 10 < len(message) < 2000
        else:
            section, field = name.split(".")
            namespace = {}
            exec(config.parameters_cell([config.flat_name(section, field)]), namespace)
            assert config.validate(found.model_dump()) == found


@pytest.mark.parametrize("name", [n for n, field in FIELDS.items() if list(edges(field))])
def test_bounds_hold_to_the_last_step(name):
    """At a bound a value fits by itself; beyond it the message gives the bound."""
    section, field = name.split(".")
    for value, fits in edges(FIELDS[name]):
        if fits:
            config.validate({section: {field: value}})
            continue
        with pytest.raises(config.ParameterError, match=re.escape(name)):
            config.validate({section: {field: value}})


@settings(max_examples=40)
@given(st.data())
def test_drawn_combinations_are_taken_or_refused(data):
    """Four parameters at once, each from its own range: no other error than ours."""
    names = data.draw(
        st.lists(st.sampled_from(sorted(FIELDS)), min_size=4, max_size=4, unique=True)
    )
    overrides = []
    for name in names:
        own = [str(value) for value, _ in edges(FIELDS[name])]
        overrides.append(f"{name}={data.draw(st.sampled_from([*own, *ODD]))}")
    found, message = turned(*overrides)
    assert found is not None or len(message) > 10


@pytest.mark.parametrize(
    "text",
    [
        "run:\n",
        "clips: 3\n",
        "clips: [frames]\n",
        "3: {a: 1}\n",
        "- 1\n",
        "clips: {frames: {}}\n",
        "clips: {1: 2}\n",
        "\x00",
        "a: &a [*a]\n",
    ],
)
def test_profiles_of_another_shape_are_taken_or_refused(tmp_path, text):
    """Whatever a YAML file holds: parameters or our error."""
    (tmp_path / "mine.yaml").write_text(text)
    with contextlib.suppress(config.ParameterError):
        assert config.load_profile("mine", tmp_path).run.name == "mine"


def test_a_profile_of_megabytes_is_refused_at_once(tmp_path):
    """Nobody's parameters are that long; YAML of 50 MB takes minutes to read."""
    with open(tmp_path / "mine.yaml", "w", encoding="utf-8") as file:
        file.write("clips:\n")
        file.writelines(f"  frames{i}: {i}\n" for i in range(100_000))
    with pytest.raises(config.ParameterError, match="MB"):
        config.load_profile("mine", tmp_path)


def test_profiles_are_plain_yaml():
    """What is committed has only sections that exist."""
    for path in PROFILES.glob("*.yaml"):
        assert set(yaml.safe_load(path.read_text(encoding="utf-8"))) <= set(config.SECTIONS)
