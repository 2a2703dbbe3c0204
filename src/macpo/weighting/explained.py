"""A weighting that tells what its weights are made of: to those who look into replay, or draw from
it by those weights."""

import math
from dataclasses import dataclass, replace
from typing import Any

from array_api_compat import array_namespace
from jaxtyping import Bool, Float, Int

from macpo.errors import UsageError
from macpo.weighting.arrays import Array, as_flags
from macpo.weighting.factors import Factor
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import (
    Explanation,
    RunningMean,
    Weighting,
    WeightingOutput,
    WeightingState,
)

EXPLANATION = "explanation"
"""The metric that an `Explained` weighting has besides its own."""


@dataclass(frozen=True, kw_only=True)
class Explained(Weighting):
    """Another weighting, which adds an `Explanation` of its weights to its metrics.

    A learner hands the metrics of its weighting on. So whatever it computes on the way to its
    weights is seen as it is, without a second version of that way.
    """

    weighting: Weighting
    weighs: bool = True
    """Whether these are the weights of the loss; if not, all its steps weigh the same."""

    @classmethod
    def of(cls, weighting: Weighting, *, weighs: bool = True) -> "Explained":
        """This weighting, explained."""
        return cls(
            normalise=weighting.normalise if weighs else "mean",
            clip=weighting.clip,
            nonfinite=weighting.nonfinite,
            on_policy=weighting.on_policy,
            weighting=weighting,
            weighs=weighs,
        )

    @property
    def name(self) -> str:
        """That of the weighting."""
        return self.weighting.name

    @property
    def summary(self) -> str:
        """That of the weighting."""
        return self.weighting.summary

    @property
    def per_agent(self) -> bool:
        """Whether each agent's own error is weighted in the loss."""
        return self.weighs and super().per_agent

    def factors(self) -> tuple[Factor, ...]:
        """Those of the weighting."""
        return self.weighting.factors()

    def running_means(self) -> tuple[RunningMean, ...]:
        """Those of the weighting."""
        return self.weighting.running_means()

    def init(self) -> WeightingState:
        """The weighting's own, which need not be that of its running means and scale."""
        return self.weighting.init()

    def taken_probs(
        self,
        utilities: Float[Array, "*B A"],
        actions: Int[Array, "*B"],
        avail_actions: Bool[Array, "*B A"] | None = None,
    ) -> Float[Array, "*B"]:
        """As the weighting has them."""
        return self.weighting.taken_probs(utilities, actions, avail_actions)

    def apply(self, state: WeightingState, signals: Signals) -> WeightingOutput:
        """The weighting's own output, with what its weights are made of."""
        weights, state_after, metrics = self.weighting.apply(state, signals)
        why = self.weighting.explain(state, signals)
        if not self.weighs:
            mask = as_flags(why.mask, f"{self.name}: mask")
            left_out = self._left_out(mask, why)
            weights = 1.0 * (mask & ~left_out)
            why = _without_raw_weights(why, left_out)
        explained: dict[str, Any] = metrics | {EXPLANATION: why}  # no scalar, unlike all others
        return WeightingOutput(weights, state_after, explained)

    def explain(self, state: WeightingState, signals: Signals) -> Explanation:
        """As the weighting does."""
        return self.weighting.explain(state, signals)

    def _left_out(self, mask: Bool[Array, "B T"], why: Explanation) -> Bool[Array, "B T"]:
        """The steps without a finite raw weight, if `nonfinite` leaves them out; of several agents
        any counts."""
        xp, raw = array_namespace(mask), why.log_raw
        if self.nonfinite == "propagate" or raw is None:
            return xp.zeros_like(mask)
        left_out = xp.isnan(raw) | (raw == math.inf)
        return xp.any(left_out, axis=-1) if left_out.ndim > mask.ndim else left_out


def _without_raw_weights(why: Explanation, steps: Bool[Array, "B T"]) -> Explanation:
    """With raw weights of 0 at these steps, where they are known."""
    if why.log_raw is None:
        return why
    xp, raw = array_namespace(why.log_raw), why.log_raw
    steps = steps if raw.ndim == steps.ndim else steps[..., None]
    return why._replace(log_raw=xp.where(steps, xp.full_like(raw, -math.inf), raw))


def explaining(learner: Any, *, weighs: bool = True) -> Any:
    """The same learner, with its weighting explained.

    UsageError unless it is a dataclass with a field `weighting`.
    """
    try:
        return replace(learner, weighting=Explained.of(learner.weighting, weighs=weighs))
    except (AttributeError, TypeError) as error:
        raise UsageError(
            "this algorithm's weights cannot be told from outside: its learner must be a dataclass "
            "with a field `weighting`."
        ) from error


def take_explanation(metrics: dict[str, Any]) -> Explanation:
    """The explanation among the metrics of an update, which is removed from them.

    UsageError if there is none.
    """
    if EXPLANATION not in metrics:
        raise UsageError(
            "this algorithm's weights cannot be told from outside: its update must hand on the "
            "metrics of its weighting."
        )
    return metrics.pop(EXPLANATION)
