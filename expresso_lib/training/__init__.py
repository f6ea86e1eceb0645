"""Fitting a model to scores, and saying honestly how well it reads them.

Data flow: clips and a model give features, computed once (`features`); features, scores and a
scheme of folds give predictions of participants that no fit has seen (`cross_validate` with
`ridge_fit`, `null_fit`, or `finetune`); predictions give scores and differences with intervals
over participants (`model_scores`, `model_differences`). A model is given to every function
here; none is built.
"""

from expresso_lib.training.evaluation import (
    Errors,
    by_level,
    decided,
    errors,
    model_differences,
    model_scores,
    summary,
    summary_difference,
)
from expresso_lib.training.finetuning import FineTuning, channels_last, finetune
from expresso_lib.training.heads import Clips, LinearHead, features, fit_ridge, ridge_predictions
from expresso_lib.training.recipes import Recipe, recipe_name, recipes_table
from expresso_lib.training.validation import (
    Fit,
    conformal_interval,
    cross_validate,
    leaks,
    null_fit,
    permutation_test,
    ridge_fit,
)

__all__ = [
    "Clips",
    "Errors",
    "FineTuning",
    "Fit",
    "LinearHead",
    "Recipe",
    "by_level",
    "channels_last",
    "conformal_interval",
    "cross_validate",
    "decided",
    "errors",
    "features",
    "finetune",
    "fit_ridge",
    "leaks",
    "model_differences",
    "model_scores",
    "null_fit",
    "permutation_test",
    "recipe_name",
    "recipes_table",
    "ridge_fit",
    "ridge_predictions",
    "summary",
    "summary_difference",
]
