"""Small tables with a known answer, shaped as the chapters write them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from expresso_lib.faces import anatomy
from expresso_lib.statistics.lessons import smooth_noise


@dataclass(frozen=True, eq=False)
class SimulatedTables:
    """The input tables of `stats`; everything in them is simulated."""

    participants: pd.DataFrame
    wide: pd.DataFrame  # a column per AU
    attribution_frames: pd.DataFrame
    attribution_regions: pd.DataFrame

    @property
    def action_units(self) -> pd.DataFrame:
        """``wide`` as the chapters write it."""
        return tidy(self.wide)


def tidy(wide: pd.DataFrame) -> pd.DataFrame:
    """A row per frame and AU of a table with a column per AU."""
    return wide.melt(["participant", "recording", "frame"], var_name="au", value_name="intensity")


def simulate_tables(
    *,
    participants: int = 24,
    recordings: int = 3,
    frames: int = 160,
    coupling: dict[str, float] | None = None,
    severity_coupling: dict[str, float] | None = None,
    random_models: int = 0,
    repeats: int = 1,
    folds: int = 4,
    fold_sd: float = 0.0,
    seed: int = 0,
) -> SimulatedTables:
    """Simulate participants whose AUs go with the attribution as stated and in no other way.

    Parameters
    ----------
    participants, recordings, frames : int
    coupling : dict, optional
        AU code → weight of its series in the attribution of everyone.
    severity_coupling : dict, optional
        AU code → weight at the highest score, negative at the lowest, 0 in the middle.
    random_models : int
        Randomised networks (``model`` ``random_1`` …): the AUs of ``coupling`` are not in theirs.
    repeats, folds, fold_sd : int, int, float
        Cross-validation repeated with new folds; each model adds its own weight for AU01.
    seed : int

    Returns
    -------
    SimulatedTables

    Examples
    --------
    >>> tables = simulate_tables(participants=4, recordings=1, frames=30)
    >>> tables.attribution_frames.shape[0], tables.participants["band"].tolist()
    (120, ['minimal', 'mild', 'severe', 'severe'])
    """
    rng = np.random.default_rng(seed)
    scores = np.linspace(2, 44, participants).round()
    # Bands of the BDI-II (Beck et al., 1996).
    band = pd.cut(scores, [-1, 13, 19, 28, 63], labels=["minimal", "mild", "moderate", "severe"])
    names = [f"P{i + 1:02d}" for i in range(participants)]
    people = pd.DataFrame(
        {
            "participant": names,
            "score": scores,
            "band": band.astype(str),
            "age": rng.integers(18, 70, participants),
            "sex": rng.choice(["f", "m"], participants),
        }
    )
    assigned = np.stack([rng.permutation(np.arange(participants) % folds) for _ in range(repeats)])
    model_weight = (
        rng.normal(0, fold_sd, (repeats, folds)) if fold_sd else np.zeros((repeats, folds))
    )
    units, series, regions = [], [], []
    for i, name in enumerate(names):
        for r in range(recordings):
            au = np.clip(2.5 * smooth_noise((len(anatomy.AU_CODES), frames), rng), 0, 5)
            keys = {
                "participant": name,
                "recording": f"{name}_R{r + 1}",
                "frame": np.arange(frames),
            }
            units.append(pd.DataFrame({**keys, **dict(zip(anatomy.AU_CODES, au))}))
            signal = _signal(au, coupling, severity_coupling, (scores[i] - 23) / 21)
            for model, repeat in [("trained", k) for k in range(repeats)] + [
                (f"random_{k + 1}", 0) for k in range(random_models)
            ]:
                fold = int(assigned[repeat, i])
                planted = signal + model_weight[repeat, fold] * au[0] if model == "trained" else 0.0
                series.append(
                    pd.DataFrame(
                        {
                            **keys,
                            "recipe": "simulated",
                            "method": "DeepLift",
                            "baseline": "posed_neutral",
                            "model": model,
                            "repeat": repeat,
                            "fold": fold,
                            "attribution": planted + smooth_noise((frames,), rng),
                        }
                    )
                )
            regions.append(_regions(name, f"{name}_R{r + 1}", scores[i], rng))
    return SimulatedTables(
        people,
        pd.concat(units, ignore_index=True),
        pd.concat(series, ignore_index=True),
        pd.concat(regions, ignore_index=True),
    )


def _signal(
    au: np.ndarray,
    coupling: dict[str, float] | None,
    severity: dict[str, float] | None,
    level: float,
) -> np.ndarray:
    """What the AUs plant in the attribution of one recording; ``level`` −1 to 1 is severity."""
    signal = np.zeros(au.shape[1])
    for code, weight in (coupling or {}).items():
        signal = signal + weight * au[anatomy.AU_CODES.index(code)]
    for code, weight in (severity or {}).items():
        signal = signal + weight * level * au[anatomy.AU_CODES.index(code)]
    return signal


def _regions(
    participant: str, recording: str, score: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Enrichment of the regions, unrelated to the score; the output follows it with error."""
    names = anatomy.FEATURE_REGIONS
    output = score + rng.normal(0, 6)
    return pd.DataFrame(
        {
            "recipe": "simulated",
            "participant": participant,
            "recording": recording,
            "clip": 0,
            "region": names,
            "method": "DeepLift",
            "baseline": "posed_neutral",
            "output": output,
            "output_baseline": 20.0,
            "signed": (output - 20.0) / len(names),
            "enrichment_positive": rng.normal(0.3, 0.4, len(names)),
            "enrichment_negative": rng.normal(0.3, 0.4, len(names)),
        }
    )
