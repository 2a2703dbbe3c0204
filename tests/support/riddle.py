"""A stand-in with JaxMARL's interface; real ones are in tests/integration/foreign."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array


class Space:
    """Numbers of a shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape


class Discrete:
    """A choice among `n`."""

    def __init__(self, n: int) -> None:
        self.n = n


class State(NamedTuple):
    """Whether it was solved, and the time."""

    solved: Array
    step: Array


class Riddle:
    """Two heterogeneous agents solve it by both choosing 1; observations are the time.

    With `late` it ends one step after its time limit, as MPE and SMAX do. `step` resets.
    """

    agents = ("low", "high")

    def __init__(self, max_steps: int = 3, late: bool = True, masks: bool = False) -> None:
        self.max_steps, self.late, self.masks = max_steps, late, masks
        self.num_agents = 2

    def observation_space(self, agent: str) -> Space:
        return Space((2, 1) if agent == "low" else (3,))

    def action_space(self, agent: str) -> Any:
        return Discrete(2 if agent == "low" else 4)

    def get_obs(self, state: State) -> dict[str, Array]:
        t = state.step.astype(jnp.float32)
        return {"low": jnp.full((2, 1), t), "high": jnp.full(3, t)}

    def reset(self, key: Array) -> tuple[dict[str, Array], State]:
        state = State(jnp.array(False), jnp.array(0))
        return self.get_obs(state), state

    def step_env(self, key: Array, state: State, actions: dict[str, Array]) -> Any:
        solved = (actions["low"] == 1) & (actions["high"] == 1)
        over = state.step >= self.max_steps if self.late else state.step + 1 >= self.max_steps
        after = State(solved, state.step + 1)
        rewards = dict.fromkeys(self.agents, solved * 1.0)
        dones = dict.fromkeys((*self.agents, "__all__"), solved | over)
        info = {
            "each": jnp.arange(2) + after.step,
            "one": after.step,
            "picture": jnp.zeros((4, 4)),
        }
        return self.get_obs(after), after, rewards, dones, info

    def step(self, key: Array, state: State, actions: dict[str, Array]) -> Any:
        obs, after, rewards, dones, info = self.step_env(key, state, actions)
        first, start = self.reset(key)
        choose = lambda x, y: jnp.where(dones["__all__"], x, y)  # noqa: E731
        state = jax.tree.map(choose, start, after)
        return jax.tree.map(choose, first, obs), state, rewards, dones, info

    def get_avail_actions(self, state: State) -> dict[str, Array]:
        if not self.masks:
            raise NotImplementedError
        return {"low": jnp.array([1, 0]), "high": jnp.arange(4) <= state.step}


class Overseen(Riddle):
    """The same, with a global state."""

    def get_obs(self, state: State) -> dict[str, Array]:
        return {**super().get_obs(state), "world_state": state.step[None] * 2.0}
