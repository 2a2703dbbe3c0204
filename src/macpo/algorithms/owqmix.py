"""OW-QMIX: QMIX that cares for what it undervalues.

The target of both comes from an unrestricted value Q*, which a central network learns beside the
mixture. Another weighting's weights multiply these: `--algorithm owqmix` is published OW-QMIX, and
the same as `--algorithm qmix --weighting owqmix`.

Source: Rashid et al. 2020, "Weighted QMIX: Expanding Monotonic Value Function Factorisation for
Deep Multi-Agent Reinforcement Learning", Eq. (9).
"""

from dataclasses import dataclass
from typing import ClassVar

from macpo.algorithms import qmix
from macpo.envs.base import Environment
from macpo.learners.base import About
from macpo.learners.value_based import ValueBasedLearner
from macpo.weighting.owqmix import OWQMIX
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Config(qmix.Config):
    """OW-QMIX: QMIX with the optimistically weighted operator (Rashid et al. 2020)."""

    about: ClassVar[About] = About(
        agents="utilities",
        critic="–",
        mixer="monotonic",
        extra="Q*",
        paper="Rashid et al. 2020",
    )

    alpha: float = 0.1
    """Weight of overestimated steps (PyMARL: `w`); 0.1 in both references."""

    def __post_init__(self) -> None:
        super().__post_init__()
        OWQMIX(alpha=self.alpha)  # refuses what is out of range

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner; its scheme is the weighting's times these weights."""
        return super().make(env, weighting.times(OWQMIX(alpha=self.alpha)))
