"""A batch of episodes sharded over devices: accelerators, or the cores of a CPU.

A core that is its own device works through its episodes without waiting for the others. XLA's
default, splitting each of the many small products of an update among all cores, takes a third more
time (measured on two cores).
"""

import functools
from collections.abc import Callable
from contextvars import ContextVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from macpo.machine import MAX_DEVICES, on_accelerator
from macpo.types import PyTree

MIN_EPISODES = 8
"""Minimum number of episodes per device; fewer are not worth the communication."""

_AXIS = "episodes"


def n_devices(batch_size: int) -> int:
    """The number of devices that share a batch of this size, all equally."""
    limit = min(jax.device_count(), batch_size // MIN_EPISODES, MAX_DEVICES)
    return max(n for n in range(1, max(limit, 1) + 1) if batch_size % n == 0)


def replicated(batch_size: int) -> NamedSharding:
    """The sharding of arrays that each of those devices holds in full."""
    return NamedSharding(_mesh(n_devices(batch_size)), PartitionSpec())


def compiler_options(batch_size: int) -> dict[str, bool | int]:
    """Options of `jax.jit` for those devices: a single thread each where they are cores."""
    if on_accelerator() or n_devices(batch_size) == 1:
        return {}
    return {"xla_cpu_multi_thread_eigen": False, "xla_cpu_prefer_vector_width": 512}


def on_devices_of(batch_size: int, fn: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """`fn`, within which all batches are shared by the devices of a batch of this size.

    A program runs on one set of devices, whatever other batches it maps over.
    """

    @functools.wraps(fn)
    def on_them(*args: PyTree) -> PyTree:
        token = _PROGRAM.set(n_devices(batch_size))
        try:
            return fn(*args)
        finally:
            _PROGRAM.reset(token)

    return on_them


_PROGRAM: ContextVar[int | None] = ContextVar("devices", default=None)
"""How many devices the program that is being traced runs on, where that is known."""


def map_over_devices(
    fn: Callable[[PyTree, PyTree], PyTree], constants: PyTree, batch: PyTree
) -> PyTree:
    """`fn(constants, batch)`, each device computing its share of the batch, if it has one.

    Leaves of the batch and of the result are [B, ...]. A share is every n-th episode, so that
    episodes sorted by length stay sorted and all devices have about the same work. Gradients reach
    the constants.
    """
    batch_size = jax.tree.leaves(batch)[0].shape[0]
    own = n_devices(batch_size)
    n = _PROGRAM.get() or own
    if 1 in (n, own) or batch_size % n:
        return fn(constants, batch)

    def share(constants: PyTree, batch: PyTree) -> PyTree:
        def own_share(x: Array) -> Array:
            return x.reshape(-1, n, *x.shape[1:])[:, jax.lax.axis_index(_AXIS)]

        def gathered(x: Array) -> Array:
            x = jax.lax.all_gather(x, _AXIS, axis=1)
            return x.reshape(batch_size, *x.shape[2:])

        return jax.tree.map(gathered, fn(constants, jax.tree.map(own_share, batch)))

    return jax.shard_map(
        share,
        mesh=_mesh(n),
        in_specs=PartitionSpec(),
        out_specs=PartitionSpec(),
        check_vma=False,  # the loops inside end when a device's own episodes do
    )(constants, batch)


def _mesh(n: int) -> Mesh:
    return Mesh(np.array(jax.devices()[:n]), (_AXIS,))
