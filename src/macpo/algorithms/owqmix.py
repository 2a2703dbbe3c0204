"""OW-QMIX: full weight for joint actions that the mixture undervalues.

The targets of the mixture come from an unrestricted value Q*, which a central critic learns.
Another weighting's weights multiply these: `--algorithm owqmix` is the published algorithm and the
same as `--algorithm qmix --weighting owqmix`.

Source: Rashid et al. 2020, "Weighted QMIX: Expanding Monotonic Value Function Factorisation for
Deep Multi-Agent Reinforcement Learning", Eq. (9).
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from macpo.algorithms.qmix import QMIX
from macpo.bounds import Bounds
from macpo.envs.base import Environment
from macpo.learners.base import About
from macpo.learners.value_based import ValueBasedLearner
from macpo.weighting import owqmix
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class OWQMIX(QMIX):
    """OW-QMIX: QMIX with the optimistically weighted operator (Rashid et al. 2020).

    >>> OWQMIX(alpha=0.5).mixing_embed_dim
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
    """Weight of overestimated steps (PyMARL: `w`); 0.1 in both references."""

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner, with the product of the weighting and these weights."""
        return super().make(env, weighting.times(owqmix.OWQMIX(alpha=self.alpha)))


Config = OWQMIX
