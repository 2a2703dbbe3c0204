"""Training: a run from its start, and a run continued.

run = macpo.train(Experiment(env="predator-prey"))
policy = macpo.load(run.directory)
actions = policy.act(obs, avail_actions)
"""

import os
import time
from collections.abc import Callable, Collection, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial

import jax
from rich.console import Console

from macpo.bounds import checked
from macpo.errors import require
from macpo.experiment import Experiment
from macpo.machine import prepare_jax
from macpo.runs import checkpoint
from macpo.runs.acting import acting_of
from macpo.runs.best import before_any, is_written
from macpo.runs.claim import claimed
from macpo.runs.directory import RunDirectory
from macpo.runs.files import disk_errors
from macpo.runs.loop import RunLoop, RunResult
from macpo.runs.memory import check_memory
from macpo.runs.record.jsonl import JsonLines
from macpo.runs.record.replay import Moments, ReplayRecorder
from macpo.runs.record.trackers import check
from macpo.runs.saving import last_state, save_best, save_model
from macpo.terminal import make_console, say
from macpo.training.host.pool import Workers
from macpo.training.player import Player, open_player
from macpo.training.trainer import make_trainer


def train(
    experiment: Experiment,
    directory: str | os.PathLike[str] | None = None,
    *,
    console: Console | None = None,
    tensorboard: bool = False,
    trackers: Collection[str] = (),
    workers: Workers | None = None,
    record_weights: int = 0,
) -> RunResult:
    """Train from the start, in a new directory; without a name it gets one under runs/.

    Metrics also go to `trackers`: "tensorboard", "wandb", "trackio" (each an extra of this name).
    Replay is recorded at `record_weights` moments (docs/reports.md). Raises UsageError if the plan
    does not fit into memory, or if the directory holds anything that a run would write over.
    """
    console = console or make_console()
    trackers = [*["tensorboard"] * tensorboard, *trackers]
    check(trackers)  # what can be known at once is said before anything is made
    moments = checked(record_weights, Moments, "record_weights")
    chosen = None if directory is None else RunDirectory(directory)
    if chosen is not None:
        chosen.require_unused()
    prepare_jax()
    trainer = make_trainer(experiment, to_play=True)
    check_memory(trainer, console)  # first: what is far too large takes long to trace
    trainer.check()  # a mistake in a custom algorithm leaves no run behind
    replay = ReplayRecorder.planned(experiment, trainer, moments)
    files = chosen or RunDirectory.new(experiment)
    files.make()
    with claimed(files.path):
        files.require_unused()  # another process may have been faster
        files.remove_leftovers()
        _begin(files, experiment, replay)
        state = trainer.init()
        acting, best = acting_of(trainer.algorithm), before_any(state)
        begin = partial(RunLoop, experiment, files, state, 0, best, acting, replay=replay)
        return _play(open_player(experiment, trainer, workers), begin, console, trackers)


def resume(
    directory: str | os.PathLike[str],
    *,
    steps: int | None = None,
    console: Console | None = None,
    tensorboard: bool = False,
    trackers: Collection[str] = (),
    workers: Workers | None = None,
    trust: bool = False,
) -> RunResult:
    """Continue a run from its last sound checkpoint, bit for bit; `steps` may extend it.

    `trust` lets the run's files name code to import that is not registered (SECURITY.md). Raises
    UsageError if the directory holds no run, if another process is training there, if the run's
    files have been changed, or if it has played as many `steps` before.
    """
    console = console or make_console()
    trackers = [*["tensorboard"] * tensorboard, *trackers]
    check(trackers)
    files = RunDirectory(directory)
    files.require_run()
    with claimed(files.path):
        files.remove_leftovers()
        planned = files.read_experiment(trust=trust)
        new_steps = planned.run.steps if steps is None else steps
        experiment = replace(planned, run=replace(planned.run, steps=new_steps))
        prepare_jax()
        trainer = make_trainer(experiment, to_play=True)
        last = last_state(files, experiment, lambda: trainer.state_shapes)
        for reason in last.passed_over:
            say(console, f"passed over a checkpoint: {reason}", "yellow")
        check_memory(trainer, console)
        replay = ReplayRecorder.resumed(experiment, trainer, files.replay)
        acting = acting_of(trainer.algorithm)
        if last.state is None:
            say(console, "no checkpoint yet: starting from the beginning")
            _begin(files, experiment, replay)
            state = trainer.init()
            best = before_any(state)
        else:
            played = int(last.state.env_steps.min())
            require(
                played < new_steps or new_steps == planned.run.steps,
                f"{files.path} has already played {played:,} env steps; to extend it, give more "
                f"--steps than that, not {new_steps:,}.",
            )
            # it may be of another checkpoint, or be gone
            save_model(files, experiment, last.state, acting)
            best = last.best
            if played >= new_steps and (best is None or is_written(files.absolute)):
                JsonLines(files.metrics, last.metrics_bytes).close()  # cuts rows behind it
                if best is not None:
                    save_best(files, experiment, best, acting)
                say(console, f"already at {played:,} of {new_steps:,} env steps")
                return RunResult(files.path, finished=True)
            for file in (files.absolute, files.best):
                with disk_errors(file):
                    file.unlink(missing_ok=True)  # of the shorter run
            files.describe(experiment)
            state = jax.device_put(last.state, trainer.sharding)
        begin = partial(
            RunLoop, experiment, files, state, last.metrics_bytes, best, acting, replay=replay
        )
        return _play(open_player(experiment, trainer, workers), begin, console, trackers)


def _begin(files: RunDirectory, experiment: Experiment, replay: ReplayRecorder | None) -> None:
    """Write what a run has before its first row."""
    files.describe(experiment)
    checkpoint.begin(files.checkpoints)
    if replay is not None:
        replay.plan.write(files.replay)


def _play(
    playing: AbstractContextManager[Player],
    begin: Callable[..., RunLoop],
    console: Console,
    trackers: Collection[str],
) -> RunResult:
    """Compile what is played, then begin the loop: its display must have the terminal alone."""
    with playing as player:
        with _compiling(console):
            player.compile()
        return begin(console=console, trackers=trackers).run(player)


@contextmanager
def _compiling(console: Console) -> Generator[None]:
    """Show that something is compiled, and then how long it took."""
    start = time.monotonic()
    with console.status("compiling (later runs find it in the cache)"):
        yield
    say(console, f"compiled in {time.monotonic() - start:.1f} s")
