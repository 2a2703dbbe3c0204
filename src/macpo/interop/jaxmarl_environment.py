"""A JaxMARL environment as an `Environment` of macpo."""

from collections.abc import Mapping
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from macpo.envs.base import Environment, first_step, mean_of_known
from macpo.envs.host import availability
from macpo.interop.adapters import common
from macpo.interop.factory import FactoryConfig
from macpo.interop.padding import padded
from macpo.types import Observation, PyTree, Spec, TimeStep, Untyped


class State(NamedTuple):
    """The environment's own state, the time, the observation, and how the episode has ended."""

    inner: PyTree
    t: Int[Array, "*B"]
    observation: Observation
    terminated: Bool[Array, "*B"]
    truncated: Bool[Array, "*B"]


class JaxMarl(Environment):
    """A JaxMARL environment; `macpo.interop.adapters.jaxmarl` says how it is mapped."""

    def __init__(self, env: Untyped, config: FactoryConfig) -> None:
        self._env, self._config = env, config
        self._agents: list[str] = list(env.agents)
        self._n_actions = [
            common.n_actions(config, agent, env.action_space(agent)) for agent in self._agents
        ]
        own = common.own_limit(config, env)
        limit = common.episode_limit(config, own)
        self._done_at_limit = limit == own and self._is_done_at(limit)
        self._masks = self._has_masks()
        observation = jax.eval_shape(lambda key: self._reset(key)[1], jax.random.key(0))
        self.spec = Spec(
            name=config.name,
            n_agents=len(self._agents),
            n_actions=max(self._n_actions),
            obs_size=observation.obs.shape[-1],
            state_size=observation.state.shape[-1],
            episode_limit=limit,
            truncation_is_terminal=bool(config.truncation_is_terminal),
        )
        self._info_names = tuple(self._find_info_names())

    def reset(self, key: PRNGKeyArray) -> tuple[State, TimeStep]:
        """Start an episode."""
        inner, observation = self._reset(key)
        info = {name: jnp.zeros((), jnp.float32) for name in self._info_names}
        first = first_step(observation, **info)
        t = jnp.zeros((), jnp.int32)
        return State(inner, t, observation, first.terminated, first.truncated), first

    def step(
        self, key: PRNGKeyArray, state: State, actions: Int[Array, " N"]
    ) -> tuple[State, TimeStep]:
        """One env step of `step_env`."""
        obs, inner, rewards, dones, info = self._step(key, state.inner, actions)
        observation = self._observation(obs, inner)
        reward = jnp.stack([jnp.asarray(rewards[agent]).reshape(()) for agent in self._agents])
        combine = jnp.sum if self._config.team_reward == "sum" else jnp.mean
        t = state.t + 1
        out_of_time = t >= self.spec.episode_limit
        done = jnp.asarray(dones["__all__"], bool)
        if self._done_at_limit:  # at the limit, `done` says nothing about a true end
            done &= ~out_of_time
        # some environments continue after their end
        terminated = state.terminated | (done & ~state.truncated)
        truncated = (state.truncated | out_of_time) & ~terminated
        info = {name: mean_of_known(info[name]) for name in self._info_names}
        reward = combine(reward).astype(jnp.float32)
        after = State(inner, t, observation, terminated, truncated)
        return after, TimeStep(observation, reward, terminated, truncated, info)

    def observe(self, state: State) -> Observation:
        """The observation of the last step."""
        return state.observation

    def _reset(self, key: PRNGKeyArray) -> tuple[PyTree, Observation]:
        obs, inner = self._env.reset(key)
        return inner, self._observation(obs, inner)

    def _step(self, key: PRNGKeyArray, inner: PyTree, actions: Array) -> Untyped:
        chosen = {agent: actions[i].astype(jnp.int32) for i, agent in enumerate(self._agents)}
        return self._env.step_env(key, inner, chosen)

    def _observation(self, obs: Mapping[str, Array], inner: PyTree) -> Observation:
        rows = padded([_flat(obs[agent]) for agent in self._agents])
        state = _flat(obs["world_state"]) if "world_state" in obs else rows.reshape(-1)
        if self._masks:
            masks = self._env.get_avail_actions(inner)
            avail = [jnp.asarray(masks[agent]).reshape(-1) != 0 for agent in self._agents]
        else:
            avail = [jnp.ones(n, bool) for n in self._n_actions]
        return Observation(rows, state, padded(avail))

    def _has_masks(self) -> bool:
        if not hasattr(self._env, "get_avail_actions"):
            return False
        try:
            masks = self._env.get_avail_actions(self._env.reset(jax.random.key(0))[1])
        except NotImplementedError:  # the base class raises it
            return False
        for agent, n in zip(self._agents, self._n_actions, strict=True):
            mask = availability(masks[agent])  # in a compiled program numbers cannot be looked at
            what = f"agent {agent!r} has a mask of"
            common.check_size(self._config, what, mask.size, range(n, n + 1))
        return True

    def _is_done_at(self, limit: int) -> bool:
        """Whether the environment is done in step `limit`; MPE and SMAX are in the one after."""
        key = jax.random.key(0)
        _, inner = self._env.reset(key)

        def set_time(path: tuple[Untyped, ...], leaf: Array) -> Array:
            counts = getattr(path[-1], "name", None) == "step"
            return jnp.full_like(leaf, limit - 1) if counts else leaf

        inner = jax.tree_util.tree_map_with_path(set_time, inner)
        actions = jnp.zeros(len(self._agents), jnp.int32)
        return bool(self._step(key, inner, actions)[3]["__all__"])

    def _find_info_names(self) -> list[str]:
        """Names in `info` of single numbers and of arrays with one number per agent."""

        def info(key: PRNGKeyArray) -> dict[str, Untyped]:
            inner, _ = self._reset(key)
            return self._step(key, inner, jnp.zeros(len(self._agents), jnp.int32))[4]

        shapes = cast(dict[str, Untyped], jax.eval_shape(info, jax.random.key(0)))
        sizes = {(), (1,), (len(self._agents),)}
        names = [name for name, x in shapes.items() if getattr(x, "shape", None) in sizes]
        wanted = self._config.info
        return sorted(names if wanted is None else [name for name in names if name in wanted])


def _flat(x: Untyped) -> Array:
    """Numbers of any shape as one vector; flags become int8."""
    row = jnp.asarray(x).reshape(-1)
    return row.astype(jnp.int8) if row.dtype == bool else row
