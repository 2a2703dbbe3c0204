"""Environments along the last axis: each comparison is then one wide vector instruction."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from macpo.machine import on_accelerator
from macpo.types import PyTree


def env_axis_last(
    native: Callable[..., PyTree], max_envs: int | None = None
) -> Callable[..., PyTree]:
    """A function of one environment, from `native`, which maps arrays [..., E] to arrays [..., E].

    However many `vmap`s surround it, `native` runs once, with all batch axes merged into E. On a
    CPU it gets at most `max_envs` at a time, one block after another, so that what it computes
    stays in the processor's cache.
    """

    def in_blocks(*args: PyTree) -> PyTree:
        n_envs = jax.tree.leaves(args)[0].shape[-1]
        if max_envs is None or n_envs <= max_envs or on_accelerator():
            return native(*args)
        rows = jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), args)
        out = jax.lax.map(lambda env: one(*env), rows, batch_size=max_envs)
        return jax.tree.map(lambda x: jnp.moveaxis(x, 0, -1), out)

    call = jax.custom_batching.custom_vmap(in_blocks)

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
