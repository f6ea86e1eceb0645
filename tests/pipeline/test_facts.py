"""What a page may say: what is there, with its stamp, and "not measured" for what is not."""

import json

import pandas as pd
import yaml

from expresso_lib.pipeline import facts, provenance, publishing
from expresso_lib.statistics import hypotheses


def test_missing_facts_read_not_measured(run):
    """A page asks for what is not there and gets words, not an error and not a number."""
    page = facts.Facts(run)
    assert "not measured" in page.show("claims", caption="Claims")
    assert page.fragment("opening.html", "not run") == "*not run*"


def test_a_page_shows_the_rows_that_fit(run):
    """Asked for one recipe, a page shows that one; of one that is not there, words."""
    table = pd.DataFrame({"recipe": ["a", "b"], "estimate": [1.0, -2.75]})
    table.to_parquet(run / "tables" / "model_scores.parquet")
    page = facts.Facts(run)
    shown = page.show("model_scores", "estimate", caption="S", recipe="b")
    assert "−2.75" in shown
    assert "1.00" not in shown
    assert "not measured" in page.show("model_scores", "estimate", caption="S", recipe="c")


def test_measurements_carry_their_stamp_and_are_never_withheld(run):
    """Whatever the code is today, a value is shown with the date and commit of its measurement."""
    line = {"goal": 1, "what": "a", "value": 1.25, "bar": 1, "better": "higher", "device": "here"}
    old = {"date": "2026-11-26", "commit": "abc123"}
    rows = [line | old, line | old | {"what": "b", "value": 99.5, "better": "lower"}]
    (run.parent / "bench.json").write_text(json.dumps(rows))
    text = facts.Facts(run).bench("goal", "Goals")
    assert "1.25" in text
    assert "99.5" in text
    assert "measured 2026-11-26 at commit abc123" in text
    assert "<td>here" not in text  # one machine is named once, in the caption


def test_the_latest_machine_speaks_and_one_that_disagrees_beside_it(run):
    """Two machines that reach a bar are one row; each stamp has a letter and is told once."""
    line = {"goal": 1, "what": "a", "bar": 2, "better": "higher", "note": "small"}
    rows = [line | {"device": "new", "date": "2026-11-30", "value": 2.5},
            line | {"device": "old", "date": "2026-11-26", "value": 2.25},
            line | {"device": "slow", "date": "2026-11-25", "value": 1.125}]  # fmt: skip
    (run.parent / "bench.json").write_text(json.dumps(rows))
    text = facts.Facts(run).bench("goal", "Goals")
    assert "2.25" not in text
    assert text.index("1.125") < text.index("2.5") < text.index("Stamps: a: measured 2026-11-25")
    assert "; b: measured 2026-11-30 on new." in text
    assert text.count("a (small)") == 2


def test_every_measurement_stands_beside_that_of_release_0_1(run, tmp_path, monkeypatch):
    """Better or worse is seen in the row; what was not measured then has an empty place."""
    goal = {"goal": 1, "bar": 1, "better": "higher", "device": "here"}
    test = {"test": "t", "scenario": "s", "cohorts": 500, "rate": 0.051, "naive": False}
    rows = [goal | {"what": "a", "value": 1.25}, goal | {"what": "b", "value": 2.5},
            test | {"n": 24, "device": "here"}, test | {"n": 84, "device": "here"}]  # fmt: skip
    (run.parent / "bench.json").write_text(json.dumps(rows))
    before = [{"goal": 1, "what": "a", "value": 1.75},
              {"test": "t", "scenario": "s", "n": 84, "rate": 0.0625}]  # fmt: skip
    (tmp_path / "before.json").write_text(json.dumps(before))
    monkeypatch.setattr(facts, "BEFORE", tmp_path / "before.json")
    goals = facts.Facts(run).bench("goal", "G")
    assert goals.index("1.25") < goals.index("1.75") < goals.index("2.5")
    assert "release 0.1" in goals
    tests = facts.Facts(run).bench("test", "T")
    assert tests.count("5.1 %") == 2
    assert tests.count("6.2 %") == 1


def test_study_tables_are_shown_with_their_stamp(run, tmp_path, monkeypatch):
    """A rename of a module never blanks what took hours."""
    table = pd.DataFrame({"seed": ["0"], "recipe": ["null"], "estimate": [0.123456]})
    provenance.keep(tmp_path / "study", "t", table, date="2026-11-26", commit="abc123")
    monkeypatch.setattr(facts, "STUDY", tmp_path / "study")
    text = facts.Facts(run).study("t", "recipe", "estimate", caption="T")
    assert "0.1235" in facts.Facts(run).study("t", "estimate", caption="T", digits=4)
    assert "0.12" in text
    assert "null" in text
    assert "measured 2026-11-26 at commit abc123" in text


def test_the_study_holds_every_table_column_and_value_that_the_benchmark_page_asks_for(run):
    """On the page a misspelt column reads "not measured"; here it is a fault."""

    class Strict(facts.Facts):
        def study(self, name, *columns, wide="", **asked):
            known = provenance.read_table(facts.STUDY / f"{name}.csv")
            assert {*columns, *filter(None, [wide])} <= set(known), name
            return super().study(name, *columns, wide=wide, **asked)

    page = publishing.templates_of(facts.ROOT / "book").get_template("benchmarks.md")
    text = page.render(facts=Strict(run))
    assert text.count("<table") > 10
    assert ": not measured.*" not in text


def test_the_front_page_says_what_the_committed_study_found_on_real_faces(tmp_path, monkeypatch):
    """In words that come from its tables; where there are none, that it was not measured."""
    assert facts.Facts(tmp_path).real.startswith("On real faces the same network")
    monkeypatch.setattr(facts, "STUDY", tmp_path)
    assert "not measured" in facts.Facts(tmp_path).real


def test_a_goal_of_a_gpu_is_not_measured_until_one_was_there(run):
    """The line says so and names no device; the value of a GPU takes its place."""
    line = {"goal": 5, "what": "share", "bar": 0.35, "better": "higher"}
    other = line | {"what": "speed", "value": 2.5, "device": "here"}
    absent, gpu = line | {"value": None, "device": ""}, line | {"value": 0.41, "device": "H100"}
    for rows, told in (([other, absent], "not measured"), ([other, absent, gpu], "0.41")):
        (run.parent / "bench.json").write_text(json.dumps(rows))
        text = facts.Facts(run).bench("goal", "Goals")
        assert told in text
        assert ("not measured" in text) == (told == "not measured")
        assert ("H100" in text) == (told == "0.41")


def test_calibrations_tell_false_positives_from_coverage_and_power(run):
    """A share of intervals that cover is no share of false alarms; a test that errs is named."""
    rows = [
        {"test": test, "scenario": "s", "n": 24, "cohorts": 500, "rate": rate, "naive": False}
        for test, rate in (
            ("H5 shift", 0.0612),
            ("H1 max-T", 0.05),
            ("interval covers: rho", 0.953),
            ("finds a planted rho", 0.81),
        )
    ]
    (run.parent / "bench.json").write_text(json.dumps(rows))
    page = facts.Facts(run)
    tables = {
        share: page.bench("test", "c", share=share)
        for share in ("false positives", "coverage", "power")
    }
    for share, own in (("coverage", "95.3 %"), ("power", "81.0 %"), ("false positives", "6.1 %")):
        assert [name for name, text in tables.items() if own in text] == [share]
    assert tables["false positives"].count("above") == 1
    assert "participants" in tables["power"]
    assert "Stamps" not in tables["power"]  # these have none


def test_dictionary_describes_the_columns_a_run_has(run):
    """Shared keys, own columns with their unit; a column that nobody knows stays empty."""
    hypotheses.results(pd.DataFrame({"hypothesis": ["H1"], "p": [0.5]})).to_parquet(
        run / "tables" / "results.parquet"
    )
    pd.DataFrame({"recipe": ["a"], "score": [3.0], "new": [1]}).to_parquet(
        run / "tables" / "predictions.parquet"
    )
    known = facts.Facts(run).dictionary.set_index(["table", "column"])
    assert known.loc[("predictions", "score"), "unit"] == "score points"
    assert known.index[known["meaning"] == ""].tolist() == [("predictions", "new")]
    assert [column for _, column in known.loc[["results"]].index] == list(hypotheses.COLUMNS)


def test_dictionary_holds_a_meaning_and_at_most_one_unit():
    """A second semicolon once cut sentences in two: the rest of one stood as its unit."""
    file = facts.ROOT / "expresso_lib" / "assets" / "data_dictionary.yaml"
    known = yaml.safe_load(file.read_text(encoding="utf-8"))
    for text in [text for table in known.values() for text in table.values()]:
        assert text.count(";") <= 1, text
        for part in text.split("; "):
            assert part.count("(") == part.count(")"), text
