"""What compiled code sees of environments in plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.envs.host_stub import HostEnvStub
from macpo.types import Observation
from tests.support.host_environments import HostCounting

SPEC = HostCounting().spec
KEY = jax.random.key(0)


def test_the_stub_has_observations_of_the_environments_shapes():
    state, first = HostEnvStub(SPEC).reset(KEY)
    expected = HostCounting().reset(0).observation
    for found in (state, first.observation):
        assert [(x.shape, x.dtype) for x in found] == [(x.shape, x.dtype) for x in expected]
        assert not any(x.any() for x in found)


def test_the_stub_stores_what_agents_see_unchanged():
    stub = HostEnvStub(SPEC)
    seen = Observation(*map(jnp.array, HostCounting().reset(0).observation))
    jax.tree.map(np.testing.assert_array_equal, stub.decode(stub.encode(seen)), seen)
    jax.tree.map(np.testing.assert_array_equal, stub.observe(seen), seen)


def test_the_stub_cannot_be_stepped():
    stub = HostEnvStub(SPEC)
    with pytest.raises(TypeError, match=r"^host-counting is not JAX: workers step it"):
        stub.step(KEY, stub.reset(KEY)[0], jnp.zeros(2, jnp.int32))
