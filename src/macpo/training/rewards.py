"""Rewards that are not finite numbers: counted, and refused or read as 0.

One of them reaches all parameters with the first update that samples it, and never leaves them.
Worker processes are stopped at the step that pays it. Nothing leaves a compiled program before its
chunk is over: there they are counted, and the chunk is refused afterwards.
"""

from array_api_compat import array_namespace
from jaxtyping import Array, Int

from macpo.errors import require
from macpo.experiment import NonFiniteRewards
from macpo.types import Rollout


def n_nonfinite(rollout: Rollout) -> Int[Array, " B"]:
    """How many rewards of each episode, of JAX or NumPy arrays, are NaN or infinite."""
    reward = rollout.episodes.reward
    xp = array_namespace(reward)
    return xp.sum(~xp.isfinite(reward), axis=-1, dtype=xp.int32)


def read_as(nonfinite_rewards: NonFiniteRewards, rollout: Rollout) -> Rollout:
    """The episodes with 0 in place of rewards that are not finite, if that is how to read them."""
    if nonfinite_rewards == "refuse":
        return rollout
    reward = rollout.episodes.reward
    xp = array_namespace(reward)
    finite = xp.where(xp.isfinite(reward), reward, xp.zeros_like(reward))
    return rollout._replace(episodes=rollout.episodes._replace(reward=finite))


ADVICE = (
    "`macpo check-env` plays the environment at random and names such steps. Mend it, or start a "
    "run with --nonfinite-rewards zero, which counts them and reads them as 0."
)


def require_finite(n: int, nonfinite_rewards: NonFiniteRewards, env: str, where: str) -> None:
    """UsageError if `n` rewards of the environment were not finite, unless they are read as 0."""
    require(
        n == 0 or nonfinite_rewards == "zero",
        f"{env} paid {n:,} rewards that are not finite numbers {where}; {ADVICE}",
    )
