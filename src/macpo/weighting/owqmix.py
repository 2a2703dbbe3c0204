"""OW-QMIX: full weight where the value is below its target."""

from dataclasses import dataclass
from typing import Annotated

from macpo.bounds import Bounds
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor
from macpo.weighting.normalise import Normalise
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class OWQMIX(Weighting):
    """1 where Q_tot < y, else α (Weighted QMIX, Eq. 9).

    >>> import numpy as np
    >>> q, y = np.array([[1.0, 2.0, 3.0]]), np.full((1, 3), 2.0)
    >>> OWQMIX(alpha=0.25)(q=q, target=y, q_star=y, mask=np.ones((1, 3)))
    array([[1.  , 0.25, 0.25]])
    """

    alpha: Annotated[float, Bounds(above=0, at_most=1)] = 0.1
    """Weight of overestimated steps (PyMARL calls it `w`); 0.1 for Predator-Prey."""
    normalise: Normalise = "none"
    """`none`: as published; `mean`: mean one over the batch."""

    def factors(self) -> tuple[Factor, ...]:
        """The optimistic weighting alone; y must come from an unrestricted value: `q_star`."""

        def optimistic(s: Signals, xp: Namespace) -> Array:
            full = xp.ones_like(s.q)
            return xp.log(xp.where(s.q < s.target, full, self.alpha * full))

        return (Factor("optimistic", ("q", "target", "q_star"), optimistic),)


Config = OWQMIX
