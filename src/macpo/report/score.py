"""The score of a trained seed: which metric counts, and what of its curve."""

from collections.abc import Collection

import numpy as np

from macpo.report.curves import WON
from macpo.report.records import Curve
from macpo.report.table import LAST_EVALUATIONS

METRICS = (f"test_{WON[0]}", "test_return_mean")
"""What is reported without a choice: the first of these that there is."""


def usual_metric(known: Collection[str]) -> str:
    """The metric of evaluations that is reported without a choice."""
    return next((name for name in METRICS if name in known), METRICS[-1])


def final_score(curve: Curve) -> float:
    """The mean of a seed's last evaluations; NaN without any.

    >>> final_score(Curve(np.array([1, 2, 3, 4]), np.array([0.0, 1.0, 2.0, 3.0])))
    2.0
    """
    return float(curve.values[-LAST_EVALUATIONS:].mean()) if len(curve.values) else np.nan
