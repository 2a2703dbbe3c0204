"""metrics.jsonl: one row a line, the same bytes whenever the same run is repeated or resumed."""

import hashlib
import json
import math
import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

from macpo.errors import UsageError
from macpo.runs.files import disk_errors, sync
from macpo.runs.record import Row

_BLOCK = 2**20


class Extent(NamedTuple):
    """The beginning of a file."""

    n_bytes: int
    sha256: str


def extent(file: Path, n_bytes: int) -> Extent:
    """The first `n_bytes` of a file, or as many as it has; none if there is no file."""
    with disk_errors(file, "read"):
        try:
            handle = file.open("rb")
        except FileNotFoundError:
            return Extent(0, hashlib.sha256().hexdigest())
        with handle:
            return _read(handle, n_bytes).extent()


class JsonLines:
    """Appends rows to a file, from a given length on."""

    def __init__(self, file: Path, length: int = 0) -> None:
        self.file = file
        with disk_errors(file):
            self._handle = file.open("r+b" if file.exists() else "w+b")
            self._written = _read(self._handle, length)
            # rows behind the checkpoint that a run resumes from are written again
            self._handle.truncate(length)
            self._handle.seek(length)

    def write(self, row: Row) -> None:
        """Append one row."""
        with disk_errors(self.file):
            line = to_line(row)
            self._handle.write(line)
            self._written.add(line)

    def sync(self) -> Extent:
        """Make sure everything is on disk, and what that is.

        UsageError if the file has been deleted, moved or replaced in the meantime.
        """
        with disk_errors(self.file):
            self._handle.flush()
            sync(self._handle.fileno())
        try:
            is_there = os.path.samestat(os.fstat(self._handle.fileno()), self.file.stat())
        except OSError:
            is_there = False
        if not is_there:
            raise UsageError(
                f"{self.file} is gone: it was deleted, moved or replaced while its run was going "
                "on. What has been played since the last checkpoint is lost."
            )
        return self._written.extent()

    def close(self) -> None:
        """Write out what is left."""
        with disk_errors(self.file):
            self._handle.close()


def to_line(row: Row) -> bytes:
    """The row as JSON; NaN and infinities become the strings "nan", "inf" and "-inf"."""
    encoded = {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
    return (json.dumps(encoded, allow_nan=False) + "\n").encode()


class _Sum:
    """The length and checksum of what has been added."""

    def __init__(self) -> None:
        self._n_bytes, self._digest = 0, hashlib.sha256()

    def add(self, data: bytes) -> None:
        self._n_bytes += len(data)
        self._digest.update(data)

    def extent(self) -> Extent:
        return Extent(self._n_bytes, self._digest.hexdigest())


def _read(handle: BinaryIO, n_bytes: int) -> _Sum:
    """Of the first bytes from where the file stands."""
    found = _Sum()
    while n_bytes and (block := handle.read(min(n_bytes, _BLOCK))):
        found.add(block)
        n_bytes -= len(block)
    return found
