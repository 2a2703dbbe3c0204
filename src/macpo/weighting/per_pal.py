"""PAL: the loss that equals LAP, prioritised sampling with a robust loss; bounded influence.

Source: Fujimoto et al. 2020, "An Equivalence between Loss Functions and Non-Uniform Sampling in
Experience Replay". There the loss is δ²/2 for |δ| ≤ 1 and |δ|^{1+α}/(1+α) beyond, over the mean of
max(|δ|^α, 1); with w constant, w·δ² has (twice) that gradient.
"""

from dataclasses import dataclass
from typing import Any

from macpo.errors import require
from macpo.weighting.factors import Factor, log
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """1 for |δ| ≤ 1, |δ|^{α−1} beyond: LAP as a weight (Fujimoto et al. 2020)."""

    alpha: float = 0.4
    """Exponent of the priority; the paper's value for continuous control, 0.6 for Atari."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.alpha <= 1, f"per-pal: alpha must be between 0 and 1, not {self.alpha}.")

    def make(self) -> Weighting:
        """The scheme."""

        def log_weight(s: Signals, xp: Any) -> Any:
            size = xp.abs(s.q - s.target)
            beyond = xp.where(size > 1, size, xp.ones_like(size))
            # an infinite error would weigh nothing and not be seen
            beyond = xp.where(xp.isfinite(size), beyond, xp.full_like(size, xp.nan))
            return (self.alpha - 1) * log(beyond, xp)

        return self.scheme(Factor("bellman", ("q", "target"), log_weight))
