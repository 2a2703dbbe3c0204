"""CW-QMIX: full weight where the stored action is, or beats, the greedy one."""

from dataclasses import dataclass
from typing import Any

from macpo.errors import require, require_choice
from macpo.weighting.base import Normalise, Scheme, Signals


@dataclass(frozen=True)
class Config:
    """1 where the action is greedy or y > Q*(greedy), else α (Weighted QMIX, Eq. 8)."""

    alpha: float = 0.1
    """Weight of all other steps (PyMARL calls it `w`); 0.1 for Predator-Prey."""
    normalise: Normalise = "none"
    """`none`: as published; `mean`: mean one over the batch."""

    def __post_init__(self) -> None:
        require_choice("cwqmix", "normalise", self.normalise, Normalise)
        require(0 < self.alpha <= 1, f"cwqmix: alpha must be in (0, 1], not {self.alpha}.")

    def make(self) -> Scheme:
        """The scheme."""

        def central(s: Signals, xp: Any) -> Any:
            full = xp.ones_like(s.q)
            keep = s.is_greedy | (s.target > s.q_star_greedy)
            return xp.log(xp.where(keep, full, self.alpha * full))

        return Scheme(
            "cwqmix",
            factors=(("central", central),),
            needs=("q", "target", "q_star", "is_greedy", "q_star_greedy"),
            normalise=self.normalise,
        )
