"""Small environments with other libraries' interfaces, simple enough to compute by hand."""

from typing import Any, ClassVar

import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary
from pettingzoo import ParallelEnv


class Relay(ParallelEnv[str, Any, int]):
    """Three heterogeneous agents; `leaves` says after which step each leaves, and how.

    The runner sees the time, twice. Each agent's reward is its action, counted from the start of
    its own space.
    """

    metadata: ClassVar[dict[str, Any]] = {"name": "relay"}
    possible_agents: ClassVar[list[str]] = ["runner", "coach", "judge"]
    max_cycles = 5
    render_mode = None

    def __init__(self, leaves: dict[str, tuple[int, str]] | None = None) -> None:
        self.leaves = leaves or {}
        self.observation_spaces = {
            "runner": Box(0, 9, (2, 1), np.float32),
            "coach": Dict({"observation": Discrete(3), "action_mask": MultiBinary(3)}),
            "judge": Box(0, 1, (1,), np.float32),
        }
        self.action_spaces = {
            "runner": Discrete(2),
            "coach": Discrete(3, start=1),
            "judge": Discrete(4),
        }
        self.agents: list[str] = []
        self.sent: dict[str, int] = {}

    def observation_space(self, agent: str) -> Any:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Any:
        return self.action_spaces[agent]

    def _observe(self, agents: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        obs = {
            "runner": np.full((2, 1), self.t, np.float32),
            "coach": {"observation": self.t % 3, "action_mask": np.array([0, 1, 1], np.int8)},
            "judge": np.array([self.chance], np.float32),
        }
        infos = {agent: {"clock": self.t} for agent in agents}
        if "judge" in infos:
            infos["judge"]["action_mask"] = np.array([1, 0, 0, 1], np.int8)
        return {agent: obs[agent] for agent in agents}, infos

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.t, self.agents = 0, list(self.possible_agents)
        self.chance = np.random.default_rng(seed).random()
        return self._observe(self.agents)

    def step(self, actions: dict[str, int]) -> Any:
        self.sent, playing = dict(actions), self.agents
        self.t += 1
        gone = {a: how for a, (t, how) in self.leaves.items() if t == self.t and a in playing}
        self.agents = [agent for agent in playing if agent not in gone]
        obs, infos = self._observe(playing)
        ends = [{a: gone.get(a) == how for a in playing} for how in ("terminated", "truncated")]
        return obs, {a: float(actions[a]) for a in playing}, *ends, infos


class Planned(Relay):
    """The same, with a global state."""

    def state(self) -> np.ndarray:
        return np.array([self.t, len(self.agents)])


class Skirmish:
    """A battle of two agents with SMAC's methods, `won` or lost after `length` steps.

    With each step, one more action becomes available.
    """

    battles_won = 0

    def __init__(self, length: int = 3, won: bool = True, limit: int = 4) -> None:
        self.length, self.won, self.limit = length, won, limit
        self.closed = 0

    def get_env_info(self) -> dict[str, Any]:
        sizes = {"n_agents": 2, "n_actions": 5, "obs_shape": 3, "state_shape": (2, 2)}
        return {**sizes, "episode_limit": self.limit}

    def reset(self) -> Any:
        self.t = 0
        return self.get_obs(), self.get_state()

    def step(self, actions: Any) -> Any:
        assert isinstance(actions, list) and all(type(action) is int for action in actions)
        self.t += 1
        over = self.t >= min(self.length, self.limit)
        won = self.t == self.length and self.won
        info = {"battle_won": won, "dead_enemies": self.t, "map": "plain"}
        return sum(actions) / 2, over, info

    def get_obs(self) -> Any:
        return [np.full(3, self.t, np.float64), np.full(2, self.t, np.float64)]

    def get_state(self) -> Any:
        return np.full((2, 2), self.t)

    def get_avail_actions(self) -> Any:
        return [[int(a <= self.t) for a in range(5)]] * 2

    def close(self) -> None:
        self.closed += 1
