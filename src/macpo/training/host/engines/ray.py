"""Workers as actors of a Ray cluster, on whichever machines have cores free.

An actor has a worker process on its own machine, as `LocalEngine` starts it there, and passes
messages on: so a game ends with its actor, however that ends. Nothing is shared: time steps and
actions travel with the messages. An actor that dies is replaced by another, where Ray puts it.
"""

import sys
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import ray
from jaxtyping import Int
from ray.exceptions import RayError, RayTaskError

from macpo.cluster import connect
from macpo.errors import require
from macpo.training.host.engines import MAX_PER_CORE
from macpo.training.host.engines.local import MAX_LINES, LocalEngine
from macpo.training.host.slot import Slot, empty_slot
from macpo.types import Spec, Untyped

PATIENCE = 1.0
"""Seconds that a worker's last lines may take to arrive."""
_PRINTED = "printed"
"""Name of the group of calls that an actor answers even while its game hangs."""


class _Answer(NamedTuple):
    """A worker's message, with its time step."""

    message: bytes
    slot: Slot


class _Actor:
    """A worker's seat on a machine of the cluster."""

    def __init__(self, spec: Spec, path: Sequence[str], task: bytes) -> None:
        sys.path += [folder for folder in path if folder not in sys.path]
        self._seat = LocalEngine().seat(spec)
        self._seat.start(task)

    def receive(self) -> _Answer:
        return _Answer(self._seat.receive(), self._seat.slot)

    def ask(self, message: bytes, actions: Int[np.ndarray, " N"]) -> _Answer:
        self._seat.slot.actions[:] = actions
        self._seat.send(message)
        return self.receive()

    def last_lines(self) -> list[str]:
        return self._seat.last_lines()


class RayEngine:
    """Has each worker run in an actor, which ends with this process's part in the cluster."""

    def __init__(self) -> None:
        self._joined = connect()
        self._seats: list[RaySeat] = []
        remote: Untyped = ray.remote  # its types leave out the groups
        self.actor: Untyped = remote(
            num_cpus=1 / MAX_PER_CORE,
            scheduling_strategy="SPREAD",
            concurrency_groups={_PRINTED: 1},
        )(_Actor)

    def cores(self) -> int:
        """How many cores the cluster has."""
        return int(ray.cluster_resources().get("CPU", 1))

    def seat(self, spec: Spec) -> "RaySeat":
        """A new place, empty; UsageError if there is no room for it."""
        room = MAX_PER_CORE * self.cores()
        require(
            len(self._seats) < room,
            f"the Ray cluster has {self.cores()} cores, and so room for {room} workers; give no "
            "larger --workers.count, or add machines.",
        )
        self._seats.append(RaySeat(self, spec))
        return self._seats[-1]

    def wait(self, timeout: float | None) -> list["RaySeat"]:
        """The seats that have a message or whose actor has ended; none after `timeout`."""
        waiting = {seat.answers[0]: seat for seat in self._seats if seat.answers}
        if not waiting:
            time.sleep(timeout or 0)
            return []
        if ray.wait([*waiting], timeout=timeout)[0]:  # the first; others may be there as well
            ready, _ = ray.wait([*waiting], num_returns=len(waiting), timeout=0)
            return [waiting[answer] for answer in ready]
        return []

    def close(self) -> None:
        """Leave the cluster."""
        if self._joined:
            ray.shutdown()


class RaySeat:
    """A place whose slot is a copy of that on the actor's machine."""

    def __init__(self, engine: RayEngine, spec: Spec) -> None:
        self._engine, self._spec = engine, spec
        self.slot = empty_slot(spec)
        self._lines: list[str] = []
        self.actor: Untyped = None  # Ray adds the methods of an actor's class
        self.answers = deque[Untyped]()  # references
        """What the actor has been asked for, in this order."""

    def start(self, task: bytes) -> None:
        """Have an actor placed somewhere, and a process started there."""
        path = [str(Path(folder).absolute()) for folder in sys.path]
        self.actor = self._engine.actor.remote(self._spec, path, task)
        self.answers.append(self.actor.receive.remote())

    def send(self, message: bytes) -> None:
        """Send a message and the actions."""
        self.answers.append(self.actor.ask.remote(message, self.slot.actions))

    def receive(self) -> bytes:
        """The next message, its time step in the slot; EOFError if process or actor has ended."""
        try:
            message, slot = ray.get(self.answers.popleft())
        except RayError as error:
            raise EOFError(_reason(error)) from error
        for ours, theirs in zip(self.slot, slot, strict=True):
            ours[...] = theirs
        return message

    def kill(self) -> None:
        """Kill the actor, and with it what it has started."""
        if self.actor is None:
            return
        printed = self.actor.last_lines.options(concurrency_group=_PRINTED).remote()
        with suppress(RayError):  # it can no longer tell
            self._lines = [*self._lines, *ray.get(printed, timeout=PATIENCE)][-MAX_LINES:]
        ray.kill(self.actor)
        self.actor = None
        self.answers.clear()

    def last_lines(self) -> list[str]:
        """What the processes printed last, of all that sat here."""
        return self._lines

    def close(self) -> None:
        """Nothing is held here."""


def _reason(error: RayError) -> str:
    """Why a worker has not answered: what its seat says, or the last line of Ray's report."""
    if isinstance(error, RayTaskError):
        return str(error.cause)
    return f"it ended unexpectedly ({str(error).strip().splitlines()[-1].strip()})"
