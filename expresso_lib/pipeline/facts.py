"""What a page may say about one run, from its tables, its chapters and the committed evidence.

The pages in ``book/`` ask for it in ``[[ ... ]]`` (Jinja). A fact that is not there reads "not
measured" and never stops the book; what was measured is shown with its stamp.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pandas as pd
from pyarrow import parquet

from expresso_lib import config, faithfulness, store
from expresso_lib.figures import style
from expresso_lib.pipeline import project, provenance
from expresso_lib.statistics import claims, prose, wording

ROOT = project.project_root()
BENCHMARKS = ROOT / "benchmarks" / "bench.json"
RELEASE = "release 0.1"  # what every later measurement stands beside
BEFORE = ROOT / "benchmarks" / "release_0.1.json"
STUDY = ROOT / "benchmarks" / "study"
MISSING = "not measured"


@dataclass(frozen=True)
class ChapterFacts:
    """What is known of one chapter: `state` is "done", "failed" or "not run".

    `stale` says why it has to be executed again (`book.stale`), `stamp` is the provenance that the
    pipeline wrote into the executed notebook.
    """

    name: str
    title: str
    state: str
    command: str
    stale: str
    stamp: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> list[str]:
        """Parts of the fingerprint that are no longer what they were."""
        return self.stale.removeprefix("changed: ").split(", ")

    @property
    def freshness(self) -> str:
        """One word, or a short reason, as the status page shows it."""
        if self.state != "done":
            return self.state
        return f"stale ({self.stale})" if self.stale else "fresh"

    @property
    def took(self) -> str:
        """Seconds it took, by the clock and of all processors together, as text."""
        if "seconds" not in self.stamp:
            return MISSING
        spent = self.stamp.get("cpu_seconds")
        return f"{self.stamp['seconds']:.0f} s" + (f" ({spent:.0f} CPU‑s)" if spent else "")

    @property
    def parameters(self) -> pd.DataFrame:
        """Each parameter with its type, its default, this run's value and whether they differ."""
        given, usual = self.stamp.get("parameters", {}), self.stamp.get("defaults", {})
        rows = [
            (name, type(value).__name__, repr(usual.get(name)), shown(name, value),
             "" if usual.get(name) == value else "changed")
            for name, value in sorted(given.items())
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["parameter", "type", "default", "this run", "differs"])


@dataclass(frozen=True)
class Facts:
    """Everything that a page may say about one run."""

    folder: Path
    chapters: tuple[ChapterFacts, ...] = ()
    student: bool = False
    built: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.name

    @cached_property
    def run(self) -> dict[str, Any]:
        """What the pipeline recorded in ``run.json``."""
        return project.facts(self.folder)

    @property
    def freshness(self) -> str:
        """State of the whole run in one line."""
        not_fresh = [chapter.name for chapter in self.chapters if chapter.freshness != "fresh"]
        return f"not fresh: {', '.join(not_fresh)}" if not_fresh else "every chapter is fresh"

    def table(self, name: str, **where: Any) -> pd.DataFrame:
        """Return the rows of a table that fit `where`; empty where no chapter has made it."""
        path = self.folder / "tables" / f"{name}.parquet"
        return wording.fitting(pd.read_parquet(path) if path.is_file() else pd.DataFrame(), **where)

    def show(self, name: str, *columns: str, caption: str, digits: int = 2, **where: Any) -> str:
        """Write chosen columns and rows of a table as HTML, or that it was not measured."""
        return show_table(self.table(name, **where), columns, caption=caption, digits=digits)

    @property
    def ledger(self) -> str:
        """The claims, what decides each, what was found and the verdict, as a table."""
        rows = self.table("claims")
        caption = "Claims of the paper, and what this run found"
        return show_table(claims.in_words(rows) if len(rows) else rows, caption=caption)

    @property
    def standing(self) -> str:
        """Whether the run's model is shown to read severity, in words; empty if not measured."""
        differences = self.table("model_differences")
        recipe = self.run.get("default_recipe", "")
        return prose.standing(differences, recipe) if len(differences) else ""

    @property
    def front(self) -> str:
        """Whether to trust it, in words, from this run's tables; what is missing is said so."""
        recipe = self.run.get("default_recipe", "")
        scores, differences = (self.table(f"model_{name}") for name in ("scores", "differences"))
        faith = self.table("faithfulness")
        about = store.read_json(self.folder / "data" / "cohort" / "cohort.json")
        control, demo = float("nan"), about.get("demo", True)
        if len(faith):
            best = faithfulness.strongest_control(faith, "interventional_fidelity")
            control = float(best["estimate"])
        return prose.front(scores, differences, faith, recipe, control=control, demo=demo)

    @property
    def real(self) -> str:
        """What the stored study found on real faces, in words; chapter 8 has *when*, too."""
        scores, removals = (
            provenance.read_table(STUDY / f"real_{one}.csv") for one in ("scores", "removals")
        )
        return prose.real_faces(scores, removals, pd.DataFrame())

    def bench(self, kind: str, caption: str, **where: Any) -> str:
        """Write benchmarks (`kind` "goal") or calibrations ("test"), each with its stamp.

        Beside each stands what release 0.1 had, where that was the same measurement.
        """
        # Measured here, or the committed table of the last time that all was measured.
        known = store.read_json(self.folder.parent / "bench.json") or store.read_json(BENCHMARKS)
        before = {_measured(row): row for row in store.read_json(BEFORE)}
        rows = [row | {"share": _share(row.get("test", ""))} for row in known if kind in row]
        rows = [row for row in rows if where.items() <= row.items()]
        rows.sort(key=lambda row: row.get("date", ""))
        written = _goal if kind == "goal" else _calibration
        lines = pd.DataFrame(written(row, before.get(_measured(row), {})) for row in rows)
        if lines.empty:
            return show_table(lines, caption=caption)
        # Empty where it was not measured.
        lines["stamp"] = [provenance.stamp_text(row) if row.get("device") else "" for row in rows]
        if kind == "goal":
            # What no machine at hand could measure gives way to its value from another; of two
            # machines the latest speaks, unless they disagree on whether the bar is reached.
            twice = lines.duplicated(["goal", "what"], keep=False)
            lines = lines[~twice | (lines["measured"] != MISSING)]
            lines = lines.drop_duplicates(["goal", "what", "reached"], keep="last")
            lines = lines.sort_values(["goal", "what"], kind="stable")
            lines["what"] += lines.pop("note")
        stamps = [stamp for stamp in lines["stamp"].unique() if stamp]
        if len(stamps) < 2:  # said once, or nothing to say
            caption = "; ".join([caption, *stamps])
            return show_table(lines.drop(columns="stamp"), caption=caption, digits=3)
        letters = dict(zip(stamps, ascii_lowercase))
        lines["stamp"] = lines["stamp"].map(letters).fillna("")
        key = "; ".join(f"{letter}: {stamp}" for stamp, letter in letters.items())
        return f"{show_table(lines, caption=caption, digits=3)}\nStamps: {key}.\n"

    def study(self, name: str, *columns: str, caption: str, wide: str = "", digits: int = 2,
              **where: Any) -> str:  # fmt: skip
        """Write chosen columns and rows of a table of the study, with its stamp.

        With `wide` the estimates of each of that column's values stand in a column of their own.
        """
        table = wording.fitting(provenance.read_table(STUDY / f"{name}.csv"), **where)
        if wide and len(table):
            table = table.pivot_table("estimate", list(columns), wide, sort=False).reset_index()
            table.columns = columns = tuple(map(str, table.columns))
        elif len(table):
            table = table.drop_duplicates(list(columns))
        stamp = provenance.stamps(STUDY).get(name, {})
        caption = f"{caption} ({provenance.stamp_text(stamp)})" if stamp else caption
        return show_table(table, columns, caption=caption, digits=digits)

    @cached_property
    def dictionary(self) -> pd.DataFrame:
        """What the columns of this run's tables mean: table, column, unit, meaning."""
        known = config.asset("data_dictionary.yaml")
        rows = []
        for path in sorted(self.folder.glob("tables/[!.]*.parquet")):
            texts = known["keys"] | known.get(path.stem, {})
            for column in parquet.read_schema(path).names:
                meaning, _, unit = texts.get(column, "").partition("; ")
                rows.append((path.stem, column, unit, meaning))
        return pd.DataFrame(rows, columns=["table", "column", "unit", "meaning"])

    def described(self, name: str) -> str:
        """Write what the columns of one table mean."""
        rows = self.dictionary[self.dictionary["table"] == name]
        return show_table(rows, ("column", "unit", "meaning"), caption=f"Table {name}")

    def fragment(self, name: str, otherwise: str) -> str:
        """Return a piece of HTML that a chapter left in ``figures/``, or some words instead."""
        path = self.folder / "figures" / name
        return raw(path.read_text(encoding="utf-8")) if path.is_file() else f"*{otherwise}*"


def show_table(
    table: pd.DataFrame, columns: Sequence[str] = (), *, caption: str, digits: int = 2
) -> str:
    """Write a table, or some columns, as a fenced block of HTML: Markdown leaves it alone."""
    table = table[[name for name in columns or table if name in table]]
    if table.empty:
        return f"*{caption}: {MISSING}.*"
    return raw(style.table_html(table, caption=caption, digits=digits))


def raw(text: str) -> str:
    """Fence HTML for MyST."""
    return f"\n````{{raw}} html\n{text}\n````\n"


def _measured(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells one measurement from another."""
    return tuple(row.get(name) for name in ("goal", "what", "test", "scenario", "n"))


def _goal(row: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    value, least, note = row["value"], row.get("better") == "higher", row.get("note")
    line = {"goal": row["goal"], "what": row.get("what", ""), "measured": MISSING}
    line |= {"bar": f"{'≥' if least else '≤'}\N{NO-BREAK SPACE}{row['bar']:g}", "reached": ""}
    if value is not None:  # else a goal of a machine that is not at hand
        holds = value >= row["bar"] if least else value <= row["bar"]
        line["measured"] = _figure(value)
        line["reached"] = "yes" if holds and row.get("gate", True) else "no"
    # A value that was not measured since does not stand beside itself.
    line[RELEASE] = _figure(before["value"]) if before and before["value"] != value else ""
    return line | {"note": f" ({note})" if note else ""}


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _share(test: str) -> str:
    """What a calibration's rate is a share of: its name says so."""
    if test.startswith("interval covers"):
        return "coverage"
    return "power" if test.startswith("finds a planted") else "false positives"


def _calibration(row: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    line = {"test": row["test"], "scenario": row["scenario"], "participants": row["n"]}
    line |= {"simulated cases": row["cohorts"], row["share"]: f"{100 * row['rate']:.1f} %"}
    line[RELEASE] = f"{100 * before['rate']:.1f} %" if before else ""
    if row["share"] == "false positives" and not row["naive"]:
        beyond = "below: too cautious" if row["rate"] < 0.04 else "above"
        line["4 to 6 %"] = "kept" if 0.04 <= row["rate"] <= 0.06 else beyond
    return line


def shown(name: str, value: Any) -> str:
    """Write a parameter; where somebody's data lie is nobody else's business."""
    return "(a place on this machine)" if value and name in config.PLACES else repr(value)
