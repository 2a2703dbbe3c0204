"""OW-QMIX: full weight where the value is optimistically low."""

from dataclasses import dataclass
from typing import Any

from macpo.errors import require, require_choice
from macpo.weighting.base import Normalise, Scheme, Signals


@dataclass(frozen=True)
class Config:
    """1 where Q_tot < y, else α (Weighted QMIX, Eq. 9)."""

    alpha: float = 0.1
    """Weight of overestimated steps (PyMARL calls it `w`); 0.1 for Predator-Prey."""
    normalise: Normalise = "none"
    """`none`: as published; `mean`: mean one over the batch."""

    def __post_init__(self) -> None:
        require_choice("owqmix", "normalise", self.normalise, Normalise)
        require(0 < self.alpha <= 1, f"owqmix: alpha must be in (0, 1], not {self.alpha}.")

    def make(self) -> Scheme:
        """The scheme. It needs Q* because y must come from an unrestricted value."""

        def optimistic(s: Signals, xp: Any) -> Any:
            full = xp.ones_like(s.q)
            return xp.log(xp.where(s.q < s.target, full, self.alpha * full))

        return Scheme(
            "owqmix",
            factors=(("optimistic", optimistic),),
            needs=("q", "target", "q_star"),
            normalise=self.normalise,
        )
