"""Couplings: how closely an action unit goes with the frame attribution, window by window.

Per window the Spearman correlation of AU intensity with the frame's signed attribution; Fisher's
z; the mean over windows of a recording, then over recordings of a participant. The participant's
z is the unit of every population test: windows of one person overlap, and frames follow one
another, so neither is independent (pooled windows err in 11 to 21 % at a nominal 5 %).
"""

import numpy as np
import pandas as pd

from expresso_lib.faces import tables
from expresso_lib.faces.action_units import scale_of
from expresso_lib.statistics import ranks
from expresso_lib.statistics.plan import DEFAULT

KEYS = ["participant", "recording", "frame"]
# What tells one attribution series of a recording from another, where a table has it.
SERIES = ("recipe", "method", "baseline", "model", "repeat", "fold")


def wide_action_units(units: pd.DataFrame, *, value: str = "intensity") -> pd.DataFrame:
    """One row per frame and one column per AU of the table ``action_units``.

    Parameters
    ----------
    units : DataFrame
        ``participant, recording, frame, au, intensity`` and, if measured, ``presence`` (0 or 1).
        ``unit`` (else 0 to 5) says what a number means: see `action_units.SCALES`.
    value : {"intensity", "presence", "visible", "still"}
        Presence where it was not measured: whether the intensity reaches what counts as present
        in its unit. ``visible`` and ``still`` are intensities in multiples of what counts as
        present, and of what counts as still.

    Returns
    -------
    DataFrame
        ``participant, recording, frame, AU01 …``.

    Examples
    --------
    >>> tidy = pd.DataFrame({"participant": "P1", "recording": "P1_R1", "frame": [0, 1],
    ...                      "au": "AU12", "intensity": [0.0, 0.6], "unit": "probability, 0 to 1"})
    >>> wide_action_units(tidy)["AU12"].tolist()
    [0.0, 0.6]
    >>> wide_action_units(tidy, value="visible")["AU12"].tolist()
    [0.0, 1.2]
    """
    level = units["intensity"]
    if value != "intensity":
        unit = pd.Series(units.get("unit", tables.INTENSITY), index=units.index)
        size = {"presence": "present", "visible": "present", "still": "still"}[value]
        level = level / unit.map({name: getattr(scale_of(name), size) for name in unit.unique()})
    if value == "presence":
        guessed = (level >= 1).where(level.notna()).astype(float)
        level = units.get("presence", guessed).astype(float).fillna(guessed)
    wide = units.assign(level=level).pivot(index=KEYS, columns="au", values="level")
    return wide.reset_index().rename_axis(columns=None)


def select(table: pd.DataFrame, **where: str) -> pd.DataFrame:
    """Rows of one recipe, method and baseline; a column that the table lacks is no condition.

    Raises
    ------
    ValueError
        If no row is left, naming what the table holds.
    """
    rows = table
    for column, value in where.items():
        if column in rows:
            known = sorted(map(str, rows[column].unique()))
            rows = rows[rows[column] == value]
            if rows.empty:
                raise ValueError(f"no rows with {column} {value!r}; there are: {', '.join(known)}.")
    return rows


def trained(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the trained models; all rows where there is no column ``model``."""
    return table[table["model"] == "trained"] if "model" in table else table


def shuffled(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of networks with shuffled weights; none where there is no column ``model``."""
    return table[table["model"] != "trained"] if "model" in table else table.iloc[:0]


def head_pose(frames: pd.DataFrame) -> pd.DataFrame | None:
    """Covariates within a window: the head's yaw, pitch and roll, degrees; None if not measured."""
    turns = frames.filter(["yaw", "pitch", "roll"]).dropna(axis=1, how="all")
    return frames[["recording", "frame", *turns]] if len(turns.columns) else None


def window_couplings(
    series: pd.DataFrame,
    units: pd.DataFrame,
    *,
    window: int = 64,
    value: str = "intensity",
    covariates: pd.DataFrame | None = None,
    keep: pd.Series | None = None,
    rounding: float = DEFAULT.rounding_window,
) -> pd.DataFrame:
    """Correlate every AU with the frame attribution in every window of every recording.

    Parameters
    ----------
    series : DataFrame
        ``participant, recording, frame, attribution`` (score points, signed sum of the frame)
        and any of `SERIES`.
    units : DataFrame
        See `wide_action_units`. Rows are matched **by frame number**, never by position.
    window : int
        Rows of the attribution series; windows lie half of that apart. The last window is anchored
        at the end, so that every frame counts. A shorter recording is one window, if it has at
        least a quarter of it.
    value : {"intensity", "presence"}
    covariates : DataFrame, optional
        ``recording, frame`` and numeric columns (head pose, mouth opening): partial correlation
        on ranks within each window.
    keep : Series of bool, optional
        Indexed by ``(recording, frame)``: other frames count as missing (silent segments).
    rounding : float
        Score points (`Plan.rounding_window`): a window whose attribution ranges over less has no
        correlation.

    Returns
    -------
    DataFrame
        Keys, ``window`` (first frame), ``au, rho, z, n_frames, reason``. ``rho`` is NaN where
        the correlation does not exist; ``reason`` says why.

    Raises
    ------
    ValueError
        If no recording is in both tables.

    References
    ----------
    Spearman (1904); Fisher (1921) for z.
    """
    wide = wide_action_units(units, value=value)
    aus = [str(name) for name in wide if name not in KEYS]
    keys = ["participant", "recording", *[k for k in SERIES if k in series]]
    data = series.merge(wide.drop(columns="participant"), on=["recording", "frame"])
    if data.empty:
        raise ValueError("series and action units share no (recording, frame); compare names.")
    extra: list[str] = []
    if covariates is not None:
        extra = [str(c) for c in covariates if c not in KEYS]
        data = data.merge(covariates, on=["recording", "frame"], how="left")
    if keep is not None:
        at = pd.MultiIndex.from_frame(data[["recording", "frame"]])
        data.loc[~keep.reindex(at, fill_value=False).to_numpy(), aus] = np.nan
    data = data.sort_values("frame").reset_index(drop=True)
    values = data[[*aus, *extra, "attribution"]].to_numpy(float)
    starts, parts = [], []
    for rows in data.groupby(keys, dropna=False, sort=True).indices.values():
        length = min(window, len(rows))
        index = rows[ranks.window_starts(len(rows), length)[:, None] + np.arange(length)]
        cut = np.split(np.moveaxis(values[index], -1, 1), [len(aus), -1], axis=1)
        parts.append(_series_couplings(*cut, least=max(8, window // 4), rounding=rounding))
        starts.append(index[:, 0])
    first = data.loc[np.concatenate(starts), [*keys, "frame"]].rename(columns={"frame": "window"})
    rho, counts, reasons = (np.concatenate(value).ravel() for value in zip(*parts))
    found = first.merge(pd.DataFrame({"au": aus}), how="cross")
    return found.assign(rho=rho, z=ranks.fisher_z(rho), n_frames=counts, reason=reasons)


def _series_couplings(
    units: np.ndarray, given: np.ndarray, series: np.ndarray, *, least: int, rounding: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """rho, frames and reason (windows, A) of one recording.

    Of AUs (windows, A, length), covariates (windows, C, length), attribution (windows, 1, length).
    """
    missing = np.isnan(units) | np.isnan(series) | np.isnan(given).any(axis=1, keepdims=True)
    given = np.where(missing[:, :, None], np.nan, given[:, None])
    counts = (~missing).sum(axis=-1)
    a, b = (ranks.residual_ranks(np.where(missing, np.nan, x), given) for x in (units, series))
    reach = np.ma.masked_invalid(series).ptp(axis=-1).filled(0.0)
    reasons = {
        "too few frames": counts < least,  # the most basic reason goes first
        "constant AU": ~a.any(axis=-1),
        "constant attribution": ~b.any(axis=-1),
        "rounding": reach < rounding,
    }
    reason = np.select([*reasons.values()], [*reasons], "").astype(object)
    rho = np.where(reason == "", np.clip((a * b).sum(axis=-1), -1, 1), np.nan)
    return rho, counts, reason


def model_couplings(windows: pd.DataFrame) -> pd.DataFrame:
    """Participant z of the trained models one by one, against randomised models if there are any.

    A network with random weights couples with action units too, because it responds to motion.
    With ``model`` other than ``trained`` in the table, the value is therefore
    ``z(trained) − mean z(randomised)``.

    Parameters
    ----------
    windows : DataFrame
        From `window_couplings`.

    Returns
    -------
    DataFrame
        ``participant, au, repeat, fold, z``: one row per participant, AU and repeat of the folds.
        ``repeat`` and ``fold`` are 0 where the table does not tell them apart.
    """
    own, others = trained(windows), shuffled(windows)
    own = own.assign(**{k: 0 for k in ("repeat", "fold") if k not in own})
    z = _person_means(own, ["participant", "au", "repeat", "fold"])
    return (z - _person_means(others, ["participant", "au"]) if len(others) else z).reset_index()


def _person_means(windows: pd.DataFrame, keys: list[str]) -> pd.Series:
    """Mean z over windows of a recording, then over recordings."""
    return windows.groupby([*keys, "recording"])["z"].mean().groupby(keys).mean()


def participant_couplings(windows: pd.DataFrame) -> pd.DataFrame:
    """Average window z to recordings, models and participants; see `model_couplings`.

    Returns
    -------
    DataFrame
        ``participant, au, z, n_recordings, n_windows``. ``z`` is NaN where every window is
        undefined.
    """
    keys, own = ["participant", "au"], trained(windows)
    table = model_couplings(windows).groupby(keys)[["z"]].mean()
    table["n_recordings"] = own.groupby(keys)["recording"].nunique()
    table["n_windows"] = own.drop_duplicates(["recording", "window", "au"]).groupby(keys).size()
    return table.reset_index()


def undefined_windows(windows: pd.DataFrame) -> pd.DataFrame:
    """Share of the windows of every AU in which no correlation exists: ``au, undefined``."""
    windows = trained(windows)
    return windows["z"].isna().groupby(windows["au"]).mean().rename("undefined").reset_index()
