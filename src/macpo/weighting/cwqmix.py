"""CW-QMIX: full weight where the stored action is, or beats, the greedy one."""

from dataclasses import dataclass
from typing import Annotated

from macpo.bounds import Bounds
from macpo.weighting.factors import Factor, central
from macpo.weighting.normalise import Normalise
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class CWQMIX(Weighting):
    """1 where the action is greedy or y > Q*(greedy), else α (Weighted QMIX, Eq. 8).

    Of these three steps the first is greedy and the second beats the greedy action's value of 2:

    >>> import numpy as np
    >>> y = np.array([[1.0, 3.0, 1.0]])
    >>> CWQMIX(alpha=0.25)(
    ...     q=y,
    ...     target=y,
    ...     q_star=y,
    ...     is_greedy=np.array([[True, False, False]]),
    ...     q_star_greedy=np.full((1, 3), 2.0),
    ...     mask=np.ones((1, 3)),
    ... )
    array([[1.  , 1.  , 0.25]])
    """

    alpha: Annotated[float, Bounds(above=0, at_most=1)] = 0.1
    """Weight of all other steps (PyMARL calls it `w`); 0.1 for Predator-Prey."""
    normalise: Normalise = "none"
    """`none`: as published; `mean`: mean one over the batch."""

    def factors(self) -> tuple[Factor, ...]:
        """The central weighting alone."""
        return (central(self.alpha),)


Config = CWQMIX
