"""SMACv2's tasks: which kinds are drawn, for how many units, and the array sizes that follow.

Source: oxwhirl/smacv2 577ab5a. The kinds of a race are in the order of their columns in
observations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from macpo.envs.smac_jax.maps import N_ACTIONS_NO_ATTACK, SQUARE, BattleMap
from macpo.envs.smac_jax.units import SC2, UnitType

Race: TypeAlias = Literal["terran", "protoss", "zerg"]
Teams: TypeAlias = Literal["5v5", "10v10", "10v11", "20v20", "20v23"]
KINDS: Mapping[Race, tuple[str, str, str]] = MappingProxyType(
    {
        "terran": ("marine", "marauder", "medivac"),
        "protoss": ("stalker", "zealot", "colossus"),
        "zerg": ("zergling", "hydralisk", "baneling"),
    }
)
WEIGHTS = (0.45, 0.45, 0.10)
"""Probabilities of a race's kinds."""
RARE = 2
"""The kind with the last of them, which may not be a whole team but for Colossi."""
N_VIEWS = 12
"""Directions in which an agent can look, where its field of view is a cone."""
EPISODE_LIMIT = 200


class Ranges(NamedTuple):
    """Cells between centres within which a kind sees, and may choose a target."""

    sight: float
    reach: float


RANGES: Mapping[str, Ranges] = MappingProxyType(
    {
        "marine": Ranges(9, 5),
        "marauder": Ranges(10, 6),
        "medivac": Ranges(11, 4),
        "stalker": Ranges(10, 6),
        "zealot": Ranges(9, 2),
        "colossus": Ranges(10, 7),
        "zergling": Ranges(8, 2),
        "hydralisk": Ranges(9, 5),
        "baneling": Ranges(8, 2),
    }
)
"""SMACv2's own: at least 2, and 7 for a Colossus, whose weapon reaches 6."""


@dataclass(frozen=True)
class Task:
    """One task: a `smac_jax.maps.Field` whose units' kinds are drawn for each battle.

    Example:
        >>> task = Task("terran", "10v11")
        >>> task.n_agents, task.n_enemies, task.obs_size, task.state_size
        (10, 11, 170, 306)
    """

    race: Race
    teams: Teams
    conic_fov: bool = False

    @property
    def name(self) -> str:
        """As SMACv2 calls it."""
        return f"{self.race}_{self.n_agents}_vs_{self.n_enemies}"

    @property
    def n_agents(self) -> int:
        """Allies, the first units."""
        return int(self.teams.split("v")[0])

    @property
    def n_enemies(self) -> int:
        """Opponents."""
        return int(self.teams.split("v")[1])

    @property
    def n_actions(self) -> int:
        """Six without a target, those that turn the view, one for each enemy."""
        return self.first_target + self.n_enemies

    @property
    def first_target(self) -> int:
        """The first action with a target."""
        return N_ACTIONS_NO_ATTACK + (N_VIEWS if self.conic_fov else 0)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The names of its kinds."""
        return KINDS[self.race]

    @property
    def cast(self) -> tuple[UnitType, ...]:
        """Its kinds."""
        return tuple(SC2[kind] for kind in self.kinds)

    @property
    def rare_alone(self) -> bool:
        """Whether a whole team may be of the rare kind."""
        return self.race == "protoss"

    @property
    def n_types(self) -> int:
        """Columns that tell kinds apart."""
        return len(self.kinds)

    @property
    def ally_shields(self) -> bool:
        """Whether there is a column for the allies' shields."""
        return self.race == "protoss"

    @property
    def enemy_shields(self) -> bool:
        """Whether there is one for the enemies'."""
        return self.ally_shields

    @property
    def has_healers(self) -> bool:
        """Whether an agent may be a healer."""
        return self.race == "terran"

    @property
    def walkable(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Half-open intervals of x and y for a unit's centre."""
        return SQUARE

    @property
    def cells(self) -> None:
        """All of that rectangle is walkable."""

    @property
    def ground(self) -> None:
        """All of that rectangle is walkable."""

    @property
    def enemies_hunt(self) -> bool:
        """They are sent against the nearest ally instead (`Rules.nearest_each_step`)."""
        return False

    @property
    def obs_size(self) -> int:
        """4 moves, a row per enemy, a row per other ally, the agent's own row with its place."""
        kind = self.ally_shields + self.n_types
        rows = (self.n_enemies + self.n_agents - 1) * (5 + kind)
        return 4 + rows + 3 + 2 * self.conic_fov + kind

    @property
    def state_size(self) -> int:
        """A row per ally, a row per enemy, the last action of every agent."""
        kind = self.ally_shields + self.n_types
        ally = 4 + 2 * self.conic_fov + kind + self.n_actions
        return self.n_agents * ally + self.n_enemies * (3 + kind)

    def with_teams(self, allies: tuple[str, ...], enemies: tuple[str, ...]) -> BattleMap:
        """The same field with these units, to be drawn."""
        return BattleMap(self.name, allies, enemies, EPISODE_LIMIT, self.walkable, enemy_goal=None)
