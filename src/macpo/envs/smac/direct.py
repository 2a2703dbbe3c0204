"""SMAC's environment over our own line to the game: what the `smac` package does, without it.

Source: SMAC (Samvelyan et al. 2019) and the behaviour of its code at the constructor's defaults.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from macpo.envs.host import EnvironmentLost
from macpo.envs.smac.game import ALLY, Game, Launch, Terrain, Unit
from macpo.envs.smac.orders import commands
from macpo.envs.smac_jax import features
from macpo.envs.smac_jax.features import NORTH, WEST, Columns, Units
from macpo.envs.smac_jax.maps import SIZE, BattleMap
from macpo.envs.smac_jax.units import LOOPS_PER_STEP
from macpo.errors import UsageError
from macpo.types import TimeStep

_PATIENCE = 160
"""Game loops until all units of a new episode must be there."""
_GONE = Unit(0, 0, 0, *[0.0] * 8)
"""Stands for a unit that is no longer observed: the map lifts the fog, so it is dead."""


class Direct:
    """SMAC's episodes in one game."""

    def __init__(self, battle_map: BattleMap, how: Launch, replay_dir: str = "") -> None:
        self._map, self._file, self._replay_dir = battle_map, how.map_file, replay_dir
        self._game = Game(how)
        self._living: list[Unit] = []
        self._new_game = True

    def reset(self) -> TimeStep:
        """Start an episode: at first as the map does, then by killing everybody."""
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
        """Give the orders, let eight game loops pass, look."""
        before, self._last_actions = self._units, np.asarray(actions)
        places = list(zip(before.x.tolist(), before.y.tolist(), strict=True))
        self._game.order(list(commands(self._map, actions, self._tags, places)))
        self._game.advance(LOOPS_PER_STEP)
        self._units = self._observe()
        self._t += 1
        over, won = features.outcome(self._map, self._units)
        late = self._t >= self._map.episode_limit
        reward = features.reward(self._map, before, self._units)
        return self._timestep(reward, bool(over), late and not over, bool(won))

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
        """Wait for both sides, and number their units as SMAC does."""
        wanted = (self._map.n_agents, self._map.n_enemies)
        found = (0, 0)
        for _ in range(_PATIENCE):
            seen = self._game.units()
            allies = sorted(
                (unit for unit in seen if unit.owner == ALLY),
                key=lambda unit: (unit.unit_type, unit.x, unit.y),
            )
            enemies = [unit for unit in seen if unit.owner != ALLY]
            found = (len(allies), len(enemies))
            if found == wanted and not {unit.tag for unit in seen} & set(killed):
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
        self._seen_as = _as_numbered(self._map, enemies)
        self._columns = features.columns_of(self._seen_as)
        _check(self._seen_as, self._columns, self._living)

    def _observe(self) -> Units:
        """All units as they are now, in the agents' and enemies' order."""
        self._living = self._game.units()
        by_tag = {unit.tag: unit for unit in self._living}
        rows = [by_tag.get(tag, _GONE) for tag in self._tags]
        # float64, as SMAC compares distances in Python's floats
        names = ("x", "y", "health", "shield", "energy", "cooldown")
        return Units(*(np.array([getattr(row, name) for row in rows]) for name in names))

    def _timestep(self, reward: Any, terminated: bool, truncated: bool, won: bool) -> TimeStep:
        battle_map, units, n = self._seen_as, self._units, self._map.n_agents
        available = features.available_actions(battle_map, units)
        available[:, NORTH : WEST + 1] = _moves(self._game.terrain, units, n)
        obs = features.observe(battle_map, self._columns, units, available)
        placed = _normalised(self._game.terrain, units)
        state = features.global_state(battle_map, self._columns, placed, self._last_actions)
        return TimeStep(
            obs.astype(np.float32),
            state.astype(np.float32),
            available,
            _number(reward),
            *map(_flag, (terminated, truncated)),
            info={
                "battle_won": _number(won),
                "dead_allies": _number((units.health[:n] <= 0).sum()),
                "dead_enemies": _number((units.health[n:] <= 0).sum()),
            },
        )


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
    """UsageError unless the game's units endure what ours do: rewards are divided by that."""
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
    places = np.stack([units.x[:n], units.y[:n]], -1)[:, None] + ahead
    cell = np.floor(places).astype(int)
    inside = np.all((cell >= 0) & (cell < terrain.size), axis=-1)
    x, y = np.where(inside[..., None], cell, 0).transpose(2, 0, 1)
    return inside & terrain.walkable[x, y] & (units.health[:n, None] > 0)


def _normalised(terrain: Terrain, units: Units) -> Units:
    """Places as the state shows them: relative to the map's middle, in playable areas."""
    (width, height), (across, up) = terrain.size, terrain.playable
    return units._replace(
        x=SIZE / 2 + (units.x - width / 2) * SIZE / across,
        y=SIZE / 2 + (units.y - height / 2) * SIZE / up,
    )


def _number(x: Any) -> Any:
    return np.asarray(x, np.float32)


def _flag(x: bool) -> Any:
    return np.asarray(x, bool)
