"""ReLo: priority to what can still be learned, not to what cannot.

The error that the target network would have made is what noise leaves over; the part of the loss
above it is reducible.

Source: Sujit et al. 2023, "Prioritizing Samples in Reinforcement Learning with Reducible Loss"
(arXiv 2208.10483). Their priorities are stored; here they are fresh.
"""

from dataclasses import dataclass
from typing import Any

from macpo.errors import require
from macpo.weighting.factors import Factor, power
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """max(δ² − δ̄², 0)^α, δ̄ the error of the target network (ReLo, Sujit et al. 2023)."""

    alpha: float = 0.6
    """Exponent; the published value for sampling."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha >= 0, f"relo: alpha must not be negative, but is {self.alpha}.")

    def make(self) -> Weighting:
        """The scheme."""

        def log(s: Signals, xp: Any) -> Any:
            reducible = (s.q - s.target) ** 2 - (s.q_of_target_net - s.target) ** 2
            nothing = xp.zeros_like(reducible)
            return power(xp.where(reducible < 0, nothing, reducible), self.alpha, xp)

        return self.scheme(Factor("reducible", ("q", "target", "q_of_target_net"), log))
