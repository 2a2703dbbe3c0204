"""JAX environments as host environments: one episode, step by step, with NumPy arrays."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment
from macpo.types import PyTree, TimeStep


class OnHost(HostEnvironment):
    """A JAX environment as a `HostEnvironment`; each step is a call of a compiled function."""

    def __init__(self, env: Environment) -> None:
        self.env, self.spec = env, env.spec
        self.state: PyTree = None
        """The environment's own state."""
        self.compiled_reset, self.compiled_step = jax.jit(env.reset), jax.jit(env.step)

    def reset(self, seed: int) -> TimeStep:
        """Start an episode; the seed's key is split once per step."""
        self._key, key = jax.random.split(jax.random.key(seed))
        self.state, timestep = self.compiled_reset(key)
        return jax.tree.map(np.asarray, timestep)

    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        """Advance one env step."""
        self._key, key = jax.random.split(self._key)
        self.state, timestep = self.compiled_step(key, self.state, jnp.asarray(actions, jnp.int32))
        return jax.tree.map(np.asarray, timestep)


def on_host(env: Environment | HostEnvironment) -> HostEnvironment:
    """The environment as a `HostEnvironment`; host environments are returned unchanged."""
    return env if isinstance(env, HostEnvironment) else OnHost(env)
