"""MAC-PO: Bellman error × value enhancement × joint action probability.

Source: Mei et al. 2023, Theorem 1 and Eq. (7), without the on-policy ratio, which the paper drops.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from macpo.bounds import Positive
from macpo.weighting.factors import Factor, Likelihood, bellman, joint, value
from macpo.weighting.weighting import BoltzmannWeighting

Without: TypeAlias = Literal["nothing", "bellman", "value", "joint"]


@dataclass(frozen=True)
class MacPO(BoltzmannWeighting):
    """|δ| · exp(−|Q_tot − Q*|) · f(π), f collective over all agents (MAC-PO, Theorem 1).

    Where Q_tot = Q*, two agents with π = ½ each give f = 1.5, and certain ones give f = 1:

    >>> import numpy as np
    >>> q = np.array([[2.0, 1.0]])
    >>> pi = np.array([[[0.5, 0.5], [1.0, 1.0]]])
    >>> weigh = MacPO(normalise="none")
    >>> weigh(q=q, target=0 * q, q_star=q, pi_taken=pi, mask=np.ones((1, 2)))
    array([[3., 1.]])
    """

    value_temperature: Positive = 1.0
    """Temperature of exp(−|Q_tot − Q*|); 1 in the paper. Larger rewards need a larger one."""
    likelihood: Likelihood = "paper"
    """`paper`: f of Eq. (7); `additive`: 1 + Σ_i (1 − π_i), which the theorem's derivation gives
    for a product of policies; `joint`: 2 − Π_i π_i, for one agent that chooses the joint action;
    `none`: 1."""
    without: Without = "nothing"
    """The factor left out: the ablations of Figure 4."""

    def factors(self) -> tuple[Factor, ...]:
        """Those of Theorem 1."""
        factors = (
            bellman(),  # |Q_tot − y|
            value(self.value_temperature),  # exp(−|Q_tot − Q*|)
            joint(self.likelihood),  # f(π), Eq. (7)
        )
        return tuple(factor for factor in factors if factor.name != self.without)


Config = MacPO
