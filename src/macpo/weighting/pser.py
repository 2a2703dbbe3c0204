"""PSER: steps that lead up to a surprise share its priority, decayed with their distance to it.

p̃_t = max over 0 ≤ k ≤ W of ρ^k |δ_{t+k}|, within an episode. The maximum does not accumulate:
decayed values are not propagated again.

Source: Brittain et al. 2019, "Prioritized Sequence Experience Replay", with their decay and window,
which MAC-PO's section 5.1 also names. There p is stored and refreshed when drawn. Here it is
computed afresh for each batch, so their guard against collapsing priorities (η) is not needed.
"""

from dataclasses import dataclass

from jaxtyping import Bool, Float

from macpo.bounds import Fraction, NonNegative, NonNegativeInt
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor, power
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class PSER(Weighting):
    """max_k ρ^k |δ_{t+k}| over the next W steps (PSER, Brittain et al. 2019).

    >>> import numpy as np
    >>> delta = np.array([[1.0, 1.0, 8.0, 0.0]])
    >>> weigh = PSER(normalise="none", decay=0.5)
    >>> weigh(q=delta, target=0 * delta, mask=np.ones((1, 4)))
    array([[2., 4., 8., 0.]])
    """

    decay: Fraction = 0.4
    """ρ, per step back."""
    window: NonNegativeInt = 5
    """W, in env steps: where ρ^W falls to one per cent."""
    alpha: NonNegative = 1.0
    """Exponent of the decayed maximum."""

    def factors(self) -> tuple[Factor, ...]:
        """The decayed maximum alone."""

        def log(s: Signals, xp: Namespace) -> Array:
            size = xp.abs(s.td_error)
            largest = decayed_window_max(size, s.mask, self.decay, self.window, xp)
            return power(largest, self.alpha, xp)

        return (Factor("sequence", ("q", "target"), log),)


Config = PSER


def decayed_window_max(
    p: Float[Array, "B T"], mask: Bool[Array, "B T"], decay: float, window: int, xp: Namespace
) -> Float[Array, "B T"]:
    """p̃_t = max_{0≤k≤W} ρ^k p_{t+k}; neither across padding nor from it.   Source: PSER."""
    best, later, connected = p, p, mask
    nothing = xp.zeros_like(p[..., :1])
    for k in range(1, min(window, p.shape[-1] - 1) + 1):
        later = xp.concat([later[..., 1:], nothing], axis=-1)
        connected = xp.concat([connected[..., 1:], nothing != 0], axis=-1) & mask
        best = xp.maximum(best, xp.where(connected, decay**k * later, xp.zeros_like(p)))
    return best
