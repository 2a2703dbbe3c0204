"""MAPPO: proximal policy optimisation of all agents with one value of the global state.

Source: Yu et al. 2022, "The Surprising Effectiveness of PPO in Cooperative Multi-Agent Games".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import unpack
from macpo.learners.actor_critic import (
    ON_POLICY,
    ActorCritic,
    ActorCriticLearner,
    Learned,
    Networks,
    Replayed,
    entropy,
)
from macpo.learners.base import About, LearnerState
from macpo.learners.episodes import transitions
from macpo.learners.losses import masked_mean
from macpo.learners.returns import lambda_return
from macpo.nets.agent import gather_actions
from macpo.nets.linear import MLP, orthogonal
from macpo.types import Batch, PyTree
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Config(ActorCritic):
    """MAPPO: clipped policy gradients and a central value (Yu et al. 2022)."""

    about: ClassVar[About] = About(
        agents="policy",
        critic="value of the state",
        mixer="–",
        extra="–",
        paper="Yu et al. 2022",
        on_policy=True,
    )
    schedule: ClassVar[Mapping[str, Any]] = {
        **ON_POLICY,
        "epsilon_start": 0.0,  # the policies' own entropy explores
        "epsilon_finish": 0.0,
    }

    td_lambda: float = 0.95
    """λ of the generalised advantage estimate."""
    critic_lr: float = 5e-4
    """As the policy's."""
    optim_eps: float = 1e-5
    """Added to the root of Adam's second moment."""
    epochs: int = 8
    """Gradient steps on each batch (the paper: 5 to 15, fewer on hard maps; PyMARL2 8)."""
    clip: float = 0.2
    """How far from 1 a ratio of probabilities counts, and how far a normalised value moves."""
    entropy_coef: float = 0.01
    """Coefficient of the policies' entropy."""
    huber_delta: float = 10.0
    """Where the loss of the value turns from quadratic to linear, in standard deviations."""
    critic_hidden_dim: int = 128
    """Width of the critic's two hidden layers (EPyMARL)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("critic_lr", "epochs", "clip", "huber_delta", "critic_hidden_dim")
        self.require_not_negative("entropy_coef")

    def make(self, env: Environment, weighting: Weighting) -> ActorCriticLearner:
        """The learner."""
        width = self.critic_hidden_dim

        def critic(key: PRNGKeyArray) -> CentralValue:
            net = MLP(key, env.spec.state_size, width, width, 1)
            return CentralValue(net, jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))

        return ActorCriticLearner(
            env,
            self,
            weighting,
            critic,
            _learn,
            initialise=_orthogonal,
            critic_lr=self.critic_lr,
            has_target=False,
        )


NORM_RATE = 1e-5
"""Rate of the running moments of returns; their debiasing makes it a plain mean at first."""


class CentralValue(eqx.Module):
    """The value of a state, in units of the returns seen so far."""

    net: MLP
    mean: Float[Array, ""]
    square: Float[Array, ""]
    weight: Float[Array, ""]
    """What the running moments have to be divided by."""

    def __call__(self, state: Float[Array, "*B S"]) -> Float[Array, "*B"]:
        """Normalised."""
        return self.net(state)[..., 0]

    @property
    def moments(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(mean, standard deviation) of returns; (0, 1) before there are any."""
        seen = self.weight > 0
        weight = jnp.where(seen, self.weight, 1.0)
        mean = self.mean / weight
        variance = jnp.maximum(self.square / weight - mean**2, 1e-2)
        return jax.lax.stop_gradient((mean, jnp.where(seen, jnp.sqrt(variance), 1.0)))

    def having_seen(self, returns: Float[Array, "B T"], mask: Bool[Array, "B T"]) -> "CentralValue":
        """The same value with these returns in its moments."""

        def moved(old: Array, new: Array) -> Array:
            return old + NORM_RATE * (new - old)

        new = (
            moved(self.mean, masked_mean(returns, mask)),
            moved(self.square, masked_mean(jnp.square(returns), mask)),
            moved(self.weight, jnp.ones(())),
        )
        return eqx.tree_at(lambda v: (v.mean, v.square, v.weight), self, new)


def _learn(
    learner: ActorCriticLearner, state: LearnerState, batch: Batch, key: PRNGKeyArray
) -> Learned:
    """Several steps on policies and value, from one estimate of the advantages."""
    config, episodes = learner.config, batch.episodes
    mask, terminal = transitions(episodes)
    replayed = learner.replay(episodes)

    log_pi_old, _, value_old = _evaluate(learner, state.params, replayed, batch.epsilon)
    mean, std = state.params.critic.moments
    value = value_old * std + mean
    returns = lambda_return(episodes.reward, terminal, mask, value, config.gamma, config.td_lambda)
    td_error = value[:, :-1] - returns
    # the generalised advantage estimate is the λ-return less the value
    advantage = -td_error - masked_mean(-td_error, mask)
    advantage /= jnp.sqrt(masked_mean(jnp.square(advantage), mask)) + 1e-8
    critic = state.params.critic.having_seen(returns, mask)
    mean, std = critic.moments
    target = (returns - mean) / std

    def loss(params: Networks) -> tuple[Array, dict[str, Array]]:
        log_pi, h, value = _evaluate(learner, params, replayed, batch.epsilon)
        ratio, of_agents = jnp.exp(log_pi - log_pi_old), jnp.broadcast_to(mask[..., None], h.shape)
        near = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
        gain = jnp.minimum(ratio * advantage[..., None], near * advantage[..., None])
        value = value[:, :-1]
        moved = value - value_old[:, :-1]  # of the network's output, whatever its unit was then
        value_near = value_old[:, :-1] + jnp.clip(moved, -config.clip, config.clip)
        of_value = jnp.maximum(
            *(optax.huber_loss(v, target, delta=config.huber_delta) for v in (value, value_near))
        )
        metrics = {
            "loss_policy": -masked_mean(gain, of_agents),
            "loss_critic": masked_mean(of_value, mask),
            "entropy": masked_mean(h, of_agents),
            "pi_taken_mean": masked_mean(jnp.exp(log_pi), of_agents),
            "clip_fraction": masked_mean(jnp.float32(jnp.abs(ratio - 1) > config.clip), of_agents),
        }
        total = metrics["loss_policy"] + metrics["loss_critic"]
        total -= config.entropy_coef * metrics["entropy"]
        return total, metrics | {"loss": total}

    def epoch(state: LearnerState, _: None) -> tuple[LearnerState, dict[str, Array]]:
        grads, metrics = jax.grad(loss, has_aux=True)(state.params)
        params, _nothing, optimisers = learner.descend(grads, state)
        metrics["grad_norm"] = optax.tree.norm(grads)
        return state._replace(params=params, optimiser=optimisers), metrics

    start = state._replace(params=state.params._replace(critic=critic))
    after, metrics = jax.lax.scan(epoch, start, length=config.epochs)
    metrics = {name: x[-1] for name, x in metrics.items()} | {
        "td_error_abs": masked_mean(jnp.abs(td_error), mask),
        "value_mean": masked_mean(value[:, :-1], mask),
        "target_mean": masked_mean(returns, mask),
    }
    td_error_abs = jnp.abs(td_error)
    return Learned(after.params, None, after.optimiser, state.weighting, metrics, td_error_abs)


def _evaluate(
    learner: ActorCriticLearner,
    params: Networks,
    replayed: Replayed,
    epsilon: Float[Array, ""] | float,
) -> tuple[Float[Array, "B T N"], Float[Array, "B T N"], Float[Array, "B Tp1"]]:
    """(log π of the actions taken, entropies, normalised values)."""
    log_pi = learner.log_policy(learner.outputs(params.actor, replayed), replayed, epsilon)

    def of_state(critic: CentralValue, _: None, __: None, encoded_state: PyTree) -> Array:
        return critic(learner.state_of(encoded_state).state)

    value = map_states(
        of_state, params.critic, None, None, replayed.encoded_state, replayed.packing
    )
    packed = gather_actions(log_pi, replayed.stored), entropy(log_pi), value
    log_pi, h, value = (unpack(replayed.packing, x) for x in packed)
    return log_pi[:, :-1], h[:, :-1], value


def _orthogonal(key: PRNGKeyArray, params: Networks) -> Networks:
    """Orthogonal matrices, and policies that are nearly uniform at first."""
    k_actor, k_head, k_critic = jax.random.split(key, 3)
    actor = orthogonal(k_actor, params.actor)
    head = orthogonal(k_head, actor.head, 0.01)
    actor = eqx.tree_at(lambda net: net.head, actor, head)
    net = orthogonal(k_critic, params.critic.net)
    critic = eqx.tree_at(lambda value: value.net, params.critic, net)
    return params._replace(actor=actor, critic=critic)
