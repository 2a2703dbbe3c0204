"""MAC-PO: Bellman error × value enhancement × joint action probability.

Source: Mei et al. 2023, Theorem 1 and Eq. (7), without the on-policy ratio, which the paper drops.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from macpo.errors import require, require_choice
from macpo.weighting.base import Normalise, Scheme, bellman, joint, value

Without: TypeAlias = Literal["nothing", "bellman", "value", "joint"]


@dataclass(frozen=True)
class Config:
    """|δ| · exp(−|Q_tot − Q*|) · f(π), f collective over all agents (MAC-PO, Theorem 1)."""

    normalise: Normalise = "mean"
    """`mean`: mean one over the batch, as the paper demands; `none`: raw, as released."""
    value_temperature: float = 1.0
    """Temperature of exp(−|Q_tot − Q*|); 1 in the paper. Larger suits larger rewards."""
    policy_temperature: float = 1.0
    """Temperature of the Boltzmann policies inside f; 1 in the paper."""
    include_unavailable: bool = False
    """Whether those policies give mass to unavailable actions, as the released code does."""
    without: Without = "nothing"
    """The factor left out: the ablations of Figure 4."""

    def __post_init__(self) -> None:
        require_choice("macpo", "without", self.without, Without)
        require_choice("macpo", "normalise", self.normalise, Normalise)
        for name in ("value_temperature", "policy_temperature"):
            require(
                getattr(self, name) > 0,
                f"macpo: {name} must be positive, not {getattr(self, name)}; 1 is the paper's.",
            )

    def make(self) -> Scheme:
        """The scheme."""
        factors = {
            "bellman": bellman,  # |Q_tot − y|
            "value": value(self.value_temperature),  # exp(−|Q_tot − Q*|)
            "joint": joint,  # f(π), Eq. (7)
        }
        signals = {
            "bellman": ("q", "target"),
            "value": ("q", "q_star"),
            "joint": ("pi_taken",),
        }
        kept = [name for name in factors if name != self.without]
        return Scheme(
            "macpo",
            factors=tuple((name, factors[name]) for name in kept),
            needs=tuple(dict.fromkeys(s for name in kept for s in signals[name])),
            normalise=self.normalise,
            policy_temperature=self.policy_temperature,
            include_unavailable=self.include_unavailable,
        )
