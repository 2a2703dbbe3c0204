"""FOP: maximum-entropy policies of the agents, improved by twin factored critics.

Source: Zhang et al. 2021, "FOP: Factorizing Optimal Joint Policy of Maximum-Entropy Multi-Agent
Reinforcement Learning". The released code adds the entropy to the target once, outside the
λ-return, undiscounted, as a mean over agents and even where an episode has ended;
`entropy_in_return` puts it where the theory has it.
"""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.bounds import Bounds, Positive, PositiveInt
from macpo.envs.base import Environment
from macpo.field_types import Settings
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import pack, unpack
from macpo.kernels.shard import map_over_devices
from macpo.learners.actor_critic import (
    ActorCriticLearner,
    ActorCriticNetworks,
    entropy,
)
from macpo.learners.base import About, LearnerState, UpdateResult
from macpo.learners.episodes import decode_rows, pack_episodes, transitions, unroll_agents
from macpo.learners.hyperparameters import OptimiserName
from macpo.learners.losses import weighted_squared_error
from macpo.learners.replay_actor_critic import CriticOutput, ReplayActorCritic, weight_critics
from macpo.learners.returns import lambda_return
from macpo.nets.action_selection import gather_actions, greedy, possible_actions
from macpo.nets.critics import AgentCritic
from macpo.nets.linear import MLP
from macpo.nets.mixers import DuelWeights, duel
from macpo.types import Batch, Episodes, Metrics, Observation, PyTree
from macpo.weighting.loss import weighted_loss
from macpo.weighting.normalise import masked_mean
from macpo.weighting.weighting import Weighting, WeightingState


@dataclass(frozen=True)
class FOP(ReplayActorCritic):
    """FOP: factored soft policies (Zhang et al. 2021), with the released code's constants.

    >>> FOP().temperature(45_000).item()  # halfway from 0.5 to 0.05
    0.2750000059604645
    """

    about: ClassVar[About] = About(
        agents="policy",
        critic="twin Q of each agent's actions",
        mixer="duel, of soft values",
        extra="Q* where the weighting needs it",
        paper="Zhang et al. 2021",
    )
    schedule: ClassVar[Settings] = {
        "batch_size_run": 1,
        "batch_size": 32,
        "updates_per_iteration": 1,
        "epsilon_anneal_time": 50_000,
    }

    optimiser: OptimiserName = "rmsprop"
    """The released code."""
    optim_eps: Positive = 1e-5
    """The released code."""
    temperature_start: Positive = 0.5
    """α, the value of a nat of entropy, at env step 0."""
    temperature_finish: Positive = 0.05
    """α once annealed."""
    temperature_anneal_time: PositiveInt = 90_000
    """Env steps over which α falls linearly."""
    entropy_in_return: bool = True
    """Whether the bootstrapped values contain the entropy; see the module's docstring."""
    epsilon_in_policy: bool = True
    """The released code."""
    critic_hidden_dim: PositiveInt = 64
    """Width of the critics' two hidden layers."""
    mixing_embed_dim: PositiveInt = 32
    """Width of the hidden layer of the mixers' state value."""
    n_heads: Annotated[int, Bounds(at_least=1, at_most=256)] = 4
    """Heads of the mixers' weights λ."""

    def make(self, env: Environment, weighting: Weighting) -> ActorCriticLearner:
        """The learner."""
        self.require_team_weights("fop", weighting)
        spec, width = env.spec, self.critic_hidden_dim

        def one(key: PRNGKeyArray) -> Critic:
            k_agents, k_value, k_weights = jax.random.split(key, 3)
            return Critic(
                AgentCritic(
                    k_agents, spec.n_agents, 0, spec.obs_size, (width, width), spec.n_actions
                ),
                MLP(k_value, spec.state_size, self.mixing_embed_dim, 1),
                DuelWeights(
                    k_weights, spec.n_agents, spec.n_actions, spec.state_size, self.n_heads
                ),
            )

        def twins(key: PRNGKeyArray) -> tuple[Critic, Critic]:
            first, second = jax.random.split(key)
            return one(first), one(second)

        return ActorCriticLearner(env, self, weighting, twins, _update, critic_lr=self.critic_lr)

    def temperature(self, env_steps: Int[Array, ""] | int) -> Float[Array, ""]:
        """α at this number of env steps: linear, then constant."""
        left = jnp.clip(1.0 - env_steps / self.temperature_anneal_time, 0.0, 1.0)
        return self.temperature_finish + left * (self.temperature_start - self.temperature_finish)


class Critic(NamedTuple):
    """One of the twins: values of the agents' actions, and the networks that mix them."""

    agents: AgentCritic
    value: MLP
    weights: DuelWeights

    def all_actions(self, obs: Float[Array, "*B N O"]) -> Float[Array, "*B N A"]:
        """Q_i of every action, from the agent's own observation."""
        return self.agents(obs[..., 0, :0], obs)

    def joint(
        self,
        q: Float[Array, "*B N A"],
        actions: Int[Array, "*B N"],
        observation: Observation,
        temperature: Float[Array, ""],
    ) -> Float[Array, "*B"]:
        """Σ_i Q_i(u_i) + V(s) + Σ_i (λ_i − 1) (Q_i(u_i) − V_i), with soft values V_i."""
        chosen, soft = (
            gather_actions(q, actions),
            soft_value(q, observation.avail_actions, temperature),
        )
        mixed = duel(chosen, soft, self.weights(observation.state, actions))
        return mixed + self.value(observation.state)[..., 0]


def soft_value(
    q: Float[Array, "*B A"], avail_actions: Bool[Array, "*B A"], temperature: Float[Array, ""]
) -> Float[Array, "*B"]:
    """α log Σ_u exp(Q(u)/α) over available actions; over all where there is none (padding)."""
    scaled = jnp.where(possible_actions(avail_actions), q / temperature, -jnp.inf)
    return temperature * jax.nn.logsumexp(scaled, axis=-1)


class _Annealed(NamedTuple):
    """Quantities that are annealed over the env steps of a run."""

    temperature: Float[Array, ""]
    epsilon: Float[Array, ""]


class _TwinValues(NamedTuple):
    """Values of a chunk of states."""

    q_tot: Float[Array, "R K"]
    """Each twin's value of the actions taken."""
    q_of_target_net: Float[Array, "R K"]
    """The same for their target networks."""
    q_next: Float[Array, " R"]
    """The smaller of the target networks' values of actions drawn from the policies."""
    q: Float[Array, "R N A"]
    """The smaller of the twins' values of every action of every agent; constant."""


class _ForwardOutput(NamedTuple):
    """The outputs of all networks for stored episodes."""

    q_tot: Float[Array, "B Tp1 K"]
    q_of_target_net: Float[Array, "B Tp1 K"]
    q_next: Float[Array, "B Tp1"]
    log_pi_next: Float[Array, "B Tp1 N"]
    """log π of the actions that `q_next` values."""
    pi_taken: Float[Array, "B Tp1 N"]
    greedy: Int[Array, "B Tp1 N"]
    """The policies' likeliest actions."""
    loss_policy: Float[Array, "B Tp1 N"]
    """Σ_u π_i(u) (α log π_i(u) − min_k Q_i^k(u))."""
    entropy: Float[Array, "B Tp1 N"]


def _forward(
    learner: ActorCriticLearner,
    networks: tuple[ActorCriticNetworks, tuple[tuple[Critic, Critic], _Annealed]],
    batch: tuple[Episodes, Float[Array, "B Tp1 N A"]],
) -> _ForwardOutput:
    params, (targets, annealed) = networks
    episodes, noise = batch
    packed = pack_episodes(learner.env, episodes)
    available = packed.observation.avail_actions
    outputs = unroll_agents(learner.spec, params.actor, packed)
    log_pi = learner.log_policy(outputs, packed, annealed.epsilon)
    drawn = greedy(log_pi + pack(packed.packing, noise), available)

    reads_target = "q_of_target_net" in learner.weighting.needs

    def values_of_rows(twins: PyTree, frozen: PyTree, _: None, context: PyTree) -> _TwinValues:
        (targets, temperature), (encoded_state, taken, drawn) = frozen, context
        observation = decode_rows(learner.env, encoded_state)

        def joint(critics: PyTree, q: list[Array], actions: Array) -> list[Array]:
            pairs = zip(critics, q, strict=True)
            return [critic.joint(x, actions, observation, temperature) for critic, x in pairs]

        q, target_q = ([c.all_actions(observation.obs) for c in nets] for nets in (twins, targets))
        q_tot = joint(twins, q, taken)
        target_q_tot = joint(targets, target_q, taken) if reads_target else q_tot
        q_next = jnp.minimum(*joint(targets, target_q, drawn))
        smaller = jax.lax.stop_gradient(jnp.minimum(*q))
        return _TwinValues(jnp.stack(q_tot, -1), jnp.stack(target_q_tot, -1), q_next, smaller)

    frozen = targets, annealed.temperature
    context = packed.encoded_state, packed.actions, drawn
    values = map_states(values_of_rows, params.critic, frozen, None, context, packed.packing)
    pi = jnp.exp(log_pi)
    out = _ForwardOutput(
        values.q_tot,
        values.q_of_target_net,
        values.q_next,
        log_pi_next=gather_actions(log_pi, drawn),
        pi_taken=jnp.exp(gather_actions(log_pi, packed.actions)),
        greedy=greedy(log_pi, available),
        loss_policy=(pi * (annealed.temperature * log_pi - values.q)).sum(-1),
        entropy=entropy(log_pi),
    )
    return jax.tree.map(partial(unpack, packed.packing), out)


def _update(
    learner: ActorCriticLearner, state: LearnerState, batch: Batch, key: PRNGKeyArray
) -> UpdateResult:
    """One step of the policies on the minimum of the twins, and of the twins on soft returns."""
    config, episodes, spec = learner.config, batch.episodes, learner.spec
    reward, terminal, mask, _ = transitions(episodes)
    annealed = _Annealed(config.temperature(batch.env_steps), jnp.asarray(batch.epsilon))
    noise_key, weigh_key = jax.random.split(key)
    n_states = reward.shape[1] + 1
    noise = jax.random.gumbel(noise_key, (len(mask), n_states, spec.n_agents, spec.n_actions))

    def loss(
        params: ActorCriticNetworks,
    ) -> tuple[Float[Array, ""], tuple[Metrics, WeightingState, Float[Array, "B T"]]]:
        constants = jax.lax.stop_gradient((state.target_networks.critic, annealed))
        out = map_over_devices(partial(_forward, learner), (params, constants), (episodes, noise))

        # 1. The target, with the entropy of the policies in the next state.
        bonus = -annealed.temperature * jax.lax.stop_gradient(out.log_pi_next)  # [B, T+1, N]
        value = out.q_next + (bonus.sum(-1) if config.entropy_in_return else 0.0)
        target = lambda_return(reward, terminal, mask, value, config.gamma, config.td_lambda)
        if not config.entropy_in_return:
            target += bonus.mean(-1)[:, 1:]

        # 2. The twins.
        q_tot = out.q_tot[:, :-1]
        critic_output = CriticOutput(
            q=q_tot,
            q_of_target_net=out.q_of_target_net[:, :-1],
            target=target,
            pi_taken=out.pi_taken[:, :-1],
            greedy=out.greedy,
        )
        weighted = weight_critics(learner, params.auxiliary, state, batch, weigh_key, critic_output)
        td_error = q_tot - target[..., None]
        first, second = (
            weighted_squared_error(td_error[..., k], weighted.weights[..., k], mask)
            for k in range(2)
        )
        loss_critic = first + second

        # 3. The policies.
        agent_mask = jnp.broadcast_to(mask[..., None], (*mask.shape, spec.n_agents))
        loss_policy = weighted_loss(
            out.loss_policy[:, :-1], batch.importance[:, None, None], agent_mask
        )
        total = loss_policy + loss_critic
        td_error_abs = jnp.abs(td_error).mean(-1)
        metrics = weighted.metrics | {
            "loss": total,
            "loss_policy": loss_policy,
            "loss_critic": loss_critic,
            "entropy": masked_mean(out.entropy[:, :-1], agent_mask),
            "temperature": annealed.temperature,
            "td_error_abs": masked_mean(td_error_abs, mask),
            "q_taken_mean": masked_mean(q_tot.mean(-1), mask),
            "target_mean": masked_mean(target, mask),
        }
        aux = metrics, weighted.weighting_state, td_error_abs
        return total + weighted.auxiliary_loss, aux

    grads, (metrics, weighting_state, td_error_abs) = jax.grad(loss, has_aux=True)(state.params)
    metrics["grad_norm"] = optax.tree.norm((grads.actor, grads.critic))
    state = learner.apply_gradients(grads, state)._replace(weighting_state=weighting_state)
    return UpdateResult(state, metrics, td_error_abs)


Config = FOP
