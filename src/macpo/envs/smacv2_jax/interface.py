"""SMACv2's interface where it is not SMAC's: ranges by kind, fields of view, rewards and ends.

Everything else is in `smac_jax.features`. Arrays are those of one battle, of JAX or, without a
cone, of NumPy.
"""

import jax.numpy as jnp
import numpy as np
from array_api_compat import array_namespace
from jaxtyping import Int

from macpo.envs.smac_jax import features
from macpo.envs.smac_jax.features import Columns, Outcome, Units, distances
from macpo.envs.smac_jax.maps import (
    N_ACTIONS_NO_ATTACK,
    REWARD_KILL,
    REWARD_SCALE,
    REWARD_WIN,
)
from macpo.envs.smac_jax.roster import looked_up
from macpo.envs.smac_jax.units import ENERGY_MAX
from macpo.envs.smacv2_jax.sight import in_cone
from macpo.envs.smacv2_jax.tasks import N_VIEWS, RANGES, Task
from macpo.types import AnyArray


def columns_of(task: Task, kinds: Int[AnyArray, " U"]) -> Columns:
    """The columns of units of these kinds."""
    xp, cast = array_namespace(kinds), task.cast

    def column(values: list[float]) -> AnyArray:
        return looked_up(np.array(values, np.float32), kinds)

    return Columns(
        health_max=column([kind.health for kind in cast]),
        shield_max=column([kind.shield or 1.0 for kind in cast]),
        one_hot=xp.astype(kinds[:, None] == np.arange(len(cast), dtype=np.int8), xp.float32),
        heals=looked_up(np.array([kind.heals for kind in cast]), kinds),
        ready_max=column([ENERGY_MAX if kind.heals else kind.state_cooldown for kind in cast]),
        sight=column([RANGES[kind].sight for kind in task.kinds]),
        reach=column([RANGES[kind].reach for kind in task.kinds]),
    )


def in_sight(task: Task, columns: Columns, units: Units, views: AnyArray | None) -> AnyArray:
    """[N, U] which places are in each agent's field of view, whoever is there."""
    n = task.n_agents
    if views is not None:
        return in_cone(units, views, columns.sight[:n])
    return distances(units, n) < columns.sight[:n, None]


def in_reach(task: Task, columns: Columns, units: Units, views: AnyArray | None) -> AnyArray:
    """[N, U] which units each agent may choose as targets, if it may attack or heal them."""
    n = task.n_agents
    if views is not None:
        return in_cone(units, views, columns.reach[:n])
    return distances(units, n) <= columns.reach[:n, None]


def with_views(task: Task, available: AnyArray) -> AnyArray:
    """[N, A] the actions once those are inserted that turn the view: the living always may."""
    if not task.conic_fov:
        return available
    before, targets = available[:, :N_ACTIONS_NO_ATTACK], available[:, N_ACTIONS_NO_ATTACK:]
    turns = jnp.repeat(~before[:, :1], N_VIEWS, axis=1)
    return jnp.concatenate([before, turns, targets], axis=1)


def outcome(task: Task, columns: Columns, units: Units) -> Outcome:
    """Whether the battle is decided, and in our favour; defeat is checked first.

    A Terran side has lost once only Medivacs are left of it, however many.
    """
    xp = array_namespace(units.x)
    n = task.n_agents
    alive = units.health > 0
    fights = alive & ~columns.heals if task.has_healers else alive
    allies, enemies = xp.any(fights[:n]), xp.any(fights[n:])
    return Outcome(~allies | ~enemies, allies & ~enemies)


def reward(task: Task, columns: Columns, before: Units, after: Units) -> AnyArray:
    """Of one env step: damage dealt to enemies and 10 for each kill, unless they regained more, and
    200 for the victory; 20 in all for a perfect battle."""
    xp = array_namespace(after.x)
    n = task.n_agents
    lost = features.endurance(before) - features.endurance(after)
    fell = xp.astype((before.health > 0) & ~(after.health > 0), xp.float32)
    shaped = xp.sum(lost[n:]) + REWARD_KILL * xp.sum(fell[n:])
    shaped = xp.maximum(shaped, xp.zeros_like(shaped))
    won = xp.astype(outcome(task, columns, after).won, xp.float32)
    most = columns.health_max + (columns.shield_max if task.enemy_shields else 0.0)
    max_reward = xp.sum(most[n:]) + REWARD_KILL * task.n_enemies + REWARD_WIN
    return (shaped + REWARD_WIN * won) * (REWARD_SCALE / max_reward)
