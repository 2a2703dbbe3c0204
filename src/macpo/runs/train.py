"""Training: a run from its start, and a run continued.

run = macpo.train(Experiment(env="predator-prey"))
policy = macpo.load(run.directory)
actions = policy.act(obs, avail_actions)
"""

import os
import signal
import time
from collections.abc import Collection, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace

import jax
from rich.console import Console

from macpo.errors import UsageError, require, shortened
from macpo.experiment import Experiment
from macpo.machine import has_bf16_units, prepare_jax
from macpo.runs import checkpoint
from macpo.runs.acting import Acting, acting_of
from macpo.runs.best import before_any, is_written
from macpo.runs.checkpoint import is_dropped
from macpo.runs.claim import claimed
from macpo.runs.directory import RunDirectory
from macpo.runs.files import disk_errors
from macpo.runs.loop import RunLoop, RunResult, RunStart
from macpo.runs.memory import check_memory
from macpo.runs.offline import filled, pinned
from macpo.runs.record.jsonl import JsonLines
from macpo.runs.record.replay import MAX_MOMENTS, ReplayRecorder
from macpo.runs.record.trackers import check
from macpo.runs.saving import LastState, last_state, save_best, save_model
from macpo.runs.sessions import FINISHED, begin_session, end_session
from macpo.runs.story import is_finished, tell
from macpo.terminal import make_console, say
from macpo.training.host.pool import Workers
from macpo.training.player import Player, open_player
from macpo.training.trainer import Trainer, TrainState, make_trainer, progress


def train(
    experiment: Experiment,
    directory: str | os.PathLike[str] | None = None,
    *,
    console: Console | None = None,
    tensorboard: bool = False,
    trackers: Collection[str] = (),
    workers: Workers | None = None,
    record_weights: int = 0,
    save_replay: bool = True,
    command_line: Sequence[str] = (),
) -> RunResult:
    """Train from the start, in a new directory; without a name it gets one under runs/.

    Metrics also go to `trackers`: "tensorboard", "wandb", "trackio" (each an extra of this name).
    Replay is recorded at `record_weights` moments (docs/reports.md). Without `save_replay`
    checkpoints are small, and a run that is resumed is not exact (docs/runs.md). The words of the
    command that has asked for the run are its `command_line`, which the run's README tells; without
    any it mentions a call from Python. Raises UsageError if the plan does not fit into memory, if
    the directory holds anything that a run would overwrite, or if replay cannot begin with the
    file that it should (docs/offline.md).

    >>> import macpo
    >>> small = macpo.Run(steps=64, batch_size=8, test_interval=64, test_nepisode=8)
    >>> run = macpo.train(macpo.Experiment("matrix-game", "vdn", run=small))
    memory planned: ...
    >>> run.directory.parent.name
    'runs'
    """
    console = console or make_console()
    trackers = [*["tensorboard"] * tensorboard, *trackers]
    check(trackers)  # what can be known at once is said before anything is made
    require(
        record_weights in range(MAX_MOMENTS + 1),
        f"record_weights must be between 0 and {MAX_MOMENTS}, not {record_weights}.",
    )
    chosen = None if directory is None else RunDirectory(directory)
    if chosen is not None:
        chosen.require_unused()
    experiment = pinned(experiment)
    prepare_jax()
    trainer = make_trainer(experiment, to_play=True)
    check_memory(trainer, console)  # first: what is far too large takes long to trace
    trainer.check()  # a mistake in a custom algorithm leaves no run behind
    replay = ReplayRecorder.planned(experiment, trainer, record_weights)
    state = filled(trainer, experiment, trainer.init(), console)
    files = chosen or RunDirectory.new(experiment)
    files.make()
    with claimed(files.path):
        files.require_unused()  # another process may have been faster
        files.remove_leftovers()
        _begin(files, experiment, replay)
        start = RunStart(
            *(experiment, files, state),
            best=before_any(state),
            acting=acting_of(trainer.algorithm),
            replay=replay,
            save_replay=save_replay,
        )
        playing = open_player(experiment, trainer, workers)
        return _recorded(start, playing, command_line, console, trackers)


def resume(
    directory: str | os.PathLike[str],
    *,
    steps: int | None = None,
    updates: int | None = None,
    console: Console | None = None,
    tensorboard: bool = False,
    trackers: Collection[str] = (),
    workers: Workers | None = None,
    trust: bool = False,
    command_line: Sequence[str] = (),
) -> RunResult:
    """Continue a run from its last sound checkpoint, bit for bit; `steps` may extend it, `updates`
    one that learns offline.

    From a checkpoint without replay it is not exact: replay is filled anew before the next update.
    Later checkpoints are then without it too. A file of episodes that replay began with is needed
    again only there, and where there is no checkpoint yet.

    `trust` lets the run's files name code to import that is not registered (SECURITY.md);
    `command_line` is as for `train`. Raises UsageError if the directory holds no run, if another
    process is training there, if the run's files have been changed, or if it has come as far
    before.

    >>> import macpo
    >>> small = macpo.Run(steps=64, batch_size=8, test_interval=64, test_nepisode=8)
    >>> run = macpo.train(macpo.Experiment("matrix-game", "vdn", run=small))
    memory planned: ...
    >>> macpo.resume(run.directory, steps=80).finished
    memory planned: ...
    True
    """
    console = console or make_console()
    trackers = [*["tensorboard"] * tensorboard, *trackers]
    check(trackers)
    files = RunDirectory(directory)
    files.require_run()
    with claimed(files.path):
        files.remove_leftovers()
        planned = files.read_experiment(trust=trust)
        experiment = _extended(planned, steps, updates)
        run, is_as_planned = experiment.run, experiment.run.end == planned.run.end
        if is_as_planned and is_finished(files) and is_dropped(files.checkpoints):
            say(console, f"already finished, and without checkpoints: {files.path}")
            return RunResult(files.path, finished=True)
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
            state = filled(trainer, experiment, trainer.init(), console)
            _begin(files, experiment, replay)
            best = before_any(state)
        else:
            done = int(progress(run, last.state).min())
            require(
                done < run.end or is_as_planned,
                f"{files.path} has already {run.so_far(done)}; to extend it, pass "
                f"{run.end_flag} above that, not {run.end:,}.",
            )
            # it may be of another checkpoint, or be gone
            save_model(files, experiment, last.state, acting)
            best = last.best
            if done >= run.end and (best is None or is_written(files.absolute)):
                _mend_ended(files, experiment, last, acting)
                say(console, f"already at {done:,} of {run.end:,} {run.unit}")
                return RunResult(files.path, finished=True)
            _reopen(files, experiment)
            state = _restored(trainer, experiment, last.state, last.has_replay, console)
        if run.precision == "bf16" and not has_bf16_units():
            say(console, "without units for bfloat16, updates are slower here (bf16)", "yellow")
        start = RunStart(
            *(experiment, files, state, last.metrics_bytes, best, acting),
            replay=replay,
            save_replay=last.has_replay,
        )
        playing = open_player(experiment, trainer, workers)
        return _recorded(start, playing, command_line, console, trackers)


def _extended(planned: Experiment, steps: int | None, updates: int | None) -> Experiment:
    """The experiment with another end; UsageError for one in the other unit."""
    run = planned.run
    if run.is_offline:
        require(
            steps is None,
            f"this run learns offline: it is extended with --updates N, not with --steps {steps}.",
        )
        end = run.updates if updates is None else updates
        require(end > 0, "updates must be at least 1, not 0.")
        return replace(planned, run=replace(run, updates=end))
    require(
        updates is None,
        "this run does not learn offline: it is extended with --steps N, not with --updates "
        f"{updates}.",
    )
    end = run.steps if steps is None else steps
    require(end > 0, "steps must be at least 1, not 0.")
    return replace(planned, run=replace(run, steps=end))


def _mend_ended(
    files: RunDirectory, experiment: Experiment, last: LastState, acting: Acting | None
) -> None:
    """Leave the files of a run at its end as they were then, whatever has become of them."""
    JsonLines(files.metrics, last.metrics_bytes).close()  # cuts rows behind the checkpoint's
    if last.best is not None:
        save_best(files, experiment, last.best, acting)
    files.write_readme(experiment, tell(files, experiment))


def _reopen(files: RunDirectory, experiment: Experiment) -> None:
    """Remove what a shorter run has written at its end, and write the new end."""
    for file in (files.absolute, files.best):
        with disk_errors(file):
            file.unlink(missing_ok=True)
    files.write_experiment(experiment)


def _restored(
    trainer: Trainer, experiment: Experiment, state: TrainState, has_replay: bool, console: Console
) -> TrainState:
    """A checkpoint's state on the devices; without replay it gets that of a new run."""
    if not has_replay:
        say(console, _without_replay(experiment), "yellow")
        fresh = filled(trainer, experiment, trainer.init(), console)
        state = state._replace(replay_buffer=fresh.replay_buffer, priorities=fresh.priorities)
    return jax.device_put(state, trainer.sharding)


def _without_replay(experiment: Experiment) -> str:
    """What it means to go on from a checkpoint without replay."""
    saved = "the checkpoint was saved without replay, which"
    if not experiment.run.is_offline:
        return (
            f"{saved} is filled anew before the next update: the run goes on, but not as if it had "
            "never been interrupted"
        )
    if experiment.replay.sampling == "uniform":
        return f"{saved} is read again from the file that it began with"
    return (
        f"{saved} is read again from the file that it began with, and its priorities begin anew: "
        "the run goes on, but not as if it had never been interrupted"
    )


def _begin(files: RunDirectory, experiment: Experiment, replay: ReplayRecorder | None) -> None:
    """Write what a run has before its first row."""
    files.write_experiment(experiment)
    checkpoint.begin(files.checkpoints)
    if replay is not None:
        replay.plan.write(files.replay)


def _recorded(
    start: RunStart,
    playing: AbstractContextManager[Player],
    command_line: Sequence[str],
    console: Console,
    trackers: Collection[str],
) -> RunResult:
    """Play, and have the run's files tell of this session, from its beginning and at its end."""
    files, experiment = start.directory, start.experiment
    begin_session(files.sessions, command_line)
    files.write_readme(experiment, tell(files, experiment))
    try:
        with playing as player:
            with _compiling(console):  # before the loop, whose display must have the terminal alone
                player.compile()
            result = RunLoop(start, console=console, trackers=trackers).run(player)
    except Exception as error:
        with suppress(UsageError):  # the reason why it ends is more important
            why = shortened(" ".join(str(error).split()))
            _record_end(files, experiment, f"ended by an error ({why})")
        raise
    stop = None if result.signal is None else signal.Signals(result.signal).name
    _record_end(files, experiment, FINISHED if stop is None else f"stopped by {stop}")
    return result


def _record_end(files: RunDirectory, experiment: Experiment, outcome: str) -> None:
    end_session(files.sessions, outcome)
    files.write_readme(experiment, tell(files, experiment))


@contextmanager
def _compiling(console: Console) -> Generator[None]:
    """Show that something is compiled, and then how long it took."""
    start = time.monotonic()
    with console.status("compiling (later runs find it in the cache)"):
        yield
    say(console, f"compiled in {time.monotonic() - start:.1f} s")
