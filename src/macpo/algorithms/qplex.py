"""QPLEX: duplex dueling, which represents any joint value whose best action the agents agree on.

Each utility is transformed by the state; advantages are scaled by λ > 0, a function of state and
joint action. Values of best actions are plain maxima over available actions.

Source: Wang et al. 2021, "QPLEX: Duplex Dueling Multi-Agent Q-Learning"; the variant without Qatten
(`dmaq`), in PyMARL2's sizes. `--preset qplex-official` has those of the released code.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from jaxtyping import PRNGKeyArray

from macpo.bounds import Bounds, PositiveInt
from macpo.envs.base import Environment
from macpo.learners.base import About
from macpo.learners.value_based import ValueBased, ValueBasedLearner
from macpo.nets.mixers import DuplexMixer
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class QPLEX(ValueBased):
    """QPLEX: duplex dueling (Wang et al. 2021), with PyMARL2's tuning.

    >>> QPLEX(n_heads=10).n_layers
    2
    """

    about: ClassVar[About] = About(
        agents="utilities",
        critic="–",
        mixer="duel",
        extra="Q* where the weighting needs it",
        paper="Wang et al. 2021",
    )

    hypernet_embed: PositiveInt = 64
    """Width of the hidden layers of the transformation and of λ."""
    n_heads: Annotated[int, Bounds(at_least=1, at_most=256)] = 4
    """Number of heads that λ sums (the released code 4, and 10 for matrix games)."""
    n_layers: Annotated[int, Bounds(at_least=1, at_most=16)] = 2
    """Layers of each head's networks (PyMARL2 2; the released code 1, and 3 for matrix games)."""

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner."""
        spec, width = env.spec, self.hypernet_embed
        hidden = (width,) * (self.n_layers - 1)

        def mixer(key: PRNGKeyArray) -> DuplexMixer:
            sizes = (spec.n_agents, spec.n_actions, spec.state_size, width, self.n_heads)
            return DuplexMixer(key, *sizes, *hidden)

        return ValueBasedLearner(env, self, weighting, mixer)


Config = QPLEX
