"""Probabilities of stored actions and the weighted loss, in every array library."""

import re
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.weighting import taken_probs, weighted_loss

Q = np.log(np.array([[1.0, 2, 3, 4]]))
SOME = np.array([[True, True, False, True]])
ACTION = np.array([3])


def library(name: str) -> ModuleType:
    if name == "jax":
        return jnp
    if name == "numpy":
        return np
    return pytest.importorskip("torch", reason="torch is not installed (extra: macpo[bench])")


def given(name: str, *arrays: Any) -> list[Any]:
    make = library(name).tensor if name == "torch" else library(name).asarray
    return [make(x) for x in arrays]


every_library = pytest.mark.parametrize("name", ["numpy", "jax", "torch"])


@every_library
def test_probability_ranges_over_available_actions(name: str) -> None:
    q, action, avail = given(name, Q, ACTION, SOME)
    np.testing.assert_allclose(taken_probs(q, action, avail), [4 / 7], rtol=1e-6)


@every_library
def test_probability_ranges_over_all_actions_where_availability_is_not_given(name: str) -> None:
    np.testing.assert_allclose(taken_probs(*given(name, Q, ACTION)), [4 / 10], rtol=1e-6)


@every_library
def test_probability_ranges_over_all_actions_in_the_released_variant(name: str) -> None:
    pi = taken_probs(*given(name, Q, ACTION, SOME), include_unavailable=True)
    np.testing.assert_allclose(pi, [4 / 10], rtol=1e-6)


@every_library
def test_temperature_divides_the_utilities(name: str) -> None:
    pi = taken_probs(*given(name, 2 * Q, ACTION, SOME), temperature=2.0)
    np.testing.assert_allclose(pi, [4 / 7], rtol=1e-6)


@every_library
def test_an_agent_with_one_action_left_has_probability_one(name: str) -> None:
    only = np.array([[False, False, False, True]])
    assert taken_probs(*given(name, Q, ACTION, only))[0] == 1.0


@every_library
def test_where_nothing_is_available_all_actions_count(name: str) -> None:
    pi = taken_probs(*given(name, Q, ACTION, np.zeros((1, 4), bool)))
    np.testing.assert_allclose(pi, [4 / 10], rtol=1e-6)


@every_library
def test_an_axis_of_length_one_on_the_actions_is_accepted_as_pymarl_keeps_it(name: str) -> None:
    q, action, avail = given(name, Q, ACTION[:, None], SOME.astype(np.int64))
    np.testing.assert_allclose(taken_probs(q, action, avail), [4 / 7], rtol=1e-6)


@every_library
def test_utilities_far_apart_overflow_nothing(name: str) -> None:
    pi = taken_probs(*given(name, np.array([[1e4, 0.0, -1e4, 1e4 - 1]]), ACTION))
    np.testing.assert_allclose(pi, [1 / (1 + np.e)], rtol=1e-5)


@pytest.mark.parametrize("avail", [SOME, np.zeros((1, 4), bool)], ids=["some", "none"])
def test_probability_and_its_gradient_are_finite_whatever_is_available(avail: np.ndarray) -> None:
    pi, slope = jax.value_and_grad(
        lambda q: taken_probs(q, jnp.asarray(ACTION), jnp.asarray(avail)).sum()
    )(jnp.asarray(Q))
    assert np.isfinite(pi)
    assert np.isfinite(slope).all()


@every_library
def test_an_action_that_does_not_exist_has_no_probability(name: str) -> None:
    assert taken_probs(*given(name, Q, np.array([4])))[0] == 0
    assert taken_probs(*given(name, Q, np.array([-1])))[0] == 0


@every_library
def test_an_unavailable_action_has_no_probability(name: str) -> None:
    assert taken_probs(*given(name, Q, np.array([2]), SOME))[0] == 0


@every_library
def test_probabilities_of_all_actions_sum_to_one(name: str) -> None:
    q, avail = (np.repeat(x, 4, 0) for x in (Q, SOME))
    pi = taken_probs(*given(name, q, np.arange(4), avail))
    np.testing.assert_allclose(pi, [1 / 7, 2 / 7, 0, 4 / 7], rtol=1e-6)


@every_library
def test_half_precision_gives_single_precision_probabilities(name: str) -> None:
    pi = taken_probs(*given(name, Q.astype(np.float16), ACTION))
    assert pi.dtype == library(name).float32
    np.testing.assert_allclose(pi, [4 / 10], rtol=1e-3)


@every_library
def test_a_utility_that_is_no_number_stays_visible(name: str) -> None:
    pi = taken_probs(*given(name, np.array([[0, np.nan, 0]]), np.array([0])))
    assert np.isnan(np.asarray(pi)[0])


# --- bad input ------------------------------------------------------------------------------------


@every_library
@pytest.mark.parametrize("shape", [(2,), (1, 2), (1, 1, 1), ()])
def test_actions_of_another_shape_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=rf"actions have shape {re.escape(str(shape))}"):
        taken_probs(*given(name, Q, np.zeros(shape, int)))


@every_library
def test_availability_of_another_shape_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"avail_actions must have the shape \(1, 4\)"):
        taken_probs(*given(name, Q, ACTION, SOME[:, :3]))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_the_temperature_must_be_positive(temperature: float) -> None:
    with pytest.raises(UsageError, match=f"temperature must be positive, not {temperature}"):
        taken_probs(Q, ACTION, temperature=temperature)


# --- the loss -------------------------------------------------------------------------------------

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
