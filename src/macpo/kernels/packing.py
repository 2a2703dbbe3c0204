"""Packing: episodes of different lengths laid end to end on a few lanes, without padding.

The number of lanes is the number of episodes in one step of a recurrent network: on a CPU as many
as fit into a core's cache, on an accelerator all of them. The longest lane is then hardly longer
than the average one, and work is proportional to the states that exist.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Shaped

from macpo.kernels.common_max import common_max
from macpo.machine import on_accelerator

LANES = 16
"""Maximum number of lanes on a CPU."""


class Packing(NamedTuple):
    """The places of a batch's states: L lanes of S places, each filled from its start."""

    filled: Bool[Array, "S L"]
    """Whether this place holds a state."""
    first: Bool[Array, "S L"]
    """Whether that state starts an episode."""
    source: Int[Array, "S L"]
    """Index of that state, episode · (T+1) + t; 0 in empty places."""
    exists: Bool[Array, "B Tp1"]
    """Whether the episode has this state."""
    place: Int[Array, "B Tp1"]
    """Where the state is, place · L + lane; 0 for states that do not exist."""
    n_places: Int[Array, ""]
    """Number of places filled on the longest lane."""


def plan(length: Int[Array, " B"], n_states: int) -> Packing:
    """The packing of episodes of `length` transitions, or length + 1 ≤ `n_states` states.

    Each episode in turn goes to the shortest lane so far, which works best with longest first.
    """
    batch = length.shape[0]
    lanes = n_lanes(batch)
    if lanes == batch:
        lane, start, load = jnp.arange(batch), jnp.zeros_like(length), length + 1
    else:
        # there is always a lane with fewer than batch / lanes episodes, so every episode fits

        def put(load: Array, size: Array) -> tuple[Array, tuple[Array, Array]]:
            lane = jnp.argmin(load)
            return load.at[lane].add(size), (lane, load[lane])

        load, (lane, start) = jax.lax.scan(put, jnp.zeros(lanes, length.dtype), length + 1)

    t = jnp.arange(n_states)
    exists = t <= length[:, None]
    place = jnp.where(exists, (start[:, None] + t) * lanes + lane[:, None], 0)

    t = jnp.arange(batch // lanes * n_states)[:, None, None] - start  # [S, 1, B]
    here = (lane == jnp.arange(lanes)[:, None]) & (t >= 0) & (t <= length)  # [S, L, B]
    return Packing(
        filled=here.any(-1),
        first=(here & (t == 0)).any(-1),
        source=jnp.where(here, jnp.arange(batch) * n_states + t, 0).sum(-1),
        exists=exists,
        place=place,
        n_places=common_max(load.max()),
    )


def n_lanes(batch: int) -> int:
    """The number of lanes for a batch of this many episodes, which it divides."""
    if on_accelerator():
        return batch
    return max(n for n in range(1, LANES + 1) if batch % n == 0)


def pack(packing: Packing, x: Shaped[Array, "B Tp1 *X"]) -> Shaped[Array, "S L *X"]:
    """Every state in its place; empty places repeat the batch's first state. No gradient."""
    return _rows(jax.lax.stop_gradient(x), packing.source)


@jax.custom_vjp
def unpack(packing: Packing, x: Shaped[Array, "S L *X"]) -> Shaped[Array, "B Tp1 *X"]:
    """The inverse of `pack`: zeros for states that do not exist, whatever empty places hold."""
    return _select(packing.exists, _rows(x, packing.place))


def _unpack_forward(packing: Packing, x: Array) -> tuple[Array, Packing]:
    return unpack(packing, x), packing


def _unpack_backward(packing: Packing, d_out: Array) -> tuple[None, Array]:
    # a gather as well, where JAX's own gradient would scatter
    return None, _select(packing.filled, _rows(d_out, packing.source))


unpack.defvjp(_unpack_forward, _unpack_backward)


def _rows(x: Array, index: Int[Array, "P Q"]) -> Array:
    """x[index], with the first two axes of x merged."""
    return x.reshape(-1, *x.shape[2:])[index]


def _select(flags: Bool[Array, "P Q"], x: Array) -> Array:
    return jnp.where(flags.reshape(*flags.shape, *[1] * (x.ndim - 2)), x, jnp.zeros((), x.dtype))
