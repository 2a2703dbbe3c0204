"""What algorithms share: the forward pass over stored episodes, returns, losses, updates.

The names that a custom algorithm needs can be imported from here; each is loaded on first use.
"""

from typing import TYPE_CHECKING

from macpo.lazy import lazy_names

if TYPE_CHECKING:
    from macpo.bounds import PositiveInt
    from macpo.learners.actor_critic import ActorCritic, ActorCriticLearner
    from macpo.learners.base import About, Algorithm, LearnerState, UpdateResult
    from macpo.learners.replay_actor_critic import ReplayActorCritic
    from macpo.learners.value_based import ValueBased, ValueBasedLearner

__all__ = [
    "About",
    "ActorCritic",
    "ActorCriticLearner",
    "Algorithm",
    "LearnerState",
    "PositiveInt",
    "ReplayActorCritic",
    "UpdateResult",
    "ValueBased",
    "ValueBasedLearner",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "About": "macpo.learners.base",
        "ActorCritic": "macpo.learners.actor_critic",
        "ActorCriticLearner": "macpo.learners.actor_critic",
        "Algorithm": "macpo.learners.base",
        "LearnerState": "macpo.learners.base",
        "PositiveInt": "macpo.bounds",
        "ReplayActorCritic": "macpo.learners.replay_actor_critic",
        "UpdateResult": "macpo.learners.base",
        "ValueBased": "macpo.learners.value_based",
        "ValueBasedLearner": "macpo.learners.value_based",
    },
)
