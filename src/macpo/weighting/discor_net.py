"""DisCor as published: corrective feedback is worth little where the next value is wrong.

An error network Δ learns |Q − y| + γ Δ̄(s′, u′), with u′ greedy and Δ̄ its own slow copy; a step
counts the less, the larger the discounted error of its target. No Bellman error enters. The
temperature follows the mean of Δ. The network has the architecture of the central one and its own
optimiser; y is the learner's target (a λ-return where it uses one).

Source: Kumar et al. 2020, "DisCor: Corrective Feedback in Reinforcement Learning via Distribution
Correction", Algorithm 1 and its released constants. That code leaves Δ unconstrained; here it is
positive (softplus), so that terminal steps are what they should be: those that count most.
"""

from dataclasses import dataclass
from typing import Any

from macpo.weighting.factors import Factor
from macpo.weighting.normalise import masked_mean
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Moving, Options, Weighting

RATE, LEAST_TEMPERATURE = 0.005, 1e-3


@dataclass(frozen=True)
class Config(Options):
    """exp(−γ Δ̄(s′, u′) / τ), Δ̄ a learned error, τ its running mean (DisCor, Kumar et al. 2020)."""

    initial_temperature: float = 10.0
    """τ before the first batch; the published value."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("initial_temperature", advice="10 is the published value.")

    def make(self) -> Weighting:
        """The scheme."""
        return self.scheme(learned_error(), moving=(temperature(self.initial_temperature),))


def learned_error() -> Factor:
    """exp(−γ Δ̄(s′, u′) / τ), 1 at terminal steps."""

    def log(s: Signals, xp: Any) -> Any:
        tau = s.moving["temperature"] + xp.zeros_like(s.next_error_estimate)
        least = LEAST_TEMPERATURE * xp.ones_like(tau)
        return -s.next_error_estimate / xp.where(tau < least, least, tau)  # NaN stays

    return Factor("error_estimate", ("next_error_estimate",), log)


def temperature(initial: float) -> Moving:
    """τ, the running mean of Δ(s, u)."""

    def observe(s: Signals, xp: Any) -> Any:
        return masked_mean(s.error_estimate, s.mask, xp)

    return Moving("temperature", initial, RATE, ("error_estimate",), observe)
