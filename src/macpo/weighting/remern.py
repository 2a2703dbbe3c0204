"""ReMERN as adapted by MAC-PO: all agents taken as one that chooses the joint action.

The published algorithm is `remern-net`.

Source: Mei et al. 2023, section 5.1, after Liu et al. 2021, whose theorem has 2 − π for one agent.
"""

from dataclasses import dataclass

from macpo.bounds import Positive
from macpo.weighting.factors import Factor, bellman, joint, value
from macpo.weighting.weighting import BoltzmannWeighting


@dataclass(frozen=True)
class ReMERN(BoltzmannWeighting):
    """|δ| · exp(−|Q_tot − Q*|) · (2 − Π_i π_i): ReMERN as MAC-PO compares with it (section 5.1).

    Where Q_tot = Q*, two agents with π = ½ each give 2 − ¼, and certain ones give 1:

    >>> import numpy as np
    >>> q = np.array([[4.0, 4.0]])
    >>> pi = np.array([[[0.5, 0.5], [1.0, 1.0]]])
    >>> weigh = ReMERN(normalise="none")
    >>> weigh(q=q, target=0 * q, q_star=q, pi_taken=pi, mask=np.ones((1, 2)))
    array([[7., 4.]])
    """

    value_temperature: Positive = 1.0
    """Temperature of exp(−|Q_tot − Q*|); 1 in the paper."""

    def factors(self) -> tuple[Factor, ...]:
        """Those of MAC-PO, with the likelihood of a single agent."""
        return (bellman(), value(self.value_temperature), joint("joint"))


Config = ReMERN
