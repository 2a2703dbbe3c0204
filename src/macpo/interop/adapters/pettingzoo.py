"""PettingZoo's `ParallelEnv`.

| here | there |
|---|---|
| agents | `possible_agents`, in this order |
| `obs` | the agents' observations, flattened as Gymnasium does (Discrete: one-hot) and padded; \
zeros for an agent that gets none |
| `avail_actions` | `info["action_mask"]`; or `observation["action_mask"]`, in a dictionary with \
`observation["observation"]`; otherwise all of an agent's actions. An agent that has left has only \
action 0, which is not sent |
| `state` | `state()` if it exists, otherwise all of `obs` |
| `reward` | the sum of the agents' rewards, or their mean over those that take part \
(`team_reward`) |
| `terminated` | all agents that took part have terminated |
| `truncated` | any other end; or the `episode_limit` |
| `episode_limit` | `max_cycles` or `max_steps` of the environment or in its options, or as given |
| `info` | the configured names: their mean over the agents that report them |

An agent takes part from the moment it is in `agents`, at first or later. One that comes back after
it left is refused: learning has no place for a second life within an episode.

The last time step holds the environment's last observations. An agent that was truncated keeps its
available actions there, since learning bootstraps from their values.
"""

import importlib
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from macpo.envs.host import HostEnvironment, availability, numpy_time_step
from macpo.errors import UsageError, require
from macpo.interop.adapters import common
from macpo.interop.factory import FactoryConfig
from macpo.interop.padding import padded
from macpo.types import Spec, TimeStep, Untyped

TITLE = "a PettingZoo ParallelEnv"
NEEDS = ("possible_agents", "reset", "step", "observation_space", "action_space", "close")


def adapt(made: Untyped, config: FactoryConfig) -> "PettingZoo":
    """Adapt an environment that has all attributes in `NEEDS`; UsageError if agents take turns."""
    require(
        not hasattr(type(made), "agent_iter"),
        f"{config.name} returned an AECEnv, whose agents take turns; return a ParallelEnv "
        "instead: pettingzoo.utils.aec_to_parallel converts some environments.",
    )
    return PettingZoo(made, config)


class PettingZoo(HostEnvironment):
    """A PettingZoo environment; the module's docstring says how it is mapped."""

    def __init__(self, env: Untyped, config: FactoryConfig) -> None:
        self._env, self._config = env, config
        self._spaces = importlib.import_module("gymnasium.spaces.utils")
        self._agents: list[Untyped] = list(env.possible_agents)
        self._action_spaces = [env.action_space(agent) for agent in self._agents]
        self._obs_spaces = [_without_mask(env.observation_space(agent)) for agent in self._agents]
        self._n_actions = [
            common.n_actions(config, agent, space)
            for agent, space in zip(self._agents, self._action_spaces, strict=True)
        ]
        obs_size = max(self._spaces.flatdim(space) for space in self._obs_spaces)
        self._has_state, state_size = self._state_size()
        self.spec = Spec(
            name=config.name,
            n_agents=len(self._agents),
            n_actions=max(self._n_actions),
            obs_size=obs_size,
            state_size=state_size if self._has_state else obs_size * len(self._agents),
            episode_limit=common.episode_limit(config, common.own_limit(config, env)),
            truncation_is_terminal=bool(config.truncation_is_terminal),
        )
        state = "state()" if self._has_state else "all observations, since there is no state()"
        self.assumptions = (f"the global state is {state}",)
        self._t = 0
        self._took_part: set[Untyped] = set()
        """Agents that have been in the episode so far."""
        self._finished: dict[Untyped, bool] = {}
        """Agents that have finished → whether they terminated."""
        self._left: dict[Untyped, int] = {}
        """Agents that are no longer in the episode → the step in which they were gone."""
        self._acting: set[Untyped] = set()
        """Agents that were alive before the last step."""

    def reset(self, seed: int) -> TimeStep:
        """Start an episode of this seed."""
        self._t, self._finished, self._left = 0, {}, {}
        obs, infos = self._dictionaries("reset", self._env.reset(seed=seed), ("obs", "infos"))
        self._took_part = set()
        self._count_agents()
        require(bool(self._took_part), f"{self.spec.name}: after reset no agent is in `agents`.")
        self._acting = {agent for agent in self._agents if self._alive(agent)}
        return self._time_step(obs, infos, {})

    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        """One env step of the agents that are still alive; UsageError if one comes back."""
        self._t += 1
        self._acting = {agent for agent in self._agents if self._alive(agent)}
        result = self._env.step(
            {
                agent: int(space.start) + int(action)
                for agent, space, action in zip(
                    self._agents, self._action_spaces, actions, strict=True
                )
                if agent in self._acting
            }
        )
        names = ("obs", "rewards", "terminations", "truncations", "infos")
        obs, rewards, terminations, truncations, infos = self._dictionaries("step", result, names)
        for agent in self._agents:
            terminated = bool(terminations.get(agent, False))
            if terminated or truncations.get(agent, False):
                self._finished.setdefault(agent, terminated)
            elif agent in terminations and agent in self._finished and self._present(agent):
                self._left.setdefault(agent, self._t)  # finished before, and no longer says so
        self._count_agents()
        return self._time_step(obs, infos, rewards)

    def render(self) -> Untyped:
        """What the environment draws, if it was made with `render_mode="rgb_array"`."""
        return common.picture(self._env)

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def _dictionaries(self, method: str, result: Untyped, names: tuple[str, ...]) -> Untyped:
        """What `reset` or `step` returned; UsageError for the results of older versions."""
        require(
            isinstance(result, tuple | list)
            and len(result) == len(names)  # pyright: ignore[reportUnknownArgumentType]
            and all(isinstance(x, Mapping) for x in result),  # pyright: ignore
            f"{self.spec.name}: {method} must return ({', '.join(names)}), each a dictionary of "
            "agents, as PettingZoo does since version 1.23.",
        )
        return result

    def _present(self, agent: Untyped) -> bool:
        return agent in self._env.agents

    def _alive(self, agent: Untyped) -> bool:
        return self._present(agent) and agent not in self._finished

    def _count_agents(self) -> None:
        """Note who takes part and who has left; UsageError for those who may not be there."""
        unknown = [agent for agent in self._env.agents if agent not in self._agents]
        require(
            not unknown,
            f"{self.spec.name}: `agents` has {unknown} in step {self._t}, which are not among "
            "`possible_agents`.",
        )
        for agent in self._agents:
            if not self._present(agent):
                if agent in self._took_part:
                    self._left.setdefault(agent, self._t)
                continue
            require(
                agent not in self._left,
                f"{self.spec.name}: agent {agent!r} is back in step {self._t}, after it had left; "
                "an agent that has left is sent no more actions in an episode. Keep it in "
                "`agents` and show it as dead (with one action in its mask) until it returns.",
            )
            self._took_part.add(agent)

    def _time_step(
        self,
        obs: Mapping[Untyped, Untyped],
        infos: Mapping[Untyped, Mapping[str, Untyped]],
        rewards: Mapping[Untyped, float],
    ) -> TimeStep:
        rows = padded(
            [
                self._flat(agent, space, obs.get(agent))
                for agent, space in zip(self._agents, self._obs_spaces, strict=True)
            ],
            self.spec.obs_size,
        )
        over = self._t > 0 and not any(self._alive(agent) for agent in self._agents)
        terminated = over and all(self._finished.get(agent, False) for agent in self._took_part)
        masks = [
            self._mask(agent, n, obs.get(agent), infos.get(agent, {}))
            for agent, n in zip(self._agents, self._n_actions, strict=True)
        ]
        names = self._config.info or ()
        told = {name: [infos[a][name] for a in infos if name in infos[a]] for name in names}
        took_part = [agent for agent in self._agents if agent in self._took_part]
        agent_rewards = [rewards.get(agent, 0.0) for agent in took_part]
        return numpy_time_step(
            rows,
            common.flat(self._env.state()) if self._has_state else rows.reshape(-1),
            padded(masks, self.spec.n_actions),
            common.team_reward(self._config, agent_rewards),
            terminated,
            not terminated and (over or self._t >= self.spec.episode_limit),
            common.numbers(names, {name: numbers for name, numbers in told.items() if numbers}),
        )

    def _flat(self, agent: Untyped, space: Untyped, obs: Untyped) -> Float[np.ndarray, " _"]:
        if obs is None:
            return np.zeros(0, np.float32)
        if isinstance(obs, Mapping) and "action_mask" in obs:
            rest = {name: value for name, value in obs.items() if name != "action_mask"}
            obs = rest["observation"] if list(rest) == ["observation"] else rest
        try:
            row = common.flat(self._spaces.flatten(space, obs))
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{self.spec.name}: what agent {agent!r} observes does not fit its observation "
                f"space {space}: {type(error).__name__}: {error}."
            ) from error
        size = self._spaces.flatdim(space)
        what = f"agent {agent!r} observes"
        common.check_size(self._config, what, row.size, range(size, size + 1))
        return row

    def _mask(
        self, agent: Untyped, n: int, obs: Untyped, info: Mapping[str, Untyped]
    ) -> Bool[np.ndarray, " _"]:
        truncated = agent in self._acting and not self._finished.get(agent, True)
        if not (self._alive(agent) or truncated):
            return np.arange(n) == 0
        mask = info.get("action_mask")
        if mask is None and isinstance(obs, Mapping):
            mask = obs.get("action_mask")
        if mask is None:
            return np.ones(n, bool)
        flags = availability(mask).reshape(-1)
        what = f"agent {agent!r} has a mask of"
        common.check_size(self._config, what, flags.size, range(n, n + 1))
        return flags

    def _state_size(self) -> tuple[bool, int]:
        """(whether there is a global state, its size)."""
        space = getattr(self._env, "state_space", None)
        if space is not None:
            return True, int(np.prod(space.shape))
        self._env.reset(seed=0)  # only during an episode can it be known whether there is a state
        try:
            return True, common.flat(self._env.state()).size
        except (NotImplementedError, AttributeError):
            return False, 0


def _without_mask(space: Untyped) -> Untyped:
    """The space of an observation without its action mask."""
    parts = getattr(space, "spaces", None)
    if not isinstance(parts, Mapping) or "action_mask" not in parts:
        return space
    rest = {name: part for name, part in parts.items() if name != "action_mask"}
    return rest["observation"] if list(rest) == ["observation"] else type(space)(rest)
