"""DIFFER: each agent's experience is weighted by the agent's share of the team's error.

The derivative of the mixer splits the team's TD error into individual ones, δ_i = ∂Q_tot/∂q_i · δ,
each the exact error of that agent's utility under a reward of its own. Each agent learns from its
own weighted errors; the mixer learns from the team's, unweighted.

Source: Hu et al. 2023, "DIFFER: Decomposing Individual Reward for Fair Experience Replay in
Multi-Agent Reinforcement Learning" (NeurIPS); PER over (episode, step, agent) as a weight. They
anneal β to 1 and the share that is drawn; here both are constant.
"""

from dataclasses import dataclass

from macpo.bounds import Fraction, NonNegative
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor, power
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class DIFFER(Weighting):
    """(|∂Q_tot/∂q_i · δ| + ε)^{α(1−β)} for each agent (DIFFER, Hu et al. 2023).

    Weights have an axis of agents, here of two that share an error of 2:

    >>> import numpy as np
    >>> q, mask = np.array([[2.0]]), np.ones((1, 1))
    >>> weigh = DIFFER(normalise="none", alpha=1.0, epsilon=0.0)
    >>> weigh(q=q, target=0 * q, dq_tot_dq=np.array([[[0.5, 0.25]]]), mask=mask)
    array([[[1. , 0.5]]])
    """

    alpha: NonNegative = 0.8
    """Exponent of the individual error."""
    beta: Fraction = 0.0
    """How much of the bias is corrected; published: from 0.8 to 1, which leaves little."""
    epsilon: NonNegative = 0.01
    """Added to the individual error."""

    def factors(self) -> tuple[Factor, ...]:
        """The individual error alone; [B, T, N]."""

        def log(s: Signals, xp: Namespace) -> Array:
            size = xp.abs(s.individual_td_error)
            return power(size + self.epsilon, self.alpha * (1 - self.beta), xp)

        return (Factor("individual", ("q", "target", "dq_tot_dq"), log, per_agent=True),)


Config = DIFFER
