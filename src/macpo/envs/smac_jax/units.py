"""Units of StarCraft II as SMAC's maps use them, in the engine's own unit of time.

Times are game loops: an env step has 8, a "normal" second 16. Distances are cells. Sources: `SC2`
restates the game data of the Liberty mod, on which all SMAC maps depend (the numbers are the same
in 4.6.2, 4.10 and 5.0.14); `SMACLITE` restates those of SMAClite, whose units move and shoot at the
pace of "faster" seconds. Only its differences from `SC2` are listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

LOOPS_PER_STEP = 8
LOOPS_PER_SECOND = 16
"""In a "normal" second, the unit of time in game data."""


@dataclass(frozen=True)
class UnitType:
    """One kind of unit: its endurance, movement and weapon."""

    health: float
    armour: float
    speed: float
    """Cells a loop."""
    radius: float
    """Weapon ranges are measured from this distance to the centre."""
    separation: float
    """Two units' centres keep at least the sum of their separations apart."""
    attributes: tuple[str, ...]
    type_id: int
    """The game's number for it."""
    state_cooldown: float = 15.0
    """SMAC's divisor of the weapon's cooldown in the state, in loops; not always its period."""
    shield: float = 0.0
    acceleration: float = 1000 / LOOPS_PER_SECOND**2
    """Cells a loop, each loop; in effect immediate for all that walk."""
    flies: bool = False
    damage: float = 0.0
    """Of one hit; 0 for a healer."""
    hits: int = 1
    bonus: Mapping[str, float] = field(default_factory=dict[str, float])
    """Additional damage of a hit, by the target's attributes."""
    range: float = 0.0
    """From edge to edge; a healer's reach."""
    period: float = 0.0
    """Loops between shots, before jitter."""
    damage_point: float = 0.0
    """Loops from the start of an attack until the shot leaves."""
    missile_speed: float | None = None
    """Cells a loop; None where the shot hits at once."""
    hit_gap: float = 0.0
    """Loops between the two hits of one attack."""
    hits_air: bool = True
    energy: float = 0.0
    """At the start of a battle."""

    @property
    def heals(self) -> bool:
        """Whether it heals instead of shooting."""
        return self.damage == 0.0


ENERGY_MAX = 200.0
ENERGY_REGENERATION = 0.5625 / LOOPS_PER_SECOND
HEAL = 9 / LOOPS_PER_SECOND
"""Health a loop."""
SHIELD_REGENERATION = 2 / LOOPS_PER_SECOND
SHIELD_DELAY = 10 * LOOPS_PER_SECOND
"""Loops without damage before shields regenerate."""
MINIMUM_DAMAGE = 0.5

SC2: Mapping[str, UnitType] = MappingProxyType(
    {
        "marine": UnitType(
            type_id=48,
            health=45,
            armour=0,
            speed=2.25 / LOOPS_PER_SECOND,
            radius=0.375,
            separation=0.375,
            attributes=("light", "biological"),
            damage=6,
            range=5,
            period=0.8608 * LOOPS_PER_SECOND,
            damage_point=0.05 * LOOPS_PER_SECOND,
        ),
        "marauder": UnitType(
            type_id=51,
            health=125,
            armour=1,
            speed=2.25 / LOOPS_PER_SECOND,
            radius=0.5625,
            separation=0.5,
            attributes=("armored", "biological"),
            state_cooldown=25,
            damage=10,
            bonus=MappingProxyType({"armored": 10}),
            range=6,
            period=1.5 * LOOPS_PER_SECOND,
            missile_speed=20 / LOOPS_PER_SECOND,
            hits_air=False,
        ),
        "medivac": UnitType(
            type_id=54,
            health=150,
            armour=1,
            speed=2.75 / LOOPS_PER_SECOND,
            acceleration=2.3125 / LOOPS_PER_SECOND**2,
            radius=0.75,
            separation=0.75,
            attributes=("armored", "mechanical"),
            state_cooldown=ENERGY_MAX,  # its column shows energy instead
            flies=True,
            range=4,
            energy=50,
        ),
        "stalker": UnitType(
            type_id=74,
            health=80,
            shield=80,
            armour=1,
            speed=2.9531 / LOOPS_PER_SECOND,
            radius=0.625,
            separation=0.625,
            attributes=("armored", "mechanical"),
            state_cooldown=35,
            damage=10,
            bonus=MappingProxyType({"armored": 4}),
            range=6,
            period=1.44 * LOOPS_PER_SECOND,
            damage_point=0.167 * LOOPS_PER_SECOND,
            missile_speed=18.75 / LOOPS_PER_SECOND,
        ),
        "zealot": UnitType(
            type_id=73,
            health=100,
            shield=50,
            armour=1,
            speed=2.25 / LOOPS_PER_SECOND,
            radius=0.5,
            separation=0.375,
            attributes=("light", "biological"),
            state_cooldown=22,
            damage=8,
            hits=2,
            hit_gap=0.28 * LOOPS_PER_SECOND,
            range=0.1,
            period=1.2 * LOOPS_PER_SECOND,
            hits_air=False,
        ),
    }
)

# In SMAClite shots hit at once, a Zealot's two together; a period is a whole number of loops.
_AT_ONCE = {"damage_point": 0.0, "missile_speed": None, "hit_gap": 0.0}

SMACLITE: Mapping[str, UnitType] = MappingProxyType(
    {
        "marine": replace(SC2["marine"], **_AT_ONCE, speed=3.15 / 16, period=10),
        "marauder": replace(
            SC2["marauder"], **_AT_ONCE, speed=3.15 / 16, period=18, separation=0.5625
        ),
        "medivac": replace(SC2["medivac"], speed=3.5 / 16, acceleration=1000),
        "stalker": replace(
            SC2["stalker"],
            **_AT_ONCE,
            speed=4.13 / 16,
            period=22,
            damage=13,
            bonus=MappingProxyType({"armored": 5}),
        ),
        "zealot": replace(SC2["zealot"], **_AT_ONCE, speed=3.15 / 16, period=14, separation=0.5),
    }
)
