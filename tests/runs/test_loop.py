"""The loop of a run, of a player that only counts: when it tests, saves and stops."""

import errno
import io
import json
import math
import os
import shlex
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from macpo.errors import UsageError
from macpo.experiment import Experiment, Run
from macpo.runs import checkpoint, saving
from macpo.runs.directory import RunDirectory
from macpo.runs.loop import RunLoop, RunResult, RunStart
from macpo.runs.record.console import ConsoleDisplay
from macpo.runs.record.trackers import Tracker
from macpo.training.trainer import TrainState
from tests.support.counting import CountingPlayer, fresh


class PlannedRun:
    """A run of 600 env steps that tests and saves every 250, and what it leaves."""

    def __init__(
        self,
        path: Path,
        player: CountingPlayer,
        env_steps: int = 0,
        trackers: Sequence[str] = (),
        **changes: Any,
    ) -> None:
        run = Run(steps=600, test_interval=250, checkpoint_interval=250, **changes)
        self.experiment = Experiment(env="two-step", run=run)
        self.files, self.player, self.state = RunDirectory(path), player, fresh(env_steps)
        self.files.make()
        self.console = Console(file=io.StringIO(), width=200, record=True)
        start = RunStart(self.experiment, self.files, self.state)
        self.loop = RunLoop(start, console=self.console, trackers=trackers)

    def play(self) -> RunResult:
        return self.loop.run(self.player)

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files.metrics.read_text().splitlines()]

    def saved_at(self) -> list[int]:
        """Env steps at which checkpoints were written."""
        rows = [json.loads(line) for line in self.files.timing.read_text().splitlines()]
        return [row["env_steps"] for row in rows if row["what"] == "checkpoint"]

    def saved(self) -> TrainState:
        state = saving.last_state(self.files, self.experiment, lambda: self.state).state
        assert state is not None
        return state


# --- when -----------------------------------------------------------------------------------------


def test_chunks_end_at_the_next_evaluation_or_with_the_run(tmp_path: Path):
    player = CountingPlayer()
    assert PlannedRun(tmp_path, player).play() == RunResult(tmp_path, finished=True)
    assert player.until == [250, 250, 250, 500, 500, 600]


def test_evaluations_follow_each_interval_and_the_end(tmp_path: Path):
    player = CountingPlayer()
    run = PlannedRun(tmp_path, player)
    run.play()
    assert player.tested_at == [300, 500, 600]
    tests = [row for row in run.rows() if row["kind"] == "test"]
    assert [row["env_steps"] for row in tests] == [300, 500, 600]
    assert [row["test_return_mean"] for row in tests] == [-0.5, 1.5, 0.5]


def test_every_iteration_has_a_row_of_its_seed(tmp_path: Path):
    run = PlannedRun(tmp_path, CountingPlayer())
    run.play()
    rows = [row for row in run.rows() if row["kind"] == "train"]
    assert [row["env_steps"] for row in rows] == [100, 200, 300, 400, 500, 600]
    assert {row["seed"] for row in rows} == {7}
    assert {row["return_mean"] for row in rows} == {1.5}


def test_checkpoints_follow_each_interval_and_the_end(tmp_path: Path):
    run = PlannedRun(tmp_path, CountingPlayer())
    run.play()
    assert run.saved_at() == [300, 500, 600]


def test_a_resumed_run_tests_and_saves_when_the_whole_one_would_have(tmp_path: Path):
    player = CountingPlayer()
    run = PlannedRun(tmp_path, player, env_steps=300)
    run.play()
    assert player.until == [500, 500, 600]
    assert run.saved_at() == [500, 600]


# --- what is saved --------------------------------------------------------------------------------


def test_a_checkpoint_holds_the_state_and_the_length_of_the_metrics_before_it(tmp_path: Path):
    run = PlannedRun(tmp_path, CountingPlayer())
    run.play()
    found = saving.last_state(run.files, run.experiment, lambda: run.state)
    assert found.state is not None
    np.testing.assert_array_equal(found.state.env_steps, [600])
    assert found.metrics_bytes == run.files.metrics.stat().st_size


def test_the_parameters_are_also_saved_on_their_own(tmp_path: Path):
    run = PlannedRun(tmp_path, CountingPlayer())
    run.play()
    found = saving.read_model(run.files, run.experiment, run.state.learner.params)
    np.testing.assert_array_equal(found["chunks"], [6])


# --- signals and faults ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_after_the_chunk_and_saves_it(
    number: signal.Signals, tmp_path: Path
):
    def interrupt(chunk: int) -> None:
        if chunk == 2:
            signal.raise_signal(number)

    run = PlannedRun(tmp_path, CountingPlayer(interrupt))
    assert run.play() == RunResult(tmp_path, finished=False, signal=number)
    assert run.saved_at() == [200]
    np.testing.assert_array_equal(run.saved().env_steps, [200])
    assert [row["env_steps"] for row in run.rows()] == [100, 200]
    said = f"stopped by {number.name} at 200 env steps; saved. Continue with: macpo resume"
    assert said in run.console.export_text()


def test_signals_act_as_before_once_the_run_has_ended(tmp_path: Path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    PlannedRun(tmp_path, CountingPlayer()).play()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_fault_of_the_environment_leaves_the_run_saved_with_advice(tmp_path: Path):
    def fail(chunk: int) -> None:
        if chunk == 3:
            raise UsageError("the game has a bug.")

    run = PlannedRun(tmp_path, CountingPlayer(fail))
    with pytest.raises(UsageError) as error:
        run.play()
    assert str(error.value) == (
        "the game has a bug.\nThe run is saved at 200 env steps; afterwards go on with: "
        f"macpo resume {tmp_path}"
    )
    np.testing.assert_array_equal(run.saved().env_steps, [200])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_metrics_that_are_not_finite_do_not_end_the_run(tmp_path: Path, value: float):
    pytest.importorskip("tensorboardX")
    run = PlannedRun(tmp_path, CountingPlayer(value=value), trackers=["tensorboard"])
    assert run.play().finished
    tests = [row for row in run.rows() if row["kind"] == "test"]
    assert [row["test_return_mean"] for row in tests] == [str(value)] * 3
    said = run.console.export_text()
    assert said.count("not finite") == 2  # of training and of evaluation
    assert "stopped" not in said


@pytest.mark.parametrize("name", ["a[seed1]b", "a[/x]b", "my runs", "it's"])
def test_the_advice_to_resume_can_be_pasted_whatever_the_name_and_the_width(
    tmp_path: Path, name: str
):
    run = PlannedRun(tmp_path / name, CountingPlayer(lambda _: signal.raise_signal(signal.SIGINT)))
    run.loop.console = console = Console(file=io.StringIO(), width=20)
    run.play()
    assert isinstance(console.file, io.StringIO)
    (line,) = console.file.getvalue().splitlines()
    advised = line.partition("Continue with: ")[2]
    assert shlex.split(advised) == ["macpo", "resume", str(tmp_path / name)]


def test_losing_a_tracker_never_loses_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = list[object]()

    def write(self: object, row: object) -> None:
        written.append(row)
        if len(written) == 2:
            raise OSError("no space left on the tensorboard")

    monkeypatch.setattr(Tracker, "write", write)
    run = PlannedRun(tmp_path, CountingPlayer(), trackers=["tensorboard"])
    assert run.play().finished
    assert len(written) == 2
    assert run.console.export_text().count("tensorboard stopped: no space left") == 1
    assert len(run.rows()) == 6 + 3  # of iterations and evaluations


# --- rewards that are not finite ------------------------------------------------------------------


def test_a_chunk_that_learned_from_such_rewards_ends_the_run_and_is_not_saved(tmp_path: Path):
    player = CountingPlayer()
    player.nonfinite = {5: 3}
    run = PlannedRun(tmp_path, player)
    with pytest.raises(UsageError, match=r"^two-step paid 3 rewards .* by env step 500; `macpo"):
        run.play()
    assert run.saved_at() == [300]
    assert [row["env_steps"] for row in run.rows() if row["kind"] == "train"] == [
        100,
        200,
        300,
        400,
    ]


def test_an_evaluation_that_was_paid_such_rewards_ends_the_run(tmp_path: Path):
    player = CountingPlayer()
    player.nonfinite = {0: 1}
    run = PlannedRun(tmp_path, player)
    with pytest.raises(UsageError, match=r"^two-step paid 1 rewards .* by env step 300;"):
        run.play()


def test_such_rewards_are_counted_where_they_are_read_as_0(tmp_path: Path):
    player = CountingPlayer()
    player.nonfinite = {5: 3}
    run = PlannedRun(tmp_path, player, nonfinite_rewards="zero")
    assert run.play().finished
    counts = [row["rewards_nonfinite"] for row in run.rows() if row["kind"] == "train"]
    assert counts == [0, 0, 0, 0, 3, 0]


def test_a_tracker_that_fails_at_its_end_does_not_lose_the_run_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def close(self: object) -> None:
        raise OSError("no space left on the tensorboard")

    monkeypatch.setattr(Tracker, "close", close)
    run = PlannedRun(tmp_path, CountingPlayer(), trackers=["tensorboard"])
    assert run.play().finished
    assert run.console.export_text().count("tensorboard stopped: no space left") == 1


@pytest.mark.parametrize("gone", ["directory", "metrics"])
def test_a_run_whose_files_are_deleted_or_moved_is_not_said_to_be_finished(
    gone: str, tmp_path: Path
):
    path = tmp_path / "run"

    def remove(chunk: int) -> None:
        if chunk == 5:
            shutil.rmtree(path) if gone == "directory" else (path / "metrics.jsonl").unlink()

    run = PlannedRun(path, CountingPlayer(remove))
    with pytest.raises(UsageError, match=r"metrics\.jsonl is gone: it was deleted, moved or repl"):
        run.play()
    assert path.exists() == (gone == "metrics")


def test_checkpoints_that_are_deleted_while_the_run_goes_on_are_written_again(tmp_path: Path):
    def remove(chunk: int) -> None:
        if chunk == 5:
            shutil.rmtree(tmp_path / "checkpoints")

    run = PlannedRun(tmp_path, CountingPlayer(remove))
    assert run.play().finished
    assert len(checkpoint.files(run.files.checkpoints)) == 2


def test_a_disk_that_is_full_leaves_the_terminal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    closed = list[ConsoleDisplay]()
    monkeypatch.setattr(ConsoleDisplay, "close", lambda display: closed.append(display))
    monkeypatch.setattr(os, "fsync", refuse)
    run = PlannedRun(tmp_path, CountingPlayer())
    with pytest.raises(UsageError, match=r"cannot write .*: No space left on device; free some"):
        run.play()
    assert len(closed) == 1
