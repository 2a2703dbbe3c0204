"""Optimal reciprocal collision avoidance (ORCA): the safe velocity nearest to each unit's wish.

Each neighbour forbids a half-plane of velocities: those that would lead to contact within
`HORIZON`, if both units do their part to avoid it. What remains of the disc of possible velocities
is convex, and its point nearest to the wish is found one half-plane at a time; if nothing remains,
the velocity that violates the worst half-plane least is taken.

Source: van den Berg, Guy, Lin, Manocha, "Reciprocal n-body collision avoidance" (2011), sections
4 and 5, with SMAClite's additions: units that do not want to move stay, and others do all the
avoiding; walls are kept off for certain, by those who want to move.

Points of the plane are complex numbers, arrays [U, E] or [U, U, E] as in `smac_jax.dynamics`. Times
are loops, distances cells.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Complex, Float, Int

from macpo.envs.smac_jax.units import LOOPS_PER_SECOND

HORIZON = float(LOOPS_PER_SECOND)
N_WALLS = 4
_TINY = 1e-5  # below it, lines are parallel


class Lines(NamedTuple):
    """Borders of half-planes; velocities to the left of a border are allowed."""

    point: Complex[Array, "U K E"]
    direction: Complex[Array, "U K E"]
    """Of length 1."""
    binding: Bool[Array, "U K E"]
    """Which of the lines apply."""


def avoid(
    place: Complex[Array, "U E"],
    velocity: Complex[Array, "U E"],
    wish: Complex[Array, "U E"],
    speed: Float[Array, "U E"],
    radii: Float[Array, "U U E"],
    neighbours: Bool[Array, "U U E"],
    clearance: Float[Array, "U 4 E"],
) -> Complex[Array, "U E"]:
    """The new velocities, no faster than `speed`; `radii` are the sums of both units' radii.

    `neighbours` marks the pairs in which the first avoids the second. `clearance` is how far each
    unit may go west, east, south and north before it touches a wall, `inf` if nothing stops it. A
    unit that wishes 0 gets 0.
    """
    moves = wish != 0
    lines = _lines(place, velocity, moves, radii, neighbours & moves[:, None])
    lines = jax.tree.map(lambda *x: jnp.concatenate(x, 1), _walls(clearance), lines)
    best, failed = _nearest(lines, speed, wish)
    k = lines.point.shape[1]
    best = jax.lax.cond(
        (failed < k).any(), lambda: _least_violating(lines, speed, best, failed), lambda: best
    )
    return jnp.where(moves, best, 0)


def _dot(a: Array, b: Array) -> Array:
    return (a.conj() * b).real


def _det(a: Array, b: Array) -> Array:
    """> 0 if b points to the left of a."""
    return (a.conj() * b).imag


def _unit(a: Array) -> Array:
    return a / jnp.maximum(jnp.abs(a), 1e-12)


def _walls(clearance: Array) -> Lines:
    """The half-plane that each wall permits: no contact within the horizon."""
    outward, exists = jnp.array([-1, 1, -1j, 1j])[:, None], jnp.isfinite(clearance)
    point = jnp.where(exists, clearance, 0.0) / HORIZON * outward
    return Lines(point, jnp.broadcast_to(1j * outward, point.shape), exists)


def _lines(place: Array, velocity: Array, moves: Array, radii: Array, neighbours: Array) -> Lines:
    """The half-plane that each neighbour permits: section 4."""
    to = place - place[:, None]
    relative = velocity[:, None] - velocity
    far = jnp.abs(to)
    apart = far > radii
    # contact is avoided within the horizon, an overlap is resolved within one loop
    time = jnp.where(apart, HORIZON, 1.0)
    from_centre = relative - to / time
    ahead = _dot(from_centre, to)
    on_disc = ~apart | ((ahead < 0) & (ahead**2 > (radii * jnp.abs(from_centre)) ** 2))
    outward = _unit(from_centre)
    leg = jnp.sqrt(jnp.maximum(far**2 - radii**2, 0.0))
    left = _det(to, from_centre) > 0
    along = jnp.where(left, leg + 1j * radii, -(leg - 1j * radii)) * to
    direction = jnp.where(on_disc, -1j * outward, _unit(along))
    change = jnp.where(
        on_disc,
        (radii / time - jnp.abs(from_centre)) * outward,
        _dot(relative, direction) * direction - relative,
    )
    share = jnp.where(moves, 0.5, 1.0)
    return Lines(velocity[:, None] + share * change, direction, neighbours)


def _beyond(lines: Lines, i: Array, velocity: Array) -> Array:
    """[U, E] the distance by which a velocity is on the wrong side of line i."""
    violation = _det(lines.direction[:, i], lines.point[:, i] - velocity)
    return jnp.where(lines.binding[:, i], violation, -jnp.inf)


def _on_line(
    lines: Lines, i: Array, speed: Array, wish: Array, farthest: bool
) -> tuple[Complex[Array, "U E"], Bool[Array, "U E"]]:
    """The best point on line i that the earlier lines and the speed allow, and whether it exists.

    Best is nearest to `wish` or, if `farthest`, farthest in its direction.
    """
    point, direction = lines.point[:, i], lines.direction[:, i]
    centre = -_dot(point, direction)
    room = centre**2 + speed**2 - jnp.abs(point) ** 2
    half = jnp.sqrt(jnp.maximum(room, 0.0))
    earlier = lines.binding & (jnp.arange(lines.point.shape[1]) < i)[:, None]
    turn = _det(direction[:, None], lines.direction)
    offset = _det(lines.direction, point[:, None] - lines.point)
    parallel = jnp.abs(turn) <= _TINY
    at = offset / jnp.where(parallel, 1.0, turn)
    crosses = earlier & ~parallel
    high = jnp.minimum(centre + half, jnp.where(crosses & (turn > 0), at, jnp.inf).min(1))
    low = jnp.maximum(centre - half, jnp.where(crosses & (turn < 0), at, -jnp.inf).max(1))
    exists = (room >= 0) & (low <= high) & ~(earlier & parallel & (offset < 0)).any(1)
    if farthest:
        t = jnp.where(_dot(wish, direction) > 0, high, low)
    else:
        t = jnp.clip(_dot(direction, wish - point), low, high)
    return point + t * direction, exists


def _nearest(
    lines: Lines, speed: Array, wish: Array, farthest: bool = False
) -> tuple[Complex[Array, "U E"], Int[Array, "U E"]]:
    """The best velocity that all lines allow, and the index of the first line that allows none.

    That index is K if all allow one; otherwise the velocity is the best that the lines before it
    allow.
    """
    k = lines.point.shape[1]
    start = _unit(wish) * speed if farthest else _unit(wish) * jnp.minimum(jnp.abs(wish), speed)

    def add(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        best, failed = carry
        asks = (_beyond(lines, i, best) > 0) & (failed == k)  # mostly nobody does
        return jax.lax.cond(asks.any(), lambda: moved(i, asks, best, failed), lambda: carry)

    def moved(i: Array, asks: Array, best: Array, failed: Array) -> tuple[Array, Array]:
        there, exists = _on_line(lines, i, speed, wish, farthest)
        best = jnp.where(asks & exists, there, best)
        return best, jnp.where(asks & ~exists, i, failed)

    return jax.lax.fori_loop(0, k, add, (start, jnp.full(start.shape, k)))


def _least_violating(
    lines: Lines, speed: Array, best: Array, failed: Array
) -> Complex[Array, "U E"]:
    """If nothing is allowed, the velocity that keeps off the walls and whose worst violation of the
    other lines is least: section 5.3."""
    walls = jnp.arange(lines.point.shape[1])[:, None] < N_WALLS

    def add(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        best, allowed = carry
        asks = (i >= failed) & (_beyond(lines, i, best) > allowed)
        return jax.lax.cond(asks.any(), lambda: relaxed(i, asks, best, allowed), lambda: carry)

    def relaxed(i: Array, asks: Array, best: Array, allowed: Array) -> tuple[Array, Array]:
        # Bisectors: left of each, line i is violated more than the earlier one.
        point, direction = lines.point[:, i, None], lines.direction[:, i, None]
        turn = _det(direction, lines.direction)
        parallel = jnp.abs(turn) <= _TINY
        offset = _det(lines.direction, point - lines.point)
        crossing = point + offset / jnp.where(parallel, 1.0, turn) * direction
        halfway = (point + lines.point) / 2
        same_way = parallel & (_dot(direction, lines.direction) > 0)
        earlier = (jnp.arange(lines.point.shape[1]) < i)[:, None]
        bisectors = Lines(
            jnp.where(walls, lines.point, jnp.where(parallel, halfway, crossing)),
            jnp.where(walls, lines.direction, _unit(lines.direction - direction)),
            lines.binding & earlier & (walls | ~same_way),
        )
        there, unsolved = _nearest(bisectors, speed, 1j * lines.direction[:, i], farthest=True)
        there = jnp.where(unsolved == lines.point.shape[1], there, best)
        best = jnp.where(asks, there, best)
        return best, jnp.where(asks, _beyond(lines, i, best), allowed)

    start = (best, jnp.zeros(best.shape))
    return jax.lax.fori_loop(failed.min(), lines.point.shape[1], add, start)[0]
