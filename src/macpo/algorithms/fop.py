"""FOP: maximum-entropy policies of the agents, improved by twin factored critics.

Source: Zhang et al. 2021, "FOP: Factorizing Optimal Joint Policy of Maximum-Entropy Multi-Agent
Reinforcement Learning". The released code adds the entropy to the target once, outside the
λ-return, undiscounted, as a mean over agents and even where an episode has ended;
`entropy_in_return` puts it where the theory has it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import pack, unpack
from macpo.kernels.shard import map_over_devices
from macpo.learners.actor_critic import (
    ActorCriticLearner,
    Learned,
    Networks,
    entropy,
)
from macpo.learners.base import About, LearnerState
from macpo.learners.critic_weighting import Judged, OffPolicy, weigh
from macpo.learners.episodes import transitions
from macpo.learners.hyperparameters import OptimiserName
from macpo.learners.losses import masked_mean, weighted_squared_error
from macpo.learners.returns import lambda_return
from macpo.nets.agent import gather_actions, greedy, possible_actions
from macpo.nets.critics import AgentCritic
from macpo.nets.linear import MLP
from macpo.nets.mixers import DuelWeights, duel
from macpo.types import Batch, Episodes, Observation, PyTree
from macpo.weighting.loss import weighted_loss
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Config(OffPolicy):
    """FOP: factored soft policies (Zhang et al. 2021), with the released code's constants."""

    about: ClassVar[About] = About(
        agents="policy",
        critic="twin Q of each agent's actions",
        mixer="duel, of soft values",
        extra="Q* where the weighting needs it",
        paper="Zhang et al. 2021",
    )
    schedule: ClassVar[Mapping[str, Any]] = {
        "batch_size_run": 1,
        "batch_size": 32,
        "epsilon_anneal_time": 50_000,
    }

    optimiser: OptimiserName = "rmsprop"
    """The released code."""
    optim_eps: float = 1e-5
    """The released code."""
    temperature_start: float = 0.5
    """α, what a nat of entropy is worth, at env step 0."""
    temperature_finish: float = 0.05
    """α once annealed."""
    temperature_anneal_time: int = 90_000
    """Env steps over which α falls linearly."""
    entropy_in_return: bool = True
    """Whether the bootstrapped values contain the entropy; see the module."""
    epsilon_in_policy: bool = True
    """The released code."""
    critic_hidden_dim: int = 64
    """Width of the critics' two hidden layers."""
    mixing_embed_dim: int = 32
    """Width of the hidden layer of the mixers' state value."""
    n_heads: int = 4
    """Heads of the mixers' weights λ."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive(
            "temperature_start",
            "temperature_finish",
            "temperature_anneal_time",
            "critic_hidden_dim",
            "mixing_embed_dim",
            "n_heads",
        )

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

        return ActorCriticLearner(env, self, weighting, twins, _learn, critic_lr=self.critic_lr)

    def temperature(self, env_steps: Int[Array, ""] | int) -> Float[Array, ""]:
        """α after so many env steps: linear, then flat."""
        left = jnp.clip(1.0 - env_steps / self.temperature_anneal_time, 0.0, 1.0)
        return self.temperature_finish + left * (self.temperature_start - self.temperature_finish)


class Critic(NamedTuple):
    """One of the twins: values of the agents' actions, and what mixes them."""

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


class _Said(NamedTuple):
    """What all networks say of stored episodes."""

    q_tot: Float[Array, "B Tp1 K"]
    """Each twin's value of the actions taken."""
    q_slow: Float[Array, "B Tp1 K"]
    """The same of the slow twins."""
    q_next: Float[Array, "B Tp1"]
    """The smaller of the slow twins' values of actions drawn from the policies."""
    log_pi_next: Float[Array, "B Tp1 N"]
    """log π of those."""
    pi_taken: Float[Array, "B Tp1 N"]
    likeliest: Int[Array, "B Tp1 N"]
    loss_policy: Float[Array, "B Tp1 N"]
    """Σ_u π_i(u) (α log π_i(u) − min_k Q_i^k(u))."""
    entropy: Float[Array, "B Tp1 N"]


class _Now(NamedTuple):
    """What is annealed."""

    temperature: Float[Array, ""]
    epsilon: Float[Array, ""]


def _evaluate(
    learner: ActorCriticLearner,
    constants: PyTree,
    batch: tuple[Episodes, Float[Array, "B Tp1 N A"]],
) -> _Said:
    params, (targets, now) = constants
    episodes, noise = batch
    replayed = learner.replay(episodes)
    log_pi = learner.log_policy(learner.outputs(params.actor, replayed), replayed, now.epsilon)
    drawn = greedy(log_pi + pack(replayed.packing, noise), replayed.observation.avail_actions)

    needs_slow = "q_of_target_net" in learner.weighting.needs

    def of_states(twins: PyTree, frozen: PyTree, _: None, context: PyTree) -> tuple[Array, ...]:
        (slow, temperature), (encoded_state, stored, drawn) = frozen, context
        observation = learner.state_of(encoded_state)

        def joint(critics: PyTree, q: list[Array], actions: Array) -> list[Array]:
            pairs = zip(critics, q, strict=True)
            return [critic.joint(x, actions, observation, temperature) for critic, x in pairs]

        q, q_slow = ([c.all_actions(observation.obs) for c in critics] for critics in (twins, slow))
        q_tot = joint(twins, q, stored)
        of_slow = joint(slow, q_slow, stored) if needs_slow else q_tot
        q_next = jnp.minimum(*joint(slow, q_slow, drawn))
        smaller = jax.lax.stop_gradient(jnp.minimum(*q))
        return jnp.stack(q_tot, -1), jnp.stack(of_slow, -1), q_next, smaller

    frozen, context = (targets, now.temperature), (replayed.encoded_state, replayed.stored, drawn)
    q_tot, q_slow, q_next, q = map_states(
        of_states, params.critic, frozen, None, context, replayed.packing
    )
    pi = jnp.exp(log_pi)
    said = _Said(
        q_tot,
        q_slow,
        q_next,
        gather_actions(log_pi, drawn),
        jnp.exp(gather_actions(log_pi, replayed.stored)),
        greedy(log_pi, replayed.observation.avail_actions),
        (pi * (now.temperature * log_pi - q)).sum(-1),
        entropy(log_pi),
    )
    return jax.tree.map(partial(unpack, replayed.packing), said)


def _learn(
    learner: ActorCriticLearner, state: LearnerState, batch: Batch, key: PRNGKeyArray
) -> Learned:
    """One step of the policies on the twins' smaller values, one of the twins on soft returns."""
    config, episodes, spec = learner.config, batch.episodes, learner.spec
    mask, terminal = transitions(episodes)
    now = _Now(config.temperature(batch.env_steps), jnp.asarray(batch.epsilon))
    n_states = episodes.reward.shape[1] + 1
    noise_key, weigh_key = jax.random.split(key)
    noise = jax.random.gumbel(noise_key, (len(mask), n_states, spec.n_agents, spec.n_actions))
    evaluate = partial(_evaluate, learner)

    def loss(params: Networks) -> tuple[Array, tuple[dict[str, Array], PyTree, Array]]:
        constants = params, jax.lax.stop_gradient((state.targets.critic, now))
        said = map_over_devices(evaluate, constants, (episodes, noise))

        # 1. The target, with the entropy of what the policies would do next.
        bonus = -now.temperature * jax.lax.stop_gradient(said.log_pi_next)  # [B, T+1, N]
        value = said.q_next + (bonus.sum(-1) if config.entropy_in_return else 0.0)
        target = lambda_return(
            episodes.reward, terminal, mask, value, config.gamma, config.td_lambda
        )
        if not config.entropy_in_return:
            target += bonus.mean(-1)[:, 1:]

        # 2. The twins.
        judged = Judged(
            q=said.q_tot[:, :-1],
            q_of_target_net=said.q_slow[:, :-1],
            target=target,
            pi_taken=said.pi_taken[:, :-1],
            likeliest=said.likeliest,
        )
        made = weigh(learner, params.beside, state, batch, weigh_key, judged)
        td_error = said.q_tot[:, :-1] - target[..., None]
        of_twins = [
            weighted_squared_error(td_error[..., k], made.weights[..., k], mask) for k in range(2)
        ]
        loss_critic = of_twins[0] + of_twins[1]

        # 3. The policies.
        of_agents = jnp.broadcast_to(mask[..., None], (*mask.shape, spec.n_agents))
        importance = batch.importance[:, None, None]
        loss_policy = weighted_loss(said.loss_policy[:, :-1], importance, of_agents)
        total = loss_policy + loss_critic
        td_error_abs = jnp.abs(td_error).mean(-1)
        metrics = made.metrics | {
            "loss": total,
            "loss_policy": loss_policy,
            "loss_critic": loss_critic,
            "entropy": masked_mean(said.entropy[:, :-1], of_agents),
            "temperature": now.temperature,
            "td_error_abs": masked_mean(td_error_abs, mask),
            "q_taken_mean": masked_mean(judged.q.mean(-1), mask),
            "target_mean": masked_mean(target, mask),
        }
        return total + made.loss, (metrics, made.state, td_error_abs)

    grads, (metrics, weighting, td_error_abs) = jax.grad(loss, has_aux=True)(state.params)
    metrics["grad_norm"] = optax.tree.norm((grads.actor, grads.critic))
    return Learned(*learner.descend(grads, state), weighting, metrics, td_error_abs)
