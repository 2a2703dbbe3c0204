"""What a weighting needs to have estimated beside the algorithm, for any learner.

| network | signals | learns | optimiser |
|---|---|---|---|
| central value Q* | `q_star` | the learner's targets | the learner's |
| error network Δ, its target | `error_estimate`, `next_error_estimate` | accumulated errors | own |
| classifier z | `log_density_ratio` | recent play from replay | own |

Each exists where the scheme's `needs` name what it says. No gradient passes between them and the
algorithm's networks.

A learner plugs them in with one `Estimation`. Its networks have the members `central` and
`estimators`, its targets the member `error`, and it calls, in this order:

1. `init` beside its own networks, and `optimiser` for the state of the estimators' optimiser;
2. `utilities` once the stored and the greedy actions of a packed batch are known: what goes through
   `map_states` with a gradient, and without one;
3. `joint_values` where a chunk of states is in hand, inside the function of `map_states`;
4. `signals` for the weighting, then `central_losses` and `own_losses`;
5. `step` for the estimators and the slow copy; `central` learns with the learner's own networks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import pack, plan, unpack
from macpo.kernels.shard import map_over_devices
from macpo.learners.base import Recent
from macpo.learners.episodes import global_state, stored_actions
from macpo.learners.losses import masked_mean, weighted_squared_error
from macpo.nets.agent import AgentNet, agent_input_size, gather_actions
from macpo.nets.linear import MLP
from macpo.nets.mixers import CentralMixer
from macpo.types import Batch, Episodes, Metrics, PyTree, Spec

LEARNING_RATE = 3e-4  # of both (DisCor; LFIW)
POLYAK = 0.005  # share of the error network that its target takes over per update (DisCor)
RECENT_SHARE = 20  # one in so many episodes of a full replay counts as recent play
RATIO_WIDTH = 128  # of the classifier's two hidden layers (ReMERN)


class Value(NamedTuple):
    """A joint value: the agents' network and the mixer on top of it."""

    agent: AgentNet
    mixer: Any


class Estimators(NamedTuple):
    """Networks that exist where the weighting needs their output."""

    error: Value | None
    """Accumulated error of a joint action, shaped like the central value."""
    ratio: MLP | None
    """Logit of a classifier between recent play and replay."""


class Nets(Protocol):
    """What an `Estimation` reads of a learner's networks."""

    @property
    def central(self) -> Value | None:
        """The unrestricted joint value Q*."""
        ...

    @property
    def estimators(self) -> Estimators:
        """Those with an optimiser of their own."""
        ...


@dataclass(frozen=True)
class Estimation:
    """The functions of these networks; see the module's docstring."""

    env: Environment
    needs: tuple[str, ...]
    """What the weighting needs."""
    has_central: bool
    """Whether there is a central network: for the scheme's sake, or for the learner's targets."""
    rnn_hidden_dim: int
    central_mixing_embed_dim: int

    # --- networks -----------------------------------------------------------------------------

    def init(self, keys: PRNGKeyArray) -> tuple[Value | None, Estimators]:
        """(central value, estimators) from four keys."""
        *k_central, k_error, k_ratio = keys
        spec = self.env.spec
        central = self._joint_value(*k_central) if self.has_central else None
        error = ratio = None
        if "next_error_estimate" in self.needs:
            error = self._joint_value(*jax.random.split(k_error))
        if "log_density_ratio" in self.needs:
            ratio = make_ratio(k_ratio, spec)
        return central, Estimators(error, ratio)

    def _joint_value(self, k_agent: PRNGKeyArray, k_mixer: PRNGKeyArray) -> Value:
        spec = self.env.spec
        agent = AgentNet(k_agent, agent_input_size(spec), self.rnn_hidden_dim, spec.n_actions)
        width = self.central_mixing_embed_dim
        return Value(agent, CentralMixer(k_mixer, spec.n_agents, spec.state_size, width))

    def recent(self, batch_size: int, buffer_size: int) -> Recent | None:
        """For a density ratio: a batch of the newest twentieth."""
        if "log_density_ratio" not in self.needs:
            return None
        return Recent(batch_size, max(buffer_size // RECENT_SHARE, batch_size))

    # --- what they say ------------------------------------------------------------------------

    def utilities(
        self,
        nets: Nets,
        slow_error: Value | None,
        utilities_of: Callable[[AgentNet], Float[Array, "S L N A"]],
        stored: Int[Array, "S L N"],
        best: Int[Array, "S L N"],
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Utilities of the stored or the greedy actions: (with a gradient, without one)."""
        learned: dict[str, Array] = {}
        frozen: dict[str, Array] = {}
        if nets.central is not None:
            learned["q_star"] = gather_actions(utilities_of(nets.central.agent), stored)
        if nets.estimators.error is not None and slow_error is not None:
            learned["error_estimate"] = gather_actions(
                utilities_of(nets.estimators.error.agent), stored
            )
            frozen["next_error_estimate"] = gather_actions(utilities_of(slow_error.agent), best)
        return learned, frozen

    def joint_values(
        self,
        mixers: Any,
        slow_error: Value | None,
        learned: dict[str, Float[Array, "R N"]],
        frozen: dict[str, Float[Array, "R N"]],
        state: Float[Array, "R S"],
        stored: Int[Array, "R N"],
    ) -> dict[str, Float[Array, " R"]]:
        """What they say of a chunk of states; `mixers` are the parts `mixers_of` a learner's."""
        joint: dict[str, Array] = {}
        if "q_star" in learned:
            joint["q_star"] = mixers.central(learned["q_star"], state)
        if slow_error is not None:  # positive, as an error is
            joint["error_estimate"] = jax.nn.softplus(
                mixers.estimators.error(learned["error_estimate"], state)
            )
            joint["next_error_estimate"] = jax.nn.softplus(
                slow_error.mixer(frozen["next_error_estimate"], state)
            )
        if mixers.estimators.ratio is not None:
            ratio = mixers.estimators.ratio
            joint["log_density_ratio"] = log_density_ratio(
                ratio, state, stored, self.env.spec.n_actions
            )
        return joint

    def signals(
        self,
        values: dict[str, Float[Array, "B Tp1"]],
        discount: Float[Array, "B T"],
        recent_differs: Bool[Array, ""] | bool,
    ) -> dict[str, Float[Array, "B T"]]:
        """What the weighting reads of them; `discount` is γ, or 0 where the episode ends."""
        read = {
            k: values[k][:, :-1]
            for k in ("q_star", "error_estimate", "log_density_ratio")
            if k in values
        }
        if "next_error_estimate" in values:
            read["next_error_estimate"] = discount * values["next_error_estimate"][:, 1:]
        if "log_density_ratio" in values:
            read["log_density_ratio"] = jnp.where(recent_differs, read["log_density_ratio"], 0.0)
        return read

    # --- what they learn ----------------------------------------------------------------------

    def own_losses(
        self,
        nets: Nets,
        values: dict[str, Float[Array, "B Tp1"]],
        signals: dict[str, Float[Array, "B T"]],
        td_error: Float[Array, "B T"],
        mask: Bool[Array, "B T"],
        batch: Batch,
    ) -> Metrics:
        """Losses of the networks with an optimiser of their own; their sum is to be minimised."""
        losses: Metrics = {}
        if "error_estimate" in signals:
            losses["loss_error"] = error_loss(
                signals["error_estimate"], td_error, signals["next_error_estimate"], mask
            )
        if "log_density_ratio" in values:
            assert batch.recent is not None
            recent_mask = jnp.arange(mask.shape[1]) < batch.recent.length[:, None]
            z_recent = map_over_devices(self._ratio, nets.estimators.ratio, batch.recent)
            losses["loss_ratio"] = ratio_loss(
                values["log_density_ratio"][:, :-1], mask, z_recent[:, :-1], recent_mask
            )
        return losses

    def _ratio(self, net: MLP, batch: Episodes) -> Float[Array, "B Tp1"]:
        """The density ratio's logit in every state of other episodes."""
        packing = plan(batch.length, batch.reward.shape[1] + 1)
        rows = jax.tree.map(
            lambda x: pack(packing, x), (batch.encoded_state, stored_actions(batch))
        )
        return unpack(packing, map_states(self._ratio_of, net, None, None, rows, packing))

    def _ratio_of(self, net: MLP, _: None, __: None, rows: PyTree) -> Float[Array, " R"]:
        encoded_state, stored = rows
        return log_density_ratio(
            net, global_state(self.env, encoded_state), stored, self.env.spec.n_actions
        )

    def step(
        self, grads: Estimators, optimiser_state: PyTree, nets: Estimators, slow_error: Value | None
    ) -> tuple[Estimators, PyTree, Value | None]:
        """(estimators, their optimiser's state, slow copy) after one step."""
        updates, optimiser_state = optimiser().update(grads, optimiser_state, nets)  # pyright: ignore[reportArgumentType]
        new: Any = optax.apply_updates(nets, updates)  # pyright: ignore[reportArgumentType]
        return new, optimiser_state, follow(slow_error, new.error)


# --- parts ------------------------------------------------------------------------------------


def mixers_of(nets: Nets) -> tuple[Any, Estimators]:
    """(central, estimators): the parts of these networks that see a whole state."""
    central, (error, ratio) = nets.central, nets.estimators
    return central and central.mixer, Estimators(error and error.mixer, ratio)  # pyright: ignore[reportArgumentType]


def make_ratio(key: PRNGKeyArray, spec: Spec) -> MLP:
    """A classifier of joint actions in global states."""
    inputs = spec.state_size + spec.n_agents * spec.n_actions
    return MLP(key, inputs, RATIO_WIDTH, RATIO_WIDTH, 1)


def log_density_ratio(
    net: MLP, state: Float[Array, "R S"], actions: Int[Array, "R N"], n_actions: int
) -> Float[Array, " R"]:
    """z, the log of d^π/μ once the classifier is fitted.   Source: LFIW (Sinha et al. 2022)."""
    one_hot = jax.nn.one_hot(actions, n_actions).reshape(len(actions), -1)
    return net(jnp.concatenate([state, one_hot], -1))[:, 0]


def central_losses(
    q: Float[Array, "B T"],
    q_star: Float[Array, "B T"],
    target: Float[Array, "B T"],
    importance: Float[Array, "B T"],
    mask: Bool[Array, "B T"],
) -> Metrics:
    """`loss_central`, the unweighted squared error of Q*, and how far Q_tot is from it."""
    return {
        "loss_central": weighted_squared_error(q_star - target, importance, mask),
        "q_star_gap": masked_mean(jnp.abs(q - q_star), mask),
    }


def ratio_loss(
    z_replay: Float[Array, "B T"],
    mask: Bool[Array, "B T"],
    z_recent: Float[Array, "B T"],
    recent_mask: Bool[Array, "B T"],
) -> Float[Array, ""]:
    """Cross-entropy with recent play as 1, replay as 0: LFIW's Jensen-Shannon bound + 2 log 2."""
    as_replay, as_recent = jax.nn.softplus(z_replay), jax.nn.softplus(-z_recent)
    return masked_mean(as_replay, mask) + masked_mean(as_recent, recent_mask)


def error_loss(
    error: Float[Array, "B T"],
    td_error: Float[Array, "B T"],
    next_error_estimate: Float[Array, "B T"],
    mask: Bool[Array, "B T"],
) -> Float[Array, ""]:
    """(Δ − (|δ| + γ Δ̄(s′, u′)))².   Source: DisCor (Kumar et al. 2020), Algorithm 1."""
    target = jax.lax.stop_gradient(jnp.abs(td_error) + next_error_estimate)
    return masked_mean(jnp.square(jnp.where(mask, error - target, 0.0)), mask)


def optimiser() -> optax.GradientTransformation:
    """Of both networks."""
    return optax.adam(LEARNING_RATE)


def follow(target: PyTree, online: PyTree) -> PyTree:
    """The target a little nearer to its online network."""
    return optax.incremental_update(online, target, POLYAK)
