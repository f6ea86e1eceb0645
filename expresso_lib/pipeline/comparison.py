"""Two runs side by side: the parameters, scores and verdicts in which they differ."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from expresso_lib import store
from expresso_lib.figures import style
from expresso_lib.pipeline import project, publishing
from expresso_lib.pipeline.facts import Facts, shown


def compare(first: Path, second: Path) -> Path:
    """Set two runs side by side on one page, ``compare-<other>.html`` in the first's folder."""
    a, b = Facts(Path(first).resolve()), Facts(Path(second).resolve())
    for side in (a, b):
        if not side.run:
            command = project.command(side.folder, "book")
            raise FileNotFoundError(f"run {side.name!r} has no run.json; make it first: {command}")
    drawn = [{path.name for path in side.folder.glob("figures/*.png")} for side in (a, b)]
    template = publishing.templates_of(publishing.ROOT / "book").get_template("parts/compare.html")
    tables = [style.table_html(table, caption=title) for title, table in differences(a, b)]
    page = template.render(a=a, b=b, tables=tables, figures=sorted(drawn[0] & drawn[1]))
    return store.write_text(a.folder / f"compare-{b.name}.html", page)


def differences(*sides: Facts) -> Iterator[tuple[str, pd.DataFrame]]:
    """Return titles and tables of two runs side by side: parameters, scores, verdicts."""
    flat = pd.DataFrame({side.name: _flat(side.run.get("parameters", {})) for side in sides})
    names, suffixes = zip(*((side.name, f" ({side.name})") for side in sides))
    one, two = (flat[name].fillna("") for name in names)
    yield "Parameters that differ", flat[one != two].rename_axis("parameter").reset_index()
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


def _flat(parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        f"{section}.{name}": shown(f"{section}_{name}", value)
        for section, body in parameters.items()
        for name, value in body.items()
        if section != "run"
    }
