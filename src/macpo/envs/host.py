"""The contract of environments that are not JAX: plain Python, one episode at a time, NumPy arrays.

`EnvConfig.make()` may return one of these in place of a JAX `Environment`. Everything downstream
is the same; only who plays differs: such environments run in processes of their own, each built
there by the same `make()`, and are played side by side.
"""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Int

from macpo.types import Spec, TimeStep


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
