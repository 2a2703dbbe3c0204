"""COMA: a central critic tells each agent how much better its action was than its policy.

Source: Foerster et al. 2018, "Counterfactual Multi-Agent Policy Gradients".
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import unpack
from macpo.learners.actor_critic import (
    ActorCritic,
    ActorCriticLearner,
    Learned,
    Networks,
    entropy,
)
from macpo.learners.backward_critic import sweep
from macpo.learners.base import About, LearnerState
from macpo.learners.episodes import transitions
from macpo.learners.losses import masked_mean
from macpo.learners.returns import lambda_return
from macpo.nets.agent import gather_actions, sample_actions
from macpo.nets.critics import AgentCritic, counterfactual_inputs
from macpo.types import Batch, Observation, PyTree
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Config(ActorCritic):
    """COMA: a counterfactual baseline (Foerster et al. 2018), with PyMARL2's tuning."""

    about: ClassVar[About] = About(
        agents="policy",
        critic="Q of an agent's actions, given the others'",
        mixer="–",
        extra="–",
        paper="Foerster et al. 2018",
        on_policy=True,
    )

    td_lambda: float = 0.6
    """PyMARL2; 0.8 in PyMARL."""
    critic_lr: float = 5e-4
    """Both references."""
    entropy_coef: float = 0.09
    """Coefficient of the policies' entropy (PyMARL2; PyMARL has none)."""
    critic_hidden_dim: int = 128
    """Width of the critic's two hidden layers."""
    sweep_width: int = 8
    """Env steps in an update of the critic; the references have 1, and then its optimiser takes
    a fifth of the time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("critic_lr", "critic_hidden_dim", "sweep_width")
        self.require_not_negative("entropy_coef")

    def make(self, env: Environment, weighting: Weighting) -> ActorCriticLearner:
        """The learner."""
        spec, width = env.spec, self.critic_hidden_dim
        actions_size = spec.n_agents * spec.n_actions

        def critic(key: PRNGKeyArray) -> AgentCritic:
            shared, own = spec.state_size + actions_size, spec.obs_size + actions_size
            return AgentCritic(key, spec.n_agents, shared, own, (width, width), spec.n_actions)

        return ActorCriticLearner(env, self, weighting, critic, _learn, critic_lr=self.critic_lr)


def _learn(
    learner: ActorCriticLearner, state: LearnerState, batch: Batch, key: PRNGKeyArray
) -> Learned:
    """A sweep of the critic, then one step of the policies on what it said."""
    config, episodes, (actor, critic, beside) = learner.config, batch.episodes, state.params
    mask, terminal = transitions(episodes)
    replayed = learner.replay(episodes)

    def policy(actor: PyTree) -> Float[Array, "S L N A"]:
        return learner.log_policy(learner.outputs(actor, replayed), replayed, batch.epsilon)

    def unpacked(x: Array) -> Array:
        return unpack(replayed.packing, x)

    log_pi, pull_back = jax.vjp(policy, actor)

    # 1. Targets: SARSA(λ) of the slow critic. Where an episode was cut off, it goes on with an
    #    action drawn from its policy.
    drawn = sample_actions(key, log_pi, replayed.observation.avail_actions)
    actions = jnp.where(replayed.stored < 0, drawn, replayed.stored)

    def value(_: None, critic: PyTree, __: None, context: PyTree) -> Array:
        encoded_state, actions, last = context
        return _judge(critic, learner.state_of(encoded_state), actions, last)[0]

    context = replayed.encoded_state, actions, replayed.last
    q_target = map_states(value, None, state.targets.critic, None, context, replayed.packing)
    of_agent = partial(lambda_return, episodes.reward, terminal, mask)
    target = jax.vmap(of_agent, in_axes=(-1, None, None), out_axes=-1)(
        unpacked(q_target), config.gamma, config.td_lambda
    )

    # 2. The critic.
    even = jnp.ones_like(episodes.reward)
    batches = episodes, target, even, mask
    swept = sweep(
        learner, critic, state.optimiser.critic, _judge, *batches, width=config.sweep_width
    )

    # 3. The policies: the counterfactual advantage, A_i = Q(u) − Σ_u' π(u') Q(u_{−i}, u').  Eq. (4)
    baseline = (jnp.exp(unpacked(log_pi))[:, :-1] * swept.judgement).sum(-1)
    advantage = swept.value - baseline

    def loss(log_pi: Array) -> tuple[Array, dict[str, Array]]:
        packed = gather_actions(log_pi, replayed.stored), entropy(log_pi)
        log_pi_taken, h = (unpacked(x)[:, :-1] for x in packed)
        of_agents = jnp.broadcast_to(mask[..., None], h.shape)
        metrics = {
            "loss_policy": -masked_mean(advantage * log_pi_taken, of_agents),
            "entropy": masked_mean(h, of_agents),
            "advantage_abs": masked_mean(jnp.abs(advantage), of_agents),
            "pi_taken_mean": masked_mean(jnp.exp(log_pi_taken), of_agents),
        }
        return metrics["loss_policy"] - config.entropy_coef * metrics["entropy"], metrics

    (total, metrics), d_log_pi = jax.value_and_grad(loss, has_aux=True)(log_pi)
    grads = pull_back(d_log_pi)[0]
    actor, of_actor = learner.step(grads, state.optimiser.actor, actor, config.lr)
    td_error_abs = jnp.abs(swept.value - target).mean(-1)
    metrics |= {
        "loss": total + swept.loss,
        "loss_critic": swept.loss,
        "td_error_abs": masked_mean(td_error_abs, mask),
        "q_taken_mean": masked_mean(swept.value.mean(-1), mask),
        "target_mean": masked_mean(target.mean(-1), mask),
        "grad_norm": optax.tree.norm(grads),
    }
    params = Networks(actor, swept.critic, beside)
    optimisers = state.optimiser._replace(actor=of_actor, critic=swept.optimiser)
    return Learned(params, None, optimisers, state.weighting, metrics, td_error_abs)


def _judge(
    critic: AgentCritic,
    observation: Observation,
    actions: Int[Array, "B N"],
    last: Int[Array, "B N"],
) -> tuple[Float[Array, "B N"], Float[Array, "B N A"]]:
    """(Q of the actions taken, Q of all actions of one agent while the others keep theirs)."""
    n_actions = observation.avail_actions.shape[-1]
    q = critic(*counterfactual_inputs(observation.state, observation.obs, actions, last, n_actions))
    return gather_actions(q, actions), q
