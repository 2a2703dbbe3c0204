"""Uniform weights: plain replay."""

from dataclasses import dataclass

from macpo.weighting.factors import Factor
from macpo.weighting.normalise import Normalise
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Uniform(Weighting):
    """Every stored step has the same weight.

    >>> import numpy as np
    >>> Uniform()(mask=np.array([[1, 1, 0]]))
    array([[1., 1., 0.]], dtype=float32)
    """

    normalise: Normalise = "none"
    """Makes no difference to equal weights; with `on_policy` as in other weightings."""

    def factors(self) -> tuple[Factor, ...]:
        """None."""
        return ()


Config = Uniform
