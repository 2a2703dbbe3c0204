"""Learning curves of several seeds: their area, and their IQM at every moment with an interval."""

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from macpo.errors import require
from macpo.statistics.bootstrap import check_draws, middle
from macpo.statistics.estimates import iqm_over_last
from macpo.statistics.scores import as_numbers

CURVE_REPS = 2_000
"""Resamples of a curve, which has hundreds of intervals."""

Points: TypeAlias = tuple[ArrayLike, ArrayLike]
"""(env steps in ascending order, values) of one seed's evaluations."""


class Curve(NamedTuple):
    """The IQM over seeds at each of `env_steps`, and its interval.

    >>> from macpo.statistics import iqm_curve
    >>> iqm_curve([([0, 10], [1.0, 3.0]), ([0, 10], [2.0, 4.0])], reps=1000).iqm
    array([1.5, 3.5])
    """

    env_steps: Float[np.ndarray, " T"]
    iqm: Float[np.ndarray, " T"]
    low: Float[np.ndarray, " T"]
    high: Float[np.ndarray, " T"]


def area_under_curve(env_steps: ArrayLike, values: ArrayLike) -> float:
    """The mean value between the first and the last evaluation: trapezoids over their env steps.

    In the unit of the values; the value itself if there is one evaluation, NaN if one is NaN.
    Raises UsageError for other shapes than [T], no evaluation, and env steps that do not ascend.

    >>> area_under_curve([0, 100, 400], [0.0, 10.0, 10.0])  # (5 · 100 + 10 · 300) / 400
    8.75
    """
    x, y = _as_points((env_steps, values))
    return float(y[0]) if len(x) == 1 else float(np.trapezoid(y, x) / (x[-1] - x[0]))


def iqm_curve(
    curves: Iterable[Points], level: float = 0.95, reps: int = CURVE_REPS, seed: int = 0
) -> Curve:
    """The IQM of several seeds at every moment, with its percentile bootstrap interval there.

    Each interval is of one moment: in about one place in 20 a 95 % band does not hold the curve.
    Seeds are brought to the same env steps by `aligned`. A single seed has no interval (NaN). Where
    a seed's value is NaN, everything is: a gap in the picture. Raises UsageError as `aligned` does,
    and for a level outside (0, 1).

    >>> curve = iqm_curve([([0, 10], [0.0, 4.0]), ([0, 10], [0.0, 6.0])])
    >>> curve.iqm, curve.low, curve.high
    (array([0., 5.]), array([0., 4.]), array([0., 6.]))
    """
    check_draws(level, reps, seed)
    env_steps, values = aligned(curves)
    over_seeds, low, high = np.full((3, len(env_steps)), np.nan)
    known = np.isfinite(values).all(axis=0)
    over_seeds[known] = iqm_over_last(values[:, known].T)
    if len(values) > 1:
        ranked = np.sort(values[:, known], axis=0)
        weights = _weights_of_ranks(len(values), reps, np.random.default_rng(seed))
        low[known], high[known] = middle(weights @ ranked, level, len(values), 1)
    return Curve(env_steps, over_seeds, low, high)


def aligned(
    curves: Iterable[Points],
) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, "seeds T"]]:
    """(env steps, values) of all seeds at the same env steps.

    Seeds are evaluated at slightly different env steps, as episode lengths differ. Their values are
    interpolated linearly, within the span that all of them cover, so that nothing is extrapolated:
    at the env steps of the seed with the fewest evaluations there, and at both ends of the span.

    Raises UsageError for no curve, for curves without a common env step, and as `area_under_curve`.

    >>> env_steps, values = aligned([([0, 10], [0.0, 10.0]), ([5, 15], [1.0, 2.0])])
    >>> env_steps
    array([ 5., 10.])
    >>> values
    array([[ 5. , 10. ],
           [ 1. ,  1.5]])
    """
    points = [_as_points(curve) for curve in curves]
    require(bool(points), "there is no curve; give the evaluations of at least one seed.")
    start, end = max(x[0] for x, _ in points), min(x[-1] for x, _ in points)
    require(
        start <= end,
        f"the curves have no env steps in common: one begins at {start:,.0f}, another ends at "
        f"{end:,.0f}; compare runs of the same length.",
    )
    inside = [x[(start <= x) & (x <= end)] for x, _ in points]
    env_steps = np.union1d(min(inside, key=len), [start, end])
    return env_steps, np.stack([np.interp(env_steps, x, y) for x, y in points])


def _as_points(points: Points) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    x, y = (as_numbers(numbers, "a curve") for numbers in points)
    require(
        x.ndim == 1 and x.shape == y.shape and len(x) > 0,
        "a curve must have as many env steps as values, in one dimension, and at least one, not "
        f"{list(x.shape)} and {list(y.shape)}.",
    )
    require(
        bool(np.all(np.diff(x) > 0)) and bool(np.isfinite(x).all()),
        "the env steps of a curve must ascend; sort the evaluations, and drop repeated ones.",
    )
    return x, y


def _weights_of_ranks(n: int, reps: int, rng: np.random.Generator) -> Float[np.ndarray, "reps n"]:
    """What the n ranked values weigh in the IQM of each resample.

    A resample's IQM depends only on which ranks were drawn how often. Drawn once, the weights serve
    all moments of a curve, and a matrix product gives all their resamples.
    """
    cut = n // 4
    kept = np.sort(rng.integers(0, n, (reps, n)), axis=1)[:, cut : n - cut]
    cells = kept + n * np.arange(reps)[:, None]
    return np.bincount(cells.ravel(), minlength=reps * n).reshape(reps, n) / (n - 2 * cut)
