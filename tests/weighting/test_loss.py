"""The weighted loss, in every array library."""

import re

import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.weighting import weighted_loss
from tests.support.weighting_libraries import every_library, given

LOSS, WEIGHTS = np.array([[4.0, 1, np.nan]]), np.array([[0.5, 2, 1.0]])
MASK = np.array([[1.0, 1, 0]])


@every_library
def test_the_loss_is_the_weighted_sum_over_the_number_of_valid_steps(name: str) -> None:
    assert weighted_loss(*given(name, LOSS, WEIGHTS, MASK)) == (2 + 2) / 2


@every_library
def test_weights_that_sum_to_one_scale_the_loss_themselves(name: str) -> None:
    assert weighted_loss(*given(name, LOSS, WEIGHTS, MASK), reduction="sum") == 2 + 2


@every_library
def test_a_step_of_weight_zero_contributes_nothing_even_if_its_loss_is_nan(name: str) -> None:
    loss, weights = np.array([[np.nan, 3.0]]), np.array([[0.0, 1]])
    assert weighted_loss(*given(name, loss, weights, np.ones((1, 2)))) == 1.5


@every_library
def test_a_batch_of_padding_alone_costs_nothing(name: str) -> None:
    assert weighted_loss(*given(name, LOSS, WEIGHTS, 0 * MASK)) == 0


@every_library
def test_one_mask_serves_the_losses_of_all_agents(name: str) -> None:
    loss, mask = np.array([[[1.0, 3], [5, 7]]]), np.array([[[1], [0]]])
    assert weighted_loss(*given(name, loss, np.ones((1, 2, 2)), mask)) == 4


@every_library
@pytest.mark.parametrize("shape", [(3, 1), (3, 2), (1, 3, 1), (2,)])
def test_weights_or_a_mask_that_do_not_fit_the_loss_are_refused(
    name: str, shape: tuple[int, ...]
) -> None:
    other = np.ones(shape)
    for problem, arrays in {
        "weights": (LOSS, other, MASK),
        "mask": (LOSS, WEIGHTS, other),
    }.items():
        with pytest.raises(UsageError, match=f"{problem} have shape {re.escape(str(shape))}"):
            weighted_loss(*given(name, *arrays))


@every_library
def test_a_mask_of_other_numbers_than_0_and_1_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"^weighted_loss: mask holds numbers other than 0 and 1"):
        weighted_loss(*given(name, LOSS, WEIGHTS, np.where(MASK == 1, 0.0, -np.inf)))
