"""MAC-PO without its joint action probability: an ablation of Figure 4.

The same numbers as `discor`.
"""

from dataclasses import dataclass

from macpo.weighting.macpo import MacPO, Without


@dataclass(frozen=True)
class MacPONoJoint(MacPO):
    """|δ| · exp(−|Q_tot − Q*|): MAC-PO without joint action probability (MAC-PO, Figure 4).

    >>> import numpy as np
    >>> q = np.array([[2.0, 1.0]])
    >>> weigh = MacPONoJoint(normalise="none")
    >>> weigh(q=q, target=0 * q, q_star=q, mask=np.ones((1, 2)))
    array([[2., 1.]])
    """

    without: Without = "joint"
    """The factor left out."""


Config = MacPONoJoint
