"""SMAC's observations, global state, available actions and rewards, for the model and the game.

Written to the array API: NumPy arrays from the real game, JAX arrays inside a compiled program.
`smacv2_jax` makes SMACv2's of them: ranges by kind in `Columns`, other rules of who sees whom.
Every number, comparison and oddity is SMAC's (constructor defaults), so that a policy moves between
the two unchanged:

* the first number of an enemy's row is whether the *action* of that number is available, which for
  a Medivac refers to an ally;
* distances must be less than the sight range, but may equal the range of an attack;
* a dead agent sees zeros and has only action 0, no-op, which no living agent has;
* damage that enemies regenerate is rewarded as if it had been dealt to them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from array_api_compat import array_namespace

from macpo.envs.smac_jax import terrain
from macpo.envs.smac_jax.grounds import SIZE
from macpo.envs.smac_jax.maps import (
    N_ACTIONS_NO_ATTACK,
    REWARD_KILL,
    REWARD_WIN,
    BattleMap,
    Field,
)
from macpo.envs.smac_jax.units import ENERGY_MAX
from macpo.types import AnyArray

SIGHT, REACH = 9.0, 6.0
"""Cells between centres within which an agent sees, and may choose a target; for all kinds."""
NO_OP, STOP, NORTH, SOUTH, EAST, WEST = range(N_ACTIONS_NO_ATTACK)
MOVES = ((0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0))
"""(x, y) of north, south, east and west."""
MOVE_AMOUNT = 2.0
"""Distance in cells of the point that a move is ordered to; no unit gets that far in a step."""
_PROBE = MOVE_AMOUNT / 2  # how far ahead the ground must be walkable


class Units(NamedTuple):
    """All units of a battle, [U] each, allies first; a unit whose health is 0 is dead."""

    x: AnyArray
    y: AnyArray
    health: AnyArray
    shield: AnyArray
    energy: AnyArray
    cooldown: AnyArray
    """Loops until the weapon may be used again."""


class Columns(NamedTuple):
    """Constants of each unit's kind, [U] each, [U, types] for `one_hot`."""

    health_max: AnyArray
    shield_max: AnyArray
    one_hot: AnyArray
    heals: AnyArray
    ready_max: AnyArray
    """Divisor of its cooldown in the state, or of its energy if it heals."""
    sight: AnyArray
    """Cells within which it sees, as an agent."""
    reach: AnyArray
    """Cells within which it may choose a target, as an agent."""


def columns_of(battle_map: BattleMap) -> Columns:
    """The columns of a map's units, as NumPy arrays."""
    kinds = battle_map.kinds
    one_hot = np.arange(battle_map.n_types) == battle_map.type_index[:, None]
    return Columns(
        np.array([kind.health for kind in kinds], np.float32),
        # 1 avoids a division by 0; units without a shield have no such column
        np.array([kind.shield or 1.0 for kind in kinds], np.float32),
        one_hot.astype(np.float32),
        np.array([kind.heals for kind in kinds]),
        np.array([ENERGY_MAX if k.heals else k.state_cooldown for k in kinds], np.float32),
        np.full(len(kinds), SIGHT, np.float32),
        np.full(len(kinds), REACH, np.float32),
    )


def available_actions(
    field: Field, columns: Columns, units: Units, near: AnyArray | None = None
) -> AnyArray:
    """[N, A] whether each agent may take each action.

    `near` [N, U] is whom it may choose as a target; by default, all within its reach.
    """
    xp = array_namespace(units.x)
    n = field.n_agents
    alive = units.health > 0
    within = distances(units, n) <= xp.asarray(columns.reach)[:n, None] if near is None else near
    attack = within[:, n:] & alive[n:]
    targets = attack
    if field.has_healers:
        room, heals = field.n_enemies - n, xp.asarray(columns.heals)[:n]
        heal = (within[:, :n] & alive[:n] & ~heals)[:, : field.n_enemies]
        heal = xp.concat([heal, xp.zeros((n, max(room, 0)), dtype=xp.bool)], axis=1)
        targets = xp.where(heals[:, None], heal, attack)
    moves = [walkable(field, units.x[:n] + x, units.y[:n] + y) for x, y in _probes()]
    living = alive[:n]
    active = xp.stack([living, *(living & move for move in moves)], axis=1)
    return xp.concat([~living[:, None], active, targets & living[:, None]], axis=1)


def observe(
    field: Field,
    columns: Columns,
    units: Units,
    available: AnyArray,
    visible: AnyArray | None = None,
    own_columns: Sequence[AnyArray] = (),
) -> AnyArray:
    """[N, O] each agent's observation.

    `visible` [N, U] is whom it sees; by default, the living within its sight. `own_columns` [N] are
    further ones of its own row, before its kind.
    """
    xp = array_namespace(units.x)
    n, e = field.n_agents, field.n_enemies
    alive = units.health > 0
    distance, sight = distances(units, n), xp.asarray(columns.sight)[:n, None]
    sees = (distance < sight) & alive & alive[:n, None] if visible is None else visible
    place = [
        distance / sight,
        (units.x - units.x[:n, None]) / sight,
        (units.y - units.y[:n, None]) / sight,
    ]
    own = _kind(field, columns, units, slice(None, n), field.ally_shields)
    allies = xp.stack(
        [
            xp.ones((n, n), dtype=xp.float32),
            *(x[:, :n] for x in place),
            *(xp.broadcast_to(x, (n, n)) for x in own),
        ],
        axis=-1,
    )
    others = np.array([[j for j in range(n) if j != i] for i in range(n)], np.int32).reshape(n, -1)
    allies = xp.where(sees[:, :n, None], allies, 0.0)[np.arange(n)[:, None], others]
    kind = _kind(field, columns, units, slice(n, None), field.enemy_shields)
    enemies = xp.stack(
        [
            xp.astype(available[:, N_ACTIONS_NO_ATTACK:], xp.float32),
            *(x[:, n:] for x in place),
            *(xp.broadcast_to(x, (n, e)) for x in kind),
        ],
        axis=-1,
    )
    enemies = xp.where(sees[:, n:, None], enemies, 0.0)
    moves = xp.astype(available[:, NORTH : WEST + 1], xp.float32)
    own = xp.stack(_with(field, own, own_columns), axis=1)
    rows = [moves, xp.reshape(enemies, (n, -1)), xp.reshape(allies, (n, -1)), own]
    return xp.where(alive[:n, None], xp.concat(rows, axis=1), 0.0)


def global_state(
    field: Field,
    columns: Columns,
    units: Units,
    last_actions: AnyArray,
    own_columns: Sequence[AnyArray] = (),
) -> AnyArray:
    """[S] the whole battle; `last_actions` [N] is −1 before the first step.

    `own_columns` [N] are further ones of the allies, before their kind.
    """
    xp = array_namespace(units.x)
    n = field.n_agents
    alive = units.health > 0
    # a shooter shows its cooldown, a healer its energy
    heals, ready_max = (xp.asarray(x)[:n] for x in (columns.heals, columns.ready_max))
    ready = xp.where(heals, units.energy[:n], units.cooldown[:n]) / ready_max
    x, y = (units.x - SIZE / 2) / SIZE, (units.y - SIZE / 2) / SIZE
    own = _kind(field, columns, units, slice(None, n), field.ally_shields)
    health, *rest = _with(field, own, own_columns)
    allies = xp.stack([health, ready, x[:n], y[:n], *rest], axis=1)
    health, *rest = _kind(field, columns, units, slice(n, None), field.enemy_shields)
    enemies = xp.stack([health, x[n:], y[n:], *rest], axis=1)
    numbers = xp.arange(field.n_actions, dtype=last_actions.dtype)
    last = xp.astype(last_actions[:, None] == numbers, xp.float32)
    rows = [xp.where(alive[:n, None], allies, 0.0), xp.where(alive[n:, None], enemies, 0.0), last]
    return xp.concat([xp.reshape(row, (-1,)) for row in rows])


def visibility(battle_map: BattleMap, units: Units) -> AnyArray:
    """[N, U] which units each agent sees; no unit counts as seeing itself."""
    n = battle_map.n_agents
    alive = units.health > 0
    other = np.arange(n)[:, None] != np.arange(len(battle_map.kinds))
    return (distances(units, n) < SIGHT) & alive & alive[:n, None] & other


class Outcome(NamedTuple):
    """Whether a battle is over, and whether the allies won it."""

    over: AnyArray
    won: AnyArray


def outcome(battle_map: BattleMap, units: Units) -> Outcome:
    """Whether the battle is decided, and in our favour; defeat is checked first."""
    xp = array_namespace(units.x)
    n = battle_map.n_agents
    alive = units.health > 0
    allies, enemies = xp.any(alive[:n]), xp.any(alive[n:])
    lost, won = ~allies & enemies, allies & ~enemies
    if battle_map.ends_with_medivacs:
        fighters = xp.asarray(np.array([not kind.heals for kind in battle_map.kinds]))
        one_left = xp.sum(xp.astype(alive[n:], xp.int32)) == 1
        lost = lost | ~xp.any((alive & fighters)[:n])
        won = won | (one_left & ~xp.any((alive & fighters)[n:]))
    won = won & ~lost
    return Outcome(lost | won | ~(allies | enemies), won)


class Rewards(NamedTuple):
    """SMAC's options of the reward that studies vary; the defaults are SMAC's."""

    sparse: bool = False
    """Only 1 for a victory and −1 for a defeat (scaled like every reward)."""
    only_positive: bool = True
    """Whether harm to the allies is left out."""
    regeneration: bool = True
    """Whether health and shields that enemies regain are rewarded as if they had been lost; if
    False, regaining counts for nothing."""
    negative_scale: float = 0.5
    """Factor on harm to the allies."""


def reward(
    battle_map: BattleMap,
    before: Units,
    after: Units,
    choices: Rewards = Rewards(),  # noqa: B008 (immutable)
) -> AnyArray:
    """Of one env step: damage dealt to enemies, 10 for each kill and 200 for the victory."""
    xp = array_namespace(after.x)
    n = battle_map.n_agents
    over, won = outcome(battle_map, after)
    if choices.sparse:
        total = xp.where(won, 1.0, xp.where(over, -1.0, 0.0))
        draw = ~xp.any(after.health > 0)
        return xp.where(draw, 0.0, total) / battle_map.reward_divisor
    lost = endurance(before) - endurance(after)
    fell = xp.astype((before.health > 0) & ~(after.health > 0), xp.float32)
    damage = lost[n:] if choices.regeneration else xp.maximum(lost[n:], xp.zeros_like(lost[n:]))
    total = xp.sum(damage) + REWARD_KILL * xp.sum(fell[n:])
    if choices.only_positive:
        total = xp.abs(total)
    else:
        total = total - choices.negative_scale * (xp.sum(lost[:n]) + REWARD_KILL * xp.sum(fell[:n]))
    return (total + REWARD_WIN * xp.astype(won, xp.float32)) / battle_map.reward_divisor


def endurance(units: Units) -> AnyArray:
    """[U] health and shield of the living."""
    xp = array_namespace(units.x)
    return xp.where(units.health > 0, units.health + units.shield, 0.0)


def distances(units: Units, n: int) -> AnyArray:
    """[N, U] distances between the centres of agents and all units."""
    xp = array_namespace(units.x)
    x, y = units.x - units.x[:n, None], units.y - units.y[:n, None]
    return xp.sqrt(x * x + y * y)


def _probes() -> list[tuple[float, float]]:
    return [(_PROBE * x, _PROBE * y) for x, y in MOVES]


def walkable(field: Field, x: AnyArray, y: AnyArray) -> AnyArray:
    """Whether the ground at these points is walkable."""
    (left, right), (bottom, top) = field.walkable
    inside = (x >= left) & (x < right) & (y >= bottom) & (y < top)
    if field.ground is None:
        return inside
    xp = array_namespace(x)
    return inside & xp.take(xp.asarray(field.ground.ravel()), terrain.cell_of(x, y))


def _with(field: Field, rows: list[AnyArray], further: Sequence[AnyArray]) -> list[AnyArray]:
    """Columns of agents, with further ones before those of their kind."""
    condition = len(rows) - field.n_types
    return [*rows[:condition], *further, *rows[condition:]]


def _kind(
    field: Field, columns: Columns, units: Units, side: slice, shields: bool
) -> list[AnyArray]:
    """Columns of a unit's condition and kind: [U] each."""
    xp = array_namespace(units.x)
    rows = [units.health[side] / xp.asarray(columns.health_max[side])]
    if shields:
        rows.append(units.shield[side] / xp.asarray(columns.shield_max[side]))
    return rows + [xp.asarray(columns.one_hot[side, k]) for k in range(field.n_types)]
