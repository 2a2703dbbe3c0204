"""Losses: numbers computed by hand, what scales them, and where their gradients go."""

import jax
import numpy as np
import pytest

from macpo.learners import losses
from macpo.learners.episodes import Transitions

NAN = np.nan
td_errors = jax.jit(losses.td_errors)
weighted_squared_error = jax.jit(losses.weighted_squared_error, static_argnames="reduction")
individual_td_loss = jax.jit(losses.individual_td_loss, static_argnames="reduction")

# two episodes: one terminates after three steps, the other is cut off after two
Q_TOT = np.array([[5.0, 3.0, 1.0, 8.0], [2.0, 4.0, 6.0, NAN]])
TARGET_Q_TOT = np.array([[-7.0, 4.0, 6.0, 10.0], [-7.0, 2.0, 10.0, NAN]])
STEPS = Transitions(
    reward=np.array([[1.0, 0.0, 2.0], [3.0, 1.0, NAN]]),
    terminal=np.array([[False, False, True], [False, False, False]]),
    mask=np.array([[True, True, True], [True, True, False]]),
    importance=np.ones((2, 3)),
)
EXISTS = np.asarray(STEPS.mask)


# --- errors ---------------------------------------------------------------------------------------


def test_one_step_targets_are_the_reward_plus_the_discounted_next_value():
    errors = td_errors(Q_TOT, TARGET_Q_TOT, STEPS, gamma=0.5, td_lambda=0.0)
    # r + γ Q', without the second term at the end of the first episode
    expected = [1 + 0.5 * 4, 0 + 0.5 * 6, 2, 3 + 0.5 * 2, 1 + 0.5 * 10]
    np.testing.assert_allclose(errors.target[EXISTS], expected, rtol=1e-6)


def test_the_error_is_the_value_of_the_action_taken_less_its_target():
    errors = td_errors(Q_TOT, TARGET_Q_TOT, STEPS, gamma=0.5, td_lambda=0.0)
    np.testing.assert_array_equal(errors.q[EXISTS], [5, 3, 1, 2, 4])
    np.testing.assert_allclose(errors.error[EXISTS], [2, 0, -1, -2, -2], atol=1e-6)


def test_lambda_mixes_the_later_rewards_into_the_targets():
    errors = td_errors(Q_TOT, TARGET_Q_TOT, STEPS, gamma=0.5, td_lambda=0.5)
    middle = 0.5 * (0.5 * 6 + 0.5 * 2)
    first = 1 + 0.5 * (0.5 * 4 + 0.5 * middle)
    np.testing.assert_allclose(errors.target[0], [first, middle, 2], rtol=1e-6)


def test_gradients_of_the_errors_flow_into_the_value_that_learns_alone():
    def total(q_tot: jax.Array, target_q_tot: jax.Array) -> jax.Array:
        errors = td_errors(q_tot, target_q_tot, STEPS, gamma=0.5, td_lambda=0.5)
        return errors.error[0].sum()

    by_q, by_target = jax.grad(total, argnums=(0, 1))(Q_TOT, TARGET_Q_TOT)
    assert by_q[0].tolist() == [1, 1, 1, 0]  # the final state has no error
    assert by_target[0].tolist() == [0, 0, 0, 0]


# --- the weighted loss ----------------------------------------------------------------------------

ERROR = np.array([1.0, -2.0, 3.0, NAN])
WEIGHT = np.array([1.0, 0.5, 2.0, 7.0])
MASK = np.array([True, True, True, False])


def test_the_loss_is_the_weighted_sum_of_squares_over_the_number_of_steps():
    loss = weighted_squared_error(ERROR, WEIGHT, MASK)
    np.testing.assert_allclose(loss, (1 * 1 + 0.5 * 4 + 2 * 9) / 3, rtol=1e-6)


def test_larger_weights_make_a_larger_loss():
    loss, doubled = (weighted_squared_error(ERROR, w, MASK) for w in (WEIGHT, 2 * WEIGHT))
    np.testing.assert_allclose(doubled, 2 * loss, rtol=1e-6)


def test_as_a_sum_the_loss_is_not_divided():
    loss = weighted_squared_error(ERROR, WEIGHT, MASK, "sum")
    np.testing.assert_allclose(loss, 1 * 1 + 0.5 * 4 + 2 * 9, rtol=1e-6)


def test_without_a_single_step_the_loss_is_zero():
    assert weighted_squared_error(ERROR, WEIGHT, np.zeros(4, bool)) == 0


@pytest.mark.parametrize("unseen", ["padding", "weight zero"])
@pytest.mark.parametrize("junk", [NAN, np.inf, 1e30])
def test_steps_without_a_weight_add_nothing_to_the_loss_or_its_gradient(unseen: str, junk: float):
    error = np.array([1.0, junk])
    weight = np.array([3.0, 0.0 if unseen == "weight zero" else 1.0])
    mask = np.array([True, unseen != "padding"])
    loss, slope = jax.value_and_grad(weighted_squared_error)(error, weight, mask)
    n = 1 if unseen == "padding" else 2
    np.testing.assert_allclose(loss, 3 / n, rtol=1e-6)
    np.testing.assert_allclose(slope, [2 * 3 * 1 / n, 0], rtol=1e-6)


# --- a weight for each agent ----------------------------------------------------------------------

# one episode of two steps and padding; two agents
TEAM_ERROR = np.array([[2.0, -1.0, NAN]])
UTILITIES = np.array([[[7.0, 8.0], [9.0, 5.0], [NAN, NAN]]])
SLOPES = np.array([[[0.5, 1.0], [2.0, 3.0], [NAN, NAN]]])
WEIGHTS = np.array([[[1.0, 0.5], [2.0, 0.0], [9.0, 9.0]]])
TWO_STEPS = Transitions(
    reward=np.array([[0.0, 0.0, NAN]]),
    terminal=np.array([[False, True, False]]),
    mask=np.array([[True, True, False]]),
    importance=np.array([[4.0, 4.0, 4.0]]),
)


def test_the_team_learns_from_its_error_and_each_agent_from_its_own_weighted():
    loss = individual_td_loss(TEAM_ERROR, UTILITIES, SLOPES, WEIGHTS, TWO_STEPS)
    team = 4 * (2**2 + 1**2) / 2
    # δ_i = ∂Q_tot/∂q_i · δ: 1 and 2 in the first step, −2 and −3 in the second
    own = 4 * (1 * 1**2 + 0.5 * 2**2 + 2 * 2**2 + 0 * 3**2) / 2
    np.testing.assert_allclose(loss, team + own, rtol=1e-6)


def test_as_a_sum_only_the_agents_part_is_not_divided():
    loss = individual_td_loss(TEAM_ERROR, UTILITIES, SLOPES, WEIGHTS, TWO_STEPS, "sum")
    team = 4 * (2**2 + 1**2) / 2
    own = 4 * (1 * 1**2 + 0.5 * 2**2 + 2 * 2**2 + 0 * 3**2)
    np.testing.assert_allclose(loss, team + own, rtol=1e-6)


def test_a_utility_moves_along_its_own_error_and_weight():
    slope = jax.grad(individual_td_loss, argnums=1)(
        TEAM_ERROR, UTILITIES, SLOPES, WEIGHTS, TWO_STEPS
    )
    # 2 · importance · weight · δ_i over two steps
    expected = [[4 * 1 * 1, 4 * 0.5 * 2], [4 * 2 * -2, 0], [0, 0]]
    np.testing.assert_allclose(slope[0], expected, rtol=1e-6)
