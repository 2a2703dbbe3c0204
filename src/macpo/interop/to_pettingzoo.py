"""Environments of this library as PettingZoo `ParallelEnv`s.

| PettingZoo | macpo |
|---|---|
| `possible_agents` | `agent_0`, `agent_1`, …: all remain until the episode is over |
| observation, `state()` | `obs`, `state`, as float32 |
| `info["action_mask"]` | `avail_actions`, as int8; the rest of `info` is `TimeStep.info` |
| reward | the team's, for every agent (`team_reward="mean"` converts it back) |
| terminations, truncations | `terminated`, `truncated`, for every agent |

An action that is not available is replaced by the agent's first available one.
"""

import importlib
from collections.abc import Mapping
from typing import TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float

from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment, reported
from macpo.errors import UsageError, require
from macpo.interop.to_host import on_host
from macpo.types import TimeStep, Untyped

T = TypeVar("T")
Observations: TypeAlias = dict[str, Float[np.ndarray, " O"]]
Infos: TypeAlias = dict[str, dict[str, np.ndarray | float]]


def to_pettingzoo(env: Environment | HostEnvironment) -> Untyped:
    """The environment as a PettingZoo `ParallelEnv`; UsageError if PettingZoo is missing.

    >>> import macpo
    >>> env = macpo.to_pettingzoo(macpo.make_env("two-step"))
    >>> observations, infos = env.reset(seed=0)
    >>> sorted(observations)
    ['agent_0', 'agent_1']
    """
    try:
        base = importlib.import_module("pettingzoo").ParallelEnv
        spaces = importlib.import_module("gymnasium.spaces")
    except ImportError as error:
        raise UsageError(
            f"to_pettingzoo needs PettingZoo ({error}); pip install 'macpo[pettingzoo]'."
        ) from error
    return type("Parallel", (_Parallel, base), {})(on_host(env), spaces)


class _Parallel:
    """The methods and attributes of `ParallelEnv`."""

    def __init__(self, env: HostEnvironment, spaces: Untyped) -> None:
        spec = env.spec
        self._env = env
        self._rng = np.random.default_rng()
        self._timestep: TimeStep | None = None
        self.metadata: dict[str, str | list[str]] = {"name": spec.name, "render_modes": []}
        self.render_mode: str | None = None
        self.possible_agents = [f"agent_{i}" for i in range(spec.n_agents)]
        self.agents: list[str] = []

        def box(size: int) -> Untyped:
            return spaces.Box(-np.inf, np.inf, (size,), np.float32)

        self.observation_spaces = {agent: box(spec.obs_size) for agent in self.possible_agents}
        self.action_spaces = {
            agent: spaces.Discrete(spec.n_actions) for agent in self.possible_agents
        }
        self.state_space = box(spec.state_size)

    def observation_space(self, agent: str) -> Untyped:
        """A Box of `obs_size`."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Untyped:
        """Discrete, of `n_actions`."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: Mapping[str, object] | None = None
    ) -> tuple[Observations, Infos]:
        """Start an episode with this seed or the next one drawn; `options` are ignored."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self.agents = list(self.possible_agents)
        seed = int(self._rng.integers(2**31)) if seed is None else seed
        self._timestep = timestep = self._env.reset(seed)
        return self._observations(timestep), self._infos(timestep)

    def step(
        self, actions: Mapping[str, int | np.integer]
    ) -> tuple[Observations, dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """One env step of all agents; empty dictionaries once the episode is over."""
        if not self.agents:
            return {}, {}, {}, {}, {}
        missing = [agent for agent in self.agents if agent not in actions]
        require(not missing, f"step needs an action for every agent, but has none for {missing}.")
        avail = self._last().observation.avail_actions
        chosen = np.array([int(actions[agent]) for agent in self.agents])
        available = avail[np.arange(len(chosen)), chosen]
        self._timestep = timestep = self._env.step(np.where(available, chosen, avail.argmax(-1)))

        def each(value: T) -> dict[str, T]:
            return dict.fromkeys(self.possible_agents, value)

        terminated, truncated = bool(timestep.terminated), bool(timestep.truncated)
        if terminated or truncated:
            self.agents = []
        return (
            self._observations(timestep),
            each(float(timestep.reward)),
            each(terminated),
            each(truncated),
            self._infos(timestep),
        )

    def state(self) -> Float[np.ndarray, " S"]:
        """The global state."""
        return np.array(self._last().observation.state, np.float32)

    def render(self) -> None:
        """Draws nothing; `macpo render` films trained runs."""

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def _last(self) -> TimeStep:
        if self._timestep is None:
            raise UsageError("no episode has been started; call reset first.")
        return self._timestep

    def _observations(self, timestep: TimeStep) -> Observations:
        rows = np.array(timestep.observation.obs, np.float32)
        return dict(zip(self.possible_agents, rows, strict=True))

    def _infos(self, timestep: TimeStep) -> Infos:
        numbers = reported(timestep.info)
        masks = np.asarray(timestep.observation.avail_actions, np.int8)
        return {
            agent: {"action_mask": mask, **numbers}
            for agent, mask in zip(self.possible_agents, masks, strict=True)
        }
