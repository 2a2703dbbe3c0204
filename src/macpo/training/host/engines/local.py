"""Workers as processes of this machine."""

import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from multiprocessing.connection import Connection

from macpo.machine import available_cores
from macpo.training.host.slot import RESET, open_memory, slot_in
from macpo.types import Spec

MAX_LOG_BYTES = 1_000_000
"""Kept of what a worker prints."""
MAX_LINES = 5
"""Of what it printed, in an error message."""


class LocalEngine:
    """Starts workers in sessions of their own, which end with this process."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        # the workers hold one end, and end themselves when the other closes with this process
        self.lifeline, self._our_end = os.pipe()

    def cores(self) -> int:
        """How many cores there are for workers."""
        return available_cores()

    def seat(self, spec: Spec) -> "LocalSeat":
        """A new place, empty."""
        return LocalSeat(self, spec)

    def wait(self, timeout: float | None) -> list["LocalSeat"]:
        """The seats that have a message or whose process has ended; none after `timeout`."""
        return [key.data for key, _ in self.selector.select(timeout)]

    def close(self) -> None:
        """Let go of what the seats had in common."""
        self.selector.close()
        os.close(self.lifeline)
        os.close(self._our_end)


class LocalSeat:
    """A place whose slot lies in memory that it shares with its process."""

    def __init__(self, engine: LocalEngine, spec: Spec) -> None:
        self._engine = engine
        self._memory = open_memory(spec)
        self.slot = slot_in(self._memory, spec)
        self._log = tempfile.TemporaryFile("ab+", buffering=0)  # noqa: SIM115 (closed by `close`)
        self.process: subprocess.Popen[bytes] | None = None
        self.link: Connection[bytes, bytes] | None = None

    def start(self, task: bytes) -> None:
        """Start a process, which leads a session of its own."""
        ours, theirs = socket.socketpair()
        with theirs:
            handles = (theirs.fileno(), self._memory, self._engine.lifeline)
            self.process = subprocess.Popen(
                # -P: the current folder is no place to import from, unless it is one here
                [sys.executable, "-P", "-m", "macpo.training.host.worker", *map(str, handles)],
                pass_fds=handles,
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                env=_environment_variables(),
                start_new_session=True,
            )
        self.link = Connection(ours.detach())
        self._engine.selector.register(self.link, selectors.EVENT_READ, self)
        self.send(task)

    def send(self, message: bytes) -> None:
        """Send a message; the actions lie in the slot."""
        assert self.link is not None
        if message[:1] == RESET and os.fstat(self._log.fileno()).st_size > MAX_LOG_BYTES:
            os.ftruncate(self._log.fileno(), 0)
        with suppress(OSError):  # it has died, which `receive` will tell
            self.link.send_bytes(message)

    def receive(self) -> bytes:
        """The next message; EOFError if the process has ended."""
        assert self.link is not None
        try:
            return self.link.recv_bytes()
        except (EOFError, OSError) as error:
            raise EOFError("it ended unexpectedly") from error

    def kill(self) -> None:
        """Kill the process and its group, including games that hang or outlive their worker."""
        if self.process is None or self.link is None:
            return
        # it has not been waited for, so its number cannot belong to another process yet
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._engine.selector.unregister(self.link)
        self.link.close()
        self.process = self.link = None

    def last_lines(self) -> list[str]:
        """What the processes printed last, of all that sat here."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace").splitlines()[-MAX_LINES:]

    def close(self) -> None:
        """Close the log and this process's handle of the memory."""
        self._log.close()
        os.close(self._memory)


def _environment_variables() -> dict[str, str]:
    """Those of a worker."""
    return {
        "OMP_NUM_THREADS": "1",  # the processes share the work out already
        "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python",  # old generated code needs it (SMAC)
        **os.environ,
        "JAX_PLATFORMS": "cpu",  # an accelerator belongs to the learner
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
