"""What has become of episodes: their outcomes, and the metrics of an evaluation."""

from collections.abc import Mapping
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Num

from macpo.envs.base import mean_of_known
from macpo.experiment import Run
from macpo.training import rewards
from macpo.types import Metrics, Rollout


class EpisodeOutcomes(NamedTuple):
    """What an evaluation keeps of its episodes, in JAX or NumPy arrays."""

    returns: Float[Array, " B"]
    lengths: Int[Array, " B"]
    rewards_nonfinite: Int[Array, " B"]
    info: Mapping[str, Num[Array, " B"]]
    """Of each episode's last time step."""


def episode_outcomes(rollout: Rollout, run: Run) -> EpisodeOutcomes:
    """The outcomes of these episodes; rewards that are not finite are read as `run` says."""
    n_nonfinite = rewards.n_nonfinite(rollout)
    episodes, info = rewards.read_as(run.nonfinite_rewards, rollout)
    return EpisodeOutcomes(episodes.reward.sum(-1), episodes.length, n_nonfinite, info)


def outcome_means(info: Mapping[str, Num[Array, " B"]], prefix: str = "") -> Metrics:
    """`NAME_mean` for each NAME in the last `info` of the episodes; an array is averaged over all
    its numbers. NaN is not known and left out, and the mean is NaN if nothing is known."""
    return {f"{prefix}{name}_mean": mean_of_known(values) for name, values in info.items()}


def evaluation_metrics(outcomes: EpisodeOutcomes) -> Metrics:
    """The metrics of an evaluation."""
    returns, lengths, n_nonfinite, info = outcomes
    return {
        "test_rewards_nonfinite": n_nonfinite.sum(),
        **outcome_means(info, "test_"),
        "test_return_mean": returns.mean(),
        "test_return_std": returns.std(),
        "test_ep_length_mean": lengths.mean(dtype=jnp.float32),
    }
