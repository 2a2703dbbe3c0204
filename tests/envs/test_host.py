"""Environments in plain Python: their time steps, and what compiled code sees of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.envs.host import HostEnvStub, numpy_time_step
from macpo.types import Observation
from tests.support.host_environments import HostCounting

SPEC = HostCounting().spec
KEY = jax.random.key(0)


# --- time steps -----------------------------------------------------------------------------------


def test_numbers_become_single_precision_and_flags_boolean():
    timestep = numpy_time_step([[1, 2]], [3], [[1, 0]], 4, 0, np.True_, {"clock": 5})
    numbers = *timestep.observation[:2], timestep.reward, timestep.info["clock"]
    flags = timestep.observation.avail_actions, timestep.terminated, timestep.truncated
    assert {x.dtype for x in numbers} == {np.dtype(np.float32)}
    assert {x.dtype for x in flags} == {np.dtype(bool)}
    assert [x.tolist() for x in numbers] == [[[1, 2]], [3], 4, 5]
    assert [x.tolist() for x in flags] == [[[True, False]], False, True]


def test_a_time_step_keeps_its_numbers_when_the_environment_reuses_its_arrays():
    obs, avail = np.ones((1, 2), np.float32), np.ones((1, 2), bool)
    timestep = numpy_time_step(obs, [0.0], avail, 0.0, False, False, {})
    obs[:], avail[:] = 7, False
    assert timestep.observation.obs.tolist() == [[1, 1]]
    assert timestep.observation.avail_actions.tolist() == [[True, True]]


def test_closing_an_environment_that_holds_nothing_may_be_repeated():
    env = HostCounting()
    env.close()
    env.close()
    assert env.reset(0).reward == 0


# --- for compiled code ----------------------------------------------------------------------------


def test_the_stub_has_observations_of_the_environments_shapes():
    state, first = HostEnvStub(SPEC).reset(KEY)
    expected = HostCounting().reset(0).observation
    for found in (state, first.observation):
        assert [(x.shape, x.dtype) for x in found] == [(x.shape, x.dtype) for x in expected]
        assert not any(x.any() for x in found)


def test_the_stub_stores_what_agents_see_unchanged():
    stub, seen = (
        HostEnvStub(SPEC),
        Observation(*map(jnp.array, HostCounting().reset(0).observation)),
    )
    jax.tree.map(np.testing.assert_array_equal, stub.decode(stub.encode(seen)), seen)
    jax.tree.map(np.testing.assert_array_equal, stub.observe(seen), seen)


def test_the_stub_cannot_be_stepped():
    stub = HostEnvStub(SPEC)
    with pytest.raises(TypeError, match=r"^host-counting is not JAX: workers step it"):
        stub.step(KEY, stub.reset(KEY)[0], jnp.zeros(2, jnp.int32))
