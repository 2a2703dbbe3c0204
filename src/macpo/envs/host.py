"""The contract of environments written in plain Python: one episode at a time, NumPy arrays.

`EnvConfig.make()` may return a `HostEnvironment` instead of a JAX `Environment`. The rest of the
library treats both alike, except for how they are played: host environments run in worker
processes, each of which builds its own with the same `make()`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray
from numpy.typing import ArrayLike

from macpo.envs.base import Environment, first_step
from macpo.types import Observation, Spec, TimeStep


class HostEnvironment(ABC):
    """A plain Python environment. Constructing one is cheap and starts nothing."""

    spec: Spec

    @abstractmethod
    def reset(self, seed: int) -> TimeStep:
        """Start an episode; the time step holds NumPy arrays, and its reward is 0.

        `info` has the same names, each with one number, in every time step. Raises EnvironmentLost
        if the episode could not be started; the next `reset` starts afresh.
        """

    @abstractmethod
    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        """Advance one env step. Never resets: the final state of an episode is returned.

        Raises EnvironmentLost if the episode cannot continue.
        """

    def close(self) -> None:  # noqa: B027 (nothing to release by default)
        """Release games, windows and connections. May be called more than once."""


class EnvironmentLost(RuntimeError):
    """The episode cannot continue, and the user is not at fault: a crash, a lost connection."""


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


def numpy_time_step(
    obs: ArrayLike,
    state: ArrayLike,
    avail_actions: ArrayLike,
    reward: ArrayLike,
    terminated: ArrayLike,
    truncated: ArrayLike,
    info: Mapping[str, ArrayLike],
) -> TimeStep:
    """A time step of NumPy arrays: numbers become float32, flags and availability bool."""
    return TimeStep(
        Observation(_float32(obs), _float32(state), _bool(avail_actions)),
        _float32(reward),
        _bool(terminated),
        _bool(truncated),
        {name: _float32(value) for name, value in info.items()},
    )


def _float32(x: ArrayLike) -> Any:  # the fields of a TimeStep are annotated as JAX arrays
    return np.array(x, np.float32)


def _bool(x: ArrayLike) -> Any:
    return np.array(x, bool)
