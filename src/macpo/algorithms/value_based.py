"""The value-based learner: utilities, a mixer, λ-returns, weighted squared TD errors.

VDN and QMIX are this learner with another mixer; CW-QMIX, OW-QMIX and MAC-PO are QMIX with other
weights. Where the weighting needs an unrestricted value Q*, a second recurrent network with a
feed-forward mixer is trained on the same targets, and the targets come from its copy.

Source: QMIX (Rashid et al. 2018) as tuned in PyMARL2; Weighted QMIX (Rashid et al. 2020); MAC-PO
(Mei et al. 2023), section 4 and its released code.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from macpo.algorithms.base import LearnerState
from macpo.envs.base import Environment
from macpo.errors import require, require_choice
from macpo.losses import masked_mean, weighted_squared_error
from macpo.nets.agent import (
    AgentNet,
    agent_input_size,
    agent_inputs,
    epsilon_greedy,
    greedy,
    last_actions,
    taken,
    taken_probs,
)
from macpo.nets.mixers import CentralMixer
from macpo.nets.packing import pack, plan, unpack
from macpo.nets.rows import map_rows
from macpo.nets.unroll import unroll
from macpo.shard import over_episodes
from macpo.targets import lambda_return
from macpo.types import Episodes, Key, Metrics, Observation, PyTree, Spec
from macpo.weighting.base import Scheme, Signals

OptimiserName: TypeAlias = Literal["adam", "rmsprop"]
TargetSource: TypeAlias = Literal["auto", "self", "central"]


@dataclass(frozen=True)
class ValueBased:
    """Hyper-parameters shared by the value-based algorithms; PyMARL2's names and values."""

    lr: float = 1e-3
    """Learning rate (PyMARL2 with Adam; PyMARL has 5e-4 with RMSprop)."""
    optimiser: OptimiserName = "adam"
    """`adam`: PyMARL2; `rmsprop`: PyMARL."""
    optim_alpha: float = 0.99
    """RMSprop's decay (PyMARL)."""
    optim_eps: float = 1e-8
    """Added to the root of the second moment; PyMARL uses 1e-5 with RMSprop."""
    grad_norm_clip: float = 10.0
    """Largest global norm of the gradient over all networks; 0 or less: no clipping."""
    gamma: float = 0.99
    """Discount per env step."""
    td_lambda: float = 0.6
    """λ of Peng's λ-return (PyMARL2 0.6, PyMARL 0: one-step)."""
    double_q: bool = True
    """Whether the online network chooses the action that the target network evaluates."""
    rnn_hidden_dim: int = 64
    """Width of the agents' recurrent state."""
    target_source: TargetSource = "auto"
    """Where targets come from: the target copy of the mixer itself, or of the central network.
    `auto`: central if the weighting needs Q*, as in Weighted QMIX and MAC-PO."""
    central_mixing_embed_dim: int = 256
    """Width of the central mixer."""
    central_loss: float = 0.5
    """Coefficient of the central network's squared error (PyMARL2 and MAC-PO ½, WQMIX 1)."""
    qmix_loss: float = 1.0
    """Coefficient of the weighted squared error (MAC-PO's code 1; PyMARL2 ½ without weights)."""
    utility_clamp: tuple[float, float] | None = None
    """Bounds of the agents' utilities; the released MAC-PO code clamps them to (−5, 2)."""

    def __post_init__(self) -> None:
        require_choice("algorithm", "optimiser", self.optimiser, OptimiserName)
        require_choice("algorithm", "target_source", self.target_source, TargetSource)
        for name in ("lr", "rnn_hidden_dim", "central_mixing_embed_dim", "optim_eps"):
            value = getattr(self, name)
            require(value > 0, f"algorithm: {name} must be positive, not {value}.")
        for name in ("gamma", "td_lambda"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"algorithm: {name} must be between 0 and 1, not {value}.")
        for name in ("central_loss", "qmix_loss"):
            value = getattr(self, name)
            require(value >= 0, f"algorithm: {name} must not be negative, but is {value}.")
        clamp = self.utility_clamp
        require(
            clamp is None or clamp[0] < clamp[1],
            f"algorithm: utility_clamp must be (low, high) with low < high, not {clamp}.",
        )


class Value(NamedTuple):
    """A joint value: the agents' network and the mixer on top of it."""

    agent: AgentNet
    mixer: Any


class Networks(NamedTuple):
    """The factored value that acts, and the unrestricted one (Q*) where it is needed."""

    factored: Value
    central: Value | None


@dataclass(frozen=True)
class Learner:
    """See the module's docstring; `make_mixer(key)` builds the mixer of the factored value."""

    env: Environment
    config: ValueBased
    scheme: Scheme
    make_mixer: Any = field(repr=False)

    @property
    def spec(self) -> Spec:
        """The environment's promises."""
        return self.env.spec

    @property
    def targets_central(self) -> bool:
        """Whether targets come from the central network."""
        source = self.config.target_source
        return source == "central" or (source == "auto" and "q_star" in self.scheme.needs)

    @property
    def uses_central(self) -> bool:
        """Whether there is a central network at all."""
        return self.targets_central or "q_star" in self.scheme.needs

    # --- networks -----------------------------------------------------------------------------

    def init(self, key: Key) -> LearnerState:
        """Fresh networks; targets are copies."""
        spec, config = self.spec, self.config
        k_agent, k_mixer, k_central_agent, k_central_mixer = jax.random.split(key, 4)

        def agent(k: Key) -> AgentNet:
            return AgentNet(k, agent_input_size(spec), config.rnn_hidden_dim, spec.n_actions)

        central = None
        if self.uses_central:
            width = config.central_mixing_embed_dim
            mixer = CentralMixer(k_central_mixer, spec.n_agents, spec.state_size, width)
            central = Value(agent(k_central_agent), mixer)
        params = Networks(Value(agent(k_agent), self.make_mixer(k_mixer)), central)
        return LearnerState(params, self._target_of(params), self._optimiser().init(params))  # pyright: ignore[reportArgumentType]

    def _target_of(self, params: Networks) -> Value:
        target = params.central if self.targets_central else params.factored
        assert target is not None
        return jax.tree.map(jnp.copy, target)

    def _optimiser(self) -> optax.GradientTransformation:
        c = self.config
        if c.optimiser == "adam":
            step = optax.adam(c.lr, eps=c.optim_eps)
        else:  # PyTorch adds eps outside the root
            step = optax.rmsprop(c.lr, decay=c.optim_alpha, eps=c.optim_eps, eps_in_sqrt=False)
        clip = [optax.clip_by_global_norm(c.grad_norm_clip)] if c.grad_norm_clip > 0 else []
        return optax.chain(*clip, step)

    def _bounded(self, utilities: Float[Array, "*B"]) -> Float[Array, "*B"]:
        clamp = self.config.utility_clamp
        return utilities if clamp is None else jnp.clip(utilities, *clamp)

    def update_bytes(self, batch_size: int) -> int:
        """Twice the recurrent states that the trained networks keep for the backward pass: all
        else takes about as much (measured)."""
        rows = batch_size * (self.spec.episode_limit + 1) * self.spec.n_agents
        return 2 * (1 + self.uses_central) * rows * self.config.rnn_hidden_dim * 4

    # --- acting -------------------------------------------------------------------------------

    def initial_hidden(self, n_envs: int) -> Float[Array, "B N h"]:
        """Zeros."""
        return jnp.zeros((n_envs, self.spec.n_agents, self.config.rnn_hidden_dim))

    def act(
        self,
        params: Networks,
        key: Key,
        hidden: PyTree,
        seen: Observation,
        last_action: Int[Array, "B N"],
        epsilon: Float[Array, ""] | float,
    ) -> tuple[PyTree, Int[Array, "B N"]]:
        """Epsilon-greedy, independently per agent and step."""
        x = agent_inputs(self.spec, seen.obs, last_action)
        rows = x.shape[:-1]
        hidden, q = params.factored.agent(
            x.reshape(-1, x.shape[-1]), hidden.reshape(-1, hidden.shape[-1])
        )
        q = self._bounded(q).reshape(*rows, -1)
        actions = epsilon_greedy(key, q, seen.avail_actions, jnp.asarray(epsilon))
        return hidden.reshape(*rows, -1), actions

    # --- learning -----------------------------------------------------------------------------

    def update(
        self, state: LearnerState, batch: Episodes, key: Key, sync_targets: Bool[Array, ""]
    ) -> tuple[LearnerState, Metrics]:
        """One step of the optimiser over all networks at once."""
        grads, metrics = jax.grad(self.loss, has_aux=True)(state.params, state.targets, batch)
        updates, optimiser = self._optimiser().update(grads, state.optimiser, state.params)  # pyright: ignore[reportArgumentType]
        params: Networks = optax.apply_updates(state.params, updates)  # pyright: ignore[reportAssignmentType]
        targets = jax.lax.cond(sync_targets, lambda: self._target_of(params), lambda: state.targets)
        metrics["grad_norm"] = optax.tree.norm(grads)
        return LearnerState(params, targets, optimiser), metrics

    def loss(self, params: Networks, target: Value, batch: Episodes) -> tuple[Array, Metrics]:
        """(loss, metrics) of a batch of whole episodes, longest first."""
        config = self.config
        t = jnp.arange(batch.reward.shape[1])
        mask = t < batch.length[:, None]  # real transitions
        terminal = (t == batch.length[:, None] - 1) & batch.terminated[:, None]

        values = over_episodes(self._values, (params, target), batch)
        y = lambda_return(
            batch.reward, terminal, mask, values["bootstrap"], config.gamma, config.td_lambda
        )
        q_tot = values["q_tot"][:, :-1]
        q_star = values["q_star"][:, :-1] if "q_star" in values else None
        signals = Signals(
            mask=mask,
            q=q_tot,
            target=y,
            q_star=q_star,
            pi_taken=values["pi_taken"][:, :-1],
            is_greedy=values["is_greedy"][:, :-1],
            q_star_greedy=values["bootstrap"][:, :-1],
        )
        weights, metrics = self.scheme.weigh(signals)
        loss_td = weighted_squared_error(q_tot - y, weights, mask)
        loss = config.qmix_loss * loss_td
        metrics |= {
            "loss_td": loss_td,
            "td_error_abs": masked_mean(jnp.abs(q_tot - y), mask),
            "q_taken_mean": masked_mean(q_tot, mask),
            "target_mean": masked_mean(y, mask),
            "valid_steps": mask.sum(),
        }
        if q_star is not None:
            loss_central = weighted_squared_error(q_star - y, jnp.ones_like(y), mask)
            loss += config.central_loss * loss_central
            metrics["loss_central"] = loss_central
            metrics["q_star_gap"] = masked_mean(jnp.abs(q_tot - q_star), mask)
        metrics["loss"] = loss
        return loss, jax.lax.stop_gradient(metrics)

    def _values(self, nets: tuple[Networks, Value], batch: Episodes) -> dict[str, Array]:
        """What all networks say of every state: joint values [B, T+1], policies [B, T+1, N]."""
        params, target = nets

        # 1. The states that exist, packed: from here on [S, L, ...], without padding.
        packing = plan(batch.length, batch.reward.shape[1] + 1)
        none_at_the_end = jnp.pad(batch.actions, ((0, 0), (0, 1), (0, 0)), constant_values=-1)
        record = (batch.memory, none_at_the_end, last_actions(batch.actions))
        memory, stored, last = jax.tree.map(lambda x: pack(packing, x), record)
        seen = jax.vmap(jax.vmap(self.env.recall))(memory)

        # 2. Utilities of every action, then of the stored and of the greedy ones.
        def utilities_of(agent: AgentNet) -> Float[Array, "S L N A"]:
            return unroll(agent, self._encode, (seen.obs, last), packing)

        q = self._bounded(utilities_of(params.factored.agent))
        q_target = utilities_of(target.agent)
        if not self.targets_central:
            q_target = self._bounded(q_target)
        best = greedy(q if self.config.double_q else q_target, seen.avail_actions)
        utilities = {"q_tot": taken(q, stored)}
        if params.central is not None:
            utilities["q_star"] = taken(utilities_of(params.central.agent), stored)
        frozen_utilities = jax.lax.stop_gradient(taken(q_target, best))

        # 3. Joint values.
        def flat(tree: PyTree) -> PyTree:
            return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)

        values = map_rows(
            self._mix,
            (params.factored.mixer, params.central and params.central.mixer),
            target.mixer,
            flat(utilities),
            flat((memory, frozen_utilities)),
            packing.n_places * stored.shape[1],
        )
        values = jax.tree.map(lambda x: x.reshape(stored.shape[:2]), values)

        # 4. The policies that weights depend on, of the stored actions.
        values["is_greedy"] = (stored == best).all(-1)
        values["pi_taken"] = taken_probs(
            q,
            stored,
            seen.avail_actions,
            self.scheme.policy_temperature,
            self.scheme.include_unavailable,
        )
        return jax.tree.map(lambda x: unpack(packing, x), values)

    def _encode(self, inputs: tuple[Array, Array]) -> Float[Array, "B N i"]:
        return agent_inputs(self.spec, *inputs)

    def _mix(self, mixers: PyTree, target_mixer: Any, utilities: PyTree, context: PyTree) -> PyTree:
        """Joint values of a chunk of states."""
        memory, frozen_utilities = context
        state = jax.vmap(self.env.recall)(memory).state.astype(jnp.float32)
        factored, central = mixers
        joint = {
            "q_tot": factored(utilities["q_tot"], state),
            "bootstrap": target_mixer(frozen_utilities, state),
        }
        if "q_star" in utilities:
            joint["q_star"] = central(utilities["q_star"], state)
        return joint
