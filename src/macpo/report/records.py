"""Reading what a run wrote: rows of metrics.jsonl, and the experiment behind them.

These two files are enough, and plug-ins need not be installed: a run can be inspected on a machine
that could not repeat it.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from macpo.errors import UsageError, require
from macpo.experiment import PARTS, default_of, part_from_dict
from macpo.field_types import Settings
from macpo.report.seeds import Curve
from macpo.runs.best import is_written
from macpo.runs.directory import RunDirectory, read_settings
from macpo.runs.files import is_file
from macpo.runs.record import reached
from macpo.runs.record.reading import Row, has_fields, read_rows, read_sound_rows

Kind: TypeAlias = Literal["train", "test"]


Series: TypeAlias = dict[int, Curve]
"""By seed."""


def read_metrics(run_dir: Path) -> list[Row]:
    """All rows in the order written; a last line without its newline is still being written.

    Raises UsageError for a missing file and for a broken line, which it names.
    """
    return read_rows(RunDirectory(run_dir).metrics)


def read_sound_metrics(run_dir: Path) -> tuple[list[Row], list[str]]:
    """The rows that can be read, and a sentence about each of the others.

    Raises UsageError for a missing file, and if there is no such row.
    """
    rows, reasons = read_sound_rows(RunDirectory(run_dir).metrics)
    require(bool(rows), reasons[0] if reasons else _NO_METRICS.format(run_dir))
    return rows, reasons


_NO_METRICS = "{} has no metrics yet; wait until it has played its first episodes."


def read_absolute(run_dir: Path) -> dict[int, Row]:
    """The absolute metric of each seed; none if the run has not ended, or is of an earlier version.

    Raises UsageError for a file that is damaged or may not be read.
    """
    file = RunDirectory(run_dir).absolute
    if not is_file(file):
        return {}
    require(is_written(file), f"{file} is damaged: it ends in the middle of a line.")
    return {row["seed"]: row for row in read_rows(file)}


def read_nonempty_metrics(run_dir: Path) -> list[Row]:
    """All rows; UsageError if there are none yet."""
    rows = read_metrics(run_dir)
    require(bool(rows), _NO_METRICS.format(run_dir))
    return rows


def series(rows: Sequence[Row], kind: Kind, metric: str) -> Series:
    """One metric over env steps, by seed; rows without it are left out, divergence stays NaN."""
    found = {seed: curves(of_seed, [metric]) for seed, of_seed in by_seed(rows, kind).items()}
    return {seed: of_seed[metric] for seed, of_seed in found.items() if of_seed}


def by_seed(rows: Sequence[Row], kind: Kind) -> dict[int, list[Row]]:
    """The rows of a kind, as they come; seeds in ascending order."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        if row["kind"] == kind:
            found.setdefault(row["seed"], []).append(row)
    return dict(sorted(found.items()))


def curves(rows: Sequence[Row], metrics: Iterable[str]) -> dict[str, Curve]:
    """Metrics of one seed over env steps, without those that no row has.

    Of rows at the same env step the last counts.
    """
    steps = np.array([reached(row) for row in rows], np.int64)
    found: dict[str, Curve] = {}
    for metric in metrics:
        having = [metric in row for row in rows]
        if any(having):
            values = np.array([row[metric] for row in rows if metric in row], np.float64)
            found[metric] = _sorted(steps[having], values)
    return found


def _sorted(steps: Int[np.ndarray, " N"], values: Float[np.ndarray, " N"]) -> Curve:
    if (np.diff(steps) > 0).all():
        return Curve(steps, values)
    steps, last = np.unique(steps[::-1], return_index=True)
    return Curve(steps, values[::-1][last])


def read_experiment(run_dir: Path) -> Settings:
    """The experiment as plain data; UsageError if the directory holds none."""
    file = RunDirectory(run_dir).experiment
    data = read_settings(file)
    require(
        has_fields(data, dict.fromkeys(PARTS, dict)),
        f"{file} holds no experiment; it needs {', '.join(PARTS)}, as `macpo train` writes them.",
    )
    return data


def title(experiment: Settings) -> str:
    """Environment, algorithm and weighting in a few words."""
    return " · ".join(str(experiment[part].get("name", "?")) for part in PARTS)


def changed_settings(experiment: Settings) -> list[str]:
    """Settings of environment, algorithm and weighting that are not the default, `name value` each.

    None of a plug-in that is not registered here: its defaults are unknown, and a report imports
    nothing.
    """
    changed: list[str] = []
    for part in PARTS:
        try:
            config = part_from_dict(part, experiment[part])
        except UsageError:
            continue
        changed += [
            f"{part}.{field.name} {getattr(config, field.name)}"
            for field in dataclasses.fields(config)
            if default_of(field) not in (dataclasses.MISSING, getattr(config, field.name))
        ]
    return changed
