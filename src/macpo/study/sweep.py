"""Carrying out a study: what is left of it, several runs at a time, until all have ended."""

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from macpo.errors import require
from macpo.experiment import Experiment
from macpo.machine import available_bytes, available_cores
from macpo.runs.claim import claimed
from macpo.runs.interrupts import noted_signals
from macpo.runs.offline import pinned
from macpo.runs.record.pace import clock
from macpo.study import engines
from macpo.study.directory import Outcome, StudyDirectory
from macpo.study.engines import Engine
from macpo.study.needs import Needs, Pace, candidates, measure, read_needs
from macpo.study.progress import read_progress
from macpo.study.study import PlannedRun, Study
from macpo.study.view import SweepView, print_outcomes
from macpo.terminal import make_console, say

_PAUSE = 0.5
"""Seconds between two looks at what is running."""


@dataclass(frozen=True)
class SweepResult:
    """Where a study is, and how its runs have ended.

    >>> from pathlib import Path
    >>> from macpo import SweepResult
    >>> SweepResult(Path("studies/weights"), outcomes=(), signal=2).finished
    False
    """

    directory: Path
    outcomes: tuple[Outcome, ...]
    """Of the runs that have ended, those of earlier sweeps included."""
    signal: int | None = None
    """What stopped the sweep; going on continues it."""

    @property
    def finished(self) -> bool:
        """Whether every run is finished."""
        return self.signal is None and all(x.status == "finished" for x in self.outcomes)


def sweep(
    study: Study,
    out: str | os.PathLike[str] | None = None,
    engine: str = "local",
    *,
    jobs: int | None = None,
    cores: int | None = None,
    console: Console | None = None,
) -> SweepResult:
    """Train every arm of a study with every seed, in the directory `out` (default: studies/NAME).

    What is finished there is not done again, and what was stopped goes on from its checkpoint, bit
    for bit. A run that fails does not stop the others. The engine is `local`, `ray` or `slurm`
    (docs/studies.md). `cores` is the number of cores of a run, and `jobs` that of runs at a time on
    this machine; without either, what is fastest here is measured, and a cluster's runs have a core
    each. Raises UsageError for a directory that holds something else, an arm that cannot be trained
    and a cluster that cannot be reached.

    >>> import macpo
    >>> small = macpo.Run(steps=64, batch_size=8, test_interval=64, test_nepisode=8)
    >>> arms = {"qmix": macpo.Experiment(env="matrix-game", algorithm="qmix", run=small)}
    >>> macpo.sweep(macpo.Study("small", arms, seeds=1), jobs=1, cores=1).finished
    small: ...
    True
    """
    engines.require_known(engine)  # before anything is made
    # every run of an arm begins with the same episodes, whatever becomes of their file
    arms = {
        name: experiment if experiment.replay.from_sha256 else pinned(experiment)
        for name, experiment in study.arms.items()
    }
    study = replace(study, arms=arms)
    console = console or make_console()
    directory = StudyDirectory(f"studies/{study.name}" if out is None else out)
    directory.make()
    with claimed(directory.path):
        directory.remove_leftovers()
        directory.require_fit(study)
        outcomes = directory.read_outcomes()
        left = [run for run in study.runs() if not _is_finished(directory, outcomes.get(run), run)]
        planned = _require_same(cores, directory.read_cores())
        plan = _plan(study, left, engine, planned, jobs, console)
        directory.begin(study, plan.cores)
        if not left:
            say(console, f"all {len(study.runs())} runs are finished: {directory.path}")
        chosen = engines.make(engine, plan.parallel, plan.cores, trust=study.needs_trust)
        signal = _carry_out(study, left, directory, outcomes, chosen, console)
    ended = tuple(outcomes[run] for run in study.runs() if run in outcomes)
    print_outcomes(console, study, ended)
    return SweepResult(directory.path, ended, signal)


def _is_finished(directory: StudyDirectory, outcome: Outcome | None, run: PlannedRun) -> bool:
    """Whether a run has been finished, and is still there."""
    is_there = directory.run(run).experiment.exists()
    return outcome is not None and outcome.status == "finished" and is_there


def _require_same(cores: int | None, planned: int | None) -> int | None:
    """The cores of a run; UsageError if a study was begun with others."""
    require(
        None in (cores, planned) or cores == planned,
        f"this study was begun with {planned} cores for each run, which decide the last bits of "
        f"its numbers; go on without --cores {cores}.",
    )
    return planned or cores


def _plan(
    study: Study,
    left: list[PlannedRun],
    engine: str,
    cores: int | None,
    jobs: int | None,
    console: Console,
) -> Pace:
    """How many runs at a time, with how many cores each; prints what is about to happen."""
    if not left:
        return Pace(1, cores or 1, 0.0)
    arms = {run.arm: study.experiment(run) for run in left}
    with console.status(f"looking at what the runs of {len(arms)} arms need"):
        found = read_needs([*arms.values()], trust=study.needs_trust)
    needs = dict(zip(arms, found, strict=True))
    largest = max(needs, key=lambda arm: needs[arm].n_bytes)
    steps = sum(map(study.length, left))
    say(
        console,
        f"{study.name}: {len(left)} of {len(study.runs())} runs left, {steps:,} {study.unit}; "
        f"up to {needs[largest].n_bytes / 1e6:,.0f} MB each",
    )
    if engine != engines.LOCAL:
        require(jobs is None, "--jobs counts runs on this machine; a cluster decides by itself.")
        plan = Pace(len(left), cores or 1, 0.0)
        say(console, f"on {engine}, {_with_cores(plan.cores)}")
        return plan
    most = max_parallel(needs[largest], len(left))
    if jobs is None and cores is None:
        plan = _fastest(study, arms[largest], needs[largest], most, console)
    else:
        usual = max(available_cores() // (cores or 1), 1) if needs[largest].is_on_cpu else 1
        parallel = min(jobs or usual, len(left))
        require(
            parallel <= most or not needs[largest].is_on_cpu,
            f"{parallel} runs at a time need more memory than is free; --jobs {most} fits.",
        )
        plan = Pace(parallel, cores or max(available_cores() // parallel, 1), 0.0)
    told = f", about {clock(steps / plan.env_steps_per_s)}" if plan.env_steps_per_s else ""
    say(console, f"{plan.parallel} at a time, {_with_cores(plan.cores)}{told}")
    return plan


def _with_cores(cores: int) -> str:
    return f"{cores} core{'s' * (cores > 1)} each"


def max_parallel(needs: Needs, n_runs: int) -> int:
    """How many runs fit into this machine's memory at a time; an accelerator is not shared."""
    if not needs.is_on_cpu:
        return 1
    free = available_bytes()
    return n_runs if free is None else max(min(n_runs, free // max(needs.n_bytes, 1)), 1)


def _fastest(
    study: Study, experiment: Experiment, needs: Needs, most: int, console: Console
) -> Pace:
    """The fastest way to share the cores among runs, measured where there is a choice."""
    n_cores = available_cores()
    ways = candidates(n_cores, min(most, n_cores)) if needs.is_on_cpu else [(1, 1)]
    if len(ways) == 1:
        return Pace(*ways[0], 0.0)
    paces: list[Pace] = []
    for parallel, cores in ways:
        pace = measure(experiment, parallel, cores, trust=study.needs_trust)
        say(
            console,
            f"measured: {parallel} at a time with {cores} of the cores each, "
            f"{pace.env_steps_per_s:,.0f} {study.unit}/s",
        )
        paces.append(pace)
    return max(paces, key=lambda pace: pace.env_steps_per_s)


def _carry_out(
    study: Study,
    left: list[PlannedRun],
    directory: StudyDirectory,
    outcomes: dict[PlannedRun, Outcome],
    engine: Engine,
    console: Console,
) -> int | None:
    """Carry out what is left, and note in `outcomes` how it ended; the signal that stopped it."""
    unfinished = {*left}
    n_finished = len(study.runs()) - len(unfinished)
    progress = {run: read_progress(directory.run(run)) for run in study.runs()}
    with noted_signals() as received, ExitStack() as closing:
        closing.callback(engine.close)
        view = SweepView(console, study, n_finished)
        closing.callback(view.close)
        engine.submit(directory, left)
        is_stopping = False
        while unfinished:
            if received and not is_stopping:
                is_stopping = True
                say(console, "stopping: what is running is being saved", "yellow")
                engine.stop()
            ended = engine.poll()
            for outcome in ended:
                unfinished.discard(outcome.run)
                outcomes[outcome.run] = outcome
                view.ended(outcome)
            if ended:
                directory.write_outcomes(outcomes.values())
            running = engine.running()
            if is_stopping and not running:
                break
            for run in [*running, *(outcome.run for outcome in ended)]:
                progress[run] = read_progress(directory.run(run))
            view.update(running, progress, time.monotonic())
            time.sleep(_PAUSE)
    return received[0] if received else None
