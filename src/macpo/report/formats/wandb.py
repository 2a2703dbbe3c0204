"""Reads the CSV that Weights & Biases exports of a chart: env steps, and a column for each run.

The first column holds the env steps, the others are called "RUN - METRIC"; those that end in __MIN
and __MAX repeat a column. A seed is found in the run's name ("qmix_seed3"), and the file's name
is the task: "predator-prey, punishment=-2.csv".
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from macpo.errors import UsageError, require
from macpo.report.formats.imported import as_float, as_steps, imported_seed, seed_in, settings_in
from macpo.report.records import Row
from macpo.report.seeds import TrainedSeed
from macpo.runs.files import disk_errors, is_file

SOURCE = "wandb"
_BETWEEN = " - "
_REPEATED = ("__MIN", "__MAX")


def recognises(place: Path) -> bool:
    """Whether it is a CSV file."""
    return place.suffix == ".csv" and is_file(place)


def read(place: Path) -> Iterator[TrainedSeed]:
    """Every run in a file; UsageError if it is no such file."""
    name, settings = settings_in(place.stem)
    for run, rows in _runs(place).items():
        method, seed = seed_in(run)
        env = {"name": name, **settings}
        yield imported_seed(place, SOURCE, seed, env, {"name": method or name}, rows)


def _runs(place: Path) -> dict[str, list[Row]]:
    head, *lines = _lines(place)
    columns = {
        j: (run, metric)
        for j, title in enumerate(head)
        for run, between, metric in [title.rpartition(_BETWEEN)]
        if j and between and not metric.endswith(_REPEATED)
    }
    require(
        bool(columns),
        f"{place} is no export of wandb: after the column of env steps it needs columns that are "
        f'called "RUN{_BETWEEN}METRIC".',
    )
    runs: dict[str, list[Row]] = {run: [] for run, _ in columns.values()}
    for i, line in enumerate(lines, 2):
        where = f"line {i} of {place}"
        if not any(line):
            continue
        steps = as_steps(as_float(line[0], where), where)
        for j, (run, metric) in columns.items():
            if j < len(line) and line[j].strip():  # runs are logged at steps of their own
                runs[run].append({"env_steps": steps, metric: as_float(line[j], where)})
    require(any(runs.values()), f"{place} holds no values.")
    return {run: rows for run, rows in runs.items() if rows}


def _lines(place: Path) -> list[list[str]]:
    with disk_errors(place, "read"):
        try:
            with place.open(encoding="utf-8-sig", newline="") as file:
                lines = list(csv.reader(file))
        except (ValueError, csv.Error) as error:
            raise UsageError(f"cannot read {place}: {error}.") from error
    require(bool(lines), f"{place} is empty.")
    return lines
