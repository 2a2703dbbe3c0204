"""What users wait for: the time until a team hunts."""

import math
import statistics
import time
from dataclasses import replace
from typing import NamedTuple

from macpo import presets
from macpo.bench.measure import Flags, Result
from macpo.experiment import Experiment, Run
from macpo.training.trainer import Trainer, make_trainer

GOAL = 30.0
"""Mean return of greedy episodes; Predator-Prey pays at most 40."""
MAX_STEPS = 300_000


class TimeToGoal(NamedTuple):
    """When a run first reached the goal."""

    seconds: float
    """Of training and evaluating; nothing is compiled in them."""
    env_steps: float


def learning(flags: Flags) -> list[Result]:
    """Time to a greedy return of 30 on Predator-Prey without punishment, as `macpo train` trains,
    and on PyMARL2's schedule.

    As many seeds as there are rounds. The median counts those that never reach it as the slowest.
    """
    usual = Experiment(run=Run(steps=flags.size(MAX_STEPS, 1)))
    results, default = list[Result](), None
    for schedule, experiment in {
        "default schedule": usual,
        "preset pymarl2": presets.pymarl2(usual),
    }.items():
        median, note = _median_of_seeds(experiment, flags.rounds)
        title = f"to a greedy return of {GOAL:g}, {schedule}, median of {flags.rounds} seeds"
        seconds, env_steps = _ratios(median, default or _UNKNOWN)
        against = "the default schedule" if default else ""
        results += [
            Result(f"time {title}", median.seconds, "s", seconds, against, note),
            Result(f"env steps {title}", median.env_steps, "env steps", env_steps, against, note),
        ]
        default = default or median
    return results


_UNKNOWN = TimeToGoal(math.inf, math.inf)


def _median_of_seeds(experiment: Experiment, n_seeds: int) -> tuple[TimeToGoal, str]:
    """(median, a note on seeds that never reach the goal)"""
    runs = [replace(experiment.run, seed=seed) for seed in range(n_seeds)]
    found = [time_to(GOAL, make_trainer(replace(experiment, run=run))) for run in runs]
    seconds, env_steps = zip(*(learned or _UNKNOWN for learned in found), strict=True)
    n_never, limit = found.count(None), experiment.run.steps
    note = f"{n_never} of the seeds did not within {limit:,} env steps" if n_never else ""
    return TimeToGoal(statistics.median(seconds), statistics.median(env_steps)), note


def _ratios(a: TimeToGoal, b: TimeToGoal) -> tuple[float | None, ...]:
    """Of seconds and of env steps; None where one of them is unknown."""
    pairs = zip(a, b, strict=True)
    return tuple(x / y if math.isfinite(x) and math.isfinite(y) else None for x, y in pairs)


def time_to(goal: float, trainer: Trainer) -> TimeToGoal | None:
    """When the greedy episodes of a run of one seed first return `goal`; None if they never do."""
    chunk, evaluate = trainer.compiled_chunk, trainer.compiled_evaluate
    state = trainer.init()
    start = time.perf_counter()
    for until in range(trainer.run.test_interval, trainer.run.steps + 1, trainer.run.test_interval):
        while int(state.env_steps[0]) < until:
            state, _ = chunk(state, until)
        if float(evaluate(state)["test_return_mean"][0]) >= goal:
            return TimeToGoal(time.perf_counter() - start, int(state.env_steps[0]))
    return None
