"""PAL: the loss that equals LAP, prioritised sampling with a robust loss; bounded influence.

Source: Fujimoto et al. 2020, "An Equivalence between Loss Functions and Non-Uniform Sampling in
Experience Replay". There the loss is δ²/2 for |δ| ≤ 1 and |δ|^{1+α}/(1+α) beyond, over the mean of
max(|δ|^α, 1); with w constant, w·δ² has (twice) that gradient.
"""

from dataclasses import dataclass

from macpo.bounds import Fraction
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor, log
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class PERPAL(Weighting):
    """1 for |δ| ≤ 1, |δ|^{α−1} beyond: LAP as a weight (Fujimoto et al. 2020).

    >>> import numpy as np
    >>> delta = np.array([[0.5, -1.0, 16.0]])
    >>> weigh = PERPAL(normalise="none", alpha=0.5)
    >>> weigh(q=delta, target=0 * delta, mask=np.ones((1, 3)))
    array([[1.  , 1.  , 0.25]])
    """

    alpha: Fraction = 0.4
    """Exponent of the priority; the paper's value for continuous control, 0.6 for Atari."""

    def factors(self) -> tuple[Factor, ...]:
        """The Bellman error alone."""

        def log_weight(s: Signals, xp: Namespace) -> Array:
            size = xp.abs(s.td_error)
            beyond = xp.where(size > 1, size, xp.ones_like(size))
            # an infinite error would get weight 0, which hides it
            beyond = xp.where(xp.isfinite(size), beyond, xp.full_like(size, xp.nan))
            return (self.alpha - 1) * log(beyond, xp)

        return (Factor("bellman", ("q", "target"), log_weight),)


Config = PERPAL
