"""The hypotheses of the plan, H1 to H5: tables of couplings or regions in, rows of `results` out.

H1  an AU goes with the attribution             participant z, sign-flip max-T, fold-aware
H2  that changes with severity                  participant z × score, max-|rho| within folds
H3  a region's enrichment changes with severity, given f(x) − f(x0) and the fold; H3b: a knee
H4  severity bands differ (secondary)           Welch, Kruskal
H5  in this recording an AU goes with it        circular shift of the whole recording
gaze  looking away goes with the attribution    as H1, one series
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import pingouin as pg
from scipy import stats as scipy_stats

from expresso_lib.faces import anatomy
from expresso_lib.models import MIN_PARTICIPANTS
from expresso_lib.statistics import couplings as cp
from expresso_lib.statistics import folds as fm
from expresso_lib.statistics import intervals as iv
from expresso_lib.statistics import permutations as pm
from expresso_lib.statistics import shifts
from expresso_lib.statistics.plan import DEFAULT, MARGIN_SLOPE, Plan
from expresso_lib.statistics.power import detectable

# The columns of the `results` table; described in assets/data_dictionary.yaml.
COLUMNS = (
    "hypothesis", "au", "region", "sign", "n_participants", "n_recordings", "n_windows",
    "undefined", "estimate", "ci_low", "ci_high", "simultaneous_low", "simultaneous_high",
    "effect", "effect_name", "rank_low", "rank_high", "p", "p_max", "q", "p_plain", "p_t",
    "p_wilcoxon", "adjusted", "plain", "p_equivalence", "margin", "bf10", "status", "speech",
    "inference", "note",
)  # fmt: skip
TESTED = (
    "ci_low", "ci_high", "simultaneous_low", "simultaneous_high", "rank_low", "rank_high", "p",
    "p_max", "p_plain", "p_t", "p_wilcoxon", "p_equivalence", "bf10",
)  # fmt: skip
TEXT = ("au", "region", "sign", "effect_name", "status", "speech", "inference", "note")
EYES = ("right_eye", "left_eye")
# What people differ in beside severity; H3 has the prediction in its f(x) − f(x0).
COVARIATES = ("age", "sex", "prediction")
THESE, ANEW = "conditional on these models", "models drawn anew"
# H2 is confirmatory where so strong a correlation is found in four cohorts of five (Cohen: large).
CONFIRMS = 0.50
AGAIN = ("mixed", "mixed slope", "gee", "gee slope")  # H1 and H2 by other models of the same data
SLOPES = 6  # of H3b: below, above and their difference, for either sign


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
        One row per AU, but one for AUs that are the same series (named in ``note``);
        ``estimate`` is the mean participant z, less the randomised models' where there are any:
        they are the same for everybody, so the p speaks of these, not of others. ``ci_*`` is its
        own 95 % interval, ``simultaneous_*`` hold for all AUs at once. ``rank_low, rank_high``
        say between which places among the AUs it lies (1: the largest z), at once for all: by
        the differences of all pairs.
    """
    z, rows = _participant_z(windows)
    rows = rows.assign(hypothesis="H1", status="confirmatory", margin=plan.margin_z)
    models, folds = _models(windows, z)
    if len(np.unique(folds)) < 2:  # no repeat divides the people, so none has models of its own
        models, folds = models.mean(axis=0, keepdims=True), folds[:1]
    # Who lacks an AU in one repeat tells nothing of how models differ.
    z = z.where(np.isfinite(models).all(axis=0))
    rows["estimate"], n = z.mean().to_numpy(), z.notna().sum().to_numpy()
    rows["n_participants"] = n
    values = _judged(z.to_numpy(float), n)
    if adjusted is not None:
        means = cp.participant_couplings(adjusted).groupby("au")["z"].mean()
        rows["adjusted"] = means.reindex(rows["au"]).to_numpy()
    if len(z) < MIN_PARTICIPANTS:
        return _refuse(rows, len(z))

    models = _judged(models, n)
    test = _flips(values, models, folds, plan)
    rows["inference"], rows["effect_name"] = _inference(windows, anew=len(models) > 1), "d"
    rows["effect"] = pm.t_statistic(values) / np.sqrt(np.maximum(n, 1))
    rows["rank_low"], rows["rank_high"] = _rank_limits(values, models, folds, plan)
    rows["p_t"] = [_p_beside(pg.ttest, v, 0) for v in values.T]
    rows["p_wilcoxon"] = [_p_beside(pg.wilcoxon, v[v != 0]) for v in values.T]
    rows["bf10"] = [iv.bayes_factor_mean(t, k) for t, k in zip(test.statistic, n)]
    return _filled(rows, test, n, plan.margin_z)


def _inference(windows: pd.DataFrame, *, anew: bool) -> str:
    """What H1's p speaks of."""
    shuffled = windows["model"].nunique() - 1 if "model" in windows else 0
    # Drawn anew for everyone: what they do by chance is part of the spread over people.
    networks = f"{shuffled} randomised network{'s' if shuffled > 1 else ''} of each person"
    return (ANEW if anew else THESE) + (f", less {networks}" if shuffled else "")


def _models(windows: pd.DataFrame, z: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """z (R, P, A) by the models of every repeat of the folds, and the folds (R, P)."""
    table = cp.model_couplings(windows)
    index = pd.MultiIndex.from_product([sorted(table["repeat"].unique()), z.index])
    wide = table.pivot(index=["repeat", "participant"], columns="au", values="z").reindex(index)
    fold = table.groupby(["repeat", "participant"])["fold"].first().reindex(index)
    values = wide[list(z)].to_numpy(float).reshape(-1, *z.shape)
    return values, pd.factorize(fold)[0].reshape(values.shape[:2])


def _flips(values: np.ndarray, models: np.ndarray, folds: np.ndarray, plan: Plan) -> pm.Permutation:
    """Sign flips of the means of values (P, A), judged by the t that allows for other models."""
    observed = fm.fold_aware_t(models, folds)
    return pm.sign_flip_max_t(
        values, n_flips=plan.permutations, seed=plan.seed, alpha=plan.alpha, observed=observed
    )


def _rank_limits(
    values: np.ndarray, models: np.ndarray, folds: np.ndarray, plan: Plan
) -> tuple[np.ndarray, np.ndarray]:
    """Places (A,) that each member may have, from max-T over all pairs (Mogstad, 2024)."""
    count = values.shape[1]
    first, second = np.triu_indices(count, 1)
    if not len(first):
        return np.ones(count), np.ones(count)
    values, models = (one[..., first] - one[..., second] for one in (values, models))
    test = _flips(values, models, folds, plan)
    larger = np.where(test.p_max <= plan.alpha, test.statistic, 0)
    winners, losers = np.where(larger > 0, (first, second), (second, first))[:, larger != 0]
    below, above = (np.bincount(one, minlength=count) for one in (winners, losers))
    return 1.0 + above, count - 1.0 * below


def h2_severity(
    windows: pd.DataFrame, people: pd.DataFrame, *, plan: Plan = DEFAULT
) -> pd.DataFrame:
    """H2: does the coupling of an AU change with severity (continuous score)?

    Parameters
    ----------
    windows : DataFrame
        From `window_couplings`.
    people : DataFrame
        ``participant, score``; with ``fold`` (`people_table`) correlations are those within
        folds, and scores are shuffled within folds. `COVARIATES` are partialled out for
        ``adjusted``: text is coded by category, and those that are absent are named in ``note``.
    plan : Plan

    Returns
    -------
    DataFrame
        One row per AU (see `h1_coupling`); ``estimate`` is Spearman's rho between z and score.
        Confirmatory where the cohort finds a rho of .50, otherwise exploratory.
    """
    z, rows = _participant_z(windows)
    found = detectable(len(z), kind="severity", family=max(len(rows), 1))
    status = "confirmatory" if found <= CONFIRMS else "exploratory"
    rows = rows.assign(hypothesis="H2", status=status, effect_name="rho")
    return _severity_family(rows, z, people, np.empty((len(z), 0)), plan)


def h3_regions(
    regions: pd.DataFrame, people: pd.DataFrame, *, plan: Plan = DEFAULT
) -> pd.DataFrame:
    """H3: does a region's enrichment change with severity, given the prediction?

    Attributions of a complete method sum to f(x) − f(x0), so raw sums grow with the prediction
    whatever the model looks at. Tested is therefore the partial Spearman correlation of
    enrichment with the score given the participant's mean f(x) − f(x0), studentised; all three as
    deviations from the mean of the fold whose model explained them (most of the difference lies
    between folds). A change in ``face_rest`` cannot be told from the opposite change everywhere
    else.

    Parameters
    ----------
    regions : DataFrame
        See `participant_regions`.
    people, plan :
        As in `h2_severity`.

    Returns
    -------
    DataFrame
        One row per region and sign, one family. ``plain`` is the correlation without f(x) −
        f(x0), ``p_plain`` the family-wise p without studentising; both are descriptive. ``note``
        counts the participants that `participant_regions` left out.
    """
    wide = participant_regions(regions, rounding=plan.rounding_clip)
    members = [c for c in wide.columns if c[0] != "given"]
    used = regions[regions["participant"].isin(wide.index)]
    rows = pd.DataFrame(members, columns=["sign", "region"]).assign(
        hypothesis="H3", status="confirmatory", effect_name="partial rho",
        n_recordings=used["recording"].nunique(), note=_left_out(regions, wide),
        n_windows=len(used[["recording", "clip"]].drop_duplicates()),
    )  # fmt: skip
    control = wide[[("given", "difference")]].to_numpy(float)
    return _severity_family(rows, wide[members], people, control, plan)


def _severity_family(
    rows: pd.DataFrame, wide: pd.DataFrame, people: pd.DataFrame, control: np.ndarray, plan: Plan
) -> pd.DataFrame:
    """Fill a family of rank correlations with the score; wide (P, A), control (P, C)."""
    people, controlled = _of(people, wide), control.shape[1] > 0
    scored = people["score"].notna().to_numpy()  # who has no score is nobody's rank
    wide, people, control = wide[scored], people[scored], control[scored]
    values, score = wide.to_numpy(float), people["score"].to_numpy(float)
    folds, n = _shared_folds(people), np.isfinite(values).sum(axis=0)

    def family(given: np.ndarray, shuffles: int = 0, studentised: bool = False) -> pm.Permutation:
        return pm.max_rho(
            values, score, covariates=given, folds=folds, studentised=studentised,
            n_permutations=shuffles, seed=plan.seed, alpha=plan.alpha,
        )  # fmt: skip

    rho = family(control).estimate
    covariates = COVARIATES[:2] if controlled else COVARIATES
    known = [c for c in covariates if c in people and people[c].notna().any()]
    absent = ", ".join(c for c in covariates if c not in known)
    gaps = f"; covariates not in the data: {absent}" if absent else ""
    rows = rows.assign(margin=plan.margin_rho, n_participants=n, estimate=rho, effect=rho)
    rows["inference"], rows["note"] = THESE, (rows["note"] + gaps).str.removeprefix("; ")
    rows["plain"] = pm.max_rho(values, score, n_permutations=0).estimate
    if known:
        both = np.column_stack([control, numeric_columns(people, known)])
        rows["adjusted"] = family(both).estimate
    if len(wide) < MIN_PARTICIPANTS:
        return _refuse(rows, len(wide))
    if len(np.unique(score[np.isfinite(score)])) < 3:
        return _refuse(rows, len(wide), "fewer than three different scores: severity does not vary")
    values = _judged(values, n)
    test = family(control, plan.permutations, studentised=controlled)
    if controlled:
        rows["p_plain"] = family(control, plan.permutations).p_max
    freedom = n - 2 - np.linalg.matrix_rank(pm.given_rows(control, folds))
    # A studentised statistic is that of a correlation of another size.
    size = np.tanh(test.statistic * np.sqrt((1 + rho**2 / 2) / np.maximum(freedom - 1, 1)))
    rows["bf10"] = [iv.bayes_factor_rho(r, k) for r, k in zip(size, freedom)]
    return _filled(rows, test, n, plan.margin_rho)


def _shared_folds(people: pd.DataFrame) -> np.ndarray | None:
    """Whose model explained whom, (P,); None where next to nobody shares one."""
    folds = pd.factorize(people["fold"])[0] if "fold" in people else np.zeros(len(people))
    return folds if 3 * len(np.unique(folds)) <= len(people) else None


def participant_regions(
    regions: pd.DataFrame, *, rounding: float = DEFAULT.rounding_clip
) -> pd.DataFrame:
    """Mean enrichment and mean f(x) − f(x0) of each participant.

    Parameters
    ----------
    regions : DataFrame
        ``participant, recording, clip, region, signed, enrichment_positive,
        enrichment_negative, output, output_baseline``; with ``model``, only ``trained`` counts.
    rounding : float
        Score points (`Plan.rounding_clip`). Participants whose clips' regions hold less on
        average are left out: shares of next to nothing are shares of rounding.

    Returns
    -------
    DataFrame
        Indexed by participant; columns ``(sign, region)`` and ``("given", "difference")``, the
        mean over clips of a recording, then over recordings. Score points for the difference.
    """
    table = cp.trained(regions)
    held = table["signed"].abs().groupby([table["participant"], table["clip"]]).sum()
    held = held.groupby("participant").mean()
    table = table[table["participant"].isin(held.index[held >= rounding])]
    table = table[~table["region"].isin(["face_rest", "background"])]
    table = table.assign(difference=table["output"] - table["output_baseline"])
    names = {"enrichment_positive": "positive", "enrichment_negative": "negative"}
    means = table.groupby(["participant", "recording", "region"])[[*names, "difference"]].mean()
    means = means.groupby(["participant", "region"]).mean().rename(columns=names)
    wide = means[[*names.values()]].unstack("region")
    wide["given", "difference"] = means["difference"].groupby("participant").mean()
    return pd.DataFrame(wide)


def h3b_two_slopes(
    regions: pd.DataFrame, people: pd.DataFrame, *, plan: Plan = DEFAULT
) -> pd.DataFrame:
    """H3b (exploratory): is the slope of enrichment on severity different above `Plan.knot`?

    Least squares with a hinge at the knot, given f(x) − f(x0), its square and, where ``people``
    has it, the ``fold`` whose model explained them; HC2 standard errors with Bell–McCaffrey
    degrees of freedom. Enrichment is the mean over `EYES`.

    Returns
    -------
    DataFrame
        Per sign three rows: ``region`` says ``below``, ``above``, ``difference``; ``estimate``
        in log enrichment per `Plan.step` score points; ``p_max`` and ``simultaneous_*`` by
        Bonferroni over all six.
    """
    wide = participant_regions(regions, rounding=plan.rounding_clip)
    people, parts = _of(people, wide), []
    score, given = people["score"].to_numpy(float), wide["given", "difference"].to_numpy(float)
    for sign in ("positive", "negative"):
        y = wide.reindex(columns=[(sign, eye) for eye in EYES]).mean(axis=1)
        found = two_slopes(y.to_numpy(float), score, given, plan, folds=_shared_folds(people))
        parts.append(found.assign(sign=sign))
    rows = pd.concat(parts, ignore_index=True).assign(hypothesis="H3b", status="exploratory")
    rows["region"] = "both eyes: " + rows["region"]
    rows["note"] = rows["note"].where(rows["note"] != "", _left_out(regions, wide))
    return _refuse(rows, len(wide)) if len(wide) < MIN_PARTICIPANTS else tidy(rows)


def _of(people: pd.DataFrame, wide: pd.DataFrame) -> pd.DataFrame:
    """The participants of a table (P, …), in its order."""
    return people.drop_duplicates("participant").set_index("participant").reindex(wide.index)


def _left_out(regions: pd.DataFrame, wide: pd.DataFrame) -> str:
    """How many participants `participant_regions` passed over, in words; empty if none."""
    count = cp.trained(regions)["participant"].nunique() - len(wide)
    return f"participants left out because their attribution is rounding: {count}" if count else ""


def two_slopes(
    y: np.ndarray, score: np.ndarray, given: np.ndarray, plan: Plan, folds: np.ndarray | None = None
) -> pd.DataFrame:
    """Slopes below and above the knot and their difference, per `Plan.step` points.

    With fold effects of the size that was measured they err in 9 to 18 % at 84 participants where
    the folds are not given, in 8 to 10 % where they are: exploratory all the same.
    """
    usable = np.isfinite(y) & np.isfinite(score) & np.isfinite(given)
    y, score, given = y[usable], score[usable], given[usable]
    rows = pd.DataFrame({"region": ("below", "above", "difference"), "n_participants": len(y)})
    hinge = (score - plan.knot) / plan.step
    centred = scipy_stats.zscore(given) if len(y) and np.ptp(given) > 0 else given * 0
    # Enrichment bends with f(x) − f(x0); without the square the bend passes for a knee.
    columns = [np.ones(len(y)), np.minimum(hinge, 0), np.maximum(hinge, 0), centred, centred**2]
    if folds is not None:
        own = folds[usable]
        columns += [(own == name).astype(float) for name in np.unique(own)[1:]]
    design = np.column_stack(columns)
    count = design.shape[1]
    if len(y) < count + 2 or np.linalg.matrix_rank(design) < count:
        return rows.assign(note="both sides of the knot need participants with different scores")
    weights = np.array([[0, 1, 0], [0, 0, 1], [0, -1, 1]], dtype=float)
    weights = np.pad(weights, ((0, 0), (0, count - 3)))
    estimate, error, freedom = np.array([contrast(design, y, row) for row in weights]).T
    law = scipy_stats.t(freedom, estimate, error)
    p = 2 * scipy_stats.t.sf(np.abs(estimate / error), freedom)
    rows = rows.assign(estimate=estimate, effect=estimate, p=p, p_max=np.minimum(SLOPES * p, 1))
    rows["ci_low"], rows["ci_high"] = law.interval(1 - plan.alpha)
    limits = law.interval(1 - plan.alpha / SLOPES)
    rows["simultaneous_low"], rows["simultaneous_high"] = limits
    return rows.assign(effect_name=f"slope per {plan.step:g} points", margin=MARGIN_SLOPE, note="")


def contrast(design: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """Least-squares contrast, HC2 standard error, Bell–McCaffrey degrees of freedom.

    At 24 participants HC3 with t errs in 3 %, HC2 in 7 %; with these degrees of freedom in 5 %
    (Bell & McCaffrey, 2002; Imbens & Kolesár, 2016).
    """
    solve = np.linalg.pinv(design)
    annihilator = np.eye(len(y)) - design @ solve
    scaled = (weights @ solve) / np.sqrt(np.maximum(np.diag(annihilator), 1e-9))
    error = np.sqrt(np.sum((scaled * (annihilator @ y)) ** 2))
    gram = (scaled[:, None] * annihilator) @ (scaled[:, None] * annihilator).T
    freedom = np.trace(gram) ** 2 / np.sum(gram**2)
    return float(weights @ solve @ y), max(float(error), 1e-12), float(freedom)


def h4_bands(windows: pd.DataFrame, people: pd.DataFrame) -> pd.DataFrame:
    """H4 (secondary): do the severity bands differ in the coupling of an AU?

    Welch's analysis of variance (``p``) with Kruskal's (``p_wilcoxon``) beside it; bands with
    fewer than three participants are left out and named. A continuous score (H2) has more power.
    """
    bands = people[["participant", "band"]].dropna().astype(str)
    z = cp.participant_couplings(windows).merge(bands, on="participant").dropna(subset="z")
    rows = []
    for au, table in z.groupby("au", sort=True):
        part = table.groupby("band").filter(lambda one: len(one) >= 3 and one["z"].nunique() > 1)
        row: dict[str, Any] = {"au": au, "n_participants": len(part)}
        rows.append(row)
        if part["band"].nunique() < 2 or len(part) < MIN_PARTICIPANTS:
            row["note"] = "fewer than two bands with three participants, or 10 people in them"
            continue
        left = sorted(set(bands["band"]) - set(part["band"]))
        row["note"] = f"bands left out: {', '.join(left)}" if left else ""
        welch = pg.welch_anova(part, dv="z", between="band").iloc[0]
        row |= {"estimate": welch["F"], "p": welch["p_unc"], "effect": welch["np2"]}
        row["p_wilcoxon"] = pg.kruskal(part, dv="z", between="band")["p_unc"].iloc[0]
        row["effect_name"] = "partial eta squared"
    return tidy(pd.DataFrame(rows).assign(hypothesis="H4", status="exploratory"))


def recording_shift(
    series: pd.DataFrame, units: pd.DataFrame, recording: str, *, window: int = 64
) -> tuple[shifts.CircularShift, list[str], str]:
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
    own = cp.trained(series.query("recording == @recording")).groupby("frame")["attribution"].mean()
    wide = cp.wide_action_units(units.query("recording == @recording")).set_index("frame")
    data = wide.drop(columns=["participant", "recording"]).join(own, how="inner")
    if data.empty:
        raise ValueError(f"recording {recording!r} is not in both tables; see column 'recording'.")
    lost = int(data.isna().any(axis=1).sum())
    data = data.sort_index().interpolate(limit_direction="both").dropna(axis=1)
    if data.shape[1] < 2 or "attribution" not in data:
        raise ValueError(f"recording {recording!r} has no action unit to compare with.")
    while len(data) < 2 * window and window >= 16:
        window //= 2
    attribution = data.pop("attribution").to_numpy(float)
    note = f"windows of {window}, {len(data)} shifts"
    note += f", {lost} frames interpolated" if lost else ""
    return shifts.circular_shift(data.to_numpy(float), attribution, window=window), [*data], note


def h5_recording(
    series: pd.DataFrame, units: pd.DataFrame, recording: str, *, window: int = 64
) -> pd.DataFrame:
    """H5: does an AU go with the attribution in this one recording?

    Circular shift of the whole recording (`circular_shift`), exact over all shifts; ``p_max``
    is family-wise over AUs. Lost frames are interpolated and counted in ``note``. The window is
    halved until two fit. Of a recording that allows no test one row says why.
    """
    facts = {"hypothesis": "H5", "status": "exploratory", "inference": "this recording only"}
    try:
        found, aus, note = recording_shift(series, units, recording, window=window)
    except ValueError as error:
        return tidy(pd.DataFrame([facts | {"note": f"{recording}: {error}"}]))
    rows = pd.DataFrame({"au": aus, "estimate": found.z, "p": found.p, "p_max": found.p_max})
    rows = rows.assign(effect=found.z, effect_name="mean z", n_windows=found.defined.astype(int))
    rows["note"] = f"{recording}, {note}"
    rows.loc[~np.isfinite(found.z), "note"] = "constant in every window"
    return tidy(rows.assign(**facts, n_participants=1, n_recordings=1))


def gaze(
    series: pd.DataFrame, frames: pd.DataFrame, *, window: int = 64, plan: Plan = DEFAULT
) -> pd.DataFrame:
    """Gaze: does looking away go with the attribution? One row, tested as a family of its own.

    Parameters
    ----------
    series : DataFrame
        As `window_couplings` takes them.
    frames : DataFrame
        Table ``frames``: ``gaze_away``, radians from the recording's median direction.
    window : int
        Frames.
    plan : Plan

    Returns
    -------
    DataFrame
        One row as of `h1_coupling`; without an estimate, and with the reason, where no source of
        the data has gaze.
    """
    row = {"hypothesis": "gaze", "status": "exploratory"}
    if "gaze_away" not in frames or frames["gaze_away"].isna().all():
        return tidy(pd.DataFrame([row | {"au": "gaze_away", "note": "no gaze in this data"}]))
    # Looking away is a series like an AU's.
    away = frames[[*cp.KEYS, "gaze_away"]].rename(columns={"gaze_away": "intensity"})
    away, rounding = away.assign(au="gaze_away"), plan.rounding_window
    windows = cp.window_couplings(series, away, window=window, rounding=rounding)
    return h1_coupling(windows, plan=plan).assign(**row)


def results(*tables: pd.DataFrame, speech: pd.DataFrame | None = None) -> pd.DataFrame:
    """Put the hypotheses' rows into one table, with Benjamini–Hochberg q over its questions.

    Parameters
    ----------
    *tables : DataFrame
        From ``h1_coupling`` … ``h5_recording`` and `sensitivity`.
    speech : DataFrame, optional
        From `speech_separability`; flags the AUs that speech may explain.
    """
    table = tidy(pd.concat([t.dropna(axis=1, how="all") for t in tables], ignore_index=True))
    # A question counts once: not again by another analysis, nor by models that do not decide it.
    again = table["hypothesis"].isin(AGAIN)
    again |= (table["hypothesis"] == "H1") & ~table.index.isin(rows_of(table, "H1").index)
    table["q"] = pg.multicomp(table["p"].mask(again).to_numpy(float), method="fdr_bh")[1]
    if speech is not None:
        table["speech"] = table["au"].map(speech.set_index("au")["flag"]).fillna("")
    return table


def rows_of(results: pd.DataFrame, hypothesis: str) -> pd.DataFrame:
    """The rows of one hypothesis; of H1 those of models drawn anew, else of the first models."""
    rows = results[results["hypothesis"] == hypothesis]
    anew = rows["inference"].astype(str).str.startswith(ANEW)
    if anew.any():
        return rows[anew]
    return rows.drop_duplicates("au") if hypothesis == "H1" else rows


def numeric_columns(table: pd.DataFrame, names: Sequence[str]) -> np.ndarray:
    """Covariates as numbers (P, C): text by category, missing values by the column's median."""
    columns = table[list(names)]
    words = columns.select_dtypes(exclude="number").astype("category")
    columns = columns.assign(**words.apply(lambda column: column.cat.codes.replace(-1, np.nan)))
    return columns.fillna(columns.median()).to_numpy(float)


def _participant_z(windows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """z (P, A) in anatomical order without series that repeat another, and a row per AU."""
    people = cp.participant_couplings(windows)
    z = people.pivot(index="participant", columns="au", values="z")
    z = z[sorted(z, key=lambda au: (au not in anatomy.AU_CODES, au))]
    note = dict.fromkeys(z, "")
    for first, second in combinations(z, 2):
        twice = first in z and second in z and z[first].notna().any()
        if twice and np.allclose(z[first], z[second], equal_nan=True):
            z, note[first] = z.drop(columns=second), f"{second} is the same series, tested once"
    people = people.assign(n_participants=people["z"].notna())
    counts = people.groupby("au")[["n_participants", "n_recordings", "n_windows"]].sum()
    rows = counts.loc[list(z)].reset_index().merge(cp.undefined_windows(windows), on="au")
    return z, rows.assign(sign="signed", note=rows["au"].map(note), inference=THESE)


def _judged(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Values (..., A) without members of fewer than `MIN_PARTICIPANTS`, which would spoil a family.

    Of three people a quarter of all flips are as large as can be.
    """
    return np.where(counts < MIN_PARTICIPANTS, np.nan, values)


def _p_beside(test: Callable[..., pd.DataFrame], values: np.ndarray, *options: float) -> float:
    """p of pingouin's test of participants' values; NaN where it does not exist."""
    values = values[np.isfinite(values)]
    exists = len(values) > 5 and np.ptp(values) > 0
    return float(test(values, *options)["p_val"].iloc[0]) if exists else float("nan")


def _filled(
    rows: pd.DataFrame, test: pm.Permutation, counts: np.ndarray, margin: float
) -> pd.DataFrame:
    """Rows with what the test says; nothing where fewer than `MIN_PARTICIPANTS` have a value."""
    rows = rows.assign(p=test.p, p_max=test.p_max, p_equivalence=test.equivalence(margin))
    rows["ci_low"], rows["ci_high"] = test.interval()
    rows["simultaneous_low"], rows["simultaneous_high"] = test.interval(simultaneous=True)
    short = counts < MIN_PARTICIPANTS
    rows.loc[short, rows.columns.intersection(TESTED)] = np.nan
    rows.loc[short, "note"] = [f"defined for {count} participants only" for count in counts[short]]
    return tidy(rows)


def _refuse(rows: pd.DataFrame, people: int, why: str = "") -> pd.DataFrame:
    """Estimates stay, tests and intervals do not; ``note`` says why."""
    reason = why or (
        f"{people} participants: below {MIN_PARTICIPANTS} intervals do not cover and no "
        "population test is made; see H5 for single recordings"
    )
    return tidy(rows.drop(columns=[*TESTED], errors="ignore").assign(note=reason))


def tidy(rows: pd.DataFrame) -> pd.DataFrame:
    """The columns of `results`, in order; text columns empty rather than missing."""
    table = rows.reindex(columns=list(COLUMNS))
    text = list(TEXT)
    table[text] = table[text].astype(object).fillna("")
    numbers = table.columns.drop(["hypothesis", *text])
    table[numbers] = table[numbers].apply(pd.to_numeric)
    return table
