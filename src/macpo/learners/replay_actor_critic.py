"""Actor-critics with replay: weighting the TD errors of their critics.

The auxiliary networks that a weighting needs (Q*, accumulated errors, density ratios) learn from
the critic's targets, with their own optimisers.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.bounds import Positive, PositiveInt
from macpo.errors import require
from macpo.kernels.shard import map_over_devices
from macpo.learners.actor_critic import ActorCritic, ActorCriticLearner
from macpo.learners.auxiliary_network import AuxiliaryNetworks, auxiliary_values
from macpo.learners.base import LearnerState
from macpo.learners.episodes import transitions
from macpo.learners.losses import LossInputs, TDErrors
from macpo.types import Batch, Metrics
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting, WeightingState


@dataclass(frozen=True)
class ReplayActorCritic(ActorCritic):
    """Hyper-parameters shared by the actor-critic algorithms with replay.

    Example:
        >>> from macpo.algorithms import DOP
        >>> issubclass(DOP, ReplayActorCritic), ReplayActorCritic(critic_lr=1e-4).critic_lr
        (True, 0.0001)
    """

    critic_lr: Positive = 5e-4
    """Learning rate of the critic, and of Q* where a weighting needs it."""
    central_mixing_embed_dim: PositiveInt = 256
    """Width of the mixer of Q*."""

    def require_team_weights(self, name: str, weighting: Weighting) -> None:
        """Raise UsageError for a weighting that splits the team's error among utilities."""
        require(
            not weighting.per_agent,
            f"weighting {weighting.name!r} splits the team's TD error among the utilities that a "
            f"mixer mixes, and {name} has a critic instead; choose an algorithm with a mixer of "
            "utilities (vdn, qmix), or another weighting.",
        )


class CriticOutput(NamedTuple):
    """The inputs of the weighting in every step of a batch, for K critics; constants."""

    q: Float[Array, "B T K"]
    """Each critic's joint value of the actions taken."""
    q_of_target_net: Float[Array, "B T K"]
    """The same for the target networks."""
    target: Float[Array, "B T"]
    pi_taken: Float[Array, "B T N"]
    """The policies' probabilities of the actions taken."""
    greedy: Int[Array, "B Tp1 N"]
    """The policies' likeliest actions in every state."""


class CriticWeights(NamedTuple):
    """The weights of a batch, and the loss of the auxiliary networks."""

    weights: Float[Array, "B T K"]
    """Of every critic's squared TD error, times the importance of the episode."""
    auxiliary_loss: Float[Array, ""]
    weighting_state: WeightingState
    metrics: Metrics


def weight_critics(
    learner: ActorCriticLearner,
    auxiliary: AuxiliaryNetworks,
    state: LearnerState,
    batch: Batch,
    key: PRNGKeyArray,
    out: CriticOutput,
) -> CriticWeights:
    """The weights of every step of a batch, computed separately for each critic's error."""
    out = jax.lax.stop_gradient(out)
    episodes, steps = batch.episodes, transitions(batch.episodes, batch.importance)
    networks = auxiliary, state.target_networks.auxiliary
    forward = partial(auxiliary_values, learner.env)
    values = map_over_devices(forward, networks, (episodes, out.greedy))

    # each critic's error is a row of its own; the rows of an episode lie together
    n_critics = out.q.shape[-1]

    def tiled(x: Array) -> Array:
        return jnp.repeat(x, n_critics, axis=0)

    def stacked(x: Array) -> Array:
        return jnp.moveaxis(x, -1, 1).reshape(-1, x.shape[1])

    is_greedy = (out.greedy[:, :-1] == episodes.actions).all(-1)
    team = Signals(steps.mask, target=out.target, pi_taken=out.pi_taken, is_greedy=is_greedy)
    td_error_abs = jnp.abs(out.q - out.target[..., None]).mean(-1)
    td = TDErrors(out.q.mean(-1), out.target, td_error_abs)
    inputs = LossInputs(td, steps, batch)
    for network in learner.auxiliary.networks:
        team = network.signals(team, values[network.name], inputs)
    signals = jax.tree.map(tiled, team)._replace(
        q=stacked(out.q),
        q_of_target_net=stacked(out.q_of_target_net),
        uniform_noise=jax.random.uniform(key),
    )
    weighted = learner.weighting.apply(state.weighting_state, signals)
    weights = jnp.moveaxis(weighted.weights.reshape(-1, n_critics, steps.mask.shape[1]), 1, -1)

    total, metrics = jnp.zeros(()), weighted.metrics
    for network in learner.auxiliary.networks:
        loss, more = network.loss(auxiliary, values[network.name], inputs)
        total, metrics = total + loss, metrics | more
    return CriticWeights(weights * steps.importance[..., None], total, weighted.state, metrics)
