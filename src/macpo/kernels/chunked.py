"""A function over the leading rows of an array, in chunks that stay in the processor's cache.

Mixers see every state of every episode: 25,728 rows of a full batch. The widest intermediate
array has one chunk's rows; the backward pass recomputes each chunk.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from macpo.kernels.packing import Packing
from macpo.machine import on_accelerator
from macpo.types import PyTree

CHUNK = 1024
"""Rows per chunk on a CPU."""
CHUNK_ON_ACCELERATOR = 16384


def map_rows(
    fn: Callable[[PyTree, PyTree, PyTree, PyTree], PyTree],
    nets: PyTree,
    frozen: PyTree,
    utilities: PyTree,
    context: PyTree,
    n_rows: Int[Array, ""],
) -> PyTree:
    """`fn(nets, frozen, utilities, context)` of at least the first `n_rows` rows; zeros elsewhere.

    Leaves of `utilities` and `context` are [P, ...]; `fn` gets [rows, ...] of them and returns
    leaves [rows, ...]. Gradients reach `nets` and `utilities`; the rest is constant.
    `fn` must be the same object in every call for compiled code to be shared.
    """
    return _map_rows(fn, nets, frozen, utilities, context, n_rows)


def map_states(
    fn: Callable[[PyTree, PyTree, PyTree, PyTree], PyTree],
    nets: PyTree,
    frozen: PyTree,
    utilities: PyTree,
    context: PyTree,
    packing: Packing,
) -> PyTree:
    """`map_rows` over the states of packed episodes: leaves [S, L, ...] in, [S, L, ...] out."""
    n_places, lanes = packing.filled.shape
    utilities, context = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), (utilities, context))
    out = map_rows(fn, nets, frozen, utilities, context, packing.n_places * lanes)
    return jax.tree.map(lambda x: x.reshape(n_places, lanes, *x.shape[1:]), out)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _map_rows(
    fn: Callable[..., PyTree],
    nets: PyTree,
    frozen: PyTree,
    utilities: PyTree,
    context: PyTree,
    n_rows: Array,
) -> PyTree:
    n = _height((utilities, context))
    size, n_chunks = _chunks(n, n_rows)

    def chunk(i: Array, out: PyTree) -> PyTree:
        value = fn(nets, frozen, _take(utilities, i, size), _take(context, i, size))
        return _put(out, value, i, size)

    one = jax.eval_shape(lambda: fn(nets, frozen, *_take((utilities, context), 0, size)))
    zeros = jax.tree.map(lambda s: jnp.zeros((n, *s.shape[1:]), s.dtype), one)
    return jax.lax.fori_loop(0, n_chunks, chunk, zeros)


def _forward(fn: Callable[..., PyTree], *args: PyTree) -> tuple[PyTree, tuple[PyTree, ...]]:
    return _map_rows(fn, *args), args


def _backward(
    fn: Callable[..., PyTree], args: tuple[PyTree, ...], d_out: PyTree
) -> tuple[PyTree, ...]:
    nets, frozen, utilities, context, n_rows = args
    n = _height((utilities, context))
    size, n_chunks = _chunks(n, n_rows)

    def chunk(i: Array, carry: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
        d_nets, d_utilities = carry
        chunk_context = _take(context, i, size)
        _, vjp = jax.vjp(
            lambda nets, utilities: fn(nets, frozen, utilities, chunk_context),
            nets,
            _take(utilities, i, size),
        )
        # the last chunk overlaps the one before it, whose rows must not count twice
        fresh = jnp.arange(size) >= i * size - _start(i, size, n)
        d_value = jax.tree.map(lambda d: jnp.where(_like(fresh, d), d, 0), _take(d_out, i, size))
        more_nets, more_utilities = vjp(d_value)
        kept = jax.tree.map(
            lambda new, old: jnp.where(_like(fresh, new), new, old),
            more_utilities,
            _take(d_utilities, i, size),
        )
        return jax.tree.map(jnp.add, d_nets, more_nets), _put(d_utilities, kept, i, size)

    zeros = jax.tree.map(jnp.zeros_like, (nets, utilities))
    d_nets, d_utilities = jax.lax.fori_loop(0, n_chunks, chunk, zeros)
    return d_nets, None, d_utilities, None, None


_map_rows.defvjp(_forward, _backward)


def _like(flags: Array, x: Array) -> Array:
    """One flag per row, shaped to broadcast against x."""
    return flags.reshape(-1, *[1] * (x.ndim - 1))


def _height(tree: PyTree) -> int:
    return jax.tree.leaves(tree)[0].shape[0]


def _chunks(n: int, n_rows: Array) -> tuple[int, Array]:
    """(rows in a chunk, chunks)."""
    size = CHUNK_ON_ACCELERATOR if on_accelerator() else CHUNK
    size = min(size, n)
    return size, -(-n_rows // size)


def _start(i: Array | int, size: int, n: int) -> Array:
    """First row of chunk i; the last chunk ends where the array does."""
    return jnp.minimum(i * size, n - size)


def _take(tree: PyTree, i: Array | int, size: int) -> PyTree:
    def rows(x: Array) -> Array:
        # gathered: XLA:CPU does not vectorise what it fuses with a slice at a dynamic index
        return x.at[_start(i, size, x.shape[0]) + jnp.arange(size)].get(
            mode="clip", wrap_negative_indices=False
        )

    return jax.tree.map(rows, tree)


def _put(tree: PyTree, values: PyTree, i: Array, size: int) -> PyTree:
    def rows(x: Array, v: Array) -> Array:
        start = _start(i, size, x.shape[0])
        return jax.lax.dynamic_update_slice_in_dim(x, v, start, 0, allow_negative_indices=False)

    return jax.tree.map(rows, tree, values)
