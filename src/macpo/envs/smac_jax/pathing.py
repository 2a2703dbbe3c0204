"""How units keep to the ground of their map: walls in their way, and the ways around them."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from macpo.envs.smac_jax.grounds import SIZE
from macpo.envs.smac_jax.roster import Roster
from macpo.envs.smac_jax.terrain import (
    CELLS,
    STRAIGHT,
    Stretches,
    cell_of,
    free,
    routes,
    stretches,
)

_EDGE = 1e-5  # cells by which a unit stays within its stretch: float32 can tell them apart at SIZE


class Terrain:
    """The ground of one map for the units on it; arrays are [U, E]."""

    def __init__(
        self,
        cells: tuple[str, ...],
        units: Roster,
        margin: Float[np.ndarray, "U 1"],
        guided: bool = True,
    ) -> None:
        """`margin` is how far units keep off walls; unless `guided`, they walk straight at them."""
        grounds = free(cells), free(cells, over_cliffs=True), np.ones((SIZE, SIZE), bool)
        tables = zip(*map(stretches, grounds), strict=True)
        self._stretches = Stretches(*map(np.concatenate, tables))
        which = np.where(units.flies, 2, units.strides).astype(np.int32)
        self._ground = jnp.asarray(CELLS * which)
        """Where each unit's ground begins in those tables."""
        self._on_foot, self._margin = which == 0, margin
        self._routes = routes(cells) if guided else None

    def stretch(self, x: Array, y: Array) -> tuple[Array, Array, Array, Array]:
        """Where the free row and the free column of each unit end: west, east, south, north."""
        return *self._ends(0, x, y), *self._ends(2, x, y)

    def within(
        self, x: Array, y: Array, to_x: Array, to_y: Array
    ) -> tuple[Float[Array, "U E"], Float[Array, "U E"]]:
        """Where units come that are at x, y and head for to_x, to_y: along a wall in the way.

        They keep off the ends of their row and column; who is nearer already comes no nearer.
        """
        west, east = self._ends(0, x, y)
        to_x = self._between(west, east, x, to_x)
        south, north = self._ends(2, to_x, y)
        return to_x, self._between(south, north, y, to_y)

    def _ends(self, axis: int, x: Array, y: Array) -> tuple[Array, Array]:
        cell = self._ground + cell_of(x, y)
        low, high = (_looked_up(table, cell) for table in self._stretches[axis : axis + 2])
        return low, high

    def _between(self, low: Array, high: Array, at: Array, to: Array) -> Array:
        room = jnp.minimum(self._margin, (high - low) / 2)
        return jnp.clip(to, jnp.minimum(low + room, at), jnp.maximum(high - room - _EDGE, at))

    def towards(
        self, x: Array, y: Array, to_x: Array, to_y: Array, seeks: Bool[Array, "U E"]
    ) -> tuple[Float[Array, "U E"], Float[Array, "U E"]]:
        """The way (by x, by y) on which units at x, y start for what is (to_x, to_y) from them.

        Those that do not seek a way walk straight.
        """
        if self._routes is None:
            return to_x, to_y
        node = _looked_up(self._routes.node, cell_of(x, y))
        corner = _looked_up(self._routes.corner, node * CELLS + cell_of(x + to_x, y + to_y))
        turns = self._on_foot & seeks & (corner != STRAIGHT)
        corner = corner.astype(jnp.int32)
        corner_x, corner_y = corner % SIZE + 0.5, corner // SIZE + 0.5
        return jnp.where(turns, corner_x - x, to_x), jnp.where(turns, corner_y - y, to_y)


def _looked_up(table: np.ndarray, index: Array) -> Array:
    return jnp.take(jnp.asarray(table), index, mode="clip")
