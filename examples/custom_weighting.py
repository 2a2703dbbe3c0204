"""A weighting of your own: steps count by the square root of their error.

    python examples/custom_weighting.py
    PYTHONPATH=examples macpo train --weighting custom_weighting:Config

With the entry point `[project.entry-points."macpo.weighting"] root = "my_package.root:Config"` in
your package it is `macpo train --weighting root`, and in `macpo list`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from macpo.weighting.factors import Factor
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """√|δ|."""

    exponent: float = 0.5
    """1 is proportional prioritisation, 0 uniform."""

    def make(self) -> Weighting:
        """The weighting. Factors are log-weights and say which signals they read; `macpo.weighting`
        has `MEANING` of each, and `macpo.weighting.factors` those of MAC-PO."""

        def log(s: Signals, xp: Any) -> Any:
            return self.exponent * xp.log(xp.abs(s.q - s.target))

        return self.weighting(Factor("root", ("q", "target"), log))


if __name__ == "__main__":
    q, target = np.array([[0.0, 1.0, 2.0]]), np.array([[4.0, 0.0, 7.0]])
    mask = np.array([[1, 1, 0]])
    print(Config(normalise="none").make()(q=q, target=target, mask=mask))  # [[2. 1. 0.]]
