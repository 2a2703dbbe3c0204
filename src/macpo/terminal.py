"""What people read in a terminal: printed as it is; no failure of it ends the work behind it."""

import codecs
import os
import shlex
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, TextIO

from rich.console import Console
from rich.text import Text

_SIMILAR = {
    **dict.fromkeys("·–−─━═╌", "-"),
    **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯╷╵╶╴╸╺╹╻", "+"),
    **{"±": "+-", "×": "x", "…": "...", "→": "->", "≤": "<=", "≥": ">=", "•": "*", "’": "'"},
    **dict(zip("▁▂▃▄▅▆▇█", "_.-:=+*#", strict=True)),
}


def say(console: Console, text: str, style: str = "") -> None:
    """Print a line as it is: brackets and colons are no markup, nothing is wrapped or cut."""
    console.print(Text(text, style), soft_wrap=True)


def command(*words: str | os.PathLike[str]) -> str:
    """A command to copy: its words quoted for the shell."""
    return shlex.join(os.fspath(word) for word in words)


def fitting(names: int, columns: Sequence[int], width: int) -> list[list[int]]:
    """Which columns, given by their widths, stand beside the names in each of several tables.

    No table is wider than `width`, unless a single column makes it so.

    >>> fitting(6, [5, 5, 5], width=22)
    [[0, 1], [2]]
    """
    gap = 2
    parts, left = list[list[int]](), 0
    for j, column in enumerate(columns):
        if not parts or left < column + gap:
            parts.append([])
            left = width - names - gap
        parts[-1].append(j)
        left -= column + gap
    return parts


def stdout_console() -> Console:
    """A console on whatever stdout is when it prints.

    Only a terminal is drawn over, also where FORCE_COLOR asks for colours, as it does in notebooks.
    """
    return Console(force_terminal=_unless_terminal(sys.stdout))


def make_console() -> Console:
    """A console on stdout as it is now, whose failures end nothing (see `LastingStream`)."""
    if sys.stdout is None:
        return Console()
    stream = _file_like(LastingStream(sys.stdout))
    return Console(file=stream, force_terminal=_unless_terminal(sys.stdout))


def _unless_terminal(stream: TextIO | None) -> Literal[False] | None:
    """For `force_terminal`: None, as its kind allows, for a terminal; False for all else."""
    try:
        return None if stream is not None and stream.isatty() else False
    except ValueError:  # closed
        return False


@contextmanager
def lasting_output() -> Generator[None]:
    """Within this context no failure of stdout or stderr ends the program (see `LastingStream`).

    What could not be written by its end is dropped, so that the interpreter does not complain.
    """
    before = sys.stdout, sys.stderr  # None where the program was started without one
    lasting = [None if stream is None else LastingStream(stream) for stream in before]
    sys.stdout, sys.stderr = (_file_like(stream) for stream in lasting)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in filter(None, lasting):
            stream.settle()


class LastingStream:
    """A text stream that drops what it cannot write: the pipe closed, the disk full, the terminal
    gone. Characters that its encoding lacks become similar ones.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be encoded; return the number of characters given."""
        with suppress(OSError, ValueError):  # ValueError: the stream was closed
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding
                self._stream.write(text.encode(encoding, "macpo-similar").decode(encoding))
        return len(text)

    def flush(self) -> None:
        """Hand on what is buffered, if possible."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def settle(self) -> None:
        """Hand on what is buffered, or else discard it for good."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):  # a stream without a file of the system
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:  # whatever else a text stream has
        return getattr(self._stream, name)


def _file_like(stream: LastingStream | None) -> Any:  # no file to type checkers
    """The same, for interfaces that are typed as files."""
    return stream


def _similar(error: UnicodeError) -> tuple[str, int]:
    """Look-alikes for what an encoding lacks, as an error handler of `str.encode`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_SIMILAR.get(character, "?") for character in lacking), error.end


codecs.register_error("macpo-similar", _similar)
