"""The loop of a run, of a player that only counts: when it tests, saves and stops."""

import io
import json
import math
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from macpo.errors import UsageError
from macpo.experiment import Experiment, Run
from macpo.learners.base import LearnerState
from macpo.runs import checkpoint, loop
from macpo.runs.directory import RunDirectory
from macpo.runs.loop import RunLoop, RunResult
from macpo.training.trainer import TrainState

STEPS_PER_CHUNK = 100


def fresh(env_steps: int = 0) -> TrainState:
    """A seed's state whose only parameter is the number of chunks that it has seen."""
    zero = jnp.zeros(1, jnp.int32)
    return TrainState(
        learner=LearnerState({"chunks": zero}, (), (), {}),
        replay_buffer=(),
        priorities=(),
        seed=zero + 7,
        env_steps=zero + env_steps,
        iteration=zero,
        updates=zero,
        last_sync=zero,
    )


class CountingPlayer:
    """Plays an iteration of 100 env steps in each chunk, after calling `before`."""

    trainer = SimpleNamespace(update_metrics=frozenset({"loss"}))

    def __init__(
        self, before: Callable[[int], None] = lambda chunk: None, value: float = 1.5
    ) -> None:
        self.before, self.value = before, value
        self.until, self.tested_at = list[int](), list[int]()
        self.nonfinite: dict[int, int] = {}
        """Chunks in which rewards were not finite → how many of them; in tests it is chunk 0."""

    def chunk(self, state: TrainState, until_env_steps: int) -> tuple[TrainState, dict[str, Any]]:
        self.until.append(until_env_steps)
        self.before(len(self.until))
        params = {"chunks": state.learner.params["chunks"] + 1}
        state = state._replace(
            learner=state.learner._replace(params=params),
            env_steps=state.env_steps + STEPS_PER_CHUNK,
            iteration=state.iteration + 1,
        )
        n_nonfinite = jnp.array([self.nonfinite.get(len(self.until), 0)])
        one = {"env_steps": state.env_steps, "episodes": state.iteration, "updates": state.updates}
        one |= {"return_mean": jnp.array([self.value]), "loss": jnp.zeros(1)}
        one |= {"rewards_nonfinite": n_nonfinite}
        return state, {name: x[:, None] for name, x in one.items()}

    def evaluate(self, state: TrainState) -> dict[str, Any]:
        self.tested_at.append(int(state.env_steps[0]))
        n_nonfinite = jnp.array([self.nonfinite.get(0, 0)])
        return {
            "test_return_mean": jnp.array([self.value]),
            "test_rewards_nonfinite": n_nonfinite,
        }


class PlannedRun:
    """A run of 600 env steps that tests and saves every 250, and what it leaves."""

    def __init__(
        self,
        path: Path,
        player: CountingPlayer,
        env_steps: int = 0,
        tensorboard: bool = False,
        **changes: Any,
    ) -> None:
        run = Run(steps=600, test_interval=250, checkpoint_interval=250, **changes)
        experiment = Experiment(env="two-step", run=run)
        self.files, self.player, self.state = RunDirectory(path), player, fresh(env_steps)
        self.files.create(experiment)
        self.console = Console(file=io.StringIO(), width=200, record=True)
        self.loop = RunLoop(
            experiment, self.files, self.state, console=self.console, tensorboard=tensorboard
        )

    def play(self) -> RunResult:
        return self.loop.run(self.player)

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.files.metrics.read_text().splitlines()]

    def saved_at(self) -> list[int]:
        """Env steps at which checkpoints were written."""
        rows = [json.loads(line) for line in self.files.timing.read_text().splitlines()]
        return [row["env_steps"] for row in rows if row["what"] == "checkpoint"]

    def saved(self) -> checkpoint.Checkpoint:
        return checkpoint.load_latest(self.files.checkpoints, self.state)


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
    assert {row["test_return_mean"] for row in tests} == {1.5}


def test_every_iteration_has_a_row_of_its_seed(tmp_path: Path):
    run = PlannedRun(tmp_path, CountingPlayer())
    run.play()
    rows = [row for row in run.rows() if row["kind"] == "train"]
    assert [row["env_steps"] for row in rows] == [100, 200, 300, 400, 500, 600]
    assert {row["seed"] for row in rows} == {7}
    assert {row["return_mean"] for row in rows} == {1.5} and "loss" not in rows[0]


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


def test_a_checkpoint_holds_the_state_the_experiment_and_the_length_of_the_metrics(tmp_path: Path):
    run = PlannedRun(tmp_path, CountingPlayer())
    run.play()
    found = run.saved()
    np.testing.assert_array_equal(found.state.env_steps, [600])
    assert found.info["experiment"]["run"]["steps"] == 600
    assert found.info["metrics_bytes"] == run.files.metrics.stat().st_size


def test_the_parameters_are_also_saved_on_their_own(tmp_path: Path):
    run = PlannedRun(tmp_path, CountingPlayer())
    run.play()
    like = run.state.learner.params
    found = checkpoint.from_bytes(run.files.model.read_bytes(), like, run.files.model)
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
    np.testing.assert_array_equal(run.saved().state.env_steps, [200])
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
    np.testing.assert_array_equal(run.saved().state.env_steps, [200])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_metrics_that_are_not_finite_do_not_end_the_run(tmp_path: Path, value: float):
    pytest.importorskip("tensorboardX")
    run = PlannedRun(tmp_path, CountingPlayer(value=value), tensorboard=True)
    assert run.play().finished
    tests = [row for row in run.rows() if row["kind"] == "test"]
    assert [row["test_return_mean"] for row in tests] == [str(value)] * 3
    said = run.console.export_text()
    assert said.count("no longer finite") == 2  # of training and of evaluation
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


def test_losing_an_optional_sink_never_loses_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class TensorBoard:
        rows = 0

        def __init__(self, directory: Path) -> None: ...

        def write(self, row: object) -> None:
            TensorBoard.rows += 1
            if TensorBoard.rows == 2:
                raise OSError("no space left on the tensorboard")

        def close(self) -> None: ...

    monkeypatch.setattr(loop, "TensorBoard", TensorBoard)
    run = PlannedRun(tmp_path, CountingPlayer(), tensorboard=True)
    assert run.play().finished
    assert TensorBoard.rows == 2
    assert run.console.export_text().count("TensorBoard stopped: no space left") == 1
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
