"""The contract of JAX environments: what a class that writes down only the game gets for free."""

from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.conformance.canvas import CANVAS, Canvas
from macpo.envs.base import first_step, mean_of_known, tree_bytes
from macpo.types import Observation

SEEN = Observation(np.ones((2, 4)), np.arange(5.0), np.ones((2, 3), bool))


def test_by_default_replay_stores_the_observation_itself():
    env = Canvas(CANVAS)
    encoded = env.encode(SEEN)
    jax.tree.map(np.testing.assert_array_equal, encoded, SEEN)
    jax.tree.map(np.testing.assert_array_equal, env.decode(encoded), SEEN)


def test_the_first_time_step_pays_nothing_and_ends_nothing():
    first = first_step(SEEN, clock=jnp.array(3))
    assert first.observation is SEEN
    assert (float(first.reward), bool(first.terminated), bool(first.truncated)) == (0, False, False)
    assert first.reward.dtype == jnp.float32
    assert first.info == {"clock": 3}


@pytest.mark.parametrize("xp", [np, jnp])
def test_a_mean_is_that_of_the_numbers_that_are_known(xp: ModuleType):
    assert mean_of_known(xp.asarray([1.0, np.nan, 4.0])) == 2.5
    assert mean_of_known(xp.asarray([True, False])) == 0.5
    assert mean_of_known(xp.asarray([[1, 2], [3, 4]])) == 2.5
    assert np.isnan(mean_of_known(xp.asarray([np.nan, np.nan])))


def test_the_mean_of_numbers_that_are_all_known_is_the_plain_one_to_the_last_bit():
    x = np.random.default_rng(0).random((7, 3)).astype(np.float32)
    assert mean_of_known(x) == x.mean()
    assert jax.jit(mean_of_known)(x) == jax.jit(jnp.mean)(x)


def test_bytes_are_those_of_all_arrays_also_before_they_exist():
    tree = {"a": jnp.zeros((3, 2), jnp.float32), "b": (jnp.zeros(5, jnp.int8), jnp.zeros((), bool))}
    assert tree_bytes(tree) == 6 * 4 + 5 + 1
    assert tree_bytes(jax.eval_shape(lambda: tree)) == 30
