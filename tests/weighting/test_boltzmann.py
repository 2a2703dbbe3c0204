"""Probabilities of stored actions, in every array library."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.weighting import taken_probs
from tests.support.weighting_libraries import every_library, given, library

Q = np.log(np.array([[1.0, 2, 3, 4]]))
SOME = np.array([[True, True, False, True]])
ACTION = np.array([3])


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
    pi, slope = jax.jit(
        jax.value_and_grad(lambda q: taken_probs(q, jnp.asarray(ACTION), jnp.asarray(avail)).sum())
    )(Q)
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


@every_library
def test_a_mask_to_be_added_to_logits_is_not_taken_for_its_opposite(name: str) -> None:
    q, action, mask = given(name, Q, ACTION, np.where(SOME, 0.0, -np.inf))
    with pytest.raises(UsageError, match="avail_actions holds numbers other than 0 and 1"):
        taken_probs(q, action, mask)
