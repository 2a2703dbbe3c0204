"""VDN: the joint value is the sum of the utilities.

Source: Sunehag et al. 2018, "Value-Decomposition Networks for Cooperative Multi-Agent Learning".
"""

from dataclasses import dataclass
from typing import ClassVar

from macpo.envs.base import Environment
from macpo.learners.base import About
from macpo.learners.value_based import ValueBased, ValueBasedLearner
from macpo.nets.mixers import SumMixer
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class VDN(ValueBased):
    """VDN: the sum of utilities (Sunehag et al. 2018), with PyMARL2's tuning.

    >>> VDN(rnn_hidden_dim=32).td_lambda
    0.6
    """

    about: ClassVar[About] = About(
        agents="utilities",
        critic="–",
        mixer="sum",
        extra="Q* where the weighting needs it",
        paper="Sunehag et al. 2018",
    )

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner."""
        return ValueBasedLearner(env, self, weighting, lambda key: SumMixer())


Config = VDN
