"""Small battles for tests: any units anywhere, played loop by loop or step by step."""

import copy
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from macpo.envs.smac_jax.dynamics import NOBODY, Battle, Dynamics, Orders, Rules, beginning
from macpo.envs.smac_jax.maps import BattleMap
from macpo.envs.smac_jax.units import SC2

# Targets that never move and are never in range.
DUMMIES = {
    f"{kind} dummy": replace(SC2[kind], speed=0.0, range=-99.0)
    for kind in ("marine", "marauder", "stalker", "zealot")
}
TARGET = replace(DUMMIES["marine dummy"], health=1e6)
SC2_RULES = Rules()
UNITS = {**SC2, **DUMMIES, "target": TARGET}
# A wall with a gap two cells wide, and north of it, in the west, a plateau behind a cliff; rock all
# around, for the table of ways takes time with the third power of the cells.
WALL, GAP, CLIFF = 24, (15, 16), 24
INSIDE = range(4, 30)


def _letter(x: int, y: int) -> str:
    if x not in INSIDE or y not in INSIDE or (x == WALL and y not in GAP):
        return "#"
    return "^" if y == CLIFF and x < WALL else "."


GROUND = tuple("".join(_letter(x, y) for x in range(32)) for y in range(32))


class Cast(NamedTuple):
    """Everybody who may take part: the others are dead, so that all fights share their programs."""

    allies: tuple[str, ...]
    enemies: tuple[str, ...]
    cells: tuple[str, ...] | None = None

    def field(self, allies: Sequence[str], enemies: Sequence[str]) -> BattleMap:
        """Where some of them meet."""
        size = ((0.0, 32.0), (0.0, 32.0))
        return BattleMap("arena", tuple(allies), tuple(enemies), 100, size, self.cells, units=UNITS)

    def has(self, allies: Sequence[str], enemies: Sequence[str]) -> bool:
        """Whether there are as many of each kind."""
        sides = (Counter(allies), Counter(self.allies)), (Counter(enemies), Counter(self.enemies))
        return all(some <= everybody for some, everybody in sides)


OPEN = Cast(
    (*["marine"] * 4, "marauder", "zealot", "stalker", "stalker dummy", "target", *["medivac"] * 2),
    (*["zealot"] * 5, "marine", "marauder", "stalker", "medivac", *DUMMIES, "target"),
)
WALLED = Cast(
    (*("colossus", "hydralisk", "zergling"), *["baneling"] * 2, "stalker dummy", "target"),
    (*["target"] * 4, "marauder dummy", *["baneling"] * 2, *["zergling"] * 3, "spine crawler"),
    GROUND,
)


class Programs(NamedTuple):
    """`Dynamics` of everybody, compiled; the first argument is `Roster.follows`."""

    order: Callable[..., Battle]
    loop: Callable[..., Battle]
    step: Callable[..., Battle]


@functools.cache
def _programs(cast: Cast, rules: Rules) -> Programs:
    here = cast.field(cast.allies, cast.enemies)
    dynamics = Dynamics(here, here.roster, rules)

    def compiled(method: str) -> Callable[..., Battle]:
        def call(follows: Any, *arguments: Any) -> Battle:
            ours = copy.copy(dynamics)
            # as fast as the slowest who takes part
            ours.units = replace(ours.units, follows=follows)
            return getattr(ours, method)(*arguments)

        return jax.jit(call)

    return Programs(*map(compiled, ("_ordered", "_loop", "step")))


def _slots(kinds: Sequence[str], everybody: Sequence[str]) -> Iterator[int]:
    """For each unit, the number of one of its kind among everybody."""
    free = list(range(len(everybody)))
    for kind in kinds:
        free.remove(slot := next(i for i in free if everybody[i] == kind))
        yield slot


class Arena:
    """A battle of `allies` against `enemies`, in an open field if their kinds are on one."""

    def __init__(
        self,
        allies: Sequence[str],
        enemies: Sequence[str],
        at: Sequence[tuple[float, float]],
        rules: Rules = SC2_RULES,
        **changes: Sequence[float],
    ) -> None:
        self.cast = cast = next(cast for cast in (OPEN, WALLED) if cast.has(allies, enemies))
        here = cast.field(allies, enemies)
        self.dynamics = Dynamics(here, here.roster, rules)
        self.n = len(allies)
        here.__dict__["start"] = np.array(at, np.float32)  # instead of the map's own grids
        values = {name: np.array(x, np.float32) for name, x in changes.items()}
        # in NumPy's arrays: JAX would compile a program for each look at them
        self.battle: Battle = jax.device_get(beginning(here))._replace(**values)
        if "baneling" in cast.allies and self.battle.fuse is None:
            self.battle = self.battle._replace(fuse=self.battle.health < 0)
        self._programs = _programs(cast, rules)
        ours, theirs = _slots(allies, cast.allies), _slots(enemies, cast.enemies)
        self._slots = np.array([*ours, *(len(cast.allies) + slot for slot in theirs)])
        self._follows = self._spread(self.dynamics.units.follows[:, 0])

    def stand(self) -> Orders:
        """No ally does anything."""
        zeros = np.zeros(self.n, np.float32)
        return Orders(np.full(self.n, NOBODY), zeros, zeros, zeros > 0)

    def attack(self, *targets: int) -> Orders:
        """Each ally fights, or heals, the unit of that number."""
        return self.stand()._replace(target=np.array(targets))

    def go(self, *ways: tuple[float, float]) -> Orders:
        """Each ally walks by (x, y) from its position."""
        x, y = (np.asarray(place)[: self.n] for place in (self.battle.x, self.battle.y))
        way = np.array(ways, np.float32)
        return self.stand()._replace(
            goal_x=x + way[:, 0], goal_y=y + way[:, 1], walks=np.ones(self.n, bool)
        )

    def put(self, **changes: dict[int, float]) -> None:
        """Change values of single units."""
        for name, values in changes.items():
            column = np.array(getattr(self.battle, name))
            column[[*values]] = [*values.values()]
            self.battle = self.battle._replace(**{name: column})

    def order(self, orders: Orders) -> None:
        self._play(self._programs.order, self._everybodys(orders))

    def loops(self, n: int = 1) -> list[Battle]:
        """The battle after each of n loops, without noise."""
        noise = np.zeros((self._size, 1), np.float32)
        return [self._play(self._programs.loop, noise) for _ in range(n)]

    def steps(self, n: int, orders: Callable[[], Orders] | Orders, seed: int | None = None) -> None:
        """n env steps with one order; with a seed, shots are delayed at random."""
        shape = (n, self._size, 1)
        noise = np.zeros(shape, np.float32)
        if seed is not None:
            noise = np.random.default_rng(seed).uniform(-1.0, 2.0, shape).astype(np.float32)
        for t in range(n):
            now = orders() if callable(orders) else orders
            self._play(self._programs.step, self._everybodys(now), noise[t])

    @property
    def _size(self) -> int:
        return len(self.cast.allies) + len(self.cast.enemies)

    def _play(self, program: Callable[..., Battle], *arguments: Any) -> Battle:
        battle = program(self._follows, self._everybodys(self.battle), *arguments)
        battle = jax.tree.map(lambda x: np.asarray(x)[self._slots, 0], battle)
        numbers = np.full(self._size + 1, NOBODY, np.int32)  # that nobody has, too
        numbers[self._slots] = np.arange(len(self._slots))
        named = {name: numbers[getattr(battle, name)] for name in ("target", "hit_target")}
        self.battle = battle._replace(**named)
        return self.battle

    def _everybodys(self, of_units: Any) -> Any:
        """The battle, or the allies' orders, with those who take no part."""
        numbers = {
            name: np.where(x >= 0, self._slots[x], NOBODY).astype(np.int32)
            for name in ("target", "hit_target")
            if (x := np.asarray(getattr(of_units, name, NOBODY))).shape
        }
        return jax.tree.map(self._spread, of_units._replace(**numbers))

    def _spread(self, x: Any) -> np.ndarray:
        x = np.asarray(x)
        size = self._size if len(x) > self.n else len(self.cast.allies)
        whole = np.full(size, NOBODY if x.dtype == np.int32 else 0, x.dtype)
        whole[self._slots[: len(x)]] = x
        return whole[:, None]
