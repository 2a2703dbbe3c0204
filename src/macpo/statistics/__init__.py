"""Statistics of runs: what the scores of a few seeds say, and what they do not.

    scores = [[37.1, 12.0], [36.8, 11.5], [0.0, 12.2]]  # [runs, tasks]
    macpo.statistics.iqm(scores)
    low, high = macpo.statistics.interval(scores)

Functions of numbers alone, on NumPy and SciPy: no run is read here, and JAX is not imported.
"""

from macpo.statistics.bootstrap import (
    Difference,
    Interval,
    difference,
    improvement_interval,
    interval,
    profile_interval,
)
from macpo.statistics.curves import Curve, aligned, area_under_curve, iqm_curve
from macpo.statistics.estimates import iqm, performance_profile, probability_of_improvement
from macpo.statistics.permutation import permutation_test
from macpo.statistics.sequential import (
    Decision,
    Forecast,
    decide,
    fewest_pairs,
    forecast,
    sign_flip_test,
)

__all__ = [
    "Curve",
    "Decision",
    "Difference",
    "Forecast",
    "Interval",
    "aligned",
    "area_under_curve",
    "decide",
    "difference",
    "fewest_pairs",
    "forecast",
    "improvement_interval",
    "interval",
    "iqm",
    "iqm_curve",
    "performance_profile",
    "permutation_test",
    "probability_of_improvement",
    "profile_interval",
    "sign_flip_test",
]
