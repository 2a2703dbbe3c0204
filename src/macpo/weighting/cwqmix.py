"""CW-QMIX: full weight where the stored action is, or beats, the greedy one."""

from dataclasses import dataclass
from typing import Any

from macpo.errors import require
from macpo.weighting.factors import Factor
from macpo.weighting.normalise import Normalise
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """1 where the action is greedy or y > Q*(greedy), else α (Weighted QMIX, Eq. 8)."""

    alpha: float = 0.1
    """Weight of all other steps (PyMARL calls it `w`); 0.1 for Predator-Prey."""
    normalise: Normalise = "none"
    """`none`: as published; `mean`: mean one over the batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.alpha <= 1, f"cwqmix: alpha must be in (0, 1], not {self.alpha}.")

    def make(self) -> Weighting:
        """The scheme."""

        def central(s: Signals, xp: Any) -> Any:
            full = xp.ones_like(s.q)
            keep = s.is_greedy | (s.target > s.q_star_greedy)
            return xp.log(xp.where(keep, full, self.alpha * full))

        needs = ("q", "target", "is_greedy", "q_star_greedy")
        return self.scheme(Factor("central", needs, central), learner_needs=("q_star",))
