"""A pool of workers: started, waited for, replaced when they die or hang, and always ended."""

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
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from macpo.errors import UsageError, require
from macpo.machine import available_cores
from macpo.training.host.slot import (
    FAULT,
    LOST,
    OVER,
    QUIT,
    RESET,
    SHOWN,
    SPEC,
    STEP,
    open_memory,
    plain,
    slot_in,
)
from macpo.types import Spec

MOST_PER_CORE = 4
"""Workers a core has by default: some wait for a game while others compute."""
MOST_FAILURES = 5
"""In a row of one worker, without an episode played to its end; then the run stops."""
BACK_OFF = 1.0
"""Seconds before the second restart in a row; each further one waits twice as long."""
GRACE = 5.0
"""Seconds that environments have to close."""
MOST_LOG = 1_000_000
"""Bytes kept of what a worker prints."""
LAST_LINES = 5


@dataclass(frozen=True)
class Workers:
    """The processes that play environments which are not JAX; others need none."""

    count: int | None = None
    """How many; by default one for each parallel episode, but at most four a core."""
    timeout: float = 120.0
    """Seconds without an answer to a reset or a step after which a worker is replaced."""

    def __post_init__(self) -> None:
        require(
            self.count is None or self.count >= 1,
            f"the number of workers must be at least 1, not {self.count}.",
        )
        require(self.timeout > 0, f"a worker's timeout must be above 0 s, not {self.timeout}.")


class Shown(NamedTuple):
    """A time step lies in the worker's slot."""

    outcome: Mapping[str, float] | None
    """`info` if the episode is over."""


class Lost(NamedTuple):
    """The worker's episode is lost."""


class Pool:
    """Workers with an environment each, for `parallel` episodes at once.

    `env` is the environment's section of an experiment as plain data. Use it as a context: at its
    end no process is left. UsageError, from any method, for what only the user can mend.
    """

    def __init__(
        self, env: Mapping[str, Any], spec: Spec, parallel: int, workers: Workers | None = None
    ) -> None:
        workers = workers or Workers()
        count = workers.count or min(parallel, MOST_PER_CORE * available_cores())
        self.spec = spec
        self._timeout = workers.timeout
        self._task = plain(env)
        self._selector = selectors.DefaultSelector()
        # the workers hold one end, and end themselves when the other is gone with this process
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
        """Let environments close, unless something went wrong, and end all that workers started."""
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
        """Those that can begin an episode."""
        return [worker for worker in self.workers if worker.doing == "idle"]

    def reset(self, worker: "Worker", seed: int) -> None:
        """Begin an episode; `wait` tells when its first time step is there."""
        if os.fstat(worker.log.fileno()).st_size > MOST_LOG:
            os.ftruncate(worker.log.fileno(), 0)
        self._ask(worker, RESET + str(seed).encode())

    def step(self, worker: "Worker", actions: Int[np.ndarray, " N"]) -> None:
        """Take an env step; `wait` tells when it is done."""
        worker.slot.actions[:] = actions
        self._ask(worker, STEP)

    def wait(self) -> list[tuple["Worker", Shown | Lost]]:
        """What happened, as soon as something did; nothing if a worker merely became idle."""
        while True:
            now = time.monotonic()
            for worker in self.workers:
                if worker.doing == "down" and worker.deadline <= now:
                    self._start(worker)
            pending = [worker for worker in self.workers if worker.doing != "idle"]
            soonest = min(worker.deadline for worker in pending)
            heard = self._selector.select(None if soonest == math.inf else max(soonest - now, 0))
            events = [event for key, _ in heard for event in self._hear(key.data)]
            now = time.monotonic()
            for worker in pending:
                if worker.doing in ("starting", "busy") and worker.deadline <= now:
                    events += self._lose(worker, f"no answer for {self._timeout:g} s")
            if events or any(worker.doing == "idle" for worker in pending):
                return events

    # --- one worker -------------------------------------------------------------------------------

    def _start(self, worker: "Worker") -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            handles = (theirs.fileno(), worker.memory, self._lifeline)
            worker.process = subprocess.Popen(
                [sys.executable, "-m", "macpo.training.host.worker", *map(str, handles)],
                pass_fds=handles,
                stdin=subprocess.DEVNULL,
                stdout=worker.log,
                stderr=worker.log,
                env=_surroundings(),
                start_new_session=True,
            )
        worker.link = Connection(ours.detach())
        self._selector.register(worker.link, selectors.EVENT_READ, worker)
        worker.doing, worker.deadline = "starting", time.monotonic() + self._timeout
        self._send(worker, self._task)

    def _ask(self, worker: "Worker", message: bytes) -> None:
        worker.doing, worker.deadline = "busy", time.monotonic() + self._timeout
        self._send(worker, message)

    def _send(self, worker: "Worker", message: bytes) -> None:
        assert worker.link is not None
        with suppress(OSError):  # it has died: `wait` will see that
            worker.link.send_bytes(message)

    def _hear(self, worker: "Worker") -> list[tuple["Worker", Shown | Lost]]:
        assert worker.link is not None
        try:
            message = worker.link.recv_bytes()
        except (EOFError, OSError):
            return self._lose(worker, "it ended unexpectedly")
        what, rest = message[:1], message[1:]
        if what == SHOWN:
            worker.deadline = math.inf  # now it waits for us
            return [(worker, Shown(None))]
        if what == OVER:
            worker.doing, worker.failures = "idle", 0
            return [(worker, Shown(json.loads(rest)))]
        if what == LOST:
            return self._lose(worker, rest.decode())
        if what == FAULT:
            raise UsageError(rest.decode())
        assert what == SPEC, message
        _check_spec(json.loads(rest), self.spec)
        worker.doing = "idle"
        return []

    def _lose(self, worker: "Worker", why: str) -> list[tuple["Worker", Shown | Lost]]:
        """End the worker; it is started again soon."""
        had_episode = worker.doing == "busy"
        self._end(worker)
        worker.failures += 1
        if worker.failures >= MOST_FAILURES:
            printed = "\n".join(worker.last_lines())
            raise UsageError(
                f"a worker of {self.spec.name} failed {worker.failures} times in a row, at last: "
                f"{why}; see that the environment runs on its own, or allow more time with "
                f"--workers.timeout.{' It printed:' if printed else ''}\n{printed}".strip()
            )
        pause = 0 if worker.failures == 1 else BACK_OFF * 2 ** (worker.failures - 2)
        worker.doing, worker.deadline = "down", time.monotonic() + pause
        return [(worker, Lost())] if had_episode else []

    def _end(self, worker: "Worker") -> None:
        """Kill the process with its group: a game that hangs, or outlives its worker, as well."""
        if worker.process is None or worker.link is None:
            return
        # not yet waited for, so that the number cannot belong to anybody else
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
                    worker.link.recv_bytes()  # an answer nobody waits for any more


class Worker:
    """A place in the pool; processes come and go."""

    def __init__(self, spec: Spec) -> None:
        self.memory = open_memory(spec)
        self.slot = slot_in(self.memory, spec)
        self.log = tempfile.TemporaryFile("ab+", buffering=0)  # noqa: SIM115 (closed by the pool)
        self.process: subprocess.Popen[bytes] | None = None
        self.link: Connection[bytes, bytes] | None = None
        self.doing: Literal["down", "starting", "idle", "busy"] = "down"
        self.deadline = 0.0
        """When it is started again or given up."""
        self.failures = 0

    def last_lines(self) -> list[str]:
        """What the processes printed last."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace").splitlines()[-LAST_LINES:]


def _surroundings() -> dict[str, str]:
    """Environment variables of a worker."""
    return {
        "OMP_NUM_THREADS": "1",  # there are as many processes as there is work for
        "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python",  # old generated code needs it (SMAC)
        **os.environ,
        "JAX_PLATFORMS": "cpu",  # an accelerator belongs to the learner
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


def _check_spec(theirs: Mapping[str, Any], spec: Spec) -> None:
    ours = json.loads(plain(dataclasses.asdict(spec)))
    unlike = [name for name in ours if theirs[name] != ours[name]]
    require(
        not unlike,
        f"{spec.name} has another spec in a worker than here ("
        + ", ".join(f"{name}: {theirs[name]} for {ours[name]}" for name in unlike)
        + "); make() must give the same for the same Config.",
    )
