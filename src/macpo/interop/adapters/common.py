"""What the adapters share."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from macpo.errors import UsageError, require
from macpo.interop.factory import FactoryConfig

Untyped: TypeAlias = Any
"""Something of another library, which is not imported here."""


def episode_limit(config: FactoryConfig, own: int | None) -> int:
    """The smaller of the environment's limit and the configured one; UsageError without both."""
    known = [limit for limit in (own, config.episode_limit) if limit is not None]
    require(
        bool(known),
        f"{config.name} does not say how long an episode may last; set a limit with "
        "--env.episode-limit STEPS, after which episodes are truncated.",
    )
    return min(known)


def n_actions(config: FactoryConfig, agent: object, space: Untyped) -> int:
    """The size of an action space of Gymnasium or JaxMARL; UsageError if it is not Discrete."""
    if type(space).__name__ != "Discrete":
        raise UsageError(
            f"{config.name}: the actions of agent {agent!r} are {space}, but must be Discrete; "
            "wrap the environment so that each agent chooses one of a few actions."
        )
    return int(space.n)


def flat(x: ArrayLike) -> Float[np.ndarray, " X"]:
    """Numbers of any shape as one float32 vector."""
    return np.asarray(x, np.float32).reshape(-1)


def team_reward(config: FactoryConfig, rewards: Untyped) -> np.float32:
    """One number from a single reward or from one per agent."""
    return np.float32(np.sum(rewards) if config.team_reward == "sum" else np.mean(rewards))


def numbers(names: Iterable[str], info: Mapping[str, ArrayLike]) -> dict[str, ArrayLike]:
    """The entries of `info` called `names`; 0 for missing ones."""
    return {name: info.get(name, 0) for name in names}
