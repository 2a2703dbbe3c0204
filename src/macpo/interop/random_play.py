"""Episodes of uniformly random available actions."""

import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike

from macpo.envs.host import HostEnvironment, checked_time_step
from macpo.errors import UsageError, describe_exception
from macpo.types import Spec, TimeStep

Argument = TypeVar("Argument")


class Episode(NamedTuple):
    """An episode of random available actions; leaves are NumPy arrays."""

    seed: int
    timesteps: tuple[TimeStep, ...]
    """Copies of what the environment returned, made before the next step."""
    actions: tuple[Int[np.ndarray, " N"], ...]
    returned: tuple[TimeStep, ...]
    """What it returned, as it is now: an environment may have written into it since."""

    def located(self) -> Iterator[tuple[str, TimeStep]]:
        """Every time step with its location in words; step 0 is that of `reset`."""
        for t, timestep in enumerate(self.timesteps):
            yield f"seed {self.seed}, step {t}", timestep


class PlayError(RuntimeError):
    """`reset` or `step` raised an exception, or returned something else than a time step."""

    def __init__(self, where: str, what: str) -> None:
        self.where, self.what = where, what
        super().__init__(f"{where}: {what}")


def play(env: HostEnvironment, seed: int) -> Episode:
    """One episode, at most as long as the limit; PlayError if `reset` or `step` raise."""
    rng = np.random.default_rng(seed)
    returned = [call(f"reset with seed {seed}", env.reset, seed)]
    timesteps = copy.deepcopy(returned)
    actions: list[np.ndarray] = []
    while not is_over(timesteps[-1]) and len(actions) < env.spec.episode_limit:
        available = timesteps[-1].observation.avail_actions
        actions.append(random_actions(env.spec, rng, available))
        where = f"seed {seed}, step {len(actions)}"
        returned.append(call(where, env.step, actions[-1].copy()))
        timesteps.append(copy.deepcopy(returned[-1]))
    return Episode(seed, tuple(timesteps), tuple(actions), tuple(returned))


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
    """The time step that `reset` or `step` returns; PlayError with the location if it raises, or
    returns something else."""
    try:
        return checked_time_step(method(argument))
    except UsageError as error:
        raise PlayError(where, str(error)) from error
    except Exception as error:
        raise PlayError(
            where, f"expected a time step, found {describe_exception(error)}"
        ) from error
