"""The actor-critic learner: a recurrent policy of each agent, and a critic to improve it by.

COMA, VDAC, MAPPO, DOP and FOP are this learner with another critic, return and policy loss. Each
brings three things: the networks of its critic, what all networks say of stored episodes, and how
it learns from that.

Policies are softmaxes over available actions. Exploration mixes the uniform policy in; whether the
learned policy includes it (`epsilon_in_policy`) differs between references.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.kernels.packing import Packing, pack, plan
from macpo.kernels.unroll import unroll
from macpo.learners.auxiliary import Estimation, Estimators, Value
from macpo.learners.auxiliary import optimiser as estimator_optimiser
from macpo.learners.base import LearnerState, Recent
from macpo.learners.episodes import stored_actions, transitions
from macpo.learners.hyperparameters import Hyperparameters
from macpo.nets.agent import (
    AgentNet,
    agent_input_size,
    agent_inputs,
    agents_step,
    greedy,
    last_actions,
    log_policy,
    mix_with_uniform,
    sample_actions,
)
from macpo.types import Batch, Episodes, Metrics, Observation, PyTree, Spec
from macpo.weighting.weighting import Weighting, WeightingState

ON_POLICY: Mapping[str, Any] = MappingProxyType(
    {
        "batch_size_run": 8,
        "batch_size": 8,
        "buffer_size": 8,
        "target_update_interval": 8,
        "epsilon_start": 0.5,
        "epsilon_finish": 0.01,
    }
)
"""An update from each 8 episodes, just played; the exploration of PyMARL's policy gradients."""


@dataclass(frozen=True)
class ActorCritic(Hyperparameters):
    """Hyper-parameters shared by the actor-critic algorithms; PyMARL2's names and values."""

    schedule: ClassVar[Mapping[str, Any]] = ON_POLICY

    lr: float = 5e-4
    """Learning rate of the policy."""
    td_lambda: float = 0.8
    """λ of the return (PyMARL)."""
    epsilon_in_policy: bool = False
    """Whether the policy that learns includes its exploration (PyMARL), or explores on top."""


class Beside(NamedTuple):
    """What a weighting needs beside the algorithm, if anything (see `estimators`)."""

    central: Value | None
    estimators: Estimators


class Networks(NamedTuple):
    """The policy that acts, what judges it, and what a weighting needs beside them."""

    actor: AgentNet
    critic: PyTree
    beside: Beside


class Targets(NamedTuple):
    """Slow copies: of the critic, and of the error network."""

    critic: PyTree
    error: Value | None


class Optimisers(NamedTuple):
    """States of the optimisers; where policy and critic share one, it is the policy's."""

    actor: PyTree
    critic: PyTree
    central: PyTree
    estimators: PyTree


class Learned(NamedTuple):
    """What an algorithm's `learn` returns."""

    params: Networks
    slow_error: Value | None
    optimisers: Optimisers
    weighting: WeightingState
    metrics: Metrics
    td_error_abs: Float[Array, "B T"]
    """Unweighted; anything on padding."""


Learn: TypeAlias = Callable[["ActorCriticLearner", LearnerState, Batch, PRNGKeyArray], Learned]


@dataclass(frozen=True)
class ActorCriticLearner:
    """See the module's docstring; `make_critic(key)` builds the critic, `learn` is one update."""

    env: Environment
    config: Any
    weighting: Weighting
    make_critic: Callable[[PRNGKeyArray], PyTree] = field(repr=False)
    learn: Learn = field(repr=False)
    initialise: Callable[[PRNGKeyArray, Networks], Networks] = field(
        default=lambda _, nets: nets, repr=False
    )
    """(key, networks) → networks, where they do not start as PyTorch's."""
    critic_lr: float | None = None
    """Learning rate of the critic's own optimiser; None: one optimiser for all networks."""
    has_target: bool = True
    """Whether there is a slow copy of the critic."""
    n_outputs: int = 0
    """Outputs of an agent's network besides its policy."""
    on_policy_episodes: int = 0
    """How many of the newest episodes an update needs beside the batch."""

    @property
    def spec(self) -> Spec:
        """The environment's promises."""
        return self.env.spec

    def recent(self, batch_size: int, buffer_size: int) -> Recent | None:
        """Exactly the newest episodes where the algorithm asks for them, else what a weighting
        compares replay with."""
        n = self.on_policy_episodes
        return Recent(n, n) if n else self.estimation.recent(batch_size, buffer_size)

    def update_bytes(self, batch_size: int) -> int:
        """Four times the recurrent states that the policy keeps for the backward pass."""
        rows = (batch_size + self.on_policy_episodes) * (self.spec.episode_limit + 1)
        return 4 * rows * self.spec.n_agents * self.config.rnn_hidden_dim * 4

    # --- networks and acting ------------------------------------------------------------------

    def init(self, key: PRNGKeyArray) -> LearnerState:
        """Fresh networks; the critic's target, if there is one, is a copy."""
        k_actor, k_critic, k_beside, k_start = jax.random.split(key, 4)
        size, width = agent_input_size(self.spec), self.config.rnn_hidden_dim
        actor = AgentNet(k_actor, size, width, self.spec.n_actions + self.n_outputs)
        beside: Any = Beside(*self.estimation.init(jax.random.split(k_beside, 4)))
        params = Networks(actor, self.make_critic(k_critic), beside)
        params = self.initialise(k_start, params)
        of_actor, of_critic = self._groups(params)
        optimisers = Optimisers(
            self.config.make_optimiser().init(of_actor),
            self.config.make_optimiser(self.critic_lr).init(of_critic),
            self.config.make_optimiser(self.critic_lr).init(beside.central),
            estimator_optimiser().init(beside.estimators),
        )
        weighting = jax.tree.map(jnp.float32, self.weighting.init())
        copied = jax.tree.map(jnp.copy, (params.critic, beside.estimators.error))
        targets = Targets(copied[0] if self.has_target else (), copied[1])
        return LearnerState(params, targets, optimisers, weighting)

    @property
    def estimation(self) -> Estimation:
        """What the weighting needs beside the algorithm."""
        needs, width = self.weighting.needs, self.config.rnn_hidden_dim
        mixer_width = getattr(self.config, "central_mixing_embed_dim", 0)
        return Estimation(self.env, needs, "q_star" in needs, width, mixer_width)

    def _groups(self, params: Networks) -> tuple[PyTree, PyTree]:
        """The networks of the policy's and of the critic's optimiser."""
        actor, critic = params.actor, params.critic
        return ((actor, critic), ()) if self.critic_lr is None else (actor, critic)

    def initial_hidden(self, n_envs: int) -> Float[Array, "B N h"]:
        """Zeros."""
        return jnp.zeros((n_envs, self.spec.n_agents, self.config.rnn_hidden_dim))

    def act(
        self,
        params: Networks,
        key: PRNGKeyArray,
        hidden: PyTree,
        observation: Observation,
        last_action: Int[Array, "B N"],
        epsilon: Float[Array, ""] | float | None,
    ) -> tuple[PyTree, Int[Array, "B N"]]:
        """Drawn from the policies and exploration; without an epsilon their likeliest actions."""
        hidden, out = agents_step(self.spec, params.actor, observation.obs, last_action, hidden)
        log_pi = log_policy(out[..., : self.spec.n_actions], observation.avail_actions)
        if epsilon is None:
            return hidden, greedy(log_pi, observation.avail_actions)
        log_pi = mix_with_uniform(log_pi, observation.avail_actions, jnp.asarray(epsilon))
        return hidden, sample_actions(key, log_pi, observation.avail_actions)

    # --- learning -----------------------------------------------------------------------------

    def update(
        self, state: LearnerState, batch: Batch, key: PRNGKeyArray, sync_targets: Bool[Array, ""]
    ) -> tuple[LearnerState, Metrics, Float[Array, "B T"]]:
        """One update of policy and critic; (state, metrics, |δ|, 0 on padding)."""
        learned = self.learn(self, state, batch, key)
        params, slow = learned.params, state.targets.critic
        if self.has_target:
            slow = jax.lax.cond(sync_targets, lambda: params.critic, lambda: slow)
        targets = Targets(slow, learned.slow_error)
        state = LearnerState(params, targets, learned.optimisers, learned.weighting)
        mask = transitions(batch.episodes)[0]
        metrics = learned.metrics | {"valid_steps": mask.sum()}
        return state, metrics, jnp.where(mask, learned.td_error_abs, 0.0)

    def replay(self, episodes: Episodes) -> "Replayed":
        """Stored episodes as the networks see them."""
        packing = plan(episodes.length, episodes.reward.shape[1] + 1)
        record = (episodes.encoded_state, stored_actions(episodes), last_actions(episodes.actions))
        encoded_state, stored, last = jax.tree.map(lambda x: pack(packing, x), record)
        observation = jax.vmap(jax.vmap(self.env.decode))(encoded_state)
        return Replayed(packing, encoded_state, stored, last, observation)

    def outputs(self, actor: AgentNet, replayed: "Replayed") -> Float[Array, "S L N O"]:
        """Logits, then the other outputs, of every agent in every stored state."""
        inputs = (replayed.observation.obs, replayed.last)
        return unroll(actor, self._encode, inputs, replayed.packing)

    def _encode(self, inputs: tuple[Array, Array]) -> Float[Array, "B N i"]:
        return agent_inputs(self.spec, *inputs)

    def log_policy(
        self, outputs: Float[Array, "S L N O"], replayed: "Replayed", epsilon: Any
    ) -> Float[Array, "S L N A"]:
        """log π of every action, as it is learned."""
        available = replayed.observation.avail_actions
        log_pi = log_policy(outputs[..., : self.spec.n_actions], available)
        if not self.config.epsilon_in_policy:
            return log_pi
        return mix_with_uniform(log_pi, available, jnp.asarray(epsilon))

    def state_of(self, encoded_state: PyTree) -> Observation:
        """Observations, global state and available actions of rows of encoded_state."""
        observation = jax.vmap(self.env.decode)(encoded_state)
        return observation._replace(
            obs=observation.obs.astype(jnp.float32), state=observation.state.astype(jnp.float32)
        )

    def descend(
        self, grads: Networks, state: LearnerState
    ) -> tuple[Networks, Value | None, Optimisers]:
        """A step of all optimisers; (networks, slow error network, optimisers)."""
        old, optimisers = state.params, state.optimiser
        actor, of_actor = self.step(
            self._groups(grads)[0], optimisers.actor, self._groups(old)[0], self.config.lr
        )
        critic, of_critic = self.step(
            self._groups(grads)[1], optimisers.critic, self._groups(old)[1], self.critic_lr
        )
        if self.critic_lr is None:
            actor, critic = actor
        beside, slow_error, of_central, of_estimators = self.step_beside(grads.beside, state)
        optimisers = Optimisers(of_actor, of_critic, of_central, of_estimators)
        return Networks(actor, critic, beside), slow_error, optimisers

    def step(
        self, grads: PyTree, optimiser: PyTree, params: PyTree, rate: float | None
    ) -> tuple[PyTree, PyTree]:
        """A step of one optimiser; (networks, optimiser)."""
        step, optimiser = self.config.make_optimiser(rate).update(grads, optimiser, params)
        return optax.apply_updates(params, step), optimiser

    def step_beside(
        self, grads: Beside, state: LearnerState
    ) -> tuple[Beside, Value | None, PyTree, PyTree]:
        """A step of what the weighting needs; (networks, slow error network, two optimisers)."""
        beside, optimisers = state.params.beside, state.optimiser
        central, of_central = self.step(
            grads.central, optimisers.central, beside.central, self.critic_lr
        )
        estimators, of_estimators, slow_error = self.estimation.step(
            grads.estimators, optimisers.estimators, beside.estimators, state.targets.error
        )
        return Beside(central, estimators), slow_error, of_central, of_estimators


class Replayed(NamedTuple):
    """Stored episodes, packed: [S, L, …] without padding (see `nets.packing`)."""

    packing: Packing
    encoded_state: PyTree
    stored: Int[Array, "S L N"]
    """Actions taken; −1 in final states."""
    last: Int[Array, "S L N"]
    """Actions taken before; −1 in first states."""
    observation: Observation


def entropy(log_pi: Float[Array, "*B A"]) -> Float[Array, "*B"]:
    """−Σ_u π(u) log π(u); unavailable actions add exactly nothing."""
    return -(jnp.exp(log_pi) * log_pi).sum(-1)
