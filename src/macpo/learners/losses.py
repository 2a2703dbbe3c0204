"""Losses over the steps of stored episodes; the content of padding does not matter."""

from typing import ClassVar, Literal, NamedTuple, Protocol, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from macpo.learners.episodes import Transitions
from macpo.learners.returns import lambda_return
from macpo.types import Batch, Metrics, PyTree
from macpo.weighting.loss import weighted_loss
from macpo.weighting.signals import Signals, individual_td_error

Reduction: TypeAlias = Literal["mean", "sum"]


class TDErrors(NamedTuple):
    """Temporal-difference errors of the steps of stored episodes."""

    q: Float[Array, "B T"]
    """The trained value."""
    target: Float[Array, "B T"]
    """The target it is regressed on; no gradient."""
    error: Float[Array, "B T"]
    """q − target."""


class LossInputs(NamedTuple):
    """What a loss term reads besides its own values."""

    td: TDErrors
    steps: Transitions
    batch: Batch


LossAndMetrics: TypeAlias = tuple[Float[Array, ""], Metrics]


class LossTerm(Protocol):
    """A loss besides the TD loss, of values [B, T+1] that the forward pass computes."""

    name: ClassVar[str]
    """The name of its values, and of its network if it has one."""

    def signals(self, signals: Signals, values: PyTree, inputs: LossInputs) -> Signals:
        """The signals, completed by those that its values supply.

        An algorithm's own terms come after the auxiliary networks, and the last to set one counts.
        """
        ...

    def loss(self, nets: dict[str, PyTree], values: PyTree, inputs: LossInputs) -> LossAndMetrics:
        """(loss, metrics); `nets` are the auxiliary networks."""
        ...


def td_errors(
    q_tot: Float[Array, "B Tp1"],
    target_q_tot: Float[Array, "B Tp1"],
    steps: Transitions,
    gamma: float,
    td_lambda: float,
) -> TDErrors:
    """Errors of the values of the actions taken, against λ-returns of the target network."""
    reward, terminal, mask, _ = steps
    target = lambda_return(reward, terminal, mask, target_q_tot, gamma, td_lambda)
    return TDErrors(q_tot[:, :-1], target, q_tot[:, :-1] - target)


def weighted_squared_error(
    error: Float[Array, "*B"],
    weight: Float[Array, "*B"],
    mask: Bool[Array, "*B"],
    reduction: Reduction = "mean",
) -> Float[Array, ""]:
    """Σ w δ² / Σ mask: the weights shape the loss, the number of valid steps scales it.

    With `sum` the weights alone scale it. Steps of weight zero contribute nothing, not even where
    their error is NaN.
    """
    error = jnp.where(mask & (weight != 0), error, 0.0)  # before the square: 0 · NaN is NaN
    return weighted_loss(jnp.square(error), weight, mask, reduction)


def individual_td_loss(
    td_error: Float[Array, "B T"],
    utilities: Float[Array, "B T N"],
    dq_tot_dq: Float[Array, "B T N"],
    weights: Float[Array, "B T N"],
    steps: Transitions,
    reduction: Reduction = "mean",
) -> Float[Array, ""]:
    """The mixer learns from the team's error, unweighted; each agent from its own, weighted.

    Source: DIFFER (Hu et al. 2023), section 3.
    """
    own_error = individual_td_error(dq_tot_dq, td_error)
    own_error = utilities - jax.lax.stop_gradient(utilities - own_error)
    own_weights = weights * steps.importance[..., None]
    team = weighted_squared_error(td_error, steps.importance, steps.mask)
    own = weighted_squared_error(own_error, own_weights, steps.mask[..., None], reduction)
    return team + own
