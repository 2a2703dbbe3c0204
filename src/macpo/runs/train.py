"""Training: a run from its start, and a run continued.

run = macpo.train(Experiment(env="predator-prey"))
policy = macpo.load(run.directory)
actions = policy.act(obs, avail_actions)
"""

import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

import jax
from rich.console import Console

from macpo.errors import UsageError, require
from macpo.experiment import Experiment, difference, from_dict, to_dict
from macpo.machine import prepare_jax
from macpo.runs import checkpoint
from macpo.runs.directory import RunDirectory
from macpo.runs.files import write_json
from macpo.runs.loop import RunLoop, RunResult
from macpo.runs.memory import check_memory
from macpo.terminal import command, make_console, say
from macpo.training.host.pool import Workers
from macpo.training.player import open_player
from macpo.training.trainer import Trainer, TrainState, make_trainer


def train(
    experiment: Experiment,
    directory: str | os.PathLike[str] | None = None,
    *,
    console: Console | None = None,
    tensorboard: bool = False,
    workers: Workers | None = None,
) -> RunResult:
    """Train from the start, in a new directory; without a name it gets one under runs/.

    Raises UsageError if the plan does not fit into memory or the directory is taken.
    """
    console = console or make_console()
    files = RunDirectory.new(experiment) if directory is None else RunDirectory(directory)
    if files.experiment.exists():
        raise UsageError(
            f"{files.path} already holds a run; continue it with "
            f"`{command('macpo', 'resume', files.path)}` or choose another --out."
        )
    prepare_jax()
    trainer = make_trainer(experiment, to_play=True)
    check_memory(trainer, console)  # first: what is far too large takes long to trace
    trainer.check()  # a mistake in a custom algorithm leaves no run behind
    files.create(experiment)
    state = trainer.init()
    with open_player(experiment, trainer, workers) as player:
        with _compiling(console):
            player.compile()
        loop = RunLoop(experiment, files, state, console=console, tensorboard=tensorboard)
        return loop.run(player)


def resume(
    directory: str | os.PathLike[str],
    *,
    steps: int | None = None,
    console: Console | None = None,
    tensorboard: bool = False,
    workers: Workers | None = None,
    trust: bool = False,
) -> RunResult:
    """Continue a run from its last sound checkpoint, bit for bit; `steps` may extend it.

    `trust` lets the run's files name code to import that is not registered (SECURITY.md). Raises
    UsageError if the directory holds no run, or if its files have been changed.
    """
    console = console or make_console()
    files = RunDirectory(directory)
    experiment = files.read_experiment(trust=trust)
    if steps is not None:
        experiment = replace(experiment, run=replace(experiment.run, steps=steps))
    prepare_jax()
    trainer = make_trainer(experiment, to_play=True)
    state, metrics_bytes = _last_state(files, experiment, trainer, console, trust=trust)
    check_memory(trainer, console)
    played = int(state.env_steps.min())
    if played >= experiment.run.steps:
        say(console, f"already at {played:,} of {experiment.run.steps:,} env steps")
        return RunResult(files.path, finished=True)
    write_json(files.experiment, to_dict(experiment))
    with open_player(experiment, trainer, workers) as player:
        with _compiling(console):
            player.compile()
        loop = RunLoop(
            experiment, files, state, metrics_bytes, console=console, tensorboard=tensorboard
        )
        return loop.run(player)


def _last_state(
    files: RunDirectory, experiment: Experiment, trainer: Trainer, console: Console, *, trust: bool
) -> tuple[TrainState, int]:
    """The state of the last sound checkpoint, and the length of the metrics that belong to it."""
    if not files.checkpoints.is_dir():
        say(console, "no checkpoint yet: starting from the beginning")
        return trainer.init(), 0
    found = checkpoint.load_latest(files.checkpoints, jax.eval_shape(trainer.init))
    for message in found.damaged:
        say(console, f"skipped a damaged checkpoint: {message}", "yellow")
    saved = from_dict(found.info["experiment"], trust=trust)
    saved = replace(saved, run=replace(saved.run, steps=experiment.run.steps))
    changes = difference(saved, experiment)
    require(
        not changes,
        f"{files.experiment} differs from what its checkpoint was trained with "
        f"({'; '.join(changes)}); restore it, or start another run with `macpo train`.",
    )
    length = int(found.info["metrics_bytes"])
    size = files.metrics.stat().st_size if files.metrics.exists() else 0
    require(
        size >= length,
        f"{files.metrics} has lost rows ({size} of {length} bytes); it must not be edited.",
    )
    return jax.device_put(found.state, trainer.sharding), length


@contextmanager
def _compiling(console: Console) -> Generator[None]:
    """Show that something is compiled, and then how long it took."""
    start = time.monotonic()
    with console.status("compiling (later runs find it in the cache)"):
        yield
    say(console, f"compiled in {time.monotonic() - start:.1f} s")
