"""What the machine gives this process, read from files that Linux keeps."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from macpo import machine
from macpo.errors import UsageError

CGROUP_2 = "/sys/fs/cgroup/memory.max"
CGROUP_1 = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
MEMINFO = "MemTotal:       32000000 kB\nMemFree:         1000000 kB\nMemAvailable:    8000 kB\n"


def pretend(monkeypatch: pytest.MonkeyPatch, files: dict[str, str]) -> None:
    """Of what Linux tells, only these files exist."""
    whole = Path.read_text

    def read_text(self: Path, *args: Any, **kwargs: Any) -> str:
        if str(self) in files:
            return files[str(self)]
        if self.parts[:2] in ((os.sep, "proc"), (os.sep, "sys")):
            raise FileNotFoundError(str(self))
        return whole(self, *args, **kwargs)  # JAX looks for its plugins when it is first used

    monkeypatch.setattr(Path, "read_text", read_text)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/proc/meminfo": MEMINFO}, 8000 * 1024),
        ({"/proc/meminfo": MEMINFO, CGROUP_2: "max\n"}, 8000 * 1024),
        ({"/proc/meminfo": MEMINFO, CGROUP_2: "4096000\n"}, 4_096_000),
        ({"/proc/meminfo": MEMINFO, CGROUP_1: "9223372036854771712\n"}, 8000 * 1024),
        ({CGROUP_1: "5000\n"}, 5000),
        ({"/proc/meminfo": "MemTotal: 32000000 kB\n"}, None),
        ({}, None),
    ],
)
def test_available_memory_is_the_smallest_known_limit(
    files: dict[str, str], expected: int | None, monkeypatch: pytest.MonkeyPatch
):
    pretend(monkeypatch, files)
    assert machine.available_bytes() == expected


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("max 100000\n", 6),
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),  # a core and a half keep two busy
        ("50000 100000\n", 1),
        ("900000 100000\n", 6),
        (None, 6),
        ("nonsense\n", 6),
    ],
)
def test_cores_are_those_allowed_but_no_more_than_the_quota(
    quota: str | None, expected: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    pretend(monkeypatch, {} if quota is None else {"/sys/fs/cgroup/cpu.max": quota})
    assert machine.available_cores() == expected


def test_resident_and_peak_memory_are_read_from_the_status_of_the_process(
    monkeypatch: pytest.MonkeyPatch,
):
    pretend(monkeypatch, {"/proc/self/status": "Name: x\nVmHWM:\t 700 kB\nVmRSS:\t 500 kB\n"})
    assert machine.peak_bytes() == 700 * 1024
    assert machine.resident_bytes() == 500 * 1024


def test_without_that_file_the_peak_is_still_known_but_the_present_size_is_not(
    monkeypatch: pytest.MonkeyPatch,
):
    pretend(monkeypatch, {})
    assert machine.peak_bytes() > 2**20
    assert machine.resident_bytes() is None


def test_a_process_that_was_started_counts_until_it_has_ended():
    before = machine.child_processes()
    if before is None:
        pytest.skip("this system does not list the processes that a process has started")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE):
        assert machine.child_processes() == before + 1
    assert machine.child_processes() == before


def test_elsewhere_than_on_linux_freed_memory_is_left_to_the_system(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert machine.keep_freed_memory() is False


@pytest.mark.parametrize("answer", [1, 0])
def test_freed_memory_is_kept_if_the_c_library_accepts_every_option(
    answer: int, monkeypatch: pytest.MonkeyPatch
):
    asked: list[int] = []

    class Library:
        @staticmethod
        def mallopt(option: int, value: int) -> int:
            asked.append(option)
            return answer if option == -8 else 1

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda _: Library)
    assert machine.keep_freed_memory() is bool(answer)
    assert asked == [-3, -1, -8]  # the threshold of mmap, that of trimming, most arenas


def test_a_c_library_without_such_options_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda _: object())
    assert machine.keep_freed_memory() is False


def test_the_64_bit_mode_of_jax_is_refused_in_a_sentence():
    with jax.enable_x64(True), pytest.raises(UsageError, match="unset JAX_ENABLE_X64"):
        machine.prepare_jax()


def test_the_processor_is_called_what_linux_calls_it(monkeypatch: pytest.MonkeyPatch):
    table = "processor\t: 0\nmodel name\t: EPYC 9\nprocessor\t: 1\nmodel name\t: EPYC 9\n"
    pretend(monkeypatch, {"/proc/cpuinfo": table})
    name = machine.processor_name()
    monkeypatch.undo()
    assert name == "EPYC 9"


# --- units for bfloat16 ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu sse avx2 avx512f", False),
        ("fpu avx512f amx_bf16 amx_tile", True),
        ("fpu avx512_bf16", True),
        ("", False),
    ],
)
def test_a_processor_has_units_for_bfloat16_if_its_flags_say_so(
    flags: str, expected: bool, monkeypatch: pytest.MonkeyPatch
):
    cpuinfo = f"processor\t: 0\nmodel name\t: A processor\nflags\t\t: {flags}\n"
    pretend(monkeypatch, {"/proc/cpuinfo": cpuinfo})
    assert machine.has_bf16_units() is expected
    assert machine.processor_name() == "A processor"


class Gpu:
    """A device with a compute capability, as those by NVIDIA have."""

    def __init__(self, compute_capability: str) -> None:
        self.compute_capability = compute_capability


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        (Gpu("7.5"), False),
        (Gpu("8.0"), True),
        (Gpu("9.0"), True),
        (Gpu("gfx90a"), True),
        ("TPU", True),
    ],
)
def test_gpus_have_units_for_bfloat16_since_ampere(
    device: object, expected: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(machine, "on_accelerator", lambda: True)
    monkeypatch.setattr(jax, "devices", lambda: [device])
    assert machine.has_bf16_units() is expected


def test_without_such_units_bf16_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch):
    pretend(monkeypatch, {})
    with pytest.raises(UsageError, match="needs a processor with units for bfloat16"):
        machine.require_bf16_units()


COMMAND = """
import atexit, gc

atexit.register(lambda: print(gc.get_freeze_count() > 1000))
from macpo.cli import main

main({arguments})
"""


def printed_by(arguments: str) -> str:
    words = [sys.executable, "-c", COMMAND.format(arguments=arguments), "--version"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[-1]


def test_a_command_looks_for_no_garbage_at_its_end() -> None:
    assert printed_by("") == "True"


def test_a_program_that_calls_a_command_does() -> None:
    assert printed_by("['--version']") == "False"
