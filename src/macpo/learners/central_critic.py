"""The central critic Q*: an unrestricted joint value that learns the learner's own targets.

Source: Weighted QMIX (Rashid et al. 2020); MAC-PO (Mei et al. 2023).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
import optax
from jaxtyping import PRNGKeyArray

from macpo.learners.auxiliary_network import AuxiliaryNetworks, AuxiliaryValues
from macpo.learners.losses import LossAndMetrics, LossInputs, weighted_squared_error
from macpo.nets.value_network import ValueNetwork
from macpo.weighting.normalise import masked_mean
from macpo.weighting.signals import Signals


@dataclass(frozen=True)
class CentralCritic:
    """Q*, learned without weights by the learner's optimiser."""

    name: ClassVar[str] = "central_critic"
    optimiser: ClassVar[optax.GradientTransformation | None] = None

    make_value: Callable[[PRNGKeyArray], ValueNetwork]
    coefficient: float = 1.0
    """Coefficient of the squared error."""
    target_rate: float = 0.0
    """1: a target network without lag, for Q* of the greedy actions."""

    def init(self, keys: PRNGKeyArray) -> ValueNetwork:
        """A fresh network from the first two keys."""
        return self.make_value(keys[:2])

    def signals(self, signals: Signals, values: AuxiliaryValues, inputs: LossInputs) -> Signals:
        """Q* of the actions taken, and of the greedy ones if there is a target network."""
        signals = signals._replace(q_star=values.taken[:, :-1])
        if values.greedy is None:
            return signals
        return signals._replace(q_star_greedy=values.greedy[:, :-1])

    def loss(
        self, nets: AuxiliaryNetworks, values: AuxiliaryValues, inputs: LossInputs
    ) -> LossAndMetrics:
        """The unweighted squared error, and the mean of |Q_tot − Q*|."""
        td, steps, _ = inputs
        q_star = values.taken[:, :-1]
        loss = weighted_squared_error(q_star - td.target, steps.importance, steps.mask)
        gap = masked_mean(jnp.abs(td.q - q_star), steps.mask)
        return self.coefficient * loss, {"loss_central": loss, "q_star_gap": gap}
