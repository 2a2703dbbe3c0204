"""MAC-PO without its value enhancement: an ablation of Figure 4."""

from dataclasses import dataclass

from macpo.weighting.macpo import MacPO, Without


@dataclass(frozen=True)
class MacPONoValue(MacPO):
    """|δ| · f(π): MAC-PO without value enhancement (MAC-PO, Figure 4).

    >>> import numpy as np
    >>> q = np.array([[2.0, 1.0]])
    >>> pi = np.array([[[0.5, 0.5], [1.0, 1.0]]])
    >>> weigh = MacPONoValue(normalise="none")
    >>> weigh(q=q, target=0 * q, pi_taken=pi, mask=np.ones((1, 2)))
    array([[3., 1.]])
    """

    without: Without = "value"
    """The factor left out."""


Config = MacPONoValue
