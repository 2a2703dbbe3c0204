"""What the adapters share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from macpo.errors import UsageError, require
from macpo.interop.factory import FactoryConfig
from macpo.types import TimeStep


def episode_limit(config: FactoryConfig, own: int | None) -> int:
    """The shorter of the environment's own limit and the one asked for; UsageError without both."""
    known = [limit for limit in (own, config.episode_limit) if limit is not None]
    require(
        bool(known),
        f"{config.name} does not say how long an episode may last; tell it with "
        "--env.episode-limit STEPS, after which episodes are cut off.",
    )
    return min(known)


def n_actions(config: FactoryConfig, agent: Any, space: Any) -> int:
    """How many actions a space has, of Gymnasium or JaxMARL; UsageError if it is no Discrete."""
    if type(space).__name__ != "Discrete":
        raise UsageError(
            f"{config.name}: the actions of agent {agent!r} are {space}, but must be Discrete; "
            "wrap the environment so that each agent chooses one of a few actions."
        )
    return int(space.n)


def padded(rows: Sequence[Shaped[np.ndarray, " _"]], width: int) -> Shaped[np.ndarray, "N X"]:
    """As `macpo.interop.padding.padded`, of NumPy arrays and a given width."""
    return np.stack([np.pad(row, (0, width - row.size)) for row in rows])


def flat(x: Any) -> Float[np.ndarray, " X"]:
    """Numbers of any shape in a row."""
    return np.asarray(x, np.float32).reshape(-1)


def team_reward(config: FactoryConfig, rewards: Any) -> np.float32:
    """One number out of one or one for each agent."""
    return np.float32(np.sum(rewards) if config.team_reward == "sum" else np.mean(rewards))


def numbers(names: Iterable[str], told: Mapping[str, Any]) -> dict[str, np.float32]:
    """The numbers called `names`; 0 for those that are not told."""
    return {name: np.float32(told.get(name, 0)) for name in names}


def time_step(
    obs: Any, state: Any, avail: Any, reward: Any, terminated: bool, truncated: bool, info: Any
) -> TimeStep:
    """A time step of NumPy arrays."""
    over, cut_off = np.bool_(terminated), np.bool_(truncated)
    fields: dict[str, Any] = {"reward": reward, "terminated": over, "truncated": cut_off}
    return TimeStep(obs, state, avail, info=info, **fields)
