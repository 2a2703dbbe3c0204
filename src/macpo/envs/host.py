"""The contract of environments written in plain Python: one episode at a time, NumPy arrays.

`EnvConfig.make()` may return a `HostEnvironment` instead of a JAX `Environment`. The rest of the
library treats both alike, except for how they are played: host environments run in worker
processes, each of which builds its own with the same `make()` and imports no JAX for it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Int, UInt8
from numpy.typing import ArrayLike

from macpo.errors import UsageError, require
from macpo.types import AnyArray, Observation, Spec, TimeStep

MAX_SIDE = 4096
"""Pixels of a picture's side."""


class HostEnvironment(ABC):
    """A plain Python environment. Constructing one is cheap and starts nothing.

    >>> import numpy as np
    >>> from macpo.envs import HostEnvironment, Observation, Spec, TimeStep
    >>> observation = Observation(np.zeros((1, 1)), np.zeros(1), np.ones((1, 2), bool))
    >>> class Once(HostEnvironment):
    ...     spec = Spec("once", 1, 2, obs_size=1, state_size=1, episode_limit=1)
    ...     def reset(self, seed):
    ...         return TimeStep(observation, np.float32(0), np.False_, np.False_, {})
    ...     def step(self, actions):
    ...         return TimeStep(observation, np.float32(actions[0]), np.True_, np.False_, {})
    >>> float(Once().step(np.array([1])).reward)
    1.0
    """

    spec: Spec
    assumptions: tuple[str, ...] = ()
    """How an adapter reads the environment behind it, in words; `macpo check-env` shows them."""

    def check_ready(self) -> None:  # noqa: B027 (nothing is needed by default)
        """Raise UsageError if something is missing that episodes need: a game, its files.

        It is called before anything is made for a run; it is quick and starts nothing.
        """

    @abstractmethod
    def reset(self, seed: int) -> TimeStep:
        """Start an episode; the time step holds NumPy arrays, and its reward is 0.

        The arrays are the caller's: no later step writes into them. `info` has the same names, each
        with one number, in every time step; a number that is not known is None or NaN. Raises
        EnvironmentLost if the episode could not be started; the next `reset` starts afresh.
        """

    @abstractmethod
    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        """Advance one env step. Never resets: the final state of an episode is returned.

        Raises EnvironmentLost if the episode cannot continue.
        """

    def render(self) -> object:
        """A picture of the current state for films: RGB, [H, W, 3] of uint8; None if there is none.

        It is asked for after every time step of an episode that is filmed, and at no other time.
        """
        return None

    def close(self) -> None:  # noqa: B027 (nothing to release by default)
        """Release games, windows and connections. May be called more than once."""


class EnvironmentLost(RuntimeError):
    """The episode cannot continue, and the user is not at fault: a crash, a lost connection.

    >>> raise EnvironmentLost("the game does not answer")
    Traceback (most recent call last):
    ...
    macpo.envs.host.EnvironmentLost: the game does not answer
    """


def numpy_time_step(
    obs: ArrayLike,
    state: ArrayLike,
    avail_actions: ArrayLike,
    reward: ArrayLike,
    terminated: ArrayLike,
    truncated: ArrayLike,
    info: Mapping[str, ArrayLike | None] | None,
) -> TimeStep:
    """A time step of NumPy arrays: numbers become float32, flags and availability bool.

    Raises UsageError if availability is anything but booleans or 0 and 1.
    """
    available: AnyArray = availability(avail_actions)
    return TimeStep(
        Observation(_float32(obs), _float32(state), available),
        _float32(reward),
        _bool(terminated),
        _bool(truncated),
        {name: _float32(number) for name, number in reported(info).items()},
    )


def checked_time_step(returned: object) -> TimeStep:
    """What `reset` or `step` returned; UsageError unless it is a time step with one reward."""
    shown = returned.observation if isinstance(returned, TimeStep) else None
    if not isinstance(returned, TimeStep) or not isinstance(shown, Observation):
        raise UsageError(
            f"the environment returned a {type(returned).__name__}, not a macpo.TimeStep with a "
            "macpo.Observation."
        )
    require(
        np.shape(returned.reward) == (),
        f"the environment returned a reward of shape {np.shape(returned.reward)}; it must be one "
        "number, the team's.",
    )
    return returned


def checked_picture(returned: object) -> UInt8[np.ndarray, "H W 3"]:
    """What `render` returned; UsageError unless it is an RGB picture."""
    picture = np.asarray(returned)
    require(
        picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3,
        f"its render returned {picture.dtype} of shape {picture.shape}, not an RGB picture "
        "[height, width, 3] of uint8",
    )
    require(
        all(1 <= side <= MAX_SIDE for side in picture.shape[:2]),
        f"its render returned a picture of {picture.shape[1]} by {picture.shape[0]} pixels; sides "
        f"must have 1 to {MAX_SIDE}",
    )
    return picture


def availability(mask: ArrayLike) -> Bool[np.ndarray, "*B"]:
    """Which actions are available, from booleans or from 0 and 1; UsageError for other numbers.

    A mask that is added to logits, of 0 and −∞, would otherwise be read as its opposite.
    """
    given = np.array(mask)
    flags = given.astype(bool)
    require(
        given.dtype == bool or bool((given == flags).all()),
        "avail_actions holds numbers other than 0 and 1; give booleans, or 1 for actions that are "
        "available and 0 for others (of a mask of 0 and -inf, to be added to logits, give "
        "mask == 0).",
    )
    return flags


def reported(info: Mapping[str, object] | None) -> dict[str, float]:
    """One number for each name in `info`, the mean of an array; NaN for what was not told.

    Not told are None and NaN, also among the numbers of an array. Raises UsageError for anything
    that is no number.
    """
    return {name: _reported(name, value) for name, value in (info or {}).items()}


def _reported(name: str, value: object) -> float:
    try:
        numbers = np.asarray(value, np.float64)  # None becomes NaN
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"info[{name!r}] must be a number, or None where it is not known: {error}."
        ) from error
    told = numbers[~np.isnan(numbers)]
    return float(told.mean()) if told.size else math.nan


def _float32(x: ArrayLike) -> AnyArray:  # the fields of a TimeStep are annotated as JAX arrays
    return np.array(x, np.float32)


def _bool(x: ArrayLike) -> AnyArray:
    return np.array(x, bool)
