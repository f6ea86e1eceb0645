"""What the tests of figures share."""

import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def _close():
    """No figure is left open for the next test."""
    yield
    plt.close("all")
