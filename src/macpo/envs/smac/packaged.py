"""The game as the `smac` or `smacv2` package plays it, through its `StarCraft2Env`."""

import importlib
from collections.abc import Mapping, Sequence
from contextlib import suppress

from numpy.typing import ArrayLike

from macpo.envs.host import EnvironmentLost, numpy_time_step
from macpo.envs.smac.game import pysc2, translated_failures
from macpo.errors import require
from macpo.types import Spec, TimeStep

_NO_OUTCOME = {"battle_won": 0, "dead_allies": 0, "dead_enemies": 0}


class PackageClient:
    """A game played through a package's environment, by its public methods only."""

    def __init__(self, package: str, spec: Spec, timeout: int, **settings: object) -> None:
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
                "in SMAC; use the original package, or --env.client pysc2.",
            )

    def reset(self) -> TimeStep:
        """Start an episode; the first starts the game."""
        with translated_failures():
            before = self._restarts()
            self._env.reset()
            if self._restarts() > before:  # it still shows the units of the previous episode
                raise EnvironmentLost("the package lost its game within a reset, and restarted it.")
            return self._timestep(0.0, False, False, _NO_OUTCOME)

    def step(self, actions: Sequence[int]) -> TimeStep:
        """Advance one env step."""
        with translated_failures():
            reward, over, info = self._env.step(list(actions))
            if "battle_won" not in info:
                raise EnvironmentLost("the package lost its game within a step, and restarted it.")
            late = bool(over) and self._timed_out()
            return self._timestep(reward, bool(over) and not late, late, info)

    def save_replay(self) -> None:
        """Write a replay of everything since the game was started, if the package can."""
        with translated_failures():
            self._env.save_replay()

    def close(self) -> None:
        """End the game."""
        with suppress(*pysc2().failures):
            self._env.close()

    def _restarts(self) -> int:
        """How often the package has restarted its game; 0 if it does not count restarts."""
        return getattr(self._env, "force_restarts", 0)  # `get_stats` divides by zero at first

    def _timed_out(self) -> bool:
        """Whether the package counts the episode that has just ended as a time-out."""
        before, self._timeouts = self._timeouts, self._env.get_stats()["timeouts"]
        return self._timeouts > before

    def _timestep(
        self, reward: float, terminated: bool, truncated: bool, info: Mapping[str, ArrayLike | None]
    ) -> TimeStep:
        return numpy_time_step(
            self._env.get_obs(),
            self._env.get_state(),
            self._env.get_avail_actions(),
            reward,
            terminated,
            truncated,
            {name: info[name] for name in _NO_OUTCOME},
        )
