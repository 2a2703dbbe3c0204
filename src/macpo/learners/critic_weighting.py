"""Actor-critics with replay: the weights of their critics' errors, and what those weights need.

Networks that a weighting needs beside the algorithm (Q*, accumulated errors, density ratios; see
`estimators`) learn from the critic's targets, with optimisers of their own.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.errors import require
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import pack, unpack
from macpo.kernels.shard import map_over_devices
from macpo.learners.actor_critic import ActorCritic, ActorCriticLearner, Beside
from macpo.learners.auxiliary import central_losses, mixers_of
from macpo.learners.base import LearnerState
from macpo.learners.episodes import transitions
from macpo.nets.agent import gather_actions
from macpo.types import Batch, Episodes, Metrics, PyTree
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting, WeightingState


@dataclass(frozen=True)
class OffPolicy(ActorCritic):
    """Hyper-parameters shared by the actor-critic algorithms with replay."""

    critic_lr: float = 5e-4
    """Learning rate of the critic, and of Q* where a weighting needs it."""
    central_mixing_embed_dim: int = 256
    """Width of the mixer of Q*."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("critic_lr", "central_mixing_embed_dim")

    def require_team_weights(self, name: str, weighting: Weighting) -> None:
        """UsageError for a weighting that splits the team's error among utilities."""
        require(
            not weighting.per_agent,
            f"weighting {weighting.name!r} splits the team's TD error among the utilities that a "
            f"mixer mixes, and {name} has a critic instead; choose an algorithm with a mixer of "
            "utilities (vdn, qmix), or another weighting.",
        )


class Judged(NamedTuple):
    """What the algorithm knows of every step of a batch, for its weights; constants."""

    q: Float[Array, "B T K"]
    """Each critic's joint value of the actions taken."""
    q_of_target_net: Float[Array, "B T K"]
    """The same of the slow critics."""
    target: Float[Array, "B T"]
    pi_taken: Float[Array, "B T N"]
    """The policies' probabilities of the actions taken."""
    likeliest: Int[Array, "B Tp1 N"]
    """The policies' likeliest actions in every state."""


class Weights(NamedTuple):
    """Weights of a batch, and what came with them."""

    weights: Float[Array, "B T K"]
    """Of every critic's squared TD error, with the correction for how episodes were drawn."""
    loss: Float[Array, ""]
    """Of the networks beside the algorithm."""
    state: WeightingState
    metrics: Metrics


def weigh(
    learner: ActorCriticLearner,
    beside: Beside,
    state: LearnerState,
    batch: Batch,
    key: PRNGKeyArray,
    judged: Judged,
) -> Weights:
    """Weigh every step of a batch, each critic's error on its own."""
    judged = jax.lax.stop_gradient(judged)
    estimation, episodes = learner.estimation, batch.episodes
    mask, terminal = transitions(episodes)
    values: dict[str, Array] = {}
    if any(x is not None for x in (beside.central, *beside.estimators)):
        constants = beside, state.targets.error
        values = map_over_devices(
            partial(_estimate, learner), constants, (episodes, judged.likeliest)
        )
    estimated = estimation.signals(values, learner.config.gamma * ~terminal, batch.recent_differs)
    if "q_star_greedy" in values:
        estimated["q_star_greedy"] = values["q_star_greedy"][:, :-1]

    # critics lie side by side along the axis of episodes
    n_critics = judged.q.shape[-1]

    def tiled(x: Array) -> Array:
        return jnp.concatenate([x] * n_critics)

    def stacked(x: Array) -> Array:
        return jnp.moveaxis(x, -1, 0).reshape(-1, x.shape[1])

    is_greedy = (judged.likeliest[:, :-1] == episodes.actions).all(-1)
    same = {"target": judged.target, "pi_taken": judged.pi_taken, "is_greedy": is_greedy}
    signals = Signals(
        mask=tiled(mask),
        q=stacked(judged.q),
        q_of_target_net=stacked(judged.q_of_target_net),
        uniform_noise=jax.random.uniform(key),
        **jax.tree.map(tiled, same | estimated),
    )
    made = learner.weighting.apply(state.weighting, signals)
    weights = jnp.moveaxis(made.weights.reshape(n_critics, *mask.shape), 0, -1)

    loss, metrics = jnp.zeros(()), made.metrics
    td_error = jnp.abs(judged.q - judged.target[..., None]).mean(-1)
    importance = jnp.broadcast_to(batch.importance[:, None], mask.shape)
    if "q_star" in estimated:
        q_star = estimated["q_star"]
        metrics |= central_losses(judged.q.mean(-1), q_star, judged.target, importance, mask)
        loss += metrics["loss_central"]
    own = estimation.own_losses(beside, values, estimated, td_error, mask, batch)
    loss += sum(own.values())
    return Weights(weights * importance[..., None], loss, made.state, metrics | own)


def _estimate(
    learner: ActorCriticLearner, constants: PyTree, batch: tuple[Episodes, Int[Array, "B Tp1 N"]]
) -> dict[str, Float[Array, "B Tp1"]]:
    """What the networks beside the algorithm say of every state."""
    (beside, slow_error), (episodes, likeliest) = constants, batch
    estimation, replayed = learner.estimation, learner.replay(episodes)
    best = pack(replayed.packing, likeliest)
    learned, frozen = estimation.utilities(
        beside,
        slow_error,
        lambda agent: learner.outputs(agent, replayed),
        replayed.stored,
        best,
    )
    if "q_star_greedy" in learner.weighting.needs:
        frozen["q_star_greedy"] = gather_actions(
            learner.outputs(beside.central.agent, replayed), best
        )

    def of_states(mixers: Any, slow_error: PyTree, learned: PyTree, context: PyTree) -> PyTree:
        encoded_state, stored, frozen = context
        state = learner.state_of(encoded_state).state
        said = estimation.joint_values(mixers, slow_error, learned, frozen, state, stored)
        if "q_star_greedy" in frozen:
            said["q_star_greedy"] = mixers.central(frozen["q_star_greedy"], state)
        return said

    context = replayed.encoded_state, replayed.stored, jax.lax.stop_gradient(frozen)
    mixers = Beside(*mixers_of(beside))
    values = map_states(of_states, mixers, slow_error, learned, context, replayed.packing)
    return jax.tree.map(partial(unpack, replayed.packing), values)
