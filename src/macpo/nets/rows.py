"""A function over the valid rows of a batch, in chunks that stay in the processor's cache.

Mixers see every state of every episode: 25,728 rows of a full batch, or a quarter of them when
episodes are short. Rows are gathered a chunk at a time, so that padding costs nothing and the
widest intermediate array is a chunk high; the backward pass computes each chunk again.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from macpo.nets.batching import common_max
from macpo.types import PyTree

CHUNK = 1280


def map_rows(
    fn: Callable[[PyTree, PyTree, PyTree, PyTree], PyTree],
    nets: PyTree,
    frozen: PyTree,
    utilities: PyTree,
    context: PyTree,
    valid: Bool[Array, " P"],
) -> PyTree:
    """`fn(nets, frozen, utilities, context)` where `valid`, zeros elsewhere.

    Leaves of `utilities` and `context` are [P, ...]; `fn` sees [rows, ...] of them and returns
    leaves [rows]. Gradients reach `nets` and `utilities`; `frozen` and `context` are constants.
    `fn` must be the same object in every call for compiled code to be shared.
    """
    n = valid.shape[0]
    padded = -(-n // CHUNK) * CHUNK
    index = jnp.nonzero(valid, size=padded, fill_value=n)[0].astype(jnp.int32)
    n_chunks = common_max(-(-valid.sum() // CHUNK))
    return _map_rows(fn, nets, frozen, utilities, context, index, n_chunks)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _map_rows(
    fn: Callable[..., PyTree],
    nets: PyTree,
    frozen: PyTree,
    utilities: PyTree,
    context: PyTree,
    index: Int[Array, " padded"],
    n_chunks: Int[Array, ""],
) -> PyTree:
    n = jax.tree.leaves(utilities)[0].shape[0]

    def chunk(i: Array, out: PyTree) -> PyTree:
        rows, source = _chunk_of(index, i, n)
        value = fn(nets, frozen, _gather(utilities, source), _gather(context, source))
        return _scatter(out, value, rows)

    shape = jax.eval_shape(
        lambda: fn(nets, frozen, _gather(utilities, index[:1]), _gather(context, index[:1]))
    )
    zeros = jax.tree.map(lambda s: jnp.zeros((n, *s.shape[1:]), s.dtype), shape)
    return jax.lax.fori_loop(0, n_chunks, chunk, zeros)


def _forward(fn: Callable[..., PyTree], *args: Any) -> tuple[PyTree, tuple[Any, ...]]:
    return _map_rows(fn, *args), args


def _backward(fn: Callable[..., PyTree], args: tuple[Any, ...], d_out: PyTree) -> tuple[Any, ...]:
    nets, frozen, utilities, context, index, n_chunks = args
    n = jax.tree.leaves(utilities)[0].shape[0]

    def chunk(i: Array, carry: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        d_nets, d_utilities = carry
        rows, source = _chunk_of(index, i, n)
        seen = _gather(context, source)
        _, vjp = jax.vjp(
            lambda nets, utilities: fn(nets, frozen, utilities, seen),
            nets,
            _gather(utilities, source),
        )
        # the copies that fill the last chunk must not be learned from
        d_value = jax.tree.map(lambda d: jnp.where(rows < n, d, 0), _gather(d_out, source))
        more_nets, more_utilities = vjp(d_value)
        return jax.tree.map(jnp.add, d_nets, more_nets), _scatter(d_utilities, more_utilities, rows)

    zeros = jax.tree.map(jnp.zeros_like, (nets, utilities))
    d_nets, d_utilities = jax.lax.fori_loop(0, n_chunks, chunk, zeros)
    return d_nets, None, d_utilities, None, None, None


_map_rows.defvjp(_forward, _backward)


def _chunk_of(index: Int[Array, " padded"], i: Array, n: int) -> tuple[Array, Array]:
    """(rows to write, n where there is none left; rows to read, then a copy of the first)."""
    rows = jax.lax.dynamic_slice_in_dim(index, i * CHUNK, CHUNK)
    return rows, jnp.where(rows < n, rows, index[0])


def _gather(tree: PyTree, rows: Int[Array, " rows"]) -> PyTree:
    return jax.tree.map(lambda x: x.at[rows].get(mode="clip"), tree)


def _scatter(tree: PyTree, values: PyTree, rows: Int[Array, " rows"]) -> PyTree:
    return jax.tree.map(lambda x, v: x.at[rows].set(v, mode="drop"), tree, values)
