"""Runs as processes of this machine, several at a time, each on cores of its own."""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from macpo.machine import cores_of_slot
from macpo.runs.files import disk_errors
from macpo.study.directory import Outcome, Status, StudyDirectory
from macpo.study.study import PlannedRun

MAX_MESSAGE = 2_000
"""Bytes at the end of a log in which the reason of a failure is looked for."""


@dataclass(frozen=True)
class _Process:
    popen: subprocess.Popen[bytes]
    directory: StudyDirectory
    slot: int
    started: float


class LocalEngine:
    """`parallel` runs at a time with `cores` each.

    A `pinned` run stays on its cores, where the system can do that. `trust` lets the study's file
    name code that is not registered.
    """

    def __init__(
        self, parallel: int, cores: int, *, trust: bool = False, pinned: bool = True
    ) -> None:
        self.cores, self.trust, self.pinned = cores, trust, pinned
        self._environ = {**(_SHARED if parallel > 1 else {}), **os.environ}
        self._free = [*range(parallel)][::-1]
        self._waiting = deque[tuple[StudyDirectory, PlannedRun]]()
        self._running: dict[PlannedRun, _Process] = {}

    def submit(self, directory: StudyDirectory, runs: Sequence[PlannedRun]) -> None:
        """Take on runs, to be begun in this order."""
        self._waiting.extend((directory, run) for run in runs)

    def running(self) -> list[PlannedRun]:
        """The runs that are being carried out now."""
        return [*self._running]

    def poll(self) -> list[Outcome]:
        """Begin what can be begun; the runs that have ended since the last call."""
        ended = [run for run, process in self._running.items() if process.popen.poll() is not None]
        outcomes = [_outcome(run, self._running.pop(run), self._free) for run in ended]
        while self._waiting and self._free:
            directory, run = self._waiting.popleft()
            self._running[run] = self._begin(directory, run, self._free.pop())
        return outcomes

    def stop(self) -> None:
        """Begin nothing more, and have what is running saved and ended; `poll` tells when."""
        self._waiting.clear()
        for process in self._running.values():
            process.popen.terminate()

    def close(self) -> None:
        """Kill what is still running."""
        for process in self._running.values():
            with suppress(OSError):
                process.popen.kill()
            process.popen.wait()

    def _begin(self, directory: StudyDirectory, run: PlannedRun, slot: int) -> _Process:
        log = directory.log(run)
        with disk_errors(log, "create"):
            log.parent.mkdir(parents=True, exist_ok=True)
            handle = log.open("ab")
        # -P: in a folder from somebody else, any module's name may be a trap
        words = [sys.executable, "-P", "-m", "macpo.study.carry_out", os.fspath(directory.path)]
        words += [run.arm, str(run.seed), str(run.n_seeds), str(self.cores)]
        words += ["--trust"] * self.trust + ["--on", *map(str, self._cores_of(slot))]
        with handle:
            popen = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                env=self._environ,
            )
        return _Process(popen, directory, slot, time.monotonic())

    def _cores_of(self, slot: int) -> list[int]:
        return cores_of_slot(slot, self.cores) if self.pinned else []


_SHARED = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
"""So that a run leaves memory of an accelerator to the others; JAX takes three quarters at once."""


def _outcome(run: PlannedRun, process: _Process, free: list[int]) -> Outcome:
    """How an ended run ended; its slot becomes free."""
    free.append(process.slot)
    seconds = round(time.monotonic() - process.started, 1)
    code = process.popen.returncode
    stopped = code in _STOPPED
    status: Status = "finished" if code == 0 else "stopped" if stopped else "failed"
    message = "" if status == "finished" else _reason(process, run, code)
    return Outcome(run, status, message, seconds)


_STOPPED = (128 + 2, 128 + 15)
"""Exit statuses of a run that was saved because of SIGINT or SIGTERM."""


def _reason(process: _Process, run: PlannedRun, code: int) -> str:
    """The last message in a run's log, or by which signal it was killed."""
    if code < 0:
        return f"killed by signal {-code}"
    log = process.directory.log(run)
    with disk_errors(log, "read"), log.open("rb") as handle:
        handle.seek(max(handle.seek(0, os.SEEK_END) - MAX_MESSAGE, 0))
        lines = handle.read().decode(errors="replace").strip().splitlines()
    messages = [i for i, line in enumerate(lines) if line.startswith(_OURS)]
    last = lines[messages[-1] :] if messages else lines[-1:]
    return "\n".join(last).removeprefix(_OURS) or f"exit status {code}"


_OURS = "macpo: "
