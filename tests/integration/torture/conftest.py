"""An undisturbed run, and how a failed case is repeated."""

import os
import resource
from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.torture import game, snapshots
from tests.support.torture.size import repetition

GIGABYTES = 6
"""Memory that a case may ask for: what takes more fails alone, and not with the machine."""


class Undisturbed(NamedTuple):
    """A run that nothing happened to."""

    directory: Path
    moments: list[snapshots.Moment]
    """All states its directory went through."""

    @property
    def metrics(self) -> bytes:
        return (self.directory / "metrics.jsonl").read_bytes()

    @property
    def model(self) -> bytes:
        return (self.directory / "model.safetensors").read_bytes()

    def difference(self, directory: Path) -> str:
        """What another run's directory has otherwise."""
        for name, expected in (("metrics.jsonl", self.metrics), ("model.safetensors", self.model)):
            file = directory / name
            if not file.is_file():
                return f"{name} is missing"
            if (found := file.read_bytes()) != expected:
                return f"{name} differs: {len(found)} bytes for {len(expected)}"
        return ""


@pytest.fixture(autouse=True)
def _little_memory() -> Generator[None]:
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (in_use + GIGABYTES * 2**30, most))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (before, most))


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    directory = tmp_path_factory.mktemp("torture") / "whole"
    with snapshots.recorded(directory) as moments:
        assert game.begin(directory).finished
    return Undisturbed(directory, moments)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.failed:
        report.sections.append(("to repeat it", repetition(item.nodeid)))
    return report
