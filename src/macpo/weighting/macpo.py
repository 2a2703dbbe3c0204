"""MAC-PO: Bellman error × value enhancement × joint action probability.

Source: Mei et al. 2023, Theorem 1 and Eq. (7), without the on-policy ratio, which the paper drops.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from macpo.errors import require_choice
from macpo.weighting.factors import Likelihood, bellman, joint, value
from macpo.weighting.weighting import Policies, Weighting

Without: TypeAlias = Literal["nothing", "bellman", "value", "joint"]


@dataclass(frozen=True)
class Config(Policies):
    """|δ| · exp(−|Q_tot − Q*|) · f(π), f collective over all agents (MAC-PO, Theorem 1)."""

    value_temperature: float = 1.0
    """Temperature of exp(−|Q_tot − Q*|); 1 in the paper. Larger suits larger rewards."""
    likelihood: Likelihood = "paper"
    """`paper`: f of Eq. (7); `additive`: 1 + Σ_i (1 − π_i), what the theorem's own steps give
    for a product of policies; `joint`: 2 − Π_i π_i, one agent that chooses the joint action;
    `none`: 1."""
    without: Without = "nothing"
    """The factor left out: the ablations of Figure 4."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice(self.weighting_name, "without", self.without, Without)
        require_choice(self.weighting_name, "likelihood", self.likelihood, Likelihood)
        self.require_positive("value_temperature", advice="1 is the paper's.")

    def make(self) -> Weighting:
        """The scheme."""
        factors = (
            bellman(),  # |Q_tot − y|
            value(self.value_temperature),  # exp(−|Q_tot − Q*|)
            joint(self.likelihood),  # f(π), Eq. (7)
        )
        return self.scheme(*(factor for factor in factors if factor.name != self.without))
