"""From voxels to what can be read: region by frame tables, densities, enrichment, frame series.

Attributions are summed over colour channels first, for nobody reads the red of a pixel apart from
its green; positive and negative pixels are then pooled apart, so that they cannot cancel. Raw
sums grow with a region's area and, since DeepLift is complete, with the prediction itself;
``enrichment`` compares densities instead.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from scipy import stats as distributions

from expresso_lib.faces import anatomy
from expresso_lib.models import MIN_PARTICIPANTS

REST = anatomy.REGIONS.index("face_rest")
BACKGROUND = anatomy.REGIONS.index("background")
# Added to every density, as a share of the face's mean density: a region without positive (or
# negative) attribution has a finite enrichment, of at most log(1 + 1 / PSEUDO) below the rest.
PSEUDO = 0.01


@dataclass(frozen=True, eq=False)
class RegionMass:
    """Attribution of every region in every frame of N clips."""

    positive: np.ndarray  # (N, T, R) float64, score points, >= 0
    negative: np.ndarray  # (N, T, R) float64, score points, <= 0
    area: np.ndarray  # (N, T, R) float64, pixels

    @property
    def signed(self) -> np.ndarray:
        """Sum of both signs, (N, T, R), score points."""
        return self.positive + self.negative


def pixel_map(values: np.ndarray) -> np.ndarray:
    """Sum attributions (N, C, T, H, W) over channels: (N, T, H, W) float64, score points."""
    return np.asarray(values).sum(axis=1, dtype=np.float64)


def pool(values: np.ndarray, regions: np.ndarray) -> RegionMass:
    """Sum attributions over the regions of every frame.

    Parameters
    ----------
    values : np.ndarray
        (N, C, T, H, W) float, score points.
    regions : np.ndarray
        (N, T, H, W) label map, indices into ``anatomy.REGIONS``.

    Returns
    -------
    RegionMass
        R follows ``anatomy.REGIONS``. Nothing is lost: the sums over regions are the clip's.

    Raises
    ------
    ValueError
        Where shapes differ or a label is unknown.

    Examples
    --------
    >>> mass = pool(np.ones((1, 3, 2, 4, 4)), np.full((1, 2, 4, 4), REST))
    >>> float(mass.positive.sum()), float(mass.area[0, 0, REST])
    (96.0, 16.0)
    """
    maps, labels = pixel_map(values), np.asarray(regions)
    if labels.shape != maps.shape:
        raise ValueError(
            f"regions {labels.shape} do not fit attributions {np.shape(values)}; they must be "
            f"{maps.shape}: cut both from the same clips."
        )
    count = len(anatomy.REGIONS)
    if labels.size and int(labels.max()) >= count:
        raise ValueError(f"region label {int(labels.max())} is unknown; there are {count} regions.")
    n, t = maps.shape[:2]
    # Every frame has its own bins, so that one pass over the pixels pools them all.
    cell = np.arange(n * t).repeat(maps[0, 0].size) * count + labels.ravel()
    pooled = [
        np.bincount(cell, weights=part.ravel(), minlength=n * t * count).reshape(n, t, count)
        for part in (np.maximum(maps, 0), np.minimum(maps, 0), np.ones_like(maps))
    ]
    return RegionMass(*pooled)


def density(mass: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Mass per pixel; NaN where a region has no pixels."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(area > 0, mass / area, np.nan)


def enrichment(mass: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Log density of each region against the rest of the face.

    ``R_k = log[(P_k / area_k + e) / (P_rest / area_rest + e)]`` with ``e`` = `PSEUDO` times the
    face's mean density; P are absolute sums of one sign. A shift in the rest of the face cannot
    be told from the opposite shift in every region.

    Parameters
    ----------
    mass : np.ndarray
        (..., R) one sign's sums, score points.
    area : np.ndarray
        (..., R) pixels, summed over the same frames.

    Returns
    -------
    np.ndarray
        (..., R); 0 for the rest itself, NaN where a region has no pixels or the face no mass.

    Examples
    --------
    >>> area = np.full(8, 10.0)
    >>> mass = np.array([1, 1, 1, 1, 1, np.e, 1, 0.0])
    >>> round(float(enrichment(mass, area)[5]), 2)
    0.99
    """
    mass, area = np.abs(np.asarray(mass, float)), np.asarray(area, float)
    face = [i for i in range(len(anatomy.REGIONS)) if i != BACKGROUND]
    mean = density(mass[..., face].sum(-1), area[..., face].sum(-1))[..., None]
    found = density(mass, area) + PSEUDO * mean
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mean > 0, np.log(found / found[..., REST : REST + 1]), np.nan)


def region_table(mass: RegionMass) -> pd.DataFrame:
    """One row per clip and region: sums, densities, enrichment of both signs.

    Returns
    -------
    pd.DataFrame
        ``clip, region, positive, negative, signed, area, density_positive, density_negative,
        enrichment_positive, enrichment_negative``; masses in score points over the clip's
        frames, ``area`` in pixels summed over frames.
    """
    positive, negative, area = (x.sum(axis=1) for x in (mass.positive, mass.negative, mass.area))
    clips, count = positive.shape
    signs = {"positive": positive, "negative": negative}
    columns = signs | {"signed": positive + negative, "area": area}
    for measure in (density, enrichment):
        columns |= {f"{measure.__name__}_{sign}": measure(x, area) for sign, x in signs.items()}
    keys = {"clip": np.repeat(np.arange(clips), count), "region": list(anatomy.REGIONS) * clips}
    return pd.DataFrame(keys | {name: x.ravel() for name, x in columns.items()})


def stitch(values: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Join clips to one series over the recording: the mean where clips overlap.

    Parameters
    ----------
    values : np.ndarray
        (N, T, ...) per clip and frame.
    frames : np.ndarray
        (N, T) int, frame numbers in the recording.

    Returns
    -------
    frame, mean, count : np.ndarray
        (F,) int sorted; (F, ...) float64; (F,) clips that saw the frame.

    Examples
    --------
    >>> stitch(np.array([[1.0, 2.0], [4.0, 8.0]]), np.array([[0, 2], [2, 4]]))[:2]
    (array([0, 2, 4]), array([1., 3., 8.]))
    """
    values = np.asarray(values, float)
    number, place, count = np.unique(frames, return_inverse=True, return_counts=True)
    total = np.zeros((len(number), *values.shape[2:]))
    np.add.at(total, place.ravel(), values.reshape(-1, *values.shape[2:]))
    return number, total / count.reshape(-1, *[1] * (values.ndim - 2)), count


def frame_table(mass: RegionMass, frames: np.ndarray) -> pd.DataFrame:
    """One row per frame of the recording: ``frame, attribution, positive, negative, n_clips``.

    ``attribution`` is the signed sum over the whole frame, in score points per frame of a clip.
    """
    parts = np.stack([x.sum(axis=2) for x in (mass.signed, mass.positive, mass.negative)], axis=2)
    number, mean, count = stitch(parts, frames)
    table = pd.DataFrame(mean, columns=["attribution", "positive", "negative"])
    table.insert(0, "frame", number)
    return table.assign(n_clips=count)


def top_frames(values: np.ndarray, count: int, *, apart: int = 1) -> np.ndarray:
    """Rows of the largest values, at least ``apart`` rows from one another.

    Fewer than ``count`` come back where the series is too short for that distance.

    Examples
    --------
    >>> top_frames(np.array([0.0, 5.0, 4.0, 1.0, 3.0]), 2, apart=2)
    array([1, 4])
    """
    series = np.asarray(values, float)
    chosen: list[int] = []
    for row in np.argsort(-series, kind="stable"):
        if np.isfinite(series[row]) and all(abs(row - other) >= apart for other in chosen):
            chosen.append(int(row))
    return np.array(chosen[:count], dtype=int)


def onsets(visible: np.ndarray, *, fps: float) -> np.ndarray:
    """Rows where a movement becomes visible after a quarter of a second in which it was not.

    Parameters
    ----------
    visible : ndarray, float, shape (F,)
        Intensity in multiples of what counts as present (`statistics.wide_action_units`).
    fps : float
        Rows per second.

    Examples
    --------
    >>> onsets(np.array([0, 0, 0, 2, 0, 2, 0, 0, 0, 3.0]), fps=12)
    array([3, 9])
    """
    above = pd.Series(np.asarray(visible) >= 1, dtype=float)
    before = above.shift().rolling(max(1, round(fps / 4))).max()
    return np.flatnonzero((above == 1) & (before == 0))


def locked(values: np.ndarray, events: np.ndarray, *, before: int, after: int) -> np.ndarray:
    """Cut the series around each event: (events, before + after + 1); NaN outside the recording."""
    series = np.pad(np.asarray(values, float), (before, after + 1), constant_values=np.nan)
    return sliding_window_view(series, before + after + 1)[np.asarray(events, int)]


def event_averages(
    joined: pd.DataFrame, aus: Sequence[str], *, fps: float, spacing: int = 1
) -> dict[str, pd.DataFrame]:
    """Attribution around each AU's onsets, a second before to two after, averaged over people.

    AUs with whole onsets in fewer than two participants are left out.

    Parameters
    ----------
    joined : pd.DataFrame
        ``participant, recording, time`` (s), ``attribution`` and a column per AU: its intensity
        in multiples of what counts as present. Events beside moments of which there is no row
        are left out.
    aus : sequence of str
        Columns.
    fps : float
        Rows per second.
    spacing : int
        Rows from one frame of a clip to its next; each stands for those around it.

    Returns
    -------
    dict of pd.DataFrame
        ``seconds, estimate, ci_low, ci_high, n_events, n_participants``: attribution
        minus its mean before the onset, mean over participants, 95 % t interval (none with
        fewer than 10 participants).
    """
    lead, lag, found = round(fps), round(2 * fps), {}
    for au in aus:
        parts = []
        for (person, _), rows in joined.groupby(["participant", "recording"]):
            table = _even(rows[["attribution", au]], rows["time"], fps, spacing)
            cut = locked(table["attribution"], onsets(table[au], fps=fps), before=lead, after=lag)
            cut = cut[np.isfinite(cut).all(axis=1)]
            away = cut - cut[:, :lead].mean(axis=1, keepdims=True)
            parts.append(pd.DataFrame(away, index=[person] * len(away)))
        events = pd.concat(parts)
        means = events.groupby(level=0).mean()
        people, middle = len(means), means.mean()
        if people > 1:
            half = means.sem() * distributions.t.ppf(0.975, people - 1)
            half = half if people >= MIN_PARTICIPANTS else half * np.nan
            ends = {"estimate": middle, "ci_low": middle - half, "ci_high": middle + half}
            counts = {"n_events": len(events), "n_participants": people}
            seconds = np.arange(-lead, lag + 1) / fps
            found[au] = pd.DataFrame(ends | counts).assign(seconds=seconds)
    return found


def _even(values: pd.DataFrame, time: pd.Series, fps: float, spacing: int) -> pd.DataFrame:
    """A row at every moment of a recording, NaN where nothing lies near."""
    row = (time * fps).round().astype(int)
    known = values.set_index(row)[~row.duplicated().to_numpy()].sort_index()
    every = range(known.index[0], known.index[-1] + 1)
    return known.reindex(every, method="nearest", tolerance=spacing // 2)


def after_onset(averages: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean of the event averages in the second after the onset.

    Returns
    -------
    pd.DataFrame
        ``au, estimate, ci_low, ci_high, n_events, n_participants, clear`` (the mean interval
        excludes zero). The interval is the mean of the pointwise ones: a little too wide.
    """
    names = ["au", "estimate", "ci_low", "ci_high", "n_events", "n_participants"]
    rows = [[au, *table[table["seconds"].between(0, 1, inclusive="right")][names[1:]].mean()]
            for au, table in averages.items()]  # fmt: skip
    found = pd.DataFrame(rows, columns=names)
    return found.assign(clear=(found["ci_low"] > 0) | (found["ci_high"] < 0))
