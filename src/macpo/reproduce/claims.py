"""What the paper says of two methods, and whether scores of several seeds bear it out."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from macpo import statistics

Score: TypeAlias = Literal["final", "area"]
"""A seed's result at the end, or the mean height of its curve, which speed raises."""
Verdict: TypeAlias = Literal["supported", "contradicted", "undecided"]
LEVEL = 0.95
"""Of the interval of a difference."""
MIN_SEEDS = 3
"""Of fewer, an interval holds the true value in hardly half of all cases."""
SIMILAR = 0.05
"""Of the range of scores: two methods whose difference is surely below that end alike."""


class Claim(NamedTuple):
    """One sentence of the paper, about one task."""

    method: str
    other: str
    task: str
    score: Score = "final"
    relation: Literal["above", "alike"] = "above"
    by: float | None = None
    """How far above, as far as the paper tells it; for StarCraft a share of battles won."""

    def __str__(self) -> str:
        """The claim in words.

        >>> str(Claim("MAC-PO", "QMIX", "punishment=-2", "area"))
        'MAC-PO learns faster than QMIX on punishment=-2'
        """
        return f"{self.in_general} on {self.task}"

    @property
    def in_general(self) -> str:
        """The claim without its task.

        >>> Claim("MAC-PO", "QMIX", "punishment=-2", "area").in_general
        'MAC-PO learns faster than QMIX'
        """
        words = {
            ("final", "above"): "ends above",
            ("final", "alike"): "ends like",
            ("area", "above"): "learns faster than",
            ("area", "alike"): "learns as fast as",
        }[self.score, self.relation]
        return f"{self.method} {words} {self.other}"


class ClaimResult(NamedTuple):
    """A claim beside what was measured."""

    claim: Claim
    verdict: Verdict
    n_seeds: int
    """Seeds that both methods have been trained with."""
    value: float
    """The method's interquartile mean less the other's; NaN without a seed."""
    low: float
    high: float
    """The interval of that difference."""


def judge(
    claim: Claim, scores: Mapping[int, float], others: Mapping[int, float], score_range: float
) -> ClaimResult:
    """Compare two methods' scores, by seed, paired where both have one.

    A claim is supported or contradicted if the whole interval of the difference says so. With fewer
    than `MIN_SEEDS` there is no interval, and nothing is decided.
    """
    seeds = sorted({*scores} & {*others})
    x, y = (np.array([of[seed] for seed in seeds]) for of in (scores, others))
    if len(seeds) < MIN_SEEDS:
        value = float(np.mean(x - y)) if seeds else np.nan
        return ClaimResult(claim, "undecided", len(seeds), value, np.nan, np.nan)
    value, low, high = statistics.difference(x, y, paired=True, level=LEVEL)
    margin = SIMILAR * score_range
    if claim.relation == "above":
        is_so, is_not_so = low > 0, high <= 0
    else:
        is_so, is_not_so = -margin < low and high < margin, low > margin or high < -margin
    verdict = "supported" if is_so else "contradicted" if is_not_so else "undecided"
    return ClaimResult(claim, verdict, len(seeds), value, low, high)


def above_all(
    method: str,
    others: Sequence[str],
    tasks: Sequence[str],
    score: Score = "final",
    by: Mapping[str, float] | None = None,
) -> list[Claim]:
    """The claim that a method is above each of the others on every task."""
    differences = by or {}
    return [
        Claim(method, other, task, score, by=differences.get(task))
        for task in tasks
        for other in others
    ]
