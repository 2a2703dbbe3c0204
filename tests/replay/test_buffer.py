"""The replay buffer against a Python list, and sampling against its promises."""

import functools
import itertools

import jax
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from macpo.envs.base import tree_bytes
from macpo.envs.predator_prey import Config as PredatorPrey
from macpo.replay import buffer
from macpo.types import Episodes
from tests.support.toys import Counting, Wide

ENV = Counting(episode_limit=4)
CAPACITY = 5
add = jax.jit(buffer.add)
sample = jax.jit(buffer.sample, static_argnames="batch_size")


def numbered(numbers: list[int]) -> Episodes:
    """Episodes that carry their number in every array."""
    row = jax.eval_shape(lambda: buffer.init(ENV, 1)).episodes

    def stamp(x):
        shape = (len(numbers), *x.shape[1:])
        values = np.reshape(numbers, (-1, *[1] * (x.ndim - 1)))
        return np.asarray(np.broadcast_to(values, shape).astype(x.dtype))

    return jax.tree.map(stamp, row)._replace(terminated=np.array([n % 2 == 1 for n in numbers]))


@functools.cache
def filled(n: int) -> buffer.ReplayBuffer:
    """A buffer of ten with the first `n` rows filled; row i has length (3 i) mod 5."""
    replay_buffer = buffer.init(ENV, 10)
    episodes = numbered(list(range(n)))
    length = np.arange(n, dtype=np.int32) * 3 % 5
    return add(replay_buffer, episodes._replace(length=length))


def sampled_rows(episodes: Episodes) -> np.ndarray:
    return np.asarray(episodes.reward)[..., 0].astype(int)


@functools.cache
def samples(batch_size: int, n: int) -> Episodes:
    """Many batches from the buffer with seven of ten rows filled: leaves [n, batch_size, …]."""
    replay_buffer, keys = filled(7), jax.random.split(jax.random.key(0), n)
    draw = jax.vmap(lambda key: buffer.sample(key, replay_buffer, batch_size))
    return jax.device_get(jax.jit(draw)(keys))


@pytest.mark.parametrize(("n_actions", "n_bytes"), [(3, 1), (128, 1), (129, 2), (32_768, 2)])
def test_an_action_takes_as_many_bytes_as_their_number_needs(n_actions: int, n_bytes: int):
    stored = jax.eval_shape(lambda: buffer.init(Wide(n_actions), 1)).episodes.actions
    assert stored.dtype.itemsize == n_bytes
    assert np.iinfo(stored.dtype).max >= n_actions - 1
    assert np.iinfo(stored.dtype).min <= -1  # none


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 3), max_size=8))
def test_the_buffer_holds_what_a_list_overwritten_in_turn_holds(sizes):
    replay_buffer = buffer.init(ENV, CAPACITY)
    rows, n_added = [0] * CAPACITY, 0
    for size in sizes:
        numbers = [n_added + i + 1 for i in range(size)]
        replay_buffer = add(replay_buffer, numbered(numbers))
        for number in numbers:
            rows[n_added % CAPACITY] = number
            n_added += 1
    assert replay_buffer.n_added == n_added
    jax.tree.map(np.testing.assert_array_equal, replay_buffer.episodes, numbered(rows))


def test_sampled_episodes_are_different():
    rows = np.sort(sampled_rows(samples(3, 500)), axis=1)
    assert (np.diff(rows, axis=1) > 0).all()


def test_only_filled_rows_are_sampled():
    assert set(np.unique(sampled_rows(samples(3, 500)))) == set(range(7))


def test_all_filled_rows_can_be_one_batch():
    batch = sample(jax.random.key(0), filled(7), 7)
    assert sorted(sampled_rows(batch).tolist()) == list(range(7))


def test_samples_are_sorted_from_longest_to_shortest():
    length = np.asarray(samples(3, 500).length)
    assert (np.diff(length, axis=1) <= 0).all()


def test_arrays_of_a_sampled_episode_stay_together():
    batch = samples(3, 500)
    rows = sampled_rows(batch)
    np.testing.assert_array_equal(batch.length, rows * 3 % 5)
    np.testing.assert_array_equal(batch.terminated, rows % 2 == 1)
    np.testing.assert_array_equal(batch.actions[..., 0, 0], rows)
    np.testing.assert_array_equal(batch.encoded_state[1][..., -1], rows)


def test_every_set_of_episodes_is_equally_likely():
    pairs = np.sort(sampled_rows(samples(2, 4200)), axis=1)
    counts = [(pairs == pair).all(1).sum() for pair in itertools.combinations(range(7), 2)]
    assert sum(counts) == 4200
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_an_overfull_buffer_is_sampled_as_a_full_one():
    replay_buffer = buffer.init(ENV, CAPACITY)
    for first in (1, 4, 7):
        replay_buffer = add(replay_buffer, numbered([first, first + 1, first + 2]))
    batch = sample(jax.random.key(0), replay_buffer, CAPACITY)
    assert sorted(sampled_rows(batch).tolist()) == [5, 6, 7, 8, 9]


def test_planned_bytes_are_the_bytes_allocated():
    assert buffer.planned_bytes(ENV, 13) == tree_bytes(buffer.init(ENV, 13))


def test_ten_thousand_episodes_of_predator_prey_need_less_than_100_megabytes():
    planned = buffer.planned_bytes(PredatorPrey().make(), 10_000)
    per_episode = 201 * 16 + 200 * (8 + 4) + 4 + 1  # cells; actions and reward; length, end
    assert planned == pytest.approx(10_000 * per_episode, rel=1e-6)
    assert planned < 100e6
