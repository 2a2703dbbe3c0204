"""FOP: its numbers by hand, its losses against NumPy."""

import functools
from typing import Any

import jax
import numpy as np
import pytest

from macpo.algorithms.fop import Config, Critic, soft_value
from macpo.conformance.canvas import CANVAS, Canvas, scribble, spoiled
from macpo.nets.mixers import duel
from macpo.types import Batch, Episodes
from macpo.weighting.uniform import Config as Uniform
from tests.support import plain

KEY = jax.random.key(0)
LENGTH = [6, 4, 3]
ALPHA, EPSILON = 0.275, 0.3  # half way through both annealings
STEPS = 45_000


def one_action_each(episodes: Episodes) -> Episodes:
    """Every agent has only one action in every state, so that nothing is drawn."""
    only = np.zeros_like(episodes.encoded_state.avail_actions)
    only[..., 1] = True
    encoded_state = episodes.encoded_state._replace(avail_actions=only)
    return episodes._replace(encoded_state=encoded_state, actions=np.ones_like(episodes.actions))


FREE = scribble(CANVAS, LENGTH, [False, True, False])
BATCH = one_action_each(FREE)


def config(**options: Any) -> Config:
    widths = {"rnn_hidden_dim": 8, "critic_hidden_dim": 8, "mixing_embed_dim": 4, "n_heads": 2}
    return Config(**widths, gamma=0.9, central_mixing_embed_dim=8, **options)


@functools.cache
def started() -> Any:
    learner = config().make(Canvas(CANVAS), Uniform())
    state = jax.device_get(learner.init(KEY))
    return state._replace(
        target_networks=jax.tree.map(lambda x: np.float32(0.5) * x, state.target_networks)
    )


@functools.cache
def update(entropy_in_return: bool) -> Any:
    options = config(entropy_in_return=entropy_in_return)
    return jax.jit(options.make(Canvas(CANVAS), Uniform()).update)


def updated(
    episodes: Episodes = BATCH, entropy_in_return: bool = True, importance: Any = (1.0, 1.0, 1.0)
) -> Any:
    batch = Batch(episodes, np.array(importance), env_steps=STEPS, epsilon=EPSILON)
    return jax.device_get(update(entropy_in_return)(started(), batch, KEY))


# --- numbers by hand ------------------------------------------------------------------------------


def test_soft_values_and_their_duel_give_the_numbers_of_a_hand_computation() -> None:
    q = np.array([[1.0, 0.0, -1.0], [0.2, 0.4, 0.0]])
    soft = soft_value(q, np.ones((2, 3), bool), np.array(0.5))
    np.testing.assert_allclose(soft, [1.0714658, 0.7756253], rtol=1e-6)
    chosen = np.array([q[0, 1], q[1, 2]])
    q_tot = duel(chosen, soft, np.array([0.6, 1.4])) + 0.3
    np.testing.assert_allclose(q_tot, 0.4183362, rtol=1e-6)


def test_unavailable_actions_have_no_part_in_soft_values() -> None:
    q, avail = np.array([1.0, 99.0]), np.array([True, False])
    np.testing.assert_allclose(soft_value(q, avail, np.array(0.5)), 1.0)


def test_a_soft_value_exceeds_the_best_action_by_at_most_the_entropy_of_a_uniform_policy() -> None:
    q = jax.random.normal(KEY, (50, 4))
    above = soft_value(q, np.ones((50, 4), bool), np.array(0.5)) - q.max(-1)
    assert (np.asarray(above) >= 0).all()
    assert (np.asarray(above) <= 0.5 * np.log(4) + 1e-6).all()


def test_the_temperature_falls_from_a_half_to_a_twentieth_in_90_000_steps() -> None:
    alpha = [float(Config().temperature(t)) for t in (0, 45_000, 90_000, 10**6)]
    np.testing.assert_allclose(alpha, [0.5, 0.275, 0.05, 0.05], rtol=1e-6)


def test_a_twin_of_predator_prey_has_9926_parameters_and_its_mixer_31669() -> None:
    from macpo.envs.predator_prey import Config as PredatorPrey

    learner = Config().make(PredatorPrey().make(), Uniform())
    twin = jax.eval_shape(learner.make_critic, KEY)[0]
    sizes = [sum(x.size for x in jax.tree.leaves(t)) for t in (twin.agents, twin[1:])]
    assert sizes == [9_926, 31_669]


# --- targets and losses ---------------------------------------------------------------------------


def q_tot(critic: Critic, episodes: Episodes) -> np.ndarray:
    """Σ Q_i(1) + V(s): with one action the soft value is that action's, and the duel is plain."""
    encoded_state = episodes.encoded_state
    return (
        np.asarray(critic.all_actions(encoded_state.obs))[..., 1].sum(-1)
        + np.asarray(critic.value(encoded_state.state))[..., 0]
    )


def test_critics_fit_lambda_returns_of_the_smaller_target_twin() -> None:
    value = np.minimum(*(q_tot(c, BATCH) for c in started().target_networks.critic))
    target = plain.lambda_return(BATCH, value, 0.9, 0.8)
    errors = [q_tot(c, BATCH)[:, :-1] - target for c in started().params.critic]
    loss = sum(plain.mean(np.square(e), LENGTH) for e in errors)
    np.testing.assert_allclose(updated()[1]["loss_critic"], loss, rtol=1e-4)
    mask = np.arange(6) < np.array(LENGTH)[:, None]
    expected = np.where(mask, np.abs(errors).mean(0), 0)
    np.testing.assert_allclose(updated()[2], expected, rtol=1e-4, atol=1e-6)


def test_policies_without_a_choice_have_no_entropy_and_no_gradient() -> None:
    state, metrics, _ = updated()
    assert metrics["entropy"] == 0
    jax.tree.map(np.testing.assert_array_equal, state.params.actor, started().params.actor)


def test_policies_minimise_temperature_times_log_pi_less_the_smaller_twin() -> None:
    pi = np.asarray(plain.policy(started().params.actor, FREE, EPSILON))
    q = np.minimum(
        *(np.asarray(c.all_actions(FREE.encoded_state.obs)) for c in started().params.critic)
    )
    log_pi = np.log(np.where(pi > 0, pi, 1))
    loss = plain.mean((pi * (ALPHA * log_pi - q)).sum(-1)[:, :-1], LENGTH)
    np.testing.assert_allclose(updated(FREE)[1]["loss_policy"], loss, rtol=1e-4)


@pytest.mark.parametrize("inside", [True, False], ids=["inside the return", "as released"])
def test_entropy_raises_the_targets_of_policies_with_a_choice(inside: bool) -> None:
    """Inside: after an end there is none, so a last step's target is its reward."""
    episodes = jax.device_get(FREE)
    rewardless = episodes._replace(
        reward=np.zeros_like(episodes.reward),
        length=np.array([6, 1, 1]),
        terminated=np.array([True, True, True]),
    )
    alone = jax.tree.map(lambda x: x[1:2].repeat(3, 0), rewardless)
    target = updated(alone, inside)[1]["target_mean"]
    assert target == 0 if inside else target > 0


def test_content_of_padding_changes_nothing() -> None:
    jax.tree.map(np.testing.assert_array_equal, updated(spoiled(FREE)), updated(FREE))


def test_an_episode_of_no_importance_teaches_neither_policies_nor_critics() -> None:
    last = np.arange(3)[:, None, None, None] == 2
    encoded_state = FREE.encoded_state._replace(obs=np.where(last, -1.0, FREE.encoded_state.obs))
    one, other = (
        updated(x, importance=(1.0, 1.0, 0.0))[0].params
        for x in (FREE, FREE._replace(encoded_state=encoded_state))
    )
    jax.tree.map(np.testing.assert_array_equal, one, other)
