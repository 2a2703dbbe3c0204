"""Do two groups of runs score alike? A test for runs that are no pairs."""

import numpy as np
from numpy.typing import ArrayLike

from macpo.errors import require
from macpo.statistics.scores import as_numbers

WAYS = 10_000
"""Ways to divide the runs anew; if there are no more, all of them are counted."""


def permutation_test(x: ArrayLike, y: ArrayLike) -> float:
    """The p-value of two methods' scores: how often other groups' means lie as far apart.

    If the methods score alike, any run could as well belong to the other one. For one look, at
    numbers of runs that were fixed before. Raises UsageError for anything but two or more
    finite numbers in one dimension.

    >>> permutation_test([3, 4, 5], [0, 1, 2])  # 2 of 20 ways
    0.1
    """
    groups = as_numbers(x, "scores of x"), as_numbers(y, "scores of y")
    for group in groups:
        require(
            group.ndim == 1 and len(group) > 1 and bool(np.isfinite(group).all()),
            "scores must be finite numbers in one dimension, and at least two of each method.",
        )
    from scipy import stats  # takes longer to import than all the rest

    found = stats.permutation_test(
        groups,
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        vectorized=True,
        n_resamples=WAYS,
        rng=0,
    )
    return float(found.pvalue)
