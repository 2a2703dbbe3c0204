"""Where metrics go: to JSON lines and the terminal, and to trackers on request.

A sink has `write(row)` and `close()`. A row is what one line of metrics.jsonl holds: `kind` (train
or test), seed, env_steps, episodes, updates, and the metrics (docs/metrics.md), which need not be
finite.
"""

from typing import Protocol

Row = dict[str, str | int | float]


class Sink(Protocol):
    """Takes rows of metrics."""

    def write(self, row: Row) -> None:
        """Take one row."""
        ...

    def close(self) -> None:
        """Finish; no more rows will come."""
        ...
