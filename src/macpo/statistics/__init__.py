"""Statistics of runs: what the scores of a few seeds say, and what they do not.

    scores = [[37.1, 12.0], [36.8, 11.5], [0.0, 12.2]]  # [runs, tasks]
    macpo.statistics.iqm(scores), macpo.statistics.interval(scores)

Functions of numbers alone, on NumPy and SciPy; no run is read here, and JAX is not imported.
"""

from macpo.statistics.bootstrap import Interval, interval
from macpo.statistics.estimates import iqm, performance_profile, probability_of_improvement

__all__ = [
    "Interval",
    "interval",
    "iqm",
    "performance_profile",
    "probability_of_improvement",
]
