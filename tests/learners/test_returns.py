"""Returns: numbers computed by hand, and what must not matter."""

import jax
import numpy as np
import pytest

from macpo.learners import returns as library

backup = jax.jit(library.backup)
episode_return = jax.jit(library.episode_return)
lambda_return = jax.jit(library.lambda_return)

REWARD = np.array([[1.0, 0.0, 2.0]])
VALUE = np.array([[-7.0, 4.0, 6.0, 10.0]])  # the first state's value is never used
ALL = np.ones((1, 3), bool)
LAST = np.array([[False, False, True]])
NEVER = np.zeros((1, 3), bool)


def test_terminated_episode_bootstraps_from_nothing_at_its_end():
    returns = lambda_return(REWARD, LAST, ALL, VALUE, gamma=0.9, td_lambda=0.5)
    np.testing.assert_allclose(returns, [[4.42, 3.60, 2.00]], rtol=1e-6)


def test_truncated_episode_bootstraps_from_its_final_state():
    returns = lambda_return(REWARD, NEVER, ALL, VALUE, gamma=0.9, td_lambda=0.5)
    np.testing.assert_allclose(returns, [[6.2425, 7.65, 11.0]], rtol=1e-6)


def test_lambda_zero_is_the_one_step_return():
    returns = lambda_return(REWARD, LAST, ALL, VALUE, gamma=0.9, td_lambda=0.0)
    np.testing.assert_allclose(returns, [[1 + 0.9 * 4, 0.9 * 6, 2.0]], rtol=1e-6)


def test_lambda_one_is_the_monte_carlo_return():
    returns = lambda_return(REWARD, LAST, ALL, VALUE, gamma=0.9, td_lambda=1.0)
    np.testing.assert_allclose(returns, [[1 + 0.81 * 2, 0.9 * 2, 2.0]], rtol=1e-6)


def test_lambda_one_adds_the_discounted_final_value_where_the_episode_was_cut():
    returns = lambda_return(REWARD, NEVER, ALL, VALUE, gamma=0.9, td_lambda=1.0)
    expected = [[1 + 0.81 * 2 + 0.729 * 10, 0.9 * 2 + 0.81 * 10, 2 + 0.9 * 10]]
    np.testing.assert_allclose(returns, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("terminal", "expected"), [(LAST, [4.42, 3.60, 2.00]), (NEVER, [6.2425, 7.65, 11.0])]
)
def test_episode_shorter_than_the_batch_has_the_returns_of_one_that_fills_it(terminal, expected):
    padded = lambda_return(
        np.pad(REWARD, ((0, 0), (0, 2))),
        np.pad(terminal, ((0, 0), (0, 2))),
        np.pad(ALL, ((0, 0), (0, 2))),
        np.pad(VALUE, ((0, 0), (0, 2))),
        gamma=0.9,
        td_lambda=0.5,
    )
    np.testing.assert_allclose(padded[0, :3], expected, rtol=1e-6)


@pytest.mark.parametrize("terminal", [LAST, NEVER])
@pytest.mark.parametrize("junk", [1e30, np.inf, np.nan])
def test_content_of_padding_changes_no_return(terminal, junk):
    pad = ((0, 0), (0, 2))
    returns = lambda_return(
        np.pad(REWARD, pad, constant_values=junk),
        np.pad(terminal, pad),
        np.pad(ALL, pad),
        np.pad(VALUE, pad, constant_values=junk),
        gamma=0.9,
        td_lambda=0.5,
    )
    alone = lambda_return(REWARD, terminal, ALL, VALUE, gamma=0.9, td_lambda=0.5)
    np.testing.assert_array_equal(returns[:, :3], alone)


def test_backup_with_policy_probabilities_as_trace_is_tree_backup():
    gamma, td_lambda = 0.99, 0.93
    returns = backup(
        reward=REWARD,
        discount=np.array([[gamma, gamma, 0.0]]),
        value=np.array([[4.5, 3.0, 5.5, 0.0]]),  # Σ_u π(u) Q(u)
        q=np.array([[5.0, 4.0, 6.0, 0.0]]),  # Q of the stored action
        trace=td_lambda * np.array([[0.5, 0.25, 0.8, 0.0]]),
    )
    np.testing.assert_allclose(returns, [[3.6244520830, 2.49876, 2.0]], rtol=1e-6)


def test_backup_with_stored_action_values_is_sarsa_lambda():
    q = np.array([[5.0, 4.0, 6.0, 0.0]])
    discount = np.array([[0.9, 0.9, 0.0]])
    returns = backup(REWARD, discount, q, q, trace=np.full((1, 4), 0.5))
    middle = 0.9 * (0.5 * 6 + 0.5 * 2)
    first = 1 + 0.9 * (0.5 * 4 + 0.5 * middle)
    np.testing.assert_allclose(returns, [[first, middle, 2.0]], rtol=1e-6)


def test_no_gradient_flows_through_a_return():
    def total(value: jax.Array) -> jax.Array:
        return lambda_return(REWARD, NEVER, ALL, value, gamma=0.9, td_lambda=0.5).sum()

    assert total(VALUE + 1) != total(VALUE)  # it does depend on the values
    np.testing.assert_array_equal(jax.grad(total)(VALUE), np.zeros_like(VALUE))


# --- whole episodes with a value, an action's value and a trace of their own ----------------------

Q = np.array([[5.0, 4.0, 6.0, 9.0]])  # of the stored actions
EXPECTED = np.array([[4.5, 3.0, 5.5, 8.0]])  # Σ_u π(u) Q(u)
PI = np.array([[0.5, 0.25, 0.8, 0.4]])  # of the stored actions


def test_tree_backup_of_a_terminated_episode_needs_nothing_of_its_final_state():
    returns = episode_return(REWARD, LAST, ALL, EXPECTED, Q, 0.93 * PI, gamma=0.99)
    np.testing.assert_allclose(returns, [[3.6244520830, 2.49876, 2.0]], rtol=1e-6)


def test_tree_backup_is_the_explicit_sum_over_errors_weighted_by_probabilities():
    # G_t = Q_t + Σ_k (Π_{j=t+1..k} γ λ π_j) (r_k + γ E_{k+1} − Q_k), Q the stored actions' values
    gamma, td_lambda = 0.99, 0.93
    error = np.asarray(REWARD + gamma * EXPECTED[:, 1:] - Q[:, :-1])[0]
    decay = np.asarray(gamma * td_lambda * PI)[0]
    last = Q[0, 2] + error[2]
    middle = Q[0, 1] + error[1] + decay[2] * error[2]
    first = Q[0, 0] + error[0] + decay[1] * error[1] + decay[1] * decay[2] * error[2]
    returns = episode_return(REWARD, NEVER, ALL, EXPECTED, Q, td_lambda * PI, gamma)
    np.testing.assert_allclose(returns, [[first, middle, last]], rtol=1e-6)


def test_with_a_clipped_ratio_as_trace_it_is_retrace():
    # π / μ = 2, ½, 1.25: the trace of the middle step is ½ λ, that of the last λ
    trace = 0.5 * np.minimum(1.0, np.array([[2.0, 0.5, 1.25, 3.0]]))
    returns = episode_return(REWARD, LAST, ALL, EXPECTED, Q, trace, gamma=0.9)
    middle = 0.9 * (5.5 + 0.5 * (2 - 6))
    first = 1 + 0.9 * (3 + 0.25 * (middle - 4))
    np.testing.assert_allclose(returns, [[first, middle, 2.0]], rtol=1e-6)


@pytest.mark.parametrize("terminal", [LAST, NEVER])
def test_generalised_advantage_estimate_is_the_lambda_return_less_the_value(terminal):
    gamma, td_lambda = 0.9, 0.95
    value = np.asarray(VALUE)[0]
    going_on = 1.0 - np.asarray(terminal)[0]
    delta = np.asarray(REWARD)[0] + gamma * going_on * value[1:] - value[:-1]
    gae, expected = 0.0, []
    for t in (2, 1, 0):
        gae = delta[t] + gamma * td_lambda * going_on[t] * gae
        expected.insert(0, gae)
    returns = lambda_return(REWARD, terminal, ALL, VALUE, gamma, td_lambda)
    np.testing.assert_allclose(returns[0] - value[:-1], expected, rtol=1e-5)


@pytest.mark.parametrize("terminal", [LAST, NEVER])
def test_garbage_past_the_end_changes_no_tree_backup(terminal):
    def longer(x, junk):
        return np.pad(x, ((0, 0), (0, 2)), constant_values=junk)

    def returns(junk):
        value, q, trace = (longer(x, junk) for x in (EXPECTED, Q, PI))
        reward, terminated, valid = (
            longer(REWARD, junk),
            longer(terminal, False),
            longer(ALL, False),
        )
        return episode_return(reward, terminated, valid, value, q, trace, gamma=0.9)

    alone = episode_return(REWARD, terminal, ALL, EXPECTED, Q, PI, gamma=0.9)
    np.testing.assert_array_equal(returns(np.nan)[:, :3], alone)
    np.testing.assert_array_equal(returns(np.nan)[:, 3:], 0)


@pytest.mark.parametrize(("terminal", "last"), [(LAST, 2.0), (NEVER, 2 + 0.9 * 8)])
def test_a_cut_episode_goes_on_with_the_value_and_not_with_the_stored_action_of_its_final_state(
    terminal, last
):
    returns = episode_return(REWARD, terminal, ALL, EXPECTED, Q, PI, gamma=0.9)
    np.testing.assert_allclose(returns[0, -1], last, rtol=1e-6)
