"""SMAC's environment over our own connection to the game, without the `smac` package.

Source: SMAC (Samvelyan et al. 2019) and the behaviour of its code at the constructor's defaults.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool
from numpy.typing import ArrayLike

from macpo.envs.host import EnvironmentLost, numpy_time_step
from macpo.envs.smac.game import ALLY, Game, Launch, Terrain, Unit
from macpo.envs.smac.orders import commands
from macpo.envs.smac_jax import features
from macpo.envs.smac_jax.features import NORTH, WEST, Columns, Units
from macpo.envs.smac_jax.grounds import SIZE
from macpo.envs.smac_jax.maps import BattleMap
from macpo.envs.smac_jax.units import LOOPS_PER_STEP
from macpo.errors import UsageError
from macpo.types import TimeStep

_MAX_LOOPS_TO_SPAWN = 160
"""Game loops within which all units of a new episode must appear."""
_GONE = Unit(0, 0, 0, *[0.0] * 8)
"""Stands for a unit that is no longer observed: maps have no fog of war, so it is dead."""


class DirectClient:
    """A game played through pysc2."""

    def __init__(self, battle_map: BattleMap, launch: Launch, replay_dir: str = "") -> None:
        self._map, self._file, self._replay_dir = battle_map, launch.map_file, replay_dir
        self._game = Game(launch)
        self._living: list[Unit] = []
        self._new_game = True

    def reset(self) -> TimeStep:
        """Start an episode: the first as the map does, later ones by killing all units."""
        killed = [unit.tag for unit in self._living]
        if killed:
            self._game.kill(killed)
        if not self._new_game:
            self._game.advance(2)
        self._line_up(killed)
        self._new_game = False
        self._units = self._observe()
        self._last_actions = np.full(self._map.n_agents, -1)
        self._t = 0
        return self._timestep(0.0, False, False, False)

    def step(self, actions: Sequence[int]) -> TimeStep:
        """Give the orders, let eight game loops pass, observe."""
        before, self._last_actions = self._units, np.asarray(actions)
        positions = list(zip(before.x.tolist(), before.y.tolist(), strict=True))
        self._game.order(list(commands(self._map, actions, self._tags, positions)))
        self._game.advance(LOOPS_PER_STEP)
        self._units = self._observe()
        self._t += 1
        over, won = features.outcome(self._map, self._units)
        out_of_time = self._t >= self._map.episode_limit
        reward = features.reward(self._map, before, self._units)
        return self._timestep(reward, bool(over), out_of_time and not over, bool(won))

    def save_replay(self) -> None:
        """Write a replay of everything since the game was started."""
        folder = Path(self._replay_dir)
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self._map.name}_{self._game.pid}.SC2Replay"
        (folder / name).write_bytes(self._game.replay())

    def close(self) -> None:
        """End the game."""
        self._game.close()

    def _line_up(self, killed: Sequence[int]) -> None:
        """Wait for both sides' units, and number them as SMAC does."""
        wanted = (self._map.n_agents, self._map.n_enemies)
        found = (0, 0)
        for _ in range(_MAX_LOOPS_TO_SPAWN):
            units = self._game.units()
            allies = sorted(
                (unit for unit in units if unit.owner == ALLY),
                key=lambda unit: (unit.unit_type, unit.x, unit.y),
            )
            enemies = [unit for unit in units if unit.owner != ALLY]
            found = (len(allies), len(enemies))
            if found == wanted and not {unit.tag for unit in units} & set(killed):
                break
            self._game.advance(1)
        else:
            if not self._new_game:
                raise EnvironmentLost(f"the map shows {found} units after a reset, not {wanted}.")
            raise UsageError(
                f"{self._file} shows {found[0]} allies and {found[1]} enemies, but "
                f"{self._map.name} has {wanted[0]} and {wanted[1]}; put SMAC's map of that name "
                "there."
            )
        self._living = [*allies, *enemies]
        self._tags = [unit.tag for unit in self._living]
        self._numbered_map = _as_numbered(self._map, enemies)
        self._columns = features.columns_of(self._numbered_map)
        _check(self._numbered_map, self._columns, self._living)

    def _observe(self) -> Units:
        """All units as they are now, numbered as the agents and enemies are."""
        self._living = self._game.units()
        by_tag = {unit.tag: unit for unit in self._living}
        rows = [by_tag.get(tag, _GONE) for tag in self._tags]
        # float64, as SMAC compares distances in Python's floats
        names = ("x", "y", "health", "shield", "energy", "cooldown")
        return Units(*(np.array([getattr(row, name) for row in rows]) for name in names))

    def _timestep(
        self, reward: ArrayLike, terminated: bool, truncated: bool, won: bool
    ) -> TimeStep:
        battle_map, units, n = self._numbered_map, self._units, self._map.n_agents
        available = features.available_actions(battle_map, self._columns, units)
        available[:, NORTH : WEST + 1] = _moves(self._game.terrain, units, n)
        obs = features.observe(battle_map, self._columns, units, available)
        placed = _normalised(self._game.terrain, units)
        state = features.global_state(battle_map, self._columns, placed, self._last_actions)
        info = {
            "battle_won": won,
            "dead_allies": (units.health[:n] <= 0).sum(),
            "dead_enemies": (units.health[n:] <= 0).sum(),
        }
        return numpy_time_step(obs, state, available, reward, terminated, truncated, info)


def _as_numbered(battle_map: BattleMap, enemies: Sequence[Unit]) -> BattleMap:
    """The map with its enemies in the order of this episode's observations."""
    kinds = {battle_map.units[kind].type_id: kind for kind in battle_map.enemies}
    order = tuple(kinds.get(unit.unit_type, "") for unit in enemies)
    if sorted(order) != sorted(battle_map.enemies):
        raise UsageError(
            f"the game's enemies have the types {sorted(unit.unit_type for unit in enemies)}, "
            f"which are not those of {battle_map.name}; put SMAC's map of that name into "
            "Maps/SMAC_Maps."
        )
    return dataclasses.replace(battle_map, enemies=order)


def _check(battle_map: BattleMap, columns: Columns, units: Sequence[Unit]) -> None:
    """UsageError unless the game's units have our health and shields, which scale the reward."""
    ours = zip(columns.health_max, [kind.shield for kind in battle_map.kinds], strict=True)
    for unit, (health, shield) in zip(units, ours, strict=True):
        if (unit.health_max, unit.shield_max) != (health, shield):
            raise UsageError(
                f"a unit of type {unit.unit_type} has {unit.health_max:g} health and "
                f"{unit.shield_max:g} shield in this game, not {health:g} and {shield:g}, so "
                f"that {battle_map.name} would be another task; use StarCraft II 4.10 and SMAC's "
                "own maps."
            )


def _moves(terrain: Terrain, units: Units, n: int) -> Bool[np.ndarray, "N 4"]:
    """Whether the ground one cell ahead is walkable for each agent and direction."""
    ahead = np.array(features.MOVES) * features.MOVE_AMOUNT / 2
    points = np.stack([units.x[:n], units.y[:n]], -1)[:, None] + ahead
    cell = np.floor(points).astype(int)
    inside = np.all((cell >= 0) & (cell < terrain.size), axis=-1)
    x, y = np.where(inside[..., None], cell, 0).transpose(2, 0, 1)
    return inside & terrain.walkable[x, y] & (units.health[:n, None] > 0)


def _normalised(terrain: Terrain, units: Units) -> Units:
    """Positions as in the state: relative to the map's centre, in units of the playable area."""
    (width, height), (across, up) = terrain.size, terrain.playable
    return units._replace(
        x=SIZE / 2 + (units.x - width / 2) * SIZE / across,
        y=SIZE / 2 + (units.y - height / 2) * SIZE / up,
    )
