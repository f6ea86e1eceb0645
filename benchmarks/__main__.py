"""Run the benchmarks: ``python -m benchmarks [--goal 4] [--quick]``; write build/bench.json."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from expresso_lib import store

from . import measure

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "build" / "bench.json"
COMMITTED = Path(__file__).with_name("bench.json")
# Name on the command line -> module; the goals of performance.md keep their numbers.
MODULES = {
    "1": "landmarks",
    "2": "memory",
    "3": "seek",
    "4": "features",
    "5": "finetune",
    "6": "attribution",
    "7": "shifts",
    "8": "book",
    "9": "scaling",
    "10": "workers",
    "11": "explain",
    "calibration": "calibration",
}
# Goal 8 makes the whole book, which takes as long as all the others: it is run by name.
BY_NAME = ("8",)
LOST = 0.20

console = Console()


def main() -> int:
    """Read the command line and `run`."""
    words = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    words.add_argument("--goal", default="", choices=MODULES, help="without one, all but 8")
    words.add_argument("--quick", action="store_true", help="a minute instead of twenty")
    asked = words.parse_args()
    return run(asked.goal, quick=asked.quick)


def run(goal: str = "", *, quick: bool = False) -> int:
    """Measure one goal or all, keep every finished line, name what got slower; 1 if any failed."""
    failed = []
    everything = [name for name in MODULES if name not in BY_NAME]
    for name in [goal] if goal else everything:
        console.print(f"goal {name}: {MODULES[name]} …")
        begun = time.perf_counter()
        try:
            lines = importlib.import_module(f"benchmarks.{MODULES[name]}").run(quick=quick)
        except Exception as error:  # one broken goal must not cost the others
            console.print(f"  failed: {type(error).__name__}: {error}", style="red", markup=False)
            failed.append(name)
            continue
        console.print(f"  {time.perf_counter() - begun:.0f} s")
        keep(lines, quick=quick)
        show(lines)
    for line in slower(read(TABLE), read(COMMITTED)):
        console.print(line, style="yellow", markup=False)
    return 1 if failed else 0


def keep(lines: list[dict[str, Any]], *, quick: bool) -> None:
    """Replace these lines in build/bench.json, with the date and whether the run was short."""
    today = datetime.now(UTC).date().isoformat()
    rate = round(measure.matmul_rate(), 1)
    new = [line | {"date": today, "quick": quick, "matmul_gflops": rate} for line in lines]
    names = {_name(line) for line in new}
    old = [line for line in read(TABLE) or read(COMMITTED) if _name(line) not in names]
    store.write_text(TABLE, json.dumps(sorted(old + new, key=str), indent=1))


def read(path: Path) -> list[dict[str, Any]]:
    """Return a table's lines; none where it is missing."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []


def show(lines: list[dict[str, Any]]) -> None:
    """Print the lines just measured."""
    table = Table("what", "value", "bar", "holds")
    for line in lines:
        if "goal" in line:
            known = line["value"] is not None
            holds = ("yes" if measure.holds(line) else "no") if known else ""
            table.add_row(
                line["what"],
                f"{line['value']:g}" if known else "not measured",
                f"{line['bar']:g}",
                holds,
            )
        else:
            table.add_row(
                f"{line['test']}, {line['scenario']}",
                f"{line['rate']:.3f}",
                "",
                "naive" if line["naive"] else "ours",
            )
    console.print(table)


def slower(now: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[str]:
    """Return a sentence for each goal that lost more than a fifth since the committed table."""
    known = {_name(line): line for line in before if "goal" in line and not line.get("quick")}
    found = []
    for line in now:
        old = known.get(_name(line))
        if "goal" not in line or line.get("quick") or not line["value"]:
            continue
        if not old or not old["value"]:
            continue
        ratio = line["value"] / old["value"]
        loss = 1 - ratio if line["better"] == "higher" else ratio - 1
        if loss > LOST:
            found.append(
                f"goal {line['goal']}, {line['what']}: {old['value']:g} before, "
                f"{line['value']:g} now ({loss:.0%} worse)"
            )
    return found


def _name(line: dict[str, Any]) -> tuple[Any, ...]:
    """What a line is about: a speed belongs to its machine, how often a test errs does not."""
    if "goal" in line:
        return ("goal", line["goal"], line["what"], line["device"])
    return ("calibration", line["test"], line["scenario"], line["n"])


if __name__ == "__main__":
    sys.exit(main())
