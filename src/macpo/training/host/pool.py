"""A pool of workers: starts and ends them, waits for them, replaces those that die or hang."""

import dataclasses
import json
import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int

from macpo.bounds import PositiveInt, Seconds, check_fields
from macpo.errors import UsageError, require
from macpo.field_types import Settings
from macpo.training.host import engines
from macpo.training.host.engines import MAX_PER_CORE, EngineName, Seat
from macpo.training.host.slot import (
    FAULT,
    LAST_TIMESTEP,
    LOST,
    PICTURE,
    QUIT,
    RESET,
    SPEC,
    STEP,
    TIMESTEP,
    VIEW,
    Slot,
    to_json,
)
from macpo.types import Spec

MAX_FAILURES = 5
"""Of one worker in a row, without an episode played to its end; then the run stops."""
BACK_OFF = 1.0
"""Seconds before the second restart in a row; each further one waits twice as long."""
GRACE = 5.0
"""Seconds that environments have to close."""


@dataclass(frozen=True)
class Workers:
    """The processes that play environments which are not JAX; others need none."""

    count: PositiveInt | None = None
    """How many; by default one for each parallel episode, but at most four a core."""
    timeout: Seconds = 120.0
    """Seconds without an answer to a reset or a step after which a worker is replaced."""
    engine: EngineName = "local"
    """Where they run: on this machine, or as actors of the Ray cluster at RAY_ADDRESS."""

    def __post_init__(self) -> None:
        check_fields(self, "workers")


class TimeStepReady(NamedTuple):
    """A time step is in the worker's slot."""

    outcome: Mapping[str, float] | None
    """`info` if the episode is over."""


class EpisodeLost(NamedTuple):
    """The worker's episode cannot go on."""


class NoPictures(Exception):
    """A worker cannot draw its environment, and why; without words if that never has pictures."""


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
        require_importable(str(env["name"]))
        self.spec = spec
        self.workers: list[Worker] = []
        self._parallel, self._options = parallel, workers or Workers()
        self._task = to_json(env)

    def __enter__(self) -> "Pool":
        self._engine = engines.make(self._options.engine)
        try:
            count = self._options.count or MAX_PER_CORE * self._engine.cores()
            for _ in range(min(count, self._parallel)):
                self.workers.append(Worker(self._engine.seat(self.spec)))
            self._by_seat = {worker.seat: worker for worker in self.workers}
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
            worker.seat.kill()
            worker.seat.close()
        self._engine.close()

    def idle(self) -> list["Worker"]:
        """The workers that can begin an episode."""
        return [worker for worker in self.workers if worker.status == "idle"]

    def reset(self, worker: "Worker", seed: int) -> None:
        """Begin an episode; `wait` returns once its first time step is ready."""
        self._request(worker, RESET + str(seed).encode())

    def step(self, worker: "Worker", actions: Int[np.ndarray, " N"]) -> None:
        """Take an env step; `wait` returns once it is done."""
        worker.slot.actions[:] = actions
        self._request(worker, STEP)

    def view(self, worker: "Worker") -> bytes:
        """The state that a worker's environment is in, as PNG.

        NoPictures if there is none; the worker's episode is then given up.
        """
        worker.seat.send(VIEW)
        deadline = time.monotonic() + self._options.timeout
        while worker.seat not in self._engine.wait(max(deadline - time.monotonic(), 0)):
            if time.monotonic() >= deadline:
                self._lose(worker, why := "its render did not return")
                raise NoPictures(why)
        try:
            message = worker.seat.receive()
        except EOFError as error:
            self._lose(worker, why := "its render ended the process")
            raise NoPictures(why) from error
        if message[:1] == PICTURE:
            return message[1:]
        worker.status = "idle"
        raise NoPictures(message[1:].decode())

    def wait(self) -> list[tuple["Worker", Event]]:
        """What happened, as soon as something did; empty if a worker merely became idle."""
        while True:
            now = time.monotonic()
            for worker in self.workers:
                if worker.status == "down" and worker.deadline <= now:
                    self._start(worker)
            pending = [worker for worker in self.workers if worker.status != "idle"]
            soonest = min(worker.deadline for worker in pending)
            ready = self._engine.wait(None if soonest == math.inf else max(soonest - now, 0))
            events = [event for seat in ready for event in self._receive(self._by_seat[seat])]
            now = time.monotonic()
            for worker in pending:
                if worker.status in ("starting", "busy") and worker.deadline <= now:
                    events += self._lose(worker, f"no answer for {self._options.timeout:g} s")
            if events or any(worker.status == "idle" for worker in pending):
                return events

    # --- one worker -------------------------------------------------------------------------------

    def _start(self, worker: "Worker") -> None:
        worker.seat.start(self._task)
        worker.status, worker.deadline = "starting", time.monotonic() + self._options.timeout

    def _request(self, worker: "Worker", message: bytes) -> None:
        worker.status, worker.deadline = "busy", time.monotonic() + self._options.timeout
        worker.seat.send(message)

    def _receive(self, worker: "Worker") -> list[tuple["Worker", Event]]:
        try:
            message = worker.seat.receive()
        except EOFError as error:
            return self._lose(worker, str(error))
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
        worker.seat.kill()
        worker.failures += 1
        if worker.failures >= MAX_FAILURES:
            printed = "\n".join(worker.seat.last_lines())
            raise UsageError(
                f"a worker of {self.spec.name} failed {worker.failures} times in a row, at last: "
                f"{why}; see that the environment runs on its own, or allow more time with "
                f"--workers.timeout.{' It printed:' if printed else ''}\n{printed}".strip()
            )
        pause = 0 if worker.failures == 1 else BACK_OFF * 2 ** (worker.failures - 2)
        worker.status, worker.deadline = "down", time.monotonic() + pause
        return [(worker, EpisodeLost())] if had_episode else []

    def _close_gently(self) -> None:
        deadline = time.monotonic() + GRACE
        open_seats = {worker.seat for worker in self.workers if worker.status != "down"}
        for seat in open_seats:
            seat.send(QUIT)
        while open_seats and (left := deadline - time.monotonic()) > 0:
            for seat in self._engine.wait(left):
                try:
                    seat.receive()  # an answer that is no longer needed
                except EOFError:
                    seat.kill()
                    open_seats.discard(seat)


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

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.status: Literal["down", "starting", "idle", "busy"] = "down"
        self.deadline = 0.0
        """When it is started again, or given up as hanging."""
        self.failures = 0

    @property
    def slot(self) -> Slot:
        """Its last time step, and the actions that answer it."""
        return self.seat.slot


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
