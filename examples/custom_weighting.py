"""A weighting of your own: the root of the error, and half of it where a step disappointed.

    python examples/custom_weighting.py
    PYTHONPATH=examples macpo train --weighting custom_weighting:Root

docs/own_weighting.md arrives at this file step by step. With the entry point
`[project.entry-points."macpo.weighting"] root = "my_package.root:Root"` in your package it is
`macpo train --weighting root`, and in `macpo list`.
"""

import math
from dataclasses import dataclass

import numpy as np

from macpo.bounds import NonNegative, Positive
from macpo.weighting import Factor, Signals, Weighting
from macpo.weighting.factors import bellman, value


@dataclass(frozen=True)
class Root(Weighting):
    """√|δ|, half of it where the step was no better than expected."""

    exponent: NonNegative = 0.5
    """Of |δ|: 1 is proportional prioritisation, 0 uniform."""
    disappointed: Positive = 0.5
    """What a step that was no better than expected weighs; 1 makes no difference."""
    temperature: NonNegative = 0.0
    """τ of exp(−|Q_tot − Q*| / τ); 0 leaves the factor out, and no Q* is trained."""

    def factors(self) -> tuple[Factor, ...]:
        """A weight is the product of these."""
        factors = bellman(self.exponent), surprise(self.disappointed)
        return (*factors, value(self.temperature)) if self.temperature > 0 else factors


def surprise(disappointed: float) -> Factor:
    """1 where y > Q_tot, else `disappointed`."""

    def log(s: Signals, xp):
        full = xp.zeros_like(s.q)  # log 1
        return xp.where(s.target > s.q, full, full + math.log(disappointed))

    return Factor("surprise", ("q", "target"), log)


if __name__ == "__main__":
    q, target = np.array([[0.0, 1.0, 2.0]]), np.array([[4.0, 0.0, 7.0]])
    mask = np.array([[1, 1, 0]])
    print(Root(normalise="none")(q=q, target=target, mask=mask))  # [[2.  0.5 0. ]]
