"""SMAC's maps: who fights whom, where, for how long, and the array sizes that follow."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Protocol, TypeAlias

import numpy as np
from jaxtyping import Bool

from macpo.envs.smac_jax import terrain
from macpo.envs.smac_jax.grounds import GROUNDS, SMACLITE_GROUNDS
from macpo.envs.smac_jax.roster import Roster, roster_of
from macpo.envs.smac_jax.units import SC2, SMACLITE, UnitType
from macpo.errors import UsageError, nearest, shown

N_ACTIONS_NO_ATTACK = 6
"""no-op, stop, north, south, east, west."""
REWARD_KILL, REWARD_WIN, REWARD_SCALE = 10.0, 200.0, 20.0
_COLUMNS = (
    *("marauder", "marine", "medivac", "colossus", "stalker", "zealot"),
    *("baneling", "zergling", "hydralisk", "spine crawler"),
)
"""Kinds in the order of SMAC's type ids, for those that share a side."""
_PLACING = ("medivac", "marine", "marauder", "colossus", "stalker", "zealot")
"""Kinds that share a point, in the order in which they are placed around it."""
Point: TypeAlias = tuple[float, float]
"""(x, y) in cells."""
_GAP = 0.05  # between the units of a side at the start
_BAND = ((2.0, 30.0), (7.0, 25.0))  # walkable x and y, half-open: the game's pathing grid
SQUARE = ((2.0, 30.0), (2.0, 30.0))
_SMACLITE_RECTANGLES = {_BAND: ((0.0, 32.0), (8.0, 24.0)), SQUARE: ((3.0, 29.0), (3.0, 29.0))}


class Field(Protocol):
    """What rules and interface need to know of a battle besides its units."""

    @property
    def n_agents(self) -> int:
        """Allies, the first units."""
        ...

    @property
    def n_enemies(self) -> int:
        """Opponents."""
        ...

    @property
    def n_actions(self) -> int:
        """Of each agent."""
        ...

    @property
    def n_types(self) -> int:
        """Columns that tell kinds apart."""
        ...

    @property
    def ally_shields(self) -> bool:
        """Whether there is a column for the allies' shields."""
        ...

    @property
    def enemy_shields(self) -> bool:
        """Whether there is one for the enemies'."""
        ...

    @property
    def has_healers(self) -> bool:
        """Whether an agent may be a healer."""
        ...

    @property
    def walkable(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Half-open intervals of x and y for a unit's centre."""
        ...

    @property
    def cells(self) -> tuple[str, ...] | None:
        """The ground within that rectangle, if not all of it is walkable."""
        ...

    @property
    def ground(self) -> Bool[np.ndarray, "SIZE SIZE"] | None:
        """[y, x] its walkable cells."""
        ...

    @property
    def enemies_hunt(self) -> bool:
        """Whether the enemies know where the allies are."""
        ...


@dataclass(frozen=True)
class BattleMap:
    """One map. Units have fixed numbers: allies first, each side as SMAC orders it."""

    name: str
    allies: tuple[str, ...]
    """Kinds in the order of the agents: by type, then by position."""
    enemies: tuple[str, ...]
    """Kinds in the order in which the map creates them."""
    episode_limit: int
    """Env steps."""
    walkable: tuple[tuple[float, float], tuple[float, float]] = _BAND
    """Half-open intervals of x and y for a unit's centre."""
    cells: tuple[str, ...] | None = None
    """The ground within that rectangle, rows of letters from the south (`smac_jax.grounds`); None
    where all of it is walkable."""
    ally_spawns: Sequence[Point] = ((9.0, 16.0),)
    """Where the side is created: one point for all units, or one for each."""
    enemy_spawns: Sequence[Point] = ((23.0, 16.0),)
    enemy_goal: Point | None = (9.0, 16.0)
    """Where the enemies are sent to attack; None if they are not sent anywhere."""
    enemies_hunt: bool = False
    """Whether the enemies are sent against the allies themselves, wherever those are."""
    units: Mapping[str, UnitType] = field(default_factory=lambda: SC2)

    @property
    def n_agents(self) -> int:
        """Allies."""
        return len(self.allies)

    @property
    def n_enemies(self) -> int:
        """Opponents."""
        return len(self.enemies)

    @property
    def n_actions(self) -> int:
        """The six without a target, then one for each enemy."""
        return N_ACTIONS_NO_ATTACK + self.n_enemies

    @cached_property
    def kinds(self) -> tuple[UnitType, ...]:
        """The kind of every unit, allies first."""
        return tuple(self.units[kind] for kind in (*self.allies, *self.enemies))

    @cached_property
    def roster(self) -> Roster:
        """The columns of its units, for the rules."""
        cast = [self.units[kind] for kind in dict.fromkeys((*self.allies, *self.enemies))]
        index = [next(k for k, other in enumerate(cast) if other is kind) for kind in self.kinds]
        return roster_of(cast, np.array(index, np.int32)[:, None], self.n_agents)

    @property
    def has_healers(self) -> bool:
        """Whether an agent is a healer."""
        return any(kind.heals for kind in self.kinds[: self.n_agents])

    @property
    def ends_with_medivacs(self) -> bool:
        """Whether a side has lost once only Medivacs are left of it (the MMM maps)."""
        return "medivac" in self.allies

    @property
    def n_types(self) -> int:
        """Number of columns that tell kinds apart; 0 if the allies are all of one kind."""
        kinds = len(set(self.allies))
        return kinds if kinds > 1 else 0

    @cached_property
    def type_index(self) -> np.ndarray:
        """[U] the index of each unit's column among those.

        SMAC numbers the allies' kinds by its own type ids, the enemies' by the game's: on maps of
        Stalkers and Zealots alone the two orders are opposite.
        """
        opposite = set(self.enemies) == {"stalker", "zealot"}
        ally = [kind for kind in _COLUMNS if kind in self.allies]
        enemy = [kind for kind in _COLUMNS if kind in self.enemies][:: -1 if opposite else 1]
        return np.array([*map(ally.index, self.allies), *map(enemy.index, self.enemies)])

    @property
    def ally_shields(self) -> bool:
        """Whether observations and state have a column for the allies' shields."""
        return self.units[self.allies[0]].shield > 0

    @property
    def enemy_shields(self) -> bool:
        """Whether they have one for the enemies'."""
        return self.units[self.enemies[0]].shield > 0

    @property
    def obs_size(self) -> int:
        """4 moves, a row per enemy, a row per other ally, the agent's own row."""
        own = 1 + self.ally_shields + self.n_types
        enemies = self.n_enemies * (5 + self.enemy_shields + self.n_types)
        return 4 + enemies + (self.n_agents - 1) * (4 + own) + own

    @property
    def state_size(self) -> int:
        """A row per ally, a row per enemy, the last action of every agent."""
        allies = self.n_agents * (4 + self.ally_shields + self.n_types + self.n_actions)
        return allies + self.n_enemies * (3 + self.enemy_shields + self.n_types)

    @property
    def max_reward(self) -> float:
        """All damage, all kills and the victory, before scaling."""
        enemies = self.kinds[self.n_agents :]
        endurance = sum(kind.health + kind.shield for kind in enemies)
        return endurance + REWARD_KILL * self.n_enemies + REWARD_WIN

    @property
    def reward_divisor(self) -> float:
        """Divisor that makes a perfect episode without regeneration worth 20."""
        return self.max_reward / REWARD_SCALE

    @property
    def ground(self) -> Bool[np.ndarray, "SIZE SIZE"] | None:
        """[y, x] the walkable cells; None where all of the rectangle is walkable."""
        return None if self.cells is None else terrain.free(self.cells)

    @cached_property
    def start(self) -> np.ndarray:
        """[U, 2] the initial position of every unit.

        The game creates units at a point and spreads them by rules of its own; here it is a grid,
        filled row by row as in SMAClite, and allies are then numbered as SMAC would.
        """
        allies = self._placed(self.allies, self.ally_spawns, 1.0)
        enemies = self._placed(self.enemies, self.enemy_spawns, -1.0)
        by_place = np.lexsort((allies[:, 1], allies[:, 0], self.type_index[: self.n_agents]))
        return np.concatenate([allies[by_place], enemies]).astype(np.float32)

    def _placed(self, side: Sequence[str], spawns: Sequence[Point], turn: float) -> np.ndarray:
        """Positions of a side: a grid around each point, turned round for the enemies.

        A grid with a unit beyond the map's ground is shifted until all are on it to their edges.
        """
        points = [*spawns] * (len(side) if len(spawns) == 1 else 1)
        places = np.zeros((len(side), 2))
        for point in set(points):
            group = [i for i, other in enumerate(points) if other == point]
            radius = np.array([[self.units[side[i]].radius] for i in group])
            grid = point + turn * self._grid([side[i] for i in group])
            low, high = np.transpose(self.walkable)
            grid += np.where(grid.min(0) < low, low - (grid - radius).min(0), 0)
            grid -= np.where(grid.max(0) >= high, (grid + radius).max(0) - high, 0)
            places[group] = grid
        return places

    def _grid(self, kinds: Sequence[str]) -> np.ndarray:
        """Positions around a point; half the gaps' height lies below the first row."""
        columns = math.ceil(math.sqrt(len(kinds)))
        ranks = {kind: k for k, kind in enumerate(_PLACING)}  # others are alone at their point
        order = sorted(range(len(kinds)), key=lambda i: ranks.get(kinds[i], 0))
        rows = [order[i : i + columns] for i in range(0, len(order), columns)]
        radius = [self.units[kind].radius for kind in kinds]
        heights = [2 * max(radius[i] for i in row) for row in rows]
        width = max(sum(2 * radius[i] for i in row) for row in rows)
        places = np.zeros((len(kinds), 2))
        y = -(sum(heights) + (columns - 1) * _GAP) / 2
        for row, height in zip(rows, heights, strict=True):
            x = -width / 2
            for i in row:
                places[i] = x + radius[i], y + height / 2
                x += 2 * radius[i] + _GAP
            y += height + _GAP
        return places


def _team(text: str) -> tuple[str, ...]:
    """'2 marauder 7 marine' → two marauders and seven marines."""
    words = text.split()
    pairs = zip(words[::2], words[1::2], strict=True)
    return tuple(kind for count, kind in pairs for _ in range(int(count)))


def _walled(here: BattleMap, cells: tuple[str, ...] | None = None) -> BattleMap:
    """The map with that ground; by default with the one that is drawn for it."""
    cells = cells or GROUNDS[here.name]
    return replace(here, cells=cells, walkable=terrain.enclosing(cells))


def _maps(*rows: BattleMap) -> Mapping[str, BattleMap]:
    return MappingProxyType({row.name: row for row in rows})


MAPS: Mapping[str, BattleMap] = _maps(
    BattleMap("3m", _team("3 marine"), _team("3 marine"), 60),
    BattleMap("8m", _team("8 marine"), _team("8 marine"), 120),
    BattleMap("25m", _team("25 marine"), _team("25 marine"), 150),
    BattleMap("5m_vs_6m", _team("5 marine"), _team("6 marine"), 70),
    BattleMap("8m_vs_9m", _team("8 marine"), _team("9 marine"), 120),
    BattleMap("10m_vs_11m", _team("10 marine"), _team("11 marine"), 150),
    BattleMap("27m_vs_30m", _team("27 marine"), _team("30 marine"), 180),
    BattleMap(
        "MMM",
        _team("2 marauder 7 marine 1 medivac"),
        _team("7 marine 2 marauder 1 medivac"),
        150,
    ),
    BattleMap(
        "MMM2",
        _team("2 marauder 7 marine 1 medivac"),
        _team("8 marine 3 marauder 1 medivac"),
        180,
    ),
    BattleMap("2s3z", _team("2 stalker 3 zealot"), _team("2 stalker 3 zealot"), 120),
    BattleMap("3s5z", _team("3 stalker 5 zealot"), _team("3 stalker 5 zealot"), 150),
    BattleMap("3s5z_vs_3s6z", _team("3 stalker 5 zealot"), _team("3 stalker 6 zealot"), 170),
    BattleMap("3s_vs_3z", _team("3 stalker"), _team("3 zealot"), 150, walkable=SQUARE),
    BattleMap("3s_vs_4z", _team("3 stalker"), _team("4 zealot"), 200, walkable=SQUARE),
    BattleMap("3s_vs_5z", _team("3 stalker"), _team("5 zealot"), 250, walkable=SQUARE),
    _walled(
        BattleMap(
            "2m_vs_1z",
            _team("2 marine"),
            _team("1 zealot"),
            150,
            ally_spawns=((13.0, 12.0), (19.0, 12.0)),
            enemy_spawns=((16.0, 19.0),),
            enemy_goal=(19.0, 12.0),
        ),
        GROUNDS["bane_vs_bane"],
    ),
    BattleMap(
        "1c3s5z",
        _team("1 colossus 3 stalker 5 zealot"),
        _team("1 colossus 3 stalker 5 zealot"),
        180,
    ),
    _walled(
        BattleMap(
            "2c_vs_64zg",
            _team("2 colossus"),
            _team("64 zergling"),
            400,
            ally_spawns=((16.0, 16.0),),
            enemy_spawns=((16.0, 9.0),),
            enemy_goal=None,
            enemies_hunt=True,
        )
    ),
    _walled(
        BattleMap(
            "2s_vs_1sc",
            _team("2 stalker"),
            ("spine crawler",),
            300,
            ally_spawns=((11.1208, 10.338), (16.976, 10.3662)),
            # created at (13.92, 20.0397); a structure stands on whole numbers
            enemy_spawns=((14.0, 20.0),),
            enemy_goal=None,
        )
    ),
    _walled(
        BattleMap(
            "so_many_baneling",
            _team("7 zealot"),
            _team("32 baneling"),
            100,
            ally_spawns=((11.469, 12.0234),),
            enemy_spawns=((27.91, 28.24),),
            enemy_goal=(4.47, 4.3298),
        )
    ),
    _walled(
        BattleMap(
            "bane_vs_bane",
            _team("4 baneling 20 zergling"),
            _team("20 zergling 4 baneling"),
            200,
            ally_spawns=((16.0, 8.0),) * 4 + ((16.0, 11.0),) * 20,
            enemy_spawns=((16.0, 21.0),) * 20 + ((16.0, 24.0),) * 4,
            enemy_goal=(16.0, 8.0),
        )
    ),
    _walled(
        BattleMap(
            "corridor",
            _team("6 zealot"),
            _team("24 zergling"),
            400,
            ally_spawns=((19.0397, 19.1198),),
            enemy_spawns=((27.91, 28.24),),
            enemy_goal=(4.47, 4.3298),
        )
    ),
    _walled(
        BattleMap(
            "6h_vs_8z",
            _team("6 hydralisk"),
            _team("8 zealot"),
            150,
            ally_spawns=((14.5998, 9.49),),
            enemy_spawns=((14.41, 16.7597),),
            enemy_goal=(14.5998, 9.49),
        )
    ),
)
"""Rosters, limits and points are those of the map files. Where the walkable area of a map without
cells is unknown, it is that of its family: open for Stalkers against Zealots, a band otherwise."""


def battle_map(name: str) -> BattleMap:
    """The map of that name; UsageError with the nearest one if there is none."""
    if name not in MAPS:
        raise UsageError(f"no map {shown(name)}; {nearest(name, MAPS)} Maps: {', '.join(MAPS)}.")
    return MAPS[name]


def in_smaclite(here: BattleMap) -> BattleMap:
    """The map with SMAClite's units and walls."""
    here = replace(here, units=SMACLITE)
    if here.name in SMACLITE_GROUNDS:
        here = _walled(here, SMACLITE_GROUNDS[here.name])
    else:
        walkable = _SMACLITE_RECTANGLES.get(here.walkable, here.walkable)
        here = replace(here, walkable=walkable)
    if here.enemies_hunt:  # sent to where the allies are at the start
        here = replace(here, enemies_hunt=False, enemy_goal=here.ally_spawns[0])
    if here.name == "2s_vs_1sc":
        here = replace(here, enemy_spawns=((13.92, 20.04),))
    return here
