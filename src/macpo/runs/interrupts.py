"""Signals that ask a run to stop."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any


@contextmanager
def noted_signals() -> Generator[list[int]]:
    """The SIGINTs and SIGTERMs received so far; a second one of the same kind acts as usual."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(number, previous[number])

    previous: dict[int, Any] = {}  # a handler may be a function, a constant or None
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: whoever runs there handles signals
        pass
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
