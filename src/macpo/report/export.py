"""Results for other programs: marl-eval's JSON, from which its tools and BenchMARL's draw."""

import functools
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Int

from macpo.errors import UsageError, require
from macpo.experiment import part_from_dict
from macpo.field_types import JsonObject, Settings, settings
from macpo.report.collection import Collection, Task
from macpo.report.formats.marl_eval import NO_TASK
from macpo.report.labels import in_words
from macpo.report.score import final_score
from macpo.report.seeds import TrainedSeed
from macpo.runs.files import write_json

ALWAYS_NAMED = ("map",)
"""Settings that are in a task's name although they have their default: they are the task."""


def write_marl_eval(collection: Collection, file: Path) -> list[str]:
    """Write evaluations as marl-eval reads them; sentences about what was left out.

    Every metric has one value at each step, the mean over its episodes. As marl-eval needs equally
    many steps in all runs of a task, longer ones are cut; `absolute_metrics` are those of the whole
    runs, and the final scores where a run has none. Raises UsageError if nothing was evaluated.
    """
    tree: dict[str, dict[str, dict[str, JsonObject]]] = {}
    notes: list[str] = []
    for i, task in enumerate(collection.tasks):
        methods = {m: of for (t, m), of in collection.seeds.items() if t == i}
        lengths = [
            len(_env_steps(seed)) for of in methods.values() for seed in of if seed.evaluations
        ]
        if not lengths:
            continue
        n = min(lengths)
        if n < max(lengths):
            notes.append(
                f"{task.title}: runs have {n} to {max(lengths)} evaluations; marl-eval needs "
                f"equally many, so the first {n} of each are written."
            )
        tasks = tree.setdefault(str(task.settings["env.name"]), {})
        algorithms = tasks.setdefault(task_name(task), {})
        for method, seeds in methods.items():
            # marl-eval separates names by commas
            runs = algorithms.setdefault(collection.methods[method].label.replace(",", ""), {})
            for seed in seeds:
                runs[_run_name(seed, runs)] = dict(_steps(seed, n))
    require(bool(tree), "nothing has been evaluated yet, so there is nothing to write.")
    write_json(file, tree)
    return notes


def task_name(task: Task) -> str:
    """The settings of a task that are not the default, as they are read back.

    >>> task_name(Task("", {"env.name": "predator-prey", "env.punishment": -2.0}))
    'punishment=-2'
    """
    given = {k.removeprefix("env."): v for k, v in task.settings.items() if k != "env.name"}
    default: Settings = {}
    with suppress(UsageError):  # of a plug-in that is not registered here, all are named
        default = settings(part_from_dict("env", {"name": task.settings["env.name"]}))
    changed = (
        f"{name}={in_words(value)}"
        for name, value in given.items()
        if name in ALWAYS_NAMED or default.get(name, value is None) != value
    )
    return " ".join(changed) or NO_TASK


def _env_steps(seed: TrainedSeed) -> Int[np.ndarray, " T"]:
    """Those at which every metric has a value."""
    return functools.reduce(np.intersect1d, [c.env_steps for c in seed.evaluations.values()])


def _run_name(seed: TrainedSeed, taken: JsonObject) -> str:
    name = f"seed_{seed.seed}"
    while name in taken:
        name += "_"
    return name


def _steps(seed: TrainedSeed, n: int) -> Iterator[tuple[str, JsonObject]]:
    for k, env_step in enumerate(_env_steps(seed)[:n]):
        elapsed = float(seed.wall_s * env_step / max(seed.done, 1))
        values = {
            metric: [float(curve.values[np.searchsorted(curve.env_steps, env_step)])]
            for metric, curve in seed.evaluations.items()
        }
        clock = {"elapsed_time": round(elapsed, 1)} if np.isfinite(elapsed) else {}
        yield f"step_{k}", {"step_count": int(env_step), **clock, **values}
    finals = {
        metric: [seed.absolute.get(metric, final_score(curve))]
        for metric, curve in seed.evaluations.items()
    }
    yield "absolute_metrics", finals
