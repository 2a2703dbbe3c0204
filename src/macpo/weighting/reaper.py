"""ReaPER: an error counts for more where the targets after it have been reliable.

R_t = 1 − Σ_{i>t} |δ_i| / Σ_i |δ_i|, over the episode: the last step is fully reliable, an early
one the less, the more error lies between it and the end.

Source: "Reliability-Adjusted Prioritized Experience Replay" (ICLR 2026). There unfinished episodes
need a bound; here a batch holds whole episodes.
"""

from dataclasses import dataclass
from typing import Any

from macpo.errors import require
from macpo.weighting.factors import Factor, bellman, power
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """R^ω · |δ|^α, R the reliability of the targets that follow (ReaPER)."""

    alpha: float = 0.6
    """Exponent of the error."""
    omega: float = 0.5
    """Exponent of the reliability."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("alpha", "omega"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"reaper: {name} must be between 0 and 1, not {value}.")

    def make(self) -> Weighting:
        """The scheme."""

        def log(s: Signals, xp: Any) -> Any:
            return power(reliability(xp.abs(s.q - s.target), xp), self.omega, xp)

        reliable = Factor("reliability", ("q", "target"), log)
        return self.scheme(bellman(self.alpha), reliable)


def reliability(size: Any, xp: Any) -> Any:
    """R [B, T] of |δ|, which is 0 on padding; 1 everywhere in an episode without error."""
    up_to_here, everything = xp.cumulative_sum(size, axis=-1), xp.sum(size, axis=-1)[..., None]
    nothing = everything == 0
    ratio = up_to_here / xp.where(nothing, xp.ones_like(everything), everything)
    return xp.where(nothing, xp.ones_like(ratio), xp.minimum(ratio, xp.ones_like(ratio)))
