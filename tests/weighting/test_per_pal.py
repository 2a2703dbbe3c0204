"""PAL: LAP, prioritised sampling with a robust loss, as a weight."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.weighting_samples import Arrays, errors, quick, raw, signals

BATCH, SIZE = errors(0.5, 2, 0.1, 4), np.array([0.5, 2, 0.1, 4])
GRADIENT = [0.098802337, 0.260740931, 0.019760467, 0.344049721]


def test_the_gradient_equals_the_worked_numbers() -> None:
    mean_priority = 1.265152259  # of max(|δ|^0.4, 1)
    gradient = raw("per-pal", BATCH)[0] * SIZE / (4 * mean_priority)
    assert gradient.tolist() == pytest.approx(GRADIENT, abs=6e-10)


def test_it_is_the_gradient_of_a_robust_loss_under_sampling() -> None:
    probability = np.array([0.197604674, 0.260740931, 0.197604674, 0.344049721])
    priority = raw("per-pal", BATCH)[0] * np.maximum(SIZE, 1)
    np.testing.assert_allclose(priority / priority.sum(), probability, atol=6e-10)
    assert (probability * np.minimum(SIZE, 1)).tolist() == pytest.approx(GRADIENT, abs=6e-10)


def test_errors_up_to_one_weigh_one_and_larger_ones_less() -> None:
    weights = raw("per-pal", errors(0, 0.5, -1, 16), alpha=0.5)
    assert weights[0].tolist() == [1, 1, 1, 0.25]


def test_exponent_one_is_uniform() -> None:
    assert raw("per-pal", BATCH, alpha=1.0).tolist() == [[1, 1, 1, 1]]


@quick
@given(signals(), st.floats(0, 1))
def test_no_step_pulls_more_than_its_error_to_the_power(batch: Arrays, alpha: float) -> None:
    size = np.abs(batch["q"] - batch["target"]) * batch["mask"]
    pull = raw("per-pal", batch, alpha=alpha) * size
    np.testing.assert_allclose(pull, np.where(size > 1, size**alpha, size), rtol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_error_that_is_no_number_is_not_hidden(value: float) -> None:
    assert np.isnan(raw("per-pal", errors(1, value, 2))[0, 1])
