"""COMA: a central critic estimates each agent's advantage, its action's value over its policy's.

Source: Foerster et al. 2018, "Counterfactual Multi-Agent Policy Gradients".
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.bounds import Fraction, NonNegative, Positive, PositiveInt
from macpo.envs.base import Environment
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import unpack
from macpo.learners.actor_critic import (
    ActorCritic,
    ActorCriticLearner,
    entropy,
)
from macpo.learners.base import About, LearnerState, UpdateResult
from macpo.learners.episodes import decode_rows, pack_episodes, transitions, unroll_agents
from macpo.learners.returns import lambda_return
from macpo.learners.stepwise_critic import update_critic_stepwise
from macpo.nets.action_selection import gather_actions, sample_actions
from macpo.nets.agent import AgentNet
from macpo.nets.critics import AgentCritic, counterfactual_inputs
from macpo.types import Batch, Metrics, Observation, PyTree
from macpo.weighting.normalise import masked_mean
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class COMA(ActorCritic):
    """COMA: a counterfactual baseline (Foerster et al. 2018), with PyMARL2's tuning.

    >>> COMA(sweep_width=1).about.on_policy
    True
    """

    about: ClassVar[About] = About(
        agents="policy",
        critic="Q of an agent's actions, given the others'",
        mixer="–",
        extra="–",
        paper="Foerster et al. 2018",
        on_policy=True,
    )

    td_lambda: Fraction = 0.6
    """PyMARL2; 0.8 in PyMARL."""
    critic_lr: Positive = 5e-4
    """Learning rate of the critic, in both references."""
    entropy_coef: NonNegative = 0.09
    """Coefficient of the policies' entropy (PyMARL2; PyMARL has none)."""
    critic_hidden_dim: PositiveInt = 128
    """Width of the critic's two hidden layers."""
    sweep_width: PositiveInt = 8
    """Env steps per update of the critic; the references have 1. With 8 its optimiser takes a fifth
    of the time."""

    def make(self, env: Environment, weighting: Weighting) -> ActorCriticLearner:
        """The learner."""
        spec, width = env.spec, self.critic_hidden_dim
        actions_size = spec.n_agents * spec.n_actions

        def critic(key: PRNGKeyArray) -> AgentCritic:
            shared, own = spec.state_size + actions_size, spec.obs_size + actions_size
            return AgentCritic(key, spec.n_agents, shared, own, (width, width), spec.n_actions)

        return ActorCriticLearner(env, self, weighting, critic, _update, critic_lr=self.critic_lr)


def _update(
    learner: ActorCriticLearner, state: LearnerState, batch: Batch, key: PRNGKeyArray
) -> UpdateResult:
    """Critic updates from the last to the first step, then a policy update from its outputs."""
    config, episodes, (actor, critic, _) = learner.config, batch.episodes, state.params
    reward, terminal, mask, _ = transitions(episodes)
    packed = pack_episodes(learner.env, episodes)
    unpacked = partial(unpack, packed.packing)

    def policy(actor: AgentNet) -> Float[Array, "S L N A"]:
        outputs = unroll_agents(learner.spec, actor, packed)
        return learner.log_policy(outputs, packed, batch.epsilon)

    # The policies are needed before the critic is updated (targets) and after (loss): one forward
    # pass serves both, and its gradient is pulled back once the loss is known.
    log_pi, pull_back = jax.vjp(policy, actor)

    # 1. Targets: SARSA(λ) of the target network. A truncated episode continues with an action
    #    drawn from its policy.
    drawn = sample_actions(key, log_pi, packed.observation.avail_actions)
    actions = jnp.where(packed.actions < 0, drawn, packed.actions)

    def value(_: None, critic: AgentCritic, __: None, context: PyTree) -> Float[Array, "R N"]:
        encoded_state, actions, last = context
        return _critic_function(critic, decode_rows(learner.env, encoded_state), actions, last)[0]

    context = packed.encoded_state, actions, packed.last_actions
    targets = state.target_networks
    q_target = map_states(value, None, targets.critic, None, context, packed.packing)
    agent_return = partial(lambda_return, reward, terminal, mask)
    target = jax.vmap(agent_return, in_axes=(-1, None, None), out_axes=-1)(
        unpacked(q_target), config.gamma, config.td_lambda
    )

    # 2. The critic.
    new = update_critic_stepwise(
        learner,
        critic,
        state.opt_state.critic,
        _critic_function,
        episodes,
        target,
        jnp.ones_like(reward),
        mask,
        steps_per_update=config.sweep_width,
    )

    # 3. The policies: the counterfactual advantage, A_i = Q(u) − Σ_u' π(u') Q(u_{−i}, u').  Eq. (4)
    baseline = (jnp.exp(unpacked(log_pi))[:, :-1] * new.outputs).sum(-1)
    advantage = new.value - baseline

    def loss(log_pi: Float[Array, "S L N A"]) -> tuple[Float[Array, ""], Metrics]:
        packed_values = gather_actions(log_pi, packed.actions), entropy(log_pi)
        log_pi_taken, h = (unpacked(x)[:, :-1] for x in packed_values)
        agent_mask = jnp.broadcast_to(mask[..., None], h.shape)
        metrics = {
            "loss_policy": -masked_mean(advantage * log_pi_taken, agent_mask),
            "entropy": masked_mean(h, agent_mask),
            "advantage_abs": masked_mean(jnp.abs(advantage), agent_mask),
            "pi_taken_mean": masked_mean(jnp.exp(log_pi_taken), agent_mask),
        }
        return metrics["loss_policy"] - config.entropy_coef * metrics["entropy"], metrics

    (total, metrics), d_log_pi = jax.value_and_grad(loss, has_aux=True)(log_pi)
    grads = pull_back(d_log_pi)[0]
    actor, actor_state = learner.optimise(grads, state.opt_state.actor, actor, config.lr)

    td_error_abs = jnp.abs(new.value - target).mean(-1)
    metrics |= {
        "loss": total + new.loss,
        "loss_critic": new.loss,
        "td_error_abs": masked_mean(td_error_abs, mask),
        "q_taken_mean": masked_mean(new.value.mean(-1), mask),
        "target_mean": masked_mean(target.mean(-1), mask),
        "grad_norm": optax.tree.norm(grads),
    }
    params = state.params._replace(actor=actor, critic=new.critic)
    opt_state = state.opt_state._replace(actor=actor_state, critic=new.opt_state)
    return UpdateResult(state._replace(params=params, opt_state=opt_state), metrics, td_error_abs)


def _critic_function(
    critic: AgentCritic,
    observation: Observation,
    actions: Int[Array, "B N"],
    last_actions: Int[Array, "B N"],
) -> tuple[Float[Array, "B N"], Float[Array, "B N A"]]:
    """(Q of the actions taken, Q of all actions of one agent given those of the others)."""
    obs, state, available = observation
    inputs = counterfactual_inputs(state, obs, actions, last_actions, available.shape[-1])
    q = critic(*inputs)
    return gather_actions(q, actions), q


Config = COMA
