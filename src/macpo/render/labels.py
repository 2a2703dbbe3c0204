"""Numbers of units apart, where units stand on each other."""

import math

import numpy as np
from jaxtyping import Float, Int

GAP = 1
"""Pixels between two numbers, and between a number and a bar."""
ROUNDS, WITH_BARS = 200, 12
"""Of pushing at most, and those in which bars push too: a crowd may leave no room beside them."""
_GOLDEN = math.pi * (3 - math.sqrt(5))


def apart(
    homes: Int[np.ndarray, "n 2"],
    sizes: Int[np.ndarray, "n 2"],
    bars: Int[np.ndarray, "m 4"],
    field: tuple[int, int],
) -> Int[np.ndarray, "n 2"]:
    """The middle of every number in pixels: its home, or a place near to it.

    Numbers that overlap push each other away until none do. Bars (left, top, right, bottom) push
    numbers too. All stay within a field of that size. The same homes give the same places.

    >>> homes, sizes = np.array([[50, 50], [52, 50], [90, 50]]), np.array([[10, 12]] * 3)
    >>> apart(homes, sizes, np.zeros((0, 4), int), (200, 100)).tolist()
    [[45, 50], [57, 50], [90, 50]]
    """
    needed = (sizes[:, None] + sizes) / 2 + GAP
    bar_middles = (bars[:, :2] + bars[:, 2:]) / 2
    bar_needed = (sizes[:, None] + bars[:, 2:] - bars[:, :2]) / 2 + GAP
    places = homes.astype(np.float64)
    for turn in range(ROUNDS):
        push = _from_numbers(places, needed)
        if turn < WITH_BARS:
            push += _from_bars(places, bar_middles, bar_needed)
        if not push.any():
            break
        places = np.clip(places + push, sizes / 2, np.array(field) - sizes / 2)
    return places.round().astype(int)


def _from_numbers(
    places: Float[np.ndarray, "n 2"], needed: Float[np.ndarray, "n n 2"]
) -> Float[np.ndarray, "n 2"]:
    """The mean of half the ways apart, along the lines between middles, of those that overlap.

    One pixel more than needed, so that rounding brings nobody together.
    """
    i, j = np.nonzero((np.abs(places[:, None] - places) < needed).all(-1))
    i, j = i[i != j], j[i != j]
    gap = places[i] - places[j]
    angle = (i + j) * _GOLDEN  # at the same place, any way will do
    ways = np.where(i < j, -1, 1) * np.stack([np.cos(angle), np.sin(angle)])
    gap = np.where((gap == 0).all(-1, keepdims=True), ways.T, gap)
    stretch = ((needed[i, j] + 1) / np.maximum(np.abs(gap), 1e-9)).min(-1, keepdims=True)
    return _mean(i, (stretch - 1) * gap / 2, len(places))


def _from_bars(
    places: Float[np.ndarray, "n 2"],
    bars: Float[np.ndarray, "m 2"],
    needed: Float[np.ndarray, "n m 2"],
) -> Float[np.ndarray, "n 2"]:
    """The mean of the ways up or down, whichever is shorter, that free numbers from bars."""
    i, j = np.nonzero((np.abs(places[:, None] - bars) < needed).all(-1))
    y = (places[i] - bars[j])[:, 1]
    way = np.where(y < 0, -1, 1) * (needed[i, j, 1] + 1 - np.abs(y))
    return _mean(i, np.stack([np.zeros(len(i)), way], -1), len(places))


def _mean(i: np.ndarray, pushes: Float[np.ndarray, "k 2"], n: int) -> Float[np.ndarray, "n 2"]:
    """The mean of the pushes on each of n."""
    total = np.zeros((n, 2))
    np.add.at(total, i, pushes)
    return total / np.maximum(np.bincount(i, minlength=n), 1)[:, None]
