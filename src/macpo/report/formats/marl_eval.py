"""Reads marl-eval's JSON, which Mava and BenchMARL write too: the curves of many runs.

{environment: {task: {algorithm: {run: {"step_0": {"step_count": 100, METRIC: [values]}, …}}}}}
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from macpo.errors import UsageError
from macpo.field_types import Json, JsonObject
from macpo.report.formats.imported import as_number, as_steps, imported_seed, seed_in, settings_in
from macpo.report.records import Row
from macpo.report.seeds import TrainedSeed
from macpo.runs.files import is_file, read_json

SOURCE = "marl-eval"
NO_TASK = "default"
"""The task of an environment with its default settings."""
_RETURNS = ("mean_episode_return", "episode_return", "return")
"""Other names of what is called `test_return_mean` here."""
_NOT_METRICS = ("step_count", "elapsed_time")


def recognises(place: Path) -> bool:
    """Whether it is a JSON file."""
    return place.suffix == ".json" and is_file(place)


def read(place: Path) -> Iterator[TrainedSeed]:
    """Every run in a file; UsageError if it holds anything else."""
    tree = read_json(place, "marl-eval's results")
    for env, tasks in _items(tree, place, "environments"):
        for task, algorithms in _items(tasks, place, "tasks"):
            _, settings = settings_in(task)
            if not settings and task != NO_TASK:
                settings = {"task": task}
            for algorithm, runs in _items(algorithms, place, "algorithms"):
                for i, (run, steps) in enumerate(_items(runs, place, "runs")):
                    rows = [_row(step, f"{place}: {run}") for step in _steps(steps, place)]
                    yield imported_seed(
                        place,
                        SOURCE,
                        seed_in(run)[1] if "seed" in run else i,
                        {"name": env, **settings},
                        {"name": algorithm},
                        rows,
                    )


def _steps(run: Json, place: Path) -> list[JsonObject]:
    """The evaluations of a run, in whatever order they are."""
    steps = [step for name, step in _items(run, place, "steps") if name != "absolute_metrics"]
    for step in steps:
        if not isinstance(step, dict) or "step_count" not in step:
            raise UsageError(f"{place}: a step has no step_count, as marl-eval's have.")
    return steps


def _row(step: JsonObject, where: str) -> Row:
    n = as_steps(as_number(step["step_count"], f"{where}: step_count"), f"{where}: step_count")
    row: Row = {"env_steps": n}
    for metric, values in step.items():
        if metric not in _NOT_METRICS:
            given = values if isinstance(values, list) else [values]
            numbers = [as_number(value, f"{where}: {metric}") for value in given]
            if numbers:
                name = "test_return_mean" if metric in _RETURNS else metric
                row[name] = float(np.mean(numbers))
    return row


def _items(data: Json, place: Path, what: str) -> list[tuple[str, Json]]:
    if not isinstance(data, dict) or not data:
        raise UsageError(
            f"{place} does not hold marl-eval's results: expected an object of {what} by name."
        )
    return [*data.items()]
