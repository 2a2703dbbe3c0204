"""A search by Optuna: trials are asked for in waves, trained as a study, and told how they ended.

Optuna's journal lies in the study's directory, so that a search goes on where it was stopped.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from macpo.errors import require
from macpo.experiment import Experiment
from macpo.search.space import Range, Space, trial_name
from macpo.study.grid import Arm
from macpo.study.study import Study
from macpo.study.sweep import SweepResult

JOURNAL = "optuna.journal"


class Sweep(Protocol):
    """Carries out a study, as `macpo.sweep` does in a directory that is settled."""

    def __call__(self, study: Study) -> SweepResult:
        """How its runs have ended."""
        ...


def search(
    name: str,
    space: Space,
    n_trials: int,
    wave: int,
    seeds: Sequence[int],
    seeds_together: int,
    out: Path,
    *,
    experiment_of: Callable[[list[str]], Experiment],
    sweep: Sweep,
    score_of: Callable[[Path, str], float],
) -> tuple[SweepResult, list[Arm]]:
    """Train `n_trials` trials, `wave` at a time, each with all seeds; larger scores are better.

    `score_of(directory, arm)` is a trial's score, NaN for one that failed. Returns how the last
    sweep has ended, and all trials. UsageError if the directory holds a search of another space.
    """
    out.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(out / JOURNAL)))
    found = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", load_if_exists=True
    )
    # a search that goes on must not draw again what it has drawn
    found.sampler = optuna.samplers.TPESampler(seed=len(found.trials), constant_liar=True)
    distributions = {flag: _distribution(of) for flag, of in space.dimensions.items()}
    _require_same(found.trials, distributions, out)
    experiments: dict[str, Experiment] = {}
    while True:
        trials = found.trials
        open_trials = [trial for trial in trials if trial.state == TrialState.RUNNING]
        n_new = min(wave - len(open_trials), n_trials - len(trials))
        for _ in range(n_new):
            found.ask(distributions)
        arms = [
            Arm(trial_name(trial.number), space.arguments(trial.params)) for trial in found.trials
        ]
        for name_of, arguments in arms[len(experiments) :]:  # reading flags takes a while
            experiments[name_of] = experiment_of(arguments)
        result = sweep(Study(name, experiments, seeds, seeds_together))
        open_trials = [trial for trial in found.trials if trial.state == TrialState.RUNNING]
        if result.signal is not None or not open_trials:
            return result, arms
        for trial in open_trials:
            _tell(found, trial, score_of(out, trial_name(trial.number)))
        if len(found.trials) >= n_trials:
            return result, arms


def _distribution(dimension: tuple[str, ...] | Range) -> BaseDistribution:
    if not isinstance(dimension, Range):
        return CategoricalDistribution(dimension)
    low, high, is_whole = dimension
    if is_whole:
        return IntDistribution(int(low), int(high), log=dimension.is_log)
    return FloatDistribution(low, high, log=dimension.is_log)


def _require_same(
    trials: Iterable[FrozenTrial], distributions: Mapping[str, BaseDistribution], out: Path
) -> None:
    for trial in trials:
        require(
            trial.distributions == distributions,
            f"{out} holds a search of other flags or ranges; choose another --out.",
        )


def _tell(found: optuna.Study, trial: FrozenTrial, score: float) -> None:
    if np.isfinite(score):
        found.tell(trial.number, score)
    else:
        found.tell(trial.number, state=TrialState.FAIL)
