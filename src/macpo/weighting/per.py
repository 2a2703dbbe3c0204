"""PER as a weight: what prioritised sampling does in expectation, under uniform sampling.

Sampling a step with probability ∝ |δ|^α and correcting by (N·P)^−β has the same expected gradient
as the weight |δ|^{α(1−β)} under uniform sampling. `--replay.sampling prioritized` does sample.

Source: Schaul et al. 2016; the equivalence: Fujimoto et al. 2020. The row "PER" of MAC-PO's
Figure 1 is |δ|; the paper gives no exponent.
"""

from dataclasses import dataclass

from macpo.bounds import Fraction, NonNegative
from macpo.weighting.factors import Factor, bellman
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class PER(Weighting):
    """(|δ| + ε)^{α(1−β)}: prioritised replay as a weight (Schaul et al. 2016).

    >>> import numpy as np
    >>> delta = np.array([[4.0, -9.0, 1.0]])
    >>> mask = np.array([[1, 1, 0]])
    >>> PER(normalise="none", alpha=0.5)(q=delta, target=0 * delta, mask=mask)
    array([[2., 3., 0.]])
    """

    alpha: NonNegative = 1.0
    """Exponent of the priority; 1 in MAC-PO's comparison, 0.6 is usual for sampling."""
    beta: Fraction = 0.0
    """How much of the bias is corrected; at 1 nothing of the priority is left."""
    epsilon: NonNegative = 0.0
    """Added to |δ|; sampling needs it to reach every step, a weight does not."""

    def factors(self) -> tuple[Factor, ...]:
        """The Bellman error alone."""
        return (bellman(self.alpha * (1 - self.beta), self.epsilon),)


Config = PER
