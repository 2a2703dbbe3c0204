"""Episodes end to end on lanes: worked by hand, then any lengths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from macpo.kernels import packing
from macpo.kernels.packing import n_lanes, pack, plan, unpack

T = 4
planned = jax.jit(plan, static_argnums=1)
LENGTHS = (4, 4, 2, 1, 1, 0)  # states: 5, 5, 3, 2, 2, 1


@pytest.fixture(autouse=True)
def two_lanes(monkeypatch):
    monkeypatch.setattr(packing, "LANES", 2)


def states(batch):
    """A different number in every state: 10 · episode + t."""
    return 10 * np.arange(batch)[:, None] + np.arange(T + 1)


def test_each_episode_follows_on_the_lane_that_is_shortest_by_then():
    p = planned(np.array(LENGTHS), T + 1)
    lanes = np.where(p.filled, pack(p, states(6)), -1).T
    # episode 4 meets lanes of 5 + 3 and 5 + 2 states, episode 5 of 5 + 3 and 5 + 2 + 2
    assert lanes[0].tolist() == [0, 1, 2, 3, 4, 20, 21, 22, 50] + 6 * [-1]
    assert lanes[1].tolist() == [10, 11, 12, 13, 14, 30, 31, 40, 41] + 6 * [-1]
    assert p.n_places == 9


def test_the_first_state_of_every_episode_is_marked():
    p = planned(np.array(LENGTHS), T + 1)
    assert np.argwhere(np.asarray(p.first).T).tolist() == [
        [0, 0],
        [0, 5],
        [0, 8],
        [1, 0],
        [1, 5],
        [1, 7],
    ]


def test_full_episodes_fill_all_places():
    p = planned(np.full(6, T), T + 1)
    assert p.filled.all()
    assert p.n_places == 3 * (T + 1)


def test_there_are_as_many_lanes_as_divide_the_batch():
    assert [n_lanes(batch) for batch in (1, 2, 3, 4)] == [1, 2, 1, 2]


lengths = st.sampled_from((1, 6, 7)).flatmap(
    lambda n: st.lists(st.integers(0, T), min_size=n, max_size=n)
)


@settings(deadline=None, max_examples=50)
@given(lengths)
def test_unpacking_gives_back_every_state_that_exists_and_zeros_for_others(length):
    p = planned(np.array(length), T + 1)
    exists = np.arange(T + 1) <= np.array(length)[:, None]
    x = states(len(length)) + 1
    packed = np.where(p.filled, pack(p, x), -999)
    np.testing.assert_array_equal(unpack(p, packed), np.where(exists, x, 0))


@settings(deadline=None, max_examples=50)
@given(lengths)
def test_the_longest_lane_has_room_and_exceeds_no_other_by_more_than_an_episode(length):
    p = planned(np.array(length), T + 1)
    load = np.asarray(p.filled).sum(0)
    assert load.sum() == sum(length) + len(length)
    assert load.max() == p.n_places
    assert load.max() - load.min() <= max(length) + 1


def test_gradients_of_unpacking_go_back_to_each_place_and_not_to_empty_ones():
    p = planned(np.array(LENGTHS), T + 1)
    d_out = np.array(states(6), np.float32) + 1
    _, vjp = jax.vjp(lambda x: unpack(p, x), np.zeros(p.filled.shape))
    spoiled = d_out.copy()
    spoiled[5, 1:] = np.nan  # the last episode has one state
    (d_x,) = vjp(spoiled)
    np.testing.assert_array_equal(d_x, jnp.where(p.filled, pack(p, d_out), 0))
