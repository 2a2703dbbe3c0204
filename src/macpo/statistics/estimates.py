"""Numbers that summarise the scores of many runs: IQM, probability of improvement, profile.

Source: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice"
(arXiv 2108.13264), section 4; `rliable` computes the same numbers where no run is missing.
"""

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from macpo.errors import require
from macpo.statistics.scores import Scores, as_numbers, as_scores, on_the_same_tasks


def iqm(scores: Scores) -> float:
    """Interquartile mean: the mean of what is left without the lowest and the highest quarter.

    Of n scores, over all tasks together, ⌊n/4⌋ are cut at each end: none of three, one of four to
    seven. Missing runs (NaN) are left out, so that a task with fewer runs weighs less. Raises
    UsageError for scores that `Scores` does not describe.

    >>> iqm([0, 1, 2, 30, 400])  # without 0 and 400
    11.0
    """
    return float(iqm_over_last(as_scores(scores).ravel()))


def iqm_over_last(x: Float[np.ndarray, "*B n"]) -> Float[np.ndarray, "*B"]:
    """Interquartile mean over the last axis, NaN left out."""
    x = np.sort(x, axis=-1)  # NaN is last
    n = np.isfinite(x).sum(axis=-1, keepdims=True)
    rank, cut = np.arange(x.shape[-1]), n // 4
    return np.sum(x, axis=-1, where=(rank >= cut) & (rank < n - cut)) / (n - 2 * cut)[..., 0]


def probability_of_improvement(x: Scores, y: Scores) -> float:
    """The probability that a run of `x` scores higher than a run of `y`, mean over tasks.

    Every run of `x` is compared with every run of `y` of the same task; a tie counts one half, so
    0.5 means that neither is ahead (Mann and Whitney's U over the number of pairs). The methods
    may have different numbers of runs. Raises UsageError for different numbers of tasks.

    >>> probability_of_improvement([3, 3, 0], [1, 3])  # ahead in 2 of 6 pairs, equal in 2
    0.5
    """
    return float(improvement_over_runs(*on_the_same_tasks(x, y)))


def improvement_over_runs(
    x: Float[np.ndarray, "*B runs tasks"], y: Float[np.ndarray, "*B others tasks"]
) -> Float[np.ndarray, "*B"]:
    """Probability of improvement of checked scores, whatever axes come first."""
    x, y = x[..., :, None, :], y[..., None, :, :]
    ahead = np.greater(x, y) + 0.5 * np.equal(x, y)  # 0 where one of the two is NaN
    n_pairs = np.sum(np.isfinite(x) & np.isfinite(y), axis=(-3, -2))
    return np.mean(np.sum(ahead, axis=(-3, -2)) / n_pairs, axis=-1)


def performance_profile(scores: Scores, thresholds: ArrayLike) -> Float[np.ndarray, " thresholds"]:
    """For each threshold the share of runs that score above it, mean over tasks.

    >>> performance_profile([0, 10, 20, 20], [-1, 0, 15, 20])
    array([1.  , 0.75, 0.5 , 0.  ])
    """
    return profile_over_runs(as_scores(scores), as_thresholds(thresholds))


def as_thresholds(thresholds: ArrayLike) -> Float[np.ndarray, " K"]:
    """Thresholds as an array; UsageError for other shapes and NaN."""
    limits = as_numbers(thresholds, "thresholds")
    require(
        limits.ndim == 1 and not np.isnan(limits).any(),
        "thresholds must be numbers in one dimension, without NaN.",
    )
    return limits


def profile_over_runs(
    scores: Float[np.ndarray, "*B runs tasks"], thresholds: Float[np.ndarray, " K"]
) -> Float[np.ndarray, "*B K"]:
    """Performance profile of checked scores, whatever axes come first."""
    above = np.sum(scores[..., None] > thresholds, axis=-3)
    n = np.sum(np.isfinite(scores), axis=-2)
    return np.mean(above / n[..., None], axis=-2)
