"""ReMERN as its authors' code has it: a density ratio times DisCor's weight.

The factors (2 − π) and |δ| of their theorem are not in that code, so they are not here either.

Source: Liu et al. 2021, "Regret Minimization Experience Replay in Off-Policy Reinforcement
Learning", section 4 and released code.
"""

from dataclasses import dataclass
from typing import Any

from macpo.weighting import discor_net
from macpo.weighting.factors import Factor, tempered_log_density_ratio
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """sigmoid(z / T) · DisCor's weight, z the log density ratio d^π/μ (ReMERN, Liu et al. 2021)."""

    ratio_temperature: float = 7.5
    """T; the released code's value."""
    initial_temperature: float = 10.0
    """Temperature of the error before the first batch; DisCor's value."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("ratio_temperature", advice="7.5 is the released code's.")
        self.require_positive("initial_temperature", advice="10 is the published value.")

    def make(self) -> Weighting:
        """The scheme."""
        return self.scheme(
            saturating_ratio(self.ratio_temperature),
            discor_net.learned_error(),
            moving=(discor_net.temperature(self.initial_temperature),),
        )


def saturating_ratio(temperature: float) -> Factor:
    """sigmoid(z / T)."""

    def log(s: Signals, xp: Any) -> Any:
        return -xp.log1p(xp.exp(-tempered_log_density_ratio(s, temperature, xp)))

    return Factor("ratio", ("log_density_ratio",), log)
