"""Episodes of uniformly random available actions."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike

from macpo.envs.host import HostEnvironment
from macpo.errors import describe_exception
from macpo.types import Spec, TimeStep

Argument = TypeVar("Argument")


class Episode(NamedTuple):
    """An episode of random available actions; leaves are NumPy arrays."""

    seed: int
    timesteps: tuple[TimeStep, ...]
    actions: tuple[Int[np.ndarray, " N"], ...]

    def located(self) -> Iterator[tuple[str, TimeStep]]:
        """Every time step with its location in words; step 0 is that of `reset`."""
        for t, timestep in enumerate(self.timesteps):
            yield f"seed {self.seed}, step {t}", timestep


class PlayError(RuntimeError):
    """`reset` or `step` raised an exception."""

    def __init__(self, where: str, error: Exception) -> None:
        self.where, self.what = where, describe_exception(error)
        super().__init__(f"{where} raised {self.what}")


def play(env: HostEnvironment, seed: int) -> Episode:
    """One episode, at most as long as the limit; PlayError if `reset` or `step` raise."""
    rng = np.random.default_rng(seed)
    timesteps = [call(f"reset with seed {seed}", env.reset, seed)]
    actions: list[np.ndarray] = []
    while not is_over(timesteps[-1]) and len(actions) < env.spec.episode_limit:
        available = timesteps[-1].observation.avail_actions
        actions.append(random_actions(env.spec, rng, available))
        where = f"seed {seed}, step {len(actions)}"
        timesteps.append(call(where, env.step, actions[-1]))
    return Episode(seed, tuple(timesteps), tuple(actions))


def random_actions(
    spec: Spec, rng: np.random.Generator, available: ArrayLike
) -> Int[np.ndarray, " N"]:
    """Uniformly random available actions; 0 for an agent without one."""
    available = np.broadcast_to(np.asarray(available, bool), (spec.n_agents, spec.n_actions))
    return (rng.random(available.shape) * available).argmax(-1).astype(np.int32)


def is_over(timestep: TimeStep) -> bool:
    """Whether the time step ends its episode."""
    return bool(np.any(timestep.terminated) or np.any(timestep.truncated))


def call(where: str, method: Callable[[Argument], TimeStep], argument: Argument) -> TimeStep:
    """The time step that `reset` or `step` returns; PlayError with the location if it raises."""
    try:
        return method(argument)
    except Exception as error:
        raise PlayError(where, error) from error
