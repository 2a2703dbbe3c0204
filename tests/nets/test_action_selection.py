"""Which actions agents take: never an unavailable one, and as often as their policy says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from macpo.nets.action_selection import (
    epsilon_greedy,
    gather_actions,
    greedy,
    log_policy,
    mix_with_uniform,
    possible_actions,
    sample_actions,
)

KEY = jax.random.key(0)
AVAIL = np.array([[False, True, True, False, True, False]])

draw = jax.jit(epsilon_greedy)

# --- choosing -------------------------------------------------------------------------------------


def test_greedy_takes_the_best_available_action():
    q = np.array([[9.0, 1.0, 3.0, 8.0, 2.0, 7.0]])
    assert greedy(q, AVAIL).tolist() == [2]


def test_greedy_takes_an_available_action_even_if_all_of_them_are_very_bad():
    q = np.where(AVAIL, -1e30, 1e30)
    assert greedy(q, AVAIL).tolist() == [1]


def test_greedy_breaks_ties_towards_the_lowest_number():
    q = np.array([[5.0, 1.0, 4.0, 5.0, 4.0, 4.0]])
    assert greedy(q, AVAIL).tolist() == [2]


@pytest.mark.parametrize("n_actions", [128, 129, 300])
def test_every_action_of_many_can_be_chosen(n_actions: int):
    avail = np.ones((2, n_actions), bool)
    avail[0, -1] = False
    q = np.arange(2.0 * n_actions).reshape(2, n_actions)
    best = [n_actions - 2, n_actions - 1]
    actions = jax.jit(greedy)(q, avail)
    assert actions.tolist() == best
    only = np.arange(n_actions) == np.array(best)[:, None]
    assert draw(KEY, q, only, np.array(1.0)).tolist() == best
    assert jax.jit(gather_actions)(q, actions).tolist() == [n_actions - 2, 2 * n_actions - 1]


N_DRAWS = 6000


def drawn(best: int, epsilon: float, seed: int) -> np.ndarray:
    """How often each action was drawn where 1, 2 and 4 are available and `best` is the best."""
    q = np.zeros((N_DRAWS, 6), np.float32)
    q[:, best] = 100
    avail = np.broadcast_to(AVAIL, q.shape)
    actions = draw(jax.random.key(seed), q, avail, np.array(epsilon))
    return np.bincount(actions, minlength=6)


def test_epsilon_zero_is_greedy():
    rng = np.random.default_rng(0)
    q = rng.normal(size=(N_DRAWS, 6)).astype(np.float32)
    avail = rng.random(q.shape) < 0.5
    avail[:, 0] = True
    actions = draw(KEY, q, avail, np.array(0.0))
    np.testing.assert_array_equal(actions, np.where(avail, q, -np.inf).argmax(-1))


def test_epsilon_one_is_uniform_over_the_available_actions():
    counts = drawn(best=1, epsilon=1.0, seed=7)
    assert counts[[0, 3, 5]].tolist() == [0, 0, 0]
    assert scipy.stats.chisquare(counts[[1, 2, 4]]).pvalue > 1e-3


def test_epsilon_is_the_share_of_agents_that_draw_at_random():
    counts = drawn(best=4, epsilon=0.3, seed=3)
    expected = N_DRAWS * np.array([0.1, 0.1, 0.8])
    assert scipy.stats.chisquare(counts[[1, 2, 4]], expected).pvalue > 1e-3


def test_agents_of_one_environment_draw_independently():
    q, avail = np.zeros((4000, 2, 2), np.float32), np.ones((4000, 2, 2), bool)
    actions = np.asarray(draw(jax.random.key(5), q, avail, np.array(1.0)))
    pairs = np.bincount(actions[:, 0] * 2 + actions[:, 1], minlength=4)
    assert scipy.stats.chisquare(pairs).pvalue > 1e-3


# --- values and probabilities of the action taken -------------------------------------------------

Q = np.log(np.float32([1, 2, 3, 4]))
SOME = np.array([True, True, False, True])


def test_gathering_picks_the_value_of_the_action_and_sends_its_gradient_there_alone():
    value, slope = jax.jit(jax.value_and_grad(lambda q: gather_actions(q, np.int32(2))))(Q)
    np.testing.assert_allclose(value, np.log(3.0), rtol=1e-6)
    assert slope.tolist() == [0, 0, 1, 0]


# --- policies -------------------------------------------------------------------------------------

LOGITS = np.log(np.float32([3, 1, 100, 4]))


def test_policy_is_the_softmax_of_the_available_logits():
    pi = np.exp(log_policy(LOGITS, SOME))
    np.testing.assert_allclose(pi, [3 / 8, 1 / 8, 0, 4 / 8], rtol=1e-6)


def test_unavailable_actions_have_a_probability_of_exactly_zero():
    pi = np.exp(log_policy(np.array([-90.0, -90.0, 90.0, -90.0]), SOME))
    np.testing.assert_allclose(pi, [1 / 3, 1 / 3, 0, 1 / 3], rtol=1e-6)
    assert pi[2] == 0


def test_where_nothing_is_available_the_policy_is_the_softmax_of_all_logits():
    pi = np.exp(log_policy(LOGITS, np.zeros(4, bool)))
    np.testing.assert_allclose(pi, np.array([3, 1, 100, 4]) / 108, rtol=1e-6)


def test_log_policy_times_probability_is_zero_for_unavailable_actions_not_nan():
    log_pi = np.asarray(log_policy(LOGITS, SOME))
    assert (np.exp(log_pi) * log_pi)[2] == 0


@pytest.mark.parametrize("avail", [SOME, np.zeros(4, bool)], ids=["some", "none"])
@pytest.mark.parametrize("epsilon", [None, 0.0, 0.3])
def test_gradients_of_the_entropy_are_finite_and_none_reaches_an_unavailable_action(avail, epsilon):
    def entropy(logits):
        log_pi = log_policy(logits, avail)
        if epsilon is not None:
            log_pi = mix_with_uniform(log_pi, avail, np.array(epsilon))
        return -(jnp.exp(log_pi) * log_pi).sum()

    slope = jax.jit(jax.grad(entropy))(LOGITS * np.array([1.0, 1, 50, 1]))
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() > 1e-3 or not avail.any()
    assert slope[2] == 0 or not avail.any()


def test_gradient_of_log_policy_is_the_indicator_less_the_policy():
    slope = jax.jit(jax.grad(lambda logits: log_policy(logits, SOME)[0]))(LOGITS)
    np.testing.assert_allclose(slope, [1 - 3 / 8, -1 / 8, 0, -4 / 8], rtol=1e-6)


def test_no_gradient_flows_from_the_log_probability_of_an_unavailable_action():
    slope = jax.jit(jax.grad(lambda logits: log_policy(logits, SOME)[2]))(LOGITS)
    assert slope.tolist() == [0, 0, 0, 0]


def test_floor_mixes_the_uniform_policy_over_available_actions_in():
    pi = np.exp(mix_with_uniform(log_policy(LOGITS, SOME), SOME, np.array(0.3)))
    expected = 0.7 * np.array([3, 1, 0, 4]) / 8 + 0.1 * np.array([1, 1, 0, 1])
    np.testing.assert_allclose(pi, expected, rtol=1e-6)
    assert pi[2] == 0


def test_a_floor_of_zero_leaves_the_policy():
    log_pi = log_policy(LOGITS, SOME)
    np.testing.assert_allclose(mix_with_uniform(log_pi, SOME, np.array(0.0)), log_pi, rtol=1e-6)


def test_a_floor_leaves_the_policy_where_nothing_is_available():
    none = np.zeros(4, bool)
    log_pi = log_policy(LOGITS, none)
    np.testing.assert_array_equal(mix_with_uniform(log_pi, none, np.array(0.3)), log_pi)


def test_a_floor_of_zero_below_a_vanishing_probability_is_finite_and_so_is_its_gradient():
    def floored(logits):
        return mix_with_uniform(log_policy(logits, SOME), SOME, np.array(0.0))[1]

    value, slope = jax.jit(jax.value_and_grad(floored))(np.array([200.0, -200.0, 0.0, 0.0]))
    assert -1000 < value < -80
    assert np.isfinite(slope).all()


def test_drawn_actions_are_as_frequent_as_their_probabilities():
    avail = np.broadcast_to(SOME, (N_DRAWS, 4))
    log_pi = np.broadcast_to(log_policy(LOGITS, SOME), (N_DRAWS, 4))
    counts = np.bincount(jax.jit(sample_actions)(jax.random.key(1), log_pi, avail), minlength=4)
    assert counts[2] == 0
    expected = N_DRAWS * np.array([3, 1, 4]) / 8
    assert scipy.stats.chisquare(counts[[0, 1, 3]], expected).pvalue > 1e-3


def test_agents_draw_from_their_policies_independently():
    log_pi, avail = np.full((4000, 2, 2), np.log(0.5), np.float32), np.ones((4000, 2, 2), bool)
    actions = np.asarray(jax.jit(sample_actions)(jax.random.key(6), log_pi, avail))
    pairs = np.bincount(actions[:, 0] * 2 + actions[:, 1], minlength=4)
    assert scipy.stats.chisquare(pairs).pvalue > 1e-3


def test_no_unavailable_action_is_drawn_however_likely_it_is_made():
    log_pi = np.broadcast_to(np.float32([-80, -80, 0, -80]), (N_DRAWS, 4))
    actions = jax.jit(sample_actions)(KEY, log_pi, np.broadcast_to(SOME, (N_DRAWS, 4)))
    assert set(np.ravel(actions).tolist()) == {0, 1, 3}


def test_possible_actions_are_the_available_ones_and_all_where_there_is_none():
    avail = np.array([[True, False, True], [False, False, False]])
    assert possible_actions(avail).tolist() == [[True, False, True], [True, True, True]]
