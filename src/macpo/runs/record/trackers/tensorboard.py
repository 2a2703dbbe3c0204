"""Write TensorBoard files as well."""

import logging
from types import ModuleType

from macpo.runs.record.trackers import TrackedSeed
from macpo.types import Untyped

PACKAGE = "tensorboardX"


class EventFiles:
    """A folder of event files."""

    def __init__(self, writer: Untyped) -> None:
        self._writer = writer

    def log(self, values: dict[str, float], step: int, /) -> None:
        """Add scalars."""
        for tag, value in values.items():
            self._writer.add_scalar(tag, value, global_step=step)

    def finish(self) -> None:
        """Write out what is left."""
        self._writer.close()


def open_seed(package: ModuleType, about: TrackedSeed) -> EventFiles:
    """A folder in the run's directory; the files of a run that goes on lie beside the earlier."""
    # it would warn of every NaN; the display tells each metric's first
    logging.getLogger("tensorboardX.x2num").setLevel(logging.ERROR)
    folder = about.files.tensorboard / f"seed{about.seed}"
    return EventFiles(package.SummaryWriter(str(folder)))
