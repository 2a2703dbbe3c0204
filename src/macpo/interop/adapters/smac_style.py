"""SMAC and environments with its interface, PyMARL's: SMACv2 and others.

| here | there |
|---|---|
| sizes, `episode_limit` | `get_env_info()` |
| `obs`, `state`, `avail_actions` | `get_obs()`, `get_state()`, `get_avail_actions()`; shorter \
observations are padded, and actions that a row does not have are unavailable |
| `reward` | `step`'s reward; `team_reward` combines a list of the agents' rewards |
| `truncated` | `step`'s own flag, `info["episode_limit"]` or `info["TimeLimit.truncated"]`; or \
the last allowed step, unless `info["battle_won"]` |
| `terminated` | any other end |
| `info` | the configured names; by default `battle_won` if the environment counts battles |

SMAC does not distinguish a time-out from other ends, so a defeat in the very last step is taken for
one. Both count as terminal (`Spec.truncation_is_terminal`), as in all published results.

What `step` returns is recognised by the kinds of its values (`step_result`). The seed is passed to
`reset` or `seed` if one of them takes it. SMAC's take none, so that its episodes cannot be repeated
individually.
"""

import inspect
from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from macpo.envs.host import EnvironmentLost, HostEnvironment, availability, numpy_time_step
from macpo.interop.adapters import common
from macpo.interop.adapters.step_result import read, written
from macpo.interop.factory import FactoryConfig
from macpo.interop.padding import padded
from macpo.types import Spec, TimeStep, Untyped

TITLE = "a SMAC-style environment"
NEEDS = (
    *("get_env_info", "reset", "step", "get_obs", "get_state"),
    *("get_avail_actions", "close"),
)


def adapt(made: Untyped, config: FactoryConfig) -> "SmacStyle":
    """Adapt an environment that has all attributes in `NEEDS`."""
    return SmacStyle(made, config)


class SmacStyle(HostEnvironment):
    """A SMAC-style environment; the module's docstring says how it is mapped."""

    def __init__(self, env: Untyped, config: FactoryConfig) -> None:
        sizes = env.get_env_info()
        self._env, self._config = env, config
        self._own_limit = common.as_limit(sizes["episode_limit"])
        counts_battles = hasattr(env, "battles_won") or hasattr(
            getattr(env, "env", None), "battles_won"
        )
        default = ("battle_won",) if counts_battles else ()
        self._names = default if config.info is None else config.info
        as_published = config.truncation_is_terminal is None
        self.spec = Spec(
            name=config.name,
            n_agents=int(sizes["n_agents"]),
            n_actions=int(sizes["n_actions"]),
            obs_size=int(np.prod(sizes["obs_shape"])),
            state_size=int(np.prod(sizes["state_shape"])),
            episode_limit=common.episode_limit(config, self._own_limit),
            truncation_is_terminal=as_published or bool(config.truncation_is_terminal),
        )
        self._t = 0
        self._open = True

    def reset(self, seed: int) -> TimeStep:
        """Start an episode, with this seed if the environment takes one."""
        self._t = 0
        try:
            if "seed" in inspect.signature(self._env.reset).parameters:
                self._env.reset(seed=seed)
            else:
                if _takes_an_argument(getattr(self._env, "seed", None)):
                    self._env.seed(seed)
                self._env.reset()
            return self._time_step(0.0, False, False, {})
        except Exception as error:
            raise _lost(error) from error

    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        """One env step; EnvironmentLost also if SMAC has restarted a crashed game."""
        self._t += 1
        try:
            result = read(self._env.step([int(action) for action in actions]), self.spec)
            info, over = result.info, result.terminated
            if over and not info and "battle_won" in self._names:
                raise EnvironmentLost("the game was restarted in the middle of the episode")
            self.assumptions = (f"step returns {written(result.reading)}",)
            out_of_time = result.truncated or _says(info, "episode_limit", "TimeLimit.truncated")
            if self._own_limit is not None and not _says(info, "battle_won"):
                out_of_time |= self._t >= self._own_limit
            terminated = over and not out_of_time
            truncated = not terminated and (out_of_time or self._t >= self.spec.episode_limit)
            return self._time_step(result.reward, terminated, truncated, info)
        except Exception as error:
            raise _lost(error) from error

    def render(self) -> Untyped:
        """What the environment draws, if it was made with `render_mode="rgb_array"`."""
        return common.picture(self._env)

    def close(self) -> None:
        """Close the environment, once."""
        if self._open:
            self._open = False
            self._env.close()

    def _time_step(
        self, reward: Untyped, terminated: bool, truncated: bool, info: Mapping[str, Untyped]
    ) -> TimeStep:
        obs = [common.flat(row) for row in self._env.get_obs()]
        masks = [availability(row) for row in self._env.get_avail_actions()]
        for agent, (row, mask) in enumerate(zip(obs, masks, strict=False)):
            sizes = range(self.spec.obs_size + 1), range(1, self.spec.n_actions + 1)
            common.check_size(self._config, f"agent {agent} observes", row.size, sizes[0])
            common.check_size(self._config, f"agent {agent} has a mask of", mask.size, sizes[1])
        return numpy_time_step(
            padded(obs, self.spec.obs_size),
            common.flat(self._env.get_state()),
            padded(masks, self.spec.n_actions),
            common.team_reward(self._config, reward),
            terminated,
            truncated,
            common.numbers(self._names, info),
        )


def _says(info: Mapping[str, Untyped], *names: str) -> bool:
    """Whether one of these is given and true; None and NaN count as not given."""
    return any(bool(value) and value == value for value in map(info.get, names))


def _takes_an_argument(method: Untyped) -> bool:
    return callable(method) and bool(inspect.signature(method).parameters)


def _lost(error: Exception) -> Exception:
    """EnvironmentLost for a crashed game or a lost connection; any other error unchanged."""
    from_game = type(error).__module__.startswith(("pysc2", "websocket"))
    if from_game or isinstance(error, ConnectionError | TimeoutError | EOFError):
        return EnvironmentLost(f"{type(error).__name__}: {error}")
    return error
