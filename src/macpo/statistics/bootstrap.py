"""Intervals by the stratified percentile bootstrap: how far a number could move with other seeds.

Runs are drawn with replacement within each task, as many as the task has, and the number is
computed again; the interval holds the middle of what came out. Every draw comes from `seed`, so the
same scores give the same interval on every machine.

Source: Agarwal et al. 2021, section 4.1; Efron and Tibshirani 1993, "An Introduction to the
Bootstrap", chapter 13.
"""

import inspect
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from macpo.errors import require, shown
from macpo.statistics.estimates import iqm, iqm_over_last
from macpo.statistics.scores import Scores, as_scores, n_runs

REPS = 10_000
"""Draws: the ends of an interval then move by about 2 % of its width from seed to seed."""
CHUNK = 2**22
"""Numbers held at a time; the same everywhere, since it decides in which order they are drawn."""

Statistic: TypeAlias = Callable[..., Any]
"""From scores [runs, tasks] to a number, as `numpy.median` is."""


class Interval(NamedTuple):
    """Its two ends."""

    low: float
    high: float


NOT_KNOWN = Interval(np.nan, np.nan)


def interval(
    scores: Scores,
    statistic: Statistic = iqm,
    level: float = 0.95,
    reps: int = REPS,
    seed: int = 0,
) -> Interval:
    """The stratified percentile bootstrap's interval of a statistic.

    Both ends are NaN if some task has a single run, which says nothing about other seeds. Missing
    runs (NaN) are left out: a task with fewer runs has fewer drawn.

    Raises UsageError for scores that `Scores` does not describe, a level outside (0, 1), and a
    statistic that is not a number: with missing runs it must skip NaN, as `numpy.nanmean` does.

    >>> low, high = interval([30, 50, 40, 0, 40])  # one bad seed of five
    >>> round(low), round(high)
    (10, 47)
    """
    array = as_scores(scores)
    check_draws(level, reps)
    require(
        np.isfinite(_value(statistic, array)),
        "the statistic of these scores is not a finite number; where runs are missing, take one "
        "that skips NaN, as numpy.nanmean does.",
    )
    if min(n_runs(array)) < 2:
        return NOT_KNOWN
    rng = np.random.default_rng(seed)
    found = [_values(statistic, drawn) for drawn in resamples(array, reps, rng)]
    return middle(np.concatenate(found), level)


def resamples(
    scores: Float[np.ndarray, "runs tasks"], reps: int, rng: np.random.Generator
) -> Iterator[Float[np.ndarray, "B runs tasks"]]:
    """Runs drawn within each task, NaN where the task has fewer runs; in chunks of bounded size."""
    n, tasks = np.isfinite(scores).sum(axis=0), np.arange(scores.shape[1])
    missing = np.arange(len(scores))[:, None] >= n
    for size in chunks(reps, scores.size):
        drawn = scores[rng.integers(0, n, (size, *scores.shape)), tasks]
        yield np.where(missing, np.nan, drawn) if missing.any() else drawn


def chunks(reps: int, n_numbers: int) -> list[int]:
    """Sizes that add up to `reps`, each of at most `CHUNK` numbers where one takes `n_numbers`."""
    size = max(1, CHUNK // n_numbers)
    return [min(size, reps - start) for start in range(0, reps, size)]


def middle(values: Float[np.ndarray, " reps"], level: float) -> Interval:
    """The interval that holds the middle of the values and leaves as many on each side."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def check_draws(level: float, reps: int) -> None:
    """UsageError for a level or a number of draws that makes no interval."""
    require(0 < level < 1, f"level must be between 0 and 1, such as 0.95, not {shown(level)}.")
    require(reps >= 1, f"reps must be at least 1, not {shown(reps)}.")


def _values(
    statistic: Statistic, resampled: Float[np.ndarray, "B runs tasks"]
) -> Float[np.ndarray, " B"]:
    """The statistic of each resample: of all at once where it is one of NumPy's reductions."""
    pooled = resampled.reshape(len(resampled), -1)
    if statistic is iqm:
        return iqm_over_last(pooled)
    if _reduces_everything(statistic):
        return statistic(pooled, axis=-1)
    return np.array([_value(statistic, one) for one in resampled])


def _reduces_everything(statistic: Statistic) -> bool:
    """Whether it has NumPy's convention: over all numbers by default, or over an axis."""
    try:
        parameters = inspect.signature(statistic).parameters
    except (TypeError, ValueError):  # written in C
        return False
    return "axis" in parameters and parameters["axis"].default is None


def _value(statistic: Statistic, scores: Float[np.ndarray, "runs tasks"]) -> float:
    value = np.asarray(statistic(scores))
    require(
        value.size == 1 and np.issubdtype(value.dtype, np.number),
        f"a statistic must give one number, not {shown(value.tolist())}.",
    )
    return float(value.item())
