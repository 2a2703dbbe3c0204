"""Send metrics to trackio as well: to its store on this machine, unless TRACKIO_SPACE_ID is set."""

from contextvars import Context
from types import ModuleType

from macpo.runs.record.trackers import PROJECT, SeedLog, TrackedSeed

PACKAGE = "trackio"


def open_seed(package: ModuleType, about: TrackedSeed) -> SeedLog:
    """A run in the project `macpo`; one that goes on is continued."""
    # in a context of its own: a second run in the same one would end the first
    return Context().run(
        package.init,
        project=PROJECT,
        name=about.name,
        resume="allow",
        config=about.settings,
        embed=False,
    )
