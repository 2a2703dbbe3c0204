"""The error network Δ: the accumulated error of a joint action's value and of those after it.

Source: DisCor (Kumar et al. 2020), Algorithm 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from macpo.learners.auxiliary_network import AuxiliaryNetworks, AuxiliaryValues
from macpo.learners.losses import LossAndMetrics, LossInputs
from macpo.nets.mixers import PositiveMixer
from macpo.nets.value_network import ValueNetwork
from macpo.weighting.normalise import masked_mean
from macpo.weighting.signals import Signals


@dataclass(frozen=True)
class ErrorNetwork:
    """Δ of the actions taken, and its target network's estimate for the next greedy ones."""

    name: ClassVar[str] = "error"
    optimiser: ClassVar[optax.GradientTransformation | None] = optax.adam(3e-4)  # DisCor

    make_value: Callable[[PRNGKeyArray], ValueNetwork]
    gamma: float
    target_rate: float = 0.005  # DisCor

    def init(self, keys: PRNGKeyArray) -> ValueNetwork:
        """A fresh network, shaped like the central critic, from the third key."""
        agent, mixer = self.make_value(jax.random.split(keys[2]))
        return ValueNetwork(agent, PositiveMixer(mixer))

    def signals(self, signals: Signals, values: AuxiliaryValues, inputs: LossInputs) -> Signals:
        """Δ, and γ Δ̄(s′, u′) or 0 where the episode ends."""
        assert values.greedy is not None
        return signals._replace(
            error_estimate=values.taken[:, :-1],
            next_error_estimate=self.gamma * ~inputs.steps.terminal * values.greedy[:, 1:],
        )

    def loss(
        self, nets: AuxiliaryNetworks, values: AuxiliaryValues, inputs: LossInputs
    ) -> LossAndMetrics:
        """The squared error of Δ."""
        td, steps, _ = inputs
        both = self.signals(Signals(steps.mask), values, inputs)
        loss = error_loss(both.error_estimate, td.error, both.next_error_estimate, steps.mask)
        return loss, {"loss_error": loss}


def error_loss(
    error_estimate: Float[Array, "B T"],
    td_error: Float[Array, "B T"],
    next_error_estimate: Float[Array, "B T"],
    mask: Bool[Array, "B T"],
) -> Float[Array, ""]:
    """(Δ − (|δ| + γ Δ̄(s′, u′)))²."""
    target = jax.lax.stop_gradient(jnp.abs(td_error) + next_error_estimate)
    return masked_mean(jnp.square(jnp.where(mask, error_estimate - target, 0.0)), mask)
