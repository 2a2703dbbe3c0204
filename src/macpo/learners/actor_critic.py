"""The actor-critic learner: recurrent policies of the agents, and a critic that improves them.

COMA, VDAC, MAPPO, DOP and FOP differ in critic, return and policy loss. Each supplies its critic's
networks and one function, an `UpdateRule`, that performs an update.

Policies are softmaxes over available actions. Exploration mixes in the uniform policy; references
differ in whether the policy that is learned includes it (`epsilon_in_policy`).
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.bounds import Fraction, Positive
from macpo.envs.base import Environment
from macpo.field_types import Settings
from macpo.learners import auxiliary_network
from macpo.learners.auxiliary import N_KEYS, Auxiliary, auxiliary_networks
from macpo.learners.base import LearnerState, RecentEpisodes, UpdateResult
from macpo.learners.central_critic import CentralCritic
from macpo.learners.episodes import PackedEpisodes, transitions
from macpo.learners.hyperparameters import Hyperparameters, optimiser_step
from macpo.nets.action_selection import greedy, log_policy, mix_with_uniform, sample_actions
from macpo.nets.agent import AgentNet, agents_step, initial_hidden, make_agent
from macpo.nets.value_network import central_value
from macpo.types import Batch, Observation, PyTree, Spec
from macpo.weighting.weighting import Weighting

ON_POLICY: Settings = MappingProxyType(
    {
        "batch_size_run": 8,
        "batch_size": 8,
        "updates_per_iteration": 1,
        "buffer_size": 8,
        "target_update_interval": 8,
        "epsilon_start": 0.5,
        "epsilon_finish": 0.01,
    }
)
"""One update after every 8 episodes, on those; exploration as in PyMARL's policy gradients."""


@dataclass(frozen=True)
class ActorCritic(Hyperparameters):
    """Hyper-parameters shared by the actor-critic algorithms; PyMARL2's names and values.

    Example:
        >>> from macpo.algorithms import COMA
        >>> issubclass(COMA, ActorCritic), ActorCritic(lr=1e-3).lr
        (True, 0.001)
    """

    schedule: ClassVar[Settings] = ON_POLICY

    lr: Positive = 5e-4
    """Learning rate of the policy."""
    td_lambda: Fraction = 0.8
    """λ of the return (PyMARL)."""
    epsilon_in_policy: bool = False
    """Whether the learned policy includes exploration (PyMARL), or exploration is added to it."""


class ActorCriticNetworks(NamedTuple):
    """The policy, its critic, and the networks that a weighting needs."""

    actor: AgentNet
    critic: PyTree
    auxiliary: auxiliary_network.AuxiliaryNetworks


class TargetNetworks(NamedTuple):
    """Target networks: of the critic, and of auxiliary networks."""

    critic: PyTree
    auxiliary: auxiliary_network.AuxiliaryNetworks


class OptStates(NamedTuple):
    """States of the optimisers; if policy and critic share one, its state is `actor`."""

    actor: optax.OptState
    critic: optax.OptState
    auxiliary: dict[str, optax.OptState]


UpdateRule: TypeAlias = Callable[
    ["ActorCriticLearner", LearnerState, Batch, PRNGKeyArray], UpdateResult
]
"""An algorithm's update; its TD errors are arbitrary on padding."""


@dataclass(frozen=True)
class ActorCriticLearner:
    """An algorithm with a policy for each agent and a critic; its `update_rule` is the method.

    Example:
        >>> from macpo.algorithms import MAPPO
        >>> from macpo.envs import TwoStep
        >>> from macpo.weighting import Uniform
        >>> learner = MAPPO().make(TwoStep().make(), Uniform())
        >>> type(learner).__name__, learner.spec.n_agents
        ('ActorCriticLearner', 2)
    """

    env: Environment
    config: Any  # the algorithm's own subclass of ActorCritic, which its update rule reads
    weighting: Weighting
    make_critic: Callable[[PRNGKeyArray], PyTree] = field(repr=False)
    update_rule: UpdateRule = field(repr=False)
    initialise: Callable[[PRNGKeyArray, ActorCriticNetworks], ActorCriticNetworks] | None = field(
        default=None, repr=False
    )
    """(key, networks) → networks, if their initialisation is not PyTorch's."""
    critic_lr: float | None = None
    """Learning rate of the critic's own optimiser; None: one optimiser for policy and critic."""
    has_target: bool = True
    """Whether there is a target network of the critic."""
    n_outputs: int = 0
    """Outputs of an agent's network besides its policy."""
    on_policy_episodes: int = 0
    """How many of the newest episodes an update needs besides the batch."""

    @property
    def spec(self) -> Spec:
        """The environment's spec."""
        return self.env.spec

    @functools.cached_property
    def auxiliary(self) -> Auxiliary:
        """The networks that the weighting needs; Q* learns as the critic does."""
        config, needs = self.config, self.weighting.needs
        mixer_width = getattr(config, "central_mixing_embed_dim", 0)  # only with replay
        make_value = functools.partial(central_value, self.spec, config.rnn_hidden_dim, mixer_width)
        # without lag: Q* of the greedy actions is the central critic's own
        central_critic = CentralCritic(make_value, target_rate=float("q_star_greedy" in needs))
        networks = auxiliary_networks(needs, self.env, central_critic, config.gamma)
        return Auxiliary(networks, config.make_optimiser(self.critic_lr))

    def recent_episodes(self, batch_size: int, buffer_size: int) -> RecentEpisodes | None:
        """The newest episodes: exactly those if the algorithm asks for them, else those that a
        weighting compares replay with."""
        n = self.on_policy_episodes
        if n:
            return RecentEpisodes(n, n)
        return self.auxiliary.recent_episodes(batch_size, buffer_size)

    def update_bytes(self, batch_size: int) -> int:
        """Four times the bytes of the recurrent states kept for the policy's backward pass."""
        rows = (batch_size + self.on_policy_episodes) * (self.spec.episode_limit + 1)
        return 4 * rows * self.spec.n_agents * self.config.rnn_hidden_dim * 4

    # --- acting -------------------------------------------------------------------------------

    def initial_hidden(self, n_envs: int) -> Float[Array, "B N h"]:
        """Zeros."""
        return initial_hidden(self.spec, self.config.rnn_hidden_dim, n_envs)

    def act(
        self,
        params: ActorCriticNetworks,
        key: PRNGKeyArray,
        hidden: Float[Array, "B N h"],
        observation: Observation,
        last_action: Int[Array, "B N"],
        epsilon: Float[Array, ""] | float | None,
    ) -> tuple[Float[Array, "B N h"], Int[Array, "B N"]]:
        """Actions drawn from the policies with exploration; the likeliest if epsilon is None."""
        available = observation.avail_actions
        hidden, out = agents_step(self.spec, params.actor, observation.obs, last_action, hidden)
        log_pi = log_policy(out[..., : self.spec.n_actions], available)
        if epsilon is None:
            return hidden, greedy(log_pi, available)
        log_pi = mix_with_uniform(log_pi, available, jnp.asarray(epsilon))
        return hidden, sample_actions(key, log_pi, available)

    def log_policy(
        self,
        outputs: Float[Array, "S L N O"],
        packed: PackedEpisodes,
        epsilon: Float[Array, ""] | float,
    ) -> Float[Array, "S L N A"]:
        """log π of every action under the policy that is learned."""
        available = packed.observation.avail_actions
        log_pi = log_policy(outputs[..., : self.spec.n_actions], available)
        if not self.config.epsilon_in_policy:
            return log_pi
        return mix_with_uniform(log_pi, available, jnp.asarray(epsilon))

    # --- learning -----------------------------------------------------------------------------

    def init(self, key: PRNGKeyArray) -> LearnerState:
        """Fresh networks and optimisers; the critic's target network, if any, is a copy."""
        k_actor, k_critic, k_auxiliary, k_start = jax.random.split(key, 4)
        n_outputs = self.spec.n_actions + self.n_outputs
        actor = make_agent(k_actor, self.spec, self.config.rnn_hidden_dim, n_outputs)
        auxiliary = self.auxiliary.init(jax.random.split(k_auxiliary, N_KEYS))
        params = ActorCriticNetworks(actor, self.make_critic(k_critic), auxiliary)
        if self.initialise is not None:
            params = self.initialise(k_start, params)
        return self._compiled_start(params)

    @functools.cached_property
    def _compiled_start(self) -> Callable[[ActorCriticNetworks], LearnerState]:
        return jax.jit(self._start)

    def _start(self, params: ActorCriticNetworks) -> LearnerState:
        with_actor, with_critic = self._optimised_together(params)
        opt_state = OptStates(
            self.config.make_optimiser().init(with_actor),
            self.config.make_optimiser(self.critic_lr).init(with_critic),
            self.auxiliary.init_optimisers(params.auxiliary),
        )
        critic = jax.tree.map(jnp.copy, params.critic) if self.has_target else ()
        targets = TargetNetworks(critic, self.auxiliary.init_targets(params.auxiliary))
        weighting_state = jax.tree.map(jnp.float32, self.weighting.init())
        return LearnerState(params, targets, opt_state, weighting_state)

    def update(self, state: LearnerState, batch: Batch, key: PRNGKeyArray) -> UpdateResult:
        """One update of policy and critic."""
        new = self.update_rule(self, state, batch, key)
        mask = transitions(batch.episodes).mask
        metrics = new.metrics | {"valid_steps": mask.sum()}
        return UpdateResult(new.state, metrics, jnp.where(mask, new.td_error_abs, 0.0))

    def sync_targets(self, state: LearnerState) -> LearnerState:
        """The state with the critic copied to its target network, if it has one."""
        if not self.has_target:
            return state
        targets = state.target_networks._replace(critic=state.params.critic)
        return state._replace(target_networks=targets)

    def apply_gradients(self, grads: ActorCriticNetworks, state: LearnerState) -> LearnerState:
        """The state after a step of all optimisers."""
        state = self.apply_auxiliary_gradients(grads.auxiliary, state)
        params, opt_state = state.params, state.opt_state
        actor_grads, critic_grads = self._optimised_together(grads)
        actor, critic = self._optimised_together(params)
        actor, actor_state = self.optimise(actor_grads, opt_state.actor, actor, self.config.lr)
        critic, critic_state = self.optimise(critic_grads, opt_state.critic, critic, self.critic_lr)
        if self.critic_lr is None:
            actor, critic = actor
        return state._replace(
            params=params._replace(actor=actor, critic=critic),
            opt_state=opt_state._replace(actor=actor_state, critic=critic_state),
        )

    def apply_auxiliary_gradients(
        self, grads: auxiliary_network.AuxiliaryNetworks, state: LearnerState
    ) -> LearnerState:
        """The state after a step of the auxiliary networks alone."""
        params, targets, opt_state, _ = state
        networks, auxiliary_targets, opt_states = self.auxiliary.apply_gradients(
            grads, opt_state.auxiliary, params.auxiliary, targets.auxiliary
        )
        return state._replace(
            params=params._replace(auxiliary=networks),
            target_networks=targets._replace(auxiliary=auxiliary_targets),
            opt_state=opt_state._replace(auxiliary=opt_states),
        )

    def optimise(
        self, grads: PyTree, opt_state: optax.OptState, params: PyTree, lr: float | None
    ) -> tuple[PyTree, optax.OptState]:
        """A step of one optimiser; (networks, its state)."""
        return optimiser_step(self.config.make_optimiser(lr), grads, opt_state, params)

    def _optimised_together(self, params: ActorCriticNetworks) -> tuple[PyTree, PyTree]:
        """The networks of the policy's and of the critic's optimiser."""
        actor, critic = params.actor, params.critic
        return ((actor, critic), ()) if self.critic_lr is None else (actor, critic)


def entropy(log_pi: Float[Array, "*B A"]) -> Float[Array, "*B"]:
    """−Σ_u π(u) log π(u); unavailable actions contribute exactly 0."""
    return -(jnp.exp(log_pi) * log_pi).sum(-1)
