"""A curve in one line of text."""

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def spark_line(values: Sequence[float], low: float, high: float, width: int) -> str:
    """Blocks whose heights are the values between `low` and `high`, at most `width` of them.

    More values than that are joined to means of neighbours. Where none is finite there is a gap.

    >>> spark_line([0, 10, 20, 30], low=0, high=30, width=10)
    '▁▃▆█'
    >>> spark_line([0, 10, 20, 30], low=0, high=30, width=2)
    '▂▇'
    """
    n = min(len(values), width)
    groups = (values[i * len(values) // n : (i + 1) * len(values) // n] for i in range(n))
    return "".join(_block([x for x in group if math.isfinite(x)], low, high) for group in groups)


def _block(values: Sequence[float], low: float, high: float) -> str:
    if not values:
        return " "
    share = (sum(values) / len(values) - low) / (high - low) if high > low else 0.0
    return BLOCKS[min(max(round(share * (len(BLOCKS) - 1)), 0), len(BLOCKS) - 1)]
