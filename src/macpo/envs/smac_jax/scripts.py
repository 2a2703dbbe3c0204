"""Scripted policies: baselines for learned policies, and probes of the battle model.

A script chooses the actions of all agents of one battle; apply `jax.vmap` for many.
"""

from typing import Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from macpo.envs.smac_jax.dynamics import Battle, Dynamics
from macpo.envs.smac_jax.features import (
    EAST,
    MOVE_AMOUNT,
    MOVES,
    NO_OP,
    NORTH,
    REACH,
    SIGHT,
    SOUTH,
    STOP,
    WEST,
)
from macpo.envs.smac_jax.maps import N_ACTIONS_NO_ATTACK


class Script(Protocol):
    """(key, rules, battle, availability) → actions."""

    def __call__(
        self, key: PRNGKeyArray, dynamics: Dynamics, battle: Battle, available: Bool[Array, "N A"]
    ) -> Int[Array, " N"]:
        """Actions of all agents."""
        ...


def at_random(
    key: PRNGKeyArray, dynamics: Dynamics, battle: Battle, available: Bool[Array, "N A"]
) -> Int[Array, " N"]:
    """Uniformly random available actions."""
    return jax.random.categorical(key, jnp.where(available, 0.0, -jnp.inf))


def all_stop(
    key: PRNGKeyArray, dynamics: Dynamics, battle: Battle, available: Bool[Array, "N A"]
) -> Int[Array, " N"]:
    """Every living agent stops."""
    return jnp.where(available[:, NO_OP], NO_OP, STOP)


def nearest(
    key: PRNGKeyArray, dynamics: Dynamics, battle: Battle, available: Bool[Array, "N A"]
) -> Int[Array, " N"]:
    """Each agent goes for the nearest enemy it can hit, or wounded ally it can heal."""
    n, units = dynamics.n, dynamics.units
    heals = jnp.asarray(units.heals[:n, 0])
    wounded = battle.health < units.health[:, 0]
    eligible = units.can_target[:n, :, 0] & (battle.health > 0) & (wounded | ~heals[:, None])
    x, y = battle.x - battle.x[:n, None], battle.y - battle.y[:n, None]
    distance = jnp.where(eligible, jnp.hypot(x, y), jnp.inf)
    target = distance.argmin(1)
    action = N_ACTIONS_NO_ATTACK + target - jnp.where(heals, 0, n)
    action = jnp.minimum(action, available.shape[1] - 1)
    step = _towards(_gather(x, target), _gather(y, target))
    action = jnp.where(_gather(available, action), action, step)
    some = jnp.isfinite(distance.min(1)) & _gather(available, action)
    return jnp.where(some, action, all_stop(key, dynamics, battle, available))


def kite(
    key: PRNGKeyArray,
    dynamics: Dynamics,
    battle: Battle,
    available: Bool[Array, "N A"],
    distance: float = 3.2,
    ready_within: float = 3.0,
) -> Int[Array, " N"]:
    """Shoot while no enemy is nearer than `distance`, and run away between shots.

    A weapon counts as ready if it will be within `ready_within` loops. An agent shoots at the
    weakest target, and runs in the direction whose next three steps keep it farthest from the
    enemies it sees and from the edges.
    """
    n = dynamics.n
    (left, right), (bottom, top) = dynamics.map.walkable
    living = battle.health[n:] > 0
    x, y = battle.x[n:] - battle.x[:n, None], battle.y[n:] - battle.y[:n, None]
    far = jnp.where(living, jnp.hypot(x, y), jnp.inf)
    nearest_enemy = far.argmin(1)
    attack = available[:, N_ACTIONS_NO_ATTACK:]
    strength = jnp.where(attack, (battle.health + battle.shield)[n:], jnp.inf)
    shoot = N_ACTIONS_NO_ATTACK + strength.argmin(1)
    approach = _towards(_gather(x, nearest_enemy), _gather(y, nearest_enemy))

    way = MOVE_AMOUNT * jnp.arange(1, 4)[:, None] * jnp.asarray(MOVES)[:, None]  # [4, 3, 2]
    at_x = jnp.clip(battle.x[:n, None, None] + way[..., 0], left, right)
    at_y = jnp.clip(battle.y[:n, None, None] + way[..., 1], bottom, top)
    away = jnp.hypot(battle.x[n:] - at_x[..., None], battle.y[n:] - at_y[..., None])
    in_sight = (far < SIGHT)[:, None, None]
    away = jnp.where(in_sight, away, jnp.inf).min(-1)
    edge = jnp.minimum(
        jnp.minimum(at_x - left, right - at_x), jnp.minimum(at_y - bottom, top - at_y)
    )
    worth = (jnp.minimum(away, 7.0) - 0.6 * jnp.maximum(3.0 - edge, 0.0)).sum(-1)
    moves = available[:, NORTH : WEST + 1]
    run = NORTH + jnp.where(moves, worth, -jnp.inf).argmax(1)

    ready = battle.cooldown[:n] <= ready_within
    shoots = ready & attack.any(1) & (far.min(1) > distance)
    approaches = ready & ~attack.any(1) & (far.min(1) > REACH) & _gather(available, approach)
    action = jnp.where(shoots, shoot, jnp.where(approaches, approach, run))
    stand = all_stop(key, dynamics, battle, available)
    return jnp.where(_gather(available, action), action, stand)


def _towards(x: Array, y: Array) -> Array:
    """The move along the axis of the larger distance."""
    east_west = jnp.where(x > 0, EAST, WEST)
    return jnp.where(jnp.abs(x) > jnp.abs(y), east_west, jnp.where(y > 0, NORTH, SOUTH))


def _gather(rows: Array, index: Array) -> Array:
    return jnp.take_along_axis(rows, index[:, None], 1)[:, 0]
