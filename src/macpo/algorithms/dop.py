"""DOP: a linearly decomposed critic, learned on- and off-policy, trains each agent's policy.

Source: Wang et al. 2021, "DOP: Off-Policy Multi-Agent Decomposed Policy Gradients". As in the
released code the decomposition has no bias and its coefficients sum to one.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.bounds import Fraction, Positive, PositiveInt
from macpo.envs.base import Environment
from macpo.field_types import Settings
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import unpack
from macpo.learners.actor_critic import ActorCriticLearner
from macpo.learners.auxiliary_network import AuxiliaryNetworks
from macpo.learners.base import About, LearnerState, UpdateResult
from macpo.learners.episodes import (
    PackedEpisodes,
    decode_rows,
    pack_episodes,
    transitions,
    unroll_agents,
)
from macpo.learners.hyperparameters import OptimiserName
from macpo.learners.replay_actor_critic import (
    CriticOutput,
    CriticWeights,
    ReplayActorCritic,
    weight_critics,
)
from macpo.learners.returns import episode_return, lambda_return
from macpo.learners.stepwise_critic import Direction, update_critic_stepwise
from macpo.nets.action_selection import gather_actions, greedy
from macpo.nets.agent import AgentNet
from macpo.nets.critics import AgentCritic, dueling
from macpo.nets.mixers import LinearMixer
from macpo.types import Batch, Episodes, Observation, PyTree
from macpo.weighting.normalise import masked_mean
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class DOP(ReplayActorCritic):
    """DOP: a linear mixture of critics, on- and off-policy (Wang et al. 2021), PyMARL2's tuning.

    >>> DOP(tree_lambda=0.8).on_policy_batch_size
    32
    """

    about: ClassVar[About] = About(
        agents="policy",
        critic="Q of each agent's actions",
        mixer="linear",
        extra="Q* where the weighting needs it",
        paper="Wang et al. 2021",
    )
    schedule: ClassVar[Settings] = {
        "batch_size": 64,
        "updates_per_iteration": 1,
        "target_update_interval": 24,  # about 600 steps of the critic
        "epsilon_start": 0.5,
        "epsilon_anneal_time": 500_000,
    }

    optimiser: OptimiserName = "rmsprop"
    """Both references."""
    critic_lr: Positive = 5e-4
    """PyMARL2 in effect; 1e-4 in the released code and in PyMARL2's configuration."""
    on_policy_batch_size: PositiveInt = 32
    """Newest episodes added to the batch of each update; the policies learn from these alone."""
    tree_lambda: Fraction = 0.93
    """λ of the tree backup, for the episodes of the batch."""
    epsilon_in_policy: bool = True
    """Both references."""
    critic_hidden_dim: PositiveInt = 256
    """Width of the critic's two hidden layers."""
    mixing_embed_dim: PositiveInt = 32
    """Width of the mixing coefficients' inner product."""
    sweep_width: PositiveInt = 1
    """Env steps per update of the critic; 1 as in the references."""
    sweep_direction: Direction = "forward"
    """In time, of the critic's updates over the episodes; forward as in the references."""

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
            _update,
            critic_lr=self.critic_lr,
            on_policy_episodes=self.on_policy_batch_size,
        )


class Critic(NamedTuple):
    """Q_tot(u) = Σ_i k_i(s) Q_i(u_i)."""

    agents: AgentCritic
    mixer: LinearMixer


class Decomposition(NamedTuple):
    """The terms of Q_tot."""

    q: Float[Array, "*B N A"]
    """Values of all actions of every agent."""
    k: Float[Array, "*B N"]
    """Coefficients of the agents' values."""


def _critic_function(
    critic: Critic,
    observation: Observation,
    actions: Int[Array, "B N"],
    last_actions: Int[Array, "B N"],
) -> tuple[Float[Array, " B"], Decomposition]:
    """(Q_tot of the actions taken, its terms)."""
    obs, state, _ = observation
    q, k = dueling(critic.agents(state, obs)), critic.mixer.weights(state)
    return (k * gather_actions(q, actions)).sum(-1), Decomposition(q, k)


class _TeamValues(NamedTuple):
    """Q_tot in every state of the episodes."""

    q_taken: Float[Array, "B Tp1"]
    q_expected: Float[Array, "B Tp1"]
    """The expectation under the policies; exact, since the mixture is linear."""


def _team_values(
    learner: ActorCriticLearner, critic: Critic, packed: PackedEpisodes, pi: Float[Array, "S L N A"]
) -> _TeamValues:
    def values_of_rows(_: None, critic: Critic, __: None, context: PyTree) -> _TeamValues:
        encoded_state, taken, pi = context
        observation = decode_rows(learner.env, encoded_state)
        q_taken, (q, k) = _critic_function(critic, observation, taken, taken)
        return _TeamValues(q_taken, (k * (pi * q).sum(-1)).sum(-1))

    context = packed.encoded_state, packed.actions, pi
    values = map_states(values_of_rows, None, critic, None, context, packed.packing)
    return jax.tree.map(partial(unpack, packed.packing), values)


def _on_policy_target(
    learner: ActorCriticLearner,
    target_critic: Critic,
    episodes: Episodes,
    packed: PackedEpisodes,
    log_pi: Float[Array, "S L N A"],
) -> Float[Array, "B T"]:
    """SARSA(λ) of the target network. A truncated episode continues with the expectation under its
    policy."""
    config = learner.config
    reward, terminal, mask, _ = transitions(episodes)
    values = _team_values(learner, target_critic, packed, jnp.exp(log_pi))
    played = jnp.pad(mask, ((0, 0), (0, 1)))
    value = jnp.where(played, values.q_taken, values.q_expected)
    return lambda_return(reward, terminal, mask, value, config.gamma, config.td_lambda)


def _off_policy_output(
    learner: ActorCriticLearner,
    state: LearnerState,
    episodes: Episodes,
    packed: PackedEpisodes,
    log_pi: Float[Array, "S L N A"],
) -> CriticOutput:
    """What the weights of replayed steps depend on; their targets are tree backups.  Eq. (8)"""
    config = learner.config
    reward, terminal, mask, _ = transitions(episodes)
    values = _team_values(learner, state.target_networks.critic, packed, jnp.exp(log_pi))
    pi_taken = unpack(packed.packing, jnp.exp(gather_actions(log_pi, packed.actions)))
    trace = config.tree_lambda * pi_taken.prod(-1)  # λ Π_i π_i(u_i)
    q_expected, q_taken = values.q_expected, values.q_taken
    target = episode_return(reward, terminal, mask, q_expected, q_taken, trace, config.gamma)
    q = q_taken
    if "q" in learner.weighting.needs:
        q = _team_values(learner, state.params.critic, packed, jnp.exp(log_pi)).q_taken
    likeliest = greedy(log_pi, packed.observation.avail_actions)
    return CriticOutput(
        q=q[:, :-1, None],
        q_of_target_net=q_taken[:, :-1, None],
        target=target,
        pi_taken=pi_taken[:, :-1],
        greedy=unpack(packed.packing, likeliest),
    )


def _update(
    learner: ActorCriticLearner, state: LearnerState, batch: Batch, key: PRNGKeyArray
) -> UpdateResult:
    """Critic updates on old and new episodes, then one policy update."""
    config, (actor, critic, auxiliary) = learner.config, state.params
    old, new = batch.episodes, batch.recent
    assert new is not None
    mask, new_mask = transitions(old).mask, transitions(new).mask

    def policy(packed: PackedEpisodes, actor: AgentNet) -> Float[Array, "S L N A"]:
        outputs = unroll_agents(learner.spec, actor, packed)
        return learner.log_policy(outputs, packed, batch.epsilon)

    # 1. Targets. The policies of new episodes are needed here and, after the critic's updates, in
    #    their loss: one forward pass serves both, and its gradient is pulled back once the loss is
    #    known.
    new_packed = pack_episodes(learner.env, new)
    log_pi, pull_back = jax.vjp(partial(policy, new_packed), actor)
    target_critic = state.target_networks.critic
    new_target = _on_policy_target(learner, target_critic, new, new_packed, log_pi)
    packed = pack_episodes(learner.env, old)
    old_log_pi = jax.lax.stop_gradient(policy(packed, actor))
    out = _off_policy_output(learner, state, old, packed, old_log_pi)

    # 2. The weights of the old ones.
    def auxiliary_loss(auxiliary: AuxiliaryNetworks) -> tuple[Float[Array, ""], CriticWeights]:
        weighted = weight_critics(learner, auxiliary, state, batch, key, out)
        return weighted.auxiliary_loss, weighted

    grads, weighted = jax.grad(auxiliary_loss, has_aux=True)(auxiliary)
    state = learner.apply_auxiliary_gradients(grads, state)
    weights = weighted.weights[..., 0]

    # 3. The critic: old steps with their weights, new ones unweighted.
    both = jax.tree.map(
        lambda *x: jnp.concatenate(x),
        (old, out.target, weights, mask),
        (new, new_target, jnp.ones_like(new_target), new_mask),
    )
    updated = update_critic_stepwise(
        learner,
        critic,
        state.opt_state.critic,
        _critic_function,
        *both,
        steps_per_update=config.sweep_width,
        direction=config.sweep_direction,
    )
    q_taken = updated.value[: len(mask)]
    td_error_abs = jnp.abs(q_taken - out.target)

    # 4. The policies of new episodes: k_i times the counterfactual advantage.  Eq. (6)
    q, k = jax.tree.map(lambda x: x[len(mask) :], updated.outputs)
    pi = unpack(new_packed.packing, jnp.exp(log_pi))[:, :-1]
    advantage = k * (gather_actions(q, new.actions) - (pi * q).sum(-1))

    def loss(log_pi: Float[Array, "S L N A"]) -> Float[Array, ""]:
        log_pi_of_taken = gather_actions(log_pi, new_packed.actions)
        log_pi_taken = unpack(new_packed.packing, log_pi_of_taken)[:, :-1]
        agent_mask = jnp.broadcast_to(new_mask[..., None], advantage.shape)
        return -masked_mean(advantage * log_pi_taken, agent_mask)

    loss_policy, d_log_pi = jax.value_and_grad(loss)(log_pi)
    grads = pull_back(d_log_pi)[0]
    actor, actor_state = learner.optimise(grads, state.opt_state.actor, actor, config.lr)

    metrics = weighted.metrics | {
        "loss": loss_policy + updated.loss,
        "loss_policy": loss_policy,
        "loss_critic": updated.loss,
        "advantage_abs": masked_mean(jnp.abs(advantage).mean(-1), new_mask),
        "td_error_abs": masked_mean(td_error_abs, mask),
        "q_taken_mean": masked_mean(q_taken, mask),
        "target_mean": masked_mean(out.target, mask),
        "grad_norm": optax.tree.norm(grads),
    }
    state = state._replace(
        params=state.params._replace(actor=actor, critic=updated.critic),
        opt_state=state.opt_state._replace(actor=actor_state, critic=updated.opt_state),
        weighting_state=weighted.weighting_state,
    )
    return UpdateResult(state, metrics, td_error_abs)


Config = DOP
