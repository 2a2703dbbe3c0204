"""The value-based learner: utilities, a mixer, λ-returns, weighted squared TD errors.

VDN, QMIX and QPLEX differ in the mixer; CW-QMIX, OW-QMIX and MAC-PO are QMIX with other weights;
IQL has no mixer, QTRAN a joint network in its place and a loss term of its own. If the weighting
needs an unrestricted value Q*, a central critic (a second recurrent network with a feed-forward
mixer) learns the same targets, and the targets come from its target network.

Source: QMIX (Rashid et al. 2018) as tuned in PyMARL2; Weighted QMIX (Rashid et al. 2020); MAC-PO
(Mei et al. 2023), section 4 and its released code.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo import registry
from macpo.bounds import Finite, NonNegative, PositiveInt
from macpo.envs.base import Environment
from macpo.errors import UsageError, require
from macpo.kernels.shard import map_over_devices
from macpo.learners.auxiliary import N_KEYS, Auxiliary, auxiliary_networks
from macpo.learners.base import LearnerState, RecentEpisodes, UpdateResult
from macpo.learners.central_critic import CentralCritic
from macpo.learners.episodes import (
    Transitions,
    drop_final_state,
    mean_over_rows,
    transitions,
)
from macpo.learners.forward import ForwardOutput, ForwardPass, MixedTerm, ValueBasedNetworks
from macpo.learners.hyperparameters import Hyperparameters, optimiser_step
from macpo.learners.losses import (
    LossInputs,
    LossTerm,
    TDErrors,
    individual_td_loss,
    td_errors,
    weighted_squared_error,
)
from macpo.nets.action_selection import epsilon_greedy, greedy
from macpo.nets.agent import agents_step, initial_hidden, make_agent
from macpo.nets.mixers import Mixer
from macpo.nets.value_network import ValueNetwork, central_value
from macpo.types import Batch, Metrics, Observation, PyTree, Spec
from macpo.weighting.normalise import masked_mean
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting, WeightingState

TargetSource: TypeAlias = Literal["auto", "self", "central"]


@dataclass(frozen=True)
class ValueBased(Hyperparameters):
    """Hyper-parameters shared by the value-based algorithms; PyMARL2's names and values.

    The configuration of an algorithm is a subclass with an `about` and a `make`
    (docs/own_algorithm.md).

    Example:
        >>> from macpo.algorithms import QMIX
        >>> issubclass(QMIX, ValueBased), ValueBased(td_lambda=0.8).td_lambda
        (True, 0.8)
    """

    double_q: bool = True
    """Whether the online network chooses the action that the target network evaluates."""
    target_source: TargetSource = "auto"
    """Source of the targets: the target network of the mixer itself, or of the central critic.
    `auto`: central if the weighting needs Q*, as in Weighted QMIX and MAC-PO."""
    central_mixing_embed_dim: PositiveInt = 256
    """Width of the central critic's mixer."""
    central_loss: NonNegative = 0.5
    """Coefficient of the central critic's squared error (PyMARL2 and MAC-PO ½, WQMIX 1)."""
    qmix_loss: NonNegative = 1.0
    """Coefficient of the weighted squared error (MAC-PO's code 1; PyMARL2 ½ without weights)."""
    utility_clamp: tuple[Finite, Finite] | None = None
    """Bounds of the agents' utilities; the released MAC-PO code clamps them to (−5, 2)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        name, clamp = registry.module_name(self), self.utility_clamp
        require(
            clamp is None or clamp[0] < clamp[1],
            f"{name}: utility_clamp must be (low, high) with low < high, not {clamp}.",
        )


class OptStates(NamedTuple):
    """States of the optimisers: of value and central critic, and of other auxiliary networks."""

    value: optax.OptState
    auxiliary: dict[str, optax.OptState]


AsRows: TypeAlias = Callable[[ForwardOutput, Transitions], tuple[ForwardOutput, Transitions]]


def episodes_as_rows(out: ForwardOutput, steps: Transitions) -> tuple[ForwardOutput, Transitions]:
    """Both unchanged: every episode is a row with one TD error per step, the team's."""
    return out, steps


@dataclass(frozen=True)
class ValueBasedLearner:
    """An algorithm that mixes the agents' utilities: forward, TD errors, weights, loss.

    Example:
        >>> from macpo.envs import TwoStep
        >>> from macpo.learners import ValueBased
        >>> from macpo.nets.mixers import SumMixer
        >>> from macpo.weighting import Uniform
        >>> env = TwoStep().make()
        >>> learner = ValueBasedLearner(env, ValueBased(), Uniform(), lambda key: SumMixer())
        >>> learner.spec.n_actions
        2
    """

    env: Environment
    config: ValueBased
    weighting: Weighting
    make_mixer: Callable[[PRNGKeyArray], Mixer] = field(repr=False)
    terms: tuple[MixedTerm, ...] = field(default=(), repr=False)
    """The algorithm's own losses besides the TD loss."""
    as_rows: AsRows = field(default=episodes_as_rows, repr=False)
    """Which rows have their own TD errors: episodes, or (IQL) the agents of each episode."""

    def __post_init__(self) -> None:
        compares = "q_star_greedy" in self.weighting.needs and "q_star" in self._missing
        if compares and not self.targets_central:
            raise UsageError(
                f"weighting {self.weighting.name!r} compares with Q* of the greedy actions, which "
                "is known only where targets come from Q*; set target_source to auto or central."
            )
        if self.targets_central and not self.config.double_q:
            raise UsageError(
                "targets from Q* (MAC-PO, Weighted QMIX, target_source central) are values of the "
                "actions that the utilities choose: double_q must stay true."
            )

    @property
    def spec(self) -> Spec:
        """The environment's spec."""
        return self.env.spec

    @property
    def targets_central(self) -> bool:
        """Whether targets come from the central critic."""
        source = self.config.target_source
        return source == "central" or (source == "auto" and "q_star" in self._missing)

    @property
    def has_central_critic(self) -> bool:
        """Whether targets or weighting need one."""
        return self.targets_central or "q_star" in self._missing

    @property
    def _missing(self) -> set[str]:
        """The signals that the weighting needs and the algorithm's own terms do not provide."""
        return set(self.weighting.needs).difference(*(term.provides for term in self.terms))

    @functools.cached_property
    def forward(self) -> ForwardPass:
        """From stored episodes to joint values."""
        return ForwardPass(
            self.env,
            self.weighting,
            self.terms,
            self.config.double_q,
            self.targets_central,
            self.config.utility_clamp,
        )

    @functools.cached_property
    def auxiliary(self) -> Auxiliary:
        """The networks that the weighting or the targets need."""
        config, needs = self.config, self._missing
        if self.targets_central:
            needs.add("q_star")
        widths = config.rnn_hidden_dim, config.central_mixing_embed_dim
        make_value = functools.partial(central_value, self.spec, *widths)
        central_critic = CentralCritic(make_value, coefficient=config.central_loss)
        return Auxiliary(auxiliary_networks(needs, self.env, central_critic, config.gamma))

    @functools.cached_property
    def all_terms(self) -> tuple[LossTerm, ...]:
        """All losses besides the TD loss."""
        return (*self.auxiliary.networks, *self.terms)

    def recent_episodes(self, batch_size: int, buffer_size: int) -> RecentEpisodes | None:
        """The newest episodes, if the weighting compares replay with them."""
        return self.auxiliary.recent_episodes(batch_size, buffer_size)

    def update_bytes(self, batch_size: int) -> int:
        """Twice the bytes of the recurrent states that the trained networks keep for the backward
        pass: everything else takes about as much (measured)."""
        rows = batch_size * (self.spec.episode_limit + 1) * self.spec.n_agents
        # a mixer that reads recurrent states: also those of the targets, and a gradient
        mixer = jax.eval_shape(self.make_mixer, jax.random.key(0))
        kept = 1 + self.has_central_critic + 2 * ("hidden" in mixer.needs)
        return 2 * kept * rows * self.config.rnn_hidden_dim * 4

    # --- acting -------------------------------------------------------------------------------

    def initial_hidden(self, n_envs: int) -> Float[Array, "B N h"]:
        """Zeros."""
        return initial_hidden(self.spec, self.config.rnn_hidden_dim, n_envs)

    def act(
        self,
        params: ValueBasedNetworks,
        key: PRNGKeyArray,
        hidden: Float[Array, "B N h"],
        observation: Observation,
        last_action: Int[Array, "B N"],
        epsilon: Float[Array, ""] | float | None,
    ) -> tuple[Float[Array, "B N h"], Int[Array, "B N"]]:
        """Epsilon-greedy, independently for each agent and step; greedy if epsilon is None."""
        agent, available = params.value.agent, observation.avail_actions
        hidden, q = agents_step(self.spec, agent, observation.obs, last_action, hidden)
        q = self.forward.clamp(q)
        if epsilon is None:
            return hidden, greedy(q, available)
        return hidden, epsilon_greedy(key, q, available, jnp.asarray(epsilon))

    # --- learning -----------------------------------------------------------------------------

    @functools.cached_property
    def _optimiser(self) -> optax.GradientTransformation:
        """Of `_optimised_together`, as one vector: that compiles in less time than its arrays."""
        return optax.flatten(self.config.make_optimiser())

    def init(self, key: PRNGKeyArray) -> LearnerState:
        """Fresh networks and optimisers; target networks are copies."""
        k_agent, k_mixer, *k_auxiliary = jax.random.split(key, 2 + N_KEYS)
        agent = make_agent(k_agent, self.spec, self.config.rnn_hidden_dim, self.spec.n_actions)
        value = ValueNetwork(agent, self.make_mixer(k_mixer))
        return self._compiled_start(
            ValueBasedNetworks(value, self.auxiliary.init(jnp.stack(k_auxiliary)))
        )

    @functools.cached_property
    def _compiled_start(self) -> Callable[[ValueBasedNetworks], LearnerState]:
        return jax.jit(self._start)

    def _start(self, params: ValueBasedNetworks) -> LearnerState:
        targets = ValueBasedNetworks(
            self._target_of(params), self.auxiliary.init_targets(params.auxiliary)
        )
        opt_state = OptStates(
            self._optimiser.init(self._optimised_together(params)),
            self.auxiliary.init_optimisers(params.auxiliary),
        )
        weighting_state = jax.tree.map(jnp.float32, self.weighting.init())
        return LearnerState(params, targets, opt_state, weighting_state)

    def update(self, state: LearnerState, batch: Batch, key: PRNGKeyArray) -> UpdateResult:
        """One step of the optimisers of all networks."""
        grads, aux = jax.grad(self.loss, has_aux=True)(state.params, state, batch, key)
        metrics, weighting_state, td_error_abs = aux
        metrics["grad_norm"] = optax.tree.norm(self._optimised_together(grads))
        state = self.apply_gradients(grads, state)._replace(weighting_state=weighting_state)
        return UpdateResult(state, metrics, td_error_abs)

    def apply_gradients(self, grads: ValueBasedNetworks, state: LearnerState) -> LearnerState:
        """The state after a step of all optimisers; the auxiliary targets follow."""
        params, targets, opt_state, _ = state
        (value, shared), value_state = optimiser_step(
            self._optimiser,
            self._optimised_together(grads),
            opt_state.value,
            self._optimised_together(params),
        )
        auxiliary, auxiliary_targets, auxiliary_states = self.auxiliary.apply_gradients(
            grads.auxiliary, opt_state.auxiliary, {**params.auxiliary, **shared}, targets.auxiliary
        )
        return state._replace(
            params=ValueBasedNetworks(value, auxiliary),
            target_networks=ValueBasedNetworks(targets.value, auxiliary_targets),
            opt_state=OptStates(value_state, auxiliary_states),
        )

    def sync_targets(self, state: LearnerState) -> LearnerState:
        """The state with the value that targets come from copied to its target network."""
        targets = state.target_networks._replace(value=self._target_of(state.params))
        return state._replace(target_networks=targets)

    def loss(
        self, params: ValueBasedNetworks, state: LearnerState, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Float[Array, ""], tuple[Metrics, WeightingState, Float[Array, "B T"]]]:
        """(loss, (metrics, the weighting's new state, |δ|)) of whole episodes, longest first."""
        config = self.config
        networks = params, state.target_networks
        out = map_over_devices(self.forward, networks, batch.episodes)  # [B, T+1, ...]
        out, steps = self.as_rows(out, transitions(batch.episodes, batch.importance))
        td = td_errors(
            out.joint.q_tot, out.joint.target_q_tot, steps, config.gamma, config.td_lambda
        )
        inputs = LossInputs(td, steps, batch)
        signals = self.signals(out, inputs, key)
        weighted = self.weighting.apply(state.weighting_state, signals)

        loss_td = self.td_loss(out, td, weighted.weights, steps)
        loss = config.qmix_loss * loss_td  # what the learner's own optimiser minimises
        loss_of_others = jnp.zeros(())
        metrics = weighted.metrics | {
            "loss_td": loss_td,
            "td_error_abs": masked_mean(jnp.abs(td.error), steps.mask),
            "q_taken_mean": masked_mean(td.q, steps.mask),
            "target_mean": masked_mean(td.target, steps.mask),
            "valid_steps": batch.episodes.length.sum(),
        }
        for term in self.all_terms:
            loss_term, more = term.loss(params.auxiliary, out.joint.terms[term.name], inputs)
            metrics |= more
            if term.name in self.auxiliary.optimisers:
                loss_of_others += loss_term
            else:
                loss += loss_term
        metrics["loss"] = loss

        td_error_abs = jnp.where(steps.mask, jnp.abs(td.error), 0.0)
        td_error_abs = mean_over_rows(td_error_abs, len(batch.episodes.length))
        aux = metrics, weighted.state, td_error_abs
        return loss + loss_of_others, jax.lax.stop_gradient(aux)

    def td_loss(
        self, out: ForwardOutput, td: TDErrors, weights: Array, steps: Transitions
    ) -> Float[Array, ""]:
        """The weighted squared error; with weights [B, T, N], each agent has its own error."""
        reduction = "sum" if self.weighting.normalise == "sum" else "mean"
        if self.weighting.per_agent:
            assert out.joint.dq_tot_dq is not None and out.utilities is not None
            utilities, dq_tot_dq = drop_final_state((out.utilities, out.joint.dq_tot_dq))
            return individual_td_loss(td.error, utilities, dq_tot_dq, weights, steps, reduction)
        return weighted_squared_error(td.error, weights * steps.importance, steps.mask, reduction)

    def signals(self, out: ForwardOutput, inputs: LossInputs, key: PRNGKeyArray) -> Signals:
        """The signals of every step that the weighting may read."""
        current = drop_final_state(out)
        signals = Signals(
            mask=inputs.steps.mask,
            q=inputs.td.q,
            target=inputs.td.target,
            pi_taken=current.pi_taken,
            is_greedy=current.is_greedy,
            q_star_greedy=current.joint.target_q_tot,
            q_of_target_net=current.joint.q_of_target_net,
            dq_tot_dq=current.joint.dq_tot_dq,
            uniform_noise=jax.random.uniform(key),
        )
        for term in self.all_terms:
            signals = term.signals(signals, out.joint.terms[term.name], inputs)
        return signals

    def _target_of(self, params: ValueBasedNetworks) -> ValueNetwork:
        target = params.auxiliary["central_critic"] if self.targets_central else params.value
        return jax.tree.map(jnp.copy, target)

    def _optimised_together(self, networks: ValueBasedNetworks) -> PyTree:
        """The networks of the learner's own optimiser."""
        return networks.value, self.auxiliary.shared(networks.auxiliary)
