"""Who plays: the compiled program where it can, workers where it cannot."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import macpo
from macpo.training.host.player import HostPlayer
from macpo.training.player import CompiledPlayer, open_player
from macpo.training.trainer import Trainer, evaluation_key, make_trainer
from tests.runs.conftest import SMALL
from tests.support.sums import Config as Sums
from tests.support.torture.game import SMALLEST


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    return make_trainer(SMALLEST)


def test_an_environment_in_jax_is_played_by_the_compiled_program(trainer: Trainer):
    with open_player(SMALLEST, trainer) as player:
        assert isinstance(player, CompiledPlayer)


def test_an_environment_that_is_not_jax_is_played_by_as_many_workers_as_episodes_are_parallel():
    experiment = macpo.Experiment(env=Sums(), algorithm="vdn", run=macpo.Run(batch_size_run=2))
    with open_player(experiment, make_trainer(experiment)) as player:
        assert isinstance(player, HostPlayer)
        assert len(player.pool.workers) == 2
    assert all(worker.seat.process is None for worker in player.pool.workers)


@pytest.mark.parametrize(("test_interval", "n"), [(1, 1), (23, 1), (24, 2), (36, 3), (10**6, 64)])
def test_a_chunk_is_about_as_long_as_the_time_between_evaluations(test_interval: int, n: int):
    run = macpo.Run(batch_size_run=2, test_interval=test_interval)  # of at most 6 env steps each
    assert make_trainer(macpo.Experiment(env=SMALL.env, run=run)).chunk_length == n


def test_seeds_that_play_on_for_others_stop_before_their_env_steps_cannot_be_counted():
    experiment = macpo.Experiment(env=SMALL.env, run=macpo.Run(batch_size_run=2, seeds=2))
    player = CompiledPlayer(make_trainer(experiment))  # 64 iterations of 12 env steps at most
    far: Any = SimpleNamespace(env_steps=np.array([2**31 - 768, 10]))
    with pytest.raises(macpo.UsageError, match="a seed has played 2,147,482,880 env steps, and at"):
        player.chunk(far, 20)


def test_a_compiled_chunk_does_what_the_trainer_does(trainer: Trainer):
    player, n = CompiledPlayer(trainer), trainer.chunk_length
    player.compile()
    state, metrics = player.chunk(trainer.init(), 8)
    same, expected = trainer.chunk(trainer.init(), jnp.asarray(8, jnp.int32), n)
    assert int(state.env_steps[0]) == 8
    for a, b in zip(*map(jax.tree.leaves, ((state, metrics), (same, expected))), strict=True):
        if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            np.testing.assert_array_equal(a, b)


def test_fresh_episodes_are_those_of_the_key_and_keep_states_only_where_asked(trainer: Trainer):
    player = CompiledPlayer(trainer)
    params = trainer.algorithm.init(jax.random.key(0)).params
    key = evaluation_key(3)
    bare = player.play(params, key, 4).episodes
    whole = player.play(params, key, 4, keep_states=True).episodes
    np.testing.assert_array_equal(bare.actions, whole.actions)
    assert not jax.tree.leaves(bare.encoded_state)
    assert jax.tree.leaves(whole.encoded_state)[0].shape[:2] == (4, 3)
