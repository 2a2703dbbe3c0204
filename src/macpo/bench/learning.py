"""What users wait for: the time until a team hunts."""

import statistics
import time
from typing import NamedTuple

from macpo.bench.measure import Flags, Result
from macpo.experiment import Experiment, Run
from macpo.training.trainer import Trainer, make_trainer

GOAL = 30.0
"""Mean return of greedy episodes; Predator-Prey pays at most 40."""
MAX_STEPS = 300_000


class Learned(NamedTuple):
    """When a run first reached the goal."""

    seconds: float
    """Of training and evaluating; nothing is compiled in them."""
    env_steps: float


def learning(flags: Flags) -> list[Result]:
    """Time to a greedy return of 30 on Predator-Prey without punishment, as `macpo train` trains.

    As many seeds as there are rounds. The median counts those that never reach it as the slowest.
    """
    limit = flags.size(MAX_STEPS, 1)
    runs = [Run(seed=seed, steps=limit) for seed in range(flags.rounds)]
    found = [time_to(GOAL, make_trainer(Experiment(run=run))) for run in runs]
    never = Learned(float("inf"), float("inf"))
    seconds, env_steps = zip(*(learned or never for learned in found), strict=True)
    n_never = found.count(None)
    note = f"{n_never} of the seeds did not within {limit:,} env steps" if n_never else ""
    title = f"to a greedy return of {GOAL:g}, default schedule, median of {len(runs)} seeds"
    return [
        Result(f"time {title}", statistics.median(seconds), "s", note=note),
        Result(f"env steps {title}", statistics.median(env_steps), "env steps", note=note),
    ]


def time_to(goal: float, trainer: Trainer) -> Learned | None:
    """When the greedy episodes of a run of one seed first return `goal`; None if they never do."""
    chunk, evaluate = trainer.compiled_chunk, trainer.compiled_evaluate
    state = trainer.init()
    start = time.perf_counter()
    for until in range(trainer.run.test_interval, trainer.run.steps + 1, trainer.run.test_interval):
        while int(state.env_steps[0]) < until:
            state, _ = chunk(state, until)
        if float(evaluate(state)["test_return_mean"][0]) >= goal:
            return Learned(time.perf_counter() - start, int(state.env_steps[0]))
    return None
