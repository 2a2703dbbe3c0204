"""metrics.jsonl: one row a line, the same bytes whenever the same run is repeated or resumed."""

import json
import math
import os
from pathlib import Path

from macpo.runs.files import disk_errors
from macpo.runs.record import Row


class JsonLines:
    """Appends rows to a file, from a given length on."""

    def __init__(self, file: Path, length: int = 0) -> None:
        self.file = file
        with disk_errors(file):
            self._handle = file.open("r+b" if file.exists() else "w+b")
            # rows behind the checkpoint that a run resumes from are written again
            self._handle.truncate(length)
            self._handle.seek(length)

    def write(self, row: Row) -> None:
        """Append one row."""
        with disk_errors(self.file):
            self._handle.write((json.dumps(_encoded(row), allow_nan=False) + "\n").encode())

    def sync(self) -> int:
        """Make sure everything is on disk; the file's length in bytes."""
        with disk_errors(self.file):
            self._handle.flush()
            os.fsync(self._handle.fileno())
            return self._handle.tell()

    def close(self) -> None:
        """Write out what is left."""
        with disk_errors(self.file):
            self._handle.close()


def _encoded(row: Row) -> Row:
    """The row in JSON's numbers; those that it lacks are the words "nan", "inf" and "-inf"."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
