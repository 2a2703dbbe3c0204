"""Who sees whom in SMACv2: conic fields of view, and enemies that only some agents may observe."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from macpo.envs.smac_jax.features import Units, distances
from macpo.envs.smacv2_jax.tasks import N_VIEWS

NO_OWNER = -1
VIEWS = np.stack([f(2 * np.pi * np.arange(N_VIEWS) / N_VIEWS) for f in (np.cos, np.sin)], 1).astype(
    np.float32
)
"""[N_VIEWS, 2] the directions in which an agent can look; the first is east."""
_HALF_WIDTH = np.pi / N_VIEWS
_STEEP = 1e-7


def in_cone(units: Units, views: Int[Array, " N"], cells: Float[Array, " N"]) -> Bool[Array, "N U"]:
    """Which places are in each agent's field of view, and not more than so many cells away.

    SMACv2 compares arctangents of slopes, for which a view that points away from the side (west or
    east) on which a place lies counts as one straight up or down.
    """
    n = len(views)
    x, y = units.x - units.x[:n, None], units.y - units.y[:n, None]
    east = x > 0
    view_x, view_y = (jnp.asarray(VIEWS)[views, k][:, None] for k in (0, 1))

    def slope(x: Array, y: Array) -> Array:
        x = jnp.where(east, jnp.maximum(x, _STEEP), jnp.minimum(x, -_STEEP))
        return jnp.arctan(y / x)

    near = distances(units, n) <= cells[:, None]
    return near & (jnp.abs(slope(x, y) - slope(view_x, view_y)) < _HALF_WIDTH)


class Memory(NamedTuple):
    """Which agents may observe which enemies."""

    owner: Int[Array, "*B E"]
    """The agent that sighted the enemy first, or `NO_OWNER`."""
    marks: Bool[Array, "*B E N"]
    """Whether the agent may observe the enemy."""
    shown: Bool[Array, "*B N E"]
    """Whether the agent's present observation shows the enemy."""


def nothing_seen(n: int, e: int) -> Memory:
    """The memory before the first observation."""
    return Memory(jnp.full(e, NO_OWNER, jnp.int8), jnp.zeros((e, n), bool), jnp.zeros((n, e), bool))


def forget(memory: Memory, alive: Bool[Array, " U"]) -> Memory:
    """Nobody owns a dead enemy, nor one whose owner has died."""
    n = memory.marks.shape[1]
    agents = jnp.arange(n)
    owns = (memory.owner[:, None] == agents) & alive[:n]
    kept = alive[n:] & owns.any(1)
    return memory._replace(
        owner=jnp.where(kept, memory.owner, NO_OWNER),
        marks=memory.marks & kept[:, None] & alive[:n],
    )


def look(
    memory: Memory,
    sights: Bool[Array, "N E"],
    living: Bool[Array, " E"],
    turn: Int[Array, " N"],
    told: Bool[Array, "E N"],
    blanks: bool,
) -> Memory:
    """The memory once the agents have looked, each in its `turn`.

    `sights` is whether an agent lives and an enemy's last place is in its field of view. Who sights
    an enemy without an owner becomes its owner, and the agents that are `told` may observe it, too:
    from then on, so that an agent whose turn was before does not see it yet.

    If the switch is on, an enemy that an agent may not observe `blanks` all with lower numbers, as
    in SMACv2 (its issue 50).
    """
    n = len(sights)
    when = jnp.where(sights, turn[:, None], n)  # [N, E]
    first = when.min(0)
    new = (memory.owner == NO_OWNER) & (first < n)
    is_first = (when == first).T  # [E, N]
    owner = jnp.where(new, when.argmin(0), memory.owner).astype(memory.owner.dtype)
    marks = memory.marks | (new[:, None] & (is_first | told))
    may = jnp.where(new[:, None] & (turn < first[:, None]), memory.marks, marks).T  # [N, E]
    shown = may & sights & living
    if blanks:
        later = jnp.flip(jnp.cumsum(jnp.flip(~may, 1), 1), 1)  # enemies from this one on
        shown &= later == 0
    return Memory(owner, marks, shown)
