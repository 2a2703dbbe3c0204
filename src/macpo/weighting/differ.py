"""DIFFER: experience of each agent, weighed by its own share of the team's error.

A mixer's derivative splits the team's TD error into individual ones, δ_i = ∂Q_tot/∂q_i · δ, each
the exact error of that agent's utility under a reward of its own. Each agent learns from its own
weighted errors; the mixer learns from the team's, unweighted.

Source: Hu et al. 2023, "DIFFER: Decomposing Individual Reward for Fair Experience Replay in
Multi-Agent Reinforcement Learning" (NeurIPS); PER over (episode, step, agent) as a weight. Their
annealing of β to 1 and of the share that is drawn is left out.
"""

from dataclasses import dataclass
from typing import Any

from macpo.errors import require
from macpo.weighting.factors import Factor, power
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Options, Weighting


@dataclass(frozen=True)
class Config(Options):
    """(|∂Q_tot/∂q_i · δ| + ε)^{α(1−β)} for each agent (DIFFER, Hu et al. 2023)."""

    alpha: float = 0.8
    """Exponent of the individual error."""
    beta: float = 0.0
    """How much of the bias is corrected; published: from 0.8 to 1, which leaves little."""
    epsilon: float = 0.01
    """Added to the individual error."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.alpha >= 0, f"differ: alpha must not be negative, but is {self.alpha}.")
        require(0 <= self.beta <= 1, f"differ: beta must be between 0 and 1, not {self.beta}.")
        require(self.epsilon >= 0, f"differ: epsilon must not be negative, but is {self.epsilon}.")

    def make(self) -> Weighting:
        """The scheme; its weights are [B, T, N]."""

        def log(s: Signals, xp: Any) -> Any:
            own_error = xp.abs(individual_errors(s.q - s.target, s.dq_tot_dq))
            return power(own_error + self.epsilon, self.alpha * (1 - self.beta), xp)

        return self.scheme(Factor("individual", ("q", "target", "dq_tot_dq"), log), per_agent=True)


def individual_errors(td_error: Any, dq_tot_dq: Any) -> Any:
    """δ_i = ∂Q_tot/∂q_i · δ, [B, T, N].   Source: DIFFER, section 3."""
    return dq_tot_dq * td_error[..., None]
