"""VDN: the joint value is the sum of the utilities.

Source: Sunehag et al. 2018, "Value-Decomposition Networks for Cooperative Multi-Agent Learning".
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import PRNGKeyArray

from macpo.envs.base import Environment
from macpo.learners.base import About
from macpo.learners.value_based import ValueBased, ValueBasedLearner
from macpo.nets.mixers import SumMixer
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Config(ValueBased):
    """VDN: the sum of utilities (Sunehag et al. 2018), with PyMARL2's tuning."""

    about: ClassVar[About] = About(
        agents="utilities",
        critic="–",
        mixer="sum",
        extra="Q* where the weighting needs it",
        paper="Sunehag et al. 2018",
    )

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner."""

        def mixer(key: PRNGKeyArray) -> SumMixer:
            return SumMixer()

        return ValueBasedLearner(env, self, weighting, mixer)
