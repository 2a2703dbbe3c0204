"""What tests of worker processes need."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT


@pytest.fixture(scope="session", autouse=True)
def importable() -> Iterator[None]:
    """Workers can import what these tests can."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """A test that has ended has as many open files as before, and no process of its own."""
    files, before = open_files(), children()
    yield
    assert children() == before
    if open_files() > files:
        gc.collect()  # shared memory goes with the last array in it
    assert open_files() <= files


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def children(parent: int | None = None) -> set[int]:
    """Processes that one, by default this one, has started: also dead ones not waited for."""
    parent = parent or os.getpid()
    found: set[int] = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                found.add(int(stat.parent.name))
        except OSError:  # gone in the meantime
            continue
    return found


def alive(pid: int) -> bool:
    """Whether the process is there and not merely waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
