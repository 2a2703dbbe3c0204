"""QMIX's two-step game: the first agent chooses a branch, then both play that branch's matrix.

Branch A pays 7 whatever they do. Branch B pays 8 if both choose action 1; a sum of utilities cannot
represent this together with the branch's other payoffs, so VDN takes the 7 and QMIX the 8.

Source: QMIX (Rashid et al. 2018), section 5.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from macpo.bounds import Positive, check_fields
from macpo.envs.base import Environment, first_step
from macpo.types import Observation, Spec, TimeStep

CHOICE, BRANCH_A, BRANCH_B, OVER = range(4)
PAYOFF = (
    ((0, 0), (0, 0)),  # the first step pays nothing
    ((7, 7), (7, 7)),
    ((0, 1), (1, 8)),
    ((0, 0), (0, 0)),
)  # [stage, first agent's action, second agent's action]


@dataclass(frozen=True)
class TwoStep:
    """Two-step game: a safe 7, or 8 for two who agree (QMIX, Rashid et al. 2018).

    Example:
        >>> TwoStep(reward_scale=0.5).make().spec.return_bounds
        (0.0, 4.0)
    """

    reward_scale: Positive = 1.0
    """Factor on every payoff (1 in the paper); the value factor exp(−|Q_tot − Q*|) depends on
    it."""

    def __post_init__(self) -> None:
        check_fields(self, "two-step")

    def make(self) -> "TwoStepEnv":
        """Build the environment."""
        return TwoStepEnv(self)


Config = TwoStep


class State(NamedTuple):
    """`CHOICE`, `BRANCH_A`, `BRANCH_B` or `OVER`."""

    stage: Int[Array, "*B"]


class TwoStepEnv(Environment):
    """The game that a `TwoStep` describes.

    Observations and state are the stage, one-hot, and zeros once the game is over.
    """

    def __init__(self, config: TwoStep) -> None:
        self.config = config
        self.spec = Spec(
            name="two-step",
            n_agents=2,
            n_actions=2,
            obs_size=3,
            state_size=3,
            episode_limit=2,
            return_bounds=(0.0, 8 * config.reward_scale),
        )

    def reset(self, key: PRNGKeyArray) -> tuple[State, TimeStep]:
        """The choice of a branch; `key` is not used."""
        state = State(jnp.full((), CHOICE, jnp.int8))
        return state, first_step(self.observe(state))

    def step(
        self, key: PRNGKeyArray, state: State, actions: Int[Array, " N"]
    ) -> tuple[State, TimeStep]:
        """The first agent's action selects the branch; then both actions select its payoff."""
        payoff = jnp.asarray(PAYOFF, jnp.float32) * self.config.reward_scale
        reward = payoff[state.stage, actions[0], actions[1]]
        branch = jnp.where(actions[0] == 0, BRANCH_A, BRANCH_B)
        stage = jnp.where(state.stage == CHOICE, branch, OVER).astype(jnp.int8)
        after = State(stage)
        over = stage == OVER
        return after, TimeStep(self.observe(after), reward, over, jnp.zeros_like(over), {})

    def observe(self, state: State) -> Observation:
        """The stage, shown to both agents; every action is available."""
        return self.decode(state.stage)

    def encode(self, state: State) -> Array:
        """The stage: one byte."""
        return state.stage

    def decode(self, encoded: Array) -> Observation:
        """Observe the encoded stage."""
        stage = jax.nn.one_hot(encoded, 3, dtype=jnp.int8)  # OVER is past the end: zeros
        return Observation(jnp.stack([stage, stage]), stage, jnp.ones((2, 2), bool))
