"""The forward pass of a tiny batch against one step after another."""

import functools
from typing import Any

import jax
import numpy as np

from macpo.algorithms.vdn import Config as Vdn
from macpo.conformance.canvas import CANVAS, Canvas, scribble, spoiled
from macpo.learners.episodes import last_actions
from macpo.learners.forward import ForwardOutput
from macpo.learners.value_based import ValueBasedLearner
from macpo.nets.agent import agent_inputs
from macpo.weighting.differ import Config as Differ
from macpo.weighting.relo import Config as Relo
from macpo.weighting.uniform import Config as Uniform
from macpo.weighting.weighting import Weighting

LENGTH = [6, 3]
EPISODES = scribble(CANVAS, LENGTH, [False, True])
AVAILABLE = np.asarray(EPISODES.encoded_state.avail_actions)
ACTIONS = np.asarray(EPISODES.actions)
EXISTS = np.arange(7) <= np.array(LENGTH)[:, None]
ACTED = np.arange(6) < np.array(LENGTH)[:, None]
READS_ALL = Differ().times(Relo())  # reads derivatives and the target network's values


def learner(weighting: Weighting, **options: Any) -> ValueBasedLearner:
    return Vdn(rnn_hidden_dim=4, **options).make(Canvas(CANVAS), weighting)


@functools.cache
def networks(seed: int) -> Any:
    """Agents and the sum of their utilities."""
    return learner(Uniform()).init(jax.random.key(seed)).params.value


@functools.cache
def output(weighting: Weighting = READS_ALL, **options: Any) -> ForwardOutput:
    """What networks 0, with networks 1 as targets, make of episodes whose padding is garbage."""
    vdn = learner(weighting, **options)
    state = jax.eval_shape(vdn.init, jax.random.key(0))
    params = state.params._replace(value=networks(0))
    targets = state.target_networks._replace(value=networks(1))
    return jax.device_get(jax.jit(vdn.forward)((params, targets), spoiled(EPISODES)))


@functools.cache
def step_by_step(seed: int) -> np.ndarray:
    """Utilities of every action, [B, T+1, N, A], zeros past the end."""
    agent = networks(seed).agent
    step = jax.jit(lambda x, h: agent(x, h))
    seen = agent_inputs(CANVAS, EPISODES.encoded_state.obs, last_actions(EPISODES.actions))
    hidden, utilities = np.zeros((2, 2, 4)), []
    for t in range(7):
        hidden, q = step(seen[:, t], hidden)
        utilities.append(q)
    return np.stack(utilities, 1) * EXISTS[..., None, None]


def at(q: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Utilities of these actions."""
    return np.take_along_axis(q[:, : actions.shape[1]], actions[..., None], -1)[..., 0]


def best(q: np.ndarray) -> np.ndarray:
    return np.where(AVAILABLE, q, -np.inf).argmax(-1)


def assert_close(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6)


# --- joint values ---------------------------------------------------------------------------------


def test_values_are_those_of_the_actions_taken():
    expected = at(step_by_step(0), ACTIONS).sum(-1)
    assert_close(output().joint.q_tot[:, :-1][ACTED], expected[ACTED])


def test_targets_are_values_of_the_actions_that_the_online_network_likes_best():
    expected = at(step_by_step(1), best(step_by_step(0))).sum(-1)
    assert_close(output().joint.target_q_tot, expected)


def test_without_double_q_they_are_of_those_that_the_target_network_likes_best():
    expected = at(step_by_step(1), best(step_by_step(1))).sum(-1)
    assert (best(step_by_step(1)) != best(step_by_step(0))).any()
    assert_close(output(Uniform(), double_q=False).joint.target_q_tot, expected)


def test_bounds_of_utilities_hold_for_values_and_targets():
    joint = output(Uniform(), utility_clamp=(-0.1, 0.1)).joint
    online, target = (np.clip(step_by_step(seed), -0.1, 0.1) for seed in (0, 1))
    assert (online != step_by_step(0)).any()
    assert_close(joint.q_tot[:, :-1][ACTED], at(online, ACTIONS).sum(-1)[ACTED])
    assert_close(joint.target_q_tot, at(target, best(online)).sum(-1))


# --- what else a weighting reads ------------------------------------------------------------------


def test_the_target_networks_values_of_the_actions_taken():
    expected = at(step_by_step(1), ACTIONS).sum(-1)
    assert_close(output().joint.q_of_target_net[:, :-1][ACTED], expected[ACTED])


def test_agents_with_weights_of_their_own_show_the_utilities_of_their_actions():
    assert_close(output().utilities[:, :-1][ACTED], at(step_by_step(0), ACTIONS)[ACTED])


def test_the_derivative_of_a_sum_by_each_utility_is_one():
    np.testing.assert_array_equal(output().joint.dq_tot_dq[EXISTS], 1)


def test_probabilities_are_softmaxes_of_the_available_utilities():
    q = np.where(AVAILABLE, step_by_step(0), -np.inf)[:, :-1][ACTED]
    pi = np.exp(q) / np.exp(q).sum(-1, keepdims=True)
    expected = np.take_along_axis(pi, ACTIONS[ACTED][..., None], -1)[..., 0]
    assert_close(output().pi_taken[:, :-1][ACTED], expected)


def test_a_joint_action_is_greedy_if_every_agent_does_what_it_likes_best():
    expected = (best(step_by_step(0))[:, :-1] == ACTIONS).all(-1)[ACTED]
    assert expected.any() and not expected.all()
    np.testing.assert_array_equal(output().is_greedy[:, :-1][ACTED], expected)


def test_what_nobody_reads_is_not_computed():
    out = output(Uniform(), double_q=False)
    assert (out.utilities, out.joint.dq_tot_dq, out.joint.q_of_target_net) == (None, None, None)


def test_past_the_end_of_an_episode_everything_is_zero():
    for path, x in jax.tree_util.tree_leaves_with_path(output()):
        assert not x[~EXISTS].any(), jax.tree_util.keystr(path)
