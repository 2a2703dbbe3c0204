"""The columns of a battle's units: all that the rules need to know of them, by their kinds.

On SMAC's maps everybody's kind is fixed, and the columns are constants of the compiled program:
NumPy arrays [U, 1]. Where kinds are drawn for each battle (`smacv2_jax`), they are JAX arrays
[U, E], looked up by kind. Columns of pairs are [U, U, 1] or [U, U, E], with the unit that acts
first.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace

from macpo.envs.smac_jax.units import UnitType
from macpo.types import AnyArray

NEVER = -1e3
"""Two units' distance is never below this one: they do not collide."""


@dataclass(frozen=True)
class Roster:
    """Who takes part in a battle, allies first; the fields of `UnitType` have its meanings."""

    may_be: tuple[tuple[UnitType, ...], ...]
    """The kinds that each unit may be of: one, unless they are drawn for each battle."""
    health: AnyArray
    shield: AnyArray
    energy: AnyArray
    regeneration: AnyArray
    armour: AnyArray
    speed: AnyArray
    follows: AnyArray
    """The speed at which it walks to a goal: a healer does not outrun the units it heals."""
    acceleration: AnyArray
    radius: AnyArray
    flies: AnyArray
    strides: AnyArray
    heals: AnyArray
    range: AnyArray
    slop: AnyArray
    acquire_range: AnyArray
    period: AnyArray
    damage_point: AnyArray
    sends: AnyArray
    missile_speed: AnyArray
    delay: AnyArray
    hit_gap: AnyArray
    close_range: AnyArray
    """−∞, which no distance is within, for those without a second weapon."""
    close_damage_point: AnyArray
    blows: AnyArray
    """Hits of an attack that land together."""
    beams: AnyArray
    blasts: AnyArray
    fused: AnyArray
    """Whether it explodes when it is killed."""
    damage: AnyArray
    """Of pairs: what one hit takes before armour."""
    can_target: AnyArray
    """Of pairs: whether the one can fight, or heal, the other."""
    separation: AnyArray
    """Of pairs: the least distance of their centres; `NEVER` where they do not collide."""

    def any(self, has: Callable[[UnitType], object]) -> bool:
        """Whether some unit may be of such a kind."""
        return any(has(kind) for kinds in self.may_be for kind in kinds)


def roster_of(cast: Sequence[UnitType], kind: AnyArray, n: int) -> Roster:
    """The columns of units of which each is of the `kind`-th of the cast, [U, 1] or [U, E].

    The first n are one side, the others the other one.
    """
    import jax.numpy as jnp  # the game's own environment (`smac`) needs no roster, and no JAX

    xp, dtype = array_namespace(kind), jnp.zeros(0).dtype

    def by_kind(values: Sequence[object]) -> AnyArray:
        table = np.array(values)
        return looked_up(table if table.dtype == bool else table.astype(dtype), kind)

    def column(name: str) -> AnyArray:
        return by_kind([getattr(kind, name) for kind in cast])

    def of_pairs(value: Callable[[UnitType, UnitType], object]) -> AnyArray:
        table = np.array([value(a, b) for a in cast for b in cast])
        table = table if table.dtype == bool else table.astype(dtype)
        return looked_up(table, kind[:, None] * len(cast) + kind)

    u = len(kind)
    itself = np.eye(u, dtype=bool)[..., None]
    enemy = np.arange(u) >= n
    opponents = (enemy[:, None] != enemy)[..., None]
    speed, heals = column("speed"), column("heals")
    pace = xp.where(heals, np.inf, speed)
    slowest = [
        xp.broadcast_to(xp.min(side, axis=0, keepdims=True), side.shape)
        for side in (pace[:n], pace[n:])
    ]
    fixed = isinstance(kind, np.ndarray)
    return Roster(
        may_be=tuple((cast[int(k)],) for k in kind[:, 0]) if fixed else (tuple(cast),) * u,
        health=column("health"),
        shield=column("shield"),
        energy=column("energy"),
        regeneration=column("regeneration"),
        armour=column("armour"),
        speed=speed,
        follows=xp.where(heals, xp.minimum(speed, xp.concat(slowest)), speed),
        acceleration=column("acceleration"),
        radius=column("radius"),
        flies=column("flies"),
        strides=column("strides"),
        heals=heals,
        range=column("range"),
        slop=column("slop"),
        acquire_range=column("acquire_range"),
        period=column("period"),
        damage_point=column("damage_point"),
        sends=column("sends"),
        missile_speed=by_kind(
            [kind.missile_speed or (np.inf if kind.delay else 1.0) for kind in cast]
        ),
        delay=column("delay"),
        hit_gap=column("hit_gap"),
        close_range=by_kind(
            [-np.inf if kind.close_range is None else kind.close_range for kind in cast]
        ),
        close_damage_point=column("close_damage_point"),
        blows=by_kind([kind.blows for kind in cast]),
        beams=by_kind([kind.beam > 0 for kind in cast]),
        blasts=by_kind([kind.blast > 0 for kind in cast]),
        fused=by_kind([kind.blast > 0 and kind.explodes_when_killed for kind in cast]),
        damage=of_pairs(
            lambda a, b: a.damage + sum(a.bonus.get(word, 0.0) for word in b.attributes)
        ),
        can_target=xp.where(
            opponents,
            of_pairs(lambda a, b: not a.heals and (a.hits_air or not b.flies)),
            of_pairs(lambda a, b: a.heals and "biological" in b.attributes) & ~itself,
        ),
        separation=xp.where(
            itself,
            np.array(NEVER, dtype),
            of_pairs(lambda a, b: a.separation + b.separation if a.layer == b.layer else NEVER),
        ),
    )


def looked_up(table: np.ndarray, index: AnyArray) -> AnyArray:
    """Entries of a small table: constants as they are, others by choice, which is faster there than
    a gather."""
    if isinstance(index, np.ndarray):
        return table[index]
    xp = array_namespace(index)
    found = xp.full(index.shape, table[0])
    for k, value in enumerate(table[1:], 1):
        if value != table[0]:
            found = xp.where(index == k, value, found)
    return found
