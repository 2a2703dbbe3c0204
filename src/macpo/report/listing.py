"""The runs in a folder, a line each, from their small files and the ends of the large ones."""

import math
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from macpo.errors import UsageError, require
from macpo.experiment import PARTS, Run
from macpo.field_types import build
from macpo.report import records
from macpo.report.places import is_run, places
from macpo.report.records import Row
from macpo.report.table import NOTHING
from macpo.report.tables import Table, number
from macpo.runs.claim import is_claimed
from macpo.runs.directory import RunDirectory
from macpo.runs.files import is_file
from macpo.runs.record import reached
from macpo.runs.record.reading import read_end
from macpo.runs.sessions import read_sessions
from macpo.runs.story import is_finished

END = 2**16
"""Bytes at the end of metrics.jsonl that are read first; more if a seed has no evaluation there."""


_UNIT = "env steps"
"""Of most runs."""


class ListedRun(NamedTuple):
    """What a list says of a run."""

    name: str
    """Its place in the folder."""
    parts: tuple[str, ...]
    """Environment, algorithm, weighting."""
    seeds: int
    played: int
    """Env steps of every seed at least; updates of a run that learns offline."""
    planned: int
    last_return: float
    """Of the last evaluation, mean over seeds; NaN before it."""
    last_won: float
    """Likewise the share of battles won; NaN where there are none."""
    state: str
    """`finished`, `going on` or `stopped`."""
    when: str
    """The end of its last session, or else when it last wrote metrics; in UTC, to the minute."""
    unit: str
    """Of what is played and planned, in words."""


def list_runs(folder: Path) -> tuple[list[ListedRun], list[str]]:
    """(the runs at any depth of a folder, newest first, a sentence about each that is left out)

    Raises UsageError if there is none, or no folder.
    """
    require(not is_file(folder), f"{folder} is a file; `macpo runs` lists the runs of a folder.")
    found, notes = list[ListedRun](), list[str]()
    for place in places(folder, notes):
        try:
            if is_run(place):
                found.append(_listed(place, folder))
        except UsageError as error:
            notes.append(f"Left out: {error}")
    require(
        bool(found),
        f"there are no runs to list: {' '.join(notes)} `macpo train` makes runs, by default in "
        "runs/, and `macpo sweep` in studies/.",
    )
    return sorted(found, key=lambda run: (run.when, run.name), reverse=True), notes


def runs_table(runs: Sequence[ListedRun], title: str) -> Table:
    """A line for each run; what tells most comes first."""
    has_battles = any(math.isfinite(run.last_won) for run in runs)
    won = ("won",) if has_battles else ()
    head = ("run", "state", _UNIT, "return", *won, "date", "seeds", *PARTS)
    rows = [
        (
            run.name,
            run.state,
            f"{short(run.played)} of {short(run.planned)}{f' {run.unit}' * (run.unit != _UNIT)}",
            number(run.last_return, 2),
            *([_percent(run.last_won)] if has_battles else ()),
            run.when[: len("2026-11-29")],
            str(run.seeds),
            *run.parts,
        )
        for run in runs
    ]
    return Table(title, head, rows)


def short(n: int) -> str:
    """A large number in few letters.

    >>> short(999), short(300_000), short(2_050_000)
    ('999', '300k', '2.05M')
    """
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if n >= size:
            return f"{n / size:.3g}{letter}"
    return str(n)


def _listed(place: Path, folder: Path) -> ListedRun:
    files, experiment = RunDirectory(place), records.read_experiment(place)
    run, sessions = build(Run, experiment.get("run", {}), "run"), read_sessions(files.sessions)
    last, tests = _last_rows(files.metrics, run.seeds)
    played = min(map(reached, last), default=0)
    is_over = played >= run.end and not sessions  # of a version that kept no record of the end
    finished = is_finished(files) or is_over
    stopped = "going on" if is_claimed(place) else "stopped"
    ended = sessions[-1].ended if sessions else ""
    name = str(place.relative_to(folder)) if place != folder else place.resolve().name
    return ListedRun(
        name,
        tuple(str(experiment[part].get("name", "?")) for part in PARTS),
        run.seeds,
        played,
        run.end,
        _mean(tests, "test_return_mean"),
        _mean(tests, "test_battle_won_mean"),
        "finished" if finished else stopped,
        ended or _changed(files),
        run.unit,
    )


def _last_rows(file: Path, n_seeds: int) -> tuple[list[Row], list[Row]]:
    """(the last row of each seed, the last evaluation of each); none if there is no file yet."""
    n_bytes = END
    while file.exists():
        rows, is_whole = read_end(file, n_bytes)
        last = {row["seed"]: row for row in rows}
        tests = {row["seed"]: row for row in rows if row["kind"] == "test"}
        if is_whole or len(tests) >= n_seeds:
            return [*last.values()], [*tests.values()]
        n_bytes *= 8
    return [], []


def _mean(rows: Sequence[Row], metric: str) -> float:
    values = [row[metric] for row in rows if metric in row]
    return sum(values) / len(values) if values else math.nan


def _changed(files: RunDirectory) -> str:
    """When the run has last written, for those whose sessions do not tell."""
    for file in (files.metrics, files.experiment):
        with suppress(OSError):
            return f"{datetime.fromtimestamp(file.stat().st_mtime, UTC):%Y-%m-%d %H:%M}"
    return ""


def _percent(share: float) -> str:
    return f"{share:.0%}" if math.isfinite(share) else NOTHING
