"""DisCor as MAC-PO transplants it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.weighting_samples import (
    Arrays,
    Row,
    fixture,
    one_step,
    quick,
    raw,
    signals,
    weigh,
)

ROW = Row(
    [0.370409110, 0.602388424, 0.1, 0.026951788],
    [1.347249243, 2.191002665, 0.363719251, 0.098028841],
    ess=2.367748,
    loss_raw=0.733596145,
    loss_mean_one=2.668230406,
)


def test_weights_and_losses_equal_the_worked_numbers() -> None:
    ROW.check("discor")


@quick
@given(signals())
def test_it_is_macpo_without_joint_probability_to_the_last_bit(batch: Arrays) -> None:
    for mode in ("none", "mean"):
        expected = weigh("macpo-no-joint", batch, normalise=mode)
        np.testing.assert_array_equal(weigh("discor", batch, normalise=mode), expected)


@quick
@given(signals())
def test_it_is_macpo_where_all_agents_are_certain(batch: Arrays) -> None:
    certain = batch | {"pi_taken": np.ones_like(batch["pi_taken"])}
    np.testing.assert_array_equal(weigh("discor", batch), weigh("macpo", certain))


@quick
@given(signals(), st.floats(0, 50))
def test_a_constant_added_to_every_gap_cancels_in_the_normalisation(
    batch: Arrays, more: float
) -> None:
    side = np.where(batch["q_star"] >= batch["q"], 1.0, -1.0)
    wider = batch | {"q_star": batch["q_star"] + more * side}
    np.testing.assert_allclose(weigh("discor", wider), weigh("discor", batch), rtol=1e-9)
    expected = raw("discor", batch) * np.exp(-more)
    np.testing.assert_allclose(raw("discor", wider), expected, rtol=1e-9)


def test_the_value_temperature_divides_the_gap() -> None:
    weights = raw("discor", one_step(delta=2, gap=-3), value_temperature=6.0)
    assert weights[0, 0] == pytest.approx(2 * np.exp(-0.5), rel=1e-15)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_central_value_that_is_no_number_is_not_hidden(value: float) -> None:
    q_star = np.where(np.arange(5) == 1, value, fixture()["q_star"])
    weights = raw("discor", fixture() | {"q_star": q_star})
    assert np.isnan(weights).tolist() == [[False, True, False, False, False]]
