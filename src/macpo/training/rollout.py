"""Policy × environment → episodes, as one compiled loop."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.kernels.common_max import common_max
from macpo.kernels.rows import with_row
from macpo.types import Episodes, Observation, PyTree, Rollout, TimeStep, action_dtype

Act: TypeAlias = Callable[[PRNGKeyArray, PyTree, Observation, Array], tuple[PyTree, Array]]
"""(key, recurrent state, observation, last actions) → (recurrent state, actions), all batched."""


class _Carry(NamedTuple):
    t: Int[Array, ""]
    env_state: PyTree
    observation: Observation
    hidden: PyTree
    last_action: Int[Array, "B N"]
    over: Bool[Array, " B"]
    episodes: Episodes  # time-major
    outcome: dict[str, Array]


def collect(
    env: Environment,
    act: Act,
    hidden: PyTree,
    key: PRNGKeyArray,
    n_envs: int,
    keep_states: bool = True,
) -> Rollout:
    """One whole episode in each of `n_envs` parallel environments.

    The loop ends with the last of them. Without `keep_states` no encoded states are recorded (for
    evaluation).
    """
    spec = env.spec
    reset_key, step_key = jax.random.split(key)
    env_state, first = jax.vmap(env.reset)(jax.random.split(reset_key, n_envs))

    def record(state: PyTree) -> PyTree:
        return jax.vmap(env.encode)(state) if keep_states else ()

    def zeros(n: int, x: Array) -> Array:
        return jnp.zeros((n, *x.shape), x.dtype)

    limit, dtype = spec.episode_limit, action_dtype(spec.n_actions)
    encoded_state = record(env_state)
    episodes = Episodes(
        encoded_state=jax.tree.map(lambda x: zeros(limit + 1, x).at[0].set(x), encoded_state),
        actions=jnp.zeros((limit, n_envs, spec.n_agents), dtype),
        reward=jnp.zeros((limit, n_envs)),
        length=jnp.zeros(n_envs, jnp.int32),
        terminated=jnp.zeros(n_envs, bool),
    )

    def unfinished(c: _Carry) -> Array:
        return (c.t < limit) & (common_max((~c.over).any().astype(jnp.int32)) > 0)

    def step(c: _Carry) -> _Carry:
        act_key, env_key = jax.random.split(jax.random.fold_in(step_key, c.t))
        hidden, actions = act(act_key, c.hidden, c.observation, c.last_action)
        env_state, after = jax.vmap(env.step)(
            jax.random.split(env_key, n_envs), c.env_state, actions
        )
        return _Carry(
            t=c.t + 1,
            env_state=env_state,
            observation=after.observation,
            hidden=hidden,
            last_action=actions,
            over=c.over | after.terminated | after.truncated,
            episodes=_append(c, actions, record(env_state), after, spec.truncation_is_terminal),
            outcome=jax.tree.map(
                lambda old, new: _where_running(c, new, old), c.outcome, after.info
            ),
        )

    no_actions = jnp.full((n_envs, spec.n_agents), -1, dtype)
    start = _Carry(
        jnp.zeros((), jnp.int32),
        env_state,
        first.observation,
        hidden,
        no_actions,
        jnp.zeros(n_envs, bool),
        episodes,
        first.info,
    )
    end = jax.lax.while_loop(unfinished, step, start)
    done = end.episodes
    time_major = (done.encoded_state, done.actions, done.reward)
    encoded_state, actions, reward = jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), time_major)
    return Rollout(
        done._replace(encoded_state=encoded_state, actions=actions, reward=reward), end.outcome
    )


def _append(
    c: _Carry, actions: Array, encoded_state: PyTree, after: TimeStep, truncation_is_terminal: bool
) -> Episodes:
    """The episodes with one more transition each; those that are over keep their zeros."""

    def put(old: Array, new: Array, t: Array) -> Array:
        return with_row(old, _where_running(c, new, jnp.zeros_like(new)), t)

    end = after.terminated | (after.truncated & truncation_is_terminal)
    return Episodes(
        encoded_state=jax.tree.map(
            lambda old, new: put(old, new, c.t + 1), c.episodes.encoded_state, encoded_state
        ),
        actions=put(c.episodes.actions, actions, c.t),
        reward=put(c.episodes.reward, after.reward, c.t),
        length=c.episodes.length + ~c.over,
        terminated=c.episodes.terminated | (end & ~c.over),
    )


def _where_running(c: _Carry, new: Array, otherwise: Array) -> Array:
    """New values for episodes that are not over, `otherwise` for the rest."""
    running = ~c.over.reshape(-1, *[1] * (new.ndim - 1))
    return jnp.where(running, new, otherwise)
