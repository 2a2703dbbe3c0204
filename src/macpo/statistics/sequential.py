"""Are two methods different? A test of paired differences, at one look or after every pair.

If two methods score alike, the difference of a pair of their runs is as probable with either sign,
whatever the scores are: seeds that fail altogether, ties, a handful of seeds. Given the sizes of
the differences, all ways to flip their signs are then equally probable, and it can be counted how
often the sum is as far from 0 as the observed one. Only the pairs must be independent.

Who looks after every pair, and stops when a difference shows, needs a stricter threshold than who
looks once. Here at most a share α(k/n) of all ways is stopped by the k-th of n pairs: each look
stops those of the largest sums among the ways that no look before has stopped. If there is no
difference, the observed way is any of them with the same probability, and it is ever stopped with
a probability of at most α(1) = 1 − level.

The shares follow Pocock's type. Of 20 pairs that differ by one standard deviation on average it
finds the difference in 95 % of cases, in half of all within 9 pairs. O'Brien and Fleming's type
finds it in 98 %, but takes 12 pairs, and pairs cost training. E-values, which need no largest
number, find it in 71 % (bets on the sign, mixed uniformly; 2,000 simulations each).

With more than 16 pairs the ways are 2^16 of all. They form a group (flipping one way, then another,
is a third), on which the argument rests, so that the error rate stays exact.

Source: Pitman 1937 (the test of one look); Mehta, Patel, Senchaudhuri and Tsiatis 1994, "Exact
permutational tests for group sequential clinical trials"; Lan and DeMets 1983, "Discrete sequential
boundaries for clinical trials" (the shares); Lehmann and Romano 2005, "Testing Statistical
Hypotheses", section 15.2 (groups).
"""

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from macpo.errors import require, shown
from macpo.statistics.scores import as_numbers

ENUMERATED = 16
"""Pairs whose signs are flipped in all ways; of further ones the flips follow from these."""
MAX_LEVEL = 0.9999
"""Beyond it too few of 2^16 ways are left to stop."""
ROUNDING = 1e-9
"""Sums are equal that differ by less, relative to the sum of all sizes."""
FUTURES, FUTURES_ENUMERATED = 200, 12
"""Futures of a forecast, and fewer ways for each."""

Verdict: TypeAlias = Literal["different", "undecided", "no difference seen"]


class Decision(NamedTuple):
    """What the pairs so far say.

    >>> Decision("undecided", n_pairs=3).n_pairs
    3
    """

    verdict: Verdict
    n_pairs: int
    """Pairs after which it was decided; so far, if it is undecided."""


class Forecast(NamedTuple):
    """What further pairs would say, if they are like those so far.

    >>> Forecast(more_pairs=7, chance=1.0).more_pairs
    7
    """

    more_pairs: int | None
    """Half of the futures show a difference with so many more, or fewer; None if fewer than half
    ever do. 0 if the pairs so far do."""
    chance: float
    """Share of futures that show a difference with the planned number of pairs."""


def sign_flip_test(differences: ArrayLike) -> float:
    """The p-value of paired differences: how often flipped signs give a sum as far from 0.

    For one look, at a number of pairs that was fixed before. The smallest p-value of n pairs is
    2/2^n: fewer than 6 are never below 0.05. Raises UsageError for anything but finite numbers in
    one dimension.

    >>> sign_flip_test([3, 1, 4, 1, 5, 9])  # all of one sign: 2 of 64 ways
    0.03125
    """
    d = _as_differences(differences)
    *_, sums = flipped_sums(d, ENUMERATED)
    return float(np.mean(np.abs(sums) >= np.abs(sums[0]) - ROUNDING * np.abs(d).sum()))


def decide(differences: ArrayLike, most_pairs: int, level: float = 0.95) -> Decision:
    """Whether paired differences show a difference, looked at after every pair of `most_pairs`.

    `differences` are those so far, one method's score minus the other's, in an order that does not
    depend on them (of seeds); to continue, run more pairs and call it with all of them. If the two
    methods score alike, the verdict is ever "different" with a probability of at most 1 − level,
    provided that `most_pairs` was fixed before the first look. After `most_pairs` the verdict is
    "no difference seen", which does not say that there is none.

    Raises UsageError for anything but finite numbers in one dimension, for more than `most_pairs`
    of them, and for so small a `most_pairs` that no difference could show.

    >>> decide([3, 1, 4, 1, 5, 9], most_pairs=20)
    Decision(verdict='undecided', n_pairs=6)
    >>> decide([3, 1, 4, 1, 5, 9, 2], most_pairs=20)
    Decision(verdict='different', n_pairs=7)
    """
    d = _as_differences(differences)
    check_plan(len(d), most_pairs, level)
    stopped = int(stopped_after(d, most_pairs, level, ENUMERATED))
    if stopped:
        return Decision("different", stopped)
    return Decision("undecided" if len(d) < most_pairs else "no difference seen", len(d))


def forecast(
    differences: ArrayLike, most_pairs: int, level: float = 0.95, seed: int = 0
) -> Forecast:
    """How many more pairs would decide it: futures drawn from the differences so far.

    An estimate, and a rough one from few pairs: it takes the observed differences for all that can
    happen. Raises UsageError as `decide` does, and for fewer than two pairs.

    >>> forecast([3, 1, 4, 1, 5], most_pairs=20)
    Forecast(more_pairs=2, chance=1.0)
    """
    d = _as_differences(differences)
    require(seed >= 0, f"seed must be at least 0, not {shown(seed)}.")
    require(len(d) >= 2, "a forecast needs the differences of at least two pairs.")
    now = decide(d, most_pairs, level)
    if now.verdict != "undecided":
        return Forecast(0, 1.0) if now.verdict == "different" else Forecast(None, 0.0)
    rng = np.random.default_rng(seed)
    drawn = d[rng.integers(0, len(d), (FUTURES, most_pairs - len(d)))]
    futures = np.concatenate([np.tile(d, (FUTURES, 1)), drawn], axis=1)
    stopped = stopped_after(futures, most_pairs, level, FUTURES_ENUMERATED)
    more = np.sort(np.where(stopped > 0, np.maximum(stopped - len(d), 1), most_pairs))
    chance = float(np.mean(stopped > 0))
    return Forecast(int(more[FUTURES // 2 - 1]) if chance >= 0.5 else None, chance)


def fewest_pairs(level: float = 0.95) -> int:
    """Pairs with which a difference can show at all: 2/2^n must not exceed 1 − level.

    >>> fewest_pairs(0.95), fewest_pairs(0.99)
    (6, 8)
    """
    require(
        0 < level <= MAX_LEVEL,
        f"level must be above 0 and at most {MAX_LEVEL}, not {shown(level)}.",
    )
    return math.ceil(1 - math.log2(1 - level))


# --- flips of signs -------------------------------------------------------------------------------


def stopped_after(
    differences: Float[np.ndarray, "*B n"], most_pairs: int, level: float, enumerated: int
) -> Int[np.ndarray, "*B"]:
    """The number of pairs after which a difference shows; 0 if it does not."""
    batch = differences.shape[:-1]
    n_ways = 2**enumerated
    stopped: Bool[np.ndarray, "*B ways"] = np.zeros((*batch, n_ways), bool)
    after = np.zeros(batch, int)
    rounding = ROUNDING * np.abs(differences).sum(axis=-1, keepdims=True)
    for n_pairs, sums in enumerate(flipped_sums(differences, enumerated), 1):
        n_stopped = math.floor(n_ways * spent(n_pairs / most_pairs, level))
        size = np.where(stopped, -1.0, np.abs(sums))
        left = n_stopped - stopped.sum(axis=-1, keepdims=True)
        largest_kept = np.take_along_axis(np.sort(size, axis=-1), n_ways - 1 - left, axis=-1)
        stopped |= size > largest_kept + rounding
        after = np.where((after == 0) & stopped[..., 0], n_pairs, after)
    return after


def spent(share: float, level: float) -> float:
    """The error that may have been made by a share of the pairs.   Source: Lan and DeMets 1983."""
    return (1 - level) * math.log(1 + (math.e - 1) * share)


def flipped_sums(
    differences: Float[np.ndarray, "*B n"], enumerated: int
) -> Iterator[Float[np.ndarray, "*B ways"]]:
    """After each pair, the sum of the differences for each way to flip signs; first as observed."""
    sums = np.zeros((*differences.shape[:-1], 2**enumerated))
    for i in range(differences.shape[-1]):
        sums = sums + differences[..., i, None] * flips(i, enumerated)
        yield sums


def flips(pair: int, enumerated: int) -> Int[np.ndarray, " ways"]:
    """The sign of a pair in each way; 1 in the first, which leaves everything as observed."""
    ways = np.arange(2**enumerated)
    mask = 1 << pair
    if pair >= enumerated:  # flipped with about half of the first ones
        mask = int(np.random.default_rng(pair).integers(1, len(ways)))
    return np.where(np.bitwise_count(ways & mask) % 2, -1, 1)


# --- checks ---------------------------------------------------------------------------------------


def _as_differences(differences: ArrayLike) -> Float[np.ndarray, " n"]:
    d = as_numbers(differences, "differences of pairs")
    require(
        d.ndim == 1 and len(d) > 0 and bool(np.isfinite(d).all()),
        "differences of pairs must be finite numbers in one dimension, and at least one; leave out "
        "seeds that only one of the two has.",
    )
    return d


def check_plan(n_pairs: int, most_pairs: int, level: float) -> None:
    """UsageError for a plan with which no difference could show, or which is already exceeded."""
    fewest = fewest_pairs(level)
    require(
        most_pairs >= fewest,
        f"{most_pairs} pairs cannot show a difference at a level of {level:g}; plan at least "
        f"{fewest}.",
    )
    require(
        n_pairs <= most_pairs,
        f"there are {n_pairs} pairs, but {most_pairs} at most were planned; plan for all of them.",
    )
