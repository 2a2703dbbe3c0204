"""The contract of environments that are not JAX: plain Python, one episode at a time, NumPy arrays.

`EnvConfig.make()` may return one of these in place of a JAX `Environment`. Everything downstream
is the same; only who plays differs: such environments run in processes of their own, each built
there by the same `make()`, and are played side by side.
"""

from abc import ABC, abstractmethod

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from macpo.envs.base import Environment, first_step
from macpo.types import Observation, Spec, TimeStep


class HostEnvironment(ABC):
    """What a plain Python environment provides. Making one is cheap and starts nothing."""

    spec: Spec

    @abstractmethod
    def reset(self, seed: int) -> TimeStep:
        """Start an episode, of NumPy arrays; the first time step has reward 0.

        `info` holds the same names, with numbers, in every time step. EnvironmentLost if the
        episode could not be started; the next `reset` starts afresh.
        """

    @abstractmethod
    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        """Advance one env step. Never resets: the final state of an episode is returned.

        EnvironmentLost if the episode cannot go on.
        """

    def close(self) -> None:  # noqa: B027 (nothing to give up, by default)
        """Give up what is held: games, windows, connections. May be called more than once."""


class EnvironmentLost(RuntimeError):
    """The episode cannot go on, through no fault of the user: a crashed game, a dropped line."""


class HostEnvStub(Environment):
    """What compiled code knows of an environment on the host: its shapes, and that a state is what
    it shows and is remembered so."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def reset(self, key: PRNGKeyArray) -> tuple[Observation, TimeStep]:
        """An observation of zeros."""
        spec, n = self.spec, self.spec.n_agents
        seen = Observation(
            jnp.zeros((n, spec.obs_size)),
            jnp.zeros(spec.state_size),
            jnp.zeros((n, spec.n_actions), bool),
        )
        return seen, first_step(seen)

    def step(
        self, key: PRNGKeyArray, state: Observation, actions: Int[Array, " N"]
    ) -> tuple[Observation, TimeStep]:
        """Not to be had here."""
        raise TypeError(f"{self.spec.name} is not JAX: workers step it (macpo.training.host)")

    def observe(self, state: Observation) -> Observation:
        """The state itself."""
        return state
