"""MAC-PO Approximation: the joint action probability term in three levels.

Source: Mei et al. 2023, Algorithm 2. The paper gives the levels 0.25, 0.5 and 0.75, which are
(2f − 1)/4 at f = 1, 1.5 and 2, but no thresholds; both readings of its rule are here.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from jaxtyping import Bool, Float

from macpo.bounds import Positive
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor, bellman, joint_probability, value
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import BoltzmannWeighting

Reading: TypeAlias = Literal["quantised", "algorithm2"]
LOW, MEDIUM, HIGH = 0.25, 0.5, 0.75
NEAR = 0.1  # what "≈ 0" and, from the other side, "≈ 1" mean
LIKELY = 0.75  # from here the others' joint probability counts as large


@dataclass(frozen=True)
class MacPOApprox(BoltzmannWeighting):
    """|δ| · exp(−|Q_tot − Q*|) · α, α one of 0.25, 0.5, 0.75 (MAC-PO, Algorithm 2).

    Where |δ| = 4 and Q_tot = Q*, f = 1 gives α = 0.25 and f = 1.5 gives α = 0.5:

    >>> import numpy as np
    >>> q = np.array([[4.0, 4.0]])
    >>> pi = np.array([[[1.0, 1.0], [0.5, 0.5]]])
    >>> weigh = MacPOApprox(normalise="none")
    >>> weigh(q=q, target=0 * q, q_star=q, pi_taken=pi, mask=np.ones((1, 2)))
    array([[1., 2.]])
    """

    reading: Reading = "quantised"
    """`quantised`: the level nearest to f; `algorithm2`: the printed rule with thresholds."""
    value_temperature: Positive = 1.0
    """Temperature of exp(−|Q_tot − Q*|); 1 in the paper."""

    def factors(self) -> tuple[Factor, ...]:
        """Those of MAC-PO, with a level in place of f."""
        log_level = quantised if self.reading == "quantised" else algorithm2
        level = Factor("level", ("pi_taken",), log_level)
        return (bellman(), value(self.value_temperature), level)


Config = MacPOApprox


def quantised(s: Signals, xp: Namespace) -> Float[Array, "B T"]:
    """log of the level whose f (1, 1.5 or 2) is nearest; ties go to the lower level."""
    f = joint_probability(s.pi_taken, xp)
    return _log_level(f > 1.75, f <= 1.25, 1 + 0 * f, xp)  # NaN stays NaN


def algorithm2(s: Signals, xp: Namespace) -> Float[Array, "B T"]:
    """log of the printed rule's level, with "≪ π_{−a}" read as: all others together are likely.

    High if some agent is near 0 while the product of the others is at least 0.75; otherwise low if
    the product of all is near 0 or near 1; otherwise medium.
    """
    pi = s.pi_taken
    n = pi.shape[-1]
    high = xp.zeros_like(s.mask)
    for a in range(n):
        others = xp.concat([pi[..., :a], pi[..., a + 1 :]], axis=-1)
        likely = xp.prod(others, axis=-1) >= LIKELY
        high = high | ((pi[..., a] < NEAR) & likely)
    everyone = xp.prod(pi, axis=-1)
    low = (everyone < NEAR) | (everyone > 1 - NEAR)
    return _log_level(high, low, 1 + 0 * everyone, xp)


def _log_level(
    high: Bool[Array, "B T"], low: Bool[Array, "B T"], one: Float[Array, "B T"], xp: Namespace
) -> Float[Array, "B T"]:
    return xp.log(xp.where(high, HIGH * one, xp.where(low, LOW * one, MEDIUM * one)))
