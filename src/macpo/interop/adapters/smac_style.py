"""SMAC and the environments built like it, for PyMARL: SMACv2, SMAClite, LBF, RWARE and others.

| here | there |
|---|---|
| sizes, `episode_limit` | `get_env_info()` |
| `obs`, `state`, `avail_actions` | `get_obs()`, `get_state()`, `get_avail_actions()`; shorter \
observations are padded |
| `reward` | `step`'s; a list of the agents' makes one by `team_reward` |
| `truncated` | `step`'s own flag, `info["episode_limit"]` or `info["TimeLimit.truncated"]`; or \
the last step allowed, unless `info["battle_won"]` |
| `terminated` | any other end |
| `info` | the numbers asked for; `battle_won` where battles are counted |

SMAC calls a time-out an end without saying so. A defeat in the very last step is therefore taken
for one, too. Either counts as an end (`Spec.truncation_is_terminal`), as in all published results.

`step` may return (reward, terminated, info), as PyMARL wants it, or Gymnasium's five or Gym's four
values. A seed is handed over where `reset` or `seed` takes one: SMAC takes none, and its episodes
cannot be repeated one by one.
"""

import inspect
from typing import Any

import numpy as np
from jaxtyping import Int

from macpo.envs.host import EnvironmentLost, HostEnvironment
from macpo.interop.adapters import common
from macpo.interop.factory import FactoryConfig
from macpo.types import Spec, TimeStep

TITLE = "a SMAC-style environment"
NEEDS = (
    *("get_env_info", "reset", "step", "get_obs", "get_state"),
    *("get_avail_actions", "close"),
)


def adapt(made: Any, config: FactoryConfig) -> "SmacStyle":
    """Adapt an environment that has all of `NEEDS`."""
    return SmacStyle(made, config)


class SmacStyle(HostEnvironment):
    """See the table of the module."""

    def __init__(self, env: Any, config: FactoryConfig) -> None:
        about = env.get_env_info()
        self._env, self._config = env, config
        self._own_limit = int(about["episode_limit"])
        counts_battles = hasattr(env, "battles_won") or hasattr(
            getattr(env, "env", None), "battles_won"
        )
        default = ("battle_won",) if counts_battles else ()
        self._names = default if config.info is None else config.info
        as_published = config.truncation_is_terminal is None
        self.spec = Spec(
            name=config.name,
            n_agents=int(about["n_agents"]),
            n_actions=int(about["n_actions"]),
            obs_size=int(np.prod(about["obs_shape"])),
            state_size=int(np.prod(about["state_shape"])),
            episode_limit=common.episode_limit(config, self._own_limit),
            truncation_is_terminal=as_published or bool(config.truncation_is_terminal),
        )
        self._t = 0
        self._open = True

    def reset(self, seed: int) -> TimeStep:
        """Start an episode, of this seed where the environment takes one."""
        self._t = 0
        try:
            if "seed" in inspect.signature(self._env.reset).parameters:
                self._env.reset(seed=seed)
            else:
                if _takes_an_argument(getattr(self._env, "seed", None)):
                    self._env.seed(seed)
                self._env.reset()
            return self._seen(0.0, False, False, {})
        except Exception as error:
            raise _lost(error) from error

    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        """One env step; EnvironmentLost also where SMAC has restarted a crashed game."""
        self._t += 1
        try:
            result = self._env.step([int(action) for action in actions])
            reward, over, out_of_time, info = _unpacked(result)
            if over and not info and "battle_won" in self._names:
                raise EnvironmentLost("the game was restarted in the middle of the episode")
            won = bool(info.get("battle_won", False))
            out_of_time |= self._t >= self._own_limit and not won
            terminated = over and not out_of_time
            truncated = not terminated and (out_of_time or self._t >= self.spec.episode_limit)
            return self._seen(reward, terminated, truncated, info)
        except Exception as error:
            raise _lost(error) from error

    def close(self) -> None:
        """Close the environment, once."""
        if self._open:
            self._open = False
            self._env.close()

    def _seen(
        self, reward: Any, terminated: bool, truncated: bool, info: dict[str, Any]
    ) -> TimeStep:
        obs = [common.flat(row) for row in self._env.get_obs()]
        return common.time_step(
            common.padded(obs, self.spec.obs_size),
            common.flat(self._env.get_state()),
            np.asarray(self._env.get_avail_actions()).astype(bool),
            common.team_reward(self._config, reward),
            terminated,
            truncated,
            common.numbers(self._names, info),
        )


def _unpacked(result: Any) -> tuple[Any, bool, bool, dict[str, Any]]:
    """(reward, whether the episode is over, whether by the clock, info) of a step's result."""
    cut = False
    match result:
        case (_, reward, over, cut, info):
            pass
        case (_, reward, over, info):
            pass
        case (reward, over, info):
            pass
        case _:
            raise TypeError(f"step returned {result!r}, not (reward, terminated, info)")
    clock = info.get("episode_limit", False) or info.get("TimeLimit.truncated", False)
    out_of_time = bool(np.any(cut)) or bool(clock)
    return reward, bool(np.all(over)), out_of_time, info


def _takes_an_argument(method: Any) -> bool:
    return callable(method) and bool(inspect.signature(method).parameters)


def _lost(error: Exception) -> Exception:
    """EnvironmentLost for a crashed game or a dropped line; any other error as it is."""
    of_the_game = type(error).__module__.startswith(("pysc2", "websocket"))
    if of_the_game or isinstance(error, ConnectionError | TimeoutError | EOFError):
        return EnvironmentLost(f"{type(error).__name__}: {error}")
    return error
