"""Environments and batches small enough to compute by hand."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.envs.base import Environment, first_step
from macpo.interop.padding import padded
from macpo.types import Episodes, Observation, Spec, TimeStep


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


class Canvas(Environment):
    """No game: a state is its observation, so that a test may write any episode."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def reset(self, key: PRNGKeyArray) -> tuple[Observation, TimeStep]:
        raise NotImplementedError

    def step(
        self, key: PRNGKeyArray, state: Observation, actions: Int[Array, " N"]
    ) -> tuple[Observation, TimeStep]:
        raise NotImplementedError

    def observe(self, state: Observation) -> Observation:
        return state


CANVAS = Spec("canvas", n_agents=2, n_actions=3, obs_size=4, state_size=5, episode_limit=6)


def scribble(
    spec: Spec, length: Sequence[int], terminated: Sequence[bool], seed: int = 0
) -> Episodes:
    """Random episodes on a `Canvas`, zeros past their ends; give the longest first."""
    rng = np.random.default_rng(seed)
    b, t, n = len(length), spec.episode_limit, spec.n_agents
    ends = np.asarray(length)
    real = np.arange(t) < ends[:, None]
    exists = np.arange(t + 1) <= ends[:, None]

    def normal(*shape: int) -> Float[np.ndarray, "..."]:
        return rng.normal(size=shape).astype(np.float32)

    avail = rng.random((b, t + 1, n, spec.n_actions)) < 0.6
    avail[..., 0] = True
    draw = np.where(avail, rng.random(avail.shape), -1)
    actions = draw[:, :-1].argmax(-1).astype(np.int8)
    episodes = Episodes(
        encoded_state=Observation(
            normal(b, t + 1, n, spec.obs_size) * exists[..., None, None],
            normal(b, t + 1, spec.state_size) * exists[..., None],
            avail & exists[..., None, None],
        ),
        actions=actions * real[..., None],
        reward=normal(b, t) * real,
        length=ends.astype(np.int32),
        terminated=np.asarray(terminated),
    )
    return jax.tree.map(jnp.asarray, episodes)


def past_end(x: Array, first: Sequence[int]) -> Bool[np.ndarray, "B T"]:
    """Which rows of an array [B, T, ...] are padding, if those from `first` on are."""
    return np.arange(x.shape[1]) >= np.asarray(first)[:, None]


def spoiled(episodes: Episodes, garbage: float = np.nan, seed: int = 0) -> Episodes:
    """The episodes with nonsense in their padding: `garbage`, or for flags and actions chance."""
    rng = np.random.default_rng(seed)
    length = np.asarray(episodes.length)

    def spoil(x: Array, first: Sequence[int]) -> Array:
        padding = past_end(x, first).reshape(*x.shape[:2], *[1] * (x.ndim - 2))
        if x.dtype == bool:
            nonsense = rng.random(x.shape) < 0.5
        elif x.dtype == jnp.int8:
            nonsense = rng.integers(-128, 128, x.shape, np.int8)
        else:
            nonsense = np.float32(garbage)
        return jnp.where(padding, nonsense, x)

    return episodes._replace(
        encoded_state=jax.tree.map(lambda x: spoil(x, length + 1), episodes.encoded_state),
        actions=spoil(episodes.actions, length),
        reward=spoil(episodes.reward, length),
    )


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
