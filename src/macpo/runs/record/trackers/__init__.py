"""Other programs that show metrics: a file for each, found by its place.

A tracker's file has `PACKAGE`, what it needs to be installed, which the extra of the tracker's name
brings, and `open_seed`. Its first sentence is the help of its flag.
"""

import importlib
import pkgutil
import secrets
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import NamedTuple, Protocol, cast

from macpo.errors import nearest, needed, require, shown
from macpo.experiment import Experiment, to_dict
from macpo.field_types import JsonObject
from macpo.runs.directory import RunDirectory
from macpo.runs.files import disk_errors, write_atomically
from macpo.runs.record import Row, reached

PROJECT = "macpo"
"""What trackers show our runs under."""
_AXES = ("kind", "seed", "env_steps", "episodes", "updates")


class TrackedSeed(NamedTuple):
    """One seed of a run, which is a run of its own to a tracker."""

    files: RunDirectory
    experiment: Experiment
    seed: int

    @property
    def group(self) -> str:
        """All seeds of the run, which no other run is called."""
        return f"{self.experiment.title} {_run_id(self.files)}"

    @property
    def name(self) -> str:
        """The same whenever the run goes on."""
        return f"{self.group} seed {self.seed}"

    @property
    def key(self) -> str:
        """As the name, of letters, digits and a hyphen."""
        return f"{_run_id(self.files)}-{self.seed}"

    @property
    def settings(self) -> JsonObject:
        """As in experiment.json, but of this seed alone."""
        plain = to_dict(self.experiment)
        return {**plain, "run": {**plain["run"], "seed": self.seed, "seeds": 1}}


class SeedLog(Protocol):
    """Where a tracker takes the metrics of one seed."""

    def log(self, values: dict[str, float], step: int, /) -> object:
        """Take metrics, which need not be finite; steps never decrease while a run goes on."""
        ...

    def finish(self) -> object:
        """No more will come."""
        ...


class _TrackerModule(Protocol):
    """A tracker's file."""

    __doc__: str
    PACKAGE: str

    def open_seed(self, package: ModuleType, about: TrackedSeed) -> SeedLog:
        """Begin to show a seed with the imported package, or go on with it."""
        ...


def known() -> Mapping[str, str]:
    """All trackers: name → one sentence."""
    return {name: _module(name).__doc__.partition("\n")[0] for name in _names()}


def check(names: Collection[str]) -> None:
    """UsageError for a tracker that does not exist or whose package is not installed."""
    for name in names:
        require(
            name in _names(),
            f"unknown tracker {shown(name)}; {nearest(name, _names())} "
            f"Known: {', '.join(_names())}.",
        )
        _package(name)


class Tracker:
    """A tracker as a sink; each seed is opened with its first row."""

    def __init__(self, name: str, files: RunDirectory, experiment: Experiment) -> None:
        self.name, self._files, self._experiment = name, files, experiment
        self._package = _package(name)
        self._seeds = dict[int, SeedLog]()

    def write(self, row: Row) -> None:
        """Pass on the row's metrics as `train/NAME` or `test/NAME`, over what it has `reached`."""
        seed = int(row["seed"])
        if seed not in self._seeds:
            about = TrackedSeed(self._files, self._experiment, seed)
            self._seeds[seed] = _module(self.name).open_seed(self._package, about)
        values = {f"{row['kind']}/{key}": float(x) for key, x in row.items() if key not in _AXES}
        self._seeds[seed].log(values, reached(row))

    def close(self) -> None:
        """Finish every seed."""
        for log in self._seeds.values():
            log.finish()


def _names() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__)]


def _module(name: str) -> _TrackerModule:
    return cast(_TrackerModule, importlib.import_module(f"{__name__}.{name}"))


def _package(name: str) -> ModuleType:
    """What the tracker needs; UsageError if it is not installed."""
    package = _module(name).PACKAGE
    with needed(f"--{name}", f"the package {package}", name):
        return importlib.import_module(package)


def _run_id(files: RunDirectory) -> str:
    """Digits by which trackers know the run again; made when they are first asked for."""
    file = files.tracker_id
    if not file.exists():
        write_atomically(file, secrets.token_hex(4).encode())
    with disk_errors(file, "read"):
        return file.read_text()
