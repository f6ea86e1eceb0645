"""Parameters are for turning: every value is taken, or refused in words, before anything runs."""

import contextlib
import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import turning
from benchmarks.turning import FIELDS
from expresso_lib import config

PROFILES = Path(__file__).parents[1] / "notebooks" / "params"
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
            exec(config.parameters_cell([f"{section}_{field}"]), namespace)
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


# The benchmark that runs what is only read here


def test_every_parameter_is_turned_or_left_out_on_purpose():
    """A new parameter is turned by the benchmark, or named there among what is not."""
    left_out = {f"{part}.{n}" for part, names in turning.LEFT_OUT.items() for n in names.split()}
    assert set(turning.VALUES) | left_out == set(FIELDS)
    assert not set(turning.VALUES) & left_out


def test_cases_are_drawn_the_same_every_time():
    """Forty combinations of three to seven parameters, no two alike, between them nearly all."""
    cases = turning.drawn()
    assert cases == turning.drawn()
    assert len({turning.key(case) for case in cases}) == 40
    assert all(3 <= len(case) <= 7 for case in cases)
    assert len({name for case in cases for name in case}) > 0.9 * len(turning.VALUES)


@pytest.mark.parametrize("case", [*turning.singles(), *turning.drawn()], ids=turning.key)
def test_every_case_is_taken_or_refused_in_words(case):
    """One at a time and combined: parameters, or one message that names one that was turned."""
    found, message = turned(*(f"{name}={value}" for name, value in case.items()))
    assert found is not None or any(name in message for name in case), message


def test_a_case_that_has_ended_is_not_run_again(tmp_path):
    """A killed benchmark goes on where it stopped; rows come in the order of the cases."""
    ran = []

    def turn(case):
        ran.append(case)
        if case == {"c.d": "3"}:
            raise KeyboardInterrupt
        return {"case": turning.key(case), "ends": "book"}

    cases = [{"a.b": "1"}, {"a.b": "2"}, {"c.d": "3"}]
    path = tmp_path / "build" / "rows.jsonl"
    with pytest.raises(KeyboardInterrupt):
        list(turning.run(cases, path, turn=turn))
    again = list(turning.run(cases[:2], path, turn=turn))
    assert [row["case"] for row in again] == ["-p 'a.b=1'", "-p 'a.b=2'"]
    assert len(ran) == 3


def test_what_was_turned_and_killed_is_kept_as_a_measurement(tmp_path, monkeypatch):
    """Rows and kills end in a line each of the benchmarks; a book that nobody killed is none."""
    lives = iter([{"victim": "book", "met": 2}, {}, {}, {"victim": "kernel", "met": 1}, {}])
    monkeypatch.setattr(turning, "life", lambda seconds, victim: next(lives))
    monkeypatch.setattr(turning, "tables", lambda folder: {"a.parquet": "hash"})
    monkeypatch.setattr(turning, "plain", lambda: None)
    monkeypatch.setattr(turning, "run", lambda cases, turn: [
        {"ends": ends, "seconds": 1.0, "case": ""} for ends in ("book", "message", "fault")
    ])  # fmt: skip
    monkeypatch.setattr("benchmarks.__main__.TABLE", tmp_path / "bench.json")
    monkeypatch.setattr(sys, "argv", ["turning", "--kills", "2"])
    assert turning.main() == 0
    monkeypatch.setattr(sys, "argv", ["turning", "--only", "one"])
    assert turning.main() == 1
    kept = json.loads((tmp_path / "bench.json").read_text())
    told = {row["note"]: row["value"] for row in kept if row.get("goal") == 12}
    assert told == {"2 kills of 2 quick books": 0, "1 books and 1 messages beside": 1}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "ends"),
    [
        ({"cohort.participants": "6", "cohort.recordings": "1", "cohort.seconds": "1.5"}, "book"),
        ({"clips.frames": "64"}, "message"),
        ({"training.model": "smal"}, "message"),
    ],
)
def test_a_turned_run_ends_in_tables_or_a_message(case, ends):
    """Six people for a second and a half; clips longer than recordings; no such network."""
    row = turning.turn(case, ("run", "1" if ends == "book" else "3"))
    assert row["ends"] == ends, row["said"]
