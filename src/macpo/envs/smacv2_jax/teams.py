"""Who fights in a battle, and where everybody starts: drawn by SMACv2's published rules."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from macpo.envs.smac_jax.grounds import SIZE
from macpo.envs.smac_jax.roster import Roster
from macpo.envs.smacv2_jax.tasks import RARE, WEIGHTS, Task

SURROUNDED = 0.5
"""Probability that the allies start in the middle, with the enemies around them."""
MAX_GROUPS = 4
NEAR = np.array([(14.0, 14.0), (14.0, 18.0), (18.0, 18.0), (18.0, 14.0)], np.float32)
FAR = np.array([(0.0, 0.0), (0.0, 32.0), (32.0, 32.0), (32.0, 0.0)], np.float32)
"""The ends of the four diagonals on which groups of enemies start."""
_SPACING = 0.5  # cells between the places around a point that is taken
_ROOM = 1.61  # cells around the corner of a map, by the square root of a group that fits there
_EDGE = 1e-5  # cells by which a start keeps off the end of the walkable ground


def draw_teams(key: PRNGKeyArray, task: Task) -> Int[Array, " U"]:
    """The kind of every unit, allies first: the enemies are a copy of them, and further ones."""
    n, extra = task.n_agents, task.n_enemies - task.n_agents
    # one call for all numbers: each one takes long to compile
    uniform_noise = jax.random.uniform(key, (task.n_enemies + 4,))
    allies = _team(uniform_noise[:n], uniform_noise[-4:-2], task.rare_alone)
    more = [_team(uniform_noise[n:-4], uniform_noise[-2:], task.rare_alone)] if extra else []
    return jnp.concatenate([allies, allies, *more])


def _team(
    uniform_noise: Float[Array, " size"], condition: Float[Array, " 2"], rare_alone: bool
) -> Int[Array, " size"]:
    """Independent draws, where need be on the condition that not all are of the rare kind.

    SMACv2 repeats its draws until that holds. Here the first unit of another kind is drawn first.
    """
    bounds = np.cumsum(WEIGHTS).astype(np.float32)
    kinds = (uniform_noise[:, None] >= bounds[:-1]).sum(1)
    if not rare_alone:
        number, rare = np.arange(len(uniform_noise)), WEIGHTS[RARE]
        # the first i + 1 units are not all of the rare kind, given that not all of the team are
        by = (1 - rare ** (number + 1.0)) / (1 - rare ** len(uniform_noise))
        first = (condition[0] >= by[:-1].astype(np.float32)).sum()
        other = (condition[1] * bounds[RARE - 1] >= bounds[: RARE - 1]).sum()
        kinds = jnp.where(number < first, RARE, jnp.where(number == first, other, kinds))
    return kinds.astype(jnp.int8)


def draw_places(key: PRNGKeyArray, task: Task) -> Float[Array, "U 2"]:
    """Where every unit is created: both sides reflected, or the allies surrounded."""
    uniform_noise = jax.random.uniform(key, (2 + 2 * (task.n_enemies + MAX_GROUPS),))
    rest = uniform_noise[1:]
    return jnp.where(uniform_noise[0] > SURROUNDED, _surrounded(rest, task), _reflected(rest, task))


def _reflected(uniform_noise: Float[Array, " numbers"], task: Task) -> Float[Array, "U 2"]:
    """The allies anywhere in the west, the enemies in their mirror images, further ones anywhere in
    the east."""
    places = uniform_noise[: 2 * task.n_enemies].reshape(-1, 2)
    allies = places[: task.n_agents] * np.array([SIZE / 2 - 1, SIZE], np.float32)
    more = places[task.n_agents :] * np.array([SIZE / 2, SIZE], np.float32)
    mirrored = jnp.stack([SIZE - allies[:, 0], allies[:, 1]], 1)
    return jnp.concatenate([allies, mirrored, more + np.array([SIZE / 2, 0], np.float32)])


def _surrounded(uniform_noise: Float[Array, " numbers"], task: Task) -> Float[Array, "U 2"]:
    """The allies in the middle, up to four groups of enemies at random places on diagonals."""
    ends = np.cumsum([1, task.n_enemies, MAX_GROUPS])
    count, member, which, near = jnp.split(uniform_noise[: ends[-1] + MAX_GROUPS], ends)
    groups = 1 + jnp.floor(count[0] * MAX_GROUPS)
    # equally likely groups for each enemy make their sizes multinomial
    group = jnp.floor(jnp.sort(member) * groups).astype(jnp.int32)
    diagonal = jnp.argsort(which)[group]
    near = near[group, None]
    enemies = near * jnp.asarray(NEAR)[diagonal] + (1 - near) * jnp.asarray(FAR)[diagonal]
    allies = jnp.full((task.n_agents, 2), SIZE / 2)
    return jnp.concatenate([allies, enemies])


def settle(task: Task, units: Roster, points: Float[Array, "U 2"]) -> Float[Array, "U 2"]:
    """Where the units come to stand that are created at these points, one after another.

    Each takes the nearest place, of a grid of rings around its point, that is walkable and free. If
    there is none, it takes its point, and is pushed away in the first loops.
    """
    around = jnp.asarray(_around(task.n_enemies))
    margin = jnp.where(units.flies, 0.0, units.radius)  # [U, 1]
    low, high = (jnp.array(ends) for ends in zip(*task.walkable, strict=True))
    low, high = low + margin, high - margin - _EDGE
    apart = jnp.square(jnp.maximum(units.separation[..., 0], 0.0))
    points = jnp.clip(points, low, high)
    numbers = jnp.arange(len(points))

    def put(i: Array, places: Float[Array, "U 2"]) -> Float[Array, "U 2"]:
        spots = points[i] + around
        inside = ((spots >= low[i]) & (spots <= high[i])).all(1)
        x, y = (spots[:, k, None] - places[:, k] for k in (0, 1))
        free = inside & ((x * x + y * y >= apart[i]) | (numbers >= i)).all(1)
        return places.at[i].set(spots[free.argmax()])

    return jax.lax.fori_loop(0, len(points), put, points)


def _around(group: int) -> Float[np.ndarray, "places 2"]:
    """The places around a point, nearest first, of which a quarter has room for so many units."""
    rings = math.ceil(_ROOM * math.sqrt(group) / _SPACING)
    places = [(0.0, 0.0)]
    for ring in range(1, rings + 1):
        turns = np.arange(6 * ring) / (6 * ring) * 2 * np.pi
        places += [(ring * _SPACING * np.cos(a), ring * _SPACING * np.sin(a)) for a in turns]
    return np.array(places, np.float32)
