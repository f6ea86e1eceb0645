"""Tables and figures of fitting: what they say is what they were given."""

import pandas as pd

from expresso_lib.figures import training


def test_recognised_names_the_best_and_the_weakest_of_every_kind():
    """Medians by kind; what was not measured is in no count."""
    table = pd.DataFrame(
        {
            "kind": ["actions"] * 5 + ["pose"],
            "name": [*"abcde", "yaw"],
            "unseen": [0.5, 0.9, 0.7, 0.6, None, 0.8],
            "learned": [0.6, 0.9, 0.8, 0.7, 0.9, 0.9],
        }
    )
    found = training.recognised(table).set_index("kind")
    assert found.loc["actions", ["number", "best", "weakest"]].tolist() == [4, "b; c; d", "a; d; c"]
    assert round(found.loc["actions", "unseen"], 9) == 0.65
    assert found.loc["turns of head and eyes", "best"] == "yaw"
