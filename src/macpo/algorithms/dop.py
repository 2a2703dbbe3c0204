"""DOP: a linearly decomposed critic, learned on- and off-policy, guides each agent on its own.

Source: Wang et al. 2021, "DOP: Off-Policy Multi-Agent Decomposed Policy Gradients". As in the
released code the decomposition has no bias and its coefficients add up to one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import unpack
from macpo.learners.actor_critic import (
    ActorCriticLearner,
    Beside,
    Learned,
    Networks,
    Optimisers,
    Replayed,
)
from macpo.learners.backward_critic import sweep
from macpo.learners.base import About, LearnerState
from macpo.learners.critic_weighting import Judged, OffPolicy, Weights, weigh
from macpo.learners.episodes import transitions
from macpo.learners.hyperparameters import OptimiserName
from macpo.learners.losses import masked_mean
from macpo.learners.returns import episode_return, lambda_return
from macpo.nets.agent import gather_actions, greedy
from macpo.nets.critics import AgentCritic, dueling
from macpo.nets.mixers import LinearMixer
from macpo.types import Batch, Observation, PyTree
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Config(OffPolicy):
    """DOP: a linear mixture of critics, on- and off-policy (Wang et al. 2021), PyMARL2's tuning."""

    about: ClassVar[About] = About(
        agents="policy",
        critic="Q of each agent's actions",
        mixer="linear",
        extra="Q* where the weighting needs it",
        paper="Wang et al. 2021",
    )
    schedule: ClassVar[Mapping[str, Any]] = {
        "batch_size": 64,
        "target_update_interval": 24,  # about 600 steps of the critic
        "epsilon_start": 0.5,
        "epsilon_anneal_time": 500_000,
    }

    optimiser: OptimiserName = "rmsprop"
    """Both references."""
    critic_lr: float = 5e-4
    """PyMARL2 in effect; 1e-4 in the released code and in PyMARL2's configuration."""
    on_policy_batch_size: int = 32
    """Newest episodes beside each batch; the policies learn from these alone."""
    tree_lambda: float = 0.93
    """λ of the tree backup, for the episodes of the batch."""
    epsilon_in_policy: bool = True
    """Both references."""
    critic_hidden_dim: int = 256
    """Width of the critic's two hidden layers."""
    mixing_embed_dim: int = 32
    """Width of the mixing coefficients' inner product."""
    sweep_width: int = 1
    """Env steps in an update of the critic, as in the references."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive(
            "on_policy_batch_size", "critic_hidden_dim", "mixing_embed_dim", "sweep_width"
        )
        self.require_fraction("tree_lambda")

    def make(self, env: Environment, weighting: Weighting) -> ActorCriticLearner:
        """The learner."""
        self.require_team_weights("dop", weighting)
        spec, width = env.spec, self.critic_hidden_dim

        def critic(key: PRNGKeyArray) -> Critic:
            k_agents, k_mixer = jax.random.split(key)
            sizes = spec.n_agents, spec.state_size, spec.obs_size
            agents = AgentCritic(k_agents, *sizes, (width, width), spec.n_actions + 1)
            embed = self.mixing_embed_dim
            return Critic(agents, LinearMixer(k_mixer, spec.n_agents, spec.state_size, embed))

        return ActorCriticLearner(
            env,
            self,
            weighting,
            critic,
            _learn,
            critic_lr=self.critic_lr,
            on_policy_episodes=self.on_policy_batch_size,
        )


class Critic(NamedTuple):
    """Q_tot(u) = Σ_i k_i(s) Q_i(u_i)."""

    agents: AgentCritic
    mixer: LinearMixer


class Judgement(NamedTuple):
    """What the critic says of a step."""

    q: Float[Array, "*B N A"]
    k: Float[Array, "*B N"]


def _judge(
    critic: Critic, observation: Observation, actions: Int[Array, "B N"], last: Int[Array, "B N"]
) -> tuple[Float[Array, " B"], Judgement]:
    """(Q_tot of the actions taken, all it is made of)."""
    q, k = (
        dueling(critic.agents(observation.state, observation.obs)),
        critic.mixer.weights(observation.state),
    )
    return (k * gather_actions(q, actions)).sum(-1), Judgement(q, k)


class _Slow(NamedTuple):
    """What the slow critic says of the states of episodes."""

    q_taken: Float[Array, "B Tp1"]
    q_expected: Float[Array, "B Tp1"]
    """Of the policies; exact, since the mixture is linear."""


def _evaluate(
    learner: ActorCriticLearner, critic: Critic, replayed: Replayed, pi: Float[Array, "S L N A"]
) -> _Slow:
    def of_states(_: None, critic: Critic, __: None, context: PyTree) -> _Slow:
        encoded_state, stored, pi = context
        q_taken, (q, k) = _judge(critic, learner.state_of(encoded_state), stored, stored)
        return _Slow(q_taken, (k * (pi * q).sum(-1)).sum(-1))

    context = replayed.encoded_state, replayed.stored, pi
    packed = map_states(of_states, None, critic, None, context, replayed.packing)
    return jax.tree.map(partial(unpack, replayed.packing), packed)


def _learn(
    learner: ActorCriticLearner, state: LearnerState, batch: Batch, key: PRNGKeyArray
) -> Learned:
    """A sweep of the critic over old and new episodes, then one step of the policies."""
    config, (actor, critic, beside), new = learner.config, state.params, batch.recent
    assert new is not None
    old = batch.episodes

    def policy(replayed: Replayed, actor: PyTree) -> Float[Array, "S L N A"]:
        return learner.log_policy(learner.outputs(actor, replayed), replayed, batch.epsilon)

    # 1. Targets of the new episodes: SARSA(λ) of the slow critic. Where an episode was cut off, it
    #    goes on with what its policy is expected to do.
    of_new = learner.replay(new)
    log_pi, pull_back = jax.vjp(partial(policy, of_new), actor)
    slow = _evaluate(learner, state.targets.critic, of_new, jnp.exp(log_pi))
    new_mask, terminal = transitions(new)
    played = jnp.pad(new_mask, ((0, 0), (0, 1)))
    value = jnp.where(played, slow.q_taken, slow.q_expected)
    new_target = lambda_return(
        new.reward, terminal, new_mask, value, config.gamma, config.td_lambda
    )

    # 2. Targets of the old ones: tree backup, with the trace λ Π_i π_i(u_i).  Eq. (8)
    of_old = learner.replay(old)
    old_log_pi = jax.lax.stop_gradient(policy(of_old, actor))
    slow = _evaluate(learner, state.targets.critic, of_old, jnp.exp(old_log_pi))
    mask, terminal = transitions(old)
    pi_taken = unpack(of_old.packing, jnp.exp(gather_actions(old_log_pi, of_old.stored)))
    trace = config.tree_lambda * pi_taken.prod(-1)
    target = episode_return(
        old.reward, terminal, mask, slow.q_expected, slow.q_taken, trace, config.gamma
    )

    # 3. The weights of the old ones.
    q = slow.q_taken
    if "q" in learner.weighting.needs:
        q = _evaluate(learner, critic, of_old, jnp.exp(old_log_pi)).q_taken
    judged = Judged(
        q=q[:, :-1, None],
        q_of_target_net=slow.q_taken[:, :-1, None],
        target=target,
        pi_taken=pi_taken[:, :-1],
        likeliest=unpack(of_old.packing, greedy(old_log_pi, of_old.observation.avail_actions)),
    )

    def loss_beside(beside: Beside) -> tuple[Array, Weights]:
        made = weigh(learner, beside, state, batch, key, judged)
        return made.loss, made

    grads, made = jax.grad(loss_beside, has_aux=True)(beside)
    beside, slow_error, of_central, of_estimators = learner.step_beside(grads, state)
    weights = made.weights[..., 0]

    # 4. The critic: old steps by their weights, new ones all the same.
    both = jax.tree.map(
        lambda *x: jnp.concatenate(x),
        (old, target, weights, mask),
        (new, new_target, jnp.ones_like(new_target), new_mask),
    )
    swept = sweep(learner, critic, state.optimiser.critic, _judge, *both, width=config.sweep_width)
    td_error_abs = jnp.abs(swept.value[: len(mask)] - target)

    # 5. The policies of new episodes: k_i times the counterfactual advantage.  Eq. (6)
    q, k = jax.tree.map(lambda x: x[len(mask) :], swept.judgement)
    pi = unpack(of_new.packing, jnp.exp(log_pi))[:, :-1]
    advantage = k * (gather_actions(q, new.actions) - (pi * q).sum(-1))

    def loss(log_pi: Array) -> Array:
        log_pi_taken = unpack(of_new.packing, gather_actions(log_pi, of_new.stored))[:, :-1]
        of_agents = jnp.broadcast_to(new_mask[..., None], advantage.shape)
        return -masked_mean(advantage * log_pi_taken, of_agents)

    loss_policy, d_log_pi = jax.value_and_grad(loss)(log_pi)
    grads = pull_back(d_log_pi)[0]
    actor, of_actor = learner.step(grads, state.optimiser.actor, actor, config.lr)
    metrics = made.metrics | {
        "loss": loss_policy + swept.loss,
        "loss_policy": loss_policy,
        "loss_critic": swept.loss,
        "advantage_abs": masked_mean(jnp.abs(advantage).mean(-1), new_mask),
        "td_error_abs": masked_mean(td_error_abs, mask),
        "q_taken_mean": masked_mean(swept.value[: len(mask)], mask),
        "target_mean": masked_mean(target, mask),
        "grad_norm": optax.tree.norm(grads),
    }
    params = Networks(actor, swept.critic, beside)
    optimisers = Optimisers(of_actor, swept.optimiser, of_central, of_estimators)
    return Learned(params, slow_error, optimisers, made.state, metrics, td_error_abs)
