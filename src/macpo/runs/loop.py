"""The loop of a run: chunks, evaluations and checkpoints until it is played or a signal comes."""

import signal
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Array
from rich.console import Console

from macpo import registry
from macpo.errors import UsageError
from macpo.experiment import Experiment
from macpo.runs import saving
from macpo.runs.acting import Acting
from macpo.runs.best import TIMES, Best, absolute_rows, better_of, evaluations
from macpo.runs.directory import RunDirectory
from macpo.runs.files import write_atomically
from macpo.runs.interrupts import noted_signals
from macpo.runs.record import Row
from macpo.runs.record.console import ConsoleDisplay
from macpo.runs.record.jsonl import JsonLines, to_line
from macpo.runs.record.reading import read_sound_rows
from macpo.runs.record.replay import ReplayRecorder
from macpo.runs.record.rows import evaluation_rows, training_rows
from macpo.runs.record.timing import Timing
from macpo.runs.record.trackers import Tracker
from macpo.terminal import say
from macpo.training.player import Player
from macpo.training.rewards import require_finite
from macpo.training.trainer import TrainState, progress
from macpo.types import Metrics


@dataclass(frozen=True)
class RunResult:
    """Where a run is and how it ended.

    >>> import macpo
    >>> small = macpo.Run(steps=64, batch_size=8, test_interval=64, test_nepisode=8)
    >>> run = macpo.train(macpo.Experiment("matrix-game", "vdn", run=small))
    memory planned: ...
    >>> run.finished, (run.directory / "metrics.jsonl").exists()
    (True, True)
    """

    directory: Path
    finished: bool
    """False if a signal stopped it; `macpo resume` continues it."""
    signal: int | None = None


@dataclass(frozen=True)
class RunStart:
    """Where the loop of a run begins: a new run, or one that is resumed."""

    experiment: Experiment
    directory: RunDirectory
    state: TrainState
    metrics_bytes: int = 0
    """Of metrics.jsonl, that belong to the state; later rows are overwritten."""
    best: Best | None = None
    """The best evaluation so far; its parameters and the absolute metric are kept at the end."""
    acting: Acting | None = None
    replay: ReplayRecorder | None = None
    save_replay: bool = True
    """Whether checkpoints hold replay."""


class RunLoop:
    """Plays what is left of a run, and records it in the run's directory."""

    def __init__(
        self, start: RunStart, *, console: Console, trackers: Collection[str] = ()
    ) -> None:
        experiment, directory = start.experiment, start.directory
        self._replay, self._save_replay = start.replay, start.save_replay
        self.experiment, self.directory, self.state = experiment, directory, start.state
        self.console, self._best, self._acting = console, start.best, start.acting
        # first what may be refused, so that the display never stays on the terminal
        self._trackers = [Tracker(name, directory, experiment) for name in trackers]
        self._rows = JsonLines(directory.metrics, start.metrics_bytes)
        self._timing = Timing(directory.timing, int(to_numpy(start.state.env_steps).sum()))
        shows_curves = start.metrics_bytes > 0 and console.is_terminal
        earlier = read_sound_rows(directory.metrics)[0] if shows_curves else []
        run = experiment.run
        self._display = ConsoleDisplay(
            console, run.end, run.seeds, self._done(), earlier, is_offline=run.is_offline
        )

    def run(self, player: Player) -> RunResult:
        """Play to the end, or until a signal comes; the run is saved in both cases."""
        settings, done = self.experiment.run, self._done()
        saved_at = done // settings.checkpoint_interval
        with noted_signals() as received, ExitStack() as closing:
            for close in (self._close_trackers, self._rows.close, self._timing.close):
                closing.callback(close)
            closing.callback(self._display.close)  # the last is the first to be called
            while done < settings.end and not received:
                next_test = (done // settings.test_interval + 1) * settings.test_interval
                until = min(next_test, settings.end)
                self._play_chunk(player, until)
                before, done = done, self._done()
                self._record_replay(before, done)
                if done >= until:
                    self._evaluate(player)
                self._write_timing("chunk")
                self._display.refresh()
                if done // settings.checkpoint_interval > saved_at:
                    saved_at = done // settings.checkpoint_interval
                    self._save()
            self._save()
            if self._best is not None and not received:
                saving.save_best(self.directory, self.experiment, self._best, self._acting)
                self._play_best(player, self._best, received)
        if not received:
            return RunResult(self.directory.path, finished=True)
        say(
            self.console,
            f"stopped by {signal.Signals(received[0]).name} at {done:,} {settings.unit}; "
            f"saved. Continue with: {self.directory.resume_command(self.experiment)}",
        )
        return RunResult(self.directory.path, finished=False, signal=received[0])

    def _done(self) -> int:
        """The progress of every seed at least."""
        return int(to_numpy(progress(self.experiment.run, self.state)).min())

    def _play_chunk(self, player: Player, until: int) -> None:
        before, updates = to_numpy(self.state.iteration), to_numpy(self.state.updates)
        try:
            self.state, metrics = player.chunk(self.state, until)
        except UsageError as error:  # of an environment that is not JAX; the state is still whole
            self._save()
            raise UsageError(
                f"{error}\nThe run is saved at {self._done():,} {self.experiment.run.unit}; "
                f"afterwards go on with: {self.directory.resume_command(self.experiment)}"
            ) from error
        n_iterations = to_numpy(self.state.iteration) - before
        if not self.experiment.run.is_offline:  # a file's rewards are finite
            self._require_finite_rewards(metrics["rewards_nonfinite"], metrics["env_steps"])
        for row in training_rows(
            metrics, player.trainer.update_metrics, n_iterations, to_numpy(self.state.seed), updates
        ):
            self._write(row)

    def _evaluate(self, player: Player) -> None:
        metrics = player.evaluate(self.state)
        self._require_finite_rewards(metrics["test_rewards_nonfinite"], self.state.env_steps)
        for row in evaluation_rows(metrics, self.state, self.experiment.run):
            self._write(row)
        if self._best is not None:
            self._best = better_of(self._best, self.state, metrics)

    def _play_best(self, player: Player, best: Best, received: list[int]) -> None:
        """Write the absolute metric of each seed, unless a signal comes before."""
        evaluated = list[Metrics]()
        self._display.show_absolute(0, TIMES)
        for metrics in evaluations(player, self.state, best):
            self._require_finite_rewards(metrics["test_rewards_nonfinite"], self.state.env_steps)
            evaluated.append(metrics)
            self._display.show_absolute(len(evaluated), TIMES)
            if received:
                return
        rows = absolute_rows(evaluated, self.state, best, self.experiment.run)
        write_atomically(self.directory.absolute, *map(to_line, rows))

    def _require_finite_rewards(self, counts: Array, env_steps: Array) -> None:
        """UsageError for rewards that a compiled program could only count; nothing is saved.

        Whatever has learned from them is lost, and the last checkpoint is from before.
        """
        n = to_numpy(counts)
        first = int(to_numpy(env_steps)[n > 0].min(initial=np.iinfo(np.int32).max))
        require_finite(
            int(n.sum()),
            self.experiment.run.nonfinite_rewards,
            registry.name_of(self.experiment.env),
            f"by env step {first:,}",
        )

    def _write(self, row: Row) -> None:
        self._rows.write(row)
        self._display.write(row)
        for tracker in [*self._trackers]:
            try:
                tracker.write(row)
            except Exception as error:  # losing a tracker never loses a run
                self._lose(tracker, error)

    def _record_replay(self, before: int, done: int) -> None:
        if self._replay is None:
            return
        try:
            self._replay.record(self.directory.replay, self.state, before, done)
        except Exception as error:  # as with trackers
            self._replay = None
            say(self.console, f"replay is not recorded any more: {error}", "yellow")

    def _close_trackers(self) -> None:
        for tracker in [*self._trackers]:
            try:
                tracker.close()
            except Exception as error:
                self._lose(tracker, error)

    def _lose(self, tracker: Tracker, error: Exception) -> None:
        self._trackers.remove(tracker)
        say(self.console, f"{tracker.name} stopped: {error}", "yellow")

    def _save(self) -> None:
        rows, state = self._rows.sync(), self.state
        saving.save(
            *(self.directory, self.experiment, state, rows, self._best, self._acting),
            replay=self._save_replay,
        )
        self._write_timing("checkpoint")

    def _write_timing(self, what: str) -> None:
        env_steps, updates = to_numpy(self.state.env_steps), to_numpy(self.state.updates)
        self._timing.write(what, int(env_steps.sum()), int(updates.sum()))


def to_numpy(x: Array) -> np.ndarray:
    """The numbers of an array on a device."""
    return np.asarray(jax.device_get(x))
