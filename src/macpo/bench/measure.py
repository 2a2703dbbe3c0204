"""How the bench measures: medians over rounds, ratios to references, and the machine's data."""

import importlib.util
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import jax
import numpy as np

import macpo
from macpo.bounds import PositiveInt
from macpo.field_types import JsonObject
from macpo.machine import processor_name


@dataclass(frozen=True)
class Flags:
    """How long to measure."""

    rounds: PositiveInt = 5
    """Rounds of each comparison; the median counts."""
    steps: PositiveInt = 60_000
    """Env steps of the end-to-end run."""
    json: Path | None = None
    """File for the results."""
    maps: tuple[str, ...] = ()
    """Battles: SMAC's maps and SMACv2's tasks (terran_5v5); by default all maps and three tasks."""
    trial: bool = False
    """Tiny sizes that only show that everything runs; their figures mean nothing."""

    def size(self, real: int, trial: int) -> int:
        """The first, or the second if this is a trial."""
        return trial if self.trial else real


@dataclass(frozen=True)
class Result:
    """One measured quantity."""

    name: str
    value: float
    unit: str
    ratio: float | None = None
    """Against the reference measured in the same run."""
    reference: str = ""
    note: str = ""


def machine() -> JsonObject:
    """The machine, what else was running on it, and the versions that figures are measured with."""
    return {
        "cpu": processor_name(),
        "cores": os.cpu_count(),
        "devices": [str(device.device_kind) for device in jax.devices()],
        "matmul_precision": jax.config.jax_default_matmul_precision,  # pyright: ignore[reportAttributeAccessIssue]
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "python": platform.python_version(),
        "macpo": macpo.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "load_average": os.getloadavg()[0],
    }


def once(fn: Callable[..., object], *args: object) -> float:
    """Seconds of one call, results included."""
    start = time.perf_counter()
    jax.block_until_ready(fn(*args))
    return time.perf_counter() - start


def seconds_of(fn: Callable[[int], object], rounds: int) -> float:
    """Median seconds of a call, after one that compiles."""
    once(fn, 0)
    return statistics.median(once(fn, i) for i in range(rounds))


def repository() -> Path:
    """The repository this package was installed from in place (elsewhere: some folder)."""
    return Path(__file__).resolve().parents[3]


def repository_module(path: str) -> ModuleType | None:
    """A module of the repository this package was installed from in place; None elsewhere."""
    file = repository() / path
    if not file.is_file():
        return None
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module
