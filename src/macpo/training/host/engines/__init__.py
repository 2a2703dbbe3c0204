"""Where workers run: the protocol of an engine, and a file for each."""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

from macpo.errors import needed
from macpo.training.host.slot import Slot
from macpo.types import Spec

EngineName: TypeAlias = Literal["local", "ray"]
MAX_PER_CORE = 4
"""Workers per core by default: some wait for a game while others compute."""


class Seat(Protocol):
    """A place for a worker: its processes come and go, one at a time."""

    slot: Slot
    """The last time step received, and the actions to be sent."""

    def start(self, task: bytes) -> None:
        """Start a process for the environment that `task` describes; its first message follows."""
        ...

    def send(self, message: bytes) -> None:
        """Send a message and the actions; if the process has died, `receive` tells."""
        ...

    def receive(self) -> bytes:
        """The next message, its time step in the slot; EOFError, with the reason, if it has ended.

        Waits for it, unless `Engine.wait` has named the seat.
        """
        ...

    def kill(self) -> None:
        """End the process, if there is one, with all that it has started."""
        ...

    def last_lines(self) -> list[str]:
        """What the processes printed last, of all that sat here."""
        ...

    def close(self) -> None:
        """Let go of the place, in which no process is left."""
        ...


class Engine(Protocol):
    """Starts processes of `macpo.training.host.worker` somewhere, and passes messages on.

    When this process ends, in whatever way, theirs end too.
    """

    def cores(self) -> int:
        """How many cores there are for workers."""
        ...

    def seat(self, spec: Spec) -> Seat:
        """A new place, empty; UsageError if there is no room for it."""
        ...

    def wait(self, timeout: float | None) -> Sequence[Seat]:
        """The seats that have a message or whose process has ended; none after `timeout` seconds.

        Without a timeout it waits for as long as it takes.
        """
        ...

    def close(self) -> None:
        """Let go of what the seats had in common."""
        ...


def make(name: EngineName) -> Engine:
    """The engine of this name; UsageError if its package is absent or its cluster is away."""
    if name == "ray":
        with needed("--workers.engine ray", "Ray", "ray"):
            from macpo.training.host.engines.ray import RayEngine
        return RayEngine()
    from macpo.training.host.engines.local import LocalEngine

    return LocalEngine()
