"""What stands for an environment in plain Python where code is compiled."""

import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from macpo.envs.base import Environment, first_step
from macpo.types import Observation, Spec, TimeStep


class HostEnvStub(Environment):
    """A JAX environment with the spec of a host environment, for code that is compiled.

    Learners and replay need only the shapes of its observations. Its state is the observation
    itself, so replay stores observations unchanged. It cannot be stepped.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def reset(self, key: PRNGKeyArray) -> tuple[Observation, TimeStep]:
        """An observation of zeros."""
        spec, n = self.spec, self.spec.n_agents
        observation = Observation(
            jnp.zeros((n, spec.obs_size)),
            jnp.zeros(spec.state_size),
            jnp.zeros((n, spec.n_actions), bool),
        )
        return observation, first_step(observation)

    def step(
        self, key: PRNGKeyArray, state: Observation, actions: Int[Array, " N"]
    ) -> tuple[Observation, TimeStep]:
        """Always raises TypeError."""
        raise TypeError(f"{self.spec.name} is not JAX: workers step it (macpo.training.host)")

    def observe(self, state: Observation) -> Observation:
        """The state itself."""
        return state
