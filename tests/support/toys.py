"""Environments and batches small enough to compute by hand."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from macpo.envs.base import Environment, first_step
from macpo.interop.padding import padded
from macpo.types import Observation, Spec, TimeStep


class Count(NamedTuple):
    """The count and its goal."""

    t: Int[Array, "*B"]
    goal: Int[Array, "*B"]


class Counting(Environment):
    """Counts env steps up to a random goal; the goals 1, 2, …, `most_steps` are equally likely.

    Terminates at the goal and is truncated at the limit, so goals beyond the limit are never
    reached. Every step rewards the sum of the actions plus the number of the step.
    """

    def __init__(
        self,
        episode_limit: int = 6,
        most_steps: int = 8,
        n_agents: int = 2,
        truncation_is_terminal: bool = False,
    ) -> None:
        self.most_steps = most_steps
        self.spec = Spec(
            name="counting",
            n_agents=n_agents,
            n_actions=3,
            obs_size=2,
            state_size=2,
            episode_limit=episode_limit,
            truncation_is_terminal=truncation_is_terminal,
        )

    def reset(self, key: PRNGKeyArray) -> tuple[Count, TimeStep]:
        goal = jax.random.randint(key, (), 1, self.most_steps + 1)
        state = Count(jnp.zeros((), jnp.int32), goal)
        return state, first_step(self.observe(state))

    def step(
        self, key: PRNGKeyArray, state: Count, actions: Int[Array, " N"]
    ) -> tuple[Count, TimeStep]:
        after = Count(state.t + 1, state.goal)
        terminated = after.t >= after.goal
        truncated = (after.t >= self.spec.episode_limit) & ~terminated
        reward = actions.sum().astype(jnp.float32) + after.t
        return after, TimeStep(self.observe(after), reward, terminated, truncated, {})

    def observe(self, state: Count) -> Observation:
        n = self.spec.n_agents
        view = jnp.stack([state.t, state.goal]).astype(jnp.float32) / 8
        # the last action may be taken in even states only
        avail = jnp.stack([jnp.array(True), jnp.array(True), state.t % 2 == 0])
        return Observation(jnp.broadcast_to(view, (n, 2)), view, jnp.broadcast_to(avail, (n, 3)))

    def encode(self, state: Count) -> tuple[Array, Array]:
        return state.t.astype(jnp.int8), state.goal.astype(jnp.int8)

    def decode(self, encoded: tuple[Array, Array]) -> Observation:
        return self.observe(Count(*(x.astype(jnp.int32) for x in encoded)))


class Wide(Counting):
    """Counts, with any number of actions; the last one may be taken in even states only."""

    def __init__(self, n_actions: int = 200) -> None:
        super().__init__()
        self.spec = dataclasses.replace(self.spec, name="wide", n_actions=n_actions)

    def observe(self, state: Count) -> Observation:
        obs, view, _ = super().observe(state)
        n = self.spec.n_actions
        last = (jnp.arange(n) < n - 1) | (state.t % 2 == 0)
        return Observation(obs, view, jnp.broadcast_to(last, (self.spec.n_agents, n)))


class Reporting(Counting):
    """Reports the count in `info`; it continues to count past the end of an episode."""

    def reset(self, key: PRNGKeyArray) -> tuple[Count, TimeStep]:
        state, first = super().reset(key)
        return state, first._replace(info={"counted": state.t})

    def step(
        self, key: PRNGKeyArray, state: Count, actions: Int[Array, " N"]
    ) -> tuple[Count, TimeStep]:
        after, timestep = super().step(key, state, actions)
        return after, timestep._replace(info={"counted": after.t})


class Unlike(Environment):
    """Three steps of agents with different observations and actions, not all always available.

    An agent is rewarded for choosing the last of its actions.
    """

    N_ACTIONS = (2, 4, 3)
    OBS_SIZES = (3, 1, 2)

    def __init__(self) -> None:
        self.spec = Spec("unlike", 3, n_actions=4, obs_size=3, state_size=1, episode_limit=3)

    def reset(self, key: PRNGKeyArray) -> tuple[Array, TimeStep]:
        t = jnp.zeros((), jnp.int32)
        return t, first_step(self.observe(t))

    def step(
        self, key: PRNGKeyArray, state: Array, actions: Int[Array, " N"]
    ) -> tuple[Array, TimeStep]:
        t = state + 1
        reward = (actions == jnp.array(self.N_ACTIONS) - 1).sum().astype(jnp.float32)
        return t, TimeStep(self.observe(t), reward, t >= 3, jnp.array(False), {})

    def observe(self, state: Array) -> Observation:
        obs = [jnp.full(size, state + 1, jnp.float32) for size in self.OBS_SIZES]
        # in the second state nobody has the first action
        avail = [jnp.arange(n) >= jnp.where(state == 1, 1, 0) for n in self.N_ACTIONS]
        return Observation(padded(obs), jnp.float32(state)[None], padded(avail))


class TwoStates(Environment):
    """QPLEX's two-state process: reward while both choose 0, and no way back once both choose 1.

    Source: QPLEX (Wang et al. 2021), section 5.1, cut off after a few env steps.
    """

    def __init__(self, episode_limit: int = 3) -> None:
        self.spec = Spec(
            name="two-states",
            n_agents=2,
            n_actions=2,
            obs_size=2,
            state_size=2,
            episode_limit=episode_limit,
        )

    def reset(self, key: PRNGKeyArray) -> tuple[Count, TimeStep]:
        state = Count(jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))
        return state, first_step(self.observe(state))

    def step(
        self, key: PRNGKeyArray, state: Count, actions: Int[Array, " N"]
    ) -> tuple[Count, TimeStep]:
        lost = state.goal | actions.all()  # the second member: whether all is lost
        after = Count(state.t + 1, lost.astype(jnp.int32))
        reward = ((state.goal == 0) & ~actions.any()).astype(jnp.float32)
        truncated = after.t >= self.spec.episode_limit
        no = jnp.zeros((), bool)
        return after, TimeStep(self.observe(after), reward, no, truncated, {})

    def observe(self, state: Count) -> Observation:
        view = jax.nn.one_hot(state.goal, 2)
        return Observation(jnp.stack([view, view]), view, jnp.ones((2, 2), bool))
