"""The score of a trained seed: which metric counts, and what of its curve."""

from collections.abc import Collection

import numpy as np

from macpo.report.seeds import Curve
from macpo.report.table import LAST_EVALUATIONS
from macpo.runs.best import SCORES

COMPARED = {
    "test_return_mean": ("greedy return of an episode", 1),
    "test_battle_won_mean": ("battles won, greedy policy", 2),
}
"""What an evaluation metric that methods are compared by is called, and its number of digits."""


def usual_metric(known: Collection[str]) -> str:
    """The metric of evaluations that is reported without a choice."""
    return next((name for name in SCORES if name in known), SCORES[-1])


def final_score(curve: Curve) -> float:
    """The mean of a seed's last evaluations; NaN without any.

    >>> final_score(Curve(np.array([1, 2, 3, 4]), np.array([0.0, 1.0, 2.0, 3.0])))
    2.0
    """
    return float(curve.values[-LAST_EVALUATIONS:].mean()) if len(curve.values) else np.nan
