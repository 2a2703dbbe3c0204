"""MAC-PO without its Bellman error: an ablation of Figure 4."""

from dataclasses import dataclass

from macpo.weighting.macpo import MacPO, Without


@dataclass(frozen=True)
class MacPONoBellman(MacPO):
    """exp(−|Q_tot − Q*|) · f(π): MAC-PO without Bellman error (MAC-PO, Figure 4).

    >>> import numpy as np
    >>> q = np.array([[2.0, 1.0]])
    >>> pi = np.array([[[0.5, 0.5], [1.0, 1.0]]])
    >>> weigh = MacPONoBellman(normalise="none")
    >>> weigh(q=q, q_star=q, pi_taken=pi, mask=np.ones((1, 2)))
    array([[1.5, 1. ]])
    """

    without: Without = "bellman"
    """The factor left out."""


Config = MacPONoBellman
