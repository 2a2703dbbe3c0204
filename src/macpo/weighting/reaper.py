"""ReaPER: an error has a larger weight where the targets after it have been reliable.

R_t = 1 − Σ_{i>t} |δ_i| / Σ_i |δ_i|, over the episode. The last step is fully reliable; the more
error lies between a step and the end, the less reliable it is.

Source: "Reliability-Adjusted Prioritized Experience Replay" (ICLR 2026). There unfinished episodes
need a bound; here a batch holds whole episodes.
"""

from dataclasses import dataclass

from jaxtyping import Float

from macpo.bounds import Fraction
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor, bellman, power
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class ReaPER(Weighting):
    """R^ω · |δ|^α, R the reliability of the targets that follow (ReaPER).

    Three quarters of the error follow the first step, so R = ¼ there:

    >>> import numpy as np
    >>> delta = np.array([[1.0, 3.0]])
    >>> weigh = ReaPER(normalise="none", alpha=1.0, omega=0.5)
    >>> weigh(q=delta, target=0 * delta, mask=np.ones((1, 2)))
    array([[0.5, 3. ]])
    """

    alpha: Fraction = 0.6
    """Exponent of the error."""
    omega: Fraction = 0.5
    """Exponent of the reliability."""

    def factors(self) -> tuple[Factor, ...]:
        """Bellman error and reliability."""

        def log(s: Signals, xp: Namespace) -> Array:
            return power(reliability(xp.abs(s.td_error), xp), self.omega, xp)

        return (bellman(self.alpha), Factor("reliability", ("q", "target"), log))


Config = ReaPER


def reliability(size: Float[Array, "B T"], xp: Namespace) -> Float[Array, "B T"]:
    """R of |δ|, which is 0 on padding; 1 everywhere in an episode without error."""
    up_to_here, everything = xp.cumulative_sum(size, axis=-1), xp.sum(size, axis=-1)[..., None]
    nothing = everything == 0
    ratio = up_to_here / xp.where(nothing, xp.ones_like(everything), everything)
    return xp.where(nothing, xp.ones_like(ratio), xp.minimum(ratio, xp.ones_like(ratio)))
