"""Training: a run from its start, and a run continued.

run = macpo.train(Experiment(env="predator-prey"))
policy = macpo.load(run.directory)
actions = policy.act(obs, avail_actions)
"""

import os
import signal
import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import partial

import jax
from rich.console import Console

from macpo.errors import UsageError, require, shortened
from macpo.experiment import Experiment
from macpo.machine import prepare_jax
from macpo.runs import checkpoint
from macpo.runs.acting import acting_of
from macpo.runs.best import before_any, is_written
from macpo.runs.checkpoint import is_dropped
from macpo.runs.claim import claimed
from macpo.runs.directory import RunDirectory
from macpo.runs.files import disk_errors
from macpo.runs.loop import RunLoop, RunResult
from macpo.runs.memory import check_memory
from macpo.runs.record.jsonl import JsonLines
from macpo.runs.record.replay import MAX_MOMENTS, ReplayRecorder
from macpo.runs.record.trackers import check
from macpo.runs.saving import last_state, save_best, save_model
from macpo.runs.sessions import FINISHED, begin_session, end_session
from macpo.runs.story import is_finished, tell
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
    save_replay: bool = True,
    command_line: Sequence[str] = (),
) -> RunResult:
    """Train from the start, in a new directory; without a name it gets one under runs/.

    Metrics also go to `trackers`: "tensorboard", "wandb", "trackio" (each an extra of this name).
    Replay is recorded at `record_weights` moments (docs/reports.md). Without `save_replay`
    checkpoints are small, and a run that is resumed is not exact (docs/runs.md). The words of the
    command that has asked for the run are its `command_line`, which the run's README tells; without
    any it tells of a call from Python. Raises UsageError if the plan does not fit into memory, or
    if the directory holds anything that a run would write over.

    >>> import macpo
    >>> small = macpo.Run(steps=64, batch_size=8, test_interval=64, test_nepisode=8)
    >>> run = macpo.train(macpo.Experiment(env="matrix-game", run=small))
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
    prepare_jax()
    trainer = make_trainer(experiment, to_play=True)
    check_memory(trainer, console)  # first: what is far too large takes long to trace
    trainer.check()  # a mistake in a custom algorithm leaves no run behind
    replay = ReplayRecorder.planned(experiment, trainer, record_weights)
    files = chosen or RunDirectory.new(experiment)
    files.make()
    with claimed(files.path):
        files.require_unused()  # another process may have been faster
        files.remove_leftovers()
        _begin(files, experiment, replay)
        state = trainer.init()
        acting, best = acting_of(trainer.algorithm), before_any(state)
        begin = partial(
            *(RunLoop, experiment, files, state, 0, best, acting),
            replay=replay,
            save_replay=save_replay,
        )
        play = partial(_play, open_player(experiment, trainer, workers), begin, console, trackers)
        return _recorded(files, experiment, command_line, play)


def resume(
    directory: str | os.PathLike[str],
    *,
    steps: int | None = None,
    console: Console | None = None,
    tensorboard: bool = False,
    trackers: Collection[str] = (),
    workers: Workers | None = None,
    trust: bool = False,
    command_line: Sequence[str] = (),
) -> RunResult:
    """Continue a run from its last sound checkpoint, bit for bit; `steps` may extend it.

    From a checkpoint without replay it is not exact: replay is filled anew before the next update.
    Later checkpoints are then without it too.

    `trust` lets the run's files name code to import that is not registered (SECURITY.md);
    `command_line` is as for `train`. Raises UsageError if the directory holds no run, if another
    process is training there, if the run's files have been changed, or if it has played as many
    `steps` before.

    >>> import macpo
    >>> small = macpo.Run(steps=64, batch_size=8, test_interval=64, test_nepisode=8)
    >>> run = macpo.train(macpo.Experiment(env="matrix-game", run=small))
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
        new_steps = planned.run.steps if steps is None else steps
        experiment = replace(planned, run=replace(planned.run, steps=new_steps))
        if new_steps == planned.run.steps and is_finished(files) and is_dropped(files.checkpoints):
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
                files.write_readme(experiment, tell(files, experiment))
                say(console, f"already at {played:,} of {new_steps:,} env steps")
                return RunResult(files.path, finished=True)
            for file in (files.absolute, files.best):
                with disk_errors(file):
                    file.unlink(missing_ok=True)  # of the shorter run
            files.write_experiment(experiment)
            state = last.state
            if not last.has_replay:
                say(console, _WITHOUT_REPLAY, "yellow")
                empty = trainer.init()
                state = state._replace(
                    replay_buffer=empty.replay_buffer, priorities=empty.priorities
                )
            state = jax.device_put(state, trainer.sharding)
        begin = partial(
            *(RunLoop, experiment, files, state, last.metrics_bytes, best, acting),
            replay=replay,
            save_replay=last.has_replay,
        )
        play = partial(_play, open_player(experiment, trainer, workers), begin, console, trackers)
        return _recorded(files, experiment, command_line, play)


_WITHOUT_REPLAY = (
    "the checkpoint was saved without replay, which is filled anew before the next update: the run "
    "goes on, but not as if it had never been interrupted"
)


def _begin(files: RunDirectory, experiment: Experiment, replay: ReplayRecorder | None) -> None:
    """Write what a run has before its first row."""
    files.write_experiment(experiment)
    checkpoint.begin(files.checkpoints)
    if replay is not None:
        replay.plan.write(files.replay)


def _recorded(
    files: RunDirectory,
    experiment: Experiment,
    command_line: Sequence[str],
    play: Callable[[], RunResult],
) -> RunResult:
    """Play, and have the run's files tell of this session, from its beginning and at its end."""
    begin_session(files.sessions, command_line)
    files.write_readme(experiment, tell(files, experiment))
    try:
        result = play()
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
