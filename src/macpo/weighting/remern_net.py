"""ReMERN as in its authors' code: a density ratio times DisCor's weight.

The factors (2 − π) and |δ| of their theorem are not in that code, and so not here either.

Source: Liu et al. 2021, "Regret Minimization Experience Replay in Off-Policy Reinforcement
Learning", section 4 and released code.
"""

from dataclasses import dataclass

from macpo.bounds import Positive
from macpo.weighting import discor_net
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor, tempered_log_density_ratio
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import RunningMean, Weighting


@dataclass(frozen=True)
class ReMERNNet(Weighting):
    """sigmoid(z / T) · DisCor's weight, z the log density ratio d^π/μ (ReMERN, Liu et al. 2021).

    Where z = 0, the weight is half of DisCor's:

    >>> import numpy as np
    >>> z = np.zeros((1, 2))
    >>> error = 10 * np.log([[1.0, 2.0]])
    >>> signals = {"log_density_ratio": z, "error_estimate": error, "next_error_estimate": error}
    >>> ReMERNNet(normalise="none")(**signals, mask=np.ones((1, 2)))
    array([[0.5 , 0.25]])
    """

    ratio_temperature: Positive = 7.5
    """T; the released code's value."""
    initial_temperature: Positive = 10.0
    """Temperature of the error before the first batch; DisCor's value."""

    def factors(self) -> tuple[Factor, ...]:
        """Density ratio and learned error."""
        return (saturating_ratio(self.ratio_temperature), discor_net.learned_error())

    def running_means(self) -> tuple[RunningMean, ...]:
        """The temperature of the error."""
        return (discor_net.temperature(self.initial_temperature),)


Config = ReMERNNet


def saturating_ratio(temperature: float) -> Factor:
    """sigmoid(z / T)."""

    def log(s: Signals, xp: Namespace) -> Array:
        return -xp.log1p(xp.exp(-tempered_log_density_ratio(s, temperature, xp)))

    return Factor("ratio", ("log_density_ratio",), log)
