"""MAC-PO Approximation: the joint action probability term in three levels.

Source: Mei et al. 2023, Algorithm 2. The paper gives the levels 0.25, 0.5 and 0.75, which are
(2f − 1)/4 at f = 1, 1.5 and 2, but no thresholds; both readings of its rule are here.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from macpo.errors import require, require_choice
from macpo.weighting.base import (
    Factor,
    Normalise,
    Scheme,
    Signals,
    bellman,
    joint_probability,
    value,
)

Reading: TypeAlias = Literal["quantised", "algorithm2"]
LOW, MEDIUM, HIGH = 0.25, 0.5, 0.75
NEAR = 0.1  # what "≈ 0" and, from the other side, "≈ 1" mean
MANY = 0.75  # the others' joint probability counts as large from here


@dataclass(frozen=True)
class Config:
    """|δ| · exp(−|Q_tot − Q*|) · α, α one of 0.25, 0.5, 0.75 (MAC-PO, Algorithm 2)."""

    reading: Reading = "quantised"
    """`quantised`: the level nearest to f; `algorithm2`: the printed rule with thresholds."""
    normalise: Normalise = "mean"
    """`mean`: mean one over the batch; `none`: raw, about a third of MAC-PO's scale."""
    value_temperature: float = 1.0
    """Temperature of exp(−|Q_tot − Q*|); 1 in the paper."""
    policy_temperature: float = 1.0
    """Temperature of the Boltzmann policies; 1 in the paper."""
    include_unavailable: bool = False
    """Whether those policies give mass to unavailable actions, as the released code does."""

    def __post_init__(self) -> None:
        require_choice("macpo-approx", "reading", self.reading, Reading)
        require_choice("macpo-approx", "normalise", self.normalise, Normalise)
        for name in ("value_temperature", "policy_temperature"):
            require(
                getattr(self, name) > 0,
                f"macpo-approx: {name} must be positive, not {getattr(self, name)}; "
                "1 is the paper's.",
            )

    def make(self) -> Scheme:
        """The scheme."""
        level: Factor = quantised if self.reading == "quantised" else algorithm2
        return Scheme(
            "macpo-approx",
            factors=(
                ("bellman", bellman),
                ("value", value(self.value_temperature)),
                ("level", level),
            ),
            needs=("q", "target", "q_star", "pi_taken"),
            normalise=self.normalise,
            policy_temperature=self.policy_temperature,
            include_unavailable=self.include_unavailable,
        )


def quantised(s: Signals, xp: Any) -> Any:
    """log of the level whose f (1, 1.5 or 2) is nearest; ties go down."""
    f = joint_probability(s.pi_taken, xp)
    return _log_level(f > 1.75, f <= 1.25, xp.ones_like(f), xp)


def algorithm2(s: Signals, xp: Any) -> Any:
    """log of the printed rule's level, with "≪ π_{−a}" read as: all others together are likely.

    High if some agent is near 0 while the product of the others is at least 0.75; otherwise low if
    the product of all is near 0 or near 1; otherwise medium.
    """
    pi = s.pi_taken
    n = pi.shape[-1]
    high = xp.zeros_like(s.mask)
    for a in range(n):
        others = [pi[..., j] for j in range(n) if j != a]
        product = xp.ones_like(pi[..., 0])
        for other in others:
            product = product * other
        high = high | ((pi[..., a] < NEAR) & (product >= MANY))
    everyone = xp.prod(pi, axis=-1)
    low = (everyone < NEAR) | (everyone > 1 - NEAR)
    return _log_level(high, low, xp.ones_like(everyone), xp)


def _log_level(high: Any, low: Any, one: Any, xp: Any) -> Any:
    return xp.log(xp.where(high, HIGH * one, xp.where(low, LOW * one, MEDIUM * one)))
