"""An environment of your own: two agents see which door opens and must both choose it.

    python examples/custom_environment.py
    PYTHONPATH=examples macpo train --env custom_environment:Config

With the entry point `[project.entry-points."macpo.envs"] doors = "my_package.doors:Config"` in
your package it becomes `macpo train --env doors`, and appears in `macpo list`.
"""

import sys
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

import macpo
from macpo.envs import Environment, Observation, Spec, TimeStep, first_step


@dataclass(frozen=True)
class Config:
    """Doors: both agents see which door opens and must choose it together."""

    doors: int = 3
    """Number of doors."""
    episode_limit: int = 4
    """Env steps in an episode."""

    def make(self) -> "Doors":
        """Build the environment."""
        return Doors(self)


class State(NamedTuple):
    """Which door opens, and the time."""

    door: Int[Array, ""]
    t: Int[Array, ""]


class Doors(Environment):
    """The game that a `Config` describes."""

    def __init__(self, config: Config) -> None:
        self.config, n = config, config.doors
        self.spec = Spec("doors", 2, n, n, n, config.episode_limit)

    def reset(self, key: PRNGKeyArray) -> tuple[State, TimeStep]:
        """A random door."""
        state = State(jax.random.randint(key, (), 0, self.config.doors), jnp.zeros((), jnp.int32))
        return state, first_step(self.observe(state))

    def step(
        self, key: PRNGKeyArray, state: State, actions: Int[Array, " N"]
    ) -> tuple[State, TimeStep]:
        """Reward 1 if both choose the door that opens."""
        reward = (actions == state.door).all().astype(jnp.float32)
        door = jax.random.randint(key, (), 0, self.config.doors)
        after = State(door, state.t + 1)
        over = after.t >= self.config.episode_limit  # a time limit, not an end of the game
        return after, TimeStep(self.observe(after), reward, jnp.zeros((), bool), over, {})

    def observe(self, state: State) -> Observation:
        """The door that opens, shown to both; all actions are available."""
        door = jax.nn.one_hot(state.door, self.config.doors)
        return Observation(jnp.tile(door, (2, 1)), door, jnp.ones((2, self.config.doors), bool))


if __name__ == "__main__":
    run = macpo.Run(steps=3000, epsilon_anneal_time=1500, test_interval=500)
    macpo.train(macpo.Experiment(env=Config(), run=run), *sys.argv[1:])
