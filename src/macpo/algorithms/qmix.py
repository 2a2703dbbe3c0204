"""QMIX: a monotonic mixture of the utilities, whose weights depend on the state.

Source: Rashid et al. 2018, "QMIX: Monotonic Value Function Factorisation".
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import PRNGKeyArray

from macpo.bounds import PositiveInt
from macpo.envs.base import Environment
from macpo.learners.base import About
from macpo.learners.value_based import ValueBased, ValueBasedLearner
from macpo.nets.mixers import MonotonicMixer
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class QMIX(ValueBased):
    """QMIX: a monotonic mixing network (Rashid et al. 2018), with PyMARL2's tuning.

    >>> QMIX(td_lambda=0.0).mixing_embed_dim
    32
    """

    about: ClassVar[About] = About(
        agents="utilities",
        critic="–",
        mixer="monotonic",
        extra="Q* where the weighting needs it",
        paper="Rashid et al. 2018",
    )

    mixing_embed_dim: PositiveInt = 32
    """Width of the mixing network."""
    hypernet_embed: PositiveInt = 64
    """Width of the hypernetworks' hidden layer."""

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner."""
        spec = env.spec

        def mixer(key: PRNGKeyArray) -> MonotonicMixer:
            widths = self.mixing_embed_dim, self.hypernet_embed
            return MonotonicMixer(key, spec.n_agents, spec.state_size, *widths)

        return ValueBasedLearner(env, self, weighting, mixer)


Config = QMIX
