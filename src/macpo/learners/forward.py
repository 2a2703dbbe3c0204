"""The forward pass of value-based learners: every network over every state of a batch, once.

pack → unroll the agents → gather the actions to evaluate → mix → unpack. Everything that the loss
and the weighting read comes out as one `ForwardOutput`.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from macpo.envs.base import Environment
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import unpack
from macpo.kernels.unroll import unroll_with_hidden
from macpo.learners import auxiliary_network as auxiliary
from macpo.learners.episodes import (
    PackedEpisodes,
    agent_history,
    decode_rows,
    encoder,
    pack_episodes,
    unroll_agents,
)
from macpo.learners.losses import LossTerm
from macpo.nets.action_selection import gather_actions, greedy
from macpo.nets.mixers import Extras, Mixer
from macpo.nets.value_network import ValueNetwork
from macpo.types import Episodes, PyTree
from macpo.weighting.weighting import Weighting


class ValueBasedNetworks(NamedTuple):
    """The trained networks, or the target networks."""

    value: ValueNetwork
    """The factored value that acts; as a target, the value that targets come from."""
    auxiliary: auxiliary.AuxiliaryNetworks
    """Those that weighting or targets need."""


class JointActions(NamedTuple):
    """The joint actions that are evaluated in every state."""

    taken: Int[Array, "S L N"]
    greedy: Int[Array, "S L N"]
    """The online network's greedy actions."""
    bootstrap: Int[Array, "S L N"]
    """The actions that the targets assume in the next state."""


class OnlineAgents(NamedTuple):
    """Inputs of the online mixers; gradients flow back to the agents."""

    taken: Float[Array, "S L N"]
    """Utilities of the actions taken."""
    best: Float[Array, "S L N"] | None
    """Utilities of the greedy actions, where the mixer reads them."""
    hidden: Float[Array, "S L N h"] | None
    """Recurrent states, where the mixer reads them."""
    auxiliary: PyTree
    """Utilities of the actions taken in the auxiliary networks."""


class TargetAgents(NamedTuple):
    """Inputs of the target mixers; constants."""

    bootstrap: Float[Array, "S L N"]
    """The target network's utilities of the bootstrap actions."""
    taken: Float[Array, "S L N"] | None
    """Those of the actions taken, where the weighting reads their joint value."""
    best: Float[Array, "S L N"] | None
    hidden: Float[Array, "S L N h"] | None
    auxiliary: PyTree
    """Utilities of the bootstrap actions in the auxiliary networks' targets."""


class MixerContext(NamedTuple):
    """Inputs of the joint values of a state that carry no gradient."""

    encoded_state: PyTree
    actions: JointActions
    target: TargetAgents


class JointValues(NamedTuple):
    """Joint values of every state, [B, T+1] once unpacked."""

    q_tot: Float[Array, "B Tp1"]
    """Values of the actions taken; [B, T+1, N] where nothing mixes the utilities (IQL)."""
    target_q_tot: Float[Array, "B Tp1"]
    """The target network's value of the bootstrap actions, which targets bootstrap from."""
    q_of_target_net: Float[Array, "B Tp1"] | None
    """The target network's value of the actions taken."""
    dq_tot_dq: Float[Array, "B Tp1 N"] | None
    """Derivative of `q_tot` with respect to each agent's utility."""
    terms: dict[str, PyTree]
    """The values of every loss term besides the TD loss, by its name."""


class ForwardOutput(NamedTuple):
    """The outputs of all networks for stored episodes, [B, T+1, ...]."""

    joint: JointValues
    utilities: Float[Array, "B Tp1 N"] | None
    """Utilities of the actions taken, if each agent has its own weights."""
    pi_taken: Float[Array, "B Tp1 N"]
    """Each agent's probability of the action taken, under its Boltzmann policy."""
    is_greedy: Bool[Array, "B Tp1"]
    """Whether the joint action taken is the bootstrap action."""


class MixedTerm(LossTerm, Protocol):
    """A loss term of an algorithm's own, of values that its mixer computes."""

    provides: ClassVar[tuple[str, ...]]
    """The weighting's signals that these values supply."""

    def values(
        self,
        mixer: Mixer,
        q_tot: Float[Array, " R"],
        utilities: Float[Array, "R N"],
        extras_of_greedy: Extras,
        state: Float[Array, "R S"],
    ) -> PyTree:
        """Values [R] of a chunk of states."""
        ...


@dataclass(frozen=True)
class ForwardPass:
    """From stored episodes to joint values; see the module's docstring."""

    env: Environment
    weighting: Weighting
    terms: tuple[MixedTerm, ...]
    double_q: bool
    """Whether the online network chooses the bootstrap actions."""
    targets_central: bool
    """Whether the target network is a copy of the central critic."""
    utility_clamp: tuple[float, float] | None
    """Bounds of the utilities of the value that acts."""

    def __call__(
        self, networks: tuple[ValueBasedNetworks, ValueBasedNetworks], episodes: Episodes
    ) -> ForwardOutput:
        """The outputs of all networks in every state of stored episodes, in one pass."""
        (params, targets), spec = networks, self.env.spec
        packed = pack_episodes(self.env, episodes)  # [S, L, ...]: from here on without padding
        available = packed.observation.avail_actions

        # 1. Utilities of every action, and the joint actions to evaluate.
        q, hidden = self._unroll(params.value, packed)
        target_q, target_hidden = self._unroll(targets.value, packed)
        q = self.clamp(q)
        target_q = target_q if self.targets_central else self.clamp(target_q)
        best, target_best = greedy(q, available), greedy(target_q, available)
        actions = JointActions(packed.actions, best, best if self.double_q else target_best)

        # 2. Utilities of those joint actions.
        def reads(value: ValueNetwork, name: str) -> bool:
            return name in value.mixer.needs

        utilities = gather_actions(q, actions.taken)
        online = OnlineAgents(
            jax.lax.stop_gradient(utilities) if self.weighting.per_agent else utilities,
            gather_actions(q, best) if reads(params.value, "best") else None,
            hidden,
            auxiliary.utilities(spec, params.auxiliary, packed, actions.taken),
        )
        reads_target = "q_of_target_net" in self.weighting.needs
        target = TargetAgents(
            gather_actions(target_q, actions.bootstrap),
            gather_actions(target_q, actions.taken) if reads_target else None,
            gather_actions(target_q, target_best) if reads(targets.value, "best") else None,
            target_hidden,
            auxiliary.utilities(spec, targets.auxiliary, packed, actions.bootstrap),
        )

        # 3. Joint values.
        mixers = params.value.mixer, auxiliary.mixers_of(params.auxiliary)
        context = MixerContext(packed.encoded_state, actions, jax.lax.stop_gradient(target))
        joint = map_states(self._mix, mixers, targets, online, context, packed.packing)

        # 4. Further inputs of the weighting.
        pi_taken = self.weighting.taken_probs(q, actions.taken, available)
        is_greedy = (actions.taken == actions.bootstrap).all(-1)
        own_utilities = utilities if self.weighting.per_agent else None
        out = ForwardOutput(joint, own_utilities, pi_taken, is_greedy)
        return jax.tree.map(lambda x: unpack(packed.packing, x), out)

    def _mix(
        self,
        mixers: PyTree,
        targets: ValueBasedNetworks,
        online: OnlineAgents,
        context: MixerContext,
    ) -> JointValues:
        """Joint values of a chunk of states."""
        encoded_state, actions, target = context
        state = decode_rows(self.env, encoded_state).state
        (mixer, auxiliary_mixers), target_mixer = mixers, targets.value.mixer
        extras = Extras(actions.taken, online.best, online.hidden)
        target_extras = Extras(actions.bootstrap, target.best, target.hidden)
        q_tot = mixer(online.taken, state, extras)
        target_q_tot = target_mixer(target.bootstrap, state, target_extras)
        q_of_target_net = dq_tot_dq = None
        if target.taken is not None:
            extras_of_taken = target_extras._replace(actions=actions.taken)
            q_of_target_net = target_mixer(target.taken, state, extras_of_taken)
        if "dq_tot_dq" in self.weighting.needs:
            by_utility = jax.grad(lambda utilities, mixer: mixer(utilities, state, extras).sum())
            dq_tot_dq = by_utility(*jax.lax.stop_gradient((online.taken, mixer)))
        targets_mixers = auxiliary.mixers_of(targets.auxiliary)
        taken = auxiliary.mix(auxiliary_mixers, online.auxiliary, state, actions.taken)
        greedy = auxiliary.mix(targets_mixers, target.auxiliary, state, actions.bootstrap)
        terms: dict[str, PyTree] = {**auxiliary.paired(taken, greedy)}
        for term in self.terms:
            of_greedy = extras._replace(actions=actions.greedy)
            terms[term.name] = term.values(mixer, q_tot, online.taken, of_greedy, state)
        return JointValues(q_tot, target_q_tot, q_of_target_net, dq_tot_dq, terms)

    def _unroll(
        self, value: ValueNetwork, packed: PackedEpisodes
    ) -> tuple[Float[Array, "S L N A"], Float[Array, "S L N h"] | None]:
        """(utilities, recurrent states where the mixer reads them)"""
        if "hidden" not in value.mixer.needs:
            return unroll_agents(self.env.spec, value.agent, packed), None
        history = agent_history(packed)
        return unroll_with_hidden(value.agent, encoder(self.env.spec), history, packed.packing)

    def clamp(self, q: Float[Array, "*B"]) -> Float[Array, "*B"]:
        """The utilities, clamped to their bounds if they have any."""
        return q if self.utility_clamp is None else jnp.clip(q, *self.utility_clamp)
