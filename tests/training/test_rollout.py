"""Whole episodes: what is kept of them, when they end, and that nothing is lost on the way."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.algorithms.vdn import Config as Vdn
from macpo.envs import PredatorPrey
from macpo.kernels.packing import pack, plan, unpack
from macpo.kernels.unroll import unroll
from macpo.learners.episodes import last_actions
from macpo.nets.action_selection import greedy
from macpo.nets.agent import agent_inputs
from macpo.training.rollout import collect
from macpo.types import Episodes, Observation
from macpo.weighting.uniform import Config as Uniform
from tests.support.toys import Counting, Reporting, Wide

LIMIT, N_ENVS = 6, 24
KEY = jax.random.key(0)


def act(key, hidden, observation, last_action):
    """An available action, from a mixture of all that a policy sees and how often it acted."""
    places = np.arange(1, observation.obs.shape[-1] + 1)
    views = (8 * observation.obs * places).sum(-1) + (8 * observation.state).sum(-1, keepdims=True)
    number = views.astype(np.int32) // 4 + 3 * last_action + 5 * hidden
    n_available = jnp.maximum(observation.avail_actions.sum(-1), 1)
    count = jnp.cumsum(observation.avail_actions, -1)
    chosen = jnp.argmax(count > (number % n_available)[..., None], -1)
    return hidden + 1, chosen.astype(np.int8)


def start(env, n_envs):
    return np.zeros((n_envs, env.spec.n_agents), np.int32)


@functools.cache
def counted(truncation_is_terminal: bool = False) -> Episodes:
    """Counting games with goals 1 … 8 under a limit of 6."""
    env = Counting(LIMIT, most_steps=8, truncation_is_terminal=truncation_is_terminal)
    play = jax.jit(lambda: collect(env, act, start(env, N_ENVS), KEY, N_ENVS).episodes)
    return jax.device_get(play())


@functools.cache
def hunted() -> Episodes:
    env = hunting_ground()
    play = jax.jit(lambda: collect(env, act, start(env, 128), KEY, 128).episodes)
    return jax.device_get(play())


@functools.cache
def hunting_ground():
    return PredatorPrey(3, 3, n_predators=3, n_prey=1, episode_limit=LIMIT, punishment=-0.5).make()


def goals(episodes):
    return np.asarray(episodes.encoded_state[1])[:, 0]


# --- a game whose every number is known -----------------------------------------------------------


def test_an_episode_is_as_long_as_its_game_or_the_limit():
    np.testing.assert_array_equal(counted().length, np.minimum(goals(counted()), LIMIT))
    assert set(counted().length.tolist()) == {1, 2, 3, 4, 5, 6}


def test_the_final_state_is_kept():
    episodes = counted()
    final = np.take_along_axis(episodes.encoded_state[0], episodes.length[:, None], 1)[:, 0]
    np.testing.assert_array_equal(final, episodes.length)


def test_all_states_are_kept_in_order():
    t, length = np.arange(LIMIT + 1), counted().length[:, None]
    np.testing.assert_array_equal(counted().encoded_state[0], np.where(t <= length, t, 0))


def test_everything_past_the_end_is_zero():
    episodes = counted()
    past = np.arange(LIMIT) >= np.asarray(episodes.length)[:, None]
    assert not np.asarray(episodes.actions)[past].any()
    assert not np.asarray(episodes.reward)[past].any()
    assert not np.asarray(episodes.encoded_state[1])[:, 1:][past].any()


def test_actions_of_large_numbers_are_kept_as_they_were_taken():
    def last(key, hidden, observation, last_action):
        q = np.arange(200.0)
        return hidden, greedy(jnp.broadcast_to(q, (*last_action.shape, 200)), np.array(True))

    play = jax.jit(lambda: collect(Wide(200), last, (), KEY, 4, keep_states=False).episodes)
    played = jax.device_get(play())
    for actions, length in zip(played.actions, played.length, strict=True):
        assert (actions[:length] == 199).all()


def test_rewards_are_those_of_the_actions_at_the_same_index():
    episodes = counted()
    t = np.arange(1, LIMIT + 1)
    real = t <= np.asarray(episodes.length)[:, None]
    expected = np.where(real, np.asarray(episodes.actions).sum(-1) + t, 0)
    np.testing.assert_array_equal(episodes.reward, expected)


def test_the_return_is_the_sum_over_the_game():
    episodes = counted()
    length = np.asarray(episodes.length)
    expected = np.asarray(episodes.actions).sum((1, 2)) + length * (length + 1) // 2
    np.testing.assert_array_equal(episodes.reward.sum(-1), expected)


def test_a_game_that_reaches_its_goal_terminates_and_one_that_is_cut_does_not():
    np.testing.assert_array_equal(counted().terminated, goals(counted()) <= LIMIT)
    assert set(counted().terminated.tolist()) == {False, True}


def test_a_time_limit_counts_as_an_end_where_the_environment_says_so():
    assert counted(truncation_is_terminal=True).terminated.all()


def test_the_loop_stops_when_the_last_game_is_over():
    steps = []

    class Watched(Counting):
        def step(self, key, state, actions):
            jax.debug.callback(lambda t: steps.append(int(t)), state.t)
            return super().step(key, state, actions)

    env = Watched(episode_limit=50, most_steps=4)
    episodes = jax.jit(lambda: collect(env, act, start(env, 3), KEY, 3).episodes)()
    jax.block_until_ready(episodes)
    jax.effects_barrier()
    assert max(steps) + 1 == episodes.length.max() <= 4


def test_without_encoded_states_everything_else_is_the_same():
    env = Counting(LIMIT, most_steps=8)
    run = jax.jit(lambda: collect(env, act, start(env, N_ENVS), KEY, N_ENVS, keep_states=False))
    episodes = run().episodes
    assert jax.tree.leaves(episodes.encoded_state) == []
    expected = counted()._replace(encoded_state=episodes.encoded_state)
    jax.tree.map(np.testing.assert_array_equal, episodes, expected)


def test_seeds_under_vmap_play_the_same_games_as_alone():
    env = Counting(LIMIT, most_steps=3)
    run = jax.jit(lambda key: collect(env, act, start(env, 2), key, 2))
    keys = jax.random.split(KEY, 3)
    together = jax.device_get(jax.vmap(run)(keys))
    for i, key in enumerate(keys):
        one = jax.tree.map(lambda x: x[i], together)  # noqa: B023
        jax.tree.map(np.testing.assert_array_equal, one, run(key))


def test_the_outcome_of_an_episode_is_what_its_last_step_reports():
    env = Reporting(LIMIT, most_steps=8)
    played = jax.jit(lambda: collect(env, act, start(env, N_ENVS), KEY, N_ENVS))()
    np.testing.assert_array_equal(played.outcome["counted"], played.episodes.length)


# --- encoded states decode to what was observed ---------------------------------------------------


@pytest.mark.parametrize(
    ("env", "episodes"),
    [(Counting(LIMIT, most_steps=8), counted), (hunting_ground(), hunted)],
    ids=["counting", "predator-prey"],
)
def test_encoded_states_decode_to_what_the_policy_observed(env, episodes):
    episodes = episodes()

    @jax.jit
    def act_again():
        observations = jax.vmap(jax.vmap(env.decode))(episodes.encoded_state)
        before = Observation(*(x[:, :-1] for x in observations))
        last = last_actions(episodes.actions)[:, :-1]
        acted = jnp.broadcast_to(np.arange(LIMIT)[:, None], last.shape)
        return act(None, acted, before, last)[1]

    again = np.asarray(act_again())
    real = np.arange(LIMIT) < np.asarray(episodes.length)[:, None]
    np.testing.assert_array_equal(again[real], episodes.actions[real])
    assert len(np.unique(episodes.actions[real])) > 2


def test_hunts_end_in_both_ways():
    assert set(hunted().terminated.tolist()) == {False, True}
    assert set(hunted().length[~hunted().terminated].tolist()) == {LIMIT}


# --- acting and learning ------------------------------------------------------------------------


def test_utilities_recomputed_for_learning_are_those_that_acted():
    env = Counting(LIMIT, most_steps=8)
    learner = Vdn(rnn_hidden_dim=8).make(env, Uniform())
    params = jax.tree.map(lambda x: 3 * np.asarray(x), learner.init(KEY).params)
    agent = params.value.agent

    def greedily(key, hidden, observation, last):
        return learner.act(params, key, hidden, observation, last, None)

    def encode(inputs):
        return agent_inputs(learner.spec, *inputs)

    @jax.jit
    def playing():
        episodes = collect(env, greedily, learner.initial_hidden(8), KEY, 8).episodes
        order = jnp.argsort(-episodes.length)
        return jax.tree.map(lambda x: x[order], episodes)

    episodes = jax.device_get(playing())

    @jax.jit
    def learning():
        observations, last = (
            jax.vmap(jax.vmap(env.decode))(episodes.encoded_state),
            last_actions(episodes.actions),
        )
        packing = plan(episodes.length, LIMIT + 1)
        inputs = jax.tree.map(lambda x: pack(packing, x), (observations.obs, last))
        q = unpack(packing, unroll(agent, encode, inputs, packing))
        return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), (q, observations, last))

    @jax.jit
    def acting(hidden, observation, last):
        hidden, actions = learner.act(params, KEY, hidden, observation, last, None)
        return hidden, actions, agent.head(hidden)

    learned, observations, last = jax.device_get(learning())
    length, hidden = np.asarray(episodes.length), learner.initial_hidden(8)
    for t in range(LIMIT + 1):
        now = Observation(*(x[t] for x in observations))
        hidden, actions, utilities = jax.tree.map(np.asarray, acting(hidden, now, last[t]))
        exists, going = length >= t, length > t
        np.testing.assert_allclose(
            np.asarray(learned[t])[exists], utilities[exists], rtol=1e-5, atol=1e-5
        )
        if t < LIMIT:
            stored = np.asarray(episodes.actions)[:, t]
            np.testing.assert_array_equal(actions[going], stored[going])
    assert len(np.unique(episodes.actions)) > 1
