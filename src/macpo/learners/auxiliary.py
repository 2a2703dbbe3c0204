"""Networks that a weighting needs besides the algorithm's own, for every learner.

| network | signals | learns | optimiser |
|---|---|---|---|
| central critic Q* | `q_star`, `q_star_greedy` | the learner's targets | the learner's |
| error network Δ, its target | `error_estimate`, `next_error_estimate` | accumulated errors | own |
| density ratio z | `log_density_ratio` | recent play from replay | own |

Each exists only if the weighting's `needs` name one of its signals. No gradient passes between them
and the algorithm's networks. A learner holds one `Auxiliary` and calls, in this order: `init`;
`utilities` over the packed states; `mix` inside `map_states`; `signals` for the weighting;
`central_critic_loss` and `losses`; `apply_gradients`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import unpack
from macpo.kernels.shard import map_over_devices
from macpo.learners.base import RecentEpisodes
from macpo.learners.episodes import (
    Transitions,
    ValueNetwork,
    decode_rows,
    pack_episodes,
    transitions,
)
from macpo.learners.hyperparameters import optimiser_step
from macpo.learners.losses import weighted_squared_error
from macpo.nets.action_selection import gather_actions
from macpo.nets.agent import AgentNet, make_agent
from macpo.nets.linear import MLP
from macpo.nets.mixers import CentralMixer, Mixer
from macpo.types import Batch, Episodes, Metrics, PyTree, Spec
from macpo.weighting.normalise import masked_mean
from macpo.weighting.signals import Signals

LEARNING_RATE = 3e-4  # of error network and density ratio (DisCor; LFIW)
POLYAK = 0.005  # step size with which the error network's target follows it (DisCor)
RECENT_SHARE = 20  # the newest 1/20 of a full replay buffer counts as recent play
RATIO_WIDTH = 128  # of the density ratio's two hidden layers (ReMERN)


class AuxiliaryNetworks(NamedTuple):
    """The networks that exist; None for those that the weighting does not need."""

    central_critic: ValueNetwork | None
    """The unrestricted joint value Q*."""
    error: ValueNetwork | None
    """Accumulated error of a joint action, shaped like the central critic."""
    density_ratio: MLP | None
    """Logit of a classifier between recent play and replay."""


class AuxiliaryMixers(NamedTuple):
    """The parts of these networks that read the global state."""

    central_critic: Mixer | None
    error: Mixer | None
    density_ratio: MLP | None


class OnlineUtilities(NamedTuple):
    """Utilities of the actions taken; gradients flow through them."""

    q_star: Float[Array, "S L N"] | None
    error: Float[Array, "S L N"] | None


class TargetUtilities(NamedTuple):
    """Utilities of greedy actions; constants."""

    q_star_greedy: Float[Array, "S L N"] | None
    next_error: Float[Array, "S L N"] | None


class AuxiliaryValues(NamedTuple):
    """Joint values of every state, [B, T+1]; None without their network."""

    q_star: Float[Array, "B Tp1"] | None = None
    q_star_greedy: Float[Array, "B Tp1"] | None = None
    error_estimate: Float[Array, "B Tp1"] | None = None
    next_error_estimate: Float[Array, "B Tp1"] | None = None
    """The target error network's estimate for the greedy action of this state."""
    log_density_ratio: Float[Array, "B Tp1"] | None = None


@dataclass(frozen=True)
class Auxiliary:
    """The functions of these networks; see the module's docstring."""

    env: Environment
    needs: tuple[str, ...]
    """The signals that the weighting reads."""
    has_central_critic: bool
    rnn_hidden_dim: int
    central_mixing_embed_dim: int

    # --- networks -----------------------------------------------------------------------------

    def init(self, keys: PRNGKeyArray) -> AuxiliaryNetworks:
        """Fresh networks from four keys."""
        *k_central, k_error, k_ratio = keys
        central_critic = error = density_ratio = None
        if self.has_central_critic:
            central_critic = self._value_network(*k_central)
        if "next_error_estimate" in self.needs:
            error = self._value_network(*jax.random.split(k_error))
        if "log_density_ratio" in self.needs:
            density_ratio = make_density_ratio(k_ratio, self.env.spec)
        return AuxiliaryNetworks(central_critic, error, density_ratio)

    def _value_network(self, k_agent: PRNGKeyArray, k_mixer: PRNGKeyArray) -> ValueNetwork:
        spec = self.env.spec
        agent = make_agent(k_agent, spec, self.rnn_hidden_dim, spec.n_actions)
        width = self.central_mixing_embed_dim
        return ValueNetwork(agent, CentralMixer(k_mixer, spec.n_agents, spec.state_size, width))

    def recent_episodes(self, batch_size: int, buffer_size: int) -> RecentEpisodes | None:
        """For a density ratio: a batch drawn from the newest twentieth of the buffer."""
        if "log_density_ratio" not in self.needs:
            return None
        return RecentEpisodes(batch_size, max(buffer_size // RECENT_SHARE, batch_size))

    # --- forward ------------------------------------------------------------------------------

    def utilities(
        self,
        nets: AuxiliaryNetworks,
        target_error: ValueNetwork | None,
        unroll_fn: Callable[[AgentNet], Float[Array, "S L N A"]],
        taken: Int[Array, "S L N"],
        greedy: Int[Array, "S L N"],
        with_greedy_q_star: bool = False,
    ) -> tuple[OnlineUtilities, TargetUtilities]:
        """Utilities of the actions taken and of the greedy ones; `unroll_fn` runs a network."""
        q_star = q_star_greedy = error = next_error = None
        if nets.central_critic is not None:
            q_star_of_actions = unroll_fn(nets.central_critic.agent)
            q_star = gather_actions(q_star_of_actions, taken)
            if with_greedy_q_star:
                q_star_greedy = gather_actions(q_star_of_actions, greedy)
        if nets.error is not None and target_error is not None:
            error = gather_actions(unroll_fn(nets.error.agent), taken)
            next_error = gather_actions(unroll_fn(target_error.agent), greedy)
        return OnlineUtilities(q_star, error), TargetUtilities(q_star_greedy, next_error)

    def mix(
        self,
        mixers: AuxiliaryMixers,
        target_error: ValueNetwork | None,
        online: OnlineUtilities,
        target: TargetUtilities,
        state: Float[Array, "R S"],
        taken: Int[Array, "R N"],
    ) -> AuxiliaryValues:
        """Joint values of a chunk of states."""
        values = AuxiliaryValues()
        if mixers.central_critic is not None and online.q_star is not None:
            values = values._replace(q_star=mixers.central_critic(online.q_star, state))
            if target.q_star_greedy is not None:
                q_star_greedy = mixers.central_critic(target.q_star_greedy, state)
                values = values._replace(q_star_greedy=q_star_greedy)
        if mixers.error is not None and target_error is not None:
            assert online.error is not None and target.next_error is not None
            values = values._replace(  # errors are positive
                error_estimate=jax.nn.softplus(mixers.error(online.error, state)),
                next_error_estimate=jax.nn.softplus(target_error.mixer(target.next_error, state)),
            )
        if mixers.density_ratio is not None:
            n_actions = self.env.spec.n_actions
            logit = log_density_ratio(mixers.density_ratio, state, taken, n_actions)
            values = values._replace(log_density_ratio=logit)
        return values

    def signals(
        self,
        signals: Signals,
        values: AuxiliaryValues,
        discount: Float[Array, "B T"],
        recent_differs: Bool[Array, ""] | bool,
    ) -> Signals:
        """The signals, completed by these networks; `discount` is γ, or 0 where an episode ends."""
        q_star, q_star_greedy, error_estimate, next_error_estimate, ratio = values
        if q_star is not None:
            signals = signals._replace(q_star=q_star[:, :-1])
        if q_star_greedy is not None:
            signals = signals._replace(q_star_greedy=q_star_greedy[:, :-1])
        if error_estimate is not None and next_error_estimate is not None:
            signals = signals._replace(
                error_estimate=error_estimate[:, :-1],
                next_error_estimate=discount * next_error_estimate[:, 1:],
            )
        if ratio is not None:
            ratio = jnp.where(recent_differs, ratio[:, :-1], 0.0)
            signals = signals._replace(log_density_ratio=ratio)
        return signals

    # --- learning -----------------------------------------------------------------------------

    def losses(
        self,
        nets: AuxiliaryNetworks,
        values: AuxiliaryValues,
        signals: Signals,
        td_error: Float[Array, "B T"],
        batch: Batch,
    ) -> Metrics:
        """Losses of the networks that have their own optimiser; their sum is minimised."""
        losses: Metrics = {}
        if nets.error is not None:
            losses["loss_error"] = error_loss(
                signals.error_estimate, td_error, signals.next_error_estimate, signals.mask
            )
        if nets.density_ratio is not None and values.log_density_ratio is not None:
            assert batch.recent is not None
            recent_mask = transitions(batch.recent).mask
            recent = map_over_devices(self._log_density_ratio, nets.density_ratio, batch.recent)
            losses["loss_ratio"] = density_ratio_loss(
                values.log_density_ratio[:, :-1], signals.mask, recent[:, :-1], recent_mask
            )
        return losses

    def _log_density_ratio(self, net: MLP, episodes: Episodes) -> Float[Array, "B Tp1"]:
        """The density ratio's logit in every state of these episodes."""
        packed = pack_episodes(self.env, episodes)
        rows = packed.encoded_state, packed.actions
        logit = map_states(self._logit_of_rows, net, None, None, rows, packed.packing)
        return unpack(packed.packing, logit)

    def _logit_of_rows(self, net: MLP, _: None, __: None, rows: PyTree) -> Float[Array, " R"]:
        encoded_state, taken = rows
        state = decode_rows(self.env, encoded_state).state
        return log_density_ratio(net, state, taken, self.env.spec.n_actions)

    def init_optimiser(self, nets: AuxiliaryNetworks) -> optax.OptState:
        """The state of the optimiser of error network and density ratio."""
        optimised: PyTree = nets.error, nets.density_ratio
        return _optimiser().init(optimised)

    def apply_gradients(
        self,
        grads: AuxiliaryNetworks,
        opt_state: optax.OptState,
        nets: AuxiliaryNetworks,
        target_error: ValueNetwork | None,
    ) -> tuple[AuxiliaryNetworks, ValueNetwork | None, optax.OptState]:
        """A step of error network and density ratio, then of the error network's target."""
        (error, density_ratio), opt_state = optimiser_step(
            _optimiser(),
            (grads.error, grads.density_ratio),
            opt_state,
            (nets.error, nets.density_ratio),
        )
        target: PyTree = target_error
        target = optax.incremental_update(error, target, POLYAK)
        return AuxiliaryNetworks(nets.central_critic, error, density_ratio), target, opt_state


# --- parts ------------------------------------------------------------------------------------


def mixers_of(nets: AuxiliaryNetworks) -> AuxiliaryMixers:
    """The parts of these networks that read the global state."""
    central_critic, error, density_ratio = nets
    return AuxiliaryMixers(
        central_critic and central_critic.mixer, error and error.mixer, density_ratio
    )


def _optimiser() -> optax.GradientTransformation:
    return optax.adam(LEARNING_RATE)


def make_density_ratio(key: PRNGKeyArray, spec: Spec) -> MLP:
    """A classifier of joint actions in global states."""
    inputs = spec.state_size + spec.n_agents * spec.n_actions
    return MLP(key, inputs, RATIO_WIDTH, RATIO_WIDTH, 1)


def log_density_ratio(
    net: MLP, state: Float[Array, "R S"], actions: Int[Array, "R N"], n_actions: int
) -> Float[Array, " R"]:
    """z, the log of d^π/μ once the classifier is fitted.   Source: LFIW (Sinha et al. 2022)."""
    one_hot = jax.nn.one_hot(actions, n_actions).reshape(len(actions), -1)
    return net(jnp.concatenate([state, one_hot], -1))[:, 0]


def central_critic_loss(
    q: Float[Array, "B T"],
    q_star: Float[Array, "B T"],
    target: Float[Array, "B T"],
    steps: Transitions,
) -> tuple[Float[Array, ""], Metrics]:
    """The unweighted squared error of Q*, and metrics: the loss, and the mean of |Q_tot − Q*|."""
    loss = weighted_squared_error(q_star - target, steps.importance, steps.mask)
    gap = masked_mean(jnp.abs(q - q_star), steps.mask)
    return loss, {"loss_central": loss, "q_star_gap": gap}


def density_ratio_loss(
    z_replay: Float[Array, "B T"],
    mask: Bool[Array, "B T"],
    z_recent: Float[Array, "B T"],
    recent_mask: Bool[Array, "B T"],
) -> Float[Array, ""]:
    """Cross-entropy with recent play as 1, replay as 0: LFIW's Jensen-Shannon bound + 2 log 2."""
    as_replay, as_recent = jax.nn.softplus(z_replay), jax.nn.softplus(-z_recent)
    return masked_mean(as_replay, mask) + masked_mean(as_recent, recent_mask)


def error_loss(
    error_estimate: Float[Array, "B T"],
    td_error: Float[Array, "B T"],
    next_error_estimate: Float[Array, "B T"],
    mask: Bool[Array, "B T"],
) -> Float[Array, ""]:
    """(Δ − (|δ| + γ Δ̄(s′, u′)))².   Source: DisCor (Kumar et al. 2020), Algorithm 1."""
    target = jax.lax.stop_gradient(jnp.abs(td_error) + next_error_estimate)
    return masked_mean(jnp.square(jnp.where(mask, error_estimate - target, 0.0)), mask)
