"""What the adapters share."""

import inspect
import math
from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from macpo.errors import UsageError, require
from macpo.interop.factory import RGB_ARRAY, FactoryConfig
from macpo.types import Untyped

_LIMITS = ("max_cycles", "max_steps", "max_episode_steps", "_max_episode_steps")
"""What environments call the number of env steps after which they truncate an episode."""


def own_limit(config: FactoryConfig, env: Untyped) -> int | None:
    """The environment's own limit: the first finite one among its attributes, or in its options."""
    owners = (env, getattr(env, "unwrapped", env))
    attributes = [getattr(owner, name, None) for name in _LIMITS for owner in owners]
    options = [config.options.get(name) for name in _LIMITS]
    return next((limit for limit in map(as_limit, (*attributes, *options)) if limit), None)


def as_limit(x: Untyped) -> int | None:
    """A number of env steps; None if `x` is no finite, positive number: some say infinity or -1."""
    try:
        steps = float(x)
    except (TypeError, ValueError):
        return None
    return int(steps) if math.isfinite(steps) and steps >= 1 else None


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


def check_size(config: FactoryConfig, what: str, found: int, allowed: range) -> None:
    """UsageError unless `what` ("agent 'a' observes") is of a declared number of numbers."""
    least, most = allowed[0], allowed[-1]
    declared = f"{most}" if least == most else f"at most {most}"
    require(
        found in allowed,
        f"{config.name}: {what} {found} numbers, but the environment declares {declared}.",
    )


def exactly(n: int) -> range:
    """For `check_size`: this number alone."""
    return range(n, n + 1)


def team_reward(config: FactoryConfig, rewards: Untyped) -> np.float32:
    """One number from a single reward or from one per agent."""
    return np.float32(np.sum(rewards) if config.team_reward == "sum" else np.mean(rewards))


def numbers(names: Iterable[str], info: Mapping[str, Untyped]) -> dict[str, Untyped]:
    """The entries of `info` called `names`; 0 for missing ones."""
    return {name: info.get(name, 0) for name in names}


def picture(env: Untyped) -> Untyped:
    """What the environment's own `render` draws as an RGB array; None if it was not made to.

    Gymnasium's draws what `render_mode` says; older ones are told the mode in the call, which
    wrappers do not pass on.
    """
    inner = getattr(env, "unwrapped", env)
    draw = getattr(inner, "render", None)
    if draw is None:
        return None
    if "mode" in inspect.signature(draw).parameters:
        return draw(mode=RGB_ARRAY)
    return env.render() if getattr(env, "render_mode", None) == RGB_ARRAY else None
