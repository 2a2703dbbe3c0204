"""Which units of a battle are numbered, and where their numbers are written."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from macpo.envs.smac_jax.dynamics import NOBODY
from macpo.envs.smac_jax.units import LOOPS_PER_STEP
from macpo.render.battle import BattleEpisode, Point
from macpo.render.camera import View
from macpo.render.labels import apart, grouped
from macpo.render.pen import number_size

CROWD = 8
"""Units that stand so close together that their numbers would not fit are a crowd if there are
more."""
CALM = 2
"""Env steps before and after it for which an enemy in a crowd counts as in it."""


class Number(NamedTuple):
    """Where the number of a unit is written, in pixels of the field."""

    unit: int
    home: tuple[int, int]
    """The middle of the unit."""
    at: tuple[int, int]
    tagged: bool
    """Whether it is not on its own unit, or another unit is on that, or it is in a crowd."""


class Numbering(NamedTuple):
    """The numbers of an episode, for each state and all that is drawn until the next one."""

    shown: Bool[np.ndarray, "T1 U"]
    """Everybody's but in a crowd, where only allies have one and enemies at whom an agent aims."""
    crowded: Bool[np.ndarray, "T1 U"]
    """The enemies in a crowd."""
    shifts: Float[np.ndarray, "T1 U 2"]
    """The pixels by which numbers are moved so that none is on another; in between they move from
    one to the other, which is calmer than a choice for each picture."""


def numbering_of(
    episode: BattleEpisode, views: Sequence[View], field: tuple[int, int]
) -> Numbering:
    """The numbers of an episode whose states are seen in these views."""
    crowded = _crowded(episode, views)
    shown = ~crowded
    for step, aims in enumerate(episode.ordered):
        shown[step, aims[aims != NOBODY]] = True
    shifts = np.zeros((*shown.shape, 2))
    for step, view in enumerate(views):
        shifts[step] = shifts[max(step - 1, 0)]  # of those whose numbers vanish on the way
        units = [i for i in _alive(episode, step) if shown[step, i]]
        homes = _homes(episode, units, view, step)
        shifts[step, units] = apart(homes, _sizes(episode, units, view), field) - homes
    return Numbering(shown, crowded, shifts)


def numbers(
    view: View,
    episode: BattleEpisode,
    units: Sequence[int],
    places: Sequence[Point],
    numbering: Numbering,
    time: float,
    field: tuple[int, int],
) -> list[Number]:
    """The numbers at a time in env steps, none on another, of units that come as they are drawn."""
    step = int(time)
    shifts = episode.at(numbering.shifts, time * LOOPS_PER_STEP)
    homes = [view.pixel(places[i]) for i in units]
    radii = [episode.map.kinds[i].radius * view.cell for i in units]
    shown = [k for k, i in enumerate(units) if numbering.shown[step, i]]
    its = [units[k] for k in shown]
    moved = np.reshape([homes[k] for k in shown], (-1, 2)) + shifts[its]
    at = [(int(x), int(y)) for x, y in apart(moved, _sizes(episode, its, view), field)]

    def tagged(k: int, place: tuple[int, int]) -> bool:
        covered = (math.dist(homes[k], homes[j]) < radii[j] for j in range(k + 1, len(units)))
        away = math.dist(homes[k], place) > radii[k] / 2
        return bool(away or numbering.crowded[step, units[k]] or any(covered))

    return [
        Number(units[k], homes[k], place, tagged(k, place))
        for k, place in zip(shown, at, strict=True)
    ]


def letters(radius: float) -> int:
    """The size of the letters in a unit of that radius, in pixels."""
    return round(min(max(1.1 * radius, 9.0), 18.0))


def _crowded(episode: BattleEpisode, views: Sequence[View]) -> Bool[np.ndarray, "T1 U"]:
    """The enemies that are in a crowd at about that time."""
    found = np.zeros((len(views), len(episode.kinds)), bool)
    for step, view in enumerate(views):
        units = _alive(episode, step)
        homes = _homes(episode, units, view, step)
        found[step, units] = grouped(homes, _sizes(episode, units, view)) > CROWD
    found[:, : episode.n] = False
    around = [slice(max(step - CALM, 0), step + CALM + 1) for step in range(len(views))]
    return np.array([found[steps].any(0) for steps in around])


def _alive(episode: BattleEpisode, step: int) -> list[int]:
    return np.flatnonzero(episode.battle.health[step] > 0).tolist()


def _homes(
    episode: BattleEpisode, units: Sequence[int], view: View, step: int
) -> Int[np.ndarray, "n 2"]:
    """The middles of units in a state, in pixels."""
    x, y = episode.battle.x[step], episode.battle.y[step]
    homes = [view.pixel((float(x[i]), float(y[i]))) for i in units]
    return np.reshape(homes, (-1, 2)).astype(int)


def _sizes(episode: BattleEpisode, units: Sequence[int], view: View) -> Int[np.ndarray, "n 2"]:
    """Of units' numbers, in pixels."""
    sizes = [letters(episode.map.kinds[i].radius * view.cell) for i in units]
    names = [episode.names[i] for i in units]
    return np.reshape([*map(number_size, names, sizes)], (-1, 2)).astype(int)
