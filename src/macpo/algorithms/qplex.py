"""QPLEX: a duel of utilities that represents every joint value whose best action they agree on.

Each utility is transformed by the state; advantages count by λ > 0, a function of state and joint
action. Values of best actions are plain maxima over available actions.

Source: Wang et al. 2021, "QPLEX: Duplex Dueling Multi-Agent Q-Learning"; the variant without Qatten
(`dmaq`), in PyMARL2's sizes. `--preset qplex-official` has those of the released code.
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import PRNGKeyArray

from macpo.envs.base import Environment
from macpo.errors import require
from macpo.learners.base import About
from macpo.learners.value_based import ValueBased, ValueBasedLearner
from macpo.nets.mixers import DuplexMixer
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Config(ValueBased):
    """QPLEX: duplex dueling (Wang et al. 2021), with PyMARL2's tuning."""

    about: ClassVar[About] = About(
        agents="utilities",
        critic="–",
        mixer="duel",
        extra="Q* where the weighting needs it",
        paper="Wang et al. 2021",
    )

    hypernet_embed: int = 64
    """Width of the hidden layers of the transformation and of λ."""
    n_heads: int = 4
    """Heads that λ is a sum of (the released code 4, and 10 for matrix games)."""
    n_layers: int = 2
    """Layers of each head's networks (PyMARL2 2; the released code 1, and 3 for matrix games)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("hypernet_embed", "n_heads", "n_layers"):
            value = getattr(self, name)
            require(value > 0, f"qplex: {name} must be positive, not {value}.")

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner."""
        spec, width = env.spec, self.hypernet_embed
        hidden = (width,) * (self.n_layers - 1)

        def mixer(key: PRNGKeyArray) -> DuplexMixer:
            sizes = (spec.n_agents, spec.n_actions, spec.state_size, width, self.n_heads)
            return DuplexMixer(key, *sizes, *hidden)

        return ValueBasedLearner(env, self, weighting, mixer)
