"""timing.jsonl: wall time, kept apart from the metrics because it differs between equal runs."""

import json
import math
import time
from contextlib import suppress
from pathlib import Path

from macpo.runs.files import disk_errors, parse_json


class Timing:
    """Appends a row after each chunk and each checkpoint; steps and updates are of all seeds."""

    def __init__(self, file: Path, env_steps: int) -> None:
        self.file = file
        with disk_errors(file):
            self._handle = file.open("a", buffering=1)  # a line at a time
        self._start = self._last = time.monotonic()
        self._env_steps = env_steps

    def write(self, what: str, env_steps: int, updates: int) -> None:
        """Append a row: what has just ended, and what has been played and learned by now."""
        now = time.monotonic()
        speed = (env_steps - self._env_steps) / max(now - self._last, 1e-9)
        row = {
            "what": what,
            "env_steps": env_steps,
            "updates": updates,
            "wall_s": round(now - self._start, 3),
            "env_steps_per_s": round(speed, 1),
        }
        with disk_errors(self.file):
            self._handle.write(json.dumps(row) + "\n")
        self._last, self._env_steps = now, env_steps

    def close(self) -> None:
        """Close the file."""
        with disk_errors(self.file):
            self._handle.close()


def total_seconds(file: Path) -> float:
    """Seconds that a run has taken, every session of which begins at 0; NaN if they are not known.

    Lines that cannot be read are passed over.
    """
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return math.nan
    total = last = 0.0
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):
            now = float(parse_json(line)["wall_s"])
            total += last if now < last else 0.0
            last = now
    return total + last
