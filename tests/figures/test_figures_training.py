"""Tables and figures of fitting: what they say is what they were given."""

import pandas as pd

from expresso_lib.figures import training


def test_recognised_names_the_best_and_the_weakest_of_every_kind():
    """Medians by kind; what was not measured is in no count, and no name on both sides."""
    table = pd.DataFrame(
        {
            "kind": ["actions"] * 5 + ["pose"],
            "name": [*"abcde", "yaw"],
            "unseen": [0.5, 0.9, 0.7, 0.6, None, 0.8],
            "learned": [0.6, 0.9, 0.8, 0.7, 0.9, 0.9],
        }
    )
    found = training.recognised(table).set_index("kind")
    assert found.loc["actions", ["number", "best", "weakest"]].tolist() == [4, "b; c", "a; d"]
    assert round(found.loc["actions", "unseen"], 9) == 0.65
    assert found.loc["turns of head and eyes", ["best", "weakest"]].tolist() == ["", ""]


def test_learning_curves_average_only_epochs_that_every_fold_reached():
    """A panel per stage; a thin line per fold; the mean stops where the first fold stopped."""
    rows = [
        {"fold": fold, "part": part, "epoch": epoch, "stop_mae": 8.0 - epoch + fold}
        for part in ("last", "all")
        for fold, epochs in ((0, 3), (1, 5))
        for epoch in range(epochs)
    ]
    figure = training.learning_curves(pd.DataFrame(rows))
    assert [panel.get_title(loc="left") or panel.get_title() for panel in figure.axes] == [
        "last block, head",
        "everything",
    ]
    *folds, mean = [line.get_xydata().tolist() for line in figure.axes[0].lines]
    assert [len(line) for line in folds] == [3, 5]
    assert mean == [[1, 8.5], [2, 7.5], [3, 6.5]]


def test_models_are_compared_in_error_and_correlation_alone():
    """Two panels, whatever else the table holds."""
    rows = [
        {"recipe": recipe, "level": "participant", "metric": metric, "ci_low": 0.5, "ci_high": 1.5}
        | {"estimate": 1.25 if recipe == "null" else 1.0}
        for recipe in ("a", "null")
        for metric in ("mae", "rmse", "ccc", "pearson")
    ]
    figure = training.model_forest(pd.DataFrame(rows), {"a": "default"})
    labels = [panel.get_xlabel() for panel in figure.axes]
    assert labels == ["mean absolute error (points)", "correlation r"]
    lines = [list(line.get_xdata()) for line in figure.axes[0].lines]
    assert [1.25, 1.25] in lines, "the null model's error is a line without a row"
