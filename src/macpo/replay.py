"""The replay buffer: a ring of whole episodes in device memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from macpo.envs.base import Environment, tree_bytes
from macpo.types import Episodes, Key


class Ring(NamedTuple):
    """The last `capacity` episodes; row `n_added % capacity` is written next."""

    episodes: Episodes
    n_added: Int[Array, ""]


def empty(env: Environment, capacity: int) -> Ring:
    """A ring without episodes."""
    spec, limit = env.spec, env.spec.episode_limit
    state = jax.eval_shape(lambda: env.remember(env.reset(jax.random.key(0))[0]))
    episodes = Episodes(
        memory=jax.tree.map(lambda s: jnp.zeros((capacity, limit + 1, *s.shape), s.dtype), state),
        actions=jnp.zeros((capacity, limit, spec.n_agents), jnp.int8),
        reward=jnp.zeros((capacity, limit)),
        length=jnp.zeros(capacity, jnp.int32),
        terminated=jnp.zeros(capacity, bool),
    )
    return Ring(episodes, jnp.zeros((), jnp.int32))


def planned_bytes(env: Environment, capacity: int) -> int:
    """Bytes that `empty` will allocate."""
    return tree_bytes(jax.eval_shape(lambda: empty(env, capacity)))


def add(ring: Ring, episodes: Episodes) -> Ring:
    """The ring with these episodes in place of the oldest."""
    capacity, n = ring.episodes.length.shape[0], episodes.length.shape[0]
    rows = (ring.n_added + jnp.arange(n)) % capacity
    stored = jax.tree.map(
        lambda old, new: old.at[rows].set(new, unique_indices=True), ring.episodes, episodes
    )
    return Ring(stored, ring.n_added + n)


def sample(key: Key, ring: Ring, batch_size: int) -> Episodes:
    """Different episodes, uniformly, sorted from longest to shortest (see `nets.unroll`).

    Meaningless before `batch_size` episodes are in.
    """
    capacity = ring.episodes.length.shape[0]
    ticket = jax.random.uniform(key, (capacity,))
    ticket = jnp.where(jnp.arange(capacity) < ring.n_added, ticket, -1.0)
    rows = jax.lax.top_k(ticket, batch_size)[1]
    rows = rows[jnp.argsort(-ring.episodes.length[rows])]
    return jax.tree.map(lambda x: x[rows], ring.episodes)
