"""Environments along the last axis: each comparison is then one wide vector instruction."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from macpo.types import PyTree


def env_axis_last(native: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """A function of one environment, from `native`, which maps arrays [..., E] to arrays [..., E].

    However many `vmap`s surround it, `native` runs once, with all batch axes merged into E.
    """
    call = jax.custom_batching.custom_vmap(native)

    @call.def_vmap
    def _rule(axis_size: int, in_batched: list[PyTree], *args: PyTree) -> tuple[PyTree, PyTree]:
        def join(x: Array, batched: bool) -> Array:
            x = x if batched else jnp.broadcast_to(x, (axis_size, *x.shape))
            return jnp.moveaxis(x, 0, -2).reshape(*x.shape[1:-1], -1)

        def split(x: Array) -> Array:
            return jnp.moveaxis(x.reshape(*x.shape[:-1], axis_size, -1), -2, 0)

        out = jax.tree.map(split, call(*jax.tree.map(join, args, tuple(in_batched))))
        return out, jax.tree.map(lambda _: True, out)

    def one(*args: PyTree) -> PyTree:
        alone = jax.tree.map(lambda x: x[..., None], args)
        return jax.tree.map(lambda x: x[..., 0], call(*alone))

    return one
