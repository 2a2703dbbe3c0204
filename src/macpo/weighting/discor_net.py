"""DisCor as published: a step whose target is wrong gets little weight.

An error network Δ learns |Q − y| + γ Δ̄(s′, u′), with u′ greedy and Δ̄ its own target network. The
larger the discounted error of a step's target, the smaller its weight. No Bellman error enters. The
temperature is the running mean of Δ. The network has the architecture of the central one and its
own optimiser; y is the learner's target (a λ-return where it uses one).

Source: Kumar et al. 2020, "DisCor: Corrective Feedback in Reinforcement Learning via Distribution
Correction", Algorithm 1 and the constants of its released code. That code leaves Δ unconstrained;
here it is positive (softplus), so that terminal steps get the largest weight, as they should.
"""

from dataclasses import dataclass

from macpo.bounds import Positive
from macpo.weighting.arrays import Array, Namespace
from macpo.weighting.factors import Factor
from macpo.weighting.normalise import masked_mean
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import RunningMean, Weighting

TEMPERATURE_RATE, MIN_TEMPERATURE = 0.005, 1e-3


@dataclass(frozen=True)
class DisCorNet(Weighting):
    """exp(−γ Δ̄(s′, u′) / τ), Δ̄ a learned error, τ its running mean (DisCor, Kumar et al. 2020).

    At τ = 10, a terminal step has weight 1 and a next error of 10 ln 2 halves it:

    >>> import numpy as np
    >>> next_error = 10 * np.log([[1.0, 2.0]])
    >>> weigh = DisCorNet(normalise="none")
    >>> weigh(error_estimate=next_error, next_error_estimate=next_error, mask=np.ones((1, 2)))
    array([[1. , 0.5]])
    """

    initial_temperature: Positive = 10.0
    """τ before the first batch; the published value."""

    def factors(self) -> tuple[Factor, ...]:
        """The learned error alone."""
        return (learned_error(),)

    def running_means(self) -> tuple[RunningMean, ...]:
        """τ."""
        return (temperature(self.initial_temperature),)


Config = DisCorNet


def learned_error() -> Factor:
    """exp(−γ Δ̄(s′, u′) / τ), 1 at terminal steps."""

    def log(s: Signals, xp: Namespace) -> Array:
        assert s.running_means is not None  # a weighting sets them before it reads its factors
        tau = s.running_means["temperature"] + xp.zeros_like(s.next_error_estimate)
        least = MIN_TEMPERATURE * xp.ones_like(tau)
        return -s.next_error_estimate / xp.where(tau < least, least, tau)  # NaN stays NaN

    return Factor("error_estimate", ("next_error_estimate",), log)


def temperature(initial: float) -> RunningMean:
    """τ, the running mean of Δ(s, u)."""

    def observe(s: Signals, xp: Namespace) -> Array:
        return masked_mean(s.error_estimate, s.mask)

    return RunningMean("temperature", initial, TEMPERATURE_RATE, ("error_estimate",), observe)
