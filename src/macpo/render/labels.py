"""Numbers of units apart, where units stand on each other, and where there is no room for that."""

import math

import numpy as np
from jaxtyping import Float, Int, Num

GAP = 1
"""Pixels between two numbers."""
NEAR = 1.25
"""Numbers have no room if their middles are not so many times as far apart as they need."""
ROUNDS = 200
"""Of pushing, at most."""
_GOLDEN = math.pi * (3 - math.sqrt(5))


def apart(
    homes: Num[np.ndarray, "n 2"], sizes: Int[np.ndarray, "n 2"], field: tuple[int, int]
) -> Int[np.ndarray, "n 2"]:
    """The middle of every number in pixels: its home, or a place near to it.

    Numbers that overlap push each other away until none do; all stay within a field of that size.
    The same homes give the same places.

    >>> homes, sizes = np.array([[50, 50], [52, 50], [90, 50]]), np.array([[10, 12]] * 3)
    >>> apart(homes, sizes, (200, 100)).tolist()
    [[45, 50], [57, 50], [90, 50]]
    """
    needed = _needed(sizes)
    places = homes.astype(np.float64)
    for _ in range(ROUNDS):
        push = _pushes(places, needed)
        if not push.any():
            break
        places = np.clip(places + push, sizes / 2, np.array(field) - sizes / 2)
    return places.round().astype(int)


def grouped(homes: Num[np.ndarray, "n 2"], sizes: Int[np.ndarray, "n 2"]) -> Int[np.ndarray, " n"]:
    """How many numbers stand together with each, itself included: those that have no room beside
    it, those that have none beside these, and so on.

    >>> homes, sizes = np.array([[50, 50], [60, 50], [70, 50], [99, 50]]), np.array([[10, 12]] * 4)
    >>> grouped(homes, sizes).tolist()
    [3, 3, 3, 1]
    """
    needed = _needed(sizes)
    joined = np.asarray((np.abs(homes[:, None] - homes) < NEAR * needed).all(-1))
    while True:
        wider = joined @ joined
        if np.array_equal(wider, joined):
            return joined.sum(1)
        joined = wider


def _needed(sizes: Int[np.ndarray, "n 2"]) -> Float[np.ndarray, "n n 2"]:
    """How far apart the middles of two numbers must be, in x or in y."""
    return (sizes[:, None] + sizes) / 2 + GAP


def _pushes(
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
    total = np.zeros_like(places)
    np.add.at(total, i, (stretch - 1) * gap / 2)
    return total / np.maximum(np.bincount(i, minlength=len(places)), 1)[:, None]
