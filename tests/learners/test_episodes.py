"""From stored episodes to steps, actions and packed states; padding holds anything."""

import dataclasses

import equinox as eqx
import jax
import numpy as np
import pytest

from macpo.conformance.canvas import CANVAS, Canvas, scribble, spoiled
from macpo.kernels.packing import unpack
from macpo.learners.episodes import (
    actions_taken,
    decode_rows,
    encoder,
    last_actions,
    pack_episodes,
    transitions,
    unroll_agents,
)
from macpo.nets.agent import agent_inputs, make_agent
from macpo.types import Episodes, Observation
from tests.support.toys import Counting

LENGTH = [4, 2, 2]
TERMINATED = [True, True, False]


def short() -> Episodes:
    """Three episodes of at most four steps, of two agents."""
    zeros = np.zeros((3, 5))
    return Episodes(
        encoded_state=zeros,
        actions=np.arange(1, 25, dtype=np.int8).reshape(3, 4, 2),
        reward=np.arange(12.0).reshape(3, 4),
        length=np.array(LENGTH),
        terminated=np.array(TERMINATED),
    )


# --- steps ----------------------------------------------------------------------------------------


def test_steps_exist_up_to_the_length_of_their_episode():
    mask = transitions(short()).mask
    assert mask.astype(int).tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]


def test_only_the_last_step_of_an_episode_that_terminated_ends_the_decision_process():
    terminal = transitions(short()).terminal
    assert terminal.astype(int).tolist() == [[0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_every_step_has_the_importance_of_its_episode():
    importance = transitions(short(), np.array([0.5, 1.0, 0.25])).importance
    np.testing.assert_array_equal(importance, np.repeat([[0.5], [1.0], [0.25]], 4, 1))


def test_without_an_importance_every_step_has_one():
    np.testing.assert_array_equal(transitions(short()).importance, np.ones((3, 4)))


# --- actions --------------------------------------------------------------------------------------


def test_no_action_is_taken_in_the_final_state_or_in_padding():
    assert actions_taken(short())[:, :, 0].tolist() == [
        [1, 3, 5, 7, -1],
        [9, 11, -1, -1, -1],
        [17, 19, -1, -1, -1],
    ]


def test_every_state_follows_the_actions_of_the_state_before_and_the_first_follows_none():
    actions = np.array([[[3, 1], [0, 2]]])
    assert last_actions(actions).tolist() == [[[-1, -1], [3, 1], [0, 2]]]


# --- packing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_episodes", [3, 34], ids=["a lane each", "two on each lane"])
def test_packed_states_and_actions_come_back_as_they_were(n_episodes: int):
    length = sorted((1 + i % 6 for i in range(n_episodes)), reverse=True)
    episodes = scribble(CANVAS, length, [True] * n_episodes)

    @jax.jit
    def there_and_back(episodes: Episodes):
        packed = pack_episodes(Canvas(CANVAS), episodes)
        stored = packed.encoded_state, packed.actions, packed.last_actions
        return packed.packing.exists, jax.tree.map(lambda x: unpack(packed.packing, x), stored)

    exists, (encoded_state, *actions) = jax.device_get(there_and_back(episodes))
    jax.tree.map(np.testing.assert_array_equal, encoded_state, episodes.encoded_state)
    expected_actions = actions_taken(episodes), last_actions(episodes.actions)
    for found, expected in zip(actions, expected_actions, strict=True):
        np.testing.assert_array_equal(found[exists], np.asarray(expected)[exists])


def test_packed_observations_are_decoded_states():
    env = Counting()
    t = np.broadcast_to(np.arange(7, dtype=np.int8), (2, 7))
    episodes = Episodes(
        encoded_state=(t, np.full((2, 7), 6, np.int8)),
        actions=np.zeros((2, 6, 2), np.int8),
        reward=np.zeros((2, 6)),
        length=np.array([6, 3]),
        terminated=np.array([True, True]),
    )

    @jax.jit
    def there_and_back():
        packed = pack_episodes(env, episodes)
        return unpack(packed.packing, packed.observation.state)

    state = np.asarray(there_and_back())
    np.testing.assert_array_equal(state[1, :4], [[t / 8, 6 / 8] for t in range(4)])
    np.testing.assert_array_equal(state[1, 4:], 0)


def test_decoded_rows_are_numbers_of_single_precision():
    obs, state, avail = (np.asarray(x)[0] for x in scribble(CANVAS, [6], [True]).encoded_state)
    stored = Observation(obs.astype(np.int8), state.astype(np.int8), avail)
    decoded = decode_rows(Canvas(CANVAS), stored)
    assert (decoded.obs.dtype, decoded.state.dtype) == (np.float32, np.float32)
    assert decoded.avail_actions.dtype == bool


# --- networks -------------------------------------------------------------------------------------


def test_unrolled_agents_give_what_one_step_after_another_gives():
    episodes = scribble(CANVAS, [6, 3], [True, False])
    agent = make_agent(jax.random.key(0), CANVAS, 4, CANVAS.n_actions)

    @jax.jit
    def unrolled(episodes: Episodes):
        packed = pack_episodes(Canvas(CANVAS), episodes)
        return unpack(packed.packing, unroll_agents(CANVAS, agent, packed))

    out = np.asarray(unrolled(spoiled(episodes)))
    seen = agent_inputs(CANVAS, episodes.encoded_state.obs, last_actions(episodes.actions))
    seen, step = np.asarray(seen), eqx.filter_jit(agent)
    for row, length in enumerate([6, 3]):
        hidden = np.zeros((2, 4))
        for t in range(length + 1):
            hidden, expected = step(seen[row, t], hidden)
            np.testing.assert_allclose(out[row, t], expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(out[row, length + 1 :], 0)


def test_the_encoder_of_a_spec_is_always_the_same_object():
    assert encoder(CANVAS) is encoder(dataclasses.replace(CANVAS))
    assert encoder(CANVAS) is not encoder(dataclasses.replace(CANVAS, obs_agent_id=False))
