"""MAC-PO without its value enhancement: an ablation of Figure 4."""

from dataclasses import dataclass

from macpo.weighting import macpo
from macpo.weighting.macpo import Without


@dataclass(frozen=True)
class Config(macpo.Config):
    """|δ| · f(π): MAC-PO without value enhancement (MAC-PO, Figure 4)."""

    without: Without = "value"
    """The factor left out."""
