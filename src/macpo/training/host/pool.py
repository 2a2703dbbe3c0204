"""A pool of workers: starts and ends them, waits for them, replaces those that die or hang."""

import dataclasses
import json
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int

from macpo.bounds import PositiveInt, Seconds, check_fields
from macpo.errors import UsageError, require
from macpo.field_types import Settings
from macpo.machine import available_cores
from macpo.training.host.slot import (
    FAULT,
    LAST_TIMESTEP,
    LOST,
    QUIT,
    RESET,
    SPEC,
    STEP,
    TIMESTEP,
    open_memory,
    slot_in,
    to_json,
)
from macpo.types import Spec

MAX_PER_CORE = 4
"""Workers per core by default: some wait for a game while others compute."""
MAX_FAILURES = 5
"""Of one worker in a row, without an episode played to its end; then the run stops."""
BACK_OFF = 1.0
"""Seconds before the second restart in a row; each further one waits twice as long."""
GRACE = 5.0
"""Seconds that environments have to close."""
MAX_LOG_BYTES = 1_000_000
"""Kept of what a worker prints."""
MAX_LINES = 5
"""Of what it printed, in an error message."""


@dataclass(frozen=True)
class Workers:
    """The processes that play environments which are not JAX; others need none."""

    count: PositiveInt | None = None
    """How many; by default one for each parallel episode, but at most four a core."""
    timeout: Seconds = 120.0
    """Seconds without an answer to a reset or a step after which a worker is replaced."""

    def __post_init__(self) -> None:
        check_fields(self, "workers")


class TimeStepReady(NamedTuple):
    """A time step is in the worker's slot."""

    outcome: Mapping[str, float] | None
    """`info` if the episode is over."""


class EpisodeLost(NamedTuple):
    """The worker's episode cannot go on."""


Event: TypeAlias = TimeStepReady | EpisodeLost
"""What became of a worker's episode."""


class Pool:
    """Workers with an environment each, for `parallel` episodes at once.

    `env` is the environment's section of an experiment as plain data. Use the pool as a context: at
    its end no process is left. Any method raises UsageError for what only the user can fix.
    """

    def __init__(
        self, env: Settings, spec: Spec, parallel: int, workers: Workers | None = None
    ) -> None:
        workers = workers or Workers()
        count = workers.count or min(parallel, MAX_PER_CORE * available_cores())
        require_importable(str(env["name"]))
        self.spec = spec
        self._timeout = workers.timeout
        self._task = to_json(env)
        self._selector = selectors.DefaultSelector()
        # the workers hold one end, and end themselves when the other closes with this process
        self._lifeline, self._our_end = os.pipe()
        self.workers = [Worker(spec) for _ in range(min(count, parallel))]

    def __enter__(self) -> "Pool":
        try:
            for worker in self.workers:
                self._start(worker)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let environments close, unless something went wrong, and end all processes."""
        if error is None:
            self._close_gently()
        for worker in self.workers:
            self._end(worker)
            worker.log.close()
            os.close(worker.memory)
        self._selector.close()
        os.close(self._lifeline)
        os.close(self._our_end)

    def idle(self) -> list["Worker"]:
        """The workers that can begin an episode."""
        return [worker for worker in self.workers if worker.status == "idle"]

    def reset(self, worker: "Worker", seed: int) -> None:
        """Begin an episode; `wait` returns once its first time step is ready."""
        if os.fstat(worker.log.fileno()).st_size > MAX_LOG_BYTES:
            os.ftruncate(worker.log.fileno(), 0)
        self._request(worker, RESET + str(seed).encode())

    def step(self, worker: "Worker", actions: Int[np.ndarray, " N"]) -> None:
        """Take an env step; `wait` returns once it is done."""
        worker.slot.actions[:] = actions
        self._request(worker, STEP)

    def wait(self) -> list[tuple["Worker", Event]]:
        """What happened, as soon as something did; empty if a worker merely became idle."""
        while True:
            now = time.monotonic()
            for worker in self.workers:
                if worker.status == "down" and worker.deadline <= now:
                    self._start(worker)
            pending = [worker for worker in self.workers if worker.status != "idle"]
            soonest = min(worker.deadline for worker in pending)
            ready = self._selector.select(None if soonest == math.inf else max(soonest - now, 0))
            events = [event for key, _ in ready for event in self._receive(key.data)]
            now = time.monotonic()
            for worker in pending:
                if worker.status in ("starting", "busy") and worker.deadline <= now:
                    events += self._lose(worker, f"no answer for {self._timeout:g} s")
            if events or any(worker.status == "idle" for worker in pending):
                return events

    # --- one worker -------------------------------------------------------------------------------

    def _start(self, worker: "Worker") -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            handles = (theirs.fileno(), worker.memory, self._lifeline)
            worker.process = subprocess.Popen(
                # -P: the current folder is no place to import from, unless it is one here
                [sys.executable, "-P", "-m", "macpo.training.host.worker", *map(str, handles)],
                pass_fds=handles,
                stdin=subprocess.DEVNULL,
                stdout=worker.log,
                stderr=worker.log,
                env=_environment_variables(),
                start_new_session=True,
            )
        worker.link = Connection(ours.detach())
        self._selector.register(worker.link, selectors.EVENT_READ, worker)
        worker.status, worker.deadline = "starting", time.monotonic() + self._timeout
        self._send(worker, self._task)

    def _request(self, worker: "Worker", message: bytes) -> None:
        worker.status, worker.deadline = "busy", time.monotonic() + self._timeout
        self._send(worker, message)

    def _send(self, worker: "Worker", message: bytes) -> None:
        assert worker.link is not None
        with suppress(OSError):  # the worker has died, which `wait` will notice
            worker.link.send_bytes(message)

    def _receive(self, worker: "Worker") -> list[tuple["Worker", Event]]:
        assert worker.link is not None
        try:
            message = worker.link.recv_bytes()
        except (EOFError, OSError):
            return self._lose(worker, "it ended unexpectedly")
        kind, rest = message[:1], message[1:]
        if kind == TIMESTEP:
            worker.deadline = math.inf  # it now waits for this process
            return [(worker, TimeStepReady(None))]
        if kind == LAST_TIMESTEP:
            worker.status, worker.failures = "idle", 0
            return [(worker, TimeStepReady(json.loads(rest)))]
        if kind == LOST:
            return self._lose(worker, rest.decode())
        if kind == FAULT:
            raise UsageError(rest.decode())
        assert kind == SPEC, message
        _check_spec(json.loads(rest), self.spec)
        worker.status = "idle"
        return []

    def _lose(self, worker: "Worker", why: str) -> list[tuple["Worker", Event]]:
        """End the worker, to be started again after a pause."""
        had_episode = worker.status == "busy"
        self._end(worker)
        worker.failures += 1
        if worker.failures >= MAX_FAILURES:
            printed = "\n".join(worker.last_lines())
            raise UsageError(
                f"a worker of {self.spec.name} failed {worker.failures} times in a row, at last: "
                f"{why}; see that the environment runs on its own, or allow more time with "
                f"--workers.timeout.{' It printed:' if printed else ''}\n{printed}".strip()
            )
        pause = 0 if worker.failures == 1 else BACK_OFF * 2 ** (worker.failures - 2)
        worker.status, worker.deadline = "down", time.monotonic() + pause
        return [(worker, EpisodeLost())] if had_episode else []

    def _end(self, worker: "Worker") -> None:
        """Kill the process and its group, including games that hang or outlive their worker."""
        if worker.process is None or worker.link is None:
            return
        # it has not been waited for, so its number cannot belong to another process yet
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.process.pid, signal.SIGKILL)
        worker.process.wait()
        self._selector.unregister(worker.link)
        worker.link.close()
        worker.process = worker.link = None

    def _close_gently(self) -> None:
        deadline = time.monotonic() + GRACE
        alive = [worker for worker in self.workers if worker.link is not None]
        for worker in alive:
            self._send(worker, QUIT)
        for worker in alive:
            with suppress(EOFError, OSError):
                while worker.link and worker.link.poll(max(deadline - time.monotonic(), 0)):
                    worker.link.recv_bytes()  # an answer that is no longer needed


def require_importable(name: str) -> None:
    """UsageError for an environment that only this process can find under its name."""
    require(
        name.partition(":")[0] != "__main__",
        f"{name} is defined in the script that is running, but its episodes are played by worker "
        "processes, which would have to import it: move it into a module of its own, and import it "
        "from there.",
    )


class Worker:
    """A place in the pool; processes come and go."""

    def __init__(self, spec: Spec) -> None:
        self.memory = open_memory(spec)
        self.slot = slot_in(self.memory, spec)
        self.log = tempfile.TemporaryFile("ab+", buffering=0)  # noqa: SIM115 (closed by the pool)
        self.process: subprocess.Popen[bytes] | None = None
        self.link: Connection[bytes, bytes] | None = None
        self.status: Literal["down", "starting", "idle", "busy"] = "down"
        self.deadline = 0.0
        """When it is started again, or given up as hanging."""
        self.failures = 0

    def last_lines(self) -> list[str]:
        """What the processes printed last, of all that this worker had."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace").splitlines()[-MAX_LINES:]


def _environment_variables() -> dict[str, str]:
    """Those of a worker."""
    return {
        "OMP_NUM_THREADS": "1",  # the processes share the work out already
        "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python",  # old generated code needs it (SMAC)
        **os.environ,
        "JAX_PLATFORMS": "cpu",  # an accelerator belongs to the learner
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


def _check_spec(theirs: Settings, spec: Spec) -> None:
    """UsageError unless a worker has built the same environment as this process."""
    ours = json.loads(to_json(dataclasses.asdict(spec)))
    unlike = [name for name in ours if theirs[name] != ours[name]]
    require(
        not unlike,
        f"{spec.name} has another spec in a worker than here ("
        + ", ".join(f"{name}: {theirs[name]} for {ours[name]}" for name in unlike)
        + "); make() must give the same for the same Config.",
    )
