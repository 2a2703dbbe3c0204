"""CW-QMIX: QMIX that cares for joint actions that are, or beat, the greedy one.

The target of both comes from an unrestricted value Q*, which a central network learns beside the
mixture. Another weighting's weights multiply these: `--algorithm cwqmix` is published CW-QMIX, and
the same as `--algorithm qmix --weighting cwqmix`.

Source: Rashid et al. 2020, "Weighted QMIX: Expanding Monotonic Value Function Factorisation for
Deep Multi-Agent Reinforcement Learning", Eq. (8).
"""

from dataclasses import dataclass
from typing import ClassVar

from macpo.algorithms import qmix
from macpo.envs.base import Environment
from macpo.learners.base import About
from macpo.learners.value_based import ValueBasedLearner
from macpo.weighting.cwqmix import CWQMIX
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Config(qmix.Config):
    """CW-QMIX: QMIX with the centrally weighted operator (Rashid et al. 2020)."""

    about: ClassVar[About] = About(
        agents="utilities",
        critic="–",
        mixer="monotonic",
        extra="Q*",
        paper="Rashid et al. 2020",
    )

    alpha: float = 0.1
    """Weight of steps that are neither greedy nor better (PyMARL: `w`); 0.1 in both references."""

    def __post_init__(self) -> None:
        super().__post_init__()
        CWQMIX(alpha=self.alpha)  # refuses what is out of range

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner; its scheme is the weighting's times these weights."""
        return super().make(env, weighting.times(CWQMIX(alpha=self.alpha)))
