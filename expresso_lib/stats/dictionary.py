"""The data dictionary: what every column of every table means, for users of R or SPSS."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import pandas as pd
import yaml

_KEYS = "keys"


@lru_cache(maxsize=1)
def _entries() -> dict[str, dict[str, str]]:
    file = resources.files("expresso_lib") / "assets" / "data_dictionary.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def dictionary() -> pd.DataFrame:
    """Return the whole dictionary, one row per table and column.

    Returns
    -------
    DataFrame
        ``table, column, meaning, unit``; columns that many tables share stand under the table
        ``keys``. The unit is empty where there is none.

    Examples
    --------
    >>> rows = dictionary().set_index(["table", "column"])
    >>> rows.loc[("predictions", "prediction"), "unit"]
    'score points'
    """
    rows = []
    for table, columns in _entries().items():
        for column, text in columns.items():
            meaning, _, unit = text.partition("; ")
            rows.append({"table": table, "column": column, "meaning": meaning, "unit": unit})
    return pd.DataFrame(rows)


def describe(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return the dictionary of one table as it is: its columns, in order, with their types.

    Parameters
    ----------
    name : str
        E.g. ``results``.
    table : DataFrame

    Returns
    -------
    DataFrame
        ``column, type, meaning, unit``; a column nobody described has an empty meaning.

    Examples
    --------
    >>> describe("predictions", pd.DataFrame({"clip": ["a"], "score": [3.0]}))["unit"].tolist()
    ['', 'score points']
    """
    own, shared = _entries().get(name, {}), _entries()[_KEYS]
    rows = []
    for column in map(str, table):
        # AU04 is described by AU01, AU04_c by AU01_c.
        like = f"AU01{column[4:]}" if name == "action_units" and column[:2] == "AU" else column
        meaning, _, unit = own.get(like, shared.get(like, "")).partition("; ")
        kind = str(table[column].dtype)
        rows.append({"column": column, "type": kind, "meaning": meaning, "unit": unit})
    return pd.DataFrame(rows)
