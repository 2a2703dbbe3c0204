"""The value-based learner: utilities, a mixer, λ-returns, weighted squared TD errors.

VDN, QMIX and QPLEX are this learner with another mixer; CW-QMIX, OW-QMIX and MAC-PO are QMIX with
other weights; IQL has no mixer, QTRAN a joint network in its place and a loss beside. Where the
weighting needs an unrestricted value Q*, a second recurrent network with a feed-forward mixer is
trained on the same targets, and the targets come from its copy.

Source: QMIX (Rashid et al. 2018) as tuned in PyMARL2; Weighted QMIX (Rashid et al. 2020); MAC-PO
(Mei et al. 2023), section 4 and its released code.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.errors import require, require_choice
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import pack, plan, unpack
from macpo.kernels.shard import map_over_devices
from macpo.kernels.unroll import unroll, unroll_with_hidden
from macpo.learners.auxiliary import (
    Estimation,
    Estimators,
    Value,
    central_losses,
    mixers_of,
)
from macpo.learners.auxiliary import optimiser as estimator_optimiser
from macpo.learners.base import LearnerState, Recent
from macpo.learners.episodes import global_state, stored_actions, transitions
from macpo.learners.hyperparameters import Hyperparameters
from macpo.learners.losses import masked_mean, weighted_squared_error
from macpo.learners.returns import lambda_return
from macpo.nets.agent import (
    AgentNet,
    agent_input_size,
    agent_inputs,
    agents_step,
    epsilon_greedy,
    gather_actions,
    greedy,
    last_actions,
)
from macpo.nets.mixers import Extras
from macpo.types import Batch, Episodes, Metrics, Observation, PyTree, Spec
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting, WeightingState

TargetSource: TypeAlias = Literal["auto", "self", "central"]


@dataclass(frozen=True)
class ValueBased(Hyperparameters):
    """Hyper-parameters shared by the value-based algorithms; PyMARL2's names and values."""

    td_lambda: float = 0.6
    """λ of Peng's λ-return (PyMARL2 0.6, PyMARL 0: one-step)."""
    double_q: bool = True
    """Whether the online network chooses the action that the target network evaluates."""
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
        super().__post_init__()
        require_choice("algorithm", "target_source", self.target_source, TargetSource)
        self.require_positive("central_mixing_embed_dim")
        self.require_not_negative("central_loss", "qmix_loss")
        clamp = self.utility_clamp
        require(
            clamp is None or clamp[0] < clamp[1],
            f"algorithm: utility_clamp must be (low, high) with low < high, not {clamp}.",
        )


class Networks(NamedTuple):
    """The factored value that acts, the unrestricted one (Q*), and what a weighting has estimated.

    All but the first exist where they are needed (see `estimators`).
    """

    factored: Value
    central: Value | None
    estimators: Estimators


class Targets(NamedTuple):
    """Slow copies: of the value that targets come from, and of the error network."""

    value: Value
    error: Value | None


class Auxiliary(NamedTuple):
    """A loss beside the TD loss."""

    provides: tuple[str, ...]
    """The signals for the weighting that are among its values."""
    values: Callable[[Any, Float[Array, " R"], PyTree, Extras, Float[Array, "R S"]], PyTree]
    """(mixer, its value of the stored actions, utilities, extras of the greedy actions, state) →
    what the loss and those signals depend on, [R] by name."""
    loss: Callable[
        [PyTree, Float[Array, "B T"], Bool[Array, "B T"]], tuple[Float[Array, ""], Metrics]
    ]
    """(values [B, T] by name, importance, mask) → (loss, metrics)."""


@dataclass(frozen=True)
class ValueBasedLearner:
    """See the module's docstring.

    `make_mixer(key)` builds the mixer of the factored value (`nets.mixers` says what that is). If
    its values are [B, N], every agent learns from its own TD errors.
    """

    env: Environment
    config: ValueBased
    weighting: Weighting
    make_mixer: Callable[[PRNGKeyArray], Any] = field(repr=False)
    auxiliary: Auxiliary | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        require(
            not ("q_star_greedy" in self.weighting.needs and self._needs_central)
            or self.targets_central,
            f"weighting {self.weighting.name!r} compares with Q* of the greedy actions, which "
            "targets of Q* hold: it needs target_source auto or central.",
        )
        require(
            self.config.double_q or not self.targets_central,
            "targets of Q* are those of the actions that the utilities choose: with them (MAC-PO, "
            "Weighted QMIX, target_source central) double_q must stay true.",
        )

    @property
    def spec(self) -> Spec:
        """The environment's promises."""
        return self.env.spec

    @property
    def targets_central(self) -> bool:
        """Whether targets come from the central network."""
        source = self.config.target_source
        return source == "central" or (source == "auto" and self._needs_central)

    @property
    def uses_central(self) -> bool:
        """Whether there is a central network at all."""
        return self.targets_central or self._needs_central

    @property
    def _needs_central(self) -> bool:
        """Whether the weighting needs a Q* that the algorithm itself does not have."""
        provided = self.auxiliary.provides if self.auxiliary else ()
        return "q_star" in self.weighting.needs and "q_star" not in provided

    @property
    def estimation(self) -> Estimation:
        """What the weighting needs beside the factored value."""
        config = self.config
        return Estimation(
            self.env,
            self.weighting.needs,
            self.uses_central,
            config.rnn_hidden_dim,
            config.central_mixing_embed_dim,
        )

    def recent(self, batch_size: int, buffer_size: int) -> Recent | None:
        """The newest episodes, where the weighting compares replay with them."""
        return self.estimation.recent(batch_size, buffer_size)

    # --- networks -----------------------------------------------------------------------------

    def init(self, key: PRNGKeyArray) -> LearnerState:
        """Fresh networks; targets are copies."""
        k_agent, k_mixer, *others = jax.random.split(key, 6)
        spec, width = self.spec, self.config.rnn_hidden_dim
        agent = AgentNet(k_agent, agent_input_size(spec), width, spec.n_actions)
        factored = Value(agent, self.make_mixer(k_mixer))
        central, estimators = self.estimation.init(jnp.stack(others))
        params = Networks(factored, central, estimators)
        optimisers = (
            self.config.make_optimiser().init(_values_of(params)),  # pyright: ignore[reportArgumentType]
            estimator_optimiser().init(estimators),  # pyright: ignore[reportArgumentType]
        )
        state = jax.tree.map(jnp.float32, self.weighting.init())
        targets = Targets(self._target_of(params), jax.tree.map(jnp.copy, estimators.error))
        return LearnerState(params, targets, optimisers, state)

    def _target_of(self, params: Networks) -> Value:
        target = params.central if self.targets_central else params.factored
        assert target is not None
        return jax.tree.map(jnp.copy, target)

    def _bounded(self, utilities: Float[Array, "*B"]) -> Float[Array, "*B"]:
        clamp = self.config.utility_clamp
        return utilities if clamp is None else jnp.clip(utilities, *clamp)

    def update_bytes(self, batch_size: int) -> int:
        """Twice the recurrent states that the trained networks keep for the backward pass: all
        else takes about as much (measured)."""
        rows = batch_size * (self.spec.episode_limit + 1) * self.spec.n_agents
        # a mixer that reads recurrent states: those of the targets too, and a gradient of its own
        mixer = jax.eval_shape(self.make_mixer, jax.random.key(0))
        kept = 1 + self.uses_central + 2 * ("hidden" in mixer.needs)
        return 2 * kept * rows * self.config.rnn_hidden_dim * 4

    # --- acting -------------------------------------------------------------------------------

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
        """Epsilon-greedy, independently per agent and step; without an epsilon greedy."""
        hidden, q = agents_step(
            self.spec, params.factored.agent, observation.obs, last_action, hidden
        )
        q = self._bounded(q)
        if epsilon is None:
            return hidden, greedy(q, observation.avail_actions)
        return hidden, epsilon_greedy(key, q, observation.avail_actions, jnp.asarray(epsilon))

    # --- learning -----------------------------------------------------------------------------

    def update(
        self, state: LearnerState, batch: Batch, key: PRNGKeyArray, sync_targets: Bool[Array, ""]
    ) -> tuple[LearnerState, Metrics, Float[Array, "B T"]]:
        """One step of the optimisers over all networks; (state, metrics, |δ|, 0 on padding)."""
        grads, aux = jax.grad(self.loss, has_aux=True)(state.params, state, batch, key)
        metrics, weighting, td_error_abs = aux
        old = _values_of(state.params)
        step, optimiser = self.config.make_optimiser().update(
            _values_of(grads),  # pyright: ignore[reportArgumentType]
            state.optimiser[0],
            old,  # pyright: ignore[reportArgumentType]
        )
        factored, central = optax.apply_updates(old, step)  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
        estimators, own_optimiser, slow_error = self.estimation.step(
            grads.estimators, state.optimiser[1], state.params.estimators, state.targets.error
        )
        params = Networks(factored, central, estimators)  # pyright: ignore[reportArgumentType]
        target = state.targets.value
        value = jax.lax.cond(sync_targets, lambda: self._target_of(params), lambda: target)
        metrics["grad_norm"] = optax.tree.norm(_values_of(grads))
        learned = LearnerState(
            params, Targets(value, slow_error), (optimiser, own_optimiser), weighting
        )
        return learned, metrics, td_error_abs

    def loss(
        self, params: Networks, state: LearnerState, batch: Batch, key: PRNGKeyArray
    ) -> tuple[Array, tuple[Metrics, WeightingState, Array]]:
        """(loss, (metrics, the weighting's new state, |δ|)) of whole episodes, longest first."""
        config, n_agents = self.config, self.spec.n_agents
        values = map_over_devices(self._values, (params, state.targets), batch.episodes)
        steps, importance = batch.episodes._replace(encoded_state=()), batch.importance
        alone = values["q_tot"].ndim == 3
        if alone:  # without a mixer the batch is N batches
            values = _by_agent(values, n_agents)
            steps, importance = _repeated((steps, importance), n_agents)

        mask, terminal = transitions(steps)
        y = lambda_return(
            steps.reward, terminal, mask, values["bootstrap"], config.gamma, config.td_lambda
        )
        now = {name: x[:, :-1] for name, x in values.items()}
        td_error = now["q_tot"] - y
        discount = config.gamma * ~terminal
        estimated = self.estimation.signals(values, discount, batch.recent_differs)
        given = {"q": now["q_tot"], "q_star_greedy": now["bootstrap"]} | now | estimated
        signals = Signals(mask=mask, target=y, uniform_noise=jax.random.uniform(key))._replace(
            **{name: given[name] for name in Signals._fields if name in given}
        )
        weights, weighting, metrics = self.weighting.apply(state.weighting, signals)

        # what is learned, and how much each step counts in it
        importance = jnp.broadcast_to(importance[:, None], mask.shape)
        reduction = "sum" if self.weighting.normalise == "sum" else "mean"
        if (
            self.weighting.per_agent
        ):  # the mixer learns from the team's error, each agent from its own
            own = now["dq_tot_dq"] * td_error[..., None]
            own = now["utilities"] - jax.lax.stop_gradient(now["utilities"] - own)
            weights *= importance[..., None]
            loss_td = weighted_squared_error(td_error, importance, mask)
            loss_td += weighted_squared_error(own, weights, mask[..., None], reduction)
        else:
            loss_td = weighted_squared_error(td_error, weights * importance, mask, reduction)
        loss = config.qmix_loss * loss_td
        metrics |= {
            "loss_td": loss_td,
            "td_error_abs": masked_mean(jnp.abs(td_error), mask),
            "q_taken_mean": masked_mean(now["q_tot"], mask),
            "target_mean": masked_mean(y, mask),
            "valid_steps": batch.episodes.length.sum(),
        }
        if params.central is not None:
            metrics |= central_losses(now["q_tot"], now["q_star"], y, importance, mask)
            loss += config.central_loss * metrics["loss_central"]
        if self.auxiliary is not None:
            auxiliary_loss, more = self.auxiliary.loss(now, importance, mask)
            metrics |= more
            loss += auxiliary_loss
        metrics["loss"] = loss
        own_losses = self.estimation.own_losses(params, values, estimated, td_error, mask, batch)
        for name, own_loss in own_losses.items():
            metrics[name] = own_loss
            loss += own_loss
        td_error_abs = jnp.where(mask, jnp.abs(td_error), 0.0)
        if alone:
            td_error_abs = td_error_abs.reshape(-1, n_agents, mask.shape[1]).mean(1)
        return loss, jax.lax.stop_gradient((metrics, weighting, td_error_abs))

    def _values(self, nets: tuple[Networks, Targets], batch: Episodes) -> dict[str, Array]:
        """What all networks say of every state: values [B, T+1], of agents [B, T+1, N]."""
        params, targets = nets
        needs = self.weighting.needs

        # 1. The states that exist, packed: from here on [S, L, ...], without padding.
        packing = plan(batch.length, batch.reward.shape[1] + 1)
        record = (batch.encoded_state, stored_actions(batch), last_actions(batch.actions))
        encoded_state, stored, last = jax.tree.map(lambda x: pack(packing, x), record)
        observation = jax.vmap(jax.vmap(self.env.decode))(encoded_state)

        # 2. Utilities of every action, then of the stored and of the greedy ones.
        inputs = (observation.obs, last)

        def utilities_of(agent: AgentNet) -> Float[Array, "S L N A"]:
            return unroll(agent, self._encode, inputs, packing)

        def with_hidden(value: Value) -> tuple[Float[Array, "S L N A"], Array | None]:
            if "hidden" in value.mixer.needs:
                return unroll_with_hidden(value.agent, self._encode, inputs, packing)
            return utilities_of(value.agent), None

        q, hidden = with_hidden(params.factored)
        q = self._bounded(q)
        q_target, hidden_target = with_hidden(targets.value)
        if not self.targets_central:
            q_target = self._bounded(q_target)
        best, best_target = (greedy(x, observation.avail_actions) for x in (q, q_target))
        chosen = best if self.config.double_q else best_target  # the actions of the targets
        own = gather_actions(q, stored)
        learned: dict[str, Any] = {
            "q_tot": jax.lax.stop_gradient(own) if self.weighting.per_agent else own,
            "extras": _extras(params.factored.mixer, gather_actions(q, best), hidden),
        }
        frozen: dict[str, Any] = {
            "bootstrap": gather_actions(q_target, chosen),
            "extras": _extras(
                targets.value.mixer, gather_actions(q_target, best_target), hidden_target
            ),
        }
        if "q_of_target_net" in needs:
            frozen["q_of_target_net"] = gather_actions(q_target, stored)
        more = self.estimation.utilities(params, targets.error, utilities_of, stored, chosen)
        learned, frozen = learned | more[0], frozen | more[1]

        # 3. Joint values.
        values = map_states(
            self._mix,
            _mixers_of(params),
            targets,
            learned,
            (encoded_state, stored, best, chosen, jax.lax.stop_gradient(frozen)),
            packing,
        )

        # 4. What else weights and losses depend on.
        values["is_greedy"] = (stored == chosen).all(-1)
        values["pi_taken"] = self.weighting.taken_probs(q, stored, observation.avail_actions)
        if self.weighting.per_agent:
            values["utilities"] = own
        return jax.tree.map(lambda x: unpack(packing, x), values)

    def _encode(self, inputs: tuple[Array, Array]) -> Float[Array, "B N i"]:
        return agent_inputs(self.spec, *inputs)

    def _mix(self, nets: Any, targets: Targets, learned: PyTree, context: PyTree) -> PyTree:
        """Joint values of a chunk of states, from utilities of the stored or greedy actions."""
        encoded_state, stored, best, chosen, frozen = context
        state = global_state(self.env, encoded_state)
        mixer, target_mixer = nets.factored, targets.value.mixer
        utilities, extras = learned["q_tot"], Extras(stored, **learned["extras"])
        q_tot = mixer(utilities, state, extras)
        bootstrap_extras = Extras(chosen, **frozen["extras"])
        joint = {
            "q_tot": q_tot,
            "bootstrap": target_mixer(frozen["bootstrap"], state, bootstrap_extras),
        }
        if "q_of_target_net" in frozen:
            extras_target = bootstrap_extras._replace(actions=stored)
            joint["q_of_target_net"] = target_mixer(frozen["q_of_target_net"], state, extras_target)
        if "dq_tot_dq" in self.weighting.needs:
            by_agent = jax.grad(lambda u, mixer: mixer(u, state, extras).sum())
            joint["dq_tot_dq"] = by_agent(*jax.lax.stop_gradient((utilities, mixer)))
        if self.auxiliary is not None:
            of_best = extras._replace(actions=best)
            joint |= self.auxiliary.values(mixer, q_tot, utilities, of_best, state)
        return joint | self.estimation.joint_values(
            nets, targets.error, learned, frozen, state, stored
        )


def _extras(mixer: Any, best: Array, hidden: Array | None) -> dict[str, Any]:
    """Those that the mixer reads."""
    extras: dict[str, Any] = {"best": best, "hidden": hidden}
    return {name: extras[name] for name in mixer.needs}


def _by_agent(values: dict[str, Array], n_agents: int) -> dict[str, Array]:
    """Agents as rows of a batch B·N long: each with its own values, and with those of the team.

    Its own are what it learns and learns from; all that is said of joint actions is the team's.
    """

    def rows(name: str, x: Array) -> Array:
        if name in ("q_tot", "bootstrap", "q_of_target_net") and x.ndim == 3:
            return jnp.moveaxis(x, -1, 1).reshape(-1, x.shape[1])
        return _repeated(x, n_agents)

    return {name: rows(name, x) for name, x in values.items()}


def _repeated(tree: PyTree, n: int) -> PyTree:
    """Every row n times in a row."""
    return jax.tree.map(lambda x: jnp.repeat(x, n, axis=0), tree)


def _values_of(params: Networks) -> tuple[Value, Value | None]:
    return params.factored, params.central


def _mixers_of(params: Networks) -> Any:
    """The parts of all networks that see a whole state."""
    return Networks(params.factored.mixer, *mixers_of(params))
