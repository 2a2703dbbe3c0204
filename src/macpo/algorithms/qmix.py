"""QMIX: a monotonic mixture of the utilities, with weights made from the state.

Source: Rashid et al. 2018, "QMIX: Monotonic Value Function Factorisation".
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import PRNGKeyArray

from macpo.envs.base import Environment
from macpo.errors import require
from macpo.learners.base import About
from macpo.learners.value_based import ValueBased, ValueBasedLearner
from macpo.nets.mixers import MonotonicMixer
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Config(ValueBased):
    """QMIX: a monotonic mixing network (Rashid et al. 2018), with PyMARL2's tuning."""

    about: ClassVar[About] = About(
        agents="utilities",
        critic="–",
        mixer="monotonic",
        extra="Q* where the weighting needs it",
        paper="Rashid et al. 2018",
    )

    mixing_embed_dim: int = 32
    """Width of the mixing network."""
    hypernet_embed: int = 64
    """Width of the hypernetworks' hidden layer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("mixing_embed_dim", "hypernet_embed"):
            value = getattr(self, name)
            require(value > 0, f"qmix: {name} must be positive, not {value}.")

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner."""
        spec = env.spec

        def mixer(key: PRNGKeyArray) -> MonotonicMixer:
            return MonotonicMixer(
                key, spec.n_agents, spec.state_size, self.mixing_embed_dim, self.hypernet_embed
            )

        return ValueBasedLearner(env, self, weighting, mixer)
