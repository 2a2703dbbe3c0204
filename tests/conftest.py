"""Settings for all tests."""

import contextlib
import ctypes
import functools
import gc
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from macpo.kernels import shard
from macpo.machine import end_at_once
from macpo.training import programs
from tests.support.compilation import CHEAP, FOR_USERS
from tests.support.paths import ROOT

os.environ.setdefault("XLA_FLAGS", CHEAP)
# What one worker has compiled serves the other workers, the processes that tests start, and the
# next run of the tests.
PROGRAMS = ROOT / ".pytest_cache" / "programs"
MAX_PROGRAMS = 2**30  # bytes
for setting, value in {
    "jax_compilation_cache_dir": str(PROGRAMS),
    "jax_persistent_cache_min_compile_time_secs": 0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}.items():
    os.environ[setting.upper()] = str(value)
    jax.config.update(setting, value)
# StarCraft II's protocol needs protobuf's parser in Python, chosen before anything imports protobuf
os.environ.setdefault("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", "python")
# two devices, whatever the machine: large batches are shared out as on a real run
jax.config.update("jax_num_cpu_devices", 2)

# Every compiled program maps some memory of its own, and Linux lets a process have 65,530 maps: a
# worker that has compiled a few thousand programs crashes in the middle of the next one.
MAX_MAPS = 45_000
# What they take besides, so that several workers fit into memory.
MAX_RESIDENT = 4 * 2**30  # bytes

# Tests come back to more kinds of experiments than a user's process has.
programs.MAX_KINDS = 64
programs._remembered = functools.lru_cache(programs.MAX_KINDS)(programs._remembered.__wrapped__)

# Tracing makes many objects that stay, and Python looks through them again and again: a sixteenth
# of a session of a minute, and more of a long one.
gc.set_threshold(50_000, 20, 50)
end_at_once()


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin anew when programs of old code have piled up."""
    is_worker = hasattr(session.config, "workerinput")
    if not is_worker and sum(x.stat().st_size for x in PROGRAMS.glob("*")) > MAX_PROGRAMS:
        shutil.rmtree(PROGRAMS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that have most slow tests, so that no worker is left with one of them
    at the end."""
    n_slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -n_slow[item.path])


@pytest.hookimpl(trylast=True)  # after the fixtures of the last test are gone
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Between two files, give freed memory back, and forget compiled programs if there are
    many."""
    if nextitem is None or nextitem.path == item.path:
        return
    with contextlib.suppress(AttributeError, OSError):  # runs keep what they free (glibc)
        ctypes.CDLL(None).malloc_trim(0)
    maps, memory = Path("/proc/self/maps"), Path("/proc/self/statm")
    if not maps.exists():
        return
    resident = int(memory.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    if len(maps.read_text().splitlines()) > MAX_MAPS or resident > MAX_RESIDENT:
        programs.forget()
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def compiled_as_for_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the programs of trainers that are made in the test, which share none with other tests."""
    options = shard.compiler_options
    monkeypatch.setattr(shard, "compiler_options", lambda size: {**options(size), **FOR_USERS})
    monkeypatch.setattr(programs, "_remembered", functools.cache(lambda *_: {}))


@pytest.fixture
def python_handles_sigint() -> Iterator[None]:
    """Whoever started the tests may have had the signal ignored, as a shell's `&` does; so would
    the processes that a test starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
