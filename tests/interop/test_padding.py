"""Agents of different sizes in one array, and a team of them that learns."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.algorithms.vdn import Config as Vdn
from macpo.errors import UsageError
from macpo.experiment import Run
from macpo.interop.padding import padded
from macpo.replay.priority import Replay
from macpo.training.trainer import Trainer
from macpo.weighting.uniform import Config as Uniform
from tests.support.toys import Unlike

RUN = Run(batch_size_run=8, batch_size=8, buffer_size=80, epsilon_start=0.5, epsilon_finish=0.5)


def test_numbers_are_followed_by_zeros_up_to_the_longest_row():
    rows = padded([jnp.array([1.0, 2.0, 3.0]), jnp.array([4.0])])
    np.testing.assert_array_equal(rows, [[1, 2, 3], [4, 0, 0]])


def test_an_action_that_an_agent_does_not_have_is_unavailable():
    rows = padded([jnp.array([True, False]), jnp.array([True, True, True])])
    np.testing.assert_array_equal(rows, [[True, False, False], [True, True, True]])


@pytest.mark.parametrize("dtype", [bool, jnp.int8, jnp.float32])
def test_the_type_stays(dtype: Any):
    assert padded([jnp.ones(2, dtype), jnp.ones(3, dtype)]).dtype == dtype


def test_rows_of_one_length_are_only_stacked():
    rows = [jnp.array([1, 2]), jnp.array([3, 4])]
    np.testing.assert_array_equal(padded(rows), rows)


@functools.cache
def trained() -> Any:
    """(state, metrics) after ten iterations, half of whose actions are explored."""
    env = Unlike()
    learner = Vdn(lr=1e-2, rnn_hidden_dim=8).make(env, Uniform())
    trainer = Trainer(env, learner, Replay(), RUN)
    return jax.device_get(trainer.chunk(trainer.init(), jnp.array(10**6), 10))


def test_a_team_of_unlike_agents_does_only_what_each_can_and_all_of_that():
    episodes = trained()[0].replay_buffer.episodes
    for agent, n_actions in enumerate(Unlike.N_ACTIONS):
        done = episodes.actions[0, :, :, agent]
        assert set(np.unique(done[:, [0, 2]])) == {*range(n_actions)}
        assert set(np.unique(done[:, 1])) == {*range(1, n_actions)}


def test_a_team_of_unlike_agents_learns():
    metrics = trained()[1]
    assert np.isfinite(metrics["loss"]).all()
    assert metrics["loss"][0, -1] < metrics["loss"][0, 0]


def test_a_row_longer_than_the_width_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^padded: a row of 3 is longer than the width, 2\.$"):
        padded([np.zeros(1), np.zeros(3)], width=2)
