"""Two runs side by side: the parameters, scores and verdicts in which they differ."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from expresso_lib import config, store
from expresso_lib.figures import style
from expresso_lib.pipeline import project, publishing
from expresso_lib.pipeline.facts import Facts


def compare(first: Path, second: Path) -> Path:
    """Set two runs side by side on one page, ``compare-<other>.html`` in the first's folder."""
    a, b = Facts(Path(first).resolve()), Facts(Path(second).resolve())
    for side in (a, b):
        if not side.run:
            command = project.command(side.folder, "book")
            raise FileNotFoundError(f"run {side.name!r} has no run.json; make it first: {command}")
    drawn = [{path.name for path in side.folder.glob("figures/[!.]*.png")} for side in (a, b)]
    template = publishing.templates_of(publishing.ROOT / "book").get_template("parts/compare.html")
    tables = [style.table_html(table, caption=title) for title, table in differences(a, b)]
    page = template.render(a=a, b=b, tables=tables, figures=sorted(drawn[0] & drawn[1]))
    return store.write_text(a.folder / f"compare-{b.name}.html", page)


def differences(*sides: Facts) -> Iterator[tuple[str, pd.DataFrame]]:
    """Return titles and tables of two runs side by side: parameters, scores, verdicts."""
    suffixes = tuple(f" ({side.name})" for side in sides)
    first, second = map(_read, sides)
    names = dict.fromkeys([*first, *second])
    differ = [name for name in names if first.get(name) != second.get(name)]
    # Where somebody's data lie is nobody else's business; that they lie elsewhere is.
    places = {name.replace("_", ".", 1) for name in config.PLACES}
    elsewhere = "(place 1 on this machine)", "(place 2 on this machine)"
    known = {name: (first.get(name, ""), second.get(name, "")) for name in differ}
    rows = [(name, *(elsewhere if name in places else known[name])) for name in differ]
    columns = ["parameter", *(side.name for side in sides)]
    yield "Parameters that differ", pd.DataFrame(rows, columns=columns)
    for name, keys, values in (
        ("model_scores", ["recipe", "level", "metric"], ["estimate", "ci_low", "ci_high"]),
        ("results", ["hypothesis", "status", "au", "region", "sign"], ["estimate", "p_max"]),
        ("claims", ["claim"], ["found", "verdict"]),
    ):
        tables = [side.table(name) for side in sides]
        if all(map(len, tables)):
            one, two = (table[keys + values] for table in tables)
            both = one.merge(two, on=keys, how="outer", suffixes=suffixes)
            yield name.replace("_", " ").capitalize(), both


def _read(side: Facts) -> dict[str, Any]:
    """The parameters that a run's chapters were executed with, as far as they declare them."""
    stamped = [known.get("parameters", {}) for known in side.run.get("chapters", {}).values()]
    return {
        name.replace("_", ".", 1): repr(value)
        for parameters in stamped
        for name, value in parameters.items()
        if not name.startswith("run_")
    }
