"""The game as the `smac` or `smacv2` package plays it, through its `StarCraft2Env`."""

import importlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from macpo.envs.host import EnvironmentLost
from macpo.envs.smac.game import answering, pysc2
from macpo.errors import require
from macpo.types import Spec, TimeStep

_NOTHING = {"battle_won": 0, "dead_allies": 0, "dead_enemies": 0}


class Packaged:
    """Episodes of a package's environment, through its public methods only."""

    def __init__(self, package: str, spec: Spec, timeout: int, **settings: Any) -> None:
        pysc2().flags.sc2_timeout = timeout
        self._spec = spec
        self._env = importlib.import_module(f"{package}.env").StarCraft2Env(**settings)
        self._timeouts = 0
        found = self._env.get_env_info()
        wanted = {
            "n_agents": spec.n_agents,
            "n_actions": spec.n_actions,
            "obs_shape": spec.obs_size,
            "state_shape": spec.state_size,
            "episode_limit": spec.episode_limit,
        }
        for name, size in wanted.items():
            require(
                found[name] == size,
                f"the installed {package} has {name} {found[name]} on this map, not {size} as "
                "SMAC; use the original package, or --env.client pysc2.",
            )

    def reset(self) -> TimeStep:
        """Start an episode; the first starts the game."""
        with answering():
            before = self._restarts()
            self._env.reset()
            if self._restarts() > before:  # it still shows the units of the episode before
                raise EnvironmentLost("the package lost its game within a reset, and restarted it.")
            return self._timestep(0.0, False, False, _NOTHING)

    def step(self, actions: Sequence[int]) -> TimeStep:
        """Advance one env step."""
        with answering():
            reward, over, info = self._env.step(list(actions))
            if "battle_won" not in info:
                raise EnvironmentLost("the package lost its game within a step, and restarted it.")
            late = bool(over) and self._timed_out()
            return self._timestep(reward, bool(over) and not late, late, info)

    def save_replay(self) -> None:
        """Write a replay of everything since the game was started, where the package does."""
        with answering():
            self._env.save_replay()

    def close(self) -> None:
        """End the game."""
        with suppress(*pysc2().failures):
            self._env.close()

    def _restarts(self) -> int:
        """How often the package has had to start its game again; 0 where it does not say."""
        return getattr(self._env, "force_restarts", 0)  # `get_stats` divides by zero at first

    def _timed_out(self) -> bool:
        """Whether the episode that has just ended was the first to be counted since the last."""
        before, self._timeouts = self._timeouts, self._env.get_stats()["timeouts"]
        return self._timeouts > before

    def _timestep(
        self, reward: float, terminated: bool, truncated: bool, info: Mapping[str, Any]
    ) -> TimeStep:
        def array(x: Any, kind: Any = np.float32) -> Any:
            return np.array(x, kind)

        return TimeStep(
            array(self._env.get_obs()),
            array(self._env.get_state()),
            array(self._env.get_avail_actions(), bool),
            array(reward),
            array(terminated, bool),
            array(truncated, bool),
            {name: array(info[name]) for name in _NOTHING},
        )
