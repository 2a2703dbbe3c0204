"""Uniform weights."""

import numpy as np

from macpo import weighting


def test_every_valid_step_weighs_exactly_one() -> None:
    mask = np.array([[1, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(weighting.make("uniform")(mask=mask), mask)


def test_no_signal_is_needed() -> None:
    assert weighting.make("uniform").needs == ()
