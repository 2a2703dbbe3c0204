"""A weighting of your own: the weight of a step is the square root of its error.

    python examples/custom_weighting.py
    PYTHONPATH=examples macpo train --weighting custom_weighting:Root

With the entry point `[project.entry-points."macpo.weighting"] root = "my_package.root:Root"` in
your package it is `macpo train --weighting root`, and in `macpo list`.
"""

from dataclasses import dataclass

import numpy as np

from macpo.bounds import NonNegative
from macpo.weighting import Signals, Weighting
from macpo.weighting.factors import Factor, power


@dataclass(frozen=True)
class Root(Weighting):
    """√|δ|."""

    exponent: NonNegative = 0.5
    """1 is proportional prioritisation, 0 uniform."""

    def factors(self) -> tuple[Factor, ...]:
        """A weight is a product of factors. Each gives its logarithm and names the signals that it
        needs; `macpo.weighting.MEANING` describes them all. `xp` is the library of the arrays."""

        def log(s: Signals, xp):
            return power(xp.abs(s.td_error), self.exponent, xp)  # its logarithm, −∞ at 0

        return (Factor("root", ("q", "target"), log),)


if __name__ == "__main__":
    q, target = np.array([[0.0, 1.0, 2.0]]), np.array([[4.0, 0.0, 7.0]])
    mask = np.array([[1, 1, 0]])
    print(Root(normalise="none")(q=q, target=target, mask=mask))  # [[2. 1. 0.]]
