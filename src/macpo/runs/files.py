"""Writing files so that a reader never sees half of one."""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from macpo.errors import UsageError


def write_atomically(file: Path, data: bytes) -> None:
    """Write a whole file or none, safe against power loss.

    Raises UsageError if the disk refuses; the file's previous content is then still there.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with disk_errors(file):
        try:
            with temporary.open("wb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(file)
            _sync_directory(file.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_json(file: Path, data: Any) -> None:
    """Write readable JSON, atomically."""
    write_atomically(file, (json.dumps(data, indent=2) + "\n").encode())


def read_json(file: Path, what: str) -> Any:
    """Parse a JSON file; `what` it should hold is for the UsageError if that fails."""
    try:
        return parse_json(file.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {what} from {file}: {error}.") from error


def parse_json(text: str | bytes) -> Any:
    """The data that a text describes; ValueError for whatever cannot be read."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


@contextmanager
def disk_errors(file: Path) -> Generator[None]:
    """Turn an OSError while `file` is written into a UsageError."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write {file}: {error.strerror or error}; free some space or choose another "
            "place with --out. Nothing that was saved before is lost."
        ) from error


def _sync_directory(directory: Path) -> None:
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
