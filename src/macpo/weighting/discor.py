"""DisCor as MAC-PO transplants it: no error network, |Q_tot − Q*| itself.

The same weight as MAC-PO without its joint action probability term. The published algorithm, which
has no Bellman error and estimates |Q_tot − Q*| by a network, is `discor-net`.

Source: Mei et al. 2023, section 5.1, after Kumar et al. 2020.
"""

from dataclasses import dataclass

from macpo.weighting.factors import bellman, value
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """|δ| · exp(−|Q_tot − Q*|): DisCor as MAC-PO compares with it (section 5.1)."""

    value_temperature: float = 1.0
    """Temperature of exp(−|Q_tot − Q*|); 1 in the paper."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("value_temperature", advice="1 is the paper's.")

    def make(self) -> Weighting:
        """The scheme."""
        return self.scheme(bellman(), value(self.value_temperature))
