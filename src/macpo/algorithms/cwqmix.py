"""CW-QMIX: full weight for joint actions that are greedy or better than the greedy one.

The targets of the mixture come from an unrestricted value Q*, which a central critic learns.
Another weighting's weights multiply these: `--algorithm cwqmix` is the published algorithm and the
same as `--algorithm qmix --weighting cwqmix`.

Source: Rashid et al. 2020, "Weighted QMIX: Expanding Monotonic Value Function Factorisation for
Deep Multi-Agent Reinforcement Learning", Eq. (8).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from macpo.algorithms.qmix import QMIX
from macpo.bounds import Bounds
from macpo.envs.base import Environment
from macpo.learners.base import About
from macpo.learners.value_based import ValueBasedLearner
from macpo.weighting import cwqmix
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class CWQMIX(QMIX):
    """CW-QMIX: QMIX with the centrally weighted operator (Rashid et al. 2020).

    >>> CWQMIX(alpha=0.5).mixing_embed_dim
    32
    """

    about: ClassVar[About] = About(
        agents="utilities",
        critic="–",
        mixer="monotonic",
        extra="Q*",
        paper="Rashid et al. 2020",
    )

    alpha: Annotated[float, Bounds(above=0, at_most=1)] = 0.1
    """Weight of steps that are neither greedy nor better (PyMARL: `w`); 0.1 in both references."""

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner, with the product of the weighting and these weights."""
        return super().make(env, weighting.times(cwqmix.CWQMIX(alpha=self.alpha)))


Config = CWQMIX
