"""What some weightings need to have estimated: accumulated errors and density ratios.

Both are networks of their own, trained beside the values in the same update, by their own
optimiser; no gradient passes between them and the values.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from macpo.losses import masked_mean
from macpo.nets.linear import MLP
from macpo.types import Key, PyTree, Spec

LEARNING_RATE = 3e-4  # of both (DisCor; LFIW)
POLYAK = 0.005  # share of the error network that its target takes over per update (DisCor)
RECENT_SHARE = 20  # one in so many episodes of a full replay counts as recent play
RATIO_WIDTH = 128  # of the classifier's two hidden layers (ReMERN)


class Estimators(NamedTuple):
    """Networks that exist where the weighting needs their output."""

    error: PyTree | None
    """Accumulated error of a joint action, shaped like the central value."""
    ratio: MLP | None
    """Logit of a classifier between recent play and replay."""


def make_ratio(key: Key, spec: Spec) -> MLP:
    """A classifier of joint actions in global states."""
    inputs = spec.state_size + spec.n_agents * spec.n_actions
    return MLP(key, inputs, RATIO_WIDTH, RATIO_WIDTH, 1)


def log_ratio(
    net: MLP, state: Float[Array, "R S"], actions: Int[Array, "R N"], n_actions: int
) -> Float[Array, " R"]:
    """z, the log of d^π/μ once the classifier is fitted.   Source: LFIW (Sinha et al. 2022)."""
    one_hot = jax.nn.one_hot(actions, n_actions).reshape(len(actions), -1)
    return net(jnp.concatenate([state, one_hot], -1))[:, 0]


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
    next_error: Float[Array, "B T"],
    mask: Bool[Array, "B T"],
) -> Float[Array, ""]:
    """(Δ − (|δ| + γ Δ̄(s′, u′)))².   Source: DisCor (Kumar et al. 2020), Algorithm 1."""
    target = jax.lax.stop_gradient(jnp.abs(td_error) + next_error)
    return masked_mean(jnp.square(jnp.where(mask, error - target, 0.0)), mask)


def optimiser() -> optax.GradientTransformation:
    """Of both networks."""
    return optax.adam(LEARNING_RATE)


def follow(target: PyTree, online: PyTree) -> PyTree:
    """The target a little nearer to its online network."""
    return optax.incremental_update(online, target, POLYAK)
