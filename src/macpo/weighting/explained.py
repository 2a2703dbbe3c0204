"""A weighting that tells what its weights are made of, for those who look into replay."""

from dataclasses import dataclass

from jaxtyping import Bool, Float, Int

from macpo.weighting.arrays import Array
from macpo.weighting.factors import Factor
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import (
    RunningMean,
    Weighting,
    WeightingOutput,
    WeightingState,
)

EXPLANATION = "explanation"
"""The one metric of an `Explained` weighting."""


@dataclass(frozen=True, kw_only=True)
class Explained(Weighting):
    """Another weighting, with the same weights, whose metric is an `Explanation` of them.

    A learner hands the metrics of its weighting on. So whatever it computes on the way to its
    weights is seen as it is, without a second version of that way.
    """

    weighting: Weighting

    @classmethod
    def of(cls, weighting: Weighting) -> "Explained":
        """This weighting, explained."""
        return cls(
            normalise=weighting.normalise,
            clip=weighting.clip,
            nonfinite=weighting.nonfinite,
            on_policy=weighting.on_policy,
            weighting=weighting,
        )

    @property
    def name(self) -> str:
        """That of the weighting."""
        return self.weighting.name

    @property
    def summary(self) -> str:
        """That of the weighting."""
        return self.weighting.summary

    def factors(self) -> tuple[Factor, ...]:
        """Those of the weighting."""
        return self.weighting.factors()

    def running_means(self) -> tuple[RunningMean, ...]:
        """Those of the weighting."""
        return self.weighting.running_means()

    def taken_probs(
        self,
        utilities: Float[Array, "*B A"],
        actions: Int[Array, "*B"],
        avail_actions: Bool[Array, "*B A"] | None = None,
    ) -> Float[Array, "*B"]:
        """As the weighting has them."""
        return self.weighting.taken_probs(utilities, actions, avail_actions)

    def apply(self, state: WeightingState, signals: Signals) -> WeightingOutput:
        """The weights, an unchanged state, and what they are made of."""
        explanation = self.weighting.explain(state, signals)
        return WeightingOutput(explanation.weights, state, {EXPLANATION: explanation})
