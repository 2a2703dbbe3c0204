"""ReMERN as MAC-PO transplants it: all agents taken as one that chooses the joint action.

The published algorithm is `remern-net`.

Source: Mei et al. 2023, section 5.1, after Liu et al. 2021, whose theorem has 2 − π for one agent.
"""

from dataclasses import dataclass

from macpo.weighting.factors import bellman, joint, value
from macpo.weighting.weighting import Policies, Weighting


@dataclass(frozen=True)
class Config(Policies):
    """|δ| · exp(−|Q_tot − Q*|) · (2 − Π_i π_i): ReMERN as MAC-PO compares with it (section 5.1)."""

    value_temperature: float = 1.0
    """Temperature of exp(−|Q_tot − Q*|); 1 in the paper."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("value_temperature", advice="1 is the paper's.")

    def make(self) -> Weighting:
        """The scheme."""
        return self.scheme(bellman(), value(self.value_temperature), joint("joint"))
