"""What a search has found: its trials by their scores."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console

from macpo.errors import UsageError
from macpo.report.collection import collect
from macpo.report.score import final_score, usual_metric
from macpo.report.tables import Table, number, print_table
from macpo.search.space import Space
from macpo.study.directory import StudyDirectory
from macpo.study.grid import Arm, flag_groups

MAX_SHOWN = 10


class Trial(NamedTuple):
    """A trial and what came of it."""

    arm: Arm
    score: float
    """Mean of its seeds' final scores; NaN if none has any."""


def score_of(directory: Path, arm: str) -> float:
    """The mean of an arm's final scores over its seeds; NaN if it has none."""
    try:
        runs = collect([StudyDirectory(directory).runs / arm])
    except UsageError:
        return np.nan
    seeds = [seed for of in runs.seeds.values() for seed in of if seed.evaluations]
    if not seeds:
        return np.nan
    metric = usual_metric({name for seed in seeds for name in seed.evaluations})
    return float(np.mean([final_score(seed.evaluations[metric]) for seed in seeds]))


def ranked(directory: Path, arms: list[Arm]) -> list[Trial]:
    """The trials, best first; those without a score last."""
    trials = [Trial(arm, score_of(directory, arm.name)) for arm in arms]
    return sorted(trials, key=lambda trial: -np.inf if np.isnan(trial.score) else trial.score)[::-1]


def print_best(console: Console, space: Space, trials: list[Trial]) -> None:
    """A table of the best trials with the values that the search has chosen."""
    flags = list(space.dimensions)
    rows = [
        (trial.arm.name, number(trial.score, 3), *(chosen.get(flag, "") for flag in flags))
        for trial in trials[:MAX_SHOWN]
        for chosen in [dict(group for group in flag_groups(trial.arm.arguments) if len(group) == 2)]
    ]
    head = ("trial", "score", *(flag.lstrip("-") for flag in flags))
    print_table(console, Table("Best trials", head, rows))
