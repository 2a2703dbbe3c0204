"""How far a run has come, read from the end of its metrics while it is being written."""

import math
import os
from statistics import fmean
from typing import NamedTuple

from macpo.runs.best import SCORES
from macpo.runs.directory import RunDirectory
from macpo.runs.files import parse_json
from macpo.runs.record import reached

_TAIL = 2**16
"""Bytes at the end of metrics.jsonl that are read; a row has about 1,000."""


class Progress(NamedTuple):
    """The newest of what a run has written."""

    done: int = 0
    """Env steps, or the updates of a run that learns offline."""
    learns: bool = False
    """Whether there have been updates; env steps before them are much cheaper."""
    result: float = math.nan
    """Of the newest evaluation: the first of `SCORES` that there is; the mean if there are several
    seeds."""


def read_progress(run: RunDirectory) -> Progress:
    """How far a run has come; nothing of one that has not begun or cannot be read now."""
    try:
        with run.metrics.open("rb") as handle:
            handle.seek(max(handle.seek(0, os.SEEK_END) - _TAIL, 0))
            lines = handle.read().split(b"\n")[:-1]
    except OSError:
        return Progress()
    progress, results = Progress(), dict[int, float]()
    for line in lines:
        try:
            row = parse_json(line)
            done, learns = reached(row), row["updates"] > 0
            found = [float(row[name]) for name in SCORES if name in row]
            results |= {row["seed"]: found[0]} if found else {}
        except (ValueError, TypeError, KeyError):
            continue  # the first one may be cut
        progress = Progress(done, learns)
    return progress._replace(result=fmean(results.values()) if results else math.nan)
