"""The part of the field that each picture of a battle shows: a view that follows the fight.

The view stands still, then glides to a nearer or wider place. Every place contains all living units
from the beginning of the glide to it until the end of the glide away from it, so that every view
between two places contains them as well. When to glide is the best choice for the whole episode: an
env step costs the logarithm of the view's width, and each glide `CALM`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from macpo.render.battle import BattleEpisode, Point

ROOM = 1.5
"""Cells around the middle of a unit for its sign and bars, and around the walkable ground."""
MIN_HEIGHT = 10.0
"""Cells from bottom to top: nobody comes nearer."""
GLIDE = 5
"""Env steps: a second of a film."""
CALM = 2.0
"""A glide is worth a view that is narrower by a fifth for nine env steps, or by half for three."""


class View(NamedTuple):
    """A rectangle of the field."""

    left: float
    top: float
    """Cells of its upper left corner."""
    cell: float
    """Pixels of a cell."""

    def pixel(self, place: Point) -> tuple[int, int]:
        """The pixel of a position, from the upper left corner."""
        return round((place[0] - self.left) * self.cell), round((self.top - place[1]) * self.cell)


class Span(NamedTuple):
    """The rectangles [left, right, bottom, top] that contain the living units of each env step."""

    low: Float[np.ndarray, "T1 2"]
    high: Float[np.ndarray, "T1 2"]

    def united(self) -> "Span":
        """Each rectangle with all before it."""
        return Span(np.minimum.accumulate(self.low), np.maximum.accumulate(self.high))

    def between(self, start: int, end: int) -> "Span":
        """The rectangles of some env steps."""
        return Span(self.low[start:end], self.high[start:end])


def ground_of(episode: BattleEpisode) -> tuple[Point, Point]:
    """The lower left and the upper right corner of all that is ever shown."""
    (west, east), (south, north) = episode.map.walkable
    return (west - ROOM, south - ROOM), (east + ROOM, north + ROOM)


def follow(episode: BattleEpisode, size: tuple[int, int], times: Sequence[float]) -> list[View]:
    """The view at each time, in env steps, for a field of so many pixels.

    The field may be taller than the ground (`ground_of`) is at its width, and not wider.
    """
    spans = _spans(episode)
    starts = _glides(_widths(episode, size, spans))
    ends = [start + GLIDE for start in starts[1:]] + [len(spans.low)]
    views = [
        _rest(episode, size, spans.between(start, end))
        for start, end in zip(starts, ends, strict=True)
    ]
    return [_at(float(time), starts, views) for time in times]


def _spans(episode: BattleEpisode) -> Span:
    """Those of the units alive in each state, until the next one."""
    b = episode.battle
    places = np.stack([b.x, b.y], -1).astype(np.float64)
    alive = (np.asarray(b.health) > 0)[..., None]
    after = np.concatenate([places[1:], places[-1:]])
    low = np.where(alive, np.minimum(places, after), math.inf).min(1) - ROOM
    high = np.where(alive, np.maximum(places, after), -math.inf).max(1) + ROOM
    for t in np.flatnonzero(np.isinf(low[:, 0])):  # nobody is left: as before
        low[t], high[t] = low[t - 1], high[t - 1]
    return Span(low, high)


def _width(episode: BattleEpisode, size: tuple[int, int], spans: Span) -> Float[np.ndarray, " n"]:
    """Cells from left to right of the narrowest view that contains each rectangle."""
    wide, high = (spans.high - spans.low).T
    (west, _), (east, _) = ground_of(episode)
    aspect = size[0] / size[1]
    return np.minimum(np.maximum(wide, np.maximum(high, MIN_HEIGHT) * aspect), east - west)


def _widths(
    episode: BattleEpisode, size: tuple[int, int], spans: Span
) -> list[Float[np.ndarray, " _"]]:
    """For each env step the widths of views that stand from it until each later one."""
    n = len(spans.low)
    return [_width(episode, size, spans.between(start, n).united()) for start in range(n)]


def _glides(widths: Sequence[Float[np.ndarray, " _"]]) -> list[int]:
    """The env steps in which a glide begins, after the first view's 0."""
    n = len(widths)
    cost, before = np.full(n, math.inf), np.zeros(n, int)
    cost[0], best, last = 0.0, math.inf, 0
    for start in range(n):
        if math.isinf(cost[start]):
            continue
        logs = np.log(widths[start])
        total = cost[start] + logs[-1] * (n - start)
        if total < best:
            best, last = total, start
        # the next glide's start, and the last env step that this view must still contain
        nexts = np.arange(start + GLIDE, n - GLIDE)
        there = cost[start] + CALM + logs[nexts + GLIDE - 1 - start] * (nexts - start)
        better = nexts[there < cost[nexts]]
        cost[better], before[better] = there[better - start - GLIDE], start
    starts = [last]
    while starts[-1]:
        starts.append(int(before[starts[-1]]))
    return starts[::-1]


def _rest(episode: BattleEpisode, size: tuple[int, int], spans: Span) -> View:
    """The nearest view of all these rectangles, within the ground; a higher one has the ground in
    its middle."""
    union = Span(spans.low.min(0, keepdims=True), spans.high.max(0, keepdims=True))
    width = float(_width(episode, size, union)[0])
    shown = np.array([width, width * size[1] / size[0]])
    low, high = (np.array(corner) for corner in ground_of(episode))
    corner = (union.low[0] + union.high[0] - shown) / 2
    within = np.maximum(np.minimum(corner, high - shown), low)
    left, bottom = np.where(shown > high - low, (low + high - shown) / 2, within)
    return View(float(left), float(bottom + shown[1]), size[0] / width)


def _at(time: float, starts: Sequence[int], views: Sequence[View]) -> View:
    """The view that stands at a time, or one between two.

    Corners and widths change in step, so that whatever stands still crosses a gliding picture in
    one direction and does not tremble.
    """
    k = max(i for i, start in enumerate(starts) if start <= time)
    share = (time - starts[k]) / GLIDE
    if k == 0 or share >= 1:
        return views[k]
    share = share * share * (3 - 2 * share)
    a, b = views[k - 1], views[k]
    return View(
        a.left + share * (b.left - a.left),
        a.top + share * (b.top - a.top),
        1 / (1 / a.cell + share * (1 / b.cell - 1 / a.cell)),
    )
