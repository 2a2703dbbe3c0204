"""TensorBoard event files (needs the extra `tensorboard`)."""

import importlib
import logging
from pathlib import Path
from typing import Any

from macpo.errors import UsageError
from macpo.runs.record import Row

_AXES = ("kind", "seed", "env_steps", "episodes", "updates")


def summary_writer() -> Any:
    """The class that writes event files; UsageError if its package is not installed."""
    try:
        return importlib.import_module("tensorboardX").SummaryWriter
    except ImportError as error:
        raise UsageError(
            "--tensorboard needs the package tensorboardX; pip install 'macpo[tensorboard]'."
        ) from error


class TensorBoard:
    """Scalars over env steps, one TensorBoard run per seed."""

    def __init__(self, directory: Path) -> None:
        self._writer_class = summary_writer()
        # it would warn of every NaN; the display tells each metric's first
        logging.getLogger("tensorboardX.x2num").setLevel(logging.ERROR)
        self.directory = directory
        self._writers: dict[Any, Any] = {}

    def write(self, row: Row) -> None:
        """Add the row's metrics as scalars."""
        seed = row["seed"]
        if seed not in self._writers:
            self._writers[seed] = self._writer_class(str(self.directory / f"seed{seed}"))
        for name, value in row.items():
            if name not in _AXES:
                tag = f"{row['kind']}/{name}"
                self._writers[seed].add_scalar(tag, value, global_step=row["env_steps"])

    def close(self) -> None:
        """Flush all files."""
        for writer in self._writers.values():
            writer.close()
