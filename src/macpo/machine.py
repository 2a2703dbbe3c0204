"""The cores and memory available to this process, and Python and JAX set up to use them.

Importing this does not import JAX, which takes a second.
"""

import atexit
import ctypes
import gc
import math
import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

from macpo.errors import require

MAX_DEVICES = 8
"""Maximum number of devices that share a batch, and so of cores that JAX sees as devices."""

_PR_SET_PDEATHSIG = 1
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def available_cores() -> int:
    """Cores this process may use: those of its CPU affinity, limited by its cgroup quota."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores
    return min(cores, math.ceil(int(quota) / int(period))) if quota.isdigit() else cores


def cores_of_slot(slot: int, size: int) -> list[int]:
    """The numbers of the cores that the process in this slot of `size` cores may stay on.

    None where the system cannot keep a process there, or where the slots before have taken all.
    """
    if sys.platform != "linux":
        return []
    return sorted(os.sched_getaffinity(0))[slot * size : (slot + 1) * size]


def processor_name() -> str:
    """What the processor is called; empty if the system does not tell."""
    return _of_processor("model name") or platform.processor()


def has_bf16_units() -> bool:
    """Whether what JAX computes on multiplies bfloat16 in units of its own, much faster than
    float32."""
    import jax

    if not on_accelerator():
        return not {"amx_bf16", "avx512_bf16"}.isdisjoint(_of_processor("flags").split())
    try:
        return float(jax.devices()[0].compute_capability) >= _AMPERE
    except (AttributeError, TypeError, ValueError):  # no GPU by NVIDIA
        return True


_AMPERE = 8.0
"""The compute capability of NVIDIA's first GPUs with such units."""


def require_bf16_units() -> None:
    """UsageError unless `has_bf16_units`."""
    require(
        has_bf16_units(),
        "--precision bf16 needs a processor with units for bfloat16 (AMX, AVX-512 BF16, or an "
        "NVIDIA GPU since Ampere); without them updates only get slower, so leave it out here.",
    )


def _of_processor(what: str) -> str:
    """What Linux reports for the first core under this name; empty if nothing."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == what:
                return value.strip()
    return ""


def signal_at_end_of_parent(number: int) -> None:
    """Have Linux send this process a signal when the one that started it dies."""
    with suppress(AttributeError, OSError):  # other systems have no prctl
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def on_accelerator() -> bool:
    """Whether JAX computes on a GPU or TPU, not on the cores of this machine."""
    import jax

    return jax.default_backend() != "cpu"


def prepare_jax() -> None:
    """Cache compiled programs on disk, keep freed memory in the process, and use every core.

    Using every core works only if the process has not used JAX for anything else before. UsageError
    in JAX's 64-bit mode.
    """
    import jax

    require(
        not jax.config.jax_enable_x64,  # pyright: ignore[reportAttributeAccessIssue]
        "JAX's 64-bit mode is on, but all numbers here have 32 bits; unset JAX_ENABLE_X64 "
        "(in Python: jax.config.update('jax_enable_x64', False)).",
    )
    keep_freed_memory()
    if jax.config.jax_num_cpu_devices < 1:  # pyright: ignore[reportAttributeAccessIssue]
        with suppress(RuntimeError):  # JAX has already been used: it keeps its one device
            jax.config.update("jax_num_cpu_devices", min(available_cores(), MAX_DEVICES))
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "macpo" / "jax"
        jax.config.update("jax_compilation_cache_dir", str(cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def keep_freed_memory() -> bool:
    """Tell glibc not to return large freed blocks to the kernel; True if it accepted.

    An update frees and allocates some hundred megabytes. By default the kernel
    provides each block anew and zeroes it page by page, which costs about a third of an update on a
    CPU (measured: 14 ms instead of 1 ms per 53 MB array). The number of memory pools for threads is
    limited too, because they would return blocks to the kernel in the same way. Without Linux and
    glibc this does nothing.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return all(
        mallopt(option, value)
        for option, value in (
            (_M_MMAP_THRESHOLD, 2**30),
            (_M_TRIM_THRESHOLD, 2**31 - 1),
            (_M_ARENA_MAX, available_cores() + 1),
        )
    )


def end_at_once() -> None:
    """Have Python not look for garbage in cycles when this process ends.

    What JAX loads and traces is a million objects. Looking through them once more takes half a
    second of every command that loads JAX, and a second of a run that has been compiled (measured).
    """
    atexit.register(gc.freeze)  # what is frozen is not looked through


def available_bytes() -> int | None:
    """Bytes that can be allocated before the machine swaps; None if unknown."""
    limits = [
        _number(Path("/sys/fs/cgroup/memory.max")),
        _number(Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")),
    ]
    limits.append(_from_table(Path("/proc/meminfo"), "MemAvailable"))
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def peak_bytes() -> int:
    """The peak resident size of this process, in bytes."""
    if (own := _from_table(Path("/proc/self/status"), "VmHWM")) is not None:
        return own  # getrusage's figure would include that of the process that started this one
    import resource  # Windows has none

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def resident_bytes() -> int | None:
    """The current resident size of this process, in bytes; None if unknown."""
    return _from_table(Path("/proc/self/status"), "VmRSS")


def child_processes() -> int | None:
    """The number of running processes that this one has started; None if unknown."""
    try:
        tasks = [file.read_text() for file in Path("/proc/self/task").glob("*/children")]
    except OSError:
        return None
    return sum(len(task.split()) for task in tasks) if tasks else None


def _from_table(file: Path, name: str) -> int | None:
    """Bytes in a line such as `MemAvailable:  24000000 kB`."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    kilobytes = [int(line.split()[1]) for line in lines if line.startswith(f"{name}:")]
    return 1024 * kilobytes[0] if kilobytes else None


def _number(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
