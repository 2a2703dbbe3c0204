"""Rank-based PER as a weight: only the order of the errors counts, not their size.

Source: Schaul et al. 2016, section 3.3, P(i) ∝ 1/rank(i)^α, in the batch instead of the buffer.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float

from macpo.bounds import Fraction, NonNegative
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class PERRank(Weighting):
    """rank^{−α(1−β)}, rank 1 for the largest |δ| of the batch (Schaul et al. 2016).

    >>> import numpy as np
    >>> delta = np.array([[0.5, 2.0, -0.1, 4.0]])
    >>> weigh = PERRank(normalise="none", alpha=2.0)
    >>> weigh(q=delta, target=0 * delta, mask=np.array([[0, 1, 1, 1]]))
    array([[0.        , 0.25      , 0.11111111, 1.        ]])
    """

    alpha: NonNegative = 0.7
    """Exponent of the rank; the paper's value for sampling."""
    beta: Fraction = 0.0
    """How much of the bias is corrected; at 1 nothing of the priority is left."""

    def factors(self) -> tuple[Factor, ...]:
        """The rank alone."""
        exponent = self.alpha * (1 - self.beta)

        def log(s: Signals, xp: Namespace) -> Array:
            size = xp.abs(s.td_error)
            # an error that is not finite has no rank; one would hide it
            place = xp.where(xp.isfinite(size), rank(size, s.mask, xp), xp.full_like(size, xp.nan))
            return -exponent * xp.log(place)

        return (Factor("rank", ("q", "target"), log),)


Config = PERRank


def rank(x: Float[Array, "B T"], mask: Bool[Array, "B T"], xp: Namespace) -> Float[Array, "B T"]:
    """1 for the largest valid entry, 2 for the next; equal ones in the order of the batch."""
    keys = xp.reshape(xp.where(mask, -x, xp.full_like(x, xp.inf)), (-1,))
    order = xp.argsort(xp.argsort(keys, stable=True), stable=True)
    return xp.reshape(xp.astype(order + 1, x.dtype), x.shape)
