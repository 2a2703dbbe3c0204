"""Rank-based PER as a weight: only the order of the errors counts, not their size.

Source: Schaul et al. 2016, section 3.3, P(i) ∝ 1/rank(i)^α, in the batch instead of the buffer.
"""

from dataclasses import dataclass
from typing import Any

from macpo.errors import require
from macpo.weighting.factors import Factor
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """rank^{−α(1−β)}, rank 1 for the largest |δ| of the batch (Schaul et al. 2016)."""

    alpha: float = 0.7
    """Exponent of the rank; the paper's value for sampling."""
    beta: float = 0.0
    """How much of the bias is corrected; with 1 nothing of the priority is left."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha >= 0, f"per-rank: alpha must not be negative, but is {self.alpha}.")
        require(0 <= self.beta <= 1, f"per-rank: beta must be between 0 and 1, not {self.beta}.")

    def make(self) -> Weighting:
        """The scheme."""
        exponent = self.alpha * (1 - self.beta)

        def log(s: Signals, xp: Any) -> Any:
            size = xp.abs(s.q - s.target)
            # an order would hide what has none
            place = xp.where(xp.isfinite(size), rank(size, s.mask, xp), xp.full_like(size, xp.nan))
            return -exponent * xp.log(place)

        return self.scheme(Factor("rank", ("q", "target"), log))


def rank(x: Any, mask: Any, xp: Any) -> Any:
    """1 for the largest valid entry, 2 for the next; equal ones in the order of the batch."""
    keys = xp.reshape(xp.where(mask, -x, xp.full_like(x, xp.inf)), (-1,))
    order = xp.argsort(xp.argsort(keys, stable=True), stable=True)
    return xp.reshape(xp.astype(order + 1, x.dtype), x.shape)
