"""MAC-PO Approximation: the joint action probability term in three levels.

Source: Mei et al. 2023, Algorithm 2. The paper gives the levels 0.25, 0.5 and 0.75, which are
(2f − 1)/4 at f = 1, 1.5 and 2, but no thresholds; both readings of its rule are here.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from macpo.errors import require_choice
from macpo.weighting.factors import Factor, bellman, joint_probability, value
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Policies, Weighting

Reading: TypeAlias = Literal["quantised", "algorithm2"]
LOW, MEDIUM, HIGH = 0.25, 0.5, 0.75
NEAR = 0.1  # what "≈ 0" and, from the other side, "≈ 1" mean
MANY = 0.75  # the others' joint probability counts as large from here


@dataclass(frozen=True)
class Config(Policies):
    """|δ| · exp(−|Q_tot − Q*|) · α, α one of 0.25, 0.5, 0.75 (MAC-PO, Algorithm 2)."""

    reading: Reading = "quantised"
    """`quantised`: the level nearest to f; `algorithm2`: the printed rule with thresholds."""
    value_temperature: float = 1.0
    """Temperature of exp(−|Q_tot − Q*|); 1 in the paper."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("macpo-approx", "reading", self.reading, Reading)
        self.require_positive("value_temperature", advice="1 is the paper's.")

    def make(self) -> Weighting:
        """The scheme."""
        log_level = quantised if self.reading == "quantised" else algorithm2
        level = Factor("level", ("pi_taken",), log_level)
        return self.scheme(bellman(), value(self.value_temperature), level)


def quantised(s: Signals, xp: Any) -> Any:
    """log of the level whose f (1, 1.5 or 2) is nearest; ties go down."""
    f = joint_probability(s.pi_taken, xp)
    return _log_level(f > 1.75, f <= 1.25, 1 + 0 * f, xp)  # NaN stays


def algorithm2(s: Signals, xp: Any) -> Any:
    """log of the printed rule's level, with "≪ π_{−a}" read as: all others together are likely.

    High if some agent is near 0 while the product of the others is at least 0.75; otherwise low if
    the product of all is near 0 or near 1; otherwise medium.
    """
    pi = s.pi_taken
    n = pi.shape[-1]
    high = xp.zeros_like(s.mask)
    for a in range(n):
        others = xp.concat([pi[..., :a], pi[..., a + 1 :]], axis=-1)
        many = xp.prod(others, axis=-1) >= MANY
        high = high | ((pi[..., a] < NEAR) & many)
    everyone = xp.prod(pi, axis=-1)
    low = (everyone < NEAR) | (everyone > 1 - NEAR)
    return _log_level(high, low, 1 + 0 * everyone, xp)


def _log_level(high: Any, low: Any, one: Any, xp: Any) -> Any:
    return xp.log(xp.where(high, HIGH * one, xp.where(low, LOW * one, MEDIUM * one)))
