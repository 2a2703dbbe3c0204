"""Actions as SMAC sends them to the game."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from macpo.envs.smac_jax.features import MOVE_AMOUNT, MOVES, NO_OP, NORTH, STOP, WEST
from macpo.envs.smac_jax.maps import N_ACTIONS_NO_ATTACK, BattleMap

ABILITY_STOP, ABILITY_MOVE, ABILITY_ATTACK, ABILITY_HEAL = 4, 16, 23, 386
"""The game's ability ids."""


class Command(NamedTuple):
    """An order to one unit; units are named by their tags."""

    unit: int
    ability: int
    target: int | None = None
    point: tuple[float, float] | None = None


def commands(
    battle_map: BattleMap,
    actions: Sequence[int],
    tags: Sequence[int],
    positions: Sequence[tuple[float, float]],
) -> Iterator[Command]:
    """The commands for the agents' actions; `tags` are those of all units, allies first.

    Action 0, a dead agent's, gives no command.
    """
    n = battle_map.n_agents
    for i, action in enumerate(actions):
        if action == NO_OP:
            continue
        if action == STOP:
            yield Command(tags[i], ABILITY_STOP)
        elif NORTH <= action <= WEST:
            (x, y), (dx, dy) = positions[i], MOVES[action - NORTH]
            yield Command(tags[i], ABILITY_MOVE, point=(x + MOVE_AMOUNT * dx, y + MOVE_AMOUNT * dy))
        elif battle_map.kinds[i].heals:
            yield Command(tags[i], ABILITY_HEAL, tags[action - N_ACTIONS_NO_ATTACK])
        else:
            yield Command(tags[i], ABILITY_ATTACK, tags[n + action - N_ACTIONS_NO_ATTACK])
