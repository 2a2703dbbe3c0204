"""ReLo: priority to what can still be learned, not to noise.

The error that the target network would have made is taken as irreducible; the part of the loss
above it is reducible.

Source: Sujit et al. 2023, "Prioritizing Samples in Reinforcement Learning with Reducible Loss"
(arXiv 2208.10483). Their priorities are stored; here they are fresh.
"""

from dataclasses import dataclass

from macpo.bounds import NonNegative
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor, power
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class ReLo(Weighting):
    """max(δ² − δ̄², 0)^α, δ̄ the error of the target network (ReLo, Sujit et al. 2023).

    >>> import numpy as np
    >>> q, q_bar = np.array([[5.0, 1.0]]), np.array([[3.0, 2.0]])
    >>> weigh = ReLo(normalise="none", alpha=0.5)
    >>> weigh(q=q, target=0 * q, q_of_target_net=q_bar, mask=np.ones((1, 2)))
    array([[4., 0.]])
    """

    alpha: NonNegative = 0.6
    """Exponent; the published value for sampling."""

    def factors(self) -> tuple[Factor, ...]:
        """The reducible loss alone."""

        def log(s: Signals, xp: Namespace) -> Array:
            reducible = s.td_error**2 - (s.q_of_target_net - s.target) ** 2
            nothing = xp.zeros_like(reducible)
            return power(xp.where(reducible < 0, nothing, reducible), self.alpha, xp)

        return (Factor("reducible", ("q", "target", "q_of_target_net"), log),)


Config = ReLo
