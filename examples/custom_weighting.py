"""A weighting of your own: steps count by the square root of their error.

    python examples/custom_weighting.py
    PYTHONPATH=examples macpo train --weighting custom_weighting:Config

With the entry point `[project.entry-points."macpo.weighting"] root = "my_package.root:Config"` in
your package it is `macpo train --weighting root`, and in `macpo list`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from macpo.weighting.base import Normalise, Scheme, Signals, bellman


@dataclass(frozen=True)
class Config:
    """√|δ|."""

    exponent: float = 0.5
    """1 is proportional prioritisation, 0 uniform."""
    normalise: Normalise = "mean"
    """`mean`: mean one over the batch; `none`: raw."""

    def make(self) -> Scheme:
        """The scheme: factors are log-weights."""

        def root(s: Signals, xp: Any) -> Any:
            return self.exponent * bellman(s, xp)

        return Scheme("root", (("root", root),), needs=("q", "target"), normalise=self.normalise)


if __name__ == "__main__":
    q, target = np.array([[0.0, 1.0, 2.0]]), np.array([[4.0, 0.0, 7.0]])
    mask = np.array([[1, 1, 0]])
    print(Config(normalise="none").make()(q=q, target=target, mask=mask))  # [[2. 1. 0.]]
