"""Uniform weights."""

import numpy as np
import pytest
from hypothesis import given

from macpo import weighting
from tests.support.weighting_samples import Arrays, Row, quick, signals, weigh


def test_weights_and_losses_equal_the_worked_numbers() -> None:
    Row([1] * 4, [1] * 4, ess=4, loss_raw=5.065, loss_mean_one=5.065).check("uniform")


@quick
@given(signals())
def test_weights_are_the_mask_to_the_last_bit(batch: Arrays) -> None:
    for mode in ("none", "mean", "max"):
        weights = weigh("uniform", batch, normalise=mode)
        np.testing.assert_array_equal(weights, np.float32(batch["mask"]), strict=True)


def test_weights_that_sum_to_one_are_equal_shares() -> None:
    weights = weigh("uniform", {"mask": np.array([[1, 1, 0], [1, 1, 0]])}, normalise="sum")
    assert weights.tolist() == [[0.25, 0.25, 0]] * 2


def test_no_signal_is_needed() -> None:
    assert weighting.make("uniform").needs == ()


def test_alone_it_weighs_by_how_on_policy_steps_are_if_so_asked() -> None:
    batch = {"mask": np.ones((1, 2)), "log_density_ratio": np.log([[1.0, 4.0]])}
    weights = weighting.make("uniform", on_policy=2.0)(**batch)
    assert weights[0].tolist() == pytest.approx([1, 2])
