"""MAPPO: proximal policy optimisation of all agents with one value of the global state.

Source: Yu et al. 2022, "The Surprising Effectiveness of PPO in Cooperative Multi-Agent Games".
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from macpo.bounds import Fraction, NonNegative, Positive, PositiveInt
from macpo.envs.base import Environment
from macpo.field_types import Settings
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import unpack
from macpo.learners.actor_critic import (
    ON_POLICY,
    ActorCritic,
    ActorCriticLearner,
    ActorCriticNetworks,
    entropy,
)
from macpo.learners.base import About, LearnerState, UpdateResult
from macpo.learners.episodes import (
    PackedEpisodes,
    decode_rows,
    pack_episodes,
    transitions,
    unroll_agents,
)
from macpo.learners.losses import td_errors
from macpo.nets.action_selection import gather_actions
from macpo.nets.linear import MLP, orthogonal
from macpo.types import Batch, Metrics, PyTree
from macpo.weighting.normalise import masked_mean
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class MAPPO(ActorCritic):
    """MAPPO: clipped policy gradients and a central value (Yu et al. 2022).

    >>> MAPPO(epochs=15).clip
    0.2
    """

    about: ClassVar[About] = About(
        agents="policy",
        critic="value of the state",
        mixer="–",
        extra="–",
        paper="Yu et al. 2022",
        on_policy=True,
    )
    schedule: ClassVar[Settings] = {
        **ON_POLICY,
        "epsilon_start": 0.0,  # the policies' own entropy explores
        "epsilon_finish": 0.0,
    }

    td_lambda: Fraction = 0.95
    """λ of the generalised advantage estimate."""
    critic_lr: Positive = 5e-4
    """Learning rate of the critic, the same as the policy's."""
    optim_eps: Positive = 1e-5
    """Added to the root of Adam's second moment."""
    epochs: PositiveInt = 8
    """Gradient steps on each batch (the paper: 5 to 15, fewer on hard maps; PyMARL2 8)."""
    clip: Positive = 0.2
    """Clipping range of probability ratios around 1, and of changes of the normalised value."""
    entropy_coef: NonNegative = 0.01
    """Coefficient of the policies' entropy."""
    huber_delta: Positive = 10.0
    """Where the value loss turns from quadratic to linear, in standard deviations of the return."""
    critic_hidden_dim: PositiveInt = 128
    """Width of the critic's two hidden layers (EPyMARL)."""

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
            _update,
            initialise=_orthogonal,
            critic_lr=self.critic_lr,
            has_target=False,
        )


NORM_RATE = 1e-5
"""Rate of the running moments of returns; debiased, they start as plain means."""


class CentralValue(eqx.Module):
    """The value of a state, normalised by the moments of all returns so far."""

    net: MLP
    mean: Float[Array, ""]
    square: Float[Array, ""]
    weight: Float[Array, ""]
    """The divisor that debiases the running moments."""

    def __call__(self, state: Float[Array, "*B S"]) -> Float[Array, "*B"]:
        """The normalised value."""
        return self.net(state)[..., 0]

    @property
    def moments(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(mean, standard deviation) of returns; (0, 1) before there are any."""
        has_returns = self.weight > 0
        weight = jnp.where(has_returns, self.weight, 1.0)
        mean = self.mean / weight
        variance = jnp.maximum(self.square / weight - mean**2, 1e-2)
        return jax.lax.stop_gradient((mean, jnp.where(has_returns, jnp.sqrt(variance), 1.0)))

    def update_moments(
        self, returns: Float[Array, "B T"], mask: Bool[Array, "B T"]
    ) -> "CentralValue":
        """The same network, its moments updated with these returns."""

        def moved(old: Array, new: Array) -> Array:
            return old + NORM_RATE * (new - old)

        new = (
            moved(self.mean, masked_mean(returns, mask)),
            moved(self.square, masked_mean(jnp.square(returns), mask)),
            moved(self.weight, jnp.ones(())),
        )
        return eqx.tree_at(lambda v: (v.mean, v.square, v.weight), self, new)


class _Values(NamedTuple):
    """The outputs of the networks for stored episodes."""

    log_pi: Float[Array, "B T N"]
    """log π of the actions taken."""
    entropy: Float[Array, "B T N"]
    value: Float[Array, "B Tp1"]
    """Normalised."""


def _update(
    learner: ActorCriticLearner, state: LearnerState, batch: Batch, key: PRNGKeyArray
) -> UpdateResult:
    """Several steps of policies and value, with one estimate of the advantages."""
    config, steps = learner.config, transitions(batch.episodes)
    mask = steps.mask
    packed = pack_episodes(learner.env, batch.episodes)

    old = _forward(learner, state.params, packed, batch.epsilon)
    mean, std = state.params.critic.moments
    value = old.value * std + mean
    td = td_errors(value, value, steps, config.gamma, config.td_lambda)
    # the generalised advantage estimate is the λ-return less the value
    advantage = -td.error - masked_mean(-td.error, mask)
    advantage /= jnp.sqrt(masked_mean(jnp.square(advantage), mask)) + 1e-8
    critic = state.params.critic.update_moments(td.target, mask)
    mean, std = critic.moments
    target = (td.target - mean) / std

    def loss(params: ActorCriticNetworks) -> tuple[Float[Array, ""], Metrics]:
        new = _forward(learner, params, packed, batch.epsilon)
        ratio = jnp.exp(new.log_pi - old.log_pi)
        agent_mask = jnp.broadcast_to(mask[..., None], ratio.shape)
        near = jnp.clip(ratio, 1 - config.clip, 1 + config.clip)
        gain = jnp.minimum(ratio * advantage[..., None], near * advantage[..., None])
        value, old_value = new.value[:, :-1], old.value[:, :-1]
        moved = value - old_value  # a difference of network outputs, whatever their scale
        value_near = old_value + jnp.clip(moved, -config.clip, config.clip)
        value_losses = jnp.maximum(
            *(optax.huber_loss(v, target, delta=config.huber_delta) for v in (value, value_near))
        )
        clipped = jnp.float32(jnp.abs(ratio - 1) > config.clip)
        metrics = {
            "loss_policy": -masked_mean(gain, agent_mask),
            "loss_critic": masked_mean(value_losses, mask),
            "entropy": masked_mean(new.entropy, agent_mask),
            "pi_taken_mean": masked_mean(jnp.exp(new.log_pi), agent_mask),
            "clip_fraction": masked_mean(clipped, agent_mask),
        }
        total = metrics["loss_policy"] + metrics["loss_critic"]
        total -= config.entropy_coef * metrics["entropy"]
        return total, metrics | {"loss": total}

    def epoch(state: LearnerState, _: None) -> tuple[LearnerState, Metrics]:
        grads, metrics = jax.grad(loss, has_aux=True)(state.params)
        metrics["grad_norm"] = optax.tree.norm(grads)
        return learner.apply_gradients(grads, state), metrics

    start = state._replace(params=state.params._replace(critic=critic))
    end, metrics = jax.lax.scan(epoch, start, length=config.epochs)
    metrics = {name: x[-1] for name, x in metrics.items()} | {
        "td_error_abs": masked_mean(jnp.abs(td.error), mask),
        "value_mean": masked_mean(td.q, mask),
        "target_mean": masked_mean(td.target, mask),
    }
    return UpdateResult(end, metrics, jnp.abs(td.error))


def _forward(
    learner: ActorCriticLearner,
    params: ActorCriticNetworks,
    packed: PackedEpisodes,
    epsilon: Float[Array, ""] | float,
) -> _Values:
    out = unroll_agents(learner.spec, params.actor, packed)
    log_pi = learner.log_policy(out, packed, epsilon)

    def value_of_rows(critic: CentralValue, _: None, __: None, encoded_state: PyTree) -> Array:
        return critic(decode_rows(learner.env, encoded_state).state)

    value = map_states(
        value_of_rows, params.critic, None, None, packed.encoded_state, packed.packing
    )
    packed_values = gather_actions(log_pi, packed.actions), entropy(log_pi), value
    log_pi, h, value = map(partial(unpack, packed.packing), packed_values)
    return _Values(log_pi[:, :-1], h[:, :-1], value)


def _orthogonal(key: PRNGKeyArray, params: ActorCriticNetworks) -> ActorCriticNetworks:
    """Orthogonal weight matrices, and policies that start nearly uniform."""
    k_actor, k_head, k_critic = jax.random.split(key, 3)
    actor = orthogonal(k_actor, params.actor)
    head = orthogonal(k_head, actor.head, 0.01)
    actor = eqx.tree_at(lambda net: net.head, actor, head)
    net = orthogonal(k_critic, params.critic.net)
    critic = eqx.tree_at(lambda value: value.net, params.critic, net)
    return params._replace(actor=actor, critic=critic)


Config = MAPPO
