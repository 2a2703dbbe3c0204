"""A one-step game of two agents: one picks a row, the other a column of a payoff matrix.

Source: the default matrix is that of QTRAN (Son et al. 2019), Table 1. Its best cell is surrounded
by punishment: no monotonic mixture of utilities can represent it, and an agent that averages over a
random partner avoids it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from macpo.bounds import Finite, check_fields
from macpo.envs.base import Environment, first_step
from macpo.errors import require
from macpo.types import Observation, Spec, TimeStep


@dataclass(frozen=True)
class MatrixGame:
    """Matrix game: one step, two agents, one payoff matrix (by default QTRAN's).

    Example:
        >>> MatrixGame(payoff=((1, 0), (0, 2))).make().spec.return_bounds
        (0.0, 2.0)
    """

    payoff: tuple[tuple[Finite, ...], ...] = (
        (8.0, -12.0, -12.0),
        (-12.0, 0.0, 0.0),
        (-12.0, 0.0, 0.0),
    )
    """Team reward: rows are the first agent's actions, columns the second's."""

    def __post_init__(self) -> None:
        check_fields(self, "matrix-game")
        lengths = [len(row) for row in self.payoff]
        require(
            bool(lengths) and set(lengths) == {len(lengths)},
            "matrix-game: payoff must be square, since both agents have the same actions, but "
            f"its {len(lengths)} rows have {lengths} entries; fill it up to a square.",
        )

    def make(self) -> "MatrixGameEnv":
        """Build the environment."""
        return MatrixGameEnv(self)


Config = MatrixGame


class State(NamedTuple):
    """0 before the game, 1 after it."""

    t: Int[Array, "*B"]


class MatrixGameEnv(Environment):
    """The game that a `MatrixGame` describes. Observations are a constant 1."""

    def __init__(self, config: MatrixGame) -> None:
        self.config = config
        entries = [entry for row in config.payoff for entry in row]
        self.spec = Spec(
            name="matrix-game",
            n_agents=2,
            n_actions=len(config.payoff),
            obs_size=1,
            state_size=1,
            episode_limit=1,
            return_bounds=(float(min(entries)), float(max(entries))),
        )

    def reset(self, key: PRNGKeyArray) -> tuple[State, TimeStep]:
        """The state before the game; `key` is not used."""
        state = State(jnp.zeros((), jnp.int8))
        return state, first_step(self.observe(state))

    def step(
        self, key: PRNGKeyArray, state: State, actions: Int[Array, " N"]
    ) -> tuple[State, TimeStep]:
        """Pay the chosen entry and terminate."""
        reward = jnp.asarray(self.config.payoff, jnp.float32)[actions[0], actions[1]]
        after = State(jnp.ones_like(state.t))
        terminated, truncated = jnp.ones((), bool), jnp.zeros((), bool)
        return after, TimeStep(self.observe(after), reward, terminated, truncated, {})

    def observe(self, state: State) -> Observation:
        """Ones; every action is available."""
        obs = jnp.ones((2, 1), jnp.int8)
        return Observation(obs, obs[0], jnp.ones((2, self.spec.n_actions), bool))
