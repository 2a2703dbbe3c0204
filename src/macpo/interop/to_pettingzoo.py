"""The way back: an environment of ours as PettingZoo's `ParallelEnv`.

| there | here |
|---|---|
| `possible_agents` | `agent_0`, `agent_1`, …: all stay until the episode is over |
| observation, `state()` | `obs`, `state`, as float32 |
| `info["action_mask"]` | `avail_actions`, as int8; the rest of `info` is `TimeStep.info` |
| reward | the team's, to every agent (the way there again: `team_reward="mean"`) |
| terminations, truncations | `terminated`, `truncated`, for every agent |

An action that is not available is replaced by the agent's first available one.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment
from macpo.errors import UsageError, require
from macpo.interop.to_host import on_host
from macpo.types import TimeStep


def to_pettingzoo(env: Environment | HostEnvironment) -> Any:
    """The environment as a PettingZoo `ParallelEnv`; UsageError where PettingZoo is missing."""
    try:
        base = importlib.import_module("pettingzoo").ParallelEnv
        spaces = importlib.import_module("gymnasium.spaces")
    except ImportError as error:
        raise UsageError(
            f"to_pettingzoo needs PettingZoo ({error}); pip install 'macpo[pettingzoo]'."
        ) from error
    return type("Parallel", (_Parallel, base), {})(on_host(env), spaces)


class _Parallel:
    """What PettingZoo's class declares."""

    def __init__(self, env: HostEnvironment, spaces: Any) -> None:
        spec = env.spec
        self._env = env
        self._rng = np.random.default_rng()
        self._seen: TimeStep | None = None
        self.metadata: dict[str, Any] = {"name": spec.name, "render_modes": []}
        self.render_mode: str | None = None
        self.possible_agents = [f"agent_{i}" for i in range(spec.n_agents)]
        self.agents: list[str] = []

        def box(size: int) -> Any:
            return spaces.Box(-np.inf, np.inf, (size,), np.float32)

        self.observation_spaces = {agent: box(spec.obs_size) for agent in self.possible_agents}
        self.action_spaces = {
            agent: spaces.Discrete(spec.n_actions) for agent in self.possible_agents
        }
        self.state_space = box(spec.state_size)

    def observation_space(self, agent: str) -> Any:
        """A Box of `obs_size`."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        """Discrete, of `n_actions`."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode of this seed, or of the next one drawn; there are no `options`."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        self.agents = list(self.possible_agents)
        self._seen = self._env.reset(int(self._rng.integers(2**31)) if seed is None else seed)
        return self._observations(self._seen), self._infos(self._seen)

    def step(self, actions: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
        """One env step of all agents; nothing once the episode is over."""
        if not self.agents:
            return {}, {}, {}, {}, {}
        missing = [agent for agent in self.agents if agent not in actions]
        require(not missing, f"step needs an action of every agent, but has none of {missing}.")
        avail = self._last().avail_actions
        chosen = np.array([int(actions[agent]) for agent in self.agents])
        available = avail[np.arange(len(chosen)), chosen]
        self._seen = timestep = self._env.step(np.where(available, chosen, avail.argmax(-1)))

        def each(value: Any) -> dict[str, Any]:
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
        return np.asarray(self._last().state, np.float32)

    def render(self) -> None:
        """There is no picture; `macpo render` films a trained run."""

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def _last(self) -> TimeStep:
        if self._seen is None:
            raise UsageError("there is no episode yet; call reset first.")
        return self._seen

    def _observations(self, timestep: TimeStep) -> dict[str, Any]:
        rows = np.asarray(timestep.obs, np.float32)
        return dict(zip(self.possible_agents, rows, strict=True))

    def _infos(self, timestep: TimeStep) -> dict[str, Any]:
        told = {name: float(value) for name, value in timestep.info.items()}
        masks = np.asarray(timestep.avail_actions, np.int8)
        return {
            agent: {"action_mask": mask, **told}
            for agent, mask in zip(self.possible_agents, masks, strict=True)
        }
