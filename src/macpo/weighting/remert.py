"""ReMERT: steps near the end of an episode have more accurate targets, and larger weights.

It needs no network and no value, only where an episode ends: at the last valid step of its row.

Source: Liu et al. 2021, section 5 and released code, with its constants.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from jaxtyping import Bool, Float

from macpo.bounds import Bounds
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor
from macpo.weighting.normalise import masked_mean
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting

Shape: TypeAlias = Literal["linear", "hard", "exp"]


@dataclass(frozen=True)
class ReMERT(Weighting):
    """A function of the distance to the episode's end (ReMERT, Liu et al. 2021).

    >>> import numpy as np
    >>> ReMERT(shape="hard", normalise="none")(mask=np.ones((1, 4))).round(3)
    array([[0.4, 0.4, 0.6, 0.6]], dtype=float32)
    """

    shape: Shape = "linear"
    """`linear`: clip(3·(1 − h/max h) − 0.3, 0.6, 1.5) of the distance h; `hard`: 0.6 for the half
    nearer to the end, else 0.4; `exp`: exp(γ^h)/(e − 1)."""
    gamma: Annotated[float, Bounds(above=0, at_most=1)] = 0.996
    """γ of `exp`."""

    def factors(self) -> tuple[Factor, ...]:
        """The distance to the end alone."""

        def log(s: Signals, xp: Namespace) -> Array:
            h = distance_to_end(s.mask, xp)
            if self.shape == "exp":
                return self.gamma**h - math.log(math.e - 1)
            farthest = xp.max(xp.where(s.mask, h, xp.zeros_like(h)))
            if self.shape == "hard":
                near = h <= _median(h, s.mask, xp)
                return xp.log(xp.where(near, 0.6 * xp.ones_like(h), 0.4 * xp.ones_like(h)))
            nearness = 1 - h / xp.where(farthest > 0, farthest, xp.ones_like(farthest))
            return xp.log(xp.clip(3 * nearness - 0.3, 0.6, 1.5))

        return (Factor("temporal", (), log),)


Config = ReMERT


def distance_to_end(mask: Bool[Array, "B T"], xp: Namespace) -> Float[Array, "B T"]:
    """Number of valid steps after each one, 0 at the last; meaningless on padding."""
    valid = xp.astype(mask, xp.float32)
    return xp.sum(valid, axis=-1)[..., None] - xp.cumulative_sum(valid, axis=-1)


def _median(x: Float[Array, "B T"], mask: Bool[Array, "B T"], xp: Namespace) -> Float[Array, ""]:
    """The middle valid entry, or the mean of the two in the middle."""
    values = xp.sort(xp.reshape(xp.where(mask, x, xp.full_like(x, math.inf)), (-1,)))
    n = xp.sum(xp.astype(mask, xp.float32))
    place = xp.cumulative_sum(xp.ones_like(values))  # 1, 2, …
    middle = (place >= xp.floor((n + 1) / 2)) & (place <= xp.ceil((n + 1) / 2))
    return masked_mean(values, middle)
