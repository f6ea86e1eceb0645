"""The benchmarks' own arithmetic: bars, medians, exponents, what is kept and what got slower."""

from __future__ import annotations

import importlib
import inspect
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks import __main__ as runner
from benchmarks import measure, scaling
from benchmarks.study import networks


def line(value: float, *, what: str = "a ratio", better: str = "higher", **more) -> dict:
    """A line of the table with a bar of 4."""
    return {
        "goal": 4,
        "what": what,
        "value": value,
        "bar": 4.0,
        "better": better,
        "gate": True,
        "note": "",
        "device": "one CPU",
        "commit": "c",
        **more,
    }


@pytest.mark.parametrize(
    ("value", "better", "gate", "expected"),
    [
        (4.0, "higher", True, True),
        (3.9, "higher", True, False),
        (4.0, "lower", True, True),
        (4.1, "lower", True, False),
        (9.0, "higher", False, False),
    ],
)
def test_holds_is_computed_from_value_bar_and_gate(value, better, gate, expected) -> None:
    """At the bar is enough, on either side; a wrong answer holds nothing."""
    assert measure.holds(line(value, better=better, gate=gate)) is expected


def test_holds_believes_no_stored_verdict() -> None:
    """A line that claims to hold is judged by its numbers."""
    assert measure.holds(line(1.0, holds=True)) is False


def test_interleave_takes_turns_and_leaves_the_first_round_out() -> None:
    """Ways run in turn; the median is over the rounds after the warm-up."""
    calls, now = [], [0.0]
    cost = {"slow": iter([50.0, 3.0, 5.0, 4.0]), "fast": iter([9.0, 1.0, 1.0, 2.0])}

    def way(name: str):
        def run() -> None:
            calls.append(name)
            now[0] += next(cost[name])

        return run

    found = measure.interleave({name: way(name) for name in cost}, rounds=3, clock=lambda: now[0])
    assert found == {"slow": 4.0, "fast": 1.0}
    assert calls == ["slow", "fast"] * 4


@pytest.mark.parametrize(("power", "factor"), [(1.0, 3.0), (2.0, 0.5), (0.0, 7.0)])
def test_exponent_recovers_a_power_law(power, factor) -> None:
    """cost = factor · count^power gives its power back."""
    counts = [3, 6, 12, 24]
    costs = [factor * count**power for count in counts]
    assert scaling.exponent(counts, costs) == pytest.approx(power, abs=1e-9)


def test_goal_and_calibration_lines_hold_what_the_contract_names() -> None:
    """The columns that the book reads."""
    goal = measure.goal(7, "x", 2.123456, 1.0, "higher")
    assert {"goal", "what", "value", "bar", "better", "commit", "device"} <= set(goal)
    assert goal["value"] == 2.1235
    rate = measure.calibration("t", "s", 24, 0.05, True)
    assert {"test", "scenario", "n", "rate", "naive", "commit"} <= set(rate)


def test_keep_replaces_lines_of_the_same_name_only(tmp_path, monkeypatch) -> None:
    """A goal measured again takes its old place; other goals and devices stay."""
    monkeypatch.setattr(runner, "TABLE", tmp_path / "bench.json")
    monkeypatch.setattr(runner, "COMMITTED", tmp_path / "none.json")
    monkeypatch.setattr(measure, "matmul_rate", lambda: 42.0)
    runner.keep([line(5.0), line(6.0, what="another")], quick=False)
    runner.keep([line(7.0), line(8.0, device="a GPU")], quick=True)
    kept = runner.read(tmp_path / "bench.json")
    assert sorted(one["value"] for one in kept) == [6.0, 7.0, 8.0]
    assert {one["quick"] for one in kept if one["value"] > 6} == {True}
    assert all(one["matmul_gflops"] == 42.0 and one["date"] for one in kept)


def test_slower_names_what_lost_more_than_a_fifth() -> None:
    """In the goal's own direction; short runs and other devices are not compared."""
    before = [line(10.0), line(10.0, what="seconds", better="lower")]
    fine = [line(8.1), line(11.9, what="seconds", better="lower")]
    assert runner.slower(fine, before) == []
    worse = [line(7.0), line(13.0, what="seconds", better="lower")]
    found = runner.slower(worse, before)
    assert len(found) == 2
    assert "30% worse" in found[0]
    assert runner.slower([line(1.0, quick=True)], before) == []
    assert runner.slower([line(1.0, device="a GPU")], before) == []
    assert runner.slower([line(1.0)], [line(10.0, quick=True)]) == []


@pytest.mark.parametrize("name", sorted(set(runner.MODULES.values())))
def test_every_benchmark_can_be_run_short(name) -> None:
    """Each goal's module is there and offers ``run(quick)``."""
    run = importlib.import_module(f"benchmarks.{name}").run
    assert inspect.signature(run).parameters["quick"].default is False


def test_committed_table_is_whole() -> None:
    """Every committed line names its code and, where it was measured, its device; a full run."""
    lines = runner.read(runner.COMMITTED)
    assert all(one["commit"] for one in lines)
    assert all(one["device"] for one in lines if one.get("value", 0) is not None)
    assert not any(one.get("quick") for one in lines)
    assert json.dumps(lines)


def test_a_goal_without_its_machine_is_listed_and_never_holds() -> None:
    """No value: it does not hold, is not called slower, and is shown as not measured."""
    line = measure.absent(5, "share", 0.35, "higher")
    assert not measure.holds(line)
    before = line | {"value": 0.5}
    assert runner.slower([line], [before]) == runner.slower([before], [line]) == []
    with runner.console.capture() as shown:
        runner.show([line])
    assert "not measured" in shown.get()


@pytest.mark.slow
def test_networks_of_the_study_are_kept_one_by_one(tmp_path, monkeypatch) -> None:
    """Two networks; what is done is not done again."""
    for name, value in {"PEOPLE": 3, "FRAMES": 8, "CHANNELS": networks.CHANNELS[:1]}.items():
        monkeypatch.setattr(networks, name, value)
    plan = SimpleNamespace(shape=SimpleNamespace(size=32, rate=12.5), root=tmp_path, executor=None)
    asked = {"ours": ("small", "facial-actions"), "ours, random": ("small", "none")}
    table = networks.network_table(plan, [0], networks=asked)
    assert list(table["network"]) == list(asked)
    assert table[["completeness", "fidelity", "when"]].notna().all(axis=None)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert len(files) == 2
    again = networks.network_table(plan, [0], networks=asked)
    pd.testing.assert_frame_equal(table, again)
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}


def test_what_predicts_fidelity_is_found_and_what_does_not_is_not() -> None:
    """A number equal to the truth has rho 1, noise an interval around 0; few networks none."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        [{"seed": str(seed), "network": f"N{k}", "fidelity": value, "removal": value,
          "agreement": rng.normal(), "baseline": "posed_neutral"}
         | dict.fromkeys(("completeness", "randomisation"), np.nan)
         | {"stretches": -value if k < 4 else np.nan}
         for k in range(12) for seed in range(2) for value in rng.normal(size=4)]
    )  # fmt: skip
    oracle = table.assign(baseline="oracle_neutral", removal=-table["removal"])
    known = pd.concat([table, oracle])  # what needs the renderer is nothing that anybody can know
    found = networks.predictors(known, draws=400).set_index("number")
    assert found.loc["removal", ["rho", "ci_low", "ci_high"]].tolist() == pytest.approx([1, 1, 1])
    assert found.loc["agreement", "ci_low"] < 0 < found.loc["agreement", "ci_high"]
    assert found.loc["stretches", "rho"] == pytest.approx(-1)
    assert np.isnan(found.loc["stretches", "ci_low"])
    assert np.isnan(found.loc["completeness", "rho"])
    assert found.loc["removal", ["explanations", "units"]].tolist() == [96, 12]
    # The same five networks in two cohorts are five networks.
    few = networks.predictors(table[table["network"].isin([f"N{k}" for k in range(5)])], draws=400)
    assert few.set_index("number").loc["removal", ["ci_low", "ci_high"]].isna().all()


def test_benchmarks_refuse_an_unknown_goal(monkeypatch, capsys):
    """One message with the goals there are."""
    monkeypatch.setattr("sys.argv", ["benchmarks", "--goal", "99"])
    with pytest.raises(SystemExit) as stopped:
        runner.main()
    assert stopped.value.code == 2
    assert "invalid choice: '99'" in capsys.readouterr().err
