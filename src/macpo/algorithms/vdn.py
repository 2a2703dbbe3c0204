"""VDN: the joint value is the sum of the utilities.

Source: Sunehag et al. 2018, "Value-Decomposition Networks for Cooperative Multi-Agent Learning".
"""

from dataclasses import dataclass
from typing import ClassVar

from macpo.algorithms.base import About
from macpo.algorithms.value_based import Learner, ValueBased
from macpo.envs.base import Environment
from macpo.nets.mixers import SumMixer
from macpo.types import Key
from macpo.weighting.base import Scheme


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

    def make(self, env: Environment, scheme: Scheme) -> Learner:
        """The learner."""

        def mixer(key: Key) -> SumMixer:
            return SumMixer()

        return Learner(env, self, scheme, mixer)
