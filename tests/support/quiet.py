"""An algorithm of one's own that keeps to itself what its weighting says."""

from dataclasses import dataclass
from typing import Any

from macpo.algorithms.vdn import Config as Vdn
from macpo.bounds import check_fields
from macpo.learners.base import UpdateResult
from macpo.learners.value_based import ValueBasedLearner


class QuietLearner(ValueBasedLearner):
    """Hands on its own metrics only."""

    def update(self, state: Any, batch: Any, key: Any) -> UpdateResult:
        result = super().update(state, batch, key)
        return result._replace(metrics={"loss": result.metrics["loss"]})


@dataclass(frozen=True)
class Quiet(Vdn):
    """The algorithm."""

    def __post_init__(self) -> None:
        check_fields(self, "quiet")

    def make(self, env: Any, weighting: Any) -> Any:
        return QuietLearner(**vars(super().make(env, weighting)))
