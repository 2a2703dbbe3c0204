"""Walls, cliffs and the ways around them, on maps whose ground is a grid of cells.

All that depends on the map alone is a small table, made once in NumPy: how far the free ground
reaches from each cell along its row and its column, and for each pair of cells the corner by which
the shortest way between them begins. In a battle, units look up their cells (`smac_jax.pathing`).
"""

import functools
from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Bool, Float, Int

from macpo.envs.smac_jax.grounds import CLIFF, SIZE, WALKABLE
from macpo.types import AnyArray

CELLS = SIZE * SIZE
STRAIGHT = -1
"""In place of a corner: nothing is in the way."""
_WIDTH = 0.4  # cells to both sides of a straight way that must be free
_SPACING = 0.5  # cells between the points of a way that are looked at
_BESIDE = 0.6  # a cell that is not walkable may be approached from cells this much farther away
_SLACK = 1.0  # cells by which a way round may be longer than straight without being needed
_TINY = 1e-6


class Stretches(NamedTuple):
    """Where the free stretch of its row, and of its column, begins and ends around each cell."""

    west: Float[np.ndarray, " cells"]
    east: Float[np.ndarray, " cells"]
    south: Float[np.ndarray, " cells"]
    north: Float[np.ndarray, " cells"]


def free(cells: tuple[str, ...], over_cliffs: bool = False) -> Bool[np.ndarray, "SIZE SIZE"]:
    """[y, x] the cells that a unit may enter."""
    letters = WALKABLE + CLIFF if over_cliffs else WALKABLE
    return np.array([[letter in letters for letter in row] for row in cells])


def enclosing(cells: tuple[str, ...]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Half-open intervals of x and y that contain all but rock."""
    rows, columns = np.nonzero(free(cells, over_cliffs=True))
    x, y = (columns.min(), columns.max() + 1), (rows.min(), rows.max() + 1)
    return (float(x[0]), float(x[1])), (float(y[0]), float(y[1]))


def stretches(open_: Bool[np.ndarray, "SIZE SIZE"]) -> Stretches:
    """The stretches of that ground; a cell outside of it is a stretch of its own.

    >>> import numpy as np
    >>> ground = np.zeros((32, 32), bool)
    >>> ground[5, 3:7] = True  # four cells in a row
    >>> west, east, south, north = (x.reshape(32, 32)[5, 4] for x in stretches(ground))
    >>> float(west), float(east), float(south), float(north)
    (3.0, 7.0, 5.0, 6.0)
    """
    ends: list[np.ndarray] = []
    for ground in (open_, open_.T):
        low = np.tile(np.arange(SIZE), (SIZE, 1))
        high = low + 1
        for k in range(1, SIZE):
            joined = ground[:, k] & ground[:, k - 1]
            low[:, k] = np.where(joined, low[:, k - 1], low[:, k])
        for k in range(SIZE - 2, -1, -1):
            joined = ground[:, k] & ground[:, k + 1]
            high[:, k] = np.where(joined, high[:, k + 1], high[:, k])
        ends += [low, high]
    west, east, south, north = ends
    return Stretches(*(x.ravel().astype(np.float32) for x in (west, east, south.T, north.T)))


class Routes(NamedTuple):
    """Shortest ways on foot, as the cell at which each first turns."""

    node: Int[np.ndarray, " cells"]
    """The number of each walkable cell; of another, that of the nearest one."""
    corner: Int[np.ndarray, "nodes*cells"]
    """Flat [node from which, cell to which] the cell of the first corner, or `STRAIGHT`."""


@functools.lru_cache(maxsize=16)
def routes(cells: tuple[str, ...]) -> Routes | None:
    """The ways between all cells, over those that are `WALKABLE`; None if all are about straight:
    then walls that are only slid along lead round them, too."""
    open_ = free(cells)
    place = np.argwhere(open_)[:, ::-1] + 0.5  # [K, 2] x and y of the walkable cells' centres
    everywhere = np.argwhere(np.ones_like(open_))[:, ::-1] + 0.5
    sees = _visible(open_, place)
    far = np.linalg.norm(place[:, None] - place, axis=-1)
    length = np.where(sees, far, np.inf)
    first = np.broadcast_to(np.arange(len(place)), length.shape).copy()
    for k in range(len(place)):  # Floyd and Warshall's algorithm
        around = length[:, k, None] + length[k]
        shorter = around < length - _TINY
        length = np.where(shorter, around, length)
        first = np.where(shorter, first[:, k, None], first)
    if (length <= far + _SLACK).all():
        return None

    away = np.linalg.norm(everywhere[:, None] - place, axis=-1)  # [cells, K]
    goal = np.zeros((len(place), CELLS), np.int64)
    for cell, distance in enumerate(away):
        beside = np.flatnonzero(distance <= distance.min() + (_BESIDE if distance.min() else 0))
        goal[:, cell] = beside[length[:, beside].argmin(1)]
    at = np.arange(len(place))[:, None]
    numbers = np.flatnonzero(open_)
    corner = np.where(sees[at, goal], STRAIGHT, numbers[first[at, goal]])
    return Routes(away.argmin(1).astype(np.int32), corner.astype(np.int16).ravel())


def _visible(
    open_: Bool[np.ndarray, "SIZE SIZE"], place: Float[np.ndarray, "K 2"]
) -> Bool[np.ndarray, "K K"]:
    """Whether a unit can walk straight from one place to another."""
    sees = np.zeros((len(place), len(place)), bool)
    share = np.linspace(0, 1, int(SIZE * 2**0.5 / _SPACING))[:, None]
    for i, start in enumerate(place):
        way = place[i:] - start
        along = way / np.maximum(np.linalg.norm(way, axis=-1, keepdims=True), _TINY)
        aside = _WIDTH * np.stack([-along[:, 1], along[:, 0]], -1)
        points = start + way[:, None] * share  # [K - i, points, 2]
        clear = np.ones(len(way), bool)
        for side in (-1, 1):
            x, y = np.moveaxis(np.floor(points + side * aside[:, None]).astype(int), -1, 0)
            clear &= open_[y, x].all(1)
        sees[i, i:] = sees[i:, i] = clear
    return sees


def cell_of(x: AnyArray, y: AnyArray) -> AnyArray:
    """The number of each point's cell, row by row; of a point outside, of one at the border.

    Of JAX and NumPy arrays alike, as in `smac_jax.features`.
    """
    xp = array_namespace(x)
    column, row = (xp.astype(xp.clip(place, 0.0, SIZE - 1.0), xp.int32) for place in (x, y))
    return row * SIZE + column
