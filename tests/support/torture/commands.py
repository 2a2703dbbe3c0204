"""Commands called in this process, and what may be wrong with how they end."""

import io
import shlex
import signal
import traceback
import warnings
from collections.abc import Generator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import NamedTuple

from macpo.cli import main

PATIENCE = 300
"""Seconds after which a command is asked to stop."""
LONGEST_SENTENCE = 2_000
"""Characters; a message that repeats a whole bad value has more."""
TYPES = ("typing.", "<class '", " object at 0x", "<function ", "jaxlib.", "Traceback")
"""What only programmers understand."""


class Outcome(NamedTuple):
    """How a command ended."""

    command: str
    """As it is typed."""
    status: int
    out: str
    err: str
    traceback: str
    """Of an exception that nobody turned into a sentence."""

    def fault(self) -> str:
        """What should not have been, or nothing: every end is a success or a sentence."""
        if self.traceback:
            return f"a traceback:\n{self.traceback}"
        if self.status == 128 + signal.SIGINT:
            return f"still at work after {PATIENCE} s"
        if self.status not in (0, 2):
            return f"status {self.status}: {self.err}"
        if self.status != 2:
            return ""
        if not self.err.strip():
            return "status 2 without a word"
        if shown := [word for word in TYPES if word in self.err]:
            return f"a sentence with {shown[0]!r}: {self.err}"
        if len(self.err) > LONGEST_SENTENCE:
            return f"a sentence of {len(self.err)} characters: {self.err[:500]} …"
        return ""


def call(*arguments: str) -> Outcome:
    """`macpo ARGUMENTS`."""
    command = shlex.join(["macpo", *arguments])
    out, err = _stream("strict"), _stream("backslashreplace")
    status, trace = 0, ""
    with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings(), _impatient():
        warnings.simplefilter("ignore")
        try:
            main(arguments)
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        except Exception:
            status, trace = 1, traceback.format_exc()
    return Outcome(command, status, _text(out), _text(err), trace)


def _stream(errors: str) -> io.TextIOWrapper:
    """As a terminal takes text; what it cannot encode is an error."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=errors, write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode("utf-8", "backslashreplace")


@contextmanager
def _impatient() -> Generator[None]:
    """Press Ctrl-C after `PATIENCE` seconds."""
    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
