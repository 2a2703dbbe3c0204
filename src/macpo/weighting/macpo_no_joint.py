"""MAC-PO without its joint action probability: an ablation of Figure 4.

The same numbers as `discor`."""

from dataclasses import dataclass

from macpo.weighting import macpo
from macpo.weighting.macpo import Without


@dataclass(frozen=True)
class Config(macpo.Config):
    """|δ| · exp(−|Q_tot − Q*|): MAC-PO without joint action probability (MAC-PO, Figure 4)."""

    without: Without = "joint"
    """The factor left out."""
