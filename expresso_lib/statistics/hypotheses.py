"""The hypotheses of the plan, H1 to H5: tables of couplings or regions in, rows of `results` out.

H1  an AU goes with the attribution             participant z, sign-flip max-T
H2  that changes with severity                  participant z × score, max-|rho|
H3  a region's enrichment changes with severity, given f(x) − f(x0); H3b below and above a knot
H4  severity bands differ (secondary)           Welch, Kruskal, Games–Howell
H5  in this recording an AU goes with it        circular shift of the whole recording
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pingouin as pg
from scipy import stats as scipy_stats

from expresso_lib.faces import anatomy
from expresso_lib.statistics import couplings as cp
from expresso_lib.statistics import folds as fm
from expresso_lib.statistics import intervals as iv
from expresso_lib.statistics import permutations as pm
from expresso_lib.statistics import ranks
from expresso_lib.statistics.plan import DEFAULT, ROUNDING_CLIP, Plan

# The columns of the `results` table; described in assets/data_dictionary.yaml.
COLUMNS = (
    "hypothesis",
    "au",
    "region",
    "sign",
    "n_participants",
    "n_recordings",
    "n_windows",
    "undefined",
    "estimate",
    "ci_low",
    "ci_high",
    "simultaneous_low",
    "simultaneous_high",
    "effect",
    "effect_name",
    "p",
    "p_max",
    "q",
    "p_t",
    "p_wilcoxon",
    "adjusted",
    "plain",
    "p_equivalence",
    "margin",
    "bf10",
    "status",
    "speech",
    "inference",
    "note",
)
EYES = ("right_eye", "left_eye")
KNOT = 20.0  # BDI-II: where the moderate band begins


def h1_coupling(
    windows: pd.DataFrame, *, adjusted: pd.DataFrame | None = None, plan: Plan = DEFAULT
) -> pd.DataFrame:
    """H1: does an AU go with the attribution, in people, beyond what a randomised model does?

    Parameters
    ----------
    windows : DataFrame
        From `window_couplings`; with ``model`` beyond ``trained`` the difference is tested, with
        two or more ``repeat`` the standard error covers the draw of models (`fold_aware_t`).
    adjusted : DataFrame, optional
        The same windows with covariates partialled out; fills the column ``adjusted``.
    plan : Plan

    Returns
    -------
    DataFrame
        One row per AU; ``estimate`` is the mean participant z with its own 95 % interval
        (studentised bootstrap), ``simultaneous_*`` hold for all AUs at once.
    """
    people = cp.participant_couplings(windows)
    z = people.pivot(index="participant", columns="au", values="z")
    rows = _couplings_head(windows, people).assign(
        hypothesis="H1", status="confirmatory", margin=plan.margin_z
    )
    values = z[rows["au"]].to_numpy(float)
    found = iv.mean_interval(
        values, confidence=1 - plan.alpha, n_resamples=plan.bootstrap, seed=plan.seed
    )
    rows = rows.assign(estimate=found.estimate, effect=_cohen_d(values), effect_name="d")
    if adjusted is not None:
        means = cp.participant_couplings(adjusted).groupby("au")["z"].mean()
        rows["adjusted"] = means.reindex(rows["au"]).to_numpy()
    if len(z) < iv.MIN_PARTICIPANTS:
        return _refuse(rows, len(z))
    observed, inference = _observed_t(windows, z.index, list(rows["au"]))
    test = pm.sign_flip_max_t(
        values, n_flips=plan.permutations, seed=plan.seed, alpha=plan.alpha, observed=observed
    )
    plain = pm.t_statistic(values)
    widen = (
        1.0
        if observed is None
        else np.maximum(1.0, np.abs(plain) / np.maximum(np.abs(observed), 1e-12))
    )
    family = _widen(iv.simultaneous_interval(values, test.critical), widen)
    single = _widen(found, widen)
    rows = rows.assign(
        ci_low=single.low,
        ci_high=single.high,
        simultaneous_low=family.low,
        simultaneous_high=family.high,
        p=test.p,
        p_max=test.p_max,
        inference=inference,
        p_t=[_p_t(v) for v in values.T],
        p_wilcoxon=[_p_wilcoxon(v) for v in values.T],
        p_equivalence=[iv.mean_equivalence(v, margin=plan.margin_z) for v in values.T],
        bf10=[iv.bayes_factor_mean(v) for v in values.T],
    )
    return tidy(_blank_undefined(rows, np.isfinite(values).sum(axis=0)))


def _observed_t(
    windows: pd.DataFrame, people: pd.Index, aus: Sequence[str]
) -> tuple[np.ndarray | None, str]:
    """Fold-aware t if the folds were repeated, else None; and how far the inference reaches."""
    table = cp.model_couplings(windows)
    repeats = sorted(table["repeat"].unique())
    if len(repeats) < 2 or table["fold"].nunique() < 2:
        return None, "conditional on these models"
    index = pd.MultiIndex.from_product([repeats, people])
    z = table.pivot(index=["repeat", "participant"], columns="au", values="z").reindex(index)[
        list(aus)
    ]
    fold = table.groupby(["repeat", "participant"])["fold"].first().reindex(index)
    shape = (len(repeats), len(people))
    codes = pd.factorize(fold)[0].reshape(shape)
    return fm.fold_aware_t(z.to_numpy(float).reshape(*shape, -1), codes), "models drawn anew"


def h2_severity(
    windows: pd.DataFrame,
    participants: pd.DataFrame,
    *,
    covariates: Sequence[str] = (),
    blocks: str | None = None,
    plan: Plan = DEFAULT,
) -> pd.DataFrame:
    """H2: does the coupling of an AU change with severity (continuous score)?

    Parameters
    ----------
    windows : DataFrame
        From `window_couplings`.
    participants : DataFrame
        ``participant, score`` and covariates.
    covariates : sequence of str
        Columns of ``participants`` for ``adjusted`` (partial rho), e.g. age, sex, mean
        prediction; text is coded by category, and columns that are absent are named in ``note``.
    blocks : str, optional
        Column within whose groups scores are shuffled (the fold).
    plan : Plan

    Returns
    -------
    DataFrame
        One row per AU; ``estimate`` is Spearman's rho between z and score.
    """
    people = cp.participant_couplings(windows)
    z = people.pivot(index="participant", columns="au", values="z")
    rows = _couplings_head(windows, people).assign(hypothesis="H2", margin=plan.margin_rho)
    table = participants.drop_duplicates("participant").set_index("participant").reindex(z.index)
    found = [c for c in covariates if c in table and table[c].notna().any()]
    absent = [c for c in covariates if c not in found]
    note = f"covariates not in the data: {', '.join(absent)}" if absent else ""
    values = z[rows["au"]].to_numpy(float)
    rows = rows.assign(note=note, status="confirmatory")
    group = table[blocks].to_numpy() if blocks else None
    given = numeric_columns(table, found) if found else None
    return _severity_family(
        rows, values, table["score"].to_numpy(float), blocks=group, given=given, plan=plan
    )


def _severity_family(
    rows: pd.DataFrame,
    values: np.ndarray,
    score: np.ndarray,
    *,
    control: np.ndarray | None = None,
    given: np.ndarray | None = None,
    blocks: np.ndarray | None = None,
    plan: Plan,
) -> pd.DataFrame:
    """Fill a family of (partial) correlations with the score; values (P, K), control (P, C).

    ``control`` is part of the estimand (H3), ``given`` only of the column ``adjusted``.
    """
    people, extra = len(score), 0 if control is None else control.shape[1]
    intervals = [
        iv.rho_interval(
            v,
            score,
            covariates=control,
            confidence=1 - plan.alpha,
            n_resamples=plan.bootstrap,
            seed=plan.seed,
        )
        for v in values.T
    ]
    rho = np.array([float(i.estimate) for i in intervals])
    rows = rows.assign(
        estimate=rho, effect=rho, effect_name="rho" if control is None else "partial rho"
    )
    if given is not None:
        both = given if control is None else np.column_stack([control, given])
        rows["adjusted"] = [ranks.spearman(v, score, both) for v in values.T]
    if people < iv.MIN_PARTICIPANTS:
        return _refuse(rows, people)
    if len(np.unique(score[np.isfinite(score)])) < 3:
        return _refuse(rows, people, "fewer than three different scores: severity does not vary")
    test = pm.max_rho(
        values,
        score,
        covariates=control,
        blocks=blocks,
        n_permutations=plan.permutations,
        seed=plan.seed,
    )
    rows = rows.assign(
        ci_low=[float(i.low) for i in intervals],
        ci_high=[float(i.high) for i in intervals],
        p=test.p,
        p_max=test.p_max,
        p_equivalence=[
            iv.rho_equivalence(r, people, margin=plan.margin_rho, n_covariates=extra) for r in rho
        ],
        bf10=[iv.bayes_factor_rho(r, people, n_covariates=extra) for r in rho],
    )
    return tidy(_blank_undefined(rows, np.isfinite(values).sum(axis=0)))


def participant_regions(attribution_regions: pd.DataFrame) -> pd.DataFrame:
    """Mean enrichment and mean f(x) − f(x0) of each participant.

    Parameters
    ----------
    attribution_regions : DataFrame
        ``participant, recording, clip, region, signed, enrichment_positive,
        enrichment_negative, output, output_baseline``; with ``model``, only ``trained`` counts.

    Returns
    -------
    DataFrame
        Indexed by participant; columns ``(sign, region)`` and ``("given", "difference")``, the
        mean over clips of a recording, then over recordings. Score points for the difference.
        Participants whose clips' regions hold less than ``ROUNDING_CLIP`` points on average are
        left out: shares of next to nothing are shares of rounding.
    """
    table = cp.trained(attribution_regions)
    held = table["signed"].abs().groupby([table["participant"], table["clip"]]).sum()
    held = held.groupby("participant").mean()
    table = table[table["participant"].isin(held.index[held >= ROUNDING_CLIP])]
    table = table[~table["region"].isin(["face_rest", "background"])]
    table = table.assign(difference=table["output"] - table["output_baseline"])
    names = {"enrichment_positive": "positive", "enrichment_negative": "negative"}
    means = table.groupby(["participant", "recording", "region"])[[*names, "difference"]].mean()
    means = means.groupby(["participant", "region"]).mean()
    wide = means[list(names)].rename(columns=names).unstack("region")
    wide["given", "difference"] = means["difference"].groupby("participant").mean()
    return pd.DataFrame(wide)


def h3_regions(
    attribution_regions: pd.DataFrame,
    participants: pd.DataFrame,
    *,
    covariates: Sequence[str] = (),
    plan: Plan = DEFAULT,
) -> pd.DataFrame:
    """H3: does a region's enrichment change with severity, given the prediction?

    Attributions of a complete method sum to f(x) − f(x0), so raw sums grow with the prediction
    whatever the model looks at. Tested is therefore the partial Spearman correlation of
    enrichment with the score given the participant's mean f(x) − f(x0); ``plain`` is the
    correlation without it, descriptive only. A change in ``face_rest`` cannot be told from the
    opposite change everywhere else.

    Returns
    -------
    DataFrame
        One row per region and sign, one family. ``note`` counts the participants that
        `participant_regions` left out.
    """
    wide = participant_regions(attribution_regions)
    table = participants.drop_duplicates("participant").set_index("participant").reindex(wide.index)
    members = [c for c in wide.columns if c[0] != "given"]
    used = attribution_regions[attribution_regions["participant"].isin(wide.index)]
    rows = pd.DataFrame(members, columns=["sign", "region"]).assign(
        hypothesis="H3",
        status="confirmatory",
        margin=plan.margin_rho,
        n_participants=wide[members].notna().sum().to_numpy(),
        n_recordings=used["recording"].nunique(),
        n_windows=len(used[["recording", "clip"]].drop_duplicates()),
        note=_left_out(attribution_regions, wide),
    )
    score = table["score"].to_numpy(float)
    values = wide[members].to_numpy(float)
    rows["plain"] = [ranks.spearman(v, score) for v in values.T]
    rows["inference"] = "conditional on these models"
    found = [c for c in covariates if c in table and table[c].notna().any()]
    return _severity_family(
        rows,
        values,
        score,
        control=wide[[("given", "difference")]].to_numpy(float),
        given=numeric_columns(table, found) if found else None,
        plan=plan,
    )


def h3b_two_slopes(
    attribution_regions: pd.DataFrame, participants: pd.DataFrame, *, regions: Sequence[str] = EYES
) -> pd.DataFrame:
    """H3b: is the slope of enrichment on severity different below and above a score?

    Least squares with a hinge at `KNOT`, given f(x) − f(x0) and its square; HC2 standard
    errors with Bell–McCaffrey degrees of freedom. Enrichment is the mean over ``regions``.

    Returns
    -------
    DataFrame
        Per sign three rows: ``region`` says ``below``, ``above``, ``difference``; ``estimate``
        in log enrichment per 10 score points.
    """
    wide = participant_regions(attribution_regions)
    table = participants.drop_duplicates("participant").set_index("participant").reindex(wide.index)
    score = table["score"].to_numpy(float)
    parts = []
    for sign in ("positive", "negative"):
        names = [(sign, region) for region in regions if (sign, region) in wide]
        y = wide[names].mean(axis=1).to_numpy(float) if names else np.full(len(wide), np.nan)
        parts.append(
            _two_slopes(y, score, wide["given", "difference"].to_numpy(float)).assign(sign=sign)
        )
    rows = pd.concat(parts, ignore_index=True).assign(hypothesis="H3b", status="confirmatory")
    rows["region"] = f"{'+'.join(regions)}: " + rows["region"]
    rows["note"] = rows["note"].where(rows["note"] != "", _left_out(attribution_regions, wide))
    few = len(wide) < iv.MIN_PARTICIPANTS
    return _refuse(rows, len(wide)) if few else tidy(rows)


def _left_out(attribution_regions: pd.DataFrame, wide: pd.DataFrame) -> str:
    """How many participants `participant_regions` passed over, in words; empty if none."""
    count = cp.trained(attribution_regions)["participant"].nunique() - len(wide)
    return f"participants left out because their attribution is rounding: {count}" if count else ""


def _two_slopes(y: np.ndarray, score: np.ndarray, given: np.ndarray) -> pd.DataFrame:
    """Slopes below and above the knot and their difference, per 10 score points."""
    usable = np.isfinite(y) & np.isfinite(score) & np.isfinite(given)
    low, high = np.minimum(score - KNOT, 0) / 10, np.maximum(score - KNOT, 0) / 10
    centred = (
        (given - given[usable].mean()) / max(float(given[usable].std()), 1e-12)
        if usable.any()
        else given
    )
    # Enrichment bends with f(x) − f(x0); without the square the bend passes for a knee.
    design = np.column_stack([np.ones(len(y)), low, high, centred, centred**2])[usable]
    names, contrasts = (
        ("below", "above", "difference"),
        ([0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, -1, 1, 0, 0]),
    )
    empty = pd.DataFrame({"region": names, "n_participants": int(usable.sum())})
    if usable.sum() < 7 or np.linalg.matrix_rank(design) < 5:
        return empty.assign(note="both sides of the knot need participants with different scores")
    found = np.array([_contrast(design, y[usable], np.array(c, dtype=float)) for c in contrasts])
    half = scipy_stats.t.isf(0.025, found[:, 2]) * found[:, 1]
    return empty.assign(
        estimate=found[:, 0],
        ci_low=found[:, 0] - half,
        ci_high=found[:, 0] + half,
        effect=found[:, 0],
        p=2 * scipy_stats.t.sf(np.abs(found[:, 0] / found[:, 1]), found[:, 2]),
        effect_name="slope per 10 points",
        note="",
    )


def _contrast(
    design: np.ndarray, y: np.ndarray, contrast: np.ndarray
) -> tuple[float, float, float]:
    """Least-squares contrast, HC2 standard error, Bell–McCaffrey degrees of freedom.

    At 24 participants HC3 with t errs in 3 %, HC2 in 7 %; with these degrees of freedom in 5 %
    (Bell & McCaffrey, 2002; Imbens & Kolesár, 2016).
    """
    solve = np.linalg.pinv(design)
    annihilator = np.eye(len(y)) - design @ solve
    weights = (contrast @ solve) / np.sqrt(np.maximum(np.diag(annihilator), 1e-9))
    error = np.sqrt(np.sum((weights * (annihilator @ y)) ** 2))
    spread = weights[:, None] * annihilator
    gram = spread @ spread.T
    return (
        float(contrast @ solve @ y),
        max(float(error), 1e-12),
        float(np.trace(gram) ** 2 / np.sum(gram**2)),
    )


def h4_bands(windows: pd.DataFrame, participants: pd.DataFrame) -> pd.DataFrame:
    """H4 (secondary): do the severity bands differ in the coupling of an AU?

    Welch's analysis of variance (``p``) with Kruskal's (``p_wilcoxon``) beside it; bands with
    fewer than three participants are left out and named. A continuous score (H2) has more power.
    """
    people = cp.participant_couplings(windows).merge(
        participants[["participant", "band"]], on="participant"
    )
    rows = []
    for au, table in people.dropna(subset="z").groupby("au", sort=True):
        counts = table.groupby("band")["z"].agg(["size", "nunique"])
        kept = counts.index[(counts["size"] >= 3) & (counts["nunique"] > 1)]
        left = sorted(set(people["band"].astype(str)) - set(map(str, kept)))
        row = {
            "au": au,
            "n_participants": len(table),
            "note": f"bands left out: {', '.join(left)}" if left else "",
        }
        if len(kept) >= 2:
            part = table[table["band"].isin(kept)].assign(band=lambda t: t["band"].astype(str))
            welch = pg.welch_anova(part, dv="z", between="band").iloc[0]
            row |= {
                "estimate": welch["F"],
                "effect": welch["np2"],
                "effect_name": "partial eta squared",
                "p": welch["p_unc"],
                "p_wilcoxon": pg.kruskal(part, dv="z", between="band")["p_unc"].iloc[0],
            }
        else:
            row["note"] = "fewer than two bands with three participants"
        rows.append(row)
    return tidy(pd.DataFrame(rows).assign(hypothesis="H4", status="exploratory"))


def band_contrasts(windows: pd.DataFrame, participants: pd.DataFrame, au: str) -> pd.DataFrame:
    """Games–Howell comparisons of the bands in one AU's participant z (bands of three or more)."""
    people = cp.participant_couplings(windows).query("au == @au").dropna(subset="z")
    people = people.merge(participants[["participant", "band"]], on="participant")
    people = people[people.groupby("band", observed=True)["z"].transform("size") >= 3].assign(
        band=lambda t: t["band"].astype(str)
    )
    if people["band"].nunique() < 2:
        return pd.DataFrame(columns=["A", "B", "diff", "pval", "hedges"])
    return pg.pairwise_gameshowell(people, dv="z", between="band")


def recording_shift(
    attribution_frames: pd.DataFrame,
    action_units: pd.DataFrame,
    recording: str,
    *,
    window: int = 64,
) -> tuple[pm.CircularShift, list[str], str]:
    """Circular shift of one recording from the tables.

    Returns
    -------
    CircularShift, list of str, str
        The test, the AUs of its rows, and what was done to the series in words.

    Raises
    ------
    ValueError
        If the recording is not in both tables.
    """
    frames = cp.trained(attribution_frames.query("recording == @recording"))
    wide = cp.wide_action_units(action_units.query("recording == @recording")).set_index("frame")
    series = frames.groupby("frame")["attribution"].mean()
    data = wide.drop(columns=["participant", "recording"]).join(series, how="inner").sort_index()
    if data.empty:
        raise ValueError(
            f"recording {recording!r} is not in both tables; see their column 'recording'."
        )
    lost = int(data.isna().any(axis=1).sum())
    data = data.interpolate(limit_direction="both")
    data = data.loc[:, data.notna().all()]
    while len(data) < 2 * window and window >= 16:
        window //= 2
    units = data.drop(columns="attribution")
    found = pm.circular_shift(
        units.to_numpy(float), data["attribution"].to_numpy(float), window=window
    )
    note = f"windows of {window}, {len(data)} shifts"
    note += f", {lost} frames interpolated" if lost else ""
    return found, list(units.columns), note


def h5_recording(
    attribution_frames: pd.DataFrame,
    action_units: pd.DataFrame,
    recording: str,
    *,
    window: int = 64,
) -> pd.DataFrame:
    """H5: does an AU go with the attribution in this one recording?

    Circular shift of the whole recording (`circular_shift`), exact over all shifts; ``p_max``
    is family-wise over AUs. Lost frames are interpolated and counted in ``note``. The window is
    halved until two fit.
    """
    found, aus, note = recording_shift(attribution_frames, action_units, recording, window=window)
    notes = np.where(np.isfinite(found.z), f"{recording}, {note}", "constant in every window")
    rows = {
        "hypothesis": "H5",
        "au": aus,
        "n_participants": 1,
        "n_recordings": 1,
        "n_windows": found.defined.astype(int),
        "estimate": found.z,
        "effect": found.z,
        "effect_name": "mean z",
        "p": found.p,
        "p_max": found.p_max,
        "status": "exploratory",
        "inference": "this recording only",
        "note": notes,
    }
    return tidy(pd.DataFrame(rows))


def results(*tables: pd.DataFrame, speech: pd.DataFrame | None = None) -> pd.DataFrame:
    """Put the hypotheses' rows into one table, with Benjamini–Hochberg q over every p in it.

    Parameters
    ----------
    *tables : DataFrame
        From ``h1_coupling`` … ``h5_recording`` and `sensitivity`.
    speech : DataFrame, optional
        From `speech_separability`; flags the AUs that speech may explain.
    """
    table = tidy(pd.concat([t.dropna(axis=1, how="all") for t in tables], ignore_index=True))
    table["q"] = iv.false_discovery(table["p"])
    if speech is not None:
        flags = speech.set_index("au")["flag"]
        table["speech"] = table["au"].map(flags).fillna("")
    return table


def numeric_columns(table: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Covariates as numbers (P, C): text by category, missing values by the column's median."""
    columns = []
    for name in names:
        column = table[name]
        if not pd.api.types.is_numeric_dtype(column):
            column = pd.Series(pd.factorize(column, sort=True)[0], index=table.index).replace(
                -1, np.nan
            )
        columns.append(column.astype(float).fillna(column.median()))
    return np.column_stack(columns)


def _couplings_head(windows: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """AU rows with their counts, in anatomical order."""
    order = [au for au in anatomy.AU_CODES if au in set(people["au"])]
    order += sorted(set(people["au"]) - set(order))
    grouped = people.groupby("au")
    counts = pd.DataFrame(
        {
            "n_participants": grouped["z"].count(),
            "n_recordings": grouped["n_recordings"].sum(),
            "n_windows": grouped["n_windows"].sum(),
            "undefined": cp.trained(windows)["z"].isna().groupby(cp.trained(windows)["au"]).mean(),
        }
    )
    return (
        counts.loc[order]
        .rename_axis("au")
        .reset_index()
        .assign(sign="signed", note="", inference="conditional on these models")
    )


def _cohen_d(values: np.ndarray) -> np.ndarray:
    n = np.isfinite(values).sum(axis=0)
    return pm.t_statistic(values) / np.sqrt(np.maximum(n, 1))


def _p_t(values: np.ndarray) -> float:
    values = values[np.isfinite(values)]
    return (
        float(pg.ttest(values, 0)["p_val"].iloc[0])
        if len(values) > 2 and np.ptp(values) > 0
        else float("nan")
    )


def _p_wilcoxon(values: np.ndarray) -> float:
    values = values[np.isfinite(values) & (values != 0)]
    return float(pg.wilcoxon(values)["p_val"].iloc[0]) if len(values) > 5 else float("nan")


def _widen(interval: iv.Interval, factor: np.ndarray | float) -> iv.Interval:
    """Scale an interval about its estimate by how much the fold models widen the error."""
    half = (interval.high - interval.estimate) * factor
    return iv.Interval(interval.estimate, interval.estimate - half, interval.estimate + half)


def _blank_undefined(rows: pd.DataFrame, counts: np.ndarray) -> pd.DataFrame:
    """No p and no interval for a member that fewer than `MIN_PARTICIPANTS` participants have."""
    short = counts < iv.MIN_PARTICIPANTS
    blank = [
        c
        for c in (
            "ci_low",
            "ci_high",
            "simultaneous_low",
            "simultaneous_high",
            "p",
            "p_max",
            "p_t",
            "p_wilcoxon",
            "p_equivalence",
            "bf10",
        )
        if c in rows
    ]
    rows.loc[short, blank] = np.nan
    rows.loc[short, "note"] = [
        f"defined for {c} participants only; {iv.MIN_PARTICIPANTS} are needed"
        for c in counts[short]
    ]
    return rows


def _refuse(rows: pd.DataFrame, people: int, why: str = "") -> pd.DataFrame:
    """Estimates stay, tests and intervals do not; ``note`` says why."""
    reason = why or (
        f"{people} participants: below {iv.MIN_PARTICIPANTS} intervals do not cover and no "
        "population test is made; see H5 for single recordings"
    )
    return tidy(
        rows.drop(columns=[c for c in ("ci_low", "ci_high", "p") if c in rows]).assign(note=reason)
    )


def tidy(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of `results`, in order; text columns empty rather than missing."""
    table = rows.reindex(columns=list(COLUMNS))
    text = ["au", "region", "sign", "effect_name", "status", "speech", "inference", "note"]
    table[text] = table[text].astype(object).fillna("")
    numbers = [c for c in COLUMNS if c not in text and c != "hypothesis"]
    table[numbers] = table[numbers].apply(pd.to_numeric)
    return table
