"""DisCor as adapted by MAC-PO: no error network, but |Q_tot − Q*| itself.

The same weight as MAC-PO without its joint action probability term. The published algorithm, which
has no Bellman error and estimates |Q_tot − Q*| by a network, is `discor-net`.

Source: Mei et al. 2023, section 5.1, after Kumar et al. 2020.
"""

from dataclasses import dataclass

from macpo.bounds import Positive
from macpo.weighting.factors import Factor, bellman, value
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class DisCor(Weighting):
    """|δ| · exp(−|Q_tot − Q*|): DisCor as MAC-PO compares with it (section 5.1).

    The second step is further from Q* by ln 2, which halves its weight:

    >>> import numpy as np
    >>> q = np.array([[3.0, 3.0]])
    >>> gap = np.log([[1.0, 2.0]])
    >>> DisCor(normalise="none")(q=q, target=0 * q, q_star=q + gap, mask=np.ones((1, 2)))
    array([[3. , 1.5]])
    """

    value_temperature: Positive = 1.0
    """Temperature of exp(−|Q_tot − Q*|); 1 in the paper."""

    def factors(self) -> tuple[Factor, ...]:
        """Bellman error and value enhancement."""
        return (bellman(), value(self.value_temperature))


Config = DisCor
