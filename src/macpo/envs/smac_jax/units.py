"""Units of StarCraft II as SMAC's maps use them, in the engine's own unit of time.

Times are game loops: an env step has 8, a "normal" second 16. Distances are cells. Sources: `SC2`
restates the game data of the Liberty mod, on which all SMAC maps depend (the numbers are the same
in 4.6.2, 4.10 and 5.0.14); `SMACLITE` restates those of SMAClite, whose units move and shoot at the
pace of "faster" seconds. Only its differences from `SC2` are listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

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
    strides: bool = False
    """Whether it walks over cliffs, and over all units but its own kind."""
    regeneration: float = 0.0
    """Health that it regains in a loop."""
    damage: float = 0.0
    """Of one hit; 0 for a healer."""
    hits: int = 1
    bonus: Mapping[str, float] = field(default_factory=dict[str, float])
    """Additional damage of a hit, by the target's attributes."""
    range: float = 0.0
    """From edge to edge; a healer's reach."""
    slop: float = 1.0
    """Cells by which a target may leave the range once an attack has begun."""
    acquire_range: float = 0.0
    """Cells within which it engages, where that is more than the rules have it."""
    period: float = 0.0
    """Loops between shots, before jitter."""
    damage_point: float = 0.0
    """Loops from the start of an attack until the shot leaves."""
    missile_speed: float | None = None
    """Cells a loop; None where the shot hits at once."""
    delay: float = 0.0
    """Loops from a shot to its hit, at any distance."""
    hit_gap: float = 0.0
    """Loops between the two hits of one attack."""
    close_range: float | None = None
    """Within it, a second weapon of the same damage is used, whose hits land at once."""
    close_damage_point: float = 0.0
    """That of the second weapon."""
    beam: float = 0.0
    """Half the length of the line, across the shot and through its target, on which all enemies on
    the ground are hit."""
    blast: float = 0.0
    """Radius in which all enemies on the ground are hit when the unit attacks, which kills it."""
    explodes_when_killed: bool = True
    """Whether it does so when it is killed, too."""
    hits_air: bool = True
    energy: float = 0.0
    """At the start of a battle."""

    @property
    def heals(self) -> bool:
        """Whether it heals instead of shooting."""
        return self.damage == 0.0

    @property
    def sends(self) -> bool:
        """Whether its hits land some time after the shot."""
        return self.missile_speed is not None or self.delay > 0

    @property
    def blows(self) -> int:
        """Hits of an attack that land together."""
        return 1 if self.hit_gap else self.hits

    @property
    def layer(self) -> int:
        """Units collide with those of their own layer: on the ground, in the air, or striding."""
        return 2 if self.strides else int(self.flies)

    @property
    def race(self) -> Literal["T", "P", "Z"]:
        """Terran, Protoss or Zerg: Protoss have shields, and only Zerg regain health."""
        return "P" if self.shield else "Z" if self.regeneration else "T"


ENERGY_MAX = 200.0
ENERGY_REGENERATION = 0.5625 / LOOPS_PER_SECOND
HEAL = 9 / LOOPS_PER_SECOND
"""Health a loop."""
SHIELD_REGENERATION = 2 / LOOPS_PER_SECOND
SHIELD_DELAY = 10 * LOOPS_PER_SECOND
"""Loops without damage before shields regenerate."""
MINIMUM_DAMAGE = 0.5
BEAM_WIDTH = 0.15
"""Half the width of a beam: it is a line of circles of that radius, `BEAM_SPACING` apart."""
BEAM_SPACING = 0.25
_ZERG = 0.2734 / LOOPS_PER_SECOND  # health that they regain in a loop

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
        "colossus": UnitType(
            type_id=4,
            health=200,
            shield=150,
            armour=1,
            speed=2.25 / LOOPS_PER_SECOND,
            strides=True,
            radius=1,
            separation=0.75,
            attributes=("armored", "mechanical", "massive"),
            state_cooldown=24,
            damage=20,
            hits=2,  # two sweeps along the line
            beam=1.25,
            range=6,
            period=2.2 * LOOPS_PER_SECOND,
            damage_point=0.0832 * LOOPS_PER_SECOND,
            delay=0.375 * LOOPS_PER_SECOND,
            slop=0,
            hits_air=False,
        ),
        "hydralisk": UnitType(
            type_id=107,
            health=80,
            regeneration=_ZERG,
            armour=0,
            speed=2.25 / LOOPS_PER_SECOND,
            radius=0.625,
            separation=0.5,
            attributes=("light", "biological"),
            state_cooldown=10,
            damage=12,
            range=5,
            period=0.83 * LOOPS_PER_SECOND,
            damage_point=0.208 * LOOPS_PER_SECOND,
            missile_speed=40 / LOOPS_PER_SECOND,
            close_range=0.5,
            close_damage_point=0.3 * LOOPS_PER_SECOND,
        ),
        "zergling": UnitType(
            type_id=105,
            health=35,
            regeneration=_ZERG,
            armour=0,
            speed=2.9531 / LOOPS_PER_SECOND,
            radius=0.375,
            separation=0.375,
            attributes=("light", "biological"),
            state_cooldown=11,
            damage=5,
            range=0.1,
            period=0.696 * LOOPS_PER_SECOND,
            damage_point=0.167 * LOOPS_PER_SECOND,
            hits_air=False,
        ),
        "baneling": UnitType(
            type_id=9,
            health=30,
            regeneration=_ZERG,
            armour=0,
            speed=2.5 / LOOPS_PER_SECOND,
            radius=0.375,
            separation=0.375,
            attributes=("biological",),
            state_cooldown=1,
            damage=20,
            bonus=MappingProxyType({"light": 15, "structure": 60}),
            blast=2.2,
            range=0.25,
            period=0.833 * LOOPS_PER_SECOND,
            hits_air=False,
        ),
        "spine crawler": UnitType(
            type_id=98,
            health=300,
            regeneration=_ZERG,
            armour=2,
            speed=0,
            radius=0.875,
            separation=0.875,
            attributes=("armored", "biological", "structure"),
            damage=25,
            bonus=MappingProxyType({"armored": 5}),
            range=7,
            period=1.6 * LOOPS_PER_SECOND,
            damage_point=0.3332 * LOOPS_PER_SECOND,
            delay=4,
            hits_air=False,
            slop=0,
        ),
    }
)

# In SMAClite shots hit at once, a Zealot's two together; a period is a whole number of loops.
_AT_ONCE = {"damage_point": 0.0, "missile_speed": None, "delay": 0.0, "hit_gap": 0.0}

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
        "colossus": replace(
            SC2["colossus"],
            **_AT_ONCE,
            speed=3.15 / 16,
            strides=False,
            separation=1,
            damage=10,
            bonus=MappingProxyType({"light": 5}),
            range=7,
            period=18,
        ),
        # SMAClite has none
        "hydralisk": replace(
            SC2["hydralisk"],
            **_AT_ONCE,
            speed=3.15 / 16,
            regeneration=0.38 / 16,
            separation=0.625,
            period=10,
            close_range=None,
        ),
        "zergling": replace(
            SC2["zergling"], **_AT_ONCE, speed=4.13 / 16, regeneration=0.38 / 16, period=8
        ),
        "baneling": replace(
            SC2["baneling"],
            **_AT_ONCE,
            speed=3.15 / 16,
            regeneration=0.38 / 16,
            damage=80,
            bonus=MappingProxyType({}),
            explodes_when_killed=False,
            period=16,
        ),
        "spine crawler": replace(
            SC2["spine crawler"],
            **_AT_ONCE,
            regeneration=0.38 / 16,
            radius=0.5,
            separation=0.5,
            period=22,
            acquire_range=10,
        ),
    }
)
