"""A weighting that tells what its weights are made of: to those who look into replay, or draw from
it by those weights."""

import math
from dataclasses import dataclass, replace
from typing import Any

from array_api_compat import array_namespace
from jaxtyping import Bool, Float, Int

from macpo.errors import UsageError
from macpo.field_types import Unchecked
from macpo.weighting.arrays import Array, as_flags
from macpo.weighting.factors import Factor
from macpo.weighting.normalise import is_nonfinite
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
            weights, why = self._unweighted(why)
        explained: dict[str, Any] = metrics | {EXPLANATION: why}  # no scalar, unlike all others
        return WeightingOutput(weights, state_after, explained)

    def explain(self, state: WeightingState, signals: Signals) -> Explanation:
        """As the weighting does."""
        return self.weighting.explain(state, signals)

    def _unweighted(self, why: Explanation) -> tuple[Float[Array, "B T"], Explanation]:
        """A weight of 1 for every step; 0, and no raw weight either, for those that `nonfinite`
        leaves out, of several agents with any of them."""
        mask, raw = as_flags(why.mask, f"{self.name}: mask"), why.log_raw
        if self.nonfinite == "propagate" or raw is None:
            return 1.0 * mask, why
        xp = array_namespace(raw)
        left_out = is_nonfinite(raw, xp)
        if raw.ndim == mask.ndim:
            of_all = left_out
        else:
            left_out = xp.any(left_out, axis=-1)
            of_all = left_out[..., None]
        why = why._replace(log_raw=xp.where(of_all, xp.full_like(raw, -math.inf), raw))
        return 1.0 * (mask & ~left_out), why


def explaining(learner: Unchecked, *, weighs: bool = True) -> Any:  # of the same type
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


# metrics are scalars, all but the explanation
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
