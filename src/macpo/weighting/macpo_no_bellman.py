"""MAC-PO without its Bellman error: an ablation of Figure 4."""

from dataclasses import dataclass

from macpo.weighting import macpo
from macpo.weighting.macpo import Without


@dataclass(frozen=True)
class Config(macpo.Config):
    """exp(−|Q_tot − Q*|) · f(π): MAC-PO without Bellman error (MAC-PO, Figure 4)."""

    without: Without = "bellman"
    """The factor left out."""
