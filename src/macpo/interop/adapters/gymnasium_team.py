"""Gymnasium environments whose spaces are tuples with an entry for each agent: LBF, SMAClite, …

| here | there |
|---|---|
| agents | the entries of `action_space`, a Tuple of Discrete |
| `obs` | the entries of the observation, flattened as Gymnasium does and padded |
| `avail_actions` | `info["action_mask"]` or `info["avail_actions"]`, a row for each agent, or \
`get_avail_actions()`; otherwise all of an agent's actions |
| `state` | `info["state"]` if `reset` gives it, or `get_state()`; otherwise all of `obs` |
| `reward` | the sum of the agents' rewards, or their mean (`team_reward`) |
| `terminated` | `step`'s flag, or those of all agents, but for an end in the last allowed step: \
LBF and RWARE say `terminated` when time is up |
| `truncated` | any other end; or the `episode_limit` |
| `episode_limit` | that of `gymnasium.register`, `max_steps` or the like, or as given |
| `info` | the configured names |

The factory is usually Gymnasium's own:

    macpo train --env gymnasium:make \\
        --env.options '{"id": "lbforaging:Foraging-8x8-2p-2f-v3", "disable_env_checker": true}'
"""

import importlib
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from macpo.envs.host import HostEnvironment, availability, numpy_time_step
from macpo.errors import require
from macpo.interop.adapters import common
from macpo.interop.adapters.common import exactly
from macpo.interop.factory import FactoryConfig
from macpo.interop.padding import padded
from macpo.types import Spec, TimeStep, Untyped

TITLE = "a Gymnasium environment of a team"
NEEDS = (
    *("reset", "step", "action_space", "observation_space", "close"),
    "get_wrapper_attr",  # PettingZoo's environments have all the others
)
_MASKS = ("action_mask", "avail_actions")
"""What `info` may call the available actions."""


def adapt(made: Untyped, config: FactoryConfig) -> "GymnasiumTeam":
    """Adapt an environment that has all attributes in `NEEDS`; UsageError for a single agent's."""
    for name, space in (("actions", made.action_space), ("observations", made.observation_space)):
        require(
            type(space).__name__ == "Tuple",
            f"{config.name} returned a Gymnasium environment whose {name} are {space}; a team's "
            "are a Tuple with an entry for each agent.",
        )
    return GymnasiumTeam(made, config)


class GymnasiumTeam(HostEnvironment):
    """A Gymnasium environment of a team; the module's docstring says how it is mapped."""

    def __init__(self, env: Untyped, config: FactoryConfig) -> None:
        self._env, self._config = env, config
        self._flatten = importlib.import_module("gymnasium.spaces.utils")
        self._obs_spaces = list(env.observation_space)
        spaces = list(env.action_space)
        self._n_actions = [common.n_actions(config, i, space) for i, space in enumerate(spaces)]
        self._first_actions = [int(space.start) for space in spaces]
        obs_size = max(self._flatten.flatdim(space) for space in self._obs_spaces)
        # what SMAClite keeps of PyMARL's interface; Gymnasium's wrappers do not pass it on
        self._get_state = getattr(env.unwrapped, "get_state", None)
        self._get_avail_actions = getattr(env.unwrapped, "get_avail_actions", None)
        _, info = env.reset()
        self._state_in_info = info.get("state") is not None
        state = self._state(info)
        state_size = obs_size * len(spaces) if state is None else state.size
        registered = common.as_limit(getattr(env.spec, "max_episode_steps", None))
        self._own_limit = registered or common.own_limit(config, env)
        self.spec = Spec(
            name=config.name,
            n_agents=len(spaces),
            n_actions=max(self._n_actions),
            obs_size=obs_size,
            state_size=state_size,
            episode_limit=common.episode_limit(config, self._own_limit),
            truncation_is_terminal=bool(config.truncation_is_terminal),
        )
        own = 'info["state"]' if self._state_in_info else "get_state()"
        where = 'all observations, without info["state"] or get_state()' if state is None else own
        self.assumptions = (f"the global state is {where}",)
        self._t = 0

    def reset(self, seed: int) -> TimeStep:
        """Start an episode of this seed."""
        self._t = 0
        obs, info = self._env.reset(seed=seed)
        return self._time_step(obs, 0.0, False, False, info)

    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        """One env step."""
        self._t += 1
        chosen = tuple(
            first + int(action) for first, action in zip(self._first_actions, actions, strict=True)
        )
        obs, reward, ended, cut, info = self._env.step(chosen)
        over = bool(np.all(np.logical_or(ended, cut)))
        in_time = self._own_limit is None or self._t < self._own_limit
        terminated = over and bool(np.all(ended)) and in_time
        truncated = not terminated and (over or self._t >= self.spec.episode_limit)
        return self._time_step(
            obs, common.team_reward(self._config, reward), terminated, truncated, info
        )

    def render(self) -> Untyped:
        """What the environment draws, if it was made with `render_mode="rgb_array"`."""
        return common.picture(self._env)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def _time_step(
        self,
        obs: Sequence[Untyped],
        reward: Untyped,
        terminated: bool,
        truncated: bool,
        info: Mapping[str, Untyped],
    ) -> TimeStep:
        spec, n = self.spec, len(obs)
        common.check_size(self._config, "the team has observations of", n, exactly(spec.n_agents))
        rows = [
            common.flat(self._flatten.flatten(space, row))
            for space, row in zip(self._obs_spaces, obs, strict=True)
        ]
        all_obs = padded(rows, spec.obs_size)
        own_state = self._state(info)
        state = all_obs.reshape(-1) if own_state is None else own_state
        common.check_size(self._config, "the state has", state.size, exactly(spec.state_size))
        return numpy_time_step(
            all_obs,
            state,
            self._available(info),
            np.float32(reward),
            terminated,
            truncated,
            common.numbers(self._config.info or (), info),
        )

    def _state(self, info: Mapping[str, Untyped]) -> Float[np.ndarray, " S"] | None:
        """The environment's own; None if it has none."""
        if self._state_in_info:
            return common.flat(info["state"])
        return None if self._get_state is None else common.flat(self._get_state())

    def _available(self, info: Mapping[str, Untyped]) -> Bool[np.ndarray, "N A"]:
        masks = next((info[name] for name in _MASKS if info.get(name) is not None), None)
        if masks is None and self._get_avail_actions is not None:
            masks = self._get_avail_actions()
        if masks is None:
            return padded([np.ones(n, bool) for n in self._n_actions], self.spec.n_actions)
        return padded([availability(row) for row in masks], self.spec.n_actions)
