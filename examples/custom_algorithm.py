"""An algorithm of your own: utilities mixed by softmax weights made from the state.

    python examples/custom_algorithm.py
    PYTHONPATH=examples macpo train --algorithm custom_algorithm:Config

A value-based algorithm is a mixer; everything else (targets, weights, replay, seeds, resume) is
there. docs/own_algorithm.md arrives at this file step by step. The entry point group is
`macpo.algorithms`.
"""

import sys
from dataclasses import dataclass
from typing import ClassVar

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

import macpo
from macpo.learners import About, PositiveInt, ValueBased, ValueBasedLearner
from macpo.nets import MLP, Extras


class StateMixer(eqx.Module):
    """N times the convex combination of the utilities that the state chooses, plus a value."""

    needs: ClassVar[tuple[str, ...]] = ()  # of the extras: this mixer reads none

    attention: MLP
    value: MLP

    def __init__(self, key: PRNGKeyArray, n_agents: int, state_size: int, width: int) -> None:
        a, v = jax.random.split(key)
        self.attention = MLP(a, state_size, width, n_agents)
        self.value = MLP(v, state_size, width, 1)

    def __call__(
        self,
        utilities: Float[Array, "*B N"],
        state: Float[Array, "*B S"],
        extras: Extras | None = None,
    ) -> Float[Array, "*B"]:
        """Non-decreasing in every utility."""
        share = jax.nn.softmax(self.attention(state), -1)
        return utilities.shape[-1] * (share * utilities).sum(-1) + self.value(state)[..., 0]


@dataclass(frozen=True)
class Config(ValueBased):
    """Attention over utilities, monotonic in each."""

    about: ClassVar[About] = About(
        agents="utilities", critic="–", mixer="attention", extra="–", paper="an example"
    )

    width: PositiveInt = 32
    """Of the hidden layers of the mixer's networks."""

    def make(
        self, env: macpo.Environment, weighting: macpo.weighting.Weighting
    ) -> ValueBasedLearner:
        """The learner."""
        spec = env.spec

        def mixer(key: PRNGKeyArray) -> StateMixer:
            return StateMixer(key, spec.n_agents, spec.state_size, self.width)

        return ValueBasedLearner(env, self, weighting, mixer)


if __name__ == "__main__":
    run = macpo.Run(steps=2000, epsilon_anneal_time=1000, test_interval=500)
    macpo.train(macpo.Experiment(env="two-step", algorithm=Config(), run=run), *sys.argv[1:])
