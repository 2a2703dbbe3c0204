"""Who is hit by a shot or an explosion that hits several units.

Whether the engine asks for a unit's centre or its edge within the area is unknown; by default, as
in SMAClite, it is the edge. Arrays of the units that may be hit are [k, E], those of the unit that
hits [E].
"""

from typing import Literal, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from macpo.envs.smac_jax.units import BEAM_SPACING, BEAM_WIDTH

Splash: TypeAlias = Literal["edge", "centre"]
_TINY = 1e-6


class Units(NamedTuple):
    """Those that may be hit."""

    x: Float[Array, "k E"]
    y: Float[Array, "k E"]
    radius: Float[np.ndarray, "k 1"]
    """0 where their centres count."""


def in_beam(
    units: Units,
    source: tuple[Array, Array],
    target: tuple[Array, Array],
    half_length: float,
    rectangle: bool = False,
) -> Bool[Array, "k E"]:
    """Who touches the line across the shot from `source` through `target` (x and y of each).

    The line is a row of circles. In SMAClite it is a rectangle as long and as wide, which hits only
    units whose centres are no farther from the target than its corners.
    """
    way_x, way_y = target[0] - source[0], target[1] - source[1]
    far = jnp.maximum(jnp.sqrt(way_x * way_x + way_y * way_y), _TINY)
    way_x, way_y = way_x / far, way_y / far
    x, y = units.x - target[0], units.y - target[1]
    aside, ahead = jnp.abs(y * way_x - x * way_y), jnp.abs(x * way_x + y * way_y)
    if rectangle:
        length = half_length + BEAM_WIDTH
        near = aside**2 + ahead**2 <= length**2 + BEAM_WIDTH**2
        aside, ahead = jnp.maximum(aside - length, 0.0), jnp.maximum(ahead - BEAM_WIDTH, 0.0)
        return near & (aside**2 + ahead**2 <= units.radius**2)
    reach = units.radius + BEAM_WIDTH
    nearest = jnp.round(aside / BEAM_SPACING) * BEAM_SPACING
    aside = aside - jnp.minimum(nearest, half_length)
    return aside**2 + ahead**2 <= reach**2


def in_blast(units: Units, source: tuple[Array, Array], radius: float) -> Bool[Array, "k E"]:
    """Who touches the circle around `source`."""
    x, y, reach = units.x - source[0], units.y - source[1], units.radius + radius
    return x * x + y * y <= reach * reach
