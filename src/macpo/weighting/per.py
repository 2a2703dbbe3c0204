"""PER as a weight: what prioritised sampling does in expectation, under uniform sampling.

Drawing a step with probability ∝ |δ|^α and correcting by (N·P)^−β has the same expected gradient as
the weight |δ|^{α(1−β)} under uniform sampling. `--replay.sampling prioritized` draws instead.

Source: Schaul et al. 2016; the equivalence: Fujimoto et al. 2020. The row "PER" of MAC-PO's
Figure 1 is |δ|; the paper gives no exponent.
"""

from dataclasses import dataclass

from macpo.errors import require
from macpo.weighting.factors import bellman
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """(|δ| + ε)^{α(1−β)}: prioritised replay as a weight (Schaul et al. 2016)."""

    alpha: float = 1.0
    """Exponent of the priority; 1 is MAC-PO's comparison, 0.6 usual for sampling."""
    beta: float = 0.0
    """How much of the bias is corrected; with 1 nothing of the priority is left."""
    epsilon: float = 0.0
    """Added to |δ|; sampling needs it to reach every step, a weight does not."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha >= 0, f"per: alpha must not be negative, but is {self.alpha}.")
        require(0 <= self.beta <= 1, f"per: beta must be between 0 and 1, not {self.beta}.")
        require(self.epsilon >= 0, f"per: epsilon must not be negative, but is {self.epsilon}.")

    def make(self) -> Weighting:
        """The scheme."""
        return self.scheme(bellman(self.alpha * (1 - self.beta), self.epsilon))
