"""The same random numbers for a test, whichever tests run before it."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def fresh_numbers(request: pytest.FixtureRequest) -> None:
    """Begin the module's RNG anew."""
    if hasattr(request.module, "RNG"):
        request.module.RNG = np.random.default_rng(0)
