"""OW-QMIX: full weight where the value is optimistically low."""

from dataclasses import dataclass
from typing import Any

from macpo.errors import require
from macpo.weighting.factors import Factor
from macpo.weighting.normalise import Normalise
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """1 where Q_tot < y, else α (Weighted QMIX, Eq. 9)."""

    alpha: float = 0.1
    """Weight of overestimated steps (PyMARL calls it `w`); 0.1 for Predator-Prey."""
    normalise: Normalise = "none"
    """`none`: as published; `mean`: mean one over the batch."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.alpha <= 1, f"owqmix: alpha must be in (0, 1], not {self.alpha}.")

    def make(self) -> Weighting:
        """The scheme."""

        def optimistic(s: Signals, xp: Any) -> Any:
            full = xp.ones_like(s.q)
            return xp.log(xp.where(s.q < s.target, full, self.alpha * full))

        # y must come from an unrestricted value, although the weight does not read it
        factor = Factor("optimistic", ("q", "target"), optimistic)
        return self.scheme(factor, learner_needs=("q_star",))
