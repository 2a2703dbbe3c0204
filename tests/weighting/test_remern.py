"""ReMERN as MAC-PO transplants it."""

import numpy as np
import pytest
from hypothesis import given

from tests.support.weighting_samples import Arrays, Row, fixture, quick, raw, signals, weigh

ROW = Row(
    [0.554132029, 1.179024743, 0.196296296, 0.050701704],
    [1.119371146, 2.381681997, 0.396527179, 0.102419678],
    ess=2.255706,
    loss_raw=1.416955549,
    loss_mean_one=2.862312724,
)


def test_weights_and_losses_equal_the_worked_numbers() -> None:
    ROW.check("remern")


def test_weights_equal_the_worked_numbers_with_the_on_policy_factor() -> None:
    weights = weigh("remern", fixture(), on_policy=5.0)
    expected = [1.297092955, 2.044524983, 0.561214456, 0.097167606, 0]
    assert weights[0].tolist() == pytest.approx(expected, abs=6e-10)


@quick
@given(signals(n_agents=1))
def test_with_one_agent_it_is_macpo(batch: Arrays) -> None:
    np.testing.assert_allclose(raw("remern", batch), raw("macpo", batch), rtol=1e-14)


@quick
@given(signals())
def test_where_an_agent_would_never_act_so_it_is_twice_discor(batch: Arrays) -> None:
    pi = batch["pi_taken"].copy()
    pi[..., 0] = 0
    never = batch | {"pi_taken": pi}
    np.testing.assert_allclose(raw("remern", never), 2 * raw("discor", batch), rtol=1e-14)
    np.testing.assert_allclose(weigh("remern", never), weigh("discor", batch), rtol=1e-14)


@quick
@given(signals())
def test_it_is_macpo_with_the_likelihood_of_one_agent_that_chooses_for_all(batch: Arrays) -> None:
    expected = raw("macpo", batch, likelihood="joint")
    np.testing.assert_array_equal(raw("remern", batch), expected)
