"""DIFFER: each agent's share of the team's error, and its weight."""

import numpy as np
import pytest
from hypothesis import given

from macpo.weighting import Signals
from tests.support.weighting_samples import Arrays, quick, raw, signals, weigh

D_Q_TOT, DELTA = np.array([[[0.8, 0.5]]]), np.array([[1.5]])
ONE = {"q": DELTA, "target": 0 * DELTA, "dq_tot_dq": D_Q_TOT, "mask": np.ones((1, 1))}


def test_individual_errors_equal_the_worked_numbers() -> None:
    assert Signals(**ONE).individual_td_error[0, 0].tolist() == pytest.approx(
        [1.2, 0.75], rel=1e-15
    )


def test_individual_errors_are_those_under_the_individual_rewards() -> None:
    q, q_next, reward = np.array([1, 0.3]), np.array([0.9, 0.4]), np.array([-1.091, -0.846])
    own = q - (reward + 0.99 * q_next)
    np.testing.assert_allclose(Signals(**ONE).individual_td_error[0, 0], own, rtol=1e-12)


def test_raw_weights_are_powers_of_individual_errors() -> None:
    expected = [1.21**0.8, 0.76**0.8]
    assert raw("differ", ONE)[0, 0].tolist() == pytest.approx(expected, rel=1e-14)


def test_options_are_those_of_per() -> None:
    weights = raw("differ", ONE, alpha=1.0, beta=0.5, epsilon=0.0)
    assert weights[0, 0].tolist() == pytest.approx([1.2**0.5, 0.75**0.5], rel=1e-14)


def test_weights_have_mean_one_over_steps_and_agents() -> None:
    weights = weigh("differ", ONE, alpha=1.0, epsilon=0.0)
    assert weights[0, 0].tolist() == pytest.approx([1.2 / 0.975, 0.75 / 0.975], rel=1e-14)


def test_the_sign_of_error_and_derivative_does_not_matter() -> None:
    np.testing.assert_array_equal(raw("differ", ONE | {"q": -DELTA}), raw("differ", ONE))
    np.testing.assert_array_equal(raw("differ", ONE | {"dq_tot_dq": -D_Q_TOT}), raw("differ", ONE))


@quick
@given(signals())
def test_where_all_agents_share_alike_each_has_the_weight_of_per(batch: Arrays) -> None:
    alike = batch | {"dq_tot_dq": np.ones_like(batch["dq_tot_dq"])}
    options = {"alpha": 0.8, "epsilon": 0.01}
    expected = raw("per", batch, **options)[..., None]
    weights = raw("differ", alike, **options)
    np.testing.assert_allclose(weights, np.broadcast_to(expected, weights.shape), rtol=1e-14)


@quick
@given(signals())
def test_no_exponent_or_full_correction_is_uniform(batch: Arrays) -> None:
    expected = np.broadcast_to(batch["mask"][..., None], batch["dq_tot_dq"].shape)
    for options in ({"alpha": 0.0}, {"beta": 1.0}):
        np.testing.assert_array_equal(raw("differ", batch, **options), expected)
