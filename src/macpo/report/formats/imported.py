"""What all readers share: a seed without a run, and names that hold settings or a seed."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from macpo.errors import UsageError, require, shown
from macpo.field_types import Json, Settings
from macpo.report import records
from macpo.report.records import Row
from macpo.report.seeds import IMPORTED, TrainedSeed
from macpo.runs.files import parse_json

_SETTING = re.compile(r"([A-Za-z]\w*)=([^\s,]+)")
_COUNTS = ("env_steps", "updates")
_SEED = re.compile(r"[\W_]*seed[\W_]*(\d+)", re.IGNORECASE)


def imported_seed(
    place: Path, source: str, seed: int, env: Settings, method: Settings, rows: Sequence[Row]
) -> TrainedSeed:
    """A seed from rows of evaluations, each with env_steps, metrics and possibly updates.

    UsageError without any.
    """
    require(bool(rows), f"{place} has no evaluations of seed {seed} yet.")
    names = dict.fromkeys(name for row in rows for name in row)
    metrics = [name for name in names if name not in _COUNTS]
    return TrainedSeed(
        place,
        seed,
        {"env": env, "algorithm": method, IMPORTED: {"from": source}},
        records.curves(rows, metrics),
        {},
        max(row["env_steps"] for row in rows),
        int(max(row.get("updates", 0) for row in rows)),
        np.nan,
        "",
    )


def as_number(value: Json, where: str) -> float:
    """A number of a file; UsageError, which says `where`, for anything else."""
    if type(value) not in (int, float):
        raise UsageError(f"{where} must be a number, not {shown(value)}.")
    return as_float(value, where)


def as_float(value: int | float | str, where: str) -> float:
    """A number or a text that is one; UsageError as for `as_number`."""
    try:
        return float(value)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{where} must be a number, not {shown(value)}.") from error


def as_steps(value: float, where: str) -> int:
    """A count of env steps; UsageError for what is none."""
    require(0 <= value < 2**63, f"{where} must be a count of env steps, not {shown(value)}.")
    return int(value)


def settings_in(text: str) -> tuple[str, Settings]:
    """(what stands before the settings, the settings) in a text such as a task's title.

    >>> settings_in("predator-prey, punishment=-2 n_prey=4")
    ('predator-prey', {'punishment': -2, 'n_prey': 4})
    """
    first = _SETTING.search(text)
    name = text[: first.start()].rstrip(" ,") if first else text
    return name, {match[1]: _value(match[2]) for match in _SETTING.finditer(text)}


def seed_in(name: str) -> tuple[str, int]:
    """(the name without the seed, the seed) of a run's name; 0 where it has none.

    >>> seed_in("qmix_seed=3_lr=0.1"), seed_in("seed_4"), seed_in("mine")
    (('qmix_lr=0.1', 3), ('', 4), ('mine', 0))
    """
    match = _SEED.search(name)
    if match is None or len(match[1]) > 18:  # beyond 64 bits
        return name, 0
    return name[: match.start()] + name[match.end() :], int(match[1])


def _value(text: str) -> Json:
    try:
        return parse_json(text)
    except ValueError:
        return text
