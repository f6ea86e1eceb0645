"""A network reads a severity score from a clip: built, fine-tuned, judged on people it never saw.

- `networks`: one call builds, saves, loads any of them
- `pretraining`: how the small one starts, on the clips of `practice` and by `twins`
- `heads`, `finetuning`: a linear head on cached features, or more of the network
- `validation`, `evaluation`: folds without leaks, predictions, scores with intervals
- `recipes`: how a model is trained, by name; `experiments`: recipes carried out
"""

from expresso_lib.models.evaluation import (
    MIN_PARTICIPANTS,
    Errors,
    by_level,
    errors,
    model_differences,
    model_scores,
    summary,
)
from expresso_lib.models.finetuning import FineTuning, finetune
from expresso_lib.models.heads import LinearHead, features, fit_ridge
from expresso_lib.models.networks import BACKBONES, VideoRegressor, build, load, save, shipped
from expresso_lib.models.recipes import Recipe, recipes_table
from expresso_lib.models.validation import (
    conformal_interval,
    cross_validate,
    folds,
    null_fit,
    ridge_fit,
)
