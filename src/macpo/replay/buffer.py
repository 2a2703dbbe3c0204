"""The replay buffer: a ring buffer of whole episodes in device memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PRNGKeyArray

from macpo.envs.base import Environment, tree_bytes
from macpo.types import Episodes, action_dtype


class ReplayBuffer(NamedTuple):
    """The last `capacity` episodes; row `n_added % capacity` is written next."""

    episodes: Episodes
    n_added: Int[Array, ""]


def init(env: Environment, capacity: int) -> ReplayBuffer:
    """An empty buffer."""
    spec, limit = env.spec, env.spec.episode_limit
    state = jax.eval_shape(lambda: env.encode(env.reset(jax.random.key(0))[0]))
    episodes = Episodes(
        encoded_state=jax.tree.map(
            lambda s: jnp.zeros((capacity, limit + 1, *s.shape), s.dtype), state
        ),
        actions=jnp.zeros((capacity, limit, spec.n_agents), action_dtype(spec.n_actions)),
        reward=jnp.zeros((capacity, limit)),
        length=jnp.zeros(capacity, jnp.int32),
        terminated=jnp.zeros(capacity, bool),
    )
    return ReplayBuffer(episodes, jnp.zeros((), jnp.int32))


def planned_bytes(env: Environment, capacity: int) -> int:
    """Bytes that `init` will allocate."""
    return tree_bytes(jax.eval_shape(lambda: init(env, capacity)))


def add(buffer: ReplayBuffer, episodes: Episodes) -> ReplayBuffer:
    """The buffer with these episodes in place of the oldest."""
    rows = next_rows(buffer, episodes)
    updated = jax.tree.map(
        lambda old, new: old.at[rows].set(new, unique_indices=True), buffer.episodes, episodes
    )
    return ReplayBuffer(updated, buffer.n_added + rows.size)


def next_rows(buffer: ReplayBuffer, episodes: Episodes) -> Int[Array, " n"]:
    """The rows that `add` writes these episodes to."""
    capacity, n = buffer.episodes.length.shape[0], episodes.length.shape[0]
    return (buffer.n_added + jnp.arange(n)) % capacity


def sample(
    key: PRNGKeyArray, buffer: ReplayBuffer, batch_size: int, newest: int | None = None
) -> Episodes:
    """Distinct episodes drawn uniformly, longest first; with `newest`, from that many newest ones.

    Undefined while the buffer holds fewer than `batch_size` episodes.
    """
    rows = uniform_rows(key, buffer, batch_size, newest)
    return take(buffer, rows[longest_first(buffer, rows)])


def uniform_rows(
    key: PRNGKeyArray, buffer: ReplayBuffer, batch_size: int, newest: int | None = None
) -> Int[Array, " B"]:
    """Rows of distinct episodes, all equally likely; see `sample`."""
    capacity = buffer.episodes.length.shape[0]
    age = (buffer.n_added - 1 - jnp.arange(capacity)) % capacity  # 0 for the last one added
    eligible = age < jnp.minimum(buffer.n_added, newest or capacity)
    ticket = jnp.where(eligible, jax.random.uniform(key, (capacity,)), -1.0)
    return jax.lax.top_k(ticket, batch_size)[1]


def longest_first(buffer: ReplayBuffer, rows: Int[Array, " B"]) -> Int[Array, " B"]:
    """The order of rows, longest episode first, that `kernels.packing` packs best."""
    return jnp.argsort(-buffer.episodes.length[rows])


def take(buffer: ReplayBuffer, rows: Int[Array, " B"]) -> Episodes:
    """The episodes in these rows."""
    return jax.tree.map(lambda x: x[rows], buffer.episodes)
