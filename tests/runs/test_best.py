"""The best evaluation so far, and the absolute metric of a run."""

import io
import json
import math
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import macpo
from macpo.experiment import Run
from macpo.runs import arrays, best, saving
from macpo.runs.best import Best
from macpo.runs.directory import RunDirectory
from macpo.runs.record.jsonl import extent
from macpo.training.trainer import TrainState
from tests.support import counting
from tests.support.counting import EXPERIMENT, begin, content, fresh, go_on, interrupted


def state_of(chunks: list[int]) -> TrainState:
    """Of several seeds, told apart by their parameters and env steps."""
    numbers = np.array(chunks, np.int32)
    state = fresh()
    learner = state.learner._replace(params={"chunks": numbers[:, None]})
    return state._replace(
        learner=learner,
        seed=np.arange(len(chunks), dtype=np.int32),
        env_steps=100 * numbers,
        iteration=numbers,
        updates=2 * numbers,
    )


def after(*evaluations: dict[str, list[float]]) -> list[int]:
    """By its parameters, the best evaluation of each seed; the first one is called 1."""
    n_seeds = len(next(iter(evaluations[0].values())))
    found = best.before_any(state_of([0] * n_seeds))
    for number, metrics in enumerate(evaluations, 1):
        arrays: Any = {name: np.array(values) for name, values in metrics.items()}
        found = best.better_of(found, state_of([number] * n_seeds), arrays)
    assert (found.env_steps == 100 * found.iteration).all()
    return found.params["chunks"][:, 0].tolist()


def returns(*values: float) -> list[dict[str, list[float]]]:
    return [{"test_return_mean": [value]} for value in values]


# --- which is the best ----------------------------------------------------------------------------


def test_it_has_the_highest_return_and_is_the_latest_of_equal_ones():
    assert after(*returns(1.0, 3.0, 2.0)) == [2]
    assert after(*returns(1.0, 3.0, 3.0, 2.0)) == [3]


def test_battles_won_count_before_the_return():
    won = [{"test_battle_won_mean": [w], "test_return_mean": [r]} for w, r in ((0, 9), (0.5, 1))]
    assert after(*won) == [2]
    lost = [{"test_battle_won_mean": [0.0], "test_return_mean": [r]} for r in (5.0, 4.0)]
    assert after(*lost) == [1]


def test_a_return_that_is_not_a_number_is_the_least():
    assert after(*returns(math.nan, -5.0, math.nan)) == [2]


def test_each_seed_has_its_own():
    assert after({"test_return_mean": [1.0, 4.0]}, {"test_return_mean": [2.0, 3.0]}) == [2, 1]


def test_what_is_kept_is_a_copy():
    state = state_of([1])
    found = best.better_of(best.before_any(state_of([0])), state, {"test_return_mean": np.ones(1)})
    state.learner.params["chunks"][:] = 9
    assert found.params["chunks"].tolist() == [[1]]


# --- its evaluation at the end --------------------------------------------------------------------


def test_the_evaluations_count_as_one_of_all_their_episodes():
    turns: Any = [
        {
            "test_return_mean": np.float32([1, 10]),
            "test_return_std": np.float32([1, 0]),
            "test_rewards_nonfinite": np.array([0, 2]),
        },
        {
            "test_return_mean": np.float32([3, 10]),
            "test_return_std": np.float32([1, 0]),
            "test_rewards_nonfinite": np.array([1, 2]),
        },
    ]
    kept = Best({}, np.zeros((2, 2)), np.array([500, 700]), np.array([5, 7]), np.array([1, 2]))
    rows = best.absolute_rows(turns, state_of([9, 9]), kept, Run(test_nepisode=4, batch_size_run=3))
    # returns of the first seed's episodes, such as 0, 2 and 2, 4: mean 2, variance 2
    assert list(rows) == [
        {
            "kind": "absolute",
            "seed": 0,
            "env_steps": 500,
            "episodes": 15,
            "updates": 1,
            "test_episodes": 8,
            "test_return_mean": 2.0,
            "test_return_std": pytest.approx(math.sqrt(2)),
            "test_rewards_nonfinite": 1,
        },
        {
            "kind": "absolute",
            "seed": 1,
            "env_steps": 700,
            "episodes": 21,
            "updates": 2,
            "test_episodes": 8,
            "test_return_mean": 10.0,
            "test_return_std": 0.0,
            "test_rewards_nonfinite": 4,
        },
    ]


def rows(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "absolute.jsonl").read_text().splitlines()]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A run that is evaluated at 300, 500, 800 and 1000 env steps, and is best at 500."""
    with counting.counting():
        begin(tmp_path / "whole")
    return tmp_path / "whole"


def test_a_finished_run_has_it_beside_its_metrics(whole: Path):
    (row,) = rows(whole)
    assert (row["kind"], row["seed"], row["env_steps"]) == ("absolute", 7, 500)
    assert (row["test_return_mean"], row["test_episodes"]) == (1.5, 320)
    assert "absolute" not in (whole / "metrics.jsonl").read_text()


def test_a_longer_run_has_its_own_and_none_meanwhile(whole: Path, tmp_path: Path):
    class Broken(BaseException): ...

    def before(chunk: int) -> None:
        raise Broken

    with counting.counting(before), pytest.raises(Broken):
        go_on(whole, steps=1500)
    assert not (whole / "absolute.jsonl").exists()
    assert not (whole / "best.safetensors").exists()
    with counting.counting():
        go_on(whole, steps=1500)
        begin(tmp_path / "long", replace(EXPERIMENT, run=replace(EXPERIMENT.run, steps=1500)))
    assert content(whole) == content(tmp_path / "long")


def test_one_that_was_interrupted_in_it_has_it_after_resuming(whole: Path, tmp_path: Path):
    class Stopped(counting.CountingPlayer):
        def evaluate(self, state: TrainState) -> dict[str, Any]:
            if int(state.env_steps[0]) == -3:
                signal.raise_signal(signal.SIGTERM)
            return super().evaluate(state)

    with counting.counting(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(counting, "CountingPlayer", Stopped)
        result = begin(tmp_path / "run")
    assert (result.finished, result.signal) == (False, signal.SIGTERM)
    assert not (tmp_path / "run" / "absolute.jsonl").exists()
    with counting.counting():
        assert "already at" not in go_on(tmp_path / "run")
        assert content(tmp_path / "run") == content(whole)
        assert "already at" in go_on(tmp_path / "run")


def test_the_best_parameters_are_kept_beside_the_last_ones(whole: Path):
    """They play best after five chunks of ten, which is at 500 env steps."""
    best, last = (arrays.read(whole / f"{name}.safetensors") for name in ("best", "model"))
    assert (best.arrays["chunks"], last.arrays["chunks"]) == ([5], [10])
    assert best.info["env_steps"] == [500]


def test_best_parameters_that_are_lost_are_made_again_by_resuming(whole: Path):
    file = whole / "best.safetensors"
    kept = file.read_bytes()
    file.unlink()
    with counting.counting():
        assert "already at" in go_on(whole)
    assert file.read_bytes() == kept


def test_one_that_is_lost_or_torn_is_made_again_by_resuming(whole: Path):
    file = whole / "absolute.jsonl"
    told = file.read_bytes()
    for left in (b"", told[:40]):
        file.write_bytes(left)
        with counting.counting():
            go_on(whole)
        assert file.read_bytes() == told


def test_a_run_that_goes_on_from_a_checkpoint_without_it_has_none(tmp_path: Path):
    """Nobody knows what was the best before."""
    interrupted(tmp_path / "run", at_chunk=5)
    run = RunDirectory(tmp_path / "run")
    with counting.counting():
        last = saving.last_state(run, EXPERIMENT, fresh)
        assert last.state is not None and last.best is not None
        saving.save(run, EXPERIMENT, last.state, extent(run.metrics, last.metrics_bytes))
        go_on(run.path)
    assert not run.absolute.exists()


def test_the_best_parameters_play_in_the_compiled_program_that_evaluates(tmp_path: Path):
    experiment = macpo.Experiment(
        env="two-step",
        algorithm=macpo.algorithms.VDN(rnn_hidden_dim=8),
        weighting="uniform",
        run=Run(
            steps=200, seeds=2, batch_size=8, buffer_size=64, test_interval=40, test_nepisode=3
        ),
    )
    macpo.train(experiment, tmp_path / "run", console=Console(file=io.StringIO()))
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    tests = [row for row in map(json.loads, lines) if row["kind"] == "test"]
    found = rows(tmp_path / "run")
    assert [row["seed"] for row in found] == [0, 1]
    for row in found:  # greedy episodes of this game are all the same
        of_seed = [test for test in tests if test["seed"] == row["seed"]]
        highest = max(test["test_return_mean"] for test in of_seed)
        latest = [t["env_steps"] for t in of_seed if t["test_return_mean"] == highest][-1]
        assert (row["test_return_mean"], row["env_steps"]) == (highest, latest)
        assert row["test_episodes"] == 30
