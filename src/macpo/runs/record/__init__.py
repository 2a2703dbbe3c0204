"""Where metrics go: to JSON lines and the terminal, and to trackers on request.

A sink has `write(row)` and `close()`. A row is what one line of metrics.jsonl holds: `kind` (train
or test), seed, env_steps, episodes, updates, and the metrics (docs/metrics.md), which need not be
finite.
"""

from collections.abc import Mapping
from typing import Protocol

Row = dict[str, str | int | float]


def reached(row: Mapping[str, str | int | float]) -> int:
    """How far a row's seed has come: env steps, or the updates of a run that learns offline.

    >>> reached({"env_steps": 800, "updates": 3}), reached({"env_steps": 0, "updates": 3})
    (800, 3)
    """
    return int(row["env_steps"]) or int(row.get("updates", 0))


class Sink(Protocol):
    """Takes rows of metrics."""

    def write(self, row: Row) -> None:
        """Take one row."""
        ...

    def close(self) -> None:
        """Finish; no more rows will come."""
        ...
