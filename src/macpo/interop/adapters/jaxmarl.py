"""JaxMARL's `MultiAgentEnv`: SMAX, MPE and others, played inside the compiled loop.

| here | there |
|---|---|
| agents | `agents`, in this order |
| `obs` | the agents' observations, flattened and padded |
| `avail_actions` | `get_avail_actions(state)` where there is one, or else all that an agent has |
| `state` | the observations' `world_state` where there is one, or else all of `obs` |
| `reward` | the sum of all agents' rewards, or their mean (`team_reward`) |
| `terminated` | `dones["__all__"]`, but for the time limit |
| `truncated` | the `episode_limit` |
| `episode_limit` | `max_steps` of the environment, or as given |
| `info` | every number, or the mean of every array with a number for each agent |

Steps are made by `step_env`: `step` would put the next episode's first observation in place of the
last one. MPE and SMAX notice that `max_steps` are over one step late; episodes end here on time.
Replay stores the observations, as the state of such an environment does not always tell them.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from macpo.envs.base import Environment, first_step
from macpo.interop.adapters import common
from macpo.interop.factory import FactoryConfig
from macpo.interop.padding import padded
from macpo.types import Observation, PyTree, Spec, TimeStep

TITLE = "a JaxMARL environment"
NEEDS = ("agents", "reset", "step_env", "observation_space", "action_space")


def adapt(made: Any, config: FactoryConfig) -> "JaxMarl":
    """Adapt an environment that has all of `NEEDS`."""
    return JaxMarl(made, config)


class State(NamedTuple):
    """The environment's own state, the time, what is seen, and how the episode has ended."""

    inner: PyTree
    t: Int[Array, "*B"]
    seen: Observation
    terminated: Bool[Array, "*B"]
    truncated: Bool[Array, "*B"]


class JaxMarl(Environment):
    """See the table of the module."""

    def __init__(self, env: Any, config: FactoryConfig) -> None:
        self._env, self._config = env, config
        self._agents: list[str] = list(env.agents)
        self._n_actions = [
            common.n_actions(config, agent, env.action_space(agent)) for agent in self._agents
        ]
        own = getattr(env, "max_steps", None)
        limit = common.episode_limit(config, own)
        self._clock = limit == own and self._says_time_is_over(limit)
        self._masks = self._has_masks()
        seen = jax.eval_shape(lambda key: self._reset(key)[1], jax.random.key(0))
        self.spec = Spec(
            name=config.name,
            n_agents=len(self._agents),
            n_actions=max(self._n_actions),
            obs_size=seen.obs.shape[-1],
            state_size=seen.state.shape[-1],
            episode_limit=limit,
            truncation_is_terminal=bool(config.truncation_is_terminal),
        )
        self._info = tuple(self._numbers())

    def reset(self, key: PRNGKeyArray) -> tuple[State, TimeStep]:
        """Start an episode."""
        inner, seen = self._reset(key)
        info = {name: jnp.zeros((), jnp.float32) for name in self._info}
        first = first_step(seen, **info)
        t = jnp.zeros((), jnp.int32)
        return State(inner, t, seen, first.terminated, first.truncated), first

    def step(
        self, key: PRNGKeyArray, state: State, actions: Int[Array, " N"]
    ) -> tuple[State, TimeStep]:
        """One env step of `step_env`."""
        obs, inner, rewards, dones, info = self._step(key, state.inner, actions)
        seen = self._observation(obs, inner)
        reward = jnp.stack([jnp.asarray(rewards[agent]).reshape(()) for agent in self._agents])
        combine = jnp.sum if self._config.team_reward == "sum" else jnp.mean
        t = state.t + 1
        out_of_time = t >= self.spec.episode_limit
        done = jnp.asarray(dones["__all__"], bool)
        if self._clock:  # where time is over, `done` says no more than that
            done &= ~out_of_time
        # some environments go on after their end
        terminated = state.terminated | (done & ~state.truncated)
        truncated = (state.truncated | out_of_time) & ~terminated
        info = {name: jnp.mean(info[name]).astype(jnp.float32) for name in self._info}
        reward = combine(reward).astype(jnp.float32)
        after = State(inner, t, seen, terminated, truncated)
        return after, TimeStep(*seen, reward, terminated, truncated, info)

    def observe(self, state: State) -> Observation:
        """What the last step showed."""
        return state.seen

    def _reset(self, key: PRNGKeyArray) -> tuple[PyTree, Observation]:
        obs, inner = self._env.reset(key)
        return inner, self._observation(obs, inner)

    def _step(self, key: PRNGKeyArray, inner: PyTree, actions: Array) -> Any:
        chosen = {agent: actions[i].astype(jnp.int32) for i, agent in enumerate(self._agents)}
        return self._env.step_env(key, inner, chosen)

    def _observation(self, obs: Mapping[str, Array], inner: PyTree) -> Observation:
        rows = padded([_flat(obs[agent]) for agent in self._agents])
        state = _flat(obs["world_state"]) if "world_state" in obs else rows.reshape(-1)
        if self._masks:
            masks = self._env.get_avail_actions(inner)
            avail = [jnp.asarray(masks[agent]).astype(bool) for agent in self._agents]
        else:
            avail = [jnp.ones(n, bool) for n in self._n_actions]
        return Observation(rows, state, padded(avail))

    def _has_masks(self) -> bool:
        if not hasattr(self._env, "get_avail_actions"):
            return False
        try:
            jax.eval_shape(
                lambda key: self._env.get_avail_actions(self._env.reset(key)[1]), jax.random.key(0)
            )
        except NotImplementedError:  # what the base class does
            return False
        return True

    def _says_time_is_over(self, limit: int) -> bool:
        """Whether the environment itself is done in step `limit`; MPE and SMAX are in the next."""
        key = jax.random.key(0)
        _, inner = self._env.reset(key)

        def late(path: tuple[Any, ...], leaf: Array) -> Array:
            counts = getattr(path[-1], "name", None) == "step"
            return jnp.full_like(leaf, limit - 1) if counts else leaf

        inner = jax.tree_util.tree_map_with_path(late, inner)
        actions = jnp.zeros(len(self._agents), jnp.int32)
        return bool(self._step(key, inner, actions)[3]["__all__"])

    def _numbers(self) -> list[str]:
        """Names of the infos that are a number, or one for each agent."""

        def info(key: PRNGKeyArray) -> dict[str, Any]:
            inner, _ = self._reset(key)
            return self._step(key, inner, jnp.zeros(len(self._agents), jnp.int32))[4]

        told = cast(dict[str, Any], jax.eval_shape(info, jax.random.key(0)))
        sizes = {(), (1,), (len(self._agents),)}
        names = [name for name, x in told.items() if getattr(x, "shape", None) in sizes]
        wanted = self._config.info
        return sorted(names if wanted is None else [name for name in names if name in wanted])


def _flat(x: Any) -> Array:
    """Numbers of any shape in a row; flags become numbers."""
    row = jnp.asarray(x).reshape(-1)
    return row.astype(jnp.int8) if row.dtype == bool else row
