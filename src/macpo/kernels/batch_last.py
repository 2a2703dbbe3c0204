"""Environments along the last axis: each comparison is then one wide vector instruction.

And what XLA must be told on CPUs so that it stays so.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

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


def env_axis_first(native: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """`native`, which maps arrays [..., E] to arrays [..., E], called for each environment apart.

    It gets arrays [..., 1] under a `vmap`, so that vectors run along the axis before. That takes
    half the time where this axis is long and there are few environments. Arrays that all of them
    share are [..., 1].
    """

    def alone(*arrays: Array) -> PyTree:
        columns = (materialised(x) if x.ndim == 1 else x for x in arrays)
        return jax.tree.map(lambda x: x[..., 0], native(*(x[..., None] for x in columns)))

    def call(*arrays: Array) -> PyTree:
        n_envs = max(x.shape[-1] for x in arrays)
        axes = [-1 if x.shape[-1] == n_envs else None for x in arrays]
        own = (x[..., 0] if axis is None else x for x, axis in zip(arrays, axes, strict=True))
        return jax.vmap(alone, axes, -1)(*own)

    return call


def materialised(x: Array) -> Array:
    """x, which is finite, in memory before it is read, so that XLA computes it once.

    XLA would recompute a cheap [U, E] in every kernel that reads it, for pairs U times over: on
    CPUs that took two thirds of a step of battles. It does not recompute the result of a sum.
    """
    if x.dtype == bool:
        return materialised(x.astype(np.int8)) > 0
    return (x * np.array([1, 0], x.dtype).reshape(2, *(1,) * x.ndim)).sum(0, dtype=x.dtype)


def sums_over_others(
    x: Float[Array, "U U E"], y: Float[Array, "U U E"]
) -> tuple[Float[Array, "U E"], Float[Array, "U E"]]:
    """The sums of x and of y over the second axis, in one pass.

    Two sums would each compute again all that x and y have in common. For one environment they are
    products with ones: XLA computes all terms as vectors then, but those of a sum one by one.
    """
    if x.shape[-1] > 1 or on_accelerator():
        zero = jnp.zeros((), x.dtype)
        return jax.lax.reduce((x, y), (zero, zero), lambda a, b: (a[0] + b[0], a[1] + b[1]), (1,))
    sums = jnp.stack([x[..., 0], y[..., 0]]) @ np.ones(x.shape[1], x.dtype)
    return sums[0, :, None], sums[1, :, None]
