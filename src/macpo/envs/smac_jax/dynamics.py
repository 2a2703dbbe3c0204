"""The model of the game's engine: eight game loops of moving, shooting and healing.

The engine is closed; this model rests on game data and on what is known of its rules
(docs/starcraft.md separates data from assumptions). A loop passes through its stages for all units
at once: choice of targets, ranges, movement, collisions, weapons, hits, healing. Shots of one loop
land together, so two units can kill each other.

Arrays are [U, E]: units, allies first, then the environments along the last axis
(`kernels.batch_last`); pairs are [U, U, E], with the unit that looks or shoots first. Times are
loops, distances cells.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Array, Bool, Float, Int

from macpo.envs.smac_jax import orca, splash
from macpo.envs.smac_jax.maps import BattleMap, Field
from macpo.envs.smac_jax.pathing import Terrain
from macpo.envs.smac_jax.roster import Roster
from macpo.envs.smac_jax.splash import Splash, in_beam, in_blast
from macpo.envs.smac_jax.units import (
    ENERGY_MAX,
    ENERGY_REGENERATION,
    HEAL,
    LOOPS_PER_STEP,
    MINIMUM_DAMAGE,
    SHIELD_DELAY,
    SHIELD_REGENERATION,
)
from macpo.kernels.batch_last import env_axis_first, materialised, sums_over_others
from macpo.machine import on_accelerator
from macpo.types import AnyArray

JITTER = (-1.0, 2.0)
"""Uniform noise in the time from shot to shot, in loops."""
NOBODY = -1
_SWEEPS = 2  # iterations of pushing overlapping units apart, each loop
_AROUND = 0.8  # share of a push that goes sideways, around a unit in the way
_STRAIGHT = 0.8  # sine of the largest angle at which a unit heads straight at another
_TINY = 1e-6
_FEW = 16  # environments: more units than this fill vectors better than they do
_MAX_PAIRS = 2**14  # of units, in all battles of a block: 64 kB in each array of them


@dataclass(frozen=True)
class Rules:
    """Rules that the data do not settle: how units choose and keep their targets."""

    acquire_range: float = 5.0
    """Cells, edge to edge, within which an idle or advancing unit engages; its weapon's range where
    that is larger."""
    leash: float = 6.0
    """Cells, edge to edge, beyond which it abandons a target that does not fight it."""
    respond: bool = True
    """Whether a unit engages any unit that has chosen it as a target, at any distance."""
    slop: float = 1.0
    """The share of a unit's `slop` that a target may leave the weapon's range by once an attack has
    begun."""
    splash: Splash = "edge"
    """What of a unit a beam or an explosion must reach to hit it."""
    heal_range: float = 6.0
    """Cells, edge to edge, within which an enemy healer looks for patients."""
    heal_least_energy: float = 5.0
    """Energy below which it does not start to heal."""
    energy_per_health: float = 0.33
    nearest_each_loop: bool = False
    """SMAClite's targeting: a target is kept while it is in range or fights back, and is sought
    only within `acquire_range` of its edge; healers are preferred, and while one lives the nearest
    enemy is chosen again each loop."""
    nearest_each_step: bool = False
    """SMACv2's orders: at the start of each env step, computer-controlled units without a target go
    for the nearest opponent, wherever it is, and stay with it until it is dead."""
    orca: bool = False
    """Whether units avoid each other as SMAClite's do (`smac_jax.orca`) instead of pushing."""


class Battle(NamedTuple):
    """All units, [U] or [U, E] each; a unit whose health is 0 is dead."""

    x: Float[Array, "U *E"]
    y: Float[Array, "U *E"]
    vx: Float[Array, "U *E"]
    vy: Float[Array, "U *E"]
    health: Float[Array, "U *E"]
    shield: Float[Array, "U *E"]
    energy: Float[Array, "U *E"]
    cooldown: Float[Array, "U *E"]
    shield_delay: Float[Array, "U *E"]
    """Loops until the shield regenerates."""
    windup: Float[Array, "U *E"]
    """Loops until the shot of an attack that has begun leaves; −1 for none."""
    hit_in: Float[Array, "U *E"]
    """Loops until a missile or a second blow that is under way reaches `hit_target`."""
    hit_target: Int[Array, "U *E"]
    target: Int[Array, "U *E"]
    """The unit it fights or heals, or `NOBODY`."""
    goal_x: Float[Array, "U *E"]
    goal_y: Float[Array, "U *E"]
    walks: Bool[Array, "U *E"]
    """Whether it walks to its goal when it has no target."""
    fuse: Bool[Array, "U *E"] | None = None
    """Whether it explodes once its health is 0; None on maps where nobody does."""


class Orders(NamedTuple):
    """The allies' orders, [N] or [N, E] each; an order lasts until the next one."""

    target: Int[Array, "N *E"]
    """The unit to fight or to heal, or `NOBODY`."""
    goal_x: Float[Array, "N *E"]
    goal_y: Float[Array, "N *E"]
    walks: Bool[Array, "N *E"]


def beginning(battle_map: BattleMap) -> Battle:
    """All units at their starts, the enemies with the order to advance."""
    start = jnp.asarray(battle_map.start)
    enemy = jnp.arange(len(start)) >= battle_map.n_agents
    goal = battle_map.enemy_goal
    goal_x, goal_y = goal or (0.0, 0.0)
    fresh = arrayed(battle_map.roster, start[:, 0], start[:, 1])
    return fresh._replace(
        goal_x=jnp.where(enemy, goal_x, fresh.goal_x),
        goal_y=jnp.where(enemy, goal_y, fresh.goal_y),
        walks=enemy & (goal is not None),
    )


def arrayed(units: Roster, x: Float[Array, " U"], y: Float[Array, " U"]) -> Battle:
    """Fresh units of one battle at these places, without orders."""
    zeros, nobody = jnp.zeros(len(x)), jnp.full(len(x), NOBODY, jnp.int32)
    health, shield, energy, fused = (
        jnp.asarray(column)[:, 0]
        for column in (units.health, units.shield, units.energy, units.fused)
    )
    return Battle(
        x=x,
        y=y,
        vx=zeros,
        vy=zeros,
        health=health,
        shield=shield,
        energy=energy,
        cooldown=zeros,
        shield_delay=zeros,
        windup=zeros - 1.0,
        hit_in=zeros,
        hit_target=nobody,
        target=nobody,
        goal_x=zeros,
        goal_y=zeros,
        walks=zeros > 0,
        fuse=fused if units.any(lambda kind: kind.blast) else None,
    )


class Hit(NamedTuple):
    """What one unit does in a loop."""

    by: int
    lands: Bool[Array, "k E"]
    """On whom of the other side."""


def battles_at_once(field: Field) -> int:
    """How many battles on this field a CPU computes in a block, for `env_axis_last`.

    A power of two, as numbers of parallel battles mostly are: a rest is a program of its own.
    """
    n_units = field.n_agents + field.n_enemies
    most = max(_MAX_PAIRS // n_units**2, 16)  # fewer fill no vectors
    return 1 << most.bit_length() - 1


class Dynamics:
    """The rules for some units on a field; `step` takes arrays with the environments last.

    With `computer_allies` both sides choose their own targets, which makes symmetric fights fair.
    """

    def __init__(
        self, field: Field, units: Roster, rules: Rules, computer_allies: bool = False
    ) -> None:
        self.map, self.units, self.rules = field, units, rules
        self.computer_allies = computer_allies
        self.float = jnp.zeros(0).dtype
        self.n = field.n_agents
        self.numbers = np.arange(len(units.may_be), dtype=np.int32)
        xp = array_namespace(units.radius)
        hunts = field.enemies_hunt & (self.numbers >= self.n)[:, None]
        forever = hunts | rules.nearest_each_step
        self.acquire_range = xp.where(
            hunts, np.inf, xp.maximum(units.acquire_range, rules.acquire_range)
        )
        self.leash = np.where(forever, np.inf, rules.leash).astype(self.float)
        # SMAClite's units may come closer to a wall (`_clearance`), and know no way round it
        self.margin = xp.where(units.flies | rules.orca, 0.0, units.radius)
        self.terrain = None
        if field.cells is not None:
            self.terrain = Terrain(field.cells, units, self.margin, guided=not rules.orca)
        heal = [i for i, kinds in enumerate(units.may_be) if any(kind.heals for kind in kinds)]
        self.healers = tuple(_stretches(heal, self.n))
        """Units that may be healers, as stretches of neighbours of one side."""

    # --- a step -------------------------------------------------------------------------------

    def step(self, battle: Battle, orders: Orders, noise: Float[Array, "U E"]) -> Battle:
        """Eight loops; `noise` delays each unit's next shot, of which a step has at most one."""
        battle = self._ordered(battle, orders)
        return jax.lax.fori_loop(
            0, LOOPS_PER_STEP, lambda _, battle: self._loop(battle, noise), battle
        )

    def _ordered(self, battle: Battle, orders: Orders) -> Battle:
        """Give the allies new orders. A changed target interrupts an attack that has just begun."""
        n = self.n

        def put(old: Array, new: Array) -> Array:
            return jnp.concatenate([jnp.where(battle.health[:n] > 0, new, old[:n]), old[n:]])

        battle = battle._replace(
            goal_x=put(battle.goal_x, orders.goal_x),
            goal_y=put(battle.goal_y, orders.goal_y),
            walks=put(battle.walks, orders.walks),
        )
        battle = self._aimed(battle, put(battle.target, orders.target))
        if self.rules.nearest_each_step:
            battle = battle._replace(target=self._sent(battle))
        return battle

    def _sent(self, battle: Battle) -> Int[Array, "U E"]:
        """The targets once the enemies without one are sent against the nearest ally; who cannot
        hit that one stays."""
        allies, enemies = slice(None, self.n), slice(self.n, None)
        alive, target = battle.health > 0, battle.target
        key = jnp.where(alive[allies], self._gap(battle, enemies, allies, edges=False), jnp.inf)
        nearest = jnp.argmin(key, 1).astype(target.dtype)
        can = (self.numbers[allies, None] == nearest[:, None]) & self.units.can_target[
            enemies, allies
        ]
        idle = alive[enemies] & ((target[enemies] == NOBODY) | ~_of(alive, target[enemies]))
        goes = idle & (can & alive[allies]).any(1)
        return jnp.concatenate([target[allies], jnp.where(goes, nearest, target[enemies])])

    def _aimed(self, battle: Battle, target: Int[Array, "U E"]) -> Battle:
        """Set the units' targets."""
        broken_off = (target != battle.target) & (battle.windup >= 0)
        return battle._replace(
            target=target,
            windup=jnp.where(broken_off, -1.0, battle.windup),
            cooldown=jnp.where(broken_off, 0.0, battle.cooldown),
        )

    def _loop(self, battle: Battle, noise: Array) -> Battle:
        alive = battle.health > 0
        battle = self._aimed(battle, materialised(self._choose(battle, alive)))

        fights = battle.target != NOBODY
        to_x, to_y, radius = (
            _of(x, battle.target) for x in (battle.x, battle.y, jnp.asarray(self.units.radius))
        )
        to_x = jnp.where(fights, to_x - battle.x, 0.0)
        to_y = jnp.where(fights, to_y - battle.y, 0.0)
        gap = jnp.sqrt(to_x * to_x + to_y * to_y) - (self.units.radius + radius)
        in_range = fights & (gap <= self._reach(battle))

        battle = self._move(battle, alive, fights, in_range, to_x, to_y)
        battle = self._tick(battle)
        battle, lands_on = self._shoot(battle, alive & in_range, gap, noise)
        battle = self._damage(battle, lands_on)
        if battle.fuse is not None:
            battle = self._explode(battle)
        if self.healers:
            battle = self._heal(battle, alive & in_range)
        return self._bury(battle)

    # --- targets ------------------------------------------------------------------------------

    def _radii(self, own: slice, other: slice) -> AnyArray:
        """Of pairs: the sum of both units' radii."""
        return self.units.radius[own, None] + self.units.radius[other]

    def _gap(
        self, battle: Battle, own: slice, other: slice, edges: bool = True
    ) -> Float[Array, "k l E"]:
        """Distances from edge to edge, or between centres."""
        dx = battle.x[other] - battle.x[own][:, None]
        dy = battle.y[other] - battle.y[own][:, None]
        far = jnp.sqrt(dx * dx + dy * dy)
        return far - self._radii(own, other) if edges else far

    def _reach(self, battle: Battle) -> Float[Array, "U E"]:
        """How far from its edge everybody hits: a little farther once an attack has begun."""
        slop = self.rules.slop * self.units.slop
        return self.units.range + jnp.where(battle.windup >= 0, slop, 0.0)

    def _choose(self, battle: Battle, alive: Array) -> Int[Array, "U E"]:
        """Every unit's target: the allies' as ordered, the enemies' by their own choice."""
        allies, enemies = slice(None, self.n), slice(self.n, None)
        lives = (battle.target != NOBODY) & _of(alive, battle.target)
        target = jnp.where(lives & alive, battle.target, NOBODY)
        chosen = self._choose_fight(battle, alive, target, enemies, allies)
        ordered, fights = target[allies], target != NOBODY
        if self.rules.orca:  # SMAClite's allies keep fighting a dead target until the step is over
            ordered = jnp.where(alive[allies], battle.target[allies], NOBODY)
        if self.computer_allies:
            ordered = self._choose_fight(battle, alive, target, allies, enemies)
        target = jnp.concatenate([ordered, chosen])
        for own in self.healers:
            if own.start >= self.n or self.computer_allies:
                side = enemies if own.start >= self.n else allies
                patient = self._choose_patient(battle, alive, target, fights, own, side)
                patient = jnp.concatenate([target[: own.start], patient, target[own.stop :]])
                target = jnp.where(self.units.heals, patient, target)
        return target

    def _choose_fight(
        self, battle: Battle, alive: Array, target: Array, own: slice, other: slice
    ) -> Int[Array, "e E"]:
        """For each fighter of its own side, the nearest unit of the best kind on the other side."""
        rules, gap = self.rules, self._gap(battle, own, other)
        numbers, heals = self.numbers[other, None], self.units.heals[other]
        possible = self.units.can_target[own, other] & alive[other] & alive[own, None]
        mine = target[own, None] == numbers
        aims_at_me = target[other] == self.numbers[own, None, None]
        reach = self.units.range[own, None]
        if rules.nearest_each_loop:
            centres = self.acquire_range[own, None] + self.units.radius[other]
            near = gap + self._radii(own, other) < centres
            keep = mine & (aims_at_me | (gap <= reach))
            # while a healer lives on the other side, other targets there are chosen again
            keep &= ~(heals & alive[other]).any(0) | heals
            rank = jnp.where(heals, 0.0, 1e3)
            near = near | aims_at_me
        else:
            near = gap <= _larger(reach, self.acquire_range[own, None])
            if rules.respond:
                near = near | aims_at_me
            keep = mine & (aims_at_me | (gap <= self._leash(battle, own)[:, None]))
            # units that cannot fight come last: healers that do not heal
            rank = jnp.where(heals & (target[other] == NOBODY), 1e3, 0.0)
        key = jnp.where(possible & (near | keep), gap + self._radii(own, other) + rank, jnp.inf)
        best = key.min(1, keepdims=True)
        chosen = jnp.where((key == best) & (key < jnp.inf), numbers, len(self.numbers)).min(1)
        chosen = jnp.where(chosen == len(self.numbers), NOBODY, chosen)
        keeps = (keep & possible).any(1)
        if self.healers and not (rules.nearest_each_loop or rules.nearest_each_step):
            kept_rank = jnp.where(keep, rank, 0.0).sum(1)
            keeps &= kept_rank <= jnp.where(possible & (gap <= reach), rank, jnp.inf).min(1)
        return jnp.where(keeps, target[own], chosen)

    def _leash(self, battle: Battle, own: slice) -> AnyArray:
        """How far from their edge units keep a target: as far as they hit, or farther."""
        leash = _larger(self.units.range, self.leash)[own]
        kinds = itertools.chain(*self.units.may_be[own])
        farthest = max(kind.range + self.rules.slop * kind.slop for kind in kinds)
        if farthest > self.leash[own].min():
            return jnp.maximum(leash, self._reach(battle)[own])
        return leash

    def _choose_patient(
        self,
        battle: Battle,
        alive: Array,
        target: Array,
        fights: Array,
        own: slice,
        side: slice,
    ) -> Int[Array, "h E"]:
        """The unit of its own side that each healer heals: lowest share of health, then nearest.

        In SMAClite: lowest health, among those that are hurt or had a target a loop ago.
        """
        rules, gap = self.rules, self._gap(battle, own, side)
        numbers = self.numbers[side, None]
        energy = battle.energy[own, None]
        possible = self.units.can_target[own, side] & alive[side] & alive[own, None]
        share = battle.health[side] / self.units.health[side]
        hurt = share < 1.0
        keep = possible & hurt & (target[own, None] == numbers) & (energy > 0)
        near = hurt & (gap <= rules.heal_range)
        if rules.nearest_each_loop:
            share = battle.health[side]
            centres = rules.acquire_range + self.units.radius[own, None]
            near = gap + self._radii(own, side) < centres
            near &= hurt | fights[side]
        begins = energy >= rules.heal_least_energy
        # a thousandth of health weighs as much as the map is wide: distance settles ties only
        key = jnp.where(possible & near & begins, share * 1e4 + gap * 1e-2, jnp.inf)
        best = key.min(1, keepdims=True)
        chosen = jnp.where((key == best) & (key < jnp.inf), numbers, len(self.numbers)).min(1)
        chosen = jnp.where(chosen == len(self.numbers), NOBODY, chosen)
        return jnp.where(keep.any(1), target[own], chosen)

    # --- where to go --------------------------------------------------------------------------

    def _move(
        self,
        battle: Battle,
        alive: Array,
        fights: Array,
        in_range: Array,
        to_x: Array,
        to_y: Array,
    ) -> Battle:
        """Move every unit for one loop, as far as others and the edge of the map allow."""
        walks = battle.walks & ~fights
        to_x = jnp.where(walks, battle.goal_x - battle.x, to_x)
        to_y = jnp.where(walks, battle.goal_y - battle.y, to_y)
        if self.terrain is not None:  # a move of an ally is short, and goes straight
            seeks = fights | (self.numbers >= self.n)[:, None]
            to_x, to_y = self.terrain.towards(battle.x, battle.y, to_x, to_y, seeks)
        goes = alive & (walks | (fights & ~in_range & (battle.windup < 0)))
        goes &= self.units.speed > 0
        far = jnp.sqrt(to_x * to_x + to_y * to_y)
        speed = jnp.where(walks, self.units.follows, self.units.speed)
        pace = speed if self.rules.orca else jnp.minimum(speed, far)  # SMAClite's overshoot a goal
        scale = jnp.where(goes, pace, 0.0) / jnp.maximum(far, _TINY)
        vx, vy = to_x * scale, to_y * scale
        if self.units.any(lambda kind: kind.flies):
            vx, vy = self._accelerated(battle, vx, vy)
        if self.rules.orca:
            vx, vy = self._avoiding(battle, alive, speed, vx, vy)
            place_x, place_y = battle.x + vx, battle.y + vy
        else:
            busy = fights & ~goes
            mobility = materialised(jnp.where(goes, 1.0, jnp.where(busy, 0.0, 0.5)))
            place_x, place_y = self._apart(battle, alive, mobility, vx, vy)
        if self.terrain is None:
            (left, right), (bottom, top) = self.map.walkable
            x = jnp.clip(place_x, left + self.margin, right - self.margin - _TINY)
            y = jnp.clip(place_y, bottom + self.margin, top - self.margin - _TINY)
        else:
            x, y = self.terrain.within(battle.x, battle.y, place_x, place_y)
        return battle._replace(
            x=jnp.where(alive, x, battle.x).astype(battle.x.dtype),
            y=jnp.where(alive, y, battle.y).astype(battle.y.dtype),
            vx=vx,
            vy=vy,
        )

    def _accelerated(self, battle: Battle, vx: Array, vy: Array) -> tuple[Array, Array]:
        """The velocity nearest to (vx, vy) that a loop's acceleration reaches."""
        by_x, by_y = vx - battle.vx, vy - battle.vy
        wanted = jnp.sqrt(by_x * by_x + by_y * by_y)
        scale = jnp.minimum(1.0, self.units.acceleration / jnp.maximum(wanted, _TINY))
        return battle.vx + by_x * scale, battle.vy + by_y * scale

    def _avoiding(
        self, battle: Battle, alive: Array, speed: Array, vx: Array, vy: Array
    ) -> tuple[Array, Array]:
        """ORCA's velocities for these; neighbours are units about to be touched."""
        place = battle.x + 1j * battle.y
        reach = (self.units.radius.max() + self.units.radius)[:, None]
        near = jnp.abs(place - place[:, None]) <= reach
        near &= alive[:, None] & alive & (self.units.separation > 0)
        velocity = orca.avoid(
            place,
            battle.vx + 1j * battle.vy,
            vx + 1j * vy,
            speed,
            jnp.asarray(self.units.separation),
            near,
            self._clearance(battle),
        )
        return velocity.real, velocity.imag

    def _clearance(self, battle: Battle) -> Float[Array, "U 4 E"]:
        """How far units on the ground may go west, east, south and north in SMAClite.

        As its NumPy code has it, a wall in the south or north keeps off units' centres until a unit
        touches it; then it keeps off the unit's edge.
        """
        x, y = battle.x, battle.y
        if self.terrain is None:
            (left, right), (bottom, top) = self.map.walkable
        else:
            left, right, bottom, top = self.terrain.stretch(x, y)
        to_wall = jnp.stack([x - left, right - x, y - bottom, top - y], 1)
        free = jnp.maximum(to_wall - self.units.radius[:, None], 0.0)
        by_centre = (np.arange(4) >= 2)[:, None] & (free > 0)
        return jnp.where(self.units.flies[:, None], jnp.inf, jnp.where(by_centre, to_wall, free))

    def _apart(
        self, battle: Battle, alive: Array, mobility: Array, vx: Array, vy: Array
    ) -> tuple[Array, Array]:
        """Every unit's new position once overlapping units have pushed each other apart."""
        n_units, n_envs = vx.shape
        pushed = self._pushed
        if n_envs <= _FEW < n_units and not on_accelerator():
            pushed = env_axis_first(pushed)
        columns = battle.x, battle.y, vx, vy, alive, mobility
        return pushed(*columns, self.units.separation, self.units.speed)

    def _pushed(
        self,
        x: Array,
        y: Array,
        vx: Array,
        vy: Array,
        alive: Array,
        mobility: Array,
        separation: AnyArray,
        top_speed: AnyArray,
    ) -> tuple[Array, Array]:
        """Where units arrive that are on their way from (x, y) and may overlap there.

        A moving unit gives way to a standing one, and a fighting unit is never displaced. A mover
        that is pushed back also slides sideways, around the other.
        """
        share = mobility[:, None] / (mobility[:, None] + mobility + _TINY)
        share = jnp.where(alive[:, None] & alive, share, 0.0)
        moves, stands = mobility[:, None] == 1.0, mobility < 1.0
        side = np.where(self.numbers % 2, 1.0, -1.0)[:, None].astype(self.float)
        for _ in range(_SWEEPS):
            to_x, to_y = materialised(x + vx), materialised(y + vy)
            # from the other unit to this one; units in one place separate by number
            dx, dy = to_x[:, None] - to_x, to_y[:, None] - to_y
            far = jnp.sqrt(dx * dx + dy * dy)
            dx = jnp.where(far < _TINY, side[:, None], dx)
            push = jnp.maximum(separation - far, 0.0) * share / jnp.maximum(far, 1e-3)
            turn = dx * vy[:, None] - dy * vx[:, None]  # > 0: its path passes the other on one side
            # a unit heading straight at standing ones passes all of them on the same side: passing
            # each on its nearer side would lead into the gap between two and trap it there
            way = jnp.sqrt(vx * vx + vy * vy)[:, None] * far
            round_ = stands & (jnp.abs(turn) < _STRAIGHT * way)
            past = jnp.where(round_, 1.0, turn)
            along = jnp.where(moves, jnp.where(past >= 0, _AROUND, -_AROUND), 0.0)
            by_x, by_y = sums_over_others(push * (dx - along * dy), push * (dy + along * dx))
            vx, vy = vx + by_x, vy + by_y
            fast = jnp.sqrt(vx * vx + vy * vy)
            scale = jnp.minimum(1.0, top_speed / jnp.maximum(fast, _TINY))
            vx, vy = vx * scale, vy * scale
        return x + vx, y + vy

    # --- hits and healing ---------------------------------------------------------------------

    def _tick(self, battle: Battle) -> Battle:
        """Let a loop pass: weapons cool down, shields, energy and Zerg regenerate."""
        if self.units.any(lambda kind: kind.regeneration):
            healed = jnp.minimum(battle.health + self.units.regeneration, self.units.health)
            battle = battle._replace(health=jnp.where(battle.health > 0, healed, battle.health))
        delay = jnp.maximum(battle.shield_delay - 1.0, 0.0)
        regained = jnp.where((delay == 0) & (battle.health > 0), SHIELD_REGENERATION, 0.0)
        return battle._replace(
            cooldown=jnp.where(battle.cooldown > 0, battle.cooldown - 1.0, 0.0),
            shield_delay=delay,
            shield=jnp.minimum(battle.shield + regained, self.units.shield),
            energy=jnp.where(
                self.units.heals, jnp.minimum(battle.energy + ENERGY_REGENERATION, ENERGY_MAX), 0.0
            ),
            windup=jnp.where(battle.windup >= 0, jnp.maximum(battle.windup - 1.0, 0.0), -1.0),
            hit_in=battle.hit_in - 1.0,
        )

    def _shoot(
        self, battle: Battle, ready: Array, gap: Array, noise: Array
    ) -> tuple[Battle, Int[Array, "U E"]]:
        """Begin attacks and fire shots: the battle, and the unit that each unit's hit lands on now.

        The rest of the loop in which a weapon becomes ready counts towards its next shot, except in
        SMAClite.
        """
        ready &= ~self.units.heals
        sends, damage_point = self.units.sends, self.units.damage_point
        if self.units.any(lambda kind: kind.close_range is not None):
            close = gap <= self.units.close_range
            sends = sends & ~close
            damage_point = jnp.where(close, self.units.close_damage_point, damage_point)
        begun = battle.windup >= 0
        begins = ready & (battle.cooldown <= 0) & ~begun
        windup = jnp.where(begins, damage_point, battle.windup)
        goes_off = ready & (begun | begins) & (windup == 0)
        left = jnp.maximum(battle.cooldown, 0.0) if self.rules.orca else battle.cooldown
        cooldown = jnp.where(begins, left + self.units.period + noise, battle.cooldown)
        escaped = begun & ~ready  # the target has left the range by more than the slop
        cooldown = jnp.where(escaped, 0.0, cooldown)
        arrives = (battle.hit_target != NOBODY) & (battle.hit_in <= 0)
        at_once = goes_off & ~sends
        if battle.fuse is not None:
            bursts = goes_off & self.units.blasts
            at_once &= ~bursts
            battle = battle._replace(
                health=jnp.where(bursts, 0.0, battle.health), fuse=battle.fuse | bursts
            )
        lands_on = jnp.where(at_once, battle.target, NOBODY)
        lands_on = jnp.where(arrives, battle.hit_target, lands_on)
        later = goes_off & (sends | (self.units.hit_gap > 0))
        flight = gap / self.units.missile_speed + self.units.delay
        flight = jnp.where(sends, flight, self.units.hit_gap)
        hit_target = jnp.where(arrives, NOBODY, battle.hit_target)
        return battle._replace(
            windup=jnp.where(goes_off | escaped, -1.0, windup),
            cooldown=jnp.maximum(cooldown, 0.0),
            hit_target=jnp.where(later, battle.target, hit_target),
            hit_in=jnp.where(later, flight, battle.hit_in),
        ), lands_on

    def _damage(self, battle: Battle, lands_on: Int[Array, "U E"]) -> Battle:
        """The hits of a loop."""
        lands_on = materialised(lands_on)

        def hits() -> Iterator[Hit]:
            for i, kinds in enumerate(self.units.may_be):
                if all(kind.heals or kind.blast for kind in kinds):
                    continue
                lands = lands_on[i] == self.numbers[self._opponents(i), None]
                for beam in {kind.beam for kind in kinds if kind.beam}:
                    along = (lands_on[i] != NOBODY) & self._in_beam(battle, i, lands, beam)
                    lands = jnp.where(self.units.beams[i], along, lands)
                yield Hit(i, lands)

        return self._struck(battle, hits())

    def _in_beam(
        self, battle: Battle, i: int, target: Bool[Array, "k E"], length: float
    ) -> Bool[Array, "k E"]:
        """Who of the other side is on the line of unit i's shot at the one that is `target`."""
        others = self._others(battle, i)
        at_x, at_y = (jnp.where(target, place, 0.0).sum(0) for place in (others.x, others.y))
        source = battle.x[i], battle.y[i]
        hit = in_beam(others, source, (at_x, at_y), length, self.rules.orca)
        return (hit & self.units.can_target[i, self._opponents(i)]) | target

    def _explode(self, battle: Battle) -> Battle:
        """The explosions of units that died with a fuse; whom they kill explodes a loop later."""
        assert battle.fuse is not None
        lit = materialised(battle.fuse & (battle.health <= 0))

        def hits() -> Iterator[Hit]:
            for i, kinds in enumerate(self.units.may_be):
                for blast in {kind.blast for kind in kinds if kind.blast}:
                    others, possible = self._others(battle, i), self.units.can_target[i]
                    near = in_blast(others, (battle.x[i], battle.y[i]), blast)
                    yield Hit(i, lit[i] & near & possible[self._opponents(i)])

        return self._struck(battle, hits())._replace(fuse=battle.fuse & ~lit)

    def _opponents(self, i: int) -> slice:
        """The units of the side that unit i fights."""
        return slice(None, self.n) if i >= self.n else slice(self.n, None)

    def _others(self, battle: Battle, i: int) -> splash.Units:
        side = self._opponents(i)
        radius = self.units.radius[side]
        reached = radius if self.rules.splash == "edge" else 0 * radius
        return splash.Units(battle.x[side], battle.y[side], reached)

    def _struck(self, battle: Battle, hits: Iterable[Hit]) -> Battle:
        """The battle after hits, one after another: shields absorb first, health loses the rest
        minus armour."""
        n = self.n
        shields = self.units.any(lambda kind: kind.shield)
        health = [battle.health[:n], battle.health[n:]]
        shield = [battle.shield[:n], battle.shield[n:]]
        hit = [jnp.zeros(part.shape, bool) for part in health]
        for i, lands in hits:
            kinds, side = self.units.may_be[i], self._opponents(i)
            k = 0 if i >= n else 1  # the side that it shoots at
            hit[k] |= lands
            for blow in range(max(kind.blows for kind in kinds)):
                strikes = lands & (self.units.blows[i] > blow)
                force = jnp.where(strikes, self.units.damage[i, side], 0.0)
                absorbed = jnp.minimum(shield[k], force) if shields else 0.0
                shield[k] = shield[k] - absorbed
                wound = jnp.maximum(force - absorbed - self.units.armour[side], MINIMUM_DAMAGE)
                health[k] = health[k] - jnp.where(force > absorbed, wound, 0.0)
        battle = battle._replace(health=materialised(jnp.concatenate(health)))
        if not shields:
            return battle
        return battle._replace(
            shield=materialised(jnp.concatenate(shield)),
            shield_delay=jnp.where(jnp.concatenate(hit), float(SHIELD_DELAY), battle.shield_delay),
        )

    def _heal(self, battle: Battle, ready: Array) -> Battle:
        """Every healer in reach of its patient turns energy into health.

        Where several heal one patient, each gives what those with lower numbers leave to be healed.
        """
        per_health = self.rules.energy_per_health
        health, energy = battle.health, battle.energy
        for own in self.healers:
            side = slice(self.n, None) if own.start >= self.n else slice(None, self.n)
            patient = battle.target[own, None] == self.numbers[side, None]
            patient &= ready[own, None] & (health[side] > 0) & self.units.heals[own, None]
            most = jnp.minimum(HEAL, energy[own] / per_health)
            offered = jnp.where(patient, most[:, None], 0.0)  # [h, side, E]
            missing = self.units.health[side] - health[side]
            if len(offered) > 1:
                same = battle.target[own, None] == battle.target[own]
                earlier = same & (self.numbers[own, None] > self.numbers[own])[..., None]
                by_earlier = jnp.where(earlier, offered.max(1), 0.0).sum(1)
                missing = missing - by_earlier[:, None]
            given = jnp.clip(missing, 0.0, offered)
            healed = health[side] + given.sum(0)
            before, after = health[: side.start or 0], health[side.stop or len(health) :]
            health = jnp.concatenate([before, healed, after])
            left = energy[own] - given.sum(1) * per_health
            energy = jnp.concatenate([energy[: own.start], left, energy[own.stop :]])
        return battle._replace(health=health, energy=energy)

    def _bury(self, battle: Battle) -> Battle:
        """Clear the dead; only their missiles in flight remain."""
        alive = battle.health > 0
        return battle._replace(
            health=jnp.maximum(battle.health, 0.0),
            shield=jnp.where(alive, battle.shield, 0.0),
            hit_target=jnp.where(alive | self.units.sends, battle.hit_target, NOBODY),
            windup=jnp.where(alive, battle.windup, -1.0),
            vx=jnp.where(alive, battle.vx, 0.0),
            vy=jnp.where(alive, battle.vy, 0.0),
        )


def _stretches(units: Sequence[int], n: int) -> Iterator[slice]:
    """Ascending numbers of units as slices, none of both sides."""
    start = 0
    for k, i in enumerate(units, 1):
        if k == len(units) or units[k] != i + 1 or units[k] == n:
            yield slice(units[start], i + 1)
            start = k


def _larger(a: AnyArray, b: AnyArray) -> AnyArray:
    return array_namespace(a).maximum(a, b)


def _of(x: Array, unit: Int[Array, "U E"]) -> Array:
    """x of that unit, for each; of any unit in place of `NOBODY`."""
    return jnp.take_along_axis(x, unit, 0, mode="clip")
