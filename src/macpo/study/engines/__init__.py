"""Where the runs of a study are carried out: the protocol of an engine, and a file for each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from macpo.errors import nearest, needed, require, shown
from macpo.study.directory import Outcome, StudyDirectory
from macpo.study.study import PlannedRun


class Engine(Protocol):
    """Carries out runs somewhere, and has their files in the study's directory in the end.

    Whatever it does, a run is `macpo.study.carry_out` in a process of its own.
    """

    def submit(self, directory: StudyDirectory, runs: Sequence[PlannedRun]) -> None:
        """Take on runs, to be begun in this order."""
        ...

    def running(self) -> list[PlannedRun]:
        """The runs that are being carried out now."""
        ...

    def poll(self) -> list[Outcome]:
        """Begin what can be begun; the runs that have ended since the last call."""
        ...

    def stop(self) -> None:
        """Begin nothing more, and have what is running saved and ended; `poll` tells when."""
        ...

    def close(self) -> None:
        """Let go of everything; what is still running is killed."""
        ...


def make(name: str, parallel: int, cores: int, *, trust: bool = False) -> Engine:
    """The engine of this name, for `parallel` runs at a time with `cores` each.

    `trust` lets the study's file name code that is not registered. Raises UsageError for an unknown
    name.
    """
    require_known(name)
    return _ENGINES[name](parallel, cores, trust)


def require_known(name: str) -> None:
    """UsageError unless there is an engine of this name."""
    known = ", ".join(_ENGINES)
    require(
        name in _ENGINES,
        f"unknown engine {shown(name)}; {nearest(name, _ENGINES)} Known: {known}.",
    )


def _local(parallel: int, cores: int, trust: bool) -> Engine:
    from macpo.study.engines.local import LocalEngine

    return LocalEngine(parallel, cores, trust=trust)


def _ray(_: int, cores: int, trust: bool) -> Engine:
    with needed("--engine ray", "Ray", "ray"):
        from macpo.study.engines.ray import RayEngine
    return RayEngine(cores, trust=trust)


def _slurm(_: int, cores: int, trust: bool) -> Engine:
    with needed("--engine slurm", "submitit", "slurm"):
        from macpo.study.engines.slurm import SlurmEngine
    return SlurmEngine(cores, trust=trust)


LOCAL = "local"
_ENGINES: Mapping[str, Callable[[int, int, bool], Engine]] = {
    LOCAL: _local,
    "ray": _ray,
    "slurm": _slurm,
}
