"""Action selection: the only argmax and softmax over actions, always over available ones."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.types import action_dtype


def greedy(q: Float[Array, "*B A"], avail_actions: Bool[Array, "*B A"]) -> Int[Array, "*B"]:
    """The available action with the largest value; ties go to the lowest index."""
    q = jax.lax.stop_gradient(jnp.where(avail_actions, q, -jnp.inf))
    return _first(q == q.max(-1, keepdims=True))


def _first(flags: Bool[Array, "*B A"]) -> Int[Array, "*B"]:
    """Index of the first flag that is set; by a minimum, which XLA vectorises, unlike argmax."""
    n_actions = flags.shape[-1]
    dtype = action_dtype(n_actions)
    return jnp.where(flags, jnp.arange(n_actions, dtype=dtype), dtype(n_actions - 1)).min(-1)


def epsilon_greedy(
    key: PRNGKeyArray,
    q: Float[Array, "*B A"],
    avail_actions: Bool[Array, "*B A"],
    epsilon: Float[Array, ""],
) -> Int[Array, "*B"]:
    """Each agent's greedy action, or with probability epsilon a uniformly random available one."""
    u = jax.random.uniform(key, (2, *q.shape[:-1]))
    n_available = avail_actions.sum(-1)
    ordinal = jnp.floor(u[0] * n_available).astype(jnp.int32)
    # the ordinal-th available action is where the running count first exceeds it
    count = jnp.cumsum(avail_actions, -1)
    random = _first(count > ordinal[..., None])
    return jnp.where(u[1] < epsilon, random, greedy(q, avail_actions))


IMPOSSIBLE = -1e30
"""Log-probability of an unavailable action: its exp is exactly 0, and 0 times it is not NaN."""


def possible_actions(avail_actions: Bool[Array, "*B A"]) -> Bool[Array, "*B A"]:
    """The available actions; all actions where none is available (padding)."""
    return avail_actions | ~avail_actions.any(-1, keepdims=True)


def log_policy(
    logits: Float[Array, "*B A"], avail_actions: Bool[Array, "*B A"]
) -> Float[Array, "*B A"]:
    """log π over the available actions; over all where none is available (padding)."""
    possible = possible_actions(avail_actions)
    log_pi = jax.nn.log_softmax(jnp.where(possible, logits, IMPOSSIBLE))
    return jnp.where(possible, log_pi, IMPOSSIBLE)


def mix_with_uniform(
    log_pi: Float[Array, "*B A"], avail_actions: Bool[Array, "*B A"], epsilon: Float[Array, ""]
) -> Float[Array, "*B A"]:
    """log of (1 − ε) π + ε / n, where n is the number of available actions."""
    floor = epsilon / jnp.maximum(avail_actions.sum(-1, keepdims=True), 1)
    mixed = jnp.where(avail_actions, (1 - epsilon) * jnp.exp(log_pi) + floor, 1.0)
    # the smallest normal number where both terms are 0
    log_mixed = jnp.log(jnp.maximum(mixed, jnp.finfo(mixed.dtype).tiny))
    return jnp.where(avail_actions, log_mixed, log_pi)


def sample_actions(
    key: PRNGKeyArray, log_pi: Float[Array, "*B A"], avail_actions: Bool[Array, "*B A"]
) -> Int[Array, "*B"]:
    """An available action of each agent, drawn from its policy."""
    return greedy(log_pi + jax.random.gumbel(key, log_pi.shape), avail_actions)


def gather_actions(q: Float[Array, "*B A"], actions: Int[Array, "*B"]) -> Float[Array, "*B"]:
    """Each agent's value of the action taken; by comparison, since indexing's gradient scatters."""
    chosen = actions[..., None] == jnp.arange(q.shape[-1], dtype=actions.dtype)
    return jnp.where(chosen, q, 0.0).sum(-1)
